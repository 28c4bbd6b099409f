"""What users pass in: numbers made floats, settings held to their bounds, and how a message describes the rest."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from math import inf
from numbers import Rational, Real
from operator import index
from sys import maxsize, modules
from typing import Any


@cache
def numpy_module() -> Any:
    """NumPy, or None where it is not installed."""
    try:
        return import_module("numpy")
    except ImportError:
        return None


def numpy_for(who: str) -> Any:
    """NumPy, or a refusal that says what needs it and how to install it; the engine and pictures do without it."""
    np = numpy_module()
    if np is None:
        raise ModuleNotFoundError(needs(who, "NumPy"), name="numpy")
    return np


def setting(x: Any, what: str, low: float, high: float = inf) -> float:
    """A number in [low, high), or a refusal that says what it was for."""
    value = as_float(x, what)
    if not low <= value < high:  # also NaN, and infinity
        bounds = f"at least {low:g}" if high == inf else f"in [{low:g}, {high:g})"
        raise ValueError(f"{what} must be {bounds} and finite, got {value:g}")
    return value


def whole(n: Any, what: str, low: int = 1) -> int:
    """A whole number of at least `low`, or a refusal that says what it was for."""
    try:
        count = index(n)
    except TypeError:
        raise TypeError(f"{what} must be a whole number, got {describe(n)}") from None
    if count < low:
        raise ValueError(f"{what} must be at least {low}, got {count}")
    if low == 1 and count > maxsize:  # a size; seeds may be any whole number
        raise OverflowError(f"{what} is too large for the memory of any machine, got {describe(n)}")
    return count


def needs(what: str, package: str, extra: str = "", instead: str = "") -> str:
    """The message where a package is not installed; `extra` is what brings it, where the core does without."""
    how = f"'autograd_lite[{extra}]'" if extra else package.lower()
    absent = "" if extra else ", which is not installed"
    return f"{what} needs {package}{absent}: pip install {how}{instead and ', or '}{instead}"


def watched() -> bool:
    """Whether someone sees what is written meanwhile: a notebook, or a terminal."""
    shell = modules["IPython"].get_ipython() if "IPython" in modules else None
    if shell is not None and "IPKernelApp" in shell.config:
        return True
    return hasattr(sys.stderr, "isatty") and sys.stderr.isatty()


def tqdm_class() -> Any:
    """tqdm's bar for here, or None where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm's, where a notebook lacks its widgets: it then writes text
        try:
            return import_module("tqdm.auto").tqdm
        except ImportError:
            return None


def flag(x: Any, what: str) -> bool:
    """True or False, or a refusal of what is neither, such as an array."""
    try:
        return bool(x)
    except (TypeError, ValueError):
        raise TypeError(f"{what} must be True or False, got {describe(x)}") from None


def sequence(x: Any, what: str, of: str) -> list[Any]:
    """The elements of any iterable but text, or a refusal that says what it was for."""
    try:
        if not isinstance(x, (str, bytes)):
            return list(x)
    except TypeError:  # also a 0-d array, which has __iter__ and cannot be iterated over
        if hasattr(x, "__next__"):  # a generator whose own code failed
            raise
    raise TypeError(f"{what} must be {of}, got {describe(x)}")


ALIASES = {
    "mse": "mean_squared_error", "sse": "squared_error", "l2loss": "squared_error", "mae": "absolute_error",
    "l1loss": "absolute_error", "smoothl1": "huber", "bce": "binary_cross_entropy", "logloss": "binary_cross_entropy",
    "bcewithlogits": "binary_cross_entropy_with_logits", "ce": "cross_entropy", "nll": "cross_entropy",
    "softmax": "cross_entropy", "svm": "hinge", "maxmargin": "hinge",
    "rectifier": "relu", "lrelu": "leaky_relu", "swish": "silu", "logistic": "sigmoid", "none": "linear",
    "identity": "linear", "gd": "sgd", "gradientdescent": "sgd",
    "xavier": "glorot", "kaiming": "he", "gaussian": "normal", "acc": "accuracy",
}  # fmt: skip
"""The usual short names, and those of other libraries, in lower case without separators."""

NEARLY = {
    "momentum": "sgd", "nesterov": "sgd", "adaptive": "adam", "nll": "cross_entropy", "softmax": "cross_entropy",
    "svm": "hinge", "l2loss": "squared_error", "logloss": "binary_cross_entropy",
}  # fmt: skip
"""Names that are a hint alone: what is meant needs an argument more, or reads its targets in another way."""


def known_as(name: Any, known: Iterable[str]) -> str | None:
    """The known name that is meant by a name in any case, or by its usual short one; None if there is none.

    Example:
        >>> from autograd_lite.engine.checks import known_as
        >>> known_as("MSE", ["hinge", "mean_squared_error"]), known_as("hing", ["hinge"])
        ('mean_squared_error', None)
    """
    if not isinstance(name, str):
        return None
    plain = {_plain(x): x for x in known}
    forms = [form for wanted in [_plain(name)] for form in (wanted, wanted.removesuffix("loss"))]
    exact = [name] if name in plain.values() else []
    usual = [ALIASES[form] for form in forms if form in ALIASES and form not in NEARLY]
    return next((plain[_plain(x)] for x in [*exact, *forms, *usual] if _plain(x) in plain), None)


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: "; did you mean 'relu'?" for "ReLU", or nothing.

    Example:
        >>> from autograd_lite.engine.checks import did_you_mean
        >>> did_you_mean("MSE", ["hinge", "mean_squared_error"]), did_you_mean("7", ["hinge"])
        ("; did you mean 'mean_squared_error'?", '')
    """
    if not isinstance(name, str) or len(name) > 100:
        return ""
    plain = {_plain(x): x for x in known}
    wanted = _plain(name)
    forms = wanted, wanted.removesuffix("loss")
    meant = {**ALIASES, **NEARLY}
    found = next((plain[x] for form in forms for x in (form, _plain(meant.get(form, ""))) if x in plain), None)
    if found is None:
        found = next((plain[x] for x in plain if wanted and _one_letter_apart(wanted, x)), None)
    return f"; did you mean {found!r}?" if found else ""


def _one_letter_apart(a: str, b: str) -> bool:
    """Whether one letter too many, too few or wrong makes the one of the other."""
    first = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[first + 1 :] == b[first + 1 :] or a[first + 1 :] == b[first:] or a[first:] == b[first + 1 :]


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def is_array(x: Any) -> bool:
    """Whether x is a NumPy array with an axis (one without is a number); does not import NumPy."""
    numpy = modules.get("numpy")  # an array can only come from there
    return numpy is not None and isinstance(x, numpy.ndarray) and x.ndim > 0


load_arrays: Callable[[], Any] = lambda: None  # noqa: E731
"""Gives autograd_lite/arrays.py, which stands above the engine and needs NumPy: loaded when the first array of Values
is made. The package's __init__.py sets it."""


def explain_numpy(error: Exception) -> None:
    """Raise our message in place of NumPy's, if this error is NumPy's refusal of an array that holds Values."""
    if "numpy" in modules and (message := load_arrays().explanation(error)):
        raise TypeError(message).with_traceback(error.__traceback__) from None


# --- numbers --------------------------------------------------------------------------------------


def to_float(x: Any) -> Any:
    """x as a float if it is a real number of any kind (0-d arrays included), else NotImplemented."""
    if type(x) is float:
        return x
    if isinstance(x, float):  # np.float64: the most common of what is not a plain float
        return float(x)
    if type(x) is int or isinstance(x, Real) or _is_decimal(x):
        try:
            value = float(x)
        except OverflowError:
            value = math.inf
        except ValueError:  # Decimal("sNaN")
            raise ValueError(f"{describe(x)} has no float; a NaN is float('nan')") from None
        if math.isinf(value) and (isinstance(x, Rational) or "inf" not in str(x).lower()):
            message = f"this {type(x).__name__} is too large for a float (1.8e308); divide it first"
            raise OverflowError(message)
        return value
    if getattr(x, "ndim", None) == 0 and hasattr(x, "item"):
        item = x.item()
        return NotImplemented if item is x else to_float(item)
    return NotImplemented


def _is_decimal(x: Any) -> bool:
    decimal = modules.get("decimal")  # a Decimal can only come from there
    return decimal is not None and isinstance(x, decimal.Decimal)


def as_float(x: Any, what: str, hint: str = "give an int, a float or a NumPy scalar") -> float:
    """x as a float; TypeError says what it was for."""
    try:
        value = to_float(x)
    except OverflowError as error:
        raise OverflowError(f"{what}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    if value is NotImplemented:
        if hasattr(x, "_f"):  # a Value, a class of a later file
            hint = "take its number with .item(), or a leaf without history with .detach()"
        elif getattr(x, "ndim", 0):
            hint = "on arrays use NumPy's function of that name, which applies ours to each element"
        raise TypeError(f"{what}: expected a real number, got {describe(x)}; {hint}")
    return value  # type: ignore[no-any-return]


def describe(x: Any) -> str:
    """A short description of any object for an error message: its type, and itself if that is short."""
    try:
        text = repr(x)
    except Exception:  # of an integer of 5,000 digits, or of an object whose repr fails: name its type at least
        return type(x).__name__
    return f"{type(x).__name__} {text}" if len(text) <= 60 else type(x).__name__
