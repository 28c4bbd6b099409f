"""Forward mode: tangents of a graph from the leaves up, as numbers or as Values."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, TypeAlias

from autograd_lite.derivatives.reverse import (
    accumulate,
    adjoint_graph,
    chain_product,
    is_traced,
    lasting,
    local_gradients,
    refuse_stale,
)
from autograd_lite.engine import functions, graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.graph import MANY
from autograd_lite.engine.modes import notify_read, tracing
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Value

Step: TypeAlias = tuple[int, int, float, float]


def tangents(roots: Sequence[Value], seeds: dict[Value, float]) -> dict[Value, float]:
    """Directional derivatives of the Values that roots were computed from, by one walk from the leaves up.

    t(node) = sum over the operand slots of local gradient * t(operand)

    A local gradient of exactly 0 contributes 0 whatever the tangent (never 0 * inf): the mirror of what the
    backward pass does with an adjoint of 0. Where a root's tangent still is not finite, the backward pass
    decides, so that both modes give the same.

    Args:
        roots: the Values whose derivatives are asked for.
        seeds: the tangents to start from, by Value; 0 for every other leaf.

    Returns:
        The tangent of every node that depends on a seed; what is missing has tangent 0.

    Example:
        >>> from autograd_lite.derivatives.forward import tangents
        >>> x, y = ag.Value(3.0), ag.Value(5.0)
        >>> z = x * y
        >>> tangents([z], {x: 1.0, y: 10.0})[z]
        35.0
    """
    nodes = graph.toposort(*roots)
    tangent: dict[Value, float] = push_forward(nodes, seeds)
    if not isfinite(sum(tangent.get(root, 0.0) for root in roots)):
        return _careful_tangents(nodes, roots, seeds)
    return tangent


def push_forward(nodes: Sequence[Value], seeds: dict[Value, Any]) -> dict[Value, Any]:
    """The walk of `tangents` alone, without the rule for 0 * inf: see afterwards whether the results are finite.

    Args:
        nodes: a graph, operands first.
        seeds: the tangents to start from, by Value.
    """
    if tracing:
        for node in nodes[-1:]:
            notify_read(node, "a derivative in numbers")
    tangent: dict[Any, Any] = dict(seeds)
    get = tangent.get
    inner = {x for x in seeds if x._a is not None}  # what these were computed from is beyond them
    for node in nodes:
        a = node._a
        if a is None or (inner and node in inner):
            continue
        b = node._b
        if b is None:
            t = get(a)
            if t is not None:
                tangent[node] = node._da * t
        elif b is MANY:
            parts = [d * t for x, d in zip(a, node._da, strict=True) if (t := get(x)) is not None]
            if parts:
                tangent[node] = sum(parts)
        else:
            t, s = get(a), get(b)
            if t is not None:
                tangent[node] = node._da * t if s is None else node._da * t + node._db * s
            elif s is not None:
                tangent[node] = node._db * s
    return tangent


def linear_steps(nodes: Sequence[Value], inputs: Sequence[Value]) -> tuple[dict[Value, int], list[Step]]:
    """The walk of `push_forward` from some leaves, written down once for many seeds.

    A step (i, j, d, e) stands for the next entry of a list of tangents, t.append(d * t[i] + e * t[j]). The list starts
    with a 0.0, for what depends on no input, and the tangents of the inputs.

    Args:
        nodes: a graph, operands first.
        inputs: leaves.

    Returns:
        The place in the list of each node that depends on an input, and the steps.
    """
    if tracing:
        for node in nodes[-1:]:
            notify_read(node, "a derivative in numbers")
    place: dict[Any, int] = {x: k for k, x in enumerate(inputs, 1)}
    get = place.get
    steps: list[Step] = []
    at = len(inputs)
    for node in nodes:
        a = node._a
        if a is None:
            continue
        b = node._b
        if b is None:
            i = get(a)
            if i is None:
                continue
            steps.append((i, 0, node._da, -0.0))  # -0.0 * t[0] is -0.0, which changes no sum, not even of zeros
        elif b is MANY:
            parts = [(k, d) for x, d in zip(a, node._da, strict=True) if (k := get(x)) is not None]
            if not parts:
                continue
            first, second, *others = *parts, (0, -0.0)
            steps.append((first[0], second[0], first[1], second[1]))
            for k, d in others:
                at += 1
                steps.append((at, k, 1.0, d))
        else:
            i, j = get(a), get(b)
            if i is None:
                if j is None:
                    continue
                steps.append((j, 0, node._db, -0.0))
            elif j is None:
                steps.append((i, 0, node._da, -0.0))
            else:
                steps.append((i, j, node._da, node._db))
        at += 1
        place[node] = at
    return place, steps


def _careful_tangents(nodes: Sequence[Value], roots: Sequence[Value], seeds: dict[Value, float]) -> dict[Value, float]:
    """The same walk where something is not finite: a factor of 0 contributes 0, and reverse mode settles the rest."""
    tangent = dict(seeds)
    product = TABLE["_chain"].value  # a local gradient of 0 hands nothing on
    for node in nodes:
        if node._row is None or node in seeds:
            continue
        slots = zip(graph.raw_operands(node), node._local_grads, strict=True)
        parts = [product(d, tangent[x]) for x, d in slots if type(x) is not float and x in tangent]
        if parts:
            tangent[node] = sum(parts)
    for root in roots:
        if not isfinite(tangent.get(root, 0.0)):
            adjoint = adjoints(root)
            tangent[root] = sum((g * t for x, t in seeds.items() if (g := adjoint.get(x, 0.0))), 0.0)
    return tangent


def tangent_graph(roots: Sequence[Value], seeds: dict[Value, Any]) -> dict[Value, Any]:
    """`tangents` as Values (floats where they are constant), which can be differentiated again.

    Where any tangent on the way is not finite the backward pass decides, and not only where a root's is not: a factor
    of 0 would hide a NaN here, and the next derivative would show it. In a trace, whose numbers will be others, it
    decides for a single root; of many roots it is only kept that a NaN has derivatives that are NaN.

    Args:
        roots: the Values whose derivatives are asked for.
        seeds: the tangents to start from, floats or Values, by Value.

    Returns:
        The tangent of every node that depends on a seed; what is missing has tangent 0 for every input.
    """
    nodes = graph.toposort(*roots)
    refuse_stale(nodes, seeds)
    traced = is_traced()
    tangent = dict(seeds)
    finite = not (traced and len(roots) == 1)
    for node in nodes if finite else ():
        row = node._row
        if row is None or node in seeds:
            continue
        operands = graph.raw_operands(node)
        slots = [i for i, x in enumerate(operands) if type(x) is not float and x in tangent]
        if not slots:
            continue
        partials = local_gradients(row, operands, node, slots)
        used = [(i, d) for i, d in zip(slots, partials, strict=True) if not (type(d) is float and d == 0.0)]
        if used:
            t = tangent[node] = accumulate([chain_product(row.chain, d, tangent[operands[i]]) for i, d in used])
            finite = finite and (traced or isfinite(graph.data_of(t)))
    if traced and finite:  # a backward pass for each of many roots would be too much
        along = functions.sum(list(seeds))
        for root in roots:
            if isinstance(tangent.get(root), Value):
                tangent[root] = lasting(tangent[root], along)
    if not finite:  # the backward pass knows the rules for 0 * inf
        for root in roots:
            adjoint = adjoint_graph(root, list(seeds), seeds)
            tangent[root] = functions.sum(
                chain_product(TABLE["_chain"], g, t) for g, t in zip(adjoint, seeds.values(), strict=True)
            )
    return tangent
