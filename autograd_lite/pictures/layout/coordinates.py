"""Third step of the layered layout: where items and frames are, across the rows and down.

Across, every two neighbours keep a distance (`_distances`). Items are first pulled towards what they are linked with
(`_pulled`); with frames this leaves some distances a little short, and they are moved as little as keeping them takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf

from autograd_lite.pictures.layout.geometry import FRAME_TITLE
from autograd_lite.pictures.layout.ordering import positions
from autograd_lite.pictures.layout.rows import PAD, Item, Rows

BESIDE = 12.0
"""Between two boxes of a row."""

BETWEEN = 14.0
"""Between a row of boxes and a row of labels."""

APART = 13.0
"""Between two ends on the side of a box, so that no head of an arrow covers another."""

STRAIGHTENINGS = 40
"""Rounds of straightening edges."""

SETTLINGS, FRAME_SETTLINGS = 60, 300
"""Rounds of pulling."""

Vector = list[float]

Distance = tuple[int, int, float]
"""(a, b, d): b is at least d beyond a. After the items come, for each frame, its two sides."""


def across(rows: Rows, order: Sequence[Sequence[int]]) -> tuple[Vector, Vector]:
    """The middle of each item, and the two sides of each frame."""
    items = rows.items
    leftmost = _leftmost(rows, order)
    distances = _distances(rows, order, leftmost)
    constraints = _Constraints(len(items), len(items) + 2 * len(rows.around), distances)
    begun = constraints.kept([0.0] * len(items))
    where = _pulled_in_frames(rows, distances, begun) if rows.around else _pulled(rows, order, begun)
    at = constraints.kept(_frames_apart(rows, where, distances, leftmost))
    # Keeping the distances has moved boxes, and with them the points of edges beside them: an edge has kinks there.
    _straightened(rows, distances, at)
    at = constraints.kept(at)
    return at, _sides(rows, at)


def _straightened(rows: Rows, distances: Sequence[Distance], at: Vector) -> None:
    """Move points of edges, as far as the distances allow, onto the way between the points before and after."""
    items = rows.items
    free = [i for i, item in enumerate(items)
            if not item.box and item.size[0] > 0.0 and len(item.above) == len(item.below) == 1]  # fmt: skip
    before: dict[int, list[tuple[int, float]]] = {i: [] for i in free}
    after: dict[int, list[tuple[int, float]]] = {i: [] for i in free}
    for a, b, d in distances:
        if b in before:
            before[b].append((a, d))
        if a in after:
            after[a].append((b, d))
    where = [*at, *_sides(rows, at)]
    for _ in range(max(4, min(STRAIGHTENINGS, 200_000 // max(len(items), 1)))):
        for i in free:
            upper, lower = items[i].above[0], items[i].below[0]
            wish = (at[upper] * (items[lower].row - items[i].row) + at[lower] * (items[i].row - items[upper].row)) / (
                items[lower].row - items[upper].row
            )
            low = max([where[a] + d for a, d in before[i]], default=-inf)
            high = min([where[b] - d for b, d in after[i]], default=inf)
            if low <= high:
                at[i] = where[i] = min(max(wish, low), high)


# --- the distances ------------------------------------------------------------------------------------------


def _distances(rows: Rows, order: Sequence[Sequence[int]], leftmost: Sequence[int]) -> list[Distance]:
    items, n = rows.items, len(rows.items)

    def left(frame: int) -> int:
        return n + 2 * frame

    def right(frame: int) -> int:
        return n + 2 * frame + 1

    found = []
    for i, item in enumerate(items):
        if item.frames:
            found.append((left(item.frames[-1]), i, rows.before + item.size[0] / 2))
            found.append((i, right(item.frames[-1]), PAD + item.size[0] / 2))
    for frame, (parent, _) in enumerate(rows.asked.frames):
        found.append((left(frame), right(frame), _title_room(rows, frame)))
        if not rows.turned:
            found.append((leftmost[frame], right(frame), _title_reach(rows, frame, leftmost)))
        if parent is not None:
            found.append((left(parent), left(frame), rows.before))
            found.append((right(frame), right(parent), PAD))
    # Neighbours of a row: the outermost frames that they do not share keep the distance for them.
    for row in order:
        for i, j in pairwise(row):
            a, b = items[i], items[j]
            k = 0
            while k < min(len(a.frames), len(b.frames)) and a.frames[k] == b.frames[k]:
                k += 1
            before, half = (right(a.frames[k]), 0.0) if k < len(a.frames) else (i, a.size[0] / 2)
            after, other = (left(b.frames[k]), 0.0) if k < len(b.frames) else (j, b.size[0] / 2)
            gap = BESIDE if a.box or b.box else 5.0
            found.append((before, after, half + other + (gap if half and other else BESIDE)))
    return found


def _title_room(rows: Rows, frame: int) -> float:
    """What the title of a frame needs across, where it runs across."""
    return 2 * PAD + (0.0 if rows.turned else rows.asked.frames[frame][1])


def _title_reach(rows: Rows, frame: int, leftmost: Sequence[int]) -> float:
    """How far the title of a frame reaches beyond the middle of the item at its left."""
    item = rows.items[leftmost[frame]]
    return _title_room(rows, frame) - item.size[0] / 2 - PAD * (len(item.frames) - item.frames.index(frame))


def _leftmost(rows: Rows, order: Sequence[Sequence[int]]) -> list[int]:
    """For each frame the item in it that is first in its row, counted from the middle of the rows."""
    at = positions(order, len(rows.items))
    inside: list[list[int]] = [[] for _ in rows.around]
    for i, item in enumerate(rows.items):
        if item.size[0]:
            for frame in item.frames:
                inside[frame].append(i)
    return [min(members, key=at.__getitem__) for members in inside]


class _Constraints:
    """Distances to keep, in an order in which each comes after those that lead to it."""

    def __init__(self, items: int, size: int, distances: Sequence[Distance]) -> None:
        self.items, self.size = items, size
        self.following: list[list[tuple[int, float]]] = [[] for _ in range(size)]
        waiting = [0] * size
        for a, b, d in distances:
            self.following[a].append((b, d))
            waiting[b] += 1
        self.order = [i for i in range(size) if not waiting[i]]
        for i in self.order:  # which grows meanwhile
            for j, _ in self.following[i]:
                waiting[j] -= 1
                if not waiting[j]:
                    self.order.append(j)

    def kept(self, wish: Vector) -> Vector:
        """Places near those wished for that keep every distance.

        Pushing what is in the way to the right gives places that do, and so does pushing to the left; therefore
        their mean does. One of the two alone would lean the whole picture over to its side.
        """
        n, sides = self.items, self.size - self.items
        right, left = [*wish, *[-inf] * sides], [*wish, *[inf] * sides]
        for i in self.order:
            for j, d in self.following[i]:
                right[j] = max(right[j], right[i] + d)
        for i in reversed(self.order):
            for j, d in self.following[i]:
                left[i] = min(left[i], left[j] - d)
        return [(a + b) / 2 for a, b in zip(right[:n], left[:n], strict=True)]


# --- pulling ------------------------------------------------------------------------------------------------


def _pulled(rows: Rows, order: Sequence[Sequence[int]], at: Vector) -> Vector:
    """Each item as near as its neighbours in the row allow to the middle of what it is linked with.

    Row by row, down and up in turn, and each row at once: the places that differ least from those wished for, with
    every distance kept, are means of runs of items that touch (`settled`).
    """
    items = rows.items
    where = list(at)
    gaps = [_gaps(rows, row) for row in order]
    above = [[(j, _pull(items, i, j)) for j in item.above] for i, item in enumerate(items)]
    below = [[(j, _pull(items, i, j)) for j in item.below] for i, item in enumerate(items)]
    settlings = max(4, min(SETTLINGS, 100_000 // max(len(items), 1)))
    for sweep in range(settlings):
        down = sweep % 2 == 0
        both = sweep >= settlings // 3  # first rows follow the one before, so that a change travels all the way
        for r in range(len(order)) if down else reversed(range(len(order))):
            row = order[r]
            wish, weight = [], []
            for i in row:
                near = [*above[i], *below[i]] if both else above[i] if down else below[i]
                total = sum(w for _, w in near)
                wish.append(sum(where[j] * w for j, w in near) / total if total else where[i])
                weight.append(total or 0.05)
            for i, x in zip(row, settled(wish, weight, gaps[r]), strict=True):
                where[i] = x
    return where


def _gaps(rows: Rows, row: Sequence[int]) -> Vector:
    """The distances that the neighbours of a row keep, of a picture without frames."""
    pairs = [(rows.items[i], rows.items[j]) for i, j in pairwise(row)]
    return [(a.size[0] + b.size[0]) / 2 + (BESIDE if a.box or b.box else 5.0) for a, b in pairs]


def settled(wish: Sequence[float], weight: Sequence[float], gaps: Sequence[float]) -> Vector:
    """The places nearest to those wished for, by squares, that keep the distances (pool adjacent violators)."""
    blocks: list[list[float]] = []  # [mean of wish - offset, weight, how many]
    offset, offsets = 0.0, [0.0]
    for gap in gaps:
        offset += gap
        offsets.append(offset)
    for x, w, shift in zip(wish, weight, offsets, strict=False):
        blocks.append([x - shift, w, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, total, n = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * total) / (last[1] + total)
            last[1] += total
            last[2] += n
    places: Vector = []
    for mean, _, n in blocks:
        places += [mean] * int(n)
    return [x + shift for x, shift in zip(places, offsets, strict=False)]


def _pulled_in_frames(rows: Rows, distances: Sequence[Distance], at: Vector) -> Vector:
    """The same with frames, whose sides are pushed along: each item moves, and two that come too near move apart.

    The lighter one moves more: a box that many edges hold stays, and the point of one edge gives way.

    Returns:
        Places of the items, and after them of the two sides of each frame; some distances are a little short.
    """
    items, n = rows.items, len(rows.items)
    size = n + 2 * len(rows.around)
    pulls = [[(j, _pull(items, i, j)) for j in (*item.above, *item.below)] for i, item in enumerate(items)]
    totals = [sum(weight for _, weight in near) for near in pulls]
    mass = [1e-3 + total for total in totals] + [0.5] * (size - n)
    where = at + [0.0] * (size - n)
    low, high = [inf] * len(rows.around), [-inf] * len(rows.around)
    for i, item in enumerate(items):
        for frame in item.frames:
            low[frame], high[frame] = min(low[frame], at[i]), max(high[frame], at[i])
    for frame, ends in enumerate(zip(low, high, strict=True)):
        where[n + 2 * frame], where[n + 2 * frame + 1] = ends
    for _ in range(max(20, min(FRAME_SETTLINGS, 200_000 // size))):
        for i, near in enumerate(pulls):
            if near:
                where[i] += 0.5 * (sum(where[j] * weight for j, weight in near) / totals[i] - where[i])
        for a, b, d in distances:
            short = d - (where[b] - where[a])
            if short > 0.0:
                share = mass[a] / (mass[a] + mass[b])
                where[a] -= short * (1.0 - share)
                where[b] += short * share
    return where


def _pull(items: Sequence[Item], i: int, j: int) -> float:
    """How strongly two linked items pull: an edge stays straight; a box is above its operands more than its leaves."""
    if not items[i].box and not items[j].box:
        return 8.0
    ends = items[i], items[j]
    if any(item.box and not item.below for item in ends):
        return 0.5
    upper, lower = ends if items[i].row < items[j].row else ends[::-1]
    return 6.0 if len(upper.below) == len(lower.above) == 1 else 2.0


def _frames_apart(rows: Rows, where: Vector, distances: Sequence[Distance], leftmost: Sequence[int]) -> Vector:
    """Places of the items, with frames that overlap side by side moved apart with all that is in them.

    Edges between two frames pull their items towards each other, more than the light sides can hold.
    """
    items, n = rows.items, len(rows.items)
    members: list[list[int]] = [[] for _ in rows.around]
    for i, item in enumerate(items):
        for frame in item.frames:
            members[frame].append(i)
    beside = {(a, b): d for a, b, d in distances if a >= n and b >= n and (b - n) % 2 < (a - n) % 2}
    for (a, b), d in sorted(beside.items()):
        left, right = members[(a - n) // 2], members[(b - n) // 2]
        end = max(where[i] + items[i].size[0] / 2 for i in left) + PAD
        if not rows.turned:
            frame = (a - n) // 2
            end = max(end, where[leftmost[frame]] + _title_reach(rows, frame, leftmost))
        start = min(where[i] - items[i].size[0] / 2 for i in right) - PAD
        short = (d - (start - end)) / 2
        if short > 0.0:
            for i in left:
                where[i] -= short
            for i in right:
                where[i] += short
    return where[:n]


def _sides(rows: Rows, at: Sequence[float]) -> Vector:
    """Both sides of each frame, as near to what is in it as its padding and its title allow."""
    sides = [inf, -inf] * len(rows.around)
    for i, item in enumerate(rows.items):
        if item.frames and item.size[0]:
            frame = item.frames[-1]
            sides[2 * frame] = min(sides[2 * frame], at[i] - item.size[0] / 2 - rows.before)
            sides[2 * frame + 1] = max(sides[2 * frame + 1], at[i] + item.size[0] / 2 + PAD)
    for frame in reversed(range(len(rows.around))):  # a frame comes after the one around it: innermost first
        parent, _ = rows.asked.frames[frame]
        sides[2 * frame + 1] = max(sides[2 * frame + 1], sides[2 * frame] + _title_room(rows, frame))
        if parent is not None:
            sides[2 * parent] = min(sides[2 * parent], sides[2 * frame] - rows.before)
            sides[2 * parent + 1] = max(sides[2 * parent + 1], sides[2 * frame + 1] + PAD)
    return sides


# --- down ---------------------------------------------------------------------------------------------------


def down(rows: Rows, order: Sequence[Sequence[int]]) -> tuple[Vector, Vector, Vector, Vector]:
    """Top and bottom of each row, and how far each frame reaches beyond its first and last row."""
    first = PAD + (0.0 if rows.turned else FRAME_TITLE)
    before, beyond = [first] * len(rows.around), [PAD] * len(rows.around)
    above, under = [0.0] * len(order), [0.0] * len(order)
    for frame in reversed(range(len(rows.around))):
        parent, (top, bottom) = rows.asked.frames[frame][0], rows.spans[frame]
        above[top] = max(above[top], before[frame])
        under[bottom] = max(under[bottom], beyond[frame])
        # Where a frame begins in the first row of the one around it, both titles need room, one above the other.
        if parent is not None:
            if rows.spans[parent][0] == top:
                before[parent] = max(before[parent], before[frame] + first)
            if rows.spans[parent][1] == bottom:
                beyond[parent] = max(beyond[parent], beyond[frame] + PAD)
    tops, bottoms, here = [], [], 0.0
    for i, row in enumerate(order):
        here += above[i] + (BETWEEN if i else 0.0)
        tops.append(here)
        here += max((rows.items[j].size[1] for j in row), default=0.0)
        bottoms.append(here)
        here += under[i]
    return tops, bottoms, before, beyond
