"""Programs written for micrograd run with the import changed, and give the same numbers."""

import random

import micrograd.engine
import micrograd.nn
import pytest

import autograd_lite as ag

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


def test_methods_that_its_forks_and_lectures_use():
    x = ag.Value(0.5)
    for name in ("exp", "log", "tanh", "relu"):
        assert getattr(x, name)().data == getattr(ag, name)(0.5)
