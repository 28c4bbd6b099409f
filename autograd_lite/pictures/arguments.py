"""Checks of what draw, step, quiz and tape are called with: roots, directions, sizes, stale graphs."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autograd_lite.engine import graph
from autograd_lite.engine.checks import describe, tqdm_class, watched
from autograd_lite.engine.value import Value

FOLD_OVER = 60
"""Boxes that a reader can take in; a larger picture is folded."""

FOLD_OVER_EDGES = 240
"""Edges that a reader can take in; with more of them a picture is folded, however few its boxes."""

MOST, MOST_EDGES = 1000, 5000
"""Boxes and edges that `fold=False` still draws."""

MOST_IN_PAGE = 20_000
"""Boxes of a graph whose frames open one by one in its page; the frames of a larger one hold folded boxes."""


WATCHED = 150_000
"""Values of a graph whose drawing takes long enough for a progress bar."""


def stages(count: int, names: Sequence[str]) -> Callable[[], None]:
    """A function to call after each stage of drawing a large graph; on a terminal or in a notebook a bar shows them.

    Args:
        count: values of the graph.
        names: what the stages do.
    """
    tqdm = tqdm_class() if count >= WATCHED and watched() else None
    if tqdm is None:
        return lambda: None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm's, where a notebook lacks its widgets: it then writes text
        bar = tqdm(total=len(names), desc=f"{count:,} values: {names[0]}", bar_format="{l_bar}{bar}| {elapsed}")

    def advance() -> None:
        bar.update()
        if bar.n < len(names):
            bar.set_description(f"{count:,} values: {names[bar.n]}")
        else:
            bar.close()

    return advance


def staleness(order: list[Value]) -> Value | None:
    """The first node that would be another number now, since the data of a leaf was changed."""
    return next(filter(graph.is_stale, order), None)


def count_of(order: list[Value]) -> int:
    """How many boxes a graph has when each Value, and each bare number, has one."""
    return len(order) + sum([x.__class__ is float for node in order for x in graph.raw_operands(node)])


def edges_of(order: list[Value], parallel: int | None = None) -> int:
    """How many edges the operands of a graph make.

    Args:
        order: the nodes.
        parallel: more than this many from one operand to one node count as one, as `bundled` draws them.
    """
    if parallel is None:
        return sum(len(graph.raw_operands(node)) for node in order)
    total = 0
    for node in order:
        slots = graph.raw_operands(node)
        if len(slots) <= parallel:
            total += len(slots)
        else:
            total += sum(n if n <= parallel else 1 for n in Counter(map(id, slots)).values())
    return total


def readable(order: list[Value], parallel: int | None = None) -> bool:
    """Whether a graph is small enough to be shown with a box a Value."""
    return len(order) <= FOLD_OVER and count_of(order) <= FOLD_OVER and edges_of(order, parallel) <= FOLD_OVER_EDGES


def check_direction(direction: str, what: str) -> None:
    """Raise ValueError unless it is "BT" or "LR"."""
    if not isinstance(direction, str) or direction not in ("BT", "LR"):
        raise ValueError(
            f"{what}: direction must be 'BT' (root on top) or 'LR' (root at the right), got {describe(direction)}"
        )


def roots_of(loss: Any, what: str) -> list[Value]:
    """The roots of a picture: one Value, or several in a sequence."""
    if isinstance(loss, Value):
        return [loss]
    if isinstance(loss, Iterable) and not isinstance(loss, (str, bytes, dict)) and getattr(loss, "ndim", 1) != 0:
        roots = list(loss)
        if roots and all(isinstance(root, Value) for root in roots):
            return list(dict.fromkeys(roots))
    hint = "; a model has no graph before it is called: give model(x)" if hasattr(loss, "named_parameters") else ""
    raise TypeError(f"{what}: expected a Value (the root of a graph) or a sequence of them, got {describe(loss)}{hint}")
