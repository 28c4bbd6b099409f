"""Programs as machine code beside the NumPy backend and JAX: python -m benchmarks.native [line ...]

The lines are those of benchmarks/fold.py. One thread, one core, float64, JAX with synchronous dispatch. Process CPU
time in one process: bursts of some tenths of a millisecond, in turn, and of these the shortest of each. On a machine
that others use too, that is what it would be without them; a median of longer runs is up to twice as long, for
products most of all, whose units a neighbour shares. Compile time with nothing cached. "AVX2" is the time of code for
AVX2 as a multiple of that of code for this machine, where it has AVX-512; both must give the same bits.
"""

from __future__ import annotations

import os

os.environ["AUTOGRAD_LITE_CACHE"] = "off"

import copy
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from autograd_lite.folding.backends import backend
from autograd_lite.folding.backends.native import jit
from autograd_lite.folding.backends.native.runner import Compiled, Runner
from autograd_lite.folding.program import Program
from benchmarks.fold import LINES
from benchmarks.measure import publish, table

BURST, SECONDS, PASSES = 3e-4, 4.0, 5


def in_turn(runs: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The shortest CPU time of each, over some seconds of short bursts in turn."""
    often, found = {}, dict.fromkeys(runs, float("inf"))
    for name, run in runs.items():
        run()
        start = time.process_time()
        run()
        often[name] = max(1, int(BURST / max(time.process_time() - start, 1e-6)))
    stop = time.perf_counter() + SECONDS
    while time.perf_counter() < stop:
        for name, run in runs.items():
            start = time.process_time()
            for _ in range(often[name]):
                run()
            found[name] = min(found[name], (time.process_time() - start) / often[name])
    return found


def on(program: Program, name: str) -> Program:
    """The same program on another backend, in one thread."""
    made = copy.copy(program)
    made._how = program._how[0], name, 1
    return made


class Line:
    """A line of the table: what is measured, and what has been found."""

    def __init__(self, key: str) -> None:
        self.title, runs = LINES[key]()
        ours: Any = runs["ours"]
        ours()
        program = getattr(ours.program, "_latest", None) or ours.program
        args = tuple(np.ascontiguousarray(x, float) for x in ours.args)
        theta, wanted = (program.theta, 0) if program.params else (None, 1)

        def run_on(name: str) -> Callable[[], Any]:
            made = on(program, name)
            if theta is None:
                return lambda: made.value_and_grad(*args)
            return lambda: made.loss_and_grad(theta, *args)

        self.runs = {"native": run_on("native"), "numpy": run_on("numpy"), "jax": runs["JAX jit"]}
        start = time.process_time()
        self.runs["jax"]()
        self.jax_compile = time.process_time() - start
        plan = program._folded.plan(wanted, False)
        plan.kept.clear()
        start = time.process_time()
        backend("native").prepare(plan)
        self.compile = time.process_time() - start
        (value, slope), (other, expected) = self.runs["native"](), self.runs["numpy"]()
        leaves, rows = program._leaves(program.theta, args)
        targets = {"wide": jit.Target.host(), "AVX2": jit.Target("haswell", "+avx2,+fma")}
        found = []
        for name, target in targets.items():
            runner = Runner(Compiled(plan, float, target), 1)
            self.runs[name] = lambda runner=runner: runner(leaves, rows, 0 if rows is None else program.results)
            found.append([x.tobytes() for x in self.runs[name]()])
        assert found[0] == found[1], f"{self.title}: other bits on AVX2"
        self.off = abs(value - other) / abs(other), np.abs(slope - expected).max() / np.abs(expected).max()
        self.passes: list[dict[str, float]] = []

    def row(self) -> tuple[str, ...]:
        """What the table says."""
        lowest = {name: min(times[name] for times in self.passes) for name in self.runs}
        us = {name: f"{x * 1e6:,.{1 if x < 1e-4 else 0}f} us" for name, x in lowest.items()}
        ratios = sorted(times["native"] / times["jax"] for times in self.passes)
        return (self.title, us["native"], us["numpy"], us["jax"], f"{lowest['native'] / lowest['jax']:.2f}",
                f"{ratios[0]:.2f} to {ratios[-1]:.2f}", f"{lowest['numpy'] / lowest['jax']:.2f}",
                f"{lowest['AVX2'] / lowest['wide']:.2f}", f"{self.compile * 1e3:.0f} ms",
                f"{self.jax_compile * 1e3:.0f} ms", f"{self.off[0]:.0e}", f"{self.off[1]:.0e}")  # fmt: skip


def main(chosen: list[str]) -> None:
    """Measure the chosen lines, or all of them, and then publish."""
    warnings.filterwarnings("ignore")
    lines = [Line(key) for key in chosen or LINES]
    for _ in range(PASSES):
        for line in lines:
            line.passes.append(in_turn(line.runs))
    rows = [line.row() for line in lines]
    for row in rows:
        print(row, flush=True)
    body = table(("loss and gradient", "native", "NumPy backend", "JAX jit", "native / JAX", "in the passes",
                  "NumPy / JAX", "AVX2", "compile", "JAX, first call", "value off", "gradient off"), rows)  # fmt: skip
    versions = ", ".join(f"{name} {version(name)}" for name in ("llvmlite", "numpy", "jax"))
    if not chosen:
        publish("Machine code (benchmarks/native.py)", f"{versions}.\n\n{body}\n\n{ACCOUNT}")


ACCOUNT = """\
"Off" is against the NumPy backend; a gradient as a share of its largest component. Other work, at a load of 17, ran on
both cores the whole time (with less, NumPy takes 0.37 s for Black-Scholes). The shortest bursts of several runs, at
loads of 1 to 19, put together are 3.2 us and 23.0 for moons (0.14 of JAX's time), 8.2 and 29.5 for digits with 64 rows
(0.28), 181 and 380 for 1,797 rows (0.48), 925 and 1,438 for MLP 784-128-10 (0.64), 5.6 and 36.4, 24.8 and 118.7, 114
and 288 for the GPT (0.15, 0.21, 0.39), 1.7 and 10.8 for Rosenbrock (0.15). Where the time goes, and what was tried:

- Matrix products run at this core's peak, 65 billion multiply-adds a second, on AVX2 at half of it. They bound digits
  with 1,797 rows: 9.1 million take 140 us, 0.37 of JAX's time, before anything else is done. Four designs took the
  rest from 70 to 41 us: activations within the products (210 to 199), exponentials scaled by one operation (to 193), a
  first layer that reads rows as they come, with no transposed copy of the data (to 183); compiling with LLVM's lower
  level of code generation changed nothing. Of the 41, about 20 are exponentials, twenty a row, and 10 transpositions
  and bias sums. With 64 rows the products are 4.9 of 7.4 us of code.
- Around the code there are 0.65 us of Python for a theta of 337, 0.75 for 1,000, 0.85 with a batch (1.2 to 1.4
  before): one look at theta where it is the array of the call before (another one takes 0.2 more), one number read for
  value and flag. Copying theta in and the gradient out are 0.2 to 0.4 of it. A call would take 31 ns in place of 111
  if it kept the GIL and had its context in itself; a function made of machine code would read CPython's own structures.
  Neither is done.
- A function from `compile` adds 0.6 us, 1 us with a list of 1,000 parameters, and 3.3 us with a network of 47 neurons
  (4.1 in all around the code, 5.5 before), to see whether the model was changed: 100 lists and dicts are compared with
  copies, at the speed of C; the dicts take two thirds of it.
- Moons is 2.6 us of code, half of it matrix products; Rosenbrock 0.9 us.
- scalar GPT: what attention sums up lies in fours, and is read by loads and transpositions in place of gathers: 4 of
  the 24 us of code on 8 words. Full rectangles of products in place of the triangles would have twelve times the terms
  here. Activations within products took 28.4 to 26.2 us, operands gathered once for two products to 25.0; maps that
  gather or scatter within products took 10% more time to compile and changed nothing.
- Black-Scholes: logarithm, exponential and error functions within an ulp or two, 10 ns a row.
- Compile time is 30 us a line of LLVM's language, most of it choosing instructions; LLVM's lower level saves 8% of it.
- Threads: waking a second one takes 18 us at best; they are used from 0.3 ms of work on. Whether they pay there could
  not be measured: no core was free, and two threads took as long as one or longer, from 35,000 rows to 400,000."""

if __name__ == "__main__":
    main(sys.argv[1:])
