"""Trace: net inputs, activations and deltas of every unit of a network for one example."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from autograd_lite.nn.module import to_number


class Trace:
    """What every unit of a network computed for one example, and after `backward` its delta, dJ/dz.

    Attributes:
        output: what the model gives: a Value, or a list of them.
        z: the net inputs z = w . a + b (the in_j of some slides, the a_i of others), as Values.
        a: the activations a = g(z), as Values.

    For an MLP z, a and delta are lists of layers, each a list of units (a[0] is the input, as numbers or Values);
    for a Network they are dicts by neuron.

    Example:
        >>> model = ag.MLP(2, [2, 1], activation="sigmoid", seed=1)
        >>> trace = model.trace([1.0, -1.0])
        >>> ag.losses.squared_error(trace.output, 1.0).backward()
        >>> unit = model.layers[0].neurons[0]
        >>> trace.delta[0][0] == unit.b.grad, trace.delta[0][0] * -1.0 == unit.w[1].grad
        (True, True)

    Source: the backpropagation slides (in_j, a_j, Delta_j); Hajij (delta_i); the notes "Working out
    backpropagation" (z and a of each layer).
    """

    output: Any
    z: Any
    a: Any

    def __init__(self, output: Any, z: Any, a: Any) -> None:
        self.output, self.z, self.a = output, z, a

    @property
    def delta(self) -> Any:
        """The Delta_j = dJ/dz_j of the last backward pass, as numbers; dJ/dw_ij is Delta_j a_i.

        Raises:
            RuntimeError: there was no backward pass yet; 0 would be a wrong answer.
        """
        if not self._backward:
            raise RuntimeError("delta: no backward pass has reached this trace yet; call loss.backward() first")
        if isinstance(self.z, dict):
            return {j: z.grad for j, z in self.z.items()}
        return [[z.grad for z in layer] for layer in self.z]

    @property
    def _backward(self) -> bool:
        """Whether a backward pass has reached any of the units: until then a node has no gradient, not even 0."""
        units = self.z.values() if isinstance(self.z, dict) else chain.from_iterable(self.z)
        return any(hasattr(z, "_grad") for z in units)

    def __repr__(self) -> str:
        def line(values: Iterable[Any]) -> str:
            return ", ".join(f"{to_number(v):.4g}" for v in values)

        known = self._backward
        if isinstance(self.z, dict):
            lines = [f"{j}: a={to_number(a):.4g}" for j, a in self.a.items() if j not in self.z]
            for j, z in self.z.items():
                lines.append(f"{j}: z={z:.4g} a={self.a[j]:.4g}" + (f" delta={z.grad:.4g}" if known else ""))
            return "\n".join(lines)
        lines = [f"input: a=[{line(self.a[0])}]"]
        for i, (layer, a) in enumerate(zip(self.z, self.a[1:], strict=True)):
            delta = f" delta=[{line([z.grad for z in layer])}]" if known else ""
            lines.append(f"layer {i}: z=[{line(layer)}] a=[{line(a)}]{delta}")
        return "\n".join(lines)
