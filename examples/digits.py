"""Ten classes of handwritten digits, 8 x 8 pixels each, with a network 64-16-10 trained scalar by scalar.

Data: 1,797 digits that come with scikit-learn. Run: python examples/digits.py
"""

import time

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import autograd_lite as ag


def main(epochs: int = 6) -> float:
    """Train on four fifths of the digits; the share of the rest that is classified correctly."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16.0, y, test_size=0.2, stratify=y, random_state=0)
    model = ag.MLP(64, [16, 10], activation="relu", seed=0)
    print(model.summary())
    start = time.perf_counter()
    history = ag.fit(
        model, X_train, y_train, loss=ag.losses.cross_entropy, metrics="accuracy",
        optimizer=ag.optim.Adam(model.parameters(), lr=0.01), schedule=ag.optim.CosineDecay(0.01, epochs, floor=0.001),
        epochs=epochs, batch_size=16, seed=0,
    )  # fmt: skip
    print(history)
    found = float((model.predict(X_test).argmax(axis=1) == y_test).mean())
    print(f"held-out accuracy {found:.3f} on {len(y_test)} digits after {time.perf_counter() - start:.1f} s")
    return found


if __name__ == "__main__":
    main()
