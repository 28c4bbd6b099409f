"""What a row says of its primitive reaches pictures, explanations, gradcheck and layers, and so for a user's own.

Each test defines a primitive twice, without the fact and with it, and looks where the fact is used.
"""

import math
import random

import pytest

import autograd_lite as ag
from autograd_lite.engine.notation import Labels, formula, spelled
from autograd_lite.engine.primitives import TABLE
from autograd_lite.folding.grouping import PRODUCTS, SUMS
from autograd_lite.folding.instructions import REDUCTIONS
from autograd_lite.insight.remedies import of_adjoint, of_value, of_zero
from autograd_lite.nn.initializers import initializer

OURS = [row for row in TABLE.values() if row.builtin]


def names(fact):
    return {row.name for row in OURS if getattr(row, fact)}


@pytest.fixture(autouse=True)
def _table_as_before(monkeypatch):
    before = dict(TABLE)
    yield
    TABLE.clear()
    TABLE.update(before)


def test_the_facts_of_our_rows():
    comparisons = {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"}
    operators = {"add", "sub", "mul", "div", "pow"}
    assert names("infix") == operators | comparisons | {"_chain", "_masked", "_shift"}
    symmetric = {"add", "mul", "equal", "not_equal", "maximum", "minimum", "hypot", "logaddexp", "_chain", "_masked"}
    assert names("commutes") == symmetric
    assert names("compares") == comparisons
    assert names("zero_gradient") == comparisons | {"sign", "floor", "ceil", "_stop"}
    assert names("kinks") == {"abs", "leaky_relu", "elu", "hypot", "norm", "atan2", "cbrt"}
    squashing = {"sigmoid", "tanh", "erf", "erfc", "atan", "log_sigmoid", "_logistic", "_ndtr"}
    assert names("saturates") == squashing | {"softplus", "silu", "gelu", "elu"}
    assert names("grows") == {"exp", "expm1", "sinh", "cosh", "pow"}
    assert names("logarithm") == {"log", "log2", "log10", "log1p"}
    assert names("linear") == {"add", "sub", "mul", "neg", "sum", "prod", "mean", "dot"}
    assert names("rectifies") == {"relu", "leaky_relu", "elu", "silu", "gelu", "softplus"}
    assert (set(SUMS), list(PRODUCTS)) == ({"add", "sum", "mean", "dot"}, ["mul", "_chain", "_masked"])
    assert set(REDUCTIONS) == {"max", "min", "norm"}


@pytest.mark.parametrize("name", sorted(names("commutes")))
def test_what_commutes_does(name):
    rng = random.Random(0)
    for _ in range(100):
        xs = [rng.uniform(-5.0, 5.0) for _ in range(2)]
        assert TABLE[name].result(xs) == TABLE[name].result(xs[::-1])


@pytest.mark.parametrize("name", sorted(names("compares")))
def test_a_comparison_is_what_python_says(name):
    for a in (-1.0, 0.0, 2.0, math.inf):
        for b in (-1.0, 0.0, 2.0, math.inf):
            assert TABLE[name].result([a, b]) == float(TABLE[name].compares(a, b))


def test_the_rule_for_zeros_is_that_of_the_row():
    assert TABLE["maximum"].chain is TABLE["_masked"]
    assert TABLE["mul"].chain is TABLE["_chain"]
    assert TABLE["_chain"].value(0.0, math.inf) == TABLE["_masked"].value(math.inf, 0.0) == 0.0
    assert math.isnan(TABLE["_chain"].value(math.inf, 0.0))


# --- a user's own: each fact off and on ------------------------------------------------------------------


def user(**facts):
    """Two operands: a + b, whatever is said of it."""
    return ag.primitive("facts_user", lambda a, b: a + b, lambda a, b: (1.0, 1.0), "⊕", **facts)


def test_infix_is_how_a_formula_writes_it():
    a, b = ag.Value(1.0, name="a"), ag.Value(2.0, name="b")
    plain, infix = user()(a, b), user(infix=True)(a, b)
    labels = Labels([a, b])
    assert (formula(plain, labels), formula(infix, labels)) == ("facts_user(a, b)", "a ⊕ b")
    assert "a ⊕ b" in ag.draw(infix).svg
    assert "a ⊕ b" not in ag.draw(plain).svg


def test_a_symbol_of_ours_is_infix_by_default():
    a, b = ag.Value(1.0, name="a"), ag.Value(2.0, name="b")
    for infix, text in ((None, "a + b"), (True, "a + b"), (False, "facts_plus(a, b)")):
        plus = ag.primitive("facts_plus", lambda a, b: a + b, lambda a, b: (1.0, 1.0), "+", infix=infix)
        assert formula(plus(a, b), Labels([a, b])) == text


def test_commutes_is_why_a_picture_does_not_spell_it_out():
    a, b = ag.Value(1.0, name="a"), ag.Value(2.0, name="b")
    labels = Labels([a, b])
    assert spelled(user()(a, b), labels) == "facts_user(a, b)"
    assert spelled(user(commutes=True)(a, b), labels) == ""


def test_a_branch_hands_nothing_to_an_operand_it_passed_over():
    def first_where_positive(**facts):
        chosen = ag.primitive(
            "facts_first",
            lambda a, b: a if a > 0.0 else b,
            lambda a, b: (ag.greater(a, 0.0), 1.0 - ag.greater(a, 0.0)),
            **facts,
        )
        a, b = ag.Value(0.0), ag.Value(1.0)
        y = ag.sqrt(chosen(a - 1.0, b) - 1.0)  # sqrt at 0: its slope is infinite
        program = ag.fold(y, params=[a, b])
        return [*ag.gradients(y, [a, b]), *program.loss_and_grad(program.theta)[1]]

    slope, other, folded_slope, folded_other = first_where_positive()
    assert math.isnan(slope)
    assert math.isnan(folded_slope)
    assert other == folded_other == math.inf
    assert first_where_positive(branch=True) == [0.0, math.inf, 0.0, math.inf]


def test_zero_gradient_is_called_a_step():
    def kind(**facts):
        step = ag.primitive("facts_step", lambda a: float(round(a)), lambda a: 0.0, **facts)
        return of_zero(step(ag.Value(0.7)), 0)[0]

    assert (kind(), kind(zero_gradient=True)) == ("stationary", "a step")


def test_a_step_stays_one_at_every_order():
    step = ag.primitive("facts_step", lambda a: float(round(a)), lambda a: 0.0, zero_gradient=True)
    x = ag.Value(0.7)
    assert ag.gradients(ag.gradients(step(x) * x, x, create_graph=True), x) == 0.0


def test_kinks_are_where_gradcheck_looks():
    def message(**facts):
        bent = ag.primitive("facts_bent", lambda a: max(a, 0.0), lambda a: ag.greater(a, 0.0), **facts)
        return str(ag.gradcheck(bent, 0.0))

    assert "a kink is near: the facts_bent" in message()
    assert "facts_bent" not in message(kinks=False)


def test_what_saturates_is_named():
    def kind(**facts):
        squash = ag.primitive("facts_squash", math.tanh, lambda a: 1.0 - ag.tanh(a) ** 2, **facts)
        return of_zero(squash(ag.Value(30.0)), 0)[0]

    assert (kind(), kind(saturates=True)) == ("stationary", "saturated facts_squash")


def test_what_grows_is_to_be_a_logarithm():
    def advice(**facts):
        power = ag.primitive("facts_power", lambda a: math.inf if a > 300.0 else 10.0**a, lambda a, out: out, **facts)
        return of_value(power(ag.Value(400.0)))[1]

    assert "ag.logsumexp" in advice(grows=True)
    assert "ag.logsumexp" not in advice()


def test_a_logarithm_is_kept_from_its_pole():
    def words(x, **facts):
        log = ag.primitive("facts_log", TABLE["log"].value, lambda a: math.inf if a == 0.0 else 1.0 / a, **facts)
        return of_value(log(ag.Value(x)))

    assert words(0.0, logarithm=True) == ("facts_log of 0", of_value(ag.log(ag.Value(0.0)))[1])
    assert words(-1.0, logarithm=True) == ("facts_log of the negative number -1", of_value(ag.log(ag.Value(0.0)))[1])
    assert words(-1.0)[0] == "facts_log is not defined at -1"
    log = ag.primitive("facts_log", TABLE["log"].value, lambda a: math.inf, logarithm=True)
    assert "(log of 0)" in of_adjoint(log(ag.Value(0.0)), 0, 1.0)[0]


def test_the_parameters_of_a_unit_are_found_below_what_is_linear():
    def kinds(**facts):
        add, v, w = user(**facts), ag.Parameter(-1.0, name="v"), ag.Parameter(0.5, name="w")
        on, off = (ag.relu(add(v * x, w)) for x in (0.0, 1.0))
        return [finding.kind for finding in ag.diagnose(on + off, [v, w])]

    assert kinds() == ["dead relu"]  # which parameters its unit has is not known
    assert kinds(linear=True) == []  # it has w too, which learns by the other example


def test_layers_start_what_rectifies_by_he():
    def start(**facts):
        ag.primitive("facts_gate", lambda a: max(a, 0.0), lambda a: ag.greater(a, 0.0), **facts)
        return initializer(None, "facts_gate")(8, 8, random.Random(0))

    he, glorot = (initializer(None, name)(8, 8, random.Random(0)) for name in ("relu", "tanh"))
    assert he != glorot
    assert (start(), start(rectifies=True)) == (glorot, he)
    assert initializer(None, ag.relu)(8, 8, random.Random(0)) == glorot  # a function, of which nothing is known


@pytest.mark.parametrize(
    ("facts", "error", "words"),
    [
        ({"infix": 1}, TypeError, "primitive 'facts_p': infix must be True or False, got int 1"),
        ({"kinks": "no"}, TypeError, "primitive 'facts_p': kinks must be True or False, got str 'no'"),
        ({"infix": True}, ValueError, "primitive 'facts_p': infix needs two operands, and it has 1"),
    ],
)
def test_facts_that_are_refused(facts, error, words):
    with pytest.raises(error, match=words):
        ag.primitive("facts_p", lambda a: a, lambda a: 1.0, **facts)
    assert "facts_p" not in TABLE
