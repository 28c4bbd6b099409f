"""Special functions as array functions: engine/kernels.py written for arrays, with the same cases and series.

Each is called as kernel(*arrays, out), as in kernels.py. erf and erfc are SciPy's where it is installed, and else
those of `math`, element by element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from autograd_lite.engine.kernels import (
    BERNOULLI,
    HALF_SQRT_PI,
    LARGEST_ORDER,
    RSQRT_2PI,
    SQRT1_2,
    SQRT1_2_LOW,
    TWO_OVER_SQRT_PI,
    cotangents,
)
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.folding.backends.native.coefficients import DOUBLE

Array = Any

inf, nan = math.inf, math.nan


def _applied(kernel: Callable[..., None], *arrays: Any) -> Array:
    """A kernel's result in a new array."""
    out = np.empty(np.broadcast_shapes(*(np.shape(x) for x in arrays)))
    kernel(*arrays, out)
    return out


# --- the error function and the normal distribution --------------------------------------------------


def of_scipy(name: str, otherwise: Callable[[float], float]) -> Callable[..., None]:
    """A function of scipy.special, or one of floats element by element."""
    found: list[Any] = []

    def kernel(a: Any, out: Array) -> None:
        if not found:
            try:
                from scipy import special

                found.append(getattr(special, name))
            except ImportError:
                slow = np.frompyfunc(otherwise, 1, 1)
                found.append(lambda a, out: np.copyto(out, np.asarray(slow(a), float)))
        found[0](a, out)

    return kernel


erf: Callable[..., None] = of_scipy("erf", math.erf)
_any_erfc = of_scipy("erfc", math.erfc)


def _high(a: Array) -> Array:
    """As in engine/kernels.py: a (of moderate size) rounded to 26 bits."""
    c = 134217729.0 * a
    return c - (c - a)


def gauss(a: Any, s: Any, out: Array) -> None:
    """exp(-s a^2), the square split so that its rounding is not multiplied by a^2."""
    a, s = np.asarray(a), np.asarray(s)
    near = np.abs(a) < 40.0
    inside = np.where(near, a, 0.0)
    high = _high(inside)
    found = np.exp(-s * high * high) * np.exp(-s * (inside - high) * (inside + high))
    np.copyto(out, np.where(near, found, np.where(np.isnan(a) | np.isnan(s), math.nan, 0.0)))


def ndtr(a: Any, out: Array) -> None:
    """The normal distribution function: see engine/kernels.py."""
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
        density = np.empty(t.shape)
        gauss(tx, 1.0, density)
        value[tail] = _erfc_tail(tx, density, value[tail]) - TWO_OVER_SQRT_PI * density * lost
    np.multiply(value, 0.5, out)


def _erfc_tail(x: Array, density: Array, plain: Array) -> Array:
    """erfc(x) = erfcx(x) exp(-x^2), whose square is split: SciPy's own rounds it, and is 255 ulp off at 26."""
    try:
        from scipy.special import erfcx
    except ImportError:  # then it is math.erfc, which is right as it stands
        return plain
    return erfcx(x) * density


def erfc(a: Any, out: Array) -> None:
    """The complement of the error function, as near as that of `math` in the tail too."""
    a = np.asarray(a)
    value = np.empty(a.shape)
    _any_erfc(a, value)
    tail = (a > 0.5) & (a < 28.0)
    if tail.any():
        t = a[tail]
        density = np.empty(t.shape)
        gauss(t, 1.0, density)
        value[tail] = _erfc_tail(t, density, value[tail])
    np.copyto(out, value)


ERFCX, (ERFCX_0, ERFCX_0_LOW) = DOUBLE["ERFCX"], DOUBLE["ERFCX_0"]


def _scaled_tail(a: Array) -> tuple[Array, Array, Array]:
    """x, low and g with x + low = -a / sqrt(2) and erfc(x + low) = g exp(-(x + low)^2), for -38 < a < -0.7.

    A polynomial in (x - 4) / (x + 4) over 1 + 2 x, as native/functions.py has it, within one unit: SciPy's erfcx is
    some units off.
    """
    x = -a * SQRT1_2
    high, root = _high(a), float(_high(np.float64(SQRT1_2)))
    rest = SQRT1_2 - root
    low = -((high * root + x) + high * rest + (a - high) * root) - (a - high) * rest - a * SQRT1_2_LOW
    q = (x - 4.0) / (x + 4.0)
    further = q * _polynomial(q, ERFCX)
    above = ERFCX_0 + further
    above_low = (ERFCX_0 - above) + further + ERFCX_0_LOW
    below = 2.0 * x + 1.0
    below_low = (2.0 * x - below) + 1.0 + 2.0 * low
    g = above / below
    product, g_high, b_high = g * below, _high(g), _high(below)
    g_low, b_low = g - g_high, below - b_high
    lost = ((g_high * b_high - product) + g_high * b_low + g_low * b_high) + g_low * b_low
    return x, low, g + ((above - product) - lost + (above_low - g * below_low)) / below


def _lower_tail(a: Array) -> Array:
    """ndtr(a) for -38 < a < -0.7, within two units."""
    x, low, g = _scaled_tail(a)
    high, square = _high(x), x * x
    lost = ((high * high - square) + 2.0 * high * (x - high)) + (x - high) ** 2 + 2.0 * x * low
    value = 0.5 * np.exp(-square) * g
    return value - value * lost


CONTINUED = 99
"""So many terms of the continued fraction are enough from 2 on."""


def _fraction(t: Array) -> Array:
    """t + 2/(t + 3/(t + ...)), for t >= 2: the hazard at -t is t + 1/ of it (Laplace's continued fraction)."""
    rest = np.array(t)
    for k in range(CONTINUED, 1, -1):
        np.divide(float(k), rest, rest)
        np.add(rest, t, rest)
    return rest


def hazard(a: Any, out: Array) -> None:
    """The normal density over the distribution function."""
    a = np.asarray(a, float)
    tail, far = (a < -0.75) & (a >= -2.0), a < -2.0
    inside = np.where(tail | far, 0.0, a)
    found = RSQRT_2PI * _applied(gauss, inside, 0.5) / _applied(ndtr, inside)
    found[tail] = 2.0 * RSQRT_2PI / _scaled_tail(a[tail])[2]
    found[far] = -a[far] + 1.0 / _fraction(-a[far])
    np.copyto(out, found)


def excess(a: Any, out: Array) -> None:
    """hazard(a) + a, from the continued fraction without its first term where they would cancel."""
    a = np.asarray(a, float)
    tail = a < -2.0
    found = _applied(hazard, np.where(tail, 0.0, a)) + a
    found[tail] = 1.0 / _fraction(-a[tail])
    np.copyto(out, found)


def log_ndtr(a: Any, out: Array) -> None:
    """The logarithm of ndtr."""
    a = np.asarray(a, float)
    lower = np.where(np.isnan(a), nan, _applied(ndtr, -np.abs(a)))
    tail = (np.abs(a) > 0.75) & (np.abs(a) < 37.5)
    lower[tail] = _lower_tail(-np.abs(a[tail]))
    found = np.where(a > 0.0, np.log1p(-lower), np.log(lower))
    far = a < -2.0
    t = a[far]
    found[far] = np.where(t == -inf, t, -(0.5 * t * t + np.log(_applied(hazard, t) / RSQRT_2PI)))
    np.copyto(out, found)


_CENTRAL = (
    (2.50908_09287_30122_6727e3, 3.34305_75583_58812_8105e4, 6.72657_70927_00870_0853e4, 4.59219_53931_54987_1457e4,
     1.37316_93765_50946_1125e4, 1.97159_09503_06551_4427e3, 1.33141_66789_17843_7745e2, 3.38713_28727_96366_6080e0),
    (5.22649_52788_52854_5610e3, 2.87290_85735_72194_2674e4, 3.93078_95800_09271_0610e4, 2.12137_94301_58659_5867e4,
     5.39419_60214_24751_1077e3, 6.87187_00749_20579_0830e2, 4.23133_30701_60091_1252e1, 1.0),
)  # fmt: skip
_MIDDLE = (
    (7.74545_01427_83414_07640e-4, 2.27238_44989_26918_45833e-2, 2.41780_72517_74506_11770e-1,
     1.27045_82524_52368_38258e0, 3.64784_83247_63204_60504e0, 5.76949_72214_60691_40550e0,
     4.63033_78461_56545_29590e0, 1.42343_71107_49683_57734e0),
    (1.05075_00716_44416_84324e-9, 5.47593_80849_95344_94600e-4, 1.51986_66563_61645_71966e-2,
     1.48103_97642_74800_74590e-1, 6.89767_33498_51000_04550e-1, 1.67638_48301_83803_84940e0,
     2.05319_16266_37758_82187e0, 1.0),
)  # fmt: skip
_FAR = (
    (2.01033_43992_92288_13265e-7, 2.71155_55687_43487_57815e-5, 1.24266_09473_88078_43860e-3,
     2.65321_89526_57612_30930e-2, 2.96560_57182_85048_91230e-1, 1.78482_65399_17291_33580e0,
     5.46378_49111_64114_36990e0, 6.65790_46435_01103_77720e0),
    (2.04426_31033_89939_78564e-15, 1.42151_17583_16445_88870e-7, 1.84631_83175_10054_68180e-5,
     7.86869_13114_56132_59100e-4, 1.48753_61290_85061_48525e-2, 1.36929_88092_27358_05310e-1,
     5.99832_20655_58879_37690e-1, 1.0),
)  # fmt: skip
"""Wichura, algorithm AS 241 (1988): numerators and denominators, highest powers first."""


def _ratio(x: Array, coefficients: Sequence[Sequence[float]]) -> Array:
    above, below = (_polynomial(x, part) for part in coefficients)
    return above / below


def _polynomial(x: Array, coefficients: Iterable[float]) -> Array:
    first, *others = coefficients
    value = np.full(np.shape(x), first)
    for c in others:
        value = value * x + c
    return value


def ndtri(a: Any, out: Array) -> None:
    """The inverse of ndtr by Wichura's algorithm."""
    p = np.asarray(a, float)
    q = p - 0.5
    r = np.sqrt(-np.log(np.where(q <= 0.0, p, 1.0 - p)))
    near, far = np.minimum(r, 5.0) - 1.6, np.clip(r, 5.0, 40.0) - 5.0
    tail = np.where(r <= 5.0, _ratio(near, _MIDDLE), _ratio(far, _FAR))
    found = np.where(np.abs(q) <= 0.425, q * _ratio(0.180625 - np.clip(q, -0.425, 0.425) ** 2, _CENTRAL),
                     np.copysign(tail, q))  # fmt: skip
    found = np.where(p == 0.0, -inf, np.where(p == 1.0, inf, found))
    np.copyto(out, np.where((p >= 0.0) & (p <= 1.0), found, nan))


def erfinv(a: Any, out: Array) -> None:
    """The inverse of erf: a quantile, and in the middle one step of Newton's method from it or from the series at 0."""
    a = np.asarray(a, float)
    size = np.abs(a)
    outer = np.copysign(_applied(ndtri, 0.5 - 0.5 * size) * SQRT1_2, a)
    inside = np.where(size <= 0.5, a, 0.0)
    series = HALF_SQRT_PI * inside * (1.0 + math.pi / 12.0 * inside * inside)
    start = np.where(size < 0.01, series, _applied(ndtri, 0.5 + 0.5 * inside) * SQRT1_2)
    newton = start - (_applied(erf, start) - inside) * HALF_SQRT_PI / _applied(gauss, start, 1.0)
    found = np.where(size > 0.5, outer, np.where(inside == 0.0, a, newton))
    np.copyto(out, np.where(size <= 1.0, found, nan))


# --- gamma and its derivatives --------------------------------------------------------------------------

_each_lgamma = np.frompyfunc(FLOATS["lgamma"], 1, 1)


def lgamma(a: Any, out: Array) -> None:
    """The C library's, element by element: SciPy's loses digits below 0."""
    np.copyto(out, np.asarray(_each_lgamma(a), float))


class _Total:
    """A sum of arrays with what each addition loses, as exact as `fsum` for so few terms of one size."""

    def __init__(self, first: Array) -> None:
        self.total, self.lost = np.array(first, float), np.zeros(np.shape(first))

    def add(self, x: Array) -> None:
        """One more term (Knuth's sum of two)."""
        s = self.total + x
        t = s - self.total
        self.lost += (self.total - (s - t)) + (x - t)
        self.total = s


def digamma(a: Any, out: Array) -> None:
    """The derivative of lgamma."""
    polygamma(0.0, a, out)


def polygamma(n: Any, a: Any, out: Array) -> None:
    """The n-th derivative of digamma, as in engine/kernels.py: series, recurrence, reflection."""
    a = np.asarray(a, float)
    if not isinstance(n, float):
        if np.size(n) == 0 or np.any(np.asarray(n) != np.ravel(n)[0]):  # constants of several orders side by side
            np.copyto(out, np.asarray(np.frompyfunc(FLOATS["polygamma"], 2, 1)(n, a), float))
            return
        n = float(np.ravel(n)[0])
    if not (0.0 <= n <= LARGEST_ORDER and n == math.floor(n)):
        np.copyto(out, nan)
        return
    order = int(n)
    left = a <= 0.0
    found = _of_positive(order, np.where(left, 1.0 - a, a))
    if left.any():
        x = np.where(left & (a > -inf), a, -0.5)
        reflected = math.pi ** (n + 1.0) * _polynomial(_cotangent(x), cotangents(order))
        mirrored = (-found if order % 2 else found) - reflected
        pole = np.where(a == 0.0, np.copysign(inf, -a) if order % 2 == 0 else inf, nan)
        found = np.where(left, np.where((a == np.floor(a)) | (a == -inf), pole, mirrored), found)
    np.copyto(out, found)


def _of_positive(order: int, a: Array) -> Array:
    n = float(order)
    power = n + 1.0
    steps = np.where(a < 10.0 + n, np.ceil(10.0 + n - a), 0.0)
    terms = []
    for k in range(int(steps.max(initial=0.0))):
        more = k < steps
        terms.append(np.where(more, (a + k) ** -power if order else -1.0 / (a + k), 0.0))
    y = a + steps
    square = 1.0 / (y * y)
    if order == 0:
        total = _Total(np.log(y))
        terms += [-0.5 / y, *(-b / (2 * j + 2) * square ** (j + 1) for j, b in enumerate(BERNOULLI))]
    else:
        rest = y**-n
        total = _Total(rest / n)
        terms.append(0.5 * rest / y)
        factor = rest * (power / 2.0) * square
        for j, b in enumerate(BERNOULLI, 1):
            terms.append(b * factor)
            factor = factor * ((n + 2 * j) * (n + 2 * j + 1) / ((2 * j + 1) * (2 * j + 2))) * square
    for term in terms:
        total.add(term)
    value = np.where(np.isfinite(total.total), total.total + total.lost, total.total)
    if order == 0:
        return np.where(a == inf, inf, value)
    if order < 150:
        size = math.factorial(order) * value
    else:
        size = np.exp(math.lgamma(power) + np.log(np.where(value == 0.0, 5e-324, value)))
    return np.where(a == inf, 0.0, size if order % 2 else -size)


# --- sinc ------------------------------------------------------------------------------------------------


def _sin_pi(a: Array) -> Array:
    """sin(pi a), exactly 0 at whole numbers."""
    r = np.fmod(np.abs(a), 2.0)
    sign = np.where(r >= 1.0, -np.copysign(1.0, a), np.copysign(1.0, a))
    r = np.where(r >= 1.0, r - 1.0, r)
    r = np.minimum(r, 1.0 - r)
    return np.where(r == 0.0, 0.0, sign * np.where(r <= 0.25, np.sin(math.pi * r), np.cos(math.pi * (0.5 - r))))


def _cos_pi(a: Array) -> Array:
    """cos(pi a), exactly 0 at odd halves."""
    r = np.fmod(np.abs(a), 2.0)
    r = np.minimum(r, 2.0 - r)
    middle = np.where(r <= 0.75, np.sin(math.pi * (0.5 - r)), -np.cos(math.pi * (1.0 - r)))
    return np.where(r <= 0.25, np.cos(math.pi * r), middle)


def _cotangent(a: Array) -> Array:
    return _cos_pi(a) / _sin_pi(a)


def sinc(a: Any, n: Any, out: Array) -> None:
    """The n-th derivative of sin(pi a) / (pi a): the Taylor series near 0, a recurrence further out."""
    a = np.asarray(a, float)
    if not isinstance(n, float):
        if np.size(n) == 0 or np.any(np.asarray(n) != np.ravel(n)[0]):
            np.copyto(out, np.asarray(np.frompyfunc(FLOATS["_sinc"], 2, 1)(a, n), float))
            return
        n = float(np.ravel(n)[0])
    if not (0.0 <= n <= LARGEST_ORDER and n == math.floor(n)):
        np.copyto(out, nan)
        return
    order, z = int(n), math.pi * a
    least = max(1.5, 0.5 * n)
    far = np.abs(z) >= least
    outside, inside = np.where(far, a, 1.0), np.where(far, 0.0, z)
    sine, cosine, w = _sin_pi(outside), _cos_pi(outside), math.pi * outside
    value = sine / w
    for k in range(1, order + 1):
        value = ((sine, cosine, -sine, -cosine)[k % 4] - k * value) / w
    m = order % 2
    term = inside if m else np.ones(np.shape(a))
    total, largest = None, least if m else 1.0
    while total is None or largest > 1e-20:
        part = (-term if (m + order) // 2 % 2 else term) / (m + order + 1)
        if total is None:
            total = _Total(part)
        else:
            total.add(part)
        grown = (m + 1) * (m + 2)
        term, largest, m = term * (inside * inside / grown), largest * least * least / grown, m + 2
    assert total is not None
    found = np.where(far, value, total.total + total.lost) * math.pi**order
    np.copyto(out, np.where(np.isfinite(a), found, nan))
