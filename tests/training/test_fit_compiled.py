"""ag.fit(compiled=True) trains as ag.fit does: the same losses, metrics and parameters up to rounding."""

import math
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import stepping
from autograd_lite.folding.backends import why_not
from autograd_lite.training.compiled import CompiledStep
from tests.helpers.rules import EVERY_RULE

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


def test_a_backend_by_name():
    w = trained(False, "SGD")[1]
    assert np.abs(trained("numpy", "SGD")[1] - w).max() < 1e-9
    with pytest.raises(
        ValueError, match="fit: compiled: the backend must be one of 'auto', 'numpy', 'native', 'jax', got 'c'"
    ):
        trained("c", "SGD")


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


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2))
    return X, np.sin(X[:, 0])


def test_values_are_written_after_an_epoch_and_callbacks_see_them_and_may_change_them():
    X, y = data()
    found = []
    for compiled in (False, True):
        model = ag.MLP(2, [3, 1], activation="tanh", seed=2)
        params, seen = model.parameters(), []

        def callback(run, params=params, seen=seen):
            seen.append([p.data for p in params] + [p.grad for p in params])
            params[0].data = 0.25 * run.epoch  # what a callback changes counts

        adam = ag.optim.Adam(params, lr=lambda step: 0.05 / (1 + step))
        params[3].frozen = True
        ag.fit(model, X, y, optimizer=adam, epochs=4, batch_size=6, seed=1, compiled=compiled, progress=False,
               callbacks=[callback], validation=0.2)  # fmt: skip
        found.append((seen, [p.data for p in params], adam.state_dict()))
    (eager, w, a), (compiled, v, b) = found
    assert np.allclose(eager, compiled, rtol=1e-9, atol=1e-12)
    assert np.allclose(w, v, rtol=1e-9, atol=1e-12)
    assert a["steps"] == b["steps"]


@pytest.mark.parametrize(("options", "times"), [({}, 1), ({"callbacks": [lambda run: None]}, 3)])
def test_values_are_written_only_where_somebody_looks(options, times, monkeypatch):
    X, y = data()
    model = ag.MLP(2, [3, 1], activation="tanh", seed=2)
    written = []
    from autograd_lite.training import compiled

    real = compiled.set_numbers
    monkeypatch.setattr(compiled, "set_numbers", lambda xs, *rest: written.append(len(list(xs))) or real(xs, *rest))
    ag.fit(model, X, y, epochs=3, batch_size=2, seed=1, compiled=True, progress=False, **options)
    assert written.count(len(model.parameters())) == times


@pytest.mark.parametrize("after", range(1, 12))
def test_an_interrupt_leaves_the_parameters_after_a_whole_step(after):
    X, y = data()

    def trained(stop_after, compiled=True):
        model = ag.MLP(2, [3, 1], activation="tanh", seed=2)
        left, sgd = [stop_after], ag.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        real = type(sgd).advance

        class Stopping(ag.optim.SGD):
            def advance(self, w, g, states):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
                return real(self, w, g, states)

        stopping = Stopping(model.parameters(), lr=0.1, momentum=0.5)
        history = ag.fit(model, X, y, optimizer=stopping, epochs=3, batch_size=6, seed=1, compiled=compiled,
                         progress=False)  # fmt: skip
        return [p.data for p in model.parameters()], [p.grad for p in model.parameters()], stopping.steps, len(history)

    (w, g, steps, epochs), (v, h, others, also) = trained(after), trained(after, compiled=False)
    assert np.allclose(w, v, rtol=1e-9, atol=1e-12)
    assert (steps, epochs) == (others, also) == (after, after // 4)
    assert np.isfinite(g).all()
    assert np.isfinite(h).all()


def test_a_step_that_is_refused_keeps_the_steps_before_it():
    X, y = data()
    found = []
    for compiled in (False, True):
        model = ag.MLP(2, [3, 1], activation="relu", seed=2)
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"gradient|finite"):
            ag.fit(model, X * 1e100, y * 1e200, optimizer=ag.optim.SGD(model.parameters(), lr=1e30), epochs=5,
                   batch_size=6, seed=1, compiled=compiled, progress=False)  # fmt: skip
        found.append([p.data for p in model.parameters()])
    assert np.allclose(*found, rtol=1e-9)


def test_a_step_of_ones_own_is_taken():
    class Signs(ag.optim.SGD):
        """Moves each parameter by the learning rate, against the sign of its gradient."""

        def step(self):
            for p in self.params:
                p.data = p.data - self.lr * math.copysign(1.0, p.grad)

    w = ag.Parameter(1.0)
    ag.fit(lambda x: w * x, [1.0, 2.0], [0.0, 0.0], optimizer=Signs([w], 0.25), epochs=2, batch_size=2, compiled=True)
    assert w.data == 0.5


def test_a_batch_that_branches_leaves_all_as_after_the_last_whole_step():
    X = [0.1 * i for i in range(12)]
    found = []
    for compiled, n in ((True, 12), (False, 8)):
        w = ag.Parameter(0.5)
        w.grad = 7.0
        sgd = ag.optim.SGD([w], lr=0.1, momentum=0.9)

        def fit(w=w, sgd=sgd, compiled=compiled, n=n):
            return ag.fit(lambda x: w * x if x < 0.85 else -w * x, X[:n], [2.0 * x for x in X[:n]], optimizer=sgd,
                          epochs=1, batch_size=4, shuffle=False, compiled=compiled)  # fmt: skip

        if compiled:
            with pytest.raises(RuntimeError, match="compile: a branch depends on an argument"):
                fit()
        else:
            fit()
        found.append([w.data, w.grad, sgd.steps, *sgd.state_dict()["pieces"][0]["velocity"]])
    assert found[0] == pytest.approx(found[1])
    assert found[0][2] == 2


@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_of_ones_own_that_refuses_leaves_the_gradients(compiled):
    class Refusing(ag.optim.SGD):
        def step(self):
            raise ArithmeticError

    w = ag.Parameter(1.0)
    w.grad = 7.0
    with pytest.raises(ArithmeticError):
        ag.fit(lambda x: w * x, [1.0], [0.0], optimizer=Refusing([w], 0.25), epochs=1, compiled=compiled)
    assert (w.data, w.grad) == (1.0, 7.0)


# --- steps in native code ---------------------------------------------------------------------------------------

native = pytest.mark.skipif(bool(why_not("native")), reason=why_not("native"))

CHAINS = {
    **RULES,
    "slides": lambda p: ag.optim.Adam(p, lr=0.02, corrected=False),
    "plain momentum": lambda p: ag.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=0.01),
    "each decay": lambda p: ag.optim.Adagrad(p, lr=0.05, weight_decay=[0.01 * k for k in range(len(p))]),
    "clipped": lambda p: ag.optim.RMSprop(p, lr=0.01, momentum=0.5, clip_value=0.2, clip_norm=0.3),
    "signs": lambda p: ag.optim.Optimizer(p, 0.02, ag.optim.AddSign(0.01), ag.optim.ScaleByAdam(eps=0.0)),
    "schedule": lambda p: ag.optim.SGD(p, lr=lambda step: 0.1 / (1 + step)),
}


@native
@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"batch_size": None, "shuffle": False}, {"penalty": 1e-2},
                                     {"frozen": [0, 5], "metrics": ["accuracy"]}], ids=str)  # fmt: skip
@pytest.mark.parametrize("chain", CHAINS)
def test_steps_in_one_call_are_those_taken_one_by_one(chain, options, monkeypatch):
    """To the last bit, apart from the norm that gradients are clipped by, which is summed up in another order."""
    options = {"batch_size": 8, "validation": 0.2, **options}
    strength, frozen = options.pop("penalty", 0.0), options.pop("frozen", [])
    rng = np.random.default_rng(0)
    X = rng.normal(size=(37, 3))
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    found = []
    for many in (True, False):
        if not many:
            monkeypatch.setattr(stepping, "stepper", lambda *args: None)
        model = ag.MLP(3, [5, 3], activation="tanh", seed=1)
        for k in frozen:
            model.parameters()[k].frozen = True
        optimizer = CHAINS[chain](model.parameters())
        penalty = (lambda model: ag.losses.l2(model.weights(), strength)) if strength else None
        history = ag.fit(model, X, y, loss="cross_entropy", optimizer=optimizer, epochs=4, seed=3, progress=False,
                         penalty=penalty, compiled="native", **options)  # fmt: skip
        assert history.backend == "native"
        found.append((history, [p.data for p in model.parameters()], [p.grad for p in model.parameters()],
                      optimizer.state_dict()))  # fmt: skip
    (history, w, g, state), (other, v, h, its) = found
    if chain == "clipped":
        assert w == pytest.approx(v, rel=1e-13)
        return
    assert (w, g, state) == (v, h, its)
    for one, two in zip(history.rows, other.rows, strict=True):
        assert one["gradient_norms"] == pytest.approx(two["gradient_norms"], rel=1e-14)
        assert {**one, "gradient_norms": 0} == {**two, "gradient_norms": 0}


@native
def test_an_epoch_is_one_call(monkeypatch):
    calls, real = [], CompiledStep.many
    monkeypatch.setattr(CompiledStep, "many", lambda self, run, *rest: calls.append(run.at) or real(self, run, *rest))
    monkeypatch.setattr(CompiledStep, "one", lambda *args: pytest.fail("a step in Python"))
    X, y = data()
    model = ag.MLP(2, [3, 1], activation="tanh", seed=2)
    ag.fit(model, X, y, epochs=5, batch_size=4, seed=1, compiled="native", progress=False)
    assert calls == [0] * 5


@native
def test_a_step_that_is_not_finite_is_refused_and_those_before_it_were_taken():
    X = [[1.0]] * 20 + [[1e200]] + [[1.0]] * 20
    found = []
    for compiled in ("native", False):
        model = ag.MLP(1, [1], init=0.5)
        sgd = ag.optim.SGD(model.parameters(), lr=0.01, momentum=0.5)
        with pytest.raises(ValueError, match=r"SGD\.step: the gradient of params\[0\]"):
            ag.fit(model, X, [0.0] * 20 + [1e200] + [0.0] * 20, optimizer=sgd, epochs=1, batch_size=1, shuffle=False,
                   compiled=compiled)  # fmt: skip
        found.append([sgd.steps, *(p.data for p in model.parameters()), *(p.grad for p in model.parameters())])
    assert found[0] == pytest.approx(found[1])
    assert found[0][0] == 20


@native
@pytest.mark.parametrize("n", [1, 2, 3, 8, 64, 65, 1797, 5000])
def test_the_order_of_an_epoch_is_that_of_python(n):
    from autograd_lite.data import epoch_order

    found = CompiledStep.order(SimpleNamespace(backend="native"), n, 7, 3, True)
    assert list(found) == epoch_order(n, 7, 3, True)


# --- compiled="auto" --------------------------------------------------------------------------------------------


def auto(model=None, **options):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 10))
    model = model or ag.MLP(10, [8, 1], activation="tanh", seed=1)
    history = ag.fit(model, X, X[:, 0], seed=0, progress=False, **{"compiled": "auto", "epochs": 20} | options)
    return history, model


def test_auto_is_a_program_where_it_pays_and_is_the_same():
    found = {}
    for epochs in (20, 1):
        history, model = auto(epochs=epochs)
        other, twin = auto(epochs=epochs, compiled=False)
        found[epochs] = history.backend
        assert np.allclose(history.loss, other.loss, rtol=1e-10)
        assert np.allclose([p.data for p in model.parameters()], [p.data for p in twin.parameters()], rtol=1e-9)
        assert other.backend == "eager"
    assert found[1] == "eager"
    assert found[20] == ("numpy" if why_not("native") else "native")


def branching(w):
    return lambda x: w[0] * x[0] if w[1] > 0.0 else w[0] * x[1]


def drawing(w):
    return lambda x: w[0] * x[0] * random.random()


def counting(w):
    calls = []
    return lambda x: calls.append(x) or w[0] * x[0] / len(calls)


def reading(w):
    return lambda x: w[0] * x[0] + w[1].data


UNCOMPILED = [
    (branching, "it takes branches that depend on its numbers"), (drawing, "it does not do the same in each call"),
    (counting, "it does not do the same in each call"), (reading, "it cannot be traced"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "reason"), UNCOMPILED)
def test_auto_leaves_models_uncompiled_that_are_not_the_same_each_time_and_says_why(make, reason):
    w = [ag.Parameter(0.5), ag.Parameter(0.25)]
    model = make(w)
    with pytest.warns(UserWarning, match=f"fit: the model is trained uncompiled, since {reason}") as warned:
        history, _ = auto(lambda x: sum([model(x)] * 3) + ag.dot([0.0] * 10, x) + ag.sum([0.0 * w[1]] * 100),
                          parameters=w, epochs=20)  # fmt: skip
    assert history.backend == "eager"
    assert [Path(x.filename).name for x in warned] == ["test_fit_compiled.py"]


def test_auto_inside_detect_anomaly_is_uncompiled():
    with ag.detect_anomaly():
        assert auto()[0].backend == "eager"


@pytest.mark.parametrize("first", [False, "numpy", "auto"])
def test_a_training_goes_on_with_the_backend_that_is_recorded(first, tmp_path):
    path = tmp_path / "training.json"
    history, _ = auto(compiled=first, epochs=20, checkpoint=path)
    resumed, model = auto(compiled="auto", epochs=22, checkpoint=path, resume=True)
    assert (resumed.backend, resumed.threads) == (history.backend, history.threads)
    whole, twin = auto(compiled=first, epochs=22)
    assert resumed.rows == whole.rows
    assert [p.data for p in model.parameters()] == [p.data for p in twin.parameters()]
    other = "numpy" if first is False else False
    with pytest.raises(ValueError, match=f"of another training: its backend was '{history.backend}'"):
        auto(compiled=other, epochs=23, checkpoint=path, resume=True)


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_every_rule_trains_compiled_as_uncompiled(rule):
    """Also those whose step the native backend does not have, variants of those that it has, and groups."""
    runs = []
    for compiled in (False, True):
        model = ag.MLP(2, [3, 1], activation="tanh", seed=1)
        X, y = [[0.1 * i, 0.3 - 0.05 * i] for i in range(7)], [0.1 * i - 0.4 for i in range(7)]
        history = ag.fit(model, X, y, optimizer=EVERY_RULE[rule], epochs=4, batch_size=3, seed=0, compiled=compiled)
        runs.append([history.loss, list(model.state_dict().values())])
    np.testing.assert_allclose(runs[1][0], runs[0][0], rtol=1e-11)
    np.testing.assert_allclose(runs[1][1], runs[0][1], rtol=1e-10, atol=1e-12)
