"""Text for pictures: names made safe, numbers made short, and how wide a line will be.

Names come from users and may hold anything. Everything here returns printable text; the writers
(svg.py, dot_text.py) still escape what is markup in their own format.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from math import isnan
from typing import Any

LONGEST_NAME = 28
"""Characters of a name that a box shows; a tooltip shows TOOLTIP_NAME of them."""
TOOLTIP_NAME = 200


def printable(text: str, limit: int = LONGEST_NAME) -> str:
    """Text with everything that does not print written as an escape, and its middle left out over `limit`.

    Control characters and lone surrogates are no part of any XML file, and direction marks would turn the
    rest of a label round; so they show as `\\x07` or `\\ud800`.

    Example:
        >>> from autograd_lite.pictures.text import printable
        >>> printable("tab\\there"), printable("a" * 100, 9)
        ('tab\\\\there', 'aaaaa…aaa')
    """
    if len(text) > limit:  # first, so that a name of a million characters costs no more than a short one
        tail = (limit - 1) * 2 // 5
        text = text[: limit - 1 - tail] + "…" + text[len(text) - tail :]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def number(x: float) -> str:
    """A number with four significant digits.

    Example:
        >>> from autograd_lite.pictures.text import number
        >>> number(1e-06), number(2.0), number(1 / 3)
        ('1e-06', '2', '0.3333')
    """
    return f"{x:.4g}"


def numbers(low: float, high: float) -> str:
    """A range, or the one number that it is."""
    first, last = number(low), number(high)
    return first if first == last else f"{first} … {last}"


def span(xs: Iterable[float]) -> tuple[float, float]:
    """The smallest and the largest; NaN in both when one of them is NaN, so that it is not hidden."""
    found = list(xs)
    if any(map(isnan, found)):
        return float("nan"), float("nan")
    return min(found), max(found)


def few(xs: Sequence[Any], text: Callable[[Any], str]) -> str:
    """The texts of a sequence with commas between them, the middle of a long one left out.

    Example:
        >>> from autograd_lite.pictures.text import few
        >>> few(range(100), str)
        '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..., 99'
    """
    if len(xs) <= 12:
        return ", ".join(map(text, xs))
    return ", ".join([*map(text, xs[:10]), "...", text(xs[-1])])


_NARROW = frozenset("iljtfrI.,:;|!'`()[]{}/\\ -·")
_WIDE = frozenset("mwMWQOGD@%&—…→")


def width(text: str, size: float, bold: bool = False) -> float:
    """How wide a line is at most, in pixels: measured on DejaVu Sans, the widest font in common use."""
    units = 0.0
    for c in text:
        if c in _NARROW:
            units += 0.42
        elif c in _WIDE:
            units += 1.0
        elif unicodedata.combining(c):
            continue
        elif unicodedata.east_asian_width(c) in "WF":
            units += 1.1
        else:
            units += 0.66 if c.islower() or c.isdigit() else 0.76 if c.isascii() else 0.86
    return units * size * (1.1 if bold else 1.0)
