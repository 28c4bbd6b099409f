"""The loop of a training: epochs, callbacks and checkpoints until there is a reason to stop, or an interrupt.

What is written is written in one call that an interrupt cannot divide (engine/atomic.py): the parameters and the
optimizer's state in a step, an epoch's row together with the best weights. So Ctrl-C leaves a whole step, and the
history of the whole epochs before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autograd_lite.engine.atomic import at_once, set_numbers
from autograd_lite.engine.value import Value
from autograd_lite.history import INTERRUPTED, History
from autograd_lite.optim.optimizer import NotFinite
from autograd_lite.training.batches import Batches, train_batches
from autograd_lite.training.checkpoints import Checkpoints
from autograd_lite.training.metrics import Metric
from autograd_lite.training.progress import progress_bar
from autograd_lite.training.run import Run
from autograd_lite.training.steps import TrainingStep, train_epoch, validate
from autograd_lite.training.stopping import REMEDY, Condition, EarlyStopping

LAST = "the last epoch"


@dataclass
class Training:
    """A training that is ready to run: `fit` has checked its parts."""

    state: Run
    parameters: Sequence[Value]
    step: TrainingStep
    data: Sequence[tuple[Any, Any]] | Batches
    held_out: Sequence[tuple[Any, Any]] | None
    batch_size: int
    shuffle: bool
    schedule: Callable[..., float] | None
    metrics: Mapping[str, Metric]
    epochs: int
    conditions: Sequence[Condition]
    early_stopping: EarlyStopping
    callbacks: Sequence[Callable[[Run], Any]]
    checkpoints: Checkpoints | None

    def run(self, progress: bool | None) -> History:
        """Train until there is a reason to stop. Ctrl-C is one, at any moment: also while the training finishes."""
        try:
            try:
                self._train(progress)
            except KeyboardInterrupt:
                self.state.reason = INTERRUPTED
            except BaseException:  # of a callback or a metric: a compiled step is ahead of the parameters
                self.step.write_back()
                raise
            self.finish()
        except KeyboardInterrupt:
            self.state.reason = INTERRUPTED
            self.finish()
        return self.state.history

    def _train(self, progress: bool | None) -> None:
        with progress_bar(self.epochs, "epoch", progress, self.state.epoch) as advance:
            while not self.should_stop():
                try:
                    self.epoch()
                except NotFinite as error:
                    raise NotFinite(f"{error}. {self._so_far()}") from None
                if self.callbacks or self.checkpoints is not None:
                    self.step.write_back()
                for callback in self.callbacks:
                    callback(self.state)
                if self.checkpoints is not None:
                    self.checkpoints.save(self.state)
                advance(_shown(self.state.history.rows[-1]))

    def _so_far(self) -> str:
        """Where a training was that broke off, and what to try."""
        losses = self.state.history.loss
        before = f"the loss was {losses[0]:g} in the first epoch and {losses[-1]:g} in the last" if losses else (
            "it is the first"
        )  # fmt: skip
        return (
            f"It diverged in epoch {self.state.epoch + 1}, with the learning rate {self.state.optimizer.lr:g}; "
            f"{before}. Try {REMEDY}"
        )

    def should_stop(self) -> bool:
        """Whether a callback or one of the conditions ends the training now; `state.reason` then says why."""
        if not self.state.reason:
            reasons = (condition.reason(self.state.history) for condition in self.conditions)
            self.state.reason = next(filter(None, reasons), LAST if self.state.epoch >= self.epochs else "")
        return bool(self.state.reason)

    def epoch(self) -> None:
        """Every example once, the validation, and the row of the history that says how it went."""
        run, history = self.state, self.state.history
        if self.schedule is not None:
            self.step.write_back()  # a schedule, too, may look at the model
            watched = [history.watched] if getattr(self.schedule, "watches_losses", False) else []
            run.optimizer.lr = self.schedule(run.epoch, *watched)
        if isinstance(self.data, Batches):
            row = train_batches(self.step, self.data, self.metrics)
        else:
            order = self.step.order(len(self.data), history.seed, run.epoch, self.shuffle)
            row = train_epoch(self.step, self.data, self.batch_size, order, self.metrics)
        row |= validate(self.step, self.held_out, self.metrics, row)
        if self.early_stopping.restores:
            self.step.write_back()
        best = self.early_stopping.best(run, row, self.parameters)
        at_once(map(list.append, (history.rows,), (row,)), map(setattr, (run,), ("best",), (best,)))

    def finish(self) -> None:
        """Leave everything in the Values: the numbers of a compiled step, or the best weights if they are wanted."""
        self.step.write_back()
        if self.checkpoints is not None:
            self.checkpoints.finish()
        self.state.history.stopped = self.state.reason or INTERRUPTED
        if self.early_stopping.restores and self.state.best is not None:
            set_numbers(self.parameters, self.state.best[1])


def _shown(row: Mapping[str, Any]) -> dict[str, float | None]:
    """What the bar shows of an epoch: loss, metrics and learning rate."""
    shown = {"loss": row["loss"], "validation": row.get("validation_loss"), **row.get("metrics", {})}
    return shown | {"lr": row["learning_rate"]}
