"""The page of a picture: frames that open and close, each view laid out beforehand.

One path down the frames is open at a time: a view for each frame, in which it and those around it are open and
all others are closed. So there are as many views as frames, and the page needs no layout of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from autograd_lite.engine.collector import uncollected
from autograd_lite.pictures.diagrams.collapsed import collapse, frame_levels
from autograd_lite.pictures.diagrams.diagram import Diagram, styled
from autograd_lite.pictures.writers.document import document
from autograd_lite.pictures.writers.scene import scene
from autograd_lite.pictures.writers.svg import svg, with_sheets
from autograd_lite.pictures.writers.themes import themed

VIEWS = 48
"""Views that a page holds; frames beyond them, the innermost, do not open."""

BOXES = 120
"""Boxes of a view in which a reader still finds the way."""

CLOSED = 60
"""Boxes of the view with every frame closed, above which the folded picture is the one to open and close."""


def write(picture: Any, suffix: str, scale: float) -> bytes:
    """A writer (see WRITERS); the text is that of `picture.html`."""
    text: str = picture.html
    return text.encode("utf-8")


def page(picture: Any, wholes: Sequence[Callable[[], Diagram]]) -> str:
    """The text of the page.

    Args:
        picture: a Picture, which is what the page shows first.
        wholes: makers of the picture with every frame open, from fine to coarse; the first that is not too large
            when its frames are closed is used.
    """
    with uncollected():
        views = list(enumerate(_views(wholes), 1))
    where = {view.opened: n for n, view in views}
    # What the focus goes to after a click: by view and frame, the title of an open frame, the box of a closed one.
    titles = {
        (n, frame): f"{picture.prefix}-{n}-frame{i}-title" for n, view in views for i, frame in enumerate(view.frames)
    }
    boxes = {
        (n, frame): f"{picture.prefix}-{n}-box{box}"
        for n, view in views
        for box, frames in view.boxes.items()
        for frame in frames
    }
    shown = [f'<div class="view" id="view0">{with_sheets(picture.still, picture.scene, picture.prefix)}</div>']
    targets: dict[str, int] = {}
    labels: dict[str, str] = {}
    focus: dict[str, str] = {}
    for n, view in views:
        prefix = f"{picture.prefix}-{n}"
        laid_out = themed(scene(styled(view.diagram, picture.style), picture.direction), picture.theme)
        drawn = with_sheets(svg(laid_out, prefix), laid_out, prefix)
        shown.append(f'<div class="view" id="view{n}" hidden>{drawn}</div>')
        for box, frames in view.boxes.items():
            # Of several in one box the next one opens, so that each can be reached.
            following = next((i for i in frames if view.opened is None or i > view.opened), frames[0])
            if following in where:
                targets[f"{prefix}-box{box}"] = where[following]
                labels[f"{prefix}-box{box}"] = f"Open {view.diagram.boxes[box].title}"
                focus[f"{prefix}-box{box}"] = titles[where[following], following]
        for i, frame in enumerate(view.diagram.frames):
            around = None if frame.parent is None else view.frames[frame.parent]
            targets[f"{prefix}-frame{i}-title"] = where.get(around, 1)
            labels[f"{prefix}-frame{i}-title"] = f"Close {frame.title}"
            focus[f"{prefix}-frame{i}-title"] = boxes[where.get(around, 1), view.frames[i]]
    data = {"targets": targets, "labels": labels, "focus": focus, "views": len(shown)}
    return document("page", picture.diagram.about, data, theme=picture.theme, views="\n".join(shown))


class _View(NamedTuple):
    """A diagram with one way down its frames open, to the frame `opened` (None: every frame is closed)."""

    opened: int | None
    diagram: Diagram
    boxes: dict[int, tuple[int, ...]]
    frames: tuple[int, ...]


def _views(wholes: Sequence[Callable[[], Diagram]]) -> list[_View]:
    for n, make in enumerate(wholes, 1):
        whole = make()
        every = set(range(len(whole.frames)))
        if not every:
            return []
        top = collapse(whole, every)
        if len(top.diagram.boxes) > CLOSED and n < len(wholes):
            continue
        views = [_View(None, top.diagram, top.boxes, top.frames)]
        level = frame_levels(whole.frames)
        # Outer frames first, so that those beyond the last view are the innermost.
        for frame in sorted(every, key=level.__getitem__):
            if len(views) == VIEWS:
                break
            made = collapse(whole, every.difference(_around(whole, frame)))
            if len(made.diagram.boxes) <= BOXES:
                views.append(_View(frame, made.diagram, made.boxes, made.frames))
        return views
    return []


def _around(diagram: Diagram, frame: int | None) -> Iterator[int]:
    """A frame and those around it."""
    while frame is not None:
        yield frame
        frame = diagram.frames[frame].parent
