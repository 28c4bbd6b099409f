"""What a layout engine takes (LayoutInput) and returns (Layout), and their shared longest paths and frame order."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Arrow:
    """A line from operand to user: its end points and, in between, control points of Bezier curves.

    Args:
        points: 3k + 1 points of k cubic curves.
        label: where the middle of its label goes.
    """

    points: tuple[Point, ...]
    label: Point


@dataclass(frozen=True)
class LayoutInput:
    """What to lay out.

    Args:
        boxes: width and height of each.
        edges: for each: source, target, width and height of its label (0 if it has none).
        frames: for each: its parent (an earlier frame or None) and the width of its title.
        inside: for each box: its frame or None.
        direction: "BT" (root on top) or "LR" (root at the right).
    """

    boxes: Sequence[tuple[float, float]]
    edges: Sequence[tuple[int, int, float, float]]
    frames: Sequence[tuple[int | None, float]]
    inside: Sequence[int | None]
    direction: str


@dataclass(frozen=True)
class Layout:
    """Where everything is, in pixels with y growing downwards: the middle of each box, each arrow, the corners of each
    frame."""

    width: float
    height: float
    boxes: tuple[Point, ...]
    arrows: tuple[Arrow, ...]
    frames: tuple[tuple[float, float, float, float], ...]


SHORTENINGS = 8
"""Passes over all boxes that bring them nearer to their operands."""

FRAME_TITLE = 18.0
"""Height of the line at the top of a frame."""


def longest_paths(boxes: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """The length of the longest path from each box up to a root, along edges (operand, user) without a cycle."""
    takes: list[list[int]] = [[] for _ in range(boxes)]
    waiting = [0] * boxes
    for a, b in edges:
        takes[b].append(a)
        waiting[a] += 1
    depth = [0] * boxes
    ready = [i for i in reversed(range(boxes)) if not waiting[i]]
    for i in ready:  # which grows meanwhile
        for j in takes[i]:
            depth[j] = max(depth[j], depth[i] + 1)
            waiting[j] -= 1
            if not waiting[j]:
                ready.append(j)
    return depth


def shortened(
    depth: Sequence[int], edges: Sequence[tuple[int, int]], below: Sequence[tuple[int, int]]
) -> list[int]:  # fmt: skip
    """Depths with which edges are shorter in all: a box with more operands than users goes down to its operands.

    As near to the root as they can be, boxes leave their operands behind, and each row between is one more that
    an edge has to pass. This finds most of what network simplex would (Gansner and others, 1993).

    Args:
        depth: of each box, as `longest_paths` has it.
        edges: (operand, user) of the edges that are drawn.
        below: (lower, upper) of every pair whose order is kept.
    """
    found = list(depth)
    pulls = [0] * len(found)
    for a, b in edges:
        pulls[b] += 1
        pulls[a] -= 1
    lower: list[list[int]] = [[] for _ in found]
    upper: list[list[int]] = [[] for _ in found]
    for a, b in below:
        lower[b].append(a)
        upper[a].append(b)
    for _ in range(SHORTENINGS):
        moved = False
        # Deepest first, so that a chain follows its lower end; ties go down with it.
        for i in sorted(range(len(found)), key=lambda i: -found[i]):
            if not upper[i]:
                continue
            place = max(found[j] for j in upper[i]) + 1
            if lower[i] and pulls[i] >= 0:
                place = min(found[j] for j in lower[i]) - 1
            moved |= place != found[i]
            found[i] = place
        if not moved:
            break

    def length(depths: Sequence[int]) -> int:
        return sum(depths[a] - depths[b] for a, b in edges)

    return found if length(found) < length(depth) else list(depth)


def frame_edges(asked: LayoutInput) -> list[tuple[int, int]]:
    """Pairs of boxes, the second to be above the first, that put a frame above the frames it takes from.

    Without them the weights of a second layer stand beside the first layer, and the two frames side by side.
    """
    above: list[tuple[int, ...]] = []  # the frames around each frame, outermost first, and itself
    for i, (parent, _) in enumerate(asked.frames):
        above.append((*(above[parent] if parent is not None else ()), i))
    units = [(*(above[frame] if frame is not None else ()), -1 - i) for i, frame in enumerate(asked.inside)]
    links: dict[tuple[int, int], set[int]] = {}  # what is side by side, a box i as -1 - i, and the boxes that link it
    takes_inside: set[tuple[int, int]] = set()
    for a, b, _, _ in asked.edges:
        if a >= b:
            continue  # a step back, in a folded recurrence
        shared = next(n for n, (x, y) in enumerate(zip(units[a], units[b], strict=False)) if x != y)
        takes_inside.update((b, frame) for frame in units[a][:shared])
        links.setdefault((units[a][shared], units[b][shared]), set()).add(a)
    if not _acyclic(links):
        return []  # a recurrence through frames: none of them is above the others
    bottoms: dict[int, list[int]] = {}
    for i, unit in enumerate(units):
        for frame in unit[:-1]:
            if (i, frame) not in takes_inside:
                bottoms.setdefault(frame, []).append(i)
    return [(a, i) for (_, upper), boxes in links.items() for a in sorted(boxes) for i in bottoms.get(upper, ())]


def _acyclic(links: Iterable[tuple[Hashable, Hashable]]) -> bool:
    following: dict[Hashable, list[Hashable]] = {}
    waiting: dict[Hashable, int] = {}
    for a, b in links:
        following.setdefault(a, []).append(b)
        waiting[b] = waiting.get(b, 0) + 1
        waiting.setdefault(a, 0)
    ready = [x for x, n in waiting.items() if n == 0]
    for x in ready:  # which grows meanwhile
        for y in following.get(x, ()):
            waiting[y] -= 1
            if waiting[y] == 0:
                ready.append(y)
    return len(ready) == len(waiting)


def on_curve(curve: Sequence[Point], t: float) -> Point:
    """The point of Bezier curves at t from 0 to 1."""
    pieces = (len(curve) - 1) // 3
    k = min(int(t * pieces), pieces - 1)
    s = t * pieces - k
    a, b, c, d = curve[3 * k : 3 * k + 4]
    weights = (1 - s) ** 3, 3 * s * (1 - s) ** 2, 3 * s * s * (1 - s), s**3
    along = [sum(w * p[i] for w, p in zip(weights, (a, b, c, d), strict=True)) for i in (0, 1)]
    return along[0], along[1]
