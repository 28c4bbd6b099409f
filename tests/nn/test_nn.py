"""Networks: shapes, initialisers, parameters counted once, bad input refused, predict against the graph."""

import pickle
import random

import numpy as np
import pytest

import autograd_lite as ag


def test_a_neuron_is_one_dot_node_and_one_activation():
    neuron = ag.Neuron(3, activation="tanh", seed=0)
    out = neuron([1.0, 2.0, 3.0])
    assert (out.op, out.operands[0].op) == ("tanh", "dot")
    w = [p.item() for p in neuron.w]
    assert out.operands[0].item() == pytest.approx(w[0] + 2 * w[1] + 3 * w[2], rel=1e-15)
    assert [x.name for x in out.operands[0].operands[:3]] == ["w[0]", "w[1]", "w[2]"]


def test_outputs_a_value_for_one_and_a_list_for_more():
    assert isinstance(ag.Neuron(2, seed=0)([1, 2]), ag.Value)
    assert isinstance(ag.Layer(2, 1, seed=0)([1, 2]), ag.Value)
    assert [type(v) for v in ag.Layer(2, 3, seed=0)([1, 2])] == [ag.Value] * 3
    assert isinstance(ag.MLP(2, [1, 1], seed=0)([1, 2]), ag.Value)
    assert len(ag.MLP(2, [1, 3], seed=0)([1, 2])) == 3


def test_an_example_may_be_floats_values_or_an_array_row():
    model = ag.MLP(2, [3, 1], seed=0)
    x = ag.Value(0.5)
    outs = [
        model([0.5, 2]),
        model((x, 2.0)),
        model(np.array([0.5, 2.0])),
        model(np.array([0.5, 2.0], dtype=np.float32)),
    ]
    assert len({out.item() for out in outs}) == 1
    outs[1].backward()
    assert x.grad != 0.0


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu", "sin", None, ag.softplus])
def test_predict_equals_the_graph(activation):
    model = ag.MLP(4, [5, 3, 2], activation=activation, output_activation="tanh", seed=3)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(7, 4))
    expected = [[v.item() for v in model(row)] for row in X]
    found = model.predict(X)
    assert found.shape == (7, 2)
    assert found.dtype == float
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    single = ag.MLP(4, [1], seed=3)
    assert single.predict(X.tolist()).shape == (7,)
    np.testing.assert_allclose(ag.Neuron(4, seed=1).predict(X).shape, (7,))


def test_predict_touches_no_gradient_and_builds_no_graph():
    model = ag.MLP(2, [3, 1], seed=0)
    model([1.0, 2.0]).backward()
    before = [p.grad for p in model.parameters()]
    model.predict([[1.0, 2.0]])
    assert [p.grad for p in model.parameters()] == before
    assert ag.Value(2.0) * 3 is not None
    assert (ag.Value(2.0) * 3).op == "mul"  # recording is on again


@pytest.mark.parametrize(
    ("init", "low", "high", "std"),
    [
        (ag.nn.uniform(0.5), -0.5, 0.5, 0.5 / 3**0.5),
        (ag.nn.normal(0.2), -2, 2, 0.2),
        (ag.nn.glorot(), -((6 / 200) ** 0.5), (6 / 200) ** 0.5, (2 / 200) ** 0.5),
        (ag.nn.he(), -1, 1, (2 / 100) ** 0.5),
    ],
)
def test_initialisers(init, low, high, std):
    layer = ag.Layer(100, 100, init=init, seed=5)
    weights = [w.item() for neuron in layer.neurons for w in neuron.w]
    assert low < min(weights) < max(weights) < high
    assert np.std(weights) == pytest.approx(std, rel=0.03)
    assert abs(np.mean(weights)) < std * 0.05
    assert all(neuron.b.item() == 0.0 for neuron in layer.neurons)


def test_initialisers_by_name_number_and_default():
    assert [w.item() for w in ag.Neuron(3, init=0.25).w] == [0.25] * 3
    assert ag.Neuron(3, init="he", seed=1).state_dict() == ag.Neuron(3, init=ag.nn.he(), seed=1).state_dict()
    assert ag.Neuron(3, "relu", seed=1).state_dict() == ag.Neuron(3, "relu", init="he", seed=1).state_dict()
    assert ag.Neuron(3, "tanh", seed=1).state_dict() == ag.Neuron(3, "tanh", init="glorot", seed=1).state_dict()
    with pytest.raises(ValueError, match="uniform, normal, glorot, he"):
        ag.Neuron(3, init="orthogonal")
    assert ag.Neuron(3, init="Xavier", seed=1).state_dict() == ag.Neuron(3, init="glorot", seed=1).state_dict()


def test_seeds():
    one, two = ag.MLP(2, [4, 1], seed=7), ag.MLP(2, [4, 1], seed=7)
    assert one.state_dict() == two.state_dict()
    assert one.state_dict() != ag.MLP(2, [4, 1], seed=8).state_dict()
    random.seed(3)
    one = ag.MLP(2, [4, 1])
    random.seed(3)
    assert ag.MLP(2, [4, 1]).state_dict() == one.state_dict()
    assert len(set(one.layers[0].state_dict().values()) - {0.0}) == 8, "neurons must not begin alike"


def test_names_and_scopes():
    model = ag.MLP(2, [3, 1], seed=0)
    names = [name for name, _ in model.named_parameters()]
    assert names[0] == "layers[0].neurons[0].w[0]"
    assert names[-1] == "layers[1].neurons[0].b"
    assert [p.name for p in model.parameters()] == names
    out = model([1.0, 2.0])
    assert [scope.name for scope in out.scope.path()] == ["MLP", "layer 1", "neuron 0"]
    with ag.scope("mine"):
        inner = model([1.0, 2.0])
    assert [scope.name for scope in inner.scope.path()] == ["mine", "MLP", "layer 1", "neuron 0"]


def test_a_shared_parameter_counts_once():
    class Tied(ag.Module):
        def __init__(self):
            self.first = ag.Neuron(2, seed=0)
            self.second = self.first
            self.table = {"w": self.first.w[0], "own": ag.Parameter(1.0)}

    tied = Tied()
    assert [name for name, _ in tied.named_parameters()] == ["first.w[0]", "first.w[1]", "first.b", "table['own']"]
    assert len(tied.parameters()) == 4
    optimizer = ag.optim.SGD([*tied.parameters(), *tied.parameters()], lr=1.0)
    tied.first.b.grad = 1.0
    optimizer.step()
    assert tied.first.b.item() == -1.0


def test_a_list_that_contains_itself_is_looked_through_once():
    class Loop(ag.Module):
        def __init__(self):
            self.list = [ag.Parameter(1.0)]
            self.list.append(self.list)
            self.dict = {"list": self.list, "b": ag.Parameter(2.0)}
            self.dict["self"] = self.dict
            self.array = np.array([ag.Parameter(3.0), None], dtype=object)
            self.array[1] = self.array
            self.self = self

    assert Loop().state_dict() == {"list[0]": 1.0, "dict['b']": 2.0, "array[0]": 3.0}


def test_two_parameters_of_one_name_are_refused():
    """A state would hold one of them."""
    model = ag.MLP(1, [1], seed=0)
    setattr(model, "layers[0].neurons[0].b", ag.Parameter(5.0))
    for act in (model.state_dict, lambda: model.load_state_dict({}), lambda: ag.fit(model, [[1.0]], [1.0], epochs=1)):
        with pytest.raises(ValueError, match=r"MLP: two parameters are called 'layers\[0\]\.neurons\[0\]\.b'"):
            act()

    class Own(ag.Module):
        def __init__(self):
            self.table = {"a": ag.Parameter(1.0)}
            setattr(self, "table['a']", ag.Parameter(2.0))

    assert repr(Own()) == "Own(2 parameters)"


def test_the_repr_of_a_model_whose_parts_were_changed_shows_them():
    model = ag.MLP(2, [3, 1], activation="tanh", seed=0)
    assert repr(model) == "MLP(2, [3, 1], activation='tanh')"
    model.layers[0].neurons[1] = ag.Neuron(2, "relu")
    layer = "Layer of [Neuron(2, activation='tanh'), Neuron(2, activation='relu'), Neuron(2, activation='tanh')]"
    assert repr(model) == f"MLP of [{layer}, Layer(3, 1)]"
    model.layers[0] = ag.Layer(2, 3, "sigmoid")
    assert repr(model) == "MLP of [Layer(2, 3, activation='sigmoid'), Layer(3, 1)]"
    model.layers[0] = ag.Layer(2, 3, "tanh")
    model.layers.append(ag.Layer(1, 1, None))
    assert repr(model) == "MLP of [Layer(2, 3, activation='tanh'), Layer(3, 1), Layer(1, 1)]"
    model.layers[:2] = []
    assert repr(model) == "MLP(1, [1], activation='tanh')"
    model.layers.pop()
    assert repr(model) == "MLP(0, [], activation='tanh')"


def test_predict_gives_each_neuron_its_own_activation():
    model = ag.MLP(2, [3, 2], "tanh", seed=0)
    model.layers[0].neurons[1], model.layers[1].neurons[0] = ag.Neuron(2, "relu", seed=1), ag.Neuron(3, "exp", seed=2)
    for x in ([1.0, 2.0], [-1.0, 0.5]):
        assert model.predict([x])[0].tolist() == pytest.approx([out.item() for out in model(x)], rel=1e-14)


def test_zero_grad_and_accumulation():
    model = ag.MLP(2, [3, 1], "tanh", seed=0)
    model([1.0, 2.0]).backward()
    once = [p.grad for p in model.parameters()]
    model([1.0, 2.0]).backward()
    assert [p.grad for p in model.parameters()] == [2 * g for g in once]
    model.zero_grad()
    assert [p.grad for p in model.parameters()] == [0.0] * len(once)


def test_state_dict_round_trip_and_refusals():
    model, other = ag.MLP(2, [3, 1], seed=0), ag.MLP(2, [3, 1], seed=1)
    other.load_state_dict(model.state_dict())
    assert other.state_dict() == model.state_dict()
    before = model.state_dict()
    for change, message in (
        (lambda s: s.pop("layers[0].neurons[0].b"), "missing 'layers"),
        (lambda s: s.update(extra=1.0), "unknown 'extra'"),
        (lambda s: s.update({"layers[1].neurons[0].b": "x"}), "expected a real number"),
        (lambda s: s.update({"layers[1].neurons[0].b": [1.0]}), "expected a real number"),
    ):
        state = {name: x + 1 for name, x in before.items()}
        change(state)
        with pytest.raises((ValueError, TypeError), match=message):
            model.load_state_dict(state)
        assert model.state_dict() == before
    with pytest.raises(TypeError, match="dict of numbers"):
        model.load_state_dict([1, 2])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ag.Layer(0, 2), ValueError, "n_in must be at least 1, got 0"),
        (lambda: ag.Layer(2, -1), ValueError, "n_out must be at least 1, got -1"),
        (lambda: ag.Neuron(2.5), TypeError, "whole number, got float 2.5"),
        (lambda: ag.MLP(2, [3, 0]), ValueError, r"n_outs\[1\] must be at least 1"),
        (lambda: ag.MLP(2, []), ValueError, "needs the size of the output layer"),
        (lambda: ag.MLP(2, 3), TypeError, r"list of layer sizes such as \[16, 16, 1\], got int 3"),
        (lambda: ag.Neuron(2, "rellu"), ValueError, "unknown activation 'rellu'; known are .*tanh.*relu"),
        (lambda: ag.MLP(2, [1], "rellu"), ValueError, "activation: unknown activation 'rellu'"),
        (lambda: ag.MLP(2, [1], output_activation="softmax"), ValueError, "output_activation: unknown .*'softmax'"),
        (lambda: ag.MLP(2, [2, 1], ["relu", "tanh"]), TypeError, "expected a name, a function of one Value or None"),
        (lambda: ag.MLP(2, [1], seed=np.random.default_rng(0)), TypeError, "seed: expected a whole number"),
        (
            lambda: ag.MLP(2, [1], seed=0).predict([[1, "3"]]),
            TypeError,
            r"X\[0\]\[1\]: expected a real number, got str '3'",
        ),
        (lambda: ag.MLP(2, [1], seed=0).predict([[1, None]]), TypeError, r"X\[0\]\[1\]: expected a real number"),
        (lambda: ag.MLP(2, [1], seed=0).predict([[1, 2j]]), TypeError, r"X\[0\]\[1\]: expected a real number"),
        (lambda: ag.Perceptron(1).step([[float("nan")]], [1], 0.1), ValueError, "row 0 of X is not finite"),
        (lambda: ag.MLP(2, [1], seed=0)([1.0]), ValueError, "expected 2 inputs, got 1"),
        (lambda: ag.MLP(2, [1], seed=0)([1.0, 2.0, 3.0]), ValueError, "expected 2 inputs, got 3"),
        (lambda: ag.MLP(2, [1], seed=0)(["a", 2.0]), TypeError, "input 0: expected a real number, got str 'a'"),
        (lambda: ag.MLP(2, [1], seed=0)(3.0), TypeError, "sequence of 2 numbers"),
        (lambda: ag.MLP(2, [1], seed=0).predict([[1, 2], [3]]), ValueError, "row 1 of X has 1 numbers, row 0 has 2"),
        (lambda: ag.MLP(2, [1], seed=0).predict([1, 2]), ValueError, r"two dimensions.*give \[x\]"),
        (lambda: ag.MLP(2, [1], seed=0).predict([[1, 2, 3]]), ValueError, "expected 2 inputs, X has 3"),
        (lambda: ag.MLP(2, [1], seed=0).predict(np.zeros((0, 2))), ValueError, "X is empty"),
        (lambda: ag.MLP(2, [1], seed=0).predict(np.array([], dtype=object)), ValueError, "X is empty"),
        (lambda: ag.MLP(2, [1], seed=0).predict(np.array("text")), TypeError, "X must be rows of real numbers"),
        (lambda: ag.Perceptron(1).step([[1.0]], [0], 0.1), ValueError, "labels are -1 or 1, label 0 is 0"),
        (lambda: ag.Perceptron(1).step([[1.0]], [1, 1], 0.1), ValueError, "1 examples but 2 labels"),
        (lambda: ag.Perceptron(1).step([[1.0]], [1], 0.0), ValueError, "lr must be above 0"),
        (lambda: ag.Module()(1.0), TypeError, "defines no __call__"),
    ],
)
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_module_of_ones_own():
    class Line(ag.Module):
        def __init__(self):
            self.slope, self.offset = ag.Parameter(2.0), ag.Parameter(1.0)

        def __call__(self, x):
            return self.slope * x[0] + self.offset

    line = Line()
    assert line.predict([[3.0], [4.0]]).tolist() == [7.0, 9.0]
    assert "total" in line.summary()


def test_perceptron_rule_converges_on_separable_data():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 2))
    y = np.where(X @ [1.5, -2.0] > 0.3, 1, -1)
    unit = ag.Perceptron(2)
    steps = 0
    while unit.step(X, y, lr=0.1):
        steps += 1
        assert steps < 2000
    assert unit.misclassified(X, y) == []
    assert unit.predict(X).tolist() == y.tolist()


def test_summary_counts_weights_and_parameters():
    assert ag.MLP(3, [2, 1]).counts() == (8, 11)
    assert ag.MLP(2, [16, 16, 1]).counts()[1] == 337
    lines = ag.MLP(3, [2, 1], "sigmoid").summary().splitlines()
    assert lines[-1].split()[:3] == ["total", "8", "11"]


def test_frozen_parameters_stay():
    w, v = ag.Parameter(1.0), ag.Parameter(1.0)
    w.frozen = True
    optimizer = ag.optim.SGD([w, v], lr=0.1)
    (w * v).backward()
    optimizer.step()
    assert (w.item(), v.item()) == (1.0, 0.9)


def test_a_model_learns():
    """SGD with momentum brings the hinge loss of two moons near 0."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, np.pi, 40)
    moon = np.column_stack([np.cos(angle), np.sin(angle)])
    X = np.vstack([moon, [1, 0.5] - moon]) + rng.normal(scale=0.05, size=(80, 2))
    y = np.repeat([-1, 1], 40)
    model = ag.MLP(2, [8, 1], activation="tanh", seed=1)
    optimizer = ag.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    for _ in range(150):
        optimizer.zero_grad()
        loss = ag.mean([ag.losses.hinge(model(row), label) for row, label in zip(X, y.tolist(), strict=True)])
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    assert (np.sign(model.predict(X)) == y).all()


def test_a_weight_that_was_overwritten_or_lost_is_named():
    neuron = ag.Neuron(2, seed=0)
    neuron.w[1] = 5.0
    with pytest.raises(TypeError, match=r"w\[1\] is float 5.0, not a Parameter; to set its number, write w\[1\].data"):
        neuron([1.0, 2.0])
    neuron.w.pop()
    with pytest.raises(ValueError, match="w has 1 weights for 2 inputs"):
        neuron([1.0, 2.0])


def test_models_pickle_whole():
    model = ag.MLP(2, [3, 1], "relu", "tanh", seed=0)
    copied = pickle.loads(pickle.dumps(model))
    assert copied.state_dict() == model.state_dict()
    assert copied([0.5, -1.0]).item() == model([0.5, -1.0]).item()


def test_seeds_of_every_kind_of_whole_number():
    assert ag.MLP(2, [1], seed=np.int64(3)).state_dict() == ag.MLP(2, [1], seed=3).state_dict()
    assert ag.MLP(2, [1], seed=random.Random(3)).state_dict() == ag.MLP(2, [1], seed=3).state_dict()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ag.MLP(2, [2, 1]).predict(np.full((3, 2), "x", object)), TypeError, r"X\[0\]\[0\]: expected a real"),
        (lambda: ag.MLP(2, [1]).predict(np.array(["a", "b"])), TypeError, "rows of real numbers"),
        (lambda: ag.Network([(1, 2)], outputs=[]), ValueError, "outputs must be different neurons, at least one"),
        (lambda: ag.Perceptron(2).predict([[1.0, 2.0, 3.0]]), ValueError, "expected 2 inputs, X has 3 columns"),
    ],
)
def test_what_predict_and_networks_refuse(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_no_activation_by_name_and_a_layer_by_itself():
    plain, linear = ag.Layer(2, 3, activation=None, seed=1), ag.Layer(2, 3, activation="linear", seed=1)
    X = [[0.5, -1.0], [2.0, 0.25]]
    assert plain.predict(X).tolist() == linear.predict(X).tolist()
    assert plain.predict(X)[1].tolist() == pytest.approx([z.item() for z in linear(X[1])])
    assert ag.MLP(2, [1], seed=1).predict(np.array(X, object)).tolist() == ag.MLP(2, [1], seed=1).predict(X).tolist()


def test_a_module_among_the_attributes_and_in_a_list():
    class Two(ag.Module):
        def __init__(self):
            self.first, self.rest = ag.Neuron(2, seed=0), [ag.Neuron(1, seed=1)]

        def __call__(self, x):
            return self.rest[0]([self.first(x)])

    assert "first" in Two().summary()
    assert "rest[0]" in Two().summary()


def test_ctrl_c_in_the_perceptron_rule(monkeypatch):
    unit = ag.Perceptron(1)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(unit, "step", interrupted, raising=False)
    history = unit.fit([[1.0], [2.0]], [1.0, -1.0], batch=True, seed=0)
    assert (history.stopped, len(history)) == ("interrupted", 0)
