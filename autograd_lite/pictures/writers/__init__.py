"""The third stage of a picture: from a diagram to a file.

scene.py draws the diagram as shapes at their places; each writer puts the shapes, or the diagram itself, into one
format. A writer is a module with a function

    write(picture, suffix, scale) -> bytes

and a line in WRITERS. `Picture.save` calls it for its suffix, and lists the suffixes that there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any

WRITERS = {"svg": "svg", "png": "raster", "pdf": "raster", "dot": "dot", "html": "page", "tex": "tikz", "tikz": "tikz"}
"""The module of this folder that writes each suffix; it is imported on use, since some need other packages."""


def written(picture: Any, suffix: str, scale: float) -> bytes:
    """A Picture in one of the formats."""
    content: bytes = import_module(f"{__name__}.{WRITERS[suffix]}").write(picture, suffix, scale)
    return content


def target_of(path: str | PathLike[str], known: Iterable[str], hint: str = "") -> tuple[Path, str]:
    """The path to save to, and its suffix.

    Raises:
        ValueError: the suffix is not one of those known.
    """
    target = Path(fspath(path))
    suffix = target.suffix.lower().lstrip(".")
    *first, last = (f".{form}" for form in known)
    if f".{suffix}" not in (*first, last):
        raise ValueError(f"save: {target.name!r} must end in {', '.join(first)} or {last}{hint}")
    return target, suffix
