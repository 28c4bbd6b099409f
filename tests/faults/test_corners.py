"""Corners that no other test comes to: small refusals, and ways that are seldom taken."""

import math
import sys

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import losses, optim


def without(monkeypatch, *names):
    """As if these packages were not installed."""
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


# --- networks and losses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ag.MLP(2, [2, 1]).predict(np.full((3, 2), "x", object)), TypeError, r"X\[0\]\[0\]: expected a real"),
        (lambda: ag.MLP(2, [1]).predict(np.array(["a", "b"])), TypeError, "rows of real numbers"),
        (lambda: ag.Network([(1, 2)], outputs=[]), ValueError, "outputs must be different neurons, at least one"),
        (lambda: ag.Perceptron(2).predict([[1.0, 2.0, 3.0]]), ValueError, "expected 2 inputs, X has 3 columns"),
        (lambda: losses.cross_entropy([], 0), ValueError, "there are no logits"),
        (lambda: ag.fit(ag.MLP(1, [1]), [1.0], [1.0], validation=([1.0],)), TypeError, "a share or a pair"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_no_activation_by_name_and_a_layer_by_itself():
    plain, linear = ag.Layer(2, 3, activation=None, seed=1), ag.Layer(2, 3, activation="linear", seed=1)
    X = [[0.5, -1.0], [2.0, 0.25]]
    assert plain.predict(X).tolist() == linear.predict(X).tolist()
    assert plain.predict(X)[1].tolist() == pytest.approx([z.item() for z in linear(X[1])])
    assert ag.MLP(2, [1], seed=1).predict(np.array(X, object)).tolist() == ag.MLP(2, [1], seed=1).predict(X).tolist()


def test_a_distribution_with_a_value_in_it_stays_live():
    t = ag.Value(0.25)
    logits = [ag.Value(0.5), ag.Value(-1.0), ag.Value(2.0)]
    loss = losses.cross_entropy(logits, [t, 0.0, 0.75])
    log_p = ag.log_softmax([0.5, -1.0, 2.0])
    assert loss.item() == pytest.approx(-0.25 * log_p[0] - 0.75 * log_p[2])
    assert ag.gradients(loss, t) == pytest.approx(-log_p[0])
    assert losses.cross_entropy([1.0, 2.0], np.array(1)) == pytest.approx(math.log1p(math.exp(-1.0)))


def test_a_module_among_the_attributes_and_in_a_list():
    class Two(ag.Module):
        def __init__(self):
            self.first, self.rest = ag.Neuron(2, seed=0), [ag.Neuron(1, seed=1)]

        def __call__(self, x):
            return self.rest[0]([self.first(x)])

    assert "first" in Two().summary()
    assert "rest[0]" in Two().summary()


# --- optimizers and training --------------------------------------------------------------------------------


class Named:
    """A piece whose state holds a word beside a vector and a count."""

    def start(self, n):
        return {"word": "begun", "sum": np.zeros(n), "count": 0}

    def update(self, g, state, w):
        return g, {"word": "going", "sum": state["sum"] + g, "count": state["count"] + 1}


def test_the_state_of_a_piece_of_ones_own_comes_back():
    w = ag.Parameter(1.0)
    optimizer = optim.Optimizer([w], 0.1, Named())
    w.grad = 2.0
    optimizer.step()
    twin = optim.Optimizer([ag.Parameter(1.0)], 0.1, Named())
    twin.load_state_dict(optimizer.state_dict())
    assert twin.state_dict() == optimizer.state_dict()
    assert twin.state_dict()["pieces"] == [{"piece": "Named", "word": "going", "sum": [2.0], "count": 1}]


def test_adamw_without_decay_is_adam():
    trained = []
    for rule in (optim.Adam, lambda p, lr: optim.AdamW(p, lr, weight_decay=0.0)):
        w = ag.Parameter(1.0)
        optimizer = rule([w], 0.1)
        for _ in range(5):
            optimizer.zero_grad()
            (w * w).backward()
            optimizer.step()
        trained.append(w.item())
    assert trained[0] == trained[1]


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


def test_ctrl_c_in_the_perceptron_rule(monkeypatch):
    unit = ag.Perceptron(1)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(unit, "step", interrupted, raising=False)
    history = unit.fit([[1.0], [2.0]], [1.0, -1.0], batch=True, seed=0)
    assert (history.stopped, len(history)) == ("interrupted", 0)


# --- history ------------------------------------------------------------------------------------------------


def history_of(epochs, **settings):
    return ag.fit(ag.MLP(1, [1], seed=0), [[1.0], [2.0]], [1.0, 0.0], epochs=epochs, seed=0, **settings)


def test_history_without_pandas_says_what_to_install(monkeypatch):
    without(monkeypatch, "pandas")
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


# --- optimizers, piece by piece -----------------------------------------------------------------------------


RULES = [optim.SGD, optim.Adagrad, optim.RMSprop, optim.Adam, optim.AdamW]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_what_every_rule_does_unless_told_otherwise(rule):
    """A gradient that is not finite is refused, a frozen parameter's does not count, and a new state can be loaded."""
    w, kept = ag.Parameter(1.0), ag.Parameter(2.0)
    kept.frozen = True
    optimizer = rule([w, kept], 0.1)
    fresh = optimizer.state_dict()
    kept.grad = math.nan
    w.grad = math.nan
    with pytest.raises(ValueError, match=r"gradient of params\[0\] is nan"):
        optimizer.step()
    assert (w.item(), optimizer.state_dict()) == (1.0, fresh)
    w.grad = 3.0
    optimizer.step()
    assert w.item() < 1.0
    assert kept.item() == 2.0
    optimizer.load_state_dict(fresh)
    assert optimizer.state_dict() == fresh
    for state in (-1, {"steps": -1}):
        with pytest.raises((TypeError, ValueError)):
            optimizer.load_state_dict({**fresh, **state} if isinstance(state, dict) else state)
    again = rule([ag.Parameter(1.0)], 0.1)
    assert repr(again) == repr(rule([ag.Parameter(7.0)], 0.1))


def test_the_settings_of_pieces():
    assert repr(optim.DivideByMeanSquare()) == "ScaleByRMS(alpha=0.99, eps=1e-08)"
    assert repr(optim.DivideByAllSquares()) == "ScaleByAdagrad(eps=1e-10)"
    assert repr(optim.Moments()) == "ScaleByAdam(betas=(0.9, 0.999), eps=1e-08, corrected=True)"
    assert repr(optim.Momentum(0.5)) == "Momentum(mu=0.5, nesterov=False)"
    for make in (
        optim.DivideByMeanSquare,
        optim.Momentum,
        lambda b: optim.Moments((b, 0.5)),
        lambda b: optim.Moments((0.5, b)),
    ):
        for wrong in (1.0, -0.1, 1.5, math.nan):
            with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
                make(wrong)
        make(0.0)
    for make in (optim.ClipNorm, optim.ClipValue):
        for wrong in (0.0, -1.0, math.inf):
            with pytest.raises(ValueError, match="must be"):
                make(wrong)


def test_signs_and_decay_are_added():
    g, w = np.array([1.0, 1.0, 1.0]), np.array([4.0, -4.0, 0.0])
    assert optim.AddSign(0.5).update(g, {}, w)[0].tolist() == [1.5, 0.5, 1.0]
    assert optim.AddDecay(0.5).update(g, {}, w)[0].tolist() == [3.0, -1.0, 1.0]
    assert optim.AddSign([0.5, 0.25, 1.0]).update(g, {}, w)[0].tolist() == [1.5, 0.75, 1.0]


def test_a_chain_of_ones_own_refuses_what_is_not_finite_too():
    w = ag.Parameter(1.0)
    optimizer = optim.Optimizer([w], 0.1)
    w.grad = math.inf
    with pytest.raises(ValueError, match=r"gradient of params\[0\] is inf"):
        optimizer.step()
    optim.Optimizer([w], 0.1, allow_nonfinite=True).step()
    assert w.item() == -math.inf


def test_a_piece_has_both_methods():
    w = ag.Parameter(1.0)
    for kept in ("start", "update"):
        piece = type("Half", (), {kept: getattr(Named, kept)})()
        with pytest.raises(TypeError, match=r"a gradient transformation has init\(n\) and update"):
            optim.Optimizer([w], 0.1, piece)


def test_clipping_a_gradient_with_zeros():
    clip = optim.ClipNorm(5.0)
    assert clip.update(np.array([0.0, -40.0]), {}, np.zeros(2))[0].tolist() == [0.0, -5.0]
    assert clip.update(np.zeros(2), {}, np.zeros(2))[0].tolist() == [0.0, 0.0]  # and no warning
    assert clip.update(np.array([3.0, -4.0]), {}, np.zeros(2))[0].tolist() == [3.0, -4.0]
    assert clip.update(np.array([math.inf, 1.0]), {}, np.zeros(2))[0].tolist() == [math.inf, 1.0]


# --- what goes wrong, in words --------------------------------------------------------------------------------


INF, NAN = math.inf, math.nan


def v(x):
    return ag.Value(x)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: v(NAN) * 2.0, "an operand is NaN"),
        (lambda: ag.log(v(0.0)), "log of 0"),
        (lambda: ag.log1p(v(-1.0)), "log1p of -1"),
        (lambda: ag.log(v(-2.0)), "log of the negative number -2"),
        (lambda: v(1.0) / 0.0, "division by 0"),
        (lambda: v(0.0) / 0.0, "0 / 0"),
        (lambda: v(0.0) * INF, "0 * inf"),
        (lambda: v(INF) - INF, "inf - inf"),
        (lambda: ag.sum([v(INF), -INF]), "inf - inf"),
        (lambda: v(0.0) ** -1.0, "0 ** -1"),
        (lambda: v(-8.0) ** 0.5, "the negative number -8 to the power of 0.5"),
        (lambda: ag.exp(v(1000.0)), "overflow, exp of 1000"),
        (lambda: v(1e200) * 1e200, "overflow, mul of 1e+200, 1e+200"),
        (lambda: ag.asin(v(2.0)), "asin is not defined at 2"),
        (lambda: ag.exp(v(INF)), "exp of inf is infinite"),
    ],
)
def test_why_a_result_is_not_finite(make, words):
    from autograd_lite.insight.remedies import of_value

    what, advice = of_value(make())
    assert words in what
    assert len(advice) > 10


@pytest.mark.parametrize(
    ("make", "slot", "adjoint", "words"),
    [
        (lambda: ag.asin(v(2.0)), 0, 1.0, "asin has no derivative at 2"),
        (lambda: ag.log(v(0.0)), 0, 1.0, "the slope of log at 0 is infinite (log of 0)"),
        (lambda: ag.sqrt(v(0.0)), 0, 1.0, "the slope of sqrt at 0 is infinite"),
        (lambda: ag.relu(v(-1.0)), 0, INF, "an infinite adjoint meets a local gradient of 0"),
        (lambda: v(1.0) * 1e200, 0, 1e200, "overflow of the product"),
        (lambda: v(1.0) * 2.0, 0, NAN, "not finite already"),
    ],
)
def test_why_an_adjoint_is_not_finite(make, slot, adjoint, words):
    from autograd_lite.insight.remedies import of_adjoint

    what, advice = of_adjoint(make(), slot, adjoint)
    assert words in what
    assert len(advice) > 10


# --- primitives of one's own ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("p q", "a", "1"), ValueError, "must be an identifier"),
        (("for", "a", "1"), ValueError, "must be an identifier"),
        ((3, "a", "1"), ValueError, "must be an identifier"),
        (("_p", "a", "1"), ValueError, "must be an identifier"),
        (("p", "a", "1", 3), TypeError, "symbol must be a string"),
        (("p", "1.0", "1"), ValueError, "forward has no operand"),
        (("p", "a +", "1"), ValueError, "is not a valid expression"),
        (("p", "nothing_known(a)", "1"), ValueError, "calls 'nothing_known'"),
        (("p", 3, "1"), TypeError, "forward must be a function or an expression"),
        (("p", lambda *a: 1.0, "1"), TypeError, "fixed number of positional arguments"),
        (
            ("p", max, "1"),
            TypeError,
            "forward has no signature to read its operands from, got builtin_function.*such as lambda a: max",
        ),
        (("p", "a * b", "b, c"), ValueError, "partials uses 'c', which is not an operand"),
        (("p", "a * b", "b"), ValueError, "1 derivatives for 2 operands"),
        (
            ("p", "a * b", lambda a: 1.0),
            ValueError,
            "partials takes 1 arguments; it gets 2 operands, and out if it takes 3",
        ),
        (("exp", "a", "1"), ValueError, "primitive of autograd_lite already"),
    ],
)
def test_primitives_that_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        ag.primitive(*arguments)


def test_a_primitive_whose_rule_gives_too_few_or_no_number():
    few = ag.primitive("corners_few", lambda a, b: a * b, lambda a, b: [b])
    with pytest.raises(ValueError, match="gave 1 derivatives for 2 operands"):
        few(v(1.0), 2.0)
    word = ag.primitive("corners_word", lambda a: "much", lambda a: 1.0)
    with pytest.raises(TypeError, match="the result of forward: expected a real number"):
        word(v(1.0))
    slope = ag.primitive("corners_slope", lambda a: a, lambda a: "steep")
    with pytest.raises(TypeError, match="a partial: expected a real number"):
        slope(v(1.0))


@pytest.mark.parametrize("xs", [v(1.0), "abc", b"abc", {1.0: 2.0}, 3.0, None])
def test_a_sequence_is_wanted(xs):
    for name in ("sum", "prod", "mean", "max", "norm", "logsumexp", "softmax", "log_softmax"):
        with pytest.raises(TypeError, match=f"{name}: takes one sequence"):
            getattr(ag, name)(xs)


def test_empty_sequences():
    assert (ag.sum([]), ag.prod([]), ag.dot([], []), ag.dot([], [], bias=3)) == (0.0, 1.0, 0.0, 3.0)
    for name in ("mean", "max", "min", "norm", "logsumexp", "softmax", "log_softmax"):
        with pytest.raises(ValueError, match=f"{name}: the sequence is empty"):
            getattr(ag, name)([])
