"""Perceptron: the linear threshold unit and its learning rule, which is not gradient descent."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from autograd_lite.data import as_rows, drawn_seed, epoch_order
from autograd_lite.engine import functions
from autograd_lite.engine.atomic import set_numbers
from autograd_lite.engine.checks import as_float, describe, numpy_for, sequence, setting, whole
from autograd_lite.engine.reading import number_of, numbers_of
from autograd_lite.engine.value import Value
from autograd_lite.history import INTERRUPTED, SEPARATED, History
from autograd_lite.nn.initializers import Init
from autograd_lite.nn.layers import Neuron

if TYPE_CHECKING:
    import numpy as np


class Perceptron(Neuron):
    """A linear threshold unit with the perceptron rule; labels are -1 and +1.

    score(x) = w . x + b; x is misclassified if y score(x) <= 0;
    error(w, b) = -sum over the misclassified of y (w . x + b), whose gradient step is
    w <- w + lr y x, b <- b + lr y.

    Args:
        n_in: the number of inputs.
        init, seed: as for `Neuron`; the weights begin at 0 by default.

    Example:
        >>> unit = ag.Perceptron(1)
        >>> while unit.step([[-1.0], [2.0]], [-1, 1], lr=1.0):
        ...     pass
        >>> unit.predict([[-3.0], [4.0]])
        array([-1.,  1.])

    Source: Hajij, The Backpropagation Algorithm, "Training Perceptron" (the slides lose the sign of
    the gradient; it is corrected here).
    """

    def __init__(self, n_in: int, *, init: Init = 0.0, seed: Any = None) -> None:
        super().__init__(n_in, None, init=init, seed=seed)

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The labels -1 or +1 of many examples, shape (n, d) to (n,); a score of exactly 0 counts as -1."""
        np = numpy_for("Perceptron")

        scores = self._scores(as_rows(X, "Perceptron"))
        return np.where(scores > 0.0, 1.0, np.where(scores == scores, -1.0, np.nan))  # type: ignore[no-any-return]

    def error(self, X: Any, y: Any) -> Value:
        """-sum of y score(x) over the misclassified examples, as a Value: written with relu."""
        rows, labels = self._examples(X, y)
        scores = [self(row) for row in rows.tolist()]
        total: Value = functions.sum([(-label * z).relu() for z, label in zip(scores, labels, strict=True)])
        return total

    def misclassified(self, X: Any, y: Any) -> list[int]:
        """The indices of the examples with y score(x) <= 0."""
        rows, labels = self._examples(X, y)
        scores = self._scores(rows)
        return [i for i, label in enumerate(labels) if not label * scores[i] > 0.0]

    def step(self, X: Any, y: Any, lr: float) -> int:
        """One step of the perceptron rule over all misclassified examples at once.

        Args:
            X: examples, shape (n, d).
            y: labels, -1 or +1, shape (n,).
            lr: the learning rate, above 0.

        Returns:
            The number of misclassified examples before the step; 0 means that nothing was left to change.

        Raises:
            ValueError: a label is neither -1 nor 1, lengths differ, or lr is not above 0.
        """
        rate = as_float(lr, "Perceptron: lr")
        if not 0.0 < rate < float("inf"):
            raise ValueError(f"Perceptron: lr must be above 0 and finite, got {rate}")
        rows, labels = self._examples(X, y)
        for i, row in enumerate(rows.tolist()):
            if not all(map(isfinite, row)):
                raise ValueError(f"Perceptron: row {i} of X is not finite: {describe(row)}")
        wrong = self.misclassified(rows, labels)
        numbers = [
            number_of(w) + rate * sum(labels[i] * float(rows[i, j]) for i in wrong) for j, w in enumerate(self.w)
        ]
        self._set([*numbers, number_of(self.b) + rate * sum(labels[i] for i in wrong)])
        return len(wrong)

    def fit(
        self, X: Any, y: Any, lr: float = 1.0, *, max_epochs: int = 1000, batch: bool = False, seed: int | None = None,
    ) -> History:  # fmt: skip
        """Train by the perceptron rule until every example is on its right side.

        Example by example, in a new random order each epoch: w <- w + lr y x and b <- b + lr y for each that is
        misclassified when it is met. On separable data this ends, by the perceptron convergence theorem.

        Args:
            X: examples, shape (n, d).
            y: labels, -1 or +1, shape (n,).
            lr: the learning rate, above 0.
            max_epochs: when to give up; then a warning says that the data may not be separable.
            batch: instead one step an epoch over all misclassified examples at once, see `step`.
            seed: for the order of the examples.

        Returns:
            A History with the error and the number of misclassified examples after each epoch; its `stopped`
            says why it ended, its `converged` whether all examples are classified.

        Raises:
            ValueError: a label is neither -1 nor 1, lengths differ, a number of X is not finite, lr is not above 0, or
                the weights or a score overflow.

        Example:
            >>> unit = ag.Perceptron(1)
            >>> unit.fit([[-1.0], [2.0], [3.0]], [-1, 1, 1], seed=0).stopped
            'every example is classified'
        """
        np = numpy_for("Perceptron")

        rows, labels = self._examples(X, y)
        if not np.isfinite(rows).all():
            i = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            raise ValueError(f"Perceptron.fit: row {i} of X is not finite: {rows[i]}")
        rate = setting(lr, "Perceptron.fit: lr", 0.0)
        limit = whole(max_epochs, "Perceptron.fit: max_epochs")
        if rate == 0.0:
            raise ValueError("Perceptron.fit: lr must be above 0")
        history = History(drawn_seed(seed, "Perceptron.fit"))
        signs = np.array(labels)
        try:
            # One round more than epochs: the scores at its top are those after the last epoch, which are recorded.
            for epoch in range(limit + 1):
                margins = signs * self._scores(rows)
                if np.isnan(margins).any():  # inf - inf: whether such an example is classified is not known
                    i = int(np.flatnonzero(np.isnan(margins))[0])
                    raise ValueError(f"Perceptron.fit: the score of row {i} of X overflows; scale the examples")
                wrong = margins <= 0.0
                if epoch:
                    error = float(-margins[wrong].sum()) + 0.0
                    history.rows.append({"loss": error, "misclassified": int(wrong.sum()), "learning_rate": rate})
                if not wrong.any():
                    history.stopped = SEPARATED
                    break
                if epoch == limit:
                    history.stopped = f"not separated within {limit} epochs"
                elif batch:
                    self.step(rows, labels, rate)
                else:
                    with np.errstate(over="ignore", invalid="ignore"):
                        _epoch(self, rows, signs, rate, epoch_order(len(rows), history.seed, epoch, True))
        except KeyboardInterrupt:
            history.stopped = INTERRUPTED
        if history.stopped.startswith("not separated"):
            warnings.warn(
                f"Perceptron.fit: {history.rows[-1]['misclassified']} of {len(rows)} examples are still misclassified "
                f"after {limit} epochs. If no hyperplane separates the classes the rule never settles; if one does, "
                "it takes more epochs (max_epochs=).",
                stacklevel=2,
            )
        return history

    def _set(self, numbers: list[float]) -> None:
        """Set weights and bias, all of them or, if they have overflowed, none."""
        if not all(map(isfinite, numbers)):
            raise ValueError(
                "Perceptron: the weights would overflow, nothing was changed; scale the examples, or use a smaller lr"
            )
        set_numbers([*self.w, self.b], numbers)

    def _scores(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        np = numpy_for("Perceptron")

        if rows.shape[1] != self.n_in:
            raise ValueError(f"Perceptron: expected {self.n_in} inputs, X has {rows.shape[1]} columns")
        with np.errstate(over="ignore", invalid="ignore"):  # infinite or NaN: `fit` looks for it
            return rows @ np.array(numbers_of(self.w)) + number_of(self.b)  # type: ignore[no-any-return]

    def _examples(self, X: Any, y: Any) -> tuple[np.ndarray[Any, Any], list[float]]:
        rows = as_rows(X, "Perceptron")
        given = sequence(y, "Perceptron: y", "a sequence of labels")
        labels = [as_float(label, f"Perceptron: label {i}") for i, label in enumerate(given)]
        if len(labels) != len(rows):
            raise ValueError(f"Perceptron: {len(rows)} examples but {len(labels)} labels")
        for i, label in enumerate(labels):
            if label not in (-1.0, 1.0):
                raise ValueError(f"Perceptron: labels are -1 or 1, label {i} is {label:g}")
        return rows, labels

    def __repr__(self) -> str:
        return f"Perceptron({self.n_in})"


def _epoch(unit: Perceptron, rows: Any, signs: Any, rate: float, order: Sequence[int]) -> None:
    """w <- w + lr y x, b <- b + lr y for each example that is misclassified when it is met."""
    np = numpy_for("Perceptron")

    # Weights change only at misclassified examples, so all scores up to the next one are one matrix product: an epoch
    # without mistakes is one product instead of n dot products.
    rows, signs = rows[order], signs[order]
    w, b, met = np.array(numbers_of(unit.w)), number_of(unit.b), 0
    while True:
        # Of those misclassified with these weights only the first counts: it changes them. A NaN counts too.
        wrong = ~(signs[met:] * (rows[met:] @ w + b) > 0.0)
        i = met + int(wrong.argmax())
        if not wrong.any():
            break
        w, b = w + rate * signs[i] * rows[i], b + rate * float(signs[i])
        met = i + 1
        if met == len(rows):
            break
    unit._set([*w.tolist(), b])
