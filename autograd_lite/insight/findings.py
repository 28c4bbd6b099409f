"""What diagnose gives: a Diagnosis, which is a sequence of Findings."""

from __future__ import annotations

from dataclasses import dataclass

from autograd_lite.engine.value import Value
from autograd_lite.insight.anomaly import Source

SHORT = 5
"""Names of parameters, and findings of one kind, that are written out."""


@dataclass(frozen=True, eq=False)
class Finding:
    """One fault.

    Attributes:
        kind: in two words, such as "dead relu".
        node: the first node at fault; None where nothing of the graph is.
        where: that node written out with its numbers; or what is at fault of the data or the model.
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
        if names:
            lines.append(f"  suffers   {names}: {self.gradient}")
        lines.append(f"  instead   {self.advice}")
        return "\n".join(lines)

    __repr__ = __str__


class Diagnosis:
    """What `diagnose` found: a sequence of Findings, empty (and so false) if all is well.

    Attributes:
        findings: the faults, those that spoil most first.
        watched: how many parameters were looked at.
        examples: on how many examples; 0 where one loss was diagnosed.
        unexamined: parameters whose gradients were not looked into, as some value is not finite: what is wrong
            with them, if anything, shows once that is mended.
    """

    findings: tuple[Finding, ...]
    watched: int
    unexamined: tuple[Value, ...]
    examples: int

    def __init__(
        self, findings: list[Finding], watched: int, unexamined: tuple[Value, ...] = (), examples: int = 0
    ) -> None:
        self.findings, self.watched, self.unexamined, self.examples = tuple(findings), watched, unexamined, examples

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, i: int) -> Finding:
        return self.findings[i]

    def __str__(self) -> str:
        of = f"the gradients of {many(self.watched)}"
        if self.examples:
            of = f"a model of {many(self.watched)} and {many(self.examples, 'example')}"
        if not self.findings:
            return f"diagnose: nothing wrong with {of}"
        lines = [f"diagnose: {many(len(self), 'fault')} in {of}"]
        seen: dict[str, int] = {}
        for finding in self.findings:
            seen[finding.kind] = seen.get(finding.kind, 0) + 1
            if seen[finding.kind] <= SHORT:
                lines += ["", str(finding)]
        more = sum(n - SHORT for n in seen.values() if n > SHORT)
        if more:
            lines += ["", f"... and {more:,} more of the same kinds, in .findings"]
        if self.unexamined:
            others = many(len(self.unexamined), "other parameter")
            lines += ["", f"{others} not examined while a value is not finite: mend that, and ask again"]
        return "\n".join(lines)

    __repr__ = __str__


def many(n: int, what: str = "parameter") -> str:
    """A count with its noun."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
