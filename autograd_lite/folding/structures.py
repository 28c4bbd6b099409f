"""Programs kept by the structure of their graph, so that another graph of the same structure uses the same program."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_lite.engine.rules import TABLE, row_called
from autograd_lite.engine.value import Value
from autograd_lite.folding.backends import numpy_backend
from autograd_lite.folding.backends.kernels import has_nan
from autograd_lite.folding.build import build
from autograd_lite.folding.instructions import NO_ROWS, Builder, Instruction, Ref
from autograd_lite.folding.plan import Plan, plan
from autograd_lite.folding.pool import Pool
from autograd_lite.folding.rebinding import Binding, Pattern
from autograd_lite.folding.reverse import adjoints
from autograd_lite.folding.scan import Scan

Array = Any


class Folded:
    """A structure, and what has been made to run it. Threads share it: each runs a runner of its own."""

    def __init__(self, builder: Builder, roots: list[Ref]) -> None:
        self.builder, self.roots = builder, roots
        self._start()

    def _start(self) -> None:
        names = {x.op for x in self.builder.instructions} & TABLE.keys()
        self.own = {name: TABLE[name] for name in names if not TABLE[name].builtin}
        """The user's own primitives among its instructions, as they are defined now."""
        self.lock = threading.Lock()
        self.plans: dict[Any, Plan] = {}
        self.pool = Pool()
        self.widths: dict[int | None, int] = {}
        self.batched: dict[int | None, list[bool]] = {}

    def __getstate__(self) -> Any:
        return self.builder.instructions, self.roots

    def __setstate__(self, state: Any) -> None:
        self.builder = Builder()
        self.builder.instructions, self.roots = state
        for x in self.builder.instructions:
            if x.op not in NO_ROWS:
                row_called(x.op)  # one of the user's own may be missing here: said at once, and how to add it
        self._start()

    def plan(self, wanted: int | None, careful: bool) -> Plan:
        """The plan of the roots, and of the gradient in the leaves of the instruction `wanted`."""
        key = wanted, careful and wanted is not None
        known = self.plans.get(key)
        if known is not None:
            return known
        self._refuse_redefined()
        with self.lock:
            if key not in self.plans:
                outputs = list(self.roots)
                if wanted is not None:
                    outputs += self._gradient(wanted, careful)
                self.plans[key] = plan(self.builder.instructions, outputs)
            return self.plans[key]

    def _refuse_redefined(self) -> None:
        """Instructions name their primitives: what is made from them must not mix two definitions."""
        for name, row in self.own.items():
            if TABLE[name] is not row:
                raise RuntimeError(
                    f"program: the primitive {name!r} has been defined anew since the program was made; "
                    "make it again with ag.fold or ag.compile, from a function or a graph of the new one"
                )

    def outputs(self, wanted: int | None) -> list[bool]:
        """Whether each output has the batch axis; notes how many numbers a row of a batch takes."""
        if wanted not in self.batched:
            found = self.plan(wanted, False)
            # Another thread asks for the last of the two: it must find both.
            self.widths[wanted] = sum(x.size for x in found.instructions if x.batched)
            self.batched[wanted] = [found.instructions[ref.source].batched for ref in found.outputs]
        return self.batched[wanted]

    def _gradient(self, wanted: int, careful: bool) -> list[Ref]:
        builder, root = self.builder, self.roots[0]
        if builder.batched(root):
            seed = builder.add(Instruction("leaf", 1, name="seed", batched=True), "seed")
        else:
            seed = builder.literal(np.ones(1))
        found = adjoints(builder, root, seed, [wanted], careful).get(wanted)
        if found is None:
            found = builder.literal(np.zeros(builder.instructions[wanted].size))
        return [found]

    def run(self, leaves: dict[str, Array], wanted: int | None, rows: int | None, dtype: Any) -> list[Array]:
        """The outputs of a plan: fast, and again carefully if a NaN came out or a sum overflowed."""
        outputs, overflowed = self._run(leaves, wanted, rows, dtype, False)
        if overflowed or (
            (wanted is not None or self.plan(wanted, False).zero_rule) and any(map(has_nan, outputs))
        ):  # fmt: skip
            outputs, _ = self._run(leaves, wanted, rows, dtype, True)
        return outputs

    def _run(
        self, leaves: dict[str, Array], wanted: int | None, rows: int | None, dtype: Any, careful: bool
    ) -> tuple[list[Array], bool]:
        def make() -> Any:
            self._refuse_redefined()
            return numpy_backend.prepare(self.plan(wanted, careful), rows, careful, dtype)

        return self.pool.run((wanted, rows, dtype, careful), make, leaves)


# --- fold -------------------------------------------------------------------------------------------------


class Cache:
    """The structures folded last, so that another graph of the same structure is not folded anew."""

    def __init__(self, most: int = 16, tries: int = 4) -> None:
        self.most, self.tries, self.lock = most, tries, threading.Lock()
        self.known: OrderedDict[Any, tuple[Folded, Pattern, str, Array]] = OrderedDict()

    def folded(
        self, roots: Sequence[Value], params: Sequence[Value] | None, leaves: Sequence[Sequence[Value]], batch: bool
    ) -> tuple[Folded, Binding]:
        """What runs a graph, and what of the graph it needs; folded if it is none of the structures folded last."""
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
        scan = Scan(roots, params, leaves)
        for other, _, _, skeleton, groups in alike:
            if skeleton == scan.skeleton and other[1] != scan.structure:
                # Literals that were one object there are several here, or the other way round: such as labels that
                # are 1 in other examples. What is not one in both is kept apart from now on, in place of the other.
                scan = Scan(roots, params, leaves, apart=groups)
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


cache = Cache()
