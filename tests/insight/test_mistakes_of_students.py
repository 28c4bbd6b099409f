"""Mistakes that students make, each named with its remedy; and healthy programs, none of which is accused.

From course forums and issue threads of peers: gradients not set to 0, rates, labels, scales, initialisation, numbers
that leave the graph. A mistake is a small program; it gives what names it, a Diagnosis, a warning or an error.
"""

import random
import warnings

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.insight.findings import Diagnosis
from autograd_lite.losses import LOSSES

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 2))
Y = X[:, 0] * X[:, 1]
LABELS = (Y > 0).astype(float)
SIGNS = 2.0 * LABELS - 1.0
CLASSES = (X[:, 0] > 0).astype(float) + (X[:, 1] > 0)


def mlp(*sizes, seed=0, **options):
    return ag.MLP(2, [*sizes], seed=seed, **options)


# --- in a loop of one's own


def forgotten_zero_grad():
    w, x = ag.Parameter(2.0), ag.Value(1.0)
    loss = (w * x) ** 2
    for _ in range(3):
        loss.backward()
    return ag.diagnose(loss)


def forgotten_zero_grad_in_a_loop():
    model = mlp(4, 1, activation="tanh")
    optimizer = ag.optim.SGD(model.parameters(), lr=0.1)
    for x, y in zip(X[:3], Y[:3], strict=True):
        loss = (model(x) - y) ** 2
        loss.backward()
        found = ag.diagnose(loss, model)
        optimizer.step()
    return found


def data_in_place_of_the_parameter():
    w, b = ag.Parameter(1.0, name="w"), ag.Parameter(0.5, name="b")
    return ag.diagnose((w.data * 3.0 + b - 1.0) ** 2, [w, b])


def detached():
    w = ag.Parameter(1.0, name="w")
    return ag.diagnose((w.detach() * ag.Value(3.0) - 1.0) ** 2, [w])


def rounded_to_a_label():
    w = ag.Parameter(0.3)
    return ag.diagnose((ag.greater(ag.sigmoid(w * 2.0), 0.5) - 0.0) ** 2)


def loss_inside_no_grad():
    w = ag.Parameter(1.0, name="w")
    with ag.no_grad():
        loss = (w * 3.0 - 1.0) ** 2
    return ag.diagnose(loss, [w])


def logarithm_of_a_softmax_that_is_sure():
    z = [ag.Parameter(x) for x in (0.0, 800.0)]
    return ag.diagnose(-ag.log(ag.softmax(z)[0]))


def softmax_by_hand_that_overflows():
    z = [ag.Parameter(x) for x in (10.0, 800.0)]
    e = [ag.exp(x) for x in z]
    return ag.diagnose(-ag.log(e[0] / (e[0] + e[1])))


def distance_at_0():
    a = ag.Parameter(1.0)
    return ag.diagnose(ag.sqrt((a - 1.0) ** 2) * 1.0)


def division_by_a_spread_of_0():
    a = [ag.Parameter(2.0), ag.Parameter(2.0)]
    mean = ag.mean(a)
    return ag.diagnose((a[0] - mean) / ag.mean([(x - mean) ** 2 for x in a]))


def relu_pushed_off():
    w, b = ag.Parameter(0.5), ag.Parameter(-100.0)
    return ag.diagnose(ag.mean([(ag.relu(w * x + b) - 1.0) ** 2 for x in X[:20, 0]]))


def weights_of_0():
    model = mlp(4, 1, activation="tanh", init=0.0)
    return ag.diagnose(ag.mean([(model(x) - y) ** 2 for x, y in zip(X[:9], Y, strict=False)]), model)


def equal_weights():
    model = mlp(4, 1, activation="tanh", init=0.5)
    return ag.diagnose(ag.mean([(model(x) - y) ** 2 for x, y in zip(X[:9], Y, strict=False)]), model)


def deep_sigmoids():
    model = mlp(*[3] * 25, 1, activation="sigmoid")
    return ag.diagnose((model(X[0]) - 1.0) ** 2, model)


def weights_too_large_over_many_steps():
    w, h = ag.Parameter(3.0), ag.Value(1.0)
    for _ in range(40):
        h = w * h
    return ag.diagnose(h)


# --- before training


def inputs_in_thousands():
    return ag.diagnose(mlp(8, 1), X * 1000.0 + 5000.0, Y)


def targets_in_thousands():
    return ag.diagnose(mlp(8, 1), X, Y * 1000.0 + 5000.0)


def labels_0_and_1_for_hinge():
    return ag.diagnose(mlp(8, 1), X, LABELS, loss="hinge")


def labels_0_and_1_for_hinge_in_fit():
    ag.fit(mlp(8, 1), X, LABELS, loss="hinge", progress=False)


def signs_for_cross_entropy():
    return ag.diagnose(mlp(8, 1), X, SIGNS, loss="bce_with_logits")


def classes_from_1():
    return ag.diagnose(mlp(8, 3), X, CLASSES + 1.0, loss="cross_entropy")


def classes_with_a_loss_of_numbers():
    return ag.diagnose(mlp(8, 3), X, CLASSES, loss=lambda p, t: ag.sum([(x - t) ** 2 for x in p]))


def one_score_for_three_classes():
    return ag.diagnose(mlp(8, 1), X, CLASSES, loss="cross_entropy")


def probabilities_into_logits():
    return ag.diagnose(mlp(8, 1, output_activation="sigmoid"), X, LABELS, loss="bce_with_logits")


def softmax_into_cross_entropy():
    model = mlp(8, 3)
    return ag.diagnose(Softmax(model), X, CLASSES, loss="cross_entropy")


class Softmax(ag.Module):
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, x):
        return ag.softmax(self.inner(x))


def scores_into_probabilities():
    return ag.diagnose(mlp(8, 1), X, LABELS, loss="bce")


def relu_at_the_output():
    return ag.diagnose(mlp(8, 1, output_activation="relu"), X, Y)


def sigmoid_at_the_output_of_a_regression():
    return ag.diagnose(mlp(8, 1, output_activation="sigmoid"), X, Y + 3.0)


def sigmoid_before_hinge():
    return ag.diagnose(mlp(8, 1, output_activation="sigmoid"), X, SIGNS, loss="hinge")


def no_activation():
    return ag.diagnose(mlp(8, 8, 1, activation=None), X, Y)


def a_layer_that_is_off():
    model = mlp(8, 1)
    for neuron in model.layers[0].neurons:
        neuron.b.data = -50.0
    return ag.diagnose(model, X, Y)


def a_layer_that_is_saturated():
    return ag.diagnose(
        mlp(8, 1, activation="tanh", init=lambda n_in, n_out, rng: rng.choice([-1, 1]) * rng.uniform(4e3, 9e3)), X, Y
    )


def one_class_left():
    return ag.diagnose(mlp(8, 1), X[LABELS == 1], SIGNS[LABELS == 1], loss="hinge")


def rate_too_high():
    model = mlp(8, 1)
    return ag.diagnose(model, X, Y, optimizer=ag.optim.SGD(model.parameters(), lr=50.0))


def rate_too_high_for_adam():
    model = mlp(8, 1)
    return ag.diagnose(model, X, Y, optimizer=ag.optim.Adam(model.parameters(), lr=50.0))


def rate_too_high_in_fit():
    model = mlp(8, 1)
    ag.fit(model, X, Y, optimizer=ag.optim.SGD(model.parameters(), lr=50.0), epochs=20, progress=False)


def rate_that_diverges_slowly_in_fit():
    w = [ag.Parameter(0.1)]
    history = ag.fit(lambda x: w[0] * x, X[:, 0], Y, optimizer=ag.optim.SGD(w, lr=3.0), epochs=50, progress=False)
    return history.stopped


def rate_too_low():
    model = mlp(8, 1)
    return ag.diagnose(model, X, Y, optimizer=ag.optim.SGD(model.parameters(), lr=1e-12))


def optimizer_of_one_layer():
    model = mlp(8, 1)
    return ag.diagnose(model, X, Y, optimizer=ag.optim.Adam(model.layers[1].parameters()))


def optimizer_of_one_layer_in_fit():
    model = mlp(8, 1)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ag.fit(model, X, Y, optimizer=ag.optim.Adam(model.layers[1].parameters()), epochs=1, progress=False)
    return str(told[0].message)


def optimizer_of_another_model():
    model = mlp(8, 1)
    return ag.diagnose(model, X, Y, optimizer=ag.optim.Adam(mlp(8, 1).parameters()))


def all_frozen():
    model = mlp(8, 1)
    for p in model.parameters():
        p.frozen = True
    return ag.diagnose(model, X, Y)


def weights_as_floats():
    class Model(ag.Module):
        def __init__(self):
            self.w = ag.Parameter(0.5)

        def __call__(self, x):
            return ag.Value(self.w.data * x[0])

    return ag.diagnose(Model(), X, Y)


MISTAKES = {  # (program, the kind or a part of the message, words of the remedy)
    forgotten_zero_grad: ("gradients added up", "3 passes", "zero_grad"),
    forgotten_zero_grad_in_a_loop: ("gradients added up", "comes from passes before", "zero_grad"),
    data_in_place_of_the_parameter: ("unreachable", "w: no gradient reaches it", ".data"),
    detached: ("detached", "detached copy", "leave out the .detach()"),
    rounded_to_a_label: ("a step", "piecewise constant", "smooth stand-in"),
    loss_inside_no_grad: ("unreachable", "nothing leads there", "outside ag.no_grad()"),
    logarithm_of_a_softmax_that_is_sure: ("infinite value", "log of 0", "ag.log_softmax"),
    softmax_by_hand_that_overflows: ("infinite value", "overflow, exp of 800", "ag.logsumexp"),
    distance_at_0: ("infinite gradient", "the slope of sqrt at 0 is infinite", "ag.norm"),
    division_by_a_spread_of_0: ("NaN value", "0 / 0", "keep the divisor away from 0"),
    relu_pushed_off: ("dead relu", "it is off", "He initialisation"),
    weights_of_0: ("zero initialisation", "weights that are 0", "at random"),
    equal_weights: ("symmetric initialisation", "equal weights", "at random"),
    deep_sigmoids: ("vanishing chain", "local gradients", "fewer layers, relu or tanh"),
    weights_too_large_over_many_steps: ("exploding chain", "local gradients, each 4.38", "clip"),
    inputs_in_thousands: ("inputs not scaled", "and 1 more like it", "StandardScaler"),
    targets_in_thousands: ("targets not scaled", "mean of the targets", "(y - y.mean()) / y.std()"),
    labels_0_and_1_for_hinge: ("labels do not fit", "labels are -1 or 1", "2 * y - 1"),
    labels_0_and_1_for_hinge_in_fit: ("row", "labels are -1 or 1", "2 * y - 1"),
    signs_for_cross_entropy: ("labels do not fit", "targets are 0 or 1", "0 or 1"),
    classes_from_1: ("an example is refused", "label", "mend what the message names"),
    classes_with_a_loss_of_numbers: ("labels do not fit", "labels 0 to 2 for 3 outputs", "cross_entropy"),
    one_score_for_three_classes: ("an example is refused", "sequence", "mend what the message names"),
    probabilities_into_logits: ("probabilities into logits", "sigmoid", "output_activation=None"),
    softmax_into_cross_entropy: ("probabilities into logits", "softmax", "return the scores"),
    scores_into_probabilities: ("scores into probabilities", "is not a probability", "with_logits"),
    relu_at_the_output: ("output out of range", "relu gives numbers from 0", "output_activation=None"),
    sigmoid_at_the_output_of_a_regression: ("output out of range", "from 0 to 1", "output_activation=None"),
    sigmoid_before_hinge: ("output out of range", "scores of both signs", "output_activation=None"),
    no_activation: ("no activation", "one linear layer", "relu"),
    a_layer_that_is_off: ("dead layer", "8 of 8 relu units", "positive bias"),
    a_layer_that_is_saturated: ("saturated layer", "8 of 8 tanh units", "smaller"),
    one_class_left: ("one class", "every label is 1", "split"),
    rate_too_high: ("learning rate too high", "raises the loss from", "try lr=0.0"),
    rate_too_high_for_adam: ("learning rate too high", "raises the loss from", "try lr="),
    rate_too_high_in_fit: ("diverged", "learning rate 50", "ten times smaller"),
    rate_that_diverges_slowly_in_fit: ("diverged", "learning rate 3", "ten times smaller"),
    rate_too_low: ("learning rate too low", "changes the parameters by", "1,000 times"),
    optimizer_of_one_layer: ("not optimized", "9 of the model's 33 parameters", "model.parameters()"),
    optimizer_of_one_layer_in_fit: ("does not train", "24 of the model's 33 parameters", "freeze them"),
    optimizer_of_another_model: ("not optimized", "0 of the model's 33", "model.parameters()"),
    all_frozen: ("all frozen", "no step changes any", "p.frozen = False"),
    weights_as_floats: ("unreachable", "w: no gradient reaches it", "use the parameter itself"),
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda f: f.__name__)
def test_a_mistake_is_named_with_its_remedy(mistake):
    try:
        found = mistake()
    except ValueError as error:  # refused, or a training that diverged
        found = str(error)
    text = str(found)
    for words in MISTAKES[mistake]:
        assert words in text, text
    if isinstance(found, Diagnosis):
        assert MISTAKES[mistake][0] in found[0].kind


def test_there_are_forty_of_them():
    assert len(MISTAKES) >= 40


@pytest.mark.parametrize(
    ("mistake", "line"),
    [
        (relu_pushed_off, "ag.relu(w * x + b)"),
        (softmax_by_hand_that_overflows, "ag.exp(x) for x in z"),
        (rounded_to_a_label, "ag.greater(ag.sigmoid(w * 2.0), 0.5)"),
        (softmax_into_cross_entropy, "return ag.softmax(self.inner(x))"),
    ],
)
def test_a_mistake_is_named_with_its_line(mistake, line):
    with ag.record_source():
        found = mistake()
    assert any(finding.source is not None and line in finding.source.text for finding in found)


def test_diagnosing_a_model_changes_nothing():
    model = mlp(8, 1)
    optimizer = ag.optim.Adam(model.parameters(), lr=50.0)
    loss = (model(X[0]) - 1.0) ** 2
    loss.backward()
    before = [(p.data, p.grad) for p in model.parameters()], optimizer.state_dict()
    assert ag.diagnose(model, X, Y, optimizer=optimizer)
    assert ([(p.data, p.grad) for p in model.parameters()], optimizer.state_dict()) == before


# --- healthy programs


def healthy(part):
    """100 models with their data, and losses in the middle of their training; of these those of a part."""
    for i in range(20 * part, 20 * part + 20):
        rng = np.random.default_rng(i)
        n, d = int(rng.integers(20, 200)), int(rng.integers(1, 5))
        A = rng.normal(rng.uniform(-1.0, 1.0), rng.uniform(0.3, 2.0), size=(n, d))
        score = A @ rng.normal(size=d) + 0.1 * rng.normal(size=n)
        hidden = [int(rng.integers(4, 24)) for _ in range(rng.integers(0, 3))]
        kind = i % 5
        if kind == 0:
            y, loss, out, last = score, "squared_error", 1, None
        elif kind == 1:
            y, loss, out, last = np.where(score > np.median(score), 1.0, -1.0), "hinge", 1, None
        elif kind == 2:
            y, loss, out, last = (score > np.median(score)) * 1.0, "binary_cross_entropy_with_logits", 1, None
        elif kind == 3:
            y, loss, out, last = (score > np.median(score)) * 1.0, "binary_cross_entropy", 1, "sigmoid"
        else:
            y, loss, out, last = np.digitize(score, np.quantile(score, [0.33, 0.66])) * 1.0, "cross_entropy", 3, None
        options = {"output_activation": last} if last else {}
        activation = ["relu", "tanh", "sigmoid", "leaky_relu"][i % 4]
        yield i, ag.MLP(d, [*hidden, out], activation=activation, seed=i, **options), A, y, loss


@pytest.mark.parametrize("part", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 5))])
def test_a_healthy_program_is_not_accused(part):
    for i, model, A, y, loss in healthy(part):
        optimizer = (ag.optim.Adam if i % 2 else ag.optim.SGD)(model.parameters(), lr=0.02)
        assert not ag.diagnose(model, A, y, loss=loss, optimizer=optimizer), i
        random.seed(i)
        for _ in range(2):  # a loop of its own, over batches
            rows = random.sample(range(len(A)), 8)
            optimizer.zero_grad()
            total = ag.mean([LOSSES[loss](model(A[r]), y[r]) for r in rows])
            total.backward()
            found = ag.diagnose(total, model)
            assert not found or total.data == 0.0, (i, str(found))  # 0: every margin is met, and that is what is said
            optimizer.step()
        assert not {x.kind for x in ag.diagnose(total, model)} & {"gradients added up"}, i
        ag.fit(model, A, y, loss=loss, epochs=3, compiled=False, progress=False, seed=i)
        found = ag.diagnose(model, A, y, loss=loss, optimizer=optimizer)
        assert not found, (i, str(found))


@pytest.mark.parametrize("load", ["load_digits", "load_iris", "load_diabetes"])
def test_real_data_that_is_prepared_is_not_accused(load):
    datasets = pytest.importorskip("sklearn.datasets")
    A, y = getattr(datasets, load)(return_X_y=True)
    regression = load == "load_diabetes"
    y = (y - y.mean()) / y.std() if regression else y * 1.0
    model = ag.MLP(A.shape[1], [16, 1 if regression else len(set(y))], seed=0)
    loss = "squared_error" if regression else "cross_entropy"
    found = ag.diagnose(model, A / (16.0 if load == "load_digits" else 1.0), y, loss=loss)
    assert not found, str(found)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((mlp(1),), {}, TypeError, "a model is diagnosed with its data: ag.diagnose(model, X, y, loss=...)"),
        ((mlp(1), X, Y), {"loss": "hing"}, ValueError, "unknown loss 'hing'"),
        ((mlp(1), X, Y), {"optimizer": "sgd"}, TypeError, "optimizer must be an Optimizer, got str 'sgd'"),
        ((mlp(1), X, Y[:5]), {}, ValueError, "120 examples but 5 targets"),
        ((ag.Value(1.0), None, Y), {}, TypeError, "y and optimizer go with a model and X"),
        ((3.0, X, Y), {}, TypeError, "give a loss (a Value), or a model with X and y; got float 3.0"),
    ],
)
def test_what_diagnose_refuses(arguments, options, error, words):
    with pytest.raises(error) as caught:
        ag.diagnose(*arguments, **options)
    assert words in str(caught.value)
