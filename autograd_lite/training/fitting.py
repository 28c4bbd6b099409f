"""Training: `fit`, which runs epochs of mini-batches, and the perceptron's own rule.

One example's graph is built at a time and dropped when its gradients are added up, so memory does not
grow with the batch. What is written is written at once: the parameters and the optimizer's state in
`Optimizer.step`, an epoch's row together with the best weights. The order of the examples in epoch e is a
function of the seed and e alone, so that a training taken up again needs no state of a generator.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from autograd_lite import files, losses
from autograd_lite.data import drawn_seed, epoch_order, examples, split
from autograd_lite.engine.atomic import at_once, set_numbers
from autograd_lite.engine.checks import describe, setting, whole
from autograd_lite.engine.modes import no_grad
from autograd_lite.engine.value import Value
from autograd_lite.history import INTERRUPTED, History
from autograd_lite.nn.module import Module
from autograd_lite.optim.optimizer import Optimizer
from autograd_lite.optim.rules import SGD
from autograd_lite.training.checkpoints import (
    architecture,
    callable_name,
    check_path,
    read_checkpoint,
    resume_from,
    rule_text,
    write_checkpoint,
)
from autograd_lite.training.metrics import measures_of
from autograd_lite.training.progress import progress_bar
from autograd_lite.training.run import Run, StoppingConditions, scheduled_rate
from autograd_lite.training.steps import CompiledStep, Step, check_value, run_epoch, validate

LAST = "the last epoch"

FUNCTIONS = {
    "schedule": "a function of the epoch such as ag.optim.StepDecay(0.1) (a constant rate is the optimizer's lr)",
    "penalty": "a function of the model such as lambda m: ag.losses.l2(m.weights(), 1e-3)",
}


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
        check_path(checkpoint)
    path = checkpoint if resume is True else resume
    if resume is True and path is None:
        raise ValueError("fit: resume=True needs the path of a checkpoint")
    if path not in (None, False):
        files.path_of(path, "fit: resume")
    goes_on = resume not in (None, False) and not (resume is True and not Path(path).exists())
    found = read_checkpoint(path) if goes_on else None
    if found and seed not in (None, found["seed"]):
        raise ValueError(f"fit: the checkpoint {path} has the seed {found['seed']}, not {seed}")
    history = History(found["seed"] if found else drawn_seed(seed, "fit"))
    loss, callbacks = _loss(loss), _callbacks(callbacks)
    for name, function in (("schedule", schedule), ("penalty", penalty)):
        if function is not None and not callable(function):
            raise TypeError(f"fit: {name} must be {FUNCTIONS[name]}, got {describe(function)}")
    names, optimizer = _trained(model, parameters, optimizer)
    data, held = split(examples(X, y, "fit"), validation, history.seed)
    size = len(data) if batch_size is None else whole(batch_size, "fit: batch_size")
    last = whole(epochs, "fit: epochs", 0)
    measures = measures_of(metrics, loss, [target for _, target in data + (held or [])])
    stops = StoppingConditions(
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
        "validation": len(held) if held else 0, "parameters": list(names), "loss": callable_name(loss),
        "model": architecture(model), "rule": [rule_text(piece) for piece in optimizer.transforms],
        "data": hashlib.sha256(repr((data, held)).encode()).hexdigest(),
    }  # fmt: skip
    if found:
        resume_from(run, names, told, found, path)
    groups = _groups(optimizer, names)
    step = (CompiledStep if compiled else Step)(model, optimizer, loss, penalty, groups)

    def train() -> None:
        with progress_bar(last, run, progress) as advance:
            while not run.reason:
                run.reason = stops.reason(history) or (LAST if run.epoch >= last else "")
                if run.reason:
                    break
                if schedule is not None:
                    optimizer.lr = scheduled_rate(schedule, history)
                row = run_epoch(step, data, size, epoch_order(len(data), history.seed, run.epoch, shuffle), measures)
                row |= validate(model, loss, held, measures, row)
                best = run.best
                so_far = [x for x in history.watched if x == x]  # but for NaN
                if keep_best and row.get("validation_loss", row["loss"]) < min(so_far, default=inf):
                    best = (run.epoch + 1, [p._f for p in names.values()])
                # One call that runs no bytecode: an interrupt leaves both as before, or both as after.
                at_once(map(list.append, (history.rows,), (row,)), map(setattr, (run,), ("best",), (best,)))
                for callback in callbacks:
                    callback(run)
                if checkpoint is not None:
                    write_checkpoint(run, names, told, checkpoint)
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


# --- what fit is given --------------------------------------------------------------------------------------


def _loss(loss: Any) -> Callable[[Any, Any], Any]:
    if isinstance(loss, str):
        known = [name for name in losses.__all__ if name not in ("l1", "l2")]
        if loss not in known:
            raise ValueError(f"fit: unknown loss {loss!r}; known are {', '.join(known)}")
        return getattr(losses, loss)  # type: ignore[no-any-return]
    if not callable(loss):
        raise TypeError(f"fit: loss must be a function of (prediction, target), got {describe(loss)}")
    return loss  # type: ignore[no-any-return]


def _callbacks(callbacks: Any) -> list[Callable[[Run], Any]]:
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"fit: callbacks must be a list of functions of a Run, got {describe(callbacks)}")
    found = list(callbacks)
    for i, callback in enumerate(found):
        if not callable(callback):
            raise TypeError(f"fit: callbacks[{i}] must be a function of a Run, got {describe(callback)}")
    return found


def _trained(model: Any, parameters: Any, optimizer: Any) -> tuple[dict[str, Value], Optimizer]:
    """(every parameter by name, the optimizer)."""
    if not callable(model):
        raise TypeError(f"fit: model must be a Module or a function of one example, got {describe(model)}")
    names: dict[str, Value] = dict(model.named_parameters()) if isinstance(model, Module) else {}
    if not isinstance(optimizer, Optimizer):
        wanted = list(parameters) if parameters is not None else list(names.values())
        if not wanted:
            raise TypeError(
                f"fit: {describe(model)} has no parameters; give parameters=[...], the leaves to train, or an optimizer"
            )
        made = SGD(wanted, lr=0.01) if optimizer is None else optimizer(wanted) if callable(optimizer) else optimizer
        if not isinstance(made, Optimizer):
            raise TypeError(
                f"fit: optimizer must be an Optimizer, or a function that makes one from parameters, got {describe(made)}"
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
                check_value(error, "the loss")
        if penalty is not None:
            check_value(penalty(model), "the penalty")
