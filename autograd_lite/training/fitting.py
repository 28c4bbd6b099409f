"""`fit`: its arguments checked and put together to a `Training` (loop.py), which runs.

The order of the examples in an epoch is a function of the seed and the epoch alone, so a resumed training needs no
state of a random generator.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from autograd_lite import losses
from autograd_lite.data import drawn_seed, examples, split
from autograd_lite.engine.checks import describe, known_as, sequence, whole
from autograd_lite.engine.graph import raw_operands, toposort
from autograd_lite.engine.modes import changed_mode, mode, no_grad
from autograd_lite.engine.value import Value
from autograd_lite.files import MODULES
from autograd_lite.history import History
from autograd_lite.names import BackendName, LossName, OptimizerName, Text
from autograd_lite.nn.module import Module
from autograd_lite.optim.lbfgs import LBFGS
from autograd_lite.optim.optimizer import Optimizer
from autograd_lite.optim.rules import rule_named
from autograd_lite.training.batches import Batches
from autograd_lite.training.checkpoints import Checkpoints, resume_from, saved_training, settings_of
from autograd_lite.training.loop import Training
from autograd_lite.training.metrics import metrics_of
from autograd_lite.training.run import Run
from autograd_lite.training.steps import TrainingStep, check_value
from autograd_lite.training.stopping import EarlyStopping, stopping_conditions
from autograd_lite.training.weights import Weighted, checked_weights, scaled, weigh

PAYS = 500_000
"""Operands that are worth a program: tracing and compiling a model takes 0.05 to 0.2 s."""

FEW = 100
"""Examples times epochs for which the question whether a program pays is not asked: it takes a call of the model."""

SCHEDULE = "the epoch such as ag.optim.StepDecay(0.1) (a constant rate is the optimizer's lr)"

LR = 0.03
"""The learning rate of the default optimizer: of few thousand parameters Adam's own default, 0.001, makes little."""

PENALTY = "the model such as lambda m: ag.losses.l2(m.weights(), 1e-3)"


def fit(
    model: Callable[[Any], Any], X: Any, y: Any = ..., *,
    loss: LossName | Text | Callable[[Any, Any], Any] = losses.squared_error,
    optimizer: OptimizerName | Text | Optimizer | LBFGS | Callable[[list[Value]], Optimizer | LBFGS] | None = None,
    epochs: int = 100, batch_size: int | None = 32, validation: Any = None, metrics: Any = (),
    callbacks: Iterable[Callable[[Run], Any]] = (), seed: int | None = None, progress: bool | None = None,
    parameters: Iterable[Value] | None = None, penalty: Callable[[Any], Any] | None = None,
    schedule: Callable[..., float] | None = None, shuffle: bool = True, error_tolerance: float | None = None,
    cost_tolerance: float | None = None, patience: int | None = None, min_delta: float = 0.0,
    restore_best: bool = True, checkpoint: Any = None, resume: Any = None, compiled: bool | BackendName = "auto",
    sample_weight: Any = None, lr: float | Callable[[int], float] | None = None, checkpoint_every: int = 1,
) -> History:  # fmt: skip
    """Train a model: epochs of mini-batches in random order, one step of the optimizer for each mini-batch.

        J_B(w) = 1/|B| sum_{e in B} loss(model(x_e), y_e) + penalty(model);  w <- w - lr rule(grad J_B)

    Args:
        model: a Module, or any function of one example that computes with the Values in `parameters`.
        X: examples, shape (n, d), or (n,) for a function of one number; a generator is read into a list. For a
            user-defined model also arrays of more dimensions, and sequences that differ in length. Without y:
            batches, pairs (X, y), from an object that can be iterated anew in each epoch, or a function that gives one;
            for data that do not fit in memory. batch_size, shuffle and a share as validation are then not used.
        y: targets, shape (n,) or (n, k); for a user-defined model also sequences.
        loss: a function of (prediction, target) such as `ag.losses.hinge`, or its name there. A user-defined one may
            say by an attribute `targets` what its targets are, see `ag.losses.Targets`.
        optimizer: an Optimizer, the name of a rule such as "sgd" (with its defaults), or a function that makes an
            Optimizer from the parameters, also one that takes lr too; Adam by default. Of `ag.optim.LBFGS`, or "lbfgs",
            an epoch is one step, of several iterations, on all examples: batch_size and shuffle are then not used, lr,
            schedule and checkpoint not taken, and the training ends when there is nothing more to gain.
        lr: the learning rate, or a schedule by step; 0.03 for the default optimizer, otherwise the rule's default.
        epochs: the largest number of epochs, counted from the beginning also after `resume`.
        batch_size: 1 for incremental mode, None for batch mode. A shorter last batch is used too.
        validation: the share of the examples to hold out, chosen by the seed; or a pair (X, y).
        metrics: names ("accuracy"), functions of (predictions, targets) on arrays, or a dict of them by name.
        callbacks: functions called with a `Run` after each epoch.
        seed: for the order of the examples and the validation split; `history.seed` is the one used.
        progress: whether to show a bar; by default on a terminal and in a notebook.
        parameters: what to train, for a model that is not a Module.
        penalty: a function of the model, such as `lambda m: ag.losses.l2(m.weights(), 1e-3)`.
        schedule: the learning rate as a function of the epoch 0, 1, ...; see `ag.optim.StepDecay`.
        shuffle: whether each epoch has another order.
        error_tolerance: stop when the loss of every training example, as computed in an epoch, is below this.
        cost_tolerance: stop when the loss changes by less than this over an epoch.
        patience: stop after this many epochs without a better loss (the validation loss, if there is validation).
        min_delta: by how much it has to be better.
        restore_best: with `patience`, end with the weights of the best epoch.
        checkpoint: the path of a file, in an existing directory, to which the state is written after every
            epoch; or after every `checkpoint_every` epochs and at the end, also of a training that Ctrl-C ends.
        checkpoint_every: a write takes some 30 ms on a disk.
        resume: a checkpoint to resume from, or True for the one at `checkpoint` if it exists. The other arguments must
            be as they were; then the result is that of a training that was not interrupted.
        compiled: whether to run the loss and its gradient as a program on arrays (`ag.compile`): the same numbers up to
            rounding, many times as fast. Every example must take the same branches of the model. The model runs once
            for all steps, so what it draws at random (dropout) or keeps in Python is fixed: train such a model
            uncompiled. Parameters are updated after each epoch, before callbacks are called, and at the end.
            "native" or "numpy" chooses the backend (see `ag.fold`), True takes native where it can run. "auto" is False
            for a model that takes different branches or draws at random, for a training so short that the program would
            not pay, and inside `detect_anomaly`; otherwise True. It is settled before the first step: a warning
            says why a model is not compiled, `history.backend` says what runs, and a resumed training goes on with it.
        sample_weight: how much each example counts, shape (n,), at least 0: the loss is sum w l / sum w over all
            examples. The weights are scaled to the mean 1, and a batch is the mean of w l over its examples. Those of
            validation data may stand behind them, validation=(X, y, w). Metrics are not weighted.

    Returns:
        A History. Ctrl-C ends the training and returns the history so far; parameters are those after a whole step.

    Raises:
        TypeError: an argument has the wrong type, the loss or penalty is not a Value, the model has no parameters, or
            (after an epoch) a metric does not return a number.
        ValueError: there is no data, lengths differ, a number of X or y is NaN or infinite (with the row), a setting is
            out of its range, the optimizer has none of the model's parameters, two metrics have the same name, there is
            no such backend, a checkpoint belongs to another training or is damaged; or, at a step, a gradient or the
            new value of a parameter is not finite.
        OSError: the directory of `checkpoint` or the file to resume from does not exist, or is not a regular file.
        RuntimeError: with `compiled`, a batch whose examples take different branches of the model.

        Arguments and data are refused before the first step. Later errors (a gradient or an update that is not finite,
        a branch, an error in a metric, in a callback or of the disk) leave parameters, their gradients and the
        optimizer as they are after the last whole step.

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
    # Whatever can be refused is refused here, before the first step.
    saved = saved_training(checkpoint, resume, seed)
    history = History(saved["seed"] if saved else drawn_seed(seed, "fit"))
    loss, callbacks = losses.loss_of(loss, "fit"), _callbacks(callbacks)
    _check_function("schedule", schedule, SCHEDULE)
    _check_function("penalty", penalty, PENALTY)
    names, optimizer = _parameters_and_optimizer(model, parameters, optimizer, lr)
    # Our models take rows of one length; another one may take sequences that differ in length, or matrices.
    nested = not isinstance(model, tuple(MODULES.values()))
    batches = Batches(X, nested) if y is ... else None  # None is refused as targets that are missing
    if batches is None:
        data, held_out, weights = _data(X, y, validation, sample_weight, history.seed, nested)
    else:
        data, held_out, weights = _first_batch(batches, validation, sample_weight)
    size = len(data) if batch_size is None else whole(batch_size, "fit: batch_size")
    early_stopping = EarlyStopping(patience, min_delta, restore_best)
    epochs = whole(epochs, "fit: epochs", 0)
    conditions = stopping_conditions(early_stopping, error_tolerance, cost_tolerance)
    if optimizer.allow_nonfinite:  # whoever lets NaN through wants to see where it goes
        conditions.pop()
    every = whole(checkpoint_every, "fit: checkpoint_every")
    metrics = metrics_of(metrics, loss, [target for _, target in data + (held_out or [])], weights is not None)
    _first_call(model, loss, penalty, data, held_out)
    if weights is not None:
        loss, (data, held_out) = Weighted(loss, isinstance(data[0][1], list)), weights

    run = Run(model, optimizer, history)
    recorded = saved["told"].get("backend") if saved else None
    lbfgs: Any = optimizer if isinstance(optimizer, LBFGS) else None
    rounds = epochs if lbfgs is None else epochs * lbfgs.max_iter
    step = _step(model, optimizer, loss, penalty, _layers(optimizer, names), compiled, recorded, data, rounds)
    if lbfgs is not None:
        _refuse_with_lbfgs(batches=batches, schedule=schedule, checkpoint=checkpoint, resume=resume)
        from autograd_lite.training.whole_batch import Finished, WholeBatchStep

        step = WholeBatchStep(step)
        conditions.insert(0, Finished(lbfgs))
    history.backend, history.threads = step.backend, step.threads
    checkpoints = None
    if saved or checkpoint is not None:
        settings = settings_of(run, names, loss, data, held_out, size, shuffle, step.backend)
        if batches is not None:  # what comes later is not known
            settings |= {"examples": "batches", "batch_size": "batches", "data": "batches"}
        if saved:
            resume_from(run, names, settings, saved, checkpoint if resume is True else resume)
        if checkpoint is not None:
            checkpoints = Checkpoints(checkpoint, run, names, settings, every)
    training = Training(
        run, list(names.values()), step, data if batches is None else batches, held_out, size, shuffle, schedule,
        metrics, epochs, conditions, early_stopping, callbacks, checkpoints,
    )  # fmt: skip
    return training.run(progress)


# --- the arguments --------------------------------------------------------------------------------------------


def _data(
    X: Any, y: Any, validation: Any, sample_weight: Any, seed: int | None, nested: bool
) -> tuple[list[Any], Any, Any]:
    """(examples to train on, examples held out or None, both with weights behind the targets or None)."""
    data, held_weights = examples(X, y, "fit", nested), None
    if isinstance(validation, (tuple, list)) and len(validation) == 3:
        *validation, held_weights = validation
    kept, held_out = split(data, validation, seed, nested)
    if sample_weight is None and held_weights is None:
        return kept, held_out, None
    given = checked_weights(sample_weight, len(data), "fit: sample_weight")
    if isinstance(validation, (tuple, list)):
        mine = held_out and weigh(held_out, checked_weights(held_weights, len(held_out), "fit: validation weights"))
        parts = weigh(kept, given), mine
    else:  # none, or a share: the same one, with the weights
        parts = split(weigh(data, given), validation, seed)
    named = zip(parts, ("fit: sample_weight", "fit: the weights of the validation data"), strict=True)
    return kept, held_out, [part and scaled(part, what) for part, what in named]


def _first_batch(batches: Batches, validation: Any, sample_weight: Any) -> tuple[list[Any], Any, None]:
    """What `_data` gives, of the first batch."""
    if sample_weight is not None:
        raise ValueError("fit: batches have no sample_weight; multiply it into the loss, or give X, y")
    if validation is not None and not isinstance(validation, (tuple, list)):
        raise ValueError(f"fit: of batches no share is held out, validation must be a pair (X, y), got {validation!r}")
    data = batches.first()
    return data, split(data, validation, None, batches.nested)[1], None


def _callbacks(callbacks: Any) -> list[Callable[[Run], Any]]:
    if not isinstance(callbacks, Iterable) or getattr(callbacks, "ndim", 1) == 0:
        raise TypeError(f"fit: callbacks must be a list of functions of a Run, got {describe(callbacks)}")
    found = list(callbacks)
    for i, callback in enumerate(found):
        if not callable(callback):
            raise TypeError(f"fit: callbacks[{i}] must be a function of a Run, got {describe(callback)}")
    return found


def _step(
    model: Any, optimizer: Optimizer, loss: Any, penalty: Any, layers: dict[str, Any], compiled: Any, recorded: Any,
    data: list[Any], epochs: int,
) -> TrainingStep:  # fmt: skip
    """What takes the steps: uncompiled, or by a program, which is traced here; `recorded` is that of the checkpoint."""
    eager = TrainingStep(model, optimizer, loss, penalty, layers)
    if not compiled:
        return eager
    free = isinstance(compiled, str) and compiled == "auto"
    if free and (recorded == eager.backend or mode.on_adjoint is not None):
        return eager
    if free and recorded is None and (len(data) * epochs < FEW or _work(model, loss, data) * epochs < PAYS):
        return eager
    from autograd_lite.folding.backends import AUTO, BACKENDS, checked_backend
    from autograd_lite.training.compiled import CompiledStep

    backend = AUTO if free or compiled == 1 else checked_backend(compiled, "fit: compiled")
    if backend == AUTO and recorded in BACKENDS:
        backend = checked_backend(recorded, "fit: the checkpoint")
    step = CompiledStep(model, optimizer, loss, penalty, layers, backend)
    if free and recorded is None:
        ours = all(type(x).__module__.startswith("autograd_lite.") for x in (model, penalty or model)) and (
            (loss.loss if isinstance(loss, Weighted) else loss) in losses.LOSSES.values()
        )
        reason = step.why_not(data, ours)
        if reason:
            warnings.warn(
                f"fit: the model is trained uncompiled, since {reason}; compiled=False says that this is meant",
                stacklevel=3,  # the line that calls fit
            )
            return eager
    step.prepare(data)
    return step


def _work(model: Any, loss: Any, data: list[Any]) -> int:
    """How many operands the graphs of all examples have, about: about 0.4 us each, uncompiled."""
    x, target = data[0]
    with changed_mode(recording=True, watchers=()):
        nodes = toposort(loss(model(x), target))
    return len(data) * sum(len(raw_operands(node)) for node in nodes)


def _refuse_with_lbfgs(**given: Any) -> None:
    """Refuse what L-BFGS, which needs all examples and keeps nothing between its steps, has no use for."""
    named = next((name for name, x in given.items() if x is not None), None)
    if named is not None:
        raise ValueError(f"fit: L-BFGS takes no {named}; use another optimizer, or leave it out")


def _check_function(name: str, function: Any, of: str) -> None:
    if function is not None and not callable(function):
        raise TypeError(f"fit: {name} must be a function of {of}, got {describe(function)}")


def _parameters_and_optimizer(
    model: Any, parameters: Any, optimizer: Any, lr: Any
) -> tuple[dict[str, Value], Optimizer]:
    """(every parameter of the model and of the optimizer by name, the optimizer)."""
    if not callable(model):
        raise TypeError(f"fit: model must be a Module or a function of one example, got {describe(model)}")
    names: dict[str, Value] = dict(model.named_parameters()) if isinstance(model, Module) else {}
    if not isinstance(optimizer, (Optimizer, LBFGS)):
        chosen = names.values() if parameters is None else parameters
        wanted = sequence(chosen, "fit: parameters", "a sequence of leaves to train")
        if not wanted:
            raise TypeError(
                f"fit: {describe(model)} has no parameters; give parameters=[...], the leaves to train, or an optimizer"
            )
        if isinstance(optimizer, str) and known_as(optimizer, ["lbfgs"]):
            optimizer = LBFGS
        if optimizer is LBFGS and lr is not None:
            raise ValueError(f"fit: L-BFGS takes no lr, its line search finds the step; got {lr!r}")
        if optimizer is None or isinstance(optimizer, str):
            lr = LR if optimizer is None and lr is None else lr
            optimizer = rule_named(optimizer or "adam", "fit: optimizer")
        given = {} if lr is None else {"lr": lr}
        made = optimizer(wanted, **given) if callable(optimizer) else optimizer
        if not isinstance(made, (Optimizer, LBFGS)):
            raise TypeError(
                "fit: optimizer must be an Optimizer, or a function that makes one from parameters, "
                f"got {describe(made)}"
            )
        optimizer = made
    elif lr is not None:
        raise ValueError(
            f"fit: lr={lr!r} is for an optimizer that fit makes; this one has lr={optimizer.lr!r}: set that"
        )
    elif parameters is not None and set(parameters) != set(optimizer.params):
        raise ValueError("fit: parameters and the optimizer's are not the same; give one of the two")
    known, changed = set(names.values()), set(optimizer.params)
    if known and not known & changed:
        raise ValueError(
            f"fit: none of the optimizer's {len(changed)} parameters is one of the model's {len(known)}, so the model "
            "would not be trained; make the optimizer from model.parameters()"
        )
    left = [name for name, p in names.items() if p not in changed and not getattr(p, "frozen", False)]
    if left and parameters is None:
        warnings.warn(
            f"fit: the optimizer does not train {len(left)} of the model's {len(known)} parameters, {left[0]} first; "
            "if that is intended, freeze them or give parameters=",
            stacklevel=3,  # the line that calls fit
        )
    names.update({f"parameters[{i}]": p for i, p in enumerate(optimizer.params) if p not in known})
    return names, optimizer


def _layers(optimizer: Optimizer, names: Mapping[str, Value]) -> dict[str, Any]:
    """The layers by name: the indices of their parameters in the optimizer's list, for the norms of gradients."""
    import numpy as np

    layer = {id(p): name.partition(".")[0] if "." in name else name.partition("[")[0] for name, p in names.items()}
    found: dict[str, list[int]] = {}
    for i, p in enumerate(optimizer.params):
        found.setdefault(layer[id(p)], []).append(i)
    return {name: np.array(members) for name, members in found.items()}


def _first_call(model: Any, loss: Any, penalty: Any, *parts: Sequence[tuple[Any, Any]] | None) -> None:
    """Call the loss once with every target, and the penalty, so that errors in them come before the first step."""
    seen: set[Any] = set()
    with no_grad():
        for data in parts:
            if not data:
                continue
            predictions: dict[Any, Any] = {}  # one for each shape is enough: it is the targets that differ
            for i, (x, target) in enumerate(data):
                key = str(target)
                if key in seen:
                    continue
                seen.add(key)
                shape = _shape(x)
                if shape not in predictions:
                    predictions[shape] = model(x)
                try:
                    error = loss(predictions[shape], target)
                except (TypeError, ValueError) as refused:
                    shown = key if len(key) < 60 else f"{key[:57]}..."
                    raise type(refused)(f"fit: row {i}, target {shown}: {refused}") from None
                if isinstance(error, float):  # inside no_grad a derivative is one; recorded, it is a Value
                    with changed_mode(recording=True, watchers=()):
                        error = loss(model(x), target)
                check_value(error, "the loss")
        if penalty is not None:
            error = penalty(model)
            if isinstance(error, float):
                with changed_mode(recording=True, watchers=()):
                    error = penalty(model)
            check_value(error, "the penalty")


def _shape(x: Any) -> tuple[int, ...]:
    """How long an example is, and what it consists of."""
    found = []
    while isinstance(x, list):
        found.append(len(x))
        x = x[0]
    return tuple(found)
