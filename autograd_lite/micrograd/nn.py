"""micrograd's Module, Neuron, Layer and MLP, which draw their weights from `random` as micrograd's do."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from autograd_lite.micrograd.engine import Parameter, Value

__all__ = ["MLP", "Layer", "Module", "Neuron", "Value"]


class Module:
    """What has parameters."""

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        for p in self.parameters():
            p.grad = 0.0

    def parameters(self) -> list[Value]:
        """The parameters in order."""
        return []


class Neuron(Module):
    """Weights uniform over (-1, 1), a bias of 0, and relu unless `nonlin` is False.

    Example:
        >>> from autograd_lite.micrograd import Neuron
        >>> Neuron(2), len(Neuron(2).parameters())
        (ReLUNeuron(2), 3)
    """

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        # Parameters, so that a derivative of the network inside a loss keeps its dependence on them
        self.w: list[Value] = [Parameter(random.uniform(-1, 1)) for _ in range(nin)]
        self.b: Value = Parameter(0)
        self.nonlin: bool = nonlin

    def __call__(self, x: Sequence[Any]) -> Value:
        """The output for one example."""
        act = sum((wi * xi for wi, xi in zip(self.w, x, strict=False)), self.b)
        return act.relu() if self.nonlin else act  # type: ignore[return-value]

    def parameters(self) -> list[Value]:
        """The weights, then the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """Neurons that see the same inputs.

    Example:
        >>> from autograd_lite.micrograd import Layer
        >>> Layer(2, 2)
        Layer of [ReLUNeuron(2), ReLUNeuron(2)]
    """

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons: list[Neuron] = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        """The outputs for one example: a list of Values, or for a single neuron its Value."""
        out = [n(x) for n in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Value]:
        """Those of the neurons in order."""
        return [p for n in self.neurons for p in n.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(n) for n in self.neurons)}]"


class MLP(Module):
    """Layers one after another, relu in all but the last.

    Example:
        >>> import random
        >>> from autograd_lite.micrograd import MLP
        >>> random.seed(1337)
        >>> len(MLP(2, [16, 16, 1]).parameters())
        337
    """

    def __init__(self, nin: int, nouts: Sequence[int]) -> None:
        sizes = [nin, *nouts]
        last = len(nouts) - 1
        self.layers: list[Layer] = [Layer(sizes[i], sizes[i + 1], nonlin=i != last) for i in range(len(nouts))]

    def __call__(self, x: Sequence[Any]) -> Any:
        """The outputs for one example: a list of Values, or for a single output its Value."""
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Value]:
        """Those of the layers in order."""
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"
