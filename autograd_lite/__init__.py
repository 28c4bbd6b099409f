"""autograd_lite: a scalar automatic-differentiation engine whose graph you can read.

    >>> import autograd_lite as ag
    >>> x = ag.Value(2.0, name="x")
    >>> y = x * x + ag.sin(x)
    >>> y.backward()
    >>> f"{y:.4f} {x.grad:.4f}"
    '4.9093 3.5839'

The stages, each built on those before it: engine/ (Value, the table of primitives, backward), derivatives/ (grad,
jacobian, hessian, ...), insight/ (explain, diagnose), folding/ (fold, compile), pictures/ (draw, step, quiz, explore,
tape, formula); and beside them arrays/ (array, NumPy's functions), linalg.py, nn/, losses.py, optim/, training/ (fit,
minimize), files.py (save, load), plot.py and sklearn.py.
"""

import sys
from functools import partial
from importlib import import_module
from typing import Any

from autograd_lite.derivatives.reverse import gradients
from autograd_lite.engine import checks as _checks
from autograd_lite.engine import functions as _functions
from autograd_lite.engine.modes import no_grad
from autograd_lite.engine.scopes import scope
from autograd_lite.engine.value import Parameter, Value

__version__ = "0.2.0"

if not getattr(sys, "_is_gil_enabled", lambda: True)():  # see engine/atomic.py: no other thread comes between
    raise ImportError(
        "autograd_lite: this Python runs without its global lock, on which it rests that all gradients or parameters "
        "change, or none; start it with the lock: python -X gil=1, or PYTHON_GIL=1 in the environment"
    )

_checks.load_arrays = partial(import_module, "autograd_lite.arrays")

_HOME = {
    "engine.value": "Parameter Value",
    "engine.modes": "no_grad",
    "engine.scopes": "scope",
    "engine.functions": " ".join(_functions.__all__),
    "engine.custom": "primitive",
    "engine.lookup": "lookup",
    "arrays": "array",
    "derivatives.reverse": "gradients",
    "derivatives.transforms": "grad hessian hvp jacobian jvp value_and_grad vjp",
    "derivatives.propagation": "propagate",
    "derivatives.checking": "gradcheck",
    "insight.explanation": "explain",
    "insight.diagnosis": "diagnose",
    "insight.anomaly": "detect_anomaly record_source source_of",
    "folding.program": "Program fold",
    "folding.tracing": "compile",
    "pictures.drawing": "draw",
    "pictures.stepper": "step",
    "pictures.explore": "explore",
    "pictures.quizzes": "quiz",
    "pictures.listing": "tape",
    "pictures.formulas": "formula to_sympy",
    "nn": "MLP Layer Module Network Neuron Perceptron",
    "training": "History fit",
    "training.minimizing": "minimize",
    "version_report": "versions",
    "files": "load save",
}
"""The public names by the module where they live; what is not imported above is loaded when it is first asked for,
which keeps the import short. Type checkers read __init__.pyi, which tools/make_stubs.py writes from this."""
_MODULES = ("linalg", "losses", "nn", "optim", "plot")
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [*_MODULE_OF, *_MODULES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    try:
        if name in _MODULE_OF:
            found = getattr(import_module(f"autograd_lite.{_MODULE_OF[name]}"), name)
        elif name in _MODULES:
            found = import_module(f"autograd_lite.{name}")
    except ModuleNotFoundError as error:  # the engine, derivatives of floats, pictures and optimizers do without NumPy
        if error.name is None or error.name.startswith("autograd_lite"):
            raise
        raise ModuleNotFoundError(_checks.needs(f"autograd_lite.{name}", error.name), name=error.name) from None
    if name not in _MODULE_OF and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
