"""What `minimize` evaluates: a loss, or the residuals of a fit, as functions of a vector of parameters.

`Objective` computes on the Values themselves, which hold the numbers of the last call; `Folded` runs a program and
leaves them alone. Both give the same numbers up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_lite.derivatives import jacobians
from autograd_lite.derivatives.forward import tangents
from autograd_lite.derivatives.reverse import adjoint_graph
from autograd_lite.engine import functions, graph
from autograd_lite.engine.atomic import set_numbers
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import describe
from autograd_lite.engine.modes import Follower, changed_mode, following, mode
from autograd_lite.engine.reading import number_of, numbers_of
from autograd_lite.engine.trees import flatten
from autograd_lite.engine.value import Value
from autograd_lite.folding.program import Program, fold
from autograd_lite.folding.stepping import same_program
from autograd_lite.names import BackendName

Array = Any

SMALL = 5000
"""Scalars of a graph without loops up to which NumPy runs it: machine code takes a quarter of a second to make."""

LONG = 1000
"""A program of more instructions than this takes longer to prepare than the loss is worth: it repeats too little."""


class Objective:
    """A loss, or residuals, of a vector of parameters, with the derivatives that the methods need.

    Args:
        f: computes it with the Values in `leaves`.
        leaves: the parameters.
        fits: whether f gives residuals; the loss is the sum of their squares.
    """

    backend = "eager"

    def __init__(self, f: Callable[[], Any], leaves: Sequence[Value], fits: bool) -> None:
        self.f, self.leaves, self.fits = f, leaves, fits
        self._at: Array = None
        self._outputs: list[Any] = []
        self._gradient: list[Any] | None = None

    # -- the graph at a point

    def outputs(self, x: Array) -> list[Any]:
        """The loss alone, or the residuals, as Values; they are kept until x is another one."""
        if self._at is None or x.tobytes() != self._at.tobytes():
            set_numbers(self.leaves, x.tolist())
            self._at, self._gradient = None, None
            with changed_mode(recording=True):
                found = self.f()
            self._outputs, treedef = flatten(found, "minimize: the loss")
            if not self.fits and not (treedef.is_leaf or len(self._outputs) == 1):
                raise TypeError(
                    f"minimize: the loss must be one number, got {describe(found)}; for residuals, whose squares are "
                    'to be added up, give method="lm"'
                )
            if self.fits and treedef.is_leaf:
                raise TypeError(
                    'minimize: for method="lm" the loss must give the residuals, a list or an array of them, got '
                    f"{describe(found)}"
                )
            if not any(isinstance(y, Value) for y in self._outputs):
                raise TypeError(
                    f"minimize: the loss is {describe(found)}, not a Value: it must compute with the parameters, by "
                    "the operators and functions of this package (give the function itself, not a compiled one)"
                )
            self._at = x.copy()
        return self._outputs

    def values(self, x: Array) -> list[Value]:
        """The outputs as Values, those that are constant too."""
        return [y if isinstance(y, Value) else Value(y) for y in self.outputs(x)]

    def forget(self) -> None:
        """Compute anew at the next call, also at the same numbers."""
        self._at = None

    def root(self, x: Array) -> Any:
        """The loss as a Value."""
        outputs = self.outputs(x)
        with changed_mode(recording=True):
            return functions.sum([r * r for r in outputs]) if self.fits else outputs[0]

    def _gradient_graph(self, x: Array) -> list[Any]:
        root = self.root(x)
        if self._gradient is None:
            with changed_mode(recording=True):
                self._gradient = adjoint_graph(root, self.leaves, set(self.leaves))
        return self._gradient

    # -- numbers

    def value_and_grad(self, x: Array) -> tuple[float, Array]:
        """The loss and its gradient."""
        root = self.root(x)
        adjoint = adjoints(root)
        return number_of(root), np.array([adjoint.get(p, 0.0) for p in self.leaves])

    def hessian(self, x: Array) -> Array:
        """The matrix of the second derivatives of the loss."""
        return jacobians.dense(self._gradient_graph(x), self.leaves)

    def hvp(self, x: Array, v: Array) -> Array:
        """The Hessian times a vector."""
        gradient = self._gradient_graph(x)
        found = tangents([g for g in gradient if isinstance(g, Value)], dict(zip(self.leaves, v.tolist(), strict=True)))
        return np.array([found.get(g, 0.0) if isinstance(g, Value) else 0.0 for g in gradient])

    def residuals(self, x: Array) -> Array:
        """The residuals."""
        return np.array(numbers_of(self.outputs(x)))

    def jacobian(self, x: Array) -> Array:
        """The derivatives of the residuals, a row each."""
        return jacobians.dense(self.outputs(x), self.leaves)


class Folded(Objective):
    """The same by a program: the loss runs once, on the scalars, and its derivatives are those of its instructions."""

    def __init__(self, eager: Objective, x: Array, backend: BackendName) -> None:
        super().__init__(eager.f, eager.leaves, eager.fits)
        self._program = _program(eager.values(x), eager, backend)
        self._cost = fold(eager.root(x), [], [list(eager.leaves)], backend=backend) if eager.fits else self._program
        self.backend = self._cost.backend

    def value_and_grad(self, x: Array) -> tuple[float, Array]:
        """The loss and its gradient."""
        return self._cost.value_and_grad(x)

    def hessian(self, x: Array) -> Array:
        """The matrix of the second derivatives of the loss."""
        try:
            return self._cost.hessian(x)
        except TypeError:  # of a user-defined primitive, whose derivative is Python: scalars can run it again
            return super().hessian(x)

    def hvp(self, x: Array, v: Array) -> Array:
        """The Hessian times a vector."""
        try:
            return self._cost.hvp(x, v)
        except TypeError:  # as above
            return super().hvp(x, v)

    def residuals(self, x: Array) -> Array:
        """The residuals."""
        return np.array(self._program(x))

    def jacobian(self, x: Array) -> Array:
        """The derivatives of the residuals, a row each."""
        return self._program.jacobian(x)


class _Looks(Follower):
    """Whether a number was taken out of what depends on the leaves: then the graph may be another at other numbers."""

    def __init__(self, leaves: Sequence[Value]) -> None:
        self._leaves, self.what = set(leaves), ""

    def seen(self, value: Any, what: str) -> None:
        """A number was read or compared; only the first that matters is kept."""
        if not self.what and not self._leaves.isdisjoint(graph.toposort(value)):
            self.what = what


def objective(
    f: Callable[[], Any], leaves: Sequence[Value], fits: bool, x: Array, compiled: bool | BackendName
) -> Objective:
    """What computes the loss: a program where it is one for that, else the scalars, and then `backend` says why."""
    eager = Objective(f, leaves, fits)
    if compiled is False:
        eager.outputs(x)  # what can be refused is refused before the first iteration
        return eager
    looks = _Looks(leaves)
    with following(looks):
        eager.outputs(x)
    why, backend = "", "auto" if compiled is True else compiled
    if mode.on_adjoint is not None:
        why = "inside detect_anomaly"
    elif looks.what:
        why = f"{looks.what} of a Value decides what the loss computes"
    else:
        program = _program(eager.values(x), eager, backend)
        eager.forget()
        if not same_program(program, _program(eager.values(x), eager, backend)):
            why = "the loss draws at random, or is another one at each call"
        elif len(program.plan(False).instructions) > LONG:
            why = "the loss repeats too little"
        else:
            small = not program.plan().loops and len(graph.toposort(*eager.values(x))) < SMALL
            return Folded(eager, x, "numpy" if small and backend == "auto" else backend)
    if compiled != "auto":
        raise RuntimeError(f"minimize: compiled={compiled!r}, but {why}; leave it at its default")
    eager.backend = f"eager: {why}"
    return eager


def _program(values: Sequence[Value], eager: Objective, backend: Any) -> Program:
    return fold(values if eager.fits else values[0], [], [list(eager.leaves)], backend=backend)
