"""Faults and bad input met by the graph and its types: what must happen, one test each.

The numbers are those of the project's list of faults: 1-14 the graph, 15-18 the types.
"""

import copy
import gc
import io
import math
import os
import pickle
import subprocess
import sys
import weakref
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.lowering import FLOATS
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Value
from autograd_lite.insight.anomaly import source_of
from tests.helpers.threads import in_threads

MILLION = 1_000_000


# --- the graph --------------------------------------------------------------------------------------------


def test_fault_01_backward_twice_doubles_leaves_and_repeats_interior_nodes():
    x, w = Value(0.1), ag.Parameter(0.7)
    h = ag.tanh(x * w)
    loss = h * h + w
    loss.backward()
    leaves, interior = [x.grad, w.grad], [h.grad, loss.grad]
    loss.backward()
    assert [x.grad, w.grad] == [2 * g for g in leaves]
    assert [h.grad, loss.grad] == interior


def test_fault_02_leaves_accumulate_when_nobody_clears_them():
    w = ag.Parameter(3.0)
    for step in range(1, 4):
        (2 * w).backward()
        assert w.grad == 2.0 * step
    w.grad = 0.0
    (5 * w).backward()
    assert w.grad == 5.0
    assert "adds up" in Value.grad.__doc__
    assert "zero_grad" in Value.grad.__doc__


def test_fault_03_a_leaf_changed_after_the_forward_pass():
    a, b = Value(2.0, name="a"), Value(0.0, name="b")
    y = a * b
    a.data = 5.0
    y.backward()
    assert (a.grad, b.grad) == (0.0, 2.0)  # at the recorded point
    with pytest.raises(RuntimeError, match=r"has changed since .*compute the expression again"):
        ag.gradients(y, [a, b], create_graph=True)  # though 5 * 0 is 0 as well
    a.data = 2.0
    assert ag.gradients(y, b, create_graph=True).data == 2.0


@pytest.mark.parametrize("make", [lambda a: ag.sum([a, 1, a]), lambda a: ag.exp(a) * 2, lambda a: ag.where(a, a, 1)])
def test_a_change_is_noticed_below_any_node(make):
    a = Value(1.0)
    y = make(a) + 1
    a.data = math.nextafter(1.0, 2.0)
    with pytest.raises(RuntimeError, match="changed"):
        ag.gradients(y, a, create_graph=True)


def test_fault_04_the_derivative_in_a_value_of_another_graph_is_zero():
    x, other = Value(2.0), Value(3.0)
    y, z = x * x, other * 2
    assert ag.gradients(y, [other, x, z]) == [0.0, 4.0, 0.0]
    assert [g.data for g in ag.gradients(y, [other, x, z], create_graph=True)] == [0.0, 4.0, 0.0]
    assert ag.gradients(x, other) == 0.0


def test_fault_05_backward_on_a_leaf_and_on_what_is_no_value():
    x = Value(2.0)
    x.backward()
    assert x.grad == 1.0
    x.backward(gradient=3)
    assert x.grad == 4.0
    for wrong in ([x, x], 3.0, None, "loss"):
        with pytest.raises(TypeError, match="expected a Value, got"):
            ag.Value.backward(wrong)
        with pytest.raises(TypeError, match="must be a Value, got"):
            ag.gradients(wrong, [x])
    with pytest.raises(TypeError, match="element 1 of xs must be a Value, got float"):
        ag.gradients(x, [x, 2.0])
    for wrong in (None, 3.0, "x"):
        with pytest.raises(TypeError, match="sequence of Values"):
            ag.gradients(x, wrong)
    for wrong in ("1", None, x, 1j):
        with pytest.raises(TypeError, match="gradient: expected a real number"):
            x.backward(wrong)
    assert x.grad == 4.0


def test_fault_06_no_cycle_can_be_made():
    x = Value(2.0)
    y = x * x
    for attribute in ("operands", "local_grads", "op", "is_leaf"):
        with pytest.raises(AttributeError):
            setattr(y, attribute, (y, y))
    with pytest.raises(RuntimeError, match="result of an operation"):
        y.data = 3.0
    assert isinstance(y.operands, tuple)
    assert isinstance(y.local_grads, tuple)
    z = y
    z += y  # a new node, not y changed
    assert y.operands == (x, x)
    assert z.operands == (y, y)


def test_fault_07_nan_and_infinity_propagate_and_are_found_where_they_begin():
    """Silently, unless asked: then the first node, forward or backward, by operation, operands, names and line."""
    p = Value(-1.0, name="p")
    assert math.isnan((ag.log(p) * 2.0).data)
    assert ag.exp(Value(800.0)).data == math.inf
    says = r"log gave nan.*p = -1.0.*test_faults_graph.py:\d+: .*# forward"
    with pytest.raises(FloatingPointError, match=says), ag.detect_anomaly():
        ag.log(p) * 2.0  # forward
    zero = Value(0.0, name="zero")
    says = r"back through sqrt.*zero.* inf.*test_faults_graph.py:\d+: .*# back"
    with ag.detect_anomaly():
        y = ag.sqrt(zero) * 3.0  # back
        with pytest.raises(FloatingPointError, match=says):
            y.backward()
    assert (zero.grad, y.grad) == (0.0, 0.0)
    with ag.record_source():
        y = ag.log(p)  # recorded
    assert "# recorded" in str(ag.diagnose(y, [p]))
    assert source_of(y).text.endswith("# recorded")
    assert source_of(ag.log(p)) is None  # outside, nothing looks at a new node
    assert not FLOATS["special"]


def chain(n):
    x = ag.Parameter(0.5, name="x")
    y = x
    for _ in range(n):
        y = y + x
    return x, y


@pytest.fixture
def _plain_recursion_limit():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


def sum_of_leaves(n):
    x, rest = ag.Parameter(0.5, name="x"), [Value(0.5) for _ in range(n // 10)]
    return x, ag.sum([x] * (n + 1 - len(rest)) + rest)


@pytest.mark.usefixtures("_plain_recursion_limit")
@pytest.mark.parametrize("copied", [100_000, pytest.param(MILLION, marks=pytest.mark.long)])
@pytest.mark.parametrize(("make", "uses"), [(chain, MILLION + 1), (sum_of_leaves, MILLION + 1 - MILLION // 10)])
def test_fault_08_a_chain_of_a_million_a_leaf_used_as_often_and_a_sum_of_a_million(make, uses, copied):
    """Built, differentiated, printed in a line, pickled, deep-copied, freed, at the usual recursion limit."""
    x, y = make(MILLION)
    assert y.data == 0.5 * (MILLION + 1)
    y.backward()
    assert x.grad == uses
    assert len(repr(y)) < 100
    assert len(f"{y}") < 100
    x2, y2 = pickle.loads(pickle.dumps([x, y]))
    assert (y2.data, x2.grad, x2.name) == (y.data, x.grad, "x")
    assert y2.operands[0 if make is sum_of_leaves else 1] is x2
    del y
    if copied < MILLION:
        x, y = make(copied)
        x2, y2 = copy.deepcopy([x, y])
    else:
        x2, y2 = copy.deepcopy([x2, y2])
    assert x2 in y2.operands
    end = weakref.ref(y2 if make is sum_of_leaves else y2.operands[0])
    del y2
    assert end() is None


@pytest.mark.usefixtures("_plain_recursion_limit")
def test_copies_and_second_derivatives_of_long_chains():
    x = Value(1.0)
    y = x
    for _ in range(100_000):
        y = y * 1.0 + 1e-5
    first = ag.gradients(y * y, x, create_graph=True)
    assert first.data == pytest.approx(4.0)
    assert ag.gradients(first, x) == pytest.approx(2.0)
    copied = copy.deepcopy(first)
    assert copied.data == first.data
    assert copy.copy(first).operands == first.operands


def test_a_sum_of_a_million_is_exactly_rounded_and_a_long_dot_differentiated_twice():
    x, rest = Value(0.1), [Value(0.1) for _ in range(1000)]
    assert ag.sum([x] * MILLION).data == 0.1 * MILLION
    y = ag.dot([x] * 1000, rest, bias=x)
    first = ag.gradients(y * y, x, create_graph=True)
    assert ag.gradients(first, x) == pytest.approx(2 * 101.0**2)


def test_copies_and_pickles_leave_no_memory_behind():
    _, y = chain(10)
    pickle.dumps(y)
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(200):
            pickle.loads(pickle.dumps([y, y.operands[0]]))
            copy.deepcopy(y)
        assert len(gc.get_objects()) - before < 50
    finally:
        gc.enable()


def test_fault_10_nested_derivatives_do_not_confuse_their_variables():
    x, y = Value(3.0), Value(4.0)
    inner = ag.gradients(x + y, y, create_graph=True)
    assert ag.gradients(x * inner, x) == 1.0


def test_fault_12_threads_that_share_leaves():
    shared = ag.Parameter(0.5)
    rounds, workers = 300, 4
    own = [ag.Parameter(0.1 * (i + 1)) for i in range(workers)]
    faults = []

    def work(i):
        for k in range(rounds):
            h = shared * own[i] + k
            loss = ag.sum([h, shared * 2.0])
            if ag.gradients(loss, [shared, own[i]]) != [own[i].data + 2.0, 0.5]:
                faults.append(i)
            with ag.no_grad():
                if not (shared * 2).is_leaf:
                    faults.append("no_grad")
            if (shared * 2).is_leaf:
                faults.append("another thread's no_grad")
            loss.backward()

    in_threads(work, range(workers))
    assert not faults
    assert shared.grad == pytest.approx(rounds * sum(p.data + 2.0 for p in own), rel=1e-12)
    assert [p.grad for p in own] == [rounds * 0.5] * workers


def test_fault_13_copies_of_a_value_a_graph_a_module_and_a_program():
    """copy, deepcopy, pickle: the same numbers, and what was shared is shared. (Millions: line 8.)"""
    model = ag.MLP(2, [2, 1], activation="tanh", seed=0)
    model.layers[0].neurons[1] = model.layers[0].neurons[0]  # shared
    loss = (model([1.0, 2.0]) - 1.0) ** 2
    loss.backward()
    p = model.parameters()
    program = ag.fold(loss)
    for way in (copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))):
        value = way(p[0])
        assert (value.data, value.grad, value.name, type(value)) == (p[0].data, p[0].grad, p[0].name, ag.Parameter)
        assert value is not p[0]
        graph = way(loss)
        assert [x.data for x in ag.engine.graph.toposort(graph)] == [x.data for x in ag.engine.graph.toposort(loss)]
        twin = way(model)
        assert twin.state_dict() == model.state_dict()
        assert twin.layers[0].neurons[1] is twin.layers[0].neurons[0]
        same = way(program)
        assert same() == program()
        assert same.loss_and_grad(same.theta)[1].tolist() == program.loss_and_grad(program.theta)[1].tolist()
        assert (same.params[0] is program.params[0]) == (way is copy.copy)
        if way is not copy.copy:
            twin, graph = way([model, loss])
            assert set(twin.parameters()) == {x for x in ag.engine.graph.toposort(graph) if isinstance(x, ag.Parameter)}


def python_pickle(thing, protocol):
    file = io.BytesIO()
    pickle._Pickler(file, protocol).dump(thing)
    return pickle._Unpickler(io.BytesIO(file.getvalue())).load()


def c_pickle(thing, protocol):
    return pickle.loads(pickle.dumps(thing, protocol))


WAYS = [(way, p) for way in (c_pickle, python_pickle) for p in range(2, pickle.HIGHEST_PROTOCOL + 1)]
WAYS += [(lambda thing, _: copy.deepcopy(thing), 0)]


@pytest.mark.parametrize(("way", "protocol"), WAYS)
def test_copies_keep_numbers_and_sharing(way, protocol):
    w, x = ag.Parameter(0.5, name="w"), Value(2.0)
    w.frozen = True
    with ag.scope("block"):
        h = ag.clamp(ag.tanh(w * x - 3.0), -1, 1)
    loss = ag.sum([h, w, 1.0, h])
    loss.backward()
    loss2, w2, nothing, h2, also_loss = way([loss, w, None, h, loss], protocol)
    assert nothing is None
    assert also_loss is loss2
    assert type(w2) is ag.Parameter
    assert loss2.operands[1] is w2
    assert loss2.operands[0] is loss2.operands[3] is h2
    assert (w2.frozen, w2.name, h2.scope.name, h2.op) == (True, "w", "block", "clamp")
    old, new = ag.engine.graph.toposort(loss), ag.engine.graph.toposort(loss2)
    assert [repr(v) for v in old] == [repr(v) for v in new]
    assert [v.local_grads for v in old] == [v.local_grads for v in new]
    assert not set(old) & set(new)
    w2.grad = 0.0
    loss2.backward()
    assert w2.grad == w.grad
    assert ag.gradients(ag.gradients(loss2, w2, create_graph=True), w2) == pytest.approx(
        ag.gradients(ag.gradients(loss, w, create_graph=True), w)
    )


def test_a_shallow_copy_shares_its_operands():
    x = Value(2.0)
    y = x * 3.0
    y.backward()
    z = copy.copy(y)
    assert z is not y
    assert (z.data, z.grad, z.op, z.local_grads, z.operands[0]) == (6.0, 1.0, "mul", (3.0, 2.0), x)
    leaf = copy.copy(ag.Parameter(1.5, name="p"))
    assert (type(leaf), leaf.data, leaf.name, leaf.frozen, leaf.is_leaf) == (ag.Parameter, 1.5, "p", False, True)


class Tagged(Value):
    """A subclass of a user, with attributes of its own."""


def test_subclasses_keep_their_attributes():
    x = Tagged(2.0)
    x.tag = {"me": x, "note": "hello"}
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert type(y) is Tagged
        assert y.tag["me"] is y
        assert y.tag["note"] == "hello"


def test_many_roots_of_one_graph_cost_no_more_than_one():
    nodes = [Value(1.0)]
    for _ in range(20_000):
        nodes.append(nodes[-1] + 1.0)
    copied = pickle.loads(pickle.dumps(nodes))  # quadratic work would take minutes
    assert copied[-1].operands[0] is copied[-2]
    copied = copy.deepcopy(nodes)
    assert copied[-1].operands[0] is copied[-2]


def test_a_row_of_the_users_own_must_be_there_when_loading():
    twice = ag.primitive("twice_for_pickling", lambda a: 2 * a, lambda a: 2.0)
    x = Value(3.0)
    data = pickle.dumps(twice(x))
    assert pickle.loads(data).op == "twice_for_pickling"
    row = ag.engine.rules.TABLE.pop("twice_for_pickling")
    try:
        with pytest.raises(KeyError, match=r"define it with ag.primitive\('twice_for_pickling'"):
            pickle.loads(data)
    finally:
        ag.engine.rules.TABLE[row.name] = row


PROGRAM = """
import autograd_lite as ag
xs = [ag.Value(0.1 * i, name=f"x{i}") for i in range(20)]
y = ag.sum([ag.tanh(a * b) for a in xs for b in xs]) + ag.logsumexp(xs)
g = ag.gradients(y, xs, create_graph=True)
print([v.data.hex() for v in g], [h.hex() for h in ag.gradients(ag.sum(g), xs)])
print([v.op + v.name for v in ag.engine.graph.toposort(*g)], sorted(ag.__all__), list(ag.engine.rules.TABLE))
m = ag.MLP(2, [3, 1], seed=0)
X, t = [[i / 9, i % 4] for i in range(9)], [i / 3 for i in range(9)]
for compiled in (False, True):
    h = ag.fit(m, X, t, epochs=2, batch_size=2, seed=4, validation=0.3, compiled=compiled)
    print(h.rows, m.state_dict())
print(ag.fold(y), ag.tape(ag.tanh(xs[0] * xs[1])))
"""


def test_fault_14_results_do_not_depend_on_the_hash_seed():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(outputs) == 1
    assert outputs.pop()


# --- types --------------------------------------------------------------------------------------------------

NO_NUMBERS = [
    1j,
    "1",
    b"1",
    None,
    [1.0],
    {"a": 1},
    (1.0,),
    {1.0},
    object(),
    np.array([1.0]),
    np.complex128(1),
    "x" * 999,
]


@pytest.mark.parametrize("wrong", NO_NUMBERS, ids=lambda x: type(x).__name__)
def test_fault_15_what_is_no_real_number_is_refused(wrong):
    for kind in (Value, ag.Parameter):
        with pytest.raises(
            TypeError, match=f"{kind.__name__}: expected a real number, got {type(wrong).__name__}"
        ) as e:
            kind(wrong)
        assert len(str(e.value)) < 200
    v = Value(2.0)
    with pytest.raises(TypeError, match="data: expected a real number"):
        v.data = wrong
    with pytest.raises(TypeError, match="grad: expected a real number"):
        v.grad = wrong
    assert (v.data, v.grad) == (2.0, 0.0)
    array, complex128 = isinstance(wrong, np.ndarray), isinstance(wrong, np.complex128)
    for name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "rpow"):
        operate = getattr(v, f"__{name}__")
        if array:  # fault 17: element by element
            assert isinstance(operate(wrong)[0], Value)
        elif complex128:  # NumPy would be asked next, and would answer in words of its own
            with pytest.raises(TypeError, match="expected a real number, got complex128"):
                operate(wrong)
        else:
            assert operate(wrong) is NotImplemented
    for name in ("lt", "ge"):
        assert getattr(v, f"__{name}__")(wrong) is NotImplemented
    for name in ag.engine.functions.FUNCTIONS if not array else ():
        row = ag.engine.rules.TABLE[name]
        if name[0] != "_":
            function = getattr(ag, name)
            with pytest.raises(TypeError, match=name):
                function(wrong, *[v] * (len(row.operands) - 1))
            with pytest.raises(TypeError, match=name):
                function(*[v] * (len(row.operands) - 1), wrong)
    for name in ("sum", "prod", "mean", "max", "min", "norm", "logsumexp", "softmax", "log_softmax"):
        with pytest.raises(TypeError, match=f"{name}: element 1"):
            getattr(ag, name)([v, wrong])
    with pytest.raises(TypeError, match="dot"):
        ag.dot([v], [wrong])


@pytest.mark.parametrize("wrong", [1j, "1", None, [1.0], {"a": 1}])
def test_operators_raise_type_error(wrong):
    v = Value(2.0)
    for operate in (
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b: a**b,
        lambda a, b: a < b,
    ):
        with pytest.raises(TypeError):
            operate(v, wrong)
        with pytest.raises(TypeError):
            operate(wrong, v)
    assert v != wrong


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("wrong", [Unprintable(), [10**5000]])
def test_what_cannot_be_printed_is_named_by_its_type(wrong):
    with pytest.raises(TypeError, match=f"expected a real number, got {type(wrong).__name__};"):
        Value(wrong)


def test_a_value_as_data_is_told_how():
    with pytest.raises(TypeError, match=r"\.item\(\).*\.detach\(\)"):
        Value(Value(1.0))


class Other:
    def __radd__(self, other):
        return "mine"


def test_an_unknown_operand_gets_its_turn():
    assert Value(1.0) + Other() == "mine"


NUMBERS = [
    (True, 1.0),
    (7, 7.0),
    (2.5, 2.5),
    (np.float64(2.5), 2.5),
    (np.float32(2.5), 2.5),
    (np.float16(2.5), 2.5),
    (np.longdouble(2.5), 2.5),
    (np.int8(-3), -3.0),
    (np.uint64(3), 3.0),
    (np.bool_(True), 1.0),
    (np.array(2.5), 2.5),
    (np.array(2), 2.0),
    (Fraction(5, 2), 2.5),
    (Decimal("2.5"), 2.5),
    (float("inf"), math.inf),
]


def too_large(large):
    x = Value(1.0)
    for call in (
        lambda: Value(large),
        lambda: x * large,
        lambda: large + x,
        lambda: setattr(x, "data", large),
        lambda: ag.exp(large),
        lambda: ag.sum([x, large]),
    ):
        with pytest.raises(OverflowError, match="too large for a float"):
            call()
    assert x.data == 1.0


@pytest.mark.parametrize(("number", "data"), NUMBERS, ids=lambda x: type(x).__name__)
def test_fault_16_every_kind_of_real_number_is_taken_as_a_float_and_one_too_large_refused(number, data):
    x = Value(number)
    x.grad = number
    w = Value(1.0)
    w.data = number
    made = [x, w, ag.exp(number), ag.sum([number]), ag.maximum(number, -1), ag.sum([w, number])]
    made += [Value(1.0) + number, number * Value(1.0), Value(4.0) ** number, number - Value(2.0)]
    for y in made:
        assert type(y.data if isinstance(y, Value) else y) is float
    assert (x.data, x.grad, w.data) == (data, data, data)
    assert type(x.grad) is float
    assert (Value(1.0) + number).data == 1.0 + data
    assert (Value(100.0) > number) == (data < 100.0)
    too_large(10**400)


@pytest.mark.parametrize("large", [-(10**400), Fraction(10**400, 3)], ids=["negative", "fraction"])
def test_other_numbers_too_large(large):
    too_large(large)


def test_fault_17_numpy_scalars_and_arrays_on_either_side():
    v, array = Value(3.0), np.array([1.0, 2.0])
    for y in (np.float64(2) * v, v * np.float64(2), np.int64(2) * v, np.float32(2) * v, np.array(2.0) * v):
        assert type(y) is Value
        assert y.data == 6.0
    for y in (array * v, v * array):
        assert isinstance(y, np.ndarray)
        assert y.dtype == object
        assert [z.data for z in y] == [3.0, 6.0]
    assert [z.data for z in array**v] == [1.0, 8.0]
    assert [z.data for z in v - array] == [2.0, 1.0]
    assert [z.data for z in array / v] == [1 / 3, 2 / 3]


def test_fault_18_what_would_drop_the_gradient_is_refused_and_told_how():
    v = Value(1.0)
    array = np.array([1.0])

    def assign():
        array[0:1] = v

    for call in (lambda: math.exp(v), lambda: float(v), assign, lambda: np.array([v], dtype=float), lambda: complex(v)):
        with pytest.raises(TypeError) as caught:
            call()
        told = str(caught.value) + str(caught.value.__cause__)
        assert ".item()" in told
        assert "ag.exp" in told
    assert array[0] == 1.0
    with pytest.raises(TypeError, match=r"int\(\) .*\.item\(\)"):
        int(v)
    for call in (lambda: [0][v], lambda: range(v)):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize(
    "rule",
    [("foo(a)", "1"), ("a * b", "b"), ("a * b", "b, c"), ("a *", "1"), ("a", "1 +")],
)
def test_a_primitive_whose_rules_do_not_fit_is_refused_when_it_is_defined(rule):
    with pytest.raises(ValueError, match="primitive 'misfit'"):
        ag.primitive("misfit", *rule)
    assert "misfit" not in TABLE


def test_a_derivative_is_never_a_leaf_of_the_graph():
    v, w = ag.Value(2.0), ag.Parameter(3.0)
    derivative = ag.gradients(v * w, v, create_graph=True)
    assert derivative is not w
    assert ag.gradients(derivative, w) == 1.0


def test_sums_that_overflow_on_the_way_and_numbers_too_large():
    assert ag.sum([1e308, 1e308, -1e308]) == 1e308
    assert ag.mean([1.7e308, 1.7e308]) == 1.7e308
    for big in (Decimal("1e400"), Fraction(10**400), 10**400):
        with pytest.raises(OverflowError, match="too large for a float"):
            ag.Value(big)
    assert ag.Value(Decimal("Infinity")).item() == float("inf")
