"""JAX as a backend, and programs as pure functions of JAX: what jit, vmap and sharding make of them."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import record
from autograd_lite.folding import backends, structures
from tests.folding.test_export import RECURRENCES, rows
from tests.folding.test_fold import EDGES, FIXED, approximate
from tests.folding.test_nests import PROGRAMS, W, rows_of
from tests.helpers.folds import close

jax = pytest.importorskip("jax", reason="JAX is not installed (the extra `jax`)")
EXAMPLES = Path(__file__).parents[2] / "examples"

NEAR_ZERO = ("lgamma", "digamma")
"""Where these cross 0, JAX's are right to a rounding of 1."""

SMALLEST = sys.float_info.min


def near(a, b, tolerance=1e-13):
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.abs(a - b).max() <= tolerance * max(np.abs(b).max(), 1e-300)


# --- the backend -------------------------------------------------------------------------------------------


def test_by_name():
    program = ag.fold(W[0] * W[1], backend="jax")
    assert program.backend == "jax"
    assert program() == W[0].item() * W[1].item()


def results(row):
    """The row at all edges but those with subnormal numbers, on each of JAX and NumPy."""
    n = len(row.operands)
    points = [(a, s) for a in EDGES for s in (0.5, 1.0)] if row.name == "_gauss" else [
        tuple(EDGES[(k * m + m) % len(EDGES)] for m in range(1, n + 1)) for k in range(len(EDGES))
    ]  # fmt: skip
    points = [point for point in points if all(not 0.0 < abs(x) < SMALLEST for x in point)]
    leaves = [[ag.Value(x) for x in point] for point in points]
    outs = [record(row, tuple(point)) for point in leaves]
    flat = [x for point in leaves for x in point]
    total = ag.sum(outs)
    for backend in ("jax", "numpy"):
        values = ag.fold(outs, params=flat, backend=backend)()
        program = ag.fold(total, params=flat, backend=backend)
        yield [*values, *program.loss_and_grad(program.theta)[1].tolist()]


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_every_primitive_at_its_edges(row):
    found, expected = results(row)
    for got, wanted in zip(found, expected, strict=True):
        small = abs(wanted) < 4.0 * SMALLEST  # a result that is subnormal is 0 too
        near_zero = row.name in NEAR_ZERO and close(got, wanted, ulps=64)
        assert approximate(row, got, wanted) or near_zero or (small and abs(got) < 4.0 * SMALLEST), (got, wanted)


@pytest.mark.parametrize("what", PROGRAMS)
def test_a_program_is_what_the_reference_computes(what):
    root = PROGRAMS[what]()
    program, reference = (ag.fold(root, params=W, backend=name) for name in ("jax", "numpy"))
    found, expected = (p.loss_and_grad(p.theta) for p in (program, reference))
    assert near(found[0], expected[0])
    assert near(found[1], expected[1])
    value, gradient = jax.jit(program.jax())(program.theta)
    assert near(value, expected[0])
    assert near(gradient, expected[1])


@pytest.mark.parametrize("kind", ["layer", "wide", "softmax", "ragged", "products in rows", "norm", "max"])
def test_and_in_a_batch(kind):
    f, X, theta = rows_of(kind), rows(7), [w.item() for w in W]
    program, reference = (ag.compile(f, params=W, batch=True, backend=name) for name in ("jax", "numpy"))
    calls = (lambda p: p.loss_and_grad(theta, X), lambda p: p.rows_and_grad(theta, X), lambda p: p.value_and_grad(X))
    for call in calls:
        found, expected = call(program), call(reference)
        assert near(np.ravel(found[0]), np.ravel(expected[0]))
        assert near(found[1], expected[1])
    value, gradient = jax.jit(program.jax(argnum=0))(np.array(theta), X)
    assert near(value, reference.value_and_grad(X)[0])
    assert near(gradient, reference.value_and_grad(X)[1])


def test_float32():
    program = ag.compile(rows_of("layer"), params=W, batch=True, backend="jax", dtype=np.float32)
    reference = ag.compile(rows_of("layer"), params=W, batch=True, backend="numpy")
    theta, X = [w.item() for w in W], rows(5)
    assert near(program.loss_and_grad(theta, X)[1], reference.loss_and_grad(theta, X)[1], 1e-5)
    value, gradient = jax.jit(program.jax())(np.array(theta), X)
    assert value.dtype == gradient.dtype == np.float32


def test_what_cannot_be_trusted_runs_on_the_reference():
    """0 times an infinite slope is 0, and a sum that overflows on the way is finite."""
    for f, x in ((lambda x: ag.where(ag.greater(x, 0.0), ag.log(x), 0.0 * x), 0.0),
                 (lambda x: ag.sum([x, x, -x, -x]), 1e308)):  # fmt: skip
        found, expected = (ag.compile(f, backend=name).value_and_grad(x) for name in ("jax", "numpy"))
        assert found == expected


def test_a_user_defined_function_is_called_on_the_host():
    def cube(a):
        return a * a * a

    own = ag.primitive("cube_jax", cube, lambda a: 3.0 * a * a)
    try:
        f = lambda x: ag.sum([own(a * b) for a, b in zip(W, x, strict=False)])  # noqa: E731
        program, reference = (ag.compile(f, params=W, batch=True, backend=name) for name in ("jax", "numpy"))
        theta, X = [w.item() for w in W], rows(5)
        assert near(program.loss_and_grad(theta, X)[1], reference.loss_and_grad(theta, X)[1])
    finally:
        TABLE.pop("cube_jax", None)


def test_a_program_of_too_many_instructions_runs_on_numpy(monkeypatch):
    from autograd_lite.folding.backends import jax_backend

    monkeypatch.setattr(jax_backend, "MOST_INSTRUCTIONS", 3)
    monkeypatch.setattr(backends, "AUTOMATIC", "jax")
    y = ag.tanh(ag.sin(W[0] * W[1]) + ag.exp(W[2]))
    structures.cache.known.clear()
    assert "XLA would take minutes" in ag.fold(y).backend
    with pytest.raises(RuntimeError, match="XLA would take minutes"):
        ag.fold(y, backend="jax").backward()
    structures.cache.known.clear()


WITHOUT_64 = """
import jax, numpy as np, autograd_lite as ag
w = ag.Parameter(2.0)
program = ag.fold(w * w, params=[w], backend="jax")
for call in (program, program.jax):
    try:
        call()
    except RuntimeError as error:
        assert 'jax.config.update("jax_enable_x64", True)' in str(error), error
    else:
        raise AssertionError("not refused")
assert ag.fold(w * w, params=[w], backend="jax", dtype=np.float32)() == 4.0
jax.config.update("jax_enable_x64", True)
assert program() == 4.0 and program.jax()(np.array([3.0]))[0] == 9.0
"""

WITHOUT_JAX = """
import sys
sys.modules["jax"] = None
import autograd_lite as ag
w = ag.Parameter(2.0)
for call in (lambda: ag.fold(w * w, backend="jax"), ag.fold(w * w).jax):
    try:
        call()
    except RuntimeError as error:
        assert "JAX is not installed (pip install 'autograd_lite[jax]')" in str(error), error
    else:
        raise AssertionError("not refused")
"""


@pytest.mark.parametrize("text", [WITHOUT_64, WITHOUT_JAX], ids=["64 bits", "jax"])
def test_without_it_what_to_do_is_said(text, monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_X64", "0")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_training():
    """fit(compiled="jax") takes the steps that it takes without."""
    X = np.random.default_rng(0).uniform(-1.0, 1.0, (30, 2))
    y, losses = np.sign(X[:, 0] * X[:, 1]), []
    for compiled in ("jax", False):
        model = ag.MLP(2, [4, 1], activation="tanh", seed=1)
        history = ag.fit(model, X, y, loss="hinge", epochs=3, batch_size=10, seed=0, compiled=compiled)
        losses.append(history.loss)
    assert near(*losses, 1e-12)


# --- pure functions ----------------------------------------------------------------------------------------


def test_vmap_over_parameters():
    program = ag.compile(rows_of("layer"), params=W, batch=True)
    theta, X = np.array([w.item() for w in W]), rows(5)
    several = theta * np.array([[1.0], [0.5], [2.0]])
    values, gradients = jax.vmap(program_of(program, theta, X).jax(), (0, None))(several, X)
    for value, gradient, one in zip(values, gradients, several, strict=True):
        expected = program.loss_and_grad(one, X)
        assert near(value, expected[0])
        assert near(gradient, expected[1])


def program_of(program, theta, X):
    program.loss_and_grad(theta, X)
    return program


def test_a_batch_on_four_devices():
    """The arguments of a jitted function may lie on several devices: XLA adds up what it must."""
    devices = jax.devices("cpu")
    if len(devices) < 4:
        pytest.skip("one device: XLA_FLAGS=--xla_force_host_platform_device_count=4 gives four")
    mesh = jax.sharding.Mesh(np.array(devices[:4]), ("rows",))
    by_rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows"))
    program = ag.compile(rows_of("layer"), params=W, batch=True)
    theta, X = np.array([w.item() for w in W]), rows(8)
    expected = program.loss_and_grad(theta, X)
    value, gradient = jax.jit(program.jax())(theta, jax.device_put(X, by_rows))
    assert near(value, expected[0])
    assert near(gradient, expected[1])


def test_a_zero_adjoint_meets_an_infinite_slope():
    f = ag.compile(lambda x: ag.sum([ag.where(ag.greater(v, 0.0), ag.log(v), 0.0 * v) for v in x]), batch=True)
    X = np.array([[1.0, 0.0], [-1.0, 2.0]])
    expected = f.value_and_grad(X)
    value, gradient = jax.jit(f.jax())(X)
    assert near(value, expected[0])
    assert near(gradient, expected[1])


def test_a_matrix_product_by_the_zero_rule():
    """In a product of matrices too: a row that is not taken, of infinite entries, adds 0 to a gradient."""

    def rule(x):
        taken = ag.greater(x[0], 0.0)
        return ag.sum([ag.where(taken, ag.log(ag.dot(W[k : k + 12], x)), 0.0 * x[0]) for k in range(0, 48, 12)])

    f = ag.compile(rule, params=W, batch=True)
    X = np.abs(rows(4))
    X[1], X[2] = -X[1], 0.0
    theta = np.abs([w.item() for w in W])
    expected = f.loss_and_grad(theta, X)
    value, gradient = jax.jit(f.jax())(theta, X)
    assert np.isfinite(expected[1]).all()
    assert near(value, expected[0])
    assert near(gradient, expected[1])


def test_another_branch_gives_nan():
    f = ag.compile(lambda x: x * x if x > 0 else -x)
    f(3.0)
    function = jax.jit(f.jax())
    assert near(function(2.0)[1], 4.0)
    assert all(map(math.isnan, map(float, function(-2.0))))


def test_what_it_refuses():
    f = ag.compile(lambda x: [x, x * x])
    f(1.0)
    with pytest.raises(TypeError, match="jax: the program has 2 results"):
        f.jax()
    one = ag.compile(lambda x: ag.dot(x, x))
    with pytest.raises(RuntimeError, match="jax: the function is traced at its first call"):
        one.jax()
    one([1.0, 2.0])
    with pytest.raises(IndexError, match="jax: argnum is 2"):
        one.jax(argnum=2)
    with pytest.raises(ValueError, match=r"argument 0 must have shape \(2,\)"):
        one.jax()(np.zeros(3))
    with pytest.raises(TypeError, match="takes 1 arguments, got 2"):
        one.jax()(np.zeros(2), 1.0)


def test_the_example_has_the_same_losses_on_four_devices(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("ab\ncd\nabcd\ncdab\nabab\n")
    command = [sys.executable, str(EXAMPLES / "gpt_jax.py"), "--data", str(words), "--steps", "5", "--words", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "4 devices" in done.stdout
    assert float(done.stdout.split("differ by at most")[1].split()[0]) < 1e-12


@pytest.mark.parametrize("what", RECURRENCES)
def test_a_recurrence_is_a_scan(what, monkeypatch):
    reference = RECURRENCES[what]()
    args = (rows(3, width=40),) if what == "rows" else ()
    expected = reference.loss_and_grad(reference.theta, *args)
    value, gradient = jax.jit(reference.jax())(reference.theta, *args)
    assert near(value, expected[0], 1e-12)
    assert near(gradient, expected[1], 1e-12)
    monkeypatch.setattr(backends, "AUTOMATIC", "jax")
    structures.cache.known.clear()
    program = RECURRENCES[what]()
    found = program.loss_and_grad(program.theta, *args)
    assert program.backend == "jax"
    assert near(found[0], expected[0], 1e-12)
    assert near(found[1], expected[1], 1e-12)
    structures.cache.known.clear()
