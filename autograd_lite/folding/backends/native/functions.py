"""The elementary functions of rules as vector code: the same numbers as engine/kernels.py, within the table's bounds.

ELEMENTARY maps each name to a function of Vectors, without tables, and with one branch alone (the reduction of huge
angles): each function computes all its cases and selects. Most carry a result as an unevaluated sum of two numbers,
hi + low, and round it once, at the end: so nearly all are within 0.7 ulp, and a rule that is built from several of them
keeps its own bound. The text is the same for double and float; coefficients.py holds both tables.

Special values come last in each function, as selects: NaN in gives NaN, poles give infinities, a zero keeps its sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from autograd_lite.folding.backends.native import coefficients
from autograd_lite.folding.backends.native.emit import DOUBLE, Block, Vector

inf: float = math.inf
nan: float = math.nan

Pair = tuple[Vector, Vector]
"""A number as hi + low. A quotient wants low at most some units in hi's last place; a product may have it larger."""


class Limits(NamedTuple):
    """Where a format's numbers end.

    Args:
        exp_low, exp_high: below, exp is 0, above it is infinite; a little beyond, so that rounding decides.
        tanh: from here on it is 1.
        erfc: from here on it is 0.
        turns: up to here the subtraction of multiples of pi / 2 in three parts is enough.
        square: up to here 1 and a square differ in few enough bits to be added.
        root: powers of two (large, small, factor) that keep squares in range.
        cube: a power of 8 that makes subnormal numbers normal.
    """

    exp_low: float
    exp_high: float
    tanh: float
    erfc: float
    turns: float
    square: float
    root: tuple[float, float, float]
    cube: int


_LIMITS = {
    "double": Limits(-746.0, 710.0, 22.0, 27.3, 2.0**30, 2.0**30, (2.0**500, 2.0**-450, 2.0**600), 18),
    "float": Limits(-104.5, 89.5, 10.0, 10.2, 2.0**12, 2.0**14, (2.0**60, 2.0**-40, 2.0**100), 8),
}
_PI_2 = [DOUBLE.literal(x) for x in coefficients.DOUBLE["PI_2"]]
_TABLES = {"double": coefficients.DOUBLE, "float": coefficients.FLOAT}


def _limits(x: Vector) -> Limits:
    return _LIMITS[x.block.number.name]


def _constant(x: Vector, name: str) -> tuple[float, ...]:
    return _TABLES[x.block.number.name][name]


def _polynomial(x: Vector, name: str) -> Vector:
    first, second, *rest = _constant(x, name)
    value = x.block.fma(first, x, second)
    for c in rest:
        value = x.block.fma(value, x, c)
    return value


def _where(mask: Vector, a: Vector | float, b: Vector | float) -> Vector:
    return mask.block.select(mask, a, b)


def _clamped(x: Vector, low: float, high: float) -> Vector:
    """x between low and high; NaN stays. In this form each choice is one operation."""
    below = _where(x > high, high, x)
    return _where(below < low, low, below)


# --- sums of two numbers ----------------------------------------------------------------------------


def _two_sum(a: Vector | float, b: Vector) -> Pair:
    """a + b without error (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _fast_two_sum(a: Vector | float, b: Vector) -> Pair:
    """a + b without error, where |a| >= |b| or a = 0 (Dekker)."""
    s = a + b
    return s, (a - s) + b


def _two_product(a: Vector, b: Vector) -> Pair:
    """a * b without error, by a fused multiply-add."""
    p = a * b
    return p, a.block.fma(a, b, -p)


def _multiple(a: Vector, b: Pair) -> Pair:
    """A number times a pair."""
    p, lost = _two_product(a, b[0])
    return p, lost + a * b[1]


def _quotient(a: Pair, b: Pair) -> Pair:
    """a / b by one division."""
    fma = b[0].block.fma
    inverse = 1.0 / b[0]
    q = a[0] * inverse
    return q, (fma(-q, b[0], a[0]) + (a[1] - q * b[1])) * inverse


def _root(a: Pair) -> Pair:
    """The square root of a; (0, 0) for 0."""
    s = a[0].block.unary("sqrt", a[0])
    low = (s.block.fma(-s, s, a[0]) + a[1]) / (s + s)
    return s, _where(s.equals(0.0), 0.0, low)


def _whole_bits(k: Vector) -> Vector:
    """A small whole number k in the low bits."""
    return k.block.bits(k + k.block.number.magic)


def _power_of_two(k: Vector) -> Vector:
    """2**k, for a k whose power is a normal number."""
    number = k.block.number
    return k.block.real(k.block.bits(k + (number.magic + number.bias)) << number.mantissa)


def _scaled(x: Vector, k: Vector) -> Vector:
    """x * 2**k, rounded once; by products in two steps, since 2**k may be out of range: only the second one rounds."""
    found = x.block.scaled(x, k)
    if found is not None:
        return found
    half = k.block.unary("floor", k * 0.5)
    return x * _power_of_two(half) * _power_of_two(k - half)


# --- exponentials -----------------------------------------------------------------------------------


def _exp_parts(x: Vector, low: Vector | None = None) -> tuple[Vector, Vector, Vector]:
    """k, r, rest with exp(x + low) = 2**k (1 + r + rest) and |r| <= ln(2) / 2.

    x - k ln 2 is exact in its first part: both are multiples of the last place of ln 2, and their difference is small.
    """
    fma, (ln2, ln2_low) = x.block.fma, _constant(x, "LN2")
    k = x.block.unary("rint", x * _constant(x, "LOG2E")[0])
    exact = fma(k, -ln2, x)
    lost = k * -ln2_low if low is None else fma(k, -ln2_low, low)
    r, r_low = _fast_two_sum(exact, lost)
    rest = fma(r * r, _polynomial(r, "EXP"), fma(r, r_low, r_low))
    return k, r, rest


def _exp_pair(x: Vector, low: Vector | None = None) -> tuple[Vector, Pair]:
    """k and a pair with exp(x + low) = 2**k * pair."""
    k, r, rest = _exp_parts(x, low)
    hi, lost = _fast_two_sum(1.0, r)
    return k, (hi, lost + rest)


def _exp_within(x: Vector, low: Vector | None = None) -> Vector:
    k, (hi, rest) = _exp_pair(_clamped(x, _limits(x).exp_low, _limits(x).exp_high), low)
    return _scaled(hi + rest, k)


def exp(x: Vector) -> Vector:
    """The exponential."""
    return _exp_within(x)


def _less_one(k: Vector, r: Vector, rest: Vector) -> tuple[Vector, Pair]:
    """2**-k (k at most 60, where it no longer shows) and a pair with 2**k * pair = 2**k (1 + r + rest) - 1."""
    inverse = _power_of_two(-_where(k > 60.0, 60.0, k))
    base, gone = _fast_two_sum(1.0, -inverse)  # not exact at k = 54, where half a unit would be lost
    hi, lost = _fast_two_sum(base, r)
    return inverse, (hi, lost + (gone + rest))


def expm1(x: Vector) -> Vector:
    """exp(x) - 1."""
    k, r, rest = _exp_parts(_clamped(x, -40.0, _limits(x).exp_high))
    _, (hi, low) = _less_one(k, r, rest)
    return _where(x.equals(0.0), x, _scaled(hi + low, k))


def tanh(x: Vector) -> Vector:
    """E / (E + 2) with E = exp(2 |x|) - 1."""
    a = _clamped(abs(x), 0.0, _limits(x).tanh)
    k, r, rest = _exp_parts(a + a)
    _, (hi, low) = _less_one(k, r, rest)
    power = _power_of_two(k)
    hi, low = hi * power, low * power
    d, lost = _two_sum(2.0, hi)
    q, q_low = _quotient(_fast_two_sum(hi, low), _fast_two_sum(d, lost + low))
    return x.block.copysign(q + q_low, x)


def _inverse(a: Pair) -> Pair:
    """1 / a."""
    inverse = 1.0 / a[0]
    return inverse, (a[0].block.fma(-inverse, a[0], 1.0) - inverse * a[1]) * inverse


def sinh(x: Vector) -> Vector:
    """E (1 + exp(-|x|)) / 2 with E = exp(|x|) - 1, so that nothing cancels."""
    k, r, rest = _exp_parts(_clamped(abs(x), 0.0, _limits(x).exp_high + 1.0))
    power, (hi, low) = _less_one(k, r, rest)
    one, lost = _fast_two_sum(1.0, r)
    y, y_low = _inverse(_fast_two_sum(one, lost + rest))
    y, y_low = y * power, y_low * power
    t, t_low = _two_product(hi, y)
    s, s_low = _fast_two_sum(hi, t)
    low = s_low + (low + (t_low + (hi * y_low + low * y)))
    return x.block.copysign(_scaled(s + low, k - 1.0), x)


def cosh(x: Vector) -> Vector:
    """(P + 1 / P) / 2 with P = exp(|x|)."""
    k, (hi, low) = _exp_pair(_clamped(abs(x), 0.0, _limits(x).exp_high + 1.0))
    hi, low = _fast_two_sum(hi, low)
    y, y_low = _inverse((hi, low))
    power = _power_of_two(-2.0 * _where(k > 60.0, 60.0, k))
    s, lost = _two_sum(hi, y * power)
    return _scaled(s + (lost + (low + y_low * power)), k - 1.0)


def gauss(a: Vector, s: Vector) -> Vector:
    """exp(-s a^2), the rounding of the square carried along: it is multiplied by a^2 otherwise (500 ulp)."""
    near = abs(a) < 40.0
    t, low = _multiple(s, _two_product(*([_where(near, a, 0.0)] * 2)))
    found = _where(near, _exp_within(-t, -low), 0.0)
    return _where(a.is_nan() | s.is_nan(), nan, found)


def expdiff(a: Vector, b: Vector) -> Vector:
    """exp(a - b), the rounding of the difference carried along; 1 where they are equal, infinities included."""
    d, low = _two_sum(a, -b)
    return _where(a.equals(b), 1.0, _exp_within(d, _where(abs(d) < -_limits(a).exp_low, low, 0.0)))


# --- logarithms and powers --------------------------------------------------------------------------


def _split(x: Vector) -> Pair:
    """k and f with x = 2**k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for a positive finite x."""
    block, number = x.block, x.block.number
    half_root = 0x3FE6A09E667F3BCD if number.mantissa == 52 else 0x3F3504F3  # the bits of sqrt(1/2)
    shift = number.mantissa + 2
    small = x < number.smallest
    normal = _where(small, x * 2.0**shift, x)
    moved = block.bitwise("add", block.bits(normal), (number.bias << number.mantissa) - half_root)
    m = block.real(block.bitwise("add", moved & ((1 << number.mantissa) - 1), half_root))
    return _whole(moved >> number.mantissa) - _where(small, float(shift + number.bias), float(number.bias)), m - 1.0


def _whole(bits: Vector) -> Vector:
    """The small whole number that bits hold, as a real."""
    number = bits.block.number
    one = (number.bias + number.mantissa) << number.mantissa  # the bits of 2**mantissa
    return bits.block.real(bits | one) - 2.0**number.mantissa


def _log_pair(k: Vector, f: Vector) -> Pair:
    """log(2**k (1 + f)): f - f^2 / 2 + s (f^2 / 2 + R(s^2)) with s = f / (2 + f)."""
    fma, (ln2, ln2_low) = f.block.fma, _constant(f, "LN2")
    s = f / (f + 2.0)
    z = s * s
    h, h_low = _two_product(f * 0.5, f)
    hi, lost = _fast_two_sum(f, -h)
    low = fma(s, fma(z, _polynomial(z, "LOG"), h), lost - h_low)
    powers = k * ln2
    total, lost = _fast_two_sum(powers, hi)
    return total, lost + (fma(k, ln2_low, fma(k, ln2, -powers)) + low)


def _of_logarithm(x: Vector, value: Vector, pole: float = 0.0) -> Vector:
    """A logarithm's special values: infinite at inf and at its pole, NaN below it."""
    value = _where(x.equals(inf), inf, value)
    return _where(x > pole, value, _where(x.equals(pole), -inf, nan))


def log(x: Vector) -> Vector:
    """The natural logarithm."""
    hi, low = _log_pair(*_split(x))
    return _of_logarithm(x, hi + low)


def _times(a: Pair, c: tuple[float, ...]) -> Pair:
    """A pair times a constant of two parts."""
    p = a[0] * c[0]
    return p, a[0].block.fma(a[0], c[0], -p) + (a[0] * c[1] + a[1] * c[0])


def log2(x: Vector) -> Vector:
    """The logarithm to base 2, exact for its powers."""
    k, f = _split(x)
    hi, low = _times(_log_pair(0.0 * f, f), _constant(x, "LOG2E"))
    total, lost = _fast_two_sum(k, hi)
    return _of_logarithm(x, total + (lost + low))


def log10(x: Vector) -> Vector:
    """The logarithm to base 10."""
    hi, low = _times(_log_pair(*_split(x)), _constant(x, "LOG10E"))
    return _of_logarithm(x, hi + low)


def _log1p_pair(x: Vector, low: Vector | float = 0.0) -> Pair:
    """log(1 + x + low): the logarithm of the rounded sum, and what was lost over it."""
    u, lost = _two_sum(1.0, x)
    return _corrected(_log_pair(*_split(u)), lost + low, u)


def _corrected(a: Pair, lost: Vector, u: Vector) -> Pair:
    """A logarithm of u plus lost / u. Near the smallest x that 1 + x can hold, both are of one size."""
    q = lost / u
    hi, rest = _fast_two_sum(a[0], q)
    return hi, rest + (a[1] + u.block.fma(-q, u, lost))


def log1p(x: Vector) -> Vector:
    """log(1 + x)."""
    hi, low = _log1p_pair(x)
    return _where(x.equals(0.0), x, _of_logarithm(x, hi + low, -1.0))


def _log_long(x: Vector) -> Pair:
    """log(x) with some 11 bits more than a number has, for powers: 2 s + s^3 (2/3 + s^2 T(s^2))."""
    k, f = _split(x)
    fma, (ln2, ln2_low) = x.block.fma, _constant(x, "LN2")
    s, s_low = _quotient((f, 0.0 * f), _fast_two_sum(2.0, f))
    z, z_low = _two_product(s, s)
    z_low = fma(s + s, s_low, z_low)
    thirds, thirds_low = _constant(x, "TWO_THIRDS")
    c, lost = _fast_two_sum(thirds, z * _polynomial(z, "LOG_LONG"))
    v, v_low = _two_product(z, c)
    v_low = v_low + fma(z, lost + thirds_low, z_low * c)
    g, g_low = _two_product(s, v)
    g_low = g_low + fma(s, v_low, s_low * v)
    hi, lost = _fast_two_sum(s + s, g)
    low = lost + (g_low + (s_low + s_low))
    powers = k * ln2
    total, lost = _fast_two_sum(powers, hi)
    return _fast_two_sum(total, lost + (fma(k, ln2_low, fma(k, ln2, -powers)) + low))


def _power(a: Vector, b: Vector) -> Vector:
    """a ** b over the reals: exp(b log |a|), both as pairs; NaN in gives NaN, also in 1 ** NaN and NaN ** 0."""
    block, size, limits = a.block, abs(a), _limits(a)
    t, t_low = _multiple(b, _log_long(size))
    inside = _clamped(t, limits.exp_low, limits.exp_high)
    k, (e, e_low) = _exp_pair(inside, _where(inside.equals(t), t_low, 0.0))
    found = _scaled(e + e_low, k)
    zero, negative = size.equals(0.0), b < 0.0
    found = _where(zero | size.equals(inf), _where(zero ^ negative, 0.0, inf), found)
    found = _where(size.equals(1.0), 1.0, found)
    whole = block.unary("floor", b).equals(b)
    half = b * 0.5
    odd = whole & ~block.unary("floor", half).equals(half)
    found = _where(odd & (block.copysign(1.0, a) < 0.0), -found, found)
    found = _where((a < 0.0) & (size < inf) & ~whole, nan, found)
    found = _where(b.equals(0.0), 1.0, found)
    return _where(a.is_nan() | b.is_nan(), nan, found)


def _half_power(a: Vector) -> Vector:
    """The square root but at two points: 0 at -0, infinite at -inf."""
    return _where(a.equals(-inf), inf, a.block.unary("sqrt", a) + 0.0)


_POWERS: dict[float, Callable[[Vector], Vector]] = {
    2.0: lambda a: a * a,
    3.0: lambda a: a * a * a,
    1.0: lambda a: a,
    0.5: _half_power,
    -1.0: lambda a: 1.0 / a,
}
"""The exponents that are cheaper otherwise, where one is known: as the NumPy backend has them."""


def cbrt(x: Vector) -> Vector:
    """The real cube root: a polynomial on [1, 2), a step of Halley, one of Newton with an exact residual."""
    block, number, cube = x.block, x.block.number, _limits(x).cube
    size = abs(x)
    small = size < number.smallest
    bits = block.bits(_where(small, size * 2.0 ** (3 * cube), size))
    start = block.real((bits & ((1 << number.mantissa) - 1)) | (number.bias << number.mantissa))
    e = _whole(bits >> number.mantissa) - float(number.bias)
    third = block.unary("floor", (e + 0.5) * (1.0 / 3.0))
    rest = e - third * 3.0
    one, two = rest.equals(1.0), rest.equals(2.0)
    m = start * _where(one, 2.0, _where(two, 4.0, 1.0))
    y = _polynomial(start, "CBRT") * _where(one, 2.0 ** (1 / 3), _where(two, 2.0 ** (2 / 3), 1.0))
    y3 = y * y * y
    y = y - y * (y3 - m) / (y3 + y3 + m)
    square, square_low = _two_product(y, y)
    y = y - (block.fma(square, y, -m) + square_low * y) / (square * 3.0)
    found = block.copysign(y * _power_of_two(third - _where(small, float(cube), 0.0)), x)
    return _where(size.equals(0.0) | ~(size < inf), x, found)


def hypot(a: Vector, b: Vector) -> Vector:
    """sqrt(a^2 + b^2), with the squares kept in range."""
    a, b = abs(a), abs(b)
    high, low = _where(a < b, b, a), _where(a < b, a, b)
    top, bottom, factor = _limits(a).root
    large, small = high > top, high < bottom
    scale = _where(large, 1.0 / factor, _where(small, factor, 1.0))
    p, p_low = _two_product(*([high * scale] * 2))
    q, q_low = _two_product(*([low * scale] * 2))
    s, lost = _fast_two_sum(p, q)
    r, rest = _root((s, lost + (p_low + q_low)))
    found = (r + rest) * _where(large, factor, _where(small, 1.0 / factor, 1.0))
    found = _where(a.equals(inf) | b.equals(inf), inf, found)
    return _where(a.is_nan() | b.is_nan(), nan, found)


def asinh(x: Vector) -> Vector:
    """log(|x| + sqrt(x^2 + 1)) as log1p(|x| + (sqrt(x^2 + 1) - 1)); log |x| + log 2 where the 1 does not show."""
    a = abs(x)
    large = a > _limits(x).square
    inside = _where(large, 1.0, a)
    square, square_low = _two_product(inside, inside)
    y, lost = _two_sum(1.0, square)
    r, rest = _root((y, lost + square_low))
    t, lost = _two_sum(inside, r - 1.0)
    found = _log_of_sum(large, a, t, lost + rest)
    return x.block.copysign(_where(a.equals(inf), inf, found), x)


def acosh(x: Vector) -> Vector:
    """log1p(t + sqrt(t (t + 2))) with t = x - 1; log x + log 2 where the 1 does not show."""
    large = x > _limits(x).square
    t = _where(large, 1.0, x) - 1.0
    d, lost = _two_sum(2.0, t)
    w, w_low = _two_product(t, d)
    r, rest = _root((w, x.block.fma(t, lost, w_low)))
    s, lost = _two_sum(t, r)
    found = _log_of_sum(large, x, s, lost + rest)
    return _where(x >= 1.0, _where(x.equals(inf), inf, found), nan)


def _log_of_sum(large: Vector, x: Vector, t: Vector, low: Vector) -> Vector:
    """log(2 x) where large, log(1 + t + low) elsewhere."""
    u, lost = _two_sum(1.0, t)
    u = _where(large, x, u)
    k, f = _split(u)
    hi, rest = _corrected(_log_pair(k + _where(large, 1.0, 0.0), f), _where(large, 0.0, lost + low), u)
    return hi + rest


def atanh(x: Vector) -> Vector:
    """log1p(2 |x| / (1 - |x|)) / 2."""
    a = abs(x)
    q, q_low = _quotient((a + a, 0.0 * a), _two_sum(1.0, -a))
    hi, low = _log1p_pair(q, q_low)
    found = _where(a.equals(1.0), inf, (hi + low) * 0.5)
    return x.block.copysign(_where(a <= 1.0, found, nan), x)


# --- angles -----------------------------------------------------------------------------------------


def _reduced(x: Vector) -> tuple[Vector, Pair]:
    """Quadrant (in the low two bits) and a pair with x = quadrant pi / 2 + pair, |pair| <= pi / 4.

    Up to limits.turns, multiples of pi / 2 in three parts are subtracted; beyond, 2 / pi is multiplied in whole
    numbers, lane by lane, with as many bits as the exponent asks for (Payne and Hanek).
    """
    block, (first, second, third), limit = x.block, _constant(x, "PI_2"), _limits(x).turns
    k = block.unary("rint", x * (2.0 / math.pi))
    exact = block.fma(k, -first, x)
    w = k * second
    r, lost = _two_sum(exact, -w)
    low = block.fma(k, -third, lost - block.fma(k, second, -w))
    quadrant = _whole_bits(k)
    large = (abs(x) > limit) & (abs(x) < inf)

    usual = (r, low, quadrant)

    def by_words() -> list[Vector]:
        found = block.calls("reduced_by_words", _reduced_by_words, _where(large, x, 2.0 * limit))
        return [_where(large, new, old) for new, old in zip(found, usual, strict=True)]

    r, low, quadrant = block.rarely(large, by_words, usual)
    return quadrant, (r, low)


def _reduced_by_words(x: Vector) -> tuple[Vector, Vector, Vector]:
    """The pair and the quadrant of huge numbers, lane by lane."""
    block, number = x.block, x.block.number
    module, op = block.module, block.operation
    words = coefficients.TWO_OVER_PI
    module.globals["two_over_pi"] = f"@two_over_pi = internal constant [{len(words)} x i64] [{_listed('i64', words)}]"
    module.globals["reduce_angle"] = _REDUCE_ANGLE
    found = [block.type("real"), block.type("real"), block.type("integer")]
    names = ["poison"] * 3
    for lane in range(block.lanes):
        wide = op(f"extractelement {x.type} {x.name}, i64 {lane}")
        if number.bits == 32:
            wide = op(f"fpext float {wide} to double")
        parts = op(f"call {{double, double, i64}} @reduce_angle(double {wide})")
        r, low, turns = (op(f"extractvalue {{double, double, i64}} {parts}, {i}") for i in range(3))
        if number.bits == 32:  # the pair, rounded to a pair of floats
            total = op(f"fadd double {r}, {low}")
            r = op(f"fptrunc double {total} to float")
            lost = op(f"fsub double {total}, {op(f'fpext float {r} to double')}")
            low = op(f"fptrunc double {lost} to float")
            turns = op(f"trunc i64 {turns} to i32")
        elements = zip(found, names, (number.name, number.name, f"i{number.bits}"), (r, low, turns), strict=True)
        names = [op(f"insertelement {of} {name}, {one} {new}, i64 {lane}") for of, name, one, new in elements]
    return block.vector(names[0]), block.vector(names[1]), block.vector(names[2], "integer")


def _listed(of: str, numbers: Sequence[int]) -> str:
    return ", ".join(f"{of} {number}" for number in numbers)


_REDUCE_ANGLE = f"""
declare i64 @llvm.fshl.i64(i64, i64, i64)
declare i128 @llvm.ctlz.i128(i128, i1)
declare double @llvm.fma.f64(double, double, double)
; x = m 2^e with a whole m of 53 bits. Only x 2/pi modulo 4 is needed: the 192 bits of 2/pi from the one on whose
; product with 2^e is 2, times m, modulo 2^192, are the quadrant (2 bits) and the fraction, of which 126 bits are right.
; A double is at least 2^-62 away from a multiple of pi/2, so 64 of them count.
define internal {{double, double, i64}} @reduce_angle(double %x) noinline nounwind {{
  %bits = bitcast double %x to i64
  %size = and i64 %bits, {2**63 - 1}
  %exponent = lshr i64 %size, 52
  %fraction = and i64 %size, {2**52 - 1}
  %m = or i64 %fraction, {2**52}
  %start = sub i64 %exponent, {1075 - 62}
  %word = lshr i64 %start, 6
  %shift = and i64 %start, 63
  %p0 = getelementptr i64, ptr @two_over_pi, i64 %word
  %p1 = getelementptr i64, ptr %p0, i64 1
  %p2 = getelementptr i64, ptr %p0, i64 2
  %p3 = getelementptr i64, ptr %p0, i64 3
  %w0 = load i64, ptr %p0
  %w1 = load i64, ptr %p1
  %w2 = load i64, ptr %p2
  %w3 = load i64, ptr %p3
  %a = call i64 @llvm.fshl.i64(i64 %w0, i64 %w1, i64 %shift)
  %b = call i64 @llvm.fshl.i64(i64 %w1, i64 %w2, i64 %shift)
  %c = call i64 @llvm.fshl.i64(i64 %w2, i64 %w3, i64 %shift)
  %wide.m = zext i64 %m to i128
  %wide.b = zext i64 %b to i128
  %wide.c = zext i64 %c to i128
  %cm = mul i128 %wide.c, %wide.m
  %carry = lshr i128 %cm, 64
  %bm = mul i128 %wide.b, %wide.m
  %middle = add i128 %bm, %carry
  %am = mul i64 %a, %m
  %wide.am = zext i64 %am to i128
  %high = shl i128 %wide.am, 64
  %product = add i128 %high, %middle
  %down = lshr i128 %product, 126
  %part = shl i128 %product, 2
  %negative = icmp slt i128 %part, 0
  %more = zext i1 %negative to i64
  %down64 = trunc i128 %down to i64
  %turns = add i64 %down64, %more
  %minus = sub i128 0, %part
  %positive = select i1 %negative, i128 %minus, i128 %part
  %zeros = call i128 @llvm.ctlz.i128(i128 %positive, i1 false)
  %normal = shl i128 %positive, %zeros
  %top = lshr i128 %normal, 75
  %top64 = trunc i128 %top to i64
  %next = lshr i128 %normal, 22
  %next64 = trunc i128 %next to i64
  %next53 = and i64 %next64, {2**53 - 1}
  %hi.whole = sitofp i64 %top64 to double
  %low.whole = sitofp i64 %next53 to double
  %zeros64 = trunc i128 %zeros to i64
  %field = sub i64 1023, %zeros64
  %scale.bits = shl i64 %field, 52
  %scale = bitcast i64 %scale.bits to double
  %hi.unit = fmul double %hi.whole, {DOUBLE.literal(2.0**-53)}
  %low.unit = fmul double %low.whole, {DOUBLE.literal(2.0**-106)}
  %hi = fmul double %hi.unit, %scale
  %low = fmul double %low.unit, %scale
  %r = fmul double %hi, {_PI_2[0]}
  %r.negative = fneg double %r
  %lost = call double @llvm.fma.f64(double %hi, double {_PI_2[0]}, double %r.negative)
  %more.lost = call double @llvm.fma.f64(double %hi, double {_PI_2[1]}, double %lost)
  %rest = call double @llvm.fma.f64(double %low, double {_PI_2[0]}, double %more.lost)
  %below = icmp slt i64 %bits, 0
  %flip = xor i1 %below, %negative
  %r.flipped = fneg double %r
  %rest.flipped = fneg double %rest
  %r.signed = select i1 %flip, double %r.flipped, double %r
  %rest.signed = select i1 %flip, double %rest.flipped, double %rest
  %turns.back = sub i64 0, %turns
  %turns.signed = select i1 %below, i64 %turns.back, i64 %turns
  %o1 = insertvalue {{double, double, i64}} poison, double %r.signed, 0
  %o2 = insertvalue {{double, double, i64}} %o1, double %rest.signed, 1
  %o3 = insertvalue {{double, double, i64}} %o2, i64 %turns.signed, 2
  ret {{double, double, i64}} %o3
}}
"""


def _sine(r: Pair) -> Pair:
    z = r[0] * r[0]
    return r[0], r[0].block.fma(r[0] * z, _polynomial(z, "SIN"), r[1] * (1.0 - z * 0.5))


def _cosine(r: Pair) -> Pair:
    fma = r[0].block.fma
    z, z_low = _two_product(r[0], r[0])
    h = z * 0.5
    hi, lost = _fast_two_sum(1.0, -h)
    return hi, lost + fma(z * z, _polynomial(z, "COS"), -fma(r[0], r[1], z_low * 0.5))


def _turned(quadrant: Vector, r: Pair) -> Vector:
    """The sine of quadrant pi / 2 + r."""
    block, bits = r[0].block, r[0].block.number.bits
    (s, s_low), (c, c_low) = _sine(r), _cosine(r)
    odd = _is_odd(quadrant)
    value = _where(odd, c, s) + _where(odd, c_low, s_low)
    return block.real(block.bits(value) ^ ((quadrant & 2) << (bits - 2)))


def _is_odd(quadrant: Vector) -> Vector:
    one = quadrant & 1
    return one.block.made(f"icmp ne {one.type} {one.name}, zeroinitializer", "mask")


def sin(x: Vector) -> Vector:
    """The sine."""
    return _where(x.equals(0.0), x, _turned(*_reduced(x)))


def cos(x: Vector) -> Vector:
    """The cosine."""
    quadrant, r = _reduced(x)
    return _turned(x.block.bitwise("add", quadrant, 1), r)


def tan(x: Vector) -> Vector:
    """Sine over cosine, or minus cosine over sine."""
    quadrant, r = _reduced(x)
    (s, s_low), (c, c_low) = _sine(r), _cosine(r)
    odd = _is_odd(quadrant)
    top = _where(odd, c, s), _where(odd, c_low, s_low)
    bottom = _where(odd, -s, c), _where(odd, -s_low, c_low)
    q, low = _quotient(_fast_two_sum(*top), _fast_two_sum(*bottom))
    return _where(x.equals(0.0), x, q + low)


def _asin_parts(a: Vector) -> tuple[Vector, Vector, Vector]:
    """Whether a > 1/2, s, rest: asin(a) is s + rest, or pi / 2 - 2 (s + rest) where a > 1/2."""
    large = a > 0.5
    z = _where(large, (1.0 - a) * 0.5, a * a)
    root, root_low = _root((z, 0.0 * z))
    s = _where(large, root, a)
    return large, s, a.block.fma(s * z, _polynomial(z, "ASIN"), _where(large, root_low, 0.0))


def asin(x: Vector) -> Vector:
    """The angle whose sine is x."""
    first, second, _ = _constant(x, "PI_2")
    large, s, rest = _asin_parts(abs(x))
    h, lost = _fast_two_sum(first, s * -2.0)
    found = _where(large, h + (lost + (second - (rest + rest))), s + rest)
    return x.block.copysign(_where(abs(x) <= 1.0, found, nan), x)


def acos(x: Vector) -> Vector:
    """The angle whose cosine is x."""
    first, second, _ = _constant(x, "PI_2")
    large, s, rest = _asin_parts(abs(x))
    h, lost = _fast_two_sum(first, -x)
    near_zero = h + (lost + (second - x.block.copysign(rest, x)))
    h, lost = _fast_two_sum(2.0 * first, s * -2.0)
    below = h + (lost + (2.0 * second - (rest + rest)))
    found = _where(large, _where(x < 0.0, below, (s + rest) * 2.0), near_zero)
    return _where(abs(x) <= 1.0, found, nan)


def _atan_of_quotient(a: Vector, b: Vector) -> Pair:
    """atan(a / b) for a, b >= 0 of moderate size, not both 0.

    tan(u - pi / 4) = (a - b) / (a + b) and tan(u - pi / 2) = -b / a bring the argument below tan(pi / 8).
    """
    first, second, _ = _constant(a, "PI_2")
    steep, middle = a > b * 2.414213562373095, a > b * 0.41421356237309503
    (difference, difference_low), (total, total_low) = _two_sum(a, -b), _two_sum(a, b)

    def chosen(when_steep: Vector | float, when_middle: Vector | float, else_: Vector | float) -> Vector:
        return _where(steep, when_steep, _where(middle, when_middle, else_))

    t, low = _quotient(
        (chosen(-b, difference, a), chosen(0.0, difference_low, 0.0)),
        (chosen(a, total, b), chosen(0.0, total_low, 0.0)),
    )
    z = t * t
    low = a.block.fma(t * z, _polynomial(z, "ATAN"), low)
    h, lost = _fast_two_sum(chosen(first, first / 2.0, 0.0), t)
    return h, lost + (chosen(second, second / 2.0, 0.0) + low)


def atan(x: Vector) -> Vector:
    """The angle whose tangent is x."""
    hi, low = _atan_of_quotient(_clamped(abs(x), 0.0, 2.0**60), x.block.constant(1.0))
    return x.block.copysign(hi + low, x)


def atan2(y: Vector, x: Vector) -> Vector:
    """The angle of the point (x, y), which is brought to moderate size first."""
    block, number = y.block, y.block.number
    first, second, _ = _constant(y, "PI_2")
    a, b = abs(y), abs(x)
    tall, wide = a.equals(inf), b.equals(inf)
    a, b = _where(tall, 1.0, _where(wide, 0.0, a)), _where(wide, 1.0, _where(tall, 0.0, b))
    most = _where(a < b, b, a)
    up = 2.0 ** (2 * number.mantissa + 16)
    factor = _where(most > 2.0 ** (number.bias - 4), 2.0**-60, _where(most < number.smallest * up, up, 1.0))
    a, b = a * factor, b * factor
    b = _where(most.equals(0.0), 1.0, b)
    h, low = _atan_of_quotient(a, b)
    s, lost = _fast_two_sum(2.0 * first, -h)
    behind = block.copysign(1.0, x) < 0.0
    found = block.copysign(_where(behind, s + (lost + (2.0 * second - low)), h + low), y)
    return _where(y.is_nan() | x.is_nan(), nan, found)


# --- the error function -----------------------------------------------------------------------------


def _erf_rest(x: Vector) -> Vector:
    """erf(x) - x, for |x| <= 1."""
    return x * _polynomial(x * x, "ERF")


def _erfc_pair(a: Vector, a_low: Vector | float = 0.0) -> tuple[Vector, Pair]:
    """k and a pair with erfc(a + a_low) = 2**k * pair, for a between 1/2 and limits.erfc.

    exp(-a^2) times a polynomial in (a - 4) / (a + 4) over 1 + 2 a.
    """
    fma = a.block.fma
    square, low = _two_product(a, a)
    k, (e, e_low) = _exp_pair(-square, -fma(a + a, a_low, low))
    q = (a - 4.0) / (a + 4.0)
    middle, middle_low = _constant(a, "ERFCX_0")
    f, f_low = _fast_two_sum(middle, q * _polynomial(q, "ERFCX"))
    d, lost = _fast_two_sum(a + a, a.block.constant(1.0))
    g, g_low = _quotient((f, f_low + middle_low), (d, lost + 2.0 * a_low))
    hi, lost = _two_product(e, g)
    return k, (hi, lost + fma(e, g_low, e_low * g))


def erf(x: Vector) -> Vector:
    """The error function."""
    a = abs(x)
    k, (hi, low) = _erfc_pair(_clamped(a, 0.5, _limits(x).erfc))
    found = _where(a < 1.0, a + _erf_rest(a), 1.0 - _scaled(hi + low, k))
    return x.block.copysign(_where(x.is_nan(), nan, found), x)


def erfc(x: Vector) -> Vector:
    """1 - erf(x)."""
    a = abs(x)
    k, (hi, low) = _erfc_pair(_clamped(a, 0.5, _limits(x).erfc))
    tail = _scaled(hi + low, k)
    one, lost = _fast_two_sum(1.0, -x)
    found = _where(a < 0.5, one + (lost - _erf_rest(x)), _where(x < 0.0, 2.0 - tail, tail))
    return _where(x.is_nan(), nan, found)


def ndtr(a: Vector) -> Vector:
    """The normal distribution function, erfc(x) / 2 at x = -a / sqrt(2), whose rounding is carried along."""
    root, root_low = _constant(a, "SQRT1_2")
    x = a * -root
    x_low = a.block.fma(a, -root, -x) - a * root_low
    size = abs(x)
    inside = _clamped(size, 0.5, _limits(a).erfc)
    within = inside.equals(size)
    k, (hi, low) = _erfc_pair(inside, _where(within, a.block.copysign(1.0, x) * x_low, 0.0))
    tail = _scaled(hi + low, k - 1.0)
    one, lost = _fast_two_sum(1.0, -x)
    middle = (one + (lost - (x_low + _erf_rest(x)))) * 0.5
    found = _where(size < 0.5, middle, _where(x < 0.0, 1.0 - tail, tail))
    return _where(a.is_nan(), nan, found)


# --- the names ----------------------------------------------------------------------------------------


def _of_two(function: Callable[[Vector, Vector], Vector]) -> Callable[[Vector | float, Vector | float], Vector]:
    """The function where one of its operands may be a number."""

    def lifted(a: Vector | float, b: Vector | float) -> Vector:
        block = _block(a, b)
        return function(*(x if isinstance(x, Vector) else block.constant(x) for x in (a, b)))

    return lifted


def _block(*operands: Vector | float) -> Block:
    return next(x.block for x in operands if isinstance(x, Vector))


def power(a: Vector | float, b: Vector | float) -> Vector:
    """a ** b; an exponent that is known may be cheaper."""
    if isinstance(a, Vector) and isinstance(b, float) and b in _POWERS:
        return _POWERS[b](a)
    return _of_two(_power)(a, b)


def _comparison(name: str) -> Callable[[Vector | float, Vector | float], Vector]:
    def compared(a: Vector | float, b: Vector | float) -> Vector:
        """The mask of the lanes where it holds."""
        return _block(a, b).compare(name, a, b)

    return compared


ELEMENTARY: dict[str, Callable[..., Vector]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "abs": abs,
    "sqrt": lambda a: a.block.unary("sqrt", a),
    "floor": lambda a: a.block.unary("floor", a),
    "ceil": lambda a: a.block.unary("ceil", a),
    "rint": lambda a: a.block.unary("rint", a),
    "gt": _comparison(">"),
    "ge": _comparison(">="),
    "lt": _comparison("<"),
    "le": _comparison("<="),
    "eq": _comparison("=="),
    "select": _where,
    "pow": power,
    "exp2": lambda a: power(2.0, a),
    "_gauss": _of_two(gauss),
    "_expdiff": _of_two(expdiff),
    "_ndtr": ndtr,
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log2": log2,
    "log10": log10,
    "log1p": log1p,
    "cbrt": cbrt,
    "hypot": _of_two(hypot),
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "asin": asin,
    "acos": acos,
    "atan": atan,
    "atan2": _of_two(atan2),
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
    "erf": erf,
    "erfc": erfc,
}
"""What each elementary name of a lowered rule is on Vectors. Comparisons give masks, for `select` alone. Known numbers
may stand for all operands but one, and for both sides of a choice."""
