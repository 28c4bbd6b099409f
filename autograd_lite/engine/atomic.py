"""Changes that are all made or not at all: Ctrl-C cannot come in the middle of one.

Python raises KeyboardInterrupt between two bytecodes. So a change is first worked out in locals, and then carried out
by one call that runs no bytecode: `deque` draws from iterators of builtins (`map` over `setattr`), and neither an
interrupt nor another thread comes between two of their steps. A loop in its place could be stopped with half of the
parameters new and half of them old.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from operator import add, attrgetter
from typing import Any

from autograd_lite.engine.graph import Node

_NUMBER, _GRADIENT = repeat("_f"), repeat("_grad")
gradient_of: Callable[[Node], float] = attrgetter("_grad")
"""The gradient that a leaf has gathered so far."""


def at_once(*effects: Iterable[Any]) -> None:
    """Run iterators whose steps have an effect, such as `map` over a setter, one after the other, in one call.

    What they call must be builtins: the bytecode of a Python function among them could be interrupted.
    """
    deque(chain(*effects), maxlen=0)


def set_numbers(leaves: Iterable[Node], numbers: Iterable[float], *also: Iterable[Any]) -> None:
    """Set the data of leaves, and run the effects `also`, all of it or nothing."""
    at_once(map(setattr, leaves, _NUMBER, numbers), *also)


def set_gradients(nodes: Iterable[Node], gradients: Iterable[float]) -> None:
    """Set the `.grad` of nodes, all of them or none."""
    at_once(map(setattr, nodes, _GRADIENT, gradients))


def add_gradients(leaves: Sequence[Node], gradients: Iterable[float]) -> None:
    """Add numbers to the `.grad` of leaves, all of them or none."""
    set_gradients(leaves, map(add, map(gradient_of, leaves), gradients))


def clear_grads(leaves: Iterable[Node]) -> None:
    """Set the `.grad` of leaves to 0, all of them or none."""
    set_gradients(leaves, repeat(0.0))
