"""Program: a graph of scalars as a short list of array instructions, and `fold`, which makes it.

What a structure needs to run (its instructions, the plans of what is asked of it, runners with their buffers) is a
Folded, and programs of one structure share it. A Program adds what belongs to one graph: the
parameters and the constants.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from copy import copy
from functools import partial
from operator import index
from typing import Any, TypeVar

import numpy as np

from autograd_lite.engine.atomic import add_gradients, set_numbers
from autograd_lite.engine.checks import describe, whole
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.engine.modes import mode, notify_read, tracing
from autograd_lite.engine.trees import TreeDef, unflatten
from autograd_lite.engine.value import Value
from autograd_lite.folding import arguments
from autograd_lite.folding.backends import AUTO, REFERENCE, Choice, Leaves, Refused, checked_backend, why_not
from autograd_lite.folding.backends import backend as backend_named
from autograd_lite.folding.derived import Derivative
from autograd_lite.folding.differentiating import Differentiable, Matrix
from autograd_lite.folding.forms import Layout
from autograd_lite.folding.opening import opened
from autograd_lite.folding.plan import Plan
from autograd_lite.folding.structures import Folded, Gradients, Ready, Use, Wanted, cache
from autograd_lite.names import BackendName

Array = Any

MOST_APART = 8
"""Results up to which each is an output of its own."""

Direct = Callable[[Any, tuple[Any, ...]], "tuple[float, Array] | None"]
"""(theta, arguments) -> (loss, gradient), or None where it is not sure: see native/runner.py."""


class GuardChanged(RuntimeError):
    """A branch that a trace took would go the other way, or a number that it was given has changed."""


def checked_dtype(dtype: Any, what: str) -> Any:
    """The type that a program computes in: float64 or float32."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in (np.float64, np.float32):
        raise TypeError(f"{what}: dtype must be float64 or float32, got {describe(dtype)}")
    return found


def checked_threads(threads: Any, who: str) -> int | None:
    """How many threads a program may use; None for as many as there are cores."""
    return None if threads is None else whole(threads, f"{who}: threads")


def checked_theta(theta: Any, count: int) -> Array:
    """The parameters as a vector of this many numbers."""
    vector = arguments.numbers(theta, "theta")
    if vector.shape != (count,):
        raise ValueError(f"theta: expected a vector of {count} numbers, got shape {vector.shape}")
    return vector


def more_parameters(now: int, before: int) -> ValueError:
    """What is raised where theta has become longer."""
    return ValueError(
        "theta: this call reaches parameters that none before it has reached, so that theta is a vector of "
        f"{now} numbers now, in place of {before}: take program.theta again, or give compile params=, so that they "
        "are known from the start"
    )


def _checked_argnum(argnum: Any, count: int, who: str = "value_and_grad") -> int:
    try:
        if isinstance(argnum, bool):
            raise TypeError
        place = index(argnum)
    except TypeError:
        raise TypeError(f"{who}: argnum must be a whole number or a tuple of them, got {describe(argnum)}") from None
    if not -count <= place < count:
        raise IndexError(f"{who}: argnum is {place}, the program has {count} arguments")
    return place % count


T = TypeVar("T")

Task = Callable[["Program", Sequence[Any], Any], T]
"""What a method does with a program: (program, arguments, theta)."""


class Executable(Differentiable):
    """What can be called with numbers, for values and gradients: a Program, or a Compiled, which has several."""

    params: Any

    @abstractmethod
    def _with_program(
        self, task: Task[T], args: Sequence[Any], theta: Any = None, options: dict[str, Any] | None = None
    ) -> T:
        """What `task` gives, of the program that fits the arguments and keyword arguments."""

    @property
    def theta(self) -> Array:
        """The parameters as one vector of float64; assign to write them back, frozen ones too."""
        params = self.params
        if tracing:
            _look_at_all(params, "theta")
        return np.fromiter((p._f for p in params), float, len(params))

    @theta.setter
    def theta(self, theta: Any) -> None:
        params = self.params
        set_numbers(params, checked_theta(theta, len(params)).tolist())

    # -- use

    def __call__(self, /, *args: Any, **options: Any) -> Any:
        """The value, or the values in the form in which the function gave them; the mean over a batch.

        Args:
            args: one for each input, of the shape it was made with (and a leading batch axis with batch=True).
            options: keyword arguments, of a compiled function.

        Raises:
            TypeError, ValueError: the number of arguments or a shape is wrong.
        """
        return self._with_program(values_of, args, None, options)

    def rows(self, /, *args: Any, **options: Any) -> Any:
        """The values for each row of a batch, in place of their mean: `vmap` of the function.

        Args:
            args, options: as for a call.

        Returns:
            What a call gives, with an array of shape (rows, ...) for each number or array.

        Raises:
            RuntimeError: the program has no batch axis.

        Example:
            >>> slope = ag.compile(ag.grad(lambda x: x ** 3), batch=True)
            >>> slope.rows([1.0, 2.0])
            array([ 3., 12.])
        """

        def task(program: Program, args: Sequence[Any], _: Any) -> Any:
            if not program._batch:
                raise RuntimeError("rows: the program needs a batch axis (batch=True)")
            found = program._run(program.theta, args, None, each=True)[: program.results]
            return found[0] if program._single else program.in_form(found)

        return self._with_program(task, args, None, options)

    def value_and_grad(self, /, *args: Any, argnum: Any = 0, argnums: Any = None, **options: Any) -> tuple[float, Any]:
        """The value and its derivative in an argument.

        Args:
            args, options: as for a call.
            argnum: which argument, or a tuple of several.
            argnums: another name of argnum.

        Returns:
            (value, gradient), the gradient of the form of the argument (an array, of a list of numbers); of several
            arguments a tuple. With a batch the value is the mean.

        Raises:
            TypeError: argnum is not a whole number, or an argument does not consist of numbers.
            IndexError: there is no such argument.
        """
        chosen = argnum if argnums is None else argnums

        def task(program: Program, args: Sequence[Any], _: Any) -> tuple[float, Any]:
            program._refuse_several("value_and_grad")
            several = isinstance(chosen, (tuple, list))
            places = [_checked_argnum(k, program.arguments) for k in (chosen if several else [chosen])]
            leaves = tuple(dict.fromkeys(leaf for k in places for leaf in program.leaves_of_argument(k)))
            value, gradients, rows = program.gradients(args, leaves)
            found = [program.as_argument(k, gradients, rows) for k in places]
            return value, tuple(found) if several else found[0]

        return self._with_program(task, args, None, options)

    def loss_and_grad(self, /, theta: Any, *args: Any, **options: Any) -> tuple[float, Array]:
        """The value and its gradient at parameters given as a vector; no Value is read or changed.

        Where a compiled function is not run by a program (see `ag.compile`), its parameters have the numbers of theta
        for the length of the call.

        Args:
            theta: the parameters, in the order of `params`.
            args, options: as for a call.

        Returns:
            (value, gradient), the gradient a vector like theta.

        Raises:
            RuntimeError: the program has no parameters.
        """
        return self._with_program(_loss_and_grad, args, theta, options)

    def rows_and_grad(self, /, theta: Any, *args: Any, **options: Any) -> tuple[list[Array], Array]:
        """Every result for every row of a batch, and the gradient of the mean of the first.

        Args:
            theta: the parameters, in the order of `params`.
            args, options: as for a call, with a batch axis.

        Returns:
            (arrays of shape (rows,), one for each result; the gradient, a vector like theta).

        Raises:
            RuntimeError: the program has no batch axis, or no parameters.
        """

        def task(program: Program, args: Sequence[Any], theta: Any) -> tuple[list[Array], Array]:
            if not program._batch or not program.params:
                raise RuntimeError("rows_and_grad: the program needs a batch axis (batch=True) and parameters")
            found = program._run(checked_theta(theta, len(program.params)), args, 0, each=True)
            return found[: program.results], program.of_params(found[-1])

        return self._with_program(task, args, theta, options)

    def backward(self, /, *args: Any, **options: Any) -> float:
        """Compute the value, and add its gradient to the `.grad` of the parameters: all of them or none.

        Args:
            args, options: as for a call.

        Returns:
            The value.

        Raises:
            RuntimeError: the program has no parameters.
        """

        def task(program: Program, args: Sequence[Any], _: Any) -> float:
            if not program.params:
                raise RuntimeError("backward: the program has no parameters to put gradients into")
            program._refuse_several("backward")
            value, *_, gradient = program._run(program.theta, args, 0)
            add_gradients(program.params, program.of_params(gradient).tolist())
            return float(value[0])

        return self._with_program(task, args, None, options)


class Program(Executable):
    """A computation folded into array instructions; `ag.fold` and `ag.compile` make it.

    Call it for the value (or values), or use `value_and_grad`, `backward`, `loss_and_grad`. Printing it shows the
    instructions. It can be pickled, and run in several threads at once.

    Example:
        >>> w = ag.Parameter(3.0, name="w")
        >>> program = ag.fold(w * w + w)
        >>> program(), program.backward(), w.grad
        (12.0, 12.0, 7.0)
    """

    params: list[Value]

    def __init__(
        self,
        folded: Folded,
        params: Sequence[Value],
        constants: Array,
        shapes: Sequence[tuple[int, ...]],
        single: bool,
        batch: bool = False,
        dtype: Any = float,
        backend: str = AUTO,
        threads: int | None = None,
    ) -> None:
        self._folded, self.params, self._constants = folded, list(params), constants
        self._shapes, self._single, self._batch = list(shapes), single, batch
        self._how = dtype, backend, threads
        self._ready: dict[Wanted, Ready] = {}
        self._matrices: dict[Derivative, Matrix] = {}
        self._direct: dict[int, Direct | None] = {}
        self.guards: list[tuple[str, bool]] = []
        """What the last roots must come out as for the trace to hold; see tracing.py."""
        self.captured: list[Value] = []
        """Values among the constants whose numbers are read anew at each call: the last of them."""
        self.watched: list[tuple[Value, float]] = []
        """Values of which Python has seen the number while it traced: the program holds for that number."""
        self.outside: list[Value] = []
        """Of a compiled function: results of operations that it has from elsewhere; constants come from below them."""
        self.layout: Layout | None = None
        """Of a compiled function: where the numbers of its arguments stand in the inputs."""
        self.form: TreeDef | None = None
        """Of a compiled function: that of its results."""
        self.exact: bool = False
        """Whether a derivative in a list is a list, and not an array."""
        self.scalars: int = 0
        """Of a compiled function: how many its trace had."""
        self._unasked = False

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_ready": {}, "_direct": {}, "_matrices": {}}

    def _with_program(
        self, task: Task[T], args: Sequence[Any], theta: Any = None, options: dict[str, Any] | None = None
    ) -> T:
        if options:
            raise TypeError(f"program: a folded graph has no names for its inputs, got {next(iter(options))!r}")
        return task(self, args, theta)

    def loss_and_grad(self, /, theta: Any, *args: Any, **options: Any) -> tuple[float, Array]:
        """See `Executable.loss_and_grad`."""
        call = self._direct.get(0)
        if call is not None and not FLOATS["special"] and not options:
            found = call(theta, args)
            if found is not None:
                return found
        return super().loss_and_grad(theta, *args, **options)

    loss_and_grad.__doc__ = Executable.loss_and_grad.__doc__

    def value_and_grad(self, /, *args: Any, argnum: Any = 0, argnums: Any = None, **options: Any) -> tuple[float, Any]:
        """See `Executable.value_and_grad`."""
        if argnum.__class__ is int and argnum >= 0 and argnums is None and not options:
            call = self._direct.get(argnum + 1)
            if call is not None and not FLOATS["special"]:
                found = call(None, args)
                if found is not None:
                    shape = self._shapes[argnum]
                    return (
                        found if len(shape) == 1 else (found[0], found[1].reshape(shape) if shape else found[1].item())
                    )
        return super().value_and_grad(*args, argnum=argnum, argnums=argnums, **options)

    value_and_grad.__doc__ = Executable.value_and_grad.__doc__

    def direct(self, wanted: int) -> Direct | None:
        """What computes the value and this gradient with nothing around it; None where that is not for this program."""
        if wanted not in self._direct:
            self._direct[wanted] = None
            live = self.guards or self.watched or self.captured or (wanted and (self.params or self._batch))
            live = live or (self.layout is not None and not self.layout.of_arrays)
            ready = None if live or not self._single else self._made_ready(wanted)
            if ready is not None and ready.use.dtype == float:
                make = getattr(backend_named(ready.choice.name), "direct", None)
                if make is not None:
                    with suppress(Refused):
                        self._direct[wanted] = make(ready.prepare(), self._constants, self._shapes, self._batch)
        return self._direct[wanted]

    # -- binding

    def _leaves(self, theta: Array, args: Sequence[Any]) -> tuple[Leaves, int | None]:
        """What the leaves are bound to, and the length of the batch."""
        if len(args) != len(self._shapes):
            raise TypeError(f"program: takes {len(self._shapes)} arguments, got {len(args)}")
        if self.watched and _bits([x._f for x, _ in self.watched]) != _bits([seen for _, seen in self.watched]):
            raise GuardChanged("a number that Python has read while the function was traced is another one now")
        if self.captured:
            if tracing:
                _look_at_all(self.captured, "a program")
            now = np.fromiter((x._f for x in self.captured), float, len(self.captured))
            if now.tobytes() != self._constants[-len(now) :].tobytes():
                self._constants = np.concatenate([self._constants[: -len(now)], now])
        if self.layout is not None and self.layout.size:
            theta = np.concatenate([theta, args.shared])  # type: ignore[attr-defined]
        if not args:
            return Leaves(theta, self._constants), None
        inputs = []
        rows: int | None = None
        for k, (arg, shape) in enumerate(zip(args, self._shapes, strict=True)):
            array = arguments.numbers(arg, "program: argument", k)
            got = array.shape
            if self._batch:
                if rows is not None and rows != got[0]:
                    raise ValueError(f"program: argument {k} has {got[0]} rows, the arguments before it {rows}")
                rows = got[0]
                inputs.append(array)
            else:
                if got != shape:
                    raise ValueError(f"program: argument {k} must have shape {shape}, got {got}")
                inputs.append(array.ravel())
        return Leaves(theta, self._constants, tuple(inputs)), rows

    def _run(self, theta: Array, args: Sequence[Any], wanted: Wanted, each: bool = False) -> list[Array]:
        """The roots, averaged over a batch or (`each`) for each row of it, and the gradients that are wanted."""
        leaves, rows = self._leaves(theta, args)
        ready = self._ready.get(wanted) or self._made_ready(wanted)
        means = 1 if ready.use.together else self.results
        found = self._folded.run(ready, leaves, rows, 0 if each or rows is None else means)
        if self.guards and not self._unasked:
            self._check_guards(found, means)
        if each and rows is not None and ready.use.together:
            found[:1] = list(found[0]) if found[0].ndim > 1 else [np.full(rows, x) for x in found[0].tolist()]
        elif each and rows is not None:  # a result that is the same for every row has no batch axis
            found[: self.results] = [x[0] if x.ndim > 1 else np.full(rows, x[0]) for x in found[: self.results]]
        self._refuse_if_anomalous(leaves, found)
        return found

    def _refuse_if_anomalous(self, leaves: Leaves, found: Sequence[Array]) -> None:
        if mode.on_adjoint is not None:
            _refuse_anomaly(leaves, found)

    def _checked_theta(self, theta: Any) -> Array:
        return checked_theta(theta, len(self.params))

    def _without_arguments(self) -> bool:
        return not self._shapes

    def _check_guards(self, found: list[Array], first: int) -> None:
        """GuardChanged if a branch of the trace would go the other way; a NaN compares as false, and is true."""
        for k, (name, outcome) in enumerate(self.guards, first):
            holds = found[k] != 0.0 if name in ("bool", "not_equal") else found[k] == 1.0
            if not (holds == outcome).all():
                raise GuardChanged("a branch depends on an argument or a parameter")

    def at_its_trace(self) -> Program:
        """The same program for the very numbers of its trace, whose branches are right there without being asked.

        Its own rounding may answer another way where two numbers are equal but for the last digits.
        """
        program = copy(self)
        program._unasked, program._matrices = True, {}
        return program

    @property
    def free(self) -> bool:
        """Whether the backend was free to be chosen."""
        return bool(self._how[1] == AUTO)

    # -- the form of arguments and results

    @property
    def arguments(self) -> int:
        """How many arguments are given by position."""
        return len(self._shapes) if self.layout is None else self.layout.count

    def leaves_of_argument(self, k: int) -> list[int]:
        """The leaf instructions with the numbers of an argument, and of no other: 0 for what stands behind theta."""
        if self.layout is None:
            return [k + 1]
        found = self.layout.leaves(k)
        if not found and self.layout.forms[k].outer is None and not self.layout.forms[k].parts:
            raise TypeError(f"argument {k} is static or None: there is no derivative in it")
        return found

    def gradients(
        self, args: Sequence[Any], leaves: tuple[int, ...], root: int = 0, theta: Any = None
    ) -> tuple[float, dict[int, Array], int | None]:
        """(a result, its gradients by leaf instruction, the rows)."""
        theta = self.theta if theta is None else theta
        wanted: Wanted = leaves[0] if root == 0 and len(leaves) == 1 else Gradients(root, leaves)
        found = self._run(theta, args, wanted)
        if wanted.__class__ is int and wanted not in self._direct:
            self.direct(wanted)
        rows = len(args[0]) if self._batch and len(args) else None
        return float(found[root][0]), dict(zip(leaves, found[len(found) - len(leaves) :], strict=True)), rows

    def as_argument(self, k: int, found: dict[int, Array], rows: int | None) -> Any:
        """The derivative in an argument, in the form of it. See `Layout.pieces`."""
        if self.layout is not None:
            return self.layout.derivative(k, found, rows, self.exact)
        gradient, shape = found[k + 1], self._shapes[k]
        return gradient.reshape(shape) if shape else float(gradient[0])

    def of_params(self, gradient: Array) -> Array:
        """Of a gradient in theta the part that belongs to the parameters."""
        return gradient[: len(self.params)] if self.layout is not None and self.layout.size else gradient

    def in_form(self, found: Sequence[Any]) -> Any:
        """Results in the form in which the function gave them: numbers, Values, or an array over rows for each."""
        if self.form is None:
            return list(found)
        if getattr(found[0], "ndim", 0) == 0:
            return unflatten(self.form, found)
        return self.form.build(
            lambda shape, at: np.stack(found[at], -1).reshape(-1, *shape) if shape else found[at.start],
            lambda join, items: join.derivative(items),
        )

    @property
    def results(self) -> int:
        """How many values a call computes."""
        return len(self._folded.roots) - len(self.guards)

    @property
    def constants(self) -> Array:
        """The numbers that are neither parameters nor inputs, as an array."""
        return self._constants.copy()

    def _refuse_several(self, what: str) -> None:
        """TypeError if there is more than one result."""
        if not self._single:
            raise TypeError(f"{what}: the program has {self.results} results; a gradient needs one")

    # -- elsewhere

    def jax(self, argnum: int | None = None) -> Callable[..., Any]:
        """A pure function of JAX, (theta, *args) -> (value, gradient), for `jax.jit`, `vmap` and sharding.

        Without parameters it is a function of the arguments alone. Numbers that are neither parameters nor arguments
        are those of now. Where a branch that the trace took would go the other way, value and gradient are NaN. A sum
        that overflows on the way to a finite result stays infinite.

        Args:
            argnum: the argument in which the gradient is; None for the parameters, and the first argument if there are
                none.

        Raises:
            TypeError: the program has several results.
            RuntimeError: JAX is not installed, or is set up without the 64-bit numbers of a float64 program.

        Example:
            >>> w = [ag.Parameter(0.5), ag.Parameter(-1.0)]
            >>> program = ag.fold(ag.tanh(w[0] * w[1]), params=w, dtype=np.float32)
            >>> value, gradient = jax.jit(program.jax())(program.theta)  # doctest: +SKIP
        """
        place = self._differentiated_in("jax", argnum)
        if why_not("jax"):
            raise RuntimeError(f"jax: {why_not('jax')}")
        from autograd_lite.folding.backends import jax_backend

        try:
            jax_backend.check_dtype(self._how[0])
        except Refused as error:
            raise RuntimeError(f"jax: {error}") from None
        plan, constants = self._folded.plan(place, True), self._constants.copy()
        function = jax_backend.pure(
            plan, self._how[0], constants, self._shapes, self._batch, self.guards, place - 1 if place else None
        )
        return function if self.params else partial(function, np.zeros(0))

    def source(self, language: str, *args: Any, argnum: int | None = None, gradient: bool = True) -> str:
        """The program as a file in another language: value and gradient, test vectors and a self-test, nothing else.

        The file needs the mathematics of its language alone. What holds of it is in its head: double precision, the
        arguments flat and row after row, a batch as a loop over its rows, the constants and branches of now.

        Args:
            language: "c" (C99), "js", "python" or "numpy".
            args: arguments for the test vectors, of a batch up to three rows; by default numbers between 0 and 1.
            argnum: the argument in which the gradient is; None for the parameters, and the first argument if there are
                none.
            gradient: whether there is one; of several results there is none.

        Returns:
            The text of the file.

        Raises:
            ValueError: there is no such language, or the program has a user-defined primitive in it.

        Example:
            >>> w = ag.Parameter(0.5)
            >>> text = ag.fold(ag.tanh(w), params=[w]).source("c")
            >>> "double loss_and_grad(const double *theta, double *gradient)" in text
            True
        """
        from autograd_lite.folding import export

        if language not in export.LANGUAGES:
            known = ", ".join(map(repr, export.LANGUAGES))
            raise ValueError(f"source: the language must be one of {known}, got {language!r}")
        some = gradient and self._single and bool(self.params or self._shapes)
        place = self._differentiated_in("source", argnum) if some else None
        theta = now = self.theta
        arrays = self._examples() if not args and self._shapes else list(args)
        leaves, _ = self._leaves(theta, arrays)
        folded = self._folded

        def run(theta: Array, args: Sequence[Array]) -> tuple[list[float], Array] | None:
            leaves, rows = self._leaves(theta, [x.reshape(-1, *shape) if self._batch else x.reshape(shape)
                                                for x, shape in zip(args, self._shapes, strict=True)])  # fmt: skip
            ready = folded.ready(Use(place, float, REFERENCE, None))
            found = folded.run(ready, leaves, rows, 0 if rows is None else self.results)
            if self.guards:
                try:
                    self._check_guards(found, self.results)
                except GuardChanged:
                    if theta is now:
                        raise
                    return None
            slope = np.zeros(0) if place is None else found[-1]
            return [float(x[0]) for x in found[: self.results]], slope.T

        slope_in = None if place is None else f"x{place - 1}" if place else "theta"
        return export.source(
            language, folded.plan(place, True), self._constants.copy(), theta, self._shapes, leaves.inputs,
            self.results, self._single, slope_in, self.guards, self._batch, run,
        )  # fmt: skip

    def _examples(self) -> list[Array]:
        """Arguments to try: numbers between 0 and 1, in the domain of most functions; three rows of a batch."""
        rng = np.random.default_rng(0)
        return [rng.uniform(0.1, 0.9, (3, *shape) if self._batch else shape) for shape in self._shapes]

    def _differentiated_in(self, what: str, argnum: int | None) -> int:
        """The leaf in which a gradient is: 0 for theta, 1 for the first argument."""
        self._refuse_several(what)
        if self.layout is not None and not (self.layout.plain and not self.layout.size):
            raise RuntimeError(
                f"{what}: the arguments of this program are containers or have no batch axis, which only Python can "
                "take apart; compile a function of numbers and arrays"
            )
        if argnum is None and self.params:
            return 0
        if not self._shapes:
            raise RuntimeError(f"{what}: the program has neither parameters nor arguments")
        return _checked_argnum(argnum or 0, len(self._shapes), what) + 1

    # -- how it shows itself

    def plan(self, gradient: bool = True) -> Plan:
        """The instructions, with those of the gradient in the parameters (without any, in the first input)."""
        return self._folded.plan(self._gradient_in() if gradient else None, False)

    def _gradient_in(self) -> int | None:
        """The instruction in whose lanes the gradient is asked for, if there is one to ask for."""
        if self._single and (self.params or self._shapes):
            return 0 if self.params else 1
        return None

    @property
    def backend(self) -> str:
        """What runs it: "native", "numpy" or "jax"; and, where it is NumPy for want of native code, why."""
        return str(self._made_ready(self._gradient_in()).choice)

    @property
    def choice(self) -> Choice:
        """The backend of the value with the gradient in the parameters, and why it is that one."""
        return self._made_ready(0 if self.params else self._gradient_in()).choice

    def _made_ready(self, wanted: Wanted) -> Ready:
        self._ready[wanted] = self._folded.ready(Use(wanted, *self._how, self._together() if wanted is None else 0))
        return self._ready[wanted]

    def _together(self) -> int:
        """How many results are one output, where a call asks for them alone: an output each costs a copy each."""
        return self.results if self.results > MOST_APART else 0

    def __str__(self) -> str:
        from autograd_lite.folding.printing import listing

        return listing(self.plan(), len(self._folded.roots), self._constants)

    def __repr__(self) -> str:
        inputs = ", ".join(map(str, self._shapes))
        return (
            f"Program({len(self.plan().instructions)} instructions, {len(self.params)} parameters, inputs [{inputs}]"
            f"{', batch' if self._batch else ''})"
        )


def values_of(program: Program, args: Sequence[Any], _: Any = None) -> Any:
    """The task of a call."""
    found = program._run(program.theta, args, None)
    if program._single:
        return float(found[0][0])
    return program.in_form(
        found[0].tolist() if program._together() else [float(out[0]) for out in found[: program.results]]
    )


def _loss_and_grad(program: Program, args: Sequence[Any], theta: Any) -> tuple[float, Array]:
    if not program._single:
        program._refuse_several("loss_and_grad")
    if not program.params:
        raise RuntimeError("loss_and_grad: the program has no parameters; value_and_grad differentiates in inputs")
    found = program._run(checked_theta(theta, len(program.params)), args, 0)
    if 0 not in program._direct:
        program.direct(0)
    return found[0].item(), program.of_params(found[-1])


def _look_at_all(xs: Iterable[Value], what: str) -> None:
    """Numbers taken out of Values, where a function is being traced around this program."""
    for x in xs if tracing else ():
        notify_read(x, what)


def _bits(xs: list[float]) -> bytes:
    """Equal for equal numbers, a NaN and the sign of a zero included."""
    return np.array(xs).tobytes()


def _refuse_anomaly(leaves: Leaves, found: Sequence[Array]) -> None:
    """Inside detect_anomaly a program that makes something infinite or NaN out of finite numbers says so."""
    bound = [leaves.theta, leaves.constants, *leaves.inputs]
    if not all(np.isfinite(x).all() for x in found) and all(np.isfinite(x).all() for x in bound):
        raise FloatingPointError(
            "detect_anomaly: a compiled or folded program gave a result or a gradient that is not finite, and it keeps "
            "no nodes to name the operation; compute the same without compile or fold inside this block"
        )


def fold(value: Any, params: Any = None, inputs: Sequence[Any] | None = None, *, dtype: Any = float,
         backend: BackendName = AUTO, threads: int | None = None) -> Program:  # fmt: skip
    """A graph as a Program: scalars that do the same thing become lanes of one array instruction.

    What Python decided while the graph was built stays decided, and a number that is neither a parameter nor an
    input is a constant of the program. Folding another graph of the same structure reuses the first one's work.
    Values are those of the graph up to rounding: a sum of n terms is added in plain floats and in another order, within
    n * 1.1e-16 times the sum of their sizes (`ag.sum` of the graph is exactly rounded), and overflows only where its
    result does. A sum of several terms that are all -0.0, without a literal 0 among them, may come out as 0.0 where the
    graph has -0.0: then 1 / sum is inf in place of -inf, and what is computed from that may differ wholly, as atan2 and
    atan of it do; everywhere else a zero has the sign that it has in the graph. An expression that comes twice is
    computed once, and its gradient added up before it meets the slope: sqrt(w) - sqrt(w) has derivative 0 at 0, where
    the graph has inf - inf. Steps that repeat (an ODE, a filter, an RNN) are found and become a loop in the program,
    from 8 steps on; a long chain without a pattern has an instruction for each operation, which takes about 0.3 ms to
    prepare and a few microseconds to run: it is better left as it is.

    Args:
        value: the Value to compute, or a sequence of several.
        params: the leaves that training changes, in the order of `program.theta`: a Module or a sequence; None for
            every Parameter that the value depends on.
        inputs: leaves to feed, one argument each: a Value, or a nested sequence or array of Values for an argument
            of that shape.
        dtype: what the program computes in, float64, or float32 on request.
        backend: "native" for machine code, "numpy", "jax" (the extra `jax`, with 64-bit numbers enabled), or "auto":
            native where llvmlite is installed (the extra `fast`) and the program is one for it. They agree up to
            rounding; `program.backend` says which one runs.
        threads: how many native code may use for a long batch; by default as many as there are cores. Results are the
            same to the last bit for any number.

    Returns:
        A Program; without inputs it takes no arguments.

    Raises:
        TypeError: value or a leaf is not a Value.
        ValueError: there is no value, or a leaf is the result of an operation or given twice, or there is no such
            backend.
        RuntimeError: the backend that is asked for by name cannot run here.

    Example:
        >>> w = [ag.Parameter(0.5), ag.Parameter(-1.0)]
        >>> x = [ag.Value(1.0), ag.Value(2.0)]
        >>> program = ag.fold(ag.tanh(ag.dot(w, x)), inputs=[x])
        >>> f"{program([1.0, 2.0]):.4f} {program([4.0, 0.5]):.4f}"
        '-0.9051 0.9051'
    """
    dtype, backend = checked_dtype(dtype, "fold"), checked_backend(backend, "fold")
    threads = checked_threads(threads, "fold")
    single = isinstance(value, Value)
    if not single and (
        isinstance(value, (str, bytes, dict)) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0
    ):
        raise TypeError(f"fold: expected a Value or a sequence of Values, got {describe(value)}")
    roots = [value] if single else list(value)
    for k, root in enumerate(roots):
        if not isinstance(root, Value):
            raise TypeError(f"fold: expected a Value as result {k}, got {describe(root)}")
    if not roots:
        raise ValueError("fold: there is no value to compute")
    _look_at_all(roots, "fold()")
    leaves, shapes = arguments.inputs(() if inputs is None else inputs)
    chosen = None if params is None else arguments.parameters(params, "fold")
    every = [x for group in (chosen or [], *leaves) for x in group]
    if len(set(every)) < len(every):
        met: set[Value] = set()
        twice = next(x for x in every if x in met or met.add(x))  # type: ignore[func-returns-value]
        raise ValueError(f"fold: {twice!r} is given twice among the parameters and inputs")
    return make(roots, chosen, leaves, shapes, single, False, dtype, backend, threads)


def make(
    roots: Sequence[Value], params: Sequence[Value] | None, leaves: Sequence[Sequence[Value]],
    shapes: Sequence[tuple[int, ...]], single: bool, batch: bool, dtype: Any, backend: str, threads: int | None,
    live: bool = False, nodes: Sequence[Value] | None = None,
) -> Program:  # fmt: skip
    """A Program of checked arguments; `live` reads the Values among its constants anew at each call.

    `nodes` are all of the graph in topological order, from a caller who has them.
    """
    folded, binding = cache.folded(*opened(roots, nodes), params, leaves, batch)
    program = Program(folded, binding.params, binding.constants, shapes, single, batch, dtype, backend, threads)
    if live:
        program.captured = binding.captured
    return program
