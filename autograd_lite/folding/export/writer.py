"""Loops written as a file: what languages with scalar loops have in common; in_c.py, in_js.py, in_python.py go on.

A file has the functions that its language lacks, the numbers of the program (tables, constants, theta), one function
with the loops, test vectors, and a self-test.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_lite.engine.lowering import Step
from autograd_lite.folding.export.loops import (
    COUNTERS,
    Access,
    Extreme,
    Let,
    Loop,
    Routine,
    Statement,
    Steps,
    Store,
    Terms,
    Value,
    Within,
)
from autograd_lite.folding.export.translate import bare, constant, needed

Array = Any

SIGNS = {"add": "+", "sub": "-", "mul": "*", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "=="}

FUNCTIONS = {"_ndtr": "ndtr", "_gauss": "gauss", "_expdiff": "expdiff", "_hazard": "hazard", "_excess": "excess",
             "_sinc": "sinc", "round": "rounded", "mod": "modulo", "pow": "power", "hypot": "hypotenuse",
             "lgamma": "log_gamma", "abs": "fabs", "_chain": "chain", "_masked": "masked"}  # fmt: skip
"""The functions of library.py, where an elementary name is another one."""

LONGEST = 70
"""An expression that is longer gets a variable."""


@dataclass
class Spec:
    """What a file is to say beside the loops.

    Args:
        title: for its head.
        function: what computes.
        shapes: of each argument, without the rows.
        theta: the parameters as they are now.
        values: how many results there are.
        single: whether there is one result, not a list.
        gradient: what the gradient is in: "theta", "x0", ..., or None.
        guards: (test, outcome) of the outputs after the values.
        notes: lines for its head.
        tests: for each test its theta, its arguments, what has to come out, and how far that may be off.
        at: which components of the gradient are compared.
    """

    title: str
    function: str
    shapes: Sequence[tuple[int, ...]]
    theta: Array
    values: int
    single: bool
    gradient: str | None
    guards: Sequence[tuple[str, bool]]
    notes: Sequence[str]
    tests: Sequence[tuple[Array, Sequence[Array], Array, Array]]
    at: Array

    @property
    def count(self) -> int:
        """How many numbers the gradient has, in each row if it is in an argument of a batch."""
        if self.gradient == "theta":
            return len(self.theta)
        return int(np.prod(self.shapes[int(self.gradient[1:])], dtype=int)) if self.gradient else 0


class Writer(ABC):
    """Writes a routine in a language with scalar loops."""

    native: frozenset[str] = frozenset()
    """Functions that the language has itself."""

    end = ";"
    both = "&&"
    nan, infinity = "nan", "inf"

    def __init__(self, routine: Routine, spec: Spec) -> None:
        self.routine, self.spec = routine, spec
        self.sizes = {f"x{k}": int(np.prod(shape, dtype=int)) for k, shape in enumerate(spec.shapes)}
        if routine.batch and spec.gradient in self.sizes:
            self.sizes["gradient"] = spec.count

    # -- what a language says

    def number(self, x: float) -> str:
        """A number."""
        if math.isnan(x):
            return self.nan
        text = self.infinity if abs(x) == math.inf else repr(abs(float(x)))
        return f"(-{text})" if math.copysign(1.0, x) < 0.0 else text

    @abstractmethod
    def declared(self, name: str, value: str) -> str:
        """A variable that does not change."""

    @abstractmethod
    def block(self, head: str, body: Sequence[str]) -> list[str]:
        """A statement with others in it."""

    @abstractmethod
    def counted(self, name: str, start: str, stop: str, body: Sequence[str]) -> list[str]:
        """A loop."""

    @abstractmethod
    def variable(self, name: str, value: str) -> str:
        """A variable that changes."""

    @abstractmethod
    def call(self, name: str, args: Sequence[str]) -> str:
        """A call of a function, of the language or of the library."""

    def scoped(self, body: Sequence[str]) -> list[str]:
        """Lines whose variables are theirs alone."""
        return self.block("", body)

    @abstractmethod
    def zeros(self, array: str) -> list[str]:
        """Zeros into an array."""

    def choice(self, condition: str, yes: str, no: str) -> str:
        """One of two."""
        return f"({condition} ? {yes} : {no})"

    def divided(self, a: str, b: str) -> str:
        """a / b as IEEE 754 has it."""
        return f"({a} / {b})"

    # -- expressions

    def index(self, access: Access, counters: Sequence[str] = COUNTERS) -> str:
        """What is between the brackets."""
        terms = [f"{s} * {c}" if s != 1 else c for s, c in zip(access.strides, counters, strict=False) if s]
        if access.step:
            terms.insert(0, f"{access.step} * t" if access.step != 1 else "t")
        if access.offset or not terms:
            terms.append(str(access.offset))
        found = " + ".join(terms).replace("+ -", "- ")
        found = found if access.table is None else f"{access.table}[{found}]"
        if self.routine.batch and access.array in self.sizes:
            return f"{self.sizes[access.array]} * row + {found}"
        return found

    def access(self, access: Access, counters: Sequence[str] = COUNTERS) -> str:
        """What is read or written."""
        if access.array == "seed":
            return "seed"
        return f"{access.array}[{self.index(access, counters)}]"

    def step(self, step: Step, args: Sequence[Value], texts: Sequence[str]) -> str:
        """The text of a step."""
        name = step.name
        if name in SIGNS:
            return f"({texts[0]} {SIGNS[name]} {texts[1]})"
        if name == "neg":
            return f"(-{texts[0]})"
        if name == "div":
            return self.divided(*texts)
        if name == "select":
            return self.choice(*texts)
        if name == "pow" and isinstance(args[1], float) and texts[0].isidentifier():
            if args[1] in (2.0, 3.0):
                return f"({' * '.join([texts[0]] * int(args[1]))})"
            if args[1] == -1.0:
                return self.divided(self.number(1.0), texts[0])
        self.routine.functions.add(name)
        return self.call(FUNCTIONS.get(name, name), list(map(bare, texts)))

    # -- statements

    def statement(self, x: Statement) -> list[str]:
        """The lines of a statement."""
        if isinstance(x, Loop):
            return [*([self.comment(x.title)] if x.title else []), *self.nested(x.axes, self.body(x.body))]
        if isinstance(x, Terms):
            return [self.comment(x.title), *self.terms(x)]
        if isinstance(x, Extreme):
            return [self.comment(x.title), *self.extreme(x)]
        if isinstance(x, Within):
            return self.within(f"{x.first} <= t {self.both} t < {x.last}", self.statement(x.body), self.zeros(x.array))
        if isinstance(x, Steps):
            body = [line for statement in x.body for line in self.statement(statement)]
            return [self.comment(x.title), *self.stepped(x.count, x.backward, body)]
        return self.zeros(x.array)

    def stepped(self, count: int, backward: bool, body: Sequence[str]) -> list[str]:
        """A loop over steps."""
        if not backward:
            return self.counted("t", "0", str(count), body)
        return self.backwards(count, body)

    @abstractmethod
    def backwards(self, count: int, body: Sequence[str]) -> list[str]:
        """A loop over steps, the last one first."""

    @abstractmethod
    def within(self, condition: str, body: Sequence[str], otherwise: Sequence[str]) -> list[str]:
        """One of two blocks."""

    @abstractmethod
    def comment(self, text: str) -> str:
        """A comment."""

    def nested(self, axes: Sequence[int], body: Sequence[str], first: int = 0) -> list[str]:
        """Loops around a body, whose counters begin with this one."""
        lines = list(body)
        for k in range(len(axes) - 1, -1, -1):
            lines = self.counted(COUNTERS[first + k], "0", str(axes[k]), lines)
        return lines

    def body(self, body: Sequence[Let | Store]) -> list[str]:
        """The lines of a loop: what is used once, and is short, stands where it is used."""
        uses = Counter(
            x for line in body for x in (line.args if isinstance(line, Let) else (line.value,)) if isinstance(x, str)
        )
        squares = {line.args[0] for line in body if isinstance(line, Let) and line.step.name == "pow"}
        texts: dict[str, str] = {}
        lines: list[str] = []

        def text(x: Value) -> str:
            if isinstance(x, str):
                return texts[x]
            return self.access(x) if isinstance(x, Access) else self.number(x)

        for line in body:
            if isinstance(line, Store):
                lines.append(self.stored(self.access(line.target), text(line.value), line.add))
                continue
            found = self.step(line.step, line.args, [text(x) for x in line.args])
            if uses[line.name] == 1 and len(found) <= LONGEST and line.name not in squares:
                texts[line.name] = found
            elif uses[line.name]:
                lines.append(self.declared(line.name, bare(found)))
                texts[line.name] = line.name
        return lines

    def stored(self, target: str, value: str, add: bool) -> str:
        """An assignment, without the parentheses around all of it."""
        return f"{target} {'+=' if add else '='} {bare(value)}{self.end}"

    def product(self, x: Terms, counters: Sequence[str]) -> str:
        """One term."""
        left = self.access(x.left, counters)
        if x.right is None:
            return left
        right = self.access(x.right, counters)
        if x.kind in ("plain", "mul"):
            return f"{left} * {right}"
        return self.call(FUNCTIONS[x.kind], [left, right])

    def terms(self, x: Terms) -> list[str]:
        """A sum."""
        n = len(x.axes)
        target, factor = self.access(x.target), "" if x.factor == 1.0 else f"{self.number(x.factor)} * "
        if x.terms == ():
            term = self.product(x, COUNTERS)
            value = f"{factor}{term}" if x.factor != -1.0 else f"-({term})"
            return self.nested(x.axes, [self.stored(target, value, x.add)])
        counter = COUNTERS[n]
        if isinstance(x.terms, str):
            term = self.product(x, counter)
            inner = self.counted(counter, f"{x.terms}[i]", f"{x.terms}[i + 1]", [self.stored("sum", term, True)])
        else:
            inner = self.nested(x.terms, [self.stored("sum", self.product(x, COUNTERS), True)], n)
        lines = [self.variable("sum", self.number(0.0)), *inner, self.stored(target, f"{factor}sum", x.add)]
        return self.nested(x.axes, lines) if x.axes else self.scoped(lines)

    def extreme(self, x: Extreme) -> list[str]:
        """The largest, the smallest or the norm of groups."""
        element, target = self.access(x.elements, "j"), self.access(x.target)
        start, stop = f"{x.starts}[i]", f"{x.starts}[i + 1]"
        if isinstance(x.starts, int):
            count = x.starts
            start, stop = ("0", str(count)) if x.groups == 1 else (f"{count} * i", f"{count} * i + {count}")
        if x.what != "norm":
            better = self.call("larger" if x.what == "max" else "smaller", ["best", element])
            lines = [
                self.declared("first", start), self.variable("best", self.access(x.elements, ["first"])),
                *self.counted("j", "first + 1", stop, [self.stored("best", better, False)]),
                self.stored(target, "best", False),
            ]  # fmt: skip
        else:
            size = self.call("fabs", [element])
            ordinary = f"0.0 < best {self.both} best < {self.number(math.inf)}"
            lines = [
                self.variable("best", self.number(0.0)), self.variable("sum", self.number(0.0)),
                *self.counted("j", start, stop, [self.stored("best", self.call("larger", [size, "best"]), False)]),
                self.variable("unit", self.choice(ordinary, "best", self.number(1.0))),
                *self.counted("j", start, stop, [
                    self.stored("sum", f"({element} / unit) * ({element} / unit)", True)]),
                self.stored(target, f"unit * {self.call('sqrt', ['sum'])}", False),
            ]  # fmt: skip
        return self.nested((x.groups,), lines) if x.groups > 1 else self.scoped(lines)

    # -- the function

    def computed(self) -> list[str]:
        """The lines of the function: everything but its head, its arrays, and what it returns."""
        routine, spec = self.routine, self.spec
        outputs = routine.outputs
        lines: list[str] = []
        if routine.batch:
            lines.append(self.declared("seed", self.divided(self.number(1.0), "rows")))
        for k in range(spec.values):
            if outputs[k][2]:
                lines.append(self.stored(self.result(k), self.number(0.0), False))
        if spec.guards:
            lines.append(self.variable("holds", "1"))
        for statement in routine.before:
            lines += self.statement(statement)
        if routine.batch:
            body = [line for statement in routine.row for line in self.statement(statement)]
            for k in range(spec.values):
                if outputs[k][2]:
                    body.append(self.stored(self.result(k), f"{self.access(outputs[k][0])} * seed", True))
            body += self.guarded(True)
            body += self.gradient(True)
            lines += self.counted("row", "0", "rows", body)
        for statement in routine.after:
            lines += self.statement(statement)
        for k in range(spec.values):
            if not outputs[k][2]:
                lines.append(self.stored(self.result(k), self.access(outputs[k][0]), False))
        lines += self.guarded(False)
        lines += self.gradient(False)
        if spec.guards:
            nan = self.number(float("nan"))
            spoiled = [self.stored(self.result(k), nan, False) for k in range(spec.values)]
            if spec.gradient:
                count = f"{spec.count} * rows" if "gradient" in self.sizes else str(spec.count)
                spoiled += self.counted("i", "0", count, [self.stored("gradient[i]", nan, False)])
            lines.append(self.comment("another branch than the one that was traced"))
            lines += self.block(self.unless("holds"), spoiled)
        return lines

    @abstractmethod
    def unless(self, name: str) -> str:
        """The head of an if."""

    @abstractmethod
    def every(self, condition: str, body: Sequence[str]) -> list[str]:
        """An if that does not hold."""

    def result(self, k: int) -> str:
        """Where a value goes."""
        return "value" if self.spec.single else f"values[{k}]"

    def guarded(self, batched: bool) -> list[str]:
        """Tests of the branches."""
        lines: list[str] = []
        for k, (name, outcome) in enumerate(self.spec.guards, self.spec.values):
            access, count, rows = self.routine.outputs[k]
            if rows == batched and count:
                number, sign = (0.0, "!=") if name in ("bool", "not_equal") else (1.0, "==")
                held = f"{self.access(access)} {sign} {self.number(number)}"
                lines += self.every(held if outcome else self.negated(held), [self.stored("holds", "0", False)])
        return lines

    def negated(self, condition: str) -> str:
        """Its contrary."""
        return f"!({condition})"

    def gradient(self, batched: bool) -> list[str]:
        """The gradient, where it belongs."""
        if not self.spec.gradient:
            return []
        access, count, rows = self.routine.outputs[-1]
        per_row = "gradient" in self.sizes
        if batched != (rows or per_row) or not count:
            return []
        target = Access("gradient", 0, (1,))
        return self.nested((count,), [self.stored(self.access(target), self.access(access), False)])

    # -- the file

    def named(self) -> list[str]:
        """The functions that the loops call."""
        found = [FUNCTIONS.get(name, name) for name in sorted(self.routine.functions)]
        what = {x.what for x in self.routine.statements() if isinstance(x, Extreme)}
        found += [{"max": "larger", "min": "smaller", "norm": "larger"}[x] for x in sorted(what)]
        return found + (["fabs", "sqrt"] if "norm" in what else [])

    def library(self) -> tuple[list[str], list[str]]:
        """The functions that are needed and not native, and the constants in them."""
        return needed(self.named(), set(self.native))

    def constants(self, names: Sequence[str]) -> dict[str, Any]:
        """Numbers and tables that the library names."""
        return {name: constant(name) for name in names}

    @abstractmethod
    def text(self) -> str:
        """The file."""

    @abstractmethod
    def table(self, name: str, numbers: Any) -> list[str]:
        """An array of numbers."""

    def tables(self) -> list[str]:
        """The index tables and numbers of the program, under a comment."""
        numbers = {**self.routine.tables, **self.routine.literals}
        lines = ["", self.comment("Index tables and numbers of the program.")] if numbers else []
        return lines + [line for name in numbers for line in self.table(name, numbers[name])]

    def arguments(self) -> list[str]:
        """What the function takes."""
        found = (["theta"] if len(self.spec.theta) else []) + [f"x{k}" for k in range(len(self.spec.shapes))]
        return found + (["rows"] if self.routine.batch else [])

    def records(self, quote: str = "") -> list[str]:
        """The test vectors, as records in brackets; `quote` stands around the names of their fields."""
        lines = []
        for theta, args, expected, tolerance in self.spec.tests:
            named = [("theta", theta)] if len(theta) else []
            named += [(f"x{k}", np.ravel(x)) for k, x in enumerate(args)]
            named += [("expected", expected), ("tolerance", tolerance)]
            lines.append("    {")
            if self.routine.batch:
                lines.append(f"        {quote}rows{quote}: {len(args[0]) if args else 1},")
            for name, numbers in named:
                items = wrapped([self.number(x) for x in np.asarray(numbers).tolist()])
                lines += [f"        {quote}{name}{quote}: [", *(f"            {line}" for line in items), "        ],"]
            lines.append("    },")
        return lines

    def head(self) -> list[str]:
        """What stands at the top of the file, for people."""
        return [self.spec.title, "", *self.spec.notes]


class Braces(Writer):
    """What C and JavaScript have in common."""

    counter: str
    """How a counter is declared."""

    def block(self, head: str, body: Sequence[str]) -> list[str]:  # noqa: D102
        return [f"{head} {{".lstrip(), *(f"    {line}" for line in body), "}"]

    def counted(self, name: str, start: str, stop: str, body: Sequence[str]) -> list[str]:  # noqa: D102
        return self.block(f"for ({self.counter} {name} = {start}; {name} < {stop}; {name}++)", body)

    def backwards(self, count: int, body: Sequence[str]) -> list[str]:  # noqa: D102
        return self.block(f"for ({self.counter} t = {count - 1}; t >= 0; t--)", body)

    def within(self, condition: str, body: Sequence[str], otherwise: Sequence[str]) -> list[str]:  # noqa: D102
        first = self.block(f"if ({condition})", body)
        return [*first[:-1], *self.block("} else", otherwise)]

    def unless(self, name: str) -> str:  # noqa: D102
        return f"if (!{name})"

    def every(self, condition: str, body: Sequence[str]) -> list[str]:  # noqa: D102
        return self.block(f"if (!({condition}))", body)


def filled(text: str, **pieces: str) -> list[str]:
    """The lines of a text in which pieces stand for @NAME@; a line that is left with white space alone goes."""
    for name, piece in pieces.items():
        text = text.replace(f"@{name}@", piece)
    return [line for line in text.splitlines() if line.strip() or not line]


def wrapped(items: Sequence[str], width: int = 110) -> list[str]:
    """Items with commas, in lines."""
    lines, line = [], ""
    for item in items:
        if line and len(line) + len(item) + 2 > width:
            lines.append(line + ",")
            line = item
        else:
            line = f"{line}, {item}" if line else item
    return [*lines, line]
