"""The names that arguments take, as types, so that an editor offers them.

Written by tools/make_stubs.py from the tables of losses, optimizers and so on: change those, and run it again.
"""

from typing import Literal, Protocol


class Text(Protocol):
    """Any str. In a union `str` itself would swallow the names beside it, and an editor would offer none."""

    def isidentifier(self) -> bool:
        """As of a str."""
        ...


LossName = Literal[
    "squared_error",
    "mean_squared_error",
    "half_squared_error",
    "absolute_error",
    "huber",
    "hinge",
    "perceptron",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
]
OptimizerName = Literal[
    "sgd",
    "adam",
    "adamw",
    "adagrad",
    "rmsprop",
    "adadelta",
    "adamax",
    "nadam",
    "radam",
    "rprop",
    "lion",
]
ActivationName = Literal[
    "neg",
    "exp",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "cbrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "sigmoid",
    "log_sigmoid",
    "softplus",
    "relu",
    "leaky_relu",
    "elu",
    "silu",
    "gelu",
    "erf",
    "erfc",
    "ndtr",
    "log_ndtr",
    "ndtri",
    "erfinv",
    "lgamma",
    "digamma",
    "sinc",
    "logit",
    "exp2",
    "degrees",
    "radians",
    "sign",
    "abs",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "round",
    "linear",
    "identity",
]
InitializerName = Literal["uniform", "normal", "glorot", "he"]
BackendName = Literal["auto", "numpy", "native", "jax"]
