"""Picture: what `ag.draw` returns. It shows itself in a notebook and saves itself to a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import count
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from autograd_lite.pictures.model import Model

_numbers = count(1)


class Picture:
    """A drawn graph.

    In a notebook it shows as SVG, elsewhere as text. Made by `ag.draw`.

    Attributes:
        model: the boxes, edges and frames, as plain data.
        direction: "BT" or "LR".
    """

    def __init__(
        self, model: Model, direction: str, text: Callable[[], str], wholes: Sequence[Callable[[], Model]] = ()
    ) -> None:
        self.model, self.direction, self._text, self._wholes = model, direction, text, wholes
        self._number = next(_numbers)

    @cached_property
    def prefix(self) -> str:
        """What the ids of this picture begin with: two pictures on one page never share one.

        It has this process's running number, since one graph may be drawn twice, and a digest of
        the content, since a page may hold pictures of several processes.
        """
        content = repr((self.model, self.direction)).encode("utf-8", "backslashreplace")
        return f"ag-{hashlib.sha256(content).hexdigest()[:8]}-{self._number}"

    @cached_property
    def scene(self) -> Any:
        """The picture as shapes at their places."""
        from autograd_lite.pictures.scene import scene

        return scene(self.model, self.direction)

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        from autograd_lite.pictures.svg import svg

        return svg(self.scene, self.prefix)

    @cached_property
    def dot(self) -> str:
        """The picture in DOT, the language of Graphviz."""
        from autograd_lite.pictures.dot_text import dot_text

        return dot_text(self.model, self.direction)

    @cached_property
    def html(self) -> str:
        """A page of its own, in which frames open and close; without scripts it shows the picture."""
        from autograd_lite.pictures.page import page

        return page(self, self._wholes)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture to a file; the ending of its name says in which form.

        Args:
            path: a name that ends in .svg, .png, .pdf, .dot or .html.

        Returns:
            The path.

        Raises:
            ValueError: another ending.
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
        if form in ("svg", "dot", "html"):
            target.write_text(getattr(self, form), encoding="utf-8")
        elif form in ("png", "pdf"):
            from autograd_lite.pictures.paint import painted

            target.write_bytes(painted(self, form))
        else:
            raise ValueError(f"save: {target.name!r} must end in .svg, .png, .pdf, .dot or .html")
        return target

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "image/svg+xml": self.svg}

    def __repr__(self) -> str:
        return self._text()
