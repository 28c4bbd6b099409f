"""ag.draw(program) and print(program): the instructions as boxes and as lines."""

import random
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.folding.instructions import Sum
from autograd_lite.folding.printing import Repeat, name, repeats
from autograd_lite.folding.reverse import sources


def moons_like():
    model = ag.MLP(2, [8, 1], activation="relu", seed=1)
    loss = ag.sum([ag.relu(1.0 - model([0.01 * k, 1.0 - 0.02 * k])) for k in range(20)])
    return ag.fold(loss, params=model.parameters())


def recurrence(steps, w=None):
    w = [ag.Parameter(0.3), ag.Parameter(0.5)] if w is None else w
    h = w[0]
    for _ in range(steps):
        h = ag.tanh(h * w[1] + 0.1)
    return ag.fold(h, params=w)


def says(picture):
    return [" ".join([box.title, box.symbol, *(text for _, text in box.lines)]) for box in picture.diagram.boxes]


def test_a_box_an_instruction():
    program = moons_like()
    picture = ag.draw(program)
    plan = program.plan()
    assert len(picture.diagram.boxes) == len(plan.instructions)
    assert sum("matmul" in text for text in says(picture)) == sum(
        isinstance(x, Sum) and any(form.what == "matmul" for part in x.parts for form in part.forms)
        for x in plan.instructions
    )
    assert any("relu" in text and "160 lanes" in text for text in says(picture))
    assert str(program) == repr(picture)


def test_forward_and_backward_are_told_apart_and_the_result_is_on_top():
    picture = ag.draw(moons_like())
    kinds = {box.kind for box in picture.diagram.boxes}
    assert {"parameter", "constant", "op", "backward"} <= kinds
    assert [frame.title for frame in picture.diagram.frames] == ["forward", "backward"]
    ends = {box.lines[-1][1]: i for i, box in enumerate(picture.diagram.boxes) if box.root}
    assert set(ends) == {"the result", "the gradient"}
    boxes = [group for group in picture.scene.elements if group.kind.startswith("box")]
    tops = [group.shapes[0].y for group in boxes]
    forward = [tops[i] for i, box in enumerate(picture.diagram.boxes) if box.frame == 0]
    backward = [tops[i] for i, box in enumerate(picture.diagram.boxes) if box.frame == 1]
    assert tops[ends["the result"]] == min(forward)
    assert tops[ends["the gradient"]] == max(backward)
    for edge in picture.diagram.edges:  # up to the result, down to the gradient
        source, target = (picture.diagram.boxes[i] for i in (edge.source, edge.target))
        if source.frame == target.frame == 0:
            assert tops[edge.source] > tops[edge.target]
        if source.frame is not None and target.frame == 1:
            assert tops[edge.source] < tops[edge.target]


@pytest.mark.parametrize(
    ("steps", "counted", "printed"),
    [
        (15, "more of this shape", "more of this shape"),  # too few for a loop
        (40, "40 times loop of 40 steps", "loop of 40 steps:"),
        (3000, "3,000 times loop of 3,000 steps, the last one first", "loop of 3,000 steps, the last one first:"),
    ],
)
def test_steps_that_repeat_are_counted(steps, counted, printed):
    program = recurrence(steps)
    picture = ag.draw(program, fold=True if steps == 15 else None)
    assert len(picture.diagram.boxes) <= 30
    assert any(counted in text for text in says(picture))
    assert sum(box.count for box in picture.diagram.boxes) == len(program.plan().instructions)
    assert printed in str(program)
    assert len(str(program).splitlines()) < 40
    assert max(map(len, str(program).splitlines())) < 600


def test_neighbours_share_a_box_where_there_are_many():
    rng = np.random.default_rng(0)
    w = [ag.Parameter(0.1 * k + 0.2) for k in range(4)]
    h = list(w)
    for _ in range(30):
        f = [ag.sin, ag.exp, ag.tanh, ag.atan, ag.cosh][rng.integers(5)]
        h = [f(x * 0.3) for x in h]
    program = ag.fold(ag.sum(h), params=w)
    assert len(program.plan().instructions) > 60
    picture = ag.draw(program)
    assert len(picture.diagram.boxes) <= 60
    assert any("steps" in box.symbol for box in picture.diagram.boxes)
    assert sum(box.count for box in picture.diagram.boxes) == len(program.plan().instructions)
    assert len(ag.draw(program, fold=False).diagram.boxes) == len(program.plan().instructions)
    for _ in range(3000):
        h = [[ag.sin, ag.exp, ag.tanh, ag.atan, ag.cosh][rng.integers(5)](h[0] * 0.3)]
    with pytest.raises(ValueError, match="more than fold=False draws"):
        ag.draw(ag.fold(h[0], params=w), fold=False)


def test_a_loop_is_one_box_and_its_instructions_are_boxes_if_asked():
    program = recurrence(100)
    picture = ag.draw(program)
    loops = [box for box in picture.diagram.boxes if box.symbol == "100 times"]
    assert [box.kind for box in loops] == ["backward", "op"]
    assert any(edge.source == edge.target for edge in picture.diagram.edges)
    every = ag.draw(program, fold=False)
    assert len(every.diagram.boxes) == len(program.plan().instructions)
    assert any("carry" in text and "at first" in text for text in says(every))
    assert len(every.svg) > 1000


@pytest.mark.parametrize("direction", ["BT", "LR"])
def test_every_form(direction, tmp_path):
    evil = ag.primitive("evil_drawn", lambda a: a + 1.0, lambda a: 1.0, symbol='<b>"]; }\ud800')
    w = [ag.Parameter(0.5), ag.Parameter(1.5)]
    program = ag.fold(ag.sum([evil(x) * x for x in w]), params=w)
    picture = ag.draw(program, direction=direction)
    root = ET.fromstring(picture.svg)
    assert '<b>"]; }\\ud800' in "".join(root.itertext())
    assert "&lt;b&gt;" in picture.dot
    for form in ("svg", "dot", "html", "png"):
        assert picture.save(tmp_path / f"p.{form}").stat().st_size > 500
    again = ag.draw(program, direction=direction)
    assert again.diagram == picture.diagram
    assert again.svg.replace(again.prefix, "") == picture.svg.replace(picture.prefix, "")
    ids = [part.get("id") for part in root.iter() if part.get("id")]
    assert len(ids) == len(set(ids))


def test_a_compiled_function_shows_what_it_ran_last():
    model = ag.MLP(2, [3, 1], activation="tanh", seed=0)
    loss = ag.compile(lambda x, y: (model(x) - y) ** 2, params=model, batch=True)
    with pytest.raises(RuntimeError, match="traced at its first call"):
        ag.draw(loss)
    loss([[0.0, 1.0], [1.0, 2.0]], [0.0, 1.0])
    picture = ag.draw(loss)
    assert any("3 x rows" in text for text in says(picture))
    assert any(box.title == "input 0" for box in picture.diagram.boxes)


def test_without_a_gradient_there_is_one_frame_less():
    x = ag.Value(2.0)
    picture = ag.draw(ag.fold([ag.sin(x), ag.cos(x)]))
    assert picture.diagram.frames == ()
    assert any("result 1" in text for text in says(picture))


def test_what_a_program_has_not_is_refused():
    program = recurrence(2)
    w = ag.Parameter(1.0)
    for options in ({"depth": 1}, {"explain": w}, {"compare": w}):
        with pytest.raises(TypeError, match=f"draw: {next(iter(options))}"):
            ag.draw(program, **options)
    with pytest.raises(ValueError, match="direction"):
        ag.draw(program, direction="TB")


def test_instructions_of_many_kinds_share_a_box_by_what_they_do():
    rng = random.Random(0)
    functions = [ag.sin, ag.exp, ag.tanh, ag.atan, ag.cosh, ag.sigmoid, ag.relu, ag.softplus]
    w = [ag.Parameter(0.1 * k + 0.2) for k in range(4)]
    h = w
    for _ in range(30):  # layers of 2 to 5 lanes, each unit of 2 to 4 of those before
        f, taken = rng.choice(functions), h[: rng.randrange(2, 5)]
        h = [f(ag.sum([x * (0.1 * rng.randrange(1, 4)) for x in taken])) for _ in range(rng.randrange(2, 6))]
    program = ag.fold(ag.sum(h), params=w)
    plan = program.plan()
    picture = ag.draw(program)
    assert len(plan.instructions) > 140
    assert len(picture.diagram.boxes) <= 30
    assert sum(box.count for box in picture.diagram.boxes) == len(plan.instructions)
    tanhs = [x for x in plan.instructions if name(x) == "tanh"]
    assert [box.count for box in picture.diagram.boxes if box.symbol == "tanh"] == [len(tanhs)]


def test_a_number_that_the_gradient_alone_takes_is_a_leaf_of_neither_frame():
    w = ag.Parameter(0.5)
    model = ag.draw(ag.fold(w + 0.0, params=[w])).diagram
    assert [(box.title, box.frame) for box in model.boxes if box.title == "numbers"] == [("numbers", None)]


def test_runs_lie_apart():
    assert repeats("ab" * 10 + "c" * 30) == [Repeat(0, 2, 10), Repeat(20, 1, 30)]
    assert repeats("abcdefgh") == []
    assert repeats("") == []


def squared(sizes, activation):
    model = ag.MLP(2, sizes, activation=activation, seed=0)
    return ag.compile(lambda a, y: (model([a, a]) - y) ** 2, batch=True)


def hinged():
    model = ag.MLP(2, [4, 1], activation="tanh", seed=1)
    return ag.compile(lambda a, y: ag.losses.hinge(model([a, 0.5]), y), batch=True)


def one_product():
    w = ag.Parameter(3.0)
    return ag.compile(lambda a, y: a * w, batch=True)


def looked_up():
    table = [ag.Parameter(0.1 * i) for i in range(4)]
    return ag.compile(lambda k, y: (ag.lookup(table, k) - y) ** 2, batch=True)


BATCHED = {
    "one product": one_product,
    "a network": hinged,
    "its squared loss": lambda: squared([4, 1], "tanh"),
    "two layers": lambda: squared([16, 16, 1], "relu"),
    "a lookup": looked_up,
}


@pytest.mark.parametrize("direction", ["BT", "LR"])
@pytest.mark.parametrize("make", BATCHED.values(), ids=BATCHED.keys())
def test_a_program_on_a_batch_stays_in_its_frames_and_on_the_page(make, direction):
    program = make()
    program([1.0, 2.0, 0.0], [1.0, 2.0, 0.0])
    picture = ag.draw(program, direction=direction)
    groups = picture.scene.elements
    frames = [group.shapes[0] for group in groups if group.kind == "frame"]
    boxes = [group.shapes[0] for group in groups if group.kind.startswith("box")]
    assert "1 / rows" in [box.title for box in picture.diagram.boxes]
    for i, (box, at) in enumerate(zip(picture.diagram.boxes, boxes, strict=True)):
        for n, frame in enumerate(frames):
            across = min(at.x + at.width, frame.x + frame.width) - max(at.x, frame.x)
            down = min(at.y + at.height, frame.y + frame.height) - max(at.y, frame.y)
            if box.frame == n:
                assert (across, down) == pytest.approx((at.width, at.height))
            else:
                assert min(across, down) < 0.5
        for other in boxes[:i]:
            across = min(at.x + at.width, other.x + other.width) - max(at.x, other.x)
            assert min(across, min(at.y + at.height, other.y + other.height) - max(at.y, other.y)) < 0.5
    curves = [shape for group in groups for shape in group.shapes if hasattr(shape, "points")]
    assert curves
    for curve in curves:
        for x, y in curve.points:
            assert 0.0 <= x <= picture.scene.width
            assert 0.0 <= y <= picture.scene.height


def test_a_leaf_says_which_boxes_take_it_without_an_arrow():
    model = ag.MLP(2, [4, 1], activation="tanh", seed=1)
    program = ag.compile(lambda x, y: ag.losses.hinge(model(x), y), params=model, batch=True)
    program([[0.5, -1.0], [2.0, 0.3]], [1.0, -1.0])
    picture = ag.draw(program)
    at, box = next((i, box) for i, box in enumerate(picture.diagram.boxes) if box.title == "constants")
    assert not any(edge.source == at for edge in picture.diagram.edges)
    taking = [f"%{k}" for k, x in enumerate(program.plan().instructions) if 3 in sources(x)]
    assert box.lines[-1] == ("note", f"used by {', '.join(taking)}")
    notes = [text for box in ag.draw(moons_like()).diagram.boxes for _, text in box.lines if "used by" in text]
    assert any(text.startswith("also used by %") for text in notes)


def test_a_function_that_was_never_called_cannot_be_drawn():
    with pytest.raises(RuntimeError, match="draw: the function is traced at its first call; call it once"):
        ag.draw(ag.compile(lambda x: x * x))
