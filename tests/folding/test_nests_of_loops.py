"""Nests that run step after step, made by hand: interpreted, as machine code, and as plain Python they are the same."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from autograd_lite.engine.lowering import Step
from autograd_lite.folding.backends import Leaves
from autograd_lite.folding.backends.native import jit, runner
from autograd_lite.folding.nests import (
    PAD,
    Access,
    Fill,
    Input,
    Loop,
    Map,
    Nests,
    Output,
    Pack,
    Product,
    Recurrence,
    Rows,
)
from autograd_lite.folding.nests_interpreter import Interpreter
from autograd_lite.folding.nests_verify import verify

THETA = 16
STEPS = 37


def padded(n):
    return -(-n // PAD) * PAD


def made(nests, theta, out, size, tables=()):
    """Nests of theta alone, whose result starts at `out`."""
    tables = np.concatenate([*tables, np.zeros(PAD)]).astype(np.int32)
    arena = padded(out + size + 4 * PAD) + 4 * PAD
    inputs, names = (Input("theta", 0, len(theta), THETA, False),), {0: "flag", THETA: "theta", out: "out"}
    return Nests(tuple(nests), (), (), arena, 64, (), tables, inputs, (Output(size, out, False),), (0, 0), 0, names)


def in_rows(nests, theta, out, size, x):
    """Nests of theta and an input of rows, which stands behind `out`."""
    place = padded(out + size * 64)
    target = Access(place, (64, 1))
    pack = Pack((x.shape[1], 64), Access(0, (1, x.shape[1]), base=0), target)
    arena = padded(place + x.shape[1] * 64) + 4 * PAD
    inputs = (Input("theta", 0, len(theta), THETA, False), Input("input", 0, x.shape[1], place, True))
    names = {0: "flag", THETA: "theta", out: "out", place: "x"}
    tables, outputs = np.zeros(PAD, np.int32), (Output(size, out, True),)
    return Nests((), (pack, *nests), (), arena, 64, (), tables, inputs, outputs, (0, 0), 0, names)


@pytest.fixture(params=["interpreted", "native"])
def run(request, monkeypatch):
    """run(nests, theta) -> (result, whether it is to be trusted)."""
    if request.param == "native" and jit.why_not():
        pytest.skip(jit.why_not())

    def of(nests, theta, *inputs, dtype=float):
        verify(nests)
        assert str(nests)
        if request.param == "interpreted":
            program = Interpreter(nests, dtype)
        else:
            monkeypatch.setattr(runner, "nests", lambda plan, dtype: nests)
            program = runner.prepare(SimpleNamespace(kept={}, doubt_nan=False), dtype, 1)
        rows = len(inputs[0]) if inputs else None
        found = program(Leaves(theta, np.zeros(0), inputs), rows)[0]
        return found.copy(), program.trusted

    return of


def near(a, b, tolerance=1e-14):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


def numbers(n, seed=0):
    return np.random.default_rng(seed).uniform(-1.0, 1.0, n)


OUT = padded(THETA + STEPS + 2) + PAD


def recurrence(**changes):
    """x = w * tanh(x) + a[t], from theta = (w, x, a[0], ...)."""
    inputs = (Access(THETA, (0,)), Access(THETA + 1, (0,)), Access(THETA + 2, (1,)))
    code = (Step("tanh", (1,)), Step("fma", (0, 3, 2)))
    return replace(Recurrence(STEPS, inputs, code, ((4, Access(OUT, (1,))),), ((1, 4),), watch=(4,)), **changes)


def stepped(theta, order):
    w, x, *a = theta
    found = np.zeros(len(a))
    for t in order:
        found[t] = x = w * np.tanh(x) + a[t]
    return found


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("backward", [False, True])
def test_a_recurrence(run, backward, dtype):
    theta = numbers(STEPS + 2)
    found, trusted = run(made([recurrence(backward=backward)], theta, OUT, STEPS), theta, dtype=dtype)
    order = range(STEPS)[::-1] if backward else range(STEPS)
    near(found, stepped(theta, order), 1e-14 if dtype == np.float64 else 1e-5)
    assert trusted


def test_of_one_step(run):
    theta = numbers(3)
    found, _ = run(made([recurrence(steps=1)], theta, OUT, 1), theta)
    near(found, stepped(theta, range(1)))


def test_what_a_step_wrote_a_later_one_reads_from_memory_or_from_before_it(run):
    """x[t] = a[t] - x[t - 1] / 2 + x[t - 3] / 4: the one before is carried, the third is in memory."""
    theta = numbers(STEPS + 2)
    inputs = (Access(THETA + 2, (1,)), Access(OUT + 2, (0,)), Access(OUT, (1,)))
    code = (Step("fma", (1, -0.5, 0)), Step("fma", (2, 0.25, 3)))
    nest = Recurrence(STEPS, inputs, code, ((4, Access(OUT + 3, (1,))),), ((1, 4),))
    found, _ = run(made([nest], theta, OUT, STEPS + 3), theta)
    x = [0.0, 0.0, 0.0]
    for a in theta[2:]:
        x.append(a - x[-1] / 2 + x[-3] / 4)
    near(found, x)


def test_values_carried_on_twice(run):
    """Fibonacci: what is carried may be what was carried before."""
    theta = np.array([1.0, 1.0, *numbers(STEPS)])
    inputs = (Access(THETA, (0,)), Access(THETA + 1, (0,)))
    nest = Recurrence(STEPS, inputs, (Step("add", (0, 1)),), ((2, Access(OUT, (1,))),), ((0, 1), (1, 2)))
    found, _ = run(made([nest], theta, OUT, STEPS), theta)
    a, b = 1.0, 1.0
    for x in found:
        a, b = b, a + b
        assert x == b


def test_inputs_by_table_and_a_number_that_is_carried(run):
    theta = numbers(STEPS + 2)
    table = np.random.default_rng(1).permutation(STEPS)
    inputs = (Access(THETA + 2, (0,), 0, (1,)), Access(THETA, (0,)))
    nest = Recurrence(STEPS, inputs, (Step("add", (0, 1)),), ((2, Access(OUT, (1,))),), ((1, 3.0),), True)
    found, _ = run(made([nest], theta, OUT, STEPS, [table]), theta)
    near(found, theta[2 + table] + np.array([3.0] * (STEPS - 1) + [theta[0]]))


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("at", [0, STEPS // 2, STEPS - 1])
def test_a_sum_of_one_step_that_is_not_finite_is_seen(run, bad, at):
    theta = numbers(STEPS + 2)
    theta[2 + at] = bad
    _, trusted = run(made([recurrence(code=(Step("tanh", (1,)), Step("fma", (0, 3, 2))))], theta, OUT, STEPS), theta)
    assert not trusted


@pytest.mark.parametrize("first", [True, False])
def test_each_sum_of_a_step_is_watched(run, first):
    """One is infinite on the way, and nothing that is stored shows it."""
    theta = numbers(STEPS + 2)
    theta[0] = 1e308
    code = (Step("fma", (0, 10.0, 1)), Step("add", (1, 2)), Step("div", (1.0, 3)))
    watch = (3, 4) if first else (4, 3)
    nest = recurrence(code=code, outputs=((5, Access(OUT, (1,))),), carried=(), watch=watch)
    found, trusted = run(made([nest], theta, OUT, STEPS), theta)
    assert np.isfinite(found).all()
    assert not trusted


@pytest.mark.parametrize("rows", [1, 5, 64, 131])
@pytest.mark.parametrize("backward", [False, True])
def test_a_recurrence_in_each_row(run, rows, backward):
    theta, x = numbers(2), numbers(rows * STEPS, 1).reshape(rows, STEPS)
    out = padded(THETA + 2) + PAD
    place = padded(out + STEPS * 64)
    inputs = (Access(THETA, (0, 0)), Access(THETA + 1, (0, 0)), Access(place, (64, 1)))
    code = (Step("tanh", (1,)), Step("fma", (0, 3, 2)))
    nest = Recurrence(STEPS, inputs, code, ((4, Access(out, (64, 1))),), ((1, 4),), backward, (4,), True)
    found, trusted = run(in_rows([nest], theta, out, STEPS, x), theta, x)
    order = range(STEPS)[::-1] if backward else range(STEPS)
    near(found.T, [stepped([*theta, *row], order) for row in x])
    assert trusted


@pytest.mark.parametrize("n", [1, 5, 16, 20])
def test_a_loop_of_nests(run, n):
    """A network with a state of n: h = tanh(W h + x[t]); s[t] = the sum of h."""
    theta = numbers(n * n + n + STEPS * n)
    w, h0, x = np.split(theta, [n * n, n * n + n])
    w, x = w.reshape(n, n) / n, x.reshape(STEPS, n)
    theta[: n * n] = w.ravel()
    out = padded(THETA + len(theta)) + PAD
    states = padded(out + STEPS) + PAD
    linear = padded(states + (STEPS + 1) * n) + PAD
    at_w, at_h, at_x = THETA, THETA + n * n, THETA + n * n + n
    turned = linear + padded(n) + PAD
    body = (
        Product(STEPS, 1, n, n, Access(states, (n, 0, 1)), Access(turned, (0, n, 1)), Access(linear, (0, 0, 1)),
                watch=True),
        Map((STEPS, n), (Access(linear, (0, 1)), Access(at_x, (n, 1))), (Step("add", (0, 1)), Step("tanh", (2,))),
            ((3, Access(states + n, (n, 1))),), (2,)),
        Rows((STEPS, 1), (n,), Access(states + n, (n, 0, 1)), None, Access(out, (1, 0)), "terms", watch=True),
    )  # fmt: skip
    before = (
        Pack((n, n), Access(at_w, (1, n)), Access(turned, (n, 1))),
        Pack((n,), Access(at_h, (1,)), Access(states, (1,))),
        Loop(STEPS, body),
    )
    nests = made(before, theta, out, STEPS)
    found, trusted = run(replace(nests, arena=padded(turned + n * n) + 4 * PAD), theta)
    h, want = h0, []
    for row in x:
        h = np.tanh(w @ h + row)
        want.append(h.sum())
    near(found, want, 1e-13)
    assert trusted


def test_a_loop_backward_with_gathers(run):
    """x[t] = p(x[t + 1]) + a[t], where p moves lanes; what is written a step before is filled with 1 first."""
    n = 12
    theta = numbers(STEPS * n)
    out = padded(THETA + len(theta)) + PAD
    table = np.random.default_rng(1).permutation(n)
    moved = padded(out + (STEPS + 1) * n) + PAD
    body = (
        Pack((STEPS, n), Access(out + n, (n, 0), 0, (0, 1)), Access(moved, (0, 1))),
        Map(
            (STEPS, n),
            (Access(moved, (0, 1)), Access(THETA, (n, 1))),
            (Step("add", (0, 1)),),
            ((2, Access(out, (n, 1))),),
        ),
    )
    first = Fill((n,), Access(out + STEPS * n, (1,)), 1.0)
    nests = made([first, Loop(STEPS, body, True)], theta, out, (STEPS + 1) * n, [table, np.zeros(PAD)])
    found, _ = run(replace(nests, arena=padded(moved + n) + 4 * PAD), theta)
    x = [np.ones(n)]
    for row in theta.reshape(STEPS, n)[::-1]:
        x.insert(0, x[0][table] + row)
    near(found, np.concatenate(x))


@pytest.mark.parametrize("n", [1, 8, 20])
def test_each_kind_in_a_loop_is_what_it_is_outside(run, n):
    """Steps that do not depend on each other: the loop of the nests is these nests."""
    theta = numbers(STEPS * n)
    out = padded(THETA + len(theta)) + PAD
    source, target = Access(THETA, (n, 1)), Access(out, (n, 1))
    kinds = [
        Map((STEPS, n), (source,), (Step("exp", (0,)),), ((1, target),)),
        Pack((STEPS, n), source, target),
        Fill((STEPS, n), target, 2.0),
        Rows((STEPS, n), (3,), Access(THETA, (0, 1, n)), source.with_axis(2), target, "lanes", -2.0),
        Rows((STEPS, n), (3,), Access(THETA, (0, 1, n)), None, target, "lanes", combine="max"),
        Product(STEPS, 1, n, 4, Access(THETA, (1, 0, 1)), Access(THETA, (0, n, 1)), Access(out, (n, 0, 1)), 0.5),
    ]
    for kind in kinds:
        plain, _ = run(made([kind], theta, out, STEPS * n), theta)
        looped, _ = run(made([Loop(STEPS, (kind,))], theta, out, STEPS * n), theta)
        assert np.array_equal(plain, looped)


BROKEN = {
    "outside the arena": lambda x: replace(x, inputs=(Access(10**6, (0,)), *x.inputs[1:])),
    "outside the arena at the last step": lambda x: replace(x, inputs=(*x.inputs[:2], Access(OUT, (100,)))),
    "over theta": lambda x: replace(x, outputs=((4, Access(THETA, (1,))),)),
    "a later value": lambda x: replace(x, outputs=((9, Access(OUT, (1,))),)),
    "carried from nowhere": lambda x: replace(x, carried=((1, 9),)),
    "carried to nowhere": lambda x: replace(x, carried=((3, 4),)),
    "carried twice": lambda x: replace(x, carried=((1, 4), (1, 3))),
    "no steps": lambda x: replace(x, steps=0),
    "other axes": lambda x: replace(x, inputs=(Access(THETA, (0, 0)), *x.inputs[1:])),
}


@pytest.mark.parametrize("what", BROKEN)
def test_recurrences_that_are_wrong_are_found(what):
    theta = numbers(STEPS + 2)
    verify(made([recurrence()], theta, OUT, STEPS))
    with pytest.raises(AssertionError):
        verify(made([BROKEN[what](recurrence())], theta, OUT, STEPS))


@pytest.mark.parametrize("inside", [recurrence(), Loop(STEPS, ()), Fill((STEPS + 1, 2), Access(OUT, (0, 1)))])
def test_loops_that_are_wrong_are_found(inside):
    theta = numbers(STEPS + 2)
    with pytest.raises(AssertionError):
        verify(made([Loop(STEPS, (inside,))], theta, OUT, STEPS))
