"""A network as shapes: circles, lines as wide as what they show, and what stands in and beside them.

Green and solid is positive, purple and dashed negative, so that the signs are told apart without colours too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import hypot, inf, isfinite

from autograd_lite.pictures.diagrams.networks import Line, NetworkDiagram, Unit
from autograd_lite.pictures.layout.columns import columns, routed, through
from autograd_lite.pictures.layout.geometry import Point, on_curve
from autograd_lite.pictures.mathematics import PLAIN, Style
from autograd_lite.pictures.writers.scene import (
    BLUE,
    INK,
    LINE,
    MARGIN,
    MINUS,
    PLUS,
    SIZE,
    SMALL,
    TINTS,
    VERMILION,
    Circle,
    Curve,
    Element,
    Rect,
    Scene,
    Shape,
    Text,
    wrapped,
)
from autograd_lite.pictures.writers.text_width import width

RADIUS, EMPTY_RADIUS = 27.0, 19.0
"""Of a circle with numbers in it, and of one without."""

LABELLED = 16
"""Lines that have their number beside them; of more the width and the tooltip tell it."""

THINNEST, WIDEST = 0.8, 5.2

HEADING = 26.0
"""Height of the line of titles."""

BEYOND = 92.0
"""Room for the targets, right of the outputs."""

SAID = {"weight": "weight w", "gradient": "gradient dL/dw", "change": "change of w"}


def network_scene(diagram: NetworkDiagram, style: Style = PLAIN) -> Scene:
    """Lay a network out and draw it."""
    units, lines = [_shown(unit, style) for unit in diagram.units], diagram.lines
    radius = EMPTY_RADIUS if all(unit.f is unit.g is None for unit in units) else RADIUS
    counts = [sum(unit.column == c for unit in units) for c in range(len(diagram.titles))]
    shortened = any(unit.kind in ("more", "columns") for unit in units)
    if diagram.layered or shortened:
        apart = 38.0 if len(lines) <= LABELLED else 14.0
        at = [point for column in columns(counts, radius, apart) for point in column]
        curves = [through([at[line.source], at[line.target]], radius) for line in lines]
    else:
        at, curves = routed(len(units), [(line.source, line.target) for line in lines], radius)
    # A margin, room for the labels of the inputs at the left and for the targets at the right.
    beside = max((width(unit.name, SMALL) for unit in units if unit.kind == "input"), default=0.0) + 8
    left, top = MARGIN + (beside if radius == RADIUS else 0.0), MARGIN + HEADING
    # A line of a graph bows around units, also beyond the outermost ones.
    low_x = min(x for x, _ in at) - radius
    low_y = min(min(y for _, y in at) - radius, _heights(curves)[0])

    def moved(point: Point) -> Point:
        return point[0] - low_x + left, point[1] - low_y + top

    at = [moved(point) for point in at]
    curves = [tuple(map(moved, points)) for points in curves]
    right = max(x for x, _ in at) + radius
    bottom = max(max(y for _, y in at) + radius, _heights(curves)[1]) + 8
    aimed = any(unit.target is not None for unit in units)
    named = max((width(unit.name, SMALL) for unit in units if unit.kind == "output"), default=0.0)
    wide = right + MARGIN + (BEYOND if aimed else named + 10 if radius == RADIUS else 0.0)

    largest = diagram.largest
    # Thick lines lie above thin ones.
    order = sorted(range(len(lines)), key=lambda i: _size(lines[i].number, largest))
    numbers = [style.number(line.number) for line in lines]
    labelled = len(lines) <= LABELLED and "local" in style.show
    labels = _labels(numbers, curves, at, radius) if labelled else {}
    elements = [_line(i, lines[i], curves[i], largest, labels.get(i), numbers[i]) for i in order]
    elements += _titles(diagram, at)
    elements += [_unit(i, unit, at[i], radius, largest, style) for i, unit in enumerate(units)]
    elements += [_target(i, unit, at[i], radius, style) for i, unit in enumerate(units) if unit.target is not None]
    titles_end = max((_title_end(text, x) for text, x in _title_places(diagram, at)), default=0.0)
    wide = max(wide, titles_end + MARGIN)
    key, wide, high = _key(diagram, lines, wide, bottom, style)
    return Scene(wide, high, (*elements, key), diagram.about)


def _heights(curves: Sequence[Sequence[Point]]) -> tuple[float, float]:
    """How far up and down lines reach, with half the height of a number on them."""
    heights = [on_curve(curve, t / 24)[1] for curve in curves for t in range(25)]
    return (min(heights) - 8, max(heights) + 8) if heights else (inf, -inf)


def _shown(unit: Unit, style: Style) -> Unit:
    """A unit without the numbers that the style leaves out."""
    f, g = (x if part in style.show else None for x, part in ((unit.f, "f"), (unit.g, "g")))
    return unit if (f, g) == (unit.f, unit.g) else replace(unit, f=f, g=g)


def _size(x: float, largest: float) -> float:
    return min(abs(x) / largest, 1.0) if isfinite(x) else 1.0


def _line(
    i: int, line: Line, points: Sequence[Point], largest: float, label: Point | None, text: str
) -> Element:  # fmt: skip
    size = _size(line.number, largest)
    colour = PLUS if line.number >= 0 else MINUS
    thick = THINNEST + (WIDEST - THINNEST) * size
    shapes: list[Shape | Text] = [
        Curve(tuple(points), colour, None, line.number < 0, thick, opacity=0.35 + 0.55 * size)
    ]
    if label is not None:
        x, y = label
        across = width(text, SMALL) + 4
        shapes.append(Rect(x - across / 2, y - 8, across, 15, "#FFFFFF", opacity=0.92, round=4.0))
        shapes.append(Text(x, y + 3.5, text, "local", SMALL, colour, "middle"))
    return Element(f"edge{i}", "edge", line.about, tuple(shapes))


def _unit(i: int, unit: Unit, at: Point, radius: float, largest: float, style: Style) -> Element:
    x, y = at
    if unit.kind in ("more", "columns"):
        dots = [(x, y + d) if unit.kind == "more" else (x + d, y) for d in (-8.0, 0.0, 8.0)]
        if unit.kind == "more":
            dots = [(u, v - 6) for u, v in dots]
        # On a ground of its own: hundreds of lines pass behind it.
        across, (first, last) = max(width(unit.name, SMALL), 12.0) + 6, (min(v for _, v in dots), y + 25)
        shapes: list[Shape | Text] = [
            Rect(x - across / 2, first - 5, across, last - first + 5, "#FFFFFF", opacity=0.92, round=4.0)
        ]
        shapes += [Circle(u, v, 2.2, LINE) for u, v in dots]
        shapes.append(Text(x, y + 21, unit.name, "note", SMALL, LINE, "middle"))
        return Element(f"more{i}", "more", unit.about, tuple(shapes))
    tint = TINTS["input" if unit.kind == "input" else "op"]
    shapes = [Circle(x, y, radius, tint, INK if unit.kind == "output" else LINE, 2.4 if unit.kind == "output" else 1.2)]
    if unit.bias is not None:
        size = _size(unit.bias, largest)
        side = 5.0 + 6.0 * size
        corner = (x - radius * 0.71 - side / 2, y + radius * 0.71 - side / 2)
        shapes.append(Rect(*corner, side, side, PLUS if unit.bias >= 0 else "#FFFFFF",
                           PLUS if unit.bias >= 0 else MINUS, 1.6, round=1.5))  # fmt: skip
    if radius < RADIUS:
        shapes.append(Text(x, y + 4, unit.name, "title", SIZE, INK, "middle", bold=True))
        return Element(f"box{i}", f"box {unit.kind}", unit.about, tuple(shapes))
    # With numbers in it, the name stands outside: left of an input, right of an output, above a neuron of a graph.
    if unit.name and unit.kind == "input":
        shapes.append(Text(x - radius - 5, y + 4, unit.name, "title", SIZE, INK, "end", bold=True))
    elif unit.name and unit.kind == "output" and unit.target is None:
        shapes.append(Text(x + radius + 5, y + 4, unit.name, "title", SIZE, INK, bold=True))
    elif unit.name:
        shapes.append(Text(x, y - radius - 4, unit.name, "title", SMALL, INK, "middle", bold=True))
    both = unit.f is not None and unit.g is not None
    if unit.f is not None:
        text = short(unit.f, style)
        size = SIZE * min((2 * radius - 3) / width(text, SIZE, bold=True), 1.0)
        shapes.append(Text(x, y - 3 if both else y + 4.5, text, "f", size, BLUE, "middle", bold=True))
    if unit.g is not None:
        text = short(unit.g, style)
        size = SMALL * min((2 * radius - 3) / width(text, SMALL), 1.0)
        shapes.append(Text(x, y + 13 if both else y + 4, text, "g", size, VERMILION, "middle"))
    return Element(f"box{i}", f"box {unit.kind}", unit.about, tuple(shapes))


def short(x: float, style: Style = PLAIN) -> str:
    """A number that fits a circle, with one digit less than elsewhere."""
    for digits in range(max(style.digits - 1, 1), 0, -1):
        text = replace(style, digits=digits).number(x)
        if len(text) <= 7:
            return text
    return text


def _target(i: int, unit: Unit, at: Point, radius: float, style: Style) -> Element:
    """What an output should be, in a square beside it."""
    x, y = at[0] + radius + 18, at[1]
    assert unit.target is not None
    text = short(unit.target, style)
    across = max(width(text, SIZE, bold=True) + 10, 40.0)
    shapes = (
        Curve(((x - 17, y), (x - 11, y), (x - 6, y), (x, y)), LINE, None, dashed=True),
        Rect(x, y - 15, across, 30, TINTS["constant"], LINE, round=3.0),
        Text(x + across / 2, y + 4.5, text, "target", SIZE, INK, "middle", bold=True),
        Text(x + across / 2, y + 28, "target", "note", SMALL, LINE, "middle"),
    )
    return Element(f"target{i}", "target", f"the target of {unit.name or 'this output'}: {text}", shapes)


def _title_places(diagram: NetworkDiagram, at: Sequence[Point]) -> list[tuple[str, float]]:
    """(text, middle) of each title; where columns are near, those that would touch are left out."""
    found: list[tuple[str, float]] = []
    end = 0.0
    for c, title in enumerate(diagram.titles):
        x = next(point[0] for unit, point in zip(diagram.units, at, strict=True) if unit.column == c)
        x = max(x, MARGIN + width(title, SMALL) / 2)
        if title and x - width(title, SMALL) / 2 > end:
            found.append((title, x))
            end = _title_end(title, x) + 6
    return found


def _title_end(title: str, x: float) -> float:
    return x + width(title, SMALL) / 2


def _titles(diagram: NetworkDiagram, at: Sequence[Point]) -> list[Element]:
    return [
        Element(f"column{c}", "column", title, (Text(x, MARGIN + 10, title, "note", SMALL, LINE, "middle"),))
        for c, (title, x) in enumerate(_title_places(diagram, at))
    ]


def _key(
    diagram: NetworkDiagram, lines: Sequence[Line], wide: float, bottom: float, style: Style
) -> tuple[Element, float, float]:
    """What widths and colours mean, and the note, below the picture; with the extent that this takes."""
    y = bottom + 14
    shapes: list[Shape | Text] = []
    if lines:
        x = MARGIN
        largest = style.number(diagram.largest)
        for colour, dashed, text in ((PLUS, False, f"{SAID[diagram.shows]} > 0"), (MINUS, True, "< 0")):
            shapes.append(Curve(((x, y), (x + 9, y), (x + 17, y), (x + 26, y)), colour, None, dashed, 3.0))
            shapes.append(Text(x + 32, y + 4, text, "note", SMALL, LINE))
            x += 32 + width(text, SMALL) + 14
        text = f"widest: {largest}"
        shapes.append(Text(x, y + 4, text, "note", SMALL, LINE))
        x += width(text, SMALL)
        if any(unit.bias is not None for unit in diagram.units):
            shapes.append(Rect(x + 14, y - 4, 8, 8, PLUS, PLUS, 1.6, round=1.5))
            shapes.append(Text(x + 28, y + 4, "bias", "note", SMALL, LINE))
            x += 28 + width("bias", SMALL)
        wide = max(wide, x + MARGIN)
        y += 18
    circles = [("activation a, forward", unit.f) for unit in diagram.units if unit.f is not None and "f" in style.show]
    circles += [
        ("its gradient g = dL/da", unit.g) for unit in diagram.units if unit.g is not None and "g" in style.show
    ]
    said = ", below it ".join(dict.fromkeys(text for text, _ in circles)) if style.legend else ""
    notes = [f"In a circle: {said}." if said else "", style.prose(diagram.note)]
    for note in filter(None, notes):
        for text in wrapped(note, max(wide - 2 * MARGIN, 300.0)):
            shapes.append(Text(MARGIN, y + 4, text, "note", SMALL, LINE))
            wide = max(wide, width(text, SMALL) + 2 * MARGIN)
            y += 15
    return Element("note", "note", diagram.note or "key", tuple(shapes)), wide, y + MARGIN / 2


# --- numbers beside the lines -------------------------------------------------------------------------------


def _labels(
    numbers: Sequence[str], curves: Sequence[Sequence[Point]], at: Sequence[Point], radius: float
) -> dict[int, Point]:
    """Where the number of each line goes: on the line, where it covers least of others."""
    samples = [[on_curve(curve, t / 48) for t in range(1, 48)] for curve in curves]
    found: dict[int, Point] = {}
    taken: list[tuple[Point, float]] = []
    for i, number in enumerate(numbers):
        half = width(number, SMALL) / 2 + 3

        def cost(point: Point, i: int = i, half: float = half) -> float:
            x, y = point
            total = sum(25.0 for (u, v), other in taken if abs(x - u) < half + other and abs(y - v) < 16)
            total += sum(25.0 for u, v in at if hypot(max(abs(x - u) - half, 0.0), max(abs(y - v) - 8, 0.0)) < radius)
            for j, other in enumerate(samples):
                if j != i:
                    total += sum(1.0 for u, v in other if abs(x - u) < half and abs(y - v) < 8)
            return total

        middle = len(samples[i]) // 2
        # From a little before the middle outwards: in the middle itself most crossings are.
        choice = sorted(range(6, len(samples[i]) - 6), key=lambda k, best=middle - 9: abs(k - best))  # type: ignore[misc]
        found[i] = min((samples[i][k] for k in choice), key=cost)
        taken.append((found[i], half))
    return found
