"""Which of NumPy's functions take an array of Values, and NumPy's refusals in our words."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from traceback import walk_tb
from typing import Any

import numpy as np

from autograd_lite import linalg
from autograd_lite.arrays.counterparts import COUNTERPARTS
from autograd_lite.arrays.elements import WAYS, array, base, element, finished, normal, unsupported
from autograd_lite.arrays.reductions import along, in_order
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Value

_MOVING = """
append array2string array_repr array_split array_str astype atleast_1d atleast_2d atleast_3d block broadcast_arrays
broadcast_to choose column_stack compress concat concatenate convolve copy copyto correlate cumprod cumsum
cumulative_prod cumulative_sum delete diag diag_indices_from diagflat diagonal diff dsplit dstack ediff1d expand_dims
extract fill_diagonal flip fliplr flipud full_like hsplit hstack inner insert isin ix_ kron matrix_transpose
may_share_memory meshgrid moveaxis pad permute_dims place polyval put put_along_axis ravel repeat reshape resize
result_type roll rollaxis rot90 row_stack searchsorted shares_memory
sliding_window_view split squeeze stack swapaxes take take_along_axis
tensordot tile transpose trapezoid trapz tril tril_indices_from triu triu_indices_from unique unstack vander vsplit
vstack linalg.cross linalg.diagonal linalg.matmul linalg.matrix_transpose linalg.multi_dot linalg.outer
linalg.tensordot linalg.trace linalg.vecdot
"""
STRUCTURAL = set(_MOVING.split())
"""Functions of NumPy that move elements, or only add, subtract and multiply them: they work on the base arrays."""


@cache
def _by_function() -> dict[Any, Callable[..., Any]]:
    found = {}
    for name, counterpart in COUNTERPARTS.items():
        module, _, last = name.rpartition(".")
        function = getattr(np.linalg if module else np, last, None)
        if function is not None:
            found[function] = counterpart
    return found


def _full_name(function: Any) -> str:
    below = "linalg." if "linalg" in getattr(function, "__module__", "") else ""
    return below + getattr(function, "__name__", str(function))


def apply_function(function: Any, args: Any, options: Any) -> Any:
    """A function of NumPy that was called with an `ag.array` or a Value."""
    counterpart = _by_function().get(function)
    if counterpart is not None:
        return counterpart(*args, **options)
    name = _full_name(function)
    if name not in STRUCTURAL:
        raise TypeError(unsupported(f"np.{name}"))
    try:
        found = function(*map(_lowered, args), **{key: _lowered(x) for key, x in options.items()})
    except (TypeError, AttributeError) as error:
        raise TypeError(f"np.{name}: NumPy cannot do this with an array of Values ({error}); {WAYS}") from None
    return _raised(found, f"np.{name}")


def _lowered(x: Any) -> Any:
    """An argument for NumPy's own function: base arrays, so that it does not come back here."""
    if isinstance(x, (array, Value)):
        return base(x, "array")
    if isinstance(x, (list, tuple)) and any(isinstance(y, (array, Value, list, tuple)) for y in x):
        return type(x)(map(_lowered, x)) if not hasattr(x, "_fields") else x
    return x


def _raised(x: Any, what: str) -> Any:
    """A result of NumPy's own function."""
    if isinstance(x, (list, tuple)):
        return type(x)([_raised(y, what) for y in x]) if not hasattr(x, "_fields") else x
    if isinstance(x, np.ndarray) and x.dtype == object:
        return finished(normal(x, what))
    return element(x, what) if isinstance(x, (int, float)) and not isinstance(x, bool) else x


# --- methods --------------------------------------------------------------------------------------------------


def _method(name: str) -> Callable[..., Any]:
    counterpart = COUNTERPARTS[name]

    def method(self: array, *args: Any, **options: Any) -> Any:
        return counterpart(self, *args, **options)

    method.__name__, method.__doc__ = name, f"np.{name} of this array."
    return method


_METHODS = "sum prod mean var std max min ptp all any argmin argmax argsort clip round nonzero trace dot"

for _name in _METHODS.split():
    setattr(array, _name, _method(_name))


def _sort(self: array, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
    """Sort this array in place along an axis."""
    self[...] = along(in_order, self, axis)


array.sort = _sort  # type: ignore[method-assign,assignment]


# --- NumPy's refusals ---------------------------------------------------------------------------------------------

_REFUSALS = re.compile(
    r"loop of ufunc does not support argument \d+ of type (?P<kind>\w+) which has no callable (?P<name>\w+) method"
    r"|ufunc '(?P<ufunc>\w+)' (?:not supported|did not contain a loop)"
    r"|Cannot cast ufunc '(?P<cast>\w+)' input from dtype\('O'\)"
    r"|array type object is unsupported in linalg"
    r"|'(?:float|int)' object has no attribute '(?P<attribute>\w+)'"
    r"|(?P<scipy>object arrays are not supported|dtype object cannot be cast|input type 'object' not supported"
    r"|not support dtype object|no supported conversion for types:.*'O'|Cannot cast array data from dtype\('O'\))"
)


def explanation(error: Exception) -> str:
    """Our words for an error of NumPy about a base array of Values; "" for any other error."""
    met = _REFUSALS.search(str(error))
    if met and met["scipy"]:
        if "scipy" in dict(_calls(error)):
            return (
                f"a function of SciPy cannot work on Values ({met['scipy']}): np.linalg and ag.linalg can. "
                "What needs numbers can be made a primitive with a derivative of its own: ag.primitive"
            )
        met = None
    if not met and not isinstance(error, (TypeError, AttributeError)):
        return ""
    if not met or (met["attribute"] and not isinstance(getattr(np, met["attribute"], None), np.ufunc)):
        inside = _inside_numpy(error)
        return inside and (
            f"np.{inside} cannot work on a list or a base array of objects that holds Values: make it an ag.array "
            "(docs/NUMPY.md lists what works on one)"
        )
    name = next((x for x in (met["name"], met["ufunc"], met["cast"], met["attribute"]) if x), "")
    ours = (
        f"ag.{name}(array)"
        if name in TABLE
        else f"ag.linalg.{name}(array)"
        if name in linalg.__all__
        else "ag.exp(array)"
    )
    called = f"np.{name}" if name else "this function of NumPy"
    return (
        f"{called} cannot work on a base array of objects that holds Values (np.array([x, 0.5]) makes one): "
        f"make it ag.array([x, 0.5]), or use {ours}, which works on any array"
    )


def _calls(error: Exception) -> list[tuple[str, str]]:
    """(package, function) of each frame that an error went through, outermost first."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return [(str(x.f_globals.get("__name__", "")).partition(".")[0], x.f_code.co_name) for x in frames]


def _inside_numpy(error: Exception) -> str:
    """The function of NumPy that was called where an error came from its own code; "" if it came from elsewhere."""
    called = ""
    for package, function in _calls(error):
        called = (called or function) if package == "numpy" else ""
    return called
