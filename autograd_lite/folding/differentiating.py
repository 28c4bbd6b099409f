"""The derivatives of a program as methods: jvp, vjp, hvp, Jacobian and Hessian, dense and sparse.

They are taken on the instructions (derived.py), so no scalar is traced for them. What the fast plan cannot be trusted
with, where something is not finite, is found row by row on the safe plan of the backward pass: as in eager mode
reverse mode decides what 0 times infinity is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from operator import index
from typing import TYPE_CHECKING, Any
from typing import Literal as OneOf
from weakref import ref

import numpy as np

from autograd_lite.engine.checks import describe, needs
from autograd_lite.folding import arguments
from autograd_lite.folding.backends import Leaves
from autograd_lite.folding.derived import Derivative, Layout, tangent_index, weights_index
from autograd_lite.folding.reverse import OnceOnly
from autograd_lite.folding.structures import Ready

if TYPE_CHECKING:
    from autograd_lite.folding.program import Program

Array = Any

Argnum = int | OneOf["theta"] | None
"""The position of an argument, or the parameters; None is the first argument, and of a program without any theta."""


class Differentiable(ABC):
    """What has the derivatives of a program."""

    @abstractmethod
    def _with_program(self, task: Any, args: Sequence[Any], theta: Any = None) -> Any: ...

    def _with_plain_program(self, task: Any, args: Sequence[Any], theta: Any = None) -> Any:
        """The same of a program whose arguments are arrays."""
        return self._with_program(task, args, theta)

    def _without_arguments(self) -> bool:
        """Whether it is known to take no arguments, so that the parameters are meant."""
        return False

    def jvp(self, primals: Any, tangents: Any) -> tuple[Any, Any]:
        """The value and its derivative along a direction, by forward mode.

        Args:
            primals: the arguments as a tuple; anything but a tuple is the one argument. Of a program without arguments,
                the parameters.
            tangents: the direction, in the form of primals.

        Returns:
            (value, tangent): two floats, or for several results two arrays of them. With a batch each row is a
            function of its own, as everywhere here: both have an axis of rows in front, and nothing is averaged.

        Raises:
            ValueError: tangents do not have the form of primals.

        Example:
            >>> ag.compile(lambda x, y: x * y).jvp((3.0, 5.0), (1.0, 10.0))
            (15.0, 35.0)
        """
        args, along = (x if isinstance(x, tuple) else (x,) for x in (primals, tangents))
        theta = None
        if self._without_arguments():
            (theta,), args = args, ()
        if len(along) != len(args or (theta,)):
            raise ValueError(f"jvp: tangents must hold one entry for each of the {len(args)} primals, got {len(along)}")

        def task(program: Program, args: Sequence[Any], theta: Any) -> tuple[Any, Any]:
            places = tuple(range(1, len(args) + 1)) or (0,)
            directions = [
                _direction(program, args, place, v, "jvp: the tangent of argument", place - 1)
                for place, v in zip(places, along, strict=True)
            ]
            run = _Run(program, Derivative("jvp", places, program.results), theta, args)
            for place, v in zip(places, directions, strict=True):
                run.bind(tangent_index(len(args), place), v)
            (value, tangent), trusted = run.found(0)
            value, tangent = run.in_rows(value), run.in_rows(tangent)
            if not (trusted and all_finite(tangent)):
                tangent = run.careful_products(tangent, places, directions, Derivative("vjp", places, program.results))
            return run.results(value), run.results(tangent)

        return self._with_plain_program(task, args, theta)  # type: ignore[no-any-return]

    def vjp(self, *args: Any) -> tuple[Any, Callable[[Any], Any]]:
        """The value, and the function that pulls a weight on each result back to the arguments.

        Args:
            args: as for a call; of a program without arguments the parameters, or nothing for their present numbers.

        Returns:
            (value, pull): pull takes a weight for each result, in the form of the value, and gives the derivative in
            the form of the argument; for several arguments a tuple.

        Raises:
            ValueError: pull gets weights of another form than the value.

        Example:
            >>> value, pull = ag.compile(lambda x: [x[0] * x[1], x[0] + x[1]]).vjp(np.array([3.0, 5.0]))
            >>> value, pull([1.0, 0.0])
            (array([15.,  8.]), array([5., 3.]))
        """
        theta = None
        if self._without_arguments() and args:
            (theta,), args = args, ()

        def task(program: Program, args: Sequence[Any], theta: Any) -> tuple[Any, Callable[[Any], Any]]:
            places = tuple(range(1, len(args) + 1)) or (0,)
            kept = [np.array(x) for x in args]
            what = Derivative("vjp", places, program.results)
            run = _Run(program, what, theta, kept)

            def pulled(weights: Any) -> tuple[Any, list[Any]]:
                shape = (run.rows, program.results) if run.rows is not None else (program.results,)
                weights = np.broadcast_to(np.asarray(weights, float), shape)
                run.bind(weights_index(len(kept)), np.ascontiguousarray(weights))
                (value, *found), trusted = run.found(0)
                if not trusted:
                    value, *found = run.safe(what)
                return value, [run.of_place(place, x) for place, x in zip(places, found, strict=True)]

            def pull(weights: Any) -> Any:
                given = arguments.numbers(weights, "vjp: the weights")
                expected = np.shape(value)
                if given.shape != expected:
                    raise ValueError(f"vjp: the weights must have shape {expected}, got {given.shape}")
                if program._single:
                    given = given[..., None]
                found = pulled(given)[1]
                return found[0] if len(found) == 1 else tuple(found)

            value = run.results(run.in_rows(pulled(0.0)[0]))
            return value, pull

        return self._with_plain_program(task, args, theta)  # type: ignore[no-any-return]

    def hvp(self, x: Any, v: Any, *args: Any, argnum: Argnum = None) -> Any:
        """The product of the Hessian with a vector, without the Hessian: forward over reverse.

        It serves as `hessp=` of scipy.optimize.minimize.

        Args:
            x: the argument to differentiate in, or the parameters.
            v: a vector of the form of x.
            args: the other arguments, in order.
            argnum: which argument x is; "theta" if it is the parameters. See `hessian`.

        Returns:
            The product, in the form of x.

        Raises:
            TypeError: the program has several results.
            ValueError: v does not have the form of x.

        Example:
            >>> ag.compile(lambda x: x[0] ** 2 * x[1]).hvp(np.array([1.0, 2.0]), [1.0, 0.0])
            array([4., 2.])
        """
        at, position = self._at(argnum), 0
        theta, rest = (x if at == "theta" else None), list(args)
        if at != "theta":
            position = _position(at, len(args) + 1, "hvp")
            rest.insert(position, x)

        def task(program: Program, args: Sequence[Any], theta: Any) -> Any:
            program._refuse_several("hvp")
            place = _place(program, argnum, "hvp")
            direction = _direction(program, args, place, v, "hvp: v")
            run = _Run(program, Derivative("hvp", (place,), 1), theta, args)
            run.bind(tangent_index(len(args), place), direction)
            (found,), trusted = run.found(None)
            by_row = run.place_rows(place) is not None
            row = Derivative("row of a hessian", (place,), 1)
            if not (trusted and all_finite(found) and run.finite()):
                product = run.careful_products(found.T if by_row else found, (place,), [direction], row)
                found = product.T if by_row else product
            return run.of_place(place, found)

        return self._with_plain_program(task, rest, theta)

    def jacobian(self, *args: Any, argnum: Argnum | tuple[int, ...] = None, sparse: bool = False) -> Any:
        """The derivative of every result in every number of an argument.

        Which entries can be other than 0 follows from the instructions; only those are computed, by forward mode,
        reverse mode, or the dense rows by reverse mode, whichever takes fewer operations. It serves as `jac=` of
        scipy's least_squares, root, solve_ivp and minimize.

        Args:
            args: as for a call. In the parameters theta comes first, as in `loss_and_grad`; a program without
                arguments takes theta, or nothing for the present parameters.
            argnum: which argument (the first if it is not given); "theta" for the parameters; for a tuple of positions
                the answer is a tuple, a Jacobian for each.
            sparse: give a scipy.sparse.csc_array of shape (results, numbers), with the same index arrays each time.

        Returns:
            An array of shape (results,) + the shape of the argument, without the first axis for a single result. With a
            batch each row is a function of its own: an axis of rows in front, and nothing is averaged.

        Raises:
            IndexError, TypeError: there is no such argument, or argnum is not one.
            ImportError: sparse, and SciPy is not installed.

        Example:
            >>> f = ag.compile(lambda x: [x[0] * x[1], x[0] + x[1]])
            >>> f.jacobian(np.array([2.0, 3.0]))
            array([[3., 2.],
                   [1., 1.]])
            >>> f.jacobian(np.array([2.0, 3.0]), sparse=True).nnz
            4
        """
        if isinstance(argnum, (tuple, list)):
            return tuple(self._matrix("jacobian", args, k, sparse) for k in argnum)
        return self._matrix("jacobian", args, argnum, sparse)

    def hessian(self, *args: Any, argnum: Argnum = None, sparse: bool = False) -> Any:
        """The matrix of second derivatives, forward over reverse.

        Of two entries that mirror each other one is computed, and only those that can be other than 0. It serves as
        `hess=` of scipy.optimize.minimize and of NonlinearConstraint: there f takes x and the multipliers.

        Args:
            args, argnum, sparse: as in `jacobian`.

        Returns:
            An array of shape s + s for an argument of shape s. With a batch, in an argument the Hessian of each
            row, with an axis of rows in front; in the parameters that of the mean.

        Raises:
            TypeError: the program has several results; or a user-defined derivative in it is a function, which cannot
                be differentiated.

        Example:
            >>> f = ag.compile(lambda x: x[0] ** 2 * x[1])
            >>> f.hessian(np.array([1.0, 2.0]))
            array([[4., 2.],
                   [2., 0.]])
        """
        return self._matrix("hessian", args, argnum, sparse)

    def sparsity(self, *args: Any, of: OneOf["jacobian", "hessian"] = "jacobian", argnum: Argnum = None) -> Any:
        """Where the entries of a sparse Jacobian or Hessian are, for solvers that want it beforehand.

        Args:
            args: as for a call: they say which trace is meant.
            of: "jacobian" or "hessian".
            argnum: as in `jacobian`.

        Returns:
            (rows, columns): two arrays, column by column; the `data` of the sparse matrix has this order.

        Example:
            >>> f = ag.compile(lambda x: [x[1] - x[0], x[2] - x[1]])
            >>> rows, columns = f.sparsity(np.zeros(3))
            >>> rows.tolist(), columns.tolist()
            ([0, 0, 1, 1], [0, 1, 1, 2])
        """
        if of not in ("jacobian", "hessian"):
            raise ValueError(f'sparsity: of must be "jacobian" or "hessian", got {of!r}')

        def task(program: Program, args: Sequence[Any], theta: Any) -> Any:
            matrix = matrix_of(program, of, _place(program, argnum, "sparsity"))
            return matrix.rows.copy(), matrix.columns.copy()

        theta, rest = self._split(args, argnum)
        return self._with_plain_program(task, rest, theta)

    def _matrix(self, kind: OneOf["jacobian", "hessian"], args: Sequence[Any], argnum: Argnum, sparse: bool) -> Any:
        if not isinstance(sparse, bool):
            raise TypeError(f"{kind}: sparse must be True or False, got {describe(sparse)}; for an argument argnum=")

        def task(program: Program, args: Sequence[Any], theta: Any) -> Any:
            matrix = matrix_of(program, kind, _place(program, argnum, kind))
            return matrix(theta, args, sparse)

        theta, rest = self._split(args, argnum)
        return self._with_plain_program(task, rest, theta)

    def _at(self, argnum: Argnum) -> Argnum:
        return "theta" if argnum is None and self._without_arguments() else argnum

    def _split(self, args: Sequence[Any], argnum: Argnum) -> tuple[Any, Sequence[Any]]:
        """(theta, arguments) of what a method got."""
        if self._at(argnum) == "theta" and args:
            return args[0], args[1:]
        return None, args


def _position(argnum: Any, count: int, who: str) -> int:
    try:
        if isinstance(argnum, bool):
            raise TypeError
        place = 0 if argnum is None else index(argnum)
    except TypeError:
        raise TypeError(
            f'{who}: argnum must be the position of an argument, or "theta", got {describe(argnum)}; '
            "call it once for each argument"
        ) from None
    if not -count <= place < count:
        raise IndexError(f"{who}: argnum is {place}, the program has {count} arguments")
    return place % count


def _place(program: Program, argnum: Argnum, who: str) -> int:
    """The leaf in which to differentiate: 0 for theta, k + 1 for argument k."""
    if argnum == "theta" or (argnum is None and not program._shapes):
        if not program.params:
            raise RuntimeError(f"{who}: the program has neither parameters nor arguments to differentiate in")
        return 0
    return _position(argnum, len(program._shapes), who) + 1


def _direction(program: Program, args: Sequence[Any], place: int, v: Any, name: str, k: int | None = None) -> Array:
    """A direction in a leaf, as the array to bind."""
    found = arguments.numbers(v, name, k)
    expected = args[place - 1].shape if place else (len(program.params),)
    if found.shape != expected:
        which = name if k is None else f"{name} {k}"
        raise ValueError(f"{which} must have shape {expected}, got {found.shape}")
    return found


class _Run:
    """A derivative of a program at some numbers: what is bound, what the fast plan gives, and what the safe one.

    Attributes:
        rows: how long the batch is, None without one.
    """

    def __init__(self, program: Program, what: Derivative, theta: Any, args: Sequence[Any]) -> None:
        self.program, self.what = program, what
        self.ready: Ready = ready_for(program, what)
        at = program.theta if theta is None else program._checked_theta(theta)
        leaves, self.rows = program._leaves(at, args)
        self._count = len(args)
        spare = (_NOTHING,) * (weights_index(self._count) + 1 - self._count)
        self.leaves: Leaves = leaves._replace(inputs=(*leaves.inputs, *spare))

    def bind(self, which: int, numbers: Array) -> None:
        """Bind an input beside the arguments."""
        inputs = list(self.leaves.inputs)
        inputs[which] = numbers.ravel() if self.rows is None else numbers
        self.leaves = self.leaves._replace(inputs=tuple(inputs))

    def bind_rows(self, which: int, numbers: Array) -> None:
        """Bind an input that has the rows of a batch where the program has none."""
        inputs = list(self.leaves.inputs)
        inputs[which] = numbers
        self.leaves = self.leaves._replace(inputs=tuple(inputs))

    def found(self, values: int | None, rows: int | None = None) -> tuple[list[Array], bool]:
        """The outputs without the guards, which have been checked, and whether they can be trusted.

        Args:
            values: where the values stand among the outputs, before the guards; None if there are none.
            rows: of the batch that is the directions.
        """
        program = self.program
        outputs, trusted = program._folded.run_fast(self.ready, self.leaves, rows or self.rows, 0)
        return self._checked(outputs, values), trusted

    def _checked(self, outputs: list[Array], values: int | None) -> list[Array]:
        first = 0 if values is None else 1
        guards = len(self.program.guards)
        if guards and not self.program._unasked:
            self.program._check_guards(outputs, first)
        outputs = [*outputs[:first], *outputs[first + guards :]]
        self.program._refuse_if_anomalous(self.leaves, outputs)
        return outputs

    def safe(self, what: Derivative) -> list[Array]:
        """The outputs of the safe plan of a derivative, without the guards."""
        use = self.ready.use._replace(wanted=what)
        outputs = self.program._folded.run_safe(use, self.leaves, self.rows, 0)
        return self._checked(outputs, 0 if what.kind == "vjp" else None)

    def finite(self) -> bool:
        """Whether the numbers are finite. From one that is not a NaN may come where no entry is."""
        return all(map(all_finite, (self.leaves.theta, *self.leaves.inputs)))

    # -- careful

    def alone(self, row: int | None) -> _Run:
        """The same for one row of the batch."""
        one = object.__new__(_Run)
        vars(one).update(vars(self))
        if row is not None:
            one.rows = 1
            one.leaves = self.leaves._replace(
                inputs=tuple(x[row : row + 1] if len(x) else x for x in self.leaves.inputs)
            )
        return one

    def careful_rows(self, what: Derivative, rows: Sequence[int]) -> Iterator[list[Array]]:
        """Rows of a Jacobian or a Hessian by the safe plan, in each of the places of it."""
        size = self.program.results if what.kind == "vjp" else self.size(what.places[0])
        for row in rows:
            weights = np.zeros(size)
            weights[row] = 1.0
            self.bind(weights_index(self._count), weights if self.rows is None else weights[None])
            found = self.safe(what)
            found = found[1:] if what.kind == "vjp" else found
            yield [x.ravel() for x in found]

    def careful_products(
        self, product: Array, places: Sequence[int], directions: Sequence[Array], what: Derivative
    ) -> Array:
        """A product of rows with a direction, those that are not finite found anew; all of them if all are finite.

        Args:
            product: (rows of a matrix,), or with a batch (rows of the batch, rows of a matrix).
            places, directions: what the columns are of.
            what: what gives a row.
        """
        product = np.array(product, float)
        by_row = product.ndim > 1
        doubtful = ~np.isfinite(product)
        if not doubtful.any() or (what.kind != "vjp" and not self.finite()):
            doubtful[...] = True
        for example, mine in enumerate(doubtful if by_row else [doubtful]):
            one = self.alone(example if by_row else None)
            at = np.flatnonzero(mine).tolist()
            for i, row in zip(at, one.careful_rows(what, at), strict=True):
                total = 0.0
                for g, place, v in zip(row, places, directions, strict=True):
                    t = (v[example] if by_row and place else v).ravel()
                    hit = g != 0.0
                    with np.errstate(all="ignore"):
                        total += float(np.where(t[hit] == 0.0, 0.0, g[hit] * t[hit]).sum())
                product[(example, i) if by_row else i] = total
        return product

    # -- forms

    def size(self, place: int) -> int:
        """How many numbers a leaf has."""
        return self.program._folded.builder.instructions[place].size

    def place_rows(self, place: int) -> int | None:
        """How many rows a leaf has."""
        return self.rows if place else None

    def in_rows(self, x: Array) -> Array:
        """Results, (results,) or (rows, results)."""
        if self.rows is None:
            return x
        return x.T if x.ndim > 1 else np.broadcast_to(x, (self.rows, len(x)))

    def results(self, x: Array) -> Any:
        """Results as the caller gets them: without their axis if there is one."""
        if not self.program._single:
            return np.ascontiguousarray(x)
        return np.ascontiguousarray(x[..., 0]) if x.ndim > 1 else float(x[0])

    def of_place(self, place: int, x: Array) -> Any:
        """Numbers of a leaf in its form."""
        shape = self.program._shapes[place - 1] if place else (len(x),)
        if self.rows is not None and place:
            x = x.T if x.ndim > 1 else np.broadcast_to(x, (self.rows, len(x)))
            return np.ascontiguousarray(x).reshape(self.rows, *shape)
        return x.reshape(shape) if shape else float(x[0])


_NOTHING: Array = np.zeros(0)


def all_finite(x: Array) -> bool:
    """Whether numbers are finite; for certain only if it says so, since their sum may overflow."""
    with np.errstate(all="ignore"):
        return isfinite(np.add.reduce(x, None))


def ready_for(program: Program, what: Derivative) -> Ready:
    """A derivative of a program, ready to run."""
    try:
        return program._ready.get(what) or program._made_ready(what)
    except OnceOnly as error:
        raise TypeError(
            f"{what.kind}: the derivative of the primitive {error.args[0]!r} is a Python function, which cannot be "
            "differentiated on instructions; define it by a text, or use the transform of ag on f itself"
        ) from None


def matrix_of(program: Program, kind: OneOf["jacobian", "hessian"], place: int) -> Matrix:
    """The Jacobian or Hessian of a program in the lanes of a leaf; kept."""
    if kind == "hessian":
        program._refuse_several("hessian")
    key = Derivative(kind, (place,), program.results)
    if key not in program._matrices:
        program._matrices[key] = Matrix(program, key)
    return program._matrices[key]


class Matrix:
    """A Jacobian or a Hessian of a program, ready to be computed again and again.

    Attributes:
        rows, columns: where its entries are, column by column.
    """

    def __init__(self, program: Program, what: Derivative) -> None:
        self._program, self.what = ref(program), what  # the program keeps this: not in a cycle
        ready_for(program, what)
        layout = program._folded.layouts[what]
        assert layout is not None
        self.layout: Layout = layout
        self.m, self.n = layout.shape
        (place,) = what.places
        shape = program._shapes[place - 1] if place else (self.n,)
        self._shape: tuple[int, ...] = (*shape, *shape)
        if what.kind == "jacobian":
            self._shape = shape if program._single else (self.m, *shape)
        self.by_rows: bool = layout.rows is None
        """Whether the directions are the rows of a batch."""
        if self.by_rows:
            every = np.arange(self.m * self.n)
            self.rows, self.columns = every % self.m, every // self.m
        else:
            self.rows, self.columns = layout.rows, layout.columns
        self._flat: Array = self.rows * self.n + self.columns
        self._whole = len(self._flat) == self.m * self.n
        self._indices: tuple[Array, Array] | None = None

    def __call__(self, theta: Any, args: Sequence[Any], sparse: bool) -> Any:
        """The matrix at these numbers."""
        program = self._program()
        assert program is not None  # whoever calls got this from it
        run = _Run(program, self.what, theta, args)
        if self.by_rows:
            return self._from_rows(run, len(args), sparse)
        (entries,), trusted = run.found(None)
        batch = run.rows
        if batch is not None and not self._of_mean:
            return self._of_batch(run, entries, trusted, sparse)
        dense = None
        if not (trusted and all_finite(entries)):
            entries, dense = self._careful(run, entries)
        elif self.what.kind == "hessian" and not sparse and not run.finite():
            dense = self._careful(run, entries)[1]
        if sparse:
            return self._sparse(entries)
        if dense is not None:
            return self._shaped(dense)
        return self._shaped(self._dense(entries))

    @property
    def _of_mean(self) -> bool:
        """Whether it is a Hessian in the parameters, which of a batch is that of the mean."""
        return self.what.kind == "hessian" and self.what.places == (0,)

    def _dense(self, entries: Array) -> Array:
        if self._whole:  # column by column
            return entries.reshape(self.n, self.m).T
        found = np.zeros(self.m * self.n, entries.dtype)
        found[self._flat] = entries
        return found.reshape(self.m, self.n)

    def _shaped(self, dense: Array) -> Any:
        return dense.reshape(self._shape) if self._shape else float(dense[0, 0])

    def _careful(self, run: _Run, entries: Array) -> tuple[Array, Array]:
        """The entries and the whole matrix, rows that are not finite found by reverse mode on the safe plan."""
        bad = np.unique(self.rows[~np.isfinite(entries)])
        if not len(bad) or (self.what.kind == "hessian" and not run.finite()):
            bad = np.arange(self.m)
        dense = self._dense(np.array(entries, float))
        kind = "vjp" if self.what.kind == "jacobian" else "row of a hessian"
        what = Derivative(kind, self.what.places, self.what.results)  # type: ignore[arg-type]
        for i, (row,) in zip(bad.tolist(), run.careful_rows(what, bad.tolist()), strict=True):
            dense[i] = row
        return dense[self.rows, self.columns], dense

    def _of_batch(self, run: _Run, entries: Array, trusted: bool, sparse: bool) -> Any:
        """Those of the rows of a batch: with an axis of rows in front, or a list of sparse ones."""
        rows = run.rows
        assert rows is not None
        if entries.ndim == 1:
            entries = np.broadcast_to(entries[:, None], (len(entries), rows))
        doubtful = range(rows) if not trusted else ()
        if not all_finite(entries):
            doubtful = np.flatnonzero(~np.isfinite(entries).all(0)).tolist()
        if self.what.kind == "hessian" and not run.finite():
            doubtful = range(rows)
        if self._whole and not sparse:
            flat = np.empty((rows, self.m * self.n), entries.dtype)
        else:
            flat = np.zeros((rows, self.m * self.n), entries.dtype)
        flat[:, self._flat] = entries.T
        for row in doubtful:
            flat[row] = self._careful(run.alone(row), np.array(entries[:, row]))[1].ravel()
        if sparse:
            return [self._sparse(one[self._flat]) for one in flat]
        return flat.reshape(rows, *self._shape)

    def _from_rows(self, run: _Run, count: int, sparse: bool) -> Any:
        """The whole matrix, a direction a row of a batch."""
        (place,) = self.what.places
        forward = self.layout.mode == "forward"
        size = self.n if forward else self.m
        if run.rows is not None:
            return self._one_by_one(run, count, sparse)
        run.bind_rows(tangent_index(count, place) if forward else weights_index(count), np.eye(size))
        (found,), trusted = run.found(None, size)
        if found.ndim == 1:
            found = np.broadcast_to(found[:, None], (len(found), size))
        dense = found if forward else found.T
        if not (trusted and all_finite(found)):
            dense = self._careful(run, dense.T.ravel())[1]
        return self._sparse(dense.T.ravel()) if sparse else self._shaped(np.ascontiguousarray(dense))

    def _one_by_one(self, run: _Run, count: int, sparse: bool) -> Any:
        """The same of a program with a batch, for each direction a run."""
        (place,), rows = self.what.places, run.rows
        assert rows is not None
        forward = self.layout.mode == "forward"
        which = tangent_index(count, place) if forward else weights_index(count)
        by_row = bool(place) if forward else True
        dense = np.zeros((1 if self._of_mean else rows, self.m, self.n))
        trusted = True
        for k, unit in enumerate(np.eye(self.n if forward else self.m)):
            run.bind_rows(which, np.tile(unit, (rows, 1)) if by_row else unit)
            (found,), trusts = run.found(None)
            trusted = trusted and trusts
            target = dense[:, :, k] if forward else dense[:, k]
            target[...] = found.T
        if not (trusted and all_finite(dense)):
            if self._of_mean:
                dense[0] = self._careful(run, dense[0].T.ravel())[1]
            else:
                for row in range(rows) if not trusted else np.flatnonzero(~np.isfinite(dense).all((1, 2))).tolist():
                    dense[row] = self._careful(run.alone(row), dense[row].T.ravel())[1]
        if self._of_mean:
            return self._sparse(dense[0].T.ravel()) if sparse else self._shaped(dense[0])
        return [self._sparse(x.T.ravel()) for x in dense] if sparse else dense.reshape(rows, *self._shape)

    def _sparse(self, entries: Array) -> Any:
        try:
            from scipy.sparse import csc_array
        except ImportError:
            raise ImportError(needs(f"{self.what.kind}(sparse=True)", "SciPy", "scipy", "leave sparse=False")) from None
        if self._indices is None:
            starts = np.searchsorted(self.columns, np.arange(self.n + 1))
            self._indices = self.rows.astype(np.int32), starts.astype(np.int32)
            for x in self._indices:
                x.flags.writeable = False  # all matrices share them
        found = csc_array((entries, *self._indices), shape=(self.m, self.n))
        found.has_canonical_format = True
        return found
