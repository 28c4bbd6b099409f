"""docs/COMPILE.md prints what programs print."""

import re
from pathlib import Path

import pytest

import autograd_lite as ag
from autograd_lite.folding.nesting import nests

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "COMPILE.md").read_text()


def blocks(kind):
    return [text.rstrip("\n") for text in re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.S | re.M)]


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    from moons import loss_of, moons

    model = ag.MLP(2, [16, 16, 1], seed=1)
    return ag.fold(loss_of(model, *moons()), params=model)


def test_the_instructions_and_the_loops_of_moons(program):
    assert blocks("text plan") == [str(program)]
    assert blocks("text nests") == [str(nests(program.plan()))]


def test_the_code_for_jax(program):
    pytest.importorskip("jax", reason="JAX is not installed (the extra `jax`)")
    for code in blocks("python jax"):
        names = {"program": program}
        exec(code, names)
        assert abs(names["loss"] - program()) < 1e-12


@pytest.mark.parametrize("kind", ["source", "compile"])
def test_the_code_and_what_it_prints(capsys, kind):
    (code,) = blocks(f"python {kind}")
    exec(code, {})
    assert capsys.readouterr().out.rstrip("\n") in blocks("text")


def test_the_code_for_derivatives(capsys):
    pytest.importorskip("scipy.optimize")
    (code,) = blocks("python derivatives")
    exec(code, {})
    assert capsys.readouterr().out.rstrip("\n") in blocks("text")


def test_every_backend_is_in_the_table():
    from autograd_lite.folding.backends import BACKENDS

    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.M) == list(BACKENDS)


def test_what_it_names_is_there():
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (ROOT / "docs" / link).exists(), link
    for name in re.findall(r"`(\w+/[\w/]+\.py)`", TEXT):
        assert list((ROOT / "autograd_lite").rglob(name.split("/", 1)[1])) or (ROOT / name).exists(), name
