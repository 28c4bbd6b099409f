"""diagnose: gradients that are zero, NaN, infinite, vanishing, exploding or unreachable, and why.

One pass forward over the values, one pass back over the adjoints, each noting for every node where the trouble
that reaches it began. What an operation does wrong there, and what to write instead, is in
mechanisms.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from math import exp, inf, isfinite, log
from typing import Any

from autograd_lite.engine import graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import describe
from autograd_lite.engine.modes import changed_mode
from autograd_lite.engine.notation import Labels, assignment
from autograd_lite.engine.value import Parameter, Value, as_values
from autograd_lite.insight.anomaly import Source, badness, source_of
from autograd_lite.insight.remedies import (
    SATURATING,
    Words,
    numbers,
    of_adjoint,
    of_value,
    of_zero,
    saturated,
    saturated_softmax,
)

Fault = tuple[Value | None, str, str, str]
"""The first node at fault, the kind, the mechanism, the advice."""

SHORT = 5
"""Names of parameters, and findings of one kind, that are written out."""

LONG_CHAIN = 8
"""Factors from which a product counts as a chain."""

ADDING = ("dot", "add", "sub", "sum", "mul", "neg")
"""Operations that a unit is made of, below its activation."""

CHAIN_ADVICE = "fewer layers, relu or tanh in place of sigmoid, Xavier or He initialisation, or shortcuts (x + f(x))"

FLAT = 1e-3
"""A slope of a squashing function under which it counts as saturated."""


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
        as_values = ", ".join(self.names[:SHORT])
        if len(self.names) > SHORT:
            as_values += f" and {len(self.names) - SHORT:,} more"
        lines = [f"{self.kind}: {self.mechanism}"]
        if self.where:
            lines.append(f"  first at  {self.where}")
        if self.source is not None:
            lines.append(f"  made at   {self.source}")
        lines.append(f"  suffers   {as_values}: {self.gradient}")
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
        TypeError: loss or a parameter is no Value.

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
    return _Search(loss, parameters, small, large).run()


def _watched(order: list[Value], parameters: Any) -> list[Value]:
    if parameters is None:
        found: list[Value] = [node for node in order if isinstance(node, Parameter)]
        return found or [node for node in order if node._row is None]
    given = parameters.parameters() if hasattr(parameters, "parameters") else parameters
    given = [given] if isinstance(given, Value) else given
    return list(dict.fromkeys(as_values(given, "diagnose", "parameters", "parameters must be Values or a module")))


@dataclass
class _Chain:
    """The path of the largest product from the loss to a node: what a gradient is made of, roughly."""

    size: float = 0.0  # the sum of the logarithms of its factors
    length: int = 0
    least: float = 0.0  # the smallest factor's logarithm, and its node and slot
    least_at: tuple[Value, int] | None = None
    most: float = 0.0  # the largest one's
    most_at: tuple[Value, int] | None = None
    small_at: Value | None = None  # where the product first went under `small`
    large_at: Value | None = None
    softmax_at: Value | None = None  # the exponential of a softmax that is saturated

    def on(self, node: Value, slot: int, x: Value, d: float, bounds: tuple[float, float]) -> _Chain:
        factor = log(abs(d)) if d and isfinite(d) else 0.0 if d else -inf
        size = self.size + factor
        least, most = factor < self.least, factor > self.most
        small, large = bounds
        return _Chain(
            size,
            self.length + 1,
            factor if least else self.least,
            (node, slot) if least else self.least_at,
            factor if most else self.most,
            (node, slot) if most else self.most_at,
            node if self.small_at is None and size < small else self.small_at,
            node if self.large_at is None and size > large else self.large_at,
            self.softmax_at,
        )


class _Search:
    """The passes over one graph, and what they find."""

    def __init__(self, loss: Value, parameters: Any, small: float, large: float) -> None:
        self.loss, self.small, self.large = loss, small, large
        self.order = graph.toposort(loss)
        self.given = parameters is not None
        self.watched = _watched(self.order, parameters)
        self.labels = Labels(self.order)
        with changed_mode(on_adjoint=None):
            self.adjoint = adjoints(loss)
        self.findings: list[Finding] = []
        self.unexamined: list[Value] = []

    def run(self) -> Diagnosis:
        """All searches, most serious first."""
        reached = [p for p in self.watched if p in self.adjoint]
        self._unreachable([p for p in self.watched if p not in self.adjoint])
        if self._forward(reached):
            blamed = {p for finding in self.findings for p in finding.parameters}
            self.unexamined = [p for p in reached if p not in blamed]
        else:
            self._backward([p for p in reached if not isfinite(self.adjoint[p])])
            self.softmax = self._softmaxes()
            self.chain = self._followed()
            self._zeros([p for p in reached if self.adjoint[p] == 0.0])
            self._chains([p for p in reached if isfinite(self.adjoint[p]) and self.adjoint[p] != 0.0])
            if any(isinstance(p, Parameter) for p in reached) or self.given:
                self._twins(set(reached))
        return Diagnosis(self.findings, len(self.watched), tuple(self.unexamined))

    def _found(self, kind: str, node: Value | None, words: Words, suffering: list[Value], gradient: str) -> None:
        where = "" if node is None else assignment(node, self.labels)
        if len(where) > 160:
            where = f"{where[:110]} ... {where[-40:]}"
        source = None if node is None else source_of(node)
        names = tuple(self._name(p) for p in suffering)
        self.findings.append(Finding(kind, node, where, source, *words, tuple(suffering), gradient, names))

    def _name(self, x: Value) -> str:
        return self.labels[x] if x in self.adjoint else x.name or repr(x)

    # -- parameters that the loss does not depend on

    def _unreachable(self, lost: list[Value]) -> None:
        if not lost:
            return
        copies = {leaf.name: leaf for leaf in self.order if leaf.is_leaf and leaf.name and leaf not in self.watched}
        copied = [p for p in lost if p.name in copies]
        if copied:
            what = f"the graph holds a leaf of the same name instead, {copies[copied[0].name]!r}: a detached copy"
            advice = "leave out the .detach() (or the rebuilding from .data) between the parameter and the loss"
            self._found("detached", copies[copied[0].name], (what, advice), copied, "no gradient reaches it")
        others = [p for p in lost if p.name not in copies]
        if others:
            what = "the loss was not computed from it: nothing leads there"
            advice = (
                "use the parameter itself, not .data, .item(), float numbers or .detach(), and build the loss "
                "outside ag.no_grad(); or it is meant to be unused, then do not give it to the optimizer"
            )
            self._found("unreachable", None, (what, advice), others, "no gradient reaches it")

    # -- values that are not finite

    def _forward(self, reached: list[Value]) -> bool:
        """Nodes that are worse than their operands, unless a branch not taken holds them."""
        spoiled = [p for p in reached if not isfinite(self.adjoint[p])]
        firsts: dict[str, tuple[Value, Words]] = {}  # the first of its kind
        for node in self.order:
            if isfinite(node._f) or (self.adjoint[node] == 0.0 and isfinite(self.loss._f)):
                continue
            if node.is_leaf:
                words = ("it was given so", "check the data: drop or repair such entries before they come in")
                firsts.setdefault(f"{_bad(node._f)} leaf", (node, words))
            elif badness(node._f) > max(map(badness, numbers(node))):
                firsts.setdefault(f"{_bad(node._f)} value", (node, of_value(node)))
        for kind, (node, words) in firsts.items():
            suffering = spoiled or reached
            gradient = "gradient not finite" if spoiled else "the loss itself is not finite"
            self._found(kind, node, words, suffering, gradient)
        return bool(firsts)

    # -- gradients that are not finite though the values are

    def _backward(self, spoiled: list[Value]) -> None:
        if not spoiled:
            return
        adjoint = self.adjoint
        for node in takewhile(lambda node: isfinite(adjoint[node]), reversed(self.order)):
            g = adjoint[node]
            for slot, (x, d) in enumerate(zip(graph.raw_operands(node), node.local_grads, strict=True)):
                if type(x) is not float and g != 0.0 and not isfinite(g * d):
                    self._found(
                        f"{_bad(g * d)} gradient", node, of_adjoint(node, slot, g), spoiled, "gradient not finite"
                    )
                    return
        over = next(node for node in reversed(self.order) if not isfinite(adjoint[node]))
        words = (f"what reaches {self._name(over)} is finite way by way, but not when added up", "scale the loss")
        self._found("infinite gradient", over, words, spoiled, "gradient not finite")

    # -- gradients that are exactly 0

    def _zeros(self, zeros: list[Value]) -> None:
        if not zeros:
            return
        cause: dict[Value, tuple[Value, int]] = {}  # where what flows to a node was stopped first
        cancelled: dict[Value, list[float]] = {}  # contributions that are not 0
        for node in reversed(self.order):
            g = self.adjoint[node]
            if g == 0.0 and node in cancelled:
                cause[node] = (node, -1)
            if node.is_leaf:
                continue
            for slot, (x, d) in enumerate(zip(graph.raw_operands(node), node.local_grads, strict=True)):
                if type(x) is float or self.adjoint[x] != 0.0:
                    continue
                if g == 0.0:
                    cause.setdefault(x, cause[node])
                elif g * d == 0.0 or d == 0.0:
                    cause.setdefault(x, (node, slot))
                else:
                    cancelled.setdefault(x, []).append(g * d)
        groups: dict[Fault, list[Value]] = {}
        zeroed: Fault | None = None
        for p in zeros:
            at, slot = cause[p]
            if slot < 0:
                parts = cancelled[at]
                if at in self.softmax:
                    groups.setdefault((self.softmax[at], *saturated_softmax()), []).append(p)
                    continue
                shares = ", ".join(f"{part:+.4g}" for part in parts[:4]) + (", ..." if len(parts) > 4 else "")
                what = f"what reaches {self._name(at)} by {len(parts)} ways adds up to 0: {shares}"
                key: Fault = (at, "cancelled", what, "nothing, at a minimum; else break the symmetry between the paths")
            else:
                key = self._stopped(at, slot)
                if key[1] == "dead relu" and self._alive_elsewhere(key[0]):
                    continue
                if key[1] == "zero initialisation":  # one fault, however many weights are 0
                    key = zeroed = zeroed or key
            groups.setdefault(key, []).append(p)
        for (node, kind, mechanism, advice), suffering in groups.items():
            self._found(kind, node, (mechanism, advice), suffering, "gradient 0")

    def _alive_elsewhere(self, relu: Value | None) -> bool:
        """Whether the unit of a relu that is off here is on for another example: then a parameter of it learns."""
        return relu is not None and any(self.adjoint[p] != 0.0 for p in self._unit(relu.operands[0]))

    def _unit(self, node: Value) -> list[Value]:
        """The parameters of a unit: those below a node with nothing between but sums and products."""
        stack, watched = [node], set(self.watched)
        found: dict[Value, None] = {}
        while stack:
            node = stack.pop()
            if node in watched:
                found[node] = None
            if node.op in ADDING:
                stack.extend(x for x in reversed(graph.raw_operands(node)) if type(x) is not float)
        return list(found)

    def _stopped(self, node: Value, slot: int) -> Fault:
        """(node at fault, kind, mechanism, advice) where a factor of 0 stopped a gradient."""
        kind, mechanism, advice = of_zero(node, slot)
        if node in self.softmax:
            return self.softmax[node], *saturated_softmax()
        if kind == "underflow" and node in self.chain and self.chain[node].length + 1 >= LONG_CHAIN:
            chain, last = self.chain[node], log(abs(node.local_grads[slot] or 1.0))
            return self._vanished(chain.small_at or node, chain.size + last, chain.length + 1, "to 0 (underflow)")
        if kind == "dead relu" and numbers(node)[slot] == 0.0:
            effect = "keep a relu at 0, where it lets no gradient back"
            origin = self._origin_of_zero(graph.raw_operands(node)[slot], effect)
            return (node, kind, mechanism, advice) if origin is None else origin
        if kind != "a factor of 0":
            return node, kind, mechanism, advice
        operands = graph.raw_operands(node)
        pairs = node.op in ("mul", "dot")
        others = [self._factor(node, slot)] if pairs else [*operands[:slot], *operands[slot + 1 :]]
        for other in others:
            if isinstance(other, Value) and other._f == 0.0:
                shrunk, steps = self._shrinking(other)
                if steps >= LONG_CHAIN:
                    what = f"a value that shrank over {steps:,} steps to 0 (underflow) multiplies it"
                    return shrunk, "vanishing chain", what, CHAIN_ADVICE
                return self._origin_of_zero(other, "multiply what comes back by 0") or (
                    node,
                    kind,
                    f"it is multiplied by {self._name(other)} = 0",
                    advice,
                )
        return node, kind, mechanism, advice

    def _factor(self, node: Value, slot: int) -> Any:
        """What the operand in a slot of a product is multiplied by."""
        operands = graph.raw_operands(node)
        half = len(operands) // 2
        return operands[slot + half if slot < half else slot - half] if slot < 2 * half else 1.0

    def _origin_of_zero(self, node: Any, effect: str) -> Fault | None:
        """What made this 0: a weight that is 0 (with this effect), or a relu that is off; None if it is neither."""
        seen: set[Value] = set()
        stack = [node]
        watched = set(self.watched)
        while stack:
            node = stack.pop()
            if type(node) is float or node in seen or node._f != 0.0:
                continue
            seen.add(node)
            if node in watched:
                return (
                    node,
                    "zero initialisation",
                    f"weights that are 0, such as {self._name(node)}, {effect}",
                    "start the weights at random, small and different (as ag.MLP does); only biases may start at 0",
                )
            if node.op == "relu" and numbers(node)[0] < 0.0:
                return node, *of_zero(node, 0)
            stack.extend(reversed(graph.raw_operands(node)))
        return None

    # -- gradients that are very small or very large

    def _softmaxes(self) -> dict[Value, Value]:
        """For each exponential and quotient of a softmax its first quotient; those of a log-sum-exp are none."""
        first: dict[Value, Value] = {}
        for node in self.order:
            total: Any = graph.raw_operands(node)[1] if node.op == "div" else None
            if isinstance(total, Value) and total.op == "sum":
                parts = [x for x in graph.raw_operands(total) if type(x) is not float and x.op == "_expdiff"]
                if parts:
                    first[node] = first.setdefault(parts[0], node)
                    first.update((x, first[node]) for x in parts if x not in first)
        return first

    def _followed(self) -> dict[Value, _Chain]:
        """The path of the largest product to every node."""
        bounds = (log(self.small), log(self.large))
        chain = {self.loss: _Chain()}
        for node in reversed(self.order):
            here = chain.get(node) if node._f == node._f and self.adjoint[node] != 0.0 else None
            if node.is_leaf or here is None:
                continue
            if (
                node in self.softmax
                and node.op == "_expdiff"
                and (abs(node._f) < FLAT or log(abs(self.adjoint[node])) < here.size + log(FLAT))
            ):
                here = replace(here, softmax_at=self.softmax[node])
            for slot, (x, d) in enumerate(zip(graph.raw_operands(node), node.local_grads, strict=True)):
                if type(x) is float or d == 0.0:
                    continue
                there = chain.get(x)
                if there is None or here.size + (log(abs(d)) if isfinite(d) else 0.0) > there.size:
                    chain[x] = here.on(node, slot, x, d, bounds)
        return chain

    def _chains(self, candidates: list[Value]) -> None:
        chain = self.chain
        groups: dict[Fault, list[Value]] = {}
        chained: dict[str, list[Value]] = {}
        extreme: dict[str, tuple[Fault, Value] | None] = {"vanishing chain": None, "exploding chain": None}
        for p in candidates:
            key = self._judged(chain[p], abs(self.adjoint[p])) if p in chain else None
            if key is not None and key[1] in extreme:  # one fault: the chain as it looks at its worst
                worst = extreme[key[1]]
                if worst is None or chain[p].length > chain[worst[1]].length:
                    extreme[key[1]] = key, p
                chained.setdefault(key[1], []).append(p)
            elif key is not None:
                groups.setdefault(key, []).append(p)
        for kind, suffering in chained.items():
            worst = extreme[kind]
            assert worst is not None
            groups[worst[0]] = suffering
        for (node, kind, mechanism, advice), suffering in groups.items():
            sizes = [abs(self.adjoint[p]) for p in suffering]
            low, high = f"{min(sizes):.2g}", f"{max(sizes):.2g}"
            size = low if low == high else f"{low} to {high}"
            self._found(kind, node, (mechanism, advice), suffering, f"gradient of size {size}")

    def _judged(self, chain: _Chain, gradient: float) -> Fault | None:
        """(node, kind, mechanism, advice) for a gradient made of this chain of factors; None if it is in order."""
        if chain.least_at is not None and chain.least < log(FLAT):
            node, slot = chain.least_at
            if node.op in SATURATING:
                return node, *saturated(node.op, numbers(node)[slot], node.local_grads[slot])
        if gradient < self.small and chain.length >= LONG_CHAIN and 2 * chain.least > chain.size:
            return self._vanished(chain.small_at, chain.size, chain.length, "to 0 with its length")
        if gradient > self.large and chain.length >= LONG_CHAIN and 2 * chain.most < chain.size:
            mean = exp(chain.size / chain.length)
            return (
                chain.large_at,
                "exploding chain",
                f"a product of {chain.length:,} local gradients, each {mean:.3g} on average, grows with its length",
                "smaller weights (Xavier or He initialisation), fewer steps, or clip the gradient's norm",
            )
        if gradient > self.large and chain.most_at is not None:
            node, slot = chain.most_at
            if node.op in ("mul", "dot"):
                return self._grown(node, self._factor(node, slot))
            what = f"the slope of {node.op} at {numbers(node)[slot]:.4g} is {node.local_grads[slot]:.3g}"
            return node, "steep", what, "keep away from the pole, or scale what comes in"
        if gradient < self.small:
            return self._small(chain)
        return None

    def _vanished(self, at: Value | None, size: float, length: int, whither: str) -> Fault:
        """A product of many factors below 1."""
        each = f"each {exp(size / length):.3g} on average"
        what = f"a product of {length:,} local gradients, {each}, goes {whither}"
        return at, "vanishing chain", what, CHAIN_ADVICE

    def _small(self, chain: _Chain) -> Fault | None:
        """What made a gradient small that is no long chain of factors; None near a minimum."""
        if chain.softmax_at is not None:
            return chain.softmax_at, *saturated_softmax()
        if chain.least_at is None or chain.size >= log(self.small):
            return None  # large terms cancel: a minimum
        node, slot = chain.least_at
        if node in self.softmax:
            return self.softmax[node], *saturated_softmax()
        if node.op == "_expdiff":
            return None  # a share in a log-sum-exp: it goes to 0 as a loss on logits goes to its minimum
        x, local = numbers(node)[slot], node.local_grads[slot]
        factor = self._factor(node, slot) if node.op in ("mul", "dot") else None
        squared = factor is graph.raw_operands(node)[slot] or (
            node.op == "pow" and slot == 0 and abs(local) < 1.0 > abs(x)
        )
        if squared:  # the slope of a square near its minimum; what is left may still be too small
            return None if chain.size - chain.least >= log(self.small) else self._product(chain)
        if chain.least >= log(self.small) / 2 and chain.length > 1:  # none of them is to blame alone
            return self._product(chain)
        if factor is not None:
            shrunk, steps = self._shrinking(factor)
            if steps >= LONG_CHAIN:
                what = f"a value that shrank over {steps:,} steps to {factor._f:.3g} multiplies it"
                return shrunk, "vanishing chain", what, CHAIN_ADVICE
            what = f"it is multiplied by {local:.3g}"
            return (
                node,
                "small factor",
                what,
                "scale the inputs (unit variance) or the loss, or raise the learning rate",
            )
        what = f"the slope of {node.op.lstrip('_')} at {x:.4g} is {local:.3g}"
        return node, "small slope", what, "scale what goes in, or start where the function is steeper"

    def _product(self, chain: _Chain) -> Fault:
        what = f"a product of {chain.length:,} local gradients, the least of them {exp(chain.least):.3g}, is small"
        advice = "scale the inputs (unit variance) or the loss, or raise the learning rate"
        return chain.small_at, "small factor", what, advice

    def _shrinking(self, factor: Any) -> tuple[Value | None, int]:
        """(where a value came under `small`, over how many steps it shrank to what it is)."""
        node, steps = factor, 0
        under: Value | None = factor if isinstance(factor, Value) else None
        while isinstance(node, Value) and not node.is_leaf:
            above = [x for x in graph.raw_operands(node) if type(x) is not float and not x.is_leaf]
            least = min(above, key=lambda x: abs(x._f), default=None)
            if least is None or not abs(least._f) >= (1 - 1e-9) * abs(node._f):
                break
            steps += abs(least._f) > (1 + 1e-9) * abs(node._f)
            node = least
            under = node if abs(node._f) < self.small else under
        return under, steps

    def _grown(self, product: Value, factor: Any) -> Fault:
        """Where a large factor of a product came from: it was large from the start, or grew step by step."""
        steps = 0
        node = factor
        over: Any = factor
        while isinstance(node, Value) and not node.is_leaf:
            largest = max(graph.raw_operands(node), key=lambda x: abs(x if type(x) is float else x._f))
            if abs(largest if type(largest) is float else largest._f) >= abs(node._f):
                break
            steps += 1
            node = largest
            over = node if isinstance(node, Value) and abs(node._f) > self.large else over
        at = over if isinstance(over, Value) else product
        size = factor._f if isinstance(factor, Value) else factor
        if steps >= LONG_CHAIN:
            what = f"a value that grew over {steps:,} steps to {size:.3g} multiplies it"
            return (
                at,
                "exploding chain",
                what,
                "smaller weights (Xavier or He initialisation), fewer steps, or clip the norm",
            )
        return at, "large factor", f"it is multiplied by {size:.3g}", "scale the inputs (zero mean, unit variance)"

    # -- units that compute the same, and always will

    def _twins(self, watched: set[Value]) -> None:
        """Nodes that are alike in all but which of the parameters they use: operation, values, adjoint."""
        form: dict[Value, int] = {}  # equal for nodes that compute the same, parameters compared by their values
        own: dict[Value, int] = {}  # the same with parameters compared by identity
        forms: dict[Any, int] = {}
        alike: dict[tuple[int, float], list[Value]] = {}
        for node in self.order:
            if node.is_leaf:
                form[node] = forms.setdefault((node._f if node in watched else node), len(forms))
                own[node] = forms.setdefault(node, len(forms))
                continue
            operands = graph.raw_operands(node)
            for keys in (form, own):
                key = (node.op, *((x,) if type(x) is float else keys[x] for x in operands))
                keys[node] = forms.setdefault(key, len(forms))
            uses = node.op in ("dot", "add", "sub", "sum") and any(
                x in watched for x in operands if type(x) is not float
            )
            if uses and self.adjoint[node] != 0.0 and form[node] != own[node]:
                alike.setdefault((form[node], self.adjoint[node]), []).append(node)
        groups = []
        for nodes in alike.values():
            different = list({own[node]: node for node in nodes}.values())
            mine = [p for node in different for p in graph.raw_operands(node) if type(p) is not float and p in watched]
            if len(different) > 1 and len(set(mine)) == len(mine):
                groups.append((different, mine))
        seen: set[Value] = set()
        for nodes, mine in groups:
            if seen.isdisjoint(mine):
                seen.update(mine)
                units = ", ".join(self.labels[n] for n in nodes[:4]) + (", ..." if len(nodes) > 4 else "")
                what = f"{len(nodes)} units ({units}) have equal weights and get equal gradients"
                advice = (
                    "start the weights at random (as ag.MLP does): equal units stay equal for ever, and count as one"
                )
                theirs = list(dict.fromkeys(p for node in nodes for p in self._unit(node)))
                self._found(
                    "symmetric initialisation", nodes[0], (what, advice), theirs, "gradients equal, unit by unit"
                )


def _bad(x: float) -> str:
    return "NaN" if x != x else "infinite"
