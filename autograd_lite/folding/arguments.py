"""What is handed to `fold`, `compile` and their programs, checked: numbers and parameters. Containers: forms.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from autograd_lite.engine.checks import describe, to_float
from autograd_lite.engine.value import Value

Array = Any

_FLOAT = np.dtype(float)


def numbers(x: Any, what: str, k: int | None = None) -> Array:
    """A number or a regular array of numbers of any kind, as an array of float64.

    Args:
        x: what came.
        what, k: what an error message calls it: "program: argument" 0.

    Raises:
        TypeError: it holds something that is not a real number, or it is ragged.
        OverflowError: an integer in it is too large for a float.
    """
    if x.__class__ is np.ndarray and x.dtype is _FLOAT:
        return x
    if k is not None:
        what = f"{what} {k}"
    array: Any = None
    if not isinstance(x, np.ma.MaskedArray):
        try:
            array = np.asarray(x)
        except ValueError:
            array = None  # ragged
    if array is not None and array.dtype.kind in "biuf":
        with np.errstate(all="ignore"):
            return np.asarray(array, float)
    found = [] if array is None or array.dtype.kind != "O" else array.ravel().tolist()
    if any(isinstance(item, Value) for item in found):
        raise TypeError(
            f"{what} {'is' if array.ndim == 0 else 'holds'} a Value; a program takes numbers: .item() is one"
        )
    made = []
    for item in found:
        try:
            made.append(to_float(item))
        except OverflowError as error:
            raise OverflowError(f"{what}: {error}") from None
    if not made or any(item is NotImplemented for item in made):
        raise TypeError(f"{what} must be a number or a regular array of numbers, got {describe(x)}")
    return np.array(made, float).reshape(array.shape)


def parameters(params: Any, who: str) -> list[Value]:
    """The parameters of a Module, or those in a sequence, as a list; each a leaf."""
    found = params.parameters() if hasattr(params, "parameters") else params
    if isinstance(found, (Value, str, bytes)) or not isinstance(found, Iterable):
        raise TypeError(f"{who}: params must be a Module or a sequence of Parameters, got {describe(params)}")
    return leaves(list(found), f"{who}: params")


def leaves(xs: list[Any], what: str) -> list[Value]:
    """Values that can be fed: every one a leaf."""
    for k, x in enumerate(xs):
        if not isinstance(x, Value):
            raise TypeError(f"{what}: expected Values, element {k} is {describe(x)}")
        if x._row is not None:
            raise ValueError(f"{what}: element {k} is the result of an operation, {x!r}; only leaves can be fed")
    return xs


def inputs(given: Any) -> tuple[list[list[Value]], list[tuple[int, ...]]]:
    """The leaves of each argument of a folded program, and its shape."""
    if isinstance(given, (Value, str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(
            f"fold: inputs must be a sequence with one entry for each argument, got {describe(given)}; "
            "for a single argument x it is inputs=[x]"
        )
    found, shapes = [], []
    for k, one in enumerate(given):
        try:
            array = np.asarray(one, object)
        except ValueError:
            raise ValueError(f"fold: inputs[{k}] must be a Value or a regular array of Values; it is ragged") from None
        found.append(leaves(array.ravel().tolist(), f"fold: inputs[{k}]"))
        shapes.append(array.shape)
    return found, shapes
