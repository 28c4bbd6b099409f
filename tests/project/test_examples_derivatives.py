"""The examples on real problems reach the answers that are known."""

import importlib.util
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import autograd_lite as ag
from tests.helpers.parts import first_of

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


NAMES = [
    "nist_fits", "black_scholes", "rosenbrock_newton", "error_propagation", "lynx_and_hares", "remission_times",
    "cart_pole", "implied_volatilities", "robot_arm",
]  # fmt: skip


@pytest.mark.parametrize("name", first_of(NAMES, 3))
def test_it_runs_as_a_program(name):
    command = [sys.executable, EXAMPLES / f"{name}.py"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout
    assert not run.stderr


@pytest.fixture(scope="module")
def nist():
    return example("nist_fits")


LANCZOS1 = 2  # digits of a sum of squares of 1.4e-25, of residuals near the last digits of floats


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", example("nist_fits").MODELS)
def test_nist_certified_digits_from_both_starts(nist, name, start):
    problem = nist.problem(name)
    found = nist.fit(problem, problem.starts[start - 1])
    assert nist.digits(found.parameters, problem.parameters) >= 9
    least = LANCZOS1 if name == "Lanczos1" else 9
    assert nist.digits(found.deviations, problem.deviations) >= least
    assert nist.digits([found.sum_of_squares], [problem.sum_of_squares]) >= least
    assert found.found.converged


def test_nist_all_sets_are_there(nist):
    assert len(nist.MODELS) == 27
    assert {path.stem for path in (EXAMPLES / "nist").glob("*.dat")} == set(nist.MODELS)


def test_nist_needs_the_last_steps(nist):
    """SciPy's least_squares stops where the sum of squares is flat, before the last digits of MGH09's parameters."""
    from scipy.optimize import least_squares

    problem = nist.problem("MGH09")

    def residuals(b):
        return np.array([problem.model(b, x) - y for x, y in zip(problem.x, problem.y, strict=True)])

    def alone(start):
        tight = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "max_nfev": 5000, "method": "lm", "x_scale": "jac"}
        found = least_squares(lambda b: residuals(b).astype(float), start, ag.jacobian(residuals), **tight)
        return nist.digits(found.x, problem.parameters)

    assert min(map(alone, problem.starts)) < 8


def test_black_scholes_against_the_closed_forms():
    black_scholes = example("black_scholes")
    rng = np.random.default_rng(0)
    for _ in range(20):
        strike = 100.0 * rng.uniform(0.7, 1.3)
        at = (100.0, strike, rng.uniform(0.05, 3.0), rng.uniform(-0.01, 0.1), rng.uniform(0.05, 0.8))
        ours, textbook = black_scholes.greeks(at), black_scholes.closed_forms(at)
        assert list(ours) == ["delta", "gamma", "vega", "theta", "rho", "vanna", "volga"]
        for name, value in ours.items():
            assert value == pytest.approx(textbook[name], abs=1e-10, rel=1e-10), (at, name)


def test_rosenbrock_in_a_hundred_dimensions(capsys):
    x, steps = example("rosenbrock_newton").main()
    capsys.readouterr()
    assert np.max(np.abs(x - 1.0)) < 1e-12
    assert steps < 200


def test_errors_of_a_pendulum_against_sampling(capsys):
    pendulum = example("error_propagation")
    value, deviation, shares, bias = pendulum.main()
    capsys.readouterr()
    assert sum(shares) == pytest.approx(1.0)
    covariance = pendulum.CORRELATION * np.outer(pendulum.DEVIATIONS, pendulum.DEVIATIONS)
    sampled = np.random.default_rng(0).multivariate_normal(pendulum.MEASURED, covariance, 400_000)
    results = pendulum.gravity(sampled.T)
    assert deviation == pytest.approx(np.std(results), rel=0.01)
    assert bias == pytest.approx(np.mean(results) - value, abs=4 * np.std(results) / 400_000**0.5)
    length, period, theta = pendulum.MEASURED
    slopes = [value / length, -2 * value / period, value * 2 * (theta / 8) / (1 + theta**2 / 16)]
    assert ag.grad(pendulum.gravity)(pendulum.MEASURED) == pytest.approx(slopes, rel=1e-12)


def test_lynx_and_hares_against_scipys_solver_and_a_published_fit(capsys):
    from scipy.integrate import solve_ivp

    lynx = example("lynx_and_hares")
    p, found = lynx.main()
    assert "thousand lynx" in capsys.readouterr().out
    assert found.converged
    a, b, c, d, *start = found.x
    years = np.arange(21.0)
    ours = solve_ivp(
        lambda t, q: [(a - b * q[1]) * q[0], (d * q[0] - c) * q[1]], (0, 20), start, t_eval=years, rtol=1e-10
    )
    with ag.no_grad():
        model = [[x.item() for x in pair] for pair in lynx.populations(p, 21)]
    assert np.array(model) == pytest.approx(ours.y.T, rel=1e-4)
    # the posterior means of Carpenter's model, whose priors are wide, are within half a standard error
    errors = np.sqrt(np.diag(found.covariance))[:4]
    assert (np.abs(found.x[:4] - [0.55, 0.028, 0.80, 0.024]) < errors / 2).all()


def test_remission_times_against_published_estimates(capsys):
    """R's survreg(Surv(time, cens) ~ treat, data = MASS::gehan) gives these."""
    times = example("remission_times")
    estimates, covariance, found = times.main()
    assert "multiplies the risk of a relapse by 0.177" in capsys.readouterr().out
    assert estimates == pytest.approx([2.248, 1.267, -0.312], abs=6e-4)
    assert np.sqrt(np.diag(covariance)) == pytest.approx([0.166, 0.311, 0.147], abs=6e-4)
    assert -found.loss == pytest.approx(-106.6, abs=0.05)
    assert ag.grad(lambda x: times.log_likelihood(*x))(estimates) == pytest.approx(0.0, abs=1e-10)


def test_cart_pole_obeys_the_equations_of_motion(capsys):
    from scipy.integrate import solve_ivp

    cart = example("cart_pole")
    found, table = cart.main()
    assert "59.686" in capsys.readouterr().out
    assert found.constr_violation < 1e-10
    assert found.optimality < 1e-6
    step = cart.DURATION / (len(table) - 1)
    for q, r in pairwise(table):  # an accurate solver, from each moment to the next
        force = np.poly1d([(r[4] - q[4]) / step, q[4]])
        end = solve_ivp(lambda t, x, u=force: cart.motion(x, u(t)), (0, step), q[:4], rtol=1e-8)
        assert end.y[:, -1] == pytest.approx(r[:4], abs=0.2)
    # the error of the trapezoidal rule falls with the square of the step: the limit of the effort
    finer, _ = cart.swing_up(61)
    assert (4.0 * finer.fun - found.fun) / 3.0 == pytest.approx(58.8, abs=0.1)


def test_implied_volatilities_are_those_of_the_prices(capsys):
    from scipy.optimize import brentq

    implied = example("implied_volatilities")
    true, found, changes = implied.main()
    assert "10,000 volatilities" in capsys.readouterr().out
    assert found == pytest.approx(true, abs=1e-12)
    assert changes[-1] < 1e-12 < changes[0]
    _, *option = implied.market()
    with ag.no_grad():
        for k in range(0, implied.COUNT, 2_500):
            row = [x[k] for x in option]
            seen = implied.price(true[k], *row).item()
            alone = brentq(lambda v: implied.price(v, *row).item() - seen, 0.01, 2.0, xtol=1e-14)  # noqa: B023
            assert found[k] == pytest.approx(alone, abs=1e-10)


def test_every_hand_of_the_robot_arm_arrives(capsys):
    arm = example("robot_arm")
    places, angles, distances = arm.main()
    assert "after 24 steps 100.00% are there" in capsys.readouterr().out
    assert np.max(distances[-1]) < 1e-12
    base, *bends = angles.T
    directions = np.cumsum(bends, 0)
    lengths = np.array([[0.45], [0.4], [0.15]])
    along, up = np.sum(lengths * np.cos(directions), 0), 0.3 + np.sum(lengths * np.sin(directions), 0)
    assert np.stack([along * np.cos(base), along * np.sin(base), up], 1) == pytest.approx(places, abs=1e-12)


def test_scipy_takes_our_functions_as_they_are():
    from scipy.optimize import least_squares, minimize, root

    def rosen(x):
        return ag.sum([100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])

    start = np.array([-1.2, 1.0, 0.5])
    for options in (
        {"fun": rosen, "jac": ag.grad(rosen), "hess": ag.hessian(rosen), "method": "trust-exact"},
        {"fun": rosen, "jac": ag.grad(rosen), "hess": ag.hessian(rosen, sparse=True), "method": "trust-constr"},
        {"fun": rosen, "jac": ag.grad(rosen), "hessp": lambda x, v: ag.hvp(rosen, x, v), "method": "trust-ncg"},
        {"fun": ag.value_and_grad(rosen), "jac": True, "method": "L-BFGS-B", "options": {"ftol": 1e-14, "gtol": 1e-9}},
    ):
        assert minimize(x0=start, **options).x == pytest.approx(np.ones(3), abs=1e-5)

    def equations(x):
        return np.array([x[0] + 0.5 * (x[0] - x[1]) ** 3 - 1.0, 0.5 * (x[1] - x[0]) ** 3 + x[1]])

    found = root(equations, [0.0, 0.0], jac=ag.jacobian(equations))
    assert found.success
    assert found.x == pytest.approx([0.8411639, 0.1588361], abs=1e-6)
    assert least_squares(equations, [0.0, 0.0], ag.jacobian(equations)).x == pytest.approx(found.x, abs=1e-6)
    assert least_squares(equations, [0.0, 0.0], ag.jacobian(equations, sparse=True), method="trf").success
