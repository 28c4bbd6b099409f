"""Save and load: modules, optimizer state and checkpoints as JSON that no one can be harmed by.

A file is one JSON object: format, version, kind, payload, and a checksum of what comes before it. Floats
are written so that they come back exactly. A file that is not, byte for byte, what `save` writes
for what it says is refused, so that any change of it is noticed. Modules are made anew by
their constructors, from the few names in MODULES; nothing in a file is ever run or imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from math import inf, isfinite, nan
from pathlib import Path
from secrets import token_hex
from typing import Any

from autograd_lite.nn import MLP, Layer, Module, Network, Neuron, Perceptron, activation_name
from autograd_lite.optim import Optimizer
from autograd_lite.value import shown

__all__ = ["load", "save"]

FORMAT, VERSION = "autograd_lite", 1
DEEPEST = 32  # nesting: what we write has at most 8
LONGEST = 40  # digits of a whole number: a seed may be long
NOTHING = type(None)
PARTS: dict[str, dict[str, Any]] = {  # of each kind of payload, and their types
    "module": {"type": (str,), "config": (dict,), "parameters": (dict,), "frozen": (list,)},
    "optimizer": {"rule": (str,), "lr": (float, int, NOTHING), "steps": (int,), "pieces": (list,)},
    "state": {},  # any names
    "checkpoint": {
        "seed": (int,), "told": (dict,), "model": (dict,), "optimizer": (dict,), "history": (list,),
        "best": (dict, NOTHING),
    },
}  # fmt: skip


def save(obj: Any, path: Any) -> None:
    """Write a module, the state of an optimizer, or a state dict to a file.

    The file is replaced at once: whatever happens, the path holds the old file or the new one, whole.

    Args:
        obj: an MLP, Layer, Neuron, Perceptron or Network, which `load` gives back as such; an Optimizer, of
            which it gives the `state_dict`; or what `state_dict()` gave, of a module of your own too.
        path: a file name.

    Raises:
        TypeError: obj is nothing of the kind, or has a part that only code could describe.
        ValueError: a number is NaN or infinite.
        OSError: the file cannot be written.

    Example:
        >>> model = ag.MLP(2, [3, 1], seed=0)
        >>> ag.save(model, "model.json")
        >>> twin = ag.load("model.json")
        >>> twin, twin.state_dict() == model.state_dict()
        (MLP(2, [3, 1], activation='relu'), True)
    """
    if isinstance(obj, Optimizer):
        write("optimizer", obj.state_dict(), path)
    elif isinstance(obj, Module):
        name = type(obj).__name__
        if type(obj) is not MODULES.get(name):
            raise TypeError(
                f"save: {name} is a module of your own, and a file runs no code: save {name}.state_dict(), "
                "and give what load returns to the load_state_dict of a new one"
            )
        write("module", _described(obj), path)
    elif isinstance(obj, Mapping):
        write(_kind(obj), dict(obj), path)
    else:
        raise TypeError(f"save: expected a module, an optimizer or a state_dict, got {shown(obj)}")


def load(path: Any) -> Any:
    """Read what `save` or a checkpoint of `fit` wrote.

    Args:
        path: a file name.

    Returns:
        The module; for an optimizer or a state dict, the dict for `load_state_dict`; for a checkpoint a dict whose
        "model" and "optimizer" are such dicts.

    Raises:
        ValueError: the file is damaged or not ours, with what is wrong with it.
        OSError: it cannot be read.

    Example:
        >>> optimizer = ag.optim.Adam([ag.Parameter(1.0)])
        >>> ag.save(optimizer, "adam.json")
        >>> optimizer.load_state_dict(ag.load("adam.json"))
    """
    kind, payload = _read(path)
    return _module(payload, path) if kind == "module" else payload


# --- the file -------------------------------------------------------------------------------------------------


def write(kind: str, payload: Mapping[str, Any], path: Any) -> None:
    """Write a payload of plain lists, dicts, numbers and strings; the file is replaced at once."""
    content = _outward(payload, kind)
    _check_parts(kind, content, "save")
    text = _document({"format": FORMAT, "version": VERSION, "kind": kind, "payload": content})
    target = Path(os.path.realpath(path))
    there = target.stat().st_mode & 0o777 if target.exists() else None  # a new file gets what the process's mask leaves
    beside = target.with_name(f".{target.name[:50]}.{token_hex(8)}.tmp")

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if there is None else there)

    try:
        with open(beside, "xb", opener=opened) as file:
            file.write(text.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        if there is not None:
            os.chmod(beside, there)
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def read(path: Any, kind: str) -> dict[str, Any]:
    """The payload of a file of one kind; ValueError says what is wrong with the file."""
    found, payload = _read(path)
    if found != kind:
        raise ValueError(f"{path}: expected a file of the kind {kind!r}, this one is of the kind {found!r}")
    return payload


def _kind(state: Mapping[str, Any]) -> str:
    """Whether a dict is the state of an optimizer (its rule is a string) or of parameters (all are numbers)."""
    return "optimizer" if isinstance(state.get("rule"), str) else "state"


def _check_parts(kind: str, payload: Mapping[str, Any], who: Any) -> None:
    wanted = PARTS[kind]
    for part in [*wanted, *payload]:
        known = part in wanted or kind == "state"
        if not known or part not in payload or (part in wanted and type(payload[part]) not in wanted[part]):
            raise ValueError(f"{who}: its part {part!r} is missing or not what a file of the kind {kind!r} holds")
    if kind == "state" and _kind(payload) != kind:
        raise ValueError(f"{who}: its part 'rule' is not what a file of the kind 'state' holds")


def _document(head: Mapping[str, Any]) -> str:
    text = json.dumps(head, allow_nan=False, ensure_ascii=True, indent=None)
    checksum = hashlib.sha256(text.encode("ascii")).hexdigest()
    return f'{text[:-1]}, "checksum": "{checksum}"}}\n'


def _sync_directory(directory: Path) -> None:
    """Make the new name durable too, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(path: Any) -> tuple[str, dict[str, Any]]:
    return _parsed(Path(path).read_bytes(), path)


def _parsed(raw: bytes, path: Any) -> tuple[str, dict[str, Any]]:
    """(kind, payload) of the bytes of a file; the path is for messages."""
    if not raw:
        raise ValueError(f"{path}: the file is empty")
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: the file is damaged or not one of ours: it is no plain text") from None
    depth = _depth(text)
    if depth > DEEPEST:
        raise ValueError(f"{path}: not one of our files: it is nested {depth} deep and more")
    try:
        found = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_float, parse_int=_int
        )
    except ValueError as error:
        raise ValueError(f"{path}: the file is cut short, damaged or not one of ours: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f'{path}: this is JSON, but not of ours: "format" is not {FORMAT!r}')
    if type(found.get("version")) is not int or found["version"] != VERSION:  # and neither true nor 1.0
        raise ValueError(f"{path}: the version of the file is {found.get('version')!r}, this package reads {VERSION}")
    kind, payload = found.get("kind"), found.get("payload")
    if not isinstance(kind, str) or kind not in PARTS:
        raise ValueError(f"{path}: unknown kind {kind!r}; known are {', '.join(PARTS)}")
    head = {key: found.get(key) for key in ("format", "version", "kind", "payload")}
    if not isinstance(payload, dict) or _document(head) != text:
        raise ValueError(f"{path}: the checksum does not fit: the file was damaged or changed after it was written")
    payload = _inward(payload, kind, path)
    _check_parts(kind, payload, path)
    return kind, payload


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.S)  # one that never ends is one too: so the search stays linear


def _depth(text: str) -> int:
    """How deep brackets nest, looking no further than is needed to refuse; the parser would recurse."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > deepest:
            deepest = depth
            if deepest > DEEPEST:
                break
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} comes twice")
    return found


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:20]} is too large for a float")
    return value


def _int(text: str) -> int:
    if len(text) > LONGEST:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


# Only a history may hold NaN and infinities, losses that training met; they are written as strings.
_WORDS = {"nan": nan, "inf": inf, "-inf": -inf}


def _outward(payload: Mapping[str, Any], kind: str) -> dict[str, Any]:
    found = dict(payload)
    if kind == "checkpoint":
        found["history"] = [_mapped(row, lambda x: x if isfinite(x) else repr(x)) for row in payload["history"]]
    _all_finite({key: value for key, value in found.items() if key != "history"})
    return found


def _inward(payload: dict[str, Any], kind: str, path: Any) -> dict[str, Any]:
    if kind == "checkpoint" and isinstance(payload.get("history"), list):
        try:
            rows = [_mapped(row, lambda x: x if type(x) in (int, float) else _WORDS[x]) for row in payload["history"]]
        except (AttributeError, KeyError, TypeError):
            raise ValueError(f"{path}: its part 'history' is no list of rows of numbers") from None
        payload["history"] = rows
    return payload


def _mapped(row: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """A row of a history (numbers, and dicts of numbers) with each number changed."""
    return {
        key: {k: change(v) for k, v in value.items()} if isinstance(value, dict) else change(value)
        for key, value in row.items()
    }


def _all_finite(payload: Any) -> None:
    stack: list[tuple[str, Any]] = [("", payload)]
    while stack:
        name, thing = stack.pop()
        if isinstance(thing, Mapping):
            stack.extend((str(key), value) for key, value in thing.items())
        elif isinstance(thing, (list, tuple)):
            stack.extend((name, value) for value in thing)
        elif isinstance(thing, float) and not isfinite(thing):
            raise ValueError(f"save: {name} is {thing}; a file holds finite numbers, and nothing was written")
        elif not (thing is None or isinstance(thing, (bool, int, float, str))):
            raise TypeError(f"save: {name} is {shown(thing)}; a file holds numbers, strings, lists and dicts")


# --- modules ----------------------------------------------------------------------------------------------------


def _network_config(network: Network) -> dict[str, Any]:
    g = network.activation
    return {
        "edges": [list(edge) for edge in network.edges],
        "activation": [[j, activation_name(a)] for j, a in g.items()] if isinstance(g, dict) else activation_name(g),
        "inputs": network.inputs,
        "outputs": network.outputs,
        "bias": network.bias,
    }


def _described(module: Any) -> dict[str, Any]:
    """The payload of a module."""
    name, parameters = type(module).__name__, dict(module.named_parameters())
    return {
        "type": name,
        "config": CONFIGS[name](module),
        "parameters": {key: p._f for key, p in parameters.items()},
        "frozen": [key for key, p in parameters.items() if p.frozen],
    }


CONFIGS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "MLP": lambda m: {
        "n_in": m.layers[0].n_in,
        "n_outs": [layer.n_out for layer in m.layers],
        "activation": activation_name(m.activation),
        "output_activation": activation_name(m.output_activation),
    },
    "Layer": lambda m: {"n_in": m.n_in, "n_out": m.n_out, "activation": activation_name(m.activation)},
    "Neuron": lambda m: {"n_in": m.n_in, "activation": activation_name(m.activation)},
    "Perceptron": lambda m: {"n_in": m.n_in},
    "Network": _network_config,
}
MODULES: dict[str, Any] = {"MLP": MLP, "Layer": Layer, "Neuron": Neuron, "Perceptron": Perceptron, "Network": Network}


def _module(payload: dict[str, Any], path: Any) -> Module:
    """The module of a payload, made by its constructor and given its parameters."""
    try:
        name, config, parameters = payload["type"], dict(payload["config"]), payload["parameters"]
        if name not in MODULES:
            raise ValueError(f"unknown module {name!r}; known are {', '.join(MODULES)}")
        if _size(name, config) != len(parameters):  # before anything is made: a size is only a number
            raise ValueError(f"{len(parameters)} parameters do not make {name} of {config}")
        if name == "Network" and isinstance(config["activation"], list):
            config["activation"] = dict(config["activation"])
        made: Module = MODULES[name](**config, init=0.0)
        made.load_state_dict(parameters)
        by_name = dict(made.named_parameters())
        for key in payload["frozen"]:
            by_name[key].frozen = True
        if json.dumps(_described(made)) != json.dumps(payload):  # more in it, or numbers of another type
            raise ValueError(f"it holds more or other things than {made!r} has")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: the file does not describe a module of ours: {error}") from error
    return made


def _size(name: str, config: Mapping[str, Any]) -> int:
    """How many parameters a module of this configuration has."""
    if name == "Network":
        entered = {j for _, j in config["edges"]}
        return len(config["edges"]) + (len(entered) if config["bias"] else 0)
    sizes = [config["n_in"], *config.get("n_outs", [config.get("n_out", 1)])]
    return sum((a + 1) * b for a, b in pairwise(sizes))
