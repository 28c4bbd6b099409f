"""Every notebook runs from top to bottom, and was committed with its outputs."""

import base64
import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient and ipykernel are in the extra `test`")
nbclient = pytest.importorskip("nbclient", reason="nbclient and ipykernel are in the extra `test`")

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")


def execute(notebook):
    """Run it in place; a cell that fails raises."""
    where = {"metadata": {"path": str(FOLDER)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()


def test_they_are_a_course():
    """Numbered without a gap, aims first, exercises with answers last (but for the teachers' one), lines of 88."""
    assert [int(path.stem.partition("_")[0]) for path in NOTEBOOKS] == list(range(1, len(NOTEBOOKS) + 1))
    for path in NOTEBOOKS:
        first, *_, last = nbformat.read(path, as_version=4).cells
        number = path.stem.partition("_")[0]
        assert first.source.startswith(f"# {number}. ")
        assert "**Aims.** After this notebook you can" in first.source
        assert ("<details><summary>Answer</summary>" in last.source) == (path.stem != "8_teaching")
        for cell in code_cells(nbformat.read(path, as_version=4)):
            assert max(map(len, cell.source.split("\n"))) <= 88


@each_notebook
def test_it_was_committed_with_its_outputs(path):
    cells = code_cells(nbformat.read(path, as_version=4))
    assert all(cell.execution_count for cell in cells)
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert len([cell for cell in cells if cell.outputs]) >= len(cells) / 2


@each_notebook
def test_its_pictures_are_seen_where_no_script_runs(path):
    """As SVG and PNG, without HTML: a host strips that, and JupyterLab shows no SVG of a notebook it does not trust."""
    outputs = [output for cell in code_cells(nbformat.read(path, as_version=4)) for output in cell.outputs]
    pictures = [output for output in outputs if "image/svg+xml" in output.get("data", {})]
    for picture in pictures:
        assert "text/html" not in picture.data
        root = ElementTree.fromstring(picture.data["image/svg+xml"].encode("utf-8"))
        size = struct.unpack(">II", base64.b64decode(picture.data["image/png"])[16:24])
        assert size[0] == pytest.approx(2 * float(root.get("width")), abs=2)
        assert picture.metadata["image/png"]["width"] == round(float(root.get("width")))
    ids = [x for picture in pictures for x in re.findall(r' id="([^"]+)"', picture.data["image/svg+xml"])]
    assert len(ids) == len(set(ids))
    assert [output for output in outputs if "image/png" in output.get("data", {})] or path.stem == "6_fold"


HEAVY = {"4_optimization", "5_training", "6_fold", "7_loops", "8_teaching"}
"""Three to five seconds each."""


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(x, id=x.stem, marks=[pytest.mark.slow] * (x.stem in HEAVY))
        for x in NOTEBOOKS
        if x.stem != "3_derivatives"
    ],
)
@pytest.mark.filterwarnings("default")  # the kernel's own
def test_it_runs(path):
    notebook = nbformat.read(path, as_version=4)
    execute(notebook)


@pytest.mark.filterwarnings("default")
def test_the_derivatives_notebook_still_says_what_it_says():
    """It runs too, and its printed answers are exact, so they must come out again to the letter."""
    path = FOLDER / "3_derivatives.ipynb"
    before, after = nbformat.read(path, as_version=4), nbformat.read(path, as_version=4)
    execute(after)
    for old, new in zip(code_cells(before), code_cells(after), strict=True):
        assert printed(new) == printed(old)
    said = "".join(map(printed, code_cells(after)))
    for fault in ("dead relu", "saturated sigmoid", "zero initialisation", "symmetric", "exploding", "vanishing"):
        assert fault in said
