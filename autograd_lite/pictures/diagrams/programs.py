"""The picture of a Program: its instructions as boxes, forward up to the result, backward down to the gradient.

It is the picture of what runs: a box an instruction, with its lanes and the matrix products in it. A long program is
shortened: a loop is one box, which says how often it runs and what a step does; steps that repeat otherwise are drawn
once and then counted; lane by lane neighbours share a box; and if that leaves too many boxes, so do instructions that
look alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from autograd_lite.engine.notation import LONGEST_NAME, TOOLTIP_NAME, printable
from autograd_lite.folding.instructions import Instruction, Leaf, Literal, Map, Reduce, Sum
from autograd_lite.folding.loops import Loop
from autograd_lite.folding.plan import Plan
from autograd_lite.folding.printing import (
    Repeat,
    heading,
    lanes,
    name,
    operand,
    operands,
    operands_of_step,
    operation,
    repeats,
    shapes,
    terms,
)
from autograd_lite.folding.reverse import sources
from autograd_lite.pictures.diagrams.diagram import Box, Diagram, Edge, Frame, InstructionBox

Array = Any

LEAVES = (Leaf, Literal)

FORWARD, BACKWARD = 0, 1
"""The two frames."""

MOST_TERMS = 7
"""Terms of a sum that a box shows; its tooltip shows more."""

MOST_STATEMENTS = 12
"""Instructions of a loop that its box shows."""


class Block(NamedTuple):
    """Instructions that share a box: neighbours one after another (`fused`), a loop, or steps of one shape."""

    members: list[int]
    fused: bool = False
    loop: Loop | None = None


def program_diagram(plan: Plan, results: int, constants: Array, most: int, fold: bool | None) -> Diagram:
    """The picture of a plan.

    Args:
        plan: the instructions.
        results: how many of its outputs are results; the rest are gradients.
        constants: the numbers of the leaf "constants".
        most: boxes that a person still reads.
        fold: False for a box an instruction; True to shorten however few they are.
    """
    backward = _backward(plan, results)
    best: list[Block] | None = None
    for grouping in GROUPINGS[:1] if fold is False else GROUPINGS[1:] if fold else GROUPINGS:
        groups = grouping(plan, backward)
        groups = groups if fold is False else _with_loops(plan, groups)
        if best is None or len(groups) < len(best):
            best = groups
        if len(best) <= most:
            break
    assert best is not None
    return _diagram(plan, results, constants, backward, best)


def _backward(plan: Plan, results: int) -> list[bool]:
    """Which instructions no result needs: those of the gradient alone."""
    backward = [True] * len(plan.instructions)
    for ref in plan.outputs[:results]:
        backward[ref.source] = False
    for item in reversed(list(plan.items)):
        members = range(item.start, item.stop) if isinstance(item, Loop) else [item]
        if not all(backward[k] for k in members):
            for k in members:
                backward[k] = False
                for source in sources(plan.instructions[k]):
                    backward[source] = False
        elif isinstance(x := plan.instructions[members[0]], LEAVES) and not (isinstance(x, Leaf) and x.kind == "seed"):
            backward[members[0]] = False
    return backward


# --- which instructions share a box -----------------------------------------------------------------------


def _each(plan: Plan, backward: Sequence[bool]) -> list[Block]:
    return [Block([k]) for k in range(len(plan.instructions))]


def _with_loops(plan: Plan, groups: list[Block]) -> list[Block]:
    """The same with each loop as one box."""
    inside = {k for loop in plan.loops for k in range(loop.start, loop.stop)}
    loops = [Block(list(range(loop.start, loop.stop)), False, loop) for loop in plan.loops]
    rest = (
        [group._replace(members=[k for k in group.members if k not in inside]) for group in groups] if loops else groups
    )
    return [*(group for group in rest if group.members), *loops]


def _repeated(plan: Plan, backward: Sequence[bool]) -> list[Block]:
    """The first step of each run, and a box for all that follow, instruction by instruction."""
    keys = [(one, two) for one, two in zip(shapes(plan), backward, strict=True)]
    groups: list[Block] = []
    at = 0
    for run in [*repeats(keys), Repeat(len(keys), 1, 0)]:
        groups += [Block([k]) for k in range(at, min(run.start + run.period, len(keys)))]
        at = run.start + run.period * run.times
        groups += [
            Block(list(range(run.start + run.period + k, at, run.period)))
            for k in range(run.period if run.times else 0)
        ]
    return groups


def _fused(plan: Plan, backward: Sequence[bool]) -> list[Block]:
    """Neighbours that work lane by lane on as many lanes, where nothing else sees what passes between them."""
    groups = _repeated(plan, backward)
    of = {k: g for g, group in enumerate(groups) for k in group.members}
    users: list[set[int]] = [set() for _ in groups]
    for k, x in enumerate(plan.instructions):
        for source in sources(x):
            users[of[source]].add(of[k])
    for ref in plan.outputs:
        users[of[ref.source]].add(-1)  # seen from outside

    def what(g: int) -> Any:
        """What two neighbours must have in common; None for what stays by itself."""
        k = groups[g].members[0]
        x = plan.instructions[k]
        return (x.size, x.batched, backward[k]) if len(groups[g].members) == 1 and _lane_by_lane(plan, k) else None

    home = list(range(len(groups)))
    for g in reversed(range(len(groups))):
        homes = {home[user] if user >= 0 else -1 for user in users[g]}
        into = homes.pop() if len(homes) == 1 else -1
        if into >= 0 and into != g and what(g) is not None and what(g) == what(into):
            home[g] = into
    fused: dict[int, list[int]] = {}
    for g, group in enumerate(groups):
        fused.setdefault(home[g], []).extend(group.members)
    return [Block(members, len(members) > len(groups[g].members)) for g, members in fused.items()]


def _lane_by_lane(plan: Plan, k: int) -> bool:
    x = plan.instructions[k]
    if isinstance(x, Sum):
        return all(form.what == "each" for part in x.parts for form in part.forms)
    return isinstance(x, Map)


def _alike(plan: Plan, backward: Sequence[bool]) -> list[Block]:
    """Instructions of one shape."""
    groups: dict[Any, list[int]] = {}
    for k, key in enumerate(shapes(plan)):
        groups.setdefault((key, backward[k]), []).append(k)
    return [Block(members) for members in groups.values()]


def _same(plan: Plan, backward: Sequence[bool]) -> list[Block]:
    """Instructions that do the same thing."""
    groups: dict[Any, list[int]] = {}
    for k, x in enumerate(plan.instructions):
        groups.setdefault((k if isinstance(x, LEAVES) else -1, operation(x), backward[k]), []).append(k)
    return [Block(members) for members in groups.values()]


GROUPINGS: list[Callable[[Plan, Sequence[bool]], list[Block]]] = [_each, _repeated, _fused, _alike, _same]
"""From fine to coarse."""


# --- boxes and edges --------------------------------------------------------------------------------------

MOST_ARROWS = 5
"""A leaf that more boxes take from has arrows only to forward ones that take nothing else; the others name it,
and it names them."""

MOST_NAMED = 4
"""Boxes that a leaf without arrows to them names."""

LEAF_NAMES = {"theta": "parameters", "seed": "1 / rows"}

KINDS = {"theta": "parameter", "input": "input", "constants": "constant", "seed": "backward"}
"""The kind of box of each kind of leaf."""


def _diagram(plan: Plan, results: int, constants: Array, backward: Sequence[bool], groups: list[Block]) -> Diagram:
    outputs: dict[int, str] = {}
    for k, ref in enumerate(plan.outputs):
        word = "the gradient" if k >= results else "the result" if results == 1 else f"result {k}"
        outputs.setdefault(ref.source, word)
    # An arrow to an earlier box goes down. Leaves first, then the backward boxes from the last one, then the forward
    # ones: so the result is on top, and on the way back each box stands below those that it takes from.
    leaves = [g for g in groups if isinstance(plan.instructions[g.members[0]], LEAVES) and not backward[g.members[0]]]
    down = sorted((g for g in groups if backward[g.members[0]]), key=lambda g: -g.members[-1])
    up = [g for g in groups if not backward[g.members[0]] and g not in leaves]
    placed = [*leaves, *down, *up]
    taken, unseen = _taken(plan, placed, len(leaves), backward)
    with_arrows = {a for a, _ in taken}
    boxes = []
    for i, group in enumerate(placed):
        after = backward[group.members[0]]
        frame = None if not down or group in leaves else BACKWARD if after else FORWARD
        without = _used([f"%{placed[user].members[-1]}" for user in unseen.get(i, ())], i in with_arrows)
        boxes.append(_box(plan, group, constants, after, frame, outputs, without))
    edges = [
        Edge(a, b, i, None, len(found), "; ".join(found[:4]) + ("; ..." if len(found) > 4 else ""))
        for i, ((a, b), found) in enumerate(taken.items())
    ]
    count, extra = len(plan.instructions), sum(backward)
    about = f"Program of {count:,} instructions"
    about += f": {count - extra:,} up to the result, {extra:,} more down to the gradient" if extra else ""
    note = f"{about}." if len(groups) == count else f"{about}, in {len(groups)} boxes; print(program) lists them."
    frames = (Frame("forward"), Frame("backward")) if down else ()
    return Diagram(tuple(boxes), tuple(edges), frames, note, about)


def _taken(
    plan: Plan, placed: list[Block], leaves: int, backward: Sequence[bool]
) -> tuple[dict[tuple[int, int], list[str]], dict[int, list[int]]]:
    """Which box takes from which, and in which instructions; and for each leaf the boxes that it has no arrow to.

    The first boxes are the leaves.
    """
    box_of = {k: i for i, group in enumerate(placed) for k in group.members}
    steps = {i for i, group in enumerate(placed) if len(group.members) > 1 and not group.fused}
    taken: dict[tuple[int, int], list[str]] = {}
    for k, x in enumerate(plan.instructions):
        for source in sorted(sources(x)):
            if source > k and box_of[source] != box_of[k]:
                continue  # around a loop whose instructions have boxes of their own: no arrow leads back
            edge = box_of[source], box_of[k]
            if edge[0] != edge[1] or edge[0] in steps:
                taken.setdefault(edge, []).append(f"%{k} takes from %{source}")
    arrows = Counter(a for a, _ in taken)
    fed = {b for a, b in taken if a >= leaves}
    firsts = [plan.instructions[placed[a].members[0]] for a in range(leaves)]
    constants = {a for a, x in enumerate(firsts) if isinstance(x, Leaf) and x.kind == "constants"}
    named = constants | {a for a in range(leaves) if arrows[a] > MOST_ARROWS}
    fed |= {i for i, group in enumerate(placed) if backward[group.members[0]]}
    unseen: dict[int, list[int]] = {}
    for a, b in taken:
        if a in named and b in fed:
            unseen.setdefault(a, []).append(b)
    return {edge: found for edge, found in taken.items() if edge[1] not in unseen.get(edge[0], ())}, unseen


def _box(
    plan: Plan,
    group: Block,
    constants: Array,
    backward: bool,
    frame: int | None,
    outputs: dict[int, str],
    used: str,
) -> Box:
    members = group.members
    last = members[-1]
    x = plan.instructions[last]
    part = "g" if backward else "f"
    says: list[tuple[str, str]]
    title, symbol, kind = f"%{last}", _symbol(x), "backward" if backward else "op"
    if isinstance(x, LEAVES):
        called = x.name if isinstance(x, Leaf) else "literal"
        kind = KINDS[x.kind] if isinstance(x, Leaf) else "constant"
        symbol, title = title, LEAF_NAMES.get(called, called) if isinstance(x, Leaf) else "numbers"
        held = name(x, constants).removeprefix(called).strip()
        says = [(part, _counted(x)), *([("note", held)] if held else [])]
        says += [("note", used)] if used else []
    elif group.loop is not None:
        title, symbol = f"%{members[0]} … %{last}", f"{group.loop.steps:,} times"
        body = [f"%{k} = {_formula(plan, k, 2)}" for k in members[:MOST_STATEMENTS]]
        more = len(members) - len(body)
        says = [(part, heading(group.loop).rstrip(":")), *(("rule", text) for text in body)]
        says += [("note", f"and {more:,} more instructions")] if more else []
    elif len(members) > 1 and not group.fused:
        title, says = f"… {len(members):,} more of this shape", [(part, f"{_counted(x)} each")]
    elif group.fused:
        title, symbol = f"%{members[0]} … %{last}", f"{len(members)} steps"
        says = [(part, _counted(x)), *(("rule", f"%{k} = {text}") for k in members for text in [_formula(plan, k, 2)])]
    else:
        several = (
            terms(x, MOST_TERMS) if isinstance(x, Sum) and _loop_of(plan, last) is None else [_formula(plan, last)]
        )
        says = [(part, _counted(x)), *(("rule", text) for text in several)]
    words = [outputs[k] for k in members if k in outputs]
    says += [("note", word) for word in words]
    about = "; ".join(f"%{k} = {_formula(plan, k)}, {_counted(plan.instructions[k])}" for k in members[:6])
    return InstructionBox(
        kind, title, printable(symbol, 16), tuple(says), count=len(members), root=bool(words), frame=frame,
        about=printable(about + ("; ..." if members[6:] else ""), 3 * TOOLTIP_NAME),
    )  # fmt: skip


def _used(users: Sequence[str], besides: bool) -> str:
    """Which boxes take a leaf without an arrow, `besides` those that its arrows go to."""
    more = f" and {len(users) - MOST_NAMED} more" if len(users) > MOST_NAMED else ""
    return f"{'also ' * besides}used by {', '.join(users[:MOST_NAMED])}{more}" if users else ""


def _counted(x: Instruction) -> str:
    size = lanes(x)
    return size if x.batched else f"{size} lane{'s' if x.size != 1 else ''}"


def _symbol(x: Instruction) -> str:
    """What an instruction does, as a box says it: a sum tells whether its terms are products."""
    if isinstance(x, Sum):
        factors = {part.right is not None for part in x.parts}
        return {(False,): "Σ a", (True,): "Σ a·b", (False, True): "Σ a·b + c"}[tuple(sorted(factors))]
    if isinstance(x, Reduce) or (isinstance(x, Map) and x.slot < 0):
        return x.row.symbol
    return name(x)


def _formula(plan: Plan, k: int, most: int = MOST_TERMS) -> str:
    """An instruction as a formula: "%3 * %4", "exp(%2)", "%0[0:16] %3 (matmul 4x4x4) + %1"."""
    x, loop = plan.instructions[k], _loop_of(plan, k)
    if isinstance(x, LEAVES):
        return name(x)
    taken = list(map(operand, operands(x))) if loop is None else operands_of_step(plan, loop, k, most)
    if isinstance(x, Sum):
        return " + ".join(terms(x, most)) if loop is None else printable(taken[0], 2 * LONGEST_NAME)
    symbol = _symbol(x)
    if len(taken) == 2 and not symbol.isalnum() and len(symbol) <= 2:
        text = f" {symbol} ".join(taken)
    else:
        text = f"{symbol}({', '.join(taken)})"
    return printable(text, 2 * LONGEST_NAME)


def _loop_of(plan: Plan, k: int) -> Loop | None:
    """The loop that an instruction is in."""
    return next((loop for loop in plan.loops if loop.start <= k < loop.stop), None)
