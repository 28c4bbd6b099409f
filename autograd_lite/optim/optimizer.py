"""Optimizer: parameters, a learning rate and a chain of transformations; a step is taken whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

from autograd_lite.engine.atomic import clear_grads, set_numbers
from autograd_lite.engine.checks import as_float, describe, sequence, setting, whole
from autograd_lite.engine.reading import grads_of, numbers_of
from autograd_lite.engine.value import Value
from autograd_lite.optim.transformations import RENAMED, AverageWeights, State, Transform, initial_state
from autograd_lite.optim.vectors import Floats, all_finite, flat, is_vector, largest, quiet, vector, where

if TYPE_CHECKING:
    import numpy as np

    Vector: TypeAlias = np.ndarray[Any, Any]

Rate: TypeAlias = float | Callable[[int], float]
"""A learning rate, or a schedule: a function of the number of steps taken."""


class NotFinite(ValueError):
    """A gradient is NaN or infinite, or a step would make a number so; nothing was changed."""


class Optimizer:
    """Parameters, a learning rate and a chain of gradient transformations: w <- w - lr * chain(g).

    This is a "gradient update schedule": the chain says what becomes of the gradient at every step.

    Args:
        params: the leaves to change, Parameters or Values, from any iterable; one given twice counts once. Or groups
            of them, dicts such as {"params": [...], "lr": 0.01}, each with a rate of its own; see `param_groups`.
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
    __slots__ = ("_groups", "_lr", "_state", "allow_nonfinite", "params", "transforms")

    def __init__(
        self, params: Iterable[Value] | Iterable[Mapping[str, Any]], lr: Rate, *transforms: Transform,
        allow_nonfinite: bool = False,
    ) -> None:  # fmt: skip
        self._take(params, ("lr",))
        self._start(lr, transforms, allow_nonfinite)

    def _take(self, params: Any, settings: Sequence[str]) -> list[tuple[Mapping[str, Any], list[int]]]:
        """Set `params` and the groups; of each group (its settings, the indices of its parameters)."""
        name = type(self).__name__
        given = sequence(params, f"{name}: params", "a sequence of Parameters")
        groups = given if given and isinstance(given[0], Mapping) else [{"params": given}]
        self.params: list[Value] = []
        seen: dict[int, int] = {}
        found = []
        for j, group in enumerate(groups):
            place = f"params[{j}]['params']" if groups is given else "params"
            if not isinstance(group, Mapping):
                raise TypeError(f"{name}: params[{j}] must be a group like params[0], a dict, got {describe(group)}")
            unknown = sorted(set(group) - {"params", *settings}, key=str)
            if unknown or "params" not in group:
                raise ValueError(
                    f"{name}: the group params[{j}] has {unknown or list(group)}; a group has 'params' and may have "
                    f"{' and '.join(map(repr, settings))}. For other settings make a second optimizer"
                )
            members = []
            for i, p in enumerate(sequence(group["params"], f"{name}: {place}", "a sequence of Parameters")):
                if not isinstance(p, Value):
                    raise TypeError(f"{name}: {place}[{i}] must be a Parameter, got {describe(p)}")
                if p._row is not None:
                    raise TypeError(
                        f"{name}: {place}[{i}] is not a leaf: it is the result of {p.op!r}; pass the leaves it "
                        "depends on"
                    )
                if id(p) not in seen:
                    seen[id(p)] = j
                    members.append(len(self.params))
                    self.params.append(p)
                elif seen[id(p)] != j:
                    raise ValueError(f"{name}: {place}[{i}] is in the group params[{seen[id(p)]}] too")
            found.append((group, members))
        if not self.params:
            raise ValueError(f"{name}: there are no parameters")
        self._groups: tuple[tuple[Any, list[int]], ...] = ()
        if groups is given:
            rates = [self._checked_rate(group["lr"]) if "lr" in group else None for group in groups]
            self._groups = tuple((rate, members) for rate, (_, members) in zip(rates, found, strict=True))
        return found

    def _start(self, lr: Rate, transforms: Sequence[Transform], allow_nonfinite: bool) -> None:
        """Set the rest: the chain and its state before the first step."""
        for transform in transforms:
            if not (hasattr(transform, "update") and (hasattr(transform, "init") or hasattr(transform, "start"))):
                raise TypeError(
                    f"{type(self).__name__}: a gradient transformation has init(n) and update(g, state, w), "
                    f"got {describe(transform)}"
                )
        self.transforms: tuple[Transform, ...] = tuple(transforms)
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
        """The learning rate of the next step, of all groups without one; set it to a number or a schedule."""
        return self._rate_now(self._lr)

    @lr.setter
    def lr(self, lr: Rate) -> None:
        self._lr: Any = self._checked_rate(lr)

    learning_rate = lr
    """The name of `lr` in Keras and scikit-learn."""

    def _checked_rate(self, lr: Any) -> Any:
        if getattr(lr, "watches_losses", False):
            raise TypeError(
                f"{type(self).__name__}: lr: {type(lr).__name__} needs the losses, which an optimizer does not see; "
                "give it to ag.fit as schedule="
            )
        return lr if callable(lr) else setting(lr, f"{type(self).__name__}: lr", 0.0)

    def _rate_now(self, lr: Any, step: int | None = None) -> float:
        step = self.steps if step is None else step
        return setting(lr(step), f"{type(self).__name__}: lr at step {step}", 0.0) if callable(lr) else lr

    @property
    def one_rate(self) -> bool:
        """Whether all parameters have the same learning rate."""
        return all(own is None for own, _ in self._groups_of_now())

    @property
    def param_groups(self) -> list[ParamGroup]:
        """The groups of parameters, in the order given; one if there are none.

        Example:
            >>> model = ag.MLP(2, [3, 1], seed=0)
            >>> decayed = {"params": model.weights(), "weight_decay": 0.01}
            >>> optimizer = ag.optim.AdamW([decayed, {"params": model.biases(), "lr": 0.1}], weight_decay=0.0)
            >>> for group in optimizer.param_groups:
            ...     group["lr"] *= 0.5
            >>> [group["lr"] for group in optimizer.param_groups]
            [0.0005, 0.05]
        """
        return [ParamGroup(self, i) for i in range(len(self._groups_of_now()) or 1)]

    def _groups_of_now(self) -> tuple[tuple[Any, list[int]], ...]:
        return getattr(self, "_groups", ())  # pickles of earlier versions have none

    def _rates(self) -> Any:
        """The learning rate of the next step: one number, or a vector where groups have their own."""
        if self.one_rate:
            return self.lr
        each = [0.0] * len(self.params)
        for own, members in self._groups_of_now():
            rate = self.lr if own is None else self._rate_now(own)
            for i in members:
                each[i] = rate
        return vector(each)

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
                found.append(self._rate_now(self._lr, k))
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
        after = []
        for transform, state in zip(self.transforms, states, strict=True):
            made = transform.update(g, state, w)
            whole_pair = isinstance(made, tuple) and len(made) == 2
            shape = getattr(made[0], "shape", ()) if whole_pair else None
            if shape != w.shape or not isinstance(made[1], Mapping):
                what = f"updates of shape {shape}" if shape not in (None, w.shape) else describe(made)
                raise TypeError(
                    f"{type(self).__name__}: {type(transform).__name__}.update must return (updates of shape "
                    f"{w.shape}, a dict), it returned {what}"
                )
            g, state = made
            after.append(state)
        w = w - self._rates() * g
        for i, transform in enumerate(self.transforms):
            if hasattr(transform, "after_step"):
                after[i] = transform.after_step(after[i], w)
        return w, tuple(after)

    def step(self) -> None:
        """Change every parameter that is not frozen by its gradient; all of them or none.

        Raises:
            ValueError: a gradient is NaN or infinite, or would make a parameter or an entry of the state so, as the
                square of 1e200 does (unless allow_nonfinite); nothing was changed.
        """
        numbers, effect = self.stepped(vector(numbers_of(self.params)), vector(grads_of(self.params)))
        # Parameters and state in one call: an interrupt between them would leave a step half taken.
        set_numbers(self.params, numbers.tolist(), effect)

    def stepped(self, w: Vector, g: Vector) -> tuple[Vector, Iterator[Any]]:
        """`step` on vectors: the numbers after it, and an effect for `set_numbers` that stores the new state."""
        frozen = [getattr(p, "frozen", False) for p in self.params]
        live = vector([not x for x in frozen]) > 0.0 if any(frozen) else None
        if live is not None:
            g = where(live, g, 0.0)
        if not self.allow_nonfinite and not all_finite(g):
            i, x = next((i, x) for i, x in enumerate(g.tolist()) if not isfinite(x))
            raise NotFinite(
                f"{type(self).__name__}.step: the gradient of {self._which(i)} is {x}; "
                "no parameter was changed (allow_nonfinite=True lets it through)"
            )
        states = self.states
        with quiet():  # overflow is found below, unless it is allowed
            numbers, after = self.advance(w, g, states)
        if live is not None:  # weight decay would move them, and momentum carry them on
            numbers = where(live, numbers, w)
            after = tuple(
                {k: where(live, x, old[k]) if is_vector(x) else x for k, x in new.items()}
                for new, old in zip(after, states, strict=True)
            )
        if not self.allow_nonfinite:
            for transform, old, new in zip(self.transforms, states, after, strict=True):
                for key, x in new.items():
                    self._check_overflow(f"{type(transform).__name__}.{key}", old.get(key), x, g)
            self._check_overflow("", w, numbers, g)
        return numbers, self.storing(1, after)

    def storing(self, count: int, states: tuple[State, ...]) -> Iterator[Any]:
        """An effect for `set_numbers`: n steps more, and these states."""
        return map(_set_state, (self,), ((self.steps + count, states),))

    def _check_overflow(self, entry: str, old: Any, new: Any, g: Vector) -> None:
        """Refuse numbers of an entry of a state (or of the parameters, entry "") that a step makes non-finite."""
        if not (isinstance(new, float) or (is_vector(new) and (isinstance(new, Floats) or new.dtype.kind == "f"))):
            return  # a count, or whatever else a user-defined transformation keeps
        if all_finite(new):
            return
        # An infinity that was there before the step is not an overflow: a parameter may have been set to it.
        now, before = (x.ravel().tolist() if hasattr(x, "ravel") else [*x] if is_vector(x) else [x] for x in (new, old))
        known = len(before) == len(now) and all(isinstance(x, (int, float)) for x in before)
        bad = (i for i, x in enumerate(now) if not isfinite(x) and not (known and not isfinite(before[i])))
        if (i := next(bad, None)) is None:
            return
        what, after = entry, f"with gradients up to {largest(g)}"
        if getattr(new, "shape", ()) == g.shape:
            what, after = f"{entry} of {self._which(i)}" if entry else self._which(i), f"with the gradient {g[i]}"
        raise NotFinite(
            f"{type(self).__name__}.step: {what} would become {now[i]} {after}; no parameter was changed "
            "(a smaller lr or clip_norm= may keep it finite, allow_nonfinite=True lets it through)"
        )

    # --- the average of the weights ---------------------------------------------------------------------

    def track_average(self, decay: float | None = 0.999) -> Optimizer:
        """Keep an average of the parameters from now on, by `AverageWeights` at the end of the chain.

        Args:
            decay: how much of the average is kept at a step, in [0, 1); None for the mean of all steps.

        Returns:
            The optimizer itself.

        Raises:
            ValueError: there is an average already, or decay is out of its range.

        Example:
            >>> w = ag.Parameter(1.0)
            >>> optimizer = ag.optim.SGD([w], lr=0.25).track_average(0.5)
            >>> for _ in range(2):
            ...     w.grad = 1.0
            ...     optimizer.step()
            >>> with optimizer.averaged():
            ...     w.item()
            0.625
            >>> w.item()
            0.5
        """
        if any(isinstance(transform, AverageWeights) for transform in self.transforms):
            raise ValueError(f"{type(self).__name__}.track_average: there is an average already")
        last = AverageWeights(decay)
        steps, states = self._state
        self._state = (steps, (*states, last.init(len(self.params))))
        self.transforms = (*self.transforms, last)
        return self

    @property
    def averages(self) -> list[float]:
        """The average of each parameter, in the order of `params`; of the parameters themselves before a step.

        Raises:
            ValueError: no average is kept.
        """
        for transform, state in zip(self.transforms, self._state[1], strict=True):
            if isinstance(transform, AverageWeights):
                return state["average"].tolist() if state["t"] else numbers_of(self.params)
        raise ValueError(f"{type(self).__name__}.averages: no average is kept; call track_average before training")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A context in which the parameters are their averages; they are as before after it."""
        before = numbers_of(self.params)
        set_numbers(self.params, self.averages)
        try:
            yield
        finally:
            set_numbers(self.params, before)

    def _which(self, i: int) -> str:
        name = self.params[i].name
        return f"params[{i}] ({name})" if name else f"params[{i}]"

    def state_dict(self) -> dict[str, Any]:
        """The learning rate (None under a schedule), the steps taken, the state of each transformation; plain lists.

        With groups the rate is a list: the optimizer's own, then that of each group (None for those without).
        """
        steps, states = self._state
        rates = [None if callable(x) else x for x in (self._lr, *(own for own, _ in self._groups_of_now()))]
        return {
            "rule": type(self).__name__,
            "lr": rates if len(rates) > 1 else rates[0],
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
        groups = self._groups_of_now()
        rates = state["lr"] if isinstance(state["lr"], list) else [state["lr"]]
        if len(rates) != len(groups) + 1:
            raise ValueError(f"{who}: this optimizer has {len(groups)} groups, the state {len(rates) - 1}")
        lr, *own = (
            self._loaded_rate(now, rate, who)
            for now, rate in zip((self._lr, *(own for own, _ in groups)), rates, strict=True)
        )
        groups = tuple((rate, members) for rate, (_, members) in zip(own, groups, strict=True))
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
        return chain(
            map(_set_lr, (self,), (lr,)), map(_set_groups, (self,), (groups,)),
            map(_set_state, (self,), ((steps, tuple(states)),)),
        )  # fmt: skip

    def _loaded_rate(self, now: Any, rate: Any, who: str) -> Any:
        """A rate of a state; a schedule, which a state does not hold, stays."""
        kinds = [
            "a schedule" if callable(now) else "a number" if now is not None else "that of all",
            "a number" if rate is not None else "a schedule" if callable(now) or now is not None else "that of all",
        ]
        if kinds[0] != kinds[1]:
            raise ValueError(f"{who}: this optimizer's lr is {kinds[0]}, the state's was {kinds[1]}")
        return now if rate is None else setting(rate, f"{who}: lr", 0.0)

    def _loaded_state(self, transform: Transform, entry: Mapping[str, Any], who: str) -> State:
        """The state of one transformation: of the types and shapes of its initial state."""
        n = len(self.params)
        first = initial_state(transform, n)
        _same_keys(entry, {"piece", *first}, who)
        loaded: State = {}
        for key, start in first.items():
            if is_vector(start):
                given, shape = flat(entry[key])
                numbers = [as_float(x, f"{who}.{key}") for x in given]
                if not self.allow_nonfinite and not all(map(isfinite, numbers)):
                    raise ValueError(f"{who}.{key} holds a number that is not finite")
                if shape != start.shape:
                    raise ValueError(f"{who}.{key} has shape {shape}, {n} parameters need {start.shape}")
                loaded[key] = vector(numbers) if len(shape) == 1 else vector(numbers).reshape(shape)
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

_set_groups = vars(Optimizer)["_groups"].__set__


class ParamGroup(MutableMapping[str, Any]):
    """A group of an optimizer's parameters, as PyTorch has them: "params", and "lr", which can be set.

    Example:
        >>> w, b = ag.Parameter(1.0), ag.Parameter(0.0)
        >>> optimizer = ag.optim.SGD([{"params": [w]}, {"params": [b], "lr": 0.5}], lr=0.1)
        >>> optimizer.param_groups[1]["lr"] = 0.25
        >>> optimizer.param_groups[1]
        ParamGroup(1 parameters, lr=0.25)
    """

    __slots__ = ("_at", "_optimizer")

    def __init__(self, optimizer: Optimizer, at: int) -> None:
        self._optimizer, self._at = optimizer, at

    def __getitem__(self, key: str) -> Any:
        optimizer = self._optimizer
        own, members = (optimizer._groups_of_now() or ((None, range(len(optimizer.params))),))[self._at]
        if key == "params":
            return [optimizer.params[i] for i in members]
        if key == "lr":
            return optimizer.lr if own is None else optimizer._rate_now(own)
        raise KeyError(key)

    def __setitem__(self, key: str, x: Any) -> None:
        optimizer, groups = self._optimizer, list(self._optimizer._groups_of_now())
        if key != "lr":
            raise KeyError(f"the lr of a group of parameters can be set, its {key!r} cannot")
        if not groups:
            optimizer.lr = x
            return
        groups[self._at] = (optimizer._checked_rate(x), groups[self._at][1])
        optimizer._groups = tuple(groups)

    def __delitem__(self, key: str) -> None:
        raise TypeError("a group of parameters keeps its entries")

    def __iter__(self) -> Iterator[str]:
        return iter(("params", "lr"))

    def __len__(self) -> int:
        return 2

    def __repr__(self) -> str:
        return f"ParamGroup({len(self['params'])} parameters, lr={self['lr']!r})"


def _same_keys(given: Mapping[str, Any], wanted: set[str], who: str) -> None:
    missing, extra = sorted(wanted - given.keys()), sorted(given.keys() - wanted, key=str)
    if missing or extra:
        wrong = [f"missing {k!r}" for k in missing] + [f"unknown {k!r}" for k in extra]
        raise ValueError(f"{who}: {', '.join(wrong[:5])}")
