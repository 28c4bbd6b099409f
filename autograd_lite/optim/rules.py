"""Update rules by name: SGD, Adagrad, RMSprop, Adam and AdamW, each a chain of gradient transformations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from autograd_lite.engine.checks import describe, did_you_mean, flag, setting
from autograd_lite.engine.value import Value
from autograd_lite.optim.optimizer import Optimizer
from autograd_lite.optim.transformations import (
    AddDecayedWeights,
    ClipByGlobalNorm,
    ClipValue,
    Momentum,
    ScaleByAdagrad,
    ScaleByAdam,
    ScaleByRMS,
    Transform,
    above_zero,
    checked_betas,
)

Decay: TypeAlias = float | Sequence[float]


class SGD(Optimizer):
    """Gradient descent, with momentum and weight decay if wanted.

        g <- g + weight_decay w + 2 l2 w;  v <- momentum v + g;  w <- w - lr v

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        momentum: in [0, 1); 0 is plain gradient descent.
        nesterov: look ahead: the step is g + momentum v.
        weight_decay: adds weight_decay w to the gradient; a number, or one for each parameter.
        l2: the slides' penalty l2 * sum w^2, which adds 2 l2 w to the gradient.
        clip_value: clip each component of the gradient to [-clip_value, clip_value].
        clip_norm: scale the gradient down to this norm if it is longer. Clipping comes before decay.
        allow_nonfinite: take a step from or to numbers that are NaN or infinite, instead of refusing.

    Raises:
        TypeError: params are not leaves, or a setting is not a number.
        ValueError: a setting is out of its range; nesterov without momentum.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.SGD([w], lr=0.1)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> w.item()
        0.8

    Source: the weight-update slides (vanilla update, momentum); the backpropagation slides (weight decay).
    """

    __slots__ = ()

    def __init__(
        self, params: Iterable[Value], lr: float | Callable[[int], float] = 1e-2, momentum: float = 0.0,
        nesterov: bool = False, weight_decay: Decay = 0.0, l2: float = 0.0, *, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        mu = setting(momentum, "SGD: momentum", 0.0, 1.0)
        if flag(nesterov, "SGD: nesterov") and not mu:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        first = _clipping_and_decay("SGD", clip_value, clip_norm, weight_decay, l2)
        super().__init__(params, lr, *first, *_momentum(mu, nesterov), allow_nonfinite=allow_nonfinite)


class Adagrad(Optimizer):
    """AdaGrad: each parameter's rate falls with the squares of all its gradients.

        cache <- cache + g^2;  w <- w - lr g / (sqrt(cache) + eps)

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        eps: keeps the quotient finite.
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError, ValueError: as for `SGD`.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Adagrad([w], lr=0.1)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(w.item(), 6)
        0.9

    Source: the weight-update slides; Duchi, Hazan and Singer, 2011.
    """

    __slots__ = ()

    def __init__(
        self, params: Iterable[Value], lr: float | Callable[[int], float] = 1e-2, eps: float = 1e-10,
        weight_decay: Decay = 0.0, l2: float = 0.0, *, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        first = _clipping_and_decay("Adagrad", clip_value, clip_norm, weight_decay, l2)
        scale = ScaleByAdagrad(setting(eps, "Adagrad: eps", 0.0))
        super().__init__(params, lr, *first, scale, allow_nonfinite=allow_nonfinite)


class RMSprop(Optimizer):
    """RMSprop: each gradient is divided by the root of a running mean of its squares.

        cache <- alpha cache + (1 - alpha) g^2;  w <- w - lr g / (sqrt(cache) + eps)

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        alpha: how much of the cache is kept, in [0, 1); the slides' decay_rate.
        eps: keeps the quotient finite.
        momentum: of the rescaled gradients, in [0, 1).
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError, ValueError: as for `SGD`.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.RMSprop([w], lr=0.01)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(w.item(), 6)
        0.9

    Source: the weight-update slides; Hinton's lecture 6e, 2012.
    """

    __slots__ = ()

    def __init__(
        self, params: Iterable[Value], lr: float | Callable[[int], float] = 1e-2, alpha: float = 0.99,
        eps: float = 1e-8, momentum: float = 0.0, weight_decay: Decay = 0.0, l2: float = 0.0, *,
        clip_value: float | None = None, clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        first = _clipping_and_decay("RMSprop", clip_value, clip_norm, weight_decay, l2)
        scale = ScaleByRMS(setting(alpha, "RMSprop: alpha", 0.0, 1.0), setting(eps, "RMSprop: eps", 0.0))
        last = _momentum(setting(momentum, "RMSprop: momentum", 0.0, 1.0))
        super().__init__(params, lr, *first, scale, *last, allow_nonfinite=allow_nonfinite)


class Adam(Optimizer):
    """Adam: running means of the gradient and of its square, and their quotient.

        m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
        w <- w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)   at step t = 1, 2, ...

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.
        corrected: divide by 1 - b^t, as in the paper; False is the slides' form, m / (sqrt(v) + eps).
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError, ValueError: as for `SGD`.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Adam([w], lr=0.1)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(w.item(), 6)
        0.9

    Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015; the weight-update slides.
    """

    __slots__ = ()

    def __init__(
        self, params: Iterable[Value], lr: float | Callable[[int], float] = 1e-3,
        betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: Decay = 0.0, l2: float = 0.0, *,
        corrected: bool = True, clip_value: float | None = None, clip_norm: float | None = None,
        allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        first = _clipping_and_decay("Adam", clip_value, clip_norm, weight_decay, l2)
        scale = ScaleByAdam(checked_betas(betas, "Adam"), setting(eps, "Adam: eps", 0.0), corrected)
        super().__init__(params, lr, *first, scale, allow_nonfinite=allow_nonfinite)


class AdamW(Optimizer):
    """Adam with weight decay decoupled from the gradient: w also shrinks by lr * weight_decay * w.

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        betas, eps, corrected: as for `Adam`.
        weight_decay: the share of a parameter subtracted at each step, times lr; not part of the running means.
        l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError, ValueError: as for `SGD`.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.AdamW([w], lr=0.1, weight_decay=0.5)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(w.item(), 6)
        0.85

    Source: Loshchilov and Hutter, Decoupled weight decay regularization, 2019.
    """

    __slots__ = ()

    def __init__(
        self, params: Iterable[Value], lr: float | Callable[[int], float] = 1e-3,
        betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: Decay = 1e-2, l2: float = 0.0, *,
        corrected: bool = True, clip_value: float | None = None, clip_norm: float | None = None,
        allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        first = _clipping_and_decay("AdamW", clip_value, clip_norm, 0.0, l2)
        scale = ScaleByAdam(checked_betas(betas, "AdamW"), setting(eps, "AdamW: eps", 0.0), corrected)
        last = _decay("AdamW", weight_decay)  # after the scaling: the running means must not contain it
        super().__init__(params, lr, *first, scale, *last, allow_nonfinite=allow_nonfinite)


AdaGrad: TypeAlias = Adagrad  # as the slides and papers write them; the names above are PyTorch's
RMSProp: TypeAlias = RMSprop


# --- the registry -------------------------------------------------------------------------------------------


RULES: dict[str, type[Optimizer]] = {rule.__name__.lower(): rule for rule in (SGD, Adam, AdamW, Adagrad, RMSprop)}
"""Every rule by its name in lower case: what `fit(optimizer="adam")` and scikit-learn's `solver=` accept."""


def rule_named(name: str, who: str) -> type[Optimizer]:
    """The rule of a name, in any case; ValueError says which there are."""
    rule = RULES.get(str(name).lower())
    if rule is None:
        hint = did_you_mean(name, RULES)
        raise ValueError(f"{who} must be one of {', '.join(RULES)}, got {describe(name)}{hint}")
    return rule


# --- what the rules share -----------------------------------------------------------------------------------


def _clipping_and_decay(
    who: str, clip_value: float | None, clip_norm: float | None, weight_decay: Decay, l2: float
) -> list[Transform]:
    """What every rule may begin with: clipping, then decay, which must not be clipped."""
    chain: list[Transform] = []
    if clip_value is not None:
        chain.append(ClipValue(above_zero(clip_value, f"{who}: clip_value")))
    if clip_norm is not None:
        chain.append(ClipByGlobalNorm(above_zero(clip_norm, f"{who}: clip_norm")))
    return chain + _decay(who, weight_decay, l2)


def _decay(who: str, weight_decay: Decay, l2: float = 0.0) -> list[Transform]:
    """Weight decay; nothing if it is 0."""
    from_l2 = 2.0 * setting(l2, f"{who}: l2", 0.0)
    if isinstance(weight_decay, Sequence) and not isinstance(weight_decay, str):
        each = [setting(x, f"{who}: weight_decay[{i}]", 0.0) + from_l2 for i, x in enumerate(weight_decay)]
        return [AddDecayedWeights(each)] if any(each) else []
    decay = setting(weight_decay, f"{who}: weight_decay", 0.0) + from_l2
    return [AddDecayedWeights(decay)] if decay else []


def _momentum(mu: float, nesterov: bool = False) -> list[Transform]:
    return [Momentum(mu, nesterov)] if mu else []
