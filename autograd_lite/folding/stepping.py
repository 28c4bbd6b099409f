"""Steps of an optimizer that run where the program runs: many in one call, without Python between them.

A backend that can do so has a function `stepper`. What a step consists of is described here as data: an optimizer's
chain of transformations as Updates, and what a step reads and writes as a Task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from autograd_lite.folding.backends import BACKENDS, REFERENCE, Leaves, Refused, Runner
from autograd_lite.folding.program import Executable, Program, Task

Array = Any

KINDS = {
    "clip_value": (1, 0, 0, 0),
    "clip_norm": (1, 0, 0, 0),
    "decay": (0, 1, 0, 0),
    "sign": (0, 1, 0, 0),
    "momentum": (1, 0, 1, 0),
    "nesterov": (1, 0, 1, 0),
    "adagrad": (1, 0, 1, 0),
    "rms": (3, 0, 1, 0),
    "adam": (5, 0, 2, 2),
    "adam_uncorrected": (5, 0, 2, 0),
}
"""The kinds of Update: how many settings, vectors, states and numbers of the step each has. See native/steps.py."""


class Update(NamedTuple):
    """A gradient transformation as data.

    Args:
        kind: one of KINDS.
        settings: numbers that stay.
        vectors: the same, one for each parameter.
    """

    kind: str
    settings: tuple[float, ...] = ()
    vectors: tuple[Array, ...] = ()


class Job(NamedTuple):
    """Steps to be taken one after the other.

    Args:
        theta: the parameters before.
        states: the vectors of state of all updates, in order.
        inputs: for each argument all rows, C-contiguous; the same objects hold the same numbers.
        order: the rows in the order in which they are taken, int64.
        batch: how many rows a step takes; the last one may have fewer.
        first: the number of the first of these steps within the order.
        numbers: the learning rate of each step, and below it what the updates have for each: (numbers, steps).
        outputs: (results, n): of each result a number for each row, in the order of `order`.
        squares: (steps of the whole order, ranges): the sum of squares of the gradient in each range of parameters.
        penalties: what the program without rows gives at each step.
    """

    theta: Array
    states: Sequence[Array]
    inputs: Sequence[Array]
    order: Array
    batch: int
    first: int
    numbers: Array
    outputs: Array
    squares: Array
    penalties: Array


class Stepper(Protocol):
    """A program and an optimizer that run together."""

    def __call__(self, job: Job, constants: Sequence[Array]) -> tuple[int, Array, list[Array], Array]:
        """Take the steps, up to one that cannot be trusted or whose result is not finite.

        Args:
            job: what is to be done.
            constants: those of the program, and of the penalty if there is one.

        Returns:
            (how many were taken, the parameters after them, the states, the gradient of the last one).
        """
        ...


def use_program(executable: Executable, task: Task[Any], args: Sequence[Any], theta: Any = None) -> Any:
    """What `task` gives, of the program that fits the arguments."""
    return executable._with_program(task, args, theta)


def same_program(one: Program, other: Program) -> bool:
    """Whether two programs compute the same: they have one structure, and the same constants."""
    return one._folded is other._folded and one._constants.tobytes() == other._constants.tobytes()


def leaves_of(program: Program, theta: Array, args: Sequence[Any]) -> Leaves:
    """What the leaves of a program are bound to now.

    Raises:
        GuardChanged: the trace does not hold any more.
    """
    return program._leaves(theta, args)[0]


def rows_of(program: Program, args: Sequence[Any], theta: Array) -> list[Array]:
    """Every result for every row of a batch, without a gradient."""
    return program._run(theta, args, None, each=True)[: program.results]


def stepper(
    program: Program, updates: Sequence[Update], live: Array | None, ranges: Sequence[tuple[int, int]],
    penalty: Program | None,
) -> Stepper | None:  # fmt: skip
    """A Stepper, or None where there is none for this program.

    Args:
        program: with a batch; its first result is what is differentiated.
        updates: what becomes of the gradient.
        live: 1 for each parameter that changes and 0 for the others; None if all do.
        ranges: (start, stop) of parameters, for the sums of squares; together they are all of them.
        penalty: a program without a batch, whose gradient is added.
    """
    readies = [each._made_ready(0) for each in (program, penalty) if each is not None]
    for each, ready in zip((program, penalty), readies, strict=False):
        if each is None or each.guards or ready.choice.name == REFERENCE or ready.use.dtype != float:
            return None
    name = readies[0].choice.name
    make: Callable[..., Stepper] | None = getattr(import_module(BACKENDS[name]), "stepper", None)
    if make is None or any(ready.choice.name != name for ready in readies):
        return None
    runners: list[Runner] = [ready.prepare() for ready in readies]
    try:
        return make(runners, updates, live, ranges, [KINDS[update.kind] for update in updates])
    except Refused:
        return None
