"""A character LSTM in scalars: it learns a rhyme by heart, and says it. python examples/character_lstm.py

Hochreiter and Schmidhuber's cell, with the four gates of all units as one layer. The loss is written for one piece of
the text, a letter at a time; compiled, each step of all pieces in a batch is one matrix product.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import autograd_lite as ag

RHYME = """peter piper picked a peck of pickled peppers
a peck of pickled peppers peter piper picked
if peter piper picked a peck of pickled peppers
where is the peck of pickled peppers peter piper picked
"""
LETTERS = sorted(set(RHYME))
NUMBER = {letter: i for i, letter in enumerate(LETTERS)}
PIECE = 16  # letters that the gradient goes back through

State = tuple[list[Any], list[Any]]


class LSTM(ag.Module):
    """A letter and a state -> the scores of the next letter, and the next state."""

    def __init__(self, width: int = 24, embedding: int = 8, seed: int = 0) -> None:
        rng = random.Random(seed)
        self.width = width
        self.letters = [[ag.Parameter(rng.gauss(0.0, 0.5)) for _ in range(embedding)] for _ in LETTERS]
        self.gates = ag.Layer(embedding + width, 4 * width, None, seed=rng)
        self.scores = ag.Layer(width, len(LETTERS), None, seed=rng)
        for neuron in self.gates.neurons[:width]:  # begin by remembering
            neuron.b.data = 1.0

    def start(self) -> State:
        """What is remembered before the first letter: nothing."""
        return [0.0] * self.width, [0.0] * self.width

    def __call__(self, letter: Any, state: State) -> tuple[Any, State]:
        """(scores of the next letter, next state) after a letter, given by its number."""
        hidden, cell = state
        z, n = self.gates([*ag.lookup(self.letters, letter), *hidden]), self.width
        forget, enter, leave = ([ag.sigmoid(x) for x in z[k * n : (k + 1) * n]] for k in range(3))
        new = [ag.tanh(x) for x in z[3 * n :]]
        cell = [f * c + i * g for f, c, i, g in zip(forget, cell, enter, new, strict=True)]
        hidden = [o * ag.tanh(c) for o, c in zip(leave, cell, strict=True)]
        return self.scores(hidden), (hidden, cell)

    def loss(self, piece: Sequence[Any]) -> Any:
        """The mean cross-entropy of each letter of a piece after those before it."""
        state, errors = self.start(), []
        for letter, following in pairwise(piece):
            scores, state = self(letter, state)
            errors.append(ag.losses.cross_entropy(scores, following))
        return ag.mean(errors)

    def say(self, text: str, count: int) -> str:
        """The text, and the likeliest letters after it."""
        with ag.no_grad():
            state, scores = self.start(), None
            for i in range(len(text) + count - 1):
                scores, state = self(NUMBER[text[i]], state)
                if i >= len(text) - 1:
                    text += LETTERS[int(np.argmax([z.item() for z in scores]))]
        return text


def main(steps: int = 400) -> float:
    """Train on pieces of the rhyme; the loss of the last steps, in nats a letter (2.9 are what chance has)."""
    model = LSTM()
    program = ag.compile(model.loss, params=model.parameters(), batch=True)
    optimizer = ag.optim.Adam(model.parameters(), ag.optim.CosineDecay(0.02, steps), clip_norm=1.0)
    text, rng, values = np.array([NUMBER[letter] for letter in RHYME], float), np.random.default_rng(0), []
    for step in range(steps):
        first = rng.integers(0, len(text) - PIECE - 1, 32)
        optimizer.zero_grad()
        values.append(program.backward(text[first[:, None] + np.arange(PIECE + 1)]))
        optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step:4}  loss {values[-1]:.3f}")
    print(model.say("if peter", 60))
    return float(np.mean(values[-10:]))


if __name__ == "__main__":
    main()
