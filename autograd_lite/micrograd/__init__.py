"""micrograd's API on this engine: its programs and notebooks run with the import changed, and give their numbers.

    from autograd_lite.micrograd import MLP, Layer, Module, Neuron, Value
    from autograd_lite.micrograd.engine import Value      # or by micrograd's own two files
    from autograd_lite.micrograd.nn import MLP

The graphs are graphs of this package: `ag.draw(loss)`, `ag.explain(loss, x)` and `ag.gradients(loss, x)` read them.

Source: Andrej Karpathy, micrograd (https://github.com/karpathy/micrograd), MIT License.
"""

from autograd_lite.micrograd.engine import Value
from autograd_lite.micrograd.nn import MLP, Layer, Module, Neuron

__all__ = ["MLP", "Layer", "Module", "Neuron", "Value"]


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)
