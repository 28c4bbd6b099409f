"""Loops: instructions of a Plan that depend on each other, and what one step of them does.

A recurrence is folded into instructions whose lanes are those of all steps, the ones of a step side by side. What a
step reads of those before it comes from a Carry (in the backward pass, from a Recurrent), so that instructions may
depend on each other in a circle, although lanes never do. Such a circle is a loop: it must be run step by step.
Everything else, even if the same Python loop wrote it, is an instruction on all steps at once.

A backend that runs loops gets from here what a step is made of: Members in the order of a step, whose operands are
lanes of other members, now or some steps away (Local), or lanes of what was computed before the loop (Outer).
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.folding.instructions import Carry, Composite, Instruction, Map, Part, Recurrent, Reduce, Ref, Sum

Array = Any


class Irregular(Exception):
    """The steps of a loop are not alike."""


class Local(NamedTuple):
    """Lanes of a member of the loop, `shift` steps before this one; in a backward loop after it.

    What a forward loop reads before its first step are initial lanes of the carry of the member.
    """

    member: int
    shift: int
    lanes: Array

    def at(self, columns: Array) -> Local:
        """Some of them."""
        return self._replace(lanes=self.lanes[columns])


class Outer(NamedTuple):
    """Lanes of an instruction outside: in step t base + t * stride, or table[t] where there is no stride.

    t is the number of the step, whichever way the loop runs. A stride of 0 throughout is an invariant.
    """

    source: int
    base: Array
    stride: Array | None
    table: Array | None

    def at(self, columns: Array) -> Outer:
        """Some of them."""
        stride = None if self.stride is None else self.stride[columns]
        table = None if self.table is None else self.table[:, columns]
        return Outer(self.source, self.base[columns], stride, table)

    def lanes(self, steps: int) -> Array:
        """All lanes, a row for each step."""
        if self.stride is None:
            return self.table
        return self.base + np.arange(steps)[:, None] * self.stride

    @property
    def invariant(self) -> bool:
        """Whether every step reads the same lanes."""
        return self.stride is not None and not self.stride.any()


Operand = Local | Outer


class Piece(NamedTuple):
    """What some columns of an operand are."""

    columns: Array
    of: Operand


class Term(NamedTuple):
    """What a sum adds in a step to some of its lanes: lanes[to] += factor * left * right.

    Args:
        kind, factor: see `instructions.Part`.
        to: lanes of the member, of one step.
        left, right: as many lanes.
        first, last: the steps first <= t < last have this term; in the others it adds nothing. In a backward loop the
            last steps have no step after them. What comes from outside alone is in all steps.
    """

    kind: str
    factor: float
    to: Array
    left: Operand
    right: Operand | None
    first: int
    last: int


class Member(NamedTuple):
    """What one instruction of a loop does in a step.

    Args:
        k: the number of the instruction, which has the code, the row and so on.
        lanes: how many lanes it has in one step.
        terms: of a Sum.
        operands: of a Map each of its Refs, of a Reduce its elements; the pieces of one have all its columns once.
        counts: of a Reduce, those of one step.
    """

    k: int
    lanes: int
    terms: tuple[Term, ...] = ()
    operands: tuple[tuple[Piece, ...], ...] = ()
    counts: Array | None = None

    def reads(self) -> Iterator[Operand]:
        """All operands."""
        for term in self.terms:
            yield term.left
            if term.right is not None:
                yield term.right
        for pieces in self.operands:
            for piece in pieces:
                yield piece.of


@dataclass(frozen=True, eq=False)
class Loop:
    """The instructions `start` to `stop` of a plan, which must be run step by step.

    Args:
        start, stop: where they stand in the plan.
        steps: how many steps.
        backward: whether the last step comes first.
        members: the instructions but for the carries, in the order of one step.
        carries: for a member that has a carry the number of that; its steps are the rows after the initial ones.
    """

    start: int
    stop: int
    steps: int
    backward: bool
    members: tuple[Member, ...]
    carries: dict[int, int] = field(default_factory=dict)

    def sources(self) -> set[int]:
        """The instructions outside that it reads; initial lanes apart."""
        return {x.source for member in self.members for x in member.reads() if isinstance(x, Outer)}


# --- which instructions are loops -------------------------------------------------------------------------


def components(reads: Sequence[Collection[int]], wanted: Iterable[int]) -> list[list[int]]:
    """What some instructions need, in an order to run it in: instructions that depend on each other are one item.

    An instruction that no loop separates from the leaves comes first, then the loops that need only those, and so on.

    Args:
        reads: for each instruction those that it reads.
        wanted: the instructions.

    Example:
        >>> from autograd_lite.folding.loops import components
        >>> components([[], [0, 3], [1], [2], [3]], [4])
        [[0], [1, 2, 3], [4]]
    """
    found = _strongly_connected(reads, wanted)
    loop = [is_loop(reads, members) for members in found]
    of = {k: n for n, members in enumerate(found) for k in members}
    depth = [0] * len(found)
    waits: list[int] = []
    users: list[list[int]] = [[] for _ in found]
    for n, members in enumerate(found):
        before = {of[source] for k in members for source in reads[k]} - {n}
        depth[n] = max((depth[m] + loop[m] for m in before), default=0)
        waits.append(len(before))
        for m in before:
            users[m].append(n)

    def entry(n: int) -> tuple[int, bool, int, int]:
        return depth[n], loop[n], found[n][0], n

    ready = [entry(n) for n, count in enumerate(waits) if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        n = heapq.heappop(ready)[-1]
        order.append(found[n])
        for user in users[n]:
            waits[user] -= 1
            if not waits[user]:
                heapq.heappush(ready, entry(user))
    return order


def is_loop(reads: Sequence[Collection[int]], members: Sequence[int]) -> bool:
    """Whether an item of `components` depends on itself."""
    return len(members) > 1 or members[0] in reads[members[0]]


def _strongly_connected(reads: Sequence[Collection[int]], wanted: Iterable[int]) -> list[list[int]]:
    """Tarjan's algorithm, without recursion: each component after those that it reads."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    open_ones: dict[int, None] = {}
    found: list[list[int]] = []
    for root in wanted:
        if root in index:
            continue
        work: list[tuple[int, Iterator[int]]] = []

        def enter(k: int) -> None:
            index[k] = low[k] = len(index)
            open_ones[k] = None
            work.append((k, iter(sorted(reads[k]))))  # noqa: B023

        enter(root)
        while work:
            k, further = work[-1]
            for source in further:
                if source not in index:
                    enter(source)
                    break
                if source in open_ones:
                    low[k] = min(low[k], index[source])
            else:
                work.pop()
                if work:
                    user = work[-1][0]
                    low[user] = min(low[user], low[k])
                if low[k] == index[k]:
                    members: list[int] = []
                    while not members or members[-1] != k:
                        members.append(open_ones.popitem()[0])
                    found.append(sorted(members))
    return found


# --- what a step is made of -------------------------------------------------------------------------------


def loop_of(instructions: Sequence[Instruction], start: int, stop: int) -> Loop:
    """The loop of some instructions of a plan.

    Raises:
        Irregular: its steps are not alike.
    """
    return _Body(instructions, start, stop).loop()


class _Body:
    """What the index tables of the members of a loop have in common in every step."""

    def __init__(self, instructions: Sequence[Instruction], start: int, stop: int) -> None:
        self.instructions, self.start, self.stop = instructions, start, stop
        mine = instructions[start:stop]
        steps = {x.steps for x in mine if isinstance(x, (Carry, Recurrent))}
        if len(steps) != 1:
            raise Irregular(f"loops of {sorted(steps)} steps that depend on each other")
        (self.steps,) = steps
        self.carries: dict[int, int] = {}
        for k, x in enumerate(mine, start):
            if isinstance(x, Carry):
                if x.later.lanes is not None or x.later.source in self.carries:
                    raise Irregular("a carry of lanes in another order, or of what has one")
                self.carries[x.later.source] = k
        self.shifts: set[int] = set()

    def loop(self) -> Loop:
        """What it comes to."""
        members = [
            self._member(k)
            for k in range(self.start, self.stop)
            if not isinstance(self.instructions[k], (Carry, Composite))
        ]
        if min(self.shifts) < 0 < max(self.shifts):
            raise Irregular("a step reads one before it and one after it")
        backward = max(self.shifts) > 0
        if not backward and any(
            isinstance(x, Local) and x.shift and x.member not in self.carries for m in members for x in m.reads()
        ):
            raise Irregular("a step reads one before it, and nothing says what stands before the first")
        return Loop(self.start, self.stop, self.steps, backward, self._ordered(members), self.carries)

    def _ordered(self, members: list[Member]) -> tuple[Member, ...]:
        """The members so that each finds what it reads of the same step."""
        waits = {m.k: {x.member for x in m.reads() if isinstance(x, Local) and not x.shift} for m in members}
        order: list[Member] = []
        done: set[int] = set()
        while len(order) < len(members):
            ready = [m for m in members if m.k not in done and waits[m.k] <= done]
            if not ready:
                raise Irregular("lanes that depend on themselves")
            order += ready
            done.update(m.k for m in ready)
        return tuple(order)

    def _member(self, k: int) -> Member:
        x = self.instructions[k]
        if x.size % self.steps:
            raise Irregular("lanes that are not those of all steps")
        lanes = x.size // self.steps
        if isinstance(x, Sum):
            return Member(k, lanes, tuple(term for part in x.parts for term in self._terms(part, lanes)))
        if isinstance(x, Map):
            return Member(k, lanes, operands=tuple(tuple(self._pieces(ref, 0, self.steps)) for ref in x.refs))
        if isinstance(x, Reduce):
            counts = x.counts.reshape(self.steps, lanes)
            if (counts != counts[0]).any():
                raise Irregular("groups of other lengths")
            return Member(k, lanes, (), (tuple(self._pieces(x.elements, 0, self.steps)),), counts[0])
        raise Irregular(f"an instruction of type {type(x).__name__}")

    def _terms(self, part: Part, lanes: int) -> Iterator[Term]:
        """A part as terms of a step."""
        if not len(part.to):
            return
        first, last = int(part.to[0] // lanes), int(part.to[-1] // lanes) + 1
        if last <= first or len(part.to) % (last - first):
            raise Irregular("a sum that has other terms in other steps")
        to = part.to.reshape(last - first, -1) - np.arange(first, last)[:, None] * lanes
        if (to != to[0]).any() or to.min() < 0 or to.max() >= lanes:
            raise Irregular("a sum whose terms go to other lanes in other steps")
        left = list(self._pieces(part.left, first, last))
        if part.right is None:
            for piece in left:
                yield Term(part.kind, part.factor, to[0][piece.columns], piece.of, None, first, last)
            return
        for piece in left:
            for other in self._pieces(part.right, first, last):
                both, of_piece, of_other = np.intersect1d(piece.columns, other.columns, True, True)
                if len(both):
                    factors = piece.of.at(of_piece), other.of.at(of_other)
                    yield Term(part.kind, part.factor, to[0][both], *factors, first, last)

    def _pieces(self, ref: Ref, first: int, last: int) -> Iterator[Piece]:
        """The lanes of a Ref, those of a step in a row, as what they are in any step from `first` to `last`."""
        x, k = self.instructions[ref.source], ref.source
        rows = (np.arange(x.size) if ref.lanes is None else ref.lanes).reshape(last - first, -1)
        if not self.start <= k < self.stop:
            yield Piece(np.arange(rows.shape[1]), self._outer(k, rows, first, last))
            return
        delay = 0
        if isinstance(x, Carry):
            k, delay, width = x.later.source, x.delay, x.width
        else:
            width = x.size // self.steps
        shift, lanes = rows // width - delay - np.arange(first, last)[:, None], rows % width
        if (shift != shift[0]).any() or (lanes != lanes[0]).any():
            raise Irregular("a step reads other lanes than the one before it")
        for distance in np.unique(shift[0]).tolist():
            self.shifts.add(distance)
            columns = np.flatnonzero(shift[0] == distance)
            yield Piece(columns, Local(k, abs(distance), lanes[0][columns]))

    def _outer(self, k: int, rows: Array, first: int, last: int) -> Outer:
        """Lanes of something outside; steps that do not read them get those of the nearest step that does."""
        if len(rows) == 1:
            return Outer(k, rows[0], np.zeros_like(rows[0]), None)
        strides = np.diff(rows, axis=0)
        if (strides == strides[0]).all():
            return Outer(k, rows[0] - first * strides[0], strides[0], None)
        return Outer(k, rows[0], None, rows[np.clip(np.arange(self.steps) - first, 0, last - first - 1)])
