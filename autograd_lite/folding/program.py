"""Program: a graph of scalars as a short list of array instructions, and `fold`, which makes it.

What a structure needs to run (its instructions, the plans of what is asked of it, runners with their buffers) is a
Folded, and programs of one structure share it. A Program adds what belongs to one graph: the
parameters and the constants.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from autograd_lite import diff
from autograd_lite.folding.backends import numpy_backend
from autograd_lite.folding.backends.kernels import has_nan
from autograd_lite.folding.lanes import Builder, Instruction, Ref
from autograd_lite.folding.plan import Plan, plan
from autograd_lite.folding.rebinding import Binding, Pattern
from autograd_lite.folding.reverse import adjoints
from autograd_lite.folding.scalars import Scan, build
from autograd_lite.rows import TABLE
from autograd_lite.value import Value, number, set_numbers, shown

Array = Any

CHUNK_BYTES = 1 << 21
"""A batch is worked through in pieces whose arrays take about this much, so that they stay in the cache."""


MOST_BYTES = 1 << 27
"""Buffers of runs with other batch lengths that a program keeps, in bytes."""


class GuardChanged(RuntimeError):
    """A branch that a trace took would go the other way, or a number that it was given has changed."""


def checked_dtype(dtype: Any, what: str) -> Any:
    """The type that a program computes in: float64 or float32."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in (np.float64, np.float32):
        raise TypeError(f"{what}: dtype must be float64 or float32, got {shown(dtype)}")
    return found


def listed_params(params: Any, what: str) -> list[Value]:
    """The parameters of a Module, or those in a sequence: leaves, each once."""
    found = params.parameters() if hasattr(params, "parameters") else params
    if isinstance(found, Value) or not isinstance(found, Iterable):
        raise TypeError(f"{what}: params must be a Module or a sequence of Parameters, got {shown(params)}")
    found = list(found)
    for k, x in enumerate(found):
        if not isinstance(x, Value):
            raise TypeError(f"{what}: params: element {k} must be a leaf Value, got {shown(x)}")
        if x._row is not None:
            raise ValueError(
                f"{what}: params: element {k} is the result of an operation, {x!r}; only leaves can change"
            )
    return list(dict.fromkeys(found))


def numbers(x: Any, what: str) -> Array:
    """An argument as an array of float64."""
    if isinstance(x, Value):
        raise TypeError(f"{what} is a Value; a program takes numbers and arrays of them: give its .item()")
    array: Any = None
    try:
        array = np.asarray(x)
    except ValueError:
        array = None  # ragged
    if array is not None and array.dtype.kind == "O":  # integers beyond 64 bits, fractions, decimals
        found = [number(v) for v in array.ravel().tolist()]
        if not any(v is NotImplemented for v in found):
            return np.array(found, float).reshape(array.shape)
    if array is None or array.dtype.kind not in "biuf":
        raise TypeError(f"{what} must be a number or a regular array of numbers, got {shown(x)}")
    return np.asarray(array, float)


def checked_theta(theta: Any, count: int) -> Array:
    """A vector of as many numbers as there are parameters."""
    vector = numbers(theta, "theta")
    if vector.shape != (count,):
        raise ValueError(f"theta: expected a vector of {count} numbers, got shape {vector.shape}")
    return vector


class Folded:
    """A structure, and what has been made to run it. Threads share it: each runs a runner of its own."""

    def __init__(self, builder: Builder, roots: list[Ref]) -> None:
        self.builder, self.roots = builder, roots
        self._start()

    def _start(self) -> None:
        self.lock = threading.Lock()
        self.plans: dict[Any, Plan] = {}
        self._runners: Any = lambda: None
        self.widths: dict[int | None, int] = {}
        self.batched: dict[int | None, list[bool]] = {}

    def __getstate__(self) -> Any:
        return self.builder.instructions, self.roots

    def __setstate__(self, state: Any) -> None:
        self.builder = Builder()
        self.builder.instructions, self.roots = state
        self._start()
        for x in self.builder.instructions:
            if x.op not in TABLE and x.op not in ("leaf", "literal", "sum", "="):
                raise RuntimeError(
                    f"program: it uses the primitive {x.op!r}, which is not known here; "
                    f"call ag.primitive({x.op!r}, ...) before it is loaded"
                )

    def runners(self) -> Runners:
        """What the programs of this structure run on; it lives as long as one of them does."""
        with self.lock:
            found: Runners | None = self._runners()
            if found is None:
                found = Runners()
                self._runners = weakref.ref(found)
            return found

    def plan(self, wanted: int | None, careful: bool) -> Plan:
        """The plan of the roots, and of the gradient in the leaves of the instruction `wanted`."""
        key = wanted, careful and wanted is not None
        known = self.plans.get(key)
        if known is not None:
            return known
        with self.lock:
            if key not in self.plans:
                outputs = list(self.roots)
                if wanted is not None:
                    outputs += self._gradient(wanted, careful)
                self.plans[key] = plan(self.builder.instructions, outputs)
            return self.plans[key]

    def outputs(self, wanted: int | None) -> list[bool]:
        """Whether each output has the batch axis; notes how many numbers a row of a batch takes."""
        if wanted not in self.widths:
            found = self.plan(wanted, False)
            self.batched[wanted] = [found.instructions[ref.source].batched for ref in found.outputs]
            self.widths[wanted] = sum(x.size for x in found.instructions if x.batched)  # last: it says both are there
        return self.batched[wanted]

    def _gradient(self, wanted: int, careful: bool) -> list[Ref]:
        builder, root = self.builder, self.roots[0]
        if builder.batched(root):
            seed = builder.add(Instruction("leaf", 1, name="seed", batched=True), "seed")
        else:
            seed = builder.literal(np.ones(1))
        found = adjoints(builder, root, seed, [wanted], careful).get(wanted)
        if found is None:
            found = builder.literal(np.zeros(builder.instructions[wanted].size))
        return [found]

    def run(
        self, runners: Runners, leaves: dict[str, Array], wanted: int | None, rows: int | None, dtype: Any
    ) -> list[Array]:
        """The outputs of a plan: fast, and again by the zero rule if a NaN came out."""
        outputs = self._run(runners, leaves, (wanted, rows, dtype, False))
        if (wanted is not None or self.plan(wanted, False).zero_rule) and any(map(has_nan, outputs)):
            outputs = self._run(runners, leaves, (wanted, rows, dtype, True))
        return outputs

    def _run(self, runners: Runners, leaves: dict[str, Array], key: Any) -> list[Array]:
        runner = runners.take(key)
        if runner is None:
            wanted, rows, dtype, careful = key
            runner = numpy_backend.prepare(self.plan(wanted, careful), rows, careful, dtype)
        try:
            return [out.copy() for out in runner(leaves)]
        finally:
            runners.put(key, runner)


class Runners:
    """Runners with their buffers, to be taken and put back; of those used longest ago only some are kept.

    Each run takes one out, so that no two threads share one. `key` says for what: the gradient wanted, the length
    of the batch, the type, whether it is careful.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most, self.lock = most, threading.Lock()
        self.idle: OrderedDict[Any, list[Any]] = OrderedDict()
        self.bytes = 0

    def __reduce__(self) -> Any:
        return Runners, (self.most,)

    def take(self, key: Any) -> Any:
        """A runner for this key, or None."""
        with self.lock:
            pool = self.idle.get(key)
            if not pool:
                return None
            runner = pool.pop()
            self.bytes -= runner.bytes
            return runner

    def put(self, key: Any, runner: Any) -> None:
        """Keep a runner; give up the oldest ones where they take too much together."""
        with self.lock:
            self.idle.setdefault(key, []).append(runner)
            self.idle.move_to_end(key)
            self.bytes += runner.bytes
            while self.bytes > self.most and len(self.idle) > 1:
                _, old = self.idle.popitem(last=False)
                self.bytes -= sum(x.bytes for x in old)


class Program:
    """A computation folded into array instructions; `ag.fold` and `ag.compile` make it.

    Call it for the value (or values), or use `value_and_grad`, `backward`, `loss_and_grad`. Printing it shows the
    instructions. It can be pickled, and run in several threads at once.

    Example:
        >>> w = ag.Parameter(3.0, name="w")
        >>> program = ag.fold(w * w + w)
        >>> program(), program.backward(), w.grad
        (12.0, 12.0, 7.0)
    """

    def __init__(
        self,
        folded: Folded,
        params: Sequence[Value],
        constants: Array,
        shapes: Sequence[tuple[int, ...]],
        single: bool,
        batch: bool = False,
        dtype: Any = float,
    ) -> None:
        self._folded, self.params, self._constants = folded, list(params), constants
        self._runners = folded.runners()
        self._shapes, self._single, self._batch, self._dtype = list(shapes), single, batch, dtype
        self.guards: list[tuple[str, bool]] = []
        """What the last roots must come out as for the trace to hold; see tracing.py."""
        self.captured: list[Value] = []
        """Values among the constants whose numbers are read anew at each call: the last of them."""
        self.watched: list[tuple[Value, float]] = []
        """Values of which Python has seen the number while it traced: the program holds for that number."""

    # -- binding

    @property
    def theta(self) -> Array:
        """The parameters, frozen ones too, as one vector of float64; assign to write them back."""
        return np.fromiter((p._f for p in self.params), float, len(self.params))

    @theta.setter
    def theta(self, theta: Any) -> None:
        set_numbers(self.params, checked_theta(theta, len(self.params)).tolist())

    def _leaves(self, theta: Array, args: Sequence[Any]) -> tuple[dict[str, Array], int | None]:
        """What the leaves are bound to, and the length of the batch."""
        if len(args) != len(self._shapes):
            raise TypeError(f"program: takes {len(self._shapes)} arguments, got {len(args)}")
        if any(x._f != seen and (x._f == x._f or seen == seen) for x, seen in self.watched):
            raise GuardChanged("a number that Python has read while the function was traced is another one now")
        if self.captured:
            now = np.fromiter((x._f for x in self.captured), float, len(self.captured))
            if not np.array_equal(now, self._constants[-len(now) :], equal_nan=True):
                self._constants = np.concatenate([self._constants[: -len(now)], now])
        leaves = {"theta": theta, "constants": self._constants}
        rows: int | None = None
        for k, (arg, shape) in enumerate(zip(args, self._shapes, strict=True)):
            array = numbers(arg, f"program: argument {k}")
            got = array.shape
            if self._batch:
                if not got or got[1:] != shape:
                    raise ValueError(f"program: argument {k} must have shape (rows, {str(shape)[1:-1]}), got {got}")
                if rows is not None and rows != got[0]:
                    raise ValueError(f"program: argument {k} has {got[0]} rows, the arguments before it {rows}")
                rows = got[0]
                leaves[f"input {k}"] = array.reshape(rows, -1).T
            else:
                if got != shape:
                    raise ValueError(f"program: argument {k} must have shape {shape}, got {got}")
                leaves[f"input {k}"] = array.ravel()
        if rows == 0:
            raise ValueError("program: the batch is empty")
        return leaves, rows

    def _run(self, theta: Array, args: Sequence[Any], wanted: int | None, each: bool = False) -> list[Array]:
        """The roots, averaged over a batch or (`each`) for each row of it, and the gradient that is wanted."""
        leaves, rows = self._leaves(theta, args)
        folded = self._folded
        if rows is None:
            found = folded.run(self._runners, leaves, wanted, None, self._dtype)
            self._check_guards(found)
            return found
        outputs = folded.outputs(wanted)
        piece = max(CHUNK_BYTES // (8 * max(folded.widths[wanted], 1)), 256)
        if rows <= 2 * piece:
            piece = rows
        total: list[Any] = [[] for _ in outputs]
        for start in range(0, rows, piece):
            stop = min(start + piece, rows)
            share = leaves if piece == rows else {
                name: array[:, start:stop] if name[0] == "i" else array for name, array in leaves.items()
            }  # fmt: skip
            share["seed"] = 1.0 / rows
            found = folded.run(self._runners, share, wanted, stop - start, self._dtype)
            if self.guards:
                self._check_guards(found)
            for parts, out in zip(total, found, strict=True):
                parts.append(out)
        return [
            self._joined(parts, batched, k < len(folded.roots), rows, each, outputs[0])
            for k, (parts, batched) in enumerate(zip(total, outputs, strict=True))
        ]

    @staticmethod
    def _joined(parts: list[Array], batched: bool, root: bool, rows: int, each: bool, by_rows: bool) -> Array:
        """One output from those of the pieces: the mean of a root, all rows of a gradient, or the sum of its parts.

        A root that is the same for every row (not `by_rows`) has its whole gradient in each piece.
        """
        if root and each:
            return np.concatenate(parts, -1)[0] if batched else np.full(rows, parts[0][0])
        if batched and root:
            with np.errstate(all="ignore"):
                return sum(np.add.reduce(part, -1) for part in parts) / rows
        if batched:
            return parts[0] if len(parts) == 1 else np.concatenate(parts, -1)
        if root or len(parts) == 1 or not by_rows:
            return parts[0]
        with np.errstate(all="ignore"):
            return np.add.reduce(parts)

    def _check_guards(self, found: list[Array]) -> None:
        """GuardChanged if a branch of the trace would go the other way; a NaN compares as false, and is true."""
        last = len(self._folded.roots)
        for k, (name, outcome) in enumerate(self.guards, last - len(self.guards)):
            holds = found[k] != 0.0 if name == "bool" else found[k] == 1.0
            if not (holds == outcome).all():
                raise GuardChanged("a branch depends on an argument or a parameter")

    @property
    def results(self) -> int:
        """How many values a call computes."""
        return len(self._folded.roots) - len(self.guards)

    @property
    def constants(self) -> Array:
        """The numbers that are neither parameters nor inputs, as an array."""
        return self._constants.copy()

    def _refuse_several(self, what: str) -> None:
        if not self._single:
            raise TypeError(f"{what}: the program has {self.results} results; a gradient needs one")

    # -- use

    def __call__(self, *args: Any) -> Any:
        """The value, or the list of values; the mean over a batch.

        Args:
            args: one for each input, of the shape it was made with (and a leading batch axis with batch=True).

        Raises:
            TypeError, ValueError: the number of arguments or a shape is wrong.
        """
        values = [float(out[0]) for out in self._run(self.theta, args, None)[: self.results]]
        return values[0] if self._single else values

    def value_and_grad(self, *args: Any, argnum: int = 0) -> tuple[float, Any]:
        """The value and its derivative in one argument.

        Args:
            args: as for a call.
            argnum: which argument.

        Returns:
            (value, gradient), the gradient of the shape of the argument. With a batch the value is the mean.

        Raises:
            IndexError: there is no such argument.
        """
        self._refuse_several("value_and_grad")
        if isinstance(argnum, bool) or not isinstance(argnum, int):
            raise TypeError(f"value_and_grad: argnum must be the number of one argument, got {shown(argnum)}")
        if not -len(self._shapes) <= argnum < len(self._shapes):
            raise IndexError(f"value_and_grad: argnum is {argnum}, the program has {len(self._shapes)} arguments")
        argnum %= len(self._shapes)
        value, *_, gradient = self._run(self.theta, args, argnum + 1)
        shape = self._shapes[argnum]
        if self._batch:
            rows = len(args[argnum])
            if gradient.ndim == 1:  # the value does not depend on it
                gradient = np.zeros((gradient.size, rows))
            return float(value[0]), gradient.T.reshape(rows, *shape)
        return float(value[0]), gradient.reshape(shape) if shape else float(gradient[0])

    def loss_and_grad(self, theta: Any, *args: Any) -> tuple[float, Array]:
        """The value and its gradient at parameters given as a vector; no Value is read or changed.

        Args:
            theta: the parameters, in the order of `params`.
            args: as for a call.

        Returns:
            (value, gradient), the gradient a vector like theta.

        Raises:
            RuntimeError: the program has no parameters.
        """
        self._refuse_several("loss_and_grad")
        if not self.params:
            raise RuntimeError("loss_and_grad: the program has no parameters; value_and_grad differentiates in inputs")
        value, *_, gradient = self._run(checked_theta(theta, len(self.params)), args, 0)
        return float(value[0]), gradient

    def rows_and_grad(self, theta: Any, *args: Any) -> tuple[list[Array], Array]:
        """Every result for every row of a batch, and the gradient of the mean of the first.

        Args:
            theta: the parameters, in the order of `params`.
            args: as for a call, with a batch axis.

        Returns:
            (arrays of shape (rows,), one for each result; the gradient, a vector like theta).

        Raises:
            RuntimeError: the program has no batch axis, or no parameters.
        """
        if not self._batch or not self.params:
            raise RuntimeError("rows_and_grad: the program needs a batch axis (batch=True) and parameters")
        found = self._run(checked_theta(theta, len(self.params)), args, 0, each=True)
        return found[: self.results], found[-1]

    def backward(self, *args: Any) -> float:
        """Compute the value, and add its gradient to the `.grad` of the parameters: all of them or none.

        Args:
            args: as for a call.

        Returns:
            The value.

        Raises:
            RuntimeError: the program has no parameters.
        """
        if not self.params:
            raise RuntimeError("backward: the program has no parameters to put gradients into")
        self._refuse_several("backward")
        value, *_, gradient = self._run(self.theta, args, 0)
        diff.add_gradients(self.params, gradient.tolist())
        return float(value[0])

    # -- how it shows itself

    def plan(self, gradient: bool = True) -> Plan:
        """The instructions, with those of the gradient in the parameters (without any, in the first input)."""
        wanted = None
        if gradient and self._single and (self.params or self._shapes):
            wanted = 0 if self.params else 1
        return self._folded.plan(wanted, False)

    def __str__(self) -> str:
        from autograd_lite.folding.listing import listing

        return listing(self.plan(), len(self._folded.roots), self._constants)

    def __repr__(self) -> str:
        inputs = ", ".join(map(str, self._shapes))
        return (
            f"Program({len(self.plan().instructions)} instructions, {len(self.params)} parameters, inputs [{inputs}]"
            f"{', batch' if self._batch else ''})"
        )


# --- fold -------------------------------------------------------------------------------------------------


class _Cache:
    """The structures folded last, so that another graph of the same structure is not folded anew."""

    def __init__(self, most: int = 16, tries: int = 4) -> None:
        self.most, self.tries, self.lock = most, tries, threading.Lock()
        self.known: OrderedDict[Any, tuple[Folded, Pattern, str, Array]] = OrderedDict()

    def folded(
        self, roots: Sequence[Value], params: Sequence[Value] | None, leaves: Sequence[Sequence[Value]], batch: bool
    ) -> tuple[Folded, Binding]:
        """What runs a graph, and what of the graph it needs; folded if it is none of the structures folded last."""
        kind = batch, params is None, *(root._row for root in roots)
        with self.lock:
            alike = [(key, *found) for key, found in self.known.items() if key[0] == kind]
        for key, made, pattern, _, _ in alike[: -self.tries - 1 : -1]:
            binding = pattern.binding(roots, params, leaves)
            if binding is not None:
                with self.lock:
                    if key in self.known:
                        self.known.move_to_end(key)
                return made, binding
        scan = Scan(roots, params, leaves)
        for other, _, _, skeleton, groups in alike:
            if skeleton == scan.skeleton and other[1] != scan.structure:
                # Literals that were one object there are several here, or the other way round: such as labels that
                # are 1 in other examples. What is not one in both is kept apart from now on, in place of the other.
                scan = Scan(roots, params, leaves, apart=groups)
                with self.lock:
                    if other[1] != scan.structure:
                        self.known.pop(other, None)
                break
        binding = Binding(scan.params, scan.constants, scan.captured)
        key = kind, scan.structure
        with self.lock:
            known = self.known.get(key)
            if known is not None:
                self.known.move_to_end(key)
                return known[0], binding
        made = Folded(*build(scan, batch))
        with self.lock:
            self.known[key] = made, Pattern(scan, params is not None), scan.skeleton, scan.groups
            while len(self.known) > self.most:
                self.known.popitem(last=False)
        return made, binding


_cache = _Cache()


def fold(value: Any, params: Any = None, inputs: Sequence[Any] | None = None, *,
         dtype: Any = float) -> Program:  # fmt: skip
    """A graph as a Program: scalars that do the same thing become lanes of one array instruction.

    What Python decided while the graph was built stays decided, and a number that is neither a parameter nor an
    input is a constant of the program. Folding another graph of the same structure reuses the first one's work.
    Values are those of the graph up to rounding: sums are added in another order and not exactly rounded, so that
    they may overflow on the way where the graph does not; a term `+ 0.0` is left out, and with it the sign of a zero.
    It pays where much is done side by side; a chain, each step of which needs the one before, stays a chain of
    instructions of one lane.

    Args:
        value: the Value to compute, or a sequence of several.
        params: the leaves that training changes, in the order of `program.theta`: a Module or a sequence; None for
            every Parameter that the value depends on.
        inputs: leaves to feed, one argument each: a Value, or a nested sequence or array of Values for an argument
            of that shape.
        dtype: what the program computes in, float64, or float32 on request.

    Returns:
        A Program; without inputs it takes no arguments.

    Raises:
        TypeError: value or a leaf is no Value.
        ValueError: a leaf is the result of an operation, or is given twice.

    Example:
        >>> w = [ag.Parameter(0.5), ag.Parameter(-1.0)]
        >>> x = [ag.Value(1.0), ag.Value(2.0)]
        >>> program = ag.fold(ag.tanh(ag.dot(w, x)), inputs=[x])
        >>> f"{program([1.0, 2.0]):.4f} {program([4.0, 0.5]):.4f}"
        '-0.9051 0.9051'
    """
    dtype = checked_dtype(dtype, "fold")
    single = isinstance(value, Value)
    if not single and (not isinstance(value, Iterable) or isinstance(value, (str, bytes, dict))):
        raise TypeError(f"fold: expected a Value or a sequence of them, got {shown(value)}")
    roots = [value] if single else list(value)
    for k, root in enumerate(roots):
        if not isinstance(root, Value):
            raise TypeError(f"fold: expected a Value{'' if single else f' as result {k}'}, got {shown(root)}")
    if not roots:
        raise ValueError("fold: there is no value to compute")
    if isinstance(inputs, Value):
        raise TypeError(f"fold: inputs must be a sequence, one for each argument: inputs=[x], got {shown(inputs)}")
    leaves, shapes = [], []
    for k, given in enumerate(inputs or []):
        array = np.asarray(given, object)
        leaves.append(_checked_leaves(array.ravel().tolist(), f"fold: inputs[{k}]"))
        shapes.append(array.shape)
    chosen = None if params is None else listed_params(params, "fold")
    every = [x for group in (chosen or [], *leaves) for x in group]
    if len(set(every)) < len(every):
        twice = next(x for k, x in enumerate(every) if x in every[:k])
        raise ValueError(f"fold: {twice!r} is given twice among the parameters and inputs")
    return make(roots, chosen, leaves, shapes, single, False, dtype)


def make(
    roots: Sequence[Value], params: Sequence[Value] | None, leaves: Sequence[Sequence[Value]],
    shapes: Sequence[tuple[int, ...]], single: bool, batch: bool, dtype: Any, live: bool = False,
) -> Program:  # fmt: skip
    """A Program of checked arguments; `live` reads the Values among its constants anew at each call."""
    folded, binding = _cache.folded(roots, params, leaves, batch)
    program = Program(folded, binding.params, binding.constants, shapes, single, batch, dtype)
    if live:
        program.captured = binding.captured
    return program


def _checked_leaves(xs: list[Any], what: str) -> list[Value]:
    for k, x in enumerate(xs):
        if not isinstance(x, Value):
            raise TypeError(f"{what}: expected Values, element {k} is {shown(x)}")
        if x._row is not None:
            raise ValueError(f"{what}: element {k} is the result of an operation, {x!r}; only leaves can be fed")
    return xs
