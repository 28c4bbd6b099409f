"""Nests run in NumPy as they are described: slowly, to check them and what emits code from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_lite.engine.lowering import Code, Step
from autograd_lite.folding.backends import Leaves
from autograd_lite.folding.backends.kernels import KERNELS
from autograd_lite.folding.nests import (
    PAD,
    RUN,
    Access,
    Fill,
    Loop,
    Map,
    Nest,
    Nests,
    Pack,
    Product,
    PythonStep,
    Recurrence,
    Rows,
    Terms,
    Watch,
    at_step,
)

Array = Any

MASKS = ("gt", "ge", "lt", "le", "eq")


def evaluated(steps: Sequence[Step], values: list[Any], shape: tuple[int, ...], dtype: Any = float) -> list[Any]:
    """All values of a code: those given, and that of each step, as arrays of one shape."""

    def of(x: int | float) -> Any:
        return x if isinstance(x, float) else values[x]

    for step in steps:
        args = [of(x) for x in step.args]
        if step.function is not None:
            found = np.asarray(np.frompyfunc(step.function, len(args), 1)(*args), dtype)
        elif step.name == "select":
            found = np.where(*args)
        elif step.name == "fma":
            found = args[0] * args[1] + args[2]
        elif step.name in ("max", "min"):
            a, b = args
            found = np.where(((a >= b) if step.name == "max" else (a <= b)) | np.isnan(a), a, b)
        else:
            found = np.empty(shape, bool if step.name in MASKS else dtype)
            KERNELS[step.name](*args, found)
        values.append(np.broadcast_to(found, shape))
    return values


def python_step(code: Code, axes: tuple[tuple[int, ...], ...], views: tuple[Access, ...]) -> PythonStep:
    """A code that has a user-defined function in it, or a name that no loop computes, as a step in Python."""

    def run(*arrays: Array) -> None:
        *operands, out = arrays
        with np.errstate(all="ignore"):
            values = evaluated(code.steps, list(operands), out.shape, out.dtype)
        out[...] = code.result if isinstance(code.result, float) else values[code.result]

    return PythonStep(code.title, run, axes, views)


class Interpreter:
    """Runs nests; see `backends.Runner` for the arguments of a call."""

    nests: Nests
    dtype: Any
    first: int
    rows: int
    seed: float

    def __init__(self, nests: Nests, dtype: Any = float) -> None:
        self.nests, self.dtype = nests, dtype
        self.arena: Array = np.zeros(nests.arena, dtype)
        for offset, values in nests.literals:
            self.arena[offset : offset + len(values)] = values
        self.rows, self.first, self.seed = 0, 0, 1.0
        self.inputs: list[Array] = []
        self.trusted: bool = True

    def __call__(self, leaves: Leaves, rows: int | None, means: int = 0) -> list[Array]:
        """The outputs."""
        nests, arena = self.nests, self.arena
        arena[nests.flag : nests.flag + PAD] = 0.0
        self.inputs = [np.ascontiguousarray(x).reshape(len(x), x.size // max(len(x), 1)) for x in leaves.inputs]
        for x in nests.inputs:
            if not x.batched and x.size:
                given = 1.0 if x.kind == "seed" else None
                if given is None:
                    given = leaves.inputs[x.index] if x.kind == "input" else getattr(leaves, x.kind)
                with np.errstate(all="ignore"):
                    arena[x.offset : x.offset + x.size] = given
        self._all(nests.prologue)
        found: list[Array] = [None] * len(nests.outputs)
        if rows is not None:
            self.seed = 1.0 / rows
            self._batch(rows, means, found)
        self._all(nests.epilogue)
        for k, out in enumerate(nests.outputs):
            if not out.batched:
                found[k] = arena[out.offset : out.offset + out.size].copy()
            elif k < means:
                found[k] = arena[out.total : out.total + out.size] / rows
        self.trusted = not math.isnan(arena[nests.flag : nests.flag + PAD].sum())
        return found

    def _batch(self, rows: int, means: int, found: list[Array]) -> None:
        """The blocks, in runs, and the tree of the sums over rows."""
        nests, arena, block = self.nests, self.arena, self.nests.block
        sums = slice(*nests.sums)
        outputs = [(k, out) for k, out in enumerate(nests.outputs) if out.batched]
        for k, out in outputs:
            found[k] = np.empty((out.size, rows), self.dtype)
        partial = []
        for start in range(0, rows, RUN):
            arena[sums] = 0.0
            for first in range(start, min(start + RUN, rows), block):
                self.first, self.rows = first, min(block, rows - first)
                self._all(nests.body)
                for k, out in outputs:
                    if k < means:
                        assert out.mean is not None
                        self._all([out.mean])
                    else:
                        lanes = arena[out.offset : out.offset + out.size * block].reshape(out.size, block)
                        found[k][:, first : first + self.rows] = lanes[:, : self.rows]
            partial.append(arena[sums].copy())
        while len(partial) > 1:
            pairs = [partial[i] + partial[i + 1] for i in range(0, len(partial) - 1, 2)]
            partial = pairs + partial[len(pairs) * 2 :]
        arena[sums] = partial[0]

    # -- nests

    def _all(self, nests: Sequence[Nest]) -> None:
        with np.errstate(all="ignore"):
            for nest in nests:
                getattr(self, "_" + type(nest).__name__.lower())(nest)

    def _index(self, access: Access, axes: Sequence[int]) -> Array:
        """Where an access goes, for every index."""
        counters = np.ogrid[tuple(slice(n) for n in axes)] if axes else []
        index = access.offset + sum(i * s for i, s in zip(counters, access.strides, strict=True))
        if access.table is not None:
            entry = access.table + sum(i * s for i, s in zip(counters, access.table_strides, strict=True))
            index = index + access.scale * self.nests.tables[entry].astype(np.int64)
        return np.broadcast_to(index, tuple(axes))

    def _read(self, access: Access, axes: Sequence[int]) -> Array:
        if access.base < 0:
            return self.arena[self._index(access, axes)]
        given = self.inputs[access.base]
        index = self._index(access, axes) + self.first * given.shape[1]
        lane, row = index % given.shape[1], np.minimum(index // given.shape[1], len(given) - 1)
        with np.errstate(all="ignore"):
            return given[row, lane].astype(self.dtype)

    def _write(self, access: Access, axes: Sequence[int], values: Any) -> None:
        self.arena[self._index(access, axes)] = values

    def _watched(self, values: Array) -> None:
        if not np.isfinite(values).all():
            self.arena[self.nests.flag] = math.nan

    def _map(self, nest: Map) -> None:
        values = [self._read(x, nest.axes) for x in nest.inputs]
        values = evaluated(nest.code, values, nest.axes, self.dtype)
        for value, access in nest.outputs:
            self._write(access, nest.axes, value if isinstance(value, float) else values[value])
        for value in nest.watch:
            self._watched(values[value])

    def _put(self, nest: Product | Rows | Terms, axes: Sequence[int], found: Array) -> None:
        found = found if nest.factor == 1.0 else found * nest.factor
        if nest.add:
            found = self._read(nest.out, axes) + found
        self._write(nest.out, axes, found)
        if nest.watch:
            self._watched(found)

    def _product(self, nest: Product) -> None:
        b, m, n, k = nest.blocks, nest.m, nest.n, nest.k
        k = min(k, self.rows) if nest.rows == "k" else k
        for block in range(b):  # one after the other: they may add to one place

            def at(access: Access, block: int = block) -> Access:
                return Access(access.offset + block * access.strides[0], access.strides[1:], base=access.base)

            found = self._read(at(nest.left), (m, k)) @ self._read(at(nest.right), (k, n))
            one = Product(1, m, n, k, nest.left, nest.right, at(nest.out), nest.factor, nest.add, watch=nest.watch)
            self._put(one, (m, n), found)

    def _rows(self, nest: Rows) -> None:
        lanes, terms = nest.lanes, nest.terms
        if nest.rows:
            terms = (*terms[:-1], min(terms[-1], self.rows))
        left = self._read(nest.left, (*lanes, *terms))
        right = None if nest.right is None else self._read(nest.right, (*lanes, *terms))
        axis = tuple(range(len(lanes), len(lanes) + len(terms)))
        reduce = {"add": np.add, "max": np.maximum, "min": np.minimum}[nest.combine].reduce
        self._put(nest, lanes, reduce(left if right is None else left * right, axis=axis))

    def _terms(self, nest: Terms) -> None:
        tables, reduce = self.nests.tables, {"add": np.add, "max": np.maximum, "min": np.minimum}[nest.combine].reduce
        wide = 1 if nest.rows else PAD
        tail = (self.nests.block,) if nest.rows else ()
        for g in range(-(-nest.lanes // wide)):
            start, count = tables[nest.heads + 2 * g : nest.heads + 2 * g + 2].tolist()
            axes = (count, *tail) if nest.rows else (count * PAD,)

            def at(access: Access, position: int) -> Access:
                assert access.table is not None
                return Access(
                    access.offset, access.strides, access.table + position, access.table_strides, access.scale
                )

            found = self._read(at(nest.left, start), axes)
            if nest.right is not None:
                found = found * self._read(at(nest.right, start), axes)
            found = reduce(found.reshape(count, wide, *tail), 0)
            some = min(wide, nest.lanes - g * wide)
            one = Terms(some, 0, nest.left, None, at(nest.out, g * wide), nest.factor, nest.add, watch=nest.watch)
            self._put(one, (some, *tail), found[:some])

    def _pack(self, nest: Pack) -> None:
        self._write(nest.target, nest.axes, self._read(nest.source, nest.axes))

    def _fill(self, nest: Fill) -> None:
        value: Any = nest.value
        if value == "seed":
            value = np.where(np.arange(nest.axes[-1]) < self.rows, self.seed, 0.0)
        self._write(nest.target, nest.axes, value)

    def _watch(self, nest: Watch) -> None:
        self._watched(self._read(nest.place, nest.axes))

    def _pythonstep(self, nest: PythonStep) -> None:
        arrays = [self._read(access, axes) for access, axes in zip(nest.views, nest.axes, strict=True)]
        nest.function(*arrays)
        self._write(nest.views[-1], nest.axes[-1], arrays[-1])

    def _recurrence(self, nest: Recurrence) -> None:
        axes = (self.nests.block,) if nest.rows else (1,)
        before: dict[int, Any] = {}

        def at(access: Access, t: int) -> Access:
            access = access.at_first(t)
            return access if nest.rows else access.with_axis(0)

        for t in reversed(range(nest.steps)) if nest.backward else range(nest.steps):
            values = [
                before[k] if k in before else self._read(at(access, t), axes) for k, access in enumerate(nest.inputs)
            ]
            values = evaluated(nest.code, values, axes, self.dtype)
            for value, access in nest.outputs:
                self._write(at(access, t), axes, value if isinstance(value, float) else values[value])
            for value in nest.watch:
                self._watched(np.asarray(values[value]))
            before = {k: np.full(axes, x) if isinstance(x, float) else values[x] for k, x in nest.carried}

    def _loop(self, nest: Loop) -> None:
        for t in reversed(range(nest.steps)) if nest.backward else range(nest.steps):
            self._all([at_step(one, lambda access, t=t: access.at_first(t)) for one in nest.body])  # type: ignore[misc]
