"""A graph too large to draw value by value: which of the reductions suits it, for a picture and for its steps.

Folded where much is alike (grouped.py), with frames closed or as the steps of a loop, else in part (partial.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from autograd_lite.engine.checks import describe, numpy_module, whole
from autograd_lite.engine.value import Value
from autograd_lite.pictures.arguments import FOLD_OVER, FOLD_OVER_EDGES, MOST_IN_PAGE
from autograd_lite.pictures.diagrams.collapsed import bundled, in_order
from autograd_lite.pictures.diagrams.diagram import Diagram
from autograd_lite.pictures.diagrams.partial import (
    PART,
    frames_closed,
    irregular,
    part,
    recurrent,
    strongest,
    surroundings,
)

NOT_FOLDED = "It is not folded, which needs NumPy."

SAVED = 4
"""Values for each box that make folding worth it; of fewer, a loop is drawn as its steps."""


def reduced(
    order: Sequence[Value], roots: Sequence[Value], could_unfold: bool, advance: Callable[[], None] = lambda: None,
    **shown: Any,
) -> tuple[Diagram, Diagram | None]:  # fmt: skip
    """A graph too large to draw as it is: folded where much is alike, as the steps of a loop, else in part.

    Args:
        order: the nodes that the roots reach, operands first.
        roots: the Values that the picture is for.
        could_unfold: whether `fold=False` would draw the graph.
        advance: called after the first stage.
        shown: names and adjoint, as `diagram_of` takes them.

    Returns:
        The diagram, and of a loop the one with every step open.
    """
    found = None
    if numpy_module() is None:
        drawn, loop = _unfolded(order, roots, advance, **shown)
        return replace(drawn, note=f"{drawn.note} {NOT_FOLDED}".strip()), loop
    if not irregular(order, roots, FOLD_OVER):
        from autograd_lite.pictures.diagrams.grouped import folded

        found = folded(order, roots, FOLD_OVER, could_unfold, shapes=False, **shown)
    made = None if found is None else bundled(in_order(found))
    advance()
    if made is not None and len(made.edges) > FOLD_OVER_EDGES:
        made = None
    # A chain of steps folds too, into a box for each time at which something happens, which hides that it is a loop.
    if made is not None and (len(order) >= SAVED * len(made.boxes) or len(made.boxes) <= FOLD_OVER // 3):
        return made, None
    closed, whole = _closed(order, roots, **shown)
    return closed or made or in_part(order, roots, **shown), whole


def _closed(order: Sequence[Value], roots: Sequence[Value], **shown: Any) -> tuple[Diagram | None, Diagram | None]:
    """The graph with frames closed, or as the steps of a loop and with every step open; None where it has neither."""
    if len(order) > MOST_IN_PAGE:
        return None, None
    if any(node.scope is not None for node in order):
        return frames_closed(order, roots, FOLD_OVER, **shown), None
    return recurrent(order, roots, FOLD_OVER, **shown) or (None, None)


def _unfolded(
    order: Sequence[Value], roots: Sequence[Value], advance: Callable[[], None], **shown: Any
) -> tuple[Diagram, Diagram | None]:
    """What can be drawn without NumPy, which a fold needs: frames closed, a loop, else the most important values."""
    found, whole = _closed(order, roots, **shown)
    advance()
    return found or in_part(order, roots, **shown), whole


def in_part(
    order: Sequence[Value], roots: Sequence[Value], around: Any = None, radius: Any = None, most: Any = None,
    **shown: Any,
) -> Diagram:  # fmt: skip
    """The strongest values of a graph, or the surroundings of one."""
    most = PART if most is None else whole(most, "draw: most", 1)
    if around is None:
        chosen = strongest(order, roots, most)
        made = part(order, roots, chosen, _note(chosen, order), roots, **shown)
        while len(chosen) > 1 and len(made.edges) > FOLD_OVER_EDGES:  # few values may still have very many edges
            chosen = strongest(order, roots, len(chosen) // 2)
            made = part(order, roots, chosen, _note(chosen, order), roots, **shown)
        return made
    if not isinstance(around, Value):
        raise TypeError(f"draw: around must be a Value of the graph, got {describe(around)}")
    if around not in set(order):
        raise ValueError(f"draw: around: {around!r} is not a value of this graph")
    radius = 2 if radius is None else whole(radius, "draw: radius", 0)
    chosen = surroundings(order, around, radius, max(most, FOLD_OVER))
    note = f"Shown in part: {len(chosen):,} of {len(order):,} values, those within {radius} edges of the marked one."
    return part(order, roots, chosen, note, [around], **shown)


def _note(chosen: set[Value], order: Sequence[Value]) -> str:
    return (
        f"Shown in part: {len(chosen):,} of {len(order):,} values, along the strongest paths to the root. "
        "draw(loss, around=v) shows the surroundings of a value, most= more of them."
    )
