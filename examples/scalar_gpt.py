"""A one-layer GPT in plain scalars, trained on words: python examples/scalar_gpt.py [--data FILE] [--steps N].

Every number is a Value and every operation is on scalars; there are no tensors. One word runs as it is
written; then the same function is compiled, and runs as a hundred array instructions on a batch of words.

16 wide, 4 heads, causal attention, RMS norm, 4,192 parameters for 27 symbols (26 letters, and one that
begins and ends a word). `--data` names a file with one word a line; by default the first names in the
package `names` of PyPI.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import autograd_lite as ag

WIDTH, HEADS, LONGEST = 16, 4, 16
END = 26
"""The symbol before the first letter and after the last."""


class GPT(ag.Module):
    """Embeddings, one block of attention and one of a perceptron, and a layer of logits.

    Args:
        seed: for the weights.
        std: their standard deviation.
    """

    def __init__(self, seed: int = 1, std: float = 0.08) -> None:
        rng = random.Random(seed)

        def matrix(rows: int, columns: int) -> list[list[ag.Parameter]]:
            return [[ag.Parameter(rng.gauss(0.0, std)) for _ in range(columns)] for _ in range(rows)]

        self.letters, self.places = matrix(27, WIDTH), matrix(LONGEST, WIDTH)
        self.query, self.key, self.value, self.merge = (matrix(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = matrix(4 * WIDTH, WIDTH), matrix(WIDTH, 4 * WIDTH)
        self.head = matrix(27, WIDTH)

    def logits(self, letter: Any, place: int, keys: list[Any], values: list[Any]) -> list[Any]:
        """The scores of the next symbol; keys and values are those of the earlier places; this one's are appended."""
        x = [a + b for a, b in zip(ag.lookup(self.letters, letter), self.places[place], strict=True)]
        x = before = normalised(x)
        x = normalised(x)
        query = apply(self.query, x)
        keys.append(apply(self.key, x))
        values.append(apply(self.value, x))
        size = WIDTH // HEADS
        seen = []
        for head in range(HEADS):
            mine = range(head * size, (head + 1) * size)
            scores = [sum(query[i] * k[i] for i in mine) * size**-0.5 for k in keys]
            weights = softmax(scores)
            seen += [sum(w * v[i] for w, v in zip(weights, values, strict=True)) for i in mine]
        x = before = [a + b for a, b in zip(apply(self.merge, seen), before, strict=True)]
        hidden = [ag.relu(h) for h in apply(self.up, normalised(x))]
        x = [a + b for a, b in zip(apply(self.down, hidden), before, strict=True)]
        return apply(self.head, x)

    def loss(self, symbols: Sequence[Any]) -> Any:
        """The mean negative log-likelihood of the symbols of one word, each given those before it."""
        keys: list[Any] = []
        values: list[Any] = []
        costs = []
        for place, (letter, target) in enumerate(pairwise(symbols)):
            chances = softmax(self.logits(letter, place, keys, values))
            costs.append(-ag.log(ag.lookup(chances, target)))
        return sum(costs) * (1.0 / len(costs))

    def sample(self, rng: random.Random, temperature: float = 0.5) -> str:
        """A new word, letter by letter."""
        keys: list[Any] = []
        values: list[Any] = []
        letter, word = END, ""
        with ag.no_grad():
            for place in range(LONGEST):
                scores = [s * (1.0 / temperature) for s in self.logits(letter, place, keys, values)]
                letter = rng.choices(range(27), [p.item() for p in softmax(scores)])[0]
                if letter == END:
                    break
                word += chr(ord("a") + letter)
        return word


def apply(matrix: Sequence[Sequence[Any]], x: Sequence[Any]) -> list[Any]:
    """A matrix times a vector, in scalars."""
    return [sum(w * v for w, v in zip(row, x, strict=True)) for row in matrix]


def softmax(scores: Sequence[Any]) -> list[Any]:
    """Exponentials scaled to add up to 1; the largest is taken off first."""
    top = ag.max(scores).detach()
    parts = [ag.exp(s - top) for s in scores]
    total = sum(parts)
    return [part / total for part in parts]


def normalised(x: Sequence[Any]) -> list[Any]:
    """x over the root of its mean square."""
    scale = (sum(v * v for v in x) * (1.0 / len(x)) + 1e-5) ** -0.5
    return [v * scale for v in x]


# --- words and training ---------------------------------------------------------------------------------


def read_words(path: str | None) -> list[list[int]]:
    """Words as symbols, END before and after; anything but letters is left out."""
    if path is None:
        try:
            import names
        except ImportError:
            raise SystemExit("no words: pip install names, or give a file with one word a line, --data FILE") from None
        words = [name for kind in ("first:male", "first:female") for name in _first_names(names, kind)]
    else:
        words = Path(path).read_text(encoding="utf-8").split()
    kept = sorted({w.lower() for w in words if w.isascii() and w.isalpha() and len(w) < LONGEST})
    if not kept:
        raise SystemExit("no words: give a file with one word a line")
    return [[END, *(ord(c) - ord("a") for c in word), END] for word in kept]


def _first_names(names: Any, kind: str) -> list[str]:
    return [line.split()[0] for line in Path(names.FILES[kind]).read_text(encoding="utf-8").splitlines()]


class Batches:
    """The mean loss of a batch of words and its gradient: one program for each length of word."""

    def __init__(self, model: GPT) -> None:
        self.program = ag.compile(model.loss, params=model, batch=True)

    def loss_and_grad(self, theta: Any, words: Sequence[Sequence[int]]) -> tuple[float, Any]:
        """Words of one length form a batch, weighted by their number."""
        loss, gradient = 0.0, np.zeros(len(theta))
        for length in sorted(set(map(len, words))):
            group = [word for word in words if len(word) == length]
            value, slope = self.program.loss_and_grad(theta, group)
            loss += value * len(group) / len(words)
            gradient += slope * (len(group) / len(words))
        return loss, gradient


class Adam:
    """Adam on a vector, the learning rate falling to 0 over a number of steps."""

    def __init__(self, size: int, steps: int, lr: float = 0.01) -> None:
        self.m, self.v, self.steps, self.lr, self.count = np.zeros(size), np.zeros(size), steps, lr, 0

    def step(self, theta: Any, gradient: Any) -> Any:
        """theta after one step."""
        self.count += 1
        self.m += 0.15 * (gradient - self.m)
        self.v += 0.01 * (gradient**2 - self.v)
        rate = self.lr * max(1.0 - (self.count - 1) / self.steps, 0.0)
        m, v = self.m / (1.0 - 0.85**self.count), self.v / (1.0 - 0.99**self.count)
        return theta - rate * m / (np.sqrt(v) + 1e-8)


def main() -> None:
    """Train, and write new words."""
    parser = argparse.ArgumentParser(description="A GPT in plain scalars, trained on words.")
    parser.add_argument("--data", help="a file with one word a line; by default the names of the package `names`")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--words", type=int, default=32, help="words a step")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    words = read_words(options.data)
    rng = random.Random(options.seed)
    model = GPT(options.seed)
    print(f"{len(words):,} words, {len(model.parameters()):,} parameters")

    start = time.perf_counter()
    loss = model.loss(rng.choice(words))
    loss.backward()
    print(f"one word, scalar by scalar: loss {loss.item():.3f}, {time.perf_counter() - start:.2f} s")
    model.zero_grad()

    batches = Batches(model)
    theta = np.array([p.item() for p in model.parameters()])
    adam = Adam(len(theta), options.steps)
    smooth = 0.0
    with tqdm(total=options.steps, unit="step") as bar:
        for k in range(options.steps):
            value, gradient = batches.loss_and_grad(theta, rng.choices(words, k=options.words))
            theta = adam.step(theta, gradient)
            smooth = value if not k else smooth + 0.05 * (value - smooth)
            bar.set_postfix(loss=f"{smooth:.3f}", refresh=False)
            bar.update()
    batches.program.theta = theta
    print(f"loss {smooth:.3f}; new words:")
    for _ in range(10):
        print(" ", model.sample(rng))


if __name__ == "__main__":
    main()
