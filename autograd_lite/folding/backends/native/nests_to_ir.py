"""Nests as LLVM IR: one emitter a kind, each the loop of that nest on vectors.

What is added up in which order stands in the nests; here is decided what is free: how many vectors and rows of a
product are in registers at a time, and what is loaded before a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from autograd_lite.engine.lowering import Step
from autograd_lite.folding.backends.native.emit import Block, Scalar, Vector
from autograd_lite.folding.backends.native.following import PLAIN, Followed
from autograd_lite.folding.backends.native.functions import ELEMENTARY
from autograd_lite.folding.backends.native.gathers import Across, Fours, layout, read_across, read_fours
from autograd_lite.folding.nests import (
    ARENA,
    PAD,
    Access,
    Fill,
    Loop,
    Map,
    Nest,
    Nests,
    Output,
    Pack,
    Product,
    Recurrence,
    Rows,
    Terms,
    Watch,
    at_step,
)

FEW = 4
"""Steps that are not PLAIN are called, not written in place, where they run for so few vectors: a call takes a few
nanoseconds more, and what is called is compiled once for all its uses."""

MOST_IN_PLACE = 24
"""Functions that are written in place in one code, at most: each is 40 lines or more, and is compiled again."""

UNROLLED = 16
"""A loop of this many operations in all is written out."""

CHAINS = 4
"""Vectors of sums in registers at a time, where each is one chain of additions: an addition takes four cycles."""

PANEL_BYTES, PANEL_STRIDE = 1 << 14, 2048
"""Columns of the right operand that take more, or whose rows are that far apart, are copied side by side first."""

NARROW = 3
"""Columns of a product, at most, for which its rows are the vectors."""

STREAMED_BYTES = 1 << 18
"""A left operand that takes more is read once; the right one, the rows of a block, stays in the second cache."""

MANY = 5_354_228_880
"""In place of a number of rows or vectors that depends on the length of a sequence, where tiles are chosen; it can be
divided by each number up to 24."""

FEWER = 8
"""A number of lanes may be smaller than that of the steps by about as many, where the first or the last are apart."""

Indices = list[Scalar]

Reader = Callable[[Scalar, Vector | None], Vector]
"""The vector at an index of the last axis; with a mask, 0 where it does not hold."""

FollowerOfRow = Callable[[Vector, str, Scalar, "Vector | None", list[Vector]], list[Vector]]
"""What is done with a vector of a product: (the vector, its address, the column, its mask, flags) -> flags."""

Follower = Callable[[Scalar], FollowerOfRow]
"""The same for any row."""


@dataclass(frozen=True)
class Moved(Access):
    """An access at a step of a loop: its offset goes on by index times stride, and so does its place in the table."""

    moved: tuple[tuple[Scalar, int], ...] = ()
    table_moved: tuple[tuple[Scalar, int], ...] = ()

    @classmethod
    def at(cls, access: Access, step: Scalar) -> Access:  # type: ignore[override]
        """An access at an index of its first axis, without that axis."""
        first = access.at_first(0)
        table = ((step, access.table_strides[0]),) if access.table is not None else ()
        return cls(first.offset, first.strides, first.table, first.table_strides, first.scale, first.base,
                   ((step, access.strides[0]),), table)  # fmt: skip


@dataclass
class Frame:
    """What the functions of one program share.

    Args:
        nests: the loops.
        tile: how many accumulators of a product fit into the registers.
        doubts: whether a NaN in an output is a reason not to trust it.
        arena: how many numbers the arena has, with what is needed here in addition.
        steps: how many each loop has that runs step by step: with one, the text is to be the same for sequences of
            any length, but for numbers; see lengths.py.
    """

    nests: Nests
    tile: int
    doubts: bool
    arena: int
    steps: frozenset[int] = frozenset()

    def size(self, index: int) -> int:
        """How many lanes an input has."""
        return next(x.size for x in self.nests.inputs if x.kind == "input" and x.index == index)


class Emitter:
    """Writes nests into one function."""

    frame: Frame
    nests: Nests
    block: Block

    def __init__(self, frame: Frame, block: Block) -> None:
        self.frame, self.nests, self.block = frame, frame.nests, block
        self.used: int = 0
        self.lanes: int = block.lanes
        self.stepping: bool = False
        """Whether a nest of a Loop is written: what is in one step does not depend on how many there are."""

    def emit(self, nest: Nest | Followed) -> None:
        """Write one nest."""
        watches = bool(getattr(nest, "watch", ())) or isinstance(nest, (Watch, Loop))
        flags = [self.block.constant(0.0)] if watches else []
        found = self.nest(nest, flags)
        if watches:
            place = self.block.address("%arena", (self.nests.flag, 1))
            self.block.store(self.block.load(place) + found[0], place)

    def nest(self, nest: Nest | Followed, flags: list[Vector]) -> list[Vector]:
        """Write one nest. The emitter of a kind gets the flag if it watches, and gives it back."""
        match nest:
            case Map():
                return self.map(nest, flags)
            case Product():
                return self.product(nest, flags)
            case Followed():
                return self.product(nest.product, flags, self.follower(nest))
            case Rows():
                return self.rows(nest, flags)
            case Terms():
                return self.terms(nest, flags)
            case Watch():
                return self.watch(nest, flags)
            case Pack():
                return self.pack(nest, flags)
            case Fill():
                return self.fill(nest, flags)
            case Recurrence():
                return self.recurrence(nest, flags)
            case Loop():
                return self.loop(nest, flags)
        raise TypeError(f"native: a nest of type {type(nest).__name__}")

    # -- sizes that depend on the length of a sequence

    def long(self, n: Scalar) -> bool:
        """Whether n may be another number at another length, so that no line may depend on more than its value.

        So are the lanes of all steps, or of nearly all. That a number is as large by chance costs a mask, and a code
        for the lengths where it is.
        """
        if self.stepping or not isinstance(n, int) or n <= self.lanes or (self.nests.body and n == self.nests.block):
            return False
        if any(n == x.size for x in self.nests.inputs if x.kind == "theta"):
            return False
        of_each = [(steps, max(1, round(n / steps))) for steps in self.frame.steps]
        return any(abs(n - steps * lanes) <= FEWER * lanes for steps, lanes in of_each)

    def pieces(
        self, n: int, step: int, unit: int, piece: Callable[[Scalar, int, list[Vector]], Sequence[Vector]],
        flags: list[Vector],
    ) -> list[Vector]:  # fmt: skip
        """piece(start, size, flags) -> flags for what is below n: whole pieces of `step`, then what is left of them.

        Of any length, what is left goes unit by unit.
        """
        full, block = n // step * step, self.block
        if self.long(n):
            flags = block.loop(full, step, lambda i, flags: piece(i, step, flags), flags, perhaps=True)
            return block.loop(n, unit, lambda i, flags: piece(i, unit, flags), flags, full, perhaps=True)
        flags = block.loop(full, step, lambda i, flags: piece(i, step, flags), flags)
        return list(piece(full, n - full, flags)) if full < n else flags

    # -- scalars

    def least(self, a: Scalar, b: Scalar) -> Scalar:
        """The smaller one of two whole numbers."""
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self.block.operation(f"select i1 {self.block.operation(f'icmp slt i64 {a}, {b}')}, i64 {a}, i64 {b}")

    def valid(self) -> Scalar:
        """How many rows of the block belong to the batch."""
        return self.least(self.block.operation("sub i64 %rows, %first"), self.nests.block)

    def seed(self) -> Vector:
        """1 / rows in every lane."""
        return 1.0 / self.block.spread(self.block.operation(f"sitofp i64 %rows to {self.block.number.name}"))

    def means(self) -> None:
        """The sums over rows of outputs, divided by the rows."""
        block = self.block
        rows = block.spread(block.operation(f"sitofp i64 %rows to {block.number.name}"))
        for output in self.nests.outputs:
            if output.mean is not None:

                def body(i: Scalar, _: list[Vector], output: Output = output) -> Sequence[Vector]:
                    place = block.address("%arena", (output.total, 1), (i, 1))
                    block.store(block.load(place) / rows, place, self.inside(i, output.size))
                    return ()

                block.loop(output.size, self.lanes, body)

    # -- the flag and the sums

    def clear_flag(self) -> None:
        """The flag, 0."""
        for lane in range(0, PAD, self.lanes):
            self.block.store(0.0, self.block.address("%arena", (self.nests.flag + lane, 1)))

    def report_flag(self, last: bool = False) -> None:
        """Whether the flag is NaN, to the context; at last with what there is one of in the outputs."""
        if last:
            self.doubt([x for x in self.nests.outputs if not x.batched])
        block, total = self.block, self.block.constant(0.0)
        for lane in range(0, PAD, self.lanes):
            total = total + block.load(block.address("%arena", (self.nests.flag + lane, 1)))
        found = block.operation(f"fcmp uno {block.number.name} {block.sum(total)}, 0.0")
        block.lines.append(f"  store i64 {block.operation(f'zext i1 {found} to i64')}, ptr %at.flagged, align 8")

    def doubt(self, outputs: Sequence[Output]) -> None:
        """The flag is NaN if one of these is, where that is a reason to doubt the plan."""
        block = self.block
        for output in outputs if self.frame.doubts else ():
            n = output.size * (self.nests.block if output.batched else 1)

            def body(i: Scalar, flags: list[Vector], output: Output = output, n: int = n) -> Sequence[Vector]:
                x = block.load(block.address("%arena", (output.offset, 1), (i, 1)), self.inside(i, n))
                return [block.select(x.is_nan(), x, flags[0])]

            place = block.address("%arena", (self.nests.flag, 1))
            (found,) = block.loop(n, self.lanes, body, [block.constant(0.0)])
            block.store(block.load(place) + found, place)

    def clear_sums(self) -> None:
        """The sums over rows, 0."""
        start, stop = self.nests.sums
        self.fill(Fill((stop - start,), Access(start, (1,))), []) if stop > start else None

    # -- accesses

    def pointer(self, access: Access, indices: Indices, i: Scalar = 0) -> str:
        """The address at these indices, and where it has a last axis more, at i there."""
        block = self.block
        terms: list[tuple[Scalar, int]] = [*self.start(access), *zip(indices, access.strides, strict=False)]
        if len(access.strides) > len(indices):
            terms.append((i, access.strides[-1]))
        if access.table is not None:
            terms.append((block.load_place(self.entry(access, indices)), access.scale))
        return block.address(self.base(access), *terms)

    def entry(self, access: Access, indices: Indices, i: Scalar = 0) -> str:
        """The address of an entry of its table."""
        assert access.table is not None
        given = [*indices, i] if len(access.table_strides) > len(indices) else indices
        moved = access.table_moved if isinstance(access, Moved) else ()
        return self.block.address(
            "%tables", (access.table, 1), *moved, *zip(given, access.table_strides, strict=True), of="i32"
        )

    def start(self, access: Access) -> list[tuple[Scalar, int]]:
        """Its offset."""
        return [(access.offset, 1), *(access.moved if isinstance(access, Moved) else ())]

    def base(self, access: Access) -> str:
        """What its offset counts from."""
        if access.base == ARENA:
            return "%arena"
        block = self.block
        at = block.operation(f"getelementptr ptr, ptr %bases, i64 {access.base}")
        start = block.operation(f"load ptr, ptr {at}, align 8")  # nothing writes there while this runs
        return block.address(start, ("%first", self.frame.size(access.base)))

    def steps_of(self, stride: int) -> Vector:
        """An index vector: 0, stride, 2 stride ..."""
        return self.block.vector(f"<{', '.join(f'i32 {lane * stride}' for lane in range(self.lanes))}>", "index")

    def reader(self, access: Access, indices: Indices, n: int) -> Reader:
        """What reads vectors along the last axis, of n elements, at these indices of the others."""
        block, stride = self.block, access.strides[-1]
        gathers = access.table is not None and access.table_strides[-1] != 0
        if gathers and n > 1:
            assert access.table_strides[-1] == 1
            affine = replace(access, table=None, table_strides=())
            start = self.pointer(affine, indices)

            def gather(i: Scalar, mask: Vector | None) -> Vector:
                index = block.load_index(self.entry(access, indices, i))
                if access.scale != 1:
                    index = block.made(f"mul {index.type} {index.name}, splat (i32 {access.scale})", "index")
                if stride:
                    index = block.bitwise("add", index, self.steps_of(stride))
                return block.gather(block.address(start, (i, stride)), index, mask)

            return gather
        if stride == 0 or n == 1:
            one = block.load_one(self.pointer(access, [*indices, 0] if gathers else indices))
            return lambda i, mask: one if mask is None else block.select(mask, one, 0.0)
        start = self.pointer(access, indices)
        if stride == 1:
            return lambda i, mask: block.load(block.address(start, (i, 1)), mask)
        far = self.steps_of(stride)
        return lambda i, mask: block.gather(
            block.address(start, (i, stride)), far, self.inside(i, n) if mask is None else mask
        )

    def inside(self, i: Scalar, n: Scalar, step: int = 0) -> Vector | None:
        """The mask of the lanes below n, or None if all of them are; i is below n rounded up to a multiple of step."""
        if isinstance(n, int) and n % (step or self.lanes) == 0 and not self.long(n):
            return None
        if isinstance(n, int) and isinstance(i, int) and i + self.lanes <= n:
            return None
        return self.block.first_lanes(i, n)

    def write(
        self,
        x: Vector | float,
        access: Access,
        indices: Indices,
        i: Scalar,
        n: int,
        padded: bool = False,
        step: int = 0,
    ) -> None:
        """A vector to index i of the last axis, of n elements; for `step` see inside."""
        if n == 1:
            gathers = access.table is not None and access.table_strides[-1] != 0
            self.write_one(x, self.pointer(access, [*indices, 0] if gathers else indices))
        else:
            self.write_vector(x, access, indices, i, None if padded else self.inside(i, n, step))

    def write_vector(self, x: Vector | float, access: Access, indices: Indices, i: Scalar, mask: Vector | None) -> None:
        """A vector to index i of the last axis."""
        block, stride = self.block, access.strides[-1]
        if access.table is not None and access.table_strides[-1] != 0:
            affine = replace(access, table=None, table_strides=())
            index = block.load_index(self.entry(access, indices, i))
            if access.scale != 1:
                index = block.made(f"mul {index.type} {index.name}, splat (i32 {access.scale})", "index")
            if stride:
                index = block.bitwise("add", index, self.steps_of(stride))
            block.scatter(x, self.pointer(affine, indices, i), index, mask)
        elif stride == 1:
            block.store(x, self.pointer(access, indices, i), mask)
        else:
            block.scatter(x, self.pointer(access, indices, i), self.steps_of(stride), mask)

    def write_one(self, x: Vector | float, pointer: str) -> None:
        """The first lane to an address. (A vector of which one lane was stored could not be loaded in time.)"""
        block = self.block
        if isinstance(x, Vector):
            block.store_one(block.operation(f"extractelement {x.type} {x.name}, i64 0"), pointer)
        else:
            block.store_one(block.number.literal(x), pointer)

    def over(
        self,
        axes: Sequence[int],
        body: Callable[[Indices, list[Vector]], Sequence[Vector]],
        carried: Sequence[Vector],
        indices: Indices | None = None,
    ) -> list[Vector]:
        """body(indices, carried) -> carried, for every index of the axes in order."""
        before = indices or []
        if len(before) == len(axes):
            return list(body(before, list(carried)))
        return self.block.loop(
            axes[len(before)], 1, lambda i, inside: self.over(axes, body, inside, [*before, i]), carried
        )

    def watched(self, flags: list[Vector], x: Vector | float, mask: Vector | None) -> list[Vector]:
        """The flag with one more vector in it.

        x * 0 is a zero or NaN. They are combined by their bits, which takes one cycle where an addition takes four.
        """
        if not isinstance(x, Vector):
            return flags
        block, nothing = self.block, x * 0.0
        if mask is not None:
            nothing = block.select(mask, nothing, 0.0)
        return [block.real(block.bits(flags[0]) | block.bits(nothing))]

    # -- kinds of nests

    def map(self, x: Map, flags: list[Vector]) -> list[Vector]:
        """Read, compute and write vector by vector; what does not move along the last axis is read before it."""
        block, n = self.block, x.axes[-1]
        few = prod(x.axes[:-1]) * -(-n // self.lanes) < FEW and not self.long(n)
        few = few or sum(step.name not in PLAIN for step in x.code) > MOST_IN_PLACE

        inputs = [self.side_by_side(access, x.axes) for access in x.inputs]
        work = max(len(x.code) + len(inputs), 1)  # a number alone has neither
        unrolled = -(-n // self.lanes) * work <= UNROLLED and not self.long(n)

        def along(indices: Indices, flags: list[Vector]) -> Sequence[Vector]:
            readers = [self.reader(access, indices, n) for access in inputs]

            def body(i: Scalar, flags: list[Vector]) -> Sequence[Vector]:
                values = self.values(x.code, [read(i, None) for read in readers], few)
                for value, access in x.outputs:
                    self.write(values[value] if isinstance(value, int) else value, access, indices, i, n, x.padded)
                for k in x.watch:
                    flags = self.watched(flags, values[k], None if n == 1 else self.inside(i, n))
                return flags

            if not unrolled:
                return block.loop(n, self.lanes, body, flags)
            for i in range(0, n, self.lanes):
                flags = list(body(i, flags))
            return flags

        return self.over(x.axes[:-1], along, flags)

    def recurrence(self, x: Recurrence, flags: list[Vector]) -> list[Vector]:
        """Step after step on numbers, or on vectors of rows; what no step moves is read before the first."""
        block = self.block
        n = self.nests.block if x.rows else 1
        start = x.steps - 1 if x.backward else 0

        def read(access: Access, step: Scalar, i: Scalar) -> Vector:
            moved = Moved.at(access, step)
            if x.rows and moved.strides[-1]:
                return block.load(self.pointer(moved, [], i))
            return block.load_one(self.pointer(moved if not x.rows else replace(moved, strides=()), []))

        def some(i: Scalar, flags: list[Vector]) -> Sequence[Vector]:
            carried = dict(x.carried)
            fixed = {
                k: read(access, start, i) for k, access in enumerate(x.inputs)
                if k in carried or not (access.strides[0] or any(access.table_strides[:1]))
            }  # fmt: skip

            def step(count: Scalar, before: list[Vector]) -> Sequence[Vector]:
                t = block.operation(f"sub i64 {start}, {count}") if x.backward else count
                known = {**fixed, **dict(zip(carried, before, strict=False))}
                given = [known[k] if k in known else read(access, t, i) for k, access in enumerate(x.inputs)]
                values = self.values(x.code, given, False)

                def of(value: int | float) -> Vector | float:
                    return values[value] if isinstance(value, int) else value

                for value, access in x.outputs:
                    moved = Moved.at(access, t)
                    if x.rows:
                        block.store(of(value), self.pointer(moved, [], i))
                    else:
                        self.write_one(of(value), self.pointer(moved, []))
                left = [block.whole(of(value)) for value in carried.values()]
                if not x.watch:
                    return [*left, *before[len(left) :]]
                total = block.whole(of(x.watch[0]))
                for k in x.watch[1:]:
                    total = total + of(k)
                return [*left, *self.watched(before[len(left) :], total, None)]

            found = block.loop(x.steps, 1, step, [*(fixed[k] for k in carried), *flags])
            return found[len(carried) :]

        return block.loop(n, self.lanes, some, flags)

    def loop(self, x: Loop, flags: list[Vector]) -> list[Vector]:
        """Nests step after step."""
        block = self.block

        def step(count: Scalar, flags: list[Vector]) -> Sequence[Vector]:
            t = block.operation(f"sub i64 {x.steps - 1}, {count}") if x.backward else count
            for one in x.body:
                flags = self.nest(at_step(one, lambda access: Moved.at(access, t)), flags)
            return flags

        self.stepping = True
        found = block.loop(x.steps, 1, step, flags)
        self.stepping = False
        return found

    def side_by_side(self, access: Access, axes: tuple[int, ...]) -> Access:
        """An input that is the same for each index of the outer axes, but gathered, copied to where it is loaded."""
        n = axes[-1]
        far = access.strides[-1] not in (0, 1) or (access.table is not None and access.table_strides[-1] != 0)
        again = not any(access.strides[:-1]) and not any(access.table_strides[:-1]) and prod(axes[:-1]) > 2
        if not far or not again or n == 1:
            return access
        block, outer = self.block, [0] * (len(axes) - 1)
        copy = Access(self.scratch(n), (*outer, 1))
        read = self.reader(access, list(outer), n)

        def body(i: Scalar, _: list[Vector]) -> Sequence[Vector]:
            self.write(read(i, None), copy, list(outer), i, n, padded=True)
            return ()

        block.loop(n, self.lanes, body)
        return copy

    def values(self, code: Sequence[Step], given: Sequence[Vector], few: bool) -> list[Any]:
        """All values of a code, those given first: vectors, or numbers that are known."""
        values: list[Vector | float] = list(given)
        for step in code:
            values.append(self.step(step, [a if isinstance(a, float) else values[a] for a in step.args], few))
        return values

    def step(self, step: Step, args: list[Vector | float], few: bool) -> Vector | float:
        """One step of a code."""
        block, name = self.block, step.name
        if name == "fma":
            return block.fma(*args)
        if name in ("max", "min"):
            return self.larger(name, *args)
        function = ELEMENTARY[name]
        known_power = name == "pow" and isinstance(args[1], float)
        if few and name not in PLAIN and not known_power:
            return block.call(f"{name}.function", function, *args)
        return function(*args)

    def larger(self, name: str, a: Vector | float, b: Vector | float) -> Vector:
        """max: a where a >= b or a is NaN, else b; or min."""
        block = self.block
        mask = block.compare(">=" if name == "max" else "<=", a, b)
        if isinstance(a, Vector):
            mask = mask | a.is_nan()
        return block.select(mask, a, b)

    def follower(self, x: Followed) -> Follower:
        """What runs the map of a product: for a row, what takes a vector of it."""
        n, code = x.map.axes[-1], x.map
        inputs = [self.side_by_side(access, code.axes) for access in code.inputs]

        def of(row: Scalar) -> FollowerOfRow:
            readers = [None if k in x.element else self.reader(access, [row], n) for k, access in enumerate(inputs)]

            def vector(total: Vector, to: str, i: Scalar, mask: Vector | None, flags: list[Vector]) -> list[Vector]:
                if x.stored:
                    self.block.store(total, to, mask)
                values = self.values(code.code, [total if read is None else read(i, None) for read in readers], False)
                for value, access in code.outputs:
                    self.write_vector(values[value] if isinstance(value, int) else value, access, [row], i, mask)
                for k in code.watch:
                    flags = self.watched(flags, values[k], mask)
                return flags

            return vector

        return of

    def product(self, x: Product, flags: list[Vector], follower: Follower | None = None) -> list[Vector]:
        """Tiles of some rows by some vectors of columns, whose sums stay in registers over all terms."""
        block, lanes = self.block, self.lanes
        if x.rows == "m":
            return self.turned_product(x, flags, follower)
        narrow = x.n <= NARROW and x.m >= lanes and x.left.strides[1] == 1 and not x.rows and x.right.base == ARENA
        if narrow and follower is None:
            return self.narrow_product(x, flags)
        height, width = _tile(MANY if self.long(x.m) else x.m, MANY if self.long(x.n) else -(-x.n // lanes),
                              self.frame.tile)  # fmt: skip
        k: Scalar = self.valid() if x.rows == "k" else x.k
        row_bytes = x.right.strides[1] * block.number.bits // 8
        panel = None
        streamed = x.rows == "n" and x.m * x.k * block.number.bits // 8 > STREAMED_BYTES
        if not streamed and x.m >= 4 * height and (x.k * width * 64 > PANEL_BYTES or row_bytes >= PANEL_STRIDE):
            panel = Access(self.scratch(x.k * width * lanes), (0, width * lanes, 1))

        def mask_of(j: Scalar, q: int, wide: int) -> Vector | None:
            """Only the last vector of a row may be cut off; of any length, one that is not of a whole piece."""
            if q < wide - 1 or (wide == width > 1 if self.long(x.n) else x.n % lanes == 0):
                return None
            return self.inside(block.offset((j, 1), (q * lanes, 1)), x.n)

        def columns(b: Scalar, j: Scalar, wide: int, rows: tuple[Scalar, int], flags: list[Vector]) -> list[Vector]:
            """`wide` vectors of columns from j on, for some rows: from one on, that many."""
            masks = [mask_of(j, q, wide) for q in range(wide)]
            outside = [mask if x.right.base != ARENA else None for mask in masks]  # an array may end there
            right, start = (
                x.right,
                block.address(self.base(x.right), *self.start(x.right), (b, x.right.strides[0]), (j, 1)),
            )
            stride = right.strides[1]
            if panel is not None:
                to = block.address("%arena", (panel.offset, 1))

                def copy(t: Scalar, _: list[Vector], start: str = start) -> Sequence[Vector]:
                    for q in range(wide):
                        one = block.load(block.address(start, (t, right.strides[1]), (q * lanes, 1)), outside[q])
                        block.store(one, block.address(to, (t, width * lanes), (q * lanes, 1)))
                    return ()

                block.loop(k, 1, copy)
                start, stride, outside = to, width * lanes, [None] * wide

            def tile(i: Scalar, high: int, flags: list[Vector]) -> list[Vector]:
                lefts = [
                    block.address(
                        self.base(x.left),
                        *self.start(x.left),
                        (b, x.left.strides[0]),
                        (i, x.left.strides[1]),
                        (r, x.left.strides[1]),
                    )
                    for r in range(high)
                ]

                def term(t: Scalar, sums: list[Vector]) -> Sequence[Vector]:
                    columns = [
                        block.load(block.address(start, (t, stride), (q * lanes, 1)), outside[q]) for q in range(wide)
                    ]
                    found = []
                    for r in range(high):
                        a = block.load_one(block.address(lefts[r], (t, x.left.strides[2])))
                        found += [block.fma(a, c, s) for c, s in zip(columns, sums[r * wide :], strict=False)]
                    return found

                sums = block.loop(k, 1, term, [block.constant(0.0)] * (high * wide))
                for r in range(high):
                    to = block.address("%arena", *self.start(x.out), (b, x.out.strides[0]), (i, x.out.strides[1]),
                                       (r, x.out.strides[1]), (j, 1))  # fmt: skip
                    after = None if follower is None else follower(block.offset((i, 1), (r, 1)))
                    for q in range(wide):
                        place = block.offset((j, 1), (q * lanes, 1))
                        at = block.address(to, (q * lanes, 1))
                        flags = self.finish(x, sums[r * wide + q], at, place, masks[q], flags, after)
                return flags

            start_row, count = rows
            if isinstance(start_row, str) or (count <= height and not self.long(count)):
                return tile(start_row, count, flags)
            return self.pieces(count, height, 1, tile, flags)

        def one(b: Scalar, rows: tuple[Scalar, int], flags: list[Vector]) -> list[Vector]:
            def some(j: Scalar, size: int, flags: list[Vector]) -> list[Vector]:
                return columns(b, j, -(-size // lanes), rows, flags)

            return self.pieces(x.n, width * lanes, lanes, some, flags)

        def each(b: Scalar, flags: list[Vector]) -> list[Vector]:
            if not streamed:
                return one(b, (0, x.m), flags)
            return self.pieces(x.m, height, 1, lambda i, high, flags: one(b, (i, high), flags), flags)

        return block.loop(x.blocks, 1, each, flags)

    def narrow_product(self, x: Product, flags: list[Vector]) -> list[Vector]:
        """A product of so few columns that a vector of them would be mostly empty: vectors of rows, which lie so."""
        block, lanes = self.block, self.lanes
        high = max(1, min(MANY if self.long(x.m) else -(-x.m // lanes), self.frame.tile // x.n))

        def some(b: Scalar, i: Scalar, count: int, flags: list[Vector]) -> list[Vector]:
            left = block.address("%arena", (x.left.offset, 1), (b, x.left.strides[0]), (i, 1))
            right = block.address("%arena", (x.right.offset, 1), (b, x.right.strides[0]))

            def term(t: Scalar, sums: list[Vector]) -> Sequence[Vector]:
                rows = [block.load(block.address(left, (t, x.left.strides[2]), (q * lanes, 1))) for q in range(count)]
                found = []
                for j in range(x.n):
                    c = block.load_one(block.address(right, (t, x.right.strides[1]), (j, 1)))
                    found += [block.fma(a, c, s) for a, s in zip(rows, sums[j * count :], strict=False)]
                return found

            sums = block.loop(x.k, 1, term, [block.constant(0.0)] * (count * x.n))
            for k, total in enumerate(sums):
                out = Access(x.out.offset + k // count, x.out.strides[:2])
                place = block.offset((i, 1), (k % count * lanes, 1))
                total = total * x.factor if x.factor != 1.0 else total
                if x.add:
                    total = self.reader(out, [b], x.m)(place, self.inside(place, x.m)) + total
                self.write(total, out, [b], place, x.m)
                if x.watch:
                    flags = self.watched(flags, total, self.inside(place, x.m))
            return flags

        def one(b: Scalar, flags: list[Vector]) -> Sequence[Vector]:
            def piece(i: Scalar, size: int, flags: list[Vector]) -> list[Vector]:
                return some(b, i, -(-size // lanes), flags)

            return self.pieces(x.m, high * lanes, lanes, piece, flags)

        return block.loop(x.blocks, 1, one, flags)

    def turned_product(self, x: Product, flags: list[Vector], follower: Follower | None) -> list[Vector]:
        """A product of rows of a batch as they come: its rows lie side by side in the result, and are turned so, a
        square at a time, in registers."""
        block, lanes = self.block, self.lanes
        base, last = self.base(x.left), block.operation(f"sub i64 {self.valid()}, 1")
        right = block.address("%arena", *self.start(x.right))
        high = lanes if lanes <= self.frame.tile else 4
        full = x.n // lanes
        width = max(1, min(self.frame.tile // high, 2 if full % 3 else 3))
        scratch = block.address("%arena", (self.scratch(lanes * lanes * width), 1)) if high < lanes else ""

        def chains(i: Scalar, r: int, j: Scalar, wide: int) -> list[Vector]:
            """The sums of some rows, from row i + r on, and some vectors of columns, from j on."""
            rows = [self.least(block.offset((i, 1), (q, 1)), last) for q in range(r, r + high)]
            lefts = [block.address(base, *self.start(x.left), (row, x.left.strides[1])) for row in rows]
            start = block.address(right, (j, 1))

            def term(t: Scalar, sums: list[Vector]) -> Sequence[Vector]:
                columns = [
                    block.load(block.address(start, (t, x.right.strides[1]), (q * lanes, 1))) for q in range(wide)
                ]
                found = []
                for q, left in enumerate(lefts):
                    a = block.load_one(block.address(left, (t, x.left.strides[2])))
                    found += [block.fma(a, c, s) for c, s in zip(columns, sums[q * wide :], strict=False)]
                return found

            return block.loop(x.k, 1, term, [block.constant(0.0)] * (high * wide))

        def some(i: Scalar, j: Scalar, columns: int, flags: list[Vector]) -> list[Vector]:
            wide = -(-columns // lanes)
            found = []
            for r in range(0, lanes, high):
                sums = chains(i, r, j, wide)
                for q, total in enumerate(sums if scratch else ()):
                    block.store(total, block.address(scratch, (r * wide + q, lanes)))
                found += sums
            if scratch:  # a square has more vectors than there are registers
                found = [block.load(block.address(scratch, (q, lanes))) for q in range(lanes * wide)]
            for q in range(wide):
                turned = block.transpose(found[q::wide])
                for c in range(q * lanes, min(columns, (q + 1) * lanes)):
                    column = block.offset((j, 1), (c, 1))
                    to = block.address("%arena", *self.start(x.out), (i, 1), (column, x.out.strides[2]))
                    after = None if follower is None else follower(column)
                    flags = self.finish(x, turned[c - q * lanes], to, i, None, flags, after)
            return flags

        def strip(j: Scalar, columns: int, flags: list[Vector]) -> list[Vector]:
            return block.loop(x.m, lanes, lambda i, flags: some(i, j, columns, flags), flags)

        step = width * lanes
        whole = x.n // step * step
        flags = block.loop(whole, step, lambda j, flags: strip(j, step, flags), flags)
        return strip(whole, x.n - whole, flags) if whole < x.n else flags

    def finish(
        self, x: Product, total: Vector, to: str, j: Scalar, mask: Vector | None, flags: list[Vector],
        after: FollowerOfRow | None,
    ) -> list[Vector]:  # fmt: skip
        """A vector of sums, from column j on, to where it goes."""
        if x.factor != 1.0:
            total = total * x.factor
        if x.add:
            total = self.block.load(to) + total
        if x.watch:
            flags = self.watched(flags, total, mask)
        if after is not None:
            return after(total, to, j, mask, flags)
        self.block.store(total, to, None if x.padded else mask)
        return flags

    def scratch(self, size: int) -> int:
        """The offset of numbers behind the arena that a nest may use while it runs; all nests use the same."""
        start = self.nests.arena + self.used
        self.used += -(-size // PAD) * PAD + PAD
        self.frame.arena = max(self.frame.arena, self.nests.arena + self.used)
        return start

    def combined(self, x: Rows | Terms, total: Vector, left: Vector, right: Vector | None) -> Vector:
        """A sum, a maximum or a minimum with one more term."""
        if x.combine != "add":
            return self.larger(x.combine, total, left)
        return total + left if right is None else self.block.fma(left, right, total)

    def rows(self, x: Rows, flags: list[Vector]) -> list[Vector]:
        """Sums, maxima or minima of terms that lie regularly."""
        return self.along_lanes(x, flags) if x.along == "lanes" else self.along_terms(x, flags)

    def along_lanes(self, x: Rows, flags: list[Vector]) -> list[Vector]:
        """Each lane is one chain; some vectors of lanes at a time, so that one addition need not wait for another."""
        block, lanes, n, axis = self.block, self.lanes, x.lanes[-1], len(x.lanes) - 1
        left, right = _moved(x.left, axis), None if x.right is None else _moved(x.right, axis)

        def some(indices: Indices, i: Scalar, count: int, flags: list[Vector]) -> list[Vector]:
            places = [block.offset((i, 1), (q * lanes, 1)) for q in range(count)]

            def term(at: Indices, sums: list[Vector]) -> Sequence[Vector]:
                a = self.reader(left, at, n)
                b = None if right is None else self.reader(right, at, n)
                return [
                    self.combined(x, total, a(place, None), None if b is None else b(place, None))
                    for place, total in zip(places, sums, strict=True)
                ]

            sums = [block.constant(0.0)] * count
            if x.combine != "add":  # the first term once more changes nothing
                first = self.reader(left, [*indices, *[0] * len(x.terms)], n)
                sums = [first(place, None) for place in places]
            axes = [*x.lanes[:-1], *x.terms]
            sums = self.over(axes, term, sums, indices)
            for place, total in zip(places, sums, strict=True):
                total = total * x.factor if x.factor != 1.0 else total
                if x.add:
                    total = self.reader(x.out, indices, n)(place, None) + total
                self.write(total, x.out, indices, place, n, x.padded)
                if x.watch:
                    flags = self.watched(flags, total, None if n == 1 else self.inside(place, n))
            return flags

        def one(indices: Indices, flags: list[Vector]) -> Sequence[Vector]:
            def piece(i: Scalar, size: int, flags: list[Vector]) -> list[Vector]:
                return some(indices, i, -(-size // lanes), flags)

            return self.pieces(n, CHAINS * lanes, lanes, piece, flags)

        return self.over(x.lanes[:-1], one, flags)

    def along_terms(self, x: Rows, flags: list[Vector]) -> list[Vector]:
        """Each lane in four sums of vectors, which are added up at its end."""
        block, lanes, n = self.block, self.lanes, x.terms[-1]
        end: Scalar = self.valid() if x.rows else n
        for i in range(0, n, lanes) if x.rows else ():
            self.inside(i, end)  # written before the loops, the masks are there in all of them

        def one(indices: Indices, flags: list[Vector]) -> Sequence[Vector]:
            def term(at: Indices, sums: list[Vector]) -> Sequence[Vector]:
                left = self.reader(x.left, at, n)
                right = None if x.right is None else self.reader(x.right, at, n)

                whole = False

                def vector(total: Vector, i: Scalar) -> Vector:
                    mask = None if whole else self.inside(i, end)
                    a, b = left(i, mask), None if right is None else right(i, mask)
                    found = self.combined(x, total, a, b)
                    return found if mask is None or x.combine == "add" else block.select(mask, found, total)

                def four(i: Scalar, sums: list[Vector]) -> Sequence[Vector]:
                    return [vector(total, block.offset((i, 1), (q * lanes, 1))) for q, total in enumerate(sums)]

                if x.rows:
                    for i in range(0, n, 4 * lanes):
                        sums = list(four(i, sums))
                    return sums
                full = n // (4 * lanes) * 4 * lanes
                if self.long(n):
                    whole = True
                    sums = block.loop(full, 4 * lanes, four, sums, perhaps=True)
                    whole = False
                    return block.loop(n, 4 * lanes, four, sums, full, perhaps=True)
                sums = block.loop(full, 4 * lanes, four, sums)
                for q, i in enumerate(range(full, n, lanes)):
                    sums[q] = vector(sums[q], i)
                return sums

            start = block.constant(0.0)
            if x.combine != "add":
                start = block.load_one(self.pointer(x.left, [*indices, *[0] * len(x.terms)]))
            sums = self.over([*x.lanes, *x.terms[:-1]], term, [start] * 4, indices)

            def both(a: Vector, b: Vector) -> Vector:
                return a + b if x.combine == "add" else self.larger(x.combine, a, b)

            total = block.spread(block.reduce(both, both(both(sums[0], sums[1]), both(sums[2], sums[3]))))
            total = total * x.factor if x.factor != 1.0 else total
            to = self.pointer(x.out, indices)
            if x.add:
                total = block.load_one(to) + total
            self.write_one(total, to)
            return self.watched(flags, total, None) if x.watch else flags

        return self.over(x.lanes, one, flags)

    def terms(self, x: Terms, flags: list[Vector]) -> list[Vector]:
        """Sums of different lengths by tables: sixteen lanes, or the rows of one lane, at a time."""
        block, lanes = self.block, self.lanes
        groups = x.lanes if x.rows else -(-x.lanes // PAD)
        width = self.nests.block if x.rows else PAD
        step = min(CHAINS * lanes, width)
        operands = [y for y in (x.left, x.right) if y is not None]
        layouts = [layout(self.nests, x, y) if lanes == 8 else None for y in operands]
        fours = next((y.fours for y in layouts if isinstance(y, Across)), 0)

        def some(g: Scalar, place: Scalar, start: str, count: str, flags: list[Vector]) -> Sequence[Vector]:
            """Some vectors of a group from `place` on: of its rows, or of its lanes."""
            places = [block.offset((place, 1), (q, 1)) for q in range(0, step, lanes)]

            def read(y: Access, how: Fours | Across | None, t: Scalar) -> list[Vector]:
                if x.rows:
                    reader = self.reader(y, [block.offset((start, 1), (t, 1))], width)
                    return [reader(i, None) for i in places]
                if isinstance(how, Fours):
                    return [read_fours(block, how, y, ((start, 1), (t, PAD), (i, 1))) for i in places]
                reader = self.reader(y, [], 2 * PAD)
                return [reader(block.offset((start, 1), (t, PAD), (i, 1)), None) for i in places]

            def term(t: Scalar, sums: list[Vector]) -> Sequence[Vector]:
                return added(sums, [read(y, how, t) for y, how in zip(operands, layouts, strict=True)])

            def added(sums: list[Vector], read: list[list[Vector]]) -> list[Vector]:
                rights: Sequence[Vector | None] = read[1] if x.right is not None else [None] * len(sums)
                return [self.combined(x, *three) for three in zip(sums, read[0], rights, strict=True)]

            def four(k: int, sums: list[Vector]) -> list[Vector]:
                """Four terms, of which an operand at least is read at once."""
                at = [
                    [list(each) for each in zip(*(
                        read_across(block, how, y, ((start, 1), (4 * k, PAD), (i, 1))) for i in places
                    ), strict=True)]
                    if isinstance(how, Across)
                    else [read(y, how, 4 * k + u) for u in range(4)]
                    for y, how in zip(operands, layouts, strict=True)
                ]  # fmt: skip
                for both in zip(*at, strict=True):
                    sums = added(sums, list(both))
                return sums

            sums = [block.constant(0.0)] * len(places) if x.combine == "add" else read(x.left, None, 0)
            if fours:
                for k in range(fours):
                    sums = four(k, sums)
            else:
                sums = block.loop(count, 1, term, sums)
            indices, n = ([g], width) if x.rows else ([], x.lanes)
            for total, i in zip(sums, places, strict=True):
                at = i if x.rows else block.offset((g, PAD), (i, 1))
                if isinstance(at, int) and at >= n:  # the last group has lanes to spare
                    continue
                total = total * x.factor if x.factor != 1.0 else total
                if x.add:
                    total = self.reader(x.out, indices, n)(at, None) + total
                self.write(total, x.out, indices, at, n, step=step)
                if x.watch:
                    flags = self.watched(flags, total, None if n == 1 else self.inside(at, n, step))
            return flags

        def group(g: Scalar, flags: list[Vector]) -> Sequence[Vector]:
            head = block.address("%tables", (x.heads, 1), (g, 2), of="i32")
            start, count = block.load_place(head), block.load_place(block.address(head, (1, 1), of="i32"))
            return block.loop(width, step, lambda i, flags: some(g, i, start, count, flags), flags)

        if self.long(x.lanes) and not x.rows:  # counted in lanes: what is as large is guessed to depend on the length
            shift = PAD.bit_length() - 1
            return block.loop(
                x.lanes, PAD, lambda i, flags: group(block.operation(f"lshr i64 {i}, {shift}"), flags), flags
            )
        return block.loop(groups, 1, group, flags)

    def watch(self, x: Watch, flags: list[Vector]) -> list[Vector]:
        """Numbers into the flag."""
        n = x.axes[-1]

        def along(indices: Indices, flags: list[Vector]) -> Sequence[Vector]:
            read = self.reader(x.place, indices, n)
            return self.block.loop(
                n,
                self.lanes,
                lambda i, flags: self.watched(flags, read(i, None), None if n == 1 else self.inside(i, n)),
                flags,
            )

        return self.over(x.axes[:-1], along, flags)

    def fill(self, x: Fill, flags: list[Vector]) -> list[Vector]:
        """One number to many places."""
        block, n = self.block, x.axes[-1]

        def along(indices: Indices, _: list[Vector]) -> Sequence[Vector]:
            def body(i: Scalar, _: list[Vector]) -> Sequence[Vector]:
                value: Vector | float
                if x.value == "seed":
                    value = block.select(block.first_lanes(i, self.valid()), self.seed(), 0.0)
                else:
                    value = float(x.value)
                self.write(value, x.target, indices, i, n)
                return ()

            return block.loop(n, self.lanes, body)

        self.over(x.axes[:-1], along, [])
        return flags

    def pack(self, x: Pack, flags: list[Vector]) -> list[Vector]:
        """A copy; a transposition square by square."""
        axes, source, target, padded = x.axes, x.source, x.target, x.padded
        plain = source.table is None and target.table is None
        if len(axes) > 1 and plain and source.strides[-1] == 1 and target.strides[-2] == 1 and target.strides[-1] != 1:
            axes, source, target = _swapped(axes), _turned(source), _turned(target)
            padded = False
        if len(axes) > 1 and plain and axes[-1] > 1 and axes[-2] > 1 and target.strides[-1] == source.strides[-2] == 1:
            self.over(axes[:-2], lambda indices, _: self.transpose(axes, source, target, padded, indices), [])
            return flags
        n = axes[-1]

        def along(indices: Indices, _: list[Vector]) -> Sequence[Vector]:
            read = self.reader(source, indices, n)
            last = None
            if source.base != ARENA:
                at = block.operation(f"sub i64 {self.valid()}, 1")
                last = block.load_one(self.pointer(source, indices, at))

            def body(i: Scalar, _: list[Vector]) -> Sequence[Vector]:
                if last is None:
                    one = read(i, None)
                else:  # rows beyond the batch repeat the last one
                    mask = block.first_lanes(i, self.valid())
                    one = block.select(mask, read(i, mask), last)
                self.write(one, target, indices, i, n, padded)
                return ()

            return block.loop(n, self.lanes, body)

        block = self.block
        self.over(axes[:-1], along, [])
        return flags

    def transpose(
        self, axes: Sequence[int], source: Access, target: Access, padded: bool, indices: Indices
    ) -> Sequence[Vector]:
        """Squares of a vector by a vector: loads along the last axis but one, stores along the last."""
        block, lanes, (height, n) = self.block, self.lanes, axes[-2:]
        from_base = source.base != ARENA
        end: Scalar = n
        if from_base:
            end = self.valid()

        def strip(i: Scalar, _: list[Vector]) -> Sequence[Vector]:
            last = block.operation(f"sub i64 {end}, 1") if isinstance(end, str) else end - 1
            starts = []
            for lane in range(lanes):
                at = block.offset((i, 1), (lane, 1))
                if from_base or n % lanes or self.long(n):
                    at = self.least(at, last)
                starts.append(self.pointer(source, [*indices, 0], at))

            def square(k: Scalar, count: int) -> None:
                mask = block.first_lanes(0, count) if from_base and count < lanes else None  # an array may end there
                rows = block.transpose([block.load(block.address(start, (k, 1)), mask) for start in starts])
                for c, row in enumerate(rows[:count]):
                    self.write(row, target, [*indices, block.offset((k, 1), (c, 1))], i, n, padded)

            def piece(k: Scalar, count: int, _: list[Vector]) -> Sequence[Vector]:
                square(k, count)
                return ()

            return self.pieces(height, lanes, 1, piece, [])

        return block.loop(n, lanes, strip)

    def rows_out(self, output: Output) -> None:
        """The rows of a block of an output to the array %out, of shape (rows, size)."""
        block, lanes, size, step = self.block, self.lanes, output.size, self.nests.block
        valid = self.valid()

        def strip(i: Scalar, _: list[Vector]) -> Sequence[Vector]:
            row = block.offset(("%first", 1), (i, 1))
            if size == 1:
                x = block.load(block.address("%arena", (output.offset, 1), (i, 1)))
                block.store(x, block.address("%out", (row, 1)), block.first_lanes(i, valid))
                return ()

            def square(lane: Scalar, count: int) -> None:
                places = [block.offset((lane, step), (min(c, count - 1) * step, 1)) for c in range(lanes)]
                columns = [
                    block.load(block.address("%arena", (output.offset, 1), (place, 1), (i, 1))) for place in places
                ]
                for r, x in enumerate(block.transpose(columns)):
                    at = block.offset((i, 1), (r, 1))
                    inside = block.operation(f"icmp slt i64 {at}, {valid}")
                    to = block.address("%out", (row, size), (r, size), (lane, 1))
                    mask = None if count == lanes else block.first_lanes(0, count)
                    block.when(inside, lambda x=x, to=to, mask=mask: block.store(x, to, mask))  # type: ignore[misc]

            def body(lane: Scalar, _: list[Vector]) -> Sequence[Vector]:
                square(lane, lanes)
                return ()

            full = size // lanes * lanes
            block.loop(full, lanes, body)
            if full < size:
                square(full, size - full)
            return ()

        block.loop(valid, lanes, strip)


def _tile(m: int, vectors: int, accumulators: int) -> tuple[int, int]:
    """Rows and vectors of columns of a product whose sums are in registers at a time."""
    width = 1
    if accumulators >= 24:
        width = 3 if vectors % 3 == 0 else 4 if vectors % 4 == 0 else min(vectors, 3)
        if m < 4:
            width = min(vectors, 8)
    height = min(m, accumulators // width)
    if m % height:
        height = next((h for h in range(height, 3, -1) if m % h == 0), height)
    return height, width


def _moved(access: Access, axis: int) -> Access:
    """The access with one axis put last."""

    def moved(strides: tuple[int, ...]) -> tuple[int, ...]:
        return (*strides[:axis], *strides[axis + 1 :], strides[axis]) if strides else strides

    return replace(access, strides=moved(access.strides), table_strides=moved(access.table_strides))


def _swapped(axes: tuple[int, ...]) -> tuple[int, ...]:
    return (*axes[:-2], axes[-1], axes[-2])


def _turned(access: Access) -> Access:
    """An access without a table with its last two axes exchanged."""
    return replace(access, strides=_swapped(access.strides))
