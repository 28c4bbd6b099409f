"""How well a picture can be read, in numbers: crossings, what covers what, width.

Shapes are read back from the Scene, so that any layout is measured by what is drawn of it.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise
from math import hypot

from autograd_lite.pictures.writers.scene import Curve, Rect

SAMPLES = 24
"""Points of a curve that are looked at."""


def bezier(points):
    """Points along Bezier curves."""
    found = [points[0]]
    pieces = (len(points) - 1) // 3
    n = max(SAMPLES // pieces, 6)
    for k in range(pieces):
        a, b, c, d = points[3 * k : 3 * k + 4]
        for i in range(1, n + 1):
            t = i / n
            w = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            found.append(tuple(sum(x * p[i] for x, p in zip(w, (a, b, c, d), strict=True)) for i in (0, 1)))
    return found


def crosses(a, b, c, d):
    """Whether two segments cross inside."""

    def side(p, q, r):
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def measured(picture):
    """A Counter: crossings, labels on labels, labels on other edges, heads on heads, edges through boxes, bends."""
    scene, diagram = picture.scene, picture.diagram
    boxes = {e.id: e.shapes[0] for e in scene.elements if e.kind.startswith("box")}
    edges = {e.id: e.shapes for e in scene.elements if e.kind == "edge"}
    lines = [bezier(edges[f"edge{i}"][0].points) for i in range(len(diagram.edges))]
    labels = {i: s for i in range(len(lines)) for s in edges[f"edge{i}"] if isinstance(s, Rect)}
    heads = [edges[f"edge{i}"][0].head for i in range(len(lines))]
    assert all(isinstance(edges[f"edge{i}"][0], Curve) for i in range(len(lines)))
    found = Counter(width=round(scene.width), height=round(scene.height))
    bounds = []
    for line in lines:
        xs, ys = [x for x, _ in line], [y for _, y in line]
        bounds.append((min(xs), min(ys), max(xs), max(ys)))
    for i, j in combinations(range(len(lines)), 2):
        (x0, y0, x1, y1), (u0, v0, u1, v1) = bounds[i], bounds[j]
        if x0 > u1 or u0 > x1 or y0 > v1 or v0 > y1:
            continue
        found["crossings"] += any(
            crosses(a, b, c, d)
            for a, b in zip(lines[i], lines[i][1:], strict=False)
            for c, d in zip(lines[j], lines[j][1:], strict=False)
        )
    for a, b in combinations(labels.values(), 2):
        across, down = min(a.x + a.width, b.x + b.width) - max(a.x, b.x), min(a.y, b.y) + 14 - max(a.y, b.y)
        found["labels on labels"] += across > 1 and down > 3
    for i, label in labels.items():
        for j, line in enumerate(lines):
            if i != j:
                inside = any(
                    label.x + 2 < x < label.x + label.width - 2 and label.y + 3 < y < label.y + 11 for x, y in line
                )
                found["labels on edges"] += inside
    tips = [(sum(x for x, _ in h) / 3, sum(y for _, y in h) / 3) for h in heads]
    for p, q in combinations(tips, 2):
        found["heads on heads"] += hypot(p[0] - q[0], p[1] - q[1]) < 5.0
    for i, edge in enumerate(diagram.edges):
        for k in range(len(diagram.boxes)):
            if k not in (edge.source, edge.target):
                box = boxes[f"box{k}"]
                found["edges through boxes"] += any(
                    box.x + 1 < x < box.x + box.width - 1 and box.y + 1 < y < box.y + box.height - 1
                    for x, y in lines[i]
                )
    # How often a line turns back across: an S-bend or a hook has at least one turn more than a straight one.
    for line in lines:
        turns = [b[0] - a[0] for a, b in pairwise(line) if abs(b[0] - a[0]) > 0.4]
        found["bends"] += sum(a * b < 0 for a, b in pairwise(turns))
    return found
