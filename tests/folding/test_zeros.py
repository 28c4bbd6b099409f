"""The sign of a zero in folded sums: where a literal 0 was left out, a sum is never -0.0."""

import itertools
import math
import random

import pytest

import autograd_lite as ag
from autograd_lite.engine.value import Value

SUMS = {
    "one": lambda x, y: sum([x]),
    "two": lambda x, y: sum([x, y]),
    "three": lambda x, y: sum([x, y, x * y]),
    "products": lambda x, y: sum([x * 1.0, y * 2.0, x * y]),
    "0 first": lambda x, y: 0.0 + x,
    "0 last": lambda x, y: x + 0.0,
    "0 within": lambda x, y: (x + 0.0) + y,
    "-0 first": lambda x, y: -0.0 + x,
    "-0 last": lambda x, y: x + -0.0,
    "nested": lambda x, y: sum([sum([x]), sum([y])]),
    "running": lambda x, y: (sum([x, y]) + x) + y,
    "ag.sum": lambda x, y: ag.sum([0.0, x, y]),
    "ag.mean": lambda x, y: ag.mean([0.0, x]),
    "alone": lambda x, y: x + 1.0 * y * 0.0,
    "differences": lambda x, y: sum([x, -y]) - x,
}
LOOKS = {
    "atan": lambda s: ag.atan(1.0 / s),
    "atan2": lambda s: ag.atan2(s, -1.0),
    "quotient": lambda s: 1.0 / s,
    "itself": lambda s: s * 1.0,
}
POINTS = list(itertools.product((-0.0, 0.0, 1.5), repeat=2))


def shown(x):
    """Up to a rounding, the sign of a zero included."""
    return f"{x:.12g}" if x == x else "nan"


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", SUMS)
def test_a_sum_with_a_literal_zero_is_never_minus_zero(name, look):
    f = lambda x, y: LOOKS[look](SUMS[name](x, y))  # noqa: E731
    single, batched = ag.compile(f), ag.compile(f, batch=True)
    for x, y in POINTS:
        right = f(Value(x), Value(y)).item()
        folded = ag.fold(f(Value(x), Value(y)))()
        assert shown(single(x, y)) == shown(folded) == shown(right), (x, y)
        if math.isfinite(right) and right:
            assert shown(batched([x, x], [y, y])) == shown(right), (x, y)


def test_sums_with_and_without_a_zero_side_by_side():
    """They share a shape and not a class."""

    def f(x, y):
        with_zero = [ag.atan(1.0 / sum([x * k, y])) for k in (1.0, 2.0, 3.0)]
        without = [ag.atan(1.0 / (x * k + y * 1.0)) for k in (1.0, 2.0, 3.0)]
        return [*with_zero, *without]

    compiled = ag.compile(f)
    for x, y in POINTS:
        right = [v.item() for v in f(Value(x), Value(y))]
        found = compiled(x, y)
        assert list(map(shown, found[:3])) == list(map(shown, right[:3]))
        if not x == y == 0.0:
            assert list(map(shown, found)) == list(map(shown, right))


def test_a_structure_with_another_zero_is_another_one():
    """Folds of equal structure share their instructions: 0.0 and -0.0 as a term make two."""
    for start in (0.0, -0.0, 0.0, 1.0, -0.0):
        x = ag.Parameter(-0.0)
        value = 1.0 / ((start + x) + x)
        assert ag.fold(value)() == value.item()


@pytest.mark.parametrize("seed", range(40))
def test_random_sums(seed):
    rng = random.Random(seed)
    terms = [(rng.choice([1.0, -1.0, 2.0]), rng.randrange(3), rng.random() < 0.5) for _ in range(rng.randrange(1, 6))]
    starts = rng.choice([[0.0], [0], [0.0, 0.0]])

    def f(xs):
        parts = [k * xs[i] if scaled else xs[i] for k, i, scaled in terms]
        s = [*starts, *parts]
        rng_here = random.Random(seed)
        rng_here.shuffle(s)
        total = s[0]
        for part in s[1:]:
            total = total + part
        return ag.atan2(total, -1.0) + ag.atan(1.0 / total)

    compiled = ag.compile(f)
    for xs in itertools.product((-0.0, 0.0), repeat=3):
        value = f([Value(x) for x in xs])
        assert shown(compiled(list(xs))) == shown(value.item()), xs
