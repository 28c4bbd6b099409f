"""A node as text: `v7 = v3 * v6`, with what its operands are called or with their numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from autograd_lite.graph import raw_operands
from autograd_lite.pictures.text import few, number, printable

INFIX = frozenset(["+", "-", "*", "/", "**", ">", ">=", "<", "<=", "=="])
"""Symbols that stand between two operands; everything else is written as a function."""
COMMUTATIVE = frozenset(
    [
        "add",
        "mul",
        "equal",
        "maximum",
        "minimum",
        "hypot",
        "logaddexp",
        "_chain",
        "_masked",
        "leaky_relu",
        "elu",
        "_gauss",
    ]
)
"""Primitives of several operands whose picture says it all: their order does not matter, or is plain."""
_PLACE = re.compile(r"v\d+")


class Labels:
    """What formulas call the nodes: the name where it is theirs alone, else `v` and the place in the order.

    A name that looks like such a place is not used, since `v3` must not mean two things.
    """

    def __init__(self, order: Sequence[Any]) -> None:
        self._places = dict(zip(map(id, order), range(1, len(order) + 1), strict=True))
        names = {id(node): printable(node.name) for node in order if node.name}
        once = Counter(names.values())
        self.names = {
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
    if n == 2 and not row.variadic and row.symbol in INFIX:
        left, right = (text[x] for x in operands)
        left = f"({left})" if left.startswith("-") and row.symbol == "**" else left
        right = f"({right})" if right.startswith("-") else right
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
        return number(x if x.__class__ is float else x._f)


NUMBERS = _Numbers()


def spelled(node: Any, labels: Labels) -> str:
    """The formula where the order of the operands matters, which a picture of edges alone leaves open; else ""."""
    row = node._row
    if row is None or row.variadic or len(row.operands) < 2 or row.name in COMMUTATIVE:
        return ""
    return printable(formula(node, labels), 30)


def changed(node: Any) -> bool:
    """Whether a leaf among the operands has other data now than when the node was computed."""
    operands = raw_operands(node)
    if not any(type(x) is not float and x._row is None for x in operands):
        return False
    numbers = [x if type(x) is float else x._f for x in operands]
    return repr(node._row.value(numbers) if node._row.variadic else node._row.value(*numbers)) != repr(node._f)


def mixed(order: Sequence[Any]) -> str:
    """A sentence for those who would read numbers of two times as of one; "" where no leaf has changed since.

    Args:
        order: the nodes to look at.
    """
    if any(node._row is not None and changed(node) for node in order):
        return "A leaf was changed after this was computed: the leaves show new data, the other numbers are older."
    return ""


def assignment(node: Any, labels: Labels) -> str:
    """A node with its formula, the numbers put in, and the result: `c = a * b = 2 * 3 = 6`."""
    if node._row is None:
        return f"{labels[node]} = {formula(node, labels)}"
    if changed(node):
        then = f"{labels[node]} = {formula(node, labels)} = {number(node._f)}"
        return f"{then} when it was computed; an operand has changed since"
    steps = [labels[node], formula(node, labels), formula(node, NUMBERS), number(node._f)]
    return " = ".join(step for i, step in enumerate(steps) if i == 0 or step != steps[i - 1])
