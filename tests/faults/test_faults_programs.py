"""Faults and bad input met by programs: lines 35 to 39 of the table in docs/RELIABILITY.md (40: test_interrupts.py)."""

import math
import threading

import numpy as np
import pytest

import autograd_lite as ag
from tests.helpers.threads import in_threads


def test_fault_35_another_branch_another_shape_another_type_is_traced_anew_or_refused():
    w = ag.Parameter(1.0)
    program = ag.compile(lambda x: ag.sum(x) * w if x[0] > 0 else ag.sum(x) - w)
    assert [program([1.0, 2.0]), program([-1.0, 2.0]), program([3.0, 2.0])] == [3.0, 0.0, 5.0]  # branch
    assert program([1.0, 2.0, 3.0]) == 6.0  # shape
    assert program(np.array([1, 2])) == 3.0  # type: an array, of integers
    assert program((True, False)) == 1.0
    for wrong in ("ab", None, [1.0, [2.0]], [[1.0], "a"], [1j], {"a": 1.0}):
        with pytest.raises(TypeError, match="argument 0"):
            program(wrong)
    with pytest.raises(TypeError, match="argument 0 is a Value"):
        program(ag.Value(1.0))
    on_parameter = ag.compile(lambda x: x * w if w > 0 else x - w)
    assert on_parameter(3.0) == 3.0
    w.data = -1.0
    assert on_parameter(3.0) == 4.0
    rows = ag.compile(lambda x: x * x if x > 0 else -x, batch=True)
    assert (rows([1.0, 2.0]), rows([-1.0])) == (2.5, 1.0)
    with pytest.raises(RuntimeError, match=r"ag\.where"):
        rows([1.0, -2.0])
    fixed = ag.fold(w * 2.0, inputs=[])
    with pytest.raises(TypeError, match="takes 0 arguments, got 1"):
        fixed(1.0)


def test_fault_36_a_parameter_added_removed_or_replaced_is_noticed():
    """Of the module given as params=: the program computes with those that are there now."""

    class Sum(ag.Module):
        def __init__(self):
            self.terms = [ag.Parameter(1.0), ag.Parameter(2.0)]
            self.by_name = {"a": ag.Parameter(3.0)}

        def __call__(self, x):
            return ag.sum([p * x for p in [*self.terms, *self.by_name.values()]])

    model = Sum()
    program = ag.compile(model, params=model)

    def agrees():
        expected = model(2.0)
        assert program(2.0) == expected.item()
        assert program.params == model.parameters()
        assert program.loss_and_grad(program.theta, 2.0)[1].tolist() == ag.gradients(expected, model.parameters())

    agrees()
    model.terms[0] = ag.Parameter(10.0)
    agrees()
    model.terms.append(ag.Parameter(20.0))
    agrees()
    model.by_name["b"] = ag.Parameter(30.0)
    agrees()
    del model.terms[0]
    model.by_name.pop("a")
    agrees()
    model.terms = [ag.Parameter(-1.0)]
    agrees()


def test_fault_37_a_program_called_from_several_threads_is_right():
    """One of fold and one of compile, with a branch that its threads take differently and trace at once."""
    w = [ag.Parameter(0.5), ag.Parameter(-0.25)]
    x = ag.Value(1.0)
    folded = ag.fold(ag.tanh(w[0] * x + w[1]) ** 2, inputs=[x])
    traced = ag.compile(lambda t: ag.tanh(w[0] * t + w[1]) ** 2 if t > 0 else w[0] * t, params=w)
    expected = {k: (math.tanh(0.5 * k - 0.25) ** 2, math.tanh(0.5 * k - 0.25) ** 2 if k > 0 else 0.5 * k)
                for k in range(-8, 9)}  # fmt: skip
    faults, start = [], threading.Barrier(4)

    def work(number):
        start.wait()
        for turn in range(100):
            k = (turn * 5 + number * 3) % 17 - 8
            found = folded(float(k)), traced(float(k))
            slope = folded.value_and_grad(float(k))[1]
            tanh = math.tanh(0.5 * k - 0.25)
            if not np.allclose([*found, slope], [*expected[k], tanh * (1 - tanh * tanh)], rtol=1e-12, atol=1e-15):
                faults.append((k, found, slope))

    in_threads(work, range(4))
    assert not faults
    assert [p.data for p in w] == [0.5, -0.25]


def test_fault_38_a_captured_float_is_fixed_when_it_is_traced_and_the_listing_shows_it():
    factor, offset = [3.0], ag.Value(7.0)
    program = ag.compile(lambda x: x * factor[0] + offset)
    assert program(1.0) == 10.0
    factor[0] = 100.0
    offset.data = 8.0  # a Value, though, is read anew
    assert program(1.0) == 11.0
    assert "3" in str(program).partition("constants")[2]
    assert "fixed when f is traced" in ag.compile.__doc__


def test_fault_39_a_row_of_nan_makes_its_own_result_nan_and_the_mean_and_no_other():
    model = ag.MLP(3, [4, 1], activation="tanh", seed=1)
    f = lambda x, y: (model(x) - y) ** 2  # noqa: E731
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 3)), rng.normal(size=8)
    X[3, 1] = math.nan
    good = [k for k in range(8) if k != 3]
    program = ag.compile(f, params=model, batch=True)
    assert math.isnan(program(X, y))
    rows, gradient = program.rows_and_grad(program.theta, X, y)
    alone, _ = program.rows_and_grad(program.theta, X[good], y[good])
    assert math.isnan(rows[0][3])
    np.testing.assert_allclose(rows[0][good], alone[0], rtol=1e-13)
    assert np.isnan(gradient).any()
    _, slope = program.value_and_grad(X, y)
    _, others = program.value_and_grad(X[good], y[good])
    assert np.isnan(slope[3]).all()
    np.testing.assert_allclose(slope[good] * 8, others * 7, rtol=1e-13)
