"""Backends: what turns a Plan into something that runs.

A backend is one module, entered in BACKENDS, with a function `prepare(plan, dtype)` that gives a Runner. What it has
to compute are five types of instruction (instructions.py) over the elementary functions of the rule language
(engine/lowering.py, ELEMENTARY); how a sum may be computed stands in the forms of its parts (contractions.py).

NumPy is the reference: it runs every plan. Another backend needs the fast plan alone: where its runner cannot be
trusted, the caller runs the safe plan on the reference.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from autograd_lite.folding.instructions import Leaf
    from autograd_lite.folding.plan import Plan

Array = Any


class Leaves(NamedTuple):
    """What the leaves of a plan are bound to, float64.

    Args:
        theta, constants: vectors. The same array object holds the same constants as before.
        inputs: for each argument its lanes: (n,), or (n, rows) if it has a batch axis.
    """

    theta: Array
    constants: Array
    inputs: tuple[Array, ...] = ()

    def of(self, leaf: Leaf) -> Array:
        """What a leaf is bound to; that of a seed follows from the number of rows."""
        return self.inputs[leaf.index] if leaf.kind == "input" else getattr(self, leaf.kind)


class Runner(Protocol):
    """A plan made ready to run. It may hold buffers: one thread at a time calls it."""

    @property
    def nbytes(self) -> int:
        """What its buffers take; it may grow in a call."""
        ...

    @property
    def trusted(self) -> bool:
        """False if in the last call a sum left the range of floats, or an output was NaN and the plan doubts that."""
        ...

    def __call__(self, leaves: Leaves, rows: int | None, means: int = 0) -> list[Array]:
        """The outputs of the plan in order, each (lanes,), or (lanes, rows) if it has a batch axis.

        Args:
            leaves: the numbers.
            rows: how long the batch is; None if there is no batch axis. The seed is 1 / rows for every row.
            means: of this many outputs, the first ones, the mean over the rows is asked for, in place of all rows.

        Returns:
            Arrays that belong to the caller.
        """
        ...


class Backend(Protocol):
    """A module that prepares plans."""

    def prepare(self, plan: Plan, dtype: Any = float) -> Runner:
        """A runner of a plan that computes in `dtype`, float64 or float32."""
        ...


REFERENCE = "numpy"

BACKENDS = {"numpy": "autograd_lite.folding.backends.numpy_backend"}
"""The module of each backend, loaded when it is first asked for."""


def backend(name: str = REFERENCE) -> Backend:
    """A backend by name."""
    return cast("Backend", import_module(BACKENDS[name]))
