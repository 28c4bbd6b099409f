"""A plan as text: one line an instruction, with its lanes, its operands and the matrix products in it."""

from __future__ import annotations

from typing import Any

from autograd_lite.folding.contract import Form
from autograd_lite.folding.lanes import Instruction, Part, Ref
from autograd_lite.folding.plan import Plan

Array = Any
MOST_LINES = 60


def listing(plan: Plan, results: int, constants: Array = None) -> str:
    """The instructions of a plan.

    Args:
        plan: the plan.
        results: how many of its outputs are results; the rest are gradients.
        constants: the numbers of the leaf "constants", shown if they are few.
    """
    lines = []
    for k, (x, forms) in enumerate(zip(plan.instructions, plan.forms, strict=True)):
        size = f"{x.size:,}{' x rows' if x.batched else ''}"
        lines.append((f"%{k}", size, _what(x, forms, constants)))
    if len(lines) > MOST_LINES:
        left = len(lines) - MOST_LINES
        lines[MOST_LINES // 2 : -MOST_LINES // 2] = [("...", "", f"{left:,} more instructions")]
    for k, ref in enumerate(plan.outputs):
        lines.append(("result" if k < results else "gradient", "", _ref(ref)))
    widths = [max(len(line[i]) for line in lines) for i in range(2)]
    return "\n".join(f"{name:{widths[0]}}  {size:>{widths[1]}}  {what}" for name, size, what in lines)


def _what(x: Instruction, forms: tuple[tuple[Form, ...], ...], constants: Array) -> str:
    if x.op == "leaf":
        few = x.name == "constants" and constants is not None and 0 < x.size <= 8
        return f"{x.name}{' ' + ' '.join(f'{c:g}' for c in constants) if few else ''}"
    if x.op == "literal":
        assert x.values is not None
        return f"literal {' '.join(f'{v:g}' for v in x.values[:4])}{' ...' if x.size > 4 else ''}"
    if x.op == "sum":
        return "sum  " + " + ".join(_part(part, found) for part, found in zip(x.parts, forms, strict=True))
    name = x.name if x.op == "=" else x.op
    if x.slot >= 0:
        name = f"d {name}/d{'abcdefgh'[x.slot]}"
    return f"{name}  {', '.join(_ref(a) if isinstance(a, Ref) else f'{a:g}' for a in x.args)}"


def _part(part: Part, forms: tuple[Form, ...]) -> str:
    factor = "" if part.factor == 1.0 else f"{part.factor:g} "
    operands = _ref(part.left) + ("" if part.right is None else f" {_ref(part.right)}")
    return f"{factor}{operands} ({', '.join(map(_form, forms))})"


def _form(form: Form) -> str:
    if form.what == "matmul":
        blocks, height, width = form.to.shape
        times = f"{blocks:,} x " if blocks > 1 else ""
        return f"{times}matmul {height}x{form.left.shape[2]}x{width}"
    if form.what == "rows":
        return f"{form.left.shape[0]:,} rows of {form.left.shape[1]:,}"
    if form.what == "segments":
        return f"{len(form.to):,} segments of {len(form.left):,}"
    return f"{len(form.to):,} lanes"


def _ref(ref: Ref) -> str:
    return f"%{ref.source}" if ref.lanes is None else f"%{ref.source}[{len(ref.lanes):,}]"
