"""Instructions on lanes: what a fold consists of, and the Builder that collects them.

An instruction does one thing to `size` lanes. It is one of

    Leaf       numbers that are bound when the program runs: theta, an input, the constants, the seed
    Literal    numbers that are part of the structure
    Map        a primitive, or one of its local derivatives, lane by lane
    Sum        a list of Parts, each of which adds left * right (or left alone) to the lanes `to`
    Reduce     max, min or norm of groups of elements
    Composite  an instruction that the Builder has written out in others, but differentiates as one primitive;
               a plan looks through it, so that no backend sees it

    Carry      what a recurrence reads of the steps before: the one thing, beside the adjoint of it (Recurrent), that
               reads a later instruction; it closes a loop (loops.py)

Operands are Refs: another instruction and which of its lanes; a Map takes numbers too. With `batched`, each lane has
a value for each row of a batch. All of it is plain data. Equal instructions are made once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from typing import Literal as OneOf

import numpy as np

from autograd_lite.engine.kernels import CONSTANTS, HELPERS
from autograd_lite.engine.lowering import Code, value_source
from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.folding.contractions import Form

Array = Any


class Ref(NamedTuple):
    """Lanes of an instruction: its number, and an index array, or None for all of them in order."""

    source: int
    lanes: Array | None


class Part(NamedTuple):
    """What a sum adds to some of its lanes: out[to] += factor * left * right, a lane of `to` as often as it occurs.

    Args:
        kind: "plain" for left alone, or the product: "mul", "_chain" (0 where left is), "_masked" (0 where either is).
        factor: a number that is part of the structure.
        to: the lanes of the sum.
        left, right: as many lanes as `to` has.
        forms: how a backend may compute it; a plan finds them.
    """

    kind: str
    factor: float
    to: Array
    left: Ref
    right: Ref | None
    forms: tuple[Form, ...] = ()


@dataclass(frozen=True, eq=False)
class Instruction:
    """What all instructions have: how many lanes, and whether each has a value for each row of a batch."""

    size: int
    batched: bool

    @property
    def refs(self) -> tuple[Ref, ...]:
        """The lanes that it reads."""
        return ()


Kind = OneOf["theta", "input", "constants", "seed"]
"""What a leaf is bound to; the seed is the adjoint of each row's result: 1 / rows."""


@dataclass(frozen=True, eq=False)
class Leaf(Instruction):
    """Numbers that are bound when the program runs; `index` counts the inputs."""

    kind: Kind
    index: int = 0

    @property
    def name(self) -> str:
        """Its name for people: "theta", "input 0"."""
        return f"input {self.index}" if self.kind == "input" else self.kind


@dataclass(frozen=True, eq=False)
class Literal(Instruction):
    """Numbers that are part of the structure."""

    values: Array


@dataclass(frozen=True, eq=False)
class Map(Instruction):
    """A primitive lane by lane.

    Args:
        row: the primitive.
        slot: -1 for its result, else which of its local derivatives; then the last operand is the result.
        args: Refs of `size` lanes, or numbers.
        code: what a backend runs, on the operands that are Refs; a plan puts it here.
    """

    row: Row
    slot: int
    args: tuple[Ref | float, ...]
    code: Code | None = None

    @property
    def refs(self) -> tuple[Ref, ...]:  # noqa: D102
        return tuple(x for x in self.args if isinstance(x, Ref))


@dataclass(frozen=True, eq=False)
class Mean(Map):
    """A sum times the shares of its terms. It has a type so that it can be finite where the sum overflows."""


@dataclass(frozen=True, eq=False)
class Sum(Instruction):
    """A sum; a lane that no part reaches is 0.

    One without a batch axis sums over the rows of a part that has one. One that is `zeroed` adds 0.0 last: the 0 that a
    running sum starts from was left out, and a sum with a 0 in it is never -0.0.
    """

    parts: tuple[Part, ...]
    zeroed: bool = False

    @property
    def refs(self) -> tuple[Ref, ...]:  # noqa: D102
        return tuple(x for part in self.parts for x in (part.left, part.right) if x is not None)


@dataclass(frozen=True, eq=False)
class Recurrent(Sum):
    """A sum that may read later instructions: the adjoint of what a Carry hands on, which the step after it adds to.

    Args:
        steps: how many steps its lanes are of, those of one side by side.
    """

    steps: int = 0


@dataclass(frozen=True, eq=False)
class Carry(Instruction):
    """What the steps of a recurrence read of those before: `delay` steps of initial lanes, then those of `later`.

    Args:
        steps: how many steps there are; the lanes of one stand side by side.
        delay: how many steps back it is read from at most.
        initial: what stands for the steps before the first.
        later: all lanes of an instruction that stands behind this one, and may depend on it: a loop.
    """

    steps: int
    delay: int
    initial: Ref
    later: Ref

    @property
    def refs(self) -> tuple[Ref, ...]:  # noqa: D102
        return (self.initial, self.later)

    @property
    def width(self) -> int:
        """How many lanes one step has."""
        return self.size // (self.delay + self.steps)

    def parts(self) -> tuple[Part, Part]:
        """It as what a sum adds."""
        first = self.delay * self.width
        return (
            Part("plain", 1.0, np.arange(first), self.initial, None),
            Part("plain", 1.0, np.arange(first, self.size), self.later, None),
        )


@dataclass(frozen=True, eq=False)
class Reduce(Instruction):
    """A primitive of REDUCTIONS on groups of elements that stand side by side; `counts` are their lengths."""

    row: Row
    elements: Ref
    counts: Array

    @property
    def refs(self) -> tuple[Ref, ...]:  # noqa: D102
        return (self.elements,)


@dataclass(frozen=True, eq=False)
class Composite(Instruction):
    """A primitive of one sequence that is written out in other instructions: its value is `result`.

    Its derivative is that of the row, from elements and result, and not that of what is written out: of a
    log(sum(exp)) the softmax, which is accurate where the steps are not.
    """

    row: Row
    elements: Ref
    counts: Array
    result: Ref

    @property
    def refs(self) -> tuple[Ref, ...]:  # noqa: D102
        return (self.result, self.elements)


REDUCTIONS = [row.name for row in TABLE.values() if row.role == "reduction"]
"""Rows of one sequence that are instructions themselves: the others are written in these, sums and elementwise."""


class Builder:
    """Instructions so far, each made once."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self._made: dict[Any, int] = {}
        self._indices: dict[bytes, Array] = {}

    def index(self, index: Array) -> Array:
        """One object for equal index arrays."""
        index = np.ascontiguousarray(index, dtype=np.int64)
        return self._indices.setdefault(index.tobytes(), index)

    def pick(self, ref: Ref, lanes: Array) -> Ref:
        """Some lanes of a Ref."""
        index = lanes if ref.lanes is None else ref.lanes[lanes]
        size = self.instructions[ref.source].size
        if len(index) == size and (size < 2 or (index[0] == 0 and np.array_equal(index, np.arange(size)))):
            return Ref(ref.source, None)
        return Ref(ref.source, self.index(index))

    def lanes_of(self, ref: Ref) -> Array:
        """The index array of a Ref, written out."""
        return np.arange(self.instructions[ref.source].size) if ref.lanes is None else ref.lanes

    def side_by_side(self, refs: Sequence[Ref]) -> Ref:
        """Lanes of several Refs, end to end, as one; no instruction is made where all are of one."""
        lanes = list(map(self.lanes_of, refs))
        sources = np.repeat([ref.source for ref in refs], list(map(len, lanes)))
        every = np.concatenate(lanes)
        found = [np.flatnonzero(sources == source) for source in dict.fromkeys(sources.tolist())]
        if len(found) == 1:
            return self.pick(Ref(refs[0].source, None), every)
        parts = [Part("plain", 1.0, to, self.pick(Ref(int(sources[to[0]]), None), every[to]), None) for to in found]
        return self.sum(len(every), parts)

    def batched(self, *refs: Any) -> bool:
        """Whether one of these has a batch axis."""
        return any(isinstance(ref, Ref) and self.instructions[ref.source].batched for ref in refs)

    def _token(self, x: Any) -> Any:
        return (x.source, id(x.lanes)) if isinstance(x, Ref) else repr(x)

    def add(self, instruction: Instruction, key: Any = None) -> Ref:
        """Append an instruction, or find the equal one that is there."""
        known = self._made.get(key)
        if known is not None:
            return Ref(known, None)
        self.instructions.append(instruction)
        place = len(self.instructions) - 1
        if key is not None:
            self._made[key] = place  # when it is there: an interrupt must not leave the place to another one
        return Ref(place, None)

    def leaf(self, kind: Kind, size: int, batched: bool = False, index: int = 0) -> Ref:
        """A leaf: numbers that are bound when the program runs."""
        return self.add(Leaf(size, batched, kind, index), ("leaf", kind, index))

    def literal(self, values: Array) -> Ref:
        """Numbers that are part of the structure; one lane if they are all equal."""
        values = np.asarray(values, float)
        if len(values) > 1 and (values == values[0]).all():
            one = self.literal(values[:1])
            return Ref(one.source, self.index(np.zeros(len(values), np.int64)))
        return self.add(Literal(len(values), False, values), ("literal", values.tobytes()))

    def op(self, name: str, size: int, args: tuple[Any, ...], slot: int = -1) -> Ref:
        """A primitive lane by lane (or one of its partials); args are Refs of `size` lanes, or numbers."""
        key = (name, slot, size, *map(self._token, args))
        return self.add(Map(size, self.batched(*args), TABLE[name], slot, args), key)

    def mean(self, total: Ref, counts: Array) -> Ref:
        """Sums over the numbers of their terms."""
        shares = self.literal(1.0 / counts)  # the derivative of a mean, whatever the elements are
        key = ("mean", self._token(total), self._token(shares))
        return self.add(Mean(len(counts), self.batched(total), TABLE["mul"], -1, (total, shares)), key)

    def sum(self, size: int, parts: Sequence[Part], batched: bool | None = None, zeroed: bool = False) -> Ref:
        """A sum; one that only renames or multiplies lanes is not made: a single term is returned as that term."""
        merged: dict[Any, Part] = {}
        for part in parts:
            right = self._token(part.right) if part.right else None
            key = (part.kind, self.index(part.to).tobytes(), self._token(part.left), right)
            if key in merged:
                part = part._replace(factor=part.factor + merged[key].factor)
            merged[key] = part._replace(to=self.index(part.to))
        parts = list(merged.values())
        any_batched = any(self.batched(part.left, part.right) for part in parts)
        batched = any_batched if batched is None else batched
        if len(parts) == 1 and any_batched == batched:
            part = parts[0]
            lane = np.full(size, -1)
            lane[part.to] = np.arange(len(part.to))
            if len(part.to) == size and size and lane.min() >= 0:  # each lane gets one term
                left = self.pick(part.left, lane)
                if part.right is not None:
                    left = self.op(part.kind, size, (left, self.pick(part.right, lane)))
                if part.factor != 1.0:
                    left = (
                        self.op("neg", size, (left,))
                        if part.factor == -1.0
                        else self.op("mul", size, (left, part.factor))
                    )
                return self.op("add", size, (left, 0.0)) if zeroed else left
        key = ("sum", size, batched, zeroed, *merged.keys(), *(part.factor for part in parts))
        return self.add(Sum(size, batched, tuple(parts), zeroed), key)

    def sequence(self, row: Row, elements: Ref, counts: Array) -> Ref:
        """A primitive of one sequence, on groups of elements that stand side by side."""
        if row.name == "prod":
            count = int(counts[0])
            columns = [
                Lanes(self, self.pick(elements, np.arange(len(counts)) * count + k), len(counts)) for k in range(count)
            ]
            out: Any = 1.0
            for column in columns:
                out = column if isinstance(out, float) else out * column
            found = out.ref
        elif row.name in REDUCTIONS:
            reduced = Reduce(len(counts), self.batched(elements), row, elements, counts)
            return self.add(reduced, (row.key, counts.tobytes(), self._token(elements)))
        else:
            assert isinstance(row.forward, str)
            found = on_lanes(row.forward, row.operands)(Elements(self, elements, counts)).ref
        composite = Composite(len(counts), self.batched(elements), row, elements, counts, found)
        return self.add(composite, ("composite", row.key, self._token(found), self._token(elements), counts.tobytes()))


# --- the language of rows on lanes ---------------------------------------------------------------------


class Lanes:
    """Lanes in an expression: operators on it emit instructions. With an `owner`, elements of groups."""

    builder: Builder
    ref: Ref
    size: int
    owner: Any

    def __init__(self, builder: Builder, ref: Ref, size: int, owner: Array | None = None) -> None:
        self.builder, self.ref, self.size, self.owner = builder, ref, size, owner

    def __add__(self, other: Any) -> Any:
        return _apply("add", self, other)

    def __sub__(self, other: Any) -> Any:
        return _apply("sub", self, other)

    def __mul__(self, other: Any) -> Any:
        return self if other.__class__ is float and other == 1.0 else _apply("mul", self, other)

    def __radd__(self, other: Any) -> Any:
        return _apply("add", other, self)

    def __rsub__(self, other: Any) -> Any:
        return _apply("sub", other, self)

    def __rmul__(self, other: Any) -> Any:
        return self if other.__class__ is float and other == 1.0 else _apply("mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _apply("div", self, other)

    def __neg__(self) -> Any:
        return _apply("neg", self)


class Elements:
    """The sequence `xs` of a rule: iterating over it gives one thing, that stands for every element."""

    builder: Builder
    ref: Ref
    counts: Array

    def __init__(self, builder: Builder, ref: Ref, counts: Array) -> None:
        self.builder, self.ref, self.counts = builder, ref, counts
        self.owner: Array = np.repeat(np.arange(len(counts)), counts)

    def __iter__(self) -> Any:
        return iter([Lanes(self.builder, self.ref, len(self.owner), self.owner)])


def _apply(name: str, *args: Any) -> Any:
    """A primitive on lanes and numbers; a number for each group goes to all its elements."""
    some = [x for x in args if isinstance(x, Lanes)]
    if not some:
        return TABLE[name].value(*args)
    if name == "pow" and args[1].__class__ is float and args[1] == 1.0:
        return args[0]
    wide = next((x for x in some if x.owner is not None), some[0])
    refs: list[Any] = []
    for x in args:
        if isinstance(x, Lanes) and x.owner is None and wide.owner is not None:
            refs.append(x.builder.pick(x.ref, wide.owner))
        else:
            refs.append(x.ref if isinstance(x, Lanes) else float(x))
    return Lanes(wide.builder, wide.builder.op(name, wide.size, tuple(refs)), wide.size, wide.owner)


def _where(condition: Any, a: Callable[[], Any], b: Callable[[], Any]) -> Any:
    if isinstance(condition, Lanes):
        return _apply("where", condition, a(), b())
    return b() if condition == 0.0 else a() if condition == condition else np.nan


def _sum(xs: Any) -> Any:
    x = next(iter(xs))
    assert x.owner is not None
    size = int(x.owner[-1]) + 1
    ref = x.builder.sum(size, [Part("plain", 1.0, x.owner, x.ref, None)])
    return Lanes(x.builder, ref, size)


def _reduction(name: str) -> Callable[..., Any]:
    def reduce(xs: Elements) -> Lanes:
        return Lanes(xs.builder, xs.builder.sequence(TABLE[name], xs.ref, xs.counts), len(xs.counts))

    return reduce


Again = OneOf["fast", "safe"] | None
"""Of a partial that is written out: whether it is to be differentiated again, and in which plan. Then `_stop` is an
instruction. In the fast plan a number is never NaN: what asks for that is known."""


def _named(name: str, again: Again) -> Any:
    special = {**CONSTANTS, **HELPERS, "where": _where, "sum": _sum, **{x: _reduction(x) for x in REDUCTIONS}}
    if not again:
        special["_stop"] = lambda x: x
    special["zero_gradient"] = lambda out: (
        0.0 if again == "fast" else _where(_apply("equal", out, out), float, lambda: out)
    )
    if again == "fast":
        special["equal"] = lambda a, b: 1.0 if _same(a, b) else _apply("equal", a, b)
    if name in special:
        return special[name]
    return lambda *args: _apply(name, *args)


def _same(a: Any, b: Any) -> bool:
    if not (isinstance(a, Lanes) and isinstance(b, Lanes)):
        return False
    return a.ref.source == b.ref.source and a.ref.lanes is b.ref.lanes and a.owner is b.owner


@cache
def on_lanes(text: str, names: tuple[str, ...], again: Again = None) -> Callable[..., Any]:
    """The function of these names that evaluates a rule on lanes."""
    source = value_source(text)
    known = TABLE.keys() | CONSTANTS.keys() | HELPERS.keys() | {"zero_gradient"}
    namespace = {name: _named(name, again) for name in source.names & known}
    return eval(f"lambda {', '.join(names)}: {source.code}", namespace)  # type: ignore[no-any-return]
