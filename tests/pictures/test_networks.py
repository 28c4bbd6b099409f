"""Networks as people draw them: units, lines, what they show, what is left out, and the steps over them."""

import random
import xml.etree.ElementTree as ET
from itertools import combinations
from math import hypot

import pytest

import autograd_lite as ag
from autograd_lite.pictures.layout.geometry import on_curve
from autograd_lite.pictures.writers.network_scene import LABELLED
from autograd_lite.pictures.writers.scene import Circle, Rect
from autograd_lite.pictures.writers.text_width import width
from tests.helpers.pictures import SVG, accepted_by_graphviz, groups, opened, parsed, texts


def dag(count, seed):
    """A random acyclic network of so many neurons, each but the first taking from one to three before it."""
    rng = random.Random(seed)
    edges = [(i, j) for j in range(2, count) for i in rng.sample(range(j), min(j, rng.randint(1, 3)))]
    return ag.Network(edges, "tanh", bias=True, seed=seed)


MODELS = {
    "neuron": (lambda: ag.Neuron(3, seed=0), 3, 1),
    "perceptron": (lambda: ag.Perceptron(2, init=0.5), 2, 1),
    "layer": (lambda: ag.Layer(2, 5, seed=0), 2, 5),
    "mlp": (lambda: ag.MLP(3, [4, 1], activation="tanh", seed=0), 3, 1),
    "deep": (lambda: ag.MLP(2, [3] * 30 + [2], seed=0), 2, 2),
    "wide": (lambda: ag.MLP(200, [120, 10], seed=0), 200, 10),
    "xor": (lambda: ag.Network([(1, 3), (2, 3), (1, 4), (2, 4), (3, 5), (4, 5), (1, 5)], "tanh", seed=0), 2, 1),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("numbers", ["none", "x", "target"])
def test_every_model_is_drawn_within_the_page(name, numbers):
    make, n_in, n_out = MODELS[name]
    model = make()
    given = {"none": (), "x": ([0.5] * n_in,), "target": ([0.5] * n_in, [1.0] * n_out)}[numbers]
    picture = ag.draw(model, *given)
    root = ET.fromstring(picture.svg)
    units = [u for u in picture.diagram.units if u.key is not None]
    assert len(groups(root, "box")) == len(units)
    assert len(groups(root, "edge")) == len(picture.diagram.lines)
    assert picture.scene.width <= 900
    assert len(groups(root, "target")) == (n_out if numbers == "target" else 0)
    accepted_by_graphviz(picture.dot)
    shapes = [shape for element in picture.scene.elements for shape in element.shapes]
    for shape in shapes:
        if isinstance(shape, Circle):
            assert shape.radius <= shape.x <= picture.scene.width - shape.radius
            assert shape.radius <= shape.y <= picture.scene.height - shape.radius


def test_numbers_are_those_of_the_model_and_nothing_is_changed():
    model = ag.MLP(2, [3, 1], activation="tanh", seed=1)
    x, target = [1.0, -2.0], 0.5
    picture = ag.draw(model, x, target)
    assert all(p.grad == 0.0 for p in model.parameters())
    trace = model.trace([ag.Value(v) for v in x])
    loss = (trace.output - target) ** 2
    loss.backward()
    units = {u.key: u for u in picture.diagram.units}
    for c, layer in enumerate(trace.a):
        for i, a in enumerate(layer):
            assert units[c, i].f == a.item()
            assert units[c, i].g == pytest.approx(a.grad, rel=1e-15)
    assert {line.number for line in picture.diagram.lines} == {w.item() for w in model.weights()}
    shown = ag.draw(model, x, target, lines="gradient").diagram
    assert sorted(line.number for line in shown.lines) == pytest.approx(sorted(w.grad for w in model.weights()))
    left = ag.draw(model, lines="gradient").diagram  # what backward left in the parameters
    assert sorted(line.number for line in left.lines) == sorted(w.grad for w in model.weights())
    before = [p.item() for p in model.weights()]
    sgd = ag.optim.SGD(model.parameters(), lr=0.1)
    change = ag.draw(model, x, target, lines="change", optimizer=sgd).diagram
    sgd.step()
    moved = [p.item() - old for p, old in zip(model.weights(), before, strict=True)]
    assert sorted(line.number for line in change.lines) == pytest.approx(sorted(moved), rel=1e-12)


def test_a_graph_of_neurons_has_their_activations_and_the_lines_of_its_edges():
    model = MODELS["xor"][0]()
    picture = ag.draw(model, [1.0, 0.0], 1.0)
    trace = model.trace([1.0, 0.0])
    units = {u.key: u for u in picture.diagram.units}
    assert {j: u.f for j, u in units.items()} == {j: getattr(a, "item", lambda a=a: a)() for j, a in trace.a.items()}
    ends = {(picture.diagram.units[e.source].key, picture.diagram.units[e.target].key) for e in picture.diagram.lines}
    assert ends == set(model.edges)
    assert units[5].column > units[3].column > units[1].column


@pytest.mark.parametrize("seed", range(12))
def test_no_line_of_a_graph_passes_through_a_unit(seed):
    picture = ag.draw(dag(9, seed))
    circles = {e.id: e.shapes[0] for e in picture.scene.elements if e.kind.startswith("box")}
    edges = {e.id: e.shapes[0] for e in picture.scene.elements if e.kind == "edge"}
    for i, line in enumerate(picture.diagram.lines):
        points = edges[f"edge{i}"].points
        for k, unit in enumerate(picture.diagram.units):
            if k not in (line.source, line.target) and unit.key is not None:
                circle = circles[f"box{k}"]
                way = [on_curve(points, t / 60) for t in range(61)]
                near = min(hypot(x - circle.x, y - circle.y) for x, y in way)
                assert near > circle.radius, (seed, line, unit)


@pytest.mark.parametrize("seed", range(12))
def test_lines_of_a_graph_stay_within_the_picture_and_above_its_key(seed):
    picture = ag.draw(dag(9, seed), legend=True)
    (key,) = [e for e in picture.scene.elements if e.kind == "note"]
    first = min(shape.y for shape in key.shapes if isinstance(shape, Rect)) - 4
    for element in picture.scene.elements:
        if element.kind == "edge":
            heights = [on_curve(element.shapes[0].points, t / 60)[1] for t in range(61)]
            assert min(heights) > 0
            assert max(heights) < first, (seed, element.id)


def test_width_colour_and_dashes_are_the_weight():
    neuron = ag.Neuron(3, None)
    for w, number in zip(neuron.w, [2.0, -1.0, 0.5], strict=True):
        w.data = number
    lines = {e.get("id").rsplit("-", 1)[1]: e.find(f"{SVG}path") for e in groups(parsed(ag.draw(neuron)), "edge")}
    thick = [float(lines[f"edge{i}"].get("stroke-width")) for i in range(3)]
    assert thick[0] > thick[1] > thick[2]
    assert [lines[f"edge{i}"].get("stroke-dasharray") is not None for i in range(3)] == [False, True, False]
    assert lines["edge0"].get("stroke") == lines["edge2"].get("stroke") != lines["edge1"].get("stroke")
    assert texts(parsed(ag.draw(neuron)), "local") == ["0.5", "−1", "2"]  # thick ones above


@pytest.mark.parametrize("sizes", [(2, 2, 1), (2, 4, 2), (3, 4, 1), (1, 8, 1), (4, 3, 1), (16, 1), (3, 3, 2)])
def test_numbers_beside_lines_are_readable(sizes):
    n_in, *rest = sizes
    for seed in range(3):
        picture = ag.draw(ag.MLP(n_in, rest, "tanh", seed=seed), [0.5] * n_in)
        grounds = [s for e in picture.scene.elements if e.kind == "edge" for s in e.shapes if isinstance(s, Rect)]
        assert len(grounds) == (len(picture.diagram.lines) if len(picture.diagram.lines) <= LABELLED else 0)
        for a, b in combinations(grounds, 2):
            across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
            down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
            assert min(across, down) <= 1.0, (sizes, seed)


def test_large_layers_are_shortened_and_say_so():
    picture = ag.draw(ag.MLP(784, [300, 10], seed=0))
    (note,) = {u.name for u in picture.diagram.units if u.kind == "more" and u.column == 0}
    assert note == "775 more"
    assert "Shortened" in picture.diagram.note
    assert "input (784)" in texts(parsed(picture), "note")
    assert len(picture.svg) < 100_000
    assert len([u for u in ag.draw(ag.MLP(50, [1], seed=0), most=5).diagram.units if u.column == 0]) == 5
    deep = ag.draw(ag.MLP(2, [3] * 30, seed=0)).diagram
    assert [u.name for u in deep.units if u.kind == "columns"] == ["23 more layers"]
    assert "more" in repr(picture)


def test_a_large_graph_of_neurons_is_shortened():
    diagram = ag.draw(dag(400, 0)).diagram
    assert "Shortened" in diagram.note
    assert len(diagram.units) <= 100


def test_a_number_stays_within_its_circle():
    model = ag.Neuron(1, init=1.0)
    for x in (-0.0797, -0.000123, 1.0, -123456.0):
        picture = ag.draw(model, [x], 0.0)
        for element in picture.scene.elements:
            if element.kind.startswith("box"):
                radius = element.shapes[0].radius
                numbers = {s.part: s for s in element.shapes if getattr(s, "part", "") in ("f", "g")}
                assert set(numbers) == {"f", "g"}
                for part, text in numbers.items():
                    assert width(text.text, text.size, bold=part == "f") <= 2 * radius - 3 + 1e-9


def test_hovering_says_how_a_unit_came_about():
    model = ag.Neuron(2, "tanh")
    for p, number in zip(model.parameters(), [0.5, -1.0, 0.25], strict=True):
        p.data = number
    (unit,) = [u for u in ag.draw(model, [2.0, 1.0], 1.0).diagram.units if u.kind == "output"]
    assert "z = 0.5 × 2 + (-1) × 1 + 0.25 = 0.25; a = tanh(z) = 0.2449; dL/da = -1.51" in unit.about
    assert "target 1" in unit.about


def test_png_pdf_and_page(tmp_path):
    picture = ag.draw(MODELS["mlp"][0](), [1.0, 2.0, 3.0], 1.0)
    for suffix in ("svg", "png", "pdf", "dot", "html"):
        assert picture.save(tmp_path / f"x.{suffix}").stat().st_size > 500


def test_the_steps_are_the_gradients_of_the_engine():
    model = ag.MLP(2, [2, 2], "tanh", seed=3)
    x, target = [1.0, -0.5], [0.5, -1.0]
    sgd = ag.optim.SGD(model.parameters(), lr=0.1)
    stepper = ag.step(model, sgd, x=x, target=target)
    assert [s.phase for s in stepper.steps if s.edge is None][-1] == "update"
    f = {box: v for s in stepper.steps if s.part == "f" for box, v in s.fills.items()}
    g = {box: v for s in stepper.steps if s.part == "g" for box, v in s.fills.items()}
    units = stepper.picture.diagram.units
    assert f == {i: u.f for i, u in enumerate(units)}
    assert g == {i: u.g for i, u in enumerate(units)}
    lit = {s.edge: s.caption for s in stepper.steps if s.edge is not None}
    assert lit.keys() == set(range(len(stepper.picture.diagram.lines)))

    def loss():
        return ag.sum([(a - t) ** 2 for a, t in zip(model(x), target, strict=True)])

    before = loss()
    before.backward()
    for k, caption in lit.items():
        source, end = stepper.picture.diagram.lines[k].source, stepper.picture.diagram.lines[k].target
        layer, unit = units[end].key
        w = model.layers[layer - 1].neurons[unit].w[units[source].key[1]]
        assert caption.endswith(f"= {w.grad:.4g}")
    sgd.step()
    assert f"with them L = {loss().item():.4g}; it was {before.item():.4g}" in stepper.steps[-1].caption
    forward = ag.step(model, x=x).steps
    assert {s.phase for s in forward} == {"forward"}


def test_the_page_of_a_network_plays(browser, tmp_path):
    stepper = ag.step(MODELS["mlp"][0](), x=[1.0, 2.0, 3.0], target=1.0)
    with opened(browser, stepper.save(tmp_path / "x.html")) as page:
        assert page.locator("svg .waiting").count() == 5
        page.click("#last")
        assert page.locator("svg .waiting").count() == 0
        assert page.locator("svg .unset").count() == 0
        shown = page.evaluate("[...document.querySelectorAll('g.box > text.f')].map(t => t.textContent)")
        assert shown == texts(parsed(stepper.picture), "f")
    ET.fromstring(stepper.animated)


def test_a_plot_has_the_same_shapes():
    plt = pytest.importorskip("matplotlib.pyplot")
    model = MODELS["mlp"][0]()
    circles = sum(isinstance(s, Circle) for e in ag.draw(model).scene.elements for s in e.shapes)
    for ax in (ag.plot.network(model), ag.plot.network(model, ax=plt.subplots()[1])):
        assert len([p for p in ax.patches if type(p).__name__ == "Circle"]) == circles
        plt.close(ax.figure)


def test_misuse():
    model, loss = ag.MLP(2, [1], seed=0), ag.Value(1.0) * 2
    with pytest.raises(TypeError, match="draw: x is about a network"):
        ag.draw(loss, [1.0])
    with pytest.raises(TypeError, match="draw: fold is about a graph of Values"):
        ag.draw(model, fold=True)
    with pytest.raises(ValueError, match="draw: target needs x"):
        ag.draw(model, None, 1.0)
    with pytest.raises(ValueError, match="draw: x: expected 2 inputs, got 3"):
        ag.draw(model, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="draw: target: expected 1 numbers"):
        ag.draw(model, [1.0, 2.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="lines must be one of 'weight', 'gradient', 'change', got str 'w'"):
        ag.draw(model, lines="w")
    with pytest.raises(ValueError, match="lines='gradient' needs gradients, and there are none"):
        ag.draw(model, lines="gradient")
    with pytest.raises(TypeError, match="lines='change' needs optimizer="):
        ag.draw(model, [1.0, 2.0], 1.0, lines="change")
    with pytest.raises(ValueError, match="most must be at least 3"):
        ag.draw(model, most=1)
    with pytest.raises(ValueError, match="step: a network needs an example"):
        ag.step(model)
    with pytest.raises(TypeError, match="step: x is about a model"):
        ag.step(loss, x=[1.0])
    with pytest.raises(TypeError, match=r"plot\.network: expected a Neuron"):
        ag.plot.network(loss)

    class Own(ag.Module):
        def __init__(self):
            self.inner = ag.MLP(2, [1], seed=0)

    with pytest.raises(TypeError, match="is not a Neuron, Layer, MLP or Network; give one of its layers"):
        ag.draw(Own())
