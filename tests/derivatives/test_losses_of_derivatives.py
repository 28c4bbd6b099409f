"""Derivatives inside a loss: physics-informed losses, gradient penalties, meta-learning.

A derivative of a function that uses Parameters stays part of the graph, by whatever transform it was taken: the
gradient of a loss of it in the Parameters is held to central differences, in which the derivative is a plain number.
"""

import math

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine import graph

STEP = 1e-5


def tanh_net(inputs=2, seed=3):
    return ag.MLP(inputs, [3, 1], activation="tanh", seed=seed)


def gradient(loss, params):
    """By backward."""
    for p in params:
        p.grad = 0.0
    loss().backward()
    return [p.grad for p in params]


def differences(loss, params):
    """Central differences of the loss in floats: inside no_grad derivatives are numbers."""
    found = []
    for p in params:
        middle, ends = p.item(), []
        for by in (STEP, -STEP):
            p.data = middle + by
            with ag.no_grad():
                y = loss()
            ends.append(y.item() if isinstance(y, ag.Value) else y)
        p.data = middle
        found.append((ends[0] - ends[1]) / (2 * STEP))
    return found


def leaves(x):
    """The numbers of an answer of lists, tuples, dicts and arrays."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (list, tuple)):
        return [y for part in x for y in leaves(part)]
    return x.ravel().tolist() if isinstance(x, np.ndarray) else [x]


X = np.array([0.4, -0.7])

DERIVATIVES = {
    "grad": lambda net: ag.grad(net)(X),
    "grad of a list": lambda net: ag.grad(net)([0.4, -0.7]),
    "grad of a dict": lambda net: ag.grad(lambda p: net([p["x"], p["y"]]))({"x": 0.4, "y": -0.7}),
    "grad of two arguments": lambda net: ag.grad(lambda x, y: net([x, y]), (0, 1))(0.4, -0.7),
    "value_and_grad": lambda net: ag.value_and_grad(net)(X),
    "has_aux": lambda net: ag.grad(lambda v: (v[0] * v[1], net(v)), has_aux=True)(X)[1],
    "jacobian": lambda net: ag.jacobian(lambda v: [net(v), v[0] * net(v)])(X),
    "jacobian of a dict": lambda net: ag.jacobian(lambda v: {"u": net(v), "w": np.array([v[0] * net(v)])})(X),
    "jacobian of two arguments": lambda net: ag.jacobian(lambda x, y: np.array([net([x, y]), x]), argnum=(0, 1))(
        0.4, 0.1
    ),
    "hessian": lambda net: ag.hessian(net)(X),
    "hvp": lambda net: ag.hvp(net, X, [1.0, -0.5]),
    "hvp as a transform": lambda net: ag.hvp(net)(X, [1.0, -0.5]),
    "jvp": lambda net: ag.jvp(net, X, [1.0, -0.5]),
    "vjp": lambda net: ag.vjp(lambda v: [net(v), net(v) * v[0]], X)[1]([1.0, 0.5]),
    "value of vjp": lambda net: ag.vjp(lambda v: [net(v), net(v) * v[0]], X)[0],
    "grad of grad": lambda net: ag.grad(ag.grad(lambda t: net([t, t * t])))(0.4),
    "grad of jvp": lambda net: ag.grad(lambda t: ag.jvp(lambda s: net([s, t]), 0.4, 1.0)[1])(0.3),
    "jvp of grad": lambda net: ag.jvp(ag.grad(net), X, [0.5, 1.0])[1],
    "jacobian of grad": lambda net: ag.jacobian(ag.grad(net))(X),
    "hessian of grad": lambda net: ag.hessian(ag.grad(lambda t: net([t, 0.2])))(0.4),
    "vjp of jacobian": lambda net: ag.vjp(ag.jacobian(net), X)[1]([0.5, 1.0]),
    "inner derivative of a constant": lambda net: ag.grad(lambda t: t * ag.grad(lambda s: net([s, 0.1]))(0.2))(0.4),
}


@pytest.mark.parametrize("derivative", DERIVATIVES.values(), ids=DERIVATIVES)
def test_a_loss_of_a_derivative_keeps_its_dependence_on_the_net(derivative):
    net = tanh_net()
    params = net.parameters()

    def loss():
        found = leaves(derivative(net))
        return ag.sum([(y - 0.1 * i) ** 2 for i, y in enumerate(found)])

    assert any(isinstance(y, ag.Value) for y in leaves(derivative(net)))
    np.testing.assert_allclose(gradient(loss, params), differences(loss, params), rtol=1e-6, atol=1e-8)
    with ag.no_grad():
        numbers = leaves(derivative(net))
    assert all(type(y) is float for y in numbers)
    assert numbers == pytest.approx(
        [y.item() if isinstance(y, ag.Value) else y for y in leaves(derivative(net))], rel=1e-12
    )


def test_a_tall_jacobian_in_a_graph_takes_a_walk_a_column():
    """60 residuals of a recurrence in 2 numbers: a row at a time the graph would have 60 times its length."""
    w = ag.Parameter(0.3)

    def f(v):
        out = [v[0] * w]
        for _ in range(59):
            out.append(ag.sin(out[-1]) * v[1])
        return out

    x = np.array([0.5, 0.9])
    found = ag.jacobian(f)(x)
    assert found.shape == (60, 2)
    assert len(graph.toposort(*found.ravel())) < 10 * len(graph.toposort(*f([ag.Value(t) for t in x])))
    params = [w]
    loss = lambda: ag.sum(leaves(ag.jacobian(f)(x)))  # noqa: E731
    np.testing.assert_allclose(gradient(loss, params), differences(loss, params), rtol=1e-7)
    empty = ag.jacobian(lambda v: [w * 1.0, w], create_graph=True)(np.zeros(0))
    assert empty.shape == (2, 0)
    assert ag.jacobian(lambda v: [w * 1.0, w])([]) == [[], []]


def test_the_loss_of_a_physics_informed_net():
    """The example of a first-order equation; the number is that of the same loss with Values as arguments."""
    net = tanh_net(1)
    u = lambda t: net([t])  # noqa: E731
    du = ag.grad(u)
    ((du(0.5) - 1.0) ** 2 + u(0.5) ** 2).backward()
    assert net.parameters()[0].grad == pytest.approx(-0.26446, abs=1e-5)


def test_the_wave_of_one_neuron_against_the_closed_form():
    """u = w2 tanh(w1 t): d/dw1 of (u''(t))**2."""
    w1, w2, t = ag.Parameter(0.7), ag.Parameter(1.3), 0.5
    (ag.grad(ag.grad(lambda s: w2 * ag.tanh(w1 * s)))(t) ** 2).backward()
    y = math.tanh(0.7 * t)
    second = 1.3 * 0.49 * -2 * y * (1 - y * y)
    slope = 1.3 * (2 * 0.7 * -2 * y * (1 - y * y) + 0.49 * t * (-2 * (1 - y * y) ** 2 + 4 * y * y * (1 - y * y)))
    assert w1.grad == pytest.approx(2 * second * slope, rel=1e-12)
    assert w2.grad == pytest.approx(2 * second * second / 1.3, rel=1e-12)


def test_meta_learning_through_a_step_of_training():
    """The loss after one step of gradient descent, in the first weights and in the rate of the step."""
    rate = ag.Parameter(0.3)
    first = [ag.Parameter(0.4), ag.Parameter(-0.2)]

    def inner(w, x, y):
        return (ag.tanh(w[0] * x) + w[1] - y) ** 2

    def loss():
        slope = ag.grad(inner)(first, 0.5, 1.0)
        after = [w - rate * g for w, g in zip(first, slope, strict=True)]
        return inner(after, -0.3, 0.2)

    params = [rate, *first]
    np.testing.assert_allclose(gradient(loss, params), differences(loss, params), rtol=1e-6)
    # and where the weights that are trained are floats, the gradient is live by the parameter in the inner loss
    scale = ag.Parameter(0.5)
    meta = lambda: ag.grad(lambda w: scale * w**3)(2.0) ** 2  # noqa: E731
    np.testing.assert_allclose(gradient(meta, [scale]), [2 * 0.5 * 144.0])


def trained(residual_of, compiled, epochs=8):
    """The net after some epochs of u' = -u, u(0) = 1: the residual is the model, the start a penalty."""
    net = tanh_net(1, seed=1)
    points = np.linspace(0.0, 1.0, 6)
    history = ag.fit(
        residual_of(net),
        points,
        np.zeros(6),
        parameters=net.parameters(),
        penalty=lambda _: (net([0.0]) - 1.0) ** 2,
        optimizer="adam",
        epochs=epochs,
        seed=0,
        batch_size=3,
        validation=(points, np.zeros(6)),
        compiled=compiled,
    )
    return [p.item() for p in net.parameters()], history.loss + history.validation_loss


@pytest.mark.parametrize("compiled", [False, True])
def test_training_on_a_derivative(compiled):
    """As floats the derivatives would be constants, and the training another one."""

    def of_numbers(net):
        def residual(x):
            x = x.item() if isinstance(x, ag.Value) and not compiled else x
            u, du = ag.value_and_grad(lambda t: net([t]))(x)
            return du + u

        return residual

    def of_values(net):  # the derivative by hand: u = b2 + sum of w2 tanh(w1 t + b1)
        def residual(x):
            hidden = net.layers[0]([x])
            outer = net.layers[1].neurons[0].w
            inner = [neuron.w[0] for neuron in net.layers[0].neurons]
            du = ag.sum([w2 * (1.0 - h * h) * w1 for w2, h, w1 in zip(outer, hidden, inner, strict=True)])
            return du + net([x])

        return residual

    found, losses = trained(of_numbers, compiled)
    expected, other = trained(of_values, False)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(losses, other, rtol=1e-9)


@pytest.mark.parametrize("compiled", [False, True])
def test_training_with_a_penalty_on_the_slope(compiled):
    """u(t) = w t: the penalty (u' - 2)**2 is (w - 2)**2, and pulls the weight by its own slope."""
    w = ag.Parameter(1.0)
    history = ag.fit(
        lambda x: w * x,
        [0.5],
        [0.0],
        parameters=[w],
        penalty=lambda _: (ag.grad(lambda t: w * t)(0.5) - 2.0) ** 2,
        optimizer=lambda p: ag.optim.SGD(p, 0.1),
        epochs=1,
        compiled=compiled,
    )
    assert history.loss == [pytest.approx(0.25 + 1.0)]
    assert w.item() == pytest.approx(1.0 - 0.1 * (2 * 0.5 * 0.5 - 2.0))


# --- when it is floats ------------------------------------------------------------------------------------


def test_what_makes_values_and_what_makes_floats():
    w, frozen, plain = ag.Parameter(3.0), ag.Parameter(3.0), ag.Value(3.0)
    frozen.frozen = True
    live = ag.grad(lambda x: w * x * x)
    assert isinstance(live(2.0), ag.Value)
    assert live(2.0).item() == 12.0
    assert repr(live(2.0)).startswith("Value(12.0")
    array = ag.grad(lambda v: w * v[0] * v[1])(np.array([2.0, 5.0]))
    assert [g.item() for g in array] == [15.0, 6.0]
    computed = w * 2.0  # before f runs: it depends on w all the same
    assert isinstance(ag.grad(lambda x: computed * x)(2.0), ag.Value)
    for constant in (frozen, plain, w.detach(), w.item()):
        assert type(ag.grad(lambda x, c=constant: c * x * x)(2.0)) is float
    with ag.no_grad():
        before = w * 2.0
        assert type(live(2.0)) is float
        assert type(live(ag.Value(2.0))) is float
        assert type(ag.grad(ag.grad(lambda x: w * x**3))(2.0)) is float
    assert type(ag.grad(lambda x: before * x)(2.0)) is float
    assert type(ag.grad(lambda x: 7.0)(2.0)) is float
    assert type(ag.grad(lambda x: x + 0.0 * plain)(2.0)) is float


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x, **how: ag.grad(f, **how)(x),
        lambda f, x, **how: ag.value_and_grad(f, **how)(x)[1],
        lambda f, x, **how: ag.jacobian(f, **how)(x),
        lambda f, x, **how: ag.hessian(f, **how)(x),
        lambda f, x, **how: ag.hvp(f, x, 1.0, **how),
        lambda f, x, **how: ag.hvp(f, **how)(x, 1.0),
        lambda f, x, **how: ag.hvp(f, x, ag.Value(1.0), **how),
        lambda f, x, **how: ag.jvp(f, x, 1.0, **how)[0],
        lambda f, x, **how: ag.jvp(f, x, ag.Value(1.0), **how)[1],
        lambda f, x, **how: ag.vjp(f, x, **how)[0],
        lambda f, x, **how: ag.vjp(f, x, **how)[1](ag.Value(1.0)),
        lambda f, x, **how: ag.vjp(f, x, **how)[1](1.0),
    ],
)
def test_create_graph_says_it_outright(call):
    w = ag.Parameter(3.0)
    for f in (lambda x: x**3, lambda x: w * x**3):
        for x in (2.0, ag.Value(2.0)):
            assert isinstance(call(f, x, create_graph=True), ag.Value)
            assert type(call(f, x, create_graph=False)) is float
            with ag.no_grad():
                assert isinstance(call(f, x, create_graph=True), ag.Value)
                assert type(call(f, x, create_graph=False)) is float
                assert type(call(f, x)) is float
    assert ag.gradients(call(lambda x: w * x**3, 2.0, create_graph=True), w) in (8.0, 12.0)


def test_scipy_around_a_net():
    minimize = pytest.importorskip("scipy.optimize").minimize
    net = tanh_net()

    def loss(v):
        return (net(v) - 0.3) ** 2 + 0.01 * ag.dot(v, v)

    def number(v):
        with ag.no_grad():
            return loss(v).item()

    plain = minimize(number, np.ones(2), jac=ag.grad(loss, create_graph=False))
    assert plain.success
    both = minimize(ag.value_and_grad(loss, create_graph=False), np.ones(2), jac=True)
    with ag.no_grad():
        quiet = minimize(lambda v: loss(v).item(), np.ones(2), jac=ag.grad(loss))
    np.testing.assert_array_equal(plain.x, quiet.x)
    np.testing.assert_array_equal(plain.x, both.x)
    direct = minimize(number, np.ones(2), jac=ag.grad(loss))
    np.testing.assert_array_equal(plain.x, direct.x)
    with pytest.raises(TypeError, match=r"would drop the gradient of this Value"):  # not a number that lost it
        minimize(number, np.ones(2), jac=lambda v: 1.0 * ag.grad(loss)(v))


def test_every_solver_of_scipy_gets_floats():
    """Called by SciPy itself, a derivative of a net is in numbers: of Values each solver failed in its own words."""
    optimize = pytest.importorskip("scipy.optimize")
    net = tanh_net()

    def residuals(v):
        return [net(v) - 0.3, 0.1 * v[0], 0.1 * v[1]]

    def loss(v):
        return ag.sum([r * r for r in residuals(v)])

    def numbers(f):
        def quiet(*args):
            with ag.no_grad():
                found = leaves(f(*args))
            found = [y.item() if isinstance(y, ag.Value) else y for y in found]
            return found[0] if len(found) == 1 else np.array(found)

        return quiet

    x, start = optimize.minimize(numbers(loss), np.ones(2), tol=1e-9).x, np.ones(2)
    found = [optimize.minimize(numbers(loss), start, jac=ag.grad(loss), method=m) for m in ("CG", "SLSQP", "L-BFGS-B")]
    for method in ("Newton-CG", "trust-exact", "trust-constr"):
        found.append(optimize.minimize(numbers(loss), start, jac=ag.grad(loss), hess=ag.hessian(loss), method=method))
    found.append(optimize.minimize(numbers(loss), start, jac=ag.grad(loss), hessp=ag.hvp(loss), method="Newton-CG"))
    found.append(optimize.minimize(ag.value_and_grad(loss), start, jac=True))
    for method in ("trf", "dogbox", "lm"):
        found.append(optimize.least_squares(numbers(residuals), start, jac=ag.jacobian(residuals), method=method))
    for result in found:
        np.testing.assert_allclose(result.x, x, atol=1e-3)
    square = lambda v: residuals(v)[:2]  # noqa: E731
    assert optimize.root(numbers(square), start, jac=ag.jacobian(square)).success
    one = lambda t: net([t, 0.0]) - net([0.3, 0.0])  # noqa: E731
    assert optimize.newton(numbers(one), 0.5, fprime=ag.grad(one), fprime2=ag.grad(ag.grad(one))) == pytest.approx(0.3)

    def inner(theta):  # a loss of a derivative that is minimized by SciPy: the derivative is not what SciPy asked for
        for p, number in zip(net.parameters(), theta, strict=True):
            p.data = number
        cost = (ag.grad(lambda t: net([t, 0.1]))(0.4) - 1.0) ** 2
        return cost.item(), ag.gradients(cost, net.parameters())

    theta = [p.item() for p in net.parameters()]
    assert optimize.minimize(inner, theta, jac=True).fun < 1e-9


def test_a_derivative_in_a_compiled_function_is_live():
    """As a float it would be fixed at the number of the first call."""
    w = ag.Parameter(3.0)
    transforms = [
        lambda f, at: ag.grad(f)(at),
        lambda f, at: ag.value_and_grad(f)(at)[1],
        lambda f, at: ag.jvp(f, at, 1.0)[1],
        lambda f, at: ag.vjp(f, at)[1](1.0),
        lambda f, at: ag.jacobian(f)(at),
        lambda f, at: ag.hvp(f, at, 1.0),
        lambda f, at: ag.hessian(f)(at),
    ]
    for derivative in transforms:
        f = lambda x, d=derivative: d(lambda t: w * t**3 * x, 2.0)  # noqa: E731
        program = ag.compile(f)
        for x in (2.0, 5.0):
            assert program(x) == pytest.approx(f(ag.Value(x)).item(), rel=1e-12)
        w.data += 1.0
        assert program(2.0) == pytest.approx(f(ag.Value(2.0)).item(), rel=1e-12)
    for how in (False, None):  # in floats it cannot be: refused

        def floats(x, how=how):
            if how is None:
                with ag.no_grad():
                    return x * ag.grad(lambda t: t * t * x)(3.0)
            return x * ag.grad(lambda t: t * t * x, create_graph=how)(3.0)

        with pytest.raises(RuntimeError, match=r"compile: .* would be fixed at its number in this trace"):
            ag.compile(floats)(2.0)
