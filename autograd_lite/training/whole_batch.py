"""Training by L-BFGS: an epoch is one `step` of it, of several iterations, on all examples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from math import isfinite
from typing import Any

import numpy as np

from autograd_lite.engine.atomic import set_numbers
from autograd_lite.engine.reading import numbers_of
from autograd_lite.history import History
from autograd_lite.optim.lbfgs import LBFGS
from autograd_lite.optim.optimizer import NotFinite
from autograd_lite.training.steps import Epoch, TrainingStep

Array = Any


class WholeBatchStep(TrainingStep):
    """Steps of L-BFGS; the losses and gradients are those of another TrainingStep."""

    def __init__(self, inner: TrainingStep) -> None:
        super().__init__(inner.model, inner.optimizer, inner.loss, inner.penalty, inner.groups)
        self.inner, self.backend, self.threads = inner, inner.backend, inner.threads

    def order(self, n: int, seed: int | None, epoch: int, shuffle: bool) -> Sequence[int]:
        """As they stand: all examples count at once."""
        return range(n)

    def epoch(self, data: Sequence[tuple[Any, Any]], batch_size: int, order: Sequence[int], predict: bool) -> Epoch:
        """One step; the loss and the rest are those after it."""
        optimizer: LBFGS = self.optimizer  # type: ignore[assignment]
        params, live = optimizer.params, set(optimizer.live)
        moves = np.array([p in live for p in params])
        theta = np.array(numbers_of(params))
        before = theta.tolist()

        def value_and_grad(x: Array) -> tuple[float, Array]:
            theta[moves] = x
            costs, penalty, _, total = self.inner.evaluate(data, theta)
            return float(np.mean(costs)) + penalty, total[moves]

        try:
            with np.errstate(all="ignore"):
                loss = optimizer.run(value_and_grad)
                theta[moves] = optimizer.result.x
                costs, _, predictions, total = self.inner.evaluate(data, theta)
            if not (isfinite(loss) and np.isfinite(total).all()):
                raise NotFinite(
                    f"fit: after a step of L-BFGS the loss is {loss:g}, and its gradient must be finite too"
                )
            set_numbers(params, theta.tolist(), map(setattr, params, repeat("_grad"), total.tolist()))
        except BaseException:
            set_numbers(params, before)
            raise
        return Epoch(loss, float(np.max(costs)), self._norms(total), predictions if predict else [])

    def validate(self, held_out: Sequence[tuple[Any, Any]]) -> tuple[float, list[Any]]:
        """The mean loss on examples held out, and the predictions."""
        return self.inner.validate(held_out)


class Finished:
    """Stop when L-BFGS has nothing more to gain."""

    def __init__(self, optimizer: LBFGS) -> None:
        self.optimizer = optimizer
        optimizer.result = None  # of a training before this one

    def reason(self, history: History) -> str:
        """Why to stop after the epochs so far; empty to continue."""
        return self.optimizer.stopped
