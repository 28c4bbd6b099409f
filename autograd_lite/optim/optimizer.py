"""Optimizer: parameters, a learning rate and a chain of transformations; a step is taken whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

from autograd_lite.engine.atomic import clear_grads, set_numbers
from autograd_lite.engine.checks import as_float, describe, sequence, setting, whole
from autograd_lite.engine.reading import grads_of, numbers_of
from autograd_lite.engine.value import Value
from autograd_lite.optim.transformations import RENAMED, State, Transform, initial_state

if TYPE_CHECKING:
    import numpy as np

    Vector: TypeAlias = np.ndarray[Any, Any]


class Optimizer:
    """Parameters, a learning rate and a chain of gradient transformations: w <- w - lr * chain(g).

    This is a "gradient update schedule": the chain says what becomes of the gradient at every step.

    Args:
        params: the leaves to change, Parameters or Values, from any iterable; one given twice counts once.
        lr: the learning rate, at least 0, which may be set between steps; or a schedule, a function of the
            number of steps taken.
        transforms: what turns gradients into updates, first to last; see `Transform`.
        allow_nonfinite: take a step from or to numbers that are NaN or infinite, instead of refusing.

    Raises:
        TypeError: params are not leaves, or lr is not a number.
        ValueError: there are no params, or lr is negative, NaN or infinite.

    Example:
        >>> w = ag.Parameter(1.0)
        >>> optimizer = ag.optim.Optimizer([w], 0.1, ag.optim.ClipByGlobalNorm(1.0), ag.optim.Momentum(0.9))
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> w.item()
        0.9

    Source: the notes "Working out backpropagation", learning rates; optax's chains.
    """

    _state: tuple[int, tuple[State, ...]]  # steps taken; the state of each transformation
    __slots__ = ("_lr", "_state", "allow_nonfinite", "params", "transforms")

    def __init__(
        self, params: Iterable[Value], lr: float | Callable[[int], float], *transforms: Transform,
        allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        self.params: list[Value] = []
        seen: set[int] = set()
        for i, p in enumerate(sequence(params, f"{name}: params", "a sequence of Parameters")):
            if not isinstance(p, Value):
                raise TypeError(f"{name}: params[{i}] must be a Parameter, got {describe(p)}")
            if p._row is not None:
                raise TypeError(
                    f"{name}: params[{i}] is not a leaf: it is the result of {p.op!r}; pass the leaves it depends on"
                )
            if id(p) not in seen:
                seen.add(id(p))
                self.params.append(p)
        if not self.params:
            raise ValueError(f"{name}: there are no parameters")
        for transform in transforms:
            if not (hasattr(transform, "update") and (hasattr(transform, "init") or hasattr(transform, "start"))):
                raise TypeError(
                    f"{name}: a gradient transformation has init(n) and update(g, state, w), got {describe(transform)}"
                )
        self.transforms: tuple[Transform, ...] = transforms
        self.allow_nonfinite: bool = allow_nonfinite
        self._state = (0, tuple(initial_state(transform, len(self.params)) for transform in transforms))
        self.lr = lr

    @property
    def pieces(self) -> tuple[Transform, ...]:
        """The name of `transforms` in earlier versions."""
        return self.transforms

    @pieces.setter
    def pieces(self, transforms: tuple[Transform, ...]) -> None:  # pickles of earlier versions set it
        self.transforms = transforms

    @property
    def lr(self) -> float:
        """The learning rate of the next step; set it to a number or a schedule."""
        return self.rates(1)[0]

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

    @property
    def states(self) -> tuple[State, ...]:
        """The state of each transformation, as `advance` takes it."""
        return self._state[1]

    def rates(self, count: int) -> list[float]:
        """The learning rates of the next steps; fewer where a schedule raises for a later one."""
        if not callable(self._lr):
            return [self._lr] * count
        found: list[float] = []
        for k in range(self.steps, self.steps + count):
            try:
                found.append(setting(self._lr(k), f"{type(self).__name__}: lr at step {k}", 0.0))
            except Exception:
                if not found:
                    raise
                break
        return found

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0; otherwise backward passes add up."""
        clear_grads(self.params)

    def advance(self, w: Vector, g: Vector, states: Sequence[State]) -> tuple[Vector, tuple[State, ...]]:
        """The rule as a pure function on vectors: no Value is read or written.

        Args:
            w, g: the parameters and their gradients, shape (n,).
            states: the state of each transformation, to begin with its `init(n)`.

        Returns:
            (parameters after the step, the state of each transformation after it).
        """
        import numpy as np

        after = []
        for transform, state in zip(self.transforms, states, strict=True):
            made = transform.update(g, state, w)
            shape = np.shape(made[0]) if isinstance(made, tuple) and len(made) == 2 else None
            if shape != w.shape or not isinstance(made[1], Mapping):
                what = f"updates of shape {shape}" if shape not in (None, w.shape) else describe(made)
                raise TypeError(
                    f"{type(self).__name__}: {type(transform).__name__}.update must return (updates of shape "
                    f"{w.shape}, a dict), it returned {what}"
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

        w, g = np.array(numbers_of(self.params)), np.array(grads_of(self.params))
        numbers, effect = self.stepped(w, g)
        # Parameters and state in one call: an interrupt between them would leave a step half taken.
        set_numbers(self.params, numbers.tolist(), effect)

    def stepped(self, w: Vector, g: Vector) -> tuple[Vector, Iterator[Any]]:
        """`step` on vectors: the numbers after it, and an effect for `set_numbers` that stores the new state."""
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
        states = self.states
        with np.errstate(over="ignore", invalid="ignore"):  # found below, unless it is allowed
            numbers, after = self.advance(w, g, states)
        if some_frozen:  # weight decay would move them, and momentum carry them on
            numbers = np.where(live, numbers, w)
            after = tuple(
                {k: np.where(live, x, old[k]) if isinstance(x, np.ndarray) else x for k, x in new.items()}
                for new, old in zip(after, states, strict=True)
            )
        if not self.allow_nonfinite:
            for transform, old, new in zip(self.transforms, states, after, strict=True):
                for key, x in new.items():
                    self._check_overflow(f"{type(transform).__name__}.{key}", old.get(key), x, g)
            self._check_overflow("", w, numbers, g)
        return numbers, self.storing(1, after)

    def storing(self, count: int, states: tuple[State, ...]) -> Iterator[Any]:
        """An effect for `set_numbers`: so many steps more, and these states."""
        return map(_set_state, (self,), ((self.steps + count, states),))

    def _check_overflow(self, entry: str, old: Any, new: Any, g: Vector) -> None:
        """Refuse numbers of an entry of a state (or of the parameters, entry "") that a step makes non-finite."""
        import numpy as np

        if not isinstance(new, (float, np.ndarray)) or getattr(new, "dtype", np.dtype(float)).kind != "f":
            return  # a count, or whatever else a user-defined transformation keeps
        if np.isfinite(new).all():
            return
        # An infinity that was there before the step is not an overflow: a parameter may have been set to it.
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
        """The learning rate (None under a schedule), the steps taken, the state of each transformation; plain lists."""
        steps, states = self._state
        return {
            "rule": type(self).__name__,
            "lr": None if callable(self._lr) else self._lr,
            "steps": steps,
            "pieces": [
                {"piece": type(t).__name__, **{k: getattr(x, "tolist", lambda x=x: x)() for k, x in state.items()}}
                for t, state in zip(self.transforms, states, strict=True)
            ],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the state of an optimizer of the same rule and number of parameters; all of it or nothing.

        Args:
            state: what `state_dict` returned.

        Raises:
            TypeError: state is not such a dict.
            ValueError: it belongs to another rule, or to another number of parameters, or a number in it is NaN or
                infinite (unless allow_nonfinite).
        """
        set_numbers((), (), self.loading(state))

    def loading(self, state: Mapping[str, Any]) -> Iterator[Any]:
        """`load_state_dict` as an effect for `set_numbers`: checked now, done when it is iterated."""
        who = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state, Mapping):
            raise TypeError(f"{who}: expected what state_dict() returns, got {describe(state)}")
        _same_keys(state, {"rule", "lr", "steps", "pieces"}, who)
        if state["rule"] != type(self).__name__:
            raise ValueError(f"{who}: the state is of the rule {state['rule']!r}")
        lr = state["lr"]
        if (lr is None) != callable(self._lr):
            has, had = ("a schedule", "a number") if lr is not None else ("a number", "a schedule")
            raise ValueError(f"{who}: this optimizer's lr is {has}, the state's was {had}")
        lr = self._lr if lr is None else setting(lr, f"{who}: lr", 0.0)
        steps = whole(state["steps"], f"{who}: steps", 0)
        kinds = [type(transform).__name__ for transform in self.transforms]
        entries = state["pieces"]
        if not isinstance(entries, Sequence) or not all(isinstance(entry, Mapping) for entry in entries):
            raise TypeError(f"{who}: 'pieces' must be a list of dicts, got {describe(entries)}")
        found = [entry.get("piece") for entry in entries]
        if kinds not in (found, [RENAMED.get(str(name), name) for name in found]):
            raise ValueError(f"{who}: the transformations are {kinds}, the state's {found}")
        states = [
            self._loaded_state(transform, entry, f"{who}: {kind}")
            for transform, entry, kind in zip(self.transforms, entries, kinds, strict=True)
        ]
        return chain(map(_set_lr, (self,), (lr,)), map(_set_state, (self,), ((steps, tuple(states)),)))

    def _loaded_state(self, transform: Transform, entry: Mapping[str, Any], who: str) -> State:
        """The state of one transformation: of the types and shapes of its initial state."""
        import numpy as np

        n = len(self.params)
        first = initial_state(transform, n)
        _same_keys(entry, {"piece", *first}, who)
        loaded: State = {}
        for key, start in first.items():
            if isinstance(start, np.ndarray):
                given = np.array(entry[key], dtype=object)
                numbers = [as_float(x, f"{who}.{key}") for x in given.ravel()]
                if not self.allow_nonfinite and not all(map(isfinite, numbers)):
                    raise ValueError(f"{who}.{key} holds a number that is not finite")
                if given.shape != start.shape:
                    raise ValueError(f"{who}.{key} has shape {given.shape}, {n} parameters need {start.shape}")
                loaded[key] = np.array(numbers).reshape(given.shape)
            elif isinstance(start, int):
                loaded[key] = whole(entry[key], f"{who}.{key}", 0)
            else:
                loaded[key] = entry[key]
        return loaded

    def __repr__(self) -> str:
        transforms = "".join(f", {transform!r}" for transform in self.transforms)
        return f"{type(self).__name__}({len(self.params)} parameters, lr={self._lr!r}{transforms})"


_set_state = vars(Optimizer)["_state"].__set__

_set_lr = vars(Optimizer)["_lr"].__set__


def _same_keys(given: Mapping[str, Any], wanted: set[str], who: str) -> None:
    missing, extra = sorted(wanted - given.keys()), sorted(given.keys() - wanted, key=str)
    if missing or extra:
        wrong = [f"missing {k!r}" for k in missing] + [f"unknown {k!r}" for k in extra]
        raise ValueError(f"{who}: {', '.join(wrong[:5])}")
