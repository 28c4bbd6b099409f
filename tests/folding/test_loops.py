"""Loops: steps that repeat are found, and a program that has them gives what the graph gives."""

import gc
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import build, structures
from autograd_lite.folding.backends import numpy_loops
from autograd_lite.folding.loops import Irregular, Outer, components, loop_of
from autograd_lite.folding.repeats import repeats
from autograd_lite.folding.verify import verify
from tests.folding.loop_zoo import FOUND
from tests.helpers.folds import assert_same
from tests.helpers.folds import by_backward as eager
from tests.helpers.parts import first_of

STEPS = 60


@pytest.fixture(autouse=True)
def fresh_cache():
    """Programs of one structure share what was made for them, and these tests change how it is made."""
    structures.cache.known.clear()
    yield
    structures.cache.known.clear()


def fold(root, inputs=(), roll=True, **options):
    """A program, with the thresholds of the tests; or one without loops."""
    with pytest.MonkeyPatch.context() as patch:
        if not roll:
            patch.setattr(build, "LEAST_SAVED", 10**9)
        elif roll != "as it is":
            patch.setattr(build, "LEAST_SAVED", 1)
            patch.setattr(build, "LEAST_STEPS", roll if roll is not True else 4)
        structures.cache.known.clear()
        return ag.fold(root, inputs=inputs, backend="numpy", **options)


def numbers(xs):
    return [numbers(x) if isinstance(x, list) else x.item() for x in xs]


def found(program, inputs=()):
    """Value and gradient at the numbers of the graph."""
    return program.loss_and_grad(program.theta, *map(numbers, inputs))


EXECUTORS = {"floats": 10**9, "calls": 0}
"""What makes every loop, or none, run as Python on floats."""


@pytest.fixture(params=EXECUTORS)
def executor(request, monkeypatch):
    monkeypatch.setattr(numpy_loops, "CALLS_AN_OPERATION", EXECUTORS[request.param])


each_with_loops = pytest.mark.parametrize(
    "make", [make for make, (_, loops) in FOUND.items() if loops], ids=lambda make: make.__name__
)


# --- what is found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=make.__name__, marks=[pytest.mark.slow] * (make.__name__ == "attention_cache"))
        for make in FOUND
    ],
)
def test_the_zoo(make):
    root, inputs = make(STEPS)
    program = fold(root, inputs, "as it is")
    plan = program.plan()
    instructions, loops = FOUND[make]
    assert [(loop.steps, loop.stop - loop.start) for loop in plan.loops] == loops
    assert len(plan.instructions) == instructions or instructions is None
    assert_same(found(program, inputs), eager(root, program.params), 1e-11)
    assert_same(found(program, inputs), found(fold(root, inputs, False), inputs), 1e-11)
    assert ("loop of" in str(program)) == bool(loops)


@each_with_loops
def test_the_zoo_in_each_way_of_running(make, executor):
    root, inputs = make(STEPS // 2)
    program = fold(root, inputs)
    assert program.plan().loops
    assert_same(found(program, inputs), eager(root, program.params), 1e-11)


@each_with_loops
def test_the_careful_plan_has_the_loops_too(make, monkeypatch):
    root, inputs = make(STEPS // 2)
    program = fold(root, inputs)
    want = found(program, inputs)
    program._folded.plan(0, False).doubt_nan = True
    monkeypatch.setattr("autograd_lite.folding.backends.numpy_backend.has_nan", lambda x: True)
    assert_same(found(program, inputs), want, 1e-12)
    assert program._folded.plan(0, True).loops


GROWS = {"thinned", "irregular_obs"}
"""Those in which what hangs on the last steps is more in one than in the other: that stays as it is."""


@pytest.mark.parametrize(
    "make",
    [make for make, (_, loops) in FOUND.items() if loops and make.__name__ not in GROWS],
    ids=lambda make: make.__name__,
)
def test_a_program_does_not_grow_with_its_steps(make):
    sizes = {len(fold(*make(steps), "as it is").plan().instructions) for steps in (STEPS, STEPS + 30)}
    assert len(sizes) == 1


# --- random recurrences -----------------------------------------------------------------------------------

OPERATIONS = {
    "mul": lambda p, q: p * q,
    "add": lambda p, q: p + q * 0.3,
    "sub": lambda p, q: p - q,
    "div": lambda p, q: p / (1.5 + q * q),
    "sin": lambda p, q: ag.sin(p + q),
    "tanh": lambda p, q: ag.tanh(p * 0.5) + 0.1,
    "where": lambda p, q: ag.where(ag.less(p, 0.1), p * 0.5, q + 0.2 * p),
    "max": ag.maximum,
}


def random_recurrence(seed, more=0):
    """States of a few lanes, delays up to three, inputs, constants, branches, products and terms that hang on it."""
    rng = random.Random(seed)
    steps, states, lanes = rng.randint(2, 24) + more, rng.randint(1, 4), rng.choice([1, 1, 2, 3])
    P = [ag.Parameter(rng.uniform(0.2, 0.9)) for _ in range(4)]
    xs = [ag.Value(rng.uniform(-1, 1)) for _ in range(steps + 3)]

    def start():
        return [rng.choice(P) if rng.random() < 0.5 else ag.Parameter(rng.uniform(-0.5, 0.5)) for _ in range(lanes)]

    past = [[start() for _ in range(states)] for _ in range(3)]
    body = [
        (rng.choice([*OPERATIONS, "dot"]), rng.choice(["state", "state", "temporary", "old"]), rng.randrange(states),
         rng.randint(1, 3), rng.choice(["state", "parameter", "temporary", "input", "constant"]), rng.randrange(4),
         rng.randrange(states), rng.random(), rng.randrange(lanes))
        for _ in range(rng.randint(1, 9))
    ]  # fmt: skip
    new = [rng.randrange(len(body)) for _ in range(states)]
    hanging = rng.randrange(len(body)) if rng.random() < 0.6 else None
    every = rng.choice([1, 1, 1, 2, 5])
    loss = 0.0
    for t in range(steps):
        made = []
        for name, first, i, delay, second, j, k, constant, shift in body:
            state = past[-1][i]
            a = {"old": past[-delay][i], "temporary": made[i % len(made)] if made else state}.get(first, state)
            b = {
                "state": past[-1][k], "parameter": [P[j]] * lanes, "input": [xs[t + j % 3]] * lanes,
                "constant": [constant] * lanes, "temporary": made[k % len(made)] if made else [constant] * lanes,
            }[second]  # fmt: skip
            b = b[shift:] + b[:shift]
            if name == "dot":
                made.append([ag.dot(P[:lanes], a) * 0.3 + 0.1 * q for q in b])
            else:
                made.append([OPERATIONS[name](p, q) for p, q in zip(a, b, strict=True)])
        past.append([[ag.tanh(y) for y in made[k]] for k in new])
        if hanging is not None and (t % every == 0 if seed % 7 != 3 else rng.random() < 0.4):
            loss = loss + made[hanging][0] ** 2
    for state in past[-1]:
        loss = loss + state[0] * state[-1]
    return loss, [xs]


@pytest.mark.parametrize("block", first_of(range(10), 3))
def test_random_recurrences(block, executor):
    rolled = 0
    for seed in range(12 * block, 12 * block + 12):
        root, inputs = random_recurrence(seed)
        program = fold(root, inputs, 2 + seed % 3)
        if not program.params:
            continue
        rolled += bool(program.plan().loops)
        want = eager(root, program.params)
        assert_same(found(program, inputs), want)
        assert_same(found(fold(root, inputs, False), inputs), want)
    assert rolled >= 5


@pytest.mark.parametrize("seed", [471, 753])
def test_random_triangles_that_were_wrong(seed, executor):
    """A lane that is there in the first step alone: what stands for it later was taken from the step itself."""
    root, inputs = random_triangle(seed)
    program = fold(root, inputs, 2 + seed % 3)
    assert program.plan().loops
    assert_same(found(program, inputs), eager(root, program.params), 1e-10)


def test_equal_lanes_in_another_order_at_each_step(executor):
    """Four products of which two are the same, three lanes that change places: right, in a loop or not."""
    w = [ag.Parameter(0.3 + 0.1 * k) for k in range(3)]
    state = [ag.Parameter(0.1), ag.Parameter(-0.2), ag.Parameter(0.3)]
    for _ in range(20):
        halves = [0.5 * state[2], 0.5 * state[0], 0.5 * state[0], 0.5 * state[1]]
        state = [ag.tanh(w[k] * halves[k] + ag.sin(halves[k + 1])) for k in range(3)]
    root = state[0] + 2.0 * state[1] * state[2]
    program = fold(root)
    assert_same(found(program), eager(root, program.params))


def test_a_random_recurrence_that_was_wrong(executor):
    root, inputs = random_recurrence(401)
    program = fold(root, inputs, 4)
    assert program.plan().loops
    assert_same(found(program, inputs), eager(root, program.params))


# --- steps that are not alike -----------------------------------------------------------------------------

DIFFERENCES = {
    "another parameter": lambda w, x, t: w[1] if t == 20 else w[0],  # it stays: of a table of lanes
    "a literal in its place": lambda w, x, t: 0.7 if t == 20 else w[0],
    "an operation more": lambda w, x, t: ag.exp(w[0]) if t == 20 else w[0],
    "one step further back": lambda w, x, t: x[-2] if t == 20 else x[-1],
    "two lanes swapped": None,
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_step_that_differs_is_left_out(name):
    w = [ag.Parameter(0.9), ag.Parameter(0.8)]
    a, b = ag.Parameter(0.3), ag.Parameter(0.5)
    xs, ys = [a, a], [b]
    for t in range(40):
        if DIFFERENCES[name] is None:
            p, q = (ys[-1], xs[-1]) if t == 20 else (xs[-1], ys[-1])
            x, y = ag.sin(w[0] * p) + q * q, ag.tanh(w[1] * q + p)
        else:
            x, y = ag.sin(DIFFERENCES[name](w, xs, t) * xs[-1] + 0.1), ag.tanh(w[1] * ys[-1] + xs[-1])
        xs.append(x)
        ys.append(y)
    root = xs[-1] * ys[-1]
    program = fold(root)
    assert_same(found(program), eager(root, program.params))
    plan = program.plan()
    forward = [loop.steps for loop in plan.loops if not loop.backward]
    assert forward
    if name == "another parameter":
        tables = [x for loop in plan.loops for member in loop.members for x in member.reads() if isinstance(x, Outer)]
        assert max(forward) == 40
        assert any(x.table is not None for x in tables)
    else:
        assert max(forward) <= 38


BROKEN = {
    "a table shifted": lambda x: x._replace(base=x.base + 1),
    "another stride": lambda x: x._replace(stride=x.stride + 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_verify_knows_a_wrong_table(name):
    for seed in range(3, 30):
        root, inputs = random_recurrence(seed)
        plan = fold(root, inputs, 2).plan()
        for n, loop in enumerate(plan.loops):
            for m, member in enumerate(loop.members):
                for i, pieces in enumerate(member.operands):
                    if isinstance(pieces[0].of, Outer) and pieces[0].of.stride is not None:
                        wrong = (pieces[0]._replace(of=BROKEN[name](pieces[0].of)), *pieces[1:])
                        operands = (*member.operands[:i], wrong, *member.operands[i + 1 :])
                        changed = member._replace(operands=operands)
                        members = (*loop.members[:m], changed, *loop.members[m + 1 :])
                        verify(plan)
                        plan.loops[n] = replace(loop, members=members)
                        with pytest.raises(AssertionError, match="its steps take other lanes"):
                            verify(plan)
                        return
    raise AssertionError("no member with an operand from outside")


def logistic_map(steps, start=0.3):
    r, x = ag.Parameter(3.6), ag.Parameter(start)
    for _ in range(steps):
        x = r * x * (1 - x)
    return x


def test_lanes_of_two_lengths_are_no_loop():
    root = logistic_map(20)
    plan = fold(root).plan()
    loop = plan.loops[0]
    broken = list(plan.instructions)
    carry = next(k for k in range(loop.start, loop.stop) if type(broken[k]).__name__ == "Carry")
    broken[carry] = replace(broken[carry], steps=7)
    with pytest.raises(Irregular):
        loop_of(broken, loop.start, loop.stop)


def test_short_repetitions_stay_as_they_are():
    """A few equal layers are instructions of their own, the same as without the search."""
    w = [ag.Parameter(0.1 * k) for k in range(16)]
    h = w[:4]
    for _ in range(7):
        h = [ag.tanh(ag.dot(w[4 * k : 4 * k + 4], h)) for k in range(4)]
    root = ag.dot(h, h)
    assert str(fold(root, (), "as it is")) == str(fold(root, (), False))


def test_components_of_a_long_chain():
    count = 200_000
    order = components([[k - 1] if k else [] for k in range(count)], [count - 1])
    assert order == [[k] for k in range(count)]


def test_repeats_do_not_take_forever():
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, 200_000).astype(np.uint64)
    assert repeats(tokens, 8, 500) == []


# --- numbers ----------------------------------------------------------------------------------------------


def test_the_zero_rule(executor):
    """An adjoint of 0, of the branch not taken, meets an infinite slope at every step."""
    w, x = ag.Parameter(1.0), ag.Parameter(0.0)
    for _ in range(20):
        x = ag.where(ag.less(x, 0.5), x + 0.01 * w, ag.sqrt(x - x)) + 0.0 * ag.sqrt(x * 0.0)
    root = x * x
    program = fold(root)
    assert program.plan().loops
    assert_same(found(program), eager(root, program.params))


def test_a_sum_that_overflows_on_the_way(executor):
    """Four terms are beyond the range of floats, all seven are not; nothing that is kept of the step shows it."""
    w, x = ag.Parameter(0.9), ag.Parameter(0.8)
    for _ in range(30):
        large = x * 1.7e308
        x = ag.tanh(w * ag.sum([large, large, large, large, -large, -large, -large]) * 0.7e-308)
    program = fold(x)
    assert program.plan().loops
    assert np.isclose(program(), x.item(), rtol=1e-12)  # without the gradient, where inf * 0 would be noticed
    assert_same(found(program), eager(x, program.params))


def test_where_floats_raise(executor):
    """A pole, a logarithm of 0, an exponential beyond the range: infinities, as in the graph."""
    w, x = ag.Parameter(1.0), ag.Parameter(1.0)
    loss = 0.0
    for _ in range(40):
        x = x - 0.125 * w  # 0 after eight steps, then negative
        loss = loss + ag.tanh(1.0 / x) + ag.exp(-ag.exp(800.0 * x)) + ag.where(ag.greater(x, 0.0), ag.log(x), 0.0)
    program = fold(loss)
    assert program.plan().loops
    value, gradient = found(program)
    want = eager(loss, program.params)
    assert np.isclose(value, want[0], rtol=1e-12)
    assert np.allclose(gradient, want[1], rtol=1e-9, equal_nan=True)


def test_nan_stays_nan(executor):
    w, x = ag.Parameter(1.0), ag.Parameter(float("nan"))
    for _ in range(20):
        x = ag.sin(w * x + 0.1)
    program = fold(x)
    value, gradient = found(program)
    assert np.isnan(value)
    assert np.isnan(gradient).all()


def test_a_primitive_of_the_user_in_the_body(executor):
    twice = ag.primitive("twice_in_a_loop", lambda a: 2.0 * float(a), lambda a: 2.0)
    w, x = ag.Parameter(0.3), ag.Parameter(0.7)
    for _ in range(20):
        x = ag.sin(twice(x) * w)
    program = fold(x)
    assert program.plan().loops
    assert_same(found(program), eager(x, program.params))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dtypes(dtype, executor):
    root = logistic_map(12)
    program = fold(root, dtype=dtype)
    assert program.plan().loops
    assert_same(found(program), eager(root, program.params), 1e-12 if dtype is np.float64 else 1e-3)


# --- whatever programs can do -----------------------------------------------------------------------------


def ode(w, x0, xs):
    x, loss = x0, 0.0
    for target in xs:
        x = x + 0.1 * ag.sin(w[0] * x) + w[1]
        loss = loss + (x - target) ** 2
    return loss


def test_guards_at_every_step():
    def f(x):
        for _ in range(100):
            x = x * 1.01 + 0.01
            if x > 50.0:
                return x * 0.0
        return x

    compiled = ag.compile(f)
    for start in (1.0, 1.5, 40.0, 2.0, 30.0):
        assert np.isclose(compiled(start), f(start), rtol=1e-12)


def test_a_batch():
    w = [ag.Parameter(0.4), ag.Parameter(0.2)]
    f = ag.compile(lambda x0, xs: ode(w, x0, xs), params=w, batch=True, backend="numpy")
    rng = np.random.default_rng(0)
    for rows in (1, 7, 900):
        x0, xs = rng.normal(size=rows), rng.normal(size=(rows, 40))
        value, gradient = f.loss_and_grad(f.theta if rows == 1 else np.array([0.4, 0.2]), x0, xs)
        some = min(rows, 7)
        if rows == some:
            losses = [ode(w, ag.Value(a), b.tolist()) for a, b in zip(x0, xs, strict=True)]
            mean = ag.sum(losses) / rows
            want = eager(mean, w)
            assert_same((value, gradient), want)
    assert "loop of 40 steps" in str(f)


def test_derivatives_in_inputs():
    w = [ag.Parameter(0.4), ag.Parameter(0.2)]
    x0, xs = ag.Value(0.3), [ag.Value(0.01 * k) for k in range(40)]
    root = ode(w, x0, xs)
    program = fold(root, [x0, xs])
    root.backward()
    for argnum, want in ((0, x0.grad), (1, [x.grad for x in xs])):
        value, gradient = program.value_and_grad(0.3, [x.item() for x in xs], argnum=argnum)
        assert np.isclose(value, root.item())
        assert np.allclose(gradient, want, rtol=1e-12)


def test_second_derivatives():
    w = [ag.Parameter(0.4), ag.Parameter(0.2)]
    root = ode(w, 0.3, [0.01 * k for k in range(40)])
    first = ag.gradients(root, w, create_graph=True)
    second = first[0] * 2.0 + first[1]
    program = fold(second)
    assert_same(found(program), eager(second, w), 1e-11)


def observed(theta, data):
    x, loss = theta[0], 0.0
    for target in data:
        x = x + 0.1 * ag.sin(theta[1] * x) + theta[2]
        loss = loss + (x - target) ** 2
    return loss


def volatility(theta, data):
    omega, alpha, beta = theta
    variance, loss = omega / (1 - alpha - beta), 0.0
    for x in data:
        loss = loss + ag.log(variance) + x * x / variance
        variance = omega + alpha * x * x + beta * variance
    return loss


@pytest.mark.parametrize("f", [observed, volatility])
def test_a_hessian_is_made_of_loops(f):
    """The passes back read the steps of the pass forward, which is the shorter loop: it has to be known first."""
    sizes = set()
    for steps in (80, 120):
        data = np.random.default_rng(0).normal(size=steps).tolist()
        hessian = ag.hessian(lambda theta, data=data: f(theta, data))
        compiled = ag.compile(lambda theta, h=hessian: [x for row in h(theta) for x in row], backend="numpy")
        theta = np.array([0.05, 0.1, 0.8])
        assert np.allclose(np.reshape(compiled(theta), (3, 3)), hessian(theta), rtol=1e-11, atol=1e-11)
        plan = compiled.plan(False)
        assert sum(loop.steps >= steps - 6 for loop in plan.loops) >= 8
        sizes.add(len(plan.instructions))
    assert max(sizes) < 270


def test_pickles_and_threads():
    root = logistic_map(50)
    program = fold(root)
    want = found(program)
    again = pickle.loads(pickle.dumps(program))
    assert_same(found(again), want, 0.0)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: found(program), range(40)):
            assert_same(got, want, 0.0)


def test_another_graph_of_the_structure():
    program = fold(logistic_map(50))
    other = logistic_map(50, 0.4)
    again = ag.fold(other, backend="numpy")
    assert again._folded is program._folded
    assert_same(found(again), eager(other, again.params))


def test_an_interrupt_leaves_no_trace(monkeypatch):
    calls = 0

    def interrupting(a):
        nonlocal calls
        calls += 1
        if calls == 77:
            raise KeyboardInterrupt
        return float(a) * 0.5

    halves = ag.primitive("halves_in_a_loop", interrupting, lambda a: 0.5)
    w, x = ag.Parameter(0.3), ag.Parameter(0.7)
    for _ in range(30):
        x = ag.sin(halves(x) + w)
    program = fold(x)
    want = eager(x, program.params)
    with pytest.raises(KeyboardInterrupt):
        [found(program) for _ in range(10)]
    assert_same(found(program), want)


def test_several_results():
    xs, x, w = [], ag.Parameter(0.3), ag.Parameter(0.9)
    for _ in range(30):
        x = ag.sin(w * x) + 0.1
        xs.append(x)
    program = fold(xs)
    assert np.allclose(program(), [x.item() for x in xs], rtol=1e-13)


def test_the_collector_is_held_while_a_graph_is_made_and_folded():
    before = gc.get_threshold()
    seen = []

    def f(x):
        seen.append(gc.get_threshold())
        if x > 2.0:
            raise KeyboardInterrupt
        return x * x

    compiled = ag.compile(f)
    assert compiled(1.5) == 2.25
    with pytest.raises(KeyboardInterrupt):
        compiled(3.0)
    assert {old for *_, old in seen} == {1 << 30}
    assert gc.get_threshold() == before


# --- steps that have fewer and fewer lanes ----------------------------------------------------------------


def american_put(steps, powers=True, american=True, first_down=True):
    """By a binomial tree: each step has a price less than the one before."""
    price, sigma, rate, strike, years = (ag.Parameter(x) for x in (100.0, 0.2, 0.05, 101.0, 1.0))
    h = years / steps
    s = sigma * ag.sqrt(h)
    u = ag.exp(s)
    p = (ag.exp(rate * h) - 1.0 / u) / (u - 1.0 / u)
    q, discount = 1.0 - p, ag.exp(-rate * h)

    def now(n, j):
        return strike - price * (u ** (2.0 * j - n) if powers else ag.exp(s * (2.0 * j - n)))

    v = [ag.maximum(now(steps, j), 0.0) for j in range(steps + 1)]
    for n in range(steps - 1, -1, -1):
        hold = [discount * (p * v[j + 1] + q * v[j] if first_down else q * v[j] + p * v[j + 1]) for j in range(n + 1)]
        v = [ag.maximum(hold[j], now(n, j)) for j in range(n + 1)] if american else hold
    return v[0]


@pytest.mark.parametrize("powers", [True, False])
@pytest.mark.parametrize("american", [True, False])
@pytest.mark.parametrize("first_down", [True, False])
def test_a_tree_of_prices(powers, american, first_down, executor):
    sizes = set()
    for steps in (2, 5, 40, 55):
        root = american_put(steps, powers, american, first_down)
        program = fold(root, (), "as it is")
        assert_same(found(program), eager(root, program.params), 1e-12)
        if steps >= 40:
            sizes.add(len(program.plan().instructions))
            assert all(loop.steps in (steps - 1, steps) for loop in program.plan().loops)
            assert len(program.plan().loops) == 2
    assert len(sizes) == 1
    assert sizes.pop() < 80


def random_triangle(seed):
    """A state whose lanes become fewer from step to step, by one, two or at random; some lanes are not finite."""
    rng = random.Random(seed)
    steps, reach = rng.randint(2, 16), rng.choice([1, 1, 2])
    less = rng.choice([lambda: reach, lambda: reach, lambda: rng.randint(reach, reach + 1)])
    widths = [rng.randint(2, 4)]
    for _ in range(steps):
        widths.insert(0, widths[0] + less())
    P = [ag.Parameter(rng.uniform(0.2, 0.9)) for _ in range(3)]
    xs = [ag.Value(rng.uniform(-1, 1)) for _ in range(max(widths) + steps)]
    state = [ag.tanh(P[0] * x) for x in xs[: widths[0]]]
    if rng.random() < 0.4:
        state[rng.randrange(len(state))] = P[1] * rng.choice([0.0, 1e308, 1.0])
    body = [
        (rng.choice([*OPERATIONS, "log", "sqrt"]), rng.randint(0, reach), rng.choice(["state", "x", "P", "made"]),
         rng.randint(0, reach), rng.randrange(3))
        for _ in range(rng.randint(1, 4))
    ]  # fmt: skip
    backwards, before = rng.random() < 0.5, state
    hanging = rng.random() < 0.3
    loss = 0.0
    for t, width in enumerate(widths[1:]):
        made = []
        for name, i, second, k, which in body:
            row = []
            for lane in range(width):
                a = state[lane + i] if not made or second != "made" else made[-1][lane]
                b = {"state": state[lane + k], "x": xs[t + lane], "P": P[which], "made": state[lane + k]}[second]
                if name == "log":
                    row.append(ag.log(a * a + 0.5) + b)
                elif name == "sqrt":  # an infinite slope where two are equal
                    row.append(ag.sqrt(abs(a - b)) * 0.3)
                else:
                    row.append(OPERATIONS[name](a, b))
            made.append(row)
        before, state = state, [ag.tanh(x) for x in made[-1]]
        if hanging:
            loss = loss + state[-1] ** 2
    for x in reversed(state) if backwards else state:
        loss = loss + x * P[2]
    return loss + before[0] * 0.1, [xs]


@pytest.mark.parametrize("block", first_of(range(8), 2))
def test_random_triangles(block, executor):
    rolled = 0
    for seed in range(15 * block, 15 * block + 15):
        root, inputs = random_triangle(seed)
        program = fold(root, inputs, 2 + seed % 3)
        rolled += bool(program.plan().loops)
        value, gradient = eager(root, program.params)
        got = found(program, inputs)
        assert np.isclose(got[0], value, rtol=1e-12, atol=1e-12, equal_nan=True)
        assert np.allclose(got[1], gradient, rtol=1e-10, atol=1e-10, equal_nan=True), seed
    assert rolled >= 3
