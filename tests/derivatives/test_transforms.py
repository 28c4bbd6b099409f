"""grad, jvp, vjp, jacobian, hessian, hvp: forms of arguments, nesting, and what they refuse."""

import math
import sys
from collections import namedtuple
from fractions import Fraction

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.derivatives import jacobians
from autograd_lite.engine.trees import flatten

Point = namedtuple("Point", "x y")


def cube(x):
    return x**3


def weighted(v):
    return v[0] ** 2 * v[1] + ag.sin(v[1])


# --- forms -------------------------------------------------------------------------------------------


def test_a_float_in_a_float_out():
    for x in (2, 2.0, np.float64(2), np.float32(2), Fraction(2), np.array(2.0)):
        slope = ag.grad(cube)(x)
        assert type(slope) is float
        assert slope == 12.0


def test_sequences_keep_their_form():
    expected = [4.0, 1.0 + math.cos(2.0)]
    assert ag.grad(weighted)([1, 2.0]) == expected
    assert ag.grad(weighted)((1, 2.0)) == tuple(expected)
    assert ag.grad(weighted)(Point(1.0, 2.0)) == Point(*expected)
    assert type(ag.grad(weighted)(Point(1.0, 2.0))) is Point


def test_nested_sequences_with_arrays_in_them():
    def f(model):
        (w, b), scale = model
        return scale * (w[0] * w[1] + b)

    (dw, db), dscale = ag.grad(f)([(np.array([2.0, 3.0]), 4.0), 5.0])
    np.testing.assert_array_equal(dw, [15.0, 10.0])
    assert (db, dscale) == (5.0, 10.0)


@pytest.mark.parametrize("dtype", [float, np.float32, int, object])
def test_an_array_gives_a_float64_array_of_its_shape(dtype):
    x = np.array([[1, 2, 3], [4, 5, 6]], dtype=dtype)
    seen = []

    def f(a):
        seen.append((a.shape, a.dtype, type(a[0, 0])))
        return np.sum(a * a)

    slope = ag.grad(f)(x)
    assert seen == [((2, 3), np.dtype(object), ag.Value)]
    assert slope.dtype == np.float64
    np.testing.assert_array_equal(slope, [[2, 4, 6], [8, 10, 12]])


def test_an_empty_argument_has_an_empty_gradient():
    assert ag.grad(lambda v: 1.0)([]) == []
    assert ag.grad(lambda v: 1.0)(np.zeros(0)).shape == (0,)
    assert ag.hessian(lambda v: 1.0)(np.zeros(0)).shape == (0, 0)


def test_other_arguments_reach_f_as_they_are():
    def f(x, power, *, label):
        assert (type(power), label) == (int, "a")
        return x**power

    assert ag.grad(f)(2.0, 3, label="a") == 12.0
    assert ag.value_and_grad(f)(2.0, 3, label="a") == (8.0, 12.0)
    assert ag.hessian(f)(2.0, 3, label="a") == 12.0
    assert ag.jacobian(f)(2.0, 3, label="a") == 12.0


def test_argnum():
    def f(x, y):
        return x * x * y

    assert ag.grad(f, 1)(3.0, 5.0) == 9.0
    assert ag.grad(f, argnum=-1)(3.0, 5.0) == 9.0
    assert ag.grad(f, (0, 1))(3.0, 5.0) == (30.0, 9.0)
    assert ag.value_and_grad(f, argnum=1)(3.0, 5.0) == (45.0, 9.0)
    assert ag.hessian(f, argnum=0)(3.0, 5.0) == 10.0
    several = ag.grad(lambda x, y, z: x[0] * x[1] * y * z[0] * z[1] * z[2], (0, 1, 2))
    assert several([2.0, 3.0], 5.0, [7.0, 11.0, 13.0]) == ([15015.0, 10010.0], 6006.0, [4290.0, 2730.0, 2310.0])


def test_a_constant_function_has_zeros():
    assert ag.grad(lambda x: 7.0)(1.0) == 0.0
    assert ag.grad(lambda x: 7)([1.0, 2.0]) == [0.0, 0.0]
    assert ag.grad(lambda x: x[0])([1.0, 2.0]) == [1.0, 0.0]
    np.testing.assert_array_equal(ag.hessian(lambda x: 7.0)(np.ones(2)), np.zeros((2, 2)))
    np.testing.assert_array_equal(ag.jacobian(lambda x: [7.0, x[1]])(np.ones(2)), [[0, 0], [0, 1]])
    assert ag.jvp(lambda x: 7.0, 1.0, 1.0) == (7.0, 0.0)
    assert ag.vjp(lambda x: 7.0, 1.0)[1](1.0) == 0.0
    assert ag.hvp(lambda x: x[0], [1.0, 2.0], [1.0, 1.0]) == [0.0, 0.0]


def test_no_grad_outside_does_not_silence_a_transform():
    with ag.no_grad():
        assert ag.grad(cube)(2.0) == 12.0
        assert ag.hessian(cube)(2.0) == 12.0
        assert ag.jvp(cube, 2.0, 1.0) == (8.0, 12.0)
        assert ag.grad(ag.grad(cube))(2.0) == 12.0
        assert ag.Value(1.0).exp().is_leaf


def test_no_grad_touched():
    x = ag.Value(2.0)
    ag.grad(cube)(x)
    ag.hessian(cube)(x)
    assert x.grad == 0.0


# --- jacobians ---------------------------------------------------------------------------------------


def test_jacobian_shapes():
    x = np.array([2.0, 3.0])
    table = np.array([[3.0, 2.0], [1.0, 1.0]])

    def pair(v):
        return [v[0] * v[1], v[0] + v[1]]

    np.testing.assert_array_equal(ag.jacobian(pair)(x), table)
    np.testing.assert_array_equal(ag.jacobian(lambda v: np.array(pair(v)))(x), table)
    np.testing.assert_array_equal(ag.jacobian(lambda v: np.array([pair(v)]))(x), table[None])
    assert ag.jacobian(pair)([2.0, 3.0]) == table.tolist()
    assert ag.jacobian(lambda v: np.array(pair(v)))([2.0, 3.0]) == table.tolist()
    assert ag.jacobian(lambda v: tuple(pair(v)))([2.0, 3.0]) == tuple(table.tolist())
    np.testing.assert_array_equal(ag.jacobian(lambda v: v[0] * v[1])(x), [3.0, 2.0])
    assert ag.jacobian(lambda t: [t * t, 3 * t])(2.0) == [4.0, 3.0]
    np.testing.assert_array_equal(ag.jacobian(lambda t: np.array([t * t, 3 * t]))(2.0), [4.0, 3.0])
    assert ag.jacobian(lambda m: m * np.ones((2, 3)))(np.ones((2, 3))).shape == (2, 3, 2, 3)
    first, (second, third) = ag.jacobian(lambda v: [v[0], (v[1], [v[0] * v[1]])])(x)
    np.testing.assert_array_equal([first, second, third[0]], [[1, 0], [0, 1], [3, 2]])


def wide(v):  # 2 outputs of 40 numbers, every one used
    return [ag.sum(v[i] * (i + k) for i in range(len(v))) * v[k] for k in range(2)]


def tall(v):  # 40 outputs of 2 numbers, in a recurrence: each depends on all before it
    out = [v[0] * v[1]]
    for _ in range(39):
        out.append(ag.sin(out[-1]) + v[0])
    return out


def square(v):  # every output depends on every number
    total = ag.sum(v)
    for _ in range(30):
        total = ag.sin(total)
    return [total * x for x in v]


@pytest.mark.parametrize(("f", "n"), [(wide, 40), (tall, 2), (square, 60)])
def test_every_walk_gives_the_same_jacobian(f, n, monkeypatch):
    x = np.linspace(0.5, 1.5, n)
    chosen = ag.jacobian(f)(x)
    m = len(f(x))
    by_rows = np.array([ag.grad(lambda v, i=i: f(v)[i])(x) for i in range(m)])
    np.testing.assert_allclose(chosen, by_rows, rtol=1e-13, atol=1e-15)
    inputs = [ag.Value(t) for t in x]
    outputs = f(inputs)
    linear = jacobians._Linear(outputs, inputs)
    for walk in (linear.vector_rows, linear.forward_rows):
        for lanes in (7, 256):
            monkeypatch.setattr(jacobians, "LANES", lanes)
            table = np.zeros((m, n))
            for i, columns, row in walk(range(m)):
                table[i, columns] = row
            np.testing.assert_allclose(table, by_rows, rtol=1e-13, atol=1e-15)


def test_one_run_of_f_for_a_jacobian_and_for_a_hessian():
    runs = []

    def f(v):
        runs.append(1)
        return ag.sum(x * x * x for x in v)

    ag.hessian(f)(np.ones(20))
    ag.jacobian(lambda v: [f(v), f(v)])(np.ones(20))
    assert len(runs) == 3


def test_a_row_that_is_not_finite_follows_the_rules():
    """where(x > 0, sqrt(x), 0) at 0: the vector walks meet 0 * inf, which must be 0."""

    def f(v):
        return [ag.where(ag.greater(v[0], 0.0), ag.sqrt(v[0]), 0.0) * v[1] + v[1], ag.sqrt(v[0]) + v[1]]

    inputs = [ag.Value(0.0), ag.Value(2.0)]
    linear = jacobians._Linear(f(inputs), inputs)
    for walk in (linear.vector_rows, linear.forward_rows):
        table = [list(row) for _, _, row in walk(range(2))]
        assert table == [[0.0, 1.0], [math.inf, 1.0]]
    np.testing.assert_array_equal(ag.jacobian(f)(np.array([0.0, 2.0])), [[0.0, 1.0], [math.inf, 1.0]])
    # More inputs, of which an output takes two: now each row is a walk by itself.
    many = 2 * jacobians.FEW
    point = np.array([0.0, *[2.0] * (many - 1)])
    found = ag.jacobian(lambda v: [*f(v), *(v[k] * v[k - 1] for k in range(2, many))])(point)
    np.testing.assert_array_equal(found[:2, :2], [[0.0, 1.0], [math.inf, 1.0]])
    np.testing.assert_array_equal(found[2:], 2.0 * (np.eye(many) + np.eye(many, k=-1))[2:])


# --- hessians ----------------------------------------------------------------------------------------


def test_hessian_forms():
    table = [[4.0, 2.0], [2.0, -math.sin(2.0)]]
    np.testing.assert_allclose(ag.hessian(weighted)(np.array([1.0, 2.0])), table)
    assert ag.hessian(weighted)([1.0, 2.0]) == table
    assert ag.hessian(cube)(2.0) == 12.0
    assert ag.hessian(lambda m: np.sum(m * m))(np.ones((2, 3))).shape == (2, 3, 2, 3)


def banded(v):
    return ag.sum([(v[i + 1] - v[i] * v[i]) ** 2 for i in range(len(v) - 1)])


def arrow(v):
    return ag.sum([ag.sin(v[0]) * x * x for x in v])


def coupled(v):
    return ag.exp(ag.sum([x * x for x in v]) / len(v))


@pytest.mark.parametrize("f", [banded, arrow, coupled])
@pytest.mark.parametrize("n", [5, 60])
def test_sparse_is_dense_is_hvp(f, n):
    x = np.linspace(-1.0, 1.2, n)
    dense = ag.hessian(f)(x)
    np.testing.assert_allclose(dense, dense.T, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(ag.hessian(f, sparse=True)(x).toarray(), dense)
    v = np.cos(np.arange(n))
    np.testing.assert_allclose(ag.hvp(f, x, v), dense @ v, rtol=1e-10, atol=1e-12)


def gated(v):
    return ag.where(ag.greater(ag.sum(list(v)), 0.0), 1.0, 2.0) * banded(v) / len(v)


def chained(v):
    return sum((v[i + 1] - v[i] * v[i]) ** 2 for i in range(len(v) - 1)) / len(v) + 0.0 * ag.max(list(v))


def visited(f, n, monkeypatch):
    """(nodes that the rows of a Hessian visit, entries of the Hessian)."""
    x = [ag.Value(t) for t in np.linspace(-1.0, 1.2, n)]
    counts = []
    original = jacobians._Linear.row

    def counted(self, root):
        found = original(self, root)
        counts.append(len(found))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(jacobians._Linear, "row", counted)
        rows = list(jacobians.rows(ag.gradients(f(x), x, create_graph=True), x))
    assert len(counts) == n  # row by row to the end: cheaper than all together
    return sum(counts), sum(len(columns) for _, columns, _ in rows)


@pytest.mark.parametrize("f", [banded, gated, chained])
def test_a_banded_hessian_grows_with_its_band(f, monkeypatch):
    small, large = visited(f, 50, monkeypatch), visited(f, 500, monkeypatch)
    assert large[0] < 10.5 * small[0]
    assert large[1] < 10.5 * small[1] < 10.5 * 3 * 51


def test_sparse_hessian_of_many_variables_is_small():
    x = np.linspace(-1.0, 1.0, 3000)
    matrix = ag.hessian(banded, sparse=True)(x)
    assert matrix.shape == (3000, 3000)
    assert matrix.nnz <= 3 * 3000
    scipy_optimize = pytest.importorskip("scipy.optimize")

    def rosen(v):
        return ag.sum([100 * (v[i + 1] - v[i] ** 2) ** 2 + (1 - v[i]) ** 2 for i in range(len(v) - 1)])

    x = x[:200]
    np.testing.assert_allclose(ag.grad(rosen)(x), scipy_optimize.rosen_der(x), rtol=1e-12)
    np.testing.assert_allclose(ag.hessian(rosen)(x), scipy_optimize.rosen_hess(x), rtol=1e-12)


# --- forward mode, pulling back -----------------------------------------------------------------------


def test_jvp_and_vjp():
    def f(x, v):
        return [x * v[0], (v[1] * v[1],)]

    value, tangent = ag.jvp(f, (2.0, [3.0, 5.0]), (1.0, [0.0, 10.0]))
    assert (value, tangent) == ([6.0, (25.0,)], [3.0, (100.0,)])
    value, pull = ag.vjp(f, 2.0, np.array([3.0, 5.0]))
    dx, dv = pull([1.0, (0.5,)])
    assert (value, dx) == ([6.0, (25.0,)], 3.0)
    np.testing.assert_array_equal(dv, [2.0, 5.0])
    assert pull([0.0, (0.0,)])[0] == 0.0


def test_jvp_of_one_argument_needs_no_tuple():
    assert ag.jvp(cube, 2.0, 1.0) == ag.jvp(cube, (2.0,), (1.0,)) == (8.0, 12.0)
    value, tangent = ag.jvp(lambda v: v * v, np.array([1.0, 2.0]), np.array([1.0, 0.5]))
    np.testing.assert_array_equal([value, tangent], [[1, 4], [2, 2]])


@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (lambda x: ag.where(ag.greater(x, 0.0), ag.sqrt(x), 0.0), 0.0, 0.0),
        (lambda x: ag.where(ag.greater(x, 0.0), ag.sqrt(x), 0.0), -1.0, 0.0),
        (lambda x: ag.sqrt(x) * 0.0, 0.0, 0.0),
        (lambda x: ag.sqrt(ag.relu(x)), -1.0, 0.0),
        (lambda x: ag.sqrt(x * 0.0), 1.0, math.nan),
        (lambda x: ag.sqrt(x) - ag.sqrt(x), 0.0, None),
        (lambda x: (lambda s: s - s)(ag.sqrt(x)), 0.0, 0.0),
        (ag.log, 0.0, math.inf),
        (lambda x: ag.maximum(x, x * 1.0), 2.0, 1.0),
    ],
)
def test_forward_mode_follows_the_edge_cases_of_reverse_mode(f, x, slope):
    reverse, forward = ag.grad(f)(x), ag.jvp(f, x, 1.0)[1]
    np.testing.assert_equal(forward, reverse)
    if slope is not None:
        np.testing.assert_equal(forward, slope)
    if not math.isnan(reverse):  # as a graph, a factor of 0.0 that no input can change is left out
        nested = ag.grad(lambda t: ag.jvp(f, x, t)[1])(1.0)  # linear in the direction
        np.testing.assert_equal(nested, reverse)
        np.testing.assert_equal(ag.jvp(f, x, ag.Value(1.0))[1].item(), reverse)


# --- nesting ------------------------------------------------------------------------------------------


def test_orders_one_to_five_by_every_mixture_of_modes():
    def forward(f):
        return lambda x: ag.jvp(f, x, 1.0)[1]

    def pulled(f):
        return lambda x: ag.vjp(f, x)[1](1.0)

    modes = (ag.grad, forward, pulled, ag.jacobian)
    layers = {(): lambda x: ag.exp(ag.sin(x))}
    s, c, e = math.sin(0.7), math.cos(0.7), math.exp(math.sin(0.7))
    truth = [
        e,
        c * e,
        (c * c - s) * e,
        (c**3 - 3 * s * c - c) * e,
        (c**4 - 6 * s * c * c - 4 * c * c + 3 * s * s + s) * e,
    ]
    for order in range(1, 5):
        layers = {(*names, m.__name__): m(f) for names, f in layers.items() for m in modes}
        for names, f in layers.items():
            assert f(0.7) == pytest.approx(truth[order], rel=1e-12), names
    assert ag.grad(ag.grad(ag.grad(ag.grad(ag.grad(lambda x: x**5)))))(1.5) == pytest.approx(120.0)


def test_nested_derivatives_are_not_confused():
    """d/dx [x * d/dy (x + y)] is 1, whatever y is, by every mixture of modes."""

    def forward(f):
        return lambda x: ag.jvp(f, x, 1.0)[1]

    for inner in (ag.grad, forward, ag.jacobian):
        for outer in (ag.grad, forward, ag.jacobian):
            for y in (lambda x: 1.0, lambda x: x, lambda x: x * x):
                assert outer(lambda x, i=inner, y=y: x * i(lambda t: x + t)(y(x)))(3.0) == 1.0
            # the inner answer depends on x through f alone, through the point alone, and through both
            assert outer(lambda x, i=inner: x * i(lambda t: x * t)(1.0))(3.0) == 6.0
            assert outer(lambda x, i=inner: i(lambda t: t**3)(x))(3.0) == 18.0
            assert outer(lambda x, i=inner: i(lambda t: x * t * t)(x))(3.0) == 12.0


def test_derivatives_of_jacobian_hessian_and_hvp():
    x = np.array([1.0, 2.0])

    def trace_of_hessian(v):
        table = ag.hessian(weighted)(v)
        return table[0, 0] + table[1, 1]

    np.testing.assert_allclose(ag.grad(trace_of_hessian)(x), [0.0, 2.0 - math.cos(2.0)])
    third = ag.jacobian(ag.hessian(weighted))(x)
    assert third.shape == (2, 2, 2)
    np.testing.assert_allclose(third, [[[0, 2], [2, 0]], [[2, 0], [0, -math.cos(2.0)]]])
    np.testing.assert_allclose(ag.hessian(ag.grad(cube))(2.0), 6.0)
    assert ag.hessian(ag.hessian(lambda t: t**5))(2.0) == 240.0
    np.testing.assert_allclose(ag.jacobian(lambda v: ag.hvp(weighted, v, [1.0, 0.0]))(x), [[0, 2], [2, 0]])
    np.testing.assert_allclose(ag.jacobian(lambda v: ag.hvp(weighted, x, v))(x), ag.hessian(weighted)(x))


def test_inside_a_graph_the_answer_is_values():
    x = ag.Value(2.0)
    slope = ag.grad(cube)(x)
    assert isinstance(slope, ag.Value)
    slope.backward()
    assert x.grad == 12.0
    penalty = ag.sum(g * g for g in ag.grad(lambda v: v[0] * v[1] * x)([ag.Value(3.0), 5.0]))
    assert ag.gradients(penalty, x) == 2 * 2.0 * (3.0**2 + 5.0**2)
    value, slope = ag.value_and_grad(lambda t: 4.0)(x)
    assert (value.item(), slope.item()) == (4.0, 0.0)
    array = ag.grad(lambda v: v[0] * v[1])(np.array([x, x]))
    assert array.dtype == object
    assert [g.item() for g in array] == [2.0, 2.0]


def test_parameters_closed_over_make_the_answer_values_and_keep_their_grad():
    w = ag.Parameter(3.0)
    assert ag.grad(lambda x: w * x * x)(2.0).item() == 12.0
    assert ag.grad(lambda x: w * x * x, create_graph=False)(2.0) == 12.0
    assert w.grad == 0.0


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: ag.grad(3.0), None, None),
        (lambda: ag.grad(lambda x: [x, x])(1.0), TypeError, "ag.jacobian"),
        (lambda: ag.grad(lambda x: np.array([x, x]))(1.0), TypeError, "ag.jacobian"),
        (lambda: ag.hessian(lambda x: (x,))(1.0), TypeError, "hessian: f must give one number"),
        (lambda: ag.grad(cube)("2"), TypeError, "argument 0"),
        (lambda: ag.grad(cube)([1.0, "a"]), TypeError, r"argument 0\[1\]: expected numbers.* got str 'a'"),
        (lambda: ag.grad(cube)({"a": {1.0}}), TypeError, r"argument 0\['a'\].*lists, tuples, dicts, dataclasses"),
        (lambda: ag.grad(cube)(None), TypeError, "argument 0: expected numbers"),
        (lambda: ag.grad(cube)(1 + 2j), TypeError, "complex"),
        (lambda: ag.grad(cube)(np.array([1 + 2j])), TypeError, "complex"),
        (lambda: ag.grad(lambda x: None)(1.0), TypeError, "the result of f"),
        (lambda: ag.grad(cube, argnum="x"), TypeError, "argnum"),
        (lambda: ag.grad(cube, argnum=True), TypeError, "argnum"),
        (lambda: ag.grad(cube, argnum=1)(2.0), TypeError, "no argument 1"),
        (lambda: ag.grad(cube)(x=2.0), TypeError, "no argument 0; f was called with 0 by position: give what"),
        (lambda: ag.jvp(cube, (2.0,), ([1.0, 2.0],)), ValueError, "the tangent of argument 0"),
        (lambda: ag.jvp(cube, (2.0,), (1.0, 1.0)), ValueError, "1 primals"),
        (lambda: ag.jvp(weighted, [1.0, 2.0], [1.0]), ValueError, r"\(1,\).*\(2,\)"),
        (lambda: ag.hvp(weighted, [1.0, 2.0], [1.0, 2.0, 3.0]), ValueError, "hvp: v has 3 numbers"),
        (lambda: ag.vjp(lambda x: [x, x], 1.0)[1](1.0), ValueError, "the weights"),
        (lambda: ag.grad(lambda x: ag.hessian(banded, sparse=True)([x, x]))(1.0), TypeError, "sparse"),
    ],
)
def test_refusals_name_the_argument_and_the_way_out(call, kind, says):
    if kind is None:
        with pytest.raises(TypeError, match="f must be a function"):
            call()(1.0)
    else:
        with pytest.raises(kind, match=says):
            call()


def test_a_long_chain():
    def f(x):
        for _ in range(100_000):
            x = x * 1.00001
        return x

    assert ag.grad(f)(1.0) == pytest.approx(math.exp(1.0), rel=1e-4)
    assert ag.jvp(f, 1.0, 1.0)[1] == ag.grad(f)(1.0)


def test_deep_nesting_of_sequences():
    x = 2.0
    for _ in range(20_000):
        x = [x]

    def f(v):
        while isinstance(v, list):
            v = v[0]
        return v * v

    slope = ag.grad(f)(x)
    while isinstance(slope, list):
        slope = slope[0]
    assert slope == 4.0


# --- which argument -----------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [ag.grad, ag.value_and_grad])
@pytest.mark.parametrize(("argnum", "words"), [((0, 0), "argument 0 twice"), ((0, -2), "argument 0 as 0 and as -2")])
def test_an_argument_named_twice_is_refused(transform, argnum, words):
    """Each would get a share of the gradient, and none of them the whole."""
    with pytest.raises(ValueError, match=f"{transform.__name__}: argnum names {words}"):
        transform(lambda x, y: x * y**2, argnum)(2.0, 3.0)


def test_arguments_counted_from_the_end_and_in_any_order():
    assert ag.grad(lambda x, y: x * y**2, (-1, 0))(2.0, 3.0) == (12.0, 9.0)


@pytest.mark.parametrize("transform", [ag.hessian, ag.jacobian])
@pytest.mark.parametrize("argnum", ["a", True, (), (True,), 0.0, np.array([0, 1])])
def test_positions_for_matrices(transform, argnum):
    with pytest.raises(TypeError, match=f"{transform.__name__}: argnum must be the position of an argument"):
        transform(lambda x, y: x * y, argnum=argnum)
    assert transform(lambda x, y: x * x * y, argnum=(0,))(3.0, 5.0) in ((30.0,), ((10.0,),))


def test_argnum_by_name_is_refused():
    with pytest.raises(TypeError, match=r"must be the position of an argument \(0 for the first\).*got str 'a'"):
        ag.grad(lambda a: a, "a")


def test_hvp_of_a_function_of_two_arguments_says_how():
    f = lambda x, y: x * y  # noqa: E731
    with pytest.raises(TypeError, match=r"hvp: f must take one argument, and this one takes 2"):
        ag.hvp(f, (2.0, 3.0), (1.0, 0.0))
    assert ag.hvp(lambda x: f(*x), (2.0, 3.0), (1.0, 0.0)) == (0.0, 1.0)


def test_blocks_of_a_jacobian_are_arrays_of_floats():
    v = np.array([1.0, 2.0])
    whole, first = ag.jacobian(lambda v: (v * v, v[0]))(v)
    assert whole.dtype == first.dtype == float
    np.testing.assert_array_equal(whole, [[2.0, 0.0], [0.0, 4.0]])
    np.testing.assert_array_equal(first, [1.0, 0.0])
    square = np.array([[1.0, 2.0], [3.0, 4.0]])
    (block, row) = ag.jacobian(lambda a: (a.T, a[0]))(square)
    assert block.shape == (2, 2, 2, 2)
    assert row.shape == (2, 2, 2)
    assert block[0, 1, 1, 0] == 1.0
    assert block.sum() == 4.0


def test_blocks_of_a_hessian_in_an_array_and_a_number():
    (aa, ab), (ba, bb) = ag.hessian(lambda t: ag.sum(t[0] * t[0]) * t[1] ** 2)((np.array([1.0, 2.0]), 3.0))
    for block, expected in ((aa, [[18.0, 0.0], [0.0, 18.0]]), (ab, [12.0, 24.0]), (ba, [12.0, 24.0])):
        assert block.dtype == float
        np.testing.assert_array_equal(block, expected)
    assert bb == 10.0


def test_blocks_within_a_graph_hold_values():
    def of(scale):
        return ag.jacobian(lambda v: (v * v * scale, v[0]))(np.array([1.0, 2.0]))[0].sum()

    assert ag.grad(of)(3.0) == 6.0


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (lambda: np.asmatrix([[1.0, 2.0]]), r"got a numpy.matrix; give np.asarray\(x\)"),
        (lambda: np.ma.masked_array([1.0, 2.0], [False, True]), r"got a masked one .* x.compressed\(\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_kinds_of_arrays_that_are_refused_by_their_name(x, says):
    with pytest.raises(TypeError, match=says):
        ag.grad(lambda v: v[0])(x())


def test_sparse_without_scipy_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(
        ImportError, match=r"hessian\(sparse=True\) needs SciPy: pip install 'autograd_lite\[scipy\]', or leave sparse"
    ):
        ag.hessian(banded, sparse=True)([1.0, 2.0, 3.0])
    assert len(ag.hessian(banded)([1.0, 2.0, 3.0])) == 3


@pytest.mark.parametrize(("outputs", "walk"), [(300, "forward_rows"), (40, "vector_rows")])
def test_inputs_that_nothing_depends_on_when_rows_are_taken_together(outputs, walk, monkeypatch):
    """An input that is not used, and one that a single output uses; both walks, and the rows one by one."""
    inputs = [ag.Value(0.1 * i + 0.5) for i in range(20 if walk == "forward_rows" else 40)]
    shared = ag.sum([ag.sin(x) for x in inputs[2:] for _ in range(10)])
    results = [shared * float(k) for k in range(1, outputs)] + [inputs[1] * 7.0]
    taken = []
    original = getattr(jacobians._Linear, walk)
    monkeypatch.setattr(jacobians._Linear, walk, lambda self, left: taken.append(left) or original(self, left))
    found = jacobians.dense(results, inputs)
    assert taken
    expected = np.zeros((outputs, len(inputs)))
    expected[:-1, 2:] = np.outer(np.arange(1, outputs), [10 * math.cos(x.item()) for x in inputs[2:]])
    expected[-1, 1] = 7.0
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_array_without_axes_may_hold_a_value():
    assert ag.jacobian(lambda x: [np.array(x * 2.0, dtype=object), x])(3.0) == [2.0, 1.0]


def test_hvp_of_a_function_that_does_not_tell_its_arguments():
    assert ag.hvp(max, (3.0, 5.0), (1.0, 1.0)) == (0.0, 0.0)  # of the one sequence


def test_a_stale_node_is_refused_in_forward_mode_too():
    w = ag.Value(2.0)
    y = w * w
    slope = ag.grad(lambda x: ag.jvp(lambda z: y * z * z, (x,), (1.0,))[1])
    assert slope(3.0) == 8.0
    w.data = 5.0
    with pytest.raises(RuntimeError, match=r"has changed since .*compute the expression again"):
        slope(3.0)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 12])
def test_a_jacobian_of_few_inputs_writes_its_graph_down_once(n, monkeypatch):
    walks = []
    original = jacobians.linear_steps
    monkeypatch.setattr(jacobians, "linear_steps", lambda *args: walks.append(args) or original(*args))
    x = np.linspace(0.5, 1.5, n)

    def f(v):
        outputs, state = [7.0, v[-1]], v[0]
        for k in range(20):
            state = ag.sin(state) * v[k % n] + ag.sum([*v, 1.0])
            outputs.append(state)
        return outputs

    found = ag.jacobian(f)(x)
    assert len(walks) == 1
    by_rows = np.array([ag.grad(lambda v, i=i: f(v)[i])(x) for i in range(22)])
    np.testing.assert_allclose(found, by_rows, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(ag.jacobian(lambda v: [ag.sum(v * v)])(x), [2 * x])
    assert len(walks) == 1  # a single row is a backward pass


def test_few_inputs_of_which_one_has_an_infinite_slope():
    """0 * inf of one lane must not spoil the other."""
    x = np.array([0.0, 2.0, 3.0])
    found = ag.jacobian(lambda v: [ag.sqrt(v[0]) + v[1] * v[2], v[1] * v[2], ag.relu(-v[1]) * ag.sqrt(v[0]) + v[2]])(x)
    np.testing.assert_array_equal(found, [[math.inf, 3.0, 2.0], [0.0, 3.0, 2.0], [0.0, -0.0, 1.0]])


# --- the forms of trees ---------------------------------------------------------------------------------


def test_a_treedef_prints_itself():
    def form(x):
        return repr(flatten(x, "x")[1])

    assert form(1.0) == "TreeDef(*)"
    assert form(np.zeros((3, 2))) == "TreeDef(array(3, 2))"
    assert form([1, (2,), [], Point(3, [np.ones(2)])]) == "TreeDef([*, (*,), [], Point(*, [array(2,)])])"


def test_treedefs_are_equal_whatever_the_kind_of_sequence():
    assert flatten([1, (2, 3)], "x")[1] == flatten((4, [5, 6]), "x")[1]
    assert flatten([1, 2], "x")[1] != flatten([1, [2]], "x")[1]
    assert flatten([1, [np.ones((1, 2))]], "x")[1].paths == ["[0]", "[1][0][0, 0]", "[1][0][0, 1]"]
    assert [flatten(x, "x")[1].shape for x in (1.0, [[1, 2]], [1, [2]], [np.ones(3)] * 2)] == [(), (1, 2), None, (2, 3)]
