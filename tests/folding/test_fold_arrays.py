"""Array programs made at random, folded: matrices cut, turned and repeated, multiplied and summed, over batches too."""

import math
import random

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding.backends.numpy_arrays import Arrays
from tests.helpers.folds import close

pytestmark = pytest.mark.usefixtures("each_backend")

UNARY = [ag.tanh, ag.sin, ag.softplus, ag.sigmoid, ag.atan, lambda x: x * 0.5, lambda x: -x, lambda x: x * x, abs]
SPECIAL = [math.inf, -math.inf, math.nan, 0.0, -0.0]
FACTORS = [1.0, -1.0, 0.5, 2.0]
REDUCTIONS = [ag.mean, ag.max, ag.min, ag.logsumexp, ag.norm, ag.prod, ag.sum]


class ArrayProgram:
    """Random steps on arrays of numbers or Values: the same ones at each call.

    Args:
        seed: what decides about everything.
        special: whether infinities, NaN and zeros are among the numbers.
    """

    def __init__(self, seed, special=False):
        self.rng = rng = random.Random(seed)
        self.special = special
        self.steps = [(rng.choice(STEPS), rng.getrandbits(32)) for _ in range(rng.randint(1, 6))]
        self.params = [ag.Parameter(self.number()) for _ in range(rng.randint(1, 24))]
        self.lengths = [rng.randint(1, 12) for _ in range(rng.randint(0, 2))]

    def number(self):
        """One for a parameter or an argument."""
        if self.special and self.rng.random() < 0.12:
            return self.rng.choice(SPECIAL)
        return self.rng.uniform(-1.5, 1.5)

    def renew(self):
        """Other parameters."""
        for p in self.params:
            p.data = self.number()

    def arguments(self):
        """A row of data: a list for each argument."""
        return [[self.number() for _ in range(n)] for n in self.lengths]

    def __call__(self, *xs):
        pool = [np.array([*self.params], dtype=object), *(np.array([*x], dtype=object) for x in xs)]
        for step, seed in self.steps:
            rng = random.Random(seed)
            made = step(rng, view(rng, rng.choice(pool)), view(rng, rng.choice(pool)))
            pool.append(np.array(made, dtype=object).reshape(-1)[:50])
        return ag.sum([ag.tanh(v * 0.2) for v in pool[-1]]) + 0.1 * ag.sum(list(pool[rng.randrange(len(pool))]))


def view(rng, array):
    """Some of the elements of a vector, in a matrix: in order, reversed, strided, turned, repeated or at random."""
    n = len(array)
    kind = rng.randrange(6)
    if kind == 1:
        array = array[::-1]
    elif kind == 2:
        array = array[:: rng.randint(1, 3)]
    elif kind == 3:
        array = array[[rng.randrange(n) for _ in range(rng.randint(1, 12))]]
    elif kind == 4:
        array = np.tile(array[: rng.randint(1, n)], rng.randint(1, 3))[:24]
    elif kind == 5:
        array = np.repeat(array[: rng.randint(1, n)], rng.randint(1, 3))[:24]
    width = rng.randint(1, min(5, len(array)))
    matrix = array[: len(array) // width * width].reshape(-1, width)
    if rng.random() < 0.3:  # runs with gaps between them
        matrix = matrix[:, : rng.randint(1, width)]
    return matrix.T if rng.random() < 0.4 else matrix


def _apply(rng, a, b):
    function = rng.choice(UNARY)
    return [function(x) for x in a.reshape(-1)]


def _elementwise(rng, a, b):
    operator = rng.choice([lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / (y * y + 1.0)])
    if rng.random() < 0.5:  # a column meets a row
        return [operator(x, y) for x in a[:, 0] for y in b[0]]
    return [operator(x, y) for x, y in zip(a.reshape(-1), b.reshape(-1), strict=False)]


def _products(rng, a, b):
    k = min(a.shape[1], b.shape[1])
    bias = rng.choice([None, 0.5, a[0, 0]])
    if rng.random() < 0.5:
        return [ag.dot(list(x[:k]), list(y[:k]), bias=bias) for x in a for y in b]
    start = 0 if bias is None else bias
    return [sum((p * q for p, q in zip(x[:k], y[:k], strict=True)), start) for x in a for y in b]


def _rows(rng, a, b):
    scale = rng.choice(FACTORS)
    return [sum(scale * x * y for x, y in zip(p, q, strict=False)) for p, q in zip(a, b, strict=False)]


def _sums(rng, a, b):
    """Ragged: pieces of several lengths, weighed or not."""
    flat, other = list(a.reshape(-1)) * 8, list(b.reshape(-1)) * 8
    lengths = [rng.randint(1, 7) for _ in range(rng.randint(1, 12))]
    if rng.random() < 0.5:
        return [ag.sum([x * y for x, y in zip(flat[n:], other[:n], strict=False)]) for n in lengths]
    return [sum(flat[k : k + n], 0.0) for k, n in enumerate(lengths)]


def _reduced(rng, a, b):
    function = rng.choice(REDUCTIONS)
    if rng.random() < 0.3:
        flat = list(a.reshape(-1)) * 8
        return [function(flat[k : k + n]) for k, n in enumerate([rng.randint(1, 4) for _ in range(5)])]
    return [function(list(row)) for row in a]


def _combined(rng, a, b):
    """Weighed sums of neighbours, with a product among them or without."""
    p, q, r = (rng.choice(FACTORS) for _ in range(3))
    x, y = a.reshape(-1), b.reshape(-1)
    if rng.random() < 0.5:
        return [p * x[i - 1] + q * x[i] + r * y[i % len(y)] for i in range(len(x))]
    return [p * x[i] * y[i % len(y)] + (q * x[i - 1] if i % 3 else r * y[0]) for i in range(len(x))]


STEPS = [_apply, _elementwise, _products, _products, _rows, _sums, _reduced, _combined]


# --- the ways to run one -------------------------------------------------------------------------------------


def as_values(row):
    return [[ag.Value(v) for v in x] for x in row]


def eager(program, rows):
    """For rows of arguments: (values, gradients in the parameters, gradients in the first argument)."""
    values, slopes, in_first = [], [], []
    for row in rows:
        inputs = as_values(row)
        out = program(*inputs)
        values.append(out.item())
        slopes.append(ag.gradients(out, program.params))
        in_first.append(ag.gradients(out, inputs[0]) if inputs else [])
    return np.array(values), np.array(slopes), np.array(in_first)


def mean(rows):
    with np.errstate(invalid="ignore"):  # infinities of both signs
        return rows.mean(0)


def compiled(program):
    """Of one row: value and both gradients, as traced and with other numbers."""
    found = ag.compile(program, params=program.params)
    for _ in range(2):
        row = program.arguments()
        values, slopes, in_first = eager(program, [row])
        yield found.loss_and_grad([p.data for p in program.params], *row), (values[0], slopes[0])
        if row:
            yield found.value_and_grad(*row), (values[0], in_first[0])
        program.renew()


def batched(program):
    """Of several rows: each value, and the means' gradients."""
    if not program.lengths:
        return
    found = ag.compile(program, params=program.params, batch=True)
    several = ag.compile(lambda *xs: [program(*xs), xs[0][0]], params=program.params, batch=True)
    for count in (1, 5, 3):
        rows = [program.arguments() for _ in range(count)]
        columns = [list(column) for column in zip(*rows, strict=True)]
        values, slopes, in_first = eager(program, rows)
        theta = [p.data for p in program.params]
        outputs, total = several.rows_and_grad(theta, *columns)
        yield (outputs[0], total), (values, mean(slopes))
        yield found.loss_and_grad(theta, *columns), (mean(values), mean(slopes))
        yield found.value_and_grad(*columns), (mean(values), in_first / count)
        program.renew()


def folded(program):
    """The graph of one row, and its gradient in the parameters."""
    row = program.arguments()
    found = ag.fold(program(*as_values(row)), params=program.params)
    for _ in range(2):
        values, slopes, _ = eager(program, [row])
        yield found.loss_and_grad([p.data for p in program.params]), (values[0], slopes[0])
        program.renew()


def second_order(program):
    """The graph of a gradient, weighed and summed, and the gradient of that."""
    weights = [0.5 + k for k in range(len(program.params))]
    slopes = ag.gradients(program(*as_values(program.arguments())), program.params, create_graph=True)
    root = ag.dot(weights, slopes) + program.params[0]
    found = ag.fold(root, params=program.params)
    yield found.loss_and_grad(found.theta), (root.item(), ag.gradients(root, program.params))


@pytest.mark.parametrize("seeds", [range(12), pytest.param(range(12, 60), marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("special", [False, True], ids=["numbers", "infinities and NaN too"])
@pytest.mark.parametrize("way", [compiled, batched, folded, second_order], ids=lambda way: way.__name__)
def test_random_array_programs(way, special, seeds):
    """Like eager. (In none of these seeds does an expression with an infinite slope come twice: a program computes it
    once, see test_fold.py.)"""
    for seed in seeds:
        pairs = way(ArrayProgram(seed, special))
        for (value, gradient), (value_expected, gradient_expected) in pairs:
            assert close(value, value_expected, scale=1e3), seed
            assert close(gradient, gradient_expected, scale=1e3), seed


@pytest.mark.parametrize("seeds", [range(1000, 1010), pytest.param(range(1010, 1040), marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("way", [compiled, batched, folded], ids=lambda way: way.__name__)
def test_nothing_is_read_before_it_is_written(way, seeds, monkeypatch):
    """Buffers that begin as NaN, as memory may: lanes that no term reaches are 0, and no result has a trace of them."""
    empty = Arrays.empty

    def spoiled(arrays, *args):
        array = empty(arrays, *args)
        if array.dtype.kind == "f":
            array.fill(math.nan)
        return array

    monkeypatch.setattr(Arrays, "empty", spoiled)
    for seed in seeds:  # structures that no other test has made runners for
        for found, (value, gradient) in way(ArrayProgram(seed)):
            assert close(found[0], value, scale=1e3), seed
            assert close(found[1], gradient, scale=1e3), seed
