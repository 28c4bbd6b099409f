"""Initializers: uniform, normal, glorot and he, and the random generator of a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import sqrt
from operator import index
from typing import Any, TypeAlias

from autograd_lite.engine.checks import as_float, describe, did_you_mean, known_as
from autograd_lite.engine.rules import newest
from autograd_lite.names import InitializerName, Text

Initializer = Callable[[int, int, Any], float]
"""(inputs, outputs, random generator) -> one weight."""

Init: TypeAlias = InitializerName | Text | Initializer | float | None
"""What a layer takes for its first weights: a name, an initializer, or a number for every weight."""


def uniform(epsilon: float = 0.1) -> Initializer:
    """Weights from the uniform distribution over (-epsilon, epsilon).

    Args:
        epsilon: half the width.

    Returns:
        An initializer, for `init=`.

    Example:
        >>> neuron = ag.Neuron(3, init=ag.nn.uniform(0.5), seed=0)
        >>> all(abs(w.item()) < 0.5 for w in neuron.w)
        True

    Source: the training procedure NEURALNETTRAIN of the backpropagation slides, RAND(-epsilon, epsilon).
    """
    width = as_float(epsilon, "uniform: epsilon")
    return lambda n_in, n_out, rng: rng.uniform(-width, width)


def normal(std: float = 0.1) -> Initializer:
    """Weights from the normal distribution of mean 0.

    Args:
        std: its standard deviation.

    Returns:
        An initializer, for `init=`.

    Example:
        >>> ag.Neuron(3, init=ag.nn.normal(0.01), seed=0).n_in
        3
    """
    deviation = as_float(std, "normal: std")
    return lambda n_in, n_out, rng: rng.gauss(0.0, deviation)


def glorot() -> Initializer:
    """Weights uniform over (-a, a) with a = sqrt(6 / (n_in + n_out)), which keeps sigmoid and tanh out of saturation.

    Returns:
        An initializer, for `init=`.

    Example:
        >>> ag.Layer(3, 3, activation="tanh", init=ag.nn.glorot(), seed=0).n_out
        3

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
    """
    return lambda n_in, n_out, rng: rng.uniform(-1.0, 1.0) * sqrt(6.0 / (n_in + n_out))


def he() -> Initializer:
    """Weights normal with standard deviation sqrt(2 / n_in), which keeps the scale through layers of relu.

    Returns:
        An initializer, for `init=`.

    Example:
        >>> ag.Layer(3, 3, init=ag.nn.he(), seed=0).n_out
        3

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.
    """
    return lambda n_in, n_out, rng: rng.gauss(0.0, sqrt(2.0 / n_in))


INITIALIZERS: dict[str, Callable[..., Initializer]] = {"uniform": uniform, "normal": normal, "glorot": glorot, "he": he}


def initializer(init: Any, activation: Any) -> Initializer:
    """The initializer of a name, a number or a function; None: He's for the relu family, Glorot's for the rest."""
    if init is None:
        row = newest(activation) if isinstance(activation, str) else None
        return he() if row is not None and row.rectifies else glorot()
    if isinstance(init, str):
        if (found := known_as(init, INITIALIZERS)) is None:
            hint = did_you_mean(init, INITIALIZERS)
            raise ValueError(f"init: unknown initializer {init!r}; known are {', '.join(INITIALIZERS)}{hint}")
        return INITIALIZERS[found]()
    if callable(init):
        return init  # type: ignore[no-any-return]
    constant = as_float(init, "init", "give a name, a function of (n_in, n_out, rng), or a number for every weight")
    return lambda n_in, n_out, rng: constant


def generator(seed: Any) -> Any:
    """The random generator of a seed; without one `random` itself, so that random.seed() has its effect."""
    if seed is None:
        return random
    if seed is random or isinstance(seed, random.Random):
        return seed
    try:
        return random.Random(index(seed))
    except TypeError:
        raise TypeError(f"seed: expected a whole number, a random.Random or None, got {describe(seed)}") from None
