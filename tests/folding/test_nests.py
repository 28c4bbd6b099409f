"""Nests: what a plan is made into computes the same as the reference, keeps inside its arena, and grows linearly."""

import time
from dataclasses import replace

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import build, structures
from autograd_lite.folding.backends import numpy_backend
from autograd_lite.folding.nesting import nests
from autograd_lite.folding.nests import Map, Pack, Product, PythonStep, Rows, Terms
from autograd_lite.folding.nests_interpreter import Interpreter
from autograd_lite.folding.nests_verify import verify
from autograd_lite.folding.structures import Cache


@pytest.fixture
def shadowed(monkeypatch):
    """Every fast plan that the reference runs is interpreted as nests too, and compared; the nests that were made."""
    made = []

    class Shadowed(numpy_backend.Runner):
        def __init__(self, plan, dtype):
            super().__init__(plan, dtype)
            self.shadow = None
            if not plan.safe:
                made.append(nests(plan, dtype))
                verify(made[-1])
                assert str(made[-1])
                self.shadow = Interpreter(made[-1], dtype)

        def __call__(self, leaves, rows, means=0):
            outputs = super().__call__(leaves, rows, means)
            if self.shadow is not None:
                found = self.shadow(leaves, rows, means)
                assert self.shadow.trusted
                for x, y in zip(outputs, found, strict=True):
                    assert x.shape == y.shape
                    np.testing.assert_allclose(y, x, rtol=1e-11, atol=1e-11 * np.abs(x).max(initial=1e-300))
            return outputs

    monkeypatch.setattr(numpy_backend, "Runner", Shadowed)
    monkeypatch.setattr("autograd_lite.folding.program.cache", Cache())  # structures that have no runners yet
    return made


def parameters(n):
    return [ag.Parameter(float(x)) for x in np.random.default_rng(3).uniform(-1.0, 1.0, n)]


def kinds(made):
    """The types of nests in each stage."""
    return [{type(x) for x in part} for n in made for part in (n.prologue, n.body, n.epilogue)]


W = parameters(60)
RAGGED = [1, 5, 2, 9, 3, 7, 4]

PROGRAMS = {
    "elementwise": lambda: ag.sum([ag.exp(-x * x) + ag.tanh(x) / (1.5 + x) for x in W]),
    "dot": lambda: ag.dot(W[:30], W[30:]),
    "layer": lambda: ag.sum([ag.tanh(ag.dot(W[7 * i : 7 * i + 7], W[:7]) + W[i]) for i in range(8)]),
    "matrix product": lambda: ag.sum(
        [ag.tanh(ag.dot(W[5 * i : 5 * i + 5], W[25 + 5 * j : 30 + 5 * j])) for i in range(5) for j in range(7)]
    ),
    "ragged": lambda: ag.sum([ag.exp(ag.sum(W[i : i + n])) for i, n in enumerate(RAGGED)]),
    "ragged products": lambda: ag.sum([ag.exp(ag.dot(W[i : i + n], W[9 : 9 + n])) for i, n in enumerate(RAGGED)]),
    "ragged max": lambda: ag.sum([ag.max(W[i : i + n]) * W[i] for i, n in enumerate(RAGGED)]),
    "max": lambda: ag.max(W) * ag.min(W[:20]),
    "norm": lambda: ag.norm(W) * ag.norm(W[:3]),
    "ragged norm": lambda: ag.sum([ag.norm(W[i : i + n]) for i, n in enumerate(RAGGED)]),
    "logsumexp": lambda: ag.logsumexp(W) + ag.sum([ag.logsumexp(W[i : i + n]) for i, n in enumerate(RAGGED)]),
    "mean": lambda: ag.mean(W) * ag.mean(W[:7]),
    "prod": lambda: ag.prod(W[:5]),
    "gather": lambda: ag.sum([ag.exp(W[i * i % 60]) * W[i] for i in range(60)]),
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_nests_compute_what_the_reference_does(shadowed, what):
    program = ag.fold(PROGRAMS[what](), params=W, backend="numpy")
    program()
    program.loss_and_grad(program.theta)
    assert len(shadowed) == 2


def rows_of(kind):
    """A function of a row of 12 numbers, of W."""
    return {
        "layer": lambda x: ag.sum([ag.tanh(ag.dot(W[12 * i : 12 * i + 12], x)) for i in range(4)]),
        "wide": lambda x: ag.sum([ag.tanh(x[i % 12] * W[i] + W[0]) for i in range(40)]),
        "softmax": lambda x: ag.logsumexp([a * b for a, b in zip(W, x, strict=False)]) - x[0] * W[0],
        "ragged": lambda x: ag.sum([ag.exp(ag.sum(x[i : i + n]) * W[i]) for i, n in enumerate([1, 5, 2, 9, 3, 7, 4])]),
        "products in rows": lambda x: ag.sum(
            [ag.tanh(ag.dot(x[3 * i : 3 * i + 3], [W[k] * x[k] for k in range(3 * j, 3 * j + 3)])) for i in range(4)
             for j in range(4)]
        ),
        "norm": lambda x: ag.norm([a * b for a, b in zip(W, x, strict=False)]),
        "max": lambda x: ag.max([a * b for a, b in zip(W, x, strict=False)]),
    }[kind]  # fmt: skip


@pytest.mark.parametrize("rows", [1, 64, 130, 4500])
@pytest.mark.parametrize("kind", ["layer", "wide", "softmax", "ragged", "products in rows", "norm", "max"])
def test_and_in_a_batch(shadowed, kind, rows):
    program = ag.compile(rows_of(kind), params=W, batch=True, backend="numpy")
    data = np.random.default_rng(1).uniform(-1.0, 1.0, (rows, 12))
    program(data)
    program.loss_and_grad(program.theta, data)
    program.value_and_grad(data)
    program.rows_and_grad(program.theta, data)
    assert len(shadowed) >= 3


def test_each_kind_of_nest_is_made(shadowed):
    for what in PROGRAMS:
        program = ag.fold(PROGRAMS[what](), params=W, backend="numpy")
        program.loss_and_grad(program.theta)
    assert set().union(*kinds(shadowed)) >= {Map, Product, Rows, Terms, Pack}


def test_a_large_product_is_a_step_in_python(monkeypatch, shadowed):
    from autograd_lite.folding import nested_sums

    monkeypatch.setattr(nested_sums, "LARGE", 100)
    program = ag.fold(PROGRAMS["matrix product"](), params=W, backend="numpy")
    program.loss_and_grad(program.theta)
    assert PythonStep in set().union(*kinds(shadowed))


def test_a_bias_shares_the_loop_of_the_activation():
    made = nests(ag.fold(PROGRAMS["layer"](), params=W).plan(gradient=False))
    loops = [x for x in made.prologue if isinstance(x, Map)]
    assert any({step.name for step in x.code} >= {"add", "tanh"} for x in loops)


def recurrence(steps):
    """The plan of a recurrence that is not rolled into a loop."""
    w, y = ag.Parameter(0.9), ag.Parameter(0.5)
    for _ in range(steps):
        y = ag.tanh(w * y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "LEAST_SAVED", 10**9)
        structures.cache.known.clear()
        plan = ag.fold(y).plan()
    structures.cache.known.clear()
    return plan


def test_a_long_recurrence_is_made_into_nests_quickly():
    plan = recurrence(1000)
    start = time.process_time()
    made = nests(plan)
    assert len(plan.instructions) >= 5000
    assert time.process_time() - start < 1.5  # 0.13 s alone
    assert len(made.prologue) < 300
    verify(made)


def changed(made, kind, **changes):
    nest = next(x for x in made.prologue if type(x) is kind)
    return replace(made, prologue=tuple(replace(x, **changes) if x is nest else x for x in made.prologue))


def outside(access):
    return replace(access, offset=10**6)


BROKEN = {
    "outside the arena": lambda n, x: changed(n, Map, inputs=(outside(x.inputs[0]), *x.inputs[1:])),
    "over the flag": lambda n, x: changed(n, Map, outputs=((0, replace(x.outputs[0][1], offset=n.flag)),)),
    "a later value": lambda n, x: changed(n, Map, outputs=((999, x.outputs[0][1]),)),
    "other axes": lambda n, x: changed(n, Map, axes=(*x.axes, 2)),
    "a table": lambda n, x: replace(n, tables=n.tables.astype(np.int64)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_nests_that_are_wrong_are_found(what):
    made = nests(ag.fold(PROGRAMS["elementwise"](), params=W).plan())
    verify(made)
    first = next(x for x in made.prologue if isinstance(x, Map))
    with pytest.raises(AssertionError):
        verify(BROKEN[what](made, first))
