"""A function for which compiling does not pay runs as it would uncompiled, says so once, and costs no more."""

import random
import sys
import warnings
from contextlib import contextmanager

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.trees import flatten
from tests.helpers.threads import in_threads

pytestmark = pytest.mark.filterwarnings("error")


def branches(w=1.0):
    def f(x):
        s = 0.0
        for v in x:
            s = s + v * v * w if v > 0 else s - ag.sin(v)
        return s

    return f


def points(n, length=12, seed=0):
    rng = random.Random(seed)
    return [[rng.gauss(0, 1) for _ in range(length)] for _ in range(n)]


@contextmanager
def a_word(about):
    """One warning, at a line of this file, says so."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield
    (warning,) = found
    assert issubclass(warning.category, RuntimeWarning)
    assert warning.filename == __file__
    assert about in str(warning.message)


def given_up(program, calls, about="another way"):
    """Calls that make the program give up, and say so once."""
    with a_word(about):
        for args in calls:
            program(*args)
    assert "runs uncompiled" in repr(program)


def test_many_branches_at_random():
    """300 calls: one trace, and a word; the same results all the way."""
    f, w = branches(), ag.Parameter(2.0)
    program = ag.compile(f)
    given_up(program, [(x,) for x in points(300)], "choose with ag.where")
    assert sum(map(len, program._programs.values())) == 1
    expected = ag.value_and_grad(f)
    for x in points(20, seed=1):
        value, gradient = program.value_and_grad(x)
        assert (value, gradient.tolist()) == expected(x)
        assert program(x) == value
        assert program(np.array(x)) == value
        assert ag.grad(program)(x) == gradient.tolist()
        assert program.value_and_grad(x, argnums=(0,))[1][0].tolist() == gradient.tolist()
    model = ag.compile(branches(w))
    with a_word("another way"):
        for x in points(60):
            value, gradient = model.loss_and_grad(np.array([3.0]), x)
    positive = sum(v * v for v in x if v > 0)
    assert (value, gradient.tolist()) == (pytest.approx(branches(3.0)([ag.Value(v) for v in x]).item()), [positive])
    assert w.data == 2.0
    for x in points(10, seed=2):
        positive = sum(v * v for v in x if v > 0)
        assert model.loss_and_grad(np.array([3.0]), x)[1] == pytest.approx([positive])
        assert model.loss_and_grad([3.0], x)[0] == pytest.approx(
            model.loss_and_grad(np.array([0.0]), x)[0] + 3 * positive
        )
        assert model.backward(x) == pytest.approx(model(x))
    with pytest.raises(ValueError, match="theta: expected a vector of 1 numbers"):
        model.loss_and_grad([1.0, 2.0], points(1)[0])
    assert w.data == 2.0


def lines(use, x):
    """Lines of Python that a call runs: what it costs, whatever else the machine does."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        use(x)
    finally:
        sys.settrace(before)
    return count


def test_it_costs_what_it_costs_uncompiled():
    """A fixed number of lines more per call, however long the function: at most 5% (benchmarks/derivatives.py)."""
    f, w, theta = branches(), [ag.Parameter(0.5), ag.Parameter(1.5)], np.array([0.5, 1.5])
    slope = ag.value_and_grad(f)

    def by_hand(x):
        loss = branches(w[0])([ag.Value(v) for v in x]) * w[1]
        return loss.item(), np.array(ag.gradients(loss, w))

    more = {}
    for length in (12, 120):
        xs = points(400, length)
        program, model = ag.compile(f), ag.compile(lambda x: branches(w[0])(x) * w[1])
        for made in (program, model):
            given_up(made, [(x,) for x in xs])
        for name, compiled, eager in (
            ("call", program, lambda x: f([ag.Value(v) for v in x]).item()),
            ("value_and_grad", program.value_and_grad, slope),
            ("loss_and_grad", lambda x, model=model: model.loss_and_grad(theta, x), by_hand),
        ):
            compiled(xs[0]), eager(xs[0])
            more.setdefault(name, []).append(lines(compiled, xs[0]) - lines(eager, xs[0]))
    for name, (short, long) in more.items():
        assert short < 250, (name, more)
        assert long < short + 250, (name, more)


def test_few_branches_are_traced_as_they_come():
    def f(x):
        y = x[0] * 2.0 if x[0] > 0 else x[0]
        y = y * x[1] if x[1] > 0 else y - x[1]
        return ag.sin(y) if x[2] > 0 else y

    program = ag.compile(f)
    for x in points(400, 3):
        assert program(x) == pytest.approx(f([ag.Value(v) for v in x]).item(), abs=1e-12)
    assert sum(map(len, program._programs.values())) == 8
    assert not program.uncompiled


def recurrent(w):
    def f(x):
        h = 0.0
        for v in x:
            h = ag.tanh(w[0] * v + w[1] * h)
        return h * h

    return f


def test_shapes_that_never_repeat():
    w = [ag.Parameter(0.3), ag.Parameter(-0.2)]
    program = ag.compile(recurrent(w))
    xs = [points(1, length)[0] for length in random.Random(0).sample(range(2, 200), 100)]
    given_up(program, [(x,) for x in xs], "fixed shape")
    assert sum(map(len, program._programs.values())) < 8
    value, gradient = program.loss_and_grad(np.array([0.1, 0.2]), xs[0])
    w[0].data, w[1].data = 0.1, 0.2
    loss = recurrent(w)([ag.Value(v) for v in xs[0]])
    assert value == loss.item()
    assert gradient.tolist() == ag.gradients(loss, w)


def test_some_shapes_in_any_order_are_compiled():
    program = ag.compile(recurrent([ag.Parameter(0.3), ag.Parameter(-0.2)]))
    rng = random.Random(0)
    xs = {length: points(1, length)[0] for length in range(2, 14)}
    for _ in range(300):
        program(xs[rng.randrange(2, 14)])
    assert len(program._programs) == 12
    assert not program.uncompiled


def test_a_small_batch_of_shapes_that_never_repeat(monkeypatch):
    w = [ag.Parameter(0.3), ag.Parameter(-0.2)]
    f = recurrent(w)
    program = ag.compile(f, params=w, batch=True)
    rng = np.random.default_rng(0)
    given_up(program, [(rng.normal(size=(3, length)),) for length in range(2, 60)], "fixed shape")
    X = rng.normal(size=(4, 7))
    loss = ag.mean([f(x) for x in X.tolist()])
    value, gradient = program.loss_and_grad(program.theta, X)
    assert value == pytest.approx(loss.item())
    assert gradient == pytest.approx(ag.gradients(loss, w))
    assert program.value_and_grad(X)[1] == pytest.approx(ag.grad(lambda X: ag.mean([f(list(x)) for x in X]))(X))
    assert program.rows(X) == pytest.approx([f(x).item() for x in X.tolist()])
    rows, slope = program.rows_and_grad(program.theta, X)
    assert rows[0] == pytest.approx(program.rows(X))
    assert slope == pytest.approx(gradient)


def test_programs_are_bounded_in_all(monkeypatch):
    monkeypatch.setattr("autograd_lite.folding.tracing.MOST_PROGRAMS", 5)
    program = ag.compile(lambda x: ag.sum(x) * 2.0)
    for _ in range(3):
        for length in range(1, 12):
            assert program([1.0] * length) == 2.0 * length
    assert sum(map(len, program._programs.values())) <= 5
    monkeypatch.setattr("autograd_lite.folding.tracing.MOST_SCALARS", 20)
    assert program([1.0] * 13) == program([1.0] * 13) == 26.0
    assert len(program._programs) == 1


def test_parameters_that_a_later_call_reaches():
    """Of one that runs uncompiled: theta becomes longer, in words."""
    w = [ag.Parameter(1.0), ag.Parameter(5.0)]

    def f(x):
        s = w[0] * 0.0
        for v in x[1:]:
            s = s + v if v > 0 else s - v
        return s * w[1] if x[0] > 100.0 else s * w[0]

    program = ag.compile(f)
    given_up(program, [(x,) for x in points(100)])
    assert program.params == [w[0]]
    x = [101.0, *points(1)[0]]
    with pytest.raises(ValueError, match="a vector of 2 numbers now, in place of 1"):
        program.loss_and_grad(np.array([1.0]), x)
    assert program.params == w
    assert program.loss_and_grad(np.array([1.0, 5.0]), x)[1][1] == pytest.approx(sum(map(abs, x[1:])))
    assert [p.data for p in w] == [1.0, 5.0]


def test_theta_is_put_back_where_the_function_fails():
    w = ag.Parameter(1.0)

    def f(x):
        if x[0] > 50.0:
            raise ZeroDivisionError(w.data)
        return branches(w)(x)

    program = ag.compile(f)
    given_up(program, [(x,) for x in points(100)])
    for theta in ([7.0], np.array([7.0])):
        with pytest.raises(ZeroDivisionError, match="7"):
            program.loss_and_grad(theta, [51.0] * 12)
        assert w.data == 1.0


def test_threads_do_not_see_each_others_theta():
    w = ag.Parameter(1.0)
    program, x = ag.compile(branches(w)), [1.0] * 12
    given_up(program, [(x,) for x in points(100)])
    found = {}

    def use(k):
        for _ in range(50):
            found.setdefault(k, set()).add(program.loss_and_grad(np.array([float(k)]), x)[0])

    in_threads(use, range(1, 5))
    assert found == {k: {12.0 * k} for k in range(1, 5)}
    assert w.data == 1.0


def test_a_call_does_not_see_the_theta_of_another_thread():
    w = ag.Parameter(1.0)
    program, x = ag.compile(branches(w)), [1.0] * 12
    given_up(program, [(x,) for x in points(100)])
    found = {name: set() for name in ("call", "array", "value_and_grad")}

    def use(k):
        for _ in range(60):
            if k:
                program.loss_and_grad(np.array([9.0]), x)
                continue
            found["call"].add(program(x))
            found["array"].add(program(np.array(x)))
            found["value_and_grad"].add(program.value_and_grad(x)[0])

    in_threads(use, range(4))
    assert set().union(*found.values()) == {12.0}


def test_what_changes_at_each_call():
    class Model:
        def __init__(self):
            self.step, self.w = 0, ag.Parameter(1.0)

        @ag.compile
        def loss(self, x):
            return self.w * x * self.step

    model = Model()
    with a_word("changed between the calls"):
        for k in range(100):
            model.step = k
            assert model.loss(2.0) == 2.0 * k
    model.step = 7
    assert model.loss(2.0) == 14.0


def test_training_never_falls_back():
    """What has begun compiled ends so: a penalty that branches is traced at each step."""
    model = ag.MLP(1, [1], seed=0)
    p = model.parameters()[0]
    at = iter(range(10**6))

    def penalty(model):
        return ag.sum([p * p * k if p.detach() > 1e-3 * k - 1.0 else p for k in range(1 + next(at) % 7)])

    X, y = [[0.1], [0.4]], [1.0, 2.0]
    history = ag.fit(model, X, y, loss="mse", penalty=penalty, epochs=60, compiled=True)
    assert len(history.loss) == 60


def test_a_transform_that_does_not_pay():
    f, xs = branches(), points(100)
    slope, product = ag.grad(f, compiled=True), ag.hvp(f, compiled=True)
    with a_word("another way"):
        for x in xs:
            assert slope(x) == pytest.approx(ag.grad(f)(x))
    with a_word("another way"):
        for x in xs:
            assert product(x, x) == pytest.approx(ag.hvp(f, x, x))
    leaf = ag.Value(0.5)
    assert ag.gradients(slope([leaf] * 3)[0], leaf) == pytest.approx(2.0)


def test_a_graph_in_which_nothing_repeats(monkeypatch):
    """On NumPy, where there is no machine code; and one that is too large to be folded at all."""
    monkeypatch.setattr("autograd_lite.folding.backends.why_not", lambda name: "not here" if name == "native" else "")
    rng = random.Random(0)
    plan = [(rng.choice([ag.sin, ag.tanh, ag.cos]), rng.random()) for _ in range(600)]

    def f(x):
        known = [x, x * 2.0]
        for op, at in plan:
            known.append(op(known[int(at * len(known))] + known[-1]))
        return known[-1]

    program = ag.compile(f)
    given_up(program, [(0.3,), (0.4,)], "repeat so little")
    assert program(0.5) == f(ag.Value(0.5)).item()
    monkeypatch.setattr("autograd_lite.folding.grouping.WIDE", 8)
    program = ag.compile(lambda x: ag.tanh(ag.exp(ag.sin(ag.cos(ag.atan(ag.sqrt(ag.log(x + 3.0))))))))
    given_up(program, [(0.5,)], "repeats too little")
    assert ag.grad(program)(0.5) == pytest.approx(program.value_and_grad(0.5)[1])


def numbers_of(rng):
    return [rng.gauss(0, 1) for _ in range(12)]


AT_RANDOM = {
    "a number": (lambda x: x if x > 0.0 else x * x, lambda rng: rng.gauss(0, 1)),
    "a list": (branches(), numbers_of),
    "an array": (branches(), lambda rng: np.array(numbers_of(rng))),
    "results in a list": (lambda x: [sorted(x)[k] * x[k] for k in range(4)], lambda rng: np.array(numbers_of(rng))),
    "results in a dict": (lambda x: {"s": branches()(x), "c": [x[0], 2.0]}, lambda rng: np.array(numbers_of(rng))),
}
"""Functions that go another way at each call, and arguments of them."""

ONE = ("grad", "value_and_grad", "hessian")
"""The transforms of a function of one result."""


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", AT_RANDOM)
@pytest.mark.parametrize("what", [*ONE, "jacobian"])
def test_every_transform_of_a_function_that_runs_uncompiled(what, name, sparse):
    """As it was the first time, while it is given up, and afterwards; in the same form as uncompiled."""
    f, draw = AT_RANDOM[name]
    one, several = what in ONE, name.startswith("results")
    if (one and several) or (sparse and (what not in ("jacobian", "hessian") or "dict" in name)):
        return  # of such a function there is no such derivative
    options = {"sparse": True} if sparse else {}
    transform = getattr(ag, what)
    found, expected, rng = transform(ag.compile(f), **options), transform(f, **options), random.Random(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(80):
            x = draw(rng)
            pairs = [flatten(y.toarray() if sparse else y, what)[0] for y in (found(x), expected(x))]
            assert np.allclose(*pairs, rtol=1e-12)
