"""Graphs as graphs: topological order and the fields of a node that a walk reads.

No mathematics here, and no import from the package: a node is anything with a number `_f`, a row
`_row` (None for a leaf), and the slots `_a` and `_b`, which hold its operands in one of four forms:

    _a is None              a leaf
    _b is None              one operand, _a
    _b is MANY              any number of operands, in the tuple _a
    otherwise               two operands, _a and _b

An operand that is a plain float is a constant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice, repeat
from math import copysign
from typing import Any

MANY = "many"
"""What `_b` holds when `_a` is a tuple of operands."""


Node = Any


def raw_operands(node: Node) -> tuple[Any, ...]:
    """The operands of a node in order, nodes and bare floats, one for each slot."""
    a, b = node._a, node._b
    if a is None:
        return ()
    if b is None:
        return (a,)
    return a if b is MANY else (a, b)


def data_of(x: Node) -> float:
    """The number of an operand: that of a node, or the bare float itself."""
    return x if type(x) is float else x._f


def evaluate(node: Node, numbers: Mapping[Node, float]) -> float:
    """The result of a node where its operands have other numbers; nothing is changed.

    Args:
        node: a node that is not a leaf.
        numbers: the number of each operand that is a node.
    """
    xs = [x if type(x) is float else numbers[x] for x in raw_operands(node)]
    return node._row.result(xs)  # type: ignore[no-any-return]


def is_stale(node: Node, fresh: Collection[Node] = ()) -> bool:
    """Whether a leaf among the operands has been changed since, so that the node would be another one now.

    The first stale node of a topological order is found by this: before it no result can have changed.

    Args:
        node: any node; a leaf is never stale.
        fresh: leaves that cannot have changed, which saves a look at their users.
    """
    operands = raw_operands(node)
    if not any(type(x) is not float and x._row is None and x not in fresh for x in operands):
        return False
    out, local = node._row.evaluate([data_of(x) for x in operands])
    now, then = (out, *local), (node._f, *node._local_grads)
    if now == then:
        return _signs(now) != _signs(then)  # 0.0 is equal to -0.0
    return repr(now) != repr(then)  # as text, which is slow: NaN is not equal to NaN


def _signs(xs: Iterable[float]) -> list[float]:
    return list(map(copysign, repeat(1.0), xs))


def toposort(*roots: Node, done: dict[Node, Any] | None = None) -> list[Node]:
    """Every node that the roots reach, each after its operands: leaves first, a single root last.

    A node follows as late as its users allow, first operands before second ones, so that the order
    is that in which the expression reads. Iterative: a chain of a million is as good as any.

    Args:
        roots: where to start from.
        done: nodes that are left out with what is below them; those found are added to it, each with 0.0.
    """
    if done is None:
        return list(toposort_into({}, *roots))
    before = len(done)
    found = list(islice(reversed(toposort_into(done, *roots)), len(done) - before))  # the new ones stand last
    found.reverse()
    return found


def toposort_into(done: dict[Node, Any], *roots: Node) -> dict[Node, Any]:
    """The same as keys added to a dict, each with 0.0: where a sweep can begin to add up.

    One dict is the order, the marks and the sums at once, since moving memory is most of what a walk costs.
    """
    path: list[Node] = []  # from a root down to here: nodes that wait for their operands
    rest: list[Iterator[Node]] = []  # for each node on it that has a tuple of operands: those still to come
    many, number = MANY, float  # locals are read faster
    for node in roots:
        if node in done:
            continue
        while True:
            a = node._a
            if a is None:
                done[node] = 0.0
            else:
                b = node._b
                if b is many:
                    path.append(node)
                    rest.append(iter(a))
                elif a not in done and type(a) is not number:
                    path.append(node)
                    node = a  # on down, along first operands
                    continue
                elif b is None or b in done or type(b) is number:
                    done[node] = 0.0
                else:
                    path.append(node)
                    node = b
                    continue
            while path:  # up, past every node whose operands are all out
                node = path.pop()
                b = node._b
                if b is many:
                    b = _next(rest[-1], done)
                    if b is None:
                        rest.pop()
                if b is None or b in done or type(b) is number:
                    done[node] = 0.0
                else:
                    path.append(node)
                    node = b
                    break
            else:
                break
    return done


def _next(operands: Iterator[Node], done: dict[Node, float]) -> Node:
    """The next operand that is a node and not out yet, or None."""
    for x in operands:
        if x not in done and type(x) is not float:
            return x
    return None
