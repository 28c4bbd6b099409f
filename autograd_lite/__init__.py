"""autograd_lite: a scalar automatic-differentiation engine whose graph you can read.

    >>> import autograd_lite as ag
    >>> x = ag.Value(2.0, name="x")
    >>> y = x * x + ag.sin(x)
    >>> y.backward()
    >>> f"{y:.4f} {x.grad:.4f}"
    '4.9093 3.5839'

What a name is for: value.py (Value, Parameter), functions.py (exp, maximum, sum, ...), diff.py
(backward, gradients), nn.py (networks), losses.py, optim.py, pictures/ (draw, tape).
"""

from typing import TYPE_CHECKING, Any

from autograd_lite import functions as _functions
from autograd_lite.diff import gradients
from autograd_lite.value import Parameter, Value, no_grad, scope

if TYPE_CHECKING:
    from autograd_lite.functions import *  # noqa: F403

__version__ = "0.1.0"

__all__ = [  # noqa: PLE0604
    "Parameter", "Value", "gradients", "no_grad", "scope", *_functions.__all__,
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Functions of the table are made when they are first asked for."""
    if name in _functions.__all__:
        made = globals()[name] = getattr(_functions, name)
        return made
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
