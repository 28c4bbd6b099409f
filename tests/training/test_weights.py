"""fit(sample_weight=): an example of weight 2 counts as two, of weight 0 as none."""

import numpy as np
import pytest

import autograd_lite as ag

X = np.array([[0.1, 0.5], [0.4, -0.2], [-0.3, 0.8], [0.9, 0.1]])
Y = np.array([0.2, -0.5, 0.7, 0.1])


def trained(X, y, compiled, outputs=1, **settings):
    model = ag.MLP(2, [3, outputs], activation="tanh", seed=1)
    history = ag.fit(model, X, y, epochs=5, batch_size=None, seed=0, optimizer=lambda p: ag.optim.SGD(p, 0.1),
                     compiled=compiled, **settings)  # fmt: skip
    return history, np.array(list(model.state_dict().values()))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("y", "outputs", "loss"), [
    (Y, 1, "mse"), (np.stack([Y, -Y], 1), 2, "mse"), (Y[:, None], 1, "mse"), ([0, 1, 2, 1], 3, "cross_entropy"),
])  # fmt: skip
def test_a_weight_is_a_count(y, outputs, loss, compiled):
    y = np.asarray(y)
    counts = [2, 0, 1, 3]
    history, weighted = trained(X, y, compiled, outputs, loss=loss, sample_weight=counts)
    longer, repeated = trained(np.repeat(X, counts, 0), np.repeat(y, counts, 0), compiled, outputs, loss=loss)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12)
    np.testing.assert_allclose(history.loss, longer.loss, rtol=1e-12)
    same, plain = trained(X, y, compiled, outputs, loss=loss, sample_weight=[0.5] * 4)
    np.testing.assert_array_equal(plain, trained(X, y, compiled, outputs, loss=loss)[1])
    assert same.loss == trained(X, y, compiled, outputs, loss=loss)[0].loss


def test_weights_of_validation_data_and_metrics():
    """A share is split as without weights; metrics see targets alone."""
    seen = []

    def error(predictions, targets):
        seen.append(targets.shape)
        return float(np.abs(predictions - targets).mean())

    weighted, _ = trained(X, Y, False, loss="mse", validation=(X[:2], Y[:2], [1.0, 3.0]), metrics=[error])
    repeated, _ = trained(X, Y, False, loss="mse", validation=(X[[0, 1, 1, 1]], Y[[0, 1, 1, 1]]), metrics=[error])
    np.testing.assert_allclose(weighted.validation_loss, repeated.validation_loss, rtol=1e-12)
    assert set(seen) == {(4,), (2,)}
    plain, _ = trained(X, Y, False, loss="mse", validation=0.5, metrics=[error])
    ones, _ = trained(X, Y, False, loss="mse", validation=0.5, metrics=[error], sample_weight=np.ones(4))
    assert (plain.loss, plain.validation_loss, plain.metrics) == (ones.loss, ones.validation_loss, ones.metrics)
    classes, _ = trained(X, [0, 1, 1, 0], False, loss="bce_with_logits", metrics="acc", sample_weight=[1, 2, 1, 1])
    assert 0.0 <= classes.metrics["acc"][-1] <= 1.0


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        ([1.0], ValueError, "4 examples but 1 weights"),
        ([1.0, -1.0, 1.0, 1.0], ValueError, r"sample_weight\[1\] must be at least 0"),
        ([1.0, float("nan"), 1.0, 1.0], ValueError, r"sample_weight\[1\] must be at least 0 and finite"),
        ([0.0] * 4, ValueError, "every weight is 0"),
        (["a"] * 4, TypeError, r"sample_weight\[0\]"),
        (3.0, TypeError, "a weight for each example"),
    ],
)
def test_refusals(weights, error, words):
    with pytest.raises(error, match=words):
        trained(X, Y, False, sample_weight=weights)
    with pytest.raises((TypeError, ValueError), match="validation"):
        trained(X, Y, False, validation=(X, Y, weights))


def test_the_weights_belong_to_a_checkpoint(tmp_path):
    path = tmp_path / "run.json"
    trained(X, Y, False, sample_weight=[1, 2, 1, 1], checkpoint=path)
    history, _ = trained(X, Y, False, sample_weight=[1, 2, 1, 1], checkpoint=path, resume=True)
    assert len(history) == 5
    with pytest.raises(ValueError, match="another training: its data"):
        trained(X, Y, False, sample_weight=[1, 3, 1, 1], checkpoint=path, resume=True)
