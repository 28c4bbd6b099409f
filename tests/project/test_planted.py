"""The list of planted mistakes is in step with the code; `python -m tools.planted` shows that each is caught."""

import ast
from pathlib import Path

import pytest

import autograd_lite as ag
from tools.mistakes import MISTAKES

PACKAGE = Path(ag.__file__).parent
TESTS = {path.stem for path in Path(__file__).parents[1].rglob("test_*.py")}
TOOLS = Path(__file__).parents[2] / "tools"


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name.replace(" ", "_"))
def test_a_mistake_can_be_planted(mistake):
    text = (PACKAGE / mistake.file).read_text(encoding="utf-8")
    assert text.count(mistake.before) == 1, f"{mistake.file}: {mistake.before!r}"
    assert mistake.before != mistake.after
    ast.parse(text.replace(mistake.before, mistake.after))  # a mistake, not a syntax error
    assert all(f"test_{name}" in TESTS for name in mistake.first.split())


def test_the_mistakes_differ():
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES)
    assert len({mistake[1:4] for mistake in MISTAKES}) == len(MISTAKES)


def test_the_tests_that_mutants_are_run_with_are_there():
    tree = ast.parse((TOOLS / "mutants.py").read_text(encoding="utf-8"))
    named = next(x.value for x in tree.body if isinstance(x, ast.Assign) and ast.unparse(x.targets[0]) == "TESTS")
    for module, tests in ast.literal_eval(named).items():
        assert (PACKAGE / module).exists()
        assert all(f"test_{name}" in TESTS for name in tests.replace(",", " ").split())
