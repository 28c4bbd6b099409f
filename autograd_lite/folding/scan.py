"""A graph as arrays: operations, operands and numbers by place in topological order.

Programs and folded pictures both begin here. What is asked of the arrays afterwards (which sums are taken together,
what may share a class) is data that the caller gives to grouping.py.
"""

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
from autograd_lite.engine.value import Parameter

Array = Any

MANY_OPERANDS = 3
"""The arity that stands for a tuple of operands."""

MANY_EXPONENTS = 32
"""Of one number raised to more than this many powers the exponents are data, as any literals are."""


_row, _a, _b, _f = attrgetter("_row"), attrgetter("_a"), attrgetter("_b"), attrgetter("_f")


def by_occurrence(keys: Array) -> tuple[Array, Array]:
    """Equal keys numbered in order of first occurrence: (where each number occurs first, the number of every key)."""
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], ranks(order)[which]


def ranks(order: Array) -> Array:
    """The inverse of a permutation: where each number stands in it."""
    rank = np.zeros(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def is_zero(literals: Array) -> Array:
    """Which numbers are 0, and not -0.0: a sum with a 0 in it is never -0.0."""
    return (literals == 0.0) & ~np.signbit(literals)


class Scan:
    """A graph as flat arrays: for each node a code for what it does and the positions of its operands.

    Positions number the nodes, then the literal floats. Two literals are one if they are the same object, as
    where one number of an example goes to every neuron; whether their values agree makes no difference, so that
    another minibatch has the same structure.

    Args:
        roots: the Values asked for.
        params: the leaves of theta, in order; None for every Parameter that the roots reach.
        inputs: for each argument its leaves.
        apart: for each literal operand a number, those of another graph of this shape (`groups`); see `_literals`.
        nodes: `graph.toposort(*roots)`, from a caller who has it.
    """

    def __init__(
        self, roots: Sequence[Any], params: Sequence[Any] | None, inputs: Sequence[Sequence[Any]], apart: Array = None,
        nodes: Sequence[Any] | None = None,
    ) -> None:  # fmt: skip
        self.nodes: Sequence[Any] = graph.toposort(*roots) if nodes is None else nodes
        self.read_elsewhere: Array = None
        """Which positions are read by nodes that are not here: of a part of a graph; see shortening.py."""
        self.count: int = len(self.nodes)
        position = dict(zip(self.nodes, range(self.count), strict=True))
        self.roots: Array = np.array([position[root] for root in roots], np.int64)
        a, b, flat = self._operations(position)
        literals = self._literals(a, b, flat, apart)
        self._leaves(literals, params, inputs)

    # -- the steps of a scan

    def _operations(self, position: dict[Any, int]) -> tuple[list[Any], list[Any], list[Any]]:
        """What each node does, and where its operands stand; -1 for a literal. The operands themselves come back."""
        n, nodes = self.count, self.nodes
        rows: list[Row | None] = list(map(_row, nodes))
        a, b = list(map(_a, nodes)), list(map(_b, nodes))
        codes: dict[Any, int] = {row: code for code, row in enumerate(dict.fromkeys(rows))}
        self.code: Array = np.fromiter(map(codes.__getitem__, rows), np.int64, n)
        self.arity: Array = np.array([arity_of(row) for row in codes])[self.code]
        self.many: Array = np.flatnonzero(self.arity == MANY_OPERANDS)
        # Tuples of operands stand end to end in `flat`. They leave `a`, where the look-up would hash them.
        tuples = [a[i] for i in self.many.tolist()]
        for i in self.many.tolist():
            a[i] = None
        flat = list(chain.from_iterable(tuples))
        self.left: Array = np.fromiter(map(position.get, a, repeat(-1)), np.int64, n)
        self.right: Array = np.fromiter(map(position.get, b, repeat(-1)), np.int64, n)
        self.flat: Array = np.fromiter(map(position.get, flat, repeat(-1)), np.int64, len(flat))
        self.sizes: Array = np.fromiter(map(len, tuples), np.int64, len(tuples))
        self._fixed_exponents(codes, b)
        self.what: list[Any] = list(codes)
        """What a code stands for: a Row, None for a leaf, ("pow", 2.0) for a power whose exponent is written out."""
        return a, b, flat

    def _fixed_exponents(self, codes: dict[Any, int], b: list[Any]) -> None:
        """A literal exponent is part of what the node does: x**2 and x**3 are two operations.

        A tree of prices has u**-100 to u**100 at its nodes: each would be an operation of its own, and so would all
        that follow.
        """
        power = codes.get(TABLE["pow"])
        if power is None:
            return
        powers = np.flatnonzero((self.code == power) & (self.right < 0))
        exponents: dict[int, set[float]] = {}
        for i, base in zip(powers.tolist(), self.left[powers].tolist(), strict=True):
            exponents.setdefault(base, set()).add(b[i])
        for i, base in zip(powers.tolist(), self.left[powers].tolist(), strict=True):
            if len(exponents[base]) > MANY_EXPONENTS:
                continue
            self.code[i] = codes.setdefault(("pow", b[i]), len(codes))
            self.arity[i] = 1

    def _literals(self, a: list[Any], b: list[Any], flat: list[Any], apart: Array) -> list[float]:
        """Give each literal its position, behind the nodes, and return their numbers.

        Two literal operands are one literal if they are one object. Where a number of an example goes to every
        neuron that is what makes the layer a matrix product. But they may be one object by chance:

            loss of two examples = relu(1 - y0 * s0) + relu(1 - y1 * s1),  y = 1.0 if ... else -1.0

        In a minibatch with the labels (1, 1) y0 and y1 are one object, in one with (1, -1) two: the two graphs differ
        in nothing but that, and a training would fold anew for each pattern of labels. So when a graph differs from
        a known one in the identity of literals alone, its scan is made again with `apart`, the known one's numbers:

        - of two operands that are one literal there and two here, or the other way round, it is known now that they
          are one by chance: they stay two;
        - the others that shared their literal there are under the same suspicion: all of them become their own.
          Without this, eight labels whose first two agree in both minibatches would be told apart by a third or
          fourth minibatch only, each with a new fold.
        """
        unary_or_binary = (self.arity == 1) | (self.arity == 2)
        in_left = np.flatnonzero((self.left < 0) & unary_or_binary)
        in_right = np.flatnonzero((self.right < 0) & (self.arity == 2))
        in_flat = np.flatnonzero(self.flat < 0)
        literals = [a[i] for i in in_left.tolist()] + [b[i] for i in in_right.tolist()]
        literals += [flat[i] for i in in_flat.tolist()]
        first, which = by_occurrence(np.fromiter(map(id, literals), np.int64, len(literals)))
        if apart is not None:
            first, both = by_occurrence(which * (len(which) + 1) + apart)
            by_chance = np.bincount(apart[first], minlength=len(which)) > 1
            its_own = len(first) + np.arange(len(which))
            first, which = by_occurrence(np.where(by_chance[apart], its_own, both))
        self.groups: Array = which
        """For each literal operand which literal it is."""
        self.literals: int = len(first)
        self.left[in_left], self.right[in_right], self.flat[in_flat] = np.split(
            which + self.count, [len(in_left), len(in_left) + len(in_right)]
        )
        values = [literals[i] for i in first.tolist()]
        terms = self._terms() - self.count
        self.term: Array = np.bincount(terms[terms >= 0], minlength=self.literals).astype(bool)
        """Which literals are terms of a sum."""
        self.zero: Array = is_zero(np.array(values, float)) & self.term
        """Which literals are the 0 that a running sum starts from: terms that can be left out."""
        return values

    def _terms(self) -> Array:
        """The operands of additions."""
        add, total = (next((k for k, what in enumerate(self.what) if what is TABLE[x]), -1) for x in ("add", "sum"))
        adds = self.code == add
        in_sum = np.repeat(self.code[self.many] == total, self.sizes)
        return np.concatenate([self.left[adds], self.right[adds], self.flat[in_sum]])

    def _leaves(self, literals: list[float], params: Sequence[Any] | None, inputs: Sequence[Sequence[Any]]) -> None:
        """Which leaf instruction every leaf and literal is a lane of."""
        n, nodes = self.count, self.nodes
        leaves = np.flatnonzero(self.arity == 0).tolist()
        if params is None:
            fed = set(chain.from_iterable(inputs))
            params = [nodes[i] for i in leaves if isinstance(nodes[i], Parameter) and nodes[i] not in fed]
        self.params: list[Any] = list(params)
        self.source: Array = np.zeros(n + self.literals, np.int64)
        """For a leaf which leaf instruction it is a lane of: 0 theta, 1... the inputs, the last the constants."""
        self.lane: Array = np.zeros(n + self.literals, np.int64)
        self.captured: list[Any] = []
        """The Values among the constants: they come after the literals."""
        last, values = len(inputs) + 1, list(literals)
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
        self.constants: Array = np.array(values, float)
        self.leaf_sizes: list[int] = [len(self.params), *map(len, inputs), len(values)]

    # -- what only one of the callers asks for

    @cached_property
    def owners(self) -> Array:
        """For each element of `flat` the node whose operand it is."""
        return np.repeat(self.many, self.sizes)

    @cached_property
    def places(self) -> Array:
        """For each element of `flat` which operand of that node it is."""
        return np.arange(len(self.flat)) - np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)

    @cached_property
    def numbers(self) -> Array:
        """The forward value of every position: for a picture."""
        f = np.fromiter(map(_f, self.nodes), float, self.count)
        return np.concatenate([f, self.constants[: self.literals]])

    def left_slopes(self, positions: Array) -> Array:
        """The local gradients of some nodes in their first operand: for a picture."""
        return np.array([self.nodes[i]._da for i in positions.tolist()], float)

    def right_slopes(self, positions: Array) -> Array:
        """The local gradients of some nodes in their second operand, the exponent of a power included."""
        return np.array([self.nodes[i]._db for i in positions.tolist()], float)

    @cached_property
    def flat_slopes(self) -> Array:
        """The local gradients that belong to `flat`."""
        flat = chain.from_iterable(self.nodes[i]._da for i in self.many.tolist())
        return np.fromiter(flat, float, len(self.flat))

    @property
    def foreign(self) -> Row | None:
        """A row of the graph that is not in the table, of a node that was made by hand; None if there is none."""
        rows = (what for what in self.what if isinstance(what, Row))
        return next((row for row in rows if not row.builtin and TABLE.get(row.key) is not row), None)

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


def flat_ranges(scan: Scan) -> tuple[Array, Array]:
    """For each node how many operands it has in `scan.flat`, and where they start."""
    size, start = np.zeros(scan.count, np.int64), np.zeros(scan.count, np.int64)
    size[scan.many] = scan.sizes
    start[scan.many] = np.cumsum(scan.sizes) - scan.sizes
    return size, start
