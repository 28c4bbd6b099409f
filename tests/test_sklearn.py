"""The scikit-learn estimators: scikit-learn's own checks, and what its users do with them."""

import importlib
import pickle
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is in the extra `sklearn`")

from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import autograd_lite as ag
from autograd_lite.sklearn import MLPClassifier, MLPRegressor, PerceptronClassifier

QUICK = {"hidden_layer_sizes": (8,), "learning_rate_init": 0.05, "random_state": 0}
EXPECTED = {  # scikit-learn expects the same of its own MLPs: mini-batches of repeated examples are other batches
    f"check_sample_weight_equivalence_on_{kind}_data": "sample_weight is not equivalent to repeating examples"
    for kind in ("dense", "sparse")
}
ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [MLPClassifier(**QUICK, max_iter=15), MLPRegressor(**QUICK, max_iter=15), PerceptronClassifier(max_iter=100)],
    expected_failed_checks=lambda estimator: EXPECTED if isinstance(estimator, (MLPClassifier, MLPRegressor)) else {},
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_defaults_are_in_the_signature():
    assert MLPClassifier().get_params()["hidden_layer_sizes"] == (16,)
    assert clone(MLPClassifier(alpha=3.0)).alpha == 3.0


@ignore_convergence
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "adagrad", "rmsprop"])
def test_every_solver_learns(solver):
    X, y = load_iris(return_X_y=True)
    rate = {"sgd": 0.05, "adagrad": 0.1}.get(solver, 0.02)
    model = MLPClassifier((6,), solver=solver, learning_rate_init=rate, max_iter=25, random_state=0)
    pipeline = make_pipeline(StandardScaler(), model).fit(X, y)
    assert pipeline.score(X, y) > 0.93
    probabilities = pipeline.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.log(probabilities), pipeline.predict_log_proba(X), atol=1e-9)


@ignore_convergence
def test_settings_reach_the_training():
    X, y = make_classification(60, 3, n_informative=3, n_redundant=0, random_state=0)
    slow = MLPClassifier((3,), learning_rate="invscaling", solver="sgd", max_iter=4, random_state=0).fit(X, y)
    rates = slow.history_.learning_rate
    assert rates[1] == pytest.approx(0.01 / 61**0.5)  # after 60 examples, as in scikit-learn
    adaptive = MLPClassifier((3,), learning_rate="adaptive", solver="sgd", tol=10.0, n_iter_no_change=1, max_iter=40,
                             learning_rate_init=1e-4, random_state=0).fit(X, y)  # fmt: skip
    assert adaptive.history_.learning_rate[0] == 1e-4
    early = MLPClassifier(**QUICK, early_stopping=True, n_iter_no_change=3, max_iter=100).fit(X, y)
    assert early.n_iter_ < 100
    assert early.history_.validation_loss
    assert early.loss_curve_ == early.history_.loss
    assert [c.shape for c in early.coefs_] == [(3, 8), (8, 1)]
    assert [b.shape for b in early.intercepts_] == [(8,), (1,)]
    weak, strong = (MLPClassifier(**{**QUICK, "alpha": a}, max_iter=30).fit(X, y) for a in (0.0, 30.0))
    assert sum((c**2).sum() for c in strong.coefs_) < 0.2 * sum((c**2).sum() for c in weak.coefs_)


def test_a_settled_loss_ends_training_and_a_limit_warns():
    X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
    line = MLPRegressor((), learning_rate_init=0.1, max_iter=1000, random_state=0).fit(X, y)
    assert line.n_iter_ < 1000
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        MLPRegressor((), max_iter=2, random_state=0).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="separable"):
        PerceptronClassifier(max_iter=5).fit([[0.0], [1.0], [2.0]], [0, 1, 0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MLPClassifier(solver="newton"), "solver must be one of sgd"),
        (lambda: MLPClassifier(learning_rate="fast"), "learning_rate"),
        (lambda: MLPClassifier(activation="tnah"), "tnah"),
        (lambda: MLPClassifier(alpha=-1.0), "alpha"),
        (lambda: MLPClassifier((0,)), "at least 1"),
        (lambda: MLPClassifier(batch_size=0), "batch_size"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(ValueError, match=words):
        make().fit([[0.0], [1.0]], [0, 1])


ESTIMATORS = [MLPClassifier(**QUICK, max_iter=3), MLPRegressor(**QUICK, max_iter=3), PerceptronClassifier(max_iter=9)]
BAD = {
    "alpha": -1.0, "learning_rate_init": -1.0, "power_t": -1.0, "tol": -1, "momentum": -0.5, "beta_1": 2, "beta_2": "b",
    "validation_fraction": 1.5, "epsilon": -1e-8, "n_iter_no_change": 0, "hidden_layer_sizes": (2.7,), "shuffle": "yes",
    "early_stopping": "yes", "nesterovs_momentum": 2, "solver": "newton", "warm_start": "yes", "max_fun": 0,
    "class_weight": "fair", "loss": "l1", "learning_rate": "fast", "max_iter": 0,
    "batch_size": 0, "eta0": 0.0, "activation": "tnah", "random_state": "x", "compiled": "fast",
}  # fmt: skip


@ignore_convergence
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_a_fit_that_is_refused_leaves_the_estimator_as_it_was(estimator):
    """And says which parameter it was; what was fitted before predicts as before."""
    X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0]], [0, 0, 1, 1]
    model = clone(estimator).fit(X, y)
    before, predicted = dict(vars(model)), model.predict(X).tolist()
    names = [name for name in BAD if name in model.get_params()]
    assert len(names) == len(model.get_params()) - ("verbose" in model.get_params())
    for name in names:
        good = model.get_params()[name]
        model.set_params(**{name: BAD[name]})
        with pytest.raises((TypeError, ValueError), match=rf"{name}|random_state|seed|'x'"):
            model.fit([[0.0], [1.0]], [7, 8])  # other classes, and another number of features
        model.set_params(**{name: good})
        assert vars(model) == before, name
    with pytest.raises(ValueError, match="NaN"):
        model.fit([[0.0], [np.nan]], [7, 8])
    assert vars(model) == before
    assert model.predict(X).tolist() == predicted


@pytest.mark.parametrize("sizes", [(2.7,), "3", (True,), ("3",), (0,), -1])
def test_sizes_of_layers_are_whole_numbers(sizes):
    with pytest.raises(
        (TypeError, ValueError),
        match=r"MLPRegressor: hidden_layer_sizes\[0\] must be|'hidden_layer_sizes' parameter of MLPReg",
    ):
        MLPRegressor(sizes).fit([[0.0], [1.0]], [0.0, 1.0])
    assert MLPRegressor(np.array([2, 3]), max_iter=500, tol=1.0).fit([[0.0], [1.0]], [0.0, 1.0]).n_layers_ == 4


@ignore_convergence
def test_the_adaptive_rate_falls_as_scikit_learns():
    from sklearn.neural_network import MLPClassifier as Theirs

    settings = {"hidden_layer_sizes": (4,), "tol": 0.5, "max_iter": 400, "solver": "sgd", "learning_rate": "adaptive",
                "random_state": 0}  # fmt: skip
    ours, theirs = (kind(**settings, learning_rate_init=0.001).fit([[3, 2], [1, 6]], [1, 0])
                    for kind in (MLPClassifier, Theirs))  # fmt: skip
    assert ours.n_iter_ == theirs.n_iter_ == 67


@ignore_convergence
def test_several_outputs():
    X, y = make_regression(40, 3, n_targets=2, noise=0.1, random_state=0)
    y = y / y.std(axis=0)
    model = MLPRegressor((), learning_rate_init=0.05, max_iter=60, random_state=0).fit(X, y)
    assert model.predict(X).shape == (40, 2)
    assert model.score(X, y) > 0.98


@ignore_convergence
def test_grid_search_picks_lambda_in_parallel():
    X, y = make_classification(60, 4, flip_y=0.2, random_state=1)
    search = GridSearchCV(
        MLPClassifier((3,), learning_rate_init=0.05, max_iter=8, random_state=0), {"alpha": [1e-4, 1.0]}, cv=2, n_jobs=2
    ).fit(X, y)
    assert search.best_params_["alpha"] in (1e-4, 1.0)
    assert len(cross_val_score(search.best_estimator_, X, y, cv=2)) == 2


@ignore_convergence
def test_predict_makes_no_graph_and_needs_no_parameters_to_be_values(monkeypatch):
    X, y = load_iris(return_X_y=True)
    model = MLPClassifier((4,), max_iter=3, random_state=0).fit(X, y)
    twin = pickle.loads(pickle.dumps(model))
    monkeypatch.setattr(ag.nn.layers, "record", None)  # what a node of a graph is made by
    assert (twin.predict(X) == model.predict(X)).all()
    warnings.simplefilter("error")
    assert model.predict_proba(X * 1e3).min() >= 0.0


def test_perceptron_on_iris_setosa():
    X, y = load_iris(return_X_y=True)
    unit = PerceptronClassifier(random_state=0).fit(X, y == 0)
    assert unit.score(X, y == 0) == 1.0
    assert unit.coef_.shape == (1, 4)


@ignore_convergence
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_penalty_is_watched_and_reported(solver):
    """Weights that must shrink keep lowering loss + penalty while the loss alone rises."""
    from sklearn.neural_network import MLPClassifier as Theirs

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = (X[:, 0] > 0) * 1
    settings = {"hidden_layer_sizes": (4,), "alpha": 20.0, "max_iter": 400, "random_state": 0, "tol": 1e-9,
                "learning_rate_init": 0.02, "batch_size": 60, "solver": solver}  # fmt: skip
    ours, theirs = MLPClassifier(**settings).fit(X, y), Theirs(**settings).fit(X, y)
    assert ours.loss_ == pytest.approx(theirs.loss_, abs=2e-3)

    def objective(m):
        p = np.clip(m.predict_proba(X)[np.arange(60), y], 1e-300, None)
        return -np.log(p).mean() + 20.0 / 2 / 60 * sum((w**2).sum() for w in m.coefs_)

    assert objective(ours) == pytest.approx(objective(theirs), abs=2e-3)
    first = MLPClassifier(**settings | {"max_iter": 1, "learning_rate_init": 1e-12}).fit(X, y)
    assert first.loss_ == pytest.approx(objective(first))


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_max_iter_is_refused_with_its_range(value, error):
    with pytest.raises(error, match=r"'max_iter' parameter of MLPClassifier must be an int in the range \[1, inf\)"):
        MLPClassifier(max_iter=value).fit([[0.0], [1.0]], [0, 1])


def test_the_adaptive_rate_ends_training_when_it_is_too_small():
    X, y = np.zeros((4, 1)), np.zeros(4)  # nothing to learn: no epoch is better than the one before
    model = MLPRegressor((), solver="sgd", learning_rate="adaptive", learning_rate_init=1e-4, n_iter_no_change=2,
                         alpha=0.0, max_iter=100, random_state=0, tol=10.0).fit(X, y)  # fmt: skip
    assert model.history_.stopped == "the learning rate fell below 1e-6"
    rates = list(dict.fromkeys(model.history_.learning_rate))
    assert rates == pytest.approx([1e-4, 2e-5, 4e-6, 8e-7])
    assert model.n_iter_ < 15


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "autograd_lite.sklearn")
    with pytest.raises(ImportError, match=r"needs scikit-learn 1\.6 or later: pip install 'autograd_lite\[sklearn\]'"):
        importlib.import_module("autograd_lite.sklearn")


@ignore_convergence
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "adagrad", "rmsprop"])
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"learning_rate": "adaptive", "tol": 0.05}])
def test_compiled_training_gives_the_same_estimator(solver, options):
    X, y = load_iris(return_X_y=True)
    settings = {"hidden_layer_sizes": (5,), "solver": solver, "max_iter": 20, "n_iter_no_change": 3, "random_state": 0}
    eager, compiled = (
        MLPClassifier(**settings, **options, compiled=compiled).fit(X / 4, y) for compiled in (False, True)
    )
    assert (eager.history_.backend, compiled.history_.backend in ("native", "numpy")) == ("eager", True)
    np.testing.assert_allclose(compiled.loss_curve_, eager.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(compiled.coefs_[0], eager.coefs_[0], rtol=1e-7, atol=1e-9)
    assert compiled.n_iter_ == eager.n_iter_


@ignore_convergence
def test_a_program_trains_where_it_pays():
    X = np.random.default_rng(0).normal(size=(400, 20))
    for rows, backends in ((400, ("native", "numpy")), (10, ("eager",))):
        model = MLPRegressor((8,), max_iter=10, random_state=0).fit(X[:rows], X[:rows, 0])
        assert model.history_.backend in backends


@ignore_convergence
def test_what_scikit_learn_allows_is_allowed():
    X, y = [[3.0, 2.0], [1.0, 6.0]], [1, 0]
    forever = MLPClassifier((2,), n_iter_no_change=np.inf, tol=1e9, max_iter=20, random_state=0).fit(X, y)
    assert forever.n_iter_ == 20
    rolling = MLPClassifier((2,), solver="sgd", momentum=1.0, learning_rate_init=1e-3, max_iter=5, random_state=0)
    assert rolling.fit(X, y)._optimizer.transforms[-1].mu == 1.0


@ignore_convergence
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_the_same_numbers_as_scikit_learn(solver):
    """The same start, and whole batches: no order of examples to differ in."""
    from sklearn.neural_network import MLPClassifier as Theirs

    X, y = load_iris(return_X_y=True)
    settings = {"hidden_layer_sizes": (5,), "solver": solver, "batch_size": 150, "max_iter": 20, "random_state": 3,
                "activation": "tanh", "learning_rate_init": 0.01}  # fmt: skip
    for weights in (None, np.linspace(0.1, 2.0, 150)):
        ours, theirs = (kind(**settings).fit(X, y, sample_weight=weights) for kind in (MLPClassifier, Theirs))
        close = 1e-3 if solver == "adam" else 1e-5  # their epsilon is added before the correction of the mean square
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=close, atol=1e-9)
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-2)
        assert (ours.out_activation_, ours.n_layers_, ours.n_outputs_) == ("softmax", 3, 3)


@ignore_convergence
def test_weights_of_classes_and_weights_that_are_set():
    X, y = make_classification(80, 4, weights=[0.9], random_state=0)
    fits = [
        MLPClassifier((4,), solver="lbfgs", max_iter=30, random_state=0, class_weight=c).fit(X, y, sample_weight=s)
        for c, s in (("balanced", None), (None, np.where(y == 1, len(y) / (2 * y.sum()), len(y) / (2 * (1 - y).sum()))))
    ]
    np.testing.assert_allclose(fits[0].predict_proba(X), fits[1].predict_proba(X), rtol=1e-9)
    model = fits[0]
    assert model.model_.predict(X) == pytest.approx(model.decision_function(X))
    model.coefs_ = [np.zeros_like(w) for w in model.coefs_]
    model.intercepts_[-1][:] = 2.0
    assert model.decision_function(X).tolist() == [2.0] * 80
    assert model.model_(X[0]).item() == 2.0
    with pytest.raises(ValueError, match="need the same sizes as before"):
        model.set_params(hidden_layer_sizes=(9,), warm_start=True).fit(X, y)
