"""Training by a program: the data and the parameters are arrays from the first step to the last.

Where a backend can, the steps of an epoch run in it, the optimizer's rule included (folding/stepping.py). What it
cannot do, and each step whose numbers are not finite, is done here step by step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise, repeat
from numbers import Real
from time import perf_counter
from typing import Any

import numpy as np

from autograd_lite.data import epoch_order
from autograd_lite.engine.atomic import at_once, set_numbers
from autograd_lite.engine.checks import describe
from autograd_lite.engine.modes import mode
from autograd_lite.engine.reading import numbers_of
from autograd_lite.engine.value import Value
from autograd_lite.folding import stepping
from autograd_lite.folding.backends import default_threads
from autograd_lite.folding.program import GuardChanged, Program
from autograd_lite.folding.stepping import Job, Stepper, Update
from autograd_lite.folding.tracing import compile, only_programs, repeats
from autograd_lite.names import BackendName
from autograd_lite.optim import transformations as t
from autograd_lite.optim.optimizer import Optimizer
from autograd_lite.training.steps import Epoch, TrainingStep, add

Array = Any

PACE = 0.02
"""Seconds that a call may take, about: Ctrl-C waits for its end."""


class CompiledStep(TrainingStep):
    """Steps by one program for all batches, on arrays; the Values get their numbers when somebody looks."""

    def __init__(
        self,
        model: Any,
        optimizer: Optimizer,
        loss: Any,
        penalty: Any,
        groups: dict[str, Any],
        backend: BackendName = "auto",
    ) -> None:
        super().__init__(model, optimizer, loss, penalty, groups)

        def example(x: Any, target: Any) -> list[Any]:
            prediction = model(_as_lists(x))
            several[:] = [isinstance(prediction, (list, tuple))]
            outputs = list(prediction) if several[0] else [prediction]
            if not all(isinstance(y, (Value, Real)) for y in outputs):
                raise TypeError(
                    "fit: a model that is compiled must return a Value, or a flat sequence of Values and numbers; it "
                    f"returned {describe(prediction)}"
                )
            return [loss(prediction, _as_lists(target)), *outputs]

        # Set when the model is traced. A list, since `example` must not hold self: that would be a reference cycle.
        self.several = several = [False]
        self.program = compile(example, params=optimizer.params, batch=True, backend=backend)
        self.extra = (
            None if penalty is None else compile(lambda: penalty(model), params=optimizer.params, backend=backend)
        )
        for made in filter(None, (self.program, self.extra)):  # what has begun compiled ends so
            only_programs(made)
        self.ahead: tuple[Any, Any] | None = None
        """Parameters and gradients that the Values do not have yet."""
        self.ranges, self._group = _ranges(groups)
        self._arrays: tuple[Any, tuple[Array, Array] | None] | None = None
        self._stepper: tuple[Any, Stepper | None] = (None, None)
        self._penalty: Program | None = None
        self._outputs: Array = None
        self._last: tuple[Program, Sequence[Array]] | None = None
        self._pace = 8
        """Steps in a call."""
        self._validates = True

    def prepare(self, data: Sequence[tuple[Any, Any]]) -> None:
        """Trace the model at the first example, and make what runs it."""
        program = self._first_program(data)
        self.backend = program.choice.name
        self.threads = default_threads() if self.backend == "native" else 1

    def why_not(self, data: Sequence[tuple[Any, Any]], steady: bool) -> str:
        """Prepare, unless the model is one to train uncompiled: then why it is.

        Args:
            data: the examples.
            steady: whether it is known that the model, the loss and the penalty do the same in each call.
        """
        try:
            program = self._first_program(data)
            programs = [program]
            if self.extra is not None:
                programs.append(stepping.use_program(self.extra, _itself, (), self._theta()))
            if any(x.guards for x in programs):
                return (
                    "it takes branches that depend on its numbers (ag.where in place of `if` keeps them in a program)"
                )
            if not steady and not repeats(self.program, program, self._first(data)):
                return "it does not do the same in each call: it draws at random, or counts"
            self.prepare(data)
        except Exception as error:  # of the model, which has run uncompiled: it does something that cannot be traced
            return f"it cannot be traced ({error})"
        return ""

    def _first(self, data: Sequence[tuple[Any, Any]]) -> list[Array]:
        return [np.array([x], float) for x in data[0]]

    def _first_program(self, data: Sequence[tuple[Any, Any]]) -> Program:
        found: Program = stepping.use_program(self.program, _itself, self._first(data), self._theta())
        return found

    # -- the numbers

    def write_back(self) -> None:
        """Give the Values the numbers that the steps have changed."""
        if self.ahead is not None:
            theta, gradient = self.ahead
            params = self.optimizer.params
            done = map(setattr, (self,), ("ahead",), (None,))
            set_numbers(params, theta.tolist(), map(setattr, params, repeat("_grad"), gradient.tolist()), done)

    def _theta(self) -> Array:
        return np.array(numbers_of(self.optimizer.params)) if self.ahead is None else self.ahead[0]

    def _as_arrays(self, data: Sequence[tuple[Any, Any]]) -> tuple[Array, Array] | None:
        """Examples and targets, converted once; None if they differ in shape."""
        if self._arrays is None or self._arrays[0] is not data:
            try:
                made = np.array([x for x, _ in data], float), np.array([target for _, target in data], float)
            except ValueError:
                made = None
            self._arrays = data, made
        return self._arrays[1]

    def order(self, n: int, seed: int | None, epoch: int, shuffle: bool) -> Sequence[int]:
        """The order of n examples in an epoch: that of `epoch_order`, by native code where there is some."""
        if self.backend != "native" or not shuffle:
            return epoch_order(n, seed, epoch, shuffle)
        from autograd_lite.folding.backends.native.steps import shuffled

        drawn = random.Random(f"{seed} {epoch}").getrandbits
        return shuffled(n, lambda count: drawn(32 * count).to_bytes(4 * count, "little"))  # type: ignore[no-any-return]

    # -- an epoch

    def epoch(self, data: Sequence[tuple[Any, Any]], batch_size: int, order: Sequence[int], predict: bool) -> Epoch:
        """Every example once, in this order."""
        arrays = self._as_arrays(data)
        if arrays is None:
            return super().epoch(data, batch_size, order, predict)
        run = _Steps(self, arrays, batch_size, np.asarray(order, np.int64))
        if self.ahead is not None and self._last is not None:  # nobody has had a look since, nor changed the model
            program, args = self._last
            if [x.shape[1:] for x in args] == [x.shape[1:] for x in arrays]:  # batches may be of sequences
                with suppress(GuardChanged):
                    run.by(program, args)
        while run.at < run.count:
            # A program that fits this batch, and as many of those that follow as it fits.
            stepping.use_program(self.program, run.by, run.batch(), self._theta())
        costs = run.outputs[0]
        with np.errstate(over="ignore", invalid="ignore"):
            squares = run.squares if self._group is None else run.squares @ self._group
            lengths = np.add.reduce(np.sqrt(squares), 0) / run.count
            loss = np.add.reduce(costs)
            if self.extra is not None:
                sizes = np.full(run.count, batch_size)
                sizes[-1] = len(order) - batch_size * (run.count - 1)
                loss = loss + run.penalties @ sizes
        predictions = self._predictions(run.outputs[1:]) if predict else []
        norms = dict(zip(self.groups, lengths.tolist(), strict=True))
        return Epoch(float(loss) / len(order), float(np.maximum.reduce(costs)), norms, predictions)

    def _loss_and_grad(self, batch: Sequence[tuple[Any, Any]]) -> tuple[list[float], float, list[Any], Array]:
        costs, penalty, predictions, total = self.evaluate(batch, self._theta())
        return costs.tolist(), penalty, predictions, total

    def outputs_of(self, results: int, n: int) -> Array:
        """Room for the results of an epoch; it is used again, for new memory costs more than an epoch writes there."""
        if self._outputs is None or self._outputs.shape != (results, n):
            self._outputs = np.empty((results, n))
        return self._outputs

    def uses(self, program: Program, args: Sequence[Array]) -> None:
        """Note which program fits arguments of these shapes."""
        self._last = program, args

    def evaluate(self, data: Sequence[tuple[Any, Any]], theta: Any) -> tuple[Any, float, list[Any], Any]:
        """See `TrainingStep.evaluate`; the Values keep their numbers. Examples of one shape run together."""
        arrays, penalty = self._as_arrays(data), 0.0
        if arrays is not None:
            (costs, *outputs), total = self.program.rows_and_grad(theta, *arrays)
            predictions = self._predictions(outputs)
        else:
            total, costs, predictions = np.zeros(len(self.optimizer.params)), np.empty(len(data)), [None] * len(data)
            for places, examples in _by_shape(data):
                (costs[places], *outputs), slope = self.program.rows_and_grad(theta, *examples)
                total = add(total, slope * (len(places) / len(data)))
                for place, output in zip(places, self._predictions(outputs), strict=True):
                    predictions[place] = output
        if self.extra is not None:
            penalty, slope = self.extra.loss_and_grad(theta)
            total = add(total, slope)
        return costs, penalty, predictions, total

    def _predictions(self, outputs: Any) -> list[Any]:
        columns = np.array(outputs)
        return columns.T.tolist() if self.several[0] else columns[0].tolist()  # type: ignore[no-any-return]

    def validate(self, held_out: Sequence[tuple[Any, Any]]) -> tuple[float, list[Any]]:
        """The mean loss on examples held out, and the predictions."""
        if self._validates:
            theta = self._theta()
            total, predictions = 0.0, [None] * len(held_out)
            try:
                for places, examples in _by_shape(held_out):
                    costs, *outputs = stepping.use_program(self.program, stepping.rows_of, examples, theta)
                    total += float(costs.sum())
                    for place, output in zip(places, self._predictions(outputs), strict=True):
                        predictions[place] = output
                return total / len(held_out), predictions
            except RuntimeError:  # its rows take different branches of the model
                self._validates = False
        return super().validate(held_out)

    # -- a step

    def update(self, total: Any) -> None:
        """Take the step with this gradient."""
        if type(self.optimizer).step is not Optimizer.step:  # a user-defined step works on the Values
            super().update(total)
            return
        theta, effect = self.optimizer.stepped(self._theta(), total)
        at_once(map(setattr, (self,), ("ahead",), ((theta, total),)), effect)

    def stepper(self, program: Program) -> Stepper | None:
        """What takes many steps of this program in one call, if there is something."""
        known = self._stepper[0]
        if self.ahead is not None and known is not None:  # nobody has had a look since, nor frozen anything
            frozen = known[1]
        else:
            frozen = [bool(getattr(p, "frozen", False)) for p in self.optimizer.params]
        key = program, frozen, self.optimizer.transforms
        if known is None or not _same(known, key):
            updates = _updates(self.optimizer)
            found = None
            if updates is not None and mode.on_adjoint is None:
                if self.extra is not None:
                    self._penalty = stepping.use_program(self.extra, _itself, (), self._theta())
                live = np.array([0.0 if x else 1.0 for x in frozen]) if any(frozen) else None
                found = stepping.stepper(program, updates, live, self.ranges, self._penalty)
            self._stepper = key, found
        return self._stepper[1] if mode.on_adjoint is None else None

    def many(self, run: _Steps, program: Program, stepper: Stepper, args: Sequence[Array]) -> bool:
        """Take steps in one call; whether all of them were taken. `args` are of the shapes of a batch."""
        theta = self._theta()
        leaves = [stepping.leaves_of(program, theta, args)]
        if self._penalty is not None:
            leaves.append(stepping.leaves_of(self._penalty, theta, ()))
        count = min(run.count - run.at, self._pace)
        numbers = _numbers(self.optimizer, count)
        states = [state[key] for state in self.optimizer.states for key in state if key != "t"]
        job = Job(theta, states, run.data, run.order, run.batch_size, run.at, numbers, run.outputs, run.squares,
                  run.penalties)  # fmt: skip
        start = perf_counter()
        taken, theta, states, total = stepper(job, [x.constants for x in leaves])
        self._pace = max(8, int(taken * PACE / max(perf_counter() - start, 1e-6)))
        if taken:
            left = iter(states)
            after = tuple(
                {key: old[key] + taken if key == "t" else next(left) for key in old} for old in self.optimizer.states
            )
            effect = self.optimizer.storing(taken, after)
            at_once(map(setattr, (self,), ("ahead",), ((theta, total),)), effect,
                    map(setattr, (run,), ("at",), (run.at + taken,)))  # fmt: skip
        return taken == count

    def one(self, run: _Steps, program: Program) -> None:
        """Take one step."""
        theta = self._theta()
        rows, total = program.rows_and_grad(theta, *run.batch())
        if self.extra is not None:
            run.penalties[run.at], slope = self.extra.loss_and_grad(theta)
            total = add(total, slope)
        with np.errstate(over="ignore", invalid="ignore"):
            run.squares[run.at] = [total[start:stop] @ total[start:stop] for start, stop in self.ranges]
        self.update(total)
        here = run.here
        for k, row in enumerate(rows):
            run.outputs[k, here] = row
        run.at += 1


class _Steps:
    """The steps of an epoch, those taken and those to come."""

    def __init__(self, step: CompiledStep, data: tuple[Array, Array], batch_size: int, order: Array) -> None:
        self.step, self.data, self.batch_size, self.order = step, data, batch_size, order
        self.at, self.count = 0, -(-len(order) // batch_size)
        self.squares = np.zeros((self.count, len(step.ranges)))
        self.penalties = np.zeros(self.count)
        self.outputs: Array = None
        """For each result a number for each row, in this order."""

    @property
    def here(self) -> slice:
        """The rows of the next step within the order."""
        return slice(self.at * self.batch_size, (self.at + 1) * self.batch_size)

    def batch(self) -> list[Array]:
        """The rows of the next step."""
        chosen = self.order[self.here]
        return [x.take(chosen, 0) for x in self.data]

    def by(self, program: Program, args: Sequence[Array], theta: Any = None) -> None:
        """Take steps by this program until one does not fit it; GuardChanged if the first one does not."""
        self.step.uses(program, args)
        if self.outputs is None:
            self.outputs = self.step.outputs_of(program.results, len(self.order))
        began, step = self.at, self.step
        while self.at < self.count:
            try:
                stepper = step.stepper(program)
                if stepper is None or not step.many(self, program, stepper, args):
                    step.one(self, program)
            except GuardChanged:
                if self.at == began:
                    raise
                return


# --- optimizers as data -----------------------------------------------------------------------------------------

UPDATES: dict[type, Callable[[Any, int], Update]] = {
    t.ClipValue: lambda x, n: Update("clip_value", (x.limit,)),
    t.ClipByGlobalNorm: lambda x, n: Update("clip_norm", (x.limit,)),
    t.AddDecayedWeights: lambda x, n: Update("decay", (), (np.broadcast_to(np.asarray(x.coefficient, float), n),)),
    t.AddSign: lambda x, n: Update("sign", (), (np.broadcast_to(np.asarray(x.coefficient, float), n),)),
    t.Momentum: lambda x, n: Update("nesterov" if x.nesterov else "momentum", (x.mu,)),
    t.ScaleByAdagrad: lambda x, n: Update("adagrad", (x.eps,)),
    t.ScaleByRMS: lambda x, n: Update("rms", (x.alpha, 1.0 - x.alpha, x.eps)),
    t.ScaleByAdam: lambda x, n: Update(
        "adam" if x.corrected else "adam_uncorrected",
        (x.betas[0], 1.0 - x.betas[0], x.betas[1], 1.0 - x.betas[1], x.eps),
    ),
}
"""Our transformations as Updates; a user-defined one is run by NumPy."""


VARIANTS = {"dampening", "centered", "amsgrad"}
"""Settings of transformations with which they do more than their `Update` here."""


def _updates(optimizer: Optimizer) -> list[Update] | None:
    """What an optimizer does, unless some of it is user-defined."""
    kind = type(optimizer)
    if any(getattr(kind, name) is not getattr(Optimizer, name) for name in ("step", "stepped", "advance", "rates")):
        return None
    if not optimizer.one_rate or any(
        type(transform) not in UPDATES or vars(transform).keys() & VARIANTS for transform in optimizer.transforms
    ):
        return None
    return [UPDATES[type(x)](x, len(optimizer.params)) for x in optimizer.transforms]


def _numbers(optimizer: Optimizer, count: int) -> Array:
    """The learning rate of each of the next steps, and what Adam divides by; fewer steps where a schedule raises."""
    rates = optimizer.rates(count)
    columns = [rates]
    for x, state in zip(optimizer.transforms, optimizer.states, strict=True):
        if isinstance(x, t.ScaleByAdam) and x.corrected:
            steps = range(state["t"] + 1, state["t"] + 1 + len(rates))
            columns += [[1.0 - b**k for k in steps] for b in x.betas]
    return np.array(columns)


def _by_shape(data: Sequence[tuple[Any, Any]]) -> list[tuple[list[int], list[Array]]]:
    """Examples and targets as arrays, those of one shape together, and which they are."""
    found: dict[Any, tuple[list[int], list[Any]]] = {}
    for i, pair in enumerate(data):
        arrays = [np.asarray(x, float) for x in pair]
        places, rows = found.setdefault(tuple(x.shape for x in arrays), ([], []))
        places.append(i)
        rows.append(arrays)
    return [(places, [np.array(x) for x in zip(*rows, strict=True)]) for places, rows in found.values()]


def _itself(program: Program, args: Sequence[Any], theta: Any) -> Program:
    return program


def _same(one: Any, other: Any) -> bool:
    return one[0] is other[0] and (one[1] is other[1] or one[1] == other[1]) and one[2] is other[2]


def _ranges(groups: dict[str, Any]) -> tuple[list[tuple[int, int]], Array]:
    """Parameters side by side that belong to one layer, and a matrix that adds up those of each; None if it is one."""
    layer = np.empty(sum(map(len, groups.values())), int)
    for k, members in enumerate(groups.values()):
        layer[members] = k
    cuts = [0, *(np.flatnonzero(layer[1:] != layer[:-1]) + 1).tolist(), len(layer)]
    ranges = list(pairwise(cuts))
    if len(ranges) == len(groups) and [layer[start] for start, _ in ranges] == list(range(len(groups))):
        return ranges, None
    return ranges, np.array([[float(layer[start] == k) for k in range(len(groups))] for start, _ in ranges])


def _as_lists(x: Any) -> Any:
    """An argument as the model gets it uncompiled: a number, or lists of them."""
    return x.tolist() if hasattr(x, "ndim") else x
