"""gradcheck: what it passes, what it catches, and the reasons it gives."""

import math
import re

import numpy as np
import pytest

import autograd_lite as ag


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x: ag.exp(100 * x) + 1e6, (1.0,)),
        (lambda x: ag.sin(1000 * x), (1.0,)),
        (lambda x: x * 1e-12, (1.0,)),
        (lambda x: x**3, (1e10,)),
        (lambda x: 0 * x, (1e10,)),
        (ag.log, (1e-8,)),
        (lambda x: 1 / x, (1e-3,)),
        (ag.relu, (1e-6,)),  # the step shrinks until the kink is out of reach
        (lambda x, y: [x * y, (abs(x - y), x)], (3.0, 5.0)),
        (lambda a, b: np.sum(a * b[0]), (np.ones((2, 3)), [4.0])),
    ],
)
def test_right_derivatives_pass_at_every_scale(f, args):
    report = ag.gradcheck(f, *args)
    assert report, report
    assert report.worst < 1e-7


def test_second_order_checks_both_orders():
    assert ag.gradcheck(lambda v: v[0] * ag.exp(v[1]), [3.0, 0.5], order=2).checked == 2 + 4
    wrong = ag.primitive("wrong_second", lambda a: a * a, lambda a: 2 * getattr(a, "data", a))
    assert ag.gradcheck(wrong, 3.0)
    report = ag.gradcheck(wrong, 3.0, order=2)
    assert not report
    assert "d f / d a / d a: derivative 0.0, central difference 2" in str(report)


@pytest.mark.parametrize("factor", [1.00001, 0.5, -1.0, 0.0])
def test_a_wrong_rule_is_caught_and_its_coordinate_named(factor):
    wrong = ag.primitive("wrong_slope", lambda a, b: a * a * b, lambda a, b: (2 * a * b, factor * a * a))
    report = ag.gradcheck(lambda point, scale: [point[0], wrong(point[0], point[1]) * scale], [3.0, 2.0], 1.0)
    assert not report
    (only,) = report.differences
    assert (only.coordinate, only.output) == ("point[1]", "[1]")
    assert only.derivative == pytest.approx(9.0 * factor)
    assert only.difference == pytest.approx(9.0)
    assert only.reason == ""
    assert "point[1]" in str(report)


@pytest.mark.parametrize(
    ("f", "x", "says"),
    [
        (ag.relu, 0.0, "a kink is near: the relu .* 0 on one side and 1 on the other"),
        (lambda x: ag.clamp(x, 0.0, 2.0), 2.0, "a kink is near: the clamp"),
        (ag.leaky_relu, 0.0, "a kink is near: the leaky_relu"),
        (ag.floor, 1.0, "a kink is near: the floor .* its value is 0 on one side and 1 on the other"),
        (lambda x: x if x > 0 else ag.sin(-x), 0.0, "another way through its Python code"),
        (ag.sqrt, 0.0, "not finite"),
        (lambda x: ag.log(x - 1e300), 0.0, "not finite"),
    ],
)
def test_a_kink_nearby_is_given_as_the_reason(f, x, says):
    report = ag.gradcheck(f, x)
    assert not report
    assert len(report.differences) == 1
    assert re.search(says, report.differences[0].reason), report


def test_a_long_report_is_shortened():
    wrong = ag.primitive("wrong_all", lambda a: a * a, lambda a: a)
    report = ag.gradcheck(lambda v: ag.sum(wrong(x) for x in v), np.ones(30))
    assert len(report.differences) == 30
    assert "20 more in .differences" in str(report)
    assert len(str(report).splitlines()) == 12


def test_refusals():
    with pytest.raises(ValueError, match="order must be 1 or 2"):
        ag.gradcheck(ag.exp, 1.0, order=3)
    with pytest.raises(ValueError, match="tolerance must be positive"):
        ag.gradcheck(ag.exp, 1.0, tolerance=0.0)
    with pytest.raises(TypeError, match="gradcheck: argument 0"):
        ag.gradcheck(ag.exp, "a")
    with pytest.raises(TypeError, match="gradcheck: f must give one number"):
        ag.gradcheck(lambda x: [x, x], 1.0, order=2)


@pytest.mark.parametrize(
    "f", [lambda x: ag.relu(x) ** 2, lambda x: abs(x) * x, lambda x: ag.relu(x) ** 3, lambda x: 1e6 * ag.relu(x) ** 2]
)
def test_a_smooth_kink_is_no_difference(f):
    """The derivative is continuous there, and differences approach it only as fast as the step shrinks."""
    for x in (0.0, 1e-9, -1e-13):
        assert ag.gradcheck(f, x)


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e6])
def test_a_kink_still_is_one(size):
    report = ag.gradcheck(lambda x: size * ag.relu(x), 0.0)
    assert "a kink is near" in str(report)
    slightly = ag.primitive("slightly", lambda a: a * a, lambda a: 2 * a * (1 + 1e-5))
    assert not ag.gradcheck(lambda x: size * slightly(x), 3.0)


def test_a_function_that_does_not_tell_its_arguments():
    assert ag.gradcheck(max, 3.0, 5.0)
    report = ag.gradcheck(max, 3.0, 3.0)
    assert [d.coordinate for d in report.differences] == ["argument 0", "argument 1"]
    assert [(d.derivative, d.difference) for d in report.differences] == [(1.0, 0.5), (0.0, 0.5)]


def test_numbers_that_turn_up_at_some_steps_only():
    """The largest step gives none, or one that is too far off to add to another: the next ones decide."""
    assert ag.gradcheck(lambda x: ag.log(x + 1e-3), 0.0)
    assert ag.gradcheck(lambda x: x if abs(x - 1.0) > 1e-4 else x * math.nan, 1.0).differences[0].derivative != 1.0

    def unsteady(x):  # its slope is 1.2e308 at one step and -1.2e308 at half of it, and so on
        size = abs(x.item())
        return x * (1.2e308 * math.cos(math.pi * math.log2(size / 2e-3)) if size else 1.0)

    (found,) = ag.gradcheck(unsteady, 0.0).differences
    assert (found.derivative, abs(found.difference), found.allowed) == (1.0, pytest.approx(1.2e308), math.inf)
    assert found.reason == ""


@pytest.mark.parametrize("x", [1e-8, 1e-3, 1.0, 1.5])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_differences_of_numbers_near_the_largest_float(x, sign):
    report = ag.gradcheck(lambda x: sign * 1e308 * x, x)
    assert report, report
    double = ag.primitive("double_slope", lambda a: 5e307 * a, lambda a: 1e308)
    (found,) = ag.gradcheck(double, x).differences
    assert found.difference == pytest.approx(5e307)
    assert math.isfinite(found.allowed)


@pytest.mark.parametrize("x", [0.0, 1e-8, 1e-5])
def test_a_wrong_rule_near_0_is_not_taken_for_a_kink(x):
    """Its slope changes sign within the step, but it does not jump."""
    wrong = ag.primitive("wrong_near_0", lambda a: a * a, lambda a: a + 1e-3)
    (found,) = ag.gradcheck(wrong, x).differences
    assert found.reason == ""


def test_a_jump_of_a_user_defined_primitive_is_a_kink():
    jumps = ag.primitive("jumps", abs, lambda a: 1.0 if a >= 0.0 else -1.0)
    assert "a kink is near: the jumps" in ag.gradcheck(jumps, 0.0).differences[0].reason


def test_a_difference_that_is_not_finite_has_a_reason_and_no_bound():
    """It said "allowed to differ by inf"."""
    report = ag.gradcheck(lambda x: 1e308 * x, 5.0)
    assert not report
    assert "f is not finite" in str(report)
    assert "allowed" not in str(report)
