"""Where things go: the same question put to pygraphviz, to the `dot` command, or to our own layout.

Graphviz is handed sizes and numbers only, never a name, so that no name can harm it. What comes back
is in pixels, with y growing downwards, whichever engine it was.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]


@dataclass(frozen=True)
class Arrow:
    """A line from operand to user: its end points and, in between, control points of Bezier curves.

    Args:
        points: 3k + 1 points of k cubic curves.
        label: where the middle of its label goes.
    """

    points: tuple[Point, ...]
    label: Point


@dataclass(frozen=True)
class Plan:
    """What to lay out.

    Args:
        boxes: width and height of each.
        edges: for each: source, target, width and height of its label (0 if it has none).
        frames: for each: its parent (an earlier frame or None) and the width of its title.
        inside: for each box: its frame or None.
        direction: "BT" (root on top) or "LR" (root at the right).
    """

    boxes: Sequence[tuple[float, float]]
    edges: Sequence[tuple[int, int, float, float]]
    frames: Sequence[tuple[int | None, float]]
    inside: Sequence[int | None]
    direction: str


@dataclass(frozen=True)
class Placed:
    """A plan laid out: the middle of each box, each arrow, the corners of each frame."""

    width: float
    height: float
    boxes: tuple[Point, ...]
    arrows: tuple[Arrow, ...]
    frames: tuple[tuple[float, float, float, float], ...]


FRAME_TITLE = 18.0
"""Height of the line at the top of a frame."""

_graphviz = threading.Lock()  # the library keeps state of its own


LONGEST_EDGES = 1200
"""Rows that all edges together may span for Graphviz: it needs 1 s for 1,000 of them, 16 s for 2,600."""


PAGE = 800.0
"""Pixels of a notebook's page, across."""


def place(plan: Plan) -> Placed:
    """Lay out with the first engine that is there; frames and many long edges with ours.

    Graphviz takes an edge round every frame that it does not end in, and so puts the inputs of a
    network beside it, at twice the width. Ours brings them in from below.
    """
    edges = [(a, b) for a, b, _, _ in plan.edges if a < b]
    depth = depths(len(plan.boxes), edges)
    ours = plan.frames or sum(depth[a] - depth[b] for a, b in edges) > LONGEST_EDGES
    placed = None if ours else next(filter(None, (engine(plan) for engine in ENGINES)), None)
    return _narrowed(plan, placed or by_ourselves(plan))


def _narrowed(plan: Plan, placed: Placed) -> Placed:
    """A layout wider than a page once more by ours, with leaves in several rows, if that is much narrower."""
    from autograd_lite.pictures.layered import layered

    for rows in (2, 3, 4):
        if plan.direction == "BT" and placed.width > PAGE:
            other = layered(plan, stagger=rows)
            placed = other if other.width < 0.85 * placed.width else placed
    return placed


def depths(boxes: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """The longest way from each box up to a root, along edges (operand, user) that make no circle."""
    takes: list[list[int]] = [[] for _ in range(boxes)]
    waiting = [0] * boxes
    for a, b in edges:
        takes[b].append(a)
        waiting[a] += 1
    depth = [0] * boxes
    ready = [i for i in reversed(range(boxes)) if not waiting[i]]
    for i in ready:  # which grows meanwhile
        for j in takes[i]:
            depth[j] = max(depth[j], depth[i] + 1)
            waiting[j] -= 1
            if not waiting[j]:
                ready.append(j)
    return depth


def by_pygraphviz(plan: Plan) -> Placed | None:
    """Graphviz in this process, if pygraphviz is installed and works here."""
    try:
        import pygraphviz
    except (ImportError, OSError):  # OSError: a shared library of it is missing
        return None
    with _graphviz:
        try:
            graph = pygraphviz.AGraph(string=question(plan))
            answer = graph.draw(format="json", prog="dot")
        except (OSError, ValueError, RuntimeError):
            return None
    return _read(answer, plan)


def by_command(plan: Plan) -> Placed | None:
    """The `dot` command, if there is one."""
    command = shutil.which("dot")
    if command is None:
        return None
    try:
        asked = question(plan).encode()
        done = subprocess.run([command, "-Tjson"], input=asked, capture_output=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return _read(done.stdout, plan)


def by_ourselves(plan: Plan) -> Placed:
    """The small layered layout of layered.py, which is always there."""
    from autograd_lite.pictures.layered import layered

    return layered(plan)


ENGINES: list[Callable[[Plan], Placed | None]] = [by_pygraphviz, by_command]
"""What is asked before our own layout; None where it is not there, or fails."""


# --- the question to Graphviz, and its answer ---------------------------------------------------------


def question(plan: Plan) -> str:
    """The plan in DOT: boxes and labels of a fixed size, clusters for frames."""

    def blank(w: float, h: float) -> str:
        size = f'FIXEDSIZE="TRUE" WIDTH="{w:.0f}" HEIGHT="{h:.0f}"'
        return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" {size}><TR><TD></TD></TR></TABLE>>'

    lines = [
        "digraph {",
        f'rankdir="{plan.direction}" nodesep=0.15 ranksep=0.2 newrank=true',
        'node [shape=box fixedsize=true label="" margin=0] edge [arrowhead=none]',
    ]
    top = "b" if plan.direction == "BT" else "t"  # rankdir=BT turns clusters upside down
    members: dict[int | None, list[str]] = {}
    for i, (w, h) in enumerate(plan.boxes):
        members.setdefault(plan.inside[i], []).append(f"n{i} [width={w / 72:.4f} height={h / 72:.4f}]")
    children: dict[int | None, list[int]] = {}
    for i, (parent, _) in enumerate(plan.frames):
        children.setdefault(parent, []).append(i)
    todo: list[int | str | None] = [None]
    while todo:  # depth first, without recursion: frames nest as deep as a user likes
        here = todo.pop()
        if isinstance(here, str):
            lines.append(here)
            continue
        if here is not None:
            label = blank(plan.frames[here][1], FRAME_TITLE)
            lines.append(f"subgraph cluster_{here} {{ margin=10 labeljust=l labelloc={top} label={label}")
            todo.append("}")
        lines.extend(members.get(here, []))
        todo.extend(reversed(children.get(here, [])))
    taking = {b for _, b, _, _ in plan.edges}
    for i, (a, b, w, h) in enumerate(plan.edges):
        weight = 4 if a in taking else 1  # results rise straight, leaves come in from the side
        label = f"label={blank(w, h)}" if w else ""
        lines.append(f"n{a} -> n{b} [id=e{i} weight={weight} {label}]")
    lines += [f"n{a} -> n{b} [style=invis weight=0]" for a, b in stacking(plan)]
    return "\n".join([*lines, "}"])


def stacking(plan: Plan) -> list[tuple[int, int]]:
    """Pairs of boxes, the second to be above the first, that put a frame above the frames it takes from.

    Without them the weights of a second layer stand beside the first layer, and the two frames side by side.
    """
    above: list[tuple[int, ...]] = []  # the frames around each frame, outermost first, and itself
    for i, (parent, _) in enumerate(plan.frames):
        above.append((*(above[parent] if parent is not None else ()), i))
    units = [(*(above[frame] if frame is not None else ()), -1 - i) for i, frame in enumerate(plan.inside)]
    links: dict[tuple[int, int], set[int]] = {}  # what is side by side, a box i as -1 - i, and the boxes that link it
    takes_inside: set[tuple[int, int]] = set()
    for a, b, _, _ in plan.edges:
        if a >= b:
            continue  # a step back, in a folded recurrence
        shared = next(n for n, (x, y) in enumerate(zip(units[a], units[b], strict=False)) if x != y)
        takes_inside.update((b, frame) for frame in units[a][:shared])
        links.setdefault((units[a][shared], units[b][shared]), set()).add(a)
    if not _acyclic(links):
        return []  # a recurrence through frames
    bottoms: dict[int, list[int]] = {}
    for i, unit in enumerate(units):
        for frame in unit[:-1]:
            if (i, frame) not in takes_inside:
                bottoms.setdefault(frame, []).append(i)
    return [(a, i) for (_, upper), boxes in links.items() for a in sorted(boxes) for i in bottoms.get(upper, ())]


def _acyclic(links: Iterable[tuple[Hashable, Hashable]]) -> bool:
    following: dict[Hashable, list[Hashable]] = {}
    waiting: dict[Hashable, int] = {}
    for a, b in links:
        following.setdefault(a, []).append(b)
        waiting[b] = waiting.get(b, 0) + 1
        waiting.setdefault(a, 0)
    ready = [x for x, n in waiting.items() if n == 0]
    for x in ready:  # which grows meanwhile
        for y in following.get(x, ()):
            waiting[y] -= 1
            if waiting[y] == 0:
                ready.append(y)
    return len(ready) == len(waiting)


def _read(answer: bytes | str, plan: Plan) -> Placed | None:
    """Graphviz's JSON, whose y grows upwards, as a Placed; None if it is not all there."""
    try:
        found: dict[str, Any] = json.loads(answer)
        _, _, width, height = map(float, found["bb"].split(","))
    except (ValueError, KeyError, TypeError):
        return None

    def point(text: str) -> Point:
        x, y = text.split(",")[-2:]
        return float(x), height - float(y)

    boxes: list[Point] = [(0.0, 0.0)] * len(plan.boxes)
    frames = [(0.0, 0.0, 0.0, 0.0)] * len(plan.frames)
    for item in found.get("objects", []):
        if item["name"].startswith("cluster_"):
            x0, y0, x1, y1 = map(float, item["bb"].split(","))
            frames[int(item["name"][8:])] = (x0, height - y1, x1, height - y0)
        elif "pos" in item:
            boxes[int(item["name"][1:])] = point(item["pos"])
    arrows: dict[int, Arrow] = {}
    for item in found.get("edges", []):
        if "id" not in item:  # one that only keeps frames above each other
            continue
        points = tuple(point(p) for p in item["pos"].split() if p[0] not in "es")
        arrows[int(item["id"][1:])] = Arrow(points, point(item["lp"]) if "lp" in item else points[0])
    if len(arrows) < len(plan.edges):
        return None
    return Placed(width, height, tuple(boxes), tuple(arrows[i] for i in range(len(plan.edges))), tuple(frames))
