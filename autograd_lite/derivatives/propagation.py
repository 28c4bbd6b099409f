"""Errors carried through a function: the covariance of a result from that of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from autograd_lite.derivatives import jacobians
from autograd_lite.derivatives.transforms import Recording
from autograd_lite.engine.checks import describe, numpy_for

Array = Any


class Propagated(NamedTuple):
    """What `propagate` gives.

    Args:
        value: what f gives.
        error: the standard deviation of each number of it, in the same form.
        covariance: of all numbers of it, of shape (m, m).
    """

    value: Any
    error: Any
    covariance: Array


def propagate(f: Callable[[Any], Any], x: Any, covariance: Any) -> Propagated:
    """The result of f with its standard errors, from the covariance of the argument: the delta method.

        cov f(x) = J C J^T,  J = d f(x) / d x

    It takes f as linear within the errors, which `ag.hessian` can tell: the second derivatives times C are the first
    thing that is left out.

    Args:
        f: a function of one argument that gives numbers in any form.
        x: where: a number, an array, a list, a dict or another container of n numbers.
        covariance: of these numbers, in their order: of shape (n, n), such as `covariance` of what `ag.minimize`
            gives; or n standard deviations, of errors that are independent.

    Returns:
        (value, error, covariance): the result, the standard deviation of each number of it in the same form, and the
        matrix.

    Raises:
        TypeError: f gives, or x or covariance holds, something that is not a number.
        ValueError: covariance does not fit x, is not symmetric, or has a negative variance or eigenvalue.

    Example:
        >>> ratio = ag.propagate(lambda x: x[0] / x[1], [6.0, 2.0], [0.3, 0.1])
        >>> ratio.value, round(ratio.error, 4)
        (3.0, 0.2121)

    Source: JCGM 100:2008, Guide to the expression of uncertainty in measurement, section 5.
    """
    np = numpy_for("propagate")

    run = Recording("propagate", f, (x,), (0,), create_graph=False)
    n = len(run.all_inputs)
    try:
        given = np.asarray(covariance, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(
            f"propagate: covariance must be numbers, of shape ({n}, {n}) or {n} standard deviations, "
            f"got {describe(covariance)}"
        ) from None
    matrix = given
    if given.size == n and given.shape != (n, n):
        if not (np.isfinite(given) & (given >= 0.0)).all():
            raise ValueError(
                f"propagate: standard deviations must be finite and at least 0, got {describe(covariance)}"
            )
        matrix = np.diag(given.reshape(n) ** 2)
    if matrix.shape != (n, n):
        raise ValueError(
            f"propagate: covariance has the shape {given.shape}; of {n} numbers it is ({n}, {n}), or {n} standard "
            "deviations"
        )
    size = np.sqrt(np.abs(np.diag(matrix)))
    scale = np.outer(size, size)
    symmetric = np.isfinite(matrix).all() and (np.abs(matrix - matrix.T) <= 1e-8 * scale).all()
    # an error of a difference would be the root of a negative number, where two numbers are correlated by more than 1
    beyond = np.where(matrix == 0.0, 0.0, 2.0)  # of a covariance with what has no variance
    correlation = np.divide(matrix, scale, out=beyond, where=scale > 0.0) if symmetric else -np.eye(n)
    if (np.diag(matrix) < 0.0).any() or (n and np.linalg.eigvalsh(correlation)[0] < -1e-8 * n):
        raise ValueError(
            "propagate: covariance must be symmetric and finite, with variances of at least 0, also those of sums and "
            "differences (no negative eigenvalue)"
        )
    slopes = jacobians.dense(run.outputs, run.all_inputs)
    spread = slopes @ matrix @ slopes.T
    error = np.sqrt(np.maximum(np.diag(spread), 0.0))  # rounding alone makes one negative
    return Propagated(run.result, run.like_output(error.tolist()), spread)
