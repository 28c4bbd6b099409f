"""Recurrences on grids: cells that do the same, borders that do not, and what is found of both.

A grid whose border takes a number from outside is found with the cells of a step as one instruction; a border with a
formula of its own is an instruction beside it.
"""

import random

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import build, rolling, shortening
from autograd_lite.folding.backends.native import jit
from tests.folding.test_loops import assert_same, eager, executor, fold, found, fresh_cache

assert executor
assert fresh_cache  # the fixtures


def put(steps, prices=16):
    """An American put by explicit differences; what it is worth at two prices."""
    sigma, rate = ag.Parameter(0.3), ag.Parameter(0.05)
    h = 0.4 / steps / (prices / 10) ** 2
    pay = [max(1.0 - 2.0 * j / prices, 0.0) for j in range(prices + 1)]
    up = [0.5 * h * (sigma * sigma * j * j + rate * j) for j in range(prices)]
    down = [0.5 * h * (sigma * sigma * j * j - rate * j) for j in range(prices)]
    stay = [1.0 - h * (sigma * sigma * j * j + rate) for j in range(prices)]
    v = list(pay)
    for _ in range(steps):
        inner = [ag.max([down[j] * v[j - 1] + stay[j] * v[j] + up[j] * v[j + 1], pay[j]]) for j in range(1, prices)]
        v = [1.0, *inner, 0.0]
    return v[prices // 2] + v[prices // 3], []


def barrier(steps, prices=14):
    """The border is moved: what lies above it at a step is worth nothing, and the rest decays with an input."""
    sigma = ag.Parameter(0.4)
    rates = [ag.Value(0.01 * (t % 5)) for t in range(steps)]
    v = [ag.Parameter(0.1 * j) for j in range(prices)]
    for t in range(steps):
        edge = 6.0 + 4.0 * np.cos(0.1 * t)
        inner = [
            v[j] + 0.1 * sigma * (v[j - 1] - 2.0 * v[j] + v[j + 1]) - rates[t] * v[j] for j in range(1, prices - 1)
        ]
        inner = [ag.where(float(j > edge), 0.0, x) for j, x in enumerate(inner, 1)]
        v = [rates[t] * 0.5, *inner, 0.0]
    return ag.dot(v, v), [rates]


def heat(steps, cells=24):
    """Both ends have the temperature of an input, which changes."""
    k = ag.Parameter(0.2)
    ends = [ag.Value(np.sin(0.3 * t)) for t in range(steps)]
    u = [ag.Parameter(np.sin(0.4 * i)) for i in range(cells)]
    for t in range(steps):
        u = [ends[t]] + [u[i] + k * (u[i - 1] - 2.0 * u[i] + u[i + 1]) for i in range(1, cells - 1)] + [0.5]
    return ag.dot(u, u), [ends]


def insulated(steps, cells=24):
    """Nothing leaves at the ends: they have a formula of their own."""
    k = ag.Parameter(0.2)
    u = [ag.Parameter(np.sin(0.4 * i)) for i in range(cells)]
    for _ in range(steps):
        u = [u[0] + k * (u[1] - u[0]),
             *(u[i] + k * (u[i - 1] - 2.0 * u[i] + u[i + 1]) for i in range(1, cells - 1)),
             u[-1] + k * (u[-2] - u[-1])]  # fmt: skip
    return ag.dot(u, u), []


def wave(steps, cells=24):
    """Each cell takes from two steps back; seen at each step is one of them."""
    speed = ag.Parameter(0.4)
    before = [ag.Parameter(np.sin(0.4 * i)) for i in range(cells)]
    u, loss = list(before), 0.0
    for _ in range(steps):
        new = [2.0 * u[i] - before[i] + speed * speed * (u[i - 1] - 2.0 * u[i] + u[i + 1]) for i in range(1, cells - 1)]
        before, u = u, [0.0, *new, 0.0]
        loss = loss + (u[7] - 0.1) ** 2
    return loss, []


def burgers(steps, cells=24):
    """Upwind differences: which neighbour counts is decided by the sign."""
    nu = ag.Parameter(0.1)
    u = [ag.Parameter(np.cos(0.3 * i)) for i in range(cells)]
    for _ in range(steps):
        slope = [ag.where(ag.greater(u[i], 0.0), u[i] - u[i - 1], u[i + 1] - u[i]) for i in range(1, cells - 1)]
        bend = [u[i - 1] - 2.0 * u[i] + u[i + 1] for i in range(1, cells - 1)]
        u = [0.1] + [u[i + 1] - 0.2 * u[i + 1] * slope[i] + nu * bend[i] for i in range(cells - 2)] + [-0.1]
    return ag.dot(u, u), []


def life(steps, side=7):
    """A game of life that can be differentiated: the sum of up to eight neighbours, fewer at the border."""
    w = [ag.Parameter(0.7), ag.Parameter(-0.3)]
    rng = random.Random(0)
    u = [[ag.Parameter(rng.random()) for _ in range(side)] for _ in range(side)]
    for _ in range(steps):
        u = [[ag.sigmoid(w[0] * ag.sum([u[p][q] for p in range(max(i - 1, 0), min(i + 2, side))
                                        for q in range(max(j - 1, 0), min(j + 2, side)) if (p, q) != (i, j)])
                         + w[1] * u[i][j]) for j in range(side)] for i in range(side)]  # fmt: skip
    return ag.sum([x * x for row in u for x in row]), []


def plate(steps, side=9):
    """Heat in two directions, fixed at the border."""
    k = ag.Parameter(0.1)
    u = [[ag.Parameter(np.sin(i + 2.0 * j)) for j in range(side)] for i in range(side)]
    for _ in range(steps):
        u = [[u[i][j] + k * (u[i - 1][j] + u[i + 1][j] + u[i][j - 1] + u[i][j + 1] - 4.0 * u[i][j])
              if 0 < i < side - 1 and 0 < j < side - 1 else 0.25 for j in range(side)]
             for i in range(side)]  # fmt: skip
    return ag.sum([x * x for row in u for x in row]), []


GRIDS = {put: 24, barrier: 40, heat: 20, insulated: 40, wave: 40, burgers: 40, life: 40, plate: 40}
"""Of each how many instructions its loops have at most, whatever the number of cells."""


@pytest.mark.parametrize("make", GRIDS, ids=lambda make: make.__name__)
def test_a_grid_is_a_loop_of_a_few_instructions(make, executor):
    root, inputs = make(80)
    program = fold(root, inputs, "as it is")
    loops = program.plan().loops
    assert max(loop.steps for loop in loops) >= 40
    assert sum(loop.stop - loop.start for loop in loops) <= GRIDS[make]
    assert_same(found(program, inputs), eager(root, program.params), 1e-11)


@pytest.mark.parametrize("make", GRIDS, ids=lambda make: make.__name__)
def test_a_grid_does_not_grow_with_its_steps(make):
    sizes = {len(fold(*make(steps), "as it is").plan().instructions) for steps in (60, 80)}
    assert len(sizes) == 1


COMBINED = {
    "weighted": lambda w, xs, j: ag.dot([w[(k + j) % 3] for k in range(len(xs))], xs) * 0.4,
    "summed": lambda w, xs, _: ag.tanh(ag.sum(xs) * w[0]),
    "greatest": lambda w, xs, _: ag.max(xs) * w[1],
    "least": lambda w, xs, _: ag.min(xs) + 0.1 * w[0],
    "upwind": lambda w, xs, _: ag.where(ag.greater(xs[0], 0.1), xs[0] * w[0], xs[-1] + w[1]) * 0.5,
    "product": lambda w, xs, _: ag.sin(xs[0] * xs[-1] + w[2]),
}
"""What a cell makes of its neighbours: of equal coefficients, and of some that depend on where it is."""

BORDERS = {
    "a number": lambda w, xs, t, u: 0.3,
    "a parameter": lambda w, xs, t, u: w[1],
    "an input": lambda w, xs, t, u: xs[t],
    "a formula": lambda w, xs, t, u: ag.cos(u) * w[2],
    "itself": lambda w, xs, t, u: u,
}


def random_grid(seed, more=0):
    """A grid of one or two directions, neighbours up to two cells away, borders of each kind, delays up to two."""
    rng = random.Random(seed)
    steps, flat = rng.randint(10, 20) + more, rng.random() < 0.3
    reach, shape = rng.choice([1, 1, 2]), (rng.randint(3, 6), rng.randint(3, 6)) if flat else (rng.randint(4, 16), 1)
    w = [ag.Parameter(rng.uniform(0.2, 0.9)) for _ in range(3)]
    xs = [ag.Value(rng.uniform(-1, 1)) for _ in range(steps)]
    cells = [(i, j) for i in range(shape[0]) for j in range(shape[1])]
    around = [(a, b) for a in range(-reach, reach + 1) for b in (range(-1, 2) if flat else [0])]
    around = [x for x in around if rng.random() < 0.8] or [(0, 0), (1, 0)]
    rng.shuffle(around)
    kind, old = rng.choice(list(COMBINED)), rng.random() < 0.3
    inside = rng.choice(["ring", "fewer", "border"])  # what is beyond the end: the other end, nothing, or a border
    border = rng.choice(list(BORDERS)), rng.choice(list(BORDERS))
    watched = rng.random() < 0.4
    u = {x: rng.choice([ag.Parameter(rng.uniform(-0.5, 0.5)), w[0]]) for x in cells}
    before, loss = u, 0.0
    for t in range(steps):
        new = {}
        for i, j in cells:
            near = [(i + a, j + b) for a, b in around]
            if inside == "ring":
                near = [(a % shape[0], b % shape[1]) for a, b in near]
            elif inside == "fewer":
                near = [x for x in near if x in u] or [(i, j)]
            elif not all(x in u for x in near):
                new[i, j] = BORDERS[border[i > shape[0] // 2]](w, xs, t, u[i, j])
                continue
            value = COMBINED[kind](w, [u[x] for x in near], i)
            new[i, j] = value - 0.2 * before[i, j] if old else value
        before, u = u, new
        if watched:
            loss = loss + (u[cells[len(cells) // 2]] - xs[t]) ** 2
    return loss + ag.sum([x * x for x in u.values()]), [xs]


@pytest.mark.parametrize("block", range(8))
def test_random_grids(block, executor, monkeypatch):
    monkeypatch.setattr(rolling, "CELLS", 12)
    rolled = 0
    for seed in range(6 * block, 6 * block + 6):
        root, inputs = random_grid(seed, 20)
        program = fold(root, inputs, 2 + seed % 3)
        rolled += bool(program.plan().loops)
        assert_same(found(program, inputs), eager(root, program.params))
    assert rolled >= 1


@pytest.mark.skipif(bool(jit.why_not()), reason=jit.why_not())
@pytest.mark.parametrize("block", range(4))
def test_random_grids_as_machine_code(block, monkeypatch):
    monkeypatch.setattr(rolling, "CELLS", 12)
    monkeypatch.setattr(build, "LEAST_SAVED", 1)
    monkeypatch.setattr(build, "LEAST_STEPS", 4)
    for seed in range(100 + 6 * block, 106 + 6 * block):
        root, inputs = random_grid(seed)
        program = ag.fold(root, inputs=inputs, backend="native")
        assert_same(found(program, inputs), eager(root, program.params))


@pytest.mark.parametrize("block", range(4))
def test_a_long_grid_is_what_the_whole_one_gives(block, monkeypatch):
    monkeypatch.setattr(rolling, "CELLS", 12)
    used = 0
    whole = shortening.shortened

    def counting(*args):
        nonlocal used
        got = whole(*args)
        used += got is not None and bool(got.runs)
        return got

    monkeypatch.setattr(build, "shortened", counting)
    monkeypatch.setattr(shortening, "LEAST_UNITS", 0)
    monkeypatch.setattr(shortening, "MARGIN", 8)
    for seed in range(200 + 6 * block, 206 + 6 * block):
        root, inputs = random_grid(seed, 70)
        program = fold(root, inputs, 4)
        assert_same(found(program, inputs), eager(root, program.params))
    assert used >= 1


@pytest.mark.parametrize("kind", ["another number", "an operation more"])
def test_a_step_of_a_grid_that_differs_is_left_out(kind, executor):
    """One cell at one step that takes something else: it is right, and the steps before it or behind are a loop."""
    k, ends = ag.Parameter(0.2), ag.Parameter(0.7)
    u = [ag.Parameter(np.sin(0.4 * i)) for i in range(20)]
    for t in range(60):
        other = list(u)
        if t == 20:
            other[6] = {"another number": 0.25, "an operation more": ag.sin(u[6])}[kind]
        u = [ends] + [u[i] + k * (u[i - 1] - 2.0 * other[i] + u[i + 1]) for i in range(1, 19)] + [0.5]
    root = ag.dot(u, u)
    program = fold(root, (), "as it is")
    assert_same(found(program), eager(root, program.params))
    assert 30 <= max(loop.steps for loop in program.plan().loops) <= 40
