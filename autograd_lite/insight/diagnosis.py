"""diagnose: gradients that are zero, NaN, infinite, vanishing, exploding or unreachable, and why.

Each parameter is asked about by the list of faults that fits its gradient (faults.py), from facts about the graph
that are found once (facts.py). What an operation does wrong there, and what to write instead, is in remedies.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.value import Value
from autograd_lite.insight import faults
from autograd_lite.insight.anomaly import Source, source_of
from autograd_lite.insight.facts import Facts
from autograd_lite.insight.faults import FINE, Blame, Fault

SHORT = 5
"""Names of parameters, and findings of one kind, that are written out."""


@dataclass(frozen=True, eq=False)
class Finding:
    """One fault.

    Attributes:
        kind: in two words, such as "dead relu".
        node: the first node at fault; None where nothing of the graph is.
        where: that node written out with its numbers.
        source: the line that made it, where lines were recorded (`ag.record_source()`), else None.
        mechanism: how the fault comes about.
        advice: what to write instead.
        parameters: the Values whose gradients suffer.
        gradient: the gradient that they get, in words.
    """

    kind: str
    node: Value | None
    where: str
    source: Source | None
    mechanism: str
    advice: str
    parameters: tuple[Value, ...]
    gradient: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        names = ", ".join(self.names[:SHORT])
        if len(self.names) > SHORT:
            names += f" and {len(self.names) - SHORT:,} more"
        lines = [f"{self.kind}: {self.mechanism}"]
        if self.where:
            lines.append(f"  first at  {self.where}")
        if self.source is not None:
            lines.append(f"  made at   {self.source}")
        lines.append(f"  suffers   {names}: {self.gradient}")
        lines.append(f"  instead   {self.advice}")
        return "\n".join(lines)

    __repr__ = __str__


class Diagnosis:
    """What `diagnose` found: a sequence of Findings, empty (and so false) if all is well.

    Attributes:
        findings: the faults, those that spoil most first.
        watched: how many parameters were looked at.
        unexamined: parameters whose gradients were not looked into, as some value is not finite: what is wrong
            with them, if anything, shows once that is mended.
    """

    findings: tuple[Finding, ...]
    watched: int
    unexamined: tuple[Value, ...]

    def __init__(self, findings: list[Finding], watched: int, unexamined: tuple[Value, ...] = ()) -> None:
        self.findings, self.watched, self.unexamined = tuple(findings), watched, unexamined

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, i: int) -> Finding:
        return self.findings[i]

    def __str__(self) -> str:
        if not self.findings:
            return f"diagnose: nothing wrong with the gradients of {_many(self.watched)}"
        lines = [f"diagnose: {_many(len(self), 'fault')} in the gradients of {_many(self.watched)}"]
        seen: dict[str, int] = {}
        for finding in self.findings:
            seen[finding.kind] = seen.get(finding.kind, 0) + 1
            if seen[finding.kind] <= SHORT:
                lines += ["", str(finding)]
        more = sum(n - SHORT for n in seen.values() if n > SHORT)
        if more:
            lines += ["", f"... and {more:,} more of the same kinds, in .findings"]
        if self.unexamined:
            others = _many(len(self.unexamined), "other parameter")
            lines += ["", f"{others} not examined while a value is not finite: mend that, and ask again"]
        return "\n".join(lines)

    __repr__ = __str__


def _many(n: int, what: str = "parameter") -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def diagnose(loss: Value, parameters: Any = None, *, small: float = 1e-6, large: float = 1e6) -> Diagnosis:
    """Find gradients that are zero, not finite, vanishing, exploding or unreachable, and say why.

    Args:
        loss: the Value at the root; no backward pass is needed, and no `.grad` is touched.
        parameters: the Values whose gradients matter, or a module that has `parameters()`. Without it: every
            Parameter of the graph, or every leaf if it has none. Give them to find the unreachable ones.
        small, large: sizes of a gradient from which it counts as vanishing or exploding.

    Returns:
        A Diagnosis, false if nothing is wrong. Each Finding has the first node at fault, the line that made it
        (build the graph within `ag.record_source()`), the mechanism and what to write instead.

    Raises:
        TypeError: loss or a parameter is not a Value.

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
    """
    if not isinstance(loss, Value):
        raise TypeError(f"diagnose: loss must be a Value, got {describe(loss)}")
    small, large = _bound(small, "small"), _bound(large, "large")
    facts = Facts(loss, parameters, small, large)
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
        findings += _of_each(facts, [p for p, g in gradients if g == 0.0], faults.ZERO)
        findings += _of_each(
            facts, [p for p, g in gradients if isfinite(g) and g != 0.0 and p in facts.chain], faults.SIZE
        )
        findings += [_finding(facts, *found) for found in faults.symmetric(facts)]
    return Diagnosis(findings, len(facts.watched), tuple(unexamined))


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
