"""gradcheck: derivatives against central differences.

Differences know nothing of graphs and rules, so they catch a wrong rule of a user-defined primitive. They are
themselves wrong in two places, and the report says when that is the reason: near a kink, where
they average the slopes of its two sides, and where f has no value at a step's distance.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import Any

from autograd_lite.derivatives import jacobians
from autograd_lite.derivatives.transforms import Recording, grad
from autograd_lite.engine import graph
from autograd_lite.engine.checks import as_float, describe
from autograd_lite.engine.modes import no_grad
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.trees import TreeDef, flatten, unflatten
from autograd_lite.engine.value import Value

FIRST_STEP, SHRINK, STEPS = 2e-3, 8.0, 12
"""The first step (times abs x where that is over 1), by what the next is smaller, and how many are tried."""


EPSILON = 2.0**-52


@dataclass(frozen=True)
class Difference:
    """One derivative that does not agree.

    Attributes:
        coordinate: the number that it is a derivative in, such as "x[1]".
        output: which output, "" if there is one.
        derivative: what differentiation gave.
        difference: what central differences gave.
        allowed: the largest distance between the two that would have passed.
        step: the step of the differences.
        reason: why they may differ although the derivative is right; "" if there is no such reason.
    """

    coordinate: str
    output: str
    derivative: float
    difference: float
    allowed: float
    step: float
    reason: str

    def __str__(self) -> str:
        return (
            f"d f{self.output} / d {self.coordinate}: derivative {self.derivative!r}, central difference "
            f"{self.difference:.10g} (step {self.step:.2g})"
            + (f"; allowed to differ by {self.allowed:.2g}" if isfinite(self.allowed) else "")
            + (f"\n    {self.reason}" if self.reason else "")
        )


@dataclass(frozen=True)
class Report:
    """What `gradcheck` found; true if every derivative agrees.

    Attributes:
        checked: the number of derivatives.
        worst: the largest difference, relative to the size of the derivative.
        differences: those that do not agree.
    """

    checked: int
    worst: float
    differences: tuple[Difference, ...]

    def __bool__(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        if not self.differences:
            return f"gradcheck: {self.checked:,} derivatives agree; largest relative difference {self.worst:.2g}"
        lines = [f"gradcheck: {len(self.differences):,} of {self.checked:,} derivatives differ"]
        lines += [f"  {difference}" for difference in self.differences[:10]]
        if len(self.differences) > 10:
            lines.append(f"  ... {len(self.differences) - 10:,} more in .differences")
        return "\n".join(lines)

    __repr__ = __str__


def gradcheck(f: Callable[..., Any], *args: Any, order: int = 1, tolerance: float = 1e-6) -> Report:
    """Compare the derivatives of f with central differences.

        (4 d(h/2) - d(h)) / 3  with  d(h) = (f(x + h) - f(x - h)) / (2 h)

    Each coordinate has its own step: steps from 2e-3 (times abs x, where that is over 1) downwards are
    tried until the differences settle.

    Args:
        f: a function that gives numbers in any form; for order 2 one number.
        args: its arguments: numbers, arrays, sequences of them. Derivatives in all of them are checked.
        order: 1 for first derivatives, 2 for second ones too (differences of the gradient).
        tolerance: the difference allowed, relative to the derivative. What rounding and the
            step itself do to differences comes on top.

    Returns:
        A Report, true or false, that prints what differs: the coordinate, both numbers, and a kink nearby if
        that is the reason.

    Raises:
        TypeError: an argument holds something that is not a number.
        ValueError: order is neither 1 nor 2, or tolerance is not positive.

    Example:
        >>> ag.gradcheck(lambda v: v[0] * ag.exp(v[1]), [3.0, 0.5])
        gradcheck: 2 derivatives agree; largest relative difference ...
        >>> wrong = ag.primitive("wrong", lambda a: a * a, lambda a: a)
        >>> print(ag.gradcheck(wrong, 3.0))
        gradcheck: 1 of 1 derivatives differ
          d f / d a: derivative 3.0, central difference 6 (step 0.006); allowed to differ by 6e-06
        >>> bool(ag.gradcheck(ag.relu, 0.0))
        False
    """
    if order not in (1, 2) or isinstance(order, bool):
        raise ValueError(f"gradcheck: order must be 1 or 2, got {describe(order)}")
    if not as_float(tolerance, "gradcheck: tolerance") > 0.0:
        raise ValueError(f"gradcheck: tolerance must be positive, got {describe(tolerance)}")
    trace = Recording("gradcheck", f, args, range(len(args)))
    x = [leaf.item() for leaf in trace.all_inputs]
    names = _names(f, trace.treedefs)
    checked, worst, found = 0, 0.0, []
    for level in range(1, order + 1):
        exact, outputs = _derivatives(trace, names, level)
        evaluate = _evaluated(f, args, trace.treedefs, level)
        checked += len(exact) * len(x)
        for j, coordinate in enumerate(names):
            estimates = _differences(evaluate, x, j, len(exact), tolerance)
            for i, (difference, error, step) in enumerate(estimates):
                derivative = exact[i][j]
                size = max(abs(derivative), abs(difference))
                allowed = tolerance * size + error
                if abs(derivative - difference) <= allowed and isfinite(allowed):
                    worst = max(worst, abs(derivative - difference) / max(size, error / tolerance, 1e-300))
                else:
                    reason = _reason(f, trace.treedefs, x, j, step, derivative, difference)
                    found.append(Difference(coordinate, outputs[i], derivative, difference, allowed, step, reason))
    return Report(checked, worst, tuple(found))


def _derivatives(trace: Recording, names: Sequence[str], order: int) -> tuple[list[list[float]], list[str]]:
    """The derivatives to check, a row an output, and what to call the outputs."""
    if order == 1:
        return _table(trace.outputs, trace), trace.treedef.paths
    gradient = [g for some in trace.gradient(trace.scalar(), as_graph=True) for g in some]
    return _table(gradient, trace), [f" / d {name}" for name in names]


def _table(outputs: Sequence[Any], trace: Recording) -> list[list[float]]:
    table = jacobians.dense(outputs, trace.all_inputs)
    return table if isinstance(table, list) else table.tolist()


def _names(f: Callable[..., Any], plans: Sequence[TreeDef]) -> list[str]:
    """What to call each number of the arguments."""
    try:
        names = [
            p.name
            for p in inspect.signature(f).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):  # its signature is unknown
        names = []
    names += [f"argument {i}" for i in range(len(names), len(plans))]
    return [name + place for name, plan in zip(names, plans, strict=False) for place in plan.paths]


def _at(plans: Sequence[TreeDef], numbers: Sequence[Any]) -> Iterator[Any]:
    """The arguments with these numbers in them, as Values."""
    start = 0
    for plan in plans:
        size = len(plan.paths)
        yield unflatten(plan, [Value(t) for t in numbers[start : start + size]])
        start += size


def _evaluated(
    f: Callable[..., Any], args: Sequence[Any], plans: Sequence[TreeDef], order: int
) -> Callable[..., list[float]]:
    """The function whose differences are taken, from the numbers of the arguments to the numbers of its result."""
    function = f if order == 1 else grad(f, tuple(range(len(args))))

    def evaluate(numbers: Sequence[float]) -> list[float]:
        with no_grad():
            found, _ = flatten(function(*_at(plans, numbers)), "gradcheck: the result of f")
        return [y.item() if isinstance(y, Value) else y for y in found]

    return evaluate


def _differences(
    evaluate: Callable[..., list[float]], x: Sequence[float], j: int, outputs: int, tolerance: float
) -> list[tuple[float, float, float]]:
    """(difference, what rounding and the length of the step may do to it, step) in coordinate j, for each output.

    At a smooth kink, such as that of relu(x)**2 at 0, the differences go to the derivative only as fast as the step
    does: what halving it changes is what it may still be off by. At a kink halving changes nothing.
    """
    best = [(float("nan"), inf, 0.0)] * outputs
    errors = [inf] * outputs
    step = FIRST_STEP * max(1.0, abs(x[j]))

    def moved(by: float) -> tuple[list[float], float]:
        there = x[j] + by
        return evaluate([*x[:j], there, *x[j + 1 :]]), there

    for _ in range(STEPS):
        (high, a), (low, b) = moved(step), moved(-step)
        (near_high, c), (near_low, d) = moved(step / 2), moved(-step / 2)
        for i in range(outputs):
            # a quarter of each, which is exact: f(x + h) - f(x - h) may overflow where the slope does not
            wide = (high[i] / 4 - low[i] / 4) / (a - b) * 4
            near = (near_high[i] / 4 - near_low[i] / 4) / (c - d) * 4
            rounding = 8 * EPSILON * max(abs(high[i]), abs(low[i])) / step
            error = abs(near - wide) + rounding
            if isfinite(wide) and isfinite(near) and error < errors[i]:
                errors[i], best[i] = error, (near + (near - wide) / 3, error, step)
            elif errors[i] == inf:
                best[i] = (near, inf, step)
        settled = (e < inf and e <= 0.1 * tolerance * abs(d) for e, (d, _, _) in zip(errors, best, strict=True))
        if all(settled):
            break
        step /= SHRINK
    return best


# --- why they may differ --------------------------------------------------------------------------------


def _reason(
    f: Callable[..., Any],
    plans: Sequence[TreeDef],
    x: Sequence[float],
    j: int,
    step: float,
    derivative: float,
    difference: float,
) -> str:
    low, high, nearer_low, nearer_high = (
        _traced(f, plans, [*x[:j], x[j] + by, *x[j + 1 :]]) for by in (-step, step, -step / 2, step / 2)
    )
    if isnan(derivative) or isnan(difference):
        bad = next((node for node in (*low, *high) if not isfinite(number_of(node))), None)
        return f"f is not finite {step:.2g} away: {bad!r}" if bad is not None else "the derivative is not finite here"
    if [node.op for node in low] != [node.op for node in high]:
        return f"a kink is near: within {step:.2g} f takes another way through its Python code"
    same_way = len(nearer_low) == len(nearer_high) == len(low)
    for k, (a, b) in enumerate(zip(low, high, strict=True)):
        row = a._row
        if row is None or not (row.branch or row.kinks):
            continue
        for slot, (d, e) in enumerate(zip(a.local_grads, b.local_grads, strict=True)):
            # a slope that jumps does so within half the step too; one that bends, as 2 * a does at 0, changes by half
            if same_way and not row.builtin:
                change = nearer_high[k].local_grads[slot] - nearer_low[k].local_grads[slot]
                if abs(change) < 0.75 * abs(e - d):
                    continue
            if abs(d - e) > 0.01 * max(abs(d), abs(e)) or (row.zero_gradient and number_of(a) != number_of(b)):
                what = f"its local gradient is {d:.4g}" if d != e else f"its value is {number_of(a):.4g}"
                there = f"{e:.4g}" if d != e else f"{number_of(b):.4g}"
                name = f" {a.name!r}" if a.name else ""
                return (
                    f"a kink is near: the {row.name}{name} at {a.operands[0].item():.4g} changes within the step, "
                    f"{what} on one side and {there} on the other"
                )
    return ""


def _traced(f: Callable[..., Any], plans: Sequence[TreeDef], numbers: Sequence[float]) -> list[Value]:
    outputs, _ = flatten(f(*_at(plans, numbers)), "gradcheck: the result of f")
    return graph.toposort(*(y for y in outputs if isinstance(y, Value)))
