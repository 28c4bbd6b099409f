"""nests: a Plan made into loops over one buffer of numbers (nests.py).

Instructions are taken in order. Elementwise ones join the last group of their size that everything they read stands
before, so that a run of them is one loop; those of few lanes, in a batch, keep each lane in a register. Everything else
gets nests of its own (nested_sums.py). What is read only inside its group is never stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_lite.engine.lowering import FLOATS, Code, Step, lower
from autograd_lite.engine.rules import TABLE
from autograd_lite.folding.backends import Refused
from autograd_lite.folding.backends.strides import affine, common, cut, pattern
from autograd_lite.folding.instructions import Carry, Instruction, Leaf, Literal, Map, Part, Reduce, Ref, Sum
from autograd_lite.folding.loops import Loop
from autograd_lite.folding.nested_loops import Loops
from autograd_lite.folding.nested_steps import max_shift
from autograd_lite.folding.nested_sums import Sums
from autograd_lite.folding.nests import (
    FURTHER,
    IN_PYTHON,
    PAD,
    Access,
    Fill,
    Input,
    Nest,
    Nests,
    Output,
    Pack,
    Rows,
    Watch,
)
from autograd_lite.folding.nests import Map as MapNest
from autograd_lite.folding.nests_interpreter import python_step
from autograd_lite.folding.plan import ZERO_RULE, Plan

Array = Any

FEW = 16
"""Batched instructions of so few lanes are computed lane by lane, each in a register."""

SINGLE = 4
"""Instructions without a batch, of so few lanes: the state of a recurrence."""

TERMS_OF_FEW = 64
"""Terms that such a sum may have; in a plan with loops FEW, since each number of steps would be another code."""

MOST = 200
"""Steps in a group, about."""

LEAST_RUN = 8
"""A run of lanes that is shorter than a vector is gathered with its neighbours."""

CHEAP = frozenset(
    ["add", "sub", "mul", "div", "neg", "abs", "select", "gt", "ge", "lt", "le", "eq", "sqrt", "floor", "ceil", "exp"]
) | {"log", *FURTHER}
"""Steps that may be written out once a lane."""


def padded(n: int) -> int:
    """The next multiple of PAD."""
    return -(-n // PAD) * PAD


class Straight:
    """Straight-line code that is being made: equal steps once. Inputs have negative numbers until it is finished."""

    results: set[int]

    def __init__(self) -> None:
        self.inputs: dict[Any, int] = {}
        self.steps: list[Step] = []
        self._made: dict[Any, int] = {}

    def input(self, key: Any) -> int:
        """The value of an input, which the key stands for."""
        return self.inputs.setdefault(key, -1 - len(self.inputs))

    def step(self, name: str, *args: int | float) -> int | float:
        """One step; what is known of numbers is worked out."""
        if all(isinstance(x, float) for x in args):
            return float(_ON_FLOATS[name](*args))
        if name == "select" and isinstance(args[0], float):
            return args[1] if args[0] else args[2]
        key = (name, *((x, math.copysign(1.0, x)) if isinstance(x, float) else x for x in args))
        if key not in self._made:
            self._made[key] = len(self.steps)
            self.steps.append(Step(name, args))
        return self._made[key]

    def run(self, code: Code, operands: Sequence[int | float]) -> int | float:
        """The value of a code on values."""
        values = list(operands)

        def of(x: int | float) -> int | float:
            return x if isinstance(x, float) else values[x]

        for step in code.steps:
            values.append(self.step(step.name, *map(of, step.args)))
        return of(code.result)

    def times(self, x: int | float, factor: float) -> int | float:
        """A value times a number."""
        return x if factor == 1.0 else self.step("neg", x) if factor == -1.0 else self.step("mul", x, factor)

    def added(self, total: int | float | None, factor: float, a: int | float, b: int | float | None) -> int | float:
        """total + factor * a * b, or that without total or b."""
        if total is None:
            return self.times(a if b is None else self.step("mul", a, b), factor)
        if b is None:
            if factor in (1.0, -1.0):
                return self.step("add" if factor == 1.0 else "sub", total, a)
            return self.step("fma", a, factor, total)
        if factor in (1.0, -1.0):
            return self.step("fma", self.times(a, factor), b, total)
        return self.step("fma", self.step("mul", a, b), factor, total)

    def finished(self, results: Sequence[int | float]) -> tuple[tuple[Step, ...], list[int | float]]:
        """The steps, numbered on from the inputs, and the results."""
        count = len(self.inputs)

        def moved(x: int | float) -> int | float:
            return x if isinstance(x, float) else -1 - x if x < 0 else x + count

        return tuple(Step(s.name, tuple(map(moved, s.args))) for s in self.steps), [moved(x) for x in results]


_ON_FLOATS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "neg": lambda a: -a,
    "fma": lambda a, b, c: a * b + c,
    "max": lambda a, b: a if a >= b or a != a else b, "min": lambda a, b: a if a <= b or a != a else b,
    "gt": lambda a, b: a > b, "lt": lambda a, b: a < b, "select": lambda c, a, b: a if c else b,
    "abs": abs, "div": FLOATS["div"], "sqrt": FLOATS["sqrt"],
}  # fmt: skip


class Group:
    """Elementwise instructions that share a loop.

    Args:
        kind: "lanes" for a loop over equal lanes; "few" and "one" for lanes in registers, of batched instructions or
            of single numbers.
        stage: 0, 1 or 2: the prologue, the body, the epilogue.
        size: lanes of each ("lanes").
        batched: whether they are.
    """

    kind: str
    stage: int
    size: int
    batched: bool

    def __init__(self, kind: str, stage: int, size: int, batched: bool) -> None:
        self.kind, self.stage, self.size, self.batched = kind, stage, size, batched
        self.members: dict[int, None] = {}
        self.steps = 0


class Nesting:
    """Makes nests of a plan: places, stages, groups; the sums are in nested_sums.py."""

    plan: Plan
    instructions: list[Instruction]
    arena: int
    sums_start: int
    sums_end: int

    def __init__(self, plan: Plan, dtype: Any) -> None:
        self.plan, self.instructions = plan, plan.instructions
        self.terms_of_few: int = FEW if plan.loops else TERMS_OF_FEW
        self.block = 64 if np.dtype(dtype) == np.float64 else 128
        self.size: list[int] = [x.size for x in self.instructions]
        self.batched: list[bool] = [x.batched for x in self.instructions]
        self.loop_of = {k: loop for loop in plan.loops for k in range(loop.start, loop.stop)}
        self.carried = {k: carry for loop in plan.loops for k, carry in loop.carries.items()}
        """The Carry of an instruction: what it hands on from step to step lies where it lies."""
        self.place: dict[int, int] = {}
        self.names: dict[int, str] = {}
        self.arena, self._single, self._single_end = 0, 0, 0
        self.stage: list[int] = self._stages()
        self.items: list[tuple[int, Group | Loop | Nest]] = []
        self.done: list[int] = [-1] * len(self.instructions)
        """The item after which an instruction is there; -1 from the start of its stage."""
        self.joined: dict[int, int] = {}
        """The item, a group, that an instruction is a member of."""
        self._last: dict[Any, int] = {}
        self._tables: dict[bytes, int] = {}
        self._table_parts: list[Array] = []
        self._table_end = 0
        self._patterns: dict[int, tuple[Array, Any]] = {}
        self._each: dict[int, list[tuple[float, Ref, Ref | None]] | None] = {}
        self._constants: dict[Any, float | None] = {}
        self.literals: list[tuple[int, Array]] = []
        self.flag: int = self.raw(PAD)
        self.zero: int = self.raw(PAD)
        self._one: int | None = None
        self.names[self.flag], self.names[self.zero] = "flag", "0"
        self.input_users: dict[int, None] = {}
        for k, x in enumerate(self.instructions):
            if isinstance(x, Leaf) and not x.batched:
                self.at(k)
        limit = self._most_sums()
        self.sums_start = self.sums_end = self.raw(limit)
        self._sums_limit = self.sums_start + limit

    # -- places

    def raw(self, n: int) -> int:
        """Room for n numbers, from a multiple of PAD on."""
        start = padded(self.arena)
        self.arena = start + padded(n)
        return start

    def at(self, k: int) -> int:
        """The place of an instruction, which is stored then."""
        found = self.place.get(k)
        if found is None:
            size = self.size[k] + self._beyond(k)
            if k in self.carried:
                self.at(self.carried[k])
                return self.place[k]
            x = self.instructions[k] if k < len(self.instructions) else None
            if self.batched[k]:
                found = self.raw(size * self.block)
            elif size == 1:  # numbers stand close together
                if self._single == self._single_end:
                    self._single = self.raw(PAD)
                    self._single_end = self._single + PAD
                found, self._single = self._single, self._single + 1
            else:
                found = self.raw(size)
            self.place[k] = found
            if isinstance(x, Carry):
                self.place[x.later.source] = found + x.delay * x.width * self.step_of(k)
            if isinstance(x, Literal):
                self.literals.append((found, np.asarray(x.values, float)))
            self.names.setdefault(found, x.name if isinstance(x, Leaf) else f"%{k}")
        return found

    def _beyond(self, k: int) -> int:
        """Lanes behind its last one, which stay 0: those of the steps that a backward loop has not got."""
        loop = self.loop_of.get(k)
        if loop is None or not loop.backward:
            return 0
        return max_shift(loop, k) * (self.size[k] // loop.steps)

    def in_sums(self, n: int) -> int:
        """Room among the sums over rows."""
        found = self.sums_end
        self.sums_end += padded(n)
        assert self.sums_end <= self._sums_limit
        return found

    def temporary(self, size: int, batched: bool, stage: int, place: int | None = None) -> int:
        """Something that is stored and is not an instruction; it gets a number like one."""
        self.size.append(size)
        self.batched.append(batched)
        self.stage.append(stage)
        self.done.append(-1)
        k = len(self.size) - 1
        self.place[k] = self.raw(size * self.block if batched else size) if place is None else place
        self.names[self.place[k]] = f"t{k - len(self.instructions)}"
        return k

    def one(self) -> int:
        """The address of a 1."""
        if self._one is None:
            self._one = self.raw(1)
            self.literals.append((self._one, np.ones(1)))
            self.names[self._one] = "1"
        return self._one

    def _stages(self) -> list[int]:
        stages: list[int] = []
        for k, x in enumerate(self.instructions):
            loop = self.loop_of.get(k)
            if loop is not None and k > loop.start:
                stages.append(stages[-1])
                continue
            all_of = [x] if loop is None else self.instructions[loop.start : loop.stop]
            before = max((stages[r.source] for y in all_of for r in y.refs if r.source < k), default=0)
            if x.batched and before == 2:
                raise Refused(f"%{k} reads a sum over all rows for each row")
            stages.append(1 if x.batched else 2 if before else 0)
        return stages

    def _most_sums(self) -> int:
        """No more than this is needed for sums over rows."""
        most = 0
        for k, x in enumerate(self.instructions):
            if isinstance(x, Sum) and self.reduces(k):
                most += padded(x.size)
                for part in x.parts:
                    most += sum(padded(self.size[r.source]) for r in (part.left, part.right) if r is not None)
                    for form in part.forms:
                        shape = form.to.shape if form.what == "matmul" else (1, 1, form.to.size)
                        most += shape[0] * (shape[1] + PAD) * (shape[2] + PAD)
        return most + sum(padded(self._length(ref)) for ref in self.plan.outputs)

    def reduces(self, k: int) -> bool:
        """Whether it is a sum over the rows."""
        x = self.instructions[k]
        return not x.batched and any(self.batched[ref.source] for ref in x.refs)

    def _length(self, ref: Ref) -> int:
        return self.size[ref.source] if ref.lanes is None else len(ref.lanes)

    # -- index arrays

    def table(self, entries: Array) -> int:
        """Where a table of int32 is."""
        entries = np.ascontiguousarray(entries, np.int32).ravel()
        key = entries.tobytes()
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = self._table_end
            full = np.concatenate([entries, np.full(padded(len(entries)) - len(entries) + PAD, entries[-1], np.int32)])
            self._table_parts.append(full)
            self._table_end += len(full)
        return found

    def pattern(self, lanes: Array) -> Any:
        """strides.pattern, found once for an array."""
        found = self._patterns.get(id(lanes))
        if found is None:
            found = self._patterns[id(lanes)] = lanes, pattern(lanes)
        return found[1]

    def lanes(self, ref: Ref) -> Array:
        """The index array of a Ref, written out."""
        return np.arange(self.size[ref.source]) if ref.lanes is None else ref.lanes

    def step_of(self, k: int) -> int:
        """How far apart lanes are."""
        return self.block if self.batched[k] else 1

    def access(self, k: int, table: Array, row_at: int | None = None) -> Access:
        """The lanes of a table, whose axes are those of a nest; with `row_at` the rows are one more axis, there."""
        step = self.step_of(k)
        found = affine(table)
        if found is not None:
            return self.along_rows(k, Access(self.at(k) + found[0] * step, tuple(s * step for s in found[1])), row_at)
        strides: list[int] = []
        run = 1
        for n in reversed(table.shape):
            strides.insert(0, run)
            run *= n
        zeros = (0,) * table.ndim
        return self.along_rows(k, Access(self.at(k), zeros, self.table(table), tuple(strides), step), row_at)

    def along_rows(self, k: int, access: Access, row_at: int | None) -> Access:
        """The same with the rows as one more axis."""
        return access if row_at is None else access.with_axis(row_at, int(self.batched[k]))

    def addresses(self, ref: Ref) -> Array:
        """Where the lanes are in the arena (of batched ones the first row)."""
        return self.at(ref.source) + self.step_of(ref.source) * self.lanes(ref)

    # -- items

    def add(self, stage: int, nest: Nest) -> None:
        """A nest after all others of its stage."""
        self.items.append((stage, nest))

    def made(self, k: int) -> None:
        """All that has been added is needed for k."""
        self.done[k] = len(self.items) - 1

    def loop(self, stage: int, n: int, batched: bool, operands: Sequence[Ref], out: Ref,
             body: Callable[..., int | float], watch: bool = False) -> None:  # fmt: skip
        """A Map of its own: out = body(code, *operands), lane by lane."""
        code = Straight()
        values = [self._number(ref) for ref in operands]
        given = [v if v is not None else code.input(i) for i, v in enumerate(values)]
        result = body(code, *given)
        refs = [operands[i] for i in code.inputs]
        axes, accesses = self.aligned([*refs, out], n, batched)
        steps, (result,) = code.finished([result])
        watched = (result,) if watch and isinstance(result, int) else ()
        whole = out.lanes is None and len(axes) == 1 and not batched and n > 1
        self.add(stage, MapNest(axes, tuple(accesses[:-1]), steps, ((result, accesses[-1]),), watched, batched, whole))

    def aligned(self, refs: Sequence[Ref], n: int, batched: bool) -> tuple[tuple[int, ...], list[Access]]:
        """The axes of a loop over lanes (the rows last), and an access for each Ref."""
        rows = (self.block,) if batched else ()
        if n == 1:
            single = [
                Access(self.at(s) + (0 if lanes is None else int(lanes[0])) * self.step_of(s), (0,))
                for s, lanes in refs
            ]
            if not batched:
                return (1,), single
            return rows, [Access(a.offset, (int(self.batched[s]),)) for (s, _), a in zip(refs, single, strict=True)]
        found = [(0, [(n, 1)]) if lanes is None else self.pattern(lanes) for _, lanes in refs]
        shape = common([[(n, 1)], *(p[1] for p in found if p)])
        if shape is not None:
            while len(shape) > 1 and shape[0] == 1:
                shape = shape[1:]
        if shape is None or (not batched and len(shape) > 1 and shape[-1] < LEAST_RUN):
            found = [p if p and len(p[1]) == 1 else None for p in found]
            shape = [n]
        accesses = []
        for (s, lanes), p in zip(refs, found, strict=True):
            step = self.step_of(s)
            if p is None:
                table = self.table(lanes)
                strides = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
                access = Access(self.at(s), (0,) * len(shape), table, strides, step)
            else:
                access = Access(self.at(s) + p[0] * step, tuple(x * step for x in cut(p[1], shape)))
            accesses.append(self.along_rows(s, access, len(shape) if batched else None))
        return (*shape, *rows), accesses

    # -- elementwise instructions

    def each(self, k: int) -> list[tuple[float, Ref, Ref | None]] | None:
        """The terms of a sum of which every part adds one term to every lane, lane by lane; else None."""
        if k not in self._each:
            self._each[k] = self._each_of(k)
        return self._each[k]

    def _each_of(self, k: int) -> list[tuple[float, Ref, Ref | None]] | None:
        x = self.instructions[k]
        assert isinstance(x, Sum)
        if self.reduces(k) or not x.parts:
            return None
        return (
            [self._term(part, x.size) for part in x.parts] if all(self._is_each(p, x.size) for p in x.parts) else None
        )

    def _rest_of_sum(self, k: int, sums: Sums) -> str | None:
        """Let what is more than one term a lane be a sum of its own, if each lane has some of it, so that the rest
        joins a loop: of a layer the bias, in one loop with the activation."""
        x = self.instructions[k]
        if not isinstance(x, Sum) or self.reduces(k):
            return None
        single = [part for part in x.parts if self._is_each(part, x.size)]
        others = [part for part in x.parts if not self._is_each(part, x.size)]
        if not single or len(np.unique(np.concatenate([part.to for part in others]))) < x.size:
            return None
        rest = self.temporary(x.size, x.batched, self.stage[k])
        sums.parts(rest, others, self.stage[k])
        self.made(rest)
        self._each[k] = [(1.0, Ref(rest, None), None), *(self._term(part, x.size) for part in single)]
        return "lanes"

    def _is_each(self, part: Part, size: int) -> bool:
        return len(part.forms) == 1 and part.forms[0].what == "each" and len(part.forms[0].to) == size

    def _term(self, part: Part, size: int) -> tuple[float, Ref, Ref | None]:
        """A part of which every lane of a sum has one term, lane by lane."""
        form = part.forms[0]
        order = None
        if size > 1 and not np.array_equal(form.to, np.arange(size)):
            order = np.argsort(form.to)
        left = self._ref(part.left.source, form.left, order)
        return part.factor, left, part.right and self._ref(part.right.source, form.right, order)

    def _ref(self, source: int, lanes: Array, order: Array | None) -> Ref:
        lanes = lanes if order is None else lanes[order]
        n = self.size[source]
        if len(lanes) == n and (n == 1 or (lanes[0] == 0 and np.array_equal(lanes, np.arange(n)))):
            return Ref(source, None)
        return Ref(source, lanes)

    def _number(self, ref: Ref) -> float | None:
        """The number that all lanes of a Ref are, where that is part of the structure."""
        x = self.instructions[ref.source] if ref.source < len(self.instructions) else None
        if not isinstance(x, Literal):
            return None
        key = (ref.source, id(ref.lanes))
        if key not in self._constants:
            values = x.values if ref.lanes is None else x.values[ref.lanes]
            same = len(values) and values.tobytes() == values[:1].tobytes() * len(values)
            self._constants[key] = float(values[0]) if same else None
        return self._constants[key]

    def _value(self, code: Straight, k: int, of: Callable[[Ref], int | float]) -> int | float:
        """The value of an elementwise instruction; of(ref) gives operands."""
        x = self.instructions[k]
        if isinstance(x, Sum):
            total = 0.0 if x.zeroed else None  # what never is -0.0 starts from 0.0, see Sum
            for factor, left, right in self.each(k) or ():
                total = code.added(total, factor, of(left), None if right is None else of(right))
            assert total is not None
            return total
        assert isinstance(x, Map)
        return self.mapped(code, x, [of(a) if isinstance(a, Ref) else a for a in x.args])

    def mapped(self, code: Straight, x: Map, values: list[int | float]) -> int | float:
        """A primitive of values; where more of them are numbers than in the plan, it is lowered for these."""
        rule = x.code
        assert rule is not None
        if any(isinstance(v, float) and isinstance(a, Ref) for v, a in zip(values, x.args, strict=True)):
            row = TABLE["mul"] if x.row.name in ZERO_RULE and x.slot < 0 else x.row
            rule = lower(row, x.slot, tuple(v if isinstance(v, float) else None for v in values), nan=x.slot < 0)
        return code.run(rule, [v for v in values if isinstance(v, int)])

    # -- groups

    def _kind(self, k: int) -> str | None:
        """Which kind of group an instruction may join: see Group; None where it needs nests of its own."""
        x, batched = self.instructions[k], self.batched[k]
        if isinstance(x, Map):
            assert x.code is not None
            if any(step.function or step.name in IN_PYTHON for step in x.code.steps):
                return None
            costly = sum(step.name not in CHEAP for step in x.code.steps)
            if not batched:
                return "one" if x.size <= SINGLE and x.size * costly <= SINGLE else "lanes"
            return "few" if x.size <= FEW and x.size * costly <= FEW else "lanes"
        if isinstance(x, Sum):
            if self.reduces(k):
                return None
            terms = sum(len(part.to) for part in x.parts)
            if batched and x.size <= FEW and terms <= self.terms_of_few:
                return "few"
            if not batched and x.size <= SINGLE and terms <= FEW:
                return "one"
            return None if self.each(k) is None else "lanes"
        if isinstance(x, Reduce) and x.row.name in ("max", "min"):
            if batched and x.size <= FEW and int(x.counts.sum()) <= self.terms_of_few:
                return "few"
            if not batched and x.size <= SINGLE and int(x.counts.sum()) <= FEW:
                return "one"
        return None

    def _join(self, k: int, kind: str) -> None:
        """Let an instruction join the last group of its kind, or begin one."""
        x, stage = self.instructions[k], self.stage[k]
        key = (kind, stage, self.size[k] if kind == "lanes" else 0)
        refs = self._refs(k)
        place = self._last.get(key, -1)
        fits = place >= 0
        group = self.items[place][1] if fits else None
        if isinstance(group, Group):
            fits = group.steps < MOST and all(
                self.stage[s] < stage or self.done[s] < place
                or (s in group.members and (kind != "lanes" or lanes is None)) for s, lanes in refs
            )  # fmt: skip
        if not fits or not isinstance(group, Group):
            group = Group(kind, stage, self.size[k], self.batched[k])
            self.items.append((stage, group))
            place = self._last[key] = len(self.items) - 1
        group.members[k] = None
        if isinstance(x, Map):
            assert x.code is not None
            group.steps += len(x.code.steps) * (x.size if kind == "few" else 1) + 1
        else:
            terms = sum(len(self.lanes(r)) for r in refs) if kind != "lanes" else len(refs)
            group.steps += terms
        self.done[k] = self.joined[k] = place

    def _refs(self, k: int) -> list[Ref]:
        x = self.instructions[k]
        if isinstance(x, Sum):
            terms = self.each(k)
            if terms is not None:
                return [ref for _, left, right in terms for ref in (left, right) if ref is not None]
        return list(x.refs)

    def _outside(self, group: Group) -> list[Ref]:
        """What a group reads that is not of it."""
        return [
            ref for k in group.members for ref in self._refs(k)
            if ref.source not in group.members and self._number(ref) is None
        ]  # fmt: skip

    def _loop_of(self, group: Group) -> Nest | None:
        """The Map of a group over equal lanes."""
        code = Straight()
        values: dict[int, int | float] = {}
        refs: dict[Any, Ref] = {}

        def of(ref: Ref) -> int | float:
            if ref.source in values and ref.lanes is None:
                return values[ref.source]
            number = self._number(ref)
            if number is not None:
                return number
            key = (ref.source, None if ref.lanes is None else id(self._canonical(ref.lanes)))
            refs.setdefault(key, ref)
            return code.input(key)

        for k in group.members:
            values[k] = self._value(code, k, of)
        kept = [k for k in group.members if k in self.place]
        if not kept:
            return None
        axes, accesses = self.aligned(
            [*(refs[key] for key in code.inputs), *(Ref(k, None) for k in kept)], group.size, group.batched
        )
        count = len(code.inputs)
        summed = self.watched(group.members)
        steps, moved = code.finished([values[k] for k in [*kept, *summed]])
        outputs = tuple(zip(moved[: len(kept)], accesses[count:], strict=True))
        watch = tuple(dict.fromkeys(x for x in moved[len(kept) :] if isinstance(x, int)))
        whole = len(axes) == 1 and not group.batched and group.size > 1
        return MapNest(axes, tuple(accesses[:count]), steps, outputs, watch, group.batched, whole)

    def _canonical(self, lanes: Array) -> Array:
        """One array for equal ones."""
        known = self._same.get(id(lanes))
        if known is None:
            known = self._by_bytes.setdefault(lanes.tobytes(), lanes)
            self._same[id(lanes)] = known
            self._alive.append(lanes)
        return known

    _same: dict[int, Array]
    _by_bytes: dict[bytes, Array]
    _alive: list[Array]

    def watched(self, members: Sequence[int] | dict[int, None]) -> list[int]:
        """Of some instructions those of which each number goes into the flag."""
        return [k for k in members if isinstance(self.instructions[k], Sum) or k in self.results]

    def _registers_of(self, group: Group) -> Nest | None:
        """The Map of a group whose lanes are single values."""
        code = Straight()
        values: dict[int, list[int | float]] = {}

        def of(source: int, lane: int) -> int | float:
            if source in values:
                return values[source][lane]
            x = self.instructions[source]
            if isinstance(x, Literal):
                return float(x.values[lane])
            return code.input((source, lane))

        for k in group.members:
            x = self.instructions[k]
            if isinstance(x, Sum):
                values[k] = self._summed(code, x, of)
            elif isinstance(x, Reduce):
                elements = iter(self.lanes(x.elements).tolist())
                values[k] = []
                for count in x.counts.tolist():
                    top = of(x.elements.source, next(elements))
                    for _ in range(count - 1):
                        top = code.step(x.row.name, top, of(x.elements.source, next(elements)))
                    values[k].append(top)
            else:
                assert isinstance(x, Map)
                lanes = [self.lanes(a).tolist() if isinstance(a, Ref) else None for a in x.args]
                values[k] = [
                    self.mapped(code, x, [
                        of(a.source, own[lane]) if isinstance(a, Ref) and own is not None else a  # type: ignore[misc]
                        for a, own in zip(x.args, lanes, strict=True)
                    ])
                    for lane in range(x.size)
                ]  # fmt: skip
        kept = [(k, lane) for k in group.members if k in self.place for lane in range(self.size[k])]
        if not kept:
            return None
        row = int(group.batched)

        def access(source: int, lane: int) -> Access:
            return Access(self.at(source) + lane * self.step_of(source), (row if self.batched[source] else 0,))

        summed = [value for k in self.watched(group.members) for value in values[k]]
        steps, moved = code.finished([*(values[k][lane] for k, lane in kept), *summed])
        outputs = tuple((value, access(*which)) for value, which in zip(moved, kept, strict=False))
        watch = tuple(dict.fromkeys(x for x in moved[len(kept) :] if isinstance(x, int)))
        axes = (self.block,) if group.batched else (1,)
        return MapNest(axes, tuple(access(*key) for key in code.inputs), steps, outputs, watch, group.batched)

    def _summed(self, code: Straight, x: Sum, of: Callable[[int, int], int | float]) -> list[int | float]:
        # What never is -0.0 starts from 0.0, see Sum.
        totals: list[int | float | None] = [0.0 if x.zeroed else None] * x.size
        for part in x.parts:
            left = self.lanes(part.left).tolist()
            right = None if part.right is None else self.lanes(part.right).tolist()
            for t, lane in enumerate(part.to.tolist()):
                a = of(part.left.source, left[t])
                b = None if right is None else of(part.right.source, right[t])  # type: ignore[union-attr]
                totals[lane] = code.added(totals[lane], part.factor, a, b)
        return [0.0 if total is None else total for total in totals]

    # -- the whole

    def whole(self) -> Nests:
        """The nests."""
        self._same, self._by_bytes, self._alive = {}, {}, []
        self.results: set[int] = {ref.source for ref in self.plan.outputs}
        sums, loops = Sums(self), Loops(self)
        for item in self.plan.items:
            if isinstance(item, Loop):
                self.items.append((self.stage[item.start], item))
                self.done[item.start : item.stop] = [len(self.items) - 1] * (item.stop - item.start)
                continue
            k, x = item, self.instructions[item]
            if isinstance(x, (Leaf, Literal)) or not x.size:
                continue
            kind = self._kind(k) or self._rest_of_sum(k, sums)
            if kind is not None:
                self._join(k, kind)
            elif isinstance(x, Sum):
                sums.sum(k)
            elif isinstance(x, Reduce):
                sums.reduce(k)
            else:
                assert isinstance(x, Map)
                self._in_python(k, x)
        outputs = [self._output(ref) for ref in self.plan.outputs]
        for _, made in self.items:
            if isinstance(made, Loop):
                loops.reads(made)
            elif isinstance(made, Group):
                for ref in self._outside(made):
                    self.at(ref.source)
        stages: list[list[Nest]] = [[], [], []]
        for stage, made in self.items:
            if isinstance(made, Loop):
                stages[stage] += loops.nests(made)
            elif isinstance(made, Group):
                nest = self._registers_of(made) if made.kind != "lanes" else self._loop_of(made)
                if nest is not None:
                    stages[stage].append(nest)
            else:
                stages[stage].append(made)
        inputs, packs = self._inputs()
        stages[1][:0] = packs
        if self.sums_end > self.sums_start:
            total = Access(self.sums_start, (1,))
            stages[2].insert(0, Watch((self.sums_end - self.sums_start,), total))
        arena = padded(self.arena) + PAD
        if arena >= 2**31 or self._table_end >= 2**31:
            raise Refused("more numbers than an int32 counts")
        tables = np.concatenate(self._table_parts) if self._table_parts else np.zeros(0, np.int32)
        return Nests(
            tuple(stages[0]), tuple(stages[1]), tuple(stages[2]), arena, self.block, tuple(self.literals), tables,
            tuple(inputs), tuple(outputs), (self.sums_start, self.sums_end), self.flag, self.names,
        )  # fmt: skip

    def _inputs(self) -> tuple[list[Input], list[Nest]]:
        inputs: list[Input] = []
        packs: list[Nest] = []
        for k, x in enumerate(self.instructions):
            if not isinstance(x, Leaf):
                continue
            used = k in self.place and x.size > 0
            inputs.append(Input(x.kind, x.index, x.size, self.at(k) if used else 0, x.batched))
            if x.batched and used:
                target = Access(self.at(k), (self.block, 1))
                if x.kind == "seed":
                    packs.append(Fill((x.size, self.block), target, "seed"))
                else:
                    source = Access(0, (1, x.size), base=x.index)
                    packs.append(Pack((x.size, self.block), source, target))
        return inputs, packs

    def _output(self, ref: Ref) -> Output:
        """Where a result is; gathered, where its lanes are not side by side."""
        k, n = ref.source, self._length(ref)
        batched, stage = self.batched[k], self.stage[k]
        if not n:
            return Output(0, self.zero, batched)
        lanes = self.lanes(ref)
        if np.array_equal(lanes, np.arange(lanes[0], lanes[0] + n)):
            offset = self.at(k) + int(lanes[0]) * self.step_of(k)
        else:
            copy = self.temporary(n, batched, stage)
            offset = self.at(copy)
            row_at = 1 if batched else None
            axes = (n, self.block) if batched else (n,)
            source, target = self.access(k, lanes, row_at), self.access(copy, np.arange(n), row_at)
            self.add(stage, Pack(axes, source, target, padded=True))
        if isinstance(self.instructions[k], Reduce):
            axes = (n, self.block) if batched else (n,)
            self.add(stage, Watch(axes, Access(offset, (self.block, 1) if batched else (1,)), batched))
        if not batched:
            return Output(n, offset, False)
        total = self.in_sums(n)
        mean = Rows((n,), (self.block,), Access(offset, (self.block, 1)), None, Access(total, (1,)), "terms",
                    add=True, rows=True, watch=True)  # fmt: skip
        self.names[total] = f"total of {self.names[self.place[k]]}"
        return Output(n, offset, True, mean, total)

    def _in_python(self, k: int, x: Map) -> None:
        """A map with a user-defined function in it, or a name that no loop computes."""
        axes: list[tuple[int, ...]] = []
        views: list[Access] = []
        row_at = 1 if x.batched else None
        shape = (x.size, self.block) if x.batched else (x.size,)
        for ref in [*x.refs, Ref(k, None)]:
            axes.append(shape)
            views.append(self.access(ref.source, self.lanes(ref), row_at))
        assert x.code is not None
        self.add(self.stage[k], python_step(x.code, tuple(axes), tuple(views)))
        self.made(k)


def nests(plan: Plan, dtype: Any = float) -> Nests:
    """The loops of a plan, the fast one.

    Args:
        plan: what is computed.
        dtype: float64 or float32.

    Raises:
        Refused: it cannot be done; the message says why.
    """
    if plan.safe:
        raise Refused("the safe plan runs on the reference")
    return Nesting(plan, dtype).whole()
