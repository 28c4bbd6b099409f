"""The core without NumPy, graphviz, tqdm and what builds on them, as in a browser: it works, or names what it needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ABSENT = [
    "numpy",
    "graphviz",
    "pygraphviz",
    "tqdm",
    "scipy",
    "matplotlib",
    "sklearn",
    "llvmlite",
    "threadpoolctl",
    "jax",
    "sympy",
    "pandas",
    "PIL",
]

BARE = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import autograd_lite as ag

w, x = ag.Parameter(3.0, name="w"), ag.Value(2.0, name="x")
model = ag.MLP(2, [16, 16, 1], seed=0)

def made():
    return (ag.relu(w * x) - 1) ** 2

loss = made()
loss.backward()
large = (model([1.0, 2.0]) - 1) ** 2
"""


def run_bare(program):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", BARE + program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_pictures_steps_and_words():
    run_bare("""
picture = ag.draw(loss)
assert len(picture.diagram.edges) == 7 and picture.svg.startswith("<svg")
assert "<script>" in ag.draw(loss).html
steps = ag.step(loss, ag.optim.SGD([w], lr=0.1))
assert steps.steps[-2].caption == "w <- w - lr * g(w) = 3 - 0.1 * 20 = 1"
assert "<script>" in steps.html and steps.animated.startswith("<svg")
assert str(ag.tape(loss)).splitlines()[0] == "w = Parameter(3)   f=3    g=20"
assert ag.explain(loss, w).gradient == 20.0
assert 'class="edge' in ag.draw(loss, explain=w).svg
assert not ag.diagnose(loss)
assert [fault.kind for fault in ag.diagnose((ag.relu(-w) - 1) ** 2)] == ["dead relu"]
assert ag.quiz(loss).check(A=20) and "<script>" in ag.quiz(loss).html
assert str(ag.formula(loss)).endswith("(relu(w·x) − 1)²")
assert "<svg" in ag.draw(model, [1.0, 2.0], 1.0).svg
""")


def test_a_large_graph_says_that_it_is_not_folded():
    run_bare("""
for picture in (ag.draw(large), ag.draw(large, fold=True), ag.step(large).picture):
    assert len(picture.diagram.boxes) <= 60
    assert "not folded, which needs NumPy" in picture.diagram.note
    assert "not folded" in picture.svg
y = w
for i in range(400):
    y = ag.tanh(y * x) + ag.sin(y) if i % 3 else y * y / (1 + y * y) - y
assert "not folded" in ag.draw(y).diagram.note
""")


def test_derivatives():
    run_bare("""
assert ag.grad(lambda v: v[0] * v[1])([2.0, 3.0]) == [3.0, 2.0]
assert ag.grad(lambda p: p["a"] ** 2)({"a": 2.0}) == {"a": 4.0}
assert ag.value_and_grad(lambda x: x**3)(2.0) == (8.0, 12.0)
assert ag.jacobian(lambda v: [v[0] * v[1], v[0] ** 2])([2.0, 3.0]) == [[3.0, 2.0], [4.0, 0.0]]
assert ag.hessian(lambda v: v[0] ** 2 * v[1])([2.0, 3.0]) == [[6.0, 4.0], [4.0, 0.0]]
assert ag.hessian(lambda x: x**3)(2.0) == 12.0
many = [i / 10 for i in range(40)]
table = ag.jacobian(lambda v: [ag.sum(v) * y for y in v])(many)
assert all(abs(table[i][j] - (sum(many) * (i == j) + many[i])) < 1e-12 for i in range(40) for j in range(40))
assert ag.hvp(lambda v: v[0] ** 2 * v[1], [2.0, 3.0], [1.0, 0.0]) == [6.0, 4.0]
assert ag.jvp(lambda x: x**3, (2.0,), (1.0,)) == (8.0, 12.0)
assert ag.gradcheck(lambda v: v[0] * v[1], [2.0, 3.0])
""")


@pytest.mark.parametrize("rule", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_training(rule):
    run_bare(f"""
X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0, 0.0]
model = ag.MLP(2, [8, 1], activation="tanh", seed=1)
optimizer = ag.optim.{rule}(model.parameters(), lr=0.05)
seen = []
for _ in range(60):
    optimizer.zero_grad()
    loss = ag.mean([ag.losses.squared_error(model(row), t) for row, t in zip(X, y)])
    loss.backward()
    optimizer.step()
    seen.append(loss.data)
assert seen[-1] < 0.5 * seen[0], seen
""")


@pytest.mark.parametrize(
    ("call", "who", "install"),
    [
        ("ag.fold(loss)", "fold", "pip install numpy"),
        ("ag.compile(lambda x: x * x)", "compile", "pip install numpy"),
        ("ag.array([1.0])", "array", "pip install numpy"),
        ("ag.minimize(made, [w])", "minimize", "pip install numpy"),
        ("ag.explore(lambda a: a * a, a=(0.0, 1.0))", "explore", "pip install numpy"),
        ("ag.propagate(lambda a: a * a, 1.0, 0.1)", "propagate", "pip install numpy"),
        ("model.predict([[1.0, 2.0]])", "predict", "pip install numpy"),
        ("ag.fit(model, [[1.0, 2.0]], [1.0])", "fit", "pip install numpy"),
        ("ag.diagnose(model, [[1.0, 2.0]], [1.0])", "diagnose", "pip install numpy"),
        ("ag.Perceptron(1).fit([[1.0]], [1])", "Perceptron", "pip install numpy"),
        ("ag.draw(loss).dot", "DOT", "pip install graphviz"),
        ("ag.plot.losses([1.0])", "plot.losses", "pip install 'autograd_lite[viz]'"),
        ("ag.draw(loss).save('a.png')", "save", "pip install 'autograd_lite[viz]'"),
    ],
)
def test_what_needs_a_package_names_it(call, who, install):
    found = run_bare(f"""
try:
    {call}
except (ImportError, RuntimeError) as error:
    print(error)
""")
    assert who in found
    assert install in found
    assert "No module named" not in found
