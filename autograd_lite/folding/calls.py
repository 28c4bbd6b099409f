"""A compiled function called with Values: nodes of the graph outside, one for each result.

A node has the number that the program computes, and as local gradients those of the program. A derivative of a
derivative asks for the local gradients as Values: for that the function runs on Values, as it would uncompiled, so
every order is right. Inside a function that is being traced a call is its scalars from the start: the program
outside has them in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from autograd_lite.derivatives.reverse import adjoint_graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.graph import MANY
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.engine.modes import Follower, changed_mode, following, mode
from autograd_lite.engine.rules import Row
from autograd_lite.engine.trees import TreeDef, flatten, unflatten
from autograd_lite.engine.value import Value, finish_node
from autograd_lite.folding.forms import results
from autograd_lite.folding.opening import inlined, name_of
from autograd_lite.folding.program import GuardChanged, Program
from autograd_lite.folding.structures import Gradients

Array = Any


def values_in_graph(compiled: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """What a compiled function gives of arguments that hold Values: the same with Values for its numbers."""
    if mode.tracer is not None or compiled._pays.never:
        return inlined(compiled, args, options)
    call = _Applied(compiled, args, options)
    found = call.start()
    return inlined(compiled, args, options) if found is None else found


class _Argument:
    """An argument that holds Values: its numbers in order, and which of them these are."""

    __slots__ = ("form", "leaves", "places")

    def __init__(self, x: Any, what: str) -> None:
        self.leaves: list[Any]
        self.form: TreeDef
        self.leaves, self.form = flatten(x, what)
        self.places: list[int] = [k for k, leaf in enumerate(self.leaves) if isinstance(leaf, Value)]

    def with_values(self, xs: Iterator[Any]) -> Any:
        """The argument with others in their places."""
        leaves = list(self.leaves)
        for k in self.places:
            leaves[k] = next(xs)
        return unflatten(self.form, leaves)


class _Applied:
    """One call of a compiled function with Values.

    Attributes:
        operands: the Values in its arguments, its parameters, and the Values that it has from elsewhere.
        values: the numbers of its results.
    """

    def __init__(self, compiled: Any, args: Sequence[Any], options: dict[str, Any]) -> None:
        self._compiled = compiled
        if options:
            args, options = compiled._takes.by_position(args, options)
        self._names = tuple(options)
        static = compiled._takes.static_places(len(args))
        self._given: list[Any] = []
        for k, x in enumerate((*args, *options.values())):
            place = k if k < len(args) else self._names[k - len(args)]
            holds = place not in static and any(isinstance(y, Value) for y in flatten(x, "", keep=True)[0])
            self._given.append(_Argument(x, f"compile: argument {place!r}") if holds else x)
        self._count: int = sum(len(x.places) for x in self._given if isinstance(x, _Argument))
        self.operands: tuple[Any, ...] = tuple(
            x.leaves[k] for x in self._given if isinstance(x, _Argument) for k in x.places
        )
        self.values: list[float] = []
        self._slopes: dict[int, list[float]] = {}
        self._scalars: tuple[list[Any], list[Any], list[Value]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_scalars": None}

    def _arguments(self, xs: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments with others in place of their Values."""
        rest = iter(xs)
        given = [x.with_values(rest) if isinstance(x, _Argument) else x for x in self._given]
        count = len(given) - len(self._names)
        return given[:count], dict(zip(self._names, given[count:], strict=True))

    def start(self) -> Any:
        """The results as nodes; None where no program runs this call."""

        def task(program: Program, inputs: Sequence[Any], _: Any) -> Any:
            if hasattr(program, "applies_scalars") or program.outside:
                return None  # the node would hang below what it has from elsewhere, and not on it
            theta = program.theta
            if program._single or program.captured:  # a later look would find what is captured changed
                for k in range(program.results):
                    value, self._slopes[k] = self._gradient(program, inputs, theta, k)
                    self.values.append(value)
            else:
                found = program._run(theta, inputs, Gradients(0, ()))
                self.values += [float(out[0]) for out in found[: program.results]]
            return program, inputs, theta

        compiled = self._compiled
        try:
            found = compiled._use(task, compiled._takes.call(*self._arguments([x._f for x in self.operands])))
        except TypeError as error:
            for k, x in enumerate(self._given):
                if isinstance(x, _Argument) and x.form.is_leaf:  # where f wants an array: it may be the reason
                    raise TypeError(f"{error} (argument {k} is a Value)").with_traceback(error.__traceback__) from None
            raise
        if found is None:
            return None
        self._program, self._inputs, self._theta = found
        self.operands += (*self._program.params, *self._program.captured)
        self._numbers = np.array([x._f for x in self.operands])
        nodes = [self._node(k) for k in range(len(self.values))]
        return nodes[0] if self._program._single else unflatten(self._program.form, nodes)

    def _node(self, k: int) -> Value:
        node: Value = object.__new__(Value)
        node._row, node._f = _Result(self, k), self.values[k]
        node._a, node._b, node._da = self.operands, MANY, _Slopes(self, k)
        return finish_node(node) if FLOATS["special"] else node

    def slopes(self, k: int) -> list[float]:
        """The local gradients of a result, computed when they are first asked for."""
        if k not in self._slopes:
            try:
                self._slopes[k] = self._gradient(self._program, self._inputs, self._theta, k)[1]
            except GuardChanged:  # two plans may round differently where a branch is near
                root = self.scalars(self.operands)[k]
                adjoint = adjoints(root)
                self._slopes[k] = [adjoint.get(x, 0.0) for x in self.operands]
        return self._slopes[k]

    def _gradient(self, program: Program, inputs: Any, theta: Array, k: int) -> tuple[float, list[float]]:
        """(result k, its derivatives in the operands)."""
        layout = program.layout
        assert layout is not None
        with_values = [(i, x) for i, x in enumerate(self._given) if isinstance(x, _Argument)]
        leaves = [leaf for i, _ in with_values for leaf in layout.leaves(i)]
        leaves += [0] * bool(program.params) + [len(layout.shapes) + 1] * bool(program.captured)
        value, found, rows = program.gradients(inputs, tuple(dict.fromkeys(leaves)), k, theta)
        slopes: list[float] = []
        for i, x in with_values:
            flat = np.concatenate([piece.ravel() for piece in layout.pieces(i, found, rows)])
            slopes += flat[x.places].tolist()
        if program.params:
            slopes += program.of_params(found[0]).tolist()
        if program.captured:
            slopes += found[len(layout.shapes) + 1][-len(program.captured) :].tolist()
        return value, slopes

    def at(self, xs: Sequence[float], k: int) -> tuple[float, list[float]]:
        """(a result, its local gradients) where the operands have other numbers."""
        if np.array(xs).tobytes() == self._numbers.tobytes():
            return self.values[k], self.slopes(k)

        def task(program: Program, inputs: Sequence[Any], theta: Any) -> tuple[float, list[float]]:
            return self._gradient(program, inputs, program.theta if theta is None else theta, k)

        call = self._compiled._takes.call(*self._arguments(xs[: self._count]))
        count = len(self._program.params)
        theta = np.array(xs[self._count : self._count + count]) if count else None
        return self._compiled._use(task, call, theta)  # type: ignore[no-any-return]

    def scalars(self, operands: Sequence[Any]) -> list[Value]:
        """The results in scalars, where others stand in the arguments; the parameters are the same."""
        own = self.operands[self._count :]
        if len(operands) != len(self.operands) or any(
            x is not y for x, y in zip(operands[self._count :], own, strict=True)
        ):
            raise RuntimeError(
                f"{name_of(self._compiled)}: this node of a compiled function is a copy, whose parameters are not "
                "those of the function: its numbers and first derivatives are here, others are not"
            )
        arguments = operands[: self._count]
        known = self._scalars
        if known is None or any(x is not y for x, y in zip(known[0], arguments, strict=True)):
            # A transform within the function answers in Values where it meets one of these.
            with changed_mode(recording=True), following(_Followed(operands)):
                roots, _ = results(inlined(self._compiled, *self._arguments(arguments)))
            known = self._scalars = list(arguments), [], roots
        return known[2]

    def derivatives(self, operands: Sequence[Any], k: int) -> list[Any]:
        """The local gradients of a result as Values."""
        # Leaves of its own: an operand that another one was computed from would get the derivatives of both.
        fresh = [x * 1.0 if isinstance(x, Value) else Value(x) for x in operands[: self._count]]
        root = self.scalars([*fresh, *operands[self._count :]])[k]
        self._scalars = None
        return adjoint_graph(root, [*fresh, *operands[self._count :]], fresh)


class _Followed(Follower):
    """The operands of a node, as if a transform were running that differentiates in them."""

    def __init__(self, operands: Sequence[Any]) -> None:
        self.leaves = {x for x in operands if isinstance(x, Value)}

    def seen(self, value: Value, what: str) -> None:
        """A number was read: it has been, when the function was traced."""


class _Slopes(Sequence[float]):
    """The local gradients of a node, which are computed when they are first read."""

    __slots__ = ("_call", "_k")

    def __init__(self, call: _Applied, k: int) -> None:
        self._call, self._k = call, k

    def __len__(self) -> int:
        return len(self._call.operands)

    def __getitem__(self, i: Any) -> Any:
        return self._call.slopes(self._k)[i]

    def __iter__(self) -> Iterator[float]:
        return iter(self._call.slopes(self._k))


class _Result(Row):
    """The row of such a node. It is not in the table: each belongs to one call."""

    about: ClassVar[str] = "A result of a compiled function."  # type: ignore[misc]
    note = key = digest = role = ""
    ulp, floor, near = (2.0, 4.0), (0.0, 0.0), (-math.inf, math.inf)
    branch = zero_gradient = saturates = grows = logarithm = linear = rectifies = infix = commutes = builtin = False
    kinks = variadic = True
    compares = empty = None
    operands = ("xs",)
    defaults = example = ()
    setting = formula = ""
    function = None

    def __init__(self, applied: _Applied, k: int) -> None:
        self.applied, self.result_number = applied, k
        self.name = self.symbol = name_of(applied._compiled)
        self.rules = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _Result, (self.applied, self.result_number)

    def forward(self, xs: Sequence[float]) -> float:
        """The result at a sequence of floats."""
        return self.applied.at(xs, self.result_number)[0]

    value = forward

    def evaluate(self, xs: Sequence[float]) -> tuple[float, Sequence[float]]:
        """See `Row.evaluate`."""
        return self.applied.at(xs, self.result_number)

    def partials(self, *operands: Any) -> list[Any]:
        """The local gradients as Values, of the operands and the result."""
        return self.applied.derivatives(operands[:-1], self.result_number)
