"""Whether compiling pays: when a function is traced again, and when it runs uncompiled from then on.

A trace costs as much as a thousand calls, so a way through a function is folded when it has come twice; the first few
are folded at once, as most functions have no more. Every call without a program is a debt, every call with one pays a
debt off; a function that is too much in debt is left as it is.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Sequence
from typing import Any

from autograd_lite.folding import backends
from autograd_lite.folding.forms import Call
from autograd_lite.folding.program import Program

FREE, FEW = 4, 6
"""This many ways are folded at once, of functions with this many branches: 12 of them may be 4,096 ways."""

PATIENCE = 32
"""Debts at which a function is given up."""

ROWS = 64
"""Rows of a batch for which a program always pays."""

SCALARS, OF_SCALAR, OF_INSTRUCTION, OF_CALL = 500, 0.3, 3.0, 10.0
"""From how many scalars on it is asked whether NumPy is faster; about what a scalar costs in Python, what an
instruction and a call cost in NumPy, in microseconds."""


class Paying:
    """What a compiled function has cost and saved so far.

    Attributes:
        never: it runs uncompiled.
        insists: it never does.
        changed: how often its traces were forgotten since the model had changed.
    """

    def __init__(self) -> None:
        self.never = self.insists = False
        self._debt = self._traces = 0
        self._of_form = self.changed = 0
        self._seen: set[int] = set()

    def served(self) -> None:
        """A program has run."""
        if self._debt:
            self._debt -= 1

    def waits(self, call: Call, guards: Sequence[Any], known: Collection[Any]) -> bool:
        """Whether a trace is left as it is for now.

        Args:
            call: the call that was traced.
            guards: the branches that it took.
            known: the forms of which there are programs.
        """
        way = hash((call.key, tuple(outcome for _, _, outcome in guards)))
        before = way in self._seen
        if len(self._seen) >= 1 << 16:
            self._seen.clear()
        self._seen.add(way)
        if self.insists or (call.rows is not None and (call.rows > ROWS or call.key in known)):
            return False
        if not self._traces or (self._traces < FREE and len(guards) <= FEW):
            self._traces += 1
            return False
        self._debt += 1
        self._of_form += call.key not in known
        if self._debt >= PATIENCE:
            self.give_up(
                "its model or instance is changed between the calls: give what changes as an argument"
                if self.changed > PATIENCE // 2
                else "nearly every call has arguments of another form: give arguments of a fixed shape, padded where "
                "needed; name in static= only what has few values"
                if self._of_form > PATIENCE // 2
                else "nearly every call takes another way through its branches: choose with ag.where, which stays live"
            )
        if self.never or not before:
            return True
        self._traces += 1
        return False

    def costs_more(self, program: Program, scalars: int) -> bool:
        """Whether a program costs more than its scalars, of which there are this many; then it is given up."""
        if (
            self.insists
            or program.layout is None
            or program.layout.batched
            or scalars < SCALARS
            or not _by_numpy(program)
        ):
            return False
        instructions = len(program.plan(False).instructions)
        if OF_CALL + OF_INSTRUCTION * instructions < 2.0 * OF_SCALAR * scalars:
            return False
        self.give_up(
            f"its {scalars:,} operations repeat so little that they are {instructions:,} array instructions; machine "
            "code (pip install 'autograd_lite[fast]') runs such programs too"
        )
        return True

    def give_up(self, reason: str) -> None:
        """Run it uncompiled from now on, and say so."""
        self.never = True
        self._seen.clear()
        level, frame = 1, sys._getframe(0)
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("autograd_lite."):
            level, frame = level + 1, frame.f_back
        warnings.warn(
            f"compile: the function runs uncompiled from now on, as {reason}", RuntimeWarning, stacklevel=level
        )


def _by_numpy(program: Program) -> bool:
    """Whether it runs on NumPy for want of another backend."""
    return program.free and bool(backends.why_not(backends.AUTOMATIC))
