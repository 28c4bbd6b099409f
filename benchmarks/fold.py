"""The fold beside PyTorch, JAX, CasADi and micrograd: python -m benchmarks.fold [line ...]

Each line is a loss (or values) and its gradient, ours written in scalars and folded, theirs written as their users
write it: arrays, by hand. One thread each and float64; results are compared first; medians, in turn, in one process.
What is not installed is left out.
"""

# ruff: noqa: E402 - the number of threads is set before the libraries are loaded
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
if hasattr(os, "sched_setaffinity"):  # JAX starts threads: one core for every contestant
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import gc
import random
import statistics
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite.engine import graph
from autograd_lite.folding import structures as programs
from benchmarks.engine import demo, moons, scalar_mlp
from benchmarks.measure import publish, table

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None
try:
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # its best case: 20 to 60 us less a call
except ImportError:
    jax = None
try:
    import casadi
except ImportError:
    casadi = None

Run = Callable[[], tuple[float, Any]]
NAMES = ["emma", "olivia", "ava", "isabella", "sophia", "charlotte", "mia", "amelia"]


def timed(runs: dict[str, Run], seconds: float = 1.0) -> dict[str, float]:
    """The median time of each, in turn: each repeated so often that one measurement takes about a millisecond."""
    often = {}
    for name, run in runs.items():
        run()
        start = time.perf_counter()
        run()
        often[name] = max(1, int(1e-3 / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    stop = time.perf_counter() + seconds * len(runs)
    while time.perf_counter() < stop or len(times[name]) < 3:
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(often[name]):
                run()
            times[name].append((time.perf_counter() - start) / often[name])
    return {name: statistics.median(found) for name, found in times.items()}


def equal(runs: dict[str, Run], tolerance: float = 1e-10) -> None:
    """Assert that all give the same value and gradient; ours may have the parameters in another order."""
    results = {name: run() for name, run in runs.items()}
    value, gradient = results["ours"]
    gradient = gradient if getattr(runs["ours"], "order", None) is None else gradient[runs["ours"].order]
    results["ours"] = value, gradient
    for name, (other, slope) in results.items():
        scale = max(np.abs(gradient).max(), 1e-30)
        assert abs(other - value) <= tolerance * max(1.0, abs(value)), (name, other, value)
        worst = np.abs(np.asarray(slope).ravel() - gradient.ravel()).max() / scale
        assert worst < tolerance, (name, worst)


def torch_run(loss: Callable[..., Any], arrays: list[Any], *data: Any, flat: bool = True) -> Run:
    """Loss and gradient in PyTorch eager: the tensors of `arrays` are the parameters."""
    params = [torch.tensor(x, requires_grad=True) for x in arrays]
    given = [torch.tensor(x) for x in data]

    def run() -> tuple[float, Any]:
        for p in params:
            p.grad = None
        value = loss(torch, params, *given)
        value.backward()
        return float(value), (torch.cat([p.grad.ravel() for p in params]).numpy() if flat else None)

    return run


def jax_run(loss: Callable[..., Any], arrays: list[Any], *data: Any) -> Run:
    """Loss and gradient in JAX, compiled with jit."""
    from jax.flatten_util import ravel_pytree

    given = [jax.numpy.asarray(x) for x in data]
    start, unravel = ravel_pytree([jax.numpy.asarray(x) for x in arrays])
    compiled = jax.jit(jax.value_and_grad(lambda theta: loss(jax.numpy, unravel(theta), *given)))

    def run() -> tuple[float, Any]:
        value, gradient = compiled(start)
        gradient.block_until_ready()
        return float(value), np.asarray(gradient)

    return run


def mlp_arrays(model: Any) -> list[Any]:
    """The weights and biases of an MLP of ours, by layer."""
    found = []
    for layer in model.layers:
        found.append(np.array([[w.item() for w in neuron.w] for neuron in layer.neurons]))
        found.append(np.array([neuron.b.item() for neuron in layer.neurons]))
    return found


def reordered(model: Any) -> Any:
    """Where each parameter of ours, neuron by neuron, stands among the arrays, layer by layer."""
    place, start = [], 0
    for layer in model.layers:
        n_out, n_in = len(layer.neurons), len(layer.neurons[0].w)
        for k in range(n_out):
            place += [*range(start + k * n_in, start + (k + 1) * n_in), start + n_out * n_in + k]
        start += n_out * (n_in + 1)
    return np.array(place)


def forward(x: Any, np_: Any, params: list[Any]) -> Any:
    """An MLP with relu, over arrays."""
    for k in range(0, len(params), 2):
        x = x @ params[k].T + params[k + 1]
        if k + 2 < len(params):
            x = np_.maximum(x, np_.zeros((), dtype=x.dtype)) if np_ is not torch else torch.relu(x)
    return x


def ours_at(program: Any, *args: Any, order: Any = None) -> Run:
    """loss_and_grad of a program at its parameters; `order` is where each stands among the others' arrays."""
    theta = program.theta

    def run() -> tuple[float, Any]:
        return program.loss_and_grad(theta, *args)  # type: ignore[no-any-return]

    run.order = None if order is None else np.argsort(order)  # type: ignore[attr-defined]
    run.program, run.args = program, args  # type: ignore[attr-defined]
    return run


# --- the lines ---------------------------------------------------------------------------------------------


def moons_line() -> tuple[str, dict[str, Run]]:
    """micrograd's demo, unrolled over its points: the program text of `benchmarks.engine`, folded."""
    rng = random.Random(7)
    model = scalar_mlp([2, 16, 16, 1])
    for p in model.parameters():
        p.data = rng.uniform(-1.0, 1.0)
    total = demo(ag.Value, model)()
    program = ag.fold(total, params=model.parameters())
    X, y = (np.array(x, float) for x in moons())
    arrays = mlp_arrays(model)

    def loss(np_: Any, params: list[Any], X: Any, y: Any) -> Any:
        scores = forward(X, np_, params)[:, 0]
        slack = 1.0 - y * scores
        hinge = torch.relu(slack) if np_ is torch else np_.maximum(slack, 0.0)
        return hinge.mean() + 1e-4 * sum((p * p).sum() for p in params)

    runs = {"ours": ours_at(program, order=reordered(model))}
    if torch:
        runs["PyTorch eager"] = torch_run(loss, arrays, X, y)
    if jax:
        runs["JAX jit"] = jax_run(loss, arrays, X, y)
    if casadi:
        theta = casadi.SX.sym("theta", sum(a.size for a in arrays))
        at, start = [], 0
        for a in arrays:
            part = theta[start : start + a.size]
            at.append(casadi.reshape(part, a.shape[1], a.shape[0]).T if a.ndim == 2 else part)
            start += a.size
        h = casadi.SX(X.T)
        for k in range(0, len(at), 2):
            h = at[k] @ h + casadi.repmat(at[k + 1], 1, h.shape[1])
            h = casadi.fmax(h, 0) if k + 2 < len(at) else h
        value = casadi.sum2(casadi.fmax(1 - y[None] * h, 0)) / len(y) + 1e-4 * casadi.dot(theta, theta)
        function = casadi.Function("f", [theta], [value, casadi.gradient(value, theta)])
        point = np.concatenate([a.ravel() for a in arrays])

        def casadi_run() -> tuple[float, Any]:
            value, gradient = function(point)
            return float(value), np.asarray(gradient).ravel()

        runs["CasADi SX"] = casadi_run
    import micrograd.engine
    import micrograd.nn

    theirs = micrograd.nn.MLP(2, [16, 16, 1])
    for p, q in zip(theirs.parameters(), model.parameters(), strict=True):
        p.data = q.data
    run = demo(micrograd.engine.Value, theirs)
    order = reordered(model)

    def micrograd_run() -> tuple[float, Any]:
        total = run()
        gradient = np.empty(len(order))
        gradient[order] = [p.grad for p in theirs.parameters()]
        return total.data, gradient

    runs["micrograd"] = micrograd_run
    return f"moons, {len(graph.toposort(total)):,} scalar nodes forward", runs


def digits_line(rows: int) -> tuple[str, dict[str, Run]]:
    """An MLP 64-32-10 with cross-entropy on the digits of scikit-learn."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return mlp_line("digits 64-32-10", [64, 32, 10], X[:rows] / 16.0, y[:rows].astype(float))


def wide_line() -> tuple[str, dict[str, Run]]:
    """An MLP 784-128-10 with cross-entropy on random data."""
    rng = np.random.default_rng(0)
    return mlp_line(
        "MLP 784-128-10", [784, 128, 10], rng.normal(size=(256, 784)), rng.integers(0, 10, 256).astype(float)
    )


def mlp_line(name: str, sizes: list[int], X: Any, y: Any) -> tuple[str, dict[str, Run]]:
    """An MLP with cross-entropy: one example in scalars, compiled over the batch."""
    model = ag.MLP(sizes[0], sizes[1:], seed=1)

    def example(x: Any, label: Any) -> Any:
        scores = model(x)
        return ag.logsumexp(scores) - ag.lookup(scores, label)

    program = ag.compile(example, params=model, batch=True)
    program.loss_and_grad([p.item() for p in model.parameters()], X, y)

    def loss(np_: Any, params: list[Any], X: Any, y: Any) -> Any:
        scores = forward(X, np_, params)
        if np_ is torch:
            return torch.nn.functional.cross_entropy(scores, y.long())
        top = jax.nn.logsumexp(scores, axis=1)
        return (top - scores[np_.arange(len(y)), y.astype(int)]).mean()

    arrays = mlp_arrays(model)
    runs = {"ours": ours_at(program, X, y, order=reordered(model))}
    if torch:
        runs["PyTorch eager"] = torch_run(loss, arrays, X, y)
    if jax:
        runs["JAX jit"] = jax_run(loss, arrays, X, y)
    return f"{name}, {len(y):,} rows", runs


def gpt_line(count: int) -> tuple[str, dict[str, Run]]:
    """examples/scalar_gpt.py on words of different lengths, unrolled into one graph and folded."""
    from examples.scalar_gpt import END, GPT

    letters = [[END, *(ord(c) - 97 for c in word), END] for word in (NAMES * 4)[:count]]
    if count > len(NAMES):
        rng = random.Random(0)
        letters = [[END, *(rng.randrange(26) for _ in range(rng.randint(3, 9))), END] for _ in range(count)]
    if count == 1:
        letters = [[END, *(ord(c) - 97 for c in "olivia"), END]]
    model = GPT()
    losses = [model.loss(word) for word in letters]
    total = sum(losses) * (1.0 / count)
    program = ag.fold(total, params=model.parameters())
    longest = max(map(len, letters)) - 1
    tokens = np.zeros((count, longest), int)
    targets, weight = np.zeros((count, longest), int), np.zeros((count, longest))
    for k, word in enumerate(letters):
        n = len(word) - 1
        tokens[k, :n], targets[k, :n], weight[k, :n] = word[:-1], word[1:], 1.0 / n / count
    matrices = [model.letters, model.places, model.query, model.key, model.value, model.merge, model.up, model.down,
                model.head]  # fmt: skip
    arrays = [np.array([[w.item() for w in row] for row in matrix]) for matrix in matrices]
    causal = np.tril(np.ones((longest, longest)))

    def loss(np_: Any, params: list[Any], tokens: Any, targets: Any, weight: Any) -> Any:
        e, p, q, k, v, o, up, down, head = params
        mask = torch.tensor(causal) if np_ is torch else causal
        size = (*tokens.shape, 4, 4)

        def norm(x: Any) -> Any:
            return x * ((x * x).mean(-1)[..., None] + 1e-5) ** -0.5

        x = before = norm(e[tokens] + p[: tokens.shape[1]])
        x = norm(x)
        q, k, v = ((x @ m.T).reshape(size) for m in (q, k, v))
        scores = np_.einsum("bihd,bjhd->bhij", q, k) * 0.5
        scores = np_.where(mask > 0, scores, -np.inf)
        weights = torch.softmax(scores, -1) if np_ is torch else jax.nn.softmax(scores, axis=-1)
        seen = np_.einsum("bhij,bjhd->bihd", weights, v).reshape(*tokens.shape, 16)
        x = before = seen @ o.T + before
        hidden = norm(x) @ up.T
        hidden = torch.relu(hidden) if np_ is torch else np_.maximum(hidden, 0.0)
        scores = (hidden @ down.T + before) @ head.T
        logp = torch.log_softmax(scores, -1) if np_ is torch else jax.nn.log_softmax(scores, axis=-1)
        if np_ is torch:
            return -(logp.gather(-1, targets[..., None])[..., 0] * weight).sum()
        return -(np_.take_along_axis(logp, targets[..., None], -1)[..., 0] * weight).sum()

    runs = {"ours": ours_at(program)}
    if torch:
        runs["PyTorch eager"] = torch_run(loss, arrays, tokens, targets, weight)
    if jax:
        runs["JAX jit"] = jax_run(loss, arrays, tokens, targets, weight)
    return f"scalar GPT, {count} word{'s' if count > 1 else ''}, {len(graph.toposort(total)):,} nodes forward", runs


def black_scholes_line(rows: int = 1_000_000) -> tuple[str, dict[str, Run]]:
    """The mean price of a call over many rows, and its derivative in each of the five inputs of each row."""
    rng = np.random.default_rng(0)
    low, high = np.array([50.0, 50.0, 0.1, 0.0, 0.1]), np.array([150.0, 150.0, 2.0, 0.05, 0.5])
    X = rng.uniform(low, high, (rows, 5))

    def price(x: Any) -> Any:
        spot, strike, time_left, rate, volatility = x
        spread = volatility * ag.sqrt(time_left)
        d1 = (ag.log(spot / strike) + (rate + 0.5 * volatility * volatility) * time_left) / spread

        def below(d: Any) -> Any:
            return 0.5 * ag.erfc(-d * 0.7071067811865476)

        return spot * below(d1) - strike * ag.exp(-rate * time_left) * below(d1 - spread)

    program = ag.compile(price, batch=True)

    def loss(np_: Any, params: list[Any]) -> Any:
        spot, strike, time_left, rate, volatility = (params[0][:, k] for k in range(5))
        spread = volatility * np_.sqrt(time_left)
        d1 = (np_.log(spot / strike) + (rate + 0.5 * volatility * volatility) * time_left) / spread
        erfc = torch.special.erfc if np_ is torch else jax.scipy.special.erfc

        def below(d: Any) -> Any:
            return 0.5 * erfc(-d * 0.7071067811865476)

        return (spot * below(d1) - strike * np_.exp(-rate * time_left) * below(d1 - spread)).mean()

    def ours() -> tuple[float, Any]:
        return program.value_and_grad(X)

    ours.program, ours.args = program, (X,)  # type: ignore[attr-defined]
    runs: dict[str, Run] = {"ours": ours}
    if torch:
        runs["PyTorch eager"] = torch_run(loss, [X])
    if jax:
        runs["JAX jit"] = jax_run(loss, [X])
    return f"Black-Scholes and its gradient, {rows:,} rows", runs


def rosenbrock_line(n: int = 1000) -> tuple[str, dict[str, Run]]:
    """Rosenbrock's function in many dimensions."""
    start = np.random.default_rng(0).normal(size=n)
    x = [ag.Parameter(v) for v in start.tolist()]
    total = ag.sum([100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in pairwise(x)])
    program = ag.fold(total, params=x)

    def loss(np_: Any, params: list[Any]) -> Any:
        (x,) = params
        return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()

    runs = {"ours": ours_at(program)}
    if torch:
        runs["PyTorch eager"] = torch_run(loss, [start])
    if jax:
        runs["JAX jit"] = jax_run(loss, [start])
    if casadi:
        s = casadi.SX.sym("x", n)
        value = casadi.sum1(100 * (s[1:] - s[:-1] ** 2) ** 2 + (1 - s[:-1]) ** 2)
        function = casadi.Function("f", [s], [value, casadi.gradient(value, s)])

        def casadi_run() -> tuple[float, Any]:
            value, gradient = function(start)
            return float(value), np.asarray(gradient).ravel()

        runs["CasADi SX"] = casadi_run
    return f"Rosenbrock's gradient, {n:,} dimensions", runs


LINES: dict[str, Callable[[], tuple[str, dict[str, Run]]]] = {
    "moons": moons_line,
    "digits64": lambda: digits_line(64),
    "digits": lambda: digits_line(1797),
    "wide": wide_line,
    "gpt1": lambda: gpt_line(1),
    "gpt8": lambda: gpt_line(8),
    "gpt32": lambda: gpt_line(32),
    "black": black_scholes_line,
    "rosenbrock": rosenbrock_line,
}
OTHERS = ("PyTorch eager", "JAX jit", "CasADi SX", "micrograd")


def shown(seconds: float) -> str:
    """A time in the unit that suits it."""
    return f"{seconds * 1e6:,.0f} us" if seconds < 2e-3 else f"{seconds * 1e3:,.1f} ms"


def fold_times() -> str:
    """What the fold itself takes, on the moons graph and on the GPT."""
    from examples.scalar_gpt import END, GPT

    gpt = GPT()
    word = [END, *(ord(c) - 97 for c in "olivia"), END]
    moons_model = scalar_mlp([2, 16, 16, 1])

    def moons_loss() -> Any:
        X, y = moons()
        scores = [moons_model(list(map(ag.Value, row))) for row in X]
        losses = [(1 + -t * s).relu() for t, s in zip(y, scores, strict=True)]
        return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in moons_model.parameters())

    def words_loss() -> Any:
        words = [[END, *(ord(c) - 97 for c in name), END] for name in NAMES]
        return sum(gpt.loss(letters) for letters in words) * (1.0 / len(words))

    lines = [
        ("moons", moons_loss, moons_model),
        ("scalar GPT, 1 word", lambda: gpt.loss(word), gpt),
        ("scalar GPT, 8 words", words_loss, gpt),
        ("a recurrence of 1,000 steps", chain_loss, None),
    ]
    rows = []
    for name, make, model in lines:
        params = None if model is None else model.parameters()
        found: list[list[float]] = [[], [], [], []]
        for _ in range(5 if name != lines[2][0] else 3):
            programs.cache.known.clear()
            times = [time.perf_counter()]
            total = make()
            times.append(time.perf_counter())
            program = ag.fold(total, params=params)
            times.append(time.perf_counter())
            program.loss_and_grad(program.theta)
            times.append(time.perf_counter())
            other = make()
            times.append(time.perf_counter())
            ag.fold(other, params=params)
            times.append(time.perf_counter())
            spans = [stop - start for start, stop in pairwise(times)]
            for kept, span in zip(found, [*spans[:3], spans[4]], strict=True):
                kept.append(span)
        trace, fold, plan, again = map(statistics.median, found)
        nodes = len(graph.toposort(total))
        kept_bytes, most_bytes = fold_memory(total, params)
        rows.append((name, f"{nodes:,}", f"{trace * 1e3:.0f} ms", f"{fold * 1e3:.0f} ms", f"{nodes / fold:,.0f}",
                     f"{plan * 1e3:.0f} ms", f"{again * 1e3:.1f} ms ({again / (fold + plan):.0%})",
                     f"{kept_bytes / nodes:.0f} ({most_bytes / nodes:.0f})",
                     f"{len(program.plan().instructions):,}"))  # fmt: skip
    return table(("graph", "nodes forward", "trace", "fold", "nodes a second", "differentiate, plan, first run",
                  "fold another of this structure (of the two before)", "bytes a node, kept (at most, on the way)",
                  "instructions"), rows)  # fmt: skip


def chain_loss() -> Any:
    """A recurrence: each step needs the one before, so that every class has one lane."""
    w, x = ag.Parameter(0.5), ag.Parameter(0.1)
    for _ in range(1000):
        x = ag.tanh(w * x)
    return x


def fold_memory(total: Any, params: Any) -> tuple[int, int]:
    """The bytes that a folded program keeps, gradient and buffers included, and the most there were while folding."""
    programs.cache.known.clear()
    gc.collect()
    tracemalloc.start()
    program = ag.fold(total, params=params)
    program.loss_and_grad(program.theta)
    gc.collect()
    found = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return found


def main(chosen: list[str]) -> None:
    """Measure the chosen lines, or all of them, and then publish."""
    warnings.filterwarnings("ignore")
    rows = []
    for key in chosen or LINES:
        name, runs = LINES[key]()
        equal(runs)
        times = timed(runs)
        ours = times["ours"]
        cells = [f"{shown(times[x])} ({times[x] / ours:.2f})" if x in times else "" for x in OTHERS]
        rows.append((name, shown(ours), *cells))
        print(rows[-1], flush=True)
    body = table(("loss and gradient", "ours", *(f"{x} (times ours)" for x in OTHERS)), rows)
    if not chosen:
        publish("Fold (benchmarks/fold.py)", f"{body}\n\n{fold_times()}\n\n{ACCOUNT}")


ACCOUNT = """\
One thread, one core and float64 for all. "Nodes forward" are the scalar operations of the loss; the backward pass adds
about twice as many. Where our time goes:

- moons, Rosenbrock: a few dozen NumPy calls of 0.3 to 3 us each; the arrays are small, so calls are most of it.
- scalar GPT: causal attention has sums of every length, which run as segments (`np.add.reduceat` over gathered terms, a
  third of the time on 8 words) instead of small matrix products; on one word 150 calls are most of it.
- digits, 64 rows: 35 calls, of which the two large matrix products are a quarter of the time and the logsumexp with
  its derivative a third; 5 us go into checking whether a parameter of the model was replaced. In turn with the
  others each run starts with cold caches, which costs many small calls more than one compiled function.
- MLP 784-128-10: three BLAS products; JAX fuses the operations around them.
- Black-Scholes: the kernels of exp, log and erfc, over chunks of the batch that fit into the cache."""

if __name__ == "__main__":
    main(sys.argv[1:])
