"""What a compiled function takes and gives: containers, keywords, static and unbatched arguments, methods, Values."""

import collections
import copy
import dataclasses
import gc
import pickle
import weakref

import numpy as np
import pytest

import autograd_lite as ag

pytestmark = pytest.mark.usefixtures("each_backend")

Pair = collections.namedtuple("Pair", "x y")


@dataclasses.dataclass
class Weights:
    w: np.ndarray
    b: float = 0.0


def twice(v):
    return 2.0 * v


def same(found, expected):
    """Equal up to rounding, of the same containers."""
    assert type(found) is type(expected) or {type(found), type(expected)} == {float, np.float64}
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if dataclasses.is_dataclass(expected):
        found, expected = list(vars(found).values()), list(vars(expected).values())
    if isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            same(a, b)
    elif expected is not None:
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# --- containers -------------------------------------------------------------------------------------------

TAKEN = {
    "dict": (lambda p: p["w"] * p["w"] + ag.sin(p["b"]), {"w": 2.0, "b": 1.0}),
    "nested": (lambda p: ag.sum([ag.sum(x) * p["s"][0] for x in p["w"]]), {"w": [[1.0, 2.0], [3.0]], "s": (0.5,)}),
    "arrays in a dict": (
        lambda p: ag.sum((p["w"] @ p["v"]) ** 2),
        {"w": np.arange(6.0).reshape(2, 3), "v": np.ones(3)},
    ),
    "arrays in a list": (lambda p: ag.sum(p[0] @ p[1]), [np.arange(6.0).reshape(2, 3), np.arange(3.0)]),
    "ragged": (lambda p: p[0] * p[1][0] * p[1][1], [2.0, [3.0, 4.0]]),
    "dataclass": (lambda p: ag.sum(p.w * p.w) * p.b, Weights(np.array([1.0, 2.0]), 3.0)),
    "namedtuple": (lambda p: p.x * p.y[0] - p.y[1], Pair(2.0, [3.0, 4.0])),
    "None inside": (lambda p: p["a"] * 2.0 if p["b"] is None else p["b"], {"a": 3.0, "b": None}),
    "deep": (lambda p: p[0][0][0]["x"] ** 2, [[[{"x": 3.0}]]]),
    "of one array": (lambda p: np.sum(p["only"]), {"only": np.ones((2, 2))}),
    "empty parts": (lambda p: p["x"] * len(p["rest"]) + p["x"] * p["x"], {"x": 2.0, "rest": [], "none": {}}),
    "default dict": (lambda p: p["x"] * p["x"], collections.defaultdict(float, x=3.0)),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_container_is_an_argument(name):
    """The gradient has its form, and is that of ag.grad."""
    f, x = TAKEN[name]
    program = ag.compile(f)
    value, expected = ag.value_and_grad(f)(x)
    for _ in range(2):
        same(program(x), value)
        same(program.value_and_grad(x), (value, expected))
    assert len(program._programs) == 1
    same(ag.grad(program)(x), expected)
    same(ag.compile(lambda a, p: f(p) * a).value_and_grad(2.0, x, argnum=(0, 1)),
         (2.0 * value, ag.grad(lambda a, p: f(p) * a, (0, 1))(2.0, x)))  # fmt: skip


def test_the_numbers_of_a_container_are_lanes_of_one_input():
    program = ag.compile(lambda p: ag.sum([ag.sin(v) for v in p.values()]))
    program({str(k): 0.1 * k for k in range(50)})
    assert len(program.plan().instructions) < 10


@pytest.mark.parametrize(
    "f",
    [
        lambda x: {"a": x * x, "b": [ag.sin(x), (x, None)]},
        lambda x: (x, [x * 2.0, {"c": 3.0}]),
        lambda x: Weights(np.array([x, x * x]), x),
        lambda x: Pair(x, [x]),
        lambda x: {"array": ag.array([[x, 1.0], [0.0, x * x]]), "numbers": np.eye(2)},
        lambda x: [[x, x * x], [1.0, x]],
    ],
)
def test_results_of_any_form(f):
    program, x = ag.compile(f), 0.7
    expected = ag.vjp(f, x)[0]
    for _ in range(2):
        same(program(x), expected)
    same(ag.jacobian(program)(x), ag.jacobian(f)(x))


def test_sixty_results():
    """As jac= of least_squares, and its Jacobian."""
    t = np.linspace(0.0, 1.0, 60)

    def residuals(p):
        return p[0] * np.exp(-p[1] * t) - np.cos(t)

    program, jac = ag.compile(residuals), ag.compile(ag.jacobian(residuals))
    p = np.array([1.5, 0.3])
    np.testing.assert_allclose(program(p), 1.5 * np.exp(-0.3 * t) - np.cos(t), rtol=1e-12)
    np.testing.assert_allclose(jac(p), np.column_stack([np.exp(-0.3 * t), -1.5 * t * np.exp(-0.3 * t)]), rtol=1e-12)
    assert jac(p).shape == (60, 2)
    optimize = pytest.importorskip("scipy.optimize")
    found = optimize.least_squares(program, p, jac=jac)
    assert found.success
    assert found.nfev < 20


# --- keywords, defaults, static ---------------------------------------------------------------------------


def test_keywords_and_defaults():
    calls = []

    @ag.compile
    def f(x, y=2.0, *, scale=3.0):
        calls.append(0)
        return x * y * scale

    assert f(5.0) == f(5.0, 2.0) == f(x=5.0) == f(5.0, scale=3.0) == f(y=2.0, x=5.0) == 30.0
    assert f(5.0, y=1.0, scale=1.0) == f(y=1.0, x=5.0, scale=1.0) == 5.0
    assert len(calls) == 4  # with and without y, with and without scale
    assert f.value_and_grad(5.0, y=4.0, argnum=1) == (60.0, 15.0)
    assert f.value_and_grad(5.0, 4.0, scale=1.0, argnums=(1, 0)) == (20.0, (5.0, 4.0))
    with pytest.raises(TypeError, match="unexpected keyword"):
        f(1.0, wrong=2.0)
    with pytest.raises(IndexError, match="argnum is 2"):
        f.value_and_grad(1.0, 2.0, argnum=2)
    assert f.__name__ == "f"


def test_a_function_of_any_keywords():
    program = ag.compile(lambda *xs, **named: ag.sum(xs) + named["a"] * named["b"])
    assert program(1.0, 2.0, a=3.0, b=4.0) == program(1.0, 2.0, b=4.0, a=3.0) == 15.0
    assert len(program._programs) == 1


def test_static_arguments():
    seen = []

    @ag.compile(static=("count", "how"))
    def f(x, count, how=ag.sin, flag=1.0):
        seen.append((count, how))
        for _ in range(count):
            x = how(x)
        return x * flag

    assert f(0.5, 2) == f(0.5, count=2) == ag.sin(ag.sin(0.5))
    assert f(0.5, 1, twice) == f(0.5, how=twice, count=1) == 1.0
    assert f(0.5, 3, how=twice) == 4.0
    assert seen == [(2, ag.sin), (1, twice), (3, twice)]
    assert f.value_and_grad(0.5, 3, twice)[1] == 8.0
    assert ag.grad(f)(0.5, 3, twice) == 8.0
    with pytest.raises(TypeError, match="argument 1 is static or None"):
        f.value_and_grad(0.5, 3, argnum=1)
    with pytest.raises(TypeError, match="hashable"):
        f(0.5, [1])
    with pytest.raises(TypeError, match="static names 'n', which is not an argument"):
        ag.compile(lambda x: x, static="n")(1.0)
    for wrong in (1.5, [None], True):
        with pytest.raises(TypeError, match="static must be names or positions"):
            ag.compile(lambda x: x, static=wrong)


@pytest.mark.parametrize(("a", "b"), [(1, 1.0), (1, True), (0.0, -0.0), ((1, 2), (1.0, 2)), ("x", b"x"), (None, False)])
def test_static_arguments_that_are_equal_and_not_the_same(a, b):
    program = ag.compile(lambda x, how: [x, float(len(repr(how)))], static=1)
    for how in (a, b, a):
        assert program(1.0, how) == [1.0, float(len(repr(how)))]


def test_static_by_position_from_the_end_and_in_a_container_refused():
    program = ag.compile(lambda x, y, n: x * y * n, static=-1)
    assert program(2.0, 3.0, 4) == 24.0
    with pytest.raises(TypeError, match=r"argument 0\['how'\].*static"):
        program({"how": "sum"}, 1.0, 1)


def test_none_is_an_argument():
    program = ag.compile(lambda x, mask: ag.sum(x) if mask is None else ag.dot(x, mask))
    assert program([1.0, 2.0], None) == program([1.0, 2.0], mask=None) == 3.0
    assert program([1.0, 2.0], [0.0, 1.0]) == 2.0
    assert program.value_and_grad([1.0, 2.0], None)[1].tolist() == [1.0, 1.0]
    with pytest.raises(TypeError, match="argument 0 is None"):
        ag.compile(lambda x: x + 1.0)(None)


def test_the_order_of_keys_and_their_names_are_the_form():
    program = ag.compile(lambda p: (next(iter(p)) == "a" and p["a"] * 2.0) or p["b"] * p.get("a", 5.0))
    assert program({"a": 3.0, "b": 1.0}) == 6.0
    assert program({"b": 2.0, "a": 3.0}) == 6.0
    assert program({"b": 2.0}) == 10.0


# --- batches ----------------------------------------------------------------------------------------------


def test_an_argument_that_all_rows_share():
    def f(x, p, s):
        return ag.dot(x, p["w"]) * s + p["b"]

    X, p = np.arange(6.0).reshape(3, 2), {"w": [0.5, -1.0], "b": 2.0}
    rows = [f(x, p, 3.0) for x in X.tolist()]
    expected = ag.grad(lambda X, p, s: ag.mean([f(x, p, s) for x in X]), argnum=(0, 1, 2))(X, p, 3.0)
    for batch in ((0, None, None), {"x": 0}, {"x": 0, "p": {"w": None, "b": None}}, [0, {"w": None, "b": None}, None]):
        program = ag.compile(f, batch=batch)
        same(program(X, p, 3.0), float(np.mean(rows)))
        same(program.rows(X, p, 3.0), np.array(rows))
        same(program.value_and_grad(X, p, 3.0, argnum=(0, 1, 2)), (float(np.mean(rows)), expected))
        same(program.value_and_grad(X, p, s=3.0, argnum=1)[1], expected[1])
        same(ag.grad(program, (1, 2))(X, p, 3.0), expected[1:])


def test_axes_of_a_batch():
    X = np.random.default_rng(0).normal(size=(2, 5))
    expected = ag.grad(lambda X: ag.mean([ag.sin(a) * b for a, b in zip(*X, strict=True)]))(X)
    for batch in (1, -1, (1,), {"x": 1}, {"x": -1}):
        program = ag.compile(lambda x: ag.sin(x[0]) * x[1], batch=batch)
        same(program.value_and_grad(X)[1], expected)
        same(program.rows(X), np.sin(X[0]) * X[1])
    both = ag.compile(lambda p: p["x"] * p["y"][0] * p["s"], batch=({"x": 0, "y": 1, "s": None},))
    p = {"x": np.array([1.0, 2.0]), "y": np.array([[3.0, 4.0]]), "s": 2.0}
    same(both.rows(p), np.array([6.0, 16.0]))
    same(both.value_and_grad(p)[1], {"x": np.array([3.0, 4.0]), "y": np.array([[1.0, 2.0]]), "s": 5.5})


def test_a_batch_with_parameters_and_shared_numbers():
    w = [ag.Parameter(0.5), ag.Parameter(-0.3)]

    def f(x, s):
        return ag.tanh(w[0] * x + w[1]) * s

    program = ag.compile(f, params=w, batch=(0, None))
    X, s, theta = np.array([0.1, 0.2, 0.3]), 2.0, np.array([0.7, 0.1])
    value, gradient = program.loss_and_grad(theta, X, s)
    program.theta = theta
    loss = ag.mean([f(x, s) for x in X])
    same(value, loss.item())
    same(gradient, np.array(ag.gradients(loss, w)))
    same(program.rows_and_grad(theta, X, s)[1], gradient)
    assert program.backward(X, s) == pytest.approx(value)
    same([p.grad for p in w], gradient.tolist())
    with pytest.raises(RuntimeError, match="only Python can take apart"):
        program.source("c")


@pytest.mark.parametrize(
    ("batch", "args", "message"),
    [
        (True, (np.ones((2, 2)), np.ones((3, 2))), "argument 1 has 3 rows, the arguments before it 2"),
        ((0,), (np.ones(2), 1.0), "batch has 1 entries"),
        (True, ({"a": np.ones(2), "b": 1.0}, 1.0), "batch axis"),
        ((2, None), (np.ones((2, 2)), 1.0), "batch axis"),
        (({"a": 0}, None), ({"a": np.ones(2), "b": np.ones(2)}, 1.0), r"argument 0\['b'\]: batch does not say"),
    ],
)
def test_a_batch_that_does_not_fit(batch, args, message):
    with pytest.raises(ValueError, match=message):
        ag.compile(lambda x, y: 1.0, batch=batch)(*args)


@pytest.mark.parametrize("batch", [None, "x", 1.5, ("x",)])
def test_what_is_not_a_batch(batch):
    with pytest.raises(TypeError, match="batch"):
        ag.compile(lambda x: x, batch=batch)([1.0, 2.0])


@pytest.mark.parametrize("batch", [(True, False), (0, True), {"x": True}, {"y": False}, ({"a": True}, None), {0: 0}])
def test_true_false_and_positions_are_not_axes(batch):
    """As whole numbers they would be axes 1 and 0; a position in a dict would be ignored."""
    X = np.ones((2, 2))
    with pytest.raises(TypeError, match=r"batch: expected an axis .* or None for each part, got bool|batch names 0"):
        ag.compile(lambda x, y: 1.0, batch=batch)({"a": X} if isinstance(batch, tuple) and batch[1] is None else X, X)


@pytest.mark.parametrize("option", ["batch", "static"])
def test_a_name_that_is_not_an_argument_is_refused(option):
    """It would be ignored otherwise, and one row computed in place of many."""
    given = {"X": 0} if option == "batch" else "X"
    for call in (lambda f: f([1.0, 2.0]), lambda f: ag.grad(f)([1.0, 2.0])):
        with pytest.raises(TypeError, match=rf"compile: {option} names 'X', which is not an argument of f \(x\)"):
            call(ag.compile(lambda x: ag.sum([v * v for v in x]), **{option: given}))
    assert ag.compile(lambda **kw: kw["X"] ** 2, batch={"X": 0})(X=[1.0, 2.0]) == 2.5


@pytest.mark.parametrize("name", ["self", "f", "args", "options", "call", "theta", "what", "place"])
def test_an_argument_may_have_any_name(name):
    made: dict = {}
    exec(f"def f(x, {name}=2.0): return x * x * {name}", made)
    f, given = made["f"], {name: 5.0}
    program = ag.compile(f)
    assert program(3.0, **given) == 45.0
    assert program.value_and_grad(3.0, **given) == (45.0, 30.0)
    assert ag.grad(program)(3.0, **given) == 30.0
    assert ag.compile(f, batch={"x": 0}).rows([3.0, 1.0], **given).tolist() == [45.0, 5.0]
    assert ag.compile(f, static=name)(3.0, **given) == 45.0


COUNTS = {
    "range": lambda x, n: ag.sum([x for _ in range(n)]),
    "a list repeated": lambda x, n: ag.sum([x] * n),
    "an index": lambda x, n: [x, x * x, x][n],
    "a slice": lambda x, n: ag.sum([x, x * x, x][:n]),
    "a shape": lambda x, n: np.sum(np.ones((n, 1)) * x),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_is_named_in_static(name):
    f = COUNTS[name]
    with pytest.raises(TypeError, match=r"a Value cannot be a count or an index.* named in static="):
        ag.compile(f)(3.0, 2)
    assert ag.compile(f, static="n")(3.0, 2) == pytest.approx(f(ag.Value(3.0), 2).item())


def test_rows_of_results_in_any_form():
    program = ag.compile(lambda x: {"y": x[0] * x, "n": 1.0, "s": [ag.sum(x)]}, batch=True)
    X = np.arange(6.0).reshape(3, 2) + 1.0
    same(program.rows(X), {"y": X[:, :1] * X, "n": np.ones(3), "s": [X.sum(1)]})
    with pytest.raises(RuntimeError, match="batch axis"):
        ag.compile(lambda x: x).rows(1.0)


# --- methods ----------------------------------------------------------------------------------------------


class Model:
    """Has a compiled method, a Parameter and a plain number."""

    def __init__(self, w, scale):
        self.w, self.scale, self.calls = ag.Parameter(w), scale, []

    @ag.compile
    def loss(self, x, y=1.0):
        self.calls.append(0)
        return self.w * x * self.scale - y

    @ag.compile(batch=True, static="power")
    def of_rows(self, x, power=2):
        return self.w * x**power


def test_a_method():
    a, b = Model(2.0, 3.0), Model(5.0, 1.0)
    assert (a.loss(1.0), b.loss(1.0), a.loss(2.0), a.loss(1.0, y=0.0)) == (5.0, 4.0, 11.0, 6.0)
    assert len(a.calls) == 2
    assert a.loss.value_and_grad(1.0) == (5.0, 6.0)
    assert a.loss.value_and_grad(1.0, 2.0, argnum=1) == (4.0, -1.0)
    assert a.loss.params == [a.w]
    assert a.loss.loss_and_grad([1.0], 2.0)[1].tolist() == [6.0]
    a.w.data = 1.0
    assert (a.loss(1.0), b.loss(1.0)) == (2.0, 4.0)
    assert Model(1.0, 1.0).loss(2.0) == 1.0
    assert b.of_rows([1.0, 2.0]) == 12.5
    assert b.of_rows.rows([1.0, 2.0], power=1).tolist() == [5.0, 10.0]
    with ag.no_grad():
        assert ag.grad(a.loss)(1.0) == 3.0
    assert isinstance(Model.loss, type(a.loss))


def test_a_method_notices_what_changes_in_its_instance():
    a = Model(2.0, 3.0)
    assert a.loss(1.0) == 5.0
    a.scale = 10.0
    assert a.loss(1.0) == 19.0
    a.w = ag.Parameter(1.0)
    assert a.loss(1.0) == 9.0
    assert a.loss.params == [a.w]
    other = copy.copy(a)
    other.scale = 2.0
    assert (other.loss(1.0), a.loss(1.0)) == (1.0, 9.0)


def test_a_method_keeps_no_instance_alive():
    a = Model(2.0, 3.0)
    a.loss(1.0)
    gone = weakref.ref(a)
    del a
    gc.collect()
    assert gone() is None
    assert not vars(Model)["loss"]._bound


def test_a_method_of_an_instance_with_slots_and_of_a_module():
    class Slots:
        __slots__ = ("w",)

        @ag.compile
        def f(self, x):
            return self.w * x

    a = Slots()
    a.w = ag.Parameter(2.0)
    assert a.f(3.0) == a.f(3.0) == 6.0

    class Net(ag.Module):
        def __init__(self):
            self.layer = ag.Layer(2, 2, seed=0)

        @ag.compile
        def loss(self, x):
            return self.layer(x)[0] ** 2

    net = Net()
    x = [0.3, 0.4]
    assert net.loss(x) == pytest.approx((net.layer(x)[0] ** 2).item())
    assert net.loss.backward(x) == pytest.approx(net.loss(x))
    assert [p.grad for p in net.parameters()] == pytest.approx(ag.gradients(net.layer(x)[0] ** 2, net.parameters()))
    net.layer = ag.Layer(2, 2, seed=1)
    assert net.loss(x) == pytest.approx((net.layer(x)[0] ** 2).item())


# --- Values -----------------------------------------------------------------------------------------------


def test_values_captured_and_given():
    """Captured, given, and parameters: each gets its gradient, of any order."""
    w, t, x = ag.Parameter(0.7), ag.Value(1.3), ag.Value(0.4)

    def f(x, p):
        return [w * ag.sin(x * t) + p["a"] * x, x * x]

    program = ag.compile(f)
    for _ in range(2):
        some = {"a": ag.Value(2.0), "b": 3.0}
        expected, found = f(x, some), program(x * 1.0, some)
        for y, z in zip(expected, found, strict=True):
            for leaf in (w, t, x, some["a"]):
                assert ag.gradients(z, leaf) == pytest.approx(ag.gradients(y, leaf))
                first = ag.gradients(y * y, leaf, create_graph=True), ag.gradients(z * z, leaf, create_graph=True)
                assert ag.gradients(first[1], x) == pytest.approx(ag.gradients(first[0], x))
        t.data = 0.6
    assert program(0.4, {"a": 2.0, "b": 3.0}) == pytest.approx([y.item() for y in f(x, {"a": 2.0, "b": 3.0})])


def test_an_argument_that_is_computed_from_another():
    program, x = ag.compile(lambda a, b: a * b), ag.Value(3.0)
    y = program(x, x * x)
    assert ag.gradients(y, x) == 27.0
    assert ag.gradients(ag.gradients(y, x, create_graph=True), x) == 18.0
    assert ag.gradients(program(x, x), x) == 6.0


def test_numbers_of_a_node_are_those_of_when_it_was_made():
    w, x = ag.Parameter(2.0), ag.Value(3.0)
    program = ag.compile(lambda x: [w * x * x, x])
    y = program(x)[0]
    w.data = 10.0
    assert ag.gradients(y, x) == 12.0
    with pytest.raises(RuntimeError, match="has changed since"):
        ag.gradients(y, x, create_graph=True)


def test_derivatives_within_of_what_is_captured():
    """A transform inside a compiled function, or of one, whose function has a leaf of a transform outside."""
    x = 3.0
    for inner in (
        lambda a: ag.grad(ag.compile(lambda x: x * x * a**3))(x),
        lambda a: ag.grad(lambda x: x * x * a**3, compiled=True)(x),
        lambda a: ag.compile(lambda y: ag.grad(lambda x: x * x * a**3)(x) * y)(1.0),
        ag.compile(lambda y: ag.grad(lambda x: x * x * y**3)(x)),
        lambda a: ag.jvp(ag.compile(lambda x: x * x * a**3), (x,), (1.0,))[1],
    ):
        for _ in range(2):
            assert ag.grad(inner)(2.0) == pytest.approx(72.0)
            assert ag.hessian(inner)(2.0) == pytest.approx(72.0)
            assert ag.grad(ag.grad(ag.grad(inner)))(2.0) == pytest.approx(36.0)


def test_results_of_operations_that_are_captured():
    v = ag.Value(3.0)
    y = v * v
    program = ag.compile(lambda x: x * ag.sin(y))
    assert program(2.0) == pytest.approx(2.0 * np.sin(9.0))
    z = program(ag.Value(2.0))
    assert ag.gradients(z, y) == pytest.approx(2.0 * np.cos(9.0))
    assert ag.gradients(z, v) == pytest.approx(12.0 * np.cos(9.0))
    v.data = 2.0  # y is computed anew, as fold does it
    assert program(2.0) == pytest.approx(2.0 * np.sin(4.0))


def test_a_batch_of_values():
    program = ag.compile(lambda x, s: ag.sin(x[0]) * x[1] * s, batch=(1, None))
    X, s = ag.array(np.random.default_rng(1).normal(size=(2, 3))), ag.Value(0.5)
    values = [[ag.Value(v) for v in row] for row in X.tolist()]
    y = program(values, s)
    expected = ag.mean([ag.sin(a) * b * s for a, b in zip(*values, strict=True)])
    leaves = [*values[0], *values[1], s]
    assert y.item() == pytest.approx(expected.item())
    assert ag.gradients(y, leaves) == pytest.approx(ag.gradients(expected, leaves))
    second = [ag.gradients(ag.gradients(z, s, create_graph=True), leaves) for z in (y, expected)]
    assert second[0] == pytest.approx(second[1])


def test_inside_a_compiled_function_and_inside_no_grad():
    inner = ag.compile(lambda x, n=2: x**n, static="n")
    outer = ag.compile(lambda x: ag.sin(inner(x, n=3)) * inner(x))
    assert outer(0.5) == pytest.approx(np.sin(0.125) * 0.25)
    assert len(inner._programs) == 0  # its scalars are in the program outside
    with ag.no_grad():
        y = inner(ag.Value(3.0))
    assert y.is_leaf
    assert y.item() == 9.0


def test_a_branch_of_values():
    program = ag.compile(lambda x: x * x if x > 0 else -x)
    assert [ag.grad(program)(v) for v in (3.0, -2.0)] == [6.0, -1.0]
    x = ag.Value(-2.0)
    assert ag.gradients(program(x) * program(x * -1.0), x) == pytest.approx(-12.0)


def test_a_node_is_folded_copied_and_pickled():
    w, x = ag.Parameter(2.0), ag.Value(3.0)
    program = ag.compile(twice)
    y = w * program(x) + program(program(x))
    folded = ag.fold(y, inputs=[x])
    assert folded(5.0) == 40.0
    assert folded.value_and_grad(5.0) == (40.0, 8.0)
    again = copy.deepcopy(y)
    assert again.item() == 24.0
    node = pickle.loads(pickle.dumps(program(x)))
    assert ag.gradients(node, node.operands[0]) == 2.0


@ag.compile
def decorated(x):
    """Thrice."""
    return 3.0 * x


def test_a_compiled_function_is_pickled():
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert decorated.__doc__ == "Thrice."
    assert copy.deepcopy(ag.compile(lambda x: 2.0 * x, batch=True))([1.0, 2.0]) == 3.0
    assert pickle.loads(pickle.dumps(Model(2.0, 3.0).loss))(1.0) == 5.0
    program = pickle.loads(pickle.dumps(ag.compile(twice)))
    assert program(3.0) == 6.0
    assert pickle.loads(pickle.dumps(program)).value_and_grad(3.0) == (6.0, 2.0)


def test_gradients_that_are_infinite_or_nan():
    """As uncompiled: the rule for zeros holds through a node."""
    for f in (ag.sqrt, ag.log, lambda x: ag.cbrt(x) * 0.0, lambda x: ag.where(ag.greater(x, 0.0), ag.log(x), 1.0)):
        program = ag.compile(f)
        for x in (0.0, -0.0, 1e-320):
            for k in (0.0, 1.0):
                a, b = (ag.value_and_grad(lambda x, g=g, k=k: g(x) * k)(x) for g in (f, program))
                np.testing.assert_array_equal(a, b)


def test_a_call_is_drawn_as_a_box_that_opens():
    @ag.compile
    def energy(x, y):
        return x * x + ag.sin(y) * x

    a, b = ag.Value(1.0, name="a"), ag.Value(2.0, name="b")
    with ag.scope("outer"):
        loss = energy(a, b) * 3.0
    loss.backward()
    picture = ag.draw(loss)
    assert "energy" in picture.svg
    assert "sin" not in picture.svg
    page = picture.html
    assert "Open energy" in page
    assert "sin" in page
    assert (a.grad, b.grad) == pytest.approx((3.0 * (2.0 + np.sin(2.0)), 3.0 * np.cos(2.0)))
    assert "v3 <- a" in str(ag.explain(loss, a))


@pytest.mark.parametrize("make", [list, tuple, lambda xs: [list(xs)], lambda xs: ([xs[0]], (xs[1],))])
def test_arrays_in_a_list_stay_arrays(make):
    """As for Values: + adds them. As lists of lists it would join them, and a maximum be another one."""
    first, second = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    x = make([first, second])

    def f(x):
        a, b = (y[0] if isinstance(y, (list, tuple)) else y for y in (x[0] if len(x) == 1 else x))
        return np.max(a + b) * a[1]

    expected, slope = ag.value_and_grad(f)(x)
    assert expected == 14.0
    for found, gradient in (ag.compile(f).value_and_grad(x), ag.value_and_grad(f, compiled=True)(x)):
        assert found == expected
        assert repr(gradient) == repr(slope)
    assert ag.compile(f)(x) == expected


def test_arrays_in_a_list_are_the_rows_of_a_batch():
    rows = [np.array([1.0, 2.0]), np.array([3.0, 5.0])]
    assert ag.compile(lambda x: x[0] * x[1], batch=True).rows(rows).tolist() == [2.0, 15.0]


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"x": x}])
@pytest.mark.parametrize("make", [list, tuple, lambda xs: [xs[0], xs[1].tolist()]])
def test_rows_in_a_list_are_arrays(make, wrap):
    """As each row of an array is: as lists 2 * x repeats them and x + x joins them, with other numbers and no error."""
    rows = [np.array([1.0, 2.0]), np.array([0.3, 0.5])]
    f = ag.compile(lambda x: np.sum(np.exp(2 * (x["x"] if isinstance(x, dict) else x))), batch=True)
    assert f.rows(wrap(make(rows))) == pytest.approx([np.exp(2 * row).sum() for row in rows])
    slope = ag.grad(f)(wrap(make(rows)))
    slope = slope["x"] if isinstance(slope, dict) else slope
    assert np.array(slope) == pytest.approx(np.exp(2 * np.array(rows)))


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("make", [list, tuple, lambda xs: [list(xs)]])
def test_arrays_in_a_list_that_all_rows_share_stay_arrays(make, inside):
    """They are what they are without a batch: + adds two of them, + joins two lists of them."""
    x, shared = np.array([1.0, 2.0]), make([np.array([1.0, 2.0]), np.array([3.0, 5.0])])

    def one(x, weights):
        first, second = weights if len(weights) == 2 else weights[0]
        return x * np.max(first + second) * len(weights + weights)

    def given(d):
        return one(d["x"], d["w"])

    f = ag.compile(given, batch=({"x": 0, "w": None},)) if inside else ag.compile(one, batch=(0, None))
    args = ({"x": x, "w": shared},) if inside else (x, shared)
    assert f(*args) == (one(1.0, shared) + one(2.0, shared)) / 2
    found = ag.grad(f)(*args)["w"] if inside else ag.grad(f, argnum=1)(*args)
    wanted = ag.grad(lambda w: (one(1.0, w) + one(2.0, w)) / 2)(shared)
    assert repr(found) == repr(wanted)


def test_namedtuples_that_all_rows_share_stay_namedtuples():
    f = ag.compile(lambda x, pairs: x * pairs[0].x + pairs[1].y, batch={"x": 0})
    pairs = [Pair(2.0, 3.0), Pair(4.0, 5.0)]
    assert f(np.array([1.0, 2.0]), pairs) == 8.0
    assert ag.grad(f, argnum=1)(np.array([1.0, 2.0]), pairs) == [Pair(1.5, 0.0), Pair(0.0, 1.0)]


def test_namedtuples_in_a_list_stay_namedtuples():
    f = ag.compile(lambda x: x[0].x * x[1].y)
    assert f.value_and_grad([Pair(2.0, 3.0), Pair(4.0, 5.0)]) == (10.0, [Pair(5.0, 0.0), Pair(0.0, 2.0)])
