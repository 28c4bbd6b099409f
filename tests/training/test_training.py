"""fit, History, the perceptron's rule, networks as graphs: the slides' procedures, and practice."""

import json
import math
import os
import re
import signal
import sys
import threading
import time

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import files, losses, optim
from autograd_lite.training import accuracy

LINE = ([[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0])
MOONS_SEED = 1


def moons(n=60):
    rng = np.random.default_rng(MOONS_SEED)
    angle = rng.uniform(0, np.pi, n)
    upper = np.arange(n) % 2 == 0
    x = np.where(upper, np.cos(angle), 1.0 - np.cos(angle))
    y = np.where(upper, np.sin(angle), 0.5 - np.sin(angle))
    return np.column_stack([x, y]) + rng.normal(0, 0.1, (n, 2)), np.where(upper, 1, -1)


def small(seed=0):
    return ag.MLP(2, [4, 1], activation="tanh", seed=seed)


def adam(lr=0.05):
    return lambda parameters: optim.Adam(parameters, lr=lr)


def state(model):
    return list(model.state_dict().values())


# --- the slides' procedures ----------------------------------------------------------------------------


def test_han_kamber_one_step(golden):
    """Forward, backward and update of the slides' 3-2-1 network, to the digits they print and beyond."""
    case = golden["han_kamber"]
    edges = [(int(k[0]), int(k[1])) for k in case["w"]]
    net = ag.Network(edges, activation="sigmoid", bias=True)
    for (i, j), w in net.w.items():
        w.data = case["w"][f"{i}{j}"]
    for j, b in net.b.items():
        b.data = case["bias"][str(j)]
    assert net.counts() == (case["n_weights"], case["n_parameters"])
    trace = net.trace([case["x"][k] for k in "123"])
    losses.half_squared_error(trace.output, case["target"]).backward()
    for j in (4, 5, 6):
        assert trace.z[j].item() == pytest.approx(case["net_input"][str(j)], abs=1e-12)
        assert trace.a[j].item() == pytest.approx(case["output"][str(j)], abs=1e-12)
        assert -trace.delta[j] == pytest.approx(case["err"][str(j)], abs=1e-12)
    optim.SGD(net.parameters(), case["learning_rate"]).step()
    for (i, j), w in net.w.items():
        assert w.item() == pytest.approx(case["new_w"][f"{i}{j}"], abs=1e-12)
        if f"w{i}{j}" in case["printed"]:
            assert round(w.item(), 3) == case["printed"][f"w{i}{j}"]
    for j, b in net.b.items():
        assert b.item() == pytest.approx(case["new_bias"][str(j)], abs=1e-12)


def test_dag_network(golden):
    """BACKPROPAGATE: in_j, a_j, Delta_j and dJ/dw_ij = Delta_j a_i; then one epoch of NEURALNETTRAIN by fit."""
    case = golden["dag_network"]
    edges = [(int(k[0]), int(k[1])) for k in case["w"]]
    for decay, after in ((0.0, "after_sgd"), (case["weight_decay"], "after_sgd_with_decay")):
        net = ag.Network(edges)
        for (i, j), w in net.w.items():
            w.data = case["w"][f"{i}{j}"]
        x = [case["a"]["1"], case["a"]["2"]]
        trace = net.trace(x)
        losses.squared_error(trace.output, case["y"]).backward()
        for j, z in trace.z.items():
            assert z.item() == pytest.approx(case["net_input"][str(j)], abs=1e-12)
            assert trace.a[j].item() == pytest.approx(case["a"][str(j)], abs=1e-12)
            assert trace.delta[j] == pytest.approx(case["delta"][str(j)], abs=1e-12)
        for (i, j), w in net.w.items():
            a_i = trace.a[i] if isinstance(trace.a[i], float) else trace.a[i].item()
            assert w.grad == pytest.approx(case["grad"][f"{i}{j}"], abs=1e-12)
            assert w.grad == pytest.approx(trace.delta[j] * a_i, abs=1e-15)
        sgd = optim.SGD(net.parameters(), case["learning_rate"], l2=decay)
        ag.fit(net, [x], [case["y"]], optimizer=sgd, epochs=1, batch_size=1, seed=0)
        for (i, j), w in net.w.items():
            assert w.item() == pytest.approx(case[after][f"{i}{j}"], abs=1e-12)


def matrix_model(case):
    model = ag.MLP(2, [3, 2], activation="tanh", output_activation="tanh")
    for layer, W, b in zip(model.layers, case["W"], case["b"], strict=True):
        for neuron, row, bias in zip(layer.neurons, W, b, strict=True):
            for w, x in zip(neuron.w, row, strict=True):
                w.data = x
            neuron.b.data = bias
    return model


def test_matrix_form_and_mini_batch(golden):
    """z, a, delta of each layer; dC/dW = delta a^T, dC/db = delta; a mini-batch's gradient is the mean."""
    case = golden["matrix_form"]
    for n, (x, y) in enumerate(case["data"]):
        model = matrix_model(case)
        trace = model.trace(x)
        cost = losses.squared_error(trace.output, y)
        cost.backward()
        assert cost.item() == pytest.approx(case["cost"][n], abs=1e-12)
        for k, layer in enumerate(model.layers):
            np.testing.assert_allclose(trace.delta[k], case["grad_b"][n][k], rtol=0, atol=1e-12)
            below = [a if isinstance(a, float) else a.item() for a in trace.a[k]]
            np.testing.assert_allclose(np.outer(trace.delta[k], below), case["grad_W"][n][k], rtol=0, atol=1e-12)
            np.testing.assert_allclose([[w.grad for w in u.w] for u in layer.neurons], case["grad_W"][n][k], atol=1e-12)
    model = matrix_model(case)
    before = [[[w.item() for w in u.w] for u in layer.neurons] for layer in model.layers]
    X, y = zip(*case["data"], strict=True)
    history = ag.fit(model, X, y, optimizer=lambda p: optim.SGD(p, 1.0), epochs=1, batch_size=None, seed=0)
    assert history.loss[0] == pytest.approx(case["minibatch_cost"], abs=1e-12)
    for k, layer in enumerate(model.layers):
        moved = np.array(before[k]) - [[w.item() for w in u.w] for u in layer.neurons]
        np.testing.assert_allclose(moved, case["minibatch_grad_W"][k], atol=1e-12)
        np.testing.assert_allclose([-u.b.item() + b for u, b in zip(layer.neurons, case["b"][k], strict=True)],
                                   case["minibatch_grad_b"][k], atol=1e-12)  # fmt: skip


def by_hand(model, X, y, order, size, lr):
    """Mini-batch gradient descent as the slides write it."""
    for first in range(0, len(order), size):
        batch = order[first : first + size]
        model.zero_grad()
        ag.mean([losses.squared_error(model(X[i]), y[i]) for i in batch]).backward()
        for p in model.parameters():
            p.data = p.item() - lr * p.grad


@pytest.mark.parametrize(("size", "length"), [(1, 1), (3, 3), (None, 7), (100, 7)])
def test_incremental_mini_batch_and_batch_mode(size, length):
    """One step an example, a batch, an epoch; the last short batch (7 = 3 + 3 + 1) counts as the mean of its own."""
    X, y = [[i / 7, (i * i % 5) / 5] for i in range(7)], [float(i % 3) for i in range(7)]
    one, two = small(), small()
    optimizer = optim.SGD(one.parameters(), 0.1)
    history = ag.fit(one, X, y, optimizer=optimizer, epochs=2, batch_size=size, shuffle=False)
    for _ in range(2):
        by_hand(two, X, y, range(7), length, 0.1)
    assert state(one) == pytest.approx(state(two), rel=1e-12)
    assert optimizer.steps == 2 * -(-7 // length)
    assert len(history) == 2


def test_every_epoch_has_an_order_of_its_own():
    met = []

    def spy(x):
        met.append(x)
        return w * x

    w = ag.Parameter(0.0)
    ag.fit(spy, list(range(20)), [0.0] * 20, parameters=[w], epochs=2, batch_size=4, seed=5)
    first, second = met[1:21], met[21:]  # the first call tries the targets
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    assert first != list(range(20))


def test_weights_and_parameters_are_counted():
    """The slides' 3-2-1 network: 8 weights, 11 parameters."""
    assert ag.MLP(3, [2, 1]).counts() == (8, 11)
    assert len(ag.MLP(3, [2, 1]).weights()) == 8


# --- stopping -------------------------------------------------------------------------------------------


def test_stops_when_every_error_is_small():
    model = ag.MLP(1, [1], seed=0)
    history = ag.fit(model, *LINE, optimizer=adam(0.2), epochs=2000, error_tolerance=1e-4, seed=0)
    assert history.stopped == "every training error is below 0.0001"
    assert history.rows[-1]["largest_loss"] < 1e-4 <= history.rows[-2]["largest_loss"]


def test_stops_when_the_cost_hardly_changes():
    model = ag.MLP(1, [1], seed=0)
    history = ag.fit(
        model, *LINE, optimizer=lambda p: optim.SGD(p, 0.05), epochs=5000, batch_size=None, cost_tolerance=1e-3
    )
    assert history.stopped.startswith("the cost changed by less than 0.001")
    changes = -np.diff(history.loss)
    assert changes[-1] < 1e-3
    assert (changes[:-1] >= 1e-3).all()


def test_epoch_limit_and_none_at_all():
    model = ag.MLP(1, [1], seed=0)
    before = state(model)
    history = ag.fit(model, *LINE, epochs=0)
    assert (len(history), history.stopped, state(model)) == (0, "the last epoch", before)
    assert history.summary().startswith("no epoch was completed")
    assert ag.fit(model, *LINE, epochs=3).stopped == "the last epoch"


def test_early_stopping_keeps_the_best_weights():
    """A learning rate that throws the weights about: the best epoch is not the last."""
    model = ag.MLP(1, [1], seed=0)
    seen = []
    history = ag.fit(
        model, *LINE, optimizer=adam(1.0), epochs=100, patience=3, seed=0, validation=([[4.0], [5.0]], [9.0, 11.0]),
        callbacks=[lambda run: seen.append(state(run.model))],
    )  # fmt: skip
    assert history.stopped == "no better loss for 3 epochs"
    assert history.best_epoch == len(history) - 3
    assert state(model) == seen[history.best_epoch - 1]
    total = sum(losses.squared_error(p, t) for p, t in zip(model.predict([[4.0], [5.0]]), (9.0, 11.0), strict=True))
    assert total / 2 == pytest.approx(min(history.validation_loss))
    other = ag.MLP(1, [1], seed=0)
    last = []
    ag.fit(other, *LINE, optimizer=adam(1.0), epochs=100, patience=3, restore_best=False, seed=0,
           callbacks=[lambda run: last.append(state(run.model))])  # fmt: skip
    assert state(other) == last[-1]


def test_the_best_weights_are_those_of_the_lowest_loss_whatever_counts_as_progress():
    model, seen = ag.MLP(1, [1], seed=0), []
    history = ag.fit(model, *LINE, optimizer=adam(0.05), epochs=60, patience=20, min_delta=0.5, seed=0,
                     callbacks=[lambda run: seen.append(state(run.model))])  # fmt: skip
    assert history.loss[history.best_epoch - 1] == min(history.loss)
    assert state(model) == seen[history.best_epoch - 1]


def test_callbacks_see_the_run_and_can_stop_it():
    calls = []

    def watch(run):
        calls.append((run.epoch, run.history.loss[-1], run.optimizer.lr))
        run.optimizer.lr *= 0.5
        if run.epoch == 3:
            run.stop("three is enough")

    model = ag.MLP(1, [1], seed=0)
    history = ag.fit(model, *LINE, optimizer=lambda p: optim.SGD(p, 0.08), callbacks=[watch], seed=0)
    assert [c[0] for c in calls] == [1, 2, 3]
    assert history.stopped == "three is enough"
    assert history.learning_rate == [0.08, 0.04, 0.02]
    with pytest.raises(ZeroDivisionError):  # a callback's error is the caller's
        ag.fit(model, *LINE, callbacks=[lambda run: 1 / 0])


# --- schedules, penalties, metrics, validation ------------------------------------------------------------


def test_schedules_by_epoch_and_by_step():
    model = ag.MLP(1, [1], seed=0)
    history = ag.fit(model, *LINE, epochs=4, schedule=optim.StepDecay(0.01, every=2), seed=0)
    assert history.learning_rate == [0.01, 0.01, 0.005, 0.005]
    by_step = optim.SGD(model.parameters(), optim.StepDecay(0.01, every=2))
    history = ag.fit(model, *LINE, optimizer=by_step, epochs=2, batch_size=1, seed=0)
    assert history.learning_rate == [0.01, 0.0025]
    plateau = optim.ReduceOnPlateau(1e-9, factor=0.5, patience=0)
    history = ag.fit(model, *LINE, epochs=3, batch_size=None, schedule=plateau, seed=0)
    assert history.learning_rate == [1e-9, 1e-9, 5e-10]


def test_penalty_is_in_the_cost_and_in_the_gradient():
    """J(w) + lambda sum w^2 as a penalty and as the optimizer's l2 take the same steps."""
    X, y = moons(20)
    runs = []
    for settings, l2 in (({"penalty": lambda m: losses.l2(m.parameters(), 0.1)}, 0.0), ({}, 0.1)):
        model = small()
        first = sum(p.item() ** 2 for p in model.parameters())
        optimizer = optim.SGD(model.parameters(), 0.1, l2=l2)
        history = ag.fit(model, X, y, optimizer=optimizer, epochs=3, batch_size=None, seed=0, **settings)
        runs.append((state(model), history.loss[0] - 0.1 * first * bool(settings)))
    np.testing.assert_allclose(runs[0][0], runs[1][0], rtol=1e-10)
    assert runs[0][1] == pytest.approx(runs[1][1])


def test_validation_share_pair_and_metrics():
    X, y = moons(50)
    model = small()
    history = ag.fit(model, X, y, loss="hinge", optimizer=adam(), epochs=30, validation=0.2, metrics="accuracy", seed=3)
    assert set(history.metrics) == {"accuracy", "validation_accuracy"}
    assert history.metrics["accuracy"][-1] > 0.8
    assert len(history.validation_loss) == 30
    again = small()
    pair = ag.fit(
        again, X[:40], y[:40], loss=losses.hinge, optimizer=adam(), epochs=2, validation=(X[40:], y[40:]),
        metrics={"mae": lambda p, t: np.abs(p - t).mean()}, seed=3,
    )  # fmt: skip
    direct = np.mean([losses.hinge(s, t) for s, t in zip(again.predict(X[40:]), y[40:], strict=True)])
    assert pair.validation_loss[-1] == pytest.approx(direct)
    assert pair.metrics["validation_mae"][-1] == pytest.approx(np.abs(again.predict(X[40:]) - y[40:]).mean())


def test_examples_kept_apart_are_not_trained_on():
    X, y = [float(i) for i in range(10)], [0.0] * 10
    w = ag.Parameter(1.0)
    trained, scored = [], []

    def model(x):
        prediction = w * x
        (scored if prediction.is_leaf else trained).append(x)  # scored without a graph
        return prediction

    ag.fit(model, X, y, parameters=[w], optimizer=lambda p: optim.SGD(p, 1e-4), epochs=2, batch_size=3, validation=0.3,
           seed=0)  # fmt: skip
    assert len(trained) == 2 * 7
    assert len(set(trained)) == 7
    assert set(trained) | set(scored) == set(X)
    assert len(set(scored) - set(trained)) == 3


def test_the_loss_of_an_epoch_is_the_mean_over_the_examples():
    """Each counts once, also in a last short batch, and so does the validation loss."""
    w = ag.Parameter(1.0)
    data = [1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 5
    history = ag.fit(lambda x: w * x, *data, parameters=[w], optimizer=lambda p: optim.SGD(p, 0.0), epochs=1,
                     batch_size=2, validation=data, shuffle=False)  # fmt: skip
    assert history.loss == [(1 + 4 + 9 + 16 + 25) / 5]
    assert history.validation_loss == history.loss
    assert history.rows[0]["largest_loss"] == 25.0
    assert history.gradient_norms["parameters"] == [(2 * (1 + 4) / 2 + 2 * (9 + 16) / 2 + 2 * 25) / 3]


def test_accuracy():
    assert accuracy([0.4, 0.6], [0, 1]) == 1.0
    assert accuracy([0.4, 0.6], [0, 1], threshold=0.0) == 0.5
    assert accuracy([[0.0, 1.0], [2.0, 1.0]], [[0, 1], [0, 1]]) == 0.5


def test_logits_are_cut_at_zero():
    model = ag.MLP(1, [1], init=0.0)
    history = ag.fit(model, [[-1.0], [1.0]], [0, 1], loss="binary_cross_entropy_with_logits", metrics=["accuracy"],
                     optimizer=adam(0.1), epochs=2, batch_size=None)  # fmt: skip
    assert history.metrics["accuracy"][-1] == 1.0  # after one step the scores are -0.2 and 0.2


@pytest.mark.parametrize("loss", ["hinge", "perceptron", "squared_error"])
def test_accuracy_of_signed_labels_where_only_one_sign_is_scored(loss):
    """A score of 0.2 is on the side of +1, also where the scored part holds no -1."""
    model = ag.MLP(1, [1], init=0.0)
    model.load_state_dict(dict.fromkeys(model.state_dict(), 0.2))
    still = optim.SGD(model.parameters(), lr=0.0)
    history = ag.fit(model, [[0.0], [0.0]], [-1, 1], validation=([[0.0]], [1]), loss=loss, optimizer=still,
                     metrics="accuracy", epochs=1)  # fmt: skip
    assert history.metrics == {"accuracy": [0.5], "validation_accuracy": [1.0]}
    if loss != "squared_error":  # the loss alone says it too
        assert ag.fit(model, [[0.0]], [1], loss=loss, optimizer=still, metrics="accuracy", epochs=1).metrics == {
            "accuracy": [1.0]
        }


def test_gradient_norms_show_vanishing():
    """Ten sigmoid layers: the norm falls from the last layer to the first by orders of magnitude."""
    model = ag.MLP(2, [3] * 10 + [1], activation="sigmoid", seed=0)
    history = ag.fit(model, *moons(8), epochs=1, seed=0)
    norms = history.gradient_norms
    assert list(norms) == [f"layers[{k}]" for k in range(11)]
    assert norms["layers[0]"][0] < 1e-4 * norms["layers[10]"][0]


def test_classes():
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int) + 2 * (X[:, 1] > 0).astype(int)
    model = ag.MLP(2, [8, 4], seed=0)
    history = ag.fit(
        model, X, y, loss="cross_entropy", optimizer=adam(), epochs=25, batch_size=10, metrics=["accuracy"], seed=0
    )
    assert history.metrics["accuracy"][-1] > 0.9


def test_any_function_of_values_is_a_model():
    """A curve fit: no module, X of one number an example."""
    a, b = ag.Parameter(1.0, name="a"), ag.Parameter(0.0, name="b")
    x = np.linspace(0.0, 2.0, 20)
    history = ag.fit(lambda t: a * ag.exp(b * t), x, 2.0 * np.exp(-0.5 * x), parameters=[a, b],
                     optimizer=adam(0.05), epochs=300, seed=0)  # fmt: skip
    assert (a.item(), b.item()) == pytest.approx((2.0, -0.5), abs=1e-2)
    assert list(history.gradient_norms) == ["parameters"]
    half = optim.SGD([a], 0.1)  # an optimizer over some of the leaves trains those
    before = b.item()
    ag.fit(lambda t: a * ag.exp(b * t), x, np.exp(x), optimizer=half, epochs=2, seed=0)
    assert b.item() == before


def test_memory_stays_flat():
    import tracemalloc

    X, y = moons(400)
    model = small()
    tracemalloc.start()
    peaks = []
    for n in (50, 400):
        tracemalloc.reset_peak()
        base = tracemalloc.get_traced_memory()[0]
        ag.fit(model, X[:n], y[:n], epochs=1, batch_size=None, seed=0)
        peaks.append(tracemalloc.get_traced_memory()[1] - base)
    tracemalloc.stop()
    assert peaks[1] - peaks[0] < 350 * 500  # a graph of one example here has over 10,000 bytes


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"X": [], "y": []}, ValueError, "no examples"),
        ({"X": [[0.0], [1.0, 2.0]], "y": [1.0, 2.0]}, ValueError, "row 1 of X has 2 numbers, row 0 has 1"),
        ({"X": [[0.0, 1.0]], "y": [1.0]}, ValueError, "expected 1 inputs, got 2"),
        ({"y": [1.0]}, ValueError, "4 examples but 1 targets"),
        ({"y": list("abcd")}, TypeError, "targets must be numbers"),
        ({"y": np.zeros((4, 1, 1))}, ValueError, "shape"),
        ({"X": [[0.0], [math.nan], [0.0], [0.0]]}, ValueError, "row 1 of X is not finite"),
        ({"y": [0.0, 0.0, math.inf, 0.0]}, ValueError, "row 2 of y is not finite"),
        ({"validation": ([[0.0], [math.nan]], [1.0, 1.0])}, ValueError, "fit: validation: row 1 of X"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": 2.5}, TypeError, "batch_size"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"validation": 0.05}, ValueError, "leaves none"),
        ({"validation": 1.0}, ValueError, "leaves none"),
        ({"validation": "some"}, TypeError, "validation"),
        ({"loss": "squared"}, ValueError, "unknown loss 'squared'"),
        ({"loss": 3}, TypeError, "loss"),
        ({"loss": losses.hinge}, ValueError, "row 1, target 3.0: hinge: labels are -1 or 1"),
        ({"model": ag.MLP(1, [3], seed=0), "loss": "cross_entropy", "y": [0, 1, 3, 2]}, ValueError,
         "row 2, target 3: cross_entropy: a label is a whole number from 0 to 2"),
        ({"loss": "binary_cross_entropy", "y": [0, 1, 1, 2]}, ValueError, "row 3, target 2"),
        ({"model": ag.MLP(1, [2], seed=0)}, ValueError, "2 predictions but 1 targets"),
        ({"optimizer": "adma"}, ValueError, "fit: optimizer must be one of sgd, adam, "),
        ({"optimizer": "bfgs"}, ValueError, "lion, lbfgs, got str 'bfgs'; did you mean 'lbfgs'"),
        ({"optimizer": 3}, TypeError, "fit: optimizer must be an Optimizer"),
        ({"model": abs, "optimizer": None}, TypeError, "no parameters"),
        ({"model": 3}, TypeError, "model"),
        ({"metrics": ["speed"]}, TypeError, "metric"),
        ({"seed": "x"}, TypeError, "seed"),
        ({"patience": 0}, ValueError, "patience"),
        ({"cost_tolerance": -1.0}, ValueError, "cost_tolerance"),
        ({"parameters": [ag.Parameter(1.0)], "optimizer": optim.SGD([ag.Parameter(1.0)], 0.1)}, ValueError,
         "not the same"),
        ({"resume": True}, ValueError, "path of a checkpoint"),
        ({"model": lambda x: 3.0, "parameters": [ag.Parameter(1.0)]}, TypeError, "not a Value"),
        ({"optimizer": optim.SGD([ag.Parameter(1.0)], 0.1)}, ValueError, "none of the optimizer's 1 parameters"),
        ({"callbacks": print}, TypeError, "callbacks must be a list"),
        ({"callbacks": [print, 1]}, TypeError, "callbacks[1] must be a function of a Run, got int 1"),
        ({"metrics": 5}, TypeError, "metrics must be names"),
        ({"schedule": 0.1}, TypeError, "schedule must be a function of the epoch"),
        ({"penalty": 0.1}, TypeError, "penalty must be a function of the model"),
        ({"X": np.ones((4, 1)) * 1j}, TypeError, "X must hold real numbers"),
        ({"X": [1j, 0.0, 1.0, 2.0]}, TypeError, "X must hold real numbers"),
        ({"X": None}, TypeError, "fit: X must be examples, shape (n, d) or (n,), got NoneType None"),
        ({"X": {1: 2}}, TypeError, "fit: X must be examples"),
        ({"X": [None] * 4}, TypeError, "fit: X[0]: expected a real number, got NoneType None"),
        ({"y": None}, TypeError, "fit: y must be targets, got NoneType None"),
        ({"y": [[1.0], [1.0, 2.0], [1.0], [1.0]]}, ValueError, "fit: y must have shape (n,) or (n, k), its rows"),
        ({"validation": (None, LINE[1])}, TypeError, "fit: validation: X must be examples"),
        ({"checkpoint": 3}, TypeError, "fit: checkpoint: expected a file name, a str or a pathlib.Path, got int 3"),
        ({"checkpoint": "no/such/dir/x"}, FileNotFoundError, "fit: checkpoint='no/such/dir/x': "),
        ({"checkpoint": f"{__file__}/x"}, NotADirectoryError, "is not a directory; make it first"),
        ({"checkpoint": "."}, IsADirectoryError, "fit: checkpoint must be the path of a file, '.' is a directory"),
        ({"checkpoint": 3, "resume": True}, TypeError, "fit: checkpoint: expected a file name"),
        ({"resume": 3}, TypeError, "fit: resume: expected a file name"),
        ({"metrics": [lambda p, t: 1.0, "accuracy", lambda p, t: 2.0]}, ValueError,
         "fit: metrics[0] and metrics[2] are both called '<lambda>'; give a dict"),
        *[({**change, "compiled": compiled}, TypeError, words) for compiled in (False, True) for change, words in (
            ({"loss": lambda p, t: 1.0}, "fit: the loss is float 1.0, not a Value"),
            ({"loss": lambda p, t: t * 1.0}, "fit: the loss is float 1.0, not a Value"),
            ({"penalty": lambda m: 1.0}, "fit: the penalty is float 1.0, not a Value"),
        )],
    ],
    ids=lambda x: re.sub(r" at 0x[0-9a-f]+", "", str(x))[:40],  # an address is another one in each process
)  # fmt: skip
def test_refusals_change_nothing(change, error, words):
    model = change.pop("model", None) or ag.MLP(1, [1], seed=0)
    before = state(model) if isinstance(model, ag.Module) else None
    arguments = {"X": LINE[0], "y": LINE[1], "epochs": 2, **change}
    with pytest.raises(error) as caught:
        ag.fit(model, **arguments)
    assert words in str(caught.value)
    if before:
        assert state(model) == before


def test_an_optimizer_of_some_parameters_warns_unless_the_others_are_frozen():
    model = ag.MLP(1, [2, 1], seed=0)
    first, last = model.layers
    with pytest.warns(UserWarning, match=r"does not train 4 of the model's 7 parameters, layers\[0\]"):
        ag.fit(model, *LINE, optimizer=optim.SGD(last.parameters(), 0.01), epochs=1)
    ag.fit(model, *LINE, parameters=last.parameters(), epochs=1)  # that is meant
    for p in first.parameters():
        p.frozen = True
    ag.fit(model, *LINE, optimizer=optim.SGD(last.parameters(), 0.01), epochs=1)


def test_an_exploding_gradient_is_refused_by_name_before_it_is_written():
    model = ag.MLP(1, [1], seed=0)
    seen = []
    with pytest.raises(ValueError, match=r"gradient of params\[0\] \(layers\[0\].neurons\[0\].w\[0\]\)"):
        ag.fit(model, [[1e200], [1.0]], [1.0, 1.0], optimizer=lambda p: optim.SGD(p, 1e10), epochs=100, batch_size=1,
               callbacks=[lambda run: seen.append(state(model))])  # fmt: skip
    assert all(math.isfinite(p) for p in state(model))


def test_a_generator_of_rows_is_taken_as_a_list():
    rows, one, two = ([x * x] for x in (0.0, 1.0, 2.0)), ag.MLP(1, [1], seed=0), ag.MLP(1, [1], seed=0)
    history = ag.fit(one, rows, iter([1.0, 2.0, 3.0]), epochs=2, seed=0)
    assert history.loss == ag.fit(two, [[0.0], [1.0], [4.0]], [1.0, 2.0, 3.0], epochs=2, seed=0).loss
    assert ag.fit(one, (iter(row) for row in LINE[0]), LINE[1], epochs=1, seed=0).loss


@pytest.mark.parametrize("given", ["a", None, np.zeros(3)])
def test_a_metric_that_gives_no_number_is_named(given):
    model, words = ag.MLP(1, [1], seed=0), r"fit: metric 'speed' returned .*, which is not a number"
    with pytest.raises(TypeError, match=words):
        ag.fit(model, *LINE, epochs=2, metrics={"one": lambda p, t: np.float32(1.0), "speed": lambda p, t: given})


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("x", [(1e200, 1e200), (1.0, 1e200)])
def test_a_refused_step_leaves_gradients_parameters_and_optimizer_as_after_the_last_whole_step(x, compiled):
    """Also at the first step, where there was none; a plain step on the Values says what is right after one."""
    model, twin = (ag.MLP(1, [1], init=0.5) for _ in range(2))
    sgd, other = (optim.SGD(m.parameters(), 0.1, momentum=0.5) for m in (model, twin))
    for p in model.parameters() + twin.parameters():
        p.grad = 7.0
    if x[0] == 1.0:
        other.zero_grad()
        losses.squared_error(twin([1.0]), 2.0).backward()
        other.step()
    with pytest.raises(ValueError, match=r"SGD\.step: the gradient of params\[0\] .* is -?inf"):
        ag.fit(model, [[x[0]], [x[1]]], [2.0, 3.0], optimizer=sgd, epochs=3, batch_size=1, shuffle=False,
               compiled=compiled)  # fmt: skip
    assert state(model) == pytest.approx(state(twin))
    assert [p.grad for p in model.parameters()] == pytest.approx([p.grad for p in twin.parameters()])
    assert sgd.steps == other.steps
    assert sgd.state_dict()["pieces"][0]["velocity"] == pytest.approx(other.state_dict()["pieces"][0]["velocity"])


@pytest.mark.parametrize("compiled", [False, True])
def test_an_update_that_overflows_is_refused_in_fit(compiled):
    w = ag.Parameter(1.0)
    rule = optim.Adam([w], 0.1)
    with pytest.raises(ValueError, match=r"Adam\.step: ScaleByAdam\.v of params\[0\] would become inf"):
        ag.fit(lambda x: w * x, [1.0, 1e200], [0.0, 0.0], loss=lambda p, t: p + t, optimizer=rule, epochs=1,
               batch_size=1, shuffle=False, compiled=compiled)  # fmt: skip
    assert w.data == pytest.approx(0.9)
    assert w.grad == 1.0
    assert rule.steps == 1


@pytest.mark.parametrize("compiled", [False, True])
def test_a_gradient_that_overflows_when_it_is_added_up_is_told_by_the_step(compiled):
    """And not by a warning of NumPy's, which is an error here."""
    arguments = {"loss": lambda p, t: p * 2.0 + t, "epochs": 1, "batch_size": 2, "compiled": compiled}
    w = ag.Parameter(0.1)
    with pytest.raises(ValueError, match=r"the gradient of params\[0\] is inf"):
        ag.fit(lambda x: w * x, [1.5e308, 1.5e308], [0.0, 0.0], parameters=[w], **arguments)
    with pytest.raises(ValueError, match=r"the gradient of params\[0\] is inf"):
        ag.fit(lambda x: w * x, [1.5e308], [0.0], parameters=[w], **arguments, penalty=lambda m: w * 1.5e308)
    assert w.data == 0.1


# --- twice the same, and resumed -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        adam(),
        lambda p: optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
        lambda p: optim.RMSprop(p, optim.InverseTimeDecay(0.05, 0.1), momentum=0.5),
    ],
)
def test_resumed_is_as_if_never_stopped(tmp_path, make):
    X, y = moons(30)
    settings = {
        "loss": "hinge", "batch_size": 7, "validation": 0.2, "metrics": "accuracy", "patience": 4, "min_delta": 1e-3,
    }  # fmt: skip
    whole = small()
    full = ag.fit(whole, X, y, optimizer=make(whole.parameters()), epochs=12, seed=7, **settings)
    path = tmp_path / "run.json"
    part = small()
    ag.fit(part, X, y, optimizer=make(part.parameters()), epochs=5, seed=7, checkpoint=path, **settings)
    fresh = small(seed=99)  # its own weights do not matter
    history = ag.fit(fresh, X, y, optimizer=make(fresh.parameters()), epochs=12, resume=path, **settings)
    assert history == full
    assert state(fresh) == state(whole)
    assert history.seed == 7


def test_resume_true_begins_or_goes_on(tmp_path):
    path = tmp_path / "run.json"
    runs = []
    for epochs in (2, 4):
        model = small()
        runs.append(ag.fit(model, *moons(10), epochs=epochs, seed=1, checkpoint=path, resume=True))
    assert runs[1].loss[:2] == runs[0].loss
    assert runs[1] == ag.fit(small(), *moons(10), epochs=4, seed=1)
    checkpoint = ag.load(path)
    other = small(seed=5)
    other.load_state_dict(checkpoint["model"])
    assert state(other) == state(model)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    path = tmp_path / "run.json"
    X, y = moons(10)
    ag.fit(small(), X, y, epochs=1, seed=1, checkpoint=path)
    for arguments in (
        (small(), X[:9], y[:9], {}),
        (small(), X, y, {"batch_size": 3}),
        (small(), X, y, {"seed": 2}),
        (small(), X, y, {"shuffle": False}),
        (ag.MLP(2, [5, 1], seed=0), X, y, {}),
        (small(), X, y, {"optimizer": lambda p: optim.SGD(p, 0.01)}),
    ):
        model, X_, y_, more = arguments
        before = state(model)
        with pytest.raises(ValueError, match=r"checkpoint|load_state_dict"):
            ag.fit(model, X_, y_, epochs=2, resume=path, **more)
        assert state(model) == before
    with pytest.raises(FileNotFoundError):
        ag.fit(small(), X, y, resume=tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"loss": "half_squared_error"}, "loss"),
        ({"model": ag.MLP(2, [4, 1], activation="relu", seed=0)}, "model"),
        ({"X": moons(10)[0] * 2.0}, "data"),
        ({"y": -moons(10)[1]}, "data"),
        ({"optimizer": lambda p: optim.SGD(p, 0.01, momentum=0.8)}, "rule"),
        ({"optimizer": lambda p: optim.SGD(p, 0.01, momentum=0.9, nesterov=True)}, "rule"),
    ],
)
def test_a_checkpoint_tells_what_differs(tmp_path, change, part):
    path = tmp_path / "run.json"
    X, y = moons(10)
    as_it_was = {"X": X, "y": y, "seed": 1, "optimizer": lambda p: optim.SGD(p, 0.01, momentum=0.9)}
    ag.fit(small(), **as_it_was, epochs=1, checkpoint=path)
    assert len(ag.fit(small(), **as_it_was, epochs=2, resume=path)) == 2
    now = {"model": small(), **as_it_was, **change}
    with pytest.raises(ValueError, match=f"another training: its {part} was"):
        ag.fit(now.pop("model"), **now, epochs=2, resume=path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.pop("seed"),
        lambda c: c.update(seed=True),
        lambda c: c.update(told=[]),
        lambda c: c.update(model=3),
        lambda c: c["model"].popitem(),
        lambda c: c["model"].update({next(iter(c["model"])): "1"}),
        lambda c: c.update(optimizer=None),
        lambda c: c["optimizer"].update(pieces=3),
        lambda c: c["optimizer"]["pieces"][0].update(velocity={"a": 1}),
        lambda c: c["optimizer"].update(steps="1"),
        lambda c: c.update(history={}),
        lambda c: c.update(history=[{}]),
        lambda c: c["history"][0].update(gradient_norms=1.0),
        lambda c: c["history"][0].update(loss=None),
        lambda c: c.update(best=[]),
        lambda c: c.update(best={"epoch": 1}),
        lambda c: c.update(best={"epoch": 1, "model": [0.0]}),
        lambda c: c.update(best={"epoch": "1", "model": list(c["model"].values())}),
    ],
)
def test_a_checkpoint_with_odd_parts_is_refused_by_name(tmp_path, spoil):
    path = tmp_path / "run.json"
    arguments = {"optimizer": lambda p: optim.SGD(p, 0.01, momentum=0.9), "seed": 1}
    ag.fit(small(), *moons(10), **arguments, epochs=1, checkpoint=path)
    content = ag.load(path)
    spoil(content)
    head = {"format": files.FORMAT, "version": files.VERSION, "kind": "checkpoint", "payload": content}
    path.write_text(files._document(head))
    model = small()
    before = state(model)
    with pytest.raises(ValueError, match=r"run\.json: its part '(seed|told|model|optimizer|history|best)'"):
        ag.fit(model, *moons(10), **arguments, epochs=2, resume=path)
    assert state(model) == before


@pytest.mark.parametrize("history", [[3], [{"loss": "much"}], [{"loss": 1.0, "metrics": {"a": "b"}}], [None]])
def test_a_history_of_no_rows_is_refused(tmp_path, history):
    path = tmp_path / "run.json"
    head = {"format": files.FORMAT, "version": files.VERSION, "kind": "checkpoint", "payload": {"history": history}}
    path.write_text(files._document(head))
    with pytest.raises(ValueError, match=r"run\.json: its part 'history'"):
        ag.load(path)


def test_a_history_with_infinite_losses_is_kept(tmp_path):
    path = tmp_path / "run.json"
    w = ag.Parameter(0.0)
    model = lambda x: w * x + 0.5  # noqa: E731

    def loss(p, t):
        return losses.squared_error(p, t) if t else ag.where(ag.greater(p, 9.0), p, math.inf) * 1.0

    first = ag.fit(model, [1.0], [0.0], loss=loss, parameters=[w], epochs=2, seed=0, checkpoint=path)
    again = ag.fit(model, [1.0], [0.0], loss=loss, parameters=[w], epochs=2, seed=0, resume=path)
    assert first.loss == again.loss == [math.inf, math.inf]


# --- interruption -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="a signal that a process sends itself ends it there")
def test_ctrl_c_gives_the_history_so_far():
    model = small()
    X, y = moons(20)
    ag.fit(small(), X, y, optimizer=adam(), epochs=1, batch_size=5, seed=0, compiled=True)  # what is imported is there
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    start = time.perf_counter()
    try:
        history = ag.fit(model, X, y, optimizer=adam(), epochs=1_000_000, batch_size=5, seed=0, compiled=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - start < 20
    assert history.stopped == "interrupted"
    twin = small()
    again = ag.fit(twin, X, y, optimizer=adam(), epochs=len(history), batch_size=5, seed=0, compiled=True)
    assert again.rows == history.rows


def test_a_rule_by_its_name_in_any_case():
    for name, make in (
        ("Adam", optim.Adam),
        ("sgd", lambda p: optim.SGD(p, 0.01)),
        (None, lambda p: optim.Adam(p, 0.03)),
    ):
        named, made = small(), small()
        history = ag.fit(named, *moons(10), optimizer=name, epochs=2, seed=0)
        assert history == ag.fit(made, *moons(10), optimizer=make, epochs=2, seed=0)
        assert state(named) == state(made)


def test_a_checkpoint_of_earlier_versions_is_resumed(tmp_path):
    """Its transformations have the names of then, in the settings and in the state of the optimizer."""
    path, (X, y) = tmp_path / "run.json", moons(10)
    rule = lambda p: optim.AdamW(p, 0.05, clip_norm=1.0)  # noqa: E731
    full = ag.fit(small(), X, y, optimizer=rule, epochs=4, seed=0)
    ag.fit(small(), X, y, optimizer=rule, epochs=2, seed=0, checkpoint=path)
    text = path.read_text()
    for old, new in optim.transformations.RENAMED.items():
        text = text.replace(new, old)
    assert "Moments(" in text
    assert '"AddDecay"' in text
    path.write_text(files._document({k: x for k, x in json.loads(text).items() if k != "checksum"}))
    assert ag.fit(small(), X, y, optimizer=rule, epochs=4, resume=path) == full
    with pytest.raises(ValueError, match="is of another training: its rule was"):
        ag.fit(small(), X, y, optimizer=optim.Adam, epochs=4, resume=path)


def test_what_no_checkpoint_can_hold_is_refused_before_the_first_step(tmp_path):
    class Keeping:
        def __init__(self, kept):
            self.kept = kept

        def init(self, n):
            return {"kept": self.kept}

        def update(self, g, state, w):
            return g, state

    for kept, settings, words in (
        (1, {"seed": 10**50}, "51 digits"),
        (object(), {}, "kept is object"),
        (math.nan, {}, "kept is nan"),
    ):
        model = small()
        before = state(model)
        with pytest.raises((TypeError, ValueError), match=words):
            ag.fit(model, *moons(4), optimizer=lambda p, kept=kept: optim.Optimizer(p, 0.1, Keeping(kept)), epochs=1,
                   checkpoint=tmp_path / "x.json", **settings)  # fmt: skip
        assert state(model) == before
        assert not list(tmp_path.iterdir())


def test_a_user_defined_loss_says_what_its_targets_are():
    def logistic(score, label):
        return ag.softplus(-score * label)

    model = ag.MLP(1, [1], init=0.0)
    model.parameters()[0].data = 0.1  # a score of 0.1 is below 0.5, but positive
    still = optim.SGD(model.parameters(), 0.0)
    arguments = {"loss": logistic, "optimizer": still, "metrics": "accuracy", "epochs": 1}
    assert ag.fit(model, [[1.0]], [1], **arguments).metrics["accuracy"] == [0.0]
    logistic.targets = losses.SIGNS
    assert ag.fit(model, [[1.0]], [1], **arguments).metrics["accuracy"] == [1.0]
    logistic.targets = losses.LOGITS
    assert ag.fit(model, [[1.0]], [1], **arguments).metrics["accuracy"] == [1.0]
    logistic.targets = "signs"
    with pytest.raises(
        TypeError, match=r"fit: loss\.targets must be a Targets such as ag\.losses\.SIGNS, got str 'signs'"
    ):
        ag.fit(model, [[1.0]], [1], **arguments)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize(("x", "rate"), [(1e200, 1e300), (1e308, 1.0), (1e308, 1e300)])
def test_a_perceptron_that_overflows_is_refused_and_not_called_separated(x, rate, batch):
    X, y = [[x, -x], [-x, x], [x, x], [1.0, -1.0]], [1, 1, -1, -1]
    unit = ag.Perceptron(2)
    with pytest.raises(ValueError, match=r"Perceptron.*overflow.*scale the examples"):
        unit.fit(X, y, rate, batch=batch, seed=0)
    assert all(math.isfinite(p.item()) for p in unit.parameters())


def test_interrupted_anywhere_the_state_is_whole(tmp_path):
    """KeyboardInterrupt at many points of fit: a History comes back, weights and rule are those after a whole step."""
    X, y = [[0.5, -1.0], [1.0, 2.0]], [1.0, -1.0]
    states = []

    class Noted(optim.Adam):
        __slots__ = ()

        def step(self):
            super().step()
            states.append(([p.item() for p in self.params], self.state_dict()))

    def run(countdown):
        model = ag.MLP(2, [1], seed=0)
        optimizer = (Noted if countdown is None else optim.Adam)(model.parameters(), 0.1)
        history = None

        def tracer(frame, event, arg):
            nonlocal countdown
            if "autograd_lite" not in frame.f_code.co_filename:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode" and inside(frame):
                countdown -= 1
                if not countdown:
                    raise KeyboardInterrupt
            return tracer

        outside = sys.gettrace()
        if countdown is not None:
            sys.settrace(tracer)
        try:
            history = ag.fit(model, X, y, optimizer=optimizer, epochs=2, batch_size=1, seed=0, patience=5,
                             checkpoint=tmp_path / "run.json")  # fmt: skip
        finally:
            sys.settrace(outside)
        return history, ([p.item() for p in optimizer.params], optimizer.state_dict()), countdown

    def inside(frame):  # after fit has begun to train: before, nothing has changed and the interrupt goes through
        while frame is not None:
            if frame.f_code.co_name in ("_train", "finish") and "training" in frame.f_code.co_filename:
                return True
            frame = frame.f_back
        return False

    model = ag.MLP(2, [1], seed=0)
    fresh = optim.Adam(model.parameters(), 0.1)
    states.append(([p.item() for p in fresh.params], fresh.state_dict()))
    full = run(None)[0]
    allowed = [{**s[1], "rule": "Adam"} for s in states]
    weights = [s[0] for s in states]
    interrupted, point, found = 0, 7, set()
    while True:
        history, (numbers, rule), left = run(point)
        assert isinstance(history, ag.History)
        assert full.rows[: len(history)] == history.rows
        assert rule in allowed
        step = allowed.index(rule)
        best = history.best_epoch
        assert numbers in (weights[step], weights[2 * best])  # or the best epoch's, which are restored at the end
        found.add(step)
        if left > 0:
            break
        interrupted += history.stopped == "interrupted"
        point = int(point * 1.11) + 13
    assert interrupted > 20
    assert found == {0, 1, 2, 3, 4}


# --- history, progress ----------------------------------------------------------------------------------------------


def test_an_unknown_column_lists_the_known():
    history = ag.fit(ag.MLP(1, [1], seed=0), *LINE, epochs=1)
    with pytest.raises(KeyError, match=r"no column 'lss'; there are epoch, loss, largest_loss"):
        history["lss"]


def test_history_as_a_frame():
    pytest.importorskip("pandas", reason="a DataFrame needs pandas, which is optional")
    history = ag.fit(small(), *moons(20), epochs=5, validation=0.25, metrics="accuracy", seed=0)
    frame = history.to_frame()
    assert frame.index.tolist() == [1, 2, 3, 4, 5]
    assert frame["loss"].tolist() == history.loss == history["loss"]
    assert "gradient_norms.layers[0]" in frame.columns
    assert "metrics.validation_accuracy" in frame.columns


@pytest.mark.parametrize("model", [ag.MLP(1, [2, 1], seed=0), ag.Network([("x", "h"), ("h", "out")], seed=0)])
def test_a_trace_has_no_delta_before_a_backward_pass(model):
    trace = model.trace([1.0])
    assert "delta" not in repr(trace)
    with pytest.raises(RuntimeError, match=r"delta: no backward pass has reached this trace yet"):
        trace.delta  # noqa: B018
    (trace.output * 0.0).backward()
    assert "delta" in repr(trace)
    assert trace.delta


def test_history_tables_and_pictures():
    matplotlib = pytest.importorskip("matplotlib", reason="pictures of curves are in the extra `viz`")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    history = ag.fit(small(), *moons(20), epochs=5, validation=0.25, metrics="accuracy", seed=0)
    text = str(history)
    assert "5 epochs, ended by: the last epoch" in text
    assert "validation loss" in text
    axes = history.plot(log=True)
    assert [line.get_label() for line in axes.lines[:2]] == ["training", "validation"]
    assert list(axes.lines[0].get_ydata()) == history.loss
    assert axes.get_yscale() == "log"
    assert axes.lines[2].get_label() == f"best, epoch {history.best_epoch}"
    plt.close("all")
    with pytest.raises(ValueError, match="there is no loss to draw"):
        ag.History().plot()
    assert repr(history).startswith("History(5 epochs, loss ")
    assert all(type(x) is float for x in history.loss)


def test_the_bar_is_on_when_asked_and_off_when_there_is_no_terminal(capsys):
    model = small()
    ag.fit(model, *moons(10), epochs=2, metrics="accuracy", seed=0, progress=True)
    shown = capsys.readouterr().err
    assert "loss=" in shown
    assert "accuracy=" in shown
    assert "lr=0.03" in shown
    assert "2/2" in shown
    ag.fit(model, *moons(10), epochs=2, seed=0)
    ag.fit(model, *moons(10), epochs=2, seed=0, progress=False)
    assert capsys.readouterr() == ("", "")


# --- the perceptron --------------------------------------------------------------------------------------------------


def test_perceptron_rule(golden):
    case = golden["perceptron"]
    X, y = zip(*case["points"], strict=True)
    unit = ag.Perceptron(2)
    for w, x in zip(unit.w, case["w"], strict=True):
        w.data = x
    unit.b.data = case["b"]
    assert unit.misclassified(X, y) == case["misclassified"]
    error = unit.error(X, y)
    assert error.item() == pytest.approx(case["error"])
    assert ag.gradients(error, unit.parameters()) == pytest.approx([*case["grad_w"], case["grad_b"]])
    unit.fit(X, y, lr=case["eta"], batch=True, max_epochs=1000)
    unit2 = ag.Perceptron(2)
    for w, x in zip(unit2.w, case["w"], strict=True):
        w.data = x
    unit2.b.data = case["b"]
    with pytest.warns(UserWarning, match="still misclassified"):
        unit2.fit(X, y, lr=case["eta"], batch=True, max_epochs=1)
    assert [w.item() for w in unit2.w] == pytest.approx(case["new_w"])
    assert unit2.b.item() == pytest.approx(case["new_b"])


@pytest.mark.parametrize("batch", [False, True])
def test_perceptron_converges_on_separable_data(batch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    X = X[abs(X @ [1.0, -2.0, 0.5] + 0.3) > 0.2]
    y = np.sign(X @ [1.0, -2.0, 0.5] + 0.3)
    unit = ag.Perceptron(3)
    history = unit.fit(X, y, batch=batch, seed=1)
    assert history.converged
    assert history.stopped == "every example is classified"
    assert unit.misclassified(X, y) == []
    assert history.rows[-1] == {"loss": 0.0, "misclassified": 0, "learning_rate": 1.0}
    assert len(history.rows) == 1 if batch else history.rows[0]["misclassified"] > 0
    assert unit.fit(X, y).rows == []  # nothing left to do
    twin = ag.Perceptron(3)
    assert twin.fit(X, y, batch=batch, seed=1).rows == history.rows


def test_perceptron_says_when_the_data_are_not_separable():
    X, y = [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], [-1, -1, 1, 1]
    unit = ag.Perceptron(2)
    with pytest.warns(UserWarning, match=r"of 4 examples are still misclassified after 50 epochs.*no hyperplane"):
        history = unit.fit(X, y, max_epochs=50, seed=0)
    assert not history.converged
    assert history.stopped == "not separated within 50 epochs"
    for X_, y_, words in (([[math.nan, 0.0]], [1], "row 0"), (X, [0, 1, 1, 1], "label 0 is 0"), (X, [1], "4 examples")):
        with pytest.raises(ValueError, match=words):
            unit.fit(X_, y_)
    with pytest.raises(ValueError, match="lr"):
        unit.fit(X, y, lr=0.0)


# --- networks as graphs ----------------------------------------------------------------------------------------------


def test_network_is_any_graph():
    net = ag.Network([("x", "h"), ("h", "y"), ("x", "y"), ("h", "u")], {"h": "tanh", "y": None, "u": "sigmoid"}, seed=0)
    assert (net.inputs, net.outputs) == (["x"], ["y", "u"])
    w = {edge: p.item() for edge, p in net.w.items()}
    out = net([0.5])
    h = math.tanh(w["x", "h"] * 0.5)
    assert out[0].item() == pytest.approx(w["h", "y"] * h + w["x", "y"] * 0.5)
    assert net.predict([[0.5], [1.0]]).shape == (2, 2)
    assert "u: z=" in repr(net.trace([0.5]))
    assert "layer 0: z=[" in repr(small().trace([0.5, 1.0]))
    chain = ag.Network([(i, i + 1) for i in range(3000)], "tanh", seed=0)
    chain.trace([1.0]).output.backward()
    copy = ag.Network(list(reversed([(1, 2), (2, 3), (1, 3)])), seed=0)  # edges in any order
    assert list(copy.trace([1.0]).z) == [2, 3]


def test_network_weights_begin_small_and_random():
    net = ag.Network([(i, j) for i in range(5) for j in range(5, 9)], init=ag.nn.uniform(0.01), seed=0)
    numbers = [p.item() for p in net.parameters()]
    assert all(abs(x) < 0.01 for x in numbers)
    assert len(set(numbers)) == 20
    assert numbers == state(ag.Network(net.edges, init=ag.nn.uniform(0.01), seed=0))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ag.Network([]), ValueError, "no edges"),
        (lambda: ag.Network([(1, 2), (2, 3), (3, 2)]), ValueError, "no outputs"),
        (lambda: ag.Network([(1, 2), (2, 3), (3, 2), (3, 4)]), ValueError, "form a cycle"),
        (lambda: ag.Network([(1, 1)]), ValueError, "form a cycle"),
        (lambda: ag.Network([(1, 2), (1, 2)]), ValueError, "(1, 2) comes twice"),
        (lambda: ag.Network([(1, 2, 3)]), TypeError, "edge 0"),
        (lambda: ag.Network([(1, 2.5)]), TypeError, "edge 0"),
        (lambda: ag.Network([(1, 2)], inputs=[2]), ValueError, "entered"),
        (lambda: ag.Network([(1, 3), (2, 3)], inputs=[1]), ValueError, "no edge enters 2"),
        (lambda: ag.Network([(1, 2)], outputs=[7]), ValueError, "no neuron 7"),
        (lambda: ag.Network([(1, 2)], {1: "tanh"}), ValueError, "input"),
        (lambda: ag.Network([(1, 2)], "tnah"), ValueError, "tnah"),
        (lambda: ag.Network([(1, 2)])([1.0, 2.0]), ValueError, "expected 1 inputs, got 2"),
    ],
)
def test_network_refusals(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


# --- ways that are seldom taken ------------------------------------------------------------------------------


def test_a_validation_of_one_part_is_refused():
    with pytest.raises(TypeError, match="a share or a pair"):
        ag.fit(ag.MLP(1, [1]), [1.0], [1.0], validation=([1.0],))


def test_ctrl_c_while_the_training_ends(monkeypatch):
    """A second interrupt, just as the best weights are put back: the history comes, and the weights are put back."""
    model, seen, calls = ag.MLP(1, [1], seed=0), [], []
    put_back = ag.training.loop.set_numbers

    def interrupted_once(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        put_back(*arguments)

    def watch(run):
        seen.append([p.item() for p in model.parameters()])
        if run.epoch == 3:
            monkeypatch.setattr(ag.training.loop, "set_numbers", interrupted_once)
            raise KeyboardInterrupt

    history = ag.fit(model, [[1.0], [2.0]], [1.0, 0.0], epochs=10, callbacks=[watch], patience=5, seed=0)
    assert (history.stopped, len(history), len(calls)) == ("interrupted", 3, 2)
    assert [p.item() for p in model.parameters()] == seen[history.best_epoch - 1]


def history_of(epochs, **settings):
    return ag.fit(ag.MLP(1, [1], seed=0), [[1.0], [2.0]], [1.0, 0.0], epochs=epochs, seed=0, **settings)


def test_history_without_pandas_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # as where it is not installed
    with pytest.raises(ImportError, match="pip install pandas"):
        history_of(2).to_frame()


def test_history_draws_on_given_axes_and_says_what_is_there():
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="plots need Matplotlib, extra `viz`")
    pyplot.switch_backend("Agg")
    axes = pyplot.figure().add_subplot()
    history = history_of(3, validation=([[3.0]], [1.0]))
    assert history.plot(axes, log=True) is axes
    assert axes.get_yscale() == "log"
    assert [line.get_label() for line in axes.lines[:2]] == ["training", "validation"]
    assert axes.lines[0].get_ydata().tolist() == history.loss
    pyplot.close("all")
    assert len(history_of(1).plot().lines) == 1
    pyplot.close("all")
    assert history_of(0).summary() == "no epoch was completed (the last epoch)"
    assert ag.History().summary() == "no epoch yet"
    assert "validation loss" not in history_of(2).summary()
    assert sum("validation loss" in line for line in history.summary().splitlines()) == 1


# --- defaults, divergence, the interval of checkpoints, and how a history shows itself -----------------------------


@pytest.mark.parametrize("seed", range(3))
def test_moons_are_learned_in_twenty_epochs(seed):
    X, y = moons(100)
    history = ag.fit(ag.MLP(2, [16, 16, 1], seed=seed), X, y, loss="hinge", epochs=20, seed=seed, metrics="accuracy")
    assert history.loss[-1] < 0.2
    assert history.metrics["accuracy"][-1] > 0.92


def test_the_rate_of_an_optimizer_that_fit_makes():
    X, y = moons(10)
    runs = []
    for settings in (
        {"lr": 0.05},
        {"optimizer": "Adam", "lr": 0.05},
        {"optimizer": optim.Adam, "lr": optim.Constant(0.05)},
        {"optimizer": lambda p: optim.Adam(p, 0.05)},
    ):
        runs.append(ag.fit(small(), X, y, epochs=2, seed=1, **settings))
        assert runs[-1].learning_rate == [0.05, 0.05]
    assert all(run == runs[0] for run in runs)
    assert ag.fit(small(), X, y, epochs=1, seed=1).learning_rate == [0.03]
    assert ag.fit(small(), X, y, epochs=1, seed=1, optimizer="sgd").learning_rate == [0.01]
    model = small()
    with pytest.raises(ValueError, match=r"fit: lr=0.1 is for an optimizer that fit makes; this one has lr=0.01"):
        ag.fit(model, X, y, optimizer=optim.SGD(model.parameters()), lr=0.1)
    with pytest.raises(ValueError, match="lr must be at least 0"):
        ag.fit(model, X, y, lr=-0.1)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_training_that_diverges_ends_early_and_says_why(compiled):
    w = ag.Parameter(1.0)
    settings = {"parameters": [w], "optimizer": "sgd", "epochs": 5000, "compiled": compiled, "loss": "mse"}
    slow = ag.fit(lambda x: w * x, [1.0] * 4, [0.0] * 4, lr=1.5, **settings)
    assert slow.stopped.startswith(
        "it diverged: the loss rose from 1 to 1.04858e+06 in epoch 11, with the learning rate"
    )
    assert "try a rate ten times smaller, clip_norm=1.0" in slow.stopped
    w.data = 1.0
    words = r"no parameter was changed.*It diverged in epoch 1, with the learning rate 1e\+100; it is the first"
    with pytest.raises(ValueError, match=words):
        ag.fit(lambda x: w * x, [1.0] * 4, [0.0] * 4, lr=1e100, batch_size=1, **settings)
    lax = lambda p: optim.SGD(p, 1.5, allow_nonfinite=True)  # noqa: E731
    w.data = 1.0
    assert len(ag.fit(lambda x: w * x, [1.0] * 4, [0.0] * 4, **settings | {"optimizer": lax, "epochs": 40})) == 40


def test_checkpoints_at_an_interval(tmp_path, monkeypatch):
    path, written = tmp_path / "run.json", []
    write = ag.files.write
    monkeypatch.setattr(ag.files, "write", lambda kind, payload, where: written.append(len(payload["history"])) or
                        write(kind, payload, where))  # fmt: skip
    X, y = moons(10)
    settings = {"seed": 1, "checkpoint": path, "checkpoint_every": 3}
    whole = ag.fit(small(), X, y, epochs=7, **settings)
    assert written == [3, 6, 7]

    def interrupt(run):
        if run.epoch == 5:
            raise KeyboardInterrupt

    written.clear()
    path.unlink()
    ag.fit(small(), X, y, epochs=7, callbacks=[interrupt], **settings)
    assert written == [3, 4], "the fifth epoch's callback was interrupted before its checkpoint"
    assert ag.fit(small(), X, y, epochs=7, resume=True, **settings) == whole
    for wrong in (0, 2.5, "often"):
        with pytest.raises((TypeError, ValueError), match="fit: checkpoint_every"):
            ag.fit(small(), X, y, **settings | {"checkpoint_every": wrong})


def test_a_history_shows_itself():
    X, y = moons(20)
    history = ag.fit(small(), X, y, epochs=30, seed=1, validation=0.2)
    text = str(history)
    assert text.startswith(history.summary())
    curve = history.curve(width=20, height=5).splitlines()
    assert curve[0] == "loss (*), validation loss (o)"
    assert len(curve) == 7
    assert {"*", "o"} <= set("".join(curve[1:]))
    assert curve[-1].split() == ["1", "30", "epoch"]
    picture = history._repr_html_()
    assert picture.startswith('<img src="data:image/svg+xml;base64,')
    assert "ended by: the last epoch" in picture
    empty = ag.History()
    assert (str(empty), empty._repr_html_()) == ("no epoch yet", "<pre>no epoch yet</pre>")
    with pytest.raises(ValueError, match="no epoch was completed"):
        empty.curve()
    empty.rows = [{"loss": x} for x in (math.nan, 0.0, math.inf, 0.0)]
    assert "loss" in empty.curve(4, 3)
    assert empty._repr_html_()


# --- L-BFGS -------------------------------------------------------------------------------------------------------


def smooth(n=40):
    X = np.random.default_rng(0).uniform(-1.0, 1.0, (n, 2))
    return X.tolist(), (np.sin(2.0 * X[:, 0]) * X[:, 1]).tolist()


@pytest.mark.parametrize("compiled", [False, True, "numpy"])
def test_lbfgs_in_fit_is_scipys_on_all_examples(compiled):
    from scipy.optimize import minimize

    X, y = smooth()
    model = ag.MLP(2, [5, 1], activation="tanh", seed=1)
    theta = np.array([p.item() for p in model.parameters()])
    optimizer = ag.optim.LBFGS(model.parameters(), max_iter=15)
    history = ag.fit(model, X, y, optimizer=optimizer, epochs=1, batch_size=8, compiled=compiled, seed=0,
                     penalty=lambda m: ag.losses.l2(m.weights(), 1e-3),
                     metrics={"worst": lambda p, t: np.max(abs(p - t))})  # fmt: skip
    program = ag.compile(
        lambda: ag.mean([(model(x) - t) ** 2 for x, t in zip(X, y, strict=True)]) + ag.losses.l2(model.weights(), 1e-3),
        params=model,
    )
    wanted = minimize(program.loss_and_grad, theta, jac=True, method="L-BFGS-B",
                      options={"maxiter": 15, "maxfun": 18, "ftol": 1e-9, "gtol": 1e-7})  # fmt: skip
    assert [p.item() for p in model.parameters()] == pytest.approx(wanted.x, abs=1e-6)
    assert history.loss == pytest.approx([wanted.fun], rel=1e-8)
    found = ag.mean([(model(x) - t) ** 2 for x, t in zip(X, y, strict=True)])
    worst = max(abs(model(x).item() - t) for x, t in zip(X, y, strict=True))
    assert history.metrics["worst"][-1] == pytest.approx(worst)
    assert history.rows[-1]["largest_loss"] == pytest.approx(worst**2)
    slope = ag.gradients(found + ag.losses.l2(model.weights(), 1e-3), model.parameters())
    assert [p.grad for p in model.parameters()] == pytest.approx(slope, abs=1e-10)
    assert (history.stopped, history.learning_rate) == ("the last epoch", [1.0])


@pytest.mark.parametrize("compiled", [False, "auto"])
def test_lbfgs_ends_in_words_when_there_is_nothing_to_gain(compiled):
    model = ag.MLP(1, [1], seed=0)
    history = ag.fit(model, [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], optimizer="L-BFGS", epochs=50, compiled=compiled,
                     validation=([[3.0]], [7.0]), seed=0)  # fmt: skip
    assert len(history) < 10
    assert history.stopped in (
        "no component of the gradient is larger than 1e-07", "the loss falls by less than 1e-09 of itself",
    )  # fmt: skip
    assert model.predict([[3.0]])[0] == pytest.approx(7.0, abs=1e-4)
    assert history.validation_loss[-1] < 1e-7


def test_lbfgs_leaves_frozen_parameters():
    model = ag.MLP(1, [1], seed=0)
    model.parameters()[1].frozen = True
    before = model.parameters()[1].item()
    for make in (ag.optim.LBFGS, lambda p: ag.optim.LBFGS(p, max_iter=3)):
        ag.fit(model, [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], optimizer=make, epochs=3, seed=0)
    assert model.parameters()[1].item() == before
    assert model.parameters()[0].item() == pytest.approx((3.0 - before + 2.0 * (5.0 - before)) / 5.0, abs=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_lbfgs_all_or_nothing(compiled):
    model = ag.MLP(1, [1], seed=0)
    before = model.state_dict()
    with pytest.raises(ValueError, match="finite"):
        ag.fit(model, [[1.0], [2.0]], [1.0, 2.0], loss=lambda p, t: ag.log(p - 1e3) + t, optimizer="lbfgs", epochs=2,
               compiled=compiled, seed=0)  # fmt: skip
    assert model.state_dict() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.1}, "L-BFGS takes no lr"),
        ({"schedule": lambda epoch: 0.1}, "L-BFGS takes no schedule"),
        ({"checkpoint": "here"}, "L-BFGS takes no checkpoint"),
    ],
)
def test_what_lbfgs_refuses(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        ag.fit(ag.MLP(1, [1], seed=0), [[1.0]], [1.0], optimizer="lbfgs", seed=0, **options)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="L-BFGS takes no batches"):
        ag.fit(ag.MLP(1, [1], seed=0), lambda: iter([([[1.0]], [1.0])]), optimizer="lbfgs", seed=0)
