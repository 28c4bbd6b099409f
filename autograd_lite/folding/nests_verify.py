"""verify: what every Nests promises those who emit code from it, checked: no address outside, nothing overwritten.

Code does not raise: an address that is wrong is a wrong number, or the end of the process.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autograd_lite.engine.lowering import check_steps
from autograd_lite.folding.nests import (
    ARENA,
    PAD,
    STEPS,
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
    heads,
    places,
    span,
    uses,
)

Array = Any


def verify(nests: Nests) -> None:
    """AssertionError, which names the nest, if nests are not as an emitter may take them to be."""
    try:
        _Verified(nests).all()
    except (TypeError, ValueError, AttributeError, IndexError, KeyError, OverflowError) as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error  # what it has is of another type


class _Verified:
    def __init__(self, nests: Nests) -> None:
        self.nests = nests
        self.starts = sorted(nests.names)
        self.fixed = np.zeros(nests.arena, bool)
        """What is there before the nests run: they do not write to it."""
        for offset, values in nests.literals:
            self.fixed[offset : offset + len(values)] = True
        for x in nests.inputs:
            if not x.batched:
                self.fixed[x.offset : x.offset + x.size] = True
        self.fixed[nests.flag : nests.flag + PAD] = True

    def all(self) -> None:
        """Every nest, every input and output."""
        nests = self.nests
        assert nests.tables.dtype == np.int32, "tables"
        assert nests.block % PAD == 0, "block"
        start, stop = nests.sums
        assert 0 <= start <= stop <= nests.arena - PAD, "sums"
        for part in ("prologue", "body", "epilogue"):
            for k, nest in enumerate(getattr(nests, part)):
                self.nest(nest, f"{part} {k}, {type(nest).__name__}")
        for x in nests.inputs:
            assert 0 <= x.offset <= nests.arena - PAD - x.size * (nests.block if x.batched else 1), "an input"
        for out in nests.outputs:
            assert 0 <= out.offset <= nests.arena - PAD - out.size * (nests.block if out.batched else 1), "an output"
            if out.mean is not None:
                self.nest(out.mean, "a mean")
                assert start <= out.total <= stop - out.size, "the total of an output"

    def nest(self, nest: Nest, where: str) -> None:
        """One nest: its accesses, and what its kind promises."""
        if isinstance(nest, Loop):
            self._loop(nest, where)
            return
        for access, axes, written, padded in uses(nest, self.nests):
            self.access(access, axes, written, padded, where)
        getattr(self, "_" + type(nest).__name__.lower())(nest, where)

    def access(self, access: Access, axes: Sequence[int], written: bool, padded: bool, where: str) -> None:
        """That an access stays inside the arena and the tables, and writes only to what a nest may write to."""
        assert len(access.strides) == len(axes), f"{where}: strides for other axes"
        _check_whole(where, access.offset, access.scale, access.base, *access.strides, *access.table_strides)
        _check_whole(where, *axes)
        assert min(axes, default=1) > 0, f"{where}: axes {axes}"
        if access.base != ARENA:
            assert not written, f"{where}: writes to an input"
            sizes = [x.size for x in self.nests.inputs if x.kind == "input" and x.batched and x.index == access.base]
            assert sizes, f"{where}: input {access.base} has no rows"
            assert access.table is None, f"{where}: an input by table"
            row = (
                1 if len(axes) == 3 and axes[1] == self.nests.block and access.strides[1] == sizes[0] else len(axes) - 1
            )
            assert (axes[row], access.strides[row]) == (self.nests.block, sizes[0]), f"{where}: rows of an input"
            lanes = replace(access, strides=(*access.strides[:row], 0, *access.strides[row + 1 :]))
            low, high = span(lanes, axes, self.nests.tables)
            assert 0 <= low <= high < sizes[0], f"{where}: lanes {low} to {high} of an input of {sizes[0]}"
            return
        if access.table is not None:
            _check_whole(where, access.table)
            assert len(access.table_strides) == len(axes), f"{where}: strides of a table for other axes"
            last = access.table + sum(s * (n - 1) for s, n in zip(access.table_strides, axes, strict=True))
            assert 0 <= access.table <= last < len(self.nests.tables) - PAD, f"{where}: outside the tables"
        low, high = span(access, axes, self.nests.tables)
        assert 0 <= low <= high < self.nests.arena - PAD, f"{where}: {low} to {high} in an arena of {self.nests.arena}"
        if written:
            index = places(Access(access.offset, access.strides), axes)
            if access.table is not None:
                index = index + self.nests.tables[places(access, axes)].astype(np.int64) * access.scale
            assert not self.fixed[index].any(), f"{where}: overwrites a literal or an input"
        if padded and axes[-1] % PAD:
            assert access.table is None, f"{where}: padded, by table"
            assert access.strides[-1] == 1, f"{where}: padded, with gaps"
            place = bisect_right(self.starts, access.offset)
            end = self.starts[place] if place < len(self.starts) else self.nests.arena
            assert high - axes[-1] + 1 + -(-axes[-1] // PAD) * PAD <= end, f"{where}: padded, into another place"

    def _factor(self, nest: Product | Rows | Terms, where: str) -> None:
        assert type(nest.factor) is float, f"{where}: a factor of {nest.factor}"

    def _vector(self, access: Access | None, where: str, *allowed: int) -> None:
        """That the last axis is one that a vector can be loaded along."""
        if access is not None:
            assert access.strides[-1] in allowed, f"{where}: stride {access.strides[-1]} along a vector"

    def _code(self, nest: Map | Recurrence, where: str) -> None:
        """That a code takes what is there."""
        for step in nest.code:
            assert step.name in STEPS, f"{where}: a step {step.name}"
            assert step.function is None, f"{where}: a function"
        carried = [x for _, x in nest.carried] if isinstance(nest, Recurrence) else []
        try:
            check_steps(nest.code, len(nest.inputs), [*(x for x, _ in nest.outputs), *nest.watch, *carried])
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from None

    def _map(self, nest: Map, where: str) -> None:
        self._code(nest, where)
        assert not nest.rows or nest.axes[-1] == self.nests.block, f"{where}: other rows"
        self._in_rows(nest, where)

    def _in_rows(self, nest: Map | Recurrence, where: str) -> None:
        if nest.rows:
            for access in [*nest.inputs, *(access for _, access in nest.outputs)]:
                self._vector(access, where, 0, 1)
                assert access.table is None or access.table_strides[-1] == 0, f"{where}: a table along the rows"

    def _recurrence(self, nest: Recurrence, where: str) -> None:
        self._code(nest, where)
        assert nest.steps > 0, f"{where}: no steps"
        for k, _ in nest.carried:
            assert 0 <= k < len(nest.inputs), f"{where}: carries to what is not an input"
        assert len(dict(nest.carried)) == len(nest.carried), f"{where}: carries twice to one input"
        self._in_rows(nest, where)

    def _loop(self, nest: Loop, where: str) -> None:
        assert nest.steps > 0, f"{where}: no steps"
        for k, one in enumerate(nest.body):
            assert isinstance(one, (Map, Product, Rows, Pack, Fill)), f"{where}: a {type(one).__name__} in it"
            steps = one.blocks if isinstance(one, Product) else one.lanes[0] if isinstance(one, Rows) else one.axes[0]
            assert steps == nest.steps, f"{where}: {steps} steps"
            assert isinstance(one, (Product, Rows)) or len(one.axes) >= 2, f"{where}: nothing but steps"
            self.nest(one, f"{where} {k}, {type(one).__name__}")

    def _product(self, nest: Product, where: str) -> None:
        self._factor(nest, where)
        assert nest.rows in ("", "m", "n", "k"), f"{where}: rows {nest.rows}"
        for access in (nest.left, nest.right, nest.out):
            assert access.table is None, f"{where}: by table"
        self._vector(nest.right, where, 1)
        self._vector(nest.out.with_axis(3, nest.out.strides[1]) if nest.rows == "m" else nest.out, where, 1)
        assert nest.left.base == ARENA or nest.rows == "m", f"{where}: an input without rows"
        assert nest.right.base == ARENA or nest.rows == "k", f"{where}: an input without rows"
        for axis in "mnk":
            assert nest.rows != axis or getattr(nest, axis) == self.nests.block, f"{where}: other rows"

    def _rows(self, nest: Rows, where: str) -> None:
        self._factor(nest, where)
        assert nest.along in ("lanes", "terms"), f"{where}: along {nest.along}"
        assert nest.combine in ("add", "max", "min"), f"{where}: {nest.combine}"
        if nest.along == "terms":
            for access in (nest.left, nest.right):
                self._vector(access, where, 0, 1)
                assert access is None or access.table is None or access.table_strides[-1] == 0, f"{where}: by table"
        assert not nest.rows or nest.terms[-1] == self.nests.block, f"{where}: other rows"
        assert not nest.rows or (nest.add and nest.combine == "add"), f"{where}: a sum over rows that is not added"
        if nest.combine != "add":
            assert nest.right is None, f"{where}: {nest.combine} of products"
            assert nest.factor == 1.0, f"{where}: {nest.combine} with a factor"
            assert not nest.add, f"{where}: {nest.combine} that is added"

    def _terms(self, nest: Terms, where: str) -> None:
        self._factor(nest, where)
        assert nest.combine in ("add", "max", "min"), f"{where}: {nest.combine}"
        assert (heads(nest, self.nests)[:, 1] > 0).all(), f"{where}: a lane without terms"
        for access in (nest.left, nest.right, nest.out):
            assert access is None or access.table is not None, f"{where}: not by table"

    def _pack(self, nest: Pack, where: str) -> None:
        assert nest.source.base == ARENA or nest.axes[-1] == self.nests.block, f"{where}: an input without rows"

    def _fill(self, nest: Fill, where: str) -> None:
        assert nest.value == "seed" or isinstance(nest.value, float), f"{where}: filled with {nest.value}"

    def _watch(self, nest: Watch, where: str) -> None:
        assert nest.place.table is None, f"{where}: by table"

    def _pythonstep(self, nest: PythonStep, where: str) -> None:
        assert nest.views[-1].table is None, f"{where}: writes by table"
        assert all(access.base == ARENA for access in nest.views), f"{where}: reads an input"


def _check_whole(where: str, *numbers: Any) -> None:
    for x in numbers:
        whole = isinstance(x, (int, np.integer)) and not isinstance(x, bool)
        assert whole, f"{where}: {x!r} is not a whole number"
