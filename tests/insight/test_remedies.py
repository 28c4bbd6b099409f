"""What is said about a number or an adjoint that is not finite."""

import math

import pytest

import autograd_lite as ag
from autograd_lite.insight.remedies import of_adjoint, of_value

INF, NAN = math.inf, math.nan


def v(x):
    return ag.Value(x)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: v(NAN) * 2.0, "an operand is NaN"),
        (lambda: ag.log(v(0.0)), "log of 0"),
        (lambda: ag.log1p(v(-1.0)), "log1p of -1"),
        (lambda: ag.log(v(-2.0)), "log of the negative number -2"),
        (lambda: v(1.0) / 0.0, "division by 0"),
        (lambda: v(0.0) / 0.0, "0 / 0"),
        (lambda: v(0.0) * INF, "0 * inf"),
        (lambda: v(INF) - INF, "inf - inf"),
        (lambda: ag.sum([v(INF), -INF]), "inf - inf"),
        (lambda: v(0.0) ** -1.0, "0 ** -1"),
        (lambda: v(-8.0) ** 0.5, "the negative number -8 to the power of 0.5"),
        (lambda: ag.exp(v(1000.0)), "overflow, exp of 1000"),
        (lambda: v(1e200) * 1e200, "overflow, mul of 1e+200, 1e+200"),
        (lambda: ag.asin(v(2.0)), "asin is not defined at 2"),
        (lambda: ag.exp(v(INF)), "exp of inf is infinite"),
    ],
)
def test_why_a_result_is_not_finite(make, words):
    what, advice = of_value(make())
    assert words in what
    assert len(advice) > 10


@pytest.mark.parametrize(
    ("make", "slot", "adjoint", "words"),
    [
        (lambda: ag.asin(v(2.0)), 0, 1.0, "asin has no derivative at 2"),
        (lambda: ag.log(v(0.0)), 0, 1.0, "the slope of log at 0 is infinite (log of 0)"),
        (lambda: ag.sqrt(v(0.0)), 0, 1.0, "the slope of sqrt at 0 is infinite"),
        (lambda: ag.relu(v(-1.0)), 0, INF, "an infinite adjoint meets a local gradient of 0"),
        (lambda: v(1.0) * 1e200, 0, 1e200, "overflow of the product"),
        (lambda: v(1.0) * 2.0, 0, NAN, "not finite already"),
    ],
)
def test_why_an_adjoint_is_not_finite(make, slot, adjoint, words):
    what, advice = of_adjoint(make(), slot, adjoint)
    assert words in what
    assert len(advice) > 10
