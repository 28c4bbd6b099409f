"""Loops over steps as nests: a narrow body as one code in registers, a wide one as nests that run step after step.

A narrow body (numbers, or in a batch vectors of rows) is a Recurrence: every lane of a member is a value of its own,
and what the next step reads is carried. A wide one is a Loop: its members are maps, products and sums over the lanes
of a step, which lie in memory (nested_steps.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd_lite.folding.backends import Refused
from autograd_lite.folding.instructions import Carry, Literal, Map, Reduce, Ref, Sum
from autograd_lite.folding.loops import Local, Loop, Member, Operand, Outer, Term
from autograd_lite.folding.nested_steps import Steps, within
from autograd_lite.folding.nests import IN_PYTHON, Access, Nest, Pack, Recurrence

if TYPE_CHECKING:
    from autograd_lite.folding.nesting import Nesting, Straight

Array = Any

IN_REGISTERS = 4
"""So many steps back a value is handed on in registers; what is further back is read from memory."""

WIDE = 8
"""Lanes of a member from which on vectors of them pay."""

MOST_SMALL, MOST_IN_ROWS, MOST = 64, 1200, 4000
"""Operations of a step that are written out: of numbers, though there are vectors; of rows; of numbers at all."""

COSTLY = 20
"""What an elementary function counts that is not one of PLAIN."""

PLAIN = frozenset(["add", "sub", "mul", "div", "neg", "abs", "select", "gt", "ge", "lt", "le", "eq", "sqrt", "floor"])


class Loops:
    """Makes the nests of loops."""

    def __init__(self, to: Nesting) -> None:
        self.to = to

    def reads(self, loop: Loop) -> None:
        """Give a place to all that a loop reads from outside, and to what it reads itself of long before."""
        to = self.to
        for member in loop.members:
            for x in member.reads():
                if isinstance(x, Outer):
                    if to.batched[x.source] and not to.batched[loop.start]:
                        raise Refused(f"%{member.k}, in a loop without rows, sums over rows")
                    if not isinstance(to.instructions[x.source], Literal):
                        to.at(x.source)
                elif x.shift > IN_REGISTERS:
                    to.at(x.member)
        for carry in loop.carries.values():
            of = to.instructions[carry]
            assert isinstance(of, Carry)
            to.at(of.initial.source)

    def nests(self, loop: Loop) -> list[Nest]:
        """The nests of a loop; which of its members are stored is settled."""
        to = self.to
        work = self._operations(loop)
        wide = max(member.lanes for member in loop.members) >= WIDE
        most = MOST_IN_ROWS if to.batched[loop.start] else MOST_SMALL if wide else MOST
        if work > most:
            try:
                before, found = Steps(to, loop).nests()
            except Refused:
                if work > MOST:
                    raise
            else:
                return [*self._initial(loop), *before, found]
        body = _Body(to, loop)
        for member in loop.members:
            body.add(member)
        recurrence = body.finished()
        return [*self._initial(loop), recurrence]

    def _operations(self, loop: Loop) -> int:
        """How many operations a step has, about."""
        count = 0
        for member in loop.members:
            x = self.to.instructions[member.k]
            count += sum(len(term.to) for term in member.terms)
            if isinstance(x, Map):
                assert x.code is not None
                if any(step.function for step in x.code.steps):
                    raise Refused("a user-defined function in a loop")
                for step in x.code.steps:
                    if step.name in IN_PYTHON:
                        raise Refused(f"{step.name} in a loop")
                count += member.lanes * sum(1 if step.name in PLAIN else COSTLY for step in x.code.steps)
            elif member.counts is not None:
                count += int(member.counts.sum())
        return count

    def _initial(self, loop: Loop) -> list[Nest]:
        """What stands for the steps before the first, copied to where the steps are stored."""
        to = self.to
        found: list[Nest] = []
        row_at = 1 if to.batched[loop.start] else None
        for carry in loop.carries.values():
            if carry in to.place:
                x = to.instructions[carry]
                assert isinstance(x, Carry)
                n = x.delay * x.width
                axes = (n, to.block) if row_at else (n,)
                source = to.access(x.initial.source, to.lanes(x.initial), row_at)
                found.append(Pack(axes, source, to.access(carry, np.arange(n), row_at)))
        return found


class _Body:
    """The code of a step, one value for each lane of a member."""

    def __init__(self, to: Nesting, loop: Loop) -> None:
        from autograd_lite.folding.nesting import Straight

        self.to, self.loop, self.code = to, loop, Straight()
        self.batched = to.batched[loop.start]
        self.lanes = {member.k: member.lanes for member in loop.members}
        self.now: dict[int, list[int | float]] = {}
        self.accesses: dict[Any, Access] = {}

    def add(self, member: Member) -> None:
        """The values of a member, from those before it."""
        to, code, x = self.to, self.code, self.to.instructions[member.k]
        if isinstance(x, Sum):
            # What never is -0.0 starts from 0.0, see Sum.
            totals: list[int | float | None] = [0.0 if x.zeroed else None] * member.lanes
            for term in member.terms:
                left = self.values(term.left, term)
                right = None if term.right is None else self.values(term.right, term)
                for n, lane in enumerate(term.to.tolist()):
                    b = None if right is None else right[n]
                    totals[lane] = code.added(totals[lane], term.factor, left[n], b)
            self.now[member.k] = [0.0 if total is None else total for total in totals]
            return
        operands = []
        for pieces in member.operands:
            columns: dict[int, int | float] = {}
            for piece in pieces:
                columns.update(zip(piece.columns.tolist(), self.values(piece.of), strict=True))
            operands.append([columns[j] for j in range(len(columns))])
        if isinstance(x, Reduce):
            assert member.counts is not None
            elements = iter(operands[0])
            self.now[member.k] = [
                _reduced(code, x.row.name, [next(elements) for _ in range(count)]) for count in member.counts.tolist()
            ]
            return
        assert isinstance(x, Map)
        values = []
        for lane in range(member.lanes):
            given = iter(operands)
            values.append(to.mapped(code, x, [next(given)[lane] if isinstance(a, Ref) else a for a in x.args]))
        self.now[member.k] = values

    def values(self, x: Operand, term: Term | None = None) -> list[int | float]:
        """The values of what a member reads; of a term that may not be there at every step."""
        if isinstance(x, Local):
            if x.shift == 0:
                return [self.now[x.member][lane] for lane in x.lanes.tolist()]
            return [self.before(x.member, lane, x.shift) for lane in x.lanes.tolist()]
        x = within(x, self.loop, term)
        return [self.outer(x, j) for j in range(len(x.base))]

    def before(self, k: int, lane: int, shift: int) -> int:
        """A lane of a member some steps ago."""
        key = ("before", k, lane, shift)
        if key not in self.accesses:
            self.accesses[key] = self._place_before(k, lane, shift)
            if 1 < shift <= IN_REGISTERS:
                self.before(k, lane, shift - 1)
        return self.code.input(key)

    def _place_before(self, k: int, lane: int, shift: int) -> Access:
        """Where it is; of what is carried, where it is before the first step."""
        to, width, step = self.to, self.lanes[k], self.to.step_of(k)
        row = (1,) * self.batched
        if shift > IN_REGISTERS:
            ago = shift if self.loop.backward else -shift
            return Access(to.at(k) + (ago * width + lane) * step, (width * step, *row))
        if self.loop.backward:
            return Access(to.zero, (0, *(0,) * self.batched))
        carry = to.instructions[self.loop.carries[k]]
        assert isinstance(carry, Carry)
        source, place = carry.initial.source, (carry.delay - shift) * width + lane
        if carry.initial.lanes is not None:
            place = int(carry.initial.lanes[place])
        return Access(to.at(source) + place * to.step_of(source), (0, *(int(to.batched[source]),) * self.batched))

    def outer(self, x: Outer, j: int) -> int | float:
        """A lane of what is outside."""
        to, source = self.to, self.to.instructions[x.source]
        step, row = to.step_of(x.source), (int(to.batched[x.source]),) * self.batched
        base = int(x.base[j])
        if x.stride is not None:
            stride = int(x.stride[j])
            if isinstance(source, Literal) and not stride:
                return float(source.values[base])
            access = Access(to.at(x.source) + base * step, (stride * step, *row))
        else:
            assert x.table is not None
            zeros = (0,) * self.batched
            table = to.table(x.table[:, j] - base)
            access = Access(to.at(x.source) + base * step, (0, *row), table, (1, *zeros), step)
        self.accesses[access] = access
        return self.code.input(access)

    def finished(self) -> Recurrence:
        """The nest."""
        to, loop, code = self.to, self.loop, self.code
        carried: list[tuple[Any, int | float]] = []
        for key in list(code.inputs):
            if not isinstance(key, Access) and key[3] <= IN_REGISTERS:
                _, k, lane, shift = key
                carried.append((key, self.now[k][lane] if shift == 1 else code.input(("before", k, lane, shift - 1))))
        kept = [(member.k, lane) for member in loop.members if member.k in to.place for lane in range(member.lanes)]
        summed = [value for k in to.watched([member.k for member in loop.members]) for value in self.now[k]]
        results = [*(self.now[k][lane] for k, lane in kept), *(value for _, value in carried), *summed]
        steps, moved = code.finished(results)
        row = (1,) * self.batched
        outputs = []
        for value, (k, lane) in zip(moved, kept, strict=False):
            step = to.step_of(k)
            outputs.append((value, Access(to.at(k) + lane * step, (self.lanes[k] * step, *row))))
        number = {key: n for n, key in enumerate(code.inputs)}
        handed = tuple((number[key], value) for (key, _), value in zip(carried, moved[len(kept) :], strict=False))
        watch = tuple(dict.fromkeys(x for x in moved[len(kept) + len(carried) :] if isinstance(x, int)))
        return Recurrence(loop.steps, tuple(self.accesses[key] for key in code.inputs), steps, tuple(outputs), handed,
                          loop.backward, watch, self.batched)  # fmt: skip


def _reduced(code: Straight, name: str, elements: Sequence[int | float]) -> int | float:
    """The largest, the smallest or the norm of elements."""
    if name in ("max", "min"):
        top = elements[0]
        for x in elements[1:]:
            top = code.step(name, top, x)
        return top
    sizes = [code.step("abs", x) for x in elements]
    top = _reduced(code, "max", sizes)
    finite = code.step("select", code.step("lt", top, float("inf")), top, 1.0)
    scale = code.step("select", code.step("gt", top, 0.0), finite, 1.0)
    total: int | float | None = None
    for size in sizes:
        share = code.step("div", size, scale)
        total = code.added(total, 1.0, share, share)
    assert total is not None
    return code.step("mul", scale, code.step("sqrt", total))
