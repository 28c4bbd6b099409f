"""Sums as sets of terms, and nodes that do the same thing as classes: the fold that programs and pictures share.

A tree of additions counts as one sum of many terms; a product used only there is a term of it. A class is all nodes
that do the same thing to operands of the same classes: it names earlier classes only, so that its members never depend
on each other. What is asked differs, and is data:

              kept     scope             sums            products                    labels
    programs  roots    none              all of them     mul and its zero rules      the leaf that a lane is taken from
    pictures  roots    each its own      add and sum     mul                         kind of node, frames to a depth
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from autograd_lite.engine.rules import TABLE
from autograd_lite.folding.scan import MANY_OPERANDS, Scan

Array = Any

SUMS, PRODUCTS = ([row.name for row in TABLE.values() if row.role == role] for role in ("sum", "product"))


class Terms:
    """The graph with each tree of additions as one unit, and the terms of every sum, sorted by sum.

    Of each term: `root` is the position of its sum, `x` (and `y`, or -1) what it adds, `kind` 0 for x alone, else 1 +
    the place of its product in PRODUCTS, `product` the node that multiplied (-1 where dot did).

    Args:
        scan: the graph.
        kept: positions that stay units by themselves.
        scope: for each node a number; a node is not part of a sum that has another number. None for one scope.
        sums: the sums that are one thing, and are parts of each other.
        products: the products that are parts of these.
    """

    x: Array
    y: Array

    def __init__(
        self, scan: Scan, kept: Array, scope: Array = None,
        sums: Collection[str] = SUMS, products: Collection[str] = PRODUCTS,
    ) -> None:  # fmt: skip
        n = scan.count
        code_of = {getattr(what, "name", ""): code for code, what in enumerate(scan.what)}
        is_a = {name: scan.code == code_of.get(name, -1) for name in (*SUMS, *PRODUCTS)}
        self.has_terms: Array = _any(is_a, SUMS)
        """Whether a node is an addition of any kind."""
        self.merged: Array = _any(is_a, (x for x in sums if x != "mean"))
        """Whether it is a sum like all the others: a mean, and a sum that was not asked for, is something else."""
        takes = _any(is_a, sums)
        owner, x, y = _added(scan, is_a)
        into = _absorbed(scan, kept, scope, owner[takes[owner] & (y < 0)], x[takes[owner] & (y < 0)])
        inner_sum = (into >= 0) & self.merged
        product = (into >= 0) & _any(is_a, products)
        self.absorbed: Array = inner_sum | product
        """Whether a node is a part of a unit whose value another node has."""
        self.units: Array = np.flatnonzero((scan.arity > 0) & ~self.absorbed)
        """The nodes that are not, leaves left out."""
        root = _outermost(np.where(inner_sum, into, np.arange(n)))
        self.unit_of: Array = np.where(product, root[into], root)
        """For each node the unit that it is a part of."""

        kept_terms = _kept_terms(scan, is_a["add"], inner_sum, owner, x, y)
        self.zeroed: Array = np.zeros(n, bool)
        """Which units have lost the 0 that a running sum starts from."""
        self.zeroed[root[owner[~kept_terms & (x >= n)]]] = True
        owner, x, y = owner[kept_terms], x[kept_terms], y[kept_terms]
        order = np.lexsort((owner, root[owner]))
        owner, x, y = owner[order], x[order], y[order]
        self.root: Array = root[owner]
        self._open_products(scan, is_a, product, x, y)

    def _open_products(self, scan: Scan, is_a: dict[str, Array], product: Array, x: Array, y: Array) -> None:
        """Put the two factors in place of a product that is part of a sum."""
        is_part = np.zeros(scan.count + scan.literals, bool)
        is_part[: scan.count] = product
        opened = np.flatnonzero((y < 0) & is_part[x])
        inside = x[opened]
        self.kind: Array = (y >= 0).astype(np.int64)
        for k, name in enumerate(PRODUCTS, 1):
            self.kind[opened[is_a[name][inside]]] = k
        self.product: Array = np.full(len(x), -1)
        self.product[opened] = inside
        self.x, self.y = x, y
        self.x[opened], self.y[opened] = scan.left[inside], scan.right[inside]


def _any(is_a: dict[str, Array], names: Any) -> Array:
    return np.logical_or.reduce([is_a[name] for name in names])


def _added(scan: Scan, is_a: dict[str, Array]) -> tuple[Array, Array, Array]:
    """What every single addition adds: (the node, x, y), with y = -1 but for the pairs of a dot product."""
    owner, place = scan.owners, scan.places
    length = np.repeat(scan.sizes, scan.sizes)
    in_dot = is_a["dot"][owner]
    bias = in_dot & (place == length - 1) & (length % 2 == 1)
    alone = is_a["sum"][owner] | is_a["mean"][owner] | bias
    first = in_dot & (place < length // 2)
    second = np.flatnonzero(first) + length[first] // 2
    adds = np.flatnonzero(is_a["add"])
    owners = np.concatenate([adds, adds, owner[alone], owner[first]])
    x = np.concatenate([scan.left[adds], scan.right[adds], scan.flat[alone], scan.flat[first]])
    y = np.concatenate([np.full(2 * len(adds) + int(alone.sum()), -1), scan.flat[second]])
    return owners, x, y


def _absorbed(scan: Scan, kept: Array, scope: Array, owner: Array, x: Array) -> Array:
    """For each node the sum that alone uses it, as a term; -1 for the others.

    A sum that two others use stays one: opened in both it would be added up twice.
    """
    n = scan.count
    edges = [scan.left[scan.arity <= 2], scan.right[scan.arity == 2], scan.flat]
    every = np.concatenate(edges)
    uses = np.bincount(every[(every >= 0) & (every < n)], minlength=n)
    uses[kept] += 2
    into = np.full(n, -1)
    into[x[x < n]] = owner[x < n]
    into[uses != 1] = -1
    if scope is not None:
        into[scope != scope[into]] = -1
    return into


def _outermost(root: Array) -> Array:
    """Follow each sum to the one that it is part of in the end: a chain of a million additions takes twenty rounds."""
    while True:
        further = root[root]
        if np.array_equal(further, root):
            return root
        root = further


def _kept_terms(scan: Scan, add: Array, inner_sum: Array, owner: Array, x: Array, y: Array) -> Array:
    """Which terms stay: not those that are sums themselves, whose own terms stand for them, and not the 0 of a sum.

    `a + 0.0` and nothing else is how a rule turns -0.0 into 0.0: its zero stays. That of a running sum, 0 + a, goes, or
    a sum of one term would be of another class than its neighbours of several.
    """
    n = scan.count
    inner = np.zeros(n + scan.literals, bool)
    inner[:n] = inner_sum
    dropped = np.zeros(n + scan.literals, bool)
    dropped[n:] = scan.zero
    adds = np.flatnonzero(add)
    alone = np.zeros(len(x), bool)
    alone[len(adds) : 2 * len(adds)] = ~(inner[adds] | inner[scan.left[adds]])
    return ~((y < 0) & (inner[x] | (dropped[x] & ~alone)))


# --- classes ----------------------------------------------------------------------------------------------


class RepeatsTooLittle(ValueError):
    """A graph has more classes than can be told apart."""


WIDE = 1 << 24
"""Above any number of classes: keys are packed into integers with it."""


def classes(
    scan: Scan, terms: Terms, labels: Array, count: int, one_step: bool = False
) -> tuple[Array, list[Any]]:  # fmt: skip
    """The class of every position, and what each class that holds no leaves does: "sum", "mean" or one of `scan.what`.

    Leaves and literals are of the class of their label; the other classes follow from `count` on, in the order in which
    they first occur. Parts of a unit have no class.

    Args:
        scan: the graph.
        terms: its units.
        labels: for each position a number; what differs in it shares no class.
        count: above every label.
        one_step: whether two nodes are alike if they and their operands do the same, whatever lies below. The steps of
            a recurrence, each a separate class, are then of one shape. A shape may depend on itself.
    """
    found: list[int] = [*labels.tolist(), WIDE - 1]  # the last is where y = -1 looks: no second factor
    what = does(scan, terms, labels)
    seen = [*kinds(scan, terms, labels, count).tolist(), WIDE - 1] if one_step else found
    key_of = _keys(scan, terms, what, seen)
    numbered: dict[Any, int] = {}
    first: list[int] = []
    for i, key in zip(terms.units.tolist(), key_of, strict=True):
        known = numbered.get(key)
        if known is None:
            known = numbered[key] = count + len(first)
            first.append(i)
        found[i] = known
    if len(first) + count >= WIDE - 1:
        raise RepeatsTooLittle(f"fold: the graph has more than {WIDE:,} classes; it repeats too little to be folded")
    made = ["sum" if terms.merged[i] else scan.what[scan.code[i]] for i in first]
    return np.array(found[:-1]), ["mean" if what is TABLE["mean"] else what for what in made]


def kinds(scan: Scan, terms: Terms, labels: Array, count: int) -> Array:
    """For every position what it does by itself, whatever its operands are; leaves and literals: their label."""
    found = labels.copy()
    _, alike = np.unique(does(scan, terms, labels)[terms.units], return_inverse=True)
    found[terms.units] = count + alike
    return found


def does(scan: Scan, terms: Terms, labels: Array) -> Array:
    """For each node a number for its operation and its label; all sums that are merged are one operation."""
    code = np.where(terms.merged, len(scan.what), scan.code)
    return code + (len(scan.what) + 1) * labels[: scan.count]


TERMS, ONE, TWO, EITHER_WAY, SEQUENCE = range(5)
"""What the key of a unit is made of."""


def _keys(scan: Scan, terms: Terms, does: Array, seen: list[int]) -> Iterator[Any]:
    """For each unit in turn what it does, to which classes: read from `seen`, which the caller fills as it goes.

    A product and the terms of a sum are the same in either order; so w * x and x * w are one class.
    """
    units = terms.units
    mul = next((code for code, what in enumerate(scan.what) if what is TABLE["mul"]), -1)
    form = np.where(scan.code == mul, EITHER_WAY, np.where(scan.arity == MANY_OPERANDS, SEQUENCE, scan.arity))
    form[terms.has_terms] = TERMS
    sequence = _sequences(scan, seen)
    # Lists, since each number is looked at once: indexing an array would make an object each time.
    low = np.searchsorted(terms.root, units)
    high = np.searchsorted(terms.root, units, side="right")
    tx, ty, tk = terms.x.tolist(), terms.y.tolist(), terms.kind.tolist()
    columns = [x.tolist() for x in (units, form[units], does[units], scan.left[units], scan.right[units], low, high)]
    for i, made_of, what, left, right, lo, hi in zip(*columns, strict=True):
        if made_of == TERMS:
            # A set: ragged sums, of 16 products here and of 15 there, do the same thing.
            pairs = {
                ((cx * WIDE + cy if (cx := seen[x]) <= (cy := seen[y]) or kind > 1 else cy * WIDE + cx) << 2) + kind
                for x, y, kind in zip(tx[lo:hi], ty[lo:hi], tk[lo:hi], strict=True)
            }
            yield what, frozenset(pairs)
        elif made_of == ONE:
            yield what * WIDE + seen[left]
        elif made_of == SEQUENCE:
            yield what, *sequence(i)
        else:
            ca, cb = seen[left], seen[right]
            if ca > cb and made_of == EITHER_WAY:
                ca, cb = cb, ca
            yield -(what * WIDE + ca) * WIDE - cb - 1


def _sequences(scan: Scan, seen: list[int]) -> Callable[[int], tuple[Any, ...]]:
    """What gives the classes of the operands of a node that has a tuple of them."""
    ends = np.cumsum(scan.sizes)
    span = dict(zip(scan.many.tolist(), zip((ends - scan.sizes).tolist(), ends.tolist(), strict=True), strict=True))
    flat, code = scan.flat.tolist(), scan.code

    def operands(i: int) -> tuple[Any, ...]:
        start, end = span[i]
        row = scan.what[code[i]]
        found = map(seen.__getitem__, flat[start:end])
        if not row.variadic:
            return tuple(found)
        if row.name == "prod":  # its partials are products of the others: lanes of one length go together
            return end - start, *found
        return "xs", frozenset(found)

    return operands
