"""Nests: the loops of a Plan over one buffer of numbers, between instructions and code.

A plan says what is computed; here it is settled where each number lies, which instructions share a loop, and in
which order a sum is added up. An emitter writes each kind of nest out as it stands and decides nothing about numbers,
so that all of them agree to the last bit.

The buffer is the arena. It starts as zeros and literals; an instruction has a place in it that nothing else uses:

    unbatched    lanes side by side, from a multiple of 16 on and padded to one; single numbers stand close together
    batched      `block` rows of each lane side by side (64 doubles or 128 floats), lane after lane

so a row of a lane is at offset + lane * block + row. A batch is worked through in blocks of that many rows; in the
last block, rows beyond the batch repeat its last row, and the seed of them is 0. They cost nothing and count for
nothing: a Rows or a Product that sums over rows takes those of the batch only.

    prologue    once: what does not depend on the rows (a plan without a batch has only this)
    body        for each block
    epilogue    once: what is made of sums over rows

Sums over rows are collected in `sums`, a range of the arena. It is zeroed at the start of each run of 2,048 rows;
what the runs leave there is added up in a fixed tree: that of run 0 and run 1, 2 and 3 ..., then neighbours of
these, what is left over going up as it is. Any thread may work on any run, with an arena of its own; bits do not
depend on who does. The epilogue finds the total in `sums`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from typing import Literal as OneOf

import numpy as np

from autograd_lite.engine.lowering import ELEMENTARY, Step
from autograd_lite.folding.backends import Refused as Refused
from autograd_lite.folding.instructions import Kind

Array = Any

ARENA = -1

RUN = 2048
"""Rows that are summed one after the other, before the tree."""

PAD = 16
"""Lanes of an unbatched place, and entries of a table, are padded to a multiple of this, and by as many again."""

FURTHER = ("fma", "max", "min")
"""Steps of a Map that are not ELEMENTARY: a * b + c, rounded once; and max(a, b): a where a >= b or a is NaN, else b;
min(a, b): a where a <= b or a is NaN, else b."""

IN_PYTHON = frozenset(
    ["mod", "floor_divide", "round", "log_ndtr", "_hazard", "_excess", "ndtri", "erfinv", "lgamma", "digamma",
     "polygamma", "_sinc"]
)  # fmt: skip
"""Elementary names that no loop computes: an instruction whose code has one is a step in Python."""

STEPS = (ELEMENTARY - IN_PYTHON) | {*FURTHER}


@dataclass(frozen=True)
class Access:
    """Where in the arena a nest reads or writes: for the counters of its axes i, outermost first,

        offset + sum(i * strides) + scale * tables[table + sum(i * table_strides)]

    the last term only with a table.

    Args:
        offset: in numbers.
        strides: one for each axis of the nest.
        table: where in `Nests.tables`; None where it is affine.
        table_strides: one for each axis, with a table.
        scale: what an entry of the table counts: `block` if it is a lane of a batched place, else 1.
        base: ARENA; or the number of an input (`Leaves.inputs`) of which the rows are read as they come: an array
            (rows, lanes) in C order, and offset counts from the first row of the block.
    """

    offset: int
    strides: tuple[int, ...]
    table: int | None = None
    table_strides: tuple[int, ...] = ()
    scale: int = 1
    base: int = ARENA

    def with_axis(self, axis: int, stride: int = 0) -> Access:
        """The same with one more axis, along which it has this stride."""
        strides = (*self.strides[:axis], stride, *self.strides[axis:])
        further = self.table_strides
        if self.table is not None:
            further = (*further[:axis], 0, *further[axis:])
        return replace(self, strides=strides, table_strides=further)

    def at_first(self, index: int) -> Access:
        """The same at one index of its first axis, without that axis."""
        offset = self.offset + index * self.strides[0]
        if self.table is None:
            return replace(self, offset=offset, strides=self.strides[1:])
        table = self.table + index * self.table_strides[0]
        return replace(self, offset=offset, strides=self.strides[1:], table=table, table_strides=self.table_strides[1:])

    def at(self, axis: int, place: int, order: Sequence[int]) -> Access:
        """The same at one place of an axis, its other axes in this order."""
        offset = self.offset + place * self.strides[axis]
        return replace(self, offset=offset, strides=tuple(self.strides[i] for i in order))


@dataclass(frozen=True)
class Map:
    """A code at every index: a fused group of elementwise instructions.

    The vector axis is the last one. An input has there the stride 1 (a load), 0 (one number, in every lane), another
    one, or a table: with table_strides[-1] == 1 a gather, with 0 one place (a load of it, or one number).

    Args:
        axes: how often each axis runs. With `rows` the last one is the rows of a block.
        inputs: values 0, 1, ... of the code.
        code: steps, numbered on from the inputs: ELEMENTARY or FURTHER.
        outputs: (value or number, where it goes). No input reads what an output has written, except at the same index.
        watch: values that are sums: flag = fma(x, 0, flag) for each element (not for lanes that a vector has too many).
        rows: whether the last axis is the rows.
        padded: whether outputs may be written, without a mask, up to the next multiple of PAD of the last axis.
        Loads may always go that far where strides[-1] is 0 or 1; index loads too: tables are padded.
    """

    axes: tuple[int, ...]
    inputs: tuple[Access, ...]
    code: tuple[Step, ...]
    outputs: tuple[tuple[int | float, Access], ...]
    watch: tuple[int, ...] = ()
    rows: bool = False
    padded: bool = False


@dataclass(frozen=True)
class Product:
    """out[b, i, j] = (out[b, i, j] +) factor * sum over t of left[b, i, t] * right[b, t, j].

    The sum is one chain of fma in the order of t that starts from 0, whatever the tile; then it is multiplied by
    the factor (unless that is 1), then added. All accesses are affine; j runs with stride 1 in `right`, and in `out`
    j, or i where that is the rows.

    Args:
        blocks, m, n, k: how often b, i, j and t run.
        left, right, out: accesses of three axes: (b, i, t), (b, t, j), (b, i, j). An operand of which the rows are i
            or t may have a base.
        factor: a number.
        add: whether it is added to what is there.
        rows: "n" if j is the rows of a block; "m" if i is; "k" if t is: then only the rows of the batch are summed.
        padded: whether out may be written up to the next multiple of PAD of j, without a mask.
        watch: whether every element that is stored goes into the flag.
    """

    blocks: int
    m: int
    n: int
    k: int
    left: Access
    right: Access
    out: Access
    factor: float = 1.0
    add: bool = False
    rows: OneOf["", "m", "n", "k"] = ""
    padded: bool = False
    watch: bool = False


@dataclass(frozen=True)
class Rows:
    """out[lane] = (out[lane] +) factor * sum over terms of left[lane, term] * right[lane, term]; or max, or min.

    Args:
        lanes: axes of the result; out has these.
        terms: axes that are summed over; left and right have lanes and terms.
        left, right: right is None for a sum of left alone, and for max and min.
        out: where it goes.
        along: the vector axis. "lanes": the last axis of lanes; for each lane one chain in the order of the terms, that
            starts from 0: fma(left, right, sum), or sum + left. "terms": the last axis of terms, in four accumulators
            that start from 0, vector v of the last axis into accumulator v % 4 (an index beyond the axis adds nothing);
            then ((0 + 1) + (2 + 3)) lane by lane, then the lanes by halves (`Block.sum`). There the strides of
            the last axis are 0 or 1, without tables.
        factor, add: as in a Product.
        combine: "max" and "min" (FURTHER) start from the first term; factor is 1, add is False.
        rows: whether the last axis of terms is the rows: only those of the batch are taken (combine is "add").
        padded: with along "lanes", whether out may be written up to the next multiple of PAD of the last lanes axis.
        watch: whether every element that is stored goes into the flag.
    """

    lanes: tuple[int, ...]
    terms: tuple[int, ...]
    left: Access
    right: Access | None
    out: Access
    along: OneOf["lanes", "terms"]
    factor: float = 1.0
    add: bool = False
    combine: OneOf["add", "max", "min"] = "add"
    rows: bool = False
    padded: bool = False
    watch: bool = False


@dataclass(frozen=True)
class Terms:
    """Rows of different lengths.

    Without rows: lanes in groups of PAD, sorted by length, the terms of a group padded to the longest. Group g has
    heads[2g], where its terms start, and heads[2g + 1], their number; term t of lane l of the group has the position
    start + t * PAD + l, and the result goes to position g * PAD + l of `out`. Positions are the one axis of left,
    right and out, always by table. Padding refers to a 0 (for max and min: to the last term once more).

    With rows: a group is one lane; term t of group g has the position heads[2g] + t, the result goes to position g. The
    axes are (position, row), the vector axis is the rows.

    Each lane is one chain in the order of t: fma(left, right, sum), or sum + left, from 0; or max, min from the
    first term.

    Args:
        lanes: how many results there are; the last group may have fewer than PAD.
        heads: where in `Nests.tables`: 2 entries a group.
        left, right, out, factor, add, combine, watch: as in Rows.
        rows: whether the last axis is the rows of a block.
    """

    lanes: int
    heads: int
    left: Access
    right: Access | None
    out: Access
    factor: float = 1.0
    add: bool = False
    combine: OneOf["add", "max", "min"] = "add"
    rows: bool = False
    watch: bool = False


@dataclass(frozen=True)
class Pack:
    """target[index] = source[index]: a transposition, or a gather into place.

    Args:
        axes: how often each axis runs. Either access has stride 1 in one of the last two axes, or a table.
        source, target: source may have a base: then the last axis is the rows, those beyond the batch repeat the last.
        padded: whether target may be written up to the next multiple of PAD of the last axis.
    """

    axes: tuple[int, ...]
    source: Access
    target: Access
    padded: bool = False


@dataclass(frozen=True)
class Fill:
    """target[index] = value.

    Args:
        axes: how often each axis runs.
        target: where.
        value: a number; or "seed": the number of that name where the last axis, the rows, is within the batch, else 0.
    """

    axes: tuple[int, ...]
    target: Access
    value: float | OneOf["seed"] = 0.0


@dataclass(frozen=True)
class Watch:
    """flag = fma(x, 0, flag) for every element: NaN if one is infinite or NaN.

    Args:
        axes: how often each axis runs; with `rows` the last one is the rows of a block.
        place: what is read.
        rows: whether the last axis is the rows.
    """

    axes: tuple[int, ...]
    place: Access
    rows: bool = False


@dataclass(frozen=True)
class PythonStep:
    """A step in Python between pieces of code: function(*arrays), which writes into the last one.

    Args:
        title: for people.
        function: gets an array (a view of the arena where the access is affine, else a gathered copy) for each view.
        axes: the shape of each array.
        views: the accesses; the last one is affine and written to.
    """

    title: str
    function: Callable[..., None]
    axes: tuple[tuple[int, ...], ...]
    views: tuple[Access, ...]


@dataclass(frozen=True)
class Recurrence:
    """A code at every step, one step after the other: what is carried from step to step stays in registers.

    The axes are (step,), each value one number; with rows (step, row), and the vector axis is the rows.

    Args:
        steps: how many there are.
        inputs: values 0, 1, ... of the code. They may read what an output has written in a step before.
        code: steps, numbered on from the inputs: ELEMENTARY or FURTHER.
        outputs: (value or number, where it goes).
        carried: (input, value or number): in the first step that runs the input is read, in each later one it is what
            the value was in the step before.
        backward: whether the last step runs first.
        watch: values that are sums: the flag is NaN if one of them is infinite or NaN. (It may be so as well where the
            sum of all of them overflows.)
        rows: whether the last axis is the rows of a block.
    """

    steps: int
    inputs: tuple[Access, ...]
    code: tuple[Step, ...]
    outputs: tuple[tuple[int | float, Access], ...]
    carried: tuple[tuple[int, int | float], ...] = ()
    backward: bool = False
    watch: tuple[int, ...] = ()
    rows: bool = False


@dataclass(frozen=True)
class Loop:
    """Nests that run step after step: the first axis of each of them is the steps (of a Product, the blocks).

    Args:
        steps: how many there are.
        body: what runs at each step, in order: Map, Product, Rows, Pack and Fill.
        backward: whether the last step runs first.
    """

    steps: int
    body: tuple[Map | Product | Rows | Pack | Fill, ...]
    backward: bool = False


Nest = Map | Product | Rows | Terms | Pack | Fill | Watch | PythonStep | Recurrence | Loop

InLoop = Map | Product | Rows | Pack | Fill


def at_step(nest: InLoop, of: Callable[[Access], Access]) -> InLoop:
    """A nest of a Loop at one step, without the axis of steps; of(access) is the access there."""
    match nest:
        case Map():
            inputs, outputs = tuple(map(of, nest.inputs)), tuple((x, of(access)) for x, access in nest.outputs)
            return replace(nest, axes=nest.axes[1:], inputs=inputs, outputs=outputs)
        case Product():
            left, right, out = (of(x).with_axis(0) for x in (nest.left, nest.right, nest.out))
            return replace(nest, blocks=1, left=left, right=right, out=out)
        case Rows():
            other = None if nest.right is None else of(nest.right)
            return replace(nest, lanes=nest.lanes[1:], left=of(nest.left), right=other, out=of(nest.out))
        case Pack():
            return replace(nest, axes=nest.axes[1:], source=of(nest.source), target=of(nest.target))
        case Fill():
            return replace(nest, axes=nest.axes[1:], target=of(nest.target))


@dataclass(frozen=True)
class Input:
    """A leaf.

    Args:
        kind, index: as of the Leaf.
        size: lanes.
        offset: its place. An unbatched one is put there before the prologue (a seed is 1.0); a batched one is
            packed, or filled, by a nest of the body.
        batched: whether it has rows.
    """

    kind: Kind
    index: int
    size: int
    offset: int
    batched: bool


@dataclass(frozen=True)
class Output:
    """A result: `size` numbers side by side from `offset` on.

    Args:
        size: lanes.
        offset: its place; with rows, `block` numbers a lane after each block of the body.
        batched: whether it has rows. Else it is there when all is done.
        mean: with rows: a nest for the end of the body that adds the rows up into `total`; it is run where the mean is
            asked for, and the rows are copied out where they are.
        total: the sums over the rows, `size` numbers in `sums`.
    """

    size: int
    offset: int
    batched: bool
    mean: Rows | None = None
    total: int = 0


@dataclass(frozen=True)
class Nests:
    """The loops of a plan: see the head of this file.

    Args:
        prologue, body, epilogue: what runs, in order.
        arena: how many numbers it has, with a vector of PAD at the end that only loads reach.
        block: rows in a block.
        literals: (offset, values) that are there from the start.
        tables: int32, one after the other, each padded by PAD of its last entry.
        inputs, outputs: where they are.
        sums: (start, stop) of the sums over rows.
        flag: the offset of PAD numbers, the flag: before a run 0, after it NaN if not to be trusted.
        names: offset of each place -> its name, for people.
    """

    prologue: tuple[Nest, ...]
    body: tuple[Nest, ...]
    epilogue: tuple[Nest, ...]
    arena: int
    block: int
    literals: tuple[tuple[int, Array], ...]
    tables: Array
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    sums: tuple[int, int]
    flag: int
    names: dict[int, str]

    def __str__(self) -> str:
        from autograd_lite.folding.nests_printing import listing

        return listing(self)


Use = tuple[Access, tuple[int, ...], bool, bool]
"""(access, its axes, whether it is written to, whether that may go on to a multiple of PAD)."""


def places(access: Access, axes: Sequence[int]) -> Array:
    """The addresses of an affine access; of one by table, where it looks them up."""
    start, strides = access.offset, access.strides
    if access.table is not None:
        start, strides = access.table, access.table_strides
    counters = np.ogrid[tuple(slice(n) for n in axes)]
    index: Array = start + sum(i * s for i, s in zip(counters, strides, strict=True))
    return index


def span(access: Access, axes: Sequence[int], tables: Array) -> tuple[int, int]:
    """The first and the last number in the arena that an access reaches."""
    low = access.offset + sum(min(0, s * (n - 1)) for s, n in zip(access.strides, axes, strict=True))
    high = access.offset + sum(max(0, s * (n - 1)) for s, n in zip(access.strides, axes, strict=True))
    if access.table is not None:
        entries = tables[places(access, axes)].astype(np.int64) * access.scale
        low, high = low + int(entries.min()), high + int(entries.max())
    return low, high


def heads(nest: Terms, nests: Nests) -> Array:
    """Where the terms of each group start, and how many there are."""
    groups = nest.lanes if nest.rows else -(-nest.lanes // PAD)
    return nests.tables[nest.heads : nest.heads + 2 * groups].reshape(-1, 2)


def uses(nest: Nest, nests: Nests) -> Iterator[Use]:
    """Every access of a nest."""
    match nest:
        case Loop():
            for one in nest.body:
                yield from uses(one, nests)
        case Map():
            yield from ((x, nest.axes, False, False) for x in nest.inputs)
            yield from ((x, nest.axes, True, nest.padded) for _, x in nest.outputs)
        case Recurrence():
            steps: tuple[int, ...] = (nest.steps, nests.block) if nest.rows else (nest.steps,)
            first = dict(nest.carried)  # these are read once
            for k, given in enumerate(nest.inputs):
                once = given.at_first(nest.steps - 1 if nest.backward else 0).with_axis(0) if k in first else given
                yield once, steps, False, False
            yield from ((x, steps, True, False) for _, x in nest.outputs)
        case Product(blocks=b, m=m, n=n, k=k):
            yield nest.left, (b, m, k), False, False
            yield nest.right, (b, k, n), False, False
            yield nest.out, (b, m, n), True, nest.padded
        case Rows():
            for x in (nest.left, nest.right):
                if x is not None:
                    yield x, (*nest.lanes, *nest.terms), False, False
            yield nest.out, nest.lanes, True, nest.padded
        case Terms():
            found = heads(nest, nests)
            wide, tail = (1, (nests.block,)) if nest.rows else (PAD, ())
            terms = int((found[:, 0] + found[:, 1] * wide).max())
            for x in (nest.left, nest.right):
                if x is not None:
                    yield x, (terms, *tail), False, False
            yield nest.out, (nest.lanes, *tail), True, False
        case Pack():
            yield nest.source, nest.axes, False, False
            yield nest.target, nest.axes, True, nest.padded
        case Fill():
            yield nest.target, nest.axes, True, False
        case Watch():
            yield nest.place, nest.axes, False, False
        case PythonStep():
            for access, axes in zip(nest.views[:-1], nest.axes[:-1], strict=True):
                yield access, axes, False, False
            yield nest.views[-1], nest.axes[-1], True, False
