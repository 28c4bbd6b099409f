"""Decision boundaries of two sizes of network under rising penalties on large weights.

The slides' picture: more hidden units can bend the boundary around single points, more alpha straightens it.
Data: scikit-learn's two moons, 60 noisy points. The slides' larger network is 100-100; here it is 10-10, which takes
seconds. Run: python examples/decision_boundaries.py boundaries.png
"""

import sys
import warnings

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning

from autograd_lite.sklearn import MLPClassifier

ALPHAS = (0.0001, 0.1, 1.0, 5.0)


def main(path: str = "boundaries.png", sizes=((3, 3), (10, 10)), epochs: int = 150) -> dict[tuple, float]:
    """Draw a row for each size and a column for each alpha; the norm of the weights of each."""
    X, y = make_moons(60, noise=0.35, random_state=0)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    side = np.linspace(-2.8, 2.8, 120)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    figure, rows = plt.subplots(
        len(sizes), len(ALPHAS), figsize=(3 * len(ALPHAS), 3 * len(sizes)), layout="constrained", squeeze=False
    )
    norms = {}
    for size, axes in zip(sizes, rows, strict=True):
        for alpha, ax in zip(ALPHAS, axes, strict=True):
            network = MLPClassifier(
                size, activation="tanh", alpha=alpha, learning_rate_init=0.05, max_iter=epochs, tol=0.0, random_state=0
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                network.fit(X, y)
            norms[size, alpha] = float(np.sqrt(sum((w**2).sum() for w in network.coefs_)))
            probability = network.predict_proba(grid)[:, 1].reshape(len(side), -1)
            ax.contourf(side, side, probability, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.7)
            ax.contour(side, side, probability, levels=[0.5], colors="k", linewidths=1)
            ax.scatter(*X.T, c=y, cmap="RdBu", edgecolors="k", linewidths=0.5, s=18)
            ax.set(title=f"n_hidden={list(size)}\nalpha={alpha:g}", xticks=[], yticks=[])
            print(f"n_hidden={list(size)} alpha={alpha:<7g} |w| = {norms[size, alpha]:.2f}")
    figure.savefig(path, dpi=80)
    plt.close(figure)
    return norms


if __name__ == "__main__":
    main(*sys.argv[1:2])
