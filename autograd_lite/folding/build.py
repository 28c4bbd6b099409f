"""From a graph of scalars to instructions on lanes: the first half of a fold.

`scan` reads the graph once, into flat arrays of positions; `grouping` brings it into canonical form (a tree of
additions is one sum, a product used only there is a pair in it) and finds the classes; here an instruction is emitted
for each. Python touches a node a handful of times; the rest is index arithmetic on arrays. Derivatives are taken later,
on the instructions (reverse.py); how a sum is computed is found later still (contractions.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.folding.grouping import PRODUCTS, WIDE, Terms, classes
from autograd_lite.folding.instructions import Builder, Part, Ref
from autograd_lite.folding.plan import look_through
from autograd_lite.folding.scan import MANY_OPERANDS, Scan, arity_of, by_occurrence

Array = Any


class Built(NamedTuple):
    """A folded graph.

    Args:
        builder: the instructions.
        roots: where the roots are.
        classes: the class of every position of the scan; a part of a sum has that of its sum.
        class_of: for each instruction the class that it was made for.
        refs: for each class where its lanes are: in the instruction made for it, or in an equal one that was there.
    """

    builder: Builder
    roots: list[Ref]
    classes: Array
    class_of: list[int]
    refs: list[Ref]


def build(scan: Scan, batched: bool = False) -> Built:
    """The instructions of a scanned graph.

    Args:
        scan: the graph.
        batched: whether the inputs have a batch axis.
    """
    if scan.foreign is not None:
        raise RuntimeError(
            f"fold: {scan.foreign.symbol!r} is not a primitive of the table, but a node that was made by hand; "
            "define it with ag.primitive"
        )
    return emit(scan, *grouped(scan), batched)


def grouped(scan: Scan) -> tuple[Terms, Array, list[Any]]:
    """What a program asks of a graph: its units, the class of every position, and what each class does."""
    terms = Terms(scan, scan.roots)
    labels = scan.source.copy()
    labels[: scan.count] += terms.zeroed  # a sum that is never -0.0 is another thing than one that may be
    return terms, *classes(scan, terms, labels, len(scan.leaf_sizes))


def emit(scan: Scan, terms: Terms, of: Array, made: list[Any], batched: bool = False) -> Built:
    """An instruction, or a few, for every class, in order: a class names earlier ones only."""
    leaves = len(scan.leaf_sizes)
    emitter = _Emitter(scan, terms, of, batched)
    class_of = list(range(leaves))
    members = _members(of, terms.units, leaves, len(made))
    for k, (what, mine) in enumerate(zip(made, members, strict=True), leaves):
        ref = emitter.sum(k, what, mine) if what in ("sum", "mean") else emitter.primitive(what, mine)
        emitter.refs.append(ref)
        class_of += [k] * (len(emitter.builder.instructions) - len(class_of))
    roots = [emitter.builder.pick(emitter.refs[of[i]], emitter.lane[i : i + 1]) for i in scan.roots.tolist()]
    whole = of.copy()
    whole[: scan.count] = of[terms.unit_of]
    return Built(emitter.builder, roots, whole, class_of, emitter.refs)


def lines(built: Built) -> dict[int, int]:
    """For each class the number that its instruction has in `print(ag.fold(roots))`.

    A plan leaves out what no root needs, such as theta where there are no parameters, and numbers the rest in order.
    """
    instructions = built.builder.instructions
    needed = [False] * len(instructions)
    for ref in built.roots:
        needed[look_through(instructions, ref).source] = True
    for k in reversed(range(len(instructions))):
        if needed[k]:
            for ref in instructions[k].refs:
                needed[look_through(instructions, ref).source] = True
    number = np.cumsum(needed) - 1
    found = {k: look_through(instructions, ref).source for k, ref in enumerate(built.refs)}
    return {k: int(number[source]) for k, source in found.items() if needed[source]}


def _members(of: Array, units: Array, leaves: int, count: int) -> list[Array]:
    """The nodes of each class in topological order."""
    in_class = of[units]
    by_class = np.argsort(in_class, kind="stable")
    starts = np.searchsorted(in_class[by_class], np.arange(leaves + 1, leaves + count))
    return np.split(units[by_class], starts) if count else []


class _Emitter:
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
        self.parts = _PartsOfClass(scan, terms, of)
        # Where the operands of a node of many stand in `scan.flat`.
        self.flat_start, self.flat_size = np.zeros(scan.count, np.int64), np.zeros(scan.count, np.int64)
        self.flat_start[scan.many] = np.cumsum(scan.sizes) - scan.sizes
        self.flat_size[scan.many] = scan.sizes

    def sum(self, k: int, what: str, mine: Array) -> Ref:
        """A class of sums: a lane each, and the terms of all of them in parts that each add one kind of term."""
        self.lane[mine] = np.arange(len(mine))
        parts = self.parts.of(k, self.lane, self.refs, self.builder)
        made = self.builder.sum(len(mine), parts, zeroed=bool(self.parts.zeroed[mine[0]]))
        return self.builder.mean(made, self.flat_size[mine]) if what == "mean" else made

    def primitive(self, what: Any, mine: Array) -> Ref:
        """A class of a primitive, lane by lane or of sequences."""
        row, scan = (what[0] if isinstance(what, tuple) else what), self.scan
        if isinstance(row, Row) and row.variadic:
            self.lane[mine] = np.arange(len(mine))
            return self._of_sequence(row, mine)
        if isinstance(row, Row) and arity_of(row) == MANY_OPERANDS:
            columns = [scan.flat[self.flat_start[mine] + i] for i in range(len(row.operands))]
        elif scan.arity[mine[0]] == 1:
            columns = [scan.left[mine]]
        else:
            columns = [scan.left[mine], scan.right[mine]]
            if row is TABLE["mul"]:
                # The class that came first stands first, as in the key of the class: w * x and x * w share a column.
                swap = self.of[columns[0]] > self.of[columns[1]]
                columns = [np.where(swap, columns[1], columns[0]), np.where(swap, columns[0], columns[1])]
        columns = _once(columns, mine, self.lane)
        arguments: list[Any] = [self.builder.pick(self.refs[self.of[c[0]]], self.lane[c]) for c in columns]
        if isinstance(row, str):  # a power with its exponent
            return self.builder.op("pow", len(columns[0]), (*arguments, what[1]))
        return self.builder.op(row.key, len(columns[0]), tuple(arguments))

    def _of_sequence(self, row: Row, mine: Array) -> Ref:
        """A class of a primitive of one sequence: its elements, from one class or several, side by side."""
        counts = self.flat_size[mine]
        owner = np.repeat(np.arange(len(mine)), counts)
        offsets = np.cumsum(counts) - counts
        positions = self.scan.flat[
            np.arange(len(owner)) - np.repeat(offsets, counts) + np.repeat(self.flat_start[mine], counts)
        ]
        from_class = self.of[positions]
        parts = []
        for c in np.unique(from_class).tolist():
            here = np.flatnonzero(from_class == c)
            elements = self.builder.pick(self.refs[c], self.lane[positions[here]])
            parts.append(Part("plain", 1.0, here, elements, None))
        return self.builder.sequence(row, self.builder.sum(len(owner), parts), counts)


def _once(columns: list[Array], mine: Array, lane: Array) -> list[Array]:
    """Number the lanes of a class, equal ones once: two nodes that do the same to the same lanes are one."""
    n = len(mine)
    if len(columns) <= 2 and n > 1:
        packed = lane[columns[0]] if len(columns) == 1 else (lane[columns[0]] << 31) + lane[columns[1]]
        first, which = by_occurrence(packed)
        if len(first) < n:
            lane[mine] = which
            return [column[first] for column in columns]
    lane[mine] = np.arange(n)
    return columns


class _PartsOfClass:
    """The terms of all sums, grouped by class and within it by what they add."""

    def __init__(self, scan: Scan, terms: Terms, classes: Array) -> None:
        # As in the key of the class: of a plain product the factor of the class that came first stands first, but
        # not where an adjoint stands first by its role (_chain, _masked).
        second = np.where(terms.y >= 0, classes[terms.y], WIDE - 1)
        first = classes[terms.x]
        swap = (first > second) & (terms.kind == 1)
        self.zeroed = terms.zeroed
        self.x: Array = np.where(swap, terms.y, terms.x)
        self.y: Array = np.where(swap, terms.x, terms.y)
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        key = ((first * WIDE + second) << 2) + terms.kind
        of_class = classes[terms.root]
        # Sorted by class and by what is added, each run is a part: one product of lanes of two instructions.
        order = np.lexsort((key, of_class))
        self.x, self.y, self.root, self.kind = self.x[order], self.y[order], terms.root[order], terms.kind[order]
        self.first, self.second, of_class, key = first[order], second[order], of_class[order], key[order]
        new: Array = np.flatnonzero(np.diff(of_class, prepend=-1).astype(bool) | np.diff(key, prepend=-1).astype(bool))
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
