"""Gradients and Hessians beside autograd (HIPS), JAX and CasADi: python -m benchmarks.derivatives

`python -m benchmarks.derivatives compiled` is the other section: derivatives of compiled programs.

Those that are not installed are left out (the extra `bench` has them). Every contestant gets the function in
the form that suits it: ours and CasADi a loop over scalars, autograd and JAX array code. Answers are
checked to be equal before anything is timed. All run on one core, one thread, in float64, in turn in one process.

The cost of a call means different things. Ours and autograd run the function anew at every call, so it may branch
freely. JAX and CasADi first make a program for one shape (the columns "make"), which then
runs again and again.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from math import log10
from operator import mul
from tempfile import TemporaryDirectory
from typing import Any

if hasattr(os, "sched_setaffinity"):  # before any library counts the cores
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", JAX_PLATFORMS="cpu", JAX_ENABLE_X64="1")

import numpy as np

import autograd_lite as ag
from benchmarks.measure import publish, side_by_side, table

Run = Callable[[], Any]

SIZES = (10, 100, 1_000, 10_000)
DENSE = (10, 100, 1_000)


def rosenbrock(x: Any) -> Any:
    """Scalars: a sum of terms of two neighbours."""
    return ag.sum([100.0 * (x[i + 1] - x[i] * x[i]) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])


def speelpenning(x: Any) -> Any:
    """Scalars: the product of all."""
    return reduce(mul, x)


def rosenbrock_arrays(np: Any) -> Callable[[Any], Any]:
    """The same on arrays, in a library that looks like NumPy."""
    return lambda x: np.sum(100.0 * (x[1:] - x[:-1] * x[:-1]) ** 2 + (1.0 - x[:-1]) ** 2)


def speelpenning_arrays(np: Any) -> Callable[[Any], Any]:
    """The product, on arrays."""
    return np.prod  # type: ignore[no-any-return]


SCALARS = {"Rosenbrock": rosenbrock, "Speelpenning": speelpenning}
ARRAYS = {"Rosenbrock": rosenbrock_arrays, "Speelpenning": speelpenning_arrays}


def point(name: str, n: int) -> Any:
    """Where to differentiate; near 1, so that a product of many stays a number."""
    return np.linspace(-1.0, 1.0, n) if name == "Rosenbrock" else 1.0 + np.linspace(-1.0, 1.2, n) / n


# --- few inputs, many results: beside dual numbers written by hand --------------------------------------


class Dual:
    """A number and its derivatives in a few inputs, as one would write it by hand."""

    __slots__ = ("slopes", "value")

    def __init__(self, value: float, slopes: list[float]) -> None:
        self.value, self.slopes = value, slopes

    def __add__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, [a + b for a, b in zip(self.slopes, other.slopes, strict=True)])
        return Dual(self.value + other, self.slopes)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value - other.value, [a - b for a, b in zip(self.slopes, other.slopes, strict=True)])
        return Dual(self.value - other, self.slopes)

    def __rsub__(self, other: float) -> Dual:
        return Dual(other - self.value, [-a for a in self.slopes])

    def __mul__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            u, v = self.value, other.value
            return Dual(u * v, [a * v + u * b for a, b in zip(self.slopes, other.slopes, strict=True)])
        return Dual(self.value * other, [a * other for a in self.slopes])

    __rmul__ = __mul__


def epidemic(parameters: Any) -> list[Any]:
    """60 results in 3 parameters: an epidemic by 20 steps of Euler between two of them."""
    infection, recovery, reported = parameters
    healthy, ill, results = 0.99, 0.01, []
    for _ in range(60):
        for _ in range(20):
            new = infection * healthy * ill
            healthy, ill = healthy - 0.05 * new, ill + 0.05 * (new - recovery * ill)
        results.append(ill * reported - 0.1)
    return results


def few_inputs() -> str:
    """The table of a tall Jacobian."""
    x = [1.5, 1.0, 0.3]

    def by_hand() -> Any:
        units = np.eye(len(x)).tolist()
        return np.array([y.slopes for y in epidemic([Dual(t, unit) for t, unit in zip(x, units, strict=True)])])

    point, derivative = np.array(x), ag.jacobian(epidemic)
    np.testing.assert_allclose(derivative(point), by_hand(), rtol=1e-9)
    medians = side_by_side({"ours": lambda: derivative(point), "dual numbers": by_hand}, rounds=15)
    ours, hand = medians.values()
    return table(["ours", "dual numbers by hand", "ours / by hand"], [[shown(ours), shown(hand), f"{ours / hand:.3g}"]])


# --- contestants: each gives (seconds to make, a run) ---------------------------------------------------


def ours(name: str, kind: str, x: Any) -> tuple[float, Run]:
    """autograd_lite: nothing is made beforehand."""
    f = SCALARS[name]
    derivative = {"gradient": ag.grad(f), "hessian": ag.hessian(f), "sparse hessian": ag.hessian(f, sparse=True)}[kind]
    return 0.0, lambda: derivative(x)


def hips(name: str, kind: str, x: Any) -> tuple[float, Run] | None:
    """autograd: nothing is made beforehand."""
    import autograd
    import autograd.numpy as anp

    if kind == "sparse hessian":
        return None
    f = ARRAYS[name](anp)
    derivative = autograd.grad(f) if kind == "gradient" else autograd.hessian(f)
    return 0.0, lambda: derivative(x)


def jax(name: str, kind: str, x: Any) -> tuple[float, Run] | None:
    """JAX: traced and compiled for the shape."""
    import jax
    import jax.numpy as jnp

    if kind == "sparse hessian":
        return None
    jax.clear_caches()
    f = ARRAYS[name](jnp)
    derivative = jax.jit(jax.grad(f) if kind == "gradient" else jax.hessian(f))
    start = time.perf_counter()
    np.asarray(derivative(x))
    return time.perf_counter() - start, lambda: np.asarray(derivative(x))


def casadi(name: str, kind: str, x: Any) -> tuple[float, Run] | None:
    """CasADi: a graph of SX scalars, made into a function of its virtual machine."""
    import casadi

    if name == "Speelpenning" and kind != "gradient" and len(x) > 100:
        return None  # its Hessian as an expression: over a million products, and minutes to make
    start = time.perf_counter()
    v = casadi.SX.sym("x", len(x))
    elements = casadi.vertsplit(v)
    if name == "Rosenbrock":
        pairs = pairwise(elements)
        f = reduce(lambda a, b: a + b, [100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in pairs])
    else:
        f = reduce(mul, elements)
    expression = casadi.gradient(f, v) if kind == "gradient" else casadi.hessian(f, v)[0]
    function = casadi.Function("derivative", [v], [expression])
    made = time.perf_counter() - start
    if kind == "gradient":
        return made, lambda: np.asarray(function(x)).ravel()
    if kind == "hessian":
        return made, lambda: np.asarray(function(x).full())
    return made, lambda: function(x).sparse()


CONTESTANTS: dict[str, Callable[[str, str, Any], tuple[float, Run] | None]] = {
    "ours": ours,
    "autograd": hips,
    "JAX": jax,
    "CasADi": casadi,
}


def installed() -> list[str]:
    """The contestants that can be imported."""
    modules = {"ours": "autograd_lite", "autograd": "autograd", "JAX": "jax", "CasADi": "casadi"}
    found = []
    for name, module in modules.items():
        try:
            __import__(module)
            found.append(name)
        except ImportError:
            print(f"{name} is not installed and left out", file=sys.stderr)
    return found


ABOUT = """\
Medians, one core, one thread, float64; answers found equal to 1e-9 first ({versions}). Ours and CasADi run a
loop over scalars, autograd and JAX array code. "make": tracing and compiling, once for a shape; a derivative
wanted once costs make and run. Ours and autograd make nothing and run the function at every call. "growth":
over the last step of n. Empty: the contestant has no sparse Hessian, or takes minutes to make it."""

# --- the tables -----------------------------------------------------------------------------------------


def compare(kind: str, name: str, sizes: tuple[int, ...], contestants: list[str]) -> str:
    """One table: a line a size, the median of each, and how the time grows."""
    medians: dict[str, dict[int, float]] = {c: {} for c in contestants}
    made: dict[str, dict[int, float]] = {c: {} for c in contestants}
    for n in sizes:
        x = point(name, n)
        runs = {}
        for c in contestants:
            found = CONTESTANTS[c](name, kind, x)
            if found is not None:
                made[c][n], runs[c] = found
        answers = {c: run() for c, run in runs.items()}
        for c, answer in answers.items():
            difference = abs(answer - answers["ours"]).max()
            assert difference <= 1e-9 * abs(answers["ours"]).max(), (kind, name, n, c, difference)
        del answers
        slow = n * (n if kind == "hessian" else 1) >= 10_000
        for c, median in side_by_side(runs, rounds=5 if slow else 15).items():
            medians[c][n] = median
    contestants = [c for c in contestants if medians[c]]
    header = ["n", *contestants, *(f"{c}, make" for c in contestants if c in ("JAX", "CasADi"))]
    header += [f"ours / {c}" for c in contestants if c != "ours"]
    rows = []
    for n in sizes:
        row = [f"{n:,}", *(shown(medians[c].get(n)) for c in contestants)]
        row += [shown(made[c].get(n)) for c in contestants if c in ("JAX", "CasADi")]
        row += [
            f"{medians['ours'][n] / medians[c][n]:.3g}" if n in medians[c] else "" for c in contestants if c != "ours"
        ]
        rows.append(row)
    rows.append(["growth", *(growth(medians[c]) for c in contestants)] + [""] * (len(header) - 1 - len(contestants)))
    return table(header, rows)


def shown(seconds: float | None) -> str:
    """A time with its unit."""
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def growth(times: dict[int, float]) -> str:
    """The power of n with which the time grows, over the last step."""
    if len(times) < 2:
        return ""
    (m, a), (n, b) = list(times.items())[-2:]
    return f"n^{log10(b / a) / log10(n / m):.2f}"


# --- compiled programs ----------------------------------------------------------------------------------

Case = tuple[str, dict[str, Callable[[], Run]]]
"""What is computed, and for each contestant a function that makes the run."""


def decay(p: Any, exp: Any, times: Any) -> Any:
    """A fit of three parameters."""
    return [p[0] * exp(-p[1] * t) + p[2] - 2.0 * np.exp(-1.3 * t) for t in times]


def masses(x: Any, cos: Any, sin: Any, count: int = 500) -> list[Any]:
    """A closed chain of masses, six numbers each (place, speed, force), and four constraints between neighbours."""
    found: list[Any] = []
    for k in range(count):
        j = (k + 1) % count
        px, py, u, v, fx, fy = (x[6 * k + i] for i in range(6))
        qx, qy, qu, qv, gx, gy = (x[6 * j + i] for i in range(6))
        found += [
            (qx - px) ** 2 + (qy - py) ** 2 - 1.0,
            qu - u - 0.1 * (fx - gx) * sin(px),
            qv - v - 0.1 * (fy - gy - 9.81) * cos(qy),
            fx * (qy - py) - fy * (qx - px),
        ]
    return found


def reprojection(p: Any, library: Any) -> list[Any]:
    """An observation of a bundle adjustment: a camera of 11 numbers, a point of 3, a weight; three results."""
    turn, centre, (focal, k1, k2, ux, uy) = p[0:3], p[3:6], p[6:11]
    d = [p[11 + i] - centre[i] for i in range(3)]
    angle = library.sqrt(turn[0] * turn[0] + turn[1] * turn[1] + turn[2] * turn[2])
    cos, sin, axis = library.cos(angle), library.sin(angle), [t / angle for t in turn]
    cross = [axis[i - 2] * d[i - 1] - axis[i - 1] * d[i - 2] for i in range(3)]
    along = (axis[0] * d[0] + axis[1] * d[1] + axis[2] * d[2]) * (1.0 - cos)
    x, y, z = (d[i] * cos + cross[i] * sin + axis[i] * along for i in range(3))
    a, b = x / z, y / z
    r = a * a + b * b
    lens = focal * (1.0 + k1 * r + k2 * r * r)
    return [p[14] * (a * lens + ux), p[14] * (b * lens + uy), 1.0 - p[14] * p[14]]


def scanned_epidemic(jax: Any) -> Callable[[Any], Any]:
    """The epidemic by lax.scan: written out, XLA takes minutes to compile its 1,200 steps."""

    def f(p: Any) -> Any:
        def step(state: Any, _: Any) -> Any:
            healthy, ill = state
            new = p[0] * healthy * ill
            return (healthy - 0.05 * new, ill + 0.05 * (new - p[1] * ill)), ill

        _, ill = jax.lax.scan(step, (0.99, 0.01), None, 1201)
        return ill[20::20] * p[2] - 0.1

    return f


def cases(there: list[str]) -> list[Case]:
    """What is measured; of JAX and CasADi only where they are installed."""
    found: list[Case] = []
    x = point("Rosenbrock", 10_000)

    def ours(f: Any, kind: str, *args: Any, **options: Any) -> Callable[[], Run]:
        def make() -> Run:
            program = ag.compile(f, batch=options.pop("batch", False))
            derivative = getattr(program, kind)
            derivative(*args, **options)
            return lambda: derivative(*args, **options)

        return make

    def in_jax(transform: str, f: Any, *args: Any) -> Callable[[], Run]:
        def make() -> Run:
            import jax

            batched = jax.vmap(jax.jacfwd(f)) if transform == "vmap(jacfwd)" else getattr(jax, transform)(f)
            derivative = jax.jit(batched)
            np.asarray(derivative(*args))
            return lambda: np.asarray(derivative(*args))

        return make

    def in_casadi(build: Any, *args: Any) -> Callable[[], Run]:
        def make() -> Run:
            import casadi

            symbols = [casadi.SX.sym(f"x{k}", len(a)) for k, a in enumerate(args)]
            function = casadi.Function("derivative", symbols, [build(casadi, *symbols)])
            return lambda: function(*args).sparse()

        return make

    def sparse_hessian(casadi: Any, v: Any) -> Any:
        pairs = pairwise(casadi.vertsplit(v))
        return casadi.hessian(
            reduce(lambda a, b: a + b, [100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in pairs]), v
        )[0]

    def constraints(casadi: Any, v: Any) -> Any:
        return casadi.vertcat(*masses(casadi.vertsplit(v), casadi.cos, casadi.sin))

    def lagrangian(casadi: Any, v: Any, weights: Any) -> Any:
        return casadi.hessian(0.5 * casadi.dot(v, v) + casadi.dot(weights, constraints(casadi, v)), v)[0]

    found.append(("Hessian of Rosenbrock 10,000, sparse", {
        "ours": ours(rosenbrock, "hessian", x, sparse=True), "CasADi": in_casadi(sparse_hessian, x)}))  # fmt: skip
    rng = np.random.default_rng(0)
    state, weights = rng.normal(size=3000), rng.normal(size=2000)
    found.append(("chain of masses, Jacobian 2,000 x 3,000, sparse", {
        "ours": ours(lambda x: masses(x, ag.cos, ag.sin), "jacobian", state, sparse=True),
        "CasADi": in_casadi(lambda casadi, v: casadi.jacobian(constraints(casadi, v), v), state)}))  # fmt: skip
    f = lambda x, w: 0.5 * ag.dot(x, x) + ag.dot(w, masses(x, ag.cos, ag.sin))  # noqa: E731
    found.append(("chain of masses, Hessian of the Lagrangian, sparse", {
        "ours": ours(f, "hessian", state, weights, sparse=True),
        "CasADi": in_casadi(lagrangian, state, weights)}))  # fmt: skip
    if "JAX" in there:
        import jax
        import jax.numpy as jnp

        arrays = rosenbrock_arrays(jnp)
        found.append(("Hessian of Rosenbrock 1,000, dense", {
            "ours": ours(rosenbrock, "hessian", x[::10]), "JAX": in_jax("hessian", arrays, x[::10])}))  # fmt: skip
        x = point("Speelpenning", 1000)
        found.append(("Hessian of Speelpenning 1,000, dense", {
            "ours": ours(speelpenning, "hessian", x), "JAX": in_jax("hessian", jnp.prod, x)}))  # fmt: skip
        times, p = np.linspace(0.0, 3.0, 60), np.array([1.0, 1.0, 0.1])
        found.append(("Jacobian of a fit, 60 x 3", {
            "ours": ours(lambda p: decay(p, ag.exp, times), "jacobian", p),
            "JAX": in_jax("jacfwd", lambda p: p[0] * jnp.exp(-p[1] * times) + p[2], p)}))  # fmt: skip
        p = np.array([1.5, 1.0, 0.3])
        found.append(("Jacobian of the epidemic, 60 x 3, 1,200 steps", {
            "ours": ours(epidemic, "jacobian", p),
            "JAX": in_jax("jacfwd", scanned_epidemic(jax), p)}))  # fmt: skip
        observations = rng.uniform(0.2, 1.0, size=(300, 15))
        observations[:, 13] += 3.0
        found.append(("bundle adjustment, 300 observations x 45", {
            "ours": ours(lambda p: reprojection(p, ag), "jacobian", observations, batch=True),
            "JAX": in_jax("vmap(jacfwd)", lambda p: jnp.stack(reprojection(p, jnp)), observations)}))  # fmt: skip
    return [(title, {c: run for c, run in runs.items() if c in there}) for title, runs in found]


def compiled(there: list[str]) -> str:
    """The table of compiled derivatives, and what they do for least_squares."""
    ag.compile(lambda x: x[0] * x[1]).hessian(np.ones(2), sparse=True)  # what is loaded once
    rows = []
    for title, makers in cases(there):
        runs, made = {}, {}
        for c, make in makers.items():
            start = time.process_time()
            runs[c] = make()
            runs[c]()
            made[c] = time.process_time() - start
        answers = {c: run() for c, run in runs.items()}
        expected = answers["ours"]
        for c, answer in answers.items():
            assert abs(answer - expected).max() <= 1e-9 * abs(expected).max(), (title, c)
        fastest = best_of(runs)
        other = next((c for c in fastest if c != "ours"), "")
        rows.append([title, shown(fastest["ours"]), f"{shown(fastest.get(other))} ({other})",
                     f"{fastest['ours'] / fastest[other]:.3g}", shown(made["ours"]), shown(made[other])])  # fmt: skip
        print(rows[-1], flush=True)
    header = ["derivative", "ours", "other", "ours / other", "ours, make", "other, make"]
    return "\n\n".join([ABOUT_COMPILED, table(header, rows), fitted()])


def best_of(runs: dict[str, Run], rounds: int = 25) -> dict[str, float]:
    """The fastest of rounds in turn, each of as many calls as take a few milliseconds: one alone has cold caches."""
    counts, found = {}, dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for c, run in runs.items():
            count = counts.get(c, 1)
            start = time.perf_counter()
            for _ in range(count):
                run()
            found[c] = min(found[c], (time.perf_counter() - start) / count)
            counts[c] = max(1, int(3e-3 / found[c]))
    return found


def fitted() -> str:
    """least_squares with the Jacobian of a program beside two-point differences of it."""
    from scipy.optimize import least_squares

    start, rows = np.array([1.5, 1.0, 0.3]), []
    data = epidemic([1.4, 1.1, 0.35])
    fits = {
        "decay, 60 points": ag.compile(lambda p: decay(p, ag.exp, np.linspace(0.0, 3.0, 60))),
        "epidemic, 60 points": ag.compile(lambda p: [a - b for a, b in zip(epidemic(p), data, strict=True)]),
    }
    for title, f in fits.items():
        fastest = best_of({
            "Jacobian": lambda f=f: least_squares(f, start, jac=f.jacobian),
            "two-point": lambda f=f: least_squares(f, start),
        })  # fmt: skip
        rows.append([title, *map(shown, fastest.values()), f"{fastest['Jacobian'] / fastest['two-point']:.3g}"])
    return table(["least_squares", "jac=program.jacobian", "two-point", "ratio"], rows)


ABOUT_COMPILED = """\
The fastest of 25 rounds of calls in turn, one core, one thread, float64, native code, on a machine with other work;
answers found equal to 1e-9 first. "make": trace, fold and compile (nothing kept from before), up to the first answer,
in time of the processor. The functions are loops over scalars; JAX has array code for Rosenbrock, Speelpenning and
the fit, a scan for the epidemic, and the scalars of an observation as they are."""


def main() -> None:
    """Run everything and write the section."""
    contestants = installed()
    if "compiled" in sys.argv:
        with TemporaryDirectory() as fresh:
            os.environ["AUTOGRAD_LITE_CACHE"] = fresh
            publish("Derivatives of compiled programs (benchmarks/derivatives.py)", compiled(contestants))
        return
    versions = ", ".join(
        f"{c} {__import__(m).__version__}" for c, m in (("JAX", "jax"), ("CasADi", "casadi")) if c in contestants
    )
    parts = [ABOUT.format(versions=versions)]
    for title, kind, sizes in (
        ("Gradient", "gradient", SIZES),
        ("Hessian", "hessian", DENSE),
        ("Sparse Hessian", "sparse hessian", SIZES),
    ):
        for name in SCALARS:
            if kind == "sparse hessian" and name == "Speelpenning":
                continue  # it is dense
            parts += [f"### {title}, {name}", compare(kind, name, sizes, contestants)]
            print(parts[-2], parts[-1], sep="\n", flush=True)
    parts += ["### Jacobian of 60 results of an ODE in 3 parameters", few_inputs()]
    publish("Derivatives (benchmarks/derivatives.py)", "\n\n".join(parts))


if __name__ == "__main__":
    main()
