"""Optimal control by direct collocation: swing a pole up on a cart with the least effort.

    minimise  integral of u(t)^2  from 0 to 2 s,   q' = f(q, u),   q(0) = at rest, hanging,   q(2) = 1 m on, upright

The four states and the force at 31 moments are the unknowns. The equations of motion hold between neighbours by the
trapezoidal rule, 128 equality constraints. Each of them has few of the 155 unknowns in it, so the Jacobian, and the
Hessian of the Lagrangian, are sparse; SciPy's trust-constr gets both, exact and sparse.
Run it: python examples/cart_pole.py

Source: Kelly, An Introduction to Trajectory Optimization: How to Do Your Own Direct Collocation, SIAM Review 59, 2017,
section 6, with its masses and lengths. The effort falls to 58.8 N^2 s as the moments become more.
"""

from itertools import pairwise
from math import pi

import numpy as np
from scipy.optimize import NonlinearConstraint, minimize

import autograd_lite as ag

CART, POLE, LENGTH, GRAVITY, DURATION = 1.0, 0.3, 0.5, 9.81, 2.0  # kg, kg, m, m/s^2, s
END = (1.0, pi, 0.0, 0.0)  # place, angle, and their velocities


def motion(q, u):
    """The derivatives of place, angle and velocities under the force u."""
    _, angle, speed, turning = q
    sine, cosine = ag.sin(angle), ag.cos(angle)
    mass = CART + POLE * (1.0 - cosine**2)
    push = LENGTH * POLE * sine * turning**2
    return [
        speed,
        turning,
        (push + u + POLE * GRAVITY * cosine * sine) / mass,
        -(push * cosine + u * cosine + (CART + POLE) * GRAVITY * sine) / (LENGTH * mass),
    ]


def moments(z):
    """(states, force) of each moment."""
    return [(z[i : i + 4], z[i + 4]) for i in range(0, len(z), 5)]


def step(z):
    """The time between two moments."""
    return DURATION / (len(z) // 5 - 1)


def effort(z):
    """The integral of the force squared."""
    return 0.5 * step(z) * ag.sum([u * u + v * v for (_, u), (_, v) in pairwise(moments(z))])


def violations(z):
    """What must be 0: the start, the end, and the equations of motion between the moments."""
    points = moments(z)
    found = [*points[0][0], *(x - end for x, end in zip(points[-1][0], END, strict=True))]
    slopes = [motion(q, u) for q, u in points]
    for (q, _), (r, _), f, g in zip(points, points[1:], slopes, slopes[1:], strict=False):
        found += [b - a - 0.5 * step(z) * (s + t) for a, b, s, t in zip(q, r, f, g, strict=True)]
    return np.array(found)


def swing_up(count=31):
    """(SciPy's result, the unknowns as a table: a row a moment, of place, angle, two velocities, force)."""
    start = np.zeros((count, 5))
    start[:, :2] = np.linspace(0.0, 1.0, count)[:, None] * END[:2]  # straight from the beginning to the end
    constraint = NonlinearConstraint(
        lambda z: violations(z).astype(float), 0.0, 0.0, jac=ag.jacobian(violations, sparse=True),
        hess=lambda z, weights: ag.hessian(lambda z: ag.dot(weights, violations(z)), sparse=True)(z),
    )  # fmt: skip
    found = minimize(
        ag.value_and_grad(effort), start.ravel(), jac=True, hess=ag.hessian(effort, sparse=True), method="trust-constr",
        constraints=[constraint], options={"gtol": 1e-8, "xtol": 1e-12, "initial_tr_radius": 10.0, "maxiter": 300},
    )  # fmt: skip
    return found, found.x.reshape(count, 5)


def main():
    """Print the swing."""
    found, table = swing_up()
    held = f"constraints hold to {found.constr_violation:.0e}"
    print(f"effort {found.fun:.3f} N^2 s after {found.nit} iterations, {held}")
    print("time   place   angle   force")
    for k, (place, angle, _, _, force) in enumerate(table):
        if k % 3 == 0:
            print(f"{DURATION * k / (len(table) - 1):4.1f} {place:7.3f} {angle:7.3f} {force:7.2f}")
    return found, table


if __name__ == "__main__":
    main()
