"""autograd_lite: a scalar automatic-differentiation engine whose graph you can read.

    >>> import autograd_lite as ag
    >>> x = ag.Value(2.0, name="x")
    >>> y = x * x + ag.sin(x)
    >>> y.backward()
    >>> f"{y:.4f} {x.grad:.4f}"
    '4.9093 3.5839'

What a name is for: value.py (Value, Parameter), functions.py (exp, maximum, sum, ...), diff.py
(backward, gradients), transforms.py (grad, jacobian, hessian, ...), nn.py (networks), losses.py,
optim.py, training.py (fit), files.py (save, load), pictures/ (draw, tape, step, quiz), plot.py,
folding/ (fold, compile, lookup).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autograd_lite import functions as _functions
from autograd_lite.diff import gradients as gradients
from autograd_lite.value import Parameter as Parameter
from autograd_lite.value import Value as Value
from autograd_lite.value import no_grad as no_grad
from autograd_lite.value import scope as scope

if TYPE_CHECKING:  # `X as X` is how a type checker is told that a name is public
    from autograd_lite import losses as losses
    from autograd_lite import nn as nn
    from autograd_lite import optim as optim
    from autograd_lite import plot as plot
    from autograd_lite.checking import gradcheck as gradcheck
    from autograd_lite.diagnosis import diagnose as diagnose
    from autograd_lite.files import load as load
    from autograd_lite.files import save as save
    from autograd_lite.folding.lookup import lookup as lookup
    from autograd_lite.folding.program import Program as Program
    from autograd_lite.folding.program import fold as fold
    from autograd_lite.folding.tracing import compile as compile
    from autograd_lite.insight import explain as explain
    from autograd_lite.nn import MLP as MLP
    from autograd_lite.nn import Layer as Layer
    from autograd_lite.nn import Module as Module
    from autograd_lite.nn import Network as Network
    from autograd_lite.nn import Neuron as Neuron
    from autograd_lite.nn import Perceptron as Perceptron
    from autograd_lite.pictures import draw as draw
    from autograd_lite.pictures import quiz as quiz
    from autograd_lite.pictures import step as step
    from autograd_lite.pictures import tape as tape
    from autograd_lite.signatures import *  # noqa: F403
    from autograd_lite.training import History as History
    from autograd_lite.training import fit as fit
    from autograd_lite.transforms import grad as grad
    from autograd_lite.transforms import hessian as hessian
    from autograd_lite.transforms import hvp as hvp
    from autograd_lite.transforms import jacobian as jacobian
    from autograd_lite.transforms import jvp as jvp
    from autograd_lite.transforms import value_and_grad as value_and_grad
    from autograd_lite.transforms import vjp as vjp
    from autograd_lite.watching import detect_anomaly as detect_anomaly
    from autograd_lite.watching import record_source as record_source

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(_functions.__all__, "functions"),
    "gradcheck": "checking",
    "diagnose": "diagnosis",
    "explain": "insight",
    **dict.fromkeys(("detect_anomaly", "record_source"), "watching"),
    **dict.fromkeys(("grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"), "transforms"),
    **dict.fromkeys(("MLP", "Layer", "Module", "Network", "Neuron", "Perceptron"), "nn"),
    **dict.fromkeys(("History", "fit"), "training"),
    **dict.fromkeys(("load", "save"), "files"),
    **dict.fromkeys(("draw", "quiz", "step", "tape"), "pictures"),
    **dict.fromkeys(("Program", "fold"), "folding.program"),
    "compile": "folding.tracing",
    "lookup": "folding.lookup",
}
"""Where to find what is loaded when it is first asked for; importing the package stays quick."""
_MODULES = ("losses", "nn", "optim", "plot")

__all__ = ["Parameter", "Value", "gradients", "no_grad", "scope", *_HOME, *_MODULES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _HOME:
        found = getattr(import_module(f"autograd_lite.{_HOME[name]}"), name)
    elif name in _MODULES:
        found = import_module(f"autograd_lite.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
