"""A scene as SVG: in a page, in a file, or in an <img>.

No script, no style sheet and (but for parts that are printed) no reference between elements, since a style
sheet in a picture would reach over the whole page. Every id begins with the picture's own prefix.
"""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import Any

from autograd_lite.pictures.writers.scene import SMALLEST, Circle, Curve, Element, Rect, Scene, Shape, Text

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"

AIR = 6.0
"""Above a box, where a picture is cut for printing."""

HALO = ' stroke="#FFFFFF" stroke-width="3" stroke-linejoin="round" paint-order="stroke"'
"""Keeps an edge that passes behind a title from striking it through."""


def write(picture: Any, suffix: str, scale: float) -> bytes:
    """A writer (see WRITERS); the text is that of `picture.still`, in one theme."""
    text: str = picture.still
    return text.encode("utf-8")


def svg(scene: Scene, prefix: str) -> str:
    """The SVG text.

    Args:
        scene: what to write.
        prefix: what every id begins with.
    """
    w, h = _n(scene.width), _n(scene.height)
    about = escape(scene.about)
    size = f'width="{_n(scene.width * scene.scale)}" height="{_n(scene.height * scene.scale)}"'
    attributes = f'{size} viewBox="0 0 {w} {h}" role="img" aria-label="{about}" font-family="{FONT}"'
    # A narrow page scales it down as long as it can be read, then scrolls.
    style = f"max-width:100%;min-width:{_n(scene.width * scene.scale * SMALLEST)}px;height:auto"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{prefix}" {attributes} style="{style}">',
        f"<title>{about}</title>",
        f'<rect class="ground" width="{w}" height="{h}" rx="8" fill="{scene.ground}"/>',
        *(_group(element, prefix) for element in scene.elements),
        "</svg>",
    ]
    return ("\n".join(lines) + "\n").replace(HALO, HALO.replace("#FFFFFF", scene.ground))


SHEET = 930.0
"""Height of a sheet of paper, A4 or Letter, within a browser's margins, in pixels."""

LEAST = 0.7
"""How far a picture is scaled down to be printed on one sheet; a taller one is cut between its boxes."""


def with_sheets(drawn: str, scene: Scene, prefix: str) -> str:
    """An SVG for a page that may be printed: a picture taller than a sheet is followed by its parts, a sheet each.

    A browser moves what it cannot break to the next sheet and cuts it through boxes there. The parts show in print
    alone (document.css) and refer to the picture, so that it is in the page once.
    """
    if scene.height * scene.scale * LEAST <= SHEET:
        return drawn
    whole = f"{prefix}-all"
    head, ground, rest = drawn.partition('<rect class="ground"')
    drawn = f'{head}<g id="{whole}">\n{ground}{rest.replace("</svg>", "</g>" + chr(10) + "</svg>")}'
    cuts = _cuts(scene, SHEET / scene.scale)
    parts = [
        f'<svg class="sheet" width="{_n(scene.width * scene.scale)}" height="{_n((low - top) * scene.scale)}" '
        f'viewBox="0 {_n(top)} {_n(scene.width)} {_n(low - top)}" font-family="{FONT}" aria-hidden="true">'
        f'<use href="#{whole}"/></svg>\n'
        for top, low in pairwise(cuts)
    ]
    return f"{drawn}{''.join(parts)}"


def _cuts(scene: Scene, room: float) -> list[float]:
    """Where a picture is cut into parts of at most this height: above a row of boxes, if there is one."""
    outlines = [e.shapes[0] for e in scene.elements if e.kind.split()[:1] == ["box"]]
    spans = sorted(
        (s.y, s.y + s.height) if isinstance(s, Rect) else (s.y - s.radius, s.y + s.radius)
        for s in outlines
        if isinstance(s, Rect | Circle)
    )
    cuts, free, end = [0.0], [], 0.0
    for top, low in spans:
        if top - AIR > end:
            free.append(top - AIR)
        end = max(end, low)
    while scene.height - cuts[-1] > room:
        cuts.append(max((y for y in free if cuts[-1] < y <= cuts[-1] + room), default=cuts[-1] + room))
    return [*cuts, scene.height]


def _group(element: Element, prefix: str) -> str:
    shapes = "".join(_shape(shape) for shape in element.shapes)
    return f'<g id="{prefix}-{element.id}" class="{element.kind}"><title>{escape(element.about)}</title>{shapes}</g>'


def _shape(shape: Shape | Text) -> str:
    if isinstance(shape, Rect):
        opacity = f' fill-opacity="{_n(shape.opacity)}"' if shape.opacity < 1 else ""
        thick = f' stroke-width="{_n(shape.thick)}"' if shape.stroke != "none" else ""
        thick += ' stroke-dasharray="4 3"' if shape.dashed else ""
        return (
            f'<rect x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}" '
            f'rx="{_n(shape.round)}" fill="{shape.fill}"{opacity} stroke="{shape.stroke}"{thick}/>'
        )
    if isinstance(shape, Circle):
        thick = f' stroke-width="{_n(shape.thick)}"' if shape.stroke != "none" else ""
        at = f'cx="{_n(shape.x)}" cy="{_n(shape.y)}" r="{_n(shape.radius)}"'
        return f'<circle {at} fill="{shape.fill}" stroke="{shape.stroke}"{thick}/>'
    if isinstance(shape, Curve):
        first, *rest = (f"{_n(x)},{_n(y)}" for x, y in shape.points)
        unit = max(shape.thick / 1.8, 1.0)  # dashes of a wide line are longer, or they would be dots
        dash = f' stroke-dasharray="{_n(4 * unit)} {_n(3 * unit)}"' if shape.dashed else ""
        thick = _n(shape.thick)
        soft = f' stroke-opacity="{_n(shape.opacity)}"' if shape.opacity < 1 else ""
        style = f'fill="none" stroke="{shape.stroke}" stroke-width="{thick}"{dash}{soft}'
        line = f'<path d="M{first}C{" ".join(rest)}" {style}/>'
        if shape.head is None:
            return line
        corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in shape.head)
        return f'{line}<polygon points="{corners}" fill="{shape.stroke}"/>'
    anchor = f' text-anchor="{shape.anchor}"' if shape.anchor != "start" else ""
    weight = ' font-weight="bold"' if shape.bold else ""
    halo = HALO if shape.part == "frame" else ""
    return (
        f'<text class="{shape.part}" x="{_n(shape.x)}" y="{_n(shape.y)}" font-size="{_n(shape.size)}" '
        f'fill="{shape.fill}"{anchor}{weight}{halo} xml:space="preserve">{escape(shape.text)}</text>'
    )


def _n(x: float) -> str:
    """A coordinate: two decimals at most, so that the last bit of a machine does not show."""
    return f"{x:.2f}".rstrip("0").rstrip(".")
