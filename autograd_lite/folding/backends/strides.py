"""Index arrays as views: strides instead of gathers, wherever the lanes run regularly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

Array = Any

Dims = list[tuple[int, int]]
"""(size, stride in lanes) of each axis, outermost first."""


SHORT = 4
"""A run shorter than this is gathered: NumPy's inner loop costs more than the copy."""

MOST_AXES = 3


def pattern(index: Array) -> tuple[int, Dims] | None:
    """(offset, axes) of an index array that is an affine function of nested counters, else None."""
    offset, dims = int(index[0]), []  # type: int, Dims
    while True:
        n = len(index)
        if n == 1:
            return offset, dims or [(1, 0)]
        if len(dims) == MOST_AXES:
            return None
        # The innermost run goes on until its step changes: 0 1 2 10 11 12 has runs of 3.
        steps = np.diff(index)
        other = np.flatnonzero(steps != steps[0])
        run = int(other[0]) + 1 if len(other) else n
        if n % run:
            return None
        # All runs must be the same up to where they begin: those places are the index of the next axis out.
        table = index.reshape(-1, run)
        if len(table) > 1 and (table - table[:, :1] != table[0] - table[0, 0]).any():
            return None
        if run < SHORT and n > 2 * SHORT:
            return None
        dims.insert(0, (run, int(steps[0])))
        index = table[:, 0]


def chunk(index: Array, size: int) -> int:
    """How many neighbours at a time an index array takes from `size` lanes: 8, 4, 2 or 1, from a multiple of that."""
    for width in (8, 4, 2):
        if not len(index) % width and not size % width and len(index) > width:
            table = index.reshape(-1, width)
            first = table[:, :1]
            if not (first % width).any() and (table == first + np.arange(width)).all():
                return width
    return 1


def common(patterns: Sequence[Dims]) -> list[int] | None:
    """The axes into which all patterns can be cut, outermost first; None if their runs do not nest."""
    # (6,) and (2, 3) meet in (2, 3), cut after every 3; (3, 2) and (2, 3) do not: 3 is not a multiple of 2.
    cuts = {1}
    for dims in patterns:
        size = 1
        for n, _ in reversed(dims):
            size *= n
            cuts.add(size)
    ordered = sorted(cuts)
    shape: list[int] = []
    for small, large in pairwise(ordered):
        if large % small:
            return None
        shape.insert(0, large // small)
    return shape or [1]


def cut(dims: Dims, shape: Sequence[int]) -> list[int]:
    """The strides of a pattern over the axes of `common`."""
    strides: list[int] = []
    rest = list(dims)
    for n in reversed(shape):
        while len(rest) > 1 and rest[-1][0] == 1:  # an axis of one takes no step
            rest.pop()
        size, stride = rest.pop()
        strides.insert(0, stride)
        if size > n:
            rest.append((size // n, stride * n))
        elif not rest:
            rest.append((1, 0))
    return strides


def affine(table: Array) -> tuple[int, tuple[int, ...]] | None:
    """(offset, stride of each axis) of an index table that is affine in each of its axes, else None."""
    origin = (0,) * table.ndim
    offset = int(table[origin])
    # The first step along each axis says what the whole table would be if it were affine; then that is compared.
    strides: list[int] = []
    expected = np.full(table.shape, offset)
    for axis, n in enumerate(table.shape):
        step = 0
        if n > 1:
            second = (*origin[:axis], 1, *origin[axis + 1 :])
            step = int(table[second]) - offset
            counter = np.arange(n).reshape([-1 if k == axis else 1 for k in range(table.ndim)])
            expected = expected + step * counter
        strides.append(step)
    return (offset, tuple(strides)) if np.array_equal(expected, table) else None


def table_view(array: Array, table: Array) -> Array | None:
    """array[table] as a view if the table is affine in each axis, else None. A batch axis of the array stays last."""
    found = affine(table) if table.size else None
    return None if found is None else strided(array, found[0], table.shape, found[1])


def strided(array: Array, offset: int, shape: Sequence[int], strides: Sequence[int]) -> Array:
    """A view of an array's lanes; its batch axis stays last."""
    step = array.strides[0]
    return as_strided(
        array[offset:], (*shape, *array.shape[1:]), (*(s * step for s in strides), *array.strides[1:])
    )  # fmt: skip
