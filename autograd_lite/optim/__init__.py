"""Update rules: how gradients change parameters.

A rule is a chain of gradient transformations (transformations.py), as in optax: each turns gradients into updates,
vectors of n numbers, and has a state, a dict of vectors and numbers; nothing is changed in place. A user-defined rule
is a choice of them, or one more. `Optimizer` (optimizer.py) reads `.grad`, runs the chain, and writes parameters and
state in one call. Rules by name are in rules.py, learning-rate schedules in schedules.py, L-BFGS over SciPy, which is
not such a chain, in lbfgs.py; vectors.py lets all of it work without NumPy.
"""

from autograd_lite.optim.lbfgs import LBFGS
from autograd_lite.optim.optimizer import Optimizer, ParamGroup
from autograd_lite.optim.rules import (
    RULES,
    SGD,
    Adadelta,
    AdaGrad,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    NAdam,
    RAdam,
    RMSProp,
    RMSprop,
    Rprop,
)
from autograd_lite.optim.schedules import (
    Constant,
    CosineDecay,
    CosineRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LinearDecay,
    OneCycle,
    PiecewiseConstant,
    PolynomialDecay,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
)
from autograd_lite.optim.transformations import (
    AddDecay,
    AddDecayedWeights,
    AddSign,
    AverageWeights,
    ClipByGlobalNorm,
    ClipNorm,
    ClipValue,
    DivideByAllSquares,
    DivideByMeanSquare,
    Moments,
    Momentum,
    Piece,
    ScaleByAdadelta,
    ScaleByAdagrad,
    ScaleByAdam,
    ScaleByAdamax,
    ScaleByLion,
    ScaleByNAdam,
    ScaleByRAdam,
    ScaleByRMS,
    ScaleByRprop,
    Transform,
)

__all__ = [
    "LBFGS", "RULES", "SGD", "AdaGrad", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "AddDecay",
    "AddDecayedWeights", "AddSign", "AverageWeights", "ClipByGlobalNorm", "ClipNorm", "ClipValue", "Constant",
    "CosineDecay", "CosineRestarts", "DivideByAllSquares", "DivideByMeanSquare", "ExponentialDecay", "InverseTimeDecay",
    "LinearDecay", "Lion", "Moments", "Momentum", "NAdam", "OneCycle", "Optimizer", "ParamGroup", "Piece",
    "PiecewiseConstant", "PolynomialDecay", "RAdam", "RMSProp", "RMSprop", "ReduceOnPlateau", "Rprop",
    "ScaleByAdadelta", "ScaleByAdagrad", "ScaleByAdam", "ScaleByAdamax", "ScaleByLion", "ScaleByNAdam", "ScaleByRAdam",
    "ScaleByRMS", "ScaleByRprop", "StepDecay", "Transform", "WarmUp",
]  # fmt: skip


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)
