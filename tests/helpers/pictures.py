"""What is in a picture, read back from its text; a page in a browser."""

import xml.etree.ElementTree as ET
from contextlib import contextmanager

import pytest

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture):
    """The picture in one theme, without the style sheet that turns it dark; of a stepper, its picture."""
    return ET.fromstring(getattr(picture, "still", picture.svg).encode("utf-8"))


def groups(root, kind):
    return [g for g in root.iter(f"{SVG}g") if kind in g.get("class").split()]


def texts(element, kind):
    return ["".join(t.itertext()) for t in element.iter(f"{SVG}text") if t.get("class") == kind]


def accepted_by_graphviz(dot):
    pygraphviz = pytest.importorskip("pygraphviz", reason="the DOT text is checked by Graphviz")
    return pygraphviz.AGraph(string=dot)


@contextmanager
def opened(browser, path, **context):
    """A page of a file; an error in its script, or a request to anywhere, fails the test."""
    made = browser.new_context(viewport={"width": 900, "height": 700}, **context)
    page = made.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url)
    )
    page.goto(path.as_uri())
    try:
        yield page
    finally:
        made.close()
    assert wrong == [], wrong  # written out: pytest explains assertions of test files alone
