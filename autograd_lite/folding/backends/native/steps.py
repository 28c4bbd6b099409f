"""Steps of an optimizer as machine code: rows gathered, the program run, the rule applied, without Python between.

    steps = Steps([runner], [Update("momentum", (0.9,))], None, [(0, 12)])
    taken, theta, states, slope = steps(job, constants)

The code of a rule knows no sizes, so there is one for each chain of updates; it calls the code of the program. A step
is taken if all that it changes is finite and nothing in the program was flagged: results go to other places first and
are put in place by copying theta and exchanging two pointers. At the first step that is not taken the rest is skipped,
and Python does that step with the backend of reference, or refuses it.

The arithmetic of each update is that of optim/transformations.py, operation by operation, so that it makes no
difference to the last bit which of the two takes a step (apart from the norm that ClipByGlobalNorm sums up).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from operator import is_
from typing import Any

import numpy as np

from autograd_lite.folding.backends import Refused
from autograd_lite.folding.backends.native import jit
from autograd_lite.folding.backends.native.emit import DOUBLE, Block, Module, Scalar, Vector
from autograd_lite.folding.nests import PAD, RUN

Array = Any

JOB = (
    "run", "flagged", "context", "theta", "slope", "total", "next", "state", "after", "numbers", "settings", "vectors",
    "order", "inputs", "outputs", "ranges", "squares", "more_run", "more_flagged", "more_context", "more_theta",
    "more_slope", "more_value", "penalties", "taken",
    "slots",
)  # fmt: skip
"""Addresses at the start of a job, a table of 64 bits an entry."""

SIZES = ("n", "stride", "input_count", "output_count", "range_count", "batch", "rows", "first", "count")
"""Whole numbers behind them. `stride` is that between vectors of states."""

AT = {name: k for k, name in enumerate((*JOB, *SIZES, "done"))}
"""The entry of each; the last one is the number of steps taken."""

UNTIL_NORM = ("clip_value",)
"""What may come before clip_norm: what has no state, and is computed again after it."""

Given = Iterator[Vector]


# --- the rules ------------------------------------------------------------------------------------------------


def _over_root(block: Block, g: Vector, squares: Vector, eps: Vector) -> Vector:
    below = block.unary("sqrt", squares) + eps
    return block.select(below.equals(0.0), 0.0, g / below)


def _apply(
    block: Block, kind: str, g: Vector, w: Vector, setting: Given, vector: Given, number: Given, state: list[Vector]
) -> tuple[Vector, list[Vector]]:
    """(updates, next states) of one update."""
    if kind == "clip_value":
        limit = next(setting)
        return block.select(g < -limit, -limit, block.select(g > limit, limit, g)), []
    if kind == "clip_norm":  # the factor has been worked out before
        return g * next(number), []
    if kind == "decay":
        return g + next(vector) * w, []
    if kind == "sign":
        sign = block.select(w > 0.0, block.constant(1.0), block.select(w < 0.0, block.constant(-1.0), 0.0))
        return g + next(vector) * sign, []
    if kind in ("momentum", "nesterov"):
        mu = next(setting)
        velocity = mu * state[0] + g
        return g + mu * velocity if kind == "nesterov" else velocity, [velocity]
    if kind == "adagrad":
        squares = state[0] + g * g
        return _over_root(block, g, squares, next(setting)), [squares]
    if kind == "rms":
        squares = next(setting) * state[0] + next(setting) * (g * g)
        return _over_root(block, g, squares, next(setting)), [squares]
    m = next(setting) * state[0] + next(setting) * g
    v = next(setting) * state[1] + next(setting) * (g * g)
    after = [m, v]
    if kind == "adam":
        m, v = m / next(number), v / next(number)
    return _over_root(block, m, v, next(setting)), after


# --- the text -------------------------------------------------------------------------------------------------


class _Writer:
    """Writes the function `steps`.

    Args:
        kinds: of the updates.
        counts: of each: see stepping.KINDS.
        frozen: whether the first of the vectors says which parameters change.
        more: whether there is a penalty.
        version: of LLVM.
    """

    def __init__(
        self, kinds: Sequence[str], counts: Sequence[tuple[int, int, int, int]], frozen: bool, more: bool, version: int
    ) -> None:
        self.kinds, self.counts, self.frozen, self.more = kinds, counts, frozen, more
        self.module = Module(DOUBLE, version=version)
        self.block = block = self.module.function("steps", "ptr %job")
        self.at = {name: block.operation(f"getelementptr i64, ptr %job, i64 {k}") for name, k in AT.items()}
        self.given = {
            name: block.operation(f"load {'ptr' if name in JOB else 'i64'}, ptr {self.at[name]}, align 8")
            for name in (*JOB, *SIZES)
            if name not in ("state", "after")
        }
        """What does not change."""
        self.fixed = [
            block.load_one(block.address(self.given["settings"], (i, 1)))
            for i in range(sum(count[0] for count in counts))
        ]

        def body(k: Scalar, _: list[Vector]) -> Sequence[Vector]:
            taken = self._load("i64", self.at["done"])
            block.when(block.operation(f"icmp eq i64 {taken}, {k}"), lambda: self._step(k))
            return ()

        block.loop(self.given["count"], 1, body)

    # -- small things

    def _load(self, kind: str, place: str) -> str:
        return self.block.operation(f"load {kind}, ptr {place}, align 8", pure=False)

    def _entry(self, table: str, row: Scalar, width: int, column: int) -> str:
        return self.block.address(table, (row, width), (column, 1), of="i64")

    def _vectors(
        self, n: Scalar, body: Callable[..., Sequence[Vector]], carried: Sequence[Vector] = ()
    ) -> list[Vector]:
        """body(i, mask, carried) for vectors that cover n numbers, of which there is at least one."""
        block = self.block
        return block.loop(n, block.lanes, lambda i, inside: body(i, block.first_lanes(i, n), inside), carried)

    def _copy(self, n: Scalar, source: str, target: str) -> None:
        block = self.block

        def body(i: Scalar, mask: Vector, _: list[Vector]) -> Sequence[Vector]:
            block.store(block.load(block.address(source, (i, 1)), mask), block.address(target, (i, 1)), mask)
            return ()

        self._vectors(n, body)

    # -- a step

    def _step(self, k: Scalar) -> None:
        block = self.block
        step = block.operation(f"add i64 {self.given['first']}, {k}")
        row = block.operation(f"mul i64 {step}, {self.given['batch']}")
        left = block.operation(f"sub i64 {self.given['rows']}, {row}")
        batch = self.given["batch"]
        fewer = block.operation(f"icmp slt i64 {left}, {batch}")
        rows = block.operation(f"select i1 {fewer}, i64 {left}, i64 {batch}")
        self._gather(row, rows)
        run, context = self.given["run"], self.given["context"]
        block.lines.append(f"  call void {run}(ptr {context}, i64 {rows})")
        flag = self._load("i64", self.given["flagged"])
        if self.more:
            self._copy(self.given["n"], self.given["theta"], self.given["more_theta"])
            run, context = self.given["more_run"], self.given["more_context"]
            block.lines.append(f"  call void {run}(ptr {context}, i64 0)")
            more = self._load("i64", self.given["more_flagged"])
            flag = block.operation(f"or i64 {flag}, {more}")
            value = self._load("double", self.given["more_value"])
            block.store_one(value, block.address(self.given["penalties"], (step, 1)))
        self._total(step)
        count = 1 + sum(c[3] for c in self.counts)
        places = [block.operation(f"mul i64 {self.given['count']}, {i}") for i in range(count)]
        numbers = [block.load_one(block.address(self.given["numbers"], (place, 1), (k, 1))) for place in places]
        factors = self._norm()
        bad = self._rule(numbers, factors)
        found = block.operation(f"bitcast {bad.is_nan().type} {bad.is_nan().name} to i{block.lanes}")
        flag = block.operation(f"or i64 {flag}, {block.operation(f'zext i{block.lanes} {found} to i64')}")
        block.when(block.operation(f"icmp eq i64 {flag}, 0"), lambda: self._commit(k))

    def _gather(self, row: Scalar, rows: Scalar) -> None:
        """The rows of the batch side by side, and the places for the rows of the results."""
        block = self.block

        def one(j: Scalar, _: list[Vector]) -> Sequence[Vector]:
            source, target = (self._load("ptr", self._entry(self.given["inputs"], j, 3, c)) for c in (0, 1))
            width = self._load("i64", self._entry(self.given["inputs"], j, 3, 2))

            def copy(r: Scalar, _: list[Vector]) -> Sequence[Vector]:
                place = self._load("i64", block.address(self.given["order"], (row, 1), (r, 1), of="i64"))
                start = block.operation(f"mul i64 {place}, {width}")
                to = block.operation(f"mul i64 {r}, {width}")
                self._copy(width, block.address(source, (start, 1)), block.address(target, (to, 1)))
                return ()

            block.loop(rows, 1, copy)
            return ()

        def out(j: Scalar, _: list[Vector]) -> Sequence[Vector]:
            slot = self._load("ptr", block.address(self.given["slots"], (j, 1), of="i64"))
            at = block.operation(f"mul i64 {self.given['rows']}, {j}")
            out = block.address(self.given["outputs"], (at, 1), (row, 1))
            block.lines.append(f"  store ptr {out}, ptr {slot}, align 8")
            return ()

        block.loop(self.given["input_count"], 1, one)
        block.loop(self.given["output_count"], 1, out)

    def _total(self, step: Scalar) -> None:
        """The gradient with that of the penalty, and the sums of its squares."""
        block = self.block

        def one(q: Scalar, _: list[Vector]) -> Sequence[Vector]:
            start, count = (self._load("i64", self._entry(self.given["ranges"], q, 2, c)) for c in (0, 1))

            def body(i: Scalar, mask: Vector, sums: list[Vector]) -> Sequence[Vector]:
                g = block.load(block.address(self.given["slope"], (start, 1), (i, 1)), mask)
                if self.more:
                    g = g + block.load(block.address(self.given["more_slope"], (start, 1), (i, 1)), mask)
                block.store(g, block.address(self.given["total"], (start, 1), (i, 1)), mask)
                return [block.fma(g, g, sums[0])]

            (found,) = self._vectors(count, body, [block.constant(0.0)])
            at = block.operation(f"mul i64 {step}, {self.given['range_count']}")
            block.store_one(block.sum(found), block.address(self.given["squares"], (at, 1), (q, 1)))
            return ()

        block.loop(self.given["range_count"], 1, one)

    def _gradient(self, i: Scalar, mask: Vector) -> Vector:
        """What the first update gets."""
        block = self.block
        g = block.load(block.address(self.given["total"], (i, 1)), mask)
        if self.frozen:
            g = block.select(self._is_live(i, mask), g, 0.0)
        return g

    def _is_live(self, i: Scalar, mask: Vector) -> Vector:
        return self.block.load(self.block.address(self.given["vectors"], (i, 1)), mask) > 0.0

    def _norm(self) -> list[Vector]:
        """The factor of clip_norm, if there is one."""
        if "clip_norm" not in self.kinds:
            return []
        block, place = self.block, self.kinds.index("clip_norm")
        limit = self.fixed[sum(count[0] for count in self.counts[:place])]

        def before(i: Scalar, mask: Vector) -> Vector:
            g, settings = self._gradient(i, mask), iter(self.fixed)
            for kind in self.kinds[:place]:
                g, _ = _apply(block, kind, g, g, settings, iter(()), iter(()), [])
            return g

        def most(i: Scalar, mask: Vector, found: list[Vector]) -> Sequence[Vector]:
            g = abs(before(i, mask))
            return [block.select(g > found[0], g, found[0])]

        (most_of_each,) = self._vectors(self.given["n"], most, [block.constant(0.0)])
        largest = block.spread(block.reduce(lambda a, b: block.select(a > b, a, b), most_of_each))
        safe = block.select(largest.equals(0.0), block.constant(1.0), largest)

        def squares(i: Scalar, mask: Vector, found: list[Vector]) -> Sequence[Vector]:
            g = before(i, mask) / safe
            return [block.fma(g, g, found[0])]

        (found,) = self._vectors(self.given["n"], squares, [block.constant(0.0)])
        norm = largest * block.unary("sqrt", block.spread(block.sum(found)))
        return [block.select(norm > limit, limit / norm, block.constant(1.0))]

    def _rule(self, numbers: list[Vector], factors: list[Vector]) -> Vector:
        """Theta and states after the step, to their other places; NaN somewhere if one is not finite."""
        block = self.block
        state, after = (self._load("ptr", self.at[name]) for name in ("state", "after"))
        rate = numbers[0]

        def body(i: Scalar, mask: Vector, flags: list[Vector]) -> Sequence[Vector]:
            w = block.load(block.address(self.given["theta"], (i, 1)), mask)
            g = self._gradient(i, mask)
            live = self._is_live(i, mask) if self.frozen else None
            watched = [g]
            settings, numbers_left, factors_left = iter(self.fixed), iter(numbers[1:]), iter(factors)
            states, vectors = 0, int(self.frozen)
            for kind, (_, n_vectors, n_states, _) in zip(self.kinds, self.counts, strict=True):
                old = [self._of(state, states + s, i, mask) for s in range(n_states)]
                given = [self._of(self.given["vectors"], vectors + v, i, mask) for v in range(n_vectors)]
                of_step = factors_left if kind == "clip_norm" else numbers_left
                if kind == "clip_norm":
                    next(settings)
                g, new = _apply(block, kind, g, w, settings, iter(given), of_step, old)
                for s, (x, before) in enumerate(zip(new, old, strict=True)):
                    kept = x if live is None else block.select(live, x, before)
                    watched.append(kept)
                    block.store(kept, self._place(after, states + s, i), mask)
                states, vectors = states + n_states, vectors + n_vectors
            moved = w - rate * g
            if live is not None:
                moved = block.select(live, moved, w)
            block.store(moved, block.address(self.given["next"], (i, 1)), mask)
            bits = block.bits(flags[0])
            for x in (*watched, moved):
                bits = bits | block.bits(block.select(mask, x * 0.0, 0.0))
            return [block.real(bits)]

        (found,) = self._vectors(self.given["n"], body, [block.constant(0.0)])
        return found

    def _place(self, base: str, k: int, i: Scalar) -> str:
        return self.block.address(base, (self.block.operation(f"mul i64 {self.given['stride']}, {k}"), 1), (i, 1))

    def _of(self, base: str, k: int, i: Scalar, mask: Vector) -> Vector:
        return self.block.load(self._place(base, k, i), mask)

    def _commit(self, k: Scalar) -> None:
        block = self.block
        self._copy(self.given["n"], self.given["next"], self.given["theta"])
        self._copy(self.given["n"], self.given["total"], self.given["taken"])
        state, after = (self._load("ptr", self.at[name]) for name in ("state", "after"))
        block.lines += [
            f"  store ptr {after}, ptr {self.at['state']}, align 8",
            f"  store ptr {state}, ptr {self.at['after']}, align 8",
            f"  store i64 {block.operation(f'add i64 {k}, 1')}, ptr {self.at['done']}, align 8",
        ]


@cache
def _code(kinds: tuple[str, ...], counts: tuple[tuple[int, int, int, int], ...], frozen: bool, more: bool) -> Any:
    code = jit.compile_text(_Writer(kinds, counts, frozen, more, jit.llvm_version()).module.close())
    return code.function("steps", ctypes.c_void_p)


# --- the order of an epoch ------------------------------------------------------------------------------------

SHUFFLE = """
declare i32 @llvm.ctlz.i32(i32, i1)

define void @shuffle(ptr %order, ptr %words, i64 %count, ptr %left) nounwind {
entry:
  %start = load i64, ptr %left, align 8
  br label %head
head:
  %i = phi i64 [%start, %entry], [%next, %body]
  %p = phi i64 [0, %entry], [%further, %body]
  %some = icmp sgt i64 %i, 0
  %more = icmp slt i64 %p, %count
  %go = and i1 %some, %more
  br i1 %go, label %body, label %done
body:
  %at = getelementptr i32, ptr %words, i64 %p
  %word = load i32, ptr %at, align 4
  %n = add i64 %i, 1
  %n32 = trunc i64 %n to i32
  %shift = call i32 @llvm.ctlz.i32(i32 %n32, i1 true)
  %drawn = lshr i32 %word, %shift
  %wide = zext i32 %drawn to i64
  %good = icmp sle i64 %wide, %i
  %j = select i1 %good, i64 %wide, i64 %i
  %to.i = getelementptr i64, ptr %order, i64 %i
  %to.j = getelementptr i64, ptr %order, i64 %j
  %a = load i64, ptr %to.i, align 8
  %b = load i64, ptr %to.j, align 8
  store i64 %b, ptr %to.i, align 8
  store i64 %a, ptr %to.j, align 8
  %one = zext i1 %good to i64
  %next = sub i64 %i, %one
  %further = add i64 %p, 1
  br label %head
done:
  store i64 %i, ptr %left, align 8
  ret void
}
"""
"""random.Random.shuffle on words of 32 bits: j below n is drawn from the first bits of a word, as many as n has, and
drawn again where that is too much (then i is exchanged with itself here)."""


def shuffled(n: int, words: Callable[[int], bytes]) -> Array:
    """The numbers below n (at most 2**31) in the order in which `shuffle` of a generator leaves them.

    Args:
        n: how many.
        words: n words of 32 bits, as that generator draws next.
    """
    order, left = np.arange(n, dtype=np.int64), ctypes.c_int64(n - 1)  # NumPy 1 takes 32 bits on Windows
    while left.value > 0:
        drawn = np.frombuffer(words(left.value + left.value // 2 + 16), np.uint32)
        _shuffle()(order.ctypes.data, drawn.ctypes.data, len(drawn), ctypes.addressof(left))
    return order


@cache
def _shuffle() -> Any:
    return jit.compile_text(SHUFFLE).function("shuffle", *[ctypes.c_void_p] * 2, ctypes.c_int64, ctypes.c_void_p)


def address(array: Array) -> int:
    """Where an array is. (`array.ctypes` leaves small objects behind until ctypes clears them.)"""
    return array.__array_interface__["data"][0]  # type: ignore[no-any-return]


# --- what is called -------------------------------------------------------------------------------------------


class Steps:
    """See stepping.Stepper.

    Args:
        runners: of the program, and of the penalty if there is one; nobody else runs them.
        updates, live, ranges: see stepping.stepper.

    Raises:
        Refused: the program has steps in Python, or does not depend on the parameters.
    """

    def __init__(
        self, runners: Sequence[Any], updates: Sequence[Any], live: Array | None, ranges: Sequence[tuple[int, int]],
        counts: Sequence[tuple[int, int, int, int]],
    ) -> None:  # fmt: skip
        kinds = tuple(update.kind for update in updates)
        place = kinds.index("clip_norm") if "clip_norm" in kinds else 0
        if kinds.count("clip_norm") > 1 or any(kind not in UNTIL_NORM for kind in kinds[:place]):
            raise Refused("a norm of what has a state")
        self.runners, self.n = runners, ranges[-1][1]
        for runner in runners:
            slope, theta = runner.code.nests.outputs[-1], [x for x in runner.code.nests.inputs if x.kind == "theta"]
            if not runner.code.whole or slope.batched or slope.size != self.n or not theta:
                raise Refused("steps in Python, or no gradient")
        first = runners[0]
        outputs = first.code.nests.outputs[:-1]
        if not all(x.batched and x.size == 1 for x in outputs) or first.unbatched_inputs or not first.batched_inputs:
            raise Refused("a result or an argument without rows")
        self.code = _code(kinds, tuple(counts), live is not None, len(runners) > 1)
        stride = -(-self.n // PAD) * PAD
        given = [vector for update in updates for vector in update.vectors]
        self.vectors = np.zeros((len(given) + 1, stride))
        for k, vector in enumerate([*([] if live is None else [live]), *given]):
            self.vectors[k, : self.n] = vector
        self.settings = np.array([*(x for update in updates for x in update.settings), 0.0])
        self.states = np.zeros((2, max(sum(count[2] for count in counts), 1), stride))
        self.total, self.taken, self.next = (np.zeros(stride) for _ in range(3))
        self.ranges = np.array([(start, stop - start) for start, stop in ranges], np.int64)
        self.job = np.zeros(len(AT), np.int64)
        job = self.job
        for name in ("total", "taken", "next", "settings", "vectors", "ranges"):
            job[AT[name]] = address(getattr(self, name))
        for prefix, runner in zip(("", "more_"), runners, strict=False):
            start: int = address(runner.memory.arena)
            offset = next(x.offset for x in runner.code.nests.inputs if x.kind == "theta")
            job[AT[f"{prefix}run"]] = runner.code.code.address("run")
            job[AT[f"{prefix}flagged"]] = ctypes.addressof(runner.memory.flagged)
            job[AT[f"{prefix}context"]] = runner.memory.address
            job[AT[f"{prefix}theta"]] = start + 8 * offset
            job[AT[f"{prefix}slope"]] = start + 8 * runner.code.nests.outputs[-1].offset
        if len(runners) > 1:
            job[AT["more_value"]] = address(runners[1].memory.arena) + 8 * runners[1].code.nests.outputs[0].offset
        for name, size in (("n", self.n), ("stride", stride), ("range_count", len(ranges)),
                           ("output_count", len(outputs))):  # fmt: skip
            job[AT[name]] = size
        self.address = address(job)
        self._bound: tuple[Any, ...] | None = None

    def __call__(self, job: Any, constants: Sequence[Array]) -> tuple[int, Array, list[Array], Array]:
        """Take steps: see stepping.Stepper. `constants` are those of each runner."""
        if job.batch > RUN:
            return 0, job.theta, list(job.states), None
        n, job_entries = self.n, self.job
        for runner, its in zip(self.runners, constants, strict=True):
            runner.bind_constants(its)
        self._bind_inputs(job.inputs, job.batch)
        theta = self.runners[0].theta
        theta[:] = job.theta
        now, after = self.states
        for k, state in enumerate(job.states):
            now[k, :n] = state
        start = address(self.states)
        for name, place in (("state", start), ("after", start + now.nbytes), ("numbers", address(job.numbers)),
                            ("order", address(job.order)), ("outputs", address(job.outputs)),
                            ("squares", address(job.squares)), ("penalties", address(job.penalties))):  # fmt: skip
            job_entries[AT[name]] = place
        for name, size in (("batch", job.batch), ("rows", len(job.order)), ("first", job.first),
                           ("count", job.numbers.shape[1]), ("done", 0)):  # fmt: skip
            job_entries[AT[name]] = size
        self.code(self.address)
        states = now if job_entries[AT["state"]] == start else after
        return (int(job_entries[AT["done"]]), theta.copy(), [states[k, :n].copy() for k in range(len(job.states))],
                self.taken[:n].copy())  # fmt: skip

    def _bind_inputs(self, inputs: Sequence[Array], batch: int) -> None:
        """Where the rows come from, and where those of a batch go."""
        if self._bound is not None and self._bound[1] == batch and all(map(is_, self._bound[0], inputs)):
            return
        first = self.runners[0]
        used = [inputs[k] for k in first.batched_inputs]
        widths = [x.size // len(x) for x in used]
        buffers = [np.zeros((batch, width)) for width in widths]
        rows = [(address(x), address(to), width) for x, to, width in zip(used, buffers, widths, strict=True)]
        table, slots = np.array(rows, np.int64), np.array(first.slots(buffers), np.int64)
        for name, value in (("inputs", address(table)), ("slots", address(slots)), ("input_count", len(used))):
            self.job[AT[name]] = value
        self._bound = tuple(inputs), batch, buffers, table, slots
