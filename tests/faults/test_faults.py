"""The list of faults: every line has one test, and the table in docs/RELIABILITY.md says where it is."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAULT = re.compile(r"test_fault_(\d\d)_\w+")


def named():
    """(line, place) of every test that is named after a line."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (found := FAULT.fullmatch(node.name)):
                yield int(found[1]), f"{path.relative_to(ROOT).as_posix()}::{node.name}"


def table():
    """(line, place) of every row of the table."""
    text = (ROOT / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")
    section = text.partition("## Faults\n")[2].partition("\n## ")[0]
    for row in re.findall(r"^\| *(\d+) \|.*$", section, re.M):
        cells = [cell.strip() for cell in re.search(rf"^\| *{row} \|.*$", section, re.M)[0].strip("|").split("|")]
        assert len(cells) == 4, row
        assert all(cells), row
        yield int(row), cells[3].strip("`")


def test_every_line_has_exactly_one_test():
    assert sorted(line for line, _ in named()) == list(range(1, 71))


def test_the_table_names_them():
    """Up to line 43; the later ones are the first lines of docstrings."""
    assert list(table()) == sorted(named())[:43]


def test_the_later_lines_stand_above_their_tests():
    tree = ast.parse((ROOT / "tests" / "faults" / "test_faults_later.py").read_text(encoding="utf-8"))
    lines = [ast.get_docstring(x) or "" for x in tree.body if isinstance(x, ast.FunctionDef) and FAULT.match(x.name)]
    assert len(lines) == 27
    assert all(re.fullmatch(r"[^:]+: .+\.", line) for line in lines)
