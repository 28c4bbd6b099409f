"""Programs as files in other languages: `program.source("c")`.

loops.py       a plan as loops over named arrays
writer.py      loops as a file; in_c.py, in_js.py, in_python.py, in_numpy.py say what differs
library.py     functions that some language lacks, base.py those of Python made total; translate.py writes them
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_lite.folding.export.loops import Unwritable, loops
from autograd_lite.folding.export.writer import Spec
from autograd_lite.folding.plan import Plan

Array = Any

LANGUAGES = ("c", "js", "python", "numpy")

MOST_COMPARED = 100
"""Components of a gradient that a test compares one by one; sums see the others."""

MOST_ROWS = 3
"""Rows of a batch in a test."""

TOLERANCE = 1e-10


def source(
    language: str, plan: Plan, constants: Array, theta: Array, shapes: Sequence[tuple[int, ...]], args: Sequence[Array],
    values: int, single: bool, gradient: str | None, guards: Sequence[tuple[str, bool]], batch: bool,
    run: Callable[[Array, Sequence[Array]], tuple[list[float], Array] | None],
) -> str:  # fmt: skip
    """A plan as a file in a language.

    Args:
        language: of LANGUAGES.
        plan: the safe plan; its outputs are the values, what the guards compare, and the gradient.
        constants, theta: the numbers.
        shapes: of the arguments, without rows.
        args: for the tests.
        values: how many results there are.
        single: whether they are one, not a list.
        gradient: what it is in: "theta", "x0", ..., None for none.
        guards: as of a Program.
        batch: whether there is a batch axis.
        run: values and gradient at a theta by the program itself; None where its branches do not hold.
    """
    routine = loops(plan, constants)
    routine.batch = batch
    args = [x[:MOST_ROWS] if batch else x for x in args]
    moved = theta * (1.0 + (1 + np.arange(len(theta)) % 7) / 64.0)
    tests, at = [], np.zeros(0, int)
    for numbers in (theta, moved) if len(theta) else (theta,):
        outcome = run(numbers, args)
        if outcome is None:  # a branch would go the other way there
            continue
        found, slope = outcome
        slope = np.ravel(slope)
        with np.errstate(all="ignore"):
            total, size = float(slope.sum()), float(np.abs(slope).sum())
        expected = list(found)
        scale = max((abs(x) for x in found if math.isfinite(x)), default=0.0)
        near = [TOLERANCE * max(abs(x) if math.isfinite(x) else 0.0, min(scale, 1.0), 1e-300) for x in expected]
        if gradient is not None:
            at = np.unique(np.linspace(0, len(slope) - 1, min(len(slope), MOST_COMPARED)).round().astype(int))
            largest = float(np.max(np.abs(slope), initial=0.0, where=np.isfinite(slope)))
            expected += [*slope[at].tolist(), total, size]
            near += [TOLERANCE * max(largest, 1e-300)] * len(at)
            near += [TOLERANCE * max(size if math.isfinite(size) else 1.0, 1e-300)] * 2
        tests.append((numbers, args, np.array(expected), np.array(near)))
    spec = Spec(
        _title(language), _function(language, single, gradient, len(theta)), shapes, theta, values, single, gradient,
        guards, _notes(language, shapes, theta, gradient, guards, batch, values, single), tests, at,
    )  # fmt: skip
    text: str = _writer(language)(routine, spec).text()
    return text


def _writer(language: str) -> Any:
    if language == "c":
        from autograd_lite.folding.export.in_c import C

        return C
    if language == "js":
        from autograd_lite.folding.export.in_js import JavaScript

        return JavaScript
    if language == "python":
        from autograd_lite.folding.export.in_python import Python

        return Python
    from autograd_lite.folding.export.in_numpy import NumPy

    return NumPy


def _title(language: str) -> str:
    with_ = {"c": "C99 and math.h", "js": "JavaScript", "python": "Python", "numpy": "Python and NumPy"}[language]
    return f"A program of autograd_lite, written out: it needs {with_} alone."


def _function(language: str, single: bool, gradient: str | None, parameters: int) -> str:
    if gradient is None:
        name = "value" if single else "values"
        return f"compute_{name}"
    return "loss_and_grad" if gradient == "theta" else "value_and_grad"


def _notes(language: str, shapes: Sequence[tuple[int, ...]], theta: Array, gradient: str | None,
           guards: Sequence[tuple[str, bool]], batch: bool, values: int, single: bool) -> list[str]:  # fmt: skip
    """What holds of the file, for its head."""
    lines = []
    if len(theta):
        lines.append(f"theta      {len(theta):,} parameters; THETA is what they were")
    for k, shape in enumerate(shapes):
        size = " x ".join(map(str, shape)) or "1"
        lines.append(f"x{k}{' ' * (9 - len(str(k)))} {size} numbers{' in each row, row after row' * batch}")
    if batch:
        lines.append("rows       how many rows there are; values and gradient are means over them")
    if gradient is not None:
        lines.append(f"gradient   the derivative of the value in {gradient}")
    if not single:
        lines.append(f"values     {values:,} results")
    build = {
        "c": "Build:     cc -std=c99 -O2 -ffp-contract=off FILE -lm (NO_MAIN leaves main out); not with -ffast-math",
        "js": "Run:       node FILE runs the self-test",
        "python": "Run:       python FILE runs the self-test",
        "numpy": "Run:       python FILE runs the self-test",
    }[language]
    lines += [build, ""]
    lines += [
        "All numbers are doubles. Results are those of the program up to rounding: the self-test asks for 1e-10",
        "of the largest. NaN and infinities come out as IEEE 754 has them, and an adjoint of exactly 0 contributes",
        "0, also where it meets an infinite slope. One thing is less than in the program: a sum that overflows on",
        "the way stays infinite or NaN, where the program finds the finite result.",
    ]
    if guards:
        lines.append("Branches are those that the trace took: where another one is due, results are NaN.")
    if language == "c":
        lines.append("The arrays are static: one call at a time, or define STORAGE.")
    return lines


__all__ = ["LANGUAGES", "Unwritable", "source"]
