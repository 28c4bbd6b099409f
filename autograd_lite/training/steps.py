"""One step on a mini-batch, eager or compiled; one epoch; one validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

from autograd_lite.engine.atomic import at_once, set_gradients, set_numbers
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.modes import no_grad
from autograd_lite.engine.value import Value
from autograd_lite.nn.layers import MLP, Layer
from autograd_lite.optim.optimizer import Optimizer

# --- the parts of an epoch --------------------------------------------------------------------------------


class Step:
    """One step of the optimizer on one mini-batch, and what it saw on the way."""

    def __init__(self, model: Any, optimizer: Optimizer, loss: Any, penalty: Any, groups: dict[str, Any]) -> None:
        self.model, self.optimizer, self.loss, self.penalty, self.groups = model, optimizer, loss, penalty, groups

    def __call__(self, batch: Sequence[tuple[Any, Any]]) -> tuple[list[float], float, list[Any], dict[str, float]]:
        """(loss of each example, penalty, prediction of each example, gradient norm of each layer)."""
        import numpy as np

        costs, cost, predictions, total = self._differentiated(batch)
        with np.errstate(over="ignore", invalid="ignore"):
            norms = {name: float(np.linalg.norm(total[members])) for name, members in self.groups.items()}
        self._stepped(total)
        return costs, cost, predictions, norms

    def write_back(self) -> None:
        """After an epoch, or where training stops: what the steps have changed is in the Values."""

    def _stepped(self, total: Any) -> None:
        """Take the step with this gradient; where it is refused, the gradients stay those of the step before."""
        before = [p._grad for p in self.optimizer.params]
        set_gradients(self.optimizer.params, total.tolist())
        try:
            self.optimizer.step()
        except Exception:
            set_gradients(self.optimizer.params, before)
            raise

    def _differentiated(self, batch: Sequence[tuple[Any, Any]]) -> tuple[list[float], float, list[Any], Any]:
        """(loss of each example, penalty, prediction of each example, gradient)."""
        import numpy as np

        parameters, share = self.optimizer.params, 1.0 / len(batch)
        total = np.zeros(len(parameters))
        costs, predictions, cost = [], [], 0.0
        for x, target in batch:
            prediction = self.model(x)
            error = self.loss(prediction, target)
            total = _sum(total, _slopes(error, share, parameters, "the loss"))
            costs.append(error._f)
            predictions.append(_numbers(prediction))
        if self.penalty is not None:
            extra = self.penalty(self.model)
            total = _sum(total, _slopes(extra, 1.0, parameters, "the penalty"))
            cost = extra._f
        return costs, cost, predictions, total


class CompiledStep(Step):
    """The same with one program for all batches, on arrays; the Values get their numbers after each epoch."""

    def __init__(self, model: Any, optimizer: Optimizer, loss: Any, penalty: Any, groups: dict[str, Any]) -> None:
        from autograd_lite.folding.tracing import compile

        super().__init__(model, optimizer, loss, penalty, groups)

        def example(x: Any, target: Any) -> list[Any]:
            prediction = model(x)
            several[:] = [isinstance(prediction, (list, tuple))]
            return [loss(prediction, target), *(prediction if several[0] else [prediction])]

        self.several = several = [False]  # a list, which `example` can hold without holding self: that were a cycle
        self.program = compile(example, params=optimizer.params, batch=True)
        self.extra = None if penalty is None else compile(lambda: penalty(model), params=optimizer.params)
        self.now: tuple[Any, Any] | None = None
        """Parameters and gradients that are ahead of the Values."""

    def write_back(self) -> None:
        """Give the Values the numbers that the steps have changed."""
        if self.now is not None:
            theta, gradient = self.now
            params = self.optimizer.params
            done = map(setattr, (self,), ("now",), (None,))
            set_numbers(params, theta.tolist(), map(setattr, params, repeat("_grad"), gradient.tolist()), done)

    def _theta(self) -> Any:
        import numpy as np

        params = self.optimizer.params
        return np.fromiter((p._f for p in params), float, len(params)) if self.now is None else self.now[0]

    def _stepped(self, total: Any) -> None:
        if type(self.optimizer).step is not Optimizer.step:  # a step of the user's own works on the Values
            super()._stepped(total)
            return
        theta, effect = self.optimizer.stepped(self._theta(), total)
        at_once(map(setattr, (self,), ("now",), ((theta, total),)), effect)  # the vector and the optimizer, together

    def _differentiated(self, batch: Sequence[tuple[Any, Any]]) -> tuple[list[float], float, list[Any], Any]:
        theta = self._theta()
        examples, targets = zip(*batch, strict=True)
        rows, total = self.program.rows_and_grad(theta, list(examples), list(targets))
        costs, *outputs = (row.tolist() for row in rows)
        predictions = [list(row) for row in zip(*outputs, strict=True)] if self.several[0] else outputs[0]
        if self.extra is None:
            return costs, 0.0, predictions, total
        cost, slope = self.extra.loss_and_grad(theta)
        return costs, cost, predictions, _sum(total, slope)


def _slopes(root: Any, gradient: float, parameters: Sequence[Value], what: str) -> list[float]:
    check_value(root, what)
    found = adjoints(root, gradient).get
    return [found(p, 0.0) for p in parameters]


def check_value(root: Any, what: str) -> None:
    """Refuse a loss or a penalty that is not a Value."""
    if not isinstance(root, Value):
        raise TypeError(
            f"fit: {what} is {describe(root)} and no Value: the model must compute with its parameters, by the "
            "operators and functions of this package"
        )


def _sum(total: Any, slopes: Any) -> Any:
    """Gradients added up; of one that overflows the step tells, by the name of its parameter, and not NumPy."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return total + slopes


def run_epoch(
    step: Step, data: Sequence[tuple[Any, Any]], size: int, order: Sequence[int], measures: Mapping[str, Any]
) -> dict[str, Any]:
    """Every example once, in this order; the row that says how it went."""
    rate = step.optimizer.lr
    costs: list[float] = []
    predictions: list[Any] = []
    penalties, weights = 0.0, 0
    norms = dict.fromkeys(step.groups, 0.0)
    steps = range(0, len(order), size)
    for first in steps:
        batch = [data[i] for i in order[first : first + size]]
        seen, penalty, outputs, lengths = step(batch)
        costs += seen
        penalties, weights = penalties + penalty * len(batch), weights + len(batch)
        for name, length in lengths.items():
            norms[name] += length / len(steps)
        if measures:
            predictions += outputs
    step.write_back()
    row: dict[str, Any] = {
        "loss": sum(costs) / len(costs) + penalties / weights,
        "largest_loss": max(costs),
        "learning_rate": rate,
        "gradient_norms": norms,
    }
    if measures:
        targets = [data[i][1] for i in order]
        row["metrics"] = {name: measure(predictions, targets) for name, measure in measures.items()}
    return row


def validate(
    model: Any, loss: Any, held: Sequence[tuple[Any, Any]] | None, measures: Mapping[str, Any], row: dict[str, Any]
) -> dict[str, Any]:
    """What is added to the row: the mean loss on the validation data, and the metrics there."""
    if not held:
        return {}
    with no_grad():
        if type(model) in (MLP, Layer):  # the same numbers by matrix products
            outputs = model.predict([x for x, _ in held]).tolist()
        else:
            outputs = [_numbers(model(x)) for x, _ in held]
        total = 0.0
        for output, (_, target) in zip(outputs, held, strict=True):
            wrapped = [Value(v) for v in output] if isinstance(output, list) else Value(output)
            total += loss(wrapped, target).item()
    targets = [target for _, target in held]
    added: dict[str, Any] = {"validation_loss": total / len(held)}
    if measures:
        on_held = {f"validation_{name}": measure(outputs, targets) for name, measure in measures.items()}
        added["metrics"] = {**row["metrics"], **on_held}
    return added


def _numbers(output: Any) -> Any:
    """A prediction as plain numbers."""
    if isinstance(output, (list, tuple)):
        return [v._f if isinstance(v, Value) else float(v) for v in output]
    return output._f if isinstance(output, Value) else as_float(output, "fit: the model's output")
