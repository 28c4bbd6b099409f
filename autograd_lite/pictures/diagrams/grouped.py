"""The picture of a large graph: one box for all scalars that do the same thing.

First by layer: scalars of one frame that are computed alike. While that gives too many boxes, the
innermost frames are ignored, so that a layer's neurons fall together, and so on outwards. Where even the
whole graph has too many classes, it repeats itself (a recurrence): then all steps of one shape
are one box, which takes from itself.

The classes are those of a fold (folding/grouping.py), asked with other labels: what may not share a box. This loads
NumPy, so whoever draws a picture imports it only where one is folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.engine.notation import Labels, assignment, interval, printable, span
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.scopes import Scope
from autograd_lite.engine.value import Value
from autograd_lite.folding.build import emit, grouped, lines
from autograd_lite.folding.grouping import Terms, classes, kinds
from autograd_lite.folding.printing import MOST_LINES
from autograd_lite.folding.scan import MANY_OPERANDS, Scan, by_occurrence
from autograd_lite.pictures.diagrams.collapsed import DIGITS, name_pattern
from autograd_lite.pictures.diagrams.diagram import (
    Box,
    Diagram,
    Edge,
    Frames,
    LiteralBox,
    ValueBox,
    backward_value,
    has_backward,
    kind,
    paths,
    summary,
    title,
)

Array = Any

Range = tuple[float, float]

SUMS, PRODUCTS = ("add", "sum"), ("mul",)
"""What a picture takes together as one sum of terms; a dot product and a mean have separate boxes."""

KINDS = ("op", "parameter", "constant", "input")

TERM, FACTOR, SAME_FACTOR, ELEMENT, X, Y, BIAS = range(-1, -8, -1)
"""Roles of operands that are alike; the others have the number of their slot. The factors of a square, x * x, are two
roles, so that the edge says both."""


def folded(
    order: Sequence[Value],
    roots: Sequence[Value],
    most: int,
    could_unfold: bool,
    *,
    adjoint: Mapping[Value, float] | None = None,
    shapes: bool = True,
    names: Mapping[int, str] = MappingProxyType({}),
) -> Diagram | None:
    """A box for scalars that do the same thing.

    Args:
        order: the nodes that the roots reach, operands first.
        roots: the Values that the picture is for; each keeps a separate box.
        most: boxes that a person still reads.
        could_unfold: whether `fold=False` would draw the graph, which the note then says.
        adjoint: the backward values to show in place of each `.grad`.
        shapes: whether, if there are too many boxes, values of one shape share one, so that a box may take from
            itself; without it the answer is then None.
        names: what nodes without a name are called, by id.
    """
    graph = Units(order, roots)
    best: Partition | None = None
    for partition in _partitions(graph, most, shapes):
        if best is None or partition.boxes < best.boxes:
            best = partition
        if best.boxes <= most:
            break
    if best is None or (best.boxes > most and not shapes):
        return None
    return _diagram(order, roots, best, could_unfold, adjoint, names)


class Operands(NamedTuple):
    """Every operand of every unit, in order: an edge of the picture before edges that are alike are taken together.

    Args:
        user, operand: positions; an operand that is a literal is not below the number of nodes.
        other: for one of two operands whose order does not matter the other one, else -1.
        local: the local gradient.
        number: the forward value of the operand.
        role: its role; of two whose order does not matter that of the one whose class came first.
        second: and the role of the one whose class came second.
        first: whether it stands first.
    """

    user: Array
    operand: Array
    other: Array
    local: Array
    number: Array
    role: Array
    second: Array
    first: Array


class Units:
    """A graph as the units of a picture, and what may not share a box."""

    def __init__(self, order: Sequence[Value], roots: Sequence[Value]) -> None:
        self.scan: Scan = Scan(roots, None, (), nodes=order)
        nodes, n = self.scan.nodes, self.scan.count
        self.path: dict[int, tuple[Scope, ...]] = paths(order)
        scope: Array = None
        if any(self.path.values()):  # a sum takes in nothing of another scope: no term crosses a frame
            scopes: dict[int, int] = {}
            scope = np.array([scopes.setdefault(id(node.scope), len(scopes)) for node in nodes])
        self.terms: Terms = Terms(self.scan, self.scan.roots, scope, SUMS, PRODUCTS)
        self.shown: Array = np.flatnonzero(~self.terms.absorbed)
        """The nodes that have a box, or share one: leaves, and units."""
        self.size: Array = np.bincount(self.terms.unit_of, minlength=n)
        """How many scalars a unit holds."""
        n_terms = np.bincount(self.terms.root, minlength=n)
        add = self.scan.code == next((k for k, what in enumerate(self.scan.what) if what is TABLE["add"]), -1)
        self.plain_add: Array = add & (self.size == 1) & (n_terms == 2)
        """Additions of two things, shown as a + b; any other tree of additions is a sum."""
        self.own_kind: Array = np.full(n + self.scan.literals, KINDS.index("constant"))
        leaf = self.scan.arity == 0
        self.own_kind[:n][~leaf] = 0
        self.own_kind[np.flatnonzero(leaf)] = [KINDS.index(kind(nodes[i])) for i in np.flatnonzero(leaf).tolist()]
        self.own_kind[self.scan.roots] = len(KINDS) + np.arange(len(roots))

    def op(self, i: int) -> str:
        """The primitive of a unit: "sum" for a tree of additions, "" for a leaf."""
        row = self.scan.nodes[i]._row
        return "" if row is None else "sum" if self.terms.merged[i] and not self.plain_add[i] else row.name

    def labels(self, depth: int) -> tuple[Array, int]:
        """What may not share a box: other kinds of leaf, the roots, and other frames down to a depth."""
        frame = self._frame_numbers(depth)
        found, labels = np.unique(self.own_kind * (int(frame.max()) + 1) + frame, return_inverse=True)
        return labels, len(found)

    def _frame_numbers(self, depth: int) -> Array:
        """For each position a number for the frames around it, down to a depth; 0 for none."""
        if not depth:
            return np.zeros(len(self.own_kind), np.int64)
        numbered: dict[tuple[int, ...], int] = {(): 0}
        found = [numbered.setdefault(tuple(map(id, path[:depth])), len(numbered)) for path in self._paths[0]]
        return np.concatenate([np.array(found)[self._paths[1]], np.zeros(self.scan.literals, np.int64)])

    @cached_property
    def _paths(self) -> tuple[list[tuple[Scope, ...]], Array]:
        """The different tuples of frames, and which of them each node has."""
        every = [self.path[id(node)] for node in self.scan.nodes]
        index: dict[int, int] = {}
        which = [index.setdefault(id(path), len(index)) for path in every]
        some = dict(zip(which, every, strict=True))
        return [some[k] for k in range(len(index))], np.array(which)

    @cached_property
    def leaf_names(self) -> dict[int, str]:
        """What the names of the leaves have in common with others: all but the numbers in them."""
        leaves = np.flatnonzero(self.scan.arity == 0).tolist()
        return {i: DIGITS.sub("", self.scan.nodes[i].name[:200]) for i in leaves}

    @cached_property
    def operands(self) -> Operands:
        """Every operand of every unit."""
        scan, terms = self.scan, self.terms
        da, db = scan.left_slopes, scan.right_slopes
        takes_terms = terms.merged
        unit = np.zeros(scan.count, bool)
        unit[terms.units] = True
        nothing = np.zeros(0, np.int64)
        found: list[tuple[Array, ...]] = []

        def add(
            user: Array, place: Any, operand: Array, local: Array, role: Any, second: Any = None, other: Any = -1,
            first: Any = True, number: Any = None,
        ) -> None:  # fmt: skip
            number = scan.numbers[operand] if number is None else number
            columns = (user, place, operand, other, local, number, role, role if second is None else second, first)
            found.append(np.broadcast_arrays(*columns))

        # Terms of a sum: one thing with slope 1, or two factors with the slopes of the product.
        place = np.arange(len(terms.root)) * 2
        alone = np.flatnonzero((terms.y < 0) & takes_terms[terms.root])
        pair = np.flatnonzero((terms.y >= 0) & takes_terms[terms.root])
        add(terms.root[alone], place[alone], terms.x[alone], 1.0, TERM)
        of, x, y = terms.product[pair], terms.x[pair], terms.y[pair]
        add(terms.root[pair], place[pair], x, da(of), FACTOR)
        add(terms.root[pair], place[pair] + 1, y, db(of), np.where(x == y, SAME_FACTOR, FACTOR))

        # One operand or two. The exponent of a power is part of what it does, and still shown where it comes in.
        simple = np.flatnonzero(unit & ~takes_terms & (scan.arity < MANY_OPERANDS))
        two = simple[scan.arity[simple] == 2]
        one = simple[scan.arity[simple] == 1]
        swaps = scan.code[two] == next((k for k, what in enumerate(scan.what) if what is TABLE["mul"]), -1)
        left, right = scan.left[two], scan.right[two]
        add(one, 0, scan.left[one], da(one), 0)
        add(two, 0, left, da(two), 0, np.where(swaps, 1, 0), np.where(swaps, right, -1), True)
        add(two, 1, right, db(two), np.where(swaps, 0, 1), 1, np.where(swaps, left, -1), False)
        exponents = {k: what[1] for k, what in enumerate(scan.what) if isinstance(what, tuple)}
        power = np.array([i for i in one.tolist() if scan.code[i] in exponents], np.int64)
        written = np.array([exponents[k] for k in scan.code[power].tolist()])
        literal = np.full(len(power), len(scan.numbers))
        add(power, 1, literal, db(power), 1, number=written)

        # Sequences: their elements are alike; a dot product has two of them and a bias.
        chosen = np.flatnonzero((unit & ~takes_terms)[scan.owners])
        user, place, length = scan.owners[chosen], scan.places[chosen], np.repeat(scan.sizes, scan.sizes)[chosen]
        variadic = np.array([getattr(what, "variadic", False) for what in scan.what])[scan.code[user]]
        dot = scan.code[user] == next((k for k, what in enumerate(scan.what) if what is TABLE["dot"]), -1)
        half = length // 2
        x_side = dot & (place < half)
        paired = dot & (place < 2 * half)
        partner = np.where(x_side, chosen + half, chosen - half)
        other = np.where(paired, scan.flat[np.where(paired, partner, 0)] if len(chosen) else nothing, -1)
        role = np.where(paired, X, np.where(dot, BIAS, np.where(variadic, ELEMENT, place)))
        add(user, place, scan.flat[chosen], scan.flat_slopes[chosen], role, np.where(paired, Y, role), other, x_side)

        user, place, *rest = map(np.concatenate, zip(*found, strict=True))
        order = np.lexsort((place, user))
        operand, other, local, number, role, second, first = (column[order] for column in rest)
        return Operands(user[order], operand, other, local, number, role, second, first)


class Partition:
    """The units in groups, a box each, and what takes a bare number, a box for each role.

    Args:
        graph: the units.
        alike: for each position the class.
        depth: how many frames its classes respect.
        exact: the finest classes without frames: members of one group that differ in it are steps of a recurrence.
        by_use: whether leaves are told apart by what they are used for and called.
    """

    graph: Units
    depth: int
    first: Array

    def __init__(self, graph: Units, alike: Array, depth: int, exact: Array, by_use: bool) -> None:
        self.graph, self.depth = graph, depth
        e, n = graph.operands, graph.scan.count
        # Of two operands whose order does not matter the one of the class that came first has the first role, as in
        # the key of their class: w * x and x * w have two arrows, not four.
        ranked = np.append(alike, [-1])
        ours, theirs = ranked[np.minimum(e.operand, len(alike))], ranked[e.other]
        stands_first = (e.other < 0) | (ours < theirs) | ((ours == theirs) & e.first)
        self.role: Array = np.where(stands_first, e.role, e.second)
        key = alike[graph.shown]
        if by_use:
            key = self._told_apart(alike)
        self.first, which = by_occurrence(key)
        self.first = graph.shown[self.first]
        """For each group its first member."""
        self.of: Array = np.full(n, -1)
        """For each node that is shown its group."""
        self.of[graph.shown] = which
        differ = exact[graph.shown] != exact[self.first][which]
        self.repeats: Array = np.bincount(which, differ & (graph.scan.arity[graph.shown] > 0), len(self.first)) > 0
        """Whether a group is steps of a recurrence, of one shape but not of one class."""
        literal = e.operand >= n
        self.literals: list[tuple[int, int, Array]] = _runs(self.of[e.user], self.role, np.flatnonzero(literal))
        """(group, role, which operands) of the bare numbers that it takes."""

    def _told_apart(self, alike: Array) -> Array:
        """The classes, those of the leaves split by the classes and roles that use them, and by their names."""
        graph, e = self.graph, self.graph.operands
        leaf = np.zeros(len(graph.scan.numbers) + 1, bool)
        leaf[: graph.scan.count] = graph.scan.arity == 0
        of_leaf = np.flatnonzero(leaf[e.operand])
        roles = -int(self.role.min(initial=0)) + int(self.role.max(initial=0)) + 1
        used_as = alike[e.user[of_leaf]] * roles + (self.role[of_leaf] + roles)
        wide = int(used_as.max(initial=0)) + 1
        uses: dict[int, list[int]] = {}
        for use in np.unique(e.operand[of_leaf] * wide + used_as).tolist():
            uses.setdefault(use // wide, []).append(use % wide)
        key = alike[: graph.scan.count].copy()
        numbered: dict[Any, int] = {}
        count = int(key.max(initial=0)) + 1
        for i, name in graph.leaf_names.items():
            key[i] = count + numbered.setdefault((key[i], name, tuple(uses.get(i, ()))), len(numbered))
        return key[graph.shown]

    @property
    def boxes(self) -> int:
        """How many boxes it makes."""
        return len(self.first) + len(self.literals)

    def members(self) -> list[Array]:
        """The nodes of each group in order."""
        which = self.of[self.graph.shown]
        by_group = np.argsort(which, kind="stable")
        return np.split(self.graph.shown[by_group], np.cumsum(np.bincount(which))[:-1])

    def edges(self) -> list[tuple[int, int, Array]]:
        """(group of the operand, group of the user, which operands) for operands of one role, in order."""
        e, n = self.graph.operands, self.graph.scan.count
        inner = np.flatnonzero(e.operand < n)
        source, target = self.of[np.minimum(e.operand, n - 1)], self.of[e.user]
        return [(a // len(self.first), a % len(self.first), at)
                for a, _, at in _runs(source * len(self.first) + target, self.role, inner)]  # fmt: skip


def _runs(group: Array, role: Array, chosen: Array) -> list[tuple[int, int, Array]]:
    """Some operands by group and role, in order of first occurrence."""
    if not len(chosen):
        return []
    group, role = group[chosen], role[chosen]
    low = int(role.min())
    first, which = by_occurrence(group * (int(role.max()) - low + 1) + role - low)
    runs = np.split(chosen[np.argsort(which, kind="stable")], np.cumsum(np.bincount(which))[:-1])
    return list(zip(group[first].tolist(), role[first].tolist(), runs, strict=True))


def _partitions(graph: Units, most: int, shapes: bool) -> Iterator[Partition]:
    """Partitions from fine to coarse."""
    deepest = max(map(len, graph.path.values()), default=0)
    scan, terms = graph.scan, graph.terms
    labels, count = graph.labels(0)
    exact, _ = classes(scan, terms, labels, count)
    if len(np.unique(exact[graph.shown])) <= most:
        for depth in range(deepest, -1, -1):
            alike = classes(scan, terms, *graph.labels(depth))[0] if depth else exact
            for by_use in (True, False):
                yield Partition(graph, alike, depth, exact, by_use)
    if not shapes:
        return
    for depth in range(deepest, -1, -1):
        alike, _ = classes(scan, terms, *graph.labels(depth), one_step=True)
        for by_use in (True, False):
            yield Partition(graph, alike, depth, exact, by_use)
    yield Partition(graph, kinds(scan, terms, labels, count), 0, exact, by_use=False)


# --- boxes and edges --------------------------------------------------------------------------------------


def _diagram(
    order: Sequence[Value],
    roots: Sequence[Value],
    partition: Partition,
    could_unfold: bool,
    adjoint: Mapping[Value, float] | None,
    names: Mapping[int, str],
) -> Diagram:
    graph, labels, frames = partition.graph, Labels(order, names), Frames()
    backward: Callable[[Value], float | None] | None = None
    if adjoint is not None:
        backward = adjoint.get
    elif has_backward(order, roots):
        backward = backward_value
    # A picture of shapes has boxes of many instructions, and a program too long to be listed.
    line_of = None if partition.repeats.any() else _lines(graph.scan)
    boxes: list[Box] = []
    edges: list[Edge] = []
    box_of: list[int] = []
    e = graph.operands
    # Literals are operands of a class and not nodes, so they have boxes of their own, which stand before its box.
    literals: dict[int, list[Array]] = {}
    for which, _, at in partition.literals:
        literals.setdefault(which, []).append(at)
    # An edge names its boxes by number, so the classes come first; the second class of one op is "more" of it.
    seen: set[str] = set()
    for which, members in enumerate(partition.members()):
        first = int(partition.first[which])
        frame = frames.of(graph.path[id(graph.scan.nodes[first])][: partition.depth])
        constants = []
        for at in literals.get(which, ()):
            constants.append((len(boxes), at))
            boxes.append(_literal_box(e.number[at], frame))
        box_of.append(len(boxes))
        more = "more " if graph.op(first) in seen else ""
        seen.add(graph.op(first))
        boxes.append(_box(partition, which, members, more, frame, labels, backward, roots, _line(line_of, members)))
        for box, at in constants:
            about = f"no gradient flows into {'the constant' if len(at) == 1 else 'these constants'}"
            edges.append(Edge(box, box_of[which], len(edges), _span(e.local[at]), len(at), about, constant=True))
    for source, target, at in partition.edges():
        local = _span(e.local[at])
        about = f"{len(at):,} local gradients: {interval(*local)}" if len(at) > 1 else "local gradient"
        edges.append(Edge(box_of[source], box_of[target], len(edges), local, len(at), about))
    note = f"Folded: {len(order):,} values in {len(boxes)} boxes, those that are computed alike in one."
    note += " fold=False draws every value." if could_unfold else ""
    return Diagram(
        tuple(boxes),
        tuple(edges),
        tuple(frames.found),
        note,
        f"{summary(order, roots, labels, backward is not None)}. {note}",
    )


def _span(xs: Array) -> Range:
    """The smallest and the largest; NaN in both when one of them is NaN."""
    return float(xs.min()), float(xs.max())


def _lines(scan: Scan) -> Array | None:
    """For each node its line in `print(ag.fold(roots))`, -1 for none; None where the listing is too long to find it."""
    if scan.foreign is not None:
        return None
    terms, of, made = grouped(scan)
    if len(made) > MOST_LINES:
        return None
    built = emit(scan, terms, of, made)
    found = lines(built)
    return np.array([found.get(k, -1) for k in range(len(built.refs))])[built.classes[: scan.count]]


def _line(line_of: Array | None, members: Array) -> str:
    """Which instruction a box is, where it is one: steps of a recurrence that share a box are several."""
    if line_of is None:
        return ""
    line = int(line_of[members[0]])
    return f"line %{line} of print(program)" if line >= 0 and (line_of[members] == line).all() else ""


def _literal_box(values: Array, frame: int | None) -> Box:
    f, count = _span(values), len(values)
    same = interval(*f)
    if count == 1 or f[0] == f[1]:
        about = f"the constant {same}" + (f", {count:,} times" if count > 1 else "")
        return LiteralBox("constant", "", "", f, None, count=count, frame=frame, about=about)
    title = f"{count:,} constants"
    return ValueBox("constant", title, "", f, None, count=count, frame=frame, about=f"{title}: {same}")


def _box(
    partition: Partition,
    which: int,
    members: Array,
    more: str,
    frame: int | None,
    labels: Labels,
    backward: Callable[[Value], float | None] | None,
    roots: Sequence[Value],
    line: str,
) -> Box:
    graph, first = partition.graph, int(members[0])
    nodes = [graph.scan.nodes[i] for i in members.tolist()]
    node, count, op = nodes[0], len(nodes), graph.op(first)
    size = int(graph.size[members].sum())
    f = _span(graph.scan.numbers[members])
    g = span(backward(member) or 0.0 for member in nodes) if backward else None
    symbol = _symbol(graph, members)
    # A unit of several nodes, such as a sum of products, has no formula that fits: the symbol sums it up.
    about = (
        assignment(node, labels)
        if graph.size[first] == 1
        else f"{labels[node]} = {symbol} = {interval(*span([number_of(node)]))}"
    )
    # What a step of the stepper says must not show g, which at that step is not known yet.
    computed = about
    if count > 1:
        what = f"{count:,} {op or kind(node) + 's'}, f: {interval(*f)}"
        computed = f"{what}; the first is {about}"
        about = f"{what}{f', g: {interval(*g)}' if g else ''}; the first is {about}"
    elif g is not None:
        about = f"{about}; g = {interval(*g)}"
    about += f"; {line}" if line else ""
    notes = [f"holds {size:,} scalars"] if size > count else []
    if count > 1:
        pattern = name_pattern([member.name for member in nodes])
        notes += [printable(pattern)] if pattern else []
        heading = f"{count:,} {kind(node)}s" if not op else f"{count:,} ×"
        heading = f"… {count:,} {more}of this shape" if partition.repeats[which] else heading
    else:
        heading = title(node, labels, frame)
    return ValueBox(
        kind(node),
        heading,
        symbol,
        f,
        g,
        count=count,
        root=any(node is root for root in roots),
        frame=frame,
        about=about,
        note=", ".join(notes),
        computed=computed,
    )


def _symbol(graph: Units, members: Array) -> str:
    """The symbol of the primitive; a sum tells whether its terms are products."""
    first, terms = int(members[0]), graph.terms
    row = graph.scan.nodes[first]._row
    if not terms.merged[first] or graph.plain_add[members].all():
        return printable(row.symbol, 16) if row is not None else ""
    low, high = np.searchsorted(terms.root, [first, first + 1])
    factors = set((terms.y[low:high] >= 0).tolist())
    return {(False,): "Σ a", (True,): "Σ a·b", (False, True): "Σ a·b + c"}.get(tuple(sorted(factors)), "Σ")
