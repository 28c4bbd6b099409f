"""Reverse mode: the derivatives of one Value, as numbers or as a graph that can be differentiated again.

In numbers it is the backward pass of engine/backward.py. As a graph the same sweep, g(operand) += g(node) * local
gradient from the root to the leaves, is done in Values, with each row's partials evaluated anew on the operands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from math import isfinite
from typing import Any, Literal, overload

from autograd_lite.engine import functions, graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import describe
from autograd_lite.engine.modes import mode, notify_read, tracing
from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.engine.value import Value, as_values, record


@overload
def gradients(y: Value, xs: Value, create_graph: Literal[False] = False) -> float: ...
@overload
def gradients(y: Value, xs: Value, create_graph: Literal[True]) -> Value: ...
@overload
def gradients(y: Value, xs: Iterable[Value], create_graph: Literal[False] = False) -> list[float]: ...
@overload
def gradients(y: Value, xs: Iterable[Value], create_graph: Literal[True]) -> list[Value]: ...
@overload
def gradients(y: Value, xs: Any, create_graph: bool = False) -> Any: ...
def gradients(y: Value, xs: Any, create_graph: bool = False) -> Any:
    """The derivatives of one Value in others, as numbers or as Values; no `.grad` is touched.

    Args:
        y: the Value to differentiate.
        xs: a Value of its graph, leaf or not, or a sequence of them.
        create_graph: return Values, which can be differentiated again.

    Returns:
        A list with dy/dx for each x, or for a single x the derivative itself: floats, or Values
        with create_graph. It is 0 for an x that y does not depend on.

    Raises:
        TypeError: y or an x is not a Value.
        RuntimeError: with create_graph, if the data of a leaf has changed since the graph was built.

    Example:
        >>> x = ag.Value(2.0)
        >>> y = x ** 3
        >>> dy = ag.gradients(y, x, create_graph=True)
        >>> dy.item(), ag.gradients(dy, x)
        (12.0, 12.0)
    """
    single = isinstance(xs, Value)
    wanted = [xs] if single else as_values(xs, "gradients", "xs", "expected a Value or a sequence of Values")
    if not isinstance(y, Value):
        raise TypeError(f"gradients: y must be a Value, got {describe(y)}")
    if create_graph:
        found = [_apart(g) for g in adjoint_graph(y, wanted)]
        return found[0] if single else found
    if tracing:
        notify_read(y, "gradients(create_graph=False)")
    adjoint = adjoints(y)
    numbers = [adjoint.get(x, 0.0) for x in wanted]
    return numbers[0] if single else numbers


def _apart(g: Any) -> Value:
    """A derivative as a new Value. d(w * x)/dw is x itself: naming or setting the answer would change the graph."""
    if not isinstance(g, Value):
        return Value(g)
    return g if g._row is not None else g * 1.0


def adjoint_graph(root: Value, wanted: Sequence[Value], fresh: Collection[Value] = ()) -> list[Any]:
    """The adjoints of the wanted Values as Values (floats where they are constant).

    Args:
        root: the Value to differentiate.
        wanted: the Values to differentiate it in.
        fresh: leaves that cannot have changed since the graph was built; their users need not be checked.
    """
    nodes = graph.toposort(root)
    refuse_stale(nodes, fresh)
    needed = set(wanted)  # and what leads to one: the partials of all other nodes would be built for nothing
    for node in nodes:
        if any(x in needed for x in graph.raw_operands(node) if type(x) is not float):
            needed.add(node)
    # contributions are kept apart until all are there: one sum of them, and not a chain of additions
    parts: dict[Value, list[Any]] = {root: [1.0]}
    adjoint: dict[Value, Any] = {}
    for node in reversed(nodes):
        if node not in needed or node not in parts:
            continue
        adjoint[node] = g = accumulate(parts.pop(node))
        row = node._row
        if row is None:
            continue
        operands = graph.raw_operands(node)
        slots = [i for i, x in enumerate(operands) if type(x) is not float and x in needed]
        for i, d in zip(slots, local_gradients(row, operands, node, slots), strict=True):
            if type(d) is float and d == 0.0 and (row.branch or _finite(g)):
                continue  # 0 for every input, not only here; but an infinite slope times 0 is NaN, as in numbers
            parts.setdefault(operands[i], []).append(chain_product(row.chain, g, d))
    return [lasting(adjoint.get(x, 0.0), x) for x in wanted]


def lasting(g: Any, x: Value) -> Any:
    """A derivative in x. A NaN among them stays NaN at every higher order: 1 / abs(x) at 0 has NaN (0 * inf), whose own
    derivative is found through the constant slope of abs, and would be 0."""
    number = graph.data_of(g)
    if number == number and (type(g) is float or not is_traced()):
        return g
    return record(TABLE["_lasting"], (g, x))


def _finite(g: Any) -> bool:
    """Whether an adjoint is finite, and stays so."""
    return (type(g) is float and isfinite(g)) or (not is_traced() and isfinite(graph.data_of(g)))


def is_traced() -> bool:
    """Whether numbers are those of a trace: at the next call they may be infinite or NaN."""
    return bool(tracing) and mode.tracer is not None


def chain_product(row: Row, first: Any, second: Any) -> Any:
    """first * second by the rule for zeros that a row's `chain` is, on Values and floats."""
    if type(first) is float and type(second) is float:
        return row.value(first, second)
    # 1 * x is x: without this the gradient of a sum would be longer than the sum
    for factor, other in ((first, second), (second, first)):
        if type(factor) is float and factor == 1.0:
            return other
        if type(factor) is float and factor == -1.0:
            return -other
    return record(row, (first, second))


def accumulate(parts: list[Any]) -> Any:
    """The sum of the contributions to an adjoint."""
    return parts[0] if len(parts) == 1 else parts[0] + parts[1] if len(parts) == 2 else functions.sum(parts)


def local_gradients(row: Row, operands: Sequence[Any], node: Value, slots: Sequence[int]) -> list[Any]:
    """A row's local derivatives in some of its operands, as Values."""
    if row.zero_gradient:  # constant; where the result is NaN it stands for the NaN, so that the next order has it too
        if is_traced():  # it may be NaN in the trace and not at a call, or the other way round
            return [functions.where(functions.equal(node, node), 0.0, node)] * len(slots)
        return [node if d != d else d for d in map(node._local_grads.__getitem__, slots)]
    if not isinstance(row.partials, str):
        found = row.partials(*operands, node)
        return [found[i] for i in slots]
    if row.variadic:
        found = _rule(row, 0)(operands, node)
        return [found[i] for i in slots]
    return [_rule(row, i)(*operands, node) for i in slots]


def _rule(row: Row, slot: int) -> Callable[..., Any]:
    """The function of the operands and `out` that gives one partial; made once for each row."""
    if slot not in row.rules:
        row.rules[slot] = functions.on_values(row.partial_texts()[slot], *row.operands, "out")
    return row.rules[slot]


def refuse_stale(nodes: Iterable[Value], fresh: Collection[Value] = ()) -> None:
    """Refuse if the data of a leaf has changed: a derivative as a graph would mix the old operands with the new."""
    for node in nodes:
        if graph.is_stale(node, fresh):
            leaves = [x for x in graph.raw_operands(node) if type(x) is not float and x._row is None and x not in fresh]
            raise RuntimeError(
                f"gradients(create_graph=True): the data of an operand of {node!r} has changed since "
                f"it was computed (leaves: {', '.join(map(repr, leaves))}); compute the expression again"
            )
