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
from autograd_lite.folding.instructions import Composite, Instruction, Leaf, Literal, Map, Part, Reduce, Ref, Sum

Array = Any

ZERO_RULE = ("_chain", "_masked")
"""Products in which a factor of 0 is 0 whatever the other is."""


@dataclass
class Plan:
    """Instructions in order, and where the results are.

    Args:
        instructions: each reads earlier ones only. None of them is a Composite.
        outputs: the results.
        safe: whether this is the plan that is run again where the fast one cannot be trusted.
        doubt_nan: whether a NaN in an output may come from the plan being the fast one.
        kept: what backends have made for it.
    """

    instructions: list[Instruction]
    outputs: list[Ref]
    safe: bool = False
    doubt_nan: bool = False
    kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)


def plan(instructions: Sequence[Instruction], outputs: Sequence[Ref], safe: bool = False) -> Plan:
    """Keep what the outputs need: instructions, and lanes of them. Leaves keep all their lanes.

    Args:
        instructions: those of a Builder.
        outputs: the results.
        safe: make the safe plan; see the head of this file.
    """
    needed = _needed_lanes(instructions, outputs)
    kept = _Kept(instructions, needed, safe)
    for k in range(len(instructions)):
        if needed[k] is not None:
            kept.keep(k)
    doubt_nan = not safe and any(map(_has_zero_rule, kept.sources()))
    return Plan(kept.instructions, [kept.moved(ref) for ref in outputs], safe, doubt_nan)


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
    else:
        for ref in x.refs:
            yield ref, chosen


def _needed_lanes(instructions: Sequence[Instruction], outputs: Sequence[Ref]) -> list[Array]:
    """For each instruction which of its lanes the outputs need, as a mask; None where it is none of them."""
    masks: list[Array] = [None] * len(instructions)

    def mark(ref: Ref, chosen: Array | None) -> None:
        ref = look_through(instructions, ref)
        mask = masks[ref.source]
        if mask is None:
            mask = masks[ref.source] = np.zeros(instructions[ref.source].size, bool)
        if ref.lanes is not None:
            mask[ref.lanes if chosen is None else ref.lanes[chosen]] = True
        else:
            mask[slice(None) if chosen is None else chosen] = True

    for ref in outputs:
        mark(ref, None)
    for k in range(len(instructions) - 1, -1, -1):
        mask, x = masks[k], instructions[k]
        if mask is None:
            continue
        if isinstance(x, (Leaf, Literal)):
            mask[:] = True
        for ref, lanes in _of_operands(x, None if mask.all() else mask):
            mark(ref, lanes)
    return masks


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
        self.number = [-1] * len(before)
        self.lane: list[Array] = [None] * len(before)
        """Where the lanes of an instruction of which some have been dropped are now."""

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
        mask, x = self.masks[k], self.before[k]
        chosen = None if mask.all() else mask
        size = x.size if chosen is None else int(mask.sum())
        if chosen is not None:
            self.lane[k] = np.where(mask, np.cumsum(mask) - 1, -1)
        if isinstance(x, Map):
            args = tuple(self.moved(a, chosen) if isinstance(a, Ref) else a for a in x.args)
            x = replace(x, size=size, args=args, code=self._code(x))
        elif isinstance(x, Sum):
            x = replace(x, size=size, parts=tuple(self._parts(k, x, chosen)))
        elif isinstance(x, Reduce):
            counts = x.counts if chosen is None else x.counts[chosen]
            elements = self.moved(x.elements, None if chosen is None else np.repeat(chosen, x.counts))
            x = replace(x, size=size, elements=elements, counts=counts)
        self.number[k] = len(self.instructions)
        self.instructions.append(x)

    def _code(self, x: Map) -> Code:
        """What runs: in the fast plan a product is a product, and a derivative need not tell NaN apart."""
        row = TABLE["mul"] if x.row.name in ZERO_RULE and x.slot < 0 and not self.safe else x.row
        numbers = tuple(None if isinstance(a, Ref) else a for a in x.args)
        return lower(row, x.slot, numbers, nan=self.safe or x.slot < 0)

    def _parts(self, k: int, x: Sum, chosen: Array | None) -> Iterator[Part]:
        """The parts of a sum, and how each is computed."""
        for part in x.parts:
            kept = None if chosen is None else chosen[part.to]
            to = part.to if kept is None else self.lane[k][part.to[kept]]
            if not len(to):
                continue
            kind = "mul" if part.kind in ZERO_RULE and not self.safe else part.kind
            right = None if part.right is None else self.moved(part.right, kept)
            moved = Part(kind, part.factor, to, self.moved(part.left, kept), right)
            yield moved._replace(forms=self._forms(moved, x.batched))

    def _forms(self, part: Part, batched: bool) -> tuple[Form, ...]:
        def lanes(ref: Ref) -> Array:
            return np.arange(self.instructions[ref.source].size) if ref.lanes is None else ref.lanes

        refs = [part.left] if part.right is None else [part.left, part.right]
        reduces = not batched and all(self.instructions[ref.source].batched for ref in refs)
        return tuple(forms(part.to, lanes(part.left), None if part.right is None else lanes(part.right), reduces))
