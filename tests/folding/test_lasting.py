"""A derivative that is NaN at a call has derivatives that are NaN, though the trace saw numbers."""

import itertools
import math

import numpy as np
import pytest

import autograd_lite as ag
from tests.helpers.parts import chequered

pytestmark = pytest.mark.usefixtures("each_backend")

FUNCTIONS = {
    "1 / abs": lambda x: 1 / ag.abs(x),
    "sqrt of abs": lambda x: ag.sqrt(ag.abs(x)),
    "log of abs": lambda x: ag.log(ag.abs(x)),
    "abs / x": lambda x: ag.abs(x) / x,
    "atan2": lambda x: ag.atan2(x, 0.0),
    "1 / hypot": lambda x: 1 / ag.hypot(x, x),
    "1 / norm": lambda x: 1 / ag.norm([x, 2 * x]),
    "sqrt times abs": lambda x: ag.sqrt(x) * ag.abs(x),
    "sqrt of a square": lambda x: ag.sqrt(x * x),
    "acosh": lambda x: ag.acosh(1 + x),
    "asin": lambda x: ag.asin(1 - x),
    "cbrt cubed": lambda x: ag.cbrt(x) ** 3,
    "mod": lambda x: ag.mod(x, x),
    "product": lambda x: ag.prod([x, 1 / x, x]),
    "logsumexp": lambda x: ag.logsumexp([ag.log(x), x]),
    "essential": lambda x: ag.exp(-1 / (x * x)),
    "saturated": lambda x: ag.tanh(1 / x),
    "elu": lambda x: ag.elu(-1 / ag.abs(x)),
    # where a branch that is not taken has an infinite slope, the derivative stays a number
    "not taken": lambda x: ag.where(ag.greater(x, 0.0), ag.sqrt(x), x),
    "clamped": lambda x: ag.clamp(1 / x, -1.0, 1.0),
    "relu": lambda x: ag.relu(-1 / ag.abs(x)),
}


def forward(f):
    return lambda x: ag.jvp(f, x, 1.0)[1]


MODES = {"r": ag.grad, "f": forward}


def derivative(f, modes):
    for mode in modes:
        f = MODES[mode](f)
    return f


@pytest.mark.parametrize(("name", "order"), chequered(FUNCTIONS, [1, 2, 3]))
def test_derivatives_of_every_order_and_mode_are_those_of_the_graph(name, order):
    for modes in itertools.product("rf", repeat=order):
        f = derivative(FUNCTIONS[name], modes)
        compiled, batch = ag.compile(f), ag.compile(f, batch=True)
        compiled(1.25), batch([1.25, 2.0])
        for x in (0.0, -0.0):
            right, found = f(x), compiled(x)
            assert type(right) is float
            assert found == pytest.approx(right, nan_ok=True), (modes, x)
            assert batch([x, x]) == pytest.approx(right, nan_ok=True), (modes, x)


STEPS = {
    "floor": lambda x: ag.floor(ag.log(x)) + x * x,
    "sign": lambda x: ag.sign(ag.sqrt(x)) * x + x * x * x,
    "abs": lambda x: ag.abs(ag.log(x)) * x,
    "compared": lambda x: ag.greater(ag.log(x), 0.5) * x * x,
    "maximum": lambda x: ag.maximum(ag.log(x) * x, x * x),
    "relu": lambda x: ag.relu(ag.log(x)) * x,
    "mod": lambda x: ag.mod(ag.sqrt(x), 0.7) * x,
    "round": lambda x: ag.round(ag.log(x), 1) * x * x,
    "detached": lambda x: ag.log(x).detach() * x * x if isinstance(x, ag.Value) else ag.log(x) * x * x,
    "where": lambda x: ag.where(ag.log(x), x * x, x),
    "pole": lambda x: ag.floor(ag.digamma(x)) * x + x**3,
}


@pytest.mark.parametrize("name", STEPS)
def test_a_slope_of_0_is_that_of_the_call_and_not_of_the_trace(name):
    """Traced where a step's operand is NaN and called where it is not, and the other way round."""
    for modes in ("r", "f", "rr", "rf", "fr", "ff"):
        f = derivative(STEPS[name], modes)
        for start in (-1.0, 2.5):
            compiled = ag.compile(f)
            for x in (start, 2.5, -1.0, 0.3, math.nan, 2.5):
                assert compiled(x) == pytest.approx(f(x), nan_ok=True), (modes, start, x)


def test_of_many_roots_a_nan_stays_nan():
    f = ag.jacobian(forward(lambda x: [1 / ag.abs(x), x * x, ag.sin(x)]))
    compiled = ag.compile(lambda x: [row * 1.0 for row in f(x)])
    compiled(1.25)
    assert math.isnan(compiled(0.0)[0])
    np.testing.assert_allclose(compiled(0.0)[1:], [2.0, 0.0])


def test_a_loss_of_derivatives_is_that_of_the_graph():
    w = ag.Parameter(1.0)

    def loss(x):
        slope = ag.grad(lambda t: w / ag.abs(t))(x)
        return ag.relu(slope) + w * slope

    program = ag.compile(loss, params=[w])
    for x in (-1.0, 0.0, 2.0):
        value, gradient = program.loss_and_grad([1.0], x)
        right = loss(x)
        assert value == pytest.approx(right.item(), nan_ok=True)
        assert gradient.tolist() == pytest.approx([ag.gradients(right, w)], nan_ok=True)
