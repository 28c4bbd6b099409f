"""fit on sequences that differ in length, and on arrays of more dimensions: compiled as uncompiled."""

import re

import numpy as np
import pytest

import autograd_lite as ag


def parameters():
    return [ag.Parameter(x) for x in (0.5, 0.3, -0.2)]


def states(w, x):
    h, found = 0.0, []
    for v in x:
        h = ag.tanh(w[0] * h + w[1] * v + w[2])
        found.append(h)
    return found


def mean_square(predictions, targets):
    return ag.mean([(p - t) ** 2 for p, t in zip(predictions, targets, strict=True)])


def lengths(n=23, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=rng.integers(1, 6)) for _ in range(n)]


def one_number(w):
    X = lengths()
    return lambda x: states(w, x)[-1], X, [float(x.mean()) for x in X], {}


def a_number_each(w):
    X = lengths()
    return lambda x: states(w, x), X, [0.5 * x for x in X], {"loss": mean_square}


def matrices(w):
    X = np.random.default_rng(1).normal(size=(23, 4, 3))
    return lambda x: ag.sum([ag.tanh(ag.dot(w, row)) for row in x]), X, X.sum((1, 2)), {}


def matrices_of_some_rows(w):
    X = [np.stack([x, x**2, x - 1.0], 1) for x in lengths()]
    return lambda x: ag.sum([ag.tanh(ag.dot(w, row)) for row in x]), X, [len(x) for x in X], {}


def weighted(w):
    model, X, y, options = one_number(w)
    return model, X, y, options | {"sample_weight": np.linspace(0.1, 2.0, len(X))}


def penalised(w):
    model, X, y, options = one_number(w)
    return model, X, y, options | {"penalty": lambda m: ag.losses.l2(w, 0.1)}


def error(predictions, targets):
    pairs = zip(predictions, targets, strict=True)
    return float(np.mean([np.mean((np.asarray(p) - np.asarray(t)) ** 2) for p, t in pairs]))


CASES = [one_number, a_number_each, matrices, matrices_of_some_rows, weighted, penalised]


@pytest.mark.parametrize("case", CASES)
def test_sequences_are_trained_as_one_by_one(case):
    rows, ends = [], []
    for compiled in (False, "numpy", "auto", True):
        w = parameters()
        model, X, y, options = case(w)
        history = ag.fit(
            model, X, y, parameters=w, lr=0.05, epochs=4, batch_size=7, validation=0.2, metrics={"error": error},
            seed=0, compiled=compiled, progress=False, **options,
        )  # fmt: skip
        rows.append(
            [
                (r["loss"], r["validation_loss"], *r["metrics"].values(), *r["gradient_norms"].values())
                for r in history.rows
            ]
        )
        ends.append([p.data for p in w])
    for other, end in zip(rows[1:], ends[1:], strict=True):
        np.testing.assert_allclose(other, rows[0], rtol=1e-10)
        np.testing.assert_allclose(end, ends[0], rtol=1e-10)


def test_sequences_by_lbfgs():
    ends = []
    for compiled in (False, True):
        w = parameters()
        model, X, y, _ = one_number(w)
        history = ag.fit(
            model, X, y, parameters=w, optimizer=ag.optim.LBFGS(w), epochs=5, compiled=compiled, progress=False, seed=0
        )
        assert history.loss[-1] < 0.07  # 0.6 before
        ends.append([p.data for p in w])
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_resumed_training_of_sequences_is_that_without_a_break(tmp_path, compiled):
    def run(epochs, **options):
        w = parameters()
        model, X, y, _ = one_number(w)
        ag.fit(model, X, y, parameters=w, epochs=epochs, seed=3, compiled=compiled, progress=False, **options)
        return [p.data for p in w]

    file = tmp_path / "training.json"
    run(2, checkpoint=file)
    assert run(5, checkpoint=file, resume=True) == run(5)


@pytest.mark.parametrize("compiled", [False, True])
def test_batches_may_be_of_different_lengths(compiled):
    """A program that fits one batch has not to be used for the next: it would read rows of another length."""
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(8, steps)), rng.normal(size=8)) for steps in (3, 5, 3, 7)]
    batches.append((lengths(6), rng.normal(size=6)))
    w = parameters()
    history = ag.fit(
        lambda x: states(w, x)[-1], batches, parameters=w, lr=0.05, epochs=3, compiled=compiled, progress=False, seed=0
    )
    assert history.loss == pytest.approx(EXPECTED, rel=1e-10)


def by_hand():
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(8, steps)), rng.normal(size=8)) for steps in (3, 5, 3, 7)]
    batches.append((lengths(6), rng.normal(size=6)))
    w = parameters()
    optimizer, found = ag.optim.Adam(w, lr=0.05), []
    for _ in range(3):
        total = 0.0
        for X, y in batches:
            optimizer.zero_grad()
            loss = ag.mean([(states(w, x)[-1] - t) ** 2 for x, t in zip(X, y, strict=True)])
            loss.backward()
            optimizer.step()
            total += loss.data * len(y)
        found.append(total / sum(len(y) for _, y in batches))
    return found


EXPECTED = by_hand()


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        ([[1.0, [2.0, 3.0]], [2.0]], [1.0, 2.0], "fit: X[0] is ragged inside"),
        ([[1.0], []], [1.0, 2.0], "fit: X[1] is empty, its shape is (0,)"),
        ([[1.0], [2.0, np.nan]], [1.0, 2.0], "fit: row 1 of X is not finite"),
        ([[1.0], [2.0, 1.0]], [[1.0], [2.0, np.inf]], "fit: row 1 of y is not finite"),
        ([[1.0], [2.0, 1.0]], [1.0], "fit: 2 examples but 1 targets"),
        ([], [], "fit: there are no examples, X is empty"),
    ],
)
def test_sequences_that_are_refused(X, y, words):
    w = parameters()
    with pytest.raises(ValueError, match=re.escape(words)):
        ag.fit(lambda x: states(w, x)[-1], X, y, parameters=w, progress=False)
    assert [p.data for p in w] == [0.5, 0.3, -0.2]


def test_a_word_in_a_sequence_is_refused_by_its_place():
    w = parameters()
    with pytest.raises(TypeError, match=r"fit: X\[1\]"):
        ag.fit(lambda x: states(w, x)[-1], [[1.0], [2.0, "a"]], [1.0, 2.0], parameters=w, progress=False)


def test_a_network_takes_rows_of_one_length():
    with pytest.raises(ValueError, match="row 1 of X has 2 numbers, row 0 has 1"):
        ag.fit(ag.MLP(1, [1]), [[1.0], [1.0, 2.0]], [1.0, 2.0], progress=False)
