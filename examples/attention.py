"""One head of attention with layer norm and dropout, in scalars. python examples/attention.py

The task: of six letters, say which one stands at the place that the first of them names. So the first position has to
find one position among the others, which is what attention does and a sum over all cannot.

Dropout needs randomness that changes from step to step, while a program is traced once. So its noise is computed from
an argument, the seed, by primitives that stay live: compiled or not, the same seed drops the same numbers.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

import autograd_lite as ag

LETTERS, LENGTH, WIDTH = 4, 6, 8


def layer_norm(xs: Sequence[Any], eps: float = 1e-5) -> list[Any]:
    """Numbers with the mean 0 and the variance 1."""
    mean = ag.mean(xs)
    down = [x - mean for x in xs]
    scale = ag.sqrt(ag.mean([d * d for d in down]) + eps)
    return [d / scale for d in down]


def uniform(seed: Any, i: int) -> Any:
    """A number from [0, 1) that looks random: the i-th of a seed."""
    noise = ag.sin(seed * 12.9898 + 78.233 * (i + 1)) * 43758.5453
    return noise - ag.floor(noise)


def dropout(xs: Sequence[Any], rate: float, seed: Any) -> list[Any]:
    """Each number is 0 with the probability rate, and else larger, so that the mean stays."""
    return [x * ag.greater(uniform(seed, i), rate) / (1.0 - rate) for i, x in enumerate(xs)]


class Attention(ag.Module):
    """Letters -> embeddings with places -> one head, asked by the first position -> scores of the letters."""

    def __init__(self, seed: int = 0) -> None:
        rng = random.Random(seed)
        table = lambda rows: [[ag.Parameter(rng.gauss(0.0, 0.5)) for _ in range(WIDTH)] for _ in range(rows)]  # noqa: E731
        self.letters, self.places = table(LETTERS), table(LENGTH)
        make = lambda n_out: ag.Layer(WIDTH, n_out, None, seed=rng)  # noqa: E731
        self.query, self.key, self.value, self.scores = make(WIDTH), make(WIDTH), make(WIDTH), make(LETTERS)

    def __call__(self, letters: Sequence[Any], seed: Any = 0.0, rate: float = 0.0) -> Any:
        """The scores of the letters; with a rate above 0 some of the mixture is dropped."""
        rows = []
        for letter, place in zip(letters, self.places, strict=True):
            rows.append([a + b for a, b in zip(ag.lookup(self.letters, letter), place, strict=True)])
        keys, values = [self.key(layer_norm(row)) for row in rows], [self.value(row) for row in rows]
        query = self.query(layer_norm(rows[0]))
        weights = ag.softmax([ag.dot(query, key) / WIDTH**0.5 for key in keys])
        mixed = [ag.dot(weights, column) for column in zip(*values, strict=True)]
        return self.scores(layer_norm(dropout(mixed, rate, seed) if rate else mixed))


def task(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n examples: rows of letters, and the letter at the place 1 + the first of them."""
    X = np.random.default_rng(seed).integers(0, LETTERS, (n, LENGTH)).astype(float)
    return X, X[np.arange(n), 1 + X[:, 0].astype(int)]


def main(steps: int = 600, rate: float = 0.1) -> float:
    """Train with dropout; the share of new examples that is right without it."""
    model = Attention()

    def loss(letters: Any, target: Any, seed: Any) -> Any:
        return ag.losses.cross_entropy(model(letters, seed, rate), target)

    program = ag.compile(loss, params=model.parameters(), batch=True)
    optimizer = ag.optim.Adam(model.parameters(), ag.optim.CosineDecay(0.02, steps))
    (X, y), rng = task(1024, 0), np.random.default_rng(0)
    for step in range(steps):
        rows = rng.integers(0, len(X), 64)
        optimizer.zero_grad()
        value = program.backward(X[rows], y[rows], rng.uniform(0.0, 1000.0, 64))
        optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step:4}  loss {value:.3f}")
    X, y = task(256, 1)
    with ag.no_grad():
        right = sum(int(np.argmax([z.item() for z in model(x)]) == t) for x, t in zip(X.tolist(), y, strict=True))
    print(f"{right / len(X):.1%} of new examples are right")
    return right / len(X)


if __name__ == "__main__":
    main()
