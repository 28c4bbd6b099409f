"""All derivatives of many Values in many others: the rows of a Jacobian, by the cheapest of four walks.

The outputs share one graph. Going back from a single output visits only what that output was computed
from, so where every output depends on a few nodes, as in a banded Hessian, the rows together cost
about one pass. Where every output depends on nearly everything, the rows are taken together instead: one
walk, in which an adjoint (or a tangent, going forward) is a vector with a lane for each row (or column).
The choice is made while going, from the number of nodes that the rows so far have visited.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, isfinite
from typing import Any

from autograd_lite import graph
from autograd_lite.diff import adjoints, tangents
from autograd_lite.value import Value

LANES = 256
"""The rows or columns that one walk takes together: few enough that the vectors of a graph stay in memory."""

SCALAR, VECTOR = 0.6, 5.0
"""What a node costs in a walk of floats and in one of vectors, in microseconds (benchmarks/derivatives.py)."""

SAMPLE = 16
"""After how many rows the choice is looked at again."""


def rows(outputs: Sequence[Any], inputs: Sequence[Value]) -> Iterator[tuple[int, Any, Any]]:
    """The rows of d(outputs)/d(inputs), in any order.

    Args:
        outputs: Values, and floats where an output is constant.
        inputs: leaves.

    Yields:
        (row, columns, derivatives): two sequences of one length. What is missing is 0.
    """
    left = [i for i, y in enumerate(outputs) if isinstance(y, Value)]
    if not left or not inputs:
        return
    column = {x: j for j, x in enumerate(inputs)}
    size = len(graph.order(*(outputs[i] for i in left)))
    if _forward_cost(size, len(inputs)) < _vector_cost(size, len(left)):
        forward, forward_cost = True, _forward_cost(size, len(inputs))
    else:
        forward, forward_cost = False, _vector_cost(size, len(left))
    visited = done = 0
    while left:
        together = forward_cost if forward else _vector_cost(size, len(left))
        one_by_one = SCALAR * visited / done * len(left) if done else 0.0
        if together < one_by_one:
            break
        for i in left[:SAMPLE]:
            adjoint = adjoints(outputs[i])
            visited += len(adjoint)
            found = [(column[x], g) for x, g in adjoint.items() if x in column]
            yield i, [j for j, _ in found], [g for _, g in found]
        done += len(left[:SAMPLE])
        left = left[SAMPLE:]
    if left:
        walk = _forward_rows if forward else _vector_rows
        yield from walk(outputs, left, inputs)


def _vector_cost(size: int, lanes: int) -> float:
    return VECTOR * size * ceil(lanes / LANES)


def _forward_cost(size: int, lanes: int) -> float:
    return min(SCALAR * size * lanes, _vector_cost(size, lanes))


def _vector_rows(
    outputs: Sequence[Any], left: Sequence[int], inputs: Sequence[Value]
) -> Iterator[tuple[int, Any, Any]]:
    """Rows taken together by the backward pass: an adjoint holds d(output)/d(node) for a lane an output."""
    import numpy as np

    columns = range(len(inputs))
    with np.errstate(all="ignore"):
        for start in range(0, len(left), LANES):
            batch = left[start : start + LANES]
            adjoint: dict[Value, Any] = {}
            for lane, i in enumerate(batch):
                y = outputs[i]
                if y not in adjoint:
                    adjoint[y] = np.zeros(len(batch))
                adjoint[y][lane] = 1.0
            for node in reversed(graph.order(*(outputs[i] for i in batch))):
                if node._row is None:
                    continue
                g = adjoint.pop(node)
                for x, d in zip(graph.raw_operands(node), node.local_grads, strict=True):
                    if type(x) is float:
                        continue
                    if x in adjoint:
                        adjoint[x] += d * g
                    else:
                        adjoint[x] = d * g
            block = np.zeros((len(inputs), len(batch)))
            for j, x in enumerate(inputs):
                if x in adjoint:
                    block[j] = adjoint[x]
            yield from _finite(block.T, batch, columns, outputs, inputs)


def _forward_rows(
    outputs: Sequence[Any], left: Sequence[int], inputs: Sequence[Value]
) -> Iterator[tuple[int, Any, Any]]:
    """Columns taken together by forward mode: a tangent holds d(node)/d(input) for a lane an input."""
    import numpy as np

    wanted = [outputs[i] for i in left]
    block = np.zeros((len(wanted), len(inputs)))
    if SCALAR * len(inputs) < VECTOR:
        for j, x in enumerate(inputs):
            tangent = tangents(wanted, {x: 1.0})
            block[:, j] = [tangent.get(y, 0.0) for y in wanted]
    else:
        nodes = graph.order(*wanted)
        with np.errstate(all="ignore"):
            for start in range(0, len(inputs), LANES):
                some = inputs[start : start + LANES]
                lanes = _vector_tangents(nodes, some, np.eye(len(some)))
                for k, y in enumerate(wanted):
                    if y in lanes:
                        block[k, start : start + len(some)] = lanes[y]
    yield from _finite(block, left, range(len(inputs)), outputs, inputs)


def _vector_tangents(nodes: Sequence[Value], seeds: Sequence[Value], eye: Any) -> dict[Value, Any]:
    tangent = dict(zip(seeds, eye, strict=True))
    for node in nodes:
        total: Any = None
        for x, d in zip(graph.raw_operands(node), node.local_grads, strict=True):
            if type(x) is not float and x in tangent:
                total = d * tangent[x] if total is None else total + d * tangent[x]
        if total is not None:
            tangent[node] = total
    return tangent


def _finite(
    block: Any, batch: Sequence[int], columns: Sequence[int], outputs: Sequence[Any], inputs: Sequence[Value]
) -> Iterator[tuple[int, Any, Any]]:
    """The rows of a block; one that is not finite is done again by itself, by the rules for 0 * inf."""
    for i, row in zip(batch, block, strict=True):
        if isfinite(row.sum()):
            yield i, columns, row
        else:
            adjoint = adjoints(outputs[i])
            yield i, columns, [adjoint.get(x, 0.0) for x in inputs]


def dense(outputs: Sequence[Any], inputs: Sequence[Value]) -> Any:
    """The Jacobian as an array of shape (number of outputs, number of inputs)."""
    import numpy as np

    matrix = np.zeros((len(outputs), len(inputs)))
    for i, columns, derivatives in rows(outputs, inputs):
        if isinstance(columns, range):
            matrix[i] = derivatives
        elif columns:
            matrix[i, columns] = derivatives
    return matrix


def sparse(outputs: Sequence[Any], inputs: Sequence[Value], what: str) -> Any:
    """The Jacobian as a scipy.sparse.csr_array; nothing of its full size is ever made."""
    try:
        from scipy.sparse import coo_array
    except ImportError:
        raise ImportError(f"{what}(sparse=True) needs SciPy: pip install scipy, or leave sparse=False") from None
    at: tuple[list[int], list[int]] = ([], [])
    entries: list[float] = []
    for i, columns, derivatives in rows(outputs, inputs):
        for j, d in zip(columns, derivatives, strict=True):
            if d != 0.0:
                at[0].append(i)
                at[1].append(j)
                entries.append(d)
    return coo_array((entries, at), shape=(len(outputs), len(inputs)), dtype=float).tocsr()
