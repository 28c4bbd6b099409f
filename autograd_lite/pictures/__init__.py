"""Pictures of graphs: `draw` and `tape`.

model.py and folded.py say what is in a picture, layout.py and layered.py where it goes, scene.py how
it looks; svg.py, dot_text.py and paint.py write it; listing.py and formula.py make the tape.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from autograd_lite import graph
from autograd_lite.pictures.listing import Tape
from autograd_lite.pictures.model import Model
from autograd_lite.pictures.picture import Picture
from autograd_lite.value import Value, shown

FOLD_OVER = 60
"""Boxes that a person still reads; above it a picture folds."""
MOST = 1000
"""Boxes that `fold=False` still draws."""


def draw(
    loss: Value | Iterable[Value],
    *,
    direction: str = "BT",
    fold: bool | None = None,
    explain: Value | None = None,
) -> Picture:
    """Draw a computation graph: a box a Value with its f and g, an edge an operand with its local gradient.

        g(operand) = sum over its edges of g(user) * local gradient

    Args:
        loss: the Value at the root, or several in a sequence.
        direction: where the root goes: "BT" on top, "LR" to the right.
        fold: None folds a graph of more than 60 boxes, so that one box stands for all scalars that do the
            same thing; True always folds, False draws every Value, up to 1,000 boxes.
        explain: a Value whose gradient is explained: the largest paths to it (`ag.explain`) are marked, each
            edge with its share of the gradient. Of a graph too large to draw, only those paths are drawn.

    Returns:
        A Picture: it shows itself in a notebook and has `.svg`, `.dot` and `.save(path)`.

    Raises:
        TypeError: loss is no Value.
        ValueError: an unknown direction, fold=False and more than 1,000 boxes, or paths to explain as long.

    Example:
        >>> a, b = ag.Value(2.0, name="a"), ag.Value(3.0, name="b")
        >>> loss = a * b
        >>> loss.backward()
        >>> ag.draw(loss)
        a = Value(2)    f=2   g=3
        b = Value(3)    f=3   g=2
        v3 = a * b      f=6   g=1   local=(3, 2)
        >>> ag.draw(loss).svg.count('class="edge"')
        2

    Source: Stanford CS221, "Machine learning: backpropagation", functions as boxes.
    """
    from autograd_lite.pictures.folded import folded
    from autograd_lite.pictures.model import model

    roots = _roots(loss, "draw")
    if direction not in ("BT", "LR"):
        raise ValueError(
            f"draw: direction must be 'BT' (root on top) or 'LR' (root at the right), got {shown(direction)}"
        )
    order = graph.order(*roots)
    boxes = sum(1 + sum(x.__class__ is float for x in graph.raw_operands(node)) for node in order)
    if fold is False and boxes > MOST:
        raise ValueError(
            f"draw: {boxes:,} boxes are more than fold=False draws ({MOST:,}); leave fold out to have alike "
            "scalars in one box, draw an inner Value, or print ag.tape(loss, full=True)"
        )
    small = boxes <= FOLD_OVER if fold is None else not fold
    if explain is not None:
        return Picture(_explained(order, roots, explain, small), direction, lambda: str(Tape(order, roots)))
    made = model(order, roots) if small else folded(order, roots, FOLD_OVER, could_unfold=boxes <= MOST)
    return Picture(made, direction, lambda: str(Tape(order, roots)))


def _explained(order: list[Value], roots: list[Value], w: Value, whole: bool) -> Model:
    """The graph with the paths of a gradient marked on it, or those paths alone."""
    from autograd_lite.insight import explain
    from autograd_lite.pictures.model import model

    if len(roots) != 1:
        raise ValueError(f"draw(explain=...): give one loss, got {len(roots)}; each has a gradient of its own")
    found = explain(roots[0], w)
    on_paths = {node for path in found.paths for node in path.nodes} or {roots[0], w} & set(order)
    if not whole and len(on_paths) > MOST:
        raise ValueError(
            f"draw(explain=...): the paths run over {len(on_paths):,} nodes, more than are drawn ({MOST:,}); "
            "print ag.explain(loss, w)"
        )
    made = model(order, roots, found.edges, None if whole else on_paths, amounts=not found.in_shares)
    note = str(found).splitlines()[0] + ("" if whole else f"; only those paths are drawn, of {len(order):,} nodes")
    return replace(made, note=note)


def tape(loss: Value | Iterable[Value], full: bool = False) -> Tape:
    """A computation graph as text: one line a node, leaf to root, with f, g and the local gradients.

    Args:
        loss: the Value at the root, or several in a sequence.
        full: show every line; else the middle of a tape of more than 200 lines is left out.

    Returns:
        A Tape: `str()` of it is the text, and it shows itself as that.

    Raises:
        TypeError: loss is no Value.

    Example:
        >>> w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
        >>> loss = (w * x - 5) ** 2
        >>> loss.backward()
        >>> ag.tape(loss)
        w = Parameter(3)   f=3   g=4
        x = Value(2)       f=2   g=6
        v3 = w * x         f=6   g=2   local=(2, 3)
        v4 = v3 - 5        f=1   g=2   local=(1, -1)
        v5 = v4 ** 2       f=1   g=1   local=(2, 0)
    """
    roots = _roots(loss, "tape")
    return Tape(graph.order(*roots), roots, full)


def _roots(loss: Any, what: str) -> list[Value]:
    if isinstance(loss, Value):
        return [loss]
    if isinstance(loss, Iterable) and not isinstance(loss, (str, bytes, dict)):
        roots = list(loss)
        if roots and all(isinstance(root, Value) for root in roots):
            return list(dict.fromkeys(roots))
    raise TypeError(f"{what}: expected a Value (the root of a graph) or a sequence of them, got {shown(loss)}")
