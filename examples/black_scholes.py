"""The price of a European call and its sensitivities ("Greeks"), by differentiating the price once and twice.

One function is written by hand, the price. Its derivatives are compared with the closed forms of the textbook.
Run it: python examples/black_scholes.py

Source: F. Black, M. Scholes, "The pricing of options and corporate liabilities", 1973; the closed forms as in
E. G. Haug, "The complete guide to option pricing formulas", 2007, chapter 2.
"""

from math import erfc, exp, log, pi, sqrt

import autograd_lite as ag

SPOT, STRIKE, YEARS, RATE, VOLATILITY = range(5)


def normal(x):
    """The normal distribution function."""
    return 0.5 * ag.erfc(-x * sqrt(0.5))


def price(at):
    """The Black-Scholes price of a call, at (spot, strike, years, rate, volatility)."""
    spot, strike, years, rate, volatility = at
    spread = volatility * ag.sqrt(years)
    d1 = (ag.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / spread
    return spot * normal(d1) - strike * ag.exp(-rate * years) * normal(d1 - spread)


def greeks(at):
    """The sensitivities, from one gradient and one Hessian."""
    first, second = ag.grad(price)(at), ag.hessian(price)(at)
    return {
        "delta": first[SPOT],
        "gamma": second[SPOT][SPOT],
        "vega": first[VOLATILITY],
        "theta": -first[YEARS],
        "rho": first[RATE],
        "vanna": second[SPOT][VOLATILITY],
        "volga": second[VOLATILITY][VOLATILITY],
    }


def closed_forms(at):
    """The same from the textbook, in plain floats."""
    s, k, t, r, v = at
    d1 = (log(s / k) + (r + v * v / 2) * t) / (v * sqrt(t))
    d2 = d1 - v * sqrt(t)
    density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
    n1, n2 = erfc(-d1 / sqrt(2)) / 2, erfc(-d2 / sqrt(2)) / 2
    vega = s * density * sqrt(t)
    return {
        "delta": n1,
        "gamma": density / (s * v * sqrt(t)),
        "vega": vega,
        "theta": -s * density * v / (2 * sqrt(t)) - r * k * exp(-r * t) * n2,
        "rho": k * t * exp(-r * t) * n2,
        "vanna": -density * d2 / v,
        "volga": vega * d1 * d2 / v,
    }


def main():
    """Print the Greeks of one option, ours beside the closed forms."""
    at = (100.0, 105.0, 0.75, 0.03, 0.2)
    ours, textbook = greeks(at), closed_forms(at)
    print(f"price {price(at):.10f}")
    for name, value in ours.items():
        closed = textbook[name]
        print(f"{name:6} {value:16.10f}   closed form {closed:16.10f}   difference {value - closed:8.1e}")
    return ours, textbook


if __name__ == "__main__":
    main()
