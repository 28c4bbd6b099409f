"""Compiled training on digits, and the estimators beside scikit-learn's: python -m benchmarks.training

CPU time of one thread, the lowest of some runs. A step is what remains of a long training when a short one is taken
away; its share in native code is measured around the call that takes the steps of an epoch.
"""

from __future__ import annotations

import time
import warnings
from importlib.metadata import version
from typing import Any

from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier as Theirs

import autograd_lite as ag
from autograd_lite.folding.backends.native.steps import Steps
from autograd_lite.sklearn import MLPClassifier as Ours
from benchmarks.measure import publish, table

RUNS = 7
EPOCHS = 101

clock = time.thread_time
X, y = load_digits(return_X_y=True)
X = X / 16.0


def trained(epochs: int, batch: int, compiled: Any) -> tuple[float, float, int]:
    """(seconds of a training, those in the call that takes the steps, the number of steps)."""
    model = ag.MLP(64, [32, 10], activation="relu", seed=0)
    adam = ag.optim.Adam(model.parameters(), lr=0.01)
    inside, real = [0.0], Steps.__init__

    def made(self: Any, *args: Any) -> None:
        real(self, *args)
        code = self.code

        def timed(job: int) -> None:
            start = clock()
            code(job)
            inside[0] += clock() - start

        self.code = timed

    Steps.__init__ = made  # type: ignore[method-assign]
    try:
        start = clock()
        ag.fit(model, X, y, loss="cross_entropy", optimizer=adam, epochs=epochs, batch_size=batch, seed=0,
               compiled=compiled, progress=False)  # fmt: skip
        return clock() - start, inside[0], adam.steps
    finally:
        Steps.__init__ = real  # type: ignore[method-assign]


def steps(batch: int) -> tuple[str, ...]:
    """A row: what a step takes, and how much of it is in native code."""
    trained(1, batch, "native")
    found = []
    for _ in range(RUNS):
        short, long = trained(1, batch, "native"), trained(EPOCHS, batch, "native")
        whole, code, count = (b - a for a, b in zip(short, long, strict=True))
        found.append((whole / count, code / whole, code / count))
    step, share, code = min(found)
    short, long = trained(1, batch, "numpy"), trained(6, batch, "numpy")
    numpy_step = (long[0] - short[0]) / (long[2] - short[2])
    return f"{batch}", f"{step * 1e6:.1f} us", f"{code * 1e6:.1f} us", f"{share:.0%}", f"{numpy_step * 1e6:.0f} us"


def estimators(epochs: int) -> tuple[str, ...]:
    """A row: both estimators, 16 hidden, Adam, batches of 32."""
    settings = {"hidden_layer_sizes": (16,), "solver": "adam", "batch_size": 32, "learning_rate_init": 0.01,
                "max_iter": epochs, "random_state": 0, "tol": 0.0, "n_iter_no_change": 10_000}  # fmt: skip
    found: dict[Any, list[float]] = {Ours: [], Theirs: []}
    for _ in range(RUNS):
        for kind, times in found.items():
            start = clock()
            kind(**settings).fit(X, y)
            times.append(clock() - start)
    ours, theirs = min(found[Ours]), min(found[Theirs])
    return (f"{epochs}", f"{ours * 1e3:.0f} ms", f"{theirs * 1e3:.0f} ms", f"{ours / theirs:.2f}",
            f"{found[Ours][0] * 1e3:.0f} ms")  # fmt: skip


def main() -> None:
    """Measure and publish."""
    warnings.filterwarnings("ignore")
    first = table(("batch", "a step", "of it in code", "share", "a step on NumPy"), [steps(n) for n in (32, 64, 128)])
    second = table(("epochs", "ours", "scikit-learn's", "ratio", "ours, first fit"), [estimators(n) for n in (5, 50)])
    versions = ", ".join(f"{name} {version(name)}" for name in ("llvmlite", "numpy", "scikit-learn"))
    publish("Compiled training (benchmarks/training.py)", f"{versions}.\n\n{first}\n\n{second}\n\n{ACCOUNT}")


ACCOUNT = f"""\
Digits 64-32-10 with Adam above; the estimators with 16 hidden units and batches of 32 below. Each run is a
training of one epoch and one of {EPOCHS}, their difference divided by the steps; lowest of {RUNS}. The code
gathers the rows, runs the program, adds up the norms of the layers and takes Adam's step. What is left is Python
once an epoch, about 0.1 ms: the order of the examples, the learning rates, Adam's corrections, the row of the
history."""


if __name__ == "__main__":
    main()
