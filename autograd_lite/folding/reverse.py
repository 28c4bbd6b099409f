"""The backward pass of a fold: adjoints of lanes, as more instructions.

The rule is that of engine/backward.py, on whole instructions: an adjoint is handed on times each operand's partial,
which the row has. A sum of products out[i] += left[j] * right[k] is a list of triples (i, j, k), and its derivatives
are the same triples with the roles exchanged; so a matrix product's derivatives come out as matrix products, without
a rule for them. (Differentiating the scalars first and folding the result finds the same, at three times the
nodes and ten times the time: the scalar walk takes 10 us a node.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from autograd_lite.engine.lowering import rule_of
from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.folding.instructions import (
    Builder,
    Composite,
    Elements,
    Instruction,
    Lanes,
    Literal,
    Map,
    Part,
    Reduce,
    Ref,
    Sum,
    on_lanes,
)

Array = Any


def adjoints(builder: Builder, root: Ref, seed: Ref, wanted: Iterable[int], safe: bool) -> dict[int, Ref]:
    """d(root)/d(lane) for the lanes of some instructions.

    Args:
        builder: holds the instructions, and gets those of the backward pass.
        root: one lane.
        seed: its adjoint.
        wanted: the instructions asked for.
        safe: also hand on what only a NaN makes differ from 0 (the derivatives of steps). See plan.py.

    Returns:
        For each wanted instruction its adjoint; none for one that the root does not depend on.
    """
    wanted = set(wanted)
    count = root.source + 1
    instructions = builder.instructions[:count]
    needed = [False] * count
    for k, instruction in enumerate(instructions):
        needed[k] = k in wanted or any(needed[source] for source in sources(instruction))
    parts: dict[int, list[Part]] = defaultdict(list)
    if needed[root.source]:
        parts[root.source].append(Part("plain", 1.0, builder.lanes_of(root), seed, None))
    found: dict[int, Ref] = {}
    for k in range(count - 1, -1, -1):
        if k not in parts or not needed[k]:
            continue
        instruction = instructions[k]
        adjoint = builder.sum(instruction.size, parts.pop(k), instruction.batched)
        found[k] = adjoint
        for source, part in _handed_on(builder, k, instruction, adjoint, safe, needed):
            parts[source].append(part)
    return {k: ref for k, ref in found.items() if k in wanted}


def sources(instruction: Instruction) -> set[int]:
    """The instructions that one reads."""
    return {ref.source for ref in instruction.refs}


def _handed_on(
    builder: Builder, k: int, instruction: Instruction, adjoint: Ref, safe: bool, needed: list[bool]
) -> Iterable[tuple[int, Part]]:
    """What an instruction contributes to the adjoints of its operands."""
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
                    yield x.source, _product(builder, kind, part.factor, to, incoming, other)
        return
    if not isinstance(instruction, (Map, Reduce, Composite)):  # a leaf or a literal
        return
    row = instruction.row
    if row.zero_gradient and not safe:
        return
    kind = row.chain.name
    if not isinstance(instruction, Map):
        elements = instruction.elements
        of_elements, owner = _of_elements(builder, row, Ref(k, None), instruction)
        incoming = builder.pick(adjoint, owner)
        yield elements.source, _product(builder, kind, 1.0, builder.lanes_of(elements), incoming, of_elements)
        return
    for slot, operand in enumerate(instruction.args):
        if not isinstance(operand, Ref) or not needed[operand.source]:
            continue
        partial = _partial(builder, Ref(k, None), instruction, slot)
        to = builder.lanes_of(operand)
        if isinstance(partial, float):
            if partial:
                yield operand.source, Part("plain", partial, to, adjoint, None)
        else:
            factor, partial = _factor(builder, partial)
            yield operand.source, _product(builder, kind, factor, to, adjoint, partial)


def _product(builder: Builder, kind: str, factor: float, to: Array, adjoint: Ref, partial: Ref) -> Part:
    """adjoint * partial; the partial alone where the adjoint is the literal 1."""
    source = builder.instructions[adjoint.source]
    if isinstance(source, Literal) and source.size == 1 and source.values[0] == 1.0:
        return Part("plain", factor, to, partial, None)
    return Part(kind, factor, to, adjoint, partial)


def _partial(builder: Builder, out: Ref, instruction: Map, slot: int) -> Any:
    """One local derivative: a number, or lanes."""
    row = instruction.row
    if not isinstance(row.partials, str):  # a user-defined function, evaluated lane by lane
        return builder.op(row.key, instruction.size, (*instruction.args, out), slot)
    rule = rule_of(row, slot)
    if isinstance(rule, float):
        return rule
    names: dict[Any, Any] = dict(zip((*row.operands, "out"), (*instruction.args, out), strict=True))
    if rule in names:
        return names[rule]
    exponent = instruction.args[-1]
    if row.name != "pow" or not isinstance(exponent, float) or not exponent.is_integer():
        return builder.op(row.key, instruction.size, (*instruction.args, out), slot)
    # A whole power: its derivative is a number times lanes, and the number can go along with a product.
    size = instruction.size
    lanes = [Lanes(builder, x, size) if isinstance(x, Ref) else x for x in names.values()]
    found = on_lanes(row.partial_texts()[slot], (*row.operands, "out"))(*lanes)
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


def _of_elements(builder: Builder, row: Row, out: Ref, instruction: Reduce | Composite) -> tuple[Ref, Array]:
    """The partials of a primitive of one sequence, for every element, and whose element each is."""
    elements, counts = instruction.elements, instruction.counts
    size = instruction.size
    owner = np.repeat(np.arange(size), counts)
    if isinstance(row.partials, str) and row.name != "prod":
        of = on_lanes(row.partials, (*row.operands, "out"))
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
