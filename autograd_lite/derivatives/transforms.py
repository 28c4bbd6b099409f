"""Transforms: grad, jacobian, hessian, ... take a function and return the function that computes its derivative.

How each of them works, with what a new one would use:

1. `run = Recording(name, f, args, argnums)` calls f once, on new leaves in place of the numbers of its differentiated
   arguments. It keeps `run.inputs` (the leaves, argument by argument) and `run.outputs` (what f gave, flattened), with
   a treedef for each argument and one for the result.
2. Something walks the graph between the two: `run.gradient(y)` by reverse mode, `_forward` by forward mode,
   jacobians.py for many outputs. It gives derivatives in a flat list.
3. `run.like_input` or `run.like_output` builds the answer from that list, in the form that the user wrote.

    def laplacian(f):  # of a function of one list, by its second derivatives
        def derivative(x):
            run = Recording("laplacian", f, (x,), (0,))
            (gradient,) = run.gradient(run.scalar(), as_graph=True)
            return sum(run.as_answer(run.gradient(g)[0][i]) for i, g in enumerate(gradient))
        return derivative

Transforms nest to any order and in any mixture. One that is given Values, or whose f reaches the leaves of a transform
outside or a Parameter, is `nested`: it answers in Values, so that the answer can be differentiated, by the outer
transform or by `backward`. It differentiates with respect to leaves of its own, never the outer ones: otherwise
d/dx [x * d/dy (x + y)] at y = x would be 2 and not 1. `create_graph` says it outright, and `no_grad` asks for floats.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from functools import partial
from numbers import Integral
from operator import index
from sys import _getframe, modules
from types import MethodType
from typing import Any

from autograd_lite.derivatives import jacobians
from autograd_lite.derivatives.forward import tangent_graph, tangents
from autograd_lite.derivatives.reverse import adjoint_graph
from autograd_lite.engine import functions, graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import describe, explain_numpy, is_array
from autograd_lite.engine.modes import (
    COMPARED,
    Follower,
    changed_mode,
    comparing,
    following,
    mode,
    notify_read,
    outer_leaves,
    tracing,
)
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.trees import Shape, TreeDef, as_array, flatten, joined, unflatten
from autograd_lite.engine.value import Literal, Parameter, Value

Function = Callable[..., Any]

Argnum = int | Sequence[int] | None
"""The position of an argument (a NumPy integer too), or several in a tuple; None is the first."""

_MISSING: Any = inspect.Parameter.empty
_POINT_AND_VECTOR = inspect.Signature(
    [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("x", "v")]
)


def _recording() -> Any:
    """Operations are recorded within this block, even inside `no_grad`."""
    return nullcontext() if mode.recording else changed_mode(recording=True)


class _Running(Follower):
    """A function that runs on new leaves; it follows what becomes of their numbers.

    Attributes:
        leaves: these.
        read, compared: how a number was first taken out of what depends on them, "" while none was.
    """

    def __init__(self, leaves: Sequence[Value]) -> None:
        self.leaves, self.read, self.compared = set(leaves), "", ""
        self._depends: dict[Value, Any] = {}

    def keeps(self, value: Value) -> bool:
        """What depends on the arguments is its own copy, as of a float: the gradient of a new leaf would be lost."""
        depends = self._depends
        for x in graph.toposort(value, done=depends) if value not in depends else ():
            depends[x] = x in self.leaves or any(depends[a] for a in graph.raw_operands(x) if type(a) is not float)
        return bool(depends[value])

    def seen(self, value: Value, what: str) -> None:
        """A number was taken out of a Value. Only the first is looked at: a loop may compare at every step."""
        compared = what in COMPARED
        if self.compared if compared else self.read:
            return
        if value in self.leaves or (value._row is not None and not self.leaves.isdisjoint(graph.toposort(value))):
            if compared:
                self.compared = what
                comparing.discard(self)
            else:
                self.read = what

    def refuse_left(self, what: str, result: Any, outputs: Sequence[Any]) -> None:
        """Refuse a result without Values that was made of numbers taken out of them: its derivative would be lost.

        A float after comparisons alone is a constant on one side of a branch, `1.0 if x == 0 else sin(x) / x`.
        """
        left = self.read or (self.compared and not _is_of_floats(result) and self.compared)
        if left and not any(isinstance(y, Value) for y in outputs):
            raise TypeError(
                f"{what}: f gave {describe(result)}, which has left the graph: {left} of a Value was taken on the way, "
                "and nothing flows back through it. Compute with the Values themselves (ag.where and ag.greater "
                "choose, ag.max is the largest); write a constant on one side of a branch as a float, 1.0 and not 1"
            )


def _is_of_floats(result: Any) -> bool:
    """Whether all that a result holds are floats, and not integers or truths."""
    leaves = [x for x in flatten(result, "the result of f", keep=True)[0] if x is not None]
    numbers = [y for x in leaves for y in (x.ravel().tolist() if is_array(x) else [x])]
    return not any(isinstance(x, Integral) or getattr(getattr(x, "dtype", None), "kind", "f") != "f" for x in numbers)


class Recording:
    """One run of a function on new leaves.

    Args:
        what: the name of the transform, for messages.
        f: the function.
        args, options: what it is called with.
        argnums: the positions of the arguments to differentiate in.
        create_graph: answer in Values, or in floats; None to answer as `nested` says.
        has_aux: f gives a pair, of which the second part is handed on.

    Attributes:
        treedefs, inputs: for each differentiated argument its treedef, and its leaves as Values.
        treedef, outputs: the treedef of the result, and its leaves: Values, and floats where no input matters.
        nodes: the graph of the result in topological order, if it was needed to decide about `nested`.
    """

    outputs: Any
    treedef: Any

    def __init__(
        self,
        what: str,
        f: Function,
        args: Sequence[Any],
        argnums: Sequence[int],
        options: dict[str, Any] | None = None,
        create_graph: bool | None = None,
        has_aux: bool = False,
    ) -> None:
        _function(what, f)
        self.what = what
        self.treedefs: list[TreeDef] = []
        self.inputs: list[list[Value]] = []
        # inside no_grad a derivative is a number too; what f computes on the way is recorded all the same
        self._create_graph = create_graph if create_graph is not None or mode.recording else False
        self._nested: bool | None = self._create_graph  # None: not decided yet
        self.nodes: list[Value] | None = None
        given = list(args)
        taken: dict[int, int] = {}  # the position of an argument, and how argnum named it
        for i in argnums:
            if not -len(args) <= i < len(args):
                by_name = " by position: give what is differentiated so, not by its name" if options else ""
                raise TypeError(f"{what}: there is no argument {i}; f was called with {len(args)}{by_name}")
            # named twice, as by (0, -2) of two arguments, each would get a share of the gradient and neither the whole
            before = taken.setdefault(i % len(args), i)
            if len(taken) <= len(self.treedefs):
                also = "twice" if before == i else f"as {before} and as {i}"
                raise ValueError(f"{what}: argnum names argument {i % len(args)} {also}; name each argument once")
            leaves, treedef = flatten(args[i], f"{what}: argument {i}", ARGUMENT)
            inputs = self._new_leaves(leaves)
            self.treedefs.append(treedef)
            self.inputs.append(inputs)
            given[i] = unflatten(treedef, inputs) if inputs else args[i]  # an empty array keeps its dtype
        running = _Running(self.all_inputs)
        with following(running), _recording():
            try:
                result = f(*given, **(options or {}))
            except (TypeError, AttributeError, ValueError, NotImplementedError) as error:
                explain_numpy(error)
                raise
        self._aux: Any = None
        self._aux_leaves: list[Any] = []
        if has_aux:
            if not (isinstance(result, tuple) and len(result) == 2):
                raise TypeError(
                    f"{what}: with has_aux=True f must give a pair (result, anything else), got {describe(result)}"
                )
            result, self._aux = result
            self._aux_leaves, self._aux_treedef = flatten(
                self._aux, f"{what}: the second part of the result", keep=True
            )
        self.outputs, self.treedef = flatten(result, f"{what}: the result of f", RESULT)
        running.refuse_left(what, result, self.outputs)
        if mode.tracer is not None and not self.nested:
            for y in self._results():  # in floats the trace would keep the numbers of its first call
                notify_read(y, f"{what} in floats")

    @property
    def nested(self) -> bool:
        """Whether the answer must be in Values, since it is part of a graph outside."""
        if self._nested is None:
            self.nodes = graph.toposort(*self._results())
            self._nested = self._reaches_outside(self.nodes)
        return self._nested

    def _results(self) -> list[Value]:
        return [y for y in (*self.outputs, *self._aux_leaves) if isinstance(y, Value)]

    def _reaches_outside(self, nodes: Collection[Value]) -> bool:
        """Whether f used what may be differentiated in, or changed, outside: though its arguments hold no Value.

        These are the leaves of an outer transform (reached by a closure), Parameters that are not frozen, and while a
        function is compiled any leaf. A plain Value that f closes over is a constant, as one that f makes is.

        Args:
            nodes: the graph of what f gave.
        """
        leaves = [node for node in nodes if node._row is None]
        if any(isinstance(x, Parameter) and not x.frozen for x in leaves):
            return True
        if tracing:
            outside = outer_leaves()
            if outside and any(node in outside for node in nodes):
                return True
        own = set(self.all_inputs)
        return mode.tracer is not None and any(x not in own and not isinstance(x, Literal) for x in leaves)

    def _new_leaves(self, numbers: Sequence[Any]) -> list[Value]:
        """Values that this transform alone differentiates with respect to; one for an outer Value is 1 times that."""
        if self._create_graph is False:
            return [Value(x.item() if isinstance(x, Value) else x) for x in numbers]
        if not any(isinstance(x, Value) for x in numbers):
            return [Value(x) for x in numbers]
        self._nested = True
        with _recording():
            return [x * 1.0 if isinstance(x, Value) else Value(x) for x in numbers]

    @property
    def all_inputs(self) -> list[Value]:
        """The leaves of all differentiated arguments."""
        return [x for some in self.inputs for x in some]

    @property
    def result(self) -> Any:
        """What f gave: Values inside a graph, numbers outside."""
        return unflatten(self.treedef, [self.as_answer(y) for y in self.outputs])

    @property
    def aux(self) -> Any:
        """The second part of what f gave, its Values as `result` has them."""
        if not any(isinstance(x, Value) for x in self._aux_leaves):
            return self._aux
        return unflatten(
            self._aux_treedef, [x if type(x) is not Value else self.as_answer(x) for x in self._aux_leaves]
        )

    def like_output(self, numbers: Sequence[Any]) -> Any:
        """A derivative for each output, in the form of what f gave."""
        return unflatten(self.treedef, [self.as_answer(y) for y in numbers], derivative=True)

    def like_input(self, numbers: Sequence[Sequence[Any]]) -> list[Any]:
        """A derivative for each input, in the form of the differentiated arguments, argument by argument."""
        return [
            unflatten(treedef, [self.as_answer(x) for x in some], derivative=True)
            for treedef, some in zip(self.treedefs, numbers, strict=True)
        ]

    def as_answer(self, x: Any) -> Any:
        """A number of the answer: a Value inside a graph, a float outside."""
        if self.nested:
            return x if isinstance(x, Value) else Value(x)
        return number_of(x) if isinstance(x, Value) else x

    def beside(self, numbers: Sequence[Any], nested: bool) -> list[Any]:
        """Numbers that the answer depends on too, such as a direction: a Value among them makes the answer Values.

        Args:
            numbers: floats and Values.
            nested: whether the answer is in Values anyway.
        """
        if self._create_graph is False:
            return [x.item() if isinstance(x, Value) else x for x in numbers]
        self._nested = nested or any(isinstance(x, Value) for x in numbers)
        return list(numbers)

    def scalar(self) -> Any:
        """The one number that f gave, which may stand in an array (`np.sum(x, keepdims=True)`)."""
        if not (self.treedef.is_leaf or (self.treedef.is_array and len(self.outputs) == 1)):
            raise TypeError(
                f"{self.what}: f must give one number, got {describe(self.result)}; for the derivative "
                "of every output use ag.jacobian, or add the outputs up"
            )
        return self.outputs[0]

    def gradient(self, y: Any, as_graph: bool = False) -> list[list[Any]]:
        """dy/dx for each number of each argument; Values inside a graph, and on request."""
        flat = self.all_inputs
        if not isinstance(y, Value):
            found: list[Any] = [0.0] * len(flat)
        else:
            adjoint = None
            # while something follows the numbers they are read only where the answer is in floats
            if not (as_graph or (self.nested if tracing else self._nested)):
                adjoint = adjoints(y)
                if self._nested is None and not self._aux_leaves:  # its keys are the graph: no walk to decide
                    self._nested = self._reaches_outside(adjoint)
            if adjoint is not None and not self.nested:
                found = [adjoint.get(x, 0.0) for x in flat]
            else:
                with _recording():
                    found = adjoint_graph(y, flat, set(flat))
        split, start = [], 0
        for some in self.inputs:
            split.append(found[start : start + len(some)])
            start += len(some)
        return split


ARGUMENT = "what f needs besides numbers can be another argument, or be captured"
RESULT = "with has_aux=True f may give (result, anything else)"
"""What the message about something that is not a number advises."""


class Transformed:
    """The function that a transform makes of f. It can be copied and pickled where f can, and serves as a method.

    Args:
        rule: what computes the answer: `rule(f, args, options, **settings)`.
        what: the name of the transform.
        f: the function, kept as `__wrapped__`.
        settings: what the transform was called with, checked.
        compiled: whether it runs as a program of folding/; a transform of a compiled function does in any case.
    """

    def __init__(
        self, rule: Function, what: str, f: Function, settings: dict[str, Any], compiled: bool = False
    ) -> None:
        self.__wrapped__: Function = _function(what, f)
        self._rule, self._what, self._settings, self._compiled = rule, what, settings, compiled
        self._program: Any = None
        self.__name__: str = f"{what}({getattr(f, '__name__', 'f')})"
        self.__qualname__ = self.__name__
        self.__module__ = getattr(f, "__module__", None) or __name__
        self.__doc__ = f"ag.{what} of {getattr(f, '__name__', 'f')}, as a function of the same arguments."

    def __call__(self, /, *args: Any, **options: Any) -> Any:
        """The answer at these arguments."""
        settings = self._settings
        # SciPy can use numbers alone; given Values it fails far from here, in words of its own
        if settings["create_graph"] is None and _getframe(1).f_globals.get("__name__", "").startswith("scipy."):
            settings = {**settings, "create_graph": False}
        if self.compiles and mode.tracer is None and not getattr(self.__wrapped__, "uncompiled", False):
            program = self.program
            if program is not None and not program.uncompiled:
                if not settings.get("sparse"):
                    return program.answer_of_transform(args, options, settings["create_graph"])
                found = program.sparse(self._what, args, options, settings["argnums"][0])
                if found is not None:
                    return found
        return self._rule(self.__wrapped__, args, options, **settings)

    def answer_in_floats(self, /, *args: Any, **options: Any) -> Any:
        """The answer in floats, without a program: what a compiled one is where that does not pay."""
        return self._rule(self.__wrapped__, args, options, **{**self._settings, "create_graph": False})

    @property
    def compiles(self) -> bool:
        """Whether it runs as a program."""
        settings = self._settings
        able = not settings.get("sparse") or (settings["single"] and not settings["has_aux"])
        return (self._compiled or hasattr(self.__wrapped__, "answer_of_transform")) and able

    @property
    def program(self) -> Any:
        """It compiled; None where it is that of a function compiled for a batch, whose result is a mean."""
        if self._program is None:
            from autograd_lite.folding.tracing import Asked, derived, of_function  # late: it imports derivatives/

            rule, what, settings = self._rule, self._what, self._settings
            if settings.get("sparse"):
                self._program = of_function(self.__wrapped__) or False
                return self._program or None
            asked = None
            kind = what if what in ("jacobian", "hessian") else "gradient"
            if "answer" in settings and not settings["has_aux"] and (settings["single"] or kind == "gradient"):
                asked = Asked(kind, settings["argnums"], settings["single"], what == "grad")
            self._program = derived(lambda f: Transformed(rule, what, f, settings), self.__wrapped__, asked) or False
        return self._program or None

    def __get__(self, thing: Any, kind: type | None = None) -> Any:
        return self if thing is None else MethodType(self, thing)  # as functions do: it may stand in a class

    def __repr__(self) -> str:
        return self.__name__

    def __reduce__(self) -> Any:
        f = self.__wrapped__
        name = getattr(f, "__qualname__", "")
        found: Any = modules.get(self.__module__)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:  # made by `@ag.grad`: the name of f is its own now, and f can be found by no other
            return name
        return Transformed, (self._rule, self._what, f, self._settings, self._compiled)


def _function(what: str, f: Any) -> Function:
    if not callable(f):
        raise TypeError(f"{what}: f must be a function, got {describe(f)}")
    return f  # type: ignore[no-any-return]


def _settings(what: str, argnum: Any, argnums: Any, create_graph: Any, **flags: Any) -> dict[str, Any]:
    """The settings of a transform, checked: `argnums` as a tuple of positions, and `single` if it was not one."""
    if argnum is not None and argnums is not None:
        raise TypeError(f"{what}: argnums is another name of argnum; give one of them")
    given = argnum if argnums is None else argnums
    single = not isinstance(given, (tuple, list, range))
    numbers = (0,) if given is None else (given,) if single else tuple(given)
    try:
        positions = tuple(map(index, numbers))
    except TypeError:
        positions = ()
    if not positions or any(type(i).__name__ in ("bool", "bool_") for i in numbers):  # True would be 1
        raise TypeError(
            f"{what}: argnum must be the position of an argument (0 for the first) or a tuple of positions, "
            f"got {describe(given)}"
        )
    if not (create_graph is None or isinstance(create_graph, bool)):
        raise TypeError(f"{what}: create_graph must be True, False or None, got {describe(create_graph)}")
    for name, flag in flags.items():
        if not isinstance(flag, bool):  # `jacobian(f, (1, 2))`, where the second parameter is sparse
            raise TypeError(f"{what}: {name} must be True or False, got {describe(flag)}; for arguments give argnum=")
    return {"argnums": positions, "single": single, "create_graph": create_graph, **flags}


def _recorded(answer: Function, what: str, f: Function, settings: dict[str, Any]) -> Transformed:
    """A transform that runs f once and reads its answer from the recording: `answer(run, single, has_aux, **rest)`."""
    compiled = settings.pop("compiled")
    return Transformed(_answered, what, f, {"answer": answer, "what": what, **settings}, compiled)


def _answered(
    f: Function,
    args: tuple[Any, ...],
    options: dict[str, Any],
    answer: Function,
    what: str,
    argnums: tuple[int, ...],
    single: bool,
    create_graph: bool | None,
    has_aux: bool,
    **rest: Any,
) -> Any:
    return answer(Recording(what, f, args, argnums, options, create_graph, has_aux), single, has_aux, **rest)


# --- scalar functions ---------------------------------------------------------------------------------


def grad(
    f: Function,
    argnum: Argnum = None,
    *,
    has_aux: bool = False,
    create_graph: bool | None = None,
    argnums: Argnum = None,
    compiled: bool = False,
) -> Function:
    """The function that computes the gradient of f, by reverse mode.

        grad(f)(x)[i] = d f(x) / d x[i]

    Args:
        f: a function that gives one number. In place of the argument to differentiate in it receives the
            same thing with a Value for each number (an array becomes an object array of the same
            shape); other arguments, and keyword arguments, reach it as they are.
        argnum: which argument (the first if it is not given), or a tuple of several.
        has_aux: f gives a pair (number, anything else), and the function made gives (gradient, anything else).
        create_graph: whether to answer in Values, which can be differentiated again; None to answer in Values where
            the gradient is part of a graph outside: where an argument holds Values, another transform is at work
            outside, or f uses a Parameter that is not frozen. Inside `ag.no_grad()` the answer is in floats then.
        argnums: another name of argnum.
        compiled: run it as a program: traced at its first call, then as array instructions; see `ag.compile`. What else
            f gives (has_aux) must consist of numbers then.

    Returns:
        A function of the arguments of f. Its answer has the form of the argument: a float for a float, an array
        of the same shape for an array, a dict for a dict, and so for nested sequences, dicts and dataclasses (None in
        them stays None); for a tuple of arguments a tuple. So grad(grad(f)) is the second derivative, and grad(f)
        serves as `jac=` of scipy.optimize.minimize, which gets floats whatever f uses. Where a function of yours stands
        between SciPy and the gradient of a network, give create_graph=False, or call SciPy inside `ag.no_grad()`.

    Raises:
        TypeError: f gives more than one number, or an argument holds something that is not a number; argnum is not
            a position, or argnums is given as well.
        ValueError: argnum names an argument twice.

    Example:
        >>> ag.grad(lambda x: x ** 3)(2.0)
        12.0
        >>> ag.grad(ag.grad(lambda x: x ** 3))(2.0)
        12.0
        >>> ag.grad(lambda v: ag.sum(v * v))(np.array([1.0, 2.0]))
        array([2., 4.])
        >>> ag.grad(lambda p: p["w"] ** 2 + p["b"])({"w": 2.0, "b": 1.0})
        {'w': 4.0, 'b': 1.0}
        >>> net = ag.MLP(1, [3, 1], activation="tanh", seed=3)
        >>> slope = ag.grad(lambda t: net([t]))  # of the network in its input, as in a physics-informed loss
        >>> (slope(0.5) ** 2).backward()
        >>> sum(p.grad != 0.0 for p in net.parameters())  # all but the last bias
        9
        >>> with ag.no_grad():
        ...     print(type(slope(0.5)).__name__)
        float
    """
    settings = _settings("grad", argnum, argnums, create_graph, has_aux=has_aux, compiled=compiled)
    return _recorded(_gradient, "grad", f, settings)


def value_and_grad(
    f: Function,
    argnum: Argnum = None,
    *,
    has_aux: bool = False,
    create_graph: bool | None = None,
    argnums: Argnum = None,
    compiled: bool = False,
) -> Function:
    """The function that computes f and its gradient in one run.

    Args:
        f: a function that gives one number; see `grad`.
        argnum, create_graph, argnums, compiled: as in `grad`.
        has_aux: f gives a pair (number, anything else), and the function made gives ((value, anything else), gradient).

    Returns:
        A function of the arguments of f that gives (value, gradient); with `jac=True` scipy.optimize.minimize
        takes it as it is.

    Raises:
        TypeError, ValueError: as `grad`.

    Example:
        >>> ag.value_and_grad(lambda x, y: x * ag.exp(y))(3.0, 0.0)
        (3.0, 1.0)
    """
    settings = _settings("value_and_grad", argnum, argnums, create_graph, has_aux=has_aux, compiled=compiled)
    return _recorded(_gradient, "value_and_grad", f, settings)


def _gradient(run: Recording, single: bool, has_aux: bool) -> Any:
    y = run.scalar()
    found = run.like_input(run.gradient(y))
    gradient = found[0] if single else tuple(found)
    if run.what == "grad":
        return (gradient, run.aux) if has_aux else gradient
    value = run.as_answer(y)
    return ((value, run.aux) if has_aux else value), gradient


def hessian(
    f: Function,
    sparse: bool = False,
    argnum: Argnum = None,
    *,
    has_aux: bool = False,
    create_graph: bool | None = None,
    argnums: Argnum = None,
    compiled: bool = False,
) -> Function:
    """The function that computes the matrix of second derivatives of f.

        hessian(f)(x)[i][j] = d^2 f(x) / d x[i] d x[j]

    f runs once, its gradient is built once as a graph, and the rows are read off that graph. Where the Hessian
    is sparse the rows visit only their own part of it, so a banded one costs about as much as its band.

    Args:
        f: a function that gives one number; see `grad`.
        sparse: give a scipy.sparse.csr_array of shape (n, n) for n numbers; no full matrix is made.
        argnum, create_graph, argnums, compiled: as in `grad`.
        has_aux: f gives a pair (number, anything else), and the function made gives (Hessian, anything else).

    Returns:
        A function of the arguments of f. For an array of shape s its answer is an array of shape s + s, for a
        float a float, for a container the same container of the derivatives of each element of the gradient; for a
        tuple of arguments a tuple of tuples, `answer[i][j]` for arguments i and j.

    Raises:
        TypeError: as `grad`; or sparse, and the derivatives are part of a graph outside.
        ImportError: sparse, and SciPy is not installed.

    Example:
        >>> ag.hessian(lambda v: v[0] ** 2 * v[1])(np.array([1.0, 2.0]))
        array([[4., 2.],
               [2., 0.]])
    """
    settings = _settings("hessian", argnum, argnums, create_graph, sparse=sparse, has_aux=has_aux, compiled=compiled)
    return _recorded(_hessian, "hessian", f, settings)


def _hessian(run: Recording, single: bool, has_aux: bool, sparse: bool) -> Any:
    gradient = [g for some in run.gradient(run.scalar(), as_graph=True) for g in some]
    form = run.treedefs[0] if single else joined(run.treedefs)
    table = _table(run, gradient, sparse)
    found = table if sparse else _laid_out(form, form, table, not single)
    return (found, run.aux) if has_aux else found


def hvp(
    f: Function,
    x: Any = _MISSING,
    v: Any = _MISSING,
    *,
    create_graph: bool | None = None,
    compiled: bool = False,
) -> Any:
    """The product of the Hessian of f with a vector, without the Hessian: forward over reverse.

        hvp(f, x, v)[i] = sum over j of d^2 f(x) / d x[i] d x[j] * v[j]

    With f alone it is a transform: `ag.hvp(f)(x, v)` equals `ag.hvp(f, x, v)`.

    Args:
        f: a function of one argument that gives one number; see `grad`.
        x: where; a tuple is one argument, not several.
        v: a vector of the form of x.
        create_graph, compiled: as in `grad`; the answer is in Values where v holds Values too. Of one f a call with x
            and v compiles once.

    Returns:
        The product, in the form of x; without x and v the function of both that computes it. That function hands
        keyword arguments on to f.

    Raises:
        TypeError: as `grad`; or f takes several arguments; or v is missing.
        ValueError: v does not have the form of x.

    Example:
        >>> ag.hvp(lambda x: x[0] ** 2 * x[1], [1.0, 2.0], [1.0, 0.0])
        [4.0, 2.0]
        >>> ag.hvp(lambda x: x[0] ** 2 * x[1])([1.0, 2.0], [1.0, 0.0])
        [4.0, 2.0]
    """
    settings = _settings("hvp", None, None, create_graph, compiled=compiled)
    product = _kept(_product, "hvp", f, settings)
    product.__signature__ = _POINT_AND_VECTOR  # type: ignore[attr-defined]
    if x is _MISSING and v is _MISSING:
        return product
    if x is _MISSING or v is _MISSING:
        raise TypeError("hvp: give both x and v, or neither: ag.hvp(f, x, v) or ag.hvp(f)(x, v)")
    return product(x, v)


def _product(f: Function, args: tuple[Any, ...], options: dict[str, Any], create_graph: bool | None) -> Any:
    args += tuple(options.pop(name) for name in ("x", "v")[len(args) :] if name in options)
    if len(args) != 2:
        raise TypeError(f"hvp: ag.hvp(f) takes a point and a vector, (x, v), got {len(args)} arguments")
    x, v = args
    if _is_arguments(x) and not _takes(f, 1) and _takes(f, len(x)):
        raise TypeError(
            f"hvp: f must take one argument, and this one takes {len(x)}; give it the one sequence: "
            "ag.hvp(lambda x: f(*x), x, v)"
        )
    run = Recording("hvp", f, (x,), (0,), options, create_graph)
    vector = run.beside(_matching("hvp", "v", v, run.treedefs[0]), run.nested)
    (gradient,) = run.gradient(run.scalar(), as_graph=True)
    return run.like_input([_forward(gradient, run.all_inputs, vector, run.nested)])[0]


# --- functions of any output ---------------------------------------------------------------------------


def jvp(
    f: Function,
    primals: Any,
    tangents: Any,
    *,
    has_aux: bool = False,
    create_graph: bool | None = None,
    compiled: bool = False,
) -> tuple[Any, ...]:
    """The value of f and its derivative along a direction, by forward mode.

        jvp(f, x, v) = f(x), sum over j of d f(x) / d x[j] * v[j]

    Args:
        f: a function that gives numbers in any form.
        primals: the arguments of f as a tuple; anything but a tuple is the one argument.
        tangents: the direction, in the form of primals.
        has_aux: f gives a pair (result, anything else), and the answer is (value, tangent, anything else).
        create_graph, compiled: as in `grad`; the answer is in Values where tangents hold Values too. The same f is
            compiled once: give a function that is kept, not a lambda made anew for each call.

    Returns:
        (value, tangent), both in the form of what f gives.

    Raises:
        TypeError: f gives, or an argument holds, something that is not a number.
        ValueError: tangents do not have the form of primals.

    Example:
        >>> ag.jvp(lambda x, y: x * y, (3.0, 5.0), (1.0, 10.0))
        (15.0, 35.0)
    """
    args = primals if _is_arguments(primals) else (primals,)
    along = tangents if _is_arguments(primals) else (tangents,)
    if not isinstance(along, (tuple, list)) or len(along) != len(args):
        raise ValueError(
            f"jvp: tangents must hold one entry for each of the {len(args)} primals, got {describe(along)}"
        )
    settings = _settings("jvp", None, None, create_graph, has_aux=has_aux, compiled=compiled)
    found: tuple[Any, ...] = _kept(_pushed, "jvp", f, settings)(tuple(args), tuple(along))
    return found


def _pushed(f: Function, given: Any, options: dict[str, Any], create_graph: bool | None, has_aux: bool) -> Any:
    args, along = given
    run = Recording("jvp", f, args, range(len(args)), None, create_graph, has_aux)
    vector = run.beside(
        [
            d
            for i, treedef in enumerate(run.treedefs)
            for d in _matching("jvp", f"the tangent of argument {i}", along[i], treedef)
        ],
        run.nested,
    )
    tangent = run.like_output(_forward(run.outputs, run.all_inputs, vector, run.nested))
    return (run.result, tangent, run.aux) if has_aux else (run.result, tangent)


_transforms: dict[Any, Transformed] = {}
"""Those of `_kept`: the last 64."""


def _kept(rule: Function, what: str, f: Function, settings: dict[str, Any]) -> Transformed:
    """A transform made of f; where it is compiled, the one made before, which is traced already."""
    rest: dict[str, Any] = {name: settings[name] for name in ("create_graph", "has_aux") if name in settings}
    made = Transformed(rule, what, f, rest, settings["compiled"])
    if not made.compiles:
        return made
    try:
        key = rule, f, tuple(rest.values())
        known = _transforms.pop(key, made)
    except TypeError:  # f cannot be hashed
        return made
    _transforms[key] = known
    while len(_transforms) > 64:
        _transforms.pop(next(iter(_transforms)), None)
    return known


def vjp(
    f: Function,
    *primals: Any,
    has_aux: bool = False,
    create_graph: bool | None = None,
    compiled: bool = False,
) -> tuple[Any, ...]:
    """The value of f, and the function that pulls a weight on each output back to the arguments.

        value, pull = vjp(f, x);  pull(u)[j] = sum over i of u[i] * d f(x)[i] / d x[j]

    Args:
        f: a function that gives numbers in any form.
        primals: its arguments.
        has_aux: f gives a pair (result, anything else), and the answer is (value, pull, anything else).
        create_graph, compiled: as in `grad`; pull answers in Values where the weights hold Values too. The same f is
            compiled once, as in `jvp`.

    Returns:
        (value, pull). pull takes a weight for each output, in the form of the value, and gives the derivative
        in the form of the argument; for several arguments a tuple. It may be called as often as you like.

    Raises:
        TypeError: f gives, or an argument holds, something that is not a number.
        ValueError: pull gets weights of another form than the value.

    Example:
        >>> value, pull = ag.vjp(lambda x, y: [x * y, x + y], 3.0, 5.0)
        >>> value, pull([1.0, 0.0]), pull([0.0, 1.0])
        ([15.0, 8.0], (5.0, 3.0), (1.0, 1.0))
    """
    settings = _settings("vjp", None, None, create_graph, has_aux=has_aux, compiled=compiled)
    through = _kept(_pulled, "vjp", f, settings)
    if through.compiles:
        found = _kept(_result, "vjp", f, settings)(*primals)
        value, aux = found if has_aux else (found, None)
        return (value, partial(through, primals), aux) if has_aux else (value, partial(through, primals))
    run = Recording("vjp", f, primals, range(len(primals)), None, settings["create_graph"], has_aux)
    value, inside = run.result, run.nested
    pull = partial(_pull, run, inside)
    return (value, pull, run.aux) if has_aux else (value, pull)


def _pull(run: Recording, inside: bool, weights: Any) -> Any:
    numbers = run.beside(_matching("vjp", "the weights", weights, run.treedef), inside)
    with _recording():
        total = functions.dot(numbers, run.outputs)
    found = run.like_input(run.gradient(total))
    return found[0] if len(found) == 1 else tuple(found)


def _pulled(f: Function, given: Any, options: dict[str, Any], create_graph: bool | None, has_aux: bool) -> Any:
    primals, weights = given
    run = Recording("vjp", f, primals, range(len(primals)), None, create_graph, has_aux)
    return _pull(run, run.nested, weights)


def _result(f: Function, given: Any, options: dict[str, Any], create_graph: bool | None, has_aux: bool) -> Any:
    run = Recording("vjp", f, given, range(len(given)), None, create_graph, has_aux)
    return (run.result, run.aux) if has_aux else run.result


def jacobian(
    f: Function,
    sparse: bool = False,
    argnum: Argnum = None,
    *,
    has_aux: bool = False,
    create_graph: bool | None = None,
    argnums: Argnum = None,
    compiled: bool = False,
) -> Function:
    """The function that computes the derivative of every output of f in every number of an argument.

        jacobian(f)(x)[i][j] = d f(x)[i] / d x[j]

    f runs once. Reverse or forward mode, one row at a time or many at once, is chosen by the shape of the
    problem and by how much of the graph a row depends on.

    Args:
        f: a function that gives numbers in any form.
        sparse: give a scipy.sparse.csr_array of shape (m, n) for m outputs and n numbers.
        argnum, create_graph, argnums, compiled: as in `grad`.
        has_aux: f gives a pair (result, anything else), and the function made gives (Jacobian, anything else).

    Returns:
        A function of the arguments of f. For an array x its answer is an array of shape (shape of the
        output) + (shape of x), so that it serves as `jac=` of scipy.optimize.least_squares and root; for
        anything else it has the form of the output, with the derivative in the form of x for each number.
        Where arrays stand in containers, each pair of arrays has its block: an array of both shapes. For a tuple of
        arguments it is a tuple, a Jacobian for each: as `curve_fit` needs, `np.column_stack` of it is the matrix. (Only
        where f gives a dict or another form that is not an array's, that form is outside, and holds the tuples.)

    Raises:
        TypeError: f gives, or the argument holds, something that is not a number.
        ImportError: sparse, and SciPy is not installed.

    Example:
        >>> ag.jacobian(lambda v: [v[0] * v[1], v[0] + v[1]])(np.array([2.0, 3.0]))
        array([[3., 2.],
               [1., 1.]])
        >>> ag.jacobian(lambda v: [v[0] * v[1], v[0] + v[1]])([2.0, 3.0])
        [[3.0, 2.0], [1.0, 1.0]]
        >>> decay = lambda t, a, b: a * np.exp(-b * t)
        >>> in_a, in_b = ag.jacobian(decay, argnum=(1, 2))(np.array([0.0, 1.0]), 2.0, 0.0)
        >>> np.column_stack([in_a, in_b])
        array([[ 1.,  0.],
               [ 1., -2.]])
    """
    settings = _settings("jacobian", argnum, argnums, create_graph, sparse=sparse, has_aux=has_aux, compiled=compiled)
    return _recorded(_jacobian, "jacobian", f, settings)


def _jacobian(run: Recording, single: bool, has_aux: bool, sparse: bool) -> Any:
    table, outer = _table(run, run.outputs, sparse), run.treedef
    if sparse:
        found = table
    elif single:
        found = _laid_out(outer, run.treedefs[0], table)
    elif outer.shape is None:
        found = _laid_out(outer, joined(run.treedefs), table, True)
    else:  # what is like an array has a matrix for each argument
        matrices, start = [], 0
        for treedef, some in zip(run.treedefs, run.inputs, strict=True):
            columns = slice(start, start + len(some))
            start += len(some)
            matrices.append(_laid_out(outer, treedef, _columns(table, columns)))
        found = tuple(matrices)
    return (found, run.aux) if has_aux else found


def _table(run: Recording, outputs: Sequence[Any], sparse: bool) -> Any:
    """The derivatives of outputs in all inputs, a row an output: an array, a list of lists of Values, or sparse."""
    if run.nested:
        if sparse:
            raise TypeError(
                f"{run.what}(sparse=True): these derivatives are part of a graph outside, and scipy.sparse "
                "holds numbers; leave sparse=False, or give create_graph=False"
            )
        inputs = run.all_inputs
        if 0 < len(inputs) < len(outputs):  # a graph for each column is shorter than one for each row
            units = [[float(i == j) for i in range(len(inputs))] for j in range(len(inputs))]
            columns = [map(run.as_answer, _forward(outputs, inputs, unit, True)) for unit in units]
            return list(map(list, zip(*columns, strict=True)))
        return [[run.as_answer(g) for some in run.gradient(y) for g in some] for y in outputs]
    if sparse:
        return jacobians.sparse(outputs, run.all_inputs, run.what)
    return jacobians.dense(outputs, run.all_inputs, run.nodes if outputs is run.outputs and run.aux is None else None)


def _columns(table: Any, columns: slice) -> Any:
    return [row[columns] for row in table] if isinstance(table, list) else table[:, columns]


def _laid_out(outer: TreeDef, inner: TreeDef, table: Any, several: bool = False) -> Any:
    """A table in the form of the outputs and of the argument; `several`: `inner` is that of a tuple of arguments."""
    # rows that line up, in one array: scipy.optimize takes a matrix, whatever sequence f gave
    shape = outer.shape if inner.is_array else None
    if isinstance(table, list):
        return _blocks(outer if shape is None else TreeDef([shape]), inner, table, several)
    if shape is not None:
        return table.reshape(shape + (inner.shape or ()))
    return _blocks(outer, inner, table.tolist(), several)


def _blocks(outer: TreeDef, inner: TreeDef, table: Sequence[Sequence[Any]], several: bool) -> Any:
    """A matrix in the form of the outputs, each number of them the form of the argument.

    Where an array of outputs meets an array of the argument their block is one array, of shape (shape of the
    outputs) + (shape of the argument), as it is where it meets a number of a dict or one argument of several; where it
    meets a sequence of numbers, nested lists of that.
    """
    lists = not (several or inner.is_leaf or inner.has_arrays or inner.has_names)

    def blocks_of(outputs: Shape, rows: slice) -> Any:
        if not outputs:  # one output
            return unflatten(inner, table[rows.start], derivative=True)
        if lists:
            return as_array([unflatten(inner, row) for row in table[rows]], outputs).tolist()
        return inner.build(
            lambda inputs, columns: as_array([g for row in table[rows] for g in row[columns]], outputs + inputs),
            lambda join, items: join.derivative(items),
        )

    return outer.build(blocks_of, lambda join, items: join.derivative(items))


def _is_arguments(primals: Any) -> bool:
    return isinstance(primals, tuple) and not hasattr(primals, "_fields")


def _takes(f: Function, count: int) -> bool:
    """Whether f accepts `count` arguments; True if its signature is unknown."""
    try:
        inspect.signature(f).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # a function of C without a signature
        return True
    return True


def _matching(what: str, name: str, x: Any, treedef: TreeDef) -> list[Any]:
    """The leaves of x, which must have this form (an array may stand for a flat sequence, and back)."""
    leaves, given = flatten(x, f"{what}: {name}")
    if given != treedef and given.has_names:  # a dict may have its keys in another order
        at = dict(zip(given.paths, leaves, strict=True))
        if len(at) == len(leaves) and sorted(at) == sorted(treedef.paths):
            return [at[path] for path in treedef.paths]
    if given != treedef and (given.shape is None or given.shape != treedef.shape):
        raise ValueError(
            f"{what}: {name} has {len(leaves)} numbers in the form {_form(given)}; "
            f"it must have the form {_form(treedef)}"
        )
    return leaves


def _form(treedef: TreeDef) -> str:
    shape = treedef.shape
    return repr(treedef) if shape is None else "of one number" if not shape else str(shape)


def _forward(outputs: Sequence[Any], inputs: Sequence[Value], vector: Sequence[Any], nested: bool) -> list[Any]:
    """The derivative of each output along a vector of the inputs."""
    roots = [y for y in outputs if isinstance(y, Value)]
    seeds = {x: d for x, d in zip(inputs, vector, strict=True) if isinstance(d, Value) or d != 0.0}
    if nested:
        with _recording():
            found = tangent_graph(roots, seeds)
    else:
        found = tangents(roots, seeds)
    return [found.get(y, 0.0) if isinstance(y, Value) else 0.0 for y in outputs]
