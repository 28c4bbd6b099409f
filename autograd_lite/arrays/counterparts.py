"""Counterparts of NumPy's functions that must know about Values, by their names."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from autograd_lite import linalg
from autograd_lite.arrays.elements import array, base, finished, normal, truths, written
from autograd_lite.arrays.reductions import (
    along,
    average,
    deviation,
    extreme,
    in_order,
    median_of,
    places,
    quantile,
    reduced,
    reduction,
    sorting,
    variance,
)
from autograd_lite.arrays.scalars import divide, is_nan, live_comparison, primitive
from autograd_lite.arrays.ufuncs import REDUCTIONS, choose, elementwise
from autograd_lite.engine import functions
from autograd_lite.engine.checks import whole
from autograd_lite.engine.modes import mode
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Value

# --- counterparts of NumPy's functions ---------------------------------------------------------------------------


def _clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None, **_: Any
) -> Any:
    given = [x for x in (a_min, min) if x is not None and x is not np._NoValue]
    above = [x for x in (a_max, max) if x is not None and x is not np._NoValue]
    low, high = given[0] if given else -math.inf, above[0] if above else math.inf
    found = elementwise(TABLE["clamp"], array(a), low, high)
    return found if out is None else written(out, found, "np.clip")


def _round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    scale = 10.0 ** whole(decimals, "np.round: decimals", -300)
    found = np.rint(array(a) * scale) / scale if decimals else np.rint(array(a))
    return finished(found) if out is None else written(out, found, "np.round")


def _close(a: Any, b: Any, rtol: Any, atol: Any, equal_nan: Any) -> bool:
    if is_nan(a) or is_nan(b):
        return bool(equal_nan) and is_nan(a) and is_nan(b)
    if math.inf in (abs(_plain(a)), abs(_plain(b))):
        return bool(a <= b and a >= b)
    return bool(abs(a - b) <= atol + rtol * abs(b))


def _plain(x: Any) -> Any:
    """An infinite number as it is, and 0.0 for a finite one: asked by comparisons."""
    return math.inf if x >= math.inf else -math.inf if x <= -math.inf else 0.0


def _isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    arrays = (base(x, "np.isclose") for x in (a, b, rtol, atol, equal_nan))
    found = np.frompyfunc(_close, 5, 1)(*arrays)
    return found.astype(bool) if isinstance(found, np.ndarray) else bool(found)


def _allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> bool:
    return bool(np.all(_isclose(a, b, rtol, atol, equal_nan)))


def _array_equal(a: Any, b: Any, equal_nan: bool = False) -> bool:
    a, b = base(a, "np.array_equal"), base(b, "np.array_equal")
    pairs = zip(a.ravel().tolist(), b.ravel().tolist(), strict=True) if a.shape == b.shape else [(0.0, 1.0)]
    return all((x <= y and x >= y) or (equal_nan and is_nan(x) and is_nan(y)) for x, y in pairs)


def _nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    largest = float(np.finfo(float).max)
    high, low = largest if posinf is None else posinf, -largest if neginf is None else neginf

    def number(a: Any) -> Any:
        return nan if is_nan(a) else high if a >= math.inf else low if a <= -math.inf else a

    return finished(normal(np.asarray(np.frompyfunc(number, 1, 1)(base(x, "np.nan_to_num")), object), "np.nan_to_num"))


def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    if period is not None:
        raise TypeError(
            "np.interp: period= is not supported on Values; take x % period, and repeat the ends of xp and fp"
        )
    knots, heights = base(xp, "np.interp").tolist(), base(fp, "np.interp").tolist()
    if not knots or len(knots) != len(heights):
        raise ValueError(f"np.interp: xp and fp must have one length, at least 1, got {len(knots)} and {len(heights)}")
    slopes = [divide(heights[i + 1] - heights[i], knots[i + 1] - knots[i]) for i in range(len(knots) - 1)]
    low, high = heights[0] if left is None else left, heights[-1] if right is None else right
    less, equal, where = live_comparison("less"), live_comparison("equal"), primitive("where")
    sides = [0.0, *slopes, 0.0]
    # at a knot the slope of least size of the two, as everywhere where one-sided derivatives differ
    flatter = [where(less(abs(b), abs(a)), b, a) for a, b in pairwise(sides)]

    def live(a: Any) -> Any:
        found = low
        for i, knot in enumerate(knots):
            beyond = heights[i] + slopes[i] * (a - knot) if i < len(slopes) else high
            found = where(less(knot, a), beyond, found)
            found = where(equal(a, knot), heights[i] + flatter[i] * (a - knot), found)
        return found

    def eager(a: Any) -> Any:
        if is_nan(a):
            return a
        i = sum(1 for knot in knots if knot <= a) - 1 if any(isinstance(k, Value) for k in knots) else _place(knots, a)
        if i < 0:
            return low
        if knots[i] >= a:
            return heights[i] + flatter[i] * (a - knots[i])
        return heights[i] + slopes[i] * (a - knots[i]) if i < len(slopes) else high

    tracing = mode.tracer is not None
    return finished(np.frompyfunc(live if tracing else eager, 1, 1)(base(x, "np.interp")))


def _place(knots: list[float], a: Any) -> int:
    """The last knot at or below a."""
    low, high = 0, len(knots)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if knots[middle] <= a else (low, middle)
    return low - 1


def _einsum(*operands: Any, **options: Any) -> Any:
    subscripts, *given = operands
    if not isinstance(subscripts, str):
        raise TypeError("np.einsum: on Values the subscripts must be a string, as in np.einsum('ij,jk->ik', A, B)")
    arrays = [base(x, "np.einsum") for x in given]
    inputs, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(arrays):
        raise ValueError(f"np.einsum: {subscripts!r} has {len(terms)} operands and {len(arrays)} were given")
    spare = list(map(chr, range(0x2460, 0x2500)))  # letters that nobody writes, for the axes of an ellipsis
    width = 0
    for k, (term, x) in enumerate(zip(terms, arrays, strict=True)):
        if "..." in term:
            extra = x.ndim - len(term) + 3
            width = max(width, extra)
            terms[k] = term.replace("...", "".join(spare[64 - extra : 64]))
    dots = "".join(spare[64 - width : 64])
    if not arrow:
        counts = "".join(terms)
        result = dots + "".join(sorted(c for c in set(counts) if counts.count(c) == 1 and c not in dots))
    result = result.replace("...", dots)
    letters = list(dict.fromkeys(result + "".join(terms)))
    sizes: dict[str, int] = {}
    product: Any = None
    for term, x in zip(terms, arrays, strict=True):
        if x.ndim != len(term):
            raise ValueError(f"np.einsum: an operand of {x.ndim} axes stands for {term!r} in {subscripts!r}")
        for c, n in zip(term, x.shape, strict=True):
            if sizes.setdefault(c, n) not in (n, 1) and n != 1:
                raise ValueError(f"np.einsum: {c!r} is {sizes[c]} long and {n} long in {subscripts!r}")
            sizes[c] = max(sizes[c], n)
        while len(set(term)) < len(term):  # a letter twice: the diagonal
            c = next(c for c in term if term.count(c) > 1)
            i, j = [k for k, d in enumerate(term) if d == c][:2]
            x = np.moveaxis(np.diagonal(x, axis1=i, axis2=j), -1, 0)
            term = c + "".join(d for k, d in enumerate(term) if k not in (i, j))
        wanted = [c for c in letters if c in term]
        x = x.transpose([term.index(c) for c in wanted])
        x = x.reshape([x.shape[wanted.index(c)] if c in term else 1 for c in letters])
        product = x if product is None else product * x
    product = np.broadcast_to(product, [sizes[c] for c in letters])
    summed = tuple(k for k, c in enumerate(letters) if c not in result)
    return reduced(functions.sum, product, summed) if summed else finished(product.copy())


def _cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    if fweights is not None or aweights is not None:
        raise TypeError("np.cov: weights are not supported on Values")
    x = np.atleast_2d(array(m))
    x = x if rowvar or x.shape[0] == 1 else x.T
    if y is not None:
        more = np.atleast_2d(array(y))
        x = np.concatenate([x, more if rowvar or more.shape[0] == 1 else more.T])
    n = x.shape[1]
    off = x - np.mean(x, axis=1, keepdims=True)
    free = float(n - ((0 if bias else 1) if ddof is None else ddof))
    return finished(np.squeeze(off @ off.T / free))


def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, **_: Any) -> Any:
    c = _cov(x, y, rowvar)
    if not np.ndim(c):
        return c / c
    d = np.sqrt(np.diag(c))
    return c / d[:, None] / d[None, :]


def _stacked(f: Callable[..., Any], a: Any, *more: Any) -> Any:
    """A function of one matrix on each of a stack of them."""
    a = array(a)
    if a.ndim <= 2:
        return f(a, *more)
    found = [_stacked(f, one, *more) for one in a]
    if isinstance(found[0], tuple):
        return tuple(array(list(part)) for part in zip(*found, strict=True))
    return array(found)


def _solve(a: Any, b: Any) -> Any:
    a, b = array(a), array(b)
    if a.ndim <= 2:
        return linalg.solve(a, b)
    pairs = zip(a, np.broadcast_to(b, a.shape[:-2] + b.shape[-2:]), strict=True)
    return array([_solve(one, right) for one, right in pairs])


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = array(x)
    if axis is None and ord is None:
        axis = tuple(range(x.ndim))
        found = reduced(functions.norm, x, axis, keepdims=keepdims)
    elif isinstance(axis, tuple) and len(axis) == 2:
        last = np.moveaxis(x, axis, (-2, -1))
        found = _stacked(lambda one: linalg.norm(one, ord), last)
        found = np.expand_dims(found, tuple(sorted(a % x.ndim for a in axis))) if keepdims else found
    elif axis is None:
        found = linalg.norm(x, ord)
        found = array(np.full((1,) * x.ndim, found, object)) if keepdims else found
    else:
        found = reduced(lambda row: linalg.norm(row, ord), x, axis, keepdims=keepdims)
    return found


def _cross(a: Any, b: Any, *axes: Any, **options: Any) -> Any:
    a, b = base(a, "np.cross"), base(b, "np.cross")
    if a.ndim == b.ndim == 1:  # NumPy before 2.0 makes floats of single numbers on the way; of rows it does not
        return finished(normal(np.cross(a[None], b[None])[0], "np.cross"))
    return finished(normal(np.cross(a, b, *axes, **options), "np.cross"))


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    return reduced(functions.sum, np.diagonal(base(a, "np.trace"), offset, axis1, axis2), -1)


def _vdot(a: Any, b: Any) -> Any:
    return functions.dot(base(a, "np.vdot").ravel().tolist(), base(b, "np.vdot").ravel().tolist())


def _dot(a: Any, b: Any, out: Any = None) -> Any:
    found = np.dot(base(a, "np.dot"), base(b, "np.dot"))
    return finished(found) if out is None else written(out, found, "np.dot")


def _outer(a: Any, b: Any, out: Any = None) -> Any:
    return finished(np.multiply.outer(base(a, "np.outer").ravel(), base(b, "np.outer").ravel()))


def _like(fill: float) -> Callable[..., Any]:
    def like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
        """An array that takes Values, as `y = np.zeros_like(x)` with `y[i] = ...` wants; of another dtype if asked."""
        full = np.full(np.shape(a) if shape is None else shape, fill)
        return array(full) if dtype is None or dtype in (object, float) else full.astype(dtype)

    return like


def _gradient(f: Any, *spacing: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Central differences of second order, and one-sided ones at the ends."""
    f = array(f)
    axes = tuple(range(f.ndim)) if axis is None else tuple(np.atleast_1d(axis).tolist())
    given = spacing * len(axes) if len(spacing) == 1 else spacing or (1.0,) * len(axes)
    if len(given) != len(axes):
        raise TypeError(f"np.gradient: there are {len(axes)} axes, got {len(spacing)} spacings")
    if edge_order not in (1, 2):
        raise ValueError(f"np.gradient: edge_order must be 1 or 2, got {edge_order!r}")
    found = [_slopes(np.moveaxis(f, a, -1), h, edge_order) for a, h in zip(axes, given, strict=True)]
    back = [np.moveaxis(x, -1, a) for x, a in zip(found, axes, strict=True)]
    return back[0] if len(back) == 1 else tuple(back)


def _slopes(f: Any, spacing: Any, edge_order: int) -> Any:
    """The derivative along the last axis; `spacing` is one step, or the coordinates."""
    n = f.shape[-1]
    if n <= edge_order:
        raise ValueError(f"np.gradient: the array needs at least {edge_order + 1} elements along each axis, got {n}")
    h = np.diff(array(spacing)) if np.ndim(spacing) else array(np.full(n - 1, 1.0)) * spacing
    if np.shape(h) != (n - 1,):
        raise ValueError(f"np.gradient: there are {n} elements along the axis, and {len(h) + 1} coordinates")
    steps = np.diff(f, axis=-1) / h
    before, after = h[:-1], h[1:]
    inner = (steps[..., :-1] * after + steps[..., 1:] * before) / (before + after)
    first, last = steps[..., :1], steps[..., -1:]
    if edge_order == 2:
        first = first + (steps[..., :1] - steps[..., 1:2]) * h[0] / (h[0] + h[1])
        last = last + (steps[..., -1:] - steps[..., -2:-1]) * h[-1] / (h[-1] + h[-2])
    return np.concatenate([first, inner, last], axis=-1)


def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **options: Any) -> Any:
    rows = np.moveaxis(array(arr), axis, -1)
    found = [array(func1d(row, *args, **options)) for row in rows.reshape(-1, rows.shape[-1])]
    shape = found[0].shape
    table = np.stack(found).reshape(rows.shape[:-1] + shape)
    for k in range(len(shape)):  # the result's axes stand where the axis was
        table = np.moveaxis(table, rows.ndim - 1 + k, axis % rows.ndim + k)
    return finished(table)


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    found = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        found = choose(condition, choice, found)
    return found


def _linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, **_: Any) -> Any:
    steps = np.arange(whole(num, "np.linspace: num", 0)) / max(num - 1 if endpoint else num, 1)
    steps = steps.reshape(-1, *(1,) * max(np.ndim(start), np.ndim(stop)))
    return array(start) * (1.0 - steps) + array(stop) * steps


def _flat_places(a: Any) -> Any:
    return np.nonzero(truths(array(a)))


def _ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    return extreme(lambda row: functions.max(row) - functions.min(row))(a, axis, out, keepdims)


_smallest, _largest = extreme(functions.min), extreme(functions.max)

COUNTERPARTS: dict[str, Callable[..., Any]] = {
    "where": choose,
    "clip": _clip,
    "round": _round,
    "around": _round,
    "fix": lambda x, out=None: np.trunc(array(x)),
    "sinc": lambda x: elementwise(TABLE["sinc"], array(x)),
    "real": lambda val: val,
    "imag": lambda val: np.zeros(np.shape(val)),
    "isreal": lambda x: np.ones(np.shape(x), bool),
    "iscomplexobj": lambda x: False,
    "isrealobj": lambda x: True,
    "select": _select,
    "linspace": _linspace,
    "isclose": _isclose,
    "allclose": _allclose,
    "array_equal": _array_equal,
    "nan_to_num": _nan_to_num,
    "interp": _interp,
    "sum": reduction(functions.sum),
    "prod": reduction(functions.prod),
    "mean": reduction(functions.mean),
    "var": variance,
    "std": deviation,
    "average": average,
    "max": _largest,
    "amax": _largest,
    "min": _smallest,
    "amin": _smallest,
    "ptp": _ptp,
    "all": extreme(REDUCTIONS["logical_and"]),
    "any": extreme(REDUCTIONS["logical_or"]),
    "count_nonzero": lambda a, axis=None, *, keepdims=False: np.sum(truths(array(a)), axis=axis, keepdims=keepdims),
    "nonzero": _flat_places,
    "flatnonzero": lambda a: np.flatnonzero(truths(array(a))),
    "argwhere": lambda a: np.argwhere(truths(array(a))),
    "argmin": places(operator.lt, "argmin"),
    "argmax": places(operator.gt, "argmax"),
    "sort": lambda a, axis=-1, kind=None, order=None, *, stable=None: finished(along(in_order, a, axis)),
    "argsort": lambda a, axis=-1, kind=None, order=None, *, stable=None: along(sorting, a, axis).astype(int),
    "median": lambda a, axis=None, out=None, overwrite_input=False, keepdims=False: extreme(median_of)(
        a, axis, out, keepdims
    ),
    "quantile": quantile,
    "percentile": lambda a, q, *args, **options: quantile(a, np.asarray(q, float) / 100.0, *args, **options),
    "cov": _cov,
    "corrcoef": _corrcoef,
    "einsum": _einsum,
    "trace": _trace,
    "cross": _cross,
    "dot": _dot,
    "vdot": _vdot,
    "outer": _outer,
    "zeros_like": _like(0.0),
    "empty_like": _like(0.0),
    "ones_like": _like(1.0),
    "gradient": _gradient,
    "apply_along_axis": _apply_along_axis,
    "shape": lambda a: np.shape(base(a, "np.shape")),
    "ndim": lambda a: base(a, "np.ndim").ndim,
    "size": lambda a, axis=None: np.size(base(a, "np.size"), axis),
    "linalg.solve": _solve,
    "linalg.inv": lambda a: _stacked(linalg.inv, a),
    "linalg.det": lambda a: _stacked(linalg.det, a),
    "linalg.slogdet": lambda a: _stacked(linalg.slogdet, a),
    "linalg.cholesky": lambda a, **_: _stacked(linalg.cholesky, a),
    "linalg.lstsq": linalg.lstsq,
    "linalg.pinv": lambda a, **_: linalg.lstsq(a, np.eye(len(a)))[0],
    "linalg.matrix_power": lambda a, n: _stacked(linalg.matrix_power, a, n),
    "linalg.norm": _norm,
    "linalg.vector_norm": lambda x, *, axis=None, keepdims=False, ord=2: _norm(
        np.ravel(x) if axis is None else x, ord, axis if axis is not None else 0, keepdims
    ),
    "linalg.matrix_norm": lambda x, *, keepdims=False, ord="fro": _norm(x, ord, (-2, -1), keepdims),
}
"""Functions that differ from NumPy's own on objects, by their names below `np`."""
