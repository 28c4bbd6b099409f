"""What a picture shows, as plain data: boxes, edges and frames, without a layout.

`diagram` makes it of a graph, one box a Value; folded.py makes one with a box for many. The writers
(svg.py, dot_text.py) and the layouts read nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any

from autograd_lite.engine.graph import raw_operands
from autograd_lite.engine.notation import TOOLTIP_NAME, Labels, assignment, formula, number, numbers, printable, spelled
from autograd_lite.engine.scopes import Scope
from autograd_lite.engine.value import Literal, Parameter, Value

Range = tuple[float, float]


DEEPEST = 12
"""Frames inside each other that a picture shows."""


def _changed(now: Range, before: Range | None) -> str:
    """A number, or what it was and what it is."""
    texts = [numbers(*before)] if before is not None else []
    return " → ".join(dict.fromkeys([*texts, numbers(*now)]))


@dataclass(frozen=True)
class Box:
    """One rectangle: a Value, or `count` of them that do the same thing.

    Args:
        kind: "parameter", "input", "constant", "op", "backward" (in a program), or "frame" (a closed one).
        title: its name, or the number that stands for it.
        symbol: what it does; "" for a leaf.
        f: the smallest and the largest forward value.
        g: the same of the backward values, None before there is one.
        count: how many scalars it holds.
        root: whether the picture was asked for it.
        frame: index of the frame around it, or None.
        about: the formula and the numbers put in, for the tooltip.
        literal: a bare number of the program, which has no name and no gradient.
        note: what else there is to say, in small print.
        rule: the formula, in small print, where the order of the operands matters.
        before: f and g of the picture that this one is compared with, where they differ.
        blank: "f" or "g" and the letter that stands for it in a quiz.
        says: lines of its own in place of the numbers, each with what it is: a step of a program has no numbers.
        computed: the formula and the forward numbers alone, for the forward steps of a folded picture.
    """

    kind: str
    title: str
    symbol: str
    f: tuple[float, float]
    g: tuple[float, float] | None
    count: int = 1
    root: bool = False
    frame: int | None = None
    about: str = ""
    literal: bool = False
    note: str = ""
    rule: str = ""
    before: tuple[Range, Range | None] | None = None
    blank: tuple[str, str] | None = None
    says: tuple[tuple[str, str], ...] | None = None
    computed: str = ""

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The lines below the title, each with what it is: "f", "g", "rule" or "note"."""
        if self.says is not None:
            return self.says
        if self.literal:
            return (("f", _changed(self.f, self.before and self.before[0])),)
        sign = " = " if self.count == 1 else ": "
        shown = [("f", f"f{sign}{_changed(self.f, self.before and self.before[0])}")]
        if self.g is not None:
            shown.append(("g", f"g{sign}{_changed(self.g, self.before and self.before[1])}"))
        if self.blank is not None:
            shown = [(part, f"{part} = {self.blank[1]} ?" if part == self.blank[0] else text) for part, text in shown]
        return (*shown, *((part, text) for part, text in (("rule", self.rule), ("note", self.note)) if text))


@dataclass(frozen=True)
class Edge:
    """One operand slot (or `count` alike): from the operand's box to the user's.

    Args:
        source, target: indices of boxes.
        slot: which operand of the target it is.
        local: the smallest and the largest local gradient d(target)/d(source).
        about: the same in words, for the tooltip.
        constant: whether a bare number of the program comes in here.
        share: the share of an explained gradient that flows through here; None where none is shown.
        before: the local gradient of the picture that this one is compared with, where it differs.
        blank: the letter that stands for the local gradient in a quiz.
        flow: that share in figures, or the amount where the gradient has no shares.
        says: its label, where it has no local gradient: an operand of a step of a program.
    """

    source: int
    target: int
    slot: int
    local: tuple[float, float]
    count: int = 1
    about: str = ""
    constant: bool = False
    share: float | None = None
    before: Range | None = None
    blank: str = ""
    flow: str = ""
    says: str | None = None

    @property
    def label(self) -> str:
        """What stands at the edge: nothing where a bare number comes in, such as the exponent of a square."""
        if self.says is not None:
            return self.says
        if self.blank:
            return f"{self.blank} ?"
        if self.share is not None:
            return f"{numbers(*self.local)}  ({self.flow})"
        return "" if self.constant else _changed(self.local, self.before)

    @property
    def idle(self) -> bool:
        """Whether nothing flows back along it."""
        if self.blank or self.says is not None:  # dashes would give a blank away
            return self.constant
        return self.constant or self.local == (0.0, 0.0)


@dataclass(frozen=True)
class Frame:
    """A rounded frame: a module, a layer, a neuron, or a block of the user's.

    Args:
        title: what it says.
        parent: index of the frame around it, which comes earlier in the list, or None.
    """

    title: str
    parent: int | None = None


@dataclass(frozen=True)
class Diagram:
    """A picture before its layout.

    Args:
        boxes: operands before users, so that an edge to an earlier box is a step of a recurrence.
        note: what a reader must be told, such as that it is folded.
        about: the whole picture in one sentence, for those who do not see it.
    """

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    frames: tuple[Frame, ...] = ()
    note: str = ""
    about: str = ""


@dataclass
class Frames:
    """The frames of a picture, as they turn up."""

    found: list[Frame] = field(default_factory=list)
    index: dict[int, int] = field(default_factory=dict)
    kept: list[Scope] = field(default_factory=list)  # so that an id stays taken

    def of(self, path: Sequence[Scope]) -> int | None:
        """The index of the frame for the last scope of a path, made with those around it."""
        here: int | None = None
        for scope in path:
            if id(scope) not in self.index:
                self.index[id(scope)] = len(self.found)
                self.found.append(Frame(printable(scope.name), here))
                self.kept.append(scope)
            here = self.index[id(scope)]
        return here


def backward_value(node: Value) -> float | None:
    """The `.grad` of a node, None if no backward pass has ever set it."""
    return getattr(node, "_grad", None)


def has_backward(order: Sequence[Value], roots: Sequence[Value]) -> bool:
    """Whether a backward pass has come from (or through) every root.

    A pass sets the gradient even of a node that gets 0. A new node has none, even when its leaves keep
    theirs from a pass of another graph. Beyond that one of them must differ from 0, as a graph that was
    loaded from a file has zeros.
    """
    return all(backward_value(root) is not None for root in roots) and any(backward_value(v) for v in order)


def kind(node: Any) -> str:
    """Which of the four tints a node has."""
    if node._row is not None:
        return "op"
    return "parameter" if isinstance(node, Parameter) else "constant" if isinstance(node, Literal) else "input"


def paths(order: Sequence[Value]) -> dict[int, tuple[Scope, ...]]:
    """The scopes around each node, by id, outermost first.

    A parameter or a constant is drawn with the nodes that use it, in the innermost scope that they
    have in common; uses outside every scope (a penalty on the weights, say) do not count.
    """
    if all(node.scope is None for node in order):
        return dict.fromkeys(map(id, order), ())
    known: dict[int, tuple[Scope, ...]] = {}

    def path(scope: Scope | None) -> tuple[Scope, ...]:
        if scope is None:
            return ()
        if id(scope) not in known:
            known[id(scope)] = _shortened(scope.path(), middles)
        return known[id(scope)]

    middles: dict[tuple[int, int], Scope] = {}
    found = {id(node): path(node.scope) for node in order}
    placed: dict[int, tuple[Scope, ...]] = {}
    for node in order:
        here = found[id(node)]
        if here and node._row is not None:
            for x in raw_operands(node):
                if x.__class__ is not float and x._row is None and x.scope is None and kind(x) != "input":
                    placed[id(x)] = common(placed.get(id(x), here), here)
    return {**found, **placed}


def _shortened(path: tuple[Scope, ...], middles: dict[tuple[int, int], Scope]) -> tuple[Scope, ...]:
    """A path with the middle of a long one as a single scope, the same for all with that middle."""
    if len(path) <= DEEPEST:
        return path
    ends = DEEPEST // 2
    title = f"… {len(path) - DEEPEST + 1:,} more frames …"
    middle = middles.setdefault((id(path[ends - 1]), id(path[-ends])), Scope(title, path[ends - 1]))
    return (*path[:ends], middle, *path[len(path) - ends + 1 :])


def common(a: tuple[Scope, ...], b: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """The scopes that two paths begin with."""
    n = 0
    for x, y in zip(a, b, strict=False):
        if x is not y:
            break
        n += 1
    return a[:n]


def diagram_of(
    order: Sequence[Value],
    roots: Sequence[Value],
    shares: Mapping[tuple[Value, int], float] = MappingProxyType({}),
    only: Collection[Value] | None = None,
    amounts: bool = False,
    *,
    adjoint: Mapping[Value, float] | None = None,
) -> Diagram:
    """One box a Value, one edge an operand slot.

    Args:
        order: the nodes that the roots reach, operands first (`graph.order`).
        roots: the Values that the picture is for.
        shares: for each (node, slot) on a path of an explained gradient its share; those edges are marked.
        only: draw these nodes only.
        amounts: the shares are amounts: the gradient is 0 or not finite.
        adjoint: the backward values to show in place of each `.grad`.
    """
    sizes = [abs(share) for share in shares.values() if isfinite(share)] if amounts else []
    largest = max(sizes, default=0.0) or 1.0
    labels = Labels(order)
    backward = adjoint is not None or has_backward(order, roots)
    frames, place = Frames(), paths(order)
    target = "root" if len(roots) > 1 else labels[roots[0]]
    boxes: list[Box] = []
    edges: list[Edge] = []
    index: dict[int, int] = {}
    for node in order if only is None else (node for node in order if node in only):
        frame = frames.of(place[id(node)])
        slots: list[int | None] = []
        for x in raw_operands(node):
            if only is not None and (x.__class__ is float or x not in only):
                slots.append(None)
            elif x.__class__ is float:
                literal = Box("constant", "", "", (x, x), None, frame=frame, about=f"the constant {x!r}", literal=True)
                slots.append(len(boxes))
                boxes.append(literal)
            else:
                slots.append(index[id(x)])
        g = None if not backward else backward_value(node) if adjoint is None else adjoint[node]
        about = assignment(node, labels)
        if g is not None:
            about += f"; d({target})/d({labels[node]}) = {number(g)}"
        if node.name:
            named = printable(node.name, TOOLTIP_NAME)
            about = about if named == labels[node] else f"{named}: {about}"
        here = index[id(node)] = len(boxes)
        boxes.append(
            Box(
                kind(node),
                title(node, labels, frame),
                "" if node._row is None else printable(node._row.symbol, 16),
                (node._f, node._f),
                None if g is None else (g, g),
                root=any(node is root for root in roots),
                frame=frame,
                about=about,
                rule=spelled(node, labels),
            )
        )
        for i, (source, x, local) in enumerate(zip(slots, raw_operands(node), node.local_grads, strict=True)):
            about = f"d({labels[node]})/d({labels[x]}) = {number(local)}"
            if source is None:
                continue
            if x.__class__ is float:
                about = f"no gradient flows into the constant {labels[x]}"
            share = shares.get((node, i))
            flow = ""
            if share is not None:
                flow = f"{share:+.3g}" if amounts else f"{100 * share:.3g}%"
                about += f"; {flow} of the explained gradient flows through here"
                if amounts:  # for the thickness: the largest amount counts as all
                    share = share / largest if isfinite(share) else 1.0
            constant = x.__class__ is float
            edges.append(Edge(source, here, i, (local, local), about=about, constant=constant, share=share, flow=flow))
    return Diagram(tuple(boxes), tuple(edges), tuple(frames.found), about=summary(order, roots, labels, backward))


def title(node: Value, labels: Labels, frame: int | None) -> str:
    """What a box is called: inside a frame `w[1]` says enough of `layers[0].neurons[3].w[1]`."""
    if not node.name.strip():
        return labels[node]
    inner = frame is not None and isinstance(node, Parameter)
    return printable((inner and node.name.rpartition(".")[2]) or node.name)


def summary(order: Sequence[Value], roots: Sequence[Value], labels: Labels, backward: bool) -> str:
    """The picture in a sentence: what a screen reader says."""
    shown = ", ".join(f"{labels[root]} = {formula(root, labels)} = {number(root._f)}" for root in roots[:3])
    what = "forward and backward values" if backward else "forward values"
    return f"Computation graph of {len(order):,} values with their {what}: {shown}"
