"""compile: a function of numbers as a Program, traced when it is first called.

The function runs once on Values. What it asks of them while it runs, as `if x > 0` does, is fixed in the trace; so
each such question becomes a guard, which the program answers again at every call, and a call that answers
differently is traced again. What a guard cannot watch, a number read out of a Value, is refused.
"""

from __future__ import annotations

import array
import threading
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from numbers import Number
from sys import stdlib_module_names
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from autograd_lite.arrays import array as ag_array
from autograd_lite.engine import graph
from autograd_lite.engine.checks import describe, explain_numpy
from autograd_lite.engine.collector import uncollected
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.engine.modes import Follower, changed_mode, comparing, traced, tracing
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Literal, Parameter, Value, record
from autograd_lite.folding.arguments import numbers, parameters, results
from autograd_lite.folding.backends import AUTO, checked_backend
from autograd_lite.folding.plan import Plan
from autograd_lite.folding.program import (
    Direct,
    Executable,
    GuardChanged,
    Program,
    T,
    Task,
    checked_dtype,
    checked_threads,
    make,
)
from autograd_lite.names import BackendName

Array = Any


MOST_TRACES = 32
"""This many ways through a function are kept for each shape of its arguments: those that were traced last."""

MOST_SHAPES = 128
"""Shapes of the arguments, such as lengths of a sequence, of which programs are kept: those that were used last."""

FIXED, CAPTURED, LIVE = range(3)
"""What a number in a trace depends on: nothing, Values that f has from elsewhere, or an argument or a parameter."""


class Tracer(Follower):
    """What watches the Values while a function is traced; Value and `record` call it.

    Args:
        inputs: the leaves that stand for the arguments.
        params: the parameters, as far as they are known.
        theta: the numbers at which to trace, where they are not those that the parameters have.
        batch: whether the trace is of one example of a batch, so that rows may go different ways.
    """

    def __init__(
        self, inputs: Iterable[Value], params: Sequence[Value], theta: Sequence[float] | None, batch: bool = False
    ) -> None:
        self.batch: bool = batch
        self.inputs: set[Value] = set(inputs)
        self.live: set[Value] = self.inputs | set(params)
        self.guards: list[tuple[Value, str, bool]] = []
        self.watched: dict[Value, float] = {}
        """Values from elsewhere of which Python has seen the number, and that number."""
        self._kinds: dict[Value, int] = {}
        self._at: dict[Value, float] | None = None if theta is None else dict(zip(params, theta, strict=True))

    def guard(self, name: str, operands: tuple[Any, ...], outcome: bool) -> bool:
        """A comparison, or the truth of a Value, that Python is about to act on: how it comes out."""
        values = [x for x in operands if isinstance(x, Value)]
        if max(map(self._kind, values)) < LIVE:
            self._watch(values)
            return outcome
        if self._at is not None:
            now = [self._number(x) if isinstance(x, Value) else x for x in operands]
            test = None if name == "bool" else TABLE[name].compares
            outcome = now[0] != 0.0 if test is None else test(*now)
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

    def seen(self, value: Value, what: str) -> None:
        """A number taken out of a Value in a thread or a trace that is not this one: refused if it is one of ours."""
        if self.inputs and not self.inputs.isdisjoint(graph.toposort(value)):
            raise RuntimeError(
                f"compile: {what} of a Value that is being traced was taken where its trace does not see it, in "
                "another thread or in a function compiled within; it would be fixed at its number in this trace. "
                "Compute with it where the compiled function runs, and return what comes of it"
            )

    def detach(self, value: Value) -> Value:
        """A Value that is live but hands no gradient on."""
        with changed_mode(recording=True):
            node = record(TABLE["_stop"], (value,))
        if value.name:
            node.name = value.name
        return node

    def _kind(self, value: Value) -> int:
        """What a Value depends on. Nothing that was found before is walked again."""
        kinds = self._kinds
        for x in graph.toposort(value, done=kinds) if value not in kinds else ():
            if x._row is None:
                live = x in self.live or isinstance(x, Parameter)
                kinds[x] = LIVE if live else FIXED if isinstance(x, Literal) else CAPTURED
            else:
                kinds[x] = max((kinds[a] for a in graph.raw_operands(x) if a.__class__ is not float), default=FIXED)
        return kinds[value]

    def _watch(self, values: list[Value]) -> None:
        for x in graph.toposort(*values):
            if x._row is None:
                self.watched[x] = x._f

    def _number(self, value: Value) -> float:
        """The number of a Value at the theta that is asked for."""
        at = self._at
        assert at is not None
        for x in graph.toposort(value, done=at) if value not in at else ():
            at[x] = x._f if x._row is None else graph.evaluate(x, at)
        return at[value]


class Compiled(Executable):
    """A function compiled by `ag.compile`: a Program for each shape of its arguments and each way through it.

    It has the methods of a Program.

    Example:
        >>> f = ag.compile(lambda x: x * x if x > 0 else -x)
        >>> f(3.0), f(-2.0), f.value_and_grad(4.0)
        (9.0, 2.0, (16.0, 8.0))
    """

    def __init__(
        self, f: Callable[..., Any], params: Any, batch: bool, dtype: Any, backend: BackendName, threads: int | None
    ) -> None:
        self._f, self._source, self._batch = f, params, batch
        self._how = dtype, backend, threads
        self._programs: dict[Any, list[Program]] = {}
        self._latest: Program | None = None
        self._quick: Direct | None = None
        """For loss_and_grad, where one program is all there is."""
        self._known = None if params is None else _parameters(params)
        self._contents = _Contents(params)
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: x for name, x in vars(self).items() if name not in ("_lock", "_contents", "_quick")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._contents, self._lock, self._quick = _Contents(self._source), threading.RLock(), None

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

    def _notice(self) -> None:
        """Forget every trace if anything in the model was added, removed or replaced."""
        if not self._contents.same():
            with self._lock:
                self._known = _parameters(self._source)
                self._contents = _Contents(self._source)
                self._programs.clear()
                self._quick = None

    # -- use

    def loss_and_grad(self, theta: Any, *args: Any) -> tuple[float, Array]:
        """See `Executable.loss_and_grad`."""
        if self._quick is not None and not FLOATS["special"]:
            self._notice()
            found = None if self._quick is None else self._quick(theta, args)
            if found is not None:
                return found
        value, gradient = super().loss_and_grad(theta, *args)
        latest = self._latest
        if latest is not None and self._quick is None and sum(map(len, list(self._programs.values()))) == 1:
            (_, kinds), *_ = self._programs
            if kinds == tuple(map(bool, latest._shapes)):  # it was traced on arrays, where arrays come
                self._quick = latest.direct(0)
        return value, gradient

    loss_and_grad.__doc__ = Executable.loss_and_grad.__doc__

    def _with_program(self, task: Task[T], args: Sequence[Any], theta: Any = None) -> T:
        """Use the program that fits the arguments; trace one if there is none."""
        self._notice()
        arrays = [numbers(x, "compile: argument", k) for k, x in enumerate(args)]
        theta = None if theta is None else numbers(theta, "theta")
        shapes = tuple(x.shape[1:] if self._batch else x.shape for x in arrays)
        if self._batch and any(not x.ndim or not len(x) for x in arrays):
            raise ValueError("compile: with batch=True every argument needs a leading batch axis with at least one row")
        kinds = tuple(bool(shape) and hasattr(x, "ndim") for x, shape in zip(args, shapes, strict=True))
        if len(self._programs) > MOST_SHAPES // 2:
            self._used((shapes, kinds))
        for program in tuple(self._programs.get((shapes, kinds), ())):
            try:
                return task(program, arrays, theta)
            except GuardChanged:
                continue
        known = self._known
        program = self._traced_anew(arrays, shapes, kinds, theta)
        try:
            return task(program, arrays, theta)
        except GuardChanged as changed:
            failed = changed
        if theta is not None and not known and self._known:
            # It was traced at the numbers that its parameters have: which they are is known only now.
            program = self._traced_anew(arrays, shapes, kinds, theta)
            try:
                return task(program, arrays, theta)
            except GuardChanged as changed:
                failed = changed
        reason = "its rows would take different branches; with batch=True choose with ag.where, which stays live"
        if not self._batch:
            try:
                return task(program.at_its_trace(), arrays, theta)
            except GuardChanged as changed:
                failed, reason = changed, "and the function itself changes it; compute it outside, or from arguments"
        raise RuntimeError(f"compile: {failed}, {reason}") from None

    def _used(self, key: Any) -> None:
        """Let a shape be the last one to be forgotten."""
        with self._lock:
            found = self._programs.pop(key, None)
            if found is not None:
                self._programs[key] = found

    def _traced_anew(self, arrays: list[Array], shapes: Sequence[Any], kinds: Sequence[bool], theta: Any) -> Program:
        """A new program for these arguments, kept for others of their shapes."""
        with self._lock:
            known = self._known
            self._quick = None
            program = self._trace(arrays, shapes, kinds, theta)
            if theta is not None and known and theta.shape == (len(known),) and len(program.params) > len(known):
                raise ValueError(
                    "theta: this call reaches parameters that none before it has reached, so that theta is a vector of "
                    f"{len(program.params)} numbers now, in place of {len(known)}: take program.theta again, or give "
                    "compile params=, so that they are known from the start"
                )
            kept = self._programs.setdefault((shapes, kinds), [])
            kept.insert(0, program)
            del kept[MOST_TRACES:]
            while len(self._programs) > MOST_SHAPES:
                del self._programs[next(iter(self._programs))]
            return program

    @uncollected()
    def _trace(self, arrays: list[Array], shapes: Sequence[Any], kinds: Sequence[bool], theta: Any) -> Program:
        """Run the function on Values and fold what it computed."""
        inputs, leaves = [], []
        for x, as_array in zip(arrays, kinds, strict=True):
            example = x[0] if self._batch else x
            made = [Value(number) for number in example.ravel().tolist()]
            leaves.append(made)
            inputs.append(_shaped(made, example.shape, as_array))
        known = self._known or []
        at = theta.tolist() if theta is not None and known and theta.shape == (len(known),) else None
        tracer = Tracer((x for group in leaves for x in group), known, at, self._batch)
        with traced(tracer), changed_mode(recording=True):
            try:
                result = self._f(*inputs)
            except (TypeError, AttributeError, ValueError, NotImplementedError) as error:
                explain_numpy(error)
                raise
        roots, single = results(result)
        guards = [node for node, _, _ in tracer.guards]
        if self._source is None:
            found = [x for x in graph.toposort(*roots, *guards) if isinstance(x, Parameter) and x not in tracer.inputs]
            new = [x for x in found if x not in set(known)]
            if new and known:
                self._programs.clear()
            self._known = known + new
        program = make([*roots, *guards], self._known, leaves, shapes, single, self._batch, *self._how, live=True)
        program.guards = [(name, outcome) for _, name, outcome in tracer.guards]
        program.watched = list(tracer.watched.items())
        self._latest = program
        return program

    # -- elsewhere

    def jax(self, argnum: int | None = None) -> Callable[..., Any]:
        """The program used last as a pure function of JAX. See `Program.jax`."""
        return self._traced("jax").jax(argnum)

    def source(self, language: str, *args: Any, argnum: int | None = None, gradient: bool = True) -> str:
        """The program used last as a file in another language. See `Program.source`."""
        return self._traced("source").source(language, *args, argnum=argnum, gradient=gradient)

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

    @property
    def backend(self) -> str:
        """What runs the program used last. See `Program.backend`."""
        return self._traced("backend").backend

    def _traced(self, what: str) -> Program:
        if self._latest is None:
            raise RuntimeError(f"{what}: the function is traced at its first call; call it once")
        return self._latest

    def __str__(self) -> str:
        return "not traced yet" if self._latest is None else str(self._latest)

    def __repr__(self) -> str:
        count = sum(map(len, self._programs.values()))
        name = getattr(self._f, "__name__", None) or describe(self._f)
        return f"Compiled({name}, {count} program{'s' if count != 1 else ''})"


def compile(f: Callable[..., Any], params: Any = None, batch: bool = False, *, dtype: Any = float,
            backend: BackendName = AUTO, threads: int | None = None) -> Compiled:  # fmt: skip
    """A function of numbers as a Program: traced on Values at its first call, then run as array instructions.

    A Python float that f captures is a constant, fixed when f is traced. A branch on something that depends on an
    argument or a parameter is watched, and traced again when it would go the other way; reading `.data` of such a
    Value is refused. A shape not seen before is traced again. Values that f has from elsewhere are read again at each
    call. What f draws at random or changes in Python happens in the trace alone. Results are those of f up to
    rounding; see `ag.fold`.

    Args:
        f: takes numbers and arrays of them, as Values, and returns a Value or a flat sequence of Values and numbers. An
            array reaches it as an `ag.array` of that shape, anything else as nested lists.
        params: the parameters: a Module or a sequence; None for every Parameter that f reaches when it is traced. Only
            of a Module is it noticed that a parameter has been replaced by another.
        batch: f is one example; every argument gets a leading batch axis, and results and gradients are means.
        dtype: what the program computes in, float64, or float32 on request.
        backend, threads: what runs it; see `ag.fold`.

    Returns:
        A Compiled, with the methods of a Program.

    Raises:
        TypeError: f is not a function, or a parameter is not a Value.
        ValueError, RuntimeError: there is no such backend, or the one that is asked for cannot run here.

    Example:
        >>> model = ag.MLP(2, [4, 1], activation="tanh", seed=0)
        >>> loss = ag.compile(lambda x, y: (model(x) - y) ** 2, params=model, batch=True)
        >>> value, gradient = loss.loss_and_grad(loss.theta, [[0.0, 1.0], [1.0, 0.5]], [1.0, -1.0])
        >>> gradient.shape
        (17,)
    """
    if not callable(f):
        raise TypeError(f"compile: f must be a function, got {describe(f)}")
    backend, threads = checked_backend(backend, "compile"), checked_threads(threads, "compile")
    return Compiled(f, params, batch, checked_dtype(dtype, "compile"), backend, threads)


def repeats(compiled: Compiled, program: Program, args: Sequence[Any]) -> bool:
    """Whether the function, traced once more, is the same program: it draws nothing at random and counts nothing."""
    arrays = [numbers(x, "compile: argument", k) for k, x in enumerate(args)]
    shapes = tuple(x.shape[1:] for x in arrays)
    again = compiled._trace(arrays, shapes, tuple(map(bool, shapes)), program.theta)
    return again._folded is program._folded and again._constants.tobytes() == program._constants.tobytes()


def _parameters(params: Any) -> list[Value]:
    return list(dict.fromkeys(parameters(params, "compile")))


class _Contents:
    """What a model is made of, to see whether anything in it was added, removed or replaced.

    Elements are compared by `is`, for two Values of one number are not the same Parameter; numbers and texts that were
    replaced by equal ones count as the same, and arrays of numbers are compared byte for byte.
    """

    def __init__(self, model: Any) -> None:
        self._parts: list[Any] = []
        """Each container, or what iterates over its elements as they are now."""
        self._arrays: list[Any] = []
        self._seen: dict[int, Any] = {}
        stack = [model]
        while stack:
            thing = stack.pop()
            if id(thing) not in self._seen and not isinstance(thing, ATOMS):
                self._seen[id(thing)] = thing  # kept, so that no other gets its address
                stack.extend(self._opened(thing))
        self._copies = [part.copy() for part in self._parts]
        self._before, self._bytes = self._elements(), self._array_bytes()

    def _opened(self, thing: Any) -> list[Any]:
        """Note what is in a container, and give its elements."""
        parts: list[Any] = []
        if isinstance(thing, np.ndarray):
            if thing.dtype != object:
                self._arrays.append(thing)
                return []
            parts.append(_Elements(lambda: thing.ravel().tolist()))
        elif isinstance(thing, (array.array, bytearray, memoryview)):
            parts.append(_Elements(lambda: [thing.tobytes() if isinstance(thing, memoryview) else bytes(thing)]))
        elif isinstance(thing, (dict, list, set, deque, MappingProxyType)):
            parts.append(thing)
        elif isinstance(thing, (tuple, frozenset)):
            return list(thing)
        elif isinstance(thing, partial):
            return [thing.func, thing.args, thing.keywords]
        elif isinstance(thing, type):
            return [vars(thing)] if _is_of_a_user(thing) else []
        elif hasattr(thing, "parameters"):  # a Module: what its class holds is read as its own
            parts += [vars(kind) for kind in type(thing).__mro__ if _is_of_a_user(kind)]
        if _has_attributes(thing):
            parts += [vars(thing)] if hasattr(thing, "__dict__") else []
            parts += [_Elements(partial(_slots_of, thing))] if hasattr(type(thing), "__slots__") else []
        self._parts += parts
        return [x for part in parts for x in _elements_of(part)]

    def _elements(self) -> list[Any]:
        return [x for part in self._parts for x in _elements_of(part)]

    def _array_bytes(self) -> list[Any]:
        return [(x.shape, x.dtype, x.tobytes()) for x in self._arrays]

    def same(self) -> bool:
        """Whether all is as it was."""
        if self._arrays and self._array_bytes() != self._bytes:
            return False
        # `==` of containers takes what is the same object as equal, at the speed of C. Where it has to ask a Value
        # instead, that is another one, and is reported to a follower.
        met = _Met()
        try:
            try:
                try:
                    tracing.add(met)  # `following`, at a third of its time: this runs in each call
                    comparing.add(met)
                    same = self._parts == self._copies
                finally:
                    tracing.discard(met)
                    comparing.discard(met)
            finally:  # an interrupt between the two above would leave it there for good
                tracing.discard(met)
                comparing.discard(met)
            if same and not met.any:
                return True
            now = self._elements()
        except (ValueError, RuntimeError):  # an array was replaced; another thread adds to a container
            return False
        return len(now) == len(self._before) and all(map(_same_number, now, self._before))


ATOMS = (Value, str, bytes, Number, type(None))
"""What is not looked into."""


class _Met(Follower):
    """Whether Values were compared."""

    any = False

    def seen(self, value: Value, what: str) -> None:
        """Two Values that are not one and the same were compared."""
        self.any = True


class _Elements:
    """The elements of what is not a container of Python's, compared like a list."""

    def __init__(self, copy: Callable[[], list[Any]]) -> None:
        self.copy = copy

    def __eq__(self, other: object) -> bool:
        return self.copy() == other

    __hash__: ClassVar[None] = None  # type: ignore[assignment]


def _elements_of(part: Any) -> Iterable[Any]:
    return (
        part.copy()
        if isinstance(part, _Elements)
        else chain(part, part.values())
        if isinstance(part, (dict, MappingProxyType))
        else part
    )


def _has_attributes(thing: Any) -> bool:
    """Whether the attributes of an object are part of a model: a Module, a dataclass, or an object of a user's class.

    Not what Python's library and NumPy keep to themselves, nor a compiled function, whose traces change by being used.
    """
    kind = type(thing)
    if hasattr(kind, "__dataclass_fields__") or kind is SimpleNamespace or hasattr(thing, "parameters"):
        return True
    return _is_of_a_user(kind) or isinstance(thing, (UserDict, UserList, ChainMap))


def _is_of_a_user(kind: type) -> bool:
    package = kind.__module__.partition(".")[0]
    return package not in ("autograd_lite", "numpy", "builtins") and package not in stdlib_module_names


def _slots_of(thing: Any) -> list[Any]:
    names = [name for kind in type(thing).__mro__ for name in _names(vars(kind).get("__slots__", ()))]
    return [getattr(thing, name, None) for name in names if name not in ("__dict__", "__weakref__")]


def _names(slots: Any) -> Sequence[str]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _same_number(now: Any, before: Any) -> bool:
    """Whether two elements are the same, or numbers or texts that cannot be told apart."""
    return now is before or (
        type(now) is type(before)
        and isinstance(now, (str, bytes, int, float, complex, np.generic))
        and repr(now) == repr(before)
    )


def _shaped(made: list[Value], shape: tuple[int, ...], as_array: bool) -> Any:
    """Values in the form in which the argument came: a Value, nested lists, or an `ag.array`."""
    if not shape:
        return made[0]
    flat = np.empty(len(made), object)
    flat[:] = made
    shaped = flat.reshape(shape)
    return shaped.view(ag_array) if as_array else shaped.tolist()
