"""Stepper: what `ag.step` returns. A picture, the steps of backpropagation over it, and a page that plays them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from html import escape
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from autograd_lite.pictures.page import document
from autograd_lite.pictures.picture import Picture
from autograd_lite.pictures.steps import Step, shown

CONTROLS = 210.0
"""Pixels of a page that captions and buttons take."""
TALLEST = 760.0
"""Pixels of a notebook that the page takes at most; a taller picture scrolls."""


class Stepper:
    """Backpropagation over one graph, step by step.

    In a notebook it shows as a page with buttons, elsewhere as text. Made by `ag.step`.

    Attributes:
        picture: the picture with every number in it.
        steps: the steps, as plain data.
    """

    def __init__(self, picture: Picture, steps: Sequence[Step]) -> None:
        self.picture, self.steps = picture, tuple(steps)

    @property
    def svg(self) -> str:
        """The picture with every number in it, as SVG text."""
        return self.picture.svg

    @cached_property
    def animated(self) -> str:
        """The picture as SVG that moves by itself, without a script, also inside an <img>."""
        from autograd_lite.pictures.animated import animated

        return animated(self.picture, self.steps)

    @cached_property
    def html(self) -> str:
        """A page of its own: no network, no library; without scripts it shows the picture and the list of steps."""
        items = "\n".join(f'<li class="{step.phase}">{escape(step.caption)}</li>' for step in self.steps)
        targets = [edge.target for edge in self.picture.model.edges]
        steps = [_plain(step) for step in self.steps]
        data = {"prefix": self.picture.prefix, "steps": steps, "targets": targets}
        return document("stepper", self.picture.model.about, data, image=self.picture.image, items=items)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the page or the moving picture to a file.

        Args:
            path: a name that ends in .html (the page) or .svg (the picture that moves).

        Returns:
            The path.

        Raises:
            ValueError: another ending.

        Example:
            >>> import tempfile, pathlib
            >>> folder = pathlib.Path(tempfile.mkdtemp())
            >>> x = ag.Value(3.0, name="x")
            >>> ag.step(x * x).save(folder / "square.html").name
            'square.html'
        """
        target = Path(fspath(path))
        forms = {".html": "html", ".svg": "animated"}
        if target.suffix.lower() not in forms:
            raise ValueError(
                f"save: {target.name!r} must end in .html (the page) or .svg (the picture that moves); "
                "for a picture that stands still, save ag.draw(loss)"
            )
        target.write_text(getattr(self, forms[target.suffix.lower()]), encoding="utf-8")
        return target

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # Where a page may run no script, as in a notebook that is not trusted, the iframe goes and the image stays.
        height = min(self.picture.scene.height + CONTROLS, TALLEST)
        frame = (
            f'<iframe srcdoc="{escape(self.html)}" sandbox="allow-scripts" title="Backpropagation, step by step" '
            f'style="width:100%;height:{height:.0f}px;border:0">{self.picture.image}</iframe>'
        )
        return {"text/plain": repr(self), "image/svg+xml": self.svg, "text/html": frame}

    def __repr__(self) -> str:
        count = len(self.steps)
        return "\n".join(f"{i:>{len(str(count))}}. {step.caption}" for i, step in enumerate(self.steps, 1))


def _plain(step: Step) -> dict[str, Any]:
    """A step as the page's script reads it."""
    return {
        "phase": step.phase,
        "caption": step.caption,
        "part": step.part,
        "fills": {str(box): shown(x) for box, x in step.fills.items()},
        "box": step.box,
        "edge": step.edge,
        "plus": None if step.plus is None else shown(step.plus),
    }
