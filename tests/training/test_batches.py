"""fit on batches that an iterable gives: the same as on X and y in that order."""

import numpy as np
import pytest

import autograd_lite as ag

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(23, 2)), rng.normal(size=23)
PARTS = [slice(0, 8), slice(8, 16), slice(16, 23)]


def batches():
    for part in PARTS:
        yield X[part], Y[part]


def trained(*data, **settings):
    model = ag.MLP(2, [4, 1], activation="tanh", seed=1)
    history = ag.fit(model, *data, loss="mse", epochs=4, seed=0, lr=0.05, metrics=[close], **settings)
    return history, np.array(list(model.state_dict().values()))


def close(predictions, targets):
    return float((abs(predictions - targets) < 0.5).mean())


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("source", [batches, list(batches())], ids=["function", "list"])
def test_batches_are_as_the_data(source, compiled):
    validation = X[:5], Y[:5]
    one, w = trained(source, compiled=compiled, validation=validation)
    two, v = trained(X, Y, compiled=compiled, validation=validation, batch_size=8, shuffle=False)
    np.testing.assert_allclose(w, v, rtol=1e-12)
    for name, column in two.columns().items():
        np.testing.assert_allclose(one[name], column, rtol=1e-11, err_msg=name)


def test_a_checkpoint_of_batches_is_resumed(tmp_path):
    path = tmp_path / "run.json"
    whole, w = trained(batches)
    model = ag.MLP(2, [4, 1], activation="tanh", seed=1)
    settings = {"loss": "mse", "seed": 0, "lr": 0.05, "metrics": [close], "checkpoint": path}
    ag.fit(model, batches, epochs=2, **settings)
    again = ag.fit(model, batches, epochs=4, resume=True, **settings)
    assert again == whole
    assert list(model.state_dict().values()) == w.tolist()


@pytest.mark.parametrize(
    ("source", "settings", "error", "words"),
    [
        (batches(), {}, TypeError, "exhausted after one: give the function that makes it"),
        (3, {}, TypeError, "without y, X must be batches"),
        ([], {}, ValueError, "there are no batches"),
        (lambda: 3, {}, TypeError, "the function of batches returned int 3"),
        ([X], {}, TypeError, r"batch 0 must be a pair \(X, y\)"),
        ([(X, Y[:3])], {}, ValueError, "fit: batch 0: 23 examples but 3 targets"),
        ([(X[:3], Y[:3]), (X[:3], Y[:3] * np.nan)], {}, ValueError, "fit: batch 1: row 0 of y is not finite"),
        (batches, {"validation": 0.2}, ValueError, "of batches no share is held out"),
        (batches, {"sample_weight": [1.0]}, ValueError, "batches have no sample_weight"),
    ],
)
def test_refusals(source, settings, error, words):
    with pytest.raises(error, match=words):
        trained(source, **settings)
