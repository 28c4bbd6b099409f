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


# --- whole numbers and remainders ----------------------------------------------------------------


def _mod(a: float, b: float) -> float:
    """a % b as Python has it, and NaN where b is 0."""
    return a % b if b else nan


def _floor_divide(a: float, b: float) -> float:
    """a // b as Python has it, and NaN where b is 0."""
    return a // b if b else nan


def _round(a: float, digits: float) -> float:
    """a rounded to a number of decimal digits, correctly and half to even; NaN if that is not a whole number."""
    if not (a - a == 0.0 and abs(digits) < inf and digits == int(digits)):
        return a + digits if a != a or digits != digits else nan if a - a == 0.0 or abs(digits) == inf else a
    if abs(digits) > 400.0:
        return a if digits > 0.0 else math.copysign(0.0, a)
    try:
        return round(a, int(digits))
    except OverflowError:
        return math.copysign(inf, a)


# --- the normal distribution -----------------------------------------------------------------------


def _hazard(a: float) -> float:
    """The normal density over the distribution function, to some ulp everywhere.

    Below -2 it is t + 1/(t + 2/(t + 3/(t + ...))) with t = -a (Laplace's continued fraction); dividing would be 0 / 0.
    """
    if a < -2.0:
        return -a + _excess(a)
    return RSQRT_2PI * _gauss(a, 0.5) / _ndtr(a)


def _excess(a: float) -> float:
    """_hazard(a) + a: below -2 the continued fraction without its first term, so that nothing cancels."""
    if not a < -2.0:
        return _hazard(a) + a
    t = rest = -a
    for k in range(int(350.0 / (t * t)) + 12, 1, -1):
        rest = t + k / rest
    return 1.0 / rest


def _log_ndtr(a: float) -> float:
    """log(ndtr(a)): through the small side of 1 where it is near 1, through the hazard where it underflows."""
    if a > 0.0:
        return math.log1p(-_ndtr(-a))
    if a < -2.0:
        return -(0.5 * a * a + math.log(_hazard(a) / RSQRT_2PI)) if a > -inf else a
    return math.log(_ndtr(a)) if a == a else a


def _ndtri(p: float) -> float:
    """The inverse of ndtr by Wichura's algorithm AS 241, as Python's `statistics` has it (relative error 1e-16)."""
    if 0.0 < p < 1.0:
        from statistics import NormalDist  # late: it takes longer to import than all of the engine

        return NormalDist().inv_cdf(p)
    return -inf if p == 0.0 else inf if p == 1.0 else nan


def _erfinv(a: float) -> float:
    """The inverse of erf: a quantile of the normal distribution, and in the middle, where 1 + a loses digits of a
    small a, one step of Newton's method from it (or from the series at 0)."""
    if abs(a) > 0.5:
        return math.copysign(_ndtri(0.5 - 0.5 * abs(a)) * SQRT1_2, a) if abs(a) <= 1.0 else nan
    if not a:
        return a
    start = HALF_SQRT_PI * a * (1.0 + math.pi / 12.0 * a * a) if abs(a) < 0.01 else _ndtri(0.5 + 0.5 * a) * SQRT1_2
    return start - (math.erf(start) - a) * HALF_SQRT_PI / _gauss(start, 1.0)


# --- gamma and its derivatives ---------------------------------------------------------------------


def _lgamma(a: float) -> float:
    """The C library's, and inf at the poles and on overflow."""
    try:
        return math.lgamma(a)
    except (ValueError, OverflowError):
        return inf


def _digamma(a: float) -> float:
    return _polygamma(0.0, a)


def _polygamma(n: float, a: float) -> float:
    """The n-th derivative of digamma: Euler and Maclaurin's sum for Hurwitz's zeta function (the asymptotic series of
    Abramowitz and Stegun 6.3.18 and 6.4.11 after enough steps of the recurrence), and the reflection for a < 0.

    Some ulp for small n and a > 0; for a < 0 the two parts of the reflection may cancel. NaN for n over LARGEST_ORDER.
    """
    if not (0.0 <= n <= LARGEST_ORDER and n == math.floor(n)) or a != a or a == -inf:
        return nan
    order = int(n)
    if a <= 0.0:
        if a == 0.0:
            return math.copysign(inf, -a) if order % 2 == 0 else inf
        if a == math.floor(a):
            return nan
        # (-1)^n psi_n(1 - a) - psi_n(a) = the n-th derivative of pi cot(pi a)
        other = _polygamma(n, 1.0 - a)
        reflected: float = math.pi ** (n + 1.0) * _cotangent(order, a)
        return (-other if order % 2 else other) - reflected
    if a == inf:
        return 0.0 if order else inf
    steps = max(0, math.ceil(10.0 + n - a))
    y = a + steps
    square = 1.0 / (y * y)
    if order == 0:
        tail = [-b / (2 * j + 2) * square ** (j + 1) for j, b in enumerate(BERNOULLI)]
        return math.fsum([math.log(y), -0.5 / y, *tail, *[-1.0 / (a + k) for k in range(steps)]])
    power = order + 1.0
    try:
        terms = [(a + k) ** -power for k in range(steps)]
    except OverflowError:
        return inf if order % 2 else -inf
    rest = y**-n
    terms += [rest / n, 0.5 * rest / y]
    factor = rest * (power / 2.0) * square  # (n + 1) ... (n + 2 j - 1) / (2 j)! y^(-n - 2 j), from one j to the next
    for j, b in enumerate(BERNOULLI, 1):
        terms.append(b * factor)
        factor *= (n + 2 * j) * (n + 2 * j + 1) / ((2 * j + 1) * (2 * j + 2)) * square
    zeta = math.fsum(terms)
    size = math.factorial(order) * zeta if order < 150 else FLOATS["exp"](math.lgamma(power) + math.log(zeta or 5e-324))
    return size if order % 2 else -size


def cotangents(order: int) -> list[float]:
    """The order-th derivative of cot(x) as a polynomial in the cotangent c, highest first: P' times -(1 + c^2)."""
    polynomial = [0.0, 1.0]
    for _ in range(order):
        slope = [k * p for k, p in enumerate(polynomial)][1:]
        polynomial = [-(x + y) for x, y in zip([*slope, 0.0, 0.0], [0.0, 0.0, *slope], strict=True)]
    return polynomial[::-1]


def _cotangent(order: int, a: float) -> float:
    """The order-th derivative of cot(x) at x = pi a."""
    c = _cos_pi(a) / _sin_pi(a)
    value, *others = cotangents(order)
    for p in others:  # Horner's rule
        value = value * c + p
    return value


LARGEST_ORDER = 500.0
"""Of a derivative that a kernel computes."""

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)
"""The Bernoulli numbers B2, B4, ..."""


# --- sinc ------------------------------------------------------------------------------------------


def _sin_pi(a: float) -> float:
    """sin(pi a) with a reduced before it is multiplied by pi, so that it is exactly 0 at whole numbers."""
    r = math.fmod(abs(a), 2.0)
    sign = math.copysign(1.0, a)
    if r >= 1.0:
        r, sign = r - 1.0, -sign
    r = min(r, 1.0 - r)
    if not r:
        return 0.0
    return sign * (math.sin(math.pi * r) if r <= 0.25 else math.cos(math.pi * (0.5 - r)))


def _cos_pi(a: float) -> float:
    """cos(pi a), likewise exactly 0 at odd halves."""
    r = math.fmod(abs(a), 2.0)
    r = min(r, 2.0 - r)
    return (
        math.cos(math.pi * r)
        if r <= 0.25
        else math.sin(math.pi * (0.5 - r))
        if r <= 0.75
        else -math.cos(math.pi * (1.0 - r))
    )


def _sinc(a: float, n: float) -> float:
    """The n-th derivative of sin(pi a) / (pi a).

    With z = pi a, s = sin(z) / z and its derivatives: near 0 the Taylor series, whose terms are (-1)^k z^m / m! / (m +
    n + 1) with m + n = 2 k; further out z s_n + n s_(n - 1) = sin(z + n pi / 2), which loses nothing from n / 2 on.
    """
    if a - a or not (0.0 <= n <= LARGEST_ORDER and n == math.floor(n)):
        return nan
    order = int(n)
    z = math.pi * a
    if abs(z) >= max(1.5, 0.5 * n):
        sine, cosine = _sin_pi(a), _cos_pi(a)
        value = sine / z
        for k in range(1, order + 1):
            value = ((sine, cosine, -sine, -cosine)[k % 4] - k * value) / z
    else:
        m = order % 2
        term = z if m else 1.0
        terms: list[float] = []
        while len(terms) < 4 or abs(term) > 1e-20:
            terms.append((-term if (m + order) // 2 % 2 else term) / (m + order + 1))
            term *= z * z / ((m + 1) * (m + 2))
            m += 2
        value = math.fsum(terms)
    return value * math.pi**order


LN2, LN10 = math.log(2.0), math.log(10.0)

SQRT1_2, SQRT1_2_LOW = math.sqrt(0.5), -4.833646656726457e-17  # sqrt(1/2) = the sum of both, to 33 digits

TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)

RSQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)

HALF_SQRT_PI = 0.5 * math.sqrt(math.pi)

SQRT2 = math.sqrt(2.0)

DEGREES, RADIANS = 180.0 / math.pi, math.pi / 180.0


CONSTANTS = {
    "inf": inf,
    "nan": nan,
    "LN2": LN2,
    "LN10": LN10,
    "TWO_OVER_SQRT_PI": TWO_OVER_SQRT_PI,
    "RSQRT_2PI": RSQRT_2PI,
    "HALF_SQRT_PI": HALF_SQRT_PI,
    "SQRT2": SQRT2,
    "SQRT1_2": SQRT1_2,
    "DEGREES": DEGREES,
    "RADIANS": RADIANS,
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
        "exp2": lambda a: _pow(2.0, a),
        "mod": _mod,
        "floor_divide": _floor_divide,
        "rint": _whole(round),
        "round": _round,
        "_ndtr": _ndtr,
        "ndtr": _ndtr,
        "log_ndtr": _log_ndtr,
        "_hazard": _hazard,
        "_excess": _excess,
        "ndtri": _ndtri,
        "erfinv": _erfinv,
        "lgamma": _lgamma,
        "digamma": _digamma,
        "polygamma": _polygamma,
        "_sinc": _sinc,
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
