"""Estimators for scikit-learn: MLPClassifier, MLPRegressor and PerceptronClassifier.

They stand where scikit-learn's stand: the same parameters and attributes, its checks of parameters and data, and most
of the tests of its MLPs pass with ours in their place (docs/LEARNING.md lists those that cannot). Training is `ag.fit`,
for "lbfgs" a program under SciPy. Prediction is plain floats, without a graph. A fit that is refused leaves the
estimator as it was.

Needs scikit-learn 1.6 or later: pip install 'autograd_lite[sklearn]'.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import pairwise
from math import inf
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np

from autograd_lite import losses, optim
from autograd_lite.data import epoch_order
from autograd_lite.engine import functions
from autograd_lite.engine.atomic import at_once, set_numbers
from autograd_lite.engine.checks import describe, needs, setting, whole
from autograd_lite.engine.reading import numbers_of
from autograd_lite.engine.value import Value
from autograd_lite.history import History
from autograd_lite.names import BackendName
from autograd_lite.nn.activations import activation_function, usual_name
from autograd_lite.nn.layers import MLP
from autograd_lite.nn.perceptron import Perceptron
from autograd_lite.optim.lbfgs import minimize_lbfgs
from autograd_lite.optim.rules import rule_named
from autograd_lite.training.fitting import fit
from autograd_lite.training.loop import LAST
from autograd_lite.training.run import Run

try:
    from scipy.special import expit
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        MultiOutputMixin,
        RegressorMixin,
        _fit_context,
        is_classifier,
    )
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import accuracy_score, r2_score
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import LabelBinarizer
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils._param_validation import Interval, Options, StrOptions
    from sklearn.utils.class_weight import compute_sample_weight
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(needs("autograd_lite.sklearn", "scikit-learn 1.6 or later", "sklearn")) from error


__all__ = ["MLPClassifier", "MLPRegressor", "PerceptronClassifier"]


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)


Array = np.ndarray[Any, Any]

ON_ARRAYS: dict[Any, Callable[[Array], Array]] = {
    "linear": lambda z: z, "relu": lambda z: np.maximum(z, 0.0), "tanh": np.tanh, "sigmoid": expit,
}  # fmt: skip
"""scikit-learn's activations on arrays; ours go over the numbers one by one."""

SLOW = "the learning rate fell below 1e-6"

Fit = TypeVar("Fit", bound=Callable[..., Any])


def _all_or_nothing(fit: Fit) -> Fit:
    """A `fit` that leaves the estimator as it was if it is refused.

    Otherwise an estimator fitted before would predict with its old weights and the new `classes_`.
    """

    @wraps(fit)
    def fitted(self: Any, X: Any, y: Any, *args: Any, **settings: Any) -> Any:
        before = vars(self).copy()
        try:
            return fit(self, X, y, *args, **settings)
        except BaseException:
            self.__dict__ = before
            raise

    return fitted  # type: ignore[return-value]


def _has_steps(estimator: Any) -> bool:
    if str(estimator.solver).lower() == "lbfgs":
        raise AttributeError("partial_fit is only available for solvers that take steps; lbfgs is not one of them")
    return True


class _Network(BaseEstimator):  # type: ignore[misc]
    """What the classifier and the regressor share."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [str, callable, None],
        "solver": [str],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "compiled": ["boolean", str],
    }

    coefs_: list[Array]
    intercepts_: list[Array]

    # --- training

    def _train(self, X: Array, Y: Array, weights: Array | None, incremental: bool) -> None:
        """Fit the network to targets Y, shape (n, k): from new weights, or from those that are there."""
        random = check_random_state(self.random_state)
        sizes = [X.shape[1], *self._hidden_sizes(), Y.shape[1]]
        self.n_outputs_ = Y.shape[1]
        if not hasattr(self, "coefs_") or not (self.warm_start or incremental):
            self._initialize(sizes, X.dtype, random)
        model = self._network(sizes)
        if str(self.solver).lower() == "lbfgs":
            self._fit_lbfgs(model, X, Y, weights)
        else:
            self._fit_steps(model, X, Y, weights, random, incremental)
        if not all(np.isfinite(x).all() for x in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )

    def _hidden_sizes(self) -> list[int]:
        who, sizes = type(self).__name__, self.hidden_layer_sizes
        sizes = list(sizes) if isinstance(sizes, (Sequence, np.ndarray)) and not isinstance(sizes, str) else [sizes]
        for i, size in enumerate(sizes):
            if isinstance(size, (bool, np.bool_)):
                raise TypeError(f"{who}: hidden_layer_sizes[{i}] must be a whole number, got {describe(size)}")
            sizes[i] = whole(size, f"{who}: hidden_layer_sizes[{i}]")
        return sizes

    def _check_names(self) -> None:
        """Refuse what scikit-learn's validation cannot know: names of solvers, activations and sizes."""
        who = type(self).__name__
        activation_function(self.activation, f"{who}: activation")
        if str(self.solver).lower() != "lbfgs":
            rule_named(self.solver, f"{who}: solver")
        self._hidden_sizes()

    def _initialize(self, sizes: list[int], dtype: Any, random: Any) -> None:
        """New weights, and everything that is counted from them on.

        Glorot's, drawn as scikit-learn does: the same random_state gives the same start.
        """
        factor = 2.0 if usual_name(self.activation) == "sigmoid" else 6.0
        self.coefs_, self.intercepts_ = [], []
        for fan_in, fan_out in pairwise(sizes):
            bound = np.sqrt(factor / (fan_in + fan_out))
            self.coefs_.append(random.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype))
            self.intercepts_.append(random.uniform(-bound, bound, fan_out).astype(dtype))
        self.n_iter_, self.t_, self.n_layers_ = 0, 0, len(sizes)
        self.out_activation_ = self._output()
        for name in ("_optimizer", "_model", "_program"):
            self.__dict__.pop(name, None)
        if str(self.solver).lower() != "lbfgs":
            self.loss_curve_: list[float] = []
            self._no_improvement_count = 0
            stops = self.early_stopping
            self.validation_scores_: list[float] | None = [] if stops else None
            self.best_validation_score_: float | None = -inf if stops else None
            self.best_loss_: float | None = None if stops else inf

    def _store(self, model: MLP, dtype: Any) -> None:
        """The numbers of a model as `coefs_` and `intercepts_`."""
        blocks = [np.array([numbers_of([*u.w, u.b]) for u in layer.neurons]) for layer in model.layers]
        self.coefs_ = [block[:, :-1].T.astype(dtype) for block in blocks]
        self.intercepts_ = [block[:, -1].astype(dtype) for block in blocks]

    def _network(self, sizes: list[int] | None = None) -> MLP:
        """The model with the numbers of `coefs_` and `intercepts_`; of one training the same object."""
        sizes = sizes or [len(self.coefs_[0]), *(len(b) for b in self.intercepts_)]
        shapes = [np.shape(w) for w in self.coefs_]
        if shapes != list(pairwise(sizes)):
            raise ValueError(
                f"{type(self).__name__}: coefs_ have the shapes {shapes}, hidden_layer_sizes and the data need "
                f"{list(pairwise(sizes))}; a warm start and partial_fit need the same sizes as before"
            )
        model = self.__dict__.get("_model")
        if model is None:
            model = MLP(sizes[0], sizes[1:], activation=self.activation, init=0.0)
        numbers = [
            np.column_stack([np.transpose(w), b]).ravel().tolist()
            for w, b in zip(self.coefs_, self.intercepts_, strict=True)
        ]
        set_numbers(model.parameters(), [float(x) for block in numbers for x in block])
        return model

    @property
    def model_(self) -> MLP:
        """The `MLP` with the weights of now, made anew each time."""
        check_is_fitted(self)
        kept = self.__dict__.pop("_model", None)
        try:
            return self._network()
        finally:
            if kept is not None:
                self._model = kept

    def _fit_lbfgs(self, model: MLP, X: Array, Y: Array, weights: Array | None) -> None:
        parameters, program, targets = model.parameters(), self._compiled(model), self._targets(Y)
        w = np.ones(len(X)) if weights is None else weights * (len(X) / weights.sum())
        rows, decayed = X.astype(np.float64), self._decayed(model) / (len(X) if weights is None else weights.sum())

        def value_and_grad(theta: Array) -> tuple[float, Array]:
            with np.errstate(all="ignore"):
                value, grad = program.loss_and_grad(theta, rows, targets, w)
                return value + 0.5 * float(decayed @ (theta * theta)), grad + decayed * theta

        result = minimize_lbfgs(
            value_and_grad, np.array(numbers_of(parameters)), self.max_iter, maxfun=self.max_fun, gtol=self.tol
        )
        self.n_iter_, self.loss_ = min(int(result.nit), self.max_iter), float(result.fun)
        set_numbers(parameters, result.x.tolist())
        self._store(model, X.dtype)
        if result.status != 0:
            self._warn(f"lbfgs failed to converge after {self.n_iter_} iterations: {result.message}")

    def _compiled(self, model: MLP) -> Any:
        """The loss of an example times its weight as a program."""
        from autograd_lite.folding.tracing import compile

        loss = self._loss_function()

        def example(x: Any, target: Any, weight: Any) -> Any:
            return loss(model(x), target) * weight

        backend: Any = self.compiled if isinstance(self.compiled, str) else "auto"
        return compile(example, params=model.parameters(), batch=True, backend=backend)

    def _epoch(self, X: Array, Y: Array, weights: Array | None, batch: int, seed: int) -> History:
        """One epoch by a program that is kept for the next call: `fit` would trace the model anew in each."""
        if not hasattr(self, "_program"):
            self._program = self._compiled(self._model)
        optimizer, targets, total = self._optimizer, self._targets(Y), 0.0
        w = np.ones(len(X)) if weights is None else weights * (len(X) / weights.sum())
        rows, theta = X.astype(np.float64), np.array(numbers_of(optimizer.params))
        decayed, order = self._decayed(self._model) / batch, np.array(epoch_order(len(X), seed, 0, self.shuffle))
        history = History(seed)
        row = {"loss": 0.0, "learning_rate": optimizer.lr}
        for first in range(0, len(X), batch):
            part = order[first : first + batch]
            value, gradient = self._program.loss_and_grad(theta, rows[part], targets[part], w[part])
            total += (value + 0.5 * float(decayed @ (theta * theta))) * len(part)
            theta, effect = optimizer.stepped(theta, gradient)
            at_once(effect)
        set_numbers(optimizer.params, theta.tolist())
        history.rows.append(row | {"loss": total / len(X)})
        history.stopped = LAST
        return history

    def __getstate__(self) -> Any:
        """Without the program, which is made from the rest."""
        return {name: x for name, x in super().__getstate__().items() if name != "_program"}

    def _fit_steps(self, model: MLP, X: Array, Y: Array, weights: Array | None, random: Any, incremental: bool) -> None:
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        held: tuple[Array, Array, Array | None] | None = None
        if self.early_stopping:
            X, Y, weights, held = self._split(X, Y, weights, random)
        batch = min(32, len(X)) if self.batch_size == "auto" else self.batch_size
        if batch > len(X):
            warnings.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                          stacklevel=5)  # fmt: skip
            batch = len(X)
        if not (incremental and hasattr(self, "_optimizer")):
            self._model, self._optimizer = model, self._rule(model, batch)
            self.__dict__.pop("_program", None)
        watch = _Watch(self, model, len(X), held, incremental)
        self.n_iter_ = 0
        validation = None
        if held is not None:
            validation = held[0], self._targets(held[1]), *(() if held[2] is None else (held[2],))
        if incremental and self.compiled is not False:
            with np.errstate(all="ignore"):
                self.history_ = self._epoch(X, Y, weights, batch, int(random.randint(2**31)))
            watch(Run(model, self._optimizer, self.history_))
            self._store(model, X.dtype)
            return
        with np.errstate(all="ignore"):
            self.history_ = fit(
                model, X, self._targets(Y), loss=self._loss_function(), optimizer=self._optimizer,
                epochs=1 if incremental else self.max_iter, batch_size=batch, shuffle=self.shuffle,
                seed=int(random.randint(2**31)), progress=False, callbacks=[watch], sample_weight=weights,
                validation=validation, penalty=_Penalty(self.alpha / batch), compiled=self.compiled,
            )  # fmt: skip
        if watch.best is not None:
            set_numbers(model.parameters(), watch.best)
        self._store(model, X.dtype)
        if not incremental and not watch.stopped and self.n_iter_ == self.max_iter:
            self._warn(
                f"max_iter={self.max_iter} epochs were reached before the loss settled (tol={self.tol:g} for "
                f"{self.n_iter_no_change} epochs)"
            )

    def _warn(self, message: str) -> None:
        warnings.warn(f"{type(self).__name__}: {message}", ConvergenceWarning, stacklevel=6)  # the line that calls fit

    def _split(self, X: Array, Y: Array, weights: Array | None, random: Any) -> tuple[Any, ...]:
        """X, Y, weights without what is held out, and that; stratified as scikit-learn has it."""
        stratify = Y if is_classifier(self) and self.n_outputs_ == 1 else None
        arrays = [X, Y] if weights is None else [X, Y, weights]
        parts = train_test_split(*arrays, random_state=random, test_size=self.validation_fraction, stratify=stratify)
        kept, held = parts[::2], parts[1::2]
        if len(held[0]) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        alone = [None] if weights is None else []
        return *kept, *alone, (*held, *alone)

    def _decayed(self, model: MLP) -> Array:
        """alpha for each parameter that the penalty holds for: biases are spared."""
        weights = set(model.weights())
        return np.array([self.alpha if p in weights else 0.0 for p in model.parameters()])

    def _rule(self, model: MLP, batch: int) -> optim.Optimizer:
        """The solver; alpha / 2 * sum w^2 is divided by a batch's size, as scikit-learn has it."""
        parameters, rule = model.parameters(), rule_named(self.solver, "solver")
        decay = (self._decayed(model) / batch).tolist()
        adam = {"betas": (self.beta_1, self.beta_2), "eps": self.epsilon}
        own: dict[str, Any] = {} if rule is not optim.Adam and rule is not optim.AdamW else adam
        if rule is optim.SGD and self.momentum:
            own = {"momentum": min(self.momentum, 0.5), "nesterov": self.nesterovs_momentum}
        # allow_nonfinite: a training that diverges goes on, as scikit-learn's does, and ends with its error.
        made = rule(parameters, self.learning_rate_init, weight_decay=decay, allow_nonfinite=True, **own)  # type: ignore[call-arg]
        if "momentum" in own:
            made.transforms[-1].mu = float(self.momentum)  # type: ignore[attr-defined]  # 1 too, which the rule refuses
        return made

    # --- prediction

    def _scores(self, X: Any, check: bool = True) -> Array:
        """The outputs before the last activation, shape (n, k)."""
        if check:
            check_is_fitted(self)
            given = validate_data(self, X, reset=False, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32))
            X = _dense(given)
        name = usual_name(self.activation)
        name = "linear" if name in (None, "identity") else name
        last = len(self.coefs_) - 1
        with np.errstate(all="ignore"):
            for k, (w, b) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
                X = X @ w + b
                if k < last:
                    X = ON_ARRAYS[name](X) if name in ON_ARRAYS else _one_by_one(self.activation, X)
        return X  # type: ignore[no-any-return]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Watch:
    """What scikit-learn does after each epoch: counts, scores, and the reasons to stop or to lower the rate."""

    def __init__(self, estimator: Any, model: MLP, n: int, held: Any, incremental: bool) -> None:
        self.estimator, self.model, self.n, self.held, self.incremental = estimator, model, n, held, incremental
        self.best: list[float] | None = None
        self.stopped = False

    def __call__(self, run: Run) -> None:
        e = self.estimator
        e.n_iter_ += 1
        e.t_ += self.n
        e.loss_ = run.history.loss[-1]
        e.loss_curve_.append(e.loss_)
        self._say(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
        if self.held is None:
            worse = e.loss_ > e.best_loss_ - e.tol
            e.best_loss_ = min(e.best_loss_, e.loss_)
        else:
            e._store(self.model, e.coefs_[0].dtype)
            score = e._validation_score(*self.held)
            e.validation_scores_.append(score)
            self._say(f"Validation score: {score:f}")
            worse = score < e.best_validation_score_ + e.tol
            if score > e.best_validation_score_ or self.best is None:
                self.best = numbers_of(run.optimizer.params)
            e.best_validation_score_ = max(e.best_validation_score_, score)
        e._no_improvement_count = e._no_improvement_count + 1 if worse else 0
        if e.learning_rate == "invscaling" and e._steps_by_rate():
            run.optimizer.lr = e.learning_rate_init / (e.t_ + 1) ** e.power_t
        if e._no_improvement_count > e.n_iter_no_change and not self.incremental:
            self._settled(run)

    def _settled(self, run: Run) -> None:
        e = self.estimator
        if e.learning_rate != "adaptive" or not e._steps_by_rate():
            what = "validation score" if self.held is not None else "training loss"
            reason = f"no better {what} by tol={e.tol:g} for {e.n_iter_no_change} epochs"
        elif run.optimizer.lr > 1e-6:
            run.optimizer.lr /= 5.0
            e._no_improvement_count = 0
            self._say(f"learning rate {run.optimizer.lr:g}")
            return
        else:
            reason = SLOW
        self._say(reason)
        self.stopped = True
        run.stop(reason)

    def _say(self, text: str) -> None:
        if self.estimator.verbose:
            print(text)


class _Penalty:
    """What alpha adds to the loss that is reported and watched; its gradient is the solver's weight_decay."""

    def __init__(self, coefficient: float) -> None:
        self.coefficient = coefficient

    def __call__(self, model: MLP) -> Value:
        return losses.l2([w.detach() for w in model.weights()], 0.5 * self.coefficient)  # type: ignore[no-any-return]


def _one_by_one(activation: Any, rows: Array) -> Array:
    """Any activation on the numbers of an array."""
    g = activation_function(activation)
    assert g is not None
    return np.array([[_number(g(z)) for z in row] for row in rows.tolist()], dtype=rows.dtype).reshape(rows.shape)  # type: ignore[no-any-return]


def _number(y: Any) -> float:
    return y.item() if isinstance(y, Value) else float(y)


def _dense(X: Any) -> Array:
    return X.toarray() if hasattr(X, "toarray") else X  # type: ignore[no-any-return]


def _poisson(score: Any, target: Any) -> Any:
    """Half of the Poisson deviance of exp(score); what y alone decides included, as scikit-learn has it."""
    if isinstance(score, (list, tuple)):
        return functions.sum([_poisson(z, t) for z, t in zip(score, target, strict=True)])
    return functions.exp(score) - target * score + (functions.xlogy(target, target) - target)


class MLPClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A multi-layer perceptron that predicts classes, trained on cross-entropy.

    Args:
        hidden_layer_sizes: the number of neurons in each hidden layer; () for a linear model.
        activation: "identity", "logistic", "tanh", "relu", or another primitive of one operand.
        solver: "lbfgs", for small data; or the name of a rule of `ag.optim`, such as "adam" or "sgd".
        alpha: the strength of the penalty on large weights, alpha / 2 * sum w^2 over the size of a batch.
        batch_size: "auto" is min(32, n).
        learning_rate: for "sgd": "constant"; "invscaling", learning_rate_init / (examples seen + 1)**power_t after each
            epoch; or "adaptive", a fifth after n_iter_no_change epochs without progress by tol.
        learning_rate_init: the rate at the beginning.
        power_t: for "invscaling".
        max_iter: the largest number of epochs, or of iterations of "lbfgs".
        shuffle: whether each epoch has another order.
        random_state: for the weights, the order and the validation split.
        tol, n_iter_no_change: training ends after more than n_iter_no_change epochs in a row whose loss, including the
            penalty, is not lower by tol; never, if that is infinite. For "lbfgs" tol bounds the gradient.
        verbose: whether to print each epoch's loss.
        warm_start: whether `fit` begins with the weights of the last fit.
        momentum, nesterovs_momentum: for "sgd".
        early_stopping: hold out a share of the examples, stop by the accuracy there, and keep the best weights.
        validation_fraction: the share.
        beta_1, beta_2, epsilon: for "adam" and "adamw".
        max_fun: for "lbfgs", the largest number of evaluations of the loss.
        class_weight: how much each class counts, a dict by class; "balanced" is n / (k * count).
        compiled: whether the training runs as a program: True, False, "auto" or a backend, see `ag.fit`.

    Attributes:
        classes_, n_features_in_, n_iter_, t_, loss_, best_loss_, loss_curve_, validation_scores_,
        best_validation_score_, coefs_, intercepts_, n_layers_, n_outputs_, out_activation_: as scikit-learn's.
        model_: the `MLP`. history_: the `History` of its training.

    Example:
        >>> from autograd_lite.sklearn import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> classifier = MLPClassifier((4,), learning_rate_init=0.1, max_iter=500, random_state=0).fit(X, y)
        >>> classifier.predict([[-1.0], [4.0]]).tolist()
        ['low', 'high']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_Network._parameter_constraints, "class_weight": [StrOptions({"balanced"}), dict, None],
    }  # fmt: skip

    def __init__(
        self, hidden_layer_sizes: Any = (16,), activation: Any = "relu", *, solver: str = "adam", alpha: float = 1e-4,
        batch_size: Any = "auto", learning_rate: str = "constant", learning_rate_init: float = 0.01,
        power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True, random_state: Any = None, tol: float = 1e-4,
        verbose: bool = False, warm_start: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True,
        early_stopping: bool = False, validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-8, n_iter_no_change: float = 10, max_fun: int = 15000, class_weight: Any = None,
        compiled: bool | BackendName = "auto",
    ) -> None:  # fmt: skip
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.class_weight = class_weight
        self.compiled = compiled

    @_all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPClassifier:
        """Train on examples X, shape (n, d), with labels y, shape (n,), or (n, k) of 0 and 1 for k labels at once.

        Args:
            X, y: the examples and their labels; X may be sparse.
            sample_weight: how much each example counts, shape (n,).
        """
        return self._fit(X, y, sample_weight, incremental=False)

    @available_if(_has_steps)  # type: ignore[untyped-decorator]
    @_all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """One epoch over these examples, from the weights that are there.

        Args:
            X, y, sample_weight: as for `fit`.
            classes: all classes, also those that come in later calls; needed in the first.
        """
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
            self.classes_ = self._label_binarizer.classes_
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        return self._fit(X, y, sample_weight, incremental=True)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> MLPClassifier:
        self._check_names()
        again = hasattr(self, "coefs_") and (self.warm_start or incremental)
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=(np.float64, np.float32),
            reset=not again,
        )  # fmt: skip
        X = _dense(X)
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if hasattr(self, "classes_") and not hasattr(self, "_label_binarizer"):  # of a version that had none
            self._label_binarizer = LabelBinarizer().fit(self.classes_)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            found = unique_labels(y)
            if self.warm_start and not incremental and set(found) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {found}"
                )
            if len(np.setdiff1d(found, self.classes_, assume_unique=True)):
                raise ValueError(
                    f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {found}."
                )
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        if self.class_weight is not None:
            of_class = compute_sample_weight(self.class_weight, y)
            weights = of_class if weights is None else weights * of_class
        Y = self._label_binarizer.transform(y).astype(bool)
        self._train(X, Y.reshape(len(Y), -1), weights, incremental)
        return self

    def _output(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _loss_function(self) -> Callable[[Any, Any], Any]:
        if self.out_activation_ == "softmax":
            return losses.cross_entropy
        return losses.binary_cross_entropy_with_logits

    def _targets(self, Y: Array) -> Array:
        if self.out_activation_ == "softmax":
            return Y.argmax(axis=1)  # type: ignore[no-any-return]
        return (Y[:, 0] if Y.shape[1] == 1 else Y).astype(np.float64)

    def _validation_score(self, X: Array, Y: Array, weights: Array | None) -> float:
        scores = self._scores(X, check=False)
        if not np.isfinite(scores).all():
            return float("nan")
        labels = self._label_binarizer.inverse_transform(Y if Y.shape[1] > 1 else Y[:, 0])
        return float(accuracy_score(labels, self._labels(scores), sample_weight=weights))

    def _labels(self, scores: Array) -> Array:
        p = self._probabilities(scores)
        return self._label_binarizer.inverse_transform(p[:, 0] if p.shape[1] == 1 else p)  # type: ignore[no-any-return]

    def _probabilities(self, scores: Array) -> Array:
        if self.out_activation_ != "softmax":
            return expit(scores)  # type: ignore[no-any-return]
        parts = np.exp(scores - scores.max(axis=1, keepdims=True))
        return parts / parts.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def _steps_by_rate(self) -> bool:
        return str(self.solver).lower() == "sgd"

    def decision_function(self, X: Any) -> Array:
        """The scores: shape (n,) for two classes, (n, k) for more."""
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, shape (n, k)."""
        scores = self._scores(X)
        if scores.shape[1] == 1:  # 1 - p would lose the digits of a small probability
            return expit(np.column_stack([-scores[:, 0], scores[:, 0]]))  # type: ignore[no-any-return]
        return self._probabilities(scores)

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of the probabilities, also where those underflow."""
        scores = self._scores(X)
        if self.out_activation_ == "softmax":
            down = scores - scores.max(axis=1, keepdims=True)
            return down - np.log(np.exp(down).sum(axis=1, keepdims=True))  # type: ignore[no-any-return]
        holds = -np.logaddexp(0.0, -scores)
        if scores.shape[1] == 1:
            return np.column_stack([-np.logaddexp(0.0, scores[:, 0]), holds[:, 0]])
        p = expit(scores)
        return np.where(p > 0.5, np.log(np.maximum(p, 0.5)), holds)  # the largest is where predict_proba has it

    def predict(self, X: Any) -> Array:
        """The labels, shape (n,), or (n, k) of 0 and 1 for k labels at once."""
        return self._labels(self._scores(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, MultiOutputMixin, _Network):  # type: ignore[misc]
    """A multi-layer perceptron for numbers, trained on half the squared error or half the Poisson deviance.

    Args:
        loss: "squared_error"; or "poisson", for counts: y at least 0, the prediction is exp of the output.
        hidden_layer_sizes, activation, solver, alpha, ...: as for `MLPClassifier`. `early_stopping` goes by R^2.

    Attributes:
        n_features_in_, n_iter_, t_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, coefs_,
        intercepts_, n_layers_, n_outputs_, out_activation_: as scikit-learn's.
        model_: the `MLP`. history_: the `History` of its training.

    Example:
        >>> from autograd_lite.sklearn import MLPRegressor
        >>> X = [[0.0], [1.0], [2.0], [3.0]]
        >>> line = MLPRegressor((), learning_rate_init=0.1, max_iter=500, n_iter_no_change=50, random_state=0)
        >>> line = line.fit(X, [1.0, 3.0, 5.0, 7.0])
        >>> line.predict([[4.0]]).round(1)
        array([9.])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_Network._parameter_constraints, "loss": [StrOptions({"squared_error", "poisson"})],
    }  # fmt: skip

    def __init__(
        self, hidden_layer_sizes: Any = (16,), activation: Any = "relu", *, loss: str = "squared_error",
        solver: str = "adam", alpha: float = 1e-4, batch_size: Any = "auto", learning_rate: str = "constant",
        learning_rate_init: float = 0.01, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
        random_state: Any = None, tol: float = 1e-4, verbose: bool = False, warm_start: bool = False,
        momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        n_iter_no_change: float = 10, max_fun: int = 15000, compiled: bool | BackendName = "auto",
    ) -> None:  # fmt: skip
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.compiled = compiled

    @_all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train on examples X, shape (n, d), with targets y, shape (n,) or (n, k).

        Args:
            X, y: the examples and their targets; X may be sparse.
            sample_weight: how much each example counts, shape (n,).
        """
        return self._fit(X, y, sample_weight, incremental=False)

    @available_if(_has_steps)  # type: ignore[untyped-decorator]
    @_all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """One epoch over these examples, from the weights that are there."""
        return self._fit(X, y, sample_weight, incremental=True)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> MLPRegressor:
        self._check_names()
        again = hasattr(self, "coefs_") and (self.warm_start or incremental)
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=True,
            dtype=(np.float64, np.float32), reset=not again,
        )  # fmt: skip
        X = _dense(X)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError("Some value(s) of y are negative, which is not allowed for the poisson loss.")
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        self._one_dimensional = y.ndim == 1
        self._train(X, y.astype(np.float64).reshape(len(y), -1), weights, incremental)
        return self

    def _output(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _loss_function(self) -> Callable[[Any, Any], Any]:
        return _poisson if self.loss == "poisson" else losses.half_squared_error

    def _targets(self, Y: Array) -> Array:
        return Y[:, 0] if Y.shape[1] == 1 else Y

    def _validation_score(self, X: Array, Y: Array, weights: Array | None) -> float:
        predictions = self._numbers(self._scores(X, check=False))
        if not np.isfinite(predictions).all():
            return float("nan")
        return float(r2_score(self._targets(Y), predictions, sample_weight=weights))

    def _numbers(self, scores: Array) -> Array:
        found = np.exp(scores) if self.out_activation_ == "exp" else scores
        return found[:, 0] if found.shape[1] == 1 else found

    def _steps_by_rate(self) -> bool:
        return str(self.solver).lower() == "sgd"

    def predict(self, X: Any) -> Array:
        """The numbers, shape (n,) or (n, k)."""
        return self._numbers(self._scores(X))


class PerceptronClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The perceptron rule; for more than two classes one unit for each class against the rest.

    Args:
        eta0: the learning rate.
        max_iter: the largest number of epochs; a warning says that they did not suffice.
        random_state: for the order of the examples.

    Attributes:
        classes_, n_features_in_, coef_, intercept_, n_iter_: as scikit-learn's.
        units_: the `Perceptron` of each class, one for two classes.

    Example:
        >>> from autograd_lite.sklearn import PerceptronClassifier
        >>> unit = PerceptronClassifier(random_state=0).fit([[0.0], [1.0], [3.0]], ["no", "no", "yes"])
        >>> unit.predict([[-1.0], [4.0]]).tolist()
        ['no', 'yes']

    Source: Hajij, The Backpropagation Algorithm, training a perceptron.
    """

    n_iter_: int

    def __init__(self, *, eta0: float = 1.0, max_iter: int = 1000, random_state: Any = None) -> None:
        self.eta0 = eta0
        self.max_iter = max_iter
        self.random_state = random_state

    @_all_or_nothing
    def fit(self, X: Any, y: Any) -> PerceptronClassifier:
        """Train on examples X, shape (n, d), with labels y, shape (n,)."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"PerceptronClassifier needs at least 2 classes; the data has 1 class, {self.classes_[0]!r}"
            )
        rate = setting(self.eta0, "PerceptronClassifier: eta0", 0.0)
        if rate == 0.0:
            raise ValueError("PerceptronClassifier: eta0 must be above 0")
        epochs = whole(self.max_iter, "PerceptronClassifier: max_iter")
        random = check_random_state(self.random_state)
        positive = [1] if len(self.classes_) == 2 else range(len(self.classes_))
        units, self.n_iter_ = [], 1
        for k in positive:
            unit = Perceptron(X.shape[1])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                history = unit.fit(
                    X, np.where(labels == k, 1, -1), rate, max_epochs=epochs,
                    seed=int(random.randint(2**31)),
                )  # fmt: skip
            if not history.converged:
                warnings.warn(
                    f"PerceptronClassifier: {self.classes_[k]!r} was {history.stopped} (max_iter); "
                    "the data may not be linearly separable",
                    ConvergenceWarning,
                    stacklevel=3,  # the line that calls fit
                )
            self.n_iter_ = max(self.n_iter_, len(history))
            units.append(unit)
        self.units_: list[Perceptron] = units
        return self

    @property
    def coef_(self) -> Array:
        """The weights of each unit, shape (1, d) or (k, d)."""
        return np.array([[w.item() for w in unit.w] for unit in self.units_])

    @property
    def intercept_(self) -> Array:
        """The bias of each unit, shape (1,) or (k,)."""
        return np.array([unit.b.item() for unit in self.units_])

    def decision_function(self, X: Any) -> Array:
        """The scores w . x + b: shape (n,) for two classes, (n, k) for more."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        scores = rows @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.units_) == 1 else scores  # type: ignore[no-any-return]

    def predict(self, X: Any) -> Array:
        """The labels, shape (n,)."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0.0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]  # type: ignore[no-any-return]
