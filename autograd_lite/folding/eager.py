"""A compiled function that runs uncompiled: on Values, call by call, behind the methods of a Program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from autograd_lite.arrays import array as ag_array
from autograd_lite.engine.atomic import set_numbers
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.modes import changed_mode, mode
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.trees import unflatten
from autograd_lite.engine.value import Parameter, Value
from autograd_lite.folding.calls import values_in_graph
from autograd_lite.folding.forms import Call, Inputs, results
from autograd_lite.folding.program import Program, more_parameters, values_of
from autograd_lite.folding.structures import Gradients, Wanted

Array = Any


class Eager(Program):
    """What stands for the program of a call: the function itself.

    Args:
        compiled: the function, a `Compiled`.
        call: a call of it.
        theta: the parameters, where they are given.
    """

    applies_scalars = True

    def __init__(self, compiled: Any, call: Call, theta: Any = None) -> None:
        self._compiled, self._call = compiled, call
        self.layout, self.exact = call.layout(), compiled._takes.exact
        self.params = list(compiled._known or ())
        self._shapes, self._batch, self._direct = self.layout.shapes, call.batched, {}
        self.guards, self.watched, self.captured = [], [], []
        self.form, self._single, self._one = None, True, ""  # the form of the results is known when it has run
        self._count, self._given = 0, theta

    def _refuse_several(self, what: str) -> None:
        self._one = what

    def direct(self, wanted: int) -> None:
        """None: a call is short already."""
        return

    def _together(self) -> int:
        return 0

    @property
    def results(self) -> int:
        """How many values a call computes."""
        return self._count

    def _run(self, theta: Array, args: Sequence[Any], wanted: Wanted, each: bool = False) -> list[Array]:
        root, leaves = wanted if isinstance(wanted, Gradients) else (0, (wanted,) if isinstance(wanted, int) else ())
        rows = self._call.rows
        assert self.layout is not None
        found: list[list[float]] = []
        slopes: list[list[Array]] = []
        with numbers_at(self._compiled, self.params, theta):
            for row in range(1 if rows is None else rows):
                given, options, inputs, shared = self.layout.values(self._call.example(row))
                with changed_mode(recording=True) if not mode.recording else nullcontext():
                    roots, self.form = results(self._compiled._called(given, options))
                self._single, self._count = self.form.is_leaf, len(roots)
                if self._one and not self._single:
                    super()._refuse_several(self._one)
                found.append([number_of(x, "the result of a compiled function") for x in roots])
                if leaves:
                    adjoint = adjoints(roots[root])
                    if finds_parameters(self._compiled, self.params, adjoint):
                        self.params = list(self._compiled._known)
                        break
                    groups = [[*self.params, *shared], *inputs]
                    slopes.append([np.array([adjoint.get(x, 0.0) for x in groups[k]]) for k in leaves])
            else:
                return self._outputs(np.array(found), slopes, leaves, each)
        if theta is self._given:
            raise more_parameters(len(self.params), len(theta))
        return self._run(self.theta, args, wanted, each)

    def _outputs(self, values: Array, slopes: list[list[Array]], leaves: tuple[int, ...], each: bool) -> list[Array]:
        """As a Program gives them."""
        rows = self._call.rows
        outputs = list(values.T) if each and rows is not None else list(values.mean(0)[:, None])
        for k, leaf in enumerate(leaves):
            of_rows = [some[k] for some in slopes]
            if rows is None or leaf == 0:
                outputs.append(sum(of_rows[1:], of_rows[0]) / (rows or 1))
            else:
                outputs.append(np.stack(of_rows, axis=1) / rows)
        return outputs


@contextmanager
def numbers_at(compiled: Any, params: list[Value], theta: Array) -> Iterator[None]:
    """The parameters have these numbers within this block; one thread at a time.

    The lock is taken also where they have them already, and by calls that give no numbers: another thread would change
    them meanwhile.
    """
    with compiled._lock:
        before = [p._f for p in params]
        if theta.tobytes() == np.array(before).tobytes():
            yield
            return
        try:
            set_numbers(params, theta.tolist())
            yield
        finally:
            set_numbers(params, before)


def finds_parameters(compiled: Any, params: list[Value], adjoint: dict[Any, float]) -> bool:
    """Whether a call reaches parameters that none before has reached; then they are known from now on."""
    if compiled._source is not None or list(map(type, adjoint)).count(Parameter) == sum(
        map(adjoint.__contains__, params)
    ):
        return False
    known = set(params)
    new = [x for x in adjoint if isinstance(x, Parameter) and x not in known]
    if new:
        compiled._known = [*params, *new]
    return bool(new)


# --- the shortest ways ------------------------------------------------------------------------------------


def _as_values(compiled: Any, args: tuple[Any, ...]) -> list[Any] | None:
    """Numbers, lists of numbers and arrays as Values; None where there is more to it than that."""
    takes = compiled._takes
    if takes.static or takes.batched or hasattr(compiled._f, "answer_in_floats"):
        return None
    made: list[Any] = []
    for x in args:
        kind = x.__class__
        if kind is float:
            made.append(Value(x))
        elif kind is list and x:
            try:
                made.append(list(map(Value, x)))
            except TypeError:  # nested, or of Values
                return None
        elif kind is np.ndarray and x.ndim and x.dtype == float:
            flat = np.empty(x.size, object)
            flat[:] = list(map(Value, x.ravel().tolist()))
            made.append(flat.reshape(x.shape).view(ag_array))
        else:
            return None
    return made


def eager_values(compiled: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A call of a function that runs uncompiled, with as little around it as there can be."""
    made = None if options else _as_values(compiled, args)
    if made is not None:
        with compiled._lock:
            found = compiled._called(made, {})
        if found.__class__ is Value:
            return number_of(found)
        roots, form = results(found)
        return unflatten(form, [number_of(x) for x in roots])
    call = compiled._takes.call(args, options)
    if call is None:
        return values_in_graph(compiled, args, options)
    if hasattr(compiled._f, "answer_in_floats") and not call.batched:  # a transform, which works on floats
        return compiled._f.answer_in_floats(*args, **options)
    with compiled._lock:
        return values_of(Eager(compiled, call), Inputs())


def eager_gradient(compiled: Any, args: tuple[Any, ...], argnum: Any) -> tuple[float, Any] | None:
    """The value and its gradient in one argument, or None where there is more to it."""
    made = _as_values(compiled, args)
    if made is None or argnum.__class__ is not int or not 0 <= argnum < len(args):
        return None
    with compiled._lock, changed_mode(recording=True) if not mode.recording else nullcontext():
        root = compiled._called(made, {})
    if root.__class__ is not Value:
        return None
    adjoint = adjoints(root)
    x = made[argnum]
    if isinstance(x, Value):
        return number_of(root), adjoint.get(x, 0.0)
    flat = x if x.__class__ is list else x.ravel().tolist()
    return number_of(root), np.array([adjoint.get(v, 0.0) for v in flat]).reshape(np.shape(args[argnum]))


def eager_loss(compiled: Any, theta: Any, args: tuple[Any, ...]) -> tuple[float, Array] | None:
    """The value and its gradient in the parameters, or None where there is more to it."""
    made = _as_values(compiled, args)
    params = compiled._known
    if made is None or not params or theta.__class__ is not np.ndarray or theta.shape != (len(params),):
        return None
    with numbers_at(compiled, params, theta):
        with changed_mode(recording=True) if not mode.recording else nullcontext():
            root = compiled._called(made, {})
        if root.__class__ is not Value:
            return None
        adjoint = adjoints(root)
        if finds_parameters(compiled, params, adjoint):
            raise more_parameters(len(compiled._known), len(params))
        return number_of(root), np.array([adjoint.get(x, 0.0) for x in params])
