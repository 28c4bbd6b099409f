"""ag.fit(compiled=True) trains as ag.fit does: the same losses, metrics and parameters up to rounding."""

import numpy as np
import pytest

import autograd_lite as ag

RULES = {
    "SGD": lambda p: ag.optim.SGD(p, lr=0.05),
    "momentum": lambda p: ag.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    "Adagrad": lambda p: ag.optim.Adagrad(p, lr=0.05),
    "RMSprop": lambda p: ag.optim.RMSprop(p, lr=0.01),
    "Adam": lambda p: ag.optim.Adam(p, lr=0.02),
    "AdamW": lambda p: ag.optim.AdamW(p, lr=0.02, weight_decay=0.01),
}


def trained(compiled, rule, outputs=1, loss="half_squared_error", **options):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(22, 2))
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0) if outputs > 1 else np.sin(X[:, 0])
    model = ag.MLP(2, [4, outputs], activation="tanh", seed=1)
    history = ag.fit(model, X, y, loss=loss, optimizer=RULES[rule](model.parameters()), epochs=17, batch_size=8, seed=3,
                     compiled=compiled, progress=False, **options)  # fmt: skip
    return history, np.array([p.item() for p in model.parameters()])


@pytest.mark.parametrize("rule", RULES)
def test_fifty_steps_of_every_rule(rule):
    (eager, w), (compiled, v) = trained(False, rule), trained(True, rule)
    assert np.abs(np.array(eager.loss) - compiled.loss).max() < 1e-9
    assert np.abs(w - v).max() < 1e-9


def test_classes_metrics_validation_and_a_penalty():
    options = {
        "outputs": 3, "loss": "cross_entropy", "metrics": ["accuracy"], "validation": 0.25,
        "penalty": lambda model: ag.losses.l2(model.parameters(), 1e-3),
    }  # fmt: skip
    (eager, w), (compiled, v) = trained(False, "Adam", **options), trained(True, "Adam", **options)
    assert np.abs(np.array(eager.loss) - compiled.loss).max() < 1e-9
    assert np.abs(w - v).max() < 1e-9
    for one, other in zip(eager.rows, compiled.rows, strict=True):
        assert one["metrics"] == other["metrics"]
        assert abs(one["largest_loss"] - other["largest_loss"]) < 1e-9
        assert one["gradient_norms"] == pytest.approx(other["gradient_norms"], rel=1e-9)


@pytest.mark.parametrize("loss", ["hinge", "perceptron", "absolute_error", "huber", "binary_cross_entropy_with_logits"])
def test_losses(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2))
    y = np.where(X[:, 0] > 0, 1.0, 0.0 if loss.startswith("binary") else -1.0)
    found = []
    for compiled in (False, True):
        model = ag.MLP(2, [3, 1], seed=2)
        found.append(ag.fit(model, X, y, loss=loss, epochs=5, seed=1, compiled=compiled, progress=False).loss)
    assert np.abs(np.array(found[0]) - found[1]).max() < 1e-9
