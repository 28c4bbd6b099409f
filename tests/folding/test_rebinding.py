"""Folding a graph of a known structure again: recognised without a new fold, and never taken for another."""

import math
import random
from itertools import pairwise

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import structures
from tests.helpers.folds import close, same


@pytest.fixture(autouse=True)
def _nothing_known():
    structures.cache.known.clear()


def scanned(monkeypatch):
    """Counts how often a graph was read in full."""
    count = []
    real = structures.Scan
    monkeypatch.setattr(structures, "Scan", lambda *args, **more: count.append(1) or real(*args, **more))
    return count


def mlp_loss(model, points):
    return ag.sum([(model(x) - y) ** 2 for x, y in points]) + 0.01 * ag.norm(model.parameters())


def test_another_minibatch_is_only_bound(monkeypatch):
    model = ag.MLP(2, [4, 1], activation="tanh", seed=3)
    rng = np.random.default_rng(0)
    count = scanned(monkeypatch)
    for _ in range(4):
        points = list(zip(rng.normal(size=(5, 2)).tolist(), rng.normal(size=5).tolist(), strict=True))
        loss = mlp_loss(model, points)
        program = ag.fold(loss, params=model.parameters())
        assert close(program(), loss.item())
        assert close(program.loss_and_grad(program.theta)[1], ag.gradients(loss, model.parameters()), scale=10.0)
    assert len(count) == 1


def test_other_parameters_and_values_are_bound(monkeypatch):
    count = scanned(monkeypatch)
    for seed in range(3):
        model = ag.MLP(2, [3, 1], activation="relu", seed=seed)
        x = [ag.Value(0.3 * seed), ag.Value(-1.0 + seed)]
        loss = (model(x) - 2.0) ** 2
        for params in (None, model.parameters()):
            program = ag.fold(loss, params=params, inputs=[x])
            assert set(program.params) == set(model.parameters())
            assert close(program([v.item() for v in x]), loss.item())
    assert len(count) == 2  # once with params=None, once with params


def build(kind):
    """Graphs that are alike but for one thing."""
    a, b, c = ag.Parameter(0.5), ag.Parameter(-1.5), ag.Parameter(2.5)
    one, two = 1.25, 0.75
    if kind == "plain":
        out = ag.tanh(a * b + one) * ag.tanh(b * c + two)
    elif kind == "wired otherwise":
        out = ag.tanh(a * b + one) * ag.tanh(c * b + two)
    elif kind == "another operand":
        out = ag.tanh(a * b + one) * ag.tanh(b * a + two) + 0.0 * c
    elif kind == "another primitive":
        out = ag.tanh(a * b + one) * ag.sin(b * c + two)
    elif kind == "a constant for a parameter":
        out = ag.tanh(a * b + one) * ag.tanh(b * ag.Value(2.5) + two)
    elif kind == "a literal for a parameter":
        out = ag.tanh(a * b + one) * ag.tanh(b * 2.5 + two)
    elif kind == "one literal":
        out = ag.tanh(a * b + one) * ag.tanh(b * c + one)
    elif kind == "a zero":
        out = ag.tanh(a * b + one) * ag.tanh(b * c + 0.0)
    elif kind == "a parameter for a literal":
        out = ag.tanh(a * b + c) * ag.tanh(b * c + two)
    elif kind == "shared":
        h = ag.tanh(a * b + one)
        out = h * h + 0.0 * c
    else:
        out = ag.tanh(a * b + one) ** (2.0 if kind == "square" else 3.0) * ag.tanh(b * c + two)
    return out, [a, b, c]


KINDS = [
    "plain", "wired otherwise", "another operand", "another primitive", "a constant for a parameter", "shared",
    "a literal for a parameter", "one literal", "a zero", "a parameter for a literal", "square", "cube",
]  # fmt: skip


@pytest.mark.parametrize("first", KINDS)
def test_graphs_that_differ_in_one_thing_are_not_confused(first):
    same(*build(first))
    for kind in KINDS:
        root, leaves = build(kind)
        same(root, leaves)
        assert close(ag.fold(root)(), root.item())


def test_tuples_of_other_lengths_and_elements():
    w = [ag.Parameter(0.1 * k - 0.3) for k in range(6)]
    for members in ([0, 1, 2], [0, 1, 2, 3], [0, 1], [2, 1, 0], [0, 0, 1], [0, 1, 2], [3, 4, 5]):
        for f in (ag.max, ag.norm, ag.logsumexp, ag.prod, ag.sum):
            same(f([ag.sin(w[k]) for k in members]) * 2.0, w)
        others = [w[5 - k] for k in members]
        same(ag.dot([w[k] for k in members], others, bias=w[members[0]]), w)
        same(ag.where(w[members[0]], w[members[1]], w[members[-1]]) + 1.0, w)


def test_the_graph_of_a_gradient_is_bound_too(monkeypatch):
    count = scanned(monkeypatch)
    for k in range(3):
        w = [ag.Parameter(0.3 * k + 0.1 * i) for i in range(5)]
        loss = ag.sum([ag.exp(a * b) for a, b in pairwise(w)])
        slopes = ag.gradients(loss, w, create_graph=True)
        same(ag.dot(slopes, slopes), w)
    assert len(count) == 1


def test_several_results_in_another_order():
    x = ag.Parameter(0.7)
    y, z = ag.sin(x), ag.cos(x)
    assert ag.fold([y, z])() == pytest.approx([math.sin(0.7), math.cos(0.7)])
    assert ag.fold([z, y])() == pytest.approx([math.cos(0.7), math.sin(0.7)])
    assert ag.fold([y, y])() == pytest.approx([math.sin(0.7)] * 2)
    u = ag.sin(x)
    assert ag.fold([u, y])() == pytest.approx([math.sin(0.7)] * 2)


def test_a_leaf_that_turns_into_an_operation():
    w = ag.Parameter(0.5)
    inner = ag.Value(0.25)
    same(ag.tanh(w * inner), [w])
    same(ag.tanh(w * (inner + 1.0)), [w])
    same(ag.tanh(w * w), [w])
    same(w * 1.0, [w])


def test_labels_that_are_one_object_in_other_examples(monkeypatch):
    """As in `1.0 if ... else -1.0`: after two minibatches it is known which literals are one by chance."""
    model = ag.MLP(2, [3, 1], activation="tanh", seed=3)
    rng = np.random.default_rng(0)
    count = scanned(monkeypatch)
    made = []
    for _ in range(6):
        X = rng.normal(size=(8, 2)).tolist()
        labels = [1.0 if rng.random() < 0.5 else -1.0 for _ in X]
        loss = ag.sum([ag.relu(1.0 - y * model(x)) for x, y in zip(X, labels, strict=True)])
        same(loss, model.parameters())
        made.append(ag.fold(loss, params=model.parameters())._folded)
    assert len(count) <= 4
    assert made[1] is made[2] is made[3] is made[4] is made[5]
    assert len(structures.cache.known) == 1


def test_a_literal_that_goes_to_every_neuron_stays_one():
    model = ag.MLP(2, [4, 1], activation="tanh", seed=3)
    rng = np.random.default_rng(0)
    for _ in range(3):
        X = rng.normal(size=(8, 2)).tolist()
        program = ag.fold(ag.sum([1.0 * model(x) * (1.0 if x[0] > 0 else -1.0) for x in X]), params=model.parameters())
    assert "matmul" in str(program)


ALIKE = {
    "the right operand": (lambda x: x[0] / x[1], lambda x: x[0] / x[2]),
    "the left operand": (lambda x: x[1] / x[0], lambda x: x[2] / x[0]),
    "an element": (lambda x: ag.max([x[0], x[1], -3.0]), lambda x: ag.max([x[2], x[1], -3.0])),
    "the operand of one": (lambda x: ag.sin(x[0]), lambda x: ag.sin(x[1])),
    "which sum a term is in": (
        lambda x: (x[0] + x[1] + x[2]) * (x[0] + x[1]), lambda x: (x[0] + x[1] + x[1]) * (x[0] + x[2])
    ),
    "a product in a sum": (lambda x: x[0] * x[1] + x[2] * x[2], lambda x: x[0] * x[2] + x[2] * x[1]),
}  # fmt: skip


@pytest.mark.parametrize("what", ALIKE)
def test_graphs_that_differ_in_one_place_alone(what):
    """The second of two graphs of one size and one set of operations is not taken for the first."""
    numbers = [0.3, -1.2, 0.8]
    for f in (*ALIKE[what], *ALIKE[what]):
        x = [ag.Parameter(v) for v in numbers]
        same = ag.atan2(ag.atan2(x[0], x[1]), x[2])  # it meets the leaves in their order
        for roots in ([same * f(x)], [same, f(x)], [f(x) + same, f(x)]):
            program = ag.fold(roots, params=x)
            assert program() == pytest.approx([y.item() for y in roots], rel=1e-15)
        root = same * f(x)
        slopes = ag.fold(root, params=x).loss_and_grad(numbers)[1]
        assert slopes.tolist() == pytest.approx(ag.gradients(root, x), rel=1e-14)


def related(rng, leaves):
    """A graph with few operations over few leaves, so that others of its shape, merged or not, are likely."""
    pool = [rng.choice(leaves) for _ in range(rng.randint(1, 3))]
    for _ in range(rng.randint(1, 3)):
        a, b, c = rng.choice(pool), rng.choice(pool), rng.choice(pool)
        kind = rng.choice(["mul", "add", "sub", "sin", "scaled", "dot", "max", "where", "square"])
        pool.append(
            a * b if kind == "mul" else a + b if kind == "add" else a - b if kind == "sub"
            else ag.sin(a) if kind == "sin" else rng.choice([0.5, 0.0, 2.0]) * a if kind == "scaled"
            else ag.dot([a, b], [b, c]) if kind == "dot" else ag.max([a, b, 0.25]) if kind == "max"
            else ag.where(a, b, c) if kind == "where" else a ** rng.choice([2.0, 3.0])
        )  # fmt: skip
    return pool[-1] * pool[-2] if rng.random() < 0.5 else pool[-1]


@pytest.mark.parametrize(("folds", "least"), [(120, 9), pytest.param(500, 60, marks=pytest.mark.slow)])
def test_a_fold_does_not_depend_on_what_was_folded_before(monkeypatch, folds, least):
    """Graphs of few shapes in random order, each also with an empty cache: the same parameters and numbers."""
    monkeypatch.setattr(structures.cache, "most", 1000)
    monkeypatch.setattr(structures.cache, "tries", 40)
    rng = random.Random(0)
    leaves = [ag.Parameter(v) for v in (2.0, 3.0, 5.0)] + [ag.Value(v) for v in (0.0, 7.0)]
    known = structures.cache.known
    reused = 0
    for _ in range(folds):
        root = related(rng, leaves)
        params = None if rng.random() < 0.7 else [x for x in leaves[:3] if rng.random() < 0.7] or None
        inputs = None if rng.random() < 0.7 else [[leaves[4]]]
        before = dict(known)
        program = ag.fold(root, params=params, inputs=inputs)
        reused += any(program._folded is found[0] for found in before.values())
        after = dict(known)
        known.clear()
        fresh = ag.fold(root, params=params, inputs=inputs)
        known.clear()
        known.update(after)
        assert list(map(id, program.params)) == list(map(id, fresh.params))
        args = [[7.0]] if inputs else []
        assert program(*args) == fresh(*args)
        if fresh.params:
            (value, slopes), (expected, others) = (p.loss_and_grad(p.theta, *args) for p in (program, fresh))
            assert value == expected
            assert slopes.tolist() == pytest.approx(others.tolist(), rel=1e-15, nan_ok=True)
            assert slopes.tolist() == pytest.approx(ag.gradients(root, program.params), rel=1e-12, abs=1e-12)
        if inputs:
            (value, slope), (expected, other) = (p.value_and_grad(*args) for p in (program, fresh))
            assert (value, slope.tolist()) == (expected, other.tolist())
    assert reused > least


def test_a_leaf_in_the_places_of_two():
    a, b, c = (ag.Parameter(v) for v in (2.0, 3.0, 5.0))
    ag.fold(a * b)
    program = ag.fold(c * c)
    assert program.params == [c]
    assert program.loss_and_grad([5.0])[1].tolist() == [10.0]
    s = ag.sin(a)
    ag.fold(ag.sin(b) * ag.sin(b))
    same(s * s, [a])
