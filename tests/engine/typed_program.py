"""A user's program as a type checker reads it: `mypy` checks it with the package, and test_stubs.py runs it.

An `ignore` here is a mistake that must be found: mypy reports one that it does not need.
"""

import autograd_lite as ag


def program() -> tuple[float, float]:
    x = ag.Value(2.0, name="x")
    w: ag.Value = ag.Parameter(0.5)
    y: ag.Value = ag.exp(x) + x.tanh() * 2 - 1 / w + 2**x
    number: float = ag.exp(1.0)
    both: ag.Value = ag.hypot(3.0, x)
    floats: float = ag.hypot(3, 4)
    kept: ag.Value = ag.leaky_relu(x).clamp(-1, w).arctan2(0.5)
    total: ag.Value = ag.sum([x, w, 1.0])
    plain: float = ag.mean([1.0, 2.0])
    shares: list[ag.Value] = ag.softmax([x, w])
    product: ag.Value = ag.dot([x, 1.0], [2.0, w], bias=1.0)
    choice: ag.Value = ag.where(x > w, x, 0.0)

    added: ag.Value | int = sum([x, w])
    size: ag.Value = abs(-x) ** 2 + (+w) ** x - 3 / w * 2.0
    size += 1
    size *= w
    slope: float = ag.gradients(y, x)
    slopes: list[float] = ag.gradients(y, [x, w])
    graph: ag.Value = ag.gradients(y, x, create_graph=True)
    graphs: list[ag.Value] = ag.gradients(y, (x, w), create_graph=True)
    trained = ag.fit(
        ag.MLP(1, [2, 1], "tanh", init="he", seed=0), [[1.0], [2.0]], [1.0, 2.0], optimizer="adam", epochs=1
    )
    loss_of_it: float = trained["loss"][-1]
    double = ag.primitive("typed_double", "a * 2", "2")
    ag.Layer(1, 1, "typed_double", init=0.5)  # a user-defined primitive by its name
    ag.Network([("a", "b")], {"b": double}, init=ag.nn.he())
    ag.fold(y, backend="numpy")

    for _ in ():
        ag.fit(ag.MLP(1, [1], "ReLU"), [[1.0]], [1.0], loss="MSE", optimizer="Adam")  # names in any form
        ag.fit(ag.MLP(1, [1]), [[1.0]], [1.0], compiled="natural")  # type: ignore[arg-type]
        ag.compile(ag.exp, backend="naive")  # type: ignore[call-overload]

    wrong: float = ag.exp(x)  # type: ignore[assignment]
    wrong_method: float = x.sigmoid()  # type: ignore[assignment]
    wrong_sum: float = ag.sum([x])  # type: ignore[assignment]
    wrong_slope: float = ag.gradients(y, x, create_graph=True)  # type: ignore[assignment]
    assert isinstance(wrong, ag.Value)
    assert isinstance(wrong_method, ag.Value)
    assert isinstance(wrong_sum, ag.Value)
    assert isinstance(wrong_slope, ag.Value)
    loss = added + size + graph + graphs[0] + (slope + slopes[1] + loss_of_it)

    loss = loss + y + both + kept + total + shares[0] + product + choice + (number + floats + plain)
    loss.backward()
    return x.grad, loss.item()
