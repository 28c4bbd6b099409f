"""Picture: what `ag.draw` returns. It shows itself in a notebook and saves itself to a file."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from itertools import count
from math import inf
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograd_lite.atomic_write import write_whole
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.notation import TOOLTIP_NAME, printable
from autograd_lite.pictures.arguments import check_direction
from autograd_lite.pictures.diagrams.collapsed import collapse_below, frame_levels, leaves_together
from autograd_lite.pictures.diagrams.diagram import Diagram, styled
from autograd_lite.pictures.mathematics import PLAIN, Style, checked_style, named_values
from autograd_lite.pictures.writers import WRITERS, target_of, written
from autograd_lite.pictures.writers.notebook import NOTEBOOK, image
from autograd_lite.pictures.writers.themes import check_theme

if TYPE_CHECKING:
    from autograd_lite.pictures.diagrams.networks import NetworkDiagram

_numbers = count(1)

SHARPNESS = 2.0
"""Pixels of a .png per pixel of the picture."""


class Picture:
    """A drawn graph.

    In a notebook it shows as SVG, elsewhere as text. Made by `ag.draw`.

    Attributes:
        diagram: the boxes, edges and frames, as plain data.
        direction: "BT" or "LR".
        opened: how many levels of frames are open, where more would not fit a page.
        title: a line above the picture; "" for none.
        scale: how much larger than usual it is.
        theme: "auto", "light", "dark" or "print".
        style: what it shows and how it writes it.
    """

    opened: int | None = None
    title: str = ""
    scale: float = 1.0
    theme: str = "auto"
    style: Style = PLAIN

    diagram: Any
    direction: str

    def __init__(
        self,
        diagram: Diagram | NetworkDiagram,
        direction: str,
        text: Callable[[], str],
        wholes: Sequence[Callable[[], Diagram]] = (),
    ) -> None:
        self.diagram, self.direction, self._wholes = diagram, direction, wholes
        self._text = text()  # now, with the numbers that the picture shows
        self._number = next(_numbers)

    @cached_property
    def prefix(self) -> str:
        """What the ids of this picture begin with: two pictures on one page never share one.

        It has this process's running number, since one graph may be drawn twice, and a digest of
        the content, since a page may hold pictures of several processes.
        """
        content = repr((self.diagram, self.direction)).encode("utf-8", "backslashreplace")
        return f"ag-{hashlib.sha256(content).hexdigest()[:8]}-{self._number}"

    @cached_property
    def scene(self) -> Any:
        """The picture as shapes at their places (a Scene), in the colours of the light theme."""
        from autograd_lite.pictures.writers.scene import titled

        made = self._shapes()
        made = titled(made, printable(self.title, TOOLTIP_NAME)) if self.title else made
        return replace(made, scale=self.scale)

    def _shapes(self) -> Any:
        """The scene without its title."""
        from autograd_lite.pictures.writers.scene import scene

        return scene(self.shown, self.direction)

    @cached_property
    def shown(self) -> Any:
        """The diagram as the picture writes it: names and numbers in its style."""
        return styled(self.diagram, self.style)

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text; with the theme "auto" it is dark where the reader's screen is."""
        from autograd_lite.pictures.writers.themes import dark_rules

        if self.theme != "auto":
            return self.still
        return self.still.replace("</title>\n", f"</title>\n{dark_rules(self.still, self.prefix)}\n", 1)

    @cached_property
    def still(self) -> str:
        """The picture as SVG text in one theme, without any style sheet."""
        from autograd_lite.pictures.writers.svg import svg
        from autograd_lite.pictures.writers.themes import themed

        return svg(themed(self.scene, self.theme), self.prefix)

    @cached_property
    def dot(self) -> str:
        """The picture in DOT, the language of Graphviz."""
        from autograd_lite.pictures.writers.dot import dot_text

        return dot_text(self.shown, self.direction)

    @cached_property
    def html(self) -> str:
        """A page in which frames open and close; without scripts it shows the picture."""
        from autograd_lite.pictures.writers.page import page

        return page(self, self._wholes)

    def save(self, path: str | PathLike[str], scale: float = SHARPNESS) -> Path:
        """Write the picture to a file, in the format that the suffix of its name says.

        The file is replaced at once: if it cannot be written, the old one stays.

        Args:
            path: a name that ends in .svg, .png, .pdf, .dot, .html, .tex (TikZ, a document that compiles by itself) or
                .tikz (the picture alone, for \\input).
            scale: pixels of a .png per pixel of the picture: 2 is 144 dots per inch. A picture so large that no
                program would open it gets fewer.

        Returns:
            The path.

        Raises:
            TypeError: scale is not a number.
            ValueError: another suffix, scale is not above 0, or the path is a device or a FIFO.
            RuntimeError: .png or .pdf, and neither Matplotlib nor Graphviz is installed.

        Example:
            >>> import tempfile, pathlib
            >>> folder = tempfile.mkdtemp()
            >>> x = ag.Value(3.0, name="x")
            >>> ag.draw(x * x).save(pathlib.Path(folder) / "square.svg").name
            'square.svg'
        """
        target, suffix = target_of(path, WRITERS)
        scale = as_float(scale, "save: scale")
        if not 0.0 < scale < inf:
            raise ValueError(f"save: scale must be above 0 and finite, got {scale:g}")
        write_whole(target, written(self, suffix, scale), "save: path")
        return target

    def show(self) -> Path:
        """Open the picture in the browser, for a plain script: a page in a temporary folder, whose path it returns.

        Example:
            >>> x = ag.Value(3.0, name="x")
            >>> ag.draw(x * x).show()  # doctest: +SKIP
        """
        path = self.save(Path(tempfile.mkdtemp(prefix="autograd_lite-")) / "picture.html")
        if not webbrowser.open(path.as_uri()):
            print(f"show: there is no browser to open; the picture is in {path}", file=sys.stderr)
        return path

    def _repr_html_(self) -> str:
        # For programs that ask for this alone, as sphinx-gallery and Streamlit do: an image, which needs no trust.
        return image(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), **{mime: show(self) for mime, show in NOTEBOOK.items()}}

    def __repr__(self) -> str:
        return self._text


WIDEST = 1000.0
"""How wide a picture with frames may be, in its own units: a page of 700 pixels still shows it whole, in text that can
be read."""


def fitted(picture: Picture) -> Picture:
    """A picture that is wider than a page with as many levels of its frames open as fit, and a word on that.

    Many frames side by side, as the neurons of three layers, are what makes a picture wide; closed they are a box each.
    """
    whole = picture.diagram
    if not whole.frames or picture.scene.width <= WIDEST:
        return picture
    found = []
    for depth in reversed(range(max(frame_levels(whole.frames)) + 1)):
        made = leaves_together(collapse_below(whole, depth).diagram)
        levels = f"{depth} level{'s' if depth > 1 else ''} of frames open" if depth else "every frame closed"
        note = f"{whole.note} To fit a page it has {levels}; depth= opens more.".strip()
        tried = copy(picture)
        tried.diagram, tried.opened = replace(made, note=note), depth
        for name in ("prefix", "scene", "shown", "svg", "still"):
            tried.__dict__.pop(name, None)
        found.append(tried)
        if tried.scene.width <= WIDEST:
            break
    narrowest = min(found, key=lambda tried: float(tried.scene.width))
    return narrowest if narrowest.scene.width < picture.scene.width else picture


TEXT = 12.0
"""Height of the text of a picture of the usual size, in pixels."""


def checked_look(who: str, given: Mapping[str, Any]) -> tuple[Callable[[Picture], Picture], dict[int, str]]:
    """What gives a picture its title, size, theme and style, and the names of Values; all options are checked now.

    Args:
        who: the function that was called, for messages.
        given: its arguments by name; those that are not about the look are passed over.

    Raises:
        TypeError: an argument of another type.
        ValueError: size is not from 4 to 200, or a choice is unknown.
    """
    title, size = given["title"], given["size"]
    if title is not None and not isinstance(title, str):
        raise TypeError(f"{who}: title must be a string, got {describe(title)}")
    height = TEXT if size is None else as_float(size, f"{who}: size")
    if not 4.0 <= height <= 200.0:
        raise ValueError(f"{who}: size is the height of the text in pixels, from 4 to 200, got {height:g}")
    check_theme(given["theme"], who)
    style = checked_style(who, *(given[name] for name in ("show", "symbols", "local", "digits", "legend")))
    called = named_values(given["names"], who)
    check_direction(given["direction"], who)

    def look(picture: Picture) -> Picture:
        picture.title, picture.scale, picture.theme, picture.style = title or "", height / TEXT, given["theme"], style
        return picture

    return look, called
