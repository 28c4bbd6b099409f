"""Float kernels: the C library's functions made total: NaN in gives NaN, poles give infinities, nothing raises."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import mul
from typing import Any

from autograd_lite.engine.lowering import FLOATS

inf: float = math.inf
nan: float = math.nan


def _quiet(function: Callable[[float], float], poles: dict[float, float] | None = None) -> Callable[[float], float]:
    """`function` without its exceptions: its `poles`, NaN elsewhere outside its domain, inf on overflow."""
    infinite = poles or {}

    def kernel(a: float) -> float:
        try:
            return function(a)
        except ValueError:
            return infinite.get(a, nan)
        except OverflowError:
            return math.copysign(inf, function(math.copysign(1.0, a)))

    return kernel


def _logarithm(function: Callable[[float], float]) -> Callable[[float], float]:
    """The same of a logarithm; it tests first instead of catching, since a ** 2 takes one of a negative a."""
    return lambda a: function(a) if a > 0.0 else -inf if a == 0.0 else nan


def _div(a: float, b: float) -> float:
    """a / b, and IEEE 754's answer where Python raises."""
    if b:
        return a / b
    if a != a or not a:
        return nan
    return math.copysign(inf, a) * math.copysign(1.0, b)


def _pow(a: float, b: float) -> float:
    """a ** b over the reals; NaN in gives NaN, also in 1 ** NaN and NaN ** 0."""
    try:
        return math.pow(a, b) if a == a and b == b else nan
    except ValueError:
        if a:
            return nan
        odd = b % 2.0 == 1.0
        return math.copysign(inf, a) if odd else inf
    except OverflowError:
        return -inf if a < 0.0 and b % 2.0 == 1.0 else inf


def _cbrt(a: float) -> float:
    """The real cube root: a power (1/3 is rounded, so up to 60 ulp off) and one Newton step."""
    if not a or a - a:  # 0, inf, NaN as they are (inf - inf is NaN, which is true)
        return a
    root = math.copysign(abs(a) ** (1.0 / 3.0), a)
    return root + (a / (root * root) - root) / 3.0


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    """floor or ceil as a float that keeps infinities, NaN and the sign of zero."""
    return lambda a: math.copysign(float(function(a)), a) if a - a == 0.0 else a


def _hypot(*xs: float) -> float:
    value = math.hypot(*xs)
    return nan if value == inf and any(x != x for x in xs) else value


def _high(a: float) -> float:
    """a (of moderate size) rounded to 26 bits, so that its square is exact (Veltkamp's split)."""
    c = 134217729.0 * a
    return c - (c - a)


def _ndtr(a: float) -> float:
    """The normal distribution function, erfc(-a / sqrt 2) / 2.

    In the left tail erfc multiplies a relative error of its argument by a squared, so the
    rounding of a / sqrt 2 is carried along to first order (1,000 ulp at -37 otherwise).
    """
    x = -a * SQRT1_2
    value = math.erfc(x)
    if not -38.5 < a < -1.0:
        return 0.5 * value
    ah, rh = _high(a), _high(SQRT1_2)
    al, rl = a - ah, SQRT1_2 - rh
    lost = -(((ah * rh + x) + ah * rl + al * rh) + al * rl + a * SQRT1_2_LOW)
    return 0.5 * (value - TWO_OVER_SQRT_PI * _gauss(x, 1.0) * lost)


def _gauss(a: float, s: float) -> float:
    """exp(-s a^2), the square split so that its rounding is not multiplied by a^2 (500 ulp)."""
    if not abs(a) < 40.0:  # below the last subnormal, for s = 1/2 too
        return 0.0 if a == a and s == s else nan
    high = _high(a)
    exp: Callable[[float], float] = FLOATS["exp"]
    return exp(-s * high * high) * exp(-s * (a - high) * (a + high))


def _expdiff(a: float, b: float) -> float:
    """exp(a - b), and 1 where they are equal, infinities included.

    exp multiplies a relative error of its argument by the argument, so what a - b lost in rounding is
    found (Knuth's two-sum) and compensated to first order (300 ulp at -600 otherwise).
    """
    if a == b:
        return 1.0
    d = a - b
    value: float = FLOATS["exp"](d)
    if not (d > -750.0 and value < inf):
        return value
    back = a - d
    return value + value * ((a - (d + back)) + (back - b))


def _fsum(xs: Sequence[float]) -> float:
    """The exactly rounded sum, also where it overflows on the way; inf and NaN add up as IEEE 754 has it."""
    try:
        return math.fsum(xs)
    except OverflowError:
        try:
            return math.fsum([x * 2.0**-64 for x in xs]) * 2.0**64
        except ValueError:
            return nan
    except ValueError:  # infinities of both signs
        return nan


def _mean(xs: Sequence[float]) -> float:
    total = _fsum(xs)
    return total / len(xs) if abs(total) < inf else _fsum([x / len(xs) for x in xs])


def _extreme(choose: Callable[[Sequence[float]], float]) -> Callable[[Sequence[float]], float]:
    return lambda xs: nan if any(x != x for x in xs) else choose(xs)


def _dot(xs: Sequence[float]) -> float:
    """x1 y1 + ... + xn yn (+ bias): the operands are the x, then the y, then the bias if there is one."""
    n = len(xs) // 2
    return sum(map(mul, xs, xs[n : 2 * n]), xs[2 * n] if len(xs) > 2 * n else 0.0)


LN2, LN10 = math.log(2.0), math.log(10.0)

SQRT1_2, SQRT1_2_LOW = math.sqrt(0.5), -4.833646656726457e-17  # sqrt(1/2) = the sum of both, to 33 digits

TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)

RSQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


CONSTANTS = {
    "inf": inf,
    "nan": nan,
    "LN2": LN2,
    "LN10": LN10,
    "TWO_OVER_SQRT_PI": TWO_OVER_SQRT_PI,
    "RSQRT_2PI": RSQRT_2PI,
}


# --- helpers of n-ary rows: plain arithmetic, so they run on floats and on Values alike --------


def products_of_others(xs: Sequence[Any]) -> list[Any]:
    """For each x the product of all the others, zeros included: prefix times suffix, 3 n products."""
    before, after = [1.0], [1.0]
    for x in xs[:-1]:
        before.append(before[-1] * x)
    for x in xs[:0:-1]:
        after.append(after[-1] * x)
    return [b * a for b, a in zip(before, reversed(after), strict=True)]


def pair_partials(xs: Sequence[Any]) -> list[Any]:
    """The partials of `dot`: the y for each x, the x for each y, 1 for a bias."""
    n = len(xs) // 2
    partials = [*xs[n : 2 * n], *xs[:n]]
    if len(xs) > 2 * n:
        partials.append(1.0)
    return partials


def ratios(parts: Sequence[Any], total: Any) -> list[Any]:
    """Each part over the total."""
    return [part / total for part in parts]


def last(*steps: Any) -> Any:
    """The last of several steps, the earlier ones having named what it uses."""
    return steps[-1]


def zero_gradient(out: float) -> float:
    """The derivative of what is piecewise constant: 0, and NaN where the result is NaN."""
    return 0.0 if out == out else nan


HELPERS: dict[str, Callable[..., Any]] = {
    "products_of_others": products_of_others,
    "pair_partials": pair_partials,
    "ratios": ratios,
    "last": last,
    "len": len,
}


FLOATS.update(
    {
        **CONSTANTS,
        **HELPERS,
        "exp": _quiet(math.exp),
        "expm1": _quiet(math.expm1),
        "log": _logarithm(math.log),
        "log2": _logarithm(math.log2),
        "log10": _logarithm(math.log10),
        "log1p": _quiet(math.log1p, {-1.0: -inf}),
        "sqrt": _quiet(math.sqrt),
        "cbrt": _cbrt,
        "sin": _quiet(math.sin),
        "cos": _quiet(math.cos),
        "tan": _quiet(math.tan),
        "asin": _quiet(math.asin),
        "acos": _quiet(math.acos),
        "atan": math.atan,
        "sinh": _quiet(math.sinh),
        "cosh": _quiet(math.cosh),
        "tanh": math.tanh,
        "asinh": math.asinh,
        "acosh": _quiet(math.acosh),
        "atanh": _quiet(math.atanh, {1.0: inf, -1.0: -inf}),
        "erf": math.erf,
        "erfc": math.erfc,
        "abs": abs,
        "floor": _whole(math.floor),
        "ceil": _whole(math.ceil),
        "atan2": math.atan2,
        "hypot": _hypot,
        "div": _div,
        "pow": _pow,
        "zero_gradient": zero_gradient,
        "_ndtr": _ndtr,
        "_gauss": _gauss,
        "_expdiff": _expdiff,
        "sum": _fsum,
        "prod": math.prod,
        "mean": _mean,
        "max": _extreme(max),
        "min": _extreme(min),
        "norm": lambda xs: _hypot(*xs),
        "dot": _dot,
    }
)
