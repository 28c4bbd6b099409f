"""Products whose elements the next nest uses at once: of a layer the activation, of its gradient the mask.

Such a pair is written as one loop: what a tile leaves in registers goes through the code of the map, and is stored only
where anything else reads it. No number changes by that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autograd_lite.folding.nests import ARENA, FURTHER, Access, Map, Nest, Nests, Product, span, uses

Array = Any

PLAIN = {"add", "sub", "mul", "div", "neg", "abs", "sqrt", "floor", "ceil", "gt", "ge", "lt", "le", "eq", "select"}
"""Steps that are one operation or two."""

SHORT = 8
"""A code of more steps is a loop of its own: it would be written once for each vector of a tile."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Followed:
    """A product and the map of its elements.

    Args:
        product: of one block.
        map: its axes are those of the result, (i, j), the rows of a batch last.
        element: which of its inputs are the element.
        stored: whether anything else reads the product.
    """

    product: Product
    map: Map
    element: frozenset[int]
    stored: bool

    @property
    def watch(self) -> bool:
        """Whether anything of it goes into the flag."""
        return self.product.watch or bool(self.map.watch)


def joined(nests: Sequence[Nest], whole: Nests) -> Iterator[Nest | Followed]:
    """The nests of a section, with each such pair made one."""
    waiting: Nest | None = None
    for nest in nests:
        pair = _pair(waiting, nest, whole) if isinstance(waiting, Product) and isinstance(nest, Map) else None
        if waiting is not None and pair is None:
            yield waiting
        waiting = nest
        if pair is not None:
            yield pair
            waiting = None
    if waiting is not None:
        yield waiting


def _pair(product: Product, nest: Map, whole: Nests) -> Followed | None:
    m, n, strides = product.m, product.n, product.out.strides[1:]
    if product.rows == "m":  # the rows of the batch, which come last in a map
        m, n, strides = n, m, strides[::-1]
    short = len(nest.code) <= SHORT and all(step.name in PLAIN or step.name in FURTHER for step in nest.code)
    near = all(not any(x.table_strides[-1:]) for x in (*nest.inputs, *(access for _, access in nest.outputs)))
    if product.blocks > 1 or not short or not near:
        return None
    if nest.axes == (m * n,) and strides[0] == n:
        found = replace(
            nest,
            axes=(m, n),
            inputs=tuple(_cut(x, n) for x in nest.inputs),
            outputs=tuple((value, _cut(x, n)) for value, x in nest.outputs),
        )
    elif nest.axes == (m, n):
        found = nest
    else:
        return None
    element = Access(product.out.offset, strides)
    read = frozenset(k for k, x in enumerate(found.inputs) if x == element)
    tables = whole.tables
    result = span(element, (m, n), tables)
    others = [x for k, x in enumerate(found.inputs) if k not in read]
    operands = [
        span(x, axes, tables) for x, axes, written, _ in uses(product, whole) if x.base == ARENA and not written
    ]
    written = [x for _, x in found.outputs if x != element]
    if (
        not read
        or any(_meet(span(x, (m, n), tables), result) for x in [*others, *written])
        or any(_meet(span(x, (m, n), tables), other) for _, x in found.outputs for other in operands)
    ):
        return None
    over = any(x == element for _, x in found.outputs)
    stored = product.add or (not over and _read_elsewhere(result, nest, whole))
    return Followed(product, replace(found, padded=False), read, stored)


def _read_elsewhere(result: Span, nest: Map, whole: Nests) -> bool:
    """Whether anything but this map reads from a place."""
    outputs = [(x.offset, x.offset + x.size * (whole.block if x.batched else 1)) for x in whole.outputs]
    return any(_meet(result, x) for x in outputs) or any(
        not written and x.base == ARENA and _meet(span(x, axes, whole.tables), result)
        for other in (*whole.prologue, *whole.body, *whole.epilogue) if other is not nest
        for x, axes, written, _ in uses(other, whole)
    )  # fmt: skip


def _cut(access: Access, n: int) -> Access:
    """An access of one axis as one of two, the last of n."""
    table = tuple(x for s in access.table_strides for x in (s * n, s))
    return replace(access, strides=(access.strides[0] * n, access.strides[0]), table_strides=table)


def _meet(a: Span, b: Span) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]
