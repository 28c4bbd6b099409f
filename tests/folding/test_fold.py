"""A fold computes what the graph computes: values, gradients and second derivatives, edge cases and traps."""

import itertools
import math
import pickle
import random
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import record
from autograd_lite.folding.backends import special
from autograd_lite.folding.instructions import Sum
from autograd_lite.folding.printing import name
from autograd_lite.folding.program import fold
from tests.helpers.folds import close, eager, same
from tests.helpers.threads import in_threads

pytestmark = pytest.mark.usefixtures("each_backend")

EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, 5e-324, -1e-310, 1e-8, 20.0, -20.0, 40.0, 710.0, -710.0,
         800.0, -800.0, 1e200, -1e200, math.inf, -math.inf, math.nan]  # fmt: skip
FIXED = [row for row in TABLE.values() if not row.variadic and row.builtin]


def approximate(row, found, expected):
    """Within what different C libraries and the order of operations leave: 64 ulp, and an absolute floor."""
    return close(found, expected, scale=1e-290 if not row.floor[0] and not row.floor[1] else 1e-3, ulps=64)


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_every_primitive_at_its_edges(row):
    n = len(row.operands)
    points = list(itertools.product(EDGES, repeat=n)) if n < 3 else list(
        itertools.product([0.0, 1.0, -1.0, math.inf, math.nan, 2.0], repeat=n)
    )  # fmt: skip
    if row.name == "_gauss":
        points = [(a, s) for a in EDGES for s in (0.5, 1.0)]
    leaves = [[ag.Value(x) for x in point] for point in points]
    outs = [record(row, tuple(point)) for point in leaves]
    flat = [x for point in leaves for x in point]
    values = fold(outs, params=flat)()
    for point, found, out in zip(points, values, outs, strict=True):
        assert approximate(row, found, out.item()), (point, found, out.item())
    total = ag.sum(outs)
    program = fold(total, params=flat)
    _, gradient = program.loss_and_grad(program.theta)
    for point, found, expected in zip(
        points, gradient.reshape(-1, n), np.array(ag.gradients(total, flat)).reshape(-1, n), strict=True
    ):
        assert approximate(row, found, expected), (point, found, expected)


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_every_primitive_between_others_in_calls_and_batches(row):
    """One lane, few and many; a row that no loop computes stands as a step in Python between two loops."""
    points = np.array([[0.3, 0.6, 0.45], [0.8, 0.25, 0.5], [0.55, 0.9, 1.0]])
    low = [operand == row.setting or row.name == "acosh" for operand in row.operands]

    def f(x):
        xs = [float(k + 1) if low[k] and row.setting else v * v + (1.0 if low[k] else 0.01)
              for k, v in enumerate(x[: len(row.operands)])]  # fmt: skip
        y = record(row, tuple(xs))
        more = [record(row, tuple(x if type(x) is float else x + 0.01 * k for x in xs)) for k in range(20)]
        return ag.tanh(y * x[0]) + ag.sum([ag.sin(z) * x[1] for z in more])

    one, batch = ag.compile(f), ag.compile(f, batch=True)
    total, slopes = batch.value_and_grad(points)
    expected = [ag.value_and_grad(f)(list(point)) for point in points.tolist()]
    for point, row_of_batch, (value, gradient) in zip(points.tolist(), slopes, expected, strict=True):
        found, slope = one.value_and_grad(point)
        assert close([found, *slope], [value, *gradient], scale=10.0), point
        assert close(3 * row_of_batch, gradient, scale=10.0), point
    assert close(total, np.mean([value for value, _ in expected]), scale=10.0)


@pytest.mark.parametrize("row", [row for row in TABLE.values() if row.variadic], ids=lambda row: row.name)
@pytest.mark.parametrize("ragged", [False, True])
def test_every_primitive_of_a_sequence(row, ragged):
    rng = random.Random(3)
    groups = [
        [
            ag.Value(rng.choice([rng.uniform(-3, 3), 0.0, 1.0, 1.0]))
            for _ in range(rng.choice((2, 4, 6)) if ragged else 4)
        ]
        for _ in range(12)
    ]
    hard = [
        (0.0,) * 4,
        (1.0, math.nan, 2.0, 0.0),
        (math.inf, 1.0, 1.0, -math.inf),
        (1e200, 1e200, 1.0, 1.0),
        (1e3,) * 4,
    ]
    groups += [[ag.Value(x) for x in xs] for xs in hard]
    outs = [record(row, tuple(group)) for group in groups]
    leaves = [x for group in groups for x in group]
    for found, out in zip(fold(outs, params=leaves)(), outs, strict=True):
        assert close(found, out.item(), ulps=16), (found, out)
    same(ag.sum([3.0 * out for out in outs]), leaves)


# --- random programs -----------------------------------------------------------------------------------

SMOOTH = [ag.sin, ag.tanh, ag.sigmoid, ag.softplus, ag.exp, ag.relu, ag.abs, ag.atan, ag.gelu]


@st.composite
def programs(draw):
    """A scalar program over some leaves: repeated blocks of random operations, sums, products and lookups of earlier
    results, so that classes, shared parts and ragged sums come up."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    leaves = [ag.Parameter(rng.uniform(-1.5, 1.5)) for _ in range(draw(st.integers(1, 6)))]
    pool = list(leaves)
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["unary", "binary", "dot", "sum", "reduce", "matmul", "chain"]))
        width = draw(st.integers(1, 5))
        function, operator = rng.choice(SMOOTH), rng.choice("+-*/")
        new = []
        if kind == "matmul":
            rows = [[rng.choice(pool) for _ in range(3)] for _ in range(width)]
            columns = [[rng.choice(pool) for _ in range(3)] for _ in range(2)]
            new = [sum(a * b for a, b in zip(r, c, strict=True)) for r in rows for c in columns]
            rng.shuffle(new)
        elif kind == "chain":
            x = rng.choice(pool)
            for _ in range(4):
                x = ag.tanh(x * rng.choice(pool) + 0.5)
                new.append(x)
        for _ in range(width if not new else 0):
            xs = [rng.choice(pool) for _ in range(rng.randint(1, 4))]
            if kind == "unary":
                new.append(function(xs[0] * 0.5))
            elif kind == "binary":
                a, b = xs[0], xs[-1]
                new.append({"+": a + b, "-": a - b, "*": a * b, "/": a / (b * b + 1.0)}[operator])
            elif kind == "dot":
                new.append(ag.dot(xs, [rng.choice(pool) for _ in xs], bias=rng.choice([None, 0.25, xs[0]])))
            elif kind == "sum":
                new.append(sum(x * rng.uniform(-1, 1) for x in xs) + xs[0])
            else:
                new.append(rng.choice([ag.max, ag.min, ag.norm, ag.logsumexp, ag.mean, ag.prod])(xs))
        pool += new
    chosen = rng.sample(pool, min(len(pool), 6)) + pool[-2:]
    return leaves, sum(ag.tanh(x * 0.3) for x in chosen)


def magnitude(root):
    """A bound on how large the terms of its gradient get: the sum of what goes through all paths, in size."""
    adjoint = {root: 1.0}
    from autograd_lite.engine import graph

    for node in reversed(graph.toposort(root)):
        for x, d in zip(node.operands, node.local_grads, strict=True):
            if not x.is_leaf or x in adjoint or x.__class__ is ag.Parameter:
                adjoint[x] = adjoint.get(x, 0.0) + adjoint.get(node, 0.0) * abs(d)
    return max(adjoint.values())


examples = pytest.mark.parametrize("examples", [20, pytest.param(150, marks=pytest.mark.slow)])


@examples
def test_random_programs(examples):
    @settings(max_examples=examples, deadline=None)
    @given(programs())
    def like_eager(program):
        leaves, root = program
        same(root, leaves, scale=max(1.0, magnitude(root)))

    like_eager()


@examples
def test_random_programs_second_order(examples):
    @settings(max_examples=max(10, examples // 4), deadline=None)
    @given(programs())
    def like_eager(program):
        second_order(*program)

    like_eager()


def second_order(leaves, root):
    slopes = ag.gradients(root, leaves, create_graph=True)
    second = sum((k + 1.0) * g for k, g in enumerate(slopes))
    if second.is_leaf:
        return
    same(second, leaves, scale=max(1.0, magnitude(second)), ulps=4096)


# --- traps ----------------------------------------------------------------------------------------------


def parameters(n, seed=0):
    rng = random.Random(seed)
    return [ag.Parameter(rng.uniform(-1.0, 1.0)) for _ in range(n)]


def matmuls(program):
    return [
        (form.to.shape, form.left.shape[2])
        for x in program.plan(False).instructions
        if isinstance(x, Sum)
        for part in x.parts
        for form in part.forms
        if form.what == "matmul"
    ]


def test_lanes_that_differ_only_in_a_constant():
    w = parameters(3)
    program = same(ag.sum([ag.exp(x * c) for x, c in zip(w, (1.0, 2.0, -3.0), strict=True)]), w)
    assert len(program.plan(False).instructions) <= 5


def test_powers_of_different_exponents_stay_apart():
    w = parameters(4)
    same(w[0] ** 2 + w[1] ** 3 + w[2] ** 2 + (w[3] + 2.0) ** 0.5 + 2.0 ** w[0] + (w[1] + 3.0) ** w[2], w)


def test_shared_subexpressions_are_computed_once():
    w = parameters(2)
    program = same(ag.sum([ag.exp(w[0] * w[1]) * float(k) for k in range(50)]), w)
    assert [x.size for x in program.plan(False).instructions if name(x) == "exp"] == [1]


def test_the_slope_of_what_is_computed_once_meets_the_sum_of_its_adjoints():
    """Two nodes for one expression are one instruction: where its slope is infinite, eager's infinities of both signs
    give NaN, and the instruction the derivative of the whole."""
    w = ag.Parameter(0.0)
    for factor, slope in ((2.0, math.inf), (1.0, 0.0)):  # sqrt(w), and 0
        root = factor * ag.sqrt(w) - ag.sqrt(w)
        assert math.isnan(ag.gradients(root, [w])[0])
        assert fold(root, params=[w]).loss_and_grad([0.0])[1].tolist() == [slope]


def test_a_recurrence_is_a_class_a_step():
    w = parameters(2)
    h = w[0]
    for _ in range(30):
        h = ag.tanh(h * w[1] + 0.1)
    same(h, w)


def test_ragged_sums_are_one_class():
    w = parameters(40)
    rng = random.Random(1)
    outs = [ag.tanh(sum(rng.choice(w) * rng.choice(w) for _ in range(k))) for k in range(2, 20)]
    program = same(ag.sum(outs), w)
    assert len(program.plan(False).instructions) <= 5


@pytest.mark.parametrize("shuffled", ["terms", "lanes", "both"])
def test_matrix_products_under_permutations(shuffled):
    rng = random.Random(5)
    A = [parameters(5, k) for k in range(4)]
    B = [parameters(5, 10 + k) for k in range(6)]
    cells = [(i, j) for i in range(4) for j in range(6)]
    if shuffled != "terms":
        rng.shuffle(cells)
    outs = []
    for i, j in cells:
        order = list(range(5))
        if shuffled != "lanes":
            rng.shuffle(order)
        outs.append(ag.sin(sum(A[i][k] * B[j][k] if rng.random() < 0.5 else B[j][k] * A[i][k] for k in order)))
    leaves = [x for row in A + B for x in row]
    inputs = [x for row in B for x in row]
    same(ag.sum([float(k) * x for k, x in enumerate(outs)]), leaves)
    program = fold(ag.sum(outs), params=[x for row in A for x in row], inputs=[inputs])
    assert matmuls(program) == [((1, 4, 6), 5)]
    assert close(program([x.item() for x in inputs]), ag.sum(outs).item())


def test_a_matrix_product_inside_a_larger_sum():
    W, b = [parameters(4, k) for k in range(3)], parameters(3, 9)
    x = [[ag.Value(0.1 * (i + j)) for i in range(4)] for j in range(5)]
    outs = [
        ag.tanh(b[m] + sum(w * v for w, v in zip(W[m], row, strict=True)) + row[0] + 1.0) for row in x for m in range(3)
    ]
    leaves = [*(w for row in W for w in row), *b]
    program = same(ag.sum(outs), leaves)
    assert matmuls(program)[0][1] == 4


def test_blocks_are_a_batch_of_matrix_products():
    outs, leaves = [], []
    for block in range(3):
        A, B = [parameters(4, 7 * block + k) for k in range(2)], [parameters(4, 70 + 7 * block + k) for k in range(3)]
        leaves += [x for row in A + B for x in row]
        outs += [ag.tanh(ag.dot(a, b)) for a in A for b in B]
    program = same(ag.sum([float(k % 5) * x for k, x in enumerate(outs)]), leaves)
    assert ((3, 2, 3), 4) in matmuls(program)


def test_lanes_that_nothing_needs_are_not_computed():
    w = parameters(6)
    hidden = [ag.exp(x) for x in w]
    program = fold(hidden[2] + hidden[4], params=w)
    assert [x.size for x in program.plan(False).instructions if name(x) == "exp"] == [2]


def test_one_lane_and_a_bare_leaf():
    w = parameters(1)
    same(w[0] * 1.0, w)
    program = fold(w[0])
    assert program() == w[0].item()
    assert program.loss_and_grad([5.0])[1].tolist() == [1.0]


def test_a_parameter_that_the_value_does_not_depend_on():
    w = parameters(2)
    program = fold(w[0] * w[0], params=w)
    assert program.loss_and_grad([3.0, 1.0])[1].tolist() == [6.0, 0.0]


def test_parameters_as_inputs():
    w = parameters(3)
    program = fold(ag.dot(w, w), inputs=[w])
    assert program.params == []
    value, slope = program.value_and_grad([1.0, 2.0, 3.0])
    assert value == 14.0
    assert slope.tolist() == [2.0, 4.0, 6.0]
    with pytest.raises(ValueError, match="given twice"):
        fold(ag.dot(w, w), params=w, inputs=[w])
    with pytest.raises(RuntimeError, match="no parameters"):
        program.backward([1.0, 2.0, 3.0])


def test_a_running_sum_and_its_parts():
    w = parameters(12)
    total, parts = 0, []
    for x in w:
        total = total + ag.sin(x)
        parts.append(total * x)
    same(ag.sum(parts), w)


def test_zero_adjoints_meet_infinite_local_gradients():
    w = [ag.Parameter(0.0), ag.Parameter(-1.0), ag.Parameter(4.0)]
    roots = [ag.where(ag.greater(x, 0.0), ag.sqrt(x), 0.0) for x in w]
    program = same(ag.sum(roots), w)
    assert program.loss_and_grad(program.theta)[1].tolist() == [0.0, 0.0, 0.25]


def test_zero_adjoints_in_matrix_products():
    W = [parameters(3, k) for k in range(2)]
    x = [[ag.Value(v) for v in row] for row in ([1.0, 2.0, 3.0], [math.inf, 1.0, 1.0], [0.5, 0.5, -0.5])]
    outs = [ag.dot(row, w) for row in x for w in W]
    kept = [ag.where(ag.less(ag.abs(o), 100.0), o * 2.0, 1.0) for o in outs]
    same(ag.sum(kept), [w for row in W for w in row])


def test_zero_adjoints_in_products_of_what_differs_by_row():
    """Scores of pairs, some of them -infinite in one row, where relu shuts them off: those hand nothing on, and the
    others keep their digits, however small they are."""
    w, v = ([ag.Parameter(a + b * k) for k in range(6)] for a, b in ((-0.3, -0.4), (0.2, 0.1)))

    def f(x, y, z):
        q = [[w[2 * i] * x, w[2 * i + 1] * y] for i in range(3)]
        k = [[v[2 * j] * z[j], v[2 * j + 1] * y] for j in range(3)]
        scores = [[sum(a * b for a, b in zip(p, r, strict=True)) for r in k] for p in q]
        found = ag.sum([(i - 2.0 * j + 3.0) * ag.relu(scores[i][j]) for i in range(3) for j in range(3)])
        return 1e-300 * found + ag.relu(w[0] * z[1])

    program = ag.compile(f, params=[*w, *v], batch=True)
    x, y = [0.5, 0.7, 1.5, 0.2], [1.0, 0.2, 0.3, 0.5]
    z = [[0.3, 0.1, -0.5], [0.4, -0.2, -0.7], [-1.5, math.inf, -0.6], [0.7, 0.3, 0.2]]
    expected = np.array([ag.gradients(f(*row), [*w, *v]) for row in zip(x, y, z, strict=True)])
    assert 1e-301 < abs(expected[2, 0]) < 1e-299
    _, slopes = program.loss_and_grad(program.theta, x, y, z)
    assert np.allclose(slopes, expected.mean(0), rtol=1e-14, atol=1e-313)


def test_a_nan_stays_where_it_is():
    w = [ag.Parameter(1.0), ag.Parameter(math.nan), ag.Parameter(2.0)]
    program = fold(ag.sum([x * x for x in w]))
    value, gradient = program.loss_and_grad(program.theta)
    assert math.isnan(value)
    assert gradient[0] == 2.0
    assert math.isnan(gradient[1])
    assert gradient[2] == 4.0


def test_a_user_defined_primitive():
    cube = ag.primitive("cube_fold", lambda a: a * a * a, lambda a: 3.0 * a * a)
    w = parameters(5)
    same(ag.sum([cube(x) * x for x in w]), w)


def test_a_slope_of_zero_meets_an_infinite_adjoint():
    f = ag.primitive("first_of_both", "a + 0 * b", "1, 0")
    try:
        a, b = ag.Parameter(0.0), ag.Parameter(2.0)
        root = ag.sqrt(f(a, b))
        _, slopes = eager(root, [a, b])
        assert close(fold(root, params=[a, b]).loss_and_grad([0.0, 2.0])[1], slopes)
        assert slopes[0] == math.inf
        assert math.isnan(slopes[1])
    finally:
        del TABLE["first_of_both"]


# --- programs ---------------------------------------------------------------------------------------------


def small_model():
    model = ag.MLP(2, [4, 1], activation="tanh", seed=3)
    points = [[0.1 * k, 1.0 - 0.2 * k] for k in range(7)]
    loss = ag.sum([model(x) ** 2 for x in points])
    return model, loss


def test_backward_adds_and_theta_writes():
    model, loss = small_model()
    program = ag.fold(loss, params=model.parameters())
    assert close(program.backward(), loss.item())
    once = [p.grad for p in model.parameters()]
    program.backward()
    assert [p.grad for p in model.parameters()] == [2.0 * g for g in once]
    loss.backward()
    assert close([p.grad for p in model.parameters()], [3.0 * g for g in once], scale=10.0)
    program.theta = np.zeros(len(program.params))
    assert program() == 0.0
    with pytest.raises(ValueError, match="shape"):
        program.theta = [1.0]


def test_a_program_is_pickled():
    model, loss = small_model()
    program = pickle.loads(pickle.dumps(ag.fold(loss, params=model.parameters())))
    assert close(program(), loss.item())
    assert close(program.backward(), loss.item())


def test_folding_again_reuses_and_rebinds():
    model = ag.MLP(2, [4, 1], activation="tanh", seed=3)

    def loss(points):
        return ag.sum([(model(x) - y) ** 2 for x, y in points])

    rng = np.random.default_rng(0)
    batches = [list(zip(rng.normal(size=(5, 2)).tolist(), rng.normal(size=5).tolist(), strict=True)) for _ in range(2)]
    batches[1][0] = (np.zeros(2).tolist(), 1.0)  # a datum of 0 is not another structure
    first = ag.fold(loss(batches[0]), params=model.parameters())
    graph = loss(batches[1])
    second = ag.fold(graph, params=model.parameters())
    assert second._folded is first._folded
    assert close(second(), graph.item())
    assert not close(first(), graph.item())


def test_threads_share_a_program():
    model, loss = small_model()
    program = ag.fold(loss, params=model.parameters())
    thetas = [np.random.default_rng(k).normal(size=len(program.params)) for k in range(4)]
    expected = [program.loss_and_grad(theta) for theta in thetas]
    wrong = []

    def work(k):
        for _ in range(200):
            value, gradient = program.loss_and_grad(thetas[k])
            if value != expected[k][0] or (gradient != expected[k][1]).any():
                wrong.append(k)

    in_threads(work, range(4))
    assert not wrong


def test_the_listing_names_the_matrix_products():
    model = ag.MLP(2, [16, 16, 1], seed=1)
    loss = ag.sum([ag.relu(1.0 - model([0.01 * k, 1.0 - 0.02 * k])) for k in range(100)])
    text = str(ag.fold(loss, params=model.parameters()))
    assert "matmul 16x16x100" in text
    assert len(text.splitlines()) < 40


def test_the_listing_names_literals_and_segments():
    x = parameters(30)
    means = ag.fold(ag.sum([ag.tanh(ag.mean(x[i : i + 2 + i % 3])) for i in range(6)]), params=x)
    assert "literal 0.5 0.333333 0.25 0.5 ...\n" in str(means)
    dots = ag.fold(ag.sum([ag.tanh(ag.dot(x[:n], x[n : 2 * n])) for n in range(1, 9)]), params=x)
    assert "(8 segments of 36)" in str(dots)


def test_single_precision_on_request():
    model, loss = small_model()
    found = ag.fold(loss, params=model.parameters(), dtype=np.float32)()
    assert found != loss.item()
    assert abs(found - loss.item()) < 1e-5 * abs(loss.item()) + 1e-6


def test_misuse_is_named():
    x = ag.Parameter(1.0)
    with pytest.raises(TypeError, match="expected a Value"):
        ag.fold([3.0])
    with pytest.raises(ValueError, match="result of an operation"):
        ag.fold(x * 2.0, inputs=[x * 2.0])
    program = ag.fold(x * 2.0, inputs=[x])
    with pytest.raises(TypeError, match="takes 1 arguments"):
        program()
    with pytest.raises(ValueError, match="must have shape"):
        program([1.0, 2.0])
    with pytest.raises(IndexError, match="argnum"):
        program.value_and_grad(1.0, argnum=3)
    with pytest.raises(TypeError, match="2 results"):
        ag.fold([x * 2.0, x * 3.0], params=[x]).backward()


@pytest.mark.parametrize("name", ["erfc", "gelu"])
def test_the_tail_of_the_error_function_keeps_its_digits(name):
    """exp(-x^2) multiplies the rounding of the square by the square: 255 ulp at 26 where nothing is done about it."""
    xs = [ag.Value(x if name == "erfc" else -math.sqrt(2.0) * x) for x in np.linspace(0.4, 26.0, 300)]
    outs = [getattr(ag, name)(x) for x in xs]
    for found, out in zip(fold(outs, params=xs)(), outs, strict=True):
        assert abs(found - out.item()) <= 10 * math.ulp(out.item()), (found, out)


@pytest.mark.parametrize("f", [ag.sqrt, ag.log, ag.log2, ag.log10], ids=lambda f: f.__name__)
def test_a_slope_at_minus_zero_keeps_its_sign_in_a_folded_gradient_graph(f):
    x = ag.Value(0.0)
    slope = ag.gradients(f(x / -1.45), x, create_graph=True)
    assert slope.item() == -math.inf
    assert ag.fold(slope, inputs=[x])(0.0) == -math.inf


def test_the_error_functions_without_scipy_are_those_of_math(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    monkeypatch.setattr(special, "_any_erfc", special.of_scipy("erfc", math.erfc))
    x = np.concatenate([np.linspace(-6.0, 27.0, 200), [math.inf, -math.inf, math.nan]])
    for kernel, function in ((special.of_scipy("erf", math.erf), math.erf), (special.erfc, math.erfc)):
        out = np.empty(len(x))
        kernel(x, out)
        assert np.array_equal(out, [function(v) for v in x], equal_nan=True)


def test_root_of_an_exponent_that_is_the_same_for_all_rows():
    """NumPy takes the square root there, which is NaN at -infinity and -0 at -0."""
    e, w = ag.Parameter(0.5), ag.Parameter(2.0)
    program = ag.compile(lambda x: [x**e * w], params=[e, w], batch=True)
    rows = [-math.inf, -0.0, math.inf, 4.0]
    (found,), _ = program.rows_and_grad([0.5, 2.0], rows)
    assert found.tolist() == [math.inf, 0.0, math.inf, 4.0] == [(2.0 * ag.Value(x) ** e).item() for x in rows]
    assert math.copysign(1.0, found[1]) == 1.0
