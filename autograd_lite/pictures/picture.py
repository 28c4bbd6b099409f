"""Picture: what `ag.draw` returns. It shows itself in a notebook and saves itself to a file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from html import escape
from itertools import count
from math import inf
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from autograd_lite.engine.checks import as_float
from autograd_lite.pictures.diagrams.diagram import Diagram
from autograd_lite.pictures.writers.scene import SMALLEST

_numbers = count(1)

SHARPNESS = 2.0
"""Pixels of a .png for one of the picture."""


class Picture:
    """A drawn graph.

    In a notebook it shows as SVG, elsewhere as text. Made by `ag.draw`.

    Attributes:
        diagram: the boxes, edges and frames, as plain data.
        direction: "BT" or "LR".
    """

    def __init__(
        self, diagram: Diagram, direction: str, text: Callable[[], str], wholes: Sequence[Callable[[], Diagram]] = ()
    ) -> None:
        self.diagram, self.direction, self._wholes = diagram, direction, wholes
        self._text = text()  # now, as the numbers of the picture are those of now
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
        """The picture as shapes at their places."""
        from autograd_lite.pictures.writers.scene import scene

        return scene(self.diagram, self.direction)

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        from autograd_lite.pictures.writers.svg import svg

        return svg(self.scene, self.prefix)

    @cached_property
    def dot(self) -> str:
        """The picture in DOT, the language of Graphviz."""
        from autograd_lite.pictures.writers.dot import dot_text

        return dot_text(self.diagram, self.direction)

    @cached_property
    def html(self) -> str:
        """A page of its own, in which frames open and close; without scripts it shows the picture."""
        from autograd_lite.pictures.writers.page import page

        return page(self, self._wholes)

    def save(self, path: str | PathLike[str], scale: float = SHARPNESS) -> Path:
        """Write the picture to a file; the ending of its name says in which form.

        Args:
            path: a name that ends in .svg, .png, .pdf, .dot or .html.
            scale: pixels of a .png for one of the picture: 2 is 144 dots per inch. A picture so large that no
                program would open it gets fewer.

        Returns:
            The path.

        Raises:
            TypeError: scale is no number.
            ValueError: another ending, or scale is not above 0.
            RuntimeError: .png or .pdf, and nothing on this machine can paint one.

        Example:
            >>> import tempfile, pathlib
            >>> folder = tempfile.mkdtemp()
            >>> x = ag.Value(3.0, name="x")
            >>> ag.draw(x * x).save(pathlib.Path(folder) / "square.svg").name
            'square.svg'
        """
        target = Path(fspath(path))
        form = target.suffix.lower().lstrip(".")
        scale = as_float(scale, "save: scale")
        if not 0.0 < scale < inf:
            raise ValueError(f"save: scale must be above 0 and finite, got {scale:g}")
        if form in ("svg", "dot", "html"):
            target.write_text(getattr(self, form), encoding="utf-8")
        elif form in ("png", "pdf"):
            from autograd_lite.pictures.writers.raster import painted

            target.write_bytes(painted(self, form, scale))
        else:
            raise ValueError(f"save: {target.name!r} must end in .svg, .png, .pdf, .dot or .html")
        return target

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "image/svg+xml": self.svg, "text/html": self.framed}

    @property
    def image(self) -> str:
        """The picture as an <img>, for where neither scripts nor frames are allowed."""
        coded = base64.b64encode(self.svg.encode("utf-8")).decode("ascii")
        return (
            f'<img src="data:image/svg+xml;base64,{coded}" alt="{escape(self.diagram.about)}" style="max-width:100%">'
        )

    @property
    def framed(self) -> str:
        """The picture as HTML for a notebook.

        JupyterLab shows a bare SVG as an image, without tooltips and wider than the page; in a frame it has
        tooltips, and fits. A notebook that is not trusted drops the frame and keeps the image inside.
        """
        wide, high = self.scene.width, self.scene.height
        page = f"<!DOCTYPE html><style>body{{margin:0}}svg{{display:block}}</style>{self.svg}"
        size = f"width:{wide:.0f}px;max-width:100%;min-width:{SMALLEST * wide:.0f}px;aspect-ratio:{wide:.0f}/{high:.0f}"
        about = escape(self.diagram.about)
        return (
            f'<iframe srcdoc="{escape(page)}" sandbox="" title="{about}" style="{size};border:0;display:block">'
            f"{self.image}</iframe>"
        )

    def __repr__(self) -> str:
        return self._text
