"""Save and load modules, optimizer state and checkpoints as JSON; loading a file never runs code.

A file is one JSON object: format, version, kind, payload, and a checksum of the rest. Floats are written so that they
come back exactly. A file is accepted only if it is, byte for byte, what `save` writes for its contents, so any change
of it is noticed. Modules are rebuilt by their constructors, from the few names in MODULES; nothing in a file is ever
run or imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from math import inf, isfinite, nan
from typing import Any

from autograd_lite.atomic_write import check_regular, path_of, write_whole
from autograd_lite.engine.checks import describe
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.rules import Row, newest, row_called
from autograd_lite.engine.scopes import Scope
from autograd_lite.engine.value import Parameter
from autograd_lite.nn.activations import activation_name
from autograd_lite.nn.layers import MLP, Layer, Neuron
from autograd_lite.nn.module import Module
from autograd_lite.nn.network import Network
from autograd_lite.nn.perceptron import Perceptron
from autograd_lite.optim.optimizer import Optimizer

__all__ = ["load", "save"]  # for checkpoints also: check, read, write


FORMAT, VERSION = "autograd_lite", 1

MAX_DEPTH = 32  # of nesting: what we write has at most 8

MAX_DIGITS = 40  # of a whole number: a seed may be long

MAX_BYTES = 2**28  # of a file: some three million parameters

NOTHING = type(None)

PARTS: dict[str, dict[str, Any]] = {  # of each kind of payload, and their types; "told" are the settings of a training
    "module": {"type": (str,), "config": (dict,), "parameters": (dict,), "frozen": (list,)},
    "optimizer": {"rule": (str,), "lr": (float, int, NOTHING, list), "steps": (int,), "pieces": (list,)},
    "state": {},  # any names
    "checkpoint": {
        "seed": (int,), "told": (dict,), "model": (dict,), "optimizer": (dict,), "history": (list,),
        "best": (dict, NOTHING),
    },
}  # fmt: skip


def save(obj: Any, path: Any) -> None:
    """Write a module, the state of an optimizer, or a state dict to a file.

    The file is replaced in one step: whatever happens, the path holds the old file or the new one, whole. What `load`
    would refuse or return as something else is refused before that. Symbolic links are followed; mode and owner of
    the old file are kept.

    Args:
        obj: an MLP, Layer, Neuron, Perceptron or Network, which `load` returns as such; an Optimizer, for
            which it returns the `state_dict`; or a `state_dict()`, also of a user-defined module.
        path: a file name, or a file that is open for writing bytes, such as io.BytesIO(), to which it is added.

    Raises:
        TypeError: obj is none of these, or has a part that only code could describe, or a key that is not a string.
        ValueError: a number is NaN or infinite, or a module was changed after it was made, so that its constructor
            makes another: one more layer, another activation, shared weights.
        OSError: the file cannot be written, or is a device, a FIFO, a directory, or has several names (hard links).

    Example:
        >>> model = ag.MLP(2, [3, 1], seed=0)
        >>> ag.save(model, "model.json")
        >>> twin = ag.load("model.json")
        >>> twin, twin.state_dict() == model.state_dict()
        (MLP(2, [3, 1], activation='relu'), True)
    """
    if not hasattr(path, "write"):
        path_of(path, "save: path")
    if isinstance(obj, Optimizer):
        text, _ = _text("optimizer", obj.state_dict())
    elif isinstance(obj, Module):
        name = type(obj).__name__
        if type(obj) is not MODULES.get(name):
            raise TypeError(
                f"save: {name} is a user-defined module, and a file runs no code: save {name}.state_dict(), "
                "and give what load returns to the load_state_dict of a new one"
            )
        text = _module_text(obj)
    elif isinstance(obj, Mapping):
        text, _ = _text(_kind(obj), obj)
    else:
        raise TypeError(f"save: expected a module, an optimizer or a state_dict, got {describe(obj)}")
    if hasattr(path, "write"):
        path.write(text.encode("ascii"))
    else:
        write_whole(path, text.encode("ascii"), "save: path")


def load(path: Any) -> Any:
    """Read what `save` or a checkpoint of `fit` wrote.

    Args:
        path: a file name, a file that is open for reading bytes (read to its end), or the bytes themselves.

    Returns:
        The module; for an optimizer or a state dict, the dict for `load_state_dict`; for a checkpoint a dict whose
        "model" and "optimizer" are such dicts.

    Raises:
        ValueError: the file is damaged or was not written by `save`; the message says what is wrong with it.
        TypeError: the path is not a file name.
        OSError: it cannot be read, or is a device or a FIFO.

    Example:
        >>> optimizer = ag.optim.Adam([ag.Parameter(1.0)])
        >>> ag.save(optimizer, "adam.json")
        >>> optimizer.load_state_dict(ag.load("adam.json"))
    """
    kind, payload = _read(path, "load: path")
    return (
        _module(payload, path if isinstance(path, (str, os.PathLike)) else "the file") if kind == "module" else payload
    )


# --- the file -------------------------------------------------------------------------------------------------


def write(kind: str, payload: Mapping[str, Any], path: Any) -> None:
    """Write a payload of plain lists, dicts, numbers and strings; the file is replaced in one step."""
    write_whole(path, _text(kind, payload)[0].encode("ascii"), "fit: checkpoint")


def check(kind: str, payload: Mapping[str, Any]) -> None:
    """Refuse a payload that `write` would refuse."""
    _text(kind, payload)


def _text(kind: str, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The text of a file, and its payload as `load` will read it, which must be what was given."""
    content = _to_json(payload, kind)
    _check_plain(content)
    _check_parts(kind, content, "save")
    try:
        text = _document({"format": FORMAT, "version": VERSION, "kind": kind, "payload": content})
        _, back = _parsed(text.encode("ascii"), "the file")
    except ValueError as error:
        raise ValueError(f"save: load would refuse this, and nothing was written: {error}") from None
    found = _to_json(back, kind)
    for key, value in content.items():
        if key not in found or found[key] != value:
            raise ValueError(f"save: load would return {key!r} as something else, and nothing was written")
    return text, back


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


def _read(path: Any, what: str) -> tuple[str, dict[str, Any]]:
    if isinstance(path, (bytes, bytearray, memoryview)) and bytes(path[:1]) == b"{":  # not a name as bytes
        return _parsed(bytes(path), "the bytes")
    if hasattr(path, "read"):
        raw = path.read(MAX_BYTES + 1)
        if not isinstance(raw, bytes):
            raise TypeError(f"{what}: the file must be open for reading bytes, mode 'rb', it gave {describe(raw)}")
        return _parsed(raw, getattr(path, "name", "the file"))
    given = path_of(path, what)
    status = given.stat()
    check_regular(given, status, what)  # before it is opened, which waits for the other end of a FIFO
    with open(given, "rb") as file:
        return _parsed(file.read(min(status.st_size, MAX_BYTES) + 1), path)  # bounded, also if it grows meanwhile


def _parsed(raw: bytes, path: Any) -> tuple[str, dict[str, Any]]:
    """(kind, payload) of the bytes of a file; the path is for messages."""
    if not raw:
        raise ValueError(f"{path}: the file is empty")
    if len(raw) > MAX_BYTES:
        raise ValueError(f"{path}: the file has more than {MAX_BYTES >> 20} MB, the most that a file of ours may have")
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: the file is damaged or not one of ours: it is not plain text") from None
    depth = _depth(text)
    if depth > MAX_DEPTH:
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
    payload = _from_json(payload, kind, path)
    _check_parts(kind, payload, path)
    return kind, payload


def _depth(text: str) -> int:
    """How deep brackets nest, looking no further than needed to refuse: the parser would recurse."""
    # Strings may hold brackets. Escaped backslashes go first, then escaped quotes, so that a string is what stands
    # between two quotes (the second may be missing); one expression for all of it needs a hundred times the memory.
    outside = re.sub(r'"[^"]*"?', "", text.replace(r"\\", "").replace(r"\"", ""))
    depth = deepest = 0
    for bracket in re.finditer(r"[\[\]{}]", outside):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > deepest:
            deepest = depth
            if deepest > MAX_DEPTH:
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
    raise ValueError(f"JSON has no {word}")


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:20]} is too large for a float")
    return value


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


# Only a history may hold NaN and infinities, the losses of a training that diverged; they are written as strings.
_NONFINITE = {"nan": nan, "inf": inf, "-inf": -inf}


def _to_json(payload: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A payload with the numbers of a history as JSON can hold them."""
    found = dict(payload)
    if kind == "checkpoint":
        found["history"] = [_mapped(row, lambda x: x if isfinite(x) else repr(float(x))) for row in payload["history"]]
    return found


def _from_json(payload: dict[str, Any], kind: str, path: Any) -> dict[str, Any]:
    """A payload with the numbers of a history as floats again."""
    if kind == "checkpoint" and isinstance(payload.get("history"), list):
        try:
            rows = [
                _mapped(row, lambda x: x if type(x) in (int, float) else _NONFINITE[x]) for row in payload["history"]
            ]
        except (AttributeError, KeyError, TypeError):
            raise ValueError(f"{path}: its part 'history' is not a list of rows of numbers") from None
        payload["history"] = rows
    return payload


def _mapped(row: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """A row of a history (numbers, and dicts of numbers) with each number changed."""
    return {
        key: {k: change(v) for k, v in value.items()} if isinstance(value, dict) else change(value)
        for key, value in row.items()
    }


def _check_plain(payload: Any) -> None:
    """Refuse what JSON cannot hold; the message has its name."""
    stack: list[tuple[str, Any, int]] = [("the state", payload, 2)]  # the payload is two levels deep in the file
    while stack:
        name, thing, depth = stack.pop()
        if isinstance(thing, (dict, list)):
            if depth > MAX_DEPTH:
                raise ValueError(f"save: {name} is nested more than {MAX_DEPTH} deep; nothing was written")
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


def _payload_of(module: Any) -> dict[str, Any]:
    """The payload of a module: what its constructor takes, and its parameters."""
    name, parameters = type(module).__name__, dict(module.named_parameters())
    config = CONFIGS[name](module)
    if primitives := _user_primitives(module):
        config["primitives"] = primitives
    return {
        "type": name,
        "config": config,
        "parameters": {key: number_of(p) for key, p in parameters.items()},
        "frozen": [key for key, p in parameters.items() if p.frozen],
    }


def _user_primitives(module: Module) -> dict[str, str]:
    """The user-defined primitives that a module calls: their names and the digests of their definitions."""
    found: dict[str, str] = {}
    stack: list[Any] = [module]
    seen: dict[int, Any] = {}  # a module may hold itself
    while stack:
        thing = stack.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, (Module, dict, list, tuple)):
            stack.extend(_parts(thing).values())
        elif isinstance(row := getattr(thing, "row", None), Row):
            found[row.name] = row.digest
    return dict(sorted(found.items()))


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
    """The text of a module's file; ValueError if its constructor, of which it holds the arguments, makes another."""
    try:
        payload = _payload_of(module)
    except (AttributeError, IndexError) as error:  # without layers, or with something else in place of one
        raise _changed(module, error) from None
    text, payload = _text("module", payload)
    try:
        rebuilt = _rebuilt(payload)
    except ValueError as error:
        raise _changed(module, error) from None
    if change := _first_difference(module, rebuilt):
        raise _changed(module, f"{change} in {rebuilt!r}")
    return text


def _changed(module: Module, what: Any) -> ValueError:
    name = type(module).__name__
    return ValueError(
        f"save: this {name} was changed after it was made, and load would not give it back: {what}; "
        "save its state_dict(), and give what load returns to the load_state_dict of one changed in the same way"
    )


def _first_difference(module: Module, rebuilt: Module) -> str:
    """Where a module differs from what its constructor makes, apart from numbers: in words, or empty.

    Without this, a module changed by hand (a layer replaced, weights tied, an activation set) would be saved without a
    word and load as another.
    """
    names = {id(p): name for name, p in module.named_parameters()}
    stack: list[tuple[str, Any, Any]] = [("", module, rebuilt)]
    while stack:
        name, a, b = stack.pop()
        inner: list[tuple[str, Any, Any]] = []
        if isinstance(b, Parameter):  # of this very name: a weight that is tied to another has the other's
            same = type(a) is Parameter and names.get(id(a)) == name
        elif isinstance(b, (Module, dict, list, tuple)):
            same = type(a) is type(b)
            parts, wanted = _parts(a) if same else {}, _parts(b)
            same &= isinstance(b, Module) or list(parts) == list(wanted)  # a module may have more attributes: a note
            inner = [((name + key).removeprefix("."), parts.get(key), x) for key, x in wanted.items()]
        elif isinstance(b, Scope):  # a frame of pictures: nothing of the model
            same = True
        elif callable(b):  # what computes an activation: made anew by each constructor, from the same code
            row = getattr(b, "row", None)  # of a user-defined primitive; all of them share their code
            same = (
                a == row.name
                if row is not None and isinstance(a, str)
                else (
                    callable(a)
                    and getattr(a, "__code__", a) == getattr(b, "__code__", b)
                    and getattr(a, "row", None) is row
                )
            )
        else:
            same = (activation_name(a) if callable(a) else a) == b
        if not same:
            other = names.get(id(a), name)
            return f"{name} is {describe(a) if other == name else other}, and {describe(b)}"
        stack.extend(reversed(inner))
    return ""


def _parts(thing: Any) -> dict[str, Any]:
    """The parts of a module or a container, by what each adds to a name: `.layers`, `[0]`."""
    if isinstance(thing, Module):
        return {f".{key}": x for key, x in vars(thing).items()}
    return {f"[{key!r}]": x for key, x in (thing.items() if isinstance(thing, dict) else enumerate(thing))}


def _rebuilt(payload: Mapping[str, Any]) -> Module:
    """The module that its constructor makes from a payload, before it gets its parameters."""
    name, config, parameters = payload["type"], dict(payload["config"]), payload["parameters"]
    if name not in MODULES:
        raise ValueError(f"unknown module {name!r}; known are {', '.join(MODULES)}")
    if _size(name, config) != len(parameters):  # first: a file of a few bytes could ask for 10**18 neurons
        raise ValueError(f"{len(parameters)} parameters do not make {name} of {config}")
    if name == "Network" and isinstance(config["activation"], list):
        config["activation"] = dict(config["activation"])
    primitives = config.pop("primitives", {})
    if not isinstance(primitives, dict):
        raise ValueError(f"its primitives are {describe(primitives)}")
    for primitive, digest in primitives.items():
        row = row_called(primitive, str(digest))  # refused where it is missing, or defined differently
        if row is not newest(primitive):
            config = {key: _with_row(x, row) for key, x in config.items()}
    module: Module = MODULES[name](**config, init=0.0)
    return module


def _with_row(activation: Any, row: Row) -> Any:
    """An activation of a configuration with the function of an earlier definition in place of its name."""
    if isinstance(activation, dict):
        return {key: _with_row(x, row) for key, x in activation.items()}
    return row.function if activation == row.name else activation


def _module(payload: dict[str, Any], path: Any) -> Module:
    """The module of a payload, with its parameters."""
    try:
        module = _rebuilt(payload)
        module.load_state_dict(payload["parameters"])
        by_name = dict(module.named_parameters())
        for key in payload["frozen"]:
            by_name[key].frozen = True
        found = _payload_of(module)
        if "primitives" not in payload["config"]:  # a file from before they were written
            found["config"].pop("primitives", None)
        if json.dumps(found) != json.dumps(payload):  # additional parts, or numbers of another type
            raise ValueError(f"it does not hold exactly what {module!r} has")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: the file does not describe a module of ours: {error}") from error
    return module


def _size(name: str, config: Mapping[str, Any]) -> int:
    """How many parameters a module of this configuration has."""
    if name == "Network":
        entered = {j for _, j in config["edges"]}
        return len(config["edges"]) + (len(entered) if config["bias"] else 0)
    sizes = [config["n_in"], *config.get("n_outs", [config.get("n_out", 1)])]
    return sum((a + 1) * b for a, b in pairwise(sizes))
