"""From a graph of scalars to instructions on lanes: the first half of a fold.

`scan` reads the graph once, into flat arrays of positions; `build` brings it into canonical form (a tree of
additions is one sum, a product used only there is a pair in it), finds the classes and emits an instruction for
each. Python touches a node a handful of times; the rest is index arithmetic on arrays. Derivatives are taken later,
on the instructions (reverse.py); how a sum is computed is found later still (contract.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.folding.grouping import PRODUCTS, WIDE, Terms, classes_of
from autograd_lite.folding.instructions import Builder, Instruction, Part, Ref
from autograd_lite.folding.scan import MANY_OPERANDS, Scan, arity_of

Array = Any


def build(scan: Scan, batched: bool = False) -> tuple[Builder, list[Ref]]:
    """The instructions of a scanned graph, and where its roots are.

    Args:
        scan: the graph.
        batched: whether the inputs have a batch axis.
    """
    terms = Terms(scan)
    n, sources = scan.count, len(scan.leaf_sizes)
    units = np.flatnonzero((scan.arity > 0) & ~terms.absorbed)
    classes, made = classes_of(scan, terms, units)
    in_class = classes[units]
    by_class = np.argsort(in_class, kind="stable")
    starts = np.searchsorted(in_class[by_class], np.arange(sources, sources + len(made) + 1))
    members = units[by_class]

    builder = Builder()
    for k, size in enumerate(scan.leaf_sizes):
        name = "theta" if k == 0 else "constants" if k == sources - 1 else f"input {k - 1}"
        builder.leaf(name, size, batched and 0 < k < sources - 1)
    refs: list[Ref] = [Ref(k, None) for k in range(sources)]
    lane = scan.lane.copy()
    parts = _PartsOfClass(scan, terms, classes)
    flat_start = np.zeros(n, np.int64)
    flat_size = np.zeros(n, np.int64)
    flat_start[scan.many] = np.cumsum(scan.sizes) - scan.sizes
    flat_size[scan.many] = scan.sizes

    def ref(positions: Array) -> Ref:
        """The lanes at some positions of one class."""
        return builder.pick(refs[classes[positions[0]]], lane[positions])

    for k, what in enumerate(made):
        mine = members[starts[k] : starts[k + 1]]
        if what == "sum" or what == "mean":
            lane[mine] = np.arange(len(mine))
            made_ref = builder.sum(len(mine), parts.of(sources + k, lane, refs, builder))
            if what == "mean":
                made_ref = builder.mean(made_ref, flat_size[mine])
            refs.append(made_ref)
            continue
        row = what[0] if isinstance(what, tuple) else what
        if isinstance(row, Row) and row.variadic:
            lane[mine] = np.arange(len(mine))
            refs.append(_of_sequence(builder, row, mine, scan, flat_start, flat_size, classes, lane, refs))
            continue
        if isinstance(row, Row) and arity_of(row) == MANY_OPERANDS:
            columns = [scan.flat[flat_start[mine] + i] for i in range(len(row.operands))]
        elif scan.arity[mine[0]] == 1:
            columns = [scan.left[mine]]
        else:
            columns = [scan.left[mine], scan.right[mine]]
            if row is TABLE["mul"]:  # the class that came first stands first, as in its key
                swap = classes[columns[0]] > classes[columns[1]]
                columns = [np.where(swap, columns[1], columns[0]), np.where(swap, columns[0], columns[1])]
        columns = _once(columns, mine, lane)
        size = len(columns[0])
        arguments: list[Any] = [ref(column) for column in columns]
        if isinstance(row, str):  # a power with its exponent
            arguments.append(what[1])
            refs.append(builder.op("pow", size, tuple(arguments)))
        else:
            refs.append(builder.op(row.name, size, tuple(arguments)))
    roots = [builder.pick(refs[classes[i]], lane[i : i + 1]) for i in scan.roots.tolist()]
    return builder, roots


def _once(columns: list[Array], mine: Array, lane: Array) -> list[Array]:
    """Number the lanes of a class, equal ones once: two nodes that do the same to the same lanes are one."""
    n = len(mine)
    if len(columns) <= 2 and n > 1:
        packed = lane[columns[0]] if len(columns) == 1 else (lane[columns[0]] << 31) + lane[columns[1]]
        _, first, which = np.unique(packed, return_index=True, return_inverse=True)
        if len(first) < n:
            order = np.argsort(first)
            rank = np.empty(len(first), np.int64)
            rank[order] = np.arange(len(first))
            lane[mine] = rank[which]
            chosen = first[order]
            return [column[chosen] for column in columns]
    lane[mine] = np.arange(n)
    return columns


class _PartsOfClass:
    """The terms of all sums, grouped by class and within it by what they add."""

    def __init__(self, scan: Scan, terms: Terms, classes: Array) -> None:
        second = np.where(terms.y >= 0, classes[terms.y], WIDE - 1)
        first = classes[terms.x]
        swap = (first > second) & (terms.kind == 1)
        self.x, self.y = np.where(swap, terms.y, terms.x), np.where(swap, terms.x, terms.y)
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        key = ((first * WIDE + second) << 2) + terms.kind
        of_class = classes[terms.root]
        order = np.lexsort((key, of_class))
        self.x, self.y, self.root, self.kind = self.x[order], self.y[order], terms.root[order], terms.kind[order]
        self.first, self.second, of_class, key = first[order], second[order], of_class[order], key[order]
        new = np.flatnonzero(np.diff(of_class, prepend=-1).astype(bool) | np.diff(key, prepend=-1).astype(bool))
        self.starts, self.ends = new, np.append(new[1:], len(key))
        self.group_class = of_class[new]

    def of(self, which: int, lane: Array, refs: list[Ref], builder: Builder) -> list[Part]:
        """The parts of one class of sums."""
        parts = []
        low, high = np.searchsorted(self.group_class, [which, which + 1])
        for g in range(low, high):
            here = slice(self.starts[g], self.ends[g])
            kind = int(self.kind[here.start])
            left = builder.pick(refs[self.first[here.start]], lane[self.x[here]])
            right = builder.pick(refs[self.second[here.start]], lane[self.y[here]]) if kind else None
            name = ("plain", *PRODUCTS)[kind]
            parts.append(Part(name, 1.0, lane[self.root[here]], left, right))
        return parts


def _of_sequence(
    builder: Builder, row: Row, mine: Array, scan: Scan, start: Array, size: Array, classes: Array, lane: Array,
    refs: list[Ref],
) -> Ref:  # fmt: skip
    """A class of a primitive of one sequence: its elements, from one class or several, side by side."""
    counts = size[mine]
    owner = np.repeat(np.arange(len(mine)), counts)
    offsets = np.cumsum(counts) - counts
    positions = scan.flat[np.arange(len(owner)) - np.repeat(offsets, counts) + np.repeat(start[mine], counts)]
    from_class = classes[positions]
    parts = []
    for c in np.unique(from_class).tolist():
        here = np.flatnonzero(from_class == c)
        parts.append(Part("plain", 1.0, here, builder.pick(refs[c], lane[positions[here]]), None))
    elements = builder.sum(len(owner), parts)
    return builder.sequence(row, elements, counts)


__all__ = ["Instruction", "Scan", "build"]
