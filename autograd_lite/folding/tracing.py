"""compile: a function of numbers as a Program, traced when it is first called.

The function runs once on Values. What it asks of them while it runs, as `if x > 0` does, is fixed in the trace; so
each such question becomes a guard, which the program answers again at every call, and a call that answers
differently is traced again. What a guard cannot watch, a number read out of a Value, is refused.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from sys import modules
from typing import Any, NamedTuple, overload

from autograd_lite.engine import graph
from autograd_lite.engine.checks import describe, explain_numpy
from autograd_lite.engine.collector import uncollected
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.engine.modes import Follower, changed_mode, mode, outer_leaves, traced, tracing
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.scopes import Scope
from autograd_lite.engine.trees import TreeDef, unflatten
from autograd_lite.engine.value import Literal, Parameter, Value, record
from autograd_lite.folding.arguments import numbers, parameters
from autograd_lite.folding.backends import AUTO, checked_backend
from autograd_lite.folding.calls import values_in_graph
from autograd_lite.folding.contents import Contents
from autograd_lite.folding.differentiating import matrix_of
from autograd_lite.folding.eager import Eager, eager_gradient, eager_loss, eager_values
from autograd_lite.folding.forms import ARRAY, Call, Layout, Takes, results
from autograd_lite.folding.grouping import RepeatsTooLittle
from autograd_lite.folding.opening import inlined, without_values
from autograd_lite.folding.paying import Paying
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
    more_parameters,
    values_of,
)
from autograd_lite.names import BackendName

Array = Any


MOST_TRACES = 32
"""This many ways through a function are kept for each form of its arguments: those that were traced last."""

MOST_PROGRAMS = 64
"""And this many in all, for the forms that were traced last."""

MOST_SCALARS = 2_000_000
"""And programs of this many scalars together."""

_IN_GRAPH = object()
"""In place of a result: it is to be in Values."""

MOST_BOUND = 64
"""Instances of which a method keeps its programs."""

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


class Traced(NamedTuple):
    """What a run of a function on Values has computed.

    Args:
        layout: where the arguments stand in the inputs.
        leaves, shared: their Values.
        roots, form: the results.
        guards: the branches that Python has taken: (the Value that decides, the comparison, how it came out).
        watched: Values of which Python has seen the number, and that number.
        outside: results of operations that the function has from elsewhere.
        nodes: all Values, in topological order.
    """

    layout: Layout
    leaves: list[list[Value]]
    shared: list[Value]
    roots: list[Value]
    form: TreeDef
    guards: list[tuple[Value, str, bool]]
    watched: list[tuple[Value, float]]
    outside: list[Value]
    nodes: list[Value]


class Asked(NamedTuple):
    """What of a function a transform is.

    Args:
        what: "gradient", "jacobian" or "hessian".
        argnums: the positions of the arguments.
        single: whether one argument is meant, and not a tuple of one.
        alone: whether a gradient comes without the value.
    """

    what: str
    argnums: tuple[int, ...]
    single: bool
    alone: bool = True


class Compiled(Executable):
    """A function compiled by `ag.compile`: a Program for each form of its arguments and each way through it.

    It has the methods of a Program. In a class it is a method: of each instance it is compiled by itself.

    Example:
        >>> f = ag.compile(lambda x: x * x if x > 0 else -x)
        >>> f(3.0), f(-2.0), f.value_and_grad(4.0)
        (9.0, 2.0, (16.0, 8.0))
    """

    __slots__ = ("_of",)

    __name__: str
    __qualname__: str

    def __init__(
        self,
        f: Callable[..., Any],
        params: Any = None,
        batch: Any = False,
        how: tuple[Any, BackendName, int | None] = (float, AUTO, None),
        static: Any = (),
        exact: bool = False,
    ) -> None:
        self._of: Any = None
        """The instance, where it is a method."""
        self._f, self._source, self._how = f, params, how
        self._takes = Takes(f, static, batch, exact)
        self._known = None if params is None else _parameters(params)
        self._contents = Contents(params)
        self._bound: OrderedDict[int, tuple[Any, dict[str, Any]]] = OrderedDict()
        self._of_function: tuple[Compiled | None, Asked] = None, Asked("", (), True)
        """Of a transform the function that it is of, and what of it. See `derived`."""
        for name in ("__name__", "__qualname__", "__module__"):
            setattr(self, name, getattr(f, name, None) or getattr(type(f), name))
        self.__doc__ = getattr(f, "__doc__", None)
        self.__wrapped__ = f
        self._start()

    def _start(self) -> None:
        self._programs: OrderedDict[Any, list[Program]] = OrderedDict()
        self._latest: Program | None = None
        self._quick: Direct | None = None
        """For loss_and_grad, where one program is all there is."""
        self._pays = Paying()
        self._lock = threading.RLock()

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._of is not None:
            return getattr, (self._of, self.__name__)
        found: Any = modules.get(self.__module__)
        for part in self.__qualname__.split("."):
            found = getattr(found, part, None)
        # of `@ag.compile` the name of f is its own now, and f can be found by no other
        return self.__qualname__ if found is self else super().__reduce_ex__(protocol)

    def __getstate__(self) -> Any:
        left_out = ("_lock", "_contents", "_quick", "_bound")
        return {name: x for name, x in vars(self).items() if name not in left_out}, self._of

    def __setstate__(self, state: Any) -> None:
        kept, self._of = state
        vars(self).update(kept)
        self._bound = OrderedDict()
        self._contents, self._lock, self._quick = Contents(self._source), threading.RLock(), None

    def __get__(self, thing: Any, kind: type | None = None) -> Any:
        """As a method: the function of this instance, with programs of its own."""
        if thing is None:
            return self
        ref, state = self._bound.get(id(thing), (None, {}))
        if ref is None or ref() is not thing:
            made = Compiled(self._f, None, self._takes.given, self._how, self._takes.static, self._takes.exact)
            made._takes.bind_to(thing)
            made._contents = Contents(getattr(thing, "__dict__", None))  # and not of it: that would keep it alive
            state = vars(made)
            try:
                ref = weakref.ref(thing, partial(_forget, self._bound, id(thing)))
            except TypeError:  # of a class with __slots__
                ref = partial(_itself, thing)
            self._bound[id(thing)] = ref, state
            while len(self._bound) > MOST_BOUND:
                self._bound.popitem(last=False)
        view: Compiled = Compiled.__new__(Compiled)
        view.__dict__, view._of = state, thing
        return view

    def _called(self, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """What the function itself gives."""
        return self._f(*args, **options) if self._of is None else self._f(self._of, *args, **options)

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
                self._known = None if self._source is None else _parameters(self._source)
                watched = self._source if self._of is None else getattr(self._of, "__dict__", None)
                self._contents = Contents(watched)
                self._programs.clear()
                self._pays.changed += 1
                self._quick = None

    # -- use

    def __call__(self, /, *args: Any, **options: Any) -> Any:
        """See `Executable.__call__`. Of Values it is a Value, or several: nodes of the graph outside."""
        if self._pays.never and not tracing:
            return eager_values(self, args, options)
        self._notice()
        call = self._takes.call(args, options)
        if call is None:
            return values_in_graph(self, args, options)
        if tracing and mode.tracer is None:
            return self._inside_transform(call, args, options)
        return self._use(values_of, call)

    def _inside_transform(self, call: Call, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """A call with numbers while transforms run: Values if it reaches leaves of theirs, by what f captures."""
        outside = outer_leaves()

        def task(program: Program, inputs: Sequence[Any], theta: Any) -> Any:
            if isinstance(program, Eager):
                found = inlined(self, args, options)
                roots, form = results(found)
                alone = outside.isdisjoint(graph.toposort(*roots))
                return unflatten(form, [x._f for x in roots]) if alone else found
            if outside.isdisjoint([*program.captured, *program.params, *program.outside]):
                return values_of(program, inputs)
            return _IN_GRAPH

        found = self._use(task, call)
        return values_in_graph(self, args, options) if found is _IN_GRAPH else found

    __call__.__doc__ = Executable.__call__.__doc__

    def answer_of_transform(self, args: tuple[Any, ...], options: dict[str, Any], create_graph: bool | None) -> Any:
        """What a compiled transform gives: floats or Values, as one that is not compiled decides it."""
        if create_graph is False:
            args, options = without_values(args, options)  # type: ignore[assignment]
        call = self._takes.call(args, options)
        if call is None or create_graph:
            return values_in_graph(self, args, options)
        if self._known is None and create_graph is None:
            self._numbers(call)  # what it reaches is known now
        if create_graph is None and mode.recording and self._reaches_parameters():
            return values_in_graph(self, args, options)
        if create_graph is None and tracing:
            return self._inside_transform(call, args, options)
        return self._numbers(call)

    def _numbers(self, call: Call) -> Any:
        """The answer in floats: where it can be taken on the instructions of f, without a trace of the derivative."""
        compiled, asked = self._of_function
        count = len(call.forms) - len(call.names)
        places = [k % count for k in asked.argnums if -count <= k < count] if compiled is not None else []
        found = _IN_GRAPH
        if compiled is not None and places and len(set(places)) == len(asked.argnums):
            if asked.what == "gradient":
                found = compiled._use(partial(_gradient_of, places, asked), call)
            elif len(places) == 1 and call.layout().plain and call.forms[places[0]].parts[0].kind == ARRAY:
                found = compiled._use(partial(_matrix_for, places[0], asked.what, False), call)
            self._known = compiled._known
        return self._use(values_of, call) if found is _IN_GRAPH else found

    def sparse(self, what: str, args: tuple[Any, ...], options: dict[str, Any], argnum: int) -> Any:
        """The sparse Jacobian or Hessian as a csr_array; None where it cannot be taken on the instructions."""
        call = self._takes.call(args, options)
        if call is None or self.uncompiled or not 0 <= argnum < len(args) or not call.layout().plain:
            return None
        found = self._use(partial(_matrix_for, argnum, what, True), call)
        return None if found is _IN_GRAPH or (mode.recording and self._reaches_parameters()) else found.tocsr()

    @property
    def uncompiled(self) -> bool:
        """Whether it runs as it would uncompiled, since a program did not pay."""
        compiled, _ = self._of_function
        return self._pays.never or (compiled is not None and compiled._pays.never)

    def _reaches_parameters(self) -> bool:
        return any(isinstance(x, Parameter) and not x.frozen for x in self._known or ())

    def loss_and_grad(self, /, theta: Any, *args: Any, **options: Any) -> tuple[float, Array]:
        """See `Executable.loss_and_grad`."""
        if self._quick is not None and not FLOATS["special"] and not options:
            self._notice()
            found = None if self._quick is None else self._quick(theta, args)
            if found is not None:
                return found
        if self._pays.never and not tracing and not options:
            self._notice()
            found = eager_loss(self, theta, args)
            if found is not None:
                return found
        value, gradient = super().loss_and_grad(theta, *args, **options)
        latest = self._latest
        if latest is not None and self._quick is None and sum(map(len, self._programs.values())) == 1:
            self._quick = latest.direct(0)
        return value, gradient

    loss_and_grad.__doc__ = Executable.loss_and_grad.__doc__

    def value_and_grad(self, /, *args: Any, argnum: Any = 0, argnums: Any = None, **options: Any) -> tuple[float, Any]:
        """See `Executable.value_and_grad`."""
        if self._pays.never and not tracing and not options and argnums is None:
            found = eager_gradient(self, args, argnum)
            if found is not None:
                return found
        return super().value_and_grad(*args, argnum=argnum, argnums=argnums, **options)

    value_and_grad.__doc__ = Executable.value_and_grad.__doc__

    def _with_program(
        self, task: Task[T], args: Sequence[Any], theta: Any = None, options: dict[str, Any] | None = None
    ) -> T:
        """Use the program that fits the arguments; trace one if there is none."""
        self._notice()
        call = self._called_with_numbers(args, options or {})
        return self._use(task, call, None if theta is None else numbers(theta, "theta"))

    def _called_with_numbers(self, args: Sequence[Any], options: dict[str, Any]) -> Call:
        call = self._takes.call(args, options)
        if call is None:
            k = next((k for k, x in enumerate(args) if self._takes.call([x], {}) is None), 0)
            raise TypeError(
                f"compile: argument {k} {'is' if isinstance(args[k], Value) else 'holds'} a Value; this method takes "
                "numbers: .item() is one. A call of the function, and ag.grad and the like of it, take Values"
            )
        return call

    def _with_plain_program(self, task: Task[T], args: Sequence[Any], theta: Any = None) -> T:
        """Use a program in any case: derivatives are those of its instructions."""
        self._notice()
        call = self._called_with_numbers(args, {})
        layout = call.layout()
        if not layout.plain or layout.size:
            raise TypeError(
                "compile: this derivative of a program is in arrays, and an argument is a container, static, or the "
                "same for all rows; ag.jacobian(f, compiled=True) and the other transforms take those"
            )
        return self._use(task, call, None if theta is None else numbers(theta, "theta"), insists=True)

    def _use(self, task: Task[T], call: Call, theta: Any = None, insists: bool = False) -> T:
        """What the task gives, of a program that fits the call, or of the function itself where none pays."""
        inputs = call.inputs()
        if self._pays.never and not insists:
            with self._lock:
                return task(Eager(self, call, theta), inputs, theta)
        for program in tuple(self._programs.get(call.key, ())):
            try:
                found = task(program, inputs, theta)
            except GuardChanged:
                continue
            self._pays.served()
            return found
        known = self._known
        again = 1 + (theta is not None and not known)  # the second time at numbers of parameters that are known then
        for _ in range(again):
            made = self._traced_anew(call, theta, insists)
            if made is None:
                with self._lock:
                    return task(Eager(self, call, theta), inputs, theta)
            try:
                return task(made, inputs, theta)
            except GuardChanged as changed:
                failed = changed
            if not self._known:
                break
        reason = "its rows would take different branches; with batch=True choose with ag.where, which stays live"
        if not call.batched:
            assert made is not None
            try:
                return task(made.at_its_trace(), inputs, theta)
            except GuardChanged as changed:
                failed, reason = changed, "and the function itself changes it; compute it outside, or from arguments"
        raise RuntimeError(f"compile: {failed}, {reason}") from None

    def _traced_anew(self, call: Call, theta: Any, insists: bool) -> Program | None:
        """A new program for this call, kept for others of its form; None if it is not worth one (yet)."""
        with self._lock:
            known = self._known
            self._quick = None
            traced = self._trace(call, theta)
            now = len(self._known or ())
            if known and theta is not None and theta.shape == (len(known),) and now > len(known):
                raise more_parameters(now, len(known))
            if not insists and self._pays.waits(call, traced.guards, self._programs):
                return None
            try:
                program = self._folded(call, traced)
            except RepeatsTooLittle as error:
                if insists:
                    raise
                self._pays.give_up(str(error).removeprefix("fold: "))
                return None
            self._latest = program
            if not insists and self._pays.costs_more(program, len(traced.nodes)):
                return None
            kept = self._programs.setdefault(call.key, [])
            kept.insert(0, program)
            del kept[MOST_TRACES:]
            self._programs.move_to_end(call.key)
            while len(self._programs) > 1:
                sizes = [x.scalars for some in self._programs.values() for x in some]
                if len(sizes) <= MOST_PROGRAMS and sum(sizes) <= MOST_SCALARS:
                    break
                self._programs.popitem(last=False)
            return program

    @uncollected()
    def _trace(self, call: Call, theta: Any) -> Traced:
        """Run the function on Values."""
        layout = call.layout()
        args, options, leaves, shared = layout.values(call.example())
        known = self._known or []
        at = theta.tolist() if theta is not None and known and theta.shape == (len(known),) else None
        tracer = Tracer(chain(shared, *leaves), known, at, call.batched)
        inside = Scope("compile", mode.scope)  # what is not in it f has from elsewhere
        with traced(tracer), changed_mode(recording=True, scope=inside):
            try:
                result = self._called(args, options)
            except (TypeError, AttributeError, ValueError, KeyError, NotImplementedError) as error:
                explain_numpy(error)
                _explain_forms(error, call)
                raise
        roots, form = results(result)
        guards = [(node, name, outcome) for node, name, outcome in tracer.guards]
        nodes = graph.toposort(*roots, *(node for node, _, _ in guards))
        if self._source is None:
            met = set(known)
            new = [x for x in nodes if isinstance(x, Parameter) and x not in tracer.inputs and x not in met]
            if new and known:
                self._programs.clear()
            self._known = known + new
        if self._of is not None:  # what a method itself changes in its instance it changes when it is traced
            self._contents = Contents(getattr(self._of, "__dict__", None))
        within = {inside}
        outside = [x for x in nodes if x._row is not None and not _is_within(x.scope, within)]
        watched = list(tracer.watched.items())
        return Traced(layout, leaves, shared, roots, form, guards, watched, outside, nodes)

    def _folded(self, call: Call, found: Traced) -> Program:
        """The program of a trace."""
        params, layout = self._known or [], found.layout
        every = [*found.roots, *(node for node, _, _ in found.guards)]
        program = make(
            every, [*params, *found.shared], found.leaves, layout.shapes, found.form.is_leaf, call.batched, *self._how,
            live=True, nodes=found.nodes,
        )  # fmt: skip
        del program.params[len(params) :]
        program.guards = [(name, outcome) for _, name, outcome in found.guards]
        program.outside = found.outside
        program.watched, program.layout, program.form = found.watched, layout, found.form
        program.exact, program.scalars = self._takes.exact, len(found.nodes)
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
        if self._pays.never:
            return f"Compiled({getattr(self._f, '__name__', None) or describe(self._f)}, runs uncompiled)"
        count = sum(map(len, self._programs.values()))
        name = getattr(self._f, "__name__", None) or describe(self._f)
        return f"Compiled({name}, {count} program{'s' if count != 1 else ''})"


@overload
def compile(f: Callable[..., Any], params: Any = None, batch: Any = False, *, static: Any = (), dtype: Any = float,
            backend: BackendName = AUTO, threads: int | None = None) -> Compiled: ...  # fmt: skip
@overload
def compile(f: None = None, params: Any = None, batch: Any = False, *, static: Any = (), dtype: Any = float,
            backend: BackendName = AUTO, threads: int | None = None,
            ) -> Callable[[Callable[..., Any]], Compiled]: ...  # fmt: skip
def compile(f: Any = None, params: Any = None, batch: Any = False, *, static: Any = (), dtype: Any = float,
            backend: BackendName = AUTO, threads: int | None = None) -> Any:  # fmt: skip
    """A function of numbers as a Program: traced on Values at its first call, then run as array instructions.

    A Python float that f captures is a constant, fixed when f is traced. A branch on something that depends on an
    argument or a parameter is watched, and traced again when it would go the other way; reading `.data` of such a
    Value is refused. Arguments of another form (shapes, keys, static arguments) are traced again too. Values that f has
    from elsewhere are read again at each call, and what was computed from them outside f is computed again.
    What f draws at random or changes in Python happens in the trace alone.
    Results are those of f up to rounding; see `ag.fold`.

    Where that does not pay, as with a branch that goes another way at each call, arguments that have another shape each
    time, or thousands of scalars of which no two are alike, f runs on Values as if it were not compiled; a warning says
    so once, with the reason and what to do.

    Called with Values it is a node of their graph, or several, with derivatives of every order. `ag.grad` and the other
    transforms of a compiled function are compiled too, and so is a compiled function of them.

    Args:
        f: takes numbers, arrays and containers of them (lists, tuples, dicts, dataclasses, None), as Values, and
            returns Values and numbers in any such container. An array reaches it as an `ag.array` of that shape, nested
            lists of numbers as nested lists. Without f, a decorator: `@ag.compile(batch=True)`.
        params: the parameters: a Module or a sequence; None for every Parameter that f reaches when it is traced. Only
            of a Module is it noticed that a parameter has been replaced by another.
        batch: f is one example; every argument gets a leading batch axis, and results and gradients are means
            (`.rows` gives all). A whole number is another axis. Where arguments differ, a tuple with an entry each, or
            a dict by their names: an axis, None for an argument that is the same for all rows, or a container of those.
        static: names or positions of arguments that are not numbers, such as texts, counts and functions: they reach
            f as they are, and each is traced by itself. They must be hashable.
        dtype: what the program computes in, float64, or float32 on request.
        backend, threads: what runs it; see `ag.fold`.

    Returns:
        A Compiled, with the methods of a Program.

    Raises:
        TypeError: f is not a function, a parameter is not a Value, or static or batch is not what it should be.
        ValueError, RuntimeError: there is no such backend, or the one that is asked for cannot run here.

    Example:
        >>> model = ag.MLP(2, [4, 1], activation="tanh", seed=0)
        >>> loss = ag.compile(lambda x, y: (model(x) - y) ** 2, params=model, batch=True)
        >>> value, gradient = loss.loss_and_grad(loss.theta, [[0.0, 1.0], [1.0, 0.5]], [1.0, -1.0])
        >>> gradient.shape
        (17,)
        >>> @ag.compile(static="power", batch={"x": 0})
        ... def penalty(x, weights, power=2):
        ...     return weights["scale"] * x ** power
        >>> penalty([1.0, 2.0, 3.0], {"scale": 3.0}), penalty([1.0, 2.0], {"scale": 1.0}, power=1)
        (14.0, 1.5)
    """
    how = checked_dtype(dtype, "compile"), checked_backend(backend, "compile"), checked_threads(threads, "compile")
    if f is None:
        return partial(_compiled, params=params, batch=batch, static=static, how=how)
    return _compiled(f, params, batch, static, how)


def _compiled(f: Any, params: Any, batch: Any, static: Any, how: Any) -> Compiled:
    if not callable(f):
        raise TypeError(f"compile: f must be a function, got {describe(f)}")
    return Compiled(f._f if isinstance(f, Compiled) else f, params, batch, how, static)


def derived(transform: Any, f: Any, asked: Asked | None) -> Compiled | None:
    """A transform of f compiled, as f itself is if it is; None where its derivatives are not those of its examples.

    Args:
        transform: makes the transform of a function.
        f: the function.
        asked: what of f it is, where the instructions of f may give it.
    """
    plain = of_function(f)
    if plain is None:
        return None
    made = Compiled(transform(plain._f), plain._source, False, plain._how, plain._takes.static, exact=True)
    if asked is not None:
        made._of_function = plain, asked
    return made


def of_function(f: Any) -> Compiled | None:
    """f compiled, with derivatives in the form of its arguments; None of a method, and where results are means."""
    if not isinstance(f, Compiled):
        return Compiled(f, exact=True)
    if f._takes.batched or f._of is not None:
        return None
    return Compiled(f._f, f._source, False, f._how, f._takes.static, exact=True)


def _gradient_of(places: list[int], asked: Asked, program: Program, inputs: Sequence[Any], _: Any) -> Any:
    """A task: the gradient, and the value."""
    leaves = tuple(dict.fromkeys(leaf for k in places for leaf in program.leaves_of_argument(k)))
    if not program._single or not leaves:
        return _IN_GRAPH  # which says what is wrong as the transform does uncompiled
    value, gradients, rows = program.gradients(inputs, leaves)
    if not program._single:  # it has run uncompiled
        return _IN_GRAPH
    found = [program.as_argument(k, gradients, rows) for k in places]
    gradient = found[0] if asked.single else tuple(found)
    return gradient if asked.alone else (value, gradient)


def _matrix_for(k: int, what: Any, sparse: bool, program: Program, inputs: Sequence[Any], _: Any) -> Any:
    """A task: the Jacobian or Hessian in argument k, which is an array."""
    shape = None if program.form is None else program.form.shape
    if isinstance(program, Eager) or shape is None or (what == "hessian" and not program._single):
        return _IN_GRAPH
    found = matrix_of(program, what, k + 1)(None, inputs, sparse)
    return found if sparse or what == "hessian" else found.reshape(shape + program._shapes[k])


def repeats(compiled: Compiled, program: Program, args: Sequence[Any]) -> bool:
    """Whether the function, traced once more, is the same program: it draws nothing at random and counts nothing."""
    call = compiled._takes.call(args, {})
    assert call is not None
    again = compiled._folded(call, compiled._trace(call, program.theta))
    return again._folded is program._folded and again._constants.tobytes() == program._constants.tobytes()


def only_programs(compiled: Compiled) -> None:
    """Trace again however often it is needed, and never run the function uncompiled."""
    compiled._pays.insists = True


def _is_within(scope: Scope | None, known: set[Scope]) -> bool:
    """Whether a scope is one of the known, or inside one of them; then it is known too."""
    if scope in known:
        return True
    found = scope is not None and not known.isdisjoint(scope.path())
    if found:
        known.add(scope)  # type: ignore[arg-type]
    return found


def _explain_forms(error: Exception, call: Call) -> None:
    """Raise the error again with what f was given where that is neither a number nor an array: it may be the reason."""
    if isinstance(error, (TypeError, KeyError)):
        for k, form in enumerate(call.forms[: len(call.forms) - len(call.names)]):
            if form.outer is not None or (not form.parts and form.fixed is None):
                given = "None" if form.outer is None else f"a container, {form.outer}"
                text = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
                raise TypeError(f"{text} (argument {k} is {given})").with_traceback(error.__traceback__) from None


def _forget(bound: dict[int, Any], key: int, ref: Any) -> None:
    if key in bound and bound[key][0] is ref:
        del bound[key]


def _itself(x: Any) -> Any:
    return x


def _parameters(params: Any) -> list[Value]:
    return list(dict.fromkeys(parameters(params, "compile")))
