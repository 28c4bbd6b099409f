"""`step`: a picture, the steps of backpropagation over it, and a page that plays them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autograd_lite.atomic_write import write_whole
from autograd_lite.engine import graph
from autograd_lite.engine.checks import describe
from autograd_lite.engine.collector import uncollected
from autograd_lite.engine.value import Value
from autograd_lite.pictures.arguments import readable, staleness
from autograd_lite.pictures.diagrams.collapsed import bundled
from autograd_lite.pictures.diagrams.diagram import Box
from autograd_lite.pictures.listing import Tape
from autograd_lite.pictures.mathematics import Style
from autograd_lite.pictures.picture import Picture, checked_look, fitted
from autograd_lite.pictures.steps import Number, Step
from autograd_lite.pictures.writers import target_of
from autograd_lite.pictures.writers.document import document
from autograd_lite.pictures.writers.notebook import frame, image
from autograd_lite.pictures.writers.scene import (
    BLUE,
    INK,
    MARGIN,
    PLUS,
    SMALL,
    VERMILION,
    Curve,
    Element,
    Scene,
    Text,
    wrapped,
)

if TYPE_CHECKING:
    from autograd_lite.nn.module import Module

CONTROLS = 210.0
"""Height of the captions and buttons of the page, in pixels."""

TALLEST = 760.0
"""Largest height of the page in a notebook, in pixels; a taller picture scrolls."""


class Stepper:
    """Backpropagation over one graph, step by step.

    In a notebook it shows as a page with buttons, elsewhere as text. Made by `ag.step`.

    Attributes:
        picture: the picture with every number in it.
        steps: the steps, as plain data, in the notation of the program.
    """

    picture: Picture
    steps: tuple[Step, ...]

    def __init__(self, picture: Picture, steps: Sequence[Step], text: Callable[[Number], str] | None = None) -> None:
        self.picture, self.steps = picture, tuple(steps)
        self._number_text = text or partial(_in_style, picture.style)
        titles = {box.title: picture.style.name(box.title) for box in picture.diagram.boxes if isinstance(box, Box)}
        self._names = {name: shown for name, shown in titles.items() if name != shown}

    @cached_property
    def captions(self) -> tuple[str, ...]:
        """What the page and the frames say of each step: its caption in the notation of the picture."""
        return tuple(self.picture.style.caption(step.caption, self._names) for step in self.steps)

    @property
    def svg(self) -> str:
        """The picture with every number in it, as SVG text."""
        return self.picture.svg

    @cached_property
    def animated(self) -> str:
        """The picture as SVG that moves by itself, without a script, also inside an <img>."""
        from autograd_lite.pictures.writers.animated import animated

        return animated(self.picture, self.steps)

    @cached_property
    def html(self) -> str:
        """A page that needs no network and no library; without scripts it shows the picture and the list of steps."""
        said_of = list(zip(self.steps, self.captions, strict=True))
        items = "\n".join(f'<li class="{step.phase}">{escape(said)}</li>' for step, said in said_of)
        targets = [edge.target for edge in self.picture.diagram.edges]
        steps = [_plain(step, said, self._number_text) for step, said in said_of]
        data = {"prefix": self.picture.prefix, "steps": steps, "targets": targets}
        return document(
            "stepper", self.picture.diagram.about, data, theme=self.picture.theme,
            image=image(self.picture, still=True), items=items,
        )  # fmt: skip

    def frame(self, k: int) -> Picture:
        """The picture as it is at one step, with its caption; a Picture like any other, for a slide.

        Args:
            k: the step, from 0; -1 is the last one.

        Raises:
            TypeError: k is not a whole number.
            IndexError: there is no such step.

        Example:
            >>> x = ag.Value(3.0, name="x")
            >>> ag.step(x * x).frame(0).svg.count("f = 3")
            1
        """
        if isinstance(k, bool) or not isinstance(k, int):
            raise TypeError(f"frame: k must be a whole number, got {describe(k)}")
        if not -len(self.steps) <= k < len(self.steps):
            raise IndexError(f"frame: there are {len(self.steps)} steps, from 0 to {len(self.steps) - 1}, got {k}")
        shown = self.steps[: k % len(self.steps) + 1]
        return _Frame(self.picture, shown, self._number_text, self.captions[len(shown) - 1])

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the page or the moving picture to a file, which is replaced at once.

        Args:
            path: a name that ends in .html (the page), .svg, .gif or .mp4 (the picture that moves; a .gif needs
                Matplotlib and Pillow, an .mp4 Matplotlib and the command ffmpeg), or .pdf (a page for each step, for
                slides; needs Matplotlib).

        Returns:
            The path.

        Raises:
            ValueError: another suffix, or the path is a device or a FIFO.
            RuntimeError: .gif, .mp4 or .pdf, and what it needs is not installed.

        Example:
            >>> import tempfile, pathlib
            >>> folder = pathlib.Path(tempfile.mkdtemp())
            >>> x = ag.Value(3.0, name="x")
            >>> ag.step(x * x).save(folder / "square.html").name
            'square.html'
        """
        hint = (
            "; .html is the page, .svg, .gif and .mp4 the picture that moves, .pdf a page for each step. For one that "
            "stands still, save ag.draw(loss) or stepper.frame(k)"
        )
        target, suffix = target_of(path, ("html", "svg", "gif", "mp4", "pdf"), hint)
        if suffix in ("gif", "mp4", "pdf"):
            from autograd_lite.pictures.writers.raster import series

            content = series([self.frame(k) for k in range(len(self.steps))], suffix)
        else:
            content = (self.html if suffix == "html" else self.animated).encode("utf-8")
        write_whole(target, content, "save: path")
        return target

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # Where a page may run no script, as in a notebook that is not trusted, the iframe goes and the image stays.
        height = min(self.picture.scene.height + CONTROLS, TALLEST)
        shown = frame(
            self.html,
            image(self.picture),
            title="Backpropagation, step by step",
            style=f"width:100%;height:{height:.0f}px;border:0",
            scripts=True,
        )
        return {"text/plain": repr(self), "image/svg+xml": self.svg, "text/html": shown}

    def __repr__(self) -> str:
        count = len(self.steps)
        return "\n".join(f"{i:>{len(str(count))}}. {step.caption}" for i, step in enumerate(self.steps, 1))


class _Frame(Picture):
    """A picture at one step: what is not computed yet is left out, and what computes glows."""

    def __init__(self, whole: Picture, steps: Sequence[Step], text: Callable[[Number], str], caption: str) -> None:
        super().__init__(whole.diagram, whole.direction, lambda: steps[-1].caption)
        self._whole, self._steps, self._number_text, self._caption = whole, steps, text, caption
        self.scale, self.theme, self.style = whole.scale, whole.theme, whole.style

    def _shapes(self) -> Scene:
        scene: Scene = self._whole.scene
        filled = {(box, step.part): x for step in self._steps for box, x in step.fills.items()}
        now = self._steps[-1]
        colour = {"forward": BLUE, "backward": VERMILION, "update": PLUS}[now.phase]
        boxes, edges = self.diagram.boxes, self.diagram.edges
        elements = []
        for element in scene.elements:
            number = element.id.lstrip("boxedg")
            shapes = list(element.shapes)
            if element.kind.startswith("box") and not boxes[int(number)].literal:
                shapes = [kept for shape in shapes for kept in self._at(shape, int(number), filled)]
                if now.box == int(number) and not isinstance(shapes[0], Text):
                    shapes[0] = replace(shapes[0], stroke=colour, thick=3.5)
            elif element.kind == "edge":
                target = edges[int(number)].target
                if (target, "f") not in filled and not boxes[target].literal:
                    shapes = shapes[:1]
                if now.edge == int(number) and isinstance(shapes[0], Curve):
                    shapes[0] = replace(shapes[0], stroke=colour, thick=max(shapes[0].thick, 3.0))
            elements.append(replace(element, shapes=tuple(shapes)))
        # The caption has room for three lines in each frame, so that a series does not jump.
        lines = wrapped(self._caption, max(scene.width - 2 * MARGIN, 420.0))[:3]
        texts = tuple(
            Text(MARGIN, scene.height + 14 + 16 * i, line, "caption", SMALL, INK) for i, line in enumerate(lines)
        )
        wide = max(scene.width, 420.0 + 2 * MARGIN)
        caption = Element("caption", "caption", self._caption, texts)
        return Scene(wide, scene.height + 60.0, (*elements, caption), self._caption)

    def _at(self, shape: Any, box: int, filled: Mapping[tuple[int, str], Number]) -> list[Any]:
        """A shape of a box as it is by now: a number with what it is so far, nothing where there is none."""
        part = "new" if isinstance(shape, Text) and shape.part == "note" and shape.text.startswith("→") else ""
        if isinstance(shape, Text) and (shape.part in ("f", "g") or part):
            key = box, part or shape.part
            if key not in filled:
                return []
            opening = re.match(r"[fg](?: = |: )|→ |", shape.text)
            return [replace(shape, text=(opening.group() if opening else "") + self._number_text(filled[key]))]
        return [shape]


def _in_style(style: Style, x: Number) -> str:
    """A number of a box as the picture writes it."""
    return style.interval(*x) if isinstance(x, tuple) else style.number(x)


def _plain(step: Step, caption: str, text: Callable[[Number], str]) -> dict[str, Any]:
    """A step as the page's script reads it; `text` writes a number as the picture does."""
    return {
        "phase": step.phase,
        "caption": caption,
        "part": step.part,
        "fills": {str(box): text(x) for box, x in step.fills.items()},
        "box": step.box,
        "edge": step.edge,
        "plus": None if step.plus is None else text(step.plus),
    }


def step(
    loss: Value | Module,
    optimizer: Any = None,
    *,
    x: Any = None,
    target: Any = None,
    direction: Literal["BT", "LR"] = "BT",
    title: str | None = None,
    size: float | None = None,
    theme: Literal["auto", "light", "dark", "print"] = "auto",
    show: Iterable[Literal["f", "g", "local"]] = ("f", "g", "local"),
    symbols: Literal["math", "code"] = "math",
    local: Literal["number", "formula"] = "number",
    digits: int = 4,
    legend: bool = False,
    names: Mapping[str, Any] | None = None,
) -> Stepper:
    """Backpropagation step by step, to play, scrub and read: forward, backward, and the update of the parameters.

        g(operand) += g(node) * local gradient,   w <- w - lr * g(w)

    The pass is computed afresh, from gradients of 0; no `.grad`, parameter or optimizer is changed.

    Args:
        loss: the Value at the root; or a model, as for `draw`, with an example.
        optimizer: what would change the parameters, such as `ag.optim.SGD`; None leaves the update out.
        x, target: of a model: the example, and what its outputs should be; without a target there is no way back.
        direction: where the root goes: "BT" on top, "LR" to the right.
        title, size, theme, show, symbols, local, digits, legend, names: as for `draw`. The steps themselves are plain
            data in the notation of the program.

    Returns:
        A Stepper: it shows itself in a notebook and has `.steps`, `.html` and `.save(path)`. A graph of more
        than 60 boxes is stepped through as `draw` reduces it, folded or in part, a box or an edge a step.

    Raises:
        TypeError: loss is not a Value, or optimizer is not an Optimizer; or an option of another type.
        ValueError: an unknown choice, or the data of a leaf has changed since loss was computed.

    Example:
        >>> w = ag.Parameter(3.0, name="w")
        >>> stepper = ag.step(w * w, ag.optim.SGD([w], lr=0.1))
        >>> for step in stepper.steps:
        ...     print(step.phase, "|", step.caption)
        forward | The leaves are given: w = 3
        forward | v2 = w * w = 3 * 3 = 9
        backward | g(v2) = d(v2)/d(v2) = 1
        backward | g(w) += g(v2) * d(v2)/d(w) = 1 * 3 = 3
        backward | g(w) += g(v2) * d(v2)/d(w) = 1 * 3 = 3; with what it had, g(w) = 3 + 3 = 6
        update | w <- w - lr * g(w) = 3 - 0.1 * 6 = 2.4
        update | With the new parameters v2 = 5.76; it was 9

    Source: Stanford CS221, "Machine learning: backpropagation", forward and backward values.
    """
    from autograd_lite.engine.backward import adjoints
    from autograd_lite.pictures.diagrams.diagram import diagram_of
    from autograd_lite.pictures.steps import box_steps, folded_update, node_steps

    if not isinstance(loss, Value) and not hasattr(loss, "named_parameters"):
        raise TypeError(f"step: expected a Value (the root of a graph) or a model, got {describe(loss)}")
    if optimizer is not None and (
        isinstance(optimizer, type) or not (hasattr(optimizer, "params") and hasattr(optimizer, "step"))
    ):
        raise TypeError(
            f"step: optimizer must be one of ag.optim, such as ag.optim.SGD([w], lr=0.1), got {describe(optimizer)}"
        )
    look, called = checked_look("step", locals())
    if not isinstance(loss, Value):
        return _of_network(loss, optimizer, x, target, look)
    for name, given in (("x", x), ("target", target)):
        if given is not None:
            raise TypeError(f"step: {name} is about a model, and a graph has its numbers already; leave {name} out")
    order = graph.toposort(loss)
    stale = staleness(order)
    if stale is not None:
        raise ValueError(
            f"step: the data of a leaf has changed since the loss was computed ({stale!r} would have another value "
            "now); compute the loss again"
        )
    adjoint = adjoints(loss)

    def listing() -> str:
        return str(Tape(order, [loss], names=called))

    if not readable(order):
        from autograd_lite.pictures.diagrams.reduced import reduced

        with uncollected():
            made = bundled(reduced(order, [loss], could_unfold=False, adjoint=adjoint, names=called)[0])
        picture = fitted(look(Picture(made, direction, listing)))
        return Stepper(picture, [*box_steps(picture.diagram), *folded_update(order, adjoint, optimizer)])
    steps = node_steps(order, optimizer, called)
    made = diagram_of(order, [loss], adjoint=adjoint, names=called)
    after = {box: x for one in steps if one.part == "new" for box, x in one.fills.items()}
    # Room for the new number is part of the layout: the page only shows it, at the step of the update.
    picture = look(Picture(made, direction, listing))
    notes = {i: f"→ {_in_style(picture.style, x)}" for i, x in after.items()}
    boxes = tuple(replace(b, note=notes[i]) if i in notes else b for i, b in enumerate(made.values))
    picture.diagram = replace(made, boxes=boxes)
    return Stepper(picture, steps)


def _of_network(model: Any, optimizer: Any, x: Any, target: Any, look: Callable[[Picture], Picture]) -> Stepper:
    """The steps over the picture of a model."""
    from autograd_lite.pictures.networks import is_network, network_steps
    from autograd_lite.pictures.writers.network_scene import short

    if not is_network(model):
        raise TypeError(
            f"step: {describe(model)} is not a Neuron, Layer, MLP or Network; give one of its layers, or its graph: "
            "model(x)"
        )
    picture, steps = network_steps(model, x, target, optimizer)
    style = look(picture).style
    return Stepper(picture, steps, lambda x: _in_style(style, x) if isinstance(x, tuple) else short(x, style))
