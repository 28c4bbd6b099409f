"""The elementary names of rules as array functions: NumPy's ufuncs, and the few that it lacks.

Each is called as kernel(*arrays, out). They agree with the float kernels of engine/kernels.py up to rounding: NaN in
gives NaN, poles give infinities. Those of special functions are in special.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_lite.engine.lowering import FLOATS
from autograd_lite.folding.backends import special

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


def _round(a: Any, digits: Any, out: Array) -> None:
    """Correct rounding to decimal digits is Python's, element by element; to none it is NumPy's."""
    if isinstance(digits, float) and digits == 0.0:
        np.rint(a, out)
    else:
        np.copyto(out, np.asarray(np.frompyfunc(FLOATS["round"], 2, 1)(a, digits), float))


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
    "_expdiff": _expdiff,
    "exp2": np.exp2,
    "rint": np.rint,
    "mod": np.mod,
    "floor_divide": _floor_divide,
    "round": _round,
    "erf": special.erf,
    "erfc": special.erfc,
    "_ndtr": special.ndtr,
    "_gauss": special.gauss,
    "log_ndtr": special.log_ndtr,
    "_hazard": special.hazard,
    "_excess": special.excess,
    "ndtri": special.ndtri,
    "erfinv": special.erfinv,
    "lgamma": special.lgamma,
    "digamma": special.digamma,
    "polygamma": special.polygamma,
    "_sinc": special.sinc,
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
