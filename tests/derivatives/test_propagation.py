"""propagate: errors carried through a function, against the formula, sampling, and in any form."""

import numpy as np
import pytest

import autograd_lite as ag


def test_the_formula_in_any_form():
    C = np.array([[0.04, 0.01], [0.01, 0.09]])
    J = np.array([[3.0, 2.0], [1.0, 1.0]])  # of (x y, x + y) at (2, 3)
    wanted = J @ C @ J.T
    forms = [
        (lambda x: [x[0] * x[1], x[0] + x[1]], [2.0, 3.0], lambda e: e),
        (lambda x: {"p": x["a"] * x["b"], "s": x["a"] + x["b"]}, {"a": 2.0, "b": 3.0}, lambda e: [e["p"], e["s"]]),
        (lambda x: np.array([x[0] * x[1], x[0] + x[1]]), np.array([2.0, 3.0]), list),
    ]
    for f, x, flat in forms:
        found = ag.propagate(f, x, C)
        assert flat(found.value) == [6.0, 5.0]
        assert flat(found.error) == pytest.approx(np.sqrt(np.diag(wanted)))
        assert found.covariance == pytest.approx(wanted)
        assert type(found.value) is type(found.error)


def test_standard_deviations_and_single_numbers():
    found = ag.propagate(ag.exp, 1.0, [0.1])
    assert found.error == pytest.approx(0.1 * np.e)
    assert ag.propagate(ag.exp, 1.0, [[0.01]]) == found
    apart = ag.propagate(lambda x: x[0] - x[1], [1.0, 1.0], [0.3, 0.4])
    assert (apart.value, apart.error) == (0.0, pytest.approx(0.5))
    same = ag.propagate(lambda x: x[0] - x[1], [1.0, 1.0], [[0.09, 0.09], [0.09, 0.09]])
    assert same.error == pytest.approx(0.0, abs=1e-12)
    assert ag.propagate(lambda x: 3.0, [1.0, 2.0], [0.1, 0.1]).error == 0.0


def test_a_parameter_in_f_is_a_constant():
    w = ag.Parameter(2.0)
    found = ag.propagate(lambda x: w * x, 3.0, [0.5])
    assert (found.value, found.error) == (6.0, 1.0)
    assert type(found.value) is float


def test_against_sampling():
    C = np.array([[1e-4, 2e-5], [2e-5, 4e-4]])
    f = lambda x: ag.sin(x[0]) * ag.exp(x[1])  # noqa: E731
    drawn = np.random.default_rng(0).multivariate_normal([0.4, 0.2], C, 100_000)
    found = ag.propagate(f, [0.4, 0.2], C)
    assert found.error == pytest.approx(np.std(np.sin(drawn[:, 0]) * np.exp(drawn[:, 1])), rel=0.02)


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.ones((3, 3)), r"has the shape \(3, 3\); of 2 numbers it is \(2, 2\), or 2 standard deviations"),
        ([0.1], "has the shape"),
        ([[1.0, 0.5], [0.2, 1.0]], "must be symmetric"),
        ([[-1.0, 0.0], [0.0, 1.0]], "at least 0"),
        ([[np.nan, 0.0], [0.0, 1.0]], "must be symmetric"),
        ([[np.inf, np.inf], [np.inf, np.inf]], "must be symmetric and finite"),
        ([[1.0, 2.0], [2.0, 1.0]], "no negative eigenvalue"),
        ([[0.0, 1e-9], [1e-9, 1e-4]], "must be symmetric"),
        ([-0.1, 0.1], "standard deviations must be finite and at least 0"),
        ([np.nan, 0.1], "standard deviations must be finite and at least 0"),
    ],
)
def test_refusals(covariance, message):
    with pytest.raises(ValueError, match=message):
        ag.propagate(lambda x: x[0] * x[1], [1.0, 2.0], covariance)
    with pytest.raises(TypeError):
        ag.propagate(lambda x: "text", [1.0, 2.0], [0.1, 0.1])


@pytest.mark.parametrize(
    "covariance", ["a", {"a": 0.1, "b": 0.1}, [[1.0], [1.0, 2.0]], [ag.Value(0.1)] * 2, ["x", "y"]]
)
def test_a_covariance_that_is_not_numbers(covariance):
    with pytest.raises(TypeError, match=r"covariance must be numbers, of shape \(2, 2\) or 2 standard deviations, got"):
        ag.propagate(lambda x: x[0] * x[1], [1.0, 2.0], covariance)


def test_numbers_that_go_together_without_rest():
    """Correlations of exactly 1, and variances of every size: on the edge of what a covariance is."""
    rng = np.random.default_rng(0)
    for scale in (1e-150, 1.0, 1e150):
        for rank in range(1, 5):
            half = rng.normal(size=(5, rank)) * scale ** rng.uniform(0, 1, size=(5, 1))
            found = ag.propagate(lambda x: x[0] - x[4], np.ones(5), half @ half.T)
            assert found.error >= 0.0
