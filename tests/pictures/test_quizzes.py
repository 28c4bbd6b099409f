"""Exercises: levels, what gives an answer away, the page with its fields, sheets for a class, files for others."""

import json
import math
import re
import xml.etree.ElementTree as ET

import pytest

import autograd_lite as ag
from autograd_lite.engine import graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.pictures.exercises import with_other_numbers
from autograd_lite.pictures.quizzes import HIDE, veiled
from autograd_lite.pictures.steps import indices
from tests.helpers.graphs import HOSTILE, hostile_graph, random_graph, reused, slides
from tests.helpers.pictures import opened, parsed, texts


def unit(number=1.7):
    """A unit with numbers that occur nowhere but where they are computed."""
    w, b = ag.Parameter(number, name="w"), ag.Parameter(-0.37, name="b")
    x, t = ag.Value(0.83, name="x"), ag.Value(0.29, name="t")
    return (ag.tanh(w * x + b) - t) ** 2


def numbers_in(picture):
    """Everything that a picture says: its numbers as text."""
    return re.sub(r'(?:id|x|y|d|width|height|rx|viewBox|font-size|points|style|stroke-width|r|cx|cy)="[^"]*"', "",
                  picture.svg + picture.dot)  # fmt: skip


# --- levels


@pytest.mark.parametrize("hide", HIDE)
@pytest.mark.parametrize("make", [slides, unit, reused, lambda: random_graph(1)])
def test_the_answers_are_right_and_others_are_not(hide, make):
    loss = make()
    if hide == "update" and not any(isinstance(x, ag.Parameter) for x in graph.toposort(loss)):
        with pytest.raises(ValueError, match="there is no Parameter in this graph that a step could change"):
            ag.quiz(loss, hide)
        return
    quiz = ag.quiz(loss, hide)
    assert list(quiz.answers) == list(quiz.blanks)
    assert all(quiz.check(quiz.answers).values())
    other = {k: "ZZ" if isinstance(x, str) else x + abs(x) + 0.1 for k, x in quiz.answers.items()}
    assert not any(quiz.check(other).values())
    for letter in quiz.blanks:
        assert quiz.hint(letter)
        assert quiz.working(letter)


def test_the_step_is_that_of_gradient_descent():
    loss = unit()
    quiz = ag.quiz(loss, "update", lr=0.25)
    w, b = (x for x in graph.toposort(loss) if isinstance(x, ag.Parameter))
    g = adjoints(loss)
    assert quiz.answers == {"A": w.data - 0.25 * g[w], "B": b.data - 0.25 * g[b]}
    assert quiz.task == "Take one step, w ← w − lr·g(w), with lr = 0.25."
    assert "after the step: A ?" in quiz.picture.svg


@pytest.mark.parametrize("seed", range(12))
def test_a_planted_mistake_is_the_first_box_whose_g_does_not_follow(seed):
    loss = reused() if seed % 2 else unit()
    quiz = ag.quiz(loss, "mistake", seed=seed)
    boxes = {box.note.removeprefix("box "): box for box in quiz.picture.diagram.values if box.note.startswith("box ")}
    order = graph.toposort(loss)
    letters = dict(zip(order[:-1], boxes, strict=True))
    g = {node: boxes[letters[node]].g[0] for node in order[:-1]} | {loss: 1.0}
    wrong = []
    for node in order[:-1]:
        pairs = ((user, slot) for user in order for slot, x in enumerate(graph.raw_operands(user)) if x is node)
        follows = sum(g[user] * user.local_grads[slot] for user, slot in pairs)
        if not math.isclose(follows, g[node], rel_tol=1e-9, abs_tol=1e-12):
            wrong.append(letters[node])
    assert wrong == [quiz.answers["A"]]
    assert quiz.check(A=wrong[0].lower()) == {"A": True}


def test_hints_are_words_and_formulas_of_the_rule():
    quiz = ag.quiz(unit(), "local")
    said = " ".join(map(quiz.hint, quiz.blanks))
    assert "product: ∂v3/∂w = x, with x = 0.83" in said
    assert re.search(r"power: ∂v\S+/∂v8 = 2·v8, with v8 = ", said), said
    assert "tanh: ∂v6/∂v5 = 1 − v6²" in said
    x = ag.Parameter(0.5, name="x")
    for f in (ag.relu, ag.where, ag.logsumexp, ag.silu, ag.norm):
        y = (
            f(ag.greater(x, 0.0), x * 2.0, x)
            if f is ag.where
            else f([x, x * 2.0])
            if f in (ag.logsumexp, ag.norm)
            else f(x)
        )
        quiz = ag.quiz(y * 1.0, "local")
        assert not re.search(r"_\w|where\(", "".join(map(quiz.hint, quiz.blanks)))


# --- what would give an answer away


def test_forward_values_are_not_read_off_local_gradients():
    quiz = ag.quiz(unit(), "f")
    root = parsed(quiz.picture)
    assert texts(root, "local") == []
    assert texts(root, "g") == []


def test_local_gradients_are_not_read_off_backward_values():
    assert texts(parsed(ag.quiz(unit(), "local").picture), "g") == []


@pytest.mark.parametrize("hide", ["f", "g"])
@pytest.mark.parametrize("seed", range(6))
def test_no_blank_is_read_off_what_follows_from_it(hide, seed):
    """With few blanks the other numbers are shown, but for those that are computed from a blank."""
    loss = unit()
    quiz = ag.quiz(loss, hide, count=2, seed=seed)
    order, said = graph.toposort(loss), numbers_in(quiz.picture)
    found = adjoints(loss) if hide == "g" else {node: node.data for node in order if not node.is_leaf}
    nodes = {i: node for node, i in indices(order).box.items()}
    behind = {nodes[question.where[1]] for question in quiz._asked.values()}
    for node in order if hide == "f" else reversed(order):
        operands = [x for x in graph.raw_operands(node) if not isinstance(x, float)]
        if hide == "f" and behind & set(operands):
            behind.add(node)
        if hide == "g" and node in behind:
            behind |= set(operands)
    shown = {found[node] for node in found if node not in behind}
    for node in behind:
        if found[node] not in shown:
            assert f"{hide} = {found[node]:.4g}".replace("-", "−") not in said


@pytest.mark.parametrize("hide", HIDE)
def test_the_page_has_no_answer_that_can_be_read(hide):
    quiz = ag.quiz(unit(), hide)
    page = quiz.html
    shown = {1.0, -1.0, 2.0, 0.83, 1.7}
    if hide != "local":
        shown |= {d for node in graph.toposort(unit()) for d in node.local_grads}
    for letter, answer in quiz.answers.items():
        if isinstance(answer, float) and answer not in shown:
            assert f"{answer:.4g}" not in page.replace("−", "-")
        assert quiz.working(letter) not in page
        assert hide in ("f", "update") or quiz.hint(letter) not in page


def test_what_is_veiled_can_be_unveiled():
    quiz = ag.quiz(unit())
    state, text = ord("B") * 7919 + 17, []
    for byte in veiled("B", quiz._asked["B"]):
        state = (state * 1664525 + 1013904223) % 2**32
        text.append(byte ^ state >> 24)
    answer, hint, working = bytes(text).decode().split("\n")
    assert (float(answer), hint, working) == (quiz.answers["B"], quiz.hint("B"), quiz.working("B"))


# --- the page in a browser


def test_fill_in_check_and_read_the_score(browser, tmp_path):
    quiz = ag.quiz(slides())
    with opened(browser, quiz.save(tmp_path / "quiz.html")) as page:
        for letter, answer in list(quiz.answers.items())[:3]:
            page.locator(f"#field-{letter}").fill(f"{answer:.4g}")
        page.locator("#field-D").fill("12345")
        page.keyboard.press("Enter")
        assert page.locator("#score").inner_text() == f"3 of {len(quiz.blanks)} right"
        assert page.locator("li.right").count() == 3
        assert page.locator("li.wrong .verdict").inner_text() == "✗ not yet"
        assert page.locator("#field-D").get_attribute("aria-invalid") == "true"
        assert page.evaluate("document.activeElement.id") == "field-D"
        shown = page.locator("svg text").all_text_contents()
        assert f"g = {quiz.answers['A']:.4g}" in shown
        assert "g = D ?" in shown
        page.get_by_role("button", name="Start again").click()
        assert page.locator("#score").inner_text() == ""
        assert "g = A ?" in page.locator("svg text").all_text_contents()


def test_in_the_frame_of_a_notebook_which_is_dark_answers_are_checked(browser, tmp_path):
    """The frame sends no form, so neither the button nor Enter may ask for that."""
    quiz = ag.quiz(slides())
    path = tmp_path / "notebook.html"
    path.write_text(quiz._repr_mimebundle_()["text/html"], encoding="utf-8")
    with opened(browser, path, color_scheme="dark") as page:
        frame = page.frame_locator("iframe")
        ground = "rect => getComputedStyle(rect).fill"
        assert frame.locator("rect.ground").evaluate(ground) == "rgb(27, 30, 36)"
        for n, press in enumerate((lambda: page.keyboard.press("Enter"), frame.locator("#check").click), 1):
            frame.locator(f"#field-{'AB'[n - 1]}").fill(str(quiz.answers["AB"[n - 1]]))
            press()
            assert frame.locator("#score").inner_text() == f"{n} of {len(quiz.blanks)} right"


@pytest.mark.parametrize("hide", HIDE)
def test_every_level_is_solved_in_the_page(browser, tmp_path, hide):
    quiz = ag.quiz(unit(), hide)
    with opened(browser, quiz.save(tmp_path / "quiz.html")) as page:
        for letter, answer in quiz.answers.items():
            page.get_by_role("textbox").nth(list(quiz.answers).index(letter)).fill(str(answer))
        page.get_by_role("button", name="Check").click()
        n = len(quiz.answers)
        assert page.locator("#score").inner_text() == f"{n} of {n} right: all by yourself!"


def test_the_picture_is_dark_where_the_page_is(browser, tmp_path):
    x = ag.Value(3.0, name="x")
    with opened(browser, ag.quiz(x * x).save(tmp_path / "quiz.html")) as page:
        ground = page.locator("#figure .ground")
        fills = {}
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            fills[scheme] = ground.evaluate("ground => getComputedStyle(ground).fill")
        assert fills == {"light": "rgb(255, 255, 255)", "dark": "rgb(27, 30, 36)"}


def test_hints_and_steps_from_the_root_count(browser, tmp_path):
    quiz = ag.quiz(unit())
    with opened(browser, quiz.save(tmp_path / "quiz.html")) as page:
        page.get_by_role("button", name="Hint for A").click()
        assert page.locator("li").first.locator(".said").inner_text() == quiz.hint("A")
        page.locator("#field-A").fill(str(quiz.answers["A"]))
        page.get_by_role("button", name="Show the next step").click()
        last = list(quiz.blanks)[-1]
        assert page.locator("li").last.locator(".said").inner_text() == quiz.working(last)
        page.get_by_role("button", name="Check").click()
        assert page.locator("#score").inner_text() == f"1 of {len(quiz.blanks)} right, 1 with a hint, 1 shown"


@pytest.mark.parametrize(("given", "right"), [("1/4", True), ("0,25", True), (".2501", True), ("0.26", False), ("", 0),
                                              ("1//4", False), ("x", False), ("−0.25", False)])  # fmt: skip
def test_ways_to_write_a_number(browser, tmp_path, given, right):
    quiz = ag.quiz(ag.Value(0.5, name="x") ** 2, "f")
    with opened(browser, quiz.save(tmp_path / "quiz.html")) as page:
        page.locator("#field-A").fill(given)
        page.get_by_role("button", name="Check").click()
        assert page.locator("li.right").count() == right


@pytest.mark.parametrize("answer", ["inf", "-inf", "nan"])
def test_answers_that_are_not_finite(browser, tmp_path, answer):
    y = {"inf": 1.0, "-inf": -1.0, "nan": 0.0}[answer] / ag.Value(0.0, name="x")
    quiz = ag.quiz(y, "f")
    with opened(browser, quiz.save(tmp_path / "quiz.html")) as page:
        page.locator("#field-A").fill(answer)
        page.get_by_role("button", name="Check").click()
        assert page.locator("li.right").count() == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(browser, tmp_path, name):
    quiz = ag.quiz(hostile_graph(HOSTILE[name]))
    with opened(browser, quiz.save(tmp_path / "quiz.html")) as page:
        assert page.locator("#items li").count() == len(quiz.blanks)
        assert page.evaluate("window.hacked") is None


# --- for a class


def test_each_sheet_has_numbers_of_its_own_and_all_are_as_hard():
    loss = unit()
    sheets = ag.quiz(loss, count=4, seed=1).sheets(12)
    assert len(sheets) == 12
    assert len({str(quiz.answers) for quiz in sheets.quizzes}) == 12
    assert {tuple(quiz.blanks.values()) for quiz in sheets.quizzes} == {
        tuple(ag.quiz(loss, count=4, seed=1).blanks.values())
    }
    again = ag.quiz(loss, count=4, seed=1).sheets(12)
    assert [quiz.answers for quiz in again.quizzes] == [quiz.answers for quiz in sheets.quizzes]
    assert loss.data == unit().data
    assert sheets.key.count("\n") == 11
    assert sheets.key.startswith("Sheet 1: A ")


@pytest.mark.parametrize("seed", range(8))
def test_other_numbers_keep_whole_ones_whole_and_zeros_where_they_are(seed):
    w, x = ag.Parameter(3.0, name="w"), ag.Value(-2.0, name="x")
    order = graph.toposort(ag.relu(w * x) + ag.sqrt(w + 0.25))
    fresh = with_other_numbers(order, seed)
    leaves = [node.data for node in fresh if node.is_leaf]
    assert all(number == int(number) for number in leaves)
    assert [type(node) for node in fresh] == [type(node) for node in order]
    assert [node.name for node in fresh] == [node.name for node in order]
    assert [g == 0.0 for g in adjoints(fresh[-1]).values()] == [g == 0.0 for g in adjoints(order[-1]).values()]


def test_a_class_on_paper(tmp_path):
    pytest.importorskip("matplotlib")
    path = ag.quiz(unit()).sheets(["Ada", "Emmy", "Sofia"]).save(tmp_path / "class.pdf")
    assert path.read_bytes().count(b"/Type /Page\n") + path.read_bytes().count(b"/Type /Page ") == 4


def test_sheets_refuse():
    quiz = ag.quiz(unit())
    with pytest.raises(TypeError, match="names must be how many, or a list of names, got str 'Ada'"):
        quiz.sheets("Ada")
    with pytest.raises(TypeError, match=r"names must be how many, or a list of names, got float 1\.5"):
        quiz.sheets(1.5)
    with pytest.raises(ValueError, match="sheets: names must be"):
        quiz.sheets(0)
    with pytest.raises(ValueError, match="there are no names"):
        quiz.sheets([])
    with pytest.raises(ValueError, match=r"must end in \.pdf, \.xml or \.gift"):
        quiz.sheets(2).save("sheets.doc")
    with pytest.raises(ValueError, match="no other numbers were found"):
        ag.quiz(ag.Value(1.0, name="x") / ag.Value(0.0, name="y")).sheets(2)
    with pytest.raises(ValueError, match="lr must be"):
        ag.quiz(unit(), "update", lr=-1.0)


# --- for other programs


@pytest.mark.parametrize("hide", HIDE)
def test_moodle_reads_a_field_for_each_blank(tmp_path, hide):
    quiz = ag.quiz(unit(), hide)
    root = ET.parse(quiz.save(tmp_path / "quiz.xml")).getroot()
    question = root.find("question")
    assert question.get("type") == "cloze"
    fields = re.findall(r"\{1:(NUMERICAL|SHORTANSWER):=([^:}]*)", question.find("questiontext/text").text)
    assert [x for _, x in fields] == [x if isinstance(x, str) else repr(x) for x in quiz.answers.values()]
    assert question.find("questiontext/file").get("name") == "graph.svg"
    sheets = quiz.sheets(3).save(tmp_path / "class.xml")
    assert len(ET.parse(sheets).getroot().findall("question")) == 3


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_files(tmp_path, name):
    quiz = ag.quiz(hostile_graph(HOSTILE[name]))
    ET.parse(quiz.save(tmp_path / "quiz.xml"))
    gift = quiz.save(tmp_path / "quiz.gift").read_text(encoding="utf-8")
    plain = re.sub(r"\\.", "", gift)
    assert plain.count("{") == plain.count("}") == plain.count("{#") + plain.count("{=") == len(quiz.blanks)
    tex = re.sub(r"\\[\\{}$&#%_]", "", quiz.save(tmp_path / "quiz.tex").read_text(encoding="utf-8"))
    assert tex.count("{") == tex.count("}")
    assert tex.count("$") % 2 == 0
    assert not re.search(r"\\(input|write|def|catcode)", tex)
    json.loads(quiz.save(tmp_path / "quiz.ipynb").read_text(encoding="utf-8"))


@pytest.mark.parametrize("hide", HIDE)
def test_the_cells_grade_themselves(tmp_path, hide):
    quiz = ag.quiz(unit(), hide)
    cells = json.loads(quiz.save(tmp_path / "quiz.ipynb").read_text(encoding="utf-8"))["cells"]
    _, answer, test = cells
    assert (answer["metadata"]["nbgrader"]["solution"], test["metadata"]["nbgrader"]["points"]) == (True, 1)
    room = {}
    exec(answer["source"], room)
    exec(test["source"], room)
    wrong = re.sub(r"### BEGIN SOLUTION.*### END SOLUTION\n# ", "", answer["source"], flags=re.S).replace(
        "None", "'no'"
    )
    exec(wrong, room)
    with pytest.raises((AssertionError, TypeError)):
        exec(test["source"], room)
