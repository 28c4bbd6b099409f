"""The native backend: what runs natively and what does not, threads and targets to the last bit, how arrays come in."""

import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from autograd_lite.folding import backends, nested_sums
from autograd_lite.folding.backends import Leaves, backend, numpy_backend
from autograd_lite.folding.backends.native import jit, nests_to_ir, runner, text
from autograd_lite.folding.backends.native.following import Followed, joined
from autograd_lite.folding.backends.native.runner import Compiled, Runner
from autograd_lite.folding.instructions import Builder, Map
from autograd_lite.folding.nesting import nests
from autograd_lite.folding.nests import RUN, Access, Fill, Pack, Product, PythonStep
from autograd_lite.folding.nests_verify import verify
from autograd_lite.folding.plan import plan
from tests.helpers.user_primitives import LISTS, applied, defined

W = [ag.Parameter(float(x)) for x in np.random.default_rng(3).uniform(-1.0, 1.0, 60)]

native = pytest.mark.skipif(bool(jit.why_not()), reason=jit.why_not())


def net(x):
    """A function of a row of 12 numbers, and of W, with sums over rows, in rows, and a reduction."""
    hidden = [ag.tanh(ag.dot(W[12 * i : 12 * i + 12], x)) for i in range(4)]
    return ag.logsumexp(hidden) + ag.max(hidden) * W[50] + ag.norm(x) * W[0]


def rows(n, seed=1):
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (n, 12))


def near(a, b, tolerance=1e-13):
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.abs(a - b).max() <= tolerance * max(np.abs(b).max(), 1e-300)


# --- which backend runs ----------------------------------------------------------------------------------


def test_a_backend_by_name():
    assert ag.fold(W[0] * W[1], backend="numpy").backend == "numpy"
    known = "'auto', 'numpy', 'native', 'jax'"
    with pytest.raises(ValueError, match=f"fold: the backend must be one of {known}, got 'fortran'"):
        ag.fold(W[0] * W[1], backend="fortran")
    with pytest.raises(ValueError, match="compile: the backend must be one of"):
        ag.compile(lambda x: x, backend=None)
    with pytest.raises(ValueError, match="compile: threads must be at least 1, got 0"):
        ag.compile(lambda x: x, threads=0)


@native
def test_native_is_what_runs_where_it_can():
    program = ag.compile(net, params=W, batch=True)
    program(rows(3))
    assert program.backend == "native"
    assert ag.fold(W[0] * W[1], backend="native").backend == "native"


def test_a_pickle_keeps_the_name_of_the_backend_and_no_code():
    for name in ("numpy", "auto"):
        program = ag.fold(ag.tanh(W[0] * W[1]), params=W, backend=name)
        expected = program.loss_and_grad(program.theta)
        again = pickle.loads(pickle.dumps(program))
        found = again.loss_and_grad(again.theta)
        assert again.backend == program.backend
        assert found[0] == expected[0]
        assert np.array_equal(found[1], expected[1])


WITHOUT = """
import sys
sys.modules["llvmlite"] = None
import autograd_lite as ag
w = ag.Parameter(2.0)
program = ag.fold(w * w)
assert program.loss_and_grad([3.0])[0] == 9.0
assert program.backend == "numpy: llvmlite is not installed (pip install 'autograd_lite[fast]')", program.backend
try:
    ag.fold(w * w, backend="native")
except RuntimeError as error:
    assert "llvmlite is not installed" in str(error) and '"auto" takes NumPy then' in str(error), error
else:
    raise AssertionError("not refused")
"""


def test_without_llvmlite_numpy_runs_and_says_why():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@native
def test_a_plan_that_is_refused_runs_on_numpy(monkeypatch):
    def prepare(*args):
        raise backends.Refused("too large")

    monkeypatch.setattr(runner, "prepare", prepare)
    program = ag.fold(ag.tanh(W[3] * W[1] * 0.25), params=W)
    assert program.backend == "numpy: too large"
    assert program.loss_and_grad(program.theta)[0] == program()
    with pytest.raises(RuntimeError, match=r'backend "native" does not run this program: too large'):
        ag.fold(ag.tanh(W[3] * W[1] * 0.25), params=W, backend="native")()


# --- batches -------------------------------------------------------------------------------------------------


@native
@pytest.mark.parametrize("n", [1, 7, 63, 64, 65, RUN, RUN + 1, 5000])
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_one_compiled_program_for_every_length(n, dtype, monkeypatch):
    reference = ag.compile(net, params=W, batch=True, dtype=dtype, backend="numpy")
    program = ag.compile(net, params=W, batch=True, dtype=dtype, backend="native")
    theta, X, tolerance = [w.item() for w in W], rows(n), 1e-13 if dtype is float else 1e-5
    program.loss_and_grad(theta, rows(2)), program.value_and_grad(rows(2))
    monkeypatch.setattr(jit, "compile_text", None)  # nothing more is compiled
    for call in ("loss_and_grad", "rows_and_grad"):
        found, expected = (getattr(p, call)(theta, X) for p in (program, reference))
        assert near(np.ravel(found[0]), np.ravel(expected[0]), tolerance)
        assert near(found[1], expected[1], tolerance)
    found, expected = program.value_and_grad(X), reference.value_and_grad(X)
    assert near(found[0], expected[0], tolerance)
    assert near(found[1], expected[1], tolerance)


@native
@pytest.mark.parametrize("n", [RUN, RUN + 1, 3 * RUN, 40 * RUN + 5])
def test_the_same_bits_for_any_number_of_threads(n, monkeypatch):
    monkeypatch.setattr(runner, "PAYS", -1.0)
    programs = [ag.compile(net, params=W, batch=True, threads=threads) for threads in (1, 2, 3)]
    X = rows(n)
    theta = [w.item() for w in W]
    (loss, slope), *others = [program.loss_and_grad(theta, X) for program in programs]
    assert all(other[0] == loss and np.array_equal(other[1], slope) for other in others)
    (_, slope), *others = [program.value_and_grad(X) for program in programs]
    assert all(np.array_equal(other[1], slope) for other in others)


@native
def test_arrays_come_as_they_are():
    """What is known of an array is its address: its numbers may change, and others may follow it."""
    program, reference = (ag.compile(net, params=W, batch=True, backend=x) for x in ("native", "numpy"))
    theta = [w.item() for w in W]
    X = rows(70)

    def same(X):
        return near(program.loss_and_grad(theta, X)[1], reference.loss_and_grad(theta, np.array(X, float))[1])

    assert same(X)
    X[3] = 0.5
    assert same(X)
    assert all(same(rows(70, seed)) for seed in range(20))  # each may lie where the last one did
    X.flags.writeable = False
    assert same(X)
    assert same(np.asfortranarray(X))
    assert same(rows(140)[::2])
    assert same(X.astype(np.float32))
    assert same(np.frombuffer(b"." + X.tobytes(), float, offset=1).reshape(X.shape))  # between two words
    assert same(X.tolist())


# --- bits ------------------------------------------------------------------------------------------------------


@native
@pytest.mark.skipif("avx512f" not in jit.Target.host().features if not jit.why_not() else True, reason="AVX-512")
@pytest.mark.parametrize("batched", [False, True])
def test_the_same_bits_on_avx2(batched):
    if batched:
        program = ag.compile(net, params=W, batch=True)
        program.loss_and_grad([w.item() for w in W], rows(2))
        program = program._latest
        leaves, n = program._leaves(program.theta, [rows(300)])
    else:
        program = ag.fold(ag.sum([net(W[i : i + 12]) for i in range(8)]), params=W)
        leaves, n = program._leaves(program.theta, ())
    plan, means = program.plan(), 0 if n is None else 1
    targets = [jit.Target.host(), jit.Target("haswell", "+avx2,+fma")]
    first, second = (Runner(Compiled(plan, float, target), 1)(leaves, n, means) for target in targets)
    assert all(map(np.array_equal, first, second))


# --- steps in Python -----------------------------------------------------------------------------------------


def cube(a):
    if a > 100.0:
        raise ArithmeticError("too large")
    return a * a * a


@native
def test_a_user_defined_function_runs_between_pieces_of_code():
    own = ag.primitive("cube_native", cube, lambda a: 3.0 * a * a)
    try:
        for batch in (False, True):
            f = lambda x: ag.sum([own(a * b) + ag.tanh(a) for a, b in zip(W, x, strict=False)])  # noqa: E731
            made = [ag.compile(f, params=W, batch=batch, backend=x) for x in ("native", "numpy")]
            theta, X = [w.item() for w in W], rows(5000) if batch else rows(1)[0]
            found, expected = (program.loss_and_grad(theta, X) for program in made)
            assert near(found[0], expected[0])
            assert near(found[1], expected[1])
            with pytest.raises(ArithmeticError, match="too large"):
                made[0].loss_and_grad(theta, X + 1000.0)
            assert near(made[0].loss_and_grad(theta, X)[1], expected[1])
    finally:
        del TABLE["cube_native"]


def layers(inputs, hidden):
    """A net of two layers with relu, its parameters, and rows for it."""
    model = ag.MLP(inputs, [hidden, 3], activation="relu", seed=5)
    f = ag.compile(lambda x: ag.logsumexp(model(x)), params=model, batch=True, backend="native")
    return f, np.random.default_rng(2).normal(size=(150, inputs))


def outputs(plan, leaves, count, target=None, dtype=float):
    found = Runner(Compiled(plan, dtype, target), 1)(leaves, count, 1)
    return [x.tobytes() for x in found], found


@native
@pytest.mark.parametrize("hidden", [16, 19, 27, 40])
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_a_first_layer_reads_the_rows_as_they_come(hidden, dtype):
    f, X = layers(20, hidden)
    f(X)
    plan, program = f.plan(), f._latest
    found = nests(plan, dtype)
    verify(found)
    assert any(isinstance(x, Product) and x.rows == "m" for x in found.body)
    assert not any(isinstance(x, Pack) and x.source.base >= 0 for x in found.body)
    for count in (1, 63, 64, 65, 150):
        leaves, rows = program._leaves(program.theta, (X[:count],))
        bits, (value, slope) = outputs(plan, leaves, rows, None, dtype)
        assert outputs(plan, leaves, rows, jit.Target("haswell", "+avx2,+fma"), dtype)[0] == bits
        expected = numpy_backend.prepare(plan)(leaves, rows, 1)
        tolerance = 1e-13 if dtype is float else 1e-5
        assert near(value, expected[0], tolerance)
        assert near(slope, expected[1], tolerance)


@native
def test_a_map_within_its_product_changes_no_bit(monkeypatch):
    seen = []

    def apart(section, whole):
        seen.extend(x for x in joined(section, whole) if isinstance(x, Followed))
        return section

    made = [layers(20, 24), layers(5, 12)]
    for f, X in made:
        f(X)
        leaves, rows = f._latest._leaves(f._latest.theta, (X,))
        together = outputs(f.plan(), leaves, rows)[0]
        with monkeypatch.context() as patch:
            patch.setattr(text, "joined", apart)
            assert outputs(f.plan(), leaves, rows)[0] == together
    kinds = {(x.product.rows, x.stored) for x in seen}
    assert {("m", False), ("n", False)} <= kinds


@native
def test_a_product_that_its_map_is_not_all_to_read_is_stored():
    rng = np.random.default_rng(4)
    A, B = ([[ag.Parameter(float(x)) for x in row] for row in rng.normal(size=size)] for size in ((24, 20), (9, 24)))

    def f(x):
        before = [ag.dot(row, x) for row in A]
        return ag.logsumexp([ag.relu(h) for h in before]) + ag.sum([ag.tanh(ag.dot(row, before)) for row in B])

    program = ag.compile(f, params=[w for row in A + B for w in row], batch=True, backend="native")
    X = rng.normal(size=(70, 20))
    program(X)
    found = nests(program.plan(), float)
    pairs = [x for x in joined(found.body, found) if isinstance(x, Followed)]
    assert [x.stored for x in pairs if x.product.rows == "m"] == [True]
    leaves, rows = program._latest._leaves(program.theta, (X,))
    _, (value, slope) = outputs(program.plan(), leaves, rows)
    expected = numpy_backend.prepare(program.plan())(leaves, rows, 1)
    assert near(value, expected[0])
    assert near(slope, expected[1])


@native
@pytest.mark.parametrize("batch", [False, True])
def test_a_user_defined_text_is_code(batch):
    before = set(TABLE)
    try:
        own = defined()
        made = [ag.compile(lambda x: applied(own, [x[0] * W[0], x[1] - W[1]]), params=W[:2], batch=batch, backend=name)
                for name in ("native", "numpy")]  # fmt: skip
        theta, X = [w.item() for w in W[:2]], rows(200)[:, :2] * 3.0 if batch else rows(1)[0, :2]
        found, expected = (program.loss_and_grad(theta, X) for program in made)
        assert near(found[0], expected[0])
        assert near(found[1], expected[1])
        losses = [applied(own, [float(x) * W[0], float(y) - W[1]]) for x, y in np.atleast_2d(X)]
        slopes = ag.gradients(ag.mean(losses), W[:2])
        assert near(found[0], np.mean([x.item() for x in losses]))
        assert near(found[1], np.array(slopes))
        steps = [step for x in made[0].plan().instructions if isinstance(x, Map) for step in x.code.steps]
        assert not any(step.function for step in steps)
    finally:
        for name in set(TABLE) - before:
            del TABLE[name]


def test_a_text_calls_what_it_named_when_it_was_defined():
    before = set(TABLE)
    try:
        ag.primitive("text_inner", "2 * a", "2")
        outer = ag.primitive("text_outer", "text_inner(a) + 1", "2")
        ag.primitive("text_inner", "7 * a", "7")
        later = ag.primitive("text_later", "text_inner(a) + 1", "7")
        listed = ag.primitive(*LISTS)
        w = ag.Parameter(1.5)
        for f, expected in ((outer, (4.0, 2.0)), (later, (11.5, 7.0)), (lambda a: listed(a, 1.0), (1.5, 1.0))):
            value, slope = ag.fold(f(w) * 1.0, params=[w]).loss_and_grad([1.5])
            assert (value, slope.item()) == expected
    finally:
        for name in set(TABLE) - before:
            del TABLE[name]


@native
def test_large_products_are_numpys(monkeypatch):
    monkeypatch.setattr(nested_sums, "LARGE", 100)
    matrix = lambda k: [W[k + 5 * i : k + 5 * i + 5] for i in range(5)]  # noqa: E731
    A, B = matrix(0), matrix(25)
    product = [ag.tanh(ag.dot(a, b)) for a in A for b in B]
    program = ag.fold(ag.sum(product), params=W)
    plan = program.plan()
    code = Compiled(plan, float)
    assert any(isinstance(part, PythonStep) for parts in code.parts.values() for part in parts)
    leaves, _ = program._leaves(program.theta, ())
    found, expected = Runner(code, 1)(leaves, None), numpy_backend.prepare(plan)(leaves, None)
    assert all(map(near, found, expected))


# --- what is not finite ---------------------------------------------------------------------------------------


@native
def test_what_is_not_finite_is_left_to_the_reference():
    x = ag.Parameter(1.0)
    program = ag.fold(ag.relu(-ag.sqrt(x)) + x * 1e300 * x, params=[x])
    for theta in ([1.0], [0.0], [1e10], [np.inf], [np.nan]):
        found, expected = (p.loss_and_grad(theta) for p in (program, ag.fold(program_root(x), [x], backend="numpy")))
        assert np.array_equal(found[0], expected[0], equal_nan=True)
        assert np.array_equal(found[1], expected[1], equal_nan=True)


def program_root(x):
    return ag.relu(-ag.sqrt(x)) + x * 1e300 * x


@native
def test_compile_time_grows_as_programs_do():
    """Cut into functions: in one, 1,500 steps take 25 s."""
    import time

    y, w = W[0], W[1]
    for _ in range(400):
        y = ag.tanh(w * y)
    plan = ag.fold(y, params=W).plan()
    start = time.process_time()
    Compiled(plan, float)
    assert time.process_time() - start < 5.0


# --- gathers ------------------------------------------------------------------------------------------------------


def attention(lengths, heads, width, order):
    """Causal attention within words of these lengths, and the sum of what comes out; components in this order."""
    rng = np.random.default_rng(0)
    n, size = sum(lengths), heads * width
    q, k, v = ([[ag.Parameter(x) for x in row] for row in rng.normal(size=(n, size))] for _ in range(3))
    out, start = [], 0
    for length in lengths:
        for i in range(start, start + length):
            for h in range(heads):
                part = [h * width + c for c in order(range(width), i)]
                scores = [ag.dot([q[i][c] for c in part], [k[j][c] for c in part]) for j in range(start, i + 1)]
                weights = ag.softmax(scores)
                out += [ag.tanh(ag.dot(weights, [v[j][c] for j in range(start, i + 1)])) for c in part]
        start += length
    return ag.sum(out), [x for rows in (q, k, v) for row in rows for x in row]


@native
@pytest.mark.parametrize("order", [lambda parts, i: parts, lambda parts, i: sorted(parts, key=lambda c: (c % 2, c)),
                                   lambda parts, i: list(parts)[:: 1 if i % 3 else -1]])  # fmt: skip
@pytest.mark.parametrize(("lengths", "heads", "width"), [([3, 5, 1, 8], 4, 4), ([2, 6], 2, 8), ([5, 4], 3, 3)])
def test_sums_read_without_gathers_have_the_same_bits(lengths, heads, width, order, monkeypatch):
    value, params = attention(lengths, heads, width, order)
    program = ag.fold(value, params, backend="native")
    expected, slope = ag.fold(value, params, backend="numpy").loss_and_grad(program.theta)
    seen, found, real = set(), [], nests_to_ir.layout

    def noted(*args):
        seen.add(type(real(*args)).__name__)
        return real(*args)

    for layout in (noted, lambda *args: None):
        monkeypatch.setattr(nests_to_ir, "layout", layout)
        program._folded.plan(0, False).kept.clear()
        runner = backend("native").prepare(program._folded.plan(0, False))
        found.append(runner(Leaves(program.theta, program.constants), None))
    for one, other in zip(*found, strict=True):
        assert one.tobytes() == other.tobytes()
    assert abs(found[0][0][0] - expected) < 1e-13
    assert np.abs(found[0][1] - slope).max() < 1e-13
    if width == 4:
        assert {"Fours", "Across"} <= seen


# --- calls without the long way -----------------------------------------------------------------------------------


def long_way(program, theta, *args):
    """loss_and_grad as it is without what native code has for usual arguments."""
    program._direct[0] = None
    try:
        return program.loss_and_grad(theta, *args)
    finally:
        del program._direct[0]


@native
@pytest.mark.parametrize("n", [1, 64, 100, RUN, RUN + 1])
def test_a_direct_call_gives_what_the_long_way_gives(n):
    compiled = ag.compile(net, params=W, batch=True)
    x = rows(n)
    theta = np.array([p.data for p in W])
    compiled.loss_and_grad(theta, x)
    program = compiled._latest
    assert compiled._quick is program._direct[0]
    assert (compiled._quick is None) == (program._direct[0] is None)
    for args in ((theta, x), (theta + 0.1, x), (theta, x[::-1]), (theta.tolist(), x.tolist()), (theta, x[:1].copy())):
        (one, g), (other, h) = compiled.loss_and_grad(*args), long_way(program, *args)
        assert one == other
        assert g.tobytes() == h.tobytes()
        program.direct(0)
    x[0] = 0.25  # the array is read anew at each call
    assert compiled.loss_and_grad(theta, x)[0] == long_way(program, theta, x)[0] != one


@native
def test_a_direct_call_leaves_errors_and_odd_numbers_to_the_long_way():
    w, x = [ag.Parameter(0.5 + k) for k in range(3)], [ag.Value(1.0 + k) for k in range(3)]
    program = ag.fold(ag.dot(w, [xi * xi for xi in x]), w, [x])
    theta = program.theta
    assert program.loss_and_grad(theta, [1.0, 2.0, 3.0])[0] == 0.5 + 6.0 + 22.5
    assert program.value_and_grad([1.0, 2.0, 3.0])[0] == 29.0
    assert program._direct[0] is not None
    for wrong, error in ((([1.0, 2.0],), ValueError), ((), TypeError), ((["a"] * 3,), TypeError)):
        with pytest.raises(error):
            program.loss_and_grad(theta, *wrong)
    with pytest.raises(ValueError, match="theta: expected a vector of 3 numbers"):
        program.loss_and_grad(theta[:2], np.ones(3))
    assert program.loss_and_grad(theta, np.full(3, 1e160))[0] == np.inf
    with ag.detect_anomaly(), pytest.raises(FloatingPointError):
        program.loss_and_grad(theta, np.full(3, 1e160))
    assert program.loss_and_grad(np.float32([1, 2, 3]), np.ones(3))[0] == 6.0


@native
def test_direct_values_and_gradients_in_an_argument():
    matrix = [[ag.Value(0.1 * i + j) for j in range(2)] for i in range(3)]
    x = ag.Value(2.0)
    program = ag.fold(ag.sum([v * v * x for row in matrix for v in row]), [], [matrix, x])
    a = np.arange(6.0).reshape(3, 2)
    for _ in range(2):
        assert program.value_and_grad(a, np.array(3.0))[0] == 165.0
        assert np.array_equal(program.value_and_grad(a, 3.0)[1], 6.0 * a)
        assert program.value_and_grad(a, np.array(3.0), argnum=1) == (165.0, 55.0)
        assert program.value_and_grad(a, 3.0, argnum=-1) == (165.0, 55.0)
    assert program._direct[1] is not None


@native
def test_threads_share_a_program_and_its_direct_call():
    from concurrent.futures import ThreadPoolExecutor

    program = ag.fold(ag.sum([ag.tanh(w * w) for w in W]), W)
    thetas = np.random.default_rng(0).normal(size=(400, len(W)))
    expected = [long_way(program, theta)[0] for theta in thetas]
    program.direct(0)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda theta: program.loss_and_grad(theta)[0], thetas))
    assert found == expected


@native
def test_a_direct_call_notices_what_the_long_way_notices():
    """A Value read from elsewhere, a guard, a parameter replaced."""
    scale, flag = ag.Value(2.0), ag.Parameter(1.0)
    captured = ag.compile(lambda: scale * W[0] * W[1], params=W)
    theta = captured.theta
    before = captured.loss_and_grad(theta)[0]
    scale.data = 4.0
    assert captured.loss_and_grad(theta)[0] == 2.0 * before
    guarded = ag.compile(lambda: flag * 2.0 if flag > 0.0 else flag * 3.0, params=[flag])
    assert [guarded.loss_and_grad(np.array([x]))[0] for x in (1.0, -1.0, 2.0)] == [2.0, -3.0, 4.0]
    model = ag.MLP(2, [2, 1], seed=0)
    loss = ag.compile(lambda x: model(x) ** 2, params=model, batch=True)
    x = np.ones((4, 2))
    theta = loss.theta if loss._latest else np.array([p.data for p in model.parameters()])
    first = loss.loss_and_grad(theta, x)[0]
    assert loss.loss_and_grad(theta, x)[0] == first
    model.layers[1].neurons[0].b = ag.Parameter(0.0)
    assert loss.loss_and_grad(theta, x)[0] == first
    assert loss.params[-1] is model.layers[1].neurons[0].b


@native
@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize("rows_of_left", [8, 11, 40])
def test_a_product_of_few_columns_has_the_same_bits(columns, rows_of_left, monkeypatch):
    """sum over examples of delta x: as in the gradient of a layer with few inputs."""
    rng = np.random.default_rng(0)
    w = [[ag.Parameter(x) for x in row] for row in rng.normal(size=(rows_of_left, columns))]
    X = rng.normal(size=(30, columns)).tolist()
    loss = ag.sum([ag.tanh(ag.dot(row, x)) for x in X for row in w])
    program = ag.fold(loss, [x for row in w for x in row], backend="native")
    found = []
    for narrow in (nests_to_ir.NARROW, 0):
        monkeypatch.setattr(nests_to_ir, "NARROW", narrow)
        program._folded.plan(0, False).kept.clear()
        runner = backend("native").prepare(program._folded.plan(0, False))
        found.append(runner(Leaves(program.theta, program.constants), None)[1])
    assert found[0].tobytes() == found[1].tobytes()
    assert near(found[0], ag.fold(loss, program.params, backend="numpy").loss_and_grad(program.theta)[1])


def test_the_debug_build_sees_an_address_outside_of_the_arena(monkeypatch):
    """tools/fuzz_native.py rests on it: a nest that writes in front of the arena, which verify would refuse."""
    from dataclasses import replace

    from tools import fuzz_native

    plan = next(plan for plan in fuzz_native.known() if not any(x.batched for x in plan.instructions))
    monkeypatch.setattr(fuzz_native.nests_verify, "verify", lambda nests: None)
    leaves = fuzz_native.leaves_of(plan, random.Random(0), 1)

    def outside(nests):
        return replace(nests, epilogue=(*nests.epilogue, Fill((3,), Access(-24, (1,)), 0.0)))

    for damage, seen in ((None, False), (outside, True)):
        found = fuzz_native.run_native(plan, leaves, None, 0, True, float, damage)[2]
        assert bool(found) == seen


@pytest.mark.parametrize("numbers", [(3.0,), (3.0, -4.0), (0.0,), (1e200,), (5e-324,), (-0.0, 0.0)])
@pytest.mark.parametrize("name", ["norm", "max", "min"])
def test_a_reduction_of_numbers_of_the_structure(name, numbers):
    """Of one number for all elements the norm had no machine code: KeyError: 'abs'."""
    builder = Builder()
    elements = builder.pick(builder.literal(np.array(numbers)), np.arange(6) % len(numbers))
    theta = builder.leaf("theta", 2)
    found = builder.sequence(TABLE[name], elements, np.array([4, 2]))
    made = plan(builder.instructions, [builder.op("mul", 2, (theta, found))])
    leaves = Leaves(np.array([1.0, -2.0]), np.zeros(0))
    outputs = [backend(each).prepare(made)(leaves, None)[0] for each in ("native", "numpy")]
    np.testing.assert_allclose(*outputs, rtol=1e-15)
