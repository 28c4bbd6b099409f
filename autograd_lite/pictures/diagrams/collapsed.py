"""A diagram with some of its frames closed: each of those is one box that says what it holds.

It works on a Diagram, folded or not, and knows nothing of graphs.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from autograd_lite.engine.notation import interval, span
from autograd_lite.pictures.diagrams.diagram import Box, Diagram, Edge, Frame, Share, ValueBox

BUNDLE = 12
"""Edges between the same two boxes that are drawn one by one."""

TOGETHER = 3
"""Leaves of one operation that share a box, in a picture that is not small."""

LEAVES = ("parameter", "constant", "input")

SEVERAL = 4
"""Closed frames of one structure, side by side, that keep a box each."""


@dataclass(frozen=True)
class Collapsed:
    """A Diagram with frames closed, and which frame of the whole picture is which.

    Args:
        diagram: what is left to draw.
        boxes: by index of a box that stands for closed frames, the indices of those in the whole picture.
        frames: for each frame that is still open, its index in the whole picture.
    """

    diagram: Diagram
    boxes: dict[int, tuple[int, ...]]
    frames: tuple[int, ...]


def frame_levels(frames: Sequence[Frame]) -> list[int]:
    """How many frames are around each frame."""
    found: list[int] = []
    for frame in frames:
        found.append(0 if frame.parent is None else found[frame.parent] + 1)
    return found


def collapse_below(diagram: Diagram, depth: int, together: bool = True) -> Collapsed:
    """The diagram with `depth` levels of frames open, and those below them closed.

    Args:
        diagram: the whole picture.
        depth: 0 closes the outermost frames.
        together: whether many closed frames of one structure share a box.
    """
    return collapse(diagram, {i for i, level in enumerate(frame_levels(diagram.frames)) if level >= depth}, together)


def collapse(diagram: Diagram, shut: Collection[int], together: bool = True) -> Collapsed:
    """The diagram with some frames closed.

    Args:
        diagram: the whole picture.
        shut: indices of the frames to close; what is inside one of them goes with it. More than SEVERAL of one
            structure side by side, such as the neurons of a layer, are one box together.
        together: whether they are.
    """
    closed_in = _outermost_closed(diagram, shut)
    kept = [i for i, outer in enumerate(closed_in) if outer is None]
    new_index = {i: n for n, i in enumerate(kept)}

    def moved(frame: int | None) -> int | None:
        return None if frame is None else new_index[frame]

    # A unit is a box that stays, or closed frames with all their boxes; the first box in it names it.
    sharing = _sharing(diagram, closed_in, SEVERAL if together else len(diagram.frames))
    unit: list[int] = []
    first: dict[int, int] = {}
    for i, box in enumerate(diagram.boxes):
        inside = None if box.frame is None else closed_in[box.frame]
        unit.append(i if inside is None else first.setdefault(sharing[inside][0], i))
    frames_of = {i: sharing[frame] for frame, i in first.items()}
    members: dict[int, list[int]] = {}
    for i, u in enumerate(unit):
        members.setdefault(u, []).append(i)
    crossing = [edge for edge in diagram.edges if unit[edge.source] != unit[edge.target]]
    # By the first box that computes: a frame begins with its parameters, which come long before it takes anything.
    computes = {u: next((i for i in inside if diagram.boxes[i].kind == "op"), u) for u, inside in members.items()}
    order = _order(
        sorted(members, key=computes.__getitem__), [(unit[edge.source], unit[edge.target]) for edge in crossing]
    )
    index = {u: n for n, u in enumerate(order)}
    leaving = {edge.source for edge in crossing}
    boxes: list[Box] = []
    for u in order:
        if u in frames_of:
            titles = [diagram.frames[i].title for i in frames_of[u]]
            title = titles[0] if len(titles) == 1 else f"{len(titles)} × {name_pattern(titles)}"
            parent = moved(diagram.frames[frames_of[u][0]].parent)
            boxes.append(_frame_box(title, parent, diagram, members[u], leaving))
        else:
            boxes.append(replace(diagram.boxes[u], frame=moved(diagram.boxes[u].frame)))
    frames = tuple(replace(diagram.frames[i], parent=moved(diagram.frames[i].parent)) for i in kept)
    edges = _edges(crossing, unit, index, frames_of)
    closed = {index[u]: together for u, together in frames_of.items()}
    note = f"Folded, and frames closed: {len(boxes)} boxes." if diagram.note and closed else diagram.note
    left = replace(diagram, boxes=tuple(boxes), edges=tuple(edges), frames=frames, note=note)
    return Collapsed(left, closed, tuple(kept))


def _outermost_closed(diagram: Diagram, shut: Collection[int]) -> list[int | None]:
    """For each frame the outermost closed one around it (or itself); None for one that stays open."""
    found: list[int | None] = []
    for i, frame in enumerate(diagram.frames):
        outer = None if frame.parent is None else found[frame.parent]
        found.append(outer if outer is not None else i if i in shut else None)
    return found


def _sharing(diagram: Diagram, closed_in: Sequence[int | None], several: int) -> dict[int, tuple[int, ...]]:
    """For each closed frame those that share its box: itself, or, if over `several`, all of its structure beside it."""
    held: dict[int, Counter[str]] = {i: Counter() for i, outer in enumerate(closed_in) if outer == i}
    for box in diagram.boxes:
        outer = None if box.frame is None else closed_in[box.frame]
        if outer is not None:
            held[outer][f"{box.kind} {box.symbol}"] += box.count
    groups: dict[Hashable, list[int]] = {}
    for i, what in held.items():
        frame = diagram.frames[i]
        groups.setdefault((frame.parent, DIGITS.sub("", frame.title), frozenset(what.items())), []).append(i)
    found: dict[int, tuple[int, ...]] = {}
    for group in groups.values():
        shared = tuple(group)  # once: a tuple for each member takes quadratic time for the 4,000 neurons of a layer
        for i in group:
            found[i] = shared if len(group) > several else (i,)
    return found


def _frame_box(
    title: str, frame: int | None, diagram: Diagram, members: Sequence[int], leaving: Collection[int]
) -> ValueBox:
    """The box of a closed frame: the ranges of what comes out of it, and how much it holds."""
    inside = [diagram.values[i] for i in members]
    out = [diagram.values[i] for i in members if i in leaving or diagram.boxes[i].root] or inside
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
    about = f"{title}, closed: {note}; f of its {outputs:,} output{'s' if outputs > 1 else ''}: {interval(*f)}"
    computed = about
    about += f", g: {interval(*g)}" if g else ""
    count = max(outputs, 1)
    root = any(box.root for box in inside)
    return ValueBox("frame", title, "▸", f, g, count=count, root=root, frame=frame, about=about, note=note,
                    computed=computed)  # fmt: skip


def _edges(crossing: Sequence[Edge], unit: Sequence[int], index: dict[int, int], frames: Collection[int]) -> list[Edge]:
    """An edge for each that is left; those between the same two units, one of them a closed frame, are one."""
    groups: dict[tuple[int, ...], list[Edge]] = {}
    for i, edge in enumerate(crossing):
        a, b = unit[edge.source], unit[edge.target]
        groups.setdefault((a, b) if a in frames or b in frames else (a, b, i), []).append(edge)
    found = []
    for (a, b, *_), edges in groups.items():
        found.append(replace(_merged(edges), source=index[a], target=index[b]))
    return found


def _merged(edges: Sequence[Edge]) -> Edge:
    """One edge for several between the same two boxes."""
    if len(edges) == 1:
        return edges[0]
    local = span(x for edge in edges if edge.local is not None for x in edge.local)
    count = sum(edge.count for edge in edges)
    about = f"{count:,} local gradients: {interval(*local)}"
    overlay = None
    shares = [edge.overlay for edge in edges if isinstance(edge.overlay, Share)]
    if shares:  # of an explained gradient it has all that flows through them
        overlay = replace(shares[0], flow=sum(share.flow for share in shares))
        about += overlay.about
    constant = all(edge.constant for edge in edges)
    return replace(edges[0], local=local, count=count, about=about, constant=constant, overlay=overlay)


def bundled(diagram: Diagram) -> Diagram:
    """The diagram with one edge, which says how many it stands for, where over BUNDLE run between the same boxes.

    `ag.sum([x] * 100_000)` is two boxes with 100,000 edges: half a minute of layout, and a black bar to look at.
    """
    between: dict[tuple[int, int], list[Edge]] = {}
    for edge in diagram.edges:
        between.setdefault((edge.source, edge.target), []).append(edge)
    parallel = {pair: _parallel(edges, [diagram.boxes[i] for i in pair]) for pair, edges in between.items()}
    if max(parallel.values(), default=0) <= BUNDLE:
        return diagram
    found: list[Edge] = []
    for pair, edges in between.items():
        found += edges if parallel[pair] <= BUNDLE else [replace(_merged(edges), parallel=sum(e.count for e in edges))]
    return replace(diagram, edges=tuple(found))


def _parallel(edges: Sequence[Edge], ends: Sequence[Box]) -> int:
    """How many edges run side by side: of two scalars every slot, else what is drawn.

    The 256 edges between two layers of 16 are not parallel.
    """
    scalars = all(box.count == 1 and box.kind != "frame" for box in ends)
    return sum(edge.count for edge in edges) if scalars else len(edges)


def in_order(diagram: Diagram) -> Diagram:
    """The diagram with operands before users: a class may first be met after one that takes from it."""
    links = [(edge.source, edge.target) for edge in diagram.edges]
    if all(a < b for a, b in links):
        return diagram
    order = _order(range(len(diagram.boxes)), links)
    index = {i: n for n, i in enumerate(order)}
    edges = (replace(edge, source=index[edge.source], target=index[edge.target]) for edge in diagram.edges)
    return replace(diagram, boxes=tuple(diagram.boxes[i] for i in order), edges=tuple(edges))


def leaves_together(diagram: Diagram) -> Diagram:
    """The diagram with the parameters of a neuron in one box, and the bare numbers that it takes in another.

    Leaves share a box if they are TOGETHER or more of one kind in one frame, and one operation alone takes each of
    them, once. A neuron of three inputs is then two boxes wide, not eight. So do leaves of any kind that the same
    closed frames take.
    """
    takers: dict[int, list[int]] = {}
    for i, edge in enumerate(diagram.edges):
        takers.setdefault(edge.source, []).append(i)
    groups: dict[tuple[tuple[int, ...], str, int | None], list[int]] = {}
    for i, box in enumerate(diagram.values):
        users = tuple(sorted(diagram.edges[e].target for e in takers.get(i, [])))
        if not users or box.root or box.kind not in LEAVES or len(set(users)) < len(users):
            continue
        closed = all(diagram.boxes[user].kind == "frame" for user in users)
        if closed or (len(users) == 1 and box.kind != "input"):
            groups.setdefault((users, box.kind, box.frame), []).append(i)
    groups = {key: members for key, members in groups.items() if len(members) >= TOGETHER}
    if not groups:
        return diagram
    first = {members[0]: (key, members) for key, members in groups.items()}
    gone = {i for members in groups.values() for i in members[1:]}
    boxes: list[Box] = []
    index: dict[int, int] = {}
    for i, box in enumerate(diagram.values):
        if i in gone:
            continue
        index[i] = len(boxes)
        boxes.append(_leaf_box(diagram, *first[i]) if i in first else box)
    kept: list[Edge] = []
    for edge in diagram.edges:
        if edge.source in gone:
            continue
        if edge.source in first:
            _, members = first[edge.source]
            alike = [e for i in members for e in takers[i] if diagram.edges[e].target == edge.target]
            edge = replace(_merged([diagram.edges[e] for e in alike]), source=edge.source)
        kept.append(replace(edge, source=index[edge.source], target=index[edge.target]))
    return replace(diagram, boxes=tuple(boxes), edges=tuple(kept))


def _leaf_box(diagram: Diagram, key: tuple[tuple[int, ...], str, int | None], members: Sequence[int]) -> ValueBox:
    _, kind, frame = key
    inside = [diagram.values[i] for i in members]
    f = span(x for box in inside for x in box.f)
    gs = [box.g for box in inside if box.g is not None]
    g = span(x for pair in gs for x in pair) if gs else None
    names = [box.title for box in inside if box.title]
    note = ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:3])}, …, {names[-1]}"
    count = sum(box.count for box in inside)
    title = f"{count:,} {kind}s"
    about = "; ".join(box.about for box in inside[:12]) + ("; …" if len(inside) > 12 else "")
    return ValueBox(kind, title, "", f, g, count=count, frame=frame, about=f"{title}: {about}", note=note)


def _order(units: Sequence[int], edges: Collection[tuple[int, int]]) -> list[int]:
    """Operands before users, and otherwise as they come; a cycle of frames is cut at its first member."""
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


DIGITS = re.compile(r"\d+")


def name_pattern(names: Sequence[str]) -> str:
    """What names have in common, a star for each number that differs; "" if they differ otherwise.

    Example:
        >>> from autograd_lite.pictures.diagrams.collapsed import name_pattern
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
