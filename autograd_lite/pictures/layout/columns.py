"""Where the units of a network go: columns from left to right, and a curve for each line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import hypot

from autograd_lite.pictures.layout.geometry import LayoutInput, Point
from autograd_lite.pictures.layout.layered import layered

WIDTH = 740.0
"""What the columns have of a page, with a margin and the targets beside them."""

NEAR, FAR = 74.0, 190.0
"""The least and the largest distance between the middles of two columns."""


def columns(counts: Sequence[int], radius: float, apart: float) -> list[list[Point]]:
    """The middle of each unit, column by column, each column in the middle of the height.

    Args:
        counts: the units of each column.
        radius: of a unit.
        apart: between two units of a column.
    """
    step = 2 * radius + apart
    gap = min(FAR, max(NEAR, 2 * radius + 24.0, (WIDTH - 2 * radius) / max(len(counts) - 1, 1)))
    tallest = max(counts)
    return [[(c * gap, (i + (tallest - n) / 2) * step) for i in range(n)] for c, n in enumerate(counts)]


def through(points: Sequence[Point], radius: float) -> tuple[Point, ...]:
    """Bezier curves from circle to circle by way of points; the ends are on the circles."""
    line = [_towards(points[0], points[1], radius), *points[1:-1], _towards(points[-1], points[-2], radius)]
    slopes = [(b[1] - a[1]) / (b[0] - a[0] or 1.0) for a, b in pairwise(line)]
    # At a point in between as steep as the way from its neighbour before to the one after (Catmull and Rom).
    tangents = [slopes[0], *(((c[1] - a[1]) / (c[0] - a[0] or 1.0)) for a, c in zip(line, line[2:])), slopes[-1]]  # noqa: B905
    curve = [line[0]]
    for k, (a, b) in enumerate(pairwise(line)):
        third = (b[0] - a[0]) / 3
        curve += [(a[0] + third, a[1] + third * tangents[k]), (b[0] - third, b[1] - third * tangents[k + 1]), b]
    return tuple(curve)


def _towards(a: Point, b: Point, radius: float) -> Point:
    """Where the circle around a is left on the way to b."""
    length = hypot(b[0] - a[0], b[1] - a[1]) or 1.0
    return a[0] + (b[0] - a[0]) * radius / length, a[1] + (b[1] - a[1]) * radius / length


def routed(units: int, links: Sequence[tuple[int, int]], radius: float) -> tuple[list[Point], list[tuple[Point, ...]]]:
    """The units of any acyclic graph, and curves that go round those between their ends.

    Args:
        units: how many.
        links: (source, target) of each line; a source comes before its targets.
        radius: of a unit.
    """
    # The layered layout finds the order of the units in a column, and a free way past the others.
    size = (2 * radius, 2 * radius + 26.0)
    asked = LayoutInput([size] * units, [(a, b, 70.0, 14.0) for a, b in links], [], [None] * units, "LR")
    placed = layered(asked)
    at = list(placed.boxes)
    middles = sorted({round(x, 3) for x, _ in at})
    curves = []
    for (a, b), arrow in zip(links, placed.arrows, strict=True):
        between = [x for x in middles if at[a][0] + 1 < x < at[b][0] - 1]
        curves.append(through([at[a], *((x, _height(arrow.points, x)) for x in between), at[b]], radius))
    return at, curves


def _height(curve: Sequence[Point], x: float) -> float:
    """Where Bezier curves from left to right pass x; in a column that they pass they run level."""
    ends = curve[::3]
    return min(ends, key=lambda point: abs(point[0] - x))[1]
