"""compile: a function of numbers as a Program, traced when it is first called.

The function runs once on Values. What it asks of them while it runs, as `if x > 0` does, is fixed in the trace; so
each such question becomes a guard, which the program answers again at every call, and a call that answers
differently is traced anew. What a guard cannot watch, a number read out of a Value, is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from autograd_lite import graph
from autograd_lite.folding.plan import Plan
from autograd_lite.folding.program import (
    GuardChanged,
    Program,
    checked_dtype,
    checked_theta,
    listed_params,
    make,
    numbers,
)
from autograd_lite.rows import TABLE
from autograd_lite.value import Constant, Parameter, Value, changed_mode, number, record, set_numbers, shown, traced

Array = Any


FIXED, CAPTURED, LIVE = range(3)
"""What a number in a trace depends on: nothing, Values that f has from elsewhere, or an argument or a parameter."""
TESTS = {"less": operator.lt, "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge}


class Tracer:
    """What watches the Values while a function is traced; value.py calls it.

    Args:
        inputs: the leaves that stand for the arguments.
        params: the parameters, as far as they are known.
        theta: the numbers at which to trace, where they are not those that the parameters have.
    """

    def __init__(self, inputs: Iterable[Value], params: Sequence[Value], theta: Sequence[float] | None) -> None:
        self.inputs = set(inputs)
        self.live = self.inputs | set(params)
        self.guards: list[tuple[Value, str, bool]] = []
        self.watched: dict[Value, float] = {}
        """Values from elsewhere of which Python has seen the number, and that number."""
        self._kinds: dict[Value, int] = {}
        self._walked: set[Value] = set()
        self._at: dict[Value, float] | None = None if theta is None else dict(zip(params, theta, strict=True))
        self._evaluated = set(self._at or ())

    def guard(self, name: str, operands: tuple[Any, ...], outcome: bool) -> bool:
        """A comparison, or the truth of a Value, that Python is about to act on: how it comes out."""
        values = [x for x in operands if isinstance(x, Value)]
        if max(map(self._kind, values)) < LIVE:
            self._watch(values)
            return outcome
        if self._at is not None:
            now = [self._number(x) if isinstance(x, Value) else x for x in operands]
            outcome = now[0] != 0.0 if name == "bool" else TESTS[name](*now)
        with changed_mode(recording=True):
            node = operands[0] if name == "bool" else record(TABLE[name], operands)
        self.guards.append((node, name, outcome))
        return outcome

    def read(self, value: Value, what: str) -> None:
        """A number taken out of a Value: refused if the number may be another one at the next call."""
        if self._kind(value) == LIVE:
            raise RuntimeError(
                f"compile: {what} of {value!r} would be fixed at its number in this trace, though it depends on an "
                "argument or a parameter; compute with the Value itself: ag.max, ag.where and ag.greater stay live, "
                ".detach() stops the gradient, and ag.gradients(create_graph=True) gives derivatives as Values"
            )
        self._watch([value])

    def detach(self, value: Value) -> Value:
        """A Value that is live but hands no gradient on."""
        with changed_mode(recording=True):
            node = record(TABLE["_stop"], (value,))
        if value._name:
            node.name = value._name
        return node

    def _kind(self, value: Value) -> int:
        """What a Value depends on. Nothing that was found before is walked again."""
        kinds = self._kinds
        for x in graph.order(value, seen=self._walked):
            if x._row is None:
                live = x in self.live or isinstance(x, Parameter)
                kinds[x] = LIVE if live else FIXED if isinstance(x, Constant) else CAPTURED
            else:
                kinds[x] = max((kinds[a] for a in graph.raw_operands(x) if a.__class__ is not float), default=FIXED)
        return kinds[value]

    def _watch(self, values: list[Value]) -> None:
        for x in graph.order(*values):
            if x._row is None:
                self.watched[x] = x._f

    def _number(self, value: Value) -> float:
        """The number of a Value at the theta that is asked for."""
        at = self._at
        assert at is not None
        for x in graph.order(value, seen=self._evaluated):
            if x._row is None:
                at[x] = x._f
            else:
                xs = [a if a.__class__ is float else at[a] for a in graph.raw_operands(x)]
                at[x] = x._row.value(xs) if x._row.variadic else x._row.value(*xs)
        return at[value]


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
        self._known = None if params is None else listed_params(params, "compile")
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
        set_numbers(self.params, checked_theta(theta, len(self.params)).tolist())

    def _notice(self) -> None:
        """Forget every trace if a parameter of the model was added, removed or replaced."""
        try:
            same = all(map(operator.eq, *self._watched))
        except ValueError:  # an attribute that is an array was replaced
            same = False
        if not same:
            self._known = listed_params(self._source, "compile")
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
        arrays = [numbers(x, f"compile: argument {k}") for k, x in enumerate(args)]
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
        before_it = self._known
        program = self._trace(arrays, shapes, kinds, args, before)
        if before and before_it is None:  # only now it is known which parameters the numbers belong to
            program = self._at_theta(program, arrays, shapes, kinds, args, before)
        elif before and self._known != before_it:
            raise ValueError(
                f"compile: this call has found parameters not known before, {len(self._known or [])} in place of "
                f"{len(before_it or [])}; read theta again, or name them all in compile(params=...)"
            )
        try:
            return getattr(program, method)(*before, *arrays, **options)
        except GuardChanged as changed:
            reason = (
                "its rows would take different branches; with batch=True choose with ag.where, which stays live"
                if self._batch
                else "it took another branch when it was called again with the same numbers"
            )
            raise RuntimeError(f"compile: {changed}, {reason}") from None

    def _at_theta(self, program: Program, arrays: list[Array], *how: Any) -> Program:
        """The program that holds at the numbers given for the parameters: this one, or another trace."""
        theta = how[-1][0]
        try:
            program.loss_and_grad(theta, *arrays)
        except GuardChanged:
            return self._trace(arrays, *how)
        return program

    def _trace(self, arrays: list[Array], shapes: Any, kinds: Any, args: Sequence[Any], before: Any) -> Program:
        """Run the function on Values and fold what it computed."""
        inputs, leaves = [], []
        for array, given in zip(arrays, args, strict=True):
            example = array[0] if self._batch else array
            made = [Value(x) for x in example.ravel().tolist()]
            leaves.append(made)
            inputs.append(_shaped(made, example.shape, hasattr(given, "ndim")))
        theta = np.asarray(before[0], float).tolist() if before and self._known else None
        tracer = Tracer((x for group in leaves for x in group), self._known or [], theta)
        with traced(tracer), changed_mode(recording=True):
            result = self._f(*inputs)
        single, roots = _results(result)
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
        program.watched = list(tracer.watched.items())
        self._latest = program
        self._programs.setdefault((shapes, kinds), []).insert(0, program)
        return program

    # -- how it shows itself

    def plan(self, gradient: bool = True) -> Plan:
        """The instructions of the program used last. See `Program.plan`."""
        return self._traced("plan").plan(gradient)

    @property
    def results(self) -> int:
        """How many values a call computes."""
        return self._traced("results").results

    @property
    def constants(self) -> Array:
        """The constants of the program used last."""
        return self._traced("constants").constants

    def _traced(self, what: str) -> Program:
        if self._latest is None:
            raise RuntimeError(f"{what}: the function is traced at its first call; call it once")
        return self._latest

    def __str__(self) -> str:
        return "not traced yet" if self._latest is None else str(self._latest)

    def __repr__(self) -> str:
        count = sum(map(len, self._programs.values()))
        name = getattr(self._f, "__name__", type(self._f).__name__)
        return f"Compiled({name}, {count} program{'s' if count != 1 else ''})"


def compile(f: Callable[..., Any], params: Any = None, batch: bool = False, *, dtype: Any = float) -> Compiled:
    """A function of numbers as a Program: traced on Values at its first call, then run as array instructions.

    A Python float that f captures is a constant, fixed when f is traced. A branch on something that depends on an
    argument or a parameter is watched, and traced anew when it would go the other way; reading `.data` of such a
    Value is refused. A shape not seen before is traced anew. Values that f has from elsewhere are read anew at each
    call. Results are those of f up to rounding; see `ag.fold`.

    Args:
        f: takes numbers and arrays of them, as Values (an array comes as an object array, any other sequence as nested
            lists), and returns a Value or a sequence of them. What it does beside that happens once, in the trace: a
            number that it draws at random is drawn once.
        params: the parameters: a Module or a sequence; None for every Parameter that f reaches.
        batch: f is one example; every argument gets a leading batch axis, and results and gradients are means.
        dtype: what the program computes in, float64, or float32 on request.

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
    return Compiled(f, params, batch, checked_dtype(dtype, "compile"))


def _results(result: Any) -> tuple[bool, list[Value]]:
    """Whether f returned one result, and the results as Values."""
    array = getattr(result, "ndim", None)
    single = isinstance(result, Value) or array == 0 or not isinstance(result, Iterable) or isinstance(result, str)
    results = [result.item() if array == 0 else result] if single else list(result)
    if not results:
        raise ValueError("compile: f returned an empty sequence; there is no value to compute")
    if isinstance(result, dict):
        raise TypeError("compile: f must return a Value, a number, or a sequence of them; it returned a dict")
    for k, x in enumerate(results):
        if not isinstance(x, Value) and number(x) is NotImplemented:
            where = shown(x) if single else f"{shown(x)} as result {k}"
            raise TypeError(f"compile: f must return a Value, a number, or a sequence of them; it returned {where}")
    return single, [x if isinstance(x, Value) else Value(x) for x in results]


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


def _shaped(made: list[Value], shape: tuple[int, ...], as_array: bool) -> Any:
    """Values in the form in which the argument came: a Value, nested lists, or an object array."""
    if not shape:
        return made[0]
    array = np.empty(len(made), object)
    array[:] = made
    shaped = array.reshape(shape)
    return shaped if as_array else shaped.tolist()
