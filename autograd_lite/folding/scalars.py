"""From a graph of scalars to instructions on lanes: the first half of a fold.

`scan` reads the graph once, into flat arrays of positions; `build` brings it into canonical form (a tree of
additions is one sum, a product used only there is a pair in it), finds the classes and emits an instruction for
each. Python touches a node a handful of times; the rest is index arithmetic on arrays. Derivatives are taken later,
on the instructions (reverse.py); how a sum is computed is found later still (contract.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import numpy as np

from autograd_lite import graph
from autograd_lite.folding.lanes import Builder, Instruction, Part, Ref
from autograd_lite.rows import TABLE, Row

Array = Any
MANY_OPERANDS = 3
"""The arity that stands for a tuple of operands."""

_row, _a, _b = attrgetter("_row"), attrgetter("_a"), attrgetter("_b")
SUMS = ("add", "sum", "dot", "mean")
PRODUCTS = ("mul", "_chain", "_masked")


class Scan:
    """A graph as flat arrays: for each node a code for what it does and the positions of its operands.

    Positions number the nodes, then the literal floats. Two literals are one if they are the same object, as
    where one number of an example goes to every neuron; whether their values agree makes no difference, so that
    another minibatch has the same structure.

    Args:
        roots: the Values asked for.
        params: the leaves of theta, in order; None for every Parameter that the roots reach.
        inputs: for each argument its leaves.
        apart: for each literal operand a number; those of different numbers are kept apart even if they are one
            object here, and so are those of one number that are several objects.
    """

    def __init__(
        self, roots: Sequence[Any], params: Sequence[Any] | None, inputs: Sequence[Sequence[Any]], apart: Array = None
    ) -> None:
        from autograd_lite.value import Parameter

        nodes = graph.order(*roots)
        n = self.count = len(nodes)
        position = dict(zip(nodes, range(n), strict=True))
        rows: list[Row | None] = list(map(_row, nodes))
        a, b = list(map(_a, nodes)), list(map(_b, nodes))
        codes: dict[Any, int] = {row: code for code, row in enumerate(dict.fromkeys(rows))}
        for row in codes:
            if row is not None and not row.builtin and TABLE[row.name] is not row:
                raise RuntimeError(
                    f"fold: the primitive {row.name!r} has been defined anew since the graph was made; "
                    "compute it again, with the new one"
                )
        self.code = np.fromiter(map(codes.__getitem__, rows), np.int64, n)
        arity = np.array([_arity(row) for row in codes])[self.code]
        self.many: Array = np.flatnonzero(arity == MANY_OPERANDS)
        tuples = [a[i] for i in self.many.tolist()]
        for i in self.many.tolist():
            a[i] = None
        flat = list(chain.from_iterable(tuples))
        self.left = np.fromiter(map(position.get, a, repeat(-1)), np.int64, n)
        self.right = np.fromiter(map(position.get, b, repeat(-1)), np.int64, n)
        self.flat = np.fromiter(map(position.get, flat, repeat(-1)), np.int64, len(flat))
        self.sizes = np.fromiter(map(len, tuples), np.int64, len(tuples))
        self._fixed_exponents(codes, arity, b)
        self.what = list(codes)
        """What a code stands for: a Row, None for a leaf, ("pow", 2.0) for a power whose exponent is written out."""
        self.arity = arity

        literal_left = np.flatnonzero((self.left < 0) & ((arity == 1) | (arity == 2)))
        literal_right = np.flatnonzero((self.right < 0) & (arity == 2))
        literal_flat = np.flatnonzero(self.flat < 0)
        literals = [a[i] for i in literal_left.tolist()] + [b[i] for i in literal_right.tolist()]
        literals += [flat[i] for i in literal_flat.tolist()]
        ids = np.fromiter(map(id, literals), np.int64, len(literals))
        _, first, which = np.unique(ids, return_index=True, return_inverse=True)
        if apart is not None:
            _, first, pairs = np.unique(which * (len(ids) + 1) + apart, return_index=True, return_inverse=True)
            by_chance = (
                np.bincount(apart[first], minlength=len(ids)) > 1
            )  # one there, several here: so all are their own
            alone = np.arange(len(ids)) + len(first)
            _, first, which = np.unique(
                np.where(by_chance[apart], alone, pairs), return_index=True, return_inverse=True
            )
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        self.groups: Array = rank[which]
        """For each literal operand which literal it is."""
        numbers = self.groups + n
        self.left[literal_left] = numbers[: len(literal_left)]
        self.right[literal_right] = numbers[len(literal_left) : len(literal_left) + len(literal_right)]
        self.flat[literal_flat] = numbers[len(literal_left) + len(literal_right) :]
        self.literals = len(first)
        values = [literals[i] for i in np.sort(first).tolist()]
        self.zero = np.array([v == 0.0 for v in values], bool)
        """Which literals are the 0 that a running sum starts from: terms that can be left out."""
        terms = self._terms() - n
        self.term: Array = np.bincount(terms[terms >= 0], minlength=self.literals).astype(bool)
        """Which literals are terms of a sum."""
        self.zero &= self.term

        leaves = np.flatnonzero(arity == 0).tolist()
        if params is None:
            fed = set(chain.from_iterable(inputs))
            params = [nodes[i] for i in leaves if isinstance(nodes[i], Parameter) and nodes[i] not in fed]
        self.params = list(params)
        self.source = np.zeros(n + self.literals, np.int64)
        """For a leaf which leaf instruction it is a lane of: 0 theta, 1... the inputs, the last the constants."""
        self.lane = np.zeros(n + self.literals, np.int64)
        self.captured: list[Any] = []
        """The Values among the constants: they come after the literals."""
        last = len(inputs) + 1
        found = {x: (0, k) for k, x in enumerate(self.params)}
        for which_input, xs in enumerate(inputs):
            found.update((x, (which_input + 1, k)) for k, x in enumerate(xs))
        for i in leaves:
            known = found.get(nodes[i])
            if known is None:
                known = last, len(values)
                values.append(nodes[i]._f)
                self.captured.append(nodes[i])
            self.source[i], self.lane[i] = known
        self.source[n:] = last
        self.lane[n:] = np.arange(self.literals)
        self.constants = np.array(values, float)
        self.leaf_sizes = [len(self.params), *map(len, inputs), len(values)]
        self.roots = np.array([position[root] for root in roots], np.int64)

    def _terms(self) -> Array:
        """The operands of additions."""
        add, total = (next((k for k, what in enumerate(self.what) if what is TABLE[x]), -1) for x in ("add", "sum"))
        adds = self.code == add
        in_sum = np.repeat(self.code[self.many] == total, self.sizes)
        return np.concatenate([self.left[adds], self.right[adds], self.flat[in_sum]])

    def _fixed_exponents(self, codes: dict[Any, int], arity: Array, b: list[Any]) -> None:
        """A literal exponent is part of what the node does: a square is no general power."""
        power = codes.get(TABLE["pow"])
        if power is None:
            return
        for i in np.flatnonzero((self.code == power) & (self.right < 0)).tolist():
            self.code[i] = codes.setdefault(("pow", b[i]), len(codes))
            arity[i] = 1

    @cached_property
    def structure(self) -> str:
        """A digest of everything but the numbers: equal for graphs that the same program computes."""
        return self._digest(self.leaf_sizes, self.left, self.right, self.flat, self.zero, self.lane)

    @cached_property
    def skeleton(self) -> str:
        """A digest of the nodes alone: equal too where other literals happen to be one object, as labels of 1 are."""
        n = self.count
        left, right, flat = (np.where(x < n, x, n) for x in (self.left, self.right, self.flat))
        lane = self.lane[:n] - self.literals * (self.source[:n] == len(self.leaf_sizes) - 1)
        return self._digest(self.leaf_sizes[:-1], left, right, flat, lane)

    def _digest(self, sizes: list[int], *parts: Array) -> str:
        digest = hashlib.blake2b(digest_size=20)
        names = [getattr(what, "name", what) for what in self.what]
        versions = [id(what) for what in self.what if isinstance(what, Row) and not what.builtin]
        digest.update(repr((self.count, names, versions, sizes)).encode())
        for part in (self.code, self.sizes, self.source[: self.count], self.roots, *parts):
            digest.update(part.tobytes())
        return digest.hexdigest()


def _arity(row: Row | None) -> int:
    if row is None:
        return 0
    return MANY_OPERANDS if row.variadic or len(row.operands) >= MANY_OPERANDS else len(row.operands)


class Terms:
    """The terms of every sum, sorted by sum: `root` the position of the sum, x (and y, or -1) what it adds."""

    def __init__(self, scan: Scan) -> None:
        n = scan.count
        code_of = {getattr(what, "name", ""): code for code, what in enumerate(scan.what)}
        is_a = {name: scan.code == code_of.get(name, -1) for name in (*SUMS, *PRODUCTS)}
        owner = np.repeat(scan.many, scan.sizes)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(scan.sizes) - scan.sizes, scan.sizes)
        length = np.repeat(scan.sizes, scan.sizes)
        in_dot = is_a["dot"][owner]
        bias = in_dot & (place == length - 1) & (length % 2 == 1)
        in_sum = is_a["sum"][owner] | is_a["mean"][owner] | bias
        first = in_dot & (place < length // 2)
        second = np.flatnonzero(first) + length[first] // 2
        adds = np.flatnonzero(is_a["add"])
        owners = np.concatenate([adds, adds, owner[in_sum], owner[first]])
        x = np.concatenate([scan.left[adds], scan.right[adds], scan.flat[in_sum], scan.flat[first]])
        y = np.concatenate([np.full(2 * len(adds) + int(in_sum.sum()), -1), scan.flat[second]])

        # A node that one sum alone uses, as a term, is a part of that sum if it is a sum or a product itself.
        edges = [scan.left[scan.arity <= 2], scan.right[scan.arity == 2], scan.flat]
        every = np.concatenate(edges)
        uses = np.bincount(every[every >= 0], minlength=n + scan.literals)
        uses[scan.roots] += 2
        term_of = np.full(n + scan.literals, -1)
        term_of[x[y < 0]] = owners[y < 0]
        inner = np.zeros(n + scan.literals, bool)
        inner[:n] = (uses[:n] == 1) & (term_of[:n] >= 0)
        inner_sum, product = inner.copy(), inner.copy()
        inner_sum[:n] &= is_a["add"] | is_a["sum"] | is_a["dot"]
        product[:n] &= is_a["mul"] | is_a["_chain"] | is_a["_masked"]
        self.absorbed = (inner_sum | product)[:n]

        root = np.arange(n)
        root[inner_sum[:n]] = term_of[:n][inner_sum[:n]]
        while True:  # pointer jumping: a chain of a million additions takes twenty rounds
            further = root[root]
            if np.array_equal(further, root):
                break
            root = further
        dropped = np.zeros(n + scan.literals, bool)
        dropped[n:] = scan.zero
        # `a + 0.0` and nothing else is how a rule turns -0.0 into 0.0: its zero stays. (That of a running sum, 0 + a,
        # goes, or a sum of one term would be of another class than its neighbours of several.)
        alone = np.zeros(len(x), bool)
        alone[len(adds) : 2 * len(adds)] = ~(inner_sum[adds] | inner_sum[scan.left[adds]])
        plain = y < 0
        keep = ~(plain & (inner_sum[x] | (dropped[x] & ~alone)))
        owners, x, y = owners[keep], x[keep], y[keep]
        order = np.lexsort((owners, root[owners]))
        self.root, x, y = root[owners][order], x[order], y[order]
        kinds = np.zeros(len(x), np.int64)  # 0 plain, 1... the products
        kinds[y >= 0] = 1
        absorbed_product = (y < 0) & product[x]
        for k, name in enumerate(PRODUCTS, 1):
            named = np.zeros(n + scan.literals, bool)
            named[:n] = is_a[name]
            kinds[absorbed_product & named[x]] = k
        inside = x[absorbed_product]
        x[absorbed_product], y[absorbed_product] = scan.left[inside], scan.right[inside]
        self.x, self.y, self.kind = x, y, kinds
        self.is_sum = np.zeros(n, bool)
        for name in SUMS:
            self.is_sum |= is_a[name]


WIDE = 1 << 24
"""Above any number of classes: keys are packed into integers with it."""


def build(scan: Scan, batched: bool = False) -> tuple[Builder, list[Ref]]:
    """The instructions of a scanned graph, and where its roots are.

    Args:
        scan: the graph.
        batched: whether the inputs have a batch axis.
    """
    terms = Terms(scan)
    n, sources = scan.count, len(scan.leaf_sizes)
    units = np.flatnonzero((scan.arity > 0) & ~terms.absorbed)
    classes, made = _classes(scan, terms, units)
    in_class = classes[units]
    by_class = np.argsort(in_class, kind="stable")
    starts = np.searchsorted(in_class[by_class], np.arange(sources, sources + len(made) + 1))
    members = units[by_class]

    builder = Builder()
    for k, size in enumerate(scan.leaf_sizes):
        name = "theta" if k == 0 else "constants" if k == sources - 1 else f"input {k - 1}"
        builder.leaf(name, size, batched and 0 < k < sources - 1)
    refs: list[Ref] = [Ref(k, None) for k in range(sources)]
    lane = scan.lane.copy()
    parts = _PartsOfClass(scan, terms, classes)
    flat_start = np.zeros(n, np.int64)
    flat_size = np.zeros(n, np.int64)
    flat_start[scan.many] = np.cumsum(scan.sizes) - scan.sizes
    flat_size[scan.many] = scan.sizes

    def ref(positions: Array) -> Ref:
        """The lanes at some positions of one class."""
        return builder.pick(refs[classes[positions[0]]], lane[positions])

    for k, what in enumerate(made):
        mine = members[starts[k] : starts[k + 1]]
        if what == "sum" or what == "mean":
            lane[mine] = np.arange(len(mine))
            made_ref = builder.sum(len(mine), parts.of(sources + k, lane, refs, builder))
            if what == "mean":
                made_ref = builder.mean(made_ref, flat_size[mine])
            refs.append(made_ref)
            continue
        row = what[0] if isinstance(what, tuple) else what
        if isinstance(row, Row) and row.variadic:
            lane[mine] = np.arange(len(mine))
            refs.append(_of_sequence(builder, row, mine, scan, flat_start, flat_size, classes, lane, refs))
            continue
        if isinstance(row, Row) and _arity(row) == MANY_OPERANDS:
            columns = [scan.flat[flat_start[mine] + i] for i in range(len(row.operands))]
        elif scan.arity[mine[0]] == 1:
            columns = [scan.left[mine]]
        else:
            columns = [scan.left[mine], scan.right[mine]]
            if row is TABLE["mul"]:  # the class that came first stands first, as in its key
                swap = classes[columns[0]] > classes[columns[1]]
                columns = [np.where(swap, columns[1], columns[0]), np.where(swap, columns[0], columns[1])]
        columns = _once(columns, mine, lane)
        size = len(columns[0])
        arguments: list[Any] = [ref(column) for column in columns]
        if isinstance(row, str):  # a power with its exponent
            arguments.append(what[1])
            refs.append(builder.op("pow", size, tuple(arguments)))
        else:
            refs.append(builder.op(row.name, size, tuple(arguments)))
    roots = [builder.pick(refs[classes[i]], lane[i : i + 1]) for i in scan.roots.tolist()]
    return builder, roots


def _once(columns: list[Array], mine: Array, lane: Array) -> list[Array]:
    """Number the lanes of a class, equal ones once: two nodes that do the same to the same lanes are one."""
    n = len(mine)
    if len(columns) <= 2 and n > 1:
        packed = lane[columns[0]] if len(columns) == 1 else (lane[columns[0]] << 31) + lane[columns[1]]
        _, first, which = np.unique(packed, return_index=True, return_inverse=True)
        if len(first) < n:
            order = np.argsort(first)
            rank = np.empty(len(first), np.int64)
            rank[order] = np.arange(len(first))
            lane[mine] = rank[which]
            chosen = first[order]
            return [column[chosen] for column in columns]
    lane[mine] = np.arange(n)
    return columns


def _classes(scan: Scan, terms: Terms, units: Array) -> tuple[Array, list[Any]]:
    """The class of every position (leaves: their source), and what each class that is no leaf does."""
    sources = len(scan.leaf_sizes)
    found: list[int] = scan.source.tolist()
    found.append(WIDE - 1)  # where y = -1 looks: no second factor
    numbered: dict[Any, int] = {}
    made: list[Any] = []
    unit_list = units.tolist()
    low: Any = np.searchsorted(terms.root, units).tolist()
    high: Any = np.searchsorted(terms.root, units, side="right").tolist()
    tx, ty, tk = terms.x.tolist(), terms.y.tolist(), terms.kind.tolist()
    codes, left, right = scan.code.tolist(), scan.left.tolist(), scan.right.tolist()
    arity, is_sum = scan.arity.tolist(), terms.is_sum.tolist()
    flat_of: dict[int, tuple[int, int]] = {}
    if len(scan.many):
        ends: Array = np.cumsum(scan.sizes)
        for i, start, end in zip(scan.many.tolist(), (ends - scan.sizes).tolist(), ends.tolist(), strict=True):
            flat_of[i] = start, end
    flat = scan.flat.tolist()
    mul = next((code for code, what in enumerate(scan.what) if what is TABLE["mul"]), -1)
    mean = next((code for code, what in enumerate(scan.what) if what is TABLE["mean"]), -1)
    get = numbered.get
    for i, lo, hi in zip(unit_list, low, high, strict=True):
        code = codes[i]
        key: Any
        if is_sum[i]:
            keys = {
                ((cx * WIDE + cy if (cx := found[x]) <= (cy := found[y]) or kind > 1 else cy * WIDE + cx) << 2) + kind
                for x, y, kind in zip(tx[lo:hi], ty[lo:hi], tk[lo:hi], strict=True)
            }
            key = (code == mean, frozenset(keys))
        elif arity[i] == 1:
            key = code * WIDE + found[left[i]]
        elif arity[i] == 2:
            ca, cb = found[left[i]], found[right[i]]
            if code == mul and ca > cb:
                ca, cb = cb, ca
            key = -(code * WIDE + ca) * WIDE - cb - 1
        else:
            start, end = flat_of[i]
            row = scan.what[code]
            operands = map(found.__getitem__, flat[start:end])
            if not row.variadic:
                key = (code, *operands)
            elif row.name == "prod":  # its partials are products of the others: lanes of one length go together
                key = (code, end - start, *operands)
            else:
                key = (code, "xs", frozenset(operands))
        known = get(key)
        if known is None:
            known = numbered[key] = sources + len(made)
            made.append(("mean" if code == mean else "sum") if is_sum[i] else scan.what[code])
        found[i] = known
    if len(made) + sources >= WIDE - 1:
        raise ValueError(f"fold: the graph has more than {WIDE:,} classes; it repeats too little to be folded")
    return np.array(found[:-1]), made


class _PartsOfClass:
    """The terms of all sums, grouped by class and within it by what they add."""

    def __init__(self, scan: Scan, terms: Terms, classes: Array) -> None:
        second = np.where(terms.y >= 0, classes[terms.y], WIDE - 1)
        first = classes[terms.x]
        swap = (first > second) & (terms.kind == 1)
        self.x, self.y = np.where(swap, terms.y, terms.x), np.where(swap, terms.x, terms.y)
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        key = ((first * WIDE + second) << 2) + terms.kind
        of_class = classes[terms.root]
        order = np.lexsort((key, of_class))
        self.x, self.y, self.root, self.kind = self.x[order], self.y[order], terms.root[order], terms.kind[order]
        self.first, self.second, of_class, key = first[order], second[order], of_class[order], key[order]
        new = np.flatnonzero(np.diff(of_class, prepend=-1).astype(bool) | np.diff(key, prepend=-1).astype(bool))
        self.starts, self.ends = new, np.append(new[1:], len(key))
        self.group_class = of_class[new]

    def of(self, which: int, lane: Array, refs: list[Ref], builder: Builder) -> list[Part]:
        """The parts of one class of sums."""
        parts = []
        low, high = np.searchsorted(self.group_class, [which, which + 1])
        for g in range(low, high):
            here = slice(self.starts[g], self.ends[g])
            kind = int(self.kind[here.start])
            left = builder.pick(refs[self.first[here.start]], lane[self.x[here]])
            right = builder.pick(refs[self.second[here.start]], lane[self.y[here]]) if kind else None
            name = ("plain", *PRODUCTS)[kind]
            parts.append(Part(name, 1.0, lane[self.root[here]], left, right))
        return parts


def _of_sequence(
    builder: Builder, row: Row, mine: Array, scan: Scan, start: Array, size: Array, classes: Array, lane: Array,
    refs: list[Ref],
) -> Ref:  # fmt: skip
    """A class of a primitive of one sequence: its elements, from one class or several, side by side."""
    counts = size[mine]
    owner = np.repeat(np.arange(len(mine)), counts)
    offsets = np.cumsum(counts) - counts
    positions = scan.flat[np.arange(len(owner)) - np.repeat(offsets, counts) + np.repeat(start[mine], counts)]
    from_class = classes[positions]
    parts = []
    for c in np.unique(from_class).tolist():
        here = np.flatnonzero(from_class == c)
        parts.append(Part("plain", 1.0, here, builder.pick(refs[c], lane[positions[here]]), None))
    elements = builder.sum(len(owner), parts)
    return builder.sequence(row, elements, counts)


__all__ = ["Instruction", "Scan", "build"]
