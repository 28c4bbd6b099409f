"""Nests as text: one line a nest, and for a Loop one more for each nest in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from autograd_lite.engine.lowering import Step
from autograd_lite.folding.nests import (
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
)

COUNTERS = "ijklmnpq"

LONGEST = 60
"""An operand whose text is longer than this is cut short."""

MOST_OUTPUTS = 4

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "=="}


def listing(nests: Nests) -> str:
    """The nests of a plan, and how large its arena is."""
    shown = _Shown(nests)
    count = sum(map(len, (nests.prologue, nests.body, nests.epilogue)))
    lines = [f"{nests.arena:,} numbers, {len(nests.tables):,} table entries, {count:,} nests"]
    parts = (("once", nests.prologue), (f"each {nests.block} rows", nests.body), ("at the end", nests.epilogue))
    for title, part in parts:
        if part:
            lines.append(f"{title}:")
            lines += [f"  {shown.line(nest)}" for nest in part]
    for out in nests.outputs:
        rows = nests.block if out.batched else 1
        lines.append(f"result  {shown.place(out.offset)}: {out.size:,} {'x rows' if rows > 1 else 'lanes'}")
    return "\n".join(lines)


class _Shown:
    """Writes nests of one plan: it knows the names of the places."""

    def __init__(self, nests: Nests) -> None:
        self.nests, self.offsets = nests, sorted(nests.names)

    def place(self, offset: int, index: str = "") -> str:
        """A place by its name, and where in it."""
        at = bisect_right(self.offsets, offset) - 1
        start = self.offsets[at]
        inside = " + ".join(x for x in (f"{offset - start}" if offset > start else "", index) if x)
        return f"{self.nests.names[start]}[{inside or 0}]"

    def access(self, access: Access, counters: str) -> str:
        """What is read or written: "%3[16 i + j]"; a table is T followed by where it begins."""
        pairs = zip(access.strides, counters, strict=True)
        terms = [f"{s if s != 1 else ''}{c}" for s, c in pairs if s]
        if access.table is not None:
            entry = "".join(c for s, c in zip(access.table_strides, counters, strict=True) if s)
            found = f"T{access.table}({entry or 0})"
            if access.offset == 0:  # addresses of any places
                return f"[{' + '.join([found, *terms])}]"
            terms.insert(0, f"{access.scale if access.scale > 1 else ''}{found}")
        index = " + ".join(terms)
        if access.base >= 0:
            offset = [f"{access.offset}"] if access.offset else []
            return f"input {access.base}[{' + '.join([*offset, index])}]"
        return self.place(access.offset, index)

    def line(self, nest: Nest) -> str:
        """One nest."""
        kind = type(nest).__name__.lower()
        return f"{kind:8} {getattr(self, '_' + kind)(nest)}"

    def _axes(self, axes: Sequence[int], rows: bool = False) -> str:
        return " x ".join([f"{n:,}" for n in (axes[:-1] if rows else axes)] + [f"{axes[-1]} rows"] * rows)

    def _counters(self, axes: Sequence[int], rows: bool = False) -> str:
        """One letter an axis; r for the rows."""
        count = len(axes) - rows
        return COUNTERS[:count] + "r" * rows

    def _map(self, nest: Map) -> str:
        return f"{self._axes(nest.axes, nest.rows)}: {self._coded(nest, self._counters(nest.axes, nest.rows))}"

    def _coded(self, nest: Map | Recurrence, counters: str, carried: dict[int, int | float] | None = None) -> str:
        """The outputs of a code."""
        names = [self.access(x, counters) for x in nest.inputs]
        for n, k in enumerate(carried or ()):
            names[k] = f"c{n}"
        texts = expressions(nest.code, names)
        found = [
            f"{self.access(access, counters)} = {f'{x:g}' if isinstance(x, float) else texts[x]}"
            for x, access in nest.outputs[:MOST_OUTPUTS]
        ]
        if len(nest.outputs) > MOST_OUTPUTS:
            found.append(f"{len(nest.outputs) - MOST_OUTPUTS} more")
        for n, x in enumerate([*(carried or {}).values()][:MOST_OUTPUTS]):
            found.append(f"c{n} = {f'{x:g}' if isinstance(x, float) else texts[x]}")
        return "; ".join(found)

    def _recurrence(self, nest: Recurrence) -> str:
        axes = (nest.steps, self.nests.block) if nest.rows else (nest.steps,)
        counters = self._counters(axes, nest.rows)
        first = [
            f"c{n} = {self.access(nest.inputs[k].at_first(nest.steps - 1 if nest.backward else 0), counters[1:])}"
            for n, (k, _) in enumerate(nest.carried[:MOST_OUTPUTS])
        ]
        steps = f"{nest.steps:,} steps{' backward' * nest.backward}{f' x {axes[-1]} rows' * nest.rows}"
        return f"{steps} from {', '.join(first)}: {self._coded(nest, counters, dict(nest.carried))}"

    def _loop(self, nest: Loop) -> str:
        body = "".join(f"\n    {self.line(one)}" for one in nest.body)
        return f"{nest.steps:,} steps{' backward' * nest.backward}:{body}"

    def _sum(self, nest: Any, axes: str, out: str, left: str, right: str | None) -> str:
        factor = "" if nest.factor == 1.0 else "-" if nest.factor == -1.0 else f"{nest.factor:g} "
        what = "sum" if nest.__class__ is Product or nest.combine == "add" else nest.combine
        return f"{axes}: {out} {'+=' if nest.add else '='} {factor}{what} {left}{'' if right is None else f' {right}'}"

    def _product(self, nest: Product) -> str:
        m, n, k = (f"{x} rows" if nest.rows == axis else f"{x:,}" for axis, x in vars(nest).items() if axis in "mnk")
        i, j, t = ("r" if nest.rows == "mnk"[place] else "ijt"[place] for place in range(3))
        axes = f"{nest.blocks:,} of {m} x {n}, {k} terms" if nest.blocks > 1 else f"{m} x {n}, {k} terms"
        return self._sum(nest, axes, self.access(nest.out, f"b{i}{j}"), self.access(nest.left, f"b{i}{t}"),
                         self.access(nest.right, f"b{t}{j}"))  # fmt: skip

    def _rows(self, nest: Rows) -> str:
        batched = not nest.rows and len(nest.lanes) > 1 and nest.lanes[-1] == self.nests.block
        lanes = self._counters(nest.lanes, batched)
        terms = "stuv"[: len(nest.terms) - nest.rows] + "r" * nest.rows
        axes = f"{self._axes(nest.lanes, batched)}, {self._axes(nest.terms, nest.rows)} terms along {nest.along}"
        right = None if nest.right is None else self.access(nest.right, lanes + terms)
        return self._sum(nest, axes, self.access(nest.out, lanes), self.access(nest.left, lanes + terms), right)

    def _terms(self, nest: Terms) -> str:
        counters = "tr" if nest.rows else "t"
        axes = (
            f"{nest.lanes:,}{f' x {self.nests.block} rows' if nest.rows else ''}, as many terms as T{nest.heads} says"
        )
        right = None if nest.right is None else self.access(nest.right, counters)
        return self._sum(nest, axes, self.access(nest.out, counters.replace("t", "i")),
                         self.access(nest.left, counters), right)  # fmt: skip

    def _pack(self, nest: Pack) -> str:
        counters = self._counters(nest.axes)
        return f"{self._axes(nest.axes)}: {self.access(nest.target, counters)} = {self.access(nest.source, counters)}"

    def _fill(self, nest: Fill) -> str:
        return f"{self._axes(nest.axes)}: {self.access(nest.target, self._counters(nest.axes))} = {nest.value}"

    def _watch(self, nest: Watch) -> str:
        counters = self._counters(nest.axes, nest.rows)
        return f"{self._axes(nest.axes, nest.rows)}: {self.access(nest.place, counters)}"

    def _pythonstep(self, nest: PythonStep) -> str:
        shown = [self.access(x, self._counters(axes)) for x, axes in zip(nest.views, nest.axes, strict=True)]
        return f"{self._axes(nest.axes[-1])}: {shown[-1]} = {nest.title}({', '.join(shown[:-1])})"


def expressions(code: Sequence[Step], inputs: Sequence[str]) -> list[str]:
    """The text of every value of a code."""
    texts = list(inputs)
    for step in code:
        args = [f"{x:g}" if isinstance(x, float) else texts[x] for x in step.args]
        if step.name in _SIGNS:
            text = f"({args[0]} {_SIGNS[step.name]} {args[1]})"
        else:
            text = f"{step.name}({', '.join(args)})"
        texts.append(text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}...")
    return texts
