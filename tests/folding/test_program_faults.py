"""Programs under interrupts, threads and bad input: right or refused, and nothing half done."""

import copy
import pickle
import sys
from linecache import getline

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import structures as programs
from tests.helpers.folds import close
from tests.helpers.threads import in_threads

pytestmark = pytest.mark.usefixtures("each_backend")


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
def test_an_interrupt_leaves_everything_as_before_or_as_after(what, each_backend):
    model, loss, folded, compiled, X, y = model_and_programs()
    params = model.parameters()
    expected = np.array(ag.gradients(loss, params))
    other = np.linspace(-1.0, 1.0, len(params))
    theta = folded.theta

    def fresh():
        programs.cache.known.clear()
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
        line += 1 if what != "first" else 29 if each_backend == "numpy" else 499  # a compiler runs many lines
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
    wrong = []

    def use(program):
        try:
            found = program.loss_and_grad(theta, X, y)
            assert found[0] == expected[0]
            assert (found[1] == expected[1]).all()
        except BaseException as error:  # handed to the thread that checks
            wrong.append(error)

    for _ in range(30):
        in_threads(use, [pickle.loads(pickle.dumps(compiled._latest))] * 6)
    assert not wrong


def test_a_program_that_is_copied_runs_by_itself():
    _, _, folded, _, _, _ = model_and_programs()
    for other in (copy.copy(folded), copy.deepcopy(folded), pickle.loads(pickle.dumps(folded))):
        assert other() == folded()


def test_many_guards_are_no_burden():
    def f(x):
        s = x
        for _ in range(800):
            s = s * 1.001 + 0.1
            if s > 1e9:
                break
        return s

    assert close(ag.compile(f)(1.0), f(ag.Value(1.0)).item(), scale=1e4)
