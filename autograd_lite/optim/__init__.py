"""Update rules: how gradients change parameters.

A rule is a chain of pieces. A piece turns gradients into updates, vectors of n numbers, and carries a
state of its own from step to step, a dict of vectors and numbers; it changes nothing in place. So a
rule of your own is a choice of pieces, or one piece more. `Optimizer` reads `.grad`, runs the
chain, and writes the parameters and the state in one go. Learning-rate schedules are in schedules.py.
"""

from autograd_lite.optim.optimizer import Optimizer
from autograd_lite.optim.pieces import (
    AddDecay,
    AddSign,
    ClipNorm,
    ClipValue,
    DivideByAllSquares,
    DivideByMeanSquare,
    Moments,
    Momentum,
    Piece,
)
from autograd_lite.optim.rules import SGD, AdaGrad, Adagrad, Adam, AdamW, RMSProp, RMSprop
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

__all__ = [
    "SGD", "AdaGrad", "Adagrad", "Adam", "AdamW", "AddDecay", "AddSign", "ClipNorm", "ClipValue", "Constant",
    "CosineDecay", "DivideByAllSquares", "DivideByMeanSquare", "ExponentialDecay", "InverseTimeDecay", "Moments",
    "Momentum", "Optimizer", "Piece", "PiecewiseConstant", "RMSProp", "RMSprop", "ReduceOnPlateau", "StepDecay",
    "WarmUp",
]  # fmt: skip
