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

from autograd_lite.engine.checks import describe
from autograd_lite.engine.scopes import Scope
from autograd_lite.engine.value import Parameter
from autograd_lite.nn.layers import MLP, Layer, Neuron, activation_name
from autograd_lite.nn.module import Module
from autograd_lite.nn.network import Network
from autograd_lite.nn.perceptron import Perceptron
from autograd_lite.optim.optimizer import Optimizer

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

    The file is replaced at once: whatever happens, the path holds the old file or the new one, whole. What `load`
    would refuse or give back as something else is refused before that.

    Args:
        obj: an MLP, Layer, Neuron, Perceptron or Network, which `load` gives back as such; an Optimizer, of
            which it gives the `state_dict`; or what `state_dict()` gave, of a module of your own too.
        path: a file name.

    Raises:
        TypeError: obj is nothing of the kind, or has a part that only code could describe, or a key that is no string.
        ValueError: a number is NaN or infinite, or a module was changed after it was made, so that its constructor
            makes another: by a layer more, another activation, weights shared.
        OSError: the file cannot be written.

    Example:
        >>> model = ag.MLP(2, [3, 1], seed=0)
        >>> ag.save(model, "model.json")
        >>> twin = ag.load("model.json")
        >>> twin, twin.state_dict() == model.state_dict()
        (MLP(2, [3, 1], activation='relu'), True)
    """
    target = path_of(path, "save: path")
    if isinstance(obj, Optimizer):
        _replace(target, _text("optimizer", obj.state_dict())[0])
    elif isinstance(obj, Module):
        name = type(obj).__name__
        if type(obj) is not MODULES.get(name):
            raise TypeError(
                f"save: {name} is a module of your own, and a file runs no code: save {name}.state_dict(), "
                "and give what load returns to the load_state_dict of a new one"
            )
        _replace(target, _module_text(obj))
    elif isinstance(obj, Mapping):
        _replace(target, _text(_kind(obj), obj)[0])
    else:
        raise TypeError(f"save: expected a module, an optimizer or a state_dict, got {describe(obj)}")


def load(path: Any) -> Any:
    """Read what `save` or a checkpoint of `fit` wrote.

    Args:
        path: a file name.

    Returns:
        The module; for an optimizer or a state dict, the dict for `load_state_dict`; for a checkpoint a dict whose
        "model" and "optimizer" are such dicts.

    Raises:
        ValueError: the file is damaged or not ours, with what is wrong with it.
        TypeError: the path is no file name.
        OSError: it cannot be read.

    Example:
        >>> optimizer = ag.optim.Adam([ag.Parameter(1.0)])
        >>> ag.save(optimizer, "adam.json")
        >>> optimizer.load_state_dict(ag.load("adam.json"))
    """
    kind, payload = _read(path, "load: path")
    return _module(payload, path) if kind == "module" else payload


# --- the file -------------------------------------------------------------------------------------------------


def write(kind: str, payload: Mapping[str, Any], path: Any) -> None:
    """Write a payload of plain lists, dicts, numbers and strings; the file is replaced at once."""
    _replace(path_of(path, "fit: checkpoint"), _text(kind, payload)[0])


def _text(kind: str, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The text of a file, and its payload as it is read back, which must be what was given."""
    content = _outward(payload, kind)
    _check_plain(content)
    _check_parts(kind, content, "save")
    try:
        text = _document({"format": FORMAT, "version": VERSION, "kind": kind, "payload": content})
        _, back = _parsed(text.encode("ascii"), "the file")
    except ValueError as error:
        raise ValueError(f"save: load would refuse this, and nothing was written: {error}") from None
    found = _outward(back, kind)
    for key, value in content.items():
        if key not in found or found[key] != value:
            raise ValueError(f"save: load would give {key!r} back as something else, and nothing was written")
    return text, back


def path_of(path: Any, what: str) -> Path:
    """The path that an argument is; a TypeError that says what it was for where it is none."""
    try:
        return Path(path)
    except TypeError:
        raise TypeError(f"{what}: expected a file name, a str or a pathlib.Path, got {describe(path)}") from None


def _replace(path: Path, text: str) -> None:
    """Put a text in the place of a file, at once."""
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
    found, payload = _read(path, "fit: resume")
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


def _read(path: Any, what: str) -> tuple[str, dict[str, Any]]:
    return _parsed(path_of(path, what).read_bytes(), path)


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


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.S)  # one that never ends is one too: so the search stays linear


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
        found["history"] = [_mapped(row, lambda x: x if isfinite(x) else repr(float(x))) for row in payload["history"]]
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


def _check_plain(payload: Any) -> None:
    """Refuse, by its name, what JSON has no word for."""
    stack: list[tuple[str, Any, int]] = [("the state", payload, 2)]  # the document is around it
    while stack:
        name, thing, depth = stack.pop()
        if isinstance(thing, (dict, list)):
            if depth > DEEPEST:
                raise ValueError(f"save: {name} is nested more than {DEEPEST} deep; nothing was written")
            if isinstance(thing, list):
                stack.extend((name, value, depth + 1) for value in thing)
                continue
            for key, value in thing.items():
                if not isinstance(key, str):
                    raise TypeError(f"save: the key {key!r} in {name} is {describe(key)}; in a file names are strings")
                stack.append((key, value, depth + 1))
        elif isinstance(thing, float) and not isfinite(thing):
            raise ValueError(f"save: {name} is {thing}; a file holds finite numbers, and nothing was written")
        elif not (thing is None or isinstance(thing, (bool, int, float, str))):
            raise TypeError(f"save: {name} is {describe(thing)}; a file holds numbers, strings, lists and dicts")


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


def _module_text(module: Any) -> str:
    """The text of a module, from which its like is made; ValueError says what is not as its constructor makes it."""
    try:
        described = _described(module)
    except (AttributeError, IndexError) as error:  # a layer that is none, or no layer at all
        raise _changed(module, error) from None
    text, payload = _text("module", described)
    try:
        made = _made(payload)
    except ValueError as error:
        raise _changed(module, error) from None
    if change := _difference(module, made):
        raise _changed(module, f"{change} in {made!r}")
    return text


def _changed(module: Module, what: Any) -> ValueError:
    name = type(module).__name__
    return ValueError(
        f"save: this {name} was changed after it was made, and load would not give it back: {what}; "
        "save its state_dict(), and give what load returns to the load_state_dict of one changed in the same way"
    )


def _difference(module: Module, made: Module) -> str:
    """Where a module is not what its constructor made, but for numbers: the first place in words, or nothing."""
    names = {id(p): name for name, p in module.named_parameters()}
    stack: list[tuple[str, Any, Any]] = [("", module, made)]
    while stack:
        name, a, b = stack.pop()
        inner: list[tuple[str, Any, Any]] = []
        if isinstance(b, Parameter):
            same = type(a) is Parameter and names.get(id(a)) == name
        elif isinstance(b, (Module, dict, list, tuple)):
            same = type(a) is type(b)
            mine, wanted = _inside(a) if same else {}, _inside(b)
            same &= isinstance(b, Module) or list(mine) == list(wanted)  # a module may have more: a note of the user's
            inner = [((name + key).removeprefix("."), mine.get(key), x) for key, x in wanted.items()]
        elif isinstance(b, Scope):  # for pictures
            same = True
        elif callable(b):  # what an activation runs
            same = callable(a) and getattr(a, "__code__", a) == getattr(b, "__code__", b)
        else:
            same = (activation_name(a) if callable(a) else a) == b
        if not same:
            other = names.get(id(a), name)
            return f"{name} is {describe(a) if other == name else other}, and {describe(b)}"
        stack.extend(reversed(inner))
    return ""


def _inside(thing: Any) -> dict[str, Any]:
    """What a module or a container holds, by what it adds to a name."""
    if isinstance(thing, Module):
        return {f".{key}": x for key, x in vars(thing).items()}
    return {f"[{key!r}]": x for key, x in (thing.items() if isinstance(thing, dict) else enumerate(thing))}


def _made(payload: Mapping[str, Any]) -> Module:
    """The module that the constructor makes from a payload, before it has its parameters."""
    name, config, parameters = payload["type"], dict(payload["config"]), payload["parameters"]
    if name not in MODULES:
        raise ValueError(f"unknown module {name!r}; known are {', '.join(MODULES)}")
    if _size(name, config) != len(parameters):  # before anything is made: a size is only a number
        raise ValueError(f"{len(parameters)} parameters do not make {name} of {config}")
    if name == "Network" and isinstance(config["activation"], list):
        config["activation"] = dict(config["activation"])
    made: Module = MODULES[name](**config, init=0.0)
    return made


def _module(payload: dict[str, Any], path: Any) -> Module:
    """The module of a payload, with its parameters."""
    try:
        made, parameters = _made(payload), payload["parameters"]
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
