"""What draw, step, quiz and tape are given: roots, directions, sizes, graphs that are stale."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from autograd_lite.engine import graph
from autograd_lite.engine.checks import describe
from autograd_lite.engine.value import Value

FOLD_OVER = 60
"""Boxes that a person still reads; above it a picture folds."""

MOST = 1000
"""Boxes that `fold=False` still draws."""


@contextmanager
def uncollected() -> Iterator[None]:
    """With the cyclic collector off: while millions of small objects are made it goes over all of them again and again.

    There is no cycle among them to find, and a picture of a large graph takes half the time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def staleness(order: list[Value]) -> Value | None:
    """The first node that would be another number now, since the data of a leaf was changed."""
    from autograd_lite.pictures.steps import recomputed

    return next((node for node, f in recomputed(order, {}).items() if repr(f) != repr(node._f)), None)


def count_of(order: list[Value]) -> int:
    """How many boxes a graph has when each Value, and each bare number, has one."""
    return sum(1 + sum(x.__class__ is float for x in graph.raw_operands(node)) for node in order)


def check_direction(direction: str, what: str) -> None:
    """Refuse what is not a direction."""
    if direction not in ("BT", "LR"):
        raise ValueError(
            f"{what}: direction must be 'BT' (root on top) or 'LR' (root at the right), got {describe(direction)}"
        )


def roots_of(loss: Any, what: str) -> list[Value]:
    """The roots that a picture is for: one Value, or several."""
    if isinstance(loss, Value):
        return [loss]
    if isinstance(loss, Iterable) and not isinstance(loss, (str, bytes, dict)):
        roots = list(loss)
        if roots and all(isinstance(root, Value) for root in roots):
            return list(dict.fromkeys(roots))
    way_out = "; a model has no graph before it is called: give model(x)" if hasattr(loss, "named_parameters") else ""
    raise TypeError(
        f"{what}: expected a Value (the root of a graph) or a sequence of them, got {describe(loss)}{way_out}"
    )
