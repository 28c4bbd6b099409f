"""The table of the lectures: every name in it exists, and every test."""

import re
from pathlib import Path

import pytest

import autograd_lite as ag

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in (ROOT / "docs" / "SLIDES.md").read_text().splitlines()
    if line.startswith("| ") and "formula or procedure" not in line
]


def found(name):
    """Whether a dotted name leads somewhere, from the package or from one of its modules or classes."""
    parts = name.removeprefix("ag.").removeprefix("autograd_lite.").split(".")
    here = ag
    for part in parts:
        if part == "sklearn":
            from autograd_lite import sklearn as here

            continue
        here = getattr(here, part, None)
        if here is None:
            return False
    return True


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1][:50])
def test_what_the_table_names_exists(row):
    if "sklearn" in row[2]:
        pytest.importorskip("sklearn", reason="scikit-learn is in the extra `sklearn`")
    assert len(row) == 4
    for name in re.findall(r"`([^`]+)`", row[2]):
        if name.startswith("examples/"):
            assert (ROOT / name).exists()
        elif "=" not in name:
            assert found(name), name
    (test,) = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row[3])
    assert f"def {test[1]}(" in next((ROOT / "tests").rglob(test[0])).read_text(), test


def test_the_table_is_read():
    assert len(ROWS) > 40
