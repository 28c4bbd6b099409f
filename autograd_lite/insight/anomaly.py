"""Watching a graph while it is built: the source line of each node, and the first one that is not finite.

Both look at new nodes through `mode.watchers` (engine/modes.py), so they cost nothing while no such block is open.
The lines are kept beside the nodes, in a table that forgets a node when it goes.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, isinf
from typing import Any
from weakref import ref

from autograd_lite.engine import graph
from autograd_lite.engine.checks import describe
from autograd_lite.engine.functions import VALUES
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.engine.modes import changed_mode
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Value
from autograd_lite.insight.remedies import of_adjoint, of_hidden, of_value


class _Same(ref[Value]):
    """A weak reference, equal to those of the same Value: a plain one would compare numbers, and no NaN is found."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self() is other()

    __hash__: Any = ref.__hash__


_sources: dict[_Same, tuple[str, int]] = {}


@dataclass(frozen=True)
class Source:
    """The line of a program that made a node.

    Attributes:
        file: its file, or the name that a notebook gives to a cell.
        line: the number of the line, from 1.
        text: the line itself, "" where it can no longer be read.
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        cell = "ipykernel_" in self.file or self.file.startswith("<ipython-input")  # a file that no one can open
        where = f"notebook cell, line {self.line}" if cell else f"{self.file}:{self.line}"
        return where + (f": {self.text}" if self.text else "")


def source_of(node: Value) -> Source | None:
    """The line that made a node, if it was made inside `record_source` or `detect_anomaly`.

    Args:
        node: a Value.

    Returns:
        A Source with `file`, `line` and `text`; None for a node made elsewhere.

    Example:
        >>> with ag.record_source():
        ...     y = ag.sqrt(ag.Value(4.0))
        >>> ag.source_of(y).text
        'y = ag.sqrt(ag.Value(4.0))'
    """
    if not isinstance(node, Value):
        raise TypeError(f"source_of: expected a Value, got {describe(node)}")
    found = _sources.get(_Same(node))
    return None if found is None else Source(*found, linecache.getline(*found).strip())


def record_source() -> Any:
    """Within this block every new node remembers the line of your program that made it.

    `diagnose` and the errors of `detect_anomaly` show it. Outside such a block it costs nothing.

    Returns:
        A context manager, which is also a decorator. It acts on the thread and the asyncio task that open it.

    Example:
        >>> with ag.record_source():
        ...     y = ag.log(ag.Value(0.0))
        >>> ag.source_of(y).text
        'y = ag.log(ag.Value(0.0))'
    """
    return changed_mode(watchers=(_remember,))


def detect_anomaly() -> Any:
    """Within this block, stop at the first node that turns NaN or infinite, forward or backward.

    A result that is worse than every operand (NaN from numbers, infinite from finite ones), or a contribution
    to a gradient that is not finite where the adjoint was, raises at once; so does an infinite slope that an adjoint
    of 0 hides though no branch was passed over (`ag.cbrt(x) ** 3` at 0). The message names the
    operation, its operands, the line that made it, and what to write instead. A compiled or folded program keeps no
    nodes: where its result or its gradient is not finite though its numbers are, the message says just that.

    Returns:
        A context manager, which is also a decorator. It acts on the thread and the asyncio task that open it, and
        records source lines as `record_source` does.

    Raises:
        FloatingPointError: inside the block, as described.

    Example:
        >>> with ag.detect_anomaly():
        ...     ag.log(ag.Value(0.0, name="p"))
        Traceback (most recent call last):
        ...
        FloatingPointError: detect_anomaly: log gave -inf: log of 0 (operands: p = 0.0), made at ...
    """
    return changed_mode(watchers=(_remember, _check_value), on_adjoint=_check_adjoint, on_sweep=_check_zeros)


def _remember(node: Value) -> None:
    frame = sys._getframe(2)
    while frame.f_back is not None and _is_ours(frame.f_globals):
        frame = frame.f_back
    _sources[_Same(node, _sources.pop)] = frame.f_code.co_filename, frame.f_lineno


def _is_ours(names: dict[str, Any]) -> bool:
    module = names.get("__name__") or ""
    return module.partition(".")[0] == "autograd_lite" or names is FLOATS or names is VALUES


def badness(x: float) -> int:
    """0 for a finite number, 1 for an infinity, 2 for NaN."""
    return 0 if isfinite(x) else 1 if x == x else 2


def _check_value(node: Value) -> None:
    if not isfinite(number_of(node)) and badness(number_of(node)) > max(badness(x.item()) for x in node.operands):
        why, instead = of_value(node)
        raise FloatingPointError(f"detect_anomaly: {node.op} gave {number_of(node)!r}: {why} {_about(node)}; {instead}")


def _check_adjoint(node: Value, slot: int, adjoint: float, total: float) -> None:
    """Called by the backward pass for each contribution, where something is not finite."""
    local = node.local_grads[slot]
    why, instead = of_adjoint(node, slot, adjoint)
    raise FloatingPointError(
        f"detect_anomaly: going back through {node.op}, adjoint {adjoint!r} * local gradient {local!r} makes the "
        f"gradient of {_called(node.operands[slot], slot)} {total!r}: {why} {_about(node)}; {instead}"
    )


def _about(node: Value) -> str:
    operands = node.operands
    shown = ", ".join(_called(x, i) for i, x in enumerate(operands[:6]))
    if len(operands) > 6:
        shown += f", ... {len(operands) - 6} more"
    source = source_of(node)
    name = f", result {node.name!r}" if node.name else ""
    return f"(operands: {shown}{name})" + (f", made at {source}" if source is not None else "")


def hidden_slopes(adjoint: Mapping[Value, float]) -> Iterator[tuple[Value, int]]:
    """The (node, slot) where an infinite slope meets an adjoint of 0 that is not that of a branch passed over.

    The product is taken as 0 there, and the true derivative may be any number: that of cbrt(x) ** 3, which is
    x, is 1 everywhere. A factor that is given as 0, such as a mask, is not meant.

    Args:
        adjoint: the adjoint of every node, in topological order.
    """
    smooth: set[Value] = set()  # an adjoint of 0 that comes from a function which is flat there, or from a cancellation
    for node in reversed(list(adjoint)):
        row, g = node._row, adjoint[node]
        if row is None or (g == 0.0 and node not in smooth):
            continue
        operands = graph.raw_operands(node)
        zeros = [type(x) is not float and x._row is not None and number_of(x) == 0.0 for x in operands]
        others = sum(zeros)  # factors that are 0, and not given so
        for slot, (x, d) in enumerate(zip(operands, node.local_grads, strict=True)):
            if type(x) is float:
                continue
            if g == 0.0 and isinf(d):
                yield node, slot
            flat = not row.branch and (not row.linear or others > zeros[slot])
            if adjoint[x] == 0.0 and (d != 0.0 or flat):
                smooth.add(x)


def _check_zeros(adjoint: Mapping[Value, float]) -> None:
    """Called by the backward pass at its end."""
    for node, slot in hidden_slopes(adjoint):
        why, instead = of_hidden(node, slot)
        raise FloatingPointError(f"detect_anomaly: going back through {node.op}: {why} {_about(node)}; {instead}")


def _called(x: Value, slot: int) -> str:
    return f"{x.name or f'operand {slot}'} = {x.item()!r}"
