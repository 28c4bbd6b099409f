"""The language of rules: the straight-line code of every row against the row on floats, and what is not in it."""

import itertools
import math

import pytest

import autograd_lite as ag
from autograd_lite.engine.lowering import COMPARISONS, ELEMENTARY, FLOATS, lower, parse
from autograd_lite.engine.rules import TABLE

POINTS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -2.5, 700.5, -701.0, 1e-300, 1e300, math.inf, -math.inf, math.nan]
FIXED = [row for row in TABLE.values() if row.builtin and not row.variadic]
SYMBOLS = {"add": "a + b", "sub": "a - b", "mul": "a * b", "neg": "-a", "select": "b if a else c"}
TESTS = {"gt": "a > b", "ge": "a >= b", "lt": "a < b", "le": "a <= b", "eq": "a == b"}


def run(code, operands):
    values = list(operands)
    for step in code.steps:
        xs = [values[x] if isinstance(x, int) else x for x in step.args]
        text = {**SYMBOLS, **TESTS}.get(step.name)
        function = step.function or FLOATS.get(step.name)
        values.append(eval(text, dict(zip("abc", xs, strict=False))) if text else function(*xs))
    return float(values[code.result]) if isinstance(code.result, int) else code.result


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_code_is_the_row_on_floats_bit_for_bit(row):
    """With all operands open, and with the last one known, as the exponent of a power is."""
    n = len(row.operands)
    points = list(itertools.product(POINTS if n < 3 else POINTS[::2], repeat=n))
    for slot in range(-1, n):
        code = lower(row, slot)
        assert all(step.name in ELEMENTARY for step in code.steps)
        for point in points:
            out, partials = row.evaluate(point)
            operands = point if slot < 0 else (*point, out)
            expected = out if slot < 0 else partials[slot]
            assert repr(run(code, operands)) == repr(float(expected)), (slot, point)
            known = [None] * len(operands)
            known[n - 1] = point[-1]
            left = [x for k, x in enumerate(operands) if k != n - 1]
            assert repr(run(lower(row, slot, tuple(known)), left)) == repr(float(expected)), (slot, point)


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_code_that_does_not_tell_nan_apart_is_the_same_without_nan(row):
    n = len(row.operands)
    for point in itertools.product(POINTS[:9], repeat=n) if n < 3 else itertools.product(POINTS[:9:2], repeat=n):
        out, partials = row.evaluate(point)
        for slot in range(n):
            if not math.isnan(out) and not math.isnan(partials[slot]):
                assert run(lower(row, slot, nan=False), (*point, out)) == partials[slot], (slot, point)


def test_what_is_known_of_the_operands_is_worked_out():
    pow_ = TABLE["pow"]
    assert [step.name for step in lower(pow_, 0, (None, 2.0, None)).steps] == ["mul"]
    assert [step.name for step in lower(pow_, -1, (None, 1.0)).steps] == []
    assert lower(TABLE["floor"], 0, nan=False).result == 0.0
    assert [step.name for step in lower(TABLE["greater"], -1, nan=False).steps] == ["gt", "select"]


def test_code_is_made_once_and_prints_itself():
    code = lower(TABLE["sigmoid"], 0)
    assert code is lower(TABLE["sigmoid"], 0)
    assert str(lower(TABLE["cosh"], 0)) == "d cosh/da(a, out)\n  %2 = sinh a\n  return %2"


def test_the_sign_of_a_known_zero_is_kept():
    assert math.copysign(1.0, run(lower(TABLE["mul"], -1, (None, -0.0)), [1.0])) == -1.0
    assert math.copysign(1.0, run(lower(TABLE["mul"], -1, (None, 0.0)), [1.0])) == 1.0


def test_a_user_defined_function_is_a_step():
    ag.primitive("lowered_cube", lambda a: a * a * a, lambda a: 3.0 * a * a)
    row = TABLE["lowered_cube"]
    assert run(lower(row), [2.0]) == 8.0
    assert run(lower(row, 0), [2.0, 8.0]) == 12.0
    assert [step.name for step in lower(row, 0).steps] == ["call"]


@pytest.mark.parametrize(
    "text", ["a.real", "a[0]", "lambda: a", "a and 1", "f(x=1)", "a < b < c", "'a'", "True", "{a}"]
)
def test_what_is_not_in_the_language(text):
    with pytest.raises(ValueError, match="a rule consists of"):
        parse(text)


def test_a_rule_of_a_sequence_has_no_code():
    with pytest.raises(ValueError, match="fixed arity"):
        lower(TABLE["max"], 0)


def test_every_comparison_has_its_row():
    assert set(COMPARISONS.values()) <= TABLE.keys()
    assert set(COMPARISONS) == set(TESTS)
