"""Update rules: how gradients change parameters.

A rule is a chain of gradient transformations (transformations.py), as in optax: each turns gradients into updates,
vectors of n numbers, and has a state, a dict of vectors and numbers; nothing is changed in place. A user-defined rule
is a choice of them, or one more. `Optimizer` (optimizer.py) reads `.grad`, runs the chain, and writes parameters and
state in one call. Rules by name are in rules.py, learning-rate schedules in schedules.py.
"""

from autograd_lite.optim.optimizer import Optimizer
from autograd_lite.optim.rules import RULES, SGD, AdaGrad, Adagrad, Adam, AdamW, RMSProp, RMSprop
from autograd_lite.optim.schedules import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstant,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
)
from autograd_lite.optim.transformations import (
    AddDecay,
    AddDecayedWeights,
    AddSign,
    ClipByGlobalNorm,
    ClipNorm,
    ClipValue,
    DivideByAllSquares,
    DivideByMeanSquare,
    Moments,
    Momentum,
    Piece,
    ScaleByAdagrad,
    ScaleByAdam,
    ScaleByRMS,
    Transform,
)

__all__ = [
    "RULES", "SGD", "AdaGrad", "Adagrad", "Adam", "AdamW", "AddDecay", "AddDecayedWeights", "AddSign",
    "ClipByGlobalNorm", "ClipNorm", "ClipValue", "Constant", "CosineDecay", "DivideByAllSquares", "DivideByMeanSquare",
    "ExponentialDecay", "InverseTimeDecay", "Moments", "Momentum", "Optimizer", "Piece", "PiecewiseConstant", "RMSProp",
    "RMSprop", "ReduceOnPlateau", "ScaleByAdagrad", "ScaleByAdam", "ScaleByRMS", "StepDecay", "Transform", "WarmUp",
]  # fmt: skip


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)
