"""A fuzzer of plans: what `verify` takes runs on every backend without touching memory that is not its own.

    python -m tools.fuzz_native --plans 100000 --seed 1
    python -m tools.fuzz_native --only 12345                 # one plan again, here, and its listing

A plan is drawn at random, or is that of a small program (its loops too), and in two of three cases fields of it are
damaged: indices, sizes, shapes, types, numbers, codes, loops. `verify` refuses it with an AssertionError, or it runs on
NumPy and as native code, whose arena and tables lie flush against a page that cannot be touched, at its end or at its
start, and which is a debug build: each address is checked before it is touched. A plan that is not damaged must be
taken, and both backends must agree. Loops over arrays (Nests) are damaged too, behind the plan.
Plans run in a process of their own, some hundred in each: one that ends is reported with the seed of its plan.
"""

import argparse
import ctypes
import json
import math
import mmap
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import fields, is_dataclass, replace
from functools import cache
from unittest.mock import patch

import numpy as np

import autograd_lite as ag
from autograd_lite.engine.lowering import Code
from autograd_lite.engine.rules import TABLE
from autograd_lite.folding import nests_verify
from autograd_lite.folding.backends import Leaves, Refused, numpy_backend
from autograd_lite.folding.backends.native import runner as native
from autograd_lite.folding.backends.native.emit import Module
from autograd_lite.folding.instructions import Builder, Leaf, Literal, Map, Part, Reduce, Ref, Sum
from autograd_lite.folding.plan import plan as planned
from autograd_lite.folding.verify import verify

PAGE = mmap.PAGESIZE
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 1e-300, 1e300, 5e-324, math.inf, -math.inf, math.nan]
WHOLE = [0, 1, -1, 2, 3, 7, 8, 9, 63, 64, 65, 2**31 - 1, 2**31, -(2**31), 2**40, 2**62]
MEMORY = 3 << 30
"""Bytes that a process may take: a plan of 2**31 lanes ends in a MemoryError, and not the machine."""
ROWS = [row for row in TABLE.values() if not row.operands[0].startswith("xs") and not row.setting]
SEQUENCES = [
    row for row in TABLE.values() if row.operands == ("xs",) and row.name not in ("dot", "prod", "sum", "mean")
]


# --- memory that ends where it ends -----------------------------------------------------------------------


class Guarded:
    """Memory between two pages that cannot be touched.

    Args:
        size: in bytes.
    """

    def __init__(self, size):
        self.pages = mmap.mmap(-1, size + 2 * PAGE)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.pages)) + PAGE
        self.size = size
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for page in (self.start - PAGE, self.start + size):
            if protect(page, PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")

    def array(self, size, dtype, at_end):
        """Zeros flush against a page; the rest is filled with what is not a number, nor a place."""
        whole = np.frombuffer(self.pages, np.uint8, self.size, PAGE)
        whole[...] = 0xFF
        nbytes = size * np.dtype(dtype).itemsize
        found = whole[self.size - nbytes :] if at_end else whole[:nbytes]
        found = found.view(dtype)
        found[...] = 0
        return found


class Watch:
    """Where native code may read and write, and where it did otherwise."""

    def __init__(self):
        self.reads, self.writes, self.found = [], [], []
        self.call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(self.check)

    def check(self, pointer, size, lanes, writes):
        """What the code calls before it touches memory."""
        if lanes:
            pointer = pointer or 0
            start = pointer + size * ((lanes & -lanes).bit_length() - 1)
            stop = pointer + size * lanes.bit_length()
            if not any(low <= start and stop <= high for low, high in (self.writes if writes else self.reads)):
                if not self.found:
                    print(
                        f"outside: {'writes' if writes else 'reads'} {stop - start} bytes at {start:#x}",
                        file=sys.stderr,
                    )
                    sys.stderr.flush()
                self.found.append((start, stop, writes))

    def allow(self, array, writes=False):
        """An array may be read, and written to."""
        start = array.__array_interface__["data"][0]
        self.reads.append((start, start + array.nbytes))
        if writes:
            self.writes.append((start, start + array.nbytes))


@cache
def watch():
    """One for the process: its address is part of the code."""
    return Watch()


@cache
def memory(what):
    """Memory for the arenas, the tables or an input of one plan after the other."""
    return Guarded((4 << 20) if what == "arena" else 1 << 20)


# --- plans at random --------------------------------------------------------------------------------------


def drawn(rng):
    """A plan made of a few instructions, in the way of the Builder."""
    b = Builder()
    pool = [b.leaf("theta", rng.choice([1, 2, 3, 5, 8, 17])), b.leaf("constants", rng.choice([1, 3, 9]))]
    batched = rng.random() < 0.5
    for index in range(rng.randrange(3)):
        pool.append(b.leaf("input", rng.choice([1, 2, 4, 9]), batched and rng.random() < 0.8, index))
    if batched:
        pool.append(b.leaf("seed", 1, True))
    if rng.random() < 0.4:
        pool.append(b.literal(np.array([rng.choice(NUMBERS[:8]) for _ in range(rng.randint(2, 9))])))

    def lanes(ref, n):
        size = len(b.lanes_of(ref))
        kind = rng.randrange(5)
        if kind == 0 and size == n:
            return ref
        if kind == 1:
            index = np.full(n, rng.randrange(size))
        elif kind == 2:
            index = (rng.randrange(size) + rng.randint(-3, 3) * np.arange(n)) % size
        elif kind == 3:
            index = np.arange(n) // rng.randint(1, 4) % size
        else:
            index = np.array([rng.randrange(size) for _ in range(n)], np.int64)
        return b.pick(ref, index)

    def any_of(n):
        return lanes(rng.choice(pool), n)

    for _ in range(rng.randint(1, 9)):
        n = rng.choice([1, 2, 3, 4, 6, 8, 9, 16, 31])
        kind = rng.random()
        if kind < 0.45:
            row = rng.choice(ROWS)
            args = tuple(rng.choice(NUMBERS[:8]) if rng.random() < 0.15 else any_of(n) for _ in row.operands)
            if not any(isinstance(x, Ref) for x in args):
                continue
            slot = -1
            ref = b.op(row.name, n, args)
            if rng.random() < 0.3 and not row.zero_gradient:
                slot = rng.randrange(len(row.operands))
                ref = b.op(row.name, n, (*args, ref), slot)
        elif kind < 0.85:
            parts = []
            for _ in range(rng.randint(1, 3)):
                count = rng.choice([1, 2, 5, 8, 12, 24, 40])
                style = rng.randrange(4)
                to = np.array([rng.randrange(n) for _ in range(count)], np.int64)
                if style == 0:
                    to = np.sort(to)
                elif style == 1:
                    to = np.arange(count) % n
                elif style == 2:
                    to = np.repeat(np.arange(n), -(-count // n))
                left = any_of(len(to))
                right = any_of(len(to)) if rng.random() < 0.6 else None
                parts.append(Part("plain" if right is None else "mul", rng.choice([1.0, -1.0, 0.5]), to, left, right))
                if style == 3 and rng.random() < 0.7:  # a product of matrices
                    m, k, w = rng.randint(1, 5), rng.randint(1, 5), rng.randint(1, 9)
                    i, j, t = (x.ravel() for x in np.indices((m, w, k)))
                    x, y = rng.choice(pool), rng.choice(pool)
                    sizes = [len(b.lanes_of(ref)) for ref in (x, y)]
                    n = max(n, m * w)
                    operands = b.pick(x, (i * k + t) % sizes[0]), b.pick(y, (t * w + j) % sizes[1])
                    parts[-1] = Part("mul", 1.0, i * w + j, *operands)
            whole = None
            if batched and rng.random() < 0.2:
                whole = False  # over the rows of the batch
            ref = b.sum(n, parts, whole, zeroed=rng.random() < 0.1)
        else:
            counts = np.array([rng.randint(1, 5) for _ in range(rng.choice([1, 2, 5]))])
            if rng.random() < 0.5:
                counts[:] = counts[0]
            ref = b.sequence(rng.choice(SEQUENCES), any_of(int(counts.sum())), counts)
        pool.append(ref)
    last = [pool[-1], *rng.sample(pool, rng.randint(0, min(2, len(pool) - 1)))]
    return planned(b.instructions, [lanes(ref, rng.choice([1, 2, 5])) if rng.random() < 0.5 else ref for ref in last],
                   safe=rng.random() < 0.1)  # fmt: skip


@cache
def known():
    """Plans of small programs, their gradients and loops, as they are made."""
    made = []
    rng = np.random.default_rng(0)
    w = [ag.Parameter(x) for x in rng.normal(size=12)]

    def recurrence(xs):
        h = 0.1
        for x in xs:
            h = ag.tanh(w[0] * h + w[1] * x + w[2])
        return h

    def two(xs):
        h = [0.0, 0.0]
        total = 0.0
        for x in xs:
            h = [ag.tanh(w[0] * h[0] + w[1] * h[1] + w[2] * x), ag.sigmoid(w[3] * h[0] + w[4] * h[1] + w[5] * x)]
            total = total + ag.max(h) * h[0]
        return total

    def attention(xs):
        scores = [[w[0] * a * b for b in xs[: i + 1]] for i, a in enumerate(xs)]
        return ag.sum([ag.logsumexp(row) for row in scores])

    model = ag.MLP(3, [4, 2], seed=0)
    taken = native.Compiled.__init__

    def seen(self, plan, *more, **others):
        made.append(plan)
        taken(self, plan, *more, **others)

    with patch.object(native.Compiled, "__init__", seen):
        for f, n, params in ((recurrence, 20, w), (two, 16, w), (attention, 6, w),
                             (lambda xs: ag.sum([y * y for y in model(list(xs))]), 3, model)):  # fmt: skip
            ag.compile(f, params=params, backend="native").value_and_grad(rng.normal(size=n))
            with suppress(TypeError, ValueError):
                batch = ag.compile(f, params=params, batch=True, backend="native")
                batch.loss_and_grad(None, rng.normal(size=(5, n)))
    return made


# --- damage -----------------------------------------------------------------------------------------------


def bad_array(rng, x):
    """An array that is not as it was."""
    x = np.array(x)
    kind = rng.randrange(9)
    if kind == 0 and x.size:
        x.flat[rng.randrange(x.size)] = rng.choice(WHOLE) if x.dtype.kind == "i" else rng.choice(NUMBERS)
    elif kind == 1:
        x = x[:-1]
    elif kind == 2:
        x = np.concatenate([x, x[-1:]])
    elif kind == 3:
        x = x.astype(rng.choice([np.int32, np.float64, np.float32, np.uint8, np.int64, object]))
    elif kind == 4:
        x = x[:0]
    elif kind == 5:
        x = x.reshape(1, *x.shape)
    elif kind == 6:
        x = x[::-1]
    elif kind == 7:
        x = x.T
    elif x.size > 1:
        i, j = rng.sample(range(x.size), 2)
        x.flat[i], x.flat[j] = x.flat[j], x.flat[i]
    return x


def damaged(rng, x, depth=0):
    """A field of a field of it is another one."""
    if isinstance(x, np.ndarray):
        return bad_array(rng, x)
    if isinstance(x, bool):
        return not x
    if isinstance(x, int):
        return rng.choice([x + 1, x - 1, -x, 2 * x, rng.choice(WHOLE), float(x), None])
    if isinstance(x, float):
        return rng.choice(NUMBERS)
    if x is None:
        return rng.choice([None, np.arange(3), 0])
    if isinstance(x, str):
        return rng.choice(
            ["", "mul", "plain", "_chain", "each", "matmul", "rows", "segments", "exp", "theta", "input", "?"]
        )
    if isinstance(x, Code):
        step = rng.randrange(4)
        if step == 0:
            return Code(x.title, damaged(rng, x.operands), x.steps, x.result)
        if step == 1 or not x.steps:
            return Code(x.title, x.operands, x.steps, damaged(rng, x.result))
        k = rng.randrange(len(x.steps))
        return Code(x.title, x.operands, (*x.steps[:k], damaged(rng, x.steps[k]), *x.steps[k + 1 :]), x.result)
    if isinstance(x, (Leaf, Literal, Map, Sum, Reduce)) and rng.random() < 0.05:
        return Literal(x.size, False, np.zeros(5))
    if hasattr(x, "_replace"):
        name = rng.choice([name for name in x._fields if name not in ("function", "row")])
        return x._replace(**{name: damaged(rng, getattr(x, name), depth + 1)})
    if is_dataclass(x) and not isinstance(x, type):
        name = rng.choice([f.name for f in fields(x) if f.init and f.name not in ("row", "kept", "names", "function")])
        return replace(x, **{name: damaged(rng, getattr(x, name), depth + 1)})
    if isinstance(x, (tuple, list)):
        kind = rng.random()
        k = rng.randrange(len(x)) if x else 0
        if not x or kind < 0.1:
            return x[:-1]
        if kind < 0.2:
            return type(x)([*x, x[k]])
        return type(x)([*x[:k], damaged(rng, x[k], depth + 1), *x[k + 1 :]])
    if isinstance(x, dict) and x:
        key = rng.choice(list(x))
        return x | {key: damaged(rng, x[key], depth + 1)}
    return x


# --- one plan ---------------------------------------------------------------------------------------------


def leaves_of(plan, rng, rows):
    """Numbers for its leaves, and whether there is a batch."""
    theta, constants, inputs = np.zeros(0), np.zeros(0), {}
    numbers = np.random.default_rng(rng.randrange(2**32))

    def some(*shape):
        x = numbers.normal(size=shape)
        if rng.random() < 0.1 and x.size:
            x.flat[rng.randrange(x.size)] = rng.choice(NUMBERS)
        return x

    for x in plan.instructions:
        if isinstance(x, Leaf):
            if x.size > 1 << 14:
                raise MemoryError
            if x.kind == "theta":
                theta = some(x.size)
            elif x.kind == "constants":
                constants = some(x.size)
            elif x.kind == "input":
                guarded = memory(f"input {x.index}").array(
                    x.size * (rows if x.batched else 1), float, rng.random() < 0.5
                )
                guarded[:] = some(len(guarded))
                inputs[x.index] = guarded.reshape(rows, x.size) if x.batched else guarded
    count = 1 + max(inputs, default=-1)
    return Leaves(theta, constants, tuple(inputs.get(k, np.zeros(1)) for k in range(count)))


def run_native(plan, leaves, rows, means, at_end, dtype, damage=None):
    """Its outputs by native code in guarded memory, and what the watch found."""
    watched = watch()
    watched.reads, watched.writes, watched.found = [], [], []
    made = []

    def aligned(size, dtype):
        made.append(memory("arena").array(size, dtype, at_end))
        return made[-1]

    def nested(*args):
        found = native_nests(*args)
        nests_verify.verify(found)
        if damage is not None:
            found = damage(found)
            nests_verify.verify(found)
        return found

    native_nests = native.nests
    with ExitStack() as stack:
        stack.enter_context(patch.object(native, "_aligned", aligned))
        stack.enter_context(patch.object(native, "nests", nested))
        stack.enter_context(patch.object(Module, "checker", ctypes.cast(watched.call, ctypes.c_void_p).value))
        plan.kept.clear()
        code = native.Compiled(plan, np.dtype(dtype))
        tables = memory("tables").array(len(code.tables), np.int32, at_end)
        tables[:] = code.tables
        code.tables_at += tables.ctypes.data - code.tables.ctypes.data
        code.tables = tables
        runner = native.Runner(code, 1)
    watched.allow(runner.memory.arena, writes=True)
    watched.allow(tables)
    watched.allow(runner.memory.context, writes=True)
    kept = [x.copy() for x in (tables, *leaves.inputs)]
    bound = runner._bind_rows

    def bind(leaves, rows, means):
        outs = bound(leaves, rows, means)
        for x in (*outs.values(), runner.memory.with_partials()):
            watched.allow(x if x.base is None else x.base, writes=True)
        for x in leaves.inputs:
            watched.allow(x)
        return outs

    runner._bind_rows = bind
    outputs = runner(leaves, rows, means)
    for (offset, values), x in zip(code.nests.literals, code.nests.literals, strict=True):
        assert np.array_equal(runner.memory.arena[offset : offset + len(values)], x[1].astype(dtype), equal_nan=True), (
            "a literal was overwritten"
        )
    if dtype is float:
        assert all(np.array_equal(x, y, equal_nan=True) for x, y in zip(kept, (tables, *leaves.inputs), strict=True)), (
            "tables or inputs were overwritten"
        )
    plan.kept.clear()
    return outputs, runner.trusted, watched.found


def one(seed, counts, show=False):
    """One plan: what came of it goes to the counts; an AssertionError is a fault of the package."""
    rng = random.Random(seed)
    real = rng.random() < 0.15
    plan = replace(rng.choice(known()), kept={}) if real else drawn(rng)
    verify(plan)  # as it is made
    kind = rng.choice(["whole", "plan", "plan", "nests"])
    if kind == "plan":
        whole = plan
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            if rng.random() < 0.9 and plan.instructions:
                k = rng.randrange(len(plan.instructions))
                some = list(plan.instructions)
                some[k] = damaged(rng, some[k])
                plan = replace(plan, instructions=some, kept={})
            elif rng.random() < 0.5 and plan.loops:
                plan = replace(plan, loops=damaged(rng, plan.loops), kept={})
            else:
                plan = replace(plan, outputs=damaged(rng, plan.outputs), kept={})
        try:
            verify(plan)
        except AssertionError:
            counts["damaged plans refused"] += 1
            return
        counts["damaged plans taken"] += 1
        del whole
    if show:
        print(kind)
        for k, x in enumerate(plan.instructions):
            print(f"%{k} {x}")
        print(plan.loops, plan.outputs)
    rows = None
    if any(x.batched for x in plan.instructions):
        rows = rng.choice([1, 2, 7, 8, 9, 63, 64, 65, 130])
    leaves = leaves_of(plan, rng, rows or 1)
    means = rng.choice([0, 0, 1, len(plan.outputs)]) if rows else 0
    with np.errstate(all="ignore"):
        reference = numpy_backend.prepare(plan, float)
        expected = reference(leaves, rows, means)
        counts["runs of NumPy"] += 1
        if plan.safe:
            return
        damage = None
        if kind == "nests":

            def damage(nests):
                part = rng.choice([p for p in ("prologue", "body", "epilogue") if getattr(nests, p)] or ["outputs"])
                return replace(nests, **{part: damaged(rng, getattr(nests, part))})

        dtype = rng.choice([float, float, float, np.float32])
        try:
            found, trusted, outside = run_native(plan, leaves, rows, means, rng.random() < 0.5, dtype, damage)
        except Refused:
            counts["native code refused it"] += 1
            return
        except AssertionError as error:
            if kind != "nests" or "overwritten" in str(error):
                raise
            counts["damaged nests refused"] += 1
            return
    counts["damaged nests run" if kind == "nests" else "runs of native code"] += 1
    assert not outside, f"touched memory that is not its own: {outside[:3]}"
    if kind == "nests" or dtype is not float or not (trusted and reference.trusted):
        return
    scale = max((np.abs(x[np.isfinite(x)]).max(initial=1.0) for x in leaves_arrays(leaves)), default=1.0)
    for x, y in zip(expected, found, strict=True):
        assert x.shape == y.shape, f"shapes {x.shape} and {y.shape}"
        finite = np.isfinite(x)
        if kind == "whole":
            counts["outputs compared"] += 1
            size = np.abs(x[finite]).max(initial=scale)
            same = np.array_equal(x[~finite], y[~finite], equal_nan=True)
            assert same, f"{x} and {y}"
            assert np.allclose(x[finite], y[finite], rtol=1e-8, atol=1e-8 * size), f"{x} and {y}"


def leaves_arrays(leaves):
    return [leaves.theta, leaves.constants, *leaves.inputs]


# --- processes --------------------------------------------------------------------------------------------


def work(first, count):
    """Plans one after the other: the seed of each is written before it runs, faults and counts as they come."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts = Counter()
    for seed in range(first, first + count):
        print(seed, flush=True)
        try:
            one(seed, counts)
        except MemoryError:
            counts["larger than the memory"] += 1
        except Exception as error:  # whatever it is, it is reported, and the next plan runs
            print(json.dumps([seed, type(error).__name__, str(error)[:300]]), flush=True)
    print(json.dumps(counts), flush=True)


def main(plans, seed, jobs=1, at_a_time=200):
    """Run plans; the faults that were found, each (seed, what, message)."""
    counts, faults, started, running = Counter(), [], time.monotonic(), []
    start, end = seed * 10**9, seed * 10**9 + plans
    environment = os.environ | {"AUTOGRAD_LITE_CACHE": "off", "OPENBLAS_NUM_THREADS": "1", "MALLOC_PERTURB_": "165"}
    done = 0

    def launch(first, count):
        command = [sys.executable, "-m", "tools.fuzz_native", "--worker", str(first), "--plans", str(count)]
        pipe = subprocess.PIPE
        return (
            first,
            count,
            subprocess.Popen(command, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True),
        )

    while start < end or running:
        while start < end and len(running) < jobs:
            running.append(launch(start, min(at_a_time, end - start)))
            start += at_a_time
        first, count, process = running.pop(0)
        text, _ = process.communicate()
        last = first
        for line in text.splitlines():
            if line.isdigit():
                last = int(line)
            elif line.startswith("["):
                faults.append(tuple(json.loads(line)))
            elif line.startswith("{"):
                counts.update(json.loads(line))
        if process.returncode:
            faults.append((last, f"the process ended with {process.returncode}", text.splitlines()[-1]))
            if last + 1 < first + count:
                running.append(launch(last + 1, first + count - last - 1))
            done -= first + count - last - 1
        done += count
        print(f"{done:,} plans, {len(faults)} faults, {time.monotonic() - started:.0f} s: {dict(counts)}", flush=True)
        for fault in faults[-3:]:
            print("  fault:", *fault, flush=True)
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--only", type=int, help="the seed of one plan, as a report names it")
    given = parser.parse_args()
    if given.only is not None:
        found = Counter()
        one(given.only, found, show=True)
        print(found)
    elif given.worker is not None:
        work(given.worker, given.plans)
    else:
        sys.exit(bool(main(given.plans, given.seed, given.jobs)))
