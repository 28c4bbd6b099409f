"""Pictures: what is in them, not where. Every writer, every layout, names that try to break them, folding."""

import base64
import builtins
import contextlib
import html
import json
import os
import random
import re
import struct
import subprocess
import sys
import types
import warnings
import xml.etree.ElementTree as ET
from collections import Counter

import pytest

import autograd_lite as ag
from autograd_lite.engine import graph
from autograd_lite.engine.notation import printable
from autograd_lite.pictures import writers
from autograd_lite.pictures.diagrams.collapsed import name_pattern
from autograd_lite.pictures.diagrams.grouped import folded
from autograd_lite.pictures.layout import by_graphviz, choice, geometry, layered, rows
from autograd_lite.pictures.layout.geometry import LayoutInput
from autograd_lite.pictures.picture import Picture
from autograd_lite.pictures.writers import raster, scene
from autograd_lite.pictures.writers.text_width import width
from tests.helpers.graphs import HOSTILE, hostile_graph, network, scalar_network, slides
from tests.helpers.pictures import SVG, accepted_by_graphviz, groups, parsed, texts

ENGINES = {"pygraphviz": by_graphviz.by_pygraphviz, "command": by_graphviz.by_command, "ours": choice.by_ourselves}


# --- what is in a picture --------------------------------------------------------------------------------


def test_a_box_a_value_and_an_edge_an_operand():
    loss = slides()
    loss.backward()
    root = parsed(ag.draw(loss))
    assert len(groups(root, "box")) == 10 + 1  # ten Values and the literal 2
    assert len(groups(root, "edge")) == 2 + 2 + 2 + 2 + 2
    assert Counter(kind for box in groups(root, "box") for kind in box.get("class").split()[1:]) == {
        "parameter": 2,
        "input": 3,
        "constant": 1,
        "op": 5,
        "root": 1,
    }
    (box,) = groups(root, "root")
    assert (texts(box, "title"), texts(box, "symbol")) == (["Loss"], ["x²"])
    assert (texts(box, "f"), texts(box, "g")) == (["f = 9"], ["g = 1"])
    shown = {texts(box, "title")[0]: texts(box, "g")[0] for box in groups(root, "box") if texts(box, "title")}
    assert (shown["w₁"], shown["w₂"], shown["y"]) == ("g = 6", "g = 12", "g = −6")


def test_a_square_draws_two_edges_with_their_local_gradients():
    a = ag.Value(3.0, name="a")
    edges = groups(parsed(ag.draw(a * a)), "edge")
    assert [texts(edge, "local") for edge in edges] == [["3"], ["3"]]


def test_forward_is_blue_backward_vermilion_and_the_root_heavy():
    loss = slides()
    loss.backward()
    root = parsed(ag.draw(loss))
    colours = {t.get("class"): t.get("fill") for t in root.iter(f"{SVG}text")}
    assert colours["f"] == "#006AA6"
    assert colours["g"] == "#AD4600"
    widths = {box.get("id"): float(box.find(f"{SVG}rect").get("stroke-width")) for box in groups(root, "box")}
    (heavy,) = (box.get("id") for box in groups(root, "root"))
    assert widths.pop(heavy) > 2 * max(widths.values())


def test_the_kinds_of_leaf_differ_in_tint():
    p, x = ag.Parameter(1.0), ag.Value(1.0)
    boxes = groups(parsed(ag.draw(p * x + 2)), "box")
    tints = {box.get("class").split()[1]: box.find(f"{SVG}rect").get("fill") for box in boxes}
    assert tints.keys() == {"parameter", "input", "constant", "op"}
    assert len(set(tints.values())) == 4


def test_backward_values_appear_only_after_a_backward_pass():
    x = ag.Value(2.0, name="x")
    first = x * x
    assert "g =" not in ag.draw(first).svg
    assert " g=" not in str(ag.tape(first))
    first.backward()
    assert texts(parsed(ag.draw(first)), "g") == ["g = 4", "g = 1"]
    second = x * 3.0  # its leaf has a gradient, of another graph
    assert "g =" not in ag.draw(second).svg


def test_numbers_have_four_digits_and_small_ones_are_not_zero():
    product = ag.Value(1e-6) * ag.Value(123456.789)
    assert texts(parsed(ag.draw(product)), "f") == ["f = 1×10⁻⁶", "f = 1.235×10⁵", "f = 0.1235"]
    shown = texts(parsed(ag.draw(product, symbols="code")), "f")
    assert shown == ["f = 1e-06", "f = 1.235e+05", "f = 0.1235"]


def test_an_edge_that_passes_nothing_back_is_dashed():
    x = ag.Value(-1.0)
    paths = [edge.find(f"{SVG}path") for edge in groups(parsed(ag.draw(ag.relu(x) + x)), "edge")]
    assert [path.get("stroke-dasharray") is not None for path in paths] == [True, False, False]


def test_tooltips_put_the_numbers_in():
    a, b = ag.Value(2.0), ag.Value(3.0)
    loss = a * b
    loss.backward()
    titles = [t.text for t in parsed(ag.draw(loss)).iter(f"{SVG}title")]
    assert "v3 = v1 * v2 = 2 * 3 = 6; d(v3)/d(v3) = 1" in titles
    assert "v1 = Value(2); d(v3)/d(v1) = 3" in titles
    assert "d(v3)/d(v2) = 2" in titles


def test_it_says_what_it_is_to_those_who_do_not_see_it():
    root = parsed(ag.draw(slides()))
    assert root.get("role") == "img"
    assert "Loss = residual ** 2 = 9" in root.get("aria-label")
    assert root.find(f"{SVG}rect").get("fill") == "#FFFFFF"


def test_several_roots_in_one_picture():
    x = ag.Value(1.0, name="x")
    root = parsed(ag.draw([x + 1, x * 2]))
    assert len(groups(root, "root")) == 2
    assert len(groups(root, "input")) == 1


def test_a_leaf_alone():
    picture = ag.draw(ag.Value(2.0, name="x"))
    assert len(groups(parsed(picture), "box")) == 1
    accepted_by_graphviz(picture.dot)


# --- frames ----------------------------------------------------------------------------------------------


def path(model, frame):
    parts = []
    while frame is not None:
        parts.append(model.frames[frame].title)
        frame = model.frames[frame].parent
    return "/".join(reversed(parts))


def test_neuron_in_layer_in_network():
    model = ag.draw(network()).diagram
    nested = {path(model, i) for i in range(len(model.frames))}
    assert nested == {
        "MLP",
        "MLP/layer 0",
        "MLP/layer 0/neuron 0",
        "MLP/layer 0/neuron 1",
        "MLP/layer 1",
        "MLP/layer 1/neuron 0",
    }
    inside = {box.about.split(" =")[0]: path(model, box.frame) for box in model.boxes if box.kind == "parameter"}
    assert inside["layers[0].neurons[1].w[2]"] == "MLP/layer 0/neuron 1"
    assert inside["layers[1].neurons[0].b"] == "MLP/layer 1/neuron 0"
    assert all(box.frame is None for box in model.boxes if box.kind == "input" or box.root)


def test_frames_of_blocks_and_where_their_leaves_go():
    x, w, shared = ag.Value(2.0, name="x"), ag.Parameter(3.0, name="w"), ag.Parameter(4.0, name="shared")
    with ag.scope("first"):
        a = w * x * shared
    with ag.scope("second"):
        b = a * shared + 5
    model = ag.draw(a + b).diagram
    assert [frame.title for frame in model.frames] == ["first", "second"]
    where = {box.title: box.frame for box in model.boxes}
    assert (where["x"], where["w"], where["shared"]) == (None, 0, None)
    assert [box.frame for box in model.boxes if box.literal] == [1]


@pytest.mark.parametrize("direction", ["BT", "LR"])
@pytest.mark.parametrize("engine", ENGINES)
def test_boxes_do_not_overlap_and_stay_in_their_frames(engine, direction):
    plan, placed = laid_out(network((3, 2, 1)), engine, direction)
    corners = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(placed.boxes, plan.boxes, strict=True)
    ]

    def overlap(a, b):
        return min(a[2], b[2]) - max(a[0], b[0]) > 0.5 and min(a[3], b[3]) - max(a[1], b[1]) > 0.5

    for i, a in enumerate(corners):
        assert a[0] > -0.5
        assert a[1] > -0.5
        assert a[2] < placed.width + 0.5
        assert a[3] < placed.height + 0.5
        assert not any(overlap(a, b) for b in corners[:i])
        around, frame = set(), plan.inside[i]
        while frame is not None:
            around.add(frame)
            frame = plan.frames[frame][0]
        for frame, box in enumerate(placed.frames):
            if frame in around:
                assert box[0] < a[0] < a[2] < box[2]
                assert box[1] < a[1] < a[3] < box[3]
            else:
                assert not overlap(a, box)


def laid_out(loss, engine, direction="BT"):
    from autograd_lite.pictures.writers import scene

    taken = {}

    def spy(plan):
        taken["plan"] = plan
        taken["placed"] = ENGINES[engine](plan)
        return taken["placed"]

    if ENGINES[engine](LayoutInput([(10.0, 10.0)], [], [], [None], "BT")) is None:
        pytest.skip(f"no Graphviz for the layout by {engine} here")
    before = scene.lay_out
    scene.lay_out = spy
    try:
        scene.scene(ag.draw(loss).diagram, direction)
    finally:
        scene.lay_out = before
    return taken["plan"], taken["placed"]


@pytest.mark.parametrize("direction", ["BT", "LR"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_root_is_on_top_or_at_the_right(engine, direction):
    _, placed = laid_out(slides(), engine, direction)
    root, *rest = reversed(placed.boxes)
    if direction == "BT":
        assert root[1] == min(y for _, y in placed.boxes)
    else:
        assert root[0] == max(x for x, _ in placed.boxes)
    assert rest


@pytest.mark.parametrize("engine", ENGINES)
def test_edges_begin_and_end_at_their_boxes(engine):
    plan, placed = laid_out(network(), engine)
    for (source, target, _, _), arrow in zip(plan.edges, placed.arrows, strict=True):
        for box, (x, y) in ((source, arrow.points[0]), (target, arrow.points[-1])):
            (cx, cy), (w, h) = placed.boxes[box], plan.boxes[box]
            assert abs(x - cx) <= w / 2 + 2
            assert abs(y - cy) <= h / 2 + 2
        assert len(arrow.points) % 3 == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_every_layout_shows_the_same_things(engine, monkeypatch):
    if ENGINES[engine](LayoutInput([(10.0, 10.0)], [], [], [None], "BT")) is None:
        pytest.skip(f"no Graphviz for the layout by {engine} here")
    loss = slides()
    expected = parsed(ag.draw(loss))
    monkeypatch.setattr(choice, "ENGINES", [ENGINES[engine]])
    root = parsed(ag.draw(loss))
    assert sorted(root.itertext()) == sorted(expected.itertext())


def test_without_graphviz_it_draws_all_the_same(monkeypatch):
    importing = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pygraphviz":
            raise ImportError(name)
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setenv("PATH", "")
    plan = LayoutInput([(10.0, 10.0)], [], [], [None], "BT")
    assert by_graphviz.by_pygraphviz(plan) is None
    assert by_graphviz.by_command(plan) is None
    picture = ag.draw(slides())
    assert len(groups(parsed(picture), "box")) == 11
    assert "digraph" in picture.dot


ANSWER = {
    "bb": "0,0,100,200",
    "objects": [
        {"name": "cluster_0", "bb": "10,0,90,60"},
        {"name": "n0", "pos": "50,20"},
        {"name": "n1", "pos": "50,180"},
    ],
    "edges": [{"pos": "50,20 50,180"}, {"id": "e0", "pos": "e,50,160 50,40 50,80 50,120 50,150", "lp": "60,100"}],
}
TWO = LayoutInput([(20.0, 20.0), (20.0, 20.0)], [(0, 1, 9.0, 9.0)], [(None, 9.0)], [0, None], "BT")


def answering(monkeypatch, answer):
    """A `dot` command that says this."""
    monkeypatch.setattr(by_graphviz, "find_command", lambda name: name)

    def run(command, *, input, **options):
        assert command == ["dot", "-Tjson"]
        assert input.startswith(b"digraph {")
        if isinstance(answer, Exception):
            raise answer
        return subprocess.CompletedProcess(command, 0, answer.encode())

    monkeypatch.setattr(by_graphviz.subprocess, "run", run)


def test_what_graphviz_says_is_read_upside_down(monkeypatch):
    unplaced = {"objects": [*ANSWER["objects"], {"name": "a group without a place"}]}
    answering(monkeypatch, json.dumps(ANSWER | unplaced))
    placed = by_graphviz.by_command(TWO)
    assert (placed.width, placed.height) == (100.0, 200.0)
    assert placed.boxes == ((50.0, 180.0), (50.0, 20.0))
    assert placed.frames == ((10.0, 140.0, 90.0, 200.0),)
    (arrow,) = placed.arrows  # the edge without an id only keeps frames above each other
    assert arrow.points == ((50.0, 160.0), (50.0, 120.0), (50.0, 80.0), (50.0, 50.0))
    assert arrow.label == (60.0, 100.0)


@pytest.mark.parametrize(
    "answer",
    ["", "{}", json.dumps(ANSWER | {"bb": "0,0"}), json.dumps(ANSWER | {"objects": [], "edges": []}), OSError("gone"),
     subprocess.TimeoutExpired("dot", 60), subprocess.CalledProcessError(1, "dot")],
    ids=["nothing", "no size", "half a size", "an edge short", "no start", "too long", "failed"],
)  # fmt: skip
def test_without_a_whole_answer_of_graphviz_we_draw_ourselves(answer, monkeypatch):
    class AGraph:
        def __init__(self, string):
            assert string.startswith("digraph {")

        def draw(self, format, prog):
            if isinstance(answer, subprocess.SubprocessError):
                raise ValueError(answer)
            if isinstance(answer, OSError):
                raise answer
            return answer

    answering(monkeypatch, answer)
    monkeypatch.setitem(sys.modules, "pygraphviz", types.SimpleNamespace(AGraph=AGraph))
    assert by_graphviz.by_command(TWO) is None
    assert by_graphviz.by_pygraphviz(TWO) is None
    flat = LayoutInput(TWO.boxes, TWO.edges, [], [None, None], "BT")  # of frames we draw them ourselves anyway
    assert choice.lay_out(flat) == choice.by_ourselves(flat)


# --- ids and determinism ---------------------------------------------------------------------------------


def test_ids_are_unique_over_several_outputs():
    loss = slides()
    pictures = [ag.draw(loss), ag.draw(loss), ag.draw(network()), ag.draw(loss, direction="LR")]
    ids = [element.get("id") for picture in pictures for element in parsed(picture).iter() if element.get("id")]
    assert len(ids) > 60
    assert len(set(ids)) == len(ids)


def test_ids_of_one_picture_stay():
    picture = ag.draw(slides())
    assert picture.svg == picture.svg
    assert picture._repr_mimebundle_()["image/svg+xml"] == picture.svg


def test_nothing_in_the_svg_reaches_out_of_it():
    picture = ag.draw(network())
    reaches = r"<(style|script|defs|use|image)|url\(|href|@import|http(?!://www.w3.org/2000/svg)"
    assert not re.search(reaches, picture.still)
    # What turns it dark is one style sheet, each rule of which begins with the picture's own id.
    (rules,) = re.findall(r"<style>@media \(prefers-color-scheme:dark\)\{(.*)\}</style>", picture.svg)
    assert picture.svg.replace(f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>\n", "") == picture.still
    assert all(rule.startswith(f"#{picture.prefix} [") for rule in rules.split("}") if rule)


PROGRAM = """
import autograd_lite as ag
from autograd_lite.pictures.layout import choice
choice.ENGINES[:] = [choice.by_ourselves]
model = ag.MLP(2, [3, 1], activation="tanh", seed=1)
small, large = model([ag.Value(1.0, name="x"), 2.0]), ag.sum([model([k / 9, 0.5]) ** 2 for k in range(9)])
for loss in (small, large):
    loss.backward()
    picture = ag.draw(loss)
    print(picture.svg, picture.dot, ag.tape(loss), ag.draw(loss, direction="LR").svg)
"""


def test_output_does_not_depend_on_the_hash_seed():
    def run(seed):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        return subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, env=environment).stdout

    assert run("0") == run("1") == run("77")


# --- names from anywhere ---------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_in_svg(name, engine, monkeypatch):
    monkeypatch.setattr(choice, "ENGINES", [ENGINES[engine], choice.by_ourselves])
    picture = ag.draw(hostile_graph(name))
    root = parsed(picture)
    assert {e.tag.removeprefix(SVG) for e in root.iter()} == {"svg", "title", "rect", "g", "path", "polygon", "text"}
    assert len(groups(root, "box")) == 4
    assert (printable(name) if name.strip() else "v1") in texts(root, "title")
    assert len(picture.svg) < 12_000


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_in_dot(name):
    graph = accepted_by_graphviz(ag.draw(hostile_graph(name)).dot)
    assert sorted(graph.nodes()) == ["n0", "n1", "n2", "n3"]
    assert len(graph.edges()) == 4
    assert [s.name for s in graph.subgraphs()] == ["cluster_0"]
    svg = graph.draw(format="svg", prog="dot")
    shown = "".join(ET.fromstring(svg).itertext()).replace("\xa0", " ")
    assert printable(name).strip() in shown


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_in_files(name, tmp_path):
    picture = ag.draw(hostile_graph(name))
    for form in writers.WRITERS:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "save: no font on this machine has")  # of this machine
            path = picture.save(tmp_path / f"x.{form}")
        assert path.stat().st_size > 500
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 2  # the page's own
    assert "<b>" not in page
    assert (tmp_path / "x.svg").read_text(encoding="utf-8") == picture.still


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_in_text(name):
    loss = hostile_graph(name)
    for text in (str(ag.tape(loss)), repr(ag.draw(loss))):
        assert len(text.splitlines()) == 4
        assert len(text) < 4000
        text.encode("utf-8")
        assert all(c.isprintable() or c == "\n" for c in text)


def test_a_hostile_symbol():
    evil = ag.primitive("evil_symbol", lambda a: a, lambda a: 1.0, symbol='<x>"&\x00\ud800')
    picture = ag.draw(evil(ag.Value(1.0)))
    assert texts(parsed(picture), "symbol") == ['<x>"&\\x00\\ud800']
    accepted_by_graphviz(picture.dot)


def test_text_fits_its_box():
    loss = slides() * ag.Value(1.23456e-300, name="W" * 40)
    loss.backward()
    for box in groups(parsed(ag.draw(loss)), "box"):
        rect = box.find(f"{SVG}rect")
        room = float(rect.get("width"))
        for text in box.iter(f"{SVG}text"):
            assert width(text.text, float(text.get("font-size")), bold=True) <= room


# --- what a Picture does ---------------------------------------------------------------------------------


def test_what_a_notebook_gets():
    loss = slides()
    picture = ag.draw(loss)
    bundle = picture._repr_mimebundle_()
    assert list(bundle) == ["text/plain", "image/svg+xml", "text/html"]
    assert bundle["text/plain"] == str(ag.tape(loss))
    # A notebook that is not trusted drops the frame and keeps what is inside it.
    frame = re.fullmatch(r'<style>[^<]*</style><iframe class="ag-frame" sandbox="" title="[^"]*" '
                         r'style="[^"]*" srcdoc="([^"]*)">(<img [^>]*>)</iframe>',
                         bundle["text/html"], re.DOTALL)  # fmt: skip
    assert html.unescape(frame[1]).endswith(picture.svg)
    coded = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', frame[2])[1]
    assert base64.b64decode(coded).decode("utf-8") == picture.svg


def test_text_and_picture_keep_the_numbers_of_when_it_was_drawn():
    w = ag.Parameter(3.0, name="w")
    loss = w * w
    loss.backward()
    picture, then = ag.draw(loss), str(ag.tape(loss))
    w.data, w.grad = 7.0, 0.0
    assert repr(picture) == then != str(ag.tape(loss))
    assert (boxed(picture)["w"].f, boxed(picture)["w"].g) == ((3.0, 3.0), (6.0, 6.0))
    assert ">f = 3<" in picture.svg


def boxed(picture):
    return {box.title: box for box in picture.diagram.boxes}


def test_a_page_made_later_has_the_numbers_of_when_it_was_drawn():
    model = ag.MLP(2, [16, 16, 1], activation="tanh", seed=0)
    loss = model([1.0, 2.0]) ** 2
    loss.backward()
    picture, twin = ag.draw(loss), ag.draw(loss)
    assert picture.html.count('class="view"') > 20  # each neuron opens
    for p in model.parameters():
        p.data = 1234.5
    assert "1234" not in twin.html
    assert twin.html.count('class="view"') > 3  # the layers still do, over what the picture shows


def png_size(data):
    return struct.unpack(">II", data[16:24])


@pytest.mark.parametrize("painter", ["by_matplotlib", "by_pygraphviz", "by_command"])
def test_a_png_has_the_resolution_that_was_asked_for(painter):
    picture = ag.draw(slides())
    one, three = (getattr(raster, painter)(picture, "png", dpi) for dpi in (72.0, 216.0))
    if one is None:
        pytest.skip(f"what {painter} needs is not installed here")
    assert png_size(three) == pytest.approx([3 * x for x in png_size(one)], abs=6)
    assert png_size(one) == pytest.approx((picture.scene.width, picture.scene.height), rel=0.25)  # Graphviz has its own


def test_a_png_is_as_sharp_as_asked_and_never_too_large_to_open(tmp_path):
    pytest.importorskip("matplotlib", reason="paints the scene")
    picture = ag.draw(slides())
    assert png_size(picture.save(tmp_path / "a.png").read_bytes())[0] == pytest.approx(2 * picture.scene.width, abs=2)
    sharp = picture.save(tmp_path / "b.png", scale=3).read_bytes()
    assert png_size(sharp)[0] == pytest.approx(3 * picture.scene.width, abs=2)
    most = png_size(raster.write(picture, "png", 1e9))
    assert most[0] * most[1] <= 1.01 * raster.MOST_PIXELS
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="save: scale must be above 0"):
            picture.save(tmp_path / "c.png", scale=wrong)
    with pytest.raises(TypeError, match="save: scale"):
        picture.save(tmp_path / "c.png", scale="2")
    assert not (tmp_path / "c.png").exists()


@pytest.mark.parametrize("sizes", [(3, 2, 1), (2, 2, 2, 1)])
def test_a_small_network_fits_a_page(sizes):
    n, *widths = sizes
    loss = (ag.MLP(n, widths, activation="tanh", seed=0)([ag.Value(0.5, name=f"x{i}") for i in range(n)]) - 1.0) ** 2
    loss.backward()
    assert ag.draw(loss).scene.width <= choice.PAGE


def test_many_leaves_of_one_box_stand_in_several_rows():
    total = ag.sum([ag.Value(float(i), name=f"x[{i}]") for i in range(40)])
    scene = ag.draw(total).scene
    assert scene.width < 1200
    tops = {rect.y for group in scene.elements if group.kind == "box input" for rect in group.shapes[:1]}
    assert len(tops) == 4


def test_frames_inside_each_other_without_end():
    with contextlib.ExitStack() as stack:
        for i in range(900):
            stack.enter_context(ag.scope(f"s{i}"))
        y = ag.Parameter(1.0) * 2.0
    picture = ag.draw(y)
    titles = [frame.title for frame in picture.diagram.frames]
    assert titles == [*(f"s{i}" for i in range(6)), "… 889 more frames …", *(f"s{i}" for i in range(895, 900))]
    assert picture.scene.height < 1000


def test_dot_has_the_same_boxes_edges_and_frames():
    graph = accepted_by_graphviz(ag.draw(network()).dot)
    model = ag.draw(network()).diagram
    assert len(graph.nodes()) == len(model.boxes)
    assert len(graph.edges()) == len(model.edges)
    assert len(graph.get_subgraph("cluster_0").subgraphs()) == 2  # the layers within the network
    assert graph.graph_attr["rankdir"] == "BT"


@pytest.mark.parametrize("painter", ["by_matplotlib", "by_pygraphviz", "by_command"])
@pytest.mark.parametrize(("form", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_png_and_pdf(painter, form, magic):
    found = getattr(raster, painter)(ag.draw(network()), form, 72.0)
    if found is None:
        pytest.skip(f"what {painter} needs is not installed here")
    assert found.startswith(magic)


def test_png_without_a_painter_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(raster, "RENDERERS", [lambda picture, form, dpi: None])
    with pytest.raises(RuntimeError, match=r"\.png needs Matplotlib or Graphviz.*pip install 'autograd_lite\[viz\]'"):
        ag.draw(slides()).save(tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_without_matplotlib_the_next_one_paints(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    monkeypatch.setattr(raster, "RENDERERS", [raster.by_matplotlib, lambda picture, form, dpi: b"painted otherwise"])
    assert raster.by_matplotlib(ag.draw(slides()), "png", 72.0) is None
    assert ag.draw(slides()).save(tmp_path / "x.png").read_bytes() == b"painted otherwise"


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'x\.gif' must end in \.svg, \.png"):
        ag.draw(slides()).save(tmp_path / "x.gif")


def test_misuse_is_refused():
    with pytest.raises(TypeError, match=r"draw: expected a Value .*got float 3\.0"):
        ag.draw(3.0)
    with pytest.raises(TypeError, match="tape: expected a Value"):
        ag.tape([])
    with pytest.raises(ValueError, match=r"direction must be 'BT'.*or 'LR'.*got str 'TB'"):
        ag.draw(slides(), direction="TB")


def test_importing_the_package_loads_no_picture_code():
    code = (
        "import sys, autograd_lite as ag;"
        "assert not {'graphviz', 'numpy', 'autograd_lite.pictures'} & sys.modules.keys();"
        "ag.tape(ag.Value(1.0)); assert not {'graphviz', 'numpy', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the tape --------------------------------------------------------------------------------------------


def test_the_tape_of_the_slides_example():
    loss = slides()
    loss.backward()
    assert str(ag.tape(loss)).splitlines() == [
        "w1 = Parameter(3)      f=3   g=6",
        "phi1 = Value(1)        f=1   g=18",
        "v3 = w1 * phi1         f=3   g=6    local=(1, 3)",
        "w2 = Parameter(1)      f=1   g=12",
        "phi2 = Value(2)        f=2   g=6",
        "v6 = w2 * phi2         f=2   g=6    local=(2, 1)",
        "v7 = v3 + v6           f=5   g=6    local=(1, 1)",
        "y = Value(2)           f=2   g=-6",
        "residual = v7 - y      f=3   g=6    local=(1, -1)",
        "Loss = residual ** 2   f=9   g=1    local=(6, -)",
    ]


def test_formulas():
    a, b = ag.Value(-2.0, name="a"), ag.Value(3.0, name="b")
    shown = {
        "-a": -a,
        "a ** 2": a**2,
        "2 - a": 2 - a,
        "a * (-3)": a * -3,
        "relu(a)": ag.relu(a),
        "maximum(a, b)": ag.maximum(a, b),
        "clamp(a, 0, 1)": ag.clamp(a, 0.0, 1.0),
        "sum([a, b, 1])": ag.sum([a, b, 1.0]),
        "dot([a, 1], [b, a], b)": ag.dot([a, 1.0], [b, a], b),
    }
    for text, node in shown.items():
        assert f"= {text} " in str(ag.tape(node)), text


def test_names_that_are_not_unique_or_look_like_places_are_not_used():
    same, other, place = ag.Value(1.0, name="x"), ag.Value(2.0, name="x"), ag.Value(3.0, name="v1")
    lines = str(ag.tape(same * other + place)).splitlines()
    assert [line.split(" =")[0] for line in lines] == ["v1", "v2", "v3", "v4", "v5"]
    assert "name='x'" in lines[0]
    assert "name='v1'" in lines[3]


def test_a_long_tape_is_shortened_unless_asked_for():
    x = ag.Value(1.0, name="x")
    for _ in range(1000):
        x = x + 1.0
    lines = str(ag.tape(x)).splitlines()
    assert len(lines) == 41
    assert lines[20] == "... 961 more lines; ag.tape(loss, full=True) has them all ..."
    assert len(str(ag.tape(x, full=True)).splitlines()) == 1001


def test_a_node_of_many_operands_is_shortened():
    line = str(ag.tape(ag.sum([ag.Value(1.0) for _ in range(5000)]))).splitlines()[-1]
    assert len(line) < 200
    assert "v10, ..., v5000])" in line


def test_a_long_formula_pushes_its_own_line_out_and_no_other():
    lines = str(ag.tape(ag.MLP(2, [16, 16, 1], activation="tanh", seed=0)([0.5, -1.0]), full=True)).splitlines()
    short = [line for line in lines if "dot(" not in line]
    assert len(short) > 300
    assert max(map(len, short)) < 160
    assert len({line.index("f=") for line in short}) == 1


# --- folding ---------------------------------------------------------------------------------------------


def test_a_small_graph_is_not_folded_and_a_large_one_is():
    assert not ag.draw(network()).diagram.note
    model = ag.draw(network((16, 16, 1))).diagram
    assert len(model.boxes) <= 60
    assert "Folded:" in model.note
    assert "fold=False draws every value" in model.note


def test_a_network_folds_by_layer():
    loss = network((16, 16, 1))
    model = ag.draw(loss).diagram
    assert {frame.title for frame in model.frames} == {"MLP", "layer 0", "layer 1", "layer 2"}
    inside = {}
    for box in model.boxes:
        inside.setdefault(path(model, box.frame), Counter())[box.symbol or box.kind] += box.count
    assert inside["MLP/layer 0"] == {"parameter": 16 * 3 + 16, "dot": 16, "tanh": 16}
    assert inside["MLP/layer 1"] == {"parameter": 16 * 16 + 16, "dot": 16, "tanh": 16}
    weights = [box for box in model.boxes if "layers[1].neurons[*].w[*]" in box.note]
    assert [box.title for box in weights] == ["256 parameters"]
    values = [v for v in ag_parameters(loss) if v.name.startswith("layers[1].") and ".w[" in v.name]
    assert weights[0].f == (min(v.data for v in values), max(v.data for v in values))
    assert weights[0].g == (min(v.grad for v in values), max(v.grad for v in values))
    assert "f: " in ag.draw(loss).svg


def ag_parameters(loss):
    from autograd_lite.engine.graph import toposort

    return [v for v in toposort(loss) if isinstance(v, ag.Parameter)]


def test_micrograds_moons_loss_draws_as_a_dozen_odd_boxes():
    picture = ag.draw(scalar_network())
    model = picture.diagram
    assert 10 <= len(model.boxes) <= 30
    assert re.search(r"6\d,\d{3} values in \d\d boxes", model.note)
    assert [box.count for box in model.boxes if box.symbol == "relu"] == [1600, 1600, 100]
    counts = Counter(box.count for box in model.boxes if box.kind == "parameter")
    assert counts == {32: 1, 256: 1, 16: 3, 1: 1}
    assert sum(box.root for box in model.boxes) == 1
    accepted_by_graphviz(picture.dot)
    parsed(picture)


@pytest.mark.parametrize("steps", [40, 10_000])
def test_the_steps_of_a_recurrence_are_one_box(steps):
    """Of 40 too, which are few enough for a box each, but for their numbers."""
    y = x = ag.Value(1.0, name="x")
    for _ in range(steps):
        y = y * 0.999
    picture = ag.draw(y)
    titles = [box.title for box in picture.diagram.boxes]
    assert f"step, {steps - 1:,} times" in titles
    assert f"A loop of {steps:,} steps" in picture.diagram.note
    assert picture.diagram.boxes[-1].root
    assert all(edge.source < edge.target for edge in picture.diagram.edges)  # no cycle
    assert x.name in titles
    parsed(picture)
    accepted_by_graphviz(picture.dot)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_recurrence_in_every_layout(engine, monkeypatch):
    monkeypatch.setattr(choice, "ENGINES", [ENGINES[engine], choice.by_ourselves])
    w, u = ag.Parameter(0.5, name="w"), ag.Parameter(0.9, name="u")
    h = ag.Value(0.0)
    for t in range(40):
        h = ag.tanh(w * ag.Value(float(t)) + u * h)
    h.backward()
    model = ag.draw(h).diagram
    assert len(groups(parsed(ag.draw(h)), "box")) == len(model.boxes) < 20
    assert len(groups(parsed(ag.draw(h)), "edge")) == len(model.edges)


def test_every_scalar_is_in_one_box():
    loss = network((16, 16, 1))
    from autograd_lite.engine.graph import toposort

    model = ag.draw(loss, fold=True).diagram
    assert sum(box.count for box in model.boxes if not box.literal) == len(toposort(loss))


@pytest.mark.parametrize("direction", ["BT", "LR"])
def test_steps_that_take_from_themselves_have_loops_beside_their_box(direction, monkeypatch):
    monkeypatch.setattr(choice, "ENGINES", [])
    y = ag.Value(1.0, name="x")
    for _ in range(100):
        y = ag.maximum(y, y)
    picture = Picture(folded(graph.toposort(y), [y], 60, False), direction, str)
    loops = [i for i, edge in enumerate(picture.diagram.edges) if edge.source == edge.target]
    assert len(loops) == 2
    place = {group.id: group.shapes for group in picture.scene.elements}
    labels = []
    for i in loops:
        rect = place[f"box{picture.diagram.edges[i].source}"][0]
        curve, ground, _ = place[f"edge{i}"]
        for x, y in (curve.points[0], curve.head[0]):
            if direction == "BT":
                assert 0.0 <= x - (rect.x + rect.width) < 4.0
                assert rect.y < y < rect.y + rect.height
            else:
                assert 0.0 <= y - (rect.y + rect.height) < 4.0
                assert rect.x < x < rect.x + rect.width
        labels.append(ground)
        assert ground.x >= rect.x + rect.width or ground.y >= rect.y + rect.height
        assert ground.x + ground.width <= picture.scene.width
        assert ground.y + ground.height <= picture.scene.height
    one, other = labels
    assert one.x + one.width <= other.x or one.y + one.height <= other.y


def test_a_recurrence_through_frames_keeps_no_frame_above_the_other():
    chain = [(0, 1), (1, 2), (2, 3), (0, 2)]
    boxes, edges = [(40.0, 20.0)] * 4, [(a, b, 0.0, 0.0) for a, b in chain]
    around = LayoutInput(boxes, edges, [(None, 9.0), (None, 9.0)], [0, 1, 0, 1], "BT")
    assert geometry.frame_edges(around) == []
    assert len(choice.by_ourselves(around).arrows) == 4
    assert geometry.frame_edges(LayoutInput(boxes, edges, around.frames, [0, 0, 1, 1], "BT")) == [(0, 2), (1, 2)]


@pytest.mark.parametrize("title", [20.0, 200.0])
def test_frames_that_nothing_pulls_together_stand_side_by_side(title):
    plan = LayoutInput([(40.0, 20.0)] * 2, [], [(None, title)] * 2, [0, 1], "BT")
    (_, top, right, _), (left, other, _, _) = choice.by_ourselves(plan).frames
    assert 0.0 < left - right < 60.0
    assert top == other


def test_no_frame_lies_over_another_or_over_a_box_of_another():
    """Titles are often wider than what is in a frame."""
    for seed in range(60):
        rng = random.Random(seed)
        frames = []
        for i in range(rng.randrange(1, 6)):
            frames.append((rng.choice([None, *range(i)]), rng.choice([20.0, 60.0, 150.0, 250.0])))
        inside = [*range(len(frames)), *(rng.choice([None, *range(len(frames))]) for _ in range(rng.randrange(8)))]
        rng.shuffle(inside)
        boxes = [(rng.choice([30.0, 60.0, 100.0]), 20.0) for _ in inside]
        pairs = [(a, b) for b in range(len(boxes)) for a in range(b) if rng.random() < 2 / len(boxes)]
        edges = [(a, b, *rng.choice([(0.0, 0.0), (30.0, 14.0)])) for a, b in pairs]
        placed = choice.by_ourselves(LayoutInput(boxes, edges, frames, inside, "BT"))

        around = [{None}]  # for each frame itself and those around it; None last
        for i, (parent, _) in enumerate(frames):
            around.insert(i, {i} | around[-1 if parent is None else parent])
        corners = [
            (x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(placed.boxes, boxes, strict=True)
        ]
        things = [*zip(placed.frames, around[:-1], strict=True)]
        for i, frame in enumerate(inside):
            things.append((corners[i], around[-1 if frame is None else frame] | {("box", i)}))
        for i, (a, of_a) in enumerate(things):
            for b, of_b in things[:i]:
                across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
                assert of_a < of_b or of_b < of_a or min(across, down) < 0.5, (seed, a, b)


def test_an_edge_past_very_many_rows_runs_straight(monkeypatch):
    chain = [(i, i + 1, 9.0, 9.0) for i in range(6)]
    plan = LayoutInput([(40.0, 20.0)] * 7, [*chain, (0, 6, 9.0, 9.0)], [], [None] * 7, "BT")
    round_about = layered.layered(plan)
    monkeypatch.setattr(rows, "MOST_POINTS", 3)
    straight = layered.layered(plan)
    assert len(straight.arrows[-1].points) < len(round_about.arrows[-1].points) / 2
    assert [arrow.points for arrow in straight.arrows[:-1]] != []
    for placed in (straight, round_about):
        start, end = placed.arrows[-1].points[0], placed.arrows[-1].points[-1]
        assert start[1] == placed.boxes[0][1] - 10.0
        assert end[1] == placed.boxes[6][1] + 10.0
        assert abs(start[0] - placed.boxes[0][0]) < 20.0
        assert abs(end[0] - placed.boxes[6][0]) < 20.0


def test_the_head_of_an_arrow_looks_back_past_points_that_are_too_near():
    points, (tip, *_) = scene._headed(((0.0, 10.0), (9.0, 10.0), (9.5, 10.2), (10.0, 10.0)), 0.0, 4.0)
    assert points[-1] == (6.0, 10.0)  # along the way from the first point, not from the last but one
    assert tip == (10.0, 10.0)
    points, _ = scene._headed(((10.0, 10.1),) * 3 + ((10.0, 10.0),), 0.0, 4.0)
    assert points[-1] == (10.0, 14.0)  # no way to speak of: up, as most edges go


def test_fold_true_folds_a_small_graph():
    model = ag.draw(network(), fold=True).diagram
    assert "Folded" in model.note
    assert len(model.boxes) < len(ag.draw(network()).diagram.boxes)


def test_fold_false_insists():
    loss = network((8, 8, 1))
    from autograd_lite.engine.graph import raw_operands, toposort

    literals = sum(x.__class__ is float for v in toposort(loss) for x in raw_operands(v))
    assert len(groups(parsed(ag.draw(loss, fold=False)), "box")) == len(toposort(loss)) + literals


def test_fold_false_refuses_what_nobody_could_read():
    x = ag.Value(1.0)
    for _ in range(600):
        x = x * 1.1
    with pytest.raises(ValueError, match=r"draw: 1,201 boxes are more than fold=False draws \(1,000\); leave fold out"):
        ag.draw(x, fold=False)


def test_fold_false_in_our_own_layout(monkeypatch):
    monkeypatch.setattr(choice, "ENGINES", [choice.by_ourselves])
    x = ag.Value(1.0)
    y = x
    for _ in range(50):
        y = ag.tanh(y + x)
    assert len(groups(parsed(ag.draw(y, fold=False)), "box")) == 101


def test_a_graph_without_any_likeness_still_folds():
    x = v = ag.Value(0.5)
    functions = [ag.sin, ag.cos, ag.tanh, ag.sigmoid, ag.exp, ag.relu, ag.atan, ag.softplus]
    for i in range(300):
        v = functions[(i * i + i // 7) % 8](v * x + (v if i % 3 else x))
    assert len(ag.draw(v).diagram.boxes) <= 60
    toposort = graph.toposort(v)
    sizes = {most: len(folded(toposort, [v], most, False).boxes) for most in (30, 20, 1)}
    assert sizes == {30: 27, 20: 11, 1: 11}  # of one shape; of one primitive, and there are no fewer


def test_names_too_long_to_compare_have_no_pattern():
    long = "w" * 250
    assert name_pattern([long + "1", long + "2"]) == ""
    assert name_pattern(["w1", long + "2"]) == ""
    total = ag.sum([ag.Parameter(0.1 * i, name=f"{long}{i}") for i in range(100)])
    assert [box.note for box in ag.draw(total).diagram.boxes if box.count == 100] == [""]


def test_one_leaf_used_very_often():
    x = ag.Value(1.0, name="x")
    model = ag.draw(ag.sum([x] * 100_000)).diagram
    assert len(model.boxes) == 2


def test_graphviz_is_spared_many_long_edges(monkeypatch):
    def slow(plan):
        raise AssertionError("Graphviz would take minutes for this")

    monkeypatch.setattr(choice, "ENGINES", [slow])
    y = x = ag.Value(1.0)
    for _ in range(50):  # x alone has edges over 2,500 rows
        y = ag.tanh(y + x)
    assert len(groups(parsed(ag.draw(y, fold=False)), "box")) == 101


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: 2**x, "2 ** x"),
        (lambda x: 1 - x, "1 - x"),
        (lambda x: 1 / x, "1 / x"),
        (lambda x: ag.where(x, x, 3.0), "where(x, x, 3)"),
    ],
)
def test_a_box_says_which_operand_is_which(make, words):
    assert words in ag.draw(make(ag.Value(3.0, name="x"))).svg


def test_a_leaf_changed_since_makes_no_false_equation():
    v = ag.Value(2.0, name="v")
    y = v * v
    assert "2 * 2 = 4" in ag.draw(y).svg
    v.data = 9.0
    svg = ag.draw(y).svg
    assert "9 * 9" not in svg
    assert "an operand has changed since" in svg


@pytest.mark.parametrize("fold", [None, True])
def test_numbers_of_two_times_are_told_in_words(fold):
    w = ag.Parameter(3.0, name="w")
    loss = w * w
    loss.backward()
    said = "A leaf was changed after this was computed"
    assert said not in ag.draw(loss, fold=fold).diagram.note
    assert said not in str(ag.tape(loss))
    w.data = 1.0
    assert said in ag.draw(loss, fold=fold).diagram.note
    assert said in str(ag.tape(loss)).splitlines()[-1]


def test_a_name_of_blanks_is_none():
    assert [box.title for box in ag.draw(ag.Value(1.0, name="  ") + ag.Value(2.0, name="y")).diagram.boxes] == [
        "v1",
        "y",
        "v3",
    ]


def test_backslashes_in_dot_labels_are_text():
    assert "&#92;N" in ag.draw(ag.Value(1.0, name=r"\N") * 2).dot


def test_misuse_names_the_argument_and_the_way_out():
    loss = slides()
    with pytest.raises(TypeError, match=r"tape: expected a Value .* got MLP .*: give model\(x\)"):
        ag.tape(ag.MLP(1, [1], seed=0))
    with pytest.raises(TypeError, match="draw: fold must be True, False or None, got str 'no'"):
        ag.draw(loss, fold="no")
    with pytest.raises(ValueError, match="the graphs differ, 1 box before and 11 now"):
        ag.draw(loss, compare=ag.draw(ag.Value(1.0)))


# --- what is large in another way than in boxes -----------------------------------------------------------------


@pytest.mark.parametrize("deep", [11, 12, 13, 14, 30])
@pytest.mark.parametrize("show", [ag.draw, ag.step, ag.quiz])
def test_scopes_inside_each_other_with_nodes_in_each(deep, show):
    """A chain of 13 was shortened and the 12 scopes around it were not: one frame had two parents, another nothing."""
    y = ag.Parameter(1.0, name="w")
    with contextlib.ExitStack() as stack:
        for i in range(deep):
            stack.enter_context(ag.scope(f"s{i}"))
            y = ag.tanh(y)
    shown = show(y)
    diagram = (shown if show is ag.draw else shown.picture).diagram
    assert len(diagram.frames) == min(deep, 12)
    assert {box.frame for box in diagram.boxes} == set(range(len(diagram.frames)))
    assert [frame.parent for frame in diagram.frames] == [None, *range(len(diagram.frames) - 1)]
    middle = [frame.title for frame in diagram.frames if frame.title.startswith("…")]
    assert middle == ([f"… {deep - 11} more frames …"] if deep > 12 else [])
    ET.fromstring((shown if show is ag.draw else shown.picture).svg)


def test_frames_that_branch_far_inside():
    """The middle of a tree of scopes is decided for the tree, so that each frame has one parent."""
    ends = []
    for branch, deep in (("a", 20), ("b", 9), ("c", 14)):
        with contextlib.ExitStack() as stack:
            stack.enter_context(ag.scope("root"))
            y = ag.Parameter(1.0)
            for i in range(deep):
                stack.enter_context(ag.scope(f"{branch}{i}"))
                y = ag.tanh(y)
            ends.append(y)
    diagram = ag.draw(ag.sum(ends), fold=False).diagram
    titles = [frame.title for frame in diagram.frames]
    assert [title for title in titles if title.startswith("…")] == ["… 10 more frames …", "… 4 more frames …"]
    assert "b8" in titles
    assert set(range(len(titles))) <= {box.frame for box in diagram.boxes} | {f.parent for f in diagram.frames}


@pytest.mark.parametrize("fold", [None, True, False])
def test_very_many_edges_between_two_boxes_are_one_with_their_number(fold):
    x = ag.Value(2.0, name="x")
    picture = ag.draw(ag.sum([x] * 20_000), fold=fold)
    (edge,) = picture.diagram.edges
    assert (edge.count, edge.label) == (20_000, "20,000 × 1")
    assert len(picture.svg) < 5_000
    assert "20,000 × 1" in texts(parsed(picture), "local")
    assert "20,000 × 1" in picture.dot
    assert len(ag.draw(ag.sum([x] * 12)).diagram.edges) == 12
    assert ag.draw(ag.sum([x] * 12)).diagram.note == ""
    assert len(ag.draw(ag.sum([x] * 13)).diagram.edges) == 1


def test_an_explained_path_through_many_edges_keeps_its_share():
    x = ag.Value(2.0, name="x")
    (edge,) = ag.draw(ag.sum([x] * 40), explain=x).diagram.edges
    assert edge.label == "40 × 1  (12.5%)"  # of the 5 largest paths, which ag.explain keeps


def test_few_boxes_with_very_many_edges_fold():
    """60 nodes, each of which takes all before it, had 1,770 edges in 60 boxes: a black square."""
    nodes = [ag.Value(1.0, name="x")]
    for i in range(59):
        nodes.append(ag.sum(nodes) * (1.0 + i))
    picture = ag.draw(nodes[-1])
    assert len(picture.diagram.edges) <= 240
    assert "Shown in part" in picture.diagram.note
    assert len(ag.step(nodes[-1]).picture.diagram.edges) < 1770
    with pytest.raises(ValueError, match="too many for a sheet"):
        ag.quiz(nodes[-1])
    big = [ag.Value(1.0)]
    for _ in range(110):
        big.append(ag.sum(big))
    with pytest.raises(ValueError, match=r"6,105 edges are more than fold=False draws \(5,000\)"):
        ag.draw(big[-1], fold=False)
    with pytest.raises(ValueError, match=r"6,105 edges are too many|111 boxes are too many"):
        ag.quiz(big[-1])


def test_every_writer_is_tried_and_an_unknown_suffix_names_them_all(tmp_path):
    picture = ag.draw(slides())
    for suffix in writers.WRITERS:
        path = picture.save(tmp_path / f"x.{suffix.upper()}")
        assert path.read_bytes() == writers.written(picture, suffix, 2.0)
    assert {"svg", "png", "pdf", "dot", "html"} <= writers.WRITERS.keys()
    *first, last = (rf"\.{suffix}" for suffix in writers.WRITERS)
    with pytest.raises(ValueError, match=f"'x' must end in {', '.join(first)} or {last}"):
        picture.save(tmp_path / "x")


def test_a_format_is_an_entry_and_a_module(monkeypatch, tmp_path):
    module = types.ModuleType("autograd_lite.pictures.writers.counting")
    module.write = lambda picture, suffix, scale: f"{len(picture.diagram.boxes)} {suffix} {scale:g}".encode()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(writers.WRITERS, "txt", "counting")
    assert ag.draw(slides()).save(tmp_path / "x.txt", scale=3).read_bytes().endswith(b" txt 3")
    with pytest.raises(ValueError, match=r"\.tikz or \.txt"):
        ag.draw(slides()).save(tmp_path / "x.gif")


def test_internal_functions_of_a_difference_are_written_as_one():
    a, b = ag.Value(1.0, name="a"), ag.Value(-2.0, name="b")
    text = str(ag.tape(ag.softmax([a, b])))
    assert "exp(a - v" in text
    assert "exp(a," not in text
    assert "exp(a -" in ag.draw(ag.softmax([a, b])).svg


def test_a_bare_number_has_no_local_gradient():
    lines = str(ag.tape(ag.Value(-3.0, name="x") ** 2)).splitlines()
    assert lines[-1].endswith("local=(-6, -)")
    assert "nan" not in "".join(lines)
