"""Conditions that end a training: functions of its history, so a resumed training needs no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any, Protocol

from autograd_lite.engine.checks import setting, whole
from autograd_lite.engine.reading import numbers_of
from autograd_lite.engine.value import Value
from autograd_lite.history import History
from autograd_lite.training.run import Run

REMEDY = (
    "a rate ten times smaller, clip_norm=1.0 of the optimizer, or X and y scaled to about 1; "
    "ag.diagnose(model, X, y, loss=..., optimizer=...) looks for the cause"
)
"""What to try where a training diverges."""


class Condition(Protocol):
    """A stopping condition."""

    def reason(self, history: History) -> str:
        """Why to stop after the epochs so far; empty to continue."""


class ErrorTolerance:
    """Stop when the loss of every training example is below this."""

    def __init__(self, tolerance: Any) -> None:
        self.tolerance: float = setting(tolerance, "fit: error_tolerance", 0.0)

    def reason(self, history: History) -> str:
        """Why to stop after the epochs so far; empty to continue."""
        met = history.rows and history.rows[-1]["largest_loss"] < self.tolerance
        return f"every training error is below {self.tolerance:g}" if met else ""


class CostTolerance:
    """Stop when the loss changes by less than this over an epoch."""

    def __init__(self, tolerance: Any) -> None:
        self.tolerance: float = setting(tolerance, "fit: cost_tolerance", 0.0)

    def reason(self, history: History) -> str:
        """Why to stop after the epochs so far; empty to continue."""
        met = len(history) > 1 and abs(history.rows[-1]["loss"] - history.rows[-2]["loss"]) < self.tolerance
        return f"the cost changed by less than {self.tolerance:g} over an epoch" if met else ""


class Divergence:
    """Stop when the loss has risen over three epochs to a million times that of the first."""

    def reason(self, history: History) -> str:
        """Why to stop after the epochs so far; empty to continue."""
        if len(history) < 4:
            return ""
        first, *_ = losses = history.loss
        a, b, c, d = losses[-4:]
        if not (a < b < c < d and d > 1e6 * abs(first) > 0.0):
            return ""
        return (
            f"it diverged: the loss rose from {first:g} to {d:g} in epoch {len(history)}, with the learning rate "
            f"{history.rows[-1]['learning_rate']:g}; try {REMEDY}"
        )


class EarlyStopping:
    """Stop after `patience` epochs in a row without a better loss, and keep the weights of the best epoch."""

    def __init__(self, patience: Any, min_delta: Any, restore_best: bool) -> None:
        self.patience: int | None = None if patience is None else whole(patience, "fit: patience")
        self.min_delta: float = setting(min_delta, "fit: min_delta", 0.0)
        self.restores: bool = patience is not None and bool(restore_best)

    def reason(self, history: History) -> str:
        """Why to stop after the epochs so far; empty to continue."""
        if self.patience is not None and history.rows and self._waited(history.watched) >= self.patience:
            return f"no better loss for {self.patience} epoch{'s' * (self.patience > 1)}"
        return ""

    def _waited(self, watched: Sequence[float]) -> int:
        best, waited = inf, 0
        for value in watched:
            better = value < best - self.min_delta
            best, waited = (value, 0) if better else (best, waited + 1)
        return waited

    def best(self, run: Run, row: dict[str, Any], parameters: Iterable[Value]) -> tuple[int, list[float]] | None:
        """`run.best` with the epoch of this row taken into account."""
        if not self.restores:
            return run.best
        lowest = min((x for x in run.history.watched if x == x), default=inf)  # the min() of a list with NaN may be NaN
        better = row.get("validation_loss", row["loss"]) < lowest
        return (run.epoch + 1, numbers_of(parameters)) if better else run.best


def stopping_conditions(early_stopping: EarlyStopping, error: Any, cost: Any) -> list[Condition]:
    """The conditions of a training in the order in which they are asked; the first that is met names the reason."""
    conditions: list[Condition] = []
    if error is not None:
        conditions.append(ErrorTolerance(error))
    if cost is not None:
        conditions.append(CostTolerance(cost))
    return [*conditions, early_stopping, Divergence()]
