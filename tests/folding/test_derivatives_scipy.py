"""SciPy takes the derivatives of programs as they are: its minimizers, least squares, roots, stiff equations, fits."""

from functools import partial

import numpy as np
import pytest

import autograd_lite as ag

optimize = pytest.importorskip("scipy.optimize")
integrate = pytest.importorskip("scipy.integrate")


def rosenbrock(x):
    return ag.sum([100.0 * (x[i + 1] - x[i] * x[i]) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])


@pytest.fixture(scope="module")
def valley():
    return ag.compile(rosenbrock)


START = np.array([1.3, 0.7, 0.8, 1.9, 1.2])


@pytest.mark.parametrize("method", ["trust-constr", "trust-exact", "Newton-CG", "SLSQP", "trust-ncg", "trust-krylov"])
def test_minimize(valley, method):
    second = {} if method == "SLSQP" else {"hess": valley.hessian}
    found = optimize.minimize(valley, START, jac=valley.jacobian, method=method, **second)
    np.testing.assert_allclose(found.x, np.ones(5), atol=1e-3)


@pytest.mark.parametrize("method", ["trust-constr", "Newton-CG", "trust-ncg", "trust-krylov"])
def test_minimize_by_products(valley, method):
    found = optimize.minimize(valley, START, jac=valley.jacobian, hessp=valley.hvp, method=method)
    np.testing.assert_allclose(found.x, np.ones(5), atol=1e-3)


def test_minimize_with_other_arguments():
    program = ag.compile(lambda x, a, b: (x[0] - a) ** 4 + (x[1] - b) ** 2 * (1 + x[0] ** 2))
    found = optimize.minimize(program, [0.0, 0.0], args=(2.0, 3.0), jac=program.jacobian, hess=program.hessian,
                              method="trust-exact", options={"gtol": 1e-10})  # fmt: skip
    np.testing.assert_allclose(found.x, [2.0, 3.0], atol=1e-2)


def test_a_large_sparse_hessian(valley):
    n = 300
    found = optimize.minimize(valley, np.full(n, 0.8), jac=valley.jacobian, hess=partial(valley.hessian, sparse=True),
                              method="trust-constr", options={"maxiter": 300, "gtol": 1e-6})  # fmt: skip
    np.testing.assert_allclose(found.x, np.ones(n), atol=1e-4)


def test_constraints_with_a_sparse_jacobian_and_the_hessian_of_the_lagrangian():
    def circles(x):
        return [x[2 * k] ** 2 + x[2 * k + 1] ** 2 for k in range(5)]

    objective = ag.compile(lambda x: ag.sum([(k + 1.0) * t for k, t in enumerate(x)]))
    inside = ag.compile(circles)
    lagrangian = ag.compile(lambda x, weights: ag.dot(weights, circles(x)))
    constraint = optimize.NonlinearConstraint(
        inside, -np.inf, 1.0, jac=partial(inside.jacobian, sparse=True), hess=partial(lagrangian.hessian, sparse=True)
    )
    found = optimize.minimize(objective, np.full(10, 0.1), jac=objective.jacobian, method="trust-constr",
                              hess=objective.hessian, constraints=constraint, options={"gtol": 1e-8})  # fmt: skip
    expected = -np.arange(1.0, 11.0).reshape(5, 2)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found.x, expected.ravel(), atol=1e-3)
    bounded = {"type": "ineq", "fun": lambda x: 1.0 - np.array(inside(x)), "jac": lambda x: -inside.jacobian(x)}
    found = optimize.minimize(
        objective, np.full(10, 0.1), jac=objective.jacobian, method="SLSQP", constraints=[bounded]
    )
    np.testing.assert_allclose(found.x, expected.ravel(), atol=1e-4)


TIMES = np.linspace(0.0, 3.0, 40)
DATA = 2.0 * np.exp(-1.3 * TIMES) + 0.5 + 0.01 * np.cos(40 * TIMES)


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_least_squares(method):
    residuals = ag.compile(lambda p: [p[0] * ag.exp(-p[1] * t) + p[2] - y for t, y in zip(TIMES, DATA, strict=True)])
    found = optimize.least_squares(residuals, [1.0, 1.0, 0.0], jac=residuals.jacobian, method=method)
    expected = optimize.least_squares(residuals, [1.0, 1.0, 0.0], method=method)
    np.testing.assert_allclose(found.x, expected.x, rtol=1e-4)
    assert found.njev


def test_least_squares_sparse():
    residuals = ag.compile(lambda x: [x[i + 1] - x[i] ** 2 + 0.1 for i in range(49)] + [x[0] - 0.5])
    jac = partial(residuals.jacobian, sparse=True)
    found = optimize.least_squares(residuals, np.full(50, 0.4), jac=jac, tr_solver="lsmr")
    assert found.cost < 1e-12


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root(method):
    system = ag.compile(lambda x: [x[0] + 0.5 * (x[0] - x[1]) ** 3 - 1.0, 0.5 * (x[1] - x[0]) ** 3 + x[1]])
    found = optimize.root(system, [0.0, 0.0], jac=system.jacobian, method=method)
    np.testing.assert_allclose(system(found.x), [0.0, 0.0], atol=1e-10)


@pytest.mark.parametrize("method", ["BDF", "Radau", "LSODA"])
@pytest.mark.parametrize("sparse", [False, True])
def test_stiff_equations(method, sparse):
    if method == "LSODA" and sparse:
        pytest.skip("LSODA takes dense Jacobians alone")
    robertson = ag.compile(lambda t, y: [
        -0.04 * y[0] + 1e4 * y[1] * y[2], 0.04 * y[0] - 1e4 * y[1] * y[2] - 3e7 * y[1] ** 2, 3e7 * y[1] ** 2
    ])  # fmt: skip
    jac = partial(robertson.jacobian, argnum=1, sparse=sparse)
    found = integrate.solve_ivp(robertson, (0.0, 40.0), [1.0, 0.0, 0.0], method=method, jac=jac, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.y[:, -1], [0.7158, 9.185e-06, 0.2842], rtol=1e-3)


def test_curve_fit():
    model = ag.compile(lambda t, a, b, c: a * np.exp(-b * t) + c)
    slopes = lambda t, *p: np.column_stack(model.jacobian(t, *p, argnum=(1, 2, 3)))  # noqa: E731
    found, _ = optimize.curve_fit(model, TIMES, DATA, [1.0, 1.0, 0.0], jac=slopes)
    expected, _ = optimize.curve_fit(lambda t, a, b, c: a * np.exp(-b * t) + c, TIMES, DATA, [1.0, 1.0, 0.0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_parameters_of_a_model():
    model = ag.MLP(1, [3, 1], activation="tanh", seed=0)
    x, y = np.linspace(-1, 1, 20)[:, None], np.sin(3 * np.linspace(-1, 1, 20))
    loss = ag.compile(lambda x, y: (model(x) - y) ** 2, params=model, batch=True)
    found = optimize.minimize(loss.loss_and_grad, loss.theta, args=(x, y), jac=True, method="trust-exact",
                              hess=partial(loss.hessian, argnum="theta"), options={"maxiter": 60})  # fmt: skip
    assert found.fun < 1e-3
    loss.theta = found.x
