"""Comparisons mean numbers: eagerly, in containers, in NumPy, inside transforms and compiled functions."""

import copy
import math
import numbers
import operator
import pickle
import statistics
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.value import Parameter, Value

REAL = [
    0, 1, -1, 2, 2**53, 2**53 + 1, 10**400, -(10**400), True, False, 0.0, -0.0, 0.1, 1.0, 1e308, math.inf, -math.inf,
    math.nan, Fraction(1, 2), Fraction(1, 3), Fraction(10**400, 3), Decimal("0.5"), Decimal("0.1"), Decimal("Infinity"),
    Decimal("1e400"), np.float64(1.0), np.float32(0.5), np.int64(2), np.bool_(True), np.longdouble(1.0), np.uint8(1),
]  # fmt: skip
OTHER = [
    "1.0",
    b"1",
    None,
    [1.0],
    (1.0,),
    {1.0},
    1j,
    1.0 + 0j,
    object(),
    print,
    {},
    ...,
    float,
    Decimal("sNaN"),
    range(3),
]
FLOATS = [0.0, -0.0, 0.1, 0.5, 1.0, 2.0, 2.0**53, 1e308, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("a", FLOATS)
def test_equal_to_what_the_float_is_equal_to(a):
    for b in REAL:
        for kind in (Value, Parameter):
            v = kind(a)
            with np.errstate(all="ignore"):
                same = bool(a == b)
            assert (v == b, b == v, v != b, b != v) == (same, same, not same, not same), b
    for b in FLOATS:
        assert (Value(a) == Value(b), Value(a) != Value(b)) == (a == b, a != b)
        assert (Value(a) * 1.0 == Parameter(b)) is (a == b)


def test_what_is_not_a_real_number_is_unequal_and_nothing_raises():
    v = Value(1.0)
    for x in OTHER:
        assert v != x
        assert x != v
        assert not v == x  # noqa: SIM201
        if not isinstance(x, Decimal):
            assert v.__eq__(x) is NotImplemented
            assert v.__ne__(x) is NotImplemented

    class Agrees:
        def __eq__(self, other):
            return True

        def __ne__(self, other):
            return False

        __hash__ = None

    assert v == Agrees()  # whatever the other side says
    assert not v != Agrees()  # noqa: SIM202


def test_the_hash_is_the_identity():
    v, w = Value(1.0), Value(1.0)
    assert v == w
    assert {v: "v", w: "w"}[v] == "v"
    assert len({v, w, v}) == 2
    assert 1.0 not in {v: 1}
    nan = Value(math.nan)
    assert {nan: 1}[nan] == 1
    for again in (copy.copy(v), copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        assert again == v
        assert again not in {v}
    with ag.record_source():
        found = ag.log(Value(-1.0))
    assert ag.source_of(found) is not None  # though NaN is not equal to itself


def test_sequences_compare_numbers():
    xs = [Value(x) for x in (3.0, 1.0, 2.0, 1.0)]
    assert (xs.index(1.0), xs.count(1.0), 2.0 in xs, 4.0 in xs, xs.index(Value(2.0))) == (1, 2, True, False, 2)
    assert xs == [3.0, 1.0, 2.0, 1.0]
    assert tuple(xs) == (3.0, 1.0, 2.0, 1.0)
    assert sorted(xs) == [1.0, 1.0, 2.0, 3.0]
    match xs[0]:
        case 3.0:
            pass
        case _:
            raise AssertionError
    xs.remove(2.0)
    assert xs == [3, 1, 1]
    assert operator.eq(xs[0], 3)
    assert operator.countOf(xs, 1) == 2


def test_numpy_and_pytest_compare_numbers():
    xs = np.array([Value(x) for x in (3.0, 1.0, 2.0, 1.0)], object)
    assert np.array_equal(xs, [3.0, 1.0, 2.0, 1.0])
    assert [x.item() for x in np.unique(xs)] == [1.0, 2.0, 3.0]
    assert (xs == 1.0).tolist() == [False, True, False, True]
    assert (xs != np.array([3, 1, 0, 0])).tolist() == [False, False, True, True]
    assert (Value(1.0) == np.array([1.0, 2.0])).tolist() == [True, False]
    assert (np.array([1.0, 2.0]) == Value(1.0)).tolist() == [True, False]
    assert isinstance(Value(1.0), numbers.Number)
    assert isinstance(Value(1.0), numbers.Complex)
    assert not isinstance(Value(1.0), numbers.Real)
    assert Value(0.1) + 0.2 == pytest.approx(0.3)
    assert Value(0.1) + 0.3 != pytest.approx(0.3)
    assert [Value(0.1) + 0.2] == pytest.approx([0.3])
    assert Value(math.nan) != pytest.approx(0.3)


def test_functions_that_compare_are_differentiated():
    sinc = lambda x: 1.0 if x == 0 else ag.sin(x) / x  # noqa: E731

    def halved(n):
        while n != 1.0:
            n = n / 2
        return n

    for f in (sinc, ag.compile(sinc)):
        assert by(f, 0.0) == (1.0, 0.0)
        assert by(f, 1.0) == pytest.approx((math.sin(1.0), math.cos(1.0) - math.sin(1.0)))
        assert by(f, -0.0) == (1.0, 0.0)
    for f in (halved, ag.compile(halved)):
        assert by(f, 8.0) == (1.0, 0.125)
        assert by(f, 2.0) == (1.0, 0.5)
        assert by(f, 1.0) == (1.0, 1.0)


def by(f, x):
    return f.value_and_grad(x) if hasattr(f, "value_and_grad") else ag.value_and_grad(f)(x)


BRANCHES = {
    "==": lambda x, y: x * 2.0 if x == y else x * y,
    "!=": lambda x, y: x * 2.0 if x != y else x * y,
    "== number": lambda x, y: x * 2.0 if x == 1 else x * y,
    "number !=": lambda x, y: x * 2.0 if x != 1 else x * y,
    "in": lambda x, y: x * 2.0 if x in (1.0, y) else x * y,
    "not in": lambda x, y: x * 2.0 if x not in [y, 2.0] else x * y,
    "index": lambda x, y: x * 2.0 if [y, 1.0, 0.0, 2.0, x].index(x) > 1 else x * y,
    "count": lambda x, y: x * [1.0, 1.0, y].count(x) + y,
    "lists": lambda x, y: x * 2.0 if [x, 1.0] == [y, y] else x * y,
    "tuples": lambda x, y: x * 2.0 if (x, y) <= (1.0, 1.0) else x * y,
    "array_equal": lambda x, y: x * 2.0 if np.array_equal(np.array([x, y], object), [1.0, 1.0]) else x * y,
    "10**400": lambda x, y: x * 2.0 if x == 10**400 else x * y,
    "text": lambda x, y: x * 2.0 if x == "1.0" else x * y,
}
POINTS = [0.0, -0.0, 1.0, 2.0, math.nan, math.inf]


@pytest.mark.parametrize("name", BRANCHES)
def test_fault_41_a_branch_is_that_of_the_number_eagerly_and_compiled(name):
    f = BRANCHES[name]
    compiled = ag.compile(f)
    for x in POINTS:
        for y in POINTS:
            right = f(x, y)
            for found in (f(Value(x), Value(y)).item(), compiled(x, y)):
                assert found == pytest.approx(right, nan_ok=True), (x, y)


def test_a_loss_that_looks_at_its_label():
    """N3b: trained compiled it must not call everything 0."""
    loss = lambda p, t: -ag.log_sigmoid(p) if t == 1 else -ag.log_sigmoid(-p)  # noqa: E731

    def trained(compiled):
        net = ag.MLP(1, [1], seed=0)
        ag.fit(net, [[-1.0], [1.0], [-2.0], [2.0]], [0, 1, 0, 1], loss=loss, epochs=3, batch_size=1, seed=0,
               optimizer=ag.optim.SGD(net.parameters(), 0.5), compiled=compiled)  # fmt: skip
        return [p.data for p in net.parameters()]

    try:
        found = trained(True)
    except RuntimeError as error:
        assert "branch" in str(error)  # noqa: PT017
    else:
        assert found == pytest.approx(trained(False))


@pytest.mark.parametrize("k", range(17))
def test_a_parameter_replaced_by_an_equal_one_is_noticed(k):
    net = ag.MLP(2, [3, 2], activation="tanh", seed=0)
    compiled = ag.compile(lambda x: ag.sum(net(x)), params=net)
    compiled.backward([0.5, -0.5])
    at = 0
    for layer in net.layers:
        for neuron in layer.neurons:
            for i, p in enumerate(neuron.w):
                if at == k:
                    neuron.w[i] = new = Parameter(p.data)
                at += 1
            if at == k:
                neuron.b = new = Parameter(neuron.b.data)
            at += 1
    assert at == 17
    assert new == net.parameters()[k]
    net.zero_grad()
    compiled.backward([0.5, -0.5])
    assert compiled.params[k] is new
    assert new.grad != 0.0
    for program in (ag.fold(ag.sum(net([0.5, -0.5]))), compiled):
        assert any(p is new for p in program.params)


def test_equal_leaves_in_two_places_are_two_leaves():
    """A structure that was folded before is not taken for one with equal numbers in other places."""
    a, b = Parameter(2.0), Parameter(2.0)
    assert ag.fold(a * b).params == [2.0, 2.0]
    square = ag.fold(a * a)
    square.backward()
    assert (len(square.params), a.grad, b.grad) == (1, 4.0, 0.0)
    x = Value(-0.5)
    for f in (lambda v: v**-0.5, lambda v: v ** (v * 0.0 - 0.5)):
        assert ag.fold(f(Value(4.0)))() == 0.5
    assert ag.fold(Value(4.0) ** x, inputs=[x])(2.0) == 16.0


# --- results that have left the graph ---------------------------------------------------------------------

LEFT = {
    "greater": lambda v: v > 0,
    "equal": lambda v: v == 1.0,
    "not equal": lambda v: v != 1.0,
    "bool": bool,
    "item": lambda v: v.item() ** 2,
    "data": lambda v: v.data * 2.0,
    "format": lambda v: float(f"{v:.17g}"),
    "int of a comparison": lambda v: int(v > 0),
    "index": [3.0, 1.0].index,
    "argmax": lambda v: int(np.argmax(np.array([v, 0.5], object))),
    "NumPy's argmax": lambda v: np.argmax(np.array([v, 0.5], object)),
    "NumPy's truth": lambda v: np.array([v, 0.5], object).any() == v,
    "backward": lambda v: ((v * v).backward(), v.grad)[1],
    "gradients": lambda v: ag.gradients(v * v, v),
    "copy": lambda v: copy.deepcopy(v).item(),
    "a list": lambda v: [v > 0, v < 0],
    "an array": lambda v: np.array([v.item(), 1.0]),
}
STAYED = {
    "constant": lambda v: 3.0,
    "whole constant": lambda v: 3,
    "branch": lambda v: 3.0 if v > 0 else v,
    "other number": lambda v: Value(2.0).item(),
    "other comparison": lambda v: 3.0 if Value(2.0) > 1.0 else 4.0,
}
TRANSFORMS = {
    "grad": lambda f: ag.grad(f)(1.0),
    "value_and_grad": lambda f: ag.value_and_grad(f)(1.0)[1],
    "jvp": lambda f: ag.jvp(f, 1.0, 1.0)[1],
    "vjp": lambda f: ag.vjp(f, 1.0)[1](1.0),
    "jacobian": lambda f: ag.jacobian(f)(1.0),
    "hessian": lambda f: ag.hessian(f)(1.0),
    "hvp": lambda f: ag.hvp(f, 1.0, 1.0),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", LEFT)
def test_fault_42_a_result_that_left_the_graph_is_refused(name, transform):
    with pytest.raises(TypeError, match=r"left the graph|one number"):
        TRANSFORMS[transform](LEFT[name])


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", STAYED)
def test_a_constant_has_derivative_0(name, transform):
    assert TRANSFORMS[transform](STAYED[name]) == 0.0


def test_results_of_arrays_that_left_the_graph():
    for f in (np.argmax, lambda x: x.tolist().index(max(x.tolist())), lambda x: bool((x > 0).all())):
        with pytest.raises(TypeError, match="left the graph"):
            ag.grad(f)(np.ones(2))
    # inside, where it counts for the outer derivative alone
    with pytest.raises(TypeError, match="left the graph"):
        ag.grad(lambda x: ag.grad(lambda y: y * x.item())(1.0) * 1.0)(2.0)


COPIES = {
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "of a node": lambda v: copy.deepcopy(v * v) / v,
    "in a dict": lambda v: copy.deepcopy({"a": [v, 2.0]})["a"][0],
    "in an array": lambda v: copy.deepcopy(np.array([v, 1.0]))[0],
    "of a chain": lambda v: copy.deepcopy([v * 2.0, v * 2.0 + v])[1] / 3.0,
}


@pytest.mark.parametrize("name", COPIES)
def test_a_gradient_flows_through_a_copy(name):
    """A float is its own copy, and JAX differentiates through one."""
    copied = COPIES[name]

    def f(v):
        return v * copied(v)

    assert (ag.grad(f)(3.0), ag.jvp(f, 3.0, 1.0)[1], ag.hessian(f)(3.0)) == (6.0, 6.0, 2.0)
    assert ag.compile(ag.grad(f))(3.0) == 6.0
    kept = Value(3.0)
    other = ag.grad(lambda v: v * copied(kept))  # what depends on nothing here is copied as ever
    assert other(2.0) == 3.0
    assert copy.copy(kept) is not kept  # and so is everything outside


def test_a_value_has_what_a_float_has():
    v, x = Value(2.5), 2.5
    assert [name for name in dir(float) if not hasattr(v, name)] == [
        "__getformat__",
        "__getnewargs__",
        "fromhex",
        "hex",
    ]
    for number in (2.0, -0.0, 2.5, 1e300, math.inf, -math.inf, math.nan):
        assert Value(number).is_integer() is number.is_integer()
    f = ag.compile(lambda u: u * 2.0 if u.is_integer() else -u)
    assert (f(2.0), f(2.5), f(4.0)) == (4.0, -2.5, 8.0)
    for read in (statistics.mean, statistics.stdev, statistics.fmean):
        with pytest.raises(TypeError, match="would drop the gradient of this Value"):
            read([v, Value(1.0)])
    assert statistics.median([v, Value(1.0), x]) == 2.5


def test_in_a_worker_thread_a_transform_knows_the_leaves_outside():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        f = lambda x: pool.submit(ag.grad(lambda y: y * y * x), 3.0).result()  # noqa: E731
        assert ag.grad(f)(2.0) == 6.0
        assert ag.grad(lambda x: sum(pool.map(lambda k: x * k, [1.0, 2.0])))(2.0) == 3.0
        with pytest.raises(TypeError, match="left the graph"):
            ag.grad(lambda x: pool.submit(lambda: x.item() ** 2).result())(2.0)
