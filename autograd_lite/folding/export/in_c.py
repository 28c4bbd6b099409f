"""An exported file in C."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_lite.folding.export.translate import Curly
from autograd_lite.folding.export.writer import Braces, filled, wrapped

Array = Any

NATIVE = frozenset([
    "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "copysign", "cos", "cosh",
    "div", "erf", "erfc", "exp", "exp2", "expm1", "fabs", "floor", "fmod", "log", "log10", "log1p", "log2",
    "log_gamma", "min", "mul", "neg", "pow", "rint", "select", "sin", "sinh", "sqrt", "sub", "tan", "tanh",
])  # fmt: skip
"""What math.h and the language have."""

NAMES = {"log_gamma": "lgamma", "inf": "INFINITY", "nan": "NAN", "min": "fmin", "pi": "PI"}

SELF_TEST = """\
/* 0 if everything comes out as it should. */
int self_test(void) {
    @GRADIENT@
    int failed = 0;
    for (int test = 0; test < TESTS; test++) {
        double found[EXPECTED];
        int count = 0;
        @CALL@
        @COLLECT@
        for (int k = 0; k < EXPECTED; k++) {
            const double wanted = expected[test][k], off = fabs(found[k] - wanted);
            if (!(off <= tolerance[test][k] || found[k] == wanted || (found[k] != found[k] && wanted != wanted))) {
                printf("test %d, number %d: %.17g, expected %.17g\\n", test, k, found[k], wanted);
                failed++;
            }
        }
    }
    return failed;
}

#ifndef NO_MAIN
int main(void) {
    const int failed = self_test();
    printf(failed ? "%d numbers are wrong\\n" : "all tests passed\\n", failed);
    return failed != 0;
}
#endif"""


class C(Braces):
    """C99 with the functions of math.h."""

    native = NATIVE
    nan, infinity, counter = "NAN", "INFINITY", "int"

    def declared(self, name: str, value: str) -> str:  # noqa: D102
        return f"const {'int' if name == 'first' else 'double'} {name} = {value};"

    def variable(self, name: str, value: str) -> str:  # noqa: D102
        return f"{'int' if name == 'holds' else 'double'} {name} = {value};"

    def call(self, name: str, args: Sequence[str]) -> str:  # noqa: D102
        return f"{NAMES.get(name, name)}({', '.join(args)})"

    def zeros(self, array: str) -> list[str]:  # noqa: D102
        return self.counted("i", "0", str(self.routine.places[array].size), [f"{array}[i] = 0.0;"])

    def comment(self, text: str) -> str:  # noqa: D102
        return f"/* {text} */"

    # -- the file

    def table(self, name: str, numbers: Array) -> list[str]:
        """An array of numbers."""
        numbers = np.asarray(numbers)
        if numbers.dtype.kind == "i":
            most = int(numbers.max(initial=0))
            kind = "unsigned char" if most < 256 else "unsigned short" if most < 65536 else "int"
            items = [str(x) for x in numbers.tolist()]
        else:
            kind, items = "double", [self.number(x) for x in numbers.tolist()] or ["0.0"]
        lines = wrapped(items)
        if len(lines) == 1:
            return [f"static const {kind} {name}[] = {{{lines[0]}}};"]
        return [f"static const {kind} {name}[] = {{", *(f"    {line}" for line in lines), "};"]

    def arguments(self) -> list[str]:  # noqa: D102
        found = ["int rows" if name == "rows" else f"const double *{name}" for name in super().arguments()]
        found += [] if self.spec.single else ["double *values"]
        return found + (["double *gradient"] if self.spec.gradient else [])

    def text(self) -> str:  # noqa: D102
        spec, routine = self.spec, self.routine
        computed = self.computed()  # the library is what that calls
        functions, constants = self.library()
        curly = Curly(
            lambda name, arguments: f"static double {name}({', '.join(f'double {x}' for x in arguments)})", "double",
            "double {name}[{count}] = {{0.0}};", "int", "((int)({}))", NAMES,
            lambda table: f"(int)(sizeof {table} / sizeof {table}[0])",
        )  # fmt: skip
        lines = ["/*", *(f" * {line}".rstrip() for line in self.head()), " */", "", "#include <math.h>",
                 "#include <stdio.h>", ""]  # fmt: skip
        lines += [
            "#ifndef STORAGE",
            "#define STORAGE static  /* of arrays: static _Thread_local for threads */",
            "#endif",
            "",
        ]
        for name, x in self.constants(constants).items():
            lines += self.table(name, x) if isinstance(x, tuple) else [
                f"static const double {NAMES.get(name, name)} = {self.number(x)};"]  # fmt: skip
        texts = [curly.function(name) for name in functions]
        if len(texts) > 1:
            lines += ["", *(text[text.index("static") : text.index(" {")] + ";" for text in texts)]
        for text in texts:
            lines += ["", *text.splitlines()]
        lines += self.tables()
        body = [f"STORAGE double {name}[{place.size}];  /* {place.title}{', of one row' * place.batched} */"
                for name, place in routine.places.items()]  # fmt: skip
        body += ["double value;"] if spec.single else []
        body += computed
        body += ["return value;"] if spec.single else []
        head = f"{'double' if spec.single else 'void'} {spec.function}({', '.join(self.arguments())})"
        lines += ["", *self.block(head, body)]
        if len(spec.theta):
            table = [x.replace("static const", "const") for x in self.table("THETA", spec.theta)]
            lines += ["", "/* The parameters as they were. */", *table]
        return "\n".join([*lines, "", *self.tests()]) + "\n"

    def tests(self) -> list[str]:
        """The test vectors, and what compares."""
        spec, lines = self.spec, ["/* Test vectors. */"]
        names: dict[str, list[str]] = {}
        for k, (theta, args, _, _) in enumerate(spec.tests):
            for name, numbers in (("theta", theta), *((f"x{i}", x) for i, x in enumerate(args))):
                if len(theta) or name != "theta":
                    lines += self.table(f"test_{k}_{name}", np.ravel(numbers))
                    names.setdefault(name, []).append(f"test_{k}_{name}")
        for name, arrays in names.items():
            lines.append(f"static const double *const test_{name}[] = {{{', '.join(arrays)}}};")
        rows = [len(args[0]) if self.routine.batch and args else 1 for _, args, _, _ in spec.tests]
        if self.routine.batch:
            lines.append(f"static const int test_rows[] = {{{', '.join(map(str, rows))}}};")
        per_row = "gradient" in self.sizes
        size = spec.count * (max(rows) if per_row else 1)
        count = len(spec.tests[0][2])
        lines += [f"enum {{TESTS = {len(spec.tests)}, EXPECTED = {count}, GRADIENT = {size}, VALUES = {spec.values}}};"]
        for name, place in (("expected", 2), ("tolerance", 3)):
            lines.append(f"static const double {name}[TESTS][EXPECTED] = {{")
            for test in spec.tests:
                items = wrapped([self.number(x) for x in test[place]])
                lines += ["    {", *(f"        {line}" for line in items), "    },"]
            lines.append("};")
        args = [f"test_{name}[test]" for name in names] + (["test_rows[test]"] if self.routine.batch else [])
        args += ([] if spec.single else ["found"]) + (["gradient"] if spec.gradient else [])
        call = f"{spec.function}({', '.join(args)});"
        call = f"found[count++] = {call}" if spec.single else f"{call} count += VALUES;"
        collect = ""
        if spec.gradient:
            lines += self.table("compared", np.asarray(spec.at, np.int64))
            length = "GRADIENT" if not per_row else f"{spec.count} * test_rows[test]"
            collect = (
                "double sum = 0.0, sizes = 0.0;\n"
                f"        for (int k = 0; k < {len(spec.at)}; k++) found[count++] = gradient[compared[k]];\n"
                f"        for (int k = 0; k < {length}; k++) {{ sum += gradient[k]; sizes += fabs(gradient[k]); }}\n"
                "        found[count++] = sum;\n        found[count++] = sizes;"
            )
        room = "static double gradient[GRADIENT];" if spec.gradient else ""
        return [*lines, "", *filled(SELF_TEST, GRADIENT=room, CALL=call, COLLECT=collect)]
