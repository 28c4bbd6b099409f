"""Losses: how far a prediction is from its target, as one Value.

A prediction is a Value, or a sequence of them with a target for each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autograd_lite import functions
from autograd_lite.value import Value, plain, shown

__all__ = ["hinge", "squared_error"]


def squared_error(prediction: Any, target: Any) -> Any:
    """The sum of the squared differences.

        squared_error(p, t) = sum_k (p_k - t_k)^2

    Args:
        prediction: a Value, or a sequence of k.
        target: a number or Value, or a sequence of k.

    Returns:
        A Value, or a float if nothing is a Value.

    Raises:
        TypeError: a target is missing, or is neither a Value nor a number.
        ValueError: the lengths differ.

    Example:
        >>> score = ag.Value(5.0)
        >>> ag.losses.squared_error(score, 2.0).item()
        9.0

    Source: Stanford CS221, regression with squared loss; the backpropagation slides, J(w) = (y - a)^2.
    """
    return _total([(p - t) ** 2 for p, t in _pairs(prediction, target, "squared_error")])


def hinge(prediction: Any, target: Any) -> Any:
    """The hinge loss: 0 beyond a margin of 1 on the right side, and linear on the wrong one.

        hinge(p, y) = sum_k max(1 - p_k y_k, 0)

    Args:
        prediction: a score, as a Value, or a sequence of k.
        target: a label, -1 or 1, or a sequence of k.

    Returns:
        A Value, or a float if nothing is a Value. Its derivative at the kink is 0: it is written with relu.

    Raises:
        TypeError: a target is missing or no number.
        ValueError: a label is neither -1 nor 1, or the lengths differ.

    Example:
        >>> score = ag.Value(5.0)
        >>> ag.losses.hinge(score, -1).item(), ag.losses.hinge(score, 1).item()
        (6.0, 0.0)

    Source: Stanford CS221, linear classification with hinge loss.
    """
    pairs = _pairs(prediction, target, "hinge")
    for _, y in pairs:
        if not isinstance(y, Value) and y not in (-1.0, 1.0):
            raise ValueError(f"hinge: labels are -1 or 1, got {y:g}")
    return _total([functions.relu(1.0 - p * y) for p, y in pairs])


def _pairs(prediction: Any, target: Any, name: str) -> list[tuple[Any, Any]]:
    """Predictions with their targets, each a Value or a float; lengths must agree."""
    predictions, targets = _listed(prediction), _listed(target)
    if len(predictions) != len(targets):
        raise ValueError(f"{name}: {len(predictions)} predictions but {len(targets)} targets")
    if not predictions:
        raise ValueError(f"{name}: no prediction was given")
    return [
        (_operand(p, f"{name}: prediction {i}"), _operand(t, f"{name}: target {i}"))
        for i, (p, t) in enumerate(zip(predictions, targets, strict=True))
    ]


def _listed(x: Any) -> list[Any]:
    if isinstance(x, (str, bytes, dict)):
        raise TypeError(f"losses: expected numbers or Values, got {shown(x)}")
    if isinstance(x, Value) or not isinstance(x, Iterable) or getattr(x, "ndim", 1) == 0:
        return [x]
    return list(x)


def _operand(x: Any, what: str) -> Any:
    return x if isinstance(x, Value) else plain(x, what)


def _total(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else functions.sum(parts)
