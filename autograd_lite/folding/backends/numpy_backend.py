"""The NumPy backend: a Plan as a list of calls on preallocated arrays. It is the reference, which runs every plan.

A run binds the leaves and calls the steps. Buffers are views of each other wherever lanes run regularly; a batch is
worked through in chunks that stay in the cache.

    numpy_arrays.py   buffers, views, steps           numpy_sums.py   the forms of a sum
    numpy_maps.py     the code of rules, reductions   kernels.py      elementary functions on arrays
    numpy_loops.py    loops, step by step             python_loops.py the same of few lanes, as Python on floats
    numpy_steps.py    the steps of an instruction     one_step.py     a step of a loop as instructions
    strides.py        index arrays as views           overflow.py     sums that overflow on the way
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_lite.folding.backends import Leaves
from autograd_lite.folding.backends.kernels import has_nan
from autograd_lite.folding.backends.numpy_arrays import Arrays
from autograd_lite.folding.backends.numpy_loops import add_loop
from autograd_lite.folding.backends.numpy_steps import add
from autograd_lite.folding.backends.overflow import total
from autograd_lite.folding.instructions import Leaf
from autograd_lite.folding.loops import Loop
from autograd_lite.folding.plan import Plan

Array = Any

CHUNK_BYTES = 1 << 21
"""A batch is worked through in chunks whose arrays take about this much, so that they stay in the cache."""

LEAST_ROWS = 256
"""The smallest number of rows in a chunk."""

WIDE = 32
"""Examples of this many numbers stay row by row in their buffer, as they come."""


def prepare(plan: Plan, dtype: Any = float, threads: int | None = None) -> Runner:
    """A runner of a plan; it has one thread, and BLAS its own."""
    return Runner(plan, dtype)


class Runner:
    """See `backends.Runner`. It holds its buffers, so one thread at a time may run it."""

    plan: Plan
    dtype: Any

    def __init__(self, plan: Plan, dtype: Any) -> None:
        self.plan, self.dtype = plan, dtype
        self._chunks: dict[int | None, _Chunk] = {}
        self.trusted: bool = True
        width = sum(x.size for x in plan.instructions if x.batched)
        self._most_rows = max(CHUNK_BYTES // (8 * max(width, 1)), LEAST_ROWS)
        by_rows: list[bool] = []
        for item in plan.items:
            every = plan.instructions[item.start : item.stop] if isinstance(item, Loop) else [plan.instructions[item]]
            known = len(by_rows)
            found = any(x.batched or any(by_rows[ref.source] for ref in x.refs if ref.source < known) for x in every)
            by_rows += [found] * len(every)
        self._by_rows = [by_rows[ref.source] for ref in plan.outputs]
        """Whether each output is made of what the rows have: then it is the sum of those of the chunks."""
        self._batched = [plan.instructions[ref.source].batched for ref in plan.outputs]

    @property
    def nbytes(self) -> int:
        """What its buffers take."""
        return sum(chunk.nbytes for chunk in self._chunks.values())

    def __call__(self, leaves: Leaves, rows: int | None, means: int = 0) -> list[Array]:
        """Run: see `backends.Runner`."""
        self.trusted = True
        if rows is None:
            return self._run(leaves, None, 1.0)
        most = rows if rows <= 2 * self._most_rows else self._most_rows
        pieces = []
        for start in range(0, rows, most):
            stop = min(start + most, rows)
            some = leaves if most == rows else leaves._replace(inputs=tuple(x[start:stop] for x in leaves.inputs))
            pieces.append(self._run(some, stop - start, 1.0 / rows))
        with np.errstate(all="ignore"):
            return [self._joined(k, parts, rows, k < means) for k, parts in enumerate(zip(*pieces, strict=True))]

    def _joined(self, k: int, parts: Sequence[Array], rows: int, mean: bool) -> Array:
        """An output from those of the chunks: the mean of its rows, all of them, or the sum of its parts."""
        if self._batched[k] and mean:
            found = sum(np.add.reduce(part, -1) for part in parts) / rows
            return found if np.isfinite(found).all() else sum((part / rows).sum(-1) for part in parts)
        if self._batched[k]:
            return parts[0] if len(parts) == 1 else np.concatenate(parts, -1)
        return total(parts) if len(parts) > 1 and self._by_rows[k] else parts[0]

    def _run(self, leaves: Leaves, rows: int | None, seed: float) -> list[Array]:
        chunk = self._chunks.get(rows)
        if chunk is None:
            if len(self._chunks) > 1:  # the chunks of a batch, and the rest of it
                self._chunks.clear()
            chunk = self._chunks[rows] = _Chunk(self.plan, rows, self.dtype)
        chunk.run(leaves, seed)
        outputs = [out.copy() for out in chunk.outputs]
        if chunk.arrays.overflow.seen or (self.plan.doubt_nan and any(map(has_nan, outputs))):
            self.trusted = False
        return outputs


class _Chunk:
    """The buffers and steps of a plan, for a batch of this many rows if there is a batch axis."""

    def __init__(self, plan: Plan, rows: int | None, dtype: Any) -> None:
        self.arrays = Arrays(rows, dtype)
        self.plan = plan
        self.leaves: list[tuple[Leaf, Array]] = []
        self.bound: Array = None
        """The constants that are in their buffer."""
        for item in plan.items:
            if isinstance(item, Loop):
                add_loop(self.arrays, plan, item)
            elif isinstance(x := plan.instructions[item], Leaf):
                self.arrays.of.append(self._leaf(x))
            else:
                add(self.arrays, plan.instructions, x, plan.safe)
        self.outputs = [self.arrays.flat(ref) for ref in plan.outputs]
        self.nbytes = self.arrays.nbytes

    def run(self, leaves: Leaves, seed: float) -> None:
        """Fill the buffers."""
        overflow = self.arrays.overflow
        overflow.seen = False
        with np.errstate(all="ignore", over="log", call=overflow):
            for leaf, buffer in self.leaves:
                if leaf.kind == "seed":
                    buffer[...] = seed
                elif leaf.kind == "constants":
                    if leaves.constants is self.bound:
                        continue
                    self.bound = None  # an interrupt may come while they are copied
                    buffer[...] = leaves.constants
                    self.bound = leaves.constants
                else:
                    given = leaves.of(leaf)
                    buffer[...] = given.reshape(len(given), -1).T if leaf.batched else given
            for function, arguments in self.arrays.steps:
                function(*arguments)

    def _leaf(self, x: Leaf) -> Array:
        """The array of a leaf."""
        shape = self.arrays.shape(x.size, x.batched)
        # Wide examples stay row by row: copying them is then no transposition, and BLAS takes both.
        wide = len(shape) == 2 and x.size >= WIDE
        buffer = self.arrays.zeros(shape[::-1]).T if wide else self.arrays.zeros(shape)
        self.leaves.append((x, buffer))
        return buffer
