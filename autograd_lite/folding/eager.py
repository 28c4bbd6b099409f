"""A compiled function that runs uncompiled: on Values, call by call, behind the methods of a Program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from autograd_lite.folding.structures import Wanted

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
        self._single, self._one = True, ""
        self._count, self._given = 0, theta

    def _refuse_several(self, what: str) -> None:
        self._one = what  # how many results there are is known when it has run

    def direct(self, wanted: int) -> None:
        """There is no shorter way."""
        return

    def _together(self) -> int:
        return 0

    @property
    def results(self) -> int:
        """How many values a call computes."""
        return self._count

    def _run(self, theta: Array, args: Sequence[Any], wanted: Wanted, each: bool = False) -> list[Array]:
        root, leaves = wanted if isinstance(wanted, tuple) else (0, () if wanted is None else (wanted,))
        rows = self._call.rows
        assert self.layout is not None
        found: list[list[float]] = []
        slopes: list[list[Array]] = []
        with self._at(theta):
            for row in range(1 if rows is None else rows):
                given, options, inputs, shared = self.layout.values(self._call.example(row))
                with changed_mode(recording=True) if not mode.recording else _nothing():
                    roots, self.form = results(self._compiled._called(given, options))
                self._single, self._count = self.form.is_leaf, len(roots)
                if self._one and not self._single:
                    super()._refuse_several(self._one)
                found.append([number_of(x, "the result of a compiled function") for x in roots])
                if leaves:
                    adjoint = adjoints(roots[root])
                    if self._finds_parameters(adjoint):
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
    def _at(self, theta: Array) -> Iterator[None]:
        """The parameters have these numbers within this block."""
        before = [p._f for p in self.params]
        if theta.tobytes() == np.array(before).tobytes():
            yield
            return
        params = self.params
        with self._compiled._lock:
            try:
                set_numbers(params, theta.tolist())
                yield
            finally:
                set_numbers(params, before)

    def _finds_parameters(self, adjoint: dict[Any, float]) -> bool:
        """Whether a call reaches parameters that none before has reached; then they are known from now on."""
        if self._compiled._source is not None or Parameter not in set(map(type, adjoint)):
            return False
        known = set(self.params)
        new = [x for x in adjoint if isinstance(x, Parameter) and x not in known]
        if new:
            self._compiled._known = self.params = [*self.params, *new]
        return bool(new)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def eager_values(compiled: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A call of a function that runs uncompiled, with as little around it as there can be."""
    made: list[Any] = []
    numbers = getattr(compiled._f, "numbers", None)  # of a transform, which works on floats
    simple = not (options or compiled._takes.static or compiled._takes.batched or numbers is not None)
    for x in args if simple else ():
        kind = x.__class__
        if kind is float:
            made.append(Value(x))
        elif kind is list and x and all(item.__class__ is float for item in x):
            made.append(list(map(Value, x)))
        elif kind is np.ndarray and x.ndim and x.dtype == float:
            flat = np.empty(x.size, object)
            flat[:] = list(map(Value, x.ravel().tolist()))
            made.append(flat.reshape(x.shape).view(ag_array))
        else:
            simple = False
            break
    if simple:
        found = compiled._called(made, {})
        if found.__class__ is Value:
            return number_of(found)
        roots, form = results(found)
        return unflatten(form, [number_of(x) for x in roots])
    call = compiled._takes.call(args, options)
    if call is None:
        return values_in_graph(compiled, args, options)
    if numbers is not None and not call.batched:
        return numbers(*args, **options)
    return values_of(Eager(compiled, call), Inputs())
