"""Pages of pictures on paper: as many sheets as needed, none of them blank, and no box cut in two."""

import re
from itertools import pairwise

import pytest

import autograd_lite as ag
from autograd_lite.pictures.writers.scene import Rect
from autograd_lite.pictures.writers.svg import LEAST, SHEET
from tests.helpers.pictures import opened


def chain(count):
    """The picture of a chain of so many powers, a box above the other."""
    value = ag.Value(0.9, name="x")
    for _ in range(count):
        value = ag.tanh(value)
    value.backward()
    return ag.draw(value, fold=False)


def parts(picture):
    """(top, height) of each part that is printed on a sheet of its own, in units of the picture."""
    found = re.findall(r'class="sheet"[^>]* viewBox="0 (\S+) \S+ ([^"]+)"', picture.html)
    return [(float(top), float(high)) for top, high in found]


def sheets(page):
    """How many pages the browser prints."""
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))


@pytest.mark.parametrize("count", [2, 9, 13])
def test_what_fits_a_sheet_when_scaled_down_is_on_one(browser, tmp_path, count):
    picture = chain(count)
    assert picture.scene.height * LEAST <= SHEET
    with opened(browser, picture.save(tmp_path / "x.html")) as page:
        assert sheets(page) == 1


@pytest.mark.parametrize("count", [24, 50])
def test_a_taller_one_is_cut_between_its_boxes(browser, tmp_path, count):
    picture = chain(count)
    found = parts(picture)
    assert len(found) >= picture.scene.height / SHEET > 1
    assert found[0][0] == 0
    assert all(top + high == pytest.approx(following, abs=0.02) for (top, high), (following, _) in pairwise(found))
    assert sum(found[-1]) == pytest.approx(picture.scene.height, abs=0.02)
    assert max(high for _, high in found) <= SHEET
    boxes = [e.shapes[0] for e in picture.scene.elements if e.kind.startswith("box ")]
    assert len(boxes) == count + 1
    assert all(isinstance(box, Rect) for box in boxes)
    assert not [box for box in boxes for top, _ in found if box.y < top < box.y + box.height]
    with opened(browser, picture.save(tmp_path / "x.html")) as page:
        assert sheets(page) == len(found)
        page.emulate_media(media="print")
        seen = page.locator("svg").evaluate_all("all => all.map((svg) => svg.getBoundingClientRect().height > 0)")
        assert seen == [False] + [True] * len(found)


def test_a_tall_picture_in_a_notebook_is_on_the_sheet_of_its_cell(browser, tmp_path):
    path = tmp_path / "notebook.html"
    path.write_text(f"<p>a cell</p>{chain(13)._repr_mimebundle_()['text/html']}", encoding="utf-8")
    with opened(browser, path) as page:
        assert sheets(page) <= 2
        page.emulate_media(media="print")
        frame, whole = page.locator("iframe").bounding_box(), page.viewport_size["height"]
        assert frame["height"] <= whole
