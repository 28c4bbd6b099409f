"""Sample weights: how much each example counts, kept behind its target and multiplied into its loss."""

from __future__ import annotations

from typing import Any

from autograd_lite import losses
from autograd_lite.engine.checks import as_float, describe, sequence


class Weighted:
    """A loss times the weight that stands behind the target."""

    def __init__(self, loss: Any, several: bool) -> None:
        self.loss, self.several = loss, several
        self.targets = getattr(loss, "targets", losses.NUMBERS)
        self.__qualname__ = getattr(loss, "__qualname__", type(loss).__qualname__)

    def __call__(self, prediction: Any, target: Any) -> Any:
        """The loss of one example, times its weight."""
        *numbers, weight = target
        return self.loss(prediction, numbers if self.several else numbers[0]) * weight


def checked_weights(weights: Any, n: int, what: str) -> list[float]:
    """A weight for each of n examples: numbers of at least 0, not all of them 0; None is 1 for each."""
    if weights is None:
        return [1.0] * n
    found = [as_float(w, f"{what}[{i}]") for i, w in enumerate(sequence(weights, what, "a weight for each example"))]
    if len(found) != n:
        raise ValueError(f"{what}: {n} examples but {len(found)} weights")
    bad = next((i for i, w in enumerate(found) if not 0.0 <= w < float("inf")), None)
    if bad is not None:
        raise ValueError(f"{what}[{bad}] must be at least 0 and finite, got {describe(found[bad])}")
    if not any(found):
        raise ValueError(f"{what}: every weight is 0")
    return found


def weigh(data: list[tuple[Any, Any]], weights: list[float]) -> list[tuple[Any, Any]]:
    """Examples with their weight behind the target."""
    return [
        (x, [*target, w] if isinstance(target, list) else [target, w])
        for (x, target), w in zip(data, weights, strict=True)
    ]


def scaled(data: list[tuple[Any, Any]], what: str) -> list[tuple[Any, Any]]:
    """Weights with the mean 1, so that the mean of the losses is the weighted mean sum w l / sum w."""
    mean = sum(target[-1] for _, target in data) / len(data)
    if not mean:
        raise ValueError(f"{what}: every weight is 0")
    return [(x, [*target[:-1], target[-1] / mean]) for x, target in data]


def numbers_alone(targets: list[Any], several: bool | None) -> list[Any]:
    """Targets without the weights, as a metric gets them; `several` is None where there are none."""
    return targets if several is None else [target[:-1] if several else target[0] for target in targets]
