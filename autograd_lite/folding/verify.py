"""verify: what every plan promises its backends, checked. The tests do so for each plan that they make."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_lite.engine.lowering import ELEMENTARY, Code
from autograd_lite.folding.instructions import (
    REDUCTIONS,
    Carry,
    Instruction,
    Leaf,
    Literal,
    Map,
    Part,
    Recurrent,
    Reduce,
    Ref,
    Sum,
)
from autograd_lite.folding.loops import Local, Loop, Member, Operand
from autograd_lite.folding.plan import ZERO_RULE, Plan

Array = Any


def verify(plan: Plan) -> None:
    """AssertionError, which names the instruction, if a plan is not as a backend may take it to be."""
    loop_of = {k: loop for loop in plan.loops for k in range(loop.start, loop.stop)}
    for k, x in enumerate(plan.instructions):
        where = f"%{k}, {type(x).__name__}"
        loop = loop_of.get(k)
        known = (Leaf, Literal, Map, Sum, Reduce) if loop is None else (Map, Sum, Reduce, Carry)
        assert isinstance(x, known), f"{where}: a backend does not know it"
        assert loop is not None or not isinstance(x, Recurrent), f"{where}: outside of a loop"
        assert x.size >= 0, where
        for ref in x.refs:
            _check_ref(plan, ref, k if loop is None else loop.stop, where)
        batched = [plan.instructions[ref.source].batched for ref in x.refs]
        if isinstance(x, Sum):
            for part in x.parts:
                _check_part(plan, part, x, where, loop is not None)
        elif isinstance(x, Literal):
            assert not x.batched, where
            assert x.values.shape == (x.size,), where
        elif isinstance(x, Leaf):
            assert not x.batched or x.kind in ("input", "seed"), where
        elif isinstance(x, Map):
            assert x.batched == any(batched), f"{where}: batched, or not, unlike its operands"
            assert all(_length(plan, ref) == x.size for ref in x.refs), f"{where}: operands of other sizes"
            assert x.code is not None, f"{where}: no code"
            assert len(x.code.operands) == len(x.refs), f"{where}: operands of its code"
            _check_code(x.code, where)
        elif isinstance(x, Reduce):
            assert x.row.name in REDUCTIONS, where
            assert x.batched == any(batched), f"{where}: batched, or not, unlike its elements"
            assert x.counts.shape == (x.size,), f"{where}: counts"
            assert (x.counts > 0).all(), f"{where}: counts"
            assert _length(plan, x.elements) == x.counts.sum(), f"{where}: elements"
        elif isinstance(x, Carry):
            assert x.size == (x.delay + x.steps) * x.width, f"{where}: lanes that are not those of all steps"
            assert _length(plan, x.initial) == x.delay * x.width, f"{where}: initial lanes"
            assert x.later.lanes is None, f"{where}: lanes in another order"
            assert _length(plan, x.later) == x.steps * x.width, f"{where}: lanes of its steps"
    for ref in plan.outputs:
        _check_ref(plan, ref, len(plan.instructions), "an output")
    stop = 0
    for loop in plan.loops:
        assert stop <= loop.start < loop.stop <= len(plan.instructions), f"a loop of %{loop.start} to %{loop.stop}"
        stop = loop.stop
        _Steps(plan, loop).check()


def _length(plan: Plan, ref: Ref) -> int:
    return plan.instructions[ref.source].size if ref.lanes is None else len(ref.lanes)


def _check_ref(plan: Plan, ref: Ref, k: int, where: str) -> None:
    assert 0 <= ref.source < k, f"{where}: takes from %{ref.source}, which does not stand before it"
    if ref.lanes is not None:
        _check_table(ref.lanes, plan.instructions[ref.source].size, where)


def _check_table(table: Array, size: int, where: str) -> None:
    assert table.dtype == np.int64, f"{where}: an index table of {table.dtype}"
    assert not table.size or (table.min() >= 0 and table.max() < size), f"{where}: an index outside {size} lanes"


def _check_part(plan: Plan, part: Part, x: Instruction, where: str, in_loop: bool) -> None:
    """A part of a sum, and that its forms have every term of it once."""
    assert part.kind == "plain" if part.right is None else part.kind in ("mul", *ZERO_RULE), where
    assert plan.safe or part.kind not in ZERO_RULE, f"{where}: the zero rule in a fast plan"
    operands = [ref for ref in (part.left, part.right) if ref is not None]
    assert all(_length(plan, ref) == len(part.to) for ref in operands), f"{where}: operands of other sizes"
    _check_table(part.to, x.size, where)
    if in_loop:  # its members say what a step adds
        assert not part.forms, f"{where}: forms in a loop"
        return
    terms = 0
    for form in part.forms:
        _check_table(form.to, x.size, where)
        for table, ref in zip((form.left, form.right), operands, strict=False):
            _check_table(table, plan.instructions[ref.source].size, where)
        blocks, height, width = form.to.shape if form.what == "matmul" else (1, 1, 1)
        terms += blocks * height * width * form.left.shape[2] if form.what == "matmul" else form.left.size
    assert terms == len(part.to), f"{where}: {terms} terms in its forms, {len(part.to)} in the part"


def _check_code(code: Code, where: str) -> None:
    for k, step in enumerate(code.steps, len(code.operands)):
        assert step.name in ELEMENTARY or step.function is not None, f"{where}: {step.name} is not elementary"
        assert all(isinstance(x, float) or 0 <= x < k for x in step.args), f"{where}: a step that takes a later one"


class _Steps:
    """The members of a loop, checked against the instructions that they are steps of."""

    def __init__(self, plan: Plan, loop: Loop) -> None:
        self.plan, self.loop = plan, loop
        self.carries = {k for k in range(loop.start, loop.stop) if isinstance(plan.instructions[k], Carry)}

    def check(self) -> None:
        """AssertionError if a step is not what the instructions say, or takes what is not there yet."""
        plan, loop = self.plan, self.loop
        numbers = [member.k for member in loop.members]
        where = f"the loop %{loop.start} to %{loop.stop - 1}"
        assert sorted([*numbers, *self.carries]) == list(range(loop.start, loop.stop)), f"{where}: members"
        assert len({plan.instructions[k].batched for k in numbers}) == 1, f"{where}: a batch axis in a part of it"
        for k, carry in loop.carries.items():
            x = plan.instructions[carry]
            assert isinstance(x, Carry), f"{where}: carries"
            assert x.later.source == k, f"{where}: carries"
            assert x.steps == loop.steps, f"{where}: steps"
        assert self.carries == set(loop.carries.values()), f"{where}: carries"
        done: set[int] = set()
        for member in loop.members:
            self._check_member(member, done, f"{where}, %{member.k}")
            done.add(member.k)

    def _check_member(self, member: Member, done: set[int], where: str) -> None:
        x, loop = self.plan.instructions[member.k], self.loop
        assert x.size == member.lanes * loop.steps, f"{where}: lanes"
        for operand in member.reads():
            if isinstance(operand, Local):
                assert operand.shift or operand.member in done, f"{where}: takes what comes later in a step"
                assert operand.shift >= 0, f"{where}: takes from a step to come"
                carried = loop.backward or not operand.shift or operand.member in loop.carries
                assert carried, f"{where}: takes from before the first step what is not carried"
            else:
                assert operand.source < loop.start, f"{where}: takes from outside what does not stand before the loop"
        if isinstance(x, Sum):
            assert self._terms_of(member) == self._terms_of_parts(x), f"{where}: the terms of its steps are others"
            for term in member.terms:
                local = isinstance(term.left, Local) or isinstance(term.right, Local)
                whole = (term.first, term.last) == (0, loop.steps)
                assert local or whole, f"{where}: some steps take what comes from outside alone, which is 0 in none"
            return
        refs = [x.elements] if isinstance(x, Reduce) else x.refs
        assert len(refs) == len(member.operands), f"{where}: operands"
        for ref, pieces in zip(refs, member.operands, strict=True):
            table = self._lanes_of(ref).reshape(loop.steps, -1)
            columns = np.concatenate([piece.columns for piece in pieces])
            assert sorted(columns.tolist()) == list(range(table.shape[1])), f"{where}: columns"
            for piece in pieces:
                same = np.array_equal(table[:, piece.columns], self._lanes_in(piece.of, 0, loop.steps))
                assert same, f"{where}: its steps take other lanes"

    def _terms_of(self, member: Member) -> list[Any]:
        """Every term of every step, sorted: (kind, factor, lane, left, right)."""
        found: list[Any] = []
        for term in member.terms:
            to = np.arange(term.first, term.last)[:, None] * member.lanes + term.to
            left = self._lanes_in(term.left, term.first, term.last)
            right = np.zeros_like(left) if term.right is None else self._lanes_in(term.right, term.first, term.last)
            found += [(term.kind, term.factor, *row) for row in zip(*(x.ravel().tolist() for x in (to, left, right)))]  # noqa: B905
        return sorted(found)

    def _terms_of_parts(self, x: Sum) -> list[Any]:
        found: list[Any] = []
        for part in x.parts:
            left = self._lanes_of(part.left)
            right = np.zeros_like(left) if part.right is None else self._lanes_of(part.right)
            found += [(part.kind, part.factor, *row) for row in zip(*(y.tolist() for y in (part.to, left, right)))]  # noqa: B905
        return sorted(found)

    def _lanes_of(self, ref: Ref) -> Array:
        """Lanes of a Ref as numbers that tell instructions apart; steps of a carry are those of what it carries."""
        x, k = self.plan.instructions[ref.source], ref.source
        lanes = np.arange(x.size) if ref.lanes is None else ref.lanes
        if k in self.carries:
            assert isinstance(x, Carry)
            first = x.delay * x.width
            return np.where(lanes < first, self._apart(k, lanes), self._apart(x.later.source, lanes - first))
        return self._apart(k, lanes)

    def _lanes_in(self, x: Operand, first: int, last: int) -> Array:
        """The same of an operand, in some steps."""
        if not isinstance(x, Local):
            return self._apart(x.source, x.lanes(self.loop.steps)[first:last])
        width = self.plan.instructions[x.member].size // self.loop.steps
        step = np.arange(first, last)[:, None] + (x.shift if self.loop.backward else -x.shift)
        assert step.max() < self.loop.steps, "a step after the last"
        lanes = self._apart(x.member, step * width + x.lanes)
        if step.min() >= 0:
            return lanes
        carry = self.loop.carries[x.member]
        made = self.plan.instructions[carry]
        assert isinstance(made, Carry)
        return np.where(step < 0, self._apart(carry, (made.delay + step) * width + x.lanes), lanes)

    def _apart(self, k: int, lanes: Array) -> Array:
        return (np.int64(k) << 32) + lanes
