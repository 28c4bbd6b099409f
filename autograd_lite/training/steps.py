"""The parts of an epoch: steps on mini-batches, and validation.

One example's graph is built at a time and dropped when its gradients have been added, so memory does not grow with the
batch. What runs as a program instead is in compiled.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from autograd_lite.data import epoch_order
from autograd_lite.engine.atomic import set_gradients, set_numbers
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.modes import no_grad
from autograd_lite.engine.reading import grads_of, number_of
from autograd_lite.engine.value import Value
from autograd_lite.nn.layers import MLP, Layer
from autograd_lite.optim.optimizer import Optimizer


class Epoch(NamedTuple):
    """What is recorded of the steps of an epoch.

    Args:
        loss: the mean over the examples, with the penalty.
        largest_loss: of one example.
        norms: of the gradient of each layer, the mean over the steps.
        predictions: of each example in order, if they are wanted.
    """

    loss: float
    largest_loss: float
    norms: dict[str, float]
    predictions: list[Any]


class TrainingStep:
    """A step of the optimizer on one mini-batch, and what is recorded of it."""

    backend = "eager"
    threads = 1
    """What computes the gradients, and how many threads it may use; see `History`."""

    model: Any
    optimizer: Optimizer
    loss: Any
    penalty: Any
    groups: Any

    def __init__(self, model: Any, optimizer: Optimizer, loss: Any, penalty: Any, groups: dict[str, Any]) -> None:
        self.model, self.optimizer, self.loss, self.penalty, self.groups = model, optimizer, loss, penalty, groups

    def epoch(self, data: Sequence[tuple[Any, Any]], batch_size: int, order: Sequence[int], predict: bool) -> Epoch:
        """Every example once, in this order."""
        costs: list[float] = []
        predictions: list[Any] = []
        penalties, weights = 0.0, 0
        norms = dict.fromkeys(self.groups, 0.0)
        steps = range(0, len(order), batch_size)
        for first in steps:
            batch = [data[i] for i in order[first : first + batch_size]]
            seen, penalty, outputs, total = self._loss_and_grad(batch)
            lengths = self._norms(total)
            self.update(total)
            costs += seen
            penalties, weights = penalties + penalty * len(batch), weights + len(batch)
            for name, length in lengths.items():
                norms[name] += length / len(steps)
            if predict:
                predictions += outputs
        return Epoch(sum(costs) / len(costs) + penalties / weights, max(costs), norms, predictions)

    def evaluate(self, data: Sequence[tuple[Any, Any]], theta: Any) -> tuple[Any, float, list[Any], Any]:
        """At these parameters: (loss of each example, penalty, prediction of each example, gradient)."""
        set_numbers(self.optimizer.params, theta.tolist())
        return self._loss_and_grad(data)

    def order(self, n: int, seed: int | None, epoch: int, shuffle: bool) -> Sequence[int]:
        """The order of n examples in an epoch."""
        return epoch_order(n, seed, epoch, shuffle)

    def write_back(self) -> None:
        """Make the Values hold what the steps have changed: after an epoch, and when training stops."""

    def validate(self, held_out: Sequence[tuple[Any, Any]]) -> tuple[float, list[Any]]:
        """The mean loss on examples held out, and the predictions."""
        self.write_back()
        model = self.model
        with no_grad():
            if type(model) in (MLP, Layer):  # matrix products: the same numbers, sooner
                outputs = model.predict([x for x, _ in held_out]).tolist()
            else:
                outputs = [_numbers(model(x)) for x, _ in held_out]
            total = 0.0
            for output, (_, target) in zip(outputs, held_out, strict=True):
                wrapped = [Value(v) for v in output] if isinstance(output, list) else Value(output)
                total += _numbers(self.loss(wrapped, target))
        return total / len(held_out), outputs

    def _norms(self, total: Any) -> dict[str, float]:
        """The length of the gradient of each layer."""
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):
            return {name: float(np.linalg.norm(total[members])) for name, members in self.groups.items()}

    def update(self, total: Any) -> None:
        """Take the step with this gradient; if it is refused, `.grad` stays that of the step before."""
        before = grads_of(self.optimizer.params)
        set_gradients(self.optimizer.params, total.tolist())
        try:
            self.optimizer.step()
        except Exception:
            set_gradients(self.optimizer.params, before)
            raise

    def _loss_and_grad(self, batch: Sequence[tuple[Any, Any]]) -> tuple[list[float], float, list[Any], Any]:
        """(loss of each example, penalty, prediction of each example, gradient)."""
        import numpy as np

        parameters, share = self.optimizer.params, 1.0 / len(batch)
        total = np.zeros(len(parameters))
        costs, predictions, cost = [], [], 0.0
        for x, target in batch:
            prediction = self.model(x)
            error = self.loss(prediction, target)
            total = add(total, _gradient(error, share, parameters, "the loss"))
            costs.append(number_of(error))
            predictions.append(_numbers(prediction))
        if self.penalty is not None:
            extra = self.penalty(self.model)
            total = add(total, _gradient(extra, 1.0, parameters, "the penalty"))
            cost = number_of(extra)
        return costs, cost, predictions, total


def _gradient(root: Any, seed: float, parameters: Sequence[Value], what: str) -> list[float]:
    """The derivatives of seed * root by the parameters."""
    check_value(root, what)
    found = adjoints(root, seed).get
    return [found(p, 0.0) for p in parameters]


def check_value(root: Any, what: str) -> None:
    """Refuse a loss or a penalty that is not a Value."""
    if not isinstance(root, Value):
        raise TypeError(
            f"fit: {what} is {describe(root)}, not a Value: the model must compute with its parameters, by the "
            "operators and functions of this package"
        )


def add(total: Any, gradient: Any) -> Any:
    """Gradients added; NumPy must not warn of an overflow, since the step refuses it with the parameter's name."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return total + gradient


def train_epoch(
    step: TrainingStep,
    data: Sequence[tuple[Any, Any]],
    batch_size: int,
    order: Sequence[int],
    metrics: Mapping[str, Any],
) -> dict[str, Any]:
    """Every example once, in this order; the row of the history."""
    rate = step.optimizer.lr
    seen = step.epoch(data, batch_size, order, bool(metrics))
    return epoch_row(step, rate, seen, [data[i][1] for i in order] if metrics else [], metrics)


def epoch_row(
    step: TrainingStep, rate: float, seen: Epoch, targets: list[Any], metrics: Mapping[str, Any]
) -> dict[str, Any]:
    """The row of the history of an epoch; targets are those of the predictions seen."""
    row: dict[str, Any] = {
        "loss": seen.loss,
        "largest_loss": seen.largest_loss,
        "learning_rate": rate,
        "gradient_norms": seen.norms,
    }
    if metrics:
        step.write_back()  # a metric may look at the model
        row["metrics"] = {name: metric(seen.predictions, targets) for name, metric in metrics.items()}
    return row


def validate(
    step: TrainingStep, held_out: Sequence[tuple[Any, Any]] | None, metrics: Mapping[str, Any], row: dict[str, Any]
) -> dict[str, Any]:
    """What validation adds to the row: the mean loss on the examples held out, and the metrics there."""
    if not held_out:
        return {}
    loss, outputs = step.validate(held_out)
    added: dict[str, Any] = {"validation_loss": loss}
    if metrics:
        targets = [target for _, target in held_out]
        found = {f"validation_{name}": metric(outputs, targets) for name, metric in metrics.items()}
        added["metrics"] = {**row["metrics"], **found}
    return added


def _numbers(output: Any) -> Any:
    """A prediction as plain numbers."""
    if isinstance(output, (list, tuple)):
        return [number_of(v) if isinstance(v, Value) else float(v) for v in output]
    return number_of(output) if isinstance(output, Value) else as_float(output, "fit: the model's output")
