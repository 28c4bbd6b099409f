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
outside, is `nested`: it answers in Values, so that the outer one can differentiate the answer. It differentiates with
respect to leaves of its own, never the outer ones: otherwise d/dx [x * d/dy (x + y)] at y = x would be 2 and not 1.
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
from autograd_lite.engine import functions, graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import describe, explain_numpy
from autograd_lite.engine.modes import changed_mode, mode
from autograd_lite.engine.trees import Shape, TreeDef, as_array, flatten, unflatten
from autograd_lite.engine.value import Value

Function = Callable[..., Any]


def _recording() -> Any:
    """Operations are recorded within this block, even inside `no_grad`."""
    return nullcontext() if mode.recording else changed_mode(recording=True)


class _Open(threading.local):
    """The leaves of the transforms that are running in this thread, innermost last."""

    leaves: tuple[set[Value], ...] = ()


_open = _Open()


@contextmanager
def _running(leaves: Sequence[Value]) -> Iterator[None]:
    """While f runs, transforms inside it know these leaves, and operations are recorded."""
    before = _open.leaves
    _open.leaves = (*before, set(leaves))
    try:
        with _recording():
            yield
    finally:
        _open.leaves = before


class Recording:
    """One run of a function on new leaves.

    Attributes:
        treedefs, inputs: for each differentiated argument its treedef, and its leaves as Values.
        treedef, outputs: the treedef of the result, and its leaves: Values, and floats where no input matters.
        nested: whether the answer must be in Values, since it is part of a graph outside.
    """

    outputs: Any
    treedef: Any

    def __init__(
        self, what: str, f: Function, args: Sequence[Any], argnums: Sequence[int], options: dict[str, Any] | None = None
    ) -> None:
        if not callable(f):
            raise TypeError(f"{what}: f must be a function, got {describe(f)}")
        self.what = what
        self.treedefs: list[TreeDef] = []
        self.inputs: list[list[Value]] = []
        self.nested: bool = False
        given = list(args)
        taken: dict[int, int] = {}  # the position of an argument, and how argnum named it
        for i in argnums:
            if not -len(args) <= i < len(args):
                raise TypeError(f"{what}: there is no argument {i}; f was called with {len(args)}")
            # named twice, as by (0, -2) of two arguments, each would get a share of the gradient and neither the whole
            before = taken.setdefault(i % len(args), i)
            if len(taken) <= len(self.treedefs):
                also = "twice" if before == i else f"as {before} and as {i}"
                raise ValueError(f"{what}: argnum names argument {i % len(args)} {also}; name each argument once")
            leaves, treedef = flatten(args[i], f"{what}: argument {i}")
            inputs = self._new_leaves(leaves)
            self.treedefs.append(treedef)
            self.inputs.append(inputs)
            given[i] = unflatten(treedef, inputs) if inputs else args[i]  # an empty array keeps its dtype
        with _running(self.all_inputs):
            try:
                result = f(*given, **(options or {}))
            except (TypeError, AttributeError) as error:
                explain_numpy(error)
                raise
        self.outputs, self.treedef = flatten(result, f"{what}: the result of f")
        # f may reach an outer transform's leaves by a closure, though its arguments hold none
        if _open.leaves and not self.nested:
            outside = set().union(*_open.leaves)
            values = [y for y in self.outputs if isinstance(y, Value)]
            self.nested = any(node in outside for node in graph.toposort(*values))

    def _new_leaves(self, numbers: Sequence[Any]) -> list[Value]:
        """Values that this transform alone differentiates with respect to; one for an outer Value is 1 times that."""
        if not any(isinstance(x, Value) for x in numbers):
            return [Value(x) for x in numbers]
        self.nested = True
        with _recording():
            return [x * 1.0 if isinstance(x, Value) else Value(x) for x in numbers]

    @property
    def all_inputs(self) -> list[Value]:
        """The leaves of all differentiated arguments."""
        return [x for some in self.inputs for x in some]

    @property
    def result(self) -> Any:
        """What f gave: Values inside a graph, numbers outside."""
        return self.like_output(self.outputs)

    def like_output(self, numbers: Sequence[Any]) -> Any:
        """A number for each output, in the form of what f gave."""
        return unflatten(self.treedef, [self.as_answer(y) for y in numbers])

    def like_input(self, numbers: Sequence[Sequence[Any]]) -> list[Any]:
        """A number for each input, in the form of the differentiated arguments, argument by argument."""
        return [
            unflatten(treedef, [self.as_answer(x) for x in some])
            for treedef, some in zip(self.treedefs, numbers, strict=True)
        ]

    def as_answer(self, x: Any) -> Any:
        """A number of the answer: a Value inside a graph, a float outside."""
        if self.nested:
            return x if isinstance(x, Value) else Value(x)
        return x._f if isinstance(x, Value) else x

    def scalar(self) -> Any:
        """The one number that f gave, by itself or in an array, as np.sum(keepdims=True) gives it."""
        if not self.treedef.is_leaf and not (self.treedef.is_array and len(self.outputs) == 1):
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
            same thing with a Value for each number (an array becomes an `ag.array` of the same
            shape); other arguments reach it as they are.
        argnum: which argument, or a tuple of several.

    Returns:
        A function of the arguments of f. Its answer has the form of the argument: a float for a float, an array
        of the same shape for an array, nested sequences for nested sequences; for a tuple of arguments a tuple.
        It is in floats, or in Values where an argument holds Values or another transform is at work outside.
        So grad(grad(f)) is the second derivative, and grad(f) serves as `jac=` of scipy.optimize.minimize.

    Raises:
        TypeError: f gives more than one number, or an argument holds something that is not a number.
        ValueError: argnum names an argument twice.

    Example:
        >>> ag.grad(lambda x: x ** 3)(2.0)
        12.0
        >>> ag.grad(ag.grad(lambda x: x ** 3))(2.0)
        12.0
        >>> ag.grad(lambda v: ag.sum(v * v))(np.array([1.0, 2.0]))
        array([2., 4.])
    """
    return _gradient("grad", f, argnum, with_value=False)


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
    return _gradient("value_and_grad", f, argnum, with_value=True)


def _gradient(what: str, f: Function, argnum: Any, with_value: bool) -> Function:
    argnums = _argnums(what, argnum)

    def derivative(*args: Any, **options: Any) -> Any:
        run = Recording(what, f, args, argnums, options)
        y = run.scalar()
        found = run.like_input(run.gradient(y))
        gradient = found[0] if isinstance(argnum, int) else tuple(found)
        return (run.as_answer(y), gradient) if with_value else gradient

    return _named(derivative, what, f)


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
        ImportError: sparse, and SciPy is not installed.

    Example:
        >>> ag.hessian(lambda v: v[0] ** 2 * v[1])(np.array([1.0, 2.0]))
        array([[4., 2.],
               [2., 0.]])
    """
    position = _position("hessian", argnum)

    def second(*args: Any, **options: Any) -> Any:
        run = Recording("hessian", f, args, (position,), options)
        (gradient,) = run.gradient(run.scalar(), as_graph=True)
        return _matrix(run, gradient, run.treedefs[0], sparse)

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
        ValueError: v does not have the form of x.

    Example:
        >>> ag.hvp(lambda x: x[0] ** 2 * x[1], [1.0, 2.0], [1.0, 0.0])
        [4.0, 2.0]
    """
    if _is_arguments(x) and not _takes(f, 1) and _takes(f, len(x)):
        raise TypeError(
            f"hvp: f must take one argument, and this one takes {len(x)}; give it the one sequence: "
            "ag.hvp(lambda x: f(*x), x, v)"
        )
    run = Recording("hvp", f, (x,), (0,))
    vector = _matching("hvp", "v", v, run.treedefs[0])
    run.nested = run.nested or any(isinstance(d, Value) for d in vector)
    (gradient,) = run.gradient(run.scalar(), as_graph=True)
    return run.like_input([_forward(gradient, run.all_inputs, vector, run.nested)])[0]


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
    run = Recording("jvp", f, args, range(len(args)))
    vector = [
        d
        for i, treedef in enumerate(run.treedefs)
        for d in _matching("jvp", f"the tangent of argument {i}", along[i], treedef)
    ]
    run.nested = run.nested or any(isinstance(d, Value) for d in vector)
    value = run.result
    return value, run.like_output(_forward(run.outputs, run.all_inputs, vector, run.nested))


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
        TypeError: f gives, or an argument holds, something that is not a number.
        ValueError: pull gets weights of another form than the value.

    Example:
        >>> value, pull = ag.vjp(lambda x, y: [x * y, x + y], 3.0, 5.0)
        >>> value, pull([1.0, 0.0]), pull([0.0, 1.0])
        ([15.0, 8.0], (5.0, 3.0), (1.0, 1.0))
    """
    run = Recording("vjp", f, primals, range(len(primals)))
    inside = run.nested

    def pull(weights: Any) -> Any:
        numbers = _matching("vjp", "the weights", weights, run.treedef)
        run.nested = inside or any(isinstance(u, Value) for u in numbers)
        with _recording():
            total = functions.dot(numbers, run.outputs)
        found = run.like_input(run.gradient(total))
        return found[0] if len(found) == 1 else tuple(found)

    return run.result, pull


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
        TypeError: f gives, or the argument holds, something that is not a number.
        ImportError: sparse, and SciPy is not installed.

    Example:
        >>> ag.jacobian(lambda v: [v[0] * v[1], v[0] + v[1]])(np.array([2.0, 3.0]))
        array([[3., 2.],
               [1., 1.]])
        >>> ag.jacobian(lambda v: [v[0] * v[1], v[0] + v[1]])([2.0, 3.0])
        [[3.0, 2.0], [1.0, 1.0]]
    """
    position = _position("jacobian", argnum)

    def derivatives(*args: Any, **options: Any) -> Any:
        run = Recording("jacobian", f, args, (position,), options)
        return _matrix(run, run.outputs, run.treedef, sparse)

    return _named(derivatives, "jacobian", f)


def _matrix(run: Recording, outputs: Sequence[Any], outer: TreeDef, sparse: bool) -> Any:
    """The Jacobian of outputs, which have the form `outer`, in the one argument of a run."""
    inputs, inner = run.inputs[0], run.treedefs[0]
    if sparse:
        if run.nested:
            raise TypeError(
                f"{run.what}(sparse=True): these derivatives are part of a graph outside, and scipy.sparse "
                "holds numbers; leave sparse=False, or call it with numbers"
            )
        return jacobians.sparse(outputs, inputs, run.what)
    # rows that line up, in one array: scipy.optimize takes a matrix, whatever sequence f gave
    shape = outer.shape if inner.is_array else None
    if run.nested:
        table = [[run.as_answer(g) for g in run.gradient(y)[0]] for y in outputs]
    else:
        matrix = jacobians.dense(outputs, inputs)
        if shape is not None:
            return matrix.reshape(shape + (inner.shape or ()))
        table = matrix.tolist()
    return _blocks(outer if shape is None else TreeDef([shape]), inner, table)


def _blocks(outer: TreeDef, inner: TreeDef, table: Sequence[Sequence[Any]]) -> Any:
    """A matrix in the form of the outputs, each number of them the form of the argument.

    Where an array of outputs meets an array of the argument their block is one array, of shape (shape of the
    outputs) + (shape of the argument); where it meets a sequence of numbers, nested lists of that.
    """
    lists = not (inner.is_leaf or inner.has_arrays)

    def blocks_of(outputs: Shape, rows: slice) -> Any:
        if not outputs:  # one output
            return unflatten(inner, table[rows.start])
        if lists:
            return as_array([unflatten(inner, row) for row in table[rows]], outputs).tolist()
        return inner.build(
            lambda inputs, columns: as_array([g for row in table[rows] for g in row[columns]], outputs + inputs)
        )

    return outer.build(blocks_of)


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
    if given != treedef and (given.shape is None or given.shape != treedef.shape):
        raise ValueError(
            f"{what}: {name} has {len(leaves)} numbers in the form {_form(given)}; "
            f"it must have the form {_form(treedef)}"
        )
    return leaves


def _form(treedef: TreeDef) -> str:
    shape = treedef.shape
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
