"""A fold at the limits: sums near the range of floats, warnings, threads that come at once, buffers that pile up."""

import gc
import math
import threading
import warnings

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import pool
from autograd_lite.folding.backends import backend, overflow
from tests.helpers.folds import close

pytestmark = pytest.mark.usefixtures("each_backend")

HUGE = [1e308, 1e308, -1e308]


# --- sums -------------------------------------------------------------------------------------------------


TERMS = [
    HUGE, [1e308, 1e308, -1e308, -1e308, 1.0], [1e308, 1e308], [1e308, 1e308, -math.inf], [1e308, 1e308, math.nan],
    [math.inf, -math.inf, 1.0], [1e308, 1e308, math.inf, -math.inf],
]  # fmt: skip


@pytest.mark.parametrize("xs", TERMS)
@pytest.mark.parametrize("function", [ag.sum, ag.mean])
def test_a_sum_overflows_only_where_its_result_does(function, xs):
    expected = function(xs)
    assert close(ag.compile(function)(xs), expected)
    assert close(ag.fold(function([ag.Value(x) for x in xs]))(), expected)
    rows = ag.compile(lambda x: [function(x), x[0]], batch=True)
    w = ag.Parameter(1.0)
    rows = ag.compile(lambda x: [function(x) * w], params=[w], batch=True)
    other = [float(k) for k in range(len(xs))]
    found, _ = rows.rows_and_grad([1.0], [xs, other])
    assert close(found[0], [expected, function(other)])


@pytest.mark.parametrize("batch", [False, True])
def test_a_sum_that_overflows_on_the_way_to_where_nobody_sees_it(batch):
    unit = 2.0**1000

    def f(x, y):
        return ag.tanh(ag.dot(x, y) / unit) + ag.tanh(ag.sum(x) / unit) + ag.tanh(ag.mean(x) / unit)

    # Powers of two: whatever the order of additions, a sum that does not overflow on the way is exact.
    x, y = np.array([2.0**1023, 2.0**1023, -(2.0**1023), -(2.0**1023), unit]), np.ones(5)
    program = ag.compile(f, batch=batch)
    found = program(x[None], y[None]) if batch else program(x, y)
    assert close(found, 2.0 * math.tanh(1.0) + math.tanh(0.2))


def test_products_and_gradients_whose_sum_overflows_on_the_way():
    w = [ag.Parameter(1.0), ag.Parameter(1.0)]
    program = ag.compile(lambda x: [ag.tanh(sum(a * b for a, b in zip(row, x[0], strict=True))) + w[0] * w[1] * row[0]
                                    for row in x][1], params=w)  # fmt: skip
    big = 1e200
    x = [[1.0, 1.0, -1.0], [1.0, 0.0, 0.0]]
    assert close(program(x), math.tanh(1.0) + 1.0)
    matrix = [[big, big, 0.0, -big], [1e108, 1e108, 3.0, 1e108]]
    forms = ag.compile(lambda a: ag.tanh(ag.mean([ag.dot(p, q) for p in a for q in a][1:3]) * 1e-308))
    assert close(forms(matrix), math.tanh(1.0))
    assert math.isnan(ag.compile(ag.dot)([0.0, 1e308, 1e308], [math.inf, 1.0, 1.0]))
    mean = ag.compile(lambda x: w[0] * x, params=w, batch=True)
    rows = np.array([1e308, 1e308, -1e308, -1e308] * 3)
    slope = mean.loss_and_grad([1.0, 1.0], rows)[1]
    assert slope[1] == 0.0
    assert abs(slope[0]) <= len(rows) * 1.1e-16 * 1e308  # 0 up to rounding, in whatever order a library adds


def test_the_mean_of_a_batch_overflows_only_where_it_is_too_large(monkeypatch):
    program = ag.compile(lambda x: x, batch=True)
    assert program([1.7e308, 1.7e308]) == 1.7e308
    assert program([1.7e308, math.inf]) == math.inf
    monkeypatch.setattr("autograd_lite.folding.backends.numpy_backend.CHUNK_BYTES", 1)
    assert close(program(np.full(3000, 1.7e308)), 1.7e308)
    w = ag.Parameter(1.0)
    signs = np.repeat([1.7e308, -1.7e308], 1500)
    slope = ag.compile(lambda x: w * x, params=[w], batch=True).loss_and_grad([1.0], signs)[1]
    assert close(slope, [0.0], scale=1.7e308)


def test_wide_rows_overflow_only_where_their_sum_does():
    x, y = np.full((3, 40), 1e154), np.full((3, 40), 1.1e154)
    y[:, 20:] *= -1.0
    y[1, 0] = 1.6e154
    program = ag.compile(
        lambda x, y: ag.sum([ag.tanh(ag.dot(list(a), list(b)) * 1e-308) for a, b in zip(x, y, strict=True)])
    )
    assert close(program(x, y), math.tanh(1.6 - 1.1))
    with np.errstate(over="ignore"):
        total = overflow.total([np.array([1.5e308, 1.0])] * 2 + [np.array([-1.5e308, 0.5])])
    assert total.tolist() == [1.5e308, 2.5]


def test_no_warning_leaves_a_run():
    w = ag.Parameter(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(ag.compile(lambda x: x, batch=True)([math.inf, -math.inf]))
        assert ag.compile(lambda x: x, batch=True)([1.7e308, 1.7e308]) == 1.7e308
        assert ag.compile(lambda x: x * w, batch=True, dtype=np.float32)([1e300]) == math.inf
        assert ag.fold(w * w, dtype=np.float32).loss_and_grad([1e300])[0] == math.inf
        assert math.isnan(ag.compile(lambda x: x - x)(math.inf))


# --- threads, interrupts, memory -----------------------------------------------------------------------------


def test_another_thread_in_the_middle_of_the_first_run(each_backend, monkeypatch):
    """Neither finds what the other has only half made."""
    program = ag.compile(lambda x: x * x, batch=True)
    program([1.0, 2.0])
    program._latest._folded._start()  # nothing is made yet
    module = backend(each_backend)
    prepare = module.prepare
    found = []

    def interrupted(*args):
        if not found:
            found.append(None)
            thread = threading.Thread(target=lambda: found.append(program([1.0, 2.0])))
            thread.start()
            thread.join()
        return prepare(*args)

    monkeypatch.setattr(module, "prepare", interrupted)
    assert program([1.0, 3.0]) == 5.0
    assert found == [None, 2.5]


def test_an_instruction_has_a_key_only_once_it_is_there():
    from autograd_lite.folding.instructions import Builder

    class Interrupted(list):
        def append(self, instruction):
            raise KeyboardInterrupt

    builder = Builder()
    plain, builder.instructions = builder.instructions, Interrupted()
    with pytest.raises(KeyboardInterrupt):
        builder.op("sin", 1, ())
    builder.instructions = plain
    builder.leaf("theta", 1)
    assert builder.op("sin", 1, ()).source == 1


def test_buffers_of_many_lengths_stay_within_a_limit(monkeypatch):
    def kept():
        return sum(shelf.nbytes for one in pool._pools for shelf in one.shelves.values())

    gc.collect()
    net = ag.MLP(10, [64, 64, 1], seed=0)
    program = ag.compile(net, params=net, batch=True, backend="numpy")
    program.loss_and_grad(program.theta, np.ones((200, 10)))
    each = max(shelf.nbytes for shelf in program._latest._folded.pool.shelves.values())
    assert each > 200 * 128 * 8
    monkeypatch.setattr(pool, "KEPT_BYTES", 10 * each)
    for rows in range(200, 230):
        value, _ = program.loss_and_grad(program.theta, np.ones((rows, 10)))
    assert kept() <= 10 * 1.2 * each
    assert close(program.loss_and_grad(program.theta, np.ones((200, 10)))[0], value)
    monkeypatch.setattr(pool, "KEPT_BYTES", 0)
    program(np.ones((3, 10)))
    assert sum(len(one.shelves) for one in pool._pools) == pool.KEPT
