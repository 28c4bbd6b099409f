"""Modes against each other on random programs, and against mpmath on every primitive, to order 4."""

import random
from itertools import product

import numpy as np
import pytest
from mpmath import mp, mpf

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Value, record
from tests.engine.domains import CONSTANT, exact, is_smooth, ordinary_points_of
from tests.helpers.parts import first_of

ROWS = [row for row in TABLE.values() if row.builtin]

# --- every primitive, orders 1 to 4, by mixtures of the modes --------------------------------------------


def forward(f, slot):
    def derivative(*xs):
        return ag.jvp(f, xs, tuple(float(i == slot) for i in range(len(xs))))[1]

    return derivative


def applied(row):
    """The primitive as a function of numbers and Values."""

    def f(*xs):
        if any(isinstance(x, Value) for x in xs):
            return record(row, xs)
        return row.result(xs)

    return f


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_orders_one_to_four_by_both_modes(row):
    for at, point in enumerate(ordinary_points_of(row, 4)):
        n = len(point)
        for order in range(1, 5):
            for number, slots in enumerate(product(range(n), repeat=order)):
                if list(slots) != sorted(slots):
                    continue  # the sequence of the operands is test_table's
                f = applied(row)
                for k, slot in enumerate(slots):
                    f = ag.grad(f, slot) if (at + number + k) % 2 else forward(f, slot)
                orders = tuple(slots.count(i) for i in range(n))
                true = mpf(0) if row.name in CONSTANT else exact(row.name, point, orders)
                lower = max(abs(exact(row.name, point, fewer)) for fewer in product(*(range(k + 1) for k in orders)))
                bound = 1e-9 * abs(true) + 1e-12 * lower
                if not mp.isfinite(bound):
                    continue  # a pole: there is no derivative to compare with
                got = f(*point)
                if not abs(got - true) <= bound:
                    assert not is_smooth(row.name, point, orders), (point, slots, got, true)


# --- random programs ------------------------------------------------------------------------------------

SMOOTH_EVERYWHERE = ["sin", "cos", "tanh", "atan", "sigmoid", "softplus", "silu", "gelu", "erf", "asinh", "log_sigmoid"]


def random_program(seed):
    """A function of four numbers: forty random operations, each on what came before, the sum of the last."""
    rng = random.Random(seed)
    steps = []
    for k in range(40):
        kind = rng.choice(["unary", "unary", "product", "sum", "quotient", "two", "many", "kink"])
        steps.append((kind, rng.randrange(10**6), rng.randrange(10**6), rng.randrange(10**6), rng.uniform(-2, 2), k))

    def f(x):
        pool = list(x)
        for kind, i, j, k, c, _ in steps:
            a, b, d = pool[i % len(pool)], pool[j % len(pool)], pool[k % len(pool)]
            name = SMOOTH_EVERYWHERE[k % len(SMOOTH_EVERYWHERE)]
            if kind == "unary":
                new = getattr(ag, name)(a * c)
            elif kind == "product":
                new = ag.tanh(a) * ag.sin(b)
            elif kind == "sum":
                new = a - c * b
            elif kind == "quotient":
                new = ag.sin(a) / (2.0 + ag.cos(b))
            elif kind == "two":
                new = (ag.logaddexp, ag.hypot, ag.atan2)[k % 3](ag.sin(a), 1.5 + ag.cos(b))
            elif kind == "many":
                new = (ag.logsumexp, ag.mean, ag.norm, ag.prod, ag.softmax)[k % 5]([ag.tanh(a), b * 0.1, ag.cos(d)])
                new = new[0] if isinstance(new, list) else new
            else:
                new = (ag.maximum(a, b), ag.relu(a - c), ag.where(a > b, ag.sin(a), b), abs(a + c))[k % 4]
            pool.append(ag.tanh(new) if k % 3 else new)
        return ag.sum(pool[-6:])

    return f, [rng.uniform(-1.5, 1.5) for _ in range(4)]


@pytest.mark.parametrize("seed", first_of(range(60), 20))
def test_modes_agree_pairwise_on_a_random_program(seed):
    f, x = random_program(seed)
    n = range(len(x))
    unit = [[float(i == j) for j in n] for i in n]

    gradients = {
        "reverse": ag.grad(f)(x),
        "forward": [ag.jvp(f, x, unit[i])[1] for i in n],
        "backward": by_backward(f, x),
        "pulled": ag.vjp(f, x)[1](1.0),
        "forward as a graph": [ag.grad(lambda t, i=i: ag.jvp(f, x, [t * u for u in unit[i]])[1])(0.0) for i in n],
    }
    hessians = {
        "hessian": ag.hessian(f)(x),
        "reverse over reverse": [ag.grad(lambda v, i=i: ag.grad(f)(v)[i])(x) for i in n],
        "forward over reverse": [ag.jvp(ag.grad(f), x, unit[i])[1] for i in n],
        "reverse over forward": [ag.grad(lambda v, i=i: ag.jvp(f, v, unit[i])[1])(x) for i in n],
        "forward over forward": [
            [ag.jvp(lambda v, i=i: ag.jvp(f, v, unit[i])[1], x, unit[j])[1] for j in n] for i in n
        ],
        "products": [ag.hvp(f, x, unit[i]) for i in n],
        "jacobian of the gradient": ag.jacobian(ag.grad(f))(x),
        "sparse": ag.hessian(f, sparse=True)(x).toarray(),
    }
    for answers in (gradients, hessians):
        names = list(answers)
        scale = np.abs(answers[names[0]]).max()
        close = {"rtol": 1e-9, "atol": 1e-11 * max(scale, 1.0)}
        for name in names[1:]:
            np.testing.assert_allclose(answers[name], answers[names[0]], **close, err_msg=f"seed {seed}: {name}")
    table = np.array(hessians["hessian"])
    np.testing.assert_allclose(table, table.T, rtol=1e-9, atol=1e-11 * np.abs(table).max())


def by_backward(f, x):
    leaves = [Value(t) for t in x]
    f(leaves).backward()
    return [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("seed", range(12))
def test_gradients_agree_with_central_differences(seed):
    f, x = random_program(seed)
    report = ag.gradcheck(f, x)
    assert report, report
    report = ag.gradcheck(f, x, order=2)
    assert report, report


def test_gradients_of_an_interior_node_and_of_none():
    x, other = Value(2.0), Value(1.0)
    square = x * x
    y = ag.sin(square) * x
    assert ag.gradients(y, other) == 0.0
    assert ag.gradients(y, [other, x])[0] == 0.0
    assert ag.gradients(y, other, create_graph=True).item() == 0.0
    assert ag.gradients(y, square) == pytest.approx(2.0 * np.cos(4.0))
    assert ag.gradients(x, y) == 0.0
