"""Networks of Values: Module, Perceptron, Neuron, Layer, MLP, Network, and how their weights begin.

A neuron is one `dot` node (weights, inputs, bias) and one activation node. A model is called with
one example; many at once go through `predict`, on plain floats, without a graph.
"""

from autograd_lite.nn.initializers import glorot, he, normal, uniform
from autograd_lite.nn.layers import MLP, Layer, Neuron
from autograd_lite.nn.module import Module
from autograd_lite.nn.network import Network
from autograd_lite.nn.perceptron import Perceptron
from autograd_lite.nn.trace import Trace

__all__ = ["MLP", "Layer", "Module", "Network", "Neuron", "Perceptron", "Trace", "glorot", "he", "normal", "uniform"]


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)
