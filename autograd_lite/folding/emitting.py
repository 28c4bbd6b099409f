"""The instructions of a graph, class by class: what an Emitter makes of the nodes that do the same thing.

A class names earlier classes only, so an instruction finds its operands made. Where a class is a step of a run, its
lanes are those of an instruction that has those of all steps (rolling.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.folding.grouping import PRODUCTS, WIDE, Terms
from autograd_lite.folding.instructions import Builder, Part, Ref
from autograd_lite.folding.scan import MANY_OPERANDS, Scan, arity_of, by_occurrence, flat_ranges

Array = Any


class Emitter:
    """Instructions for one class after the other; `refs` and `lane` say where a position of an earlier one is."""

    def __init__(self, scan: Scan, terms: Terms, of: Array, batched: bool) -> None:
        self.scan, self.of = scan, of
        self.builder, self.lane = Builder(), scan.lane.copy()
        last = len(scan.leaf_sizes) - 1
        for k, size in enumerate(scan.leaf_sizes):
            if 0 < k < last:
                self.builder.leaf("input", size, batched, k - 1)
            else:
                self.builder.leaf("constants" if k else "theta", size)
        self.refs: list[Ref] = [Ref(k, None) for k in range(last + 1)]
        self.parts = PartsOfClass(terms, of)
        self.flat_size, self.flat_start = flat_ranges(scan)

    def sum(self, k: int, what: str, mine: Array) -> Ref:
        """A class of sums: a lane each, and the terms of all of them in parts that each add one kind of term."""
        self.lane[mine] = np.arange(len(mine))
        parts = self._terms(*self.parts.of(k))
        made = self.builder.sum(len(mine), parts, zeroed=bool(self.parts.zeroed[mine[0]]))
        return self.builder.mean(made, self.flat_size[mine]) if what == "mean" else made

    def primitive(self, what: Any, mine: Array) -> Ref:
        """A class of a primitive, lane by lane or of sequences."""
        row = what[0] if isinstance(what, tuple) else what
        if isinstance(row, Row) and row.variadic:
            self.lane[mine] = np.arange(len(mine))
            return self._of_sequence(row, mine)
        columns = self._once(self.columns(row, mine), mine)
        return self.op(what, [self.lanes_at(column) for column in columns], len(columns[0]))

    def op(self, what: Any, arguments: list[Ref], size: int) -> Ref:
        """A primitive of fixed arity."""
        if isinstance(what, tuple):  # a power with its exponent
            return self.builder.op("pow", size, (*arguments, what[1]))
        return self.builder.op(what.key, size, tuple(arguments))

    def columns(self, row: Any, mine: Array) -> list[Array]:
        """The positions of each operand of some nodes that do the same."""
        scan = self.scan
        if isinstance(row, Row) and arity_of(row) == MANY_OPERANDS:
            return [scan.flat[self.flat_start[mine] + i] for i in range(len(row.operands))]
        if scan.arity[mine[0]] == 1:
            return [scan.left[mine]]
        left, right = scan.left[mine], scan.right[mine]
        if row is TABLE["mul"]:
            # The class that came first stands first, as in the key of the class: w * x and x * w share a column.
            swap = self.of[left] > self.of[right]
            left, right = np.where(swap, right, left), np.where(swap, left, right)
        return [left, right]

    def elements(self, mine: Array) -> Array:
        """The positions of all operands of some nodes of a sequence, end to end."""
        counts = self.flat_size[mine]
        inside = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        elements: Array = self.scan.flat[inside + np.repeat(self.flat_start[mine], counts)]
        return elements

    def _of_sequence(self, row: Row, mine: Array) -> Ref:
        """A class of a primitive of one sequence: its elements, from one class or several, side by side."""
        return self.builder.sequence(row, self.lanes_at(self.elements(mine)), self.flat_size[mine])

    def _once(self, columns: list[Array], mine: Array) -> list[Array]:
        """Number the lanes of a class, equal ones once: two nodes that do the same to the same lanes are one."""
        n = len(mine)
        if len(columns) <= 2 and n > 1:
            places = [self._of_one_number(column) for column in columns]
            first, which = by_occurrence(places[0] if len(places) == 1 else (places[0] << 31) + places[1])
            if len(first) < n:
                self.lane[mine] = which
                return [column[first] for column in columns]
        self.lane[mine] = np.arange(n)
        return columns

    def _of_one_number(self, positions: Array) -> Array:
        """For each position a number below 2**31 that only those have that are in the same place."""
        labels, places = self.labels(positions), self.place(positions)
        if (labels == labels[0]).all():
            return places
        return by_occurrence(labels * (int(places.max()) + 1) + places)[1]

    # -- where the lanes of a position are

    def labels(self, positions: Array) -> Array:
        """For each position which of `refs` has it: its class."""
        return self.of[positions]

    def place(self, positions: Array) -> Array:
        """For each position which lane of that it is."""
        return self.lane[positions]

    def lanes_at(self, positions: Array) -> Ref:
        """The lanes of some positions, from one instruction or from several, side by side."""
        labels = self.labels(positions)
        parts = []
        for label in np.unique(labels).tolist():
            here = np.flatnonzero(labels == label)
            if len(here) == len(positions):
                return self.builder.pick(self.refs[label], self.place(positions))
            elements = self.builder.pick(self.refs[label], self.place(positions[here]))
            parts.append(Part("plain", 1.0, here, elements, None))
        return self.builder.sum(len(positions), parts)

    def _terms(self, x: Array, y: Array, kind: Array, root: Array) -> list[Part]:
        """Terms of sums as parts, each of lanes of one instruction, or of two and their product."""
        first, second = self.labels(x), np.where(kind > 0, self.labels(y), WIDE)
        order = np.lexsort((kind, second, first))
        first, second, kind = first[order], second[order], kind[order]
        new = np.diff(first, prepend=-1).astype(bool) | np.diff(second, prepend=-1).astype(bool)
        starts = np.flatnonzero(new | np.diff(kind, prepend=-1).astype(bool))
        parts = []
        for start, here in zip(starts.tolist(), np.split(order, starts[1:]), strict=True):
            name = ("plain", *PRODUCTS)[int(kind[start])]
            right = self.lanes_at(y[here]) if kind[start] else None
            parts.append(Part(name, 1.0, self.lane[root[here]], self.lanes_at(x[here]), right))
        return parts


class PartsOfClass:
    """The terms of all sums, grouped by class."""

    def __init__(self, terms: Terms, classes: Array) -> None:
        # As in the key of the class: of a plain product the factor of the class that came first stands first, but
        # not where an adjoint stands first by its role (_chain, _masked).
        swap = (terms.kind == 1) & (classes[terms.x] > classes[terms.y])
        self.zeroed = terms.zeroed
        of_class = classes[terms.root]
        order = np.argsort(of_class, kind="stable")
        self.x: Array = np.where(swap, terms.y, terms.x)[order]
        self.y: Array = np.where(swap, terms.x, terms.y)[order]
        self.root, self.kind, self.of_class = terms.root[order], terms.kind[order], of_class[order]

    def of(self, which: int) -> tuple[Array, Array, Array, Array]:
        """The terms of the sums of one class: the left factors, the right ones, the products, the sums."""
        here = slice(*np.searchsorted(self.of_class, [which, which + 1]))
        return self.x[here], self.y[here], self.kind[here], self.root[here]
