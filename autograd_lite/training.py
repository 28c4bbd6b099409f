"""Training: `fit`, which runs epochs of mini-batches, and the perceptron's own rule.

One example's graph is built at a time and dropped when its gradients are added up, so memory does not
grow with the batch. What is written is written at once: the parameters and the optimizer's state in
`Optimizer.step`, an epoch's row together with the best weights. The order of the examples in epoch e is a
function of the seed and e alone, so that a training taken up again needs no state of a generator.
"""

from __future__ import annotations

import hashlib
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from math import inf
from os.path import realpath
from pathlib import Path
from typing import Any

from autograd_lite import files, losses
from autograd_lite.diff import adjoints
from autograd_lite.history import INTERRUPTED, SEPARATED, History
from autograd_lite.nn import MLP, Layer, Module, Perceptron, as_rows
from autograd_lite.optim import SGD, Optimizer
from autograd_lite.schedules import setting, whole
from autograd_lite.value import Value, no_grad, plain, set_numbers, shown

__all__ = ["History", "Run", "accuracy", "fit"]

LAST = "the last epoch"
FUNCTIONS = {
    "schedule": "a function of the epoch such as ag.optim.StepDecay(0.1) (a constant rate is the optimizer's lr)",
    "penalty": "a function of the model such as lambda m: ag.losses.l2(m.weights(), 1e-3)",
}
_set_grad = vars(Value)["_grad"].__set__


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


def accuracy(predictions: Any, targets: Any, threshold: float = 0.5, signed: bool | None = None) -> float:
    """The share of examples put into their class.

    Args:
        predictions: scores, shape (n, k): the class is the largest. Or shape (n,), for two classes.
        targets: labels 0 to k - 1, or distributions, shape (n, k); for two classes -1 and 1, told apart by the sign
            of the score, or 0 and 1, told apart at `threshold`.
        threshold: 1/2 for probabilities, 0 for logits.
        signed: whether the labels of two classes are -1 and 1; by default, whether -1 is among them.

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


def fit(
    model: Callable[[Any], Any], X: Any, y: Any, *, loss: Any = losses.squared_error, optimizer: Any = None,
    epochs: int = 100, batch_size: int | None = 32, validation: Any = None, metrics: Any = (),
    callbacks: Iterable[Callable[[Run], Any]] = (), seed: int | None = None, progress: bool | None = None,
    parameters: Iterable[Value] | None = None, penalty: Callable[[Any], Any] | None = None,
    schedule: Callable[..., float] | None = None, shuffle: bool = True, error_tolerance: float | None = None,
    cost_tolerance: float | None = None, patience: int | None = None, min_delta: float = 0.0,
    restore_best: bool = True, checkpoint: Any = None, resume: Any = None, compiled: bool = False,
) -> History:  # fmt: skip
    """Train a model: epochs of mini-batches in random order, one step of the optimizer for each.

        J_B(w) = 1/|B| sum_{e in B} loss(model(x_e), y_e) + penalty(model);  w <- w - lr rule(grad J_B)

    Args:
        model: a Module, or any function of one example that computes with the Values in `parameters`.
        X: examples, shape (n, d), or (n,) for a function of one number; a generator is read into a list.
        y: targets, shape (n,) or (n, k).
        loss: a function of (prediction, target) such as `ag.losses.hinge`, or the name of one there.
        optimizer: an Optimizer, or a function that makes one from the parameters; SGD with lr=0.01 otherwise.
        epochs: when to stop at the latest, counted from the beginning also after `resume`.
        batch_size: 1 for incremental mode, None for batch mode. A last batch that is shorter is used as it is.
        validation: a share of the examples to keep apart, chosen by the seed; or a pair (X, y).
        metrics: names ("accuracy"), functions of (predictions, targets) on arrays, or a dict of them by name.
        callbacks: functions called with a `Run` after each epoch.
        seed: for the order of the examples and the validation split; `history.seed` says which was used.
        progress: whether to show a bar; by default on a terminal and in a notebook.
        parameters: what to train, for a model that is not a Module.
        penalty: a function of the model, such as `lambda m: ag.losses.l2(m.weights(), 1e-3)`.
        schedule: the learning rate as a function of the epoch 0, 1, ...; see `ag.optim.StepDecay` and its kind.
        shuffle: whether each epoch has an order of its own.
        error_tolerance: stop when the loss of every training example, as it was met in an epoch, is below this.
        cost_tolerance: stop when the loss changes by less than this over an epoch.
        patience: stop after so many epochs without a better validation loss (training loss, without validation).
        min_delta: by how much it has to be better.
        restore_best: with `patience`, end with the weights of the best epoch.
        checkpoint: a path to which the state is written after every epoch, in a directory that there is.
        resume: a checkpoint to go on from, or True for the one at `checkpoint` if it exists. The rest of the
            arguments must be as they were; then the result is as if nothing had come between.
        compiled: whether to run the loss and its gradient as a program on arrays (`ag.compile`): the same numbers up to
            rounding, many times as fast. Every example must take the same way through the model. The model runs once
            for all steps, so what it draws (dropout) or keeps in Python is fixed then: train such a model uncompiled.
            The parameters get their numbers after each epoch, before callbacks are called, and when training stops.

    Returns:
        A History. Ctrl-C ends the training and gives the history so far; parameters are those after a whole step.

    Raises:
        TypeError: an argument is of the wrong kind, the loss or penalty is no Value, the model has no parameters, or
            (after an epoch) a metric gives no number.
        ValueError: there is no data, lengths differ, a number of X or y is NaN or infinite (with the row), a setting is
            out of its range, the optimizer has none of the model's parameters, two metrics have one name, a checkpoint
            belongs to another training or is damaged; or, at a step, a gradient or what it makes of a parameter is
            not finite.
        OSError: there is no directory for `checkpoint` (FileNotFoundError), or no file to resume from.
        RuntimeError: with `compiled`, a batch whose examples would take different ways through the model.

        Arguments and data are refused before the first step. What can be found only later (a gradient or an update
        that is not finite, a branch, an error of a metric, a callback or the disk) leaves parameters, their gradients
        and the optimizer as they are after the last whole step.

    Example:
        >>> model = ag.MLP(1, [1], seed=0)
        >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
        >>> adam = ag.optim.Adam(model.parameters(), lr=0.1)
        >>> history = ag.fit(model, X, y, optimizer=adam, epochs=200, seed=0)
        >>> model.predict([[3.0]]).round(2)
        array([7.])

    Source: the backpropagation slides, NEURALNETTRAIN, mini-batch gradient descent and its stopping conditions;
    the weight-update slides, batch and incremental mode.
    """
    if checkpoint is not None:
        _check_path(checkpoint)
    path = checkpoint if resume is True else resume
    if resume is True and path is None:
        raise ValueError("fit: resume=True needs the path of a checkpoint")
    if path not in (None, False):
        files.path_of(path, "fit: resume")
    goes_on = resume not in (None, False) and not (resume is True and not Path(path).exists())
    found = _read_checkpoint(path) if goes_on else None
    if found and seed not in (None, found["seed"]):
        raise ValueError(f"fit: the checkpoint {path} has the seed {found['seed']}, not {seed}")
    history = History(found["seed"] if found else _seed(seed, "fit"))
    loss, callbacks = _loss(loss), _callbacks(callbacks)
    for name, function in (("schedule", schedule), ("penalty", penalty)):
        if function is not None and not callable(function):
            raise TypeError(f"fit: {name} must be {FUNCTIONS[name]}, got {shown(function)}")
    names, optimizer = _trained(model, parameters, optimizer)
    data, held = _split(_data(X, y, "fit"), validation, history.seed)
    size = len(data) if batch_size is None else whole(batch_size, "fit: batch_size")
    last = whole(epochs, "fit: epochs", 0)
    measures = _metrics(metrics, loss, [target for _, target in data + (held or [])])
    stops = _Stops(
        None if error_tolerance is None else setting(error_tolerance, "fit: error_tolerance", 0.0),
        None if cost_tolerance is None else setting(cost_tolerance, "fit: cost_tolerance", 0.0),
        None if patience is None else whole(patience, "fit: patience"),
        setting(min_delta, "fit: min_delta", 0.0),
    )
    _try_out(model, loss, penalty, data, held)
    run = Run(model, optimizer, history)
    keep_best = patience is not None and restore_best
    told = {
        "examples": len(data), "batch_size": size, "shuffle": bool(shuffle),
        "validation": len(held) if held else 0, "parameters": list(names), "loss": _called(loss),
        "model": _architecture(model), "rule": [_rule(piece) for piece in optimizer.pieces],
        "data": hashlib.sha256(repr((data, held)).encode()).hexdigest(),
    }  # fmt: skip
    if found:
        _take_up(run, names, told, found, path)
    groups = _groups(optimizer, names)
    step = (_CompiledStep if compiled else _Step)(model, optimizer, loss, penalty, groups)

    def train() -> None:
        with _bar(last, run, progress) as advance:
            while not run.reason:
                run.reason = stops.reason(history) or (LAST if run.epoch >= last else "")
                if run.reason:
                    break
                if schedule is not None:
                    optimizer.lr = _rate(schedule, history)
                row = _epoch(step, data, size, _order(len(data), history.seed, run.epoch, shuffle), measures)
                row |= _validate(model, loss, held, measures, row)
                best = run.best
                so_far = [x for x in history.watched if x == x]  # but for NaN
                if keep_best and row.get("validation_loss", row["loss"]) < min(so_far, default=inf):
                    best = (run.epoch + 1, [p._f for p in names.values()])
                # One call that runs no bytecode: an interrupt leaves both as before, or both as after.
                _at_once(map(list.append, (history.rows,), (row,)), map(setattr, (run,), ("best",), (best,)))
                for callback in callbacks:
                    callback(run)
                if checkpoint is not None:
                    _write_checkpoint(run, names, told, checkpoint)
                advance()

    def finish() -> None:
        step.write_back()
        history.stopped = run.reason or INTERRUPTED
        if keep_best and run.best is not None:
            set_numbers(names.values(), run.best[1])

    try:
        try:
            train()
        except KeyboardInterrupt:
            run.reason = INTERRUPTED
        except BaseException:
            step.write_back()
            raise
        finish()
    except KeyboardInterrupt:
        run.reason = INTERRUPTED
        finish()
    return history


# --- the parts of an epoch --------------------------------------------------------------------------------


class _Step:
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
        _at_once(map(_set_grad, self.optimizer.params, total.tolist()))
        try:
            self.optimizer.step()
        except Exception:
            _at_once(map(_set_grad, self.optimizer.params, before))
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


class _CompiledStep(_Step):
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
        if self.now is not None:
            theta, gradient = self.now
            params = self.optimizer.params
            done = map(setattr, (self,), ("now",), (None,))
            set_numbers(params, theta.tolist(), map(_set_grad, params, gradient.tolist()), done)

    def _theta(self) -> Any:
        import numpy as np

        params = self.optimizer.params
        return np.fromiter((p._f for p in params), float, len(params)) if self.now is None else self.now[0]

    def _stepped(self, total: Any) -> None:
        if type(self.optimizer).step is not Optimizer.step:  # a step of the user's own works on the Values
            super()._stepped(total)
            return
        theta, effect = self.optimizer.stepped(self._theta(), total)
        _at_once(map(setattr, (self,), ("now",), ((theta, total),)), effect)  # the vector and the optimizer, together

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
    _check_value(root, what)
    found = adjoints(root, gradient).get
    return [found(p, 0.0) for p in parameters]


def _check_value(root: Any, what: str) -> None:
    if not isinstance(root, Value):
        raise TypeError(
            f"fit: {what} is {shown(root)} and no Value: the model must compute with its parameters, by the "
            "operators and functions of this package"
        )


def _sum(total: Any, slopes: Any) -> Any:
    """Gradients added up; of one that overflows the step tells, by the name of its parameter, and not NumPy."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return total + slopes


def _epoch(
    step: _Step, data: Sequence[tuple[Any, Any]], size: int, order: Sequence[int], measures: Mapping[str, Any]
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


def _validate(
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
    return output._f if isinstance(output, Value) else plain(output, "fit: the model's output")


def _seed(seed: Any, who: str) -> int:
    """The seed; one drawn by chance where none was given, so that the history can tell it."""
    return random.SystemRandom().getrandbits(48) if seed is None else whole(seed, f"{who}: seed", -sys.maxsize)


def _order(n: int, seed: int | None, epoch: int, shuffle: bool) -> list[int]:
    order = list(range(n))
    if shuffle:
        random.Random(f"{seed} {epoch}").shuffle(order)  # a string: the same on every platform and in every run
    return order


def _rate(schedule: Callable[..., float], history: History) -> float:
    if getattr(schedule, "watches_losses", False):
        return schedule(len(history), history.watched)
    return schedule(len(history))


def _at_once(*effects: Iterator[Any]) -> None:
    """Run iterators whose steps have an effect, in one call that runs no bytecode."""
    set_numbers((), (), *effects)


class _Stops:
    """The stopping conditions, as functions of the history: a training taken up again needs no more."""

    def __init__(self, error: float | None, cost: float | None, patience: int | None, min_delta: float) -> None:
        self.error, self.cost, self.patience, self.min_delta = error, cost, patience, min_delta

    def reason(self, history: History) -> str:
        """Why to stop after the epochs so far, or nothing."""
        if not history.rows:
            return ""
        if self.error is not None and history.rows[-1]["largest_loss"] < self.error:
            return f"every training error is below {self.error:g}"
        if self.cost is not None and len(history) > 1 and abs(history.loss[-1] - history.loss[-2]) < self.cost:
            return f"the cost changed by less than {self.cost:g} over an epoch"
        if self.patience is not None and self._waited(history.watched) >= self.patience:
            return f"no better loss for {self.patience} epoch{'s' * (self.patience > 1)}"
        return ""

    def _waited(self, watched: Sequence[float]) -> int:
        best, waited = inf, 0
        for value in watched:
            better = value < best - self.min_delta
            best, waited = (value, 0) if better else (best, waited + 1)
        return waited


# --- what fit is given --------------------------------------------------------------------------------------


def _loss(loss: Any) -> Callable[[Any, Any], Any]:
    if isinstance(loss, str):
        known = [name for name in losses.__all__ if name not in ("l1", "l2")]
        if loss not in known:
            raise ValueError(f"fit: unknown loss {loss!r}; known are {', '.join(known)}")
        return getattr(losses, loss)  # type: ignore[no-any-return]
    if not callable(loss):
        raise TypeError(f"fit: loss must be a function of (prediction, target), got {shown(loss)}")
    return loss  # type: ignore[no-any-return]


def _check_path(checkpoint: Any) -> None:
    """A file that can be written as far as can be seen: the first checkpoint comes after a whole epoch."""
    path = Path(realpath(files.path_of(checkpoint, "fit: checkpoint")))
    if path.is_dir():
        raise IsADirectoryError(f"fit: checkpoint must be the path of a file, {str(checkpoint)!r} is a directory")
    if not path.parent.is_dir():
        wrong = NotADirectoryError if path.parent.exists() else FileNotFoundError
        raise wrong(f"fit: checkpoint={str(checkpoint)!r}: {str(path.parent)!r} is no directory; make it first")


def _callbacks(callbacks: Any) -> list[Callable[[Run], Any]]:
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"fit: callbacks must be a list of functions of a Run, got {shown(callbacks)}")
    found = list(callbacks)
    for i, callback in enumerate(found):
        if not callable(callback):
            raise TypeError(f"fit: callbacks[{i}] must be a function of a Run, got {shown(callback)}")
    return found


def _trained(model: Any, parameters: Any, optimizer: Any) -> tuple[dict[str, Value], Optimizer]:
    """(every parameter by name, the optimizer)."""
    if not callable(model):
        raise TypeError(f"fit: model must be a Module or a function of one example, got {shown(model)}")
    names: dict[str, Value] = dict(model.named_parameters()) if isinstance(model, Module) else {}
    if not isinstance(optimizer, Optimizer):
        wanted = list(parameters) if parameters is not None else list(names.values())
        if not wanted:
            raise TypeError(
                f"fit: {shown(model)} has no parameters; give parameters=[...], the leaves to train, or an optimizer"
            )
        made = SGD(wanted, lr=0.01) if optimizer is None else optimizer(wanted) if callable(optimizer) else optimizer
        if not isinstance(made, Optimizer):
            raise TypeError(
                f"fit: optimizer must be an Optimizer, or a function that makes one from parameters, got {shown(made)}"
            )
        optimizer = made
    elif parameters is not None and set(parameters) != set(optimizer.params):
        raise ValueError("fit: parameters and the optimizer's are not the same; give one of the two")
    known, changed = set(names.values()), set(optimizer.params)
    if known and not known & changed:
        raise ValueError(
            f"fit: none of the optimizer's {len(changed)} parameters is one of the model's {len(known)}, so nothing of "
            "the model would be trained; make the optimizer from model.parameters()"
        )
    left = [name for name, p in names.items() if p not in changed and not getattr(p, "frozen", False)]
    if left and parameters is None:
        warnings.warn(
            f"fit: the optimizer leaves {len(left)} of the model's {len(known)} parameters as they are, {left[0]} "
            "first; freeze them, or give parameters=, if that is meant",
            stacklevel=3,
        )
    names.update({f"parameters[{i}]": p for i, p in enumerate(optimizer.params) if p not in known})
    return names, optimizer


def _groups(optimizer: Optimizer, names: Mapping[str, Value]) -> dict[str, Any]:
    """The layers: for each the places of its parameters in the optimizer's list."""
    import numpy as np

    layer = {id(p): name.partition(".")[0] if "." in name else name.partition("[")[0] for name, p in names.items()}
    found: dict[str, list[int]] = {}
    for i, p in enumerate(optimizer.params):
        found.setdefault(layer[id(p)], []).append(i)
    return {name: np.array(members) for name, members in found.items()}


def _data(X: Any, y: Any, who: str) -> list[tuple[Any, Any]]:
    """Examples with their targets as plain numbers and lists; all finite."""
    import numpy as np

    X, y = _listed(X, f"{who}: X must be examples, shape (n, d) or (n,)"), _listed(y, f"{who}: y must be targets")
    if np.iscomplexobj(X) if hasattr(X, "shape") else any(isinstance(x, complex) for x in X):
        raise TypeError(f"{who}: X must hold real numbers, got complex ones; give real and imaginary parts as columns")
    flat = np.ndim(X) == 1 if hasattr(X, "shape") else not any(hasattr(row, "__len__") for row in X)
    rows = np.asarray(X) if flat else as_rows(X, who)
    if rows.dtype.kind not in "biuf":  # objects, one by one, so that a refusal says which
        rows = np.array([plain(x, f"{who}: X[{i}]") for i, x in enumerate(X)])
    rows = rows.astype(float)
    if not rows.size:
        raise ValueError(f"{who}: there are no examples, X has shape {rows.shape}")
    try:
        targets = np.asarray(y)
    except ValueError:
        raise ValueError(f"{who}: y must have shape (n,) or (n, k), its rows are not of one length") from None
    if targets.dtype.kind not in "biuf":
        raise TypeError(f"{who}: targets must be numbers, got {targets.dtype} with y[0] = {shown(next(iter(y)))}")
    if targets.ndim not in (1, 2):
        raise ValueError(f"{who}: y must have shape (n,) or (n, k), got {targets.shape}")
    if len(targets) != len(rows):
        raise ValueError(f"{who}: {len(rows)} examples but {len(targets)} targets")
    for name, array in (("X", rows), ("y", targets)):
        bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise ValueError(f"{who}: row {i} of {name} is not finite: {array[i]}")
    return list(zip(rows.tolist(), targets.tolist(), strict=True))


def _listed(given: Any, what: str) -> Any:
    """Data that can be gone through more than once: a list of what a generator yields, also where it is a row."""
    try:
        rows = None if isinstance(given, (str, bytes, Mapping, Set)) else iter(given)
    except TypeError:
        rows = None
    if rows is None:
        raise TypeError(f"{what}, got {shown(given)}")
    return given if hasattr(given, "shape") else [list(row) if isinstance(row, Iterator) else row for row in rows]


def _split(data: list[Any], validation: Any, seed: int | None) -> tuple[list[Any], list[Any] | None]:
    if validation is None:
        return data, None
    if isinstance(validation, (tuple, list)):
        if len(validation) != 2:
            raise TypeError(f"fit: validation must be a share or a pair (X, y), got {len(validation)} things")
        return data, _data(validation[0], validation[1], "fit: validation")
    share = plain(validation, "fit: validation", "give a share such as 0.2, or a pair (X, y)")
    held = round(share * len(data)) if 0.0 < share < 1.0 else 0
    if not 0 < held < len(data):
        raise ValueError(
            f"fit: validation={share:g} of {len(data)} examples leaves none on one side; give a share between 0 and 1"
        )
    order = list(range(len(data)))
    random.Random(f"{seed} validation").shuffle(order)
    kept = sorted(order[held:])
    return [data[i] for i in kept], [data[i] for i in sorted(order[:held])]


def _metrics(metrics: Any, loss: Any, targets: Sequence[Any]) -> dict[str, Callable[..., float]]:
    if callable(metrics) or isinstance(metrics, str):
        metrics = [metrics]
    if not isinstance(metrics, Iterable):
        raise TypeError(
            f"fit: metrics must be names, functions of (predictions, targets) or a dict of them, got {shown(metrics)}"
        )
    if not isinstance(metrics, Mapping):
        metrics = list(metrics)
        names = [m if isinstance(m, str) else getattr(m, "__name__", f"metric {i}") for i, m in enumerate(metrics)]
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None:
            places = " and ".join(f"metrics[{i}]" for i, name in enumerate(names) if name == twice)
            raise ValueError(f"fit: {places} are both called {twice!r}; give a dict of them by name")
        metrics = dict(zip(names, metrics, strict=True))
    found: dict[str, Callable[..., float]] = {}
    for name, metric in metrics.items():
        if metric == "accuracy":
            # All the labels, or the loss, tell which they are; those of one part may all be 1.
            signed = loss in (losses.hinge, losses.perceptron) or -1 in targets
            metric = _Accuracy(0.0 if loss is losses.binary_cross_entropy_with_logits else 0.5, signed)
        if not callable(metric):
            raise TypeError(f"fit: a metric is 'accuracy' or a function of (predictions, targets), got {shown(metric)}")
        found[name] = _OnArrays(name, metric)
    return found


class _Accuracy:
    def __init__(self, threshold: float, signed: bool) -> None:
        self.threshold, self.signed = threshold, signed

    def __call__(self, predictions: Any, targets: Any) -> float:
        return accuracy(predictions, targets, self.threshold, self.signed)


class _OnArrays:
    def __init__(self, name: str, metric: Callable[..., float]) -> None:
        self.name, self.metric = name, metric

    def __call__(self, predictions: Any, targets: Any) -> float:
        import numpy as np

        found = self.metric(np.array(predictions), np.array(targets))
        try:
            return plain(found, f"fit: metric {self.name!r}")
        except TypeError:
            raise TypeError(f"fit: metric {self.name!r} returned {shown(found)}, and no number") from None


def _try_out(model: Any, loss: Any, penalty: Any, *parts: Sequence[tuple[Any, Any]] | None) -> None:
    """Every target once against one prediction, and the penalty, so that what cannot be is refused before any step."""
    seen: set[Any] = set()
    with no_grad():
        for data in parts:
            if not data:
                continue
            prediction = model(data[0][0])
            for i, (_, target) in enumerate(data):
                key = tuple(target) if isinstance(target, list) else target
                if key in seen:
                    continue
                seen.add(key)
                try:
                    error = loss(prediction, target)
                except (TypeError, ValueError) as refused:
                    raise type(refused)(f"fit: row {i}, target {target}: {refused}") from refused
                _check_value(error, "the loss")
        if penalty is not None:
            _check_value(penalty(model), "the penalty")


# --- checkpoints ----------------------------------------------------------------------------------------------


def _called(function: Any) -> str:
    """The name of a function, or of the kind of any other object that can be called: the same in every process."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _architecture(model: Any) -> str:
    """What a model is beside its parameters: type and activations."""
    kind = type(model)
    if files.MODULES.get(kind.__name__) is not kind:
        return kind.__qualname__
    g = {"activation": getattr(model, "activation", None), "output": getattr(model, "output_activation", None)}
    inner = g["activation"] if isinstance(g["activation"], dict) else {}
    named = {k: _activation(a) for k, a in g.items() if not isinstance(a, dict)}
    return f"{kind.__name__} {named | {str(j): _activation(a) for j, a in inner.items()}}"


def _activation(g: Any) -> str:
    return g if isinstance(g, str) else "none" if g is None else _called(g)


def _rule(piece: Any) -> str:
    """A piece of an optimizer with its settings; of a user's own only the name, for it may keep anything."""
    return repr(piece) if type(piece).__module__ == SGD.__module__ else type(piece).__qualname__


def _write_checkpoint(run: Run, names: Mapping[str, Value], told: dict[str, Any], path: Any) -> None:
    payload = {
        "seed": run.history.seed,
        "told": told,
        "model": {name: p._f for name, p in names.items()},
        "optimizer": run.optimizer.state_dict(),
        "history": run.history.rows,
        "best": None if run.best is None else {"epoch": run.best[0], "model": run.best[1]},
    }
    files.write("checkpoint", payload, path)


def _take_up(run: Run, names: Mapping[str, Value], told: dict[str, Any], found: dict[str, Any], path: Any) -> None:
    """Put model, optimizer and history into the state of a checkpoint; all of it or nothing."""
    for key, value in told.items():
        if found["told"].get(key) != value:
            raise ValueError(
                f"fit: the checkpoint {path} is of another training: its {key} was {_short(found['told'].get(key))}, "
                f"now it is {_short(value)}"
            )
    best = found["best"]
    numbers = _checkpoint_numbers([found["model"].get(name) for name in names], "model", path)
    if best is not None:
        best = (best.get("epoch"), _checkpoint_numbers(best.get("model"), "best", path))
        if type(best[0]) is not int or not 0 < best[0] <= len(found["history"]) or len(best[1]) != len(names):
            raise _odd("best", path)
    try:
        loaded = run.optimizer.loading(found["optimizer"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"fit: the checkpoint {path}: its part 'optimizer' cannot be taken up: {error}") from error
    run.history.rows = list(found["history"])
    run.best = best
    set_numbers(names.values(), numbers, loaded)


def _read_checkpoint(path: Any) -> dict[str, Any]:
    """The payload of a checkpoint whose parts are of the kinds that `_write_checkpoint` writes."""
    found = files.read(path, "checkpoint")
    for row in found["history"]:
        numbers = [row.get(key) for key in ("loss", "largest_loss", "learning_rate")]
        numbers += [row["validation_loss"]] if "validation_loss" in row else []
        for key in ("gradient_norms", "metrics"):
            inner = row.get(key, {})
            numbers += inner.values() if isinstance(inner, dict) else [None]
        _checkpoint_numbers(numbers, "history", path)
    return found


def _checkpoint_numbers(numbers: Any, part: str, path: Any) -> list[Any]:
    if not isinstance(numbers, list) or any(type(x) not in (int, float) for x in numbers):
        raise _odd(part, path)
    return numbers


def _odd(part: str, path: Any) -> ValueError:
    return ValueError(f"fit: the checkpoint {path}: its part {part!r} is missing or not what a checkpoint holds")


def _short(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 60 else f"{text[:57]}..."


# --- the progress bar -------------------------------------------------------------------------------------------


@contextmanager
def _bar(epochs: int, run: Run, progress: bool | None) -> Iterator[Callable[[], None]]:
    """A function to call after each epoch: it shows loss, metrics and rate on a bar, if one is wanted."""
    if progress is None:
        progress = _in_notebook() or (hasattr(sys.stderr, "isatty") and sys.stderr.isatty())
    if not progress:
        yield lambda: None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm's, where a notebook lacks its widgets: it then writes text
        from tqdm.auto import tqdm

        bar = tqdm(total=epochs, initial=run.epoch, unit="epoch")

    def advance() -> None:
        row = run.history.rows[-1]
        shown_numbers = {"loss": row["loss"], "validation": row.get("validation_loss"), **row.get("metrics", {})}
        shown_numbers["lr"] = row["learning_rate"]
        bar.set_postfix({name: f"{v:.4g}" for name, v in shown_numbers.items() if v is not None}, refresh=False)
        bar.update()

    try:
        yield advance
    finally:
        bar.close()


def _in_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and "IPKernelApp" in shell.config


# --- the perceptron -----------------------------------------------------------------------------------------------


def fit_perceptron(
    unit: Perceptron, X: Any, y: Any, lr: float, max_epochs: int, batch: bool, seed: int | None
) -> History:
    """The perceptron rule to convergence; see `Perceptron.fit`."""
    import numpy as np

    rows, labels = unit._data(X, y)
    if not np.isfinite(rows).all():
        i = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise ValueError(f"Perceptron.fit: row {i} of X is not finite: {rows[i]}")
    rate = setting(lr, "Perceptron.fit: lr", 0.0)
    limit = whole(max_epochs, "Perceptron.fit: max_epochs")
    if rate == 0.0:
        raise ValueError("Perceptron.fit: lr must be above 0")
    history = History(_seed(seed, "Perceptron.fit"))
    signs = np.array(labels)
    try:
        for epoch in range(limit + 1):
            margins = signs * unit._scores(rows)
            wrong = margins <= 0.0
            if epoch:
                error = float(-margins[wrong].sum()) + 0.0
                history.rows.append({"loss": error, "misclassified": int(wrong.sum()), "learning_rate": rate})
            if not wrong.any():
                history.stopped = SEPARATED
                break
            if epoch == limit:
                history.stopped = f"not separated within {limit} epochs"
            elif batch:
                unit.step(rows, labels, rate)
            else:
                _perceptron_epoch(unit, rows, signs, rate, _order(len(rows), history.seed, epoch, True))
    except KeyboardInterrupt:
        history.stopped = INTERRUPTED
    if history.stopped.startswith("not separated"):
        warnings.warn(
            f"Perceptron.fit: {history.rows[-1]['misclassified']} of {len(rows)} examples are still misclassified "
            f"after {limit} epochs. If no hyperplane separates the classes the rule never settles; if one does, "
            "it takes more epochs (max_epochs=).",
            stacklevel=3,
        )
    return history


def _perceptron_epoch(unit: Perceptron, rows: Any, signs: Any, rate: float, order: Sequence[int]) -> None:
    """w <- w + lr y x, b <- b + lr y for each example that is misclassified when it is met."""
    import numpy as np

    rows, signs = rows[order], signs[order]
    w, b, met = np.array([p._f for p in unit.w]), unit.b._f, 0
    while True:
        wrong = signs[met:] * (rows[met:] @ w + b) <= 0.0  # with these weights: only the first of them counts
        i = met + int(wrong.argmax())
        if not wrong.any():
            break
        w, b = w + rate * signs[i] * rows[i], b + rate * float(signs[i])
        met = i + 1
        if met == len(rows):
            break
    set_numbers([*unit.w, unit.b], [*w.tolist(), b])
