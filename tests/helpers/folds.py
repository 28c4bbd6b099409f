"""A fold beside the scalar engine: equal up to rounding."""

import numpy as np

import autograd_lite as ag
from autograd_lite.folding.program import fold


def close(found, expected, scale=1.0, ulps=256):
    """Equal up to rounding: NaN to NaN, infinity to infinity, finite numbers to ulps of the scale of the sum."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    bound = ulps * np.finfo(float).eps * np.maximum(np.abs(np.where(np.isfinite(expected), expected, 0.0)), scale)
    with np.errstate(invalid="ignore"):
        same = (found == expected) | (np.isnan(found) & np.isnan(expected)) | (np.abs(found - expected) <= bound)
    return bool(same.all())


def eager(root, leaves):
    """The value and the gradient by the scalar engine."""
    return root.item(), np.array(ag.gradients(root, leaves))


def by_backward(root, leaves):
    """The value, and the gradient that backward leaves in the leaves."""
    for p in leaves:
        p.grad = 0.0
    root.backward()
    return root.item(), np.array([p.grad for p in leaves])


def assert_same(found, want, accuracy=1e-12, equal_nan=False):
    """Value and gradient, the latter to the accuracy of its largest entry."""
    scale = max(1.0, np.abs(want[1]).max(initial=0.0))
    assert np.isclose(found[0], want[0], rtol=accuracy, atol=accuracy, equal_nan=equal_nan)
    assert np.allclose(found[1], want[1], rtol=accuracy, atol=accuracy * scale, equal_nan=equal_nan)


def same(root, leaves, **options):
    """Assert that the fold of a graph equals it, value and gradient."""
    program = fold(root, params=leaves)
    value, gradient = program.loss_and_grad(program.theta)
    expected, slopes = eager(root, leaves)
    assert close(program(), expected, **options), (program(), expected)
    assert close(value, expected, **options), (value, expected)
    assert close(gradient, slopes, **options), (gradient, slopes, str(program))
    return program
