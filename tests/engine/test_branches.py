"""An operand that a choice passes over gets 0, also of an infinite adjoint: such rows eager, as a graph, folded."""

import math

import pytest

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import Value, record

POINTS = {1: [(-1.5,)], 2: [(0.5, 2.0), (2.0, 0.5)], 3: [(0.0, 1.0, 2.0), (1.0, 2.0, 3.0), (3.0, 0.0, 2.0)]}
CHOICES = [row for row in TABLE.values() if row.builtin and row.branch and not row.zero_gradient and row.name[0] != "_"]


def test_the_rows_that_choose():
    assert {row.name for row in CHOICES} == {"relu", "heaviside", "where", "maximum", "minimum", "clamp", "max", "min"}


@pytest.mark.parametrize("row", CHOICES, ids=lambda row: row.name)
def test_what_is_passed_over_gets_nothing(row):
    for point in POINTS[3 if row.variadic else len(row.operands)]:
        xs = [Value(x) for x in point]
        y = record(row, tuple(xs))
        steep = ag.sqrt(y - y.item())  # its slope is infinite
        wanted = [math.inf if d else 0.0 for d in y.local_grads]
        assert 0.0 in wanted
        assert ag.gradients(steep, xs) == wanted
        assert [g.item() for g in ag.gradients(steep, xs, create_graph=True)] == wanted
        assert [ag.fold(steep, inputs=xs).value_and_grad(*point, argnum=i)[1] for i in range(len(xs))] == wanted
