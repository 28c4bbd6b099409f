"""A Value as an object: what it tells, compares, refuses and hands on, and the n-ary functions' arguments."""

import pytest

import autograd_lite as ag


def test_comparisons_are_those_of_the_data():
    for a, b in [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (float("nan"), 1.0)]:
        for other in (b, ag.Value(b)):
            v = ag.Value(a)
            assert [v < other, v <= other, v > other, v >= other] == [a < b, a <= b, a > b, a >= b]
            assert all(type(x) is bool for x in (v < other, v <= other, v > other, v >= other))


def test_detach_cuts_the_graph_and_keeps_number_and_name():
    x = ag.Value(3.0, name="x")
    y = x * x
    y.name = "y"
    cut = y.detach()
    assert cut is not y
    assert (cut.item(), cut.name, cut.is_leaf, cut.operands, cut.grad) == (9.0, "y", True, (), 0.0)
    (cut * x).backward()
    assert (x.grad, cut.grad, y.grad) == (9.0, 3.0, 0.0)


@pytest.mark.parametrize(("xs", "ys"), [(1, 2), (2, 1), (0, 1)])
def test_a_dot_product_of_different_lengths_is_refused(xs, ys):
    for make in (float, ag.Value):
        with pytest.raises(ValueError, match=f"xs has {xs} elements and ys has {ys}"):
            ag.dot([make(1.0)] * xs, [make(2.0)] * ys)


def test_the_backward_pass_as_a_function():
    x = ag.Value(3.0)
    y = x * x
    ag.diff.backward(y)
    assert (x.grad, y.grad) == (6.0, 1.0)
    ag.diff.backward(y, 0.5)
    assert (x.grad, y.grad) == (9.0, 0.5)
