"""A large graph in part: the values that matter most, the surroundings of one, or one step of a recurrence.

A graph without regularity has no boxes that many scalars could share: folded by shape it would have cycles, which no
computation has. So a part of it is drawn as it is, and the picture says which.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from autograd_lite.engine.graph import raw_operands
from autograd_lite.engine.reading import slope_of
from autograd_lite.engine.scopes import Scope
from autograd_lite.engine.value import Value
from autograd_lite.pictures.diagrams.collapsed import collapse, collapse_below, frame_levels
from autograd_lite.pictures.diagrams.diagram import Diagram, diagram_of

PART = 30
"""Values of a part that is chosen for a reader."""


EXAMINED = 50_000
"""Values that are looked at for regularity before a fold is tried."""


def irregular(order: Sequence[Value], roots: Collection[Value], most: int) -> bool:
    """Whether a fold would certainly have more than `most` boxes; found early in a graph that has no regularity.

    Values are told apart by what they compute of what, more coarsely than a fold does: by the set of the classes of
    their operands, without order and number; a sum that one other sum alone takes is a part of that. Of a large graph
    only the beginning is looked at.
    """
    order = order[:EXAMINED]
    uses: Counter[int] = Counter()
    for node in order:
        uses.update([id(x) for x in raw_operands(node) if x.__class__ is not float])
    asked = set(map(id, roots))
    numbered: dict[Hashable, int] = {}
    # The class of each value; of a term, or of a sum within a sum, the set of classes that it brings along.
    found: dict[int, Hashable] = {}
    shown: set[int] = set()
    for node in order:
        row = node._row
        if row is None:
            found[id(node)] = -1
            continue
        once = uses[id(node)] <= 1 and id(node) not in asked
        operands = [-2 if x.__class__ is float else found[id(x)] for x in raw_operands(node)]
        parts: set[Hashable] = set()
        for x in operands:
            parts.update(x) if isinstance(x, frozenset) else parts.add(x)
        if row.role in ("sum", "product") and once:
            found[id(node)] = frozenset(parts)
            continue
        here = found[id(node)] = numbered.setdefault((row.name, frozenset(parts)), len(numbered))
        shown.add(here)
        if len(shown) > most:
            return True
    return False


# --- which values -------------------------------------------------------------------------------------------


def strengths(order: Sequence[Value], roots: Collection[Value]) -> dict[Value, float]:
    """For each value the strength of its paths to the roots: the sum over all of them of |local gradients| multiplied.

    It is what |g| would be if no two paths cancelled.
    """
    found: dict[Value, float] = dict.fromkeys(roots, 1.0)
    for node in reversed(order):
        here = found.get(node, 0.0)
        if not here:
            continue
        for slot, x in enumerate(raw_operands(node)):
            if x.__class__ is not float:
                more = here * abs(slope_of(node, slot))
                found[x] = found.get(x, 0.0) + (more if isfinite(more) else 0.0)
    return found


def strongest(order: Sequence[Value], roots: Sequence[Value], most: int) -> set[Value]:
    """The roots and, one after another, the strongest operand of those chosen, so that the part hangs together."""
    strength = strengths(order, roots)
    place = {node: i for i, node in enumerate(order)}
    chosen: set[Value] = set()
    waiting = [(-1.0, -place[root], root) for root in roots]
    heapq.heapify(waiting)
    while waiting and len(chosen) < most:
        _, _, node = heapq.heappop(waiting)
        if node in chosen:
            continue
        chosen.add(node)
        for x in raw_operands(node):
            if x.__class__ is not float and x not in chosen:
                heapq.heappush(waiting, (-strength.get(x, 0.0), -place[x], x))
    return chosen


def surroundings(order: Sequence[Value], v: Value, radius: int, most: int) -> set[Value]:
    """A value with those within `radius` edges of it, operands and users alike; the nearest, if they are too many."""
    users: dict[Value, list[Value]] = {}
    for node in order:
        for x in raw_operands(node):
            if x.__class__ is not float:
                users.setdefault(x, []).append(node)
    chosen, edge = {v}, [v]
    for _ in range(radius):
        following = []
        for node in edge:
            for x in (*raw_operands(node), *users.get(node, ())):
                if x.__class__ is not float and x not in chosen and len(chosen) < most:
                    chosen.add(x)
                    following.append(x)
        edge = following
    return chosen


def part(
    order: Sequence[Value], roots: Sequence[Value], chosen: Collection[Value], note: str, marked: Sequence[Value],
    **shown: Any,
) -> Diagram:  # fmt: skip
    """The chosen values with the edges between them; a box whose operands are not all there says so.

    Args:
        order: all values.
        roots: of the graph.
        chosen: what is drawn.
        note: which part it is.
        marked: the boxes with a heavy border.
        shown: names and adjoint, as `diagram_of` takes them.
    """
    made = diagram_of(order, roots, only=chosen, literals=True, marked=marked, **shown)
    drawn = [node for node in order if node in chosen]
    used: Counter[Value] = Counter()
    for node in order:
        taken = [x for x in raw_operands(node) if x.__class__ is not float and x in chosen]
        if taken and node not in chosen:
            used.update(set(taken))
    notes: list[str] = []
    for node in drawn:
        gone = sum(x.__class__ is not float and x not in chosen for x in raw_operands(node))
        parts = [f"{gone:,} operand{'s' if gone > 1 else ''} not drawn"] if gone else []
        parts += [f"{used[node]:,} more user{'s' if used[node] > 1 else ''}"] if used[node] else []
        notes.append(", ".join(parts))
    which = iter(notes)
    boxes = tuple(box if box.literal else replace(box, note=next(which)) for box in made.values)
    return replace(made, boxes=boxes, note=note, about=f"{made.about}. {note}")


# --- recurrences --------------------------------------------------------------------------------------------

SHORTEST, FEWEST, LONGEST = 1, 4, 400
"""Operations of a step, steps, and operations of a step again, between which a recurrence is looked for."""

COVERED = 0.6
"""How much of the operations the steps must hold."""

PERIODS = 6
"""Periods that are tried: the most frequent distances between operations that are alike."""


def recurrence(order: Sequence[Value]) -> list[list[Value]]:
    """The operations of each step of a loop; [] where nothing repeats.

    Steps are alike if they compute the same functions of what is as far back in the order, or of leaves.
    """
    ops = [node for node in order if node._row is not None]
    # In the order of the graph a loop that adds w * x to u * h has all the products w * x first; then the steps are
    # found by how far from the root they are.
    return max(_steps(ops), _steps(_by_level(ops)), key=lambda steps: sum(map(len, steps)))


def _by_level(ops: Sequence[Value]) -> list[Value]:
    """Operations by their longest way to a root, the farthest first."""
    level: dict[Value, int] = {}
    for node in reversed(ops):
        here = level.setdefault(node, 0)
        for x in raw_operands(node):
            if x.__class__ is not float and x._row is not None:
                level[x] = max(level.get(x, 0), here + 1)
    return sorted(ops, key=lambda node: -level[node])


def _steps(ops: Sequence[Value]) -> list[list[Value]]:
    place = {node: i for i, node in enumerate(ops)}
    numbered: dict[Hashable, int] = {}
    keys = []
    for i, node in enumerate(ops):
        row = node._row
        assert row is not None
        back = tuple(i - place[x] if x in place else -1 for x in raw_operands(node) if x.__class__ is not float)
        keys.append(numbered.setdefault((row.name, back), len(numbered)))
    best: tuple[int, int, int] = (0, 0, 0)  # operations, start, period
    for period in _periods(keys):
        start, length = _longest_run(keys, period)
        times = length // period
        if times >= FEWEST - 1 and times * period > best[0] * 1.02:
            best = (times * period, start, period)
    covered, start, period = best
    # The first step takes leaves where the others take the step before: the same functions are enough.
    names = [node._row.name if node._row is not None else "" for node in ops]
    if covered and start >= period and names[start - period : start] == names[start : start + period]:
        start, covered = start - period, covered + period
    if covered < COVERED * len(ops) or covered < FEWEST * period:
        return []
    return [list(ops[i : i + period]) for i in range(start, start + covered, period)]


def _periods(keys: Sequence[int]) -> list[int]:
    last: dict[int, int] = {}
    gaps: Counter[int] = Counter()
    for i, key in enumerate(keys):
        if key in last:
            gaps[i - last[key]] += 1
        last[key] = i
    good = [(count, gap) for gap, count in gaps.items() if SHORTEST <= gap <= LONGEST]
    good.sort(key=lambda pair: (-pair[0], pair[1]))
    found = [gap for _, gap in good[:PERIODS]]
    return sorted(set(found))


def _longest_run(keys: Sequence[int], period: int) -> tuple[int, int]:
    """(start, length) of the longest stretch in which each key comes again after `period`, with its last period."""
    best, start, length = (0, 0), 0, 0
    for i in range(len(keys) - period):
        if keys[i] == keys[i + period]:
            length += 1
            if length > best[1]:
                best = (start, length)
        else:
            start, length = i + 1, 0
    return best[0], best[1] + period


def steps_of(order: Sequence[Value], roots: Sequence[Value], steps: Sequence[Sequence[Value]], **shown: Any) -> Diagram:
    """The whole graph with a frame around each step, leaves that one step alone takes with it."""
    scope: dict[Value, Scope] = {}
    scopes = [Scope(f"step {k}") for k in range(1, len(steps) + 1)]
    for here, step in zip(scopes, steps, strict=True):
        scope.update(dict.fromkeys(step, here))
    users: dict[Value, set[int]] = {}
    by_id: Mapping[int, Scope] = {id(s): s for s in scopes}
    for node in order:
        for x in raw_operands(node):
            if x.__class__ is not float and x._row is None:
                users.setdefault(x, set()).add(id(scope.get(node)))
    for leaf, using in users.items():
        if len(using) == 1 and (around := by_id.get(next(iter(using)))) is not None:
            scope[leaf] = around
    place = {id(node): (scope[node],) if node in scope else () for node in order}
    return diagram_of(order, roots, place=place, **shown)


def frames_closed(order: Sequence[Value], roots: Sequence[Value], most: int, **shown: Any) -> Diagram | None:
    """The graph with as many levels of frames open as leave it readable; None if even the outermost are too many."""
    whole = diagram_of(order, roots, **shown)
    for depth in reversed(range(max(frame_levels(whole.frames), default=-1) + 1)):
        made = collapse_below(whole, depth).diagram
        if len(made.boxes) <= most:
            levels = f"{depth} level{'s' if depth > 1 else ''} of frames open" if depth else "every frame closed"
            return replace(made, note=f"{len(order):,} values, with {levels}; depth= opens more.")
    return None


def recurrent(
    order: Sequence[Value], roots: Sequence[Value], most: int, **shown: Any
) -> tuple[Diagram, Diagram] | None:
    """(the first step open and the others in one box, every step in a frame) of a graph with a loop; None without."""
    steps = recurrence(order)
    if not steps:
        return None
    whole = steps_of(order, roots, steps, **shown)
    note = f"A loop of {len(steps):,} steps that compute alike: "
    # Frames come in the order in which the graph first meets them, which need not be that of the steps.
    frames = sorted(range(len(steps)), key=lambda i: int(whole.frames[i].title.removeprefix("step ")))
    for opened, words in (
        (1, f"the first is open, the other {len(steps) - 1:,} are one box."),
        (0, "they are one box."),
    ):
        made = collapse(whole, frames[opened:]).diagram
        if len(made.boxes) <= most:
            boxes = tuple(
                replace(box, title=f"step, {int(box.title.split()[0]):,} times") if " × step" in box.title else box
                for box in made.boxes
            )
            return replace(made, boxes=boxes, note=note + words), whole
    return None
