"""The backward pass of a fold: adjoints of lanes, as more instructions.

The rule is that of diff.py, on whole instructions: what hands an adjoint on is each operand's partial, read from
the row. A sum of products out[i] += left[j] * right[k] is a list of triples (i, j, k), and its derivatives are the
same triples with the roles exchanged; so a matrix product's derivatives come out as matrix products, without a
rule for them. (Differentiating the scalars first and folding the result finds the same, at three times the
nodes and ten times the time: the scalar walk takes 10 us a node.)
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.folding.instructions import Builder, Elements, Instruction, Lanes, Part, Ref, on_lanes

Array = Any


def adjoints(builder: Builder, root: Ref, seed: Ref, wanted: Iterable[int], careful: bool) -> dict[int, Ref]:
    """d(root)/d(lane) for the lanes of some instructions.

    Args:
        builder: holds the instructions, and gets those of the backward pass.
        root: one lane.
        seed: its adjoint.
        wanted: the instructions asked for.
        careful: also hand on what only a NaN makes differ from 0 (the derivatives of steps).

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
        for source, part in _handed_on(builder, k, instruction, adjoint, careful, needed):
            parts[source].append(part)
    return {k: ref for k, ref in found.items() if k in wanted}


def sources(instruction: Instruction) -> set[int]:
    """The instructions that one reads."""
    refs = [x for x in instruction.args if isinstance(x, Ref)]
    refs += [x for part in instruction.parts for x in (part.left, part.right) if x is not None]
    return {ref.source for ref in refs}


def _handed_on(
    builder: Builder, k: int, instruction: Instruction, adjoint: Ref, careful: bool, needed: list[bool]
) -> Iterable[tuple[int, Part]]:
    """What an instruction contributes to the adjoints of its operands."""
    if instruction.op == "sum":
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
    if instruction.op in ("leaf", "literal"):
        return
    row = TABLE[instruction.name if instruction.op == "=" else instruction.op]
    if row.zero_gradient and not careful:
        return
    kind = row.chain.name
    if row.variadic:
        elements = instruction.args[-1]
        partial, owner = _of_elements(builder, row, Ref(k, None), instruction, elements)
        incoming = builder.pick(adjoint, owner)
        yield elements.source, _product(builder, kind, 1.0, builder.lanes_of(elements), incoming, partial)
        return
    for slot, x in enumerate(instruction.args):
        if not isinstance(x, Ref) or not needed[x.source]:
            continue
        partial = _partial(builder, row, Ref(k, None), instruction, slot)
        to = builder.lanes_of(x)
        if isinstance(partial, float):
            if partial:
                yield x.source, Part("plain", partial, to, adjoint, None)
        else:
            factor, partial = _factor(builder, partial)
            yield x.source, _product(builder, kind, factor, to, adjoint, partial)


def _product(builder: Builder, kind: str, factor: float, to: Array, adjoint: Ref, partial: Ref) -> Part:
    """adjoint * partial; the partial alone where the adjoint is the literal 1."""
    source = builder.instructions[adjoint.source]
    if source.op == "literal" and source.size == 1 and source.values is not None and source.values[0] == 1.0:
        return Part("plain", factor, to, partial, None)
    return Part(kind, factor, to, adjoint, partial)


@cache
def _rule(row: Row, slot: int) -> tuple[str, float | None]:
    """The text of a partial, and its number if it is one."""
    text = row.partial_texts()[slot]
    try:
        return text, float(ast.literal_eval(text))
    except ValueError:  # an expression
        return text, None


def _partial(builder: Builder, row: Row, out: Ref, instruction: Instruction, slot: int) -> Any:
    """One local derivative: a number, or lanes."""
    if not isinstance(row.partials, str):  # the user's function, evaluated lane by lane
        return builder.op(row.name, instruction.size, (*instruction.args, out), slot)
    text, number = _rule(row, slot)
    names = dict(zip((*row.operands, "out"), (*instruction.args, out), strict=True))
    if text in names:
        return names[text]
    if number is not None:
        return number
    exponent = instruction.args[-1]
    if row.name != "pow" or not isinstance(exponent, float) or not exponent.is_integer():
        return builder.op(row.name, instruction.size, (*instruction.args, out), slot)
    # A whole power: its derivative is a number times lanes, and the number can go along with a product.
    size = instruction.size
    lanes = [Lanes(builder, x, size) if isinstance(x, Ref) else x for x in names.values()]
    found = on_lanes(text, (*row.operands, "out"))(*lanes)
    return found.ref if isinstance(found, Lanes) else float(found)


def _factor(builder: Builder, partial: Ref) -> tuple[float, Ref]:
    """(c, x) for a partial that is a finite number c times lanes x: the number goes along with the part."""
    instruction = builder.instructions[partial.source]
    if instruction.op == "mul" and instruction.slot < 0 and partial.lanes is None:
        a, b = instruction.args
        if isinstance(a, float) and np.isfinite(a) and a:
            return a, b
    return 1.0, partial


def _of_elements(builder: Builder, row: Row, out: Ref, instruction: Instruction, elements: Ref) -> tuple[Ref, Array]:
    """The partials of a primitive of one sequence, for every element, and whose element each is."""
    counts = instruction.counts
    assert counts is not None
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
