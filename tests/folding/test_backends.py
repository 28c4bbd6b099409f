"""What a backend is promised and promises: verify finds plans that are not so, NumPy knows all elementary functions."""

import gc
from dataclasses import replace

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.lowering import ELEMENTARY, Code, Step
from autograd_lite.folding import structures
from autograd_lite.folding.backends import BACKENDS, Leaves, backend, why_not
from autograd_lite.folding.backends.kernels import KERNELS
from autograd_lite.folding.instructions import Leaf, Literal, Map, Reduce, Ref, Sum
from autograd_lite.folding.verify import verify


def made():
    """A plan with every type of instruction."""
    w = [ag.Parameter(0.1 * k) for k in range(6)]
    program = ag.fold(ag.logsumexp([ag.exp(x) for x in w]) + ag.dot(w[:3], w[3:]) + ag.mean(w) + ag.tanh(w[0]))
    return program.plan()


def changed(plan, kind, **changes):
    """The plan with something else in its first instruction of a type."""
    instructions = list(plan.instructions)
    k = next(k for k, x in enumerate(instructions) if type(x) is kind)
    instructions[k] = replace(instructions[k], **changes)
    return replace(plan, instructions=instructions)


def first(plan, kind):
    return next(x for x in plan.instructions if type(x) is kind)


def with_zero_rule(x):
    if not isinstance(x, Sum):
        return x
    return replace(x, parts=tuple(part if part.right is None else part._replace(kind="_chain") for part in x.parts))


def with_forms(plan, change):
    parts = tuple(part._replace(forms=tuple(map(change, part.forms))) for part in first(plan, Sum).parts)
    return changed(plan, Sum, parts=parts)


def test_a_plan_that_is_right_passes():
    plan = made()
    assert {type(x) for x in plan.instructions} >= {Leaf, Literal, Map, Sum, Reduce}
    verify(plan)


BROKEN = {
    "later": lambda plan: changed(plan, Map, args=(Ref(99, None),)),
    "outside": lambda plan: changed(plan, Map, args=(Ref(0, np.array([6])),)),
    "sizes": lambda plan: changed(plan, Map, size=3),
    "int32": lambda plan: changed(plan, Map, args=(Ref(0, np.arange(6, dtype=np.int32)),)),
    "no code": lambda plan: changed(plan, Map, code=None),
    "a step": lambda plan: changed(plan, Map, code=Code("odd", ("a",), (Step("sigmoid", (0,)),), 1)),
    "a later step": lambda plan: changed(plan, Map, code=Code("odd", ("a",), (Step("exp", (1,)),), 1)),
    "batched map": lambda plan: changed(plan, Map, batched=True),
    "batched literal": lambda plan: changed(plan, Literal, batched=True),
    "batched theta": lambda plan: changed(plan, Leaf, batched=True),
    "counts": lambda plan: changed(plan, Reduce, counts=np.array([5])),
    "a term twice": lambda plan: changed(
        plan, Sum, parts=tuple(part._replace(forms=part.forms * 2) for part in first(plan, Sum).parts)
    ),
    "a lane of a sum": lambda plan: changed(plan, Sum, size=0),
    "the zero rule": lambda plan: replace(plan, instructions=list(map(with_zero_rule, plan.instructions))),
    "a huge size": lambda plan: changed(plan, Map, size=2**40),
    "a size that is a float": lambda plan: changed(plan, Map, size=6.0),
    "operands of a step": lambda plan: changed(plan, Map, code=Code("odd", ("a",), (Step("add", (0,)),), 1)),
    "a result that is not there": lambda plan: changed(plan, Map, code=Code("odd", ("a",), (Step("exp", (0,)),), 2)),
    "a truth for a number": lambda plan: changed(
        plan, Map, code=Code("odd", ("a",), (Step("gt", (0, 0.0)), Step("exp", (1,))), 2)
    ),
    "float32": lambda plan: changed(plan, Literal, values=first(plan, Literal).values.astype(np.float32)),
    "a leaf before the first": lambda plan: changed(plan, Leaf, index=-1),
    "counts of another type": lambda plan: changed(plan, Reduce, counts=first(plan, Reduce).counts.astype(float)),
    "other terms in a form": lambda plan: with_forms(plan, lambda form: form._replace(left=form.left[..., ::-1])),
    "a form of another kind": lambda plan: with_forms(plan, lambda form: form._replace(what="columns")),
    "a table with another axis": lambda plan: with_forms(plan, lambda form: form._replace(to=form.to[None])),
    "no number": lambda plan: changed(plan, Map, args=(Ref(None, None),)),
    "an output": lambda plan: replace(plan, outputs=[Ref(len(plan.instructions), None)]),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_plan_that_is_wrong_does_not(what):
    with pytest.raises(AssertionError):
        verify(BROKEN[what](made()))


def test_numpy_knows_every_elementary_function():
    assert ELEMENTARY - {"select"} <= KERNELS.keys()


@pytest.mark.parametrize("name", BACKENDS)
def test_a_runner_keeps_the_contract(name):
    if why_not(name):
        pytest.skip(why_not(name))
    plan = made()
    runner = backend(name).prepare(plan, float)
    theta = np.arange(6) * 0.1
    outputs = runner(Leaves(theta, np.zeros(_constants(plan))), None)
    assert runner.trusted
    assert runner.nbytes > 0
    assert [out.shape for out in outputs] == [(1,), (6,)]
    before = [out.copy() for out in outputs]
    runner(Leaves(theta + 1.0, np.zeros(_constants(plan))), None)
    assert all(map(np.array_equal, outputs, before))  # they belong to the caller


def _constants(plan):
    return sum(x.size for x in plan.instructions if isinstance(x, Leaf) and x.kind == "constants")


@pytest.mark.parametrize("f", [lambda p: p**2.5, ag.elu, ag.leaky_relu, ag.softplus, lambda p: ag.clamp(p, 0.0, 1.0)])
def test_folding_leaves_no_reference_cycles(f):
    p = ag.Parameter(0.7)
    structures.cache.known.clear()  # a program that is given up leaves two objects of llvmlite's in a cycle
    ag.fold(f(p) + f(p * 2.0) * 0.5).backward()  # code of rows is made
    gc.collect()
    gc.disable()
    try:
        ag.fold(f(p) * 3.0 + f(p)).backward()
        assert gc.collect() == 0
    finally:
        gc.enable()
