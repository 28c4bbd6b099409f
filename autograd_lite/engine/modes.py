"""Modes: what this thread does beside recording, for the length of a block (`no_grad`, scopes, watchers, tracing)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from autograd_lite.engine.atomic import at_once
from autograd_lite.engine.graph import Node
from autograd_lite.engine.lowering import FLOATS


class _Mode(threading.local):
    """This thread's settings; `FLOATS["special"]` counts the contexts that are open in any thread."""

    recording = True
    scope: Any = None
    watchers: tuple[Callable[[Node], None], ...] = ()
    on_adjoint: Callable[[Node, int, float, float], None] | None = None  # see backward.py
    on_sweep: Callable[[Mapping[Node, float]], None] | None = None  # likewise
    tracer: Any = None


mode: _Mode = _Mode()

_open: set[object] = set()

tracing: set[object] = set()
"""The functions that are being traced, in any thread: while it is empty, a read of a number need not be reported."""


@contextmanager
def changed_mode(**settings: Any) -> Iterator[None]:
    """Set attributes of this thread's mode for the length of a block."""
    before = {name: getattr(mode, name) for name in settings}
    context = object()
    try:
        try:
            _open.add(context)
            _count_open()
            for name, setting in settings.items():
                setattr(mode, name, setting)
            yield
        finally:
            _restore(before, context)
    finally:  # and again: an interrupt may have cut the first short, and what is left on would be left on for good
        _restore(before, context)


def _restore(before: dict[str, Any], context: object) -> None:
    for name, setting in before.items():
        setattr(mode, name, setting)
    _open.discard(context)
    _count_open()


def _count_open() -> None:
    """Count and note at once: a thread that came between the two would note an old count."""
    at_once(map(FLOATS.__setitem__, ("special",), map(len, (_open,))))


@contextmanager
def traced(tracer: Any) -> Iterator[None]:
    """Call a tracer for what becomes of the numbers of Values: `guard`, `read` and `detach` (folding/tracing.py)."""
    try:
        try:
            tracing.add(tracer)
            with changed_mode(tracer=tracer):
                yield
        finally:
            tracing.discard(tracer)
    finally:
        tracing.discard(tracer)


def notify_read(value: Node, what: str) -> None:
    """Report to the tracer of this thread, if there is one, that a number is taken out of a Value."""
    if mode.tracer is not None:
        mode.tracer.read(value, what)


def no_grad() -> Any:
    """Within this block operations on Values record nothing: their results are leaves.

    Returns:
        A context manager, which is also a decorator. It acts on the thread that opens it.

    Example:
        >>> w = ag.Parameter(3.0)
        >>> with ag.no_grad():
        ...     y = w * w
        >>> y.item(), y.operands
        (9.0, ())
    """
    return changed_mode(recording=False)
