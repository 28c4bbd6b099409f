"""Functions of exported programs that some language lacks, in the small part of Python that translate.py translates.

Those that engine/kernels.py has in this form already are taken from there (KERNELS). Here are the others; each states
its bound, and a test holds it against 50 digits. They call the functions of base.py, which every language has.
"""

from __future__ import annotations

import math
from math import copysign, fmod, pi

from autograd_lite.engine import kernels
from autograd_lite.engine.kernels import BERNOULLI, LARGEST_ORDER
from autograd_lite.engine.kernels import _cos_pi as cos_pi
from autograd_lite.engine.kernels import _gauss as gauss
from autograd_lite.engine.kernels import _sin_pi as sin_pi
from autograd_lite.folding.backends.native import coefficients
from autograd_lite.folding.export.base import exp, fabs, floor, log, pow, rint, sqrt

inf, nan = math.inf, math.nan

KERNELS = {"high_bits": kernels._high} | {
    name: getattr(kernels, f"_{name}")
    for name in ("gauss", "expdiff", "ndtr", "hazard", "excess", "log_ndtr", "erfinv", "sin_pi", "cos_pi")
}
"""Functions whose text is in engine/kernels.py."""

ERF, ERFCX = coefficients.DOUBLE["ERF"], coefficients.DOUBLE["ERFCX"]
ERFCX_0 = coefficients.DOUBLE["ERFCX_0"][0]
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
FRACTIONS = tuple(b / ((2 * j + 1) * (2 * j + 2)) for j, b in enumerate(BERNOULLI))
TAILS = tuple(b / (2 * j + 2) for j, b in enumerate(BERNOULLI))

# Wichura's algorithm AS 241: numerators and denominators, the highest power first.
MIDDLE = (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
          1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080)  # fmt: skip
UNDER_MIDDLE = (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
                5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0)  # fmt: skip
NEAR = (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258,
        3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734)  # fmt: skip
UNDER_NEAR = (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
              1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187,
              1.0)  # fmt: skip
FAR = (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
       2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720)  # fmt: skip
UNDER_FAR = (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
             7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
             5.99832206555887937690e-1, 1.0)  # fmt: skip


def chain(a: float, b: float) -> float:
    """a b, and 0 where a is 0, whatever b is: an adjoint of 0 contributes 0."""
    if a == 0.0:
        return 0.0
    return a * b


def masked(a: float, b: float) -> float:
    """a b, and 0 where either is 0."""
    if a == 0.0 or b == 0.0:
        return 0.0
    return a * b


def power(a: float, b: float) -> float:
    """a ** b over the reals; NaN in gives NaN."""
    if a != a or b != b:
        return nan
    if fabs(a) == 1.0 and fabs(b) == inf:
        return 1.0
    return pow(a, b)


def hypotenuse(a: float, b: float) -> float:
    """sqrt(a a + b b) without overflow on the way; 1 ulp."""
    x = fabs(a)
    y = fabs(b)
    if x != x or y != y:
        return nan
    if x < y:
        x = fabs(b)
        y = fabs(a)
    if y == 0.0 or x == inf:
        return x
    r = y / x
    if r > 0.5:
        return x * sqrt(1.0 + r * r)
    return x + y * (r / (1.0 + sqrt(1.0 + r * r)))


def modulo(a: float, b: float) -> float:
    """The remainder of a / b with the sign of b; NaN where b is 0."""
    if b == 0.0 or fabs(a) == inf:
        return nan
    r = fmod(a, b)
    if r != r:
        return nan
    if r == 0.0:
        return copysign(0.0, b)
    if (r < 0.0) != (b < 0.0):
        return r + b
    return r


def floor_divide(a: float, b: float) -> float:
    """The largest whole number not above a / b; NaN where b is 0."""
    if b == 0.0 or fabs(a) == inf:
        return nan
    r = fmod(a, b)
    if r != r:
        return nan
    q = (a - r) / b
    if r != 0.0 and (r < 0.0) != (b < 0.0):
        q = q - 1.0
    if q == 0.0:
        return copysign(0.0, a / b)
    whole = floor(q)
    if q - whole > 0.5:
        whole = whole + 1.0
    return whole


def rounded(a: float, digits: float) -> float:
    """a rounded to decimal digits, half to even; exact for up to 22 of them."""
    if a != a or digits != digits:
        return nan
    if fabs(digits) == inf or digits != floor(digits):
        return nan
    if fabs(a) == inf:
        return a
    if digits < -308.0:
        return copysign(0.0, a)
    ten = pow(10.0, fabs(digits))
    if digits >= 0.0:
        if ten == inf or fabs(a) * ten >= 9007199254740992.0:
            return a  # finer than the last place of a
        p = a * ten
        n = rint(p)
        # Whether p was rounded onto or over a half: what the product lost decides (Veltkamp and Dekker).
        c = 134217729.0 * a
        a_high = c - (c - a)
        c = 134217729.0 * ten
        ten_high = c - (c - ten)
        a_low = a - a_high
        ten_low = ten - ten_high
        lost = ((a_high * ten_high - p) + a_high * ten_low + a_low * ten_high) + a_low * ten_low
        if p - n == 0.5 and lost > 0.0:
            n = n + 1.0
        if p - n == -0.5 and lost < 0.0:
            n = n - 1.0
        return copysign(fabs(n) / ten, a)
    rest = fmod(fabs(a), ten)
    whole = floor(fabs(a) / ten)
    if whole * ten > fabs(a):
        whole = whole - 1.0
    n = whole
    if rest * 2.0 > ten or (rest * 2.0 == ten and fmod(whole, 2.0) == 1.0):
        n = whole + 1.0
    return copysign(n * ten, a)


def erfc(x: float) -> float:
    """1 - erf(x): exp(-x x) times a polynomial over 1 + 2 x; 6 ulp."""
    a = fabs(x)
    if a != a:
        return nan
    if a < 0.5:
        return 1.0 - erf(x)
    if a > 28.0:
        return 2.0 if x < 0.0 else 0.0
    q = (a - 4.0) / (a + 4.0)
    p = 0.0
    for c in ERFCX:
        p = p * q + c
    tail = gauss(a, 1.0) * ((ERFCX_0 + q * p) / (1.0 + 2.0 * a))
    if x < 0.0:
        return 2.0 - tail
    return tail


def erf(x: float) -> float:
    """The error function; 2 ulp."""
    if fabs(x) < 1.0:
        p = 0.0
        for c in ERF:
            p = p * (x * x) + c
        return x + x * p
    return 1.0 - erfc(x) if x > 0.0 else erfc(-x) - 1.0


def log_gamma(a: float) -> float:
    """log |gamma(a)|: Stirling's series from 10 on, the recurrence below; 1e-14 of the larger of 1 and its size."""
    if a != a:
        return nan
    if fabs(a) == inf:
        return inf
    if a <= 0.0 and a == floor(a):
        return inf
    if a < 0.0:
        return log(pi) - log(fabs(sin_pi(a))) - log(-a) - log_gamma(-a)
    if a == 1.0 or a == 2.0:
        return 0.0
    factor = 1.0
    while a < 10.0:
        factor = factor * a
        a = a + 1.0
    square = 1.0 / (a * a)
    term = 1.0 / a
    series = 0.0
    for c in FRACTIONS:
        series = series + c * term
        term = term * square
    if a > 1e306:
        return a * (log(a) - 1.0)
    return (a - 0.5) * log(a) - a + HALF_LOG_2PI + series - log(factor)


def ndtri(p: float) -> float:
    """The inverse of ndtr by Wichura's algorithm AS 241; 1e-15."""
    if p == 0.0:
        return -inf
    if p == 1.0:
        return inf
    if not (p > 0.0 and p < 1.0):
        return nan
    q = p - 0.5
    top = 0.0
    under = 0.0
    if fabs(q) <= 0.425:
        r = 0.180625 - q * q
        for c in MIDDLE:
            top = top * r + c
        for c in UNDER_MIDDLE:
            under = under * r + c
        return q * top / under
    r = sqrt(-log(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        r = r - 1.6
        for c in NEAR:
            top = top * r + c
        for c in UNDER_NEAR:
            under = under * r + c
    else:
        r = r - 5.0
        for c in FAR:
            top = top * r + c
        for c in UNDER_FAR:
            under = under * r + c
    return -(top / under) if q < 0.0 else top / under


def digamma(a: float) -> float:
    """The derivative of log gamma; 1e-14 of the larger of 1 and its size."""
    return polygamma(0.0, a)


def polygamma(n: float, a: float) -> float:
    """The n-th derivative of digamma: Euler and Maclaurin's sum, and the reflection for a < 0; 1e-13."""
    if not (n >= 0.0 and n <= LARGEST_ORDER and n == floor(n)) or a != a or a == -inf:
        return nan
    odd = fmod(n, 2.0) == 1.0
    if a <= 0.0:
        if a == 0.0:
            return inf if odd else copysign(inf, -a)
        if a == floor(a):
            return nan
        other = polygamma(n, 1.0 - a)
        if odd:
            other = -other
        return other - pow(pi, n + 1.0) * cotangent(n, a)
    if a == inf:
        return inf if n == 0.0 else 0.0
    y = a
    power_n = n + 1.0
    total = 0.0
    while y < 10.0 + n:
        total = total + (1.0 / y if n == 0.0 else pow(y, -power_n))
        y = y + 1.0
    square = 1.0 / (y * y)
    if n == 0.0:
        term = square
        for c in TAILS:
            total = total + c * term
            term = term * square
        return log(y) - 0.5 / y - total
    rest = pow(y, -n)
    total = total + rest / n + 0.5 * rest / y
    factor = rest * (power_n / 2.0) * square
    j = 1.0
    for c in BERNOULLI:
        total = total + c * factor
        factor = factor * ((n + 2.0 * j) * (n + 2.0 * j + 1.0) / ((2.0 * j + 1.0) * (2.0 * j + 2.0)) * square)
        j = j + 1.0
    if n < 150.0:
        j = 2.0
        while j <= n:
            total = total * j
            j = j + 1.0
    else:
        total = exp(log_gamma(power_n) + log(total))
    return total if odd else -total


def cotangent(n: float, a: float) -> float:
    """The n-th derivative of cot(x) at x = pi a: a polynomial in the cotangent, P' of it times -(1 + c^2)."""
    p = [0.0] * 503
    slope = [0.0] * 503
    p[1] = 1.0
    order = int(n)
    for step in range(1, order + 1):
        for k in range(step + 1):
            slope[k] = (k + 1) * p[k + 1]
        slope[step + 1] = 0.0
        for k in range(step + 2):
            p[k] = -slope[k]
        for k in range(2, step + 2):
            p[k] = p[k] - slope[k - 2]
    c = cos_pi(a) / sin_pi(a)
    value = 0.0
    for k in range(order + 1, -1, -1):
        value = value * c + p[k]
    return value


def sinc(a: float, n: float) -> float:
    """The n-th derivative of sin(pi a) / (pi a): the Taylor series near 0, further out its recurrence; 1e-14."""
    if a - a != 0.0 or not (n >= 0.0 and n <= LARGEST_ORDER and n == floor(n)):
        return nan
    z = pi * a
    if fabs(z) >= 1.5 and fabs(z) >= 0.5 * n:
        value = sin_pi(a) / z
        derivative = cos_pi(a)
        before = sin_pi(a)
        k = 1.0
        while k <= n:
            value = (derivative - k * value) / z
            swap = derivative
            derivative = -before
            before = swap
            k = k + 1.0
        return value * pow(pi, n)
    m = fmod(n, 2.0)
    term = 1.0 if m == 0.0 else z
    total = 0.0
    count = 0.0
    while count < 4.0 or fabs(term) > 1e-20:
        half = floor((m + n) / 2.0)
        total = total + (-term if fmod(half, 2.0) == 1.0 else term) / (m + n + 1.0)
        term = term * (z * z / ((m + 1.0) * (m + 2.0)))
        m = m + 2.0
        count = count + 1.0
    return total * pow(pi, n)


def larger(a: float, b: float) -> float:
    """The larger one; NaN if either is."""
    if a >= b or a != a:
        return a
    return b


def smaller(a: float, b: float) -> float:
    """The smaller one; NaN if either is."""
    if a <= b or a != a:
        return a
    return b
