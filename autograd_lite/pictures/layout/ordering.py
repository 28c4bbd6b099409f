"""Second step of the layered layout: the order within each row, with few crossings."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from autograd_lite.pictures.layout.rows import Rows

SWEEPS = 24
"""Passes over all rows, down and up in turn."""


def ordered(rows: Rows) -> list[list[int]]:
    """The items of each row in order: again and again each goes to the middle of its neighbours (barycentres)."""
    items = rows.items
    at = [float(i) for i in range(len(items))]
    for route in rows.routes:  # a point of an edge begins where its operand is
        for i in route[1:-1]:
            at[i] = at[route[-1]]
    order = _sorted(rows, at)
    best, fewest = order, _crossings(rows, order)
    before: list[list[list[int]]] = [[], []]
    for sweep in range(SWEEPS):
        if not fewest or order == before[0]:  # nothing better will come, or what came two sweeps ago
            break
        before = [before[1], order]
        down = sweep % 2 == 0
        at = positions(order, len(items))
        for row in order if down else reversed(order):
            for i in row:
                near = items[i].above if down else items[i].below
                if near:
                    at[i] = sum(at[j] for j in near) / len(near)
        order = _sorted(rows, at)
        crossings = _crossings(rows, order)
        if crossings < fewest:
            best, fewest = order, crossings
    return best


def _sorted(rows: Rows, at: Sequence[float]) -> list[list[int]]:
    """Rows ordered by where their items would be, those of a frame side by side and in every row alike.

    Frames go by the mean of all that is in them. By their items in the row alone, two frames could change sides from
    one row to the next, and would lie over each other.
    """
    sums = [[0.0, 0.0] for _ in rows.around]
    for i, item in enumerate(rows.items):
        if item.size[0]:
            for frame in item.frames:
                sums[frame][0] += at[i]
                sums[frame][1] += 1
    middle = [total / n if n else 0.0 for total, n in sums]
    order: list[list[int]] = [[] for _ in range(max((item.row for item in rows.items), default=0) + 1)]
    for i, item in enumerate(rows.items):
        order[item.row].append(i)
    for row in order:
        row.sort(key=lambda i: [*((middle[f], f) for f in rows.items[i].frames), (at[i], i)])
    return order


def _crossings(rows: Rows, order: Sequence[Sequence[int]]) -> int:
    """How many pairs of edges cross between two rows."""
    at = positions(order, len(rows.items))
    total = 0
    for row in order:
        ends: list[float] = []  # lower ends of the edges so far, sorted: an edge crosses those beyond its own
        for i in row:
            below = sorted(at[j] for j in rows.items[i].below)
            total += sum(len(ends) - bisect_left(ends, x + 0.5) for x in below)
            for x in below:
                insort(ends, x)
    return total


def positions(order: Sequence[Sequence[int]], n: int) -> list[float]:
    """The place of each item in its row, counted from the middle of the row."""
    at = [0.0] * n
    for row in order:
        for place, i in enumerate(row):
            at[i] = place - (len(row) - 1) / 2
    return at
