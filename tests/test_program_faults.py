"""Programs under interrupts, threads and bad input: right or refused, and nothing half done."""

import copy
import gc
import math
import pickle
import sys
import threading
import warnings
import weakref
from fractions import Fraction
from linecache import getline

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import program as programs
from autograd_lite.folding.program import Runners
from tests.test_fold import close


class Interrupted(KeyboardInterrupt):
    """Raised by the test, so that another interrupt is not taken for it."""


def interrupted_at(call, line):
    """Make a call and interrupt it at this many lines of the package; whether it came to an end first."""
    left = [line]

    def trace(frame, event, argument):
        if "folding" not in frame.f_code.co_filename:
            return None
        # The line of a `with` comes up again when its block is left, just before the release: no signal is taken there.
        if event == "line" and not getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with "):
            left[0] -= 1
            if left[0] == 0:
                raise Interrupted
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Interrupted:
        return False
    finally:
        sys.settrace(before)
    return True


def model_and_programs():
    model = ag.MLP(2, [3, 1], activation="tanh", seed=0)
    X, y = np.array([[0.5, 1.0], [1.5, -1.0], [0.0, 2.0]]), np.array([1.0, 0.0, -1.0])
    loss = ag.sum([(model(x) - t) ** 2 for x, t in zip(X.tolist(), y.tolist(), strict=True)])
    folded = ag.fold(loss, params=model.parameters())
    compiled = ag.compile(lambda x, t: (model(x) - t) ** 2, params=model, batch=True)
    return model, loss, folded, compiled, X, y


@pytest.mark.parametrize("what", ["backward", "theta", "loss_and_grad", "value_and_grad", "call", "compiled", "first"])
def test_an_interrupt_leaves_everything_as_before_or_as_after(what):
    model, loss, folded, compiled, X, y = model_and_programs()
    params = model.parameters()
    expected = np.array(ag.gradients(loss, params))
    other = np.linspace(-1.0, 1.0, len(params))
    theta = folded.theta

    def fresh():
        programs._cache.known.clear()
        return ag.compile(lambda x, t: (model(x) - t) ** 2, params=model, batch=True).backward(X, y)

    calls = {
        "backward": folded.backward,
        "theta": lambda: setattr(folded, "theta", other),
        "loss_and_grad": lambda: folded.loss_and_grad(other),
        "value_and_grad": lambda: compiled.value_and_grad(X, y),
        "call": folded,
        "compiled": lambda: compiled.backward(X, y),
        "first": fresh,
    }
    after = {"backward": (theta, expected), "theta": (other, 0.0 * expected), "compiled": (theta, expected / 3),
             "first": (theta, expected / 3)}.get(what, (theta, 0.0 * expected))  # fmt: skip
    line, ended = 0, False
    while not ended:
        line += 1 if what != "first" else 29
        if what != "first":
            calls[what]()  # an interrupt may have taken a runner with it
        folded.theta = theta
        model.zero_grad()
        ended = interrupted_at(calls[what], line)
        now = np.array([p.data for p in params]), np.array([p.grad for p in params])
        unchanged = np.array_equal(now[0], theta) and not now[1].any()
        assert unchanged or all(close(a, b, scale=10.0) for a, b in zip(now, after, strict=True)), line
    assert line > 5
    folded.theta = theta
    assert close(folded.loss_and_grad(theta)[1], expected, scale=10.0)
    assert close(compiled.loss_and_grad(theta, X, y)[1], expected / 3, scale=10.0)


def test_a_first_use_in_many_threads():
    *_, compiled, X, y = model_and_programs()
    theta = compiled.theta
    expected = compiled.loss_and_grad(theta, X, y)
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    wrong = []

    def use(program):
        try:
            found = program.loss_and_grad(theta, X, y)
            assert found[0] == expected[0]
            assert (found[1] == expected[1]).all()
        except BaseException as error:  # handed to the thread that checks
            wrong.append(error)

    try:
        for _ in range(30):
            program = pickle.loads(pickle.dumps(compiled._latest))
            threads = [threading.Thread(target=use, args=(program,)) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(old)
    assert not wrong


def test_nothing_warns():
    w = ag.Parameter(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(ag.compile(lambda x: x, batch=True)([math.inf, -math.inf]))
        assert ag.compile(lambda x: x, batch=True)([1.7e308, 1.7e308]) == math.inf
        assert ag.compile(lambda x: x * w, batch=True, dtype=np.float32)([1e300]) == math.inf


def test_the_buffers_of_other_batch_lengths_do_not_pile_up():
    class Buffers:
        bytes = 40

    runners = Runners(most=100)
    for rows in range(10):
        runners.put(rows, Buffers())
    assert list(runners.idle) == [8, 9]
    assert runners.bytes == 80
    assert runners.take(9) is not None
    assert runners.take(9) is runners.take(3) is None
    net = ag.MLP(4, [8, 1], seed=0)
    program = ag.compile(net, params=net, batch=True)
    for rows in range(1, 20):
        program(np.ones((rows, 4)))
    kept = weakref.ref(program._latest._runners)
    assert kept().bytes > 0
    del program
    gc.collect()
    assert kept() is None


def test_a_program_that_is_copied_runs_by_itself():
    _, _, folded, _, _, _ = model_and_programs()
    for other in (copy.copy(folded), copy.deepcopy(folded), pickle.loads(pickle.dumps(folded))):
        assert other() == folded()


def test_a_primitive_that_is_not_known_where_a_program_is_loaded():
    own = ag.primitive("own_pickled", lambda a: a * a, lambda a: 2.0 * a)
    w = ag.Parameter(3.0)
    data = pickle.dumps(ag.fold(own(w) + 1.0))
    row = programs.TABLE.pop("own_pickled")
    try:
        with pytest.raises(Exception, match="own_pickled"):
            pickle.loads(data)
    finally:
        programs.TABLE["own_pickled"] = row
    assert pickle.loads(data)() == 10.0


def test_detect_anomaly_names_the_operation_and_not_us():
    with ag.detect_anomaly(), pytest.raises(ArithmeticError, match="log"):
        ag.compile(ag.log)(-1.0)


def test_loss_and_grad_first_at_numbers_on_the_other_side_of_a_branch():
    w, v = ag.Parameter(1.0), ag.Parameter(2.0)
    program = ag.compile(lambda x: w * x if w > 0 else -w * x)
    assert program.loss_and_grad([-1.0], 2.0)[0] == 2.0
    program = ag.compile(lambda t: w * t if t > 0 else w * v * t)
    program(1.0)
    with pytest.raises(ValueError, match="not known before"):
        program.loss_and_grad(program.theta, -1.0)
    assert program.loss_and_grad(program.theta, -1.0)[0] == -2.0


BAD = {
    "no value": (lambda w: ag.fold(5.0), "expected a Value or a sequence"),
    "None": (lambda w: ag.fold(None), "expected a Value or a sequence"),
    "one parameter": (lambda w: ag.fold(w * w, params=w), "a Module or a sequence"),
    "nested parameters": (lambda w: ag.compile(lambda x: x * w, params=[[w]]), "element 0 must be a leaf"),
    "inputs": (lambda w: ag.fold(w * w, inputs=w), r"inputs=\[x\]"),
    "argument None": (lambda w: ag.fold(w * w, inputs=[w])(None), "argument 0 must be a number"),
    "argument text": (lambda w: ag.fold(w * w, inputs=[w])("3"), "argument 0 must be a number"),
    "argument Value": (lambda w: ag.fold(w * w, inputs=[w])(w), r"\.item\(\)"),
    "argument complex": (lambda w: ag.fold(w * w, inputs=[w])(1j), "argument 0 must be a number"),
    "theta": (lambda w: ag.fold(w * w).loss_and_grad("a"), "theta must be"),
    "argnum": (lambda w: ag.compile(lambda x: x * w).value_and_grad(1.0, argnum=(0, 1)), "argnum must be"),
    "argnum float": (lambda w: ag.fold(w * w, inputs=[w]).value_and_grad(1.0, argnum=0.0), "argnum must be"),
    "nothing returned": (lambda w: ag.compile(lambda x: None)(1.0), "f must return a Value"),
    "a dict": (lambda w: ag.compile(lambda x: {"a": x})(1.0), "returned a dict"),
    "a nested list": (lambda w: ag.compile(lambda x: [x, [x]])(1.0), "as result 1"),
}


@pytest.mark.parametrize(("call", "text"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_named(call, text):
    with pytest.raises(TypeError, match=text):
        call(ag.Parameter(2.0))


def test_an_empty_result_is_refused():
    with pytest.raises(ValueError, match="no value to compute"):
        ag.compile(lambda x: [])(1.0)


def test_all_kinds_of_numbers_are_taken():
    w = ag.Parameter(2.0)
    program = ag.compile(lambda x: x * w)
    for x in (2**64, Fraction(1, 3), True, np.float32(0.5), np.int8(3)):
        assert program(x) == 2.0 * float(x)
    assert ag.compile(lambda x: np.array(x * w, object))(3.0) == 6.0
    model = ag.MLP(1, [1], seed=0)
    assert ag.fold(model([1.0]), params=model).params == model.parameters()


def test_many_guards_are_no_burden():
    def f(x):
        s = x
        for _ in range(800):
            s = s * 1.001 + 0.1
            if s > 1e9:
                break
        return s

    assert close(ag.compile(f)(1.0), f(ag.Value(1.0)).item(), scale=1e4)
