"""Update rules and schedules: the golden traces, PyTorch's tables, composition, state, and what is refused."""

import copy
import json
import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import optim
from autograd_lite.optim import vectors
from tests.helpers.rules import EVERY_RULE

TORCH = json.loads(Path(__file__).with_name("torch_tables.json").read_text())
EPS = 1e-8

GOLDEN = {
    "sgd": lambda p, c: optim.SGD(p, c["lr"]),
    "momentum": lambda p, c: optim.SGD(p, c["lr"], momentum=c["momentum"]),
    "nesterov": lambda p, c: optim.SGD(p, c["lr"], momentum=c["momentum"], nesterov=True),
    "adagrad": lambda p, c: optim.Adagrad(p, c["lr"], eps=EPS),
    "rmsprop": lambda p, c: optim.RMSprop(p, c["lr"], alpha=c["decay"], eps=EPS),
    "adam": lambda p, c: optim.Adam(p, c["lr"], betas=c["betas"]),
    "adam_uncorrected": lambda p, c: optim.Adam(p, c["lr"], betas=c["betas"], corrected=False),
    "adamw": lambda p, c: optim.AdamW(p, c["lr"], betas=c["betas"], weight_decay=c["weight_decay"]),
}


def quadratic(p):
    return p[0] ** 2 + 10.0 * p[1] ** 2


def steps(optimizer, loss, count):
    rows = []
    for _ in range(count):
        optimizer.zero_grad()
        loss(optimizer.params).backward()
        optimizer.step()
        rows.append([p.item() for p in optimizer.params])
    return rows


def fresh():
    return [ag.Parameter(1.0, name="p0"), ag.Parameter(-2.0, name="p1")]


@pytest.mark.parametrize("rule", GOLDEN)
def test_golden_trace(golden, rule):
    case = golden["optimizers"][rule]
    rows = steps(GOLDEN[rule](fresh(), case), quadratic, 3)
    np.testing.assert_allclose(rows, case["trace"], rtol=0, atol=1e-12)


def test_every_golden_rule_is_tested(golden):
    rules = {name for name, case in golden["optimizers"].items() if isinstance(case, dict)}
    assert rules == GOLDEN.keys()


def network():
    """The table's network: the same weights in the same order."""
    table = TORCH["network"]
    model = ag.MLP(2, [3, 1], activation="tanh")
    rows = [row for layer in (table["hidden"], table["output"]) for row in layer]
    for neuron, row in zip([n for layer in model.layers for n in layer.neurons], rows, strict=True):
        for p, x in zip([*neuron.w, neuron.b], row, strict=True):
            p.data = x

    def loss(_):
        errors = [ag.losses.squared_error(model(x), y) for x, y in table["data"]]
        return ag.mean(errors)

    return model.parameters(), loss


@pytest.mark.parametrize("name", TORCH["rules"])
def test_against_pytorch(name):
    """Fifty steps from the same start, on a quadratic and on a small network; Lion is optax'."""
    case = TORCH["rules"][name]
    make = getattr(optim, case["rule"])
    rows = steps(make(fresh(), **case["settings"]), quadratic, 50)
    np.testing.assert_allclose(rows, case["quadratic"], rtol=1e-12, atol=1e-12)
    parameters, loss = network()
    rows = steps(make(parameters, **case["settings"]), loss, 50)
    np.testing.assert_allclose(rows, case["network"], rtol=1e-12, atol=1e-12)


OURS_ALONE = set()
"""Names of rules that PyTorch does not have, each with a test of its own."""


def test_every_rule_is_in_a_table():
    rules = {x for x in vars(optim).values() if isinstance(x, type) and issubclass(x, optim.Optimizer)}
    found = {case["rule"] for case in TORCH["rules"].values()}
    assert {x.__name__ for x in rules} - {"Optimizer"} == found | OURS_ALONE


def test_pytorch_defaults():
    p = fresh()
    assert [optim.Adam(p).lr, optim.AdamW(p).lr, optim.RMSprop(p).lr, optim.Adagrad(p).lr] == [1e-3, 1e-3, 1e-2, 1e-2]
    assert [optim.Adadelta(p).lr, optim.Adamax(p).lr, optim.NAdam(p).lr, optim.RAdam(p).lr] == [1.0, 2e-3, 2e-3, 1e-3]
    assert optim.AdaGrad is optim.Adagrad
    assert optim.RMSProp is optim.RMSprop


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_every_rule_goes_down(rule):
    p = fresh()
    steps(EVERY_RULE[rule](p), quadratic, 200)
    assert quadratic(p).item() < 0.05


def test_slides_weight_decay(golden):
    """w <- w - alpha Delta_j a_i - 2 alpha lambda w, from the gradients of the slides' network."""
    case = golden["dag_network"]
    for l2, after in ((0.0, case["after_sgd"]), (case["weight_decay"], case["after_sgd_with_decay"])):
        w = {k: ag.Parameter(x) for k, x in case["w"].items()}
        for k, p in w.items():
            p.grad = case["grad"][k]
        optim.SGD(w.values(), case["learning_rate"], l2=l2).step()
        for k, p in w.items():
            assert p.item() == pytest.approx(after[k], abs=1e-12)


@pytest.mark.parametrize("rule", [optim.SGD, optim.Adagrad, optim.RMSprop, optim.Adam])
def test_l2_weight_decay_and_penalty_agree(rule):
    """l2=a is a * sum w^2 in the loss, and twice that is PyTorch's weight_decay."""
    runs = []
    for settings, penalty in (({"l2": 0.05}, 0.0), ({"weight_decay": 0.1}, 0.0), ({}, 0.05)):
        loss = lambda p, a=penalty: quadratic(p) + ag.losses.l2(p, a) if a else quadratic(p)  # noqa: E731
        runs.append(steps(rule(fresh(), lr=0.01, **settings), loss, 10))
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-13)
    np.testing.assert_allclose(runs[0], runs[2], rtol=1e-12)


def test_decoupled_decay_is_something_else():
    coupled = steps(optim.Adam(fresh(), 0.1, weight_decay=0.1), quadratic, 5)
    decoupled = steps(optim.AdamW(fresh(), 0.1, weight_decay=0.1), quadratic, 5)
    assert not np.allclose(coupled, decoupled, atol=1e-3)


def test_clipping():
    p = fresh()
    for settings, expected in (({"clip_value": 1.0}, [1.0, -1.0]), ({"clip_norm": 5.0}, [3.0, -4.0]), ({}, [30, -40])):
        p[0].grad, p[1].grad = 30.0, -40.0
        before = [x.item() for x in p]
        optim.SGD(p, lr=1.0, **settings).step()
        assert [a - x.item() for a, x in zip(before, p, strict=True)] == pytest.approx(expected)
    p[0].grad, p[1].grad = 3e300, 4e300  # whose squares overflow
    before = [x.item() for x in p]
    optim.SGD(p, lr=1.0, clip_norm=5.0).step()
    assert [a - x.item() for a, x in zip(before, p, strict=True)] == pytest.approx([3.0, 4.0])
    p[0].grad, p[1].grad = 3.0, -4.0  # within the limits already
    before = [x.item() for x in p]
    optim.SGD(p, lr=1.0, clip_norm=5.5, clip_value=4.5).step()
    assert [a - x.item() for a, x in zip(before, p, strict=True)] == pytest.approx([3.0, -4.0])
    # clipping comes before decay, which it does not see
    p[0].grad = p[1].grad = 0.0
    p[0].data = p[1].data = 100.0
    optim.SGD(p, lr=0.1, clip_norm=1.0, weight_decay=1.0).step()
    assert [x.item() for x in p] == [90.0, 90.0]


def test_a_user_defined_rule():
    """The slides' "gradient update schedule": compose transformations, or add one."""

    class Sign:
        def init(self, n):
            return {"seen": 0}

        def update(self, g, state, w):
            return np.sign(g), {"seen": state["seen"] + 1}

    p = fresh()
    optimizer = optim.Optimizer(p, 0.25, Sign(), optim.AddDecayedWeights([0.0, 1.0]))
    assert steps(optimizer, quadratic, 2) == [[0.75, -1.25], [0.5, -0.6875]]
    assert optimizer.state_dict()["pieces"] == [{"piece": "Sign", "seen": 2}, {"piece": "AddDecayedWeights"}]
    chained = optim.Optimizer(fresh(), 0.1, optim.ScaleByAdam(), optim.AddDecayedWeights(0.1))
    assert steps(chained, quadratic, 5) == steps(optim.AdamW(fresh(), 0.1, weight_decay=0.1), quadratic, 5)


def test_the_names_of_earlier_versions_work():
    """`start` for `init`, also in a subclass of the protocol; the old classes; and states saved under their names."""

    class Old:
        def start(self, n):
            return {"seen": 10}

        def update(self, g, state, w):
            return np.sign(g), {"seen": state["seen"] + 1}

    class Derived(optim.Piece, Old):
        def start(self, n):
            return {"seen": 10}

        def update(self, g, state, w):
            return np.sign(g), {"seen": state["seen"] + 1}

    for kind in (Old, Derived):
        optimizer = optim.Optimizer(fresh(), 0.25, kind())
        assert steps(optimizer, quadratic, 2) == [[0.75, -1.75], [0.5, -1.5]]
        assert optimizer.state_dict()["pieces"] == [{"piece": kind.__name__, "seen": 12}]
        optimizer.load_state_dict(optimizer.state_dict())
    for old, new in optim.transformations.RENAMED.items():
        assert getattr(optim, old) is getattr(optim, new)
    chained = optim.Optimizer(fresh(), 0.1, optim.ClipNorm(5.0), optim.Moments(), optim.AddDecay(0.1))
    assert chained.pieces is chained.transforms
    assert chained.pieces[1].start(2)["t"] == 0
    steps(chained, quadratic, 3)
    state = chained.state_dict()
    for entry, name in zip(state["pieces"], ("ClipNorm", "Moments", "AddDecay"), strict=True):
        entry["piece"] = name
    twin = optim.Optimizer([ag.Parameter(p.item()) for p in chained.params], 0.3, *chained.transforms)
    twin.load_state_dict(state)
    assert steps(twin, quadratic, 3) == steps(chained, quadratic, 3)


def test_the_registry_holds_every_rule_by_its_name_in_any_case():
    rules = {x for x in vars(optim).values() if isinstance(x, type) and issubclass(x, optim.Optimizer)}
    assert set(optim.RULES.values()) == rules - {optim.Optimizer}
    assert all(rule.__name__.lower() == name for name, rule in optim.RULES.items())
    assert optim.rules.rule_named("AdaMW", "solver") is optim.AdamW
    assert {"sgd", "adam", "adamw", "adagrad", "rmsprop"} <= optim.RULES.keys()
    with pytest.raises(ValueError, match=f"solver must be one of {', '.join(optim.RULES)}, lbfgs, got str 'newton'"):
        optim.rules.rule_named("newton", "solver")


@pytest.mark.parametrize("rule", optim.RULES.values())
def test_weight_decay_for_each_parameter(rule):
    """The same as two optimizers, one with decay and one without."""
    both = rule(fresh(), lr=0.1, weight_decay=[0.0, 0.5])
    rows = steps(both, quadratic, 3)
    one, two = (steps(rule(fresh(), lr=0.1, weight_decay=d), quadratic, 3) for d in (0.0, 0.5))
    assert rows == [[a, b] for (a, _), (_, b) in zip(one, two, strict=True)]
    with pytest.raises(ValueError, match=r"weight_decay\[1\] must be at least 0"):
        rule(fresh(), lr=0.1, weight_decay=[0.0, -1.0])
    with pytest.raises(ValueError, match=rf"{rule.__name__}: weight_decay has 3 numbers, but there are 2 parameters"):
        rule(fresh(), lr=0.1, weight_decay=[0.0, 1.0, 1.0])
    with pytest.raises(
        ValueError, match=r"AddDecayedWeights: coefficient has shape \(3,\), but there are 2 parameters"
    ):
        optim.Optimizer(fresh(), 0.1, optim.AddDecayedWeights([0.0, 1.0, 1.0]))


def test_the_rule_is_a_pure_function_of_vectors():
    optimizer = optim.Adam(fresh(), 0.1, weight_decay=0.1)
    w, states = np.array([1.0, -2.0]), tuple(transform.init(2) for transform in optimizer.transforms)
    rows = []
    for _ in range(3):
        w, states = optimizer.advance(w, np.array([2.0, 20.0]) * w, states)
        rows.append(w.tolist())
    assert [p.item() for p in optimizer.params] == [1.0, -2.0]
    np.testing.assert_allclose(rows, steps(optim.Adam(fresh(), 0.1, weight_decay=0.1), quadratic, 3), rtol=1e-13)


# --- what it is given -----------------------------------------------------------------------------------


def test_frozen_parameters_and_what_is_remembered_of_them():
    p = fresh()
    optimizer = optim.SGD(p, 0.01, momentum=0.9, weight_decay=0.5)
    steps(optimizer, quadratic, 2)
    velocity = optimizer.state_dict()["pieces"][-1]["velocity"]
    p[0].frozen, before = True, p[0].item()
    p[0].grad = math.nan  # not looked at
    steps(optimizer, lambda q: 10.0 * q[1] ** 2, 2)
    assert p[0].item() == before
    after = optimizer.state_dict()["pieces"][-1]["velocity"]
    assert after[0] == velocity[0]
    assert after[1] != velocity[1]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda p: optim.SGD(p, -0.1), ValueError, "SGD: lr must be at least 0"),
        (lambda p: optim.SGD(p, math.nan), ValueError, "lr"),
        (lambda p: optim.Adam(p, math.inf), ValueError, "Adam: lr"),
        (lambda p: optim.SGD(p, "fast"), TypeError, "lr"),
        (lambda p: optim.SGD(p, 0.1, momentum=1.0), ValueError, "momentum must be in [0, 1)"),
        (lambda p: optim.SGD(p, 0.1, momentum=-0.1), ValueError, "momentum"),
        (lambda p: optim.SGD(p, 0.1, nesterov=True), ValueError, "nesterov"),
        (lambda p: optim.SGD(p, 0.1, l2=-1.0), ValueError, "l2"),
        (lambda p: optim.SGD(p, 0.1, clip_norm=0.0), ValueError, "clip_norm must be above 0"),
        (lambda p: optim.Adam(p, betas=(0.9, 1.0)), ValueError, "betas[1]"),
        (lambda p: optim.Adam(p, betas=(-0.1, 0.9)), ValueError, "betas[0]"),
        (lambda p: optim.Adam(p, betas=0.9), TypeError, "betas"),
        (lambda p: optim.Adam(p, eps=-1.0), ValueError, "eps"),
        (lambda p: optim.RMSprop(p, alpha=1.0), ValueError, "alpha"),
        (lambda p: optim.SGD([], 0.1), ValueError, "no parameters"),
        (lambda p: optim.SGD([p[0] * p[1]], 0.1), TypeError, "not a leaf: it is the result of 'mul'"),
        (lambda p: optim.SGD([1.0], 0.1), TypeError, "params[0]"),
        (lambda p: optim.SGD(p[0], 0.1), TypeError, "sequence"),
        (lambda p: optim.SGD("weights", 0.1), TypeError, "sequence"),
        (lambda p: optim.Optimizer(p, 0.1, "momentum"), TypeError, "a gradient transformation has init(n)"),
        (lambda p: setattr(optim.SGD(p, 0.1), "lr", -1.0), ValueError, "lr"),
        (lambda p: optim.SGD(p, lambda k: -1.0).step(), ValueError, "lr at step 0"),
        (lambda p: optim.StepDecay(0.1, every=0), ValueError, "every"),
        (lambda p: optim.StepDecay(0.1, every=1.5), TypeError, "every"),
        (lambda p: optim.ReduceOnPlateau(0.1, factor=1.0), ValueError, "factor"),
        (lambda p: optim.PiecewiseConstant([1], [0.1]), ValueError, "need 2 rates"),
        (lambda p: optim.OneCycle(0.1, 3), ValueError, "leave none to rise"),
        (lambda p: optim.CosineRestarts(0.1, 3, longer=0.5), TypeError, "CosineRestarts: longer"),
        (lambda p: optim.LinearDecay(0.1, 3, end=-1.0), ValueError, "LinearDecay: end"),
        (lambda p: optim.PolynomialDecay(0.1, 0), ValueError, "PolynomialDecay: steps"),
        (lambda p: optim.SGD(p, momentum=0.9, dampening=1.5), ValueError, "dampening must be in [0, 1]"),
        (lambda p: optim.SGD(p, momentum=0.9, nesterov=True, dampening=0.1), ValueError, "no dampening"),
        (lambda p: optim.Rprop(p, optim.Constant(0.1)), TypeError, "Rprop: lr is the first step"),
        (lambda p: optim.Rprop(p, etas=(1.5, 2.0)), ValueError, "etas[0]"),
        (lambda p: optim.Rprop(p, step_sizes=(1.0, 0.1)), ValueError, "step_sizes[1]"),
        (lambda p: optim.Rprop(p, step_sizes=3), TypeError, "step_sizes must be two numbers"),
        (lambda p: optim.SGD([{"params": p[:1]}, {"params": p}]), ValueError, "params[1]['params'][0] is in the group"),
        (lambda p: optim.SGD([{"params": p, "momentum": 0.9}]), ValueError, "for other settings".replace("for", "For")),
        (lambda p: optim.SGD([{"lr": 0.1}]), ValueError, "a group has 'params'"),
        (lambda p: optim.SGD([{"params": p, "lr": -0.1}]), ValueError, "lr must be at least 0"),
        (lambda p: optim.SGD([{"params": p, "weight_decay": -0.1}]), ValueError, "params[0]['weight_decay']"),
        (lambda p: optim.SGD([{"params": p[:1]}, p[1]]), TypeError, "params[1] must be a group like params[0]"),
        (lambda p: optim.SGD([{"params": [3.0]}]), TypeError, "params[0]['params'][0] must be a Parameter"),
        (lambda p: optim.SGD([{"params": []}]), ValueError, "no parameters"),
        (lambda p: optim.Optimizer([{"params": p, "l2": 0.1}], 0.1), ValueError, "may have 'lr'"),
        (lambda p: optim.SGD(p).averages, ValueError, "no average is kept"),
        (lambda p: optim.SGD(p).track_average().track_average(), ValueError, "there is an average already"),
        (lambda p: optim.SGD(p).track_average(1.0), ValueError, "decay must be in [0, 1)"),
        (lambda p: optim.LBFGS(p[0] * p[1]), TypeError, "a sequence of Parameters"),
        (lambda p: optim.LBFGS(p).step(3), TypeError, "closure must be a function"),
        (lambda p: optim.LBFGS(p).step(lambda: None), TypeError, "what closure returns"),
        (lambda p: optim.LBFGS(p, max_iter=0), ValueError, "LBFGS: max_iter"),
        (lambda p: optim.PiecewiseConstant([2, 1], [0.1, 0.1, 0.1]), ValueError, "rise"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error) as caught:
        call(fresh())
    assert words in str(caught.value)


# --- state ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_state_goes_over_to_another_optimizer_exactly(rule):
    p = fresh()
    one = EVERY_RULE[rule](p)
    steps(one, quadratic, 7)
    q = [ag.Parameter(x.item()) for x in p]
    two = EVERY_RULE[rule](q)
    two.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert steps(one, quadratic, 5) == steps(two, quadratic, 5)
    assert one.state_dict() == two.state_dict()


def test_state_of_another_kind_is_refused_and_nothing_changes():
    optimizer = optim.Adam(fresh(), 0.1)
    steps(optimizer, quadratic, 2)
    good = optimizer.state_dict()
    bad = []
    for change in (
        lambda s: s.pop("steps"),
        lambda s: s.update(more=1),
        lambda s: s.update(rule="SGD"),
        lambda s: s.update(lr=-1.0),
        lambda s: s.update(lr=None),
        lambda s: s.update(steps=1.5),
        lambda s: s["pieces"].pop(),
        lambda s: s["pieces"][0].pop("m"),
        lambda s: s["pieces"][0].update(m=[1.0]),
        lambda s: s["pieces"][0].update(t=-1),
        lambda s: s["pieces"][0].update(piece="Momentum"),
    ):
        bad.append(copy.deepcopy(good))
        change(bad[-1])
    for state in [*bad, 3, []]:
        with pytest.raises((TypeError, ValueError), match=r"Adam\.load_state_dict"):
            optimizer.load_state_dict(state)
        assert optimizer.state_dict() == good


def test_optimizers_copy_and_pickle():
    optimizer = optim.Adam(fresh(), 0.1)
    steps(optimizer, quadratic, 2)
    for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert twin.params[0] is not optimizer.params[0]
        assert steps(twin, quadratic, 1) == steps(copy.deepcopy(optimizer), quadratic, 1)


# --- schedules ------------------------------------------------------------------------------------------------


def test_golden_schedules(golden):
    case = golden["schedules"]
    for schedule, expected in (
        (optim.StepDecay(0.1, factor=0.5, every=2), case["step_decay"]),
        (optim.ExponentialDecay(0.1, factor=0.9), case["exponential_decay"]),
        (optim.InverseTimeDecay(0.1, rate=0.5), case["inverse_time"]),
    ):
        assert [schedule(k) for k in range(6)] == pytest.approx(expected, abs=1e-15)


def test_schedules_against_pytorch():
    table = TORCH["schedules"]
    for name, schedule in (
        ("StepLR", optim.StepDecay(0.1, factor=0.5, every=3)),
        ("ExponentialLR", optim.ExponentialDecay(0.1, 0.9)),
        ("CosineAnnealingLR", optim.CosineDecay(0.1, 11, floor=0.01)),
        ("CosineAnnealingWarmRestarts", optim.CosineRestarts(0.1, 5, longer=2, floor=0.01)),
        ("OneCycleLR", optim.OneCycle(0.5, 51)),
        ("OneCycleLR linear", optim.OneCycle(0.5, 51, rise=0.4, start=10, end=100, linear=True)),
        ("PolynomialLR", optim.PolynomialDecay(0.1, 40, power=1.5)),
        ("LinearLR", optim.LinearDecay(0.1, 30, end=0.02)),
        ("MultiStepLR", optim.PiecewiseConstant([5, 20, 21], [0.1, 0.05, 0.025, 0.0125])),
    ):
        assert [schedule(k) for k in range(len(table[name]))] == pytest.approx(table[name], rel=1e-12, abs=1e-17), name
    losses, rates = TORCH["plateau"]["losses"], TORCH["plateau"]["rates"]
    plateau = optim.ReduceOnPlateau(0.1, factor=0.5, patience=2)
    assert [plateau(k, losses[:k]) for k in range(len(losses))] == rates
    assert len(set(rates)) > 2


def test_cosine_decay_stays_at_its_floor():
    rate = optim.CosineDecay(0.5, steps=10, floor=0.1)
    assert [rate(k) for k in (0, 10, 11, 15, 20, 1000)] == pytest.approx([0.5] + [0.1] * 5, abs=1e-15)
    assert rate(5) == pytest.approx(0.3)


def test_warm_up_piecewise_constant():
    rate = optim.WarmUp(2, after=0.1)
    assert [rate(k) for k in range(4)] == [0.05, 0.1, 0.1, 0.1]
    assert optim.Constant(0.3)(7) == 0.3
    rate = optim.PiecewiseConstant([0, 3], [9.0, 1.0, 0.5])
    assert [rate(k) for k in range(5)] == [1.0, 1.0, 1.0, 0.5, 0.5]
    assert repr(optim.StepDecay(0.1)) == "StepDecay(lr=0.1, factor=0.5, every=10)"
    plateau = optim.ReduceOnPlateau(1.0, factor=0.5, patience=0)
    assert plateau(3, [math.nan, math.nan, 1.0]) == 0.25  # NaN is not progress
    assert plateau(2, [math.inf, 1.0]) == 0.5


def test_a_schedule_as_the_learning_rate_counts_steps():
    p = ag.Parameter(0.0)
    optimizer = optim.SGD([p], lr=optim.StepDecay(1.0, factor=0.5, every=2))
    rates = []
    for _ in range(4):
        rates.append(optimizer.lr)
        p.grad = 1.0
        optimizer.step()
    assert rates == [1.0, 1.0, 0.5, 0.5]
    assert p.item() == -3.0
    assert optimizer.steps == 4
    optimizer.lr = lambda k: 10.0 * k
    assert optimizer.lr == 40.0
    optimizer.lr = 0.1
    assert optimizer.lr == 0.1


def test_a_schedule_that_needs_losses_is_refused_where_there_are_none():
    with pytest.raises(TypeError, match=r"SGD: lr: ReduceOnPlateau needs the losses.* schedule="):
        optim.SGD([ag.Parameter(1.0)], lr=optim.ReduceOnPlateau(0.1))
    optimizer = optim.SGD([ag.Parameter(1.0)], lr=0.1)
    with pytest.raises(TypeError, match="ReduceOnPlateau"):
        optimizer.lr = optim.ReduceOnPlateau(0.1)
    assert optimizer.lr == 0.1


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (lambda g, s, w: g, "it returned ndarray"),
        (lambda g, s, w: (g[:1], s), r"updates of shape \(1,\)"),
        (lambda g, s, w: (1.0, s), r"updates of shape \(\)"),
        (lambda g, s, w: (g[:, None], s), r"updates of shape \(2, 1\)"),
        (lambda g, s, w: (g, None), "it returned tuple"),
        (lambda g, s, w: None, "it returned NoneType"),
    ],
)
def test_what_a_transformation_returns_is_checked(update, words):
    class Mine:
        def init(self, n):
            return {}

        def update(self, g, state, w):
            return update(g, state, w)

    p = [ag.Parameter(1.0), ag.Parameter(2.0)]
    optimizer = optim.Optimizer(p, 0.5, Mine())
    (p[0] * p[1]).backward()
    with pytest.raises(TypeError, match=r"Mine.update must return \(updates of shape \(2,\), a dict\), .*" + words):
        optimizer.step()
    assert [x.item() for x in p] == [1.0, 2.0]
    assert optimizer.steps == 0


def test_a_state_that_is_not_finite_is_refused_unless_it_is_allowed():
    optimizer, lax = optim.Adam(fresh(), 0.1), optim.Adam(fresh(), 0.1, allow_nonfinite=True)
    state = optimizer.state_dict()
    state["pieces"][0]["m"][0] = math.nan
    with pytest.raises(ValueError, match=r"Adam\.load_state_dict: \w+\.m holds a number that is not finite"):
        optimizer.load_state_dict(state)
    assert optimizer.state_dict()["pieces"][0]["m"][0] == 0.0
    lax.load_state_dict(state)
    assert math.isnan(lax.state_dict()["pieces"][0]["m"][0])


# --- numbers that overflow in a step --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "gradient", "words"),
    [
        (
            optim.Adam,
            1e200,
            r"Adam\.step: ScaleByAdam\.v of params\[1\] \(p1\) would become inf with the gradient 1e\+200",
        ),
        (optim.AdamW, -1e160, r"ScaleByAdam\.v of params\[1\] \(p1\) would become inf with the gradient -1e\+160"),
        (optim.RMSprop, 1e200, r"RMSprop\.step: ScaleByRMS\.cache of params\[1\]"),
        (optim.Adagrad, 1e200, r"Adagrad\.step: ScaleByAdagrad\.cache of params\[1\]"),
        (lambda p, **more: optim.SGD(p, 1e308, **more), 10.0, r"SGD\.step: params\[1\] \(p1\) would become -inf with"),
        (lambda p, **more: optim.SGD(p, 1e-3, momentum=0.9, **more), 1.7e308, r"Momentum\.velocity of params\[1\]"),
    ],
)
def test_a_step_that_overflows_is_refused_before_anything_is_written(rule, gradient, words):
    p = fresh()
    optimizer = rule(p)
    p[0].grad, p[1].grad = 0.0, min(gradient, 1e308)
    if gradient == 1.7e308:  # one such gradient is within range, the second is not
        optimizer.step()
        p[1].grad = gradient
    before = [x.item() for x in p], [x.grad for x in p], optimizer.state_dict()
    with pytest.raises(ValueError, match=words + r".*no parameter was changed \(a smaller lr or clip_norm= may"):
        optimizer.step()
    vectors = np.array(before[0]), np.array(before[1])
    with pytest.raises(ValueError, match=words):
        optimizer.stepped(*vectors)
    assert ([x.item() for x in p], [x.grad for x in p], optimizer.state_dict()) == before
    p[1].grad = 1.0
    optimizer.lr = 0.1
    optimizer.step()  # and goes on where it was
    assert p[1].item() < before[0][1]
    lax = rule(fresh(), allow_nonfinite=True)
    for q in lax.params:
        q.grad = gradient
    lax.step()
    lax.step()
    assert "inf" in str([[x.item() for x in lax.params], lax.state_dict()])


@pytest.mark.parametrize("rule", [optim.Adam, optim.Adagrad, optim.RMSprop])
def test_clipping_takes_a_gradient_whose_square_overflows(rule):
    p = fresh()
    optimizer = rule(p, clip_norm=1.0)
    p[0].grad = 1e200
    optimizer.step()
    assert p[0].item() < 1.0
    p[0].grad = 0.0
    optimizer.step()
    assert np.isfinite([x.item() for x in p]).all()


def test_what_was_not_finite_before_the_step_is_no_overflow():
    """A parameter set to infinity, frozen or not, and what a user-defined transformation may keep."""

    class Watching:
        def init(self, n):
            return {"lowest": math.inf, "told": "", "sum": 0.0}

        def update(self, g, state, w):
            return g, {"lowest": min(state["lowest"], 1e9), "told": "yes", "sum": state["sum"] + float(abs(g).max())}

    p = fresh()
    p[0].data, p[0].frozen = math.nan, True
    optimizer = optim.Optimizer(p, 0.5, Watching())
    p[1].grad = 1e308
    optimizer.lr = 1e-300
    optimizer.step()
    p[0].frozen, p[0].data = False, math.inf
    p[1].grad = 1.0
    optimizer.step()
    assert p[0].item() == math.inf
    p[1].grad = 1.79e308
    with pytest.raises(ValueError, match=r"Optimizer\.step: Watching\.sum would become inf with gradients up to"):
        optimizer.step()


# --- transformations, one by one -------------------------------------------------------------------------


class Named:
    """A piece whose state holds a word beside a vector and a count."""

    def start(self, n):
        return {"word": "begun", "sum": np.zeros(n), "count": 0}

    def update(self, g, state, w):
        return g, {"word": "going", "sum": state["sum"] + g, "count": state["count"] + 1}


def test_the_state_of_a_piece_of_ones_own_comes_back():
    w = ag.Parameter(1.0)
    optimizer = optim.Optimizer([w], 0.1, Named())
    w.grad = 2.0
    optimizer.step()
    twin = optim.Optimizer([ag.Parameter(1.0)], 0.1, Named())
    twin.load_state_dict(optimizer.state_dict())
    assert twin.state_dict() == optimizer.state_dict()
    assert twin.state_dict()["pieces"] == [{"piece": "Named", "word": "going", "sum": [2.0], "count": 1}]


def test_adamw_without_decay_is_adam():
    trained = []
    for rule in (optim.Adam, lambda p, lr: optim.AdamW(p, lr, weight_decay=0.0)):
        w = ag.Parameter(1.0)
        optimizer = rule([w], 0.1)
        for _ in range(5):
            optimizer.zero_grad()
            (w * w).backward()
            optimizer.step()
        trained.append(w.item())
    assert trained[0] == trained[1]


RULES = [optim.SGD, optim.Adagrad, optim.RMSprop, optim.Adam, optim.AdamW]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_what_every_rule_does_unless_told_otherwise(rule):
    """A gradient that is not finite is refused, a frozen parameter's does not count, and a new state can be loaded."""
    w, kept = ag.Parameter(1.0), ag.Parameter(2.0)
    kept.frozen = True
    optimizer = rule([w, kept], 0.1)
    fresh = optimizer.state_dict()
    kept.grad = math.nan
    w.grad = math.nan
    with pytest.raises(ValueError, match=r"gradient of params\[0\] is nan"):
        optimizer.step()
    assert (w.item(), optimizer.state_dict()) == (1.0, fresh)
    w.grad = 3.0
    optimizer.step()
    assert w.item() < 1.0
    assert kept.item() == 2.0
    optimizer.load_state_dict(fresh)
    assert optimizer.state_dict() == fresh
    for state in (-1, {"steps": -1}):
        with pytest.raises((TypeError, ValueError)):
            optimizer.load_state_dict({**fresh, **state} if isinstance(state, dict) else state)
    again = rule([ag.Parameter(1.0)], 0.1)
    assert repr(again) == repr(rule([ag.Parameter(7.0)], 0.1))


def test_the_settings_of_pieces():
    assert repr(optim.DivideByMeanSquare()) == "ScaleByRMS(alpha=0.99, eps=1e-08)"
    assert repr(optim.DivideByAllSquares()) == "ScaleByAdagrad(eps=1e-10)"
    assert repr(optim.Moments()) == "ScaleByAdam(betas=(0.9, 0.999), eps=1e-08, corrected=True)"
    assert repr(optim.Momentum(0.5)) == "Momentum(mu=0.5, nesterov=False)"
    for make in (
        optim.DivideByMeanSquare,
        optim.Momentum,
        lambda b: optim.Moments((b, 0.5)),
        lambda b: optim.Moments((0.5, b)),
    ):
        for wrong in (1.0, -0.1, 1.5, math.nan):
            with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
                make(wrong)
        make(0.0)
    for make in (optim.ClipNorm, optim.ClipValue):
        for wrong in (0.0, -1.0, math.inf):
            with pytest.raises(ValueError, match="must be"):
                make(wrong)


def test_signs_and_decay_are_added():
    g, w = np.array([1.0, 1.0, 1.0]), np.array([4.0, -4.0, 0.0])
    assert optim.AddSign(0.5).update(g, {}, w)[0].tolist() == [1.5, 0.5, 1.0]
    assert optim.AddDecay(0.5).update(g, {}, w)[0].tolist() == [3.0, -1.0, 1.0]
    assert optim.AddSign([0.5, 0.25, 1.0]).update(g, {}, w)[0].tolist() == [1.5, 0.75, 1.0]


def test_a_chain_of_ones_own_refuses_what_is_not_finite_too():
    w = ag.Parameter(1.0)
    optimizer = optim.Optimizer([w], 0.1)
    w.grad = math.inf
    with pytest.raises(ValueError, match=r"gradient of params\[0\] is inf"):
        optimizer.step()
    optim.Optimizer([w], 0.1, allow_nonfinite=True).step()
    assert w.item() == -math.inf


def test_a_piece_has_both_methods():
    w = ag.Parameter(1.0)
    for kept in ("start", "update"):
        piece = type("Half", (), {kept: getattr(Named, kept)})()
        with pytest.raises(TypeError, match=r"a gradient transformation has init\(n\) and update"):
            optim.Optimizer([w], 0.1, piece)


def test_clipping_a_gradient_with_zeros():
    clip = optim.ClipNorm(5.0)
    assert clip.update(np.array([0.0, -40.0]), {}, np.zeros(2))[0].tolist() == [0.0, -5.0]
    assert clip.update(np.zeros(2), {}, np.zeros(2))[0].tolist() == [0.0, 0.0]  # and no warning
    assert clip.update(np.array([3.0, -4.0]), {}, np.zeros(2))[0].tolist() == [3.0, -4.0]
    assert clip.update(np.array([math.inf, 1.0]), {}, np.zeros(2))[0].tolist() == [math.inf, 1.0]


# --- groups, averages, L-BFGS -----------------------------------------------------------------------------


def test_groups_and_averages_against_pytorch():
    """AdamW on the network, the output layer with a rate of its own and no decay; and the moving average of it."""
    case = TORCH["groups"]
    parameters, loss = network()
    groups = [{"params": parameters[:9]}, {"params": parameters[9:], "lr": 0.01, "weight_decay": 0.0}]
    optimizer = optim.AdamW(groups, 0.05, weight_decay=0.1).track_average(case["decay"])
    for row, averages in zip(case["network"], case["averages"], strict=True):
        (found,) = steps(optimizer, loss, 1)
        np.testing.assert_allclose(found, row, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(optimizer.averages, averages, rtol=1e-12, atol=1e-12)
    with optimizer.averaged():
        assert [p.item() for p in parameters] == optimizer.averages
    assert [p.item() for p in parameters] == found


def test_the_mean_of_all_steps():
    p = fresh()
    optimizer = optim.SGD(p, 0.02).track_average(None)
    assert optimizer.averages == [1.0, -2.0]
    rows = steps(optimizer, quadratic, 7)
    np.testing.assert_allclose(optimizer.averages, np.mean(rows, axis=0), rtol=1e-14)
    with pytest.raises(KeyError), optimizer.averaged():
        raise KeyError
    assert [x.item() for x in p] == rows[-1]


def test_groups_are_as_optimizers_of_their_own():
    """A rate, a schedule and a decay for each; the rates can be set, and go into the state."""
    p, q = fresh(), fresh()
    halved = optim.StepDecay(0.04, 0.5, 2)
    one = optim.Adam([{"params": p[:1], "lr": halved, "l2": 0.1}, {"params": iter(p[1:])}], 0.01, weight_decay=0.3)
    two = [optim.Adam(q[:1], halved, l2=0.1, weight_decay=0.3), optim.Adam(q[1:], 0.01, weight_decay=0.3)]
    for k in range(6):
        if k == 3:
            one.param_groups[1]["lr"] = two[1].lr = 0.05
        quadratic(p).backward()
        quadratic(q).backward()
        one.step()
        for optimizer in two:
            optimizer.step()
            optimizer.zero_grad()
        one.zero_grad()
        assert [x.item() for x in p] == [x.item() for x in q]
    assert [dict(group)["lr"] for group in one.param_groups] == [0.005, 0.05]
    assert [group["params"] for group in one.param_groups] == [p[:1], p[1:]]
    assert one.state_dict()["lr"] == [0.01, None, 0.05]
    twin = optim.Adam([{"params": p[:1], "lr": halved, "l2": 0.1}, {"params": p[1:], "lr": 1.0}], 1.0, weight_decay=0.3)
    twin.load_state_dict(one.state_dict())
    assert twin.state_dict() == one.state_dict()
    for state in (
        optim.Adam(p, 0.1, weight_decay=[0.5, 0.3]).state_dict(),
        {**one.state_dict(), "lr": [0.1, 0.1, 0.1]},
    ):
        with pytest.raises(ValueError, match=r"load_state_dict: this optimizer('s lr is a schedule| has 2 groups)"):
            twin.load_state_dict(state)
    assert "lr=0.05" in repr(one.param_groups[1])
    for wrong in (lambda g: g.__setitem__("params", []), lambda g: g["momentum"]):
        with pytest.raises(KeyError):
            wrong(one.param_groups[0])
    with pytest.raises(TypeError):
        del one.param_groups[0]["lr"]
    plain = optim.SGD(p, 0.1)
    plain.param_groups[0]["lr"] *= 0.5
    assert (plain.lr, len(plain.param_groups), plain.param_groups[0]["params"]) == (0.05, 1, p)


def test_no_decay_on_biases():
    model = ag.MLP(2, [3, 1], seed=0)
    assert sorted(map(id, [*model.weights(), *model.biases()])) == sorted(map(id, model.parameters()))
    decayed = {"params": model.weights(), "weight_decay": 0.5}
    optimizer = optim.SGD([decayed, {"params": model.biases()}], 0.1)
    for p in model.parameters():
        p.data, p.grad = 1.0, 0.0
    optimizer.step()
    assert {p.item() for p in model.weights()} == {0.95}
    assert {p.item() for p in model.biases()} == {1.0}


def test_lbfgs_is_scipys():
    scipy_optimize = pytest.importorskip("scipy.optimize")
    p = [ag.Parameter(x) for x in (-1.2, 1.0, 0.5)]
    p[2].frozen = True
    optimizer = optim.LBFGS(p, max_iter=12, max_eval=100, tolerance_grad=0.0, tolerance_change=0.0)

    def closure():
        optimizer.zero_grad()
        loss = (1.0 - p[0]) ** 2 + 100.0 * (p[1] - p[0] * p[0]) ** 2 + p[2] * p[0]
        loss.backward()
        return loss

    def by_hand(x):
        a, b = x
        slopes = [-2.0 * (1.0 - a) - 400.0 * a * (b - a * a) + 0.5, 200.0 * (b - a * a)]
        return (1.0 - a) ** 2 + 100.0 * (b - a * a) ** 2 + 0.5 * a, np.array(slopes)

    options = {"maxiter": 12, "maxfun": 100, "gtol": 0.0, "ftol": 0.0, "maxcor": 10}
    wanted = scipy_optimize.minimize(by_hand, [-1.2, 1.0], method="L-BFGS-B", jac=True, options=options)
    assert optimizer.step(closure) == pytest.approx(wanted.fun, rel=1e-12)
    assert [x.item() for x in p] == pytest.approx([*wanted.x, 0.5], rel=1e-12)
    assert (optimizer.result.nit, repr(optimizer)) == (wanted.nit, "LBFGS(3 parameters, max_iter=12)")

    def broken():
        p[0].data = 7.0
        raise KeyError

    before = [x.item() for x in p]
    with pytest.raises(KeyError):
        optimizer.step(broken)
    assert [x.item() for x in p] == before
    for x in p:
        x.frozen = True
    with pytest.raises(ValueError, match="every parameter is frozen"):
        optimizer.step(closure)


# --- without NumPy ----------------------------------------------------------------------------------------

BARE = """
import json, sys
sys.modules["numpy"] = None  # importing it is an ImportError
import autograd_lite as ag
from autograd_lite import optim
from autograd_lite.optim import vectors
from tests.helpers.rules import EVERY_RULE
rows = {}
for name, make in EVERY_RULE.items():
    p = [ag.Parameter(1.0), ag.Parameter(-2.0), ag.Parameter(0.5)]
    optimizer = make(p)
    for k in range(20):
        optimizer.zero_grad()
        (p[0] ** 2 + 10.0 * p[1] ** 2 + ag.sin(p[2]) * p[0]).backward()
        if k == 7:
            p[2].frozen = True
        if k == 9:
            twin = make([ag.Parameter(x.item()) for x in p])
            twin.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
            assert twin.state_dict() == optimizer.state_dict(), name
        optimizer.step()
    rows[name] = [x.item() for x in p]
for bad in (float("nan"), 1e200):
    p[1].grad, p[1].frozen = bad, False
    try:
        optim.Adam(p).step()
    except ValueError as error:
        rows[str(bad)] = str(error)
clipped = optim.SGD(p, 1.0, clip_norm=5.0)
p[2].frozen, p[2].grad, p[0].grad, p[1].grad = False, 0.0, 3e300, 4e300
clipped.step()
rows["clipped"] = [x.item() for x in p]
assert not [m for m in sys.modules if m.startswith("numpy") and sys.modules[m]]
print(json.dumps(rows))
"""


def test_steps_without_numpy_are_the_same():
    """In a process in which NumPy cannot be imported, as in a browser: every rule, its state, and its refusals."""
    runs = []
    for text in (
        BARE,
        BARE.replace('sys.modules["numpy"] = None', "import numpy").replace("assert not [m", "assert [m"),
    ):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout))
    bare, with_numpy = runs
    assert bare.keys() == with_numpy.keys()
    for name, row in with_numpy.items():
        if isinstance(row, str):
            assert bare[name] == row
        else:
            np.testing.assert_allclose(bare[name], row, rtol=1e-13, err_msg=name)


def test_plain_vectors_have_the_arithmetic_of_numpy():
    values = [0.0, -0.0, 1.5, -2.0, math.inf, -math.inf, math.nan, 1e308]
    ours, theirs = vectors.Floats(values), np.array(values)
    backwards, back = vectors.Floats(values[::-1]), theirs[::-1]
    with np.errstate(all="ignore"):
        for f in (
            lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, lambda x, y: 2.0 - x,
            lambda x, y: 1.0 / x, lambda x, y: -x, lambda x, y: abs(x), lambda x, y: x.clip(-1.0, 2.0),
            lambda x, y: vectors.sqrt(x), lambda x, y: vectors.sign(x), vectors.maximum,
            lambda x, y: vectors.maximum(x, 0.5), lambda x, y: vectors.where(x > 0.0, x, 7.0),
            lambda x, y: vectors.where(x < y, x, y), vectors.over,
        ):  # fmt: skip
            np.testing.assert_array_equal(f(ours, backwards).tolist(), f(theirs, back).tolist())
        assert math.isnan(vectors.largest(ours))
    finite, same = vectors.Floats([3.0, -4.0]), np.array([3.0, -4.0])
    assert vectors.norm(finite) == vectors.norm(same) == 5.0
    assert vectors.largest(finite) == vectors.largest(same) == 4.0
    assert [vectors.all_finite(x) for x in (ours, theirs, finite, same, 1.0)] == [False, False, True, True, True]
    assert repr(finite) == "Floats([3.0, -4.0])"
    with pytest.raises(TypeError):
        finite + "x"
