"""A Plan as loops over named arrays: what the exported files say, before it is written in a language.

Each instruction has an array of its lanes, v7 for %7. Elementwise instructions of one size share a loop, in which
those that nothing else reads are mere variables, x7. Numbers that are the same in every lane stand in the text. A
batch is a loop over its rows around all that has rows; sums over rows are collected there:

    before    once
    row       for each row
    after     once: what is made of sums over rows
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autograd_lite.engine.lowering import Step
from autograd_lite.folding.backends.one_step import Fixed, Moving, OneStep
from autograd_lite.folding.backends.strides import affine, common, pattern
from autograd_lite.folding.contractions import Form
from autograd_lite.folding.instructions import Carry, Instruction, Leaf, Literal, Map, Part, Reduce, Ref, Sum
from autograd_lite.folding.loops import Loop as SteppedLoop
from autograd_lite.folding.plan import Plan
from autograd_lite.folding.printing import name as title_of

Array = Any

COUNTERS = "ijklmnpq"


@dataclass(frozen=True)
class Access:
    """array[offset + sum(counter * stride)], or with a table array[table[that]]."""

    array: str
    offset: int
    strides: tuple[int, ...]
    table: str | None = None
    step: int = 0
    """The stride of the counter t, within Steps."""


Value = float | str | Access
"""A number, a variable, or what is read."""


@dataclass(frozen=True)
class Let:
    """name = step, whose arguments are Values."""

    name: str
    step: Step
    args: tuple[Value, ...]


@dataclass(frozen=True)
class Store:
    """target = value, or with `add` target = target + value."""

    target: Access
    value: Value
    add: bool = False


@dataclass(frozen=True)
class Loop:
    """For every index of the axes, what is in the body.

    Args:
        title: for people.
        axes: how often each counter runs; () for once.
        body: in order.
        batched: whether a value of it has rows.
    """

    title: str
    axes: tuple[int, ...]
    body: tuple[Let | Store, ...]
    batched: bool


@dataclass(frozen=True)
class Terms:
    """target = (target +) factor * (sum over the terms of left * right), for every index of the axes.

    Args:
        title: for people.
        kind: the product, as of a Part.
        factor: a number.
        axes: of the lanes.
        terms: axes that are summed over, the counters after those of the lanes; or the name of a table of where the
            terms of each lane begin, and one more entry: then the one counter of left and right is the term.
        left, right: right is None for a sum of left alone.
        target: where it goes.
        add: whether it is added.
        batched: whether the result has rows.
        over_rows: whether rows are summed over.
    """

    title: str
    kind: str
    factor: float
    axes: tuple[int, ...]
    terms: tuple[int, ...] | str
    left: Access
    right: Access | None
    target: Access
    add: bool
    batched: bool
    over_rows: bool


@dataclass(frozen=True)
class Extreme:
    """target[g] = max, min or norm of the elements starts[g] ... starts[g + 1] - 1.

    Args:
        title: for people.
        what: "max", "min" or "norm".
        groups: how many.
        starts: the name of a table; or a number, where all groups have this many.
        elements: its counter is the element.
        target: its counter is the group.
        batched: whether it has rows.
    """

    title: str
    what: str
    groups: int
    starts: str | int
    elements: Access
    target: Access
    batched: bool


@dataclass(frozen=True)
class Zero:
    """Zeros in all of an array."""

    array: str


@dataclass(frozen=True)
class Within:
    """A body for the steps first <= t < last; for the others zeros in an array."""

    first: int
    last: int
    array: str
    body: Loop


@dataclass(frozen=True)
class Steps:
    """A recurrence: for each step t, from the last one if it is backward, what is in the body.

    Args:
        title: for people.
        count: how many steps.
        backward: whether the last comes first.
        body: in order.
    """

    title: str
    count: int
    backward: bool
    body: tuple[Statement, ...]


Statement = Loop | Terms | Extreme | Zero | Within | Steps


@dataclass
class Place:
    """An array: its size, and whether it has rows."""

    size: int
    batched: bool
    title: str


@dataclass
class Routine:
    """The loops of a plan.

    Args:
        before, row, after: see the head of this file.
        places: arrays that are computed, by name.
        tables: index tables by name.
        literals: tables of numbers by name.
        outputs: for each output an access with one counter, how many lanes it has, and whether they have rows.
        inputs: (size, whether it has rows) of each argument, None where nothing reads it.
        batch: whether there is a batch axis.
        functions: the elementary functions in it.
    """

    before: list[Statement] = field(default_factory=list)
    row: list[Statement] = field(default_factory=list)
    after: list[Statement] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    tables: dict[str, Array] = field(default_factory=dict)
    literals: dict[str, Array] = field(default_factory=dict)
    outputs: list[tuple[Access, int, bool]] = field(default_factory=list)
    batch: bool = False
    functions: set[str] = field(default_factory=set)
    table_names: dict[bytes, str] = field(default_factory=dict)

    def statements(self) -> Iterator[Statement]:
        """All of them, those of a recurrence by themselves."""
        for x in (*self.before, *self.row, *self.after):
            yield from x.body if isinstance(x, Steps) else (x,)


class Unwritable(ValueError):
    """A plan that cannot be written in another language; the message says why."""


def loops(plan: Plan, constants: Array) -> Routine:
    """The loops of a plan; the constants become part of it.

    Raises:
        Unwritable: it has a function of Python in it, or reads a sum over rows in each row.
    """
    routine = Routine(batch=any(x.batched for x in plan.instructions))
    return _Writer(plan.instructions, plan.outputs, constants, routine).whole(plan)


class _Group:
    """Elementwise instructions of one size that share a loop."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.members: list[int] = []


class _Writer:
    """Writes instructions as loops.

    Args:
        instructions: in order.
        outputs: lanes of them.
        constants: the numbers of the leaf of that name.
        routine: gets arrays and tables.
        prefix: of the names of arrays.
    """

    def __init__(self, instructions: Sequence[Instruction], outputs: Sequence[Ref], constants: Array, routine: Routine,
                 prefix: str = "") -> None:  # fmt: skip
        self.instructions, self.outputs, self.constants = instructions, outputs, constants
        self.routine, self.prefix = routine, prefix
        self.stages = [0] * len(instructions)
        self.parts: tuple[list[Statement], ...] = ([], [], [])
        self.items: list[list[Any]] = [[], [], []]
        self.item: dict[int, int] = {}
        """The item of its stage in which an instruction is."""
        self.group: dict[int, _Group] = {}
        self.loops: list[SteppedLoop] = []

    def whole(self, plan: Plan) -> Routine:
        """All of a plan."""
        self.stages, self.loops = self._stages(plan), plan.loops
        self.written(plan.items)
        routine = self.routine
        routine.before, routine.row, routine.after = self.parts
        for ref in self.outputs:
            lanes = self._lanes(ref)
            routine.outputs.append((self._access(ref, lanes), len(lanes), self.instructions[ref.source].batched))
        while _pruned(routine):
            pass
        return routine

    def written(self, order: Iterable[int | SteppedLoop]) -> None:
        """The statements of each stage."""
        for item in order:
            if isinstance(item, SteppedLoop):
                for k in range(item.start, item.stop):
                    self.item[k] = len(self.items[self.stages[k]])
                self.items[self.stages[item.start]].append(item)
                continue
            if isinstance(self.instructions[item], (Leaf, Literal)):
                self.item[item] = -1
            elif self._elementwise(self.instructions[item]):
                self._join(item, self.instructions[item])
            else:
                self._append(item, [item])
        self.stored = self._stored()
        for stage, made in enumerate(self.items):
            for item in made:
                if isinstance(item, _Group):
                    self.parts[stage].append(self._loop(item))
                elif isinstance(item, SteppedLoop):
                    self._steps(item, self.parts[stage])
                else:
                    self._by_itself(stage, *item)

    def _by_itself(self, stage: int, k: int) -> None:
        """A sum of its own, or a reduction."""
        x = self.instructions[k]
        self._place(k)
        if isinstance(x, Reduce):
            self.parts[stage].append(self._extreme(k, x))
        else:
            assert isinstance(x, Sum)
            self._sum(k, x)

    def _stages(self, plan: Plan) -> list[int]:
        stages: list[int] = [0] * len(self.instructions)
        for item in plan.items:
            members = range(item.start, item.stop) if isinstance(item, SteppedLoop) else range(item, item + 1)
            before = 0
            for k in members:
                sources = [ref.source for ref in self.instructions[k].refs if ref.source not in members]
                before = max([before, *(stages[source] for source in sources)])
            batched = any(self.instructions[k].batched for k in members)
            if batched and before == 2:
                raise Unwritable("source: each row reads a sum over all rows")
            for k in members:
                stages[k] = 1 if batched else 2 if before else 0
        return stages

    # -- recurrences

    def _steps(self, loop: SteppedLoop, out: list[Statement]) -> None:
        """A loop of the plan: its step as loops over arrays of one step, repeated."""
        step = OneStep(self.instructions, loop)
        prefix = f"{self.prefix}s{loop.start}_"
        for x in step.instructions:
            if not x.batched and any(step.instructions[ref.source].batched for ref in x.refs):
                raise Unwritable("source: each step of a recurrence reads a sum over all rows")
        kept = [Ref(n, None) for k, n in step.of.items() if k in self.stored or k in step.shifts]
        inner = _Writer(step.instructions, kept, self.constants, self.routine, prefix)
        inner.written(range(len(step.instructions)))
        body: list[Statement] = []
        for n, x in enumerate(step.instructions):
            if not isinstance(x, Leaf):
                continue
            what, name = step.inputs[x.index], inner._array(n)
            self.routine.places[name] = Place(x.size, x.batched, "of one step")
            if isinstance(what, Fixed):
                out.append(self._copied(name, x, self._access(Ref(what.source, None), what.lanes)))
            elif isinstance(what, Moving):
                access = self._of_step(what)
                copied = self._copied(name, x, access)
                whole = what.first == 0 and what.last == loop.steps
                body.append(copied if whole else Within(what.first, what.last, name, copied))
            elif loop.backward:
                out.append(Zero(name))
            else:
                made = self.instructions[loop.carries[what.member]]
                assert isinstance(made, Carry)
                first = (made.delay - what.shift) * made.width
                lanes = self._lanes(made.initial)[first : first + made.width]
                out.append(self._copied(name, x, self._access(Ref(made.initial.source, None), lanes)))
        body += inner.parts[0]
        for member in loop.members:
            k, n = member.k, step.of[member.k]
            if k in self.stored:
                target = Access(self._place(k), 0, (1,), None, member.lanes)
                body.append(self._moved(step.instructions[n], Access(inner._array(n), 0, (1,)), target))
        for k, shift in step.shifts.items():
            chain = [inner._array(step.of[k]), *(inner._array(step.leaf(k, s)) for s in range(1, shift + 1))]
            for s in range(shift, 0, -1):
                x = step.instructions[step.of[k]]
                body.append(self._moved(x, Access(chain[s - 1], 0, (1,)), Access(chain[s], 0, (1,))))
        titles = ", ".join(title_of(self.instructions[member.k]) for member in loop.members[:4])
        out.append(Steps(f"{loop.steps:,} steps of {titles}", loop.steps, loop.backward, tuple(body)))
        for k, carry in loop.carries.items():
            if carry in self.stored:
                handed = self.instructions[carry]
                assert isinstance(handed, Carry)
                first, name = handed.delay * handed.width, self._place(carry)
                initial = self._access(handed.initial, self._lanes(handed.initial))
                out.append(self._loop_of(handed, first, initial, Access(name, 0, (1,))))
                rest = Access(self._array(k), 0, (1,))
                out.append(self._loop_of(handed, handed.size - first, rest, Access(name, first, (1,))))

    def _of_step(self, what: Moving) -> Access:
        """Lanes from outside that are others in each step."""
        used = what.table[what.first : what.last]
        found = affine(used)
        if found is not None:
            offset, (step, stride) = found
            return Access(self._array(what.source), offset - step * what.first, (stride,), None, step)
        return Access(self._array(what.source), 0, (1,), self._table(what.table), what.table.shape[1])

    def _copied(self, name: str, x: Instruction, source: Access) -> Loop:
        return self._moved(x, source, Access(name, 0, (1,)))

    def _moved(self, x: Instruction, source: Access, target: Access) -> Loop:
        return self._loop_of(x, x.size, source, target)

    def _loop_of(self, x: Instruction, n: int, source: Access, target: Access) -> Loop:
        """Lanes copied."""
        body: list[Let | Store] = [Store(target, source)]
        return Loop("", (n,) if n != 1 else (), tuple(_without_axes(body) if n == 1 else body), x.batched)

    # -- which instructions share a loop

    def _elementwise(self, x: Instruction) -> bool:
        return isinstance(x, Map) or (isinstance(x, Sum) and self._terms_of(x) is not None)

    def _reduces(self, x: Instruction) -> bool:
        return not x.batched and any(self.instructions[ref.source].batched for ref in x.refs)

    def _terms_of(self, x: Sum) -> list[tuple[Part, Ref, Ref | None]] | None:
        """The terms of a sum that has the same few in every lane."""
        if self._reduces(x) or not x.parts:
            return None
        found = []
        for part in x.parts:
            if len(part.forms) != 1 or part.forms[0].what != "each" or len(part.forms[0].to) != x.size:
                return None
            form = part.forms[0]
            order = np.argsort(form.to)
            right = None if part.right is None or form.right is None else Ref(part.right.source, form.right[order])
            found.append((part, Ref(part.left.source, form.left[order]), right))
        return found

    def _in_order(self, ref: Ref) -> bool:
        size = self.instructions[ref.source].size
        return ref.lanes is None or (len(ref.lanes) == size and np.array_equal(ref.lanes, np.arange(size)))

    def _operands(self, x: Instruction) -> list[Ref]:
        if isinstance(x, Sum):
            terms = self._terms_of(x)
            if terms is not None:
                return [ref for _, left, right in terms for ref in (left, right) if ref is not None]
        return list(x.refs)

    def _join(self, k: int, x: Instruction) -> None:
        """Into the last loop of its size that everything it reads stands before, or a new one."""
        stage = self.stages[k]
        items = self.items[stage]
        for at in range(len(items) - 1, -1, -1):
            group = items[at]
            if isinstance(group, _Group) and group.size == x.size and all(
                self.stages[ref.source] < stage or self.item[ref.source] < at
                or (self.item[ref.source] == at and self._in_order(ref))
                for ref in self._operands(x)
            ):  # fmt: skip
                group.members.append(k)
                self.item[k], self.group[k] = at, group
                return
            if any(self.stages[ref.source] == stage and self.item[ref.source] >= at for ref in self._operands(x)):
                break
        group = self.group[k] = _Group(x.size)
        group.members.append(k)
        self._append(k, group)

    def _append(self, k: int, item: Any) -> None:
        self.items[self.stages[k]].append(item)
        self.item[k] = len(self.items[self.stages[k]]) - 1

    def _stored(self) -> set[int]:
        """The members of loops that something outside their loop reads."""
        stored = {ref.source for ref in self.outputs}
        inside = {k for loop in self.loops for k in range(loop.start, loop.stop)}
        for loop in self.loops:
            stored |= loop.sources()
            made = (self.instructions[carry] for carry in loop.carries.values())
            stored |= {x.initial.source for x in made if isinstance(x, Carry)}
            # the steps of a carry are those of what it carries
        for k, x in enumerate(self.instructions):
            if k in inside:
                continue
            for ref in self._operands(x):
                if self.group.get(k) is None or self.group.get(ref.source) is not self.group[k]:
                    stored.add(ref.source)
        for loop in self.loops:
            stored |= {k for k, carry in loop.carries.items() if carry in stored}
        return stored

    # -- what is read and written

    def _lanes(self, ref: Ref) -> Array:
        return np.arange(self.instructions[ref.source].size) if ref.lanes is None else ref.lanes

    def _place(self, k: int) -> str:
        x, name = self.instructions[k], self._array(k)
        self.routine.places[name] = Place(x.size, x.batched, self._title(k))
        return name

    def _title(self, k: int) -> str:
        return title_of(self.instructions[k])

    def _array(self, k: int) -> str:
        x = self.instructions[k]
        if isinstance(x, Leaf) and x.kind != "constants":
            return f"{self.prefix or 'x'}{x.index}" if x.kind == "input" else x.kind
        if isinstance(x, (Leaf, Literal)):
            name = "constants" if isinstance(x, Leaf) else f"{self.prefix}c{k}"
            self.routine.literals[name] = self.constants if isinstance(x, Leaf) else x.values
            return name
        return f"{self.prefix}v{k}"

    def _number(self, ref: Ref) -> float | None:
        """What all lanes of a Ref are, where that is known."""
        x = self.instructions[ref.source]
        if isinstance(x, Leaf) and x.kind == "constants":
            values = self.constants
        elif isinstance(x, Literal):
            values = x.values
        else:
            return None
        values = values if ref.lanes is None else values[ref.lanes]
        same = len(values) and values.tobytes() == values[:1].tobytes() * len(values)
        return float(values[0]) if same else None

    def _access(self, ref: Ref, lanes: Array) -> Access:
        """The lanes of a table, whose axes are those of a loop."""
        array = self._array(ref.source)
        found = affine(lanes) if lanes.size else (0, (0,) * lanes.ndim)
        if found is not None:
            return Access(array, *found)
        strides: list[int] = []
        run = 1
        for n in reversed(lanes.shape):
            strides.insert(0, run)
            run *= n
        return Access(array, 0, tuple(strides), self._table(lanes))

    def _table(self, entries: Array) -> str:
        entries = np.ascontiguousarray(entries, np.int64).ravel()
        known = self.routine.table_names
        name = known.setdefault(entries.tobytes(), f"t{len(known)}")
        self.routine.tables[name] = entries
        return name

    # -- loops

    def _loop(self, group: _Group) -> Loop:
        n = group.size
        refs = [ref for k in group.members for ref in self._operands(self.instructions[k])
                if self.group.get(ref.source) is not group and self._number(ref) is None]  # fmt: skip
        shape = self._shape(n, refs)
        order = np.arange(n).reshape(shape)
        body: list[Let | Store] = []
        known: dict[int, Value] = {}

        def of(ref: Ref) -> Value:
            if ref.source in known:
                return known[ref.source]
            number = self._number(ref)
            if number is not None:
                return number
            return self._access(ref, self._lanes(ref)[order])

        for k in group.members:
            x = self.instructions[k]
            lines = _Lines(f"{self.prefix}x{k}" if self.prefix else f"x{k}", body)
            if isinstance(x, Map):
                result = self._mapped(x, [of(ref) for ref in x.refs], lines)
            else:
                assert isinstance(x, Sum)
                result = self._added(x, of, lines)
            known[k] = result
            if k in self.stored:
                body.append(Store(Access(self._place(k), 0, _strides(shape)), result))
        titles = [self._title(k) for k in group.members]
        shown = ", ".join(titles[:6]) + (f" and {len(titles) - 6} more" if len(titles) > 6 else "")
        batched = any(self.instructions[k].batched for k in group.members)
        return Loop(shown, shape if n != 1 else (), tuple(_without_axes(body) if n == 1 else body), batched)

    def _shape(self, n: int, refs: list[Ref]) -> tuple[int, ...]:
        if n < 2:
            return (n,)
        found = [pattern(ref.lanes) for ref in refs if ref.lanes is not None]
        shape = common([[(n, 1)], *(p[1] for p in found if p)])
        shape = None if shape is None else [m for m in shape if m > 1]
        return tuple(shape) if shape and len(shape) <= len(COUNTERS) // 2 else (n,)

    def _mapped(self, x: Map, operands: list[Value], lines: _Lines) -> Value:
        code = x.code
        assert code is not None
        values = list(operands)
        for step in code.steps:
            if step.function is not None:
                raise Unwritable(
                    f"source: {x.row.name} is a user-defined primitive, a function of Python; "
                    "give its rules as text, or write it with functions of this package"
                )
            values.append(lines.let(step, [a if isinstance(a, float) else values[a] for a in step.args]))
        return code.result if isinstance(code.result, float) else values[code.result]

    def _added(self, x: Sum, of: Any, lines: _Lines) -> Value:
        terms = self._terms_of(x)
        assert terms is not None
        total: Value | None = 0.0 if x.zeroed else None
        for part, left, right in terms:
            term = of(left)
            if right is not None:
                term = self._step(lines, part.kind, term, of(right))
            if part.factor == -1.0 and total is not None:
                total = self._step(lines, "sub", total, term)
                continue
            if part.factor != 1.0:
                step, *more = ("neg",) if part.factor == -1.0 else ("mul", part.factor)
                term = self._step(lines, step, term, *more)
            total = term if total is None else self._step(lines, "add", total, term)
        assert total is not None
        return total

    def _step(self, lines: _Lines, name: str, *args: Value) -> Value:
        return lines.let(Step(name, ()), list(args))

    # -- sums and reductions

    def _sum(self, k: int, x: Sum) -> None:
        name = self._array(k)
        first = self.stages[k] if not self._reduces(x) else 0
        work = [(form, part) for part in x.parts for form in part.forms]
        work.sort(key=lambda item: -item[0].to.size)
        reached = np.zeros(x.size, np.int64)
        for form, _ in work:
            np.add.at(reached, form.to.ravel(), 1)
        whole = bool(work) and not x.zeroed and not self._reduces(x)
        once = whole and (reached == 1).all()
        fresh = whole and work[0][0].to.size == x.size
        if not once and not fresh:
            self.parts[first].append(Zero(name))
        for at, (form, part) in enumerate(work):
            refs = [part.left] if part.right is None else [part.left, part.right]
            over_rows = not x.batched and any(self.instructions[ref.source].batched for ref in refs)
            stage = 1 if over_rows else self.stages[k] if not self._reduces(x) else max(
                self.stages[ref.source] for ref in refs
            )  # fmt: skip
            add = not once and not (fresh and at == 0)
            self.parts[stage].append(self._form(k, form, part, add, x.batched, over_rows))

    def _form(self, k: int, form: Form, part: Part, add: bool, batched: bool, over_rows: bool) -> Terms:
        left, right, to = form.left, form.right, form.to
        a, b = part.left, part.right
        axes: tuple[int, ...] = to.shape
        terms: tuple[int, ...] | str = ()
        if form.what == "matmul":
            blocks, height, width = to.shape
            count = left.shape[2]
            assert right is not None
            left = np.broadcast_to(left[:, :, None, :], (blocks, height, width, count))
            right = np.broadcast_to(right[:, None, :, :], (blocks, height, width, count))
            terms = (count,)
        elif form.what == "rows":
            terms = (left.shape[1],)
        elif form.what == "segments":
            assert form.starts is not None
            terms = self._table(np.append(form.starts, len(left)))
        else:
            shape = self._shape(len(to), [Ref(0, lanes) for lanes in (to, left, right) if lanes is not None])
            axes, to, left = shape, to.reshape(shape), left.reshape(shape)
            right = None if right is None else right.reshape(shape)
        if part.kind in ("_chain", "_masked"):
            self.routine.functions.add(part.kind)
        accesses = [self._access(a, left), None if b is None or right is None else self._access(b, right)]
        target = self._access(Ref(k, None), to)
        if isinstance(terms, tuple):  # a counter that runs once is none
            long = [i for i, n in enumerate((*axes, *terms)) if n > 1]
            accesses = [None if x is None else _along(x, long) for x in accesses]
            target = _along(target, [i for i in long if i < len(axes)])
            axes, terms = tuple(n for n in axes if n > 1), tuple(n for n in terms if n > 1)
        first, second = accesses
        assert first is not None
        return Terms(f"%{k}, {form.what}", part.kind, part.factor, axes, terms, first, second, target, add, batched,
                     over_rows)  # fmt: skip

    def _extreme(self, k: int, x: Reduce) -> Extreme:
        same = (x.counts == x.counts[0]).all()
        starts = int(x.counts[0]) if same else self._table(np.append(0, np.cumsum(x.counts)))
        elements = self._access(x.elements, self._lanes(x.elements))
        return Extreme(f"%{k}, {x.row.name}", x.row.name, x.size, starts, elements,
                       Access(self._array(k), 0, (1,) if x.size > 1 else ()), x.batched)  # fmt: skip


def _pruned(routine: Routine) -> bool:
    """Take out what is written to arrays that nothing reads; whether there was any."""
    read = {access.array for access, _, _ in routine.outputs}
    for x in routine.statements():
        read.update(access.array for access in _reads(x))
    dead = routine.places.keys() - read
    for name in dead:
        del routine.places[name]
    if dead:
        for part in (routine.before, routine.row, routine.after):
            part[:] = _without(part, dead)
    return bool(dead)


def _reads(x: Statement) -> Iterator[Access]:
    if isinstance(x, Within):
        yield from _reads(x.body)
    elif isinstance(x, Loop):
        for line in x.body:
            yield from (a for a in (line.args if isinstance(line, Let) else (line.value,)) if isinstance(a, Access))
    elif isinstance(x, Terms):
        yield from (a for a in (x.left, x.right) if a is not None)
    elif isinstance(x, Extreme):
        yield x.elements


def _without(part: Sequence[Statement], dead: set[str]) -> Iterator[Statement]:
    """Statements that write to other arrays."""
    for x in part:
        if isinstance(x, Steps):
            body = tuple(_without(x.body, dead))
            if body:
                yield replace(x, body=body)
        elif isinstance(x, Loop):
            lines = tuple(line for line in x.body if isinstance(line, Let) or line.target.array not in dead)
            if any(isinstance(line, Store) for line in lines):
                yield replace(x, body=lines)
        elif (x.array if isinstance(x, (Zero, Within)) else x.target.array) not in dead:
            yield x


def _along(x: Access, axes: Sequence[int]) -> Access:
    return Access(x.array, x.offset, tuple(x.strides[i] for i in axes), x.table, x.step)


def _strides(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


def _without_axes(body: list[Let | Store]) -> Iterator[Let | Store]:
    """Of one lane: no counters."""

    def bare(x: Value) -> Value:
        return Access(x.array, x.offset, (), x.table, x.step) if isinstance(x, Access) else x

    for line in body:
        if isinstance(line, Let):
            yield Let(line.name, line.step, tuple(map(bare, line.args)))
        else:
            target = bare(line.target)
            assert isinstance(target, Access)
            yield Store(target, bare(line.value), line.add)


class _Lines:
    """The lines of one instruction; its last variable has its name, others that with a letter."""

    def __init__(self, name: str, body: list[Let | Store]) -> None:
        self.name, self.body, self.count = name, body, 0

    def let(self, step: Step, args: list[Value]) -> str:
        """A line more, and its variable."""
        name = f"{self.name}_{self.count}" if self.count else self.name
        self.count += 1
        self.body.append(Let(name, step._replace(args=()), tuple(args)))
        return name
