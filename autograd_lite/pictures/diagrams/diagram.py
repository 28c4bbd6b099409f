"""What a picture shows, as plain data: boxes, edges and frames, without a layout.

`diagram_of` makes the diagram of a graph, one box a Value; grouped.py makes one with a box for many, programs.py
that of a Program. The layouts (layout/) and the writers (writers/) read nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite
from types import MappingProxyType
from typing import Any, ClassVar, cast

from autograd_lite.engine.graph import raw_operands
from autograd_lite.engine.notation import (
    TOOLTIP_NAME,
    Labels,
    assignment,
    formula,
    number,
    printable,
    spelled,
)
from autograd_lite.engine.reading import grad_of, number_of
from autograd_lite.engine.scopes import Scope
from autograd_lite.engine.value import Literal, Parameter, Value
from autograd_lite.pictures.mathematics import PLAIN, Language, Style, derivative, in_words, superscript

Range = tuple[float, float]
"""The smallest and the largest of the numbers that a box or an edge stands for."""

DEEPEST = 12
"""Frames inside each other that a picture shows."""


# --- what is laid over the numbers: of a comparison, a quiz, an explanation ---------------------------------


@dataclass(frozen=True)
class Before:
    """The numbers of the diagram that this one is compared with: (f, g) of a box, (local gradient,) of an edge."""

    numbers: tuple[Range | None, ...]


@dataclass(frozen=True)
class Blank:
    """What a quiz asks for: which number ("f", "g" or "local"), and the letter in its place.

    Args:
        part: the number that is asked for; "" for none.
        letter: what stands in its place.
        hidden: parts that are not shown either, since the answer could be read off them.
    """

    part: str
    letter: str
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Share:
    """What of an explained gradient flows through an edge.

    Args:
        flow: its share, or the amount itself where the gradient is 0 or not finite and so has no shares.
        largest: of amounts, the largest in the picture; None for shares.
    """

    flow: float
    largest: float | None = None

    @property
    def size(self) -> float:
        """From -1 to 1, for the thickness of the edge."""
        if self.largest is None:
            return self.flow
        return self.flow / self.largest if isfinite(self.flow) else 1.0

    @property
    def text(self) -> str:
        """In figures."""
        return f"{100 * self.flow:.3g}%" if self.largest is None else f"{self.flow:+.3g}"

    @property
    def about(self) -> str:
        """In words, for the tooltip."""
        return f"; {self.text} of the explained gradient flows through here"


# --- boxes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """One rectangle; each kind of picture adds what its boxes show (`lines`).

    Args:
        kind: "parameter", "input", "constant", "op", "backward" (in a program), or "frame" (a closed one).
        title: its name, or the number that stands for it.
        symbol: what it does; "" for a leaf.
        count: how many scalars, or instructions, it stands for.
        root: whether the picture was asked for it.
        frame: index of the frame around it, or None.
        about: the tooltip: the formula and the numbers put in.
        style: how its numbers are written, and which of them; set by `styled`.
        room: the least width of its lines, for a page that writes other numbers into them.
    """

    kind: str
    title: str
    symbol: str
    count: int = field(default=1, kw_only=True)
    root: bool = field(default=False, kw_only=True)
    frame: int | None = field(default=None, kw_only=True)
    about: str = field(default="", kw_only=True)
    style: Style = field(default=PLAIN, kw_only=True, repr=False, compare=False)
    room: float = field(default=0.0, kw_only=True, repr=False)

    literal: ClassVar[bool] = False
    """Whether it is a bare number of the program, which has no name and no gradient."""

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The lines below the title, each with what it is: "f", "g", "rule" or "note"."""
        return ()


@dataclass(frozen=True)
class ValueBox(Box):
    """A Value, `count` of them that do the same thing, or a closed frame.

    Args:
        f: the smallest and the largest forward value.
        g: the same of the backward values, None before there is one.
        note: what else there is to say, in small print.
        rule: the formula, in small print, where the order of the operands matters.
        overlay: what is laid over the numbers.
        formula: makes the rule as mathematics.
        computed: the formula and the forward numbers alone, for the forward steps of the stepper.
    """

    f: Range
    g: Range | None
    note: str = field(default="", kw_only=True)
    rule: str = field(default="", kw_only=True)
    overlay: Before | Blank | None = field(default=None, kw_only=True)
    formula: Callable[[], str] | None = field(default=None, kw_only=True, repr=False, compare=False)
    computed: str = field(default="", kw_only=True)

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """f, g, the formula and the note."""
        before = self.overlay.numbers if isinstance(self.overlay, Before) else (None, None)
        sign = " = " if self.count == 1 else ": "
        style = self.style
        shown = [("f", f"f{sign}{_changed(self.f, before[0], style)}")] if "f" in style.show else []
        if self.g is not None and "g" in style.show:
            shown.append(("g", f"g{sign}{_changed(self.g, before[1], style)}"))
        if isinstance(self.overlay, Blank):
            blank = self.overlay
            shown = [
                (part, f"{part} = {blank.letter} ?" if part == blank.part else text)
                for part, text in shown if part not in blank.hidden
            ]  # fmt: skip
        small = (("rule", self.rule), ("note", style.prose(self.note)))
        return (*shown, *((part, text) for part, text in small if text))


@dataclass(frozen=True)
class LiteralBox(ValueBox):
    """A bare number of the program, such as the exponent of a square, or `count` equal ones."""

    literal: ClassVar[bool] = True

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The number alone."""
        before = self.overlay.numbers[0] if isinstance(self.overlay, Before) else None
        return (("f", _changed(self.f, before, self.style)),)


@dataclass(frozen=True)
class InstructionBox(Box):
    """Instructions of a Program, which have a size and a formula in place of numbers.

    Args:
        texts: the lines below the title, each with what it is.
    """

    texts: tuple[tuple[str, str], ...]

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The lines as they are given."""
        return self.texts


def _changed(now: Range, before: Range | None, style: Style) -> str:
    """A number, or what it was and what it is."""
    texts = [style.interval(*before)] if before is not None else []
    return " → ".join(dict.fromkeys([*texts, style.interval(*now)]))


# --- edges, frames, and all of it ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Edge:
    """One operand slot (or `count` alike): from the operand's box to the user's.

    Args:
        source, target: indices of boxes.
        slot: which operand of the target it is.
        local: the smallest and the largest local gradient d(target)/d(source); None in a program.
        count: how many operand slots it stands for.
        about: the tooltip.
        constant: whether a bare number of the program comes in here.
        parallel: how many edges between the same two boxes it stands for, as its label then says.
        overlay: what is laid over the local gradient.
        derivative: makes the formula of the local gradient; None where there is none.
        style: how the label is written; set by `styled`.
    """

    source: int
    target: int
    slot: int
    local: Range | None
    count: int = 1
    about: str = ""
    constant: bool = False
    parallel: int = 1
    overlay: Before | Blank | Share | None = None
    derivative: Callable[[Language], str] | None = field(default=None, repr=False, compare=False)
    style: Style = field(default=PLAIN, repr=False, compare=False)

    @property
    def label(self) -> str:
        """What stands at the edge: nothing where a bare number comes in, such as the exponent of a square."""
        if isinstance(self.overlay, Blank):
            return f"{self.overlay.letter} ?" if self.overlay.part else ""
        style = self.style
        if self.local is None:
            return ""
        times = f"{self.parallel:,} × " if self.parallel > 1 else ""
        if isinstance(self.overlay, Share):
            return f"{times}{style.interval(*self.local)}  ({style.prose(self.overlay.text)})"
        if self.constant or "local" not in style.show:
            return ""
        if style.local == "formula" and self.derivative is not None and self.overlay is None:
            formula = self.derivative(style.language)
            if formula and len(formula) <= LONGEST_FORMULA:
                return formula
        return times + _changed(self.local, self.overlay.numbers[0] if self.overlay is not None else None, style)

    @property
    def idle(self) -> bool:
        """Whether nothing flows back along it."""
        if isinstance(self.overlay, Blank):  # dashes would give a blank away
            return self.constant
        return self.constant or self.local == (0.0, 0.0)


LONGEST_FORMULA = 28
"""Characters of a formula at an edge; in place of a longer one its number stands there."""


@dataclass(frozen=True)
class Frame:
    """A rounded frame: a module, a layer, a neuron, or a user-defined block.

    Args:
        title: its text.
        parent: index of the frame around it, which comes earlier in the list, or None.
    """

    title: str
    parent: int | None = None


@dataclass(frozen=True)
class Diagram:
    """A picture before its layout.

    Args:
        boxes: operands before users, so that an edge to an earlier box is a step of a recurrence.
        note: what a reader has to know, such as that it is folded.
        about: the whole picture in one sentence, for screen readers.
    """

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    frames: tuple[Frame, ...] = ()
    note: str = ""
    about: str = ""

    @property
    def values(self) -> tuple[ValueBox, ...]:
        """The boxes of a graph, which all show numbers; those of a Program have none."""
        return cast("tuple[ValueBox, ...]", self.boxes)


def styled(diagram: Diagram, style: Style) -> Diagram:
    """The diagram as a style writes it: names and symbols as mathematics, numbers with its digits."""
    # The power of a square stands in its box: it comes in along an edge of its own.
    powers = {
        edge.target: exponent.f[0]
        for edge in diagram.edges
        if edge.constant and edge.slot == 1 and isinstance(exponent := diagram.boxes[edge.source], LiteralBox)
    } if style.math else {}  # fmt: skip

    def in_style(i: int, one: Box) -> Box:
        power = powers.get(i)
        whole = one.symbol == "**" and power is not None and power == round(power) and abs(power) < 100
        symbol = f"x{superscript(int(power or 0))}" if whole else style.symbol(one.symbol)
        title = one.title if isinstance(one, InstructionBox) else style.name(one.title)
        made = replace(one, style=style, symbol=symbol, title=title)
        if style.math and isinstance(made, ValueBox) and made.rule and made.formula is not None:
            return replace(made, rule=made.formula())
        return made

    return replace(
        diagram,
        boxes=tuple(in_style(i, one) for i, one in enumerate(diagram.boxes)),
        edges=tuple(replace(edge, style=style) for edge in diagram.edges),
    )


@dataclass
class Frames:
    """The frames of a picture, collected scope by scope."""

    found: list[Frame] = field(default_factory=list)
    index: dict[int, int] = field(default_factory=dict)
    kept: list[Scope] = field(default_factory=list)  # alive, so that no other scope gets its id

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
    return grad_of(node)


def has_backward(order: Sequence[Value], roots: Sequence[Value]) -> bool:
    """Whether a backward pass has come from (or through) every root.

    A pass sets the gradient even of a node that gets 0. A new node has none, even when its leaves keep
    theirs from a pass of another graph. One of them must also differ from 0: a graph that was loaded from a
    file has zeros.
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
    known = _scope_paths(order)
    found = {id(node): () if node.scope is None else known[id(node.scope)] for node in order}
    placed: dict[int, tuple[Scope, ...]] = {}
    for node in order:
        here = found[id(node)]
        if here and node._row is not None:
            for x in raw_operands(node):
                if x.__class__ is not float and x._row is None and x.scope is None:
                    before = placed.get(id(x), here)
                    # Most often nothing is left to do: a weight is used in each of a thousand examples.
                    if before is here or before:
                        placed[id(x)] = before if before is here else common(before, here)
    for node in order:
        if id(node) in placed and kind(node) == "input":
            del placed[id(node)]
    return {**found, **placed}


def _scope_paths(order: Sequence[Value]) -> dict[int, tuple[Scope, ...]]:
    """The path to each scope, by its id, with the middle of long chains as one scope.

    Which scopes are the middle is decided for the whole tree, by how deep a scope lies and how deep it goes on below.
    Decided path by path, a chain of 12 would be drawn in full and the one of 13 through it shortened: two parents
    for one frame, and a middle with nothing in it.
    """
    level: dict[int, int] = {}
    chain: list[Scope] = []  # outer scopes before inner ones
    for node in order:
        above: list[Scope] = []
        here = node.scope
        while here is not None and id(here) not in level:
            above.append(here)
            here = here.parent
        for scope in reversed(above):
            level[id(scope)] = 0 if scope.parent is None else level[id(scope.parent)] + 1
            chain.append(scope)
    height = dict.fromkeys(level, 0)  # how many scopes lie below, along the longest chain
    for scope in reversed(chain):
        if scope.parent is not None:
            height[id(scope.parent)] = max(height[id(scope.parent)], height[id(scope)] + 1)
    ends = DEEPEST // 2
    found: dict[int, tuple[Scope, ...]] = {}
    members: dict[int, int] = {}  # of each middle, by its id
    middles: dict[int, Scope] = {}  # of the scopes in a middle
    for scope in chain:
        outer = scope.parent
        around = () if outer is None else found[id(outer)]
        deep, below = level[id(scope)], height[id(scope)]
        if deep >= ends and below >= ends - 1 and deep + below >= DEEPEST:
            assert outer is not None
            middle = middles.get(id(outer)) or Scope("", outer)
            middles[id(scope)] = middle
            members[id(middle)] = members.get(id(middle), 0) + 1
            middle.name = f"… {members[id(middle)]:,} more frames …"
            found[id(scope)] = around if id(outer) in middles else (*around, middle)
        else:
            found[id(scope)] = (*around, scope)
    return found


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
    literals: bool = False,
    marked: Collection[Value] | None = None,
    place: Mapping[int, tuple[Scope, ...]] | None = None,
    names: Mapping[int, str] = MappingProxyType({}),
) -> Diagram:
    """One box a Value, one edge an operand slot.

    Args:
        order: the nodes that the roots reach, operands first (`graph.toposort`).
        roots: the Values that the picture is for.
        shares: for each (node, slot) on a path of an explained gradient its share; those edges are marked.
        only: draw these nodes only.
        amounts: the shares are amounts: the gradient is 0 or not finite.
        adjoint: the backward values to show in place of each `.grad`.
        literals: whether `only` some nodes are drawn with the bare numbers that they take.
        marked: the boxes with a heavy border; by default those of the roots.
        place: the scopes around each node, by id, in place of those that it was recorded in.
        names: what nodes without a name are called, by id.
    """
    labels, frames = Labels(order, names), Frames()
    place = paths(order) if place is None else place
    backward = adjoint is not None or has_backward(order, roots)
    top = "root" if len(roots) > 1 else labels[roots[0]]
    marks = _shares(shares, amounts)
    asked = set(map(id, roots if marked is None else marked))
    boxes: list[Box] = []
    edges: list[Edge] = []
    index: dict[int, int] = {}
    for node in order if only is None else (node for node in order if node in only):
        frame = frames.of(place[id(node)])
        # A bare number gets a box at each use, just before its user's: one 2.0 for all squares would be a hub of edges.
        sources: list[int | None] = []
        for x in raw_operands(node):
            if only is not None and (not literals if x.__class__ is float else x not in only):
                sources.append(None)
            elif x.__class__ is float:
                sources.append(len(boxes))
                boxes.append(LiteralBox("constant", "", "", (x, x), None, frame=frame, about=f"the constant {x!r}"))
            else:
                sources.append(index[id(x)])
        g = None if not backward else backward_value(node) if adjoint is None else adjoint[node]
        here = index[id(node)] = len(boxes)
        boxes.append(_value_box(node, g, frame, id(node) in asked, top, labels))
        for slot, (source, x, local) in enumerate(zip(sources, raw_operands(node), node.local_grads, strict=True)):
            if source is None:
                continue
            constant, mark = x.__class__ is float, marks.get((node, slot))
            about = f"d({labels[node]})/d({labels[x]}) = {number(local)}"
            if constant:  # its local gradient may be NaN, as that of the 2 in (-3) ** 2, and nobody asks for it
                about = f"no gradient flows into the constant {labels[x]}"
            if mark is not None:
                about += mark.about
            formula = None if constant else partial(derivative, node, slot, labels.__getitem__)
            edges.append(
                Edge(
                    source, here, slot, (local, local), about=about, constant=constant, overlay=mark, derivative=formula
                )
            )
    return Diagram(tuple(boxes), tuple(edges), tuple(frames.found), about=summary(order, roots, labels, backward))


def _value_box(node: Value, g: float | None, frame: int | None, root: bool, top: str, labels: Labels) -> ValueBox:
    """The box of one node; `top` is what its gradient is a derivative of."""
    about = computed = assignment(node, labels)
    if g is not None:
        about += f"; d({top})/d({labels[node]}) = {number(g)}"
    if node.name.strip():  # a box shortens a name, and drops the part that its frame says
        named = printable(node.name, TOOLTIP_NAME)
        about = about if named == labels[node] else f"{named}: {about}"
    return ValueBox(
        kind(node),
        title(node, labels, frame),
        "" if node._row is None else printable(node._row.symbol, 16),
        (number_of(node), number_of(node)),
        None if g is None else (g, g),
        root=root,
        frame=frame,
        about=about,
        rule=spelled(node, labels),
        formula=partial(in_words, node, labels.__getitem__),
        computed=computed,
    )


def _shares(shares: Mapping[tuple[Value, int], float], amounts: bool) -> dict[tuple[Value, int], Share]:
    largest = max((abs(share) for share in shares.values() if isfinite(share)), default=0.0) or 1.0
    return {slot: Share(share, largest if amounts else None) for slot, share in shares.items()}


def title(node: Value, labels: Labels, frame: int | None) -> str:
    """What a box is called: inside a frame `w[1]` says enough of `layers[0].neurons[3].w[1]`."""
    if not node.name.strip():
        return labels[node]  # also where the program calls it something
    inner = frame is not None and isinstance(node, Parameter)
    return printable((inner and node.name.rpartition(".")[2]) or node.name)


def summary(order: Sequence[Value], roots: Sequence[Value], labels: Labels, backward: bool) -> str:
    """The picture in a sentence, for screen readers."""
    shown = ", ".join(f"{labels[root]} = {formula(root, labels)} = {number(number_of(root))}" for root in roots[:3])
    what = "forward and backward values" if backward else "forward values"
    return f"Computation graph of {len(order):,} values with their {what}: {shown}"
