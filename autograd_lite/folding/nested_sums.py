"""Sums and reductions as nests: each form of a part (contractions.py) as a product, rows or terms.

A sum may have all its terms in one row of the batch, or be summed over the rows as well. Of the latter only what
multiplies two things that have rows is done in the body; where one has, its rows are summed first, and the rest is
left to the epilogue: (sum over rows of a * x[row]) is a * (sum over rows of x[row]).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from typing import Literal as OneOf

import numpy as np

from autograd_lite.folding.backends.strides import affine
from autograd_lite.folding.contractions import Form
from autograd_lite.folding.instructions import Leaf, Part, Reduce, Ref, Sum
from autograd_lite.folding.nests import PAD, Access, Fill, Pack, Product, PythonStep, Rows, Terms, Watch

if TYPE_CHECKING:
    from autograd_lite.folding.nesting import Nesting, Straight

Array = Any

TINY = 32
"""Forms of so few terms are joined, where there are several, into one of absolute addresses."""

SEVERAL = 3
"""So many forms are worth being joined."""

LEAST_STACKED = 8
"""Forms of at least this many lanes, each of one term, are added up lane by lane where they stand."""

LARGE = 300**3
"""Products of more multiplications than this are np.matmul's."""

MOST_TURNED = 1 << 13
"""A layer of no more weights than this, of rows as they come, turns its weights and not the rows."""

LONG = 32
"""Few sums of at least this many terms, by table, are gathered into place first."""


class Work(NamedTuple):
    """What is added to a sum: a form, its factor, and which instructions its lanes are of."""

    form: Form
    factor: float
    left: int
    right: int | None


Combine = OneOf["add", "max", "min"]


class Sums:
    """Adds the nests of sums to those of a plan."""

    def __init__(self, to: Nesting) -> None:
        self.to = to
        self._row_sums: dict[int, int] = {}
        self._turned: dict[Any, int] = {}
        self._copies: dict[Any, int] = {}

    # -- sums

    def sum(self, k: int) -> None:
        """The nests of a sum."""
        to = self.to
        x = to.instructions[k]
        assert isinstance(x, Sum)
        if to.reduces(k):
            self._over_rows(k, _works(x.parts))
        else:
            self.parts(k, x.parts, to.stage[k])
            to.made(k)

    def parts(self, k: int, parts: Sequence[Part], stage: int) -> None:
        """Parts of a sum that is not over the rows too."""
        to = self.to
        work = _works(parts)
        if to.batched[k]:
            moving = [self._rows(w.left) or self._rows(w.right) for w in work]
            same = [w for w, moves in zip(work, moving, strict=True) if not moves]
            if same:  # what is the same for every row is computed once
                once, every = to.temporary(to.size[k], False, 0), np.arange(to.size[k])
                self._all(once, same, 0)
                work = [w for w, moves in zip(work, moving, strict=True) if moves]
                work.append(Work(Form("each", every, every, None), 1.0, once, None))
        self._all(k, work, stage)

    def _rows(self, k: int | None) -> bool:
        return k is not None and self.to.batched[k]

    def _all(self, k: int, work: Sequence[Work], stage: int, add: bool = False) -> None:
        """All forms of a sum: the first to reach a lane sets it (unless `add`), later ones add to it."""
        to = self.to
        stacks, work = self._stacks(k, work)
        work = [*(stack[0] for stack in stacks), *self._joined(work)]
        stacked = {id(stack[0]): stack for stack in stacks}
        work.sort(key=lambda w: w.form.order)
        plan: list[bool] = []
        written = np.full(to.size[k], add)
        x = to.instructions[k] if k < len(to.instructions) else None
        zeroed = isinstance(x, Sum) and x.zeroed
        zero = False
        for w in work:
            lanes = w.form.to.ravel()
            seen = written[lanes]
            zero = zero or (bool(seen.any()) and not seen.all())
            # Products and rows start from 0.0 as it is; one term, or -1 times the 0.0 of a product, could be -0.0.
            zero = zero or (zeroed and not seen.all() and (w.form.what == "each" or w.factor < 0))
            plan.append(bool(seen.any()))
            written[lanes] = True
        if zero:  # e.g. some form adds to lanes of which others are still those of the run before
            rows = to.batched[k]
            axes = (to.size[k], to.block) if rows else (to.size[k],)
            to.add(stage, Fill(axes, Access(to.at(k), (to.block, 1) if rows else (1,))))
        for w, seen in zip(work, plan, strict=True):
            if id(w) in stacked:
                self._stacked(k, stacked[id(w)], stage, seen or zero)
                continue
            form = {"each": self._each, "rows": self._of_rows, "segments": self._segments, "matmul": self._matmul}
            form[w.form.what](k, w, stage, seen or zero)

    def _stacks(self, k: int, work: Sequence[Work]) -> tuple[list[list[Work]], list[Work]]:
        """Forms that do the same to the same lanes of different instructions, as the steps of a recurrence do."""
        alike: dict[Any, list[Work]] = {}
        left = []
        for w in work:
            if w.form.what != "each" or len(w.form.to) < LEAST_STACKED:
                left.append(w)
                continue
            tables = [x if x is None else x.tobytes() for x in (w.form.to, w.form.left, w.form.right)]
            alike.setdefault((*tables, w.factor, self._rows(w.left), self._rows(w.right)), []).append(w)
        stacks = []
        for found in alike.values():
            if len(found) >= SEVERAL and all(x.table is None for x in self._stack_of(k, found[0])[1][1:]):
                stacks.append(found)
            else:
                left += found
        return stacks, left

    def _stack_of(self, k: int, w: Work) -> tuple[tuple[int, ...], list[Access]]:
        refs = [Ref(k, _whole(w.form.to, self.to.size[k])), Ref(w.left, w.form.left)]
        if w.right is not None:
            refs.append(Ref(w.right, w.form.right))
        return self.to.aligned(refs, len(w.form.to), self.to.batched[k])

    def _stacked(self, k: int, stack: Sequence[Work], stage: int, add: bool) -> None:
        """Such forms as one sum: its terms are in different places, of which there is a table."""
        to = self.to
        axes, (out, *operands) = self._stack_of(k, stack[0])
        left = self._over_places(operands[0], [w.left for w in stack])
        right = self._over_places(operands[1], [w.right for w in stack]) if len(operands) > 1 else None
        to.add(stage, Rows(axes, (len(stack),), left, right, out, "lanes", stack[0].factor, add, watch=True))

    def _over_places(self, access: Access, sources: Sequence[Any]) -> Access:
        """An access to one instruction made one to each of several: one more axis, at the end."""
        places = np.array([self.to.at(s) for s in sources])
        zeros = (0,) * len(access.strides)
        table = self.to.table(places - places[0])
        return Access(access.offset, (*access.strides, 0), table, (*zeros, 1))

    def _joined(self, work: Sequence[Work]) -> list[Work]:
        """Many forms of few terms as one of absolute addresses: one a factor, and a kind of operands.

        A recurrence has a form for each of its steps; a nest for each would make compiling slow.
        """
        tiny = [w for w in work if w.form.what != "matmul" and w.form.left.size <= TINY]
        if len(tiny) < SEVERAL:
            return list(work)
        chosen = set(map(id, tiny))
        left = [w for w in work if id(w) not in chosen]
        groups: dict[Any, list[Work]] = {}
        for w in tiny:
            groups.setdefault((w.factor, self._rows(w.left), self._rows(w.right)), []).append(w)
        for (factor, rows_left, rows_right), mine in groups.items():
            lanes = np.concatenate([_lane_of_each_term(w.form) for w in mine])
            lefts = np.concatenate([self._addresses(w.left, w.form.left) for w in mine])
            rights = None
            if any(w.right is not None for w in mine):
                rights = np.concatenate([self._rights(w) for w in mine])
            order = np.argsort(lanes, kind="stable")
            lanes = lanes[order]
            starts = np.flatnonzero(np.diff(lanes, prepend=-1))
            form = Form("segments", lanes[starts], lefts[order], None if rights is None else rights[order], starts)
            left.append(Work(form, factor, -1 - rows_left, None if rights is None else -1 - rows_right))
        return left

    def _rights(self, w: Work) -> Array:
        if w.right is None:
            return np.full(w.form.left.size, self.to.one())
        return self._addresses(w.right, w.form.right)

    def _addresses(self, k: int, lanes: Array) -> Array:
        """Where lanes are in the arena; those of a joined form say it themselves."""
        return lanes.ravel() if k < 0 else self.to.addresses(Ref(k, lanes.ravel()))

    def _of_address(self, k: int | None) -> bool:
        """Whether an operand, of a joined form too, has rows."""
        return k is not None and (k == -2 if k < 0 else self.to.batched[k])

    # -- one term a lane

    def _each(self, k: int, w: Work, stage: int, add: bool) -> None:
        to, form = self.to, w.form
        operands = [Ref(w.left, form.left)]
        if w.right is not None:
            operands.append(Ref(w.right, form.right))
        has_right = w.right is not None
        out = Ref(k, _whole(form.to, to.size[k]))
        if add:
            operands.append(out)

        def body(code: Straight, *values: int | float) -> int | float:
            right = values[1] if has_right else None
            return code.added(values[-1] if add else None, w.factor, values[0], right)

        to.loop(stage, len(form.to), to.batched[k], operands, out, body, watch=True)

    # -- as many terms for every lane

    def _of_rows(self, k: int, w: Work, stage: int, add: bool) -> None:
        self._uniform(k, w.form.to, (w.left, w.form.left), w.right if w.right is None else (w.right, w.form.right),
                      w.factor, stage, add)  # fmt: skip

    def _uniform(self, k: int, lanes: Array, left: tuple[int, Array], right: tuple[int, Array] | None, factor: float,
                 stage: int, add: bool, combine: Combine = "add") -> None:  # fmt: skip
        """Rows of n lanes and K terms each, for tables (n, K)."""
        to = self.to
        n, count = left[1].shape
        if to.batched[k]:
            a = to.access(*left, row_at=1)
            b = None if right is None else to.access(*right, row_at=1)
            nest = Rows((n, to.block), (count,), a, b, to.access(k, lanes, 1), "lanes", factor, add, combine,
                        watch=combine == "add")  # fmt: skip
            to.add(stage, nest)
            return
        tables = [left] if right is None else [left, right]
        accesses = [to.access(*table) for table in tables]
        a, b = accesses[0], accesses[1] if right is not None else None
        along: OneOf["lanes", "terms"] | None = None
        if all(x.table is None for x in accesses):
            by_terms = all(x.strides[1] in (0, 1) for x in accesses)
            by_lanes = all(x.strides[0] in (0, 1) for x in accesses)
            if by_terms and count >= 8 and (n < PAD or count >= 64 or not by_lanes):
                along = "terms"
            elif by_lanes and n >= 8:
                along = "lanes"
        if along is None:
            counts = np.full(n, count)
            self._terms(k, lanes, counts, self._addresses(*left), None if right is None else self._addresses(*right),
                        factor, stage, add, combine)  # fmt: skip
            return
        out = to.access(k, lanes)
        whole = out.table is None and out.strides == (1,) and n == to.size[k] > 1
        to.add(stage, Rows((n,), (count,), a, b, out, along, factor, add, combine, padded=whole and along == "lanes",
                           watch=combine == "add"))  # fmt: skip

    def _gathered(self, k: int, table: Array) -> Access:
        """The lanes of a table (blocks, rows, terms), gathered side by side, or as they are for its transpose."""
        to = self.to
        size, other = table.size, table.transpose(0, 2, 1)
        key, turned = (k, table.shape, table.tobytes()), (k, other.shape, other.tobytes())
        if turned in self._copies:
            return to.access(self._copies[turned], np.arange(size).reshape(other.shape).transpose(0, 2, 1))
        if key not in self._copies:
            copy = self._copies[key] = to.temporary(size, False, to.stage[k])
            place = Access(to.at(copy), (1,))
            to.add(to.stage[k], Pack((size,), to.access(k, table.ravel()), place, padded=True))
        return to.access(self._copies[key], np.arange(size).reshape(table.shape))

    # -- any numbers of terms

    def _segments(self, k: int, w: Work, stage: int, add: bool) -> None:
        form = w.form
        assert form.starts is not None
        counts = np.diff(form.starts, append=len(form.left))
        right = None if w.right is None else self._addresses(w.right, form.right)
        rows = (self._of_address(w.left), self._of_address(w.right))
        self._terms(k, form.to, counts, self._addresses(w.left, form.left), right, w.factor, stage, add, "add", rows)

    def _terms(self, k: int, lanes: Array, counts: Array, left: Array, right: Array | None, factor: float, stage: int,
               add: bool, combine: Combine = "add", rows: tuple[bool, bool] = (False, False)) -> None:  # fmt: skip
        """Terms by absolute addresses."""
        to = self.to
        n = len(lanes)
        if to.batched[k]:
            starts = np.cumsum(counts) - counts
            heads = to.table(np.stack([starts, counts], 1))

            def by_table(addresses: Array, row: bool) -> Access:
                return Access(0, (0, int(row)), to.table(addresses), (1, 0))

            out = by_table(self._addresses(k, lanes), True)
            nest = Terms(n, heads, by_table(left, rows[0]), None if right is None else by_table(right, rows[1]), out,
                         factor, add, combine, True, combine == "add")  # fmt: skip
            to.add(stage, nest)
            return
        long = counts >= LONG
        if 0 < np.count_nonzero(long) < PAD // 2:
            for which in (long, ~long):
                some = np.repeat(which, counts)
                chosen = lanes[which], counts[which], left[some], None if right is None else right[some]
                if which is long:
                    self._few_long(k, *chosen, factor, stage, add, combine)
                elif which.any():
                    self._terms(k, *chosen, factor, stage, add, combine)
            return
        order = np.argsort(counts, kind="stable")
        starts = (np.cumsum(counts) - counts)[order]
        sizes = counts[order]
        groups = -(-n // PAD)
        longest = sizes[np.minimum(np.arange(1, groups + 1) * PAD, n) - 1]
        heads_at = np.cumsum(longest * PAD) - longest * PAD
        total = int((longest * PAD).sum())
        # Position p of a group holds term p // PAD of lane p % PAD; what has no such term gets the padding.
        group = np.repeat(np.arange(groups), longest * PAD)
        within = np.arange(total) - heads_at[group]
        lane, term = group * PAD + within % PAD, within // PAD
        real = np.minimum(lane, n - 1)
        missing = (lane >= n) | (term >= sizes[real])
        chosen = starts[real] + np.minimum(term, sizes[real] - 1)

        def table(addresses: Array) -> Access:
            entries = addresses[chosen]
            if combine == "add":
                entries = np.where(missing, to.zero, entries)
            return Access(0, (0,), to.table(entries), (1,))

        goes = Access(0, (0,), to.table(self._addresses(k, lanes[order])), (1,))
        heads = to.table(np.stack([heads_at, longest], 1))
        nest = Terms(n, heads, table(left), None if right is None else table(right), goes, factor, add, combine,
                     watch=combine == "add")  # fmt: skip
        to.add(stage, nest)

    def _few_long(self, k: int, lanes: Array, counts: Array, left: Array, right: Array | None, factor: float,
                  stage: int, add: bool, combine: Combine) -> None:  # fmt: skip
        """Few sums of many terms, by absolute addresses: gathered side by side, and summed along the terms."""
        to = self.to

        def gathered(addresses: Array) -> int:
            copy = to.temporary(len(addresses), False, stage)
            source = Access(0, (0,), to.table(addresses), (1,))
            to.add(stage, Pack((len(addresses),), source, Access(to.at(copy), (1,)), padded=True))
            return to.at(copy)

        a, b = gathered(left), None if right is None else gathered(right)
        starts = np.cumsum(counts) - counts
        for start, count, lane in zip(starts.tolist(), counts.tolist(), lanes.tolist(), strict=True):
            terms = Access(a + start, (0, 1)), None if b is None else Access(b + start, (0, 1))
            out = Access(to.at(k) + lane, (0,))
            to.add(stage, Rows((1,), (count,), *terms, out, "terms", factor, add, combine, watch=combine == "add"))

    # -- matrix products

    def _matmul(self, k: int, w: Work, stage: int, add: bool) -> None:
        rows_left, rows_right = self._rows(w.left), self._rows(w.right)
        if not rows_left and not rows_right:
            self._product(k, w, stage, add)
        elif rows_left and rows_right:
            self._product_in_rows(k, w, stage, add)
        else:
            self._product_with_fixed(k, w, stage, add)

    def _product(self, k: int, w: Work, stage: int, add: bool) -> None:
        """A product of what has no rows."""
        to, form = self.to, w.form
        assert w.right is not None
        assert form.right is not None
        blocks, h, wide = form.to.shape
        count = form.left.shape[2]
        if (blocks == 1 and h == wide == 1) or (count >= 64 and h * wide <= 8):  # dot products
            shape = (*form.to.shape, count)
            left = np.broadcast_to(form.left[:, :, None], shape).reshape(-1, count)
            right = np.broadcast_to(form.right[:, None], shape).reshape(-1, count)
            self._uniform(k, form.to.ravel(), (w.left, left), (w.right, right), w.factor, stage, add)
            return
        a, b = self._operand(w.left, form.left), self._operand(w.right, form.right)
        if self._by_vector(k, w, a, b, stage, add):
            return
        out = to.access(k, form.to)
        direct, turned = out.table is None, False
        if direct:
            by_right = out.strides[2] == 1 or wide == 1
            by_left = out.strides[1] == 1 or h == 1
            turned = by_left and (not by_right or (wide == 1 and h > 1))
            direct = by_right or by_left
        if not direct:
            turned = wide < 8 <= h
        m, n = (wide, h) if turned else (h, wide)
        if turned:
            a, b = b, a
        target: int = k
        if direct:
            t = out.strides
            place = Access(out.offset, (t[0], t[2] if turned else t[1], 1))
            whole = blocks == m == 1 and n == to.size[k]
        else:
            row = -(-n // PAD) * PAD
            target = to.temporary(blocks * m * row, False, stage)
            place = Access(to.at(target), (m * row, row, 1))
            whole = True
        large = stage != 1 and blocks * m * n * count > LARGE
        if large:
            to.add(stage, _by_numpy(blocks, m, n, count, a, b, place, w.factor, add and direct))
            to.add(stage, Watch((blocks, m, n), place))
        else:
            b = self._across(b, blocks, n, count, to.stage[w.left if turned else w.right])
            to.add(stage, Product(blocks, m, n, count, a, b, place, w.factor, add and direct, "", whole, direct))
        if not direct:
            self._move(k, form.to, target, place.strides, turned, stage, add)

    def _operand(self, k: int, table: Array) -> Access:
        """An access to a table (blocks, rows, terms), affine: gathered where it is not."""
        to = self.to
        access = to.access(k, table)
        return access if access.table is None else self._gathered(k, table)

    def _across(self, b: Access, blocks: int, n: int, count: int, stage: int) -> Access:
        """The right operand (b, j, t) as (b, t, j), j side by side: transposed where it does not lie so."""
        to = self.to
        if b.strides[1] == 1 or n == 1:
            return Access(b.offset, (b.strides[0], b.strides[2], 1))
        row = -(-n // PAD) * PAD
        if b.strides[0] == 0 and blocks > 1:
            blocks = 1
        key = (b, blocks, n, count)
        stride = count * row if blocks > 1 else 0
        if key not in self._turned:
            offset = self._turned[key] = to.raw(blocks * count * row)
            to.names[offset] = "turned"
            source = Access(b.offset, (b.strides[0], b.strides[2], b.strides[1]))
            to.add(stage, Pack((blocks, count, n), source, Access(offset, (stride, row, 1)), padded=True))
        return Access(self._turned[key], (stride, row, 1))

    def _by_vector(self, k: int, w: Work, a: Access, b: Access, stage: int, add: bool) -> bool:
        """A matrix times a vector, by dot products, where the matrix lies so: not to be transposed for one product."""
        to, form = self.to, w.form
        blocks, h, wide = form.to.shape
        count = form.left.shape[2]
        if min(h, wide) > 1 or count < 8:
            return False
        n = max(h, wide)
        matrix, vector = (b, a) if h == 1 else (a, b)
        if matrix.strides[2] != 1 or vector.strides[2] not in (0, 1):
            return False
        matrix = Access(matrix.offset, matrix.strides)
        vector = Access(vector.offset, (vector.strides[0], 0, vector.strides[2]))
        out = to.access(k, form.to.reshape(blocks, n))
        left, right = (vector, matrix) if h == 1 else (matrix, vector)
        to.add(stage, Rows((blocks, n), (count,), left, right, out, "terms", w.factor, add, watch=True))
        return True

    def _move(self, k: int, lanes: Array, source: int, strides: Sequence[int], turned: bool, stage: int,
              add: bool) -> None:  # fmt: skip
        """Results of a product from where they were made to the lanes of a sum."""
        blocks, h, wide = lanes.shape
        b, i, j = np.ogrid[:blocks, :h, :wide]
        p, q = (j, i) if turned else (i, j)
        places = (b * strides[0] + p * strides[1] + q * strides[2]).ravel()
        self._each(k, Work(Form("each", lanes.ravel(), places, None), 1.0, source, None), stage, add)

    def _product_with_fixed(self, k: int, w: Work, stage: int, add: bool) -> None:
        """A layer: one operand is the same for every row; the rows are the columns of the other."""
        to, form = self.to, w.form
        assert w.right is not None
        lanes, fixed, moving = form.to, (w.left, form.left), (w.right, form.right)
        if self._rows(w.left):
            lanes, fixed, moving = lanes.transpose(0, 2, 1), moving, fixed
        blocks, m, many = lanes.shape  # out[b, i of fixed, p of moving, row]
        count = form.left.shape[2]
        a = self._operand(*fixed)
        given = self._as_it_comes(*moving) if blocks == many == 1 and self._in_products(moving[0]) else None
        target, out = k, to.access(k, lanes, 3)
        if out.table is not None:
            target = to.temporary(lanes.size, True, stage)
            out = to.access(target, np.arange(lanes.size).reshape(lanes.shape), 3)
        direct = target == k

        def product(number: int, left: Access, right: Access, place: Access) -> None:
            to.add(stage, Product(number, m, to.block, count, left, right, place, w.factor, add and direct, "n", True,
                                  direct))  # fmt: skip

        if given is not None and count >= PAD and m >= PAD and count * m <= MOST_TURNED:
            left = Access(given.offset, (0, given.strides[3], given.strides[2]), base=given.base)
            right = self._across(a, 1, m, count, to.stage[fixed[0]])
            place = Access(out.offset, (0, 1, out.strides[1]))
            to.add(stage, Product(1, to.block, m, count, left, right, place, w.factor, add and direct, "m", False,
                                  direct))  # fmt: skip
            blocks = 0
        x = self._with_rows(*moving) if blocks else a
        # Of blocks and of rows of `moving` the ones that are more are the axis of one nest.
        for s in range(min(blocks, many)):
            if many <= blocks:
                left = a
                right = Access(x.offset + s * x.strides[1], (x.strides[0], *x.strides[2:]))
                place = Access(out.offset + s * out.strides[2], (out.strides[0], out.strides[1], 1))
            else:
                left = Access(a.offset + s * a.strides[0], (0, *a.strides[1:]))
                right = Access(x.offset + s * x.strides[0], x.strides[1:])
                place = Access(out.offset + s * out.strides[0], (out.strides[2], out.strides[1], 1))
            product(max(blocks, many), left, right, place)
        if not direct:
            every = np.arange(lanes.size)
            self._each(k, Work(Form("each", lanes.ravel(), every, None), 1.0, target, None), stage, add)

    def _as_it_comes(self, k: int, table: Array) -> Access | None:
        """An access to rows of an input in the array that was given, the rows last; None where there is none."""
        x = self.to.instructions[k] if k < len(self.to.instructions) else None
        if not isinstance(x, Leaf) or x.kind != "input":
            return None
        found = affine(table)
        return None if found is None else Access(found[0], (*found[1], x.size), base=x.index)

    def _in_products(self, k: int) -> bool:
        """Whether an instruction is read as an operand of matrix products alone."""
        for x in self.to.instructions:
            for ref in x.refs:
                if ref.source == k and not isinstance(x, Sum):
                    return False
            for part in x.parts if isinstance(x, Sum) else ():
                if any(ref is not None and ref.source == k for ref in (part.left, part.right)) and any(
                    form.what != "matmul" for form in part.forms
                ):
                    return False
        return True

    def _with_rows(self, k: int, table: Array) -> Access:
        """An access to a table of lanes that have rows, the rows last; gathered where it is not affine."""
        to = self.to
        access = to.access(k, table, table.ndim)
        if access.table is None:
            return access
        copy = to.temporary(table.size, True, 1)
        source = to.access(k, table.ravel(), 1)
        to.add(1, Pack((table.size, to.block), source, Access(to.at(copy), (to.block, 1)), padded=True))
        return to.access(copy, np.arange(table.size).reshape(table.shape), table.ndim)

    def _product_in_rows(self, k: int, w: Work, stage: int, add: bool) -> None:
        """Both operands have rows: a product in each."""
        to, form = self.to, w.form
        assert w.right is not None
        a, b = to.access(w.left, form.left, 2), to.access(w.right, form.right, 2)  # (b, i, row, t), (b, j, row, t)
        a, b = a.with_axis(2), b.with_axis(1)
        axes = (*form.to.shape, to.block)
        to.add(stage, Rows(axes, (form.left.shape[2],), a, b, to.access(k, form.to, 3), "lanes", w.factor, add,
                           watch=True))  # fmt: skip

    # -- sums over the rows too

    def _over_rows(self, k: int, work: Sequence[Work]) -> None:
        to = self.to
        to.place[k] = to.in_sums(to.size[k])
        to.names[to.place[k]] = f"%{k}"
        later: list[Work] = []
        ragged: dict[tuple[float, bool], list[Work]] = {}
        for w in work:
            rows = self._rows(w.left), self._rows(w.right)
            if w.right is not None and rows[0] != rows[1]:
                left = self._row_sum(w.left) if rows[0] else w.left
                right = self._row_sum(w.right) if rows[1] else w.right
                later.append(w._replace(left=left, right=right))
            elif not rows[0]:
                later.append(w)
            elif w.form.what == "matmul":
                self._product_over_rows(k, w)
            else:
                # Affine ones keep their strides; the others are joined, by address.
                if not self._rows_over_rows(k, w):
                    ragged.setdefault((w.factor, w.right is None), []).append(w)
        for (factor, alone), found in ragged.items():
            lanes = np.concatenate([_lane_of_each_term(w.form) for w in found])
            lefts = np.concatenate([self._addresses(w.left, w.form.left) for w in found])
            rights = None if alone else np.concatenate([self._rights(w) for w in found])
            self._by_address_over_rows(k, lanes, lefts, rights, factor)
        if later:
            self._all(k, later, 2, add=True)
            to.made(k)

    def _row_sum(self, k: int) -> int:
        """An instruction summed over the rows."""
        to = self.to
        if k not in self._row_sums:
            n = to.size[k]
            total = self._row_sums[k] = to.temporary(n, False, 2, to.in_sums(n))
            source = Access(to.at(k), (to.block, 1))
            to.add(1, Rows((n,), (to.block,), source, None, Access(to.at(total), (1,)), "terms", add=True, rows=True))
        return self._row_sums[k]

    def _rows_over_rows(self, k: int, w: Work) -> bool:
        """An affine form of more than a few lanes, as one nest."""
        to, form = self.to, w.form
        if form.what not in ("each", "rows") or form.left.size <= 4:
            return False
        tables = [(w.left, form.left)] if w.right is None else [(w.left, form.left), (w.right, form.right)]
        a, *rest = [to.access(s, np.reshape(table, (len(form.to), -1)), 2) for s, table in tables]
        out = to.access(k, form.to)
        terms = (form.left.size // len(form.to), to.block)
        to.add(1, Rows((len(form.to),), terms, a, rest[0] if rest else None, out, "terms", w.factor, True, rows=True))
        return True

    def _by_address_over_rows(self, k: int, lanes: Array, left: Array, right: Array | None, factor: float) -> None:
        """Terms by address: lanes of equally many terms are one nest."""
        to = self.to
        order = np.argsort(lanes, kind="stable")
        lanes = lanes[order]
        starts = np.flatnonzero(np.diff(lanes, prepend=-1))
        counts = np.diff(starts, append=len(lanes))
        for count in np.unique(counts).tolist():
            mine = np.flatnonzero(counts == count)
            chosen = order[starts[mine][:, None] + np.arange(count)]

            def access(addresses: Array, chosen: Array = chosen, count: int = count) -> Access:
                return Access(0, (0, 0, 1), to.table(addresses[chosen]), (count, 1, 0))

            out = to.access(k, lanes[starts[mine]])
            to.add(1, Rows((len(mine),), (count, to.block), access(left), None if right is None else access(right), out,
                           "terms", factor, True, rows=True))  # fmt: skip

    def _product_over_rows(self, k: int, w: Work) -> None:
        """The rows are one more axis to sum over."""
        to, form = self.to, w.form
        assert w.right is not None
        blocks, h, wide = form.to.shape
        count = form.left.shape[2]
        if min(h, wide) <= 2:
            a, b = to.access(w.left, form.left, 3), to.access(w.right, form.right, 3)  # (b, i, t, row)
            to.add(1, Rows(form.to.shape, (count, to.block), a.with_axis(2), b.with_axis(1), to.access(k, form.to),
                           "terms", w.factor, True, rows=True))  # fmt: skip
            return
        out = to.access(k, form.to)
        direct = out.table is None and (out.strides[2] == 1 or out.strides[1] == 1)
        turned = direct and out.strides[2] != 1
        left, right = (w.left, form.left), (w.right, form.right)
        m, n = h, wide
        if turned:
            left, right, m, n = right, left, wide, h
        if direct:
            place = Access(out.offset, (out.strides[0], out.strides[2] if turned else out.strides[1], 1))
        else:
            row = -(-n // PAD) * PAD
            target = to.temporary(blocks * m * row, False, 2, to.in_sums(blocks * m * row))
            place = Access(to.at(target), (m * row, row, 1))
        a = self._with_rows(*left)  # (b, i, t, row)
        b = self._rows_down(*right)  # (b, j, t, row), j with stride 1
        # The blocks of a nest are those of the form, or, adding to one place, the terms of a row.
        for s in range(min(blocks, count)):
            if count <= blocks:
                nest = Product(blocks, m, n, to.block, a.at(2, s, (0, 1, 3)), b.at(2, s, (0, 3, 1)), place,
                               w.factor, True, "k", not direct)  # fmt: skip
            else:
                into = Access(place.offset + s * place.strides[0], (0, *place.strides[1:]))
                nest = Product(count, m, n, to.block, a.at(0, s, (2, 1, 3)), b.at(0, s, (2, 3, 1)), into,
                               w.factor, True, "k", not direct)  # fmt: skip
            to.add(1, nest)
        if not direct:
            self._move(k, form.to, target, place.strides, False, 2, True)
            to.made(k)

    def _rows_down(self, k: int, table: Array) -> Access:
        """A table (b, j, t) of lanes that have rows, j side by side: axes (b, j, t, row)."""
        to = self.to
        blocks, n, count = table.shape
        given = self._as_it_comes(k, table)
        if given is not None and given.strides[1] == 1:
            return given
        row = -(-n // PAD) * PAD
        key = (k, table.shape, table.tobytes())
        if key not in self._turned:
            offset = to.raw(blocks * count * to.block * row)
            to.names[offset] = "turned"
            self._turned[key] = offset
            source = to.access(k, table.transpose(0, 2, 1), 3)
            lanes = source.strides if source.table is None else None
            if lanes is None:
                moved = self._with_rows(k, table.transpose(0, 2, 1))
                source = moved
            # (b, t, row, j)
            source = Access(source.offset, (source.strides[0], source.strides[1], 1, source.strides[2]))
            target = Access(offset, (count * to.block * row, to.block * row, row, 1))
            to.add(1, Pack((blocks, count, to.block, n), source, target, padded=True))
        offset = self._turned[key]
        return Access(offset, (count * to.block * row, 1, to.block * row, row))

    # -- reductions

    def reduce(self, k: int) -> None:
        """max, min or norm of groups of elements."""
        to = self.to
        x = to.instructions[k]
        assert isinstance(x, Reduce)
        ref, counts, stage = x.elements, x.counts, to.stage[k]
        if x.row.name in ("max", "min"):
            self._groups(k, ref, counts, x.row.name, stage)  # type: ignore[arg-type]
        else:
            self._norm(k, ref, counts, stage)
        to.made(k)

    def _groups(self, k: int, ref: Ref, counts: Array, combine: Combine, stage: int, square: bool = False) -> None:
        """A reduction of groups of elements; of squares, if `square`."""
        to = self.to
        lanes, out = to.lanes(ref), np.arange(len(counts))
        right = ref.source if square else None
        if (counts == counts[0]).all():
            table = lanes.reshape(len(counts), -1)
            self._uniform(k, out, (ref.source, table), None if right is None else (right, table), 1.0, stage, False,
                          combine)  # fmt: skip
            return
        addresses = self._addresses(ref.source, lanes)
        rows = to.batched[ref.source]
        self._terms(k, out, counts, addresses, addresses if square else None, 1.0, stage, False, combine, (rows, rows))

    def _norm(self, k: int, ref: Ref, counts: Array, stage: int) -> None:
        """The largest size, times the root of the sum of squares of the others divided by it: nothing overflows."""
        to = self.to
        batched, n, groups = to.batched[k], len(to.lanes(ref)), len(counts)
        size, top, scale, share, squares = (
            to.temporary(count, batched, stage) for count in (n, groups, groups, n, groups)
        )
        of_group = np.repeat(np.arange(groups), counts)

        def loop(count: int, operands: Sequence[Ref], out: int, body: Callable[..., int | float]) -> None:
            to.loop(stage, count, batched, operands, Ref(out, None), body)

        def scaled(code: Straight, x: int | float) -> int | float:
            finite = code.step("select", code.step("lt", x, float("inf")), x, 1.0)
            return code.step("select", code.step("gt", x, 0.0), finite, 1.0)

        loop(n, [ref], size, lambda code, x: code.step("abs", x))
        self._groups(top, Ref(size, None), counts, "max", stage)
        loop(groups, [Ref(top, None)], scale, scaled)
        loop(n, [Ref(size, None), Ref(scale, of_group)], share, lambda code, x, y: code.step("div", x, y))
        self._groups(squares, Ref(share, None), counts, "add", stage, square=True)
        loop(groups, [Ref(scale, None), Ref(squares, None)], k,
             lambda code, x, y: code.step("mul", x, code.step("sqrt", y)))  # fmt: skip


def _works(parts: Sequence[Part]) -> list[Work]:
    return [
        Work(form, part.factor, part.left.source, None if part.right is None else part.right.source)
        for part in parts for form in part.forms
    ]  # fmt: skip


def _lane_of_each_term(form: Form) -> Array:
    """The lane that each term of a form is added to."""
    if form.what == "rows":
        return np.repeat(form.to, form.left.shape[1])
    if form.starts is not None:
        return np.repeat(form.to, np.diff(form.starts, append=len(form.left)))
    return form.to


def _whole(lanes: Array, size: int) -> Array | None:
    """Lanes of a Ref, None where they are all in order."""
    return None if len(lanes) == size and (lanes == np.arange(size)).all() else lanes


def _by_numpy(blocks: int, m: int, n: int, k: int, a: Access, b: Access, out: Access, factor: float,
              add: bool) -> PythonStep:  # fmt: skip
    """A product by np.matmul; b has the axes (b, j, t)."""

    def product(left: Array, right: Array, target: Array) -> None:
        found = np.matmul(left, right, None if add or factor != 1.0 else target)
        if factor != 1.0:
            found *= factor
        if add:
            target += found
        elif found is not target:
            target[...] = found

    right = Access(b.offset, (b.strides[0], b.strides[2], b.strides[1]))
    return PythonStep("matmul", product, ((blocks, m, k), (blocks, k, n), (blocks, m, n)), (a, right, out))
