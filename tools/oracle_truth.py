"""What a scalar program is worth at 50 digits, and how far floats may be off: the oracle's own mathematics.

Here stand, for every public primitive, its value and its first and second partial derivatives, written in mpmath
by hand; the conventions of calculus' silent places (ties, kinks, poles); and the walk through a program that
gives its value, gradient and Hessian times a vector, each with a bound. Nothing here reads a rule of the package's
table. Only what a row promises of its accuracy is taken from there, since that is what is held against it.

The bound. A running error analysis goes beside the exact walk, in floats, with e = 2**-52 (one ulp of x is at most
e |x|). For a node f(x1 ... xn) whose operands may be off by E1 ... En:

    E(f)  = sum |f_i| E_i  +  1/2 sum S_ij E_i E_j  +  2 e |f|                      (2 ulp a value)
    D_i   = sum S_ij E_j   +  4 e |f_i|                                             (4 ulp a local derivative)
    H_ij  = sum M_ijk E_k  +  16 e S_ij                                             (a second partial)

S_ij is the size of the second partial f_ij: of the terms it is made of, since a program that differentiates the
text of f_i adds those up. If r_i is the length over which f varies in operand i (the distance to the nearest
singularity, or the scale of its exponential), then S_ij = |f_ij| + |f_i| / r_j + |f_j| / r_i, and by Cauchy's
estimate M_ijk = 3 (S_ij / r_k + S_ik / r_j + S_jk / r_i) bounds how f_ij moves. E_i has to stay below r_i / 1000,
else the program is ill-conditioned there and skipped; that also makes the first-order terms above good to some
parts in a thousand. Adjoints G, tangents T and the adjoint's derivative A along the direction propagate by the
product rule, every product and every addition with a rounding of its own:

    G_i += G f_i                            with   E(G) (|f_i| + D_i) + |G| D_i
    T   += f_i T_i                          with   E(T_i) (|f_i| + D_i) + |T_i| D_i
    A_i += A f_i + G sum f_ij T_j           with   E(A) (|f_i| + D_i) + |A| D_i
                                                   + sum (E(G) S_ij |T_j| + |G| H_ij |T_j| + |G| S_ij E(T_j))

Reverse over reverse, forward over reverse, reverse over forward and forward over forward add up these same products,
in different orders: one bound serves all. Where a result may be subnormal its rounding comes on top (a floor).

Decisions. A comparison or a kink is decided only if the operands' errors cannot turn it. One that is hit exactly
must be hit exactly by the floats too: the errors of the operands must be 0, which they are for leaves, for what
only selects, and for arithmetic whose result is a float. Otherwise the step is drawn again, or the program skipped
and the reason counted. A NaN or an infinity is exact: floats must have the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from mpmath import MPContext

from autograd_lite.engine.rules import TABLE

mp = MPContext()  # of its own: whoever else uses mpmath in this process keeps their precision
mp.dps = 50
mpf, inf, nan = mp.mpf, mp.inf, mp.nan
ZERO, ONE, HALF = mpf(0), mpf(1), mpf(0.5)
EPS = 2.0**-52
TINY = 2.0**-1073
"""Two units of the last place of a subnormal."""
UNDERFLOW = 1e-318
"""Where a factor inside a primitive is subnormal, its rounding shows, times the other factors."""
LARGE = 1e140
"""Beyond this a product on the way to a second derivative may overflow though the result does not."""
FAR = 1e-3
"""An operand may be off by this part of the length over which its function varies."""
SINGLE = False
"""Whether floats are those of float32: oracle_numbers.single() sets this, and the numbers above to what holds there."""


def nearest(v: Any) -> float:
    """The float that is nearest to an exact number."""
    if not SINGLE:
        return float(v)
    with np.errstate(over="ignore"):
        return float(np.float32(float(v)))


class Skip(Exception):
    """The reference cannot say what is right here, or how near floats must come."""


class Accuracy(NamedTuple):
    """What an evaluator is allowed: units in the last place, and whether its sums are in any order."""

    value: float
    partial: float
    second: float
    any_order: bool
    of_row: float
    """So many times what a row states where that is another bound."""


EAGER = Accuracy(2.0, 4.0, 16.0, False, 1.0)
FOLDED = Accuracy(4.0, 8.0, 32.0, True, 2.0)
"""A fold runs other libraries' kernels (NumPy's vector loops allow themselves 4 ulp) and adds up in any order."""


@dataclass
class Local:
    """A primitive at a point: value, partials and second partials, and what the bound needs.

    Attributes:
        v, d: the value; one partial an operand.
        h: (i, j, second partial) for i <= j; what is missing is 0.
        r: for each operand the length over which the function varies; None for what is linear in each operand.
        size: the size of what adds up to the value, in recorded and in any order; None for |v|.
        sizes: the sizes of what adds up to the partials; None for |d|.
        kind: "" for a function; "exact" for arithmetic that IEEE 754 rounds correctly; "select" for what chooses
            or negates, without rounding; "linear" for what has exact partials and a rounded value.
        gap: how far the operands are from another choice; 0 if two choices are equal.
        watched: the operands that decide; None for all.
    """

    v: Any
    d: list[Any]
    h: list[tuple[int, int, Any]]
    r: list[float] | None = None
    size: tuple[float, float] | None = None
    sizes: list[float] | None = None
    kind: str = ""
    gap: float = math.inf
    watched: int | None = None


# --- the primitives, one by one -------------------------------------------------------------------------


def exponential(a: Any) -> Any:
    """exp, and past all floats what they make of it: mpmath would write out the digits."""
    if a > 1e5:
        raise Skip("a result is beyond the floats")
    return mp.exp(a) if a > -1e5 else ZERO


def curve(v: Any, d: Any, h: Any, r: Any) -> Local:
    return Local(v, [d], [(0, 0, h)], [float(r)])


def undefined(n: int) -> Local:
    """Outside the domain, or with a NaN in: value NaN and derivatives NaN."""
    return Local(nan, [nan] * n, [(i, j, nan) for i in range(n) for j in range(i, n)])


def outside(distance: Any) -> Local:
    """Undefined, so far from the domain: an error as large as that would decide otherwise."""
    found = undefined(1)
    found.r = [float(distance)]
    return found


def _exp(a):
    e = exponential(a)
    return curve(e, e, e, 1)


def _expm1(a):
    e = exponential(a)
    return curve(mp.expm1(a), e, e, 1)


def _log(a, scale=ONE):
    if a < 0:
        return outside(-a)
    if a == 0:
        return curve(-inf, inf, -inf, 0)
    d = 1 / (a * scale)
    return curve(mp.log(a) / scale, d, -d / a, a)


def _log1p(a):
    if a < -1:
        return outside(-1 - a)
    if a == -1:
        return curve(-inf, inf, -inf, 0)
    d = 1 / (1 + a)
    return curve(mp.log1p(a), d, -d * d, 1 + a)


def _sqrt(a):
    if a < 0:
        return outside(-a)
    if a == 0:
        return curve(ZERO, inf, -inf, 0)
    v = mp.sqrt(a)
    d = HALF / v
    return curve(v, d, -d / (2 * a), a)


def _cbrt(a):
    if a == 0:
        return curve(ZERO, inf, nan, 0)
    v = mp.cbrt(abs(a)) * mp.sign(a)
    d = v / (3 * a)
    return curve(v, d, -2 * d / (3 * a), abs(a))


def _sin(a):
    c, s = mp.cos_sin(a)
    return curve(s, c, -s, 1)


def _cos(a):
    c, s = mp.cos_sin(a)
    return curve(c, -s, -c, 1)


def _tan(a):
    c, s = mp.cos_sin(a)
    t, d = s / c, 1 / (c * c)
    return curve(t, d, 2 * t * d, 1 / (1 + abs(t)))


def _asin(a):
    if abs(a) > 1:
        return outside(abs(a) - 1)
    if abs(a) == 1:
        return curve(mp.asin(a), inf, a * inf, 0)
    d = 1 / mp.sqrt((1 - a) * (1 + a))
    return curve(mp.asin(a), d, a * d * d * d, 1 - abs(a))


def _acos(a):
    found = _asin(a)
    found.v = mp.acos(a) if abs(a) <= 1 else nan
    found.d = [-x for x in found.d]
    found.h = [(i, j, -x) for i, j, x in found.h]
    return found


def _atan(a):
    d = 1 / (1 + a * a)
    return curve(mp.atan(a), d, -2 * a * d * d, mp.sqrt(1 + a * a))


def _sinh(a):
    s, c = mp.sinh(a), mp.cosh(a)
    return curve(s, c, s, 1)


def _cosh(a):
    s, c = mp.sinh(a), mp.cosh(a)
    return curve(c, s, c, 1)


def _tanh(a):
    t, d = mp.tanh(a), 1 / mp.cosh(a) ** 2
    return curve(t, d, -2 * t * d, 1)


def _asinh(a):
    d = 1 / mp.sqrt(1 + a * a)
    return curve(mp.asinh(a), d, -a * d * d * d, 1 / d)


def _acosh(a):
    if a < 1:
        return outside(1 - a)
    if a == 1:
        return curve(ZERO, inf, -inf, 0)
    d = 1 / mp.sqrt((a - 1) * (a + 1))
    return curve(mp.acosh(a), d, -a * d * d * d, a - 1)


def _atanh(a):
    if abs(a) > 1:
        return outside(abs(a) - 1)
    if abs(a) == 1:
        return curve(a * inf, inf, a * inf, 0)
    d = 1 / ((1 - a) * (1 + a))
    return curve(mp.atanh(a), d, 2 * a * d * d, 1 - abs(a))


def _logistic(a):
    """sigmoid(a) and sigmoid(-a)."""
    return 1 / (1 + exponential(-a)), 1 / (1 + exponential(a))


def _sigmoid(a):
    s, q = _logistic(a)
    return curve(s, s * q, s * q * (q - s), 1)


def _log_sigmoid(a):
    s, q = _logistic(a)
    return curve(-mp.log1p(exponential(-a)), q, -s * q, 1)


def _softplus(a):
    s, q = _logistic(a)
    return curve(mp.log1p(exponential(a)), s, s * q, 1)


def _silu(a):
    s, q = _logistic(a)
    return curve(a * s, s + a * s * q, s * q * (2 + a * (q - s)), 1)


def _erfc(a):
    """erfc, past 45 to the precision of floats: mpmath takes forever there."""
    return mp.erfc(a) if abs(a) < 45 else ZERO if a > 0 else mpf(2)


def _gelu(a):
    below = _erfc(-a / mp.sqrt(2)) / 2
    density = exponential(-a * a / 2) / mp.sqrt(2 * mp.pi)
    return curve(a * below, below + a * density, density * (2 - a * a), 1 / (1 + abs(a)))


def _erf(a):
    d = 2 / mp.sqrt(mp.pi) * exponential(-a * a)
    return curve(mp.erf(a) if abs(a) < 45 else mp.sign(a), d, -2 * a * d, 1 / (1 + abs(a)))


def _complement(a):
    found = _erf(a)
    return curve(_erfc(a), -found.d[0], -found.h[0][2], found.r[0])


def _normal(a):
    """The normal density and distribution function; far out the logarithm of that would need many more digits."""
    if abs(a) > 45:
        raise Skip("a result is beyond the floats")
    return exponential(-a * a / 2) / mp.sqrt(2 * mp.pi), _erfc(-a / mp.sqrt(2)) / 2


def _ndtr(a):
    density = exponential(-a * a / 2) / mp.sqrt(2 * mp.pi)
    return curve(_erfc(-a / mp.sqrt(2)) / 2, density, -a * density, 1 / (1 + abs(a)))


def _log_ndtr(a):
    density, below = _normal(a)
    hazard = density / below
    v = mp.log(below) if a < 0 else mp.log1p(-_erfc(a / mp.sqrt(2)) / 2)
    return curve(v, hazard, -hazard * (hazard + a), 1 / (1 + abs(a)))


def _quantile(p):
    """The inverse of the normal distribution function at p < 1/2, by Newton's method on its logarithm."""
    x = -mp.sqrt(-2 * mp.log(2 * p)) if p < mpf(1) / 10 else (p - HALF) * mp.sqrt(2 * mp.pi)
    for _ in range(100):
        density, below = _normal(x)
        step = below / density * (mp.log(below) - mp.log(p))
        x -= step
        if abs(step) <= abs(x) * mpf(10) ** -48:
            return x
    raise Skip("the reference does not converge")


def _ndtri(a):
    if a < 0 or a > 1:
        return outside(max(-a, a - 1))
    if a in (0, 1):
        return curve(inf if a else -inf, inf, inf if a else -inf, 0)
    x = ZERO if a == HALF else _quantile(a) if a < HALF else -_quantile(1 - a)
    d = mp.sqrt(2 * mp.pi) * exponential(x * x / 2)
    return curve(x, d, x * d * d, min(a, 1 - a))


def _erfinv(a):
    if abs(a) > 1:
        return outside(abs(a) - 1)
    if abs(a) == 1:
        return curve(a * inf, inf, a * inf, 0)
    x = mp.sign(a) * -_quantile((1 - abs(a)) / 2) / mp.sqrt(2) if abs(a) > mpf(10) ** -30 else a * mp.sqrt(mp.pi) / 2
    d = mp.sqrt(mp.pi) / 2 * exponential(x * x)
    return curve(x, d, 2 * x * d * d, 1 - abs(a))


def _pole(a):
    """How far a is from the nearest whole number up to 0."""
    return a if a > HALF else abs(a - mp.nint(a))


def _lgamma(a):
    if a <= 0 and a == mp.floor(a):
        if a:
            return Local(inf, [nan], [(0, 0, nan)], [0.0])
        raise Skip("the sign of a zero decides")
    v = mp.loggamma(a) if a > 0 else mp.log(mp.pi / abs(mp.sinpi(a))) - mp.loggamma(1 - a)
    return curve(v, mp.psi(0, a), mp.psi(1, a), _pole(a))


def _polygamma(n):
    order = int(n)

    def polygamma(a):
        if a <= 0 and a == mp.floor(a):
            if a:
                return Local(nan, [nan], [(0, 0, nan)], [0.0])
            raise Skip("the sign of a zero decides")
        return curve(mp.psi(order, a), mp.psi(order + 1, a), mp.psi(order + 2, a), _pole(a) / (1 + order))

    return polygamma


def _sinc(a):
    if abs(a) < mpf(10) ** -15:  # the series, whose next terms are below 1e-58
        z = (mp.pi * a) ** 2
        return curve(1 - z / 6, -(mp.pi**2) * a / 3, -(mp.pi**2) / 3 + mp.pi**2 * z / 10, 1 / mp.pi)
    v, c, z = mp.sincpi(a), mp.cospi(a), mp.pi * a
    d = (c - v) / a
    return curve(v, d, -mp.pi * mp.pi * v - 2 * d / a, 1 / mp.pi)


def _logit(a):
    if a < 0 or a > 1:
        return outside(max(-a, a - 1))
    if a in (0, 1):
        return curve(inf if a else -inf, inf, inf if a else -inf, 0)
    d = 1 / (a * (1 - a))
    return curve(mp.log(a / (1 - a)), d, (2 * a - 1) * d * d, min(a, 1 - a))


def _exp2(a):
    e = exponential(a * mp.ln2)
    return curve(e, e * mp.ln2, e * mp.ln2**2, 1)


def _scaled(factor):
    def scaled(a):
        return Local(a * factor(), [factor()], [], kind="linear")

    return scaled


def _mod(a, b):
    if b == 0:
        return undefined(2)
    quotient = mp.floor(a / b)
    if abs(quotient) > mpf(10) ** 30:
        raise Skip("a result is beyond the floats")
    v = a - b * quotient
    return Local(v, [ONE, -quotient], [], kind="linear", gap=float(min(abs(v), abs(b) - abs(v)) / (1 + abs(quotient))))


def _floor_divide(a, b):
    if b == 0:
        found = undefined(2)
        found.kind = "select"
        return found
    found = _mod(a, b)
    return choice(mp.floor(a / b), [ZERO, ZERO], found.gap)


def _rint(a):
    return choice(mp.nint(a), [ZERO], HALF - abs(a - mp.nint(a)))


def _round(digits):
    def rounded(a):
        scale = mpf(10) ** int(digits)
        whole = mp.nint(a * scale)
        return choice(mpf(nearest(whole / scale)), [ZERO], (HALF - abs(a * scale - whole)) / scale)  # the nearest float

    return rounded


def _trunc(a):
    found = _floor(a) if a > 0 else _ceil(a)
    if a == 0:  # the two sides agree here
        found.gap = 1.0
    return found


def _heaviside(a, h):
    found = choice(h if a == 0 else ONE if a > 0 else ZERO, [ZERO, ONE if a == 0 else ZERO], abs(a))
    found.watched = 0
    return found


def _xlogy(a, b, shift=ZERO):
    c = b + shift
    if c < 0:
        if a == 0:
            raise Skip("the conventions are silent")
        found = undefined(2)
        found.r = [math.inf, float(-c)]
        return found
    if c == 0:
        if a == 0:
            return Local(ZERO, [-inf, ZERO], [(0, 1, nan), (1, 1, nan)], [0.0, 0.0])
        raise Skip("the sign of a zero decides")
    log = mp.log1p(b) if shift else mp.log(b)
    return Local(a * log, [log, a / c], [(0, 1, 1 / c), (1, 1, -a / (c * c))], [math.inf, float(c)])


def choice(v: Any, d: list[Any], gap: Any) -> Local:
    return Local(v, d, [], kind="select", gap=float(gap))


def _relu(a):
    return choice(max(a, ZERO), [ONE if a > 0 else ZERO], abs(a))


def _abs(a):
    return choice(abs(a), [mp.sign(a)], abs(a))


def _sign(a):
    return choice(mp.sign(a), [ZERO], abs(a))


def _floor(a):
    return choice(mp.floor(a), [ZERO], min(a - mp.floor(a), 1 - (a - mp.floor(a))))


def _ceil(a):
    return choice(mp.ceil(a), [ZERO], min(mp.ceil(a) - a, 1 - (mp.ceil(a) - a)))


def _leaky_relu(a, slope=None):
    slope_at_0 = mpf(0.01) if slope is None else slope
    if a > 0:
        found = Local(a, [ONE, ZERO], [], kind="linear", gap=float(a))
    elif a < 0:
        found = Local(slope_at_0 * a, [slope_at_0, a], [(0, 1, ONE)], kind="linear", gap=float(-a))
    else:  # the one-sided derivative of least size between them
        found = Local(ZERO, [min(max(slope_at_0, ZERO), ONE), ZERO], [(0, 1, nan)], kind="linear", gap=0.0)
    found.watched = 0
    return first(found) if slope is None else found


def _elu(a, alpha=None):
    scale = ONE if alpha is None else alpha
    if a > 0:
        found = Local(a, [ONE, ZERO], [], gap=float(a))
    elif a < 0:
        e = exponential(a)
        less = mp.expm1(a)
        found = Local(scale * less, [scale * e, less], [(0, 0, scale * e), (0, 1, e)], [1.0, math.inf], gap=float(-a))
    else:
        found = Local(ZERO, [min(max(scale, ZERO), ONE), ZERO], [(0, 1, nan)], gap=0.0)
    found.watched = 0
    return first(found) if alpha is None else found


def first(found: Local) -> Local:
    """The same as a function of its first operand alone."""
    found.d, found.h = found.d[:1], [x for x in found.h if x[1] == 0]
    found.r = found.r and found.r[:1]
    return found


def _add(a, b):
    return Local(a + b, [ONE, ONE], [], size=(float(abs(a + b)), float(abs(a) + abs(b))), kind="exact")


def _sub(a, b):
    return Local(a - b, [ONE, -ONE], [], size=(float(abs(a - b)), float(abs(a) + abs(b))), kind="exact")


def _mul(a, b):
    return Local(a * b, [b, a], [(0, 1, ONE)], kind="exact")


def _div(a, b):
    if b == 0:
        if a != 0:
            raise Skip("the sign of a zero decides")
        return undefined(2)
    v, d = a / b, 1 / b
    return Local(v, [d, -v * d], [(0, 1, -d * d), (1, 1, 2 * v * d * d)], [math.inf, float(abs(b))], kind="exact")


def _neg(a):
    return Local(-a, [-ONE], [], kind="select")


def _pow(a, b):
    whole = b == mp.floor(b)
    if a == 0:
        return _power_of_zero(b)
    if a < 0 and not whole:
        found = undefined(2)
        found.r = [float(-a), float(abs(b - mp.nint(b)))]
        return found
    n = int(b) if whole else 0
    v = a**n if whole else exponential(b * mp.log(a))
    d = b * (a ** (n - 1) if whole else v / a)
    h = b * (b - 1) * (a ** (n - 2) if whole else v / (a * a))
    r = math.inf if whole and 0 <= n <= 2 else float(abs(a) / (1 + abs(b)))
    if a < 0:  # defined for a whole exponent, and for no other near it
        return Local(v, [d, nan], [(0, 0, h), (0, 1, nan), (1, 1, nan)], [r, 0.0])
    log = mp.log(a)
    mixed = v / a * (1 + b * log)
    r_b = float(1 / abs(log)) if log else math.inf
    general = float(a / (1 + abs(b)))
    return Local(v, [d, v * log], [(0, 0, h), (0, 1, mixed), (1, 1, v * log * log)], [min(r, general), r_b])


def _power_of_zero(b):
    """0 ** b by the conventions; a derivative in the exponent is 0, and none of second order is certain."""
    unsure = [(0, 1, nan), (1, 1, nan)]
    if b < 0:
        raise Skip("the sign of a zero decides")
    if b == 0:
        return Local(ONE, [ZERO, ZERO], [(0, 0, ZERO), *unsure], [0.0, 0.0])
    d = ONE if b == 1 else inf if b < 1 else ZERO
    h = ZERO if b == 1 or b > 2 else mpf(2) if b == 2 else -inf if b < 1 else inf
    return Local(ZERO, [d, ZERO], [(0, 0, h), *unsure], [math.inf if b in (1, 2) else 0.0, 0.0])


def _power(n):
    """a ** n for a number n: whole powers are polynomials, with no singularity at 0 for n >= 0."""

    def power(a):
        found = first(_pow(a, mpf(n)))
        if n in (0, 1, 2):
            found.r = None if n < 2 else [math.inf]
        return found

    return power


def _exponential(base):
    """base ** b for a number base."""

    def power(b):
        whole = _pow(mpf(base), b)
        return curve(whole.v, whole.d[1], whole.h[2][2], whole.r[1])

    return power


def _atan2(a, b):
    s = a * a + b * b
    if s == 0:
        raise Skip("the sign of a zero decides")
    if a == 0 and b < 0:
        raise Skip("the sign of a zero decides")
    r, q = float(mp.sqrt(s)), s * s
    cut = float(abs(a)) if b < 0 else math.inf
    h = 2 * a * b / q
    found = Local(mp.atan2(a, b), [b / s, -a / s], [(0, 0, -h), (0, 1, (a * a - b * b) / q), (1, 1, h)], [r, r])
    found.gap = cut
    return found


def _hypot(a, b):
    v = mp.sqrt(a * a + b * b)
    if v == 0:
        return Local(ZERO, [ZERO, ZERO], [(0, 0, nan), (0, 1, nan), (1, 1, nan)], [0.0, 0.0])
    c, r = v**3, float(v)
    return Local(v, [a / v, b / v], [(0, 0, b * b / c), (0, 1, -a * b / c), (1, 1, a * a / c)], [r, r])


def _logaddexp(a, b):
    p, q = _logistic(a - b)
    v = max(a, b) + mp.log1p(exponential(-abs(a - b)))
    return Local(v, [p, q], [(0, 0, p * q), (0, 1, -p * q), (1, 1, p * q)], [1.0, 1.0])


def _maximum(a, b):
    share = HALF if a == b else ONE if a > b else ZERO
    return choice(max(a, b), [share, ONE - share], abs(a - b))


def _minimum(a, b):
    share = HALF if a == b else ONE if a < b else ZERO
    return choice(min(a, b), [share, ONE - share], abs(a - b))


def _comparison(holds):
    def compare(a, b):
        return choice(ONE if holds(a, b) else ZERO, [ZERO, ZERO], abs(a - b))

    return compare


def _clamp(a, low, high):
    """Kept between the bounds; at a bound the derivative is 0; high where they cross."""
    inside = low < a < high
    kept = max(a, low)
    if low == high and a <= low:
        raise Skip("the conventions are silent")
    d = [ONE if inside else ZERO, ONE if a < low <= high else ZERO, ONE if kept > high else ZERO]
    return choice(min(kept, high), d, min(abs(a - low), abs(kept - high)))


def _where(condition, a, b):
    found = choice(
        a if condition else b, [ZERO, ONE if condition else ZERO, ZERO if condition else ONE], abs(condition)
    )
    found.watched = 0
    return found


def _sum(*xs):
    v = mp.fsum(xs)
    return Local(v, [ONE] * len(xs), [], size=(float(abs(v)), sum(float(abs(x)) for x in xs)), kind="exact")


def _mean(*xs):
    n = len(xs)
    found = _sum(*xs)
    v = found.v / n
    return Local(v, [ONE / n] * n, [], size=(float(abs(v)), found.size[1] / n), kind="exact")


def _prod(*xs):
    n = len(xs)
    others = [mp.fprod(x for j, x in enumerate(xs) if j != i) for i in range(n)]
    h = [(i, j, mp.fprod(x for k, x in enumerate(xs) if k not in (i, j))) for j in range(n) for i in range(j)]
    return Local(mp.fprod(xs), others, h, [float(abs(x)) for x in xs])


def _extreme(choose):
    def extreme(*xs):
        v = choose(xs)
        hits = [x == v for x in xs]
        ties = sum(hits)
        others = [abs(x - v) for x in xs if x != v]
        return choice(v, [ONE / ties if hit else ZERO for hit in hits], 0 if ties > 1 else min(others, default=inf))

    return extreme


def _norm(*xs):
    n = len(xs)
    v = mp.sqrt(mp.fsum(x * x for x in xs))
    if v == 0:
        return Local(ZERO, [ZERO] * n, [(i, j, nan) for j in range(n) for i in range(j + 1)], [0.0] * n)
    d = [x / v for x in xs]
    h = [(i, j, ((i == j) - d[i] * d[j]) / v) for j in range(n) for i in range(j + 1)]
    return Local(v, d, h, [float(v)] * n)


def _shares(xs):
    """(largest, softmax, log of the sum of exp(x - largest)): the sum is 1 and maybe something small."""
    top = max(xs)
    parts = [exponential(x - top) for x in xs]
    rest = list(parts)
    rest.remove(ONE)
    total = mp.fsum(parts)
    return top, [part / total for part in parts], mp.log1p(mp.fsum(rest))


def _logsumexp(*xs):
    top, p, rest = _shares(xs)
    n = len(xs)
    h = [(i, j, p[i] * ((i == j) - p[j])) for j in range(n) for i in range(j + 1)]
    return Local(top + rest, p, h, [1.0] * n)


def _softmax(component):
    k = int(component)

    def softmax(*xs):
        _, p, _ = _shares(xs)
        n = len(xs)
        d = [p[k] * ((i == k) - p[i]) for i in range(n)]
        h = [
            (i, j, p[k] * (((i == k) - p[i]) * ((j == k) - p[j]) - p[i] * ((i == j) - p[j])))
            for j in range(n)
            for i in range(j + 1)
        ]
        sizes = [float(p[k] * ((i == k) + p[i])) for i in range(n)]
        return Local(p[k], d, h, [1.0] * n, sizes=sizes)

    return softmax


def _log_softmax(component):
    k = int(component)

    def log_softmax(*xs):
        top, p, rest = _shares(xs)
        n = len(xs)
        h = [(i, j, -p[i] * ((i == j) - p[j])) for j in range(n) for i in range(j + 1)]
        sizes = [float((i == k) + p[i]) for i in range(n)]
        v = xs[k] - top - rest
        size = float(abs(v)), float(abs(v)) + 1.0  # 1 + what is small is added up in any order
        return Local(v, [(i == k) - p[i] for i in range(n)], h, [1.0] * n, size, sizes)

    return log_softmax


def _dot(*xs):
    n = len(xs) // 2
    terms = [xs[i] * xs[n + i] for i in range(n)] + list(xs[2 * n :])
    size = sum(float(abs(x)) for x in terms) * max(1.0, len(xs) / 2)  # summed as it stands: relative to its terms
    d = [*xs[n : 2 * n], *xs[:n], *([ONE] if len(xs) > 2 * n else [])]
    return Local(mp.fsum(terms), d, [(i, n + i, ONE) for i in range(n)], size=(size, size), kind="exact")


PRIMITIVES = {
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "pow": _pow,
    "exp": _exp, "expm1": _expm1, "log": _log, "log2": lambda a: _log(a, mp.ln2), "log10": lambda a: _log(a, mp.ln10),
    "log1p": _log1p, "sqrt": _sqrt, "cbrt": _cbrt, "sin": _sin, "cos": _cos, "tan": _tan, "asin": _asin, "acos": _acos,
    "atan": _atan, "sinh": _sinh, "cosh": _cosh, "tanh": _tanh, "asinh": _asinh, "acosh": _acosh, "atanh": _atanh,
    "sigmoid": _sigmoid, "log_sigmoid": _log_sigmoid, "softplus": _softplus, "relu": _relu, "leaky_relu": _leaky_relu,
    "elu": _elu, "silu": _silu, "gelu": _gelu, "erf": _erf, "erfc": _complement, "sign": _sign, "abs": _abs,
    "floor": _floor, "ceil": _ceil, "atan2": _atan2, "hypot": _hypot, "logaddexp": _logaddexp, "maximum": _maximum,
    "minimum": _minimum, "clamp": _clamp, "where": _where, "greater": _comparison(lambda a, b: a > b),
    "greater_equal": _comparison(lambda a, b: a >= b), "less": _comparison(lambda a, b: a < b),
    "less_equal": _comparison(lambda a, b: a <= b), "equal": _comparison(lambda a, b: a == b),
    "not_equal": _comparison(lambda a, b: a != b),
    "sum": _sum, "prod": _prod, "mean": _mean, "max": _extreme(max), "min": _extreme(min), "norm": _norm,
    "logsumexp": _logsumexp, "dot": _dot, "ndtr": _ndtr, "log_ndtr": _log_ndtr, "ndtri": _ndtri, "erfinv": _erfinv,
    "lgamma": _lgamma, "digamma": _polygamma(0), "sinc": _sinc, "logit": _logit, "exp2": _exp2,
    "degrees": _scaled(lambda: 180 / mp.pi), "radians": _scaled(lambda: mp.pi / 180), "mod": _mod,
    "floor_divide": _floor_divide, "rint": _rint, "trunc": _trunc, "heaviside": _heaviside, "xlogy": _xlogy,
    "xlog1py": lambda a, b: _xlogy(a, b, ONE),
}  # fmt: skip
"""Each primitive as a function of mpmath numbers. softmax, log_softmax and powers with a number in them are made for
the component or the number."""

MADE = {
    "polygamma": _polygamma,
    "round": _round,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "power": _power,
    "exponential": _exponential,
}
NATURAL = {"add", "sub", "mul", "neg", "sum", "mean", "prod", "dot", "where"}
"""Where a NaN among the operands does not make every derivative NaN: plain IEEE arithmetic."""
ODD = {"sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "expm1", "log1p", "sqrt", "cbrt", "erf",
       "gelu", "silu", "elu", "leaky_relu", "hypot", "norm", "erfinv", "degrees", "radians", "mod", "round", "xlogy",
       "xlog1py"}  # fmt: skip
"""Exactly 0 at 0, in floats as well."""


def local(op: str, extra: float | None, xs: Sequence[Any]) -> Local:
    """A primitive at a point of mpmath numbers, with IEEE 754's rules where one is not finite."""
    n = len(xs)
    if any(map(mp.isnan, xs)):
        if op == "where":
            if mp.isnan(xs[0]):
                return Local(nan, [ZERO, nan, nan], [], kind="select")
            return _where(*xs)
        if op not in NATURAL:
            if op in ("leaky_relu", "elu", "heaviside") and n > 1 and not mp.isnan(xs[0]):
                raise Skip("the conventions are silent")
            return undefined(n)
    elif any(map(mp.isinf, xs)) and op not in ("where", "relu", "maximum", "minimum", "max", "min", "greater", "less"):
        raise Skip("an operand is infinite")
    try:
        return MADE[op](extra)(*xs) if extra is not None else PRIMITIVES[op](*xs)
    except OverflowError:  # of mpmath's own integers
        raise Skip("a result is beyond the floats") from None


# --- nodes ------------------------------------------------------------------------------------------------


class Node:
    """A step of a program at a point: the exact numbers, and their sizes as floats."""

    __slots__ = ("d", "exact", "extra", "f", "h", "local", "names", "on_grid", "op", "r", "s", "sizes", "v", "xs")

    def __init__(self, op: str, extra: float | None, names: tuple[Any, ...], operands: Sequence[Any]) -> None:
        self.op, self.extra, self.names, self.xs = op, extra, names, operands
        self.local = found = local(op, extra, operands)
        self.v = found.v
        self.f = f = abs(float(found.v))
        if f > (1e36 if SINGLE else 1e300) and mp.isfinite(found.v):
            raise Skip("a result is beyond the floats")
        self.d = [abs(float(x)) for x in found.d]
        self.sizes = found.sizes or self.d
        self.r = found.r
        self.s = self._second_sizes(found)
        self.h = found.h
        self.exact = found.kind == "exact" and not f - f and mpf(nearest(found.v)) == found.v
        if self.exact and op in ("add", "sub", "sum", "mean", "dot"):  # beyond 50 digits the truth is rounded too
            sizes = [abs(x) for x in operands if x]
            self.exact = not sizes or min(sizes) > max(sizes) * mpf(10) ** -40
        self.on_grid = self.exact and self._is_on_grid(op, operands)
        if op in ("dot", "mean"):  # two roundings: exact only where the first one is
            self.exact = self.on_grid

    @staticmethod
    def _is_on_grid(op: str, operands: Sequence[Any]) -> bool:
        """Whether every way to evaluate it is exact: sums of modest multiples of 2**-20, products, halves."""
        numbers = [float(x) for x in operands]
        if op == "mul":
            return True
        if op == "dot":
            most, grid = (2.0**4, 2.0**3) if SINGLE else (2.0**8, 2.0**10)
            return all(abs(x) < most and x * grid == math.floor(x * grid) for x in numbers)
        if op in ("div", "mean"):
            by = abs(numbers[1]) if op == "div" else float(len(numbers))
            if math.frexp(by)[0] != 0.5:
                return False
            numbers = numbers[: 1 if op == "div" else None]
        most, grid = (2.0**8, 2.0**9) if SINGLE else (2.0**16, 2.0**20)
        return all(abs(x) < most and x * grid == math.floor(x * grid) for x in numbers)

    def _second_sizes(self, found: Local) -> list[tuple[int, int, float]]:
        """S_ij: the sizes of the second partials, and of what they are made of."""
        r, d = found.r, self.sizes
        if r is None:  # at a kink whose second derivative is nobody's to say, the slope still moves as it may
            return [
                (i, j, 1.0 if x != x and self.op in ("elu", "leaky_relu") else abs(float(x))) for i, j, x in found.h
            ]
        return [
            (i, j, abs(float(x)) + _over(d[i], r[j]) + (_over(d[j], r[i]) if i != j else 0.0)) for i, j, x in found.h
        ]


def _over(size: float, length: float) -> float:
    return size / length if length else math.inf if size else 0.0


def value_error(node: Node, errors: Sequence[float], accuracy: Accuracy) -> float:
    """E(f) of a node from the errors of its operands; Skip where they could turn a decision."""
    found = node.local
    if found.gap < math.inf:
        doubt = errors[found.watched] if found.watched is not None else sum(errors)
        if doubt and not doubt < 0.5 * found.gap:
            raise Skip("a kink within the error of an operand")
    if node.f != node.f:
        if any(errors) and node.r is not None and any(e > FAR * r for e, r in zip(errors, node.r, strict=True)):
            raise Skip("ill-conditioned")
        return 0.0
    total = 0.0
    for e, d in zip(errors, node.d, strict=True):
        if e and d:
            total += e * d
    if found.kind == "select":
        return total
    if node.op in ("elu", "leaky_relu") and not node.xs[0] and not errors[0]:
        return 0.0
    if total == 0.0 and not any(errors):
        if node.on_grid if accuracy.any_order else node.exact:
            return 0.0
        if not node.v and node.op in ODD:
            return 0.0
    elif node.r is not None:
        for e, r in zip(errors, node.r, strict=True):
            if e > FAR * r:
                raise Skip("ill-conditioned")
    for i, j, s in node.s:
        if errors[i] and errors[j]:
            total += s * errors[i] * errors[j]
    ulps, floor = accuracy.value, 0.0
    row = TABLE.get(node.op)
    if row is not None:
        ulps = max(ulps, accuracy.of_row * row.ulp[0])
        low, high = row.near
        if row.floor[0] and any(low <= x <= high for x in node.xs):
            floor = row.floor[0] * EPS / 2.0**-52
    size = node.f
    if found.size is not None:
        size = found.size[accuracy.any_order]
        if accuracy.any_order:
            ulps = max(ulps, len(errors))
    elif len(errors) > 2:
        ulps = max(ulps, ulps * len(errors) / 2)
    if node.op in ("softmax", "log_softmax"):
        ulps *= 4.0
    if found.kind == "exact":
        rounded = 1e-45 * found.size[1] if found.size is not None else 0.0  # the truth has 50 digits
        return total + ulps * EPS * size + rounded + (TINY if node.v else 0.0)
    return total + ulps * EPS * size + floor + (UNDERFLOW if found.kind == "" else TINY)


# --- a program at a point ---------------------------------------------------------------------------------


@dataclass
class Known:
    """What is true of a program at a point: numbers and how far floats may be off."""

    value: Any
    value_bound: float
    gradient: list[Any]
    gradient_bound: list[float]
    tangent: Any
    tangent_bound: float
    product: list[Any] | None
    product_bound: list[float]
    curvature: Any
    curvature_bound: float
    why_no_product: str = ""


def reached(root: int, leaves: int, operands: Sequence[tuple[Any, ...]]) -> list[bool]:
    """Which nodes the result is computed from; `operands` are those of the steps, which come after the leaves."""
    live = [False] * (leaves + len(operands))
    live[root] = True
    for k in range(root, leaves - 1, -1):
        if live[k]:
            for x in operands[k - leaves]:
                if type(x) is not float:
                    live[x] = True
    return live


class Evaluated:
    """The steps of a program at a point, made one by one; then its derivatives.

    Nodes 0 ... n - 1 are the leaves. An operand is the number of a node, or a float.
    """

    def __init__(self, leaves: Sequence[float]) -> None:
        self.leaves = len(leaves)
        self.values: list[Any] = [mpf(x) for x in leaves]
        self.nodes: list[Node | None] = [None] * len(leaves)
        self.errors = [0.0] * len(leaves)

    def step(self, op: str, extra: float | None, names: tuple[Any, ...]) -> Node:
        """A step that is not added yet; Skip if it cannot be judged."""
        operands = [mpf(x) if type(x) is float else self.values[x] for x in names]
        return Node(op, extra, names, operands)

    def error(self, node: Node, errors: Sequence[float], accuracy: Accuracy) -> float:
        return value_error(node, [0.0 if type(x) is float else errors[x] for x in node.names], accuracy)

    def add(self, node: Node, error: float) -> None:
        self.values.append(node.v)
        self.nodes.append(node)
        self.errors.append(error)

    def add_dead(self) -> None:
        """A place for a step that nothing needs."""
        self.values.append(nan)
        self.nodes.append(None)
        self.errors.append(0.0)

    def known(self, root: int, direction: Sequence[float], accuracy: Accuracy = EAGER) -> Known:
        """The value, the gradient, the tangent along a direction, the Hessian times it; with their bounds."""
        live = reached(root, self.leaves, [() if node is None else node.names for node in self.nodes[self.leaves :]])
        errors = self.errors
        if accuracy is not EAGER:
            errors = [0.0] * self.leaves
            for k in range(self.leaves, root + 1):
                node = self.nodes[k]
                errors.append(self.error(node, errors, accuracy) if live[k] else 0.0)
        partials = [
            None if node is None or not live[k] else _partial_errors(node, errors, accuracy)
            for k, node in enumerate(self.nodes[: root + 1])
        ]
        walk = _Walk(self, root, live, partials, errors)
        walk.adjoints()
        gradient, gradient_bound = walk.g[: self.leaves], walk.eg[: self.leaves]
        if any(mp.isfinite(g) and abs(g) > LARGE * LARGE for g in gradient):
            raise Skip("a derivative is too large")
        found = Known(
            self.values[root], errors[root], gradient, gradient_bound, ZERO, 0.0, None, [], ZERO, 0.0
        )  # fmt: skip
        found.tangent = mp.fdot(gradient, [mpf(x) for x in direction])
        found.tangent_bound = math.inf
        if not mp.isfinite(found.tangent):
            found.tangent, found.why_no_product = None, "the gradient is not finite"
            return found
        try:
            walk.tangents(direction)
            if walk.et[root] < math.inf:
                found.tangent_bound = walk.et[root]
            walk.seconds(accuracy)
            found.product, found.product_bound = walk.a[: self.leaves], walk.ea[: self.leaves]
            found.curvature = mp.fdot(found.product, [mpf(x) for x in direction])
            found.curvature_bound = walk.bound_of_curvature
        except Skip as reason:
            found.why_no_product = str(reason)
        if not found.tangent_bound < math.inf:
            n = len(direction) + 1
            found.tangent_bound = sum(
                (e + n * EPS * abs(float(g))) * abs(v)
                for e, g, v in zip(gradient_bound, gradient, direction, strict=True)
            )
        return found


def _partial_errors(node: Node, errors: Sequence[float], accuracy: Accuracy) -> tuple[list[float], list[float]]:
    """(sum over j of S_ij E_j, D_i) for each operand."""
    n = len(node.d)
    if node.local.kind == "select":
        return [0.0] * n, [0.0] * n
    moved = [0.0] * n
    own = [0.0 if type(x) is float else errors[x] for x in node.names]
    for i, j, s in node.s:
        if own[j]:
            moved[i] += s * own[j]
        if i != j and own[i]:
            moved[j] += s * own[i]
    if node.op in ("add", "sub", "sum", "mul", "dot"):
        return moved, list(moved)
    ulps, floor = accuracy.partial, 0.0
    row = TABLE.get(node.op)
    if row is not None:
        ulps = max(ulps, accuracy.of_row * row.ulp[1])
        low, high = row.near
        if row.floor[1] and any(low <= x <= high for x in node.xs):
            floor = row.floor[1] * EPS / 2.0**-52
    if n > 2:
        ulps *= n / 2
    if node.op in ("softmax", "log_softmax"):
        ulps *= 4.0
    if node.local.kind == "":
        floor += UNDERFLOW
    elif node.op == "div":  # -v / b, of a v that may be subnormal
        floor += TINY * (1.0 + 1.0 / node.r[1])
    return moved, [  # a partial that is too small for a float is not 0 for that
        m + ulps * EPS * size + (floor if size or exact else 0.0)
        for m, size, exact in zip(moved, node.sizes, node.local.d, strict=True)
    ]


class _Walk:
    """The derivatives of a program at a point, with their bounds, from the root down and from the leaves up."""

    def __init__(self, program: Evaluated, root: int, live: list[bool], partials: Any, errors: Sequence[float]) -> None:
        n = root + 1
        self.program, self.root, self.live, self.partials, self.errors = program, root, live, partials, errors
        self.g, self.eg = [ZERO] * n, [0.0] * n
        self.t, self.et = [ZERO] * n, [0.0] * n
        self.a, self.ea = [ZERO] * n, [0.0] * n
        self.bound_of_curvature = 0.0

    def adjoints(self) -> None:
        """g_i = d(root)/d(f_i); an adjoint that is exactly 0 contributes nothing, whatever the partial."""
        g, eg = self.g, self.eg
        g[self.root] = ONE
        uses, sizes = [0] * len(g), [0.0] * len(g)
        for k in range(self.root, -1, -1):
            if uses[k] > 1:
                eg[k] += uses[k] * EPS * sizes[k]
            node = self.program.nodes[k]
            if node is None or not self.live[k]:
                continue
            adjoint, off = g[k], eg[k]
            size = abs(float(adjoint))
            if not size and not off:
                continue
            if LARGE * LARGE < size < math.inf:
                raise Skip("a derivative is too large")
            _, errors = self.partials[k]
            branch = node.local.kind == "select"
            for x, d, e, partial in zip(node.names, node.d, errors, node.local.d, strict=True):
                if type(x) is float or (branch and not d):
                    if node.op == "abs" and size - size:  # |x| at 0 passes nothing over: 0 or inf * 0
                        raise Skip("the conventions are silent")
                    continue
                if d > LARGE * LARGE and mp.isfinite(partial):
                    raise Skip("a derivative is too large")
                if d - d or size - size:  # IEEE 754 says what comes of it, if it is known which factor is 0
                    if d - d and size <= off:
                        raise Skip("an adjoint that may be 0 meets a derivative that is not finite")
                    if size - size and d <= e and e:
                        raise Skip("a derivative that may be 0 meets an adjoint that is not finite")
                    g[x] += adjoint * partial
                    continue
                g[x] += adjoint * partial
                part = size * d
                if off or (size and (d or e)):
                    eg[x] += off * (d + e) + size * e + EPS * part + TINY
                    sizes[x] += part
                    uses[x] += 1

    def tangents(self, direction: Sequence[float]) -> None:
        """t_i = the derivative of f_i along the direction; an operand whose partial is exactly 0 adds nothing."""
        t, et = self.t, self.et
        for i, v in enumerate(direction):
            t[i] = mpf(v)
        for k in range(self.program.leaves, self.root + 1):
            node = self.program.nodes[k]
            if not self.live[k]:
                continue
            _, errors = self.partials[k]
            total, off, whole, terms = ZERO, 0.0, 0.0, 0
            for x, d, e, partial in zip(node.names, node.d, errors, node.local.d, strict=True):
                if type(x) is float or (not d and not e):
                    continue
                size = abs(float(t[x]))
                if not size and not et[x]:
                    continue
                if d - d:  # matters only if an adjoint comes this way: `seconds` will see
                    total, off = nan, math.inf
                    break
                total += partial * t[x]
                whole += d * size
                off += et[x] * (d + e) + size * e + EPS * d * size + TINY
                terms += 1
            t[k], et[k] = total, off + (terms * EPS * whole if terms > 1 else 0.0)

    def seconds(self, accuracy: Accuracy) -> None:
        """a_i = the derivative of g_i along the direction: at the leaves the Hessian times it."""
        g, eg, t, et, a, ea = self.g, self.eg, self.t, self.et, self.a, self.ea
        uses, sizes = [0] * len(a), [0.0] * len(a)
        for k in range(self.root, -1, -1):
            if uses[k] > 1:
                ea[k] += uses[k] * EPS * sizes[k]
            node = self.program.nodes[k]
            if node is None or not self.live[k]:
                continue
            size_g, size_a = abs(float(g[k])), abs(float(a[k]))
            if not size_g and not size_a and not eg[k] and not ea[k]:
                continue
            if node.r is not None and node.v and node.f < (1e-30 if SINGLE else 1e-290):
                raise Skip("a result is too small for its second derivatives")
            moved, errors = self.partials[k]
            branch = node.local.kind == "select"
            if size_a > LARGE or size_g > LARGE:
                raise Skip("a second derivative is too large")
            for x, d, e, partial in zip(node.names, node.d, errors, node.local.d, strict=True):
                if type(x) is float or (branch and not d) or (not size_a and not ea[k]):
                    continue
                if not d < LARGE:
                    raise Skip("a second derivative is too large" if d == d else "a NaN is live")
                part = size_a * d
                a[x] += a[k] * partial
                ea[x] += ea[k] * (d + e) + size_a * e + EPS * part + TINY
                sizes[x] += part
                uses[x] += 1
            if not size_g and not eg[k]:
                continue
            own = [0.0 if type(x) is float else self.errors[x] for x in node.names]
            r = node.r
            drift = 3.0 * sum(_over(o, q) for o, q in zip(own, r, strict=True)) if r is not None else 0.0
            for (i, j, h), (_, _, s) in zip(node.h, node.s, strict=True):
                x, y = node.names[i], node.names[j]
                if type(x) is float or type(y) is float:
                    continue
                if not s < LARGE or h != h:
                    raise Skip(
                        "a second derivative is not finite" if h - h or h != h else "a second derivative is too large"
                    )
                off = s * (accuracy.second * EPS + drift) + UNDERFLOW
                if r is not None:
                    off += 3.0 * (_over(moved[i], r[j]) + _over(moved[j], r[i]))
                weight = g[k] * h
                for to, along in ((x, y), (y, x)) if i != j else ((x, x),):
                    size_t = abs(float(t[along]))
                    if not size_t and not et[along]:
                        continue
                    if not size_t < LARGE:
                        raise Skip("a second derivative is too large")
                    a[to] += weight * t[along]
                    part = size_g * s * size_t
                    ea[to] += (
                        (eg[k] * s + size_g * off) * size_t + (size_g + eg[k]) * s * et[along] + 2 * EPS * part + TINY
                    )
                    sizes[to] += part
                    uses[to] += 1
        self.bound_of_curvature = self._curvature()

    def _curvature(self) -> float:
        """Forward over forward adds up g s t t, node by node; through the leaves it is the product's bound times v.

        What underflows at a node is multiplied by the adjoint there.
        """
        n = self.program.leaves
        t = self.t[:n]
        lost = TINY * sum(size for size in (abs(float(g)) for g in self.g) if size < math.inf)
        return 4.0 * lost + 2.0 * sum(
            (e + n * EPS * abs(float(x))) * abs(float(v)) for e, x, v in zip(self.ea[:n], self.a[:n], t, strict=True)
        )


def ratio(got: float, true: Any, bound: float) -> float:
    """The error in units of the bound; -1 if there is no bound. NaN for NaN is right, and inf for inf."""
    if mp.isnan(true):
        return 0.0 if got != got else math.inf
    if mp.isinf(true):
        return 0.0 if got == float(true) else math.inf
    if got - got:
        return math.inf
    if not bound < math.inf:
        return -1.0
    error = float(abs(mp.mpf(got) - true))
    return error / bound if bound else math.inf if error else 0.0
