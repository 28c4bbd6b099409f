"""What each ufunc of NumPy does with one element, Value or float, of each array."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from autograd_lite.arrays.elements import COMPARISONS
from autograd_lite.engine import functions
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Value


def primitive(name: str) -> Callable[..., Any]:
    """The function of a primitive, found when it is first called: so that rows may be added later."""

    def call(*xs: Any) -> Any:
        return getattr(functions, name)(*xs)

    return call


def live_comparison(name: str) -> Callable[[Any, Any], Any]:
    """A comparison as 0 or 1, which stays a Value."""
    decide: Callable[[Any, Any], bool] = COMPARISONS[name]
    row = "equal" if name == "not_equal" else name

    def compare(a: Any, b: Any) -> Any:
        if not isinstance(a, Value) and not isinstance(b, Value):
            return float(decide(a, b))
        if name == "not_equal" and name not in TABLE:
            return 1.0 - getattr(functions, row)(a, b)
        return getattr(functions, name)(a, b)

    return compare


def _fact(a: Any) -> Any:
    """The truth of an element as 0 or 1, live."""
    if isinstance(a, Value):
        return a if a.op in COMPARISONS else 1.0 - primitive("equal")(a, 0.0)
    return float(a != 0.0)


def is_nan(a: Any) -> bool:
    """Whether a number is NaN: asked as a comparison, so that it is guarded."""
    return not a <= a


def _extremum(name: str) -> Callable[[Any, Any], Any]:
    choose = primitive(name)
    return lambda a, b: b if is_nan(a) else a if is_nan(b) else choose(a, b)


def _fmod(a: Any, b: Any) -> Any:
    mod, size = primitive("mod"), abs(b)
    return primitive("where")(live_comparison("less")(a, 0.0), -mod(-a, size), mod(a, size))


def _copysign(a: Any, b: Any) -> Any:
    if isinstance(b, Value):
        return primitive("where")(live_comparison("less")(b, 0.0), -abs(a), abs(a))
    return -abs(a) if math.copysign(1.0, b) < 0.0 else abs(a)


_pow = functions.VALUES["pow"]
divide: Callable[..., Any] = functions.VALUES["div"]
_LN2 = math.log(2.0)

_SAME = (
    "exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan sinh cosh tanh sign floor ceil trunc rint hypot "
    "logaddexp maximum minimum heaviside degrees radians floor_divide"
)
_ARC = "sin cos tan sinh cosh tanh tan2"

SCALARS: dict[str, Callable[..., Any]] = {
    **{name: primitive(name) for name in _SAME.split()},
    **{f"arc{name}": primitive(f"a{name}") for name in _ARC.split()},
    **{name: live_comparison(name) for name in COMPARISONS},
    "absolute": abs,
    "fabs": abs,
    "deg2rad": primitive("radians"),
    "rad2deg": primitive("degrees"),
    "remainder": primitive("mod"),
    "fmod": _fmod,
    "divide": divide,
    "power": _pow,
    "float_power": _pow,
    "square": lambda a: a * a,
    "reciprocal": lambda a: divide(1.0, a),
    "positive": lambda a: a,
    "conjugate": lambda a: a,
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "negative": operator.neg,
    "logaddexp2": lambda a, b: primitive("logaddexp")(a * _LN2, b * _LN2) / _LN2,
    "fmax": _extremum("maximum"),
    "fmin": _extremum("minimum"),
    "copysign": _copysign,
    "ldexp": lambda a, n: a * _pow(2.0, n),
    "isnan": is_nan,
    "isfinite": lambda a: bool(-math.inf < a) and bool(a < math.inf),
    "isinf": lambda a: bool(a <= -math.inf) or bool(a >= math.inf),
    "signbit": lambda a: bool(a < 0.0) if isinstance(a, Value) else math.copysign(1.0, a) < 0.0,
    "logical_not": lambda a: 1.0 - _fact(a),
    "logical_and": lambda a, b: _fact(a) * _fact(b),
    "logical_or": lambda a, b: 1.0 - (1.0 - _fact(a)) * (1.0 - _fact(b)),
    "logical_xor": lambda a, b: (_fact(a) - _fact(b)) * (_fact(a) - _fact(b)),
}
"""What a ufunc does with one element, Value or float, of each array."""

SCALARS |= {f"bitwise_{name}": SCALARS[f"logical_{name}"] for name in ("and", "or", "xor")}
SCALARS["invert"] = SCALARS["logical_not"]  # ~mask
