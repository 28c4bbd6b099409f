"""Why a value or a gradient is not what one hoped for, op by op, and what to write instead.

Each function looks at one node (or one of its operand slots) and gives (mechanism, advice) in words. Which node
to look at is decided elsewhere: anomaly.py stops at the first one, faults.py searches a whole graph.
"""

from __future__ import annotations

from math import isfinite, isinf, isnan

from autograd_lite.engine import graph
from autograd_lite.engine.reading import number_of, numbers_of, slope_of
from autograd_lite.engine.value import Value

Words = tuple[str, str]
"""(mechanism, advice)."""

POSITIVE = "keep its argument above 0 (ag.log(x + 1e-12), ag.log1p), or use a loss that takes logits (ag.log_softmax)"

LOGITS = "ag.logsumexp, ag.log_softmax, ag.softplus and the losses on logits do the same without overflow"

LOGITS_DOWN = "scale what goes in, or work with its logarithm (ag.logsumexp, ag.log_softmax)"

RELU = (
    "start with a positive bias or smaller weights (He initialisation), lower the learning rate, "
    "or use ag.leaky_relu, ag.elu, ag.softplus"
)

SMALLER = (
    "make what goes in smaller: scale the inputs, smaller initial weights (Xavier); "
    "with sigmoid or softmax at the output, use a loss that takes logits"
)

CHECK_DOMAIN = "check what goes in, or choose with ag.where(ag.greater(x, 0.0), ..., ...)"


def operand_numbers(node: Value) -> list[float]:
    """The operands of a node as floats."""
    return numbers_of(graph.raw_operands(node))


def number_at(node: Value, slot: int) -> float:
    """The operand in a slot as a float; of a sum of thousands, without a list of them all."""
    return number_of(graph.raw_operands(node)[slot])


def local_gradient(node: Value, slot: int) -> float:
    """The local gradient in a slot; of a sum of thousands, without a tuple of them all."""
    return slope_of(node, slot)


def of_value(node: Value) -> Words:
    """Why the result of a node is not finite."""
    op, row, xs, out = node.op, node._row, operand_numbers(node), number_of(node)
    assert row is not None
    if any(isnan(x) for x in xs):
        return "an operand is NaN", "look where that came from"
    if row.logarithm and isinf(out):
        return f"{op} of {xs[0]:g}", POSITIVE
    if row.logarithm:
        return f"{op} of the negative number {xs[0]:g}", POSITIVE
    if op == "div" and xs[1] == 0.0:
        what = "0 / 0" if xs[0] == 0.0 else "division by 0"
        return what, "keep the divisor away from 0 (x / (y + 1e-12)), or choose with ag.where"
    if op in ("mul", "dot", "prod") and isnan(out):
        return "0 * inf", "find where the infinity came from"
    if op in ("add", "sub", "sum", "dot", "_shift") and isnan(out):
        return (
            "inf - inf",
            "find where the infinities came from; differences of logarithms: ag.logaddexp, ag.log_softmax",
        )
    if op == "pow" and xs[0] == 0.0:
        return f"0 ** {xs[1]:g}", "keep the base away from 0"
    if op == "pow" and xs[0] < 0.0 and isnan(out):
        return f"the negative number {xs[0]:g} to the power of {xs[1]:g}", "take abs(x) ** p, or a whole exponent"
    if isinf(out) and all(isfinite(x) for x in xs):
        advice = LOGITS if row.grows else "scale what goes in; products of many: add logarithms instead"
        return f"overflow, {op} of {', '.join(f'{x:.6g}' for x in xs[:3])}", advice
    if isnan(out):
        return f"{op} is not defined at {', '.join(f'{x:.6g}' for x in xs[:3])}", CHECK_DOMAIN
    return f"{op} of {', '.join(f'{x:.6g}' for x in xs[:3])} is infinite", CHECK_DOMAIN


def of_adjoint(node: Value, slot: int, adjoint: float) -> Words:
    """Why adjoint * local gradient is not finite at an operand slot."""
    op, row, local, x = node.op, node._row, local_gradient(node, slot), number_at(node, slot)
    assert row is not None
    if isnan(local):
        return f"{op} has no derivative at {x:g}", CHECK_DOMAIN
    if isinf(local) and row.logarithm:
        return f"the slope of {op} at {x:g} is infinite (log of 0)", POSITIVE
    if isinf(local):
        advice = "keep its argument away from that point (ag.sqrt(x + 1e-12), ag.norm and ag.hypot are safe at 0)"
        return f"the slope of {op} at {x:g} is infinite", advice
    if isinf(adjoint) and local == 0.0:
        return "0 * inf: an infinite adjoint meets a local gradient of 0", "find where the adjoint became infinite"
    if isfinite(adjoint):
        return "overflow of the product", "scale the loss or what goes in; a long chain of factors above 1 explodes"
    return "the adjoint is not finite already", "look where that came from"


def of_hidden(node: Value, slot: int) -> Words:
    """Why a derivative may be wrong where an adjoint of 0 meets an infinite slope."""
    x = number_at(node, slot)
    return (
        (
            f"the slope of {node.op} at {x:g} is infinite and meets an adjoint of 0; the product is taken as 0, though "
            "the true derivative may be another number"
        ),
        (
            "simplify the formula so that it has a slope there (x for ag.cbrt(x) ** 3), or keep the argument away from "
            "that point"
        ),
    )


def of_zero(node: Value, slot: int) -> tuple[str, str, str]:
    """(kind, mechanism, advice) where a node's local gradient in a slot is 0, or too small to show."""
    op, row = node.op, node._row
    x, local = number_at(node, slot), local_gradient(node, slot)
    assert row is not None
    if op == "relu" and is_margin(node):
        return (
            "margin met",
            f"the relu of a margin (1 - score) gets {x:.4g}: this example is on the right side, and asks for nothing",
            "nothing, if all margins are met; a hinge loss has no gradient there (ag.softplus(-score) has)",
        )
    if op == "relu":
        return "dead relu", f"the relu gets {x:.4g}: it is off, and lets no gradient back", RELU
    if op == "clamp":
        return "clamped", f"clamp holds {x:.4g} at its bound", "clamp only what is reported, not what is trained"
    if row.zero_gradient:
        return (
            "a step",
            f"{op} is piecewise constant: its derivative is 0 everywhere",
            "use a smooth stand-in: ag.sigmoid(k * x) for a step, ag.tanh(k * x) for sign",
        )
    if row.branch and row.role != "product":
        return "not chosen", f"{op} took another operand", "nothing, if that is meant; ag.logsumexp gives all a share"
    if row.saturates:
        return saturated(op, x, local)
    if op == "_expdiff":
        below = number_at(node, 1) - number_at(node, 0)
        what = f"its share of a log-sum-exp is too small for a float: it is {below:.4g} below the largest"
        return "underflow", what, "nothing, at a minimum; else make the logits smaller"
    if op in ("mul", "dot", "prod", "_chain") and local == 0.0:
        return "a factor of 0", "what it is multiplied by is 0", "look where the other factor's 0 came from"
    if op == "exp":
        return "underflow", f"exp of {x:.4g} is too small for a float, and so is its slope", LOGITS_DOWN
    if local == 0.0:
        return (
            "stationary",
            f"the slope of {op} is 0 at {x:.4g}",
            "start somewhere else, or check that this is a minimum",
        )
    return "underflow", f"adjoint * {local:.4g} is too small for a float", "scale the loss"


def saturated(op: str, x: float, local: float) -> tuple[str, str, str]:
    """A squashing function far out."""
    return (
        f"saturated {op.lstrip('_')}",
        f"{op.lstrip('_')} at {x:.4g} is flat: its slope is {local:.3g}",
        SMALLER,
    )


def saturated_softmax() -> tuple[str, str, str]:
    """A softmax that gives all to one entry."""
    return (
        "saturated softmax",
        "one entry is so far above the others that the softmax is flat: its slopes p * (1 - p) are near 0",
        "train on the logits (cross-entropy with logits, ag.log_softmax), or make the logits smaller",
    )


def is_margin(relu: Value) -> bool:
    """Whether a relu is that of a hinge loss: of a positive constant minus something."""
    inner = graph.raw_operands(relu)[0]
    if type(inner) is float or inner.op != "sub":
        return False
    margin = graph.raw_operands(inner)[0]
    return type(margin) is float and margin > 0.0
