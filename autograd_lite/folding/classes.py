"""Classes of a graph: which nodes do the same thing to the same kinds of operands.

A node's key is its primitive and the classes of its operands; nodes with one key are one class. A key
names earlier classes only, so that the members of a class never depend on each other. No pictures
here and no array code: both are made from these classes.

A tree of additions counts as one sum of many terms, whose key is the set of what occurs in it, so
that `b + w1*x1 + w2*x2` and a longer one fall together; a product used only there is a term of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from autograd_lite.engine.graph import raw_operands

Node = Any

CONSTANT = -1
"""Stands for an operand that is a bare float, where an index into the units would."""


@dataclass(slots=True, eq=False)
class Slot:
    """One operand of a unit: the index of another unit, or CONSTANT, with the local gradient."""

    unit: int
    local: float
    number: float
    role: Hashable


@dataclass(slots=True, eq=False)
class Unit:
    """A node together with the additions and products that are parts of its sum.

    Args:
        node: the node whose value it has.
        op: the name of the primitive, "sum" for a tree of additions, "" for a leaf.
        operands: where its values come from; a product within a sum gives two with one role.
        terms: for a sum, the terms as tuples of positions in `operands`; else empty.
        size: how many nodes it holds.
    """

    node: Node
    op: str
    operands: tuple[Slot, ...]
    terms: tuple[tuple[int, ...], ...]
    size: int


def units(order: Sequence[Node], keep: Callable[[Node], bool] = lambda node: False) -> list[Unit]:
    """The graph with every tree of additions as one unit.

    Args:
        order: the nodes, operands before users (`graph.order`).
        keep: whether a node must stay a unit of its own (a root; one in another scope than its user).
    """
    absorbed = _absorbed(order, keep)
    index: dict[int, int] = {}
    found: list[Unit] = []

    def slot(x: Node, local: float, role: Hashable) -> Slot:
        return Slot(CONSTANT, local, x, role) if x.__class__ is float else Slot(index[id(x)], local, x._f, role)

    for node in order:
        if id(node) in absorbed:
            continue
        row = node._row
        if row is None:
            unit = Unit(node, "", (), (), 1)
        elif row.name in SUMS:
            unit = _sum_unit(node, absorbed, slot)
        else:
            operands = raw_operands(node)
            slots = tuple(map(slot, operands, node.local_grads, _roles(row, len(operands))))
            unit = Unit(node, row.name, slots, (), 1)
        index[id(node)] = len(found)
        found.append(unit)
    return found


SUMS = ("add", "sum")


def _absorbed(order: Sequence[Node], keep: Callable[[Node], bool]) -> set[int]:
    """The ids of the additions and products that are parts of the sum that takes them, and of nothing else."""

    def part(x: Node) -> bool:
        return x.__class__ is not float and x._row is not None and x._row.name in ("add", "mul", "sum")

    inside: list[int] = []
    for user in order:
        if user._row is not None and user._row.name in SUMS:
            parts = [x for x in raw_operands(user) if part(x) and x.scope is user.scope and not keep(x)]
            inside += map(id, parts)
    if not inside:
        return set()
    uses = Counter(id(x) for node in order for x in raw_operands(node))
    return {x for x in inside if uses[x] == 1}


def _roles(row: Any, n: int) -> Sequence[Hashable]:
    """What tells the operand slots of a primitive apart; the elements of one sequence are alike."""
    if not row.variadic:
        return range(n)
    if row.name == "dot":
        return ["x"] * (n // 2) + ["y"] * (n // 2) + ["bias"] * (n % 2)
    return ["xs"] * n


def _sum_unit(node: Node, absorbed: set[int], slot: Callable[[Node, float, Hashable], Slot]) -> Unit:
    """A tree of additions, walked without recursion: a long chain of them is deep."""
    slots: list[Slot] = []
    terms: list[tuple[int, ...]] = []
    size, stack = 1, list(reversed(raw_operands(node)))
    while stack:
        x = stack.pop()
        inner = x.__class__ is not float and id(x) in absorbed
        if not inner and x == 0.0 and x.__class__ is float:
            continue  # the 0 that a running sum starts from
        if inner and x._row.name != "mul":
            size += 1
            stack.extend(reversed(raw_operands(x)))
            continue
        if inner:
            (a, b), (da, db) = raw_operands(x), x.local_grads
            parts = [slot(a, da, "factor"), slot(b, db, "same factor" if a is b else "factor")]
        else:
            parts = [slot(x, 1.0, "term")]
        size += inner
        terms.append(tuple(range(len(slots), len(slots) + len(parts))))
        slots.extend(parts)
    plain_pair = size == 1 and len(slots) == 2 and node._row.name == "add"
    return Unit(node, "add" if plain_pair else "sum", tuple(slots), tuple(terms), size)


def key(unit: Unit, of: Callable[[Slot], Hashable]) -> Hashable:
    """What a unit does, given a label `of` each operand: order counts, except among the terms of a sum."""
    operands = unit.operands
    if unit.op == "sum":
        return "sum", frozenset(tuple(of(operands[i]) for i in term) for term in unit.terms)
    if unit.op and operands[0].role.__class__ is str:  # elements of a sequence
        return unit.op, frozenset((slot.role, of(slot)) for slot in operands)
    return (unit.op, *map(of, operands))


def classes(graph: Sequence[Unit], labels: Sequence[Hashable]) -> list[int]:
    """The class of each unit: exact, and numbered in the order in which they first occur.

    Args:
        graph: the units, operands first.
        labels: for each unit what else tells it apart: the kind of a leaf, a scope.
    """
    numbered: dict[Hashable, int] = {}
    found: list[int] = []

    def of(slot: Slot) -> int:
        return CONSTANT if slot.unit == CONSTANT else found[slot.unit]

    for unit, label in zip(graph, labels, strict=True):
        found.append(numbered.setdefault((label, key(unit, of)), len(numbered)))
    return found


def shapes(graph: Sequence[Unit], labels: Sequence[Hashable]) -> list[int]:
    """Like `classes`, but two units are alike if they and their operands do the same, whatever lies below.

    The steps of a recurrence, each a class of its own, are then of one shape. A shape may depend on itself.
    """
    ops: dict[Hashable, int] = {}
    own = [ops.setdefault((unit.op, label), len(ops)) for unit, label in zip(graph, labels, strict=True)]
    numbered: dict[Hashable, int] = {}

    def of(slot: Slot) -> int:
        return CONSTANT if slot.unit == CONSTANT else own[slot.unit]

    return [numbered.setdefault((mine, key(unit, of)), len(numbered)) for unit, mine in zip(graph, own, strict=True)]
