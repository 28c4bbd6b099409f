"""The JAX backend: a Plan as one function of jax.numpy, which XLA compiles for the devices that there are.

`prepare` makes a runner of the fast plan, as every backend does. `pure` makes the function that `program.jax()` gives:
it has nobody to fall back on, so it is that of the safe plan, in which 0 times an infinite slope is 0.

What XLA does otherwise than the reference: subnormal numbers are 0, and functions have JAX's rounding, a few units in
the last place. XLA takes x + 0.0 for x, which it is not at -0.0, so that 0.0 is written as a choice here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jax.scipy import special

from autograd_lite.engine.kernels import RSQRT_2PI, SQRT1_2, TWO_OVER_SQRT_PI
from autograd_lite.engine.lowering import FLOATS, Code, Step
from autograd_lite.folding.backends import Leaves, Refused
from autograd_lite.folding.backends.native import coefficients
from autograd_lite.folding.backends.one_step import Before, Fixed, Moving, OneStep
from autograd_lite.folding.backends.strides import affine
from autograd_lite.folding.contractions import Form
from autograd_lite.folding.instructions import Carry, Instruction, Leaf, Literal, Map, Part, Reduce, Ref, Sum
from autograd_lite.folding.loops import Loop
from autograd_lite.folding.plan import ZERO_RULE, Plan

Array = Any

MOST_INSTRUCTIONS = 2000
"""XLA takes minutes to compile more of them."""

MOST_PADDING = 4
"""Segments become rows of equal length where that is at most this many times as many terms."""

FIRST = {"matmul": 0, "rows": 1, "segments": 2, "each": 3}
"""The order of the forms of a sum: those that write whole blocks first."""

NO_FLOAT64 = (
    'JAX computes in float32 until jax.config.update("jax_enable_x64", True) is called, or JAX_ENABLE_X64=1 is set, '
    "before its first use; do that, or make the program with dtype=np.float32"
)


def check_dtype(dtype: Any) -> None:
    """Refused if JAX is set up without float64 and the program needs it."""
    if np.dtype(dtype) == np.float64 and not jax.config.read("jax_enable_x64"):
        raise Refused(NO_FLOAT64)


def prepare(plan: Plan, dtype: Any = float, threads: int | None = None) -> Runner:
    """A runner of a plan; how many threads it has is XLA's choice.

    Raises:
        Refused: JAX is set up without float64, or the plan is too long for XLA.
    """
    check_dtype(dtype)
    if len(plan.instructions) > MOST_INSTRUCTIONS:
        raise Refused(f"{len(plan.instructions):,} instructions; XLA would take minutes to compile them")
    made = plan.kept.get(("jax", np.dtype(dtype)))
    if made is None:
        run = partial(_run, plan, np.dtype(dtype))
        made = plan.kept[("jax", np.dtype(dtype))] = jax.jit(run, static_argnums=(1, 2))
    return Runner(plan, np.dtype(dtype), made)


class Runner:
    """See `backends.Runner`."""

    def __init__(self, plan: Plan, dtype: Any, run: Callable[..., Any]) -> None:
        self.plan, self.dtype, self.run = plan, dtype, run
        self.trusted = True
        self.nbytes = sum(x.size for x in plan.instructions if not x.batched) * dtype.itemsize
        """About what XLA holds for it; of a batch nothing stays."""

    def __call__(self, leaves: Leaves, rows: int | None, means: int = 0) -> list[Array]:
        """Run: see `backends.Runner`."""
        check_dtype(self.dtype)
        with np.errstate(all="ignore"):  # a number may be beyond the range of a float32
            theta, constants, *inputs = (
                np.asarray(x, self.dtype) for x in (leaves.theta, leaves.constants, *leaves.inputs)
            )
        outputs, finite = self.run(Leaves(theta, constants, tuple(inputs)), rows, means)
        whole = {key: np.asarray(x) for key, x in outputs.items()}
        found = []
        for k, (source, lanes) in enumerate(self.plan.outputs):
            x = whole[source, k < means]
            found.append(np.array(x) if lanes is None else x[lanes])
        nan = self.plan.doubt_nan and any(np.isnan(x).any() for x in found)
        self.trusted = bool(finite) and not nan
        return found


def _run(plan: Plan, dtype: Any, leaves: Leaves, rows: int | None, means: int) -> tuple[dict[Any, Array], Array]:
    """What the outputs are lanes of, by (instruction, whether as a mean over rows), and whether all sums are finite.

    The lanes are taken by NumPy: XLA takes a second to compile a hundred slices.
    """
    trace = _Trace(plan, dtype, leaves, rows)
    finite, found = trace.finite(), {}
    for k, (source, _) in enumerate(plan.outputs):
        x = trace.values[source]
        if k < means and x.ndim > 1:
            x = x.mean(-1)
            finite = finite & jnp.isfinite(x).all()
        found[source, k < means] = x
    return found, finite


def pure(plan: Plan, dtype: Any, constants: Array, shapes: Sequence[tuple[int, ...]], batch: bool,
         guards: Sequence[tuple[str, bool]], argnum: int | None) -> Callable[..., Any]:  # fmt: skip
    """The function (theta, *args) -> (value, gradient) of a safe plan, for jit, vmap, sharding.

    Args:
        plan: its outputs are the value, what the guards compare, and the gradient.
        dtype: what it computes in.
        constants: numbers that stay as they are.
        shapes: of the arguments, without the batch axis.
        batch: whether they have one.
        guards: as of a Program; where one does not hold, value and gradient are NaN.
        argnum: the argument in which the gradient is; None for theta.
    """

    def loss_and_grad(theta: Array, *args: Any) -> tuple[Array, Array]:
        if len(args) != len(shapes):
            raise TypeError(f"program: takes {len(shapes)} arguments, got {len(args)}")
        arrays = [jnp.asarray(x, dtype) for x in args]
        for k, (x, shape) in enumerate(zip(arrays, shapes, strict=True)):
            if (x.shape[1:] if batch else x.shape) != shape or x.ndim != len(shape) + batch:
                each = " in each row" if batch else ""
                raise ValueError(f"program: argument {k} must have shape {shape}{each}, got {x.shape}")
        rows = len(arrays[0]) if batch and arrays else None
        inputs = tuple(arrays if batch else [x.ravel() for x in arrays])
        leaves = Leaves(jnp.asarray(theta, dtype), jnp.asarray(constants, dtype), inputs)
        value, *compared, gradient = _Trace(plan, dtype, leaves, rows).outputs()
        holds = jnp.array(True)
        for x, (name, outcome) in zip(compared, guards, strict=True):
            held = x != 0.0 if name in ("bool", "not_equal") else x == 1.0
            holds = holds & (held == outcome).all()
        if argnum is not None and batch:
            gradient = jnp.broadcast_to(gradient.reshape(len(gradient), -1), (len(gradient), rows or 1))
            gradient = gradient.T.reshape(-1, *shapes[argnum])
        elif argnum is not None:
            gradient = gradient.reshape(shapes[argnum])
        value = value.mean() if value.ndim > 1 else value[0]
        return jnp.where(holds, value, math.nan), jnp.where(holds, gradient, math.nan)

    return loss_and_grad


class _Instructions:
    """Instructions on arrays of JAX, each (lanes,) or (lanes, rows).

    Args:
        leaf: what a leaf is.
        rows: how long the batch is.
        dtype: in which type.
    """

    def __init__(self, leaf: Callable[[Leaf], Array], rows: int | None, dtype: Any) -> None:
        self.leaf, self.rows, self.dtype = leaf, rows, dtype
        self.values: list[Array] = []
        self.sums: list[Array] = []

    def finite(self) -> Array:
        """Whether all sums are."""
        found = jnp.array(True)
        for x in self.sums:
            found = found & jnp.isfinite(x).all()
        return found

    def lanes(self, ref: Ref) -> Array:
        """The lanes of a Ref."""
        found = self.values[ref.source]
        return found if ref.lanes is None else _take(found, ref.lanes)

    def made(self, x: Instruction) -> Array:
        """What an instruction computes."""
        if isinstance(x, Leaf):
            return self.leaf(x)
        if isinstance(x, Literal):
            return jnp.asarray(x.values, self.dtype)
        if isinstance(x, Map):
            assert x.code is not None
            operands = [self.lanes(ref) for ref in x.refs]
            operands = [a[:, None] if x.batched and a.ndim == 1 else a for a in operands]
            shape = (x.size, self.rows or 1) if x.batched else (x.size,)
            return jnp.broadcast_to(_evaluated(x.code, operands, shape, self.dtype), shape)
        if isinstance(x, Reduce):
            found = self._reduced(x)
        elif isinstance(x, Sum):
            found = self._sum(x)
        else:
            raise TypeError(f"jax backend: an instruction of type {type(x).__name__}")
        self.sums.append(found)
        return found

    def _reduced(self, x: Reduce) -> Array:
        elements, name = self.lanes(x.elements), x.row.name
        table, mask = _padded(np.cumsum(x.counts) - x.counts, x.counts)
        groups = _take(elements, table)
        if name == "max":
            return groups.max(1)
        if name == "min":
            return groups.min(1)
        size = jnp.abs(_zero_outside(groups, mask))
        top = size.max(1)
        scale = jnp.where((top > 0.0) & (top < math.inf), top, 1.0)
        norm = scale * jnp.sqrt(((size / scale[:, None]) ** 2).sum(1))
        return jnp.where(jnp.isnan(size).any(1), math.nan, norm)

    # -- sums

    def _sum(self, x: Sum) -> Array:
        out = jnp.zeros((x.size, self.rows) if x.batched else (x.size,), self.dtype)
        written = np.zeros(x.size, bool)
        work = [(form, part) for part in x.parts for form in part.forms]
        work.sort(key=lambda item: (FIRST[item[0].what], -item[0].to.size))
        for form, part in work:
            found = self._form(form, part, x.batched)
            if x.batched and found.ndim == form.to.ndim:  # the same for every row
                found = found[..., None]
            found = found if part.factor == 1.0 else found * part.factor
            to = form.to.ravel()
            found = jnp.broadcast_to(found, (*form.to.shape, *out.shape[1:])).reshape(len(to), *out.shape[1:])
            out = _put(out, to, found, not written[to].any())
            written[to] = True
        return _never_minus_0(out) if x.zeroed else out

    def _form(self, form: Form, part: Part, batched: bool) -> Array:
        """What a form adds to its lanes: shape to.shape, and the rows where the sum has them and an operand too."""
        a = self.values[part.left.source]
        b = None if part.right is None else self.values[part.right.source]
        if not batched and not (a.ndim > 1 and (b is None or b.ndim > 1)):
            a = a.sum(-1) if a.ndim > 1 else a  # of one operand alone the rows can be summed first
            b = b.sum(-1) if b is not None and b.ndim > 1 else b
        rows = a.ndim > 1 or (b is not None and b.ndim > 1)
        over_rows = rows and not batched
        a, b = _take(a, form.left), None if b is None else _take(b, form.right)
        if form.what == "matmul":
            assert b is not None
            return _matrix_product(part.kind, a, b, over_rows)
        if rows and a.ndim == form.left.ndim:
            a = a[..., None]
        if b is not None:
            b = b[..., None] if rows and b.ndim == form.left.ndim else b
            a = _product(part.kind, a, b)
        if over_rows:
            a = a.sum(-1)
        if form.what == "rows":
            return a.sum(1)
        return a if form.starts is None else _segments(a, form.starts)


class _Trace(_Instructions):
    """The instructions of a plan."""

    def __init__(self, plan: Plan, dtype: Any, leaves: Leaves, rows: int | None) -> None:
        super().__init__(self._leaf, rows, dtype)
        self.plan, self.leaves = plan, leaves
        for item in plan.items:
            if isinstance(item, Loop):
                self.values += self._loop(item)
            else:
                self.values.append(self.made(plan.instructions[item]))

    def outputs(self) -> list[Array]:
        """The outputs of the plan."""
        return [self.lanes(ref) for ref in self.plan.outputs]

    def _leaf(self, x: Leaf) -> Array:
        if x.kind == "seed":
            rows = self.rows or 1
            return jnp.full((x.size, rows) if x.batched else (x.size,), 1.0 / rows, self.dtype)
        given = self.leaves.of(x)
        return jnp.reshape(given, (given.shape[0], -1)).T if x.batched else given

    # -- loops

    def _loop(self, loop: Loop) -> list[Array]:
        """The members of a loop: a scan over its steps."""
        step = OneStep(self.plan.instructions, loop)
        start = {key: self._before(loop, *key) for key in (x for x in step.inputs if isinstance(x, Before))}
        moving = {n: self._moving(x) for n, x in enumerate(step.inputs) if isinstance(x, Moving)}
        fixed = {n: _take(self.values[x.source], x.lanes) for n, x in enumerate(step.inputs) if isinstance(x, Fixed)}

        def body(before: dict[Before, Array], moved: dict[int, Array]) -> tuple[dict[Before, Array], Any]:
            def leaf(x: Leaf) -> Array:
                what = step.inputs[x.index]
                return before[what] if isinstance(what, Before) else {**fixed, **moved}[x.index]

            inner = _Instructions(leaf, self.rows, self.dtype)
            for x in step.instructions:
                inner.values.append(inner.made(x))
            now = {k: inner.values[n] for k, n in step.of.items()}
            after = {x: now[x.member] if x.shift == 1 else before[Before(x.member, x.shift - 1)] for x in before}
            return after, (now, inner.finite())

        _, (found, finite) = lax.scan(body, start, moving, length=loop.steps, reverse=loop.backward)
        self.sums.append(jnp.where(finite, 0.0, math.inf))
        values: list[Array] = []
        for k in range(loop.start, loop.stop):
            x = self.plan.instructions[k]
            if isinstance(x, Carry):
                initial, later = self._wide(self.lanes(x.initial), x.batched), found[x.later.source]
                values.append(jnp.concatenate([initial, later.reshape(-1, *later.shape[2:])]))
            else:
                values.append(found[k].reshape(-1, *found[k].shape[2:]))
        return values

    def _wide(self, x: Array, batched: bool) -> Array:
        return jnp.broadcast_to(x[:, None], (len(x), self.rows)) if batched and x.ndim == 1 else x

    def _before(self, loop: Loop, member: int, shift: int) -> Array:
        """What stands for a member some steps before the first."""
        x = self.plan.instructions[member]
        if loop.backward:
            lanes = x.size // loop.steps
            return jnp.zeros((lanes, self.rows) if x.batched else (lanes,), self.dtype)
        carry = self.plan.instructions[loop.carries[member]]
        assert isinstance(carry, Carry)
        first = (carry.delay - shift) * carry.width
        return self._wide(self.lanes(carry.initial)[first : first + carry.width], x.batched)

    def _moving(self, x: Moving) -> Array:
        """A row for each step, of zeros where it does not count."""
        rows = _take(self.values[x.source], x.table)
        steps = np.arange(len(x.table))
        counts = ((x.first <= steps) & (steps < x.last)).reshape(-1, *[1] * (rows.ndim - 1))
        return rows if counts.all() else jnp.where(counts, rows, 0.0)


def _product(kind: str, a: Array, b: Array) -> Array:
    """A product by the zero rule, if its kind has one: 0 where a is 0, and for "_masked" where b is."""
    if kind not in ZERO_RULE:
        return a * b
    nothing = a == 0.0
    if kind == "_masked":
        nothing = nothing | (b == 0.0)
    return jnp.where(nothing, 0.0, a * b)


def _matrix_product(kind: str, a: Array, b: Array, over_rows: bool) -> Array:
    """The sum over k of a[n, h, k] b[n, w, k]; either may have rows, which are summed over too or stay."""
    text = f"nhk{'r' * (a.ndim - 3)},nwk{'r' * (b.ndim - 3)}->nhw{'r' * (not over_rows and max(a.ndim, b.ndim) > 3)}"
    plain = partial(jnp.einsum, text, precision=lax.Precision.HIGHEST)
    if kind not in ZERO_RULE:
        return plain(a, b)

    def term_by_term(a: Array, b: Array) -> Array:
        if a.ndim != b.ndim:
            a, b = (x[..., None] if x.ndim == 3 else x for x in (a, b))
        return _product(kind, a[:, :, None], b[:, None]).sum((3, 4) if over_rows else 3)

    # Plainly where nothing is infinite: the zero rule makes no difference then.
    finite = jnp.isfinite(b).all() & (jnp.isfinite(a).all() if kind == "_masked" else True)
    return lax.cond(finite, plain, term_by_term, a, b)


def _padded(starts: Array, counts: Array) -> tuple[Array, Array]:
    """Index rows of equal length, each with its last entry repeated, and which entries are not repetitions."""
    place = np.arange(counts.max(initial=0))
    return starts[:, None] + np.minimum(place, counts[:, None] - 1), place < counts[:, None]


def _zero_outside(groups: Array, mask: Array) -> Array:
    if mask.all():
        return groups
    return jnp.where(mask[..., None] if groups.ndim > 2 else mask, groups, 0.0)


def _segments(terms: Array, starts: Array) -> Array:
    """Sums of neighbours, as rows of one length where that is not many more terms."""
    counts = np.diff(starts, append=len(terms))
    if counts.max() * len(counts) <= MOST_PADDING * len(terms):
        table, mask = _padded(starts, counts)
        return _zero_outside(_take(terms, table), mask).sum(1)
    segment = np.repeat(np.arange(len(counts)), counts)
    return jax.ops.segment_sum(terms, segment, len(counts), indices_are_sorted=True)


def _take(array: Array, table: Array) -> Array:
    """array[table]; by slices where the table is regular, since XLA's gathers are slow."""
    table = np.asarray(table)
    found = affine(table) if table.size else None
    if found is not None:
        offset, strides = found
        live = [k for k, n in enumerate(table.shape) if n > 1 and strides[k]]
        sliced = _slices(array, offset, [(table.shape[k], strides[k]) for k in live])
        if sliced is not None:
            shape = [n if k in live else 1 for k, n in enumerate(table.shape)]
            rest = array.shape[1:]
            return jnp.broadcast_to(sliced.reshape(*shape, *rest), (*table.shape, *rest))
    return jnp.take(array, np.asarray(table, np.int32), axis=0)


def _slices(array: Array, offset: int, axes: list[tuple[int, int]]) -> Array | None:
    """The lanes offset + i1 s1 + i2 s2 of at most two axes (n, s) as slices; None if they are not."""
    rest = array.shape[1:]
    if not axes:
        return array[offset : offset + 1]
    if len(axes) == 1:
        ((n, step),) = axes
        return None if step < 0 else array[offset : offset + (n - 1) * step + 1 : step]
    if len(axes) > 2 or min(step for _, step in axes) < 0:
        return None
    turned = axes[0][1] < axes[1][1]
    (n, big), (m, small) = axes[::-1] if turned else axes
    span = (m - 1) * small + 1
    first = offset % big
    if first + span > big:  # a row of it reaches into the next
        return None
    start, stop = offset - first, offset - first + n * big
    if stop > array.shape[0]:
        return None
    block = array[start:stop].reshape(n, big, *rest)[:, first : first + span : small]
    return jnp.swapaxes(block, 0, 1) if turned else block


def _put(out: Array, to: Array, values: Array, fresh: bool) -> Array:
    """Put values into lanes of out that nothing has been written to, or add them."""
    if len(to) == len(out):
        if (to == np.arange(len(to))).all():
            return values if fresh else out + values
        order = np.empty(len(to), np.int64)
        order[to] = np.arange(len(to))
        return _take(values, order) if fresh else out + _take(values, order)
    contiguous = (np.diff(to) == 1).all()
    at = out.at[slice(int(to[0]), int(to[0]) + len(to)) if contiguous else np.asarray(to, np.int32)]
    options = {} if contiguous else {"unique_indices": True}
    return at.set(values, **options) if fresh else at.add(values, **options)


# --- elementwise ------------------------------------------------------------------------------------------


def _evaluated(code: Code, operands: list[Array], shape: tuple[int, ...], dtype: Any) -> Array:
    """The result of a code."""
    values = list(operands)

    def of(x: int | float) -> Any:
        return x if isinstance(x, float) else values[x]

    for step in code.steps:
        args = list(map(of, step.args))
        if step.function is not None or step.name in IN_PYTHON:
            values.append(_in_python(step, args, shape, dtype))
        else:
            values.append(ELEMENTARY[step.name](*args))
    return of(code.result)


def _in_python(step: Step, args: list[Any], shape: tuple[int, ...], dtype: Any) -> Array:
    """A function of floats, called element by element on the host."""
    function = np.frompyfunc(step.function or FLOATS[step.name], len(args), 1)
    full = [jnp.broadcast_to(jnp.asarray(x, dtype), shape) for x in args]

    def on_host(*arrays: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(*(np.asarray(x, float) for x in arrays)), dtype)

    return jax.pure_callback(on_host, jax.ShapeDtypeStruct(shape, dtype), *full, vmap_method="broadcast_all")


IN_PYTHON = ("polygamma", "_sinc", "round")
"""Functions that JAX lacks: the float kernels, called on the host. User-defined functions are called so too."""


def _never_minus_0(x: Array) -> Array:
    """x + 0.0."""
    return jnp.where(x == 0.0, 0.0, x)


def _add(a: Any, b: Any) -> Array:
    for x, other in ((a, b), (b, a)):
        if isinstance(x, float) and x == 0.0 and math.copysign(1.0, x) > 0.0:
            return _never_minus_0(other)
    return a + b


def _log1p(a: Array) -> Array:
    """log(u) of u = 1 + a, times how much larger a is than the u - 1 that rounding left (JAX's is 120 ulp off)."""
    u = 1.0 + a
    near = jnp.abs(a) < 0.75
    inside = jnp.where(near & (u != 1.0), u, 2.0)
    return jnp.where(near, jnp.where(u == 1.0, a, jnp.log(inside) * a / (inside - 1.0)), jnp.log1p(a))


def _atanh(a: Array) -> Array:
    size = jnp.abs(a)
    return jnp.copysign(0.5 * _log1p(2.0 * size / (1.0 - size)), a)


def _exp2(a: Array) -> Array:
    """The whole part goes into the exponent: XLA's exp(a log 2) costs 500 ulp at 700."""
    whole = jnp.where(jnp.abs(a) < 2000.0, jnp.rint(a), 0.0)
    return jnp.ldexp(jnp.exp2(a - whole), whole.astype(jnp.int32))


def _sinh(a: Array) -> Array:
    """Far out as a product of two exponentials: a rounded a - log 2 costs 250 ulp at 710."""
    half = jnp.exp(0.5 * jnp.abs(a))
    return jnp.where(jnp.abs(a) > 22.0, jnp.copysign(0.5 * half * half, a), jnp.sinh(a))


def _cosh(a: Array) -> Array:
    half = jnp.exp(0.5 * jnp.abs(a))
    return jnp.where(jnp.abs(a) > 22.0, 0.5 * half * half, jnp.cosh(a))


def _pow(a: Any, b: Any) -> Array:
    if isinstance(b, float) and b in _POWERS:
        return _POWERS[b](a)
    found = jnp.power(a, b)
    if not isinstance(b, float):
        found = jnp.where((b == 0.5) & (a == 0.0), 0.0, jnp.where((b == 0.5) & (a == -math.inf), math.inf, found))
    return jnp.where(_is_nan(a) | _is_nan(b), math.nan, found)


def _is_nan(x: Any) -> Any:
    return math.isnan(x) if isinstance(x, float) else jnp.isnan(x)


_POWERS: dict[float, Callable[[Array], Array]] = {
    2.0: lambda a: a * a,
    3.0: lambda a: a * a * a,
    1.0: lambda a: a,
    0.5: lambda a: jnp.where(a == -math.inf, math.inf, _never_minus_0(jnp.sqrt(a))),
    -1.0: lambda a: 1.0 / a,
}


def _high(a: Array) -> Array:
    """As in engine/kernels.py, by bits: XLA may not keep c - (c - a)."""
    if a.dtype == jnp.float32:
        return lax.bitcast_convert_type(lax.bitcast_convert_type(a, jnp.int32) & -4096, jnp.float32)
    return lax.bitcast_convert_type(lax.bitcast_convert_type(a, jnp.int64) & -(1 << 27), jnp.float64)


def _gauss(a: Any, s: Any) -> Array:
    a = jnp.asarray(a, jnp.result_type(a, s))
    near = jnp.abs(a) < 40.0
    inside = jnp.where(near, a, 0.0)
    high = _high(inside)
    found = jnp.exp(-s * high * high)  # times another exponential: XLA would make one of both, with the sum rounded
    found = found + found * jnp.expm1(-s * (inside - high) * (inside + high))
    return jnp.where(near, found, jnp.where(jnp.isnan(a) | _is_nan(s), math.nan, 0.0))


def _expdiff(a: Any, b: Any) -> Array:
    d = a - b
    found = jnp.exp(d)
    back = a - d
    lost = (a - (d + back)) + (back - b)
    exact = jnp.where((d > -750.0) & (found < math.inf), found + found * lost, found)
    return jnp.where(a == b, 1.0, exact)


def _erfc(x: Array) -> Array:
    """In the tail exp(-x^2), the square split, times a polynomial over 1 + 2 x."""
    inside = jnp.clip(x, 0.5, 28.0)
    return jnp.where(x > 0.5, _tail(inside, _gauss(inside, 1.0)), special.erfc(x))


def _tail(x: Array, gauss: Array) -> Array:
    q = (x - 4.0) / (x + 4.0)
    p = jnp.zeros_like(x)
    for c in coefficients.DOUBLE["ERFCX"]:
        p = p * q + c
    return gauss * ((coefficients.DOUBLE["ERFCX_0"][0] + q * p) / (1.0 + 2.0 * x))


def _ndtr(a: Array) -> Array:
    """erfc(-a / sqrt(2)) / 2; in the left tail exp(-a^2 / 2) is that of a itself, not of the rounded quotient."""
    t = jnp.clip(-a, 0.75, 39.0)
    return jnp.where(a < -0.75, 0.5 * _tail(t * SQRT1_2, _gauss(t, 0.5)), 0.5 * special.erfc(-a * SQRT1_2))


def _fraction(t: Array) -> Array:
    """1/(t + 2/(t + 3/(t + ...))), for t >= 2: 100 terms are enough at 2."""
    return 1.0 / lax.fori_loop(0, 98, lambda k, rest: t + (99.0 - k) / rest, t)


def _hazard(a: Array) -> Array:
    t = jnp.where(a < -2.0, -a, 2.0)
    inside = jnp.where(a < -2.0, 0.0, a)
    found = RSQRT_2PI * _gauss(inside, 0.5) / _ndtr(inside)
    return jnp.where(a < -2.0, t + _fraction(t), found)


def _excess(a: Array) -> Array:
    t = jnp.where(a < -2.0, -a, 2.0)
    return jnp.where(a < -2.0, _fraction(t), _hazard(a) + a)


def _log_ndtr(a: Array) -> Array:
    tail = -(0.5 * a * a + jnp.log(_hazard(jnp.where(a < -2.0, a, -2.0)) / RSQRT_2PI))
    found = jnp.where(a > 0.0, jnp.log1p(-_ndtr(-a)), jnp.log(_ndtr(a)))
    return jnp.where(a == -math.inf, a, jnp.where(a < -2.0, tail, found))


def _erfinv(a: Array) -> Array:
    size = jnp.abs(a)
    outer = jnp.copysign(special.ndtri(jnp.clip(0.5 - 0.5 * size, 0.0, 0.25)) * -SQRT1_2, a)
    inside = jnp.where(size > 0.5, 0.0, a)
    start = lax.erf_inv(inside)
    inner = start - (special.erf(start) - inside) / (TWO_OVER_SQRT_PI * _gauss(start, 1.0))
    found = jnp.where(size > 0.5, outer, jnp.where(a == 0.0, a, inner))
    return jnp.where(size <= 1.0, found, math.nan)


def _ndtri(p: Array) -> Array:
    found = special.ndtri(p)
    found = jnp.where((p < 0.0) | (p > 1.0), math.nan, found)
    return jnp.where(p == 0.0, -math.inf, jnp.where(p == 1.0, math.inf, found))


def _lgamma(a: Array) -> Array:
    return jnp.where((a <= 0.0) & (a == jnp.floor(a)), math.inf, special.gammaln(a))


def _digamma(a: Array) -> Array:
    found = jnp.where(a == math.inf, math.inf, special.digamma(a))
    return jnp.where(a == 0.0, jnp.copysign(math.inf, -a), found)


def _mod(a: Any, b: Any) -> Array:
    return jnp.where(b == 0.0, math.nan, jnp.mod(a, b))


def _floor_divide(a: Any, b: Any) -> Array:
    return jnp.where((b == 0.0) | (jnp.abs(a) == math.inf), math.nan, jnp.floor_divide(a, b))


def _hypot(a: Any, b: Any) -> Array:
    return jnp.where(_is_nan(a) | _is_nan(b), math.nan, jnp.hypot(a, b))


ELEMENTARY: dict[str, Callable[..., Any]] = {
    "add": _add,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "select": jnp.where,
    "pow": _pow,
    **{name: getattr(jnp, name) for name in ("exp", "expm1", "log", "log2", "log10", "sqrt", "cbrt", "sin",
       "cos", "tan", "tanh", "floor", "ceil", "abs", "rint")},
    **{name: getattr(jnp, f"arc{name[1:]}") for name in ("asin", "acos", "atan", "asinh", "acosh")},
    "atan2": jnp.arctan2,
    "hypot": _hypot,
    "erf": special.erf,
    "erfc": _erfc,
    "exp2": _exp2,
    "log1p": _log1p,
    "atanh": _atanh,
    "sinh": _sinh,
    "cosh": _cosh,
    "mod": _mod,
    "floor_divide": _floor_divide,
    "_ndtr": _ndtr,
    "_gauss": _gauss,
    "_expdiff": _expdiff,
    "log_ndtr": _log_ndtr,
    "_hazard": _hazard,
    "_excess": _excess,
    "ndtri": _ndtri,
    "erfinv": _erfinv,
    "lgamma": _lgamma,
    "digamma": _digamma,
}  # fmt: skip
"""What each elementary name of a lowered rule is on arrays; NaN in gives NaN."""
