"""The page of a picture: frames that open and close, each view laid out beforehand.

One way down the frames is open at a time: a view for each frame, in which it and those around it are open and
all others are closed. So there are as many views as frames, and the page needs no layout of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from autograd_lite.pictures.diagrams.collapsed import Closed, closed, levels
from autograd_lite.pictures.diagrams.diagram import Diagram
from autograd_lite.pictures.writers.scene import scene
from autograd_lite.pictures.writers.svg import svg

VIEWS = 48
"""Views that a page holds; frames beyond them, the innermost, do not open."""

BOXES = 120
"""Boxes of a view that a person still finds the way in."""

CLOSED = 60
"""Boxes of the view with every frame closed, above which the folded picture is the one to open and close."""


def page(picture: Any, wholes: Sequence[Callable[[], Diagram]]) -> str:
    """The text of the page.

    Args:
        picture: a Picture, which is what the page shows first.
        wholes: makers of the picture with every frame open, from fine to coarse; the first that is not too large
            when its frames are closed is used.
    """
    views = [f'<div class="view" id="view0">{picture.svg}</div>']
    targets: dict[str, int] = {}
    labels: dict[str, str] = {}
    focus: dict[str, str] = {}
    found = _views(wholes)
    where = {opened: n for n, (opened, _) in enumerate(found, 1)}
    titles = {
        (n, frame): f"{picture.prefix}-{n}-frame{i}-title"
        for n, (_, view) in enumerate(found, 1)
        for i, frame in enumerate(view.frames)
    }
    boxes = {
        (n, frame): f"{picture.prefix}-{n}-box{box}"
        for n, (_, view) in enumerate(found, 1)
        for box, frames in view.boxes.items()
        for frame in frames
    }
    for n, (opened, view) in enumerate(found, 1):
        prefix = f"{picture.prefix}-{n}"
        views.append(
            f'<div class="view" id="view{n}" hidden>{svg(scene(view.diagram, picture.direction), prefix)}</div>'
        )
        for box, frames in view.boxes.items():
            # Of several alike the next one opens, so that all have their turn.
            following = next((i for i in frames if opened is None or i > opened), frames[0])
            if following in where:
                targets[f"{prefix}-box{box}"] = where[following]
                labels[f"{prefix}-box{box}"] = f"Open {view.diagram.boxes[box].title}"
                focus[f"{prefix}-box{box}"] = titles[where[following], following]
        for i, frame in enumerate(view.diagram.frames):
            around = None if frame.parent is None else view.frames[frame.parent]
            targets[f"{prefix}-frame{i}-title"] = where.get(around, 1)
            labels[f"{prefix}-frame{i}-title"] = f"Close {frame.title}"
            focus[f"{prefix}-frame{i}-title"] = boxes[where.get(around, 1), view.frames[i]]
    data = {"targets": targets, "labels": labels, "focus": focus, "views": len(views)}
    return document("page", picture.diagram.about, data, views="\n".join(views))


def _views(wholes: Sequence[Callable[[], Diagram]]) -> list[tuple[int | None, Closed]]:
    """Which frame is open, None for none, and the picture with it."""
    for n, make in enumerate(wholes, 1):
        whole = make()
        every = set(range(len(whole.frames)))
        if not every:
            return []
        top = closed(whole, every)
        if len(top.diagram.boxes) <= CLOSED or n == len(wholes):
            views: list[tuple[int | None, Closed]] = [(None, top)]
            level = levels(whole.frames)
            for frame in sorted(every, key=level.__getitem__):
                if len(views) < VIEWS:
                    view = closed(whole, every.difference(_way(whole, frame)))
                    if len(view.diagram.boxes) <= BOXES:
                        views.append((frame, view))
            return views
    return []


def _way(diagram: Diagram, frame: int | None) -> Iterator[int]:
    """A frame and those around it."""
    while frame is not None:
        yield frame
        frame = diagram.frames[frame].parent


def document(name: str, title: str, data: Any, **parts: str) -> str:
    """A page of its own: the body `name.html` with its parts, its style and script, and what the script reads."""
    whole = {"title": escape(title), "body": filled(file(f"{name}.html"), parts), "data": safe(json.dumps(data))}
    return filled(file("document.html"), whole | {"style": file(f"{name}.css"), "script": file(f"{name}.js")})


def filled(text: str, parts: dict[str, str]) -> str:
    """A page with its marks `<!--name-->` replaced, in one pass, so that no part is read for the marks of another."""
    opening, *pieces = text.split("<!--")
    found = [opening]
    for piece in pieces:
        name, _, rest = piece.partition("-->")
        found += [parts[name], rest]
    return "".join(found)


def safe(data: str) -> str:
    """JSON that may stand inside a script element."""
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def file(name: str) -> str:
    """The text of a file that lies beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
