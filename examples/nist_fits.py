"""Nonlinear least squares with certified answers: Misra1a and MGH09 of NIST's statistical reference data sets.

scipy.optimize.least_squares takes our exact Jacobian. Where it stops before the last digits, Newton's method
with our exact Hessian of the sum of squares goes on to the end. Run it: python examples/nist_fits.py

Source: NIST/ITL StRD, Nonlinear Least Squares Regression, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml:
Misra1a (Misra, D., NIST 1978, dental research) and MGH09 (Kowalik and Osborne 1978; More, Garbow,
Hillstrom 1981).
"""

from collections import namedtuple

import numpy as np
from scipy.optimize import least_squares

import autograd_lite as ag

Problem = namedtuple("Problem", "name model x y starts parameters deviations sum_of_squares")
Fit = namedtuple("Fit", "parameters deviations sum_of_squares scipy_digits")

MISRA1A = Problem(
    "Misra1a",
    lambda b, x: b[0] * (1.0 - ag.exp(-b[1] * x)),
    [77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0],
    [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78],
    [(500.0, 0.0001), (250.0, 0.0005)],
    [2.3894212918e02, 5.5015643181e-04],
    [2.7070075241e00, 7.2668688436e-06],
    1.2455138894e-01,
)

MGH09 = Problem(
    "MGH09",
    lambda b, x: b[0] * (x * x + x * b[1]) / (x * x + x * b[2] + b[3]),
    [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625],
    [0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246],
    [(25.0, 39.0, 41.5, 39.0), (0.25, 0.39, 0.415, 0.39)],
    [1.9280693458e-01, 1.9128232873e-01, 1.2305650693e-01, 1.3606233068e-01],
    [1.1435312227e-02, 1.9633220911e-01, 8.0842031232e-02, 9.0025542308e-02],
    3.0750560385e-04,
)


def fit(problem, start):
    """Parameters, their standard deviations and the sum of squares, from a start."""

    def residuals(b):
        return np.array([problem.model(b, x) - y for x, y in zip(problem.x, problem.y, strict=True)])

    def sum_of_squares(b):
        return ag.sum([r * r for r in residuals(b)])

    jacobian, gradient, hessian = ag.jacobian(residuals), ag.grad(sum_of_squares), ag.hessian(sum_of_squares)
    tight = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "max_nfev": 5000}
    found = least_squares(lambda b: residuals(b).astype(float), start, jacobian, method="lm", x_scale="jac", **tight)
    b = found.x
    for _ in range(20):  # Newton: near the minimum each step doubles the digits
        step = np.linalg.solve(hessian(b), -gradient(b))
        b = b + step
        if np.all(np.abs(step) <= 1e-14 * np.abs(b)):
            break
    rss = float(sum_of_squares(b))
    jac = jacobian(b)
    variance = rss / (len(problem.x) - len(b))
    deviations = np.sqrt(variance * np.diag(np.linalg.inv(jac.T @ jac)))
    return Fit(b, deviations, rss, digits(found.x, problem.parameters))


def digits(found, certified):
    """The number of digits in which all of them agree: -log10 of the largest relative error."""
    error = np.max(np.abs(np.asarray(found) / np.asarray(certified) - 1.0))
    return float(min(11.0, -np.log10(error))) if error else 11.0  # 11 digits are certified


def main():
    """Fit both, from both starts, and print the digits that agree with the certified values."""
    fits = {}
    for problem in (MISRA1A, MGH09):
        for number, start in enumerate(problem.starts, 1):
            found = fits[problem.name, number] = fit(problem, np.array(start))
            parameters = digits(found.parameters, problem.parameters)
            deviations = digits(found.deviations, problem.deviations)
            squares = digits([found.sum_of_squares], [problem.sum_of_squares])
            print(
                f"{problem.name:8} start {number}, digits: parameters {parameters:4.1f} (scipy alone "
                f"{found.scipy_digits:4.1f}), deviations {deviations:4.1f}, sum of squares {squares:4.1f}"
            )
    return fits


if __name__ == "__main__":
    main()
