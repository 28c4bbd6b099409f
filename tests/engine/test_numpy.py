"""Values among NumPy's scalars and arrays: operators on either side, ufuncs, products, reductions."""

import operator

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.value import Value

NUMPY_SCALARS = [np.float64(2), np.float32(2), np.float16(2), np.int64(2), np.uint8(2), np.array(2.0)]
OPERATORS = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: a**b,
]


def values(array):
    """An object array of Values in the shape of an array of numbers."""
    out = np.empty(np.shape(array), dtype=object)
    for index, x in np.ndenumerate(array):
        out[index] = Value(x)
    return out


def data(array):
    """The numbers of an object array of Values; each is a float and nothing else."""
    assert array.dtype == object
    assert all(type(v) is Value and type(v.data) is float for v in array.flat)
    return np.array([v.data for v in array.flat]).reshape(array.shape)


@pytest.mark.parametrize("scalar", NUMPY_SCALARS, ids=lambda s: f"{type(s).__name__}-{s.dtype}")
@pytest.mark.parametrize("operate", OPERATORS)
def test_scalars_on_either_side_give_a_value_that_holds_a_float(scalar, operate):
    for y, true in ((operate(scalar, Value(3.0)), operate(2.0, 3.0)), (operate(Value(3.0), scalar), operate(3.0, 2.0))):
        assert type(y) is Value
        assert type(y.data) is float
        assert y.data == true
        assert all(type(d) is float for d in y.local_grads)
        assert all(type(x.data) is float for x in y.operands)


@pytest.mark.parametrize("scalar", NUMPY_SCALARS, ids=lambda s: f"{type(s).__name__}-{s.dtype}")
def test_scalars_compare_with_values(scalar):
    v = Value(3.0)
    for outcome in (v > scalar, scalar < v, v >= scalar, scalar <= v):
        assert outcome
    for outcome in (v < scalar, scalar > v, v <= scalar, scalar >= v):
        assert not outcome


@pytest.mark.parametrize("operate", OPERATORS)
def test_arrays_on_either_side_give_an_array_of_values(operate):
    numbers, v = np.array([[1.0, 2.0], [0.5, 4.0]]), Value(3.0)
    assert (data(operate(numbers, v)) == operate(numbers, 3.0)).all()
    assert (data(operate(v, numbers)) == operate(3.0, numbers)).all()
    assert data(operate(values(numbers), numbers)) == pytest.approx(operate(numbers, numbers))
    assert data(operate(numbers, values(numbers))) == pytest.approx(operate(numbers, numbers))
    assert (data(operate(np.array([1, 2]), v)) == operate(np.array([1.0, 2.0]), 3.0)).all()


def test_comparisons_of_arrays_give_booleans():
    numbers = np.array([1.0, 3.0, 5.0])
    assert (values(numbers) > 3.0).tolist() == [False, False, True]
    assert (values(numbers) <= numbers).tolist() == [True, True, True]
    assert (Value(3.0) >= numbers).tolist() == [True, True, False]
    v = Value(1.0)
    assert v == 1.0
    assert (values(numbers) == numbers).all()
    assert v in {v}  # by identity: an equal one is another key
    assert Value(1.0) not in {v}


# fmt: off
UFUNCS = [
    np.exp, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sqrt, np.cbrt, np.sin, np.cos, np.tan,
    np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh, np.arccosh, np.arctanh,
    np.absolute, np.negative, np.square, np.reciprocal, np.floor, np.ceil,
]
# fmt: on


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
def test_ufunc_on_a_value_and_on_an_array_of_them(ufunc):
    numbers = np.array([0.25, 0.5]) + (ufunc is np.arccosh)
    assert data(ufunc(values(numbers))) == pytest.approx(ufunc(numbers), rel=1e-15)
    x = Value(numbers[0])
    y = ufunc(x)
    assert type(y) is Value
    assert y.data == pytest.approx(float(ufunc(numbers[0])), rel=1e-15)
    step = 1e-6
    slope = (ufunc(numbers[0] + step) - ufunc(numbers[0] - step)) / (2 * step)
    assert ag.gradients(y, x) == pytest.approx(slope, rel=1e-8)


@pytest.mark.parametrize("name", ["arctan2", "hypot", "maximum", "minimum", "add", "multiply", "power", "true_divide"])
def test_ufunc_of_two(name):
    ufunc = getattr(np, name)
    a, b = np.array([0.25, 0.5]), np.array([0.75, 0.125])
    assert data(ufunc(values(a), values(b))) == pytest.approx(ufunc(a, b), rel=1e-15)
    assert data(ufunc(values(a), Value(0.75))) == pytest.approx(ufunc(a, 0.75), rel=1e-15)


def test_every_ufunc_that_has_a_function_here_has_its_method():
    for name in dir(np):
        ufunc = getattr(np, name)
        name = getattr(ufunc, "__name__", "")  # that of the method which it looks for
        here = {"absolute": "abs"}.get(name, name.replace("arc", "a"))
        if isinstance(ufunc, np.ufunc) and here in ag.engine.functions.FUNCTIONS:
            operators = {"abs", "floor", "ceil", "sign", "greater", "greater_equal", "less", "less_equal", "equal",
                         "not_equal", "floor_divide", "remainder", "mod", "heaviside"}  # fmt: skip
            assert here in operators or hasattr(Value, name), name


def test_matrix_products_on_either_side():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(2, 3)), rng.normal(size=(3, 2)), rng.normal(size=3)
    for left, right in ((values(a), b), (a, values(b)), (values(a), values(b)), (values(a), c), (c, values(b))):
        expected = np.vectorize(lambda x: x.data if isinstance(x, Value) else x, otypes=[float])
        assert data(left @ right) == pytest.approx(expected(left) @ expected(right))
        assert data(np.dot(left, right)) == pytest.approx(expected(left) @ expected(right))
    w = values(a)
    (w @ b).sum().backward()
    assert np.array([[v.grad for v in row] for row in w]) == pytest.approx(np.tile(b.sum(axis=1), (2, 1)))


def test_reductions():
    numbers = np.arange(6.0).reshape(2, 3)
    x = values(numbers)
    assert np.sum(x).data == x.sum().data == 15.0
    assert np.mean(x).data == x.mean().data == 2.5
    assert (data(np.sum(x, axis=0)) == numbers.sum(axis=0)).all()
    assert (data(np.mean(x, axis=1)) == numbers.mean(axis=1)).all()
    assert np.max(x).data == 5.0
    assert np.prod(x + 1).data == 720.0
    assert (data(np.cumsum(x)) == np.cumsum(numbers)).all()
    np.mean(x).backward()
    assert {v.grad for v in x.flat} == {1 / 6}
    assert ag.sum(x.ravel()).data == 15.0
    assert ag.dot(x[0], numbers[0]).data == 5.0


def test_arrays_are_sequences_for_the_functions_of_one_sequence():
    numbers = np.array([1.0, 2.0, 4.0])
    for name in ("sum", "prod", "mean", "max", "min", "norm", "logsumexp"):
        function = getattr(ag, name)
        assert function(values(numbers)).data == function(numbers) == function(numbers.tolist())
        assert type(function(numbers)) is float
        assert type(function(numbers.astype(np.float32))) is float
    assert all(type(x) is float for x in ag.softmax(numbers))


def test_no_numpy_number_stays_inside():
    x = Value(np.float64(0.5), name="x")
    x.grad = np.float64(1.5)
    x.backward(np.float64(2.0))
    w = ag.Parameter(np.float32(0.5))
    w.data = np.float64(0.25)
    mixed = [
        x * np.float64(3),
        np.float64(3) / x,
        ag.sum([x, np.float64(1)]),
        ag.dot([x], [np.float64(2)], bias=np.float64(3)),
        ag.clamp(x, np.float64(0), np.int64(1)),
        ag.where(np.bool_(True), x, np.float64(2)),
        ag.maximum(np.float64(3), x),
    ]
    for y in [x, w, *mixed]:
        assert type(y.data) is float
        assert type(y.grad) is float
        assert all(type(d) is float for d in y.local_grads)
        assert all(type(v.data) is float for v in y.operands)


def test_there_is_no_array_protocol_to_surprise_with():
    v = Value(1.0)
    for attribute in ("__len__", "__iter__", "__array_interface__"):
        assert not hasattr(v, attribute)
    with pytest.raises(TypeError, match="a Value cannot be a count or an index"):
        operator.index(v)
    for made in (np.array([v, v]), np.array([[v, 0.5]], dtype=object)[0], np.asarray([v, v])):
        assert made.dtype == object
        assert type(made) is np.ndarray
        assert made[0] is v
    for made in (np.array(v), np.asarray(v)):
        assert made.shape == ()
        assert made.item() is v


@pytest.mark.parametrize(
    ("name", "hint"), [("sum", r"np\.sum\(xs\)"), ("prod", r"np\.prod"), ("logsumexp", r"np\.ravel\(xs\)")]
)
def test_a_sequence_of_rows_is_refused_with_the_way_out(name, hint):
    rows = np.array([[ag.Value(1.0), ag.Value(2.0)], [ag.Value(3.0), ag.Value(4.0)]])
    with pytest.raises(
        TypeError, match=rf"{name}: element 0 must be a number, and it is an array of shape \(2,\); .*{hint}"
    ):
        getattr(ag, name)(rows)
    assert getattr(ag, name)(np.ravel(rows)).item() > 4.0
