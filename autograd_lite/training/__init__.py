"""Training: `fit`, and what a callback, a metric or a reader of its history needs; `minimize` is in minimizing.py."""

from autograd_lite.history import History
from autograd_lite.training.fitting import fit
from autograd_lite.training.metrics import accuracy
from autograd_lite.training.run import Run

__all__ = ["History", "Run", "accuracy", "fit"]


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)
