"""What may share an instruction, and what may not: small programs whose lanes are easily confused."""

import math
from itertools import product

import pytest

import autograd_lite as ag
from autograd_lite.engine.graph import toposort
from autograd_lite.folding.classes import classes, units

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
    """a - b with a from one leaf array and b from another is no lane of b - a."""
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
    for root, op, terms, size in (
        (x + y, "add", 2, 1),
        (sum([x, y]), "sum", 2, 2),
        (1.0 + x + y, "sum", 3, 2),
        (1.0 + x, "add", 2, 1),
        (x * y + x + 0.5 * y, "sum", 3, 4),
        (ag.sum([x, y, 1.0]) + x, "sum", 4, 2),
    ):
        unit = units(toposort(root))[-1]
        assert (unit.op, len(unit.terms), unit.size) == (op, terms, size)
        assert sum(math.prod(unit.operands[i].number for i in term) for term in unit.terms) == root.item()


def test_the_operands_of_a_dot_product_in_a_unit():
    x, w, b = ([ag.Value(v) for v in some] for some in ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0,)))
    roles = [slot.role for slot in units(toposort(ag.dot(x, w, bias=b[0])))[-1].operands]
    assert roles == ["x"] * 3 + ["y"] * 3 + ["bias"]
    graph = units(toposort(ag.dot(x, w), ag.dot(w, x), ag.dot(x[::-1], w)))
    kinds = ["x" if unit.node in x else "w" for unit in graph]
    assert classes(graph, kinds)[-3:] == [2, 3, 2]
