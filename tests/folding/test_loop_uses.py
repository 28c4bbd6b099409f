"""Everything that programs can do, with loops in: uses, each over the zoo, and every primitive in a body."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from autograd_lite.folding import structures
from autograd_lite.folding.backends.native import jit
from autograd_lite.pictures.diagrams.programs import program_diagram
from tests.folding.loop_zoo import FOUND
from tests.helpers import folds
from tests.helpers.folds import by_backward as eager
from tests.helpers.parts import chequered

STEPS = 24

BACKENDS = ["numpy", pytest.param("native", marks=pytest.mark.skipif(bool(jit.why_not()), reason=jit.why_not()))]

WITH_LOOPS = [make for make, (_, loops) in FOUND.items() if loops]


@pytest.fixture(autouse=True)
def fresh_cache():
    structures.cache.known.clear()
    yield
    structures.cache.known.clear()


def numbers(xs):
    return [numbers(x) if isinstance(x, list) else x.item() for x in xs]


def assert_same(found, want, accuracy=1e-11):
    """NaN too where the graph has NaN."""
    folds.assert_same(found, want, accuracy, equal_nan=True)


def program_of(root, inputs, backend, **options):
    program = ag.fold(root, inputs=inputs, backend=backend, **options)
    program.loss_and_grad(program.theta, *map(numbers, inputs))
    assert program.backend.startswith(backend)
    return program


def run(program, inputs):
    return program.loss_and_grad(program.theta, *map(numbers, inputs))


# --- uses -------------------------------------------------------------------------------------------------


def as_eager(make, backend):
    root, inputs = make(STEPS)
    program = program_of(root, inputs, backend)
    assert_same(run(program, inputs), eager(root, program.params))


def value_alone(make, backend):
    root, inputs = make(STEPS)
    program = ag.fold(root, inputs=inputs, backend=backend)
    assert np.isclose(program(*map(numbers, inputs)), root.item(), rtol=1e-11)


def zero_factor(make, backend):
    """A derivative of 0 from above contributes 0, whatever the slopes below are."""
    root, inputs = make(STEPS)
    p = ag.Parameter(0.0)
    whole = ag.where(p > 1.0, root, p * 3.0) + p * root
    program = program_of(whole, inputs, backend)
    assert_same(run(program, inputs), eager(whole, program.params))


def overflowing(make, backend):
    """A sum of what overflows is what it is in the graph: inf, or finite where two large terms cancel."""
    root, inputs = make(STEPS)
    large = ag.Parameter(1e308)
    for whole in ((root * large) * 1e10, ag.sum([large, large, -large, root])):
        program = program_of(whole, inputs, backend)
        found, want = run(program, inputs), eager(whole, program.params)
        assert np.isclose(found[0], want[0], rtol=1e-11)
        assert np.array_equal(np.isfinite(found[1]), np.isfinite(want[1]))
        finite = np.isfinite(want[1])
        assert np.allclose(found[1][finite], want[1][finite], rtol=1e-9, atol=1e-11)


def changed(make, numbers):
    """The graph with other numbers in its parameters."""
    made, kind = [], ag.Parameter

    def parameter(number, **options):
        made.append(kind(numbers(len(made), number), **options))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ag, "Parameter", parameter)
        return make(STEPS)


def not_a_number(make, backend):
    """NaN in one parameter reaches what it reaches in the graph."""
    root, inputs = changed(make, lambda k, x: np.nan if k == 0 else x)
    program = program_of(root, inputs, backend)
    found, want = run(program, inputs), eager(root, program.params)
    assert np.isnan(found[0]) == np.isnan(want[0])
    assert np.array_equal(np.isnan(found[1]), np.isnan(want[1]))


def bound_again(make, backend):
    """Another graph of the structure takes the same program."""
    first = program_of(*make(STEPS), backend)
    root, inputs = changed(make, lambda k, x: x * 1.01)
    again = program_of(root, inputs, backend)
    assert again._folded is first._folded
    assert_same(run(again, inputs), eager(root, again.params), 1e-9)


def pickled(make, backend):
    root, inputs = make(STEPS)
    program = program_of(root, inputs, backend)
    value, gradient = run(program, inputs)
    again = pickle.loads(pickle.dumps(program))
    assert again.backend.startswith(backend)
    assert_same(run(again, inputs), (value, gradient), 1e-12)


def in_threads(make, backend):
    """Each call has the arguments of its own thread."""
    root, inputs = make(STEPS)
    program = program_of(root, inputs, backend)
    thetas = [program.theta * (1.0 + k / 1000) for k in range(8)]
    alone = [program.loss_and_grad(theta, *map(numbers, inputs)) for theta in thetas]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda theta: program.loss_and_grad(theta, *map(numbers, inputs)), thetas * 4))
    for (value, gradient), (want, slope) in zip(found, alone * 4, strict=True):
        assert value == want
        assert gradient.tobytes() == slope.tobytes()


SENSITIVE = {"logistic", "lorenz96", "newton", "adam", "gd", "nested"}
"""Recurrences that make a rounding error large, or leave a difference of nearly equal numbers."""


def single_precision(make, backend):
    root, inputs = make(STEPS)
    program = program_of(root, inputs, backend, dtype=np.float32)
    want = eager(root, program.params)
    value, gradient = run(program, inputs)
    assert np.isfinite(gradient).all()
    if make.__name__ not in SENSITIVE:
        assert_same((value, gradient), want, 2e-3)


def lanes_of_a_result(make, backend):
    """Several results; a call without a gradient leaves out what only the gradient needs."""
    root, inputs = make(STEPS)
    scaled = root * 2.0 + 1.0
    program = ag.fold([root, ag.sin(scaled)], inputs=inputs, backend=backend)
    both = program(*map(numbers, inputs))
    assert np.allclose(both, [root.item(), math.sin(scaled.item())], rtol=1e-10, atol=1e-10)
    alone = ag.fold(root, inputs=inputs, backend=backend)
    assert len(alone.plan(gradient=False).instructions) < len(alone.plan().instructions)


def second_derivatives(make, backend):
    """A product of the Hessian and a vector, as a program of the graph of the gradient."""
    root, inputs = make(12)
    params = ag.fold(root, inputs=inputs, backend="numpy").params
    slopes = ag.gradients(root, params, create_graph=True)
    direction = [math.cos(1.0 + k) for k in range(len(params))]
    along = ag.dot(slopes, direction)
    program = ag.fold(along, params=params, inputs=inputs, backend=backend)
    assert_same(run(program, inputs), eager(along, params), 1e-8)


def printed(make, backend):
    root, inputs = make(STEPS)
    program = ag.fold(root, inputs=inputs, backend=backend)
    for loop in program.plan().loops:
        assert f"loop of {loop.steps} steps" in str(program)
    assert bool(program.plan().loops) == ("loop of" in str(program))


def drawn(make, backend):
    root, inputs = make(STEPS)
    program = ag.fold(root, inputs=inputs, backend=backend)
    boxes = program_diagram(program.plan(), program.results, program.constants, 30, True).boxes
    for loop in program.plan().loops:
        assert f"{loop.steps} times" in [box.symbol for box in boxes]


OF_ONE_PROGRAM = as_eager, value_alone, not_a_number, bound_again, pickled, in_threads

OF_OTHERS = zero_factor, overflowing, single_precision, second_derivatives

OF_ANY_BACKEND = lanes_of_a_result, printed, drawn

each_loop = pytest.mark.parametrize("make", WITH_LOOPS, ids=lambda make: make.__name__)


@pytest.mark.parametrize(("make", "backend"), chequered(WITH_LOOPS, BACKENDS))
def test_uses_of_one_program(make, backend):
    for use in OF_ONE_PROGRAM:
        use(make, backend)


@pytest.mark.parametrize(("make", "use", "backend"), chequered(WITH_LOOPS, OF_OTHERS, BACKENDS))
def test_a_use_of_a_loop(make, use, backend):
    use(make, backend)


@each_loop
def test_uses_that_know_no_backend(make):
    for use in OF_ANY_BACKEND:
        use(make, "numpy")


# --- what a step may be made of ---------------------------------------------------------------------------

softplus = ag.primitive("softplus_of_the_loop_tests", lambda x: math.log1p(math.exp(x)),
                        lambda x, out: 1.0 / (1.0 + math.exp(-x)))  # fmt: skip

ONE = {name: getattr(ag, name) for name, row in TABLE.items() if hasattr(ag, name) and not row.variadic} | {
    "mod": lambda x: x % 0.7,
    "floor_divide": lambda x: x // 0.2 * 0.1,
    "round": lambda x: round(x, 1),
    "pow": lambda x: x**2.5,
    "user-defined": softplus,
    "polygamma": lambda x: ag.polygamma(1, 1.0 + x),
    "where": lambda x: ag.where(x > 0.5, x, 0.3 * x),
    "clamp": lambda x: ag.clamp(x, 0.2, 0.6),
    "heaviside": lambda x: ag.heaviside(x - 0.5, 0.5),
    "acosh": lambda x: ag.acosh(1.0 + x),
} | {
    name: lambda x, name=name: getattr(ag, name)(x, 0.4)
    for name in ("atan2", "hypot", "xlogy", "xlog1py", "logaddexp", "maximum", "minimum", "greater", "greater_equal",
                 "less", "less_equal", "equal", "not_equal")
} | {
    name: lambda x, name=name: getattr(ag, name)([x, 0.4, 0.5 * x])
    for name in ("sum", "prod", "mean", "max", "min", "norm", "logsumexp")
}  # fmt: skip


@pytest.mark.parametrize(("name", "backend", "lanes"), chequered([x for x in ONE if x != "dot"], BACKENDS, [1, 9]))
def test_each_primitive_in_a_loop(name, backend, lanes):
    """Also those that no machine code has: such a loop is run by NumPy calls, or on floats."""
    w = [ag.Parameter(0.31 + 0.02 * k) for k in range(2 * lanes)]
    h = list(w[:lanes])
    for _ in range(30):
        h = [0.2 + 0.5 * ag.tanh(ONE[name](0.1 + 0.6 * ag.sigmoid(x))) * v + 0.1 * h[k - 1]
             for k, (x, v) in enumerate(zip(h, w[lanes:], strict=True))]  # fmt: skip
    root = ag.sum([x * x for x in h])
    program = ag.fold(root, backend="numpy" if backend == "numpy" else "auto")
    assert_same(program.loss_and_grad(program.theta), eager(root, program.params))
    assert program.plan().loops
    assert_same(ag.fold(root, backend="numpy").loss_and_grad(program.theta), eager(root, program.params))
