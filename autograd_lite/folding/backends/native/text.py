"""The text of a program in LLVM IR: its nests cut into functions, and the functions that are called from Python.

    program = Program(nests, DOUBLE, avx512=True, version=22)
    program.module.close()       # functions run, or before, runs and after, or the parts between steps in Python

All functions of a section take the arena, the tables, a table of pointers to the inputs, the first row of the block and
the number of rows. Those that are called from Python take a context, a table of 64 bits an entry: see CONTEXT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan

from autograd_lite.folding.backends.native.emit import Block, Module, Number, Scalar, Vector
from autograd_lite.folding.backends.native.following import Followed, joined
from autograd_lite.folding.backends.native.nests_to_ir import Emitter, Frame
from autograd_lite.folding.nests import RUN, Loop, Nest, Nests, Output, PythonStep, Recurrence

SECTION = "ptr %arena, ptr %tables, ptr %bases, i64 %first, i64 %rows"

CONTEXT = ("arena", "tables", "partials", "flagged", "count", "answer")
"""The first entries of a context: three pointers, whether a number that was watched was not finite, and for `again` the
number of rows and what it finds. Then for each output a pointer to where its rows go, or 0 if it has none or their mean
is wanted; then for each input its array."""


class Program:
    """The text of Nests.

    Args:
        nests: the loops.
        number: what the arena consists of.
        avx512: whether the code is for machines that have it.
        version: of LLVM.
        doubts: whether a NaN in an output is a reason not to trust it.
    """

    def __init__(self, nests: Nests, number: Number, avx512: bool, version: int, doubts: bool = False) -> None:
        self.nests: Nests = nests
        self.frame: Frame = Frame(nests, 24 if avx512 else 6, doubts, nests.arena, self._steps())
        self.module: Module = Module(number, version=version, avx512=avx512)
        self.parts: dict[str, list[str | PythonStep]] = {
            name: self._section(name) for name in ("prologue", "body", "epilogue")
        }
        """The sections: names of functions, and the steps in Python between them."""
        for k, output in enumerate(nests.outputs):
            if output.batched:
                self._of_rows(k, output)
        self._drivers()

    def _steps(self) -> frozenset[int]:
        """How many steps each loop has that runs step by step."""
        every = (*self.nests.prologue, *self.nests.body, *self.nests.epilogue)
        return frozenset(nest.steps for nest in every if isinstance(nest, (Loop, Recurrence)))

    def _section(self, name: str) -> list[str | PythonStep]:
        parts: list[str | PythonStep] = []
        steps: list[Callable[[Block], None]] = []

        def close() -> None:
            if steps:
                parts.append(f"{name}{len(parts)}")
                self.module.sequence(f"{name}{len(parts) - 1}", SECTION, steps)
                steps.clear()

        for nest in joined(getattr(self.nests, name), self.nests):
            if isinstance(nest, PythonStep):
                close()
                parts.append(nest)
            else:
                steps.append(lambda block, nest=nest: self._emit(block, nest))  # type: ignore[misc]
        close()
        return parts

    def _emit(self, block: Block, nest: Nest | Followed) -> None:
        """One nest; a recurrence without rows is a function of its own, of vectors of one number."""
        if isinstance(nest, Recurrence) and not nest.rows:
            name = f"recurrence{len(self.module.functions)}"
            block.lines.append(f"  call void @{name}({SECTION})")
            block = self.module.function(name, SECTION, internal=True, lanes=1)
        Emitter(self.frame, block).emit(nest)

    # -- what calls the sections

    def _of_rows(self, k: int, output: Output) -> None:
        """The functions for the end of the body: rows of an output to where they are wanted, or to their sums."""
        block = self.module.function(f"rows{k}", f"{SECTION}, ptr %out", internal=True)
        Emitter(self.frame, block).doubt([output])
        Emitter(self.frame, block).rows_out(output)
        if output.mean is not None:
            block = self.module.function(f"mean{k}", SECTION, internal=True)
            Emitter(self.frame, block).doubt([output])
            Emitter(self.frame, block).emit(output.mean)

    def _context(self, block: Block) -> None:
        """The names of a section's parameters, taken from a context."""
        for k, name in enumerate(CONTEXT):
            block.lines.append(f"  %at.{name} = getelementptr i64, ptr %context, i64 {k}")
            if name not in ("flagged", "count", "answer"):
                block.lines.append(f"  %{name} = load ptr, ptr %at.{name}, align 8")
        outs = len(CONTEXT)
        block.lines += [
            f"  %outs = getelementptr i64, ptr %context, i64 {outs}",
            f"  %bases = getelementptr i64, ptr %context, i64 {outs + len(self.nests.outputs)}",
        ]

    def _call(self, block: Block, section: str, first: Scalar) -> None:
        for part in self.parts[section]:
            assert isinstance(part, str)
            block.lines.append(f"  call void @{part}({SECTION.replace('%first', str(first))})")

    def _drivers(self) -> None:
        """The functions that are called from Python.

        run(context, rows) does everything, for a batch of at most one run, and again(context) does the same with as
        little for Python to do as can be: it leaves the first result, or NaN where that is not to be trusted, in the
        context. For more rows there are before(context, rows), runs(context, start, stop, rows) and after(context,
        rows). Where there are steps in Python, there is a function for each part between them, `ends` for the end of a
        block, and `last` for the end of all.
        """
        if not all(isinstance(part, str) for parts in self.parts.values() for part in parts):
            self._alone()
            return
        block = self._driver("run", "i64 %rows")
        emitter = Emitter(self.frame, block)
        emitter.clear_flag()
        self._call(block, "prologue", 0)
        if self.nests.body:
            emitter.clear_sums()
            self._loop_of_blocks(block, 0, "%rows")
            emitter.means()
        self._call(block, "epilogue", 0)
        emitter.report_flag(last=True)
        self._again()
        if self.nests.body:
            block = self._driver("before", "i64 %rows")
            Emitter(self.frame, block).clear_flag()
            self._call(block, "prologue", 0)
            block = self._driver("runs", "i64 %start, i64 %stop, i64 %rows")
            self._loop_of_runs(block)
            Emitter(self.frame, block).report_flag()
            block = self._driver("after", "i64 %rows")
            Emitter(self.frame, block).means()
            self._call(block, "epilogue", 0)
            Emitter(self.frame, block).report_flag(last=True)

    def _again(self) -> None:
        block, first = self._driver("again", ""), self.nests.outputs[0]
        block.lines.append(f"  call void @run(ptr %context, i64 {block.operation('load i64, ptr %at.count, align 8')})")
        number = block.number.name
        at = block.address("%arena", (first.total if first.batched else first.offset, 1))
        value = block.operation(f"load {number}, ptr {at}, align {block.number.bits // 8}")
        doubted = block.operation(f"icmp ne i64 {block.operation('load i64, ptr %at.flagged, align 8')}, 0")
        answer = block.operation(f"select i1 {doubted}, {number} {block.number.literal(nan)}, {number} {value}")
        block.store_one(answer, "%at.answer")

    def _alone(self) -> None:
        for parts in self.parts.values():
            for part in parts:
                if isinstance(part, str):
                    block = self._driver(f"{part}.alone", "i64 %first, i64 %rows")
                    block.lines.append(f"  call void @{part}({SECTION})")
        self._end_of_block(self._driver("ends", "i64 %first, i64 %rows"), "%first")
        Emitter(self.frame, self._driver("means", "i64 %first, i64 %rows")).means()
        Emitter(self.frame, self._driver("last", "i64 %first, i64 %rows")).report_flag(last=True)

    def _driver(self, name: str, parameters: str) -> Block:
        """A function that is called from Python."""
        block = self.module.function(name, f"ptr %context, {parameters}" if parameters else "ptr %context")
        self._context(block)
        return block

    def _loop_of_blocks(self, block: Block, start: Scalar, stop: Scalar) -> None:
        """The body for the blocks between two rows, of which there is at least one."""
        rows = block.operation(f"sub i64 {stop}, {start}")

        def one(i: Scalar, _: list[Vector]) -> Sequence[Vector]:
            first = block.operation(f"add i64 {start}, {i}")
            self._call(block, "body", first)
            self._end_of_block(block, first)
            return ()

        block.loop(rows, self.nests.block, one)

    def _end_of_block(self, block: Block, first: Scalar) -> None:
        """The rows of each output to where they are wanted, or to their sums."""
        section = SECTION.replace("%first", str(first))
        for k, output in enumerate(self.nests.outputs):
            if not output.batched:
                continue
            at = block.operation(f"getelementptr i64, ptr %outs, i64 {k}")
            out = block.operation(f"load ptr, ptr {at}, align 8", pure=False)
            wanted = block.operation(f"icmp ne ptr {out}, null")
            block.when(wanted, lambda k=k, out=out: block.lines.append(  # type: ignore[misc]
                f"  call void @rows{k}({section}, ptr {out})"
            ))  # fmt: skip
            if output.mean is not None:
                averaged = block.operation(f"icmp eq ptr {out}, null")
                block.when(averaged, lambda k=k: block.lines.append(  # type: ignore[misc]
                    f"  call void @mean{k}({section})"
                ))  # fmt: skip

    def _loop_of_runs(self, block: Block) -> None:
        """The runs %start to %stop, each with its sums in `partials`."""
        start, stop = self.nests.sums
        emitter = Emitter(self.frame, block)
        count = block.operation("sub i64 %stop, %start")

        def one(i: Scalar, _: list[Vector]) -> Sequence[Vector]:
            emitter.clear_sums()
            first = block.operation(f"mul i64 {block.operation(f'add i64 %start, {i}')}, {RUN}")
            end = emitter.least(block.operation(f"add i64 {first}, {RUN}"), "%rows")
            self._loop_of_blocks(block, first, end)

            def copy(j: Scalar, _: list[Vector]) -> Sequence[Vector]:
                x = block.load(block.address("%arena", (start, 1), (j, 1)))
                block.store(x, block.address("%partials", (i, stop - start), (j, 1)))
                return ()

            block.loop(stop - start, block.lanes, copy)
            return ()

        block.loop(count, 1, one)
