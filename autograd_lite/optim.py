"""Update rules: how gradients change parameters.

A rule is a chain of pieces. A piece turns gradients into updates, vectors of n numbers, and carries a
state of its own from step to step; it changes nothing in place. `Optimizer` reads `.grad`, runs the
chain, and writes the parameters and the state in one go.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from autograd_lite.value import Value, plain, set_numbers, shown

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, Any]

__all__ = ["SGD", "Optimizer"]


class AddDecay:
    """g + coefficient * w: the gradient of a penalty on large weights."""

    def __init__(self, coefficient: float) -> None:
        self.coefficient = coefficient

    def start(self, n: int) -> Any:
        """The state before the first step."""
        return None

    def update(self, g: Vector, state: Any, w: Vector) -> tuple[Vector, Any]:
        """(updates, state after)."""
        return g + self.coefficient * w, state


class Momentum:
    """v <- mu v + g; the update is v, or with Nesterov's look ahead g + mu v."""

    def __init__(self, mu: float, nesterov: bool) -> None:
        self.mu, self.nesterov = mu, nesterov

    def start(self, n: int) -> Vector:
        """The state before the first step: no velocity."""
        import numpy as np

        return np.zeros(n)

    def update(self, g: Vector, state: Vector, w: Vector) -> tuple[Vector, Vector]:
        """(updates, state after)."""
        velocity = self.mu * state + g
        return (g + self.mu * velocity if self.nesterov else velocity), velocity


class Optimizer:
    """Parameters, a learning rate and a chain of pieces: w <- w - lr * chain(g).

    Args:
        params: the leaves to change, Parameters or Values, from any iterable; one given twice counts once.
        lr: the learning rate, at least 0. It may be set between steps.
        pieces: what turns gradients into updates, first to last.
        allow_nonfinite: take a step with gradients that are NaN or infinite, instead of refusing.

    Raises:
        TypeError: params are no leaves, or lr is no number.
        ValueError: there are no params, or lr is negative, NaN or infinite.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Optimizer([w], 0.1)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> w.item()
        0.8
    """

    _state: tuple[Any, ...]
    __slots__ = ("_lr", "_state", "allow_nonfinite", "params", "pieces")

    def __init__(self, params: Iterable[Value], lr: float, *pieces: Any, allow_nonfinite: bool = False) -> None:
        name = type(self).__name__
        if isinstance(params, (Value, str, bytes)) or not isinstance(params, Iterable):
            raise TypeError(f"{name}: params must be a sequence of Parameters, got {shown(params)}")
        self.params: list[Value] = []
        seen: set[int] = set()
        for i, p in enumerate(params):
            if not isinstance(p, Value):
                raise TypeError(f"{name}: params[{i}] must be a Parameter, got {shown(p)}")
            if p._row is not None:
                raise TypeError(
                    f"{name}: params[{i}] is no leaf but the result of {p.op!r}; give the leaves it depends on"
                )
            if id(p) not in seen:
                seen.add(id(p))
                self.params.append(p)
        if not self.params:
            raise ValueError(f"{name}: there are no parameters")
        self.lr = lr
        self.pieces = pieces
        self.allow_nonfinite = allow_nonfinite
        self._state = tuple(piece.start(len(self.params)) for piece in pieces)

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = setting(lr, f"{type(self).__name__}: lr", 0.0, inf)

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        for p in self.params:
            p._grad = 0.0

    def step(self) -> None:
        """Change every parameter that is not frozen by its gradient; all of them or none.

        Raises:
            ValueError: a gradient is NaN or infinite (unless allow_nonfinite); nothing was changed.
        """
        import numpy as np

        live = [not getattr(p, "frozen", False) for p in self.params]
        g = np.array([p._grad if on else 0.0 for p, on in zip(self.params, live, strict=True)])
        if not self.allow_nonfinite and not np.isfinite(g).all():
            i = int(np.flatnonzero(~np.isfinite(g))[0])
            p = self.params[i]
            which = f"params[{i}] ({p.name})" if p.name else f"params[{i}]"
            raise ValueError(
                f"{type(self).__name__}.step: the gradient of {which} is {p._grad}; "
                "no parameter was changed (allow_nonfinite=True lets it through)"
            )
        w = np.array([p._f for p in self.params])
        after = []
        for piece, state in zip(self.pieces, self._state, strict=True):
            g, state = piece.update(g, state, w)
            after.append(state)
        numbers = np.where(live, w - self._lr * g, w).tolist()
        # One call that runs no bytecode: an interrupt leaves all as before, or all as after.
        set_numbers(self.params, numbers, map(_set_state, (self,), (tuple(after),)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.params)} parameters, lr={self._lr})"


_set_state = vars(Optimizer)["_state"].__set__


def setting(x: Any, what: str, low: float, high: float) -> float:
    """A number in [low, high), or a refusal that says what it was for."""
    value = plain(x, what)
    if not (isfinite(value) and low <= value < high):
        bounds = f"at least {low:g}" if high == inf else f"in [{low:g}, {high:g})"
        raise ValueError(f"{what} must be {bounds} and finite, got {value:g}")
    return value


class SGD(Optimizer):
    """Gradient descent, with momentum and weight decay if asked.

        g <- g + weight_decay w + 2 l2 w;  v <- momentum v + g;  w <- w - lr v

    Args:
        params: the leaves to change.
        lr: the learning rate.
        momentum: in [0, 1); 0 is plain gradient descent.
        nesterov: look ahead: the step is g + momentum v.
        weight_decay: adds weight_decay w to the gradient.
        l2: the slides' penalty l2 * sum w^2, which adds 2 l2 w to the gradient.
        allow_nonfinite: take a step with gradients that are NaN or infinite, instead of refusing.

    Raises:
        TypeError: params are no leaves, or a setting is no number.
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
        self, params: Iterable[Value], lr: float, momentum: float = 0.0, nesterov: bool = False,
        weight_decay: float = 0.0, l2: float = 0.0, *, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        mu = setting(momentum, "SGD: momentum", 0.0, 1.0)
        decay = setting(weight_decay, "SGD: weight_decay", 0.0, inf) + 2.0 * setting(l2, "SGD: l2", 0.0, inf)
        if nesterov and not mu:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        pieces = [AddDecay(decay)] if decay else []
        super().__init__(
            params, lr, *pieces, *([Momentum(mu, nesterov)] if mu else []), allow_nonfinite=allow_nonfinite
        )
