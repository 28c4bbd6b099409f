"""The parts of a fold, against brute force: index arrays as views, sums as matrix products, lanes that none needs."""

import random
from itertools import product

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding.backends import Leaves
from autograd_lite.folding.backends.numpy_backend import prepare
from autograd_lite.folding.backends.strides import common, cut, pattern, table_view
from autograd_lite.folding.contractions import forms
from autograd_lite.folding.instructions import Builder, Elements, on_lanes
from autograd_lite.folding.plan import plan

# --- index arrays as views ------------------------------------------------------------------------------


def counted(offset, dims):
    """The index array of nested counters, outermost first."""
    index = np.array([offset])
    for size, stride in dims:
        index = (index[:, None] + stride * np.arange(size)).ravel()
    return index


AFFINE = [
    (0, [(1, 0)]), (7, [(12, 1)]), (30, [(12, -2)]), (3, [(9, 0)]), (0, [(3, 10), (4, 1)]), (5, [(3, 0), (8, 1)]),
    (2, [(4, 1), (6, 0)]), (0, [(2, 100), (3, 10), (5, 1)]), (1, [(5, 7)]), (0, [(4, 4), (4, 1)]),
    (9, [(2, -1), (4, 3)]),
]  # fmt: skip


@pytest.mark.parametrize(("offset", "dims"), AFFINE)
def test_an_affine_index_is_a_view(offset, dims):
    index = counted(offset, dims)
    found = pattern(index)
    assert found is not None
    assert counted(*found).tolist() == index.tolist()
    assert len(found[1]) <= len(dims)


def test_what_is_taken_for_a_view_is_one():
    """Indices that are affine but for a place or two, or not at all."""
    rng = random.Random(0)
    views = 0
    for _ in range(2500):
        index = counted(*rng.choice(AFFINE))
        for _ in range(rng.choice([0, 1, 1, 2, 5])):
            index[rng.randrange(len(index))] += rng.choice([-3, -1, 1, 2])
        index = np.resize(index, rng.randint(1, len(index)))
        found = pattern(index)
        if found is not None:
            views += 1
            assert counted(*found).tolist() == index.tolist()
    assert views > 500


def test_short_runs_and_many_axes_are_gathered():
    assert pattern(counted(0, [(20, 9), (2, 1)])) is None  # the loop would cost more than the copy
    assert pattern(counted(0, [(4, 1)])) is not None
    assert pattern(counted(0, [(2, 1000), (2, 200), (2, 40), (4, 1)])) is None


def test_patterns_of_one_length_are_cut_to_one_shape():
    rng = random.Random(1)
    found = 0
    for n in (12, 24, 36):
        known = [p for p in AFFINE if len(counted(*p)) == n] + [(0, [(n, 1)]), (3, [(n, 0)])]
        for a, b in product([(4, 3, 1), (2, 6, 2), (3, 4, 1), (n // 2, 2, 5)], repeat=2):
            patterns = [(rng.randrange(9), [(n // inner, outer), (inner, s)]) for inner, outer, s in (a, b)]
            patterns.append(rng.choice(known))
            shape = common([dims for _, dims in patterns])
            if shape is None:
                continue
            found += 1
            assert int(np.prod(shape)) == n
            for offset, dims in patterns:
                strides = cut(dims, shape)
                assert (
                    counted(offset, list(zip(shape, strides, strict=True))).tolist() == counted(offset, dims).tolist()
                )
    assert found > 20
    assert common([[(2, 5), (3, 1)], [(3, 5), (2, 1)]]) is None


@pytest.mark.parametrize("batch", [(), (3,)])
def test_a_table_that_is_affine_is_a_view(batch):
    array = np.arange(60.0 * int(np.prod(batch, dtype=int))).reshape(60, *batch)
    rng = random.Random(2)
    views = 0
    for _ in range(1200):
        shape = rng.choice([(4,), (1,), (3, 4), (2, 1, 3), (2, 3, 3)])
        strides = [rng.choice([0, 1, 2, 5, 9]) for _ in shape]
        table = np.add.reduce(
            np.meshgrid(*(s * np.arange(n) for n, s in zip(shape, strides, strict=True)), indexing="ij")
        )
        table = np.asarray(table, np.int64) + rng.randrange(5)
        spoiled = rng.random() < 0.5
        if spoiled:
            table[tuple(rng.randrange(n) for n in shape)] += rng.choice([1, 3])
        if table.max() >= 60:
            continue
        view = table_view(array, table)
        assert view is not None or spoiled
        if view is not None:
            views += 1
            assert np.shares_memory(view, array)
            assert np.array_equal(view, array[table])
    assert views > 300
    assert table_view(array, np.zeros((0, 3), np.int64)) is None


# --- sums as matrix products ------------------------------------------------------------------------------


def added(found, left, right, size):
    """The sum that forms stand for, computed form by form."""
    out = np.zeros(size)
    for form in found:
        if form.right is None:
            terms = left[form.left]
        elif form.what == "matmul":
            terms = np.einsum("bhk,bwk->bhw", left[form.left], right[form.right])
        else:
            terms = left[form.left] * right[form.right]
        if form.what == "rows":
            terms = terms.sum(1)
        elif form.what == "segments":
            terms = np.add.reduceat(terms, form.starts)
        assert len(np.unique(form.to)) == form.to.size  # a lane is added to once by each form
        out[form.to] += terms
    return out


def terms_of(kind, rng):
    """(to, left, right) of one kind of sum."""
    n, m, k = rng.randint(1, 5), rng.randint(1, 5), rng.randint(1, 6)
    if kind == "one matrix product":
        terms = [(i * m + j, 40 + i * k + t, j * k + t) for i in range(n) for j in range(m) for t in range(k)]
    elif kind == "blocks":
        terms = [
            ((b * n + i) * m + j, 20 * b + i * k + t, 20 * b + j * k + t)
            for b in range(3) for i in range(n) for j in range(m) for t in range(k)
        ]  # fmt: skip
    elif kind == "blocks of two shapes":
        terms = [(i * 3 + j, i * k + t, j * k + t) for i in range(2) for j in range(3) for t in range(k)]
        terms += [(6 + i * 2 + j, 30 + i * k + t, 30 + j * k + t) for i in range(4) for j in range(2) for t in range(k)]
    elif kind == "nearly a product":
        terms = [(i * m + j, i * k + t, j * k + t) for i in range(n) for j in range(m) for t in range(k)]
        to, left, right = terms[-1]
        terms[-1] = (to, left + rng.choice([0, 1]), right + rng.choice([0, 1]))
        terms += [terms[0]] if rng.random() < 0.3 else []
    elif kind == "ragged":
        terms = [(i, rng.randrange(90), rng.randrange(90)) for i in range(12) for _ in range(rng.randint(1, 9))]
    elif kind == "two lengths":
        terms = [(i, rng.randrange(90), rng.randrange(90)) for i in range(9) for _ in range(2 + 3 * (i % 2))]
    else:
        terms = [(i, rng.randrange(90), rng.randrange(90)) for i in range(7) for _ in range(k)]
    return terms


KINDS = [
    "one matrix product",
    "blocks",
    "blocks of two shapes",
    "nearly a product",
    "ragged",
    "two lengths",
    "anything",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["as recorded", "terms of a lane shuffled", "all shuffled"])
def test_forms_add_up(kind, order):
    rng = random.Random(f"{kind} {order}")
    numbers = np.random.default_rng(0)
    for _ in range(25):
        terms = terms_of(kind, rng)
        if order == "all shuffled":
            rng.shuffle(terms)
        elif order == "terms of a lane shuffled":
            terms.sort(key=lambda term: (term[0], rng.random()))
        to, left, right = np.array(terms).T
        x, y = numbers.normal(size=(2, 200))
        size = int(to.max()) + 1
        for reduces in (False, True):
            exact = np.bincount(to, x[left] * y[right], size)
            assert np.allclose(added(forms(to, left, right, reduces), x, y, size), exact, atol=1e-12)
            exact = np.bincount(to, x[left], size)
            assert np.allclose(added(forms(to, left, None, reduces), x, y, size), exact, atol=1e-12)


@pytest.mark.parametrize("shuffled", [False, True])
def test_products_are_found(shuffled):
    rng = random.Random(3)
    terms = [(i * 5 + j, 40 + i * 6 + t, j * 6 + t) for i in range(4) for j in range(5) for t in range(6)]
    blocks = [(b * 6 + i * 3 + j, 9 * b + i * 3 + t, 9 * b + j * 3 + t)
              for b in range(4) for i in range(2) for j in range(3) for t in range(3)]  # fmt: skip
    for found, shape in ((terms, (1, 4, 5)), (blocks, (4, 2, 3))):
        if shuffled:
            rng.shuffle(found)
        (form,) = forms(*np.array(found).T)
        assert form.what == "matmul"
        assert form.to.shape == shape
    assert list(forms(*np.zeros((3, 0), np.int64))) == []


# --- lanes that nothing needs -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["norm", "max", "prod", "logsumexp", "mean", "sum"])
def test_a_gradient_in_some_of_the_elements(name):
    """Of the adjoints of a sequence some go to the wanted leaves, and the others are not computed."""
    x = [ag.Value(v) for v in (0.5, 1.5, 2.5, -0.5)]
    w = [ag.Parameter(v) for v in (1.0, -2.0, 3.0)]
    mixed = [w[0], x[2], x[0], w[1], 0.25, x[3], w[2], x[1]]
    several = [getattr(ag, name)([ag.tanh(v) if isinstance(v, ag.Value) else v for v in mixed[i:]]) for i in range(5)]
    y = ag.sum([v * v for v in several])
    program = ag.fold(y, params=w, inputs=[x])
    at = [v.item() for v in x]
    assert program(at) == pytest.approx(y.item(), rel=1e-14)
    assert program.loss_and_grad(program.theta, at)[1].tolist() == pytest.approx(ag.gradients(y, w), rel=1e-12)
    assert program.value_and_grad(at)[1].tolist() == pytest.approx(ag.gradients(y, x), rel=1e-12)


def test_a_gradient_in_every_second_leaf_of_a_product():
    x = [ag.Value(0.1 * i + 0.3) for i in range(8)]
    y = ag.sum([ag.tanh(a * b) * (2.0 + i) for i, (a, b) in enumerate(product(x, x))])
    odd = ag.fold(y, inputs=[x[1::2]])
    assert odd.value_and_grad([v.item() for v in x[1::2]])[1].tolist() == pytest.approx(ag.gradients(y, x[1::2]))


def test_rows_of_one_hash_are_told_apart(monkeypatch):
    """Rows of operands are told apart by a weighed sum; where the weights do not do it, none are equal."""
    to, left, right = np.array(
        [(i * 3 + j, i * 2 + t, j * 2 + t) for i in range(2) for j in range(3) for t in range(2)]
    ).T

    class Zeros:
        def integers(self, low, high, size, dtype):
            return np.zeros(size, dtype)

    assert [form.what for form in forms(to, left, right)] == ["matmul"]
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Zeros())
    found = list(forms(to, left, right))
    x, y = np.arange(10.0), np.arange(10.0) ** 2
    assert np.array_equal(added(found, x, y, 6), np.bincount(to, x[left] * y[right], 6))


def test_blocks_of_many_shapes_are_rows():
    terms, lane = [], 0
    for b in range(10):
        for i, j in product(range(b + 1), range(2)):
            terms += [(lane, 2 * (20 * b + i) + t, 4 * b + 2 * j + t) for t in range(2)]
            lane += 1
    to, left, right = np.array(terms).T
    found = list(forms(to, left, right))
    assert [form.what for form in found] == ["rows"]
    x, y = np.random.default_rng(3).normal(size=(2, 500))
    assert np.allclose(added(found, x, y, lane), np.bincount(to, x[left] * y[right], lane), rtol=1e-14)


def test_blocks_that_hang_together_by_a_long_chain_are_rows():
    """Lane i multiplies rows i and i, or i and i + 1: one block, of which few products are there."""
    pairs = [(i, j) for i in range(14) for j in (i, i + 1)]
    to, left, right = np.array([(k, 3 * i + t, 3 * j + t) for k, (i, j) in enumerate(pairs) for t in range(3)]).T
    x, y = np.random.default_rng(2).normal(size=(2, 60))
    found = list(forms(to, left, right))
    assert np.allclose(added(found, x, y, 28), np.bincount(to, x[left] * y[right], 28), rtol=1e-14)


def blocks_and_tangles(rng):
    """Pairs (row, column): full products, with all else that a bipartite graph can be: long chains, trees, cycles,
    ladders, products that lack a pair or have one twice, joined by chance or not.

    "counted": a chain of n rows that leads into a product of p rows and c columns, of which a last row takes all but
    the first. Labels handed on along the chain reach that row last; cut off from the others just before, it leaves
    n + p rows and n columns, with the number of pairs of a full product: 2n - 1 + pc = (n + p)n."""
    pairs, rows, columns = [], 0, 0
    for _ in range(rng.randint(1, 3)):
        kind = rng.choice(
            ["full", "full", "chain", "tree", "cycle", "ladder", "lacking", "twice", "counted", "counted"]
        )
        n, m = rng.randint(1, 9), rng.randint(1, 6)
        if kind in ("full", "lacking", "twice"):
            new = list(product(range(n), range(m)))
            if kind == "lacking" and len(new) > 1:
                new.remove(rng.choice(new))
            elif kind == "twice":
                new[rng.randrange(len(new))] = rng.choice(new)
        elif kind == "chain":
            new = [(i, j) for i in range(n) for j in (i, i + 1)][: rng.randint(1, 2 * n)]
        elif kind == "tree":
            new = [(i, rng.randint(0, i)) for i in range(n)]
        elif kind == "cycle":
            new = [(i, j % n) for i in range(n) for j in (i, i + 1)]
        elif kind == "ladder":
            new = [(i, j) for i in range(n) for j in range(max(0, i - 1), i + 2)]
        else:
            n = rng.randint(2, 6)
            p = rng.choice([d for d in range(1, 26) if (n - 1) ** 2 % d == 0])
            ends = range(n, n - 1 + n + (n - 1) ** 2 // p)
            new = [(i, j) for i in range(n) for j in (i - 1, i) if j >= 0]
            new += [(n + q, j) for q in range(p) for j in (n - 1, *ends)] + [(n + p, j) for j in ends]
        joined = rng.random() < 0.2 and bool(pairs)
        at = (rng.randint(0, rows), rng.randint(0, columns)) if joined else (rows, columns)
        pairs += [(i + at[0], j + at[1]) for i, j in new]
        rows, columns = max(i for i, _ in pairs) + 1, max(j for _, j in pairs) + 1
    if rng.random() < 0.5:
        names, other = list(range(rows)), list(range(columns))
        rng.shuffle(names)
        rng.shuffle(other)
        pairs = [(names[i], other[j]) for i, j in pairs]
        rng.shuffle(pairs)
    return pairs


def test_what_is_taken_for_matrix_products_is_made_of_them():
    """Every lane comes out of one form, with the operands that it has: as integers, so that it is exact."""
    rng = random.Random(0)
    products = 0
    for _ in range(800):
        pairs = blocks_and_tangles(rng)
        k = rng.randint(1, 3)
        terms = [(lane, k * i + t, k * j + t) for lane, (i, j) in enumerate(pairs) for t in range(k)]
        to, left, right = np.array(terms).T
        x, y = np.random.default_rng(rng.randrange(1000)).integers(-(2**20), 2**20, size=(2, 999)).astype(float)
        for reduces in (False, True):
            found = list(forms(to, left, right, reduces))
            assert sorted(np.concatenate([form.to.ravel() for form in found]).tolist()) == list(range(len(pairs)))
            assert min(form.left.min() for form in found) >= 0
            assert np.array_equal(added(found, x, y, len(pairs)), np.bincount(to, x[left] * y[right], len(pairs)))
            products += any(form.what == "matmul" for form in found)
    assert products > 150


def test_a_matrix_factorisation_of_few_entries():
    """A chain of rows and columns that leads into two products; its pieces have the counts of full products."""
    pairs = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)]
    pairs += [(4 + q, v) for q in range(9) for v in (3, 4, 5, 6, 7)] + [(13, v) for v in (4, 5, 6, 7)]
    rng = random.Random(0)
    U, V = ([[ag.Parameter(rng.uniform(-1, 1)) for _ in range(2)] for _ in range(n)] for n in (14, 8))
    params = [x for row in U + V for x in row]
    loss = ag.sum([ag.dot(U[u], V[v]) ** 2 for u, v in pairs])
    value, slopes = ag.fold(loss, params=params).loss_and_grad([p.item() for p in params])
    assert value == pytest.approx(loss.item(), rel=1e-14)
    assert slopes.tolist() == pytest.approx(ag.gradients(loss, params), rel=1e-13)


# --- operands whose patterns do not fit together ----------------------------------------------------------


@pytest.mark.parametrize("batch", [False, True])
def test_runs_that_do_not_nest_are_gathered(batch):
    """Lanes that come in three runs of four meet lanes in two runs of six."""
    rng = np.random.default_rng(0)
    p = [ag.Parameter(v) for v in rng.normal(size=40)]
    threes = [*range(4), *range(10, 14), *range(20, 24)]
    twos = [*range(1, 7), *range(30, 36)]

    def f(x):
        return ag.sum([ag.tanh(ag.atan2(p[i], p[j]) * x) for i, j in zip(threes, twos, strict=True)])

    program = ag.compile(f, params=p, batch=batch)
    value, slopes = program.loss_and_grad(program.theta, np.ones(3) if batch else 1.0)
    expected = f(1.0)
    assert np.isclose(value, expected.item(), rtol=1e-14)
    assert np.allclose(slopes, ag.gradients(expected, p), rtol=1e-13)


RAGGED = {
    "both factors by row": lambda p, q, x: [ag.sin(p[k] * x[j]) for k in range(9) for j in range(k + 1)],
    "one factor by row": lambda p, q, x: [ag.sin(x[j] + sum(p[k] * q[j] for k in range(j, 9))) for j in range(9)],
    "no factor": lambda p, q, x: [ag.sin(x[j] + sum(p[k] for k in range(j, 9))) for j in range(9)],
    "every second element": lambda p, q, x: [
        ag.sin(p[k] * ag.sum(x[k * (k + 1) : (k + 1) * (k + 2) : 2])) for k in range(6)
    ],
}


@pytest.mark.parametrize("special", [0.5, np.inf])
@pytest.mark.parametrize("kind", RAGGED)
def test_ragged_gradients_over_a_batch(kind, special):
    """Parameter k is used k + 1 times: its gradient is a sum of k + 1 products, each over all the rows."""
    p, q = ([ag.Parameter(c * (k - 3)) for k in range(9)] for c in (0.1, 0.3))

    def f(x):
        return ag.sum(RAGGED[kind](p, q, x))

    rows = np.random.default_rng(1).normal(size=(4, 42))
    rows[2, 3] = special
    program = ag.compile(f, params=[*p, *q], batch=True)
    value, slopes = program.loss_and_grad(program.theta, rows)
    outs = [f([ag.Value(v) for v in row]) for row in rows.tolist()]
    assert np.allclose(value, np.mean([out.item() for out in outs]), rtol=1e-14, equal_nan=True)
    expected = np.array([ag.gradients(out, [*p, *q]) for out in outs]).mean(0)
    assert np.allclose(slopes, expected, rtol=1e-13, equal_nan=True)


# --- rules of sequences -----------------------------------------------------------------------------------


RULES = [
    "sum([1.5 - x for x in xs])", "sum([x - max(xs) for x in xs])", "-sum(xs)", "2 + min(xs)", "sum(xs) - 1",
    "sum([3 / x for x in xs])", "sum([x / norm(xs) for x in xs])", "sum([2 * x for x in xs]) * 3",
    "sum([-x * x for x in xs])",
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_of_a_sequence_on_lanes(rule):
    """Everything that the language has between numbers, it has between lanes."""
    groups = [[0.5], [-1.0, 2.0, 4.0], [3.0, -0.25]]
    builder = Builder()
    elements = Elements(builder, builder.leaf("theta", 6, False), np.array([1, 3, 2]))
    found = on_lanes(rule, ("xs",))(elements)
    (out,) = prepare(plan(builder.instructions, [found.ref]))(Leaves(np.concatenate(groups), np.empty(0)), None)
    norm = lambda xs: sum(x * x for x in xs) ** 0.5  # noqa: E731
    expected = [eval(rule, {"norm": norm, "xs": xs}) for xs in groups]
    assert np.allclose(out, expected, rtol=1e-15)
