"""Gradient transformations, of which update rules are made: clipping, weight decay, momentum, rescaling.

Each is a pair of functions, as in optax: `init(n)` gives a state, `update(g, state, w)` the updates and the next state;
nothing is changed in place. The names are optax's where it has the same (`ScaleByAdam` is its `scale_by_adam`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from autograd_lite.engine.checks import describe, flag, setting

if TYPE_CHECKING:
    import numpy as np

    Vector: TypeAlias = np.ndarray[Any, Any]


State: TypeAlias = dict[str, Any]


class Transform(Protocol):
    """A gradient transformation (optax's GradientTransformation): what the parts of a chain must have.

    Example:
        >>> class Sign:
        ...     def init(self, n):
        ...         return {}
        ...     def update(self, g, state, w):
        ...         return np.sign(g), state
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Optimizer([w], 0.25, Sign())
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> w.item()
        0.75
    """

    def init(self, n: int) -> State:
        """The state before the first step for n parameters: a dict of vectors of n and numbers."""

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state), from the updates of the transformation before (first the gradients) and parameters."""


def initial_state(transform: Any, n: int) -> State:
    """`transform.init(n)`; in a class written for earlier versions the method is called `start`."""
    init = getattr(transform, "init", None)
    if init is None or getattr(init, "__func__", None) is Transform.init:  # a subclass of Transform with `start` alone
        init = transform.start
    return init(n)  # type: ignore[no-any-return]


class _Transform:
    """What ours share: no state unless they say otherwise, and a repr that is the call that makes them."""

    def init(self, n: int) -> State:
        """The state before the first step for n parameters."""
        return {}

    def start(self, n: int) -> State:
        """The name of `init` in earlier versions."""
        return self.init(n)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


# --- clipping and decay ---------------------------------------------------------------------------------


class ClipValue(_Transform):
    """Clip each component of the gradient to [-limit, limit].

    Args:
        limit: above 0.

    Example:
        >>> ag.optim.ClipValue(1.0).update(np.array([0.5, -3.0]), {}, np.zeros(2))[0]
        array([ 0.5, -1. ])
    """

    def __init__(self, limit: float) -> None:
        self.limit: float = above_zero(limit, "ClipValue: limit")

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        return g.clip(-self.limit, self.limit), state


class ClipByGlobalNorm(_Transform):
    """Scale the whole gradient down to a Euclidean norm of `limit` if it is longer.

    Args:
        limit: above 0.

    Example:
        >>> ag.optim.ClipByGlobalNorm(1.0).update(np.array([3.0, 4.0]), {}, np.zeros(2))[0]
        array([0.6, 0.8])

    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013.
    """

    def __init__(self, limit: float) -> None:
        self.limit: float = above_zero(limit, f"{type(self).__name__}: limit")

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        import numpy as np

        largest = float(np.abs(g).max())
        if not 0.0 < largest < inf:
            return g, state
        norm = largest * float(np.linalg.norm(g / largest))  # the squares of an exploded gradient would overflow
        return (g * (self.limit / norm) if norm > self.limit else g), state


class _Penalty(_Transform):
    """The gradient of a penalty on large weights, added to the gradient."""

    def __init__(self, coefficient: float | Sequence[float]) -> None:
        self.coefficient = coefficient

    def init(self, n: int) -> State:
        """No state; a list of coefficients must have one for each parameter."""
        import numpy as np

        if np.shape(self.coefficient) not in ((), (n,)):
            raise ValueError(
                f"{type(self).__name__}: coefficient has shape {np.shape(self.coefficient)}, but there are {n} "
                "parameters; give one number, or one for each"
            )
        return {}


class AddDecayedWeights(_Penalty):
    """g + coefficient * w: the gradient of the penalty coefficient / 2 * sum w^2.

    After a transformation that rescales gradients it is decay decoupled from them, as in AdamW.

    Args:
        coefficient: a number, or one for each parameter (0 for those that do not decay).

    Example:
        >>> ag.optim.AddDecayedWeights(0.5).update(np.array([1.0, 1.0]), {}, np.array([4.0, -4.0]))[0]
        array([ 3., -1.])

    Source: the backpropagation slides, weight decay: lambda * sum w^2 gives the coefficient 2 lambda.
    """

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        return g + self.coefficient * w, state


class AddSign(_Penalty):
    """g + coefficient * sign(w): the gradient of the penalty coefficient * sum |w|, which makes weights vanish.

    Args:
        coefficient: a number, or one for each parameter.

    Example:
        >>> ag.optim.AddSign(0.5).update(np.array([1.0, 1.0]), {}, np.array([4.0, -4.0]))[0]
        array([1.5, 0.5])
    """

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        import numpy as np

        return g + self.coefficient * np.sign(w), state


# --- momentum and rescaling -------------------------------------------------------------------------------


class Momentum(_Transform):
    """v <- mu v + g; the update is v, or with Nesterov's look ahead g + mu v (optax's trace).

    Args:
        mu: the momentum, in [0, 1).
        nesterov: whether to look ahead.

    Example:
        >>> momentum, g = ag.optim.Momentum(0.5), np.array([1.0])
        >>> update, state = momentum.update(g, momentum.init(1), np.zeros(1))
        >>> momentum.update(g, state, np.zeros(1))[0]
        array([1.5])

    Source: the weight-update slides, momentum, with lr taken out of v (PyTorch's form: the
    same while lr is constant). Nesterov: Sutskever and others, 2013, in PyTorch's form.
    """

    mu: float
    nesterov: bool

    def __init__(self, mu: float, nesterov: bool = False) -> None:
        self.mu, self.nesterov = setting(mu, "Momentum: mu", 0.0, 1.0), flag(nesterov, "Momentum: nesterov")

    def init(self, n: int) -> State:
        """A velocity of 0."""
        return {"velocity": _zeros(n)}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        velocity = self.mu * state["velocity"] + g
        return (g + self.mu * velocity if self.nesterov else velocity), {"velocity": velocity}


class ScaleByAdagrad(_Transform):
    """AdaGrad's rescaling: cache <- cache + g^2; the update is g / (sqrt(cache) + eps).

    optax's scale_by_rss has eps within the root and a cache that begins at 0.1.

    Args:
        eps: keeps the quotient finite.

    Example:
        >>> adagrad = ag.optim.ScaleByAdagrad(eps=0.0)
        >>> update, state = adagrad.update(np.array([3.0]), adagrad.init(1), np.zeros(1))
        >>> adagrad.update(np.array([4.0]), state, np.zeros(1))[0]
        array([0.8])

    Source: the weight-update slides, AdaGrad; Duchi, Hazan and Singer, 2011.
    """

    def __init__(self, eps: float = 1e-10) -> None:
        self.eps: float = setting(eps, f"{type(self).__name__}: eps", 0.0)

    def init(self, n: int) -> State:
        """An empty cache."""
        return {"cache": _zeros(n)}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        cache = state["cache"] + g * g
        return _over_root(g, cache, self.eps), {"cache": cache}


class ScaleByRMS(_Transform):
    """RMSprop's rescaling: cache <- alpha cache + (1 - alpha) g^2; the update is g / (sqrt(cache) + eps).

    It is optax's scale_by_rms with eps_in_sqrt=False.

    Args:
        alpha: how much of the cache is kept, in [0, 1): the slides' decay_rate.
        eps: keeps the quotient finite.

    Example:
        >>> rms = ag.optim.ScaleByRMS(alpha=0.75, eps=0.0)
        >>> rms.update(np.array([3.0]), rms.init(1), np.zeros(1))[0]
        array([2.])

    Source: the weight-update slides, RMSprop; Hinton's lecture 6e, 2012.
    """

    def __init__(self, alpha: float = 0.99, eps: float = 1e-8) -> None:
        self.alpha: float = setting(alpha, f"{type(self).__name__}: alpha", 0.0, 1.0)
        self.eps: float = setting(eps, f"{type(self).__name__}: eps", 0.0)

    def init(self, n: int) -> State:
        """An empty cache."""
        return {"cache": _zeros(n)}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        cache = self.alpha * state["cache"] + (1.0 - self.alpha) * (g * g)
        return _over_root(g, cache, self.eps), {"cache": cache}


class ScaleByAdam(_Transform):
    """Adam's rescaling: running means of g and of g^2 (its first and second moments), and their quotient.

        m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  the update is m' / (sqrt(v') + eps)

    with m' = m / (1 - b1^t) and v' = v / (1 - b2^t) at step t = 1, 2, ..., or m and v themselves.

    Args:
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.
        corrected: divide by 1 - b^t, as in the paper; the slides leave it out.

    Example:
        >>> adam = ag.optim.ScaleByAdam(eps=0.0)
        >>> adam.update(np.array([3.0]), adam.init(1), np.zeros(1))[0].round(12)
        array([1.])

    Source: Kingma and Ba, Adam, 2015; the weight-update slides, Adam, which is corrected=False.
    """

    def __init__(self, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8, corrected: bool = True) -> None:
        self.betas: tuple[float, float] = checked_betas(betas, type(self).__name__)
        self.eps: float = setting(eps, f"{type(self).__name__}: eps", 0.0)
        self.corrected: bool = flag(corrected, f"{type(self).__name__}: corrected")

    def init(self, n: int) -> State:
        """Both means 0, no step taken."""
        return {"m": _zeros(n), "v": _zeros(n), "t": 0}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        b1, b2 = self.betas
        t = state["t"] + 1
        m = b1 * state["m"] + (1.0 - b1) * g
        v = b2 * state["v"] + (1.0 - b2) * (g * g)
        after = {"m": m, "v": v, "t": t}
        if self.corrected:
            m, v = m / (1.0 - b1**t), v / (1.0 - b2**t)
        return _over_root(m, v, self.eps), after


# --- earlier names ----------------------------------------------------------------------------------------


Piece = Transform
ClipNorm: TypeAlias = ClipByGlobalNorm
AddDecay: TypeAlias = AddDecayedWeights
DivideByAllSquares: TypeAlias = ScaleByAdagrad
DivideByMeanSquare: TypeAlias = ScaleByRMS
Moments: TypeAlias = ScaleByAdam

RENAMED = {
    "ClipNorm": "ClipByGlobalNorm",
    "AddDecay": "AddDecayedWeights",
    "DivideByAllSquares": "ScaleByAdagrad",
    "DivideByMeanSquare": "ScaleByRMS",
    "Moments": "ScaleByAdam",
}
"""Earlier names, which states and checkpoints saved then hold, and what they are called now."""


# --- helpers ------------------------------------------------------------------------------------------------


def _over_root(g: Vector, squares: Vector, eps: float) -> Vector:
    """g / (sqrt(squares) + eps), and 0 where a gradient that was always 0 meets eps = 0."""
    import numpy as np

    below = np.sqrt(squares) + eps
    return np.divide(g, below, out=np.zeros_like(g), where=below != 0.0)


def _zeros(n: int) -> Vector:
    import numpy as np

    return np.zeros(n)


def above_zero(x: Any, what: str) -> float:
    """A number above 0; otherwise an error that names what it was for."""
    value = setting(x, what, 0.0)
    if value == 0.0:
        raise ValueError(f"{what} must be above 0, got 0")
    return value


def checked_betas(betas: Any, who: str) -> tuple[float, float]:
    """The two decay rates of running means, each in [0, 1)."""
    if not isinstance(betas, Sequence) or isinstance(betas, str) or len(betas) != 2:
        raise TypeError(f"{who}: betas must be two numbers such as (0.9, 0.999), got {describe(betas)}")
    return setting(betas[0], f"{who}: betas[0]", 0.0, 1.0), setting(betas[1], f"{who}: betas[1]", 0.0, 1.0)
