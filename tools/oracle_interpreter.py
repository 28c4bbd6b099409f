"""The interpreter of nests as a backend, so that the oracle can run programs on it."""

from __future__ import annotations

from typing import Any

from autograd_lite.folding.nesting import nests
from autograd_lite.folding.nests_interpreter import Interpreter
from autograd_lite.folding.nests_verify import verify
from autograd_lite.folding.plan import Plan


def prepare(plan: Plan, dtype: Any = float, threads: int | None = None) -> Interpreter:
    """A runner of a plan, whose nests are verified."""
    made = nests(plan, dtype)
    verify(made)
    runner = Interpreter(made, dtype)
    runner.nbytes = runner.arena.nbytes  # type: ignore[attr-defined]
    return runner
