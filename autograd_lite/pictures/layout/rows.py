"""First step of the layered layout: the row of each box, the points of edges in between, the rows of each frame.

A box is in the row of its longest way to the root, and between two rows of boxes runs a row of edge labels. An edge
that passes a row has a point of its own in it, so that no edge runs through a box and no label covers another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from autograd_lite.pictures.layout.geometry import FRAME_TITLE, LayoutInput, frame_edges, longest_paths, shortened

PAD = 9.0
"""Between a frame and what is in it."""

THIN = 4.0
"""What an edge takes of a row that it passes."""

LOW = 30.0
"""Height of a box that fits among the labels, as that of a bare number does."""

MOST_POINTS = 20_000
"""Points on long edges; with more of them, edges run straight past the rows."""


@dataclass
class Item:
    """What takes room in a row: a box, a point of an edge (with or without its label), or the trace of a frame.

    Args:
        row: even for boxes, odd for labels; 0 has the root.
        size: its extent across and down.
        frames: the frames around it, outermost first.
        above, below: the items that edges lead to from it, by index.
    """

    row: int
    size: tuple[float, float]
    frames: tuple[int, ...]
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    box: bool = False


class Rows:
    """Everything that takes room, with its row: first the boxes, then the points of edges, then traces of frames.

    The coordinates are `across` a row, and `down` from the root. "BT" takes them as x and y; "LR" turns the picture.

    Attributes:
        around: for each frame those around it, outermost first, and itself.
        items: what takes room.
        spans: the first and the last row of each frame.
        routes: for each edge, the items that it visits.
        loops: how much room the edges of a box to itself take beside it.
    """

    asked: LayoutInput
    turned: bool

    def __init__(self, asked: LayoutInput, stagger: int) -> None:
        self.asked, self.turned = asked, asked.direction == "LR"
        self.around: list[tuple[int, ...]] = []
        for i, (parent, _) in enumerate(asked.frames):
            self.around.append((*(self.around[parent] if parent is not None else ()), i))
        self.loops: dict[int, float] = self._loops()
        self.items: list[Item] = self._boxes(stagger)
        self.spans: list[tuple[int, int]] = self._spans()
        self.routes: list[list[int]] = [self._route(i) for i in range(len(asked.edges))]
        # A frame takes room in every row that it spans, or a box of another would stand in the middle of it.
        for frame, (first, last) in enumerate(self.spans):
            self.items += [Item(row, (0.0, 0.0), self.around[frame]) for row in range(first, last + 1)]

    def turn(self, size: tuple[float, float]) -> tuple[float, float]:
        """A width and a height as (across, down)."""
        return (size[1], size[0]) if self.turned else size

    @property
    def before(self) -> float:
        """Between the first side of a frame across the rows and what is in it: its title runs there when turned."""
        return PAD + (FRAME_TITLE if self.turned else 0.0)

    def _boxes(self, stagger: int) -> list[Item]:
        asked = self.asked
        forward = [(min(a, b), max(a, b)) for a, b, _, _ in asked.edges if a != b]
        uses = Counter(a for a, *_ in asked.edges)
        leaves = set(range(len(asked.boxes))) - {b for _, b, _, _ in asked.edges}
        # A leaf that a step back takes, as the seed of a Program's gradient, is above its user: no row below it.
        single = [(a, b, w) for a, b, w, _ in asked.edges if a in leaves and uses[a] == 1 and a < b]
        literals = {a for a, _, w in single if not w and asked.boxes[a][1] <= LOW}
        once = {a: b for a, b, _ in single if a not in literals}
        below = [*forward, *frame_edges(asked), *self._staggered(once, stagger)]
        depth = shortened(longest_paths(len(asked.boxes), below), forward, below)
        items = []
        for i, size in enumerate(asked.boxes):
            frame = asked.inside[i]
            across, down = self.turn(size)
            across += 2 * self.loops.get(i, 0.0)
            frames = self.around[frame] if frame is not None else ()
            row = 2 * depth[i] - (i in literals)  # small, and without a label: it fits among the labels
            items.append(Item(row, (across, down), frames, box=True))
        return items

    def _staggered(self, users: Mapping[int, int], stagger: int) -> list[tuple[int, int]]:
        """Pairs of leaves, the second to be above the first, that give those of one user several rows."""
        groups: dict[tuple[int, int | None], list[int]] = {}
        for leaf, user in sorted(users.items()):
            groups.setdefault((user, self.asked.inside[leaf]), []).append(leaf)
        long = [group for group in groups.values() if len(group) >= stagger > 1]
        return [(b, a) for group in long for i, (a, b) in enumerate(pairwise(group), 1) if i % stagger]

    def _loops(self) -> dict[int, float]:
        room: dict[int, float] = {}
        for a, b, *label in self.asked.edges:
            if a == b:
                room[a] = room.get(a, 0.0) + 16 + self.turn((label[0], label[1]))[0]
        return room

    def _spans(self) -> list[tuple[int, int]]:
        spans = [(1 << 60, -1)] * len(self.around)
        for item in self.items:
            for frame in item.frames:
                first, last = spans[frame]
                spans[frame] = (min(first, item.row), max(last, item.row))
        return spans

    def _route(self, i: int) -> list[int]:
        """The items that edge i visits from its user down to its operand (or the other way, for a step back)."""
        a, b, *label = self.asked.edges[i]
        if a == b:
            return [a]
        low, high = (a, b) if self.items[a].row > self.items[b].row else (b, a)
        route, bottom, top = [high], self.items[low].row, self.items[high].row
        rows: Iterable[int] = range(top + 1, bottom)
        if len(self.items) > MOST_POINTS and bottom - top > 4:
            rows = (top + 1, bottom - 1)
        for row in rows:
            size = self.turn((label[0], label[1])) if row == top + 1 and label[0] else (THIN, 0.0)
            # In the frames of the end that is deeper inside: the edge leaves a frame where the frame ends.
            frames = max(self._inside(high, row), self._inside(low, row), key=len)
            route.append(len(self.items))
            self.items.append(Item(row, size, frames))
        route.append(low)
        for upper, lower in pairwise(route):
            self.items[upper].below.append(lower)
            self.items[lower].above.append(upper)
        return route

    def _inside(self, box: int, row: int) -> tuple[int, ...]:
        """The frames around a box that reach to a row."""
        frames = self.items[box].frames
        n = 0
        while n < len(frames) and self.spans[frames[n]][0] <= row <= self.spans[frames[n]][1]:
            n += 1
        return frames[:n]
