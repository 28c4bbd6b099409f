"""Losses: the slides' numbers, the edge cases, the exactness far out, and what is refused."""

import math

import numpy as np
import pytest
from mpmath import exp, log, mpf, workdps

import autograd_lite as ag
from autograd_lite import losses

inf, nan = math.inf, math.nan


def value_and_slopes(loss, prediction, target):
    xs = [ag.Value(x) for x in np.atleast_1d(prediction).tolist()]
    out = loss(xs if len(xs) > 1 else xs[0], target)
    return out.item(), ag.gradients(out, xs)


def same(a, b, tolerance=1e-12):
    return a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= tolerance * abs(b)


def test_golden_losses(golden):
    case = golden["losses"]["squared"]
    value, slopes = value_and_slopes(losses.half_squared_error, case["o"], case["t"])
    assert value == pytest.approx(case["value"], abs=1e-15)
    assert slopes == pytest.approx(case["grad_o"], abs=1e-15)
    case = golden["losses"]["cross_entropy"]
    for target in (case["t"], 2, 2.0, np.int64(2), np.array(case["t"])):
        value, slopes = value_and_slopes(losses.cross_entropy, case["logits"], target)
        assert value == pytest.approx(case["value"], rel=1e-14)
        assert slopes == pytest.approx(case["grad_logits"], rel=1e-13)


def test_golden_hinge_and_squared(golden):
    for name in ("cs221_hinge_inside", "cs221_hinge_outside"):
        case = golden[name]
        w = [ag.Value(x) for x in case["w"]]
        loss = losses.hinge(ag.dot(w, case["phi"]), case["y"])
        assert (loss.item(), ag.gradients(loss, w)) == (case["loss"], case["grad_w"])
    case = golden["cs221_squared"]
    w = [ag.Value(x) for x in case["w"]]
    loss = losses.squared_error(ag.dot(w, case["phi"]), case["y"])
    assert (loss.item(), ag.gradients(loss, w)) == (case["forward"]["loss"], case["backward"]["w"])


CASES = [  # loss, prediction, target, value, derivative
    (losses.squared_error, 3.0, 3.0, 0.0, 0.0),
    (losses.absolute_error, 3.0, 3.0, 0.0, 0.0),
    (losses.absolute_error, 1.0, 3.0, 2.0, -1.0),
    (losses.huber, 0.0, 0.0, 0.0, 0.0),
    (losses.huber, 1.0, 0.0, 0.5, 1.0),
    (losses.huber, -3.0, 0.0, 2.5, -1.0),
    (losses.huber, inf, 0.0, inf, 1.0),
    (losses.hinge, 1.0, 1, 0.0, 0.0),  # the kink
    (losses.hinge, -1.0, -1, 0.0, 0.0),
    (losses.hinge, nan, 1, nan, nan),
    (losses.perceptron, 0.0, 1, 0.0, 0.0),  # the kink
    (losses.perceptron, 2.0, -1, 2.0, 1.0),
    (losses.binary_cross_entropy, 0.0, 1, inf, -inf),
    (losses.binary_cross_entropy, 1.0, 0, inf, inf),
    (losses.binary_cross_entropy, 1.0, 1, 0.0, -1.0),
    (losses.binary_cross_entropy, 0.0, 0, 0.0, 1.0),
    (losses.binary_cross_entropy, 1.5, 1, nan, nan),
    (losses.binary_cross_entropy, 1.5, 0, nan, nan),
    (losses.binary_cross_entropy, -0.5, 1, nan, nan),
    (losses.binary_cross_entropy, -0.5, 0, nan, nan),
    (losses.binary_cross_entropy, 1.5, 0.5, nan, nan),
    (losses.binary_cross_entropy, nan, 1, nan, nan),
    (losses.binary_cross_entropy, 1e-300, 0, 1e-300, 1.0),
    (losses.binary_cross_entropy_with_logits, inf, 1, 0.0, 0.0),
    (losses.binary_cross_entropy_with_logits, -inf, 1, inf, -1.0),
    (losses.binary_cross_entropy_with_logits, -inf, 0, 0.0, 0.0),
    (losses.binary_cross_entropy_with_logits, inf, 0, inf, 1.0),
    (losses.binary_cross_entropy_with_logits, 800.0, 1, 0.0, 0.0),
    (losses.binary_cross_entropy_with_logits, -800.0, 1, 800.0, -1.0),
]


@pytest.mark.parametrize("live", [False, True], ids=["number", "Value"])
@pytest.mark.parametrize(("loss", "p", "t", "value", "slope"), CASES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_edges(loss, p, t, value, slope, live):
    """The table of edge cases, with the target as a number and as a Value."""
    x = ag.Value(p)
    out = loss(x, ag.Value(t) if live else t)
    assert same(out.item(), value)
    assert same(ag.gradients(out, x), slope)
    if not live and isinstance(loss(p, t), float):
        assert same(loss(p, t), value)  # floats in, a float out


def test_second_derivatives():
    x = ag.Value(0.0)
    for loss, curvature in ((losses.huber, 1.0), (losses.squared_error, 2.0), (losses.half_squared_error, 1.0)):
        first = ag.gradients(loss(x, 0.0), x, create_graph=True)
        assert (first.item(), ag.gradients(first, x)) == (0.0, curvature)


@pytest.mark.parametrize("z", [-745.0, -40.0, -1e-9, 0.0, 0.3, 36.0, 40.0, 700.0])
@pytest.mark.parametrize("t", [0, 1, 0.25])
def test_logits_are_exact(z, t):
    """Value and derivative to a few units in the last place, where 1 - sigmoid has lost everything."""
    x = ag.Value(z)
    out = losses.binary_cross_entropy_with_logits(x, t)
    with workdps(700):
        true = t * log(1 + exp(-mpf(z))) + (1 - mpf(t)) * log(1 + exp(mpf(z)))
        slope = 1 / (1 + exp(-mpf(z))) - mpf(t)
    assert same(out.item(), float(true), 1e-15 * 4)
    assert ag.gradients(out, x) == pytest.approx(float(slope), rel=1e-14, abs=1e-16 if t == 0.25 else 0.0)


@pytest.mark.parametrize("gap", [0.0, 1.0, 40.0, 700.0])
def test_cross_entropy_is_exact(gap):
    """Right and sure by 40: the loss is 4e-18, which log(sum exp) - z would round to 0."""
    z = [ag.Value(5.0), ag.Value(5.0 + gap), ag.Value(4.0)]
    out = losses.cross_entropy(z, 1)
    with workdps(700):
        true = log(1 + exp(-mpf(gap)) + exp(-1 - mpf(gap)))
        total = exp(mpf(5)) + exp(mpf(5) + gap) + exp(mpf(4))
        slopes = [exp(mpf(5)) / total, -(exp(mpf(5)) + exp(mpf(4))) / total, exp(mpf(4)) / total]
    assert same(out.item(), float(true), 1e-13)  # the rounding of the gap is multiplied by its size
    assert ag.gradients(out, z) == pytest.approx([float(s) for s in slopes], rel=1e-13)


def test_cross_entropy_of_distributions():
    numbers, t = [1000.0, 999.0, -1000.0], [0.5, 0.25, 0.25]
    value, slopes = value_and_slopes(losses.cross_entropy, numbers, t)
    p = ag.softmax(numbers)
    assert value == pytest.approx(0.5 * math.log1p(math.exp(-1)) + 0.25 * (1 + math.log1p(math.exp(-1))) + 500.0783154)
    assert slopes == pytest.approx([a - b for a, b in zip(p, t, strict=True)])
    live = [ag.Value(x) for x in t]  # targets may be Values, and so may a label
    assert losses.cross_entropy([ag.Value(x) for x in numbers], live).item() == pytest.approx(value)
    for k in range(3):
        a, b = (losses.cross_entropy([ag.Value(x) for x in (1.0, 2.0, -3.0)], y) for y in (k, ag.Value(float(k))))
        assert a.item() == pytest.approx(b.item(), rel=1e-14)
    assert losses.cross_entropy([ag.Value(-inf), ag.Value(0.0)], 1).item() == 0.0
    assert losses.cross_entropy([3.0], 0) == 0.0


def test_sums_means_and_floats():
    p, t = [1.0, 5.0], [0.0, 2.0]
    assert losses.squared_error(p, t) == 10.0
    assert losses.mean_squared_error(p, t) == 5.0
    assert losses.half_squared_error(p, t) == 5.0
    assert losses.absolute_error(p, t) == 4.0
    assert losses.huber(p, t, delta=2.0) == 0.5 + 4.0
    assert losses.squared_error(1e200, 0.0) == inf
    assert losses.squared_error(np.array([1.0, 5.0]), np.array(t)) == 10.0


def test_penalties():
    model = ag.MLP(2, [2, 1], seed=0)
    weights = model.weights()
    assert len(weights) == 6
    penalty = losses.l2(weights, 0.25)
    penalty.backward()
    assert penalty.item() == pytest.approx(0.25 * sum(w.item() ** 2 for w in weights))
    assert [w.grad for w in weights] == pytest.approx([0.5 * w.item() for w in weights])
    assert model.layers[0].neurons[0].b.grad == 0.0
    zero = ag.Parameter(0.0)
    assert ag.gradients(losses.l1([zero, *weights], 2.0), zero) == 0.0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: losses.squared_error([1.0, 2.0], [1.0]), ValueError, "2 predictions but 1 targets"),
        (lambda: losses.squared_error([], []), ValueError, "no prediction"),
        (lambda: losses.squared_error(ag.Value(1.0), "a"), TypeError, "'a'"),
        (lambda: losses.squared_error(ag.Value(1.0), None), TypeError, "target 0"),
        (lambda: losses.hinge(ag.Value(1.0), 0), ValueError, "-1 or 1, got 0"),
        (lambda: losses.perceptron(ag.Value(1.0), 2), ValueError, "-1 or 1, got 2"),
        (lambda: losses.binary_cross_entropy(ag.Value(0.5), -1), ValueError, "got -1"),
        (lambda: losses.binary_cross_entropy_with_logits(ag.Value(0.5), 2), ValueError, "got 2"),
        (lambda: losses.cross_entropy([ag.Value(0.5), 1.0], 2), ValueError, "from 0 to 1, got 2"),
        (lambda: losses.cross_entropy([ag.Value(0.5), 1.0], -1), ValueError, "got -1"),
        (lambda: losses.cross_entropy([ag.Value(0.5), 1.0], 0.5), ValueError, "got 0.5"),
        (lambda: losses.cross_entropy([ag.Value(0.5), 1.0], nan), ValueError, "got nan"),
        (lambda: losses.cross_entropy([ag.Value(0.5), 1.0], [0.5, 0.6]), ValueError, "adds up to 1"),
        (lambda: losses.cross_entropy([ag.Value(0.5), 1.0], [-0.5, 1.5]), ValueError, "entry 0 is -0.5"),
        (lambda: losses.cross_entropy([ag.Value(0.5), 1.0], [1.0]), ValueError, "over 1 classes"),
        (lambda: losses.cross_entropy(ag.Value(0.5), 1), TypeError, "binary_cross_entropy_with_logits"),
        (lambda: losses.huber(ag.Value(0.5), 1, delta=0), ValueError, "delta"),
        (lambda: losses.l2([ag.Value(0.5)], -1), ValueError, "coefficient"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_every_loss_says_what_its_targets_are_and_its_docstring_too():
    assert set(losses.LOSSES) == {n for n in losses.__all__ if n.islower()} - {"l1", "l2"}
    for name, loss in losses.LOSSES.items():
        assert isinstance(loss.targets, losses.Targets)
        for part in ("Args:", "Returns:", "Raises:", "Example:", name):
            assert loss.__doc__.count(part) >= 1
    assert losses.hinge.targets.signed
    assert losses.binary_cross_entropy_with_logits.targets.threshold == 0.0
    with pytest.raises(ValueError, match=r"hinge: labels are -1 or 1, got 0; for labels 0 and 1 use 2 \* y - 1"):
        losses.hinge(0.5, 0)


# --- targets that a program is fed ---------------------------------------------------------------------------

FED = [
    (losses.hinge, 0.5, (1.0, -1.0), (0.0, 2.0, math.nan, math.inf)),
    (losses.perceptron, 0.5, (1.0, -1.0), (0.0, 0.5)),
    (losses.binary_cross_entropy, 0.25, (0.0, 1.0, 0.3), (2.0, -0.1, math.nan)),
    (losses.binary_cross_entropy_with_logits, 5.0, (0.0, 1.0, 0.3), (2.0, -1.0, math.inf)),
    (losses.cross_entropy, [0.3, -1.0, 2.0], (0.0, 1.0, 2.0), (3.0, -1.0, 0.5, math.nan)),
]


@pytest.mark.parametrize(("loss", "x", "right", "wrong"), FED, ids=lambda f: getattr(f, "__name__", ""))
def test_a_target_that_is_none_is_refused_and_makes_a_row_of_a_program_nan(loss, x, right, wrong):
    program = ag.compile(loss, batch=True)
    for t in right:
        value, slopes = ag.value_and_grad(lambda x, t=t: loss(x, t))(x)
        found, by_row = program.value_and_grad([x], [t])
        live, live_slopes = ag.value_and_grad(lambda x, t=t: loss(x, ag.Value(t)))(x)
        assert found == pytest.approx(value, rel=1e-14)
        assert by_row[0].tolist() == pytest.approx(slopes, rel=1e-14)
        assert live == pytest.approx(value, rel=1e-15)
        assert live_slopes == pytest.approx(slopes, rel=1e-15)
    for t in wrong:
        for target in (t, ag.Value(t)):
            with pytest.raises(ValueError, match=r"label|targets are"):
                loss(x, target)
        value, slopes = program.value_and_grad([x, x], [t, right[0]])
        assert math.isnan(value)
        assert np.isnan(slopes[0]).all()
        assert np.isfinite(slopes[1]).all()


@pytest.mark.parametrize("margin", [30.0, 37.0, 100.0, 700.0])
def test_a_sure_prediction_keeps_its_digits_in_a_program(margin):
    small = math.exp(-margin)
    value, (slopes,) = ag.compile(losses.cross_entropy, batch=True).value_and_grad([[margin, 0.0]], [0.0])
    assert value == pytest.approx(math.log1p(small), rel=1e-14)
    assert slopes.tolist() == pytest.approx([-small / (1.0 + small), small / (1.0 + small)], rel=1e-14)
    assert ag.compile(ag.log_softmax)([margin, 0.0])[0] == pytest.approx(-math.log1p(small), rel=1e-14)


@pytest.mark.parametrize("penalty", [losses.l1, losses.l2])
@pytest.mark.parametrize("wrong", [ag.Value(1.0), 3.0, None])
def test_a_penalty_on_what_is_no_sequence_is_refused(penalty, wrong):
    with pytest.raises(TypeError, match=rf"{penalty.__name__}: expected a sequence of Values, such as model\.weights"):
        penalty(wrong, 1.0)


def test_a_cross_entropy_of_no_logits_is_refused():
    with pytest.raises(ValueError, match="there are no logits"):
        losses.cross_entropy([], 0)


def test_a_distribution_with_a_value_in_it_stays_live():
    t = ag.Value(0.25)
    logits = [ag.Value(0.5), ag.Value(-1.0), ag.Value(2.0)]
    loss = losses.cross_entropy(logits, [t, 0.0, 0.75])
    log_p = ag.log_softmax([0.5, -1.0, 2.0])
    assert loss.item() == pytest.approx(-0.25 * log_p[0] - 0.75 * log_p[2])
    assert ag.gradients(loss, t) == pytest.approx(-log_p[0])
    assert losses.cross_entropy([1.0, 2.0], np.array(1)) == pytest.approx(math.log1p(math.exp(-1.0)))
