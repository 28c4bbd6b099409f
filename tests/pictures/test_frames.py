"""Frames that open and close: what a closed one says, and the page in a real browser."""

import contextlib
import json
import re
import time
from functools import cache

import pytest

import autograd_lite as ag
from autograd_lite.pictures.diagrams.collapsed import collapse, collapse_below, frame_levels
from tests.helpers.graphs import network, scalar_network, slides
from tests.helpers.pictures import groups, opened, parsed, texts


def classifier():
    model = ag.MLP(2, [16, 16, 1], activation="tanh", seed=0)
    loss = ag.losses.hinge(model([ag.Value(0.5, name="x1"), ag.Value(-1.0, name="x2")]), 1)
    loss.backward()
    return loss


@cache
def drawn():
    """Its picture, whose page takes seconds to make."""
    return ag.draw(classifier())


def titles(model):
    return [box.title for box in model.boxes if not box.literal]


def test_depth_closes_what_is_below_it():
    loss = classifier()
    assert titles(ag.draw(loss, depth=0).diagram)[:3] == ["x1", "x2", "MLP"]
    layers = [box for box in ag.draw(loss, depth=1).diagram.boxes if box.kind == "frame"]
    assert [box.title for box in layers] == ["layer 0", "layer 1", "layer 2"]
    assert [box.note for box in layers] == [
        "holds 48 parameters, 16 dot, 16 tanh",
        "holds 272 parameters, 16 dot, 16 tanh",
        "holds 17 parameters, 1 dot",
    ]
    neurons = [box for box in ag.draw(loss, depth=2).diagram.boxes if box.kind == "frame"]
    assert [box.title for box in neurons] == ["16 × neuron *", "16 × neuron *", "neuron 0"]


@pytest.mark.parametrize("depth", [None, 0, 1, 2])
def test_a_network_on_one_example_fits_a_notebook_page(depth):
    assert ag.draw(classifier(), depth=depth).scene.width <= 900


def test_a_closed_frame_says_what_comes_out_of_it():
    loss = network((2, 1))
    whole = ag.draw(loss).diagram
    model = collapse_below(whole, 1).diagram
    hidden = next(box for box in model.boxes if box.title == "layer 0")
    out = [box for box in whole.boxes if box.symbol == "tanh"][:2]
    assert hidden.f == (min(b.f[0] for b in out), max(b.f[1] for b in out))
    assert hidden.g == (min(b.g[0] for b in out), max(b.g[1] for b in out))


@pytest.mark.parametrize("depth", range(4))
def test_closing_loses_no_edge_that_crosses(depth):
    whole = ag.draw(network((3, 2, 1)), fold=False).diagram
    model = collapse_below(whole, depth).diagram
    assert len(model.frames) == sum(level < depth for level in frame_levels(whole.frames))
    hidden = sum(e.count for e in whole.edges) - sum(e.count for e in model.edges)
    inside = {i for i, level in enumerate(frame_levels(whole.frames)) if level == depth}

    def outer(box):
        frame = box.frame
        while frame is not None and frame not in inside:
            frame = whole.frames[frame].parent
        return frame

    ends = [(outer(whole.boxes[e.source]), outer(whole.boxes[e.target])) for e in whole.edges]
    assert hidden == sum(a is not None and a == b for a, b in ends)
    assert all(edge.source < edge.target for edge in model.edges)


def test_a_frame_that_takes_from_itself_through_another_is_drawn():
    model = ag.MLP(1, [1, 1], activation="tanh", seed=0)
    x = ag.Value(0.5, name="x")
    for _ in range(3):
        x = model([x])
    boxes = ag.draw(x, depth=1).diagram.boxes
    assert [box.title for box in boxes if box.kind == "frame"] == ["layer 0", "layer 1"]
    assert "layer 1" in ag.draw(x, depth=1).svg


def test_a_circle_of_frames_is_cut_once_and_what_follows_comes_after_it():
    model = ag.MLP(1, [1, 1], activation="tanh", seed=0)
    x = ag.Value(0.5, name="x")
    for _ in range(2):
        x = model([x])
    made = ag.draw((x - 3.0) ** 2, depth=1).diagram
    shown = titles(made)
    assert shown[:3] == ["x", "layer 0", "layer 1"]
    assert len(shown) == len(set(shown)) == 5
    back = [(made.boxes[e.source].title, made.boxes[e.target].title) for e in made.edges if e.source > e.target]
    assert back == [("layer 1", "layer 0")]


def opens(html):
    """For each view of a page what its boxes say they open."""
    labels = json.loads(re.search(r'"labels": (\{[^}]*\})', html)[1])
    found = {}
    for place, label in labels.items():
        if label.startswith("Open "):
            found.setdefault(int(place.rsplit("-", 2)[1]), []).append(label.removeprefix("Open "))
    return found


def test_a_frame_too_large_for_a_view_does_not_open():
    with ag.scope("wide"):
        y = ag.Value(1.0)
        for _ in range(130):
            y = ag.tanh(y)
    with ag.scope("narrow"):
        y = y * 2.0
    html = ag.draw(y).html
    assert html.count('class="view"') == 3  # the picture, all closed, narrow open
    assert opens(html) == {1: ["narrow"]}


def test_a_page_has_so_many_views_and_no_more():
    y = ag.Value(1.0)
    for i in range(60):
        with ag.scope(f"s{i}"):
            y = ag.tanh(y * 1.01)
    html = ag.draw(y).html
    assert html.count('class="view"') == 49
    found = opens(html)
    assert found[1] == ["60 × s*"]
    assert len(found) == 47  # the last one that opens has none after it
    assert {label for labels in list(found.values())[1:] for label in labels} == {"59 × s*"}


def test_a_page_opens_and_closes_the_folded_picture_where_the_closed_one_is_too_large():
    model = ag.MLP(1, [1], activation="tanh", seed=0)
    html = ag.draw(ag.sum([model([ag.Value(0.01 * k)]) for k in range(70)])).html
    assert opens(html)[1] == ["MLP"]
    first = re.search(r'<div class="view" id="view1" hidden>.*?</svg>', html, re.DOTALL)[0]
    assert first.count('class="box') < 10


def test_a_large_loss_with_frames_closed():
    model = ag.MLP(2, [4, 1], activation="tanh", seed=0)
    loss = ag.mean([ag.losses.hinge(model([i / 50, 1 - i / 50]), (-1) ** i) for i in range(50)])
    loss.backward()
    picture = ag.draw(loss, depth=1)
    assert len(picture.diagram.boxes) <= 60
    assert {"layer 0", "layer 1"} <= set(titles(picture.diagram))


def test_in_svg_and_dot():
    picture = ag.draw(network(), depth=0)
    (box,) = groups(parsed(picture), "frame")
    assert texts(box, "symbol") == ["▸"]
    assert "holds" in picture.dot


def test_fold_false_draws_every_closed_frame():
    loss = ag.MLP(2, [6, 1], activation="tanh", seed=0)([0.5, -1.0])
    one = [box.title for box in ag.draw(loss, depth=2).diagram.boxes if box.kind == "frame"]
    each = [box.title for box in ag.draw(loss, depth=2, fold=False).diagram.boxes if box.kind == "frame"]
    assert one[0] == "6 × neuron *"
    assert sorted(each)[-6:] == [f"neuron {i}" for i in range(6)]


def test_misuse_of_depth():
    with pytest.raises(ValueError, match="depth must be 0 or more, got -1"):
        ag.draw(slides(), depth=-1)
    with pytest.raises(TypeError, match=r"depth must be a whole number .*got float 1\.0"):
        ag.draw(slides(), depth=1.0)
    assert collapse(ag.draw(slides()).diagram, set()).diagram == ag.draw(slides()).diagram


def test_ids_of_a_page_are_unique():
    found = re.findall(r' id="([^"]+)"', drawn().html)
    assert len(found) == len(set(found))


def test_a_picture_without_frames_is_a_page_without_buttons(browser, tmp_path):
    with opened(browser, ag.draw(slides()).save(tmp_path / "x.html")) as page:
        assert page.locator("#bar").is_hidden()
        assert page.locator("g.box").count() == 11


def test_open_and_close_by_mouse_and_by_keyboard(browser, tmp_path):
    def seen():
        return page.evaluate(
            "[...document.querySelectorAll('.view:not([hidden]) g.box > text.title')].map(t => t.textContent)"
        )

    with opened(browser, drawn().save(tmp_path / "x.html")) as page:
        assert "272 parameters" not in seen()
        assert "256 parameters" in seen()
        page.click("#none")
        assert "MLP" in seen()
        page.locator("[aria-label='Open MLP']").locator("visible=true").click()
        assert {"layer 0", "layer 1", "layer 2"} <= set(seen())
        page.locator("[aria-label='Open layer 1']").locator("visible=true").press("Enter")
        assert "16 × neuron *" in seen()
        assert page.inner_text("#says") == "Open layer 1"
        focused = "document.activeElement.getAttribute('aria-label')"
        assert page.evaluate(focused) == "Close layer 1"
        assert "opening one closes those beside it" in page.inner_text("#bar")
        page.keyboard.press("Enter")
        assert page.evaluate(focused) == "Open layer 1"
        page.keyboard.press("Enter")
        page.locator("[aria-label='Open 16 × neuron *']").locator("visible=true").click()
        assert {"w₀", "w₁₅", "b", "15 × neuron *"} <= set(seen())
        page.locator("[aria-label='Close MLP']").locator("visible=true").press(" ")
        assert "MLP" in seen()
        page.click("#all")
        assert "256 parameters" in seen()


def test_a_page_of_a_large_graph_is_made_in_seconds(tmp_path):
    assert len(ag.draw(scalar_network(examples=20)).html) < 200_000


def test_without_scripts_the_page_shows_the_picture(browser, tmp_path):
    path = ag.draw(network()).save(tmp_path / "x.html")
    with opened(browser, path, java_script_enabled=False) as page:
        assert page.locator("svg").locator("visible=true").count() == 1


@pytest.mark.parametrize("make", ["nested", "side by side"])
def test_time_grows_with_the_frames_and_not_with_their_square(make):
    def seconds(n):
        y, ys = ag.Value(2.0), []
        with contextlib.ExitStack() as stack:
            for i in range(n):
                if make == "nested":
                    stack.enter_context(ag.scope(f"s{i}"))
                    y = y * 1.01
                else:
                    with ag.scope(f"s[{i}]"):
                        ys.append(ag.tanh(y * float(i)))
        loss = ag.sum(ys) if ys else y
        start = time.process_time()
        assert ag.draw(loss).html
        return time.process_time() - start

    seconds(100)
    n = 500 if make == "side by side" else 1000
    assert seconds(4 * n) < 9 * seconds(n)  # the square would be 16 times
