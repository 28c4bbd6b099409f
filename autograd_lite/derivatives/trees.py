"""Numbers inside sequences, nested sequences and arrays: taken out in order, and put back.

What an argument of a transform looks like (a float, a list of pairs, an array of shape (3, 2)) is kept
as a plan, a list of steps in the order in which they build it again from its numbers. No mathematics here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from typing import Any

from autograd_lite.engine.checks import describe, is_array, to_float
from autograd_lite.engine.value import Value

NUMBER = "number"
"""The step that takes the next number as it is. The others: a shape (the next numbers, as an array) and a Group."""


class Join:
    """The step that joins the last `size` things into one sequence."""

    __slots__ = ("join", "size")

    def __init__(self, join: Callable[[list[Any]], Any], size: int) -> None:
        self.join, self.size = join, size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Join) and self.size == other.size

    __hash__ = None  # type: ignore[assignment]


TreeDef = list[Any]


def flatten(x: Any, what: str) -> tuple[list[Any], TreeDef]:
    """The numbers of x in order, floats and Values, and the plan that puts them back.

    Args:
        x: a number, a Value, an array of them, or a sequence of such things, nested as you like.
        what: what an error message calls x.

    Raises:
        TypeError: something inside is none of these.

    Example:
        >>> from autograd_lite.derivatives.trees import flatten, unflatten
        >>> numbers, plan = flatten([1, (2, 3.5)], "example")
        >>> numbers
        [1.0, 2.0, 3.5]
        >>> unflatten(plan, [10.0, 20.0, 30.0])
        [10.0, (20.0, 30.0)]
    """
    if is_array(x):
        return _array_numbers(x, what), [x.shape]
    numbers: list[Any] = []
    plan: TreeDef = []
    stack = [x]
    while stack:
        item = stack.pop()
        if isinstance(item, Value):
            numbers.append(item)
            plan.append(NUMBER)
        elif isinstance(item, Join):
            plan.append(item)
        elif is_array(item):
            numbers += _array_numbers(item, what)
            plan.append(item.shape)
        elif isinstance(item, Sequence) and not isinstance(item, (str, bytes)):
            stack.append(Join(_joiner(type(item)), len(item)))
            stack.extend(reversed(item))
        else:
            numbers.append(_number(item, what))
            plan.append(NUMBER)
    return numbers, plan


def _array_numbers(array: Any, what: str) -> list[Any]:
    kind = type(array).__name__
    if kind == "matrix":  # always of two axes, and * means @ there: code for arrays goes wrong on it
        raise TypeError(f"{what}: expected an array, got a numpy.matrix; give np.asarray(x)")
    if kind == "MaskedArray":
        raise TypeError(
            f"{what}: expected an array, got a masked one (numpy.ma.MaskedArray), whose gaps have no derivatives; "
            "give x.compressed(), or x.filled(...)"
        )
    if array.dtype.kind in "fiub":
        return [float(x) for x in array.ravel().tolist()]
    return [x if isinstance(x, Value) else _number(x, what) for x in array.ravel().tolist()]


def _number(x: Any, what: str) -> float:
    if getattr(x, "ndim", None) == 0 and isinstance(getattr(x, "item", lambda: None)(), Value):
        return x.item()  # type: ignore[no-any-return]
    value = to_float(x)
    if value is NotImplemented:
        raise TypeError(
            f"{what}: expected numbers, Values, arrays or sequences of them, got {describe(x)}; "
            "give a list, a tuple or an array of real numbers"
        )
    return value  # type: ignore[no-any-return]


def _joiner(kind: type) -> Callable[[list[Any]], Any]:
    if hasattr(kind, "_fields"):  # a namedtuple takes its fields one by one
        return lambda items: kind(*items)
    return tuple if kind is tuple else list


def unflatten(plan: TreeDef, numbers: Sequence[Any]) -> Any:
    """The thing that `flatten` took apart, with other numbers in it (or anything else in their places)."""

    def part(step: Any, where: slice) -> Any:
        return numbers[where.start] if step is NUMBER else as_array(numbers[where], step)

    return assembled(plan, part)


def assembled(plan: TreeDef, part: Callable[[Any, slice], Any]) -> Any:
    """What a plan lays out, made of `part(step, where)` for each number and array: a step and the places it takes."""
    built: list[Any] = []
    position = 0
    for step in plan:
        if isinstance(step, Join):
            start = len(built) - step.size
            built[start:] = [step.join(built[start:])]
        else:
            first, position = position, position + (1 if step is NUMBER else prod(step))
            built.append(part(step, slice(first, position)))
    return built[0]


def as_array(items: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Items as an array of this shape: float64 if all are floats, else an array of objects."""
    import numpy as np

    if all(type(x) is float for x in items):
        return np.array(items, dtype=float).reshape(shape)
    array = np.empty(len(items), dtype=object)
    for i, x in enumerate(items):  # one by one: an item that is a list must stay an item
        array[i] = x
    return array.reshape(shape)


def places(plan: TreeDef) -> list[str]:
    """Where each number of a plan stands, as one would write it: `[2]`, `[0][1, 3]`, "" for a number alone."""
    built: list[list[str]] = []
    for step in plan:
        if step is NUMBER:
            built.append([""])
        elif isinstance(step, Join):
            start = len(built) - step.size
            built[start:] = [[f"[{i}]{place}" for i, inner in enumerate(built[start:]) for place in inner]]
        else:
            built.append([str(list(index)) for index in product(*map(range, step))])
    return built[0]
