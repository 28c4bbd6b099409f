"""Faults and bad input met by pictures: lines 32 to 34 of the table in docs/RELIABILITY.md."""

import builtins
import os
import warnings
import xml.etree.ElementTree as ET

import pytest

import autograd_lite as ag
from autograd_lite.engine.notation import printable
from autograd_lite.pictures.layout import by_graphviz, geometry
from autograd_lite.pictures.writers import raster
from tests.helpers.graphs import HOSTILE, hostile_graph, network
from tests.helpers.pictures import SVG, accepted_by_graphviz, groups, parsed, texts


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_fault_32_any_name_is_shown_as_text_or_shortened(name, tmp_path):
    """Never markup, never a broken file: SVG, DOT, page, stepper, moving picture, PNG, tape, quiz."""
    loss = hostile_graph(name)
    picture, stepper = ag.draw(loss), ag.step(loss)
    for svg in (picture.svg, stepper.svg, stepper.animated, ag.quiz(loss).picture.svg):
        root = ET.fromstring(svg.encode("utf-8"))
        tags = {e.tag.removeprefix(SVG) for e in root.iter()}
        assert tags <= {"svg", "title", "rect", "g", "path", "polygon", "text", "style", "tspan", "line", "circle"}
        assert "bold" not in tags
    assert (printable(name) if name.strip() else "v1") in texts(parsed(picture), "title")
    assert len(picture.svg) < 12_000
    graph = accepted_by_graphviz(picture.dot)
    assert (len(graph.nodes()), len(graph.edges())) == (4, 4)
    for page in (picture, stepper):
        text = page.save(tmp_path / "x.html").read_text(encoding="utf-8")
        assert text.count("<script") == text.count("</script>")
        assert "<b>" not in text
        assert "alert(1)</script>" not in text
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "save: no font on this machine")  # which says so, and draws all the same
        assert picture.save(tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    for text in (str(ag.tape(loss)), repr(picture), repr(loss)):
        text.encode("utf-8")
        assert "\x00" not in text
    assert len(str(ag.tape(loss))) < 4000


def test_fault_33_without_a_layout_engine_the_picture_comes_and_what_cannot_come_says_what_to_install(
    monkeypatch, tmp_path
):
    importing = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] in ("pygraphviz", "matplotlib"):
            raise ImportError(name)
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setenv("PATH", "")
    loss = network()
    picture = ag.draw(loss)
    assert len(groups(parsed(picture), "box")) > 5
    assert "digraph" in picture.dot
    assert picture.save(tmp_path / "x.svg").stat().st_size > 500
    assert picture.save(tmp_path / "x.html").stat().st_size > 500
    assert by_graphviz.by_pygraphviz(geometry.LayoutInput([(10.0, 10.0)], [], [], [None], "BT")) is None
    monkeypatch.setattr(raster, "RENDERERS", [p for p in raster.RENDERERS if p is not raster.by_matplotlib])
    for form in ("png", "pdf"):
        with pytest.raises(RuntimeError, match=r"needs Matplotlib or Graphviz.*pip install 'autograd_lite\[viz\]'"):
            picture.save(tmp_path / f"x.{form}")
        assert not (tmp_path / f"x.{form}").exists()


def test_fault_34_a_graph_too_large_to_read_is_folded_and_the_picture_says_so():
    loss = network((16, 16, 1), examples=3)
    picture = ag.draw(loss)
    assert len(picture.diagram.boxes) <= 60
    assert sum(box.count for box in picture.diagram.boxes) >= len(ag.engine.graph.toposort(loss))
    assert "Folded:" in picture.diagram.note
    assert "Folded:" in "".join(parsed(picture).itertext())
    assert "fold=False draws every value" in picture.diagram.note
    assert not ag.draw(network()).diagram.note


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "dot", "html", "step.html", "step.svg"])
@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(broken, suffix, monkeypatch, tmp_path):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(b"the old one")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    shown = ag.step(hostile_graph("x")) if suffix.startswith("step") else ag.draw(hostile_graph("x"))
    with pytest.raises(OSError, match="No space left"):
        shown.save(path)
    assert path.read_bytes() == b"the old one"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_fifo_is_refused_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "x.svg")
    with pytest.raises(ValueError, match="is a FIFO, not a regular file"):
        ag.draw(hostile_graph("x")).save(tmp_path / "x.svg")
    assert (tmp_path / "x.svg").is_fifo()


@pytest.mark.skipif(os.name == "nt", reason="Windows asks for a right to make links")
def test_a_link_stays_one(tmp_path):
    (tmp_path / "real.svg").write_text("old")
    (tmp_path / "link.svg").symlink_to(tmp_path / "real.svg")
    ag.draw(hostile_graph("x")).save(tmp_path / "link.svg")
    assert (tmp_path / "link.svg").is_symlink()
    assert (tmp_path / "real.svg").read_text().startswith("<svg")
