"""Newton's method on the Rosenbrock function in 100 dimensions, with our sparse Hessian.

The Hessian has three diagonals; it is found and solved as such, without a matrix of 100 x 100. Far from the
minimum it is not positive definite: then a multiple of the identity is added until the step goes downhill, and the step
is halved until it helps. Run it: python examples/rosenbrock_newton.py

Source: J. Nocedal, S. Wright, "Numerical optimization", 2006, section 3.4 (Hessian modification).
"""

import numpy as np
from scipy.sparse import eye_array
from scipy.sparse.linalg import splu

import autograd_lite as ag


def rosenbrock(x):
    """sum of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2; its minimum is 0, where every x[i] is 1."""
    return ag.sum([100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])


def newton(f, x, tolerance=1e-10, most=200):
    """The minimum of f by Newton's method: (x, number of steps)."""
    value_and_grad, hessian = ag.value_and_grad(f), ag.hessian(f, sparse=True)
    value, gradient = value_and_grad(x)
    for count in range(most):
        if np.max(np.abs(gradient)) < tolerance:
            return x, count
        step = downhill(hessian(x), gradient)
        size = 1.0
        while f(x + size * step) > value + 1e-4 * size * (gradient @ step) and size > 1e-10:
            size /= 2
        x = x + size * step
        value, gradient = value_and_grad(x)
    raise RuntimeError(f"newton: the gradient is still {np.max(np.abs(gradient)):.2g} after {most} steps")


def downhill(matrix, gradient):
    """The Newton step; the identity is added to the Hessian as often as it takes to make it positive definite."""
    shift = 0.0
    while True:
        factors = splu((matrix + shift * eye_array(len(gradient))).tocsc(), permc_spec="NATURAL", diag_pivot_thresh=0.0)
        if np.all(factors.U.diagonal() > 0.0):  # the pivots without exchange of rows: all positive means definite
            return factors.solve(-gradient)
        shift = max(2.0 * shift, 1.0)


def main(n=100):
    """Minimise from -1 in every coordinate (from (-1.2, 1, -1.2, ...) one ends in the other minimum, at f = 3.99)."""
    x, steps = newton(rosenbrock, np.full(n, -1.0))
    print(f"{n} dimensions: {steps} Newton steps, f = {rosenbrock(x):.3g}, |x - 1| <= {np.max(np.abs(x - 1)):.3g}")
    return x, steps


if __name__ == "__main__":
    main()
