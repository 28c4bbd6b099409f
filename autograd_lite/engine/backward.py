"""The backward pass: g(operand) += g(node) * local gradient, from the root to the leaves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from math import isfinite
from operator import add

from autograd_lite.engine import graph
from autograd_lite.engine.atomic import at_once, gradient_of
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.graph import MANY, Node
from autograd_lite.engine.modes import mode, notify_read


def backward(root: Node, gradient: float = 1.0) -> None:
    """Add d(root)/d(leaf) to the `.grad` of every leaf and set it on every interior node.

    Args:
        root: the Value to start from.
        gradient: its own gradient.

    Raises:
        TypeError: root is no Node, or gradient is no real number.

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
    notify_read(root, "backward()")
    adjoint = adjoints(root, as_float(gradient, "backward: gradient"))
    leaves = [node for node in adjoint if node._a is None]
    sums = map(add, map(gradient_of, leaves), map(adjoint.__getitem__, leaves))
    at_once(map(adjoint.__setitem__, leaves, sums), map(setattr, adjoint, repeat("_grad"), adjoint.values()))


def adjoints(root: Node, gradient: float = 1.0) -> dict[Node, float]:
    """d(root)/d(f_i), times gradient, for every Value that root was computed from; nothing is changed.

    Args:
        root: the Value to start from.
        gradient: its own gradient.

    Returns:
        A dict in topological order, root last.
    """
    adjoint = graph.toposort_into({}, root)
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


def _careful_adjoints(nodes: Iterable[Node], root: Node, gradient: float) -> dict[Node, float]:
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
