"""The tape: a graph as text, one line a node, leaf to root."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from autograd_lite.engine import graph
from autograd_lite.engine.graph import raw_operands
from autograd_lite.engine.notation import TOOLTIP_NAME, Labels, few, formula, mixed, number, printable
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Value
from autograd_lite.pictures.arguments import roots_of
from autograd_lite.pictures.diagrams.diagram import backward_value, has_backward

LONGEST = 200
"""Lines of a tape; the middle of a longer one is left out."""

ENDS = 20
"""Lines that are then shown at each end."""


WIDEST = 60
"""Characters of a formula that the columns after it make room for."""


class Tape:
    """A graph as lines of text; `str()` of it is the tape.

    Args:
        order: the nodes, operands first.
        roots: the Values that the tape is for.
        full: show every line of a long one.
        names: what nodes without a name are called, by id.
    """

    def __init__(
        self, order: Sequence[Value], roots: Sequence[Value], full: bool = False,
        names: Mapping[int, str] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self._text = "\n".join(_lines(order, roots, full, names))

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


def _lines(order: Sequence[Value], roots: Sequence[Value], full: bool, names: Mapping[int, str]) -> list[str]:
    labels, backward = Labels(order, names), has_backward(order, roots)
    cut = not full and len(order) > LONGEST
    shown = [*order[:ENDS], *order[-ENDS:]] if cut else order
    rows = [_cells(node, labels, backward) for node in shown]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if widths[0] > WIDEST:  # a long formula pushes out its own line, not all others
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
        # No gradient flows into a bare number. Its local gradient may be NaN, as that of the 2 in (-3) ** 2 is.
        found = [
            "-" if x.__class__ is float else number(d)
            for x, d in zip(raw_operands(node), node.local_grads, strict=True)
        ]
        local = f"local=({few(found, str)}{',' if len(found) == 1 else ''})"
    name = printable(node.name, TOOLTIP_NAME) if node.name else ""
    return (
        f"{labels[node]} = {formula(node, labels)}",
        f"f={number(number_of(node))}",
        "" if g is None else f"g={number(g)}",
        local,
        f"name={name!r}" if name and printable(node.name) != labels[node] else "",
    )


def tape(loss: Value | Iterable[Value], full: bool = False) -> Tape:
    """A computation graph as text: one line a node, leaf to root, with f, g and the local gradients.

    A bare number has no gradient, which shows as "-".

    Args:
        loss: the Value at the root, or several in a sequence.
        full: show every line; else the middle of a tape of more than 200 lines is left out.

    Returns:
        A Tape: `str()` of it is the text, and it shows itself as that.

    Raises:
        TypeError: loss is not a Value.

    Example:
        >>> w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
        >>> loss = (w * x - 5) ** 2
        >>> loss.backward()
        >>> ag.tape(loss)
        w = Parameter(3)   f=3   g=4
        x = Value(2)       f=2   g=6
        v3 = w * x         f=6   g=2   local=(2, 3)
        v4 = v3 - 5        f=1   g=2   local=(1, -)
        v5 = v4 ** 2       f=1   g=1   local=(2, -)
    """
    roots = roots_of(loss, "tape")
    return Tape(graph.toposort(*roots), roots, full)
