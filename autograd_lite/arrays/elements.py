"""The array itself: its elements, Values or floats, and what comes in and goes out as one."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_lite.engine import checks
from autograd_lite.engine.checks import describe, to_float
from autograd_lite.engine.value import Value

Array = Any


class array(np.ndarray):
    """An array of Values and numbers, which works with NumPy's functions and keeps gradients.

    `grad`, `jacobian`, `compile` and the others hand it to the function in place of an array. It is an np.ndarray of
    dtype object, so that shape, indexing, slicing and views are NumPy's. Reductions to one number give a Value.
    `np.asarray(x)` gives the base array beneath it, on which NumPy's own functions know nothing of Values.

    Args:
        xs: Values and real numbers: an array, or sequences nested as you like. Copied.

    Raises:
        TypeError: something in xs is neither a Value nor a real number.
        ValueError: xs is ragged.

    Example:
        >>> x = ag.Value(2.0)
        >>> y = np.sum(np.exp(ag.array([x, 0.0])) * [1.0, 3.0])
        >>> f"{y.item():.4f} {ag.gradients(y, x):.4f}"
        '10.3891 7.3891'
        >>> [y.item() for y in np.where(ag.array([x, -x]) > 0, 1.0, 0.0)]
        [1.0, 0.0]
    """

    def __new__(cls, xs: Any) -> array:
        """A copy of xs: see the class."""
        try:
            found = base(xs, "array")
        except ValueError:
            raise ValueError(f"array: expected sequences of one length at each level, got {describe(xs)}") from None
        made: array = found.copy().view(cls)
        return made

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return checks.load_arrays().apply_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return checks.load_arrays().apply_function(function, args, options)

    @property  # type: ignore[misc]
    def imag(self) -> Array:
        """Zeros: Values are real."""
        return np.zeros(self.shape)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(as_index(key))

    def __setitem__(self, key: Any, x: Any) -> None:
        new = base(x, "array")
        super().__setitem__(as_index(key), new if new.ndim else new.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"the truth of an array of shape {self.shape} is not one answer: use x.all() or x.any(), or choose "
                "element by element with np.where"
            )
        return truth(self.ravel().tolist()[0])


def as_index(key: Any) -> Any:
    """A key for an array: masks of 0/1 Values as booleans, which is a guard on each while a function is traced.

    Raises:
        TypeError: it holds a Value that did not come of comparisons: these may be places, which a mask would mistake.
        ValueError: it was made of several comparisons, of which one is NaN: what NumPy says then hangs on how.
    """
    if isinstance(key, tuple):
        return tuple(map(as_index, key))
    if isinstance(key, array):
        for x in key.ravel().tolist():
            op = x.op if isinstance(x, Value) else "add"  # a plain number is looked at as one of arithmetic is
            if op in COMPARISONS or (op in _ANSWERS and (x == 0.0 or x == 1.0)):  # guards while a function is traced
                continue
            if op in _ANSWERS and x != x:
                raise ValueError(
                    "index: a mask of several comparisons holds NaN, which is neither 0 nor 1: give what is compared "
                    "another number there first, as np.where(np.isnan(x), 0.0, x)"
                )
            raise TypeError(
                f"index: an array that holds {describe(x)} may be places or a mask: write x[m > 0] for a mask; for "
                "places take an array of integers that is not an argument of the function, or a tuple in static="
            )
        return truths(key)
    if isinstance(key, Value):
        raise TypeError(f"index: expected an integer, a slice or a mask, got {key!r}; a Value cannot be a place")
    return key


def truths(x: array) -> Array:
    """Which elements are true, as booleans: a guard on each while a function is traced."""
    return np.array([truth(y) for y in x.ravel().tolist()], bool).reshape(x.shape)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "less": operator.lt,
    "less_equal": operator.le,
    "equal": lambda a, b: a <= b and a >= b,
    "not_equal": lambda a, b: not (a <= b and a >= b),
}
"""Comparisons that Python asks about: true or false, and guarded while a function is traced."""

_ANSWERS = {*COMPARISONS, "add", "sub", "mul", "where", "maximum", "minimum"}
"""Operations whose results may be a mask: `m & n` is a product, `~m` is 1 - m."""


def truth(x: Any) -> bool:
    """Whether an element is true: a comparison of Values is where it holds, any other number where it is not 0."""
    if isinstance(x, Value) and x.op in COMPARISONS:
        return bool(x > 0.0)  # a comparison with NaN is NaN, and does not hold
    return not (x <= 0.0 and x >= 0.0)


# --- to base arrays of Values and floats, and back ----------------------------------------------------------


def base(x: Any, what: str) -> Array:
    """x as a base array of objects, each a Value or a float."""
    if isinstance(x, array):
        return x.view(np.ndarray)
    if isinstance(x, Value):
        found = np.empty((), object)
        found[()] = x
        return found
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{what}: expected an array, got a masked one; give x.compressed(), or x.filled(...)")
    found = np.asarray(x)
    if found.dtype.kind in "fiub":
        return found.astype(float).astype(object)
    if found.dtype.kind != "O":
        raise TypeError(f"{what}: expected Values and real numbers, got {describe(x)}")
    return normal(found, what)


def normal(found: Array, what: str) -> Array:
    """A base array of objects with each number made a float."""
    flat = found.ravel().tolist()
    if all(x.__class__ is float or isinstance(x, Value) for x in flat):
        return found
    made = np.empty(len(flat), object)
    for i, x in enumerate(flat):
        made[i] = element(x, what)
    return made.reshape(found.shape)


def element(x: Any, what: str) -> Any:
    """One element: a Value as it is, a number as a float."""
    if isinstance(x, Value):
        return x
    if getattr(x, "ndim", None) == 0 and isinstance(x.item(), Value):
        return x.item()
    number = to_float(x)
    if number is NotImplemented:
        raise TypeError(f"{what}: expected Values and real numbers, got {describe(x)}")
    return number


def finished(x: Any) -> Any:
    """A result: an `ag.array` for an array of objects, the element for one without axes."""
    if isinstance(x, np.ndarray):
        return x.view(array) if x.ndim else x.item()
    return x


def from_rows(rows: list[Any]) -> array:
    """Lists of Values and floats as an array."""
    return array(rows)


def of_value(value: Value, dtype: Any) -> Array:
    """A Value as an array without axes, when NumPy asks for one."""
    found = base(value, "array").view(array)
    return found if dtype is None or dtype is object or dtype == np.dtype(object) else found.astype(dtype)


def written(out: Any, result: Any, what: str) -> Any:
    """A result put into the array that out= names."""
    if not isinstance(out, np.ndarray) or out.dtype != object:
        raise TypeError(
            f"{what}: an array of dtype {getattr(out, 'dtype', '?')} cannot hold Values; write x = x + y in place of "
            "x += y, or make x an ag.array first"
        )
    np.ndarray.__setitem__(out, ..., result)
    return out


WAYS = "write it with the functions of docs/NUMPY.md, or take numbers out first: [v.item() for v in x.ravel()]"


def unsupported(what: str) -> str:
    """The message for a call that is not supported."""
    return f"{what} is not supported on arrays of Values; {WAYS}"
