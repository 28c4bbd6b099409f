"""Our own layout, in layers: what draws when Graphviz is not there, and wherever there are frames.

After K. Sugiyama, S. Tagawa and M. Toda (1981): rows, an order within the rows, coordinates; last a curve for an edge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from autograd_lite.pictures.layout.coordinates import APART, Vector, across, down, settled
from autograd_lite.pictures.layout.geometry import Arrow, Layout, LayoutInput, Point
from autograd_lite.pictures.layout.ordering import ordered
from autograd_lite.pictures.layout.rows import Item, Rows


def layered(asked: LayoutInput, stagger: int = 1) -> Layout:
    """Lay boxes, edges and frames out.

    Args:
        asked: what to lay out.
        stagger: rows for the leaves of one box: with 2, every other one is a row lower, in half the width.
    """
    rows = Rows(asked, stagger)
    order = ordered(rows)
    at, sides = across(rows, order)
    tops, bottoms, before, beyond = down(rows, order)
    corners = [
        (sides[2 * f], tops[top] - before[f], sides[2 * f + 1], bottoms[bottom] + beyond[f])
        for f, (top, bottom) in enumerate(rows.spans)
    ]
    # The extent of the whole, from which (across, down) becomes (x, y).
    halves = [(i, item.size[0] / 2) for i, item in enumerate(rows.items) if item.size[0]]
    reach = [at[i] - half for i, half in halves] + [at[i] + half for i, half in halves]
    reach += [side for corner in corners for side in (corner[0], corner[2])]
    low, high = min(reach), max(reach)
    end = max([bottoms[-1], *(corner[3] for corner in corners)])

    def point(u: float, v: float) -> Point:
        return (end - v, u - low) if rows.turned else (u - low, v)

    middles = [(tops[item.row] + bottoms[item.row]) / 2 for item in rows.items]
    arrows = _arrows(rows, at, middles, tops, bottoms, point)
    boxes = tuple(point(at[i], middles[i]) for i in range(len(asked.boxes)))
    frames = []
    for u0, v0, u1, v1 in corners:
        (x0, y0), (x1, y1) = point(u0, v0), point(u1, v1)
        frames.append((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
    width, height = (end, high - low) if rows.turned else (high - low, end)
    return Layout(width, height, boxes, tuple(arrows), tuple(frames))


def _arrows(
    rows: Rows, at: Vector, middles: Vector, tops: Vector, bottoms: Vector, point: Callable[[float, float], Point]
) -> list[Arrow]:
    """A curve for each edge, through its points, with ends spread along the sides of its boxes."""
    items = rows.items
    upper: dict[int, list[tuple[float, int]]] = {}
    lower: dict[int, list[tuple[float, int]]] = {}
    for i, route in enumerate(rows.routes):
        if len(route) > 1:
            upper.setdefault(route[0], []).append((at[route[1]], i))
            lower.setdefault(route[-1], []).append((at[route[-2]], i))
    ends = _spread(upper, at, items), _spread(lower, at, items)
    arrows = []
    looped: dict[int, float] = {}
    for i, (a, b, *label) in enumerate(rows.asked.edges):
        route = rows.routes[i]
        if a == b:
            extent = rows.turn((label[0], label[1]))[0]
            arrows.append(_loop(rows, a, at[a], middles[a], looped, extent, point))
            continue
        # Through a row of boxes straight down, from its top to its bottom: a slant would cut into the neighbours.
        line = [(ends[0][i], middles[route[0]] + items[route[0]].size[1] / 2)]
        for j in route[1:-1]:
            row = items[j].row
            line += [(at[j], middles[j])] if row % 2 else [(at[j], tops[row]), (at[j], bottoms[row])]
        line.append((ends[1][i], middles[route[-1]] - items[route[-1]].size[1] / 2))
        if route[0] == b:
            line.reverse()  # from the operand up to its user
        curve = _curve(line, [0, *(items[j].row for j in route[1:-1] for _ in range(2 - items[j].row % 2)), 0])
        where = point(at[route[1]], middles[route[1]])  # of a route without points: its end, and there is no label
        arrows.append(Arrow(tuple(point(u, v) for u, v in curve), where))
    return arrows


def _loop(
    rows: Rows,
    box: int,
    u: float,
    v: float,
    looped: dict[int, float],
    extent: float,
    point: Callable[[float, float], Point],
) -> Arrow:
    """The arrow of a box to itself, beside it; several of one box lie around each other."""
    half = rows.items[box].size[0] / 2 - rows.loops[box]
    out = looped.get(box, 0.0) + 16
    looped[box] = out + extent
    side, far = u + half, u + half + out * 4 / 3
    curve = [(side, v - 10), (far, v - 16), (far, v + 16), (side, v + 10)]
    return Arrow(tuple(point(*p) for p in curve), point(side + out + extent / 2, v))


def _curve(line: Sequence[Point], rows: Sequence[int]) -> list[Point]:
    """Bezier curves through points: straight down at boxes and past them, slanting where a label is."""
    slopes = [0.0] * len(line)
    for i in range(1, len(line) - 1):
        if rows[i] % 2:
            (u0, v0), (u1, v1) = line[i - 1], line[i + 1]
            slopes[i] = (u1 - u0) / (v1 - v0)
    curve = [line[0]]
    for i, ((u0, v0), (u1, v1)) in enumerate(pairwise(line)):
        third = (v1 - v0) * 0.4
        curve += [(u0 + slopes[i] * third, v0 + third), (u1 - slopes[i + 1] * third, v1 - third), (u1, v1)]
    return curve


def _spread(ends: dict[int, list[tuple[float, int]]], at: Vector, items: Sequence[Item]) -> dict[int, float]:
    """Where along the side of its box each edge ends: straight above or below where it comes from, if it can."""
    found = {}
    for box, edges in ends.items():
        edges.sort()
        half = max(items[box].size[0] / 2 - 9.0, 0.0)
        low, high = at[box] - half, at[box] + half
        gap = min(APART, 2 * half / max(len(edges) - 1, 1))
        wish = [min(max(x, low), high) for x, _ in edges]
        places = settled(wish, [1.0] * len(edges), [gap] * (len(edges) - 1))
        # Kept on the side of the box from both corners, in the same order.
        places = [max(x, low + k * gap) for k, x in enumerate(places)]
        last = len(places) - 1
        for k, (_, i) in enumerate(edges):
            found[i] = min(places[k], high - (last - k) * gap)
    return found
