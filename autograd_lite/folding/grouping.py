"""Sums as sets of terms, and nodes that do the same thing as classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_lite.engine.rules import TABLE
from autograd_lite.folding.scan import Scan

Array = Any

SUMS, PRODUCTS = ([row.name for row in TABLE.values() if row.role == role] for role in ("sum", "product"))


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


def classes_of(scan: Scan, terms: Terms, units: Array) -> tuple[Array, list[Any]]:
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
