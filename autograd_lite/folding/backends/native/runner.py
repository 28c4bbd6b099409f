"""Runs Nests as machine code: memory and pointers around the functions that nests_to_ir.py writes.

The arena, the tables and a context with pointers to them are made once; a call copies theta into the arena, calls one
function, and copies the outputs out. A batch of more than one run (2,048 rows) is worked through by threads, each
with an arena of its own: ctypes releases the GIL.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from time import perf_counter
from typing import Any
from weakref import ref

import numpy as np
from numpy.lib.stride_tricks import as_strided

from autograd_lite.folding.backends import Leaves, Refused, default_threads
from autograd_lite.folding.backends.native import jit, lengths
from autograd_lite.folding.backends.native.emit import NUMBERS
from autograd_lite.folding.backends.native.text import CONTEXT, Program
from autograd_lite.folding.nesting import nests
from autograd_lite.folding.nests import PAD, RUN, Access, Nests, PythonStep
from autograd_lite.folding.plan import Plan

Array = Any

_FLOAT = np.dtype(float)

RUNS_AT_A_TIME = 16
"""A thread takes this many runs: a power of two, so that their sums are a branch of the tree."""

PAYS = 3e-4
"""Seconds of work from which on threads are worth waking."""

PARTIALS, FLAGGED, COUNT, ANSWER = map(CONTEXT.index, ("partials", "flagged", "count", "answer"))

OUTS = len(CONTEXT)


def prepare(plan: Plan, dtype: Any = float, threads: int | None = None) -> Runner:
    """A runner of a plan; it is compiled when it is first asked for.

    Raises:
        Refused: there is no native code for it.
    """
    dtype = np.dtype(dtype)
    code = plan.kept.get(("native", dtype))
    if code is None:
        code = plan.kept[("native", dtype)] = Compiled(plan, dtype)
    return Runner(code, threads or default_threads())


def stepper(runners: Sequence[Runner], updates: Sequence[Any], live: Array | None, ranges: Sequence[tuple[int, int]],
            counts: Sequence[tuple[int, int, int, int]]) -> Any:  # fmt: skip
    """Steps of an optimizer around programs: see stepping.stepper."""
    from autograd_lite.folding.backends.native.steps import Steps

    return Steps(runners, updates, live, ranges, counts)


def direct(runner: Runner, constants: Array, shapes: Sequence[tuple[int, ...]], batch: bool) -> Any:
    """The first result and the gradient of a program, with as little Python around the code as there can be.

    Args:
        runner: nobody else runs it.
        constants: of the program; they stay.
        shapes: of the arguments, each without the axis of a batch.
        batch: whether there is one; then the mean of the result is meant.

    Returns:
        A function of (theta, arguments) that gives (result, gradient); or None where these are not arrays of float64
        of the right shapes, or where the numbers cannot be trusted: then it is for the caller to do it the long way,
        with its checks and its messages.

    Raises:
        Refused: there are steps in Python in it, or the gradient has rows.
    """
    last = runner.code.nests.outputs[-1]
    if not runner.code.whole or last.batched:
        raise Refused("steps in Python, or a gradient with rows")
    runner.bind_constants(constants)
    memory, theta_view = runner.memory, runner.theta
    theta_shape = None if theta_view is None else theta_view.shape
    gradient = memory.arena[last.offset : last.offset + last.size]
    answer = ctypes.c_double.from_address(memory.address + 8 * ANSWER)
    run, at, count = runner.code.function("again", 0), ctypes.c_void_p(memory.address), len(shapes)
    seen: Callable[[], Any] = _gone  # the theta that was looked at last
    bound: list[Callable[[], Any]] = [_gone] * count
    views = [(index, view.reshape(shapes[index])) for index, view in runner.unbatched_inputs]
    free = [None]  # empty while a thread is in a call

    def bind(args: tuple[Any, ...]) -> bool:
        """Write the addresses of other arrays into the context, if they are such as can be."""
        bound[:] = [_gone] * count
        for arg, shape in zip(args, shapes, strict=True):
            if arg.__class__ is not np.ndarray or arg.dtype is not _FLOAT or not arg.ndim or arg.shape[1:] != shape:
                return False
            if not (arg.flags.c_contiguous and arg.flags.aligned and len(arg) == len(args[0])):
                return False
        if not 0 < len(args[0]) <= RUN:
            return False
        memory.context[COUNT] = len(args[0])
        runner.slots([args[index] for index in runner.batched_inputs])
        bound[:] = map(ref, args)
        return True

    def put(args: tuple[Any, ...]) -> bool:
        """Copy arguments that have no rows, if they are such as can be."""
        for arg, shape in zip(args, shapes, strict=True):
            if arg.__class__ is not np.ndarray or arg.dtype is not _FLOAT or arg.shape != shape:
                return False
        for index, view in views:
            view[...] = args[index]
        return True

    def call(theta: Any, args: tuple[Any, ...]) -> tuple[float, Array] | None:
        nonlocal seen
        if theta is not seen() and theta_view is not None:
            if theta.__class__ is not np.ndarray or theta.dtype is not _FLOAT or theta.shape != theta_shape:
                return None
            seen = ref(theta)
        if len(args) != count:
            return None
        try:
            free.pop()
        except IndexError:
            return None
        try:
            if batch:
                for k, arg in enumerate(args):
                    if bound[k]() is not arg:
                        if not bind(args):
                            return None
                        break
            elif count and not put(args):
                return None
            if theta_view is not None:
                theta_view[...] = theta
            run(at)
            found = answer.value
            return None if found != found else (found, gradient.copy())
        finally:
            free.append(None)

    return call


class Compiled:
    """A plan as machine code; its runners share it.

    Args:
        plan: what is to be computed.
        dtype: of the arena.
        target: what the code is made for, if not for this machine.
    """

    arena: int
    parts: dict[str, list[str | PythonStep]]

    def __init__(self, plan: Plan, dtype: Any, target: jit.Target | None = None) -> None:
        target = target or jit.Target.host()
        self.nests: Nests = nests(plan, dtype)
        self.dtype: Any = np.dtype(dtype)
        number = NUMBERS["double" if self.dtype == np.float64 else "float"]
        program = Program(self.nests, number, target.avx512, jit.llvm_version(), plan.doubt_nan)
        self.arena, self.parts = program.frame.arena, program.parts
        self.inputs: int = 1 + max((x.index for x in self.nests.inputs if x.kind == "input"), default=-1)
        self.whole: bool = "run" in program.module.functions
        """Whether all of it is one function: there are no steps in Python."""
        text = program.module.close()
        arguments = np.zeros(0, np.int32)
        self.code: jit.Code
        if program.frame.steps:
            self.code, arguments = lengths.compiled(text, target, min(program.frame.steps))
        else:
            self.code = jit.compile_text(text, target)
        self._functions: dict[str, Callable[..., None]] = {}
        self.tables: Array = np.concatenate([arguments[::-1], np.asarray(self.nests.tables, np.int32)])
        """Behind the arguments; what a context points to is the first entry after these."""
        self.tables_at: int = self.tables.ctypes.data + 4 * len(arguments)

    def function(self, name: str, numbers: int) -> Callable[..., None]:
        """A function of the code, which takes a context and some whole numbers."""
        if name not in self._functions:
            self._functions[name] = self.code.function(name, ctypes.c_void_p, *[ctypes.c_int64] * numbers)
        return self._functions[name]


class Memory:
    """An arena and the context that points to it."""

    def __init__(self, code: Compiled) -> None:
        found = code.nests
        self.arena: Array = _aligned(code.arena + PAD, code.dtype)
        for offset, values in found.literals:
            self.arena[offset : offset + len(values)] = values
        start, stop = found.sums
        self.sums: Array = self.arena[start:stop]
        self.partials: Array = None
        """Of the runs of a piece, their sums over rows."""
        self.context: Array = np.zeros(OUTS + len(found.outputs) + code.inputs, np.int64)
        self.context[:2] = self.arena.ctypes.data, code.tables_at
        self.address: int = self.context.ctypes.data
        self.flagged: ctypes.c_int64 = ctypes.c_int64.from_address(self.address + 8 * FLAGGED)
        """Not 0 if a number that was watched was not finite."""

    def with_partials(self) -> Array:
        """Make room for the sums of a piece."""
        if self.partials is None:
            size = len(self.sums)
            self.partials = np.zeros(RUNS_AT_A_TIME * size + PAD, self.arena.dtype)
            self.context[PARTIALS] = self.partials.ctypes.data
        return self.partials[: RUNS_AT_A_TIME * len(self.sums)].reshape(RUNS_AT_A_TIME, -1)


def _aligned(size: int, dtype: Any) -> Array:
    """Zeros that start with a line of the cache."""
    raw = np.zeros(size * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size * dtype.itemsize].view(dtype)


class Runner:
    """See `backends.Runner`. It holds an arena, so one thread at a time may run it."""

    code: Compiled
    threads: int

    def __init__(self, code: Compiled, threads: int) -> None:
        self.code, self.threads = code, threads
        self.trusted: bool = True
        self.memory: Memory = Memory(code)
        self.nbytes: int = self.memory.arena.nbytes
        self._workers = [self.memory]
        arena = self.memory.arena
        self._constants: list[Array] = []
        self._bound: Array = None
        """The constants that are in the arena."""
        self.theta: Array = None
        self.unbatched_inputs: list[tuple[int, Array]] = []
        self.batched_inputs: list[int] = []
        """The inputs of which the rows are read."""
        for x in code.nests.inputs:
            view = arena[x.offset : x.offset + x.size]
            if x.batched:
                if x.kind == "input":
                    self.batched_inputs.append(x.index)
            elif x.kind == "theta":
                self.theta = view
            elif x.kind == "input":
                self.unbatched_inputs.append((x.index, view))
            elif x.kind == "constants":
                self._constants.append(view)
            else:
                view[...] = 1.0
        self._seconds_a_row = 0.0
        """What a row took the last time."""
        self._casts = code.dtype != np.float64
        self._arrays: list[Callable[[], Any]] = [_gone] * code.inputs
        """Weak references to the arrays whose addresses are in the context: asking for one takes a microsecond."""
        self._outputs = code.nests.outputs
        self._means, self._by_rows = -1, False
        self._totals = [arena[x.total : x.total + x.size] for x in self._outputs]
        self._views = [arena[x.offset : x.offset + x.size] for x in self._outputs]
        self._run = code.function("run", 1) if code.whole else None
        self._at, self._flagged = ctypes.c_void_p(self.memory.address), self.memory.flagged

    def __call__(self, leaves: Leaves, rows: int | None, means: int = 0) -> list[Array]:
        """Run: see `backends.Runner`."""
        if self._casts:
            with np.errstate(all="ignore"):  # a number may be beyond the range of a float32
                leaves = self._cast(leaves)
        theta, constants, inputs = leaves
        if self.theta is not None:
            self.theta[:] = theta
        if constants is not self._bound:
            self.bind_constants(constants)
        for index, view in self.unbatched_inputs:
            view[:] = inputs[index]
        if rows is None:
            if self._run is not None:
                self._run(self._at, 0)
            else:
                self._in_pieces(1)
            self.trusted = not self._flagged.value
            return [view.copy() for view in self._views]
        kept = self._bind_rows(leaves, rows, means)
        if self._run is not None and (rows <= RUN or not self.code.nests.body):
            self._run(self._at, rows)
            self.trusted = not self._flagged.value
        elif self._run is not None:
            self._in_runs(rows)
        else:
            self._in_pieces(rows)
        return [self._found(k, kept) for k in range(len(self._outputs))]

    def _cast(self, leaves: Leaves) -> Leaves:
        """The leaves in the type of the arena; constants, which are mostly bound already, as they are."""
        if leaves.constants is not self._bound:
            self.bind_constants(leaves.constants)
        inputs = tuple(np.asarray(x, self.code.dtype) for x in leaves.inputs)
        return leaves._replace(theta=np.asarray(leaves.theta, self.code.dtype), inputs=inputs)

    def bind_constants(self, constants: Array) -> None:
        """Put the constants into the arena."""
        self._bound = None  # an interrupt may come while they are copied
        for view in self._constants:
            view[...] = constants
        self._bound = constants

    def _bind_rows(self, leaves: Leaves, rows: int, means: int) -> dict[int, Array]:
        """Write the addresses of the inputs and of the outputs with rows into the context; what must be kept."""
        context, kept, bound = self.memory.context, {}, self._arrays
        for index in self.batched_inputs:
            array = leaves.inputs[index]
            if bound[index]() is array:  # NumPy does not resize an array that has a weak reference
                continue
            bound[index] = _gone
            if not (array.flags.c_contiguous and array.flags.aligned):
                array = kept[-1 - index] = np.array(array, order="C")
            context[OUTS + len(self._outputs) + index] = _address(array)
            if -1 - index not in kept:
                bound[index] = ref(array)
        if means != self._means or self._by_rows:
            self._means = -1  # an interrupt may come while they are written
            for k, output in enumerate(self._outputs):
                context[OUTS + k] = 0
                if output.batched and k >= means:
                    out = kept[k] = np.empty((rows, output.size), self.code.dtype)
                    context[OUTS + k] = _address(out)
            self._means, self._by_rows = means, any(k >= 0 for k in kept)
        return kept

    def slots(self, arrays: Sequence[Array]) -> list[int]:
        """Bind these arrays to the inputs with rows; where to write the addresses for the rows of each output."""
        start = OUTS + len(self._outputs)
        for index, array in zip(self.batched_inputs, arrays, strict=True):
            self.memory.context[start + index] = _address(array)
        self._arrays, self._means = [_gone] * len(self._arrays), -1  # for the next call
        return [self.memory.address + 8 * (OUTS + k) for k, x in enumerate(self._outputs) if x.batched]

    def _found(self, k: int, kept: dict[int, Array]) -> Array:
        """An output: its rows, their mean, or what there is one of."""
        output = self._outputs[k]
        if k in kept:
            return kept[k].T
        if not output.batched:
            return self._views[k].copy()
        return self._totals[k].copy()

    # -- batches of several runs

    def _in_runs(self, rows: int) -> None:
        """The prologue, the runs (in threads if there are several pieces), and the epilogue."""
        code, memory = self.code, self.memory
        before, after = (code.function(name, 1) for name in ("before", "after"))
        runs = code.function("runs", 3)
        before(memory.address, rows)
        count = -(-rows // RUN)
        at_a_time = min(RUNS_AT_A_TIME, _power_below(max(count // self.threads, 1)))
        pieces = range(0, count, at_a_time)

        def work(worker: Memory, mine: Iterator[int]) -> list[tuple[int, Array]]:
            if worker is not memory:
                worker.arena[...] = memory.arena
                worker.context[OUTS:] = memory.context[OUTS:]
            partials, found = worker.with_partials(), []
            for start in mine:
                stop = min(start + at_a_time, count)
                runs(worker.address, start, stop, rows)
                found.append((start, _tree(partials[: stop - start])))
            return found

        threads = min(self.threads, len(pieces)) if self._seconds_a_row * rows > PAYS else 1
        start_time = perf_counter()
        while len(self._workers) < threads:
            self._workers.append(Memory(code))
            self.nbytes += self._workers[-1].arena.nbytes
        left = iter(pieces)  # a thread takes the next piece when it is done with one
        found = _together([lambda worker=worker: work(worker, left) for worker in self._workers[:threads]])  # type: ignore[misc]
        self._seconds_a_row = (perf_counter() - start_time) * threads / rows
        found.sort(key=lambda piece: piece[0])
        total = _tree([piece for _, piece in found])
        memory.sums[...] = total
        after(memory.address, rows)
        flagged = any(worker.flagged.value for worker in self._workers[:threads])
        self.trusted = not flagged and bool(np.isfinite(total).all())

    # -- steps in Python

    def _in_pieces(self, rows: int) -> None:
        """Each section part by part, block by block."""
        memory, nests = self.memory, self.code.nests
        memory.arena[nests.flag : nests.flag + PAD] = 0.0
        memory.flagged.value = 0
        self.trusted, totals = True, []
        with _one_blas_thread(self.code.parts):
            self._section("prologue", 0, rows)
            if nests.body:
                ends = self.code.function("ends", 2)
                for run in range(0, rows, RUN):
                    memory.sums[...] = 0.0
                    for first in range(run, min(run + RUN, rows), nests.block):
                        self._section("body", first, rows)
                        ends(memory.address, first, rows)
                    totals.append(memory.sums.copy())
                memory.sums[...] = _tree(totals)
                self.trusted = bool(np.isfinite(memory.sums).all())
                self.code.function("means", 2)(memory.address, 0, rows)
            self._section("epilogue", 0, rows)
        self.code.function("last", 2)(memory.address, 0, rows)
        self.trusted = self.trusted and not memory.flagged.value

    def _section(self, name: str, first: int, rows: int) -> None:
        for part in self.code.parts[name]:
            if isinstance(part, PythonStep):
                with np.errstate(all="ignore"):
                    part.function(*map(self._view, part.axes, part.views))
            else:
                self.code.function(f"{part}.alone", 2)(self.memory.address, first, rows)

    def _view(self, axes: tuple[int, ...], access: Access) -> Array:
        """The numbers of an access: a view of the arena, or a copy where a table says where they are."""
        arena, size = self.memory.arena, self.memory.arena.itemsize
        if access.table is None:
            return as_strided(arena[access.offset :], axes, [stride * size for stride in access.strides])
        counters = np.ix_(*map(np.arange, axes))
        place = access.offset + sum(c * s for c, s in zip(counters, access.strides, strict=True))
        entry = access.table + sum(c * s for c, s in zip(counters, access.table_strides, strict=True))
        return arena[place + access.scale * self.code.nests.tables[entry].astype(np.int64)]


def _address(array: Array) -> int:
    """Where an array is. (`array.ctypes` leaves small objects behind until ctypes clears them.)"""
    return array.__array_interface__["data"][0]  # type: ignore[no-any-return]


def _gone() -> Any:
    """A weak reference to nothing."""
    return None


def _power_below(n: int) -> int:
    """The largest power of two that is not above n."""
    return 1 << (n.bit_length() - 1)


def _tree(parts: Sequence[Array]) -> Array:
    """The sum of neighbours, then of neighbours of these, until one is left."""
    with np.errstate(all="ignore"):
        while len(parts) > 1:
            sums = [parts[k] + parts[k + 1] for k in range(0, len(parts) - 1, 2)]
            parts = [*sums, parts[-1]] if len(parts) % 2 else sums
    return np.array(parts[0])


def _together(works: Sequence[Callable[[], list[Any]]]) -> list[Any]:
    """What these functions find, the first one here and each other one in a thread."""
    futures: list[Future[list[Any]]] = []
    found, error = [], None
    try:
        futures += [_executor(os.getpid()).submit(work) for work in works[1:]]
        found = works[0]()
    except BaseException as raised:
        error = raised
    while not all(future.done() for future in futures):  # nobody else may be given their arenas before
        try:
            wait(futures)
        except KeyboardInterrupt as raised:
            error = raised
    if error is not None:
        raise error
    return sum((future.result() for future in futures), found)


@cache
def _executor(process: int) -> ThreadPoolExecutor:
    """Threads; those of another process did not come with its memory."""
    return ThreadPoolExecutor(default_threads(), f"autograd_lite.{process}")


def _one_blas_thread(parts: dict[str, list[str | PythonStep]]) -> AbstractContextManager[Any]:
    """Around matrix products by NumPy: the order of their sums depends on the number of threads."""
    steps = [part for section in parts.values() for part in section if isinstance(part, PythonStep)]
    if not any(step.title.startswith("matmul") for step in steps):
        return nullcontext()
    controller = _blas()
    return nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")


@cache
def _blas() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()
