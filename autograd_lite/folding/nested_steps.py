"""The steps of a wide loop as nests: what a step does to vectors of lanes, one step after the other.

Each nest has the steps as its first axis. Elementwise members of as many lanes share a Map; of a sum what is more than
one term a lane is a Product or Rows, whose result joins the Map of the rest. A member that no other step and nothing
outside reads lies in one place for all steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autograd_lite.folding.backends import Refused
from autograd_lite.folding.backends.strides import affine
from autograd_lite.folding.contractions import Form, forms
from autograd_lite.folding.instructions import Literal, Map, Reduce, Ref, Sum
from autograd_lite.folding.loops import Local, Loop, Member, Operand, Outer, Piece, Term
from autograd_lite.folding.nests import PAD, Access, Fill, InLoop, Nest, Pack, Product, Rows
from autograd_lite.folding.nests import Loop as LoopNest
from autograd_lite.folding.nests import Map as MapNest

if TYPE_CHECKING:
    from autograd_lite.folding.nesting import Nesting, Straight

Array = Any

SPLIT = 8
"""A chain of additions of at least twice this many terms, where few run beside each other, is split in two."""

MOST_LENGTHS = 8
"""Sums of more different lengths in a step are written out."""


class View(NamedTuple):
    """Lanes as a step sees them: lane l of step t is at offset + l * step + t * stride, or by a table of steps.

    Args:
        lanes: which lanes, one after the other.
        offset, step: of lane 0 in step 0, and between lanes.
        stride: between steps.
        row: 1 where rows lie side by side, 0 where there are none.
        times: in place of the stride: for each step what it adds to a lane.
        fixed: whether it is there before the loop, and the same at every step.
    """

    lanes: Array
    offset: int
    step: int
    stride: int
    row: int
    times: Array | None = None
    fixed: bool = False


class Group(NamedTuple):
    """Elementwise members of as many lanes that share a Map."""

    lanes: int
    members: list[Member]


class Sums(NamedTuple):
    """What is more than one term a lane, of a sum."""

    member: Member
    terms: list[Term]


Item = Group | Sums | Member


class Steps:
    """Makes the nests of one wide loop."""

    def __init__(self, to: Nesting, loop: Loop) -> None:
        self.to, self.loop = to, loop
        self.batched = to.batched[loop.start]
        self.rows = (to.block,) if self.batched else ()
        self.step = to.block if self.batched else 1
        self.members = {member.k: member for member in loop.members}
        self.before: list[Nest] = []
        self.body: list[InLoop] = []
        self.group_of: dict[int, Group] = {}
        self.each: dict[int, list[Term]] = {}
        """Of a sum the terms of which each lane has one."""
        self.rest: dict[int, View] = {}
        """Of a sum where the rest of it is."""
        self.places: dict[int, tuple[int, int]] = {}
        self._copies: dict[Any, View] = {}

    def nests(self) -> tuple[list[Nest], LoopNest]:
        """What is done once before, and the loop."""
        items = self._items()
        self._places(items)
        for item in items:
            if isinstance(item, Group):
                self._group(item)
            elif isinstance(item, Sums):
                self._sums(item)
            else:
                self._reduce(item)
        return self.before, LoopNest(self.loop.steps, tuple(self.body), self.loop.backward)

    # -- which members share a loop, and where they are

    def _items(self) -> list[Item]:
        """The members, those that share a Map together, in an order to run them in."""
        items: list[Item] = []
        waits: list[set[int]] = []
        """Of each item those that it reads, by number."""
        made: dict[int, set[int]] = {}
        """By which items a member is made."""
        last: dict[int, int] = {}
        open_ones: set[int] = set()

        def needed(operands: Iterable[Operand]) -> set[int]:
            """The items that these are read from, which nothing more may join."""
            found = {n for x in operands if isinstance(x, Local) and not x.shift for n in made[x.member]}
            open_ones.difference_update(found)
            return found

        def item(one: Item, reads: set[int]) -> int:
            items.append(one)
            waits.append(reads)
            return len(items) - 1

        for member in self.loop.members:
            x = self.to.instructions[member.k]
            if isinstance(x, Reduce):
                made[member.k] = {item(member, needed(member.reads()))}
                continue
            reads = list(member.reads())
            made[member.k] = set()
            if isinstance(x, Sum):
                single, others = self._split(member)
                self.each[member.k] = single
                if others or not single:
                    made[member.k].add(item(Sums(member, others), needed(_reads(others))))
                reads = list(_reads(single))
                if not single:
                    continue
            place = last.get(member.lanes, -1)
            if place not in open_ones:  # what it reads of that is far too: another Map comes after it
                place = -1
            far = [
                y for y in reads
                if not (isinstance(y, Local) and self._in_order(y) and place in made[y.member])
            ]  # fmt: skip
            before = needed(far) | made[member.k]
            if place not in open_ones:  # none is open, or this member has just closed it
                place = last[member.lanes] = item(Group(member.lanes, []), set())
                open_ones.add(place)
            waits[place] |= before - {place}
            group = items[place]
            assert isinstance(group, Group)
            group.members.append(member)
            self.group_of[member.k] = group
            made[member.k].add(place)
        return _ordered(items, waits)

    def _split(self, member: Member) -> tuple[list[Term], list[Term]]:
        """The terms of a sum of which each lane has one, in the order of the lanes; and the others."""
        single, others = [], []
        for term in member.terms:
            n = len(term.to)
            order = np.argsort(term.to, kind="stable")
            if n == member.lanes and (term.to[order] == np.arange(n)).all():
                right = None if term.right is None else term.right.at(order)
                single.append(term._replace(to=np.arange(n), left=term.left.at(order), right=right))
            else:
                others.append(term)
        return single, others

    def _in_order(self, x: Local) -> bool:
        """Whether it is all lanes of a member in order, in the step itself."""
        count = self.members[x.member].lanes
        return not x.shift and len(x.lanes) == count and bool((x.lanes == np.arange(count)).all())

    def _places(self, items: list[Item]) -> None:
        """Where each member is: a place for all steps, or one that each step uses again; none in a Map alone."""
        to = self.to
        stored = {k for k in self.members if k not in self.group_of}
        for item in items:
            for member in item.members if isinstance(item, Group) else [item]:
                for x in self._reads(member):
                    if isinstance(x, Local):
                        if x.shift:
                            to.at(x.member)
                        elif self.group_of.get(x.member) is not item or not self._in_order(x):
                            stored.add(x.member)
        for k, member in self.members.items():
            if k in to.place:
                self.places[k] = to.at(k), member.lanes * self.step
            elif k in stored:
                self.places[k] = self._raw(member.lanes, f"a step of %{k}"), 0

    def _reads(self, item: Member | Sums) -> Iterator[Operand]:
        """What a member of a group reads there, or what else is read."""
        if isinstance(item, Sums):
            return _reads(item.terms)
        return _reads(self.each[item.k]) if item.k in self.each else item.reads()

    def _raw(self, lanes: int, name: str) -> int:
        found = self.to.raw(lanes * self.step)
        self.to.names[found] = name
        return found

    # -- accesses

    def view(self, x: Operand, term: Term | None = None) -> View:
        """An operand as a step sees it."""
        to = self.to
        if isinstance(x, Local):
            offset, stride = self.places[x.member]
            ago = x.shift if self.loop.backward else -x.shift
            return View(x.lanes, offset + ago * stride, self.step, stride, int(self.batched))
        first, last = (0, self.loop.steps) if term is None else (term.first, term.last)
        row, step = int(to.batched[x.source]), to.step_of(x.source)
        if x.stride is not None and (x.stride == x.stride[0]).all():
            stride = int(x.stride[0])
            if not stride or (first, last) == (0, self.loop.steps):
                return View(x.base, to.at(x.source), step, stride * step, row, None, not stride)
            at = np.clip(np.arange(self.loop.steps), first, last - 1)
            return View(x.base, to.at(x.source), step, 0, row, at * stride)
        return self._copied(within(x, self.loop, term))

    def _copied(self, x: Outer) -> View:
        """Lanes that do not move evenly, copied step by step."""
        to, steps, n = self.to, self.loop.steps, len(x.base)
        lanes = x.lanes(steps)
        key = (x.source, lanes.tobytes())
        if key not in self._copies:
            row_at = 1 if to.batched[x.source] else None
            step = to.step_of(x.source)
            place = to.raw(steps * n * step)
            to.names[place] = f"steps of %{x.source}"
            axes = (steps * n, *((to.block,) if row_at else ()))
            source = to.access(x.source, lanes.ravel(), row_at)
            target = Access(place, (step, 1) if row_at else (1,))
            self.before.append(Pack(axes, source, target))
            self._copies[key] = View(np.arange(n), place, step, n * step, int(row_at is not None))
        return self._copies[key]

    def access(self, view: View, lanes: Array, rows: bool = True) -> Access:
        """Lanes of a view: their axes are between the steps and the rows (which are left out if not `rows`)."""
        found, zeros = affine(lanes), (0,) * lanes.ndim
        table = view.times
        if found is not None:
            offset, strides = view.offset + found[0] * view.step, tuple(s * view.step for s in found[1])
            along: tuple[int, ...] = (1, *zeros)
        else:
            offset, strides, along, run = view.offset, zeros, (), 1
            for n in reversed(lanes.shape):
                along = (run, *along)
                run *= n
            along = (0 if table is None else run, *along)
            table = lanes if table is None else table[:, None] + lanes.ravel()
        if table is None:
            access = Access(offset, (view.stride, *strides))
        else:
            access = Access(offset, (view.stride, *strides), self.to.table(table), along, view.step)
        return access.with_axis(1 + lanes.ndim, view.row) if self.batched and rows else access

    def whole(self, pieces: tuple[Piece, ...], n: int) -> View:
        """An operand of n columns; copied together where it is in pieces."""
        if len(pieces) == 1:  # its columns are in order
            return self.view(pieces[0].of)
        copy = View(np.arange(n), self._raw(n, "pieces"), self.step, 0, int(self.batched))
        for columns, of in pieces:
            view = self.view(of)
            axes = (self.loop.steps, len(columns), *self.rows)
            self.body.append(Pack(axes, self.access(view, view.lanes), self.access(copy, columns)))
        return copy

    # -- elementwise

    def _group(self, group: Group) -> None:
        """The Map of a group."""
        from autograd_lite.folding.nesting import Straight

        to, code = self.to, Straight()
        values: dict[int, int | float] = {}

        def of(x: Operand, term: Term | None = None) -> int | float:
            if isinstance(x, Local) and x.member in values and self._in_order(x):
                return values[x.member]
            if isinstance(x, Outer):
                number = self._number(x)
                if number is not None:
                    return number
            view = self.view(x, term)
            return code.input(self.access(view, view.lanes))

        for member in group.members:
            x = to.instructions[member.k]
            if isinstance(x, Sum):
                values[member.k] = self._added(code, member, x.zeroed, of)
            else:
                assert isinstance(x, Map)
                operands = iter(member.operands)
                args: list[int | float] = []
                for a in x.args:
                    if isinstance(a, Ref):
                        pieces = next(operands)
                        if len(pieces) == 1:
                            args.append(of(pieces[0].of))
                        else:
                            view = self.whole(pieces, member.lanes)
                            args.append(code.input(self.access(view, view.lanes)))
                    else:
                        args.append(a)
                values[member.k] = to.mapped(code, x, args)
        kept = [member.k for member in group.members if member.k in self.places]
        summed = to.watched([member.k for member in group.members])
        steps, moved = code.finished([values[k] for k in [*kept, *summed]])
        outputs = []
        for k, value in zip(kept, moved, strict=False):
            view = self.view(Local(k, 0, np.arange(group.lanes)))
            outputs.append((value, self.access(view, view.lanes)))
        watch = tuple(dict.fromkeys(x for x in moved[len(kept) :] if isinstance(x, int)))
        axes = (self.loop.steps, group.lanes, *self.rows)
        self.body.append(MapNest(axes, tuple(code.inputs), steps, tuple(outputs), watch, self.batched))

    def _added(self, code: Straight, member: Member, zeroed: bool, of: Any) -> int | float:
        """A sum lane by lane: the rest of it, which is in memory, and what each lane has one term of."""
        total: int | float | None = 0.0 if zeroed else None
        if member.k in self.rest:
            view = self.rest[member.k]
            total = code.added(total, 1.0, code.input(self.access(view, view.lanes)), None)
        for term in self.each[member.k]:
            right = None if term.right is None else of(term.right, term)
            total = code.added(total, term.factor, of(term.left, term), right)
        assert total is not None
        return total

    def _number(self, x: Outer) -> float | None:
        """The number that all its lanes are at all steps, where that is part of the structure."""
        source = self.to.instructions[x.source]
        if not isinstance(source, Literal) or not x.invariant:
            return None
        values = source.values[x.base]
        return float(values[0]) if values.tobytes() == values[:1].tobytes() * len(values) else None

    # -- sums of more than one term

    def _sums(self, item: Sums) -> None:
        """What a sum has more than one term a lane of, or only some lanes have."""
        member = item.member
        alone = not self.each[member.k]
        x = self.to.instructions[member.k]
        assert isinstance(x, Sum)
        every = np.arange(member.lanes)
        if alone:
            target = self.view(Local(member.k, 0, every))
        else:
            target = View(every, self._raw(member.lanes, f"rest of %{member.k}"), self.step, 0, int(self.batched))
            self.rest[member.k] = target
        work: list[tuple[Form, float, View, View | None]] = []
        for term in item.terms:
            left = self.view(term.left, term)
            right = None if term.right is None else self.view(term.right, term)
            for form in forms(term.to, left.lanes, None if right is None else right.lanes):
                for one in _by_length(form):
                    work.append((one, term.factor, left, right))
        work.sort(key=lambda w: w[0].order)
        written, zero, adds = np.zeros(member.lanes, bool), x.zeroed or not work, []
        for form, *_ in work:
            seen = written[form.to.ravel()]
            zero = zero or bool(seen.any() and not seen.all())
            adds.append(bool(seen.any()))
            written[form.to.ravel()] = True
        zero = zero or not written.all()
        if zero:
            self.body.append(Fill((self.loop.steps, member.lanes, *self.rows), self.access(target, every)))
        for (form, factor, left, right), seen in zip(work, adds, strict=True):
            make = {"each": self._few, "rows": self._rows, "matmul": self._matmul}[form.what]
            make(target, form, factor, left, right, bool(seen) or zero, alone)

    def _few(self, target: View, form: Form, factor: float, left: View, right: View | None, add: bool,
             watch: bool) -> None:  # fmt: skip
        """One term for some of the lanes."""
        from autograd_lite.folding.nesting import Straight

        code = Straight()
        a = code.input(self.access(left, form.left))
        b = None if right is None or form.right is None else code.input(self.access(right, form.right))
        out = self.access(target, form.to)
        total = code.input(out) if add else None
        steps, (result,) = code.finished([code.added(total, factor, a, b)])
        axes = (self.loop.steps, len(form.to), *self.rows)
        watched = (result,) if watch and isinstance(result, int) else ()
        self.body.append(MapNest(axes, tuple(code.inputs), steps, ((result, out),), watched, self.batched))

    def _rows(self, target: View, form: Form, factor: float, left: View, right: View | None, add: bool,
              watch: bool, combine: Any = "add") -> None:  # fmt: skip
        """As many terms for each of some lanes."""
        n, count = form.left.shape
        operands = [(left, form.left)]
        if right is not None and form.right is not None:
            operands.append((right, form.right))
        along: Any = "lanes"
        accesses = [self.access(view, lanes, False) for view, lanes in operands]
        by_terms = all(x.strides[2] in (0, 1) and not any(x.table_strides[1:]) for x in accesses)
        if by_terms and not self.batched and count >= PAD // 2 and n < PAD // 2:
            along = "terms"
        if along == "lanes":  # a table has the lanes side by side
            accesses = [_turned(self.access(view, lanes.T, False)) for view, lanes in operands]
        lanes = (self.loop.steps, n, *self.rows)
        if self.batched:
            accesses = [x.with_axis(2, view.row) for x, (view, _) in zip(accesses, operands, strict=True)]
        other = accesses[1] if len(accesses) > 1 else None
        out = self.access(target, form.to)
        self.body.append(Rows(lanes, (count,), accesses[0], other, out, along, factor, add, combine, watch=watch))

    def _matmul(self, target: View, form: Form, factor: float, left: View, right: View | None, add: bool,
                watch: bool) -> None:  # fmt: skip
        """Products of matrices; mostly of a matrix that stays with what the last step left."""
        assert right is not None
        assert form.right is not None
        blocks, h, wide = form.to.shape
        count = form.left.shape[2]
        if blocks == 1 and max(h, wide) > 1:
            to, a, b = form.to[0], (left, form.left[0]), (right, form.right[0])
            if self.batched:
                for (u, v), lanes in (((a, b), to), ((b, a), to.T)):
                    if not u[0].row and v[0].row and self._with_rows(target, lanes, factor, u, v, add, watch):
                        return
            else:
                # The axis along which results lie side by side is that of the vectors.
                for (u, v), lanes in (((a, b), to), ((b, a), to.T)):
                    if lanes.shape[1] > 1 and self._product(target, lanes, factor, u, v, add, watch):
                        return
        shape = (blocks, h, wide, count)
        lefts = np.broadcast_to(form.left[:, :, None], shape).reshape(-1, count)
        rights = np.broadcast_to(form.right[:, None], shape).reshape(-1, count)
        self._rows(target, Form("rows", form.to.ravel(), lefts, rights), factor, left, right, add, watch)

    def _product(self, target: View, to: Array, factor: float, left: tuple[View, Array], right: tuple[View, Array],
                 add: bool, watch: bool) -> bool:  # fmt: skip
        """out[i, j] = left[i, t] * right[j, t], j side by side; whether it could be done."""
        (m, n), count, steps = to.shape, left[1].shape[1], self.loop.steps
        out = self.access(target, to)
        if out.table is not None or out.strides[2] != 1:
            return False
        a = self.access(*left)
        b = self._across(*right)
        if a.table is not None or b is None:
            return False
        halves = [0, count]
        if m == 1 and n <= PAD and count >= 2 * SPLIT:
            halves.insert(1, count // 2)
        for start, stop in pairwise(halves):
            one = replace(a, offset=a.offset + start * a.strides[2]), replace(b, offset=b.offset + start * b.strides[1])
            self.body.append(Product(steps, m, n, stop - start, *one, out, factor, add or start > 0, watch=watch))
        return True

    def _across(self, view: View, lanes: Array) -> Access | None:
        """The right operand (steps, t, j), j side by side; what stays is turned once."""
        found = self.access(view, np.ascontiguousarray(lanes.T))
        if found.table is None and found.strides[2] == 1:
            return found
        if not view.fixed:
            return None
        n, count = lanes.shape
        key = ("turned", view.offset, lanes.tobytes())
        if key not in self._copies:
            row = -(-n // PAD) * PAD
            place = self.to.raw(count * row)
            self.to.names[place] = "turned"
            self.before.append(Pack((count, n), found.at_first(0), Access(place, (row, 1)), padded=True))
            self._copies[key] = View(lanes, place, row, 0, 0)
        kept = self._copies[key]
        return Access(kept.offset, (0, kept.step, 1))

    def _with_rows(self, target: View, to: Array, factor: float, left: tuple[View, Array], right: tuple[View, Array],
                   add: bool, watch: bool) -> bool:  # fmt: skip
        """A matrix without rows times vectors in each row; whether it could be done."""
        (m, many), count = to.shape, left[1].shape[1]
        if many > 1:
            return False
        out = self.access(target, to[:, 0])
        a, b = self.access(*left, rows=False), self.access(right[0], right[1][0])
        if any(x.table is not None for x in (out, a, b)):
            return False
        self.body.append(Product(self.loop.steps, m, self.to.block, count, a, b, out, factor, add, "n", True, watch))
        return True

    # -- reductions

    def _reduce(self, member: Member) -> None:
        x = self.to.instructions[member.k]
        assert isinstance(x, Reduce)
        counts = member.counts
        assert counts is not None
        if x.row.name not in ("max", "min") or (counts != counts[0]).any():
            raise Refused(f"{x.row.name} in a step of a loop")
        view = self.whole(member.operands[0], int(counts.sum()))
        form = Form("rows", np.arange(member.lanes), view.lanes.reshape(member.lanes, -1), None)
        target = self.view(Local(member.k, 0, np.arange(member.lanes)))
        self._rows(target, form, 1.0, view, None, False, False, x.row.name)


def within(x: Outer, loop: Loop, term: Term | None) -> Outer:
    """What a term reads outside, with the nearest step's lanes where the term is not there."""
    if term is None or x.stride is None or (term.first, term.last) == (0, loop.steps) or x.invariant:
        return x
    steps = np.clip(np.arange(loop.steps), term.first, term.last - 1)
    return Outer(x.source, x.base, None, x.lanes(loop.steps)[steps])


def _reads(terms: Iterable[Term]) -> Iterator[Operand]:
    """The operands of terms."""
    for term in terms:
        yield term.left
        if term.right is not None:
            yield term.right


def _ordered(items: list[Item], waits: list[set[int]]) -> list[Item]:
    """The items, each after those that it waits for."""
    done: list[Item] = []
    finished: set[int] = set()
    left = list(range(len(items)))
    while left:
        ready = [n for n in left if waits[n] <= finished]
        assert ready, "a Map that was read is complete"
        done += [items[n] for n in ready]
        finished.update(ready)
        left = [n for n in left if n not in finished]
    return done


def max_shift(loop: Loop, k: int) -> int:
    """How many steps away a member is read at most."""
    found = [x.shift for member in loop.members for x in member.reads() if isinstance(x, Local) and x.member == k]
    return max(found, default=0)


def _by_length(form: Form) -> list[Form]:
    """Segments as rows, one form a length."""
    if form.what != "segments":
        return [form]
    assert form.starts is not None
    counts = np.diff(form.starts, append=len(form.left))
    lengths = np.unique(counts)
    if len(lengths) > MOST_LENGTHS:
        raise Refused("sums of many lengths in a step of a loop")
    found = []
    for length in lengths.tolist():
        mine = counts == length
        at = form.starts[mine][:, None] + np.arange(length)
        found.append(Form("rows", form.to[mine], form.left[at], None if form.right is None else form.right[at]))
    return found


def _turned(access: Access) -> Access:
    """An access with its second and third axis exchanged."""

    def turned(strides: tuple[int, ...]) -> tuple[int, ...]:
        return (strides[0], strides[2], strides[1], *strides[3:]) if strides else strides

    return replace(access, strides=turned(access.strides), table_strides=turned(access.table_strides))
