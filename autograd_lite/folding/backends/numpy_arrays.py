"""Buffers, views of them, and the steps that fill them: what the NumPy backend builds a run from.

Everything is decided when a run is made: a step is a function with its arguments, which are views of buffers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_lite.folding.backends.strides import Dims, chunk, common, cut, pattern, strided, table_view
from autograd_lite.folding.instructions import Ref

Array = Any

ArrayCall = tuple[Callable[..., Any], tuple[Any, ...]]

SUMMING = ("add", "subtract", "reduce", "matmul")
"""What NumPy calls the functions that sum (`reduceat` among them)."""


class Overflow:
    """NumPy's error callback: records that a sum overflowed; elsewhere an infinity is a result like any other.

    A step may hold it, but not the object that holds the steps: that would be a reference cycle.
    """

    seen: bool = False

    def write(self, message: str) -> None:
        """NumPy's report, which names the function."""
        self.seen = self.seen or any(f" in {name}" in message for name in SUMMING)


def einsum(overflow: Overflow, text: str, a: Array, b: Array, out: Array) -> None:
    """A step: np.einsum, which does not report an overflow itself."""
    np.einsum(text, a, b, out=out)
    if not math.isfinite(np.vdot(out, out)):
        overflow.seen = True


class Arrays:
    """The buffers of one run, and its steps so far.

    Args:
        rows: how long the batch axis is, or None.
        dtype: of the numbers.
    """

    rows: int | None
    dtype: Any

    def __init__(self, rows: int | None, dtype: Any) -> None:
        self.rows, self.dtype = rows, dtype
        self.steps: list[ArrayCall] = []
        self.of: list[Array] = []
        """The array of each instruction: (lanes,) or (lanes, rows)."""
        self.overflow: Overflow = Overflow()
        self.nbytes: int = 0
        self._scratch: dict[Any, list[Array]] = {}
        self._in_use: list[tuple[Any, Array]] = []
        self._gathered: dict[Any, Array] = {}

    # -- buffers and steps

    def empty(self, shape: Sequence[int], dtype: Any = None) -> Array:
        """A buffer that a step fills before another reads it."""
        made = np.empty(tuple(shape), dtype or self.dtype)
        self.nbytes += made.nbytes
        return made

    def zeros(self, shape: Sequence[int]) -> Array:
        """A buffer of which some lanes may never be written."""
        made = np.zeros(shape, self.dtype)
        self.nbytes += made.nbytes
        return made

    def temporary(self, shape: Sequence[int], dtype: Any = None) -> Array:
        """An array for use within one instruction."""
        key = (tuple(shape), dtype or self.dtype)
        free = self._scratch.setdefault(key, [])
        array = free.pop() if free else self.empty(*key)
        self._in_use.append((key, array))
        return array

    def release(self) -> None:
        """Let the temporaries of an instruction be used by the next one."""
        for key, array in self._in_use:
            self._scratch[key].append(array)
        self._in_use.clear()

    def do(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Append a step."""
        self.steps.append((function, arguments))

    def shape(self, size: int, batched: bool) -> tuple[int, ...]:
        """The shape of an instruction's array."""
        return (size, self.rows) if batched and self.rows is not None else (size,)

    def table(self, ref: Ref, table: Array | None, wants_blas: bool = False) -> Array:
        """The lanes of a table, as a view or gathered."""
        array = self.of[ref.source]
        if table is None:
            return array
        view = table_view(array, table)
        if view is not None and (not wants_blas or suits_blas(view)):
            return view
        key = (ref.source, table.shape, table.tobytes())
        if key not in self._gathered:
            buffer = self._gathered[key] = self.empty((*table.shape, *array.shape[1:]), array.dtype)
            self._take(array, table, buffer)
        return self._gathered[key]

    def _take(self, array: Array, table: Array, buffer: Array) -> None:
        """Gather lanes; a few side by side at once where the table runs that way."""
        width = chunk(table.ravel(), len(array)) if array.ndim == 1 and array.flags.c_contiguous else 1
        if width > 1:
            array, buffer = array.reshape(-1, width), buffer.reshape(-1, width)
            table = np.ascontiguousarray(table.ravel()[::width] // width)
        self.do(np.take, array, table, 0, buffer, "clip")

    def flat(self, ref: Ref) -> Array:
        """The lanes of a Ref, side by side."""
        return self.table(ref, ref.lanes)

    def aligned(self, refs: Sequence[Any], batched: bool) -> tuple[list[int], list[Any]]:
        """Operands as views of one shape, gathered where they must be; numbers and None stay what they are."""
        # Single lanes, as of each step of a recurrence, need no search: a program may have a million of them.
        if all(len(ref.lanes) == 1 if ref.lanes is not None else len(self.of[ref.source]) == 1
               for ref in refs if isinstance(ref, Ref)):  # fmt: skip
            return [1], [self._lane(ref, batched) if isinstance(ref, Ref) else ref for ref in refs]
        # Lanes that run regularly are a view. NumPy steps through all operands alike, so their runs are cut into axes
        # that all of them have: lanes 0 ... 11 beside three times the lanes 0 ... 3 are 3 by 4.
        found = [self._in_runs(ref) if isinstance(ref, Ref) else None for ref in refs]
        shape = common([runs[2] for runs in found if runs])
        if shape is None:  # three runs of four beside two runs of six: gathered, each is one run
            found = [self._gathered_run(ref) if isinstance(ref, Ref) else None for ref in refs]
            shape = common([runs[2] for runs in found if runs])
            assert shape is not None
        views = []
        for ref, runs in zip(refs, found, strict=True):
            if runs is None:
                views.append(ref)
                continue
            array, offset, dims = runs
            view = strided(array, offset, shape, cut(dims, shape))
            # What is the same for every row has no batch axis; it gets one to be spread along.
            views.append(view[..., None] if batched and array.ndim == 1 and self.rows is not None else view)
        return shape, views

    def _in_runs(self, ref: Ref) -> tuple[Array, int, Dims]:
        """The lanes of a Ref as (array, offset, axes)."""
        array = self.of[ref.source]
        if ref.lanes is None:
            return array, 0, [(len(array), 1)]
        found = pattern(ref.lanes)
        if found is None:
            return self.table(ref, ref.lanes), 0, [(len(ref.lanes), 1)]
        return array, *found

    def _gathered_run(self, ref: Ref) -> tuple[Array, int, Dims]:
        """The same, as one run."""
        array = self.of[ref.source]
        if ref.lanes is not None:
            buffer = self.empty((len(ref.lanes), *array.shape[1:]), array.dtype)
            self._take(array, ref.lanes, buffer)
            array = buffer
        return array, 0, [(len(array), 1)]

    def _lane(self, ref: Ref, batched: bool) -> Array:
        """A single lane, as a view: what `aligned` finds, without the search."""
        first = 0 if ref.lanes is None else int(ref.lanes[0])
        view = self.of[ref.source][first : first + 1]
        return view[:, None] if batched and view.ndim == 1 else view

    def lanes(self, ref: Ref) -> Array:
        """The index array of a Ref, written out."""
        return np.arange(len(self.of[ref.source])) if ref.lanes is None else ref.lanes

    def forget(self, count: int) -> None:
        """Drop the arrays that a sum has added to those of the first `count` instructions."""
        if len(self.of) > count:
            del self.of[count:]
            self._gathered = {key: array for key, array in self._gathered.items() if key[0] < count}


def suits_blas(view: Array) -> bool:
    """Whether BLAS can read the last two axes of a stack as they are."""
    item = view.itemsize
    (m, n), (s, t) = view.shape[-2:], view.strides[-2:]
    return bool((t == item and s >= n * item) or (s == item and t >= m * item))
