"""A picture that moves by itself: the same SVG with times at which its parts appear.

No script: the times are CSS animations, which also run inside an <img>. Every selector begins with the id of
the picture, so that nothing else on a page is touched. Where less motion is asked for (and the browser passes that
on), and in programs without animations, it is the picture with every number in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autograd_lite.pictures.picture import Picture
from autograd_lite.pictures.steps import Step
from autograd_lite.pictures.writers.scene import BLUE, VERMILION, Circle, Text

PACE = 0.75
"""Seconds of a step."""

REST = 3.5
"""Seconds for which the finished picture stands still."""


def animated(picture: Picture, steps: Sequence[Step]) -> str:
    """The SVG text: f fills up from the leaves, g flows down from the root, and again.

    Args:
        picture: the picture with every number in it.
        steps: what appears one after another.
    """
    diagram, prefix = picture.diagram, picture.prefix
    total = PACE * len(steps) + REST
    appears: dict[str, int] = {}  # a selector, and the step from which on it is seen
    flashes: dict[tuple[str, int, str], dict[int, str]] = {}
    plain = {element.id: element.shapes[0] for element in picture.scene.elements}
    computed = {i: 0 for i, box in enumerate(diagram.boxes) if box.literal}
    for k, step in enumerate(steps):
        name = "note" if step.part == "new" else step.part
        for box in step.fills:
            appears[f"#{prefix}-box{box}>.{name}"] = k
            if name == "f":
                computed[box] = k
        colour = BLUE if step.phase == "forward" else VERMILION
        if step.box is not None:
            outline = "circle" if isinstance(plain[f"box{step.box}"], Circle) else "rect"
            flashes.setdefault(("box", step.box, outline), {})[k] = colour
        if step.edge is not None:
            flashes.setdefault(("edge", step.edge, "path"), {})[k] = VERMILION
    for e, edge in enumerate(diagram.edges):
        appears[f"#{prefix}-edge{e}>:not(path):not(polygon):not(title)"] = computed.get(edge.target, 0)
    rules: dict[int, list[str]] = {}
    # One rule for all that appears at one step: a picture of 60 boxes has hundreds of selectors.
    for selector, k in appears.items():
        rules.setdefault(k, []).append(selector)
    css = []
    for k, selectors in rules.items():
        name, start = f"{prefix}-show{k}", 100 * PACE * k / total
        if not k:
            continue  # seen from the beginning
        css.append(f"@keyframes {name}{{0%,{start:.2f}%{{opacity:0}}{start + 1:.2f}%,100%{{opacity:1}}}}")
        css.append(f"{','.join(selectors)}{{animation:{name} {total:.2f}s infinite}}")
    # A box or an edge may glow at several steps; those that follow each other glow as one, without a flicker.
    for (what, i, element), colours in flashes.items():
        shape, name = plain[f"{what}{i}"], f"{prefix}-lit-{what}{i}"
        thick = 1.2 if isinstance(shape, Text) else shape.thick
        dark = f"{{stroke:{'' if isinstance(shape, Text) else shape.stroke};stroke-width:{thick:g}px}}"
        stops = [f"0%{dark}"]
        for first, last, colour in _runs(colours):
            a, b = 100 * PACE * first / total, 100 * PACE * (last + 1) / total
            soft = (b - a) / 20
            lit = f"{{stroke:{colour};stroke-width:3.5px}}"
            stops.append(f"{a:.3f}%{dark}{a + soft:.3f}%,{b - soft:.3f}%{lit}{b:.3f}%{dark}")
        css.append(f"@keyframes {name}{{{''.join(stops)}100%{dark}}}")
        css.append(f"#{prefix}-{what}{i}>{element}{{animation:{name} {total:.2f}s infinite}}")
    style = "<style>@media (prefers-reduced-motion:no-preference){" + "".join(css) + "}</style>"
    return picture.still.replace("</title>\n", f"</title>\n{style}\n", 1)


def _runs(colours: Mapping[int, str]) -> list[tuple[int, int, str]]:
    """Steps of one colour that follow each other: first, last, colour."""
    runs: list[tuple[int, int, str]] = []
    for k, colour in colours.items():
        if runs and runs[-1][1:] == (k - 1, colour):
            runs[-1] = (runs[-1][0], k, colour)
        else:
            runs.append((k, k, colour))
    return runs
