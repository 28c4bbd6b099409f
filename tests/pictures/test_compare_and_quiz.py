"""Two graphs in one picture, and a picture with blanks."""

import re

import pytest

import autograd_lite as ag
from autograd_lite.engine import graph
from autograd_lite.engine.backward import adjoints
from tests.helpers.graphs import HOSTILE, hostile_graph, network, random_graph, reused, scalar_network, slides
from tests.helpers.pictures import groups, parsed, texts


def line(w, x=2.0):
    loss = (w * ag.Value(x, name="x") - 1.0) ** 2
    loss.name = "loss"
    return loss


def after_a_step():
    w = ag.Parameter(3.0, name="w")
    optimizer = ag.optim.SGD([w], lr=0.05)
    first = line(w)
    first.backward()
    before = ag.draw(first)
    optimizer.step()
    optimizer.zero_grad()
    second = line(w)
    second.backward()
    return first, before, second


def test_a_training_step_shows_what_changed_and_by_how_much():
    _, before, second = after_a_step()
    picture = ag.draw(second, compare=before)
    boxes = {b.title: [text for part, text in b.lines if part != "rule"] for b in picture.diagram.boxes if b.title}
    assert boxes["w"] == ["f = 3 → 2", "g = 20 → 12", "f by -1"]
    assert boxes["loss"] == ["f = 25 → 9", "g = 1", "f by -16"]
    assert boxes["x"] == ["f = 2", "g = 30 → 12"]
    labels = [text for edge in groups(parsed(picture), "edge") for text in texts(edge, "local")]
    assert labels.count("10 → 6") == 1
    assert picture.diagram.note == "4 of 5 forward values changed, before → now. loss by -16."
    assert "3 → 2" in picture.dot


def test_two_graphs_of_one_shape():
    one, other = line(ag.Value(1.0, name="w")), line(ag.Value(4.0, name="w"))
    assert "f = 1 → 4" in ag.draw(other, compare=one).svg
    assert ag.draw(one, compare=one).diagram.boxes == ag.draw(one).diagram.boxes


def test_folded_graphs_compare_too():
    before = ag.draw(scalar_network(examples=4))
    picture = ag.draw(scalar_network(examples=4), compare=before)
    assert picture.diagram.note.startswith("0 of ")
    model = ag.MLP(2, [8, 8, 1], activation="tanh", seed=0)
    optimizer = ag.optim.SGD(model.parameters(), lr=0.1)
    loss = ag.losses.hinge(model([0.5, 1.0]), -1)
    loss.backward()
    before = ag.draw(loss, depth=1)
    optimizer.step()
    now = ag.draw(ag.losses.hinge(model([0.5, 1.0]), -1), depth=1, compare=before)
    assert " → " in next(box for box in now.diagram.boxes if box.title == "layer 0").lines[0][1]


def test_a_folded_comparison_counts_boxes_and_says_that_it_is_folded():
    model = ag.MLP(2, [16, 16, 1], activation="tanh", seed=0)
    before = ag.draw(ag.losses.hinge(model([0.5, 1.0]), -1))
    for p in model.parameters():
        p.data *= 0.9
    note = ag.draw(ag.losses.hinge(model([0.5, 1.0]), -1), compare=before).diagram.note
    boxes = [box for box in before.diagram.boxes if not box.literal]
    assert re.match(rf"\d+ of {len(boxes)} boxes changed, before → now\.", note)
    assert before.diagram.note in note


def test_what_an_explained_picture_cannot_show_is_refused():
    x, y = ag.Value(1.0), ag.Value(2.0)
    with pytest.raises(ValueError, match=r"draw: explain .* takes no compare; leave one out"):
        ag.draw(x * y, compare=ag.draw(x * y), explain=x)
    with pytest.raises(ValueError, match=r"draw: explain .* takes no depth; leave one out"):
        ag.draw(x * y, depth=0, explain=x)


def test_graphs_that_cannot_be_compared_are_refused():
    first, _, second = after_a_step()
    with pytest.raises(ValueError, match=r"a leaf under .* has been changed since.*give compare=before"):
        ag.draw(second, compare=first)
    with pytest.raises(ValueError, match="the graphs differ, 11 boxes before and 7 now"):
        ag.draw(second, compare=slides())
    a, b = ag.Value(1.0, name="a"), ag.Value(2.0, name="b")
    with pytest.raises(ValueError, match=r"the graphs differ, v3 \(\*\) before is v3 \(\+\) now"):
        ag.draw(a + b, compare=a * b)
    with pytest.raises(ValueError, match="not the same edges"):
        ag.draw((a + b) - a, compare=(a + b) - b)
    with pytest.raises(TypeError, match=r"compare must be a Value or a Picture, got float 1\.0"):
        ag.draw(a + b, compare=1.0)


# --- the quiz ---------------------------------------------------------------------------------------------------


def answers(loss, hide):
    """The right answers, in the order in which the blanks are asked for."""
    order, g = graph.toposort(loss), adjoints(loss)
    if hide == "f":
        return [node.data for node in order if not node.is_leaf]
    if hide == "g":
        return [g[node] for node in order[:-1]]
    return [
        d
        for node in order
        for x, d in zip(graph.raw_operands(node), node.local_grads, strict=True)
        if not isinstance(x, float)
    ]


@pytest.mark.parametrize("hide", ["f", "g", "local"])
@pytest.mark.parametrize("loss", [slides(), reused(), network(), *map(random_graph, range(3))], ids=lambda v: v.op)
def test_right_answers_are_right_and_others_are_not(loss, hide):
    quiz = ag.quiz(loss, hide)
    right = dict(zip(quiz.blanks, answers(loss, hide), strict=True))
    assert set(quiz.check(right).values()) == {True}
    assert set(quiz.check({letter: x + 0.1 + abs(x) for letter, x in right.items()}).values()) == {False}


@pytest.mark.parametrize("hide", ["f", "g", "local"])
def test_the_sheet_shows_blanks_and_the_solution_shows_the_numbers(hide):
    loss = slides()
    quiz = ag.quiz(loss, hide)
    root, solved = parsed(quiz.picture), parsed(quiz.solution())
    asked = [text for text in texts(root, hide) if text.endswith("?")]
    assert len(asked) == len(quiz.blanks)
    assert not any(text.endswith("?") for text in texts(solved, hide))
    left = {"f": 6, "g": 1, "local": 0}[hide]  # the leaves and the literal; the root
    assert len(texts(root, hide)) - len(asked) == left


def test_nothing_gives_the_answer_away():
    a = ag.Value(1.7, name="a")
    loss = ag.tanh(a * 3.1)
    for hide, number in (("f", "0.9999"), ("g", "0.0003"), ("local", "3.1e")):
        quiz = ag.quiz(loss, hide)
        everything = quiz.picture.svg + quiz.picture.dot + quiz.picture.html + repr(quiz) + repr(quiz.picture)
        assert number not in re.sub(r'id="[^"]*"', "", everything)
    assert "d(v3)/d(v2) =" not in ag.quiz(loss, "local").picture.svg


def test_one_seed_one_sheet():
    sheets = [list(ag.quiz(slides(), count=3, seed=seed).blanks.values()) for seed in (1, 1, 2, 3, 4)]
    assert sheets[0] == sheets[1]
    assert len({tuple(sheet) for sheet in sheets}) > 1
    assert all(len(sheet) == 3 for sheet in sheets)


def test_hints_name_the_rule():
    quiz = ag.quiz(slides(), "local")
    letter = next(letter for letter, question in quiz.blanks.items() if question == "∂v3/∂w₁")
    assert quiz.hint(letter) == "product: ∂v3/∂w₁ = φ₁, with φ₁ = 1"
    quiz = ag.quiz(reused())
    letter = next(letter for letter, question in quiz.blanks.items() if question == "g(a)")
    assert quiz.hint(letter).count(" + g(") == 3  # it is used four times
    assert ag.quiz(reused(), "f").hint("B").startswith("v3 = ") or "=" in ag.quiz(reused(), "f").hint("B")


def test_answers_to_three_digits_and_special_ones():
    x = ag.Value(0.0, name="x")
    quiz = ag.quiz(1.0 / x, "f")
    assert quiz.check(A=float("inf")) == {"A": True}
    quiz = ag.quiz(ag.Value(3.0) * 0.12345, "f")
    assert quiz.check(A=0.370) == {"A": True}
    assert quiz.check(A=0.38) == {"A": False}


def test_misuse_of_a_quiz():
    loss = slides()
    with pytest.raises(TypeError, match="quiz: expected a Value"):
        ag.quiz([loss])
    with pytest.raises(ValueError, match="hide must be 'f', 'g', 'local', 'update' or 'mistake'"):
        ag.quiz(loss, "h")
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        ag.quiz(loss, count=0)
    with pytest.raises(TypeError, match="count must be a whole number"):
        ag.quiz(loss, count=1.5)
    with pytest.raises(ValueError, match="boxes are too many for a sheet"):
        ag.quiz(scalar_network(examples=1))
    with pytest.raises(ValueError, match="it is a leaf"):
        ag.quiz(ag.Value(1.0))
    with pytest.raises(KeyError, match="there is no blank str 'Z'; they are A to I"):
        ag.quiz(loss).check(Z=1.0)
    with pytest.raises(TypeError, match="the answer A"):
        ag.quiz(loss).check(A="6")


def test_a_quiz_of_numbers_that_have_changed_is_refused():
    w = ag.Parameter(3.0, name="w")
    loss = w * 2.0
    w.data = 4.0
    with pytest.raises(ValueError, match=r"quiz: the data of a leaf under Value\(6.*\) has changed since; compute"):
        ag.quiz(loss)
    assert ag.quiz(w * 2.0).check(A=2.0) == {"A": True}


def test_saving_a_quiz_writes_the_sheet(tmp_path):
    quiz = ag.quiz(slides(), "f")
    path = quiz.save(tmp_path / "sheet.svg")
    assert path.read_text(encoding="utf-8") == quiz.picture.still != quiz.solution().still


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_quiz_and_comparison(name):
    loss = hostile_graph(HOSTILE[name])
    quiz = ag.quiz(loss)
    assert "<b>" not in parsed(quiz.picture).tag + quiz.picture.svg
    (repr(quiz) + quiz.hint("A")).encode("utf-8")
    parsed(ag.draw(loss, compare=ag.draw(loss)))


def test_answers_that_are_no_dict():
    with pytest.raises(TypeError, match=r"quiz: answers must be a dict by letter, such as \{'A': 6\}, got list"):
        ag.quiz(ag.Value(1.0) * 2).check([1.0])
