"""What a value and its derivative are where calculus is silent: the conventions as a table, and the table walked.

Each line is evaluated in local gradients, by `backward`, by `gradients` and by `gradients` with
`create_graph`; each must say the same.
"""

import math
from itertools import pairwise, product

import pytest
from mpmath import mp

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Value, record
from tests.engine.domains import operands_at

inf, nan = math.inf, math.nan
E40 = float(mp.mpf("4.2483542552915889953e-18"))  # sigmoid'(40)

# (what, f, operands, value, derivative in each operand)
LINES = [
    ("relu at 0", ag.relu, [0.0], 0.0, [0.0]),
    ("relu of NaN", ag.relu, [nan], nan, [nan]),
    ("abs at 0", ag.abs, [0.0], 0.0, [0.0]),
    ("sign at 0", ag.sign, [0.0], 0.0, [0.0]),
    ("abs of NaN", ag.abs, [nan], nan, [nan]),
    ("hinge at the kink", lambda m: ag.relu(1 - m), [1.0], 0.0, [0.0]),
    ("perceptron loss at the kink", lambda m: ag.relu(-m), [0.0], 0.0, [0.0]),
    ("leaky_relu at 0", ag.leaky_relu, [0.0], 0.0, [0.01]),
    ("elu at 0", ag.elu, [0.0], 0.0, [1.0]),
    ("maximum of equals", ag.maximum, [3.0, 3.0], 3.0, [0.5, 0.5]),
    ("minimum of equals", ag.minimum, [3.0, 3.0], 3.0, [0.5, 0.5]),
    ("maximum with NaN first", ag.maximum, [nan, 1.0], nan, [nan, nan]),
    ("maximum with NaN second", ag.maximum, [1.0, nan], nan, [nan, nan]),
    ("max of equals", lambda *xs: ag.max(xs), [3.0, 1.0, 3.0], 3.0, [0.5, 0.0, 0.5]),
    ("min of equals", lambda *xs: ag.min(xs), [1.0, 1.0, 3.0], 1.0, [0.5, 0.5, 0.0]),
    ("max of all equal", lambda *xs: ag.max(xs), [2.0, 2.0, 2.0], 2.0, [1 / 3, 1 / 3, 1 / 3]),
    ("clamp at its lower bound", lambda a: ag.clamp(a, -1, 1), [-1.0], -1.0, [0.0]),
    ("clamp at its lower bound, which may move", ag.clamp, [0.0, 0.0, 1.0], 0.0, [0.0, 0.0, 0.0]),
    ("clamp at its upper bound, which may move", ag.clamp, [1.0, 0.0, 1.0], 1.0, [0.0, 0.0, 0.0]),
    ("clamp at its upper bound", lambda a: ag.clamp(a, -1, 1), [1.0], 1.0, [0.0]),
    ("sqrt at 0", ag.sqrt, [0.0], 0.0, [inf]),
    ("sqrt at -0.0", ag.sqrt, [-0.0], -0.0, [inf]),
    ("sqrt at -1", ag.sqrt, [-1.0], nan, [nan]),
    ("log at 0", ag.log, [0.0], -inf, [inf]),
    ("log at -0.0", ag.log, [-0.0], -inf, [inf]),
    ("log at -1", ag.log, [-1.0], nan, [nan]),
    ("1 / 0.0", lambda b: 1 / b, [0.0], inf, [-inf]),
    ("1 / -0.0", lambda b: 1 / b, [-0.0], -inf, [-inf]),
    ("0 / 0", lambda a, b: a / b, [0.0, 0.0], nan, [nan, nan]),
    ("a / b is the true division", lambda a, b: a / b, [1.0, 49.0], 1 / 49, [1 / 49, -1 / 49 / 49]),
    ("a / b where b ** 2 overflows", lambda a, b: a / b, [1e200, 1e200], 1.0, [1e-200, -1e-200]),
    ("0 ** 0", lambda a, b: a**b, [0.0, 0.0], 1.0, [0.0, 0.0]),
    ("0 ** 0.5", lambda a, b: a**b, [0.0, 0.5], 0.0, [inf, 0.0]),
    ("0 ** -1", lambda a, b: a**b, [0.0, -1.0], inf, [-inf, -inf]),
    ("(-2) ** 3, exponent constant", lambda a: a**3, [-2.0], -8.0, [12.0]),
    ("(-2) ** 3, exponent variable", lambda a, b: a**b, [-2.0, 3.0], -8.0, [12.0, nan]),
    ("(-2) ** 0.5", lambda a, b: a**b, [-2.0, 0.5], nan, [nan, nan]),
    ("x ** 2 at 0", lambda a: a**2, [0.0], 0.0, [0.0]),
    ("where(x > 0, sqrt(x), 0) at 0", lambda x: ag.where(x > 0, ag.sqrt(x), 0), [0.0], 0.0, [0.0]),
    ("where(x > 0, sqrt(x), 0) at -1", lambda x: ag.where(x > 0, ag.sqrt(x), 0), [-1.0], 0.0, [0.0]),
    ("the same, kept live, at 0", lambda x: ag.where(ag.greater(x, 0), ag.sqrt(x), 0), [0.0], 0.0, [0.0]),
    ("the same, kept live, at -1", lambda x: ag.where(ag.greater(x, 0), ag.sqrt(x), 0), [-1.0], 0.0, [0.0]),
    ("exp at 710", ag.exp, [710.0], inf, [inf]),
    ("tanh at 15", ag.tanh, [15.0], math.tanh(15.0), [float(mp.sech(15) ** 2)]),
    ("tanh at 20", ag.tanh, [20.0], 1.0, [float(mp.sech(20) ** 2)]),
    ("sigmoid at 40", ag.sigmoid, [40.0], 1.0, [E40]),
    ("softplus at 30", ag.softplus, [30.0], 30 + math.log1p(math.exp(-30.0)), [1 / (1 + math.exp(-30.0))]),
    ("softplus at -800", ag.softplus, [-800.0], 0.0, [0.0]),
    ("log_sigmoid at 40", ag.log_sigmoid, [40.0], -E40, [E40]),
    ("logaddexp at (inf, inf)", ag.logaddexp, [inf, inf], inf, [0.5, 0.5]),
    ("logaddexp at (inf, 0)", ag.logaddexp, [inf, 0.0], inf, [1.0, 0.0]),
    ("logaddexp at (-inf, -inf)", ag.logaddexp, [-inf, -inf], -inf, [0.5, 0.5]),
    ("logsumexp", lambda *xs: ag.logsumexp(xs), [1000.0, 1000.0], 1000 + math.log(2), [0.5, 0.5]),
    ("softmax", lambda *xs: ag.softmax(xs)[0], [1000.0, 1000.0], 0.5, [0.25, -0.25]),
    ("hypot at (0, 0)", ag.hypot, [0.0, 0.0], 0.0, [0.0, 0.0]),
    ("norm at the origin", lambda *xs: ag.norm(xs), [0.0, 0.0], 0.0, [0.0, 0.0]),
    ("hypot of large numbers", ag.hypot, [1e200, 1e200], math.sqrt(2) * 1e200, [math.sqrt(0.5)] * 2),
    ("inf * 0", lambda a, b: a * b, [inf, 0.0], nan, [0.0, inf]),
    ("mod of a negative number", lambda a, b: a % b, [-7.5, 2.0], 0.5, [1.0, 4.0]),
    ("mod by a negative number", lambda a, b: a % b, [7.5, -2.0], -0.5, [1.0, 4.0]),
    ("mod by 0", lambda a, b: a % b, [1.0, 0.0], nan, [nan, nan]),
    ("mod of infinity", ag.mod, [inf, 2.0], nan, [nan, nan]),
    ("mod by infinity", ag.mod, [-5.0, inf], inf, [1.0, 1.0]),
    ("floor_divide", lambda a, b: a // b, [-7.5, 2.0], -4.0, [0.0, 0.0]),
    ("floor_divide by 0", lambda a, b: a // b, [1.0, 0.0], nan, [nan, nan]),
    ("floor_divide by infinity", ag.floor_divide, [-5.0, inf], -1.0, [0.0, 0.0]),
    ("round to even", ag.round, [2.5], 2.0, [0.0]),
    ("round to digits", lambda a: ag.round(a, 2), [2.675], 2.67, [0.0]),
    ("rint to even, the sign kept", ag.rint, [-0.5], -0.0, [0.0]),
    ("trunc", ag.trunc, [-2.5], -2.0, [0.0]),
    ("trunc, the sign kept", ag.trunc, [-0.5], -0.0, [0.0]),
    ("trunc of NaN", ag.trunc, [nan], nan, [nan]),
    ("heaviside at 0", lambda a: ag.heaviside(a, 0.25), [0.0], 0.25, [0.0]),
    ("heaviside of NaN", lambda a: ag.heaviside(a, 0.25), [nan], nan, [nan]),
    ("xlogy(0, y)", ag.xlogy, [0.0, 4.0], 0.0, [math.log(4.0), 0.0]),
    ("xlogy(0, 0)", ag.xlogy, [0.0, 0.0], 0.0, [-inf, 0.0]),
    ("xlogy(1, 0)", ag.xlogy, [1.0, 0.0], -inf, [-inf, inf]),
    ("xlogy(1, -1)", ag.xlogy, [1.0, -1.0], nan, [nan, nan]),
    ("xlog1py(0, -1)", ag.xlog1py, [0.0, -1.0], 0.0, [-inf, 0.0]),
    ("xlog1py(0, y)", ag.xlog1py, [0.0, 3.0], 0.0, [math.log(4.0), 0.0]),
    ("entropy with a certain outcome", lambda a, b: -(ag.xlogy(a, a) + ag.xlogy(b, b)), [0.0, 1.0], -0.0, [inf, -1.0]),
    ("lgamma at 0", ag.lgamma, [0.0], inf, [-inf]),
    ("lgamma at -0.0", ag.lgamma, [-0.0], inf, [inf]),
    ("lgamma at -1", ag.lgamma, [-1.0], inf, [nan]),
    ("lgamma of a negative number", ag.lgamma, [-3.5], -1.3090066849930420, [float(mp.psi(0, -3.5))]),
    ("digamma at 0", ag.digamma, [0.0], -inf, [inf]),
    ("digamma at -0.0", ag.digamma, [-0.0], inf, [inf]),
    ("digamma at -1", ag.digamma, [-1.0], nan, [nan]),
    ("polygamma", lambda a: ag.polygamma(1, a), [1.0], math.pi**2 / 6, [-2.404113806319188570799476]),
    ("erfinv at 1", ag.erfinv, [1.0], inf, [inf]),
    ("erfinv at -1", ag.erfinv, [-1.0], -inf, [inf]),
    ("erfinv outside", ag.erfinv, [1.5], nan, [nan]),
    ("ndtri at 0", ag.ndtri, [0.0], -inf, [inf]),
    ("ndtri at 1", ag.ndtri, [1.0], inf, [inf]),
    ("ndtri outside", ag.ndtri, [-0.5], nan, [nan]),
    ("logit at 0", ag.logit, [0.0], -inf, [inf]),
    ("logit at -0.0", ag.logit, [-0.0], -inf, [inf]),
    ("logit at 1", ag.logit, [1.0], inf, [inf]),
    ("logit outside", ag.logit, [1.5], nan, [nan]),
    ("log_ndtr far out", ag.log_ndtr, [-40.0], -804.6084420137538, [40.02496884720726]),
    ("sinc at 0", ag.sinc, [0.0], 1.0, [0.0]),
    ("sinc at 1", ag.sinc, [1.0], 0.0, [-1.0]),
    ("not_equal", ag.not_equal, [1.0, 2.0], 1.0, [0.0, 0.0]),
    ("not_equal of NaN", ag.not_equal, [nan, 2.0], nan, [nan, nan]),
    ("sqrt of a subnormal", ag.sqrt, [5e-324], 2.2227587494850775e-162, [2.2494568972715982e161]),
]

# (what, f, x, derivatives of order 2, 3, ...)
HIGHER = [
    ("0 ** 1", lambda a: a**1, 0.0, [0.0]),
    ("0 ** 1, exponent variable", lambda a: a ** Value(1.0), 0.0, [0.0]),
    ("x ** 2 at 0", lambda a: a**2, 0.0, [2.0, 0.0, 0.0]),
    ("x ** 3 at 0", lambda a: a**3, 0.0, [0.0, 6.0, 0.0]),
    ("log_sigmoid at 40", ag.log_sigmoid, 40.0, [-E40]),
    ("tanh at 0", ag.tanh, 0.0, [0.0, -2.0, 0.0, 16.0]),
    ("tanh at 20", ag.tanh, 20.0, [float(-2 * mp.tanh(20) * mp.sech(20) ** 2)]),
    ("sigmoid at 0", ag.sigmoid, 0.0, [0.0, -0.125]),
    ("softplus at 0", ag.softplus, 0.0, [0.25, 0.0, -0.125]),
    ("where(x > 0, sqrt(x), 0) at 0", lambda x: ag.where(x > 0, ag.sqrt(x), 0), 0.0, [0.0]),
    ("the same, kept live, at 0", lambda x: ag.where(ag.greater(x, 0), ag.sqrt(x), 0), 0.0, [0.0, 0.0]),
    ("the same, kept live, at -1", lambda x: ag.where(ag.greater(x, 0), ag.sqrt(x), 0), -1.0, [0.0, 0.0]),
    ("relu at 0", ag.relu, 0.0, [0.0]),
    ("log at -1", ag.log, -1.0, [nan, nan]),
    ("floor of NaN", ag.floor, nan, [nan]),
    ("sinc at 0", ag.sinc, 0.0, [-(math.pi**2) / 3, 0.0, math.pi**4 / 5]),
    ("log_ndtr far out", ag.log_ndtr, -40.0, [-0.9993773316214086]),
    ("ndtri at 0", ag.ndtri, 0.0, [-inf]),
    ("ndtri at 1", ag.ndtri, 1.0, [inf]),
    ("erfinv at -1", ag.erfinv, -1.0, [-inf]),
    ("logit at 0", ag.logit, 0.0, [-inf]),
    ("lgamma at -1", ag.lgamma, -1.0, [nan, nan]),
    ("x % 1 of infinity", lambda a: a % 1.0, inf, [nan, nan]),
    ("x // 0", lambda a: a // 0.0, 1.0, [nan, nan]),
]

named = {"ids": lambda x: x if isinstance(x, str) else ""}


def same(got, true, ulps=2):
    """Equal up to some units in the last place; NaN, infinities and the numbers 0, 1/2, 1/4 exactly."""
    if math.isnan(true):
        return math.isnan(got)
    if math.isinf(true) or true in (0.0, 0.25, 0.5, 1.0):
        return got == true
    return abs(got - true) <= ulps * math.ulp(true)


@pytest.mark.parametrize(("what", "f", "point", "value", "derivatives"), LINES, **named)
def test_edge_case(what, f, point, value, derivatives):
    xs = [Value(x) for x in point]
    y = f(*xs)
    assert same(y.data, value)
    assert math.copysign(1, y.data) == math.copysign(1, value) or math.isnan(value)

    if len(y.operands) == len(xs) and all(a is b for a, b in zip(y.operands, xs, strict=True)):
        assert all(map(same, y.local_grads, derivatives, [4] * len(xs)))
    assert all(map(same, ag.gradients(y, xs), derivatives, [4] * len(xs)))
    y.backward()
    assert all(map(same, [x.grad for x in xs], derivatives, [4] * len(xs)))
    graphs = ag.gradients(y, xs, create_graph=True)
    assert all(map(same, [g.data for g in graphs], derivatives, [4] * len(xs)))


@pytest.mark.parametrize(("what", "f", "x", "derivatives"), HIGHER, **named)
def test_edge_case_of_higher_order(what, f, x, derivatives):
    x = Value(x)
    y = ag.gradients(f(x), x, create_graph=True)
    for derivative in derivatives:
        assert same(ag.gradients(y, x), derivative, 4)
        y = ag.gradients(y, x, create_graph=True)
        assert same(y.data, derivative, 4)


# --- the rules -------------------------------------------------------------------------------------------

SPECIAL = [nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, 710.0, -746.0, 1e200, -1e308, 1e-200, 5e-324]
IEEE = {"add", "sub", "mul", "neg", "sum", "mean", "prod", "dot", "_shift"}
"""+, - and * follow plain IEEE arithmetic in their local gradients too."""
PASS_BY = {"where", "leaky_relu", "elu", "heaviside", "_chain", "_masked", "_lasting"}
"""Where the operand that is NaN may be one that is not taken."""


def points(row):
    if row.variadic:
        return [point for n in (1, 2) for point in product(SPECIAL, repeat=n)]
    few = SPECIAL if len(row.operands) < 3 else SPECIAL[:9]
    return list(product(*((0.0, 1.0, 2.0) if x == row.setting else few for x in row.operands)))


each_row = pytest.mark.parametrize("row", [row for row in TABLE.values() if row.builtin], ids=lambda row: row.name)


@each_row
def test_rule_1_nan_in_gives_nan_out(row):
    for point in points(row):
        if any(map(math.isnan, point)):
            value, local = row.evaluate(point)
            if row.name not in PASS_BY:
                assert math.isnan(value), point
            if row.name not in IEEE and math.isnan(value) and row.name not in PASS_BY:
                assert all(map(math.isnan, local)), (point, local)


@each_row
def test_rule_1_outside_the_domain_all_is_nan(row):
    if row.variadic or len(row.operands) > 1:  # a negative base is outside for some exponents only: see the table
        return
    for x in (-3.0, -1.5, -1e-3, 0.5, 1.5, 3.0):
        outside = not row.domain[0][0] <= x <= row.domain[0][1]
        if outside:
            a = Value(x)
            y = record(row, (a,))
            first = ag.gradients(y, a, create_graph=True)
            assert math.isnan(y.data)
            assert math.isnan(first.data)
            assert math.isnan(ag.gradients(first, a))


@each_row
def test_rule_2_nothing_raises_and_all_is_float(row):
    for point in points(row):
        operands = operands_at(row, point)
        xs = [x for x in operands if isinstance(x, Value)]
        y = record(row, operands)
        assert type(y.data) is float, point
        assert all(type(d) is float for d in y.local_grads), point
        y.backward()
        assert all(type(x.grad) is float for x in xs), point
        for g in ag.gradients(y, xs, create_graph=True):
            g.backward()


@pytest.mark.parametrize("name", [name for name in ag.engine.functions.FUNCTIONS if name[0] != "_"])
def test_floats_give_what_values_give(name):
    for point in points(TABLE[name]):
        function = getattr(ag, name)
        number = function(*point)
        assert type(number) is float
        assert repr(number) == repr(function(*operands_at(TABLE[name], point)).data), point


def test_rule_2_literals_do_not_raise_either():
    for number in (0.0, -0.0, inf, nan, 0, -1, 1e308, 10**300):
        for x in (0.0, -1.0, 1e308, nan):
            for f in (
                lambda a, c: a / c,
                lambda a, c: c / a,
                lambda a, c: a**c,
                lambda a, c: c**a,
                lambda a, c: a * c,
                ag.atan2,
                ag.hypot,
                ag.logaddexp,
            ):
                a = Value(x)
                first = ag.gradients(f(a, number), a, create_graph=True)
                assert type(ag.gradients(first, a)) is float


@pytest.mark.parametrize("bad", [nan, inf, -1.0, 0.0])
def test_rule_2_a_bad_row_of_a_batch_touches_no_other(bad):
    weights = [Value(1.0 + i) for i in range(4)]

    def gradients_with(x):
        rows = [2.0, x, 3.0, 0.5]
        loss = ag.mean([ag.log(ag.sqrt(r) * w) for r, w in zip(rows, weights, strict=True)])
        return ag.gradients(loss, weights), [g.data for g in ag.gradients(loss, weights, create_graph=True)]

    for right, got in zip(gradients_with(1.0), gradients_with(bad), strict=True):
        assert [got[0], *got[2:]] == [right[0], *right[2:]]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_rule_3_an_adjoint_of_zero_contributes_zero(order):
    for f in (
        lambda x: 0.0 * ag.sqrt(x) + x * x * x,
        lambda x: ag.relu(-1 - ag.sqrt(x)) + x * x * x,
        lambda x: ag.maximum(-1 + 0 * ag.log(x), 5.0) * 0.0 + x * x * x if order == 1 else x * x * x,
        lambda x: ag.clamp(ag.sqrt(x) - 9, -1, 1) + x * x * x,
        lambda x: ag.where(ag.greater(x, 0), ag.log(x), x * x * x),
        lambda x: ag.min([ag.sqrt(x) + 4, x * x * x]),
    ):
        x = Value(0.0)
        y = f(x)
        for _ in range(order - 1):
            y = ag.gradients(y, x, create_graph=True)
        assert ag.gradients(y, x) == [0.0, 0.0, 6.0][order - 1]


@pytest.mark.parametrize("direction", [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
def test_rule_3_in_a_derivative_of_forward_mode(direction):
    """On the way a slope of inf meets a tangent of 0; factors of 0 hide that from the first derivative alone."""

    def f(v):
        root = ag.sqrt(ag.relu(v[0]))
        return root * v[1] * root

    assert ag.grad(lambda v: ag.jvp(f, v, direction)[1])([-1.0, 2.0]) == [0.0, 0.0]
    assert ag.hvp(f, [-1.0, 2.0], direction) == [0.0, 0.0]


def test_rule_4_equal_choices_share():
    x = Value(2.0)
    assert ag.gradients(ag.maximum(x, x), x) == 1.0
    assert ag.gradients(ag.max([x, 2.0, x]), x) == pytest.approx(2 / 3)
    assert ag.max([Value(0.0), Value(-0.0)]).local_grads == (0.5, 0.5)
    assert ag.maximum(Value(inf), inf).local_grads == (0.5, 0.5)


@pytest.mark.parametrize(
    ("f", "least"),
    [
        (ag.relu, 0.0),
        (ag.abs, 0.0),
        (lambda a: -ag.abs(a), 0.0),
        (lambda a: ag.leaky_relu(a, 0.3), 0.3),
        (lambda a: ag.leaky_relu(a, 2.0), 1.0),
        (lambda a: ag.leaky_relu(a, -2.0), 0.0),
        (lambda a: ag.elu(a, 0.5), 0.5),
        (lambda a: ag.elu(a, 2.0), 1.0),
        (lambda a: ag.elu(a, -1.0), 0.0),
        (lambda a: ag.clamp(a, 0, 1), 0.0),
    ],
)
def test_rule_5_the_least_of_two_one_sided_derivatives(f, least):
    x = Value(0.0)
    assert ag.gradients(f(x), x) == least
    assert ag.gradients(f(x), x, create_graph=True).data == least


def test_rule_6_subnormals_are_kept():
    tiny = 5e-324
    x = Value(tiny)
    assert (x + tiny).data == 2 * tiny
    assert (x * 3).data == 3 * tiny
    assert ag.exp(Value(-745.0)).data == tiny
    assert ag.sinh(x).data == ag.tanh(x).data == ag.asin(x).data == ag.atan2(x, 1).data == tiny
    assert ag.cbrt(x).data == 1.7031839360032603e-108
    y = Value(1.0)
    (y * tiny).backward()
    assert y.grad == tiny
    assert ag.sigmoid(Value(-745.0)).data == tiny
    assert ag.softplus(Value(-745.0)).data == tiny


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_infinite_slope_times_a_constant_zero_is_nan_in_numbers_and_as_a_graph(create_graph):
    x = ag.Value(1.0)
    slope = ag.gradients(ag.sqrt(x * 0.0), x, create_graph=create_graph)
    assert math.isnan(slope.item() if create_graph else slope)


def test_log_softmax_of_what_is_almost_certain():
    """-log(1 + s) for a small s, as log_sigmoid(40) has it: 1 + s would round it away."""
    sure, unsure = ag.log_softmax([Value(40.0), 0.0])
    assert same(sure.data, ag.log_sigmoid(40.0))
    assert same(sure.data, -4.248354255291589e-18)
    assert unsure.data == -40.0
    assert ag.log_softmax([1000.0, 0.0]) == [0.0, -1000.0]
    assert ag.log_softmax([inf, 0.0]) == [0.0, -inf]
    assert all(math.isnan(x) for x in ag.log_softmax([nan, 0.0]))


POWERS = [
    (1e104, 2.99), (1e100, 2.95), (1e100, 2.899), (1e-100, 3.1), (1e-110, 3.05), (1e-97, 2.99), (1e-300, 0.95),
    (0.25, 511.5), (4.0, 507.25),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), POWERS)
def test_the_slope_of_a_power_where_the_power_itself_is_at_the_end_of_the_floats(a, b):
    """out * b / a keeps its digits where out has them; b * a**(b - 1) does where out is subnormal, 0 or infinite."""
    with mp.workdps(50):
        true = mp.mpf(b) * mp.mpf(a) ** (mp.mpf(b) - 1)
        power = mp.mpf(a) ** mp.mpf(b)
        slope = TABLE["pow"].evaluate((a, b))[1][0]
        if not 1e-290 < power < 1e290:  # there the exponent b - 1 is rounded, by up to half an ulp of b, times log(a)
            assert abs(slope - true) <= abs(true) * (2.0**-52 * (4 + abs(b) * abs(math.log(a)) / 2))
        else:
            assert abs(slope - true) <= 4 * math.ulp(float(true))


@pytest.mark.parametrize("b", [1 + 1e-6, 1 + 1e-10, 1 + 2.0**-52, 2 + 1e-10, 2 - 2.0**-51, 0.5, -0.7, 2.5])
@pytest.mark.parametrize("a", [3.7, 1e-3, 1e30])
def test_higher_derivatives_of_a_power_keep_their_digits(a, b):
    """b (b - 1) a**(b - 2), where b - 1 is exact: a difference of the two halves of (a**b / a)' would lose it."""
    f = ag.grad(lambda x: x**b)
    true = mp.mpf(b) * (mp.mpf(b) - 1) * mp.mpf(a) ** (mp.mpf(b) - 2)
    assert ag.grad(f)(a) == pytest.approx(float(true), rel=2e-15)
    assert ag.grad(ag.grad(f))(a) == pytest.approx(float(true * (mp.mpf(b) - 2) / mp.mpf(a)), rel=4e-15)


def test_the_second_derivative_of_a_root_overflows_to_infinity():
    assert ag.grad(ag.grad(lambda x: x**0.5))(1e-250) == -inf
    assert ag.grad(ag.grad(lambda x: x**0.1))(1e-300) == -inf


@pytest.mark.parametrize(("xs", "total"), [
    ([1e308, 1e308, -1e308], 1e308), ([1e308, 1e308, -1e308, -1e308, 1.0], 1.0), ([1e308, 1e308], inf),
    ([-1e308, -1e308, 5e307], -1.5e308), ([1e308, 1e308, -inf], -inf), ([1e308, 1e308, inf, -inf], nan),
    ([1.5e308, 1.5e308, -1.6e308, 0.25], 1.4e308),
])  # fmt: skip
def test_a_sum_is_right_where_it_overflows_on_the_way(xs, total):
    found, mean = ag.sum([Value(x) for x in xs]).item(), ag.mean([Value(x) for x in xs]).item()
    assert found == total or (math.isnan(found) and math.isnan(total))
    if math.isfinite(total):
        assert mean == total / len(xs)


def test_a_mean_is_finite_where_its_sum_is_not():
    assert ag.mean([Value(1.7e308)] * 3).item() == pytest.approx(1.7e308, rel=1e-15)
    assert ag.mean([Value(inf), 1e308, 1e308]).item() == inf


WRAPPED = [lambda y, x: y, lambda y, x: 1.0 / y, lambda y, x: y * x, ag.hypot]


@each_row
def test_a_derivative_that_is_nan_has_derivatives_that_are_nan(row):
    """1 / abs(x) at 0: the NaN of order 1 (0 * inf) comes through the constant slope of abs, whose derivative is 0."""
    few = [0.0, 1.0, -2.0] if len(row.operands) < 3 else [0.0, 1.0]
    for point in product(few, repeat=2 if row.variadic else len(row.operands)):
        slots = [i for i in range(len(point)) if row.variadic or row.operands[i] != row.setting]
        if row.setting and not point[1 - slots[0]] < 5.0:
            continue
        for wrap in WRAPPED:
            x = Value(point[slots[0]])
            y = wrap(
                record(row, tuple(x if i in slots[:1] or p is point[slots[0]] else p for i, p in enumerate(point))), x
            )
            orders = [y := ag.gradients(y, x, create_graph=True) for _ in range(3)]
            for lower, higher in pairwise(orders):
                assert not math.isnan(lower.item()) or math.isnan(higher.item()), point


def test_operators_of_remainders_and_rounding():
    v = Value(7.5)
    assert [q.item() for q in divmod(v, 2)] == list(divmod(7.5, 2))
    assert [q.item() for q in divmod(-7.5, Value(2.0))] == list(divmod(-7.5, 2.0))
    assert ((v % -2).item(), (7 % v).item(), (v // 2).item(), (-7 // v).item()) == (7.5 % -2, 7 % 7.5, 3.0, -1.0)
    assert (round(v).item(), round(Value(2.675), 2).item(), math.trunc(-v).item()) == (8.0, 2.67, -7.0)
    assert ag.remainder is ag.mod
    assert ag.grad(lambda a: (a + math.pi) % (2 * math.pi) - math.pi)(4.0) == 1.0
    for refused in (lambda: v % "a", lambda: divmod(v, "a"), lambda: round(v, 2.5), lambda: ag.polygamma(v, v)):
        with pytest.raises(TypeError):
            refused()
    with pytest.raises(ValueError, match="polygamma: n must be at least 0"):
        ag.polygamma(-1, v)


@pytest.mark.parametrize("name", [name for name in ag.engine.functions.FUNCTIONS if name[0] != "_"])
def test_folded_functions_give_what_eager_ones_do_at_special_points(name):
    row = TABLE[name]
    if len(row.operands) > 2 or row.setting:
        return
    for point in product([nan, inf, -inf, 0.0, 1.0, -1.0, -2.5], repeat=len(row.operands)):
        xs = [Value(x) for x in point]
        y = getattr(ag, name)(*xs)
        value, gradient = ag.fold(y, params=xs).loss_and_grad(list(point))
        for got, wanted in zip([value, *gradient], [y.item(), *ag.gradients(y, xs)], strict=True):
            assert same(float(got), wanted, 8), (point, got, wanted)


@pytest.mark.parametrize("b", [0.5, -0.5, 1e-17, -1e-300, 5e-324, 2.0 + 1e-15])
def test_a_power_that_is_not_a_number_has_no_derivative(b):
    for f in (lambda a: a**b, lambda a: a ** ag.Value(b), ag.compile(lambda a: a**b)):
        value, slope = f.value_and_grad(-2.0) if hasattr(f, "value_and_grad") else ag.value_and_grad(f)(-2.0)
        assert math.isnan(value)
        assert math.isnan(slope)
    assert all(map(math.isnan, ag.grad(lambda a, b: a**b, (0, 1))(-2.0, b)))
    assert math.isnan(ag.grad(ag.grad(lambda a: a**b))(-2.0))


@pytest.mark.parametrize(("a", "b"), [(8.86e-321, 8.86e-321), (5e-324, 3e-17), (1e-310, -1e-12), (1e-311, 8e-4)])
def test_the_slope_of_a_power_overflows_only_where_it_is_too_large(a, b):
    """a ** (b - 1) is infinite there, and b times it is not."""
    for f in (ag.grad(lambda a: a**b), ag.grad(lambda a: a ** ag.Value(b)), ag.compile(ag.grad(lambda a: a**b))):
        assert f(a) == pytest.approx(b * a**b / a, rel=1e-14)
    assert abs(ag.grad(ag.grad(lambda a: a**b))(a)) == math.inf
