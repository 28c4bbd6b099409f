"""Where things go: the same question put to pygraphviz, to the `dot` command, or to our own layout.

Graphviz is handed sizes and numbers only, never a name, so that no name can harm it. What comes back
is in pixels, with y growing downwards, whichever engine it was.
"""

from __future__ import annotations

from collections.abc import Callable

from autograd_lite.pictures.layout.by_graphviz import LONGEST_EDGES, PAGE, by_command, by_pygraphviz
from autograd_lite.pictures.layout.geometry import Placed, Unplaced, depths


def place(plan: Unplaced) -> Placed:
    """Lay out with the first engine that is there; frames and many long edges with ours.

    Graphviz takes an edge round every frame that it does not end in, and so puts the inputs of a
    network beside it, at twice the width. Ours brings them in from below.
    """
    edges = [(a, b) for a, b, _, _ in plan.edges if a < b]
    depth = depths(len(plan.boxes), edges)
    ours = plan.frames or sum(depth[a] - depth[b] for a, b in edges) > LONGEST_EDGES
    placed = None if ours else next(filter(None, (engine(plan) for engine in ENGINES)), None)
    return _narrowed(plan, placed or by_ourselves(plan))


def _narrowed(plan: Unplaced, placed: Placed) -> Placed:
    """A layout wider than a page once more by ours, with leaves in several rows, if that is much narrower."""
    from autograd_lite.pictures.layout.layered import layered

    for rows in (2, 3, 4):
        if plan.direction == "BT" and placed.width > PAGE:
            other = layered(plan, stagger=rows)
            placed = other if other.width < 0.85 * placed.width else placed
    return placed


def by_ourselves(plan: Unplaced) -> Placed:
    """The small layered layout of layered.py, which is always there."""
    from autograd_lite.pictures.layout.layered import layered

    return layered(plan)


ENGINES: list[Callable[[Unplaced], Placed | None]] = [by_pygraphviz, by_command]
"""What is asked before our own layout; None where it is not there, or fails."""
