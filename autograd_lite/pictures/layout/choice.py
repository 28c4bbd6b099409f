"""Which engine lays out: pygraphviz, the `dot` command, or our own layered layout.

Graphviz is given sizes and numbers only, never a name, so that no name can harm it. What comes back
is in pixels, with y growing downwards, whichever engine it was.
"""

from __future__ import annotations

from collections.abc import Callable

from autograd_lite.pictures.layout.by_graphviz import LONGEST_EDGES, by_command, by_pygraphviz
from autograd_lite.pictures.layout.geometry import Layout, LayoutInput, longest_paths

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
    return _narrowed(asked, placed or by_ourselves(asked), SHRUNK if placed else PAGE)


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
