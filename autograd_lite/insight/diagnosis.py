"""diagnose: gradients that are zero, NaN, infinite, vanishing, exploding, added up or unreachable, and why.

Each parameter is asked about by the list of faults that fits its gradient (faults.py), from facts about the graph
that are found once (facts.py). What an operation does wrong there, and what to write instead, is in remedies.py. What
is wrong with a model and its data before training is in beforehand.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from typing import Any, overload

from autograd_lite import losses
from autograd_lite.engine.checks import as_float
from autograd_lite.engine.value import Value
from autograd_lite.insight import faults
from autograd_lite.insight.anomaly import source_of
from autograd_lite.insight.beforehand import BEFOREHAND, Setup, on_the_graph
from autograd_lite.insight.facts import Facts
from autograd_lite.insight.faults import FINE, Blame, Fault
from autograd_lite.insight.findings import Diagnosis, Finding
from autograd_lite.names import LossName, Text

BY_CHANCE = {"cancelled", "small factor", "small slope", "vanishing chain"}
"""Kinds of faults that one gradient among many has by chance, as where an input is near 0."""

MANY, FEW = 20, 0.1
"""Of at least MANY parameters a share of FEW has to suffer from one of those."""


@overload
def diagnose(loss: Value, parameters: Any = None, /, *, small: float = 1e-6, large: float = 1e6) -> Diagnosis: ...
@overload
def diagnose(
    model: Callable[..., Any], X: Any, y: Any, /, *, loss: LossName | Text | Callable[..., Any] = ...,
    optimizer: Any = None, small: float = 1e-6, large: float = 1e6,
) -> Diagnosis: ...  # fmt: skip
def diagnose(
    of: Any, over: Any = None, y: Any = None, /, *, loss: Any = losses.squared_error, optimizer: Any = None,
    small: float = 1e-6, large: float = 1e6, parameters: Any = None,
) -> Diagnosis:  # fmt: skip
    """Find gradients that are zero, not finite, vanishing, exploding, added up or unreachable, and say why.

        ag.diagnose(loss, parameters)  of a graph;  ag.diagnose(model, X, y, loss=..., optimizer=...)  before training

    Args:
        of: the loss, a Value; no backward pass is needed, and no `.grad` is touched. Or a model, as `fit` takes it.
        over: with a loss the Values whose gradients matter, or a module that has `parameters()`. Without it: every
            Parameter of the graph, or every leaf if it has none. Give them to find the unreachable ones. With a model
            its examples X, shape (n, d) or (n,).
        y: the targets of the examples, shape (n,) or (n, k).
        loss: of the model, a function of (prediction, target) or its name, as `fit` takes it.
        optimizer: an Optimizer of the model: a step is tried, and undone.
        small, large: sizes of a gradient from which it counts as vanishing or exploding.
        parameters: another name of `over` with a loss.

    Returns:
        A Diagnosis, false if nothing is wrong. Each Finding has the first node at fault, the line that made it
        (build the graph within `ag.record_source()`), the mechanism and what to write instead. Of a model also: inputs
        and targets that are not scaled, labels and outputs that do not fit the loss, layers that are off or saturated,
        parameters that the optimizer lacks, and a learning rate that is too high or low. Up to 64 examples are run.

    Raises:
        TypeError: loss or a parameter is not a Value; the model is not a function, or comes without y.
        ValueError: X and y are not examples, or there is no such loss.

    Example:
        >>> x, w = ag.Value(2.0, name="x"), ag.Parameter(-1.5, name="w")
        >>> loss = (ag.relu(w * x) - 1) ** 2
        >>> print(ag.diagnose(loss))
        diagnose: 1 fault in the gradients of 1 parameter
        <BLANKLINE>
        dead relu: the relu gets -3: it is off, and lets no gradient back
          first at  v4 = relu(v3) = relu(-3) = 0
          suffers   w: gradient 0
          instead   start with a positive bias or smaller weights (He initialisation), lower the learning rate, ...
        >>> model = ag.MLP(1, [4, 1], seed=0)
        >>> [finding.kind for finding in ag.diagnose(model, [[500.0], [700.0]], [0.0, 1.0])]
        ['inputs not scaled']
    """
    small, large = _bound(small, "small"), _bound(large, "large")
    if isinstance(of, Value):
        if y is not None or optimizer is not None:
            raise TypeError("diagnose: a loss is diagnosed with its parameters; y and optimizer go with a model and X")
        found, unexamined, watched = _of_a_graph(Facts(of, over if parameters is None else parameters, small, large))
        return Diagnosis(found, watched, unexamined)
    setup = Setup(of, over, y, loss, optimizer)
    found = [finding for fault in BEFOREHAND for finding in fault(setup)]
    mean = setup.mean_loss()
    if mean is not None and not any(finding.kind == "scores into probabilities" for finding in found):
        of_graph, *_ = _of_a_graph(Facts(mean, list(setup.parameters.values()) or None, small, large))
        found += on_the_graph(setup, of_graph)
    return Diagnosis(found, len(setup.parameters), (), len(setup.data))


def _of_a_graph(facts: Facts) -> tuple[list[Finding], tuple[Value, ...], int]:
    """(the faults of a graph, the parameters whose gradients were not looked into, how many there are)."""
    findings: list[Finding] = []
    unexamined: list[Value] = []
    reached = [p for p in facts.watched if p in facts.adjoint]
    findings += _of_each(facts, [p for p in facts.watched if p not in facts.adjoint], faults.LOST)
    spoilt = [_finding(facts, *found) for found in faults.values_not_finite(facts)]
    findings += spoilt
    if spoilt:  # zeros and sizes of the other gradients mean nothing while a value is not finite
        blamed = {p for finding in findings for p in finding.parameters}
        unexamined = [p for p in reached if p not in blamed]
    else:
        hidden = [_finding(facts, *found) for found in faults.hidden_slope(facts)]
        findings += hidden
        doubtful = {p for finding in hidden for p in finding.parameters}
        gradients = [(p, facts.adjoint[p]) for p in reached if p not in doubtful]
        findings += [_finding(facts, *found) for found in faults.gradients_not_finite(facts)]
        findings += [_finding(facts, *found) for found in faults.added_up(facts)]
        findings += _of_each(facts, [p for p, g in gradients if g == 0.0], faults.ZERO)
        findings += _of_each(
            facts, [p for p, g in gradients if isfinite(g) and g != 0.0 and p in facts.chain], faults.SIZE
        )
        findings += [_finding(facts, *found) for found in faults.symmetric(facts)]
    return findings, tuple(unexamined), len(facts.watched)


def _bound(x: Any, name: str) -> float:
    value = as_float(x, f"diagnose: {name}")
    if not value > 0.0:
        raise ValueError(f"diagnose: {name} must be above 0, got {value:g}")
    return value


def _of_each(facts: Facts, parameters: Sequence[Value], asked: Iterable[Fault]) -> Iterator[Finding]:
    """What each of these parameters suffers from, those of one cause together."""
    groups: dict[Any, list[Value]] = {}
    worst: dict[Any, Blame] = {}
    for p in parameters:
        blame = next((blame for fault in asked if (blame := fault(facts, p)) is not None), FINE)
        if blame is FINE:
            continue
        key: Any = blame if blame.weight is None else blame.kind
        groups.setdefault(key, []).append(p)
        if key not in worst or (blame.weight or 0) > (worst[key].weight or 0):
            worst[key] = blame
    if len(facts.watched) >= MANY:
        sufferers: Counter[str] = Counter()
        for key, some in groups.items():
            sufferers[worst[key].kind] += len(some)
        rare = {kind for kind in BY_CHANCE if sufferers[kind] < FEW * len(facts.watched)}
        groups = {key: some for key, some in groups.items() if worst[key].kind not in rare}
    for key in sorted(groups, key=lambda key: bool(worst[key].weight)):  # chains after what single operations do
        yield _finding(facts, worst[key], groups[key], _sizes(facts, groups[key]))


def _sizes(facts: Facts, parameters: Sequence[Value]) -> str:
    """The gradients of some parameters, in words."""
    if parameters[0] not in facts.adjoint:
        return "no gradient reaches it"
    sizes = [abs(facts.adjoint[p]) for p in parameters]
    low, high = f"{min(sizes):.2g}", f"{max(sizes):.2g}"
    size = low if low == high else f"{low} to {high}"
    return "gradient 0" if size == "0" else f"gradient of size {size}"


def _finding(facts: Facts, blame: Blame, suffering: Sequence[Value], gradient: str) -> Finding:
    node, kind, mechanism, advice, _ = blame
    where, source = ("", None) if node is None else (facts.formula(node), source_of(node))
    names = tuple(map(facts.name, suffering))
    return Finding(kind, node, where, source, mechanism, advice, tuple(suffering), gradient, names)
