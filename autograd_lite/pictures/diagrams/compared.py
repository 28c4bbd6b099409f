"""Two diagrams of one shape in one: every number as it was and as it is."""

from __future__ import annotations

from dataclasses import replace

from autograd_lite.engine.notation import number
from autograd_lite.pictures.diagrams.diagram import Before, Box, Diagram, ValueBox


def compared(now: Diagram, before: Diagram) -> Diagram:
    """The diagram of now, with the numbers of before where they differ.

    Args:
        now, before: diagrams of the same boxes and edges.

    Raises:
        ValueError: they differ in more than their numbers; the message says where.
    """
    _check_same_shape(now, before)
    pairs = list(zip(before.values, now.values, strict=True))
    edges = tuple(
        replace(new, overlay=Before((old.local,)), about=f"{new.about}; before: {old.label}")
        if new.local != old.local
        else new
        for old, new in zip(before.edges, now.edges, strict=True)
    )
    # A literal cannot change: counted with the others, "1 of 4 forward values" would be "1 of 6".
    counted = [(old, new) for old, new in pairs if not new.literal]
    changed = sum(new.f != old.f for old, new in counted)
    what = "boxes" if any(new.count > 1 or new.kind == "frame" for _, new in counted) else "forward values"
    note = f"{changed} of {len(counted)} {what} changed, before → now."
    root = next(((old, new) for old, new in pairs if new.root and new.count == 1), None)
    if root is not None:
        note += f" {root[1].title} by {number(root[1].f[0] - root[0].f[0])}."
    return replace(
        now,
        boxes=tuple(_box(new, old) for old, new in pairs),
        edges=edges,
        note=f"{note} {now.note}".rstrip(),
        about=f"{now.about}. Compared: {note}",
    )


def _check_same_shape(now: Diagram, before: Diagram) -> None:
    if len(now.boxes) != len(before.boxes):
        raise ValueError(f"draw(compare=...): the graphs differ, {_boxes(before)} before and {len(now.boxes)} now")
    for old, new in zip(before.boxes, now.boxes, strict=True):
        if (old.kind, old.symbol, old.literal, old.count) != (new.kind, new.symbol, new.literal, new.count):
            raise ValueError(f"draw(compare=...): the graphs differ, {_named(old)} before is {_named(new)} now")
    if [(e.source, e.target, e.slot) for e in now.edges] != [(e.source, e.target, e.slot) for e in before.edges]:
        raise ValueError("draw(compare=...): the graphs have the same boxes, but not the same edges")


def _boxes(diagram: Diagram) -> str:
    return f"{len(diagram.boxes)} box{'es' * (len(diagram.boxes) != 1)}"


def _named(box: Box) -> str:
    return f"{box.title or 'a constant'} ({box.symbol or box.kind})"


def _box(new: ValueBox, old: ValueBox) -> ValueBox:
    if (new.f, new.g) == (old.f, old.g):
        return new
    note = new.note
    if new.f != old.f and new.count == 1:
        change = f"f by {number(new.f[0] - old.f[0])}"
        note = f"{note}, {change}" if note else change
    return replace(new, overlay=Before((old.f, old.g)), note=note)
