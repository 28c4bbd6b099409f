"""Run, which callbacks see; the conditions that end a training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from autograd_lite.history import History
from autograd_lite.optim.optimizer import Optimizer


class Run:
    """A training as a callback sees it after each epoch.

    A callback is any function of a Run. It may read everything, set `optimizer.lr`, change parameters, and
    call `stop`. It runs before the checkpoint of the epoch is written.

    Attributes:
        model, optimizer: what is being trained, and by what.
        history: the History so far, this epoch included.

    Example:
        >>> def enough(run):
        ...     if run.history.loss[-1] < 0.5:
        ...         run.stop("low enough")
        >>> model = ag.MLP(1, [1], seed=0)
        >>> ag.fit(model, [[0.0], [1.0]], [1.0, 3.0], callbacks=[enough], seed=0).stopped
        'low enough'
    """

    def __init__(self, model: Any, optimizer: Optimizer, history: History) -> None:
        self.model, self.optimizer, self.history = model, optimizer, history
        self.best: tuple[int, list[float]] | None = None  # (epoch, the parameters after it)
        self.reason = ""

    @property
    def epoch(self) -> int:
        """The number of epochs completed."""
        return len(self.history.rows)

    def stop(self, reason: str = "a callback") -> None:
        """End the training after this epoch.

        Args:
            reason: what `history.stopped` will say.
        """
        self.reason = str(reason)


def scheduled_rate(schedule: Callable[..., float], history: History) -> float:
    """The learning rate of the next epoch."""
    if getattr(schedule, "watches_losses", False):
        return schedule(len(history), history.watched)
    return schedule(len(history))


class StoppingConditions:
    """The stopping conditions, as functions of the history: a training taken up again needs no more."""

    def __init__(self, error: float | None, cost: float | None, patience: int | None, min_delta: float) -> None:
        self.error, self.cost, self.patience, self.min_delta = error, cost, patience, min_delta

    def reason(self, history: History) -> str:
        """Why to stop after the epochs so far, or nothing."""
        if not history.rows:
            return ""
        if self.error is not None and history.rows[-1]["largest_loss"] < self.error:
            return f"every training error is below {self.error:g}"
        if self.cost is not None and len(history) > 1 and abs(history.loss[-1] - history.loss[-2]) < self.cost:
            return f"the cost changed by less than {self.cost:g} over an epoch"
        if self.patience is not None and self._waited(history.watched) >= self.patience:
            return f"no better loss for {self.patience} epoch{'s' * (self.patience > 1)}"
        return ""

    def _waited(self, watched: Sequence[float]) -> int:
        best, waited = inf, 0
        for value in watched:
            better = value < best - self.min_delta
            best, waited = (value, 0) if better else (best, waited + 1)
        return waited
