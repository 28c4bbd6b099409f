"""What a model consists of, to see whether anything in it was added, removed or replaced since it was traced."""

from __future__ import annotations

import array
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from numbers import Number
from sys import stdlib_module_names
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from autograd_lite.engine.modes import Follower, comparing, tracing
from autograd_lite.engine.value import Value


class Contents:
    """What a model is made of, to see whether anything in it was added, removed or replaced.

    Elements are compared by `is`, for two Values of one number are not the same Parameter; numbers and texts that were
    replaced by equal ones count as the same, and arrays of numbers are compared byte for byte.
    """

    def __init__(self, model: Any) -> None:
        self._parts: list[Any] = []
        """Each container, or what iterates over its elements as they are now."""
        self._arrays: list[Any] = []
        self._seen: dict[int, Any] = {}
        stack = [model]
        while stack:
            thing = stack.pop()
            if id(thing) not in self._seen and not isinstance(thing, ATOMS):
                self._seen[id(thing)] = thing  # kept, so that no other gets its address
                stack.extend(self._opened(thing))
        self._copies = [part.copy() for part in self._parts]
        self._before, self._bytes = self._elements(), self._array_bytes()

    def _opened(self, thing: Any) -> list[Any]:
        """Note what is in a container, and give its elements."""
        parts: list[Any] = []
        if isinstance(thing, np.ndarray):
            if thing.dtype != object:
                self._arrays.append(thing)
                return []
            parts.append(_Elements(lambda: thing.ravel().tolist()))
        elif isinstance(thing, (array.array, bytearray, memoryview)):
            parts.append(_Elements(lambda: [thing.tobytes() if isinstance(thing, memoryview) else bytes(thing)]))
        elif isinstance(thing, (dict, list, set, deque, MappingProxyType)):
            parts.append(thing)
        elif isinstance(thing, (tuple, frozenset)):
            return list(thing)
        elif isinstance(thing, partial):
            return [thing.func, thing.args, thing.keywords]
        elif isinstance(thing, type):
            return [vars(thing)] if _is_of_a_user(thing) else []
        elif hasattr(thing, "parameters"):  # a Module: what its class holds is read as its own
            parts += [vars(kind) for kind in type(thing).__mro__ if _is_of_a_user(kind)]
        if _has_attributes(thing):
            parts += [vars(thing)] if hasattr(thing, "__dict__") else []
            parts += [_Elements(partial(_slots_of, thing))] if hasattr(type(thing), "__slots__") else []
        self._parts += parts
        return [x for part in parts for x in _elements_of(part)]

    def _elements(self) -> list[Any]:
        return [x for part in self._parts for x in _elements_of(part)]

    def _array_bytes(self) -> list[Any]:
        return [(x.shape, x.dtype, x.tobytes()) for x in self._arrays]

    def same(self) -> bool:
        """Whether all is as it was."""
        if self._arrays and self._array_bytes() != self._bytes:
            return False
        # `==` of containers takes what is the same object as equal, at the speed of C. Where it has to ask a Value
        # instead, that is another one, and is reported to a follower.
        met = _Met()
        try:
            try:
                try:
                    tracing.add(met)  # `following`, at a third of its time: this runs in each call
                    comparing.add(met)
                    same = self._parts == self._copies
                finally:
                    tracing.discard(met)
                    comparing.discard(met)
            finally:  # an interrupt between the two above would leave it there for good
                tracing.discard(met)
                comparing.discard(met)
            if same and not met.any:
                return True
            now = self._elements()
        except (ValueError, RuntimeError):  # an array was replaced; another thread adds to a container
            return False
        return len(now) == len(self._before) and all(map(_same_number, now, self._before))


ATOMS = (Value, str, bytes, Number, type(None))
"""What is not looked into."""


class _Met(Follower):
    """Whether Values were compared."""

    any = False

    def seen(self, value: Value, what: str) -> None:
        """Two Values that are not one and the same were compared."""
        self.any = True


class _Elements:
    """The elements of what is not a container of Python's, compared like a list."""

    def __init__(self, copy: Callable[[], list[Any]]) -> None:
        self.copy = copy

    def __eq__(self, other: object) -> bool:
        return self.copy() == other

    __hash__: ClassVar[None] = None  # type: ignore[assignment]


def _elements_of(part: Any) -> Iterable[Any]:
    return (
        part.copy()
        if isinstance(part, _Elements)
        else chain(part, part.values())
        if isinstance(part, (dict, MappingProxyType))
        else part
    )


def _has_attributes(thing: Any) -> bool:
    """Whether the attributes of an object are part of a model: a Module, a dataclass, or an object of a user's class.

    Not what Python's library and NumPy keep to themselves, nor a compiled function, whose traces change by being used.
    """
    kind = type(thing)
    if hasattr(kind, "__dataclass_fields__") or kind is SimpleNamespace or hasattr(thing, "parameters"):
        return True
    return _is_of_a_user(kind) or isinstance(thing, (UserDict, UserList, ChainMap))


def _is_of_a_user(kind: type) -> bool:
    package = kind.__module__.partition(".")[0]
    return package not in ("autograd_lite", "numpy", "builtins") and package not in stdlib_module_names


def _slots_of(thing: Any) -> list[Any]:
    names = [name for kind in type(thing).__mro__ for name in _names(vars(kind).get("__slots__", ()))]
    return [getattr(thing, name, None) for name in names if name not in ("__dict__", "__weakref__")]


def _names(slots: Any) -> Sequence[str]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _same_number(now: Any, before: Any) -> bool:
    """Whether two elements are the same, or numbers or texts that cannot be told apart."""
    return now is before or (
        type(now) is type(before)
        and isinstance(now, (str, bytes, int, float, complex, np.generic))
        and repr(now) == repr(before)
    )
