"""A long graph as a short one: of each stretch that repeats, a few of its periods; what is found in it holds for all.

Classes and runs are found by looking at one node after the other. Of 10,000 steps of a recurrence that looks at the
same 68 nodes 10,000 times. Here the periods are found first, on arrays, and most of them are left out; what has been
found in the short graph is then carried over to the long one. Whether that may be done is checked on every node: where
it may not, the graph is grouped as a whole, which is right in any case.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autograd_lite.folding.grouping import Terms, classes, does
from autograd_lite.folding.repeats import MULTIPLES, Classes, Run, mix
from autograd_lite.folding.rolling import rolled
from autograd_lite.folding.scan import Scan, flat_ranges

Array = Any

LEAST_UNITS = 4000
"""A shorter graph is grouped as it is."""

MARGIN = 30
"""Of a stretch that repeats this many periods stay at either end."""

GRAMS = (5, 9)
"""A period is looked for as the distance between equal runs of 2 to these powers units: where the cells of a grid do
the same in turn, short ones are equal at the distance of two cells."""

DISTANCES = 4
"""How many of these distances are tried."""

SPLITS = 6
"""How often an interval without a period in its middle is split in two."""


class Stretch(NamedTuple):
    """Units that repeat: `times` periods from the unit `start` on."""

    start: int
    period: int
    times: int


class Cut(NamedTuple):
    """What is left out of a stretch: `times` periods, from the unit `start` on; the stretch ends at the unit `end`."""

    start: int
    period: int
    times: int
    end: int

    @property
    def stop(self) -> int:
        """The unit after the last that is left out."""
        return self.start + self.period * self.times

    @property
    def last(self) -> slice:
        """The last period before."""
        return slice(self.start - self.period, self.start)


class Grouped(NamedTuple):
    """The classes of a graph, as `grouping.classes` and `rolling.rolled` give them."""

    classes: Classes
    runs: list[Run]


def shortened(scan: Scan, terms: Terms, labels: Array, least: int, saved: int) -> Grouped | None:
    """The classes of a graph and the runs among them, from a shorter one; None if it has to be looked at as a whole.

    Args:
        scan, terms: the graph.
        labels: as for `classes`.
        least, saved: as for `rolled`.
    """
    if len(terms.units) < LEAST_UNITS:
        return None
    units = _Units(scan, terms, labels)
    stretches = units.stretches()
    for multiple in range(1, MULTIPLES + 1):
        cuts = _cuts(stretches, multiple)
        if sum(cut.times * cut.period for cut in cuts) * 4 < len(terms.units):
            return None
        short = _Short(units, cuts)
        if short.broken:
            return None
        of, made = classes(short.scan, short.terms, short.labels, len(scan.leaf_sizes))
        found, runs = rolled(short.scan, short.terms, of, made, least, saved)
        carried_over = _CarriedOver(units, short, found, runs)
        grouped = carried_over.found()
        if grouped is not None or not carried_over.uneven:
            return grouped
    return None


class _Units:
    """The units of a graph with what they take, end to end: `operands`, those of unit u from `ends[u]` on."""

    def __init__(self, scan: Scan, terms: Terms, labels: Array) -> None:
        self.scan, self.terms, self.labels = scan, terms, labels
        n, units = scan.count, terms.units
        self.count = len(units)
        self.rank: Array = np.full(n + scan.literals + 1, -1)  # the last is where y = -1 looks
        self.rank[units] = np.arange(self.count)
        self.does: Array = does(scan, terms, labels)[units]
        low, high = (np.searchsorted(terms.root, units, side) for side in ("left", "right"))
        sums, arity = terms.has_terms[units], scan.arity[units]
        size, start = flat_ranges(scan)
        many = ~sums & (size[units] > 0)
        counts = np.where(sums, 2 * (high - low), np.where(many, size[units], np.minimum(arity, 2)))
        self.ends: Array = np.concatenate([[0], np.cumsum(counts)])
        self.operands: Array = np.empty(int(self.ends[-1]), np.int64)
        kinds = np.zeros(len(self.operands), np.int64)
        few = ~sums & ~many
        self.operands[self.ends[:-1][few]] = scan.left[units[few]]
        two = few & (arity == 2)
        self.operands[self.ends[:-1][two] + 1] = scan.right[units[two]]
        at = _spread(self.ends[:-1][sums], counts[sums])
        self.operands[at[::2]], self.operands[at[1::2]] = terms.x, terms.y
        kinds[at[::2]] = terms.kind
        self.operands[_spread(self.ends[:-1][many], counts[many])] = scan.flat[
            _spread(start[units[many]], counts[many])
        ]
        self.of_unit: Array = self.rank[self.operands]
        """For each operand which unit it is, -1 for a leaf, a literal or nothing."""
        leaf = np.where(self.of_unit < 0, np.append(labels, -1)[self.operands] + 2, 0)
        place = np.arange(len(leaf)) - np.repeat(self.ends[:-1], counts)
        hashed = mix(mix(leaf.astype(np.uint64), kinds), place)
        total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(hashed, dtype=np.uint64)])
        self.tokens: Array = mix(mix(self.does.astype(np.uint64), counts), total[self.ends[1:]] - total[self.ends[:-1]])

    def stretches(self) -> list[Stretch]:
        """Where units repeat, in order, found from the middle of ever shorter intervals."""
        # The lanes of a step may do the same, too: how far each unit is from what it takes tells them apart.
        nearest = np.full(self.count, -1)
        some = np.diff(self.ends) > 0
        nearest[some] = np.maximum.reduceat(self.of_unit, self.ends[:-1][some]) if some.any() else 0
        apart = mix(self.tokens, np.arange(self.count) - nearest)
        grams = [_grams(tokens, power) for power in GRAMS for tokens in (self.tokens, apart)]
        found: list[Stretch] = []
        waiting = [(0, self.count, SPLITS)]
        while waiting:
            a, b, splits = waiting.pop()
            if b - a < max(2 * MARGIN, self.count >> SPLITS):
                continue
            middle = (a + b) // 2
            stretch = self._around(middle, a, b, grams)
            if stretch is not None:
                found.append(stretch)
                waiting += [(a, stretch.start, splits), (stretch.start + stretch.period * stretch.times, b, splits)]
            elif splits:
                waiting += [(a, middle, splits - 1), (middle, b, splits - 1)]
        return sorted(found)

    def _around(self, middle: int, a: int, b: int, grams: list[Array]) -> Stretch | None:
        """The stretch of an interval that a unit in it is in."""
        grams = [some for some in grams if middle < len(some)]
        if not grams:
            return None
        best: Stretch | None = None
        equal = [np.flatnonzero(some[middle + 1 : b] == some[middle])[:DISTANCES] + 1 for some in grams]
        for period in dict.fromkeys(np.concatenate(equal).tolist()):
            low, high = _extent(self.tokens[a : b - period] == self.tokens[a + period : b], middle - a)
            start, stop = a + low, a + high + period
            # Each takes what the one a period before takes: as far back, the same, or something from elsewhere.
            first, last = self.ends[start], self.ends[stop]
            width = self.ends[start + period] - first
            before, now = self.of_unit[first : last - width], self.of_unit[first + width : last]
            alike = (now - before == period) | (now == before) | (np.minimum(now, before) < start)
            if not alike.all():
                owner = np.repeat(np.arange(low, high), np.diff(self.ends[start : stop - period + 1]))
                good = np.ones(b - a, bool)
                good[owner[~alike]] = good[:low] = good[high:] = False
                low, high = _extent(good, middle - a)
                start, stop = a + low, a + high + period
            # The longest: the lanes of a step are shorter ones.
            if (stop - start) // period >= 2 * MARGIN and (best is None or stop - start > best.period * best.times):
                best = Stretch(start, period, (stop - start) // period)
                if 2 * (stop - start) > b - a:
                    break
        return best


def _grams(tokens: Array, power: int) -> Array:
    """For each token a hash of it and those behind it."""
    for k in range(power):
        tokens = tokens[: -(1 << k)] * np.uint64(0x9E3779B97F4A7C15) + tokens[1 << k :]
    return tokens


def _extent(good: Array, here: int) -> tuple[int, int]:
    """The longest slice around a place in which all is good."""
    bad = np.flatnonzero(~good)
    k = int(np.searchsorted(bad, here))
    low = int(bad[k - 1]) + 1 if k else 0
    high = int(bad[k]) if k < len(bad) else len(good)
    return (low, high) if low <= here < high else (here, here)


def _spread(starts: Array, counts: Array) -> Array:
    """The ranges of some lengths, end to end."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)


def _cuts(stretches: list[Stretch], multiple: int) -> list[Cut]:
    """What to leave out. As many periods of stretches that are about as long: one may read the other backwards."""
    cuts = []
    known: list[int] = []
    for stretch in sorted(stretches, key=lambda stretch: stretch.times):
        period, times = stretch.period * multiple, stretch.times // multiple
        left_out = times - 2 * MARGIN
        near = [other for other in known if 0 <= left_out - other <= MARGIN // 2]
        if left_out >= MARGIN:
            known += [] if near else [left_out]
            end = stretch.start + stretch.period * stretch.times
            cuts.append(Cut(stretch.start + MARGIN * period, period, near[0] if near else left_out, end))
    return sorted(cuts)


class _Short:
    """The graph without what is cut: a scan, its units and labels, and where they are in the whole one."""

    def __init__(self, units: _Units, cuts: list[Cut]) -> None:
        self.units, self.cuts = units, cuts
        scan, terms, n = units.scan, units.terms, units.scan.count
        self.kept: Array = np.ones(units.count, bool)
        moved = np.arange(units.count)
        for cut in cuts:
            self.kept[cut.start : cut.stop] = False
            # What one reads of those left out is, in the short graph, as far from the end that it is near to.
            place = np.arange(cut.stop - cut.start)
            rear = place >= len(place) // 2
            room = MARGIN * cut.period
            moved[cut.start : cut.stop] = np.where(
                rear, cut.start - 1 - (len(place) - 1 - place) % room, cut.stop + place % room
            )
        self.broken = bool((~self.kept[moved]).any())
        """Whether cuts are too near to each other."""
        if self.broken:
            return
        to = np.arange(n + scan.literals + 1)
        to[-1] = -1
        to[terms.units] = terms.units[moved]
        entries = np.repeat(self.kept, np.diff(units.ends))
        read = np.zeros(n + scan.literals + 1, bool)
        read[to[units.operands[entries]]] = True
        read[terms.units] = self.kept
        read[-1] = False
        self.positions: Array = np.flatnonzero(read)
        """Where they are."""
        self.place: Array = np.full(n + scan.literals + 1, -1)
        self.place[self.positions] = np.arange(len(self.positions))
        self.labels: Array = units.labels[self.positions]
        left_out = np.zeros(n + scan.literals + 1, bool)
        left_out[units.operands[~entries]] = True
        nodes = self.positions[self.positions < n]
        self.scan = self._scan(nodes, self.place[to], left_out[self.positions])
        self.terms = self._terms(nodes, self.place[to])

    def _scan(self, nodes: Array, to: Array, left_out: Array) -> Scan:
        whole = self.units.scan
        size, start = flat_ranges(whole)
        short = Scan.__new__(Scan)
        short.count, short.literals = len(nodes), len(self.positions) - len(nodes)
        short.what, short.leaf_sizes = whole.what, whole.leaf_sizes
        short.code, short.arity = whole.code[nodes], whole.arity[nodes]
        short.left, short.right = to[whole.left[nodes]], to[whole.right[nodes]]
        short.many = np.flatnonzero(size[nodes])
        short.sizes = size[nodes[short.many]]
        short.flat = to[whole.flat[_spread(start[nodes[short.many]], short.sizes)]]
        short.source = whole.source[self.positions]
        short.read_elsewhere = left_out
        return short

    def _terms(self, nodes: Array, to: Array) -> Terms:
        whole = self.units.terms
        short = Terms.__new__(Terms)
        some = self.place[whole.root] >= 0
        short.root = self.place[whole.root[some]]
        short.x, short.y, short.kind = to[whole.x[some]], to[whole.y[some]], whole.kind[some]
        short.units = self.place[whole.units[self.kept]]
        short.has_terms, short.merged, short.zeroed = (x[nodes] for x in (whole.has_terms, whole.merged, whole.zeroed))
        short.absorbed = np.zeros(len(nodes), bool)
        return short


class _CarriedOver:
    """The classes and runs of the short graph in the whole one."""

    def __init__(self, units: _Units, short: _Short, found: Classes, runs: list[Run]) -> None:
        self.units, self.short, self.classes, self.runs = units, short, found, runs
        self.of_unit: Array = np.full(units.count, -1)
        """The class of each unit that is in the short graph, in its numbers."""
        self.of_unit[short.kept] = found.of[short.terms.units]
        self.moves: list[Array] = []
        """For each cut how far the classes of a period are from those of the period before."""
        self.more = [0] * len(runs)
        """How many steps each run has more."""
        self.uneven: bool = False
        """Whether a step of a run is several periods."""
        self.reached: list[Array] = [np.full(run.period, -1) for run in runs]
        """The last step of each statement of a run before what was left out."""

    def found(self) -> Grouped | None:
        """Them, or None if it is not as it seemed."""
        if not all(map(self._advance, self.short.cuts)):
            return None
        of, made, runs = self._numbered()
        if not self._holds(of, len(made)):
            return None
        units = self.units
        whole = units.labels.copy()
        whole[self.short.positions] = self.classes.of
        whole[units.terms.units] = of
        leaves = self.classes.leaves
        grouped = Classes(units.scan, units.terms, whole, made[leaves:], leaves)
        for run in runs:
            lanes = grouped.lanes[run.start : run.stop].reshape(run.times, -1)
            if (lanes != lanes[0]).any():
                return None
        return Grouped(grouped, runs)

    def _advance(self, cut: Cut) -> bool:
        """See how the classes move on from one period to the next, and which runs are that much longer."""
        last, leaves = self.of_unit[cut.last], self.classes.leaves
        move = last - self.of_unit[cut.start - 2 * cut.period : cut.start - cut.period]
        self.moves.append(move)
        moving = move != 0
        for k, run in enumerate(self.runs):
            here = moving & (last - leaves >= run.start) & (last - leaves < run.stop)
            if not here.any():
                continue
            moving &= ~here
            steps = move[here] // run.period
            more = int(steps[0]) * cut.times
            self.uneven |= bool((move[here] % run.period).any())
            if self.uneven or (steps != steps[0]).any() or self.more[k] not in (0, more):
                return False
            self.more[k] = more
            step, statement = np.divmod(last[here] - leaves - run.start, run.period)
            np.maximum.at(self.reached[k], statement, step)
        return not moving.any()

    def _numbered(self) -> tuple[Array, list[Any], list[Run]]:
        """The class of every unit, what each class does (leaves included), and the runs."""
        leaves, old = self.classes.leaves, self.classes.made
        number, more_of = np.arange(self.classes.count), np.zeros(self.classes.count, np.int64)
        behind = np.zeros(self.classes.count, bool)
        source, runs = [np.arange(0)], []
        at = shift = 0
        for run, more, reached in zip(self.runs, self.more, self.reached, strict=True):
            here = slice(leaves + run.start, leaves + run.stop)
            behind[here] = (np.arange(run.times)[:, None] > reached).ravel()
            more_of[here] = more * run.period
            number[leaves + run.stop :] += more * run.period
            every = np.tile(np.arange(run.start, run.start + run.period), run.times + more)
            source += [np.arange(at, run.start), every]
            runs.append(Run(run.start + shift, run.period, run.times + more))
            at, shift = run.stop, shift + more * run.period
        made = [None] * leaves + [old[k] for k in np.concatenate([*source, np.arange(at, len(old))]).tolist()]
        # Of one class some may be in the last period before what was left out, and some in the first one behind it.
        late = behind[self.of_unit]
        for cut in self.short.cuts:
            late[cut.start - MARGIN * cut.period : cut.start], late[cut.stop : cut.end] = False, True
        of = number[self.of_unit] + late * more_of[self.of_unit]
        for cut, move in zip(self.short.cuts, self.moves, strict=True):
            times = np.arange(1, cut.times + 1)[:, None]
            of[cut.start : cut.stop] = (of[cut.last] + times * move).ravel()
        return of, made, runs

    def _holds(self, of: Array, count: int) -> bool:
        """Whether every unit does what its class does, to earlier classes, and those left out to what one expects."""
        units, leaves = self.units, self.classes.leaves
        if (np.bincount(of, minlength=count)[leaves:count] == 0).any() or (of >= count).any():
            return False
        inner = units.of_unit >= 0
        labels = units.labels.copy()
        labels[self.short.positions] = self.classes.of  # leaves that have been set apart
        # Leaves are numbered downwards, below every class.
        taken = np.where(inner, of[units.of_unit], -2 - np.append(labels, -1)[units.operands])
        if (taken >= np.repeat(of, np.diff(units.ends))).any():
            return False
        return all(self._repeats(cut, of, taken) for cut in self.short.cuts)

    def _repeats(self, cut: Cut, of: Array, taken: Array) -> bool:
        """Whether what was left out does what the periods around it do, with classes that move on evenly."""
        units = self.units
        every = slice(cut.start - 2 * cut.period, cut.stop + cut.period)
        what, counts, mine = (x[every].reshape(-1, cut.period) for x in (units.does, np.diff(units.ends), of))
        if (what != what[0]).any() or (counts != counts[0]).any():
            return False
        moves, taking = (
            np.diff(x, axis=0)
            for x in (mine, taken[units.ends[every.start] : units.ends[every.stop]].reshape(len(mine), -1))
        )
        return bool((moves == moves[0]).all() and (taking == taking[0]).all())
