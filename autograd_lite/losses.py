"""Losses: how far a prediction is from its target, as one Value; and penalties on parameters.

A prediction is a Value, or a sequence of them with a target for each; a loss over a sequence is the
sum over its elements, unless its name says mean. Targets are data: numbers, or Values in a program that is run again
with other targets. On floats alone a loss is a float. Each loss has an attribute `targets`, which says what its
targets are; `fit` and its metrics ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, nan
from typing import Any, NamedTuple, TypeVar

from autograd_lite.engine import functions
from autograd_lite.engine.checks import as_float, describe, did_you_mean, known_as
from autograd_lite.engine.modes import mode
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Value

__all__ = [
    "CLASSES", "LOGITS", "LOSSES", "NUMBERS", "PROBABILITIES", "SIGNS", "Targets", "absolute_error",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "half_squared_error", "hinge",
    "huber", "l1", "l2", "mean_squared_error", "perceptron", "squared_error",
]  # fmt: skip


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)


# --- what targets are ---------------------------------------------------------------------------------


class Targets(NamedTuple):
    """What a loss takes as targets, and how its predictions are read as classes: the attribute `targets` of a loss.

    A user-defined loss may have it too; without it, `NUMBERS` is assumed.

    Attributes:
        rule: what a target is, for error messages; empty if every number is one.
        valid: a function that is 1 for a valid target and 0 otherwise, made of operators and functions of this package.
        signed: whether the labels of two classes are -1 and 1; the sign of the prediction decides.
        threshold: otherwise, the prediction above which the label is 1.
        prediction, target: what they are, for docstrings.
        hint: what to write instead, for error messages.

    Example:
        >>> def logistic(score, label):
        ...     return ag.softplus(-score * label)
        >>> logistic.targets = ag.losses.SIGNS
        >>> ag.losses.hinge.targets == ag.losses.SIGNS
        True
    """

    rule: str = ""
    valid: Callable[[Any], Any] | None = None
    signed: bool = False
    threshold: float = 0.5
    prediction: str = "a number"
    target: str = "a number"
    hint: str = ""


def _is_sign(t: Any) -> Any:
    return functions.equal(t * t, 1.0)


def _is_probability(t: Any) -> Any:
    return functions.greater_equal(t, 0.0) * functions.less_equal(t, 1.0)


NUMBERS = Targets()
"""Any number: regression."""

SIGNS = Targets(
    "labels are -1 or 1", _is_sign, signed=True, prediction="a score, positive for 1", target="a label, -1 or 1",
    hint="; for labels 0 and 1 use 2 * y - 1",
)  # fmt: skip
"""Labels -1 and 1, of scores."""

PROBABILITIES = Targets(
    "targets are 0 or 1 (or probabilities between)", _is_probability, prediction="a probability",
    target="0 or 1, or a probability between",
)  # fmt: skip
"""Labels 0 and 1, of probabilities."""

LOGITS = PROBABILITIES._replace(threshold=0.0, prediction="a score (logit)")
"""Labels 0 and 1, of scores."""

CLASSES = Targets(prediction="K scores (logits)", target="a label, 0 to K - 1, or K probabilities")
"""One of K classes, of a score for each."""


COMMON = """Args:
    prediction: {targets.prediction}, as a Value, or a sequence of k.
    target: {targets.target}, as a number or Value, or a sequence of k.

Returns:
    A Value, or a float if nothing is a Value.

Raises:
    TypeError: a target is missing, or is neither a Value nor a number.
    ValueError: the lengths differ{otherwise}.

"""
"""The part of a docstring that losses share; it stands before the example."""

Loss = TypeVar("Loss", bound=Callable[..., Any])


def _takes(targets: Targets, documented: bool = False) -> Callable[[Loss], Loss]:
    """Mark a loss with its targets, and complete its docstring unless it is documented already."""

    def mark(loss: Loss) -> Loss:
        loss.targets = targets  # type: ignore[attr-defined]
        if loss.__doc__ and not documented:  # python -OO has none
            before, example, after = loss.__doc__.partition("Example:")
            common = COMMON.format(targets=targets, otherwise=", or a target is something else" if targets.rule else "")
            loss.__doc__ = before + common.replace("\n", "\n" + before.rpartition("\n")[2]) + example + after
        return loss

    return mark


# --- regression ---------------------------------------------------------------------------------------


@_takes(NUMBERS)
def squared_error(prediction: Any, target: Any) -> Any:
    """The sum of the squared differences.

        squared_error(p, t) = sum_k (p_k - t_k)^2

    Example:
        >>> score = ag.Value(5.0)
        >>> ag.losses.squared_error(score, 2.0).item()
        9.0

    Source: Stanford CS221, regression with squared loss; the backpropagation slides, J(w) = (y - a)^2.
    """
    return _sum(_squares(squared_error, prediction, target))


@_takes(NUMBERS)
def mean_squared_error(prediction: Any, target: Any) -> Any:
    """The mean of the squared differences over the outputs.

        mean_squared_error(p, t) = 1/K sum_k (p_k - t_k)^2

    Example:
        >>> ag.losses.mean_squared_error([1.0, 5.0], [0.0, 2.0])
        5.0
    """
    squares = _squares(mean_squared_error, prediction, target)
    return squares[0] if len(squares) == 1 else functions.mean(squares)


@_takes(NUMBERS)
def half_squared_error(prediction: Any, target: Any) -> Any:
    """Half the sum of the squared differences, whose derivative is the difference itself.

        half_squared_error(o, t) = sum_k 1/2 (o_k - t_k)^2

    Example:
        >>> o = [ag.Value(0.2), ag.Value(0.7)]
        >>> ag.gradients(ag.losses.half_squared_error(o, [0.0, 1.0]), o)
        [0.2, -0.30000000000000004]

    Source: the weight-update slides, common loss functions.
    """
    return 0.5 * _sum(_squares(half_squared_error, prediction, target))


@_takes(NUMBERS)
def absolute_error(prediction: Any, target: Any) -> Any:
    """The sum of the absolute differences.

        absolute_error(p, t) = sum_k |p_k - t_k|,  derivative 0 where they are equal

    Example:
        >>> ag.losses.absolute_error(ag.Value(5.0), 2.0).item()
        3.0
    """
    return _sum([abs(p - t) for p, t in _matched(absolute_error, prediction, target)])


@_takes(NUMBERS)
def huber(prediction: Any, target: Any, delta: float = 1.0) -> Any:
    """Quadratic near the target and linear far from it: an outlier contributes a slope of at most delta.

        huber(p, t) = sum_k { r^2 / 2              where |r| <= delta
                            { delta (|r| - delta / 2) elsewhere,      r = p_k - t_k

    delta must be above 0 (ValueError).

    Example:
        >>> ag.losses.huber(ag.Value(0.5), 0.0).item(), ag.losses.huber(ag.Value(5.0), 0.0).item()
        (0.125, 4.5)

    Source: Huber, Robust estimation of a location parameter, 1964.
    """
    limit = as_float(delta, "huber: delta")
    if not limit > 0.0:
        raise ValueError(f"huber: delta must be above 0, got {limit:g}")
    parts = []
    for p, t in _matched(huber, prediction, target):
        r = p - t
        near = functions.clamp(r, -limit, limit)
        parts.append(near * (r - 0.5 * near))  # r^2 / 2 where r is within, and smooth: no abs with a kink at 0
    return _sum(parts)


# --- classification ---------------------------------------------------------------------------------------


@_takes(SIGNS)
def hinge(prediction: Any, target: Any) -> Any:
    """The hinge loss: 0 beyond a margin of 1 on the right side, linear otherwise.

        hinge(p, y) = sum_k max(1 - p_k y_k, 0)

    Its derivative at the kink is 0: it is written with relu.

    Example:
        >>> score = ag.Value(5.0)
        >>> ag.losses.hinge(score, -1).item(), ag.losses.hinge(score, 1).item()
        (6.0, 0.0)

    Source: Stanford CS221, linear classification with hinge loss.
    """
    return _sum([functions.relu(1.0 - p * y) for p, y in _matched(hinge, prediction, target)])


@_takes(SIGNS)
def perceptron(prediction: Any, target: Any) -> Any:
    """The perceptron's loss: 0 on the right side, linear on the wrong one.

        perceptron(p, y) = sum_k max(-p_k y_k, 0)

    The prediction is the score w . x + b. Its derivative at the kink is 0: it is written with relu.

    Example:
        >>> ag.losses.perceptron(ag.Value(1.5), -1).item(), ag.losses.perceptron(ag.Value(1.5), 1).item()
        (1.5, 0.0)

    Source: Hajij, The Backpropagation Algorithm: error(w, b), the sum of it over the examples.
    """
    return _sum([functions.relu(-(p * y)) for p, y in _matched(perceptron, prediction, target)])


@_takes(PROBABILITIES)
def binary_cross_entropy(prediction: Any, target: Any) -> Any:
    """Minus the log-likelihood of 0/1 targets under predicted probabilities.

        binary_cross_entropy(p, t) = -sum_k t_k log p_k + (1 - t_k) log(1 - p_k)

    Nothing is clamped: certain and wrong costs infinity, and outside [0, 1] the loss is NaN. For scores there is
    `binary_cross_entropy_with_logits`.

    Example:
        >>> p = ag.Value(0.25)
        >>> ag.gradients(ag.losses.binary_cross_entropy(p, 1), p)
        -4.0
    """
    pairs = _matched(binary_cross_entropy, prediction, target)
    return _sum([_expectation(t, p, _minus_log, _minus_log1m) for p, t in pairs])


def _minus_log(p: Any) -> Any:
    """-log(p) for a probability: NaN above 1 as well as below 0."""
    return 0.0 - functions.where(functions.greater(p, 1.0), functions.log(1.0 - p), functions.log(p))


def _minus_log1m(p: Any) -> Any:
    """-log(1 - p) for a probability: NaN below 0 as well as above 1."""
    return 0.0 - functions.where(functions.less(p, 0.0), functions.log(p), functions.log1p(-p))


@_takes(LOGITS)
def binary_cross_entropy_with_logits(prediction: Any, target: Any) -> Any:
    """Binary cross-entropy of p = sigmoid(z), from the score z itself, without overflow or cancellation.

        binary_cross_entropy_with_logits(z, t) = sum_k t_k softplus(-z_k) + (1 - t_k) softplus(z_k)

    Example:
        >>> z = ag.Value(0.0)
        >>> ag.gradients(ag.losses.binary_cross_entropy_with_logits(z, 1), z)
        -0.5
    """
    pairs = _matched(binary_cross_entropy_with_logits, prediction, target)
    return _sum([_expectation(t, z, _minus_log_sigmoid, functions.softplus) for z, t in pairs])


def _minus_log_sigmoid(z: Any) -> Any:
    return functions.softplus(-z)


def _expectation(t: Any, x: Any, one: Callable[[Any], Any], zero: Callable[[Any], Any]) -> Any:
    """The expected loss t one(x) + (1 - t) zero(x), where a factor of exactly 0 gives 0: one(x) may be infinite."""
    if not isinstance(t, Value):
        return one(x) if t == 1.0 else zero(x) if t == 0.0 else t * one(x) + (1.0 - t) * zero(x)
    rest = 1.0 - t
    return functions.where(t, t * one(x), 0.0) + functions.where(rest, rest * zero(x), 0.0)


@_takes(CLASSES, documented=True)
def cross_entropy(logits: Any, target: Any) -> Any:
    """Minus the log-likelihood of a class, or of a distribution over classes, under softmax(logits).

        cross_entropy(z, y) = log(sum_k exp(z_k)) - z_y,  or  -sum_k t_k log softmax(z)_k

    Exact also for a prediction that is almost certain: log(1 + exp(logsumexp of the others - z_y)).

    Args:
        logits: K scores.
        target: a label, 0 to K - 1, or K probabilities that add up to 1. In a program, a row with another label
            has loss and gradient NaN.

    Returns:
        A Value, or a float if nothing is a Value.

    Raises:
        TypeError: logits is not a sequence, or a target is not a number.
        ValueError: the label is out of range, or the target is not a distribution over K classes.

    Example:
        >>> z = [ag.Value(1.0), ag.Value(2.0), ag.Value(3.0)]
        >>> loss = ag.losses.cross_entropy(z, 2)
        >>> round(loss.item(), 6), [round(g, 6) for g in ag.gradients(loss, z)]
        (0.407606, [0.090031, 0.244728, -0.334759])

    Source: the weight-update slides, cross-entropy loss, with the softmax that makes its outputs.
    """
    if isinstance(logits, Value) or not isinstance(logits, Iterable):
        raise TypeError(
            f"cross_entropy: expected a sequence of K scores, got {describe(logits)}; "
            "for one score and targets 0 and 1 use binary_cross_entropy_with_logits"
        )
    z = [_operand(x, f"cross_entropy: logit {i}") for i, x in enumerate(_as_sequence(logits))]
    if not z:
        raise ValueError("cross_entropy: there are no logits")
    if isinstance(target, Value):
        return _of_live_class(z, target)
    if not isinstance(target, Iterable) or getattr(target, "ndim", 1) == 0:
        return _of_class(z, _label(target, len(z)))
    t = [_operand(x, f"cross_entropy: target {k}") for k, x in enumerate(_as_sequence(target))]
    if len(t) != len(z):
        raise ValueError(f"cross_entropy: {len(z)} logits but a distribution over {len(t)} classes")
    numbers = [x.item() if isinstance(x, Value) else x for x in t]
    for k, x in enumerate(numbers):
        if not 0.0 <= x <= 1.0:
            raise ValueError(f"cross_entropy: a distribution lies in [0, 1], entry {k} is {x:g}")
    if abs(sum(numbers) - 1.0) > 1e-6:
        raise ValueError(f"cross_entropy: a distribution adds up to 1, this one to {sum(numbers):g}")
    if not any(isinstance(x, Value) for x in t) and sorted(numbers)[-1] == 1.0:
        return _of_class(z, numbers.index(1.0))
    return _from_distribution(z, t)


def _of_class(z: list[Any], k: int) -> Any:
    others = z[:k] + z[k + 1 :]
    if not others:
        return functions.logsumexp(z) - z[k]
    return functions.softplus((others[0] if len(others) == 1 else functions.logsumexp(others)) - z[k])


def _of_live_class(z: list[Any], target: Value) -> Any:
    """`_of_class` for a label that may be another one in a later run of a program; NaN if it is not a class."""
    if mode.tracer is None:
        _label(number_of(target), len(z))
    hits = [functions.equal(target, float(k)) for k in range(len(z))]
    own = functions.sum([functions.where(hit, x, 0.0) for hit, x in zip(hits, z, strict=True)])
    others = functions.logsumexp([functions.where(hit, -inf, x) for hit, x in zip(hits, z, strict=True)])
    return functions.softplus(others - own) * functions.where(functions.sum(hits), 1.0, nan)


def _from_distribution(z: list[Any], t: list[Any]) -> Any:
    parts = []
    for x, log_p in zip(t, functions.log_softmax(z), strict=True):
        if isinstance(x, Value):
            parts.append(functions.where(x, -(x * log_p), 0.0))
        elif x != 0.0:
            parts.append(-x * log_p)
    return _sum(parts)


def _label(label: Any, classes: int) -> int:
    k = as_float(label, "cross_entropy: target")
    if k != k or k not in range(classes):
        raise ValueError(f"cross_entropy: a label is a whole number from 0 to {classes - 1}, got {k:g}")
    return int(k)


LOSSES: dict[str, Callable[..., Any]] = {name: f for name, f in list(globals().items()) if hasattr(f, "targets")}
"""Every loss by its name, as `fit(loss="hinge")` finds it."""


# --- penalties -----------------------------------------------------------------------------------------------


def l2(parameters: Iterable[Any], coefficient: float = 1.0) -> Any:
    """The penalty on large weights, as one Value to add to a loss.

        l2(w, lambda) = lambda * sum w^2

    Args:
        parameters: Values, such as `model.parameters()` or `model.weights()`.
        coefficient: the slides' lambda, at least 0.

    Returns:
        A Value, or a float if nothing is a Value.

    Raises:
        TypeError: parameters is not a sequence of Values, or coefficient is not a number.
        ValueError: coefficient is negative.

    Example:
        >>> w = [ag.Parameter(3.0), ag.Parameter(-1.0)]
        >>> penalty = ag.losses.l2(w, 0.5)
        >>> penalty.item(), ag.gradients(penalty, w)
        (5.0, [3.0, -1.0])

    Source: the backpropagation slides, regularization. The optimizers' `l2=` gives the same gradient.
    """
    ws = _weights(parameters, "l2")
    return _coefficient(coefficient, "l2") * functions.dot(ws, ws)


def l1(parameters: Iterable[Any], coefficient: float = 1.0) -> Any:
    """The penalty that makes weights vanish, as one Value to add to a loss.

        l1(w, lambda) = lambda * sum |w|

    Args:
        parameters: Values, such as `model.parameters()` or `model.weights()`.
        coefficient: at least 0.

    Returns:
        A Value, or a float if nothing is a Value.

    Raises:
        TypeError: parameters is not a sequence of Values, or coefficient is not a number.
        ValueError: coefficient is negative.

    Example:
        >>> w = [ag.Parameter(3.0), ag.Parameter(-1.0)]
        >>> penalty = ag.losses.l1(w, 0.5)
        >>> penalty.item(), ag.gradients(penalty, w)
        (2.0, [0.5, -0.5])
    """
    return _coefficient(coefficient, "l1") * functions.sum([abs(w) for w in _weights(parameters, "l1")])


def _weights(parameters: Any, who: str) -> list[Any]:
    if not isinstance(parameters, Iterable) or getattr(parameters, "ndim", 1) == 0:
        raise TypeError(f"{who}: expected a sequence of Values, such as model.weights(), got {describe(parameters)}")
    return [w if isinstance(w, Value) else as_float(w, f"{who}: element {i}") for i, w in enumerate(parameters)]


def _coefficient(x: Any, who: str) -> float:
    value = as_float(x, f"{who}: coefficient")
    if not value >= 0.0:
        raise ValueError(f"{who}: coefficient must be at least 0, got {value:g}")
    return value


# --- predictions and targets --------------------------------------------------------------------------------


def _matched(loss: Callable[..., Any], prediction: Any, target: Any) -> list[tuple[Any, Any]]:
    """Predictions with their targets, each a Value or a float; the loss says what a target may be."""
    name, wanted = loss.__name__, loss.targets  # type: ignore[attr-defined]
    predictions, targets = _as_sequence(prediction), _as_sequence(target)
    if len(predictions) != len(targets):
        raise ValueError(f"{name}: {len(predictions)} predictions but {len(targets)} targets")
    if not predictions:
        raise ValueError(f"{name}: no prediction was given")
    pairs = [
        (_operand(p, f"{name}: prediction {i}"), _operand(t, f"{name}: target {i}"))
        for i, (p, t) in enumerate(zip(predictions, targets, strict=True))
    ]
    return pairs if wanted.valid is None else [(p, _valid(t, wanted, name)) for p, t in pairs]


def _valid(target: Any, wanted: Targets, name: str) -> Any:
    """A target that is valid; one that is a Value, and may be another number in a program, is NaN if it is not."""
    assert wanted.valid is not None
    if not isinstance(target, Value):
        if wanted.valid(target) != 1.0:
            raise ValueError(f"{name}: {wanted.rule}, got {target:g}{wanted.hint}")
        return target
    if mode.tracer is None:
        _valid(number_of(target), wanted, name)
    return target * functions.where(wanted.valid(target), 1.0, nan)


def _squares(loss: Callable[..., Any], prediction: Any, target: Any) -> list[Any]:
    return [_square(p - t) for p, t in _matched(loss, prediction, target)]


def _square(r: Any) -> Any:
    return r**2 if isinstance(r, Value) else r * r  # ** on floats overflows with an exception


def _as_sequence(x: Any) -> list[Any]:
    if isinstance(x, (str, bytes, dict)):
        raise TypeError(f"losses: expected numbers or Values, got {describe(x)}")
    if isinstance(x, Value) or not isinstance(x, Iterable) or getattr(x, "ndim", 1) == 0:
        return [x]
    return list(x)


def _operand(x: Any, what: str) -> Any:
    return x if isinstance(x, Value) else as_float(x, what)


def _sum(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else functions.sum(parts)


def loss_of(loss: Any, who: str) -> Callable[[Any, Any], Any]:
    """A loss given as a function or by its name; `who` begins the messages."""
    if isinstance(loss, str):
        found = known_as(loss, LOSSES)
        if found is None:
            raise ValueError(f"{who}: unknown loss {loss!r}; known are {', '.join(LOSSES)}{did_you_mean(loss, LOSSES)}")
        return LOSSES[found]
    if not callable(loss):
        raise TypeError(f"{who}: loss must be a function of (prediction, target), got {describe(loss)}")
    return loss  # type: ignore[no-any-return]
