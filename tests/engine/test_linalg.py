"""ag.linalg: against NumPy and differences, at singular matrices, and compiled with pivots that differ by row."""

import math

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.value import Value
from tests.helpers.parts import chequered

RNG = np.random.default_rng(7)
SIZES = (1, 2, 3, 4, 5, 6)


def number(y):
    return y.item() if isinstance(y, Value) else y


def numbers(result):
    return np.vectorize(number, otypes=[float])(np.asarray(result, object))


def matrix(n, m=None):
    return RNG.normal(size=(n, m or n))


def spd(a):
    return a @ a.T + np.eye(len(a))


def weights(shape):
    return np.cos(np.arange(1.0, 1 + math.prod(shape))).reshape(shape)


CASES = {
    "solve": (lambda la, a: la.solve(a, [[1.0], [2.0]] if len(a) == 2 else np.arange(1.0, len(a) + 1)), lambda a: a),
    "solve of a matrix": (lambda la, a: la.solve(a, np.arange(2.0 * len(a)).reshape(-1, 2)), lambda a: a),
    "inv": (lambda la, a: la.inv(a), lambda a: a),
    "det": (lambda la, a: la.det(a), lambda a: a),
    "slogdet": (lambda la, a: la.slogdet(a)[1], lambda a: a),
    "cholesky": (lambda la, a: la.cholesky(a), spd),
    "lstsq tall": (
        lambda la, a: la.lstsq(a, np.arange(len(a)) + 1.0, rcond=None)[0],
        lambda a: np.vstack([a, a[::-1] + 1]),
    ),
    "lstsq wide": (lambda la, a: la.lstsq(a, np.arange(len(a)) + 1.0, rcond=None)[0], lambda a: np.hstack([a, a + 1])),
    "norm": (lambda la, a: la.norm(a), lambda a: a),
    "norm 1": (lambda la, a: la.norm(a, 1), lambda a: a),
    "norm of a row": (lambda la, a: la.norm(a[0], 3), lambda a: a),
    "power": (lambda la, a: la.matrix_power(a, -2), lambda a: a),
}


def total(la, case, a):
    result = CASES[case][0](la, a)
    rows = np.ravel(np.asarray(result, object)).tolist()
    return ag.sum([w * x for w, x in zip(weights((len(rows),)).tolist(), rows, strict=True)])


@pytest.mark.parametrize(("case", "n"), chequered(CASES, SIZES))
def test_values_and_gradients(case, n):
    a = CASES[case][1](matrix(n))
    np.testing.assert_allclose(numbers(CASES[case][0](ag.linalg, a)), CASES[case][0](np.linalg, a), rtol=1e-9)
    value, gradient = ag.value_and_grad(lambda x: total(ag.linalg, case, x))(a)
    nested, lists = ag.value_and_grad(lambda x: total(ag.linalg, case, x))(a.tolist())
    assert (nested, np.array(lists).tolist()) == (value, gradient.tolist())
    for place in np.ndindex(a.shape):
        step = np.zeros(a.shape)
        step[place] = 1e-6
        slope = (total(np.linalg, case, a + step) - total(np.linalg, case, a - step)) / 2e-6
        assert gradient[place] == pytest.approx(slope, rel=2e-5, abs=2e-5 * np.abs(gradient).max())
    compiled = ag.compile(lambda x: total(ag.linalg, case, x))
    for x in (a, a[::-1].copy() if case != "cholesky" else a + 1.0):  # other pivots: the same program
        np.testing.assert_allclose(compiled(x), total(np.linalg, case, x), rtol=1e-8)
        np.testing.assert_allclose(
            compiled.value_and_grad(x)[1], ag.grad(lambda x: total(ag.linalg, case, x))(x), rtol=1e-6, atol=1e-8
        )


SINGULAR = {
    "rank 0": np.zeros((3, 3)),
    "rank 1": np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0]),
    "rank 2": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]),
    "zero column": np.array([[0.0, 1.0, 2.0], [0.0, 3.0, 1.0], [0.0, 1.0, 1.0]]),
    "5, rank 4": np.diag([1.0, 2.0, 0.0, 3.0, 4.0]),
    "5, rank 3": np.diag([1.0, 0.0, 0.0, 3.0, 4.0]) + 0.0,
    "6, rank 5": np.vander(np.array([1.0, 2.0, 3.0, 1.0, 5.0, 6.0])) / 100.0,
}


def cofactors(a):
    n = len(a)
    minor = lambda i, j: np.delete(np.delete(a, i, 0), j, 1)  # noqa: E731
    return np.array([[(-1) ** (i + j) * np.linalg.det(minor(i, j)) for j in range(n)] for i in range(n)])


@pytest.mark.parametrize("name", SINGULAR)
def test_singular_matrices(name):
    a = SINGULAR[name]
    size = max(1.0, np.abs(cofactors(a)).max())
    value, gradient = ag.value_and_grad(ag.linalg.det)(a)
    assert value == pytest.approx(0.0, abs=1e-12 * size)
    np.testing.assert_allclose(gradient, cofactors(a), rtol=1e-9, atol=1e-11 * size)
    compiled = ag.compile(ag.linalg.det)
    np.testing.assert_allclose(compiled.value_and_grad(a)[1], cofactors(a), rtol=1e-9, atol=1e-11 * size)
    exact = name not in ("rank 2", "6, rank 5")  # where rounding leaves a last pivot of 1e-16, as in NumPy
    if exact:
        for call in (lambda x: ag.linalg.inv(x)[0][0], lambda x: ag.linalg.solve(x, np.ones(len(a)))[0]):
            for run in (
                lambda call=call: ag.grad(call)(a),
                lambda call=call: call(a),
                lambda call=call: ag.compile(call)(a),
            ):
                with pytest.raises(np.linalg.LinAlgError, match=r"linalg.(inv|solve): the matrix is singular"):
                    run()
        for x in (a, ag.array(a * 1.0)):
            sign, logarithm = ag.linalg.slogdet(x)
            assert (sign, logarithm) == (0.0, -math.inf)
        assert np.isnan(ag.grad(lambda x: ag.linalg.slogdet(x)[1])(a)).all()
        compiled = ag.compile(lambda x: ag.linalg.slogdet(x)[1])
        assert compiled(np.eye(len(a)) * 2.0) == pytest.approx(len(a) * math.log(2.0))
        assert compiled(a) == -math.inf


def test_a_second_derivative_at_a_singular_matrix():
    found = ag.hessian(ag.linalg.det)(np.zeros((4, 4)))
    assert not found.any()
    found = ag.hessian(ag.linalg.det)(np.diag([1.0, 2.0, 0.0, 0.0]))
    assert found[2, 2, 3, 3] == 2.0
    assert found[2, 3, 3, 2] == -2.0


def test_a_program_called_at_a_singular_matrix_raises_and_a_batch_has_a_row_of_nan():
    solve = ag.compile(lambda x: ag.linalg.solve(x, [1.0, 2.0])[0])
    assert solve(np.eye(2)) == 1.0
    with pytest.raises(np.linalg.LinAlgError, match="the matrix is singular"):
        solve(np.ones((2, 2)))
    assert solve(np.eye(2) * 2.0) == 0.5
    stack = np.array([np.eye(2), np.ones((2, 2)), [[0.0, 1.0], [1.0, 0.0]]])  # the last pivots on another row
    program = ag.compile(lambda x: ag.linalg.solve(x, [1.0, 2.0])[0], batch=True)
    assert math.isnan(program(stack))
    assert program(stack[[0, 2]]) == 1.5
    _, gradient = program.value_and_grad(stack)
    assert np.isnan(gradient).reshape(3, 4).any(axis=1).tolist() == [False, True, False]


def test_sign_of_a_determinant_and_stacks():
    a = matrix(5)
    assert number(ag.linalg.slogdet(ag.array(a))[0]) == np.linalg.slogdet(a)[0]
    stack = np.stack([matrix(3), matrix(3)])
    values = ag.array(np.vectorize(Value, otypes=[object])(stack))
    np.testing.assert_allclose(numbers(np.linalg.inv(values)), np.linalg.inv(stack), rtol=1e-9)
    np.testing.assert_allclose(numbers(np.linalg.det(values)), np.linalg.det(stack), rtol=1e-9)
    np.testing.assert_allclose(numbers(np.linalg.slogdet(values)[1]), np.linalg.slogdet(stack)[1], rtol=1e-9)
    np.testing.assert_allclose(numbers(np.linalg.solve(values, stack)), np.linalg.solve(stack, stack), atol=1e-9)


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: ag.linalg.solve([1.0], [1.0]), TypeError, "linalg.solve: a must be a matrix"),
        (lambda: ag.linalg.solve([[1.0, 2.0]], [1.0]), ValueError, "linalg.solve: a must be square, got 1 x 2"),
        (lambda: ag.linalg.solve([[1.0]], [1.0, 2.0]), ValueError, "a is 1 x 1 and b has 2 rows"),
        (lambda: ag.linalg.inv([[1.0], [1.0, 2.0]]), ValueError, "rows of one length"),
        (lambda: ag.linalg.inv([["a"]]), TypeError, "linalg.inv: a: row 0: element 0: expected a real number"),
        (lambda: ag.linalg.det(3.0), TypeError, "linalg.det: a must be a matrix"),
        (lambda: ag.linalg.cholesky([[-1.0]]), np.linalg.LinAlgError, "not positive definite"),
        (lambda: ag.linalg.lstsq([[1.0, 1.0], [1.0, 1.0]], [1.0, 2.0]), np.linalg.LinAlgError, "full rank"),
        (lambda: ag.linalg.norm([[1.0]], "nuc"), ValueError, "needs singular values"),
        (lambda: ag.linalg.matrix_power([[1.0]], 0.5), TypeError, "n must be a whole number"),
    ],
)
def test_what_is_refused(call, kind, says):
    with pytest.raises(kind, match=says):
        call()
