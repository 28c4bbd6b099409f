"""Every example in a public docstring, and every block of README and first steps, runs and prints what it says."""

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
from tools.run_blocks import blocks, main, promised

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


PAGES = ("README.md", "docs/FIRST_STEPS.md")
"""Those whose blocks run one by one; the other pages of docs/ are programs, and have tests of their own."""


def blocks_of(page):
    return blocks((ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "block",
    [block for page in PAGES for block in blocks_of(page)],
    ids=lambda block: block.strip().splitlines()[2][:40],
)
def test_block(block, tmp_path, monkeypatch, capsys):
    """A block runs by itself; a `# 6.0 12.0` behind a print is what it prints, line by line."""
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "<README>", "exec"), {})
    assert capsys.readouterr().out.splitlines() == promised(block)


def test_the_blocks_of_a_page_by_themselves(tmp_path, monkeypatch, capsys):
    """As .ci/package runs them where nothing but the wheel is installed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text("```python\nprint(1 + 1)  # 2\n```\n\n```python\nprint(x)\n```\n", "utf-8")
    assert main(["page.md"]) == 1
    said = capsys.readouterr()
    assert said.out == "2 blocks, 1 failed\n"
    assert "NameError" in said.err
    (tmp_path / "page.md").write_text("```python\nprint(1 + 1)  # 3\n```\n", "utf-8")
    assert main(["page.md"]) == 1
    assert main([str(ROOT / "docs/FIRST_STEPS.md")]) == 0


@pytest.mark.parametrize("page", PAGES)
def test_pages_have_blocks(page):
    assert blocks_of(page)


def cells(text):
    """The cells of all tables."""
    return [cell.strip() for line in text.splitlines() if line.startswith("|") for cell in line.strip("|").split("|")]


def test_readme_figures_are_those_of_the_benchmarks():
    """Each time in the README's tables stands in a table of benchmarks/RESULTS.md, digit for digit."""

    def times_of(page):
        text = " ".join(cells((ROOT / page).read_text(encoding="utf-8")))
        return re.findall(r"(?<![\d.,])[\d.,]+ (?:us|ms|s)\b", text)

    times, measured = times_of("README.md"), set(times_of("benchmarks/RESULTS.md"))
    assert len(times) >= 10
    assert not [time for time in times if time not in measured]


@pytest.mark.parametrize(
    "page",
    [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted((ROOT / "docs").glob("*.md"))],
    ids=lambda page: page.name,
)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.S)
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if link.startswith(("https:", "http:")):
            continue
        heads = re.findall(r"(?m)^#+ (.*)$", target.read_text(encoding="utf-8")) if anchor and target.is_file() else []
        slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
        if not target.exists() or (anchor and anchor not in slugs):
            wrong.append(link)
    assert not wrong


def test_readme_picture_is_what_its_first_block_draws(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks_of("README.md")[0], "<README>", "exec"), {})

    def labels(svg):
        return sorted(re.findall(r"<text[^>]*>([^<]*)</text>", svg))

    assert "@keyframes" in (ROOT / "docs" / "loss.svg").read_text()  # it moves
    drawn, shown = (tmp_path / "loss.svg").read_text(), (ROOT / "docs" / "loss.svg").read_text()
    assert labels(drawn) == labels(shown) != []
