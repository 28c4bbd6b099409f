"""Faults and bad input met by networks and by training: lines 19 to 27 of the table in docs/RELIABILITY.md."""

import math

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import losses, optim

LINE = ([[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0])


def everything(model):
    return [(p.data, p.grad, p.frozen) for p in model.parameters()]


def refuses(error, words, call, model=None):
    """The call raises this, says this, and leaves the model as it is."""
    before = model and everything(model)
    with pytest.raises(error) as caught:
        call()
    for word in [words] if isinstance(words, str) else words:
        assert word in str(caught.value)
    assert not model or everything(model) == before


def test_fault_19_an_input_of_the_wrong_length_and_ragged_rows_are_refused():
    """With both lengths; with the row."""
    models = [ag.MLP(2, [3, 1]), ag.Layer(2, 2), ag.Neuron(2), ag.Perceptron(2), ag.Network([(1, 3), (2, 3)])]
    for model in models:
        for x in ([1.0], [1.0, 2.0, 3.0], np.zeros(3), []):
            refuses(ValueError, ["2 inputs", f"got {len(x)}"], lambda m=model, x=x: m(x), model)
        refuses(
            ValueError, ["row 1 of X has 1 numbers", "row 0 has 2"], lambda m=model: m.predict([[1, 2], [3]]), model
        )
        refuses(ValueError, ["expected 2 inputs", "3"], lambda m=model: m.predict([[1.0, 2.0, 3.0]]), model)
    model = ag.MLP(1, [1], seed=0)
    refuses(ValueError, "row 2 of X has 2 numbers", lambda: ag.fit(model, [[0.0], [1.0], [1.0, 2.0]], [1, 2, 3]), model)
    refuses(ValueError, ["expected 1 inputs", "got 2"], lambda: ag.fit(model, [[0.0, 1.0]], [1.0]), model)
    refuses(ValueError, ["4 examples", "3 targets"], lambda: ag.fit(model, LINE[0], LINE[1][:3]), model)


def test_fault_20_no_data_is_refused_and_a_short_last_batch_is_weighted_by_its_size():
    """Nothing to train on, nothing on one side of a split, a batch of 0; and 4 examples in batches of 3."""
    model = ag.MLP(1, [1], seed=0)
    refuses(ValueError, "no examples", lambda: ag.fit(model, [], []), model)
    refuses(ValueError, "X is empty", lambda: ag.fit(model, np.zeros((0, 1)), []), model)
    for share in (0.01, 0.999, 1.0, 0.0):
        refuses(ValueError, "leaves none", lambda s=share: ag.fit(model, *LINE, validation=s), model)
    refuses(ValueError, "no examples", lambda: ag.fit(model, *LINE, validation=([], [])), model)
    refuses(ValueError, "batch_size must be at least 1, got 0", lambda: ag.fit(model, *LINE, batch_size=0), model)
    for compiled in (False, True):
        w = ag.Parameter(0.5)
        seen, at = [], [0.5]
        for batch in ([0, 1, 2], [3]):  # each batch the mean over itself
            errors = [(at[0] * LINE[0][i][0] - LINE[1][i]) for i in batch]
            seen += [e * e for e in errors]
            at[0] -= 0.01 * sum(2.0 * e * LINE[0][i][0] for e, i in zip(errors, batch, strict=True)) / len(batch)
        history = ag.fit(lambda x, w=w: w * x[0], *LINE, parameters=[w], epochs=1, batch_size=3, shuffle=False,
                         optimizer="sgd", compiled=compiled)  # fmt: skip
        assert w.data == pytest.approx(at[0], rel=1e-12)
        assert history.loss == pytest.approx([sum(seen) / 4], rel=1e-12)


def test_fault_21_layers_of_no_units_and_unknown_activations_are_refused_and_no_hidden_layer_is_a_linear_model():
    """The message lists what is known."""
    for n in (0, -1):
        for call in (lambda n=n: ag.Layer(2, n), lambda n=n: ag.Layer(n, 2), lambda n=n: ag.Neuron(n),
                     lambda n=n: ag.MLP(2, [3, n, 1]), lambda n=n: ag.MLP(n, [1])):  # fmt: skip
            refuses(ValueError, ["at least 1", f"got {n}"], call)
    for call in (lambda: ag.Neuron(2, "rellu"), lambda: ag.MLP(2, [1, 1], "rellu"), lambda: ag.Layer(1, 1, "rellu"),
                 lambda: ag.MLP(2, [1], output_activation="rellu"), lambda: ag.Network([(1, 2)], "rellu")):  # fmt: skip
        refuses(ValueError, ["'rellu'", "known are", "relu", "tanh", "sigmoid"], call)
    refuses(ValueError, "size of the output layer", lambda: ag.MLP(2, []))
    linear = ag.MLP(2, [1], seed=0)
    assert [v.op for v in ag.engine.graph.toposort(linear([1.0, 2.0])) if v.op] == ["dot"]
    sklearn = pytest.importorskip("autograd_lite.sklearn", reason="the estimators need scikit-learn")
    regressor = sklearn.MLPRegressor(hidden_layer_sizes=[], max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="2 epochs were reached"):
        regressor.fit(*map(np.array, LINE))
    a, b, c = regressor.predict([[-50.0], [0.0], [50.0]])
    assert b - a == pytest.approx(c - b, rel=1e-12)


def test_fault_22_a_label_out_of_range_is_refused_by_name():
    """A class there is not; targets that must be 0 or 1, or -1 or 1."""
    three, one = ag.MLP(1, [3], seed=0), ag.MLP(1, [1], seed=0)
    for label in (3, -1, 1.5):
        y = [0, 1, label, 2]
        words = ["row 2", f"target {np.asarray(y)[2]}", "0 to 2"]
        refuses(ValueError, words, lambda y=y: ag.fit(three, LINE[0], y, loss="cross_entropy"), three)
    for loss in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        refuses(ValueError, ["row 1", "target 2"], lambda loss=loss: ag.fit(one, LINE[0], [0, 2, 1, 1], loss=loss), one)
    for loss in ("hinge", "perceptron"):
        words = ["row 3", "target 0", "-1 or 1"]
        refuses(ValueError, words, lambda loss=loss: ag.fit(one, LINE[0], [1, -1, 1, 0], loss=loss), one)
    refuses(ValueError, "label 1 is 2", lambda: ag.Perceptron(1).fit([[1.0], [2.0]], [1, 2]))
    refuses(ValueError, "got 2", lambda: losses.binary_cross_entropy(ag.Value(0.5), 2))


def test_fault_23_a_parameter_given_twice_or_shared_counts_once_and_a_generator_is_kept():
    p = ag.Value(1.0)  # any leaf will do
    for params in ([p, p], (x for x in [p, p])):
        p.data, p.grad = 1.0, 1.0
        optimizer = optim.SGD(params, 0.25)
        optimizer.step()
        optimizer.step()
        assert (p.data, len(optimizer.params)) == (0.5, 1)
    model = ag.MLP(2, [2, 2], seed=0)
    model.layers[1] = model.layers[0]
    assert len(model.parameters()) == 6
    parts = [*model.layers[0].parameters(), *model.layers[1].parameters()]
    assert len(optim.Adam(parts).params) == 6
    before, bias = model.state_dict(), model.layers[0].neurons[0].b
    bias.grad = 1.0
    optim.SGD(iter(parts), 0.5).step()
    assert bias.data == before["layers[0].neurons[0].b"] - 0.5
    generated = (x for x in model.parameters())
    ag.fit(model, [[1.0, 2.0]], [[1.0, 2.0]], parameters=generated, epochs=2, seed=0)
    assert model.state_dict() != before


def test_fault_24_settings_out_of_their_range_and_parameters_that_are_no_leaves_are_refused():
    p = [ag.Parameter(1.0), ag.Parameter(2.0)]
    rules = [optim.SGD, optim.Adagrad, optim.RMSprop, optim.Adam, optim.AdamW]
    for rule in rules:
        for lr in (-0.1, math.nan, math.inf, -math.inf):
            refuses(ValueError, ["lr", "at least 0", f"{lr:g}"], lambda r=rule, lr=lr: r(p, lr))
            refuses(ValueError, "lr", lambda r=rule, lr=lr: r(p, lambda step: lr).step())
        refuses(TypeError, ["params[1]", "not a leaf", "'mul'"], lambda r=rule: r([p[0], p[0] * p[1]], 0.1))
    for beta in (1.0, 1.5, -0.1, math.nan):
        for call in (
            lambda b=beta: optim.Adam(p, betas=(b, 0.9)),
            lambda b=beta: optim.AdamW(p, betas=(0.9, b)),
            lambda b=beta: optim.SGD(p, 0.1, momentum=b),
            lambda b=beta: optim.RMSprop(p, alpha=b),
        ):
            refuses(ValueError, ["in [0, 1)", f"{beta:g}"], call)
    assert [x.data for x in p] == [1.0, 2.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_fault_25_a_gradient_that_is_not_finite_is_refused_before_anything_is_written(bad):
    """Naming the parameter; allow_nonfinite lets it through."""
    for rule in (lambda p, **more: optim.SGD(p, 0.1, momentum=0.5, **more), optim.Adam, optim.RMSprop):
        p = [ag.Parameter(1.0, name="a"), ag.Parameter(2.0, name="b")]
        optimizer = rule(p)
        p[0].grad = 1.0
        optimizer.step()
        p[1].grad = bad
        before = [x.data for x in p], [x.grad for x in p], optimizer.state_dict()
        refuses(ValueError, ["the gradient of params[1] (b)", repr(bad), "allow_nonfinite"], optimizer.step)
        assert repr(([x.data for x in p], [x.grad for x in p], optimizer.state_dict())) == repr(before)
        through = rule(p, allow_nonfinite=True)
        through.step()
        assert p[0].data != before[0][0]
        assert not math.isfinite(p[1].data)
        p[1].data, p[1].grad = 2.0, 1.7e308  # finite, and a step with it is not
        optimizer = rule(p, clip_value=1e308)
        optimizer.lr = 1e10
        before = [x.data for x in p], optimizer.state_dict()
        refuses(ValueError, ["params[1] (b)", "would become", "allow_nonfinite"], optimizer.step)
        assert ([x.data for x in p], optimizer.state_dict()) == before


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_fault_26_numbers_of_x_or_y_that_are_not_finite_are_refused_with_their_row(bad):
    model = ag.MLP(1, [1], seed=0)
    X, y = [[0.0], [bad], [2.0], [3.0]], [1.0, 3.0, bad, 7.0]
    refuses(ValueError, ["row 1 of X", repr(bad)], lambda: ag.fit(model, X, LINE[1]), model)
    refuses(ValueError, ["row 2 of y", repr(bad)], lambda: ag.fit(model, LINE[0], y), model)
    refuses(ValueError, "validation: row 1 of X", lambda: ag.fit(model, *LINE, validation=(X, LINE[1])), model)
    refuses(ValueError, "row 1 of X", lambda: ag.Perceptron(1).fit(X, [1, -1, 1, 1]))


@pytest.mark.parametrize("compiled", [False, True])
def test_fault_27_two_fits_of_one_seed_are_identical_and_one_resumed_is_as_if_never_stopped(compiled, tmp_path):
    """Histories, weights and the optimizer's state, to the last bit."""

    def run(seed=7, **settings):
        model = ag.MLP(1, [2, 1], activation="tanh", seed=3)
        optimizer = optim.Adam(model.parameters(), 0.05)
        history = ag.fit(model, *LINE, optimizer=optimizer, batch_size=3, seed=seed, validation=0.25, compiled=compiled,
                         patience=50, metrics={"worst": lambda p, t: float(np.abs(np.array(p) - t).max())},
                         **settings)  # fmt: skip
        used.append(history.seed)
        return history.rows, model.state_dict(), optimizer.state_dict()

    used = []
    whole = run(epochs=6)
    assert run(epochs=6) == whole
    assert run(epochs=6, seed=8) != whole
    drawn = run(epochs=2, seed=None)  # a seed that was drawn is told, and serves
    assert run(epochs=2, seed=used[-1]) == drawn
    path = tmp_path / "run.json"
    run(epochs=2, checkpoint=path)
    assert run(epochs=6, resume=path) == whole
    assert run(epochs=4, checkpoint=path, resume=True)[0] == whole[0][:4]
    assert run(epochs=6, checkpoint=path, resume=True) == whole
