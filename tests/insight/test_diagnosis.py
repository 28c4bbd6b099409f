"""diagnose, detect_anomaly, record_source: the classic faults, each named with its first node, line and mechanism."""

import gc
import math
import random
import sys
import threading

import pytest

import autograd_lite as ag
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.engine.modes import mode
from autograd_lite.insight.anomaly import source_of

P, V = ag.Parameter, ag.Value


def only(loss, kind, *suffering, parameters=None):
    diagnosis = ag.diagnose(loss, parameters)
    assert [finding.kind for finding in diagnosis] == [kind], diagnosis
    finding = diagnosis[0]
    if suffering:
        assert set(finding.parameters) == set(suffering)
    return finding


def test_dead_relu_with_its_source_line():
    w, b = P(-1.5, "w"), P(-1.0, "b")
    with ag.record_source():
        h = w * 2.0 + b
        y = ag.relu(h)  # this line
        loss = (y - 1) ** 2
    finding = only(loss, "dead relu", w, b)
    assert finding.node is y
    assert finding.source.file == __file__
    assert finding.source.text == "y = ag.relu(h)  # this line"
    assert f"made at   {__file__}:" in str(finding)
    assert "-4" in finding.mechanism
    assert "leaky_relu" in finding.advice
    assert not ag.diagnose((w * 2.0 + b) * 1.0)


def test_a_margin_that_is_met_is_no_dead_relu():
    score = P(3.0, "score")
    finding = only(ag.relu(1 - score * 1.0), "margin met", score)
    assert "right side" in finding.mechanism
    assert only(ag.relu(score - 5), "dead relu", score)


def test_a_dead_hidden_unit_is_the_reason_for_the_weight_after_it():
    first, second = P(-1.0, "first"), P(2.0, "second")
    h = ag.relu(first)
    assert only((h * second - 1) ** 2, "dead relu", first, second).node is h


@pytest.mark.parametrize(("w", "gradient"), [(20.0, "of size"), (800.0, "gradient 0")])
def test_saturated_sigmoid(w, gradient):
    w = P(w, "w")
    s = ag.sigmoid(w * 1.0)
    finding = only((s - 0.0) ** 2, "saturated sigmoid", w)
    assert finding.node is s
    assert gradient in finding.gradient
    assert "logits" in finding.advice


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_zero_initialisation(activation):
    model = ag.MLP(2, [3, 1], activation=activation, seed=0)
    for p in model.parameters():
        p.data = 0.0
    finding = only((model([1.0, 2.0]) - 1) ** 2, "zero initialisation")
    assert len(finding.parameters) == 12  # all but the bias of the output
    assert finding.node in model.parameters()
    assert "at random" in finding.advice


def test_a_relu_at_exactly_0():
    w = P(0.0, "w")
    finding = only(ag.relu(w * 2.0), "zero initialisation", w)
    assert "keep a relu at 0" in finding.mechanism
    w.data = 2.0
    assert "the relu gets 0:" in only(ag.relu(w - 2.0), "dead relu", w).mechanism


@pytest.mark.parametrize(
    ("f", "kind", "says"),
    [
        (lambda a, b: a * b * 0.0, "a factor of 0", "what it is multiplied by is 0"),
        (lambda a, b: ag.prod([a, b, V(0.0, "c")]), "a factor of 0", "multiplied by c = 0"),
        (lambda a, b: ag.prod([a, b, ag.relu(V(-1.5))]), "dead relu", "the relu gets -1.5"),
    ],
)
def test_where_a_factor_of_0_comes_from(f, kind, says):
    a, b = P(3.0, "a"), P(1.0, "b")
    assert says in only(f(a, b), kind, a, b).mechanism


def test_a_zero_is_not_blamed_for_what_another_zero_does():
    """In a product of three the weight that is 0 itself has a gradient of 0 because of its neighbour."""
    a, c = P(0.0, "a"), V(0.0, "c")
    for operands in ([a, 2.0, c], [c, 2.0, a]):
        assert "multiplied by c = 0" in only(ag.prod(operands), "a factor of 0", a).mechanism


def test_symmetric_initialisation():
    model = ag.MLP(2, [3, 1], activation="tanh", seed=0)
    for p in model.parameters():
        p.data = 0.5
    finding = only((model([1.0, 2.0]) - 1) ** 2, "symmetric initialisation")
    assert len(finding.parameters) == 9
    by_hand = [(P(0.3, f"w{i}"), P(0.1, f"b{i}")) for i in range(2)]
    loss = ag.sum([ag.tanh(w * 2.0 + b) for w, b in by_hand])
    only(loss, "symmetric initialisation", *by_hand[0], *by_hand[1])


def test_symmetric_units_are_reported_once_for_all_examples():
    model = ag.MLP(1, [2, 1], activation="tanh", seed=0)
    for p in model.parameters():
        p.data = 0.5
    finding = only(ag.mean([(model([x]) - 1) ** 2 for x in (1.0, -2.0)]), "symmetric initialisation")
    assert set(finding.parameters) == set(model.parameters()[:4])


def test_inputs_that_are_equal_are_no_symmetric_initialisation():
    """Where no Parameters are, the leaves are watched; which of them are weights is known if they are given."""
    leaves = [V(0.1, "a"), V(0.1, "b")]
    loss = ag.sum([ag.tanh(x + 1.0) for x in leaves])
    assert not ag.diagnose(loss)
    assert only(loss, "symmetric initialisation", *leaves, parameters=leaves)


def test_exploding_and_vanishing_chains():
    x = V(1.0, "x")
    weights = [P(3.0, f"w{k}") for k in range(40)]
    for w in weights:
        x = w * x
    finding = only(x, "exploding chain", *weights)
    assert "Xavier" in finding.advice
    assert 1e5 < ag.gradients(x, finding.node) < 1e6  # below it the gradient is over the limit
    x = V(1.0, "x")
    weights = [P(1.0, f"w{k}") for k in range(40)]
    for w in weights:
        x = ag.sigmoid(w * x)
    finding = only(x, "vanishing chain")
    assert set(finding.parameters) == set(weights[: len(finding.parameters)])  # those far from the loss
    assert 25 < len(finding.parameters) < 40
    report = str(only(x, "vanishing chain", parameters=weights))
    assert str(only(x, "vanishing chain", parameters=weights[::-1])).split("suffers")[0] == report.split("suffers")[0]
    assert "a product of 80 local gradients" in report  # the longest, whichever comes first
    w = x = P(3.0, "w")
    for _ in range(60):
        x = w * x
    assert only(x, "exploding chain", w)


def product(x, *factors):
    for factor in factors:
        x = x * factor
    return x


@pytest.mark.parametrize(
    ("f", "start", "kind", "says"),
    [
        (lambda p: p * 1e-12, 1.0, "small factor", "multiplied by 1e-12"),
        (lambda p: product(p, 1e-3, 1e-3, 1e-3, 1e-3), 1.0, "small factor", "product of 4 local gradients, the least"),
        (lambda p: ag.exp(-(p**2)), 6.0, "small slope", "slope of exp at -36 is 2.32e-16"),
        (ag.exp, -40.0, "small slope", "slope of exp at -40"),
        (lambda p: 1 / p, 1e5, "small slope", "slope of div at 1e+05 is -1e-10"),
        (ag.exp, -800.0, "underflow", "exp of -800 is too small"),
    ],
)
def test_gradients_that_are_small(f, start, kind, says):
    p = P(start, "p")
    assert says in only(f(p), kind, p).mechanism


@pytest.mark.parametrize(("steps", "says"), [(100, "steps to 6.31e-30 multiplies it"), (2500, "to 0 (underflow)")])
def test_a_shared_weight_whose_sequence_shrinks(steps, says):
    """Each of its gradients is multiplied by a value that came near 0, and not only by a chain of slopes."""
    w, y = P(0.5, "w"), V(1.0)
    for _ in range(steps):
        y = ag.tanh(w * y)
    assert says.partition(" 6.31")[0] in only(y, "vanishing chain", w).mechanism


def test_underflow_is_a_vanishing_chain_and_no_factor_of_0():
    p = x = P(1.0, "p")
    for _ in range(2000):
        x = x * 0.5
    finding = only(x, "vanishing chain", p)
    assert "each 0.5 on average" in finding.mechanism
    assert "underflow" in finding.mechanism


@pytest.mark.parametrize("far", [40.0, 800.0])
def test_saturated_softmax(far):
    logits = [P(0.0, "a"), P(far, "b")]
    for output in ag.softmax(logits):
        found = ag.diagnose(output)
        assert {finding.kind for finding in found} == {"saturated softmax"}
        assert {p for finding in found for p in finding.parameters} == set(logits)
        assert "logits" in found[0].advice
    assert not ag.diagnose(ag.softmax([P(0.0), P(2.0)])[1])


def test_a_share_of_a_sum_is_no_softmax():
    """A quotient by a sum is one only if the sum is one of exponentials."""
    a, b = P(0.5, "a"), P(1.0, "b")
    assert only(a / ag.sum([a, b]) * 1e-8, "small factor", a, b).node.op == "mul"


def test_a_loss_on_logits_at_its_minimum_is_no_saturated_softmax():
    right = [P(0.0), P(37.0)]
    assert "softmax" not in {finding.kind.split()[-1] for finding in ag.diagnose(-ag.log_softmax(right)[1])}
    assert not ag.diagnose(-ag.log_softmax([P(0.0), P(30.0)])[1])


def test_values_that_are_not_finite():
    p = P(0.0, "p")
    y = ag.log(p)
    finding = only(-y, "infinite value", p)
    assert finding.node is y
    assert "log of 0" in finding.mechanism
    a, z = P(800.0, "a"), V(0.0, "z")
    grown = ag.exp(a)
    diagnosis = ag.diagnose(grown * z)
    assert [finding.kind for finding in diagnosis] == ["infinite value", "NaN value"]
    assert diagnosis[0].node is grown
    assert "0 * inf" in diagnosis[1].mechanism
    assert "0 / 0" in only(P(0.0) / V(0.0), "NaN value").mechanism
    data = V(math.nan, "row 3")
    assert only(P(1.0) * data, "NaN leaf").node is data
    assert not ag.diagnose(ag.where(V(0.0), ag.log(V(0.0)), P(2.0)))  # the infinity is in a branch not taken


def test_a_value_that_is_not_finite_hides_no_more_than_it_says():
    c, d = P(0.0, "c"), P(-2.0, "d")
    diagnosis = ag.diagnose(ag.log(c) + ag.relu(d))
    assert diagnosis.unexamined == (d,)
    assert "1 other parameter not examined while a value is not finite" in str(diagnosis)
    assert "not examined" not in str(ag.diagnose(ag.log(c)))


def test_a_large_factor_is_shown_where_it_multiplies():
    c = P(2.0, "c")
    y = c * 1e9
    assert only(y, "large factor", c).node is y
    assert "c * 1e+09" in only(y, "large factor", c).where


def test_a_large_factor_is_where_it_was_large_first():
    c, z = P(2.0, "c"), V(1e9, "z")
    half = z * 0.5
    assert only(c * half, "large factor", c).node is half  # smaller than what it was made of: nothing grew
    assert only(c * (half + half), "large factor", c).node is half
    assert only(c * (z * half), "large factor", c).node is z


def test_gradients_that_are_not_finite():
    a = P(0.0, "a")
    root = ag.sqrt(a * 2.0)
    finding = only(root, "infinite gradient", a)
    assert finding.node is root
    assert "slope of sqrt at 0 is infinite" in finding.mechanism
    assert only(1 / P(1e-9), "steep").node.op == "div"


def test_an_infinite_gradient_is_looked_for_beyond_what_is_in_order():
    x, s = P(0.0, "x"), P(1.0, "s")
    finding = only(2.0 * (ag.sqrt(x * x) + s), "infinite gradient", x)  # s, and a constant, come before the root
    assert finding.node.op == "sqrt"


def test_an_infinite_gradient_that_is_a_sum():
    x, y = P(0.5, "x"), P(0.5, "y")
    h = x * y
    finding = only(h * 1e308 + h * 1e308, "infinite gradient", x, y)
    assert finding.node is h
    assert "finite way by way, but not when added up" in finding.mechanism


def test_detached_and_unreachable():
    d, e = P(2.0, "d"), P(1.0, "e")
    finding = only((d.detach() * 3 - e) ** 2, "detached", d, parameters=[d, e])
    assert ".detach()" in finding.advice
    finding = only((d.item() * 3 - e) ** 2, "unreachable", d, parameters=[d, e])
    assert ".item()" in finding.advice
    model = ag.MLP(2, [2, 1], seed=0)
    assert len(only(V(1.0) * e, "unreachable", parameters=model).parameters) == len(model.parameters())


def test_cancelled_between_paths():
    c = P(2.0, "c")
    finding = only(ag.sin(c) * 3 - ag.sin(c) * 3, "cancelled", c)
    assert finding.node is c
    assert "+1.248, -1.248" in finding.mechanism or "-1.248, +1.248" in finding.mechanism


@pytest.mark.parametrize(
    ("f", "kind"),
    [
        (lambda c: ag.floor(c * 1.5), "a step"),
        (lambda c: ag.greater(c, 1.0), "a step"),
        (lambda c: ag.clamp(c, 0.0, 1.0), "clamped"),
        (lambda c: ag.maximum(c, 3.0), "not chosen"),
        (lambda c: (c - 2.0) ** 2, "stationary"),
        (lambda c: c * V(0.0, "x"), "a factor of 0"),
        (lambda c: c * 1e9, "large factor"),
    ],
)
def test_other_zeros(f, kind):
    c = P(2.0, "c")
    assert only(f(c), kind, c)


def test_a_healthy_network_is_left_in_peace():
    rng = random.Random(0)
    model = ag.MLP(2, [16, 16, 1], seed=0)
    loss = ag.mean([(model([rng.uniform(-1, 1), rng.uniform(-1, 1)]) - 1) ** 2 for _ in range(50)])
    diagnosis = ag.diagnose(loss, model)
    assert not diagnosis
    assert str(diagnosis) == "diagnose: nothing wrong with the gradients of 337 parameters"
    assert all(p.grad == 0.0 for p in model.parameters())
    assert not ag.diagnose((P(2.0) - 2.0 - 1e-9) ** 2)  # a minimum is not a fault


def test_a_long_chain_is_diagnosed():
    w = x = P(1.0, "w")
    for _ in range(50_000):
        x = x * 0.999
    assert only(x, "vanishing chain", w)


def test_long_reports_are_shortened():
    model = ag.Layer(2, 30, activation="relu", seed=0)
    for p in model.parameters():
        p.data = -abs(p.item()) - 0.1
    diagnosis = ag.diagnose(ag.sum(model([1.0, 2.0])))
    assert len(diagnosis) == 30
    assert "and 25 more of the same kinds" in str(diagnosis)


def test_a_long_operation_is_shortened_and_a_fault_without_a_place_names_none():
    weights = [P(1e200 + k, f"weight {k}") for k in range(30)]
    finding = only(ag.prod(weights), "infinite value", *weights)
    assert finding.where.startswith("v31 = prod([weight 0, weight 1, ")
    assert finding.where.endswith("]) = inf")
    assert len(finding.where) == 155
    report = str(only(V(1.0) * 3.0, "unreachable", weights[0], parameters=weights[:1]))
    assert "first at" not in report
    assert "suffers   weight 0: no gradient reaches it" in report


def test_diagnose_refuses():
    with pytest.raises(TypeError, match=r"diagnose: give a loss \(a Value\), or a model"):
        ag.diagnose(1.0)
    with pytest.raises(TypeError, match="element 1 of parameters"):
        ag.diagnose(V(1.0), [V(1.0), 2.0])
    with pytest.raises(TypeError, match="parameters must be Values or a module"):
        ag.diagnose(V(1.0), 3)


# --- work -----------------------------------------------------------------------------------------------


class Counted(P):
    """A Parameter that counts how often it is looked up: `set(parameters)` is work that no line of code shows."""

    looked_up = 0

    def __hash__(self):
        Counted.looked_up += 1
        return super().__hash__()


def work(loss, parameters=None):
    """Bytecodes of insight/ that a diagnosis runs, and parameters that it looks up."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    Counted.looked_up = 0
    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: trace(frame, event, arg) if "insight" in frame.f_code.co_filename else None)
    try:
        ag.diagnose(loss, parameters)
    finally:
        sys.settrace(before)
    return count + Counted.looked_up


def counted(n, number):
    return [Counted(number) for _ in range(n)]


def tree(leaves, join):
    while len(leaves) > 1:
        leaves = [join(a, b) for a, b in zip(leaves[::2], leaves[1::2], strict=True)]
    return leaves[0]


def chained(start, weights, step):
    for w in weights:
        start = step(w, start)
    return start


GRAPHS = {
    "a layer of relus": lambda n: ag.sum(ag.relu(ag.dot(counted(10, -0.5), [0.3] * 10)) for _ in range(n)),
    "inputs that are 0": lambda n: ag.dot(counted(n, 0.5), [V(0.0) for _ in range(n)]),
    "a tree": lambda n: tree(counted(n, 0.5), lambda a, b: a + b),
    "a tree of relus": lambda n: tree(counted(n, -0.5), lambda a, b: ag.relu(a + b)),
    "a chain that shrinks": lambda n: chained(V(1.0), counted(n, 0.5), lambda w, x: w * x),
    "a chain that grows": lambda n: chained(V(1.0), counted(n, 2.0), lambda w, x: w * x),
    "shortcuts": lambda n: chained(V(1.0), counted(n, -1.0), lambda w, x: x + ag.relu(w * x)),
    "sums of sums": lambda n: ag.relu(-chained(V(1.0), [Counted(1.0)] * n, lambda w, x: x + x)),
    "a product with a 0": lambda n: ag.prod([*counted(n, 1.1), V(0.0)]),
    "a softmax": lambda n: ag.softmax([Counted(float(i)) for i in range(n)])[0],
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_the_work_grows_with_the_graph_and_no_faster(name):
    small, large = (work(GRAPHS[name](n)) for n in (64, 128))
    assert large < 2.2 * small


def test_the_work_of_copies_grows_with_their_number():
    small, large = (
        work(ag.sum(V(1.0, f"p{i}") for i in range(n)), [Counted(1.0, f"p{i}") for i in range(n)]) for n in (64, 128)
    )
    assert large < 2.2 * small


# --- detect_anomaly -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "says"),
    [
        (lambda: ag.log(V(0.0, "p")), "log gave -inf: log of 0 .*p = 0.0"),
        (lambda: ag.log(V(-1.0, "p")), "log gave nan: log of the negative number -1"),
        (lambda: V(1.0) / V(0.0, "q"), "div gave inf: division by 0 .*q = 0.0"),
        (lambda: V(math.inf, "i") * 0.0, "mul gave nan: 0 [*] inf .*i = inf"),
        (lambda: ag.exp(V(800.0)), "exp gave inf: overflow, exp of 800"),
        (lambda: ag.logsumexp([V(math.inf), 1.0]) - V(math.inf), "sub gave nan: inf - inf"),
        (lambda: ag.sqrt(V(0.0, "d")).backward(), "going back through sqrt.*gradient of d = 0.0 inf"),
        (lambda: ag.gradients(ag.cbrt(V(0.0)) * 2, V(1.0)), "going back through cbrt"),
        (lambda: ag.gradients(ag.sqrt(z := V(0.0)), z, create_graph=True), "div gave inf"),
    ],
)
def test_anomaly_stops_at_the_first_node_that_turns_non_finite(f, says):
    with pytest.raises(FloatingPointError, match=says) as raised, ag.detect_anomaly():
        f()
    assert __file__ in str(raised.value)
    assert "V(" in str(raised.value)  # the line itself


def test_anomaly_names_the_line():
    with ag.detect_anomaly():
        x = V(2.0, "x")
        y = ag.sqrt(x - 2.0)  # here
        with pytest.raises(FloatingPointError, match=r"test_diagnosis.py:\d+: y = ag.sqrt\(x - 2.0\)  # here"):
            (y * 3.0).backward()
    assert x.grad == 0.0


def test_anomaly_lets_pass_what_is_meant():
    with ag.detect_anomaly():
        masked = V(-math.inf) + V(1.0)
        ag.softmax([masked, 2.0])[1].backward()
        ag.where(V(0.0), ag.sqrt(V(0.0)), V(1.0)).backward()
        (V(math.inf) * 2.0).exp()
    ag.log(V(0.0)).backward()  # outside the block nothing is watched
    assert (mode.watchers, mode.on_adjoint, FLOATS["special"]) == ((), None, 0)


def test_anomaly_is_of_its_thread_and_nests():
    results = []

    def elsewhere():
        results.append(ag.log(V(0.0)).item())

    with ag.detect_anomaly(), ag.record_source(), ag.detect_anomaly():
        assert len(mode.watchers) == 2
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert results == [-math.inf]


# --- record_source -------------------------------------------------------------------------------------


def test_source_lines_are_of_the_program_not_of_the_library():
    model = ag.MLP(1, [2, 1], seed=0)
    before = V(1.0) * 2.0
    with ag.record_source():
        inside = model([1.0])  # the call
        slope = ag.grad(lambda x: ag.exp(x) * x)(inside)  # the derivative
    for node in (inside, inside.operands[2]):
        assert source_of(node).text.endswith("# the call")
    assert source_of(slope).text.endswith("# the derivative")
    assert source_of(before) is None
    assert source_of(V(1.0)) is None


def test_recording_keeps_nothing_alive():
    from autograd_lite.insight.anomaly import _sources

    gc.collect()
    before = len(_sources)
    with ag.record_source():
        x = V(1.0)
        for _ in range(100):
            x = x * 1.5
    assert len(_sources) == before + 100
    del x
    assert len(_sources) == before


def test_recording_costs_nothing_when_it_is_off():
    """No watcher, no context: new nodes do not even look."""
    seen = []
    original, FLOATS["finish_node"] = FLOATS["finish_node"], seen.append
    try:
        V(1.0) * 2.0 + ag.exp(V(1.0))
    finally:
        FLOATS["finish_node"] = original
    assert seen == []


def test_an_operation_on_many_is_shortened_in_the_message_of_an_anomaly():
    factors = [V(1e200, f"p{i}") for i in range(9)]
    says = r"prod gave inf: overflow, .*\(operands: p0 = 1e\+200, .*p5 = 1e\+200, \.\.\. 3 more\), made at "
    with ag.detect_anomaly(), pytest.raises(FloatingPointError, match=says):
        ag.prod(factors)


HIDDEN = [
    lambda x: ag.cbrt(x) ** 3, lambda x: ag.sqrt(x) ** 2, lambda x: ag.sqrt(x) * ag.sqrt(x),
    lambda x: ag.cos(ag.sqrt(x)),
    lambda x: ag.cbrt(x) ** 3 + x,
]  # fmt: skip
MEANT = [
    lambda x: ag.where(x > 0, ag.sqrt(x), 0) + x, lambda x: 0.0 * ag.sqrt(x) + x,
    lambda x: ag.relu(-1 - ag.sqrt(x)) + x,
    lambda x: ag.maximum(-1 - ag.sqrt(x), x),
]  # fmt: skip


@pytest.mark.parametrize("f", HIDDEN)
def test_an_infinite_slope_that_an_adjoint_of_0_hides_is_named(f):
    x = ag.Parameter(0.0, name="x")
    found = ag.diagnose(f(x))
    assert [finding.kind for finding in found] == ["hidden slope"]
    assert not ag.gradcheck(f, 0.0)
    with ag.detect_anomaly(), pytest.raises(FloatingPointError, match="is infinite and meets an adjoint of 0"):
        f(x).backward()


@pytest.mark.parametrize("f", MEANT)
def test_a_branch_that_is_passed_over_hides_nothing(f):
    x = ag.Parameter(0.0, name="x")
    assert not ag.diagnose(f(x))
    with ag.detect_anomaly():
        f(x).backward()
    assert x.grad == 1.0
