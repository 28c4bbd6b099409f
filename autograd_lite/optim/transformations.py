"""Gradient transformations, of which update rules are made: clipping, weight decay, momentum, rescaling.

Each is a pair of functions, as in optax: `init(n)` gives a state, `update(g, state, w)` the updates and the next state;
nothing is changed in place. The names are optax's where it has the same (`ScaleByAdam` is its `scale_by_adam`). The
vectors are NumPy's, or plain ones where it is not installed (vectors.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from autograd_lite.engine.checks import describe, flag, setting
from autograd_lite.optim import vectors
from autograd_lite.optim.vectors import full, over

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
        largest = vectors.largest(g)
        if not 0.0 < largest < inf:
            return g, state
        norm = largest * vectors.norm(g / largest)  # the squares of an exploded gradient would overflow
        return (g * (self.limit / norm) if norm > self.limit else g), state


class _Penalty(_Transform):
    """The gradient of a penalty on large weights, added to the gradient."""

    def __init__(self, coefficient: float | Sequence[float]) -> None:
        self.coefficient = coefficient

    @property
    def each(self) -> Sequence[float]:
        """The coefficients, if there is one for each parameter in a list."""
        return self.coefficient if isinstance(self.coefficient, Sequence) else ()

    def init(self, n: int) -> State:
        """No state; a list of coefficients must have one for each parameter."""
        shape = getattr(self.coefficient, "shape", (len(self.each),) if self.each else ())
        if shape not in ((), (n,)):
            raise ValueError(
                f"{type(self).__name__}: coefficient has shape {shape}, but there are {n} "
                "parameters; give one number, or one for each"
            )
        return {}

    def coefficients(self) -> Any:
        """The coefficient as a factor of a vector."""
        return vectors.vector(self.each) if self.each else self.coefficient


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
        return g + self.coefficients() * w, state


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
        return g + self.coefficients() * vectors.sign(w), state


# --- momentum and rescaling -------------------------------------------------------------------------------


class Momentum(_Transform):
    """v <- mu v + (1 - dampening) g; the update is v, or with Nesterov's look ahead g + mu v (optax's trace).

    Args:
        mu: the momentum, in [0, 1).
        nesterov: whether to look ahead.
        dampening: in [0, 1]; the first gradient is taken whole, as in PyTorch.

    Raises:
        TypeError, ValueError: an argument is out of its range; nesterov with dampening.

    Example:
        >>> momentum, g = ag.optim.Momentum(0.5), np.array([1.0])
        >>> update, state = momentum.update(g, momentum.init(1), np.zeros(1))
        >>> momentum.update(g, state, np.zeros(1))[0]
        array([1.5])

    Source: the weight-update slides, momentum, with lr taken out of v (PyTorch's form: the
    same while lr is constant). Nesterov: Sutskever and others, 2013, in PyTorch's form.
    """

    def __init__(self, mu: float, nesterov: bool = False, dampening: float = 0.0) -> None:
        self.mu: float = setting(mu, "Momentum: mu", 0.0, 1.0)
        self.nesterov: bool = flag(nesterov, "Momentum: nesterov")
        if dampening:  # kept only then, so that the text of a chain in a checkpoint is as it was
            self.dampening: float = share(dampening, "Momentum: dampening")
            if nesterov:
                raise ValueError("Momentum: nesterov goes without dampening")

    def init(self, n: int) -> State:
        """A velocity of 0."""
        return {"velocity": full(n, 0.0)} | ({"t": 0} if hasattr(self, "dampening") else {})

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        if "t" in state:
            kept = 1.0 - self.dampening if state["t"] else 1.0
            velocity = self.mu * state["velocity"] + kept * g
            return velocity, {"velocity": velocity, "t": state["t"] + 1}
        velocity = self.mu * state["velocity"] + g
        return (g + self.mu * velocity if self.nesterov else velocity), {"velocity": velocity}


class ScaleByAdagrad(_Transform):
    """AdaGrad's rescaling: cache <- cache + g^2; the update is g / (sqrt(cache) + eps).

    optax's scale_by_rss has eps within the root and a cache that begins at 0.1.

    Args:
        eps: keeps the quotient finite.
        initial: what the cache begins with.

    Example:
        >>> adagrad = ag.optim.ScaleByAdagrad(eps=0.0)
        >>> update, state = adagrad.update(np.array([3.0]), adagrad.init(1), np.zeros(1))
        >>> adagrad.update(np.array([4.0]), state, np.zeros(1))[0]
        array([0.8])

    Source: the weight-update slides, AdaGrad; Duchi, Hazan and Singer, 2011.
    """

    def __init__(self, eps: float = 1e-10, initial: float = 0.0) -> None:
        self.eps: float = setting(eps, f"{type(self).__name__}: eps", 0.0)
        if initial:  # kept only then, so that the text of a chain in a checkpoint is as it was
            self.initial: float = setting(initial, f"{type(self).__name__}: initial", 0.0)

    def init(self, n: int) -> State:
        """The cache as it begins."""
        return {"cache": full(n, getattr(self, "initial", 0.0))}

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
        centered: divide by the root of the variance, cache - mean^2, with a running mean of g.

    Example:
        >>> rms = ag.optim.ScaleByRMS(alpha=0.75, eps=0.0)
        >>> rms.update(np.array([3.0]), rms.init(1), np.zeros(1))[0]
        array([2.])

    Source: the weight-update slides, RMSprop; Hinton's lecture 6e, 2012. Centered: Graves, 2013.
    """

    def __init__(self, alpha: float = 0.99, eps: float = 1e-8, centered: bool = False) -> None:
        self.alpha: float = setting(alpha, f"{type(self).__name__}: alpha", 0.0, 1.0)
        self.eps: float = setting(eps, f"{type(self).__name__}: eps", 0.0)
        if flag(centered, f"{type(self).__name__}: centered"):  # as for Momentum's dampening
            self.centered = True

    def init(self, n: int) -> State:
        """An empty cache."""
        return {"cache": full(n, 0.0)} | ({"mean": full(n, 0.0)} if hasattr(self, "centered") else {})

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        cache = self.alpha * state["cache"] + (1.0 - self.alpha) * (g * g)
        if "mean" not in state:
            return _over_root(g, cache, self.eps), {"cache": cache}
        mean = self.alpha * state["mean"] + (1.0 - self.alpha) * g
        # A gradient that does not change has the variance 0, which rounding may take below 0.
        return _over_root(g, vectors.maximum(cache - mean * mean, 0.0), self.eps), {"cache": cache, "mean": mean}


class ScaleByAdadelta(_Transform):
    """Adadelta's rescaling: updates as long as the running mean of those before, so that lr has no unit.

        cache <- rho cache + (1 - rho) g^2;  u = g sqrt(moved + eps) / sqrt(cache + eps)
        moved <- rho moved + (1 - rho) u^2;  the update is u

    Args:
        rho: how much of both means is kept, in [0, 1).
        eps: the first updates are about its root long.

    Example:
        >>> adadelta = ag.optim.ScaleByAdadelta(rho=0.75, eps=1.0)
        >>> adadelta.update(np.array([2.0]), adadelta.init(1), np.zeros(1))[0].round(6)
        array([1.414214])

    Source: Zeiler, Adadelta, 2012.
    """

    def __init__(self, rho: float = 0.9, eps: float = 1e-6) -> None:
        self.rho: float = setting(rho, f"{type(self).__name__}: rho", 0.0, 1.0)
        self.eps: float = setting(eps, f"{type(self).__name__}: eps", 0.0)

    def init(self, n: int) -> State:
        """Both means 0."""
        return {"cache": full(n, 0.0), "moved": full(n, 0.0)}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        cache = self.rho * state["cache"] + (1.0 - self.rho) * (g * g)
        update = over(vectors.sqrt(state["moved"] + self.eps), vectors.sqrt(cache + self.eps)) * g
        return update, {"cache": cache, "moved": self.rho * state["moved"] + (1.0 - self.rho) * (update * update)}


class ScaleByAdam(_Transform):
    """Adam's rescaling: running means of g and of g^2 (its first and second moments), and their quotient.

        m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  the update is m' / (sqrt(v') + eps)

    with m' = m / (1 - b1^t) and v' = v / (1 - b2^t) at step t = 1, 2, ..., or m and v themselves.

    Args:
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.
        corrected: divide by 1 - b^t, as in the paper; the slides leave it out.
        amsgrad: the largest v so far in place of v, so that no rate rises again.

    Example:
        >>> adam = ag.optim.ScaleByAdam(eps=0.0)
        >>> adam.update(np.array([3.0]), adam.init(1), np.zeros(1))[0].round(12)
        array([1.])

    Source: Kingma and Ba, Adam, 2015; the weight-update slides, Adam, which is corrected=False. AMSGrad: Reddi, Kale
    and Kumar, On the convergence of Adam and beyond, 2018, as in PyTorch: the largest v is that before correction.
    """

    def __init__(
        self, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8, corrected: bool = True, amsgrad: bool = False
    ) -> None:
        self.betas: tuple[float, float] = checked_betas(betas, type(self).__name__)
        self.eps: float = setting(eps, f"{type(self).__name__}: eps", 0.0)
        self.corrected: bool = flag(corrected, f"{type(self).__name__}: corrected")
        if flag(amsgrad, f"{type(self).__name__}: amsgrad"):  # as for Momentum's dampening
            self.amsgrad = True

    def init(self, n: int) -> State:
        """Both means 0, no step taken."""
        return _moments(n) | ({"largest_v": full(n, 0.0)} if hasattr(self, "amsgrad") else {})

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        m, v, t, after = _next_moments(g, state, self.betas)
        if "largest_v" in state:
            after["largest_v"] = v = vectors.maximum(state["largest_v"], v)
        if self.corrected:
            b1, b2 = self.betas
            m, v = m / (1.0 - b1**t), v / (1.0 - b2**t)
        return _over_root(m, v, self.eps), after


class ScaleByAdamax(_Transform):
    """Adamax' rescaling: Adam with the largest gradient, which decays, in place of the root of the mean square.

        m <- b1 m + (1 - b1) g;  v <- max(b2 v, |g| + eps);  the update is m / (1 - b1^t) / v

    Args:
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.

    Example:
        >>> adamax = ag.optim.ScaleByAdamax(eps=0.0)
        >>> adamax.update(np.array([3.0]), adamax.init(1), np.zeros(1))[0].round(12)
        array([1.])

    Source: Kingma and Ba, Adam, 2015, section 7.1.
    """

    def __init__(self, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        self.betas: tuple[float, float] = checked_betas(betas, type(self).__name__)
        self.eps: float = setting(eps, f"{type(self).__name__}: eps", 0.0)

    def init(self, n: int) -> State:
        """Mean and largest 0, no step taken."""
        return _moments(n)

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        b1, b2 = self.betas
        t = state["t"] + 1
        m = b1 * state["m"] + (1.0 - b1) * g
        v = vectors.maximum(b2 * state["v"], abs(g) + self.eps)
        return over(m / (1.0 - b1**t), v), {"m": m, "v": v, "t": t}


class ScaleByNAdam(_Transform):
    """NAdam's rescaling: Adam with Nesterov's look ahead, and a first decay rate that grows to b1.

        mu_t = b1 (1 - 0.96^(t momentum_decay) / 2)
        the update is ((1 - mu_t) g / (1 - mu_1 ... mu_t) + mu_(t+1) m / (1 - mu_1 ... mu_(t+1))) / (sqrt(v') + eps)

    with m, v and v' as in `ScaleByAdam`.

    Args:
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.
        momentum_decay: how fast mu_t grows.

    Example:
        >>> nadam = ag.optim.ScaleByNAdam(eps=0.0, momentum_decay=0.0)
        >>> nadam.update(np.array([3.0]), nadam.init(1), np.zeros(1))[0].round(6)
        array([1.056426])

    Source: Dozat, Incorporating Nesterov momentum into Adam, 2016, as in PyTorch.
    """

    def __init__(self, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8, momentum_decay: float = 4e-3) -> None:
        self.betas: tuple[float, float] = checked_betas(betas, type(self).__name__)
        self.eps: float = setting(eps, f"{type(self).__name__}: eps", 0.0)
        self.momentum_decay: float = setting(momentum_decay, f"{type(self).__name__}: momentum_decay", 0.0)

    def init(self, n: int) -> State:
        """Both means 0, no step taken."""
        return _moments(n) | {"product": 1.0}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        m, v, t, after = _next_moments(g, state, self.betas)
        mu, ahead = (self.betas[0] * (1.0 - 0.5 * 0.96 ** (k * self.momentum_decay)) for k in (t, t + 1))
        after["product"] = product = state["product"] * mu
        mixed = (1.0 - mu) / (1.0 - product) * g + ahead / (1.0 - product * ahead) * m
        return _over_root(mixed, v / (1.0 - self.betas[1] ** t), self.eps), after


class ScaleByRAdam(_Transform):
    """RAdam's rescaling: Adam, rectified for the variance of v' in the first steps, in which it is plain momentum.

        r_t = r - 2 t b2^t / (1 - b2^t)  with  r = 2 / (1 - b2) - 1
        the update is m' if r_t <= 5, else m' / (sqrt(v') + eps) sqrt((r_t - 4)(r_t - 2) r / ((r - 4)(r - 2) r_t))

    with m' and v' as in `ScaleByAdam`, and eps added to the root of v before the correction.

    Args:
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.

    Example:
        >>> radam = ag.optim.ScaleByRAdam()
        >>> radam.update(np.array([3.0]), radam.init(1), np.zeros(1))[0].round(12)
        array([3.])

    Source: Liu and others, On the variance of the adaptive learning rate and beyond, 2020, as in PyTorch.
    """

    def __init__(self, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        self.betas: tuple[float, float] = checked_betas(betas, type(self).__name__)
        self.eps: float = setting(eps, f"{type(self).__name__}: eps", 0.0)

    def init(self, n: int) -> State:
        """Both means 0, no step taken."""
        return _moments(n)

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        b1, b2 = self.betas
        m, v, t, after = _next_moments(g, state, self.betas)
        m, missing = m / (1.0 - b1**t), 1.0 - b2**t
        r = 2.0 / (1.0 - b2) - 1.0
        rt = r - 2.0 * t * b2**t / missing
        if rt <= 5.0:
            return m, after
        rectified = sqrt((rt - 4.0) * (rt - 2.0) * r / ((r - 4.0) * (r - 2.0) * rt))
        return _over_root(m, v, self.eps) * (rectified * sqrt(missing)), after


class ScaleByRprop(_Transform):
    """Rprop: each parameter's own step, longer while its gradient keeps its sign, shorter when that changes.

        step <- step * (up if g_t g_(t-1) > 0, down if < 0, else 1), held to [least, most];  the update is sign(g) step

    A gradient whose sign has changed counts as 0, so that such a step is not taken back. For whole batches: with
    mini-batches signs change by chance.

    Args:
        first: the first step of each parameter.
        etas: (down, up), with 0 < down < 1 < up.
        step_sizes: (least, most).

    Example:
        >>> rprop = ag.optim.ScaleByRprop(first=0.5)
        >>> update, state = rprop.update(np.array([3.0]), rprop.init(1), np.zeros(1))
        >>> update, rprop.update(np.array([2.0]), state, np.zeros(1))[0]
        (array([0.5]), array([0.6]))

    Source: Riedmiller and Braun, A direct adaptive method for faster backpropagation learning, 1993, as in PyTorch.
    """

    def __init__(
        self, first: float = 1e-2, etas: Sequence[float] = (0.5, 1.2), step_sizes: Sequence[float] = (1e-6, 50.0)
    ) -> None:
        who = type(self).__name__
        self.first: float = setting(first, f"{who}: first", 0.0)
        down, up = pair(etas, who, "etas", "(0.5, 1.2)")
        self.etas: tuple[float, float] = setting(down, f"{who}: etas[0]", 0.0, 1.0), setting(up, f"{who}: etas[1]", 1.0)
        least, most = pair(step_sizes, who, "step_sizes", "(1e-6, 50)")
        least = setting(least, f"{who}: step_sizes[0]", 0.0)
        self.step_sizes: tuple[float, float] = least, setting(most, f"{who}: step_sizes[1]", least)

    def init(self, n: int) -> State:
        """No gradient before, and the first steps."""
        return {"before": full(n, 0.0), "step": full(n, self.first)}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        # Signs are compared, not g_t g_(t-1) with 0: the product of two small gradients is 0.
        turned = vectors.sign(g) * vectors.sign(state["before"])
        factor = vectors.where(turned > 0.0, self.etas[1], vectors.where(turned < 0.0, self.etas[0], 1.0))
        step = (state["step"] * factor).clip(*self.step_sizes)
        g = vectors.where(turned < 0.0, 0.0, g)
        return vectors.sign(g) * step, {"before": g, "step": step}


class ScaleByLion(_Transform):
    """Lion: the sign of a mix of gradient and momentum, so that all parameters move equally far.

        the update is sign(b1 m + (1 - b1) g);  m <- b2 m + (1 - b2) g

    Args:
        betas: (b1, b2), each in [0, 1).

    Example:
        >>> lion = ag.optim.ScaleByLion()
        >>> lion.update(np.array([3.0, -0.5]), lion.init(2), np.zeros(2))[0]
        array([ 1., -1.])

    Source: Chen and others, Symbolic discovery of optimization algorithms, 2023; optax's scale_by_lion.
    """

    def __init__(self, betas: Sequence[float] = (0.9, 0.99)) -> None:
        self.betas: tuple[float, float] = checked_betas(betas, type(self).__name__)

    def init(self, n: int) -> State:
        """A mean of 0."""
        return {"m": full(n, 0.0)}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        (b1, b2), m = self.betas, state["m"]
        return vectors.sign(b1 * m + (1.0 - b1) * g), {"m": b2 * m + (1.0 - b2) * g}


def _moments(n: int) -> State:
    return {"m": full(n, 0.0), "v": full(n, 0.0), "t": 0}


def _next_moments(g: Vector, state: State, betas: tuple[float, float]) -> tuple[Vector, Vector, int, State]:
    """(m, v, t, the state with them): the running means of g and g^2 at step t."""
    b1, b2 = betas
    t = state["t"] + 1
    m = b1 * state["m"] + (1.0 - b1) * g
    v = b2 * state["v"] + (1.0 - b2) * (g * g)
    return m, v, t, {"m": m, "v": v, "t": t}


# --- the average of the weights -------------------------------------------------------------------------------


class AverageWeights(_Transform):
    """Keeps an average of the parameters beside them; the updates go through unchanged.

        average <- decay average + (1 - decay) w,  or with decay=None the mean of w after all steps

    The first average is w after the first step. Read it by `Optimizer.averages` and `Optimizer.averaged`.

    Args:
        decay: how much of the average is kept, in [0, 1); None for the plain mean of stochastic weight averaging.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Optimizer([w], 0.25, ag.optim.AverageWeights(0.5))
        >>> for _ in range(2):
        ...     w.grad = 1.0
        ...     optimizer.step()
        >>> w.item(), optimizer.averages
        (0.5, [0.625])

    Source: Polyak and Juditsky, 1992; Izmailov and others, Averaging weights leads to wider optima, 2018;
    PyTorch's AveragedModel with get_ema_multi_avg_fn, Keras' use_ema.
    """

    def __init__(self, decay: float | None = 0.999) -> None:
        self.decay: float | None = None if decay is None else setting(decay, "AverageWeights: decay", 0.0, 1.0)

    def init(self, n: int) -> State:
        """No step taken."""
        return {"average": full(n, 0.0), "t": 0}

    def update(self, g: Vector, state: State, w: Vector) -> tuple[Vector, State]:
        """(updates, next state)."""
        return g, state

    def after_step(self, state: State, w: Vector) -> State:
        """The next state, from the parameters after the step."""
        t = state["t"] + 1
        decay = (t - 1) / t if self.decay is None or t == 1 else self.decay
        return {"average": decay * state["average"] + (1.0 - decay) * w, "t": t}


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
    return over(g, vectors.sqrt(squares) + eps)


def above_zero(x: Any, what: str) -> float:
    """A number above 0; otherwise an error that names what it was for."""
    value = setting(x, what, 0.0)
    if value == 0.0:
        raise ValueError(f"{what} must be above 0, got 0")
    return value


def share(x: Any, what: str) -> float:
    """A number in [0, 1]; otherwise an error that names what it was for."""
    value = setting(x, what, 0.0)
    if value > 1.0:
        raise ValueError(f"{what} must be in [0, 1], got {value:g}")
    return value


def checked_betas(betas: Any, who: str, name: str = "betas") -> tuple[float, float]:
    """The two decay rates of running means, each in [0, 1)."""
    first, second = pair(betas, who, name, "(0.9, 0.999)")
    return setting(first, f"{who}: {name}[0]", 0.0, 1.0), setting(second, f"{who}: {name}[1]", 0.0, 1.0)


def pair(given: Any, who: str, name: str, example: str) -> tuple[Any, Any]:
    """Two numbers, or a refusal with an example."""
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != 2:
        raise TypeError(f"{who}: {name} must be two numbers such as {example}, got {describe(given)}")
    return given[0], given[1]
