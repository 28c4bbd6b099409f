"""The template of the HTML pages: document.html with a body, a style, a script and its data.

The files of one page have one name: page.html, page.css and page.js, stepper.html, ... ; page.css and stepper.css
come after document.css, which has what they share.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any


def document(name: str, title: str, data: Any, *, theme: str = "light", **parts: str) -> str:
    """A page that needs nothing outside itself: the body `name.html` with its parts, and what the script reads.

    It is light, or dark for a picture that was asked to be.
    """
    whole = {
        "title": escape(title),
        "theme": "dark" if theme == "dark" else "light",
        "body": _filled(_file(f"{name}.html"), parts),
        "data": _safe(json.dumps(data)),
        "style": _file("document.css") + _file(f"{name}.css"),
        "script": _file(f"{name}.js"),
    }
    return _filled(_file("document.html"), whole)


def _filled(text: str, parts: dict[str, str]) -> str:
    """A page with its marks `<!--name-->` replaced, in one pass, so that no part is read for the marks of another."""
    opening, *pieces = text.split("<!--")
    found = [opening]
    for piece in pieces:
        name, _, rest = piece.partition("-->")
        found += [parts[name], rest]
    return "".join(found)


def _safe(data: str) -> str:
    """JSON that may stand inside a script element."""
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _file(name: str) -> str:
    """The text of a file beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
