"""One number, or one order, for each row of an array: sums, variances, extremes, quantiles."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from autograd_lite.arrays.elements import array, base, element, finished, truth, written
from autograd_lite.arrays.scalars import divide, is_nan, primitive
from autograd_lite.engine import functions

Array = Any


# --- one number for each row ----------------------------------------------------------------------------------


def _rows(x: Array, axis: Any) -> tuple[Array, list[int], list[int]]:
    """An array as rows to reduce: of shape (rows, length); the lengths of the axes that stay, and the axes that go."""
    n = x.ndim
    gone = (
        list(range(n)) if axis is None else [operator.index(a) for a in (axis if isinstance(axis, tuple) else (axis,))]
    )
    for a in gone:
        if not -n <= a < n:
            raise ValueError(f"axis {a} is out of bounds for an array of {n} axes")
    gone = sorted({a % n for a in gone})
    kept = [a for a in range(n) if a not in gone]
    shape = [x.shape[a] for a in kept]
    length = math.prod(x.shape[a] for a in gone)
    return x.transpose([*kept, *gone]).reshape(math.prod(shape), length), shape, gone


_NOTHING: Any = object()


def reduced(
    f: Callable[[list[Any]], Any],
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    initial: Any = _NOTHING,
    where: Any = True,
) -> Any:
    """f of each row along the axes: an array, or one number. The arguments are those of np.sum."""
    x = base(x, "reduction")
    rows, shape, gone = _rows(x, axis)
    lists: list[Any] = rows.tolist()
    if where is not True:
        mask = np.broadcast_to(base(where, "where"), x.shape)
        wanted = [[truth(w) for w in row] for row in _rows(mask, axis)[0].tolist()]
        lists = [[v for v, w in zip(row, keep, strict=True) if w] for row, keep in zip(lists, wanted, strict=True)]
    if initial is not _NOTHING and initial is not None:
        lists = [[element(initial, "initial"), *row] for row in lists]
    found: Array = np.empty(len(lists), object)
    for i, row in enumerate(lists):
        found[i] = f(row)
    found = found.reshape(shape)
    if keepdims is True or (isinstance(keepdims, (int, np.bool_)) and keepdims):
        found = np.expand_dims(found, tuple(gone))
    if found.size and all(isinstance(y, (bool, np.bool_)) for y in found.ravel().tolist()):
        found = found.astype(bool)
        return found if found.ndim else bool(found)
    return finished(found) if out is None else written(out, found, "reduction")


def reduction(f: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    """f of each row, with the arguments of np.sum."""

    def reduce(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **options: Any
    ) -> Any:
        options = {key: x for key, x in options.items() if x is not np._NoValue}
        return reduced(f, a, axis, None, out, False if keepdims is np._NoValue else keepdims, **options)

    return reduce


def extreme(f: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    """A reduction without a dtype, so that out and keepdims stand one place earlier."""
    whole_row = reduction(f)

    def reduce(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **options: Any) -> Any:
        return whole_row(a, axis, None, out, keepdims, **options)

    return reduce


def _variance(row: list[Any], ddof: float) -> Any:
    middle = functions.mean(row)
    off = [x - middle for x in row]
    return divide(functions.sum([d * d for d in off]), float(len(row) - ddof))


def variance(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, **options: Any
) -> Any:
    """np.var."""
    ddof = options.pop("correction", ddof)
    return reduction(lambda row: _variance(row, 0 if ddof is np._NoValue else ddof))(
        a, axis, None, out, keepdims, **{k: x for k, x in options.items() if k != "mean"}
    )


def deviation(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, **options: Any
) -> Any:
    """np.std."""
    ddof = options.pop("correction", ddof)
    ddof = 0 if ddof is np._NoValue else ddof
    return reduction(lambda row: primitive("sqrt")(_variance(row, ddof)))(
        a, axis, None, out, keepdims, **{k: x for k, x in options.items() if k != "mean"}
    )


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    """np.average."""
    a = array(a)
    if weights is None:
        weights = np.ones(a.shape)
    elif np.shape(weights) != a.shape:
        weights = np.moveaxis(np.broadcast_to(base(weights, "average"), np.moveaxis(a, axis, -1).shape), -1, axis)
    total = np.sum(array(weights), axis=axis, keepdims=keepdims)
    found = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (found, total) if returned else found


# --- order ------------------------------------------------------------------------------------------------


def sorting(row: list[Any]) -> list[int]:
    """The places of a row from the smallest to the largest, NaN last; by comparisons, which are guarded."""
    nan = [i for i, x in enumerate(row) if is_nan(x)]
    return sorted((i for i in range(len(row)) if i not in set(nan)), key=row.__getitem__) + nan


def in_order(row: list[Any]) -> list[Any]:
    """A row from the smallest to the largest."""
    return [row[i] for i in sorting(row)]


def along(f: Callable[[list[Any]], list[Any]], a: Any, axis: Any) -> Array:
    """f of each row along one axis, which gives a row of the same length."""
    a = base(a, "sort")
    if axis is None:
        a, axis = a.ravel(), 0
    moved = np.moveaxis(a, axis, -1)
    found = np.empty(moved.shape, object)
    for place in np.ndindex(moved.shape[:-1]):
        for i, x in enumerate(f(moved[place].tolist())):
            at = (*place, i)
            found[at] = x
    return np.moveaxis(found, -1, axis)


def _first(better: Callable[[Any, Any], bool], name: str) -> Callable[[list[Any]], int]:
    def place(row: list[Any]) -> int:
        if not row:
            raise ValueError(f"{name}: the sequence is empty")
        best = 0
        for i, x in enumerate(row):
            if is_nan(x):
                return i
            if better(x, row[best]):
                best = i
        return best

    return place


def places(better: Callable[[Any, Any], bool], name: str) -> Callable[..., Any]:
    """np.argmin or np.argmax: the first place that no other is better than, or that of a NaN."""
    first = _first(better, name)

    def arg(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        keepdims = keepdims is not np._NoValue and keepdims
        rows, shape, gone = _rows(base(a, name), axis)
        found = np.array([first(row) for row in rows.tolist()], int).reshape(shape)
        found = np.expand_dims(found, tuple(gone)) if keepdims else found
        return found if found.ndim else int(found)

    return arg


def _quantile_of(share: float, row: list[Any]) -> Any:
    if any(map(is_nan, row)):
        return functions.sum(row)  # NaN
    ordered, place = in_order(row), share * (len(row) - 1)
    low = math.floor(place)
    rest = place - low
    return ordered[low] if rest == 0.0 else ordered[low] * (1.0 - rest) + ordered[low + 1] * rest


def median_of(row: list[Any]) -> Any:
    """The median of a row; NaN if it holds one."""
    if not row:
        raise ValueError("median: the sequence is empty")
    if any(map(is_nan, row)):
        return functions.sum(row)
    ordered, half = in_order(row), len(row) // 2
    return ordered[half] if len(row) % 2 else functions.mean(ordered[half - 1 : half + 1])


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    **_: Any,
) -> Any:
    """np.quantile, of the linear kind."""
    if method != "linear":
        raise TypeError(f"np.quantile: method={method!r} is not supported on Values; the linear one is")
    shares = np.asarray(q, float)
    if not np.all((shares >= 0.0) & (shares <= 1.0)):
        raise ValueError("np.quantile: quantiles must be in [0, 1]")
    found = [extreme(partial(_quantile_of, share))(a, axis, None, keepdims) for share in shares.ravel().tolist()]
    if not shares.ndim:
        return found[0]
    return finished(np.stack([base(x, "np.quantile") for x in found]).reshape(shares.shape + np.shape(found[0])))
