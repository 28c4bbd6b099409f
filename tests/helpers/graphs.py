"""Small graphs that many tests are about, and names that try to break what shows them."""

import random
from itertools import pairwise

import autograd_lite as ag

HOSTILE = {
    "dot": '"]; }',
    "tag": "<b>bold</b>",
    "script": "</script><script>alert(1)</script>",
    "escape": "\\N \\n \\",
    "surrogate": "lone \ud800 surrogate",
    "long": "x" * 10_000,
    "control": "nul \x00 bell \x07 escape \x1b[31m newline \n tab \t",
    "bidi": "right \u202e to left",
    "entity": "&amp; &#0; &bogus; ]]> -->",
    "tex": "$\\frac{1}$ {format} %s",
    "nonchar": "\ufffe \uffff",
    "blank": "   ",
    "emoji": "日本語 🎉 e\u0301",
}
"""Names that look like markup, do not print, or are too long."""


def slides():
    """Loss = (w . phi - y)^2 at w = [3, 1], phi = [1, 2], y = 2."""
    w1, w2 = ag.Parameter(3.0, name="w1"), ag.Parameter(1.0, name="w2")
    phi1, phi2, y = ag.Value(1.0, name="phi1"), ag.Value(2.0, name="phi2"), ag.Value(2.0, name="y")
    residual = w1 * phi1 + w2 * phi2 - y
    residual.name = "residual"
    loss = residual**2
    loss.name = "Loss"
    return loss


def network(sizes=(2, 1), examples=1):
    model = ag.MLP(3, list(sizes), activation="tanh", seed=0)
    xs = [ag.Value(float(i), name=f"x[{i}]") for i in range(3)]
    loss = ag.sum([(model(xs) - 1.0) ** 2 for _ in range(examples)])
    loss.backward()
    return loss


def scalar_network(examples=100, sizes=(2, 16, 16, 1)):
    """micrograd's demo: hinge loss and a penalty on the weights, written with * and + alone."""
    layers = [
        [([ag.Parameter(0.01 * (i - j + 1)) for i in range(n)], ag.Parameter(0.0)) for j in range(m)]
        for n, m in pairwise(sizes)
    ]
    data = 0.0
    for k in range(examples):
        xs = [ag.Value(k / examples), ag.Value(1.0 - k / examples)]
        for layer in layers:
            ys = []
            for w, b in layer:
                z = b
                for a, x in zip(w, xs, strict=True):
                    z = z + a * x
                ys.append(ag.relu(z) if layer is not layers[-1] else z)
            xs = ys
        data = data + ag.relu(1 - (-1.0) ** k * xs[0])
    penalty = 0.0
    for layer in layers:
        for w, b in layer:
            for p in (*w, b):
                penalty = penalty + p * p
    loss = data * (1 / examples) + penalty * 1e-4
    loss.backward()
    return loss


def reused():
    """Two values that are used twice."""
    a = ag.Value(2.0, name="a")
    b = ag.tanh(a * 0.25)
    b.name = "b"
    out = a * a + b * a
    out.name = "out"
    return out


def random_graph(seed):
    rng = random.Random(seed)
    values = [ag.Parameter(rng.uniform(0.2, 2.0), name=f"p{i}") for i in range(3)]
    makers = [
        lambda a, b: a * b,
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: ag.tanh(a),
        lambda a, b: 0.5 * a,
        ag.maximum,
        lambda a, b: ag.sum([a, b, a]),
    ]
    for _ in range(12):
        values.append(rng.choice(makers)(rng.choice(values), rng.choice(values)))
    return ag.sum(values)


def hostile_graph(name):
    """A graph whose leaf, parameter, result and frame have this name."""
    x = ag.Value(2.0, name=name)
    with ag.scope(name):
        y = ag.Parameter(3.0, name=name) * x
    y.name = name
    loss = y + x
    loss.backward()
    return loss
