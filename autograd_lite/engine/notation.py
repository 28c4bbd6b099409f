"""A node as text: `v7 = v3 * v6`, with what its operands are called or with their numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isnan
from types import MappingProxyType
from typing import Any

from autograd_lite.engine.graph import data_of, is_stale, raw_operands

DIFFERENCES = {"_expdiff": "exp", "_logistic": "σ"}
"""Internal primitives that are a function of a - b, and are written so: there is no `exp(a, b)`."""

_PLACE = re.compile(r"v\d+")


class Labels:
    """What formulas call the nodes: the name where no other node has it, else `v` and the place in the order.

    A name that looks like such a place is not used, since `v3` must not mean two things.

    Args:
        order: the nodes.
        given: names for nodes that have none, by id.
    """

    def __init__(self, order: Sequence[Any], given: Mapping[int, str] = MappingProxyType({})) -> None:
        self._places = dict(zip(map(id, order), range(1, len(order) + 1), strict=True))
        names = {id(node): printable(node.name) for node in order if node.name}
        if given:
            names = {id(node): printable(given[id(node)]) for node in order if id(node) in given} | names
        once = Counter(names.values())
        self.names: dict[int, str] = {
            key: name for key, name in names.items() if once[name] == 1 and not _PLACE.fullmatch(name) and name.strip()
        }

    def __getitem__(self, x: Any) -> str:
        if x.__class__ is float:
            return number(x)
        return self.names.get(id(x)) or f"v{self._places[id(x)]}"


def formula(node: Any, text: Any) -> str:
    """A node in terms of its operands.

    Args:
        node: a Value.
        text: what to write for an operand: Labels, or anything with `[]` (see `NUMBERS`).
    """
    row = node._row
    if row is None:
        return f"{type(node).__name__}({number(node._f)})"
    operands = raw_operands(node)
    n = len(operands)
    if row.infix or row.name in DIFFERENCES:
        left, right = (text[x] for x in operands)
        left = f"({left})" if left.startswith("-") and row.symbol == "**" else left
        right = f"({right})" if right.startswith("-") else right
        if row.name in DIFFERENCES:
            return f"{DIFFERENCES[row.name]}({left} - {right})"
        return f"{left} {row.symbol} {right}"
    if n == 1 and row.name == "neg":
        inner = text[operands[0]]
        return f"-({inner})" if inner.startswith("-") else f"-{inner}"
    name = printable(row.symbol, 16) if row.name.startswith("_") else row.name
    if row.name == "dot":
        half = n // 2
        parts = [_sequence(operands[:half], text), _sequence(operands[half : 2 * half], text)]
        parts += [text[x] for x in operands[2 * half :]]
        return f"dot({', '.join(parts)})"
    if row.variadic:
        return f"{name}({_sequence(operands, text)})"
    return f"{name}({', '.join(text[x] for x in operands)})"


def _sequence(operands: Sequence[Any], text: Any) -> str:
    return f"[{few(operands, text.__getitem__)}]"


class _Numbers:
    """Operands shown as their numbers."""

    def __getitem__(self, x: Any) -> str:
        return number(data_of(x))


NUMBERS = _Numbers()


def spelled(node: Any, labels: Labels) -> str:
    """The formula where the order of the operands matters, which a picture of edges alone leaves open; else ""."""
    row = node._row
    if row is None or row.variadic or len(row.operands) < 2 or row.commutes or row.defaults:  # or plainly a setting
        return ""
    return printable(formula(node, labels), 30)


def mixed(order: Sequence[Any]) -> str:
    """A warning that the numbers are from before and after an update; "" where no leaf has changed since.

    Args:
        order: the nodes to look at.
    """
    if any(map(is_stale, order)):
        return "A leaf was changed after this was computed: the leaves show new data, the other numbers are older."
    return ""


def assignment(node: Any, labels: Labels) -> str:
    """A node with its formula, the numbers put in, and the result: `c = a * b = 2 * 3 = 6`."""
    if node._row is None:
        return f"{labels[node]} = {formula(node, labels)}"
    if is_stale(node):
        then = f"{labels[node]} = {formula(node, labels)} = {number(node._f)}"
        return f"{then} when it was computed; an operand has changed since"
    steps = [labels[node], formula(node, labels), formula(node, NUMBERS), number(node._f)]
    return " = ".join(step for i, step in enumerate(steps) if i == 0 or step != steps[i - 1])


LONGEST_NAME = 28
"""Characters of a name that a box shows; a tooltip shows TOOLTIP_NAME of them."""

TOOLTIP_NAME = 200


def printable(text: str, limit: int = LONGEST_NAME) -> str:
    """Text with everything that does not print written as an escape, and its middle left out over `limit`.

    XML allows neither control characters nor lone surrogates, and direction marks would turn the rest of a
    label round; so they show as `\\x07` or `\\ud800`.

    Example:
        >>> from autograd_lite.engine.notation import printable
        >>> printable("tab\\there"), printable("a" * 100, 9)
        ('tab\\\\there', 'aaaaa…aaa')
    """
    if len(text) <= limit and text.isprintable():
        return text
    if len(text) > limit:  # first, so that a name of a million characters costs no more than a short one
        tail = (limit - 1) * 2 // 5
        text = text[: limit - 1 - tail] + "…" + text[len(text) - tail :]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def number(x: float) -> str:
    """A number with four significant digits.

    Example:
        >>> from autograd_lite.engine.notation import number
        >>> number(1e-06), number(2.0), number(1 / 3)
        ('1e-06', '2', '0.3333')
    """
    return f"{x:.4g}"


def interval(low: float, high: float) -> str:
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
        >>> from autograd_lite.engine.notation import few
        >>> few(range(100), str)
        '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..., 99'
    """
    if len(xs) <= 12:
        return ", ".join(map(text, xs))
    return ", ".join([*map(text, xs[:10]), "...", text(xs[-1])])
