"""Jacobians: the rows of d(outputs)/d(inputs), dense or sparse, by the cheapest of four walks over one graph.

For at most FEW inputs: forward mode, three inputs a walk. Else the graph is written down as its local gradients alone.
Going back from a single output visits only what that output was computed from, so where every output depends on a
few nodes, as in a banded Hessian, the rows are sparse and together cost about one pass. (Colouring, which merges rows
that share no column into one pass, would need the pattern first, which is this very walk.) Where every output depends
on nearly everything, the rows are taken together instead: one walk, in which an adjoint (or a tangent, going forward)
is a vector with a lane for each row (or column). The choice is made while going, from the number of nodes that the
rows so far have visited.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, isfinite
from typing import Any

from autograd_lite.derivatives.forward import linear_steps
from autograd_lite.engine import graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import needs, numpy_module
from autograd_lite.engine.value import Value

LANES = 256
"""The rows or columns that one walk takes together: few enough that the vectors of a graph stay in memory."""

SCALAR, VECTOR = 0.4, 4.0
"""What a node costs in a walk of floats and in one of vectors, in microseconds, roughly."""

FEW = 12
"""Inputs for which forward mode, three at a time, costs less than to write the graph down for the other walks."""

SAMPLE = 16
"""After this many rows the choice is made again."""

Rows = Iterator[tuple[int, Any, Any]]
"""(output, columns, derivatives): a row of the Jacobian, sparse where `columns` are not all of them."""


class _Linear:
    """The graph below some outputs as linear steps, operands first, without what no input reaches.

    Attributes:
        edges: for each node that depends on an input (place, local gradient) of the operands that do. A step such
            as `greater` depends on nothing: left in, it would tie every row of a mean to all its terms.
        at: the places of the outputs, None where one depends on no input.
        inputs: the places of the inputs, None where nothing depends on one.
    """

    def __init__(self, outputs: Sequence[Any], inputs: Sequence[Value], nodes: Sequence[Value] | None = None) -> None:
        place: dict[Value, int] = {}
        self.edges: list[Sequence[tuple[int, float]]] = []
        self.outputs, self.leaves = outputs, inputs
        wanted = set(inputs)
        for node in _below(outputs) if nodes is None else nodes:
            row = node._row
            steps: Sequence[tuple[int, float]] = ()
            if node not in wanted:  # what an input was computed from is beyond it
                if row is None:
                    continue
                steps = [
                    (place[x], d)
                    for x, d in zip(graph.raw_operands(node), node.local_grads, strict=True)
                    if type(x) is not float and x in place and not (row.zero_gradient and d == 0.0)
                ]
                if not steps:
                    continue
            place[node] = len(self.edges)
            self.edges.append(steps)
        self.at = [place.get(y) if isinstance(y, Value) else None for y in outputs]
        self.inputs = [place.get(x) for x in inputs]
        self.column = {i: j for j, i in enumerate(self.inputs) if i is not None}

    def row(self, root: int) -> dict[int, float]:
        """The adjoints of the nodes below one, by place."""
        edges = self.edges
        # only what the root depends on: a sweep over all nodes would make a banded Hessian cost n times the graph
        seen, stack = {root}, [root]
        while stack:
            for i, _ in edges[stack.pop()]:
                if i not in seen:
                    seen.add(i)
                    stack.append(i)
        adjoint = dict.fromkeys(seen, 0.0)
        adjoint[root] = 1.0
        # places are in topological order: from the root down, an adjoint is complete when its turn comes
        for i in sorted(seen, reverse=True):
            g = adjoint[i]
            for j, d in edges[i]:
                adjoint[j] += g * d
        return adjoint

    def vector_rows(self, left: Sequence[int]) -> Rows:
        """Rows taken together by the backward pass: an adjoint holds d(output)/d(node) for a lane an output."""
        import numpy as np

        for start in range(0, len(left), LANES):
            batch = left[start : start + LANES]
            adjoint: dict[int, Any] = {}
            # two outputs may be one node: then its vector has a 1 in both lanes
            for lane, k in enumerate(batch):
                adjoint.setdefault(self.at[k], np.zeros(len(batch)))[lane] = 1.0  # type: ignore[arg-type]
            with np.errstate(all="ignore"):
                for i in range(max(adjoint), -1, -1):
                    steps = self.edges[i]
                    g = adjoint.pop(i, None) if steps else None  # popped: only inputs keep their vectors
                    if g is None:
                        continue
                    for j, d in steps:
                        if j in adjoint:
                            adjoint[j] += d * g
                        else:
                            adjoint[j] = d * g
                block = np.zeros((len(self.inputs), len(batch)))
                for j, place in enumerate(self.inputs):
                    if place in adjoint:
                        block[j] = adjoint[place]
            yield from self.finite(block.T, batch)

    def forward_rows(self, left: Sequence[int]) -> Rows:
        """Columns taken together by forward mode: a tangent holds d(node)/d(input) for a lane an input."""
        import numpy as np

        roots = [self.at[k] for k in left]
        block: Any = np.zeros((len(left), len(self.inputs)))
        with np.errstate(all="ignore"):
            for start in range(0, len(self.inputs), LANES):
                some = self.inputs[start : start + LANES]
                unit = np.eye(len(some))
                tangent: dict[Any, Any] = {place: unit[lane] for lane, place in enumerate(some) if place is not None}
                for i, steps in enumerate(self.edges):
                    parts = [d * tangent[j] for j, d in steps if j in tangent]
                    if parts:
                        tangent[i] = sum(parts[1:], parts[0])
                for k, root in enumerate(roots):
                    if root in tangent:
                        block[k, start : start + len(some)] = tangent[root]
        yield from self.finite(block, left)

    def finite(self, block: Any, batch: Sequence[int]) -> Rows:
        """The rows of a block; one that is not finite is done again by itself, by the rules for 0 * inf."""
        columns = range(len(self.inputs))
        for k, row in zip(batch, block, strict=True):
            yield (k, columns, row) if isfinite(row.sum()) else _careful_row(self.outputs, k, self.leaves)


def _careful_row(outputs: Sequence[Any], k: int, inputs: Sequence[Value]) -> tuple[int, Any, Any]:
    """One row by the backward pass of the engine, which knows the rules for 0 * inf."""
    adjoint = adjoints(outputs[k])
    return k, range(len(inputs)), [adjoint.get(x, 0.0) for x in inputs]


def _below(outputs: Sequence[Any]) -> list[Value]:
    return graph.toposort(*(y for y in outputs if isinstance(y, Value)))


def _rows_of_few(outputs: Sequence[Any], inputs: Sequence[Value], nodes: Sequence[Value] | None) -> Rows:
    """The rows of a Jacobian with few columns, by forward mode; a single row, or one that is not finite, by reverse."""
    live = [k for k, y in enumerate(outputs) if isinstance(y, Value)]
    if len(live) <= 1:
        yield from (_careful_row(outputs, k, inputs) for k in live)
        return
    n = len(inputs)
    place, steps = linear_steps(_below(outputs) if nodes is None else nodes, inputs)
    at = {k: place.get(outputs[k], 0) for k in live}
    found: dict[int, list[float]] = {k: [] for k in live}
    # three walks at once share what it takes to read a step; lists of tangents, and arrays of NumPy, cost twice as much
    for start in range(0, n, 3):
        a, b, c = lanes = [[float(k == start + lane) for k in range(-1, n)] for lane in range(3)]
        for i, j, d, e in steps:
            a.append(d * a[i] + e * a[j])
            b.append(d * b[i] + e * b[j])
            c.append(d * c[i] + e * c[j])
        for k, row in found.items():
            row += [t[at[k]] for t in lanes[: n - start]]
    for k, row in found.items():
        yield (k, range(n), row) if isfinite(sum(row)) else _careful_row(outputs, k, inputs)


def rows(outputs: Sequence[Any], inputs: Sequence[Value], nodes: Sequence[Value] | None = None) -> Rows:
    """The rows of d(outputs)/d(inputs), in any order.

    Args:
        outputs: Values, and floats where an output is constant.
        inputs: leaves.
        nodes: the graph of the outputs in topological order, where the caller has it already.

    Yields:
        (row, columns, derivatives): two sequences of one length. What is missing is 0.
    """
    if len(inputs) <= FEW:
        yield from _rows_of_few(outputs, inputs, nodes)
        return
    linear = _Linear(outputs, inputs, nodes)
    left = [k for k, place in enumerate(linear.at) if place is not None]
    size = len(linear.edges)
    forward_cost = _vector_cost(size, len(inputs))
    forward = forward_cost < _vector_cost(size, len(left))
    visited = done = 0
    while left:
        # the rows so far show what the next ones would visit; a first sample, since nothing else tells their sparsity
        together = forward_cost if forward else _vector_cost(size, len(left))
        # without NumPy there are no vectors to take rows together in
        if done and numpy_module() and together < SCALAR * visited / done * len(left):
            yield from (linear.forward_rows if forward else linear.vector_rows)(left)
            return
        for k in left[:SAMPLE]:
            adjoint = linear.row(linear.at[k])  # type: ignore[arg-type]
            visited += len(adjoint)
            if isfinite(sum(adjoint.values())):
                found = [(linear.column[i], g) for i, g in adjoint.items() if i in linear.column]
                yield k, [j for j, _ in found], [g for _, g in found]
            else:
                yield _careful_row(outputs, k, inputs)
        done += len(left[:SAMPLE])
        left = left[SAMPLE:]


def _vector_cost(size: int, lanes: int) -> float:
    return VECTOR * size * ceil(lanes / LANES)


def dense(outputs: Sequence[Any], inputs: Sequence[Value], nodes: Sequence[Value] | None = None) -> Any:
    """The Jacobian as an array of shape (number of outputs, number of inputs), without NumPy as lists. See `rows`."""
    np = numpy_module()
    if np is None:
        table = [[0.0] * len(inputs) for _ in outputs]
        for i, columns, derivatives in rows(outputs, inputs, nodes):
            for j, d in zip(columns, derivatives, strict=True):
                table[i][j] = d
        return table
    matrix = np.zeros((len(outputs), len(inputs)))
    for i, columns, derivatives in rows(outputs, inputs, nodes):
        if isinstance(columns, range):
            matrix[i] = derivatives
        else:
            matrix[i, columns] = derivatives
    return matrix


def sparse(outputs: Sequence[Any], inputs: Sequence[Value], what: str) -> Any:
    """The Jacobian as a scipy.sparse.csr_array; nothing of its full size is ever made."""
    try:
        from scipy.sparse import coo_array
    except ImportError:
        raise ImportError(needs(f"{what}(sparse=True)", "SciPy", "scipy", "leave sparse=False")) from None
    at: tuple[list[int], list[int]] = ([], [])
    entries: list[float] = []
    for i, columns, derivatives in rows(outputs, inputs):
        for j, d in zip(columns, derivatives, strict=True):
            if d != 0.0:
                at[0].append(i)
                at[1].append(j)
                entries.append(d)
    return coo_array((entries, at), shape=(len(outputs), len(inputs)), dtype=float).tocsr()
