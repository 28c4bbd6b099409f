"""Derivatives of a graph: the backward pass, as numbers or as a graph.

The reverse sweep goes through the nodes from the root to the leaves in topological order and hands
each adjoint on, g(operand) += g(node) * local gradient. With `create_graph` the same sweep is done
in Values, with each row's partials evaluated anew, so that a gradient can be differentiated again.
Forward mode goes the other way over the same nodes, from the leaves up, with the tangents beside them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, repeat
from math import isfinite
from operator import add
from typing import Any

from autograd_lite import functions, graph
from autograd_lite.graph import MANY
from autograd_lite.rows import TABLE, Row
from autograd_lite.value import Value, listed, look_at, mode, plain, record, shown

_GRAD = repeat("_grad")  # setattr with it is faster than the slot's own __set__
_get_grad, _set_grad = vars(Value)["_grad"].__get__, vars(Value)["_grad"].__set__


def backward(root: Value, gradient: float = 1.0) -> None:
    """Add d(root)/d(leaf) to the `.grad` of every leaf and set it on every interior node.

    Args:
        root: the Value to start from.
        gradient: its own gradient.

    Raises:
        TypeError: root is no Value, or gradient is no real number.

    Example:
        >>> x = ag.Value(3.0)
        >>> y = x * x
        >>> y.backward()
        >>> y.backward()
        >>> x.grad, y.grad
        (12.0, 1.0)
    """
    if not isinstance(root, Value):
        raise TypeError(f"backward: expected a Value, got {shown(root)}")
    look_at(root, "backward()")
    adjoint = adjoints(root, plain(gradient, "backward: gradient"))
    leaves = [node for node in adjoint if node._a is None]
    # One call that runs no bytecode: no interrupt and no other thread comes between reading a leaf's
    # gradient and writing the sum, nor between one node and the next.
    sums = map(add, map(_get_grad, leaves), map(adjoint.__getitem__, leaves))
    deque(chain(map(adjoint.__setitem__, leaves, sums), map(setattr, adjoint, _GRAD, adjoint.values())), maxlen=0)


def add_gradients(leaves: Sequence[Value], gradient: Sequence[float]) -> None:
    """Add numbers to the `.grad` of leaves, all of them or none; in one call that runs no bytecode, as above."""
    deque(map(_set_grad, leaves, map(add, map(_get_grad, leaves), gradient)), maxlen=0)


def adjoints(root: Value, gradient: float = 1.0) -> dict[Value, float]:
    """d(root)/d(f_i), times gradient, for every Value that root was computed from; nothing is changed.

    Args:
        root: the Value to start from.
        gradient: its own gradient.

    Returns:
        A dict in topological order, root last.
    """
    adjoint = graph.reach({}, root)
    adjoint[root] = gradient
    many, number = MANY, float  # locals are read faster
    for node, g in reversed(adjoint.items()):  # an entry is complete when its turn comes: all users stand behind it
        a = node._a
        if a is None or g == 0.0:  # an adjoint of 0 contributes nothing: behind a relu that is off, half of a graph
            continue
        b = node._b
        if b is None:
            adjoint[a] += g * node._da
        elif b is many:
            for x, d in zip(a, node._da):  # noqa: B905
                if type(x) is not number:
                    adjoint[x] += g * d
        else:
            if type(a) is not number:
                adjoint[a] += g * node._da
            if type(b) is not number:
                adjoint[b] += g * node._db
    if not isfinite(sum(adjoint.values())):
        return _careful_adjoints(adjoint, root, gradient)
    return adjoint


def _careful_adjoints(nodes: Iterable[Value], root: Value, gradient: float) -> dict[Value, float]:
    """The same sweep where something is not finite: a branch that is not taken contributes nothing.

    An adjoint of exactly 0 contributes 0 whatever the local gradient (not 0 * inf), and an operand that
    a choice passed over gets 0 whatever the adjoint. Whoever listens (`mode.on_adjoint`) is told of each sum
    that turns non-finite.
    """
    adjoint = dict.fromkeys(nodes, 0.0)
    adjoint[root] = gradient
    for node in reversed(adjoint):
        if node._row is None:
            continue
        g, branch = adjoint[node], node._row.branch
        for slot, (x, d) in enumerate(zip(graph.raw_operands(node), node._local_grads, strict=True)):
            if type(x) is not float:
                nothing = g == 0.0 or (branch and d == 0.0)
                before = adjoint[x]
                total = adjoint[x] = before + (0.0 if nothing else g * d)
                if mode.on_adjoint is not None and isfinite(before) and not isfinite(total):
                    mode.on_adjoint(node, slot, g, total)
    return adjoint


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
        TypeError: y or an x is no Value.
        RuntimeError: with create_graph, if the data of a leaf has changed since the graph was built.

    Example:
        >>> x = ag.Value(2.0)
        >>> y = x ** 3
        >>> dy = ag.gradients(y, x, create_graph=True)
        >>> dy.item(), ag.gradients(dy, x)
        (12.0, 12.0)
    """
    single = isinstance(xs, Value)
    wanted = [xs] if single else listed(xs, "gradients", "xs", "expected a Value or a sequence of Values")
    if not isinstance(y, Value):
        raise TypeError(f"gradients: y must be a Value, got {shown(y)}")
    if create_graph:
        found = [_own(g) for g in graph_adjoints(y, wanted)]
        return found[0] if single else found
    look_at(y, "gradients(create_graph=False)")
    adjoint = adjoints(y)
    numbers = [adjoint.get(x, 0.0) for x in wanted]
    return numbers[0] if single else numbers


def _own(g: Any) -> Value:
    """A derivative as a Value of its own: not a leaf of the graph, which naming or setting it would change."""
    if not isinstance(g, Value):
        return Value(g)
    return g if g._row is not None else g * 1.0


def graph_adjoints(root: Value, wanted: Sequence[Value], fresh: Collection[Value] = ()) -> list[Any]:
    """The adjoints of the wanted Values as Values (floats where they are constant).

    Args:
        root: the Value to differentiate.
        wanted: the Values to differentiate it in.
        fresh: leaves that cannot have changed since the graph was built, which saves a look at their users.
    """
    nodes = graph.order(root)
    _refuse_stale(nodes, fresh)
    needed = set(wanted)  # and whatever leads to one of them
    for node in nodes:
        if any(x in needed for x in graph.raw_operands(node) if type(x) is not float):
            needed.add(node)
    parts: dict[Value, list[Any]] = {root: [1.0]}
    adjoint: dict[Value, Any] = {}
    for node in reversed(nodes):
        if node not in needed or node not in parts:
            continue
        adjoint[node] = g = _total(parts.pop(node))
        row = node._row
        if row is None:
            continue
        operands = graph.raw_operands(node)
        slots = [i for i, x in enumerate(operands) if type(x) is not float and x in needed]
        for i, d in zip(slots, _partials(row, operands, node, slots), strict=True):
            if type(d) is float and d == 0.0 and (row.branch or isfinite(g if type(g) is float else g._f)):
                continue  # 0 for every input, not only here; but an infinite slope times 0 is NaN, as in numbers
            parts.setdefault(operands[i], []).append(_product(g, d, row.branch))
    return [adjoint.get(x, 0.0) for x in wanted]


def _product(first: Any, second: Any, branch: bool) -> Any:
    """first * second, and 0 where the first is 0, whatever the second; for a branch the other way round too."""
    row = TABLE["_masked" if branch else "_chain"]
    if type(first) is float and type(second) is float:
        return row.value(first, second)
    for factor, other in ((first, second), (second, first)):
        if type(factor) is float and factor == 1.0:
            return other
        if type(factor) is float and factor == -1.0:
            return -other
    return record(row, (first, second))


def _total(parts: list[Any]) -> Any:
    """The sum of the contributions to an adjoint."""
    return parts[0] if len(parts) == 1 else parts[0] + parts[1] if len(parts) == 2 else functions.sum(parts)


def _partials(row: Row, operands: Sequence[Any], node: Value, slots: Sequence[int]) -> list[Any]:
    """A row's local derivatives in some of its operands, as Values."""
    if row.flat:  # constant; where the result is NaN it stands for the NaN, so that the next order has it too
        return [node if d != d else d for d in map(node._local_grads.__getitem__, slots)]
    if not isinstance(row.partials, str):
        found = row.partials(*operands, node)
        return [found[i] for i in slots]
    if row.variadic:
        found = _rule(row, 0)(operands, node)
        return [found[i] for i in slots]
    return [_rule(row, i)(*operands, node) for i in slots]


def _rule(row: Row, slot: int) -> Callable[..., Any]:
    """The function of the operands and `out` that gives one partial; compiled once for each row."""
    if slot not in row.rules:
        row.rules[slot] = functions.on_values(row.partial_texts()[slot], *row.operands, "out")
    return row.rules[slot]


def _refuse_stale(nodes: Iterable[Value], fresh: Collection[Value] = ()) -> None:
    """Derivatives that are graphs evaluate the operands anew: refuse if a leaf is not what it was."""
    for node in nodes:
        operands = graph.raw_operands(node)
        leaves = [x for x in operands if type(x) is not float and x._row is None and x not in fresh]
        if node._row is None or not leaves:
            continue
        numbers = [x if type(x) is float else x._f for x in operands]
        value, local = node._row.evaluate(numbers) if node._row.variadic else node._row.evaluate(*numbers)
        if repr((value, tuple(local))) != repr((node._f, node._local_grads)):
            raise RuntimeError(
                f"gradients(create_graph=True): the data of an operand of {node!r} has changed since "
                f"it was computed (leaves: {', '.join(map(repr, leaves))}); compute the expression again"
            )


# --- forward mode ------------------------------------------------------------------------------------


def tangents(roots: Sequence[Value], seeds: dict[Value, float]) -> dict[Value, float]:
    """Directional derivatives of the Values that roots were computed from, by one walk from the leaves up.

    t(node) = sum over the operand slots of local gradient * t(operand)

    A local gradient of exactly 0 contributes 0 whatever the tangent (never 0 * inf): the mirror of what the
    backward pass does with an adjoint of 0. Where a root's tangent still is not finite, the backward pass
    decides, so that both modes give the same.

    Args:
        roots: the Values whose derivatives are asked for.
        seeds: the tangents to start from, by Value; 0 for every other leaf.

    Returns:
        The tangent of every node that depends on a seed; what is missing has tangent 0.

    Example:
        >>> from autograd_lite.diff import tangents
        >>> x, y = ag.Value(3.0), ag.Value(5.0)
        >>> z = x * y
        >>> tangents([z], {x: 1.0, y: 10.0})[z]
        35.0
    """
    nodes = graph.order(*roots)
    tangent: dict[Any, float] = dict(seeds)
    get = tangent.get
    for node in nodes:
        a = node._a
        if a is None or node in seeds:
            continue
        b = node._b
        if b is None:
            t = get(a)
            if t is not None:
                tangent[node] = node._da * t
        elif b is MANY:
            parts = [d * t for x, d in zip(a, node._da, strict=True) if (t := get(x)) is not None]
            if parts:
                tangent[node] = sum(parts)
        else:
            t, s = get(a), get(b)
            if t is not None:
                tangent[node] = node._da * t if s is None else node._da * t + node._db * s
            elif s is not None:
                tangent[node] = node._db * s
    if not isfinite(sum(get(root, 0.0) for root in roots)):
        return _careful_tangents(nodes, roots, seeds)
    return tangent


def _careful_tangents(nodes: Sequence[Value], roots: Sequence[Value], seeds: dict[Value, float]) -> dict[Value, float]:
    """The same walk where something is not finite."""
    tangent = dict(seeds)
    for node in nodes:
        if node._row is None or node in seeds:
            continue
        slots = zip(graph.raw_operands(node), node._local_grads, strict=True)
        parts = [0.0 if d == 0.0 else d * tangent[x] for x, d in slots if type(x) is not float and x in tangent]
        if parts:
            tangent[node] = sum(parts)
    for root in roots:
        if not isfinite(tangent.get(root, 0.0)):
            adjoint = adjoints(root)
            tangent[root] = sum(g * t for x, t in seeds.items() if (g := adjoint.get(x, 0.0)))
    return tangent


def graph_tangents(roots: Sequence[Value], seeds: dict[Value, Any]) -> dict[Value, Any]:
    """`tangents` as Values (floats where they are constant), which can be differentiated again.

    Where any tangent on the way is not finite the backward pass decides, not only where a root's is: a factor of 0
    would hide a NaN here, and the next derivative would find it.

    Args:
        roots: the Values whose derivatives are asked for.
        seeds: the tangents to start from, floats or Values, by Value.

    Returns:
        The tangent of every node that depends on a seed; what is missing has tangent 0 for every input.
    """
    nodes = graph.order(*roots)
    _refuse_stale(nodes, seeds)
    tangent = dict(seeds)
    finite = True
    for node in nodes:
        row = node._row
        if row is None or node in seeds:
            continue
        operands = graph.raw_operands(node)
        slots = [i for i, x in enumerate(operands) if type(x) is not float and x in tangent]
        if not slots:
            continue
        partials = _partials(row, operands, node, slots)
        used = [(i, d) for i, d in zip(slots, partials, strict=True) if not (type(d) is float and d == 0.0)]
        if used:
            t = tangent[node] = _total([_product(d, tangent[operands[i]], row.branch) for i, d in used])
            finite = finite and isfinite(t._f if isinstance(t, Value) else t)
    if not finite:
        for root in roots:
            adjoint = graph_adjoints(root, list(seeds), seeds)
            tangent[root] = functions.sum(_product(g, t, False) for g, t in zip(adjoint, seeds.values(), strict=True))
    return tangent
