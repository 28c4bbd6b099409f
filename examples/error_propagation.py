"""How far measurement errors carry: the acceleration of gravity from a pendulum.

    g = 4 pi^2 L / T^2 * (1 + theta^2 / 16)^2

The variance of g is J C J' with the exact gradient J and the covariance C of what was measured; the Hessian gives
the bias that the curvature of the formula adds, and shows whether the linear estimate may be trusted.
Run it: python examples/error_propagation.py

Source: JCGM 100:2008, "Guide to the expression of uncertainty in measurement" (GUM), section 5.
"""

from math import pi, sqrt

import numpy as np

import autograd_lite as ag

NAMES = ("length", "period", "amplitude")
MEASURED = np.array([0.9930, 2.0040, 0.20])  # m, s, rad
DEVIATIONS = np.array([0.0010, 0.0020, 0.01])
CORRELATION = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.3], [0.0, 0.3, 1.0]])  # wide swings are timed late


def gravity(measured):
    """g in m/s^2 from the length in m, the period in s and the amplitude in radians of a pendulum."""
    length, period, amplitude = measured
    return 4.0 * pi**2 * length / period**2 * (1.0 + amplitude**2 / 16.0) ** 2


def propagate(f, x, covariance):
    """(value, standard deviation, share of the variance of each input, bias to second order).

    A share below 0 belongs to an input whose error partly undoes that of another one it is correlated with.
    """
    value, gradient = ag.value_and_grad(f)(x)
    variance = gradient @ covariance @ gradient
    shares = gradient * (covariance @ gradient) / variance
    bias = 0.5 * np.sum(ag.hessian(f)(x) * covariance)
    return value, sqrt(variance), shares, bias


def main():
    """Print g, its uncertainty, and where it comes from."""
    covariance = CORRELATION * np.outer(DEVIATIONS, DEVIATIONS)
    value, deviation, shares, bias = propagate(gravity, MEASURED, covariance)
    print(f"g = {value:.4f} +- {deviation:.4f} m/s^2 (curvature adds {bias:+.1e})")
    for name, share in zip(NAMES, shares, strict=True):
        print(f"  {name:9} {share:6.1%} of the variance")
    return value, deviation, shares, bias


if __name__ == "__main__":
    main()
