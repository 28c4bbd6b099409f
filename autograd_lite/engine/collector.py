"""Python's cyclic garbage collector, held off where millions of objects are made and all of them stay."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_open: set[object] = set()
"""One for each block that is open, in any thread."""

_HELD = 1 << 30
_before = gc.get_threshold()
"""What the collector is set to outside of the blocks."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Without full collections, each of which would look at every node of a graph that is being made.

    They find nothing: nodes do not refer to each other in cycles, and making a graph of a million of them takes a
    sixth of the time without. Young objects are collected as ever, since a function that is traced may make any.
    """
    global _before
    mine = object()
    try:
        with _lock:
            _open.add(mine)
            if gc.get_threshold()[2] != _HELD:
                _before = gc.get_threshold()
                gc.set_threshold(*_before[:2], _HELD)
        yield
    finally:  # wherever an interrupt came from: what is not held is not released
        with _lock:
            _open.discard(mine)
            if not _open and gc.get_threshold()[2] == _HELD:
                gc.set_threshold(*_before)
