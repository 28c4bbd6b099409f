"""Every transform of every other, compiled or not, against what they give uncompiled: the table of docs/COMPILE.md."""

import dataclasses
import itertools
import random
from pathlib import Path

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.trees import flatten, unflatten

PAGE = Path(__file__).parents[2] / "docs" / "COMPILE.md"


@dataclasses.dataclass
class Point:
    x: float
    y: list


# --- random functions -------------------------------------------------------------------------------------

UNARY = [ag.sin, ag.tanh, ag.exp, lambda v: v * v, lambda v: 1.0 / (1.0 + v * v), lambda v: ag.sqrt(1.0 + v * v)]


def leaves_of(x):
    return flatten(x, "x")[0]


def random_function(seed, w):
    """A smooth function of the numbers in a tree and of a Parameter; its branch is the same near every point."""
    rng = random.Random(seed)
    plan = [(rng.randrange(len(UNARY)), rng.random(), rng.random(), rng.choice("+*-")) for _ in range(5)]

    def f(x):
        known = [*leaves_of(x), w]
        for op, a, b, how in plan:
            first, second = known[int(a * len(known))], known[int(b * len(known))]
            inner = first + second if how == "+" else first * second if how == "*" else first - second
            known.append(UNARY[op](0.5 * inner))
        found = ag.sum(known[-3:])
        return found if known[0] > -50.0 else -found

    return f


# --- the transforms, each as a function of the one argument -----------------------------------------------


def along(x):
    """A direction in the form of x."""
    numbers, form = flatten(x, "x")
    return unflatten(form, [0.5 + 0.25 * k for k in range(len(numbers))])


def jvp(f, **how):
    def tangent(x):
        return ag.jvp(f, (x,), (along(x),), **how)

    return tangent


def vjp(f, **how):
    def pulled(x):
        value, pull = ag.vjp(f, x, **how)
        numbers, form = flatten(value, "value")
        return pull(unflatten(form, [1.0 - 0.5 * k for k in range(len(numbers))]))

    return pulled


def hvp(f, **how):
    def product(x):
        return ag.hvp(f, x, along(x), **how)

    return product


def compiled(f, **how):
    return ag.compile(f)


TRANSFORMS = {
    "compile": (compiled, 0), "grad": (ag.grad, 1), "value_and_grad": (ag.value_and_grad, 1),
    "jacobian": (ag.jacobian, 1), "jvp": (jvp, 1), "vjp": (vjp, 1), "hessian": (ag.hessian, 2), "hvp": (hvp, 2),
}  # fmt: skip
OF_ONE_NUMBER = ("grad", "value_and_grad", "hessian", "hvp")

POINTS = {
    "float": 0.7,
    "list": [0.3, -0.4],
    "array": np.array([0.3, -0.4]),
    "dict": {"b": 0.2, "a": [0.5, -0.1]},
    "dataclass": Point(0.3, [0.6]),
    "tuple": ({"w": np.array([[0.1], [0.2]])}, None, 0.4),
}


def one_number(f):
    """f with its results added up, so that it has a gradient."""

    def added(x):
        return ag.sum([ag.sin(y) for y in leaves_of(f(x))])

    return added


def composed(outer, inner, f, ways):
    """outer(inner(f)); `ways` says at which places there is a compile or `compiled=True`."""
    middle, last = TRANSFORMS[inner][0], TRANSFORMS[outer][0]
    found = ag.compile(f) if "f" in ways else f
    found = middle(found, compiled=True) if "inner" in ways else middle(found)
    found = ag.compile(found) if "between" in ways else found
    if outer in OF_ONE_NUMBER:
        found = one_number(found)
    found = ag.compile(found) if "added" in ways else found
    found = last(found, compiled=True) if "outer" in ways else last(found)
    return ag.compile(found) if "all" in ways else found


WAYS = [{"f"}, {"inner"}, {"between"}, {"added"}, {"outer"}, {"all"}, {"f", "added"}, {"inner", "outer"}, {"f", "all"},
        {"between", "outer", "all"}]  # fmt: skip


def numbers_of(x):
    return [y.item() if isinstance(y, ag.Value) else y for y in leaves_of(x)]


def agree(found, expected, what):
    a, b = numbers_of(found), numbers_of(expected)
    assert len(a) == len(b), what
    scale = 1.0 + max(map(abs, b), default=0.0)
    assert all(abs(x - y) <= 1e-11 * scale for x, y in zip(a, b, strict=True)), (what, a, b)


def same_form(found, expected, what):
    """Containers of the same kinds, with numbers where there are numbers."""
    assert flatten(found, "found")[1].key == flatten(expected, "expected")[1].key, what


def table():
    """(outer, inner, order) for every cell of the table in docs/COMPILE.md."""
    text = PAGE.read_text().partition("<!-- composed -->")[2].partition("<!-- end -->")[0]
    head, _, *lines = [[x.strip(" `") for x in line.strip("| \n").split("|")] for line in text.strip().splitlines()]
    return [(line[0], inner, int(order)) for line in lines for inner, order in zip(head[1:], line[1:], strict=True)]


def test_the_table_has_every_pair():
    pairs = [(outer, inner) for outer, inner, _ in table()]
    assert sorted(pairs) == sorted(itertools.product(TRANSFORMS, repeat=2))


@pytest.mark.parametrize("tried", [slice(0, 2), pytest.param(slice(2, 5), marks=pytest.mark.slow)], ids=["2", "others"])
@pytest.mark.parametrize(("outer", "inner", "order"), table(), ids=str)
def test_a_transform_of_a_transform(outer, inner, order, tried):
    assert order == TRANSFORMS[outer][1] + TRANSFORMS[inner][1]
    w = ag.Parameter(0.3)
    w.frozen = True
    seed = f"{outer} {inner}"
    kinds = itertools.cycle(random.Random(seed).sample(sorted(POINTS), len(POINTS)))
    each = [(k, ways, next(kinds)) for k, ways in enumerate(random.Random(seed).sample(WAYS, 5))]
    for k, ways, kind in each[tried]:
        f, x = random_function(f"{seed} {k}", w), POINTS[kind]
        expected = composed(outer, inner, f, ())(x)
        made = composed(outer, inner, f, ways)
        for _ in range(2):  # the second time without a trace
            found = made(x)
            agree(found, expected, (kind, ways))
            if outer != "compile" and "all" not in ways:
                same_form(found, expected, (kind, ways))


@pytest.mark.parametrize("outer", [x for x in TRANSFORMS if x != "compile"])
def test_a_batch_is_its_rows(outer):
    """`rows` gives what each row gives by itself, and a call the mean."""
    w = ag.Parameter(0.3)
    w.frozen = True
    X = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 2))
    for inner in TRANSFORMS:
        f = random_function(f"batch {outer} {inner}", w)
        one = composed(outer, inner, f, ())
        made = ag.compile(one, batch=True)
        each = [numbers_of(one(x)) for x in X]
        agree(made(X), np.mean(each, 0), inner)
        rows = [np.reshape(y, (4, -1)) for y in parts_of(made.rows(X))]
        agree(np.concatenate(rows, 1), np.array(each), inner)


def parts_of(x):
    return [y for part in x for y in parts_of(part)] if isinstance(x, (list, tuple)) else [x]


ORDER_3 = [x for x in itertools.product(TRANSFORMS, repeat=3) if sum(TRANSFORMS[name][1] for name in x) == 3]
ORDER_3 = random.Random(0).sample(ORDER_3, 48)


@pytest.mark.parametrize(
    "tried", [slice(0, 3), pytest.param(slice(3, None), marks=pytest.mark.slow)], ids=["3", "others"]
)
@pytest.mark.parametrize("third", sorted({x[0] for x in ORDER_3}))
def test_third_derivatives(third, tried):
    w = ag.Parameter(0.3)
    w.frozen = True
    for k, (outer, middle, inner) in list(enumerate(x for x in ORDER_3 if x[0] == third))[tried]:
        kind = sorted(POINTS)[k % len(POINTS)]
        f, x = random_function(f"{k} {third}", w), POINTS[kind]
        some = composed(middle, inner, f, ())
        expected = composed(outer, "compile", some, ())(x)
        ways, others = WAYS[k % len(WAYS)], WAYS[(3 * k + 1) % len(WAYS)]
        found = composed(outer, "compile", composed(middle, inner, f, ways), others)(x)
        agree(found, expected, (outer, middle, inner, kind, ways, others))


# --- beside the table -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [x for x in TRANSFORMS if x != "compile"])
def test_several_arguments_and_what_else_f_gives(name):
    def f(a, b, scale=2.0):
        return ag.sin(a["x"] * b[0]) * b[1] ** 2 * scale, {"seen": a["x"] * b[1]}

    a, b = {"x": 0.5}, np.array([0.3, 0.7])
    if name in ("jvp", "vjp"):

        def use(f, **how):
            if name == "jvp":
                return ag.jvp(f, (a, b), (along(a), along(b)), has_aux=True, **how)
            value, pull, aux = ag.vjp(f, a, b, has_aux=True, **how)
            return value, pull(0.5), aux
    elif name == "hvp":

        def use(f, **how):
            return ag.hvp(lambda b: f(a, b)[0], b, along(b), **how)
    else:

        def use(f, **how):
            return getattr(ag, name)(f, argnum=(0, 1), has_aux=True, **how)(a, b, scale=3.0)

    expected = use(f)
    for found in (use(f, compiled=True), use(ag.compile(f)), use(ag.compile(f), compiled=True)):
        agree(found, expected, name)
        same_form(found, expected, name)


@pytest.mark.parametrize("name", [x for x in TRANSFORMS if x != "compile"])
def test_a_parameter_that_is_not_frozen_is_reached_by_a_loss_of_derivatives(name):
    """As uncompiled: the answer is in Values, and in floats inside no_grad or by create_graph=False."""
    w, x = ag.Parameter(0.8), [0.3, -0.4]
    inner = random_function(f"loss {name}", w)
    transform = TRANSFORMS[name][0]

    def f(x):
        return inner(x) * ag.exp(w * leaves_of(x)[0])

    def loss_of(made):
        return ag.sum([y * y for y in leaves_of(made(x))])

    expected = loss_of(transform(f))
    slope = ag.gradients(expected, w)
    for made in (transform(f, compiled=True), transform(ag.compile(f)), transform(ag.compile(f), compiled=True)):
        for _ in range(2):
            loss = loss_of(made)
            agree([loss, ag.gradients(loss, w)], [expected, slope], name)
        with ag.no_grad():
            assert not any(isinstance(y, ag.Value) for y in leaves_of(made(x)))
        w.data, before = 0.5, w.data
        agree(loss_of(made), loss_of(transform(f)), name)
        w.data = before
