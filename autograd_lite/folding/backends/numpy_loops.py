"""Loops in the NumPy backend: one step as a list of calls, repeated; of few lanes as Python code on floats.

The step that adds a loop to a run is one call, of a Loops object that has the buffers of a step. Python code knows
nothing of infinities: where it raises, or what it stores is not finite, the loop is run again by NumPy calls, which
report what has overflowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_lite.folding.backends.numpy_arrays import ArrayCall, Arrays
from autograd_lite.folding.backends.numpy_steps import add
from autograd_lite.folding.backends.one_step import Before, Fixed, Moving, OneStep
from autograd_lite.folding.backends.python_loops import text
from autograd_lite.folding.instructions import Carry, Instruction, Leaf, Map, Sum
from autograd_lite.folding.loops import Loop
from autograd_lite.folding.plan import Plan

Array = Any

CALLS_AN_OPERATION = 12
"""Operations on floats that take as long as a call of NumPy."""


def add_loop(arrays: Arrays, plan: Plan, loop: Loop) -> None:
    """The arrays of the members of a loop, and the step that fills them."""
    seen = _seen(plan, loop)
    for k in range(loop.start, loop.stop):
        x = plan.instructions[k]
        arrays.of.append(arrays.zeros(arrays.shape(x.size, x.batched)) if k in seen else None)
    carried: list[tuple[Array, Array]] = []
    for k, carry in loop.carries.items():
        x = plan.instructions[carry]
        assert isinstance(x, Carry)
        first = x.delay * x.width
        if arrays.of[carry] is None and arrays.of[k] is None:
            arrays.of[carry] = arrays.zeros(arrays.shape(first, x.batched))
        else:  # the steps of a carry are those of what it carries
            if arrays.of[carry] is None:
                arrays.of[carry] = arrays.zeros(arrays.shape(x.size, x.batched))
            arrays.of[k] = arrays.of[carry][first:]
        start, initial = arrays.of[carry][:first], arrays.flat(x.initial)
        carried.append((start, initial[:, None] if start.ndim > initial.ndim else initial))
    runs = _Runs(arrays, plan, loop, carried)
    arrays.nbytes += runs.nbytes
    arrays.do(runs)


def _seen(plan: Plan, loop: Loop) -> set[int]:
    """The members that something outside the loop reads."""
    read = {ref.source for ref in plan.outputs}
    for k, x in enumerate(plan.instructions):
        if not loop.start <= k < loop.stop:
            read.update(ref.source for ref in x.refs)
    return {k for k in read if loop.start <= k < loop.stop}


class _Runs:
    """A loop, ready to run.

    Args:
        arrays: those of the plan, with an array for each member that is seen from outside.
        plan, loop: what it does.
        carried: the initial rows of each carry, and what is copied there.
    """

    def __init__(self, arrays: Arrays, plan: Plan, loop: Loop, carried: list[tuple[Array, Array]]) -> None:
        # Not the arrays themselves, which have this as one of their steps: that would be a reference cycle.
        self.of, self.batch, self.dtype, self.overflow = arrays.of, arrays.rows, arrays.dtype, arrays.overflow
        self.plan, self.loop, self.carried = plan, loop, carried
        self.step = OneStep(plan.instructions, loop)
        self.rows: dict[int, Array] = {}
        """Of each member that is seen from outside a row for each step."""
        for member in loop.members:
            array = arrays.of[member.k]
            if array is not None:
                self.rows[member.k] = array.reshape(loop.steps, member.lanes, *array.shape[1:])
        self.calls: _Calls | None = None
        batched = any(x.batched for x in plan.instructions[loop.start : loop.stop]) and arrays.rows is not None
        self.on_floats = None if plan.safe or batched or not _pays(self.step) else _OnFloats(self)
        if self.on_floats is None:
            self.calls = _Calls(self)
        self.nbytes: int = 0 if self.calls is None else self.calls.own.nbytes

    def __call__(self) -> None:
        for start, initial in self.carried:
            np.copyto(start, initial)
        if self.on_floats is not None and self.on_floats.run():
            return
        if self.calls is None:
            self.calls = _Calls(self)
        self.calls.run()

    def initial(self, x: Before) -> Array:
        """What stands for a member some steps before the first step; None for 0."""
        if self.loop.backward:
            return None
        carry = self.plan.instructions[self.loop.carries[x.member]]
        assert isinstance(carry, Carry)
        first = (carry.delay - x.shift) * carry.width
        return self.of[self.loop.carries[x.member]][first : first + carry.width]


def _pays(step: OneStep) -> bool:
    """Whether Python on floats is faster than NumPy calls."""
    operations = calls = 0
    for x in step.instructions:
        if isinstance(x, Map):
            assert x.code is not None
            operations += x.size * len(x.code.steps)
            calls += len(x.code.steps)
        elif isinstance(x, Sum):
            operations += sum(len(part.to) for part in x.parts)
            calls += 2 * len(x.parts)
        else:
            operations, calls = operations + x.size, calls + 1
    return operations < CALLS_AN_OPERATION * calls


# --- Python on floats -------------------------------------------------------------------------------------


class _OnFloats:
    """The loop as Python code."""

    def __init__(self, runs: _Runs) -> None:
        self.runs = runs
        self.text = text(runs.step, list(runs.rows))
        self.function = self.text.compiled()

    def run(self) -> bool:
        """Fill the rows; False where that must be done by other means."""
        runs, of, backward = self.runs, self.runs.of, self.runs.loop.backward
        fixed = [of[x.source].item(int(x.lanes[i])) for x, i in self.text.fixed]
        moving = []
        for x, i in self.text.moving:
            column = of[x.source][x.table[:, i]].tolist()
            column[: x.first] = [0.0] * x.first
            column[x.last :] = [0.0] * (len(column) - x.last)
            moving.append(column[::-1] if backward else column)
        before = [0.0 if backward else runs.initial(x).item(i) for x, i in self.text.before]
        try:
            found, doubt = self.function(fixed, moving, before, runs.loop.steps)
        except (ArithmeticError, ValueError):
            return False
        for (k, lane), column in zip(self.text.stored, found, strict=True):
            runs.rows[k][:, lane] = column[::-1] if backward else column
        return doubt == 0.0 and all(np.isfinite(rows).all() for rows in runs.rows.values())


# --- NumPy calls ------------------------------------------------------------------------------------------


class _Calls:
    """The loop as NumPy calls, the same in each step, on buffers that have what the step takes."""

    def __init__(self, runs: _Runs) -> None:
        self.runs, step = runs, runs.step
        self.own = Arrays(runs.batch, runs.dtype)
        self.own.overflow = runs.overflow
        self.before_loop: list[ArrayCall] = []
        self.taken: list[tuple[Array, Moving, Sequence[Array] | None]] = []
        self.initial: list[tuple[Array, Before]] = []
        of = self.own.of
        for x in step.instructions:
            if isinstance(x, Leaf):
                of.append(self._leaf(step.inputs[x.index], x))
            else:
                add(self.own, step.instructions, x, runs.plan.safe)
        self.stored = [(rows, of[step.of[k]]) for k, rows in runs.rows.items()]
        self.moves: list[tuple[Array, Array]] = []
        """What to copy after a step, so that the next one finds it: the farthest first."""
        for k, shift in step.shifts.items():
            chain = [of[step.of[k]], *(of[step.leaf(k, s)] for s in range(1, shift + 1))]
            self.moves += [(chain[s], chain[s - 1]) for s in range(shift, 0, -1)]

    def _leaf(self, what: Fixed | Moving | Before, x: Instruction) -> Array:
        """The buffer of what a step takes; lanes side by side that stay the same are where they are."""
        outer = self.runs.of
        if isinstance(what, Fixed):
            array, lanes = outer[what.source], what.lanes
            if lanes[-1] - lanes[0] + 1 == len(lanes):
                return array[lanes[0] : lanes[-1] + 1]
            buffer = self.own.empty((x.size, *array.shape[1:]), array.dtype)
            self.before_loop.append((np.take, (array, lanes, 0, buffer, "clip")))
            return buffer
        buffer = self.own.zeros(self.own.shape(x.size, x.batched))
        if isinstance(what, Before):
            self.initial.append((buffer, what))
            return buffer
        views = None
        if (np.diff(what.table[what.first : what.last], axis=1) == 1).all():  # a row is lanes side by side
            array = outer[what.source]
            views = [array[row[0] : row[-1] + 1] for row in what.table]
        self.taken.append((buffer, what, views))
        return buffer

    def run(self) -> None:
        """Fill the rows."""
        runs, of = self.runs, self.runs.of
        for function, arguments in self.before_loop:
            function(*arguments)
        for buffer, before in self.initial:
            known = runs.initial(before)
            np.copyto(buffer, 0.0 if known is None else known)
        taken: list[tuple[Array, Sequence[Array], int, int]] = []
        for buffer, moving, views in self.taken:
            buffer[...] = 0.0
            rows = of[moving.source][moving.table] if views is None else views
            taken.append((buffer, rows, moving.first, moving.last))
        copy, steps = np.copyto, range(runs.loop.steps)
        for t in reversed(steps) if runs.loop.backward else steps:
            for buffer, rows, first, last in taken:
                if first <= t < last:
                    copy(buffer, rows[t])
            for function, arguments in self.own.steps:
                function(*arguments)
            for stored, array in self.stored:
                copy(stored[t], array)
            for later, earlier in self.moves:
                copy(later, earlier)
