"""What a compiled function is called with and what it gives: containers of numbers, as the arrays that programs take.

An argument is split into parts: numbers, and regular arrays or lists of them. The parts of one argument, side by side,
are one input of a program, so that a dict of a hundred weights is one vector. What does not have the batch axis is
handed over behind the parameters. All the rest, containers, static arguments and None, is in the form of a call, and
a program belongs to one form.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from types import MethodType
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.arrays import array as ag_array
from autograd_lite.engine.checks import describe, to_float
from autograd_lite.engine.trees import Shape, TreeDef, flatten, unflatten
from autograd_lite.engine.value import Value
from autograd_lite.folding.arguments import numbers

Array = Any

NUMBER, LIST, TUPLE, ARRAY = range(4)

_FLOAT = np.dtype(float)


class Part(NamedTuple):
    """A number, or a regular array of numbers, in an argument.

    Args:
        kind: NUMBER, or how it came: LIST, TUPLE, ARRAY.
        shape: that of one example.
        axis: which one is that of the batch; None where there is none.
    """

    kind: int
    shape: Shape
    axis: int | None


class Form(NamedTuple):
    """An argument without its numbers.

    Args:
        outer: the containers around its parts; None if it is a single part.
        parts: these.
        fixed: a static argument, or None, which has no parts.
    """

    outer: TreeDef | None
    parts: tuple[Part, ...]
    fixed: Any = None


class Inputs(list[Array]):
    """The arrays for the inputs of a program, and behind its parameters the numbers that all rows share."""

    shared: Array = None


class _Plain:
    """A part of an argument with its numbers, as a leaf of the tree around it.

    Attributes:
        came: of a batch, the list that it was, if that holds arrays or namedtuples; else None.
    """

    __slots__ = ("array", "came", "kind")

    def __init__(self, kind: int, array: Array, came: Any = None) -> None:
        self.kind, self.array, self.came = kind, array, came


class Layout:
    """Where the numbers of a call of one form stand in the inputs of a program.

    Attributes:
        shapes: of the inputs, each without the axis of a batch.
        size: how many numbers stand behind the parameters.
    """

    def __init__(self, forms: Sequence[Form], names: Sequence[str], batched: bool) -> None:
        self.forms, self.names, self.batched = forms, names, batched
        self.shapes: list[Shape] = []
        self.size: int = 0
        self._input: list[int | None] = []
        self._shared: list[slice] = []
        for form in forms:
            own = [part for part in form.parts if not batched or part.axis is not None]
            shared = sum(prod(part.shape) for part in form.parts) if batched else 0
            shared -= sum(prod(part.shape) for part in own) if batched else 0
            self._input.append(len(self.shapes) if own else None)
            self._shared.append(slice(self.size, self.size + shared))
            self.size += shared
            if own:
                self.shapes.append(own[0].shape if len(own) == 1 else (sum(prod(part.shape) for part in own),))
        self.plain: bool = not names and all(
            form.outer is None and len(form.parts) == 1 and form.parts[0].axis in (0, None) for form in forms
        )
        """Whether every argument is one number or array, as the inputs of a program are."""
        self.of_arrays: bool = (
            self.plain and not self.size and all(form.parts[0].kind in (NUMBER, ARRAY) for form in forms)
        )

    @property
    def count(self) -> int:
        """How many arguments are given by position."""
        return len(self.forms) - len(self.names)

    def leaves(self, k: int) -> list[int]:
        """The leaf instructions that hold the numbers of an argument: 0 for theta, 1 for the first input."""
        found = self._input[k]
        shared = self._shared[k]
        return [] if found is None and shared.stop == shared.start else (
            ([] if found is None else [found + 1]) + ([0] if shared.stop > shared.start else [])
        )  # fmt: skip

    def pieces(self, k: int, found: dict[int, Array], rows: int | None) -> list[Array]:
        """The derivatives in an argument, part by part, each in the shape in which it came.

        Args:
            k: which argument.
            found: derivatives by leaf instruction: (lanes,), or (lanes, rows); of theta those behind the parameters.
            rows: how long the batch is.
        """
        form, at = self.forms[k], 0
        own: Array = found.get((self._input[k] or 0) + 1)
        shared: Array = found[0][len(found[0]) - self.size :][self._shared[k]] if 0 in found and self.size else None
        if own is not None and self.batched and rows is not None:
            own = np.zeros((rows, len(own))) if own.ndim == 1 else own.T  # the value does not depend on it
        pieces, behind = [], 0
        for part in form.parts:
            size = prod(part.shape)
            if self.batched and part.axis is None:
                pieces.append(shared[behind : behind + size].reshape(part.shape))
                behind += size
                continue
            piece = own[..., at : at + size].reshape((*own.shape[:-1], *part.shape))
            at += size
            pieces.append(np.moveaxis(piece, 0, part.axis) if part.axis else piece)
        return pieces

    def derivative(self, k: int, found: dict[int, Array], rows: int | None, exact: bool) -> Any:
        """The derivative in an argument, in the form of it. See `pieces`."""
        form = self.forms[k]
        pieces = self.pieces(k, found, rows)
        if form.outer is None and not (exact and form.parts):
            return pieces[0] if not form.parts or pieces[0].ndim else float(pieces[0])
        made = [as_came(part.kind, piece) for part, piece in zip(form.parts, pieces, strict=True)]
        return made[0] if form.outer is None else unflatten(form.outer, made, derivative=True)

    def values(
        self, numbers: Sequence[Sequence[float]], make: Callable[[Any], Value] = Value
    ) -> tuple[list[Any], dict[str, Any], list[list[Value]], list[Value]]:
        """Values in place of the numbers of an example.

        Args:
            numbers: of every part of every argument, flat.
            make: what makes a Value of one.

        Returns:
            (arguments, keyword arguments, the leaves of each input, those of the numbers that all rows share).
        """
        leaves: list[list[Value]] = [[] for _ in self.shapes]
        shared: list[Value] = []
        given: list[Any] = []
        rest = iter(numbers)
        for k, form in enumerate(self.forms):
            if not form.parts and form.outer is None:
                given.append(form.fixed)
                continue
            made = []
            for part in form.parts:
                some = list(map(make, next(rest)))
                (shared if self.batched and part.axis is None else leaves[self._input[k] or 0]).extend(some)
                made.append(_shaped(some, part))
            given.append(made[0] if form.outer is None else unflatten(form.outer, made))
        return given[: self.count], dict(zip(self.names, given[self.count :], strict=True)), leaves, shared


class Call:
    """A call of a compiled function: the form of its arguments, and their numbers.

    Attributes:
        key: the form, hashable.
        arrays: of every part of every argument; the axis of a batch comes first.
        rows: how long the batch is.
    """

    __slots__ = ("arrays", "batched", "forms", "key", "names", "rows")

    def __init__(self, forms: list[Form], names: tuple[str, ...], arrays: list[Array], key: Any, rows: int | None,
                 batched: bool) -> None:  # fmt: skip
        self.forms, self.names, self.arrays, self.key, self.rows, self.batched = (
            forms, names, arrays, key, rows, batched
        )  # fmt: skip

    def layout(self) -> Layout:
        """Where the numbers stand."""
        return Layout(self.forms, self.names, self.batched)

    def inputs(self) -> Inputs:
        """The arrays for a program of this form."""
        found, shared, rest = Inputs(), [], iter(self.arrays)
        for form in self.forms:
            own = []
            for part in form.parts:
                array = next(rest)
                if self.batched and part.axis is None:
                    shared.append(array.ravel())
                else:
                    own.append(array)
            if len(own) == 1:
                found.append(own[0])
            elif own:
                found.append(
                    np.concatenate([x.reshape(self.rows, -1) for x in own], axis=1)
                    if self.batched
                    else np.concatenate([x.ravel() for x in own])
                )
        if shared:
            found.shared = np.concatenate(shared)
        return found

    def example(self, row: int = 0) -> list[list[float]]:
        """The numbers of every part in one row, flat."""
        parts = [part for form in self.forms for part in form.parts]
        return [
            (x[row : row + 1] if self.batched and part.axis is not None else x).ravel().tolist()
            for part, x in zip(parts, self.arrays, strict=True)
        ]


class Takes:
    """What a compiled function takes; splits the arguments of a call.

    Args:
        f: the function, for its signature.
        static: names or positions of the arguments that are not numbers.
        batch: False; True or a whole number for the axis of all arguments; one entry for each argument in a tuple or
            by name in a dict: a number, None where there is no such axis, or a tree of those.
        exact: lists and tuples are taken apart, so that a derivative in them comes back as they were.
    """

    def __init__(self, f: Callable[..., Any], static: Any, batch: Any, exact: bool) -> None:
        self._f, self.exact, self.given = f, exact, batch
        self.static = _checked_static(static)
        self._batch = _checked_batch(batch)
        self.batched: bool = batch is not False
        self._signature: Any = _UNKNOWN

    def bind_to(self, thing: Any) -> None:
        """The function is a method of this object, which is not among the arguments."""
        self._signature = _signature(MethodType(self._f, thing))

    def call(self, args: Sequence[Any], options: dict[str, Any]) -> Call | None:
        """A call taken apart; None if there is a Value in it.

        Raises:
            TypeError: an argument is not made of numbers.
            ValueError: of a batch, the axis is missing, or arguments have another number of rows.
        """
        names: tuple[str, ...] = ()
        if options:
            args, options = self.by_position(args, options)
            names = tuple(options)
        static = self.static_places(len(args)) if self.static else ()
        forms: list[Form] = []
        arrays: list[Array] = []
        keys: list[Any] = []
        rows: int | None = None
        for k, x in enumerate((*args, *options.values())):
            key: Any
            axes: list[int | None]
            place: Any = k if k < len(args) else names[k - len(args)]
            if x.__class__ is np.ndarray and x.dtype is _FLOAT and not self.batched and place not in static:
                part = Part(ARRAY if x.ndim else NUMBER, x.shape, None)
                form, found, key = Form(None, (part,)), [x], part
            elif place in static:
                form, found, key = Form(None, (), x), [], ("static", static_key(x, f"compile: argument {place!r}"))
            elif x is None:
                form, found, key = Form(None, ()), [], None
            else:
                what = f"compile: argument {place!r}"
                split = self._split(x, what)
                if split is None:
                    return None
                plain, outer = split
                axes = self._axes(place, outer, len(plain), what) if self.batched else [None] * len(plain)
                if any(one.came is not None and axis is None for one, axis in zip(plain, axes, strict=True)):
                    plain, outer = self._opened(plain, outer, axes, what)
                    axes = self._axes(place, outer, len(plain), what)
                form, found, rows = self._form(plain, outer, axes, what, rows)
                key = (None if outer is None else outer.key, form.parts)
            forms.append(form)
            keys.append(key)
            arrays += found
        return Call(forms, names, arrays, (tuple(keys), names), rows, self.batched)

    def _form(self, plain: list[_Plain], outer: Any, axes: list[int | None], what: str, rows: int | None) -> Any:
        """The form of an argument, its arrays with the axis of the batch first, and the rows."""
        parts, arrays = [], []
        for one, axis in zip(plain, axes, strict=True):
            array = one.array
            if axis is not None:
                if not -array.ndim <= axis < array.ndim or not array.shape[axis]:
                    raise ValueError(
                        "compile: with batch=True every argument needs a leading batch axis with at least one row; "
                        f"{what.removeprefix('compile: ')} has shape {array.shape}, "
                        + (f"and its rows are along axis {axis}" if axis else "batch= says which have none")
                    )
                axis %= array.ndim
                if axis:
                    array = np.ascontiguousarray(np.moveaxis(array, axis, 0))
                if rows is not None and rows != len(array):
                    raise ValueError(f"{what} has {len(array)} rows, the arguments before it {rows}")
                rows = len(array)
            shape = array.shape if axis is None else array.shape[1:]
            parts.append(Part(one.kind if shape else NUMBER, shape, axis))
            arrays.append(array)
        return Form(outer, tuple(parts)), arrays, rows

    def by_position(self, args: Sequence[Any], options: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """Keyword arguments by position where they have one, so that f(1, b=2) and f(1, 2) are one call."""
        signature = self._signature_of()
        if signature is not None:
            try:
                bound = signature.bind(*args, **options)
            except TypeError:  # f will say so in its own words
                return args, options
            args, options = bound.args, bound.kwargs
        return args, dict(sorted(options.items()))

    def _signature_of(self) -> Any:
        if self._signature is _UNKNOWN:
            self._signature = _signature(self._f)
        return self._signature

    def static_places(self, count: int) -> set[Any]:
        """Positions and names of the static arguments of a call with this many positional ones."""
        found = {k % count if isinstance(k, int) and -count <= k < 0 else k for k in self.static}
        names = self._names_with(self.static, "static")
        return found | {k for k, name in enumerate(names[:count]) if name in found}

    def _names_with(self, given: Iterable[Any], option: str) -> list[str]:
        """The names of the arguments of f; TypeError where an option gives a name that is not among them."""
        signature = self._signature_of()
        names = list(signature.parameters) if signature is not None else []
        unknown = next((x for x in given if (isinstance(x, str) or option == "batch") and x not in names), None)
        takes_any = signature is None or any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        if unknown is not None and not takes_any:
            raise TypeError(f"compile: {option} names {unknown!r}, which is not an argument of f ({', '.join(names)})")
        return names

    def _axes(self, place: Any, outer: TreeDef | None, count: int, what: str) -> list[int | None]:
        """The axis of the batch of every part of an argument."""
        axes = self._batch
        if isinstance(axes, dict):
            names = self._names_with(axes, "batch")
            axes = axes.get(names[place] if isinstance(place, int) and place < len(names) else place)
        elif isinstance(axes, (tuple, list)):
            if isinstance(place, int) and place >= len(axes):
                raise ValueError(f"{what}: batch has {len(axes)} entries, and there are more arguments")
            axes = axes[place] if isinstance(place, int) else 0
        if axes is None or (isinstance(axes, int) and not isinstance(axes, bool)):  # True would be axis 1
            return [axes] * count
        found, tree = flatten(axes, f"compile: batch of {what.removeprefix('compile: ')}", keep=True, whole=_axis)
        for entry in found:
            if not isinstance(entry, _Axis):
                raise TypeError(
                    f"compile: batch: expected an axis (0 is the first) or None for each part, got {describe(entry)}"
                )
        paths = list(zip(tree.paths, found, strict=True))
        chosen = []
        for path in [""] if outer is None else outer.paths:
            fits = [axis for begin, axis in paths if path == begin or path.startswith((begin + "[", begin + "."))]
            if not fits:
                raise ValueError(f"{what}{path}: batch does not say along which axis it is batched")
            chosen.append(fits[0].axis)
        return chosen

    def _split(self, x: Any, what: str) -> tuple[list[_Plain], TreeDef | None] | None:
        """The parts of an argument and the containers around them; None if there is a Value in it."""
        plain = self._plain(x, what, self.exact)
        if plain is not None:
            return [plain], None
        return self._taken_apart(x, what, lambda item: self._plain(item, what, True))

    def _taken_apart(
        self, x: Any, what: str, whole: Callable[[Any], _Plain | None]
    ) -> tuple[list[_Plain], TreeDef | None] | None:
        """The parts in a container, down to what is whole; None if there is a Value in it."""
        leaves, outer = flatten(x, what, keep=True, whole=whole)
        made: list[_Plain] = []
        for k, leaf in enumerate(leaves):
            if isinstance(leaf, Value):
                return None
            if isinstance(leaf, _Plain):
                made.append(leaf)
            else:
                try:
                    made.append(_Plain(NUMBER, numbers(leaf, what + outer.paths[k])))
                except TypeError as error:
                    raise TypeError(f"{error}; what is not a number can be named in static=") from None
        return made, (None if outer.is_leaf else outer)

    def _opened(self, plain: list[_Plain], outer: TreeDef | None, axes: list[int | None], what: str) -> Any:
        """As `_split`, with the lists of arrays that all rows share taken apart, as without a batch."""
        given = [
            one if axis is not None or one.came is None else one.came for one, axis in zip(plain, axes, strict=True)
        ]

        def whole(item: Any) -> _Plain | None:
            return item if isinstance(item, _Plain) else self._plain(item, what, True, batched=False)

        return self._taken_apart(given[0] if outer is None else unflatten(outer, given), what, whole)

    def _plain(self, x: Any, what: str, exact: bool, batched: bool | None = None) -> _Plain | None:
        """What is a number, or a regular array of numbers; None for all else, Values too.

        An argument of nested lists and tuples is lists of lists, unless `exact`; within a container all stay what they
        are. Arrays and namedtuples in a list stay what they are, so that + adds arrays and does not append; of a batch
        they are its rows, and the list is an array.
        """
        batched = self.batched if batched is None else batched
        kind = type(x)
        if kind is float:
            return _Plain(NUMBER, np.asarray(x))
        if isinstance(x, (Value, str, bytes, dict)) or hasattr(kind, "_fields"):
            return None
        try:
            found = numbers(x, what)
        except TypeError:
            return None
        if not found.ndim:
            return _Plain(NUMBER, found)
        if isinstance(x, (list, tuple)):
            holds = (batched or not exact) and _holds_containers(x, found.ndim)
            if holds and batched:
                return _Plain(ARRAY, found, x)
            if not exact:
                return None if holds else _Plain(LIST, found)
            deep = found.ndim > 1 and not batched
            return None if deep else _Plain(TUPLE if isinstance(x, tuple) else LIST, found)
        return _Plain(ARRAY if hasattr(x, "ndim") else LIST, found)


def _holds_containers(x: Sequence[Any], depth: int) -> bool:
    """Whether there are arrays or namedtuples in nested lists; `depth` counts the axes of all together."""
    return depth > 1 and any(
        hasattr(item, "ndim")
        or hasattr(item, "_fields")
        or (isinstance(item, (list, tuple)) and _holds_containers(item, depth - 1))
        for item in x
    )


_UNKNOWN = object()


def _signature(f: Callable[..., Any]) -> Any:
    """The signature of a function, None of one of C that has none."""
    try:
        return inspect.signature(f)
    except (TypeError, ValueError):
        return None


class _Axis:
    """An entry of `batch`, as a leaf; None is one too."""

    __slots__ = ("axis",)

    def __init__(self, axis: int | None) -> None:
        self.axis = axis


def _axis(x: Any) -> _Axis | None:
    return _Axis(x) if x is None or (isinstance(x, int) and not isinstance(x, bool)) else None


def _checked_static(static: Any) -> tuple[Any, ...]:
    given = (static,) if isinstance(static, (str, int)) else static
    if isinstance(given, Iterable):
        found = tuple(given)
        if all(isinstance(x, (str, int)) and not isinstance(x, bool) for x in found):
            return found
    raise TypeError(f"compile: static must be names or positions of arguments, got {describe(static)}")


def _checked_batch(batch: Any) -> Any:
    if isinstance(batch, bool) or batch is None:
        if batch is None:
            raise TypeError("compile: batch must be True, False, an axis, or a tuple or dict of those, got None")
        return 0
    if isinstance(batch, (int, tuple, list, dict)):
        return batch
    raise TypeError(f"compile: batch must be True, False, an axis, or a tuple or dict of those, got {describe(batch)}")


def static_key(x: Any, what: str) -> Any:
    """What tells a static argument from others: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(x, (tuple, frozenset)):
        return type(x), *(static_key(item, what) for item in x)
    if isinstance(x, float):
        return type(x), x.hex()
    try:
        hash(x)
    except TypeError:
        raise TypeError(
            f"{what} is static, and {describe(x)} cannot be: it may change without being another; give what is "
            "hashable, a tuple in place of a list"
        ) from None
    return type(x), x


def as_came(kind: int, piece: Array) -> Any:
    """An array in the form in which its part came."""
    if not piece.ndim:
        return float(piece)
    return piece if kind in (ARRAY, NUMBER) else tuple(piece.tolist()) if kind == TUPLE else piece.tolist()


def _shaped(made: list[Value], part: Part) -> Any:
    """Values in the form in which a part came: a Value, nested lists, or an `ag.array`."""
    if not part.shape:
        return made[0]
    if len(part.shape) == 1 and part.kind != ARRAY:
        return tuple(made) if part.kind == TUPLE else made
    flat = np.empty(len(made), object)
    flat[:] = made
    shaped = flat.reshape(part.shape)
    if part.kind == ARRAY:
        return shaped.view(ag_array)
    return tuple(shaped.tolist()) if part.kind == TUPLE else shaped.tolist()


def results(found: Any) -> tuple[list[Value], TreeDef]:
    """What a compiled function returned: Values, and the form that they have.

    Raises:
        TypeError: it holds something that is neither a Value nor a number.
        ValueError: there is nothing in it.
    """
    if isinstance(found, Value):
        return [found], TreeDef([()])
    if getattr(found, "ndim", None) == 0 and isinstance(found.item(), Value):
        found = found.item()
    elif isinstance(found, Iterable) and not isinstance(found, (str, bytes, Sequence, Mapping, np.ndarray)):
        found = list(found)  # a generator
    elif type(found) is np.ndarray and found.ndim == 1 and found.dtype == object:
        found = found.tolist()  # a row of results that f put together, and not an array that it computed
    leaves, form = flatten(found, "", keep=True)
    if not leaves:
        raise ValueError("compile: the function returned an empty sequence; there is no value to compute")
    made: list[Value] = []
    for k, x in enumerate(leaves):
        for y in x.ravel().tolist() if getattr(x, "ndim", 0) else [x]:
            value = y if isinstance(y, Value) else to_float(y)
            if value is NotImplemented:
                where = "it returned" if form.is_leaf else f"the result{form.paths[k]} is"
                raise TypeError(
                    "compile: the function must return a Value, or a flat sequence or a container of Values and "
                    f"numbers; {where} {describe(x)}"
                )
            made.append(value if isinstance(value, Value) else Value(value))
    if any(getattr(x, "ndim", 0) for x in leaves):  # arrays of numbers alone are leaves of that tree
        _, form = flatten(found, "")
    return made, form
