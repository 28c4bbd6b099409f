"""docs/LOOPS.md and docs/TEACHING.md: their code runs in order, as one program, and prints what it says."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["LOOPS", "TEACHING"])
def test_its_code_prints_what_it_says(name, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names, blocks = {}, re.findall(r"^```python\n(.*?)^```$", (DOCS / f"{name}.md").read_text(), re.S | re.M)
    for block in blocks:
        exec(compile(block, f"<{name}>", "exec"), names)
        said = [m[1] for m in re.finditer(r"^ *print\(.*\)  # (.*)$", block, re.M)]
        assert capsys.readouterr().out.splitlines() == said
    assert len(blocks) >= 2
