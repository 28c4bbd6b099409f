"""A plan as text: one line an instruction, with its lanes, its operands and the matrix products in it.

Of a loop the lines say what one step does.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.folding.contractions import Form
from autograd_lite.folding.instructions import Carry, Instruction, Leaf, Literal, Map, Part, Reduce, Ref, Sum
from autograd_lite.folding.loops import Local, Loop, Operand
from autograd_lite.folding.plan import Plan
from autograd_lite.folding.reverse import sources

Array = Any

MOST_LINES = 60

MOST_TERMS = 12


def listing(plan: Plan, results: int, constants: Array = None) -> str:
    """The instructions of a plan; steps that repeat are listed twice and then counted.

    Args:
        plan: the plan.
        results: how many of its outputs are results; the rest are gradients.
        constants: the numbers of the leaf "constants", shown if they are few.
    """
    count = len(plan.instructions)
    lines: list[tuple[str, str, str]] = []
    loop_of = {k: loop for loop in plan.loops for k in range(loop.start, loop.stop)}
    at = 0
    for run in [*repeats(shapes(plan)), Repeat(count, 1, 0)]:
        shown = min(run.start + 2 * run.period, count)
        for k in range(at, shown):
            loop = loop_of.get(k)
            if loop is not None and k == loop.start:
                lines.append((heading(loop), HEADING, ""))
            lines.append(_line(plan, k, constants) if loop is None else _line_of_step(plan, loop, k))
        at = run.start + run.period * run.times
        if shown < at:
            each = f" of {run.period} instructions each" if run.period > 1 else ""
            lines.append(("...", "", f"{run.times - 2:,} more of this shape{each}"))
    if len(lines) > MOST_LINES:
        middle = slice(MOST_LINES // 2, -MOST_LINES // 2)
        headings = [name.rstrip(":") for name, size, _ in lines[middle] if size == HEADING]
        left = len(lines) - MOST_LINES - len(headings)
        with_loops = "".join(f"; a {text}" for text in headings)
        lines[middle] = [("...", "", f"{left:,} more instructions{with_loops}")]
    for k, ref in enumerate(plan.outputs):
        lines.append(("result" if k < results else "gradient", "", shown_ref(ref)))
    widths = [max(len(line[i]) for line in lines if line[1] != HEADING) for i in range(2)]
    return "\n".join(name if size == HEADING else f"{name:{widths[0]}}  {size:>{widths[1]}}  {what}"
                     for name, size, what in lines)  # fmt: skip


HEADING = "heading"
"""In place of the lanes of a line that is not an instruction."""


def _line(plan: Plan, k: int, constants: Array) -> tuple[str, str, str]:
    x = plan.instructions[k]
    return f"%{k}", lanes(x), " ".join([f"{name(x, constants)} ", _operands(x)]).rstrip()


def heading(loop: Loop) -> str:
    """What stands above the instructions of a loop: "loop of 1,000 steps, the last one first:"."""
    return f"loop of {loop.steps:,} steps{', the last one first' if loop.backward else ''}:"


def _line_of_step(plan: Plan, loop: Loop, k: int) -> tuple[str, str, str]:
    """What an instruction of a loop does in one step."""
    x = plan.instructions[k]
    width = x.width if isinstance(x, Carry) else x.size // loop.steps
    size = f"{width:,}{' x rows' if x.batched else ''}"
    return f"  %{k}", size, f"{name(x)}  {', '.join(operands_of_step(plan, loop, k))}"


def operands_of_step(plan: Plan, loop: Loop, k: int, most: int = MOST_TERMS) -> list[str]:
    """What an instruction of a loop takes in a step: "%3 of the step before", "a row of %2"; of a sum all in one."""
    x = plan.instructions[k]
    if isinstance(x, Carry):
        return [shown_ref(x.later), f"at first {shown_ref(x.initial)}"]
    member = next(member for member in loop.members if member.k == k)

    def shown(operand: Operand) -> str:
        if isinstance(operand, Local):
            width = plan.instructions[operand.member].size // loop.steps
            whole = len(operand.lanes) == width and np.array_equal(operand.lanes, np.arange(width))
            side = "after" if loop.backward else "before"
            steps = (
                ""
                if not operand.shift
                else f" of the step {side}"
                if operand.shift == 1
                else f" {operand.shift} steps {side}"
            )
            return shown_ref(Ref(operand.member, None if whole else operand.lanes)) + steps
        return shown_ref(Ref(operand.source, operand.base)) if operand.invariant else f"a row of %{operand.source}"

    if isinstance(x, Sum):
        terms = []
        for term in member.terms:
            factor = "" if term.factor == 1.0 else f"{term.factor:g} "
            terms.append(factor + shown(term.left) + ("" if term.right is None else f" * {shown(term.right)}"))
        left = len(terms) - most
        if left > 1:
            terms[most - 1 : -1] = [f"... {left:,} more terms"]
        return [" + ".join(terms)]
    found = iter([" and ".join(shown(piece.of) for piece in pieces) for pieces in member.operands])
    return [next(found) if isinstance(a, Ref) else f"{a:g}" for a in operands(x)]


def lanes(x: Instruction) -> str:
    """How many lanes an instruction has: "1,600", or "32 x rows" over a batch."""
    return f"{x.size:,}{' x rows' if x.batched else ''}"


def name(x: Instruction, constants: Array = None) -> str:
    """What an instruction does; of a leaf and of a literal what it holds."""
    if isinstance(x, Leaf):
        few = x.kind == "constants" and constants is not None and 0 < x.size <= 8
        return f"{x.name}{' ' + ' '.join(f'{c:g}' for c in constants) if few else ''}"
    if isinstance(x, Literal):
        return f"literal {' '.join(f'{v:g}' for v in x.values[:4])}{' ...' if x.size > 4 else ''}"
    if isinstance(x, Map) and x.slot >= 0:
        return f"d {x.row.name.lstrip('_')}/d{'abcdefgh'[x.slot]}"
    if isinstance(x, Carry):
        return "carry"
    return x.row.name.lstrip("_") if isinstance(x, (Map, Reduce)) else "sum"


def _operands(x: Instruction) -> str:
    return " + ".join(terms(x)) if isinstance(x, Sum) else ", ".join(map(operand, operands(x)))


def operands(x: Instruction) -> Sequence[Any]:
    """What an instruction takes, in order: Refs and numbers."""
    return x.args if isinstance(x, Map) else x.refs


def operand(x: Any) -> str:
    """An operand of a primitive: lanes, or a number."""
    return shown_ref(x) if isinstance(x, Ref) else f"{x:g}"


def terms(x: Sum, most: int = MOST_TERMS) -> list[str]:
    """The parts of a sum: "%0[25,600] %3[25,600] (matmul 16x16x100)"; the middle of many left out."""
    parts = list(x.parts)
    left = len(parts) - most
    if left > 1:
        parts[most - 1 : -1] = []
    found = [f"{_factors(part)} ({', '.join(map(_form, part.forms))})" for part in parts]
    if left > 1:
        found.insert(most - 1, f"... {left:,} more terms")
    return found


def _factors(part: Part) -> str:
    factor = "" if part.factor == 1.0 else f"{part.factor:g} "
    return factor + shown_ref(part.left) + ("" if part.right is None else f" {shown_ref(part.right)}")


def _form(form: Form) -> str:
    """How a form computes: "matmul 16x100x16", "80 rows of 2"."""
    if form.what == "matmul":
        blocks, height, width = form.to.shape
        times = f"{blocks:,} x " if blocks > 1 else ""
        return f"{times}matmul {height}x{form.left.shape[2]}x{width}"
    if form.what == "rows":
        return f"{_count(form.left.shape[0], 'row')} of {form.left.shape[1]:,}"
    if form.what == "segments":
        return f"{_count(len(form.to), 'segment')} of {len(form.left):,}"
    return _count(len(form.to), "lane")


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' if n != 1 else ''}"


def shown_ref(ref: Ref) -> str:
    """An operand: %3 for all lanes of it in order, %3[7] and %3[0:16] for some, %3[1,600 lanes] for any others.

    Example:
        >>> from autograd_lite.folding.instructions import Ref
        >>> from autograd_lite.folding.printing import shown_ref
        >>> [shown_ref(Ref(3, lanes)) for lanes in (None, np.array([7]), np.arange(16), np.array([5, 5]))]
        ['%3', '%3[7]', '%3[0:16]', '%3[2 lanes]']
    """
    if ref.lanes is None:
        return f"%{ref.source}"
    first, count = int(ref.lanes[0]) if len(ref.lanes) else 0, len(ref.lanes)
    if count == 1:
        return f"%{ref.source}[{first}]"
    if (np.diff(ref.lanes) == 1).all():
        return f"%{ref.source}[{first}:{first + count}]"
    return f"%{ref.source}[{count:,} lanes]"


# --- steps that repeat ------------------------------------------------------------------------------------


class Repeat(NamedTuple):
    """`times` repetitions of `period` instructions, from the instruction `start` on."""

    start: int
    period: int
    times: int


LONGEST_PERIOD = 64

WORTH = 12
"""Instructions that shortening a run must save."""


def shapes(plan: Plan) -> list[Hashable]:
    """What each instruction looks like: equal for the steps of a recurrence, whatever lanes they take."""
    numbered: dict[Hashable, int] = {}
    own = [numbered.setdefault(_shape(k, x), len(numbered)) for k, x in enumerate(plan.instructions)]
    return [(mine, tuple(own[i] for i in sorted(sources(x)))) for mine, x in zip(own, plan.instructions, strict=True)]


def _shape(k: int, x: Instruction) -> Hashable:
    """What instruction k does; each leaf and literal is a thing of its own."""
    if isinstance(x, (Leaf, Literal)):
        return k
    parts = tuple((part.kind, part.factor) for part in x.parts) if isinstance(x, Sum) else ()
    return (*operation(x), x.size, x.batched, parts)


def operation(x: Instruction) -> tuple[Any, ...]:
    """What an instruction does, whatever it does it to: equal for all sums, for all tanh."""
    if isinstance(x, Map):
        return type(x), x.row, x.slot
    return type(x), x.row if isinstance(x, Reduce) else None


def repeats(keys: Sequence[Hashable]) -> list[Repeat]:
    """Runs of a period that repeats, in order and apart from each other; those that save the most first.

    Example:
        >>> from autograd_lite.folding.printing import repeats
        >>> repeats("x" + "abc" * 20 + "y")
        [Repeat(start=1, period=3, times=20)]
    """
    numbered: dict[Hashable, int] = {}
    ids = np.array([numbered.setdefault(key, len(numbered)) for key in keys], np.int64)
    found: list[Repeat] = []
    for period in range(1, min(LONGEST_PERIOD, len(ids) // 2) + 1):
        same = np.concatenate([[False], ids[:-period] == ids[period:], [False]])
        edges = np.flatnonzero(np.diff(same.astype(np.int8)))
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            times = (stop - start) // period + 1
            if (times - 2) * period >= WORTH:
                found.append(Repeat(start, period, times))
    found.sort(key=lambda run: (-(run.times - 2) * run.period, run.period))
    chosen: list[Repeat] = []
    for run in found:
        if all(run.start + run.times * run.period <= x.start or x.start + x.times * x.period <= run.start
               for x in chosen):  # fmt: skip
            chosen.append(run)
    return sorted(chosen)
