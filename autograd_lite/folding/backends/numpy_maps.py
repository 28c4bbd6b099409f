"""Maps and reductions in the NumPy backend: the code of a rule (engine/lowering.py) as steps on arrays.

A side of a `select` that no lane takes is not computed: of a softplus over positive numbers only half is run. A few
codes are one NumPy function, and run as that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from autograd_lite.engine.lowering import Code, Step, same
from autograd_lite.folding.backends.kernels import KERNELS, has_nan, product, where
from autograd_lite.folding.backends.numpy_arrays import ArrayCall, Arrays
from autograd_lite.folding.instructions import Map, Reduce

Array = Any


def add_map(arrays: Arrays, x: Map, out: Array) -> None:
    """The steps of a primitive, or of one of its local derivatives."""
    assert x.code is not None
    shape, views = arrays.aligned(x.args, x.batched and arrays.rows is not None)
    target = out.reshape((*shape, *out.shape[1:]))
    whole = WHOLE.get(x.code.title)
    if whole is not None:
        whole(arrays, views, target)
        return
    operands = [view for view in views if not isinstance(view, float)]
    _Evaluation(arrays, target.shape, x.code, operands).into(target)


def add_reduce(arrays: Arrays, x: Reduce, out: Array) -> None:
    """The steps of max, min or norm of groups of elements."""
    counts = x.counts
    elements = arrays.flat(x.elements)
    reduce = {"max": np.maximum, "min": np.minimum}.get(x.row.name)
    if (counts == counts[0]).all():  # groups of one length are the rows of a table
        table = elements.reshape(len(counts), int(counts[0]), *elements.shape[1:])
        if reduce is not None:
            arrays.do(reduce.reduce, table, 1, None, out)
        else:
            arrays.do(_norm, table, 1, out)
        return
    starts = np.cumsum(counts) - counts
    if reduce is not None:
        arrays.do(reduce.reduceat, elements, starts, 0, None, out)
    else:
        arrays.do(_norms, elements, starts, counts, out)


def _norm(table: Array, axis: int, out: Array) -> None:
    """The Euclidean norm along an axis, without overflow on the way."""
    top = np.abs(table).max(axis, keepdims=True)
    scale = np.where((top > 0.0) & np.isfinite(top), top, 1.0)
    found = np.squeeze(scale, axis) * np.sqrt(np.square(table / scale).sum(axis))
    np.copyto(out, np.where(np.isnan(table).any(axis), math.nan, found))


def _norms(elements: Array, starts: Array, counts: Array, out: Array) -> None:
    for k, (start, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True)):
        _norm(elements[None, start : start + count], 1, out[k : k + 1])


# --- code as array operations -------------------------------------------------------------------------


class _Evaluation:
    """A code on arrays: appends the steps that leave its result in an array.

    It starts at the result and computes what that asks for, so that the steps of a side of a `select` come up when
    that side is at hand. What two sides share is computed in each, and once if it was needed before them.

    Args:
        arrays: get the steps.
        shape: of every array.
        code: what to compute.
        operands: an array for each operand.
    """

    def __init__(self, arrays: Arrays, shape: tuple[int, ...], code: Code, operands: Sequence[Array]) -> None:
        self.arrays, self.shape, self.code = arrays, shape, code
        self.known: dict[int, Array] = dict(enumerate(operands))

    def into(self, out: Array) -> None:
        """Compute the result."""
        found = self.value(self.code.result, out)
        if found is not out:
            self.arrays.do(np.copyto, out, found)

    def step(self, x: int | float) -> Step | None:
        """The step that gives a value; None for a number, and for what is known already."""
        return None if isinstance(x, float) or x in self.known else self.code.steps[x - len(self.code.operands)]

    def value(self, x: int | float, out: Array | None = None) -> Any:
        """A value: a number, or an array, in `out` if it had to be computed."""
        if isinstance(x, float):
            return x
        step = self.step(x)
        if step is None:
            return self.known[x]
        if step.name == "select":
            found = self.select(step, out)
        elif step.function is not None:
            found = self.arrays.temporary(self.shape) if out is None else out
            self.arrays.do(_lane_by_lane, step.function, [self.value(a) for a in step.args], found)
        else:
            found = self.call(KERNELS[step.name], step.args, out, bool if step.name in MASKS else None)
        if out is None:
            self.known[x] = found
        return found

    def call(
        self, function: Callable[..., Any], args: Sequence[int | float], out: Array | None, dtype: Any = None
    ) -> Array:
        """A function of some values."""
        operands = [self.value(x) for x in args]
        target = self.arrays.temporary(self.shape, dtype) if out is None else out
        self.arrays.do(function, *operands, target)
        return target

    def select(self, step: Step, out: Array | None) -> Array:
        """A choice; what only one side needs is computed if some lane takes that side."""
        condition, yes, no = step.args
        test = self.step(condition)
        if test is not None and test.name in MASKS and same(yes, 1.0) and same(no, 0.0):
            target = self.arrays.temporary(self.shape) if out is None else out
            return self.call(KERNELS[test.name], test.args, target)  # true and false, as 1 and 0
        if test is not None and test.name == "le" and isinstance(yes, float) and all(map(same, test.args, (no, yes))):
            return self.call(_maximum, test.args, out)  # select(a <= c, c, a)
        chosen = self.value(condition)
        further = self.step(yes)
        while further is not None and further.name == "select" and same(further.args[2], no):
            # select(p, select(q, a, b), b): one choice by both, so that b is computed and copied once
            both = self.arrays.temporary(self.shape, bool)
            self.arrays.do(np.logical_and, chosen, self.value(further.args[0]), both)
            chosen, yes = both, further.args[1]
            further = self.step(yes)
        result = self.arrays.temporary(self.shape) if out is None else out
        steps_yes, value_yes = self.side(yes)
        steps_no, value_no = self.side(no)
        if not steps_yes and not steps_no:
            self.arrays.do(_choose, chosen, value_yes, value_no, result)
        else:
            self.arrays.do(_branch, chosen, steps_yes, value_yes, steps_no, value_no, result)
        return result

    def side(self, x: int | float) -> tuple[list[ArrayCall], Any]:
        """The steps of a side of a choice, apart from the others, and its value; what they find is known only there."""
        outer, known = self.arrays.steps, self.known
        self.arrays.steps, self.known = [], dict(known)
        value = self.value(x)
        steps, self.arrays.steps, self.known = self.arrays.steps, outer, known
        return steps, value


MASKS = ("gt", "ge", "lt", "le", "eq")


def _choose(condition: Array, yes: Any, no: Any, out: Array) -> None:
    np.copyto(out, no)
    np.copyto(out, yes, where=condition)


def _branch(
    condition: Array, steps_yes: list[ArrayCall], yes: Any, steps_no: list[ArrayCall], no: Any, out: Array
) -> None:
    count = np.count_nonzero(condition)
    if count == condition.size:
        for function, arguments in steps_yes:
            function(*arguments)
        np.copyto(out, yes)
        return
    for function, arguments in steps_no:
        function(*arguments)
    if not count:
        np.copyto(out, no)
        return
    for function, arguments in steps_yes:
        function(*arguments)
    np.copyto(out, no)
    np.copyto(out, yes, where=condition)


def _maximum(a: Any, b: Any, out: Array) -> None:
    np.maximum(a, b, out=out)  # by name: NumPy wants it so


def _lane_by_lane(function: Callable[..., float], arguments: Sequence[Any], out: Array) -> None:
    found = np.frompyfunc(function, len(arguments), 1)(*arguments)
    out[...] = np.asarray(found, float)


# --- codes that are one function ----------------------------------------------------------------------


def _by(function: Callable[..., Any]) -> Callable[[Arrays, list[Any], Array], None]:
    return lambda arrays, views, target: arrays.do(function, *views, target)


def _comparing(test: Callable[..., Any]) -> Callable[[Arrays, list[Any], Array], None]:
    """A comparison as 1 or 0, and NaN where either side is."""

    def add(arrays: Arrays, views: list[Any], target: Array) -> None:
        a, b = views
        if test is np.greater and isinstance(b, float) and b == 0.0:
            arrays.do(np.heaviside, a, 0.0, target)
        else:
            arrays.do(_ordered(test), _narrow(a), _narrow(b), a, b, target)

    return add


@cache
def _ordered(test: Callable[..., Any]) -> Callable[..., None]:
    def compare(narrow_a: Any, narrow_b: Any, a: Any, b: Any, out: Array) -> None:
        np.copyto(out, test(a, b))
        if has_nan(narrow_a) or has_nan(narrow_b):
            np.copyto(out, math.nan, where=np.isnan(a) | np.isnan(b))

    return compare


def _narrow(x: Any) -> Any:
    """An operand without what it only repeats."""
    if isinstance(x, float):
        return x
    return x[tuple(slice(0, 1) if step == 0 else slice(None) for step in x.strides)]


def _product(kind: str) -> Callable[[Arrays, list[Any], Array], None]:
    return lambda arrays, views, target: arrays.do(product, kind, *views, target)


WHOLE: dict[str, Callable[[Arrays, list[Any], Array], None]] = {
    "where": _by(where),
    **{kind: _product(kind) for kind in ("_chain", "_masked")},
    **{name: _comparing(getattr(np, name)) for name in ("greater", "greater_equal", "less", "less_equal", "equal")},
}
"""Codes, by their titles, that have a step of their own: in general steps they take up to three times as long."""
