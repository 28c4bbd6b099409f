"""ag.compile: the same numbers as eager, over batches, through branches, and what it refuses."""

import array
import copy
import math
import random
from collections import ChainMap, UserDict, defaultdict, deque
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

import autograd_lite as ag
from tests.helpers.folds import close

pytestmark = pytest.mark.usefixtures("each_backend")


def model_and_loss(sizes=(3, [5, 4, 1]), activation="tanh"):
    model = ag.MLP(*sizes, activation=activation, seed=1)
    return model, lambda x, y: (model(x) - y) ** 2


def eager_batch(f, params, X, y):
    losses = [f(row.tolist(), float(t)) for row, t in zip(X, y, strict=True)]
    loss = ag.mean(losses)
    return loss.item(), np.array(ag.gradients(loss, params))


@pytest.mark.parametrize("rows", [1, 2, 7, 600])
@pytest.mark.parametrize("activation", ["tanh", "relu", "silu", None])
def test_a_batch_is_the_mean(rows, activation):
    model, f = model_and_loss(activation=activation)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(rows, 3)), rng.normal(size=rows)
    program = ag.compile(f, params=model, batch=True)
    value, gradient = program.loss_and_grad(program.theta, X, y)
    expected, slopes = eager_batch(f, model.parameters(), X, y)
    assert close(value, expected)
    assert close(gradient, slopes, scale=10.0)
    assert close(program(X, y), expected)


def test_pieces_of_a_batch_add_up(monkeypatch):
    model, f = model_and_loss()
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 3)), rng.normal(size=1000)
    program = ag.compile(f, params=model, batch=True)
    whole = program.loss_and_grad(program.theta, X, y)
    slope = program.value_and_grad(X, y)[1]
    monkeypatch.setattr("autograd_lite.folding.backends.numpy_backend.CHUNK_BYTES", 1)
    pieces = program.loss_and_grad(program.theta, X, y)
    assert close(whole[0], pieces[0])
    assert close(whole[1], pieces[1], scale=10.0)
    assert close(program.value_and_grad(X, y)[1], slope)


def test_the_derivative_in_an_argument():
    def f(x, s):
        return ag.sum([ag.sin(v * s) * k for k, v in enumerate(x)])

    program = ag.compile(f)
    x = [0.5, 1.0, -2.0]
    value, slope = program.value_and_grad(x, 1.5)
    leaves = [ag.Value(v) for v in x]
    expected = f(leaves, 1.5)
    assert close(value, expected.item())
    assert close(slope, ag.gradients(expected, leaves))
    s = ag.Value(1.5)
    assert close(program.value_and_grad(x, 1.5, argnum=1)[1], ag.gradients(f(x, s), s))
    batched = ag.compile(f, batch=True)
    _, slopes = batched.value_and_grad([x, x], [1.5, 1.5])
    assert close(slopes, np.array([slope, slope]) / 2)


def test_weights_shared_by_parts_of_an_example():
    w = [ag.Parameter(0.1 * k - 0.3) for k in range(6)]

    def f(x):  # x: (3, 2), the same two weights a row, a product of parts of the example, and a penalty
        rows = [ag.tanh(w[0] * r[0] + w[1] * r[1]) for r in x]
        pairs = [
            ag.dot(rows, [v * w[2] for v in r2]) for r2 in ([a, b, c] for a, b, c in [(x[0][0], x[1][0], x[2][0])])
        ]
        inner = [sum(a * b for a, b in zip(p, q, strict=True)) for p in x for q in x]
        return ag.sum(pairs) + ag.sum([ag.sin(v * w[3]) for v in inner]) + 0.1 * ag.sum([p * p for p in w])

    X = np.random.default_rng(1).normal(size=(5, 3, 2))
    program = ag.compile(f, params=w, batch=True)
    value, gradient = program.loss_and_grad(program.theta, X)
    loss = ag.mean([f(x.tolist()) for x in X])
    assert close(value, loss.item(), scale=10.0)
    assert close(gradient, ag.gradients(loss, w), scale=10.0)
    _, slope = program.value_and_grad(X)
    leaves = [[[ag.Value(v) for v in r] for r in x] for x in X.tolist()]
    flat = [v for x in leaves for r in x for v in r]
    assert close(slope.ravel(), ag.gradients(ag.mean([f(x) for x in leaves]), flat), scale=10.0)


@pytest.mark.parametrize("name", ["max", "norm", "logsumexp", "mean", "prod"])
def test_sequences_over_a_batch(name):
    w = [ag.Parameter(0.4), ag.Parameter(-0.2)]

    def f(x):
        return getattr(ag, name)([w[0] * v + w[1] for v in x]) + getattr(ag, name)([v * w[1] for v in x[:2]])

    X = np.random.default_rng(2).normal(size=(6, 4))
    program = ag.compile(f, params=w, batch=True)
    value, gradient = program.loss_and_grad(program.theta, X)
    loss = ag.mean([f(x.tolist()) for x in X])
    assert close(value, loss.item())
    assert close(gradient, ag.gradients(loss, w), scale=10.0)


def test_an_array_comes_as_an_array_and_a_list_as_a_list():
    seen = []

    def f(x):
        seen.append(type(x))
        return ag.sum(list(x))

    program = ag.compile(f)
    assert program([1.0, 2.0]) == program(np.array([1.0, 2.0])) == 3.0
    assert seen == [list, ag.array]
    assert issubclass(ag.array, np.ndarray)


def test_a_branch_is_traced_anew():
    traces = []

    def f(x):
        traces.append(x)
        if x > 0:
            return x * x
        return -x if x else x + 7.0

    program = ag.compile(f)
    assert [program(v) for v in (3.0, -2.0, 0.0, 5.0, -1.0, 0.0)] == [9.0, 2.0, 7.0, 25.0, 1.0, 7.0]
    assert len(traces) == 3
    assert program.value_and_grad(-4.0) == (4.0, -1.0)
    assert math.isnan(program(math.nan))


def test_a_branch_on_a_parameter():
    w = ag.Parameter(1.0)
    program = ag.compile(lambda x: w * x if w > 0 else w * w * x)
    assert program(3.0) == 3.0
    w.data = -2.0
    assert program(3.0) == 12.0
    assert program.loss_and_grad([2.0], 3.0)[0] == 6.0
    assert program.loss_and_grad([-3.0], 3.0)[0] == 27.0
    assert w.data == -2.0


TIES = {
    "sum": lambda x: ag.sum(list(x)),
    "+": lambda x: sum(x[1:], x[0]),
    "dot": lambda x: ag.dot(list(x), [0.1] * len(x)),
    "mean": lambda x: ag.mean(list(x)),
    "norm": lambda x: ag.norm(list(x)),
    "log of exp": lambda x: ag.log(ag.exp(ag.sum(list(x)))),
}


@pytest.mark.parametrize("kind", TIES)
def test_a_branch_between_numbers_that_differ_by_their_rounding_alone(kind):
    """The sum of 0.1, 0.2 and 0.3 is 0.6 rounded once, and more than that rounded twice: what eager does is right."""
    rng = random.Random(kind)
    for _ in range(15):
        x = np.array([rng.randrange(1, 10) / 10 for _ in range(rng.randrange(2, 7))])
        exact = float(TIES[kind](x))
        limit = rng.choice([exact, round(exact, 12), math.nextafter(exact, 9.0)])

        def f(v, limit=limit):
            state = TIES[kind](v)
            if state > limit:
                return state * 2.0
            return -v[0] if state == limit else v[0] * v[1]

        program = ag.compile(f)
        value, gradient = program.value_and_grad(x)
        assert close(value, ag.value_and_grad(f)(x)[0])
        assert close(gradient, ag.grad(f)(x))
        assert close(program(x), value)
        away = x + 1.0  # and the traces that were made so do not serve other numbers
        assert close(program(away), ag.value_and_grad(f)(away)[0])
        params = [ag.Parameter(number) for number in x]
        of_parameters = ag.compile(partial(f, params), params=params)
        assert close(of_parameters.loss_and_grad(x)[1], gradient)


def test_a_function_that_changes_what_it_reads():
    seen = ag.Value(0.0)

    def f(x):
        seen.data = seen.item() + 1.0
        y = x * seen.item()
        seen.data = 7.0
        return y

    with pytest.raises(
        RuntimeError, match=r"is another one now, and the function itself changes it; compute it outside"
    ):
        ag.compile(f)(2.0)


@dataclass
class Record:
    k: float


class Slotted:
    __slots__ = ("k",)

    def __init__(self):
        self.k = 3.0


class Settings:
    k = 3.0


class Scaled(ag.Module):
    k = 3.0


class Holder(ag.Module):
    def __init__(self, held):
        self.w, self.held = ag.Parameter(2.0), held


def under(keys):
    def read(held):
        for key in keys:
            held = getattr(held, key) if isinstance(key, str) and hasattr(held, key) else held[key]
        return held

    return read


HELD = {  # what a Module holds, how to read its number, how to make it 5
    "list": lambda: ([3.0], under([0]), lambda x: x.__setitem__(0, 5.0)),
    "dict": lambda: ({"k": 3.0}, under(["k"]), lambda x: x.update(k=5.0)),
    "array": lambda: (np.array([3.0]), under([0]), lambda x: x.__setitem__(0, 5.0)),
    "whole array": lambda: (np.array([3]), under([0]), lambda x: x.__setitem__(0, 5)),
    "array without axes": lambda: (np.array(3.0), under([()]), lambda x: x.__setitem__((), 5.0)),
    "array of objects": lambda: (np.array([3.0, None]), under([0]), lambda x: x.__setitem__(0, 5.0)),
    "structured array": lambda: (np.array([(3.0,)], [("k", float)]), under([0, 0]), lambda x: x["k"].__setitem__(0, 5)),
    "array.array": lambda: (array.array("d", [3.0]), under([0]), lambda x: x.__setitem__(0, 5.0)),
    "bytearray": lambda: (bytearray([3]), under([0]), lambda x: x.__setitem__(0, 5)),
    "memoryview": lambda: (memoryview(bytearray([3])), under([0]), lambda x: x.__setitem__(0, 5)),
    "deque": lambda: (deque([3.0]), under([0]), lambda x: x.__setitem__(0, 5.0)),
    "set": lambda: ({3.0}, max, lambda x: x.add(5.0)),
    "defaultdict": lambda: (defaultdict(float, k=3.0), under(["k"]), lambda x: x.update(k=5.0)),
    "UserDict": lambda: (UserDict(k=3.0), under(["k"]), lambda x: x.update(k=5.0)),
    "ChainMap": lambda: (ChainMap({}, {"k": 3.0}), under(["k"]), lambda x: x.maps[1].update(k=5.0)),
    "mapping proxy": lambda: (MappingProxyType(d := {"k": 3.0}), under(["k"]), lambda x: d.update(k=5.0)),
    "partial": lambda: (partial(max, d := [3.0]), lambda x: x(), lambda x: d.__setitem__(0, 5.0)),
    "tuple of lists": lambda: (([3.0],), under([0, 0]), lambda x: x[0].__setitem__(0, 5.0)),
    "dataclass": lambda: (Record(3.0), under(["k"]), lambda x: setattr(x, "k", 5.0)),
    "slots": lambda: (Slotted(), under(["k"]), lambda x: setattr(x, "k", 5.0)),
    "namespace": lambda: (SimpleNamespace(k=3.0), under(["k"]), lambda x: setattr(x, "k", 5.0)),
    "class": lambda: (Settings, under(["k"]), lambda x: setattr(x, "k", 5.0)),
    "class of a Module": lambda: (Scaled(), under(["k"]), lambda x: setattr(type(x), "k", 5.0)),
    "nested": lambda: (
        [{"a": deque([Record(3.0)])}],
        under([0, "a", 0, "k"]),
        lambda x: setattr(x[0]["a"][0], "k", 5.0),
    ),
    "Value": lambda: ([ag.Value(3.0)], under([0]), lambda x: setattr(x[0], "data", 5.0)),
    "flag": lambda: ([True], lambda x: 3.0 if x[0] else 5.0, lambda x: x.__setitem__(0, False)),
}


@pytest.mark.parametrize("kind", HELD)
def test_a_number_that_a_module_holds_is_noticed_when_it_changes(kind):
    held, read, change = HELD[kind]()
    model = Holder(held)
    program = ag.compile(lambda x: x * model.w * read(model.held), params=model)
    try:
        assert (program(1.0), program(1.0)) == (6.0, 6.0)
        change(held)
        assert program(1.0) == 10.0
        assert program.loss_and_grad(program.theta, 1.0)[1].tolist() == [5.0]
    finally:
        Settings.k = Scaled.k = 3.0


def test_rows_that_would_branch_differently_are_refused():
    program = ag.compile(lambda x: x * x if x > 0 else -x, batch=True)
    assert program([1.0, 2.0]) == 2.5
    assert program([-1.0, -2.0]) == 1.5
    with pytest.raises(RuntimeError, match=r"ag\.where"):
        program([1.0, -2.0])
    live = ag.compile(lambda x: ag.where(ag.greater(x, 0.0), x * x, -x), batch=True)
    assert live([1.0, -2.0]) == 1.5


@pytest.mark.parametrize("read", [lambda v: v.data, lambda v: v.item()])
def test_reading_a_number_is_refused(read):
    w = ag.Parameter(2.0)
    with pytest.raises(RuntimeError, match=r"ag\.max"):
        ag.compile(lambda x: x * read(x))(1.0)
    with pytest.raises(RuntimeError, match="detach"):
        ag.compile(lambda x: x * read(w * 2.0))(1.0)
    constant = ag.Value(3.0)
    assert ag.compile(lambda x: x * read(constant))(2.0) == 6.0
    assert w.data == 2.0  # nothing is watched outside


def test_detach_stays_live():
    program = ag.compile(lambda x: x * x.detach())
    assert program(3.0) == 9.0
    assert program.value_and_grad(5.0) == (25.0, 5.0)

    def shifted(x):
        with ag.no_grad():
            top = ag.max(x)
        return ag.log(ag.sum([ag.exp(v - top) for v in x])) + top

    program = ag.compile(shifted)
    for x in ([1.0, 2.0], [1000.0, 1000.0], [-5.0, 3.0]):
        assert close(program(x), ag.logsumexp(x))


def test_new_shapes_and_other_types():
    program = ag.compile(ag.sum)
    assert program([1.0, 2.0]) == 3.0
    assert program([1.0, 2.0, 3.0]) == 6.0
    for wrong in ("abc", None, [1.0, [2.0]], [[1.0], "a"]):
        with pytest.raises(TypeError, match="argument 0"):
            program(wrong)
    with pytest.raises(TypeError, match="Value"):
        program(ag.Value(1.0))
    with pytest.raises(ValueError, match="batch axis"):
        ag.compile(lambda x: x, batch=True)(3.0)


def test_parameters_found_on_another_path_join():
    a, b = ag.Parameter(2.0), ag.Parameter(3.0)
    program = ag.compile(lambda x: a * x if x > 0 else b * x)
    with pytest.raises(RuntimeError, match="first call"):
        _ = program.theta
    assert program(1.0) == 2.0
    assert program(-1.0) == -3.0
    assert program.params == [a, b]
    assert program.loss_and_grad(program.theta, 1.0)[1].tolist() == [1.0, 0.0]


def test_several_results():
    program = ag.compile(lambda x: [x * 2.0, 3.0, x * x])
    assert program(2.0) == [4.0, 3.0, 4.0]
    with pytest.raises(TypeError, match="3 results"):
        program.value_and_grad(2.0)


def test_training_by_hand_and_by_program_agree():
    random.seed(0)
    model, f = model_and_loss()
    X = np.random.default_rng(3).normal(size=(20, 3))
    y = np.sin(X[:, 0])
    program = ag.compile(f, params=model, batch=True)
    theta = program.theta
    for _ in range(20):
        theta -= 0.1 * program.loss_and_grad(theta, X, y)[1]
    for _ in range(20):
        model.zero_grad()
        ag.mean([f(row.tolist(), float(t)) for row, t in zip(X, y, strict=True)]).backward()
        for p in model.parameters():
            p.data -= 0.1 * p.grad
    assert close(theta, [p.data for p in model.parameters()], ulps=10_000)


def embedded(table, scale):
    def f(symbols, target):
        rows = [ag.lookup(table, s) for s in symbols]
        scores = [ag.sum([row[d] * scale[d] for row in rows]) for d in range(3)]
        return ag.logsumexp(scores) - ag.lookup(scores, target)

    return f


def test_lookups_over_a_batch():
    rng = random.Random(4)
    table = [[ag.Parameter(rng.uniform(-1, 1)) for _ in range(3)] for _ in range(5)]
    scale = [ag.Parameter(1.0 + 0.1 * k) for k in range(3)]
    params = [*scale, *(x for row in table for x in row)]
    f = embedded(table, scale)
    symbols, targets = np.array([[0, 3, 3], [4, 1, 0], [2, 2, 2]]), np.array([0, 2, 1])
    program = ag.compile(f, params=params, batch=True)
    value, gradient = program.loss_and_grad(program.theta, symbols, targets)
    for kind in (lambda x: x, ag.Value):  # plain indices, and Values that are not traced
        loss = ag.mean(
            [f([kind(s) for s in row], kind(t)) for row, t in zip(symbols.tolist(), targets.tolist(), strict=True)]
        )
        assert close(value, loss.item())
        assert close(gradient, ag.gradients(loss, params))
    assert len(program._programs) == 1
    program.loss_and_grad(program.theta, symbols[::-1], targets)
    assert sum(map(len, program._programs.values())) == 1


def test_a_lookup_outside_the_table():
    table = [1.0, ag.Parameter(2.0)]
    assert ag.lookup(table, 0) == 1.0
    for wrong in (2, -1, 0.5):
        with pytest.raises(IndexError, match="0 to 1"):
            ag.lookup(table, wrong)
        assert math.isnan(ag.lookup(table, ag.Value(float(wrong))).item())
    with pytest.raises(ValueError, match="length"):
        ag.lookup([[1.0], [1.0, 2.0]], ag.Value(0.0))
    with pytest.raises(TypeError, match="sequence"):
        ag.lookup(3.0, 0)


@pytest.mark.parametrize(
    "f",
    [lambda v: ag.floor(v[0]), lambda v: ag.greater(v[0], v[1]), lambda v: ag.Value(3.0)],
    ids=["step", "choice", "constant"],
)
def test_a_gradient_that_is_always_0_has_a_row_for_each_row(f):
    X = np.array([[1.5, 2.0], [3.5, 0.0], [5.5, 6.0]])
    _, gradient = ag.compile(f, batch=True).value_and_grad(X)
    assert gradient.tolist() == [[0.0, 0.0]] * 3
    _, gradient = ag.compile(lambda x, v: f(v) + x, batch=True).value_and_grad(X[:, 0], X, argnum=1)
    assert gradient.shape == X.shape


# --- what a trace must not fix in silence -----------------------------------------------------------------


def test_a_first_call_without_gradients_does_not_lose_them():
    w = ag.Parameter(2.0)
    program = ag.compile(lambda x: w * x * x, params=[w])
    with ag.no_grad():
        assert program(3.0) == 18.0
    assert program.loss_and_grad([2.0], 3.0)[1].tolist() == [9.0]
    assert program.value_and_grad(3.0) == (18.0, 12.0)


def test_values_given_as_parameters_are_watched():
    w = ag.Value(1.0)
    program = ag.compile(lambda x: w * x if w > 0 else w * w * w * x * 10, params=[w])
    assert program.loss_and_grad([1.0], 2.0)[0] == 2.0
    value, slope = program.loss_and_grad([-1.0], 2.0)
    assert (value, slope.tolist()) == (-20.0, [60.0])
    w.data = -1.0
    assert program(2.0) == -20.0
    with pytest.raises(RuntimeError, match="the data"):
        ag.compile(lambda x: w.data * x, params=[w])(1.0)


def test_captured_values_that_python_has_looked_at_are_watched():
    t = ag.Value(1.0)
    branch, read = ag.compile(lambda x: x * t if t > 0 else -10 * x), ag.compile(lambda x: t.data * x)
    assert (branch(2.0), read(2.0)) == (2.0, 2.0)
    t.data = -1.0
    assert (branch(2.0), read(2.0)) == (-20.0, -2.0)
    t.data = math.nan
    assert branch(2.0) == -20.0
    assert math.isnan(read(2.0))
    t.data = 3.0
    assert (branch(2.0), read(2.0)) == (6.0, 6.0)
    inverse, read = ag.compile(lambda x: x / t), ag.compile(lambda x: x / ag.Value(t.data))
    for zero in (0.0, -0.0):
        t.data = zero
        assert inverse(1.0) == read(1.0) == math.copysign(math.inf, zero)


def test_a_first_result_without_rows_in_a_long_batch(monkeypatch):
    monkeypatch.setattr("autograd_lite.folding.backends.numpy_backend.CHUNK_BYTES", 1)
    w = ag.Parameter(3.0)
    program = ag.compile(lambda x: [w * w, w * x], params=[w], batch=True)
    rows, slope = program.rows_and_grad([3.0], np.ones(5000))
    assert slope.tolist() == [6.0]
    assert [len(row) for row in rows] == [5000, 5000]
    assert ag.compile(lambda x: w * w, params=[w], batch=True).loss_and_grad([3.0], np.ones(3000))[1].tolist() == [6.0]


def test_tracing_at_other_numbers_touches_no_parameter():
    w = ag.Parameter(1.0)
    seen = []

    def f(x):
        seen.append(w._f)
        return w * x if w > 2.0 and w * w < 100.0 else -w * x

    program = ag.compile(f, params=[w])
    assert program.loss_and_grad([5.0], 2.0)[0] == 10.0
    assert program.loss_and_grad([50.0], 2.0)[0] == -100.0
    assert program.loss_and_grad([1.0], 2.0)[0] == -2.0
    assert program(2.0) == -2.0
    assert seen == [1.0] * 3


READS = {
    "gradients": lambda x: x * ag.gradients(x**2, x),
    "backward": lambda x: [(x**2).backward(), x * x.grad][1],
    "grad": lambda x: x * x.grad,
    "local_grads": lambda x: x * (x * x).local_grads[0],
    "setting": lambda x: [setattr(x, "data", 5.0), x * x][1],
    "copy": lambda x: x * copy.copy(x),
    "deepcopy": lambda x: x * copy.deepcopy(x * 2.0),
    "text": lambda x: x * float(f"{x:.17g}"),
    "fold": lambda x: x * ag.fold(x * x)(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_other_ways_to_take_a_number_out_are_refused(read):
    with pytest.raises(RuntimeError, match="would be fixed at its number"):
        ag.compile(read)(1.0)
    read(ag.Value(1.0))  # outside a trace it may


def test_a_program_inside_a_trace_reads_its_parameters():
    w, model = ag.Parameter(2.0), ag.Neuron(1, seed=0)
    inner, compiled = ag.fold(w * w), ag.compile(lambda y: w * y)
    compiled(1.0)
    for f in (lambda x: x * inner(), lambda x: x * compiled(3.0), lambda x: x * model.state_dict()["b"]):
        with pytest.raises(RuntimeError, match="would be fixed at its number"):
            ag.compile(f)(1.0)
    t = ag.Value(3.0)
    program = ag.compile(lambda x: x * ag.compile(lambda y: y * t)(1.0))
    assert program(1.0) == 3.0
    t.data = 5.0
    assert program(1.0) == 5.0


def test_derivatives_inside_stay_live():
    program = ag.compile(lambda x: x * ag.gradients(x**2, x, create_graph=True) + ag.grad(ag.sin)(x))
    for x in (1.0, 3.0):
        assert close(program(x), 2.0 * x * x + math.cos(x))


def test_a_lookup_beside_infinite_entries():
    scores = [1.0, -math.inf, 0.5]
    program = ag.compile(lambda s, i: -ag.lookup(ag.log_softmax(s), i))
    value, slope = program.value_and_grad(scores, 0.0)
    expected = [ag.Value(x) for x in scores]
    loss = -ag.log_softmax(expected)[0]
    assert close(value, loss.item())
    assert close(slope, ag.gradients(loss, expected))
    assert ag.lookup([1.0, math.inf, 3.0], ag.Value(0.0)).item() == 1.0
    assert ag.lookup([1.0, math.inf, 3.0], ag.Value(1.0)).item() == math.inf


@pytest.mark.parametrize("power", [0.5, 1.5, -0.5])
@pytest.mark.parametrize("x", [-math.inf, -0.0, 0.0, 4.0, math.inf, -1.0, math.nan])
def test_roots_as_powers(power, x):
    for f in (lambda v: v**power, lambda v: v ** (v * 0.0 + power)):
        leaf = ag.Value(x)
        out = f(leaf)
        value, slope = ag.compile(f).value_and_grad(x)
        assert close(value, out.item())
        assert math.copysign(1.0, value) == math.copysign(1.0, out.item()) or value != value
        assert close(slope, ag.gradients(out, leaf))


def test_the_gradient_in_an_argument_that_does_not_count():
    program = ag.compile(lambda x, y: x * x, batch=True)
    assert program.value_and_grad([1.0, 2.0], [4.0, 5.0], argnum=1)[1].tolist() == [0.0, 0.0]
    wide = ag.compile(lambda x, y: y * 2, batch=True)
    assert wide.value_and_grad(np.zeros((3, 4)), np.ones(3))[1].tolist() == [[0.0] * 4] * 3
    assert wide.value_and_grad(np.zeros((3, 0)), np.ones(3))[1].shape == (3, 0)


@pytest.mark.parametrize("dtype", [int, bool, complex, "foo", object, np.longdouble])
def test_types_that_cannot_hold_the_numbers_are_refused(dtype):
    with pytest.raises(TypeError, match="float64 or float32"):
        ag.compile(lambda x: x, dtype=dtype)
    with pytest.raises(TypeError, match="float64 or float32"):
        ag.fold(ag.Value(1.0), dtype=dtype)


def test_the_sign_of_a_zero_among_elements_of_a_batch():
    w = ag.Parameter(2.0)
    assert ag.compile(lambda x: 1 / ag.max([w - 5, x]), batch=True)([-0.0]) == -math.inf
    assert ag.compile(lambda x: 1 / ag.max([x, x]), batch=True)([-0.0]) == -math.inf


def test_many_results_are_one_output():
    def f(x):
        rest = [x[0] if x[1] > 0 else x[2], 3.0, *(x[k % 3] * x[(k + 1) % 3] for k in range(2, 12))]
        return [*rest, ag.sin(x[0]), ag.sum(x)]

    def by_hand(x):
        rest = [x[0] if x[1] > 0 else x[2], 3.0, *(x[k % 3] * x[(k + 1) % 3] for k in range(2, 12))]
        return [*rest, np.sin(x[0]), np.sum(x)]

    compiled = ag.compile(f)
    for x in ([0.5, 0.25, -2.0], [0.5, -0.25, -2.0], [3.0, 0.25, 1.0]):
        np.testing.assert_allclose(compiled(np.array(x)), by_hand(x), rtol=1e-14)
    rows = np.random.default_rng(0).uniform(0.1, 1.0, (5, 3))
    batched = ag.compile(f, batch=True)
    np.testing.assert_allclose(batched(rows), np.mean([by_hand(row) for row in rows], 0), rtol=1e-14)
