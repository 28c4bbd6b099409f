"""Loops as machine code: recurrences of every kind, in registers, in memory and in rows; what is not trusted."""

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import nested_loops
from autograd_lite.folding.backends import Leaves
from autograd_lite.folding.backends.native import jit
from autograd_lite.folding.nesting import nests
from autograd_lite.folding.nests import Loop, Recurrence
from autograd_lite.folding.nests_interpreter import Interpreter
from autograd_lite.folding.nests_verify import verify
from autograd_lite.folding.structures import Cache
from tests.helpers.parts import chequered

pytestmark = pytest.mark.skipif(bool(jit.why_not()), reason=jit.why_not())


WAYS = ["as it comes", "registers", "memory"]


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Which loops are one code in registers, and which are nests whose lanes lie in memory."""
    monkeypatch.setattr("autograd_lite.folding.program.cache", Cache())  # structures that have no code yet
    if request.param == "registers":
        for name in ("MOST_SMALL", "MOST_IN_ROWS", "MOST"):
            monkeypatch.setattr(nested_loops, name, 10**6)
    elif request.param == "memory":
        monkeypatch.setattr(nested_loops, "WIDE", 0)
        monkeypatch.setattr(nested_loops, "MOST_SMALL", 0)
        monkeypatch.setattr(nested_loops, "MOST_IN_ROWS", 0)
    return request.param


def delays(*shifts):
    """Each value depends on several before it."""

    def loss(w, x):
        states = list(w[: max(shifts)])
        for y in x:
            states.append(ag.sin(ag.sum([w[k] * states[-d] for k, d in enumerate(shifts)]) + y))
        return ag.sum([s * s for s in states[-5:]])

    return loss


def network(n):
    """A state of n lanes; each step reads one number."""

    def loss(w, x):
        h, total = [0.0] * n, 0.0
        for y in x:
            h = [ag.tanh(ag.dot(w[n * i : n * i + n], h) + w[n * n + i] * y) for i in range(n)]
            total = total + (h[0] - y) ** 2
        return total + ag.sum(h)

    return loss


def matrices(n):
    """A state that is a matrix: P = A P A' + q, divided by its trace."""

    def loss(w, x):
        a = [w[n * i : n * i + n] for i in range(n)]
        p = [[float(i == j) for j in range(n)] for i in range(n)]
        for y in x:
            left = [[ag.dot(a[i], [row[j] for row in p]) for j in range(n)] for i in range(n)]
            p = [[ag.dot(left[i], a[j]) + 0.1 * y * y for j in range(n)] for i in range(n)]
            trace = ag.sum([p[i][i] for i in range(n)]) + 1.0
            p = [[z / trace for z in row] for row in p]
        return ag.sum([z * z for row in p for z in row])

    return loss


def rotated(w, x):
    """Lanes that move: each reads its neighbours."""
    n, total = 9, 0.0
    h = list(w[:n])
    for y in x:
        h = [ag.sin(h[i - 1] - h[(i + 1) % n] * h[i - 2]) * 0.5 + y * w[i] for i in range(n)]
        total = total + h[3] * h[4]
    return total


def weighed(w, x):
    """A matrix that each step makes anew, times a vector that stays."""
    h = list(w[:8])
    for y in x:
        of = [[ag.tanh(h[i] * w[k] + h[i - 1]) for k in range(9)] for i in range(8)]
        h = [ag.dot(row, w[20:29]) + y for row in of]
    return ag.sum(h)


def hidden_states(w, x):
    """logsumexp over the states of the step before: max, exp, sums, log."""
    n = 4
    a = [0.0] * n
    for y in x:
        a = [ag.logsumexp([a[i] + w[n * i + j] for i in range(n)]) - 0.5 * (y - w[j]) ** 2 for j in range(n)]
    return -ag.logsumexp(a)


def branches(w, x):
    """A choice in each step, and a maximum."""
    y, v, top = w[0] + 2.0, w[1] * 0.1, w[2]
    for z in x:
        v = v - 0.1 * w[3] * w[3] - 0.1
        hit = ag.less(y + 0.1 * v, 0.0)
        y, v = ag.where(hit, -y, y + 0.1 * v), ag.where(hit, -0.8 * v, v)
        top = ag.maximum(top * 0.9, y + z)
    return y + v + top


def two_loops(w, x):
    """One after the other, the second over what the first one leaves, and the other way."""
    s, kept = w[0], []
    for y in x:
        s = ag.tanh(w[1] * s + y)
        kept.append(s)
    r = w[2]
    for s in reversed(kept):
        r = ag.sin(w[3] * r + s * s)
    return r + kept[-1]


def running(w, x):
    """A sum and a product that run along."""
    s, p, total = w[0], w[1], 0.0
    for y in x:
        s, p = s + y * w[2], p * (1.0 + 0.1 * s)
        total = total + ag.log(1.0 + p * p)
    return total


LOOPS = {
    "one": delays(1),
    "delays 1 and 2": delays(1, 2),
    "delays 1, 3 and 6": delays(1, 3, 6),
    "network of 1": network(1),
    "network of 5": network(5),
    "network of 8": network(8),
    "network of 16": network(16),
    "network of 20": network(20),
    "matrices of 3": matrices(3),
    "rotated": rotated,
    "weighed": weighed,
    "hidden states": hidden_states,
    "branches": branches,
    "two loops": two_loops,
    "running": running,
}

STEPS = 40


def parameters(n=440, seed=3):
    return [ag.Parameter(float(x)) for x in np.random.default_rng(seed).uniform(-0.3, 0.3, n)]


def numbers(*shape, seed=1):
    return np.random.default_rng(seed).uniform(-1.0, 1.0, shape)


def eager(loss, w, x):
    for p in w:
        p.grad = 0.0
    root = loss(w, [ag.Value(y) for y in x.tolist()])
    root.backward()
    return root.item(), np.array([p.grad for p in w])


def near(found, wanted, tolerance=1e-11):
    (value, slope), (other, expected) = found, wanted
    np.testing.assert_allclose(value, other, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(slope, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


def made(program):
    """The nests of a program, verified."""
    found = nests(program.plan())
    verify(found)
    assert str(found)
    return found


def of_loops(found):
    """The nests that run step after step."""
    every = [*found.prologue, *found.body, *found.epilogue]
    return [nest for nest in every if isinstance(nest, (Loop, Recurrence))]


@pytest.mark.parametrize(("name", "way"), chequered(LOOPS, WAYS), indirect=["way"])
def test_a_loop_natively(way, name):
    loss, w, x = LOOPS[name], parameters(), numbers(STEPS)
    values = [ag.Value(y) for y in x.tolist()]
    program = ag.fold(loss(w, values), params=w, inputs=[values], backend="native")
    theta = program.theta
    wanted = eager(loss, w, x)
    near(program.loss_and_grad(theta, x), wanted)
    np.testing.assert_allclose(program(x), wanted[0], rtol=1e-11)  # fewer of the members are stored there
    assert program.backend == "native"
    found = made(program)
    assert of_loops(found)
    if way != "as it comes":
        kinds = {type(nest) for nest in of_loops(found)}
        assert kinds == {Recurrence if way == "registers" else Loop}
    run = Interpreter(found)
    value, slope = run(Leaves(theta, np.asarray(program._constants), (x,)), None)
    near((value[0], slope), wanted)
    assert run.trusted


@pytest.mark.parametrize(("name", "rows", "way"), chequered(LOOPS, [1, 5, 131], WAYS), indirect=["way"])
def test_a_loop_in_each_row(way, name, rows):
    loss, w, x = LOOPS[name], parameters(), numbers(rows, STEPS)
    program = ag.compile(lambda row: loss(w, row), params=w, batch=True, backend="native")
    found = [eager(loss, w, row) for row in x[:7]]
    wanted = np.mean([value for value, _ in found]), np.mean([slope for _, slope in found], 0)
    near(program.loss_and_grad(program.theta, x[:7]), wanted)
    value, slope = program.loss_and_grad(program.theta, x)
    reference = ag.compile(lambda row: loss(w, row), params=w, batch=True, backend="numpy")
    near((value, slope), reference.loss_and_grad(program.theta, x))
    assert program.backend == "native"


@pytest.mark.parametrize(("way", "name"), chequered(WAYS, LOOPS), indirect=["way"])
def test_a_loop_in_single_precision(way, name):
    loss, w, x = LOOPS[name], parameters(), numbers(STEPS)
    values = [ag.Value(y) for y in x.tolist()]
    program = ag.fold(loss(w, values), params=w, inputs=[values], backend="native", dtype="float32")
    near(program.loss_and_grad(program.theta, x), eager(loss, w, x), 2e-4)


@pytest.mark.parametrize("steps", [2, 3, 9, 100])
@pytest.mark.parametrize("name", ["one", "delays 1, 3 and 6", "network of 8", "running"])
def test_any_length(name, steps):
    loss, w, x = LOOPS[name], parameters(), numbers(steps)
    values = [ag.Value(y) for y in x.tolist()]
    program = ag.fold(loss(w, values), params=w, inputs=[values], backend="native")
    near(program.loss_and_grad(program.theta, x), eager(loss, w, x))


def roots(w, x):
    """The branch that is not taken has an infinite slope where y is 0."""
    s = w[0]
    for y in x:
        s = 0.5 * s + ag.where(ag.greater(y, 0.0), ag.sqrt(ag.maximum(y, 0.0)) * w[1], w[2] * s)
    return s


def growing(w, x):
    """A sum that overflows, in a branch that is not taken or as the result."""
    s = w[0]
    for y in x:
        s = s * s + y
    return ag.where(ag.less(s, 1e300), s, w[1])


@pytest.mark.parametrize("loss", [roots, growing])
def test_what_cannot_be_trusted_is_run_by_the_reference(way, loss):
    w = [ag.Parameter(x) for x in (3.0, 0.7, 0.4)]
    x = np.maximum(numbers(STEPS), 0.0)
    values = [ag.Value(y) for y in x.tolist()]
    program = ag.fold(loss(w, values), params=w, inputs=[values], backend="native")
    with np.errstate(all="ignore"):
        value, slope = program.loss_and_grad(program.theta, x)
        other, expected = eager(loss, w, x)
    np.testing.assert_allclose(value, other, rtol=1e-12)
    np.testing.assert_allclose(slope, expected, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["one", "network of 8", "running"])
def test_numbers_that_are_not_finite_go_where_they_go_in_the_eager_run(way, name, bad):
    loss, w, x = LOOPS[name], parameters(), numbers(STEPS)
    values = [ag.Value(y) for y in x.tolist()]
    program = ag.fold(loss(w, values), params=w, inputs=[values], backend="native")
    program.loss_and_grad(program.theta, x)
    for at in (0, STEPS // 2, STEPS - 1):
        other = x.copy()
        other[at] = bad
        with np.errstate(all="ignore"):
            value, slope = program.loss_and_grad(program.theta, other)
            expected, wanted = eager(loss, w, other)
        np.testing.assert_array_equal(np.isnan(value), np.isnan(expected))
        np.testing.assert_array_equal(np.isnan(slope), np.isnan(wanted))


def test_a_loop_with_a_user_defined_function_runs_on_the_reference():
    square = ag.primitive("loop_square", lambda a: a * a, lambda a: (2.0 * a,))

    def loss(w, x):
        s = w[0]
        for y in x:
            s = square(s) * w[1] + y
        return s

    w, x = parameters(2), numbers(STEPS)
    values = [ag.Value(y) for y in x.tolist()]
    program = ag.fold(loss(w, values), params=w, inputs=[values])
    near(program.loss_and_grad(program.theta, x), eager(loss, w, x))


def test_the_code_does_not_grow_with_the_steps():
    def size(steps):
        loss, w = LOOPS["running"], parameters(3)
        values = [ag.Value(y) for y in numbers(steps).tolist()]
        program = ag.fold(loss(w, values), params=w, inputs=[values])
        found = made(program)
        return sum(map(len, (found.prologue, found.body, found.epilogue))), len(str(found).splitlines())

    assert size(60) == size(600)
