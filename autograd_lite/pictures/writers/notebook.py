"""What a notebook shows of a picture: an image, and around it a frame that it shows if it is trusted."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape
from typing import Any

from autograd_lite.pictures.writers.scene import SMALLEST

PRINTED = "@media print{.ag-frame{max-height:95vh;break-inside:avoid}}"
"""A frame taller than a sheet of paper would be moved to the next sheet and cut there."""


def image(picture: Any, still: bool = False) -> str:
    """The picture as an <img>, for where neither scripts nor frames are allowed; `still` in the light theme alone."""
    coded = base64.b64encode((picture.still if still else picture.svg).encode("utf-8")).decode("ascii")
    about = escape(picture.diagram.about)
    return f'<img src="data:image/svg+xml;base64,{coded}" alt="{about}" style="max-width:100%">'


def frame(page: str, inside: str, *, title: str, style: str, scripts: bool = False) -> str:
    """A page in an <iframe>; a notebook that is not trusted drops the frame and keeps what is inside."""
    allowed = "allow-scripts" if scripts else ""
    attributes = f'class="ag-frame" sandbox="{allowed}" title="{escape(title)}" style="{style}"'
    return f'<style>{PRINTED}</style><iframe {attributes} srcdoc="{escape(page)}">{inside}</iframe>'


def framed(picture: Any) -> str:
    """The picture in a frame: JupyterLab shows a bare SVG as an image, without tooltips and wider than the page."""
    wide, high = (side * picture.scene.scale for side in (picture.scene.width, picture.scene.height))
    page = f"<!DOCTYPE html><style>body{{margin:0}}svg{{display:block;max-height:100vh}}</style>{picture.svg}"
    size = f"width:{wide:.0f}px;max-width:100%;min-width:{SMALLEST * wide:.0f}px;aspect-ratio:{wide:.0f}/{high:.0f}"
    style = f"{size};border:0;display:block"
    return frame(page, image(picture), title=picture.diagram.about, style=style)


NOTEBOOK: dict[str, Callable[[Any], str]] = {"image/svg+xml": lambda picture: picture.svg, "text/html": framed}
"""What a notebook is offered beside the text, by MIME type."""
