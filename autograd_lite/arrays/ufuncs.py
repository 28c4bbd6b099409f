"""Ufuncs of NumPy, their methods included, and our own functions on arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from sys import modules
from typing import Any

import numpy as np

from autograd_lite.arrays.elements import COMPARISONS, array, base, finished, truth, truths, unsupported, written
from autograd_lite.arrays.reductions import reduced
from autograd_lite.arrays.scalars import SCALARS, primitive
from autograd_lite.engine import functions
from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.engine.value import Value, record

Array = Any


_NATIVE = {"add", "subtract", "multiply", "negative"}
"""NumPy's own loops over objects, which are faster, do the same: these never raise on two floats."""

_TO_BOOL = {"isnan", "isfinite", "isinf", "signbit"}

REDUCTIONS: dict[str, Callable[..., Any]] = {
    "add": functions.sum,
    "multiply": functions.prod,
    "maximum": functions.max,
    "minimum": functions.min,
    "logaddexp": functions.logsumexp,
    "hypot": functions.norm,
    "logical_and": lambda xs: all(map(truth, xs)),
    "logical_or": lambda xs: any(map(truth, xs)),
}
"""What `ufunc.reduce` does with one row: the primitive of a sequence, where there is one."""


@cache
def _by_element(ufunc: Any) -> Any:
    name = ufunc.__name__
    return ufunc if name in _NATIVE else np.frompyfunc(SCALARS[name], ufunc.nin, 1)


def _home(ufunc: Any) -> str:
    """Where a ufunc is from, with a dot; "" for one of somebody else, whose name says nothing."""
    for home, module in (("np.", np), ("scipy.special.", modules.get("scipy.special"))):
        if getattr(module, ufunc.__name__, None) is ufunc:
            return home
    return ""


def value_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """A ufunc of NumPy with a Value among its operands."""
    if method == "__call__" and len(inputs) == 1 and not options and ufunc in _OF_NUMPY:
        return _OF_NUMPY[ufunc](self)
    return apply_ufunc(ufunc, method, inputs, options)


_OF_SCIPY = {"expit": "sigmoid", "log_expit": "log_sigmoid", "gammaln": "lgamma", "psi": "digamma"}
"""Functions of scipy.special that have another name here."""

_OF_NUMPY = {getattr(np, name): scalar for name, scalar in SCALARS.items() if hasattr(np, name)}

_OPTIONS = {"casting", "order", "subok", "signature", "sig", "extobj"}
"""Options of ufuncs that change nothing here."""


def apply_ufunc(ufunc: Any, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """A ufunc on arrays of Values, one of its methods included."""
    with np.errstate(all="ignore"):  # infinities and NaN are results here, never warnings
        return _applied(ufunc, method, inputs, options)


def _applied(ufunc: Any, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    name, home = ufunc.__name__, _home(ufunc)
    what = f"{home}{name}" if method == "__call__" else f"{home}{name}.{method}"
    options = {key: x for key, x in options.items() if key not in _OPTIONS}
    # np.any and `in` ask for bool of a reduction that gives it anyway
    if (
        options.pop("dtype", None) not in (None, float, object, np.dtype(float), np.dtype(object))
        and "logical" not in name
    ):
        raise TypeError(f"{what}: dtype must be float for Values; leave it out")
    (out,) = options.pop("out", None) or (None,)
    where = options.pop("where", True)
    if ufunc is np.divmod and method == "__call__":
        return apply_ufunc(np.floor_divide, method, inputs, {}), apply_ufunc(np.remainder, method, inputs, {})
    if name == "matmul" and method == "__call__":
        result = _matmul(*(base(x, what) for x in inputs))
    elif not home or name not in SCALARS:
        ours = _OF_SCIPY.get(name, name)
        if home == "scipy.special." and ours in TABLE:
            raise TypeError(f"{what} is not supported on Values: ag.{ours} is that function with its derivative")
        if method != "__call__" or set("".join(ufunc.types)) != set("O->"):
            raise TypeError(unsupported(what))
        result = ufunc(*(base(x, what) for x in inputs))  # of np.frompyfunc and np.vectorize
    elif method == "__call__":
        result = _call(ufunc, inputs, what)
        if where is not True:
            if out is None:
                raise TypeError(f"{what}: where= without out= leaves elements undefined; use np.where(mask, new, old)")
            result = base(choose(where, result, out), what)
    elif method == "reduce" and name in REDUCTIONS:
        result = reduced(REDUCTIONS[name], inputs[0], *inputs[1:], where=where, **options)
    elif method in ("reduce", "accumulate", "outer", "reduceat"):
        if where is not True or "initial" in options:
            raise TypeError(f"{what}: where= and initial= are not supported here; choose with np.where first")
        arrays, rest = (inputs, ()) if method == "outer" else (inputs[:1], inputs[1:])
        by_element = np.frompyfunc(SCALARS[name], ufunc.nin, 1)
        result = getattr(by_element, method)(*(base(x, what) for x in arrays), *rest, **options)
    else:
        raise TypeError(unsupported(what))
    return finished(result) if out is None else written(out, result, what)


def _call(ufunc: Any, inputs: Sequence[Any], what: str) -> Any:
    name = ufunc.__name__
    arrays = [base(x, what) for x in inputs]
    if name in COMPARISONS and not any(isinstance(x, array) for x in inputs):
        # a Value beside a number or an array that is not ours: as Python's own comparison of them
        decided = np.frompyfunc(COMPARISONS[name], 2, 1)(*arrays)
        return decided.astype(bool) if isinstance(decided, np.ndarray) else decided
    result = _by_element(ufunc)(*arrays)
    if name in _TO_BOOL:
        return np.asarray(result, bool)[()] if isinstance(result, np.ndarray) else bool(result)
    return result


def _matmul(a: Array, b: Array) -> Any:
    if not a.ndim or not b.ndim:
        raise ValueError("matmul: both sides of @ need an axis; a number times an array is x * y")
    return np.matmul(a, b)


def elementwise(row: Row, *xs: Any) -> Any:
    """A primitive on each element of arrays: floats for arrays of numbers, else an `ag.array`."""
    # a made function is the faster way, but another row may have taken the name since
    function = getattr(functions, row.name) if row.builtin else _of_row(row)
    with np.errstate(all="ignore"):
        result = np.frompyfunc(function, len(xs), 1)(*(base(x, row.name) for x in xs))
    if any(isinstance(x, Value) or (isinstance(x, np.ndarray) and x.dtype == object) for x in xs):
        return finished(result)
    return result.astype(float)


def _of_row(row: Row) -> Callable[..., Any]:
    return lambda *xs: record(row, xs) if any(isinstance(x, Value) for x in xs) else row.value(*xs)


def _chosen(condition: Any, a: Any, b: Any) -> Any:
    if isinstance(condition, Value):
        return primitive("where")(condition, a, b)
    return a if condition else b


_choice = np.frompyfunc(_chosen, 3, 1)


def choose(condition: Any, *sides: Any) -> Any:
    """np.where: live where the condition is, else as NumPy chooses."""
    if not sides:
        return np.nonzero(truths(array(condition)))
    return finished(_choice(base(condition, "np.where"), *(base(side, "np.where") for side in sides)))
