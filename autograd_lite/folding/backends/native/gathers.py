"""Tables of Terms that are read without gathers, where what they refer to lies in fours.

A gather of eight doubles costs as much as eight loads and more. What attention sums up lies side by side: the four
numbers of a head (for four lanes, one load), one weight for all of them (one number, spread), or four terms one after
the other for each lane (a load a lane, and a transposition for four terms). Which of these a table is shows in its
entries, which are known when the code is written; the numbers, and the order of a sum, stay the same.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from autograd_lite.folding.backends.native.emit import Block, Scalar, Vector
from autograd_lite.folding.nests import ARENA, PAD, Access, Nests, Terms

Array = Any

Position = tuple[tuple[Scalar, int], ...]
"""Indices and strides, which make a place in a table."""

FOUR = 4

SAME, NEXT, SECOND = (0, 0, 0), (1, 2, 3), (2, 4, 6)
"""How far from the first of four the others are."""

MOST_TERMS = 16
"""Terms of a lane that are written out."""


class Fours(NamedTuple):
    """Four lanes from one place: one number for all, numbers side by side, or side by side or every second of them."""

    kind: Literal["same", "next", "next or second"]


class Across(NamedTuple):
    """Four terms of a lane from one place: how many fours there are, and of which kind."""

    fours: int
    kind: Literal["next", "next or second"]


def layout(nests: Nests, x: Terms, y: Access) -> Fours | Across | None:
    """How an operand of Terms lies; None where it takes a gather."""
    if x.rows or x.combine != "add" or y.base != ARENA or y.table is None or any(y.strides) or y.scale != 1:
        return None
    groups = -(-x.lanes // PAD)
    heads = nests.tables[x.heads : x.heads + 2 * groups].reshape(groups, 2)
    counts = heads[:, 1].astype(int)
    if not counts.all() or (heads[:, 0] != PAD * (counts.cumsum() - counts)).any():
        return None
    entries = nests.tables[y.table : y.table + PAD * int(counts.sum())].astype(int).reshape(-1, PAD)
    zero = next(offset for offset, name in nests.names.items() if name == "0") - y.offset
    kind = _kind(entries.reshape(-1, FOUR), zero)
    if kind is not None:
        return Fours(kind)
    terms = int(counts[0])
    if (counts != terms).any() or terms % FOUR or terms > MOST_TERMS:
        return None
    kind = _kind(entries.reshape(-1, FOUR, PAD).swapaxes(1, 2).reshape(-1, FOUR), zero)
    return None if kind in (None, "same") else Across(terms // FOUR, kind)  # type: ignore[arg-type]


def _kind(fours: Array, zero: int) -> Literal["same", "next", "next or second"] | None:
    """How all fours of entries lie; what a group has too much of refers to a 0 with more of them behind it."""
    steps, nothing = fours[:, 1:] - fours[:, :1], (fours == zero).all(1)
    if (steps == SAME).all():
        return "same"
    after = (steps == NEXT).all(1) | nothing
    if after.all():
        return "next"
    return "next or second" if (after | (steps == SECOND).all(1)).all() else None


def read_fours(block: Block, x: Fours, y: Access, position: Position) -> Vector:
    """Eight lanes at a position of the table."""
    halves = []
    for half in (0, FOUR):
        at = (*position, (half, 1))
        if x.kind != "same":
            halves.append(_four(block, x.kind, y, at, 1))
            continue
        real = block.module.type("real", FOUR)
        pointer = _pointer(block, y, _entry(block, y, at))
        block.check(pointer)
        number = block.operation(f"load double, ptr {pointer}, align 8", pure=False)
        first = block.operation(f"insertelement {real} poison, double {number}, i64 0")
        spread = f"shufflevector {real} {first}, {real} poison, <{FOUR} x i32> zeroinitializer"
        halves.append(block.made(spread, lanes=FOUR))
    return block.shuffle(halves[0], halves[1], range(2 * FOUR))


def read_across(block: Block, x: Across, y: Access, position: Position) -> list[Vector]:
    """Eight lanes of four terms, of which the first is at a position of the table."""
    rows = [_four(block, x.kind, y, (*position, (lane, 1)), PAD) for lane in range(2 * FOUR)]
    a, b, c, d = (block.shuffle(rows[k], rows[k + FOUR], range(2 * FOUR)) for k in range(FOUR))
    found = []
    for k in range(FOUR):
        pair = [k % 2, 8 + k % 2, 2 + k % 2, 10 + k % 2, 4 + k % 2, 12 + k % 2, 6 + k % 2, 14 + k % 2]
        u, v, at = block.shuffle(a, b, pair), block.shuffle(c, d, pair), k // 2 * 2
        found.append(block.shuffle(u, v, [at, at + 1, 8 + at, 9 + at, at + 4, at + 5, 12 + at, 13 + at]))
    return found


def _four(block: Block, kind: str, y: Access, position: Position, step: int) -> Vector:
    """Four numbers from the place on that an entry stands for; the entry of the next one is `step` entries on."""
    first = _entry(block, y, position)
    pointer = _pointer(block, y, first)
    if kind == "next":
        return _load(block, FOUR, pointer)
    eight = _load(block, 2 * FOUR, pointer)
    beside, second = (block.shuffle(eight, eight, range(0, FOUR * k, k)) for k in (1, 2))
    far = block.operation(f"sub i64 {_entry(block, y, (*position, (step, 1)))}, {first}")
    far = block.operation(f"icmp eq i64 {far}, 2")
    return block.made(f"select i1 {far}, {second.type} {second.name}, {beside.type} {beside.name}", lanes=FOUR)


def _load(block: Block, lanes: int, pointer: str) -> Vector:
    block.check(pointer, lanes)
    return block.made(f"load {block.module.type('real', lanes)}, ptr {pointer}, align 8", lanes=lanes, pure=False)


def _entry(block: Block, y: Access, position: Position) -> str:
    assert y.table is not None
    return block.load_place(block.address("%tables", (y.table, 1), *position, of="i32"))


def _pointer(block: Block, y: Access, place: str) -> str:
    return block.address("%arena", (y.offset, 1), (place, 1))
