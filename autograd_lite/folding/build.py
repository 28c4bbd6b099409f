"""From a graph of scalars to instructions on lanes: the first half of a fold.

`scan` reads the graph once, into flat arrays of positions; `grouping` brings it into canonical form (a tree of
additions is one sum, a product used only there is a pair in it) and finds the classes; here an instruction is emitted
for each. Python touches a node a handful of times; the rest is index arithmetic on arrays. Derivatives are taken later,
on the instructions (reverse.py); how a sum is computed is found later still (contractions.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autograd_lite.folding.emitting import Emitter
from autograd_lite.folding.grouping import Terms, classes
from autograd_lite.folding.instructions import Builder, Ref
from autograd_lite.folding.plan import look_through, numbers
from autograd_lite.folding.repeats import LEAST_SAVED, LEAST_STEPS, Classes, Run
from autograd_lite.folding.rolling import RolledEmitter, rolled
from autograd_lite.folding.scan import Scan
from autograd_lite.folding.shortening import shortened

Array = Any


class Built(NamedTuple):
    """A folded graph.

    Args:
        builder: the instructions.
        roots: where the roots are.
        classes: the class of every position of the scan; a part of a sum has that of its sum.
        class_of: for each instruction the class that it was made for.
        refs: for each class where its lanes are: in the instruction made for it, or in an equal one that was there.
    """

    builder: Builder
    roots: list[Ref]
    classes: Array
    class_of: list[int]
    refs: list[Ref]


def build(scan: Scan, batched: bool = False) -> Built:
    """The instructions of a scanned graph.

    Args:
        scan: the graph.
        batched: whether the inputs have a batch axis.
    """
    if scan.foreign is not None:
        raise RuntimeError(
            f"fold: {scan.foreign.symbol!r} is not a primitive of the table, but a node that was made by hand; "
            "define it with ag.primitive"
        )
    terms, labels = _units(scan)
    short = shortened(scan, terms, labels, LEAST_STEPS, LEAST_SAVED)
    if short is None:
        return emit(scan, terms, *classes(scan, terms, labels, len(scan.leaf_sizes)), batched)
    found, runs = short
    return _emit_rolled(found, runs, batched) if runs else emit(scan, terms, found.of, found.made, batched)


def grouped(scan: Scan) -> tuple[Terms, Array, list[Any]]:
    """What a program asks of a graph: its units, the class of every position, and what each class does."""
    terms, labels = _units(scan)
    return terms, *classes(scan, terms, labels, len(scan.leaf_sizes))


def _units(scan: Scan) -> tuple[Terms, Array]:
    terms = Terms(scan, scan.roots)
    labels = scan.source.copy()
    labels[: scan.count] += terms.zeroed  # a sum that is never -0.0 is another thing than one that may be
    return terms, labels


def emit(scan: Scan, terms: Terms, of: Array, made: list[Any], batched: bool = False) -> Built:
    """An instruction, or a few, for every class, in order: a class names earlier ones only. Steps are rolled."""
    if len(made) > LEAST_SAVED:
        found, runs = rolled(scan, terms, of, made, LEAST_STEPS, LEAST_SAVED)
        if runs:
            return _emit_rolled(found, runs, batched)
    leaves = len(scan.leaf_sizes)
    emitter = Emitter(scan, terms, of, batched)
    class_of = list(range(leaves))
    members = _members(of, terms.units, leaves, len(made))
    for k, (what, mine) in enumerate(zip(made, members, strict=True), leaves):
        ref = emitter.sum(k, what, mine) if what in ("sum", "mean") else emitter.primitive(what, mine)
        emitter.refs.append(ref)
        class_of += [k] * (len(emitter.builder.instructions) - len(class_of))
    roots = [emitter.builder.pick(emitter.refs[of[i]], emitter.lane[i : i + 1]) for i in scan.roots.tolist()]
    whole = of.copy()
    whole[: scan.count] = of[terms.unit_of]
    return Built(emitter.builder, roots, whole, class_of, emitter.refs)


def _emit_rolled(classes: Classes, runs: list[Run], batched: bool) -> Built:
    """The same for classes some of which are steps of runs."""
    emitter = RolledEmitter(classes, batched)
    instructions = emitter.builder.instructions
    class_of = list(range(len(instructions)))
    starts = {run.start: run for run in runs}
    k = 0
    while k < len(classes.made):
        first = classes.leaves + k
        k = emitter.roll(starts.pop(k)) if k in starts else emitter.one(k)
        class_of += [first] * (len(instructions) - len(class_of))
    roots = [emitter.lanes_at(classes.scan.roots[i : i + 1]) for i in range(len(classes.scan.roots))]
    whole = classes.of.copy()
    whole[: classes.scan.count] = classes.of[classes.terms.unit_of]
    return Built(emitter.builder, roots, whole, class_of, [emitter.refs[label] for label in emitter.label.tolist()])


def lines(built: Built) -> dict[int, int]:
    """For each class the number that its instruction has in `print(ag.fold(roots))`.

    A plan leaves out what no root needs, such as theta where there are no parameters, and numbers the rest in order.
    """
    instructions = built.builder.instructions
    number = numbers(instructions, built.roots)
    found = {k: look_through(instructions, ref).source for k, ref in enumerate(built.refs)}
    return {k: number[source] for k, source in found.items() if source in number}


def _members(of: Array, units: Array, leaves: int, count: int) -> list[Array]:
    """The nodes of each class in topological order."""
    in_class = of[units]
    by_class = np.argsort(in_class, kind="stable")
    starts = np.searchsorted(in_class[by_class], np.arange(leaves + 1, leaves + count))
    return np.split(units[by_class], starts) if count else []
