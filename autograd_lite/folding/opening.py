"""Calls of compiled functions in a graph, opened: the scalars that each of them stands for, in a frame of its name."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from autograd_lite.engine import functions, graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.modes import changed_mode
from autograd_lite.engine.scopes import scope
from autograd_lite.engine.trees import flatten, unflatten
from autograd_lite.engine.value import Value, record
from autograd_lite.folding.forms import Call, results

Array = Any


def inlined(compiled: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """What a compiled function gives of Values, in scalars; of a batch the means."""
    with scope(name_of(compiled)):
        if not compiled._takes.batched:
            return compiled._called(args, options)
        args, options = compiled._takes.by_position(args, options)
        call = compiled._takes.call(*without_values(args, options))
        call = Call(call.forms, call.names, _objects(call, [*args, *options.values()]), call.key, call.rows, True)
        layout, found = call.layout(), []
        for row in range(call.rows or 1):
            given, named, _, _ = layout.values(call.example(row), _as_value)
            roots, form = results(compiled._called(given, named))
            found.append(roots)
        return unflatten(form, [functions.mean(some) for some in zip(*found, strict=True)])


def _objects(call: Call, given: Sequence[Any]) -> list[Array]:
    """The arrays of a call with the Values in place of their numbers."""
    arrays, rest = [], iter(call.arrays)
    for form, x in zip(call.forms, given, strict=True):
        leaves = flatten(x, "")[0] if form.parts else []
        start = 0
        for part in form.parts:
            array = next(rest)
            some = np.empty(array.size, object)
            some[:] = leaves[start : start + array.size]
            start += array.size
            if part.axis:  # as it came
                shape = list(array.shape[1:])
                shape.insert(part.axis, len(array))
                arrays.append(np.moveaxis(some.reshape(shape), part.axis, 0))
            else:
                arrays.append(some.reshape(array.shape))
    return arrays


def _as_value(x: Any) -> Value:
    return x if isinstance(x, Value) else Value(x)


def without_values(args: Sequence[Any], options: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments with the numbers of the Values in them."""
    return [_numeric(x) for x in args], {name: _numeric(x) for name, x in options.items()}


def _numeric(x: Any) -> Any:
    if isinstance(x, Value):
        return x._f
    if not any(isinstance(leaf, Value) for leaf in flatten(x, "", keep=True)[0]):
        return x
    leaves, form = flatten(x, "the arguments")
    return unflatten(form, [leaf._f if isinstance(leaf, Value) else leaf for leaf in leaves])


_row = attrgetter("_row")


def name_of(compiled: Any) -> str:
    """What a frame or a box says of a compiled function."""
    name = getattr(compiled._f, "__name__", None) or type(compiled._f).__name__
    return "compiled" if name == "<lambda>" else name


def opened(roots: Sequence[Value], nodes: Sequence[Value] | None = None) -> tuple[list[Value], Sequence[Value]]:
    """The same graph with every call of a compiled function as its scalars; the graph itself where there is none.

    What was computed from a call is recorded anew. Leaves are the same ones, and so is all that no call is below.

    Args:
        roots: those of the graph.
        nodes: `graph.toposort` of them, from a caller who has it.

    Returns:
        (its roots, `graph.toposort` of them).
    """
    found = list(roots)
    while True:
        order = graph.toposort(*found) if nodes is None else nodes
        nodes = None
        if not any(hasattr(x, "applied") for x in set(map(_row, order))):
            return found, order
        made: dict[Any, Any] = {}
        parts: dict[int, list[Value]] = {}
        for node in order:
            row: Any = node._row
            if row is None:
                made[node] = node
            elif hasattr(row, "applied"):
                call = row.applied
                if id(call) not in parts:
                    with changed_mode(scope=node.scope):
                        parts[id(call)] = call.scalars([made.get(x, x) for x in graph.raw_operands(node)])
                made[node] = parts[id(call)][row.result_number]
            else:
                operands = graph.raw_operands(node)
                mapped = tuple(x if type(x) is float else made[x] for x in operands)
                if all(x is y for x, y in zip(operands, mapped, strict=True)):
                    made[node] = node
                else:
                    with changed_mode(recording=True):
                        made[node] = _like(node, record(row, mapped))
        found = [made[root] for root in found]


def opened_with_gradients(root: Value) -> Value:
    """`opened` of one root; where a backward pass has been there, each new Value has its gradient too."""
    (found,), _ = opened([root])
    if hasattr(root, "_grad"):
        for node, g in adjoints(found, root._grad).items():
            if node._row is not None:
                node._grad = g
    return found


def _like(node: Value, new: Value) -> Value:
    """A node recorded anew, with what else is known about the one that it stands for."""
    for slot in ("_grad", "_name", "_scope"):
        if hasattr(node, slot):
            setattr(new, slot, getattr(node, slot))
    return new
