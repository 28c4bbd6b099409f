"""minimize: parameters of every form, all methods, programs or scalars, all or nothing, interrupts, reasons."""

import random
import signal
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.training.minimizing import METHODS

SCALAR = ["lbfgs", "newton", "trust"]


def rosenbrock(p):
    return ag.sum([(1.0 - a) ** 2 + 100.0 * (b - a * a) ** 2 for a, b in pairwise(p)])


def start():
    return [ag.Parameter(x) for x in (-1.2, 1.0, 0.5)]


def numbers(p):
    return [x.item() for x in p]


# --- what is found ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", ["auto", "numpy", False])
@pytest.mark.parametrize("method", SCALAR)
def test_the_minimum_is_found(method, compiled):
    p = start()
    found = ag.minimize(rosenbrock, p, method, compiled=compiled, progress=False)
    assert numbers(p) == pytest.approx([1.0] * 3, abs=1e-9)
    assert numbers(p) == found.x.tolist()
    assert found.loss == rosenbrock(p).item()
    assert (found.converged, found.method) == (True, method)
    assert 0 < found.iterations <= found.evaluations + 25
    assert all(x.grad == 0.0 for x in p)
    assert f"Minimum(loss={found.loss:.6g}, stopped=" in repr(found)


@pytest.mark.parametrize("compiled", ["auto", "numpy", False])
def test_residuals_against_curve_fit(compiled):
    from scipy.optimize import curve_fit

    t = np.linspace(0.0, 4.0, 30)
    seen = 3.0 * np.exp(-0.7 * t) + 0.5 + 0.05 * np.sin(17.0 * t)
    p = [ag.Parameter(x) for x in (1.0, 1.0, 0.0)]
    found = ag.minimize(lambda: p[0] * np.exp(-p[1] * t) + p[2] - seen, p, "lm", compiled=compiled, progress=False)
    theirs, covariance = curve_fit(lambda t, a, k, c: a * np.exp(-k * t) + c, t, seen, (1.0, 1.0, 0.0), ftol=1e-15)
    assert numbers(p) == pytest.approx(theirs, rel=1e-7)
    assert found.covariance == pytest.approx(covariance, rel=1e-5)
    assert found.loss == pytest.approx(float(found.residuals @ found.residuals))
    assert found.jacobian.shape == (30, 3)


def test_the_last_digits():
    """The loss is flat at its minimum to half of the digits; Newton's steps give the others."""
    for method in ("newton", "trust"):
        x = ag.Parameter(2.0)
        ag.minimize(lambda x: ag.exp(x) - 3.0 * x, x, method, progress=False)
        assert x.item() == pytest.approx(np.log(3.0), rel=3e-16)
    a = ag.Parameter(1.0)
    seen = [2.7, 7.1, 20.8]
    ag.minimize(lambda: [ag.exp(a * k) - y for k, y in enumerate(seen, 1)], a, "lm", progress=False)
    slope = ag.grad(lambda a: ag.sum([(ag.exp(a * k) - y) ** 2 for k, y in enumerate(seen, 1)]))(a.item())
    assert abs(slope) < 1e-11


@pytest.mark.parametrize("method", ["newton", "trust"])
def test_many_parameters_go_by_products_of_the_hessian(method):
    p = [ag.Parameter(0.0) for _ in range(320)]
    found = ag.minimize(
        lambda: ag.sum([ag.exp(a) - (k % 7) * a for k, a in enumerate(p, 1)]) + 1e-3 * ag.sum([a * a for a in p]),
        p, method, progress=False,
    )  # fmt: skip
    assert found.stopped
    slope = ag.gradients(ag.sum([ag.exp(a) - (k % 7) * a + 1e-3 * a * a for k, a in enumerate(p, 1)]), p)
    assert np.max(np.abs(slope)) < 1e-4


def test_a_trust_region_crosses_where_the_loss_is_not_finite():
    """MGH17 of NIST, from afar: trial points overflow, and SciPy asks for the Hessian there too."""
    b = [ag.Parameter(x) for x in (50.0, 150.0, -100.0, 1.0, 2.0)]
    seen = [0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658]
    for compiled in ("auto", False):
        found = ag.minimize(
            lambda b: ag.sum([
                (b[0] + b[1] * ag.exp(-10.0 * k * b[3]) + b[2] * ag.exp(-10.0 * k * b[4]) - y) ** 2
                for k, y in enumerate(seen)
            ]),
            b, "trust", compiled=compiled, progress=False,
        )  # fmt: skip
        assert found.loss < 0.2


def test_a_plateau_is_not_called_a_minimum():
    x = ag.Parameter(60.0)  # far out, where the bell is flat; the minimum is at 0
    found = ag.minimize(lambda: 1.0 - ag.exp(-0.01 * x * x) + 1e-30 * x, x, "newton", progress=False)
    assert not found.converged
    assert "the largest slope is" in found.stopped


@pytest.mark.parametrize("method", SCALAR)
@pytest.mark.parametrize("f", [lambda x, y: x**4 - x * x + y * y, lambda x, y: x * y, lambda x, y: ag.cos(x) + y * y])
def test_a_start_where_the_gradient_is_0_and_the_loss_curves_down(f, method):
    p = [ag.Parameter(0.0), ag.Parameter(0.0)]
    found = ag.minimize(lambda: f(*p), p, method, progress=False)
    assert (found.stopped, numbers(p)) == ("the gradient is 0", [0.0, 0.0])


def test_variables_of_very_different_sizes():
    for method in SCALAR:
        a, b = ag.Parameter(500.0), ag.Parameter(1e-4)
        x, y = np.array([77.6, 239.9, 434.8, 760.0]), np.array([10.07, 29.61, 50.76, 81.78])
        found = ag.minimize(lambda: np.sum((a * (1.0 - np.exp(-b * x)) - y) ** 2), [a, b], method, progress=False)  # noqa: B023
        if method != "lbfgs":  # which has no second derivatives to scale by
            assert (a.item(), b.item()) == pytest.approx((239.0, 5.5e-4), rel=0.01)
        assert found.loss < 1e5


def test_fewer_residuals_than_parameters():
    p = [ag.Parameter(3.0), ag.Parameter(1.0)]
    found = ag.minimize(lambda: [p[0] * p[1] - 1.0], p, "lm", progress=False)
    assert p[0].item() * p[1].item() == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ValueError, match="1 residuals leave nothing to judge the errors of 2 parameters by"):
        _ = found.covariance


def test_parameters_that_the_residuals_do_not_tell_apart():
    for loss in (lambda p: [p[0] + p[1] - k for k in (1.0, 2.0, 4.0)], lambda p: [p[0] - k for k in (1.0, 2.0, 4.0)]):
        p = [ag.Parameter(0.0), ag.Parameter(0.5)]
        found = ag.minimize(loss, p, "lm", progress=False)
        assert found.loss == pytest.approx(14.0 / 3.0)
        assert np.isinf(found.covariance).all()
    for method in SCALAR:
        p = [ag.Parameter(0.0), ag.Parameter(0.5)]
        found = ag.minimize(lambda: (p[0] - 3.0) ** 2 + 1.0, p, method, progress=False)  # noqa: B023
        assert (p[0].item(), p[1].item(), found.loss) == (pytest.approx(3.0), 0.5, pytest.approx(1.0))


def test_a_network():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (40, 2))
    y = np.sign(X[:, 0] * X[:, 1])
    model = ag.MLP(2, [6, 1], activation="tanh", seed=1)
    found = ag.minimize(
        lambda m: ag.mean([(m(x) - t) ** 2 for x, t in zip(X.tolist(), y.tolist(), strict=True)]), model,
        progress=False, max_iter=300,
    )  # fmt: skip
    assert found.loss < 0.05
    assert (np.sign(model.predict(X)) == y).all()


def test_a_derivative_inside_the_loss():
    net = ag.MLP(1, [4, 1], activation="tanh", seed=2)
    slope = ag.grad(lambda t: net([t]))
    points = np.linspace(0.0, 1.0, 6).tolist()
    found = ag.minimize(
        lambda: ag.mean([(slope(t) + net([t])) ** 2 for t in points]) + (net([0.0]) - 1.0) ** 2, net, progress=False,
        max_iter=200,
    )  # fmt: skip
    assert found.backend in ("native", "numpy")
    assert net([0.5]).item() == pytest.approx(np.exp(-0.5), abs=0.01)


# --- parameters of every form -----------------------------------------------------------------------------------


@dataclass
class Pair:
    a: object
    b: object


class Line(ag.Module):
    def __init__(self):
        self.a, self.b = ag.Parameter(0.0), ag.Parameter(0.0)


def forms(a, b):
    line = Line()
    line.a, line.b = a, b
    return {
        "list": ([a, b], lambda p: p), "tuple": ((a, b), lambda p: p), "dict": ({"a": a, "b": b}, lambda p: p.values()),
        "nested": ({"x": [a, None], "y": (b,)}, lambda p: (p["x"][0], p["y"][0])), "set": ({a, b}, lambda p: (a, b)),
        "dataclass": (Pair(a, b), lambda p: (p.a, p.b)), "module": (line, lambda p: (p.a, p.b)),
        "array": (np.array([a, b], object), lambda p: p.tolist()), "iterator": (iter([a, b]), lambda p: p),
        "twice": ([a, b, a], lambda p: p[:2]), "modules": ([line], lambda p: (p[0].a, p[0].b)),
        "mixed": ({"net": line, "b": b}, lambda p: (p["net"].a, p["b"])),
    }  # fmt: skip


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("form", list(forms(1, 2)))
def test_parameters_in_any_container(form, closed):
    a, b = ag.Parameter(1.0), ag.Parameter(2.0)
    params, unpack = forms(a, b)[form]

    def loss(p):
        x, y = unpack(p)
        return (x - 3.0) ** 2 + (y - 4.0) ** 2 + x * y

    def of_nothing():
        return (a - 3.0) ** 2 + (b - 4.0) ** 2 + a * b

    found = ag.minimize(of_nothing if closed else loss, params, "newton", progress=False)
    assert (a.item(), b.item()) == pytest.approx((4.0 / 3.0, 10.0 / 3.0), rel=1e-12)
    assert len(found.x) == 2


def test_a_single_leaf_and_one_that_is_frozen():
    x, y = ag.Value(1.0), ag.Parameter(2.0)
    y.frozen = True
    found = ag.minimize(lambda: (x - y) ** 2, [x, y], progress=False)
    assert (x.item(), y.item(), len(found.x)) == (pytest.approx(2.0), 2.0, 1)
    assert ag.minimize(lambda p: (p - 5.0) ** 2, x, progress=False).loss < 1e-15
    assert ag.minimize(lambda p: [x - 7.0, x - 9.0], x, "lm", progress=False).loss == pytest.approx(2.0)


@pytest.mark.parametrize(
    "residuals",
    [
        lambda p, t: [p[0] * x + p[1] - x * x for x in t.tolist()],
        lambda p, t: p[0] * t + p[1] - t * t,
        lambda p, t: (p[0] * t + p[1] - t * t).reshape(2, 3),
        lambda p, t: {
            "first": [p[0] * x + p[1] - x * x for x in t[:3].tolist()],
            "rest": p[0] * t[3:] + p[1] - t[3:] ** 2,
        },
        lambda p, t: [*(p[0] * t + p[1] - t * t), 0.0],
    ],
)
def test_residuals_of_any_form(residuals):
    t = np.arange(6.0)
    p = ag.array([ag.Parameter(0.0), ag.Parameter(0.0)])
    ag.minimize(lambda: residuals(p, t), p, "lm", progress=False)
    assert numbers(p) == pytest.approx(np.polyfit(t, t * t, 1), rel=1e-10)


# --- what computes it -------------------------------------------------------------------------------------------


def branching(p):
    return sum(x * x if x > 0 else -3.0 * x for x in p)


def clipped(p):
    return max(p[0], p[1] * 2.0) ** 2 + sum(x * x for x in p)


def drawing(p):
    return ag.sum([x * x for x in p]) * (1.0 + 1e-9 * random.random())


def counting(p, calls=[0]):  # noqa: B006
    calls[0] += 1
    return ag.sum([x * x * (1.0 + 1e-12 * calls[0]) for x in p])


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (branching, "the comparison of a Value decides what the loss computes"),
        (clipped, "the comparison of a Value decides what the loss computes"),
        (drawing, "the loss draws at random, or is another one at each call"),
        (counting, "the loss draws at random, or is another one at each call"),
        (lambda p: p[0] ** 2 + round(p[0].data, 0) * 0.0 + p[1] ** 2 + p[2] ** 2, "the data of a Value decides"),
    ],
    ids=["branch", "max", "random", "counter", "read"],
)
def test_what_cannot_be_a_program_is_computed_by_the_scalars(loss, why):
    p = [ag.Parameter(x) for x in (1.5, -0.5, 2.0)]
    found = ag.minimize(loss, p, progress=False)
    assert found.backend.startswith(f"eager: {why}")
    assert found.loss < 20.0
    p = [ag.Parameter(x) for x in (1.5, -0.5, 2.0)]
    with pytest.raises(RuntimeError, match=r"minimize: compiled=True, but .*leave it at its default"):
        ag.minimize(loss, p, compiled=True)
    assert numbers(p) == [1.5, -0.5, 2.0]


def test_what_can_be_a_program_is_one():
    for compiled, backends in (("auto", ("native", "numpy")), (True, ("native", "numpy")), ("numpy", ("numpy",))):
        assert ag.minimize(rosenbrock, start(), compiled=compiled, progress=False).backend in backends
    assert ag.minimize(rosenbrock, start(), compiled=False, progress=False).backend == "eager"
    with ag.detect_anomaly():
        assert ag.minimize(rosenbrock, start(), progress=False).backend == "eager: inside detect_anomaly"
    chaos = random.Random(0)
    p = start()
    steps = [(chaos.choice([ag.sin, ag.tanh, ag.exp, ag.cos]), chaos.randrange(3)) for _ in range(1500)]

    def unlike():
        y = p[0]
        for f, k in steps:
            y = f(y * 0.3 - p[k])
        return y * y + ag.sum([x * x for x in p])

    assert ag.minimize(unlike, p, progress=False, max_iter=3).backend == "eager: the loss repeats too little"


def test_it_records_inside_no_grad():
    for compiled in ("auto", False):
        p = start()
        with ag.no_grad():
            assert ag.minimize(rosenbrock, p, "trust", compiled=compiled, progress=False).converged
        assert numbers(p) == pytest.approx([1.0] * 3)


# --- all or nothing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_an_error_in_the_loss_leaves_the_parameters(method):
    p, calls = start(), []

    def loss():
        calls.append(1)
        if len(calls) == 5:
            raise KeyError("mine")
        return [*p, p[0] * p[1] - 4.0] if method == "lm" else rosenbrock(p)

    with pytest.raises(KeyError, match="mine"):
        ag.minimize(loss, p, method, compiled=False, progress=False)
    assert numbers(p) == [-1.2, 1.0, 0.5]


@pytest.mark.parametrize("compiled", ["auto", False])
@pytest.mark.parametrize("method", METHODS)
def test_a_start_that_is_not_finite_is_refused(method, compiled):
    x = ag.Parameter(-1.0)
    f = (lambda: [ag.log(x), x]) if method == "lm" else (lambda: ag.log(x) + x)
    with pytest.raises(ValueError, match="minimize: at the start the loss is nan"):
        ag.minimize(f, x, method, compiled=compiled, progress=False)
    assert x.item() == -1.0
    y = ag.Parameter(0.0)
    f = (lambda: [ag.sqrt(y), y]) if method == "lm" else (lambda: ag.sqrt(y) + y)
    with pytest.raises(ValueError, match="not finite"):
        ag.minimize(f, y, method, compiled=compiled, progress=False)
    assert y.item() == 0.0


@pytest.mark.parametrize("compiled", ["auto", False])
@pytest.mark.parametrize("method", METHODS)
def test_a_step_to_where_the_loss_is_not_finite_is_not_taken(method, compiled):
    x = ag.Parameter(0.01)
    # a first step by the slope leads below 0, where the logarithm is NaN
    f = (lambda: [ag.log(x) - 1.0, 0.1 * x]) if method == "lm" else (lambda: 0.2 * x - ag.log(x))
    found = ag.minimize(f, x, method, compiled=compiled, progress=False)
    assert np.isfinite(found.loss)
    assert x.item() == pytest.approx(2.5474773 if method == "lm" else 5.0, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupt_keeps_the_best_so_far(method):
    p, calls, lowest = start(), [], [np.inf]

    def loss():
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        y = [10.0 * (p[1] - p[0] ** 2), 1.0 - p[0], p[2]] if method == "lm" else rosenbrock(p)
        lowest[0] = min(lowest[0], sum(r.data**2 for r in y) if method == "lm" else y.item())
        return y

    found = ag.minimize(loss, p, method, compiled=False, progress=True)
    assert (found.stopped, found.converged) == ("interrupted", False)
    assert found.loss == pytest.approx(lowest[0], rel=1e-15)
    assert numbers(p) == found.x.tolist()


def test_an_interrupt_before_the_first_loss_is_the_callers():
    p = start()

    def loss():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ag.minimize(loss, p)
    assert numbers(p) == [-1.2, 1.0, 0.5]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # one that comes in a destructor
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
@pytest.mark.parametrize("method", SCALAR)
def test_a_signal_at_any_moment(method):
    """Whatever the moment: the result is whole, or the parameters are as before."""
    ag.minimize(rosenbrock, start(), method, progress=False)  # all that is imported on the way is there
    handler = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        for delay in np.geomspace(2e-4, 0.2, 12):
            p = [ag.Parameter(-1.0) for _ in range(60)]
            signal.setitimer(signal.ITIMER_REAL, delay)
            try:
                found = ag.minimize(rosenbrock, p, method, progress=False)
                assert numbers(p) == found.x.tolist()
                assert found.loss == pytest.approx(rosenbrock(p).item(), rel=1e-9)
            except KeyboardInterrupt:
                assert numbers(p) == [-1.0] * 60
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
    finally:
        signal.signal(signal.SIGALRM, handler)


# --- reasons, and what is refused -------------------------------------------------------------------------------


def test_why_it_stopped():
    assert ag.minimize(rosenbrock, start(), max_iter=4, progress=False).stopped == "max_iter: 4 iterations"
    assert ag.minimize(rosenbrock, start(), max_iter=4, progress=False).iterations == 4
    for method in METHODS:
        p = start()
        f = (lambda: [10.0 * (p[1] - p[0] ** 2), 1.0 - p[0], p[2]]) if method == "lm" else (lambda: rosenbrock(p))  # noqa: B023
        found = ag.minimize(f, p, method, max_iter=1, progress=False)
        assert (found.stopped, found.converged) == ("max_iter: 1 iterations", False)
    found = ag.minimize(lambda p: rosenbrock(p) + 1.0, start(), tol=1e-3, progress=False)
    assert (found.stopped, found.converged) == ("the loss falls by less than 0.001 of itself", True)
    x = ag.Parameter(2.0)
    found = ag.minimize(lambda: (x - 2.0) ** 2 + 1.0, x, progress=False)
    assert (found.stopped, found.converged, found.iterations) == ("the gradient is 0", True, 0)
    x = ag.Parameter(2.0)
    found = ag.minimize(lambda: abs(x) + abs(x - 1.0) * 0.5, x, progress=False)  # a kink: no minimum of a smooth loss
    assert x.item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: ag.minimize(3, p), TypeError, "loss must be a function"),
        (lambda p: ag.minimize(rosenbrock, p, "adam"), ValueError, "'lbfgs', 'newton', 'trust', 'lm', got 'adam'"),
        (lambda p: ag.minimize(rosenbrock, p, max_iter=0), ValueError, "max_iter must be at least 1"),
        (lambda p: ag.minimize(rosenbrock, p, tol=-1.0), ValueError, "tol must be at least 0"),
        (lambda p: ag.minimize(rosenbrock, p, compiled="fortran"), ValueError, "compiled"),
        (lambda p: ag.minimize(lambda: p[0], []), ValueError, "nothing to change: no params"),
        (lambda p: ag.minimize(rosenbrock, [1.0, 2.0]), TypeError, "number 0 is float 1.0: make it an ag.Parameter"),
        (lambda p: ag.minimize(rosenbrock, np.zeros(3)), TypeError, "make it an ag.Parameter"),
        (lambda p: ag.minimize(lambda: p[0], [p[0] * 1.0]), ValueError, "only leaves"),
        (lambda p: ag.minimize(lambda: 3.0, p), TypeError, "not a Value"),
        (lambda p: ag.minimize(lambda: None, p), TypeError, "minimize: the loss"),
        (lambda p: ag.minimize(lambda: p, p), TypeError, 'must be one number, .*method="lm"'),
        (lambda p: ag.minimize(lambda: p[0] ** 2, p, "lm"), TypeError, "must give the residuals"),
        (lambda p: ag.minimize(rosenbrock, p, progress=False).covariance, ValueError, 'method="lm"; this is \'lbfgs\''),
    ],
)  # fmt: skip
def test_refusals(call, error, message):
    p = start()
    with pytest.raises(error, match=message):
        call(p)


def test_frozen_alone():
    x = ag.Parameter(1.0)
    x.frozen = True
    with pytest.raises(ValueError, match="all are frozen"):
        ag.minimize(lambda: x * x, x)


def test_the_bar(capsys):
    ag.minimize(rosenbrock, start(), progress=True)
    shown = capsys.readouterr().err
    assert "iteration" in shown
    assert "loss=" in shown
    ag.minimize(rosenbrock, start(), progress=False)
    assert not capsys.readouterr().err
