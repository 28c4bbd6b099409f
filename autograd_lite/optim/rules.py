"""Update rules by name: SGD, the family of Adam and others, each a chain of gradient transformations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from autograd_lite.engine.checks import describe, did_you_mean, flag, known_as, setting
from autograd_lite.engine.value import Value
from autograd_lite.optim.optimizer import Optimizer, Rate
from autograd_lite.optim.transformations import (
    AddDecayedWeights,
    ClipByGlobalNorm,
    ClipValue,
    Momentum,
    ScaleByAdadelta,
    ScaleByAdagrad,
    ScaleByAdam,
    ScaleByAdamax,
    ScaleByLion,
    ScaleByNAdam,
    ScaleByRAdam,
    ScaleByRMS,
    ScaleByRprop,
    Transform,
    above_zero,
    checked_betas,
)

Decay: TypeAlias = float | Sequence[float]
Params: TypeAlias = Iterable[Value] | Iterable[Mapping[str, Any]]


class _Rule(Optimizer):
    """What the rules share: clipping first, then decay, then the rule; or the decay last, decoupled from the rule."""

    __slots__ = ()

    def _compose(
        self, params: Params, lr: Rate, rule: Sequence[Transform], weight_decay: Decay, l2: float,
        clip_value: float | None, clip_norm: float | None, allow_nonfinite: bool, decoupled: bool = False,
    ) -> None:  # fmt: skip
        who = type(self).__name__
        groups = self._take(params, ("lr", "weight_decay", "l2"))
        chain: list[Transform] = []
        if clip_value is not None:
            chain.append(ClipValue(above_zero(clip_value, f"{who}: clip_value")))
        if clip_norm is not None:
            chain.append(ClipByGlobalNorm(above_zero(clip_norm, f"{who}: clip_norm")))
        penalty, decay = self._each("l2", l2, groups, 2.0), self._each("weight_decay", weight_decay, groups)
        if decoupled:  # after the rule: its running means must not contain the decay
            chain += [*_decay(penalty), *rule, *_decay(decay)]
        else:  # after clipping, which does not see the decay
            chain += [*_decay([a + b for a, b in zip(penalty, decay, strict=True)]), *rule]
        self._start(lr, chain, allow_nonfinite)

    def _each(
        self, name: str, default: Decay, groups: list[tuple[Mapping[str, Any], list[int]]], factor: float = 1.0
    ) -> list[float]:
        """A setting for each parameter: that of its group, or else the default, one number or one for each."""
        who, n = type(self).__name__, len(self.params)
        if isinstance(default, Sequence) and not isinstance(default, str):
            each = [setting(x, f"{who}: {name}[{i}]", 0.0) for i, x in enumerate(default)]
            if len(each) != n:
                raise ValueError(
                    f"{who}: {name} has {len(each)} numbers, but there are {n} parameters; give one number, or one for "
                    "each"
                )
        else:
            each = [setting(default, f"{who}: {name}", 0.0)] * n
        for j, (group, members) in enumerate(groups):
            if name in group:
                own = setting(group[name], f"{who}: params[{j}][{name!r}]", 0.0)
                for i in members:
                    each[i] = own
        return [factor * x for x in each]


class SGD(_Rule):
    """Gradient descent, with momentum and weight decay if wanted.

        g <- g + weight_decay w + 2 l2 w;  v <- momentum v + (1 - dampening) g;  w <- w - lr v

    Args:
        params: the leaves to change; or groups of them, dicts with "params" and what is the group's own of "lr",
            "weight_decay" and "l2" (see `Optimizer.param_groups`).
        lr: the learning rate, or a schedule.
        momentum: in [0, 1); 0 is plain gradient descent.
        nesterov: look ahead: the step is g + momentum v.
        dampening: in [0, 1]; the first gradient is taken whole.
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
        self, params: Params, lr: Rate = 1e-2, momentum: float = 0.0, nesterov: bool = False,
        weight_decay: Decay = 0.0, l2: float = 0.0, *, dampening: float = 0.0, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        mu = setting(momentum, "SGD: momentum", 0.0, 1.0)
        if flag(nesterov, "SGD: nesterov") and (not mu or dampening):
            raise ValueError("SGD: nesterov needs a momentum above 0 and no dampening")
        rule = [Momentum(mu, nesterov, dampening)] if mu else []
        self._compose(params, lr, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite)


class Adagrad(_Rule):
    """AdaGrad: each parameter's rate falls with the squares of all its gradients.

        cache <- cache + g^2;  w <- w - lr g / (sqrt(cache) + eps)

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        eps: keeps the quotient finite.
        initial_accumulator_value: what the cache begins with.
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    PyTorch's lr_decay is the schedule `InverseTimeDecay` as lr.

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
        self, params: Params, lr: Rate = 1e-2, eps: float = 1e-10, weight_decay: Decay = 0.0, l2: float = 0.0, *,
        initial_accumulator_value: float = 0.0, clip_value: float | None = None, clip_norm: float | None = None,
        allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        initial = setting(initial_accumulator_value, "Adagrad: initial_accumulator_value", 0.0)
        rule = [ScaleByAdagrad(setting(eps, "Adagrad: eps", 0.0), initial)]
        self._compose(params, lr, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite)


class RMSprop(_Rule):
    """RMSprop: each gradient is divided by the root of a running mean of its squares.

        cache <- alpha cache + (1 - alpha) g^2;  w <- w - lr g / (sqrt(cache) + eps)

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        alpha: how much of the cache is kept, in [0, 1); the slides' decay_rate.
        eps: keeps the quotient finite.
        momentum: of the rescaled gradients, in [0, 1).
        centered: divide by the root of the running variance, not of the mean square.
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
        self, params: Params, lr: Rate = 1e-2, alpha: float = 0.99, eps: float = 1e-8, momentum: float = 0.0,
        weight_decay: Decay = 0.0, l2: float = 0.0, *, centered: bool = False, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        scale = ScaleByRMS(setting(alpha, "RMSprop: alpha", 0.0, 1.0), setting(eps, "RMSprop: eps", 0.0), centered)
        mu = setting(momentum, "RMSprop: momentum", 0.0, 1.0)
        rule: list[Transform] = [scale, Momentum(mu)] if mu else [scale]
        self._compose(params, lr, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite)


class Adam(_Rule):
    """Adam: running means of the gradient and of its square, and their quotient.

        m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
        w <- w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)   at step t = 1, 2, ...

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.
        corrected: divide by 1 - b^t, as in the paper; False is the slides' form, m / (sqrt(v) + eps).
        amsgrad: the largest v so far in place of v.
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
        self, params: Params, lr: Rate = 1e-3, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: Decay = 0.0, l2: float = 0.0, *, corrected: bool = True, amsgrad: bool = False,
        clip_value: float | None = None, clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        betas = checked_betas(betas, "Adam")
        rule = [ScaleByAdam(betas, setting(eps, "Adam: eps", 0.0), corrected, amsgrad)]
        self._compose(params, lr, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite)


class AdamW(_Rule):
    """Adam with weight decay decoupled from the gradient: w also shrinks by lr * weight_decay * w.

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        betas, eps, corrected, amsgrad: as for `Adam`.
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
        self, params: Params, lr: Rate = 1e-3, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: Decay = 1e-2, l2: float = 0.0, *, corrected: bool = True, amsgrad: bool = False,
        clip_value: float | None = None, clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        betas = checked_betas(betas, "AdamW")
        rule = [ScaleByAdam(betas, setting(eps, "AdamW: eps", 0.0), corrected, amsgrad)]
        self._compose(params, lr, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite, True)


class Adadelta(_Rule):
    """Adadelta: updates as long as those before, so that lr has no unit.

        cache <- rho cache + (1 - rho) g^2;  u = g sqrt(moved + eps) / sqrt(cache + eps)
        moved <- rho moved + (1 - rho) u^2;  w <- w - lr u

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        rho: how much of both means is kept, in [0, 1).
        eps: the first updates are about its root long.
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError, ValueError: as for `SGD`.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Adadelta([w], lr=1.0)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(w.item(), 6)
        0.996838

    Source: Zeiler, Adadelta: an adaptive learning rate method, 2012.
    """

    __slots__ = ()

    def __init__(
        self, params: Params, lr: Rate = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: Decay = 0.0,
        l2: float = 0.0, *, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        rule = [ScaleByAdadelta(setting(rho, "Adadelta: rho", 0.0, 1.0), setting(eps, "Adadelta: eps", 0.0))]
        self._compose(params, lr, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite)


class Adamax(_Rule):
    """Adamax: Adam with the largest gradient, which decays, in place of the root of the mean square.

        m <- b1 m + (1 - b1) g;  v <- max(b2 v, |g| + eps);  w <- w - lr m / (1 - b1^t) / v

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError, ValueError: as for `SGD`.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Adamax([w], lr=0.1)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(w.item(), 6)
        0.9

    Source: Kingma and Ba, Adam, 2015, section 7.1.
    """

    __slots__ = ()

    def __init__(
        self, params: Params, lr: Rate = 2e-3, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: Decay = 0.0,
        l2: float = 0.0, *, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        rule = [ScaleByAdamax(checked_betas(betas, "Adamax"), setting(eps, "Adamax: eps", 0.0))]
        self._compose(params, lr, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite)


class NAdam(_Rule):
    """NAdam: Adam with Nesterov's look ahead.

    The formula is at `ScaleByNAdam`.

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.
        momentum_decay: how fast the first decay rate grows to b1.
        decoupled_weight_decay: let w shrink by lr * weight_decay * w, as in AdamW.
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError, ValueError: as for `SGD`.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.NAdam([w], lr=0.1)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(w.item(), 6)
        0.894355

    Source: Dozat, Incorporating Nesterov momentum into Adam, 2016; PyTorch's NAdam.
    """

    __slots__ = ()

    def __init__(
        self, params: Params, lr: Rate = 2e-3, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8,
        momentum_decay: float = 4e-3, weight_decay: Decay = 0.0,
        l2: float = 0.0, *, decoupled_weight_decay: bool = False, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        grows = setting(momentum_decay, "NAdam: momentum_decay", 0.0)
        rule = [ScaleByNAdam(checked_betas(betas, "NAdam"), setting(eps, "NAdam: eps", 0.0), grows)]
        decoupled = flag(decoupled_weight_decay, "NAdam: decoupled_weight_decay")
        self._compose(params, lr, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite, decoupled)


class RAdam(_Rule):
    """RAdam: Adam rectified for the variance of its first steps.

    The formula is at `ScaleByRAdam`.

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        betas: (b1, b2), each in [0, 1).
        eps: keeps the quotient finite.
        decoupled_weight_decay: let w shrink by lr * weight_decay * w, as in AdamW.
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError, ValueError: as for `SGD`.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.RAdam([w], lr=0.1)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(w.item(), 6)
        0.8

    Source: Liu and others, On the variance of the adaptive learning rate and beyond, 2020; PyTorch's RAdam.
    """

    __slots__ = ()

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: Decay = 0.0,
        l2: float = 0.0, *, decoupled_weight_decay: bool = False, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        rule = [ScaleByRAdam(checked_betas(betas, "RAdam"), setting(eps, "RAdam: eps", 0.0))]
        decoupled = flag(decoupled_weight_decay, "RAdam: decoupled_weight_decay")
        self._compose(params, lr, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite, decoupled)


class Rprop(_Rule):
    """Rprop: each parameter's own step, by the sign of its gradient alone; for whole batches.

        step <- step * (up if g_t g_(t-1) > 0, down if < 0, else 1), held to step_sizes;  w <- w - sign(g) step

    The steps are each parameter's own from the first on, so that there is no schedule: `optimizer.lr` is 1.0 and
    multiplies them.

    Args:
        params: the leaves to change.
        lr: the first step of each parameter.
        etas: (down, up), with 0 < down < 1 < up.
        step_sizes: (least, most).
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError, ValueError: as for `SGD`.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Rprop([w], lr=0.1)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(w.item(), 6)
        0.9

    Source: Riedmiller and Braun, 1993; PyTorch's Rprop.
    """

    __slots__ = ()

    def __init__(
        self, params: Params, lr: float = 1e-2, etas: Sequence[float] = (0.5, 1.2),
        step_sizes: Sequence[float] = (1e-6, 50.0), weight_decay: Decay = 0.0,
        l2: float = 0.0, *, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        if callable(lr):
            raise TypeError("Rprop: lr is the first step of each parameter, a number; it takes no schedule")
        rule = [ScaleByRprop(setting(lr, "Rprop: lr", 0.0), etas, step_sizes)]
        self._compose(params, 1.0, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite)


class Lion(_Rule):
    """Lion: the sign of a mix of gradient and momentum, so that all parameters move equally far.

        w <- w - lr (sign(b1 m + (1 - b1) g) + weight_decay w);  m <- b2 m + (1 - b2) g

    Its rate is best 3 to 10 times below Adam's, its weight decay, which is decoupled, that much above.

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        betas: (b1, b2), each in [0, 1).
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError, ValueError: as for `SGD`.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Lion([w], lr=0.1)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(w.item(), 6)
        0.9

    Source: Chen and others, Symbolic discovery of optimization algorithms, 2023.
    """

    __slots__ = ()

    def __init__(
        self, params: Params, lr: Rate = 1e-4, betas: Sequence[float] = (0.9, 0.99), weight_decay: Decay = 0.0,
        l2: float = 0.0, *, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        rule = [ScaleByLion(checked_betas(betas, "Lion"))]
        self._compose(params, lr, rule, weight_decay, l2, clip_value, clip_norm, allow_nonfinite, True)


AdaGrad: TypeAlias = Adagrad  # as the slides and papers write them; the names above are PyTorch's
RMSProp: TypeAlias = RMSprop


# --- the registry -------------------------------------------------------------------------------------------


RULES: dict[str, type[Optimizer]] = {rule.__name__.lower(): rule for rule in (
    SGD, Adam, AdamW, Adagrad, RMSprop, Adadelta, Adamax, NAdam, RAdam, Rprop, Lion
)}  # fmt: skip
"""Every rule by its name in lower case: what `fit(optimizer="adam")` and scikit-learn's `solver=` accept."""


def rule_named(name: str, who: str) -> type[Optimizer]:
    """The rule of a name, in any case; ValueError says which there are."""
    found = known_as(name, RULES)
    if found is None:
        known = [*RULES, "lbfgs"]  # which is not a rule of single steps: those who call this take it before
        raise ValueError(f"{who} must be one of {', '.join(known)}, got {describe(name)}{did_you_mean(name, known)}")
    return RULES[found]


# --- what the rules share -----------------------------------------------------------------------------------


def _decay(each: Sequence[float]) -> list[Transform]:
    """Weight decay by these coefficients; nothing if all are 0."""
    if not any(each):
        return []
    return [AddDecayedWeights(each[0] if len(set(each)) == 1 else list(each))]
