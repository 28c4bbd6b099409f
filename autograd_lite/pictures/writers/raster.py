"""A picture as PNG or PDF: our own scene rendered by Matplotlib, else the DOT text rendered by Graphviz."""

from __future__ import annotations

import io
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from math import sqrt
from pathlib import Path
from typing import Any

from autograd_lite.engine.checks import needs
from autograd_lite.pictures.commands import find_command
from autograd_lite.pictures.writers.scene import Circle, Curve, Rect, Shape, Text

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
    wide, high = (side * picture.scene.scale for side in (picture.scene.width, picture.scene.height))
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
        import matplotlib.style  # noqa: F401
    except ImportError:
        return None
    return painted([picture], suffix, dpi)


def painted(pictures: Sequence[Any], suffix: str, dpi: float) -> bytes:
    """Pictures by Matplotlib: a file of one, or a .pdf with a page for each."""
    import matplotlib.style
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    from autograd_lite.pictures.writers.themes import themed

    scenes = [themed(picture.scene, picture.theme) for picture in pictures]
    texts = {shape.text for scene in scenes for e in scene.elements for shape in e.shapes if isinstance(shape, Text)}
    buffer = io.BytesIO()
    # Not in the style of the user's plots: with usetex, a name would be TeX. Text stays text in a PDF, in TrueType
    # outlines (42), since many journals and printers refuse Type 3. Glyphs that no font has were named in one warning.
    with matplotlib.style.context("default"), warnings.catch_warnings():
        families = fonts_for("".join(sorted(texts)))
        warnings.filterwarnings("ignore", "Glyph .* missing")
        matplotlib.rcParams.update({"pdf.fonttype": 42, "font.family": families})
        figures = []
        for scene in scenes:
            inches = scene.width * scene.scale / POINTS, scene.height * scene.scale / POINTS
            figure = Figure(figsize=inches, dpi=dpi, facecolor=scene.ground)
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set_xlim(0, scene.width)
            axes.set_ylim(scene.height, 0)
            axes.set_axis_off()
            shapes = [shape for element in scene.elements for shape in element.shapes]
            for order, shape in enumerate(shapes, 1):
                paint(axes, shape, order, scene.scale, families)
            figures.append(figure)
        if suffix == "pdf":
            with PdfPages(buffer, metadata={"CreationDate": None}) as pages:
                for figure in figures:
                    pages.savefig(figure)
        else:
            figures[0].savefig(buffer, format=suffix)
    return buffer.getvalue()


FRAME_TIME = 1300
"""Milliseconds of a step in a .gif."""


def series(pictures: Sequence[Any], suffix: str) -> bytes:
    """Pictures one after another: a .pdf with a page for each, or a .gif or .mp4 that plays.

    Raises:
        RuntimeError: Matplotlib, or for a .gif Pillow, for an .mp4 ffmpeg, is not installed.
    """
    try:
        import matplotlib.style  # noqa: F401

        if suffix == "pdf":
            return painted(pictures, "pdf", POINTS)
        if suffix == "mp4":
            return _film([painted([one], "png", 2 * POINTS) for one in pictures])
        from PIL import Image
    except ImportError as error:
        raise RuntimeError(needs(f"save: a .{suffix} of steps", str(error.name), "viz")) from None
    images = [Image.open(io.BytesIO(painted([one], "png", 1.5 * POINTS))).convert("RGB") for one in pictures]
    buffer = io.BytesIO()
    times = [FRAME_TIME] * (len(images) - 1) + [3 * FRAME_TIME]
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=times, loop=0)
    return buffer.getvalue()


def _film(images: Sequence[bytes]) -> bytes:
    """PNGs one after another as an .mp4, by ffmpeg."""
    command = find_command("ffmpeg")
    if command is None:
        raise RuntimeError("save: an .mp4 needs the command ffmpeg; install it, or save as .gif")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.mp4"
        # Sides must be even, and players want 4:2:0; the last picture stays a little.
        even = "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white"
        given = f"-loglevel error -f image2pipe -framerate 1000/{FRAME_TIME} -c:v png -i -".split()
        made = ["-vf", even, *["-r", "25", "-pix_fmt", "yuv420p", "-movflags", "+faststart"], str(path)]
        done = subprocess.run(
            [command, *given, *made], input=b"".join([*images, images[-1], images[-1]]), capture_output=True
        )
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise RuntimeError(f"save: ffmpeg could not make the .mp4: {' '.join(said)}")
        return path.read_bytes()


FAMILY = "DejaVu Sans"
"""Comes with Matplotlib."""


def fonts_for(text: str) -> list[str]:
    """Fonts of this machine that together have every character of a text; one warning names those that none has."""
    from matplotlib import font_manager

    families, missing = [FAMILY], {c for c in text if ord(c) > 127}
    missing -= _has(font_manager.findfont(FAMILY))
    for entry in _fonts() if missing else ():
        if "Last Resort" in entry.name:  # comes with Matplotlib and draws a box for anything
            continue
        if entry.style == "normal" and entry.name not in families and missing & (there := _has(entry.fname)):
            families.append(entry.name)
            missing -= there
            if not missing:
                break
    if missing:
        named = " ".join(sorted(missing)[:20])
        warnings.warn(
            f"save: no font on this machine has {named}; boxes stand in their place. Install one, such as the Noto "
            "fonts, or save as .svg, which the reader's fonts show",
            stacklevel=6,
        )
    return families


def _fonts() -> Iterator[Any]:
    """The fonts that Matplotlib knows, then those installed since it made its list, which it keeps on disk for ever."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    yield from list(manager.ttflist)
    listed = {entry.fname for entry in manager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - listed):
        try:
            manager.addfont(path)
        except (OSError, RuntimeError):  # a file that is damaged, or in a format that it cannot read
            continue
        yield manager.ttflist[-1]


@lru_cache(maxsize=512)
def _has(path: str) -> frozenset[str]:
    """The characters that a font file has; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


def paint(
    axes: Any, shape: Shape | Text, order: float, scale: float = 1.0, families: Sequence[str] = ()
) -> None:  # fmt: skip
    """One shape on Matplotlib axes whose unit is a pixel of the picture, `scale` points of the page."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Circle as CirclePatch
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
    from matplotlib.path import Path as Line

    if isinstance(shape, Rect):
        box = FancyBboxPatch(
            (shape.x, shape.y),
            shape.width,
            shape.height,
            boxstyle=f"round,pad=0,rounding_size={min(shape.round, shape.width / 2, shape.height / 2)}",
            facecolor=to_rgba(shape.fill, shape.opacity),
            edgecolor=shape.stroke,
            linewidth=scale * shape.thick if shape.stroke != "none" else 0.0,
            linestyle=(0, (4.0, 3.0)) if shape.dashed else "solid",
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
        codes = [Line.MOVETO] + [Line.CURVE4] * (len(shape.points) - 1)
        unit = max(1.2 / shape.thick, 1 / 1.5)  # Matplotlib counts dashes in widths of the line
        style = (0, (4 * unit, 3 * unit)) if shape.dashed else "solid"
        line = Line(shape.points, codes)
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
            family=list(families) or FAMILY,
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
    command = find_command("dot")
    try:
        import graphviz  # noqa: F401  # writes what the command reads
    except ModuleNotFoundError:
        return None
    if command is None:
        return None
    dot = _dot(picture, suffix, dpi).encode()
    return subprocess.run([command, f"-T{suffix}"], input=dot, capture_output=True, check=True).stdout


def _dot(picture: Any, suffix: str, dpi: float) -> str:
    text: str = picture.dot
    return text.replace("{", f"{{\n\tgraph [dpi={dpi:g}]", 1) if suffix == "png" else text


RENDERERS: list[Callable[[Any, str, float], bytes | None]] = [by_matplotlib, by_pygraphviz, by_command]
"""Tried in turn; each gives None where it is not installed."""
