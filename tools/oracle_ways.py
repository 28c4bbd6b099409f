"""The ways in which the package computes a program, and the truth that each is held against.

A way is a Python expression in the names of a Setting (`f`, `x`, `v`, `c = ag.compile(f, ...)`, ...) and what its
numbers are: "value", "gradient", "product" (the Hessian times v) ... A Variant is where compiled ones run: a backend, a
type, and what is patched to force one executor of several. So a program, a way and a variant are one comparison, and
one that fails is printed as Python to paste.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

import autograd_lite as ag
from autograd_lite.folding.backends import BACKENDS, why_not
from autograd_lite.folding.backends.native import jit
from autograd_lite.folding.structures import Cache
from tools.oracle_numbers import Arrays, Book, Exact, Nested, in_single, single
from tools.oracle_texts import Pair, Text, filled, flat, leaves
from tools.oracle_truth import EPS, FOLDED, TINY, Known, Skip, mp, ratio

# --- where it runs ----------------------------------------------------------------------------------------------


@dataclass
class Variant:
    """Where compiled programs run.

    Args:
        backend, dtype: as for `ag.compile`.
        patches: what is put in place of what, by full name, so that this executor and no other is taken.
    """

    backend: str
    dtype: Any = float
    patches: dict[str, Any] = field(default_factory=dict)
    cache: Any = field(default_factory=Cache)
    """Structures of its own: what was made for another variant is not taken over."""

    @contextmanager
    def active(self) -> Iterator[None]:
        """In this block programs are made and run so."""
        with ExitStack() as stack:
            for name, x in {"autograd_lite.folding.program.cache": self.cache, **self.patches}.items():
                stack.enter_context(patch(name, x))
            if self.dtype is np.float32:
                stack.enter_context(single())
            if self.backend == INTERPRETER:  # not one of the package's
                stack.enter_context(patch.dict(BACKENDS, {INTERPRETER: "tools.oracle_interpreter"}))
            yield


AVX2 = {"autograd_lite.folding.backends.native.jit.Target.host": lambda: jit.Target("haswell", "+avx2,+fma")}
NEVER = 10**9
INTERPRETER = "interpreter"
UNROLLED = {"autograd_lite.folding.build.LEAST_STEPS": NEVER}
BY_CALLS = {"autograd_lite.folding.backends.numpy_loops._pays": lambda step: False}

VARIANTS = {
    "numpy": Variant("numpy"),
    "native": Variant("native"),
    "native, AVX2": Variant("native", float, AVX2),
    "nests interpreted": Variant(INTERPRETER),
    "native, float32": Variant("native", np.float32),
    "numpy, float32": Variant("numpy", np.float32),
    "native, AVX2, float32": Variant("native", np.float32, AVX2),
    "numpy, loops by calls": Variant("numpy", float, BY_CALLS),
    "native, unrolled": Variant("native", float, UNROLLED),
    "jax": Variant("jax"),
}


def available() -> list[str]:
    """The variants that can run here, JAX apart, which takes a second a program."""
    avx512 = not why_not("native") and jit.Target.host().avx512
    return [
        name for name, x in VARIANTS.items()
        if x.backend == INTERPRETER
        or (x.backend != "jax" and not why_not(x.backend) and (avx512 or "AVX2" not in name))
    ]  # fmt: skip


# --- what is true -------------------------------------------------------------------------------------------------


class Truth:
    """A program at one of its points, at 50 digits; Skip if that cannot be judged."""

    def __init__(self, text: Text, k: int) -> None:
        self.form, self.point = text.forms[k], text.points[k]
        captured = text.captured[k] if text.captured else []
        self.book = book = Book([*self.point, *captured])
        m = (Nested if text.nested else Exact)(book)
        space: dict[str, Any] = {"ag": m, "np": Arrays(m)}
        exec(_code(text.source), space)
        numbers = book.inputs()
        space["c"] = numbers[len(self.point) :]
        with np.errstate(all="ignore"):  # NumPy looks at NaN on the way
            self.result = space["f"](filled(self.form, iter(numbers), _objects))
        self._known: dict[tuple[float, ...], Known] = {}

    @property
    def n(self) -> int:
        return len(self.point)

    def along(self, direction: Sequence[float]) -> Known:
        """What is known, with derivatives along a direction."""
        key = tuple(direction)
        if key not in self._known:
            rest = [0.0] * (self.book.leaves - self.n)
            found = self._known[key] = self.book.judged(self.result, [*direction, *rest])
            for name in ("gradient", "gradient_bound", "product", "product_bound"):
                numbers = getattr(found, name)
                setattr(found, name, numbers and numbers[: self.n])
        return self._known[key]

    def of(self, what: str, direction: Sequence[float]) -> tuple[list[Any], list[float]]:
        """Numbers and bounds of what a way computes."""
        if what == "hessian":
            both = [self.of("product", [float(i == j) for j in range(self.n)]) for i in range(self.n)]
            return [x for one, _ in both for x in one], [x for _, one in both for x in one]
        found = self.along(direction)
        if what == "value":
            return [found.value], [found.value_bound]
        if what == "gradient":
            return found.gradient, found.gradient_bound
        if what == "both":
            return [found.value, *found.gradient], [found.value_bound, *found.gradient_bound]
        if found.tangent is None:
            raise Skip(found.why_no_product)
        if what == "tangent":
            return [found.tangent], [found.tangent_bound]
        if what == "pair":
            return [found.value, found.tangent], [found.value_bound, found.tangent_bound]
        if found.product is None:
            raise Skip(found.why_no_product)
        return (
            (found.product, found.product_bound) if what == "product" else ([found.curvature], [found.curvature_bound])
        )


def _objects(xs: list[Any]) -> Any:
    return np.array(xs, object)


_CODE: dict[str, Any] = {}


def _code(source: str) -> Any:
    if source not in _CODE:
        if len(_CODE) > 100:
            _CODE.clear()
        _CODE[source] = compile(source, "<program>", "exec")
    return _CODE[source]


# --- the ways -----------------------------------------------------------------------------------------------------


class Way(NamedTuple):
    """An expression, and what its numbers are.

    Args:
        code: in the names of `Setting`.
        what: see `Truth.of`.
        flat: whether it is for arguments that are one list or vector only.
        needs: the type that x must have.
    """

    code: str
    what: str
    flat: bool = False
    needs: type = object

    @property
    def listed(self) -> bool:
        """Whether derivatives come as one vector, whatever the form of x."""
        return "leaves" in self.code


EAGER_WAYS = [
    Way("f(values)", "value"),
    Way("(f(values) + ag.Value(0.0)).backward() or [a.grad for a in leaves]", "gradient"),
    Way("ag.gradients(f(values) + ag.Value(0.0), leaves)", "gradient"),
    Way("ag.gradients(f(values) + ag.Value(0.0), leaves, create_graph=True)", "gradient"),
    Way("ag.value_and_grad(f)(x)", "both"),
    Way("ag.grad(f)(x)", "gradient"),
    Way("ag.jvp(f, (x,), (v,))", "pair"),
    Way("(lambda y, pull: [y, pull(1.0)])(*ag.vjp(f, x))", "both"),
    Way("ag.hvp(f, x, v)", "product"),
    Way("ag.grad(lambda z: ag.jvp(f, (z,), (v,))[1])(x)", "product"),
    Way("ag.jvp(ag.grad(f), (x,), (v,))[1]", "product"),
    Way("ag.vjp(ag.grad(f), x)[1](v)", "product"),
    Way("ag.jvp(lambda z: ag.jvp(f, (z,), (v,))[1], (x,), (v,))[1]", "curvature"),
    Way("ag.hessian(f)(x)", "hessian", True),
    Way("ag.jacobian(ag.grad(f))(x)", "hessian", True),
    Way("ag.hessian(f, sparse=True)(x)", "hessian", True),
    Way("ag.jacobian(lambda z: [f(z), f(z) * 2.0])(x)[0]", "gradient", True),
]
COMPILED_WAYS = [
    Way("c(x)", "value"),
    Way("c.value_and_grad(x)", "both"),
]
"""At every point."""
MORE_WAYS = [
    Way("ag.grad(c)(x)", "gradient"),
    Way("ag.value_and_grad(c)(x)", "both"),
    Way("c.jvp(x if isinstance(x, tuple) else (x,), v if isinstance(x, tuple) else (v,))", "pair", True),
    Way("(lambda y, pull: [y, pull(1.0)])(*c.vjp(x))", "both", True),
    Way("c.hvp(x, v)", "product", True),
    Way("c.jacobian(x)", "gradient", True),
    Way("c.jacobian(x, sparse=True)", "gradient", True),
    Way("c.hessian(x)", "hessian", True),
    Way("c.hessian(x, sparse=True)", "hessian", True),
    Way("ag.hvp(c, x, v)", "product"),
    Way("ag.jvp(c, (x,), (v,))", "pair"),
    Way("(lambda y, pull: [y, pull(1.0)])(*ag.vjp(c, x))", "both"),
    Way("ag.grad(lambda z: ag.jvp(c, (z,), (v,))[1])(x)", "product"),
    Way("ag.jvp(ag.grad(c), (x,), (v,))[1]", "product"),
    Way("ag.hessian(c)(x)", "hessian", True),
    Way("ag.jacobian(ag.grad(c))(x)", "hessian", True),
    Way("ag.compile(ag.grad(f), backend=b, dtype=dtype)(x)", "gradient"),
    Way("ag.compile(ag.value_and_grad(f), backend=b, dtype=dtype)(x)", "both"),
    Way("ag.compile(ag.hessian(f), backend=b, dtype=dtype)(x)", "hessian", True),
    Way("ag.compile(lambda z: ag.hvp(f, z, v), backend=b, dtype=dtype)(x)", "product"),
    Way("ag.compile(lambda z: ag.jvp(f, (z,), (v,))[1], backend=b, dtype=dtype).value_and_grad(x)", "turn"),
    Way("ag.compile(ag.grad(lambda z: ag.jvp(f, (z,), (v,))[1]), backend=b, dtype=dtype)(x)", "product"),
    Way("ag.grad(ag.compile(lambda z: ag.jvp(c, (z,), (v,))[1], backend=b, dtype=dtype))(x)", "product"),
    Way("ag.compile(lambda *a: f(a), backend=b, dtype=dtype)(*x)", "value", False, tuple),
    Way(
        "ag.compile(lambda *a: f(a), backend=b, dtype=dtype).value_and_grad(*x, argnum=tuple(range(len(x))))",
        "both",
        False,
        tuple,
    ),
    Way(
        "ag.grad(ag.compile(lambda *a: f(a), backend=b, dtype=dtype), argnum=tuple(range(len(x))))(*x)",
        "gradient",
        False,
        tuple,
    ),
    Way("ag.compile(lambda **a: f(a), backend=b, dtype=dtype)(**x)", "value", False, dict),
    Way(
        "(lambda g: [g(x, k) for k in (2, 2.0, True, 0.0, 1.0)][4])"
        "(ag.compile(lambda a, k: f(a) * k, static='k', backend=b, dtype=dtype))",
        "value",
    ),
    Way(
        "(lambda g: [g(x, k) for k in (2, 2.0, True, 0.0, -0.0, 1)][5])"
        "(ag.compile(lambda a, k: f(a) * k, static='k', backend=b, dtype=dtype))",
        "value",
    ),
    Way("ag.fold(f(values) + ag.Value(0.0), params=leaves, backend=b, dtype=dtype).loss_and_grad(point)", "both"),
    Way("ag.fold(f(values) + ag.Value(0.0), params=leaves, backend=b, dtype=dtype).hessian(point)", "hessian"),
    Way(
        "ag.fold(ag.gradients(f(values) + ag.Value(0.0), leaves, create_graph=True), params=leaves, backend=b, "
        "dtype=dtype)()",
        "gradient",
    ),
    Way("ag.compile(lambda: f(values), params=leaves, backend=b, dtype=dtype).loss_and_grad(point)", "both"),
    Way(
        "(ag.compile(lambda: f(values) + ag.Value(0.0), params=leaves, backend=b, dtype=dtype).backward(), "
        "[a.grad for a in leaves])[1]",
        "gradient",
    ),
]
"""Some of them, at some points."""
BATCH_WAYS = [
    Way("batch(X)", "mean"),
    Way("batch.rows(X)", "value"),
    Way("batch.value_and_grad(X)", "mean and rows"),
    Way("batch.jacobian(X)", "gradient", True),
    Way("batch.hessian(X)", "hessian", True),
    Way("batch.hvp(X, V)", "product", True),
    Way("ag.compile(ag.grad(f), batch=True, backend=b, dtype=dtype).rows(X)", "gradient", True),
    Way("ag.compile(lambda z: ag.jvp(f, (z,), (v,))[1], batch=True, backend=b, dtype=dtype).rows(X)", "tangent", True),
    Way("ag.compile(lambda z: ag.hvp(f, z, v), batch=True, backend=b, dtype=dtype).rows(X)", "product", True),
]
AUTO_WAYS = [
    Way("ag.grad(f, compiled=True)(x)", "gradient"),
    Way("ag.value_and_grad(f, compiled=True)(x)", "both"),
    Way("ag.jvp(f, (x,), (v,), compiled=True)", "pair"),
    Way("(lambda y, pull: [y, pull(1.0)])(*ag.vjp(f, x, compiled=True))", "both"),
    Way("ag.hvp(f, x, v, compiled=True)", "product"),
    Way("ag.hessian(f, compiled=True)(x)", "hessian", True),
    Way("ag.hessian(f, sparse=True, compiled=True)(x)", "hessian", True),
    Way("ag.jacobian(f, compiled=True)(x)", "gradient", True),
    Way("ag.jacobian(f, sparse=True, compiled=True)(x)", "gradient", True),
    Way("ag.grad(lambda z: ag.jvp(f, (z,), (v,), compiled=True)[1], compiled=True)(x)", "product"),
]
"""On the backend that "auto" takes."""


def _is_flat(form: Any) -> bool:
    return isinstance(form, int) or (isinstance(form, tuple) and form[:1] == ("array",) and len(form[1]) == 1)


class Setting:
    """The names that ways use, for one program in one variant."""

    def __init__(self, text: Text, variant: Variant | None = None) -> None:
        self.text = text
        self.space: dict[str, Any] = {"ag": ag, "np": np}
        exec(_code(text.source), self.space)
        self.captured = [ag.Value(x) for x in text.captured[0]] if text.captured else []
        self.space["c"] = self.captured
        f = self.space["f"]
        self.names: dict[str, Any] = {"ag": ag, "np": np, "f": f}
        if variant is not None:
            how = {"backend": variant.backend, "dtype": variant.dtype}
            self.names |= {"b": variant.backend, "dtype": variant.dtype, "c": ag.compile(f, **how)}
            self.names["batch"] = ag.compile(f, batch=True, **how)

    def at(self, k: int, direction: Sequence[float]) -> Setting:
        """Put the numbers of a point where they are read."""
        form, point = self.text.forms[k], self.text.points[k]
        if self.captured:
            for value, x in zip(self.captured, self.text.captured[k], strict=True):
                value.data = x
        some = [ag.Value(x) for x in point]
        self.names |= {"x": filled(form, iter(point)), "v": filled(form, iter(direction)), "point": point,
                       "leaves": some,
                       "values": filled(form, iter(some), ag.array)}  # fmt: skip
        return self

    def rows(self, some: Sequence[int], direction: Sequence[float]) -> Setting:
        """Put points as the rows of a batch."""
        form = self.text.forms[some[0]]
        self.names["X"] = _stacked(form, [self.text.points[k] for k in some])
        self.names["V"] = _stacked(form, [direction for _ in some])
        self.names["v"] = filled(form, iter(direction))
        return self

    def run(self, way: Way) -> Any:
        return eval(way.code, self.names)


def _has_sequence(form: Any) -> bool:
    """Whether there is a list or tuple of containers: with rows in front it is one array, or none that is allowed."""
    if isinstance(form, dict):
        return any(map(_has_sequence, form.values()))
    if isinstance(form, Pair):
        return _has_sequence(form.a) or _has_sequence(form.b)
    return isinstance(form, (list, tuple)) and form[:1] != ("array",)


def _stacked(form: Any, rows: Sequence[Sequence[float]]) -> Any:
    """The tree whose numbers have an axis of rows in front."""
    columns = iter(np.array(rows).T)

    def build(form: Any) -> Any:
        if form == "number":
            return np.array(next(columns))
        if isinstance(form, int):
            return np.array([next(columns) for _ in range(form)]).T.copy()
        if isinstance(form, tuple) and form[:1] == ("array",):
            made = np.array([next(columns) for _ in range(math.prod(form[1]))]).T
            return np.ascontiguousarray(made).reshape(len(rows), *form[1])
        if isinstance(form, dict):
            return {key: build(part) for key, part in form.items()}
        if isinstance(form, list):
            return [build(part) for part in form]
        parts = [build(part) for part in (form if isinstance(form, tuple) else (form.a, form.b))]
        return tuple(parts) if type(form) is tuple else type(form)(*parts)

    return build(form)


# --- comparing ------------------------------------------------------------------------------------------------------

AS_EAGER = {"an operand is infinite", "the sign of a zero decides", "the conventions are silent", "a NaN is live",
            "a second derivative is not finite", "the gradient is not finite",
            "an adjoint that may be 0 meets a derivative that is not finite"}  # fmt: skip
"""Where the truth is silent compiled programs must give what Values give."""


class Trial:
    """A program under comparison: what is found goes into a tally (oracle.Tally)."""

    def __init__(self, text: Text, rng: random.Random, tally: Any, kind: str, label: str) -> None:
        self.text, self.rng, self.tally, self.kind, self.label = text, rng, tally, kind, label
        self.failures: list[str] = []
        self.truths: list[Truth | None] = []
        self.whys: list[str] = []
        self.directions = [[rng.choice((1.0, -1.0, 0.5, 2.0, 0.0)) for _ in point] for point in text.points]
        self.eager: dict[int, Any] = {}
        self.looped = False
        """Whether a program of it has a loop over steps."""
        self.look()

    def look(self) -> None:
        """Find what is true at each point."""
        self.truths, self.whys = [], []
        for k in range(len(self.text.points)):
            found, why = None, ""
            try:
                found = Truth(self.text, k)
            except Skip as reason:
                why = str(reason)
            except np.linalg.LinAlgError:
                why = "a singular matrix"
            self.truths.append(found)
            self.whys.append(why)

    def fail(self, where: str, what: str, k: int) -> None:
        self.tally.over += 1
        x = f"x = {filled(self.text.forms[k], iter(self.text.points[k]))!r}, v = {self.directions[k]}"
        captured = f", c = {self.text.captured[: k + 1]}" if self.text.captured else ""
        self.failures.append(f"{where}: {what}\n    at {x}{captured}")

    def skip(self, what: str, why: str) -> None:
        self.tally.skipped[f"{self.kind}: {what}", why] += 1

    def one(self, setting: Setting, way: Way, k: int, where: str = "") -> None:
        """A way at a point."""
        direction, truth = self.directions[k], self.truths[k]
        mode = f"{self.kind}: {where or 'eager'}"
        if truth is None:
            if where and self.whys[k] in AS_EAGER:
                self.as_eager(setting, way, k, where)
            return
        what = way.what
        try:
            if what == "turn":
                (t, tb), (p, pb) = truth.of("tangent", direction), truth.of("product", direction)
                true, bounds = [*t, *p], [*tb, *pb]
            else:
                true, bounds = truth.of(what, direction)
        except Skip as reason:
            self.skip("second order" if what not in ("value", "both", "gradient") else "first order", str(reason))
            if where and str(reason) in AS_EAGER:
                self.as_eager(setting, way, k, where)
            return
        try:
            got = _numbers(setting.at(k, direction).run(way), None if way.listed else self.text.forms[k], what)
        except Exception as error:
            self.fail(mode, f"{way.code} raised {type(error).__name__}: {str(error)[:300]}", k)
            return
        self.compare(mode, way, got, true, bounds, k)

    def compare(
        self, mode: str, way: Way, got: Sequence[float], true: Sequence[Any], bounds: Sequence[float], k: int
    ) -> None:
        if len(got) != len(true):
            self.fail(mode, f"{way.code} gave {len(got)} numbers, not {len(true)}", k)
            return
        for i, (one, exact, bound) in enumerate(zip(got, true, bounds, strict=True)):
            self.tally.compared[mode] += 1
            off = ratio(one, exact, bound)
            if off < 0.0:
                self.tally.skipped[mode, "the bound is not finite"] += 1
                continue
            if bound > 1e-6 * abs(exact) and bound > 1e-12:
                self.tally.loose += 1
            self.tally.worst[mode] = max(self.tally.worst.get(mode, 0.0), off)
            if off > 1.0:
                self.fail(mode, f"{way.code}, number {i}: got {one!r}, true {mp.nstr(exact, 20)}, bound {bound:.3g}, "
                          f"error / bound {off:.4g}", k)  # fmt: skip

    def as_eager(self, setting: Setting, way: Way, k: int, where: str) -> None:
        """A compiled way against Values, where the truth is silent: NaN and infinities alike, numbers to 1e-9."""
        if way.what not in ("value", "both", "gradient"):
            return
        mode = f"{self.kind}: as Values, {where}"
        if k not in self.eager:
            fresh = Setting(self.text).at(k, self.directions[k])
            try:
                self.eager[k] = _numbers(fresh.run(Way("ag.value_and_grad(f)(x)", "both")), self.text.forms[k], "both")
            except Exception as error:
                self.eager[k] = type(error)
        expected = self.eager[k]
        try:
            got = _numbers(
                setting.at(k, self.directions[k]).run(way), None if way.listed else self.text.forms[k], way.what
            )
        except Exception as error:
            if not isinstance(expected, type) or not isinstance(error, expected):
                self.fail(
                    mode, f"{way.code} raised {type(error).__name__}: {str(error)[:300]}; Values give {expected}", k
                )
            return
        if isinstance(expected, type):
            self.fail(mode, f"{way.code} gave {got}, Values raise {expected.__name__}", k)
            return
        expected = expected[:1] if way.what == "value" else expected[1:] if way.what == "gradient" else expected
        wide = 1e-4 if "float32" in where else 1e-9
        sizes = [abs(x) for x in expected if math.isfinite(x)]
        for one, other in zip(got, expected, strict=True):
            self.tally.compared[mode] += 1
            if one == other or (one != one and other != other):
                continue
            if "float32" in where and not max(sizes) < 1e30:
                continue
            if not abs(one - other) <= wide * max(sizes, default=0.0):
                self.fail(mode, f"{way.code} gave {got}, Values {expected}", k)
                return

    def batch(self, setting: Setting, way: Way, where: str) -> None:
        """A way over points as rows."""
        by_way: dict[Any, list[int]] = {}
        for k, truth in enumerate(self.truths):
            if truth is not None and not self.text.captured:
                by_way.setdefault((repr(self.text.forms[k]), tuple(truth.book.decisions)), []).append(k)
        some = max(by_way.values(), key=len, default=[])
        if not some or (way.flat and not _is_flat(self.text.forms[0])) or _has_sequence(self.text.forms[0]):
            return
        some = [self.rng.choice(some) for _ in range(self.rng.choice((1, 3, 5)))]
        direction, mode = self.directions[some[0]], f"{self.kind}: {where}, batch"
        n, form = len(some), self.text.forms[some[0]]
        true: list[Any] = []
        bounds: list[float] = []
        try:
            what = way.what if way.what not in ("mean", "mean and rows") else "value"
            each = [self.truths[k].of(what, direction) for k in some]  # type: ignore[union-attr]
            if way.what.startswith("mean"):
                values = [x for one, _ in each for x in one]
                one_ulp = 2.0 ** (-23 if "float32" in where else -52)
                true = [sum(values) / n]
                bounds = [sum(b[0] for _, b in each) / n + one_ulp * sum(abs(float(x)) for x in values) * n + TINY]
                if way.what == "mean and rows":
                    for k in some:
                        g, gb = self.truths[k].of("gradient", direction)  # type: ignore[union-attr]
                        true += [x / n for x in g]
                        bounds += [
                            b / n + 2 * one_ulp * abs(float(x)) + (1e-38 if "float32" in where else TINY)
                            for x, b in zip(g, gb, strict=True)
                        ]
            else:
                true, bounds = [x for one, _ in each for x in one], [x for _, one in each for x in one]
        except Skip as reason:
            self.skip("batch", str(reason))
            return
        try:
            found = setting.rows(some, direction).run(way)
            got = _batch_numbers(found, form, n, way.what)
        except Exception as error:
            self.fail(mode, f"{way.code} with rows {some} raised {type(error).__name__}: {str(error)[:300]}", some[0])
            return
        self.compare(mode, way, got, true, bounds, some[0])


def _floats(xs: Sequence[Any]) -> list[float]:
    return [x.item() if isinstance(x, ag.Value) else float(x) for x in xs]


def _numbers(x: Any, form: Any, what: str) -> list[float]:
    """What a way gave, in the order of the truth; form is None for what is one vector anyway."""
    if form is None:
        return _floats([z for y in x for z in leaves(y)] if isinstance(x, tuple) else leaves(x))
    if what in ("value", "pair", "tangent", "curvature", "hessian"):
        return _floats(leaves(x))
    if what in ("both", "turn"):
        return _floats([*leaves(x[0]), *_like(form, x[1])])
    return _floats(_like(form, x))


def _like(form: Any, x: Any) -> list[Any]:
    """Derivatives in the form of the argument, or as one vector."""
    return leaves(x) if isinstance(x, (np.ndarray, list)) and not isinstance(form, list) else flat(form, x)


def _batch_numbers(x: Any, form: Any, n: int, what: str) -> list[float]:
    if what == "mean":
        return _floats(leaves(x))
    if what == "mean and rows":
        parts = [np.reshape(part, (n, -1)) for part in _arrays(form, x[1])]
        return [float(x[0]), *_floats(np.concatenate(parts, 1).ravel())]
    if isinstance(x, list):  # a result in a list: an array of rows for each
        x = np.stack([np.reshape(part, (n, -1)) for part in x], -1)
    return _floats(np.reshape(x, (n, -1)).ravel())


def _arrays(form: Any, x: Any) -> list[Any]:
    if isinstance(x, np.ndarray) or form == "number" or isinstance(form, int):
        return [x]
    if isinstance(form, dict):
        return [y for key, part in form.items() for y in _arrays(part, x[key])]
    if isinstance(form, (list, tuple)):
        return list(chain.from_iterable(_arrays(part, one) for part, one in zip(form, x, strict=True)))
    return [*_arrays(form.a, x.a), *_arrays(form.b, x.b)]


# --- a program through some of its ways ---------------------------------------------------------------------------


def check(trial: Trial, where: Sequence[str], more: int, eager: int) -> bool:
    """Hold a program against the truth: some eager ways, and in each of these variants the compiled ones."""
    rng, text = trial.rng, trial.text
    known = [k for k, truth in enumerate(trial.truths) if truth is not None]
    form, flat_form = text.forms[0], _is_flat(text.forms[0])

    def some(ways: Sequence[Way], count: int) -> list[Way]:
        fit = [
            way
            for way in ways
            if (flat_form or not way.flat)
            and (way.needs is object or (type(form) is way.needs and "array" not in form))
        ]
        return rng.sample(fit, min(count, len(fit)))

    setting = Setting(text)
    for k in known[: 2 if eager else 0]:
        for way in some(EAGER_WAYS, eager):
            trial.one(setting, way, k)
    for name in where:
        variant = VARIANTS[name]
        with variant.active():
            if variant.dtype is np.float32:
                narrowed = Trial(_narrow(text), rng, trial.tally, trial.kind, trial.label)
                narrowed.failures = trial.failures
                _compiled(narrowed, name, variant, some, more)
                trial.looped |= narrowed.looped
            else:
                _compiled(trial, name, variant, some, more)
    return not trial.failures


def _narrow(text: Text) -> Text:
    """The same program at numbers that are float32."""
    return Text(text.source, text.forms, [[in_single(x) for x in point] for point in text.points], text.nested,
                [[in_single(x) for x in some] for some in text.captured])  # fmt: skip


def _compiled(trial: Trial, name: str, variant: Variant, some: Callable[..., list[Way]], more: int) -> None:
    setting = Setting(trial.text, variant)
    for k in range(len(trial.text.points)):
        for way in trial.rng.sample(COMPILED_WAYS, 1 if trial.rng.randrange(2) else 2):
            trial.one(setting, way, k, name)
    ways = (
        MORE_WAYS
        if trial.text.captured or variant.backend != "native" or variant.dtype is not float
        else MORE_WAYS + AUTO_WAYS
    )
    for way in some(ways, more):
        trial.one(setting, way, trial.rng.randrange(len(trial.text.points)), name)
    for way in some(BATCH_WAYS, 1 + more // 4):
        trial.batch(setting, way, name)
    made = [program for some in setting.names["c"]._programs.values() for program in some]
    trial.looped |= any(program.plan().loops for program in made)


__all__ = ["EPS", "FOLDED", "VARIANTS", "Trial", "available", "check"]
