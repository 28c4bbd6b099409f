"""A Plan: the instructions that some outputs need, with nothing dead in them, and how each sum is computed.

This is what a backend gets. It is plain data: numbers, names and index arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_lite.engine.rules import TABLE
from autograd_lite.folding.contractions import Form, forms
from autograd_lite.folding.instructions import Instruction, Part, Ref

Array = Any


@dataclass
class Plan:
    """Instructions in order, and where the results are.

    Args:
        instructions: each reads earlier ones only.
        forms: for each instruction that is a sum, the forms of each part; else nothing.
        outputs: the results.
    """

    instructions: list[Instruction]
    forms: list[tuple[tuple[Form, ...], ...]]
    outputs: list[Ref]

    @property
    def zero_rule(self) -> bool:
        """Whether there is a product in which an adjoint of 0 counts as 0 whatever the other factor."""
        kinds = {part.kind for x in self.instructions for part in x.parts} | {x.op for x in self.instructions}
        own = any(x.op in TABLE and not TABLE[x.op].builtin for x in self.instructions)
        return bool(kinds & {"_chain", "_masked"}) or own


def plan(instructions: Sequence[Instruction], outputs: Sequence[Ref]) -> Plan:
    """Keep what the outputs need: instructions, and lanes of them. Leaves keep all their lanes."""
    count = len(instructions)
    masks: list[Array] = [None] * count

    def mark(ref: Ref, chosen: Any = None) -> None:
        size = instructions[ref.source].size
        mask = masks[ref.source]
        if mask is None:
            mask = masks[ref.source] = np.zeros(size, bool)
        if ref.lanes is not None:
            mask[ref.lanes if chosen is None else ref.lanes[chosen]] = True
        elif chosen is None:
            mask[:] = True
        else:
            mask[chosen] = True

    for ref in outputs:
        mark(ref)
    for k in range(count - 1, -1, -1):
        mask, x = masks[k], instructions[k]
        if mask is None:
            continue
        if x.op in ("leaf", "literal"):
            mask[:] = True
        chosen = None if mask.all() else mask
        for part in x.parts:
            kept = None if chosen is None else mask[part.to]
            if kept is None or kept.any():
                mark(part.left, kept)
                if part.right is not None:
                    mark(part.right, kept)
        for ref in x.args[:1] if x.op == "=" else x.args:
            if isinstance(ref, Ref):
                mark(ref, chosen if x.counts is None or x.op == "=" or chosen is None else np.repeat(chosen, x.counts))

    number, lane = [-1] * count, [None] * count  # type: list[int], list[Array]
    kept_instructions: list[Instruction] = []
    all_forms: list[tuple[tuple[Form, ...], ...]] = []

    def moved(ref: Ref, chosen: Any = None) -> Ref:
        index: Any = ref.lanes
        places = lane[ref.source]
        if index is None and (chosen is not None or places is not None):
            index = np.arange(instructions[ref.source].size)
        if chosen is not None:
            index = index[chosen]
        if places is not None:
            index = places[index]
            if len(index) == len(places[places >= 0]) and np.array_equal(index, np.arange(len(index))):
                index = None
        return Ref(number[ref.source], index)

    for k in range(count):
        mask, x = masks[k], instructions[k]
        if mask is None:
            continue
        chosen = None if mask.all() else mask
        if chosen is not None:
            lane[k] = np.where(mask, np.cumsum(mask) - 1, -1)
        counts = x.counts if x.counts is None or chosen is None else x.counts[chosen]
        parts = []
        for part in x.parts:
            kept = None if chosen is None else mask[part.to]
            to = part.to if kept is None else lane[k][part.to[kept]]
            if len(to):
                right = None if part.right is None else moved(part.right, kept)
                parts.append(Part(part.kind, part.factor, to, moved(part.left, kept), right))
        args = []
        for ref in x.args[:1] if x.op == "=" else x.args:
            grouped = chosen is not None and x.counts is not None and x.op != "="
            wanted = np.repeat(mask, x.counts) if grouped and x.counts is not None else chosen
            args.append(moved(ref, wanted) if isinstance(ref, Ref) else ref)
        size = x.size if chosen is None else int(mask.sum())
        number[k] = len(kept_instructions)
        kept_instructions.append(Instruction(x.op, size, tuple(args), tuple(parts), x.name, x.slot, counts, x.values,
                                             x.batched))  # fmt: skip
        all_forms.append(tuple(_forms(part, kept_instructions) for part in parts))
    return Plan(kept_instructions, all_forms, [moved(ref) for ref in outputs])


def _forms(part: Part, instructions: list[Instruction]) -> tuple[Form, ...]:
    """How a part of the newest instruction is computed."""

    def lanes(ref: Ref) -> Array:
        return np.arange(instructions[ref.source].size) if ref.lanes is None else ref.lanes

    refs = [part.left] if part.right is None else [part.left, part.right]
    reduces = not instructions[-1].batched and all(instructions[ref.source].batched for ref in refs)
    return tuple(forms(part.to, lanes(part.left), None if part.right is None else lanes(part.right), reduces))
