"""The table of primitives, row by row, against 50-digit arithmetic: values, local derivatives, orders 2 and 3.

Nothing here knows a primitive by name: a new row is tested as soon as it stands in the table and has its
definition in tests/engine/domains.py.
"""

import math
import re
from itertools import product

import pytest
from mpmath import isnan, mpf

import autograd_lite as ag
from autograd_lite.engine.rules import TABLE
from autograd_lite.engine.value import record
from tests.engine.domains import CONSTANT, DEFINITIONS, exact, is_smooth, operands_at, ordinary_points_of, points_of

ROWS = [row for row in TABLE.values() if row.builtin]
POINTS = 100
LARGEST, SMALLEST_NORMAL = 2.0**1023 * (2 - 2.0**-52), 2.0**-1022
UNDERFLOW = 1e-318
"""Where a factor of a result is subnormal, its rounding (2.5e-324) shows, times the other factors."""

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def test_every_row_has_a_definition():
    assert {row.name for row in ROWS} == set(DEFINITIONS)


def bound_of(row, which, point, true):
    """The absolute error that a row allows itself: which = 0 for its value, 1 for a local derivative."""
    size = abs(float(true)) if abs(true) < LARGEST else LARGEST
    ulps = row.ulp[which]
    if row.variadic:
        ulps *= max(1.0, len(point) / 2)
        if which == 0:  # sums of products: relative to their size, as the note of dot says
            size = max(size, float(min(abs(exact(row.name, [abs(x) for x in point])), LARGEST))) if row.note else size
    low, high = row.near
    floor = row.floor[which] if any(low <= x <= high for x in point) else 0.0
    return mpf(ulps) * math.ulp(size) + floor + UNDERFLOW


def is_close(got, true, bound):
    if isnan(true):
        return math.isnan(got)
    if math.isinf(got):
        return abs(true) + bound >= LARGEST and (got > 0) == (true > 0)
    return abs(got - true) <= bound


@each_row
def test_value(row):
    for point in points_of(row, POINTS):
        got, true = row.evaluate(point)[0], exact(row.name, point)
        assert is_close(got, true, bound_of(row, 0, point, true)), (point, got, true)


@each_row
def test_local_derivatives(row):
    kinks = 0
    for point in points_of(row, POINTS):
        value, local = row.evaluate(point)
        assert len(local) == len(point)
        for i, got in enumerate(local):
            orders = tuple(int(i == j) for j in range(len(point)))
            true = mpf(0) if row.name in CONSTANT else exact(row.name, point, orders)
            bound = bound_of(row, 1, point, true)
            if 0 < abs(value) < SMALLEST_NORMAL:  # the derivative reuses a result that lost digits
                bound += abs(true) * (2.0**-1073 / abs(value))
            if not is_close(got, true, bound):
                assert not is_smooth(row.name, point, orders), (point, i, got, true)
                kinks += 1
    assert kinks < POINTS / 2  # there EDGE_CASES rules


def derivative(row, point, slots):
    """The derivative in the operands at these slots, one after the other, by gradients of gradients."""
    xs = operands_at(row, point)
    y = record(row, xs)
    for slot in slots[:-1]:
        y = ag.gradients(y, xs[slot], create_graph=True)
    return ag.gradients(y, xs[slots[-1]])


@each_row
@pytest.mark.parametrize("order", [2, 3])
def test_higher_derivatives(row, order):
    """All partial derivatives of this order, the mixed ones in every sequence of operands."""
    for point in ordinary_points_of(row, 12 if order == 2 else 8):
        n = len(point)
        free = [i for i in range(n) if row.variadic or row.operands[i] != row.setting]
        for slots in product(free, repeat=order):
            orders = tuple(slots.count(i) for i in range(n))
            got = derivative(row, point, slots)
            true = mpf(0) if row.name in CONSTANT else exact(row.name, point, orders)
            lower = max(abs(exact(row.name, point, fewer)) for fewer in product(*(range(k + 1) for k in orders)))
            bound = 1e-10 * abs(true) + 1e-13 * lower
            if got != true and not abs(got - true) <= bound:
                assert not is_smooth(row.name, point, orders), (point, slots, got, true)


def test_a_row_shows_its_rules():
    assert repr(TABLE["mul"]) == "mul(a, b) = a * b, partials b, a"
    assert repr(TABLE["prod"]) == "prod(*xs) = prod(xs), partials products_of_others(xs)"
    ag.primitive("table_shown", lambda a: a, lambda a: 1.0)
    assert re.fullmatch(r"table_shown\(a\) = \w+, partials \w+", repr(TABLE["table_shown"]))
