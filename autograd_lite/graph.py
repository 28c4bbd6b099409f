"""Graphs as graphs: topological order and the fields of a node that a walk reads.

No mathematics here, and no import from the package: a node is anything with the slots `_a`
and `_b`, which hold its operands in one of four forms:

    _a is None              a leaf
    _b is None              one operand, _a
    _b is MANY              any number of operands, in the tuple _a
    otherwise               two operands, _a and _b

An operand that is a plain float is a constant.
"""

from __future__ import annotations

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


def order(*roots: Node, seen: set[Node] | None = None) -> list[Node]:
    """Every node that the roots reach, each after its operands: leaves first, a single root last.

    A node follows as late as its users allow, first operands before second ones, so that the order
    is that in which the expression reads. Iterative: a chain of a million is as good as any.
    Nodes in `seen`, and what is below them, are left out; those found are added to it.
    """
    found: list[Node] = []
    seen = set() if seen is None else seen
    stack: list[Node] = list(reversed(roots))
    add, push, pop, emit = seen.add, stack.append, stack.pop, found.append
    while stack:
        node = pop()
        if node is None:  # below it: a node whose operands are all out
            emit(pop())
            continue
        if node in seen:
            continue
        add(node)
        a = node._a
        if a is None:
            emit(node)
            continue
        b = node._b
        if b is None or b is MANY:
            push(node)
            push(None)
            if b is None:
                push(a)
            else:
                stack += [x for x in reversed(a) if type(x) is not float and x not in seen]
            continue
        right = type(b) is not float and b not in seen
        if type(a) is not float and a not in seen:
            push(node)
            push(None)
            if right:
                push(b)
            push(a)
        elif right:
            push(node)
            push(None)
            push(b)
        else:  # the common case, two leaves seen before: no need to come back
            emit(node)
    return found
