"""Backends: what turns a Plan into something that runs.

A backend is one module, entered in BACKENDS, with a function `prepare(plan, dtype)` that gives a Runner. What it has
to compute are five types of instruction (instructions.py) over the elementary functions of the rule language
(engine/lowering.py, ELEMENTARY); how a sum may be computed stands in the forms of its parts (contractions.py).

NumPy is the reference: it runs every plan. Another backend needs the fast plan alone: where its runner cannot be
trusted, the caller runs the safe plan on the reference. It may refuse a plan, and may be missing: `Choice` says what
runs then.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

from autograd_lite.engine.checks import describe
from autograd_lite.names import BackendName

if TYPE_CHECKING:
    from autograd_lite.folding.instructions import Leaf
    from autograd_lite.folding.plan import Plan

Array = Any


class Leaves(NamedTuple):
    """What the leaves of a plan are bound to, float64.

    Args:
        theta, constants: vectors. The same array object holds the same constants as before.
        inputs: for each argument its lanes, (n,); with a batch axis an array of any shape, whose first axis is that.
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

    def prepare(self, plan: Plan, dtype: Any = float, threads: int | None = None) -> Runner:
        """A runner of a plan.

        Args:
            plan: what it computes.
            dtype: in which type, float64 or float32.
            threads: how many it may use; None for as many as there are cores. Results do not depend on it.

        Raises:
            Refused: the plan is not one that this backend runs.
        """
        ...


class Refused(Exception):
    """A backend does not run this plan; the message says why."""


REFERENCE = "numpy"

BACKENDS = {
    "numpy": "autograd_lite.folding.backends.numpy_backend",
    "native": "autograd_lite.folding.backends.native.runner",
    "jax": "autograd_lite.folding.backends.jax_backend",
}
"""The module of each backend, loaded when it is first asked for."""

AUTO: Final = "auto"
"""Native code where it can run, NumPy where it cannot."""

AUTOMATIC = "native"
"""What "auto" takes if it can."""


def backend(name: str = REFERENCE) -> Backend:
    """A backend by name."""
    return cast("Backend", import_module(BACKENDS[name]))


@cache
def why_not(name: str) -> str:
    """Why a backend cannot run here; "" where it can."""
    if name == "native":
        from autograd_lite.folding.backends.native.jit import why_not

        return why_not()
    if name == "jax" and find_spec("jax") is None:
        return "JAX is not installed (pip install 'autograd_lite[jax]')"
    return ""


@cache
def default_threads() -> int:
    """As many as there are cores for this process."""
    found = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len(found)


def checked_backend(name: Any, who: str) -> BackendName:
    """The name of a backend, or "auto".

    Raises:
        ValueError: there is no backend of this name.
        RuntimeError: it cannot run here.
    """
    if not isinstance(name, str) or (name != AUTO and name not in BACKENDS):
        known = ", ".join(map(repr, (AUTO, *BACKENDS)))
        shown = repr(name) if isinstance(name, str) else describe(name)
        raise ValueError(f"{who}: the backend must be one of {known}, got {shown}")
    if name != AUTO and why_not(name):
        raise RuntimeError(f'{who}: backend "{name}" cannot run here: {why_not(name)}; "auto" takes NumPy then')
    return cast("BackendName", name)


class Choice(NamedTuple):
    """The backend that runs a plan, and why it is not the native one where it was free to be."""

    name: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.why}" if self.why else self.name


def choose(wanted: str, plan: Plan, dtype: Any) -> Choice:
    """What runs a plan: the backend that is wanted, or for "auto" native code if there is some.

    Raises:
        RuntimeError: the backend that is wanted by name does not run this plan.
    """
    name = AUTOMATIC if wanted == AUTO else wanted
    if name == REFERENCE:
        return Choice(name)
    why = why_not(name)
    if not why:
        try:
            backend(name).prepare(plan, dtype)
            return Choice(name)
        except (Refused, OSError, RuntimeError) as error:  # LLVM may not get memory that can be executed
            why = str(error)
    if wanted != AUTO:
        raise RuntimeError(f'backend "{wanted}" does not run this program: {why}; "auto" takes NumPy then')
    return Choice(REFERENCE, why)
