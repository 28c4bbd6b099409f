"""Loops as Python code on floats: for recurrences of few lanes, where a call of NumPy costs more than it computes.

An operation takes 60 ns, where a step of NumPy calls takes 0.7 us each. The code is fast because it does not look: a
division by zero and a number outside the domain of a function raise, and the caller runs the loop by other means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.engine.lowering import FLOATS, Step
from autograd_lite.folding.backends.one_step import Before, Fixed, Moving, OneStep
from autograd_lite.folding.instructions import Leaf, Map, Reduce, Ref, Sum

Array = Any


class Text(NamedTuple):
    """A loop as Python code on floats.

    Args:
        source: a function `loop(fixed, moving, before, steps)`, the same for any number of steps, that returns the
            lists of what is stored, and a number that is NaN if a sum that is not stored has overflowed.
        fixed, moving, before: what it takes, in order: (input, lane).
        stored: what it returns, in order: (member, lane).
        functions: user-defined functions that it calls.
    """

    source: str
    fixed: list[tuple[Fixed, int]]
    moving: list[tuple[Moving, int]]
    before: list[tuple[Before, int]]
    stored: list[tuple[int, int]]
    functions: dict[str, Callable[..., float]]

    def compiled(self) -> Callable[..., tuple[list[list[float]], float]]:
        """The function."""
        namespace = {**_names(), **self.functions}
        exec(_code(self.source), namespace)
        return namespace["loop"]  # type: ignore[no-any-return]


@lru_cache(256)
def _code(source: str) -> Any:
    return compile(source, "<loop>", "exec")


def _names() -> dict[str, Any]:
    """What a name means in the code."""
    names = {name: getattr(math, name) for name in RAISING}
    return names | {f"total_{name}": function for name, function in FLOATS.items()}


def text(step: OneStep, stored: Sequence[int]) -> Text:
    """A loop as Python code; `stored` are the members of which every step is wanted."""
    return _Writer(step, stored).text()


OPERATORS = {"add": "+", "sub": "-", "mul": "*", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "=="}

RAISING = {"exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sin", "cos", "tan", "tanh", "atan"}
"""Functions of `math` that are NaN or raise where the total function is something else: it is the caller who knows."""


class _Writer:
    """Writes the lines of a step; the name of a lane is `v`, its instruction and the lane."""

    def __init__(self, step: OneStep, stored: Sequence[int]) -> None:
        self.step, self.stored = step, stored
        self.lines: list[str] = []
        self.used: dict[tuple[int, int], None] = {}
        """The lanes of leaves that are read."""
        self.functions: dict[str, Callable[..., float]] = {}
        self.doubtful: list[str] = []
        """Sums that nobody would see overflow."""

    def text(self) -> Text:
        step = self.step
        member_of = {n: k for k, n in step.of.items()}
        for n, x in enumerate(step.instructions):
            if isinstance(x, Leaf):
                continue
            if isinstance(x, Sum):
                self._sum(n, x)
                if member_of.get(n) not in self.stored:
                    self.doubtful += [f"v{n}_{i}" for i in range(x.size)]
            elif isinstance(x, Map):
                for i in range(x.size):
                    self._map(n, x, i)
            else:
                assert isinstance(x, Reduce)
                self._reduce(n, x)
        stored = [(k, i) for k in self.stored for i in range(step.instructions[step.of[k]].size)]
        leaves: dict[type, list[tuple[Any, int, str]]] = {Fixed: [], Moving: [], Before: []}
        for n, x in enumerate(step.instructions):
            if isinstance(x, Leaf):
                made = step.inputs[x.index]
                lanes = [i for i in range(x.size) if (n, i) in self.used or isinstance(made, Before)]
                leaves[type(made)] += [(made, i, f"v{n}_{i}") for i in lanes]
        moves = [f"{name} = {self._one_later(made, i)}"
                 for made, i, name in sorted(leaves[Before], key=lambda x: -x[0].shift)]  # fmt: skip
        source = ["def loop(fixed, moving, before, steps):"]
        for kind, what in ((Fixed, "fixed"), (Before, "before")):
            if leaves[kind]:
                source.append(f"    {''.join(f'{name}, ' for *_, name in leaves[kind])} = {what}")
        source += [f"    r{k}_{i} = []; a{k}_{i} = r{k}_{i}.append" for k, i in stored]
        source.append("    doubt = 0.0")
        names = "".join(f"{name}, " for *_, name in leaves[Moving])
        source.append(f"    for {names} in zip(*moving):" if names else "    for _ in range(steps):")
        if self.doubtful:
            self.lines.append(f"doubt += ({' + '.join(self.doubtful)}) * 0.0")
        self.lines += [f"a{k}_{i}(v{step.of[k]}_{i})" for k, i in stored]
        source += [f"        {line}" for line in [*self.lines, *moves]]
        source.append(f"    return [{', '.join(f'r{k}_{i}' for k, i in stored)}], doubt")
        fixed, moving, before = ([(made, i) for made, i, _ in leaves[kind]] for kind in (Fixed, Moving, Before))
        return Text("\n".join(source), fixed, moving, before, stored, self.functions)

    def _one_later(self, x: Before, i: int) -> str:
        """The lane that stands there in the next step."""
        n = self.step.of[x.member] if x.shift == 1 else self.step.leaf(x.member, x.shift - 1)
        return f"v{n}_{i}"

    def _lane(self, ref: Ref, i: int) -> str:
        lane = i if ref.lanes is None else int(ref.lanes[i])
        if isinstance(self.step.instructions[ref.source], Leaf):
            self.used[ref.source, lane] = None
        return f"v{ref.source}_{lane}"

    def _sum(self, n: int, x: Sum) -> None:
        terms: list[list[str]] = [[] for _ in range(x.size)]
        for part in x.parts:
            for i, to in enumerate(part.to.tolist()):
                term = self._lane(part.left, i)
                if part.right is not None:
                    term += f" * {self._lane(part.right, i)}"
                if part.factor == -1.0:
                    term = f"-{term}"
                elif part.factor != 1.0:
                    term += f" * {number(part.factor)}"
                terms[to].append(term)
        zero = ["0.0"] if x.zeroed else []
        self.lines += [f"v{n}_{i} = {' + '.join(mine + zero) or '0.0'}" for i, mine in enumerate(terms)]

    def _reduce(self, n: int, x: Reduce) -> None:
        ends = np.cumsum(x.counts).tolist()
        for i, (end, count) in enumerate(zip(ends, x.counts.tolist(), strict=True)):
            elements = ", ".join(self._lane(x.elements, e) for e in range(end - count, end))
            self.lines.append(f"v{n}_{i} = total_{x.row.name}([{elements}])")

    def _map(self, n: int, x: Map, i: int) -> None:
        """The code of a rule: what is used once stands in the expression that uses it."""
        assert x.code is not None
        code = x.code
        operands = [self._lane(ref, i) for ref in x.refs]
        uses = [0] * (len(operands) + len(code.steps))
        for step in code.steps:
            for a in step.args:
                if not isinstance(a, float):
                    uses[a] += 1
        # What one side of a choice takes may not be defined on the other: there the total functions are called.
        total = any(step.name == "select" for step in code.steps)
        names: list[str] = operands
        for step in code.steps:
            made = self._written(step, [number(a) if isinstance(a, float) else names[a] for a in step.args], total, n)
            if uses[len(names)] > 1:
                name = f"t{n}_{i}_{len(names)}"
                self.lines.append(f"{name} = {made}")
                made = name
            names.append(made)
        result = number(code.result) if isinstance(code.result, float) else names[code.result]
        self.lines.append(f"v{n}_{i} = {result}")

    def _written(self, step: Step, args: list[str], total: bool, n: int) -> str:
        name = step.name
        if step.function is not None:
            self.functions[f"function{n}_{len(self.functions)}"] = step.function
            return f"{[*self.functions][-1]}({', '.join(args)})"
        if name in OPERATORS:
            return f"({args[0]} {OPERATORS[name]} {args[1]})"
        if name == "neg":
            return f"(-{args[0]})"
        if name == "select":
            return f"({args[1]} if {args[0]} else {args[2]})"
        if name == "abs":
            return f"abs({args[0]})"
        if name == "div" and not total:
            return f"({args[0]} / {args[1]})"
        if name in RAISING and not total:
            return f"{name}({args[0]})"
        return f"total_{name}({', '.join(args)})"


def number(x: float) -> str:
    """A float as an expression."""
    return repr(x) if np.isfinite(x) else f"float('{x}')"
