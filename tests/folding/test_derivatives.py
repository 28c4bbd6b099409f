"""Derivatives of programs: Jacobian, Hessian and their products, dense and sparse, against the eager transforms."""

import math
import pickle
import random

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import derived, structures
from tests.folding import loop_zoo
from tests.helpers.parts import every_second, first_of

pytestmark = pytest.mark.usefixtures("each_backend")

WEIGHTS = np.random.default_rng(0).normal(size=(4, 3))


def rosenbrock(x):
    return ag.sum([100.0 * (x[i + 1] - x[i] * x[i]) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])


def epidemic(p):
    healthy, ill, results = p[0], p[1], []
    for t in range(40):
        new = p[2] * healthy * ill
        healthy, ill = healthy - 0.05 * new, ill + 0.05 * (new - p[3] * ill)
        if t % 10 == 9:
            results.append(ill)
    return results


def recurrent(p):
    h = [p[0], p[1]]
    for t in range(30):
        h = [ag.tanh(p[2] * h[0] + p[3] * h[1] + 0.1 * t), ag.tanh(p[4] * h[0] - p[2] * h[1])]
    return h


def chain_of_products(p):
    y = p[0]
    for x in p[1:]:
        y = y * x
    return y


def network(p):
    h = [ag.tanh(ag.sum([float(w) * x for w, x in zip(row, p, strict=True)])) for row in WEIGHTS]
    rest = ag.sum(y * i for i, y in enumerate(ag.softmax(h)))
    return [ag.logsumexp(h), ag.max(h), ag.norm(h), ag.mean(h), rest, h[0] * h[1]]


def everything(p):
    a, b, c = p
    return [
        ag.sin(a) * ag.exp(b), a / b, ag.log(ag.abs(a) + 1) * c, ag.abs(a) ** b, ag.hypot(a, b), ag.atan2(a, c),
        ag.sigmoid(a * c), ag.softplus(b), ag.gelu(a), ag.silu(c), ag.erf(a), ag.lgamma(b + 3), a * 3.0, 2.0,
        ag.where(a > b, a * c, b * b), ag.maximum(a, b * b), ag.logaddexp(a, b), ag.floor(a) * b,
        ag.clamp(a, -0.5, 0.5), a % b, ag.sinc(a), ag.log_ndtr(b), ag.ndtri(ag.sigmoid(c)),
        ag.expm1(a) * ag.log1p(b * b),
    ]  # fmt: skip


def arrow(p):
    return ag.sum([ag.exp(p[0]) * x * x + x * p[0] for x in p[1:]])


def banded_with_one_dense_row(p):
    return [p[i] * p[i + 1] + ag.sin(p[i + 2]) for i in range(len(p) - 2)] + [ag.sum(x * x for x in p)]


def draw(seed, n):
    return np.random.default_rng(seed).normal(size=n)


CASES = {
    "rosenbrock": (rosenbrock, draw(0, 12)),
    "epidemic": (epidemic, np.array([0.9, 0.1, 1.5, 1.0])),
    "recurrent": (recurrent, draw(1, 5)),
    "chain": (chain_of_products, np.linspace(0.5, 1.5, 20)),
    "prod": (lambda p: ag.prod(list(p)), np.linspace(0.5, 1.5, 6)),
    "network": (network, draw(2, 3)),
    "everything": (everything, np.array([0.3, 0.7, -0.4])),
    "everything else": (everything, np.array([-1.3, 0.2, 0.9])),
    "arrow": (arrow, draw(3, 30)),
    "banded": (banded_with_one_dense_row, draw(4, 40)),
}


def weighted(f, x):
    """A function of one result, made of f."""
    if not isinstance(f(x.tolist()), list):
        return f
    return lambda x: ag.sum([(k + 1.0) * y for k, y in enumerate(f(x))])


def agree(found, expected, scale=1e-9):
    np.testing.assert_allclose(found, expected, rtol=scale, atol=scale * max(1.0, np.abs(expected).max()))


def check(f, x):
    """All first and second derivatives of f at x."""
    program = ag.compile(f)
    expected = ag.jacobian(f)(x)
    agree(program.jacobian(x), expected)
    sparse = program.jacobian(x, sparse=True)
    agree(sparse.toarray().reshape(expected.shape), expected)
    rows, columns = program.sparsity(x)
    assert np.array_equal(sparse.toarray()[rows, columns], sparse.data)
    v = np.cos(np.arange(len(x)))
    value, tangent = program.jvp(x, v)
    agree(value, np.array(ag.jvp(f, x, v)[0], float))
    agree(tangent, expected @ v)
    value, pull = program.vjp(x)
    weights = np.sin(1.0 + np.arange(len(expected))) if expected.ndim > 1 else 1.75
    agree(pull(weights), weights @ expected if expected.ndim > 1 else weights * expected)
    scalar = weighted(f, x)
    program = ag.compile(scalar)
    expected = ag.hessian(scalar)(x)
    agree(program.hessian(x), expected)
    agree(program.hessian(x, sparse=True).toarray(), expected)
    agree(program.hvp(x, v), expected @ v)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_eager(name):
    check(*CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_directions_as_the_rows_of_a_batch(name, monkeypatch):
    directions_as_rows(monkeypatch)
    check(*CASES[name])


def directions_as_rows(monkeypatch):
    """Matrices are found whole, and none is written out."""
    monkeypatch.setattr(derived, "MOST_DIRECTIONS", 0)
    monkeypatch.setattr(structures.cache, "known", type(structures.cache.known)())


def random_function(seed):
    """A few results of a random expression, whose operations are smooth where they are used."""
    rng = random.Random(seed)
    n, steps = rng.randint(1, 6), rng.randint(3, 25)
    unary = [ag.sin, ag.tanh, ag.sigmoid, ag.softplus, ag.erf, lambda x: x * x, lambda x: ag.exp(ag.sin(x)), ag.atan]
    binary = [
        lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, ag.hypot, ag.maximum, ag.logaddexp,
        lambda a, b: a / (1.5 + b * b), lambda a, b: ag.where(a > b, a * b, a - b),
    ]  # fmt: skip
    many = [ag.sum, ag.mean, ag.logsumexp, ag.norm, ag.max, ag.prod]
    plan = []
    for k in range(steps):
        kind, size = rng.random(), n + k
        if kind < 0.4:
            plan.append((rng.choice(unary), [rng.randrange(size)]))
        elif kind < 0.8:
            plan.append((rng.choice(binary), [rng.randrange(size), rng.randrange(size)]))
        else:
            plan.append((rng.choice(many), [[rng.randrange(size) for _ in range(rng.randint(1, 4))]]))
    results = [rng.randrange(n + steps) for _ in range(rng.randint(1, 5))]

    def f(x):
        known = [1.0 * t for t in x]
        for function, operands in plan:
            known.append(function(*([known[i] for i in o] if isinstance(o, list) else known[o] for o in operands)))
        return [known[k] for k in results]

    return f, np.array([rng.uniform(-1.5, 1.5) for _ in range(n)])


@pytest.mark.parametrize("seed", first_of(range(25), 9))
def test_random_functions(seed):
    check(*random_function(seed))


# --- zeros, infinities, NaN ----------------------------------------------------------------------------


SINGULAR = [
    lambda x: ag.sqrt(x[0]) * x[1],
    lambda x: ag.where(x[0] > 0, ag.log(x[0]), x[1] * x[0]),
    lambda x: ag.abs(x[0]) * x[1],
    lambda x: x[0] / x[1],
    lambda x: ag.floor(x[0]) * x[1],
    lambda x: ag.hypot(x[0], x[1]),
    lambda x: ag.max([x[0], x[1], x[0] * x[1]]),
    lambda x: ag.logsumexp([x[0], x[1], x[0] * x[1]]),
    lambda x: ag.relu(x[0]) * ag.relu(x[1]),
    lambda x: x[0] ** 2 * ag.sqrt(x[1]),
    lambda x: ag.exp(x[0]) * ag.exp(x[1]),
    lambda x: ag.clamp(x[0], 0, 1) * x[1],
    lambda x: ag.maximum(x[0], 0.0) ** 1.5,
    lambda x: ag.prod([x[0], x[1], x[0]]),
]
NAN, INF = math.nan, math.inf
POINTS = [
    (0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (-0.0, -1.0), (NAN, 1.0), (1.0, NAN), (INF, 1.0), (800.0, 800.0),
    (1e200, 1e200), (1e-200, 1e-200), (-INF, 2.0), (0.0, NAN), (0.0, INF),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(SINGULAR)))
def test_singular_points(k):
    f = SINGULAR[k]
    program = ag.compile(f)

    def same(found, expected, scale=1.0):
        np.testing.assert_allclose(found, np.array(expected, float), rtol=1e-9, atol=1e-15 * scale, equal_nan=True)

    for point in POINTS:
        x = np.array(point)
        same(program.jacobian(x), ag.jacobian(f)(x))
        expected = ag.hessian(f)(x)
        same(program.hessian(x), expected)
        scale = max(1.0, np.abs(expected[np.isfinite(expected)]).max(initial=1.0))
        for v in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]):
            v = np.array(v)
            same(program.jvp(x, v)[1], ag.jvp(f, x, v)[1])
            same(program.hvp(x, v), ag.hvp(f, x, v), scale)


def test_only_what_is_not_finite_is_found_anew():
    f = ag.compile(lambda x: [ag.sqrt(t) * x[0] for t in x])
    x = np.array([1.0, 0.0, 4.0])
    expected = ag.jacobian(lambda x: [ag.sqrt(t) * x[0] for t in x])(x)
    np.testing.assert_allclose(f.jacobian(x), expected)
    found = f.jacobian(x, sparse=True)
    np.testing.assert_allclose(found.toarray(), expected)
    assert found.nnz == 5


# --- loops, parameters, batches ------------------------------------------------------------------------


REPEATING = ["orbit", "sir", "garch", "kalman", "lengths", "fibonacci", "interleaved", "alternating", "decoder",
             "where", "two_phases", "max_pool", "minibatch", "hmm", "nested", "newton", "horner"]  # fmt: skip


@pytest.mark.parametrize("name", every_second(REPEATING))
def test_hessians_of_loops(name):
    y, inputs = getattr(loop_zoo, name)(12)
    program = ag.fold(y, inputs=inputs or None)
    args = [np.vectorize(lambda t: t.item())(np.array(x, object)) for x in inputs]
    gradient = ag.gradients(y, program.params, create_graph=True)
    expected = np.array([ag.gradients(g, program.params) for g in gradient])
    found = program.hessian(program.theta, *args, argnum="theta")
    agree(found, expected, 1e-7)
    v = np.cos(np.arange(len(expected)))
    agree(program.hvp(program.theta, v, *args, argnum="theta"), expected @ v, 1e-7)
    agree(program.jacobian(program.theta, *args, argnum="theta"), [g.item() for g in gradient], 1e-8)


@pytest.mark.parametrize("written_out", [True, False])
def test_each_row_of_a_batch_is_a_function_of_its_own(written_out, monkeypatch):
    if not written_out:
        directions_as_rows(monkeypatch)
    model = ag.MLP(2, [3, 2], activation="tanh", seed=1)
    f = lambda x, y: [u * y + ag.sin(x[0]) for u in model(x)]  # noqa: E731
    program = ag.compile(f, params=model, batch=True)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(70, 2)), rng.normal(size=70)
    jacobian = ag.jacobian(f, argnum=(0, 1))
    with ag.no_grad():
        expected = [tuple(map(np.array, jacobian(row, float(t)))) for row, t in zip(X, y, strict=True)]
    agree(program.jacobian(X, y), np.stack([rows for rows, _ in expected]))
    agree(program.jacobian(X, y, argnum=1), np.stack([rows for _, rows in expected]))
    sparse = program.jacobian(X, y, sparse=True)
    agree(np.stack([x.toarray() for x in sparse]), np.stack([rows for rows, _ in expected]))
    in_theta = program.jacobian(program.theta, X, y, argnum="theta")
    assert in_theta.shape == (70, 2, len(program.theta))
    for row in (0, 69):
        results = f(X[row].tolist(), float(y[row]))
        agree(in_theta[row], [ag.gradients(u, program.params) for u in results])
    v, w = rng.normal(size=(70, 2)), rng.normal(size=70)
    value, tangent = program.jvp((X, y), (v, w))
    agree(tangent, np.stack([a @ s + b * t for (a, b), s, t in zip(expected, v, w, strict=True)]))
    agree(np.mean(value, 0), program(X, y))
    value, pull = program.vjp(X, y)
    weights = rng.normal(size=(70, 2))
    in_x, in_y = pull(weights)
    agree(in_x, np.stack([s @ a for (a, _), s in zip(expected, weights, strict=True)]))
    agree(in_y, np.stack([s @ b for (_, b), s in zip(expected, weights, strict=True)]))


@pytest.mark.parametrize("written_out", [True, False])
def test_second_derivatives_of_a_batch(written_out, monkeypatch):
    if not written_out:
        directions_as_rows(monkeypatch)
    model = ag.MLP(2, [3, 1], activation="tanh", seed=1)
    f = lambda x, y: (model(x) - y) ** 2  # noqa: E731
    program = ag.compile(f, params=model, batch=True)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 2)), rng.normal(size=20)
    with ag.no_grad():
        expected = np.stack([ag.hessian(f)(row, float(t)) for row, t in zip(X, y, strict=True)])
    agree(program.hessian(X, y), expected)
    v = rng.normal(size=(20, 2))
    agree(program.hvp(X, v, y), np.einsum("kij,kj->ki", expected, v))
    loss = ag.mean([f(row.tolist(), float(t)) for row, t in zip(X, y, strict=True)])
    gradient = ag.gradients(loss, program.params, create_graph=True)
    expected = np.array([ag.gradients(g, program.params) for g in gradient])
    agree(program.hessian(program.theta, X, y, argnum="theta"), expected)
    v = rng.normal(size=len(expected))
    agree(program.hvp(program.theta, v, X, y, argnum="theta"), expected @ v)


@pytest.mark.parametrize("written_out", [True, False])
def test_rows_of_a_batch_that_are_singular(written_out, monkeypatch):
    if not written_out:
        directions_as_rows(monkeypatch)
    f = lambda x: ag.sqrt(x[0]) * x[1]  # noqa: E731
    program = ag.compile(f, batch=True)
    X = np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 1.0], [4.0, math.nan]])
    for found, transform in ((program.jacobian(X), ag.jacobian), (program.hessian(X), ag.hessian)):
        np.testing.assert_allclose(found, np.stack([transform(f)(row) for row in X]), equal_nan=True)


def test_a_program_without_arguments_takes_its_parameters():
    a, b = ag.Parameter(2.0), ag.Parameter(3.0)
    program = ag.fold(a * a * b)
    np.testing.assert_allclose(program.hessian(), [[6.0, 4.0], [4.0, 0.0]])
    np.testing.assert_allclose(program.hessian([1.0, 1.0]), [[2.0, 2.0], [2.0, 0.0]])
    np.testing.assert_allclose(program.jacobian(), [12.0, 4.0])
    np.testing.assert_allclose(program.hvp([1.0, 1.0], [1.0, 0.0]), [2.0, 2.0])
    assert program.jvp([1.0, 1.0], [1.0, 0.0]) == (1.0, 2.0)
    value, pull = program.vjp([1.0, 2.0])
    assert value == 2.0
    np.testing.assert_allclose(pull(1.0), [4.0, 1.0])


def test_forms_of_arguments():
    f = ag.compile(lambda x, y: x[0][0] * y * y + x[1][2] * x[0][0])
    x = np.arange(6.0).reshape(2, 3) + 1.0
    assert f.jacobian(x, 2.0).shape == (2, 3)
    assert f.jacobian(x, 2.0, argnum=1) == 4.0
    assert f.hessian(x, 2.0, argnum=-1) == 2.0
    assert f.hessian(x, 2.0).shape == (2, 3, 2, 3)
    assert f.hessian(x, 2.0)[0, 0, 1, 2] == 1.0
    assert f.hvp(2.0, 3.0, x, argnum=1) == 6.0


def test_the_function_runs_once_and_branches_are_guarded():
    calls = []

    def f(x):
        calls.append(1)
        return x[0] * x[1] if x[0] > 0 else ag.exp(x[1])

    program = ag.compile(f)
    for x in ([1.0, 2.0], [2.0, 3.0], [-1.0, 2.0], [-2.0, 1.0], [3.0, 1.0]):
        x = np.array(x)
        agree(program.hessian(x), ag.hessian(f)(x))
        agree(program.jacobian(x), ag.grad(f)(x))
    calls.clear()
    program.hessian(x), program.hvp(x, x), program.jvp(x, x), program.vjp(x)[1](1.0), program.jacobian(-x)
    assert not calls


def test_a_pattern_is_the_same_at_each_call():
    program = ag.compile(rosenbrock)
    first, second = (program.hessian(x, sparse=True) for x in (np.ones(50), np.zeros(50)))
    assert first.indices is second.indices or np.shares_memory(first.indices, second.indices)
    assert first.nnz == second.nnz == 148
    rows, columns = program.sparsity(np.ones(50), of="hessian")
    assert np.array_equal(rows, first.indices)
    assert np.array_equal(columns, np.repeat(np.arange(50), np.diff(first.indptr)))
    again = pickle.loads(pickle.dumps(ag.fold(_folded_rosenbrock()[0])))
    assert again.hessian(sparse=True).nnz == 13


def _folded_rosenbrock():
    x = [ag.Parameter(0.1 * k) for k in range(5)]
    return rosenbrock(x), x


def test_an_arrow_costs_what_its_entries_cost():
    program = ag.compile(arrow)
    x = draw(0, 500)
    assert program.hessian(x, sparse=True).nnz == 3 * 499 + 1
    layout = next(iter(program._latest._folded.layouts.values()))
    plan = program._latest._folded.plan(next(iter(program._latest._folded.layouts)), False)
    assert layout.mode == "forward"
    assert sum(k.size for k in plan.instructions) < 40 * 500


def test_dense_rows_go_in_reverse():
    program = ag.compile(banded_with_one_dense_row)
    program.jacobian(draw(0, 200))
    (layout,) = program._latest._folded.layouts.values()
    assert layout.mode in ("mixed", "forward", "reverse")
    assert len(layout.rows) == 3 * 198 + 200


# --- refusals ------------------------------------------------------------------------------------------


def test_refusals():
    several = ag.compile(lambda x: [x[0], x[1]])
    x = np.ones(2)
    with pytest.raises(TypeError, match="hessian: the program has 2 results"):
        several.hessian(x)
    with pytest.raises(TypeError, match="hvp: the program has 2 results"):
        several.hvp(x, x)
    with pytest.raises(ValueError, match=r"hvp: v must have shape \(2,\), got \(3,\)"):
        ag.compile(lambda x: x[0] * x[1]).hvp(x, np.ones(3))
    with pytest.raises(ValueError, match=r"jvp: the tangent of argument 0 must have shape \(2,\)"):
        several.jvp(x, np.ones(3))
    with pytest.raises(ValueError, match="jvp: tangents must hold one entry for each of the 1 primals, got 2"):
        several.jvp((x,), (x, x))
    with pytest.raises(ValueError, match=r"vjp: the weights must have shape \(2,\)"):
        several.vjp(x)[1](np.ones(3))
    with pytest.raises(IndexError, match="jacobian: argnum is 1, the program has 1 arguments"):
        several.jacobian(x, argnum=1)
    with pytest.raises(TypeError, match='jacobian: argnum must be the position of an argument, or "theta"'):
        several.jacobian(x, argnum="x")
    with pytest.raises(RuntimeError, match="jacobian: the program has neither parameters"):
        several.jacobian([], x, argnum="theta")
    with pytest.raises(TypeError, match="jacobian: sparse must be True or False"):
        several.jacobian(x, sparse=1)
    with pytest.raises(ValueError, match="sparsity: of must be"):
        several.sparsity(x, of="gradient")


def test_a_derivative_in_python_is_differentiated_once():
    cubed = ag.primitive("cubed_here", lambda a: a**3, lambda a, out: (3.0 * a * a,))
    program = ag.compile(lambda x: cubed(x[0]) * x[1])
    x = np.array([2.0, 3.0])
    np.testing.assert_allclose(program.jacobian(x), [36.0, 8.0])
    np.testing.assert_allclose(program.jvp(x, x)[1], 96.0)
    with pytest.raises(TypeError, match="hessian: the derivative of the primitive 'cubed_here' is a Python function"):
        program.hessian(x)
