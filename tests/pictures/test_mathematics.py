"""What a picture shows and how it writes it: show, symbols, local, digits, legend, names."""

import random

import pytest

import autograd_lite as ag
from autograd_lite.engine import graph
from autograd_lite.engine.rules import TABLE
from autograd_lite.pictures.mathematics import DERIVATIVES, Language, derivative, escaped, in_latex, in_letters
from autograd_lite.pictures.writers.scene import Rect
from autograd_lite.pictures.writers.themes import themed
from tests.helpers.graphs import slides
from tests.helpers.pictures import groups, parsed, texts

NAMES = {
    "w_12": ("w₁₂", "w_{12}"), "w[0]": ("w₀", "w_{0}"), "w[0][1]": ("w₀₁", "w_{01}"), "w[10][2]": ("w₁₀,₂", "w_{10,2}"),
    "$w_{12}$": ("w₁₂", "w_{12}"), r"\alpha": ("α", r"\alpha"), "theta": ("θ", r"\theta"),
    "theta_1": ("θ₁", r"\theta_{1}"),
    "α": ("α", r"\alpha"), "Delta_j": ("Δⱼ", r"\Delta_{j}"), "in_j": ("inⱼ", r"\mathrm{in}_{j}"), "x1": ("x₁", "x_{1}"),
    "y_hat": ("ŷ", r"\hat{y}"), "b": ("b", "b"), "loss": ("loss", r"\mathrm{loss}"), "v3": ("v3", "v_{3}"),
    "learning_rate": ("learning_rate", r"\text{learning\_rate}"),
    "layers[0].w[1]": (None, r"\text{layers{[}0{]}.w{[}1{]}}"),
    "x_train": (None, r"\text{x\_train}"), r"\input": (None, r"\text{\textbackslash{}input}"), "": ("", r"\text{}"),
    "a b": (None, r"\text{a b}"), "x_": (None, r"\text{x\_}"), "重み": (None, r"\text{重み}"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    letters, latex = NAMES[name]
    assert in_letters(name) == (name if letters is None else letters)
    assert in_latex(name) == latex


def test_a_slide():
    w, x, y = [ag.Parameter(2.0), ag.Parameter(-1.0)], [ag.Value(1.0), ag.Value(2.0)], ag.Value(3.0, name="y_hat")
    alpha = 0.5 * w[0]
    residual = w[0] * x[0] + w[1] * x[1] - y
    loss = residual**2 + 1e-7 * alpha
    loss.backward()
    root = parsed(ag.draw(loss, local="formula", names=locals()))
    assert texts(root, "title") == [
        "w₀",
        "x₀",
        "v3",
        "w₁",
        "x₁",
        "v6",
        "v7",
        "ŷ",
        "residual",
        "v10",
        "α",
        "v12",
        "loss",
    ]
    assert "".join(texts(root, "symbol")) == "×××+−x²××+"[1:]
    assert {"2·residual", "w₀", "x₁", "−1", "1×10⁻⁷"} <= set(texts(root, "local"))
    assert "f = −3" in texts(root, "f")
    assert "residual²" in texts(root, "rule")
    code = parsed(ag.draw(loss, local="formula", names=locals(), symbols="code"))
    assert {"2 * residual", "-1", "1e-07"} <= set(texts(code, "local"))
    assert {"**", "*", "-"} <= set(texts(code, "symbol"))
    assert "w[0]" in texts(code, "title")


def test_show_and_digits_and_explicit_names():
    x = ag.Value(1 / 3, name="mine")
    y = x * x
    y.backward()
    picture = ag.draw(y, names=locals(), show=("g",), digits=2)
    root = parsed(picture)
    assert (texts(root, "f"), texts(root, "g"), texts(root, "local")) == ([], ["g = 0.67", "g = 1"], [])
    assert texts(root, "title") == ["mine", "y"]
    assert "y = mine * mine" in repr(picture)
    assert texts(parsed(ag.draw(y, digits=9)), "f")[0] == "f = 0.333333333"
    assert texts(parsed(ag.draw(y, show=())), "title") == ["mine", "v2"]
    assert "f = 0.333" in ag.draw(y, digits=3).dot


def test_names_are_found_in_lists_and_not_in_an_interactive_session():
    xs = [[ag.Value(1.0), ag.Value(2.0)], (ag.Value(3.0),)]
    loss = xs[0][0] * xs[0][1] * xs[1][0]
    named = {"_": loss, "Out": [loss], "xs": xs, "n": 3, "self": [1, "a", None], 3: loss}
    titles = texts(parsed(ag.draw(loss, names=named, symbols="code")), "title")
    assert titles == ["xs[0][0]", "xs[0][1]", "v3", "xs[1][0]", "v5"]
    array = ag.array([1.0, 2.0, 3.0]) * ag.Value(2.0)
    assert "a[1]" in texts(parsed(ag.draw(ag.sum(list(array)), names={"a": array}, symbols="code")), "title")
    many = [ag.Value(float(i)) for i in range(100)]
    assert ag.draw(ag.sum(many), names={"many": many}, most=5).svg.count("many") >= 3


def test_roles_are_told_apart_without_colour():
    p, x = ag.Parameter(1.0), ag.Value(1.0)
    boxes = {e.kind.split()[1]: e.shapes[0] for e in ag.draw(p * x + 2).scene.elements if e.kind.startswith("box ")}
    looks = {kind: (rect.round, rect.dashed, rect.thick) for kind, rect in boxes.items()}
    assert len(set(looks.values())) == len(looks) == 4
    for theme in ("light", "print", "dark"):
        scene = themed(ag.draw(p * x + 2).scene, theme)
        fills = {e.kind.split()[1]: e.shapes[0].fill for e in scene.elements if e.kind.startswith("box ")}
        grey = {
            kind: sum(w * int(c[i : i + 2], 16) for w, i in ((0.3, 1), (0.59, 3), (0.11, 5)))
            for kind, c in fills.items()
        }
        assert abs(grey["parameter"] - grey["input"]) > 5, theme


def test_the_legend_says_what_is_there_and_nothing_else():
    loss = slides()
    (legend,) = groups(parsed(ag.draw(loss, legend=True)), "legend")
    said = texts(legend, "key")
    assert said[:3] == ["parameter", "operation", "root"] or "operation" in said
    assert not any(text.startswith("g =") for text in said)
    loss.backward()
    picture = ag.draw(loss, legend=True, theme="print", symbols="code")
    said = texts(groups(parsed(picture), "legend")[0], "key")
    assert any(text.startswith("g = d ") for text in said)
    right = max(s.x + s.width for e in picture.scene.elements for s in e.shapes if isinstance(s, Rect))
    assert right <= picture.scene.width
    assert not groups(parsed(ag.draw(loss)), "legend")


@pytest.mark.parametrize(("digits", "shown"), [(3, "0.69"), (4, "0.689")])
def test_a_network(digits, shown):
    model = ag.MLP(2, [3, 1], "tanh", seed=1)
    root = parsed(ag.draw(model, [1.0, -0.5], 0.3, digits=digits))
    assert shown in texts(root, "f")
    assert any(text.startswith("−") for text in texts(root, "local"))
    assert texts(parsed(ag.draw(model, [1.0, -0.5], 0.3, show=("g",))), "f") == []
    assert "In a circle: activation a, forward" in ag.draw(model, [1.0, -0.5], legend=True).svg


def test_the_stepper_writes_the_same():
    w, x = ag.Parameter(2.0), ag.Value(-1.0, name="x_1")
    residual = w * x - 3
    loss = residual**2
    stepper = ag.step(loss, ag.optim.SGD([w], lr=0.1), names=locals(), local="formula", digits=3, legend=True, size=24)
    assert stepper.steps[-2].caption == "w <- w - lr * g(w) = 2 - 0.1 * 10 = 1"  # plain data, as the program has it
    assert "2·residual" in stepper.svg
    assert "w ← w − lr · g(w) = 2 − 0.1 · 10 = 1" in stepper.html
    frame = stepper.frame(5)
    assert "∂loss/∂residual = 1 · (−10)" in frame.svg
    assert "f = −5" in texts(parsed(frame), "f")
    assert frame.scale == 2.0
    assert "2 * residual" in ag.step(loss, names=locals(), local="formula", symbols="code").svg


BAD = [
    ({"show": "f"}, TypeError, "show must be a sequence of 'f', 'g' and 'local'"),
    ({"show": ("f", "h")}, ValueError, "show takes 'f', 'g' and 'local', got str 'h'"),
    ({"show": 3}, TypeError, "show must be a sequence"),
    ({"symbols": "latex"}, ValueError, "symbols must be 'math' or 'code', got str 'latex'"),
    ({"local": "text"}, ValueError, "local must be 'number' or 'formula', got str 'text'"),
    ({"local": None}, ValueError, "local must be 'number' or 'formula'"),
    ({"digits": 0}, ValueError, "digits must be at least 1"),
    ({"digits": 18}, ValueError, "digits is how many figures of a number are shown, from 1 to 17, got 18"),
    ({"digits": 2.5}, TypeError, "digits must be a whole number"),
    ({"legend": 1}, TypeError, "legend must be True or False, got int 1"),
    ({"names": ["w"]}, TypeError, "names must be a dict of names and Values, such as locals()"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
@pytest.mark.parametrize("what", ["draw", "step"])
def test_misuse(what, options, error, message):
    with pytest.raises(error, match=f"^{what}: {message}"):
        getattr(ag, what)(slides(), **options)


def functions():
    """Every primitive of one or two operands, at a point of its domain."""
    rng = random.Random(0)
    for name, row in TABLE.items():
        if row.variadic or name.startswith("_") or row.setting or not row.builtin:
            continue
        xs = [min(max(rng.uniform(0.2, 0.8), low), high) for low, high in row.domain][: len(row.operands)]
        xs = [x + (1.0 if name == "acosh" else 0.0) for x in xs]
        yield pytest.param(name, xs, id=name)


@pytest.mark.parametrize(("name", "xs"), list(functions()))
def test_a_formula_at_an_edge_is_the_local_gradient(name, xs):
    leaves = [ag.Value(x, name=letter) for x, letter in zip(xs, "abc", strict=False)]
    row = TABLE[name]
    node = getattr(ag, name)(*leaves) if hasattr(ag, name) else row_applied(row, leaves)
    for slot, local in enumerate(node.local_grads):
        if graph.raw_operands(node)[slot].__class__ is float:
            continue
        text = derivative(node, slot, lambda x: x.name or "out", Language(folds=True, digits=17, code=True))
        if not text:
            assert name not in DERIVATIVES
            continue
        space = {leaf.name: leaf.item() for leaf in leaves} | {"out": node.item(), "π": 3.141592653589793}
        space |= {f: (lambda *ys, f=f: float(getattr(ag, f)(*ys))) for f in dir(ag) if f.islower()}
        # [a > 0] is 1 where it holds
        found = float(
            eval(text.replace("[", "float(").replace("]", ")").replace("≠", "!=").replace(" = ", " == "), space)
        )
        assert found == pytest.approx(local, rel=1e-9, abs=1e-12), (name, slot, text)


def row_applied(row, leaves):
    operators = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "mod": "%", "floor_divide": "//"}
    if row.name == "neg":
        return -leaves[0]
    return eval(f"a {operators[row.name]} b", dict(zip("ab", leaves, strict=False)))


def test_any_text_is_harmless_in_latex():
    for text in (r"}\input{/etc/passwd}", "%$&#_^~\\", "a\nb\0c", "\u202e", "重み", "[x]"):
        made = escaped(text)
        assert "\n" not in made
        assert r"\input" not in made
        assert made.replace(r"\{", "").replace(r"\}", "").count("{") == made.replace(r"\{", "").replace(
            r"\}", ""
        ).count("}")
