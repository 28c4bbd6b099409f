"""An exported file in Python."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_lite.folding.export.translate import constant, names_in, python_text
from autograd_lite.folding.export.writer import Writer, wrapped

Array = Any

MATH = ("atan", "atan2", "tanh", "asinh", "erf", "erfc", "copysign", "pi", "inf", "nan")
"""Functions of `math` that never raise."""

BASE = ("exp", "expm1", "exp2", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "sin", "cos", "tan", "asin", "acos",
        "sinh", "cosh", "acosh", "atanh", "lgamma", "floor", "ceil", "rint", "fmod", "pow", "fabs")  # fmt: skip

HELPERS = ("quiet", "logarithm", "divide")

NAMES = {"log_gamma": "lgamma"}

SELF_TEST = '''\
def self_test():
    """The number of numbers that are wrong."""
    failed = 0
    for number, test in enumerate(TESTS):
        @CALL@
        @COLLECT@
        for k, (got, wanted, near) in enumerate(zip(found, test["expected"], test["tolerance"])):
            if not (abs(got - wanted) <= near or got == wanted or (got != got and wanted != wanted)):
                print(f"test {number}, number {k}: {got!r}, expected {wanted!r}")
                failed += 1
    return failed


if __name__ == "__main__":
    failed = self_test()
    print(f"{failed} numbers are wrong" if failed else "all tests passed")
    raise SystemExit(failed != 0)'''


class Python(Writer):
    """Python with the functions of `math`."""

    native = frozenset({*MATH, *BASE, *HELPERS, "log_gamma", "min", "add", "sub", "mul", "div", "neg", "select"})
    end = ""
    both = "and"
    decorator: Sequence[str] = ()
    imports: Sequence[str] = ("",)
    flat = "list(gradient)"

    def number(self, x: float) -> str:  # noqa: D102
        if math.isnan(x):
            return "nan"
        text = "inf" if abs(x) == math.inf else repr(abs(float(x)))
        return f"(-{text})" if math.copysign(1.0, x) < 0.0 else text

    def declared(self, name: str, value: str) -> str:  # noqa: D102
        return f"{name} = {value}"

    variable = declared

    def block(self, head: str, body: Sequence[str]) -> list[str]:  # noqa: D102
        return [f"{head}:", *(f"    {line}" if line else "" for line in body)]

    def counted(self, name: str, start: str, stop: str, body: Sequence[str]) -> list[str]:  # noqa: D102
        return self.block(f"for {name} in range({stop if start == '0' else f'{start}, {stop}'})", body)

    def backwards(self, count: int, body: Sequence[str]) -> list[str]:  # noqa: D102
        return self.block(f"for t in reversed(range({count}))", body)

    def within(self, condition: str, body: Sequence[str], otherwise: Sequence[str]) -> list[str]:  # noqa: D102
        return [*self.block(f"if {condition}", body), *self.block("else", otherwise)]

    def call(self, name: str, args: Sequence[str]) -> str:  # noqa: D102
        return f"{NAMES.get(name, name)}({', '.join(args)})"

    def scoped(self, body: Sequence[str]) -> list[str]:  # noqa: D102
        return list(body)

    def choice(self, condition: str, yes: str, no: str) -> str:  # noqa: D102
        return f"({yes} if {condition} else {no})"

    def divided(self, a: str, b: str) -> str:  # noqa: D102
        if b == "rows":
            return f"{a} / {b}"
        self.routine.functions.add("divide")
        return f"divide({a}, {b})"

    def zeros(self, array: str) -> list[str]:  # noqa: D102
        return [f"{array}[:] = [0.0] * {self.routine.places[array].size}"]

    def comment(self, text: str) -> str:  # noqa: D102
        return f"# {text}"

    def unless(self, name: str) -> str:  # noqa: D102
        return f"if not {name}"

    def every(self, condition: str, body: Sequence[str]) -> list[str]:  # noqa: D102
        return self.block(f"if not ({condition})", body)

    def negated(self, condition: str) -> str:  # noqa: D102
        return f"not ({condition})"

    # -- the file

    def table(self, name: str, numbers: Any) -> list[str]:
        """A list of numbers."""
        numbers = np.asarray(numbers)
        shown = str if numbers.dtype.kind == "i" else self.number
        items = [shown(x) for x in numbers.tolist()]
        lines = wrapped(items)
        if len(lines) == 1:
            return [f"{name} = [{lines[0]}]"]
        return [f"{name} = [", *(f"    {line}" for line in lines), "]"]

    def allocated(self) -> list[str]:
        """The arrays of the function."""
        spec = self.spec
        body = [f"{name} = [0.0] * {place.size}  # {place.title}{', of one row' * place.batched}"
                for name, place in self.routine.places.items()]  # fmt: skip
        if spec.gradient:
            count = f"({spec.count} * rows)" if "gradient" in self.sizes else str(spec.count)
            body.append(f"gradient = [0.0] * {count}")
        return body if spec.single else [*body, f"values = [0.0] * {spec.values}"]

    def called(self) -> list[str]:
        """The functions that the loops call, and not as NumPy's."""
        return self.named()

    def prelude(self) -> list[str]:
        """Functions that are needed: of `math`, of base.py, of the library; and constants."""
        functions, constants = self.library()
        written = [python_text(name) for name in functions]
        used = {NAMES.get(name, name) for name in self.called()}
        for text in written:
            used |= set(names_in_text(text))
        base: dict[str, str] = {}
        stack = [name for name in used if name in BASE or name in HELPERS]
        while stack:
            name = stack.pop()
            if name not in base:
                base[name] = python_text(name)
                stack += [x for x in names_in_text(base[name]) if x in BASE or x in HELPERS]
        lines = ["import math", f"from math import {', '.join(sorted(MATH))}", *self.imports]
        for name in constants:
            x = constant(name)
            if name != "pi":
                lines += self.table(name, x) if isinstance(x, tuple) else [f"{name} = {self.number(x)}"]
        for text in (*(base[name] for name in (*HELPERS, *BASE) if name in base), *written):
            lines += ["", "", *text.splitlines()]
        return lines

    def text(self) -> str:  # noqa: D102
        spec, routine = self.spec, self.routine
        arguments = (["theta"] if len(spec.theta) else []) + [f"x{k}" for k in range(len(spec.shapes))]
        arguments += ["rows"] if routine.batch else []
        body = [*self.allocated(), *self.computed()]
        result = "value" if spec.single else "values"
        body.append(f"return {result}, gradient" if spec.gradient else f"return {result}")
        lines = ['"""' + self.head()[0], *(line.rstrip() for line in self.head()[1:]), '"""', "", *self.prelude()]
        lines += ["", "# Index tables and numbers of the program."] if routine.tables or routine.literals else []
        for name, numbers in (*routine.tables.items(), *routine.literals.items()):
            lines += self.table(name, numbers)
        lines += ["", "", *self.decorator, *self.block(f"def {spec.function}({', '.join(arguments)})", body), ""]
        if len(spec.theta):
            lines += ["", "# The parameters as they were.", *self.table("THETA", spec.theta)]
        return "\n".join([*lines, "", *self.tests(arguments)]) + "\n"

    def tests(self, arguments: Sequence[str]) -> list[str]:
        """The test vectors, and what compares."""
        spec, lines = self.spec, ["# Test vectors.", "TESTS = ["]
        for theta, args, expected, tolerance in spec.tests:
            named = [("theta", theta)] if len(theta) else []
            named += [(f"x{k}", np.ravel(x)) for k, x in enumerate(args)]
            named += [("expected", expected), ("tolerance", tolerance)]
            lines.append("    {")
            if self.routine.batch:
                lines.append(f'        "rows": {len(args[0]) if args else 1},')
            for name, numbers in named:
                items = wrapped([self.number(x) for x in np.asarray(numbers).tolist()])
                lines += [f'        "{name}": [', *(f"            {line}" for line in items), "        ],"]
            lines.append("    },")
        lines.append("]")
        collect = ""
        result = f"{spec.function}({', '.join(f'test[{chr(34)}{x}{chr(34)}]' for x in arguments)})"
        if spec.gradient:
            call = f"value, gradient = {result}\n        found = [value]"
            lines += self.table("COMPARED", np.asarray(spec.at, np.int64))
            collect = (
                "gradient = @FLAT@\n        found += [gradient[k] for k in COMPARED]\n"
                "        found += [sum(gradient), sum(map(abs, gradient))]"
            )  # fmt: skip
        else:
            call = f"found = [{result}]" if spec.single else f"found = {result}"
        text = SELF_TEST.replace("@CALL@", call).replace("@COLLECT@", collect.replace("@FLAT@", self.flat))
        return [*lines, "", "", *self.decorator, *(line for line in text.splitlines() if line.strip() or not line)]


def names_in_text(text: str) -> list[str]:
    """The names that a function reads."""
    return list(names_in(ast.parse(text)))
