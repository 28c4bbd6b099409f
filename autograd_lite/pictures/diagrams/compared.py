"""Two pictures of one shape in one: every number as it was and as it is."""

from __future__ import annotations

from dataclasses import replace

from autograd_lite.engine.notation import number
from autograd_lite.pictures.diagrams.diagram import Box, Diagram


def compared(now: Diagram, before: Diagram) -> Diagram:
    """The picture of now, with the numbers of before where they differ.

    Args:
        now, before: pictures of the same boxes and edges.

    Raises:
        ValueError: they differ in more than their numbers; the message says where.
    """
    if len(now.boxes) != len(before.boxes):
        raise ValueError(f"draw(compare=...): the graphs differ, {_boxes(before)} before and {len(now.boxes)} now")
    for old, new in zip(before.boxes, now.boxes, strict=True):
        if (old.kind, old.symbol, old.literal, old.count) != (new.kind, new.symbol, new.literal, new.count):
            raise ValueError(f"draw(compare=...): the graphs differ, {_called(old)} before is {_called(new)} now")
    if [(e.source, e.target, e.slot) for e in now.edges] != [(e.source, e.target, e.slot) for e in before.edges]:
        raise ValueError("draw(compare=...): the graphs have the same boxes, but not the same edges")
    boxes = tuple(_box(new, old) for old, new in zip(before.boxes, now.boxes, strict=True))
    edges = tuple(
        replace(new, before=old.local, about=f"{new.about}; before: {old.label}") if new.local != old.local else new
        for old, new in zip(before.edges, now.edges, strict=True)
    )
    counted = [(old, new) for old, new in zip(before.boxes, now.boxes, strict=True) if not new.literal]
    changed = sum(new.f != old.f for old, new in counted)
    what = "boxes" if any(new.count > 1 or new.kind == "frame" for _, new in counted) else "forward values"
    note = f"{changed} of {len(counted)} {what} changed, before → now."
    root = [(old, new) for old, new in zip(before.boxes, now.boxes, strict=True) if new.root and new.count == 1]
    for old, new in root[:1]:
        note += f" {new.title} by {number(new.f[0] - old.f[0])}."
    shown = f"{note} {now.note}".rstrip()
    return replace(now, boxes=boxes, edges=edges, note=shown, about=f"{now.about}. Compared: {note}")


def _boxes(diagram: Diagram) -> str:
    return f"{len(diagram.boxes)} box{'es' * (len(diagram.boxes) != 1)}"


def _called(box: Box) -> str:
    return f"{box.title or 'a constant'} ({box.symbol or box.kind})"


def _box(new: Box, old: Box) -> Box:
    if (new.f, new.g) == (old.f, old.g):
        return new
    note = new.note
    if new.f != old.f and new.count == 1:
        change = f"f by {number(new.f[0] - old.f[0])}"
        note = f"{note}, {change}" if note else change
    return replace(new, before=(old.f, old.g), note=note)
