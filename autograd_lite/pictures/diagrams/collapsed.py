"""A picture with some of its frames closed: each of those is one box that says what it holds.

It works on a Model, a folded one or not, and knows nothing of graphs.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace

from autograd_lite.engine.notation import numbers, span
from autograd_lite.pictures.diagrams.diagram import Box, Diagram, Edge, Frame
from autograd_lite.pictures.diagrams.grouped import DIGITS, name_pattern

SEVERAL = 4
"""Closed frames alike, side by side, that keep a box each."""


@dataclass(frozen=True)
class Closed:
    """A Model with frames closed, and which frame of the whole picture is which.

    Args:
        diagram: what is left to draw.
        boxes: by index of a box that stands for closed frames, the indices of those in the whole picture.
        frames: for each frame that is still open, its index in the whole picture.
    """

    diagram: Diagram
    boxes: dict[int, tuple[int, ...]]
    frames: tuple[int, ...]


def levels(frames: Sequence[Frame]) -> list[int]:
    """How many frames are around each frame."""
    found: list[int] = []
    for frame in frames:
        found.append(0 if frame.parent is None else found[frame.parent] + 1)
    return found


def to_depth(diagram: Diagram, depth: int, together: bool = True) -> Closed:
    """The picture with `depth` levels of frames open, and those below them closed.

    Args:
        diagram: the whole picture.
        depth: 0 closes the outermost frames.
        together: whether many closed frames alike share a box.
    """
    return closed(diagram, {i for i, level in enumerate(levels(diagram.frames)) if level >= depth}, together)


def closed(diagram: Diagram, shut: Collection[int], together: bool = True) -> Closed:
    """The picture with some frames closed.

    Args:
        diagram: the whole picture.
        shut: indices of the frames to close; what is inside one of them goes with it. More than SEVERAL alike
            side by side, such as the neurons of a layer, are one box together.
        together: whether they are.
    """
    outermost: list[int | None] = []  # for each frame, the outermost closed one around it
    for i, frame in enumerate(diagram.frames):
        outer = None if frame.parent is None else outermost[frame.parent]
        outermost.append(outer if outer is not None else i if i in shut else None)
    kept = [i for i in range(len(diagram.frames)) if outermost[i] is None]
    new_frame = {i: n for n, i in enumerate(kept)}

    def place(frame: int | None) -> int | None:
        return None if frame is None else new_frame[frame]

    sharing = _alike(diagram, outermost, SEVERAL if together else len(diagram.frames))
    # Units: a box of its own, or closed frames with their boxes. They are named by their first box.
    unit: list[int] = []
    first: dict[int, int] = {}
    for i, box in enumerate(diagram.boxes):
        inside = None if box.frame is None else outermost[box.frame]
        unit.append(i if inside is None else first.setdefault(sharing[inside][0], i))
    frames_of = {i: sharing[frame] for frame, i in first.items()}
    members: dict[int, list[int]] = {}
    for i, u in enumerate(unit):
        members.setdefault(u, []).append(i)
    crossing = [edge for edge in diagram.edges if unit[edge.source] != unit[edge.target]]
    leaving = {edge.source for edge in crossing}
    computes = {u: next((i for i in inside if diagram.boxes[i].kind == "op"), u) for u, inside in members.items()}
    order = _order(
        sorted(members, key=computes.__getitem__), [(unit[edge.source], unit[edge.target]) for edge in crossing]
    )
    index = {u: n for n, u in enumerate(order)}
    boxes = []
    for u in order:
        box = diagram.boxes[u]
        if u in frames_of:
            titles = [diagram.frames[i].title for i in frames_of[u]]
            title = titles[0] if len(titles) == 1 else f"{len(titles)} × {name_pattern(titles)}"
            parent = place(diagram.frames[frames_of[u][0]].parent)
            boxes.append(_frame_box(title, parent, diagram, members[u], leaving))
        else:
            boxes.append(replace(box, frame=place(box.frame)))
    frames = tuple(replace(diagram.frames[i], parent=place(diagram.frames[i].parent)) for i in kept)
    edges = _edges(diagram, crossing, unit, index, frames_of)
    at = {index[u]: alike for u, alike in frames_of.items()}
    note = f"Folded, and frames closed: {len(boxes)} boxes." if diagram.note and at else diagram.note
    left = replace(diagram, boxes=tuple(boxes), edges=tuple(edges), frames=frames, note=note)
    return Closed(left, at, tuple(kept))


def _alike(diagram: Diagram, outermost: Sequence[int | None], several: int) -> dict[int, tuple[int, ...]]:
    """For each closed frame those that share its box: itself, or all alike in the same frame if over `several`."""
    held: dict[int, Counter[str]] = {i: Counter() for i, outer in enumerate(outermost) if outer == i}
    for box in diagram.boxes:
        outer = None if box.frame is None else outermost[box.frame]
        if outer is not None:
            held[outer][f"{box.kind} {box.symbol}"] += box.count
    groups: dict[Hashable, list[int]] = {}
    for i, what in held.items():
        frame = diagram.frames[i]
        groups.setdefault((frame.parent, DIGITS.sub("", frame.title), frozenset(what.items())), []).append(i)
    found: dict[int, tuple[int, ...]] = {}
    for group in groups.values():
        for i in group:
            found[i] = tuple(group) if len(group) > several else (i,)
    return found


def _frame_box(
    title: str, frame: int | None, diagram: Diagram, members: Sequence[int], leaving: Collection[int]
) -> Box:
    """The box of a closed frame: the ranges of what comes out of it, and how much it holds."""
    inside = [diagram.boxes[i] for i in members]
    out = [diagram.boxes[i] for i in members if i in leaving or diagram.boxes[i].root] or inside
    f = span(x for box in out for x in box.f)
    gs = [box.g for box in out if box.g is not None]
    g = span(x for pair in gs for x in pair) if gs else None
    held: Counter[str] = Counter()
    for box in inside:
        if not box.literal:
            held[box.symbol or box.kind] += box.count
    parts = [
        f"{n:,} {what}{'s' if n > 1 and what in ('parameter', 'input', 'constant') else ''}" for what, n in held.items()
    ]
    note = f"holds {', '.join(parts[:4])}{', …' if len(parts) > 4 else ''}"
    outputs = sum(box.count for box in out)
    about = f"{title}, closed: {note}; f of its {outputs:,} output{'s' if outputs > 1 else ''}: {numbers(*f)}"
    about += f", g: {numbers(*g)}" if g else ""
    count = max(outputs, 1)
    return Box("frame", title, "▸", f, g, count, any(box.root for box in inside), frame, about, note=note)


def _edges(
    diagram: Diagram, crossing: Sequence[Edge], unit: Sequence[int], index: dict[int, int], frames: Collection[int]
) -> list[Edge]:
    """An edge for each that is left; those between the same two, one of them a closed frame, are one."""
    groups: dict[tuple[int, ...], list[Edge]] = {}
    for i, edge in enumerate(crossing):
        a, b = unit[edge.source], unit[edge.target]
        groups.setdefault((a, b) if a in frames or b in frames else (a, b, i), []).append(edge)
    found = []
    for (a, b, *_), edges in groups.items():
        local = span(x for edge in edges for x in edge.local)
        count = sum(edge.count for edge in edges)
        about = edges[0].about if len(edges) == 1 else f"{count:,} local gradients: {numbers(*local)}"
        constant = all(edge.constant for edge in edges)
        found.append(Edge(index[a], index[b], edges[0].slot, local, count, about, constant))
    return found


def _order(units: Sequence[int], edges: Collection[tuple[int, int]]) -> list[int]:
    """Operands before users, and otherwise as they come; a circle of frames is cut at its first member."""
    links = set(edges)
    users: dict[int, list[int]] = {u: [] for u in units}
    waiting = dict.fromkeys(units, 0)
    for a, b in links:
        users[a].append(b)
        waiting[b] += 1
    ready = [u for u in units if not waiting[u]]
    heapq.heapify(ready)
    found: list[int] = []
    done: set[int] = set()
    rest = iter(units)
    while len(found) < len(units):
        u = heapq.heappop(ready) if ready else next(x for x in rest if x not in done)
        if u in done:
            continue
        done.add(u)
        found.append(u)
        for b in users[u]:
            waiting[b] -= 1
            if not waiting[b]:
                heapq.heappush(ready, b)
    return found
