"""Vectors of the update rules: NumPy arrays, or where NumPy is not installed `Floats`, with the same arithmetic.

So the rules are written once, and a step works wherever Python does. The functions here are those that the rules need
beside + - * / and comparisons; each takes either kind of vector.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from math import inf, isfinite, nan
from typing import TYPE_CHECKING, Any, TypeAlias

from autograd_lite.engine.checks import numpy_module

if TYPE_CHECKING:
    import numpy as np

    Vector: TypeAlias = np.ndarray[Any, Any]


def vector(numbers: Any) -> Vector:
    """Numbers as a vector of floats."""
    np = numpy_module()
    return np.array(numbers, dtype=float) if np else Floats(map(float, numbers))  # type: ignore[return-value]


def full(n: int, x: float) -> Vector:
    """n times the same number."""
    np = numpy_module()
    return np.full(n, x) if np else Floats([x] * n)  # type: ignore[return-value]


def is_vector(x: Any) -> bool:
    """Whether x is a vector of one of the two kinds."""
    return isinstance(x, Floats) or (hasattr(x, "dtype") and getattr(x, "ndim", 0) > 0)


def quiet() -> AbstractContextManager[Any]:
    """A context in which NumPy does not warn of overflow; `Floats` never does."""
    np = numpy_module()
    return np.errstate(over="ignore", invalid="ignore") if np else nullcontext()


def flat(x: Any) -> tuple[list[Any], tuple[int, ...]]:
    """(the entries of a list or array as they are, its shape)."""
    np = numpy_module()
    if np is None:
        return (list(x), (len(x),)) if isinstance(x, (list, tuple, Floats)) else ([x], ())
    array = np.array(x, dtype=object)
    return list(array.ravel()), array.shape


# --- functions ----------------------------------------------------------------------------------------------


def sqrt(x: Vector) -> Vector:
    """The square root of each."""
    return x.each(_root) if isinstance(x, Floats) else numpy_module().sqrt(x)  # type: ignore[no-any-return]


def sign(x: Vector) -> Vector:
    """-1, 0 or 1, or NaN, for each."""
    if isinstance(x, Floats):
        return x.each(lambda v: v if v != v else float((v > 0.0) - (v < 0.0)))
    return numpy_module().sign(x)  # type: ignore[no-any-return]


def maximum(x: Vector, y: Any) -> Vector:
    """The larger of two, place by place; NaN if one is."""
    if isinstance(x, Floats):
        return x.with_other(y, lambda a, b: a if a >= b or a != a else b)
    return numpy_module().maximum(x, y)  # type: ignore[no-any-return]


def where(condition: Vector, x: Any, y: Any) -> Vector:
    """x where the condition holds, y elsewhere."""
    if isinstance(condition, Floats):
        parts = (v if isinstance(v, Floats) else [v] * len(condition) for v in (x, y))
        return Floats(a if c else b for c, a, b in zip(condition, *parts, strict=True))
    return numpy_module().where(condition, x, y)  # type: ignore[no-any-return]


def over(x: Vector, below: Vector) -> Vector:
    """x / below, and 0 where below is 0: where a gradient that was always 0 meets eps = 0."""
    if isinstance(x, Floats):
        return x.with_other(below, lambda a, b: _divide(a, b) if b else 0.0)
    np = numpy_module()
    return np.divide(x, below, out=np.zeros_like(x), where=below != 0.0)  # type: ignore[no-any-return]


def norm(x: Vector) -> float:
    """The Euclidean length."""
    return math.hypot(*x) if isinstance(x, Floats) else float(numpy_module().linalg.norm(x))


def largest(x: Vector) -> float:
    """The largest size of any, NaN if one is."""
    return float(max(sizes, key=lambda v: (v != v, v))) if isinstance(sizes := abs(x), Floats) else float(sizes.max())


def all_finite(x: Any) -> bool:
    """Whether a vector, or a number, holds neither NaN nor an infinity."""
    if isinstance(x, Floats):
        return all(map(isfinite, x))
    return bool(numpy_module().isfinite(x).all()) if is_vector(x) else isfinite(x)


# --- without NumPy ------------------------------------------------------------------------------------------


class Floats:
    """Floats with the arithmetic of a NumPy vector: place by place, and by IEEE 754 (1 / 0 is infinite).

    Example:
        >>> from autograd_lite.optim.vectors import Floats
        >>> (2.0 * Floats([1.0, 3.0]) - Floats([0.5, 0.0])).tolist()
        [1.5, 6.0]
    """

    __slots__ = ("_all",)

    def __init__(self, numbers: Iterable[Any]) -> None:
        self._all: list[Any] = list(numbers)

    def each(self, f: Callable[[Any], Any]) -> Any:
        """f of each."""
        return Floats(map(f, self._all))

    def with_other(self, other: Any, f: Callable[[Any, Any], Any]) -> Any:
        """f of each and a number, or of each and its counterpart in another vector."""
        if isinstance(other, (Floats, list, tuple)):
            return Floats(f(a, b) for a, b in zip(self._all, other, strict=True))
        return Floats(f(a, other) for a in self._all) if isinstance(other, (int, float)) else NotImplemented

    @property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (len(self._all),)

    def tolist(self) -> list[Any]:
        """A list of the numbers."""
        return list(self._all)

    def clip(self, low: float, high: float) -> Any:
        """Each held to [low, high]; NaN stays."""
        return self.each(lambda v: low if v < low else high if v > high else v)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all)

    def __getitem__(self, i: int) -> Any:
        return self._all[i]

    def __repr__(self) -> str:
        return f"Floats({self._all})"

    def __neg__(self) -> Any:
        return self.each(operator.neg)

    def __abs__(self) -> Any:
        return self.each(abs)

    def __add__(self, other: Any) -> Any:
        return self.with_other(other, operator.add)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        return self.with_other(other, operator.mul)

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Any:
        return self.with_other(other, operator.sub)

    def __rsub__(self, other: Any) -> Any:
        return self.with_other(other, lambda a, b: b - a)

    def __truediv__(self, other: Any) -> Any:
        return self.with_other(other, _divide)

    def __rtruediv__(self, other: Any) -> Any:
        return self.with_other(other, lambda a, b: _divide(b, a))

    def __lt__(self, other: Any) -> Any:
        return self.with_other(other, operator.lt)

    def __gt__(self, other: Any) -> Any:
        return self.with_other(other, operator.gt)


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return nan if a == 0.0 or a != a else math.copysign(inf, a) * math.copysign(1.0, b)


def _root(x: float) -> float:
    return math.sqrt(x) if x >= 0.0 else nan
