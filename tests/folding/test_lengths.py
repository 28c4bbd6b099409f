"""Sequences of other lengths: one machine code serves them all, and their programs give what the graphs give."""

from collections import OrderedDict

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import structures
from autograd_lite.folding.backends import numpy_loops, python_loops
from autograd_lite.folding.backends.native import jit, lengths, runner
from tests.folding.loop_zoo import FOUND, runge_kutta
from tests.helpers.parts import every_second

native = pytest.mark.skipif(bool(jit.why_not()), reason=jit.why_not())


@pytest.fixture(autouse=True)
def compiles(monkeypatch):
    """What has been compiled, from nothing on: a text for each."""
    texts = []
    compile_text = jit.compile_text

    def counted(text, target=None):
        texts.append(text)
        return compile_text(text, target)

    monkeypatch.setattr(jit, "compile_text", counted)
    monkeypatch.setattr(lengths, "_families", OrderedDict())
    structures.cache.known.clear()
    yield texts
    structures.cache.known.clear()


def network(w, data):
    """Five units and two inputs."""
    h, loss = [0.0] * 5, 0.0
    for x, y in data:
        h = [ag.tanh(ag.dot(w[5 * i : 5 * i + 5], h) + w[25 + i] * x + w[30 + i]) for i in range(5)]
        loss = loss + (ag.sum(h) - y) ** 2
    return loss


def epidemic(w, data):
    """SIR by RK4."""

    def f(s, i, r):
        return -w[0] * s * i, w[0] * s * i - w[1] * i, w[1] * i

    y, loss = (w[2], w[3], 0.0), 0.0
    for x, _ in data:
        y = runge_kutta(f, y, 0.5)
        loss = loss + (y[1] - x) ** 2
    return loss + y[2] ** 2


def kalman(w, data):
    """A filter of two states."""
    x, v, p, q, r, loss = 0.0, 0.0, 1.0, 0.0, 1.0, 0.0
    for y, _ in data:
        x, p, q, r = x + v, p + 2 * q + r + w[0] / 4, q + r + w[0] / 2, r + w[0]
        s, e = p + w[1], y - x
        k, m = p / s, q / s
        x, v, p, q, r = x + k * e, v + m * e, (1 - k) * p, (1 - k) * q, r - m * q
        loss = loss + ag.log(s) + e * e / s
    return loss


LOSSES = {network: 35, epidemic: 4, kalman: 2}


def weights(loss):
    return np.random.default_rng(0).uniform(0.05, 0.45, LOSSES[loss])


def assert_as_eager(compiled, loss, params, steps):
    """Value and gradient for a sequence of as many steps."""
    data = np.random.default_rng(steps).uniform(-1.0, 1.0, (steps, 2))
    value, gradient = compiled.loss_and_grad(compiled.theta, data)
    for p in params:
        p.grad = 0.0
    root = loss(params, data)
    root.backward()
    want = np.array([p.grad for p in params])
    assert abs(value - root.item()) <= 1e-12 * max(1.0, abs(root.item()))
    assert np.abs(gradient - want).max() <= 1e-12 * max(1.0, np.abs(want).max())


def compiled(loss, **options):
    params = [ag.Parameter(x) for x in weights(loss)]
    return ag.compile(lambda data: loss(params, data), params=params, **options), params


# --- machine code -----------------------------------------------------------------------------------------


@native
@pytest.mark.parametrize("loss", LOSSES)
def test_one_code_for_all_lengths(loss, compiles):
    program, params = compiled(loss, backend="native")
    for steps in (100, 101, 300, 64, 128, 250, 97, 200):
        assert_as_eager(program, loss, params, steps)
        assert len(compiles) == 1, steps


@native
@pytest.mark.parametrize("loss", LOSSES)
def test_short_sequences_take_a_few_codes_more(loss, compiles):
    program, params = compiled(loss, backend="native")
    every = [*range(2, 48, 3), *range(49, 301, 19)]
    for steps in every:
        assert_as_eager(program, loss, params, steps)
    assert len(compiles) <= 1 + len([steps for steps in every if steps < 48])
    made = len(compiles)
    for steps in (50, 77, 123, 299):
        assert_as_eager(program, loss, params, steps)
    assert len(compiles) == made


@native
def test_a_batch_of_sequences_of_any_length(compiles):
    params = [ag.Parameter(x) for x in weights(network)]
    program = ag.compile(lambda data: network(params, data), params=params, batch=True, backend="native")
    for steps in (60, 61, 90, 150):
        data = np.random.default_rng(steps).uniform(-1.0, 1.0, (5, steps, 2))
        value, gradient = program.loss_and_grad(program.theta, data)
        for p in params:
            p.grad = 0.0
        root = ag.sum([network(params, x) for x in data]) / len(data)
        root.backward()
        assert np.isclose(value, root.item(), rtol=1e-12)
        assert np.allclose(gradient, [p.grad for p in params], rtol=1e-11, atol=1e-12)
    assert len(compiles) == 1


@native
@pytest.mark.parametrize("make", every_second([make for make, (_, loops) in FOUND.items() if loops]))
def test_a_code_with_arguments_has_the_bits_of_one_without(make, monkeypatch):
    for steps in (56, 61):
        root, inputs = make(steps)
        fed = [np.vectorize(ag.Value.item, otypes=[float])(x) for x in inputs]
        program = ag.fold(root, inputs=inputs, backend="native")
        value, gradient = program.loss_and_grad(program.theta, *fed)
        with monkeypatch.context() as patch:
            patch.setattr(lengths, "compiled", lambda text, target, _: (jit.compile_text(text, target), NOTHING))
            structures.cache.known.clear()
            program = ag.fold(root, inputs=inputs, backend="native")
            plain, plain_gradient = program.loss_and_grad(program.theta, *fed)
        assert value == plain
        assert gradient.tobytes() == plain_gradient.tobytes()


NOTHING = np.zeros(0, np.int32)

TEXT = """define void @run(ptr %context) nounwind {{
entry:
  %at.tables = getelementptr i64, ptr %context, i64 1
  %tables = load ptr, ptr %at.tables, align 8
  %v0 = getelementptr double, ptr %context, i64 2
  %v1 = add i64 %v9, {a}
  %v2 = mul i64 %v1, {b}
  %v3 = sitofp i64 %v2 to double
  store double %v3, ptr %v0, align 8
  ret void
}}
"""


def value(a, b, steps):
    """What the text with these numbers leaves, by the code for any length."""
    text = TEXT.format(a=a, b=b).replace("%v9", "0")
    code, arguments = lengths.compiled(text, jit.Target.host(), steps)
    tables = np.array([*arguments[::-1], 0], np.int32)
    context = np.array([0, tables.ctypes.data + 4 * len(arguments), 0], np.int64)
    code.function("run", lengths.jit.ctypes.c_void_p)(context.ctypes.data)
    return context[2:].view(float)[0]


@native
def test_what_was_equal_by_chance_is_two_arguments(compiles):
    for a, b in ((100, 100), (101, 100), (100, 7_000), (60, 61)):
        assert value(a, b, 100) == a * b
    assert len(compiles) == 1
    assert value(200, 3, 200) == 600
    assert len(compiles) == 1


@native
def test_what_was_not_guessed_is_one_when_it_differs(compiles):
    for a, b, count in ((100, 3, 1), (90, 3, 1), (100, 4, 2), (7, 9, 2)):
        assert value(a, b, 100) == a * b
        assert len(compiles) == count
    compiles.clear()
    lengths._families.clear()
    for a, b, count in ((10, 12, 1), (11, 12, 2), (13, 12, 2), (13, 14, 3), (15, 16, 3)):
        assert value(a, b, 10) == a * b
        assert len(compiles) == count


@native
def test_constants_in_a_vector_are_of_one_length(compiles):
    vector = "\ndefine <2 x i64> @v(ptr %context, <2 x i64> %a) {{\n  %b = add <2 x i64> %a, <i64 {c}, i64 1>\n"
    text = (TEXT + vector + "  ret <2 x i64> %b\n}}\n").replace("%v9", "0")
    for c, arguments in ((100, 2), (120, 0), (100, 2), (120, 0)):
        made = text.format(a=110, b=100, c=c)
        assert len(lengths.compiled(made, jit.Target.host(), 100)[1]) == arguments
    assert len(compiles) == 3


@native
def test_few_families_are_kept(monkeypatch):
    monkeypatch.setattr(lengths, "MOST_FAMILIES", 2)
    for extra in ("", "  ; one", "  ; two", "  ; three"):
        lengths.compiled(TEXT.format(a=100, b=100).replace("%v9", "0") + extra, jit.Target.host(), 100)
    assert len(lengths._families) == 2


@native
def test_a_length_is_no_constant_of_the_text(compiles):
    program, params = compiled(network, backend="native")
    assert_as_eager(program, network, params, 1234)
    (text,) = compiles
    assert "1234" not in text
    assert "%length0" in text


@native
def test_arguments_are_bound_to_what_runs(compiles):
    """Two lengths in turn, and a new runner of the first one, share one code and not their arguments."""
    program, params = compiled(epidemic, backend="native")
    for steps in (80, 120, 80, 120):
        assert_as_eager(program, epidemic, params, steps)
    first, second = (kept[0] for kept in program._programs.values())
    codes = [next(iter(p._ready.values())).prepare().code for p in (first, second)]
    assert all(isinstance(code, runner.Compiled) for code in codes)
    assert codes[0].code is codes[1].code
    assert codes[0].tables_at != codes[1].tables_at
    assert len(compiles) == 1


# --- without machine code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("operations", [0, 10**9])
def test_other_executors_at_any_length(loss, operations, monkeypatch):
    monkeypatch.setattr(numpy_loops, "CALLS_AN_OPERATION", operations)
    python_loops._code.cache_clear()
    program, params = compiled(loss, backend="numpy")
    for steps in (40, 41, 65, 100):
        assert_as_eager(program, loss, params, steps)
        if steps == 40:
            made = python_loops._code.cache_info().misses
    assert python_loops._code.cache_info().misses == made
    assert bool(made) == bool(operations)


# --- batches of sequences ---------------------------------------------------------------------------------

BACKENDS = ["numpy", pytest.param("native", marks=native)]


def eager_mean(loss, params, sequences):
    """Mean loss and gradient, uncompiled."""
    for p in params:
        p.grad = 0.0
    root = ag.sum([loss(params, data) for data in sequences]) / len(sequences)
    root.backward()
    return root.item(), np.array([p.grad for p in params])


def masked(w, data, mask):
    """The network where a sequence ends: from there on its state stays, and adds nothing."""
    h, total = [0.0] * 5, 0.0
    for (x, y), there in zip(data, mask, strict=True):
        new = [ag.tanh(ag.dot(w[5 * i : 5 * i + 5], h) + w[25 + i] * x + w[30 + i]) for i in range(5)]
        h = [ag.where(there, a, b) for a, b in zip(new, h, strict=True)]
        total = total + ag.where(there, (ag.sum(h) - y) ** 2, 0.0)
    return total


def padded(sequences, value=0.0):
    """Sequences as one array, and where they are."""
    longest = max(map(len, sequences))
    data, mask = np.full((len(sequences), longest, 2), value), np.zeros((len(sequences), longest))
    for k, x in enumerate(sequences):
        data[k, : len(x)], mask[k, : len(x)] = x, 1.0
    return data, mask


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rows", [1, 3, 70])
def test_a_batch_of_sequences(loss, rows, backend):
    params = [ag.Parameter(x) for x in weights(loss)]
    program = ag.compile(lambda data: loss(params, data), params=params, batch=True, backend=backend)
    data = np.random.default_rng(rows).uniform(-1.0, 1.0, (rows, 24, 2))
    value, gradient = program.loss_and_grad(program.theta, data)
    assert program.plan().loops
    want, want_gradient = eager_mean(loss, params, data)
    assert np.isclose(value, want, rtol=1e-12)
    assert np.allclose(gradient, want_gradient, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("padding", [0.0, 1e300, np.nan])
def test_a_ragged_batch_by_a_mask(padding, backend):
    params, rng = [ag.Parameter(x) for x in weights(network)], np.random.default_rng(0)
    sequences = [rng.uniform(-1.0, 1.0, (n, 2)) for n in (3, 30, 17, 1, 25)]
    program = ag.compile(lambda data, mask: masked(params, data, mask), params=params, batch=True, backend=backend)
    value, gradient = program.loss_and_grad(program.theta, *padded(sequences, padding))
    assert program.plan().loops
    want, want_gradient = eager_mean(network, params, sequences)
    assert np.isclose(value, want, rtol=1e-12)
    assert np.allclose(gradient, want_gradient, rtol=1e-11, atol=1e-11)


def sequence_model(w):
    """The last state of the network on a row of numbers."""

    def model(row):
        h = [0.0] * 5
        for x in row:
            h = [ag.tanh(ag.dot(w[5 * i : 5 * i + 5], h) + w[25 + i] * x + w[30 + i]) for i in range(5)]
        return ag.sum(h)

    return model


@pytest.mark.parametrize("compiled", ["numpy", pytest.param("native", marks=native), "auto"])
def test_training_on_sequences_of_different_lengths(compiled):
    """Batches of one length each. A program of another length was run on them once the first had been taken."""
    rng, ends = np.random.default_rng(0), []
    rows = [rng.uniform(-1.0, 1.0, (3, n)) for n in (52, 60, 61, 52, 55, 12)]
    batches = [(X, 0.3 * X.sum(1)) for X in rows]
    for way in (False, compiled):
        w = [ag.Parameter(x) for x in weights(network)]
        history = ag.fit(sequence_model(w), batches, loss="squared_error", parameters=w, epochs=2, compiled=way)
        ends.append((history.loss, [p.item() for p in w]))
    assert np.allclose(ends[0][0], ends[1][0], rtol=1e-12)
    assert np.allclose(ends[0][1], ends[1][1], rtol=1e-12)
    if compiled != "auto":
        assert history.backend == compiled
