"""docs/FROM_*.md: each line of ours runs and gives what the table says, and theirs where it is installed."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("FROM_*.md"))
PACKAGES = {"MICROGRAD": "micrograd", "JAX": "jax", "CASADI": "casadi", "SCIKIT_LEARN": "sklearn", "PYTORCH": "torch"}

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem.removeprefix("FROM_"))


def rows(text):
    """(what, code of theirs, code of ours, what it gives) of each row; a cell without code is none."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| |"):
            what, theirs, ours, gives = (cell.strip() for cell in line[1:-1].split(" | "))
            codes = [re.findall(r"`([^`]+)`", cell) if re.match(r"`.*`$", cell) else [] for cell in (theirs, ours)]
            yield what, *codes, gives.strip("` ")


def ran(code, names):
    """Run a statement, or give the value of an expression."""
    try:
        compiled = compile(code, code, "eval")
    except SyntaxError:
        return exec(compile(code, code, "exec"), names)
    return eval(compiled, names)


def agrees(value, gives):
    expected = eval(gives)
    if isinstance(expected, bool):
        return value == expected
    if type(expected) is tuple and all(type(x) is int for x in expected):
        return tuple(value) == expected
    if isinstance(expected, list) and isinstance(expected[0], tuple):
        return list(value) == expected
    flat = [np.asarray(x, float).ravel() for x in (value if isinstance(expected, tuple) else [value])]
    return np.allclose(np.concatenate(flat), np.ravel(expected), rtol=1e-6, atol=1e-12)


def followed(path, side, monkeypatch, where):
    """Run the setup and the column of one side in order; the number of results that were compared."""
    monkeypatch.chdir(where)
    text = path.read_text(encoding="utf-8")
    (setup,) = re.findall(rf"^```python {side}\n(.*?)^```$", text, re.S | re.M)
    names, compared = {}, 0
    exec(setup, names)
    for what, theirs, ours, gives in rows(text):
        code = ours if side == "here" else theirs
        for line in code:
            value = ran(line, names)
        if code and gives and (side == "here" or len(code) == 1):
            assert agrees(value, gives), f"{path.name}, {what}: {code[-1]} gives {value}, not {gives}"
            compared += 1
    return compared


@each_page
def test_ours_gives_what_the_page_says(path, monkeypatch, tmp_path):
    if path.stem.endswith("SCIKIT_LEARN"):
        pytest.importorskip("sklearn", reason="scikit-learn is in the extra `sklearn`")
    pytest.importorskip("scipy", reason="SciPy is in the extra `test`")
    assert followed(path, "here", monkeypatch, tmp_path) >= 5


@pytest.mark.parametrize("path", [x for x in PAGES if "TORCH" not in x.stem], ids=lambda path: path.stem[5:])
@pytest.mark.filterwarnings("ignore")  # theirs
def test_theirs_gives_the_same(path, monkeypatch, tmp_path):
    package = PACKAGES[path.stem.removeprefix("FROM_")]
    pytest.importorskip(package, reason=f"{package} is not installed (extras `test`, `sklearn` and `bench`)")
    assert followed(path, "there", monkeypatch, tmp_path) >= 2


@each_page
def test_every_row_has_code_of_ours_or_a_link(path):
    for what, _, ours, _ in rows(path.read_text(encoding="utf-8")):
        assert ours or what == "a recurrence", what
