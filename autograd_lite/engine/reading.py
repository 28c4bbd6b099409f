"""The gate through which all but the engine and programs take numbers out of Values.

While a function is traced, or run by a transform, a number that leaves the graph must not go unseen: in a trace it
would be frozen, and its gradient would be lost. So no other file reads `_f`, `_grad` or a local gradient of a Value
itself (tests/project/test_reading.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autograd_lite.engine.graph import MANY
from autograd_lite.engine.modes import notify_read, tracing


def number_of(x: Any, what: str = "the data") -> float:
    """The number of a Value, or a float itself; `what` is what a message calls it."""
    if type(x) is float:
        return x
    if tracing:
        notify_read(x, what)
    return x._f  # type: ignore[no-any-return]


def numbers_of(xs: Iterable[Any]) -> list[float]:
    """The numbers of Values and floats."""
    if tracing:
        return list(map(number_of, xs))
    return [x if type(x) is float else x._f for x in xs]


def grads_of(xs: Iterable[Any]) -> list[float]:
    """The gradients that leaves have gathered so far."""
    if tracing:
        return [x.grad for x in xs]
    return [x._grad for x in xs]


def grad_of(x: Any) -> float | None:
    """The gradient of a Value; None for a node that no backward pass has reached."""
    if tracing:
        notify_read(x, "the grad")
    return getattr(x, "_grad", None)


def slope_of(node: Any, slot: int) -> float:
    """The local gradient of one operand slot; `local_grads` would gather those of all of them."""
    if tracing:
        notify_read(node, "local_grads")
    return node._da[slot] if node._b is MANY else node._db if slot else node._da  # type: ignore[no-any-return]
