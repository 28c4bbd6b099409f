"""Sums whose terms are finite, but which overflowed on the way: [1e308, 1e308, -1e308] is 1e308.

An array is summed in floats as they are, in the order that is fastest. Where that ends in an infinity or a NaN, the
sum is computed again from its terms, scaled by a power of two so that nothing can overflow before the result does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.folding.backends.kernels import product

Array = Any

SCALE = 2.0**-64
"""Enough for 2 ** 64 terms; what it loses among subnormal numbers is nothing beside a term that is near overflow."""


class Term(NamedTuple):
    """A part of a sum with its operands bound: out[to] += factor * left[left_lanes] * right[right_lanes]."""

    kind: str
    factor: float
    to: Array
    left: Array
    left_lanes: Array
    right: Array | None
    right_lanes: Array | None


def total(parts: Iterable[Array]) -> Array:
    """The sum of arrays, which overflows only where the result does."""
    found = sum(parts)
    if np.isfinite(found).all():
        return found
    return sum(part * SCALE for part in parts) / SCALE


def mend_sum(out: Array, terms: list[Term]) -> None:
    """Recompute a sum where it overflowed although its result is finite."""
    bad = ~np.isfinite(out)
    if bad.any():
        np.copyto(out, _scaled(out.shape, terms) / SCALE, where=bad, casting="same_kind")


def mend_mean(out: Array, terms: list[Term], lanes: Array, shares: Array) -> None:
    """The same for means, whose sum may be beyond the range of floats though the mean is not."""
    bad = ~np.isfinite(out)
    if bad.any():
        size = max(int(term.to.max()) for term in terms) + 1
        sums = _scaled((size, *out.shape[1:]), terms)[lanes]
        np.copyto(out, sums * (shares if out.ndim == 1 else shares[:, None]) / SCALE, where=bad, casting="same_kind")


def _scaled(shape: tuple[int, ...], terms: list[Term]) -> Array:
    """The sums times SCALE."""
    sums = np.zeros(shape)
    for term in terms:
        x = term.left[term.left_lanes]
        if term.right is not None and term.right_lanes is not None:
            y = term.right[term.right_lanes]
            x, y = (a if a.ndim >= max(x.ndim, y.ndim) else a[:, None] for a in (x, y))
            both = np.empty(np.broadcast_shapes(x.shape, y.shape))
            if term.kind == "mul":
                np.multiply(x, y, both)
            else:
                product(term.kind, x, y, both)
            x = both
        x = np.multiply(x, SCALE, dtype=float) * term.factor
        if x.ndim > len(shape):  # summed over the batch axis too
            x = x.sum(-1)
        np.add.at(sums, term.to, x if x.ndim == len(shape) else x[:, None])
    return sums
