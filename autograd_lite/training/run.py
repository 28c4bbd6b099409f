"""Run: a training as its callbacks see it."""

from __future__ import annotations

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

    model: Any
    optimizer: Optimizer
    history: History
    reason: str

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
