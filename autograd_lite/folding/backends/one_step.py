"""One step of a loop as instructions of its own: what a backend runs that knows nothing of loops but repeats them.

Its leaves are what a step takes: lanes from outside, the same in every step (Fixed) or others in each (Moving), and
lanes of members as they were some steps before (Before). The lanes of a step are then those of small instructions,
whose sums have forms like any other: the step of a network is a product of a matrix and a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.folding.contractions import forms
from autograd_lite.folding.instructions import Instruction, Leaf, Map, Part, Reduce, Ref, Sum
from autograd_lite.folding.loops import Local, Loop, Member, Operand, Outer, Piece

Array = Any


class Fixed(NamedTuple):
    """Lanes of an instruction outside, the same in every step."""

    source: int
    lanes: Array


class Moving(NamedTuple):
    """Lanes of an instruction outside: a row of a table for each step; 0 but in the steps first <= t < last."""

    source: int
    table: Array
    first: int
    last: int


class Before(NamedTuple):
    """All lanes of a member some steps before, in a backward loop after; without such a step 0, or initial lanes."""

    member: int
    shift: int


Input = Fixed | Moving | Before


class OneStep:
    """A step.

    Args:
        instructions: those of the plan.
        loop: one of its loops.
    """

    def __init__(self, instructions: Sequence[Instruction], loop: Loop) -> None:
        self.before, self.loop = instructions, loop
        self.inputs: list[Input] = []
        """What the leaves among its instructions are, by their index."""
        self.instructions: list[Instruction] = []
        self.of: dict[int, int] = {}
        """Of each member which of the instructions has its lanes."""
        self._known: dict[Any, int] = {}
        for member in loop.members:
            x = self._instruction(member)
            self.of[member.k] = self._add(x)
        self.shifts: dict[int, int] = {}
        """Of a member that is read from other steps: from how far at most."""
        for member in loop.members:
            for operand in member.reads():
                if isinstance(operand, Local) and operand.shift:
                    self.shifts[operand.member] = max(self.shifts.get(operand.member, 0), operand.shift)
        for k, shift in self.shifts.items():  # a lane moves on by one step at a time
            for s in range(1, shift + 1):
                self._before(k, s)

    def leaf(self, member: int, shift: int) -> int:
        """The leaf of a member some steps before."""
        return self._known["before", member, shift]

    def _before(self, k: int, shift: int) -> int:
        size, batched = self.before[k].size // self.loop.steps, self.before[k].batched
        return self._input(("before", k, shift), Before(k, shift), size, batched)

    def _add(self, x: Instruction) -> int:
        self.instructions.append(x)
        return len(self.instructions) - 1

    def _input(self, key: Any, made: Input, size: int, batched: bool) -> int:
        known = self._known.get(key)
        if known is None:
            self.inputs.append(made)
            known = self._known[key] = self._add(Leaf(size, batched, "input", len(self.inputs) - 1))
        return known

    def _instruction(self, member: Member) -> Instruction:
        """A member as an instruction on the lanes of one step."""
        x = self.before[member.k]
        if isinstance(x, Sum):
            parts = []
            for term in member.terms:
                left = self._ref(term.left, term.first, term.last)
                right = None if term.right is None else self._ref(term.right, term.first, term.last)
                parts.append(self._part(term.kind, term.factor, term.to, left, right))
            return Sum(member.lanes, x.batched, tuple(parts), x.zeroed)
        if isinstance(x, Map):
            refs = iter([self._whole(pieces) for pieces in member.operands])
            return replace(x, size=member.lanes, args=tuple(next(refs) if isinstance(a, Ref) else a for a in x.args))
        assert isinstance(x, Reduce)
        return replace(x, size=member.lanes, elements=self._whole(member.operands[0]), counts=member.counts)

    def _part(self, kind: str, factor: float, to: Array, left: Ref, right: Ref | None) -> Part:
        found = forms(to, self._written(left), None if right is None else self._written(right))
        return Part(kind, factor, to, left, right, tuple(found))

    def _written(self, ref: Ref) -> Array:
        return np.arange(self.instructions[ref.source].size) if ref.lanes is None else ref.lanes

    def _whole(self, pieces: tuple[Piece, ...]) -> Ref:
        """An operand; of several pieces, side by side."""
        refs = [self._ref(piece.of, 0, self.loop.steps) for piece in pieces]
        if len(refs) == 1:
            return refs[0]
        size = sum(len(piece.columns) for piece in pieces)
        parts = [self._part("plain", 1.0, piece.columns, ref, None) for piece, ref in zip(pieces, refs, strict=True)]
        batched = any(self.instructions[ref.source].batched for ref in refs)
        return Ref(self._add(Sum(size, batched, tuple(parts))), None)

    def _ref(self, x: Operand, first: int, last: int) -> Ref:
        """Where the lanes of an operand are."""
        if isinstance(x, Local):
            if not x.shift:
                return self._picked(self.of[x.member], x.lanes)
            return self._picked(self._before(x.member, x.shift), x.lanes)
        if x.invariant:
            lanes, which = np.unique(x.base, return_inverse=True)
            fixed = Fixed(x.source, lanes)
            return self._outside(fixed, ("fixed", x.source, lanes.tobytes()), len(lanes), which)
        table, which = _distinct(x, self.loop.steps, first, last)
        moving = Moving(x.source, table, first, last)
        return self._outside(moving, ("moving", x.source, table.tobytes(), first, last), table.shape[1], which)

    def _outside(self, made: Fixed | Moving, key: Any, size: int, which: Array) -> Ref:
        return self._picked(self._input(key, made, size, self.before[made.source].batched), which.ravel())

    def _picked(self, k: int, lanes: Array) -> Ref:
        whole = len(lanes) == self.instructions[k].size and np.array_equal(lanes, np.arange(len(lanes)))
        return Ref(k, None if whole else np.ascontiguousarray(lanes, np.int64))


def _distinct(x: Outer, steps: int, first: int, last: int) -> tuple[Array, Array]:
    """The lanes of each step without columns that are equal in all of them, and which of these each column is."""
    used = x.lanes(steps)[first:last]
    if x.stride is not None:
        _, kept, which = np.unique(np.stack([x.base, x.stride]), axis=1, return_index=True, return_inverse=True)
    else:
        _, kept, which = np.unique(used, axis=1, return_index=True, return_inverse=True)
    table = np.zeros((steps, len(kept)), np.int64)
    table[first:last] = used[:, kept]
    return table, which
