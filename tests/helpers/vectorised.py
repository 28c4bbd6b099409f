"""Rules and elementary functions as compiled loops over arrays, for the tests of the native backend."""

import ctypes
import hashlib
import sys
from functools import cache

import numpy as np

from autograd_lite.engine.lowering import lower
from autograd_lite.engine.rules import TABLE
from autograd_lite.folding.backends.native import jit
from autograd_lite.folding.backends.native.emit import DOUBLE, FLOAT, NUMBERS, Module, Vector
from autograd_lite.folding.backends.native.functions import ELEMENTARY

TYPES = {DOUBLE.name: np.float64, FLOAT.name: np.float32}

COMPARED = ("gt", "ge", "lt", "le", "eq")
BINARY = "add sub mul div pow hypot atan2 _gauss _expdiff gt ge lt le eq"
OPERANDS = dict.fromkeys(ELEMENTARY, 1) | dict.fromkeys(BINARY.split(), 2) | {"select": 3}


def text_of(build, n, results, number, version=None, avx512=False):
    """IR of run(x0, x1 ..., y0, y1 ..., count): what `build` makes of n vectors, for each element of arrays."""
    module = Module(number, version=version or jit.llvm_version(), avx512=avx512)
    names = [f"%x{i}" for i in range(n)] + [f"%y{i}" for i in range(results)]
    block = module.function("run", ", ".join(f"ptr {name}" for name in names) + ", i64 %count")

    def body(i, carried):
        mask = block.first_lanes(i, "%count")
        made = build(*(block.load(block.address(name, (i, 1)), mask) for name in names[:n]))
        for name, y in zip(names[n:], made, strict=True):
            block.store(y, block.address(name, (i, 1)), mask)
        return carried

    block.loop("%count", module.lanes, body)
    return module.text()


def compiled(build, n, results, number, target=None):
    """The same as a function of arrays that gives a list of arrays."""
    avx512 = (target or jit.Target.host()).avx512
    code = jit.compile_text(text_of(build, n, results, number, avx512=avx512), target)
    run = code.function("run", *[ctypes.c_void_p] * (n + results), ctypes.c_int64)

    def on_arrays(*xs):
        xs = [np.ascontiguousarray(x, TYPES[number.name]) for x in xs]
        ys = [np.empty_like(xs[0]) for _ in range(results)]
        run(*(array.ctypes.data for array in (*xs, *ys)), len(xs[0]))
        return ys

    return on_arrays


@cache
def elementary(name, number=DOUBLE, target=None):
    """An elementary function of arrays."""
    function = ELEMENTARY[name]
    if name in COMPARED:
        function = lambda a, b: ELEMENTARY["select"](ELEMENTARY[name](a, b), 1.0, 0.0)  # noqa: E731
    elif name == "select":
        function = lambda c, a, b: ELEMENTARY["select"](ELEMENTARY["gt"](c, 0.0), a, b)  # noqa: E731
    found = compiled(lambda *xs: [function(*xs)], OPERANDS[name], 1, number, target)
    return lambda *xs: found(*xs)[0]


def of_code(code, xs):
    """A lowered rule on Vectors."""
    values = list(xs)
    for step in code.steps:
        values.append(ELEMENTARY[step.name](*(values[x] if isinstance(x, int) else x for x in step.args)))
    found = values[code.result] if isinstance(code.result, int) else code.result
    return found if isinstance(found, Vector) else xs[0].block.constant(found)


@cache
def row_on_arrays(name, number=DOUBLE):
    """The value of a row and its local derivatives, as a function of arrays."""
    row = TABLE[name]

    def build(*xs):
        out = of_code(lower(row), xs)
        return [out, *(of_code(lower(row, slot), (*xs, out)) for slot in range(len(xs)))]

    return compiled(build, len(row.operands), 1 + len(row.operands), number)


def digest(cpu):
    """A digest of the results of all functions on many numbers, compiled for a processor."""
    found = hashlib.sha256()
    for number in NUMBERS.values():
        rng = np.random.default_rng(0)
        exponents = rng.uniform(-40.0, 38.0, (3, 400)) / np.where(np.arange(400) % 2, 1.0, 30.0)
        special = np.tile([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e-40], (3, 1))
        xs = np.hstack([10.0**exponents * rng.choice([-1.0, 1.0], (3, 400)), special])
        for name, n in OPERANDS.items():
            y = elementary(name, number, jit.Target(cpu, ""))(*xs[:n])
            found.update(np.where(np.isnan(y), np.nan, y).tobytes())  # of a NaN, no more than that it is one
    return found.hexdigest()


if __name__ == "__main__":
    print(digest(sys.argv[1]))
