"""The picture of a large graph: one box for all scalars that do the same thing.

First by layer: scalars of one frame that are computed alike. While that gives too many boxes, the
innermost frames are ignored, so that a layer's neurons fall together, and so on outwards. Where even the
whole graph has too many classes, it repeats itself (a recurrence): then all steps of one shape
are one box, which takes from itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from autograd_lite.engine.notation import Labels, assignment, numbers, printable, span
from autograd_lite.engine.scopes import Scope
from autograd_lite.engine.value import Value
from autograd_lite.folding.classes import CONSTANT, Slot, Unit, classes, shapes, units
from autograd_lite.pictures.diagrams.diagram import (
    Box,
    Diagram,
    Edge,
    FoldedBox,
    Frames,
    LiteralBox,
    ValueBox,
    backward_value,
    has_backward,
    kind,
    paths,
    summary,
    title,
)

Role = tuple[int, Hashable]
"""A group of units and a slot of theirs."""


@dataclass
class Group:
    """Units that share a box.

    Args:
        members: the units.
        path: the frames around all of them.
        repeats: whether they are steps of a recurrence, of one shape but not of one class.
        more: "more " if there are boxes of the same primitive before it.
    """

    members: list[Unit] = field(default_factory=list)
    path: tuple[Scope, ...] = ()
    repeats: bool = False
    more: str = ""


@dataclass
class Partition:
    """The units in groups: for each unit its group, and what takes a bare number."""

    groups: list[Group]
    of: list[int]
    literals: dict[Role, list[Slot]]

    @property
    def boxes(self) -> int:
        """How many boxes it makes."""
        return len(self.groups) + len(self.literals)


def folded(
    order: Sequence[Value],
    roots: Sequence[Value],
    most: int,
    could_unfold: bool,
    *,
    adjoint: Mapping[Value, float] | None = None,
) -> Diagram:
    """A box for scalars that do the same thing.

    Args:
        order: the nodes that the roots reach, operands first.
        roots: the Values that the picture is for; each keeps a box of its own.
        most: boxes that a person still reads.
        could_unfold: whether `fold=False` would draw the graph, which the note then says.
        adjoint: the backward values to show in place of each `.grad`.
    """
    kept = {id(root) for root in roots}
    graph = units(order, keep=lambda node: id(node) in kept)
    place = paths(order)
    best: Partition | None = None
    for partition in _partitions(graph, place, kept, most):
        if best is None or partition.boxes < best.boxes:
            best = partition
        if best.boxes <= most:
            break
    assert best is not None
    return _diagram(order, roots, graph, best, could_unfold, adjoint)


def _partitions(
    graph: Sequence[Unit], place: dict[int, tuple[Scope, ...]], kept: set[int], most: int
) -> Iterator[Partition]:
    """Partitions from fine to coarse."""
    deepest = max(map(len, place.values()), default=0)

    kinds = [(kind(unit.node), id(unit.node) if id(unit.node) in kept else 0) for unit in graph]

    def labels(depth: int) -> list[Hashable]:
        """What may not share a box: other kinds of leaf, the roots, and other frames down to a depth."""
        if not depth:
            return [*kinds]
        frames = [tuple(map(id, place[id(unit.node)][:depth])) for unit in graph]
        return [*zip(kinds, frames, strict=True)]

    exact = classes(graph, labels(0))
    if max(exact) < most:
        for depth in range(deepest, -1, -1):
            alike = classes(graph, labels(depth)) if depth else exact
            yield _partition(graph, alike, place, depth, exact, by_use=True)
            yield _partition(graph, alike, place, depth, exact, by_use=False)
    for depth in range(deepest, -1, -1):
        alike = shapes(graph, labels(depth))
        yield _partition(graph, alike, place, depth, exact, by_use=True)
        yield _partition(graph, alike, place, depth, exact, by_use=False)
    ops: dict[Hashable, int] = {}
    alike = [ops.setdefault((unit.op, what), len(ops)) for unit, what in zip(graph, kinds, strict=True)]
    yield _partition(graph, alike, place, 0, exact, by_use=False)


def _partition(
    graph: Sequence[Unit],
    alike: Sequence[int],
    place: dict[int, tuple[Scope, ...]],
    depth: int,
    exact: Sequence[int],
    by_use: bool,
) -> Partition:
    """Groups from classes; leaves are told apart by what they are used for and called, if `by_use`."""
    uses: dict[int, set[Role]] = {}
    if by_use:
        for unit, number in zip(graph, alike, strict=True):
            for slot in unit.operands:
                if slot.unit != CONSTANT and not graph[slot.unit].op:
                    uses.setdefault(slot.unit, set()).add((number, slot.role))
    index: dict[Hashable, int] = {}
    seen: set[str] = set()
    groups: list[Group] = []
    of: list[int] = []
    first: list[int] = []
    for i, (unit, number) in enumerate(zip(graph, alike, strict=True)):
        name = DIGITS.sub("", unit.node.name[:200]) if by_use and not unit.op else ""
        which = index.setdefault((number, name, frozenset(uses.get(i, ()))), len(groups))
        if which == len(groups):
            groups.append(Group(path=place[id(unit.node)][:depth], more="more " if unit.op in seen else ""))
            seen.add(unit.op)
            first.append(exact[i])
        groups[which].members.append(unit)
        groups[which].repeats |= bool(unit.op) and exact[i] != first[which]
        of.append(which)
    literals: dict[Role, list[Slot]] = {}
    for unit, which in zip(graph, of, strict=True):
        for slot in unit.operands:
            if slot.unit == CONSTANT:
                literals.setdefault((which, slot.role), []).append(slot)
    return Partition(groups, of, literals)


def _diagram(
    order: Sequence[Value],
    roots: Sequence[Value],
    graph: Sequence[Unit],
    partition: Partition,
    could_unfold: bool,
    adjoint: Mapping[Value, float] | None,
) -> Diagram:
    labels, frames = Labels(order), Frames()
    backward: Callable[[Value], float | None] | None = None
    if adjoint is not None:
        backward = adjoint.get
    elif has_backward(order, roots):
        backward = backward_value
    boxes: list[Box] = []
    edges: list[Edge] = []
    box_of: list[int] = []
    literals: dict[int, list[tuple[Hashable, list[Slot]]]] = {}
    for (which, role), slots in partition.literals.items():
        literals.setdefault(which, []).append((role, slots))
    for which, group in enumerate(partition.groups):
        frame = frames.of(group.path)
        constants = []
        for _, slots in literals.get(which, ()):
            constants.append((len(boxes), slots))
            boxes.append(_literal_box(slots, frame))
        box_of.append(len(boxes))
        boxes.append(_box(group, frame, labels, backward, roots))
        for at, slots in constants:
            about = f"no gradient flows into {'the constant' if len(slots) == 1 else 'these constants'}"
            local = span(slot.local for slot in slots)
            edges.append(Edge(at, box_of[which], len(edges), local, len(slots), about, constant=True))
    found: dict[tuple[int, int, Hashable], list[float]] = {}
    for unit, target in zip(graph, partition.of, strict=True):
        for slot in unit.operands:
            if slot.unit != CONSTANT:
                found.setdefault((partition.of[slot.unit], target, slot.role), []).append(slot.local)
    for (source, target, _), locals_ in found.items():
        local = span(locals_)
        about = f"{len(locals_):,} local gradients: {numbers(*local)}" if len(locals_) > 1 else "local gradient"
        edges.append(Edge(box_of[source], box_of[target], len(edges), local, len(locals_), about))
    note = f"Folded: {len(order):,} values in {len(boxes)} boxes, those that are computed alike in one."
    note += " fold=False draws every value." if could_unfold else ""
    return Diagram(
        tuple(boxes),
        tuple(edges),
        tuple(frames.found),
        note,
        f"{summary(order, roots, labels, backward is not None)}. {note}",
    )


def _literal_box(slots: Sequence[Slot], frame: int | None) -> Box:
    f = span(slot.number for slot in slots)
    same = numbers(*f)
    if len(slots) == 1 or f[0] == f[1]:
        about = f"the constant {same}" + (f", {len(slots):,} times" if len(slots) > 1 else "")
        return LiteralBox("constant", "", "", f, None, count=len(slots), frame=frame, about=about)
    title = f"{len(slots):,} constants"
    return ValueBox("constant", title, "", f, None, count=len(slots), frame=frame, about=f"{title}: {same}")


def _box(
    group: Group,
    frame: int | None,
    labels: Labels,
    backward: Callable[[Value], float | None] | None,
    roots: Sequence[Value],
) -> Box:
    unit = group.members[0]
    node, count = unit.node, len(group.members)
    size = sum(member.size for member in group.members)
    f = span(member.node._f for member in group.members)
    g = span(backward(member.node) or 0.0 for member in group.members) if backward else None
    symbol = _symbol(group)
    about = assignment(node, labels) if unit.size == 1 else f"{labels[node]} = {symbol} = {numbers(*span([node._f]))}"
    computed = about
    if count > 1:
        what = f"{count:,} {unit.op or kind(node) + 's'}, f: {numbers(*f)}"
        computed = f"{what}; the first is {about}"
        about = f"{what}{f', g: {numbers(*g)}' if g else ''}; the first is {about}"
    elif g is not None:
        about = f"{about}; g = {numbers(*g)}"
    notes = [f"holds {size:,} scalars"] if size > count else []
    if count > 1:
        pattern = name_pattern([member.node.name for member in group.members])
        notes += [printable(pattern)] if pattern else []
        heading = f"{count:,} {kind(node)}s" if not unit.op else f"{count:,} ×"
        heading = f"… {count:,} {group.more}of this shape" if group.repeats else heading
    else:
        heading = title(node, labels, frame)
    return FoldedBox(
        kind(node),
        heading,
        symbol,
        f,
        g,
        count=count,
        root=any(node is root for root in roots),
        frame=frame,
        about=about,
        note=", ".join(notes),
        computed=computed,
    )


def _symbol(group: Group) -> str:
    """The symbol of the primitive; a sum tells whether its terms are products."""
    unit = group.members[0]
    if unit.op != "sum":
        return printable(unit.node._row.symbol, 16) if unit.op else ""
    factors = {len(term) for term in unit.terms}
    return {(1,): "Σ a", (2,): "Σ a·b", (1, 2): "Σ a·b + c"}.get(tuple(sorted(factors)), "Σ")


DIGITS = re.compile(r"\d+")


def name_pattern(names: Sequence[str]) -> str:
    """What names have in common, a star for each number that differs; "" if they differ otherwise.

    Example:
        >>> from autograd_lite.pictures.diagrams.grouped import name_pattern
        >>> name_pattern(["layers[0].w[1]", "layers[0].w[2]"])
        'layers[0].w[*]'
    """
    first = names[0]
    if not first or len(first) > 200:
        return ""
    parts = DIGITS.split(first)
    found = DIGITS.findall(first)
    for name in islice(names, 1, None):
        if len(name) > 200 or DIGITS.split(name) != parts:
            return ""
        found = [a if a == b else "*" for a, b in zip(found, DIGITS.findall(name), strict=True)]
    return parts[0] + "".join(number + rest for number, rest in zip(found, parts[1:], strict=True))
