"""Backpropagation as a list of steps, plain data: what is computed, from what, and the result.

The stepper's page and the animated picture play these; neither computes anything itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any

from autograd_lite.engine.backward import contributions
from autograd_lite.engine.graph import evaluate, raw_operands
from autograd_lite.engine.notation import Labels, assignment, few, interval, number, printable
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Value
from autograd_lite.pictures.diagrams.diagram import Box, Diagram, Edge, ValueBox

LONGEST = 300
"""Characters of a caption of a folded picture; the middle of a longer one, as of a long dot product, is left out."""

Number = float | tuple[float, float]
"""What a box shows: a number, or the smallest and the largest of a box that stands for many."""


@dataclass(frozen=True)
class Step:
    """One step: numbers that appear in the picture, and the arithmetic that they come from.

    Args:
        phase: "forward", "backward" or "update".
        caption: the formula and the numbers put in.
        part: which line of the boxes is written: "f", "g", or "new" for a parameter after the update.
        fills: the number that each box shows from now on, by index of the box.
        box: the box that computes, None for all leaves at once.
        edge: the edge along which a gradient flows back.
        plus: what is added to the gradient of the operand.
    """

    phase: str
    caption: str
    part: str
    fills: Mapping[int, Number] = field(default_factory=dict)
    box: int | None = None
    edge: int | None = None
    plus: float | None = None


def as_text(x: Number) -> str:
    """A number as a box writes it.

    Example:
        >>> from autograd_lite.pictures.steps import as_text
        >>> as_text(0.25), as_text((1.0, 2.0))
        ('0.25', '1 … 2')
    """
    return interval(*x) if isinstance(x, tuple) else number(x)


def signed(x: float) -> str:
    """A number inside a formula, in brackets if it has a sign."""
    text = number(x)
    return f"({text})" if text.startswith("-") else text


@dataclass(frozen=True)
class Indices:
    """Which box and which edges of the unfolded diagram (`diagram_of`) belong to which node.

    Args:
        box: the index of the box of each node.
        edge: the index of the edge of each (node, slot).
    """

    box: dict[Value, int]
    edge: dict[tuple[Value, int], int]


def indices(order: Sequence[Value]) -> Indices:
    """Boxes and edges come in the order of the nodes, a bare number just before the node that takes it."""
    box: dict[Value, int] = {}
    edge: dict[tuple[Value, int], int] = {}
    boxes = 0
    for node in order:
        operands = raw_operands(node)
        boxes += sum(x.__class__ is float for x in operands)
        box[node] = boxes
        boxes += 1
        for slot in range(len(operands)):
            edge[node, slot] = len(edge)
    return Indices(box, edge)


def node_steps(
    order: Sequence[Value], optimizer: Any = None, names: Mapping[int, str] = MappingProxyType({})
) -> list[Step]:
    """The steps of a graph of which every node has a box: forward, backward, and the update.

    Args:
        order: the nodes, operands first, the root last.
        optimizer: what changes the parameters; None for no update.
        names: what nodes without a name are called, by id.
    """
    labels, at = Labels(order, names), indices(order)
    backward = _backward(order, labels, at)
    g = {box: x for step in backward for box, x in step.fills.items() if not isinstance(x, tuple)}
    return [*_forward(order, labels, at), *backward, *_update(order, labels, at, g, optimizer)]


def _forward(order: Sequence[Value], labels: Labels, at: Indices) -> list[Step]:
    leaves = [node for node in order if node._row is None]
    given = few(leaves, lambda leaf: f"{labels[leaf]} = {number(number_of(leaf))}")
    steps = [Step("forward", f"The leaves are given: {given}", "f", {at.box[leaf]: number_of(leaf) for leaf in leaves})]
    for node in order:
        if node._row is not None:
            steps.append(Step("forward", assignment(node, labels), "f", {at.box[node]: number_of(node)}, at.box[node]))
    return steps


def _backward(order: Sequence[Value], labels: Labels, at: Indices) -> list[Step]:
    """g(operand) += g(node) * local gradient, from the root to the leaves, slot by slot."""
    root = order[-1]
    top = labels[root]
    g = {root: 1.0}
    steps = [Step("backward", f"g({top}) = d({top})/d({top}) = 1", "g", {at.box[root]: 1.0}, at.box[root])]
    for node, slot, x, plus in contributions(order, g):
        before = g.get(x)
        g[x] = plus if before is None else before + plus
        into, out, local = labels[x], labels[node], node.local_grads[slot]
        caption = f"g({into}) += g({out}) * d({out})/d({into}) = {signed(g[node])} * {signed(local)} = {number(plus)}"
        if before is not None:
            caption += f"; with what it had, g({into}) = {signed(before)} + {signed(plus)} = {number(g[x])}"
        steps.append(Step("backward", caption, "g", {at.box[x]: g[x]}, at.box[node], at.edge[node, slot], plus))
    return steps


def after_step(optimizer: Any, gradient: Callable[[Value], float]) -> list[tuple[Value, float]]:
    """The data of each parameter after `optimizer.step()`; nothing is changed, since a copy takes the step.

    Args:
        optimizer: anything with `params` and `step()`.
        gradient: the gradient of a parameter.

    Returns:
        (parameter, its data afterwards) for each parameter of the optimizer.
    """
    trial = copy.deepcopy(optimizer)
    for twin, p in zip(trial.params, optimizer.params, strict=True):
        twin.grad = gradient(p)
    trial.step()
    return [(p, twin.data) for p, twin in zip(optimizer.params, trial.params, strict=True)]


def _update(order: Sequence[Value], labels: Labels, at: Indices, g: Mapping[int, float], optimizer: Any) -> list[Step]:
    if optimizer is None:
        return []
    here = set(order)
    lr = optimizer.lr
    after = {p: new for p, new in after_step(optimizer, lambda p: g[at.box[p]] if p in here else 0.0) if p in here}
    rule = type(optimizer).__name__
    steps = []
    for p, new in after.items():
        box, name = at.box[p], labels[p]
        if getattr(p, "frozen", False):
            caption = f"{name} is frozen and stays {number(number_of(p))}"
        elif abs(number_of(p) - lr * g[box] - new) <= 1e-12 * max(abs(number_of(p)), abs(lr * g[box])):
            was = signed(number_of(p))
            caption = f"{name} <- {name} - lr * g({name}) = {was} - {number(lr)} * {signed(g[box])} = {number(new)}"
        else:
            caption = f"{name} <- {number(new)}: {rule} (lr = {number(lr)}) moves it by {number(new - number_of(p))}"
            caption += f" from {number(number_of(p))}; g({name}) = {number(g[box])}"
        steps.append(Step("update", caption, "new", {box: new}, box))
    if after:
        root = order[-1]
        loss = recomputed(order, after)[root]
        caption = f"With the new parameters {labels[root]} = {number(loss)}; it was {number(number_of(root))}"
        steps.append(Step("update", caption, "new", {at.box[root]: loss}, at.box[root]))
    else:
        steps.append(Step("update", f"{rule} changes nothing here: none of its parameters is in this graph", "new"))
    return steps


def recomputed(order: Sequence[Value], leaves: Mapping[Value, float]) -> dict[Value, float]:
    """The value of every node with other numbers in some leaves; the graph is not touched."""
    f: dict[Any, float] = {}
    for node in order:
        f[node] = leaves.get(node, number_of(node)) if node._row is None else evaluate(node, f)
    return f


def box_steps(diagram: Diagram) -> list[Step]:
    """The steps of a folded picture: a box a step forward, an edge a step backward, in ranges.

    Args:
        diagram: a picture with backward values.
    """
    return [*_boxes_forward(diagram), *_boxes_backward(diagram)]


COMPUTED = ("op", "frame")
"""Kinds of boxes that compute; the others are leaves."""


def _boxes_forward(diagram: Diagram) -> list[Step]:
    boxes = diagram.values
    leaves = [i for i, box in enumerate(boxes) if box.kind not in COMPUTED and not box.literal]
    given = few(leaves, lambda i: f"{boxes[i].title}: {interval(*boxes[i].f)}")
    steps = [Step("forward", f"The leaves are given: {given}", "f", {i: boxes[i].f for i in leaves})]
    for i, box in enumerate(boxes):
        if box.kind in COMPUTED:
            steps.append(Step("forward", printable(box.computed, LONGEST), "f", {i: box.f}, i))
    return steps


def _boxes_backward(diagram: Diagram) -> list[Step]:
    boxes = diagram.values
    roots = {i: box.g or (0.0, 0.0) for i, box in enumerate(boxes) if box.root}
    root = next(iter(roots))
    top = _name(boxes[root])
    steps = [Step("backward", f"g({top}) = d({top})/d({top}) = 1", "g", roots, root)]
    into: dict[int, list[int]] = {}
    left = [0] * len(boxes)  # edges from each box along which nothing has come back yet
    for e, edge in enumerate(diagram.edges):
        into.setdefault(edge.target, []).append(e)
        left[edge.source] += 1
    for i in reversed(range(len(boxes))):
        for e in into.get(i, ()):
            edge = diagram.edges[e]
            source = boxes[edge.source]
            left[edge.source] -= 1
            if edge.constant or source.g is None or edge.local is None:
                continue
            # Ranges of sums cannot be added up edge by edge: g of the operand appears with its last edge.
            done = not left[edge.source]
            caption = _edge_caption(edge, source, boxes[i])
            others = "more user" in source.note  # of a graph that is drawn in part
            what = "with what comes from users that are not drawn" if others else "all are in"
            caption += f"; {what}, g: {interval(*source.g)}" if done else ""
            steps.append(Step("backward", caption, "g", {edge.source: source.g} if done else {}, i, e))
    return steps


def _edge_caption(edge: Edge, source: ValueBox, user: ValueBox) -> str:
    assert edge.local is not None
    caption = f"g({_name(source)}) += g({_name(user)}) * local gradient"
    local = edge.local[0]
    if edge.count == user.count == 1 and user.g is not None and isfinite(user.g[0] * local):
        return f"{caption} = {signed(user.g[0])} * {signed(local)} = {number(user.g[0] * local)}"
    times = "" if edge.count == 1 else f" along {edge.count:,} edges"
    return f"{caption}{times}; local gradients {interval(*edge.local)}"


def _name(box: Box) -> str:
    """The title of a box, and of many also what they do: `16 × tanh`."""
    return f"{box.title} {box.symbol}" if box.count > 1 and box.symbol else box.title


def folded_update(order: Sequence[Value], adjoint: Mapping[Value, float], optimizer: Any) -> list[Step]:
    """The update of a folded picture: all parameters in one step.

    Args:
        order: the nodes, operands first, the root last.
        adjoint: the gradient of each.
        optimizer: what changes the parameters; None for no update.
    """
    if optimizer is None:
        return []
    after = {p: new for p, new in after_step(optimizer, lambda p: adjoint.get(p, 0.0)) if p in adjoint}
    moved = sum(number_of(p) != new for p, new in after.items())
    loss = recomputed(order, after)[order[-1]]
    caption = f"{type(optimizer).__name__} (lr = {number(optimizer.lr)}) moves {moved:,} of {len(after):,} parameters"
    return [
        Step("update", f"{caption}; with them the root is {number(loss)}; it was {number(number_of(order[-1]))}", "new")
    ]
