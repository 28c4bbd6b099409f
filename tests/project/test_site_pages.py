"""The parts of the site that need no Sphinx: the reference has every public name, and a broken link is found."""

import re

import pytest

import autograd_lite as ag
from tools.build_site import LINK, example, faults, page_of, stage
from tools.site_docstrings import Converter

pytest.importorskip("sklearn", reason="the estimators are in the reference; scikit-learn is in the extra `sklearn`")


def test_every_public_name_is_on_one_page():
    import autograd_lite.micrograd
    import autograd_lite.sklearn
    from tools.site_api import pages

    names = {f"ag.{name}" for name in ag.__all__ if name not in ag._MODULES}
    names |= {f"ag.{module}.{name}" for module in ag._MODULES for name in getattr(ag, module).__all__}
    for module in ("sklearn", "micrograd"):
        names |= {f"autograd_lite.{module}.{name}" for name in getattr(autograd_lite, module).__all__}
    entries = re.findall(r"^\.\. (?:py:|auto)\w+:: (.*)$", "\n".join(pages().values()), re.M)
    entries = [entry.replace("::", ".") for entry in entries]
    assert names <= set(entries)
    assert len(entries) == len(set(entries))
    assert len(names) > 200


def test_a_new_home_of_names_needs_a_page(monkeypatch):
    from tools.site_api import pages

    monkeypatch.setitem(ag._HOME, "training.new", "invented")
    with pytest.raises(ValueError, match=r"no page for the names of training\.new"):
        pages()


DOCSTRING = """\
The sum a*b, see `ag.grad` and `x_`.

    f(a) = |a| * b_

Args:
    a, b: numbers of `SGD`,
        as many.

Returns:
    A number: 2 * a.

Raises:
    ValueError: never.

    Later errors leave b_ alone.

Example:
    >>> 2 * 3
    6"""


def test_a_docstring_is_read_to_the_letter():
    said = "\n".join(Converter({"ag.grad", "ag.optim.SGD"})(DOCSTRING.split("\n")))
    assert r"The sum a\*b, see :py:obj:`ag.grad <ag.grad>` and ``x_``." in said
    assert "::\n\n    f(a) = |a| * b_\n" in said  # a literal block
    assert "    a, b: numbers of :py:obj:`SGD <ag.optim.SGD>`," in said
    assert ":Returns:\n    A number: 2 \\* a." in said
    assert "\nLater errors leave b\\_ alone." in said
    assert said.endswith(">>> 2 * 3\n    6")


def test_links_that_lead_nowhere_are_found(tmp_path):
    other = "https://example.org"
    (tmp_path / "index.html").write_text(
        '<a id="top" href="#top"></a><a href="a.html#there"></a><a href="a.html#gone"></a><a href="b.html"></a>'
        f'<a href="{other}"></a><script src="{other}/x.js"></script><img src="data:image/png;base64,">'
    )
    (tmp_path / "a.html").write_text('<p id="there"></p>')
    assert sorted(faults(tmp_path)) == [
        "index.html: a.html#gone has no such anchor",
        "index.html: b.html leads nowhere",
        f"index.html: loads {other}/x.js from another host",
    ]


def test_links_to_programs_become_links_to_their_pages():
    text = "[a](examples) [b](../examples/gpt_jax.py) [c](notebooks/) [d](docs/COMPILE.md) "
    text += "[e](../README.md#install) [f](docs/playground/README.md) [g](playground/README.md)"
    assert LINK.sub(page_of, text) == (
        "[a](examples/index.md) [b](../examples/gpt_jax.md) [c](course.md) [d](docs/COMPILE.md) "
        "[e](../index.md#install) [f](playground.md) [g](../playground.md)"
    )


def test_every_document_and_program_is_staged(tmp_path):
    """A document that docs/site/index.md does not name stands where it says MORE."""
    from tools.build_site import ROOT

    stage(tmp_path)
    for folder, suffix in (("docs", ".md"), ("notebooks", ".ipynb"), ("examples", ".py")):
        stems = {path.stem for path in (ROOT / folder).glob(f"*{suffix}")}
        assert stems <= {path.stem for path in (tmp_path / folder).iterdir()}
    tree = "".join(path.read_text() for path in (tmp_path / "index.md", tmp_path / "course.md"))
    for path in (tmp_path / "docs").glob("*.md"):
        assert f"docs/{path.stem}\n" in tree, f"{path.name} is in no table of contents"


def test_a_program_says_what_it_is():
    from tools.build_site import ROOT

    for path in (ROOT / "examples").glob("*.py"):
        about, page = example(path)
        assert len(about) > 20
        assert "python examples" not in about
        assert page.startswith(f"# {path.name}\n")
