"""Trees of numbers: flatten a container or an array into its leaves, and unflatten it again.

What an argument of a transform looks like (a float, a list of pairs, a dict of arrays) is kept as a treedef: the
steps that build it again from its leaves, in order, as on a stack. A list of steps and not a nested thing, so that
lists nested twenty thousand deep need no recursion.

A container is a sequence (list, tuple, namedtuple; any other comes back as a list), a mapping, whose keys keep their
order, or a dataclass, of which the fields that its `__init__` takes are parts. None within a container stays None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import product
from math import prod
from sys import modules
from typing import Any, ClassVar

from autograd_lite.engine import checks
from autograd_lite.engine.checks import describe, is_array, to_float
from autograd_lite.engine.value import Value

Shape = tuple[int, ...]


class Join:
    """The step that joins the last `size` things into one sequence: a list, a tuple or a namedtuple.

    The classes below do the same for the other containers.
    """

    __slots__ = ("kind", "names", "size")

    kind: Any
    size: int
    names: tuple[Any, ...] | None

    def __init__(self, kind: Any, size: int, names: tuple[Any, ...] | None = None) -> None:
        self.kind, self.size, self.names = kind, size, names

    def __call__(self, items: list[Any]) -> Any:
        """The sequence of these items; of a type that is neither tuple nor namedtuple, a list."""
        if hasattr(self.kind, "_fields"):  # whatever a subclass of a namedtuple has made of its __new__
            return self.kind._make(items)
        return tuple(items) if self.kind is tuple else items

    def derivative(self, items: list[Any]) -> Any:
        """The same of derivatives, which need not be what the container's own checks allow."""
        return self(items)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Join)
            and type(self) is type(other)
            and (self.size, self.names) == (other.size, other.names)
        )

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def place(self, i: int) -> str:
        """How Python reaches item i."""
        return f"[{i}]"

    def written(self, items: list[str]) -> str:
        """The sequence of these texts, as Python writes it."""
        inner = ", ".join(items)
        if hasattr(self.kind, "_fields"):
            return f"{self.kind.__name__}({inner})"
        return f"({inner}{',' * (self.size == 1)})" if self.kind is tuple else f"[{inner}]"


class JoinKeys(Join):
    """The step that makes a mapping: `names` are its keys, `kind` an empty one of a subclass of dict, or dict."""

    __slots__ = ()

    def __call__(self, items: list[Any]) -> Any:
        """The mapping from the keys to these items, in their order."""
        made = {} if self.kind is dict else copy(self.kind)  # a defaultdict keeps its factory
        for name, item in zip(self.names or (), items, strict=True):
            made[name] = item  # one by one: the `update` of a Counter adds
        return made

    def place(self, i: int) -> str:
        """How Python reaches the item of key i."""
        return f"[{(self.names or ())[i]!r}]"

    def written(self, items: list[str]) -> str:
        """The mapping of these texts."""
        return "{" + ", ".join(f"{name!r}: {item}" for name, item in zip(self.names or (), items, strict=True)) + "}"


class JoinFields(Join):
    """The step that makes a dataclass: `names` are its fields, `kind` is the class."""

    __slots__ = ()

    def __call__(self, items: list[Any]) -> Any:
        """The dataclass by its own `__init__`, so that `__post_init__` computes again what depends on its fields."""
        if not self.kind.__dataclass_params__.init:
            return self.derivative(items)
        given = dict(zip(self.names or (), items, strict=True))
        made = self.kind(**given)
        for name, item in given.items():
            if not _same_leaves(getattr(made, name), item):  # degrees made radians would be made radians twice
                raise TypeError(
                    f"{self.kind.__name__}: its __post_init__ changes {name!r}, so that it cannot be made again from "
                    "its fields; differentiate in a plain container, and make the dataclass of it inside f"
                )
        return made

    def derivative(self, items: list[Any]) -> Any:
        """The dataclass without `__post_init__`: a derivative may be negative where a standard deviation may not."""
        made = object.__new__(self.kind)
        found = dict(zip(self.names or (), items, strict=True))
        for name in modules["dataclasses"].fields(self.kind):
            object.__setattr__(made, name.name, found.get(name.name))  # a frozen one too
        return made

    def place(self, i: int) -> str:
        """How Python reaches field i."""
        return f".{(self.names or ())[i]}"

    def written(self, items: list[str]) -> str:
        """The dataclass of these texts."""
        inner = ", ".join(f"{name}={item}" for name, item in zip(self.names or (), items, strict=True))
        return f"{self.kind.__name__}({inner})"


class JoinNone(Join):
    """The step that makes None of nothing."""

    __slots__ = ()

    def __call__(self, items: list[Any]) -> None:
        """None."""

    def written(self, items: list[str]) -> str:
        """None, as text."""
        return "None"


class TreeDef:
    """The form of a tree, without its leaves. Equal to another of the same form, lists and tuples counting as equal.

    Attributes:
        steps: how to build the tree from its leaves: a shape takes the next leaves, as one array (the shape `()` takes
            a single leaf as it is), and a Join makes one container of the last things built.

    Example:
        >>> from autograd_lite.engine.trees import flatten
        >>> leaves, treedef = flatten([1, (2, np.zeros((3, 2))), {"a": 3.0, "b": None}], "example")
        >>> len(leaves), treedef
        (9, TreeDef([*, (*, array(3, 2)), {'a': *, 'b': None}]))
    """

    def __init__(self, steps: Sequence[Shape | Join]) -> None:
        self.steps: list[Shape | Join] = list(steps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeDef) and self.steps == other.steps

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        text = self.build(lambda shape, _: f"array{shape}" if shape else "*", lambda join, items: join.written(items))
        return f"TreeDef({text})"

    def build(self, part: Callable[[Shape, slice], Any], join: Callable[[Any, list[Any]], Any]) -> Any:
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
    def key(self) -> tuple[Any, ...]:
        """What tells it from others, hashable; lists and tuples differ here."""
        return tuple(
            (type(step), step.kind if isinstance(step.kind, type) else type(step.kind), step.size, step.names)
            if isinstance(step, Join)
            else step
            for step in self.steps
        )

    @property
    def is_leaf(self) -> bool:
        """Whether it is one number and nothing around it."""
        return self.steps == [()]

    @property
    def is_array(self) -> bool:
        """Whether it is one array and nothing around it."""
        return len(self.steps) == 1 and not isinstance(self.steps[0], Join) and not self.is_leaf

    @property
    def has_arrays(self) -> bool:
        """Whether there is an array in it."""
        return any(step for step in self.steps if not isinstance(step, Join))

    @property
    def has_names(self) -> bool:
        """Whether there is a mapping or a dataclass in it."""
        return any(isinstance(step, Join) and step.names is not None for step in self.steps)

    @property
    def shape(self) -> Shape | None:
        """The shape that the tree has as one array; None if it is ragged, or not of sequences alone."""

        def joined(join: Join, shapes: list[Shape | None]) -> Shape | None:
            first = shapes[0] if shapes else ()
            if type(join) is not Join or first is None or any(shape != first for shape in shapes):
                return None
            return (join.size, *first)

        return self.build(lambda shape, _: shape, joined)  # type: ignore[no-any-return]

    @property
    def paths(self) -> list[str]:
        """How to reach each leaf, as Python writes it: `[2]`, `[0][1, 3]`, `['w'].bias`, "" for a number alone."""

        def joined(join: Join, parts: list[list[str]]) -> list[str]:
            return [join.place(i) + path for i, paths in enumerate(parts) for path in paths]

        def part(shape: Shape, _: slice) -> list[str]:
            return [str(list(index)) for index in product(*map(range, shape))] if shape else [""]

        return self.build(part, joined)  # type: ignore[no-any-return]


def joined(treedefs: Sequence[TreeDef]) -> TreeDef:
    """The treedef of a tuple of things of these forms."""
    return TreeDef([*(step for treedef in treedefs for step in treedef.steps), Join(tuple, len(treedefs))])


def flatten(
    x: Any,
    what: str,
    hint: str = "give real numbers",
    keep: bool = False,
    whole: Callable[[Any], Any] | None = None,
) -> tuple[list[Any], TreeDef]:
    """The leaves of x in order, floats and Values, and the treedef that puts them back.

    Args:
        x: a number, a Value, an array of them, or a container of such things, nested as you like.
        what: what an error message calls x.
        hint: what an error message advises.
        keep: take what is neither a container nor a number as a leaf, as it is, and numbers and arrays of them too.
        whole: of anything but a float or a Value: what stands for it as one leaf, None to look into it.

    Raises:
        TypeError: something inside is none of these; the message names its path, as "argument 0['name']".

    Example:
        >>> from autograd_lite.engine.trees import flatten, unflatten
        >>> leaves, treedef = flatten([1, (2, {"a": 3.5})], "example")
        >>> leaves
        [1.0, 2.0, 3.5]
        >>> unflatten(treedef, [10.0, 20.0, 30.0])
        [10.0, (20.0, {'a': 30.0})]
    """
    if type(x) is float or isinstance(x, Value):  # most results: the same as below, sooner
        return [x], TreeDef([()])
    leaves: list[Any] = []
    steps: list[Shape | Join] = []
    refused: list[tuple[int, Any]] = []  # what is not a number, and its place among the leaves
    stack = [x]
    within: dict[int, None] = {}  # the containers around an item, innermost last
    while stack:
        item = stack.pop()
        if type(item) is float or isinstance(item, Value):
            leaves.append(item)
            steps.append(())
        elif isinstance(item, Join):
            steps.append(item)
            within.popitem()
        elif whole is not None and (found := whole(item)) is not None:
            leaves.append(found)
            steps.append(())
        elif is_array(item) and not (keep and not _holds_values(item)):
            _refuse_kinds_of_arrays(item, what)
            numbers = item.ravel().tolist()
            leaves += map(float, numbers) if item.dtype.kind in "fiub" else _numbers(numbers, len(leaves), refused)
            steps.append(item.shape)
        elif (opened := _opened(item)) is not None and (item is not None or steps or stack):
            join, parts = opened
            if join.size and id(item) in within:
                raise TypeError(f"{what}: a {type(item).__name__} contains itself")
            within[id(item)] = None
            stack.append(join)  # comes up again when all its items are out
            stack.extend(reversed(parts))
        else:
            leaves += [item] if keep else _numbers([item], len(leaves), refused)
            steps.append(())
    treedef = TreeDef(steps)
    if refused:
        place, thing = refused[0]
        raise TypeError(
            f"{what}{treedef.paths[place]}: expected numbers, Values, arrays or containers of them (lists, tuples, "
            f"dicts, dataclasses), got {describe(thing)}; {hint}"
        )
    return leaves, treedef


def _opened(x: Any) -> tuple[Join, Sequence[Any]] | None:
    """The step that joins a container again, and its parts; None for what is not a container."""
    if x is None:
        return JoinNone(None, 0), ()
    if isinstance(x, Sequence) and not isinstance(x, (str, bytes, bytearray)):
        return Join(type(x), len(x)), x
    if isinstance(x, Mapping):
        empty: Any = dict
        if type(x) is not dict and isinstance(x, dict):
            empty = copy(x)
            empty.clear()
        return JoinKeys(empty, len(x), tuple(x)), list(x.values())
    if hasattr(type(x), "__dataclass_fields__"):
        from dataclasses import fields  # loaded: a dataclass can only come from there

        names = tuple(field.name for field in fields(x) if field.init)
        for field in type(x).__dataclass_fields__.values():
            if field._field_type.name == "_FIELD_INITVAR":
                raise TypeError(
                    f"{type(x).__name__}: it has an InitVar, {field.name!r}, so that it cannot be made again from its "
                    "fields; differentiate in a plain container, and make the dataclass of it inside f"
                )
        return JoinFields(type(x), len(names), names), [getattr(x, name) for name in names]
    return None


def _same_leaves(x: Any, y: Any) -> bool:
    """Whether x holds the same Values and floats in the same order, in a container of whatever kind."""
    if x is y:
        return True
    (first, _), (second, _) = (flatten([item], "", keep=True) for item in (x, y))
    return len(first) == len(second) and all(
        a is b or (type(a) is type(b) is float and repr(a) == repr(b)) for a, b in zip(first, second, strict=True)
    )


def _holds_values(array: Any) -> bool:
    return array.dtype == object and any(isinstance(x, Value) for x in array.ravel().tolist())


def _refuse_kinds_of_arrays(array: Any, what: str) -> None:
    kind = type(array).__name__
    if kind == "matrix":  # always of two axes, and * means @ there: code for arrays goes wrong on it
        raise TypeError(f"{what}: expected an array, got a numpy.matrix; give np.asarray(x)")
    if kind == "MaskedArray":
        raise TypeError(
            f"{what}: expected an array, got a masked one (numpy.ma.MaskedArray), whose gaps have no derivatives; "
            "give x.compressed(), or x.filled(...)"
        )


def _numbers(items: Sequence[Any], place: int, refused: list[tuple[int, Any]]) -> list[Any]:
    """Items as leaves, the first at this place; what is not a number is added to `refused`."""
    found = []
    for i, x in enumerate(items, start=place):
        leaf = x if isinstance(x, Value) else to_float(x)
        if leaf is NotImplemented and getattr(x, "ndim", None) == 0 and isinstance(x.item(), Value):
            leaf = x.item()
        if leaf is NotImplemented:
            refused.append((i, x))
        found.append(leaf)
    return found


def unflatten(treedef: TreeDef, leaves: Sequence[Any], derivative: bool = False) -> Any:
    """The tree of this form with these leaves (or anything else in their places).

    Args:
        treedef: the form.
        leaves: one for each number of it.
        derivative: the leaves are derivatives, so that dataclasses are made without their checks.
    """
    if treedef.is_leaf:
        return leaves[0]
    return treedef.build(
        lambda shape, at: as_array(leaves[at], shape) if shape else leaves[at.start],
        _derivative if derivative else _joined,
    )


def _joined(join: Join, items: list[Any]) -> Any:
    return join(items)


def _derivative(join: Join, items: list[Any]) -> Any:
    return join.derivative(items)


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
