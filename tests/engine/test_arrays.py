"""ag.array and NumPy's functions: docs/NUMPY.md line by line, what is refused, and how a Value meets NumPy."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from scipy import special

import autograd_lite as ag
from autograd_lite.arrays.counterparts import COUNTERPARTS
from autograd_lite.arrays.scalars import SCALARS
from autograd_lite.engine.rules import TABLE

TEXT = (Path(__file__).parents[2] / "docs" / "NUMPY.md").read_text()


def calls(*sections):
    """The expressions of the tables under these headings."""
    for section in sections:
        body = TEXT.split(f"## {section}\n")[1].split("\n## ")[0]
        for line in body.splitlines():
            if line.startswith("|") and "`" in line:
                yield from re.findall(r"`([^`]+)`", line[: line.rindex("|", 0, -1)])


GRAPH = list(calls("Element by element", "Reductions", "Products and linear algebra", "Assembly"))
LEFT = list(calls("What leaves the graph"))

POINT = {
    "x": np.array([0.3, -1.2, 2.1, 0.7]),
    "p": np.array([0.4, 1.3, 2.2, 0.9]),
    "A": np.array([[2.1, 0.3, -0.4], [0.5, 1.7, 0.2], [-0.6, 0.8, 2.6]]),
}
CONSTANT = {"y": np.array([0.9, 0.45, -1.5, 1.1]), "b": np.array([1.0, -2.0, 0.5]), "np": np, "ag": ag}
ROWS = {
    "exp2": "exp2",
    "trunc": "trunc",
    "fix": "trunc",
    "rint": "rint",
    "round": "rint",
    "mod": "mod",
    "remainder": "mod",
}
ROWS |= {"fmod": "mod", "floor_divide": "floor_divide", "sinc": "sinc", "heaviside": "heaviside"}
ROWS |= dict.fromkeys(("degrees", "rad2deg"), "degrees") | dict.fromkeys(("radians", "deg2rad"), "radians")


def needs_a_row(expression):
    """The primitive that a call stands on, where the table may not have it."""
    name = re.match(r"np\.(\w+)\(", expression)
    return ROWS.get(name[1]) if name else None


def runnable(expressions):
    for expression in expressions:
        missing = (needs_a_row(expression) or "exp") not in TABLE or (
            "trapezoid" in expression and not hasattr(np, "trapezoid")
        )
        yield (
            pytest.param(expression, marks=pytest.mark.skip(reason="no such primitive or function"))
            if missing
            else expression
        )


def variable(expression):
    return next(name for name in "Apx" if re.search(rf"\b{name}\b", expression))


def run(expression, name, value):
    return eval(expression, {**POINT, **CONSTANT, name: value})


def weighted(expression, name, value):
    """The results of a call, each times a weight of its own, as one number."""
    flat = np.ravel(run(expression, name, value)).tolist()
    return ag.sum([x * math.cos(k + 1.0) for k, x in enumerate(flat)])


def differences(f, x, h=1e-3):
    """The gradient by differences of the sixth order."""
    found = np.empty(x.shape)
    for place in np.ndindex(x.shape):

        def at(step, place=place):
            moved = x.copy()
            moved[place] += step
            return f(moved)

        found[place] = (45 * (at(h) - at(-h)) - 9 * (at(2 * h) - at(-2 * h)) + (at(3 * h) - at(-3 * h))) / (60 * h)
    return found


def number(y):
    return y.item() if isinstance(y, ag.Value) else float(y)


@pytest.mark.parametrize("expression", list(runnable(GRAPH)))
def test_a_call_of_the_table_has_its_value_and_gradient(expression):
    name = variable(expression)
    at = POINT[name]
    plain = run(expression, name, at)
    values = ag.array(np.vectorize(ag.Value, otypes=[object])(at))
    result = run(expression, name, values)
    assert np.shape(result) == np.shape(plain)
    np.testing.assert_allclose(
        [number(y) for y in np.ravel(result).tolist()], np.ravel(plain).astype(float), rtol=1e-12, atol=1e-14
    )
    if np.ndim(plain):
        assert type(result) is ag.array
        assert all(type(y) is float or isinstance(y, ag.Value) for y in result.ravel().tolist())
    gradient = ag.grad(lambda x: weighted(expression, name, x))(at)
    assert type(gradient) is np.ndarray
    assert gradient.dtype == float
    expected = differences(lambda x: float(weighted(expression, name, x)), at)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8)
    # floats among the Values, in either place
    for first in (0, 1):
        mixed = values.copy()
        for k in range(first, at.size, 2):
            mixed[np.unravel_index(k, at.shape)] = at.flat[k]
        y = weighted(expression, name, mixed)
        kept = [k for k in range(at.size) if isinstance(mixed.flat[k], ag.Value)]
        found = ag.gradients(y, [mixed.flat[k] for k in kept]) if isinstance(y, ag.Value) else [0.0] * len(kept)
        np.testing.assert_allclose(found, gradient.ravel()[kept], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("expression", list(runnable(GRAPH)))
def test_a_call_of_the_table_compiles(expression):
    name = variable(expression)
    at = POINT[name]
    f = ag.compile(lambda x: weighted(expression, name, x))
    for x in (at, at * 1.01 + 0.003):
        value, gradient = f.value_and_grad(x)
        expected, slope = ag.value_and_grad(lambda x: weighted(expression, name, x))(x)
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(gradient, slope, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("expression", LEFT)
def test_what_leaves_the_graph_is_as_in_numpy(expression):
    name = variable(expression)
    values = ag.array(np.vectorize(ag.Value, otypes=[object])(POINT[name]))
    result, plain = run(expression, name, values), run(expression, name, POINT[name])
    assert np.asarray(result).dtype == np.asarray(plain).dtype
    assert np.array_equal(result, plain)
    f = ag.compile(
        lambda x: ag.sum([1.0 * z for z in np.ravel(run(expression, name, x)).tolist()]) + 0.0 * x.ravel()[0]
    )
    for sign in (1.0, -1.0):  # the other way of each answer: guarded
        at = sign * POINT[name]
        assert f(at) == float(np.sum(run(expression, name, at)))


def test_the_table_names_every_counterpart_and_ufunc():
    told = set(re.findall(r"np\.((?:linalg\.)?\w+)", TEXT))
    silent = {"around", "amin", "ptp", "nonzero", "flatnonzero", "argwhere", "shape", "ndim", "size", "real", "imag"}
    silent |= {"isreal", "iscomplexobj", "isrealobj", "empty_like", "linalg.vector_norm", "linalg.matrix_norm"}
    assert set(COUNTERPARTS) - told - silent == set()
    operators = {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "negative", "positive"}
    operators |= {"logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor"}
    other = {"absolute", "conjugate", "float_power", "ldexp", "invert"}
    assert set(SCALARS) - told - operators - other == set()


# --- from the findings ------------------------------------------------------------------------------------


def test_programs_written_for_floats_and_numpy():
    assert ag.grad(lambda p: -np.sum(np.log(np.clip(p, 1e-7, 1 - 1e-7))))(np.array([0.3, 1.0])) == pytest.approx(
        [-1 / 0.3, 0]
    )
    assert ag.grad(lambda x: np.sum(np.sqrt(np.where(x > 0, x, 1.0))))(np.array([4.0, -1.0])).tolist() == [0.25, 0.0]
    assert ag.grad(lambda x: np.arctan2(1.0, x))(2.0) == pytest.approx(-0.2)
    assert ag.grad(lambda x: np.hypot(3.0, x))(2.0) == pytest.approx(2 / math.sqrt(13))
    assert ag.grad(lambda x: np.sum(x, keepdims=True))(np.ones(3)).tolist() == [1.0, 1.0, 1.0]
    assert ag.value_and_grad(lambda x: x**2 if np.isscalar(x) else np.sum(x**3))(3.0) == (9.0, 6.0)


def test_an_array_like_another_takes_values():
    def f(x, like):
        y = like(x)
        for i in range(len(x)):
            y[i] = x[i] * i + (y[i - 1] if i else 0.0)
        return np.sum(y * y)

    at = np.array([0.4, 1.3, 0.9])
    for like in (
        np.zeros_like,
        np.empty_like,
        np.ones_like,
        lambda x: np.full_like(x, 2.0),
        lambda x: np.zeros(x.shape, x.dtype),
    ):
        value, gradient = ag.value_and_grad(f)(at, like)
        assert value == pytest.approx(f(at, like))
        expected = [(f(at + 1e-6 * e, like) - f(at - 1e-6 * e, like)) / 2e-6 for e in np.eye(3)]
        np.testing.assert_allclose(gradient, expected, rtol=1e-7)
        compiled = ag.compile(lambda x, like=like: f(x, like))
        np.testing.assert_allclose(compiled.value_and_grad(at)[1], gradient)
    x = ag.array([ag.Value(1.0), 2.0])
    assert np.zeros_like(x, dtype=int).dtype == int
    assert np.zeros_like(x, shape=(2, 3)).shape == (2, 3)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("f", [np.sum, np.sort, lambda v: np.outer(v, v), lambda v: v[:1]])
def test_apply_along_axis_puts_results_where_numpy_does(f, axis):
    at = np.arange(12.0).reshape(3, 4) ** 0.5
    found = np.apply_along_axis(f, axis, ag.array(at) + ag.Value(0.0))
    right = np.apply_along_axis(f, axis, at)
    assert found.shape == right.shape
    np.testing.assert_allclose(found, right)


def test_a_bare_value_meets_numpy():
    import numbers

    x = ag.Value(2.0)
    assert isinstance(x, numbers.Number)
    assert np.isscalar(x)
    assert np.allclose(x, (x * 3) / 3) is True
    assert np.isclose(2.0, x) is True
    assert np.isfinite(x) is True
    assert np.isnan(x) is False
    np.testing.assert_allclose(x, (x * 3) / 3)
    np.testing.assert_allclose(ag.array([x, 2.0]), 2.0)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(x, 2.1)
    for y in (np.maximum(x, 1.0), np.where(True, x, 1.0), np.clip(x, 0.0, 3.0), np.square(x), np.sum([x, 1.0]) - 1.0):
        assert ag.gradients(y, x) in (1.0, 4.0)
    assert (x.real, x.imag) == (x, 0.0)


def test_operators_beside_numpy_come_out_as_for_floats():
    x, array = ag.Value(3.0), np.array([1.0, 2.0])
    for y in (array - x, x - array, np.array([array])[0] - x):
        assert type(y) is ag.array
    assert sum([np.float64(2), x]).item() == 5.0  # an operator that Python's code does not show
    for wrong in (np.complex128(1j), np.array(["a"])):
        with pytest.raises(TypeError, match=r"expected|real numbers"):
            x - wrong
        with pytest.raises(TypeError, match=r"expected|real numbers"):
            wrong - x
    with pytest.raises(TypeError, match=r"np.add: an array of dtype float64 cannot hold Values; write x = x \+ y"):
        array += x
    objects = np.array([ag.Value(1.0), 2.0])
    objects += x
    assert [y.item() for y in objects] == [4.0, 5.0]


# --- comparisons, masks, assignment -----------------------------------------------------------------------------


def test_comparisons_stay_live_until_python_asks():
    values = ag.array([ag.Value(1.0), -2.0, ag.Value(3.0)])
    mask = values > 0
    assert [number(y) for y in mask] == [1.0, 0.0, 1.0]
    assert isinstance(mask[0], ag.Value)
    assert [number(y) for y in values[mask]] == [1.0, 3.0]
    assert [number(y) for y in ~mask] == [0.0, 1.0, 0.0]
    assert np.sum(mask).item() == 2.0
    assert [number(y) for y in values == [1.0, 2.0, 3.0]] == [1.0, 0.0, 1.0]
    assert [number(y) for y in values != [1.0, 2.0, 3.0]] == [0.0, 1.0, 0.0]
    assert mask[:1]
    assert not mask[1:2]
    with pytest.raises(ValueError, match=r"use x.all\(\) or x.any\(\)"):
        bool(mask)
    nan = ag.array([ag.Value(math.nan)])
    assert not (nan > 0)
    assert nan[nan > 0].shape == (0,)
    values[values < 0] = ag.Value(5.0)
    values[0] = 7
    assert [number(y) for y in values] == [7.0, 5.0, 3.0]
    assert type(values[0]) is float
    with pytest.raises(TypeError, match="cannot be a place"):
        values[ag.Value(1.0)]


@pytest.mark.parametrize("places", [[0, 1, 1], [2, 0, 1], [1, 0, 1], [1.0, 1.0, 1.0]])
def test_places_are_not_taken_for_a_mask(places):
    """As a mask they pick other elements, and with as many of them as elements there was no error."""
    x = np.array([1.0, 2.0, 3.0])
    for f in (lambda i, x: np.sum(x[i]), lambda i, x: np.sum(x[np.floor(i)]), lambda i, x: x.__setitem__(i, 0.0)):
        for run in (ag.compile(f), ag.grad(f, argnum=(0, 1))):
            with pytest.raises(TypeError, match=r"places or a mask: write x\[m > 0\]"):
                run(np.array(places), x)
    with pytest.raises(TypeError, match="places or a mask"):
        ag.array([ag.Value(1.0), 2.0])[ag.array([1.0, 2.0])]
    chosen = ag.compile(lambda m, x: np.sum(x[m > 0]))
    assert chosen(np.array([True, False, True]), x) == 4.0
    ordered = ag.compile(lambda x, i: x[np.array(i)], static="i")
    assert ordered(x, (2, 0, 1)).tolist() == [3.0, 1.0, 2.0]


def test_masks_of_masks():
    x = np.array([1.0, -2.0, 3.0])
    for mask in (lambda x: (x > 0) & (x < 2), lambda x: (x > 2) | ~(x > 0), lambda x: (x > 0) ^ (x > 2),
                 lambda x: np.where(x > 2, x > 0, x < 0), lambda x: np.logical_not(x == 1)):  # fmt: skip
        assert ag.compile(lambda x, mask=mask: np.sum(x[mask(x)]))(x) == np.sum(x[mask(x)])


def test_a_mask_is_guarded_and_a_choice_is_live():
    f = ag.compile(lambda x: ag.sum(x[x > 0] ** 2))
    assert f(np.array([1.0, -2.0])) == 1.0
    assert f(np.array([-1.0, 2.0])) == 4.0
    rows = ag.compile(lambda x: np.sum(np.where(x > 0, x**2, 0.0)), batch=True)
    assert rows(np.array([[1.0, -2.0], [-1.0, 2.0]])) == 2.5


def test_elements_are_values_and_floats():
    made = ag.array([[1, True], [np.float32(0.5), ag.Value(2.0)]])
    assert isinstance(made, np.ndarray)
    assert made.shape == (2, 2)
    assert [type(y) for y in made.ravel().tolist()] == [float, float, float, ag.Value]
    assert type(np.asarray(made)) is np.ndarray
    for wrong in (["a"], [1j], [None], np.array([1j]), np.ma.array([1.0, 2.0], mask=[0, 1])):
        with pytest.raises(TypeError, match="array: expected"):
            ag.array(wrong)
    with pytest.raises(ValueError, match="array: expected sequences of one length"):
        ag.array([[1.0], [1.0, 2.0]])


def test_arithmetic_of_floats_in_it_does_not_raise():
    made = ag.array([0.0, -1.0, ag.Value(1.0)])
    assert number((1.0 / made)[0]) == math.inf
    assert math.isnan((made**0.5)[1])
    assert number(np.log(made)[0]) == -math.inf


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (np.linalg.svd, r"np.linalg.svd is not supported on arrays of Values; .*docs/NUMPY.md"),
        (lambda x: np.fft.fft(x[0]), r"is not supported on arrays of Values"),
        (np.nansum, r"np.nansum is not supported"),
        (np.frexp, r"np.frexp is not supported"),
        (lambda x: np.gcd(x, 2), r"np.gcd is not supported"),
        (lambda x: np.add(x, 1, dtype=int), r"np.add: dtype must be float"),
        (lambda x: np.linalg.norm(x, 2), r"linalg.norm: ord=2 of a matrix needs singular values"),
        (lambda x: np.interp(x, [0, 1], [0, 1], period=1), r"np.interp: period= is not supported"),
        (lambda x: np.add(x, 1, where=[True, False]), r"np.add: where= without out= leaves elements undefined"),
        (lambda x: np.exp(np.array([x[0, 0], 0.5])), r"np.exp cannot work on a base array .*ag.array.*ag.exp\(array\)"),
        (lambda x: np.arctan2(np.array([x[0, 0], 0.5]), 1.0), r"np.arctan2 cannot work on a base array .*ag.array"),
        (lambda x: np.percentile(list(x[0]), 30), r"np.percentile cannot work on a list .*ag.array"),
        (lambda x: np.cov(list(x[0])), r"np.cov cannot work on a list .*ag.array"),
        (lambda x: np.interp(0.5, [0.0, 1.0], list(x[0, :2])), r"np.interp cannot work on a list .*ag.array"),
        (special.gamma, r"scipy.special.gamma is not supported on arrays of Values"),
        (special.erf, r"scipy.special.erf is not supported on Values: ag.erf is that function with its derivative"),
        (special.expit, r"scipy.special.expit is not .*: ag.sigmoid is that"),
        (lambda x: special.xlogy(x, 2.0), r"scipy.special.xlogy is not .*: ag.xlogy is that"),
        (lambda x: special.jv(1.0, x), r"scipy.special.jv is not supported"),
        (scipy.linalg.inv, r"function of SciPy cannot work on Values \(object arr.*ag.linalg"),
        (scipy.linalg.det, r"function of SciPy cannot work on Values .*ag.linalg"),
        (lambda x: scipy.signal.lfilter([1.0], [1.0, -0.5], x[0]), r"function of SciPy cannot work on Values"),
        (lambda x: np.linalg.inv(np.asarray(x)), r"np.inv cannot work on a base array .*ag.linalg.inv\(array\)"),
    ],
)
def test_what_is_not_supported_is_refused_in_our_words(call, says):
    for transform in (lambda: ag.jacobian(call)(np.eye(2)), lambda: ag.compile(call)(np.eye(2))):
        with pytest.raises((TypeError, ValueError), match=says) as caught:
            transform()
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_error_of_the_function_itself_stays():
    """One that has nothing to do with Values is not explained away."""

    def f(x):
        return np.sum(x) + scipy.optimize.brentq(lambda y: y * y + 1.0, 0.0, 1.0)

    with pytest.raises(ValueError, match="different signs"):
        ag.grad(f)(np.ones(2))
    with pytest.raises(ValueError, match="same shape"):
        ag.grad(lambda x: np.sum(np.stack([x, x[:1]])))(np.ones(2))


def test_a_ufunc_of_somebody_else_keeps_its_meaning():
    square = np.frompyfunc(lambda x: x + 100.0, 1, 1)
    assert ag.grad(square)(2.0) == 1.0
    assert ag.grad(np.square)(2.0) == 4.0
    assert ag.grad(special.exp2)(0.0) == math.log(2.0)  # SciPy has it too


# --- functions of ag on arrays -----------------------------------------------------------------------------------


ELEMENTWISE = [name for name in ag.engine.functions.FUNCTIONS if name[0] != "_"]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_function_works_on_the_elements_of_any_array(name):
    row, function = TABLE[name], getattr(ag, name)
    points = [[0.25, 0.75], [0.5, 0.125], [0.375, 0.625]][: len(row.operands)]
    points = [[1, 1] if x == row.setting else p for x, p in zip(row.operands, points, strict=True)]
    expected = [function(*xs) for xs in zip(*points, strict=True)]
    arrays = [1 if x == row.setting else np.array(p) for x, p in zip(row.operands, points, strict=True)]
    found = function(*arrays)
    assert found.dtype == float
    np.testing.assert_array_equal(found, expected)
    for kind in (ag.array, lambda xs: np.array(xs, dtype=object)):
        for k in (k for k, x in enumerate(row.operands) if x != row.setting):
            given = list(arrays)
            x = ag.Value(points[k][0])
            given[k] = kind([x, points[k][1]])
            y = function(*given)
            assert type(y) is ag.array
            assert [number(z) for z in y] == expected
            assert isinstance(y[0], ag.Value)
            assert type(y[1]) is float
    if len(arrays) > 1 and not row.setting:  # a Value beside an array
        assert isinstance(function(ag.Value(0.25), *arrays[1:])[0], ag.Value)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "mask", [lambda x: (x > 0) & (x < 5), lambda x: (x > 0) | (x < -1), lambda x: ~(x > 0), lambda x: (x > 0) ^ (x < 5)]
)
def test_a_mask_of_several_comparisons_that_holds_nan_is_refused(mask, compiled):
    """NaN is not 0, and was taken along; NumPy's answer hangs on how the mask was made."""

    def f(x):
        return ag.sum(x[mask(x)])

    g = ag.compile(f) if compiled else lambda x: f(ag.array([ag.Value(y) for y in x]))
    x = np.array([1.0, -2.0, 7.0])
    assert g(x) == x[mask(x)].sum()
    with pytest.raises(ValueError, match="holds NaN"):
        g(np.array([1.0, np.nan, 7.0]))
