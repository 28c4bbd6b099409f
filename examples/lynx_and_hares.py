"""Parameters of a differential equation from real data: hares, and the lynx that live on them.

    hares' = (a - b lynx) hares,    lynx' = (d hares - c) lynx

The pelts that the Hudson's Bay Company collected each year follow the populations, up to errors of a constant share.
The solver is a Python loop of Runge-Kutta steps on scalars; `ag.minimize` differentiates through it and fits the four
rates and the two populations of 1900. Their covariance comes from the exact Jacobian, and `ag.propagate` carries it
over to what follows from the rates: the populations at which nothing would change, c / d hares and a / b lynx.
Run it: python examples/lynx_and_hares.py

Source: Hewitt, The Conservation of the Wild Life of Canada, 1921, and later figures of the company, in thousands of
pelts (Howard, Modeling Basics, 2009). Facts, in the public domain. The same model with priors: Carpenter,
Predator-Prey Population Dynamics: the Lotka-Volterra model in Stan, 2018.
"""

from math import log, sqrt

import numpy as np

import autograd_lite as ag

HARES = [30.0, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22.0, 25.4, 27.1, 40.3, 57.0, 76.6, 52.3, 19.5, 11.2, 7.6,
         14.6, 16.2, 24.7]  # fmt: skip
LYNX = [4.0, 6.1, 9.8, 35.2, 59.4, 41.7, 19.0, 13.0, 8.3, 9.1, 7.4, 8.0, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1,
        8.6]  # fmt: skip
FIRST = 1900
STEPS = 10  # of the solver, in a year
START = {"a": 0.5, "b": 0.02, "c": 1.0, "d": 0.02, "hares": 30.0, "lynx": 4.0}


def populations(p, years):
    """(hares, lynx) at the beginning of each year, by the classical method of Runge and Kutta."""

    def slopes(hares, lynx):
        return (p["a"] - p["b"] * lynx) * hares, (p["d"] * hares - p["c"]) * lynx

    h, now = 1.0 / STEPS, (p["hares"], p["lynx"])
    found = [now]
    for _ in range(years - 1):
        for _ in range(STEPS):
            k1 = slopes(*now)
            k2 = slopes(*(x + h / 2.0 * k for x, k in zip(now, k1, strict=True)))
            k3 = slopes(*(x + h / 2.0 * k for x, k in zip(now, k2, strict=True)))
            k4 = slopes(*(x + h * k for x, k in zip(now, k3, strict=True)))
            slope = [(a + 2.0 * (b + c) + d) / 6.0 for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
            now = tuple(x + h * k for x, k in zip(now, slope, strict=True))
        found.append(now)
    return found


def residuals(p):
    """How far the logarithms are from those of the pelts: an error of a constant share of the population."""
    found = populations(p, len(HARES))
    return [ag.log(y) - log(seen) for row, pair in zip(found, zip(HARES, LYNX)) for y, seen in zip(row, pair)]  # noqa: B905


def equilibrium(numbers):
    """The populations at which nothing changes."""
    a, b, c, d = numbers[:4]
    return [c / d, a / b]


def fit():
    """(the rates and first populations by name, what `minimize` found)."""
    p = {name: ag.Parameter(number, name=name) for name, number in START.items()}
    return p, ag.minimize(residuals, p, "lm")


def main():
    """Print the parameters with their errors, the equilibrium, and the populations beside the pelts."""
    p, found = fit()
    errors = np.sqrt(np.diag(found.covariance))
    share = sqrt(found.loss / (2 * len(HARES) - len(p)))
    print(f"{found.stopped}, after {found.iterations} iterations ({found.backend})")
    print(f"the pelts are {share:.0%} off the model")
    for (name, parameter), error in zip(p.items(), errors, strict=True):
        print(f"  {name:5} {parameter.item():8.4f} +- {error:.4f}")
    still = ag.propagate(equilibrium, found.x, found.covariance)
    for name, number, error in zip(("hares", "lynx"), still.value, still.error, strict=True):
        print(f"nothing would change at {number:5.1f} +- {error:.1f} thousand {name}")
    with ag.no_grad():
        rows = populations(p, len(HARES))
    print("year   hares: pelts  model    lynx: pelts  model")
    for year, (row, hares, lynx) in enumerate(zip(rows, HARES, LYNX, strict=True), FIRST):
        print(f"{year} {hares:14.1f} {row[0].item():6.1f} {lynx:14.1f} {row[1].item():6.1f}")
    return p, found


if __name__ == "__main__":
    main()
