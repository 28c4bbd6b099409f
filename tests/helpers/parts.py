"""Of tests with many parameters the part that a plain run has; the rest is marked slow: .ci/run has it too."""

from itertools import product

import pytest


def chequered(*axes):
    """Every combination, each second one plain: each value of an axis meets half of the values of another.

    Of [a, b, c, d] and [x, y] plain are ax, by, cx, dy: each letter once, and x and y on half of them. Values are
    names of tests, functions, or pytest.param with marks of their own.
    """
    parameters = []
    for picks in product(*(list(enumerate(axis)) for axis in axes)):
        sets = [x if hasattr(x, "marks") else pytest.param(x) for _, x in picks]
        marks = [mark for x in sets for mark in x.marks]
        if sum(k for k, _ in picks) % 2:
            marks.append(pytest.mark.slow)
        names = [x.id or getattr(x.values[0], "__name__", str(x.values[0])) for x in sets]
        parameters.append(pytest.param(*(x.values[0] for x in sets), id="-".join(names), marks=marks))
    return parameters


def first_of(values, plain):
    """All of them, those after the first few marked slow: of random programs, say, of which each is like the others."""
    return [pytest.param(x, marks=[pytest.mark.slow] * (k >= plain)) for k, x in enumerate(values)]


def every_second(values):
    """All of them, each second one marked slow."""
    return chequered(values)
