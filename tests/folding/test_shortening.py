"""Long graphs are grouped as short ones: what is found is what the whole graph gives, at a cost that stays."""

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding import build, grouping, shortening
from autograd_lite.folding.scan import Scan
from tests.folding.loop_zoo import FOUND
from tests.folding.test_loops import fold, found, fresh_cache, random_recurrence
from tests.helpers.folds import assert_same
from tests.helpers.folds import by_backward as eager
from tests.helpers.parts import every_second, first_of

assert fresh_cache  # the fixture

STEPS = 300

WHOLE = {"lengths", "irregular_obs", "bidirectional", "cholesky", "attention_cache"}
"""Of the zoo those that are grouped as they are: no period in them, or classes that do not move on evenly."""


@pytest.fixture(autouse=True)
def each_is_long(monkeypatch):
    """Graphs of a few hundred nodes are long here."""
    monkeypatch.setattr(shortening, "LEAST_UNITS", 0)
    monkeypatch.setattr(shortening, "MARGIN", 8)


def shortened(root, inputs, saved=8):
    """(what comes of the shortened graph, or None; its scan)."""
    leaves = [[y for x in xs for y in (x if isinstance(x, list) else [x])] for xs in inputs]
    scan = Scan([root], None, leaves)
    terms = grouping.Terms(scan, scan.roots)
    labels = scan.source.copy()
    labels[: scan.count] += terms.zeroed
    return shortening.shortened(scan, terms, labels, 4, saved), scan


@pytest.mark.parametrize("make", every_second(FOUND))
def test_the_zoo_is_what_the_whole_graphs_give(make, monkeypatch):
    root, inputs = make(30 if make.__name__ == "attention_cache" else STEPS)
    short, _ = shortened(root, inputs)
    assert (short is None) == (make.__name__ in WHOLE)
    program = fold(root, inputs, "as it is")
    monkeypatch.setattr(shortening, "LEAST_UNITS", 10**9)
    whole = fold(root, inputs, "as it is")
    loops = [[(loop.steps, loop.stop - loop.start) for loop in x.plan().loops] for x in (program, whole)]
    assert loops[0] == loops[1]
    assert len(program.plan().instructions) == len(whole.plan().instructions)
    assert_same(found(program, inputs), found(whole, inputs), 1e-11)


@pytest.mark.parametrize("block", first_of(range(8), 3))
def test_random_recurrences(block):
    used = 0
    for seed in range(10 * block, 10 * block + 10):
        root, inputs = random_recurrence(seed, 60)
        used += shortened(root, inputs)[0] is not None
        program = fold(root, inputs, 2 + seed % 3)
        if program.params:
            assert_same(found(program, inputs), eager(root, program.params))
    assert used >= 3


def test_what_is_looked_at_does_not_grow(monkeypatch):
    sizes = []
    whole = shortening.classes

    def counting(scan, *rest):
        sizes.append(scan.count)
        return whole(scan, *rest)

    monkeypatch.setattr(shortening, "classes", counting)
    for steps in (200, 1000):
        for make in FOUND:
            if make.__name__ in ("sir", "rnn", "garch", "tridiagonal", "minibatch"):
                assert shortened(*make(steps))[0] is not None
    assert len(sizes) == 10
    assert sizes[:5] == sizes[5:]


DIFFERENCES = {
    "another parameter": lambda w, x, t: w[1] * x[-1],
    "a literal": lambda w, x, t: 0.7 * x[-1],
    "another operation": lambda w, x, t: ag.exp(w[0] * 0.1) * x[-1],
    "a step further back": lambda w, x, t: w[0] * x[-2],
    "far back": lambda w, x, t: w[0] * x[t // 2],
    "another order": lambda w, x, t: x[-1] * w[0],
    "another exponent": lambda w, x, t: w[0] * x[-1] ** 3,
    "one term more": lambda w, x, t: w[0] * x[-1] + 0.1 * w[1],
}


@pytest.mark.parametrize("name", DIFFERENCES)
@pytest.mark.parametrize("at", [1, 60, 61, 118])
def test_a_step_that_differs(name, at):
    w, x = [ag.Parameter(0.9), ag.Parameter(0.8)], [ag.Parameter(0.3)]
    for t in range(120):
        x.append(ag.sin(DIFFERENCES[name](w, x, t) if t == at else w[0] * x[-1]) + 0.1)
    root = x[-1] ** 2 + x[60] * x[33]
    program = fold(root)
    assert_same(found(program), eager(root, program.params))
    assert program.plan().loops


def test_results_from_the_middle():
    w, xs = ag.Parameter(0.9), [ag.Parameter(0.3)]
    for _ in range(200):
        xs.append(ag.sin(w * xs[-1]) + 0.1)
    program = fold([xs[50], xs[100] * w, xs[150] * w, xs[7]])
    assert program.plan().loops
    assert np.allclose(program(), [xs[50].item(), xs[100].item() * 0.9, xs[150].item() * 0.9, xs[7].item()], rtol=1e-13)


def test_what_is_found_is_refused_where_a_unit_does_something_else(monkeypatch):
    """The tokens of units are hashes: were two of them equal by chance, the check of every unit would see it."""
    root, _ = FOUND_BY_NAME["logistic"](100)
    whole = build.shortened(*_parts(root))
    assert whole is not None
    first = shortening._Units.__init__

    def blind(self, *args):
        first(self, *args)
        self.does = self.does.copy()
        self.does[150] += 1  # in the middle of what is left out

    monkeypatch.setattr(shortening._Units, "__init__", blind)
    assert build.shortened(*_parts(root)) is None


FOUND_BY_NAME = {make.__name__: make for make in FOUND}


def _parts(root):
    scan = Scan([root], None, [])
    terms = grouping.Terms(scan, scan.roots)
    labels = scan.source.copy()
    labels[: scan.count] += terms.zeroed
    return scan, terms, labels, 4, 8
