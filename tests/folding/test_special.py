"""Special functions on arrays: within their rows' bounds, with and without SciPy, and as on floats at the edges."""

import math
import sys

import numpy as np
import pytest

from autograd_lite.engine.kernels import FLOATS
from autograd_lite.engine.rules import TABLE
from autograd_lite.folding.backends import special
from autograd_lite.folding.backends.kernels import KERNELS
from tests.engine.domains import exact, points_of
from tests.engine.test_table import bound_of, is_close

NAMES = ["log_ndtr", "_hazard", "_excess", "ndtri", "erfinv", "lgamma", "digamma", "polygamma", "_sinc"]
SETTING = {"polygamma": 0, "_sinc": 1}
"""The place of the operand that is a whole number and the same for all elements."""

EDGES = [
    0.0,
    1.0,
    0.5,
    2.0,
    2.5,
    3.0,
    5e-324,
    1e-310,
    1e-8,
    0.25,
    0.425,
    0.75,
    0.925,
    20.0,
    37.9,
    40.0,
    710.0,
    1e17,
    1e200,
]
EDGES = [*EDGES, *(-x for x in EDGES), math.inf, -math.inf, math.nan, 1.0 - 2.0**-53]


@pytest.fixture(params=["scipy", "no scipy"])
def _scipy(request, monkeypatch):
    if request.param == "no scipy":
        monkeypatch.setitem(sys.modules, "scipy", None)
        monkeypatch.setitem(sys.modules, "scipy.special", None)
        monkeypatch.setattr(special, "_any_erfc", special.of_scipy("erfc", math.erfc))
        monkeypatch.setattr(special, "erf", special.of_scipy("erf", math.erf))


def applied(name, columns):
    """A kernel on columns of operands, one call for each value of the setting."""
    out = np.empty(len(columns[0]))
    place = SETTING.get(name)
    with np.errstate(all="ignore"):
        if place is None:
            KERNELS[name](*columns, out)
            return out
        for n in set(columns[place].tolist()):
            here = columns[place] == n
            found = np.empty(here.sum())
            KERNELS[name](*(n if k == place else x[here] for k, x in enumerate(columns)), found)
            out[here] = found
    return out


@pytest.mark.usefixtures("_scipy")
@pytest.mark.parametrize("count", [60, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_within_the_bounds_of_the_row(name, count):
    points = points_of(TABLE[name], count)
    found = applied(name, list(np.array(points).T))
    for point, got in zip(points, found.tolist(), strict=True):
        true = exact(name, point)
        assert is_close(got, true, bound_of(TABLE[name], 0, point, true)), (point, got, true)


@pytest.mark.usefixtures("_scipy")
@pytest.mark.parametrize("name", NAMES)
def test_at_the_edges_as_on_floats(name):
    scale = 1e-290 if not TABLE[name].floor[0] else 0.1
    for n in (0.0, 1.0, 2.0, 3.0, 8.0) if name in SETTING else (None,):
        columns = [np.array(EDGES)]
        if n is not None:
            columns.insert(SETTING[name], np.full(len(EDGES), n))
        for k, got in enumerate(applied(name, columns).tolist()):
            right = FLOATS[name](*(float(x[k]) for x in columns))
            assert got == pytest.approx(right, rel=1e-13, abs=1e-13 * scale, nan_ok=True), (n, EDGES[k])
            if right == 0.0:
                assert math.copysign(1.0, got) == math.copysign(1.0, right), (n, EDGES[k])


@pytest.mark.parametrize("name", SETTING)
def test_constants_of_several_orders_side_by_side(name):
    n, x = np.array([0.0, 1.0, 2.0, -1.0, 0.5]), np.array([0.3, 2.0, 7.0, 1.0, 1.0])
    columns = [n, x] if SETTING[name] == 0 else [x, n]
    out = np.empty(5)
    KERNELS[name](*columns, out)
    np.testing.assert_allclose(out, [FLOATS[name](*map(float, p)) for p in zip(*columns, strict=True)], rtol=1e-13)
