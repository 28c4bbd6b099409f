"""`draw(model)` and `step(model)`: the picture of a network, and the steps of backpropagation over it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from autograd_lite.engine.notation import number
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Value
from autograd_lite.pictures.diagrams.networks import (
    MODELS,
    NetworkDiagram,
    Numbers,
    Structure,
    as_text,
    network_of,
    numbers_for,
    structure_of,
)
from autograd_lite.pictures.picture import Picture
from autograd_lite.pictures.steps import Step, after_step, recomputed, signed

STEPPED_LINES = 24
"""Lines that have a step each on the way back; of more, those of a unit are one step."""


class NetworkPicture(Picture):
    """A drawn network: a Picture whose `diagram` has units and lines in place of boxes and edges."""

    def __init__(self, diagram: NetworkDiagram) -> None:
        super().__init__(diagram, "LR", lambda: as_text(diagram))

    def _shapes(self) -> Any:
        """The scene without its title."""
        from autograd_lite.pictures.writers.network_scene import network_scene

        return network_scene(self.diagram, self.style)

    @cached_property
    def dot(self) -> str:
        """The picture in DOT, the language of Graphviz."""
        from autograd_lite.pictures.writers.dot import network_dot

        return network_dot(self.diagram, self.style)


def is_network(thing: Any) -> bool:
    """Whether it is a model that can be drawn as units and lines."""
    return isinstance(thing, MODELS)


def network_steps(model: Any, x: Any, target: Any, optimizer: Any) -> tuple[NetworkPicture, list[Step]]:
    """The picture of a model on one example, and the steps: forward, backward, and the update.

    Args:
        model: a model.
        x: the example.
        target: what its outputs should be; None stops after the forward pass.
        optimizer: what changes the parameters; None for no update.
    """
    if x is None:
        raise ValueError("step: a network needs an example: step(model, x=[...], target=...)")
    found = structure_of(model)
    numbers = numbers_for(model, found, x, target, "step")
    diagram = network_of(model, x, target, who="step")
    at = {unit.key: i for i, unit in enumerate(diagram.units) if unit.key is not None}
    inputs = [key for key in found.columns[0] if key in at]
    given = ", ".join(f"{found.label[key]} = {number(number_of(numbers.a[key]))}" for key in inputs)
    steps = [Step("forward", f"The inputs are given: {given}", "f", {at[k]: number_of(numbers.a[k]) for k in inputs})]
    for keys in found.columns[1:]:
        for key in keys:
            if key in at:
                about = diagram.units[at[key]].about.partition("; dL/da")[0].partition("; target")[0]
                steps.append(Step("forward", about, "f", {at[key]: number_of(numbers.a[key])}, at[key]))
    if numbers.loss is not None:
        steps += _backward(found, numbers, diagram, at)
        if optimizer is not None:
            steps.append(_update(model, x, target, found, numbers, optimizer))
    return NetworkPicture(diagram), steps


def _backward(found: Structure, numbers: Numbers, diagram: NetworkDiagram, at: dict[Any, int]) -> list[Step]:
    """dL/da of each unit from those that take it, and on the way dL/dw of each line."""
    assert numbers.loss is not None
    wanted = numbers.targets
    error = " + ".join(
        f"({number(number_of(numbers.a[k]))} - {signed(t)})^2" for k, t in list(wanted.items())[:4]
    ) + (" + ..." if len(wanted) > 4 else "")  # fmt: skip
    steps = [Step("backward", f"The loss: L = {error} = {number(number_of(numbers.loss))}", "g")]
    edge = {(line.source, line.target): i for i, line in enumerate(diagram.lines)}
    one_by_one = len(diagram.lines) <= STEPPED_LINES
    takers: dict[Any, list[tuple[Any, Any]]] = {}
    for keys in found.columns[1:]:
        for key in keys:
            for source, w in found.sources(key):
                takers.setdefault(source, []).append((key, w))
    adjoint = numbers.adjoint
    for keys in reversed(found.columns):
        for key in keys:
            if key not in at:
                continue
            a = numbers.a[key]
            g = adjoint.get(a, 0.0)
            parts = [f"2 ({number(number_of(a))} - {signed(wanted[key])})"] if key in wanted else []
            back = takers.get(key, [])
            if len(back) > 4:
                parts.append(f"sum over {len(back)} units of w * dL/dz")
            else:
                parts += [
                    f"{signed(number_of(w))} * {signed(adjoint.get(numbers.z[k], 0.0))}" for k, w in back
                ]  # fmt: skip
            name = found.name[key]
            caption = f"{name}: dL/da = {' + '.join(parts) or '0'} = {number(g)}"
            if key in numbers.z:
                z, how = numbers.z[key], found.activation[key]
                caption += f"; through {how or 'the identity'}: dL/dz = {number(adjoint.get(z, 0.0))}"
            steps.append(Step("backward", caption, "g", {at[key]: g}, at[key]))
            delta = adjoint.get(numbers.z[key], 0.0) if key in numbers.z else 0.0
            for source, w in found.sources(key) if one_by_one else ():
                caption = f"dL/dw from {found.name[source]} to {name}: dL/dz * a = "
                caption += f"{signed(delta)} * {signed(number_of(numbers.a[source]))} = {number(adjoint.get(w, 0.0))}"
                steps.append(Step("backward", caption, "g", {}, at[key], edge[at[source], at[key]]))
    return steps


def _update(model: Any, x: Any, target: Any, found: Structure, numbers: Numbers, optimizer: Any) -> Step:
    """The whole update as one step, with the loss that comes of it."""
    gradient: Callable[[Value], float] = lambda p: numbers.adjoint.get(p, 0.0)  # noqa: E731
    after = dict(after_step(optimizer, gradient))
    moved = [p for p, new in after.items() if new != number_of(p)]
    most = max((abs(after[p] - number_of(p)) for p in moved), default=0.0)
    caption = f"{type(optimizer).__name__} moves {len(moved)} of {len(after)} parameters, by {number(most)} at most"
    if numbers.loss is not None:
        loss = recomputed(list(numbers.adjoint), after)[numbers.loss]
        caption += f"; with them L = {number(loss)}; it was {number(number_of(numbers.loss))}"
    return Step("update", caption, "new")
