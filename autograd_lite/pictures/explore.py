"""`explore`: a page with a slider for each argument of a function, on which graph, gradients and a plot answer at once.

Nothing of Python runs in the page: f, all values and all gradients of its graph are one program (folding/), written
out in JavaScript (folding/export).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from autograd_lite.atomic_write import write_whole
from autograd_lite.derivatives.reverse import gradients
from autograd_lite.engine import graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import as_float, describe, numpy_for
from autograd_lite.engine.notation import number
from autograd_lite.engine.value import Value
from autograd_lite.pictures.arguments import readable
from autograd_lite.pictures.mathematics import Style, in_letters
from autograd_lite.pictures.picture import Picture
from autograd_lite.pictures.steps import indices
from autograd_lite.pictures.writers import target_of
from autograd_lite.pictures.writers.document import document
from autograd_lite.pictures.writers.notebook import frame, image
from autograd_lite.pictures.writers.scene import SIZE
from autograd_lite.pictures.writers.svg import svg, with_sheets
from autograd_lite.pictures.writers.text_width import width

STEPS = 200
"""Places of a slider."""

TALLEST = 900.0
"""Largest height of the page in a notebook, in pixels."""


WIDEST = (-0.0001234, -1.234e-12)
"""Numbers for which every box has room, whatever it holds at the start: the sliders change them."""


class Explorer:
    """A function with a slider for each argument; made by `ag.explore`.

    In a notebook it shows as a page, elsewhere as text.

    Attributes:
        ranges: (low, high, start) of each argument by name.
        picture: the graph at the start, or None where it is too large to be read.
    """

    ranges: dict[str, tuple[float, float, float]]
    picture: Picture | None

    def __init__(
        self, ranges: Mapping[str, tuple[float, float, float]], picture: Picture | None, order: Sequence[Value],
        code: str, text: str,
    ) -> None:  # fmt: skip
        self.ranges, self.picture, self._code, self._text = dict(ranges), picture, code, text
        self._boxes = [*indices(order).box.values()]

    @cached_property
    def html(self) -> str:
        """The page; it needs no network and no Python."""
        sliders = [
            {"name": in_letters(name), "low": low, "high": high, "start": start, "step": (high - low) / STEPS}
            for name, (low, high, start) in self.ranges.items()
        ]
        data = {"sliders": sliders, "boxes": self._boxes, "prefix": self.picture.prefix if self.picture else ""}
        picture = self.picture
        shown = picture and with_sheets(svg(picture.scene, picture.prefix), picture.scene, picture.prefix)
        code = self._code.replace("</", "<\\/")  # only a comment can hold it, and no script may be ended by one
        return document("explore", "Explore", data, image=shown or "", code=f"<script>{code}</script>")

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the page to a file that ends in .html."""
        target, _ = target_of(path, ("html", "htm"))
        write_whole(target, self.html.encode("utf-8"), "save: path")
        return target

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        high = 420.0 if self.picture is None else self.picture.scene.height + 160.0
        inside = self._text if self.picture is None else image(self.picture)
        style = f"width:100%;height:{min(max(high, 520.0), TALLEST):.0f}px;border:0"
        return {
            "text/plain": repr(self),
            "text/html": frame(self.html, inside, title="Explore", style=style, scripts=True),
        }

    def __repr__(self) -> str:
        return self._text


def explore(f: Callable[..., Value], /, **ranges: Any) -> Explorer:
    """A page with a slider for each argument: values, gradients, the graph and a plot of f answer at once.

    Args:
        f: a function of numbers that returns a Value. It is traced once; a branch on an argument is refused.
        ranges: for each argument of f by its name (low, high), (low, high, start), or a number: from x - |x| - 1 to
            x + |x| + 1.

    Returns:
        An Explorer: it shows itself in a notebook, without a widget server, and has `.html` and `.save(path)`.

    Raises:
        TypeError: f is not a function, does not return a Value, or an argument of f has no range.
        ValueError: a range is empty or not finite, or f takes branches that depend on an argument.

    Example:
        >>> explorer = ag.explore(lambda w, x: (ag.tanh(w * x) - 0.5) ** 2, w=(-2.0, 2.0, 1.0), x=(-1.0, 1.0, 0.5))
        >>> explorer
        f(w = 1, x = 0.5) = 0.001435, ∂f/∂w = −0.02979, ∂f/∂x = −0.05959
        >>> explorer.ranges
        {'w': (-2.0, 2.0, 1.0), 'x': (-1.0, 1.0, 0.5)}
    """
    numpy_for("explore")  # the page's program is one of folding/

    from autograd_lite.folding.stepping import use_program
    from autograd_lite.folding.tracing import compile
    from autograd_lite.pictures.diagrams.diagram import diagram_of

    if not callable(f):
        raise TypeError(f"explore: f must be a function, got {describe(f)}")
    known = {name: _range(name, given) for name, given in ranges.items()}
    _check_names(f, known)

    def run(numbers: Sequence[Any]) -> tuple[Value, list[Value]]:
        leaves = dict(zip(known, numbers, strict=True))
        found = f(**leaves)
        if not isinstance(found, Value):
            raise TypeError(f"explore: f must return a Value that depends on its arguments, got {describe(found)}")
        return found, graph.toposort(found)

    def everything(*numbers: Any) -> list[Value]:
        root, order = run(numbers)
        return [*order, *gradients(root, [*order], create_graph=True), *gradients(root, [*numbers], create_graph=True)]

    starts = [start for *_, start in known.values()]
    leaves = [Value(start, name=name) for start, name in zip(starts, known, strict=True)]
    root, order = run(leaves)
    program = compile(everything, params=[])  # parameters within f have the numbers that they have now
    program(*starts)
    if use_program(program, lambda found, *_: found.guards, starts):
        raise ValueError(
            "explore: f takes branches that depend on its arguments, and the page has one graph; use ag.where, "
            "ag.maximum or ag.relu in place of `if`"
        )
    code = program.source("js", gradient=False).partition("// Test vectors.")[0]
    g = adjoints(root)
    picture = None
    if readable(order):
        made = diagram_of(order, [root], adjoint=g)
        room = max(width(f"g = {picture_number(x)}", SIZE, bold=True) for x in WIDEST)
        boxes = tuple(box if box.literal else replace(box, room=room) for box in made.boxes)
        picture = Picture(replace(made, boxes=boxes), "BT", lambda: "")
        picture.style = Style(frozenset(("f", "g", "local")), "math", "formula")
    given = ", ".join(f"{in_letters(name)} = {number(x)}" for name, x in zip(known, starts, strict=True))
    slopes = [f"∂f/∂{in_letters(x.name)} = {picture_number(g.get(x, 0.0))}" for x in leaves]
    text = ", ".join([f"f({given}) = {picture_number(root.item())}", *slopes])
    return Explorer(known, picture, order, code, text)


def picture_number(x: float) -> str:
    """A number as the pictures write it."""
    return Style(symbols="math").number(x)


def _range(name: str, given: Any) -> tuple[float, float, float]:
    who = f"explore: {name}"
    if isinstance(given, (tuple, list)):
        if len(given) not in (2, 3):
            raise TypeError(f"{who} must be (low, high), (low, high, start) or a number, got {describe(given)}")
        low, high, *start = (as_float(x, who) for x in given)
        x = start[0] if start else (low + high) / 2.0
    else:
        x = as_float(given, who, "give (low, high), (low, high, start) or a number")
        low, high = x - abs(x) - 1.0, x + abs(x) + 1.0
    if not (math.isfinite(high - low) and low < high and low <= x <= high):
        raise ValueError(f"{who}: low < high and a start between them are needed, got {low:g}, {high:g} and {x:g}")
    return low, high, x


def _check_names(f: Callable[..., Any], known: Mapping[str, Any]) -> None:
    """Refuse a call that f could not take, before it is made."""
    if not known:
        raise TypeError("explore: give a range for each argument of f, such as explore(f, x=(-1.0, 1.0))")
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):  # a function of C, which has none
        return
    try:
        signature.bind(**known)
    except TypeError as error:
        raise TypeError(f"explore: f{signature} cannot take {', '.join(known)}: {error}") from None
