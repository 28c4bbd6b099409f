"""Every example in a public docstring, and every code block of the README, runs and prints what it says."""

import doctest
import importlib
import inspect
import pkgutil
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import autograd_lite as ag

ROOT = Path(__file__).parents[2]
MODULES = ["autograd_lite"] + [
    module.name
    for module in pkgutil.walk_packages(ag.__path__, "autograd_lite.")
    if not module.name.endswith("__main__") and (find_spec("jax") or not module.name.endswith("jax_backend"))
]
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in MODULES:
        module = importlib.import_module(name)
        yield from finder.find(module, name)
    for name in ag.engine.functions.__all__:
        function = getattr(ag, name)
        yield from finder.find(function, f"autograd_lite.{name}", module=False)


@pytest.mark.parametrize("test", [t for t in examples() if t.examples], ids=lambda t: t.name)
def test_docstring_example(test, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    if ".plot." in test.name:
        pyplot = pytest.importorskip("matplotlib.pyplot", reason="plots need Matplotlib, extra `viz`")
        pyplot.switch_backend("Agg")
        request.addfinalizer(lambda: pyplot.close("all"))
    test.globs = {"ag": ag, "np": np}
    failures, tried = doctest.DocTestRunner(optionflags=OPTIONS).run(test)
    assert tried
    assert not failures


def public_objects():
    """(name, object) of everything that a user is offered."""
    for name in ag.__all__:
        thing = getattr(ag, name)
        if inspect.ismodule(thing):
            for inner in getattr(thing, "__all__", []):
                yield f"{name}.{inner}", getattr(thing, inner)
        else:
            yield name, thing


@pytest.mark.parametrize(("name", "thing"), list(public_objects()), ids=lambda x: x if isinstance(x, str) else "")
def test_public_docstring_has_a_line_and_an_example(name, thing):
    if not callable(thing):
        return
    text = inspect.getdoc(thing)
    assert text, f"{name} has no docstring"
    assert text.splitlines()[0].rstrip().endswith((".", ":")), f"{name}: the first line is not a sentence"
    assert ">>>" in text, f"{name} shows no example"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.mark.parametrize("block", blocks("python"), ids=lambda b: b.strip().splitlines()[0][:40])
def test_readme_block(block, tmp_path, monkeypatch, capsys):
    """A block runs by itself; a `# 6.0 12.0` behind a print is what it prints, line by line."""
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "<README>", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    expected = [m.group(1).strip() for line in block.splitlines() if (m := re.search(r"print\(.*\)\s*# (.*)$", line))]
    assert printed == expected


def test_readme_has_blocks():
    assert blocks("python")


def test_readme_picture_is_what_its_first_block_draws(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[0], "<README>", "exec"), {})

    def labels(svg):
        return sorted(re.findall(r"<text[^>]*>([^<]*)</text>", svg))

    assert "@keyframes" in (ROOT / "docs" / "loss.svg").read_text()  # it moves
    drawn, shown = (tmp_path / "loss.svg").read_text(), (ROOT / "docs" / "loss.svg").read_text()
    assert labels(drawn) == labels(shown) != []
