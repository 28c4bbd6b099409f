"""Derivatives of a structure as outputs of a plan: Jacobian, Hessian, their products with a vector, and where they are.

A sparse matrix has its entries as lanes of one output, in the order of a CSC matrix; which they are follows from the
instructions, so it is the same at each call. Forward or reverse mode, or forward for some rows and reverse for the
dense ones, is what has the fewest terms. Of a Hessian an entry and the one that mirrors it are computed once, along the
column that has more entries: a variable that all others meet costs one direction, as it does with a star colouring.

Where lanes have many directions the directions are the rows of a batch instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from typing import Literal as OneOf

import numpy as np

from autograd_lite.folding.instructions import Builder, Leaf, Part, Ref, Sum
from autograd_lite.folding.reverse import adjoints
from autograd_lite.folding.tangents import Entries, Tangents, TooMany

Array = Any

MOST_DIRECTIONS = 48
"""Directions that a lane may have on average for its tangents to be written out; where they have more, as in a dense
matrix, the directions are the rows of a batch, which takes less time to make and to run."""

MOST_ENTRIES = 1 << 26
"""Of a matrix that is found whole."""

Kind = OneOf["jacobian", "hessian", "jvp", "vjp", "hvp", "row of a hessian"]


class Derivative(NamedTuple):
    """What is asked for.

    Args:
        kind: which.
        places: the leaves in which: 0 for theta, k + 1 for argument k.
        results: how many of the roots are results.
    """

    kind: Kind
    places: tuple[int, ...]
    results: int


class Layout(NamedTuple):
    """Where the entries of a matrix are.

    Args:
        shape: of the matrix.
        rows, columns: of each entry, column by column; None where the whole matrix is found, its columns or rows as the
            rows of a batch, or of a program with a batch one after the other.
        mode: "forward", "reverse" or "mixed"; for people, and for what the rows of the batch are.
    """

    shape: tuple[int, int]
    rows: Array
    columns: Array
    mode: str


def tangent_index(arguments: int, place: int) -> int:
    """The number of the input that is the direction in a leaf; there are inputs beside those that are arguments."""
    return arguments + place


def weights_index(arguments: int) -> int:
    """The number of the input that weighs results; it is the last one."""
    return 2 * arguments + 1


class Derived(NamedTuple):
    """The outputs that a derivative is, and where the entries of a matrix are."""

    outputs: list[Ref]
    layout: Layout | None


def derived(builder: Builder, roots: Sequence[Ref], what: Derivative, safe: bool) -> Derived:
    """The outputs of a derivative.

    Args:
        builder: holds the instructions, and gets more.
        roots: the results, and after them the guards.
        what: which derivative. In the safe plan "vjp" and "row of a hessian" alone.
        safe: which plan it is for.

    Raises:
        OnceOnly: a user-defined derivative would have to be differentiated.
    """
    return _Derived(builder, roots, what, safe).found()


class _Derived:
    def __init__(self, builder: Builder, roots: Sequence[Ref], what: Derivative, safe: bool) -> None:
        self.builder, self.what, self.safe = builder, what, safe
        self.results, self.guards = list(roots[: what.results]), list(roots[what.results :])
        constants = (isinstance(x, Leaf) and x.kind == "constants" for x in builder.instructions)
        self.arguments = next(k for k, found in enumerate(constants) if found) - 1  # theta, they, the constants
        self.batched = builder.batched(*self.results)

    def found(self) -> Derived:
        """What is asked for."""
        kind, places = self.what.kind, self.what.places
        if kind == "jacobian":
            return self._jacobian(places[0])
        if kind == "hessian":
            return self._hessian(places[0])
        if kind == "jvp":
            seeds = {place: self._along(place) for place in places}
            return Derived([self._values(), *self.guards, self._pushed(seeds, self.results)], None)
        if kind == "vjp":
            # of a batch each row has weights of its own; what theta gets is the sum over the rows
            pulled = [self._adjoint(place, self._weighted()) for place in places]
            return Derived([self._values(), *self.guards, *pulled], None)
        (place,) = places
        gradient = self._gradient(place)
        if kind == "hvp":
            return Derived([*self.guards, self._pushed({place: self._along(place)}, [gradient])], None)
        size = self.builder.instructions[place].size
        batched = self.builder.instructions[place].batched
        # what is NaN stays NaN at the next order
        lasting = self.builder.op("_lasting", size, (gradient, Ref(place, None)))
        weights = self._weights(size, batched)
        return Derived([*self.guards, self._adjoint(place, [(lasting, weights)])], None)

    def _values(self) -> Ref:
        return self.builder.side_by_side(self.results)

    # -- leaves

    def _weights(self, size: int, batched: bool) -> Ref:
        leaf = Leaf(size, batched, "input", weights_index(self.arguments))
        return self.builder.add(leaf, ("weights", size, batched))

    def _along(self, place: int, batched: bool | None = None) -> Entries:
        """A direction that is given as numbers."""
        x = self.builder.instructions[place]
        batched = x.batched if batched is None else batched
        leaf = Leaf(x.size, batched, "input", tangent_index(self.arguments, place))
        ref = self.builder.add(leaf, ("tangent", place, batched))
        return Entries(np.arange(x.size), np.zeros(x.size, np.int64), ref)

    def _units(self, size: int) -> Entries:
        """Each lane its own direction."""
        every = np.arange(size)
        return Entries(every, every, self.builder.literal(np.ones(size)))

    def _weighted(self, batched: bool | None = None) -> list[tuple[Ref, Ref]]:
        """The results, side by side where they are of one instruction, each with its weight."""
        batched = self.batched if batched is None else batched
        weights = self._weights(len(self.results), batched)
        return [(ref, self.builder.pick(weights, np.arange(k, k + 1))) for k, ref in enumerate(self.results)]

    # -- derivatives

    def _adjoint(self, place: int, roots: Sequence[tuple[Ref, Ref]], again: bool = False, by_row: bool = False) -> Ref:
        builder = self.builder
        found = adjoints(builder, roots, [place], self.safe, again, by_row).get(place)
        return self._zeros(place) if found is None else found

    def _zeros(self, place: int) -> Ref:
        return self.builder.literal(np.zeros(self.builder.instructions[place].size))

    def _gradient(self, place: int) -> Ref:
        """Of the one result, ready to be differentiated again: of each row in an argument, of the mean in theta."""
        builder, root = self.builder, self.results[0]
        seed = builder.literal(np.ones(1))
        if builder.batched(root) and not builder.instructions[place].batched:
            seed = builder.leaf("seed", 1, True)
        return self._adjoint(place, [(root, seed)], again=True)

    def _pushed(self, seeds: dict[int, Entries], refs: Sequence[Ref]) -> Ref:
        """The tangents of lanes in the one direction that these seeds are."""
        builder = self.builder
        tangents = Tangents(builder, seeds, 1, {ref.source for ref in refs})
        size, parts = 0, []
        for source, at, lanes in _by_source(builder, refs):
            size += len(at)
            some, entry, _ = _read(tangents, source, lanes)
            made = tangents.made(source)
            if made is not None and len(some):
                parts.append(Part("plain", 1.0, at[some], builder.pick(made, entry), None))
        return builder.sum(size, parts) if parts else builder.literal(np.zeros(size))

    def _jacobian(self, place: int) -> Derived:
        builder, results = self.builder, self.results
        n, m = builder.instructions[place].size, len(results)
        options = {"forward": (n, self._forward), "reverse": (m, self._reverse)}
        tried: dict[str, _Matrix] = {}
        most = self._most(n * m)
        for mode, (_, made) in sorted(options.items(), key=lambda item: item[1][0]):
            try:
                tried[mode] = made(place, range(m), most)
                most = min(most, tried[mode].cost)
            except TooMany:
                continue
        if not tried:
            return self._as_rows(place, n, m)
        mode = min(tried, key=lambda mode: tried[mode].cost)
        best = [tried[mode]]
        dense = self._dense_rows(best[0], m)
        if len(dense):
            try:
                mixed = [self._reverse(place, dense.tolist(), most)]
                rest = np.setdiff1d(np.arange(m), dense)
                mixed.append(self._forward(place, rest.tolist(), most - mixed[0].cost))
                mode, best = "mixed", mixed
            except TooMany:
                pass
        return self._matrix((m, n), best, mode)

    @staticmethod
    def _dense_rows(matrix: _Matrix, m: int) -> Array:
        """Rows with many more entries than most have."""
        counts = np.bincount(matrix.rows, minlength=m)
        found = np.flatnonzero(counts > 8 * max(np.median(counts), 1))
        return found if 0 < len(found) <= m // 4 else found[:0]

    def _most(self, entries: int) -> float:
        """How many terms of a matrix may be written out."""
        if entries > MOST_ENTRIES:
            return np.inf
        every = self.builder.instructions
        terms = sum(len(part.to) for x in every if isinstance(x, Sum) for part in x.parts)
        return float(MOST_DIRECTIONS * (terms + sum(x.size for x in every)))

    def _forward(self, place: int, chosen: Sequence[int], most: float) -> _Matrix:
        size = self.builder.instructions[place].size
        refs = [self.results[k] for k in chosen]
        tangents = Tangents(self.builder, {place: self._units(size)}, size, {ref.source for ref in refs}, most)
        pieces, rows = [], np.asarray(chosen)
        for source, here, lanes in _by_source(self.builder, refs):
            at, entry, direction = _read(tangents, source, lanes)
            pieces.append(_Piece(source, entry, rows[here[at]], direction))
        return _Matrix(tangents, pieces)

    def _reverse(self, place: int, chosen: Sequence[int], most: float) -> _Matrix:
        roots = self._weighted(False)
        pulled = self._adjoint(place, [roots[k] for k in chosen], by_row=self.batched)
        count = len(self.results)
        source = self._weights(count, False).source
        tangents = Tangents(self.builder, {source: self._units(count)}, count, [pulled.source], most)
        at, entry, direction = _read(tangents, pulled.source, self.builder.lanes_of(pulled))
        return _Matrix(tangents, [_Piece(pulled.source, entry, direction, at)])

    def _hessian(self, place: int) -> Derived:
        builder, size = self.builder, self.builder.instructions[place].size
        gradient = self._gradient(place)
        try:
            seeds = {place: self._units(size)}
            tangents = Tangents(builder, seeds, size, [gradient.source], self._most(size * size))
        except TooMany:
            return self._as_rows(place, size, size, gradient)
        rows, entry, columns = _read(tangents, gradient.source, builder.lanes_of(gradient))
        # An entry that is not there has a mirror image that is 0: so both must be there.
        keys, mirrored = rows * size + columns, columns * size + rows
        both = np.isin(keys, mirrored)
        rows, columns, entry, keys = rows[both], columns[both], entry[both], keys[both]
        degree = np.bincount(columns, minlength=size)
        heavy = degree[columns] * size + columns, degree[rows] * size + rows
        order = np.argsort(keys)
        other = order[np.searchsorted(keys[order], columns * size + rows)]
        entry = np.where(heavy[0] >= heavy[1], entry, entry[other])
        return self._matrix(
            (size, size), [_Matrix(tangents, [_Piece(gradient.source, entry, rows, columns)])], "forward"
        )

    def _matrix(self, shape: tuple[int, int], matrices: Sequence[_Matrix], mode: str) -> Derived:
        """The entries of matrices as one output, in the order of their columns."""
        builder = self.builder
        pieces = [(matrix.tangents, piece) for matrix in matrices for piece in matrix.pieces]
        rows = np.concatenate([piece.rows for _, piece in pieces])
        columns = np.concatenate([piece.columns for _, piece in pieces])
        order = np.lexsort((rows, columns))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        parts, start = [], 0
        for tangents, piece in pieces:
            count = len(piece.entry)
            if count:
                made = tangents.made(piece.source)
                assert made is not None
                parts.append(Part("plain", 1.0, place[start : start + count], builder.pick(made, piece.entry), None))
            start += count
        entries = builder.sum(len(order), parts) if parts else builder.literal(np.zeros(0))
        layout = Layout(shape, rows[order], columns[order], mode)
        return Derived([*self.guards, entries], layout)

    def _as_rows(self, place: int, n: int, m: int, gradient: Ref | None = None) -> Derived:
        """The whole matrix, its columns or its rows as the rows of a batch, the cheaper of both."""
        if gradient is not None or n <= m:
            refs = self.results if gradient is None else [gradient]
            # a program that has a batch of its own runs once for each direction
            out = self._pushed({place: self._along(place, None if self.batched else True)}, refs)
            return Derived([*self.guards, out], Layout((m, n), None, None, "forward"))
        out = self._adjoint(place, self._weighted(True), by_row=True)
        return Derived([*self.guards, out], Layout((m, n), None, None, "reverse"))


class _Piece(NamedTuple):
    """Entries of a matrix: which they are among the tangents of an instruction, and where they stand."""

    source: int
    entry: Array
    rows: Array
    columns: Array


class _Matrix:
    """Entries of a matrix as tangents that are not made yet."""

    def __init__(self, tangents: Tangents, pieces: list[_Piece]) -> None:
        self.tangents, self.pieces, self.cost = tangents, pieces, tangents.cost
        self.rows: Array = np.concatenate([piece.rows for piece in pieces])


def _by_source(builder: Builder, refs: Sequence[Ref]) -> Iterator[tuple[int, Array, Array]]:
    """(an instruction, where its lanes stand among those of the Refs, which these are), for each of them."""
    lanes = [builder.lanes_of(ref) for ref in refs]
    sources = np.repeat([ref.source for ref in refs], list(map(len, lanes)))
    every = np.concatenate(lanes)
    for source in dict.fromkeys(sources.tolist()):
        at = np.flatnonzero(sources == source)
        yield source, at, every[at]


def _read(tangents: Tangents, source: int, lanes: Array) -> tuple[Array, Array, Array]:
    """The entries of some lanes: for each which of the lanes it is of, its number, and its direction."""
    of, direction = tangents.places(source)
    starts = np.searchsorted(of, lanes)
    counts = np.searchsorted(of, lanes, "right") - starts
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    entry = np.arange(total) + np.repeat(starts - ends + counts, counts)
    return np.repeat(np.arange(len(lanes)), counts), entry, direction[entry]
