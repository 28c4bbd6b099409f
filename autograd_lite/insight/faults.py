"""The faults that diagnose knows, one function each, in four lists in order of priority.

A fault of a parameter is asked `fault(facts, p)` and answers with a Blame, or with None if it is not this one; the
first in its list that answers is the one, and Blames that are equal become one Finding of several parameters. FINE is
an answer too: nothing is wrong, though the gradient looks as if. A fault of the whole graph gives whatever it finds.

To add one: write the function, with a line on why it is a fault, and put it into the list that asks about such
gradients, before any more general one. What a single operation does wrong is in remedies.py, what is known of the
graph in facts.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from math import exp, isfinite, log
from typing import Any, NamedTuple

from autograd_lite.engine import graph
from autograd_lite.engine.reading import grad_of, grads_of, number_of
from autograd_lite.engine.value import Parameter, Value
from autograd_lite.insight.anomaly import badness, hidden_slopes
from autograd_lite.insight.facts import FLAT, Chain, Facts
from autograd_lite.insight.remedies import (
    local_gradient,
    number_at,
    of_adjoint,
    of_hidden,
    of_value,
    of_zero,
    operand_numbers,
    saturated,
    saturated_softmax,
)

LONG_CHAIN = 8
"""Factors from which a product counts as a chain."""

CHAIN_ADVICE = "fewer layers, relu or tanh in place of sigmoid, Xavier or He initialisation, or shortcuts (x + f(x))"

SCALE_ADVICE = "scale the inputs (unit variance) or the loss, or raise the learning rate"


class Blame(NamedTuple):
    """What is at fault: the first node, the kind in two words, how it comes about, what to write instead.

    Of faults of one kind that have a weight a single one is reported, the weightiest.
    """

    node: Value | None
    kind: str
    mechanism: str
    advice: str
    weight: int | None = None


Fault = Callable[[Facts, Value], Blame | None]
Found = Iterator[tuple[Blame, list[Value], str]]
"""(what is at fault, the parameters that suffer, the gradient that they get)."""

FINE = Blame(None, "", "", "")
"""Nothing is wrong."""


# --- no gradient: the loss does not depend on the parameter -------------------------------------------------


def detached(facts: Facts, p: Value) -> Blame | None:
    """A leaf of the graph has the parameter's name: .detach() keeps names."""
    copy = facts.copies.get(p.name)
    if copy is None:
        return None
    what = f"the graph holds a leaf of the same name instead, {copy!r}: a detached copy"
    advice = "leave out the .detach() (or the rebuilding from .data) between the parameter and the loss"
    return Blame(copy, "detached", what, advice, weight=0)


def unreachable(facts: Facts, p: Value) -> Blame:
    """Nothing of it is there."""
    advice = (
        "use the parameter itself, not .data, .item(), float numbers or .detach(), and build the loss "
        "outside ag.no_grad(); or it is meant to be unused, then do not give it to the optimizer"
    )
    return Blame(None, "unreachable", "the loss was not computed from it: nothing leads there", advice)


LOST: tuple[Fault, ...] = (detached, unreachable)


# --- a gradient of exactly 0: facts.stops says where it was stopped -----------------------------------------


def flat_softmax(facts: Facts, p: Value) -> Blame | None:
    """Of a softmax that gives all to one entry: the parts of its derivative cancel, or are too small for a float."""
    node, _ = facts.stops[p]
    return Blame(facts.softmax[node], *saturated_softmax()) if node in facts.softmax else None


def cancelled(facts: Facts, p: Value) -> Blame | None:
    """Contributions that are not 0 add up to 0."""
    node, slot = facts.stops[p]
    if slot >= 0:
        return None
    parts = facts.cancelled[node]
    if node is p and len(parts) > 3 and facts.learns:
        return FINE  # the examples of a batch balance each other here, as for the bias of a hinge loss
    shares = ", ".join(f"{part:+.4g}" for part in parts[:4]) + (", ..." if len(parts) > 4 else "")
    what = f"what reaches {facts.name(node)} by {len(parts)} ways adds up to 0: {shares}"
    return Blame(node, "cancelled", what, "nothing, at a minimum; else break the symmetry between the paths")


def chain_underflow(facts: Facts, p: Value) -> Blame | None:
    """A long product of factors below 1 became too small for a float: no single factor is to blame."""
    node, slot = facts.stops[p]
    chain = facts.chain.get(node)
    if chain is None or chain.length + 1 < LONG_CHAIN or of_zero(node, slot)[0] != "underflow":
        return None
    size = chain.size + log(abs(local_gradient(node, slot) or 1.0))
    at = node if chain.small_at is None else chain.small_at
    return _vanished(at, size, chain.length + 1, "to 0 (underflow)")


def relu_at_0(facts: Facts, p: Value) -> Blame | None:
    """A relu that gets exactly 0, because weights are 0 or an earlier relu is off."""
    node, slot = facts.stops[p]
    if of_zero(node, slot)[0] != "dead relu" or number_at(node, slot) != 0.0:
        return None
    return _origin_of_zero(facts, graph.raw_operands(node)[slot], "keep a relu at 0, where it lets no gradient back")


def factor_of_0(facts: Facts, p: Value) -> Blame | None:
    """What it is multiplied by is 0: shrunk to 0 step by step, or because a weight is 0 or a relu off, or just 0."""
    node, slot = facts.stops[p]
    kind, _, advice = of_zero(node, slot)
    other = facts.zero_factor(node, slot) if kind == "a factor of 0" else None
    if other is None:
        return None
    steps, shrunk = facts.shrinking(other)
    if steps >= LONG_CHAIN:
        what = f"a value that shrank over {steps:,} steps to 0 (underflow) multiplies it"
        return Blame(shrunk, "vanishing chain", what, CHAIN_ADVICE)
    origin = _origin_of_zero(facts, other, "multiply what comes back by 0")
    return Blame(node, kind, f"it is multiplied by {facts.name(other)} = 0", advice) if origin is None else origin


def stopped(facts: Facts, p: Value) -> Blame:
    """An operation whose local gradient is 0 there: a relu that is off, a clamp, a step, ..."""
    return _stopped_by(facts, *facts.stops[p])


def _stopped_by(facts: Facts, node: Value, slot: int) -> Blame:
    kind, mechanism, advice = of_zero(node, slot)
    if kind == "dead relu" and (graph.raw_operands(node)[0] in facts.learning or facts.rests(node)):
        return FINE  # off for this example and on for another, or there are few: others of the layer learn from them
    if kind == "margin met" and facts.learns:
        return FINE  # from other examples
    return Blame(node, kind, mechanism, advice)


def _origin_of_zero(facts: Facts, zero: Any, effect: str) -> Blame | None:
    """What made a number 0: a weight that is 0 (with this effect), or a relu that is off; None if it is neither."""
    origin = facts.zero_origin.get(zero)
    if origin is None:
        return None
    if origin not in facts.watched:
        return _stopped_by(facts, origin, 0)
    what = f"weights that are 0, such as {facts.name(origin)}, {effect}"
    advice = "start the weights at random, small and different (as ag.MLP does); only biases may start at 0"
    return Blame(origin, "zero initialisation", what, advice, weight=0)


ZERO: tuple[Fault, ...] = (flat_softmax, cancelled, chain_underflow, relu_at_0, factor_of_0, stopped)


# --- a gradient that is finite and not 0: facts.chain says what it is made of --------------------------------


def saturated_unit(facts: Facts, p: Value) -> Blame | None:
    """The smallest factor is the slope of a squashing function far out: a fault whatever the size of the gradient."""
    chain = facts.chain[p]
    if chain.least_at is None or chain.least >= log(FLAT):
        return None
    node, slot = chain.least_at
    if node._row is None or not node._row.saturates:
        return None
    return Blame(node, *saturated(node.op, number_at(node, slot), local_gradient(node, slot)))


def in_order(facts: Facts, p: Value) -> Blame | None:
    """Neither small nor large: what follows in this list is about those."""
    return FINE if facts.small <= abs(facts.adjoint[p]) <= facts.large else None


def vanishing_chain(facts: Facts, p: Value) -> Blame | None:
    """Many factors below 1, of which the smallest alone does not explain it."""
    chain = facts.chain[p]
    if not (_small(facts, p) and chain.length >= LONG_CHAIN and 2 * chain.least > chain.size):
        return None
    return _vanished(chain.small_at, chain.size, chain.length, "to 0 with its length")._replace(weight=chain.length)


def exploding_chain(facts: Facts, p: Value) -> Blame | None:
    """Many factors above 1, of which the largest alone does not explain it."""
    chain = facts.chain[p]
    if _small(facts, p) or chain.length < LONG_CHAIN or 2 * chain.most >= chain.size:
        return None
    mean = exp(chain.size / chain.length)
    what = f"a product of {chain.length:,} local gradients, each {mean:.3g} on average, grows with its length"
    advice = "smaller weights (Xavier or He initialisation), fewer steps, or clip the gradient's norm"
    return Blame(chain.large_at, "exploding chain", what, advice, chain.length)


def large_factor(facts: Facts, p: Value) -> Blame | None:
    """The largest factor is a number that was large from the start, or grew step by step."""
    chain = facts.chain[p]
    if _small(facts, p) or chain.most_at is None or chain.most_at[0].op not in ("mul", "dot"):
        return None
    node, slot = chain.most_at
    factor = facts.factor(node, slot)
    steps, over = facts.growing(factor)
    at = node if over is None else over
    size = number_of(factor)
    if steps >= LONG_CHAIN:
        what = f"a value that grew over {steps:,} steps to {size:.3g} multiplies it"
        advice = "smaller weights (Xavier or He initialisation), fewer steps, or clip the norm"
        return Blame(at, "exploding chain", what, advice, chain.length)
    return Blame(at, "large factor", f"it is multiplied by {size:.3g}", "scale the inputs (zero mean, unit variance)")


def steep(facts: Facts, p: Value) -> Blame | None:
    """The largest factor is the slope of a function, as near a pole."""
    chain = facts.chain[p]
    if _small(facts, p):
        return None
    if chain.most_at is None:
        return FINE  # no factor is over 1: a sum of many ways
    node, slot = chain.most_at
    what = f"the slope of {node.op} at {number_at(node, slot):.4g} is {local_gradient(node, slot):.3g}"
    return Blame(node, "steep", what, "keep away from the pole, or scale what comes in")


def nearly_flat_softmax(facts: Facts, p: Value) -> Blame | None:
    """As `flat_softmax`, where the derivative is still a number."""
    chain = facts.chain[p]
    if not _small(facts, p):
        return None
    if chain.softmax_at is not None:
        return Blame(chain.softmax_at, *saturated_softmax())
    if chain.least_at is None or chain.least_at[0] not in facts.softmax or chain.size >= log(facts.small):
        return None
    return Blame(facts.softmax[chain.least_at[0]], *saturated_softmax())


def minimum(facts: Facts, p: Value) -> Blame | None:
    """Gradients are small near a minimum: large terms cancel, or the slope of a square goes to 0."""
    chain = facts.chain[p]
    if chain.least_at is None or chain.size >= log(facts.small):
        return FINE  # no product on the way is small: large terms cancel
    if chain.least_at[0].op == "_expdiff":
        return FINE  # a share in a log-sum-exp: it goes to 0 as a loss on logits goes to its minimum
    return FINE if _squared(facts, chain) and chain.size - chain.least >= log(facts.small) else None


def small_product(facts: Facts, p: Value) -> Blame | None:
    """Several factors, none of which is to blame alone."""
    chain = facts.chain[p]
    if not _squared(facts, chain) and (chain.least < log(facts.small) / 2 or chain.length <= 1):
        return None
    what = f"a product of {chain.length:,} local gradients, the least of them {exp(chain.least):.3g}, is small"
    return Blame(chain.small_at, "small factor", what, SCALE_ADVICE)


def small_factor(facts: Facts, p: Value) -> Blame | None:
    """The smallest factor is a number that is small, or shrank step by step."""
    chain = facts.chain[p]
    if chain.least_at is None or chain.least_at[0].op not in ("mul", "dot"):
        return None
    node, slot = chain.least_at
    factor = facts.factor(node, slot)
    steps, shrunk = facts.shrinking(factor)
    if steps >= LONG_CHAIN:
        what = f"a value that shrank over {steps:,} steps to {number_of(factor):.3g} multiplies it"
        return Blame(shrunk, "vanishing chain", what, CHAIN_ADVICE, chain.length)
    return Blame(node, "small factor", f"it is multiplied by {local_gradient(node, slot):.3g}", SCALE_ADVICE)


def small_slope(facts: Facts, p: Value) -> Blame | None:
    """The smallest factor is the slope of a function where it is nearly flat."""
    chain = facts.chain[p]
    if chain.least_at is None:
        return None
    node, slot = chain.least_at
    name = node.op.lstrip("_")
    what = f"the slope of {name} at {number_at(node, slot):.4g} is {local_gradient(node, slot):.3g}"
    return Blame(node, "small slope", what, "scale what goes in, or start where the function is steeper")


def _small(facts: Facts, p: Value) -> bool:
    return abs(facts.adjoint[p]) < facts.small


def _squared(facts: Facts, chain: Chain) -> bool:
    """Whether the smallest factor of a chain is the slope of a square near its minimum."""
    if chain.least_at is None:
        return False
    node, slot = chain.least_at
    if node.op in ("mul", "dot"):
        return facts.factor(node, slot) is graph.raw_operands(node)[slot]
    return node.op == "pow" and slot == 0 and abs(local_gradient(node, slot)) < 1.0 > abs(number_at(node, slot))


def _vanished(at: Value | None, size: float, length: int, whither: str) -> Blame:
    """A product of many factors below 1."""
    what = f"a product of {length:,} local gradients, each {exp(size / length):.3g} on average, goes {whither}"
    return Blame(at, "vanishing chain", what, CHAIN_ADVICE)


SIZE: tuple[Fault, ...] = (
    saturated_unit, in_order, vanishing_chain, exploding_chain, large_factor, steep,
    nearly_flat_softmax, minimum, small_product, small_factor, small_slope,
)  # fmt: skip


# --- of the whole graph -------------------------------------------------------------------------------------


def values_not_finite(facts: Facts) -> Found:
    """Nodes that are worse than their operands, the first of each kind, unless a branch not taken holds them."""
    reached = [p for p in facts.watched if p in facts.adjoint]
    spoiled = [p for p in reached if not isfinite(facts.adjoint[p])]
    firsts: dict[str, Blame] = {}
    for node in facts.order:
        if isfinite(number_of(node)) or (facts.adjoint[node] == 0.0 and isfinite(number_of(facts.loss))):
            continue
        if node.is_leaf:
            kind = f"{_bad(number_of(node))} leaf"
            advice = "check the data: drop or repair such entries before they come in"
            firsts.setdefault(kind, Blame(node, kind, "it was given so", advice))
        elif badness(number_of(node)) > max(map(badness, operand_numbers(node))):
            kind = f"{_bad(number_of(node))} value"
            firsts.setdefault(kind, Blame(node, kind, *of_value(node)))
    gradient = "gradient not finite" if spoiled else "the loss itself is not finite"
    yield from ((blame, spoiled or reached, gradient) for blame in firsts.values())


def gradients_not_finite(facts: Facts) -> Found:
    """All values are finite and a gradient is not: the first slope, product or sum that turns so."""
    adjoint = facts.adjoint
    spoiled = [p for p in facts.watched if not isfinite(adjoint.get(p, 0.0))]
    if not spoiled:
        return
    for node in takewhile(lambda node: isfinite(adjoint[node]), reversed(facts.order)):
        g = adjoint[node]
        for slot, (x, d) in enumerate(zip(graph.raw_operands(node), node.local_grads, strict=True)):
            if type(x) is not float and g != 0.0 and not isfinite(g * d):
                blame = Blame(node, f"{_bad(g * d)} gradient", *of_adjoint(node, slot, g))
                yield blame, spoiled, "gradient not finite"
                return
    over = next(node for node in reversed(facts.order) if not isfinite(adjoint[node]))
    what = f"what reaches {facts.name(over)} is finite way by way, but not when added up"
    yield Blame(over, "infinite gradient", what, "scale the loss"), spoiled, "gradient not finite"


def hidden_slope(facts: Facts) -> Found:
    """An infinite slope that an adjoint of 0 hides, though no branch was passed over."""
    found = list(hidden_slopes(facts.adjoint))
    if found:
        behind = set(graph.toposort(*(graph.raw_operands(node)[slot] for node, slot in found)))
        suffering = [p for p in facts.watched if p in behind]
        if suffering:
            blame = Blame(found[0][0], "hidden slope", *of_hidden(*found[0]))
            yield blame, suffering, "gradient that may be wrong"


def added_up(facts: Facts) -> Found:
    """Gradients that earlier backward passes left."""
    wrong, passes = gathered(facts.order, facts.adjoint, facts.watched)
    if not wrong:
        return
    p, has, g = max(wrong, key=lambda found: abs(found[1] - found[2]))
    of = f"{passes} passes" if passes else f"{has - g:.6g} comes from passes before"
    what = f"{facts.name(p)}.grad is {has:.6g}, this loss gives {g:.6g}: {of}"
    advice = (
        "set gradients to 0 before each backward pass: optimizer.zero_grad() or model.zero_grad(); where the sum over "
        "several losses is meant, diagnose their sum"
    )
    yield Blame(p, "gradients added up", what, advice), [p for p, *_ in wrong], "gradient of several passes"


def gathered(
    order: Sequence[Value], adjoint: Mapping[Value, float], leaves: Iterable[Value]
) -> tuple[list[tuple[Value, float, float]], int]:
    """The (leaf, its `.grad`, what one pass gives) where the two differ; and of how many passes it is, or 0."""
    if any(map(graph.is_stale, order)):
        return [], 0  # a step was taken since: the gradients are those of the numbers before
    reached = [p for p in leaves if p.is_leaf and adjoint.get(p)]
    pairs = list(zip(reached, grads_of(reached), (adjoint[p] for p in reached), strict=True))
    wrong = [
        (p, has, g) for p, has, g in pairs if has and isfinite(has) and abs(has - g) > 1e-9 * max(abs(has), abs(g))
    ]
    ratios = {round(has / g) for _, has, g in wrong if abs(has / g - round(has / g)) < 1e-9 * abs(has / g)}
    passes = min(ratios) if len(wrong) == len(pairs) and len(ratios) == 1 and min(ratios) > 1 else 0
    # Without a pass of this loss, `.grad` may hold the gradients of a step before, which are still to be set to 0.
    return (wrong, passes) if passes or grad_of(order[-1]) == 1.0 else ([], 0)


def symmetric(facts: Facts) -> Found:
    """Units that compute the same and get the same gradients, and so always will.

    Two nodes are alike that have the same operation, values and adjoint in all but which of the parameters they use.
    """
    watched = {p for p in facts.watched if p in facts.adjoint}
    if not (facts.given or any(isinstance(p, Parameter) for p in watched)):
        return  # leaves that are equal may be inputs
    form: dict[Value, int] = {}  # equal for nodes that compute the same, parameters compared by their values
    own: dict[Value, int] = {}  # the same with parameters compared by identity
    forms: dict[Any, int] = {}
    alike: dict[tuple[int, float], list[Value]] = {}
    for node in facts.order:
        if node.is_leaf:
            form[node] = forms.setdefault((number_of(node) if node in watched else node), len(forms))
            own[node] = forms.setdefault(node, len(forms))
            continue
        operands = graph.raw_operands(node)
        for keys in (form, own):
            key = (node.op, *((x,) if type(x) is float else keys[x] for x in operands))
            keys[node] = forms.setdefault(key, len(forms))
        uses = node.op in ("dot", "add", "sub", "sum") and any(x in watched for x in operands if type(x) is not float)
        if uses and facts.adjoint[node] != 0.0 and form[node] != own[node]:
            alike.setdefault((form[node], facts.adjoint[node]), []).append(node)
    seen: set[Value] = set()
    for nodes in alike.values():
        # a unit that occurs twice, as in two examples, is one; two that share a weight are not equal by chance
        units = list({own[node]: node for node in nodes}.values())
        mine = [p for node in units for p in graph.raw_operands(node) if type(p) is not float and p in watched]
        if len(units) > 1 and len(set(mine)) == len(mine) and seen.isdisjoint(mine):
            seen.update(mine)
            names = ", ".join(map(facts.name, units[:4])) + (", ..." if len(units) > 4 else "")
            what = f"{len(units)} units ({names}) have equal weights and get equal gradients"
            advice = "start the weights at random (as ag.MLP does): equal units stay equal for ever, and count as one"
            blame = Blame(units[0], "symmetric initialisation", what, advice)
            yield blame, facts.unit(units), "gradients equal, unit by unit"


def _bad(x: float) -> str:
    return "NaN" if x != x else "infinite"
