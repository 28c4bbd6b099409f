"""A graph as arrays: operations, operands and numbers by place in topological order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import numpy as np

from autograd_lite.engine import graph
from autograd_lite.engine.rules import TABLE, Row

Array = Any

MANY_OPERANDS = 3
"""The arity that stands for a tuple of operands."""


_row, _a, _b = attrgetter("_row"), attrgetter("_a"), attrgetter("_b")


class Scan:
    """A graph as flat arrays: for each node a code for what it does and the positions of its operands.

    Positions number the nodes, then the literal floats. Two literals are one if they are the same object, as
    where one number of an example goes to every neuron; whether their values agree makes no difference, so that
    another minibatch has the same structure.

    Args:
        roots: the Values asked for.
        params: the leaves of theta, in order; None for every Parameter that the roots reach.
        inputs: for each argument its leaves.
        apart: for each literal operand a number; those of different numbers are kept apart even if they are one
            object here, and so are those of one number that are several objects.
    """

    def __init__(
        self, roots: Sequence[Any], params: Sequence[Any] | None, inputs: Sequence[Sequence[Any]], apart: Array = None
    ) -> None:
        from autograd_lite.engine.value import Parameter

        nodes = graph.toposort(*roots)
        n = self.count = len(nodes)
        position = dict(zip(nodes, range(n), strict=True))
        rows: list[Row | None] = list(map(_row, nodes))
        a, b = list(map(_a, nodes)), list(map(_b, nodes))
        codes: dict[Any, int] = {row: code for code, row in enumerate(dict.fromkeys(rows))}
        for row in codes:
            if row is not None and not row.builtin and TABLE[row.name] is not row:
                raise RuntimeError(
                    f"fold: the primitive {row.name!r} has been defined anew since the graph was made; "
                    "compute it again, with the new one"
                )
        self.code = np.fromiter(map(codes.__getitem__, rows), np.int64, n)
        arity = np.array([arity_of(row) for row in codes])[self.code]
        self.many: Array = np.flatnonzero(arity == MANY_OPERANDS)
        tuples = [a[i] for i in self.many.tolist()]
        for i in self.many.tolist():
            a[i] = None
        flat = list(chain.from_iterable(tuples))
        self.left = np.fromiter(map(position.get, a, repeat(-1)), np.int64, n)
        self.right = np.fromiter(map(position.get, b, repeat(-1)), np.int64, n)
        self.flat = np.fromiter(map(position.get, flat, repeat(-1)), np.int64, len(flat))
        self.sizes = np.fromiter(map(len, tuples), np.int64, len(tuples))
        self._fixed_exponents(codes, arity, b)
        self.what = list(codes)
        """What a code stands for: a Row, None for a leaf, ("pow", 2.0) for a power whose exponent is written out."""
        self.arity = arity

        literal_left = np.flatnonzero((self.left < 0) & ((arity == 1) | (arity == 2)))
        literal_right = np.flatnonzero((self.right < 0) & (arity == 2))
        literal_flat = np.flatnonzero(self.flat < 0)
        literals = [a[i] for i in literal_left.tolist()] + [b[i] for i in literal_right.tolist()]
        literals += [flat[i] for i in literal_flat.tolist()]
        ids = np.fromiter(map(id, literals), np.int64, len(literals))
        _, first, which = np.unique(ids, return_index=True, return_inverse=True)
        if apart is not None:
            _, first, pairs = np.unique(which * (len(ids) + 1) + apart, return_index=True, return_inverse=True)
            by_chance = (
                np.bincount(apart[first], minlength=len(ids)) > 1
            )  # one there, several here: so all are their own
            alone = np.arange(len(ids)) + len(first)
            _, first, which = np.unique(
                np.where(by_chance[apart], alone, pairs), return_index=True, return_inverse=True
            )
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        self.groups: Array = rank[which]
        """For each literal operand which literal it is."""
        numbers = self.groups + n
        self.left[literal_left] = numbers[: len(literal_left)]
        self.right[literal_right] = numbers[len(literal_left) : len(literal_left) + len(literal_right)]
        self.flat[literal_flat] = numbers[len(literal_left) + len(literal_right) :]
        self.literals = len(first)
        values = [literals[i] for i in np.sort(first).tolist()]
        self.zero = np.array([v == 0.0 for v in values], bool)
        """Which literals are the 0 that a running sum starts from: terms that can be left out."""
        terms = self._terms() - n
        self.term: Array = np.bincount(terms[terms >= 0], minlength=self.literals).astype(bool)
        """Which literals are terms of a sum."""
        self.zero &= self.term

        leaves = np.flatnonzero(arity == 0).tolist()
        if params is None:
            fed = set(chain.from_iterable(inputs))
            params = [nodes[i] for i in leaves if isinstance(nodes[i], Parameter) and nodes[i] not in fed]
        self.params = list(params)
        self.source = np.zeros(n + self.literals, np.int64)
        """For a leaf which leaf instruction it is a lane of: 0 theta, 1... the inputs, the last the constants."""
        self.lane = np.zeros(n + self.literals, np.int64)
        self.captured: list[Any] = []
        """The Values among the constants: they come after the literals."""
        last = len(inputs) + 1
        found = {x: (0, k) for k, x in enumerate(self.params)}
        for which_input, xs in enumerate(inputs):
            found.update((x, (which_input + 1, k)) for k, x in enumerate(xs))
        for i in leaves:
            known = found.get(nodes[i])
            if known is None:
                known = last, len(values)
                values.append(nodes[i]._f)
                self.captured.append(nodes[i])
            self.source[i], self.lane[i] = known
        self.source[n:] = last
        self.lane[n:] = np.arange(self.literals)
        self.constants = np.array(values, float)
        self.leaf_sizes = [len(self.params), *map(len, inputs), len(values)]
        self.roots = np.array([position[root] for root in roots], np.int64)

    def _terms(self) -> Array:
        """The operands of additions."""
        add, total = (next((k for k, what in enumerate(self.what) if what is TABLE[x]), -1) for x in ("add", "sum"))
        adds = self.code == add
        in_sum = np.repeat(self.code[self.many] == total, self.sizes)
        return np.concatenate([self.left[adds], self.right[adds], self.flat[in_sum]])

    def _fixed_exponents(self, codes: dict[Any, int], arity: Array, b: list[Any]) -> None:
        """A literal exponent is part of what the node does: a square is no general power."""
        power = codes.get(TABLE["pow"])
        if power is None:
            return
        for i in np.flatnonzero((self.code == power) & (self.right < 0)).tolist():
            self.code[i] = codes.setdefault(("pow", b[i]), len(codes))
            arity[i] = 1

    @cached_property
    def structure(self) -> str:
        """A digest of everything but the numbers: equal for graphs that the same program computes."""
        return self._digest(self.leaf_sizes, self.left, self.right, self.flat, self.zero, self.lane)

    @cached_property
    def skeleton(self) -> str:
        """A digest of the nodes alone: equal too where other literals happen to be one object, as labels of 1 are."""
        n = self.count
        left, right, flat = (np.where(x < n, x, n) for x in (self.left, self.right, self.flat))
        lane = self.lane[:n] - self.literals * (self.source[:n] == len(self.leaf_sizes) - 1)
        return self._digest(self.leaf_sizes[:-1], left, right, flat, lane)

    def _digest(self, sizes: list[int], *parts: Array) -> str:
        digest = hashlib.blake2b(digest_size=20)
        names = [getattr(what, "name", what) for what in self.what]
        versions = [id(what) for what in self.what if isinstance(what, Row) and not what.builtin]
        digest.update(repr((self.count, names, versions, sizes)).encode())
        for part in (self.code, self.sizes, self.source[: self.count], self.roots, *parts):
            digest.update(part.tobytes())
        return digest.hexdigest()


def arity_of(row: Row | None) -> int:
    """0 for a leaf, 1, 2, or MANY_OPERANDS."""
    if row is None:
        return 0
    return MANY_OPERANDS if row.variadic or len(row.operands) >= MANY_OPERANDS else len(row.operands)
