"""Runners that are ready, kept for use again within a limit of memory.

A runner holds buffers, and making them takes longer than running it. So each is kept after use, under a key that
names the length of the batch, one for every run that went on at the same time. When the buffers of all programs
together take more than KEPT_BYTES, those that have not been used for longest go. Without a limit, a program that
meets batches of many lengths would keep buffers for each of them.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from autograd_lite.folding.backends import Runner

KEPT_BYTES = 1 << 27

KEPT = 4
"""This many keys keep their runners regardless of size, so that a few large ones do not drive each other out at
every call."""


_clock = itertools.count().__next__

_lock = threading.Lock()


class _Shelf:
    """The runners of one key that are free, what the buffers of all of them take, and when one was last used."""

    __slots__ = ("free", "nbytes", "used")

    def __init__(self) -> None:
        self.free: list[Runner] = []
        self.nbytes = self.used = 0


class Pool:
    """The runners of one structure, by what they are for. Threads share it; each takes a runner for itself."""

    def __init__(self) -> None:
        self.shelves: dict[Any, _Shelf] = {}
        with _lock:
            _pools.add(self)

    def run(self, key: Any, make: Callable[[], Runner], *run: Any) -> tuple[list[Any], bool]:
        """The outputs of a runner of this key, which gets the arguments `run`, and whether they can be trusted.

        Where no runner is free, `make` makes one.
        """
        shelf = self.shelves.get(key)
        if shelf is None:
            shelf = self.shelves.setdefault(key, _Shelf())
        shelf.used = _clock()
        try:
            runner = shelf.free.pop()
        except IndexError:
            runner = make()
            shelf.nbytes += runner.nbytes
        before = runner.nbytes
        try:
            return runner(*run), runner.trusted
        finally:
            if runner.nbytes != before:  # buffers are made in a first call
                _make_room(shelf, runner.nbytes - before)
            shelf.free.append(runner)  # where the shelf was given up meanwhile, both go


_pools: WeakSet[Pool] = WeakSet()


def _make_room(shelf: _Shelf, wanted: int) -> None:
    """Count new buffers, and give up the shelves used longest ago if all take too much."""
    with _lock:
        shelf.nbytes += wanted
        every = [(kind, key, pool) for pool in _pools for key, kind in pool.shelves.copy().items()]
        every.sort(key=lambda entry: entry[0].used)
        total = sum(kind.nbytes for kind, _, _ in every)
        for kind, key, pool in every[:-KEPT]:
            if total <= KEPT_BYTES:
                break
            pool.shelves.pop(key, None)
            total -= kind.nbytes
