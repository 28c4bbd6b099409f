"""compile: a function of numbers as a Program, traced when it is first called.

The function runs once on Values. What it asks of them while it runs, as `if x > 0` does, is fixed in the trace; so
each such question becomes a guard, which the program answers again at every call, and a call that answers
differently is traced anew. What a guard cannot watch, a number read out of a Value, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import eq
from typing import Any

import numpy as np

from autograd_lite import graph
from autograd_lite.folding.program import GuardChanged, Program, make
from autograd_lite.rows import TABLE
from autograd_lite.value import Parameter, Value, changed_mode, record, set_numbers, shown, traced

Array = Any


class Tracer:
    """What watches the Values while a function is traced; value.py calls it."""

    def __init__(self, inputs: Iterable[Value]) -> None:
        self.inputs = set(inputs)
        self.guards: list[tuple[Value, str, bool]] = []

    def guard(self, name: str, operands: tuple[Any, ...], outcome: bool) -> None:
        """A comparison, or the truth of a Value, that Python has just acted on."""
        if not any(isinstance(x, Value) and self._depends(x) for x in operands):
            return
        with changed_mode(recording=True):
            node = operands[0] if name == "bool" else record(TABLE[name], operands)
        self.guards.append((node, name, outcome))

    def read(self, value: Value, what: str) -> None:
        """A number taken out of a Value: refused if the number may be another one at the next call."""
        if self._depends(value):
            raise RuntimeError(
                f"compile: {what} of {value!r} would be fixed at its number in this trace, though it depends on an "
                "argument or a parameter; compute with the Value itself: ag.max, ag.where and ag.greater stay live, "
                "and .detach() stops the gradient"
            )

    def detach(self, value: Value) -> Value:
        """A Value that is live but hands no gradient on."""
        with changed_mode(recording=True):
            node = record(TABLE["_stop"], (value,))
        if value.name:
            node.name = value.name
        return node

    def _depends(self, value: Value) -> bool:
        return any(
            x in self.inputs or isinstance(x, Parameter) for x in graph.order(value) if x._row is None
        )  # fmt: skip


class Compiled:
    """A function compiled by `ag.compile`: a Program for each shape of its arguments and each way through it.

    It has the methods of a Program: a call, `value_and_grad`, `backward`, `theta`, `loss_and_grad`.

    Example:
        >>> f = ag.compile(lambda x: x * x if x > 0 else -x)
        >>> f(3.0), f(-2.0), f.value_and_grad(4.0)
        (9.0, 2.0, (16.0, 8.0))
    """

    def __init__(self, f: Callable[..., Any], params: Any, batch: bool, dtype: Any) -> None:
        self._f, self._source, self._batch, self._dtype = f, params, batch, dtype
        self._programs: dict[Any, list[Program]] = {}
        self._latest: Program | None = None
        self._known = None if params is None else _parameters(params)
        self._watched = _containers(params)

    # -- parameters

    @property
    def params(self) -> list[Value]:
        """The parameters, in the order of `theta`."""
        self._notice()
        if self._known is None:
            raise RuntimeError(
                "compile: which parameters the function uses is known after its first call; or give params="
            )
        return self._known

    @property
    def theta(self) -> Array:
        """The parameters as one vector of float64; assign to write them back."""
        return np.fromiter((p._f for p in self.params), float, len(self.params))

    @theta.setter
    def theta(self, theta: Any) -> None:
        vector = np.asarray(theta, float)
        if vector.shape != (len(self.params),):
            raise ValueError(f"theta: expected a vector of {len(self.params)} numbers, got shape {vector.shape}")
        set_numbers(self.params, vector.tolist())

    def _notice(self) -> None:
        """Forget every trace if a parameter of the model was added, removed or replaced."""
        try:
            same = all(map(eq, *self._watched))
        except ValueError:  # an attribute that is an array was replaced
            same = False
        if not same:
            self._known = _parameters(self._source)
            self._watched = _containers(self._source)
            self._programs.clear()

    # -- use

    def __call__(self, *args: Any) -> Any:
        """The value, or the list of values; the mean over a batch. See `Program`."""
        return self._use("__call__", args)

    def value_and_grad(self, *args: Any, argnum: int = 0) -> tuple[float, Any]:
        """The value and its derivative in one argument. See `Program.value_and_grad`."""
        found: tuple[float, Any] = self._use("value_and_grad", args, argnum=argnum)
        return found

    def loss_and_grad(self, theta: Any, *args: Any) -> tuple[float, Array]:
        """The value and its gradient at parameters given as a vector. See `Program.loss_and_grad`."""
        found: tuple[float, Array] = self._use("loss_and_grad", args, theta)
        return found

    def rows_and_grad(self, theta: Any, *args: Any) -> tuple[list[Array], Array]:
        """Every result for every row, and the gradient of the mean of the first. See `Program.rows_and_grad`."""
        found: tuple[list[Array], Array] = self._use("rows_and_grad", args, theta)
        return found

    def backward(self, *args: Any) -> float:
        """The value; its gradient is added to the `.grad` of the parameters. See `Program.backward`."""
        found: float = self._use("backward", args)
        return found

    def _use(self, method: str, args: Sequence[Any], *before: Any, **options: Any) -> Any:
        """Call a method of the program that fits the arguments; trace one if there is none."""
        self._notice()
        arrays = [_numbers(x, k) for k, x in enumerate(args)]
        shapes = tuple(x.shape[1:] if self._batch else x.shape for x in arrays)
        if self._batch and any(not x.ndim or not len(x) for x in arrays):
            raise ValueError("compile: with batch=True every argument needs a leading batch axis with at least one row")
        kinds = tuple("array" if hasattr(x, "ndim") else "list" for x in args)
        programs = self._programs.setdefault((shapes, kinds), [])
        for program in programs:
            try:
                return getattr(program, method)(*before, *arrays, **options)
            except GuardChanged:
                continue
        program = self._trace(arrays, shapes, args, before)
        known = self._programs.setdefault((shapes, kinds), [])
        known.insert(0, program)
        try:
            return getattr(program, method)(*before, *arrays, **options)
        except GuardChanged as changed:
            reason = (
                "its rows would take different branches; with batch=True choose with ag.where, which stays live"
                if self._batch
                else "it took another branch when it was called again with the same numbers"
            )
            raise RuntimeError(f"compile: {changed}, {reason}") from None

    def _trace(self, arrays: list[Array], shapes: Sequence[Any], args: Sequence[Any], before: Any) -> Program:
        """Run the function on Values and fold what it computed."""
        inputs, leaves = [], []
        for array, given in zip(arrays, args, strict=True):
            example = array[0] if self._batch else array
            made = [Value(x) for x in example.ravel().tolist()]
            leaves.append(made)
            inputs.append(_shaped(made, example.shape, hasattr(given, "ndim")))
        tracer = Tracer(x for group in leaves for x in group)
        kept = None
        if before and self._known:  # trace at the parameters that are asked for
            kept = [p._f for p in self._known]
            set_numbers(self._known, np.asarray(before[0], float).tolist())
        try:
            with traced(tracer):
                result = self._f(*inputs)
        finally:
            if kept is not None and self._known is not None:
                set_numbers(self._known, kept)
        single = isinstance(result, Value) or not isinstance(result, Iterable)
        results = [result] if single else list(result)
        roots = [x if isinstance(x, Value) else Value(x) for x in results]
        guards = [node for node, _, _ in tracer.guards]
        if self._source is None:
            found = [x for x in graph.order(*roots, *guards) if isinstance(x, Parameter) and x not in tracer.inputs]
            old = self._known or []
            new = [x for x in found if x not in set(old)]
            if new and old:
                self._programs.clear()
            self._known = old + new
        program = make([*roots, *guards], self._known, leaves, shapes, single, self._batch, self._dtype, live=True)
        program.guards = [(name, outcome) for _, name, outcome in tracer.guards]
        self._latest = program
        return program

    def __str__(self) -> str:
        return "not traced yet" if self._latest is None else str(self._latest)

    def __repr__(self) -> str:
        count = sum(map(len, self._programs.values()))
        return f"Compiled({getattr(self._f, '__name__', 'f')}, {count} program{'s' if count != 1 else ''})"


def compile(f: Callable[..., Any], params: Any = None, batch: bool = False, *, dtype: Any = float) -> Compiled:
    """A function of numbers as a Program: traced on Values at its first call, then run as array instructions.

    A Python float that f captures is a constant, fixed when f is traced. A branch on something that depends on an
    argument or a parameter is watched, and traced anew when it would go the other way; reading `.data` of such a
    Value is refused. A shape not seen before is traced anew.

    Args:
        f: takes numbers and arrays of them, as Values, and returns a Value or a sequence of them.
        params: the parameters: a Module or a sequence; None for every Parameter that f reaches.
        batch: f is one example; every argument gets a leading batch axis, and results and gradients are means.
        dtype: what the program computes in, float64 unless told otherwise.

    Returns:
        A Compiled, with the methods of a Program.

    Raises:
        TypeError: f is no function, or a parameter is no Value.

    Example:
        >>> model = ag.MLP(2, [4, 1], activation="tanh", seed=0)
        >>> loss = ag.compile(lambda x, y: (model(x) - y) ** 2, params=model, batch=True)
        >>> value, gradient = loss.loss_and_grad(loss.theta, [[0.0, 1.0], [1.0, 0.5]], [1.0, -1.0])
        >>> gradient.shape
        (17,)
    """
    if not callable(f):
        raise TypeError(f"compile: f must be a function, got {shown(f)}")
    return Compiled(f, params, batch, dtype)


def _parameters(params: Any) -> list[Value]:
    found = params.parameters() if hasattr(params, "parameters") else params
    if isinstance(found, Value) or not isinstance(found, Iterable):
        raise TypeError(f"compile: params must be a Module or a sequence of Parameters, got {shown(params)}")
    found = list(dict.fromkeys(found))
    for k, x in enumerate(found):
        if not isinstance(x, Value) or x._row is not None:
            raise TypeError(f"compile: params: element {k} must be a leaf Value, got {shown(x)}")
    return found


def _containers(model: Any) -> tuple[list[Any], list[Any]]:
    """Everything in a model that holds its parts, and copies of it all to compare with."""
    found: list[tuple[Any, Any]] = []
    stack, seen = [model], set()
    while stack:
        thing = stack.pop()
        if id(thing) in seen or isinstance(thing, Value):
            continue
        seen.add(id(thing))
        if hasattr(thing, "parameters") and hasattr(thing, "__dict__"):
            thing = vars(thing)
        if isinstance(thing, dict):
            found.append((thing, dict(thing)))
            stack.extend(thing.values())
        elif isinstance(thing, list):
            found.append((thing, list(thing)))
            stack.extend(thing)
        elif isinstance(thing, tuple):
            stack.extend(thing)
    return [now for now, _ in found], [then for _, then in found]


def _numbers(x: Any, k: int) -> Array:
    if isinstance(x, Value):
        raise TypeError(f"compile: argument {k} is a Value; a compiled function takes numbers and arrays of them")
    array: Any = None
    try:
        array = np.asarray(x)
    except ValueError:
        array = None  # ragged
    if array is None or array.dtype.kind not in "biuf":
        raise TypeError(f"compile: argument {k} must be a number or a regular array of numbers, got {shown(x)}")
    return np.asarray(array, float)


def _shaped(made: list[Value], shape: tuple[int, ...], as_array: bool) -> Any:
    """Values in the form in which the argument came: a Value, nested lists, or an object array."""
    if not shape:
        return made[0]
    array = np.empty(len(made), object)
    array[:] = made
    shaped = array.reshape(shape)
    return shaped if as_array else shaped.tolist()
