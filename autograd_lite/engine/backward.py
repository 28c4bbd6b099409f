"""The backward pass: g(operand) += g(node) * local gradient, from the root to the leaves.

`contributions` and `sweep` say it in full; `adjoints` is the same where all numbers are finite, and fast.
`backward` adds the result to the gradients of the leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from math import isfinite
from operator import add

from autograd_lite.engine import graph
from autograd_lite.engine.atomic import at_once, gradient_of
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.graph import MANY, Node
from autograd_lite.engine.modes import mode, notify_read, tracing


def contributions(nodes: Sequence[Node], adjoint: Mapping[Node, float]) -> Iterator[tuple[Node, int, Node, float]]:
    """What each node hands on to its operands: (node, slot, operand, adjoint * local gradient), from the root down.

    The product is that of `row.chain`, by which a zero adjoint and a branch that is not taken contribute 0.

    Args:
        nodes: in topological order.
        adjoint: the adjoint of every node, complete when its turn comes: whoever reads this adds up meanwhile.
    """
    for node in reversed(nodes):
        row = node._row
        if row is None:
            continue
        product, g = row.chain.value, adjoint[node]
        for slot, (x, d) in enumerate(zip(graph.raw_operands(node), node._local_grads, strict=True)):
            if type(x) is not float:
                yield node, slot, x, product(g, d)


def sweep(nodes: Sequence[Node], gradient: float = 1.0) -> dict[Node, float]:
    """The backward pass itself: g(operand) += g(node) * local gradient, over nodes in topological order, root last.

    `mode.on_adjoint`, if set, is called for each contribution that makes an adjoint non-finite, and `mode.on_sweep`
    with all adjoints at the end.
    """
    adjoint = dict.fromkeys(nodes, 0.0)
    adjoint[nodes[-1]] = gradient
    for node, slot, x, contribution in contributions(nodes, adjoint):
        before = adjoint[x]
        total = adjoint[x] = before + contribution
        if mode.on_adjoint is not None and isfinite(before) and not isfinite(total):
            mode.on_adjoint(node, slot, adjoint[node], total)
    if mode.on_sweep is not None:
        mode.on_sweep(adjoint)
    return adjoint


def adjoints(root: Node, gradient: float = 1.0) -> dict[Node, float]:
    """d(root)/d(f_i), times gradient, for every Value that root was computed from; nothing is changed.

    The special case of `sweep` in which all is finite, so that it may skip what only matters otherwise: it does not ask
    whether a node is a branch (0 times a finite adjoint is 0) and reports nothing. Operands are taken out of their
    slots in place. If anything turns out not to be finite, `sweep` does it all again.

    Args:
        root: the Value to start from.
        gradient: its own gradient.

    Returns:
        A dict in topological order, root last.
    """
    if tracing:
        notify_read(root, "a derivative in numbers")
    adjoint = graph.toposort_into({}, root)
    if mode.on_sweep is not None:
        return sweep(list(adjoint), gradient)
    adjoint[root] = gradient
    many, number = MANY, float  # locals are read faster than globals
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
        return sweep(list(adjoint), gradient)
    return adjoint


def backward(root: Node, gradient: float = 1.0) -> None:
    """Add d(root)/d(leaf) to the `.grad` of every leaf and set it on every interior node.

    Args:
        root: the Value to start from.
        gradient: its own gradient.

    Raises:
        TypeError: root is not a Value, or gradient is not a real number.

    Example:
        >>> x = ag.Value(3.0)
        >>> y = x * x
        >>> y.backward()
        >>> y.backward()
        >>> x.grad, y.grad
        (12.0, 1.0)
    """
    if not hasattr(root, "_da") and not hasattr(root, "_f"):
        raise TypeError(f"backward: expected a Value, got {describe(root)}")
    if tracing:
        notify_read(root, "backward()")
    adjoint = adjoints(root, as_float(gradient, "backward: gradient"))
    leaves = [node for node in adjoint if node._a is None]
    sums = map(add, map(gradient_of, leaves), map(adjoint.__getitem__, leaves))
    at_once(map(adjoint.__setitem__, leaves, sums), map(setattr, adjoint, repeat("_grad"), adjoint.values()))
