"""Trees of numbers: flatten a sequence, a nested sequence or an array into its leaves, and unflatten it again.

What an argument of a transform looks like (a float, a list of pairs, an array of shape (3, 2)) is kept as a treedef:
the steps that build it again from its leaves, in order, as on a stack. A list of steps and not a nested thing, so that
lists nested twenty thousand deep need no recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from sys import modules
from typing import Any

from autograd_lite.engine import checks
from autograd_lite.engine.checks import describe, is_array, to_float
from autograd_lite.engine.value import Value

Shape = tuple[int, ...]


class Join:
    """The step that joins the last `size` things into one sequence: a list, a tuple or a namedtuple."""

    __slots__ = ("kind", "size")

    def __init__(self, kind: type, size: int) -> None:
        self.kind, self.size = kind, size

    def __call__(self, items: list[Any]) -> Any:
        """The sequence of these items; of a type that is neither tuple nor namedtuple, a list."""
        if hasattr(self.kind, "_fields"):  # a namedtuple takes its fields one by one
            return self.kind(*items)
        return tuple(items) if self.kind is tuple else items

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Join) and self.size == other.size

    __hash__ = None  # type: ignore[assignment]

    def written(self, items: list[str]) -> str:
        """The sequence of these texts, as Python writes it."""
        inner = ", ".join(items)
        if hasattr(self.kind, "_fields"):
            return f"{self.kind.__name__}({inner})"
        return f"({inner}{',' * (self.size == 1)})" if self.kind is tuple else f"[{inner}]"


class TreeDef:
    """The form of a tree, without its leaves. Equal to another of the same form, lists and tuples counting as equal.

    Attributes:
        steps: how to build the tree from its leaves: a shape takes the next leaves, as one array (the shape `()` takes
            a single leaf as it is), and a Join makes one sequence of the last things built.

    Example:
        >>> from autograd_lite.engine.trees import flatten
        >>> leaves, treedef = flatten([1, (2, np.zeros((3, 2)))], "example")
        >>> len(leaves), treedef
        (8, TreeDef([*, (*, array(3, 2))]))
    """

    def __init__(self, steps: Sequence[Shape | Join]) -> None:
        self.steps = list(steps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeDef) and self.steps == other.steps

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        text = self.build(lambda shape, _: f"array{shape}" if shape else "*", Join.written)
        return f"TreeDef({text})"

    def build(self, part: Callable[[Shape, slice], Any], join: Callable[[Join, list[Any]], Any] = Join.__call__) -> Any:
        """The tree with `part(shape, places)` for each leaf and array: its shape, and the places of its leaves."""
        built: list[Any] = []
        position = 0
        for step in self.steps:
            if isinstance(step, Join):
                start = len(built) - step.size
                built[start:] = [join(step, built[start:])]
            else:
                first, position = position, position + (prod(step) if step else 1)
                built.append(part(step, slice(first, position)))
        return built[0]

    @property
    def is_leaf(self) -> bool:
        """Whether it is one number and nothing around it."""
        return self.steps == [()]

    @property
    def is_array(self) -> bool:
        """Whether it is one array and nothing around it."""
        return len(self.steps) == 1 and not self.is_leaf

    @property
    def has_arrays(self) -> bool:
        """Whether there is an array in it."""
        return any(step for step in self.steps if not isinstance(step, Join))

    @property
    def shape(self) -> Shape | None:
        """The shape that the tree has as one array; None if it is ragged."""

        def joined(join: Join, shapes: list[Shape | None]) -> Shape | None:
            first = shapes[0] if shapes else ()
            return None if first is None or any(shape != first for shape in shapes) else (join.size, *first)

        return self.build(lambda shape, _: shape, joined)  # type: ignore[no-any-return]

    @property
    def paths(self) -> list[str]:
        """How to reach each leaf, as Python writes it: `[2]`, `[0][1, 3]`, "" for a number alone."""

        def joined(_: Join, parts: list[list[str]]) -> list[str]:
            return [f"[{i}]{path}" for i, paths in enumerate(parts) for path in paths]

        def part(shape: Shape, _: slice) -> list[str]:
            return [str(list(index)) for index in product(*map(range, shape))] if shape else [""]

        return self.build(part, joined)  # type: ignore[no-any-return]


def flatten(x: Any, what: str) -> tuple[list[Any], TreeDef]:
    """The leaves of x in order, floats and Values, and the treedef that puts them back.

    Args:
        x: a number, a Value, an array of them, or a sequence of such things, nested as you like.
        what: what an error message calls x.

    Raises:
        TypeError: something inside is none of these.

    Example:
        >>> from autograd_lite.engine.trees import flatten, unflatten
        >>> leaves, treedef = flatten([1, (2, 3.5)], "example")
        >>> leaves
        [1.0, 2.0, 3.5]
        >>> unflatten(treedef, [10.0, 20.0, 30.0])
        [10.0, (20.0, 30.0)]
    """
    if is_array(x):
        return _array_leaves(x, what), TreeDef([x.shape])
    leaves: list[Any] = []
    steps: list[Shape | Join] = []
    stack = [x]
    while stack:
        item = stack.pop()
        if isinstance(item, Value):
            leaves.append(item)
            steps.append(())
        elif isinstance(item, Join):
            steps.append(item)
        elif is_array(item):
            leaves += _array_leaves(item, what)
            steps.append(item.shape)
        elif isinstance(item, Sequence) and not isinstance(item, (str, bytes)):
            stack.append(Join(type(item), len(item)))  # comes up again when all its items are out
            stack.extend(reversed(item))
        else:
            leaves.append(_leaf(item, what))
            steps.append(())
    return leaves, TreeDef(steps)


def _array_leaves(array: Any, what: str) -> list[Any]:
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
    return [x if isinstance(x, Value) else _leaf(x, what) for x in array.ravel().tolist()]


def _leaf(x: Any, what: str) -> float:
    if getattr(x, "ndim", None) == 0 and isinstance(getattr(x, "item", lambda: None)(), Value):
        return x.item()  # type: ignore[no-any-return]
    value = to_float(x)
    if value is NotImplemented:
        raise TypeError(
            f"{what}: expected numbers, Values, arrays or sequences of them, got {describe(x)}; "
            "give a list, a tuple or an array of real numbers"
        )
    return value  # type: ignore[no-any-return]


def unflatten(treedef: TreeDef, leaves: Sequence[Any]) -> Any:
    """The tree of this form with these leaves (or anything else in their places)."""
    return treedef.build(lambda shape, at: as_array(leaves[at], shape) if shape else leaves[at.start])


def as_array(items: Sequence[Any], shape: Shape) -> Any:
    """Items as an array of this shape: float64 if all are floats, else an `ag.array`; of shape (), the item."""
    if not shape:
        return items[0]
    numpy = modules["numpy"]  # loaded: a shape comes from an array. The engine itself never imports NumPy
    if all(type(x) is float for x in items):
        return numpy.array(items, dtype=float).reshape(shape)
    array = numpy.empty(len(items), dtype=object)
    for i, x in enumerate(items):  # one by one: an item that is a list must stay an item
        array[i] = x
    return array.reshape(shape).view(checks.load_arrays().array)
