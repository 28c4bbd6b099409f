"""The NumPy backend: a Plan as a list of calls on preallocated arrays.

Everything is decided when the runner is made: each step is a function with its arguments, which are views of
buffers. A run binds the leaves and calls the steps. The text of a row is what is evaluated, operation by
operation; a branch of a `where` that no lane takes is not computed.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeGuard

import numpy as np

from autograd_lite.engine.kernels import CONSTANTS
from autograd_lite.engine.rules import FLOATS, TABLE, Row
from autograd_lite.folding.backends.kernels import KERNELS, has_nan, matrix_product, product
from autograd_lite.folding.backends.overflow import Term, mend_mean, mend_sum
from autograd_lite.folding.backends.strides import chunk, common, cut, pattern, strided, table_view
from autograd_lite.folding.contractions import Form
from autograd_lite.folding.instructions import Instruction, Part, Ref
from autograd_lite.folding.plan import Plan

Array = Any

Step = tuple[Callable[..., Any], tuple[Any, ...]]

BINARY: dict[type, Callable[..., Any]] = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply}

TESTS: dict[type, Callable[..., Any]] = {
    ast.Lt: np.less, ast.LtE: np.less_equal, ast.Gt: np.greater, ast.GtE: np.greater_equal, ast.Eq: np.equal,
}  # fmt: skip

WIDE = 32

SUMMING = ("add", "subtract", "reduce", "matmul")
"""What NumPy calls the functions that sum (`reduceat` among them)."""

FEW = 32
"""Rows of so few products are added up by BLAS, as a product with ones, at half the time of einsum."""

NAMED_TESTS = {"less": ast.Lt, "less_equal": ast.LtE, "greater": ast.Gt, "greater_equal": ast.GtE, "equal": ast.Eq}


def prepare(plan: Plan, rows: int | None = None, careful: bool = False, dtype: Any = float) -> Runner:
    """A runner of a plan, for a batch of this many rows if there is a batch axis."""
    return Runner(plan, rows, careful, dtype)


@cache
def parsed(text: str) -> ast.expr:
    """A rule as a syntax tree."""
    return ast.parse(text, mode="eval").body


class _Overflow:
    """Hears of overflows; only that of a sum matters. A step may hold it, but not its runner: that were a cycle."""

    seen = False

    def write(self, message: str) -> None:
        """NumPy's report, which names the function."""
        self.seen = self.seen or any(f" in {name}" in message for name in SUMMING)


@cache
def rule_tree(row: Row, slot: int) -> ast.expr:
    """The result of a row (slot -1), or one of its partials, as a syntax tree."""
    return parsed(str(row.forward) if slot < 0 else row.partial_texts()[slot])


class Runner:
    """See `prepare`. It holds its buffers, so one thread at a time may run it."""

    def __init__(self, plan: Plan, rows: int | None, careful: bool, dtype: Any) -> None:
        self.careful, self.dtype, self.rows = careful, dtype, rows
        self.steps: list[Step] = []
        self.leaves: dict[str, Array] = {}
        self.arrays: list[Array] = []
        self.scratch: dict[Any, list[Array]] = {}
        self.in_use: list[tuple[Any, Array]] = []
        self.gathered: dict[Any, Array] = {}
        self.bound: Array = None
        self.bytes = 0
        """What its buffers take."""
        self.overflow = _Overflow()
        self.plan = plan
        for instruction, its_forms in zip(plan.instructions, plan.forms, strict=True):
            self._instruction(instruction, its_forms)
            if careful:
                self._mend(instruction)
            self._release()
        self.outputs = [self._flat(ref) for ref in plan.outputs]

    def __call__(self, leaves: dict[str, Array]) -> list[Array]:
        """Run; the outputs are views of buffers, to be copied before the next run."""
        self.overflow.seen = False
        with np.errstate(all="ignore", over="log", call=self.overflow):
            for name, buffer in self.leaves.items():
                if name == "constants":
                    if leaves[name] is self.bound:
                        continue
                    self.bound = None  # an interrupt may come while they are copied
                    buffer[...] = leaves[name]
                    self.bound = leaves[name]
                else:
                    buffer[...] = leaves[name]
            for function, arguments in self.steps:
                function(*arguments)
        return self.outputs

    @property
    def overflowed(self) -> bool:
        """Whether a sum left the range of floats in the last run."""
        return self.overflow.seen

    def _mend(self, x: Instruction) -> None:
        """Steps that make a sum good which overflowed on the way to a result that does not."""
        if x.op == "sum":
            self._do(mend_sum, self.arrays[-1], self._terms(x))
        elif x.name == "mean":
            (source, lanes), shares = x.args[0], x.args[1]
            total = self.plan.instructions[source]
            if total.op == "sum":
                lanes = np.arange(total.size) if lanes is None else lanes
                self._do(mend_mean, self.arrays[-1], self._terms(total), lanes, self._flat(shares))

    def _terms(self, x: Instruction) -> list[Term]:
        return [
            Term(
                part.kind, part.factor, part.to, self.arrays[part.left.source], self._lanes(part.left),
                None if part.right is None else self.arrays[part.right.source],
                None if part.right is None else self._lanes(part.right),
            )
            for part in x.parts
        ]  # fmt: skip

    # -- arrays

    def _empty(self, shape: Sequence[int], dtype: Any = None) -> Array:
        made = np.empty(tuple(shape), dtype or self.dtype)
        self.bytes += made.nbytes
        return made

    def _zeros(self, shape: Sequence[int]) -> Array:
        made = np.zeros(shape, self.dtype)
        self.bytes += made.nbytes
        return made

    def _temporary(self, shape: Sequence[int], dtype: Any = None) -> Array:
        """An array for use within one instruction."""
        key = (tuple(shape), dtype or self.dtype)
        free = self.scratch.setdefault(key, [])
        array = free.pop() if free else self._empty(*key)
        self.in_use.append((key, array))
        return array

    def _release(self) -> None:
        for key, array in self.in_use:
            self.scratch[key].append(array)
        self.in_use.clear()

    def _do(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.steps.append((function, arguments))

    def _shape(self, size: int, batched: bool) -> tuple[int, ...]:
        return (size, self.rows) if batched and self.rows is not None else (size,)

    def _table(self, ref: Ref, table: Array | None, wants_blas: bool = False) -> Array:
        """The lanes of a table, as a view or gathered."""
        array = self.arrays[ref.source]
        if table is None:
            return array
        view = table_view(array, table)
        if view is not None and (not wants_blas or _suits_blas(view)):
            return view
        key = (ref.source, table.shape, table.tobytes())
        if key not in self.gathered:
            buffer = self.gathered[key] = self._empty((*table.shape, *array.shape[1:]), array.dtype)
            self._take(array, table, buffer)
        return self.gathered[key]

    def _take(self, array: Array, table: Array, buffer: Array) -> None:
        """Gather lanes; a few side by side at once where the table runs that way."""
        width = chunk(table.ravel(), len(array)) if array.ndim == 1 and array.flags.c_contiguous else 1
        if width > 1:
            array, buffer = array.reshape(-1, width), buffer.reshape(-1, width)
            table = np.ascontiguousarray(table.ravel()[::width] // width)
        self._do(np.take, array, table, 0, buffer, "clip")

    def _flat(self, ref: Ref) -> Array:
        return self._table(ref, ref.lanes)

    # -- instructions

    def _instruction(self, x: Instruction, its_forms: tuple[tuple[Form, ...], ...]) -> None:
        if x.op == "=":
            self.arrays.append(self._flat(x.args[0]))
            return
        if x.op == "literal":
            self.arrays.append(np.asarray(x.values, self.dtype))
            return
        shape = self._shape(x.size, x.batched)
        if x.op == "leaf":
            # Wide examples stay row by row, as they come: copying them is then no transposition, and BLAS takes both.
            wide = len(shape) == 2 and x.size >= WIDE
            self.arrays.append(self._zeros(shape[::-1]).T if wide else self._zeros(shape))
            self.leaves[x.name] = self.arrays[-1]
            return
        out = self._zeros(shape)
        if x.op == "sum":
            self._sum(x, its_forms, out)
        elif x.counts is not None:
            self._reduction(x, out)
        else:
            self._elementwise(x, out)
        self.arrays.append(out)

    def _reduction(self, x: Instruction, out: Array) -> None:
        counts = x.counts
        assert counts is not None
        elements = self._flat(x.args[0])
        reduce = {"max": np.maximum, "min": np.minimum}.get(x.op)
        if (counts == counts[0]).all():
            table = elements.reshape(len(counts), int(counts[0]), *elements.shape[1:])
            if reduce is not None:
                self._do(reduce.reduce, table, 1, None, out)
            else:
                self._do(_norm, table, 1, out)
            return
        starts = np.cumsum(counts) - counts
        if reduce is not None:
            self._do(reduce.reduceat, elements, starts, 0, None, out)
        else:
            self._do(_norms, elements, starts, counts, out)

    def _aligned(self, refs: Sequence[Any], batched: bool) -> tuple[list[int], list[Any]]:
        """Operands as views of one shape, gathered where they must be; numbers and None stay what they are."""
        if all(len(ref.lanes) == 1 if ref.lanes is not None else len(self.arrays[ref.source]) == 1
               for ref in refs if isinstance(ref, Ref)):  # fmt: skip
            return [1], [self._lane(ref, batched) if isinstance(ref, Ref) else ref for ref in refs]
        dims: list[tuple[Any, Any]] = []
        for ref in refs:
            found: Any = None
            if isinstance(ref, Ref):
                size = len(self.arrays[ref.source])
                found = (0, [(size, 1)]) if ref.lanes is None else pattern(ref.lanes)
                if found is None:
                    assert ref.lanes is not None
                    found = (0, [(len(ref.lanes), 1)])
                    dims.append((self._table(ref, ref.lanes), found))
                    continue
            dims.append((None if found is None else self.arrays[ref.source], found))
        shape = common([found[1] for _, found in dims if found])
        if shape is None:  # the runs do not nest: gather all but the longest
            dims = [
                (self._gather(ref), (0, [(len(self._lanes(ref)), 1)])) if isinstance(ref, Ref) else (None, None)
                for ref in refs
            ]
            shape = common([found[1] for _, found in dims if found])
            assert shape is not None
        views = []
        for ref, (array, found) in zip(refs, dims, strict=True):
            if found is None:
                views.append(ref)
                continue
            view = strided(array, found[0], shape, cut(found[1], shape))
            views.append(view[..., None] if batched and array.ndim == 1 and self.rows is not None else view)
        return shape, views

    def _lane(self, ref: Ref, batched: bool) -> Array:
        """A single lane, as a view: what `_aligned` finds, without the search."""
        first = 0 if ref.lanes is None else int(ref.lanes[0])
        view = self.arrays[ref.source][first : first + 1]
        return view[:, None] if batched and view.ndim == 1 else view

    def _lanes(self, ref: Ref) -> Array:
        return np.arange(len(self.arrays[ref.source])) if ref.lanes is None else ref.lanes

    def _gather(self, ref: Ref) -> Array:
        if ref.lanes is None:
            return self.arrays[ref.source]
        array = self.arrays[ref.source]
        buffer = self._empty((len(ref.lanes), *array.shape[1:]), array.dtype)
        self._take(array, ref.lanes, buffer)
        return buffer

    def _elementwise(self, x: Instruction, out: Array) -> None:
        batched = x.batched and self.rows is not None
        shape, views = self._aligned(x.args, batched)
        target = out.reshape((*shape, *out.shape[1:]))
        row = TABLE[x.op]
        if x.op in ("_chain", "_masked") and x.slot < 0:
            self.steps.append((product, (x.op, *views, target)) if self.careful else (np.multiply, (*views, target)))
            return
        rule = row.forward if x.slot < 0 else row.partials
        if row.name == "where" and x.slot < 0:
            self._do(KERNELS["where"], *views, target)
            return
        if not isinstance(rule, str) and row.name not in KERNELS:
            self._do(_lane_by_lane, _scalar_rule(row, x.slot), views, target)
            return
        names = row.operands if x.slot < 0 else (*row.operands, "out")
        code = _Code(self, target.shape, x.slot >= 0 and not self.careful)
        code.into(target, rule_tree(row, x.slot), dict(zip(names, views, strict=True)))

    # -- sums

    def _sum(self, x: Instruction, its_forms: tuple[tuple[Form, ...], ...], out: Array) -> None:
        rank = {"matmul": 0, "rows": 1, "segments": 2, "each": 3}
        work = [(form, part) for part, found in zip(x.parts, its_forms, strict=True) for form in found]
        work.sort(key=lambda item: (rank[item[0].what], -item[0].to.size))
        written = np.zeros(x.size, bool)  # a lane that none reaches keeps the 0 that buffers begin with
        for form, part in work:
            lanes = form.to.ravel()
            seen = written[lanes]
            fresh = not seen.any()
            if not fresh and not seen.all():
                new = lanes[~seen]
                self._do(out.__setitem__, new, 0.0)
            written[lanes] = True
            count = len(self.arrays)
            batched = out.ndim > 1
            if batched and not any(self.arrays[r.source].ndim > 1 for r in (part.left, part.right) if r is not None):
                once = self._temporary((x.size,))  # the same for every row: computed once, and spread
                if not fresh:
                    self._do(once.fill, 0.0)
                getattr(self, f"_{form.what}")(part, form, once, True, False)
                if fresh:
                    self._do(_spread, out, lanes, once)
                else:
                    self._do(np.add, out, once[:, None], out)
            else:
                getattr(self, f"_{form.what}")(part, form, out, fresh, batched)
            if len(self.arrays) > count:  # what a form added for itself
                del self.arrays[count:]
                self.gathered = {key: array for key, array in self.gathered.items() if key[0] < count}

    def _operand(self, ref: Ref, reduce: bool) -> Ref:
        """An operand; summed over the batch axis first if asked for and if it has one."""
        array = self.arrays[ref.source]
        if not reduce or array.ndim == 1:
            return ref
        summed = self._empty((len(array),))
        self._do(np.add.reduce, array, -1, None, summed)
        self.arrays.append(summed)
        return Ref(len(self.arrays) - 1, ref.lanes)

    def _reduced(self, part: Part, batched: bool) -> tuple[Ref, Ref | None]:
        """The operands of a part; where the batch axis is summed over and only one has it, that one is summed first."""
        left, right = part.left, part.right
        if batched or self.rows is None:
            return left, right
        both = right is not None and self.arrays[left.source].ndim > 1 and self.arrays[right.source].ndim > 1
        if not both:
            left = self._operand(left, True)
            right = None if right is None else self._operand(right, True)
        return left, right

    def _product(self, kind: str, a: Array, b: Array, out: Array) -> None:
        if self.careful and kind != "mul":
            self._do(product, kind, a, b, out)
        else:
            self._do(np.multiply, a, b, out)

    def _each(self, part: Part, form: Form, out: Array, fresh: bool, batched: bool) -> None:
        count = len(self.arrays)
        self.arrays.append(out)
        to = Ref(count, form.to)
        left, right = self._reduced(part, batched)
        left = Ref(left.source, form.left)
        right = None if right is None else Ref(right.source, form.right)
        patterns = [pattern(ref.lanes) for ref in (to, left, right) if ref is not None and ref.lanes is not None]
        if patterns[0] is not None and common([found[1] for found in patterns if found]) is not None:
            _, (target, a, b) = self._aligned([to, left, right], batched)
        else:
            _, (a, b) = self._aligned([left, right], batched)
            target = None
        shape = np.broadcast_shapes(a.shape, a.shape if b is None else b.shape)
        if target is not None:
            shape = target.shape
        if right is not None or target is None:
            result = target if fresh and target is not None else self._temporary(shape)
            if right is None:
                self._do(np.copyto, result, a)
            else:
                self._product(part.kind, a, b, result)
            if part.factor != 1.0:
                self._do(np.multiply, result, part.factor, result)
            if result is not target:
                self._store(result, out, form.to, target, fresh)
        elif part.factor == 1.0:
            self.steps.append((np.copyto, (target, a)) if fresh else (np.add, (target, a, target)))
        elif part.factor == -1.0:
            self.steps.append((np.negative, (a, target)) if fresh else (np.subtract, (target, a, target)))
        elif fresh:
            self._do(np.multiply, a, part.factor, target)
        else:
            result = self._temporary(shape)
            self._do(np.multiply, a, part.factor, result)
            self._do(np.add, target, result, target)

    def _store(self, result: Array, out: Array, to: Array, target: Array | None, fresh: bool) -> None:
        """Put or add a result into the lanes `to`, through a view of them if there is one."""
        if target is not None:
            self.steps.append((np.copyto, (target, result)) if fresh else (np.add, (target, result, target)))
        else:
            flat = result.reshape((to.size, *out.shape[1:]))
            self._do(_scatter if fresh else _scatter_add, out, to.ravel(), flat)

    def _finish(self, part: Part, form: Form, out: Array, fresh: bool, work: Callable[[Array], None]) -> None:
        """Let `work` fill an array of the shape of form.to, straight into the lanes where that can be."""
        target = table_view(out, form.to)
        if target is not None and fresh:
            work(target)
            if part.factor != 1.0:
                self._do(np.multiply, target, part.factor, target)
            return
        result = self._temporary((*form.to.shape, *out.shape[1:]))
        work(result)
        if part.factor != 1.0:
            self._do(np.multiply, result, part.factor, result)
        self._store(result, out, form.to, target, fresh)

    def _rows(self, part: Part, form: Form, out: Array, fresh: bool, batched: bool) -> None:
        left, right = self._reduced(part, batched)
        a = self._table(left, form.left)
        b = None if right is None else self._table(right, form.right)
        width = form.left.shape[1]
        if batched:
            a = a[..., None] if a.ndim == 2 else a
            b = None if b is None else b[..., None] if b.ndim == 2 else b

        def work(target: Array) -> None:
            if b is None:
                if width <= 3:
                    self._do(np.add, a[:, 0], a[:, 1], target)
                    if width == 3:
                        self._do(np.add, target, a[:, 2], target)
                else:
                    self._do(np.add.reduce, a, 1, None, target)
            elif self.careful and part.kind != "mul":
                terms = self._temporary(np.broadcast_shapes(a.shape, b.shape))
                self._do(product, part.kind, a, b, terms)
                self._do(np.add.reduce, terms, 1 if batched or terms.ndim == 2 else (1, 2), None, target)
            elif a.ndim == 2 and width <= FEW:
                terms = self._temporary(a.shape)
                self._do(np.multiply, a, b, terms)
                self._do(np.matmul, terms, np.ones(width, self.dtype), target)
            elif a.ndim == 2:
                self._do(_einsum, self.overflow, "nk,nk->n", a, b, target)
            else:
                self._do(_einsum, self.overflow, "nkb,nkb->nb" if batched else "nkb,nkb->n", a, b, target)

        self._finish(part, form, out, fresh, work)

    def _segments(self, part: Part, form: Form, out: Array, fresh: bool, batched: bool) -> None:
        left, right = self._reduced(part, batched)
        refs = [Ref(left.source, form.left), None if right is None else Ref(right.source, form.right)]
        _, (a, b) = self._aligned(refs, batched)
        terms = a
        if b is not None:
            terms = self._temporary(np.broadcast_shapes(a.shape, b.shape))
            self._product(part.kind, a, b, terms)
        axes = out.ndim - 1
        if not batched and self._both_batched(part):
            summed = self._temporary(terms.shape[:-1])
            self._do(np.add.reduce, terms, -1, None, summed)
            terms = summed
        total = len(form.left)
        if terms.flags.c_contiguous:
            flat = terms.reshape((total, *out.shape[1:]))
        else:
            flat = self._temporary((total, *out.shape[1:]))
            self._do(np.copyto, flat.reshape((*terms.shape[: terms.ndim - axes], *out.shape[1:])), terms)
        self._finish(
            part, form, out, fresh, lambda target: self._do(np.add.reduceat, flat, form.starts, 0, None, target)
        )

    def _both_batched(self, part: Part) -> bool:
        """Whether both operands of a product have the batch axis."""
        return part.right is not None and all(self.arrays[x.source].ndim > 1 for x in (part.left, part.right))

    def _matmul(self, part: Part, form: Form, out: Array, fresh: bool, batched: bool) -> None:
        left, right = self._reduced(part, batched)
        assert right is not None
        assert form.right is not None
        left_rows, right_rows = (self.arrays[x.source].ndim > 1 for x in (left, right))
        single = form.to.shape[0] == 1
        careful = self.careful and part.kind != "mul"
        if not left_rows and not right_rows:
            a = self._table(left, form.left[0] if single else form.left, True)
            b = self._table(right, form.right[0] if single else form.right, True)

            def work(target: Array) -> None:
                self._multiply(part.kind, a, b, target, careful)

            shaped = form._replace(to=form.to[0] if single else form.to)
            self._finish(part, shaped, out, fresh, work)
        elif not batched:  # the batch axis is one more axis to sum over
            a, b = self._table(left, form.left), self._table(right, form.right)
            a, b = self._merged(a), self._merged(b)

            def work(target: Array) -> None:
                self._multiply(part.kind, a, b, target, careful)

            self._finish(part, form, out, fresh, work)
        elif left_rows and right_rows:
            a, b = self._table(left, form.left), self._table(right, form.right)

            def work(target: Array) -> None:
                if careful:
                    self._do(_careful_by_row, part.kind, a, b, target)
                else:
                    self._do(_einsum, self.overflow, "nhkb,nwkb->nhwb", a, b, target)

            self._finish(part, form, out, fresh, work)
        else:
            if left_rows:  # let the right one have the batch axis
                fixed, moving = self._table(right, form.right, True), self._table(left, form.left)
            else:
                fixed, moving = self._table(left, form.left, True), self._table(right, form.right)
            moving = self._with_unit_rows(moving)

            def work(target: Array) -> None:
                turned = target if left_rows else np.moveaxis(target, 2, 1)  # (blocks, moving, fixed, rows)
                if careful:
                    self._do(_careful_shared, part.kind, fixed, moving, turned, left_rows)
                else:
                    operands = fixed[:, None], moving, turned
                    alone = turned.shape[:2] == (1, 1)
                    self._do(np.matmul, *(x[0, 0] if alone else x for x in operands))

            self._finish(part, form, out, fresh, work)

    def _multiply(self, kind: str, a: Array, b: Array, target: Array, careful: bool) -> None:
        if careful:
            self._do(matrix_product, kind, a, b, target)
        else:
            operands = a, np.swapaxes(b, -1, -2), target
            alone = target.ndim == 3 and len(target) == 1
            self._do(np.matmul, *(x[0] if alone else x for x in operands))

    def _merged(self, array: Array) -> Array:
        """(blocks, n, K, rows) as (blocks, n, K * rows), for BLAS."""
        shape = (*array.shape[:2], array.shape[2] * array.shape[3])
        if array.shape[2] == 1:
            view = array[:, :, 0]
            if _suits_blas(view):
                return view
        elif array.flags.c_contiguous:
            return array.reshape(shape)
        copy = self._empty(array.shape)
        self._do(np.copyto, copy, array)
        return copy.reshape(shape)

    def _with_unit_rows(self, array: Array) -> Array:
        """A copy where BLAS could not read the last two axes."""
        if _suits_blas(array):
            return array
        copy = self._empty(array.shape)
        self._do(np.copyto, copy, array)
        return copy


def _suits_blas(view: Array) -> bool:
    """Whether BLAS can read the last two axes of a stack as they are."""
    item = view.itemsize
    (m, n), (s, t) = view.shape[-2:], view.strides[-2:]
    return bool((t == item and s >= n * item) or (s == item and t >= m * item))


def _einsum(overflow: _Overflow, text: str, a: Array, b: Array, out: Array) -> None:
    np.einsum(text, a, b, out=out)
    if not math.isfinite(np.vdot(out, out)):  # einsum reports no overflow
        overflow.seen = True


def _scatter(out: Array, to: Array, values: Array) -> None:
    out[to] = values


def _spread(out: Array, lanes: Array, once: Array) -> None:
    """Numbers that are the same for every row, into some lanes of a batch."""
    out[lanes] = once[lanes, None]


def _scatter_add(out: Array, to: Array, values: Array) -> None:
    out[to] += values


def _norm(table: Array, axis: int, out: Array) -> None:
    """The Euclidean norm along an axis, without overflow on the way."""
    top = np.abs(table).max(axis, keepdims=True)
    scale = np.where((top > 0.0) & np.isfinite(top), top, 1.0)
    found = np.squeeze(scale, axis) * np.sqrt(np.square(table / scale).sum(axis))
    np.copyto(out, np.where(np.isnan(table).any(axis), math.nan, found))


def _norms(elements: Array, starts: Array, counts: Array, out: Array) -> None:
    for k, (start, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True)):
        _norm(elements[None, start : start + count], 1, out[k : k + 1])


def _scalar_rule(row: Row, slot: int) -> Callable[..., float]:
    """A rule that is a function of floats: the result, or one of its partials."""
    if slot < 0:
        return row.value
    partials: Any = row.partials
    return lambda *numbers: partials(*numbers)[slot]


def _lane_by_lane(rule: Callable[..., float], arguments: Sequence[Any], out: Array) -> None:
    found = np.frompyfunc(rule, len(arguments), 1)(*arguments)
    out[...] = np.asarray(found, float)


def _careful_by_row(kind: str, a: Array, b: Array, out: Array) -> None:
    for r in range(a.shape[-1]):
        matrix_product(kind, a[..., r], b[..., r], out[..., r])


def _careful_shared(kind: str, fixed: Array, moving: Array, out: Array, moving_first: bool) -> None:
    """out[n, w, h, b] of fixed[n, h, K] and moving[n, w, K, b]; the adjoint is the first factor."""
    for r in range(moving.shape[-1]):
        if moving_first:
            matrix_product(kind, moving[..., r], fixed, out[..., r])
        else:
            matrix_product(kind, fixed, moving[..., r], np.swapaxes(out[..., r], 1, 2))


# --- rules as array operations -------------------------------------------------------------------------


class _Code:
    """A rule on arrays, operation by operation: appends the steps that leave its result in an array.

    Args:
        runner: gets the steps.
        shape: of every array.
        plain: whether a NaN need not be kept apart: in a partial whose NaN the result has too.
    """

    def __init__(self, runner: Runner, shape: tuple[int, ...], plain: bool) -> None:
        self.runner, self.shape, self.plain = runner, shape, plain
        self.known: dict[Any, Any] = {}

    def into(self, out: Array, tree: ast.expr, names: dict[str, Any]) -> None:
        found = self.value(tree, names, out)
        if found is not out:
            self.runner._do(np.copyto, out, found)

    def call(self, function: Callable[..., Any], arguments: Sequence[Any], out: Array | None, dtype: Any = None) -> Any:
        key = (function, tuple(x if isinstance(x, float) else id(x) for x in arguments))
        if out is None and key in self.known:
            return self.known[key]
        target = self.runner._temporary(self.shape, dtype) if out is None else out
        self.runner._do(function, *arguments, target)
        if out is None:
            self.known[key] = target
        return target

    def value(self, tree: ast.expr, names: dict[str, Any], out: Array | None = None) -> Any:
        """The value of an expression: a number, or an array, in `out` if it had to be computed."""
        if isinstance(tree, ast.Name):
            return names[tree.id] if tree.id in names else CONSTANTS[tree.id]
        if isinstance(tree, ast.Constant):
            return float(tree.value)  # type: ignore[arg-type]
        if isinstance(tree, ast.UnaryOp):
            x = self.value(tree.operand, names)
            return -x if isinstance(x, float) else self.call(np.negative, (x,), out)
        if isinstance(tree, ast.BinOp):
            name = {ast.Pow: "pow", ast.Div: "div"}.get(type(tree.op))
            arguments = [self.value(tree.left, names), self.value(tree.right, names)]
            if name is not None:
                return self.named(name, arguments, out)
            function = BINARY[type(tree.op)]
            if all(isinstance(x, float) for x in arguments):
                return float(function(*arguments))
            return self.call(function, arguments, out)
        if isinstance(tree, ast.Compare):
            return self.test(type(tree.ops[0]), self.value(tree.left, names), self.value(tree.comparators[0], names))
        assert isinstance(tree, ast.Call)
        assert isinstance(tree.func, ast.Name)
        if tree.func.id == "where":
            return self.where(tree, names, out)  # of a rule; the primitive of that name is among the kernels
        return self.named(tree.func.id, [self.value(x, names) for x in tree.args], out)

    def test(self, kind: type, a: Any, b: Any, out: Array | None = None) -> Any:
        """A comparison as true or false (1 or 0, in `out`)."""
        if isinstance(a, float) and isinstance(b, float):
            return float(TESTS[kind](a, b))
        if a is b and kind is ast.Eq and self.plain:
            return 1.0
        return self.call(TESTS[kind], (a, b), out, bool)

    def named(self, name: str, arguments: list[Any], out: Array | None) -> Any:
        """A function of the rule language."""
        if all(isinstance(x, float) for x in arguments):
            found = FLOATS[name](*arguments) if name in FLOATS else TABLE[name].value(*arguments)
            return float(found)
        if name == "zero_gradient":
            return 0.0 if self.plain else self.call(_flat, arguments, out)
        if name in NAMED_TESTS:
            a, b = arguments
            if self.plain:
                return self.test(NAMED_TESTS[name], a, b, out)
            if name == "greater" and isinstance(b, float) and b == 0.0:
                return self.call(np.heaviside, (a, 0.0), out)
            looked_at = [_narrow(x) for x in arguments]
            return self.call(_ordered(TESTS[NAMED_TESTS[name]]), [*looked_at, *arguments], out)
        if name in KERNELS:
            return self.call(KERNELS[name], arguments, out)
        row = TABLE[name]
        assert isinstance(row.forward, str)
        return self.value(parsed(row.forward), dict(zip(row.operands, arguments, strict=True)), out)

    def where(self, tree: ast.Call, names: dict[str, Any], out: Array | None) -> Any:
        """A choice; what only one side needs is computed if some lane takes that side."""
        condition, yes, no = tree.args
        if isinstance(condition, ast.Compare) and isinstance(condition.ops[0], ast.LtE):
            a, b = condition.left, condition.comparators[0]
            if ast.dump(b) == ast.dump(yes) and ast.dump(a) == ast.dump(no) and isinstance(yes, ast.Constant):
                x = self.value(a, names)
                return self.call(_maximum, (x, self.value(b, names)), out)  # where(a <= c, c, a)
        chosen = self.value(condition, names)
        if isinstance(chosen, float):
            return self.value(yes if chosen else no, names, out)
        while _is_where(yes) and ast.dump(yes.args[2]) == ast.dump(no):  # where(p, where(q, a, b), b)
            further = self.value(yes.args[0], names)
            chosen, yes = self.call(np.logical_and, (chosen, further), None, bool), yes.args[1]
        result = self.runner._temporary(self.shape) if out is None else out
        sides = []
        outer, known = self.runner.steps, self.known
        for side in (yes, no):
            self.runner.steps, self.known = [], dict(known)
            value = self.value(side, names)
            sides.append((self.runner.steps, value))
        self.runner.steps, self.known = outer, known
        (steps_yes, value_yes), (steps_no, value_no) = sides
        if not steps_yes and not steps_no:
            self.runner._do(_choose, chosen, value_yes, value_no, result)
        else:
            self.runner._do(_branch, chosen, steps_yes, value_yes, steps_no, value_no, result)
        return result


def _is_where(tree: ast.expr) -> TypeGuard[ast.Call]:
    return isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "where"


def _choose(condition: Array, yes: Any, no: Any, out: Array) -> None:
    np.copyto(out, no)
    np.copyto(out, yes, where=condition)


def _branch(condition: Array, steps_yes: list[Step], yes: Any, steps_no: list[Step], no: Any, out: Array) -> None:
    count = np.count_nonzero(condition)
    if count == condition.size:
        for function, arguments in steps_yes:
            function(*arguments)
        np.copyto(out, yes)
        return
    for function, arguments in steps_no:
        function(*arguments)
    if not count:
        np.copyto(out, no)
        return
    for function, arguments in steps_yes:
        function(*arguments)
    np.copyto(out, no)
    np.copyto(out, yes, where=condition)


def _maximum(a: Any, b: Any, out: Array) -> None:
    np.maximum(a, b, out=out)  # by name: NumPy wants it so


def _flat(a: Array, out: Array) -> None:
    np.copyto(out, 0.0)
    np.copyto(out, math.nan, where=np.isnan(a))


def _narrow(x: Any) -> Any:
    """An operand without what it only repeats."""
    if isinstance(x, float):
        return x
    return x[tuple(slice(0, 1) if step == 0 else slice(None) for step in x.strides)]


@cache
def _ordered(test: Callable[..., Any]) -> Callable[..., None]:
    """A comparison as 1 or 0, and NaN where either side is."""

    def compare(narrow_a: Any, narrow_b: Any, a: Any, b: Any, out: Array) -> None:
        np.copyto(out, test(a, b))
        if has_nan(narrow_a) or has_nan(narrow_b):
            np.copyto(out, math.nan, where=np.isnan(a) | np.isnan(b))

    return compare
