"""What the table gives `ag` and Value, for type checkers and editors: there is no such module at run time.

Written by tools/make_stubs.py from the table: change that, or the table, and run it again.
"""

from collections.abc import Callable, Iterable
from typing import Any, overload

from autograd_lite.engine.value import Value

@overload
def abs(a: float) -> float:
    """The absolute value of a."""

@overload
def abs(a: Value) -> Value: ...
@overload
def acos(a: float) -> float:
    """The angle in radians whose cosine is a."""

@overload
def acos(a: Value) -> Value: ...
@overload
def acosh(a: float) -> float:
    """The inverse hyperbolic cosine of a."""

@overload
def acosh(a: Value) -> Value: ...
@overload
def asin(a: float) -> float:
    """The angle in radians whose sine is a."""

@overload
def asin(a: Value) -> Value: ...
@overload
def asinh(a: float) -> float:
    """The inverse hyperbolic sine of a."""

@overload
def asinh(a: Value) -> Value: ...
@overload
def atan(a: float) -> float:
    """The angle in radians whose tangent is a."""

@overload
def atan(a: Value) -> Value: ...
@overload
def atan2(a: float, b: float) -> float:
    """The angle in radians of the point (b, a)."""

@overload
def atan2(a: Value, b: Value | float) -> Value: ...
@overload
def atan2(a: float, b: Value) -> Value: ...
@overload
def atanh(a: float) -> float:
    """The inverse hyperbolic tangent of a."""

@overload
def atanh(a: Value) -> Value: ...
@overload
def cbrt(a: float) -> float:
    """The real cube root of a."""

@overload
def cbrt(a: Value) -> Value: ...
@overload
def ceil(a: float) -> float:
    """The smallest whole number not below a."""

@overload
def ceil(a: Value) -> Value: ...
@overload
def clamp(a: float, low: float, high: float) -> float:
    """a, kept between low and high; high where they cross."""

@overload
def clamp(a: Value, low: Value | float, high: Value | float) -> Value: ...
@overload
def clamp(a: float, low: Value, high: Value | float) -> Value: ...
@overload
def clamp(a: float, low: float, high: Value) -> Value: ...
@overload
def cos(a: float) -> float:
    """The cosine of a, in radians."""

@overload
def cos(a: Value) -> Value: ...
@overload
def cosh(a: float) -> float:
    """The hyperbolic cosine of a."""

@overload
def cosh(a: Value) -> Value: ...
@overload
def degrees(a: float) -> float:
    """The angle a, given in radians, in degrees."""

@overload
def degrees(a: Value) -> Value: ...
@overload
def digamma(a: float) -> float:
    """The derivative of lgamma."""

@overload
def digamma(a: Value) -> Value: ...
@overload
def elu(a: float, alpha: float = 1.0) -> float:
    """a where positive, alpha (exp(a) - 1) elsewhere."""

@overload
def elu(a: Value, alpha: Value | float = 1.0) -> Value: ...
@overload
def elu(a: float, alpha: Value) -> Value: ...
@overload
def equal(a: float, b: float) -> float:
    """1 where a == b, else 0."""

@overload
def equal(a: Value, b: Value | float) -> Value: ...
@overload
def equal(a: float, b: Value) -> Value: ...
@overload
def erf(a: float) -> float:
    """The error function of a."""

@overload
def erf(a: Value) -> Value: ...
@overload
def erfc(a: float) -> float:
    """1 - erf(a), exact in the tail."""

@overload
def erfc(a: Value) -> Value: ...
@overload
def erfinv(a: float) -> float:
    """The inverse of erf."""

@overload
def erfinv(a: Value) -> Value: ...
@overload
def exp(a: float) -> float:
    """The exponential of a."""

@overload
def exp(a: Value) -> Value: ...
@overload
def exp2(a: float) -> float:
    """2 to the power a."""

@overload
def exp2(a: Value) -> Value: ...
@overload
def expm1(a: float) -> float:
    """exp(a) - 1, exact near 0."""

@overload
def expm1(a: Value) -> Value: ...
@overload
def floor(a: float) -> float:
    """The largest whole number not above a."""

@overload
def floor(a: Value) -> Value: ...
@overload
def floor_divide(a: float, b: float) -> float:
    """The largest whole number not above a / b."""

@overload
def floor_divide(a: Value, b: Value | float) -> Value: ...
@overload
def floor_divide(a: float, b: Value) -> Value: ...
@overload
def gelu(a: float) -> float:
    """a times the normal distribution function of a."""

@overload
def gelu(a: Value) -> Value: ...
@overload
def greater(a: float, b: float) -> float:
    """1 where a > b, else 0."""

@overload
def greater(a: Value, b: Value | float) -> Value: ...
@overload
def greater(a: float, b: Value) -> Value: ...
@overload
def greater_equal(a: float, b: float) -> float:
    """1 where a >= b, else 0."""

@overload
def greater_equal(a: Value, b: Value | float) -> Value: ...
@overload
def greater_equal(a: float, b: Value) -> Value: ...
@overload
def heaviside(a: float, h: float) -> float:
    """0 where a is negative, h where it is 0, 1 where it is positive."""

@overload
def heaviside(a: Value, h: Value | float) -> Value: ...
@overload
def heaviside(a: float, h: Value) -> Value: ...
@overload
def hypot(a: float, b: float) -> float:
    """sqrt(a^2 + b^2) without overflow."""

@overload
def hypot(a: Value, b: Value | float) -> Value: ...
@overload
def hypot(a: float, b: Value) -> Value: ...
@overload
def leaky_relu(a: float, slope: float = 0.01) -> float:
    """a where positive, slope a elsewhere."""

@overload
def leaky_relu(a: Value, slope: Value | float = 0.01) -> Value: ...
@overload
def leaky_relu(a: float, slope: Value) -> Value: ...
@overload
def less(a: float, b: float) -> float:
    """1 where a < b, else 0."""

@overload
def less(a: Value, b: Value | float) -> Value: ...
@overload
def less(a: float, b: Value) -> Value: ...
@overload
def less_equal(a: float, b: float) -> float:
    """1 where a <= b, else 0."""

@overload
def less_equal(a: Value, b: Value | float) -> Value: ...
@overload
def less_equal(a: float, b: Value) -> Value: ...
@overload
def lgamma(a: float) -> float:
    """The logarithm of the absolute value of the gamma function."""

@overload
def lgamma(a: Value) -> Value: ...
@overload
def log(a: float) -> float:
    """The natural logarithm of a."""

@overload
def log(a: Value) -> Value: ...
@overload
def log10(a: float) -> float:
    """The logarithm of a to base 10."""

@overload
def log10(a: Value) -> Value: ...
@overload
def log1p(a: float) -> float:
    """log(1 + a), exact near 0."""

@overload
def log1p(a: Value) -> Value: ...
@overload
def log2(a: float) -> float:
    """The logarithm of a to base 2."""

@overload
def log2(a: Value) -> Value: ...
@overload
def log_ndtr(a: float) -> float:
    """The logarithm of ndtr(a), exact in the tail."""

@overload
def log_ndtr(a: Value) -> Value: ...
@overload
def log_sigmoid(a: float) -> float:
    """The logarithm of sigmoid(a)."""

@overload
def log_sigmoid(a: Value) -> Value: ...
@overload
def log_softmax(xs: Iterable[float]) -> list[float]:  # type: ignore[overload-overlap]
    """The logarithms of softmax, without loss where that underflows."""

@overload
def log_softmax(xs: Iterable[Value | float]) -> list[Value]: ...
@overload
def logaddexp(a: float, b: float) -> float:
    """log(exp(a) + exp(b)) without overflow."""

@overload
def logaddexp(a: Value, b: Value | float) -> Value: ...
@overload
def logaddexp(a: float, b: Value) -> Value: ...
@overload
def logit(a: float) -> float:
    """log(a / (1 - a)), the inverse of sigmoid."""

@overload
def logit(a: Value) -> Value: ...
@overload
def logsumexp(xs: Iterable[float]) -> float:  # type: ignore[overload-overlap]
    """The logarithm of a sum of exponentials as one node, without overflow."""

@overload
def logsumexp(xs: Iterable[Value | float]) -> Value: ...
@overload
def max(xs: Iterable[float]) -> float:  # type: ignore[overload-overlap]
    """The largest element of a sequence as one node; `maximum` takes two operands."""

@overload
def max(xs: Iterable[Value | float]) -> Value: ...
@overload
def maximum(a: float, b: float) -> float:
    """The larger of a and b."""

@overload
def maximum(a: Value, b: Value | float) -> Value: ...
@overload
def maximum(a: float, b: Value) -> Value: ...
@overload
def mean(xs: Iterable[float]) -> float:  # type: ignore[overload-overlap]
    """The arithmetic mean of a sequence as one node."""

@overload
def mean(xs: Iterable[Value | float]) -> Value: ...
@overload
def min(xs: Iterable[float]) -> float:  # type: ignore[overload-overlap]
    """The smallest element of a sequence as one node; `minimum` takes two operands."""

@overload
def min(xs: Iterable[Value | float]) -> Value: ...
@overload
def minimum(a: float, b: float) -> float:
    """The smaller of a and b."""

@overload
def minimum(a: Value, b: Value | float) -> Value: ...
@overload
def minimum(a: float, b: Value) -> Value: ...
@overload
def mod(a: float, b: float) -> float:
    """The remainder of a / b, with the sign of b."""

@overload
def mod(a: Value, b: Value | float) -> Value: ...
@overload
def mod(a: float, b: Value) -> Value: ...
@overload
def ndtr(a: float) -> float:
    """The normal distribution function, erfc(-a / sqrt(2)) / 2."""

@overload
def ndtr(a: Value) -> Value: ...
@overload
def ndtri(a: float) -> float:
    """The inverse of ndtr: the quantile of the normal distribution."""

@overload
def ndtri(a: Value) -> Value: ...
@overload
def norm(xs: Iterable[float]) -> float:  # type: ignore[overload-overlap]
    """The Euclidean norm of a sequence as one node, without overflow on the way."""

@overload
def norm(xs: Iterable[Value | float]) -> Value: ...
@overload
def not_equal(a: float, b: float) -> float:
    """1 where a != b, else 0."""

@overload
def not_equal(a: Value, b: Value | float) -> Value: ...
@overload
def not_equal(a: float, b: Value) -> Value: ...
@overload
def polygamma(n: int, a: float) -> float:
    """The n-th derivative of digamma."""

@overload
def polygamma(n: int, a: Value) -> Value: ...
@overload
def prod(xs: Iterable[float]) -> float:  # type: ignore[overload-overlap]
    """The product of a sequence as one node, from left to right as math.prod: 0 or infinite if it is so on the way."""

@overload
def prod(xs: Iterable[Value | float]) -> Value: ...
@overload
def radians(a: float) -> float:
    """The angle a, given in degrees, in radians."""

@overload
def radians(a: Value) -> Value: ...
@overload
def relu(a: float) -> float:
    """max(a, 0)."""

@overload
def relu(a: Value) -> Value: ...

remainder = mod

@overload
def rint(a: float) -> float:
    """The whole number nearest to a, the even one of two."""

@overload
def rint(a: Value) -> Value: ...
@overload
def round(a: float, digits: int = 0) -> float:
    """a rounded to this many decimal digits as Python does it: half to even."""

@overload
def round(a: Value, digits: int = 0) -> Value: ...
@overload
def sigmoid(a: float) -> float:
    """The logistic function 1 / (1 + exp(-a))."""

@overload
def sigmoid(a: Value) -> Value: ...
@overload
def sign(a: float) -> float:
    """-1, 0 or 1."""

@overload
def sign(a: Value) -> Value: ...
@overload
def silu(a: float) -> float:
    """a sigmoid(a), also called swish."""

@overload
def silu(a: Value) -> Value: ...
@overload
def sin(a: float) -> float:
    """The sine of a, in radians."""

@overload
def sin(a: Value) -> Value: ...
@overload
def sinc(a: float) -> float:
    """sin(pi a) / (pi a), and 1 at 0."""

@overload
def sinc(a: Value) -> Value: ...
@overload
def sinh(a: float) -> float:
    """The hyperbolic sine of a."""

@overload
def sinh(a: Value) -> Value: ...
@overload
def softmax(xs: Iterable[float]) -> list[float]:  # type: ignore[overload-overlap]
    """The exponentials of a sequence, scaled to add up to 1; without overflow."""

@overload
def softmax(xs: Iterable[Value | float]) -> list[Value]: ...
@overload
def softplus(a: float) -> float:
    """log(1 + exp(a)), a smooth relu."""

@overload
def softplus(a: Value) -> Value: ...
@overload
def sqrt(a: float) -> float:
    """The square root of a."""

@overload
def sqrt(a: Value) -> Value: ...
@overload
def sum(xs: Iterable[float]) -> float:  # type: ignore[overload-overlap]
    """The sum of a sequence as one node, exactly rounded."""

@overload
def sum(xs: Iterable[Value | float]) -> Value: ...
@overload
def tan(a: float) -> float:
    """The tangent of a, in radians."""

@overload
def tan(a: Value) -> Value: ...
@overload
def tanh(a: float) -> float:
    """The hyperbolic tangent of a."""

@overload
def tanh(a: Value) -> Value: ...
@overload
def trunc(a: float) -> float:
    """a without its fraction: the whole number next to it in the direction of 0."""

@overload
def trunc(a: Value) -> Value: ...
@overload
def where(condition: float, a: float, b: float) -> float:
    """a where the condition is not 0, b where it is."""

@overload
def where(condition: Value, a: Value | float, b: Value | float) -> Value: ...
@overload
def where(condition: float, a: Value, b: Value | float) -> Value: ...
@overload
def where(condition: float, a: float, b: Value) -> Value: ...
@overload
def xlog1py(a: float, b: float) -> float:
    """a log(1 + b), and 0 where a is 0."""

@overload
def xlog1py(a: Value, b: Value | float) -> Value: ...
@overload
def xlog1py(a: float, b: Value) -> Value: ...
@overload
def xlogy(a: float, b: float) -> float:
    """a log(b), and 0 where a is 0."""

@overload
def xlogy(a: Value, b: Value | float) -> Value: ...
@overload
def xlogy(a: float, b: Value) -> Value: ...
@overload
def dot(xs: Iterable[float], ys: Iterable[float], bias: float | None = None) -> float:  # type: ignore[overload-overlap]
    """The dot product of two sequences, plus a bias if one is given, as one node."""

@overload
def dot(xs: Iterable[Value | float], ys: Iterable[Value | float], bias: Value | float | None = None) -> Value: ...
def primitive(
    name: str,
    forward: str | Callable[..., float],
    partials: str | Callable[..., Any],
    symbol: str | None = None,
    *,
    infix: bool | None = None,
    commutes: bool = False,
    branch: bool = False,
    zero_gradient: bool = False,
    kinks: bool = True,
    saturates: bool = False,
    grows: bool = False,
    logarithm: bool = False,
    linear: bool = False,
    rectifies: bool = False,
) -> Callable[..., Any]:
    """Add a user-defined primitive to the table; it is then drawn, checked, explained and differentiated like ours."""

class Methods:
    """The methods of Value that are made from the table."""

    def __add__(self, other: Any, /) -> Value: ...
    def __radd__(self, other: Any, /) -> Value: ...
    def __sub__(self, other: Any, /) -> Value: ...
    def __rsub__(self, other: Any, /) -> Value: ...
    def __mul__(self, other: Any, /) -> Value: ...
    def __rmul__(self, other: Any, /) -> Value: ...
    def __truediv__(self, other: Any, /) -> Value: ...
    def __rtruediv__(self, other: Any, /) -> Value: ...
    def __pow__(self, other: Any, /) -> Value: ...
    def __rpow__(self, other: Any, /) -> Value: ...
    def __mod__(self, other: Any, /) -> Value: ...
    def __rmod__(self, other: Any, /) -> Value: ...
    def __floordiv__(self, other: Any, /) -> Value: ...
    def __rfloordiv__(self, other: Any, /) -> Value: ...
    def __divmod__(self, other: Any, /) -> tuple[Value, Value]: ...
    def __rdivmod__(self, other: Any, /) -> tuple[Value, Value]: ...
    def __abs__(self) -> Value: ...
    def __ceil__(self) -> Value: ...
    def __floor__(self) -> Value: ...
    def __neg__(self) -> Value: ...
    def __trunc__(self) -> Value: ...
    def __round__(self, digits: int = 0, /) -> Value: ...
    def abs(self) -> Value:
        """The absolute value of a."""

    def acos(self) -> Value:
        """The angle in radians whose cosine is a."""

    def acosh(self) -> Value:
        """The inverse hyperbolic cosine of a."""

    def arccos(self) -> Value:
        """The angle in radians whose cosine is a."""

    def arccosh(self) -> Value:
        """The inverse hyperbolic cosine of a."""

    def arcsin(self) -> Value:
        """The angle in radians whose sine is a."""

    def arcsinh(self) -> Value:
        """The inverse hyperbolic sine of a."""

    def arctan(self) -> Value:
        """The angle in radians whose tangent is a."""

    def arctan2(self, b: Value | float) -> Value:
        """The angle in radians of the point (b, a)."""

    def arctanh(self) -> Value:
        """The inverse hyperbolic tangent of a."""

    def asin(self) -> Value:
        """The angle in radians whose sine is a."""

    def asinh(self) -> Value:
        """The inverse hyperbolic sine of a."""

    def atan(self) -> Value:
        """The angle in radians whose tangent is a."""

    def atanh(self) -> Value:
        """The inverse hyperbolic tangent of a."""

    def cbrt(self) -> Value:
        """The real cube root of a."""

    def ceil(self) -> Value:
        """The smallest whole number not below a."""

    def clamp(self, low: Value | float, high: Value | float) -> Value:
        """a, kept between low and high; high where they cross."""

    def cos(self) -> Value:
        """The cosine of a, in radians."""

    def cosh(self) -> Value:
        """The hyperbolic cosine of a."""

    def deg2rad(self) -> Value:
        """The angle a, given in degrees, in radians."""

    def degrees(self) -> Value:
        """The angle a, given in radians, in degrees."""

    def digamma(self) -> Value:
        """The derivative of lgamma."""

    def elu(self, alpha: Value | float = 1.0) -> Value:
        """a where positive, alpha (exp(a) - 1) elsewhere."""

    def erf(self) -> Value:
        """The error function of a."""

    def erfc(self) -> Value:
        """1 - erf(a), exact in the tail."""

    def erfinv(self) -> Value:
        """The inverse of erf."""

    def exp(self) -> Value:
        """The exponential of a."""

    def exp2(self) -> Value:
        """2 to the power a."""

    def expm1(self) -> Value:
        """exp(a) - 1, exact near 0."""

    def fabs(self) -> Value:
        """The absolute value of a."""

    def floor(self) -> Value:
        """The largest whole number not above a."""

    def gelu(self) -> Value:
        """a times the normal distribution function of a."""

    def hypot(self, b: Value | float) -> Value:
        """sqrt(a^2 + b^2) without overflow."""

    def leaky_relu(self, slope: Value | float = 0.01) -> Value:
        """a where positive, slope a elsewhere."""

    def lgamma(self) -> Value:
        """The logarithm of the absolute value of the gamma function."""

    def log(self) -> Value:
        """The natural logarithm of a."""

    def log10(self) -> Value:
        """The logarithm of a to base 10."""

    def log1p(self) -> Value:
        """log(1 + a), exact near 0."""

    def log2(self) -> Value:
        """The logarithm of a to base 2."""

    def log_ndtr(self) -> Value:
        """The logarithm of ndtr(a), exact in the tail."""

    def log_sigmoid(self) -> Value:
        """The logarithm of sigmoid(a)."""

    def logaddexp(self, b: Value | float) -> Value:
        """log(exp(a) + exp(b)) without overflow."""

    def logit(self) -> Value:
        """log(a / (1 - a)), the inverse of sigmoid."""

    def maximum(self, b: Value | float) -> Value:
        """The larger of a and b."""

    def minimum(self, b: Value | float) -> Value:
        """The smaller of a and b."""

    def ndtr(self) -> Value:
        """The normal distribution function, erfc(-a / sqrt(2)) / 2."""

    def ndtri(self) -> Value:
        """The inverse of ndtr: the quantile of the normal distribution."""

    def rad2deg(self) -> Value:
        """The angle a, given in radians, in degrees."""

    def radians(self) -> Value:
        """The angle a, given in degrees, in radians."""

    def relu(self) -> Value:
        """max(a, 0)."""

    def rint(self) -> Value:
        """The whole number nearest to a, the even one of two."""

    def round(self, digits: int = 0) -> Value:
        """a rounded to this many decimal digits as Python does it: half to even."""

    def sigmoid(self) -> Value:
        """The logistic function 1 / (1 + exp(-a))."""

    def sign(self) -> Value:
        """-1, 0 or 1."""

    def silu(self) -> Value:
        """a sigmoid(a), also called swish."""

    def sin(self) -> Value:
        """The sine of a, in radians."""

    def sinc(self) -> Value:
        """sin(pi a) / (pi a), and 1 at 0."""

    def sinh(self) -> Value:
        """The hyperbolic sine of a."""

    def softplus(self) -> Value:
        """log(1 + exp(a)), a smooth relu."""

    def sqrt(self) -> Value:
        """The square root of a."""

    def tan(self) -> Value:
        """The tangent of a, in radians."""

    def tanh(self) -> Value:
        """The hyperbolic tangent of a."""

    def trunc(self) -> Value:
        """a without its fraction: the whole number next to it in the direction of 0."""
