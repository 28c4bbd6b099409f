"""explain: a gradient taken apart into the paths of the chain rule.

d(loss)/d(w) is the sum, over every path from loss down to w, of the product of the local gradients on
it. The number of paths can be astronomical (x = x * x a hundred times over has 2^100), so they are
never listed: walking up from w, each node keeps the k largest products from itself down to w, and the
number of its paths. Why a gradient is wrong is found by diagnosis.py.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from heapq import nlargest
from math import fsum, inf, isfinite, isnan, log, log10

from autograd_lite.derivatives.forward import tangents
from autograd_lite.engine import graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.checks import describe
from autograd_lite.engine.notation import Labels, number
from autograd_lite.engine.value import Value

LONGEST = 8
"""Factors of a path that are written out; the middle of a longer one is multiplied out."""


Factor = tuple[Value, int, float]
"""A factor of a path: a node, the operand slot through which the path leaves it, the local gradient there."""


@dataclass(frozen=True, eq=False)
class Path:
    """One way from the loss down to w.

    Attributes:
        steps: (node, slot, local gradient) from the loss on; the operand in the last slot is w.
        value: the product of the local gradients. As in the backward pass, what a factor of exactly 0
            (or a branch not taken) has stopped stays 0.
    """

    steps: tuple[Factor, ...]
    value: float

    @property
    def nodes(self) -> tuple[Value, ...]:
        """The nodes on it, from the loss to w."""
        last, slot, _ = self.steps[-1] if self.steps else (None, 0, 0.0)
        return (*(node for node, _, _ in self.steps), *(() if last is None else (last.operands[slot],)))


class Explanation:
    """What `explain` found; it prints as text and shows itself as a formula in a notebook.

    Attributes:
        loss, w: what was asked about.
        gradient: d(loss)/d(w).
        count: how many paths there are, exactly.
        paths: the largest of them, largest first.
        rest: what the paths that are not shown add up to.
        edges: for each (node, slot) on a path shown, the share of the gradient that flows through it: the sum
            of those paths' values over the gradient. Where the gradient is 0 or not finite there are no
            shares: then the sum itself.
        in_shares: whether `edges` are shares, and not amounts.
        agrees: whether an independent sum over all paths (forward mode, or the paths themselves when all are
            shown) gives the gradient of the backward pass.
    """

    loss: Value
    w: Value
    count: int
    paths: list[Path]

    def __init__(self, loss: Value, w: Value, top: int) -> None:
        order = graph.toposort(loss)
        self.loss, self.w = loss, w
        self.gradient: float = adjoints(loss).get(w, 0.0)
        self.count, self.paths = _largest(order, loss, w, top)
        values = [path.value for path in self.paths]
        complete = self.count == len(self.paths)
        self.rest: float = 0.0 if complete else self.gradient - _total(values)
        other = _total(values) if complete else tangents([loss], {w: 1.0}).get(loss, 0.0)
        close = 1e-9 * max([abs(self.gradient), *map(abs, values)])
        self.agrees: bool = abs(other - self.gradient) <= close or (not isfinite(other) and not isfinite(self.gradient))
        self._labels = Labels(order) if w in set(order) else Labels([*order, w])
        through: dict[tuple[Value, int], list[float]] = {}
        for path in self.paths:
            for node, slot, _ in path.steps:
                through.setdefault((node, slot), []).append(path.value)
        self.in_shares: bool = self.gradient != 0.0 and isfinite(self.gradient)
        whole = self.gradient if self.in_shares else 1.0
        self.edges: dict[tuple[Value, int], float] = {edge: _total(parts) / whole for edge, parts in through.items()}

    def __str__(self) -> str:
        loss, w = self._labels[self.loss], self._labels[self.w]
        head = f"d {loss} / d {w} = {self.gradient:.6g}"
        if not self.count:
            return f"{head}: no path leads from {loss} to {w}"
        which = "all of them" if self.count == len(self.paths) else f"the {len(self.paths)} largest of them"
        which = which if self.paths else "none of them is taken"
        lines = [f"{head}: {_counted(self.count, 'path')}; {which}"]
        products = [f"{path.value:+.6g}" for path in self.paths]
        wide = max(map(len, products), default=0)
        for product, path in zip(products, self.paths, strict=True):
            lines.append(f"  {product:>{wide}} = {self._product(path)}    {self._way(path)}")
        if self.count > len(self.paths):
            others = _counted(self.count - len(self.paths), "other path")
            lines.append(f"  {self.rest:+.6g}   from {others}")
        if not self.agrees:
            lines.append("  the paths do not add up to the gradient: a sum in which large terms cancel, or inf - inf")
        return "\n".join(lines)

    __repr__ = __str__

    def _product(self, path: Path) -> str:
        factors = [number(d) for _, _, d in path.steps] or ["1"]
        return " * ".join(f"({f})" if f.startswith("-") and i else f for i, f in enumerate(self._cut(path, factors)))

    def _way(self, path: Path) -> str:
        names = [self._labels[node] for node in path.nodes]
        if len(names) > LONGEST + 1:
            names[LONGEST // 2 : -LONGEST // 2] = ["..."]
        return " <- ".join(names)

    def _cut(self, path: Path, factors: list[str]) -> list[str]:
        if len(factors) <= LONGEST:
            return factors
        half = LONGEST // 2
        middle = _multiplied(path.steps[half:-half])
        return [*factors[:half], f"[{len(factors) - 2 * half:,} more: {number(middle)}]", *factors[-half:]]

    def _repr_latex_(self) -> str:
        loss, w = self._latex(self.loss), self._latex(self.w)
        lines = [rf"\frac{{\partial {loss}}}{{\partial {w}}} &= {_latex_number(self.gradient)}"]
        sign = "="
        for path in self.paths:
            fractions = [
                rf"\frac{{\partial {self._latex(node)}}}{{\partial {self._latex(below)}}}"
                for node, below in zip(path.nodes, path.nodes[1:], strict=False)
            ]
            numbers = [_latex_number(d) for _, _, d in path.steps]
            if len(numbers) > LONGEST:
                half = LONGEST // 2
                fractions[half:-half] = [r"\cdots"]
                numbers[half:-half] = [rf"[{_latex_number(_multiplied(path.steps[half:-half]))}]"]
            factors = [rf"({n})" if n.startswith("-") and i else n for i, n in enumerate(numbers)]
            chain, product = r" \, ".join(fractions), r" \cdot ".join(factors)
            lines.append(rf"&{sign} \underbrace{{{chain}}}_{{{product} \,=\, {_latex_number(path.value)}}}")
            sign = r"\;+"
        if self.count > len(self.paths):
            others = _counted(self.count - len(self.paths), "other path").replace(",", "{,}")
            lines.append(rf"&{sign} \underbrace{{{_latex_number(self.rest)}}}_{{\text{{{others}}}}}")
        return "$$\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}$$"

    def _latex(self, node: Value) -> str:
        name = self._labels[node]
        if re.fullmatch(r"v\d+", name):
            return f"v_{{{name[1:]}}}"
        safe = re.sub(r"[^A-Za-z0-9 .,:()\[\]'-]", lambda m: r"\_" if m[0] == "_" else "?", name)
        return safe if re.fullmatch("[A-Za-z]", safe) else rf"\text{{{safe}}}"


def explain(loss: Value, w: Value, top: int = 5) -> Explanation:
    """The gradient of loss in w as a sum over the paths of the chain rule, largest first.

        d(loss)/d(w) = sum over all paths from loss to w of the product of the local gradients on the path

    Args:
        loss: the Value at the root.
        w: a Value that it was computed from, leaf or not.
        top: how many paths to list; the rest are counted and summed.

    Returns:
        An Explanation: text, a formula in a notebook, `.paths`, `.count`, `.rest`, `.gradient` and `.edges`;
        `ag.draw(loss, explain=w)` marks the paths on the drawing.

    Raises:
        TypeError: loss or w is not a Value, or top is not an integer.
        ValueError: top is less than 1.

    Example:
        >>> w, x = ag.Value(3.0, name="w"), ag.Value(2.0, name="x")
        >>> h = w * x
        >>> loss = h * h + w
        >>> ag.explain(loss, w)
        d v5 / d w = 25: 3 paths; all of them
          +12 = 1 * 6 * 2    v5 <- v4 <- v3 <- w
          +12 = 1 * 6 * 2    v5 <- v4 <- v3 <- w
           +1 = 1    v5 <- w
    """
    for what, x in (("loss", loss), ("w", w)):
        if not isinstance(x, Value):
            raise TypeError(f"explain: {what} must be a Value, got {describe(x)}")
    if not isinstance(top, int) or isinstance(top, bool):
        raise TypeError(f"explain: top must be an integer, got {describe(top)}")
    if top < 1:
        raise ValueError(f"explain: top must be at least 1, got {top}")
    return Explanation(loss, w, top)


def _largest(order: list[Value], loss: Value, w: Value, top: int) -> tuple[int, list[Path]]:
    """(the number of paths, the `top` largest by size), exactly.

    The best products of a node are the best of its operands, each times the local gradient of its slot: a factor
    does not change which of two products is the larger. Sizes are kept as logarithms, so that a million
    factors neither overflow nor vanish.
    """
    best: dict[Value, list[tuple[float, int, int]]] = {w: [(0.0, 0, 0)]}
    count = {w: 1}
    reached = [node for node in order if node is not w and _leads(node, best)]
    users = Counter(x for node in reached for x in graph.raw_operands(node) if type(x) is not float and x in best)
    for node in reached:
        found: list[tuple[float, int, int]] = []
        ways = 0
        branch = node._row is not None and node._row.branch
        for slot, (x, d) in enumerate(zip(graph.raw_operands(node), node.local_grads, strict=True)):
            if type(x) is float or x not in best:
                continue
            ways += count[x]
            users[x] -= 1
            if not users[x] and x is not loss:
                del count[x]  # these can have a million digits
            if branch and d == 0.0:
                continue  # not taken: exactly nothing, whatever is below
            size = _size(d)
            found += [(-inf if d == 0.0 else size + below, slot, rank) for rank, (below, _, _) in enumerate(best[x])]
        best[node] = found if len(found) <= 1 else nlargest(top, found, key=lambda item: item[0])
        count[node] = ways
    if loss not in best:
        return 0, []
    paths = [_followed(loss, w, rank, best) for rank in range(len(best[loss]))]
    paths.sort(key=lambda path: -abs(path.value) if not isnan(path.value) else -inf)
    return count[loss], paths


def _leads(node: Value, best: dict[Value, list[tuple[float, int, int]]]) -> bool:
    """Whether w is below a node; notes it in best, to be filled in later."""
    if any(type(x) is not float and x in best for x in graph.raw_operands(node)):
        best[node] = []
        return True
    return False


def _size(d: float) -> float:
    return log(abs(d)) if d and isfinite(d) else inf if d else -inf


def _followed(loss: Value, w: Value, rank: int, best: dict[Value, list[tuple[float, int, int]]]) -> Path:
    """The path that the rank-th best product of loss stands for."""
    steps: list[Factor] = []
    node = loss
    while node is not w:
        _, slot, rank = best[node][rank]
        operands = graph.raw_operands(node)
        steps.append((node, slot, node.local_grads[slot]))
        node = operands[slot]
    return Path(tuple(steps), _multiplied(steps))


def _multiplied(steps: list[Factor] | tuple[Factor, ...]) -> float:
    product = 1.0
    for node, _, d in steps:
        assert node._row is not None
        product = node._row.chain.value(product, d)
    return product


def _total(values: list[float]) -> float:
    return fsum(values) if all(map(isfinite, values)) else sum(values)


def _counted(n: int, what: str) -> str:
    """A count in words, in powers of ten when it has too many digits to read."""
    if n.bit_length() > 64:
        return f"about 10^{round(log10(n)):,} {what}s"
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _latex_number(x: float) -> str:
    text = number(x).replace("inf", r"\infty").replace("nan", r"\text{NaN}")
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa
