"""The stepper: its steps against the engine, its page in a real browser, and the picture that moves by itself."""

import base64
import html
import json
import re
import xml.etree.ElementTree as ET

import pytest

import autograd_lite as ag
from autograd_lite.engine import graph
from autograd_lite.engine.backward import adjoints
from autograd_lite.pictures.steps import indices
from tests.helpers.graphs import HOSTILE, hostile_graph, network, random_graph, reused, scalar_network, slides
from tests.helpers.pictures import opened


def last(steps, part):
    """What each box shows of a part when all is done."""
    return {box: x for step in steps if step.part == part for box, x in step.fills.items()}


# --- the steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [slides(), reused(), network(), *map(random_graph, range(6))], ids=lambda v: v.op)
def test_the_steps_end_with_the_engines_numbers(loss):
    steps, order = ag.step(loss).steps, graph.toposort(loss)
    box = indices(order).box
    assert last(steps, "f") == {box[node]: node.data for node in order}
    assert last(steps, "g") == {box[node]: g for node, g in adjoints(loss).items()}


@pytest.mark.parametrize("loss", [slides(), reused(), *map(random_graph, range(6))], ids=lambda v: v.op)
def test_every_gradient_is_the_sum_of_what_was_added(loss):
    total = {}
    for step in ag.step(loss).steps:
        if step.plus is not None:
            ((box, shown),) = step.fills.items()
            total[box] = total.get(box, 0.0) + step.plus
            assert shown == total[box]


def test_each_edge_lights_once_from_the_box_whose_gradient_is_complete():
    loss = reused()
    stepper = ag.step(loss)
    model = stepper.picture.diagram
    lit = [step.edge for step in stepper.steps if step.edge is not None]
    assert sorted(lit) == [i for i, edge in enumerate(model.edges) if not edge.constant]
    for step in stepper.steps:
        if step.edge is not None:
            assert model.edges[step.edge].target == step.box
            assert list(step.fills) == [model.edges[step.edge].source]


def test_captions_put_the_numbers_in():
    captions = [step.caption for step in ag.step(slides()).steps]
    assert "Loss = residual ** 2 = 3 ** 2 = 9" in captions
    assert "g(w2) += g(v6) * d(v6)/d(w2) = 6 * 2 = 12" in captions
    captions = [step.caption for step in ag.step(reused()).steps]
    assert any(re.search(r"^g\(a\) \+= .*; with what it had, g\(a\) = \S+ \+ 2 = ", caption) for caption in captions)


def test_nothing_is_changed():
    w = ag.Parameter(3.0, name="w")
    optimizer = ag.optim.SGD([w], lr=0.1, momentum=0.9)
    loss = w * w
    loss.backward()
    ag.step(loss, optimizer).html  # noqa: B018
    assert (w.data, w.grad) == (3.0, 6.0)
    optimizer.step()
    assert w.data == 3.0 - 0.1 * 6.0  # no momentum from a step that was only shown


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}, {"l2": 0.1}, {"momentum": 0.5, "nesterov": True}], ids=str)
def test_the_update_is_the_optimizers(settings):
    def loss_of(w):
        return (w[0] * 2.0 - w[1]) ** 2

    shown, real = ([ag.Parameter(3.0, name="a"), ag.Parameter(1.0, name="b")] for _ in range(2))
    stepper = ag.step(loss_of(shown), ag.optim.SGD(shown, lr=0.05, **settings))
    optimizer = ag.optim.SGD(real, lr=0.05, **settings)
    loss_of(real).backward()
    optimizer.step()
    new = list(last(stepper.steps, "new").values())
    assert new == [*[p.data for p in real], loss_of(real).data]


def test_a_frozen_parameter_stays_and_others_of_the_optimizer_are_left_out():
    w, v, other = (ag.Parameter(x, name=name) for x, name in ((3.0, "w"), (2.0, "v"), (1.0, "other")))
    w.frozen = True
    captions = [s.caption for s in ag.step(w * v, ag.optim.SGD([w, v, other], lr=0.1)).steps if s.phase == "update"]
    assert captions[0] == "w is frozen and stays 3"
    assert captions[1] == "v <- v - lr * g(v) = 2 - 0.1 * 3 = 1.7"
    assert not any("other" in caption for caption in captions)


def test_a_branch_that_is_not_taken_gets_nothing():
    x = ag.Value(0.0, name="x")
    loss = ag.where(0.0, ag.log(x), x * 1.0)
    assert last(ag.step(loss).steps, "g") == {
        indices(graph.toposort(loss)).box[node]: g for node, g in adjoints(loss).items()
    }


def test_a_large_graph_is_stepped_through_folded():
    loss = scalar_network(examples=3)
    stepper = ag.step(loss)
    model = stepper.picture.diagram
    assert len(model.boxes) <= 60
    assert last(stepper.steps, "g") == {i: box.g for i, box in enumerate(model.boxes) if not box.literal and box.g}


def test_the_update_of_a_large_graph_is_one_step():
    model = ag.MLP(2, [16, 1], activation="tanh", seed=0)
    optimizer = ag.optim.SGD(model.parameters(), lr=0.1)

    def loss():
        return (model([0.5, -1.0]) - 1.0) ** 2

    before = loss()
    step = ag.step(before, optimizer).steps[-1]
    before.backward()
    optimizer.step()
    assert step.phase == "update"
    assert "moves 65 of 65 parameters" in step.caption
    assert step.caption.endswith(f"the root is {loss():.4g}; it was {before:.4g}")


def test_misuse_is_refused():
    x = ag.Parameter(1.0)
    with pytest.raises(TypeError, match=r"step: expected a Value .*got float 3\.0"):
        ag.step(3.0)
    with pytest.raises(TypeError, match=r"step: optimizer must be one of ag\.optim"):
        ag.step(x * x, 0.1)
    with pytest.raises(ValueError, match="step: direction must be 'BT'"):
        ag.step(x * x, direction="up")
    loss = x * x
    x.data = 2.0
    with pytest.raises(ValueError, match=r"step: the data of a leaf has changed.*compute the loss again"):
        ag.step(loss)
    with pytest.raises(ValueError, match=r"'x\.png' must end in \.html"):
        ag.step(x * x).save("x.png")


# --- what a notebook, a file and a terminal get -------------------------------------------------------------


def test_what_a_notebook_gets():
    stepper = ag.step(slides())
    bundle = stepper._repr_mimebundle_()
    assert list(bundle) == ["text/plain", "image/svg+xml", "text/html"]
    assert bundle["text/plain"] == repr(stepper)
    assert "10. g(y) += g(residual) * d(residual)/d(y) = 6 * (-1) = -6" in map(str.strip, repr(stepper).splitlines())
    frame = re.fullmatch(r'<style>[^<]*</style><iframe class="ag-frame" sandbox="allow-scripts" title="[^"]+" '
                         r'style="[^"]+" srcdoc="([^"]*)">(.*)</iframe>',
                         bundle["text/html"], re.DOTALL)  # fmt: skip
    assert html.unescape(frame.group(1)) == stepper.html
    coded = re.fullmatch(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="[^"]+" style="[^"]+">', frame.group(2))
    assert base64.b64decode(coded.group(1)).decode() == stepper.svg


def test_the_page_reaches_nothing_outside_itself():
    page = ag.step(slides()).html
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href)=["'](?!data:)|@import|url\(|https?://(?!www\.w3\.org/)""", page)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name):
    loss = hostile_graph(HOSTILE[name])
    page = ag.step(loss, ag.optim.SGD([p for p in graph.toposort(loss) if p.is_leaf], lr=0.1)).html
    page.encode("utf-8")
    assert page.count("<script") == page.count("</script>") == 2
    assert "<b>" not in page
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL).group(1)
    assert json.loads(data)["steps"]


# --- the picture that moves by itself ---------------------------------------------------------------------


def test_the_moving_picture_is_the_still_one_and_a_style_of_its_own():
    stepper = ag.step(slides())
    moving = stepper.animated
    root = ET.fromstring(moving)
    style = root.find("{http://www.w3.org/2000/svg}style").text
    assert moving.replace(f"<style>{style}</style>\n", "") == stepper.picture.still
    assert "<script" not in moving
    prefix = stepper.picture.prefix
    assert style.startswith("@media (prefers-reduced-motion:no-preference){")
    inner = style.partition("{")[2]
    selectors = re.findall(r"(?:^|})([^{}@]+){animation:", inner)
    assert selectors
    assert all(one.startswith(f"#{prefix}-") for selector in selectors for one in selector.split(","))
    assert all(name.startswith(f"{prefix}-") for name in re.findall(r"@keyframes (\S+?){", style))


# --- the page in a browser ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    loss = slides()
    parameters = [node for node in graph.toposort(loss) if isinstance(node, ag.Parameter)]
    stepper = ag.step(loss, ag.optim.SGD(parameters, lr=0.05))
    return stepper, stepper.save(tmp_path_factory.mktemp("page") / "step.html")


def numbers_on(page):
    """The numbers that are to be seen, by the title of the box and the kind of line."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("#figure g.box")].flatMap(g => {
            const title = g.querySelector(":scope > text.title");
            if (!title) return [];
            return [...g.querySelectorAll(":scope > text.f, :scope > text.g, :scope > text.note")]
                .filter(text => getComputedStyle(text).visibility === "visible")
                .map(text => [title.textContent + " " + text.classList[0], text.textContent]);
        }))"""
    )


def test_click_through_to_the_last_step_and_read_the_numbers(browser, saved):
    stepper, path = saved
    with opened(browser, path) as page:
        assert numbers_on(page) == {
            "w₁ f": "f = 3",
            "w₂ f": "f = 1",
            "φ₁ f": "f = 1",
            "φ₂ f": "f = 2",
            "y f": "f = 2",
        }
        for caption in stepper.captions[1:]:
            page.click("#forward")
            assert page.inner_text("#caption") == caption
        assert page.is_disabled("#forward")
        assert page.inner_text("#place") == f"Step {len(stepper.steps)} of {len(stepper.steps)}, update"
        assert numbers_on(page) == {
            **{f"{name} f": f"f = {f}" for name, f in [("w₁", 3), ("φ₁", 1), ("v3", 3), ("w₂", 1), ("φ₂", 2),
               ("v6", 2), ("v7", 5), ("y", 2), ("residual", 3), ("Loss", 9)]},
            **{f"{name} g": f"g = {g}" for name, g in [("w₁", 6), ("φ₁", 18), ("v3", 6), ("w₂", 12), ("φ₂", 6),
               ("v6", 6), ("v7", 6), ("y", "−6"), ("residual", 6), ("Loss", 1)]},
            "w₁ note": "→ 2.7", "w₂ note": "→ 0.4", "Loss note": "→ 2.25",
        }  # fmt: skip
        assert page.locator(".plus").count() == 0


def test_backwards_undoes_forwards(browser, saved):
    with opened(browser, saved[1]) as page:
        seen = []
        for _ in range(8):
            seen.append(numbers_on(page))
            page.click("#forward")
        for before in reversed(seen):
            page.click("#back")
            assert numbers_on(page) == before
        assert page.is_disabled("#back")


def test_keys(browser, saved):
    steps = saved[0].steps
    with opened(browser, saved[1]) as page:
        for key, at in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", len(steps) - 1), ("Home", 0)]:
            page.keyboard.press(key)
            assert page.inner_text("#caption") == saved[0].captions[at]
        page.keyboard.press(" ")
        assert page.get_attribute("#play", "aria-pressed") == "true"
        page.keyboard.press(" ")
        assert page.get_attribute("#play", "aria-pressed") == "false"
        focused = set()
        for _ in range(12):
            page.keyboard.press("Tab")
            focused.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert {"play", "forward", "last", "slider", "backward", "update", "All steps as text"} <= focused


def test_the_slider(browser, saved):
    with opened(browser, saved[1]) as page:
        box = page.locator("#slider").bounding_box()
        page.mouse.move(box["x"] + 4, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()
        assert page.inner_text("#caption") == saved[0].captions[-1]
        page.focus("#slider")
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#caption") == saved[0].captions[-2]
        assert saved[0].captions[-2] in page.get_attribute("#slider", "aria-valuetext")


def test_the_phases_and_a_glowing_node(browser, saved):
    steps = saved[0].steps
    first = next(i for i, step in enumerate(steps) if step.phase == "backward")
    with opened(browser, saved[1]) as page:
        page.click("#phases .backward")
        assert page.inner_text("#caption") == saved[0].captions[first]
        page.click("#forward")
        assert page.locator("g.box.now.backward > text.title").text_content() == "Loss"
        assert page.locator("g.edge.lit").count() == 1
        assert page.locator("g.box.takes > text.title").text_content() == "residual"
        assert page.locator(".plus text").text_content() == "+= 6"


def test_it_plays_to_the_end_and_again(browser, saved):
    steps = saved[0].steps
    with opened(browser, saved[1]) as page:
        page.clock.install()
        page.reload()
        page.click("#play")
        page.clock.run_for(1300 * (len(steps) + 2))
        assert page.inner_text("#caption") == saved[0].captions[-1]
        assert page.get_attribute("#play", "aria-pressed") == "false"
        page.click("#play")
        assert page.inner_text("#caption") == saved[0].captions[0]


def test_without_scripts_there_is_the_picture_and_the_list(browser, saved):
    stepper, path = saved
    with opened(browser, path, java_script_enabled=False) as page:
        assert page.locator("#figure img").bounding_box()["width"] > 200
        assert page.locator("#panel").is_hidden()
        page.click("summary")
        assert page.locator("details li").all_inner_texts() == list(stepper.captions)


def test_less_motion_on_request(browser, saved):
    with opened(browser, saved[1], reduced_motion="reduce") as page:
        durations = page.evaluate(
            "[...document.querySelectorAll('g.box > rect')].map(r => getComputedStyle(r).transitionDuration)"
        )
        assert set(durations) == {"0s"}


def test_in_the_frame_of_a_notebook(browser, tmp_path):
    stepper = ag.step(reused())
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html><body>{stepper._repr_mimebundle_()['text/html']}", encoding="utf-8")
    with opened(browser, path) as page:
        frame = page.frame_locator("iframe")
        frame.locator("#last").click()
        assert frame.locator("#caption").inner_text() == stepper.captions[-1]


def test_captions_of_a_folded_picture_name_both_boxes_and_stay_short():
    model = ag.MLP(2, [16, 16, 1], activation="tanh", seed=0)
    captions = [step.caption for step in ag.step((model([1.0, 2.0]) - 1.0) ** 2).steps]
    assert any(c.startswith("g(16 × dot) += g(16 × tanh) * local gradient along 16 edges;") for c in captions)
    root = next(c for c in captions if c.startswith("g(v403) +="))
    assert re.match(r"g\(v403\) \+= g\(v404\) \* local gradient = 1 \* \(-1\.655\) = -1\.655;", root)
    assert max(map(len, captions)) < 320


def test_a_folded_picture_gives_no_gradient_away_in_its_forward_steps():
    model = ag.MLP(2, [16, 16, 1], activation="tanh", seed=0)
    steps = ag.step(ag.losses.hinge(model([0.5, -1.0]), 1)).steps
    forward = [step.caption for step in steps if step.phase == "forward"]
    assert len(forward) > 5
    assert not [caption for caption in forward if re.search(r"\bg( =|:)", caption)]
    root = next(step for step in steps if step.phase == "backward")
    name = re.match(r"(v\d+) = ", forward[-1])[1]
    assert root.caption == f"g({name}) = d({name})/d({name}) = 1"


def test_an_optimizer_of_other_parameters_says_so():
    steps = ag.step(slides(), ag.optim.SGD([ag.Parameter(1.0)], lr=0.1)).steps
    assert steps[-1].caption == "SGD changes nothing here: none of its parameters is in this graph"
    with pytest.raises(
        TypeError, match=r"step: optimizer must be one of ag.optim, such as ag.optim.SGD\(\[w\], lr=0.1\)"
    ):
        ag.step(slides(), ag.optim.SGD)


def test_the_picture_follows_the_size_of_its_frame(browser, tmp_path):
    """A notebook gives the frame its height only after the page has been read."""
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html><body>{ag.step(reused())._repr_mimebundle_()['text/html']}", encoding="utf-8")
    with opened(browser, path) as page:
        frame = page.frame_locator("iframe").locator("#figure svg")
        page.evaluate("document.querySelector('iframe').style.height = '250px'")
        page.wait_for_timeout(200)
        small = frame.bounding_box()["width"]
        page.evaluate("document.querySelector('iframe').style.height = '900px'")
        page.wait_for_timeout(200)
        assert frame.bounding_box()["width"] > 1.4 * small


TEXTS_WIDER_THAN_THEIR_BOX = """[...document.querySelectorAll("g.box > text:not(.unset)")].filter((text) => {
    const box = text.parentElement.querySelector(":scope > circle, :scope > rect");
    return text.getBBox().width > box.getBBox().width;
}).map((text) => text.textContent)"""


@pytest.mark.parametrize("what", ["graph", "long numbers", "network"])
def test_a_frame_that_is_shown_later(browser, tmp_path, what):
    """As in a tab that is not in front: nothing has a size when the page is read."""
    model, big = ag.MLP(2, [3, 1], seed=0), [ag.Parameter(x, name="a") for x in (-123456.7, 2.5e-7)]
    stepper = {
        "graph": lambda: ag.step(reused()),
        "long numbers": lambda: ag.step((big[0] * big[1] - 1.0) ** 2, ag.optim.SGD(big, lr=1e-9)),
        "network": lambda: ag.step(model, ag.optim.SGD(model.parameters()), x=[-1234.5, 2.0], target=1.0),
    }[what]()
    frame = stepper._repr_mimebundle_()["text/html"].replace("<iframe", "<iframe hidden", 1)
    path = tmp_path / "hidden.html"
    path.write_text(f"<!DOCTYPE html><body>{frame}", encoding="utf-8")
    with opened(browser, path) as page:
        page.evaluate("document.querySelector('iframe').hidden = false")
        page.wait_for_timeout(200)
        inside = page.frames[1]
        for _ in range(3):
            wider = inside.evaluate(TEXTS_WIDER_THAN_THEIR_BOX)
            assert wider == []
            inside.press("body", "End")


@pytest.mark.parametrize("name", ["script", "dot", "tag", "long", "entity"])
def test_hostile_names_in_the_page(browser, tmp_path, name):
    stepper = ag.step(hostile_graph(HOSTILE[name]))
    with opened(browser, stepper.save(tmp_path / "x.html")) as page:
        page.on("dialog", lambda dialog: pytest.fail("a name ran as a script"))
        page.keyboard.press("End")
        assert page.inner_text("#caption") == re.sub(r"\s+", " ", stepper.captions[-1]).strip()


def test_the_moving_picture_moves_inside_an_image(browser, saved, tmp_path):
    stepper, _ = saved
    stepper.save(tmp_path / "loss.svg")
    (tmp_path / "page.html").write_text('<!DOCTYPE html><body><img src="loss.svg">', encoding="utf-8")
    with opened(browser, tmp_path / "page.html") as page:
        image = page.locator("img")
        early = image.screenshot()
        page.wait_for_timeout(3500)
        assert image.screenshot() != early


def test_the_moving_picture_stands_still_on_request(browser, saved, tmp_path):
    path = saved[0].save(tmp_path / "loss.svg")
    running = "document.getAnimations().length"
    with opened(browser, path) as page:
        assert page.evaluate(running) > 20
    with opened(browser, path, reduced_motion="reduce") as page:
        assert page.evaluate(running) == 0
        assert page.evaluate("[...document.querySelectorAll('text')].every(t => getComputedStyle(t).opacity === '1')")
