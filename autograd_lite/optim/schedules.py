"""Learning-rate schedules: the learning rate as a function of the step or epoch.

A schedule is any function of k = 0, 1, 2, ... that returns a rate. As the `lr` of an optimizer it counts steps, as the
`schedule` of `fit` epochs. They have no state, so a resumed training needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, inf, pi

from autograd_lite.engine.checks import flag, sequence, setting, whole

__all__ = [
    "Constant", "CosineDecay", "CosineRestarts", "ExponentialDecay", "InverseTimeDecay", "LinearDecay", "OneCycle",
    "PiecewiseConstant", "PolynomialDecay", "ReduceOnPlateau", "StepDecay", "WarmUp",
]  # fmt: skip


Schedule = Callable[[int], float]


class _Schedule:
    """What schedules share: a repr that is the call that makes them."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class Constant(_Schedule):
    """The same rate at every step.

    Args:
        lr: the learning rate.

    Example:
        >>> ag.optim.Constant(0.1)(1000)
        0.1
    """

    def __init__(self, lr: float) -> None:
        self.lr: float = setting(lr, "Constant: lr", 0.0)

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        return self.lr


class StepDecay(_Schedule):
    """Multiply the rate by a factor every few steps or epochs.

        lr(k) = lr * factor ** floor(k / every)

    Args:
        lr: the rate at the beginning.
        factor: at least 0.
        every: a number of steps or epochs.

    Raises:
        TypeError, ValueError: an argument is not a number, or is out of its range.

    Example:
        >>> halved = ag.optim.StepDecay(0.1, factor=0.5, every=2)
        >>> [halved(k) for k in range(5)]
        [0.1, 0.1, 0.05, 0.05, 0.025]

    Source: the weight-update slides, step decay. PyTorch's StepLR.
    """

    def __init__(self, lr: float, factor: float = 0.5, every: int = 10) -> None:
        self.lr: float = setting(lr, "StepDecay: lr", 0.0)
        self.factor: float = setting(factor, "StepDecay: factor", 0.0)
        self.every: int = whole(every, "StepDecay: every")

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        return self.lr * self.factor ** (k // self.every)


class ExponentialDecay(_Schedule):
    """Multiply the rate by a factor at every step or epoch.

        lr(k) = lr * factor ** k

    Args:
        lr: the rate at the beginning.
        factor: at least 0.

    Raises:
        TypeError, ValueError: an argument is not a number, or is out of its range.

    Example:
        >>> round(ag.optim.ExponentialDecay(0.1, factor=0.9)(2), 6)
        0.081

    Source: the weight-update slides, exponential decay. PyTorch's ExponentialLR.
    """

    def __init__(self, lr: float, factor: float = 0.9) -> None:
        self.lr: float = setting(lr, "ExponentialDecay: lr", 0.0)
        self.factor: float = setting(factor, "ExponentialDecay: factor", 0.0)

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        return self.lr * self.factor**k


class InverseTimeDecay(_Schedule):
    """1/t decay.

        lr(k) = lr / (1 + rate * k)

    Args:
        lr: the rate at the beginning.
        rate: how fast it falls; at least 0.

    Raises:
        TypeError, ValueError: an argument is not a number, or is out of its range.

    Example:
        >>> ag.optim.InverseTimeDecay(0.1, rate=0.5)(2)
        0.05

    Source: the weight-update slides, 1/t decay. Keras' InverseTimeDecay.
    """

    def __init__(self, lr: float, rate: float = 1.0) -> None:
        self.lr: float = setting(lr, "InverseTimeDecay: lr", 0.0)
        self.rate: float = setting(rate, "InverseTimeDecay: rate", 0.0)

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        return self.lr / (1.0 + self.rate * k)


class CosineDecay(_Schedule):
    """Half a cosine wave from the rate down to a floor, where it stays.

        lr(k) = floor + (lr - floor) * (1 + cos(pi * min(k / steps, 1))) / 2

    Args:
        lr: the rate at the beginning.
        steps: the number of steps or epochs until the floor is reached.
        floor: the rate at the end.

    Raises:
        TypeError, ValueError: an argument is not a number, or is out of its range.

    Example:
        >>> cosine = ag.optim.CosineDecay(0.1, steps=10)
        >>> cosine(0), round(cosine(5), 6), cosine(10), cosine(99)
        (0.1, 0.05, 0.0, 0.0)

    Source: Loshchilov and Hutter, SGDR, 2017. PyTorch's CosineAnnealingLR.
    """

    def __init__(self, lr: float, steps: int, floor: float = 0.0) -> None:
        self.lr: float = setting(lr, "CosineDecay: lr", 0.0)
        self.steps: int = whole(steps, "CosineDecay: steps")
        self.floor: float = setting(floor, "CosineDecay: floor", 0.0)

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        return self.floor + (self.lr - self.floor) * (1.0 + cos(pi * min(k / self.steps, 1.0))) / 2.0


class CosineRestarts(_Schedule):
    """Half a cosine wave again and again, each longer than the one before.

        lr(k) = floor + (lr - floor) * (1 + cos(pi * i / n)) / 2,  i steps after the last restart, in a wave of n

    Args:
        lr: the rate at each restart.
        steps: the number of steps or epochs of the first wave.
        longer: each wave is this many times as long as the one before; a whole number.
        floor: the rate that a wave falls to.

    Raises:
        TypeError, ValueError: an argument is not a number, or is out of its range.

    Example:
        >>> rate = ag.optim.CosineRestarts(1.0, steps=2, longer=2)
        >>> [round(rate(k), 6) for k in range(7)]
        [1.0, 0.5, 1.0, 0.853553, 0.5, 0.146447, 1.0]

    Source: Loshchilov and Hutter, SGDR, 2017. PyTorch's CosineAnnealingWarmRestarts.
    """

    def __init__(self, lr: float, steps: int, longer: int = 1, floor: float = 0.0) -> None:
        self.lr: float = setting(lr, "CosineRestarts: lr", 0.0)
        self.steps: int = whole(steps, "CosineRestarts: steps")
        self.longer: int = whole(longer, "CosineRestarts: longer")
        self.floor: float = setting(floor, "CosineRestarts: floor", 0.0)

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        i, n = k, self.steps
        if self.longer == 1:
            i %= n
        while i >= n:  # a logarithm could miss the restart by rounding
            i, n = i - n, n * self.longer
        return self.floor + (self.lr - self.floor) * (1.0 + cos(pi * i / n)) / 2.0


class OneCycle(_Schedule):
    """Up to the rate along half a cosine wave, then down to nearly 0.

        from lr / start at step 0 to lr at step rise * steps - 1, then to lr / (start * end) at step steps - 1

    Args:
        lr: the highest rate.
        steps: the number of steps of the whole training; the rate stays where it is after them.
        rise: the share of the steps on which it rises, in (0, 1).
        start: the first rate is lr / start.
        end: the last rate is the first one / end.
        linear: straight lines in place of cosines.

    Raises:
        TypeError, ValueError: an argument is not a number, or is out of its range.

    Example:
        >>> rate = ag.optim.OneCycle(1.0, steps=10, rise=0.5, start=10.0, linear=True)
        >>> [round(rate(k), 4) for k in range(10)]
        [0.1, 0.325, 0.55, 0.775, 1.0, 0.8, 0.6, 0.4, 0.2, 0.0]

    Source: Smith and Topin, Super-convergence, 2018. PyTorch's OneCycleLR.
    """

    def __init__(
        self, lr: float, steps: int, rise: float = 0.3, start: float = 25.0, end: float = 1e4, linear: bool = False
    ) -> None:
        self.lr: float = setting(lr, "OneCycle: lr", 0.0)
        self.steps: int = whole(steps, "OneCycle: steps")
        self.rise: float = setting(rise, "OneCycle: rise", 0.0, 1.0)
        self.start: float = setting(start, "OneCycle: start", 1.0)
        self.end: float = setting(end, "OneCycle: end", 1.0)
        self.linear: bool = flag(linear, "OneCycle: linear")
        if not 1.0 < self.rise * self.steps < self.steps - 1.0:
            raise ValueError(
                f"OneCycle: {self.steps} steps leave none to rise or to fall on with rise={self.rise:g}; "
                "give the number of steps of the whole training"
            )

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        top, first = self.rise * self.steps - 1.0, self.lr / self.start
        if k <= top:
            return self._between(first, self.lr, k / top)
        return self._between(self.lr, first / self.end, min((k - top) / (self.steps - 1.0 - top), 1.0))

    def _between(self, a: float, b: float, share: float) -> float:
        if self.linear:
            return a + (b - a) * share
        return b + (a - b) * (1.0 + cos(pi * share)) / 2.0


class PolynomialDecay(_Schedule):
    """Down to a floor along a power of the steps that are left.

        lr(k) = floor + (lr - floor) * (1 - min(k / steps, 1)) ** power

    Args:
        lr: the rate at the beginning.
        steps: the number of steps or epochs until the floor is reached.
        power: 1 is a straight line.
        floor: the rate at the end.

    Raises:
        TypeError, ValueError: an argument is not a number, or is out of its range.

    Example:
        >>> rate = ag.optim.PolynomialDecay(1.0, steps=4, power=2)
        >>> [rate(k) for k in range(6)]
        [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]

    Source: PyTorch's PolynomialLR, Keras' PolynomialDecay, optax's polynomial_schedule.
    """

    def __init__(self, lr: float, steps: int, power: float = 1.0, floor: float = 0.0) -> None:
        self.lr: float = setting(lr, "PolynomialDecay: lr", 0.0)
        self.steps: int = whole(steps, "PolynomialDecay: steps")
        self.power: float = setting(power, "PolynomialDecay: power", 0.0)
        self.floor: float = setting(floor, "PolynomialDecay: floor", 0.0)

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        left = 1.0 - min(k / self.steps, 1.0)
        return self.floor + (self.lr - self.floor) * float(left**self.power)


class LinearDecay(_Schedule):
    """A straight line from one rate to another, where it stays; it may rise.

        lr(k) = lr + (end - lr) * min(k / steps, 1)

    Args:
        lr: the rate at the beginning.
        steps: the number of steps or epochs until the end is reached.
        end: the rate from then on.

    Raises:
        TypeError, ValueError: an argument is not a number, or is out of its range.

    Example:
        >>> rate = ag.optim.LinearDecay(1.0, steps=4, end=0.5)
        >>> [rate(k) for k in range(6)]
        [1.0, 0.875, 0.75, 0.625, 0.5, 0.5]

    Source: PyTorch's LinearLR, optax's linear_schedule.
    """

    def __init__(self, lr: float, steps: int, end: float = 0.0) -> None:
        self.lr: float = setting(lr, "LinearDecay: lr", 0.0)
        self.steps: int = whole(steps, "LinearDecay: steps")
        self.end: float = setting(end, "LinearDecay: end", 0.0)

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        return self.lr + (self.end - self.lr) * min(k / self.steps, 1.0)


class PiecewiseConstant(_Schedule):
    """One rate up to each boundary, and a last one after them.

        lr(k) = rates[the number of boundaries <= k]

    Args:
        boundaries: step or epoch numbers, increasing; from each on the next rate holds.
        rates: one more than there are boundaries.

    Raises:
        TypeError, ValueError: an argument is not a number, the boundaries do not increase, or the lengths do not fit.

    Example:
        >>> rate = ag.optim.PiecewiseConstant([2, 4], [0.1, 0.01, 0.001])
        >>> [rate(k) for k in range(5)]
        [0.1, 0.1, 0.01, 0.01, 0.001]
    """

    def __init__(self, boundaries: Sequence[int], rates: Sequence[float]) -> None:
        steps = sequence(boundaries, "PiecewiseConstant: boundaries", "a sequence of steps")
        each = sequence(rates, "PiecewiseConstant: rates", "a sequence of rates")
        self.boundaries: list[int] = [whole(b, f"PiecewiseConstant: boundaries[{i}]", 0) for i, b in enumerate(steps)]
        self.rates: list[float] = [setting(r, f"PiecewiseConstant: rates[{i}]", 0.0) for i, r in enumerate(each)]
        if len(self.rates) != len(self.boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstant: {len(self.boundaries)} boundaries need {len(self.boundaries) + 1} rates, "
                f"got {len(self.rates)}"
            )
        if self.boundaries != sorted(set(self.boundaries)):
            raise ValueError(f"PiecewiseConstant: the boundaries must rise, got {self.boundaries}")

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        return self.rates[sum(b <= k for b in self.boundaries)]


class WarmUp(_Schedule):
    """Rise linearly to another schedule, then follow it.

        lr(k) = after(0) * (k + 1) / steps   while k < steps, then after(k - steps)

    Args:
        steps: the number of steps or epochs of the rise.
        after: the schedule that follows, or the rate to keep.

    Raises:
        TypeError, ValueError: steps is not a whole number of at least 1, or after is not a schedule.

    Example:
        >>> rate = ag.optim.WarmUp(4, after=ag.optim.ExponentialDecay(0.5, 0.5))
        >>> [rate(k) for k in range(6)]
        [0.125, 0.25, 0.375, 0.5, 0.5, 0.25]
    """

    def __init__(self, steps: int, after: Schedule | float) -> None:
        self.steps: int = whole(steps, "WarmUp: steps")
        self.after: Schedule = after if callable(after) else Constant(after)

    def __call__(self, k: int) -> float:
        """The rate at step k."""
        if k < self.steps:
            return self.after(0) * (k + 1) / self.steps
        return self.after(k - self.steps)


class ReduceOnPlateau(_Schedule):
    """Multiply the rate by a factor when the loss has stopped falling.

    It is a function of the losses so far: an epoch is better if its loss is below the best one by more than
    `threshold` times the best one's size; after more than `patience` epochs in a row that are not, the rate falls.

    Args:
        lr: the rate at the beginning.
        factor: in [0, 1).
        patience: how many epochs in a row without progress are allowed.
        threshold: what counts as progress, relative to the best loss.
        floor: the rate does not fall below it.

    Raises:
        TypeError, ValueError: an argument is not a number, or is out of its range.

    Example:
        >>> rate = ag.optim.ReduceOnPlateau(0.1, factor=0.5, patience=1)
        >>> rate(0, []), rate(3, [1.0, 0.9, 0.9]), rate(4, [1.0, 0.9, 0.9, 0.9])
        (0.1, 0.1, 0.05)

    Source: PyTorch's ReduceLROnPlateau, whose defaults these are.
    """

    watches_losses = True
    """`fit` then calls it with the losses so far (of validation, if there is one) as well."""

    def __init__(
        self, lr: float, factor: float = 0.1, patience: int = 10, threshold: float = 1e-4, floor: float = 0.0
    ) -> None:
        self.lr: float = setting(lr, "ReduceOnPlateau: lr", 0.0)
        self.factor: float = setting(factor, "ReduceOnPlateau: factor", 0.0, 1.0)
        self.patience: int = whole(patience, "ReduceOnPlateau: patience", 0)
        self.threshold: float = setting(threshold, "ReduceOnPlateau: threshold", 0.0)
        self.floor: float = setting(floor, "ReduceOnPlateau: floor", 0.0)

    def __call__(self, k: int, losses: Sequence[float]) -> float:
        """The rate after these losses; k, their number, is not needed."""
        rate, best, waited = self.lr, inf, 0
        for loss in losses:
            if loss < (best - self.threshold * abs(best) if best < inf else inf):
                best, waited = loss, 0
            else:
                waited += 1
            if waited > self.patience:
                rate, waited = max(rate * self.factor, self.floor), 0
        return rate
