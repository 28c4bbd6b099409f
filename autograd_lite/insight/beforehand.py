"""The faults of a model with its data before it is trained: what a first step would meet, one function each.

A fault is asked `fault(setup)` and gives Findings. What a single gradient suffers from is found on the graph of the
mean loss, by faults.py; here is what shows only over many examples: scales, labels, ranges of outputs, units that are
off for every example, and the rate of an optimizer, by a step that is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from autograd_lite import losses
from autograd_lite.data import examples
from autograd_lite.engine import functions, graph
from autograd_lite.engine.atomic import set_numbers
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import as_float, describe, numpy_for
from autograd_lite.engine.modes import changed_mode, no_grad
from autograd_lite.engine.reading import number_of, numbers_of, slope_of
from autograd_lite.engine.value import Parameter, Value
from autograd_lite.insight.anomaly import source_of
from autograd_lite.insight.facts import FLAT
from autograd_lite.insight.findings import Finding
from autograd_lite.insight.remedies import RELU, SMALLER

MOST_EXAMPLES = 64
"""Examples that the model is run on, evenly from all."""

MOST_OPERANDS = 300_000
"""Operands of their graphs together, about: some 0.3 s."""

LARGE = 20.0
"""Size of an input from which it counts as not scaled; pixels from 0 to 16 do not."""

LARGE_TARGET = 50.0
"""The same for targets of a regression."""

MOSTLY = 0.9
"""The share of a layer's units that have to be off or flat for it to be a fault: some of a random layer may be."""

HIGHER = 10.0
"""By which factor a step has to raise the loss for its rate to be too high."""

RANGES: dict[str, tuple[float, float]] = {
    "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, float("inf")), "softplus": (0.0, float("inf")),
    "exp": (0.0, float("inf")),
}  # fmt: skip
"""What an operation at the output can give."""


class Setup:
    """A model, its data and how it is to be trained, with the graphs of some examples.

    Attributes:
        data: all examples.
        sample: those that the model was run on, as (index, prediction, error); fewer if a call was refused.
        refused: why the model or the loss refused an example, with its index; None if none was.
        parameters: those of the model by name.
    """

    def __init__(self, model: Any, X: Any, y: Any, loss: Any, optimizer: Any) -> None:
        if not callable(model):
            raise TypeError(f"diagnose: give a loss (a Value), or a model with X and y; got {describe(model)}")
        if y is None:
            raise TypeError("diagnose: a model is diagnosed with its data: ag.diagnose(model, X, y, loss=...)")
        if optimizer is not None and not (hasattr(optimizer, "stepped") and hasattr(optimizer, "params")):
            raise TypeError(f"diagnose: optimizer must be an Optimizer, got {describe(optimizer)}")
        self.model, self.loss, self.optimizer = model, losses.loss_of(loss, "diagnose"), optimizer
        self.targets: losses.Targets = getattr(self.loss, "targets", losses.NUMBERS)
        self.data = examples(X, y, "diagnose", nested=True)
        named = getattr(model, "named_parameters", None)
        self.parameters: dict[str, Value] = dict(named()) if named is not None else {}
        if not self.parameters and optimizer is not None:
            self.parameters = {p.name or f"parameters[{i}]": p for i, p in enumerate(optimizer.params)}
        self.refused: tuple[int, Exception] | None = None
        self.sample: list[tuple[int, Any, Value]] = []
        self._run()

    def _run(self) -> None:
        step, operands = max(1, len(self.data) // MOST_EXAMPLES), 0
        for i in range(0, len(self.data), step):
            x, target = self.data[i]
            try:
                with changed_mode(recording=True):
                    prediction = self.model(x)
                    error = self.loss(prediction, target)
            except (TypeError, ValueError) as refused:
                self.refused = i, refused
                return
            if not isinstance(error, Value):
                self.refused = i, TypeError(f"the loss is {describe(error)}, not a Value")
                return
            self.sample.append((i, prediction, error))
            operands += sum(len(graph.raw_operands(node)) for node in graph.toposort(error))
            if operands > MOST_OPERANDS:
                return

    def outputs(self) -> list[list[Any]]:
        """The outputs of each example that was run, as a list."""
        return [list(p) if isinstance(p, (list, tuple)) else [p] for _, p, _ in self.sample]

    def mean_loss(self) -> Value | None:
        """The mean of the losses of the examples that were run."""
        with changed_mode(recording=True):
            return functions.mean([error for *_, error in self.sample]) if self.sample else None

    def loss_now(self) -> float:
        """The mean of their losses with the parameters as they are."""
        with no_grad():
            found = [self.loss(self.model(self.data[i][0]), self.data[i][1]) for i, *_ in self.sample]
        return sum(number_of(x) if isinstance(x, Value) else float(x) for x in found) / len(found)


def _finding(
    kind: str, where: str, mechanism: str, advice: str, suffering: dict[str, Value] | None = None, gradient: str = "",
    node: Value | None = None,
) -> Finding:  # fmt: skip
    some, source = suffering or {}, None if node is None else source_of(node)
    return Finding(kind, node, where, source, mechanism, advice, tuple(some.values()), gradient, tuple(some))


# --- the data -------------------------------------------------------------------------------------------------


def inputs_not_scaled(setup: Setup) -> Iterator[Finding]:
    """Columns of large numbers, or far from 0 for their spread: the weights of such a column get all of a step."""
    rows = [x if isinstance(x, list) else [x] for x, _ in setup.data]
    if any(len(row) != len(rows[0]) or any(isinstance(v, list) for v in row) for row in rows):
        return  # sequences and matrices have no columns that mean one thing each
    large = []
    for j, column in enumerate(zip(*rows, strict=True)):
        if max(map(abs, column)) > LARGE:
            large.append((j, *_mean_and_deviation(column)))
    if large:
        j, mean, deviation = max(large, key=lambda found: abs(found[1]) + found[2])
        more = f", and {len(large) - 1} more like it" if len(large) > 1 else ""
        yield _finding(
            "inputs not scaled", f"column {j} of X",
            f"its mean is {mean:.3g} and its standard deviation {deviation:.3g}{more}: its weights get gradients of "
            "that size, and units saturate or die",
            "standardise each column by the training data: (X - X.mean(0)) / X.std(0), or sklearn's StandardScaler",
        )  # fmt: skip


def targets_not_scaled(setup: Setup) -> Iterator[Finding]:
    """Targets of a regression that are large: errors, and so gradients, are of their size."""
    if setup.targets != losses.NUMBERS:
        return
    flat = [v for _, t in setup.data for v in (t if isinstance(t, list) else [t]) if not isinstance(v, list)]
    if flat and max(map(abs, flat)) > LARGE_TARGET:
        mean, deviation = _mean_and_deviation(flat)
        yield _finding(
            "targets not scaled", "y",
            f"the mean of the targets is {mean:.3g} and their standard deviation {deviation:.3g}: errors and gradients "
            "are of that size, while a model begins near 0",
            "train on (y - y.mean()) / y.std(), and undo it for predictions",
        )  # fmt: skip


def one_class(setup: Setup) -> Iterator[Finding]:
    """Every label is the same: there is nothing to tell apart."""
    if setup.targets == losses.NUMBERS or len(setup.data) < 2:
        return
    first = setup.data[0][1]
    if all(t == first for _, t in setup.data):
        yield _finding("one class", "y", f"every label is {first}", "check how the labels are made, and the split")


def _mean_and_deviation(numbers: Sequence[float]) -> tuple[float, float]:
    mean = sum(numbers) / len(numbers)
    return mean, (sum((x - mean) ** 2 for x in numbers) / len(numbers)) ** 0.5


# --- labels, outputs and the loss -----------------------------------------------------------------------------


def labels_refused(setup: Setup) -> Iterator[Finding]:
    """The model or the loss refuses an example: most often a label of another kind than the loss takes."""
    if setup.refused is not None:
        i, error = setup.refused
        rule = setup.targets.rule
        kind = "labels do not fit" if rule and rule in str(error) else "an example is refused"
        yield _finding(kind, f"row {i}, target {setup.data[i][1]}"[:80], str(error), (
            f"give the loss what it takes ({rule or setup.targets.target}){setup.targets.hint}"
            if kind == "labels do not fit" else "mend what the message names"
        ))  # fmt: skip


def labels_of_another_loss(setup: Setup) -> Iterator[Finding]:
    """Labels of classes for a loss of numbers: class numbers have no order."""
    values = {t for _, t in setup.data if not isinstance(t, list)}
    if setup.targets != losses.NUMBERS or len(values) < 3 or len(setup.data) < 5 * len(values):
        return
    several = setup.sample and len(setup.outputs()[0]) == len(values)
    if several and values == {float(k) for k in range(len(values))}:
        yield _finding(
            "labels do not fit", "y", f"labels 0 to {len(values) - 1} for {len(values)} outputs and a loss of numbers",
            'use loss="cross_entropy", which takes a label for a score of each class',
        )  # fmt: skip


def probabilities_as_scores(setup: Setup) -> Iterator[Finding]:
    """A sigmoid or softmax at the output of a model whose loss applies one itself: the second one is nearly flat."""
    if setup.targets not in (losses.LOGITS, losses.CLASSES) or not setup.sample:
        return
    outputs = setup.outputs()
    if all(isinstance(p, Value) and p.op == "sigmoid" for row in outputs for p in row):
        applied = "sigmoid"
    elif len(outputs[0]) > 1 and all(
        abs(sum(numbers_of(row)) - 1.0) < 1e-9 and min(numbers_of(row)) >= 0.0 for row in outputs
    ):
        applied = "softmax"
    else:
        return
    name = getattr(setup.loss, "__name__", "the loss")
    instead = 'leave out the output activation (output_activation=None), or use loss="binary_cross_entropy"'
    yield _finding(
        "probabilities into logits", f"the output, {applied}(...)",
        f"{name} takes scores and applies a {'softmax' if setup.targets == losses.CLASSES else 'sigmoid'} itself; of "
        "probabilities, between 0 and 1, it makes nearly equal ones, and the gradients are small",
        instead if setup.targets == losses.LOGITS else "return the scores that go into the softmax", node=outputs[0][0],
    )  # fmt: skip


def scores_as_probabilities(setup: Setup) -> Iterator[Finding]:
    """Outputs outside [0, 1] for a loss of probabilities, which takes their logarithm."""
    if setup.targets != losses.PROBABILITIES:
        return
    for i, row in zip((i for i, *_ in setup.sample), setup.outputs(), strict=True):
        outside = [p for p in numbers_of(row) if not 0.0 <= p <= 1.0]
        if outside:
            yield _finding(
                "scores into probabilities", f"row {i} of X",
                f"the model gives {outside[0]:.3g}, which is not a probability; the loss takes log(p) and log(1 - p)",
                'use loss="binary_cross_entropy_with_logits", or output_activation="sigmoid"', node=row[0],
            )  # fmt: skip
            return


def output_out_of_range(setup: Setup) -> Iterator[Finding]:
    """An activation at the output that cannot give the targets."""
    if not setup.sample or setup.targets not in (losses.NUMBERS, losses.SIGNS):
        return
    ops = {p.op if isinstance(p, Value) else "" for row in setup.outputs() for p in row}
    op = ops.pop() if len(ops) == 1 else ""
    low, high = RANGES.get(op, (float("-inf"), float("inf")))
    if setup.targets == losses.SIGNS:
        if low >= 0.0:
            yield _finding(
                "output out of range", f"the output, {op}(...)", "the loss needs scores of both signs, and there are "
                "none below 0", "leave out the output activation (output_activation=None), or use tanh",
                node=setup.outputs()[0][0],
            )  # fmt: skip
        return
    flat = [v for _, t in setup.data for v in (t if isinstance(t, list) else [t]) if not isinstance(v, list)]
    beyond = [v for v in flat if not low <= v <= high]
    if beyond:
        yield _finding(
            "output out of range", f"the output, {op}(...)",
            f"{op} gives numbers from {low:g} to {high:g}, and {len(beyond)} of {len(flat)} targets are outside, "
            f"such as {beyond[0]:.4g}", "leave out the output activation (output_activation=None) for a regression",
            node=setup.outputs()[0][0],
        )  # fmt: skip


# --- the units ------------------------------------------------------------------------------------------------


def units_off_or_flat(setup: Setup) -> Iterator[Finding]:
    """Layers whose units are off (relu) or flat (sigmoid, tanh) for every example that was run."""
    runs = [[node for node in graph.toposort(error) if _squashes(node)] for *_, error in setup.sample]
    if not runs or any(len(run) != len(runs[0]) for run in runs):
        return  # another graph for each example: units have no place by which they are known
    layers: dict[str, list[bool]] = {}
    ops: dict[str, str] = {}
    for unit in zip(*runs, strict=True):
        layer = _layer(unit[0])
        limit = 0.0 if unit[0].op == "relu" else FLAT
        layers.setdefault(layer, []).append(all(abs(slope_of(node, 0)) <= limit for node in unit))
        ops.setdefault(layer, unit[0].op)
    for layer, off in layers.items():
        if sum(off) < 2 or sum(off) < MOSTLY * len(off):
            continue
        op, mine = ops[layer], {name: p for name, p in setup.parameters.items() if name.startswith(f"{layer}.")}
        count, n = f"{sum(off)} of {len(off)}", len(runs)
        if op == "relu":
            yield _finding("dead layer", layer, f"{count} relu units are off for each of {n} examples: they let no "
                           "gradient back, and never learn", RELU, mine, "0")  # fmt: skip
        else:
            yield _finding("saturated layer", layer, f"{count} {op} units are flat for each of {n} examples: a slope "
                           f"below {FLAT:g}", SMALLER, mine, "near 0")  # fmt: skip


def _squashes(node: Value) -> bool:
    row = node._row
    return row is not None and (node.op == "relu" or row.saturates) and row.name in ("relu", "sigmoid", "tanh")


def _layer(node: Value) -> str:
    """The layer of a unit: the frame around its own."""
    path = [scope.name for scope in node.scope.path()] if node.scope is not None else []
    names = [name for name in path if not name.startswith("neuron")]
    layer = next((name for name in reversed(names) if name.startswith("layer ")), "")
    return f"layers[{layer.removeprefix('layer ')}]" if layer else names[-1] if names else "the model"


def no_activation(setup: Setup) -> Iterator[Finding]:
    """Layers with nothing but sums between them are one layer."""
    layers = getattr(setup.model, "layers", None)
    if not isinstance(layers, (list, tuple)) or len(layers) < 2:
        return
    plain = [i for i, layer in enumerate(layers[:-1]) if getattr(layer, "activation", "") in (None, "identity")]
    if plain:
        yield _finding(
            "no activation", f"layers[{plain[0]}]", f"there is no activation between layers {plain[0]} and "
            f"{plain[0] + 1}: together they are one linear layer", 'give activation="relu" or "tanh"',
        )  # fmt: skip


# --- the optimizer --------------------------------------------------------------------------------------------


def nothing_to_train(setup: Setup) -> Iterator[Finding]:
    """No parameter, or all of them frozen."""
    if not setup.parameters:
        yield _finding("no parameters", "", "the model has no parameters that are known here",
                       "keep them as ag.Parameter in attributes of an ag.Module, or give optimizer=")  # fmt: skip
    elif all(isinstance(p, Parameter) and p.frozen for p in setup.parameters.values()):
        yield _finding("all frozen", "", "every parameter is frozen: no step changes any", "set p.frozen = False",
                       setup.parameters, "not used")  # fmt: skip


def not_optimized(setup: Setup) -> Iterator[Finding]:
    """Parameters of the model that the optimizer does not have."""
    if setup.optimizer is None:
        return
    known = set(setup.optimizer.params)
    left = {name: p for name, p in setup.parameters.items() if p not in known and not getattr(p, "frozen", False)}
    if left:
        yield _finding(
            "not optimized", "", f"the optimizer has {len(setup.parameters) - len(left)} of the model's "
            f"{len(setup.parameters)} parameters: the others stay as they are",
            "make it from model.parameters(), after the model is complete", left, "not used",
        )  # fmt: skip


def learning_rate(setup: Setup) -> Iterator[Finding]:
    """A step that makes the loss many times larger, or one that changes nothing. It is tried, and undone."""
    optimizer, loss = setup.optimizer, setup.mean_loss()
    if optimizer is None or loss is None or setup.refused is not None or not isfinite(number_of(loss)):
        return
    np = numpy_for("diagnose: optimizer")

    found = adjoints(loss).get
    params = optimizer.params
    theta = np.array(numbers_of(params))
    total = np.array([found(p, 0.0) for p in params])
    if not np.isfinite(total).all() or not total.any():
        return  # other faults say why
    before = number_of(loss)
    try:
        after, _ = optimizer.stepped(theta, total)  # the second part, which would store the new state, is not run
    except ValueError as error:  # NotFinite, which stands in optim/
        yield _too_high(optimizer, f"the first step overflows ({error})", None)
        return
    move = np.asarray(after) - theta
    if np.linalg.norm(move) < 1e-7 * np.linalg.norm(theta):
        yield _finding(
            "learning rate too low", f"lr={optimizer.lr:g}", "a step changes the parameters by "
            f"{np.linalg.norm(move) / np.linalg.norm(theta):.1g} of their size", "try a rate 1,000 times as high",
        )  # fmt: skip
        return
    try:
        reached = _loss_at(setup, theta + move)
        if reached <= HIGHER * abs(before) + 1e-12:
            return
        tried = (0.1**k for k in range(1, 9))
        better = next((share for share in tried if _loss_at(setup, theta + share * move) < before), None)
    finally:
        set_numbers(params, theta.tolist())
    what = f"one step raises the loss from {before:.3g} to {reached:.3g}"
    yield _too_high(optimizer, what, None if better is None else better * optimizer.lr)


def _loss_at(setup: Setup, theta: Any) -> float:
    """The mean loss at other parameters; infinity where it is not a number."""
    set_numbers(setup.optimizer.params, theta.tolist())
    try:
        loss = setup.loss_now()
    except (ArithmeticError, ValueError):
        return float("inf")
    return loss if isfinite(loss) else float("inf")


def _too_high(optimizer: Any, what: str, better: float | None) -> Finding:
    advice = "try a rate ten times lower, and again" if better is None else f"try lr={better:.1g}"
    return _finding("learning rate too high", f"lr={as_float(optimizer.lr, 'lr'):g}", what,
                    f"{advice}; clip_norm=1.0 of the optimizer bounds a step")  # fmt: skip


Fault = Callable[[Setup], Iterator[Finding]]

BEFOREHAND: tuple[Fault, ...] = (
    nothing_to_train, not_optimized, inputs_not_scaled, targets_not_scaled, one_class, labels_refused,
    labels_of_another_loss, probabilities_as_scores, scores_as_probabilities, output_out_of_range, no_activation,
    units_off_or_flat, learning_rate,
)  # fmt: skip
"""In the order in which they are reported: what is mended first comes first."""

LASTING = {
    "detached", "unreachable", "zero initialisation", "symmetric initialisation", "a step", "saturated softmax",
    "hidden slope", "NaN value", "infinite value", "NaN gradient", "infinite gradient",
}  # fmt: skip
"""Kinds of faults of single gradients that count for a model with its data."""

WIDE = {"vanishing chain", "exploding chain"}
"""Those that count where a quarter of the parameters suffers; what else is 0 or small may be so by the data."""


def on_the_graph(setup: Setup, findings: list[Finding]) -> Iterator[Finding]:
    """What counts of the faults of the gradients of the mean loss, with the model's names of its parameters."""
    names = {p: name for name, p in setup.parameters.items()}
    for x in findings:
        if x.kind in LASTING or (x.kind in WIDE and 4 * len(x.parameters) >= len(names)):
            yield replace(x, names=tuple(names.get(p, name) for p, name in zip(x.parameters, x.names, strict=True)))
