"""Rolling: a run of equal steps as instructions whose lanes are those of all steps, with carries between the steps.

Statement j of a run is what the class j of each step does. It becomes one instruction with `steps` times the lanes of
that class, those of one step side by side. What it takes from d steps before comes from the Carry of that statement,
whose first lanes are what the first d steps take in its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.engine.rules import Row
from autograd_lite.folding.emitting import Emitter
from autograd_lite.folding.grouping import PRODUCTS, Terms, classes
from autograd_lite.folding.instructions import Carry, Composite, Leaf, Part, Ref, Sum
from autograd_lite.folding.loops import components, is_loop
from autograd_lite.folding.repeats import FARTHEST, Classes, Run, mix
from autograd_lite.folding.scan import Scan, by_occurrence

Array = Any

TRIES = 8
"""Steps that may be left out at the start because the values from which they start do not fit."""

MOST_INITIAL = 256
"""Leaves that may be set apart as those from which a recurrence starts."""

MUCH_LEFT = 4
"""More than one in this many classes: then it is looked for runs of other kinds."""

CELLS = 64
"""If at least this many are left, then it is looked whether they are the cells of a grid."""

MOST_FOLLOWED = 20_000
"""Of a run of more classes it is not looked in each step which lanes are read in the same places."""

WASTED = 4
"""Such a run has at most this many times the lanes that its steps have."""

OUTSIDE = -1


class NotUniform(Exception):
    """The steps of a run are not alike after all: in their lanes, their terms, or where they start from."""


class Columns(NamedTuple):
    """What the columns of a table of positions are, in every step.

    Args:
        positions: a row for each step.
        statement: of this run, or OUTSIDE.
        delay: how many steps back.
        lane: of the statement.
    """

    positions: Array
    statement: Array
    delay: Array
    lane: Array

    def some(self, columns: Array) -> Columns:
        """Some of them."""
        return Columns(self.positions[:, columns], *(x[columns] for x in self[1:]))


class Statement(NamedTuple):
    """What one class of each step does, `lanes` times.

    Args:
        what: as in `classes`.
        lanes: how many lanes it has in a step.
        operands: of a primitive each of its operands; of a sum the left and the right factors; of a sequence one.
        to, kind: of a sum the lane and the product of each term.
        counts: of a mean and of a sequence how many elements each lane has.
        zeroed: of a sum, see `Sum`.
    """

    what: Any
    lanes: int
    operands: list[Columns]
    to: Array = None
    kind: Array = None
    counts: Array = None
    zeroed: bool = False


def rolled(scan: Scan, terms: Terms, of: Array, made: list[Any], least: int, saved: int) -> tuple[Classes, list[Run]]:
    """The classes of a graph in the order in which the fewest are left, and the runs in it.

    Where much is left, two more: at steps that have other numbers of lanes, as those of a tree of prices have, and
    with what a loss takes from some of the steps behind all of them.

    Of a recurrence that starts from parameters the first step looks different, since parameters are all of one class,
    and the order of the graph differs in it. So a second look is taken with the leaves that only the start reads set
    apart, and a third with the classes by their depth.

    Of a grid each cell may be a class of its own. Where that leaves very many classes, it is looked what is left with
    those of a step as one class.
    """
    found, runs = _looked_at(scan, terms, of, made, least, saved)
    if (len(made) - sum(run.saved for run in runs)) * MUCH_LEFT > len(made) >= saved:
        last = found.renumbered(found.hanging_last())
        looks = [(found, runs)]
        looks += [(x, x.runs(least, saved, ragged)) for x in (found, last) for ragged in (False, True)]
        found, runs = min(looks, key=_left)
    if _left((found, runs)) >= CELLS:
        grids = [found.merged(level) for level in (found.depth, -found.height)]
        looks = [(grid, grid.runs(least, 1)) for grid in grids]
        best = min(looks, key=_left)
        if best[1] and _left(best) * MUCH_LEFT < _left((found, runs)):
            return best
    return found, runs


def _left(look: tuple[Classes, list[Run]]) -> int:
    """How many classes are left where runs are one step."""
    return len(look[0].made) - sum(run.saved for run in look[1])


def _looked_at(
    scan: Scan, terms: Terms, of: Array, made: list[Any], least: int, saved: int
) -> tuple[Classes, list[Run]]:  # fmt: skip
    """The same for steps of equal numbers of lanes."""
    found = Classes(scan, terms, of, made, len(scan.leaf_sizes))
    runs = found.runs(least, saved)
    if not runs:
        return found, runs
    apart = _initial_leaves(found, runs)
    if not 0 < len(apart) <= MOST_INITIAL:
        return found, runs
    leaves = len(scan.leaf_sizes)
    labels = scan.source.copy()
    labels[: scan.count] += terms.zeroed
    labels[apart] = leaves + np.arange(len(apart))
    leaves += len(apart)
    second = Classes(scan, terms, *classes(scan, terms, labels, leaves), leaves)
    looks = [(found, runs), (second, second.runs(least, saved))]
    third = second.renumbered(second.by_depth())
    looks.append((third, third.runs(least, saved)))
    return min(looks, key=_left)


def _initial_leaves(classes: Classes, runs: list[Run]) -> Array:
    """Parameters and captured Values that no step of a run takes, but those before it do."""
    scan, terms, n = classes.scan, classes.terms, classes.scan.count
    in_run = np.zeros(len(classes.made), bool)
    for run in runs:
        in_run[run.start + run.period : run.stop] = True
    of_run = np.zeros(n, bool)
    of_run[classes.members] = in_run[np.repeat(np.arange(len(in_run)), classes.lanes)]
    few = np.flatnonzero((scan.arity <= 2) & (scan.arity > 0) & ~terms.has_terms)
    two = few[scan.arity[few] == 2]
    paired = terms.y >= 0
    user = np.concatenate([few, two, scan.owners, terms.root, terms.root[paired]])
    used = np.concatenate([scan.left[few], scan.right[two], scan.flat, terms.x, terms.y[paired]])
    user, used = user[~terms.absorbed[user]], used[~terms.absorbed[user]]
    leaf, inside, anywhere = np.zeros((3, n + scan.literals), bool)
    leaf[:n] = scan.arity == 0
    inside[used[of_run[user]]] = True
    anywhere[used] = True
    if scan.read_elsewhere is not None:
        inside |= scan.read_elsewhere
    found = np.flatnonzero(leaf & anywhere & ~inside)
    return found[np.isin(scan.source[found], (0, len(scan.leaf_sizes) - 1))]


class RolledEmitter(Emitter):
    """Instructions for classes in order, some of which are steps of a run.

    `label` says for a class what it is a step of, `step` which one; a class in no run is its own label.
    """

    def __init__(self, classes: Classes, batched: bool) -> None:
        super().__init__(classes.scan, classes.terms, classes.of, batched)
        self.classes = classes
        self.label = np.arange(classes.count)
        apart = np.flatnonzero(np.append(self.scan.arity == 0, np.ones(self.scan.literals, bool)))
        apart = apart[classes.of[apart] >= len(self.scan.leaf_sizes)]
        self.label[classes.of[apart]] = self.scan.source[apart]
        self.step = np.zeros(classes.count, np.int64)
        self.width = np.zeros(2 * classes.count, np.int64)
        """Of a statement, by its label: how many lanes a step has."""
        self.refs += [self.refs[0]] * (2 * classes.count - len(self.refs))

    def labels(self, positions: Array) -> Array:
        """For each position which of `refs` has it: what its class is a step of."""
        return self.label[self.of[positions]]

    def place(self, positions: Array) -> Array:
        """For each position which lane of that it is."""
        of = self.of[positions]
        return self.lane[positions] + self.step[of] * self.width[self.label[of]]

    def one(self, k: int) -> int:
        """Emit a class as instructions of its own; classes are numbered without those of leaves. The next class."""
        classes, number = self.classes, self.classes.leaves + k
        what, mine = classes.made[k], classes.members[classes.starts[k] : classes.starts[k + 1]]
        ref = self.sum(number, what, mine) if what in ("sum", "mean") else self.primitive(what, mine)
        self.refs[number] = ref
        return k + 1

    def roll(self, run: Run) -> int:
        """Emit a run, or the most of it that can be rolled; the class after the last one that was emitted.

        Steps at its start are left out where others begin with other values than the first does.
        """
        steps = _Steps(self, run)
        for _ in range(TRIES):
            if steps.wasteful:
                break
            try:
                statements = steps.statements()
            except NotUniform:
                steps.forget()
                if not steps.aligned:
                    steps.align()
                elif not (steps.followed or steps.active or steps.count * steps.period > MOST_FOLLOWED):
                    steps.follow()
                elif steps.count > 2:
                    for k in range(steps.first, steps.first + run.period):
                        self.one(k)
                    steps.leave_out_first()
                else:
                    break
                continue
            _Statements(self, steps, statements).emit()
            return run.stop
        return steps.first


class _Steps:
    """The positions of a run, of each statement a row for each step.

    Args:
        to: gets what is found: what the classes are steps of, and the lanes of their positions.
        run: what has been found uniform but for the lanes.
    """

    def __init__(self, to: RolledEmitter, run: Run) -> None:
        self.to, self.period, self.count, self.first = to, run.period, run.times, run.start
        self.rows: list[Array] = []
        """For each statement its positions, those of a lane below each other."""
        self.active: list[Array] = []
        """Where steps have other numbers of lanes: which of these are there. For the others the last one stands."""
        self.backwards = False
        """Whether lanes are numbered from the last one: of steps that have other numbers of them."""
        self._gather()
        self.aligned = self.followed = False
        self.delay: dict[int, int] = {}
        """Of a statement that is read from later steps: how many steps back at most."""
        self.initial: dict[int, dict[tuple[int, int], int]] = {}
        """Of it the positions that stand for (step before the first, lane)."""
        self.stands_for: dict[int, tuple[int, int]] = {}
        """For a position before the first step which class and lane it would be there: to put terms in order."""
        self._standing: Array = np.zeros(0, np.int64)

    def _gather(self) -> None:
        """The positions of every statement."""
        classes, stop = self.to.classes, self.first + self.count * self.period
        lanes = classes.lanes[self.first : stop].reshape(self.count, self.period)
        ragged = bool((lanes != lanes[0]).any())
        self.rows, self.active = [], []
        for j in range(self.period):
            starts, counts = classes.starts[self.first + j : stop : self.period][:, None], lanes[:, j : j + 1]
            place = np.arange(lanes[:, j].max())
            inside = np.minimum(place, counts - 1)
            self.rows.append(classes.members[starts + (counts - 1 - inside if self.backwards else inside)])
            if ragged:
                self.active.append(place < counts)
        self.wasteful: bool = sum(rows.size for rows in self.rows) > WASTED * int(lanes.sum())

    @property
    def low(self) -> int:
        """The number of the first class."""
        return self.to.classes.leaves + self.first

    def key(self, j: int) -> int:
        """The label of a statement."""
        return self.to.classes.count + self.low + j

    def forget(self) -> None:
        """The classes are not steps."""
        here = np.arange(self.low, self.low + self.count * self.period)
        self.to.label[here], self.to.step[here] = here, 0

    def leave_out_first(self) -> None:
        """Go on without the first step."""
        self.first, self.count = self.first + self.period, self.count - 1
        if self.active:
            self._gather()
        else:
            self.rows = [rows[1:] for rows in self.rows]

    # -- lanes in another order at each step

    def align(self) -> None:
        """Put the lanes of each statement in the order of their operands' lanes, those of the run first.

        The order of the graph may be another one in each step: such as that of two directions that meet.
        """
        self.aligned = True
        if self.active:
            self.backwards = True
            self._gather()
            return
        to, low = self.to, self.low
        made = to.classes.made
        for t in range(self.count):
            for j, rows in enumerate(self.rows):
                mine = rows[t]
                if len(mine) > 1:
                    keys = [self._operand_key(made[self.first + j], i, low) for i in mine.tolist()]
                    mine = mine[sorted(range(len(mine)), key=keys.__getitem__)]
                    rows[t] = mine
                to.lane[mine] = np.arange(len(mine))

    def _operand_key(self, what: Any, node: int, low: int) -> list[int]:
        """What a node takes: lanes of this run, then lanes from outside."""
        to, terms = self.to, self.to.classes.terms
        if what in ("sum", "mean"):
            here = slice(*np.searchsorted(terms.root, [node, node + 1]))
            x, y = self._in_order(terms.x[here], terms.y[here], terms.kind[here])
            pairs = self._term_keys(x, y, low)
            pairs = pairs[:, np.lexsort((*pairs[::-1], terms.kind[here]))]
            return [*pairs[2:4].T.ravel().tolist(), *pairs[4:].T.ravel().tolist()]
        row = what[0] if isinstance(what, tuple) else what
        one = np.array([node])
        if isinstance(row, Row) and row.variadic:
            operands = to.elements(one)
            order = np.lexsort((to.lane[operands], to.of[operands]))
            return np.stack([to.of[operands], to.lane[operands]], 1)[order].ravel().tolist()  # type: ignore[no-any-return]
        operands = np.concatenate(to.columns(row, one))
        inside = to.of[operands] >= low
        return [*np.where(inside, to.lane[operands], 0).tolist(), *np.where(inside, 0, to.lane[operands]).tolist()]

    def _in_order(self, x: Array, y: Array, kind: Array) -> tuple[Array, Array]:
        """The factors of terms, the one of the earlier class first, and of one class the one of the lower lane."""
        (a, of_x), (b, of_y) = self._ranks(x), self._ranks(y)
        swap = (kind == 1) & ((a > b) | ((a == b) & (of_x > of_y)))
        return np.where(swap, y, x), np.where(swap, x, y)

    def _term_keys(self, x: Array, y: Array, low: int) -> Array:
        """What orders terms, least important first reversed: classes, lanes inside the run, lanes outside."""
        (a, of_x), (b, of_y) = self._ranks(x), self._ranks(y)
        low += self.to.classes.count - FARTHEST * self.period
        return np.stack([
            a, b, np.where(a >= low, of_x, 0), np.where(b >= low, of_y, 0),
            np.where(a >= low, 0, of_x), np.where(b >= low, 0, of_y),
        ])  # fmt: skip

    def _ranks(self, positions: Array) -> tuple[Array, Array]:
        """(class, lane) to put positions in order: those of the run, and what stands for them, behind all others."""
        to, flat = self.to, positions.ravel()
        of, lane = np.where(flat >= 0, to.of[flat], -1), np.where(flat >= 0, to.lane[flat], -1)
        of = np.where(of >= self.low, of + to.classes.count, of)
        if self.stands_for:
            for i in np.flatnonzero(np.isin(flat, self._standing)).tolist():
                of[i], lane[i] = self.stands_for[int(flat[i])]
        return of.reshape(positions.shape), lane.reshape(positions.shape)

    def _find_what_stands(self) -> None:
        """See which position before the run stands for which lane: that which is read in the same places.

        A sum has no order: which of its terms is which is seen from the lanes. In the first step these are not those
        of the run, and may be numbered in another order.
        """
        to, low, period = self.to, self.low, self.period
        self.stands_for = {}
        both = [self._readers(self.count - 2), self._readers(self.count - 1)]
        same = np.intersect1d(both[0][0], both[1][0])  # read at every step, such as weights
        read, signature = self._signatures(*both[1], same, self.count - 1)
        of = to.of[read]
        delays = self.count - 1 - (of - low) // period
        for t in range(int(delays[of >= low].max(initial=0))):
            there, known = self._signatures(*self._readers(t), same, t)
            behind = np.flatnonzero((of >= low) & (delays > t))
            before = np.flatnonzero(to.of[there] < low)
            behind, before = behind[np.lexsort((to.lane[read[behind]], of[behind], signature[behind]))], before[
                np.lexsort((to.lane[there[before]], to.of[there[before]], known[before]))]  # fmt: skip
            values, counts = np.unique(signature[behind], return_counts=True)
            others, more = np.unique(known[before], return_counts=True)
            values = values[[bool((more[others == v] == n).any()) for v, n in zip(values, counts, strict=True)]]
            behind, before = behind[np.isin(signature[behind], values)], before[np.isin(known[before], values)]
            for i, k in zip(behind.tolist(), before.tolist(), strict=True):
                number = int(of[i]) - (self.count - 1 - t) * period + to.classes.count
                self.stands_for[int(there[k])] = number, int(to.lane[read[i]])
        self._standing = np.array(sorted(self.stands_for), np.int64)

    def _readers(self, t: int) -> tuple[Array, Array, Array]:
        """What a step reads: (positions, a number for where each is read, the other factor or -1)."""
        found = [self._reads(j, t) for j in range(self.period)]
        x, where, other = (np.concatenate([piece[i] for piece in found]) for i in range(3))
        return x, where, other

    def _reads(self, j: int, t: int) -> tuple[Array, Array, Array]:
        """The same of one statement."""
        to, terms = self.to, self.to.classes.terms
        mine, what = self.rows[j][t], to.classes.made[self.first + j]
        row = what[0] if isinstance(what, tuple) else what
        reader = mix(np.full(len(mine), j, np.uint64), np.arange(len(mine)))
        if what in ("sum", "mean"):
            low, high = (np.searchsorted(terms.root, mine, side) for side in ("left", "right"))
            at = np.concatenate([np.arange(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True)])
            where = mix(np.repeat(reader, high - low), terms.kind[at])
            x, y = terms.x[at], terms.y[at]
            paired = y >= 0
            return tuple(map(np.concatenate, ((x, y[paired]), (where, where[paired]), (y, x[paired]))))  # type: ignore[return-value]
        if isinstance(row, Row) and row.variadic:
            x, where = to.elements(mine), np.repeat(reader, to.flat_size[mine])
        else:
            columns = to.columns(row, mine)
            x, where = np.concatenate(columns), np.concatenate([mix(reader, 8 + slot) for slot in range(len(columns))])
        return x, where, np.full(len(x), -1)

    def follow(self) -> None:
        """Number the lanes of every step as those of one of the last steps, by what reads them.

        The order of lanes that `align` finds moves on from step to step, as on a grid each cell is put where one that
        it takes from was, until it stays as it is. From there on backwards each lane is the one that is read in the
        same places.
        """
        self.followed = True
        to, low, period = self.to, self.low, self.period
        of = to.of[self._readers(self.count - 1)[0]]
        last = self.count - 2 - int((self.count - 1 - (of[of >= low] - low) // period).max(initial=0))
        signature = np.zeros(len(to.of), np.uint64)
        wanted: dict[int, tuple[Array, Array]] = {}
        before = [rows.copy() for rows in self.rows]
        for t in range(self.count - 1, -1, -1):
            for j in range(period - 1, -1, -1):
                mine = self.rows[j][t]
                numbers = signature[mine]
                order = np.argsort(numbers, kind="stable")
                if t == last:
                    wanted[j] = order, numbers[order]
                elif t < last:
                    if (numbers[order] != wanted[j][1]).any():
                        self.rows = before
                        return
                    self.rows[j][t][wanted[j][0]] = mine[order]
                x, where, _ = self._reads(j, t)
                np.add.at(signature, x, mix(where, t - (to.of[x] - low) // period))

    def _signatures(self, x: Array, where: Array, other: Array, same: Array, t: int) -> tuple[Array, Array]:
        """Each position that is read once, and a number for all the places where it is."""
        to, low = self.to, self.low
        label = np.where(to.of[other] >= low, to.of[other] - low - t * self.period, -1)
        name = np.where(np.isin(other, same), other, np.where(to.of[other] < low, -1 - to.labels(other), label))
        read, which = np.unique(x, return_inverse=True)
        total = np.zeros(len(read), np.uint64)
        np.add.at(total, which.ravel(), mix(where, np.where(other < 0, -1, name)))
        return read, total

    # -- what the steps do

    def statements(self) -> list[Statement]:
        """What each statement does in every step.

        Raises:
            NotUniform: it is not the same in all of them.
        """
        to, low, period = self.to, self.low, self.period
        self.delay, self.initial = {}, {}
        for j, rows in enumerate(self.rows):  # of all of them first: a step reads later statements of those before
            mine = slice(low + j, low + self.count * period, period)
            to.label[mine], to.step[mine] = self.key(j), np.arange(self.count)
            if self.active:
                to.lane[rows[self.active[j]]] = np.nonzero(self.active[j])[1]
            else:
                to.lane[rows] = np.arange(rows.shape[1])
        if self.active:
            return self._ragged_statements()
        if self.aligned:
            self._find_what_stands()
        found: list[Statement] = []
        lanes: dict[int, Array] = {}
        for j in range(period):
            statement = self._statement(j)
            alike = self._alike(statement._replace(operands=[_renamed(x, lanes) for x in statement.operands]))
            if alike is not None:
                kept, lanes[j] = alike
                statement = statement._replace(lanes=len(kept), operands=[x.some(kept) for x in statement.operands])
            found.append(statement)
        for j, renamed in lanes.items():
            to.lane[self.rows[j]] = renamed
            for (step, lane), position in self.initial.pop(j, {}).items():
                self._start_from(j, step, int(renamed[lane]), position)
        return [x._replace(operands=[_renamed(columns, lanes) for columns in x.operands]) for x in found]

    def _ragged_statements(self) -> list[Statement]:
        """The same of steps that have other numbers of lanes: each has all of them, and some that nobody reads.

        What the first step takes from before it may be more than a step has; those lanes are added.
        """
        found = [self._statement(j) for j in range(self.period)]
        wider = False
        for x in (x for statement in found for x in statement.operands):
            for j in set(x.statement.tolist()) - {OUTSIDE}:
                more = int(x.lane[x.statement == j].max()) + 1 - self.rows[j].shape[1]
                if more > 0:
                    wider = True
                    self.rows[j] = np.pad(self.rows[j], ((0, 0), (0, more)), "edge")
                    self.active[j] = np.pad(self.active[j], ((0, 0), (0, more)))
        if not wider:
            return found
        self.delay, self.initial = {}, {}
        found = [self._statement(j) for j in range(self.period)]
        for x in (x for statement in found for x in statement.operands):
            for j, lane in zip(x.statement.tolist(), x.lane.tolist(), strict=True):
                if j != OUTSIDE and lane >= self.rows[j].shape[1]:
                    raise NotUniform("wider and wider")
        return found

    def _statement(self, j: int) -> Statement:
        to, rows = self.to, self.rows[j]
        what, lanes = to.classes.made[self.first + j], rows.shape[1]
        row = what[0] if isinstance(what, tuple) else what
        if what in ("sum", "mean"):
            return self._sum(what, j)
        if isinstance(row, Row) and row.variadic:
            counts = to.flat_size[rows]
            if (counts != counts[0]).any() or (self.active and (counts[0] != counts[0, 0]).any()):
                raise NotUniform("elements")
            elements = to.elements(rows.ravel()).reshape(self.count, -1)
            return Statement(what, lanes, [self._columns(elements, j)], counts=counts[0])
        columns = to.columns(row, rows.ravel())
        return Statement(what, lanes, [self._columns(x.reshape(rows.shape), j) for x in columns])

    def _sum(self, what: str, j: int) -> Statement:
        rows = self.rows[j]
        to, terms = self.to, self.to.classes.terms
        low, high = (np.searchsorted(terms.root, rows, side) for side in ("left", "right"))
        every: Array = high - low
        if (every != every[0]).any() or (self.active and (every[0] != every[0, 0]).any()):
            raise NotUniform("terms")
        counts = every[0]
        lane = np.repeat(np.arange(rows.shape[1]), counts)
        at = np.asarray(low)[:, lane] + (np.arange(len(lane)) - np.repeat(np.cumsum(counts) - counts, counts))
        x, y, kind = terms.x[at], terms.y[at], terms.kind[at]
        if self.aligned and not self.active:
            x, y = self._in_order(x, y, kind)
            for t in range(self.count):
                keys = self._term_keys(x[t], y[t], self.low)
                order = np.lexsort((*keys[::-1], kind[t], lane))
                x[t], y[t], kind[t] = x[t, order], y[t, order], kind[t, order]
        else:
            swap = (kind == 1) & (to.of[x] > to.of[y])
            x, y = np.where(swap, y, x), np.where(swap, x, y)
        if (kind != kind[-1]).any():
            raise NotUniform("kinds of terms")
        operands = [self._columns(x, j)]
        if (kind[-1] > 0).any():
            operands.append(self._columns(np.where(y >= 0, y, x), j))
        mean = to.flat_size[rows][0] if what == "mean" else None
        zeroed = bool(terms.zeroed[rows[0, 0]])
        return Statement(what, rows.shape[1], operands, lane, kind[-1], mean, zeroed)

    def _columns(self, positions: Array, j: int) -> Columns:
        """What the columns of a table of positions, operands of a statement, are, checked in every step."""
        if self.active:
            return self._ragged_columns(positions, self.active[j])
        to, low, period = self.to, self.low, self.period
        of = to.of[positions]
        inside = of[-1] >= low
        statement = np.where(inside, (of[-1] - low) % period, OUTSIDE)
        delay = np.where(inside, self.count - 1 - (of[-1] - low) // period, 0)
        lane = np.where(inside, to.lane[positions[-1]], 0)
        step = np.arange(self.count)[:, None]
        now = inside & (step >= delay)
        if (now & ((of != low + (step - delay) * period + statement) | (to.lane[positions] != lane))).any():
            raise NotUniform("lanes")
        if (~now & (of >= low)).any():
            raise NotUniform("the first steps")
        for column in np.flatnonzero(delay).tolist():
            j, back = int(statement[column]), int(delay[column])
            self.delay[j] = max(self.delay.get(j, 0), back)
            for t in range(back):
                self._start_from(j, t - back, int(lane[column]), int(positions[t, column]))
        return Columns(positions, statement, delay, lane)

    def _ragged_columns(self, positions: Array, active: Array) -> Columns:
        """The same where not every step has every lane: a column is what it is in the steps that have it.

        A lane that only the first step has takes from before it. What it would take of a step follows from the lane
        before it, and so does what those take that no step has: nobody reads them.
        """
        to, low, period, columns = self.to, self.low, self.period, np.arange(positions.shape[1])
        each = len(columns) // active.shape[1]  # as many for each lane: elements of a sequence, terms of a sum
        active = np.repeat(active, each, axis=1)
        there = active.any(0)
        last = np.where(there, self.count - 1 - np.argmax(active[::-1], axis=0), 0)
        of = to.of[positions]
        read = of[last, columns]
        inside = there & (read >= low)
        statement = np.where(inside, (read - low) % period, OUTSIDE)
        delay = np.where(inside, last - (read - low) // period, 0)
        lane = np.where(inside, to.lane[positions[last, columns]], 0)
        for c in columns[each:][~inside[each:]].tolist():
            before, two = c - each, c - 2 * each
            if statement[before] != OUTSIDE and (not there[c] or last[c] < delay[before]):
                alike = two >= 0 and statement[two] == statement[before] and delay[two] == delay[before]
                stride = lane[before] - lane[two] if alike else 1
                statement[c], delay[c], lane[c] = statement[before], delay[before], lane[before] + stride * there[c]
        step = np.arange(self.count)[:, None]
        now = (statement != OUTSIDE) & (step >= delay)
        same = (of == low + (step - delay) * period + statement) & (to.lane[positions] == lane)
        if (lane < 0).any() or (active & now & ~same).any() or (active & ~now & (of >= low)).any():
            raise NotUniform("lanes")
        # Nor do steps without it take something of the run there, as the lane that stands for it may.
        positions = positions.copy()
        for c in np.flatnonzero((statement == OUTSIDE) & (of >= low).any(0)).tolist():
            if there[c]:
                positions[of[:, c] >= low, c] = positions[last[c], c]
            elif c >= each and statement[c - each] == OUTSIDE:
                positions[:, c] = positions[:, c - each]
            else:
                raise NotUniform("lanes")
        for c in np.flatnonzero(delay).tolist():
            j, back = int(statement[c]), int(delay[c])
            self.delay[j] = max(self.delay.get(j, 0), back)
            for t in np.flatnonzero(active[:back, c]).tolist():
                self._start_from(j, t - back, int(lane[c]), int(positions[t, c]))
        return Columns(positions, statement, delay, lane)

    def _start_from(self, j: int, step: int, lane: int, position: int) -> None:
        """Note what stands for a lane of a statement before the first step: for all that read it the same."""
        known = self.initial.setdefault(j, {}).setdefault((step, lane), position)
        both = np.array([known, position])
        of, place = self.to.of[both], self.to.place(both)
        if known != position and (of[0] != of[1] or place[0] != place[1]):
            raise NotUniform("where it starts from")

    def _alike(self, statement: Statement) -> tuple[Array, Array] | None:
        """(the lanes kept, what each lane is now) where two lanes do the same to the same lanes in every step."""
        if statement.kind is not None or statement.counts is not None or statement.lanes < 2:
            return None
        step = np.arange(self.count)[:, None]
        tables = []
        for x in statement.operands:
            now = (x.statement != OUTSIDE) & (step >= x.delay)
            tables.append(np.where(now, -1 - x.statement * (FARTHEST + 1) - x.delay, self.to.labels(x.positions)))
            tables.append(np.where(now, x.lane, self.to.place(x.positions)))
        table = np.concatenate(tables)
        weight = mix(np.arange(len(table), dtype=np.uint64), 1)
        first, which = by_occurrence((table.astype(np.uint64) * weight[:, None]).sum(0))
        if len(first) == statement.lanes or (table[:, first[which]] != table).any():
            return None
        return first, which


def _renamed(columns: Columns, lanes: dict[int, Array]) -> Columns:
    """Columns of lanes as they are numbered now."""
    lane = columns.lane.copy()
    for j in set(columns.statement.tolist()) & lanes.keys():
        lane = np.where(columns.statement == j, lanes[j][np.minimum(lane, len(lanes[j]) - 1)], lane)
    return columns._replace(lane=lane)


class _Statements:
    """The statements of a run as instructions."""

    def __init__(self, to: RolledEmitter, steps: _Steps, statements: list[Statement]) -> None:
        self.to, self.steps, self.statements = to, steps, statements
        self.builder, self.count = to.builder, steps.count
        self.made: list[Ref] = []
        self.carries: dict[int, int] = {}
        """The instruction that carries a statement."""
        reads = [{int(j) for x in statement.operands for j in x.statement if j != OUTSIDE} for statement in statements]
        self.recurrent = {j for item in components(reads, range(len(reads))) if is_loop(reads, item) for j in item}
        """The statements that depend on themselves."""

    def emit(self) -> None:
        """The carries, still open; the statements; then what the carries hand on."""
        builder, steps, to = self.builder, self.steps, self.to
        batched = self._batched()
        for j, delay in sorted(steps.delay.items()):
            lanes, known = self.statements[j].lanes, steps.initial[j]
            anything = next(iter(known.values()))  # for lanes that none of the first steps reads
            initial = to.lanes_at(
                np.array([known.get((t, i), anything) for t in range(-delay, 0) for i in range(lanes)])
            )
            carry = Carry((delay + self.count) * lanes, batched[j], self.count, delay, initial, initial)
            self.carries[j] = builder.add(carry).source
        for j, statement in enumerate(self.statements):
            self.made.append(self._instruction(statement, j in self.recurrent))
            to.refs[steps.key(j)], to.width[steps.key(j)] = self.made[j], statement.lanes
        handed_on: set[int] = set()
        for j, k in self.carries.items():
            later, x = self.made[j], builder.instructions[k]
            source = builder.instructions[later.source]
            if later.lanes is not None or isinstance(source, Composite) or later.source in handed_on:
                # The carry and what it hands on lie in one place: lanes of something else are copied there.
                copied = Part("plain", 1.0, builder.index(np.arange(len(builder.lanes_of(later)))), later, None)
                later = builder.add(Sum(len(copied.to), source.batched, (copied,)))
            handed_on.add(later.source)
            assert isinstance(x, Carry)
            builder.instructions[k] = replace(x, later=later)

    def _batched(self) -> list[bool]:
        """Which statements have a batch axis: those that take from what has one, in this step or an earlier one."""
        to, steps = self.to, self.steps

        def outside(positions: Array) -> bool:
            labels = np.unique(to.labels(positions[positions >= 0])).tolist()
            return any(to.builder.batched(to.refs[label]) for label in labels)

        found = [False] * len(self.statements)
        if not any(isinstance(x, Leaf) and x.batched for x in to.builder.instructions):
            return found
        reads: list[set[int]] = []
        for j, statement in enumerate(self.statements):
            found[j] = outside(np.array(list(steps.initial.get(j, {}).values()), np.int64))
            reads.append(set())
            for x in statement.operands:
                found[j] |= outside(x.positions[:, x.statement == OUTSIDE])
                reads[j].update(x.statement[x.statement != OUTSIDE].tolist())
        while True:
            more = [j for j, mine in enumerate(reads) if not found[j] and any(found[i] for i in mine)]
            if not more:
                return found
            for j in more:
                found[j] = True

    def _instruction(self, x: Statement, recurrent: bool) -> Ref:
        builder, count = self.builder, self.count
        if x.kind is not None:
            parts = self._parts(x)
            if recurrent:
                parts = self._before(x, parts)
            total = builder.sum(count * x.lanes, parts, zeroed=x.zeroed)
            return total if x.counts is None else builder.mean(total, np.tile(x.counts, count))
        operands = [self._lanes(columns) for columns in x.operands]
        if x.counts is not None:
            return builder.sequence(x.what, operands[0], np.tile(x.counts, count))
        return self.to.op(x.what, operands, count * x.lanes)

    def _parts(self, x: Statement) -> list[Part]:
        """The terms of a sum, together where they add the same kind of product of lanes of the same instructions."""
        left, right = x.operands[0], x.operands[-1]
        sources = [self._sources(left), np.where(x.kind > 0, self._sources(right), 0), x.kind]
        _, which = np.unique(np.stack(sources), axis=1, return_inverse=True)
        parts = []
        for group in range(int(which.max()) + 1 if which.size else 0):
            here = np.flatnonzero(which.ravel() == group)
            kind = int(x.kind[here[0]])
            other = self._of_one(right.some(here)) if kind else None
            name = ("plain", *PRODUCTS)[kind]
            parts.append(Part(name, 1.0, self._every_step(x.to[here], x.lanes), self._of_one(left.some(here)), other))
        return parts

    def _before(self, x: Statement, parts: list[Part]) -> list[Part]:
        """The same with what does not depend on the steps before as one part: a sum for all steps at once.

        Of W x + U h the product W x is one of matrices, before the loop.
        """
        mine = {ref.source for j, ref in enumerate(self.made) if j in self.recurrent} | set(self.carries.values())
        outside = [part for part in parts if not {ref.source for ref in (part.left, part.right) if ref} & mine]
        if sum(len(part.to) for part in outside) <= self.count * x.lanes and all(
            part.right is None for part in outside
        ):
            return parts
        size = self.count * x.lanes
        total = Part("plain", 1.0, np.arange(size), self.builder.sum(size, outside), None)
        return [total, *(part for part in parts if all(part is not other for other in outside))]

    def _every_step(self, lanes: Array, width: int, delay: Any = 0) -> Array:
        """Lanes of a step, in all of them."""
        return ((np.arange(self.count)[:, None] + delay) * width + lanes).ravel()

    def _sources(self, x: Columns) -> Array:
        """For each column a number for the instruction that its lanes are of."""
        outside = self.to.labels(x.positions[-1]) + 2 * len(self.statements)
        return np.where(x.statement == OUTSIDE, outside, 2 * x.statement + (x.delay > 0))

    def _of_one(self, x: Columns) -> Ref:
        """The lanes of columns that have one source."""
        j = int(x.statement[0])
        if j == OUTSIDE:
            return self.to.lanes_at(x.positions.ravel())
        width = self.statements[j].lanes
        if x.delay[0]:
            delay = self.steps.delay[j]
            return self.builder.pick(Ref(self.carries[j], None), self._every_step(x.lane, width, delay - x.delay))
        return self.builder.pick(self.made[j], self._every_step(x.lane, width))

    def _lanes(self, x: Columns) -> Ref:
        """The lanes of columns, from one instruction or several, side by side in every step."""
        sources, width = self._sources(x), len(x.lane)
        parts = []
        for source in np.unique(sources).tolist():
            here = np.flatnonzero(sources == source)
            ref = self._of_one(x.some(here))
            if len(here) == width:
                return ref
            parts.append(Part("plain", 1.0, self._every_step(here, width), ref, None))
        return self.builder.sum(self.count * width, parts)
