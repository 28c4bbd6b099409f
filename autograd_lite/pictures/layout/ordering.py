"""Second step of the layered layout: the order within each row, with few crossings."""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence

from autograd_lite.pictures.layout.rows import Item, Rows

SWEEPS = 24
"""Passes over all rows, down and up in turn."""

ROUNDS = 8
"""Passes of sifting after each sweep."""

MOST_TRIED = 1_200
"""Items for which several starts are tried."""

RANDOM_STARTS, MOST_STARTED = 8, 2_400
"""Starts by chance, and items in all of them together."""

MOST_AT_RANDOM = 800
"""Items of a picture that chance improves: a larger one is not read line by line."""

SHAKEN, STALE = 450_000, 8
"""Comparisons of two items that chance has in all, about half a second; and moves of each thing, on average, after
which nothing better is expected."""

MOST_COMPARED = 60_000
"""Comparisons of two items from one start; a picture too large to be read anyway gets fewer."""


def ordered(rows: Rows) -> list[list[int]]:
    """The items of each row in order, from the start that gives the fewest crossings."""
    if len(rows.items) > MOST_TRIED:
        return _improved(rows, _starts(rows)[-1], _mean, True)[0]
    found: list[tuple[int, list[list[int]]]] = []
    for start in _starts(rows):
        for middle in (_mean, _median):
            for down in (True, False):
                order, crossings = _improved(rows, start, middle, down)
                if not crossings:
                    return order
                found.append((crossings, order))
    # Each start leads to its own nearest order, and most graphs have far better ones: chance finds some of them.
    rng = random.Random(0)
    if len(rows.items) > MOST_AT_RANDOM:
        return min(found, key=lambda pair: pair[0])[1]
    for k in range(min(RANDOM_STARTS, MOST_STARTED // len(rows.items))):
        order, crossings = _improved(rows, _at_random(rows, rng), (_mean, _median)[k // 2 % 2], k % 2 == 0)
        found.append((crossings, order))
    return _shaken(rows, *min(found, key=lambda pair: pair[0]), rng)


def _shaken(rows: Rows, fewest: int, best: list[list[int]], rng: random.Random) -> list[list[int]]:
    """The order after moves by chance: a box, or an edge over all the rows that it passes, goes elsewhere.

    What then crosses is sifted again; an order that is no worse is gone on with. An edge moves as a whole, since each
    of its points alone only moves a crossing to another row.

    Args:
        rows: the items.
        fewest: crossings of the order.
        best: the order.
        rng: chance, the same every time.
    """
    items = rows.items
    units = [route[1:-1] for route in rows.routes if len(route) > 2] + [[i] for i, item in enumerate(items) if item.box]
    at = positions(best, len(items))
    stale, budget = 0, SHAKEN
    while budget > 0 and fewest and stale < STALE * len(units):
        unit, across = rng.choice(units), rng.random() - 0.5
        where = list(at)
        for i in unit:
            where[i] = across * (len(best[items[i].row]) + 1)
        order, used = _sifted(rows, _sorted(rows, where), budget, {items[i].row for i in unit})
        budget -= used + 2 * len(items)  # sorting and counting take time too
        crossings = _crossings(rows, order)
        stale = 0 if crossings < fewest else stale + 1
        if crossings <= fewest:
            best, fewest, at = order, crossings, positions(order, len(items))
    return best


def _at_random(rows: Rows, rng: random.Random) -> list[float]:
    """For each item when a walk in breadth comes to it, from the roots, along edges in any order and direction."""
    items = rows.items
    found: dict[int, float] = {}
    for start in sorted(range(len(items)), key=lambda i: (items[i].row, rng.random())):
        if start in found:
            continue
        found[start] = float(len(found))
        waiting = [start]
        for i in waiting:  # which grows meanwhile
            near = [*items[i].below, *items[i].above]
            rng.shuffle(near)
            for j in near:
                if j not in found:
                    found[j] = float(len(found))
                    waiting.append(j)
    return [found[i] for i in range(len(items))]


def _mean(places: list[float]) -> float:
    return sum(places) / len(places)


def _median(places: list[float]) -> float:
    places.sort()
    return (places[(len(places) - 1) // 2] + places[len(places) // 2]) / 2


def _starts(rows: Rows) -> list[list[float]]:
    """Places to begin with: in the order of the graph, and in that of a walk down from the roots."""
    items = rows.items
    first = [float(i) for i in range(len(items))]
    for route in rows.routes:  # a point of an edge begins where its operand is
        for i in route[1:-1]:
            first[i] = first[route[-1]]
    # Depth first: what one branch uses stands together, and a long edge beside its branch.
    rank = range(len(items))
    down = _walked(sorted(rank, key=lambda i: items[i].row), lambda i: items[i].below)
    # And up from the leaves, for a graph that is wide below.
    up = _walked(sorted(rank, key=lambda i: -items[i].row), lambda i: items[i].above)
    return [down, up, first]


def _walked(starts: Sequence[int], neighbours: Callable[[int], Sequence[int]]) -> list[float]:
    """For each of the items when a walk in depth from all of them, in this order, comes to it."""
    found = [-1.0] * len(starts)
    count = 0
    for start in starts:
        stack = [start]
        while stack:
            i = stack.pop()
            if found[i] < 0:
                found[i], count = float(count), count + 1
                stack.extend(reversed(neighbours(i)))
    return found


def _improved(
    rows: Rows, at: Sequence[float], middle: Callable[[list[float]], float], down_first: bool
) -> tuple[list[list[int]], int]:
    """An order with fewer crossings, by barycentres and sifting, and how many there are left.

    Args:
        rows: the items.
        at: where they begin.
        middle: what an item is drawn to among its neighbours.
        down_first: whether the first sweep goes down. A single root would give all rows the same order whatever the
            start was; going up first does not.
    """
    items = rows.items
    order = _sorted(rows, at)
    best, fewest = order, _crossings(rows, order)
    before: list[list[list[int]]] = [[], []]
    budget = MOST_COMPARED
    for sweep in range(SWEEPS):
        if not fewest or order == before[0]:  # nothing better will come, or what came two sweeps ago
            break
        before = [before[1], order]
        down = (sweep % 2 == 0) is down_first
        # Each goes to the middle of its neighbours in the rows that have their order already.
        where = positions(order, len(items))
        for row in order if down else reversed(order):
            for i in row:
                near = items[i].above if down else items[i].below
                if near:
                    where[i] = middle([where[j] for j in near])
        order = _sorted(rows, where)
        if budget > 0:
            order, used = _sifted(rows, order, budget)
            budget -= used
        crossings = _crossings(rows, order)
        if crossings < fewest:
            best, fewest = order, crossings
    return best, fewest


def _sifted(
    rows: Rows, order: Sequence[Sequence[int]], budget: int, begin: Iterable[int] | None = None
) -> tuple[list[list[int]], int]:
    """The order with each item where in its row, and in its frames, it has the fewest crossings; and what that cost.

    Barycentres alone leave many: two items with the same middle stay as they come.

    Args:
        rows: the items.
        order: of each row.
        budget: comparisons of two items that may be made.
        begin: the rows that have changed; None for all.
    """
    items = rows.items
    made = [list(row) for row in order]
    place = positions(made, len(items))
    compared, rounds = 0, 0
    waiting = set(range(len(made))) if begin is None else {r for k in begin for r in (k - 1, k, k + 1)}
    while waiting and rounds < ROUNDS and compared < budget:
        here_now, waiting, rounds = sorted(waiting), set(), rounds + 1
        for number in here_now:
            if not 0 <= number < len(made):
                continue
            row = made[number]
            for item in list(row):
                here = row.index(item)
                best, gain, target = 0, 0, here
                # To the left and to the right, past one neighbour after another; an item of other frames stops it.
                for step in (-1, 1):
                    total, k = 0, here + step
                    while 0 <= k < len(row) and items[row[k]].frames == items[item].frames:
                        compared += 1
                        total += _saved(items, place, row[k], item) if step < 0 else _saved(items, place, item, row[k])
                        if total > best:
                            best, gain, target = total, total, k
                        k += step
                if gain > 0:
                    row.insert(target, row.pop(here))
                    for k, i in enumerate(row):
                        place[i] = k - (len(row) - 1) / 2
                    waiting.update((number - 1, number, number + 1))
    return made, compared


def _saved(items: Sequence[Item], place: Sequence[float], a: int, b: int) -> int:
    """How many crossings fewer there are if b, at the right of a, goes to its left."""
    saved = 0
    for near_a, near_b in ((items[a].above, items[b].above), (items[a].below, items[b].below)):
        for i in near_a:
            for j in near_b:
                saved += (place[i] > place[j]) - (place[i] < place[j])
    return saved


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
