"""The tape: a graph as text, one line a node, leaf to root."""

from __future__ import annotations

from collections.abc import Sequence

from autograd_lite.pictures.formula import Labels, formula, mixed
from autograd_lite.pictures.model import backward_value, has_backward
from autograd_lite.pictures.text import TOOLTIP_NAME, few, number, printable
from autograd_lite.value import Value

LONGEST = 200
"""Lines that a tape has before its middle is left out."""
ENDS = 20
"""Lines that are then shown at each end."""

WIDEST = 60
"""Characters of a formula that the columns after it give way to."""


class Tape:
    """A graph as lines of text; `str()` of it is the tape.

    Args:
        order: the nodes, operands first.
        roots: the Values that it was asked for.
        full: show every line of a long one.
    """

    def __init__(self, order: Sequence[Value], roots: Sequence[Value], full: bool = False) -> None:
        self._text = "\n".join(_lines(order, roots, full))

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


def _lines(order: Sequence[Value], roots: Sequence[Value], full: bool) -> list[str]:
    labels, backward = Labels(order), has_backward(order, roots)
    cut = not full and len(order) > LONGEST
    shown = [*order[:ENDS], *order[-ENDS:]] if cut else order
    rows = [_cells(node, labels, backward) for node in shown]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if widths[0] > WIDEST:  # a long formula pushes its own line out, not those of all
        widths[0] = max((len(row[0]) for row in rows if len(row[0]) <= WIDEST), default=0)
    lines = ["   ".join(f"{x:<{w}}" for x, w in zip(row, widths, strict=True) if w).rstrip() for row in rows]
    if cut:
        left_out = len(order) - 2 * ENDS
        lines.insert(ENDS, f"... {left_out:,} more lines; ag.tape(loss, full=True) has them all ...")
    note = mixed(shown)
    return [*lines, note] if note else lines


def _cells(node: Value, labels: Labels, backward: bool) -> tuple[str, ...]:
    g = backward_value(node) if backward else None
    local = ""
    if node._row is not None:
        found = node.local_grads
        local = f"local=({few(found, number)}{',' if len(found) == 1 else ''})"
    name = printable(node.name, TOOLTIP_NAME) if node.name else ""
    return (
        f"{labels[node]} = {formula(node, labels)}",
        f"f={number(node._f)}",
        "" if g is None else f"g={number(g)}",
        local,
        f"name={name!r}" if name and printable(node.name) != labels[node] else "",
    )
