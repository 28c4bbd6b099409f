"""lookup: a row of a table by an index that may differ from example to example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autograd_lite.engine import functions
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Value, record


def lookup(table: Sequence[Any], index: Any) -> Any:
    """The row of a table at an index: an embedding, or the entry of a label.

        lookup(table, i) = table[i],  d/d(table[k]) = 1 for k = i, 0 for the rest

    With a plain number it is that row itself. With a Value, as in a compiled function whose argument is the index,
    it is computed as the product of the table with (i == 0, i == 1, ...): another index needs no other program,
    and over a batch it is one matrix product. No gradient goes to the index.

    Args:
        table: rows, each a sequence of Values and numbers; or Values and numbers themselves.
        index: a whole number from 0, or a Value that holds one.

    Returns:
        The row as a list, or the entry. NaN where the number of a Value is not an index of the table.

    Raises:
        TypeError: the table is not a sequence, or the index is not a number.
        IndexError: a plain index is not whole, or outside the table.
        ValueError: the rows differ in length.

    Example:
        >>> table = [[ag.Parameter(1.0), ag.Parameter(2.0)], [ag.Parameter(3.0), ag.Parameter(4.0)]]
        >>> [x.item() for x in ag.lookup(table, 1)]
        [3.0, 4.0]
        >>> [x.item() for x in ag.lookup(table, ag.Value(0.0))]
        [1.0, 2.0]
    """
    if isinstance(table, (str, bytes, dict)) or not hasattr(table, "__len__") or getattr(table, "ndim", 1) == 0:
        raise TypeError(f"lookup: the table must be a sequence of rows, got {describe(table)}")
    rows = list(table)
    count = len(rows)
    if not isinstance(index, Value):
        place = as_float(index, "lookup: the index")
        if place not in range(count):
            raise IndexError(f"lookup: the index is {place:g}; the table has the rows 0 to {count - 1}")
        row = rows[int(place)]
        return row if _is_entry(row) else list(row)
    chosen = [functions.equal(index, float(k)) for k in range(count)]
    inside = functions.where(functions.sum(chosen), 0.0, math.nan)
    if count and _is_entry(rows[0]):
        return _chosen(chosen, rows, inside)
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise ValueError(f"lookup: the rows of the table differ in length: {sorted(lengths)}")
    return [_chosen(chosen, column, inside) for column in zip(*rows, strict=True)]


def _chosen(chosen: list[Any], column: Sequence[Any], inside: Any) -> Any:
    """The entry for which `chosen` is 1; one that is not chosen does not count even if it is infinite."""
    entries = [x if isinstance(x, Value) else as_float(x, "lookup: an entry of the table") for x in column]
    return functions.sum([record(TABLE["_chain"], pair) for pair in zip(chosen, entries, strict=True)] + [inside])


def _is_entry(x: Any) -> bool:
    return isinstance(x, Value) or not hasattr(x, "__len__")
