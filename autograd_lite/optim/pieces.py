"""What rules are made of: transformations that turn gradients into updates (clipping, decay, momentum, moments)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from autograd_lite.engine.checks import describe, setting

if TYPE_CHECKING:
    import numpy as np

    Vector: TypeAlias = np.ndarray[Any, Any]


State: TypeAlias = dict[str, Any]


# --- pieces -------------------------------------------------------------------------------------------


class Piece(Protocol):
    """What a piece of a rule has to offer.

    Example:
        >>> class Sign:
        ...     def start(self, n):
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

    def start(self, n: int) -> State:
        """The state before the first step for n parameters: a dict of vectors of n and numbers."""

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, state after), from what the pieces before made of the gradients, and the parameters."""


class _Stateless:
    """A piece that remembers nothing."""

    def start(self, n: int) -> State:
        """No state."""
        return {}

    def __repr__(self) -> str:
        return _shown_piece(self)


def _shown_piece(piece: Any) -> str:
    return f"{type(piece).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(piece).items())})"


class AddDecay(_Stateless):
    """g + coefficient * w: the gradient of a penalty on large weights, coefficient / 2 * sum w^2.

    Behind a piece that rescales gradients it is decay decoupled from them, as in AdamW.

    Args:
        coefficient: a number, or one for each parameter (0 for those to be left alone).

    Example:
        >>> ag.optim.AddDecay(0.5).update(np.array([1.0, 1.0]), {}, np.array([4.0, -4.0]))[0]
        array([ 3., -1.])

    Source: the backpropagation slides, weight decay: lambda * sum w^2 gives the coefficient 2 lambda.
    """

    def __init__(self, coefficient: float | Sequence[float]) -> None:
        self.coefficient = coefficient

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, state after)."""
        return g + self.coefficient * w, state


class AddSign(_Stateless):
    """g + coefficient * sign(w): the gradient of the penalty coefficient * sum |w|, which makes weights vanish.

    Args:
        coefficient: a number, or one for each parameter.

    Example:
        >>> ag.optim.AddSign(0.5).update(np.array([1.0, 1.0]), {}, np.array([4.0, -4.0]))[0]
        array([1.5, 0.5])
    """

    def __init__(self, coefficient: float | Sequence[float]) -> None:
        self.coefficient = coefficient

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, state after)."""
        import numpy as np

        return g + self.coefficient * np.sign(w), state


class ClipValue(_Stateless):
    """Each component of the gradient kept within [-limit, limit].

    Args:
        limit: above 0.

    Example:
        >>> ag.optim.ClipValue(1.0).update(np.array([0.5, -3.0]), {}, np.zeros(2))[0]
        array([ 0.5, -1. ])
    """

    def __init__(self, limit: float) -> None:
        self.limit = above_zero(limit, "ClipValue: limit")

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, state after)."""
        return g.clip(-self.limit, self.limit), state


class ClipNorm(_Stateless):
    """The whole gradient scaled down to a Euclidean norm of `limit` where it is longer.

    Args:
        limit: above 0.

    Example:
        >>> ag.optim.ClipNorm(1.0).update(np.array([3.0, 4.0]), {}, np.zeros(2))[0]
        array([0.6, 0.8])

    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013.
    """

    def __init__(self, limit: float) -> None:
        self.limit = above_zero(limit, "ClipNorm: limit")

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, state after)."""
        import numpy as np

        largest = float(np.abs(g).max())
        if not 0.0 < largest < inf:
            return g, state
        norm = largest * float(np.linalg.norm(g / largest))  # no overflow where the gradient has exploded
        return (g * (self.limit / norm) if norm > self.limit else g), state


class Momentum:
    """v <- mu v + g; the update is v, or with Nesterov's look ahead g + mu v.

    Args:
        mu: the momentum, in [0, 1).
        nesterov: whether to look ahead.

    Example:
        >>> piece, g = ag.optim.Momentum(0.5), np.array([1.0])
        >>> update, state = piece.update(g, piece.start(1), np.zeros(1))
        >>> piece.update(g, state, np.zeros(1))[0]
        array([1.5])

    Source: the weight-update slides, momentum, with lr taken out of v (PyTorch's form: the
    same while lr is constant). Nesterov: Sutskever and others, 2013, in PyTorch's form.
    """

    def __init__(self, mu: float, nesterov: bool = False) -> None:
        self.mu, self.nesterov = setting(mu, "Momentum: mu", 0.0, 1.0), bool(nesterov)

    def start(self, n: int) -> State:
        """No velocity."""
        return {"velocity": _zeros(n)}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, state after)."""
        velocity = self.mu * state["velocity"] + g
        return (g + self.mu * velocity if self.nesterov else velocity), {"velocity": velocity}

    __repr__ = _shown_piece


class DivideByAllSquares:
    """AdaGrad's rescaling: cache <- cache + g^2; the update is g / (sqrt(cache) + eps).

    Args:
        eps: keeps the quotient finite.

    Example:
        >>> piece = ag.optim.DivideByAllSquares(eps=0.0)
        >>> update, state = piece.update(np.array([3.0]), piece.start(1), np.zeros(1))
        >>> piece.update(np.array([4.0]), state, np.zeros(1))[0]
        array([0.8])

    Source: the weight-update slides, AdaGrad; Duchi, Hazan and Singer, 2011.
    """

    def __init__(self, eps: float = 1e-10) -> None:
        self.eps = setting(eps, "DivideByAllSquares: eps", 0.0)

    def start(self, n: int) -> State:
        """An empty cache."""
        return {"cache": _zeros(n)}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, state after)."""
        cache = state["cache"] + g * g
        return _quotient(g, cache, self.eps), {"cache": cache}

    __repr__ = _shown_piece


class DivideByMeanSquare:
    """RMSprop's rescaling: cache <- alpha cache + (1 - alpha) g^2; the update is g / (sqrt(cache) + eps).

    Args:
        alpha: how much of the cache is kept, in [0, 1): the slides' decay_rate.
        eps: keeps the quotient finite.

    Example:
        >>> piece = ag.optim.DivideByMeanSquare(alpha=0.75, eps=0.0)
        >>> piece.update(np.array([3.0]), piece.start(1), np.zeros(1))[0]
        array([2.])

    Source: the weight-update slides, RMSprop; Hinton's lecture 6e, 2012.
    """

    def __init__(self, alpha: float = 0.99, eps: float = 1e-8) -> None:
        self.alpha = setting(alpha, "DivideByMeanSquare: alpha", 0.0, 1.0)
        self.eps = setting(eps, "DivideByMeanSquare: eps", 0.0)

    def start(self, n: int) -> State:
        """An empty cache."""
        return {"cache": _zeros(n)}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, state after)."""
        cache = self.alpha * state["cache"] + (1.0 - self.alpha) * (g * g)
        return _quotient(g, cache, self.eps), {"cache": cache}

    __repr__ = _shown_piece


class Moments:
    """Adam's rescaling: running means of g and of g^2, and their quotient.

        m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  the update is m' / (sqrt(v') + eps)

    with m' = m / (1 - b1^t) and v' = v / (1 - b2^t) at step t = 1, 2, ..., or m and v as they are.

    Args:
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.
        corrected: divide by 1 - b^t, as in the paper; the slides leave it out.

    Example:
        >>> piece = ag.optim.Moments(eps=0.0)
        >>> piece.update(np.array([3.0]), piece.start(1), np.zeros(1))[0].round(12)
        array([1.])

    Source: Kingma and Ba, Adam, 2015; the weight-update slides, Adam, which is corrected=False.
    """

    def __init__(self, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8, corrected: bool = True) -> None:
        self.betas = checked_betas(betas, "Moments")
        self.eps = setting(eps, "Moments: eps", 0.0)
        self.corrected = bool(corrected)

    def start(self, n: int) -> State:
        """Both means 0, no step taken."""
        return {"m": _zeros(n), "v": _zeros(n), "t": 0}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, state after)."""
        b1, b2 = self.betas
        t = state["t"] + 1
        m = b1 * state["m"] + (1.0 - b1) * g
        v = b2 * state["v"] + (1.0 - b2) * (g * g)
        after = {"m": m, "v": v, "t": t}
        if self.corrected:
            m, v = m / (1.0 - b1**t), v / (1.0 - b2**t)
        return _quotient(m, v, self.eps), after

    __repr__ = _shown_piece


def _quotient(g: Vector, squares: Vector, eps: float) -> Vector:
    """g / (sqrt(squares) + eps), and 0 where a gradient that was always 0 meets eps = 0."""
    import numpy as np

    below = np.sqrt(squares) + eps
    return np.divide(g, below, out=np.zeros_like(g), where=below != 0.0)


def _zeros(n: int) -> Vector:
    import numpy as np

    return np.zeros(n)


def above_zero(x: Any, what: str) -> float:
    """A number above 0, or a refusal that says what it was for."""
    value = setting(x, what, 0.0)
    if value == 0.0:
        raise ValueError(f"{what} must be above 0, got 0")
    return value


def checked_betas(betas: Any, who: str) -> tuple[float, float]:
    """The two decay rates of moments, each in [0, 1)."""
    if not isinstance(betas, Sequence) or isinstance(betas, str) or len(betas) != 2:
        raise TypeError(f"{who}: betas must be two numbers such as (0.9, 0.999), got {describe(betas)}")
    return setting(betas[0], f"{who}: betas[0]", 0.0, 1.0), setting(betas[1], f"{who}: betas[1]", 0.0, 1.0)
