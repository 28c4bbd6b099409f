"""Elementary functions of the native backend, in ns an element, beside NumPy's and SciPy's.

    taskset -c 1 python -m benchmarks.native_functions [name ...]

One thread, process CPU time, the fastest of many runs over 4,096 elements that stay in the cache; float64 for this
machine, for AVX2 without AVX-512 (`cpu=haswell`), and float32. Needs llvmlite; SciPy where NumPy lacks the function.
"""

import ctypes
import sys
import time

import numpy as np
from scipy import special

from autograd_lite.folding.backends.native import jit
from autograd_lite.folding.backends.native.emit import DOUBLE, FLOAT, Module
from autograd_lite.folding.backends.native.functions import ELEMENTARY

SIZE = 4096
RANGES = {
    "exp": (-80, 80), "expm1": (-30, 30), "log": (1e-3, 1e3), "log2": (1e-3, 1e3), "log10": (1e-3, 1e3),
    "log1p": (-0.9, 30), "cbrt": (-1e3, 1e3), "sin": (-100, 100), "cos": (-100, 100), "tan": (-100, 100),
    "asin": (-1, 1), "acos": (-1, 1), "atan": (-10, 10), "sinh": (-20, 20), "cosh": (-20, 20), "tanh": (-5, 5),
    "asinh": (-30, 30), "acosh": (1, 30), "atanh": (-1, 1), "erf": (-3, 3), "erfc": (-3, 9), "_ndtr": (-12, 5),
    "pow": (1e-3, 1e3), "atan2": (-10, 10), "hypot": (-10, 10), "_gauss": (-10, 10), "_expdiff": (-40, 40),
    "sqrt": (0, 1e3), "div": (1, 1e3),
}  # fmt: skip
THEIRS = {
    **{name: getattr(np, name, None) for name in RANGES},
    **{name: getattr(np, "arc" + name[1:]) for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2")},
    "pow": np.power, "div": np.divide, "erf": special.erf, "erfc": special.erfc, "_ndtr": special.ndtr,
    "_gauss": lambda a, s: np.exp(-s * a * a), "_expdiff": lambda a, b: np.exp(a - b),
}  # fmt: skip


def native(name, n, number, target=None):
    """A loop of one function over arrays of SIZE elements."""
    module = Module(number, version=jit.llvm_version())
    names = [f"%x{i}" for i in range(n)]
    block = module.function("run", "".join(f"ptr {x}, " for x in names) + "ptr %y")

    def body(i, carried):
        xs = [block.load(block.address(x, (i, 1))) for x in names]
        block.store(ELEMENTARY[name](*xs), block.address("%y", (i, 1)))
        return carried

    block.loop(SIZE, module.lanes, body)
    return jit.compile_text(module.text(), target).function("run", *[ctypes.c_void_p] * (n + 1))


def fastest(call):
    """Nanoseconds an element."""
    best = np.inf
    for _ in range(60):
        start = time.process_time_ns()
        for _ in range(20):
            call()
        best = min(best, (time.process_time_ns() - start) / 20 / SIZE)
    return best


def main():
    """Prints the table."""
    print("| | native | AVX2 | float32 | NumPy, SciPy | ratio |\n|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for name in sys.argv[1:] or RANGES:
        n = 2 if name in ("pow", "atan2", "hypot", "_gauss", "_expdiff", "div") else 1
        xs = [rng.uniform(*RANGES[name], SIZE) for _ in range(n)]
        if name in ("pow", "_gauss"):
            xs[1] = rng.uniform(-3, 3, SIZE) if name == "pow" else np.full(SIZE, 0.5)
        y, found = np.zeros(SIZE), []
        for number, target in ((DOUBLE, None), (DOUBLE, jit.Target("haswell", "")), (FLOAT, None)):
            arrays = [x.astype(np.float64 if number is DOUBLE else np.float32) for x in (*xs, y)]
            run, places = native(name, n, number, target), [array.ctypes.data for array in arrays]
            found.append(fastest(lambda run=run, places=places: run(*places)))
        their = THEIRS[name]
        found.append(fastest(lambda their=their, xs=xs: their(*xs)))
        cells = " | ".join(f"{x:.2f}" for x in found)
        print(f"| {name} | {cells} | {found[0] / found[3]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
