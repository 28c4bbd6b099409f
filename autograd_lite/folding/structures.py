"""Programs kept by the structure of their graph, so that another graph of the same structure uses the same program."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.engine.collector import uncollected
from autograd_lite.engine.value import Value
from autograd_lite.folding.backends import REFERENCE, Choice, Leaves, Runner, backend, choose
from autograd_lite.folding.build import build
from autograd_lite.folding.derived import Derivative, Layout, derived
from autograd_lite.folding.instructions import Builder, Ref
from autograd_lite.folding.plan import Plan, plan
from autograd_lite.folding.pool import Pool
from autograd_lite.folding.rebinding import Binding, Pattern
from autograd_lite.folding.reverse import adjoints
from autograd_lite.folding.scan import Scan

Array = Any


class Gradients(NamedTuple):
    """The gradients of a root in the lanes of some instructions."""

    root: int
    leaves: tuple[int, ...]


Wanted = int | Gradients | Derivative | None
"""What is asked for: the gradient of the first root in an instruction, or others."""


class Use(NamedTuple):
    """What of a structure is asked for, and how it runs.

    Args:
        wanted: the gradients that are outputs too, or another derivative (derived.py).
        dtype: what is computed in.
        backend: "auto", or the name of one.
        threads: see `backends.Backend`.
        together: this many roots, the first ones, are one output with a lane each; 0 where each has its own.
    """

    wanted: Wanted
    dtype: Any
    backend: str
    threads: int | None
    together: int = 0


class Ready:
    """A plan, and what runs it; its runners are in the pool of its structure.

    Args:
        plan: the fast plan.
        use: what was asked for.
        choice: the backend, and why that one.
    """

    __slots__ = ("by_rows", "choice", "plan", "use")

    plan: Plan
    use: Use
    choice: Choice

    def __init__(self, plan: Plan, use: Use, choice: Choice) -> None:
        self.plan, self.use, self.choice = plan, use, choice
        self.by_rows: bool = choice.name == REFERENCE
        """Whether a runner has buffers for one length of the batch."""

    def key(self, rows: int | None) -> Any:
        """What its runners for batches of this length have in common."""
        return (self, rows) if self.by_rows else self

    def prepare(self) -> Runner:
        """A new runner."""
        return backend(self.choice.name).prepare(self.plan, self.use.dtype, self.use.threads)


class Folded:
    """A structure, and what has been made to run it. Threads share it: each runs a runner of its own."""

    builder: Builder
    roots: list[Ref]

    def __init__(self, builder: Builder, roots: list[Ref]) -> None:
        self.builder, self.roots = builder, roots
        self._start()

    def _start(self) -> None:
        self.lock: Any = threading.Lock()
        self.plans: dict[Any, Plan] = {}
        self.layouts: dict[Derivative, Layout | None] = {}
        self.known: dict[Use, Ready] = {}
        self.pool: Pool = Pool()

    def __getstate__(self) -> Any:
        return self.builder.instructions, self.roots

    def __setstate__(self, state: Any) -> None:
        self.builder = Builder()
        self.builder.instructions, self.roots = state
        self._start()

    def plan(self, wanted: Wanted, safe: bool, together: int = 0) -> Plan:
        """The plan of the roots and the gradients that are wanted. For `safe` see plan.py.

        Of a Derivative it has the guards and that, and where it says so the results before them.
        """
        key = wanted, safe, together
        known = self.plans.get(key)
        if known is not None:
            return known
        with self.lock:
            if key not in self.plans:
                outputs = list(self.roots)
                if isinstance(wanted, Derivative):
                    outputs, self.layouts[wanted] = derived(self.builder, self.roots, wanted, safe)
                if together:
                    outputs[:together] = [self.builder.side_by_side(outputs[:together])]
                if isinstance(wanted, (int, Gradients)):
                    outputs += self._gradient(wanted, safe)
                made = plan(self.builder.instructions, outputs, safe)
                made.doubt_nan = not safe and (made.doubt_nan or wanted is not None)
                self.plans[key] = made
            return self.plans[key]

    def _gradient(self, wanted: int | Gradients, safe: bool) -> list[Ref]:
        root, leaves = (0, (wanted,)) if isinstance(wanted, int) else wanted
        builder, root_ref = self.builder, self.roots[root]
        seed = builder.leaf("seed", 1, True) if builder.batched(root_ref) else builder.literal(np.ones(1))
        found = adjoints(builder, [(root_ref, seed)], leaves, safe)
        return [found[k] if k in found else builder.literal(np.zeros(builder.instructions[k].size)) for k in leaves]

    def ready(self, use: Use) -> Ready:
        """A plan with what runs it. That is settled once, before it first runs: other code has other last bits."""
        known = self.known.get(use)
        if known is None:
            plan = self.plan(use.wanted, False, use.together)
            made = Ready(plan, use, choose(use.backend, plan, use.dtype))
            known = self.known.setdefault(use, made)
        return known

    def run(self, ready: Ready, leaves: Leaves, rows: int | None, means: int) -> list[Array]:
        """The outputs of a plan: of the fast one, or of the safe one on the reference if that cannot be trusted.

        Args:
            ready: which plan, and how.
            leaves, rows, means: see `backends.Runner`.
        """
        outputs, trusted = self.run_fast(ready, leaves, rows, means)
        return outputs if trusted else self.run_safe(ready.use, leaves, rows, means)

    def run_fast(self, ready: Ready, leaves: Leaves, rows: int | None, means: int) -> tuple[list[Array], bool]:
        """The outputs of the fast plan, and whether they can be trusted."""
        return self.pool.run(ready.key(rows), ready.prepare, leaves, rows, means)

    def run_safe(self, use: Use, leaves: Leaves, rows: int | None, means: int) -> list[Array]:
        """The outputs of the safe plan."""

        def prepare() -> Runner:
            return backend().prepare(self.plan(use.wanted, True, use.together), use.dtype)

        return self.pool.run((use.wanted, use.dtype, use.together, rows), prepare, leaves, rows, means)[0]


# --- fold -------------------------------------------------------------------------------------------------


class Cache:
    """The structures folded last, so that another graph of the same structure is not folded anew."""

    most: int
    tries: int
    lock: Any

    def __init__(self, most: int = 16, tries: int = 4) -> None:
        self.most, self.tries, self.lock = most, tries, threading.Lock()
        self.known: OrderedDict[Any, tuple[Folded, Pattern, str, Array]] = OrderedDict()

    @uncollected()
    def folded(
        self, roots: Sequence[Value], nodes: Sequence[Value], params: Sequence[Value] | None,
        leaves: Sequence[Sequence[Value]], batch: bool,
    ) -> tuple[Folded, Binding]:  # fmt: skip
        """What runs a graph, and what of the graph it needs; folded anew unless it is one of the structures kept.

        `nodes` are all of the graph in topological order.
        """
        kind = batch, params is None, *(root._row for root in roots)
        with self.lock:
            alike = [(key, *found) for key, found in self.known.items() if key[0] == kind]
        for key, made, pattern, _, _ in alike[: -self.tries - 1 : -1]:
            binding = pattern.binding(roots, params, leaves)
            if binding is not None:
                with self.lock:
                    if key in self.known:
                        self.known.move_to_end(key)
                return made, binding
        scan = Scan(roots, params, leaves, None, nodes)
        for other, _, _, skeleton, groups in alike:
            if skeleton == scan.skeleton and other[1] != scan.structure:
                # Literals that were one object there are several here, or the other way round: such as labels that
                # are 1 in other examples. What is not one in both is kept apart from now on, in place of the other.
                scan = Scan(roots, params, leaves, groups, nodes)
                with self.lock:
                    if other[1] != scan.structure:
                        self.known.pop(other, None)
                break
        binding = Binding(scan.params, scan.constants, scan.captured)
        key = kind, scan.structure
        with self.lock:
            known = self.known.get(key)
            if known is not None:
                self.known.move_to_end(key)
                return known[0], binding
        built = build(scan, batch)
        made = Folded(built.builder, built.roots)
        with self.lock:
            self.known[key] = made, Pattern(scan, params is not None), scan.skeleton, scan.groups
            while len(self.known) > self.most:
                self.known.popitem(last=False)
        return made, binding


cache: Cache = Cache()
