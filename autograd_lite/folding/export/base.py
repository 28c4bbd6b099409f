"""What the other functions of an exported Python file are made of: those of `math`, total as the package's are.

NaN in gives NaN, poles give infinities, nothing raises. An exported file gets the ones it needs, as they stand here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import inf, nan


def quiet(function: Callable[[float], float], a: float) -> float:
    """NaN outside the domain of a function, infinite where it overflows."""
    try:
        return function(a)
    except ValueError:
        return nan
    except OverflowError:
        return math.copysign(inf, function(math.copysign(1.0, a)))


def logarithm(function: Callable[[float], float], a: float) -> float:
    """-inf at 0."""
    return function(a) if a > 0.0 else -inf if a == 0.0 else nan


def divide(a: float, b: float) -> float:
    """a / b as IEEE 754 has it."""
    if b:
        return a / b
    return nan if a != a or not a else math.copysign(inf, a) * math.copysign(1.0, b)


def exp(a: float) -> float:
    """The exponential."""
    return quiet(math.exp, a)


def expm1(a: float) -> float:
    """exp(a) - 1."""
    return quiet(math.expm1, a)


def exp2(a: float) -> float:
    """2 ** a."""
    return pow(2.0, a)


def log(a: float) -> float:
    """The natural logarithm."""
    return logarithm(math.log, a)


def log2(a: float) -> float:
    """The logarithm to base 2."""
    return logarithm(math.log2, a)


def log10(a: float) -> float:
    """The logarithm to base 10."""
    return logarithm(math.log10, a)


def log1p(a: float) -> float:
    """log(1 + a)."""
    return -inf if a == -1.0 else quiet(math.log1p, a)


def sqrt(a: float) -> float:
    """The square root."""
    return quiet(math.sqrt, a)


def cbrt(a: float) -> float:
    """The real cube root: a power and one step of Newton's method."""
    if not a or a - a:
        return a
    root = math.copysign(math.fabs(a) ** (1.0 / 3.0), a)
    return root + (a / (root * root) - root) / 3.0


def sin(a: float) -> float:
    """The sine."""
    return quiet(math.sin, a)


def cos(a: float) -> float:
    """The cosine."""
    return quiet(math.cos, a)


def tan(a: float) -> float:
    """The tangent."""
    return quiet(math.tan, a)


def asin(a: float) -> float:
    """The angle whose sine is a."""
    return quiet(math.asin, a)


def acos(a: float) -> float:
    """The angle whose cosine is a."""
    return quiet(math.acos, a)


def sinh(a: float) -> float:
    """The hyperbolic sine."""
    return quiet(math.sinh, a)


def cosh(a: float) -> float:
    """The hyperbolic cosine."""
    return quiet(math.cosh, a)


def acosh(a: float) -> float:
    """The inverse hyperbolic cosine."""
    return quiet(math.acosh, a)


def atanh(a: float) -> float:
    """The inverse hyperbolic tangent."""
    return math.copysign(inf, a) if math.fabs(a) == 1.0 else quiet(math.atanh, a)


def lgamma(a: float) -> float:
    """The logarithm of the absolute value of the gamma function."""
    try:
        return math.lgamma(a)
    except (ValueError, OverflowError):
        return inf


def fabs(a: float) -> float:
    """The absolute value."""
    return math.fabs(a)


def floor(a: float) -> float:
    """The largest whole number not above a."""
    return math.copysign(float(math.floor(a)), a) if a - a == 0.0 else a


def ceil(a: float) -> float:
    """The smallest whole number not below a."""
    return math.copysign(float(math.ceil(a)), a) if a - a == 0.0 else a


def rint(a: float) -> float:
    """The nearest whole number, the even one of two."""
    return math.copysign(float(round(a)), a) if a - a == 0.0 else a


def fmod(a: float, b: float) -> float:
    """The remainder of a / b with the sign of a."""
    return math.fmod(a, b) if b and a - a == 0.0 else nan


def pow(a: float, b: float) -> float:
    """a ** b, and what IEEE 754 has where Python raises."""
    try:
        return math.pow(a, b)
    except ValueError:
        return nan if a else math.copysign(inf, a) if b % 2.0 == 1.0 else inf
    except OverflowError:
        return -inf if a < 0.0 and b % 2.0 == 1.0 else inf
