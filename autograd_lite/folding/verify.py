"""verify: what every plan promises its backends, checked. The tests do so for each plan that they make."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from autograd_lite.engine.lowering import ELEMENTARY, Code, check_steps
from autograd_lite.folding.contractions import Form
from autograd_lite.folding.instructions import (
    REDUCTIONS,
    Carry,
    Instruction,
    Kind,
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
    where = ["the loops"]
    try:
        _verify(plan, where)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError, OverflowError) as error:
        raise AssertionError(f"{where[-1]}: {error}") from error  # what it has is of another type


def _verify(plan: Plan, places: list[str]) -> None:
    loop_of: dict[int, Loop] = {}
    stop = 0
    for loop in plan.loops:
        assert stop <= loop.start < loop.stop <= len(plan.instructions), f"a loop of %{loop.start} to %{loop.stop}"
        stop = loop.stop
        loop_of |= dict.fromkeys(range(loop.start, loop.stop), loop)
    leaves: dict[tuple[str, int], int] = {}
    for k, x in enumerate(plan.instructions):
        where = f"%{k}, {type(x).__name__}"
        places.append(where)
        inside = loop_of.get(k)
        known = (Leaf, Literal, Map, Sum, Reduce) if inside is None else (Map, Sum, Reduce, Carry)
        assert isinstance(x, known), f"{where}: a backend does not know it"
        assert inside is not None or not isinstance(x, Recurrent), f"{where}: outside of a loop"
        assert type(x.size) is int, f"{where}: a size of {x.size}"
        assert 0 <= x.size < 1 << 31, f"{where}: a size of {x.size}"
        assert type(x.batched) is bool, f"{where}: batched is {x.batched}"
        for ref in x.refs:
            _check_ref(plan, ref, k if inside is None else inside.stop, where)
        batched = [plan.instructions[ref.source].batched for ref in x.refs]
        if isinstance(x, Sum):
            for part in x.parts:
                _check_part(plan, part, x, where, inside is not None)
        elif isinstance(x, Literal):
            assert not x.batched, where
            assert x.values.shape == (x.size,), where
            assert x.values.dtype == np.float64, f"{where}: numbers of {x.values.dtype}"
        elif isinstance(x, Leaf):
            assert x.kind in get_args(Kind), f"{where}: {x.kind}"
            assert not x.batched or x.kind in ("input", "seed"), where
            assert x.kind != "seed" or x.size == 1, f"{where}: a seed of {x.size} lanes"
            assert type(x.index) is int, f"{where}: index {x.index}"  # of the arguments, some of which may not be read
            assert 0 <= x.index < 1 << 31, f"{where}: index {x.index}"
            assert leaves.setdefault((x.kind, x.index), k) == k, f"{where}: %{leaves[x.kind, x.index]} is the same leaf"
        elif isinstance(x, Map):
            assert x.batched == any(batched), f"{where}: batched, or not, unlike its operands"
            assert all(_length(plan, ref) == x.size for ref in x.refs), f"{where}: operands of other sizes"
            assert x.code is not None, f"{where}: no code"
            assert len(x.args) == len(x.row.operands) + (x.slot >= 0), f"{where}: operands of {x.row.name}"
            assert len(x.code.operands) == len(x.refs), f"{where}: operands of its code"
            _check_code(x.code, where)
        elif isinstance(x, Reduce):
            assert x.row.name in REDUCTIONS, where
            assert x.batched == any(batched), f"{where}: batched, or not, unlike its elements"
            assert x.counts.shape == (x.size,), f"{where}: counts"
            assert x.counts.dtype == np.int64, f"{where}: counts"
            assert (x.counts > 0).all(), f"{where}: counts"
            assert _length(plan, x.elements) == x.counts.sum(), f"{where}: elements"
        elif isinstance(x, Carry):
            assert x.batched == plan.instructions[x.later.source].batched, f"{where}: batched, or not, unlike its steps"
            assert x.batched >= plan.instructions[x.initial.source].batched, f"{where}: a batch axis at first alone"
            assert x.size == (x.delay + x.steps) * x.width, f"{where}: lanes that are not those of all steps"
            assert _length(plan, x.initial) == x.delay * x.width, f"{where}: initial lanes"
            assert x.later.lanes is None, f"{where}: lanes in another order"
            assert _length(plan, x.later) == x.steps * x.width, f"{where}: lanes of its steps"
    for ref in plan.outputs:
        _check_ref(plan, ref, len(plan.instructions), "an output")
    for loop in plan.loops:
        places.append(f"the loop %{loop.start} to %{loop.stop - 1}")
        _Steps(plan, loop).check()


def _length(plan: Plan, ref: Ref) -> int:
    return plan.instructions[ref.source].size if ref.lanes is None else len(ref.lanes)


def _check_ref(plan: Plan, ref: Ref, k: int, where: str) -> None:
    assert type(ref.source) is int, f"{where}: takes from {ref.source}"
    assert 0 <= ref.source < k, f"{where}: takes from %{ref.source}, which does not stand before it"
    if ref.lanes is not None:
        _check_table(ref.lanes, plan.instructions[ref.source].size, where)


def _check_table(table: Array, size: int, where: str, axes: int = 1) -> None:
    assert table.ndim == axes, f"{where}: an index table of {table.ndim} axes"
    assert table.dtype == np.int64, f"{where}: an index table of {table.dtype}"
    assert table.flags.c_contiguous, f"{where}: an index table with gaps"
    assert not table.size or (table.min() >= 0 and table.max() < size), f"{where}: an index outside {size} lanes"


def _check_part(plan: Plan, part: Part, x: Instruction, where: str, in_loop: bool) -> None:
    """A part of a sum, and that its forms have every term of it once."""
    assert part.kind == "plain" if part.right is None else part.kind in ("mul", *ZERO_RULE), where
    assert type(part.factor) is float, f"{where}: a factor of {part.factor}"
    assert plan.safe or part.kind not in ZERO_RULE, f"{where}: the zero rule in a fast plan"
    operands = [ref for ref in (part.left, part.right) if ref is not None]
    assert all(_length(plan, ref) == len(part.to) for ref in operands), f"{where}: operands of other sizes"
    _check_table(part.to, x.size, where)
    if in_loop:  # its members say what a step adds
        assert not part.forms, f"{where}: forms in a loop"
        return
    for form in part.forms:
        _check_form(form, x, [plan.instructions[ref.source].size for ref in operands], where)
        over_rows = not x.batched and [plan.instructions[ref.source].batched for ref in operands] == [True, True]
        assert form.what != "each" or not over_rows, f"{where}: a sum over rows of products, each by itself"
    found = [_terms(form) for form in part.forms]
    mine = [part.to, *(np.arange(_source_size(plan, ref)) if ref.lanes is None else ref.lanes for ref in operands)]
    assert _sorted(*map(np.concatenate, zip(*found, strict=True)) if found else [part.to[:0]] * len(mine)) == _sorted(
        *mine
    ), f"{where}: its forms have other terms"


def _source_size(plan: Plan, ref: Ref) -> int:
    return plan.instructions[ref.source].size


def _check_form(form: Form, x: Instruction, sizes: list[int], where: str) -> None:
    """Its tables, and that their shapes are those of its kind; a lane is added to once."""
    tables = [form.left] if len(sizes) == 1 else [form.left, form.right]
    assert len(sizes) == 2 or form.right is None, f"{where}: a second operand in a form"
    _check_table(form.to, x.size, where, form.to.ndim)
    for table, size in zip(tables, sizes, strict=True):
        _check_table(table, size, where, table.ndim)
    n, shapes = form.to.shape, {table.shape for table in tables}
    assert form.to.size == len(np.unique(form.to)), f"{where}: a lane twice in a form"
    if form.what == "matmul":
        (blocks, m, w), k = n, form.left.shape[-1]
        assert [table.shape for table in tables] == [(blocks, m, k), (blocks, w, k)], f"{where}: shapes of a matmul"
    elif form.what == "rows":
        assert len(n) == len(shapes) == 1, f"{where}: shapes of rows"
        assert form.left.shape[:-1] == n, f"{where}: shapes of rows"
    elif form.what == "segments":
        assert len(n) == len(shapes) == form.left.ndim == 1, f"{where}: shapes of segments"
        assert form.starts is not None, f"{where}: starts of segments"
        assert (form.starts.dtype, form.starts.shape) == (np.int64, n), f"{where}: starts of segments"
        assert (np.diff(form.starts, prepend=-1, append=len(form.left)) > 0).all(), f"{where}: starts of segments"
        assert not n[0] or form.starts[0] == 0, f"{where}: starts of segments"
    else:
        assert form.what == "each", f"{where}: a form {form.what}"
        assert shapes == {n}, f"{where}: shapes of each"
        assert len(n) == 1, f"{where}: shapes of each"


def _terms(form: Form) -> list[Array]:
    """Every term of a form: lanes of the sum and of the operands."""
    both = [form.left] if form.right is None else [form.left, form.right]
    if form.what == "matmul":
        to, left, right = form.to[..., None], form.left[:, :, None, :], form.right[:, None, :, :]  # type: ignore[index]
        return [np.ravel(table) for table in np.broadcast_arrays(to, left, right)]
    if form.what == "rows":
        return [np.repeat(form.to, form.left.shape[1]), *map(np.ravel, both)]
    if form.what == "segments":
        assert form.starts is not None
        return [np.repeat(form.to, np.diff(form.starts, append=len(form.left))), *both]
    return [form.to, *both]


def _sorted(*columns: Array) -> list[Any]:
    return np.stack(columns)[:, np.lexsort(columns)].tolist()  # type: ignore[no-any-return]


def _check_code(code: Code, where: str) -> None:
    for step in code.steps:
        assert step.name in ELEMENTARY or step.function is not None, f"{where}: {step.name} is not elementary"
    try:
        check_steps(code.steps, len(code.operands), [code.result])
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from None


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
