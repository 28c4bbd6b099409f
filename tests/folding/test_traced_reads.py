"""Inside a compiled function every public function gives what it gives eagerly, or is refused: no number is frozen.

Each program of the table is called at several arguments. A number that Python took out of a live Value on the way would
be that of the first call; so the later answers show it.
"""

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import losses, optim
from autograd_lite.engine.lowering import TABLE
from autograd_lite.engine.value import Value

AT = (0.4, 0.7, 0.2)
"""In the domain of nearly all functions."""


def model():
    return ag.MLP(1, [3, 1], activation="tanh", seed=0)


def function(name):
    """The public function of a row, applied to x and constants."""
    row, call = TABLE[name], getattr(ag, name)
    if row.variadic:
        return lambda x: call([x, 0.5 * x, 0.25])
    required = len(row.operands) - len(row.defaults)
    return lambda x: call(x, *(0.6,) * (required - 1))


def fitted(x, **settings):
    w = ag.Parameter(0.1)
    ag.fit(lambda v: w * v * x, [1.0, 2.0], [1.0, 1.0], epochs=2, optimizer=optim.SGD([w], 0.1), seed=0, **settings)
    return w * x


def stepped(x, make):
    w = ag.Parameter(0.5)
    w.grad = 2.0
    make([w]).step()
    return w * x


def with_grad(x):
    y = x * x
    y.backward()
    return x * x.grad


def in_a_thread(work):
    """What `work` gives in another thread, or what it raises."""

    def call(x):
        out = []

        def run():
            try:
                out.append((work(x), None))
            except BaseException as error:
                out.append((None, error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        found, error = out[0]
        if error is not None:
            raise error
        return x * found

    return call


def inside(block, read=lambda x: x.item()):
    def call(x):
        with block():
            found = read(x * 2.0)
        return x * found

    return call


def in_no_grad(x):
    with ag.no_grad():
        return x * 2.0


def matched(x):
    match x:
        case 0.4:
            return x * 2.0
        case _:
            return x * x


W = ag.Parameter(1.5, name="w")
KEPT = model()

READS = {
    "item": lambda x: x * x.item(),
    "data": lambda x: x * x.data,
    "grad attribute": with_grad,
    "local_grads": lambda x: x * ag.sin(x).local_grads[0],
    "operands": lambda x: x * (x * 2.0).operands[0].item(),
    "bool": lambda x: x * 2.0 if x - 0.4 else x,
    "less": lambda x: x * 2.0 if x < 0.5 else x * x,
    "greater_equal": lambda x: x * 2.0 if x >= 0.5 else x * x,
    "equal": lambda x: x * 2.0 if x == 0.4 else x * x,
    "not equal": lambda x: x * 2.0 if x != 0.4 else x * x,
    "equal to a Value": lambda x: x * 2.0 if x == Value(0.4) else x * x,
    "equal on the right": lambda x: x * 2.0 if x == 0.4 else x * x,
    "in a list": lambda x: x * 2.0 if x in [0.4, 0.9] else x * x,
    "index": lambda x: x * [0.7, 0.4, 0.2].index(x),
    "count": lambda x: x * [0.7, 0.4, 0.4].count(x),
    "match": matched,
    "lists": lambda x: x * 2.0 if [x, 1.0] == [0.4, 1.0] else x * x,
    "tuples less": lambda x: x * 2.0 if (x, 1.0) < (0.5, 1.0) else x * x,
    "sorted": lambda x: ag.dot(sorted([x, 0.5, 0.3]), [1.0, 2.0, 3.0]),
    "max": lambda x: max(x, 0.5) * 2.0,
    "array_equal": lambda x: x * 2.0 if np.array_equal(np.array([x]), [0.4]) else x * x,
    "argmax": lambda x: x * float(np.argmax(np.array([x, 0.5], object))),
    "unique": lambda x: x * float(len(np.unique(np.array([x, 0.4, 0.7], object)))),
    "format": lambda x: x * float(f"{x:.17g}"),
    "copy": lambda x: x * copy.deepcopy(x).item(),
    "pickle": lambda x: x * pickle.loads(pickle.dumps(x)).item(),
    "float": lambda x: x * float(x),
    "round": lambda x: x * round(x),
    "detach": lambda x: x.detach() * x,
    "detached item": lambda x: x * x.detach().item(),
    "no_grad": inside(ag.no_grad),
    "no_grad Value": inside(ag.no_grad, lambda x: x),
    "scope": inside(lambda: ag.scope("s")),
    "detect_anomaly": inside(ag.detect_anomaly),
    "detect_anomaly Value": inside(ag.detect_anomaly, lambda x: x),
    "record_source": inside(ag.record_source, lambda x: x),
    "source_of": inside(ag.record_source, lambda x: 1.0 if ag.source_of(x) else 2.0),
    "backward": lambda x: ((x * W).backward(), x * W.grad)[1],
    "gradients": lambda x: x * ag.gradients(x * x * W, W),
    "gradients as Values": lambda x: x * ag.gradients(x * x * W, W, create_graph=True),
    "gradients in x": lambda x: ag.gradients(ag.sin(x), x, create_graph=True),
    "grad": lambda x: x * ag.grad(lambda w: w * w * x)(3.0),
    "grad at x": lambda x: ag.grad(lambda w: w * w * x)(x),
    "grad of a list": lambda x: ag.sum(ag.grad(lambda w: w[0] * w[1] * x)([3.0, 2.0])),
    "grad of an array": lambda x: np.sum(ag.grad(lambda w: np.sum(w * w * x))(np.array([3.0, 2.0]))),
    "value_and_grad": lambda x: ag.sum(ag.value_and_grad(lambda w: w * w * x)(3.0)),
    "jvp": lambda x: ag.sum(ag.jvp(lambda w: w * w * x, 3.0, 1.0)),
    "jvp along x": lambda x: ag.sum(ag.jvp(lambda w: w * w, 3.0, x)),
    "vjp": lambda x: ag.vjp(lambda w: w * w * x, 3.0)[1](1.0) * x,
    "vjp weighted": lambda x: ag.vjp(lambda w: w * w, 3.0)[1](x) * x,
    "vjp value": lambda x: ag.vjp(lambda w: w * w * x, 3.0)[0] * 1.0,
    "hvp": lambda x: x * ag.hvp(lambda w: w**3 * x, 3.0, 1.0),
    "hessian": lambda x: x * ag.hessian(lambda w: w**3 * x)(3.0),
    "sparse hessian": lambda x: x * ag.hessian(lambda w: w[0] ** 3 * x, sparse=True)(np.ones(2)).sum(),
    "jacobian": lambda x: ag.sum(ag.jacobian(lambda w: [w * x, w * w * x])(3.0)),
    "wide jacobian": lambda x: ag.sum(ag.jacobian(lambda w: ag.dot(w, w) * x)([0.1 * i for i in range(20)])),
    "second": lambda x: x * ag.grad(ag.grad(lambda w: w**3 * x))(3.0),
    "grad of a net": lambda x: x * ag.grad(lambda t: KEPT([t]) * x)(0.5),
    "grad without x": lambda x: x * ag.grad(lambda w: w * w)(3.0),
    "grad in no_grad": inside(ag.no_grad, lambda x: ag.grad(lambda w: w * w * x)(3.0)),
    "gradcheck": lambda x: x * (2.0 if ag.gradcheck(lambda w: ag.sin(w * x), 1.0) else 1.0),
    "predict": lambda x: x * KEPT.predict([[0.5]])[0] + 0.0 * KEPT([x]),
    "net": lambda x: KEPT([x]),
    "trace": lambda x: KEPT.trace([x]).root if hasattr(KEPT.trace([x]), "root") else KEPT([x]),
    "state_dict": lambda x: x * sum(v for v in KEPT.state_dict().values() if isinstance(v, float)),
    "deep copy of a net": lambda x: copy.deepcopy(KEPT)([x]),
    "fold": lambda x: x * ag.fold(x * x)(),
    "compile": lambda x: x * ag.compile(lambda w: w * w)(3.0),
    "compile around": lambda x: x * ag.compile(lambda w: w * w * x)(3.0),
    "compile reads": lambda x: x * ag.compile(lambda w: w * x.item())(3.0),
    "compile compares": lambda x: x * ag.compile(lambda w: w * w if x > 0.5 else w)(3.0),
    "theta": lambda x: x * ag.compile(lambda w: KEPT([w]), params=KEPT).theta.sum(),
    "explain": lambda x: x * len(str(ag.explain(x * x * W, W))),
    "diagnose": lambda x: x * len(str(ag.diagnose(x * x * W))),
    "draw": lambda x: x * (hash(ag.draw(x * x).svg) % 7),
    "tape": lambda x: x * (hash(str(ag.tape(x * x))) % 7),
    "step": lambda x: x * (hash(ag.step(x * x).html) % 7),
    "quiz": lambda x: x * (len(str(ag.quiz(x * x)))),
    "fit": fitted,
    "squared error of a target": lambda x: losses.squared_error(0.5, x),
    "fit compiled": lambda x: fitted(x, compiled=True),
    "sgd": lambda x: stepped(x, lambda p: optim.SGD(p, 0.1)),
    "adam": lambda x: stepped(x, optim.Adam),
    "thread item": in_a_thread(lambda x: x.item()),
    "thread data": in_a_thread(lambda x: (x * 2.0).data),
    "thread compares": in_a_thread(lambda x: 2.0 if x > 0.5 else 1.0),
    "thread equal": in_a_thread(lambda x: 2.0 if x == 0.7 else 1.0),
    "thread bool": in_a_thread(lambda x: 2.0 if x - 0.7 else 1.0),
    "thread computes": in_a_thread(lambda x: x * x),
    "thread detach": in_a_thread(lambda x: x.detach()),
    "thread no_grad": in_a_thread(in_no_grad),
    "thread grad": in_a_thread(lambda x: ag.grad(lambda w: w * w * x)(3.0)),
    "thread jvp": in_a_thread(lambda x: ag.jvp(lambda w: w * w * x, 3.0, 1.0)[1]),
    "thread jacobian": in_a_thread(lambda x: ag.sum(ag.jacobian(lambda w: [w * x, w])(3.0))),
    "thread backward": in_a_thread(lambda x: ((x * W).backward(), W.grad)[1]),
    "thread fold": in_a_thread(lambda x: ag.fold(x * x)()),
    "thread compile": in_a_thread(lambda x: ag.compile(lambda w: w * x)(3.0)),
    "thread copy": in_a_thread(copy.deepcopy),
}


LOSSES = {
    f"losses.{name}": lambda x, loss=loss, several=name == "cross_entropy": loss([x, 0.5], 1) if several else loss(x, 1)
    for name, loss in losses.LOSSES.items()
}
PROGRAMS = {
    **{name: function(name) for name in ag.engine.functions.__all__ if name in TABLE and name != "dot"},
    "dot": lambda x: ag.dot([x, 2.0], [x, x], bias=x),
    "softmax": lambda x: ag.softmax([x, 0.5])[0],
    "log_softmax": lambda x: ag.log_softmax([x, 0.5])[0],
    "lookup": lambda x: ag.lookup([x, 2.0 * x, 3.0], 1),
    **LOSSES,
    **READS,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_number_is_frozen(name):
    f = PROGRAMS[name]
    compiled = ag.compile(f)
    for x in (*AT, AT[0]):
        W.grad = 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                right = f(Value(x))
            except (TypeError, ValueError, IndexError, ImportError):
                right = None
            W.grad = 0.0
            try:
                found = compiled(x)
            except (RuntimeError, TypeError, ValueError, ImportError):
                continue  # a refusal
        assert right is not None, "eagerly it is refused"
        right = right.item() if isinstance(right, Value) else float(right)
        assert found == pytest.approx(right, rel=1e-12, abs=1e-15, nan_ok=True), f"at {x}"


LIVE = (
    "grad, grad at x, grad of a list, grad of an array, value_and_grad, jvp, jvp along x, vjp, vjp value, hvp, "
    "hessian, jacobian, second"
)


@pytest.mark.parametrize("name", LIVE.split(", "))
def test_derivatives_inside_are_live(name):
    """They are not refused, as what takes numbers is."""
    compiled = ag.compile(PROGRAMS[name])
    for x in AT:
        right = PROGRAMS[name](Value(x))  # eagerly a float where x is a constant that is captured
        right = right.item() if isinstance(right, Value) else float(right)
        assert compiled(x) == pytest.approx(right, rel=1e-12)


def test_the_text_of_a_traced_value_shows_no_number():
    texts = []

    def f(x):
        h = ag.sin(x)
        texts.extend([repr(x), f"{h}", str(W), str([h * 2.0])])
        return h

    compiled = ag.compile(f)
    assert compiled(0.5) == ag.sin(0.5)
    assert texts == ["Value()", "Value(op='sin')", "Parameter(name='w')", "[Value(op='mul')]"]
    assert repr(W) == "Parameter(1.5, name='w')"


def test_a_derivative_penalty_in_a_compiled_fit():
    def trained(compiled):
        net = ag.MLP(1, [3, 1], activation="tanh", seed=3)
        history = ag.fit(
            net, [[0.1], [0.7]], [0.3, -0.2], epochs=3, batch_size=None, seed=0, compiled=compiled,
            optimizer=optim.SGD(net.parameters(), 0.05),
            penalty=lambda _: (ag.grad(lambda t: net([t]) * net.parameters()[0])(Value(0.5)) - 1.0) ** 2,
        )  # fmt: skip
        return [*history.loss, *(p.data for p in net.parameters())]

    np.testing.assert_allclose(trained(True), trained(False), rtol=1e-10)


def test_a_trace_leaves_nothing_to_follow():
    assert not ag.engine.modes.tracing
