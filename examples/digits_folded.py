"""Handwritten digits with an MLP of scalars, 64-32-10, trained as a program on arrays. python examples/digits_folded.py

The 1,797 digits of scikit-learn, 8 x 8 pixels; a quarter is held out. One example is a graph of scalars;
`compiled=True` folds it and runs mini-batches of 64 as matrix products. Needs scikit-learn.
"""

from __future__ import annotations

import time

from sklearn.datasets import load_digits

import autograd_lite as ag


def main(epochs: int = 40) -> float:
    """Train; the share of the held-out digits that is classified correctly."""
    X, y = load_digits(return_X_y=True)
    model = ag.MLP(64, [32, 10], seed=0)
    start = time.perf_counter()
    history = ag.fit(
        model, X / 16.0, y, loss="cross_entropy", optimizer=lambda p: ag.optim.Adam(p, lr=0.01), epochs=epochs,
        batch_size=64, validation=0.25, metrics=["accuracy"], seed=0, compiled=True,
    )  # fmt: skip
    right: float = history.rows[-1]["metrics"]["validation_accuracy"]
    seconds = time.perf_counter() - start
    print(f"{epochs} epochs in {seconds:.1f} s: loss {history.loss[-1]:.4f}")
    print(f"{right:.1%} of the held-out digits are right")
    return right


if __name__ == "__main__":
    main()
