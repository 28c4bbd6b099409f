"""Estimators beside scikit-learn's: scores of five-fold cross-validation, and its time. python -m benchmarks.estimators

Hidden layer of 16, batches of 32, at most 50 epochs, three random states; needs scikit-learn.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import sklearn.neural_network as theirs
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import autograd_lite.sklearn as ours

SETTINGS = {"hidden_layer_sizes": (16,), "batch_size": 32, "max_iter": 50, "learning_rate_init": 0.01, "tol": 1e-4}
DATA = {
    "digits": (load_digits, "MLPClassifier"),
    "iris": (load_iris, "MLPClassifier"),
    "wine": (load_wine, "MLPClassifier"),
    "breast cancer": (load_breast_cancer, "MLPClassifier"),
    "diabetes": (load_diabetes, "MLPRegressor"),
}


def main() -> None:
    """Print a row for each data set."""
    warnings.simplefilter("ignore")
    for name, (load, kind) in DATA.items():
        X, y = load(return_X_y=True)
        y = (y - y.mean()) / y.std() if kind == "MLPRegressor" else y
        cells = []
        for module in (ours, theirs):
            start = time.perf_counter()
            made = [
                make_pipeline(StandardScaler(), getattr(module, kind)(random_state=r, **SETTINGS)) for r in range(3)
            ]
            scores = [cross_val_score(model, X, y, cv=5).mean() for model in made]
            seconds = time.perf_counter() - start
            cells.append(f"{np.mean(scores):.3f} +- {np.std(scores):.3f} in {seconds:.1f} s")
        print(f"{name:14} ours {cells[0]}, scikit-learn {cells[1]}")


if __name__ == "__main__":
    main()
