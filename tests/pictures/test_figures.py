"""Figures for lectures: themes and contrast, titles, sizes, fonts, frames of a stepper, what other programs ask for."""

import base64
import re
import warnings
import webbrowser
import xml.etree.ElementTree as ET

import pytest

import autograd_lite as ag
from autograd_lite.pictures.writers import raster
from autograd_lite.pictures.writers.scene import Circle, Rect, Text
from autograd_lite.pictures.writers.themes import DARK, THEMES, themed
from tests.helpers.graphs import network, slides
from tests.helpers.pictures import opened, parsed, texts


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def pictures():
    loss = slides()
    loss.backward()
    folded = network((16, 16, 1))
    model = ag.MLP(2, [2, 1], "tanh", seed=0)
    return [
        ag.draw(loss),
        ag.draw(folded),
        ag.draw(folded, depth=1),
        ag.draw(model, [1.0, -1.0], 1.0),
        ag.draw(ag.fold(loss)),
    ]


@pytest.mark.parametrize("theme", THEMES)
def test_text_has_the_contrast_of_wcag_aa(theme):
    for picture in pictures():
        scene = themed(picture.scene, theme)
        for element in scene.elements:
            ground = scene.ground
            for shape in element.shapes:
                # The mark of a bias and the key below the picture have no text on them.
                beside = element.kind == "note" or (element.kind[:3] == "box" and shape is not element.shapes[0])
                if isinstance(shape, (Rect, Circle)) and not beside:
                    ground = shape.fill
                if isinstance(shape, Text):
                    # On its own box or circle, or on the ground of the picture, as beside a circle.
                    assert contrast(shape.fill, ground) >= 4.5, (theme, element.kind, shape)
                    assert element.kind.startswith("box") or contrast(shape.fill, scene.ground) >= 4.5


def test_the_kinds_of_leaf_differ_in_print_too():
    p, x = ag.Parameter(1.0), ag.Value(1.0)
    svg = ag.draw(p * x + 2, theme="print").svg
    tints = dict(re.findall(r'class="box (\w+)[^"]*"><title>[^<]*</title><rect [^>]*fill="(#\w+)"', svg))
    assert len({tints["parameter"], tints["input"], tints["constant"]}) == 3
    saturated = [c for c in re.findall(r'="(#[0-9A-F]{6})"', svg) if not c[1:3] == c[3:5] == c[5:7]]
    assert saturated == []


def test_a_screen_that_is_dark_gets_a_dark_picture(browser, tmp_path):
    path = tmp_path / "x.html"
    path.write_text(f"<!DOCTYPE html><p>ground</p>{ag.draw(slides()).svg}{ag.draw(slides()).svg}", encoding="utf-8")
    fill = "getComputedStyle(document.querySelectorAll('rect.ground')[1]).fill"
    for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(27, 30, 36)")):
        with opened(browser, path, color_scheme=scheme) as page:
            assert page.evaluate(fill) == colour
            assert page.evaluate("getComputedStyle(document.querySelector('p')).color") == "rgb(0, 0, 0)"


def test_a_saved_file_is_light_and_has_no_style_sheet(tmp_path):
    picture = ag.draw(slides())
    assert "<style>" in picture.svg
    assert "<style>" not in picture.save(tmp_path / "x.svg").read_text(encoding="utf-8")
    dark = ag.draw(slides(), theme="dark").save(tmp_path / "y.svg").read_text(encoding="utf-8")
    assert DARK["#FFFFFF"] in dark
    assert "#FFFFFF" not in dark


def test_title_and_size():
    plain, large = ag.draw(slides()), ag.draw(slides(), title="Squared loss, one example", size=24)
    assert texts(parsed(large), "heading") == ["Squared loss, one example"]
    width = float(parsed(large).get("width"))
    assert width == pytest.approx(2 * large.scene.width, abs=0.01)
    assert large.scene.height == plain.scene.height + 28
    model = ag.draw(ag.MLP(2, [1], seed=0), title="A", size=12)
    assert texts(parsed(model), "heading") == ["A"]
    wrapped = ag.draw(
        ag.Value(1.0) * 2, title="a title that is very much wider than its picture is, so that it has lines"
    )
    assert len(texts(parsed(wrapped), "heading")) > 1


def test_misuse():
    loss = slides()
    with pytest.raises(TypeError, match="draw: title must be a string, got int 3"):
        ag.draw(loss, title=3)
    with pytest.raises(ValueError, match="draw: size is the height of the text in pixels, from 4 to 200, got 0"):
        ag.draw(loss, size=0)
    with pytest.raises(ValueError, match="draw: theme must be 'auto', 'light', 'dark' or 'print', got str 'black'"):
        ag.draw(loss, theme="black")
    with pytest.raises(IndexError, match="frame: there are 16 steps, from 0 to 15, got 16"):
        ag.step(loss).frame(16)
    with pytest.raises(TypeError, match="frame: k must be a whole number"):
        ag.step(loss).frame(1.0)


def test_a_pdf_has_truetype_fonts(tmp_path):
    content = ag.draw(slides(), title="αβ").save(tmp_path / "x.pdf").read_bytes()
    assert b"Type3" not in content
    assert b"CIDFontType2" in content


def test_a_glyph_that_no_font_has_is_named(tmp_path, monkeypatch):
    from matplotlib import font_manager

    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    with pytest.warns(UserWarning, match="no font on this machine has み 重"):
        ag.draw(ag.Value(1.0, name="重み") * 2).save(tmp_path / "x.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ag.draw(ag.Value(1.0, name="größe α₁ ∂") * 2).save(tmp_path / "x.png")


def test_a_font_of_the_machine_is_found_for_a_script(monkeypatch):
    from matplotlib import font_manager

    entry = font_manager.FontEntry(fname="cjk.ttf", name="Noto Sans CJK JP", style="normal")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist, entry])
    there = raster._has(font_manager.findfont(raster.FAMILY))
    monkeypatch.setattr(raster, "_has", lambda path: frozenset("重み") if path == "cjk.ttf" else there)
    assert raster.fonts_for("w 重み") == [raster.FAMILY, "Noto Sans CJK JP"]
    assert raster.fonts_for("w α") == [raster.FAMILY]


@pytest.mark.parametrize("make", [slides, lambda: network((16, 16, 1))])
def test_the_frames_of_a_stepper(make):
    stepper = ag.step(make(), None)
    first, last = stepper.frame(0), stepper.frame(-1)
    shown = [len([s for e in f.scene.elements for s in e.shapes if isinstance(s, Text)]) for f in (first, last)]
    assert shown[0] < shown[1]
    assert repr(first) == stepper.steps[0].caption
    assert texts(parsed(last), "f") == texts(parsed(stepper.picture), "f")
    assert texts(parsed(last), "g") == texts(parsed(stepper.picture), "g")
    assert texts(parsed(first), "g") == []
    assert stepper.captions[0].startswith(" ".join(texts(parsed(first), "caption"))[:40])


def test_a_gradient_that_gathers_shows_what_it_is_so_far():
    x = ag.Value(3.0, name="x")
    stepper = ag.step(x * x)
    fills = [k for k, step in enumerate(stepper.steps) if step.part == "g" and 0 in step.fills]
    assert [texts(parsed(stepper.frame(k)), "g")[0] for k in fills] == ["g = 3", "g = 6"]


def test_a_series_for_slides_and_a_moving_picture(tmp_path):
    image = pytest.importorskip("PIL.Image")
    x = ag.Value(3.0, name="x")
    for stepper in (ag.step(x * x), ag.step(ag.Neuron(1, "tanh", seed=0), x=[1.0], target=0.5)):
        pages = stepper.save(tmp_path / "x.pdf").read_bytes()
        assert len(re.findall(rb"/Type /Page\b", pages)) == len(stepper.steps)
        with image.open(stepper.save(tmp_path / "x.gif")) as moving:
            assert moving.n_frames == len(stepper.steps)


def test_without_what_a_series_needs(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__
    monkeypatch.setattr(
        builtins,
        "__import__",
        lambda name, *rest: (_ for _ in ()).throw(ImportError(name=name)) if name == "PIL" else real(name, *rest),
    )
    with pytest.raises(RuntimeError, match=r"save: a \.gif of steps needs PIL"):
        ag.step(ag.Value(1.0) * 2).save(tmp_path / "x.gif")


def test_what_other_programs_ask_for(monkeypatch):
    picture = ag.draw(slides())
    html = picture._repr_html_()
    ET.fromstring(base64.b64decode(re.search(r"base64,([^\"]+)", html)[1]))
    assert html.startswith("<img ")
    assert ag.draw(ag.MLP(2, [1], seed=0))._repr_html_().startswith("<img ")
    asked = []
    monkeypatch.setattr(webbrowser, "open", lambda url: asked.append(url) or True)
    path = picture.show()
    assert asked == [path.as_uri()]
    assert "<svg" in path.read_text(encoding="utf-8")


def test_show_without_a_browser_says_where_the_picture_is(monkeypatch, capsys):
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    path = ag.draw(ag.Value(1.0) * 2).show()
    assert str(path) in capsys.readouterr().err


def test_the_pages_of_a_dark_picture_are_dark(tmp_path):
    loss = network((1, 1))
    for thing in (ag.draw(loss, theme="dark"), ag.step(loss, theme="dark")):
        page = thing.save(tmp_path / "x.html").read_text(encoding="utf-8")
        assert '<html lang="en" data-theme="dark">' in page
        assert 'fill="#FFFFFF"/>' not in page  # each view that opens is dark too
    assert 'data-theme="light"' in ag.draw(loss).html


def test_a_font_installed_since_matplotlib_made_its_list_is_found(monkeypatch, recwarn):
    """The warning says to install a font, so that must help."""
    font_manager = pytest.importorskip("matplotlib.font_manager")
    from autograd_lite.pictures.writers import raster

    manager = font_manager.fontManager
    known = [entry for entry in manager.ttflist if entry.name == raster.FAMILY]
    new = next(entry for entry in manager.ttflist if entry.name == "STIXGeneral" and entry.style == "normal")
    (only, *_) = sorted(raster._has(new.fname) - raster._has(font_manager.findfont(raster.FAMILY)))
    monkeypatch.setattr(manager, "ttflist", known)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["/no/such/font.ttf", new.fname])
    assert raster.fonts_for(f"a{only}") == [raster.FAMILY, "STIXGeneral"]
    assert not recwarn.list
