"""A Value as an object: what it tells, compares, refuses and hands on, and the n-ary functions' arguments."""

import math
import operator
import pickle
import threading

import pytest

import autograd_lite as ag
from autograd_lite.derivatives import forward


def test_comparisons_are_those_of_the_data():
    for a, b in [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (float("nan"), 1.0)]:
        for other in (b, ag.Value(b)):
            v = ag.Value(a)
            assert [v < other, v <= other, v > other, v >= other] == [a < b, a <= b, a > b, a >= b]
            assert all(type(x) is bool for x in (v < other, v <= other, v > other, v >= other))


def test_detach_cuts_the_graph_and_keeps_number_and_name():
    x = ag.Value(3.0, name="x")
    y = x * x
    y.name = "y"
    cut = y.detach()
    assert cut is not y
    assert (cut.item(), cut.name, cut.is_leaf, cut.operands, cut.grad) == (9.0, "y", True, (), 0.0)
    (cut * x).backward()
    assert (x.grad, cut.grad, y.grad) == (9.0, 3.0, 0.0)


@pytest.mark.parametrize(("xs", "ys"), [(1, 2), (2, 1), (0, 1)])
def test_a_dot_product_of_different_lengths_is_refused(xs, ys):
    for make in (float, ag.Value):
        with pytest.raises(ValueError, match=f"xs has {xs} elements and ys has {ys}"):
            ag.dot([make(1.0)] * xs, [make(2.0)] * ys)


def test_the_backward_pass_as_a_function():
    x = ag.Value(3.0)
    y = x * x
    ag.engine.backward.backward(y)
    assert (x.grad, y.grad) == (6.0, 1.0)
    ag.engine.backward.backward(y, 0.5)
    assert (x.grad, y.grad) == (9.0, 0.5)


def test_what_a_value_tells():
    x = ag.Value(2.0, name="x")
    y = ag.exp(x) * 3.0
    assert (x.grad, y.grad, y.name, y.op, x.op, x.is_leaf, y.is_leaf) == (0.0, 0.0, "", "mul", "", True, False)
    assert (x.operands, x.local_grads) == ((), ())
    assert y.operands[0].local_grads == (y.operands[0].item(),)
    assert [type(v).__name__ for v in y.operands] == ["Value", "Literal"]
    assert y.local_grads == (3.0, math.exp(2.0))
    assert ag.sum([x, 2.0, x]).local_grads == (1.0, 1.0, 1.0)
    assert (ag.Value(1.0).name, ag.Parameter(1.0).name, (x + 1.0).name) == ("", "", "")
    assert +y is y
    assert x.conjugate() is x
    assert f"{x}|{x:.2f}|{x:>6}" == "Value(2.0, name='x')|2.00|   2.0"
    assert (bool(x), bool(ag.Value(0.0)), bool(ag.Value(1.0)), bool(ag.Value(float("nan")))) == (
        True,
        False,
        True,
        True,
    )
    x.name = None
    assert x.name == ""
    with pytest.raises(TypeError, match="name: expected a string, got int 3"):
        x.name = 3
    x.data, x.grad = 5, -1
    assert (x.data, x.item(), x.grad, type(x.data), type(x.grad)) == (5.0, 5.0, -1.0, float, float)
    assert y.item() == math.exp(2.0) * 3.0  # as it was recorded
    assert not ag.Parameter(1.0).frozen


def test_an_attribute_that_is_not_there():
    for v in (ag.Value(1.0), ag.Value(1.0) * 2.0):
        with pytest.raises(AttributeError, match="'Value' object has no attribute 'gard'"):
            _ = v.gard


@pytest.mark.parametrize("wrong", ["x", b"x", 3.0, None])
def test_gradients_wants_values(wrong):
    x = ag.Value(1.0)
    with pytest.raises(TypeError, match="expected a Value or a sequence of Values"):
        ag.gradients(x * x, wrong)
    with pytest.raises(TypeError, match="element 1 of xs must be a Value"):
        ag.gradients(x * x, [x, wrong])


def test_contexts_nest():
    x = ag.Value(2.0)
    before = ag.engine.value.FLOATS["special"]
    with ag.scope("outer"):
        with ag.no_grad():
            assert (x * x).is_leaf
            with ag.scope("unseen"):
                assert (x * x).is_leaf
        outer = x * x
        with ag.scope("inner"):
            inner = x * x
        after = x * x
    plain = x * x
    paths = [[s.name for s in v.scope.path()] if v.scope else [] for v in (outer, inner, after, plain)]
    assert paths == [["outer"], ["outer", "inner"], ["outer"], []]
    with pytest.raises(RuntimeError, match="on purpose"), ag.no_grad():
        raise RuntimeError("on purpose")
    assert not (x * x).is_leaf
    assert (
        ag.engine.value.FLOATS["special"] == before
    )  # 0 where no context is open: then a new node costs no second look
    with pytest.raises(TypeError, match="scope: name must be a string"):
        ag.scope(3)


def test_a_trace_concerns_its_own_thread_alone():
    found = []

    def look():
        v, w = ag.Value(3.0), ag.Parameter(2.0)
        found.append([v.data, w.item(), bool(w), v < 4.0, w >= 3.0, (v * w).detach().is_leaf, (w * w).is_leaf])

    def traced(x):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert repr(x) == f"{x}"  # its text is not a read of the number
        if x > 0.0:
            ag.compile(lambda y: y * 2.0)(1.0)  # a trace within: the outer one goes on afterwards
        return x * x if x < 10.0 else x

    f = ag.compile(traced)
    assert [f(3.0), f(20.0), f(-4.0), f(5.0)] == [9.0, 20.0, 16.0, 25.0]
    assert found[0] == [3.0, 2.0, True, True, False, True, False]
    assert len(found) >= 3
    assert not ag.engine.modes.tracing  # then a look at a number costs no second look


def test_a_derivative_that_is_constant_is_a_constant():
    """Numbers are multiplied, not recorded; and a slope of 0 for every input leaves nothing behind."""
    x, w = ag.Value(2.0), ag.Value(5.0)
    for y, slope in [(3.0 * x, 3.0), (-(x * 5.0), -5.0), ((x + x) * 0.5 * 4.0 - x, 3.0), (x + ag.greater(x, 1.0), 1.0)]:
        first = ag.gradients(y, x, create_graph=True)
        assert (first.item(), first.is_leaf) == (slope, True)
        assert forward.tangent_graph([y], {x: 1.0})[y] == slope
        assert type(forward.tangent_graph([y], {x: 1.0})[y]) is float
        assert forward.tangent_graph([y], {x: w})[y].item() == 5.0 * slope
    second = ag.gradients(ag.gradients(3.0 * x * x, x, create_graph=True), x, create_graph=True)
    assert (second.item(), second.is_leaf) == (6.0, True)
    step = ag.greater(x, 1.0)
    assert forward.tangent_graph([step], {x: 1.0}) == {x: 1.0}
    product = ag.gradients(x * w, x, create_graph=True)
    assert (product.op, product.operands[0]) == ("mul", w)  # a Value of its own, not w itself
    assert len(ag.engine.graph.toposort(ag.gradients(x * x * w, x, create_graph=True))) <= 6


def test_a_primitive_of_ones_own_is_differentiated_twice():
    f = ag.primitive("values_square_times", lambda a, b: a * a * b, lambda a, b: (2.0 * a * b, a * a))
    x, y = ag.Value(3.0), ag.Value(5.0)
    first = ag.gradients(f(x, y), [x, y], create_graph=True)
    assert [g.item() for g in first] == [30.0, 9.0]
    assert [ag.gradients(g, [x, y]) for g in first] == [[10.0, 6.0], [6.0, 0.0]]
    assert ag.gradients(f(x, 5.0), x, create_graph=True).item() == 30.0


def test_forward_mode_where_something_is_not_finite():
    x, w = ag.Value(710.0), ag.Value(2.0)
    y = ag.exp(x) + 3.0 * w
    assert forward.tangents([y], {x: 1.0})[y] == math.inf
    assert forward.tangents([y], {x: 1.0, w: 0.5})[y] == math.inf
    assert forward.tangents([y, 3.0 * w], {w: 0.5})[y] == 1.5
    root = ag.sqrt(w - 2.0) * w
    assert forward.tangents([root], {w: 1.0})[root] == math.inf
    assert forward.tangents([ag.where(0.0, root, w)], {w: 1.0, x: 1.0})[w] == 1.0


@pytest.mark.parametrize(
    ("a", "b", "slope"),
    [
        (1e-200, 1.5, 1.5e-100),  # a result so small that b * out / a would lose digits
        (1e200, 1.5, 1.5e100),  # or so large
        (1e210, 1.45, 1.45 * 1e210**0.45),
        (1e-215, 1.4, 1.4 * 1e-215**0.4),
        (math.inf, 0.0, 0.0),
        (math.inf, 0.01, 0.0),  # b * out / a would be inf / inf
        (math.inf, -1e-300, 0.0),
        (2.0, 0.0, 0.0),
        (3.0, 2.0, 6.0),
        (3.0, -1.0, -1.0 / 9.0),
    ],
)
def test_the_slope_of_a_power_in_its_base(a, b, slope):
    assert (ag.Value(a) ** ag.Value(b)).local_grads[0] == pytest.approx(slope, rel=1e-13)
    assert (ag.Value(a) ** b).local_grads[0] == pytest.approx(slope, rel=1e-13)


def test_every_comparison_is_watched_in_a_trace():
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        for way in (
            lambda x, c=compare: x * 2.0 if c(x, 1.0) else -x,
            lambda x, c=compare: x * 2.0 if c(1.0, x) else -x,
        ):
            f = ag.compile(way)
            assert [f(t) for t in (0.5, 1.0, 2.0, 0.5)] == [way(t) for t in (0.5, 1.0, 2.0, 0.5)]


def test_a_scope_shows_what_is_around_it():
    with ag.scope("outer"), ag.scope("inner"):
        y = ag.Value(1.0) * 2.0
    assert repr(y.scope) == "Scope(outer / inner)"


def test_the_package_lists_what_it_loads_later():
    listed = dir(ag)
    assert {"Value", "MLP", "fit", "plot", "lookup"} <= set(listed)
    assert listed == sorted(set(listed))
    with pytest.raises(AttributeError, match="module 'autograd_lite' has no attribute 'tensor'"):
        _ = ag.tensor


def test_an_interrupt_while_nodes_are_gathered_for_a_copy_forgets_them(monkeypatch):
    x = ag.Value(3.0)
    y = ag.exp(x) * x
    order = ag.engine.graph.toposort

    def interrupted(*roots, done):
        order(*roots, done=done)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ag.engine.graph, "toposort", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pickle.dumps(y)
    twin = pickle.loads(pickle.dumps(y))  # not of operands that are taken for saved
    assert [node.op for node in order(twin)] == ["", "exp", "mul"]
    assert twin.item() == y.item()
