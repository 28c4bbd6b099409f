"""Update rules: how gradients change parameters.

A rule is a chain of pieces. A piece turns gradients into updates, vectors of n numbers, and carries a
state of its own from step to step, a dict of vectors and numbers; it changes nothing in place. So a
rule of your own is a choice of pieces, or one piece more. `Optimizer` reads `.grad`, runs the
chain, and writes the parameters and the state in one go. Learning-rate schedules are in schedules.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from autograd_lite.schedules import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstant,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
    setting,
    whole,
)
from autograd_lite.value import Value, clear_grads, plain, set_numbers, shown

if TYPE_CHECKING:
    import numpy as np

    Vector: TypeAlias = np.ndarray[Any, Any]

__all__ = [
    "SGD", "AdaGrad", "Adagrad", "Adam", "AdamW", "AddDecay", "AddSign", "ClipNorm", "ClipValue", "Constant",
    "CosineDecay", "DivideByAllSquares", "DivideByMeanSquare", "ExponentialDecay", "InverseTimeDecay", "Moments",
    "Momentum", "Optimizer", "Piece", "PiecewiseConstant", "RMSProp", "RMSprop", "ReduceOnPlateau", "StepDecay",
    "WarmUp",
]  # fmt: skip

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
        self.limit = _above_zero(limit, "ClipValue: limit")

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
        self.limit = _above_zero(limit, "ClipNorm: limit")

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
        self.betas = _betas(betas, "Moments")
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


def _above_zero(x: Any, what: str) -> float:
    value = setting(x, what, 0.0)
    if value == 0.0:
        raise ValueError(f"{what} must be above 0, got 0")
    return value


def _betas(betas: Any, who: str) -> tuple[float, float]:
    if not isinstance(betas, Sequence) or isinstance(betas, str) or len(betas) != 2:
        raise TypeError(f"{who}: betas must be two numbers such as (0.9, 0.999), got {shown(betas)}")
    return setting(betas[0], f"{who}: betas[0]", 0.0, 1.0), setting(betas[1], f"{who}: betas[1]", 0.0, 1.0)


# --- the optimizer --------------------------------------------------------------------------------------


class Optimizer:
    """Parameters, a learning rate and a chain of pieces: w <- w - lr * chain(g).

    This is a "gradient update schedule": what becomes of the gradient at every step is yours to compose.

    Args:
        params: the leaves to change, Parameters or Values, from any iterable; one given twice counts once.
        lr: the learning rate, at least 0, which may be set between steps; or a schedule, a function of the
            number of steps taken.
        pieces: what turns gradients into updates, first to last; see `Piece`.
        allow_nonfinite: take a step from or to numbers that are NaN or infinite, instead of refusing.

    Raises:
        TypeError: params are no leaves, or lr is no number.
        ValueError: there are no params, or lr is negative, NaN or infinite.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Optimizer([w], 0.1, ag.optim.ClipNorm(1.0), ag.optim.Momentum(0.9))
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> w.item()
        0.9

    Source: the notes "Working out backpropagation", learning rates; optax's chains.
    """

    _state: tuple[int, tuple[State, ...]]  # steps taken; what each piece remembers
    __slots__ = ("_lr", "_state", "allow_nonfinite", "params", "pieces")

    def __init__(
        self, params: Iterable[Value], lr: float | Callable[[int], float], *pieces: Piece,
        allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
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
        for piece in pieces:
            if not (hasattr(piece, "start") and hasattr(piece, "update")):
                raise TypeError(f"{name}: a piece has start(n) and update(g, state, w), got {shown(piece)}")
        self.pieces = pieces
        self.allow_nonfinite = allow_nonfinite
        self._state = (0, tuple(piece.start(len(self.params)) for piece in pieces))
        self.lr = lr

    @property
    def lr(self) -> float:
        """The learning rate of the next step; set it to a number or a schedule."""
        if callable(self._lr):
            return setting(self._lr(self.steps), f"{type(self).__name__}: lr at step {self.steps}", 0.0)
        return self._lr  # type: ignore[no-any-return]

    @lr.setter
    def lr(self, lr: float | Callable[[int], float]) -> None:
        if getattr(lr, "watches_losses", False):
            raise TypeError(
                f"{type(self).__name__}: lr: {type(lr).__name__} needs the losses, which an optimizer does not see; "
                "give it to ag.fit as schedule="
            )
        self._lr: Any = lr if callable(lr) else setting(lr, f"{type(self).__name__}: lr", 0.0)

    @property
    def steps(self) -> int:
        """The number of steps taken."""
        return self._state[0]

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0; without it backward passes add up."""
        clear_grads(self.params)

    def advance(self, w: Vector, g: Vector, states: Sequence[State]) -> tuple[Vector, tuple[State, ...]]:
        """The rule as a pure function on vectors: no Value is read or written.

        Args:
            w, g: the parameters and their gradients, shape (n,).
            states: what each piece remembers, to begin with `piece.start(n)`.

        Returns:
            (parameters after the step, what each piece remembers after it).
        """
        import numpy as np

        after = []
        for piece, state in zip(self.pieces, states, strict=True):
            made = piece.update(g, state, w)
            shape = np.shape(made[0]) if isinstance(made, tuple) and len(made) == 2 else None
            if shape != w.shape or not isinstance(made[1], Mapping):
                what = f"updates of shape {shape}" if shape not in (None, w.shape) else shown(made)
                raise TypeError(
                    f"{type(self).__name__}: {type(piece).__name__}.update must give (updates of shape {w.shape}, "
                    f"a dict), it gave {what}"
                )
            g, state = made
            after.append(state)
        return w - self.lr * g, tuple(after)

    def step(self) -> None:
        """Change every parameter that is not frozen by its gradient; all of them or none.

        Raises:
            ValueError: a gradient is NaN or infinite, or would make a parameter or an entry of the state so, as the
                square of 1e200 does (unless allow_nonfinite); nothing was changed.
        """
        import numpy as np

        w, g = np.array([p._f for p in self.params]), np.array([p._grad for p in self.params])
        numbers, effect = self.stepped(w, g)
        # One call that runs no bytecode: an interrupt leaves all as before, or all as after.
        set_numbers(self.params, numbers.tolist(), effect)

    def stepped(self, w: Vector, g: Vector) -> tuple[Vector, Iterator[Any]]:
        """What `step` does, on vectors: the numbers after it, and an effect for `set_numbers` that notes the step."""
        import numpy as np

        live = np.array([not getattr(p, "frozen", False) for p in self.params])
        some_frozen = not live.all()
        if some_frozen:
            g = np.where(live, g, 0.0)
        if not self.allow_nonfinite and not np.isfinite(g).all():
            i = int(np.flatnonzero(~np.isfinite(g))[0])
            raise ValueError(
                f"{type(self).__name__}.step: the gradient of {self._which(i)} is {g[i]}; "
                "no parameter was changed (allow_nonfinite=True lets it through)"
            )
        steps, states = self._state
        with np.errstate(over="ignore", invalid="ignore"):  # overflow is looked for below, unless it is allowed
            numbers, after = self.advance(w, g, states)
        if some_frozen:  # neither they nor what is remembered of them may change
            numbers = np.where(live, numbers, w)
            after = tuple(
                {k: np.where(live, x, old[k]) if isinstance(x, np.ndarray) else x for k, x in new.items()}
                for new, old in zip(after, states, strict=True)
            )
        if not self.allow_nonfinite:
            for piece, old, new in zip(self.pieces, states, after, strict=True):
                for key, x in new.items():
                    self._no_overflow(f"{type(piece).__name__}.{key}", old.get(key), x, g)
            self._no_overflow("", w, numbers, g)
        return numbers, map(_set_state, (self,), ((steps + 1, after),))

    def _no_overflow(self, entry: str, old: Any, new: Any, g: Vector) -> None:
        """Refuse numbers of a state's entry, or of the parameters, that were finite and are not after the step."""
        import numpy as np

        if not isinstance(new, (float, np.ndarray)) or getattr(new, "dtype", np.dtype(float)).kind != "f":
            return  # a count, or whatever else a piece of one's own remembers
        if np.isfinite(new).all():
            return
        known = isinstance(old, (int, float, np.ndarray)) and np.shape(old) == np.shape(new)
        bad = np.flatnonzero(~np.isfinite(new) & (np.isfinite(old) if known else True))
        if not bad.size:
            return
        i, what = int(bad[0]), entry
        after = f"with gradients up to {np.abs(g).max()}"
        if np.shape(new) == g.shape:
            what, after = f"{entry} of {self._which(i)}" if entry else self._which(i), f"with the gradient {g[i]}"
        raise ValueError(
            f"{type(self).__name__}.step: {what} would become {np.ravel(new)[i]} {after}; no parameter was changed "
            "(a smaller lr or clip_norm= may keep it finite, allow_nonfinite=True lets it through)"
        )

    def _which(self, i: int) -> str:
        name = self.params[i].name
        return f"params[{i}] ({name})" if name else f"params[{i}]"

    def state_dict(self) -> dict[str, Any]:
        """The learning rate (None under a schedule), the steps taken and what each piece remembers, in plain lists."""
        steps, states = self._state
        return {
            "rule": type(self).__name__,
            "lr": None if callable(self._lr) else self._lr,
            "steps": steps,
            "pieces": [
                {"piece": type(piece).__name__, **{k: getattr(x, "tolist", lambda x=x: x)() for k, x in state.items()}}
                for piece, state in zip(self.pieces, states, strict=True)
            ],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the state of an optimizer of the same rule over as many parameters; all of it or nothing.

        Args:
            state: what `state_dict` gave.

        Raises:
            TypeError: state is no such dict.
            ValueError: it belongs to another rule, or to another number of parameters, or a number in it is NaN or
                infinite (unless allow_nonfinite).
        """
        set_numbers((), (), self.loading(state))

    def loading(self, state: Mapping[str, Any]) -> Iterator[Any]:
        """`load_state_dict` as an effect for `set_numbers`: checked now, done when it is run through."""
        import numpy as np

        who = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state, Mapping):
            raise TypeError(f"{who}: expected what state_dict() gave, got {shown(state)}")
        _same_keys(state, {"rule", "lr", "steps", "pieces"}, who)
        if state["rule"] != type(self).__name__:
            raise ValueError(f"{who}: the state is of the rule {state['rule']!r}")
        lr = state["lr"]
        if (lr is None) != callable(self._lr):
            has, had = ("a schedule", "a number") if lr is not None else ("a number", "a schedule")
            raise ValueError(f"{who}: this optimizer's lr is {has}, the state's was {had}")
        lr = self._lr if lr is None else setting(lr, f"{who}: lr", 0.0)
        steps = whole(state["steps"], f"{who}: steps", 0)
        kinds = [type(piece).__name__ for piece in self.pieces]
        entries = state["pieces"]
        if not isinstance(entries, Sequence) or not all(isinstance(entry, Mapping) for entry in entries):
            raise TypeError(f"{who}: 'pieces' must be a list of dicts, got {shown(entries)}")
        if [entry.get("piece") for entry in entries] != kinds:
            raise ValueError(f"{who}: the pieces are {kinds}, the state's {[entry.get('piece') for entry in entries]}")
        n, states = len(self.params), []
        for piece, entry, kind in zip(self.pieces, entries, kinds, strict=True):
            start = piece.start(n)
            _same_keys(entry, {"piece", *start}, f"{who}: {kind}")
            loaded: State = {}
            for key, first in start.items():
                if isinstance(first, np.ndarray):
                    given = np.array(entry[key], dtype=object)
                    numbers = [plain(x, f"{who}: {kind}.{key}") for x in given.ravel()]
                    if not self.allow_nonfinite and not all(map(isfinite, numbers)):
                        raise ValueError(f"{who}: {kind}.{key} holds a number that is not finite")
                    loaded[key] = np.array(numbers).reshape(given.shape)
                    if loaded[key].shape != first.shape:
                        raise ValueError(
                            f"{who}: {kind}.{key} has shape {loaded[key].shape}, {n} parameters need {first.shape}"
                        )
                elif isinstance(first, int):
                    loaded[key] = whole(entry[key], f"{who}: {kind}.{key}", 0)
                else:
                    loaded[key] = entry[key]
            states.append(loaded)
        return chain(map(_set_lr, (self,), (lr,)), map(_set_state, (self,), ((steps, tuple(states)),)))

    def __repr__(self) -> str:
        pieces = "".join(f", {piece!r}" for piece in self.pieces)
        return f"{type(self).__name__}({len(self.params)} parameters, lr={self._lr!r}{pieces})"


_set_state = vars(Optimizer)["_state"].__set__
_set_lr = vars(Optimizer)["_lr"].__set__


def _same_keys(given: Mapping[str, Any], wanted: set[str], who: str) -> None:
    missing, extra = sorted(wanted - given.keys()), sorted(given.keys() - wanted, key=str)
    if missing or extra:
        wrong = [f"missing {k!r}" for k in missing] + [f"unknown {k!r}" for k in extra]
        raise ValueError(f"{who}: {', '.join(wrong[:5])}")


# --- rules by name ----------------------------------------------------------------------------------------


def _first(who: str, weight_decay: float, l2: float, clip_value: float | None, clip_norm: float | None) -> list[Piece]:
    """The pieces that every named rule may begin with: clipping, then decay."""
    pieces: list[Piece] = []
    if clip_value is not None:
        pieces.append(ClipValue(_above_zero(clip_value, f"{who}: clip_value")))
    if clip_norm is not None:
        pieces.append(ClipNorm(_above_zero(clip_norm, f"{who}: clip_norm")))
    decay = setting(weight_decay, f"{who}: weight_decay", 0.0) + 2.0 * setting(l2, f"{who}: l2", 0.0)
    if decay:
        pieces.append(AddDecay(decay))
    return pieces


class SGD(Optimizer):
    """Gradient descent, with momentum and weight decay if asked.

        g <- g + weight_decay w + 2 l2 w;  v <- momentum v + g;  w <- w - lr v

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        momentum: in [0, 1); 0 is plain gradient descent.
        nesterov: look ahead: the step is g + momentum v.
        weight_decay: adds weight_decay w to the gradient.
        l2: the slides' penalty l2 * sum w^2, which adds 2 l2 w to the gradient.
        clip_value: keep each component of the gradient within [-clip_value, clip_value].
        clip_norm: scale the gradient down to this norm where it is longer.
        allow_nonfinite: take a step from or to numbers that are NaN or infinite, instead of refusing.

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
        self, params: Iterable[Value], lr: float | Callable[[int], float], momentum: float = 0.0,
        nesterov: bool = False, weight_decay: float = 0.0, l2: float = 0.0, *, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        mu = setting(momentum, "SGD: momentum", 0.0, 1.0)
        if nesterov and not mu:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        pieces = _first("SGD", weight_decay, l2, clip_value, clip_norm)
        if mu:
            pieces.append(Momentum(mu, nesterov))
        super().__init__(params, lr, *pieces, allow_nonfinite=allow_nonfinite)


class Adagrad(Optimizer):
    """AdaGrad: each parameter's rate falls with the squares of all its gradients.

        cache <- cache + g^2;  w <- w - lr g / (sqrt(cache) + eps)

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        eps: keeps the quotient finite.
        weight_decay, l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError: params are no leaves, or a setting is no number.
        ValueError: a setting is out of its range.

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
        weight_decay: float = 0.0, l2: float = 0.0, *, clip_value: float | None = None,
        clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        pieces = _first("Adagrad", weight_decay, l2, clip_value, clip_norm)
        eps = setting(eps, "Adagrad: eps", 0.0)
        super().__init__(params, lr, *pieces, DivideByAllSquares(eps), allow_nonfinite=allow_nonfinite)


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
        TypeError: params are no leaves, or a setting is no number.
        ValueError: a setting is out of its range.

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
        eps: float = 1e-8, momentum: float = 0.0, weight_decay: float = 0.0, l2: float = 0.0, *,
        clip_value: float | None = None, clip_norm: float | None = None, allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        pieces = _first("RMSprop", weight_decay, l2, clip_value, clip_norm)
        pieces.append(DivideByMeanSquare(setting(alpha, "RMSprop: alpha", 0.0, 1.0), setting(eps, "RMSprop: eps", 0.0)))
        mu = setting(momentum, "RMSprop: momentum", 0.0, 1.0)
        if mu:
            pieces.append(Momentum(mu))
        super().__init__(params, lr, *pieces, allow_nonfinite=allow_nonfinite)


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
        TypeError: params are no leaves, or a setting is no number.
        ValueError: a setting is out of its range.

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
        betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0, l2: float = 0.0, *,
        corrected: bool = True, clip_value: float | None = None, clip_norm: float | None = None,
        allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        pieces = _first("Adam", weight_decay, l2, clip_value, clip_norm)
        pieces.append(Moments(_betas(betas, "Adam"), setting(eps, "Adam: eps", 0.0), corrected))
        super().__init__(params, lr, *pieces, allow_nonfinite=allow_nonfinite)


class AdamW(Optimizer):
    """Adam with weight decay decoupled from the gradient: w also shrinks by lr * weight_decay * w.

    Args:
        params: the leaves to change.
        lr: the learning rate, or a schedule.
        betas, eps, corrected: as for `Adam`.
        weight_decay: the share of a parameter taken off it at each step, times lr; not seen by the running means.
        l2, clip_value, clip_norm, allow_nonfinite: as for `SGD`.

    Raises:
        TypeError: params are no leaves, or a setting is no number.
        ValueError: a setting is out of its range.

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
        betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2, l2: float = 0.0, *,
        corrected: bool = True, clip_value: float | None = None, clip_norm: float | None = None,
        allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        pieces = _first("AdamW", 0.0, l2, clip_value, clip_norm)
        pieces.append(Moments(_betas(betas, "AdamW"), setting(eps, "AdamW: eps", 0.0), corrected))
        decay = setting(weight_decay, "AdamW: weight_decay", 0.0)
        if decay:
            pieces.append(AddDecay(decay))
        super().__init__(params, lr, *pieces, allow_nonfinite=allow_nonfinite)


AdaGrad, RMSProp = Adagrad, RMSprop  # as the slides and papers write them; the names above are PyTorch's
