"""What fold, compile and their programs say to what they cannot take, and what they do take."""

import functools
import math
import pickle
import threading
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from tests.helpers.threads import in_threads

# --- arguments --------------------------------------------------------------------------------------------

NO_NUMBERS = [None, "3", "a", b"3", 1j, {}, [[1], [1, 2]], [None], ["1"], [1j], ag.Value(1.0), [ag.Value(1.0)],
              np.ma.array([1.0], mask=[True]), np.array(["1"]), object()]  # fmt: skip


@pytest.mark.parametrize("wrong", NO_NUMBERS, ids=lambda x: type(x).__name__)
def test_what_is_no_number_is_refused_by_every_program(wrong):
    w, x = ag.Parameter(1.0), ag.Value(1.0)
    folded, compiled = ag.fold(w * x, inputs=[x]), ag.compile(lambda x: w * x, params=[w])
    for program in (folded, compiled):
        for use in (program, program.value_and_grad, program.backward):
            if use is compiled and any(wrong is x for x in NO_NUMBERS[-5:-3]):
                continue  # a call takes Values: test_calls.py
            with pytest.raises(TypeError, match="argument 0"):
                use(wrong)
        with pytest.raises(TypeError, match="theta"):
            program.loss_and_grad(wrong, 1.0)
        with pytest.raises(TypeError, match="theta"):
            program.theta = wrong
    assert (w.data, w.grad) == (1.0, 0.0)


@pytest.mark.parametrize("x", [True, 2**64, Fraction(1, 3), Decimal("0.5"), np.float32(2.0), np.int8(3), np.array(4),
                               np.float16(0.5), np.longdouble(2.0)], ids=lambda x: type(x).__name__)  # fmt: skip
def test_every_kind_of_number_is_one(x):
    leaf = ag.Value(1.0)
    assert ag.compile(lambda v: v)(x) == ag.fold(leaf, inputs=[leaf])(x) == float(x)
    assert ag.compile(ag.sum)([x, 1.0]) == float(x) + 1.0
    with pytest.raises(OverflowError, match="argument 0"):
        ag.compile(lambda v: v)(10**400)


def test_a_numpy_number_and_a_float_are_one_kind():
    program = ag.compile(lambda x: x * 2.0)
    assert program(1.0) == program(np.float64(1.0)) == 2.0
    assert "1 program)" in repr(program)


@pytest.mark.parametrize("argnum", [(0, 1.0), 0.0, "0", None, True])
def test_argnum_is_one_whole_number(argnum):
    with pytest.raises(TypeError, match="argnum must be a whole number"):
        ag.compile(lambda x, y: x * y).value_and_grad(1.0, 2.0, argnum=argnum)
    assert ag.compile(lambda x, y: x * y).value_and_grad(1.0, 2.0, argnum=np.int64(1)) == (2.0, 1.0)
    assert ag.compile(lambda x, y: x * y).value_and_grad(1.0, 2.0, argnum=(0, 1)) == (2.0, (2.0, 1.0))


def test_what_fold_and_compile_are_given():
    w, x = ag.Parameter(1.0), ag.Value(2.0)
    model = ag.MLP(2, [1], seed=0)
    for wrong in (5.0, None, "abc", {"loss": w}):
        with pytest.raises(TypeError, match="fold: expected a Value or a sequence of Values, got"):
            ag.fold(wrong)
    for wrong in (w, 3, "w"):
        with pytest.raises(TypeError, match="fold: params must be a Module or a sequence of Parameters"):
            ag.fold(w * x, params=wrong)
        with pytest.raises(TypeError, match="compile: params must be a Module or a sequence of Parameters"):
            ag.compile(lambda x: x, params=wrong)
    with pytest.raises(TypeError, match="compile: params: expected Values, element 0 is list"):
        ag.compile(lambda x: x, params=[[w]])
    with pytest.raises(ValueError, match="compile: params: element 0 is the result"):
        ag.compile(lambda x: x, params=[w * x])
    with pytest.raises(TypeError, match=r"inputs=\[x\]"):
        ag.fold(w * x, inputs=x)
    with pytest.raises(TypeError, match=r"inputs\[0\]: expected Values, element 1"):
        ag.fold(w * x, inputs=[[x, [x]]])
    with pytest.raises(ValueError, match="given twice"):
        ag.fold(w * x, inputs=[x, x])
    with pytest.raises(
        ValueError, match=r"fold: inputs\[0\] must be a Value or a regular array of Values; it is ragged"
    ):
        ag.fold(w * x, inputs=[[np.array([[x, w]]), np.array([[x]])]])
    with pytest.raises(ValueError, match="fold: there is no value to compute"):
        ag.fold([])
    with pytest.raises(TypeError, match=r"compile: f must be a function, got float 3\.0"):
        ag.compile(3.0)
    assert ag.fold(model([1.0, 2.0]), params=model).params == model.parameters()


def test_batches_that_do_not_fit():
    w = ag.Parameter(2.0)
    program = ag.compile(lambda x, y: w * x * y[0] * y[1], params=[w], batch=True)
    assert program([1.0, 2.0], np.ones((2, 2))) == 3.0
    with pytest.raises(ValueError, match="argument 1 has 3 rows, the arguments before it 2"):
        program([1.0, 2.0], np.ones((3, 2)))
    for empty in (np.ones(0), []):
        with pytest.raises(ValueError, match="at least one row"):
            program(empty, np.ones((0, 2)))
    assert w.grad == 0.0


def test_what_a_folded_program_is_asked_for():
    w, x = ag.Parameter(2.0), ag.Value(3.0)
    program = ag.fold(w * x, inputs=[x])
    assert repr(program).startswith("Program(3 instructions, 1 parameters, inputs [()]")
    with pytest.raises(ValueError, match="argument 0 must have shape"):
        program([1.0, 2.0])
    with pytest.raises(TypeError, match="takes 1 arguments, got 2"):
        program(1.0, 2.0)
    with pytest.raises(RuntimeError, match="rows_and_grad: the program needs a batch axis"):
        program.rows_and_grad([1.0], 2.0)
    alone = ag.fold(x * x, params=[], inputs=[x])
    with pytest.raises(RuntimeError, match="the program has no parameters; value_and_grad"):
        alone.loss_and_grad([], 2.0)
    for wrong in ([], [1.0, 2.0]):
        with pytest.raises(ValueError, match="theta: expected a vector of 1 numbers, got shape"):
            program.theta = wrong
    assert w.data == 2.0


def test_what_a_compiled_function_knows_before_its_first_call():
    w = ag.Parameter(2.0)
    program = ag.compile(lambda x: w * x)
    with pytest.raises(RuntimeError, match="after its first call; or give params="):
        program.params  # noqa: B018
    with pytest.raises(RuntimeError, match="call it once"):
        program.plan()
    assert program(3.0) == 6.0
    assert program.params == [w]
    with pytest.raises(ValueError, match="theta: expected a vector of 1 numbers, got shape"):
        program.theta = [1.0, 2.0]


def test_a_graph_of_more_kinds_of_steps_than_there_are_numbers_for(monkeypatch):
    monkeypatch.setattr("autograd_lite.folding.grouping.WIDE", 8)
    w = ag.Parameter(0.5)
    with pytest.raises(ValueError, match="more than 8 classes; it repeats too little to be folded"):
        ag.fold(ag.tanh(ag.exp(ag.sin(ag.cos(ag.atan(ag.sqrt(ag.log(w + 3.0))))))))


# --- results ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [lambda x: None, lambda x: {"a": "x"}, lambda x: [[x, 1j]], lambda x: "x",
                                    lambda x: 1j, lambda x: [x, None, {x}]])  # fmt: skip
def test_what_a_function_may_not_return(result):
    with pytest.raises(TypeError, match="compile: the function must return a Value, or a flat sequence"):
        ag.compile(result)(1.0)


def test_what_a_function_may_return():
    with pytest.raises(ValueError, match="empty sequence"):
        ag.compile(lambda x: [])(1.0)
    assert ag.compile(lambda x: np.array(x, dtype=object))(2.0) == 2.0
    assert ag.compile(lambda x: np.array([x, x * x]))(2.0) == [2.0, 4.0]
    assert ag.compile(lambda x: (y for y in (x, 1, Fraction(1, 2))))(2.0) == [2.0, 1.0, 0.5]
    assert ag.compile(lambda x: 3)(2.0) == 3.0
    assert ag.compile(lambda x: {"a": x, "b": [[x, None]]})(2.0) == {"a": 2.0, "b": [[2.0, None]]}
    assert ag.compile(lambda x: np.array([[x]]))(2.0).tolist() == [[2.0]]


def test_how_arguments_reach_the_function():
    seen = []

    def f(x):
        seen.append(x)
        return ag.sum([y for row in x for y in row])

    program = ag.compile(f)
    assert program([np.ones(2), np.ones(2)]) == program(((1.0, 1.0), (1.0, 1.0))) == program(np.ones((2, 2))) == 4.0
    assert [type(x) for x in seen] == [list, list, ag.array]
    assert [type(x[0]) for x in seen[:2]] == [ag.array, list]


class Callable:
    def __call__(self, x):
        return x

    def __repr__(self):
        return "Callable()"


def test_a_compiled_function_shows_what_it_is():
    assert repr(ag.compile(Callable())) == "Compiled(Callable Callable(), 0 programs)"
    assert repr(ag.compile(ag.exp)) == "Compiled(exp, 0 programs)"
    assert "partial" in repr(ag.compile(functools.partial(pow, 2.0)))


def doubled_detached(x):
    y = (x * 2.0).detach()
    assert y.name == x.name
    return x * y


def test_a_compiled_function_is_pickled_with_its_traces():
    program = ag.compile(doubled_detached)
    assert program.value_and_grad(3.0) == (18.0, 6.0)
    again = pickle.loads(pickle.dumps(program))
    assert again.value_and_grad(4.0) == (32.0, 8.0)
    assert repr(again) == repr(program)


def test_a_value_that_is_detached_in_a_trace_keeps_its_name():
    names = []

    def f(x):
        y = x * 2.0
        y.name = "y"
        names.append(y.detach().name)
        return x * y.detach()

    assert ag.compile(f).value_and_grad(3.0) == (18.0, 6.0)
    assert names == ["y"]


def test_rows_that_branch_differently_while_the_parameters_become_known():
    """The first call finds the parameters; when it is traced again at those, it must still refuse."""
    w = ag.Parameter(1.0)
    program = ag.compile(lambda x: w * x if w * x > 0 else x, batch=True)
    with pytest.raises(RuntimeError, match="its rows would take different branches"):
        program.loss_and_grad([1.0], [1.0, -1.0])
    assert program([1.0, 2.0]) == 1.5


# --- parameters that are not known from the start ---------------------------------------------------------


def test_the_first_call_may_be_at_other_parameters():
    w = ag.Parameter(1.0)
    program = ag.compile(lambda x: w * x if w > 0 else -w * x)
    value, slope = program.loss_and_grad([-1.0], 2.0)
    assert (value, slope.tolist()) == (2.0, [-2.0])
    assert program(2.0) == 2.0
    assert w.data == 1.0


def test_a_parameter_that_only_another_branch_reaches():
    w, v = ag.Parameter(1.0), ag.Parameter(2.0)
    program = ag.compile(lambda t: w * t if t > 0 else w * v * t)
    program(1.0)
    with pytest.raises(ValueError, match=r"vector of 2 numbers now, in place of 1: .* give compile params="):
        program.loss_and_grad(program.theta, -1.0)
    assert program.loss_and_grad(program.theta, -1.0)[1].tolist() == [-2.0, -1.0]
    assert program.loss_and_grad(program.theta, 1.0)[1].tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="expected a vector of 2 numbers"):
        program.loss_and_grad([1.0], 1.0)


def test_two_threads_that_trace_at_once():
    a, b = ag.Parameter(2.0), ag.Parameter(3.0)
    here = threading.Barrier(2, timeout=10)
    waits = [True]

    def f(x):
        if waits and threading.current_thread() is not threading.main_thread():
            try:
                here.wait(0.2)
            except threading.BrokenBarrierError:
                waits.clear()
        return a * x if x > 0 else b * x

    program = ag.compile(f)
    in_threads(program, (1.0, -1.0))
    slopes = {p: g for x in (1.0, -1.0) for p, g in zip(program.params, program.loss_and_grad(program.theta, x)[1],
              strict=True) if g}  # fmt: skip
    assert slopes == {a: 1.0, b: -1.0}


def test_the_ways_through_a_function_that_are_kept(monkeypatch):
    monkeypatch.setattr("autograd_lite.folding.tracing.MOST_TRACES", 4)
    program = ag.compile(lambda x: x * 2.0 if any(abs(x - k) < 0.5 for k in range(20)) else x)
    for _ in range(2):
        for k in range(10):
            assert program(float(k)) == 2.0 * k
    assert sum(map(len, program._programs.values())) == 4


def test_theta_has_the_frozen_parameters_too():
    w, v = ag.Parameter(1.0), ag.Parameter(2.0)
    v.frozen = True
    program = ag.compile(lambda x: w * x + v, params=[w, v])
    assert program.theta.tolist() == [1.0, 2.0]
    program.theta = [3.0, 4.0]
    assert (w.data, v.data) == (3.0, 4.0)


# --- anomalies, user-defined primitives -------------------------------------------------------------------


def logarithm(x):
    return ag.log(x)


def test_detect_anomaly_and_compiled_functions():
    program = ag.compile(logarithm)
    with ag.detect_anomaly():
        with pytest.raises(FloatingPointError, match=r"log of the negative number -1 .*test_fold_misuse"):
            program(-1.0)
        assert program(1.0) == 0.0
        with pytest.raises(FloatingPointError, match="without compile or fold"):
            program(-1.0)
        assert math.isnan(program(-math.inf))  # no news
        w = ag.Parameter(2.0)
        root = ag.fold(ag.sqrt(w) * w)
        with pytest.raises(FloatingPointError, match="not finite"):
            root.loss_and_grad([-1.0])
    assert math.isnan(program(-1.0))


def test_primitives_of_ones_own_that_are_missing_or_defined_anew():
    def define(power):
        return ag.primitive("power_anew", lambda a: a**power, lambda a: power * a ** (power - 1))

    square = define(2.0)
    w = ag.Parameter(3.0)
    graph = square(w) * 2.0
    program = ag.fold(graph)
    assert program() == 18.0
    data = pickle.dumps(program)
    assert pickle.loads(data)() == 18.0
    cube = define(3.0)
    # what was made earlier keeps its row: the program, its gradient and its pickle, the graph and the function
    assert program() == 18.0
    assert program.loss_and_grad([1.0]) == (2.0, [4.0])
    assert pickle.loads(data)() == 18.0
    assert ag.fold(graph * 1.5)() == 27.0
    both = ag.fold(square(w) + cube(w))
    assert both() == 36.0
    assert both.loss_and_grad([3.0])[1] == [33.0]
    assert pickle.loads(pickle.dumps(both))() == 36.0
    assert ag.fold(cube(w) * 2.0)() == 54.0
    rows = [TABLE.pop(key) for key in ("power_anew", "power_anew#2")]
    assert {row.name for row in rows} == {"power_anew"}
    with pytest.raises(KeyError, match=r"ag\.primitive\('power_anew'"):
        pickle.loads(data)


# --- modules with arrays of parameters --------------------------------------------------------------------


class Line(ag.Module):
    def __init__(self):
        self.w = np.array([[ag.Parameter(1.0), ag.Parameter(2.0)]], object)
        self.parts = np.array([ag.Neuron(1, seed=0)], object)
        self.scale = np.ones(3)

    def __call__(self, x):
        return self.w[0, 0] * x + self.w[0, 1] + self.parts[0]([x])


def test_a_module_sees_the_parameters_in_an_array():
    model = Line()
    assert [name for name, _ in model.named_parameters()] == ["w[0, 0]", "w[0, 1]", "parts[0].w[0]", "parts[0].b"]
    assert "parts[0]" in model.summary()
    model.load_state_dict({**model.state_dict(), "w[0, 0]": 5.0})
    assert model.w[0, 0].data == 5.0
    program = ag.compile(model, params=model)
    assert len(program.theta) == 4
    assert program(1.0) == model(1.0).item()
    before = program._programs
    kept = next(iter(before.values()))[0]
    assert program(1.0) == model(1.0).item()
    assert next(iter(program._programs.values()))[0] is kept
    model.w[0, 0] = ag.Parameter(7.0)
    assert program(1.0) == model(1.0).item()
    program.backward(1.0)
    assert model.w[0, 0].grad == 1.0


def test_an_array_of_parameters_that_is_replaced_is_noticed():
    class Weighted(ag.Module):
        def __init__(self):
            self.w = np.array([ag.Parameter(1.0), ag.Parameter(2.0)])

        def __call__(self, x):
            return ag.sum([w * x for w in self.w])

    model = Weighted()
    program = ag.compile(model, params=model)
    assert program(2.0) == 6.0
    model.w = np.array([ag.Parameter(10.0), ag.Parameter(20.0)])
    assert program(2.0) == 60.0
    assert program.loss_and_grad([1.0, 1.0], 3.0)[1].tolist() == [3.0, 3.0]
    model.w = np.array([ag.Parameter(1.0)])
    assert program(2.0) == 2.0


def test_the_first_call_may_be_at_parameters_of_another_truth():
    w = ag.Parameter(0.0)
    program = ag.compile(lambda x: w * x if w else x - 1.0)
    assert program.loss_and_grad([2.0], 3.0)[0] == 6.0
    assert program(3.0) == 2.0
    assert w.data == 0.0
