"""Our own layout, in layers: what draws when Graphviz is not there.

Boxes go in rows by their longest way to the root, and between two rows of boxes runs a row of edge
labels. An edge that passes a row has a point of its own in it, so that no edge runs through a box and no
label covers another. Frames take a strip across the rows that they span: nothing else enters it.

Everything is worked out in two coordinates: `across` a row, and `down` from the root. "BT" takes them
as x and y; "LR" turns the picture.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

from autograd_lite.pictures.layout.geometry import FRAME_TITLE, Arrow, Placed, Point, Unplaced, depths, stacking

BESIDE = 12.0
"""Between two boxes of a row."""

BETWEEN = 14.0
"""Between a row of boxes and a row of labels."""

PAD = 9.0
"""Between a frame and what is in it."""

THIN = 4.0
"""What an edge takes of a row that it passes."""

LOW = 30.0
"""Height of a box that fits among the labels, as that of a bare number does."""

SWEEPS, SETTLINGS = 24, 300

MOST_POINTS = 20_000
"""Points on long edges; with more of them, edges run straight past the rows."""


Vector = list[float]


@dataclass
class Item:
    """What takes room in a row: a box, a point of an edge (with or without its label), or the trace of a frame.

    Args:
        row: even for boxes, odd for labels; 0 has the root.
        size: its extent across and down.
        frames: the frames around it, outermost first.
    """

    row: int
    size: tuple[float, float]
    frames: tuple[int, ...]
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    box: bool = False


def layered(plan: Unplaced, stagger: int = 1) -> Placed:
    """Lay a plan out.

    Args:
        plan: what to lay out.
        stagger: rows for the leaves of one box: with 2, every other one stands a row lower, in half the width.
    """
    return _Layout(plan, stagger).placed()


class _Layout:
    def __init__(self, plan: Unplaced, stagger: int) -> None:
        self.plan, self.turned, self.stagger = plan, plan.direction == "LR", stagger
        self.around: list[tuple[int, ...]] = []
        for i, (parent, _) in enumerate(plan.frames):
            self.around.append((*(self.around[parent] if parent is not None else ()), i))
        self.loops = self._loops()
        self.items = self._boxes()
        self.spans = self._spans()
        self.ways = [self._way(i) for i in range(len(plan.edges))]
        for frame, (first, last) in enumerate(self.spans):
            self.items += [Item(row, (0.0, 0.0), self.around[frame]) for row in range(first, last + 1)]

    def _turned(self, size: tuple[float, float]) -> tuple[float, float]:
        return (size[1], size[0]) if self.turned else size

    # -- rows

    def _boxes(self) -> list[Item]:
        forward = [(min(a, b), max(a, b)) for a, b, _, _ in self.plan.edges if a != b]
        uses = Counter(a for a, *_ in self.plan.edges)
        leaves = set(range(len(self.plan.boxes))) - {b for _, b, _, _ in self.plan.edges}
        # A leaf that a step back takes, as the seed of a Program's gradient, stands above its user: no row below it.
        single = [(a, b, w) for a, b, w, _ in self.plan.edges if a in leaves and uses[a] == 1 and a < b]
        literals = {a for a, _, w in single if not w and self.plan.boxes[a][1] <= LOW}
        once = {a: b for a, b, _ in single if a not in literals}
        depth = depths(len(self.plan.boxes), [*forward, *stacking(self.plan), *self._staggered(once)])
        items = []
        for i, size in enumerate(self.plan.boxes):
            frame = self.plan.inside[i]
            across, down = self._turned(size)
            across += 2 * self.loops.get(i, 0.0)
            frames = self.around[frame] if frame is not None else ()
            row = 2 * depth[i] - (i in literals)  # small, and without a label: it fits among the labels
            items.append(Item(row, (across, down), frames, box=True))
        return items

    def _staggered(self, users: Mapping[int, int]) -> list[tuple[int, int]]:
        """Pairs of leaves, the second to be above the first, that give those of one user several rows."""
        groups: dict[tuple[int, int | None], list[int]] = {}
        for leaf, user in sorted(users.items()):
            groups.setdefault((user, self.plan.inside[leaf]), []).append(leaf)
        runs = [group for group in groups.values() if len(group) > self.stagger]
        return [(b, a) for run in runs for i, (a, b) in enumerate(pairwise(run), 1) if i % self.stagger]

    def _loops(self) -> dict[int, float]:
        """How much room the edges of a box to itself take beside it."""
        room: dict[int, float] = {}
        for a, b, *label in self.plan.edges:
            if a == b:
                room[a] = room.get(a, 0.0) + 16 + self._turned((label[0], label[1]))[0]
        return room

    def _spans(self) -> list[tuple[int, int]]:
        """The first and the last row of each frame."""
        spans = [(1 << 60, -1)] * len(self.around)
        for item in self.items:
            for frame in item.frames:
                first, last = spans[frame]
                spans[frame] = (min(first, item.row), max(last, item.row))
        return spans

    def _way(self, i: int) -> list[int]:
        """The items that edge i visits from its user down to its operand (or the other way, for a step back)."""
        a, b, *label = self.plan.edges[i]
        if a == b:
            return [a]
        low, high = (a, b) if self.items[a].row > self.items[b].row else (b, a)
        way, bottom, top = [high], self.items[low].row, self.items[high].row
        rows: Iterable[int] = range(top + 1, bottom)
        if len(self.items) > MOST_POINTS and bottom - top > 4:
            rows = (top + 1, bottom - 1)
        for row in rows:
            size = self._turned((label[0], label[1])) if row == top + 1 and label[0] else (THIN, 0.0)
            frames = max(self._inside(high, row), self._inside(low, row), key=len)
            way.append(len(self.items))
            self.items.append(Item(row, size, frames))
        way.append(low)
        for upper, lower in pairwise(way):
            self.items[upper].below.append(lower)
            self.items[lower].above.append(upper)
        return way

    def _inside(self, box: int, row: int) -> tuple[int, ...]:
        """The frames around a box that reach to a row."""
        frames = self.items[box].frames
        n = 0
        while n < len(frames) and self.spans[frames[n]][0] <= row <= self.spans[frames[n]][1]:
            n += 1
        return frames[:n]

    # -- the order within each row

    def _ordered(self) -> list[list[int]]:
        """Rows with few crossings: again and again each item goes to the middle of its neighbours."""
        items = self.items
        at: Vector = [float(i) for i in range(len(items))]
        for way in self.ways:  # a point of an edge begins where its operand is
            for i in way[1:-1]:
                at[i] = at[way[-1]]
        rows = self._sorted(at)
        best, fewest = rows, self._crossings(rows)
        before: list[list[list[int]]] = [[], []]
        for sweep in range(SWEEPS):
            if not fewest or rows == before[0]:  # nothing better is to come, or what came two sweeps ago
                break
            before = [before[1], rows]
            down = sweep % 2 == 0
            at = _places(rows, len(items))
            for row in rows if down else reversed(rows):
                for i in row:
                    near = items[i].above if down else items[i].below
                    if near:
                        at[i] = sum(at[j] for j in near) / len(near)
            rows = self._sorted(at)
            crossings = self._crossings(rows)
            if crossings < fewest:
                best, fewest = rows, crossings
        return best

    def _sorted(self, at: Vector) -> list[list[int]]:
        """Rows ordered by where their items would be, those of a frame side by side and in every row alike."""
        sums = [[0.0, 0.0] for _ in self.around]
        for i, item in enumerate(self.items):
            if item.size[0]:
                for frame in item.frames:
                    sums[frame][0] += at[i]
                    sums[frame][1] += 1
        middle = [total / n if n else 0.0 for total, n in sums]
        rows: list[list[int]] = [[] for _ in range(max((item.row for item in self.items), default=0) + 1)]
        for i, item in enumerate(self.items):
            rows[item.row].append(i)
        for row in rows:
            row.sort(key=lambda i: [*((middle[f], f) for f in self.items[i].frames), (at[i], i)])
        return rows

    def _crossings(self, rows: list[list[int]]) -> int:
        places = _places(rows, len(self.items))
        total = 0
        for row in rows:
            ends: list[float] = []
            for i in row:
                below = sorted(places[j] for j in self.items[i].below)
                total += sum(len(ends) - bisect_left(ends, x + 0.5) for x in below)
                for x in below:
                    insort(ends, x)
        return total

    # -- places across the rows

    def _constraints(self, rows: list[list[int]]) -> list[tuple[int, int, float]]:
        """(a, b, d): b is at least d beyond a. After the items come, for each frame, its two sides."""
        items, n = self.items, len(self.items)

        def left(frame: int) -> int:
            return n + 2 * frame

        def right(frame: int) -> int:
            return n + 2 * frame + 1

        first = PAD + (FRAME_TITLE if self.turned else 0.0)
        found = []
        for i, item in enumerate(items):
            if item.frames:
                found.append((left(item.frames[-1]), i, first + item.size[0] / 2))
                found.append((i, right(item.frames[-1]), PAD + item.size[0] / 2))
        for frame, (parent, _) in enumerate(self.plan.frames):
            found.append((left(frame), right(frame), self._wide(frame)))
            if not self.turned:
                found.append((self.leftmost[frame], right(frame), self._titled(frame)))
            if parent is not None:
                found.append((left(parent), left(frame), first))
                found.append((right(frame), right(parent), PAD))
        for row in rows:
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

    def _wide(self, frame: int) -> float:
        """What the title of a frame needs across, where it runs across."""
        return 2 * PAD + (0.0 if self.turned else self.plan.frames[frame][1])

    def _titled(self, frame: int) -> float:
        """How far the title of a frame reaches beyond the middle of the item at its left."""
        item = self.items[self.leftmost[frame]]
        return self._wide(frame) - item.size[0] / 2 - PAD * (len(item.frames) - item.frames.index(frame))

    def _leftmost(self, rows: list[list[int]]) -> list[int]:
        """For each frame the item in it that stands first in its row, counted from the middle of the rows."""
        places = _places(rows, len(self.items))
        inside: list[list[int]] = [[] for _ in self.around]
        for i, item in enumerate(self.items):
            if item.size[0]:
                for frame in item.frames:
                    inside[frame].append(i)
        return [min(members, key=places.__getitem__) for members in inside]

    def _across(self, rows: list[list[int]]) -> tuple[Vector, Vector]:
        """The middle of each item, and the two sides of each frame.

        Each item moves to the middle of its neighbours, and two that come too near move apart, the lighter one
        more. That leaves some distances a little short. Pushing what is in the way to the right, or to
        the left, gives two placements that keep every distance; so does their mean, which is taken in the end.
        """
        items, n = self.items, len(self.items)
        size = n + 2 * len(self.around)
        following: list[list[tuple[int, float]]] = [[] for _ in range(size)]
        waiting = [0] * size
        self.leftmost = self._leftmost(rows)
        distances = self._constraints(rows)
        for a, b, d in distances:
            following[a].append((b, d))
            waiting[b] += 1
        order = [i for i in range(size) if not waiting[i]]
        for i in order:  # which grows meanwhile
            for j, _ in following[i]:
                waiting[j] -= 1
                if not waiting[j]:
                    order.append(j)

        def settled(wish: Vector) -> Vector:
            right, left = [*wish, *[-inf] * (size - n)], [*wish, *[inf] * (size - n)]
            for i in order:
                for j, d in following[i]:
                    right[j] = max(right[j], right[i] + d)
            for i in reversed(order):
                for j, d in following[i]:
                    left[i] = min(left[i], left[j] - d)
            return [(a + b) / 2 for a, b in zip(right[:n], left[:n], strict=True)]

        def pull(i: int, j: int) -> tuple[int, float]:
            """An edge between its points is kept straight; a box goes above its results more than its leaves."""
            if not items[i].box and not items[j].box:
                return j, 8.0
            ends = items[i], items[j]
            if any(item.box and not item.below for item in ends):
                return j, 0.5
            upper, lower = ends if items[i].row < items[j].row else ends[::-1]
            return j, 6.0 if len(upper.below) == len(lower.above) == 1 else 2.0

        pulls = [[pull(i, j) for j in (*item.above, *item.below)] for i, item in enumerate(items)]
        totals = [sum(weight for _, weight in near) for near in pulls]
        mass = [1e-3 + total for total in totals] + [0.5] * (size - n)
        at = settled([0.0] * n)
        where = at + [0.0] * (size - n)
        for frame in range(len(self.around)):
            inside = [at[i] for i, item in enumerate(items) if frame in item.frames]
            where[n + 2 * frame], where[n + 2 * frame + 1] = min(inside), max(inside)
        for _ in range(max(20, min(SETTLINGS, 200_000 // size))):
            for i, near in enumerate(pulls):
                if near:
                    where[i] += 0.5 * (sum(where[j] * weight for j, weight in near) / totals[i] - where[i])
            for a, b, d in distances:
                short = d - (where[b] - where[a])
                if short > 0.0:
                    share = mass[a] / (mass[a] + mass[b])
                    where[a] -= short * (1.0 - share)
                    where[b] += short * share
        at = settled(self._apart(where, distances))
        # Keeping the distances has moved boxes, and with them the points of edges beside them; the points between
        # two rows, which nothing has pushed, follow.
        for i, item in enumerate(items):
            if item.row % 2 and not item.box and 0.0 < item.size[0] <= THIN:
                beside = [at[j] for j in (*item.above, *item.below)]
                at[i] = sum(beside) / len(beside)
        at = settled(at)
        sides = [inf, -inf] * len(self.around)
        first = PAD + (FRAME_TITLE if self.turned else 0.0)
        for frame in reversed(range(len(self.around))):
            for i, item in enumerate(items):
                if item.frames and item.frames[-1] == frame and item.size[0]:
                    sides[2 * frame] = min(sides[2 * frame], at[i] - item.size[0] / 2 - first)
                    sides[2 * frame + 1] = max(sides[2 * frame + 1], at[i] + item.size[0] / 2 + PAD)
            parent, _ = self.plan.frames[frame]
            sides[2 * frame + 1] = max(sides[2 * frame + 1], sides[2 * frame] + self._wide(frame))
            if parent is not None:
                sides[2 * parent] = min(sides[2 * parent], sides[2 * frame] - first)
                sides[2 * parent + 1] = max(sides[2 * parent + 1], sides[2 * frame + 1] + PAD)
        return at, sides

    def _apart(self, where: Vector, distances: list[tuple[int, int, float]]) -> Vector:
        """Frames that lie side by side and have come to overlap, moved apart with all that is in them.

        Edges between two frames pull their items towards each other, more than the light sides can hold.
        """
        items, n = self.items, len(self.items)
        members: list[list[int]] = [[] for _ in self.around]
        for i, item in enumerate(items):
            for frame in item.frames:
                members[frame].append(i)
        beside = {(a, b): d for a, b, d in distances if a >= n and b >= n and (b - n) % 2 < (a - n) % 2}
        for (a, b), d in sorted(beside.items()):
            left, right = members[(a - n) // 2], members[(b - n) // 2]
            end = max(where[i] + items[i].size[0] / 2 for i in left) + PAD
            if not self.turned:
                end = max(end, where[self.leftmost[(a - n) // 2]] + self._titled((a - n) // 2))
            start = min(where[i] - items[i].size[0] / 2 for i in right) - PAD
            short = (d - (start - end)) / 2
            if short > 0.0:
                for i in left:
                    where[i] -= short
                for i in right:
                    where[i] += short
        return where[:n]

    # -- places down the rows

    def _down(self, rows: list[list[int]]) -> tuple[Vector, Vector, list[float], list[float]]:
        """Top and bottom of each row, and how far each frame reaches beyond its first and last row."""
        first = PAD + (0.0 if self.turned else FRAME_TITLE)
        before, beyond = [first] * len(self.around), [PAD] * len(self.around)
        above, under = [0.0] * len(rows), [0.0] * len(rows)
        for frame in reversed(range(len(self.around))):
            parent, (top, bottom) = self.plan.frames[frame][0], self.spans[frame]
            above[top] = max(above[top], before[frame])
            under[bottom] = max(under[bottom], beyond[frame])
            if parent is not None:
                if self.spans[parent][0] == top:
                    before[parent] = max(before[parent], before[frame] + first)
                if self.spans[parent][1] == bottom:
                    beyond[parent] = max(beyond[parent], beyond[frame] + PAD)
        tops, bottoms, here = [], [], 0.0
        for i, row in enumerate(rows):
            here += above[i] + (BETWEEN if i else 0.0)
            tops.append(here)
            here += max((self.items[j].size[1] for j in row), default=0.0)
            bottoms.append(here)
            here += under[i]
        return tops, bottoms, before, beyond

    # -- all of it

    def placed(self) -> Placed:
        rows = self._ordered()
        across, sides = self._across(rows)
        tops, bottoms, before, beyond = self._down(rows)
        n = len(self.plan.boxes)
        down = [(tops[item.row] + bottoms[item.row]) / 2 for item in self.items]
        corners = [
            (sides[2 * f], tops[top] - before[f], sides[2 * f + 1], bottoms[bottom] + beyond[f])
            for f, (top, bottom) in enumerate(self.spans)
        ]
        halves = [(i, item.size[0] / 2) for i, item in enumerate(self.items) if item.size[0]]
        reach = [across[i] - half for i, half in halves] + [across[i] + half for i, half in halves]
        reach += [side for corner in corners for side in (corner[0], corner[2])]
        low, high = min(reach), max(reach)
        end = max([bottoms[-1], *(c[3] for c in corners)])

        def point(u: float, v: float) -> Point:
            return (end - v, u - low) if self.turned else (u - low, v)

        arrows = self._arrows(across, down, tops, bottoms, point)
        boxes = tuple(point(across[i], down[i]) for i in range(n))
        frames = []
        for u0, v0, u1, v1 in corners:
            (x0, y0), (x1, y1) = point(u0, v0), point(u1, v1)
            frames.append((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
        width, height = (end, high - low) if self.turned else (high - low, end)
        return Placed(width, height, boxes, tuple(arrows), tuple(frames))

    def _arrows(self, across: Vector, down: Vector, tops: Vector, bottoms: Vector, point: object) -> list[Arrow]:
        """A curve for each edge, through its points, with ends spread along the sides of its boxes."""
        assert callable(point)
        into: dict[int, list[tuple[float, int]]] = {}
        out: dict[int, list[tuple[float, int]]] = {}
        for i, way in enumerate(self.ways):
            if len(way) > 1:
                into.setdefault(way[0], []).append((across[way[1]], i))
                out.setdefault(way[-1], []).append((across[way[-2]], i))
        ends = _spread(into, across, self.items), _spread(out, across, self.items)
        arrows = []
        looped: dict[int, float] = {}
        for i, (a, b, *label) in enumerate(self.plan.edges):
            way = self.ways[i]
            if a == b:
                extent = self._turned((label[0], label[1]))[0]
                arrows.append(self._loop(a, across[a], down[a], looped, extent, point))
                continue
            line = [(ends[0][i], down[way[0]] + self.items[way[0]].size[1] / 2)]
            for j in way[1:-1]:
                row = self.items[j].row
                line += [(across[j], down[j])] if row % 2 else [(across[j], tops[row]), (across[j], bottoms[row])]
            line.append((ends[1][i], down[way[-1]] - self.items[way[-1]].size[1] / 2))
            if way[0] == b:
                line.reverse()  # from the operand up to its user
            curve = _curve(
                line, [0, *(self.items[j].row for j in way[1:-1] for _ in range(2 - self.items[j].row % 2)), 0]
            )
            at = point(across[way[1]], down[way[1]])  # of a way without points: its end, and there is no label
            arrows.append(Arrow(tuple(point(u, v) for u, v in curve), at))
        return arrows

    def _loop(self, box: int, u: float, v: float, looped: dict[int, float], extent: float, point: object) -> Arrow:
        """The arrow of a box to itself, beside it."""
        assert callable(point)
        half = self.items[box].size[0] / 2 - self.loops[box]
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


def _places(rows: Sequence[Sequence[int]], n: int) -> Vector:
    """Where each item stands in its row, in the middle of the widest one."""
    at = [0.0] * n
    for row in rows:
        for place, i in enumerate(row):
            at[i] = place - (len(row) - 1) / 2
    return at


def _spread(ends: dict[int, list[tuple[float, int]]], across: Vector, items: Sequence[Item]) -> dict[int, float]:
    """Where along the side of its box each edge ends: in the order in which the edges arrive."""
    found = {}
    for box, edges in ends.items():
        step = min(22.0, 0.86 * items[box].size[0] / len(edges))
        for k, (_, i) in enumerate(sorted(edges)):
            found[i] = across[box] + (k - (len(edges) - 1) / 2) * step
    return found
