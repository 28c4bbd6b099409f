"""Numbers that stand in for Values: a Python function of them runs at 50 digits, with a bound on the errors of floats.

A text such as

    def f(x):
        while x[0] > 1.0:
            x = [ag.sin(a) * x[0] for a in x]
        return ag.linalg.det([x, x[::-1]])

is run twice: with the package as `ag`, and with `Exact(book)`, whose functions write what they do into a Book, an
Evaluated (oracle_truth.py) that grows. A branch is taken by the exact number, if the error of a float cannot turn it;
else the program is not judged there. What is built of several primitives (linear algebra, `np.var`) is written out
here in the shortest way there is, not the package's: the bound is that of this way, times `slack` for another one.

`ag.grad` inside such a text is a number too: `Dual` carries derivatives along by rules of its own, of few functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tools import oracle_truth
from tools.oracle_truth import FOLDED, MADE, PRIMITIVES, Accuracy, Evaluated, Known, Skip, local, mp, mpf

WHOLE = {"sum", "prod", "mean", "max", "min", "norm", "logsumexp"}
"""Functions of one sequence."""


class Book(Evaluated):
    """What a function of numbers does, written down while it does it.

    Args:
        leaves: the numbers that it depends on.
        most: more steps than this are not judged.

    Attributes:
        decisions: how each branch was decided.
    """

    def __init__(self, leaves: Sequence[float], accuracy: Accuracy = FOLDED, most: int = 4000) -> None:
        super().__init__(leaves)
        self.accuracy, self.most = accuracy, most
        self.decisions: list[bool] = []
        self.slack = 1.0
        self.operations: set[str] = set()

    def inputs(self) -> list[Number]:
        return [Number(self, k) for k in range(self.leaves)]

    def do(self, op: str, extra: float | None, *xs: Any) -> Number:
        """One more step."""
        if len(self.values) > self.most:
            raise Skip("too many steps")
        node = self.step(op, extra, tuple(x.at if isinstance(x, Number) else _float(x) for x in xs))
        self.add(node, self.error(node, self.errors, self.accuracy))
        self.operations.add(op)
        return Number(self, len(self.values) - 1)

    def decide(self, holds: Callable[[Any, Any], bool], a: Any, b: Any) -> bool:
        """A comparison; Skip if it hangs on an error."""
        (x, e), (y, d) = map(self._known, (a, b))
        if (e or d) and not (mp.isnan(x) or mp.isnan(y)) and not (e + d) < 0.5 * abs(x - y):
            raise Skip("a branch within the error of what decides")
        found = bool(holds(x, y))
        self.decisions.append(found)
        return found

    def _known(self, x: Any) -> tuple[Any, float]:
        return (self.values[x.at], self.errors[x.at]) if isinstance(x, Number) else (mpf(x), 0.0)

    def judged(self, result: Any, direction: Sequence[float]) -> Known:
        """What is known of a result, which may be a number that no leaf matters for."""
        if not isinstance(result, Number):
            zeros = [mpf(0)] * self.leaves
            return Known(
                mpf(result), 0.0, zeros, [0.0] * self.leaves, mpf(0), 0.0, zeros, [0.0] * self.leaves, mpf(0), 0.0
            )
        if result.at < self.leaves:  # the walk starts at a step
            result = self.do("neg", None, -result)
        found = self.known(result.at, direction, self.accuracy)
        if self.slack != 1.0:
            self._widen(found, direction)
        return found

    def _widen(self, found: Known, direction: Sequence[float]) -> None:
        """The bounds of another way to compute the same: elimination in another order, a product in place of a minor.

        Elimination gives the exact result of a matrix that is off by its rounding, times a growth of the pivots that
        stays below n for what is drawn here. That is a bound on the whole vector of derivatives: an entry that is 0 on
        one way is a difference on another. So each entry gets the bound of the worst, and the rounding of the largest.
        """

        def of(numbers: Sequence[Any], bounds: Sequence[float]) -> float:
            return self.slack * (
                max(bounds, default=0.0) + oracle_truth.EPS * max((abs(float(x)) for x in numbers), default=0.0)
            )

        size = sum(map(abs, direction))
        found.value_bound = of([found.value], [found.value_bound])
        found.gradient_bound = [of(found.gradient, found.gradient_bound)] * self.leaves
        if found.tangent is not None:
            found.tangent_bound = self.slack * found.tangent_bound + size * found.gradient_bound[0]
        if found.product is not None:
            found.product_bound = [of(found.product, found.product_bound)] * self.leaves
            found.curvature_bound = self.slack * found.curvature_bound + size * found.product_bound[0]


def _float(x: Any) -> float:
    """A literal, as a program in the precision at hand has it."""
    return oracle_truth.nearest(x)


def _binary(op: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Number, other: Any) -> Any:
        return self.book.do(op, None, self, other) if _is_number(other) else NotImplemented

    def reflected(self: Number, other: Any) -> Any:
        return self.book.do(op, None, other, self) if _is_number(other) else NotImplemented

    return forward, reflected


def _is_number(x: Any) -> bool:
    return isinstance(x, (Number, int, float)) or (isinstance(x, np.generic) and np.isrealobj(x))


def _compare(holds: Callable[[Any, Any], bool]) -> Callable[..., Any]:
    def compare(self: Number, other: Any) -> Any:
        return self.book.decide(holds, self, other) if _is_number(other) else NotImplemented

    return compare


class Number:
    """The result of a step in a Book. NumPy's functions on arrays of objects find theirs here as methods."""

    __slots__ = ("at", "book")

    def __init__(self, book: Book, at: int) -> None:
        self.book, self.at = book, at

    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("sub")
    __mul__, __rmul__ = _binary("mul")
    __truediv__, __rtruediv__ = _binary("div")
    __mod__, __rmod__ = _binary("mod")
    __floordiv__, __rfloordiv__ = _binary("floor_divide")
    __lt__, __le__ = _compare(lambda a, b: a < b), _compare(lambda a, b: a <= b)
    __gt__, __ge__ = _compare(lambda a, b: a > b), _compare(lambda a, b: a >= b)
    __eq__, __ne__ = _compare(lambda a, b: a == b), _compare(lambda a, b: a != b)  # type: ignore[assignment]
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return self != 0.0

    def __pow__(self, other: Any) -> Number:
        if isinstance(other, Number):
            return self.book.do("pow", None, self, other)
        return self.book.do("power", _float(other), self)

    def __rpow__(self, base: Any) -> Number:
        return self.book.do("exponential", _float(base), self)

    def __neg__(self) -> Number:
        return self.book.do("neg", None, self)

    def __pos__(self) -> Number:
        return self

    def conjugate(self) -> Number:
        return self

    def __abs__(self) -> Number:
        return self.book.do("abs", None, self)

    def __round__(self, digits: int = 0) -> Number:
        return self.book.do("round", float(digits), self)

    def __divmod__(self, other: Any) -> tuple[Number, Number]:
        return self // other, self % other


class Exact:
    """What `ag` is in a text that runs on Numbers."""

    def __init__(self, book: Book) -> None:
        self.book, self.linalg = book, Algebra(self)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = {"remainder": "mod"}.get(name, name)
        if op not in PRIMITIVES:
            raise AttributeError(name)

        def call(*xs: Any) -> Any:
            items = list(xs[0]) if op in WHOLE else xs
            arrays = [x for x in items if isinstance(x, (np.ndarray, list, tuple))]
            if arrays and op not in WHOLE:
                return np.frompyfunc(call, len(xs), 1)(*[np.asarray(x, object) for x in xs])
            if op in WHOLE and isinstance(xs[0], np.ndarray):
                items = list(xs[0].ravel())
            if op == "div":
                return items[0] / items[1]
            return self.book.do(op, None, *items)

        return call

    def Value(self, x: Any, **_: Any) -> Any:
        return x

    def array(self, xs: Any) -> Any:
        return np.array(xs, object)

    def polygamma(self, n: int, x: Any) -> Number:
        return self.book.do("polygamma", float(n), x)

    def round(self, x: Any, digits: int = 0) -> Number:
        return self.book.do("round", float(digits), x)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        if isinstance(condition, bool):
            return a if condition else b
        if any(isinstance(x, np.ndarray) for x in (condition, a, b)):
            return np.frompyfunc(self.where, 3, 1)(condition, a, b)
        return self.book.do("where", None, condition, a, b)

    def dot(self, xs: Any, ys: Any, bias: Any = None) -> Any:
        more = [] if bias is None else [bias]
        return self.book.do("dot", None, *xs, *ys, *more) if len(xs) else bias or 0.0

    def softmax(self, xs: Any) -> list[Any]:
        return [self.book.do("softmax", float(k), *xs) for k in range(len(xs))]

    def log_softmax(self, xs: Any) -> list[Any]:
        return [self.book.do("log_softmax", float(k), *xs) for k in range(len(xs))]

    def grad(self, f: Callable[..., Any]) -> Callable[[Any], Any]:
        """The derivative of a function of one number, or of a list of them."""

        def derivative(x: Any) -> Any:
            if isinstance(x, (list, tuple)):
                return [self._slope(lambda a, i=i: f([*x[:i], a, *x[i + 1 :]]), x[i]) for i in range(len(x))]
            return self._slope(f, x)

        return derivative

    def value_and_grad(self, f: Callable[..., Any]) -> Callable[[Any], Any]:
        return lambda x: (f(x), self.grad(f)(x))

    def jvp(self, f: Callable[..., Any], x: Any, v: Any) -> tuple[Any, Any]:
        (x,), (v,) = x, v
        return f(x), self._slope(f, x) * v

    def hessian(self, f: Callable[..., Any]) -> Callable[[Any], Any]:
        return self.grad(self.grad(f))

    def _slope(self, f: Callable[..., Any], x: Any) -> Any:
        level = next(LEVELS)
        inner = Dual(x, 1.0, level, self.book)
        found = f(inner)
        return found.d if isinstance(found, Dual) and found.level == level else 0.0


# --- derivatives inside a text --------------------------------------------------------------------------------


def _levels() -> Iterator[int]:
    level = 0
    while True:
        level += 1
        yield level


LEVELS = _levels()


class Dual:
    """v + d e with e * e = 0, of Numbers or of Duals of a lower level: each derivative has an e of its own.

    Functions are looked up in `SLOPES`: text of the value and of the derivative, in the functions of a lower level.
    """

    __array_ufunc__ = None

    def __init__(self, v: Any, d: Any, level: int, book: Book) -> None:
        self.v, self.d, self.level, self.book = v, d, level, book

    def _parts(self, other: Any) -> tuple[Any, Any]:
        return (other.v, other.d) if isinstance(other, Dual) and other.level == self.level else (other, 0.0)

    def _above(self, other: Any) -> bool:
        return isinstance(other, Dual) and other.level > self.level

    def _made(self, v: Any, d: Any) -> Dual:
        return Dual(v, d, self.level, self.book)

    def __add__(self, other: Any) -> Any:
        if self._above(other):
            return other.__radd__(self)
        v, d = self._parts(other)
        return self._made(self.v + v, self.d + d)

    def __radd__(self, other: Any) -> Any:
        return self._made(other + self.v, self.d)

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return self._made(other - self.v, -self.d)

    def __neg__(self) -> Any:
        return self._made(-self.v, -self.d)

    def __mul__(self, other: Any) -> Any:
        if self._above(other):
            return other.__rmul__(self)
        v, d = self._parts(other)
        return self._made(self.v * v, self.d * v + self.v * d)

    def __rmul__(self, other: Any) -> Any:
        return self._made(other * self.v, other * self.d)

    def __truediv__(self, other: Any) -> Any:
        if self._above(other):
            return other.__rtruediv__(self)
        v, d = self._parts(other)
        q = self.v / v
        return self._made(q, (self.d - q * d) / v)

    def __rtruediv__(self, other: Any) -> Any:
        q = other / self.v
        return self._made(q, -(q * self.d) / self.v)

    def __pow__(self, n: float) -> Any:
        return self._made(self.v**n, (n * self.v ** (n - 1)) * self.d)

    def _compared(self, other: Any) -> tuple[Any, Any]:
        return plain(self), plain(other)

    def __lt__(self, other: Any) -> bool:
        a, b = self._compared(other)
        return a < b  # type: ignore[no-any-return]

    def __gt__(self, other: Any) -> bool:
        a, b = self._compared(other)
        return a > b  # type: ignore[no-any-return]


def plain(x: Any) -> Any:
    """The Number below all levels."""
    while isinstance(x, Dual):
        x = x.v
    return x


SLOPES: dict[str, Callable[[Any, Any], Any]] = {
    "sin": lambda m, x: m.cos(x),
    "cos": lambda m, x: -m.sin(x),
    "exp": lambda m, x: m.exp(x),
    "tanh": lambda m, x: 1.0 - m.tanh(x) * m.tanh(x),
    "log": lambda m, x: 1.0 / x,
    "sqrt": lambda m, x: 0.5 / m.sqrt(x),
    "atan": lambda m, x: 1.0 / (1.0 + x * x),
    "sigmoid": lambda m, x: m.sigmoid(x) * m.sigmoid(-x),
    "softplus": lambda m, x: m.sigmoid(x),
    "log1p": lambda m, x: 1.0 / (1.0 + x),
    "cosh": lambda m, x: m.sinh(x),
    "sinh": lambda m, x: m.cosh(x),
}


class Nested(Exact):
    """Exact, for texts that take derivatives inside."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        below = super().__getattr__(name)

        def call(*xs: Any) -> Any:
            if name == "sum":
                total = 0.0
                for x in xs[0]:
                    total = total + x
                return total
            x = xs[0]
            if not isinstance(x, Dual):
                return below(*xs) if any(isinstance(y, Number) for y in xs) else float(local(name, None, [mpf(x)]).v)
            function = getattr(self, name)
            return Dual(function(x.v), SLOPES[name](self, x.v) * x.d, x.level, x.book)

        return call


# --- linear algebra, the shortest way -------------------------------------------------------------------------


def _size(x: Any) -> float:
    return abs(float(x.book.values[x.at])) if isinstance(x, Number) else abs(x)


class Algebra:
    """`ag.linalg`: Gauss-Jordan with the largest pivot, cofactors, the textbook's Cholesky."""

    def __init__(self, m: Exact) -> None:
        self.m = m

    def _loose(self) -> None:
        self.m.book.slack = 16.0

    def solve(self, a: Any, b: Any) -> Any:
        self._loose()
        several = isinstance(b[0], (list, tuple)) or getattr(b, "ndim", 1) == 2
        n = len(a)
        rows = [[*a[i], *(b[i] if several else [b[i]])] for i in range(n)]
        for k in range(n):
            best = max(range(k, n), key=lambda i: _size(rows[i][k]))
            if _size(rows[best][k]) == 0.0:
                raise np.linalg.LinAlgError("singular")
            rows[k], rows[best] = rows[best], rows[k]
            for i in range(n):
                if i != k and not (not isinstance(rows[i][k], Number) and rows[i][k] == 0.0):
                    factor = rows[i][k] / rows[k][k]
                    rows[i] = [
                        y if j <= k else y - factor * x for j, (x, y) in enumerate(zip(rows[k], rows[i], strict=True))
                    ]
        found = [[x / rows[i][i] for x in rows[i][n:]] for i in range(n)]
        found = found if several else [x for (x,) in found]
        arrays = isinstance(a, np.ndarray) or isinstance(b, np.ndarray)
        return np.array(found, object) if arrays else found

    def inv(self, a: Any) -> Any:
        found = self.solve([list(row) for row in a], [[float(i == j) for j in range(len(a))] for i in range(len(a))])
        return np.array(found, object) if isinstance(a, np.ndarray) else found

    def det(self, a: Any) -> Any:
        self._loose()
        rows = [list(row) for row in a]
        if len(rows) == 1:
            return rows[0][0]
        total: Any = 0.0
        for j, x in enumerate(rows[0]):
            minor = self.det([row[:j] + row[j + 1 :] for row in rows[1:]])
            total = total + x * minor if j % 2 == 0 else total - x * minor
        return total

    def slogdet(self, a: Any) -> tuple[Any, Any]:
        found = self.det(a)
        return self.m.sign(found), self.m.log(self.m.abs(found))

    def cholesky(self, a: Any) -> Any:
        self._loose()
        n = len(a)
        low: list[list[Any]] = [[0.0] * n for _ in range(n)]
        for i in range(n):
            for j in range(i + 1):
                s = a[i][j]
                for k in range(j):
                    s = s - low[i][k] * low[j][k]
                low[i][j] = self.m.sqrt(s) if i == j else s / low[j][j]
        return np.array(low, object) if isinstance(a, np.ndarray) else low

    def lstsq(self, a: Any, b: Any, rcond: Any = None) -> tuple[Any]:
        self._loose()
        columns = list(zip(*[list(row) for row in a], strict=True))
        gram = [[self.m.dot(x, y) for y in columns] for x in columns]
        found = self.solve(gram, [self.m.dot(x, list(b)) for x in columns])
        return (np.array(found, object) if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else found,)

    def norm(self, x: Any, ord: Any = None) -> Any:
        items = [y for row in x for y in (row if isinstance(row, (list, tuple, np.ndarray)) else [row])]
        return self.m.norm(items)

    def matrix_power(self, a: Any, n: int) -> Any:
        self._loose()
        base = [list(row) for row in (self.inv(a) if n < 0 else a)]
        found = [[float(i == j) for j in range(len(base))] for i in range(len(base))] if n == 0 else base
        for _ in range(abs(n) - 1):
            found = [[self.m.dot(row, column) for column in zip(*base, strict=True)] for row in found]
        return np.array(found, object) if isinstance(a, np.ndarray) else found


# --- NumPy on arrays of Numbers -------------------------------------------------------------------------------

UFUNCS = {
    "exp": "exp", "expm1": "expm1", "exp2": "exp2", "log": "log", "log2": "log2", "log10": "log10", "log1p": "log1p",
    "sqrt": "sqrt", "cbrt": "cbrt", "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos",
    "arctan": "atan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "arcsinh": "asinh", "arccosh": "acosh",
    "arctanh": "atanh", "arctan2": "atan2", "hypot": "hypot", "logaddexp": "logaddexp", "abs": "abs", "fabs": "abs",
    "sign": "sign", "heaviside": "heaviside", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "rint",
    "mod": "mod", "remainder": "mod", "floor_divide": "floor_divide", "maximum": "maximum", "minimum": "minimum",
    "sinc": "sinc", "degrees": "degrees", "radians": "radians",
}  # fmt: skip
"""NumPy's functions that are a primitive element by element."""


class Arrays:
    """What `np` is in a text that runs on Numbers; what only moves elements is NumPy's own."""

    def __init__(self, m: Exact) -> None:
        self.m, self.linalg = m, Algebra(m)

    def __getattr__(self, name: str) -> Any:
        if name in UFUNCS:
            return getattr(self.m, UFUNCS[name])
        if name in ("sum", "prod", "mean", "max", "min", "amax", "amin"):
            return self._reduction(name.removeprefix("a"))
        return getattr(np, name)

    def _reduction(self, op: str) -> Callable[..., Any]:
        def reduce(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
            x = np.asarray(x, object)
            if axis is None:
                found = self.m.book.do(op, None, *x.ravel())
                return np.array(found, object).reshape((1,) * x.ndim) if keepdims else found
            moved = np.moveaxis(x, axis, -1)
            found = np.empty(moved.shape[:-1], object)
            for place in np.ndindex(found.shape):
                found[place] = self.m.book.do(op, None, *moved[place])
            return np.expand_dims(found, axis) if keepdims else found

        return reduce

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return np.frompyfunc(lambda c, x, y: x if c else y, 3, 1)(condition, a, b)

    def clip(self, x: Any, low: Any, high: Any) -> Any:
        return self.m.clamp(x, low, high)

    def square(self, x: Any) -> Any:
        return x * x

    def reciprocal(self, x: Any) -> Any:
        return 1.0 / x

    def var(self, x: Any, ddof: int = 0) -> Any:
        x = list(np.asarray(x, object).ravel())
        mean = self.m.mean(x)
        self.m.book.slack = max(self.m.book.slack, 4.0)
        return self.m.sum([(y - mean) * (y - mean) for y in x]) / float(len(x) - ddof)

    def std(self, x: Any, ddof: int = 0) -> Any:
        return self.m.sqrt(self.var(x, ddof))

    def sort(self, x: Any) -> Any:
        return np.array(sorted(x), object)

    def median(self, x: Any) -> Any:
        x, n = sorted(np.asarray(x, object).ravel()), np.size(x)
        return x[n // 2] if n % 2 else self.m.mean([x[n // 2 - 1], x[n // 2]])

    def average(self, x: Any, weights: Any) -> Any:
        self.m.book.slack = max(self.m.book.slack, 4.0)
        return self.m.dot(list(x), list(weights)) / self.m.sum(list(weights))

    def gradient(self, x: Any) -> Any:
        self.m.book.slack = max(self.m.book.slack, 2.0)
        return np.array([x[1] - x[0], *((x[2:] - x[:-2]) / 2.0), x[-1] - x[-2]], object)

    def ptp(self, x: Any) -> Any:
        return self.max(x) - self.min(x)

    def trace(self, x: Any) -> Any:
        return self.m.sum(list(np.diagonal(x)))


# --- single precision -----------------------------------------------------------------------------------------


@contextmanager
def single() -> Iterator[None]:
    """Bounds of float32 in place of float64, in this block."""
    names = {"EPS": 2.0**-23, "TINY": 2.0**-148, "UNDERFLOW": 2.0**-120, "SINGLE": True, "LARGE": 1e16}
    before = {name: getattr(oracle_truth, name) for name in names}
    for name, x in names.items():
        setattr(oracle_truth, name, x)
    try:
        yield
    finally:
        for name, x in before.items():
            setattr(oracle_truth, name, x)


def in_single(x: float) -> float:
    """The nearest float32."""
    with np.errstate(over="ignore"):
        return float(np.float32(x))


__all__ = ["MADE", "Arrays", "Book", "Exact", "Nested", "Number", "in_single", "math", "single"]
