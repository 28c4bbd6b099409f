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

from autograd_lite.folding.scan import by_occurrence, ranks

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

    @property
    def order(self) -> tuple[int, int]:
        """Where it stands in a sum: those that write whole blocks of fresh lanes before those that add to some."""
        return FORMS.index(self.what), -self.to.size


FORMS = ("matmul", "rows", "segments", "each")
"""In the order in which a sum takes them."""

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
    first, which = by_occurrence(key)
    if not np.array_equal(table[first][which], table):  # two rows of one hash
        return np.arange(len(table)), np.arange(len(table))
    return first, which


def _blocks(lanes: Array, lefts: Array, rights: Array) -> list[Form]:
    """The part as batches of matrix products, one batch a shape; nothing where it is not made of those.

    Lanes link left rows to right rows. A block is what hangs together; it is a matrix product if each of its left rows
    meets each of its right rows once.
    """
    n = len(lanes)
    first_left, of_left = _row_ids(lefts)
    first_right, of_right = _row_ids(rights)
    n_left, n_right = len(first_left), len(first_right)
    if n_left == n and n_right == n and n > 1:
        return []  # no two lanes share a row
    left_block = _components(of_left, of_right, n_left, n_right)
    if left_block is None:
        return []
    block = left_block[of_left]
    blocks = int(block.max()) + 1
    right_block = np.zeros(n_right, np.int64)
    right_block[of_right] = block  # the lanes of a right row are all of one block
    height, width = np.bincount(left_block, minlength=blocks), np.bincount(right_block, minlength=blocks)
    edges = np.bincount(block, minlength=blocks)
    # As many lanes as there are pairs, and no pair twice: then each is there.
    if (edges != height * width).any() or len(np.unique(of_left * n_right + of_right)) < n:
        return []
    shapes = np.unique(np.stack([height, width], 1), axis=0)
    if len(shapes) > MOST_SHAPES:
        return []
    in_left, in_right = _places(left_block), _places(right_block)
    found = []
    for h, w in shapes.tolist():
        chosen = np.flatnonzero((height == h) & (width == w))
        number = np.full(blocks, -1)
        number[chosen] = np.arange(len(chosen))
        mine = np.flatnonzero(number[block] >= 0)
        if h == 1 and w == 1 and len(chosen) > 1:  # many products of one row by one column
            found.append(Form("rows", lanes[mine], lefts[mine], rights[mine]))
            continue
        to = np.full((len(chosen), h, w), -1)
        to[number[block[mine]], in_left[of_left[mine]], in_right[of_right[mine]]] = lanes[mine]
        left = np.full((len(chosen), h, lefts.shape[1]), -1)
        right = np.full((len(chosen), w, lefts.shape[1]), -1)
        some = np.flatnonzero(number[left_block] >= 0)
        left[number[left_block[some]], in_left[some]] = lefts[first_left[some]]
        some = np.flatnonzero(number[right_block] >= 0)
        right[number[right_block[some]], in_right[some]] = rights[first_right[some]]
        found.append(Form("matmul", to, left, right))
    return found


def _components(of_left: Array, of_right: Array, n_left: int, n_right: int) -> Array | None:
    """The block of each left row, numbered in order of occurrence; None where blocks are not full products.

    In a full product every right row meets the first left row of the block: so one round in which each row takes the
    smallest label that it meets gives them all the label of that one. Where some rows disagree after it, as in the
    chain 0-0, 1-0, 1-1, 2-1, 2-2 ..., a block is not a full product, and half-settled labels must not be counted:
    pieces of a chain can have as many lanes as pairs by chance.
    """
    if len(of_left) == n_left * n_right:
        return np.zeros(n_left, np.int64)
    right_label = np.full(n_right, n_left)
    np.minimum.at(right_label, of_right, of_left)
    left_label = np.full(n_left, n_left)
    np.minimum.at(left_label, of_left, right_label[of_right])
    if (left_label[of_left] != right_label[of_right]).any():
        return None
    return np.unique(left_label, return_inverse=True)[1]


def _places(block: Array) -> Array:
    """The place of each row within its block."""
    order = np.argsort(block, kind="stable")
    sizes = np.bincount(block)
    return ranks(order) - (np.cumsum(sizes) - sizes)[block]
