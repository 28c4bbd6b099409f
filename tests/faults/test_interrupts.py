"""Interrupts: an exception at every line and every instruction of what changes something; all of it happens or none.

A trace function raises KeyboardInterrupt at the first event of the package's code, in the next trial at the second,
and so on until the action runs through. After each the state is as before or as after; recording, scopes and
watchers are as they were; and the action, done again, does what it should.
"""

import copy
import linecache
import os
import pickle
import sys

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import optim
from autograd_lite.engine import modes, value
from autograd_lite.folding import structures as program_module
from tests.helpers.rules import EVERY_RULE


class Interrupter:
    """A trace function that raises at the nth line, or the nth instruction, that the package runs.

    But for the line of a `with lock:`, which is met again at the end of its block, before the lock is given back:
    Python lets no signal in there.
    """

    def __init__(self, n, event):
        self.left, self.event = n, event

    def __call__(self, frame, event, argument):
        name = frame.f_code.co_filename
        if f"autograd_lite{os.sep}" not in name and not name.startswith("<primitive"):
            return None
        frame.f_trace_opcodes = self.event == "opcode"
        if event == self.event and not linecache.getline(name, frame.f_lineno or 0).rstrip().endswith("lock:"):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
        return self


def interrupted(act, n, event):
    """(what act returned, whether the interrupt came out of it, whether the nth event was reached)."""
    tracer, outside = Interrupter(n, event), sys.gettrace()
    sys.settrace(tracer)
    try:
        return next(_apart(act)), False, tracer.left <= 0
    except KeyboardInterrupt:
        return None, True, True
    finally:
        sys.settrace(outside)


def _apart(act):
    """act() in a generator, which has its own handled exception.

    Where a trace function raises at the end of an `except` block, Python 3.11 goes on as if the exception were still
    handled, and every later one in this thread, in other tests too, would be raised "during handling" of it.
    """
    yield act()


def mode_now():
    """What a block such as no_grad changes for a while."""
    mode = modes.mode
    return (
        (mode.recording, mode.scope, mode.watchers, mode.on_adjoint, mode.tracer),
        value.FLOATS["special"],
        bool(modes.tracing),
    )


QUIET = mode_now()


unclosed = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Of a file that is closed by its going, when the interrupt came between its opening and its block."""


def all_or_nothing(make, event="opcode", stride=1):
    """Interrupt everywhere; the number of places, and which of the states before and after were met.

    Args:
        make: gives (act, state): what to do, and a function that tells the state.
        event: "line" or "opcode".
        stride: try every so manieth place alone.
    """
    act, state = make()
    before = state()
    answer, after = act(), state()
    seen, n = set(), 0
    while True:
        n += stride
        act, state = make()
        assert state() == before
        answered, raised, reached = interrupted(act, n, event)
        assert mode_now() == QUIET, n
        now = state()
        assert now in (before, after), n
        assert raised or (answered == answer and now == after), n
        if not reached:
            return n, seen
        seen.add("before" if now == before else "after")
        if now == before:  # nothing is left in the way
            assert act() == answer, n
            assert state() == after, n


# --- graphs -----------------------------------------------------------------------------------------------


def small_graph():
    w, x = ag.Parameter(0.5, name="w"), ag.Value(2.0)
    h = ag.tanh(w * x)
    loss = ag.sum([h * h, w, ag.sqrt(x - 2.0) * 0.0])  # not finite on the way: the careful sweep too
    return w, x, h, loss


def gradients_of(*values):
    return lambda: [v.grad for v in values]


def backward(before):
    def make():
        w, x, h, loss = small_graph()
        loss.backward()
        h.grad = before
        return loss.backward, gradients_of(w, x, h, loss)

    return make


def derivatives(create_graph):
    def make():
        w, x, h, loss = small_graph()
        act = lambda: [getattr(g, "data", g) for g in ag.gradients(loss, [w, h], create_graph)]  # noqa: E731
        return act, gradients_of(w, x, h, loss)

    return make


def copied(way):
    def make():
        w, x, h, loss = small_graph()
        return lambda: [way([loss, h])[0].data, pickle.loads(pickle.dumps(w)).name], gradients_of(w, x, h, loss)

    return make


def blocks():
    """Every block that changes what recording does, one inside the other."""
    w = ag.Parameter(0.5)

    def act():
        with ag.scope("a"), ag.record_source(), ag.detect_anomaly():
            y = w * 2.0
            with ag.no_grad():
                z = w * 2.0
        return y.op, z.op

    return act, lambda: (w.data, w.grad)


GRAPHS = {
    "gradients": derivatives(False),
    "gradients as a graph": derivatives(True),
    "pickle": copied(lambda thing: pickle.loads(pickle.dumps(thing))),
    "deepcopy": copied(copy.deepcopy),
    "blocks": blocks,
}


@pytest.mark.parametrize("stride", [4, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", GRAPHS)
def test_of_a_graph(what, stride):
    n, seen = all_or_nothing(GRAPHS[what], "opcode" if what == "blocks" else "line", stride)
    assert n > 30
    assert "before" in seen


# --- parameters -------------------------------------------------------------------------------------------


def three():
    p = [ag.Parameter(1.0), ag.Parameter(-2.0), ag.Parameter(0.5)]
    p[2].frozen = True
    for k, x in enumerate(p):
        x.grad = 0.1 * (k + 1)
    return p


def stepped(rule):
    def make():
        p = three()
        optimizer = EVERY_RULE[rule](p)
        optimizer.step()
        return optimizer.step, lambda: ([(x.data, x.grad) for x in p], optimizer.state_dict())

    return make


def module_state(model):
    return lambda: [(p.data, p.grad, p.frozen) for p in model.parameters()]


def with_gradients():
    model = ag.Neuron(1, seed=0)
    model([0.5]).backward()
    return model


def module_cleared():
    model = with_gradients()
    return model.zero_grad, module_state(model)


def optimizer_cleared():
    model = with_gradients()
    return optim.Adam(model.parameters()).zero_grad, module_state(model)


def module_loaded():
    model = with_gradients()
    other = ag.Neuron(1, seed=1).state_dict()
    return lambda: model.load_state_dict(other), module_state(model)


def optimizer_loaded():
    one, two = optim.RMSprop(three(), 0.1, momentum=0.5), optim.RMSprop(three(), 0.2, momentum=0.5)
    two.step()
    other = two.state_dict()
    return lambda: one.load_state_dict(other), one.state_dict


def perceptron_stepped():
    unit = ag.Perceptron(1)
    return lambda: unit.step([[-1.0], [2.0]], [-1, 1], 0.5), module_state(unit)


PARAMETERS = [module_cleared, optimizer_cleared, module_loaded, optimizer_loaded, perceptron_stepped]


@pytest.mark.parametrize("make", PARAMETERS)
def test_of_what_sets_parameters(make):
    n, seen = all_or_nothing(make, "opcode")
    assert n > 10
    assert "before" in seen


# --- files ------------------------------------------------------------------------------------------------


@unclosed
@pytest.mark.parametrize("there", [True, False])
def test_of_a_save(there, tmp_path):
    """The old file or the new one, nothing beside it, and the process's mask for new files as it was."""
    path = tmp_path / "state.json"

    def state():
        mask = os.umask(0)
        os.umask(mask)
        return {p.name: p.read_text() for p in tmp_path.iterdir()}, mask

    def make():
        path.unlink(missing_ok=True)
        if there:
            ag.save({"w": 1.0}, path)
        return lambda: ag.save({"w": 2.0}, path), state

    n, seen = all_or_nothing(make, "line")
    assert n > 30
    assert seen == {"before", "after"}


# --- programs ---------------------------------------------------------------------------------------------


def folded(act):
    """A program of `fold`, run before and (its constants being new) to be run again."""

    def make():
        w, *_, loss = small_graph()
        program = ag.fold(loss)
        program.backward()
        return lambda: act(program), gradients_and_data(w)

    return make


def compiled(act, traced):
    """A program of `compile` with a branch, not traced yet or traced for the other branch."""

    def make():
        w, b = ag.Parameter(0.5), ag.Parameter(-1.0)
        program = ag.compile(lambda x: ag.tanh(w * x) + b if w > 0.25 else w * x - b, params=[w, b])
        if traced:
            program.loss_and_grad([0.1, 1.0], 2.0)
        return lambda: act(program, 2.0), gradients_and_data(w, b)

    return make


def gradients_and_data(*leaves):
    return lambda: [(leaf.data, leaf.grad) for leaf in leaves]


def assigned(program, *_):
    program.theta = program.theta + 1.0


ACTS = {
    "call": lambda program, *x: program(*x),
    "backward": lambda program, *x: program.backward(*x),
    "loss_and_grad": lambda program, *x: [
        a.tolist() for a in map(np.asarray, program.loss_and_grad(theta(program), *x))
    ],
    "theta": assigned,
}


def theta(program):
    return program.theta * 0.125  # where the compiled function takes its other branch


def planned():
    """A program of `fold` that has never run: its gradient is made at the first call."""
    program_module.cache.known.clear()
    w, b = ag.Parameter(0.5), ag.Parameter(0.25)
    program = ag.fold(ag.tanh(w * 2.0 + b) * w)
    return program.backward, gradients_and_data(w, b)


PROGRAMS = {
    **{f"fold {name}": folded(act) for name, act in ACTS.items()},
    **{f"compile {name}": compiled(act, True) for name, act in ACTS.items()},
    **{f"trace {name}": compiled(act, False) for name, act in ACTS.items() if name != "theta"},
    "compile value_and_grad": compiled(lambda program, x: program.value_and_grad(x), True),
}


@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", PROGRAMS)
def test_fault_40_an_interrupted_program_leaves_parameters_and_gradients_as_before_or_as_after(what, stride):
    """In the middle of a run, or of the trace before it."""
    n, _ = all_or_nothing(PROGRAMS[what], "line", stride)
    assert n > 5


@pytest.mark.parametrize(
    "stride", [97, pytest.param(23, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.long)]
)
def test_of_a_program_that_is_made(stride):
    """Its instructions too: what an interrupt leaves unfinished is not taken up by the next call."""
    n, seen = all_or_nothing(planned, "line", stride)
    assert n > 500
    assert "before" in seen


# --- fit --------------------------------------------------------------------------------------------------


def told(optimizer):
    return [p.data for p in optimizer.params], optimizer.state_dict()


def training(path, **settings):
    """A small training of two epochs, one step each."""
    path.unlink(missing_ok=True)
    w = ag.Parameter(0.5, name="w")
    optimizer = optim.SGD([w], 0.1, momentum=0.5)
    states = [told(optimizer)]

    def act():
        return ag.fit(lambda x: w * x, [0.5, 1.0], [1.0, -1.0], optimizer=optimizer, epochs=2, seed=0,
                      checkpoint=path, callbacks=[lambda *_: states.append(told(optimizer))], **settings)  # fmt: skip

    return act, optimizer, states


def interrupted_training(path, stride, **settings):
    """Whole steps alone, the history of the whole epochs among them, and a checkpoint that is whole or not there."""
    act, _, states = training(path, **settings)
    full = act()
    assert len(states) == 3
    n, steps = 0, set()
    while True:
        n += stride
        act, optimizer, _ = training(path, **settings)
        history, raised, reached = interrupted(act, n, "line")
        assert mode_now() == QUIET, n
        now = told(optimizer)
        assert now in states, n
        step = states.index(now)
        if raised:  # before the training began, or when all was done: as it was, or as it will be
            assert step in (0, 2), n
        else:
            assert history.rows == full.rows[: len(history)], n
            assert len(history) in (step, step - 1), n
            assert history.stopped == "interrupted" or (not reached and len(history) == 2), n
            steps.add(step)
        if path.exists():
            assert len(ag.load(path)["history"]) <= step, n
        if not reached:
            break
        if raised or history.stopped == "interrupted":
            training(path, **settings)[0]()  # so that the next trial finds the program ready, as the last one did
    assert n > 500
    assert steps == {0, 1, 2}


TRAININGS = {"fit": {"validation": ([2.0], [0.0])}, "fit compiled": {"compiled": True}}


@unclosed
@unclosed
@pytest.mark.parametrize("stride", [499, pytest.param(31, marks=pytest.mark.long)])
@pytest.mark.parametrize("compiled", ["numpy", False])
@pytest.mark.parametrize("method", ["lbfgs", "newton", "trust", "lm"])
def test_of_a_minimisation(method, compiled, stride):
    """The parameters are as before and the interrupt is the caller's, or they are the best so far, and that is said."""

    def act(p):
        def residuals():
            return [10.0 * (p[1] - p[0] ** 2), 1.0 - p[0]]

        loss = residuals if method == "lm" else lambda: ag.sum([r * r for r in residuals()])
        return ag.minimize(loss, p, method, compiled=compiled, max_iter=6, progress=False)

    start = [-1.2, 1.0]
    act([ag.Parameter(x) for x in start])  # everything is imported
    n, seen, reached = 1, set(), True
    while reached:
        p = [ag.Parameter(x) for x in start]
        found, raised, reached = interrupted(lambda p=p: act(p), n, "line")
        assert mode_now() == QUIET, n
        now = [x.data for x in p]
        assert now == (start if raised else found.x.tolist()), n
        assert all(x.grad == 0.0 for x in p), n
        seen.add("raised" if raised else found.stopped)
        n += stride
    assert {"raised", "interrupted"} & seen
    assert seen - {"raised", "interrupted"}  # and the last ran to its end


@pytest.mark.filterwarnings(  # an interrupt between `open` and `with`: the file is closed when it is collected
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", ["backward", *EVERY_RULE, *TRAININGS])
def test_fault_11_an_interrupt_leaves_gradients_and_parameters_as_before_or_as_after(
    what, stride, tmp_path, monkeypatch
):
    """Ctrl-C at any point of backward, of a step, of fit; and fit gives the history so far."""
    if what in TRAININGS:
        monkeypatch.setattr(os, "fsync", lambda handle: None)
        interrupted_training(tmp_path / "run.json", 5 * stride, **TRAININGS[what])
        return
    n, seen = all_or_nothing(backward(17.0) if what == "backward" else stepped(what), stride=stride)
    assert n > 100
    assert "before" in seen


@unclosed
@pytest.mark.long
@pytest.mark.parametrize("what", TRAININGS)
def test_of_a_training_everywhere(what, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    interrupted_training(tmp_path / "run.json", 1, **TRAININGS[what])
