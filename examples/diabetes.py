"""Regression: how far diabetes goes within a year, from ten measurements of a patient.

Data: 442 patients, with scikit-learn. The signal is weak: a linear fit explains about a third of the
variance, and a small network with early stopping does as well. Run: python examples/diabetes.py
"""

from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import autograd_lite as ag


def main(epochs: int = 40) -> tuple[float, float]:
    """(share of the held-out variance that the network explains, the same for a linear fit)."""
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
    scale, mean, spread = StandardScaler().fit(X_train), y_train.mean(), y_train.std()
    model = ag.MLP(10, [8, 1], activation="tanh", seed=0)
    history = ag.fit(
        model, scale.transform(X_train), (y_train - mean) / spread, loss=ag.losses.huber,
        optimizer=ag.optim.Adam(model.parameters(), lr=0.01, l2=0.01), epochs=epochs, batch_size=16,
        validation=0.15, patience=8, seed=0,
    )  # fmt: skip
    print(history)
    predicted = model.predict(scale.transform(X_test)) * spread + mean
    ours = float(r2_score(y_test, predicted))
    linear = float(LinearRegression().fit(X_train, y_train).score(X_test, y_test))
    error = mean_absolute_error(y_test, predicted)
    print(f"explained on {len(y_test)} patients held out: {ours:.3f} (mean error {error:.1f}); linear {linear:.3f}")
    return ours, linear


if __name__ == "__main__":
    main()
