"""The parts of an epoch: steps on mini-batches, eager or compiled, and validation.

One example's graph is built at a time and dropped when its gradients have been added, so memory does not grow with the
batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

from autograd_lite.engine.atomic import at_once, set_gradients, set_numbers
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.modes import no_grad
from autograd_lite.engine.reading import grads_of, number_of, numbers_of
from autograd_lite.engine.value import Value
from autograd_lite.names import BackendName
from autograd_lite.nn.layers import MLP, Layer
from autograd_lite.optim.optimizer import Optimizer


class TrainingStep:
    """A step of the optimizer on one mini-batch, and what is recorded of it."""

    model: Any
    optimizer: Optimizer
    loss: Any
    penalty: Any
    groups: Any

    def __init__(self, model: Any, optimizer: Optimizer, loss: Any, penalty: Any, groups: dict[str, Any]) -> None:
        self.model, self.optimizer, self.loss, self.penalty, self.groups = model, optimizer, loss, penalty, groups

    def __call__(self, batch: Sequence[tuple[Any, Any]]) -> tuple[list[float], float, list[Any], dict[str, float]]:
        """(loss of each example, penalty, prediction of each example, gradient norm of each layer)."""
        import numpy as np

        costs, cost, predictions, total = self._loss_and_grad(batch)
        with np.errstate(over="ignore", invalid="ignore"):
            norms = {name: float(np.linalg.norm(total[members])) for name, members in self.groups.items()}
        self._update(total)
        return costs, cost, predictions, norms

    def write_back(self) -> None:
        """Make the Values hold what the steps have changed: after an epoch, and when training stops."""

    def _update(self, total: Any) -> None:
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
            total = _add(total, _gradient(error, share, parameters, "the loss"))
            costs.append(number_of(error))
            predictions.append(_numbers(prediction))
        if self.penalty is not None:
            extra = self.penalty(self.model)
            total = _add(total, _gradient(extra, 1.0, parameters, "the penalty"))
            cost = number_of(extra)
        return costs, cost, predictions, total


class CompiledStep(TrainingStep):
    """A step by one program for all batches, on arrays; the Values get their numbers after each epoch."""

    several: list[bool]

    def __init__(
        self,
        model: Any,
        optimizer: Optimizer,
        loss: Any,
        penalty: Any,
        groups: dict[str, Any],
        backend: BackendName = "auto",
    ) -> None:
        from autograd_lite.folding.tracing import compile

        super().__init__(model, optimizer, loss, penalty, groups)

        def example(x: Any, target: Any) -> list[Any]:
            prediction = model(x)
            several[:] = [isinstance(prediction, (list, tuple))]
            return [loss(prediction, target), *(prediction if several[0] else [prediction])]

        # Set when the model is traced. A list, since `example` must not hold self: that would be a reference cycle.
        self.several = several = [False]
        self.program: Any = compile(example, params=optimizer.params, batch=True, backend=backend)
        self.extra: Any = (
            None if penalty is None else compile(lambda: penalty(model), params=optimizer.params, backend=backend)
        )
        self.ahead: tuple[Any, Any] | None = None
        """Parameters and gradients that the Values do not have yet."""

    def write_back(self) -> None:
        """Give the Values the numbers that the steps have changed."""
        if self.ahead is not None:
            theta, gradient = self.ahead
            params = self.optimizer.params
            done = map(setattr, (self,), ("ahead",), (None,))
            set_numbers(params, theta.tolist(), map(setattr, params, repeat("_grad"), gradient.tolist()), done)

    def _theta(self) -> Any:
        import numpy as np

        params = self.optimizer.params
        return np.array(numbers_of(params)) if self.ahead is None else self.ahead[0]

    def _update(self, total: Any) -> None:
        if type(self.optimizer).step is not Optimizer.step:  # a user-defined step works on the Values
            super()._update(total)
            return
        theta, effect = self.optimizer.stepped(self._theta(), total)
        at_once(map(setattr, (self,), ("ahead",), ((theta, total),)), effect)

    def _loss_and_grad(self, batch: Sequence[tuple[Any, Any]]) -> tuple[list[float], float, list[Any], Any]:
        theta = self._theta()
        examples, targets = zip(*batch, strict=True)
        rows, total = self.program.rows_and_grad(theta, list(examples), list(targets))
        costs, *outputs = (row.tolist() for row in rows)
        predictions = [list(row) for row in zip(*outputs, strict=True)] if self.several[0] else outputs[0]
        if self.extra is None:
            return costs, 0.0, predictions, total
        cost, slope = self.extra.loss_and_grad(theta)
        return costs, cost, predictions, _add(total, slope)


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


def _add(total: Any, gradient: Any) -> Any:
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
    costs: list[float] = []
    predictions: list[Any] = []
    penalties, weights = 0.0, 0
    norms = dict.fromkeys(step.groups, 0.0)
    steps = range(0, len(order), batch_size)
    for first in steps:
        batch = [data[i] for i in order[first : first + batch_size]]
        seen, penalty, outputs, lengths = step(batch)
        costs += seen
        penalties, weights = penalties + penalty * len(batch), weights + len(batch)
        for name, length in lengths.items():
            norms[name] += length / len(steps)
        if metrics:
            predictions += outputs
    step.write_back()
    row: dict[str, Any] = {
        "loss": sum(costs) / len(costs) + penalties / weights,
        "largest_loss": max(costs),
        "learning_rate": rate,
        "gradient_norms": norms,
    }
    if metrics:
        targets = [data[i][1] for i in order]
        row["metrics"] = {name: metric(predictions, targets) for name, metric in metrics.items()}
    return row


def validate(
    model: Any, loss: Any, held_out: Sequence[tuple[Any, Any]] | None, metrics: Mapping[str, Any], row: dict[str, Any]
) -> dict[str, Any]:
    """What validation adds to the row: the mean loss on the examples held out, and the metrics there."""
    if not held_out:
        return {}
    with no_grad():
        if type(model) in (MLP, Layer):  # matrix products: the same numbers, sooner
            outputs = model.predict([x for x, _ in held_out]).tolist()
        else:
            outputs = [_numbers(model(x)) for x, _ in held_out]
        total = 0.0
        for output, (_, target) in zip(outputs, held_out, strict=True):
            wrapped = [Value(v) for v in output] if isinstance(output, list) else Value(output)
            total += _numbers(loss(wrapped, target))
    targets = [target for _, target in held_out]
    added: dict[str, Any] = {"validation_loss": total / len(held_out)}
    if metrics:
        found = {f"validation_{name}": metric(outputs, targets) for name, metric in metrics.items()}
        added["metrics"] = {**row["metrics"], **found}
    return added


def _numbers(output: Any) -> Any:
    """A prediction as plain numbers."""
    if isinstance(output, (list, tuple)):
        return [number_of(v) if isinstance(v, Value) else float(v) for v in output]
    return number_of(output) if isinstance(output, Value) else as_float(output, "fit: the model's output")
