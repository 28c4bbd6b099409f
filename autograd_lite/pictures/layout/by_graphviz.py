"""Layout by Graphviz: in this process through pygraphviz, or by the `dot` command."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from autograd_lite.pictures.commands import find_command
from autograd_lite.pictures.layout.coordinates import APART, settled
from autograd_lite.pictures.layout.geometry import FRAME_TITLE, Arrow, Layout, LayoutInput, Point, frame_edges, on_curve

_graphviz = threading.Lock()  # the library has global state


LONGEST_EDGES = 1200
"""Rows that all edges together may span for Graphviz: it needs 1 s for 1,000 of them, 16 s for 2,600."""


def by_pygraphviz(asked: LayoutInput) -> Layout | None:
    """Graphviz in this process, if pygraphviz is installed and works here."""
    try:
        import pygraphviz
    except (ImportError, OSError):  # OSError: a shared library of it is missing
        return None
    with _graphviz:
        try:
            graph = pygraphviz.AGraph(string=layout_dot(asked))
            answer = graph.draw(format="json", prog="dot")
        except (OSError, ValueError, RuntimeError):
            return None
    return _read(answer, asked)


def by_command(asked: LayoutInput) -> Layout | None:
    """The `dot` command, if there is one."""
    command = find_command("dot")
    if command is None:
        return None
    try:
        dot = layout_dot(asked).encode()
        done = subprocess.run([command, "-Tjson"], input=dot, capture_output=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return _read(done.stdout, asked)


# --- what Graphviz is asked, and its answer ---------------------------------------------------------


def layout_dot(asked: LayoutInput) -> str:
    """What to lay out, in DOT: boxes and labels of a fixed size, clusters for frames, and no names."""

    def blank(w: float, h: float) -> str:
        size = f'FIXEDSIZE="TRUE" WIDTH="{w:.0f}" HEIGHT="{h:.0f}"'
        return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" {size}><TR><TD></TD></TR></TABLE>>'

    lines = [
        "digraph {",
        f'rankdir="{asked.direction}" nodesep=0.15 ranksep=0.2 newrank=true',
        'node [shape=box fixedsize=true label="" margin=0] edge [arrowhead=none]',
    ]
    top = "b" if asked.direction == "BT" else "t"  # rankdir=BT turns clusters upside down
    members: dict[int | None, list[str]] = {}
    for i, (w, h) in enumerate(asked.boxes):
        members.setdefault(asked.inside[i], []).append(f"n{i} [width={w / 72:.4f} height={h / 72:.4f}]")
    children: dict[int | None, list[int]] = {}
    for i, (parent, _) in enumerate(asked.frames):
        children.setdefault(parent, []).append(i)
    todo: list[int | str | None] = [None]
    while todo:  # depth first, without recursion: frames nest as deep as a user likes
        here = todo.pop()
        if isinstance(here, str):
            lines.append(here)
            continue
        if here is not None:
            label = blank(asked.frames[here][1], FRAME_TITLE)
            lines.append(f"subgraph cluster_{here} {{ margin=10 labeljust=l labelloc={top} label={label}")
            todo.append("}")
        lines.extend(members.get(here, []))
        todo.extend(reversed(children.get(here, [])))
    taking = {b for _, b, _, _ in asked.edges}
    for i, (a, b, w, h) in enumerate(asked.edges):
        weight = 4 if a in taking else 1  # results rise straight, leaves come in from the side
        label = f"label={blank(w, h)}" if w else ""
        lines.append(f"n{a} -> n{b} [id=e{i} weight={weight} {label}]")
    lines += [f"n{a} -> n{b} [style=invis weight=0]" for a, b in frame_edges(asked)]
    return "\n".join([*lines, "}"])


def _read(answer: bytes | str, asked: LayoutInput) -> Layout | None:
    """Graphviz's JSON, whose y grows upwards, as a Layout; None if it is not all there."""
    try:
        found: dict[str, Any] = json.loads(answer)
        _, _, width, height = map(float, found["bb"].split(","))
    except (ValueError, KeyError, TypeError):
        return None

    def point(text: str) -> Point:
        x, y = text.split(",")[-2:]
        return float(x), height - float(y)

    boxes: list[Point] = [(0.0, 0.0)] * len(asked.boxes)
    frames = [(0.0, 0.0, 0.0, 0.0)] * len(asked.frames)
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
    if len(arrows) < len(asked.edges):
        return None
    ordered = _labels_clear(asked, _heads_apart(asked, [arrows[i] for i in range(len(asked.edges))], boxes), boxes)
    return Layout(width, height, tuple(boxes), tuple(ordered), tuple(frames))


# --- what Graphviz leaves: ends on one point, labels on other edges ------------------------------------------------


def _heads_apart(asked: LayoutInput, arrows: list[Arrow], boxes: Sequence[Point]) -> list[Arrow]:
    """The arrows with their heads side by side along the lower (or left) side of each box."""
    turned = asked.direction == "LR"
    ends: dict[int, list[int]] = {}
    for i, (a, b, *_) in enumerate(asked.edges):
        if a != b:
            ends.setdefault(b, []).append(i)
    axis = 1 if turned else 0
    for box, members in ends.items():
        if len(members) < 2:
            continue
        half = max(asked.boxes[box][axis] / 2 - 8.0, 0.0)
        middle = boxes[box][axis]
        # Only those that arrive at the side where most do: one from above has no neighbour there.
        side = [i for i in members if _from_below(arrows[i], boxes[box], asked.boxes[box], turned)]
        if len(side) < 2:
            continue
        side.sort(key=lambda i: (arrows[i].points[-1][axis], arrows[i].points[-2][axis], i))
        gap = min(APART, 2 * half / (len(side) - 1))
        wish = [min(max(arrows[i].points[-1][axis], middle - half), middle + half) for i in side]
        if all(b - a >= gap - 0.1 for a, b in pairwise(wish)):
            continue
        places = [max(x, middle - half + k * gap) for k, x in enumerate(
            settled(wish, [1.0] * len(wish), [gap] * (len(wish) - 1)))]  # fmt: skip
        last = len(side) - 1
        for k, i in enumerate(side):
            shift = min(places[k], middle + half - (last - k) * gap) - arrows[i].points[-1][axis]
            *first, before, end = arrows[i].points
            points = (*first, _shifted(before, axis, shift), _shifted(end, axis, shift))
            arrows[i] = Arrow(points, arrows[i].label)
    return arrows


def _from_below(arrow: Arrow, box: Point, size: tuple[float, float], turned: bool) -> bool:
    x, y = arrow.points[-1]
    return abs(x - (box[0] - size[0] / 2)) < 3.0 if turned else abs(y - (box[1] + size[1] / 2)) < 3.0


def _shifted(point: Point, axis: int, by: float) -> Point:
    return (point[0] + by, point[1]) if axis == 0 else (point[0], point[1] + by)


def _labels_clear(asked: LayoutInput, arrows: list[Arrow], boxes: Sequence[Point]) -> list[Arrow]:
    """The arrows with labels that lay on another edge, or on a box, moved along, or across, their own."""
    ways = [[on_curve(arrow.points, t / 16) for t in range(17)] for arrow in arrows]
    rects: dict[int, tuple[Point, float, float]] = {}
    for i, (*_, w, h) in enumerate(asked.edges):
        if w:
            rects[i] = arrows[i].label, (w - 6) / 2, h / 2

    def covered(i: int, point: Point) -> float:
        _, wide, high = rects[i]
        (x, y), total = point, 0.0
        for j, way in enumerate(ways):
            if j != i:
                total += sum(abs(u - x) < wide and abs(v - y) < high for u, v in way)
        for j, ((u, v), other, tall) in rects.items():
            if j != i and abs(u - x) < wide + other and abs(v - y) < high + tall:
                total += 4.0
        for (u, v), (across, down) in zip(boxes, asked.boxes, strict=True):
            if abs(u - x) < wide + across / 2 and abs(v - y) < high - 4.0 + down / 2:
                total += 8.0
        return total

    for i, (point, wide, high) in list(rects.items()):
        cost = covered(i, point)
        if not cost:
            continue
        for t in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74):
            u, v = on_curve(arrows[i].points, t)
            for beside in (wide + 3.0, -wide - 3.0, 0.0):
                other = covered(i, (u + beside, v))
                if other < cost:
                    cost, point = other, (u + beside, v)
        rects[i] = point, wide, high
        arrows[i] = Arrow(arrows[i].points, point)
    return arrows
