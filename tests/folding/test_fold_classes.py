"""What may share an instruction, and what may not: small programs whose lanes are easily confused."""

import math
import os
import random
import subprocess
import sys
from itertools import pairwise, product

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.engine.graph import toposort
from autograd_lite.folding import build
from autograd_lite.folding.backends import Leaves
from autograd_lite.folding.backends.numpy_backend import prepare
from autograd_lite.folding.grouping import Terms, classes
from autograd_lite.folding.instructions import Leaf, Ref, Sum
from autograd_lite.folding.plan import look_through, plan
from autograd_lite.folding.printing import name, operation
from autograd_lite.folding.scan import Scan
from autograd_lite.pictures.diagrams import grouped
from autograd_lite.pictures.diagrams.diagram import kind
from autograd_lite.pictures.diagrams.grouped import KINDS, Units

BINARY = {
    "sub": lambda a, b: a - b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "atan2": ag.atan2,
    "greater": ag.greater,
    "where": lambda a, b: ag.where(a - 0.75, a, b),
}


@pytest.mark.parametrize("name", BINARY)
def test_operands_of_two_kinds_the_one_way_round_and_the_other(name):
    """a - b with a from one leaf array and b from another is not a lane of b - a."""
    f = BINARY[name]
    x = [ag.Value(v) for v in (0.5, 0.75, 1.25)]
    w = [ag.Parameter(v) for v in (2.0, 3.0, 0.25)]
    roots = [f(a, b) for a, b in product(x, w)] + [f(b, a) for a, b in product(x, w)]
    program = ag.fold(roots, inputs=[x])
    assert program([v.item() for v in x]) == pytest.approx([y.item() for y in roots], rel=1e-15)
    total = ag.sum([y * (i + 1.0) for i, y in enumerate(roots)])
    value, gradient = ag.fold(total, params=w, inputs=[x]).loss_and_grad([p.item() for p in w], [v.item() for v in x])
    assert value == pytest.approx(total.item())
    assert gradient.tolist() == pytest.approx(ag.gradients(total, w), rel=1e-12)


def test_an_operand_twice_and_two_operands():
    x = [ag.Value(v) for v in (0.5, 2.0)]
    roots = [x[0] * x[0], x[0] * x[1], x[1] * x[0], x[1] - x[0], x[0] - x[0], x[0] / x[1], x[1] / x[0]]
    assert ag.fold(roots, inputs=[x])([3.0, 5.0]) == [9.0, 15.0, 15.0, 2.0, 0.0, 3.0 / 5.0, 5.0 / 3.0]
    assert math.isclose(ag.fold(ag.sum(roots), inputs=[x]).value_and_grad([3.0, 5.0])[1][0], 6 + 10 - 1 + 1 / 5 - 5 / 9)


def test_a_picture_has_a_box_for_each_thing_that_is_done():
    x = [ag.Value(0.1 * i, name=f"x[{i}]") for i in range(30)]
    made = [f(v) for v in x for f in (ag.sin, ag.cos, ag.exp)]
    boxes = {box.symbol: box for box in ag.draw(ag.sum(made), fold=True).diagram.boxes if box.count == 30}
    assert set(boxes) == {"", "sin", "cos", "exp"}
    numbers = [v.item() for v in x]
    assert boxes["cos"].f == (min(map(math.cos, numbers)), 1.0)
    assert boxes["sin"].f == (0.0, max(map(math.sin, numbers)))


def test_a_sum_that_is_used_twice_has_a_box_of_its_own():
    a, b, c, d = (ag.Value(v, name=n) for n, v in [("a", 1.0), ("b", 2.0), ("c", 4.0), ("d", 8.0)])
    shared, product, once = a + b, a * d, c + d
    root = (shared + product + once) * (shared + product)
    boxes = ag.draw(root, fold=True).diagram.boxes
    shown = {low for box in boxes for low, high in [box.f] if low == high and box.symbol}
    assert shown == {3.0, 8.0, 11.0, 23.0, 253.0}  # and no 12, which is c + d
    assert sum(box.note == "holds 3 scalars" for box in boxes) == 1  # (shared + product) + (c + d)


def test_a_folded_picture_shows_where_constants_come_in():
    x = [ag.Value(float(i)) for i in range(20)]
    y = ag.sum([ag.where(v, 3.0, v) * (i + 2.0) for i, v in enumerate(x)])
    model = ag.draw(y, fold=True).diagram
    numbers = {box.f: i for i, box in enumerate(model.boxes) if box.kind == "constant"}
    assert set(numbers) == {(3.0, 3.0), (2.0, 21.0)}
    assert sorted(edge.source for edge in model.edges if edge.constant) == sorted(numbers.values())
    assert all(edge.count == 20 for edge in model.edges if edge.constant)


def test_sums_as_units():
    """A tree of additions is one unit: without the 0 of a running sum, with every other constant."""
    x, y = ag.Value(2.0), ag.Value(3.0)
    for root, op, count, size in (
        (x + y, "add", 2, 1),
        (sum([x, y]), "sum", 2, 2),
        (1.0 + x + y, "sum", 3, 2),
        (1.0 + x, "add", 2, 1),
        (x * y + x + 0.5 * y, "sum", 3, 4),
        (ag.sum([x, y, 1.0]) + x, "sum", 4, 2),
    ):
        graph = Units(toposort(root), [root])
        scan, terms, last = graph.scan, graph.terms, graph.scan.count - 1
        mine = terms.root == last
        assert (graph.op(last), mine.sum(), graph.size[last]) == (op, count, size)
        numbers = np.append(scan.numbers, 1.0)  # the last is where y = -1 looks
        assert (numbers[terms.x[mine]] * numbers[terms.y[mine]]).sum() == root.item()


def test_the_operands_of_a_dot_product_in_a_unit():
    x, w, b = ([ag.Value(v) for v in some] for some in ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0,)))
    root = ag.dot(x, w, bias=b[0])
    assert Units(toposort(root), [root]).operands.role.tolist() == [grouped.X] * 6 + [grouped.BIAS]
    assert Units(toposort(root), [root]).operands.first.tolist()[:6] == [True] * 3 + [False] * 3
    roots = [ag.dot(x, w), ag.dot(w, x), ag.dot(x[::-1], w), ag.dot(x, x)]
    scan = Scan(roots, (), [x])
    found, made = classes(scan, Terms(scan, scan.roots, None, grouped.SUMS, grouped.PRODUCTS), scan.source, 3)
    assert found[scan.roots].tolist() == [3, 3, 3, 4]
    assert [what.name for what in made] == ["dot", "dot"]


def test_the_order_of_factors_and_the_exponents_of_powers():
    """w * x and x * w are one thing, x**2 and x**3 are two, in a picture and in a program."""
    w = [ag.Parameter(0.1 * i + 0.5, name=f"w[{i}]") for i in range(20)]
    x = [ag.Value(0.2 * i, name=f"x[{i}]") for i in range(20)]
    products = [a * b if i % 2 else b * a for i, (a, b) in enumerate(zip(w, x, strict=True))]
    root = ag.sum([ag.tanh(p) for p in products] + [v**2 for v in x] + [v**3 for v in x])
    made = ag.draw(root, fold=True).diagram
    boxes = [(box.symbol, box.count) for box in made.boxes if box.kind == "op"]
    assert sorted(boxes) == [("*", 20), ("**", 20), ("**", 20), ("tanh", 20), ("Σ a", 1)]
    times = next(i for i, box in enumerate(made.boxes) if box.symbol == "*")
    into = [edge for edge in made.edges if edge.target == times]
    assert [edge.count for edge in into] == [20, 20]  # and not four arrows of ten
    assert {made.boxes[edge.source].kind for edge in into} == {"parameter", "input"}
    made = ag.fold(root, inputs=[x]).plan(False).instructions
    ops = [(name(i), i.size) for i in made if not isinstance(i, (Leaf, Sum))]
    assert sorted(ops) == [("mul", 20), ("pow", 20), ("pow", 20), ("tanh", 20)]


# --- the picture and the program are the same fold ----------------------------------------------------------


def moons_with_dots():
    model = ag.MLP(2, [5, 4, 1], activation="relu", seed=1)
    points = [[math.sin(k), math.cos(2.0 * k)] for k in range(12)]
    losses = [ag.relu(1.0 - (1.0 if k % 2 else -1.0) * model(p)) for k, p in enumerate(points)]
    return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())


def moons_with_plus_and_times():
    rng = random.Random(0)
    layers = [
        [[ag.Parameter(rng.gauss(0, 1)) for _ in range(a + 1)] for _ in range(b)] for a, b in [(2, 5), (5, 4), (4, 1)]
    ]

    def model(h):
        for layer in layers:
            h = [ag.relu(sum((a * b for a, b in zip(w[:-1], h, strict=True)), w[-1])) for w in layer]
        return h[0]

    losses = [(1 + (-1.0) ** k * model([ag.Value(math.sin(k)), ag.Value(math.cos(k))])).relu() for k in range(12)]
    return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for layer in layers for w in layer for p in w)


def gpt_on_a_word():
    from examples.scalar_gpt import END, GPT

    return GPT().loss([END, *(ord(c) - 97 for c in "ava"), END])


def mlp_with_cross_entropy():
    model = ag.MLP(3, [4, 3], activation="tanh", seed=2)
    points = [[math.sin(k + j) for j in range(3)] for k in range(9)]
    return ag.mean([ag.losses.cross_entropy(model(p), k % 3) for k, p in enumerate(points)])


def rnn_of_200_steps():
    w, u, h = ag.Parameter(0.5), ag.Parameter(0.3), ag.Value(0.1)
    for k in range(200):
        with ag.scope(f"step {k}"):
            h = ag.tanh(w * h + u * math.sin(k) + 0.1)
    return h * h


def rosenbrock():
    x = [ag.Parameter(0.1 * k - 1.0) for k in range(30)]
    return ag.sum([100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in pairwise(x)])


def black_scholes():
    def price(spot, strike, time, rate, volatility):
        spread = volatility * ag.sqrt(time)
        d1 = (ag.log(spot / strike) + (rate + 0.5 * volatility * volatility) * time) / spread
        below = lambda d: 0.5 * ag.erfc(-d * 0.7071067811865476)  # noqa: E731
        return spot * below(d1) - strike * ag.exp(-rate * time) * below(d1 - spread)

    return ag.mean([price(*(ag.Value(v + 0.01 * k) for v in (100.0, 95.0, 1.0, 0.02, 0.3))) for k in range(8)])


def dots_inside_sums():
    w, x = [ag.Parameter(0.1 * k) for k in range(12)], [ag.Value(0.2 * k) for k in range(12)]
    outs = [ag.dot(w[k : k + 3], x[k : k + 3]) + ag.dot(w[:2], x[k : k + 2], bias=w[k]) + w[k] * x[0] for k in range(8)]
    return ag.sum([ag.tanh(out + 1.0) for out in outs])


def a_gradient_of_a_gradient():
    model = ag.MLP(2, [3, 1], activation="tanh", seed=4)
    loss = ag.sum([model([0.1 * k, 1.0 - 0.2 * k]) ** 2 for k in range(5)])
    slopes = ag.gradients(loss, model.parameters(), create_graph=True)
    return ag.sum([slope * slope for slope in slopes])


def ragged_sums_and_sequences():
    w = [ag.Parameter(math.sin(k)) for k in range(20)]
    outs = [ag.tanh(sum(w[j] * w[k - j] for j in range(k))) for k in range(2, 12)]
    outs += [f(w[k : k + 2 + k % 3]) for k in range(9) for f in (ag.max, ag.norm, ag.prod, ag.logsumexp, ag.mean)]
    return ag.sum(outs)


EXAMPLES = [
    moons_with_dots, moons_with_plus_and_times, gpt_on_a_word, mlp_with_cross_entropy, rnn_of_200_steps, rosenbrock,
    black_scholes, dots_inside_sums, a_gradient_of_a_gradient, ragged_sums_and_sequences,
]  # fmt: skip


def both_folds(root):
    """A picture's units, and the terms and classes of the program whose inputs are the picture's."""
    order = toposort(root)
    graph = Units(order, [root])
    inputs = [x for x in order if kind(x) == "input"]
    scan = Scan([root], None, [inputs])
    terms, of, _ = build.grouped(scan)
    return graph, scan, terms, of


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_the_classes_of_a_picture_are_those_of_the_program(make):
    """Without frames and kept nodes they are the same ones, with them they are finer."""
    graph, scan, terms, of = both_folds(make())
    kinds = graph.own_kind.copy()
    kinds[scan.roots] = 0
    mine = Terms(graph.scan, graph.scan.roots, None, grouped.SUMS, grouped.PRODUCTS)
    alike, _ = classes(graph.scan, mine, kinds, len(KINDS))
    both = np.flatnonzero(~mine.absorbed & ~terms.absorbed)
    pairs = set(zip(alike[both].tolist(), of[both].tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    # What has a box and no instruction of its own: a dot product or a product of an adjoint that a sum takes in.
    one = np.flatnonzero(mine.absorbed != terms.absorbed)
    assert not mine.absorbed[one].any()
    assert {scan.nodes[i].op for i in one} <= {"dot", "_chain", "_masked", "add", "sum", "mul"}
    deepest = max(map(len, graph.path.values()))
    for depth in range(deepest + 1):
        finer, _ = classes(graph.scan, graph.terms, *graph.labels(depth))
        both = np.flatnonzero(~graph.terms.absorbed & ~terms.absorbed)
        pairs = set(zip(finer[both].tolist(), of[both].tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs})


def test_a_fold_that_asks_the_same_is_the_same():
    """Of the two nothing differs but what is asked: a picture's questions, asked as a program, give the program."""
    for make in EXAMPLES:
        graph, scan, terms, of = both_folds(make())
        found, _ = classes(graph.scan, Terms(graph.scan, graph.scan.roots), scan.source, len(scan.leaf_sizes))
        assert np.array_equal(found[terms.units], of[terms.units])


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_a_class_knows_its_line_and_an_instruction_its_class(make):
    scan = Scan([make()], None, ())
    built = build.build(scan)
    instructions = built.builder.instructions
    assert len(built.class_of) == len(instructions)
    assert sorted(built.class_of) == built.class_of
    program = ag.fold(scan.nodes[-1])
    printed = program.plan().instructions
    number_of = build.lines(built)
    assert len(number_of) >= len(set(built.classes[terms_units(scan)].tolist()))
    for k, number in number_of.items():
        x = instructions[look_through(instructions, built.refs[k]).source]
        assert (*operation(x), x.size) == (*operation(printed[number]), printed[number].size)
    # The numbers of a line are those of its nodes, in a loop those of all steps.
    chosen = sorted(number_of)[:40]
    found = prepare(plan(instructions, [Ref(built.refs[k].source, None) for k in chosen]))(
        Leaves(np.array([p.item() for p in scan.params]), scan.constants), None
    )
    for k, lanes in zip(chosen, found, strict=True):
        line = [other for other, number in number_of.items() if number == number_of[k]]
        nodes = terms_units(scan)[np.isin(built.classes[terms_units(scan)], line)]
        if len(nodes):
            numbers = scan.numbers[nodes]
            assert np.allclose([lanes.min(), lanes.max()], [numbers.min(), numbers.max()], rtol=1e-12, atol=1e-15)


def terms_units(scan):
    return Terms(scan, scan.roots).units


def test_a_box_names_its_line():
    root = moons_with_plus_and_times()
    program = ag.fold(root)
    listed = {line.split()[0]: line for line in str(program).splitlines()}
    boxes = [box for box in ag.draw(root, fold=True).diagram.boxes if box.kind == "op"]
    for box in boxes:
        if "line %" in box.about:
            line = listed[box.about.rpartition("line ")[2].split()[0]]
            name = {"Σ": "sum", "*": "mul", "-": "neg"}.get(box.symbol.split()[0], box.symbol)
            assert line.split()[2] == name, (box.about, line)
            assert box.about.endswith("of print(program)")
    assert sum("line %" in box.about for box in boxes) == len(boxes)
    steps = ag.draw(rnn_of_200_steps(), fold=True).diagram.boxes
    assert not any("line %" in box.about for box in steps)  # a box of many instructions, of which few are listed


def test_a_small_picture_needs_no_numpy():
    program = (
        "import sys, autograd_lite as ag; x = ag.Value(2.0, name='x');"
        "ag.draw(x * x + 1.0).svg; ag.draw(x * x, depth=0).svg; assert 'numpy' not in sys.modules;"
        "ag.draw(ag.sum([ag.sin(x) for _ in range(99)])).svg; assert 'numpy' in sys.modules"
    )
    plain = {key: x for key, x in os.environ.items() if not key.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=plain)
    assert done.returncode == 0, done.stderr
