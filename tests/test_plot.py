"""Plots: what is in them, where they are drawn, and that nothing else is touched."""

import math
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.backward import adjoints
from autograd_lite.engine.notation import printable
from tests.helpers.graphs import HOSTILE

matplotlib = pytest.importorskip("matplotlib", reason="plots need Matplotlib, extra `viz`")
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def _closed(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("a plot was shown"))
    yield
    plt.close("all")


def deep(activation="sigmoid", examples=3):
    model = ag.MLP(2, [6, 5, 4, 1], activation=activation, init=ag.nn.normal(1.0), seed=0)
    return ag.mean([ag.losses.squared_error(model([0.3 * i, 1.0]), 1.0) for i in range(examples)])


def bowl(a, b):
    return a**2 + 10 * b**2


CALLS = {
    "losses": lambda ax: ag.plot.losses([3.0, 2.0, 1.0], ax=ax),
    "decision_boundary": lambda ax: ag.plot.decision_boundary(
        ag.Neuron(2, "tanh", seed=0), [[0.0, 1.0], [1.0, 0.0]], [1, -1], ax=ax, resolution=9
    ),
    "network": lambda ax: ag.plot.network(ag.MLP(2, [3, 1], seed=0), [1.0, -1.0], 1.0, ax=ax),
    "activations": lambda ax: ag.plot.activations(deep(), ax=ax),
    "gradients": lambda ax: ag.plot.gradients(deep(), ax=ax),
    "update_ratios": lambda ax: ag.plot.update_ratios([{"w": 1.0}, {"w": 1.1}], ax=ax),
    "contours": lambda ax: ag.plot.contours(bowl, start=(1.0, -1.0), steps=2, resolution=9, ax=ax),
    "loss_slice": lambda ax: ag.plot.loss_slice(
        ag.Neuron(1, "tanh", seed=0), lambda m: (m([1.0]) - 2) ** 2, resolution=4, ax=ax
    ),
}


def test_every_plot_is_tested():
    assert set(CALLS) == set(ag.plot.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_it_draws_into_the_axes_that_it_is_given(name):
    figure, ax = plt.subplots()
    assert CALLS[name](ax) is ax
    assert ax.has_data()
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("name", CALLS)
def test_it_makes_one_figure_of_its_own(name):
    ax = CALLS[name](None)
    assert [ax.figure.number] == plt.get_fignums()


def test_matplotlib_is_imported_on_use_and_missed_with_a_word():
    code = (
        "import sys, autograd_lite as ag; ag.plot.losses; assert 'matplotlib' not in sys.modules\n"
        "sys.modules['matplotlib.pyplot'] = None\n"
        "try: ag.plot.losses([1.0])\n"
        "except ImportError as e: assert 'autograd_lite[viz]' in str(e)\n"
        "else: raise SystemExit('no error')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_losses_of_a_history_a_dict_and_a_list():
    class History:
        loss, validation_loss = [2.0, 1.0], [2.5, 1.5]

    lines = ag.plot.losses(History(), log=True).lines
    assert [(line.get_label(), list(line.get_ydata())) for line in lines] == [
        ("training", [2.0, 1.0]),
        ("validation", [2.5, 1.5]),
    ]
    assert list(ag.plot.losses([1.0, 0.5]).lines[0].get_xdata()) == [1, 2]
    with pytest.raises(ValueError, match="there is no loss to draw"):
        ag.plot.losses({"training": []})


def test_the_paths_are_the_optimizers(golden):
    case = golden["optimizers"]
    rules = {
        "sgd": lambda p: ag.optim.SGD(p, lr=case["sgd"]["lr"]),
        "momentum": lambda p: ag.optim.SGD(p, lr=0.01, momentum=case["momentum"]["momentum"]),
    }
    lines = {line.get_label(): line for line in ag.plot.contours(bowl, start=(1, -2), optimizers=rules, steps=3).lines}
    for name in rules:
        path = np.array(lines[name].get_data()).T
        np.testing.assert_allclose(path, [[1.0, -2.0], *case[name]["trace"]], rtol=1e-12)
    with pytest.raises(ValueError, match=r"the path of 'wild', step \d+: SGD\.step: params.*a smaller lr"):
        ag.plot.contours(bowl, start=(1, -2), optimizers={"wild": lambda p: ag.optim.SGD(p, lr=1e9)}, resolution=5)


def medians(ax):
    return {
        line.get_label().removeprefix("_median "): line.get_xdata()[0]
        for line in ax.lines
        if line.get_label().startswith("_median")
    }


def test_gradients_vanish_where_they_do():
    loss = deep()
    found = medians(ag.plot.gradients(loss))
    assert list(found) == ["layer 0", "layer 1", "layer 2", "layer 3"]
    g = adjoints(loss)
    out = [abs(x) for node, x in g.items() if node.op == "dot" and node.scope.parent.name == "layer 3"]
    assert math.isclose(found["layer 3"], np.median(out))
    assert found["layer 0"] < found["layer 3"] / 3
    assert list(medians(ag.plot.gradients(loss, of="parameters"))) == list(found)


def test_dead_units_are_counted():
    model = ag.MLP(1, [4, 1], activation="relu", init=-1.0)
    ax = ag.plot.activations(model([1.0]))
    assert "4 of 4 are 0" in [text.get_text() for text in ax.texts]


def test_nothing_is_changed():
    model = ag.Neuron(1, "tanh", seed=0)
    before = model.state_dict()
    with pytest.raises(ZeroDivisionError):
        ag.plot.loss_slice(model, lambda m: 1 / 0)
    assert model.state_dict() == before
    loss = (model([1.0]) - 1.0) ** 2
    ag.plot.gradients(loss)
    assert [p.grad for p in model.parameters()] == [0.0, 0.0]


def test_update_ratios():
    model = ag.MLP(1, [2, 1], activation="tanh", seed=0)
    optimizer = ag.optim.SGD(model.parameters(), lr=0.1)
    states = [model.state_dict()]
    for _ in range(3):
        optimizer.zero_grad()
        ((model([1.0]) - 1.0) ** 2).backward()
        optimizer.step()
        states.append(model.state_dict())
    lines = {line.get_label(): line.get_ydata() for line in ag.plot.update_ratios(states).lines}
    names = [name for name in states[0] if name.startswith("layers[1]")]
    old, new = ([state[name] for name in names] for state in states[:2])
    assert math.isclose(lines["layers[1]"][0], math.dist(old, new) / math.hypot(*old))
    with pytest.raises(ValueError, match="two states make one step, got 1"):
        ag.plot.update_ratios(states[:1])
    with pytest.raises(ValueError, match="state 1 has other parameters"):
        ag.plot.update_ratios([{"a": 1.0}, {"b": 1.0}])


def test_decision_boundary_of_several_classes():
    X, y = [[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]], ["a", "b", "c"]
    ax = ag.plot.decision_boundary(ag.MLP(2, [3], seed=0), X, y, resolution=7)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == y


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.filterwarnings("ignore:Glyph .* missing")  # of an emoji: the font's, and it shows as a box
def test_hostile_names_stay_text(name, tmp_path):
    with ag.scope(name):
        loss = ag.Parameter(3.0, name=name) * 2.0
    rule = {name: lambda p: ag.optim.SGD(p, lr=0.1)}
    made = [
        ag.plot.losses({name: [1.0, 2.0]}),
        ag.plot.gradients(loss),
        ag.plot.update_ratios([{f"{name}.w": 1.0}, {f"{name}.w": 1.1}]),
        ag.plot.contours(bowl, start=(1, 1), optimizers=rule, resolution=5),
        ag.plot.decision_boundary(ag.Neuron(2, seed=0), [[0.0, 1.0], [1.0, 0.0]], [name, "b"], resolution=5),
    ]
    for ax in made:
        ax.figure.savefig(tmp_path / "x.svg")
        ElementTree.parse(tmp_path / "x.svg")
    said = [text.get_text() for text in made[0].get_legend().get_texts()]
    assert said == [printable(name).replace("$", r"\$")]


def test_a_name_that_begins_with_an_underscore_is_in_the_legend():
    ax = ag.plot.losses({"_w": [1.0, 0.5]})
    assert [text.get_text().strip() for text in ax.get_legend().get_texts()] == ["_w"]


def test_misuse():
    model = ag.Neuron(3, seed=0)
    with pytest.raises(ValueError, match=r"X must have 2 columns, got shape \(1, 3\)"):
        ag.plot.decision_boundary(model, [[1.0, 2.0, 3.0]], [1])
    with pytest.raises(ValueError, match="1 examples but 2 labels"):
        ag.plot.decision_boundary(ag.Neuron(2, seed=0), [[1.0, 2.0]], [1, -1])
    with pytest.raises(TypeError, match=r"plot\.activations: expected a Value"):
        ag.plot.activations([1.0])
    with pytest.raises(ValueError, match="no node of this graph belongs to a layer"):
        ag.plot.activations(ag.Value(1.0) * 2)
    with pytest.raises(ValueError, match="of must be 'outputs' or 'parameters'"):
        ag.plot.gradients(deep(), of="weights")
    with pytest.raises(ValueError, match="start must be two numbers"):
        ag.plot.contours(bowl, start=(1.0,), resolution=5)


def predicting(scores):
    return type("Model", (), {"predict": lambda self, X: scores(X)})()


@pytest.mark.parametrize(
    ("error", "message", "plot"),
    [
        (TypeError, "what fit returns, a dict of lists or a list, got int 3", lambda: ag.plot.losses(3)),
        (TypeError, "got str 'abc'", lambda: ag.plot.losses("abc")),
        (ValueError, "log=True needs a loss above 0", lambda: ag.plot.losses([0.0, -1.0], log=True)),
        (ValueError, "f is not finite at any point", lambda: ag.plot.contours(lambda a, b: math.nan, resolution=4)),
        (ValueError, r"x must be \(low, high\)", lambda: ag.plot.contours(bowl, x=(1, 1))),
        (ValueError, r"y must be \(low, high\)", lambda: ag.plot.contours(bowl, y=(0, math.nan))),
        (
            ValueError,
            "resolution must be a whole number from 2 on, got int 1",
            lambda: ag.plot.contours(bowl, resolution=1),
        ),
        (
            TypeError,
            "f of two Values must give a Value",
            lambda: ag.plot.contours(lambda a, b: 5.0, start=(1, 1), resolution=4),
        ),
        (
            TypeError,
            "'none' must give an optimizer",
            lambda: ag.plot.contours(bowl, start=(1, 1), optimizers={"none": lambda p: None}, resolution=4),
        ),
        (TypeError, r"must have a method predict\(X\)", lambda: ag.plot.decision_boundary(3, [[1.0, 2.0]], [1])),
        (
            TypeError,
            "predict must give scores",
            lambda: ag.plot.decision_boundary(predicting(lambda X: ["a"] * len(X)), [[1.0, 2.0]], [1]),
        ),
        (
            ValueError,
            "predict of 16 examples must give as many rows",
            lambda: ag.plot.decision_boundary(predicting(lambda X: [1.0]), [[1.0, 2.0]], [1], resolution=4),
        ),
        (TypeError, "a state is a dict", lambda: ag.plot.update_ratios([1, 2])),
        (TypeError, "states must be a list of dicts", lambda: ag.plot.update_ratios(ag.MLP(2, [1], seed=0))),
        (
            TypeError,
            r"plot\.contours: optimizers must be a dict of rules by name.*got list",
            lambda: ag.plot.contours(bowl, start=(1, 1), optimizers=[ag.optim.SGD]),
        ),
        (TypeError, r"plot\.contours: f must be a function of two numbers", lambda: ag.plot.contours(lambda x: x**2)),
        (TypeError, r"plot\.contours: f must be a function of two numbers, got int 3", lambda: ag.plot.contours(3)),
        (
            TypeError,
            "the rule 'SGD' must be a function of the list of parameters, got",
            lambda: ag.plot.contours(bowl, start=(1, 1), optimizers={"SGD": 0.1}, resolution=4),
        ),
        (ValueError, "start must be two numbers, got int 1", lambda: ag.plot.contours(bowl, start=1, resolution=4)),
        (ValueError, r"x must be \(low, high\).*got int 3", lambda: ag.plot.contours(bowl, x=3)),
        (ValueError, "levels must be a whole number from 1 on", lambda: ag.plot.contours(bowl, levels=2.5)),
        (ValueError, "steps must be a whole number from 1 on", lambda: ag.plot.contours(bowl, steps="many")),
        (
            TypeError,
            r"plot\.loss_slice: loss must be a function of the model",
            lambda: ag.plot.loss_slice(ag.MLP(2, [1], seed=0), lambda: 1.0),
        ),
        (ValueError, "the states are empty", lambda: ag.plot.update_ratios([{}, {}])),
        (TypeError, "model must be a Module, got int 3", lambda: ag.plot.loss_slice(3, lambda m: 1.0)),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(error, message, plot):
    before = plt.get_fignums()
    with pytest.raises(error, match=message):
        plot()
    assert plt.get_fignums() == before  # no empty figure is left behind


@pytest.mark.parametrize("init", [1e300, 1e-320, 0.0])
def test_sizes_at_the_ends_of_the_floats(init):
    ax = ag.plot.activations(ag.MLP(2, [3, 1], activation="relu", init=init)([1.0, 2.0]))
    assert all(0.0 <= x <= 1e308 for x in ax.get_xlim())


def test_contours_without_a_start_have_no_path():
    ax = ag.plot.contours(bowl, x=(-1, 1), y=(-2, 2), resolution=9)
    assert (len(ax.lines), ax.get_legend()) == (0, None)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1.0, 1.0), (-2.0, 2.0))


def test_a_function_that_does_not_tell_its_arguments_is_tried():
    path = ag.plot.contours(max, start=(1.0, 0.0), steps=1, resolution=5).lines[0].get_xydata()
    np.testing.assert_allclose(path, [[1.0, 0.0], [0.99, 0.0]])


def test_layers_of_one_name_are_told_apart_by_what_is_around_them():
    one, two = (ag.MLP(1, [n, 1], activation="tanh", seed=0) for n in (3, 2))
    with ag.scope("encoder"):
        code = one([1.0])
    with ag.scope("decoder"):
        loss = two([code])
    found = list(medians(ag.plot.activations(loss)))
    assert found == [f"{part} / MLP / layer {i}" for part in ("encoder", "decoder") for i in (0, 1)]


def test_a_model_without_parameters_has_no_slice():
    with pytest.raises(ValueError, match=r"Module.* has no parameters"):
        ag.plot.loss_slice(ag.Module(), lambda m: 1.0)


@pytest.mark.parametrize("names", [["a", "b", "c"], [0, 1, 2], ["no", "yes"], [0, 1]])
def test_an_estimators_labels_are_drawn_as_regions_and_not_as_scores(names):
    """`predict` of a classifier gives labels: drawn as scores, class 2 was "more of class 1", in other colours."""
    X = [[float(i % len(names)) * 3.0, float(i % 2)] for i in range(12)]
    y = [names[i % len(names)] for i in range(12)]

    class Nearest:
        classes_ = np.array(names)

        def predict(self, X):
            return self.classes_[np.clip(np.round(np.asarray(X)[:, 0] / 3.0), 0, len(names) - 1).astype(int)]

    ax = ag.plot.decision_boundary(Nearest(), X, y, resolution=9)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(map(str, names))
    regions, *examples = ax.collections
    colours = [tuple(points.get_facecolor()[0][:3]) for points in examples]
    assert [tuple(c[:3]) for c in regions.get_facecolor()] == colours
    assert len(set(colours)) == len(names)


def test_whole_numbers_that_are_labels_are_labels():
    ax = ag.plot.decision_boundary(
        predicting(lambda X: (X[:, 0] > 0.5).astype(int) + (X[:, 0] > 1.5)),
        [[0, 0], [1, 1], [2, 0]],
        [0, 1, 2],
        resolution=9,
    )
    assert len(ax.collections[0].get_facecolor()) == 3
