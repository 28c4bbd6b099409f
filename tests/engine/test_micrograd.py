"""Programs written for micrograd run with the import changed, and give the same numbers."""

import copy
import math
import pickle
import random

import micrograd.engine
import micrograd.nn
import pytest

import autograd_lite as ag
import autograd_lite.micrograd.engine
import autograd_lite.micrograd.nn

README = """
a = Value(-4.0)
b = Value(2.0)
c = a + b
d = a * b + b**3
c += c + 1
c += 1 + c + (-a)
d += d * 2 + (b + a).relu()
d += 3 * d + (b - a).relu()
e = c - d
f = e**2
g = f / 2.0
g += 10.0 / f
g.backward()
result = [g.data, a.grad, b.grad, c.grad, d.grad, e.grad, f.grad]
"""

SANITY = """
x = Value(-4.0)
z = 2 * x + 2 + x
q = z.relu() + z * x
h = (z * z).relu()
y = h + q + q * x
y.backward()
result = [y.data, x.grad, z.grad, q.grad, h.grad]
"""

OPERATORS = """
a, b = Value(3.0), Value(-2.0)
y = (a - 1) + (1 - a) * b - a / b + 2 / a - (-b) + a**-2 + a**0.5 + sum([a, b])
y.backward()
result = [y.data, a.grad, b.grad]
"""

NETWORK = """
random.seed(1337)
model = MLP(3, [4, 4, 1])
xs = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
ys = [1.0, -1.0, -1.0, 1.0]
result = [len(model.parameters())]
for p, w in zip(model.parameters(), WEIGHTS):
    p.data = w
for k in range(20):
    scores = [model(list(map(Value, x))) for x in xs]
    losses = [(1 + -y * score).relu() for y, score in zip(ys, scores)]
    data_loss = sum(losses) * (1.0 / len(losses))
    total = data_loss + 1e-4 * sum((p * p for p in model.parameters()))
    model.zero_grad()
    total.backward()
    for p in model.parameters():
        p.data -= 0.05 * p.grad
    result.append(total.data)
result += [p.grad for p in model.parameters()]
neuron = Neuron(2)
layer = Layer(2, 3)
result += [len(neuron.parameters()), len(layer.parameters()), len(layer([Value(1.0), Value(2.0)]))]
"""


def run(program, engine, nn):
    weights = random.Random(0)
    names = {name: getattr(nn, name) for name in ("Neuron", "Layer", "MLP")}
    space = {"Value": engine.Value, "random": random, "WEIGHTS": [weights.uniform(-1, 1) for _ in range(41)], **names}
    exec(program, space)
    return space["result"]


@pytest.mark.parametrize(
    "program", [README, SANITY, OPERATORS, NETWORK], ids=["readme", "sanity", "operators", "network"]
)
def test_same_program_same_numbers(program):
    theirs, ours = run(program, micrograd.engine, micrograd.nn), run(program, ag, ag)
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-14)
    assert len(theirs) > 2


@pytest.mark.parametrize(
    "program", [README, SANITY, OPERATORS, NETWORK], ids=["readme", "sanity", "operators", "network"]
)
def test_the_module_of_its_name_gives_the_same_numbers(program):
    theirs = run(program, micrograd.engine, micrograd.nn)
    ours = run(program, autograd_lite.micrograd.engine, autograd_lite.micrograd.nn)
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-14)


DEMO = """
random.seed(1337)
model = MLP(2, [16, 16, 1])
result = [repr(model)]
for k in range(3):
    inputs = [list(map(Value, row)) for row in X]
    scores = list(map(model, inputs))
    losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(y, scores)]
    total_loss = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum((p * p for p in model.parameters()))
    accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(y, scores)]
    result += [total_loss.data, sum(accuracy) / len(accuracy)]
    model.zero_grad()
    total_loss.backward()
    for p in model.parameters():
        p.data -= (1.0 - 0.9 * k / 100) * p.grad
"""


def test_its_demo_gives_the_published_losses():
    """demo.ipynb of micrograd: two moons, a network of 337 parameters, the losses and accuracies it prints."""
    np = pytest.importorskip("numpy")
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.make_moons(n_samples=100, noise=0.1, random_state=np.random.RandomState(1337))
    names = {name: getattr(autograd_lite.micrograd, name) for name in ("Value", "MLP")}
    space = {**names, "random": random, "X": X, "y": y * 2 - 1}
    exec(DEMO, space)
    shown, *numbers = space["result"]
    assert shown == repr(micrograd.nn.MLP(2, [16, 16, 1]))
    published = [0.8958441028683222, 0.50, 1.7235905336972022, 0.81, 0.7429006313851131, 0.77]
    assert numbers == pytest.approx(published, rel=1e-12)


def test_its_graph_is_read_by_its_names():
    """The walk of its draw_dot, on both: nodes, edges and what they show."""

    def walk(root):
        nodes, edges = set(), set()
        todo = [root]
        while todo:
            v = todo.pop()
            if v not in nodes:
                nodes.add(v)
                todo += v._prev
                edges |= {(child, v) for child in v._prev}
        return sorted((v.data, v._op, len(v._prev)) for v in nodes), len(edges)

    def program(value):
        a, b = value(-4.0), value(2)
        return ((a - b) / 3 + 2 / b - a**2 + (a * b).relu() + b**0.5).relu()

    ours = program(autograd_lite.micrograd.Value)
    assert walk(ours) == walk(program(micrograd.engine.Value))
    assert repr(ours).startswith("Value(data=")
    with_ag = walk((ag.Value(1.0, label="a") * ag.Value(2.0)) + 1)
    assert with_ag == ([(1.0, "", 0), (1.0, "", 0), (2.0, "", 0), (2.0, "*", 2), (3.0, "+", 2)], 4)


def test_values_take_attributes_and_hand_made_nodes():
    Value = autograd_lite.micrograd.Value
    p = Value(3.0, label="p")
    p.m = p.v = 0
    p.label = "weight"
    assert (p.m, p.name) == (0, "weight")
    x = p * 2
    x.note = "an interior node takes them too"
    x.data = 6.5

    def double(v):
        out = Value(v.data * 2, (v,), "double")

        def _backward():
            v.grad += 2 * out.grad

        out._backward = _backward
        return out

    y = double(p) + double(double(p))
    y.backward()
    assert (y.data, p.grad, y._op, {v._op for v in y._prev}) == (18.0, 6.0, "+", {"double"})
    assert math.isnan(ag.gradients(y, p)), "the engine does not know its derivative, and must not say 0"
    with pytest.raises(RuntimeError, match=r"made by hand.*ag\.primitive"):
        ag.gradients(y, p, create_graph=True)


def test_steps_of_the_lecture_by_hand():
    """`_backward` of one node after the other, by hand, and all at once."""
    for Value in (autograd_lite.micrograd.Value, micrograd.engine.Value):
        a, b = Value(2.0), Value(-3.0)
        e = a * b
        d = e + 10.0
        d.grad = 1.0
        d._backward()
        e._backward()
        assert (e.grad, a.grad, b.grad) == (1.0, -3.0, 2.0)
        d.backward()
        assert (a.grad, b.grad) == (-9.0, 6.0), "every node adds, until it is set to 0"


def test_other_functions_may_stand_in_its_graph():
    x = autograd_lite.micrograd.Value(0.5)
    y = ag.sum([x.exp(), ag.sin(x)]) + x
    (x * y).backward()
    assert x.grad == pytest.approx(math.exp(0.5) + math.sin(0.5) + 0.5 + 0.5 * (math.exp(0.5) + math.cos(0.5) + 1))
    assert isinstance(x.tanh(), autograd_lite.micrograd.Value)
    assert isinstance(2**x, autograd_lite.micrograd.Value)


@pytest.mark.parametrize("wrong", [None, "a", [1.0], 1j])
def test_a_wrong_operand_is_refused_by_name(wrong):
    Value = autograd_lite.micrograd.Value
    for refused in (lambda: Value(wrong), lambda: Value(1.0) + wrong, lambda: Value(1.0, (wrong,), "+")):
        with pytest.raises(TypeError, match="Value"):
            refused()


def test_methods_that_its_forks_and_lectures_use():
    x = ag.Value(0.5)
    for name in ("exp", "log", "tanh", "relu"):
        assert getattr(x, name)().data == getattr(ag, name)(0.5)


def test_a_derivative_of_a_network_inside_a_loss_keeps_its_dependence_on_the_weights():
    random.seed(1337)
    net = ag.micrograd.nn.MLP(1, [4, 1])
    u = lambda t: net([ag.tanh(t)])  # noqa: E731
    loss = lambda: (ag.grad(u)(0.5) - 1.0) ** 2 + u(0.5) ** 2  # noqa: E731
    loss().backward()
    for p in net.parameters():
        middle, sides = p.data, []
        for by in (1e-6, -1e-6):
            p.data = middle + by
            sides.append(loss().data)
        p.data = middle
        assert p.grad == pytest.approx((sides[0] - sides[1]) / 2e-6, abs=1e-8)
    assert any(p.grad for p in net.layers[0].parameters())
    compiled = ag.compile(lambda t: (ag.grad(u)(t) - 1.0) ** 2 + u(t) ** 2)
    assert compiled(0.5) == pytest.approx(loss().data)
    assert {*compiled.params} <= {*net.parameters()}


def test_a_weight_is_copied_and_pickled_with_its_attributes():
    weight = ag.micrograd.nn.Neuron(1).w[0]
    weight.momentum, weight.grad = 0.5, 2.0
    for other in (copy.deepcopy(weight), pickle.loads(pickle.dumps(weight))):
        assert (type(other), other.momentum, other.grad, other.frozen) == (type(weight), 0.5, 2.0, False)
        assert repr(other) == f"Value(data={weight.data}, grad=2.0)"
