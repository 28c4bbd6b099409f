"""Which engine lays out: pygraphviz, the `dot` command, or our own layered layout.

Graphviz is given sizes and numbers only, never a name, so that no name can harm it. What comes back
is in pixels, with y growing downwards, whichever engine it was.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise

from autograd_lite.pictures.layout.by_graphviz import LONGEST_EDGES, by_command, by_pygraphviz
from autograd_lite.pictures.layout.geometry import Layout, LayoutInput, Point, longest_paths, on_curve

PAGE = 800.0
"""Pixels of a notebook's page, across."""

SHRUNK = 1000.0
"""How wide a layout of Graphviz may be, which a page then scales down: with half the crossings it reads better."""


def lay_out(asked: LayoutInput) -> Layout:
    """Lay out with the first engine that is there; frames and many long edges with ours.

    Graphviz takes an edge round every frame that it does not end in, and so puts the inputs of a
    network beside it, at twice the width. Ours brings them in from below.
    """
    edges = [(a, b) for a, b, _, _ in asked.edges if a < b]
    depth = longest_paths(len(asked.boxes), edges)
    ours = asked.frames or sum(depth[a] - depth[b] for a, b in edges) > LONGEST_EDGES
    placed = None if ours else next(filter(None, (engine(asked) for engine in ENGINES)), None)
    if placed is not None and len(asked.boxes) <= COMPARED:
        other = by_ourselves(asked)
        if other.width < 1.2 * placed.width and clutter(asked, other) < clutter(asked, placed):
            placed = other
    return _narrowed(asked, placed or by_ourselves(asked), SHRUNK if placed else PAGE)


COMPARED = 40
"""Boxes of a graph that both Graphviz and we lay out, the less cluttered of which is drawn."""

NEAR = 2.5
"""Pixels from a box within which an edge seems to belong to it."""


def clutter(asked: LayoutInput, placed: Layout) -> float:
    """What makes a layout hard to read: edges that cross, edges along a box (five times as bad), bends."""
    ways = [[on_curve(arrow.points, t / 24) for t in range(25)] for arrow in placed.arrows]
    total = 0.0
    for i, (a, b, *_) in enumerate(asked.edges):
        for k, ((x, y), (w, h)) in enumerate(zip(placed.boxes, asked.boxes, strict=True)):
            if k not in (a, b):
                total += 5 * any(abs(u - x) < w / 2 + NEAR and abs(v - y) < h / 2 + NEAR for u, v in ways[i])
    for way in ways:
        turns = [p[0] - q[0] for p, q in pairwise(way) if abs(p[0] - q[0]) > 0.4]
        total += 0.5 * sum(p * q < 0 for p, q in pairwise(turns))
    bounds = [(min(u for u, _ in way), min(v for _, v in way), max(u for u, _ in way), max(v for _, v in way))
              for way in ways]  # fmt: skip
    for i, j in combinations(range(len(ways)), 2):
        (x0, y0, x1, y1), (u0, v0, u1, v1) = bounds[i], bounds[j]
        if x0 <= u1 and u0 <= x1 and y0 <= v1 and v0 <= y1:
            total += any(_cross(*p, *q) for p in pairwise(ways[i]) for q in pairwise(ways[j]))
    return total


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _narrowed(asked: LayoutInput, placed: Layout, room: float) -> Layout:
    """Of a layout wider than its room: ours, with leaves in several rows, if that is much narrower."""
    from autograd_lite.pictures.layout.layered import layered

    for rows in (2, 3, 4):
        if asked.direction == "BT" and placed.width > room:
            other = layered(asked, stagger=rows)
            placed = other if other.width < 0.85 * placed.width else placed
    return placed


def by_ourselves(asked: LayoutInput) -> Layout:
    """The small layered layout of layered.py, which is always there."""
    from autograd_lite.pictures.layout.layered import layered

    return layered(asked)


ENGINES: list[Callable[[LayoutInput], Layout | None]] = [by_pygraphviz, by_command]
"""Tried in turn before our own layout; each gives None where it is not installed, or fails."""
