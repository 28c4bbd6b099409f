"""An exported file in JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_lite.folding.export.translate import Curly
from autograd_lite.folding.export.writer import Braces, filled, wrapped

Array = Any

MATH = ("exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan",
        "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "floor", "ceil", "pow", "min")  # fmt: skip

NAMES = {
    **{name: f"Math.{name}" for name in MATH},
    "fabs": "Math.abs",
    "fmod": "({0} % {1})",
    "exp2": "Math.pow(2.0, {0})",
    "inf": "Infinity",
    "nan": "NaN",
    "pi": "Math.PI",
    "lgamma": "log_gamma",
}

OWN = {
    "copysign": """\
function copysign(a, b) {
    return b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a);
}""",
    "rint": """\
function rint(a) {
    if (!(Math.abs(a) < 4503599627370496)) return a;
    const whole = Math.floor(a), rest = a - whole;
    return copysign(Math.abs(rest > 0.5 || (rest === 0.5 && whole % 2 !== 0) ? whole + 1 : whole), a);
}""",
}

SELF_TEST = """\
// The number of numbers that are wrong.
function selfTest() {
    let failed = 0;
    TESTS.forEach((test, number) => {
        @CALL@
        @COLLECT@
        test.expected.forEach((wanted, k) => {
            const off = Math.abs(found[k] - wanted);
            if (!(off <= test.tolerance[k] || Object.is(found[k], wanted) || found[k] === wanted)) {
                console.log(`test ${number}, number ${k}: ${found[k]}, expected ${wanted}`);
                failed++;
            }
        });
    });
    return failed;
}

if (typeof module !== "undefined") {
    module.exports = { @FUNCTION@, selfTest@THETA@ };
    if (typeof require !== "undefined" && require.main === module) {
        const failed = selfTest();
        console.log(failed ? `${failed} numbers are wrong` : "all tests passed");
        process.exitCode = failed ? 1 : 0;
    }
}"""


class JavaScript(Braces):
    """JavaScript (ES2015) with Math."""

    native = frozenset({*MATH, *OWN, "fabs", "fmod", "exp2", "add", "sub", "mul", "div", "neg", "select", "pi"})
    nan, infinity, counter = "NaN", "Infinity", "let"

    def declared(self, name: str, value: str) -> str:  # noqa: D102
        return f"const {name} = {value};"

    def variable(self, name: str, value: str) -> str:  # noqa: D102
        return f"let {name} = {value};"

    def call(self, name: str, args: Sequence[str]) -> str:  # noqa: D102
        made = NAMES.get(name, name)
        return made.format(*args) if "{" in made else f"{made}({', '.join(args)})"

    def zeros(self, array: str) -> list[str]:  # noqa: D102
        return [f"{array}.fill(0.0);"]

    def comment(self, text: str) -> str:  # noqa: D102
        return f"// {text}"

    # -- the file

    def table(self, name: str, numbers: Any) -> list[str]:
        """An array of numbers."""
        numbers = np.asarray(numbers)
        whole = numbers.dtype.kind == "i"
        items = [str(x) for x in numbers.tolist()] if whole else [self.number(x) for x in numbers.tolist()]
        lines = wrapped(items)
        kind = "Int32Array" if whole else "Float64Array"
        if len(lines) == 1:
            return [f"const {name} = {kind}.of({lines[0]});"]
        return [f"const {name} = {kind}.from([", *(f"    {line}" for line in lines), "]);"]

    def text(self) -> str:  # noqa: D102
        spec, routine = self.spec, self.routine
        computed = self.computed()  # the library is what that calls
        functions, constants = self.library()
        curly = Curly(
            lambda name, arguments: f"function {name}({', '.join(arguments)})", "let",
            "const {name} = new Float64Array({count});", "let", "Math.trunc({})", NAMES,
            lambda table: f"{table}.length",
        )  # fmt: skip
        lines = ["/*", *(f" * {line}".rstrip() for line in self.head()), " */", '"use strict";', ""]
        for text in OWN.values():
            lines += [*text.splitlines(), ""]
        for name, x in self.constants(constants).items():
            if name != "pi":
                lines += self.table(name, x) if isinstance(x, tuple) else [f"const {name} = {self.number(x)};"]
        for name in functions:
            lines += ["", *curly.function(name).splitlines()]
        lines += self.tables()
        arguments = self.arguments()
        body = [f"const {name} = new Float64Array({place.size}); // {place.title}{', of one row' * place.batched}"
                for name, place in routine.places.items()]  # fmt: skip
        if spec.gradient:
            count = f"{spec.count} * rows" if "gradient" in self.sizes else str(spec.count)
            body.append(f"const gradient = new Float64Array({count});")
        body.append("let value = 0.0;" if spec.single else f"const values = new Float64Array({spec.values});")
        body += computed
        result = "value" if spec.single else "values"
        body.append(f"return {{ {result}, gradient }};" if spec.gradient else f"return {result};")
        lines += ["", *self.block(f"function {spec.function}({', '.join(arguments)})", body)]
        if len(spec.theta):
            lines += ["", "// The parameters as they were.", *self.table("THETA", spec.theta)]
        return "\n".join([*lines, "", *self.tests(arguments)]) + "\n"

    def tests(self, arguments: Sequence[str]) -> list[str]:
        """The test vectors, and what compares."""
        spec, lines = self.spec, ["// Test vectors.", "const TESTS = [", *self.records(), "];"]
        collect = ""
        call = f"const result = {spec.function}({', '.join(f'test.{x}' for x in arguments)});"
        result = "result" if not spec.gradient else "result.value" if spec.single else "result.values"
        call += f"\n        const found = [{result if spec.single else f'...{result}'}];"
        if spec.gradient:
            lines += self.table("COMPARED", np.asarray(spec.at, np.int64))
            collect = (
                "let sum = 0.0, sizes = 0.0;\n"
                "        for (const k of COMPARED) found.push(result.gradient[k]);\n"
                "        for (const g of result.gradient) { sum += g; sizes += Math.abs(g); }\n"
                "        found.push(sum, sizes);"
            )
        theta = ", THETA" if len(spec.theta) else ""
        return [*lines, "", *filled(SELF_TEST, CALL=call, COLLECT=collect, FUNCTION=spec.function, THETA=theta)]
