"""Recurrences: a Python loop over scalars, found by itself, beside lax.scan written by hand: python -m benchmarks.loops

    python -m benchmarks.loops [model ...] [T ...]        # prints; all of it, without arguments, is published

Loss and gradient of nine models of T steps. Ours is the Python loop that a beginner would write, folded; "eager"
runs it and walks back; "plain Python" runs it on floats, without a gradient. JAX's loop is a lax.scan written by
hand, with the state in arrays, or in numbers where there are few; CasADi's graph is the same loop on SX, unrolled, or
its step as a Function in a mapaccum. All are found equal first. Process CPU time in one process, one core, one thread,
in turn, medians. "make": from a graph that is there, and with nothing cached, to the first result, in a process that
has made a program before; the graph itself is half of "eager".
"""

from __future__ import annotations

import os

os.environ["AUTOGRAD_LITE_CACHE"] = "off"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import autograd_lite as ag
from benchmarks.measure import publish, table

STEPS = (100, 1000, 10_000)

ROUNDS = 15

TURN = 2e-2
"""Seconds of one contestant before the next one has its turn."""

LONGEST = 2.0
"""Seconds: what takes longer is measured once, or not at all."""


class Model(NamedTuple):
    """A recurrence.

    Args:
        theta: the parameters.
        data: of T steps, an array (T, n), or (T, 0) where there are none.
        loss: (theta, rows of the data) -> number: the loop as one would write it, on Values or floats.
        jax: () -> a function (theta, data) of the same number, with lax.scan.
        most: steps that are measured at most.
        step, start, last: for CasADi: (functions, theta, state, row) -> (state, term); (functions, theta) -> the state
            that it starts from; (functions, theta, state) -> what is added at the end.
    """

    theta: Callable[[], np.ndarray]
    data: Callable[[int], np.ndarray]
    loss: Callable[[Sequence[Any], Sequence[Sequence[Any]]], Any]
    jax: Callable[[], Callable[..., Any]]
    most: int = STEPS[-1]
    step: Callable[..., Any] | None = None
    start: Callable[..., Any] | None = None
    last: Callable[..., Any] | None = None


def looped(step: Callable[..., Any], start: Callable[..., Any], last: Callable[..., Any]) -> Callable[..., Any]:
    """The loop of a model whose state is a few numbers."""

    def loss(theta: Sequence[Any], data: Sequence[Sequence[Any]]) -> Any:
        state, total = start(ag, theta), 0.0
        for row in data:
            state, term = step(ag, theta, state, row)
            total = total + term
        return total + last(ag, theta, state)

    return loss


def scanned(step: Callable[..., Any], start: Callable[..., Any], last: Callable[..., Any]) -> Callable[..., Any]:
    """The same as a scan over numbers, which XLA compiles to better code than one over arrays of two or three."""

    def make() -> Callable[..., Any]:
        import jax.numpy as jnp
        from jax import lax

        def loss(theta: Any, data: Any) -> Any:
            first = tuple(jnp.asarray(x, float) for x in start(jnp, theta))

            def body(carry: Any, row: Any) -> Any:
                state, total = carry
                state, term = step(jnp, theta, state, row)
                return (tuple(state), total + term), None

            (state, total), _ = lax.scan(body, (first, jnp.zeros(())), data)
            return total + last(jnp, theta, state)

        return loss

    return make


def of_numbers(theta: Sequence[float], data: Callable[[int], np.ndarray], step: Any, start: Any, last: Any) -> Model:
    """A model whose state is a few numbers."""
    ways = looped(step, start, last), scanned(step, start, last)
    return Model(lambda: np.array(theta), data, *ways, STEPS[-1], step, start, last)


def normals(n: int) -> Callable[[int], np.ndarray]:
    """Data: n normal numbers a step."""
    return lambda steps: np.random.default_rng(0).normal(size=(steps, n))


def nothing(_: Any, __: Any, ___: Any) -> float:
    """No last term."""
    return 0.0


def runge_kutta(f: Callable[..., Any], y: Sequence[Any], h: float) -> tuple[Any, ...]:
    """A step of the classical method."""
    k1 = f(*y)
    k2 = f(*(a + h / 2 * b for a, b in zip(y, k1, strict=True)))
    k3 = f(*(a + h / 2 * b for a, b in zip(y, k2, strict=True)))
    k4 = f(*(a + h * b for a, b in zip(y, k3, strict=True)))
    return tuple(a + h / 6 * (p + 2 * q + 2 * r + s) for a, p, q, r, s in zip(y, k1, k2, k3, k4, strict=True))


def sir_step(_: Any, theta: Any, y: Any, row: Any) -> Any:
    """Susceptible, infected, recovered."""
    beta, gamma = theta[0], theta[1]
    y = runge_kutta(lambda s, i, r: (-beta * s * i, beta * s * i - gamma * i, gamma * i), y, 0.5)
    return y, (y[1] - row[0]) ** 2


def two_bodies_step(_: Any, theta: Any, y: Any, row: Any) -> Any:
    """A planet around a mass; observed is its place."""
    m = theta[0]

    def f(x: Any, y: Any, u: Any, v: Any) -> Any:
        cube = (x * x + y * y) ** 1.5
        return u, v, -m * x / cube, -m * y / cube

    y = runge_kutta(f, y, 0.01)
    return y, (y[0] - row[0]) ** 2 + (y[1] - row[1]) ** 2


def kalman_step(of: Any, theta: Any, state: Any, row: Any) -> Any:
    """Constant velocity, observed is the place."""
    q, r = theta[0], theta[1]
    x, v, p11, p12, p22 = state
    x = x + v
    p11, p12, p22 = p11 + 2 * p12 + p22 + q / 4, p12 + p22 + q / 2, p22 + q
    s = p11 + r
    e = row[0] - x
    k1, k2 = p11 / s, p12 / s
    state = x + k1 * e, v + k2 * e, (1 - k1) * p11, (1 - k1) * p12, p22 - k2 * p12
    return state, of.log(s) + e * e / s


def garch_step(of: Any, theta: Any, state: Any, row: Any) -> Any:
    """A variance that follows the last square."""
    omega, alpha, beta = theta[0], theta[1], theta[2]
    (variance,) = state
    square = row[0] ** 2
    return (omega + alpha * square + beta * variance,), 0.5 * (of.log(variance) + square / variance)


# --- with vectors as states -----------------------------------------------------------------------------

HIDDEN, INPUTS = 16, 4
CELLS, FEATURES = 8, 3
HEALTH = 5
PRICES = 32


def parts(theta: Sequence[Any], *shapes: int | tuple[int, int]) -> list[Any]:
    """Vectors and matrices of a list of parameters, in order."""
    found, at = [], 0
    for shape in shapes:
        if isinstance(shape, int):
            found.append(theta[at : at + shape])
            at += shape
        else:
            found.append([theta[at + i * shape[1] : at + (i + 1) * shape[1]] for i in range(shape[0])])
            at += shape[0] * shape[1]
    return found


def arrays(theta: Any, *shapes: int | tuple[int, int]) -> list[Any]:
    """The same of an array."""
    found, at = [], 0
    for shape in shapes:
        size = shape if isinstance(shape, int) else shape[0] * shape[1]
        found.append(theta[at : at + size].reshape(shape))
        at += size
    return found


RNN = ((HIDDEN, INPUTS), (HIDDEN, HIDDEN), HIDDEN, HIDDEN)


def rnn(theta: Any, data: Any) -> Any:
    """A network with feedback."""
    w, u, b, v = parts(theta, *RNN)
    h, loss = [0.0] * HIDDEN, 0.0
    for *x, y in data:
        h = [ag.tanh(ag.dot(w[i], x) + ag.dot(u[i], h) + b[i]) for i in range(HIDDEN)]
        loss = loss + (ag.dot(v, h) - y) ** 2
    return loss


def rnn_in_jax() -> Any:
    """The products with the inputs for all steps at once, before the scan."""
    import jax.numpy as jnp
    from jax import lax

    def loss(theta: Any, data: Any) -> Any:
        w, u, b, v = arrays(theta, *RNN)
        before = data[:, :-1] @ w.T + b

        def step(h: Any, x: Any) -> Any:
            h = jnp.tanh(x + u @ h)
            return h, h

        _, states = lax.scan(step, jnp.zeros(HIDDEN), before)
        return ((states @ v - data[:, -1]) ** 2).sum()

    return loss


LSTM = (*((CELLS, FEATURES + CELLS),) * 4, *(CELLS,) * 5)


def lstm(theta: Any, data: Any) -> Any:
    """Long short-term memory."""
    *gates, b0, b1, b2, b3, v = parts(theta, *LSTM)
    h, c, loss = [0.0] * CELLS, [0.0] * CELLS, 0.0
    for *x, y in data:
        both = [*x, *h]
        keep, write, show, new = (
            [ag.dot(w[i], both) + b[i] for i in range(CELLS)] for w, b in zip(gates, (b0, b1, b2, b3), strict=True)
        )
        c = [ag.sigmoid(k) * old + ag.sigmoid(w) * ag.tanh(n) for k, old, w, n in zip(keep, c, write, new, strict=True)]
        h = [ag.sigmoid(s) * ag.tanh(x) for s, x in zip(show, c, strict=True)]
        loss = loss + (ag.dot(v, h) - y) ** 2
    return loss


def lstm_in_jax() -> Any:
    """The four products as one."""
    import jax.numpy as jnp
    from jax import lax, nn

    def loss(theta: Any, data: Any) -> Any:
        *gates, b0, b1, b2, b3, v = arrays(theta, *LSTM)
        w, b = jnp.concatenate(gates), jnp.concatenate([b0, b1, b2, b3])
        before = data[:, :-1] @ w[:, :FEATURES].T + b

        def step(carry: Any, x: Any) -> Any:
            h, c = carry
            z = x + w[:, FEATURES:] @ h
            keep, write, show = (nn.sigmoid(z[k * CELLS : (k + 1) * CELLS]) for k in range(3))
            c = keep * c + write * jnp.tanh(z[3 * CELLS :])
            h = show * jnp.tanh(c)
            return (h, c), h

        _, states = lax.scan(step, (jnp.zeros(CELLS), jnp.zeros(CELLS)), before)
        return ((states @ v - data[:, -1]) ** 2).sum()

    return loss


CHARACTERS, LAYERS = 14, 2

ADBENCH = (*((4, CHARACTERS),) * (2 * LAYERS), (3, CHARACTERS))


def adbench_lstm(theta: Any, data: Any) -> Any:
    """The LSTM of ADBench: gates on each number alone, two layers; each character is to tell the next one."""
    *layers, (into, out, shift) = parts(theta, *ADBENCH)
    states, total, each = [([0.0] * CHARACTERS, [0.0] * CHARACTERS) for _ in range(LAYERS)], 0.0, range(CHARACTERS)
    for x, then in pairwise(data):
        x = [a * b for a, b in zip(x, into, strict=True)]
        for k in range(LAYERS):
            h, c = states[k]
            keep, write, show, new = ([a[i] * w[i] + b[i] for i in each] for a, w, b in zip(
                (x, h, x, h), layers[2 * k], layers[2 * k + 1], strict=True))  # fmt: skip
            keep, write, show = ([ag.sigmoid(z) for z in gate] for gate in (keep, write, show))
            c = [c[i] * keep[i] + write[i] * ag.tanh(new[i]) for i in each]
            x = [show[i] * ag.tanh(c[i]) for i in each]
            states[k] = x, c
        x = [x[i] * out[i] + shift[i] for i in each]
        total = total + ag.dot(then, x) - ag.sum(list(then)) * ag.log(ag.sum([ag.exp(z) for z in x]) + 2.0)
    return -total / (CHARACTERS * (len(data) - 1))


def adbench_lstm_in_jax() -> Any:
    """The state of both layers in arrays; what is predicted is compared for all steps after the scan."""
    import jax.numpy as jnp
    from jax import lax, nn

    def loss(theta: Any, data: Any) -> Any:
        *layers, (into, out, shift) = arrays(theta, *ADBENCH)

        def step(states: Any, x: Any) -> Any:
            after = []
            for k in range(LAYERS):
                (wf, wi, wo, wc), (bf, bi, bo, bc), (h, c) = layers[2 * k], layers[2 * k + 1], states[k]
                c = c * nn.sigmoid(x * wf + bf) + nn.sigmoid(h * wi + bi) * jnp.tanh(h * wc + bc)
                x = nn.sigmoid(x * wo + bo) * jnp.tanh(c)
                after.append((x, c))
            return after, x

        start = [(jnp.zeros(CHARACTERS), jnp.zeros(CHARACTERS))] * LAYERS
        _, found = lax.scan(step, start, data[:-1] * into)
        z = found * out + shift
        norm = jnp.log(jnp.exp(z).sum(1) + 2.0)
        return -(data[1:] * (z - norm[:, None])).sum() / (CHARACTERS * (len(data) - 1))

    return loss


def characters(steps: int) -> np.ndarray:
    """Data: which character it is, as ones and zeros."""
    return np.eye(CHARACTERS)[np.random.default_rng(0).integers(CHARACTERS, size=steps)]


HMM = ((HEALTH, HEALTH), HEALTH)


def hmm(theta: Any, data: Any) -> Any:
    """Hidden states with normal observations: the forward algorithm on logarithms."""
    moves, mean = parts(theta, *HMM)
    moves = [ag.log_softmax(row) for row in moves]
    a = [0.0] * HEALTH
    for (z,) in data:
        a = [
            ag.logsumexp([a[i] + moves[i][j] for i in range(HEALTH)]) - 0.5 * (z - mean[j]) ** 2 for j in range(HEALTH)
        ]
    return -ag.logsumexp(a)


def hmm_in_jax() -> Any:
    """With logsumexp along an axis."""
    import jax.numpy as jnp
    from jax import lax, nn

    def loss(theta: Any, data: Any) -> Any:
        moves, mean = arrays(theta, *HMM)
        moves = nn.log_softmax(moves, axis=1)
        seen = -0.5 * (data - mean) ** 2

        def step(a: Any, one: Any) -> Any:
            return nn.logsumexp(a[:, None] + moves, axis=0) + one, None

        a, _ = lax.scan(step, jnp.zeros(HEALTH), seen)
        return -nn.logsumexp(a)

    return loss


def american_put(theta: Any, data: Any) -> Any:
    """By explicit differences on a grid of prices: at each step the option is kept or exercised. (volatility, rate)."""
    sigma, rate = theta
    h = 0.4 / len(data) / (PRICES / 10) ** 2
    pay = [max(1.0 - 2.0 * j / PRICES, 0.0) for j in range(PRICES + 1)]
    up = [0.5 * h * (sigma * sigma * j * j + rate * j) for j in range(PRICES)]
    down = [0.5 * h * (sigma * sigma * j * j - rate * j) for j in range(PRICES)]
    stay = [1.0 - h * (sigma * sigma * j * j + rate) for j in range(PRICES)]
    v = list(pay)
    for _ in data:
        inner = [ag.max([down[j] * v[j - 1] + stay[j] * v[j] + up[j] * v[j + 1], pay[j]]) for j in range(1, PRICES)]
        v = [1.0, *inner, 0.0]
    return v[PRICES // 2] + v[PRICES // 3]


def american_put_in_jax() -> Any:
    """With shifted arrays."""
    import jax.numpy as jnp
    from jax import lax

    def loss(theta: Any, data: Any) -> Any:
        sigma, rate = theta[0], theta[1]
        h = 0.4 / len(data) / (PRICES / 10) ** 2
        pay = jnp.maximum(1.0 - 2.0 * jnp.arange(PRICES + 1) / PRICES, 0.0)
        j = jnp.arange(1, PRICES)
        up = 0.5 * h * (sigma * sigma * j * j + rate * j)
        down = 0.5 * h * (sigma * sigma * j * j - rate * j)
        stay = 1.0 - h * (sigma * sigma * j * j + rate)

        def step(v: Any, _: Any) -> Any:
            inner = jnp.maximum(down * v[:-2] + stay * v[1:-1] + up * v[2:], pay[1:-1])
            return jnp.concatenate([jnp.ones(1), inner, jnp.zeros(1)]), None

        v, _ = lax.scan(step, pay, None, len(data))
        return v[PRICES // 2] + v[PRICES // 3]

    return loss


def weights(*shapes: int | tuple[int, int]) -> Callable[[], np.ndarray]:
    """Parameters of these shapes."""
    size = sum(shape if isinstance(shape, int) else shape[0] * shape[1] for shape in shapes)
    return lambda: np.array([random.Random(k).gauss(0.0, 0.3) for k in range(size)])


MODELS = {
    "SIR, Runge-Kutta": of_numbers([0.4, 0.1, 0.99, 0.01], lambda n: np.random.default_rng(0).random((n, 1)), sir_step,
                                   lambda _, t: (t[2], t[3], 0.0), lambda _, t, y: y[2] ** 2),
    "two bodies, Runge-Kutta": of_numbers([1.0, 1.0, 0.0, 0.0, 1.1], normals(2), two_bodies_step,
                                          lambda _, t: (t[1], t[2], t[3], t[4]), nothing),
    "Kalman filter": of_numbers([0.1, 0.5], normals(1), kalman_step, lambda _, t: (0.0, 0.0, 1.0, 0.0, 1.0), nothing),
    "GARCH(1,1)": of_numbers([0.05, 0.1, 0.85], normals(1), garch_step, lambda _, t: (t[0] / (1 - t[1] - t[2]),),
                             nothing),
    "RNN, 16 units": Model(weights(*RNN), normals(INPUTS + 1), rnn, rnn_in_jax),
    "LSTM, 8 cells": Model(weights(*LSTM), normals(FEATURES + 1), lstm, lstm_in_jax),
    "LSTM of ADBench": Model(weights(*ADBENCH), characters, adbench_lstm, adbench_lstm_in_jax),
    "HMM, 5 states": Model(weights(*HMM), normals(1), hmm, hmm_in_jax),
    "American put, 32 prices": Model(lambda: np.array([0.3, 0.05]), normals(0), american_put, american_put_in_jax),
}  # fmt: skip


# --- measuring --------------------------------------------------------------------------------------------


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """How long a call takes, and what it gives."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def in_turn(runs: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The median CPU time of each, in turn; of what takes long, fewer rounds.

    In each turn it runs for some 20 ms, after a call that does not count: XLA runs a scan in a thread of its own, which
    takes twice the time when it has been asleep.
    """
    once = {name: timed(run)[0] for name, run in runs.items()}
    often = {name: max(1, int(TURN / max(once[name], 1e-6))) for name in runs}
    found: dict[str, list[float]] = {name: [] for name in runs}
    for count in range(ROUNDS):
        for name, run in runs.items():
            if once[name] * count > LONGEST:
                continue
            if often[name] > 1:
                run()
            start = time.process_time()
            for _ in range(often[name]):
                run()
            found[name].append((time.process_time() - start) / often[name])
    return {name: statistics.median(times) for name, times in found.items()}


def ours(model: Model, theta: np.ndarray, data: np.ndarray) -> tuple[dict[str, Callable[[], Any]], float, Any]:
    """Our ways to run it, how long it takes to make the folded one, and what that finds."""
    rows = data.tolist()

    def graph() -> tuple[list[ag.Parameter], list[list[ag.Value]], Any]:
        params = [ag.Parameter(x) for x in theta.tolist()]
        values = [[ag.Value(x) for x in row] for row in rows]
        return params, values, model.loss(params, values)

    params, values, root = graph()
    made, (program, found) = timed(lambda: folded(root, params, values, theta, data))

    def eager() -> Any:
        params, _, root = graph()
        root.backward()
        return root.item(), np.array([x.grad for x in params])

    args = (data,) if data.shape[1] else ()
    runs = {
        "ours": lambda: program.loss_and_grad(theta, *args),
        "plain Python": lambda: model.loss(theta.tolist(), rows),
    }
    if len(rows) <= STEPS[1]:
        runs["eager"] = eager
        value, slope = eager()
        near("eager", (value, slope), found)
    assert program.backend == "native", "nothing was compiled"
    return runs, made, found


def folded(root: Any, params: Any, values: Any, theta: np.ndarray, data: np.ndarray) -> tuple[Any, Any]:
    """The program and its first result."""
    if not data.shape[1]:
        program = ag.fold(root, params=params)
        return program, program.loss_and_grad(theta)
    program = ag.fold(root, params=params, inputs=[values])
    return program, program.loss_and_grad(theta, data)


def near(name: str, a: Any, b: Any) -> None:
    """Both are the same value and gradient, up to rounding over many steps."""
    (value, slope), (other, expected) = a, b
    slope, expected = np.ravel(slope), np.ravel(expected)
    off = max(
        abs(float(value) - float(other)) / abs(float(other)), np.abs(slope - expected).max() / np.abs(expected).max()
    )
    assert off < 1e-8, f"{name} is off by {off:.0e}"


def in_jax(model: Model, theta: np.ndarray, data: np.ndarray) -> tuple[Callable[[], Any], float, Any]:
    """JAX's way, how long it takes to compile, and what it finds."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    run = jax.jit(jax.value_and_grad(model.jax()))
    x, y = jnp.array(theta), jnp.array(data)
    made, found = timed(lambda: jax.block_until_ready(run(x, y)))
    return lambda: jax.block_until_ready(run(x, y)), made, found


class Functions:
    """What the steps of models call, in CasADi."""

    def __init__(self) -> None:
        import casadi

        self.log = casadi.log


def in_casadi(model: Model, theta: np.ndarray, data: np.ndarray, mapped: bool) -> tuple[Callable[[], Any], float, Any]:
    """CasADi's way: unrolled on SX, or the step in a mapaccum; the gradient in reverse."""
    import casadi

    assert model.step is not None
    assert model.start is not None
    assert model.last is not None
    step, start, last, of = model.step, model.start, model.last, Functions()
    kind = casadi.MX if mapped else casadi.SX

    def make() -> Any:
        th, rows = kind.sym("theta", len(theta)), kind.sym("data", data.shape[1], len(data))
        if mapped:
            state = [casadi.SX.sym(f"s{k}") for k in range(len(start(of, theta)))]
            t, row = casadi.SX.sym("t", len(theta)), casadi.SX.sym("row", data.shape[1])
            total = casadi.SX.sym("total")
            left, term = step(of, casadi.vertsplit(t), state, casadi.vertsplit(row))
            both = casadi.vertcat(*left, total + term)
            one = casadi.Function("step", [casadi.vertcat(*state, total), row, t], [both])
            found = one.mapaccum("all", len(data))(casadi.vertcat(*start(of, casadi.vertsplit(th)), 0.0), rows, th)[
                :, -1
            ]
            *end, total = casadi.vertsplit(found)
        else:
            end, total = start(of, casadi.vertsplit(th)), 0.0
            for k in range(len(data)):
                end, term = step(of, casadi.vertsplit(th), end, casadi.vertsplit(rows[:, k]))
                total = total + term
        loss = total + last(of, casadi.vertsplit(th), end)
        both = casadi.Function("both", [th, rows], [loss, casadi.gradient(loss, th)])
        return both, both(theta, data.T)

    made, (both, (value, slope)) = timed(make)
    buffer, run = both.buffer()
    given, turned = theta.copy(), data.ravel()  # columns, as CasADi has them
    out = np.zeros(1), np.zeros(len(theta))
    buffer.set_arg(0, memoryview(given))
    buffer.set_arg(1, memoryview(turned))
    buffer.set_res(0, memoryview(out[0]))
    buffer.set_res(1, memoryview(out[1]))
    run.kept = buffer, given, turned, out
    return run, made, (value, np.array(slope))


def line(name: str, steps: int) -> list[str]:
    """A row of the table."""
    model = MODELS[name]
    theta, data = model.theta(), model.data(steps)
    runs, made, found = ours(model, theta, data)
    makes = {"ours": made}
    runs["JAX scan"], makes["JAX scan"], other = in_jax(model, theta, data)
    near("JAX", other, found)
    if model.step is not None:
        for title, mapped in (("CasADi unrolled", False), ("CasADi mapaccum", True)):
            if steps <= STEPS[1] or mapped:
                runs[title], makes[title], other = in_casadi(model, theta, data, mapped)
                near(title, other, found)
    times = in_turn(runs)
    ways = ("ours", "JAX scan", "CasADi unrolled", "CasADi mapaccum", "eager", "plain Python")
    return [name, f"{steps:,}", *(shown(times.get(way)) for way in ways), f"{times['ours'] / times['JAX scan']:.3g}",
            *(shown(makes.get(way)) for way in ways[:4])]  # fmt: skip


def shown(seconds: float | None) -> str:
    """A time with its unit."""
    if seconds is None:
        return ""
    for unit, name in ((1e-6, "us"), (1e-3, "ms")):
        if seconds < 999.5 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} s"


def main(chosen: list[str]) -> None:
    """Measure the chosen lines, or all of them, and then publish."""
    steps = [int(x) for x in chosen if x.isdigit()] or STEPS
    names = [
        name for name in MODELS if not [x for x in chosen if not x.isdigit()] or any(name.startswith(x) for x in chosen)
    ]
    for warm in (ours, in_jax):  # what each loads or sets up at its first program of all is not what a line measures
        warm(MODELS["GARCH(1,1)"], MODELS["GARCH(1,1)"].theta(), normals(1)(20))
    rows = []
    for name in names:
        for count in (x for x in steps if x <= MODELS[name].most):
            rows.append(line(name, count))
            print("  ".join(rows[-1]), flush=True)
    body = table(("loss and gradient", "T", "ours", "JAX scan", "CasADi unrolled", "CasADi mapaccum", "eager",
                  "plain Python", "ours / JAX", "ours, make", "JAX, make", "unrolled, make", "mapaccum, make"),
                 rows)  # fmt: skip
    versions = ", ".join(f"{name} {version(name)}" for name in ("llvmlite", "numpy", "jax", "casadi"))
    if not chosen:
        publish("Loops (benchmarks/loops.py)", f"{versions}.\n\n{body}\n\n{ACCOUNT}")


ACCOUNT = """\
"Plain Python" is the loss alone. JAX's time is CPU time too, without asynchronous dispatch. Where the time goes:

- SIR: some 40 ns a step for the two loops and the slopes between them, 0.4 ns an operation; at T = 10,000 the slopes of
  all steps no longer fit the second cache.
- RNN and LSTM: the state goes through memory from step to step, a product of 16 by 16 takes two chains of additions.
- The American put: four instructions a step forward and three back, on 31 prices; the last 16 steps, in which the
  prices that matter become fewer, stay as they are: 161 instructions whatever T is."""


if __name__ == "__main__":
    main(sys.argv[1:])
