"""The backward pass of a fold: adjoints of lanes, as more instructions.

The rule is that of engine/backward.py, on whole instructions: an adjoint is handed on times each operand's partial,
which the row has. A sum of products out[i] += left[j] * right[k] is a list of triples (i, j, k), and its derivatives
are the same triples with the roles exchanged; so a matrix product's derivatives come out as matrix products, without
a rule for them. That of a loop is a loop that runs the other way, and the derivatives of what all its steps take, such
as the weights, are products over all steps after it.

(Differentiating the scalars first and folding the result finds the same, at three times the
nodes and ten times the time: the scalar walk takes 10 us a node.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autograd_lite.engine.lowering import rule_of
from autograd_lite.engine.rules import TABLE
from autograd_lite.folding.instructions import (
    Again,
    Builder,
    Carry,
    Composite,
    Elements,
    Instruction,
    Lanes,
    Literal,
    Map,
    Part,
    Recurrent,
    Reduce,
    Ref,
    Sum,
    on_lanes,
)
from autograd_lite.folding.loops import components, is_loop

Array = Any


def adjoints(
    builder: Builder,
    roots: Sequence[tuple[Ref, Ref]],
    wanted: Iterable[int],
    safe: bool,
    again: bool = False,
    by_row: bool = False,
) -> dict[int, Ref]:
    """The derivatives of roots, each times its adjoint, in the lanes of some instructions.

    Args:
        builder: holds the instructions, and gets those of the backward pass.
        roots: lanes, and for each of them its adjoint.
        wanted: the instructions asked for.
        safe: also hand on what only a NaN makes differ from 0 (the derivatives of steps). See plan.py.
        again: write the partials out in primitives, so that what is found can be differentiated again.
        by_row: of a batch find for each row what it alone hands on, also to what has no rows, in place of the sum.

    Returns:
        For each wanted instruction its adjoint; none for one that no root depends on.

    Raises:
        OnceOnly: `again`, and there is a user-defined derivative that is a function.
    """
    return _Adjoints(builder, roots, set(wanted), safe, again, by_row).found()


class OnceOnly(Exception):
    """The derivative of this user-defined primitive is a function, and cannot be differentiated again."""


class _Adjoints:
    """The adjoints of instructions, from the root down; `parts` has what has been handed on to those to come."""

    def __init__(
        self, builder: Builder, roots: Sequence[tuple[Ref, Ref]], wanted: set[int], safe: bool, again: bool,
        by_row: bool,
    ) -> None:  # fmt: skip
        self.builder, self.wanted, self.safe, self.again, self.by_row = builder, wanted, safe, again, by_row
        self.instructions = builder.instructions[:]
        starts = list(dict.fromkeys(root.source for root, _ in roots))
        self.items: list[list[int]] = [[k] for k in range(max(starts) + 1)]
        self.loops: list[bool] = [False] * len(self.items)
        if any(isinstance(x, (Carry, Recurrent)) for x in self.instructions):
            reads = [sources(x) for x in self.instructions]
            self.items = components(reads, starts)
            self.loops = [is_loop(reads, item) for item in self.items]
        self.needed = [False] * len(self.instructions)
        for item in self.items:
            some = any(k in wanted or any(self.needed[i] for i in sources(self.instructions[k])) for k in item)
            for k in item:
                self.needed[k] = some
        self.parts: dict[int, list[Part]] = defaultdict(list)
        for root, seed in roots:
            if self.needed[root.source]:
                self.parts[root.source].append(Part("plain", 1.0, builder.lanes_of(root), seed, None))
        self.adjoint: dict[int, Ref] = {}

    def found(self) -> dict[int, Ref]:
        """The adjoints of the wanted instructions."""
        for item, loop in zip(reversed(self.items), reversed(self.loops), strict=True):
            if not self.needed[item[0]]:
                continue
            if loop:
                self._hand_on_around(item)
            elif item[0] in self.parts:
                x = self.instructions[item[0]]
                if isinstance(x, Carry):
                    self._hand_on_carried(x, self.parts.pop(item[0]))
                else:
                    self._hand_on(item[0], self.builder.sum(x.size, self.parts.pop(item[0]), x.batched or self.by_row))
        return {k: ref for k, ref in self.adjoint.items() if k in self.wanted}

    def _hand_on(self, k: int, adjoint: Ref) -> None:
        """Give an instruction's operands their part of its adjoint."""
        self.adjoint[k] = adjoint
        for source, part in self._handed_on(k, adjoint):
            self.parts[source].append(part)

    def _hand_on_around(self, members: list[int]) -> None:
        """The same for a loop: its adjoint is a loop that runs the other way.

        The adjoint of what is carried has its number before it is known what is handed back to it. Parts from outside
        the loop are added up before it, for all steps at once.
        """
        builder, parts = self.builder, self.parts
        carries = {k: x for k in members if isinstance(x := self.instructions[k], Carry)}
        for k, x in carries.items():
            self._hand_on_carried(x, parts.pop(k, []))
        carried: dict[int, int] = {}
        for x in carries.values():
            later = self.instructions[x.later.source]
            empty = Recurrent(later.size, later.batched or self.by_row, (), False, x.steps)
            carried[x.later.source] = builder.add(empty).source
        before: dict[int, Part] = {}
        for k in members:
            if k in parts:
                size = self.instructions[k].size
                outside = builder.sum(size, parts.pop(k), self.instructions[k].batched or self.by_row)
                before[k] = Part("plain", 1.0, builder.index(np.arange(size)), outside, None)
                if k not in carried:
                    parts[k].append(before[k])
        for k in reversed(members):
            if k in carried:
                self._hand_on(k, Ref(carried[k], None))
            elif k in parts and k not in carries:
                x = self.instructions[k]
                self._hand_on(k, builder.sum(x.size, parts.pop(k), x.batched or self.by_row))
        for k, x in carries.items():
            self._hand_on_carried(x, parts.pop(k, []))
        for k, number in carried.items():
            every = [before[k]] if k in before else []
            every += [part._replace(to=builder.index(part.to)) for part in parts.pop(k, [])]
            x = builder.instructions[number]
            assert isinstance(x, Recurrent)
            builder.instructions[number] = replace(x, parts=tuple(every))

    def _hand_on_carried(self, x: Carry, parts: list[Part]) -> None:
        """What a carry is given: that of its first lanes goes to where it starts from, the rest a step back."""
        first = x.delay * x.width
        for part in parts:
            for some in _columns(part, x):
                # All of them are lanes of one step after the other, so that they stay parts of the steps of a loop.
                ref, offset = (x.initial, 0) if part.to[some[0]] < first else (x.later, first)
                if self.needed[ref.source]:
                    to = self.builder.lanes_of(ref)[part.to[some] - offset]
                    right = None if part.right is None else self.builder.pick(part.right, some)
                    self.parts[ref.source].append(
                        part._replace(to=to, left=self.builder.pick(part.left, some), right=right)
                    )

    def _handed_on(self, k: int, adjoint: Ref) -> Iterable[tuple[int, Part]]:
        """What an instruction contributes to the adjoints of its operands."""
        builder, instruction, needed = self.builder, self.instructions[k], self.needed
        if isinstance(instruction, Sum):
            for part in instruction.parts:
                incoming = builder.pick(adjoint, part.to)
                if part.right is None:
                    if needed[part.left.source]:
                        to = builder.lanes_of(part.left)
                        yield part.left.source, Part("plain", part.factor, to, incoming, None)
                    continue
                kind = TABLE[part.kind].chain.name
                for x, other in ((part.left, part.right), (part.right, part.left)):
                    if needed[x.source]:
                        to = builder.lanes_of(x)
                        yield x.source, times_partial(builder, kind, part.factor, to, incoming, other)
            return
        if not isinstance(instruction, (Map, Reduce, Composite)):  # a leaf or a literal
            return
        row = instruction.row
        if row.zero_gradient and not self.safe:
            return
        kind, out = row.chain.name, Ref(k, None)
        how: Again = None if not self.again else "safe" if self.safe else "fast"
        if not isinstance(instruction, Map):
            elements = instruction.elements
            of_elements, owner = partials_of_elements(builder, out, instruction, how)
            incoming = builder.pick(adjoint, owner)
            yield elements.source, times_partial(builder, kind, 1.0, builder.lanes_of(elements), incoming, of_elements)
            return
        for slot, operand in enumerate(instruction.args):
            if not isinstance(operand, Ref) or not needed[operand.source]:
                continue
            partial = partial_in(builder, out, instruction, slot, how)
            to = builder.lanes_of(operand)
            if isinstance(partial, float):
                if partial:
                    yield operand.source, Part("plain", partial, to, adjoint, None)
            else:
                factor, partial = _factor(builder, partial)
                yield operand.source, times_partial(builder, kind, factor, to, adjoint, partial)


def _columns(part: Part, x: Carry) -> Iterable[Array]:
    """Which terms of a part go to lanes of a carry as far from their step, first lanes apart from later ones."""
    first, lanes = x.delay * x.width, len(part.to)
    if lanes and lanes % x.steps == 0:
        row = (part.to // x.width).reshape(x.steps, -1) - np.arange(x.steps)[:, None]
        if (row == row[0]).all():
            every = np.arange(lanes).reshape(x.steps, -1)
            for distance in np.unique(row[0]).tolist():
                mine, cut = every[:, row[0] == distance], max(0, x.delay - distance)
                yield from (some.ravel() for some in (mine[:cut], mine[cut:]) if some.size)
            return
    yield from (some for some in (np.flatnonzero(part.to < first), np.flatnonzero(part.to >= first)) if len(some))


def sources(instruction: Instruction) -> set[int]:
    """The instructions that one reads."""
    return {ref.source for ref in instruction.refs}


def times_partial(builder: Builder, kind: str, factor: float, to: Array, adjoint: Ref, partial: Ref) -> Part:
    """adjoint * partial; the partial alone where the adjoint is the literal 1."""
    source = builder.instructions[adjoint.source]
    if isinstance(source, Literal) and source.size == 1 and source.values[0] == 1.0:
        return Part("plain", factor, to, partial, None)
    return Part(kind, factor, to, adjoint, partial)


def partial_in(builder: Builder, out: Ref, instruction: Map, slot: int, again: Again = None) -> Any:
    """One local derivative: a number, or lanes."""
    row = instruction.row
    if not isinstance(row.partials, str):  # a user-defined function, evaluated lane by lane
        if again:
            raise OnceOnly(row.name)
        return builder.op(row.key, instruction.size, (*instruction.args, out), slot)
    rule = rule_of(row, slot)
    if isinstance(rule, float):
        return rule
    names: dict[Any, Any] = dict(zip((*row.operands, "out"), (*instruction.args, out), strict=True))
    if rule in names:
        return names[rule]
    exponent = instruction.args[-1]
    if not again and (row.name != "pow" or not isinstance(exponent, float) or not exponent.is_integer()):
        return builder.op(row.key, instruction.size, (*instruction.args, out), slot)
    # Of a whole power it is a number times lanes, and the number can go along with a product.
    size = instruction.size
    lanes = [Lanes(builder, x, size) if isinstance(x, Ref) else x for x in names.values()]
    found = on_lanes(row.partial_texts()[slot], (*row.operands, "out"), again)(*lanes)
    return found.ref if isinstance(found, Lanes) else float(found)


def _factor(builder: Builder, partial: Ref) -> tuple[float, Ref]:
    """(c, x) for a partial that is a finite number c times lanes x: the number goes along with the part."""
    instruction = builder.instructions[partial.source]
    if (
        isinstance(instruction, Map)
        and instruction.row.name == "mul"
        and instruction.slot < 0
        and partial.lanes is None
    ):
        number, lanes = instruction.args
        if isinstance(number, float) and isinstance(lanes, Ref) and np.isfinite(number) and number:
            return number, lanes
    return 1.0, partial


def partials_of_elements(
    builder: Builder, out: Ref, instruction: Reduce | Composite, again: Again = None
) -> tuple[Ref, Array]:
    """The partials of a primitive of one sequence, for every element, and whose element each is."""
    row, elements, counts = instruction.row, instruction.elements, instruction.counts
    size = instruction.size
    owner = np.repeat(np.arange(size), counts)
    if isinstance(row.partials, str) and row.name != "prod":
        of = on_lanes(row.partials, (*row.operands, "out"), again)
        (found,) = of(Elements(builder, elements, counts), Lanes(builder, out, size))
        return found.ref, owner
    count = int(counts[0])
    columns = [Lanes(builder, builder.pick(elements, np.arange(size) * count + i), size) for i in range(count)]
    assert isinstance(row.partials, str)
    found = on_lanes(row.partials, row.operands)(columns)
    parts = []
    for i, x in enumerate(found):
        ref = x.ref if isinstance(x, Lanes) else builder.literal(np.full(size, float(x)))
        parts.append(Part("plain", 1.0, np.arange(size) * count + i, ref, None))
    return builder.sum(size * count, parts), owner
