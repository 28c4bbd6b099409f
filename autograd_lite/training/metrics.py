"""Metrics: accuracy, and the functions that `metrics=` names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from autograd_lite import losses
from autograd_lite.engine.checks import as_float, describe, did_you_mean, known_as
from autograd_lite.training.weights import numbers_alone

Metric: TypeAlias = Callable[[Any, Any], float]
"""A function of (predictions, targets)."""


def accuracy(predictions: Any, targets: Any, threshold: float = 0.5, signed: bool | None = None) -> float:
    """The share of examples whose class is predicted.

    Args:
        predictions: scores, shape (n, k): the class is the largest. Or shape (n,), for two classes.
        targets: labels 0 to k - 1, or distributions, shape (n, k); for two classes -1 and 1, separated by the sign
            of the score, or 0 and 1, separated at `threshold`.
        threshold: 1/2 for probabilities, 0 for logits.
        signed: whether the labels of two classes are -1 and 1; by default, whether there is a -1 among them.

    Returns:
        A number from 0 to 1.

    Example:
        >>> from autograd_lite.training import accuracy
        >>> accuracy([[0.1, 2.0], [3.0, 1.0]], [1, 1]), accuracy([0.2, -3.0], [1, -1])
        (0.5, 1.0)
    """
    import numpy as np

    scores, labels = np.asarray(predictions, dtype=float), np.asarray(targets, dtype=float)
    if scores.ndim == 2:
        return float(np.mean(scores.argmax(axis=1) == (labels.argmax(axis=1) if labels.ndim == 2 else labels)))
    if (labels == -1.0).any() if signed is None else signed:
        return float(np.mean(np.where(scores > 0.0, 1.0, -1.0) == labels))
    return float(np.mean((scores > threshold) == labels))


def metrics_of(metrics: Any, loss: Any, targets: Sequence[Any], weighted: bool = False) -> dict[str, Metric]:
    """The argument `metrics` as functions by name; "accuracy" reads predictions as the loss says (its `targets`).

    They are called with targets behind which there are weights, if `weighted`. Of models of sequences a metric gets
    lists of arrays where these differ in length.
    """
    if callable(metrics) or isinstance(metrics, str):
        metrics = [metrics]
    if not isinstance(metrics, Iterable) or getattr(metrics, "ndim", 1) == 0:
        raise TypeError(
            "fit: metrics must be names, functions of (predictions, targets) or a dict of them, "
            f"got {describe(metrics)}"
        )
    if not isinstance(metrics, Mapping):
        metrics = list(metrics)
        names = [m if isinstance(m, str) else getattr(m, "__name__", f"metric {i}") for i, m in enumerate(metrics)]
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None:
            places = " and ".join(f"metrics[{i}]" for i, name in enumerate(names) if name == twice)
            raise ValueError(f"fit: {places} are both called {twice!r}; give a dict of them by name")
        metrics = dict(zip(names, metrics, strict=True))
    wanted = getattr(loss, "targets", losses.NUMBERS)
    if not isinstance(wanted, losses.Targets):
        raise TypeError(f"fit: loss.targets must be a Targets such as ag.losses.SIGNS, got {describe(wanted)}")
    behind = None if not weighted else isinstance(targets[0], list)
    found: dict[str, Metric] = {}
    for name, metric in metrics.items():
        if known_as(metric, ["accuracy"]):
            # Decided here, from the loss and all targets: those of the validation alone may all be 1.
            metric = _Accuracy(wanted.threshold, wanted.signed or -1 in targets)
        if not callable(metric):
            raise TypeError(
                f"fit: a metric is 'accuracy' or a function of (predictions, targets), got {describe(metric)}"
                f"{did_you_mean(metric, ['accuracy'])}"
            )
        found[name] = _OnArrays(name, metric, behind)
    return found


class _Accuracy:
    def __init__(self, threshold: float, signed: bool) -> None:
        self.threshold, self.signed = threshold, signed

    def __call__(self, predictions: Any, targets: Any) -> float:
        return accuracy(predictions, targets, self.threshold, self.signed)


class _OnArrays:
    def __init__(self, name: str, metric: Callable[..., float], behind: bool | None) -> None:
        self.name, self.metric = name, metric
        self.behind = behind
        """Whether weights stand behind targets that are lists (True) or numbers; None without weights."""

    def __call__(self, predictions: Any, targets: Any) -> float:
        found = self.metric(_together(predictions), _together(numbers_alone(targets, self.behind)))
        try:
            return as_float(found, f"fit: metric {self.name!r}")
        except TypeError:
            raise TypeError(f"fit: metric {self.name!r} returned {describe(found)}, which is not a number") from None


def _together(rows: list[Any]) -> Any:
    """An array, or a list of arrays that differ in length."""
    import numpy as np

    try:
        return np.array(rows)
    except ValueError:
        return [np.array(row) for row in rows]
