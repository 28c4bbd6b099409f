"""Batches from an iterable: data that do not fit in memory, or are made as they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from autograd_lite.data import examples
from autograd_lite.engine.checks import describe
from autograd_lite.training.steps import Epoch, TrainingStep, epoch_row

WANTED = "batches, pairs (X, y), from an object that can be iterated anew in each epoch, or a function that gives one"


class Batches:
    """The batches of each epoch, checked as they come."""

    def __init__(self, source: Any, nested: bool) -> None:
        if isinstance(source, Iterator):
            raise TypeError(
                f"fit: without y, X must be {WANTED}; {describe(source)} is exhausted after one: give the "
                "function that makes it"
            )
        if not (callable(source) or isinstance(source, Iterable)):
            raise TypeError(f"fit: without y, X must be {WANTED}, got {describe(source)}")
        self.source, self.nested = source, nested

    def __iter__(self) -> Iterator[list[tuple[Any, Any]]]:
        given = self.source() if callable(self.source) else self.source
        if not isinstance(given, Iterable):
            raise TypeError(f"fit: the function of batches returned {describe(given)}, which is not an iterable")
        for i, batch in enumerate(given):
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                raise TypeError(f"fit: batch {i} must be a pair (X, y), got {describe(batch)}")
            yield examples(batch[0], batch[1], f"fit: batch {i}", self.nested)

    def first(self) -> list[tuple[Any, Any]]:
        """The first batch of an epoch: what is tried before the first step."""
        found = next(iter(self), None)
        if found is None:
            raise ValueError("fit: there are no batches")
        return found


def train_batches(step: TrainingStep, batches: Batches, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """A step for each batch; the row of the history."""
    rate, count, steps, loss, largest = step.optimizer.lr, 0, 0, 0.0, float("-inf")
    norms = dict.fromkeys(step.groups, 0.0)
    predictions: list[Any] = []
    targets: list[Any] = []
    for batch in batches:
        seen = step.epoch(batch, len(batch), range(len(batch)), bool(metrics))
        loss, largest = loss + seen.loss * len(batch), max(largest, seen.largest_loss)
        count, steps = count + len(batch), steps + 1
        for name, length in seen.norms.items():
            norms[name] += length
        if metrics:
            predictions += seen.predictions
            targets += [target for _, target in batch]
    if not steps:
        raise ValueError("fit: there are no batches")
    whole = Epoch(loss / count, largest, {name: length / steps for name, length in norms.items()}, predictions)
    return epoch_row(step, rate, whole, targets, metrics)
