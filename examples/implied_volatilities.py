"""Implied volatilities: 10,000 of them at once, by Newton's method in a compiled program.

The market quotes prices; the volatility at which the formula of Black and Scholes gives a price has to be solved for.
One step of Newton's method is written for one option, in scalars: the slope is `ag.value_and_grad` of the price. With
batch=True it is compiled to one program for all options, some 50 array instructions. From the volatility at which the
price has its point of inflection the steps approach the answer from one side, so that none can go astray.
Run it: python examples/implied_volatilities.py

Source: Manaster and Koehler, The Calculation of Implied Variances from the Black-Scholes Model, Journal of Finance 37,
1982, for the first guess. The prices are made here, from volatilities with a smile, so that the answer is known.
"""

from math import sqrt
from time import perf_counter

import numpy as np

import autograd_lite as ag

COUNT = 10_000
STEPS = 8
RATE = ag.Parameter(0.03, name="rate")


def normal(x):
    """The normal distribution function."""
    return 0.5 * ag.erfc(-x * sqrt(0.5))


def price(volatility, sign, strike, years):
    """The price of a call (sign 1) or a put (-1), in units of the price of the share."""
    spread = volatility * ag.sqrt(years)
    d1 = (RATE * years - ag.log(strike)) / spread + 0.5 * spread
    return sign * (normal(sign * d1) - strike * ag.exp(-RATE * years) * normal(sign * (d1 - spread)))


def newton(volatility, seen, sign, strike, years):
    """A volatility nearer to the one that gives the price `seen`."""
    value, slope = ag.value_and_grad(price)(volatility, sign, strike, years)
    return volatility - (value - seen) / slope


def market(seed=0):
    """(volatilities, sign, strike, years) of options out of the money, with a smile."""
    random = np.random.default_rng(seed)
    years = random.uniform(0.05, 2.0, COUNT)
    distance = random.uniform(-0.4, 0.4, COUNT) * np.sqrt(years)  # of the strike from the forward price, a logarithm
    volatilities = 0.18 - 0.1 * distance + 0.3 * distance**2 + 0.02 / np.sqrt(years)
    return volatilities, np.where(distance > 0.0, 1.0, -1.0), np.exp(distance + RATE.item() * years), years


def rows(program, *args):
    """What a program gives for each row of a batch."""
    found, _ = program.rows_and_grad(program.theta, *args)
    return found[0]


def solve(seen, sign, strike, years):
    """The volatilities, and the largest change in each step."""
    step = ag.compile(newton, params=[RATE], batch=True)
    found = np.sqrt(2.0 * np.abs(np.log(strike) - RATE.item() * years) / years)
    changes = []
    for _ in range(STEPS):
        before, found = found, rows(step, found, seen, sign, strike, years)
        changes.append(float(np.max(np.abs(found - before))))
    return found, changes


def main():
    """Price the options, solve for their volatilities, and print how far off these are."""
    true, *option = market()
    seen = rows(ag.compile(price, params=[RATE], batch=True), true, *option)
    start = perf_counter()
    found, changes = solve(seen, *option)
    seconds = perf_counter() - start
    for k, change in enumerate(changes, 1):
        print(f"step {k}: the largest change is {change:.1e}")
    error = float(np.max(np.abs(found - true)))
    print(f"{COUNT:,} volatilities in {seconds:.3f} s, compiling included; the largest error is {error:.1e}")
    return true, found, changes


if __name__ == "__main__":
    main()
