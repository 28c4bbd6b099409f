"""Another graph of a known structure: recognised in one walk, and its leaves bound to the program that is there.

A Pattern remembers, of a graph that was folded, what each node does and where its operands stand in the order. A new
graph is walked along it from the roots down: an operand whose place is free takes it, any other must be the one that
stands there. That needs no search and no new order, so it costs a small part of a fold.

Nodes and places must be one to one. A place taken by two nodes fails on the way; a node that stands in two places is
found at the end: after a * b, the graph c * c fills the places of a and b with c, and the gradient of (c, c) is not
that of c. Literals may stand in several places: which of them are one object decides only which lanes there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Parameter
from autograd_lite.folding.scan import Scan, is_zero

Array = Any

TUPLE = -1
"""In place of the position of a second operand: the operands are in a tuple."""


class Binding(NamedTuple):
    """What a program needs of one graph: its parameters, its constants, and the Values among these."""

    params: list[Any]
    constants: Array
    captured: list[Any]


class Pattern:
    """What a graph must be for the fold of a scanned one to serve it."""

    count: int
    given: bool
    leaf_sizes: list[int]
    zero: Array
    term: Array
    left: Array
    right: Array
    flat: Array
    sizes: Array

    def __init__(self, scan: Scan, given: bool) -> None:
        # Places count from the root: a node stands before its operands. After the nodes come the literals, a place
        # that stays empty, and one for each exponent that is written out.
        n = self.count = scan.count
        self.given, self.leaf_sizes, self.zero, self.term = given, scan.leaf_sizes, scan.zero, scan.term
        self.literals: int = n + scan.literals

        def place(positions: Array) -> Array:
            return np.where(positions < n, n - 1 - positions, positions)

        left = np.where(scan.arity > 0, place(scan.left), self.literals)[::-1]
        right = np.where(scan.arity > 1, place(scan.right), self.literals)[::-1]
        many = np.zeros(n, bool)
        many[scan.many] = True
        right[many[::-1]] = TUPLE
        codes = scan.code[::-1]
        powers = np.array([isinstance(what, tuple) for what in scan.what])[codes]
        right[powers] = self.literals + 1 + np.arange(int(powers.sum()))
        self.exponents: list[Any] = [scan.what[code][1] for code in codes[powers].tolist()]
        rows = [TABLE["pow"] if isinstance(what, tuple) else what for what in scan.what]
        self.rows: list[Any] = [rows[code] for code in codes.tolist()]
        self.left, self.right = left.astype(np.int32), right.astype(np.int32)
        self.distinct: list[int] = np.flatnonzero(self._may_be_one(scan)[::-1]).tolist()
        self.flat, self.sizes = place(scan.flat).astype(np.int32), scan.sizes
        self.roots: list[int] = place(scan.roots).tolist()
        leaves = np.flatnonzero(scan.arity == 0)
        source, lane, last = scan.source[leaves], scan.lane[leaves], len(scan.leaf_sizes) - 1
        self.fed: list[tuple[int, int, int]] = sorted(zip(source[source < last].tolist(), lane[source < last].tolist(),
                              place(leaves[source < last]).tolist(), strict=True))  # fmt: skip
        held = leaves[source == last]
        self.captured: list[int] = place(held[np.argsort(scan.lane[held])]).tolist()

    @staticmethod
    def _may_be_one(scan: Scan) -> Array:
        """Which nodes must be looked at to know that no node of a new graph stands in two places.

        The leaves, and nodes that do the same to the same operands: of two places that one node fills, either those of
        its operands are one node in two places as well, and so on down to a leaf, or they are the same places.
        """
        n = scan.count
        first, last = np.where(scan.arity > 0, scan.left, n), np.where(scan.arity == 2, scan.right, n)
        if len(scan.many):
            ends = np.cumsum(scan.sizes)
            first[scan.many], last[scan.many] = scan.flat[ends - scan.sizes], scan.flat[ends - 1]
        first, last = np.minimum(first, n), np.minimum(last, n)  # literals are all alike here
        _, alike, count = np.unique(
            (scan.code * (n + 1) + first) * (n + 1) + last, return_inverse=True, return_counts=True
        )
        return (scan.arity == 0) | (count[alike] > 1)

    def binding(
        self, roots: Sequence[Any], params: Sequence[Any] | None, inputs: Sequence[Sequence[Any]]
    ) -> Binding | None:
        """What to bind if the graph is one of this structure, else None."""
        sizes = [len(xs) for xs in inputs]
        if len(roots) != len(self.roots) or sizes != self.leaf_sizes[1:-1] or (params is not None) != self.given:
            return None
        if params is not None and len(params) != self.leaf_sizes[0]:
            return None
        nodes = self._walk(roots)
        if nodes is None or len({id(nodes[i]) for i in self.distinct}) < len(self.distinct):
            return None
        fed: Any = [params, *inputs]
        if params is None:
            fed[0] = [nodes[i] for source, _, i in self.fed if source == 0]
            if not all(isinstance(x, Parameter) for x in fed[0]):
                return None
        if any(nodes[i] is not fed[source][lane] for source, lane, i in self.fed):
            return None
        captured = [nodes[i] for i in self.captured]
        known = set().union(*fed)
        if any(x in known or (params is None and isinstance(x, Parameter)) for x in captured):
            return None
        literals = nodes[self.count : self.literals]
        written = nodes[self.literals + 1 :]  # a Value of the same number is another graph: its exponent is live
        if any(x.__class__ is not float for x in [*literals, *written]) or written != self.exponents:
            return None
        constants = np.array([*literals, *(x._f for x in captured)], float)
        if not np.array_equal(is_zero(constants[: len(literals)]) & self.term, self.zero):
            return None
        return Binding(list(fed[0]), constants, captured)

    def _walk(self, roots: Sequence[Any]) -> list[Any] | None:
        """Every node and every literal in its place; None where the graph is another."""
        nodes: list[Any] = [None] * (self.literals + 1 + len(self.exponents))
        for place, root in zip(self.roots, roots, strict=True):
            if nodes[place] is not None and nodes[place] is not root:
                return None
            nodes[place] = root
        flat, sizes = iter(self.flat[::-1].tolist()), iter(self.sizes[::-1].tolist())
        try:
            for node, row, left, right in zip(nodes, self.rows, self.left.tolist(), self.right.tolist(), strict=False):
                if node._row is not row:
                    return None
                x = node._a
                if right == TUPLE:
                    operands = x
                    if len(operands) != next(sizes):
                        return None
                    for x, place in zip(reversed(operands), flat, strict=False):
                        known = nodes[place]
                        if known is not x:
                            if known is not None:
                                return None
                            nodes[place] = x
                    continue
                known = nodes[left]
                if known is not x:
                    if known is not None:
                        return None
                    nodes[left] = x
                x = node._b
                known = nodes[right]
                if known is not x:
                    if known is not None:
                        return None
                    nodes[right] = x
        except AttributeError:  # a number where a node stood
            return None
        return nodes
