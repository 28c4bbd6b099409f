"""A Plan: the instructions that some outputs need, with nothing dead in them, and how each of them is computed.

This is what a backend gets. It is plain data: small types, numbers and index arrays. Everything that several backends
would have to find out is found here: each Map has the code of its rule, each part of a sum its forms, and nothing in
it is a mere name for something else.

There are two plans of the same outputs. The fast one multiplies plainly and does not tell NaN apart in derivatives.
Where an output is then NaN, or a sum has overflowed, the safe one is run in its place: in its products an adjoint
of 0 contributes 0 (that of a branch not taken, times an infinite slope, is 0 and not NaN), NaN stays NaN, and a
sum overflows only if its result does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autograd_lite.engine.lowering import Code, lower
from autograd_lite.engine.rules import TABLE
from autograd_lite.folding.contractions import Form, forms
from autograd_lite.folding.instructions import (
    Carry,
    Composite,
    Instruction,
    Leaf,
    Literal,
    Map,
    Part,
    Recurrent,
    Reduce,
    Ref,
    Sum,
)
from autograd_lite.folding.loops import Loop, components, is_loop, loop_of

Array = Any

ZERO_RULE = ("_chain", "_masked")
"""Products in which a factor of 0 is 0 whatever the other is."""


@dataclass
class Plan:
    """Instructions in order, and where the results are.

    Args:
        instructions: each reads earlier ones only, but for those of a loop, which stand side by side. None of them is a
            Composite, and all Carries are in loops.
        outputs: the results.
        loops: the loops among them, in order.
        safe: whether this is the plan that is run again where the fast one cannot be trusted.
        doubt_nan: whether a NaN in an output may come from the plan being the fast one.
        kept: what backends have made for it.
    """

    instructions: list[Instruction]
    outputs: list[Ref]
    safe: bool = False
    doubt_nan: bool = False
    loops: list[Loop] = field(default_factory=list)
    kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def items(self) -> Iterator[int | Loop]:
        """What to run, in order: the number of an instruction, or a loop in place of its instructions."""
        at = 0
        for loop in self.loops:
            yield from range(at, loop.start)
            yield loop
            at = loop.stop
        yield from range(at, len(self.instructions))


def plan(instructions: Sequence[Instruction], outputs: Sequence[Ref], safe: bool = False) -> Plan:
    """Keep what the outputs need: instructions, and lanes of them. Leaves keep all their lanes.

    Args:
        instructions: those of a Builder.
        outputs: the results.
        safe: make the safe plan; see the head of this file.
    """
    needed = _Needed(instructions, outputs)
    kept = _Kept(instructions, needed.masks, safe)
    for members, loop in needed.order():
        if loop:
            kept.keep_loop(members)
        else:
            kept.keep(members[0])
    doubt_nan = not safe and any(map(_has_zero_rule, kept.sources()))
    return Plan(kept.instructions, [kept.moved(ref) for ref in outputs], safe, doubt_nan, kept.loops)


def numbers(instructions: Sequence[Instruction], outputs: Sequence[Ref]) -> dict[int, int]:
    """For each instruction that the outputs need its number in the plan."""
    order = _Needed(instructions, outputs).order()
    return {k: number for number, k in enumerate(k for members, _ in order for k in members)}


def _has_zero_rule(x: Instruction) -> bool:
    """Whether a NaN of the fast plan may come from here alone; of a user-defined rule nothing is known."""
    if isinstance(x, Sum):
        return any(part.kind in ZERO_RULE for part in x.parts)
    return isinstance(x, (Map, Reduce)) and (x.row.name in ZERO_RULE or not x.row.builtin)


def look_through(instructions: Sequence[Instruction], ref: Ref) -> Ref:
    """The lanes that a Ref to a Composite stands for."""
    x = instructions[ref.source]
    while isinstance(x, Composite):
        inner = x.result
        lanes = inner.lanes if ref.lanes is None else ref.lanes if inner.lanes is None else inner.lanes[ref.lanes]
        ref = Ref(inner.source, lanes)
        x = instructions[ref.source]
    return ref


def _of_operands(x: Instruction, chosen: Array | None) -> Iterator[tuple[Ref, Array | None]]:
    """Each Ref of an instruction, and which of its lanes the chosen lanes of the instruction need (None: all)."""
    if isinstance(x, Sum):
        for part in x.parts:
            kept = None if chosen is None else chosen[part.to]
            if kept is None or kept.any():
                yield part.left, kept
                if part.right is not None:
                    yield part.right, kept
    elif isinstance(x, Reduce):
        yield x.elements, None if chosen is None else np.repeat(chosen, x.counts)
    elif isinstance(x, Carry):
        first = x.delay * x.width
        yield x.initial, None if chosen is None else chosen[:first]
        yield x.later, None if chosen is None else chosen[first:]
    else:
        for ref in x.refs:
            yield ref, chosen


def _refs(part: Part) -> list[Ref]:
    return [part.left] if part.right is None else [part.left, part.right]


class _Needed:
    """Which lanes of which instructions some outputs need: `masks`, None for an instruction that is not needed."""

    def __init__(self, instructions: Sequence[Instruction], outputs: Sequence[Ref]) -> None:
        self.instructions = instructions
        self.masks: list[Array] = [None] * len(instructions)
        self.outputs = [look_through(instructions, ref) for ref in outputs]
        for ref in outputs:
            self._mark(ref, None)
        self.has_loops = any(isinstance(x, (Carry, Recurrent)) for x in instructions)
        if not self.has_loops:
            for k in range(len(instructions) - 1, -1, -1):
                if self.masks[k] is not None:
                    self._hand_on(k)
            return
        reads: list[set[int]] = []
        for x in instructions:
            refs = () if isinstance(x, Composite) else x.refs
            reads.append({look_through(instructions, ref).source for ref in refs})
        for members in reversed(components(reads, (ref.source for ref in self.outputs))):
            if is_loop(reads, members):
                self._hand_on_around(members)
            elif self.masks[members[0]] is not None:
                self._hand_on(members[0])

    def order(self) -> Iterator[tuple[list[int], bool]]:
        """The instructions that are needed, in an order to run them in, and whether they are a loop."""
        if not self.has_loops:
            for k, mask in enumerate(self.masks):
                if mask is not None:
                    yield [k], False
            return
        reads: list[set[int]] = []
        for x, mask in zip(self.instructions, self.masks, strict=True):
            some = [] if mask is None else _of_operands(x, None if mask.all() else mask)
            reads.append({look_through(self.instructions, ref).source for ref, chosen in some
                          if chosen is None or chosen.any()})  # fmt: skip
        for members in components(reads, (ref.source for ref in self.outputs)):
            yield members, is_loop(reads, members)

    def _mark(self, ref: Ref, chosen: Array | None) -> None:
        ref = look_through(self.instructions, ref)
        mask = self.masks[ref.source]
        if mask is None:
            mask = self.masks[ref.source] = np.zeros(self.instructions[ref.source].size, bool)
        if ref.lanes is not None:
            mask[ref.lanes if chosen is None else ref.lanes[chosen]] = True
        else:
            mask[slice(None) if chosen is None else chosen] = True

    def _hand_on(self, k: int) -> None:
        """Mark what the lanes of an instruction need."""
        mask, x = self.masks[k], self.instructions[k]
        if isinstance(x, (Leaf, Literal)):
            mask[:] = True
        for ref, lanes in _of_operands(x, None if mask.all() else mask):
            self._mark(ref, lanes)

    def _hand_on_around(self, members: list[int]) -> None:
        """The same in a loop, until nothing is added: a lane that one step needs is there in all of them."""
        carries = [k for k in members if isinstance(self.instructions[k], Carry)]
        steps = next(x.steps for k in members if isinstance(x := self.instructions[k], (Carry, Recurrent)))
        counted: dict[int, int] = {}
        while True:
            for k in carries:  # a carry and what it hands on have one place to lie in, so they have the same lanes
                x = self.instructions[k]
                assert isinstance(x, Carry)
                first, later = x.delay * x.width, self.masks[x.later.source]
                if later is not None and self.masks[k] is not None:
                    self.masks[k][first:] |= later
            more = [
                k for k in reversed(members) if self.masks[k] is not None and self._tiled(k, steps) > counted.get(k, 0)
            ]
            if not more:
                return
            for k in more:
                counted[k] = int(self.masks[k].sum())
                self._hand_on(k)

    def _tiled(self, k: int, steps: int) -> int:
        """Give every step of an instruction the lanes that one of them needs; how many those are."""
        x, mask = self.instructions[k], self.masks[k]
        rows = steps + (x.delay if isinstance(x, Carry) else 0)
        mask[:] = np.tile(mask.reshape(rows, -1).any(0), rows)
        return int(mask.sum())


class _Kept:
    """The instructions of a plan so far, renumbered, each with the lanes that are needed.

    Args:
        before: all the instructions.
        masks: for each of them which lanes are needed.
        safe: whether the plan is the safe one.
    """

    def __init__(self, before: Sequence[Instruction], masks: list[Array], safe: bool) -> None:
        self.before, self.masks, self.safe = before, masks, safe
        self.instructions: list[Instruction] = []
        self.loops: list[Loop] = []
        self.count = 0
        """How many instructions have a number."""
        self.number = [-1] * len(before)
        self.lane: list[Array] = [None] * len(before)
        """Where the lanes of an instruction of which some have been dropped are now."""
        self.apart: dict[int, Part] = {}
        """What is added to a sum in a loop that was computed before the loop."""

    def sources(self) -> Iterator[Instruction]:
        """The instructions before they were made fast."""
        return (x for x, number in zip(self.before, self.number, strict=True) if number >= 0)

    def moved(self, ref: Ref, chosen: Array | None = None) -> Ref:
        """A Ref (some of its lanes) to what is there now."""
        ref = look_through(self.before, ref)
        index, places = ref.lanes, self.lane[ref.source]
        if index is None and (chosen is not None or places is not None):
            index = np.arange(self.before[ref.source].size)
        if index is not None and chosen is not None:
            index = index[chosen]
        if index is not None and places is not None:
            index = places[index]
            # All that is left of it in order is not an index: it would be gathered for nothing.
            if len(index) == np.count_nonzero(places >= 0) and np.array_equal(index, np.arange(len(index))):
                index = None
        return Ref(self.number[ref.source], index)

    def keep(self, k: int) -> None:
        """Append an instruction."""
        x = self.before[k]
        if isinstance(x, Carry):  # of what does not depend on it: lanes of two instructions, end to end
            x = Sum(x.size, x.batched, x.parts())
        elif isinstance(x, Recurrent):
            x = Sum(x.size, x.batched, x.parts, x.zeroed)
        self._enter(k)
        self.instructions.append(self._changed(k, x))

    def keep_loop(self, members: list[int]) -> None:
        """Append the instructions of a loop, which read each other."""
        changed = {k: self.before[k] for k in members}
        steps = next(x.steps for x in changed.values() if isinstance(x, (Carry, Recurrent)))
        for k in members:
            self._place(k)
            changed[k] = self._with_whole_terms(k, changed[k], set(members), steps)
        start = len(self.instructions)
        for k in members:
            self._enter(k)
        self.instructions += [self._changed(k, x, False) for k, x in changed.items()]
        self.loops.append(loop_of(self.instructions, start, len(self.instructions)))

    def _with_whole_terms(self, k: int, x: Instruction, members: set[int], steps: int) -> Instruction:
        """A sum in a loop; what some steps alone get from outside is added up before the loop, 0 for the other steps.

        It comes from the adjoints of a loop that was two loops, of which one reads the next step of the other. What a
        step gets from the loop itself is 0 where there is no such step, but a lane outside is what it is.
        """
        if not isinstance(x, Sum):
            return x
        lanes = x.size // steps
        apart = [
            part for part in x.parts
            if not members & {look_through(self.before, ref).source for ref in _refs(part)}
            and len(np.unique(part.to // lanes)) < steps
        ]  # fmt: skip
        if not apart:
            return x
        mask = self.masks[k]
        parts = tuple(self._parts(k, replace(x, parts=tuple(apart)), None if mask.all() else mask, True))
        batched = any(self.instructions[ref.source].batched for part in parts for ref in _refs(part))
        self.instructions.append(Sum(int(mask.sum()), batched, parts))
        self.apart[k] = Part("plain", 1.0, np.arange(int(mask.sum())), Ref(self.count, None), None)
        self.count += 1
        return replace(x, parts=tuple(part for part in x.parts if not any(part is one for one in apart)))

    def _place(self, k: int) -> None:
        """Give the lanes of an instruction their places."""
        mask = self.masks[k]
        if not mask.all():
            self.lane[k] = np.where(mask, np.cumsum(mask) - 1, -1)

    def _enter(self, k: int) -> None:
        """Give an instruction its number, and its lanes their places."""
        self._place(k)
        self.number[k] = self.count
        self.count += 1

    def _changed(self, k: int, x: Instruction, forms: bool = True) -> Instruction:
        """An instruction with the lanes that are needed, of operands as they are now."""
        mask = self.masks[k]
        chosen = None if mask.all() else mask
        size = x.size if chosen is None else int(mask.sum())
        if isinstance(x, Map):
            args = tuple(self.moved(a, chosen) if isinstance(a, Ref) else a for a in x.args)
            return replace(x, size=size, args=args, code=self._code(x))
        if isinstance(x, Sum):
            before = (self.apart[k],) if k in self.apart else ()
            return replace(x, size=size, parts=(*before, *self._parts(k, x, chosen, forms)))
        if isinstance(x, Reduce):
            counts = x.counts if chosen is None else x.counts[chosen]
            elements = self.moved(x.elements, None if chosen is None else np.repeat(chosen, x.counts))
            return replace(x, size=size, elements=elements, counts=counts)
        if isinstance(x, Carry):
            first = x.delay * x.width
            initial = self.moved(x.initial, None if chosen is None else chosen[:first])
            return replace(
                x, size=size, initial=initial, later=self.moved(x.later, None if chosen is None else chosen[first:])
            )
        return x

    def _code(self, x: Map) -> Code:
        """What runs: in the fast plan a product is a product, and a derivative need not tell NaN apart."""
        row = TABLE["mul"] if x.row.name in ZERO_RULE and x.slot < 0 and not self.safe else x.row
        numbers = tuple(None if isinstance(a, Ref) else a for a in x.args)
        return lower(row, x.slot, numbers, nan=self.safe or x.slot < 0)

    def _parts(self, k: int, x: Sum, chosen: Array | None, forms: bool) -> Iterator[Part]:
        """The parts of a sum, and how each is computed; in a loop its terms say that."""
        for part in x.parts:
            kept = None if chosen is None else chosen[part.to]
            to = part.to if kept is None else self.lane[k][part.to[kept]]
            if not len(to):
                continue
            kind = "mul" if part.kind in ZERO_RULE and not self.safe else part.kind
            right = None if part.right is None else self.moved(part.right, kept)
            moved = Part(kind, part.factor, to, self.moved(part.left, kept), right)
            yield moved._replace(forms=self._forms(moved, x.batched)) if forms else moved

    def _forms(self, part: Part, batched: bool) -> tuple[Form, ...]:
        def lanes(ref: Ref) -> Array:
            return np.arange(self.instructions[ref.source].size) if ref.lanes is None else ref.lanes

        reduces = not batched and all(self.instructions[ref.source].batched for ref in _refs(part))
        return tuple(forms(part.to, lanes(part.left), None if part.right is None else lanes(part.right), reduces))
