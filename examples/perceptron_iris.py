"""The perceptron rule on iris: setosa against the rest is linearly separable, versicolor is not.

Data: 150 flowers, with scikit-learn. Run: python examples/perceptron_iris.py
"""

import warnings

import numpy as np
from sklearn.datasets import load_iris

import autograd_lite as ag


def main() -> tuple[int, int]:
    """The number of misclassified flowers at the end, for setosa and for versicolor."""
    X, species = load_iris(return_X_y=True)
    left = []
    for label, name in enumerate(("setosa", "versicolor")):
        y = np.where(species == label, 1, -1)
        unit = ag.Perceptron(4)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            history = unit.fit(X, y, lr=0.1, max_epochs=200, seed=0)
        left.append(len(unit.misclassified(X, y)))
        numbers = ", ".join(f"{w.item():.2f}" for w in unit.w)
        print(f"{name}: {history.stopped}, {len(history)} epochs, {left[-1]} misclassified")
        print(f"    w = ({numbers}), b = {unit.b.item():.2f}")
        for warning in caught:
            print(f"    {warning.message}")
    return left[0], left[1]


if __name__ == "__main__":
    main()
