"""What diagnose knows of a graph: adjoints, the chain of factors to every node, and where a 0 began.

Each fact is found once, in one pass over the graph, however many parameters ask for it: a walk for each parameter
would make a layer of 32,000 weights cost a thousand million steps. What the facts mean is in faults.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isfinite, log
from typing import Any

from autograd_lite.engine import graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.modes import changed_mode
from autograd_lite.engine.notation import Labels, assignment
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Parameter, Value, as_values
from autograd_lite.insight.remedies import number_at

FLAT = 1e-3
"""A slope of a squashing function under which it counts as saturated."""

ENOUGH = 32
"""Examples from which a unit that is off in each of them counts as dead."""

LONGEST_FORMULA = 160
"""Characters of a formula; of a longer one the middle is left out."""


def _is_linear(node: Value) -> bool:
    """Whether it is one of the operations that a unit is made of, below its activation."""
    return node._row is not None and node._row.linear


@dataclass
class Chain:
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

    def extended(self, node: Value, slot: int, d: float, bounds: tuple[float, float]) -> Chain:
        """The chain with one more factor, the local gradient d of a node in a slot."""
        factor = _log_size(d)
        size = self.size + factor
        least, most = factor < self.least, factor > self.most
        small, large = bounds
        return Chain(
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


def _log_size(d: float) -> float:
    return log(abs(d)) if d and isfinite(d) else 0.0 if d else -inf


class Facts:
    """One graph, seen from its loss.

    Attributes:
        order: its nodes, operands first.
        watched: the Values whose gradients matter; `given` where the caller named them.
        adjoint: d(loss)/d(node); a Value that is not in it is not in the graph.
        small, large: sizes of a gradient from which it counts as vanishing or exploding.
    """

    loss: Value
    small: float
    large: float

    def __init__(self, loss: Value, parameters: Any, small: float, large: float) -> None:
        self.loss, self.small, self.large = loss, small, large
        self.order: list[Value] = graph.toposort(loss)
        self.given: bool = parameters is not None
        self.watched: dict[Value, None] = dict.fromkeys(_watched(self.order, parameters))
        with changed_mode(on_adjoint=None, on_sweep=None):  # what is not finite is looked for here, not raised
            self.adjoint: dict[Value, float] = adjoints(loss)
        self._labels = Labels(self.order)
        self._formulas: dict[Value, str] = {}
        self._shrinking: dict[Value, tuple[int, Value | None]] = {}
        self._growing: dict[Value, tuple[int, Value | None]] = {}
        self._zeros: dict[Value, list[int]] = {}

    # -- in words

    def name(self, x: Value) -> str:
        """What messages call a Value."""
        return self._labels[x] if x in self.adjoint else x.name or repr(x)

    def formula(self, node: Value) -> str:
        """A node written out with its numbers; kept, since a wide `dot` can be at fault once for each operand."""
        if node not in self._formulas:
            text = assignment(node, self._labels)
            self._formulas[node] = text if len(text) <= LONGEST_FORMULA else f"{text[:110]} ... {text[-40:]}"
        return self._formulas[node]

    # -- going back from the loss

    @cached_property
    def copies(self) -> dict[str, Value]:
        """By name the leaves that are not watched: a detached copy has the name of its parameter."""
        return {x.name: x for x in self.order if x.is_leaf and x.name and x not in self.watched}

    @cached_property
    def stops(self) -> dict[Value, tuple[Value, int]]:
        """For each node of adjoint 0 the (node, slot) that stopped what flows there; slot -1: it was cancelled."""
        stops: dict[Value, tuple[Value, int]] = {}
        for node in reversed(self.order):
            g = self.adjoint[node]
            if g == 0.0 and node in self.cancelled:
                stops[node] = (node, -1)
            if node.is_leaf:
                continue
            for slot, (x, d) in enumerate(zip(graph.raw_operands(node), node.local_grads, strict=True)):
                if type(x) is float or self.adjoint[x] != 0.0:
                    continue
                if g == 0.0:  # stopped further up, or this node's own parts cancel
                    stops.setdefault(x, stops[node])
                elif g * d == 0.0 or d == 0.0:
                    stops.setdefault(x, (node, slot))
        return stops

    @cached_property
    def cancelled(self) -> dict[Value, list[float]]:
        """For each node of adjoint 0 the contributions that are not 0, which add up to 0."""
        parts: dict[Value, list[float]] = {}
        for node in reversed(self.order):
            g = self.adjoint[node]
            if node.is_leaf or g == 0.0:
                continue
            for x, d in zip(graph.raw_operands(node), node.local_grads, strict=True):
                if type(x) is not float and self.adjoint[x] == 0.0 and g * d != 0.0 and d != 0.0:
                    parts.setdefault(x, []).append(g * d)
        return parts

    @cached_property
    def softmax(self) -> dict[Value, Value]:
        """For each exponential and quotient of a softmax its first quotient; those of a log-sum-exp are not in it."""
        first: dict[Value, Value] = {}
        sums: dict[Value, list[Value]] = {}  # n quotients share a sum of n: looked through once, not n times
        for node in self.order:
            total: Any = graph.raw_operands(node)[1] if node.op == "div" else None
            if not isinstance(total, Value) or total.op != "sum":
                continue
            if total not in sums:
                sums[total] = [x for x in graph.raw_operands(total) if type(x) is not float and x.op == "_expdiff"]
                for x in sums[total]:
                    first.setdefault(x, node)
            if sums[total]:
                first[node] = first[sums[total][0]]
        return first

    @cached_property
    def chain(self) -> dict[Value, Chain]:
        """The path of the largest product to every node."""
        bounds = (log(self.small), log(self.large))
        chain = {self.loss: Chain()}
        for node in reversed(self.order):
            here = chain.get(node) if number_of(node) == number_of(node) and self.adjoint[node] != 0.0 else None
            if node.is_leaf or here is None:
                continue
            # an exponential that counts for next to nothing, or that gets back next to nothing: a flat softmax
            if (
                node in self.softmax
                and node.op == "_expdiff"
                and (abs(number_of(node)) < FLAT or log(abs(self.adjoint[node])) < here.size + log(FLAT))
            ):
                here = replace(here, softmax_at=self.softmax[node])
            for slot, (x, d) in enumerate(zip(graph.raw_operands(node), node.local_grads, strict=True)):
                if type(x) is float or d == 0.0:
                    continue
                there = chain.get(x)
                if there is None or here.size + _log_size(d) > there.size:
                    chain[x] = here.extended(node, slot, d, bounds)
        return chain

    # -- going up from the leaves

    @cached_property
    def zero_origin(self) -> dict[Value, Value]:
        """For each node that is 0 what made it so: a watched Value that is 0, or a relu that is off."""
        origin: dict[Value, Value] = {}
        for node in self.order:
            if number_of(node) != 0.0:
                continue
            if node in self.watched or (node.op == "relu" and number_at(node, 0) < 0.0):
                origin[node] = node
                continue
            found = next((origin[x] for x in graph.raw_operands(node) if type(x) is not float and x in origin), None)
            if found is not None:
                origin[node] = found
        return origin

    @cached_property
    def learning(self) -> set[Value]:
        """The nodes whose unit has a parameter with a gradient."""
        found: set[Value] = set()
        for node in self.order:
            if (node in self.watched and self.adjoint[node] != 0.0) or (
                _is_linear(node) and any(x in found for x in graph.raw_operands(node) if type(x) is not float)
            ):
                found.add(node)
        return found

    @cached_property
    def learns(self) -> bool:
        """Whether any of the parameters has a gradient that is not 0."""
        return any(self.adjoint.get(p) for p in self.watched)

    @cached_property
    def layers(self) -> dict[tuple[str, ...], tuple[bool, Counter[str]]]:
        """By layer, the frame around a unit: whether one of its relus is on, and how often each unit occurs."""
        found: dict[tuple[str, ...], tuple[bool, Counter[str]]] = {}
        for node in self.order:
            if node.op == "relu" and node.scope is not None:
                *layer, unit = (scope.name for scope in node.scope.path())
                on, units = found.get(tuple(layer), (False, Counter()))
                units[unit] += 1
                found[tuple(layer)] = on or number_of(node) > 0.0, units
        return found

    def rests(self, relu: Value) -> bool:
        """Whether a unit of a layer is off in the few examples that there are, while others of its layer are on."""
        *layer, unit = [scope.name for scope in relu.scope.path()] if relu.scope is not None else [""]
        on, units = self.layers.get(tuple(layer), (False, Counter()))
        return bool(layer) and on and units[unit] < ENOUGH

    def unit(self, nodes: Iterable[Value]) -> list[Value]:
        """The parameters of units: those below these nodes with nothing between but sums and products."""
        seen: dict[Value, None] = {}
        for root in nodes:
            stack = [root]
            while stack:
                node = stack.pop()
                if node in seen:
                    continue
                seen[node] = None
                if _is_linear(node):
                    stack.extend(x for x in reversed(graph.raw_operands(node)) if type(x) is not float)
        return [node for node in seen if node in self.watched]

    def factor(self, node: Value, slot: int) -> Any:
        """What the operand in a slot of a `mul` or `dot` is multiplied by."""
        operands = graph.raw_operands(node)
        half = len(operands) // 2
        return operands[slot + half if slot < half else slot - half] if slot < 2 * half else 1.0

    def zero_factor(self, node: Value, slot: int) -> Value | None:
        """A Value that is 0 among what the operand in a slot of a product is multiplied by."""
        operands = graph.raw_operands(node)
        if node.op in ("mul", "dot"):
            other = self.factor(node, slot)
            return other if isinstance(other, Value) and number_of(other) == 0.0 else None
        if node not in self._zeros:  # kept: else a product of n with one 0 in it would be looked through n times
            self._zeros[node] = [i for i, x in enumerate(operands) if type(x) is not float and number_of(x) == 0.0]
        return next((operands[i] for i in self._zeros[node][:2] if i != slot), None)

    def shrinking(self, factor: Any) -> tuple[int, Value | None]:
        """(over how many steps a value shrank to what it is, where it came under `small`)."""

        def source(node: Value) -> Value | None:
            above = [x for x in graph.raw_operands(node) if type(x) is not float and not x.is_leaf]
            least = min(above, key=lambda x: abs(number_of(x)), default=None)
            return least if least is not None and abs(number_of(least)) >= (1 - 1e-9) * abs(number_of(node)) else None

        def shrinks(node: Value, above: Value) -> bool:
            return abs(number_of(above)) > (1 + 1e-9) * abs(number_of(node))

        return _history(factor, source, shrinks, lambda x: abs(number_of(x)) < self.small, self._shrinking)

    def growing(self, factor: Any) -> tuple[int, Value | None]:
        """(over how many steps a value grew to what it is, where it came over `large`)."""

        def source(node: Value) -> Any:
            largest = max(graph.raw_operands(node), key=lambda x: abs(number_of(x)), default=None)
            size = inf if largest is None else abs(number_of(largest))
            return largest if size < abs(number_of(node)) else None

        return _history(
            factor, source, lambda node, above: True, lambda x: abs(number_of(x)) > self.large, self._growing
        )


def _watched(order: list[Value], parameters: Any) -> list[Value]:
    if parameters is None:
        found: list[Value] = [node for node in order if isinstance(node, Parameter)]
        return found or [node for node in order if node._row is None]
    given = parameters.parameters() if hasattr(parameters, "parameters") else parameters
    given = [given] if isinstance(given, Value) else given
    return list(as_values(given, "diagnose", "parameters", "parameters must be Values or a module"))


def _history(
    start: Any,
    source: Callable[[Value], Any],
    counts: Callable[[Value, Any], bool],
    far: Callable[[Value], bool],
    known: dict[Value, tuple[int, Value | None]],
) -> tuple[int, Value | None]:
    """How a number came about, followed from node to node by `source` until that gives None or a float.

    What is found is kept for every node on the way: in a chain of n products n factors ask, and their ways overlap.

    Returns:
        (the steps that count, the last node on the way that is far off; the start itself if there is none).
    """
    if not isinstance(start, Value):
        return 0, None
    path: list[Value] = []
    node: Any = start
    while isinstance(node, Value) and node not in known:
        path.append(node)
        node = source(node)
    steps, first = known[node] if isinstance(node, Value) else (0, None)
    for user in reversed(path):
        if node is not None:
            steps += counts(user, node)
            if first is None and isinstance(node, Value) and far(node):
                first = node
        known[user] = steps, first
        node = user
    steps, first = known[start]
    return steps, start if first is None else first
