"""A picture as PNG or PDF: our own scene rendered by Matplotlib, else the DOT text rendered by Graphviz."""

from __future__ import annotations

import io
import shutil
import warnings
from collections.abc import Callable
from math import sqrt
from typing import Any

from autograd_lite.pictures.writers.scene import Circle, Curve, Rect, Scene, Shape, Text

MOST_PIXELS, LONGEST = 1e8, 32_000.0
"""Pixels of a PNG, and of one side of it: Matplotlib refuses a longer one, and few programs open it."""

POINTS = 72.0
"""Points per inch: a pixel of the picture is a point of the page."""


def write(picture: Any, suffix: str, scale: float) -> bytes:
    """A writer (see WRITERS), by the first renderer that is installed.

    Args:
        picture: a Picture.
        suffix: "png" or "pdf".
        scale: pixels of a PNG for one of the picture, whichever program renders it.

    Raises:
        RuntimeError: neither Matplotlib nor Graphviz is installed; the message says what to install.
    """
    wide, high = picture.scene.width, picture.scene.height
    dpi = POINTS * min(scale, LONGEST / max(wide, high), sqrt(MOST_PIXELS / (wide * high)))
    for render in RENDERERS:
        found = render(picture, suffix, dpi)
        if found is not None:
            return found
    raise RuntimeError(
        f"save: a .{suffix} needs Matplotlib or Graphviz; run pip install 'autograd_lite[viz]', or save as .svg, "
        "which every browser opens"
    )


def by_matplotlib(picture: Any, suffix: str, dpi: float) -> bytes | None:
    """The scene, shape by shape; None without Matplotlib."""
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except ImportError:
        return None
    scene: Scene = picture.scene
    buffer = io.BytesIO()
    # Not in the style of the user's plots: with usetex, a name would be TeX.
    with matplotlib.style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # it is drawn as a box
        figure = Figure(figsize=(scene.width / POINTS, scene.height / POINTS), dpi=dpi, facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, scene.width)
        axes.set_ylim(scene.height, 0)
        axes.set_axis_off()
        shapes = [shape for element in scene.elements for shape in element.shapes]
        for order, shape in enumerate(shapes, 1):
            paint(axes, shape, order)
        figure.savefig(buffer, format=suffix, metadata={"CreationDate": None} if suffix == "pdf" else None)
    return buffer.getvalue()


def paint(axes: Any, shape: Shape | Text, order: float, scale: float = 1.0) -> None:
    """One shape on Matplotlib axes whose unit is a pixel of the picture, `scale` points of the page."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Circle as CirclePatch
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
    from matplotlib.path import Path

    if isinstance(shape, Rect):
        box = FancyBboxPatch(
            (shape.x, shape.y),
            shape.width,
            shape.height,
            boxstyle=f"round,pad=0,rounding_size={min(shape.round, shape.width / 2, shape.height / 2)}",
            facecolor=to_rgba(shape.fill, shape.opacity),
            edgecolor=shape.stroke,
            linewidth=scale * shape.thick if shape.stroke != "none" else 0.0,
            zorder=order,
        )
        axes.add_patch(box)
    elif isinstance(shape, Circle):
        thick = scale * shape.thick if shape.stroke != "none" else 0.0
        middle = (shape.x, shape.y)
        axes.add_patch(
            CirclePatch(
                middle, shape.radius, facecolor=shape.fill, edgecolor=shape.stroke, linewidth=thick, zorder=order
            )
        )
    elif isinstance(shape, Curve):
        codes = [Path.MOVETO] + [Path.CURVE4] * (len(shape.points) - 1)
        unit = max(1.2 / shape.thick, 1 / 1.5)  # Matplotlib counts dashes in widths of the line
        style = (0, (4 * unit, 3 * unit)) if shape.dashed else "solid"
        line = Path(shape.points, codes)
        colour = to_rgba(shape.stroke, shape.opacity)
        axes.add_patch(
            PathPatch(line, fill=False, edgecolor=colour, linewidth=scale * shape.thick, linestyle=style, zorder=order)
        )
        if shape.head is not None:
            axes.add_patch(Polygon(shape.head, closed=True, facecolor=shape.stroke, linewidth=0, zorder=order))
    else:
        axes.text(
            shape.x,
            shape.y,
            shape.text,
            fontsize=scale * shape.size,
            color=shape.fill,
            ha={"start": "left", "middle": "center", "end": "right"}[shape.anchor],
            va="baseline",
            fontweight="bold" if shape.bold else "normal",
            family="DejaVu Sans",  # comes with Matplotlib
            parse_math=False,  # a name may hold dollar signs
            zorder=order,
        )


def by_pygraphviz(picture: Any, suffix: str, dpi: float) -> bytes | None:
    """Graphviz in this process."""
    try:
        import pygraphviz
    except (ImportError, OSError):
        return None
    found = pygraphviz.AGraph(string=_dot(picture, suffix, dpi)).draw(format=suffix, prog="dot")
    return bytes(found) if found else None


def by_command(picture: Any, suffix: str, dpi: float) -> bytes | None:
    """The `dot` command."""
    if shutil.which("dot") is None:
        return None
    import graphviz

    return bytes(graphviz.Source(_dot(picture, suffix, dpi)).pipe(format=suffix))


def _dot(picture: Any, suffix: str, dpi: float) -> str:
    from autograd_lite.pictures.writers.dot import dot_text

    return dot_text(picture.diagram, picture.direction, dpi if suffix == "png" else None)


RENDERERS: list[Callable[[Any, str, float], bytes | None]] = [by_matplotlib, by_pygraphviz, by_command]
"""Tried in turn; each gives None where it is not installed."""
