"""The shadow mode: what the reference computes is computed by another backend too, and compared.

python -m pytest tests/folding --shadow native
"""

from collections import Counter

import numpy as np

from autograd_lite.folding.backends import Refused, backend, numpy_backend

COUNT = Counter()
"""What was compared, and what was not: for the summary."""


def shadowed(name):
    """A runner of NumPy's that has one of another backend run beside it."""

    class Shadowed(numpy_backend.Runner):
        def __init__(self, plan, dtype):
            super().__init__(plan, dtype)
            self.shadow = None
            if not plan.safe:
                try:
                    self.shadow = backend(name).prepare(plan, dtype)
                    COUNT["plans"] += 1
                except Refused:
                    COUNT["plans refused"] += 1

        def __call__(self, leaves, rows, means=0):
            outputs = super().__call__(leaves, rows, means)
            if self.shadow is not None:
                found = self.shadow(leaves, rows, means)
                compare(self, outputs, found, [leaves.theta, leaves.constants, *leaves.inputs])
            return outputs

    return Shadowed


def compare(runner, outputs, found, leaves):
    """AssertionError if outputs of two runners that are trusted differ by more than rounding.

    What is left where terms cancel is measured by the numbers that went in.
    """
    if not (runner.trusted and runner.shadow.trusted):
        COUNT["outputs that one of both does not trust"] += len(outputs)
        return  # the safe plan decides
    tolerance = 1e-11 if np.dtype(runner.dtype) == np.float64 else 2e-4
    assert len(outputs) == len(found)
    scale = max(np.abs(x[np.isfinite(x)]).max(initial=1e-300) for x in leaves)
    for x, y in zip(outputs, found, strict=True):
        assert x.shape == y.shape
        finite = np.isfinite(x)
        np.testing.assert_array_equal(x[~finite], y[~finite])
        size = np.abs(x[finite]).max(initial=scale)
        np.testing.assert_allclose(y[finite], x[finite], rtol=tolerance, atol=tolerance * size)
        COUNT["outputs equal"] += 1
