"""Choosing the strength of the penalty on large weights by cross-validation.

Each alpha (the slides' lambda) is tried on three folds of the diabetes data, in two processes: with too small an
alpha the network learns the noise, with too large a one it learns nothing. Run: python examples/choose_lambda.py
"""

import warnings

from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.preprocessing import StandardScaler

from autograd_lite.sklearn import MLPRegressor

ALPHAS = (0.001, 1.0, 10.0, 100.0, 1000.0)


def main(alphas=ALPHAS, epochs: int = 25, jobs: int = 2) -> dict[float, float]:
    """The share of the variance explained on the folds left out, for each alpha."""
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[::2], ((y - y.mean()) / y.std())[::2]  # few data: noise can be learnt
    network = MLPRegressor((12,), activation="tanh", learning_rate_init=0.02, max_iter=epochs, tol=0.0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        folds = KFold(3, shuffle=True, random_state=0)
        search = GridSearchCV(network, {"alpha": alphas}, cv=folds, n_jobs=jobs, refit=False).fit(X, y)
    found = dict(zip(alphas, search.cv_results_["mean_test_score"].tolist(), strict=True))
    for alpha, score in found.items():
        print(f"alpha {alpha:8g}  explained {score:7.3f}{'  <- best' * (alpha == search.best_params_['alpha'])}")
    return found


if __name__ == "__main__":
    main()
