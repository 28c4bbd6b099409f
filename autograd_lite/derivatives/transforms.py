"""Functions in, derivative functions out: grad, jacobian, hessian and their kind.

Each traces its function once: the numbers of the argument become Values, the function builds a graph
of them, and diff.py walks that graph. They nest to any order and in any mixture. An inner transform
that is given Values, or whose function reaches those of an outer one, answers in Values, so that the
outer one sees how the answer depends on them. It differentiates in Values of its own, never in the
outer ones: that is why d/dx [x * d/dy (x + y)] is 1 and not 2.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from autograd_lite.derivatives import jacobians
from autograd_lite.derivatives.forward import tangent_graph, tangents
from autograd_lite.derivatives.reverse import adjoint_graph
from autograd_lite.derivatives.trees import NUMBER, Join, TreeDef, as_array, assembled, flatten, unflatten
from autograd_lite.engine import functions, graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import describe
from autograd_lite.engine.modes import changed_mode, mode
from autograd_lite.engine.value import Value

Function = Callable[..., Any]


def _recording() -> Any:
    """Operations are recorded within this block, `no_grad` outside or not."""
    return nullcontext() if mode.recording else changed_mode(recording=True)


class _Live(threading.local):
    """The Values of the transforms that are open in this thread, innermost last."""

    inputs: tuple[set[Value], ...] = ()


_live = _Live()


@contextmanager
def _open(inputs: Sequence[Value]) -> Iterator[None]:
    """While f runs its inputs are known to transforms inside, and operations are recorded."""
    before = _live.inputs
    _live.inputs = (*before, set(inputs))
    try:
        with _recording():
            yield
    finally:
        _live.inputs = before


class Recording:
    """One run of a function on Values.

    Attributes:
        plans, inputs: for each differentiated argument its plan, and its numbers as Values.
        plan, outputs: the plan of the result, and its numbers: Values, and floats that do not depend on an input.
        nested: whether the answer must be Values, since it is part of a graph outside.
    """

    def __init__(
        self, what: str, f: Function, args: Sequence[Any], argnums: Sequence[int], options: dict[str, Any] | None = None
    ) -> None:
        if not callable(f):
            raise TypeError(f"{what}: f must be a function, got {describe(f)}")
        self.what = what
        self.plans: list[TreeDef] = []
        self.inputs: list[list[Value]] = []
        self.nested = False
        given = list(args)
        taken: dict[int, int] = {}  # the position of an argument, and how argnum named it
        for i in argnums:
            if not -len(args) <= i < len(args):
                raise TypeError(f"{what}: there is no argument {i}; f was called with {len(args)}")
            before = taken.setdefault(i % len(args), i)
            if len(taken) <= len(self.plans):
                also = "twice" if before == i else f"as {before} and as {i}"
                raise ValueError(f"{what}: argnum names argument {i % len(args)} {also}; name each argument once")
            numbers, plan = flatten(args[i], f"{what}: argument {i}")
            fresh = self._fresh(numbers)
            self.plans.append(plan)
            self.inputs.append(fresh)
            given[i] = unflatten(plan, fresh) if fresh else args[i]
        with _open(self.all_inputs):
            result = f(*given, **(options or {}))
        self.outputs, self.plan = flatten(result, f"{what}: the result of f")
        if _live.inputs and not self.nested:
            outside = set().union(*_live.inputs)
            self.nested = any(node in outside for node in graph.toposort(*self.values))

    def _fresh(self, numbers: Sequence[Any]) -> list[Value]:
        """Values of this transform's own; one that stands for an outer Value is computed from it."""
        if not any(isinstance(x, Value) for x in numbers):
            return [Value(x) for x in numbers]
        self.nested = True
        with _recording():
            return [x * 1.0 if isinstance(x, Value) else Value(x) for x in numbers]

    @property
    def all_inputs(self) -> list[Value]:
        """The numbers of all differentiated arguments."""
        return [x for some in self.inputs for x in some]

    @property
    def values(self) -> list[Value]:
        """The outputs that are Values."""
        return [y for y in self.outputs if isinstance(y, Value)]

    @property
    def result(self) -> Any:
        """What f gave: Values inside a graph, numbers outside."""
        return self.put_back(self.outputs)

    def put_back(self, numbers: Sequence[Any]) -> Any:
        """Numbers in the form of what f gave."""
        return unflatten(self.plan, [self.settled(y) for y in numbers])

    def in_form(self, numbers: Sequence[Sequence[Any]]) -> list[Any]:
        """Numbers in the form of the differentiated arguments, argument by argument."""
        return [
            unflatten(plan, [self.settled(x) for x in some]) for plan, some in zip(self.plans, numbers, strict=True)
        ]

    def settled(self, x: Any) -> Any:
        """A number of the answer: a Value inside a graph, a float outside."""
        if self.nested:
            return x if isinstance(x, Value) else Value(x)
        return x._f if isinstance(x, Value) else x

    def scalar(self) -> Any:
        """The one number that f gave."""
        if self.plan != [NUMBER]:
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
        elif self.nested or as_graph:
            with _recording():
                found = adjoint_graph(y, flat, set(flat))
        else:
            adjoint = adjoints(y)
            found = [adjoint.get(x, 0.0) for x in flat]
        split, start = [], 0
        for some in self.inputs:
            split.append(found[start : start + len(some)])
            start += len(some)
        return split


def _argnums(what: str, argnum: Any) -> tuple[int, ...]:
    single = isinstance(argnum, int) and not isinstance(argnum, bool)
    numbers = (argnum,) if single else tuple(argnum) if isinstance(argnum, (tuple, list)) else ()
    if not numbers or not all(isinstance(i, int) and not isinstance(i, bool) for i in numbers):
        raise TypeError(
            f"{what}: argnum must be the position of an argument (0 for the first) or a tuple of positions, "
            f"got {describe(argnum)}"
        )
    return numbers


def _position(what: str, argnum: Any) -> int:
    if not isinstance(argnum, int) or isinstance(argnum, bool):
        raise TypeError(
            f"{what}: argnum must be one position (0 for the first argument), got {describe(argnum)}; for several "
            "arguments call it once for each, or give f one sequence that holds them"
        )
    return argnum


def _named(made: Function, what: str, f: Function) -> Function:
    made.__name__ = f"{what}({getattr(f, '__name__', 'f')})"
    made.__qualname__ = made.__name__
    return made


# --- scalar functions ---------------------------------------------------------------------------------


def grad(f: Function, argnum: int | tuple[int, ...] = 0) -> Function:
    """The function that computes the gradient of f, by reverse mode.

        grad(f)(x)[i] = d f(x) / d x[i]

    Args:
        f: a function that gives one number. In place of the argument to differentiate in it receives the
            same thing with a Value for each number (an array becomes an object array of the same
            shape); other arguments reach it as they are.
        argnum: which argument, or a tuple of several.

    Returns:
        A function of the arguments of f. Its answer has the form of the argument: a float for a float, an array
        of the same shape for an array, nested sequences for nested sequences; for a tuple of arguments a tuple.
        It is in floats, or in Values where an argument holds Values or another transform is at work outside.
        So grad(grad(f)) is the second derivative, and grad(f) serves as `jac=` of scipy.optimize.minimize.

    Raises:
        TypeError: f gives more than one number, or an argument holds something that is no number.
        ValueError: argnum names an argument twice.

    Example:
        >>> ag.grad(lambda x: x ** 3)(2.0)
        12.0
        >>> ag.grad(ag.grad(lambda x: x ** 3))(2.0)
        12.0
        >>> ag.grad(lambda v: ag.sum(v * v))(np.array([1.0, 2.0]))
        array([2., 4.])
    """
    argnums = _argnums("grad", argnum)

    def gradient(*args: Any, **options: Any) -> Any:
        return _value_and_grad("grad", f, args, argnums, options, argnum)[1]

    return _named(gradient, "grad", f)


def value_and_grad(f: Function, argnum: int | tuple[int, ...] = 0) -> Function:
    """The function that computes f and its gradient in one run.

    Args:
        f: a function that gives one number; see `grad`.
        argnum: which argument to differentiate in, or a tuple of several.

    Returns:
        A function of the arguments of f that gives (value, gradient); with `jac=True` scipy.optimize.minimize
        takes it as it is.

    Raises:
        TypeError, ValueError: as `grad`.

    Example:
        >>> ag.value_and_grad(lambda x, y: x * ag.exp(y))(3.0, 0.0)
        (3.0, 1.0)
    """
    argnums = _argnums("value_and_grad", argnum)

    def both(*args: Any, **options: Any) -> tuple[Any, Any]:
        return _value_and_grad("value_and_grad", f, args, argnums, options, argnum)

    return _named(both, "value_and_grad", f)


def _value_and_grad(
    what: str, f: Function, args: Sequence[Any], argnums: Sequence[int], options: dict[str, Any], argnum: Any
) -> tuple[Any, Any]:
    trace = Recording(what, f, args, argnums, options)
    y = trace.scalar()
    found = trace.in_form(trace.gradient(y))
    return trace.settled(y), found[0] if isinstance(argnum, int) else tuple(found)


def hessian(f: Function, sparse: bool = False, argnum: int = 0) -> Function:
    """The function that computes the matrix of second derivatives of f.

        hessian(f)(x)[i][j] = d^2 f(x) / d x[i] d x[j]

    f runs once, its gradient is built once as a graph, and the rows are read off that graph. Where the Hessian
    is sparse the rows visit only their own part of it, so a banded one costs about as much as its band.

    Args:
        f: a function that gives one number; see `grad`.
        sparse: give a scipy.sparse.csr_array of shape (n, n) for n numbers; no full matrix is made.
        argnum: which argument to differentiate in.

    Returns:
        A function of the arguments of f. For an array of shape s its answer is an array of shape s + s, for a
        float a float, for a sequence a sequence of the derivatives of each element of the gradient.

    Raises:
        TypeError: as `grad`; or sparse, and the derivatives are part of a graph outside.
        ImportError: sparse, and SciPy is not there.

    Example:
        >>> ag.hessian(lambda v: v[0] ** 2 * v[1])(np.array([1.0, 2.0]))
        array([[4., 2.],
               [2., 0.]])
    """
    position = _position("hessian", argnum)

    def second(*args: Any, **options: Any) -> Any:
        trace = Recording("hessian", f, args, (position,), options)
        (gradient,) = trace.gradient(trace.scalar(), as_graph=True)
        return _matrix(trace, gradient, trace.plans[0], sparse)

    return _named(second, "hessian", f)


def hvp(f: Function, x: Any, v: Any) -> Any:
    """The product of the Hessian of f at x with a vector, without the Hessian: forward over reverse.

        hvp(f, x, v)[i] = sum over j of d^2 f(x) / d x[i] d x[j] * v[j]

    Args:
        f: a function of one argument that gives one number; see `grad`.
        x: where; a tuple is one argument, not several.
        v: a vector of the form of x.

    Returns:
        The product, in the form of x.

    Raises:
        TypeError: as `grad`; or f takes several arguments.
        ValueError: v has not the form of x.

    Example:
        >>> ag.hvp(lambda x: x[0] ** 2 * x[1], [1.0, 2.0], [1.0, 0.0])
        [4.0, 2.0]
    """
    if _is_arguments(x) and not _takes(f, 1) and _takes(f, len(x)):
        raise TypeError(
            f"hvp: f must take one argument, and this one takes {len(x)}; give it the one sequence: "
            "ag.hvp(lambda x: f(*x), x, v)"
        )
    trace = Recording("hvp", f, (x,), (0,))
    vector = _matching("hvp", "v", v, trace.plans[0])
    trace.nested = trace.nested or any(isinstance(d, Value) for d in vector)
    (gradient,) = trace.gradient(trace.scalar(), as_graph=True)
    return trace.in_form([_forward(gradient, trace.all_inputs, vector, trace.nested)])[0]


# --- functions of any output ---------------------------------------------------------------------------


def jvp(f: Function, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """The value of f and its derivative along a direction, by forward mode.

        jvp(f, x, v) = f(x), sum over j of d f(x) / d x[j] * v[j]

    Args:
        f: a function that gives numbers in any form.
        primals: the arguments of f as a tuple; anything but a tuple is the one argument.
        tangents: the direction, in the form of primals.

    Returns:
        (value, tangent), both in the form of what f gives.

    Raises:
        TypeError: f gives, or an argument holds, something that is no number.
        ValueError: tangents have not the form of primals.

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
    trace = Recording("jvp", f, args, range(len(args)))
    vector = [
        d
        for i, plan in enumerate(trace.plans)
        for d in _matching("jvp", f"the tangent of argument {i}", along[i], plan)
    ]
    trace.nested = trace.nested or any(isinstance(d, Value) for d in vector)
    value = trace.result
    return value, trace.put_back(_forward(trace.outputs, trace.all_inputs, vector, trace.nested))


def vjp(f: Function, *primals: Any) -> tuple[Any, Function]:
    """The value of f, and the function that pulls a weight on each output back to the arguments.

        value, pull = vjp(f, x);  pull(u)[j] = sum over i of u[i] * d f(x)[i] / d x[j]

    Args:
        f: a function that gives numbers in any form.
        primals: its arguments.

    Returns:
        (value, pull). pull takes a weight for each output, in the form of the value, and gives the derivative
        in the form of the argument; for several arguments a tuple. It may be called as often as you like.

    Raises:
        TypeError: f gives, or an argument holds, something that is no number.
        ValueError: pull gets weights of another form than the value.

    Example:
        >>> value, pull = ag.vjp(lambda x, y: [x * y, x + y], 3.0, 5.0)
        >>> value, pull([1.0, 0.0]), pull([0.0, 1.0])
        ([15.0, 8.0], (5.0, 3.0), (1.0, 1.0))
    """
    trace = Recording("vjp", f, primals, range(len(primals)))
    inside = trace.nested

    def pull(weights: Any) -> Any:
        numbers = _matching("vjp", "the weights", weights, trace.plan)
        trace.nested = inside or any(isinstance(u, Value) for u in numbers)
        with _recording():
            total = functions.dot(numbers, trace.outputs)
        found = trace.in_form(trace.gradient(total))
        return found[0] if len(found) == 1 else tuple(found)

    return trace.result, pull


def jacobian(f: Function, sparse: bool = False, argnum: int = 0) -> Function:
    """The function that computes the derivative of every output of f in every number of an argument.

        jacobian(f)(x)[i][j] = d f(x)[i] / d x[j]

    f runs once. Reverse or forward mode, one row at a time or many at once, is chosen by the shape of the
    problem and by how much of the graph a row depends on.

    Args:
        f: a function that gives numbers in any form.
        sparse: give a scipy.sparse.csr_array of shape (m, n) for m outputs and n numbers.
        argnum: which argument to differentiate in.

    Returns:
        A function of the arguments of f. For an array x its answer is an array of shape (shape of the
        output) + (shape of x), so that it serves as `jac=` of scipy.optimize.least_squares and root; for
        anything else it has the form of the output, with the derivative in the form of x for each number.
        Where arrays stand in sequences, each pair of arrays has its block: an array of both shapes.

    Raises:
        TypeError: f gives, or the argument holds, something that is no number.
        ImportError: sparse, and SciPy is not there.

    Example:
        >>> ag.jacobian(lambda v: [v[0] * v[1], v[0] + v[1]])(np.array([2.0, 3.0]))
        array([[3., 2.],
               [1., 1.]])
        >>> ag.jacobian(lambda v: [v[0] * v[1], v[0] + v[1]])([2.0, 3.0])
        [[3.0, 2.0], [1.0, 1.0]]
    """
    position = _position("jacobian", argnum)

    def derivatives(*args: Any, **options: Any) -> Any:
        trace = Recording("jacobian", f, args, (position,), options)
        return _matrix(trace, trace.outputs, trace.plan, sparse)

    return _named(derivatives, "jacobian", f)


def _matrix(trace: Recording, outputs: Sequence[Any], plan: TreeDef, sparse: bool) -> Any:
    """The Jacobian of outputs, laid out as `plan` says, in the one argument of a trace."""
    inputs, form = trace.inputs[0], trace.plans[0]
    if sparse:
        if trace.nested:
            raise TypeError(
                f"{trace.what}(sparse=True): these derivatives are part of a graph outside, and scipy.sparse "
                "holds numbers; leave sparse=False, or call it with numbers"
            )
        return jacobians.sparse(outputs, inputs, trace.what)
    if trace.nested:
        table = [[trace.settled(g) for g in trace.gradient(y)[0]] for y in outputs]
    else:
        table = jacobians.dense(outputs, inputs)
        if len(form) == 1 and form[0] is not NUMBER and (shape := _shape(plan)) is not None:
            return table.reshape(shape + form[0])
        table = table.tolist()
    if form == [NUMBER]:
        return unflatten(plan, [row[0] for row in table])
    if len(form) == 1 and not isinstance(form[0], Join) and (shape := _shape(plan)) is not None:
        return as_array([g for row in table for g in row], shape + form[0])
    return _blocks(plan, form, table)


def _blocks(plan: TreeDef, form: TreeDef, table: Sequence[Sequence[Any]]) -> Any:
    """The rows of a matrix in the form of the outputs, each number of them the form of the argument.

    Where an array of outputs meets an array of the argument their block is one array, of shape (shape of the
    outputs) + (shape of the argument); where it meets a sequence of numbers, nested lists of that.
    """
    arrays = any(step is not NUMBER and not isinstance(step, Join) for step in form)

    def block(step: Any, where: slice) -> Any:
        rows = table[where]
        if step is NUMBER:
            return unflatten(form, rows[0])
        return _joined(form, rows, step) if arrays else as_array([unflatten(form, row) for row in rows], step).tolist()

    return assembled(plan, block)


def _joined(form: TreeDef, rows: Sequence[Sequence[Any]], shape: tuple[int, ...]) -> Any:
    """An array of outputs meets arrays, alone or in a sequence: a block in the place of each."""

    def block(step: Any, where: slice) -> Any:
        return as_array([g for row in rows for g in row[where]], shape + (() if step is NUMBER else step))

    return assembled(form, block)


def _shape(plan: TreeDef) -> tuple[int, ...] | None:
    """The shape that things laid out by a plan have as an array; None if they are ragged."""
    shapes: list[tuple[int, ...]] = []
    for step in plan:
        if isinstance(step, Join):
            inner = shapes[len(shapes) - step.size :]
            if any(shape != inner[0] for shape in inner):
                return None
            shapes[len(shapes) - step.size :] = [(step.size, *(inner[0] if inner else ()))]
        else:
            shapes.append(() if step is NUMBER else step)
    return shapes[0]


def _is_arguments(primals: Any) -> bool:
    return isinstance(primals, tuple) and not hasattr(primals, "_fields")


def _takes(f: Function, count: int) -> bool:
    """Whether f can be called with so many arguments; yes, if it does not tell."""
    try:
        inspect.signature(f).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # a function of C without a signature
        return True
    return True


def _matching(what: str, name: str, x: Any, plan: TreeDef) -> list[Any]:
    """The numbers of x, which must have the form of a plan (an array may stand for a flat sequence, and back)."""
    numbers, form = flatten(x, f"{what}: {name}")
    if form != plan and (_shape(form) is None or _shape(form) != _shape(plan)):
        raise ValueError(
            f"{what}: {name} has {len(numbers)} numbers in the form {_form(form)}; it must have the form {_form(plan)}"
        )
    return numbers


def _form(plan: TreeDef) -> str:
    shape = _shape(plan)
    return "of nested sequences of different lengths" if shape is None else "of one number" if not shape else str(shape)


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
