"""verify: what every plan promises its backends, checked. The tests do so for each plan that they make."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_lite.engine.lowering import ELEMENTARY, Code
from autograd_lite.folding.instructions import REDUCTIONS, Instruction, Leaf, Literal, Map, Part, Reduce, Ref, Sum
from autograd_lite.folding.plan import ZERO_RULE, Plan

Array = Any


def verify(plan: Plan) -> None:
    """AssertionError, which names the instruction, if a plan is not as a backend may take it to be."""
    for k, x in enumerate(plan.instructions):
        where = f"%{k}, {type(x).__name__}"
        assert isinstance(x, (Leaf, Literal, Map, Sum, Reduce)), f"{where}: a backend does not know it"
        assert x.size >= 0, where
        for ref in x.refs:
            _check_ref(plan, ref, k, where)
        batched = [plan.instructions[ref.source].batched for ref in x.refs]
        if isinstance(x, Sum):
            for part in x.parts:
                _check_part(plan, part, x, where)
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
    for ref in plan.outputs:
        _check_ref(plan, ref, len(plan.instructions), "an output")


def _length(plan: Plan, ref: Ref) -> int:
    return plan.instructions[ref.source].size if ref.lanes is None else len(ref.lanes)


def _check_ref(plan: Plan, ref: Ref, k: int, where: str) -> None:
    assert 0 <= ref.source < k, f"{where}: takes from %{ref.source}, which does not stand before it"
    if ref.lanes is not None:
        _check_table(ref.lanes, plan.instructions[ref.source].size, where)


def _check_table(table: Array, size: int, where: str) -> None:
    assert table.dtype == np.int64, f"{where}: an index table of {table.dtype}"
    assert not table.size or (table.min() >= 0 and table.max() < size), f"{where}: an index outside {size} lanes"


def _check_part(plan: Plan, part: Part, x: Instruction, where: str) -> None:
    """A part of a sum, and that its forms have every term of it once."""
    assert part.kind == "plain" if part.right is None else part.kind in ("mul", *ZERO_RULE), where
    assert plan.safe or part.kind not in ZERO_RULE, f"{where}: the zero rule in a fast plan"
    operands = [ref for ref in (part.left, part.right) if ref is not None]
    assert all(_length(plan, ref) == len(part.to) for ref in operands), f"{where}: operands of other sizes"
    _check_table(part.to, x.size, where)
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
