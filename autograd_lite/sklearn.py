"""Estimators for scikit-learn: MLPClassifier, MLPRegressor and PerceptronClassifier.

They have scikit-learn's parameter names and pass its own checks, so they work in pipelines, cross-validation and grid
search. Training runs on the scalar engine, one example at a time: the defaults are for small data. Prediction is plain
floats, without a graph. A fit that is refused leaves the estimator as it was.

Needs scikit-learn 1.6 or later: pip install "autograd_lite[sklearn]".
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from math import inf
from typing import Any, TypeVar

import numpy as np

from autograd_lite import losses, optim
from autograd_lite.engine.checks import describe, setting, whole
from autograd_lite.engine.value import Value
from autograd_lite.nn.layers import MLP
from autograd_lite.nn.perceptron import Perceptron
from autograd_lite.optim.rules import rule_named
from autograd_lite.training.fitting import fit
from autograd_lite.training.loop import LAST
from autograd_lite.training.run import Run

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as _error:
    raise ImportError(
        'autograd_lite.sklearn needs scikit-learn 1.6 or later: pip install "autograd_lite[sklearn]"'
    ) from _error


__all__ = ["MLPClassifier", "MLPRegressor", "PerceptronClassifier"]


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)


Array = np.ndarray[Any, Any]

ACTIVATIONS: dict[str, str | None] = {"identity": None, "logistic": "sigmoid"}  # scikit-learn's names where ours differ

RATES = ("constant", "invscaling", "adaptive")


Fit = TypeVar("Fit", bound=Callable[..., Any])


def _all_or_nothing(fit: Fit) -> Fit:
    """A `fit` that leaves the estimator as it was if it is refused.

    Otherwise an estimator fitted before would predict with its old weights and the new `classes_`.
    """

    @wraps(fit)
    def fitted(self: Any, X: Any, y: Any) -> Any:
        before = vars(self).copy()
        try:
            return fit(self, X, y)
        except BaseException:
            self.__dict__ = before
            raise

    return fitted  # type: ignore[return-value]


class _Network(BaseEstimator):  # type: ignore[misc]
    """What the classifier and the regressor share."""

    def __init__(
        self, hidden_layer_sizes: Any = (16,), activation: str = "relu", *, solver: str = "adam", alpha: float = 1e-4,
        batch_size: Any = "auto", learning_rate: str = "constant", learning_rate_init: float = 0.01,
        power_t: float = 0.5, max_iter: int = 50, shuffle: bool = True, random_state: Any = None, tol: float = 1e-3,
        verbose: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
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
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change

    def _train(self, X: Array, targets: Array, n_outputs: int, loss: Callable[[Any, Any], Any]) -> None:
        """Make the network and fit it."""
        sizes, batch, epochs, patience = self._checked(len(X))
        random = check_random_state(self.random_state)
        activation = ACTIVATIONS.get(self.activation, self.activation)
        model = MLP(X.shape[1], [*sizes, n_outputs], activation=activation, seed=int(random.randint(2**31)))
        adaptive = None
        if self.learning_rate == "adaptive":
            adaptive = _AdaptiveRate(self.learning_rate_init, inf if patience is None else patience, self.tol)
        self.history_ = fit(
            model, X, targets, loss=loss, optimizer=self._optimizer(model, batch), epochs=epochs,
            batch_size=batch, shuffle=self.shuffle, seed=int(random.randint(2**31)), progress=bool(self.verbose),
            validation=self.validation_fraction if self.early_stopping else None, min_delta=self.tol,
            patience=patience if adaptive is None else None, restore_best=self.early_stopping, schedule=adaptive,
            callbacks=[] if adaptive is None else [adaptive.stop_when_slow], penalty=_Penalty(self.alpha / batch),
        )  # fmt: skip
        self.model_ = model
        self.n_iter_: int = len(self.history_)
        self.n_outputs_ = n_outputs
        self.n_layers_: int = len(sizes) + 2
        self.loss_curve_: list[float] = self.history_.loss
        self.loss_: float = self.loss_curve_[-1]
        if self.history_.stopped == LAST and adaptive is None:
            warnings.warn(
                f"{type(self).__name__}: max_iter={self.max_iter} epochs were reached before the loss settled "
                f"(tol={self.tol:g} for {self.n_iter_no_change} epochs)",
                ConvergenceWarning,
                stacklevel=4,  # the line that calls fit
            )

    def _checked(self, n: int) -> tuple[list[int], int, int, int | None]:
        """(sizes of hidden layers, batch size, epochs, patience); errors have the name of the parameter."""
        who = type(self).__name__
        for name, low, high in (
            ("alpha", 0.0, inf), ("learning_rate_init", 0.0, inf), ("power_t", 0.0, inf), ("tol", 0.0, inf),
            ("momentum", 0.0, 1.0), ("validation_fraction", 0.0, 1.0), ("beta_1", 0.0, 1.0), ("beta_2", 0.0, 1.0),
            ("epsilon", 0.0, inf),
        ):  # fmt: skip
            setting(getattr(self, name), f"{who}: {name}", low, high)
        for name in ("shuffle", "nesterovs_momentum", "early_stopping"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise TypeError(f"{who}: {name} must be True or False, got {describe(getattr(self, name))}")
        if self.learning_rate not in RATES:
            raise ValueError(f"{who}: learning_rate must be one of {', '.join(RATES)}, got {self.learning_rate!r}")
        rule_named(self.solver, f"{who}: solver")
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if isinstance(sizes, (Sequence, np.ndarray)) and not isinstance(sizes, str) else [sizes]
        for i, size in enumerate(sizes):
            if isinstance(size, (bool, np.bool_)):
                raise TypeError(f"{who}: hidden_layer_sizes[{i}] must be a whole number, got {describe(size)}")
            sizes[i] = whole(size, f"{who}: hidden_layer_sizes[{i}]")
        batch = 32 if self.batch_size == "auto" else whole(self.batch_size, f"{who}: batch_size")
        forever = self.n_iter_no_change == inf
        patience = None if forever else whole(self.n_iter_no_change, f"{who}: n_iter_no_change")
        return sizes, min(batch, n), whole(self.max_iter, f"{who}: max_iter"), patience

    def _optimizer(self, model: MLP, batch: int) -> optim.Optimizer:
        """The solver; alpha / 2 * sum w^2 spares biases and is divided by a batch's size, as scikit-learn has it."""
        parameters, weights = model.parameters(), set(model.weights())
        betas = (self.beta_1, self.beta_2)
        settings: dict[str, dict[str, Any]] = {
            "sgd": {"momentum": self.momentum, "nesterov": self.nesterovs_momentum and self.momentum > 0.0},
            "adam": {"betas": betas, "eps": self.epsilon},
            "adamw": {"betas": betas, "eps": self.epsilon},
        }
        rate: Any = self.learning_rate_init
        if self.learning_rate == "invscaling":
            start, power = self.learning_rate_init, self.power_t
            rate = lambda k: start / (k + 1) ** power  # noqa: E731
        decay = [self.alpha / batch if p in weights else 0.0 for p in parameters]
        own = settings.get(self.solver.lower(), {})
        return rule_named(self.solver, "solver")(parameters, rate, weight_decay=decay, **own)  # type: ignore[call-arg]

    def _scores(self, X: Any) -> Array:
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        return self.model_.predict(rows)

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer, shape (n_in, n_out)."""
        return [np.array([[p.item() for p in u.w] for u in layer.neurons]).T for layer in self.model_.layers]

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer, shape (n_out,)."""
        return [np.array([u.b.item() for u in layer.neurons]) for layer in self.model_.layers]


class _Penalty:
    """What alpha adds to the loss that is reported and watched; its gradient is the solver's weight_decay."""

    def __init__(self, coefficient: float) -> None:
        self.coefficient = coefficient

    def __call__(self, model: MLP) -> Value:
        return Value(0.5 * self.coefficient * sum(w.item() ** 2 for w in model.weights()))


class _AdaptiveRate:
    """scikit-learn's "adaptive": a fifth of the rate after more than `patience` epochs in a row no better by tol."""

    watches_losses = True

    def __init__(self, lr: float, patience: float, tol: float) -> None:
        self.lr, self.patience, self.tol = lr, patience, tol

    def __call__(self, k: int, losses: Sequence[float]) -> float:
        """The rate after these losses."""
        return self._after(losses)[0]

    def stop_when_slow(self, run: Run) -> None:
        """The callback that ends the training when the rate should fall and is very small already."""
        if self._after(run.history.watched)[1]:
            run.stop("the learning rate fell below 1e-6")

    def _after(self, losses: Sequence[float]) -> tuple[float, bool]:
        rate, best, waited = self.lr, inf, 0
        for loss in losses:
            waited = waited + 1 if loss > best - self.tol else 0
            best = min(best, loss)
            if waited > self.patience:
                if rate <= 1e-6:
                    return rate, True
                rate, waited = rate / 5.0, 0
        return rate, False


class MLPClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A multi-layer perceptron that predicts classes, trained on cross-entropy.

    Args:
        hidden_layer_sizes: the number of neurons in each hidden layer; () for a linear model.
        activation: "identity", "logistic", "tanh", "relu", or another primitive of one operand.
        solver: "sgd", "adam", "adamw", "adagrad" or "rmsprop": the rules of `ag.optim`.
        alpha: the strength of the penalty on large weights, alpha / 2 * sum w^2 over the size of a batch.
        batch_size: "auto" is min(32, n).
        learning_rate: "constant"; "invscaling", learning_rate_init / (step + 1)**power_t; or "adaptive", a fifth after
            n_iter_no_change epochs without progress by tol, as scikit-learn has it.
        learning_rate_init: the rate at the beginning.
        power_t: for "invscaling".
        max_iter: the largest number of epochs.
        shuffle: whether each epoch has another order.
        random_state: for the weights, the order and the validation split.
        tol, n_iter_no_change: training ends after n_iter_no_change epochs in a row whose loss, including the penalty,
            is not lower by tol; never, if that is infinite.
        verbose: whether to show a progress bar.
        momentum, nesterovs_momentum: for "sgd".
        early_stopping: hold out a share of the examples, stop by the loss on them, and keep the best weights.
        validation_fraction: the share.
        beta_1, beta_2, epsilon: for "adam" and "adamw".

    Attributes:
        classes_, n_features_in_, n_iter_, loss_, loss_curve_, coefs_, intercepts_: as scikit-learn's.
        model_: the `MLP`. history_: the `History` of its training.

    Example:
        >>> from autograd_lite.sklearn import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> classifier = MLPClassifier((4,), learning_rate_init=0.1, max_iter=500, random_state=0).fit(X, y)
        >>> classifier.predict([[-1.0], [4.0]]).tolist()
        ['low', 'high']
    """

    @_all_or_nothing
    def fit(self, X: Any, y: Any) -> MLPClassifier:
        """Train on examples X, shape (n, d), with labels y, shape (n,)."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"MLPClassifier needs at least 2 classes; the data has 1 class, {self.classes_[0]!r}")
        if len(self.classes_) == 2:
            self._train(X, labels, 1, losses.binary_cross_entropy_with_logits)
        else:
            self._train(X, labels, len(self.classes_), losses.cross_entropy)
        return self

    def decision_function(self, X: Any) -> Array:
        """The scores: shape (n,) for two classes, (n, k) for more."""
        return self._scores(X)

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, shape (n, k)."""
        scores = self._scores(X)
        if scores.ndim == 1:
            scores = np.column_stack([np.zeros(len(scores)), scores])
        parts = np.exp(scores - scores.max(axis=1, keepdims=True))
        return parts / parts.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of the probabilities, also where those underflow."""
        scores = self._scores(X)
        if scores.ndim == 1:
            scores = np.column_stack([np.zeros(len(scores)), scores])
        down = scores - scores.max(axis=1, keepdims=True)
        return down - np.log(np.exp(down).sum(axis=1, keepdims=True))  # type: ignore[no-any-return]

    def predict(self, X: Any) -> Array:
        """The labels, shape (n,)."""
        scores = self._scores(X)
        return self.classes_[(scores > 0.0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]  # type: ignore[no-any-return]


class MLPRegressor(RegressorMixin, MultiOutputMixin, _Network):  # type: ignore[misc]
    """A multi-layer perceptron for numbers, trained on half the squared error.

    Args:
        hidden_layer_sizes, activation, solver, alpha, ...: as for `MLPClassifier`.

    Attributes:
        n_features_in_, n_iter_, loss_, loss_curve_, coefs_, intercepts_: as scikit-learn's.
        model_: the `MLP`. history_: the `History` of its training.

    Example:
        >>> from autograd_lite.sklearn import MLPRegressor
        >>> X = [[0.0], [1.0], [2.0], [3.0]]
        >>> line = MLPRegressor((), learning_rate_init=0.1, max_iter=500, n_iter_no_change=50, random_state=0)
        >>> line = line.fit(X, [1.0, 3.0, 5.0, 7.0])
        >>> line.predict([[4.0]]).round(1)
        array([9.])
    """

    @_all_or_nothing
    def fit(self, X: Any, y: Any) -> MLPRegressor:
        """Train on examples X, shape (n, d), with targets y, shape (n,) or (n, k)."""
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._train(X, y.astype(np.float64), 1 if y.ndim == 1 else y.shape[1], losses.half_squared_error)
        return self

    def predict(self, X: Any) -> Array:
        """The numbers, shape (n,) or (n, k)."""
        return self._scores(X)


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
