"""A small convolution on handwritten digits, written for one image in scalars. python examples/convolution_digits.py

A convolution is the same layer at each patch of the image: four filters of 3 x 3 on 8 x 8 pixels, means over 2 x 2, and
a linear layer. Compiled, the patches of all images of a batch are one matrix product. Needs scikit-learn for the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import autograd_lite as ag


class Convolution(ag.Module):
    """8 x 8 pixels -> filters on 6 x 6 places -> means on 3 x 3 -> 10 scores."""

    def __init__(self, filters: int = 4, seed: int = 0) -> None:
        self.filters = ag.Layer(9, filters, "relu", seed=seed)
        self.scores = ag.Layer(9 * filters, 10, None, seed=seed + 1)

    def __call__(self, image: Sequence[Any]) -> Any:
        """The ten scores of an image, 64 pixels in rows."""
        maps = [[self.filters(patch(image, row, column)) for column in range(6)] for row in range(6)]
        pooled = [
            ag.mean([maps[row + i][column + j][k] for i in (0, 1) for j in (0, 1)])
            for k in range(self.filters.n_out)
            for row in (0, 2, 4)
            for column in (0, 2, 4)
        ]
        return self.scores(pooled)


def patch(image: Sequence[Any], row: int, column: int) -> list[Any]:
    """The nine pixels whose first is at (row, column)."""
    return [image[8 * (row + i) + column + j] for i in range(3) for j in range(3)]


def main(epochs: int = 20) -> float:
    """Train; the share of the held-out digits that is classified correctly."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    history = ag.fit(
        Convolution(), X / 16.0, y, loss="cross_entropy", lr=0.02, epochs=epochs, batch_size=64, validation=0.25,
        metrics=["accuracy"], seed=0, compiled=True,
    )  # fmt: skip
    right: float = history.rows[-1]["metrics"]["validation_accuracy"]
    print(history.summary())
    return right


if __name__ == "__main__":
    main()
