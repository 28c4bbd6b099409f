"""Repeats in the sequence of classes: the steps of a recurrence, found before anything is made for each of them.

The classes of a graph (grouping.py) in order are a sequence of tokens: what a class does, on how many lanes, with how
many operands. A recurrence shows as a period in it. `repeats` finds periods by doubling, as distances between equal
runs of 1, 2, 4 ... tokens, and clips each stretch to the steps whose operands are the same too, under the shift by
the period. All of that is arithmetic on arrays, in near-linear time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.folding.grouping import Terms
from autograd_lite.folding.scan import MANY_OPERANDS, Scan, flat_ranges

Array = Any

LEAST_STEPS = 8
"""Steps that a run must have: a few equal layers stay instructions of their own."""

LEAST_SAVED = 50
"""Classes that a run must do away with."""

SHARE_SAVED = 400
"""And at least one in this many of all classes."""

PERIODS = 6
"""For each length of a run of tokens, the distances tried: the most frequent ones."""

LOOKS, CHECKS = 30, 200
"""All checks together read the sequence at most this often, and there are at most this many."""

MULTIPLES = 4
"""Where the steps of a period differ, its multiples up to this one are tried: two statements may have one token."""

SHORTER = 3
"""Steps that may be left out at the end."""

FARTHEST = 8
"""Steps that a recurrence may look back."""

HANGING = 16
"""Less than this many classes follow one another behind what only a result takes from a step."""


class Run(NamedTuple):
    """`times` steps of `period` classes, from the class `start` on."""

    start: int
    period: int
    times: int

    @property
    def stop(self) -> int:
        """The class after the last."""
        return self.start + self.period * self.times

    @property
    def saved(self) -> int:
        """How many classes become lanes of others."""
        return self.period * (self.times - 1)


def mix(h: Array, x: Array) -> Array:
    """A hash of hashes and numbers."""
    h = (h ^ (np.asarray(x).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15) + (h << np.uint64(6)))) * np.uint64(
        0xBF58476D1CE4E5B9
    )
    return h ^ (h >> np.uint64(29))


def _new(*sorted_columns: Array) -> Array:
    """Which rows of sorted ones differ from the row before."""
    new = np.ones(len(sorted_columns[0]), bool)
    new[1:] = np.logical_or.reduce([x[1:] != x[:-1] for x in sorted_columns])
    return new


LATER = Run(0, 0, 0)
"""What a check answers where a run may be taken once others have been."""


class Classes:
    """The classes of a graph in order, as arrays.

    Args:
        scan, terms: the graph, and its units.
        of: the class of every position.
        made: what each class does that holds no leaves.
        leaves: how many classes hold leaves; they come first.
        mixed: whether the members of a class may take from different classes; see `merged`.
    """

    def __init__(
        self, scan: Scan, terms: Terms, of: Array, made: list[Any], leaves: int, mixed: bool = False
    ) -> None:  # fmt: skip
        self.scan, self.terms, self.of, self.made, self.leaves = scan, terms, of, made, leaves
        self.mixed = mixed
        self.count = leaves + len(made)
        in_class = of[terms.units]
        by_class = np.argsort(in_class, kind="stable")
        self.members: Array = terms.units[by_class]
        """The nodes of all classes, end to end, those of a class in topological order."""
        self.starts: Array = np.searchsorted(in_class[by_class], np.arange(leaves, self.count + 1))
        self.lanes: Array = np.diff(self.starts)
        first = self.members[self.starts[:-1]]
        self.sums: Array = terms.has_terms[first]
        """Which of them are sums."""
        self._first = first
        self.codes: Array = np.where(self.sums & terms.merged[first], len(scan.what), scan.code[first])

    @cached_property
    def _found(self) -> tuple[Array, Array, Array, Array]:
        """Operands, ends, tokens and shapes."""
        terms, first, what = self.terms, self._first, self.codes.astype(np.uint64)
        nodes, of = first, np.arange(len(first))
        if self.mixed:
            nodes, of = self.members, np.repeat(of, self.lanes)
        pieces = [self._of_few(nodes, of), *self._of_sums(nodes, of), self._of_many(nodes, of)]
        owner, operand, place = (np.concatenate([piece[i] for piece in pieces]) for i in range(3))
        order = np.lexsort((operand, place, owner) if self.mixed else (place, owner))
        if self.mixed:
            order = order[_new(owner[order], operand[order], place[order])]
        ends = np.searchsorted(owner[order], np.arange(len(first) + 1))
        number, kind = pieces[1][0], pieces[1][3]
        kinds = np.zeros(len(first), np.uint64)
        np.add.at(kinds, number, mix(kind.astype(np.uint64), kind))
        both = (mix(mix(mix(x, terms.zeroed[first]), kinds), np.diff(ends)) for x in (mix(what, self.lanes), what))
        return operand[order], ends, *both

    @property
    def operands(self) -> Array:
        """The classes that each takes from, end to end, in an order that does not depend on that of the graph."""
        return self._found[0]

    @property
    def ends(self) -> Array:
        """Where the operands of each begin, and where the last ones end."""
        return self._found[1]

    @property
    def tokens(self) -> Array:
        """What each does, on how many lanes, with how many operands."""
        return self._found[2]

    @property
    def shapes(self) -> Array:
        """The same, whatever the number of lanes."""
        return self._found[3]

    def _of_few(self, nodes: Array, of: Array) -> tuple[Array, Array, Array]:
        """(class, operand, place) for those of one or two operands; a product has the earlier class first."""
        scan = self.scan
        here = np.flatnonzero(~self.terms.has_terms[nodes] & (scan.arity[nodes] <= 2))
        nodes, few = nodes[here], of[here]
        two = scan.arity[nodes] == 2
        a = self.of[scan.left[nodes]]
        b = np.where(two, self.of[np.where(two, scan.right[nodes], 0)], -1)
        mul = np.array([what is TABLE["mul"] for what in scan.what])[scan.code[nodes]]
        a, b = np.where(mul, np.minimum(a, b), a), np.where(mul, np.maximum(a, b), b)
        return (
            np.concatenate([few, few[two]]),
            np.concatenate([a, b[two]]),
            np.concatenate([np.zeros(len(few), np.int64), np.ones(int(two.sum()), np.int64)]),
        )

    def _of_sums(self, nodes: Array, of: Array) -> Iterator[tuple[Array, ...]]:
        """The same for sums: each kind of term once, sorted; with the kinds of product."""
        terms = self.terms
        sums = np.flatnonzero(terms.has_terms[nodes])
        low, high = (np.searchsorted(terms.root, nodes[sums], side) for side in ("left", "right"))
        owner = np.repeat(of[sums], high - low)
        at = np.arange(len(owner)) + np.repeat(low - (np.cumsum(high - low) - (high - low)), high - low)
        kind = terms.kind[at]
        a, b = self.of[terms.x[at]], np.where(terms.y[at] >= 0, self.of[terms.y[at]], -1)
        swap = (a > b) & (kind == 1)
        a, b = np.where(swap, b, a), np.where(swap, a, b)
        order = np.lexsort((b, a, kind, owner))
        owner, a, b, kind = owner[order], a[order], b[order], kind[order]
        new = _new(owner, a, b, kind)
        owner, a, b, kind = owner[new], a[new], b[new], kind[new]
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        two = b >= 0
        yield owner, a, place * 2, kind
        yield owner[two], b[two], place[two] * 2 + 1

    def _of_many(self, nodes: Array, of: Array) -> tuple[Array, Array, Array]:
        """The same for those of a tuple of operands; of a sequence the order does not count."""
        scan = self.scan
        size, start = flat_ranges(scan)
        many = np.flatnonzero(~self.terms.has_terms[nodes] & (scan.arity[nodes] == MANY_OPERANDS))
        counts = size[nodes[many]]
        owner = np.repeat(many, counts)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        operand = self.of[scan.flat[place + np.repeat(start[nodes[many]], counts)]]
        variadic = np.array([isinstance(what, Row) and what.variadic for what in scan.what])[scan.code[nodes[owner]]]
        place, owner = np.where(variadic, 0, place), of[owner]
        order = np.lexsort((operand, place, owner))
        owner, operand, place = owner[order], operand[order], place[order]
        new = _new(owner, operand, place)
        owner, operand = owner[new], operand[new]
        return owner, operand, np.arange(len(owner)) - np.searchsorted(owner, owner)

    @cached_property
    def depth(self) -> Array:
        """How far each class (leaves left out) is from the leaves."""
        depth = [0] * len(self.made)
        ends, operands = self.ends.tolist(), (self.operands - self.leaves).tolist()
        for k in range(len(depth)):
            depth[k] = 1 + max([depth[i] for i in operands[ends[k] : ends[k + 1]] if i >= 0], default=0)
        return np.array(depth)

    @cached_property
    def height(self) -> Array:
        """How far each class (leaves left out) is from the results."""
        height = [0] * len(self.made)
        ends, operands = self.ends.tolist(), (self.operands - self.leaves).tolist()
        for k in range(len(height) - 1, -1, -1):
            above = height[k] + 1
            for i in operands[ends[k] : ends[k + 1]]:
                if i >= 0 and height[i] < above:
                    height[i] = above
        return np.array(height)

    def by_depth(self) -> Array:
        """The classes (leaves left out) by how far they are from the leaves, then by what they do.

        Unlike the order in which they occur it does not depend on how Python wrote a step, nor on what else the first
        step is made of. It does not depend on the number of steps either, as tokens alone do.
        """
        order: Array = np.lexsort((self.tokens, np.diff(self.ends), self.lanes, self.codes, self.depth))
        return order

    def hanging_last(self) -> Array:
        """The classes (leaves left out) in order, those behind which little follows at the end.

        What a loss takes from some steps of a recurrence, at times that have no period, stands between the steps.
        """
        order: Array = np.argsort(self.height < HANGING, kind="stable")
        return order

    def merged(self, level: Array) -> Classes:
        """The same with all classes of a level that do the same as one, whatever the classes are that they take from.

        On a grid the cells of a step do the same thing, but the one at the border takes a number from outside. That
        makes it a class of its own, so in the next step its neighbour is one, and in the end every cell.

        Args:
            level: for each class (leaves left out) a number above or below those of all that it takes from: its depth,
                or minus its height. Two of one level do not depend on each other.
        """
        first, terms, scan = self._first, self.terms, self.scan
        kinds = np.zeros(len(first), np.int64)  # which kinds of terms a sum has, as bits
        at = terms.root.searchsorted(first[self.sums]), terms.root.searchsorted(first[self.sums], "right")
        if len(terms.root):
            kinds[self.sums] = np.bitwise_or.reduceat(np.append(1 << terms.kind, 0), np.stack(at, 1).ravel())[::2]
        size, _ = flat_ranges(scan)
        same = np.array([what is TABLE["prod"] for what in scan.what])[scan.code[first]]
        keys = level, self.codes, terms.zeroed[first], kinds, np.where(same, size[first], 0)
        order = np.lexsort(keys[::-1])
        new = _new(*(key[order] for key in keys))
        rank = np.empty(len(order), np.int64)
        rank[order] = self.leaves + np.cumsum(new) - 1
        of = np.where(self.of >= self.leaves, rank[np.maximum(self.of - self.leaves, 0)], self.of)
        return Classes(scan, terms, of, [self.made[k] for k in order[new].tolist()], self.leaves, True)

    def renumbered(self, order: Array) -> Classes:
        """The same classes in another order."""
        rank = np.empty(len(order), np.int64)
        rank[order] = self.leaves + np.arange(len(order))
        of = np.where(self.of >= self.leaves, rank[np.maximum(self.of - self.leaves, 0)], self.of)
        return Classes(self.scan, self.terms, of, [self.made[k] for k in order.tolist()], self.leaves, self.mixed)

    # -- runs

    def runs(self, least: int, saved: int, ragged: bool = False) -> list[Run]:
        """What repeats, in order; classes are numbered from 0, without those of leaves.

        Args:
            least: steps that a run must have.
            saved: classes that it must do away with.
            ragged: whether a class may have other numbers of lanes in other steps.
        """
        found = _Uniform(self, least)
        saved = max(saved, len(self.made) // SHARE_SAVED)
        return repeats(self.shapes if ragged else self.tokens, least, saved, found.clipped)


class _Uniform:
    """Which steps of a run take the same operands, relative to the step.

    `label` says for each class what it is a step of: a class that is in no run is a thing of its own.
    """

    def __init__(self, classes: Classes, least: int) -> None:
        self.classes, self.least = classes, least
        count, leaves = len(classes.made), classes.leaves
        self.label = np.concatenate([np.arange(count), np.arange(-leaves, 0)])  # leaves are negative: from the end

    def clipped(self, run: Run) -> Run | None:
        """The longest part of a run that is uniform, or None; it is taken as found."""
        shorter = 0
        refused = None
        while run.times >= self.least:
            table = self._operands(run)
            if table is None:
                return None
            first, but_for_others = self._first_uniform(run, table)
            if run.times - but_for_others >= self.least:
                refused = LATER
            if not first:
                for j in range(run.period):
                    self.label[run.start + j : run.stop : run.period] = 2 * len(self.classes.made) + run.start + j
                return run
            if run.times - first >= self.least:
                run = Run(run.start + first * run.period, run.period, run.times - first)
            elif shorter < SHORTER:  # the last one may differ from those before it: its values have other uses
                shorter += 1
                run = run._replace(times=run.times - 1)
            else:
                break
        return refused

    def _operands(self, run: Run) -> Array | None:
        """The operand classes, a row for each step; leaves are negative."""
        ends, leaves = self.classes.ends, self.classes.leaves
        low, high = ends[run.start], ends[run.stop]
        width = ends[run.start + run.period] - low
        if high - low != width * run.times:
            return None
        return self.classes.operands[low:high].reshape(run.times, width) - leaves

    def _first_uniform(self, run: Run, table: Array) -> tuple[int, int]:
        """The step from which on all take what the last one takes, as many steps back or from the same outside.

        And the step from which on they would if what they take from outside were steps of other runs: a backward pass
        reads the loop before it, which may be the shorter one and not be known yet.

        A step that would look back beyond the first takes what stands before the run. What was made in one step and is
        used ever after, as the square of a parameter is, is outside: the run begins behind it.
        """
        last = table[-1]
        inside = last >= run.start
        statement, delay = (last - run.start) % run.period, run.times - 1 - (last - run.start) // run.period
        far = inside & (delay > FARTHEST)
        if far.any():
            first = run.times - int(delay[far].min())
            return first, first
        step = np.arange(run.times)[:, None]
        same = table == run.start + (step - delay) * run.period + statement
        like_inside = np.where(step < delay, table < run.start, same)
        label = self.label[table]
        like_outside = (label == label[-1]) & (table < run.start)
        good = np.where(inside, like_inside, like_outside).all(1)
        bad = np.flatnonzero(~good)
        others = np.flatnonzero(
            ~np.where(inside, like_inside, like_outside | ((table < run.start) & (table >= 0))).all(1)
        )
        return (int(bad[-1]) + 1 if len(bad) else 0), (int(others[-1]) + 1 if len(others) else 0)


def repeats(
    tokens: Array, least: int, saved: int, check: Callable[[Run], Run | None] | None = None
) -> list[Run]:  # fmt: skip
    """Runs that do not overlap, chosen by how many tokens they save, a small period first among equals.

    Args:
        tokens: the sequence.
        least: steps that a run must have.
        saved: tokens that it must do away with.
        check: clips a run to what may be taken, refuses it (None), or puts it off (LATER).

    Example:
        >>> from autograd_lite.folding.repeats import repeats
        >>> repeats(np.frombuffer(b"x" + b"abc" * 20 + b"y", np.uint8).astype(np.uint64), 4, 8)
        [Run(start=1, period=3, times=20)]
    """
    count = len(tokens)
    left, checks = LOOKS * count, CHECKS
    waiting: list[tuple[int, int, int, int, int]] = []
    for period in _periods(tokens, least):
        if period * least <= count:
            waiting += [
                _entry(a, b, period, 1) for a, b in _stretches(tokens, period, least) if b - a - period >= saved
            ]
    heapq.heapify(waiting)
    taken: list[Run] = []
    refused: list[tuple[int, int, int, int, int]] = []
    known, last = 0, False
    while left > 0 and checks and not (last and not waiting):
        if not waiting:
            last = len(taken) == known
            known, waiting, refused = len(taken), refused, []
            heapq.heapify(waiting)
            continue
        _, period, start, stop, multiple = heapq.heappop(waiting)
        a, b = _free(start, stop, taken)
        if b - a < least * period or b - a - period < saved:
            continue
        if (a, b) != (start, stop):
            heapq.heappush(waiting, _entry(a, b, period, multiple))
            continue
        left, checks = left - (b - a), checks - 1
        found = Run(a, period, (b - a) // period)
        found_part = found if check is None else check(found)
        if found_part is LATER and not last:
            refused.append(_entry(a, b, period, multiple))
            continue
        if found_part is None or found_part.saved < saved:
            longer = period // multiple * (multiple + 1)
            if multiple < MULTIPLES and b - a >= least * longer:
                heapq.heappush(waiting, _entry(a, b, longer, multiple + 1))
            continue
        taken.append(found_part)
        for rest in ((a, found_part.start), (found_part.stop, b)):  # may hold another one
            if rest[1] - rest[0] >= least * period:
                heapq.heappush(waiting, _entry(*rest, period, 1))
    return sorted(taken)


def _entry(start: int, stop: int, period: int, multiple: int) -> tuple[int, int, int, int, int]:
    return period - (stop - start), period, start, stop, multiple


def _free(a: int, b: int, taken: list[Run]) -> tuple[int, int]:
    """The longer end of a stretch that no run has."""
    for run in taken:
        if a < run.stop and run.start < b:
            a, b = max(((a, min(b, run.start)), (max(a, run.stop), b)), key=lambda rest: rest[1] - rest[0])
    return a, b


def _periods(tokens: Array, least: int) -> list[int]:
    """Distances that often lie between equal runs of 1, 2, 4 ... tokens."""
    found: set[int] = set()
    grams, length = tokens.copy(), 1
    while len(grams) > 1:
        order = np.argsort(grams, kind="stable")
        same = grams[order[1:]] == grams[order[:-1]]
        distance, times = np.unique(np.diff(order)[same], return_counts=True)
        often = np.flatnonzero(times >= least)
        found.update(distance[often[np.argsort(-times[often], kind="stable")[:PERIODS]]].tolist())
        if not same.any():
            break
        grams, length = mix(grams[:-length], grams[length:]) if len(grams) > length else grams[:0], length * 2
    return sorted(found)


def _stretches(tokens: Array, period: int, least: int) -> list[tuple[int, int]]:
    """The longest stretches of at least some periods in which each token is that one period later."""
    same = np.concatenate([[False], tokens[:-period] == tokens[period:], [False]])
    edges = np.flatnonzero(np.diff(same.astype(np.int8)))
    start, stop = edges[::2], edges[1::2] + period
    long = (stop - start) // period >= least
    return list(zip(start[long].tolist(), stop[long].tolist(), strict=True))
