"""The slides' numbers: each golden case, reproduced by the engine.

golden.json was worked out from the slides' own formulas in 50-digit arithmetic, without automatic
differentiation. The optimizer traces, the schedules and cross-entropy are with the update rules and losses.
"""

import pytest

import autograd_lite as ag

CLOSE = {"rel": 1e-13, "abs": 1e-15}


def near(expected):
    return pytest.approx(expected, **CLOSE)


def parameters(numbers, name):
    """Nested lists of numbers as nested lists of Parameters, named by position."""
    if isinstance(numbers, list):
        return [parameters(x, f"{name}[{i}]") for i, x in enumerate(numbers)]
    return ag.Parameter(numbers, name)


def grads(tree):
    return [grads(x) for x in tree] if isinstance(tree, list) else tree.grad


def nested(expected):
    """pytest.approx over nested lists."""
    return [nested(x) for x in expected] if isinstance(expected, list) else near(expected)


def test_cs221_squared(golden):
    case = golden["cs221_squared"]
    w = parameters(case["w"], "w")
    score = w[0] * case["phi"][0] + w[1] * case["phi"][1]
    residual = score - case["y"]
    loss = residual**2
    loss.backward()
    assert [score.item(), residual.item(), loss.item()] == list(case["forward"].values())
    backward = case["backward"]
    assert [loss.grad, residual.grad, score.grad] == [backward["loss"], backward["residual"], backward["score"]]
    assert [x.grad for x in w] == backward["w"] == case["printed"]["w"]


def test_cs221_chain(golden):
    case = golden["cs221_chain"]
    a = ag.Value(case["a"])
    b = a**2
    c = b**2
    c.backward()
    assert (b.item(), c.item()) == (case["b"], case["c"])
    assert (b.grad, b.local_grads[0], a.grad) == (case["dc_db"], case["db_da"], case["dc_da"])


def test_cs221_boxes(golden):
    case = golden["cs221_boxes"]
    a, b = ag.Value(case["a"]), ag.Value(case["b"])
    assert list((a + b).local_grads) == case["plus"]
    assert list((a * b).local_grads) == case["times"]


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_cs221_hinge(golden, side):
    case = golden[f"cs221_hinge_{side}"]
    w = parameters(case["w"], "w")
    margin = ag.dot(w, case["phi"]) * case["y"]
    loss = ag.losses.hinge(ag.dot(w, case["phi"]), case["y"])
    loss.backward()
    assert (margin.item(), loss.item(), [x.grad for x in w]) == (case["margin"], case["loss"], case["grad_w"])


def sigmoid_layers(matrices, x):
    for matrix in matrices:
        x = [ag.sigmoid(ag.dot(row, x)) for row in matrix]
    return x


def test_cs221_two_layer(golden):
    case = golden["cs221_two_layer"]
    V, w = parameters(case["V"], "V"), parameters(case["w"], "w")
    h = sigmoid_layers([V], case["phi"])
    residual = ag.dot(w, h) - case["y"]
    loss = residual * residual
    loss.backward()
    assert [x.item() for x in h] == near(case["h"])
    assert (residual.item(), loss.item()) == near((case["residual"], case["loss"]))
    assert grads(w) == nested(case["grad_w"])
    assert grads(V) == nested(case["grad_V"])


def test_cs221_four_layer(golden):
    case = golden["cs221_four_layer"]
    V, w = parameters(case["V"], "V"), parameters(case["w"], "w")
    loss = ag.losses.squared_error(ag.dot(w, sigmoid_layers(V, case["phi"])), case["y"])
    loss.backward()
    assert loss.item() == near(case["loss"])
    assert grads(w) == nested(case["grad_w"])
    assert grads(V) == nested(case["grad_V"])


def test_han_kamber(golden):
    """One step of the 3-2-1 network; Err_j = -dE/d(in_j), E = (t - o)^2 / 2."""
    case = golden["han_kamber"]
    w, b = case["w"], case["bias"]
    model = ag.MLP(3, [2, 1], activation="sigmoid", output_activation="sigmoid")
    state = {f"layers[0].neurons[{j - 4}].w[{i - 1}]": w[f"{i}{j}"] for j in (4, 5) for i in (1, 2, 3)}
    state |= {f"layers[0].neurons[{j - 4}].b": b[str(j)] for j in (4, 5)}
    state |= {f"layers[1].neurons[0].w[{i - 4}]": w[f"{i}6"] for i in (4, 5)} | {"layers[1].neurons[0].b": b["6"]}
    model.load_state_dict(state)
    assert model.counts() == (case["n_weights"], case["n_parameters"]) == (8, 11)
    out = model([case["x"][i] for i in "123"])
    loss = 0.5 * ag.losses.squared_error(out, case["target"])
    loss.backward()
    in6 = out.operands[0]
    o4, o5 = in6.operands[2:4]
    nodes = {"4": o4, "5": o5, "6": out}
    assert {j: o.item() for j, o in nodes.items()} == near(case["output"])
    assert {j: o.operands[0].item() for j, o in nodes.items()} == near(case["net_input"])
    assert {j: -o.operands[0].grad for j, o in nodes.items()} == near(case["err"])
    ag.optim.SGD(model.parameters(), lr=case["learning_rate"]).step()
    after = model.state_dict()
    new_w, new_b = case["new_w"], case["new_bias"]
    expected = [new_w[f"{i}{j}"] for j in (4, 5) for i in (1, 2, 3)] + [new_b[j] for j in "45"]
    expected += [new_w["46"], new_w["56"], new_b["6"]]
    assert [after[name] for name in state] == near(expected)
    printed = case["printed"]  # the slide's own three digits
    assert round(after["layers[0].neurons[0].w[0]"], 3) == printed["w14"]
    assert round(out.item(), 3) == printed["o6"]
    assert round(-in6.grad, 3) == pytest.approx(printed["err6"], abs=5e-4)


def test_dag_network(golden):
    """in_j = sum w_ij a_i, a_j = g(in_j); Delta_j is the gradient of in_j, and dJ/dw_ij = Delta_j a_i."""
    case = golden["dag_network"]
    w = {edge: ag.Parameter(x, edge) for edge, x in case["w"].items()}
    a = {j: ag.Value(case["a"][j]) for j in "12"}
    net = {}
    for j in "34567":
        edges = [edge for edge in w if edge[1] == j]
        net[j] = ag.dot([w[e] for e in edges], [a[e[0]] for e in edges])
        a[j] = ag.sigmoid(net[j])
    loss = (case["y"] - a["7"]) ** 2
    loss.backward()
    assert {j: x.item() for j, x in a.items()} == near(case["a"])
    assert {j: x.item() for j, x in net.items()} == near(case["net_input"])
    assert {j: net[j].grad for j in case["delta"]} == near(case["delta"])
    assert {edge: x.grad for edge, x in w.items()} == near(case["grad"])
    for l2, after in ((0.0, "after_sgd"), (case["weight_decay"], "after_sgd_with_decay")):
        copies = {edge: ag.Parameter(x) for edge, x in case["w"].items()}
        for edge, x in copies.items():
            x.grad = w[edge].grad
        ag.optim.SGD(copies.values(), lr=case["learning_rate"], l2=l2).step()
        assert {edge: x.item() for edge, x in copies.items()} == near(case[after])


def test_matrix_form(golden):
    """tanh layers and C = sum (a - y)^2: each example, and the mini-batch mean."""
    case = golden["matrix_form"]
    W, b = parameters(case["W"], "W"), parameters(case["b"], "b")

    def cost(x, y):
        for matrix, offsets in zip(W, b, strict=True):
            x = [ag.tanh(ag.dot(row, x, offset)) for row, offset in zip(matrix, offsets, strict=True)]
        return ag.losses.squared_error(x, y)

    leaves = [x for part in (W, b) for x in flat(part)]

    def clear():
        for x in leaves:
            x.grad = 0.0

    for (x, y), value, grad_w, grad_b in zip(case["data"], case["cost"], case["grad_W"], case["grad_b"], strict=True):
        clear()
        c = cost(x, y)
        c.backward()
        assert c.item() == near(value)
        assert grads(W) == nested(grad_w)
        assert grads(b) == nested(grad_b)
    clear()
    batch = ag.mean([cost(x, y) for x, y in case["data"]])
    batch.backward()
    assert batch.item() == near(case["minibatch_cost"])
    assert grads(W) == nested(case["minibatch_grad_W"])
    assert grads(b) == nested(case["minibatch_grad_b"])


def flat(tree):
    return [x for part in tree for x in flat(part)] if isinstance(tree, list) else [tree]


def test_perceptron(golden):
    case = golden["perceptron"]
    X, y = zip(*case["points"], strict=True)
    unit = ag.Perceptron(2)
    unit.load_state_dict({"w[0]": case["w"][0], "w[1]": case["w"][1], "b": case["b"]})
    error = unit.error(X, y)
    error.backward()
    assert unit.misclassified(X, y) == case["misclassified"]
    assert error.item() == case["error"]
    assert ([w.grad for w in unit.w], unit.b.grad) == (case["grad_w"], case["grad_b"])
    assert unit.step(X, y, lr=case["eta"]) == 2
    assert ([w.item() for w in unit.w], unit.b.item()) == (near(case["new_w"]), near(case["new_b"]))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu"])
def test_activations(golden, name):
    function = getattr(ag, name)
    for z, value, derivative in golden["activations"][name]:
        x = ag.Value(z)
        assert function(x).item() == near(value)
        assert ag.gradients(function(x), x) == near(derivative)


def test_squared_loss(golden):
    case = golden["losses"]["squared"]
    o = parameters(case["o"], "o")
    loss = 0.5 * ag.losses.squared_error(o, case["t"])
    loss.backward()
    assert loss.item() == near(case["value"])
    assert [x.grad for x in o] == near(case["grad_o"])


def test_cross_entropy_by_hand(golden):
    case = golden["losses"]["cross_entropy"]
    logits = parameters(case["logits"], "z")
    loss = -ag.dot(case["t"], ag.log_softmax(logits))
    loss.backward()
    assert loss.item() == near(case["value"])
    assert [x.grad for x in logits] == near(case["grad_logits"])
