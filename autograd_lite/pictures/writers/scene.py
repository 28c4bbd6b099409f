"""A picture as shapes: rectangles, curves, triangles and lines of text at their places.

This is where the look is decided, once: colours, sizes, what stands where in a box. svg.py and
raster.py only write down what they find here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot

from autograd_lite.pictures.diagrams.diagram import Box, Diagram, Edge, Share, ValueBox
from autograd_lite.pictures.layout.choice import lay_out
from autograd_lite.pictures.layout.geometry import FRAME_TITLE, Arrow, Layout, LayoutInput, Point
from autograd_lite.pictures.mathematics import PLAIN
from autograd_lite.pictures.writers.text_width import width

BLUE, VERMILION = "#006AA6", "#AD4600"
"""Forward and backward: two colours of Okabe and Ito, which colour-blind readers tell apart, dark enough for text
(4.5 to 1 on every tint)."""

PLUS, MINUS = "#00704F", "#96348A"
"""Above and below zero, in networks: a green and a purple that colour-blind readers tell apart."""

INK, LINE, FAINT = "#1A1A1A", "#5F6673", "#9AA0AB"

TINTS = {
    "op": "#FFFFFF", "parameter": "#FFE7A3", "input": "#E6F6EC", "constant": "#ECECF0", "frame": "#E4E9F6",
    "backward": "#FCE9DD",
}  # fmt: skip

BORDERS = {"parameter": (1.4, 0.0, False), "input": (1.0, 15.0, False), "constant": (1.0, 6.0, True)}
"""Width, roundness and dashes of a border: leaves are told apart by its shape too, where no colour is."""

FRAME_TINT, FRAME_LINE = "#5B6EA8", "#A9B3CF"


SIZE, SMALL, SYMBOL = 12.0, 11.0, 15.0
"""Sizes of text: of titles and numbers, of labels and small print, of what a box does."""

ROW, PAD = 16.0, 7.0
"""Between two lines of text in a box; between its text and its border."""

SMALL_PRINT = ("note", "rule")

MARGIN = 12.0

HEAD = 7.0
"""Length of the head of an arrow."""

SMALLEST = 0.7
"""How far a narrow page may scale a picture down before it scrolls: smaller, its text cannot be read."""


@dataclass(frozen=True)
class Rect:
    """A rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str = "none"
    thick: float = 1.0
    round: float = 6.0
    opacity: float = 1.0
    dashed: bool = False


@dataclass(frozen=True)
class Circle:
    """A circle; (x, y) is its middle."""

    x: float
    y: float
    radius: float
    fill: str
    stroke: str = "none"
    thick: float = 1.0


@dataclass(frozen=True)
class Curve:
    """Bezier curves from point to point (3k + 1 of them), and a head at the end, or none."""

    points: tuple[Point, ...]
    stroke: str
    head: tuple[Point, Point, Point] | None
    dashed: bool = False
    thick: float = 1.2
    opacity: float = 1.0


Shape = Rect | Circle | Curve


@dataclass(frozen=True)
class Text:
    """One line; `y` is its base line. `part` names what it is: title, symbol, f, g, local, frame, rule, note."""

    x: float
    y: float
    text: str
    part: str
    size: float = SIZE
    fill: str = INK
    anchor: str = "start"
    bold: bool = False


@dataclass(frozen=True)
class Element:
    """Shapes that belong together (SVG's <g>): a box, an edge, a frame; `about` is their tooltip."""

    id: str
    kind: str
    about: str
    shapes: tuple[Shape | Text, ...]


@dataclass(frozen=True)
class Scene:
    """The whole picture, back to front.

    Args:
        width, height: its extent, in the units of its shapes.
        elements: what is drawn.
        about: a sentence for screen readers.
        scale: pixels for each unit, 1 for text of 12 pixels.
        ground: the colour behind it.
    """

    width: float
    height: float
    elements: tuple[Element, ...]
    about: str
    scale: float = 1.0
    ground: str = "#FFFFFF"


def box_size(box: Box, operands: int) -> tuple[float, float]:
    """Width and height that hold every line of a box, and leave its edges room to come in from below."""
    if box.literal:
        return width(box.lines[0][1], SIZE, bold=True) + 2 * PAD, 26.0
    top = width(box.title, SIZE, bold=True) + (14 + width(box.symbol, symbol_size(box), bold=True) if box.symbol else 0)
    rows = [
        width(text, SMALL if part in SMALL_PRINT else SIZE, bold=part not in SMALL_PRINT) for part, text in box.lines
    ]
    return max(top, *rows, 44.0, 24.0 * min(operands, 12), box.room) + 2 * PAD, 2 * PAD - 4 + ROW * (1 + len(rows))


def symbol_size(box: Box) -> float:
    """Signs are larger than text, names of functions as large."""
    return SYMBOL if len(box.symbol) <= 2 else SIZE


def label_size(edge: Edge) -> tuple[float, float]:
    """Room for the label of an edge, and for some air around it."""
    return (width(edge.label, SMALL) + 8, SMALL + 5) if edge.label else (0.0, 0.0)


def scene(diagram: Diagram, direction: str) -> Scene:
    """Lay a diagram out and draw it.

    Args:
        diagram: the boxes, edges and frames.
        direction: "BT" (root on top) or "LR" (root at the right).
    """
    slots = Counter(edge.target for edge in diagram.edges)
    sizes = [box_size(box, slots[i]) for i, box in enumerate(diagram.boxes)]
    asked = LayoutInput(
        sizes,
        [(edge.source, edge.target, *label_size(edge)) for edge in diagram.edges],
        [(frame.parent, width(frame.title, SMALL, bold=True) + 4) for frame in diagram.frames],
        [box.frame for box in diagram.boxes],
        direction,
    )
    placed = _with_margin(lay_out(asked), MARGIN)
    elements = [_frame(i, frame.title, placed) for i, frame in enumerate(diagram.frames)]
    titles = [_frame_title(i, frame.title, placed) for i, frame in enumerate(diagram.frames)]
    elements += [
        _edge(i, edge, arrow, diagram) for i, (edge, arrow) in enumerate(zip(diagram.edges, placed.arrows, strict=True))
    ]
    elements += titles  # above the edges
    elements += [
        _box(i, box, at, size) for i, (box, at, size) in enumerate(zip(diagram.boxes, placed.boxes, sizes, strict=True))
    ]
    wide, high = placed.width, placed.height
    if diagram.note:
        lines = wrapped(diagram.note, max(wide - 2 * MARGIN, 360.0))
        texts = tuple(Text(MARGIN, high + 4 + 15 * i, line, "note", SMALL, LINE) for i, line in enumerate(lines))
        elements.append(Element("note", "note", diagram.note, texts))
        wide = max(wide, *(width(line, SMALL) + 2 * MARGIN for line in lines))
        high += 15 * len(lines) + 2
    if diagram.boxes and diagram.boxes[0].style.legend:
        legend, high = _legend(diagram, wide, high)
        elements.append(legend)
        wide = max([wide, *(s.x + width(s.text, SMALL) + MARGIN for s in legend.shapes if isinstance(s, Text))])
    return Scene(wide, high, tuple(elements), diagram.about)


def titled(scene: Scene, title: str) -> Scene:
    """The scene with a line above it; everything moves down."""
    lines = wrapped(title, max(scene.width - 2 * MARGIN, 240.0) * SMALL / 16.0)
    room = 28.0 * len(lines)
    texts = tuple(
        Text(MARGIN, MARGIN + 14 + 28 * i, line, "heading", 16.0, INK, bold=True) for i, line in enumerate(lines)
    )
    wide = max(scene.width, *(width(line, 16.0, bold=True) + 2 * MARGIN for line in lines))
    heading = Element("title", "heading", title, texts)
    return replace(scene, width=wide, height=scene.height + room, elements=(heading, *moved_down(scene, room)))


def moved_down(scene: Scene, room: float) -> tuple[Element, ...]:
    """What is drawn, with room above it."""

    def moved(shape: Shape | Text) -> Shape | Text:
        if isinstance(shape, Curve):
            points = tuple((x, y + room) for x, y in shape.points)
            if shape.head is None:
                return replace(shape, points=points)
            (a, b), (c, d), (e, f) = shape.head
            return replace(shape, points=points, head=((a, b + room), (c, d + room), (e, f + room)))
        return replace(shape, y=shape.y + room)

    return tuple(replace(element, shapes=tuple(map(moved, element.shapes))) for element in scene.elements)


def _with_margin(placed: Layout, by: float) -> Layout:
    """A layout with a margin around it."""

    def moved(point: Point) -> Point:
        return point[0] + by, point[1] + by

    return Layout(
        placed.width + 2 * by,
        placed.height + 2 * by,
        tuple(map(moved, placed.boxes)),
        tuple(Arrow(tuple(map(moved, arrow.points)), moved(arrow.label)) for arrow in placed.arrows),
        tuple((x0 + by, y0 + by, x1 + by, y1 + by) for x0, y0, x1, y1 in placed.frames),
    )


def _frame(i: int, title: str, placed: Layout) -> Element:
    x0, y0, x1, y1 = placed.frames[i]
    rect = Rect(x0, y0, x1 - x0, y1 - y0, FRAME_TINT, FRAME_LINE, round=10.0, opacity=0.07)
    return Element(f"frame{i}", "frame", title, (rect,))


def _frame_title(i: int, title: str, placed: Layout) -> Element:
    x0, y0, *_ = placed.frames[i]
    text = Text(x0 + 9, y0 + FRAME_TITLE - 3, title, "frame", SMALL, "#56618A", bold=True)
    return Element(f"frame{i}-title", "frame-title", title, (text,))


def _box(i: int, box: Box, at: Point, size: tuple[float, float]) -> Element:
    (x, y), (w, h) = at, size
    left, top, right = x - w / 2, y - h / 2, x + w / 2
    shapes: list[Shape | Text] = [_outline(left, top, w, h, box.kind, box.root)]
    if box.literal:
        shapes.append(Text(x, y + 4.5, box.lines[0][1], "f", SIZE, BLUE, "middle", bold=True))
        return Element(f"box{i}", f"box {box.kind}", box.about, tuple(shapes))
    base = top + PAD + 9
    shapes.append(Text(left + PAD, base, box.title, "title", bold=True))
    if box.symbol:
        shapes.append(Text(right - PAD, base, box.symbol, "symbol", symbol_size(box), LINE, "end", bold=True))
    colours = {"f": BLUE, "g": VERMILION, **dict.fromkeys(SMALL_PRINT, LINE)}
    for part, text in box.lines:
        base += ROW
        plain = part in SMALL_PRINT
        shapes.append(Text(left + PAD, base, text, part, SMALL if plain else SIZE, colours[part], bold=not plain))
    return Element(f"box{i}", f"box {box.kind}{' root' if box.root else ''}", box.about, tuple(shapes))


def _outline(x: float, y: float, w: float, h: float, kind: str, root: bool) -> Rect:
    """The rectangle of a box."""
    thick, corner, dashed = BORDERS.get(kind, (1.0, 6.0, False))
    stroke = INK if root else LINE
    return Rect(x, y, w, h, TINTS[kind], stroke, 3.0 if root else thick, round=min(corner, h / 2), dashed=dashed)


KINDS = {
    "input": "input", "parameter": "parameter", "constant": "constant", "op": "operation",
    "backward": "of the gradient", "frame": "closed frame",
}  # fmt: skip
"""What the legend calls the kinds of boxes."""


def _legend(diagram: Diagram, wide: float, high: float) -> tuple[Element, float]:
    """A key in rows below the picture, and where it ends."""
    style = diagram.boxes[0].style if diagram.boxes else PLAIN
    kinds = [kind for kind in KINDS if any(box.kind == kind for box in diagram.boxes)]
    items: list[tuple[str, str]] = [(kind, KINDS[kind]) for kind in kinds]
    values = [box for box in diagram.boxes if isinstance(box, ValueBox)]
    if len(values) == len(diagram.boxes):
        roots = [box.title for box in values if box.root]
        top = roots[0] if len(roots) == 1 and roots[0] else "the root"
        by = f"∂{top}/∂" if style.math else f"d {top} / d "
        items += [("root", "root")] if roots else []
        items += [("f", "f: forward value")] if "f" in style.show else []
        items += [("g", f"g = {by}(this box)")] if "g" in style.show and any(box.g for box in values) else []
        if any(edge.label for edge in diagram.edges):
            items.append(
                (
                    "local",
                    "at an arrow: ∂(its end)/∂(its start)" if style.math else "at an arrow: d(its end)/d(its start)",
                )
            )
    if any(edge.idle for edge in diagram.edges):
        items.append(("idle", "no gradient flows"))
    shapes: list[Shape | Text] = []
    x, y, room = MARGIN, high + 10.0, max(wide - MARGIN, 380.0)
    for what, text in items:
        across = (30.0 if what in KINDS or what in ("root", "idle") else 0.0) + width(text, SMALL) + 16
        if x > MARGIN and x + across - 16 > room:
            x, y = MARGIN, y + 24
        if what in KINDS or what == "root":
            shapes.append(_outline(x, y - 8, 24.0, 16.0, "op" if what == "root" else what, what == "root"))
        elif what == "idle":
            shapes.append(Curve(((x, y), (x + 8, y), (x + 16, y), (x + 24, y)), FAINT, None, True))
        colour = {"f": BLUE, "g": VERMILION}.get(what, INK)
        shapes.append(
            Text(x + (30.0 if across - 46 >= width(text, SMALL) - 1 else 0.0), y + 4, text, "key", SMALL, colour)
        )
        x += across
    return Element("legend", "legend", "what the boxes and numbers mean", tuple(shapes)), y + 20


def _edge(i: int, edge: Edge, arrow: Arrow, diagram: Diagram) -> Element:
    share = edge.overlay if isinstance(edge.overlay, Share) else None
    colour = FAINT if edge.idle else LINE if share is None else VERMILION
    thick = 1.2 if share is None else 1.6 + 3.0 * min(abs(share.size), 1.0)
    points, head = _headed(arrow.points, 3.0 if diagram.boxes[edge.target].root else 1.5, HEAD + 1.8 * (thick - 1.2))
    x, y = arrow.label
    curve = Curve(points, colour, head, edge.idle, thick)
    if not edge.label:
        return Element(f"edge{i}", "edge", edge.about, (curve,))
    wide = width(edge.label, SMALL) + 2
    ground = Rect(x - wide / 2, y - 7, wide, 14, "#FFFFFF", opacity=0.9, round=4.0)  # so that no line runs through it
    label = Text(x, y + 4, edge.label, "local", SMALL, LINE if edge.idle else INK, "middle")
    return Element(f"edge{i}", "edge", edge.about, (curve, ground, label))


def _headed(points: Sequence[Point], gap: float, size: float) -> tuple[tuple[Point, ...], tuple[Point, Point, Point]]:
    """The curve cut a little short, and a triangle of a size that ends it in the direction in which it arrives."""
    # Back to the first point that is far enough away: the last ones may lie on each other, and have no direction.
    x, y = points[-1]
    dx, dy = 0.0, -1.0
    for px, py in reversed(points[:-1]):
        length = hypot(x - px, y - py)
        if length > 1.0:
            dx, dy = (x - px) / length, (y - py) / length
            break
    tip = (x - dx * gap, y - dy * gap)
    back = (tip[0] - dx * size, tip[1] - dy * size)
    side = (-dy * size * 0.45, dx * size * 0.45)
    corners = (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])
    return (*points[:-1], back), (tip, *corners)


def wrapped(text: str, room: float) -> list[str]:
    """Text in lines no wider than `room`."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width(longer, SMALL) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
