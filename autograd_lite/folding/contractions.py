"""How a part of a sum is computed: one product a lane, a matrix product, rows of equal length, or segments.

A part is a list of terms out[to] += left * right. Where every lane has the same number of terms K, its left operands
are a row of an index table, and its right ones another. If the lanes are the full product of the different
left rows with the different right rows, the part is a matrix product; if they fall into blocks that are, it is a
batch of them. The order of the terms within a lane is free: as recorded, by left operand, or by right operand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

Array = Any


class Form(NamedTuple):
    """One way to compute terms.

    Args:
        what: "each", "matmul", "rows" or "segments".
        to: the lanes that it adds to: shape (n,); for a matmul (blocks, n_left, n_right).
        left, right: the operands' lanes: (n,) for "each"; (blocks, n_left, K) and (blocks, n_right, K) for a
            matmul; (n, K) for "rows"; (terms,) for "segments". right is None for a plain sum.
        starts: for "segments" where each lane's terms begin.
    """

    what: str
    to: Array
    left: Array
    right: Array | None
    starts: Array | None = None


MOST_SHAPES = 8
"""Blocks or rows of more different shapes than this are left to segments."""


def forms(to: Array, left: Array, right: Array | None, reduces: bool = False) -> Iterator[Form]:
    """The forms that together compute a part.

    Args:
        to, left, right: the terms.
        reduces: whether a batch axis is summed over too: then one term a lane can be a matrix product as well.
    """
    if not len(to):
        return
    if len(to) == 1 and not (reduces and right is not None):  # a step of a recurrence: there may be a million
        yield Form("each", to, left, right)
        return
    if (np.diff(to) < 0).any():
        order = np.argsort(to, kind="stable")
        to, left = to[order], left[order]
        right = None if right is None else right[order]
    starts = np.flatnonzero(np.diff(to, prepend=-1))
    counts = np.diff(starts, append=len(to))
    lanes = to[starts]
    lengths = np.unique(counts)
    if len(lengths) == 1:
        yield from _uniform(lanes, left, right, int(lengths[0]), reduces)
    elif len(lengths) <= MOST_SHAPES // 2:
        for length in lengths.tolist():
            mine = np.repeat(counts == length, counts)
            yield from _uniform(
                lanes[counts == length], left[mine], None if right is None else right[mine], length, reduces
            )
    else:
        yield Form("segments", lanes, left, right, starts)


def _uniform(lanes: Array, left: Array, right: Array | None, length: int, reduces: bool) -> Iterator[Form]:
    n = len(lanes)
    if length == 1 and not (reduces and right is not None):
        yield Form("each", lanes, left, right)
        return
    lefts = left.reshape(n, length)
    if right is None:
        yield Form("rows", lanes, lefts, None)
        return
    rights = right.reshape(n, length)
    best: list[Form] = []
    for by in (None, lefts, rights):
        if by is None:
            found = _blocks(lanes, lefts, rights)
        else:
            order = np.argsort(by, axis=1, kind="stable")
            if (order == np.arange(length)).all():
                continue
            found = _blocks(lanes, np.take_along_axis(lefts, order, 1), np.take_along_axis(rights, order, 1))
        if found and (not best or _blocks_in(found) < _blocks_in(best)):
            best = found
        if best and _blocks_in(best) == 1:
            break
    if best:
        yield from best
        return
    yield Form("rows", lanes, lefts, rights)


def _blocks_in(found: list[Form]) -> int:
    return sum(len(form.to) for form in found)


def _row_ids(table: Array) -> tuple[Array, Array]:
    """(the index of a first row of each kind, in order of occurrence; the kind of every row)."""
    if table.shape[1] == 1:
        key = table[:, 0]
    elif (table == table[0]).all():
        return np.zeros(1, np.int64), np.zeros(len(table), np.int64)
    else:
        weights = np.random.default_rng(0).integers(1, 2**63, table.shape[1], dtype=np.uint64)
        key = table.astype(np.uint64) @ weights
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(first), np.int64)
    rank[order] = np.arange(len(first))
    first, which = first[order], rank[which]
    if not np.array_equal(table[first][which], table):  # two rows of one hash
        return np.arange(len(table)), np.arange(len(table))
    return first, which


def _blocks(lanes: Array, lefts: Array, rights: Array) -> list[Form]:
    """The part as batches of matrix products, one batch a shape; nothing if it is none."""
    n = len(lanes)
    first_left, of_left = _row_ids(lefts)
    first_right, of_right = _row_ids(rights)
    n_left, n_right = len(first_left), len(first_right)
    if n_left == n and n_right == n and n > 1:
        return []  # every lane has rows of its own
    block = _components(of_left, of_right, n_left, n_right)
    blocks = int(block.max()) + 1
    left_block, right_block = np.zeros(n_left, np.int64), np.zeros(n_right, np.int64)
    left_block[of_left], right_block[of_right] = block, block
    height, width = np.bincount(left_block, minlength=blocks), np.bincount(right_block, minlength=blocks)
    edges = np.bincount(block, minlength=blocks)
    if (edges != height * width).any() or len(np.unique(of_left * n_right + of_right)) < n:
        return []
    shapes = np.unique(np.stack([height, width], 1), axis=0)
    if len(shapes) > MOST_SHAPES or n > n_left * n_right * blocks:
        return []
    in_left, in_right = _places(left_block), _places(right_block)
    found = []
    for h, w in shapes.tolist():
        chosen = np.flatnonzero((height == h) & (width == w))
        number = np.full(blocks, -1)
        number[chosen] = np.arange(len(chosen))
        mine = np.flatnonzero(number[block] >= 0)
        if h == 1 and w == 1 and len(chosen) > 1:
            found.append(Form("rows", lanes[mine], lefts[mine], rights[mine]))
            continue
        to = np.empty((len(chosen), h, w), np.int64)
        to[number[block[mine]], in_left[of_left[mine]], in_right[of_right[mine]]] = lanes[mine]
        left = np.empty((len(chosen), h, lefts.shape[1]), np.int64)
        right = np.empty((len(chosen), w, lefts.shape[1]), np.int64)
        some = np.flatnonzero(number[left_block] >= 0)
        left[number[left_block[some]], in_left[some]] = lefts[first_left[some]]
        some = np.flatnonzero(number[right_block] >= 0)
        right[number[right_block[some]], in_right[some]] = rights[first_right[some]]
        found.append(Form("matmul", to, left, right))
    return found


def _components(of_left: Array, of_right: Array, n_left: int, n_right: int) -> Array:
    """The block of each lane, numbered in order of occurrence; the lanes link left rows to right rows."""
    if len(of_left) == n_left * n_right:
        return np.zeros(len(of_left), np.int64)
    label = np.arange(n_left)
    for _ in range(4):  # blocks that are full products settle in one round
        right_label = np.full(n_right, n_left)
        np.minimum.at(right_label, of_right, label[of_left])
        new = label.copy()
        np.minimum.at(new, of_left, right_label[of_right])
        if np.array_equal(new, label):
            break
        label = new
    _, block = np.unique(label[of_left], return_inverse=True)
    return block


def _places(block: Array) -> Array:
    """The place of each row within its block."""
    order = np.argsort(block, kind="stable")
    sizes = np.bincount(block)
    place = np.empty(len(block), np.int64)
    place[order] = np.arange(len(block)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return place
