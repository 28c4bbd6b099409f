"""The elementary names of rules as array functions: NumPy's ufuncs, and the few that it lacks.

Each is called as kernel(*arrays, out). They agree with the float kernels of engine/kernels.py up to rounding: NaN in
gives NaN, poles give infinities. erf and erfc are SciPy's where it is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_lite.engine.kernels import SQRT1_2, SQRT1_2_LOW, TWO_OVER_SQRT_PI
from autograd_lite.engine.lowering import FLOATS

Array = Any


def _pow(a: Any, b: Any, out: Array) -> None:
    if isinstance(b, float) and b in _POWERS:
        _POWERS[b](a, out)
        return
    np.power(a, b, out)
    if not isinstance(b, float):
        half = np.equal(b, 0.5)  # where b is 0.5 all along, NumPy takes the square root
        if half.any():
            np.copyto(out, math.inf, where=half & np.equal(a, -math.inf))
            np.copyto(out, 0.0, where=half & np.equal(a, 0.0))
    if (isinstance(b, float) and b == b and b) or (isinstance(a, float) and a == a and a != 1.0):
        return
    np.copyto(out, math.nan, where=np.isnan(a) | np.isnan(b))  # NumPy has 1 ** NaN and NaN ** 0 at 1


def _cube(a: Array, out: Array) -> None:
    np.multiply(a * a, a, out)


def _half(a: Array, out: Array) -> None:
    """a ** 0.5, which is the square root but at two points: 0 at -0, infinite at -inf."""
    np.sqrt(a, out)
    np.add(out, 0.0, out)
    np.copyto(out, math.inf, where=np.equal(a, -math.inf))


_POWERS: dict[float, Callable[..., Any]] = {
    2.0: np.square,
    3.0: _cube,
    1.0: lambda a, out: np.copyto(out, a),
    0.5: _half,
    -1.0: lambda a, out: np.divide(1.0, a, out),
}


def _hypot(a: Any, b: Any, out: Array) -> None:
    np.hypot(a, b, out)
    np.copyto(out, math.nan, where=np.isnan(a) | np.isnan(b))


def _high(a: Array) -> Array:
    """As in engine/kernels.py: a (of moderate size) rounded to 26 bits."""
    c = 134217729.0 * a
    return c - (c - a)


def _gauss(a: Any, s: Any, out: Array) -> None:
    a, s = np.asarray(a), np.asarray(s)
    near = np.abs(a) < 40.0
    inside = np.where(near, a, 0.0)
    high = _high(inside)
    found = np.exp(-s * high * high) * np.exp(-s * (inside - high) * (inside + high))
    np.copyto(out, np.where(near, found, np.where(np.isnan(a) | np.isnan(s), math.nan, 0.0)))


def _ndtr(a: Any, out: Array) -> None:
    a = np.asarray(a)
    x = -a * SQRT1_2
    value = np.empty(a.shape)
    _any_erfc(x, value)
    tail = (a > -38.5) & (a < -0.7)
    if tail.any():
        t, tx = a[tail], x[tail]
        high, root = _high(t), float(_high(np.float64(SQRT1_2)))
        low, rest = t - high, SQRT1_2 - root
        lost = -(((high * root + tx) + high * rest + low * root) + low * rest + t * SQRT1_2_LOW)
        gauss = np.empty(t.shape)
        _gauss(tx, 1.0, gauss)
        value[tail] = _erfc_tail(tx, gauss, value[tail]) - TWO_OVER_SQRT_PI * gauss * lost
    np.multiply(value, 0.5, out)


def _erfc_tail(x: Array, gauss: Array, plain: Array) -> Array:
    """erfc(x) = erfcx(x) exp(-x^2), whose square is split: SciPy's own rounds it, and is 255 ulp off at 26."""
    try:
        from scipy.special import erfcx
    except ImportError:  # then it is math.erfc, which is right as it stands
        return plain
    return erfcx(x) * gauss


def erfc(a: Any, out: Array) -> None:
    """The complement of the error function, as near as that of `math` in the tail too."""
    a = np.asarray(a)
    value = np.empty(a.shape)
    _any_erfc(a, value)
    tail = (a > 0.5) & (a < 28.0)
    if tail.any():
        t = a[tail]
        gauss = np.empty(t.shape)
        _gauss(t, 1.0, gauss)
        value[tail] = _erfc_tail(t, gauss, value[tail])
    np.copyto(out, value)


def _expdiff(a: Any, b: Any, out: Array) -> None:
    d = np.subtract(a, b)
    np.exp(d, out)
    back = np.subtract(a, d)
    lost = np.add(d, back)
    np.subtract(a, lost, lost)
    np.subtract(back, b, back)
    np.add(lost, back, lost)
    np.multiply(lost, out, lost)
    np.add(lost, out, out)
    if has_nan(out):  # of infinite numbers nothing is lost
        found = np.exp(d)
        np.copyto(out, found, where=~((d > -750.0) & (found < math.inf)))
        np.copyto(out, 1.0, where=np.equal(a, b))


def has_nan(x: Any) -> bool:
    """Whether there is a NaN in it: a sum of squares is NaN for no other reason."""
    square = x * x if isinstance(x, float) else np.vdot(x, x)
    return bool(square != square)


def where(condition: Array, a: Any, b: Any, out: Array) -> None:
    """a where the condition is not 0, b where it is, NaN where it is NaN."""
    no = np.equal(condition, 0.0)
    np.copyto(out, a)
    np.copyto(out, b, where=no)
    if has_nan(condition):
        np.copyto(out, math.nan, where=np.isnan(condition))


def _special(name: str) -> Callable[..., None]:
    """A function of scipy.special, or of math element by element."""
    found: list[Any] = []

    def kernel(a: Any, out: Array) -> None:
        if not found:
            try:
                from scipy import special

                found.append(getattr(special, name))
            except ImportError:
                slow = np.frompyfunc(getattr(math, name), 1, 1)
                found.append(lambda a, out: np.copyto(out, np.asarray(slow(a), float)))
        found[0](a, out)

    return kernel


erf: Callable[..., None] = _special("erf")
_any_erfc = _special("erfc")


def _by_element(name: str) -> Callable[..., None]:
    """The float kernel, element by element: the same bits as eager without SciPy, at a call of Python an element."""
    each: list[Any] = []

    def kernel(*arguments: Any) -> None:
        if not each:
            each.append(np.frompyfunc(FLOATS[name], len(arguments) - 1, 1))
        np.copyto(arguments[-1], np.asarray(each[0](*arguments[:-1]), float))

    return kernel


def _floor_divide(a: Any, b: Any, out: Array) -> None:
    np.floor_divide(a, b, out)
    np.copyto(out, math.nan, where=np.equal(b, 0.0) | np.isinf(a))


KERNELS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "neg": np.negative,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "sin",
       "cos", "tan", "sinh", "cosh", "tanh", "floor", "ceil", "abs")},
    **{name: getattr(np, f"arc{name[1:]}") for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
    "atan2": np.arctan2,
    "hypot": _hypot,
    "div": np.divide,
    "pow": _pow,
    "erf": erf,
    "erfc": erfc,
    "_ndtr": _ndtr,
    "_gauss": _gauss,
    "_expdiff": _expdiff,
    "exp2": np.exp2,
    "rint": np.rint,
    "mod": np.mod,
    "floor_divide": _floor_divide,
    **{name: _by_element(name) for name in ("round", "log_ndtr", "_hazard", "_excess", "ndtri", "erfinv", "lgamma",
       "digamma", "polygamma", "_sinc")},
}  # fmt: skip


def product(kind: str, a: Any, b: Any, out: Array) -> None:
    """A product by the zero rule: 0 where a is 0, and for "_masked" where b is."""
    nothing = np.equal(a, 0.0)
    if kind == "_masked":
        nothing = nothing | np.equal(b, 0.0)
    np.multiply(a, b, out)
    np.copyto(out, 0.0, where=nothing)


def matrix_product(kind: str, a: Array, b: Array, out: Array) -> None:
    """a @ b.T of stacks of matrices by the zero rule: plainly where the rows are finite, term by term where not."""
    bad = ~np.isfinite(b).all(-1)
    bad_left = ~np.isfinite(a).all(-1) & (kind == "_masked")
    left = np.where(bad_left[..., None], 0.0, a)
    right = np.where(bad[..., None], 0.0, b)
    out[...] = np.matmul(left, np.swapaxes(right, -1, -2))
    for where in np.argwhere(bad):
        block, row = tuple(where[:-1]), where[-1]
        terms = np.empty(a[block].shape)
        product(kind, a[block], b[block][row], terms)
        column = (*block, slice(None), row)
        out[column] = terms.sum(-1)
    for where in np.argwhere(bad_left):
        block, row = tuple(where[:-1]), where[-1]
        terms = np.empty(b[block].shape)
        product(kind, a[block][row], b[block], terms)
        line = (*block, row)
        out[line] = terms.sum(-1)
