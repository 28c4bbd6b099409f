"""The programs of tools/ say how they are called; what they do is tested where it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = [path.stem for path in sorted((ROOT / "tools").glob("*.py")) if "__main__" in path.read_text()]
NEEDS = {"make_notebooks": "nbclient", "oracle": "mpmath", "oracle_jax": "jax", "fuzz_loader": "hypothesis"}
"""What they import that is in an extra."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_help(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is in an extra")
    asked = [sys.executable, "-m", f"tools.{name}", "--help"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"python -m tools.{name}" in done.stdout


def test_there_are_programs():
    assert {"mutants", "planted", "oracle", "make_stubs"} <= set(PROGRAMS)
