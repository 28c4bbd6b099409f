"""The playground in headless Chromium: built from its sources, served from a folder, and no other host is asked.

AUTOGRAD_LITE_PLAYGROUND names a folder in which it is built already, as seen from the repository's root.
"""

import base64
import functools
import http.server
import json
import os
import shutil
import threading
import time
import zlib
from pathlib import Path

import pytest

from tests.helpers.browser import browser
from tools import build_playground

__all__ = ["browser"]

pytestmark = pytest.mark.slow
EXAMPLES = build_playground.examples()
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
PATIENCE = 90  # seconds; for a machine with much else to do

SMALL = """import autograd_lite as ag
a = ag.Parameter(3.0, name="a")
loss = a * a
loss.backward()
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A static host."""

    def log_message(self, *args):
        """Nothing is logged."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if built := os.environ.get("AUTOGRAD_LITE_PLAYGROUND"):
        folder = build_playground.HERE / built
    elif shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm is not here, and the playground is built from npm packages")
    else:
        out = tmp_path_factory.mktemp("playground") / "site"
        folder = build_playground.build(Path(os.path.relpath(out)))  # as on a command line
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class Page:
    """The playground in a tab, with all that it asked for and complained of."""

    def __init__(self, browser, url, path="", **options):
        self.url, self.errors, self.asked = url, [], []
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.tab = self.context.new_page()
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.tab.set_default_timeout(PATIENCE * 1000)
        self.tab.goto(url + path)

    def until(self, condition):
        end = time.monotonic() + PATIENCE
        while not self.tab.evaluate(condition):  # wait_for_function evaluates text, which the page's policy refuses
            assert time.monotonic() < end, f"{condition}: {self.tab.inner_text('#status')}, {self.errors}"
            self.tab.wait_for_timeout(30)

    def done(self):
        return int(self.tab.evaluate("document.body.dataset.done || 0"))

    def run(self, program, view="graph"):
        """Write a program, open a tab, press Run, and wait for it."""
        self.tab.evaluate("document.getElementById('live').checked = false")
        self.tab.click("#editor .cm-content")
        self.tab.keyboard.press("Control+a")
        self.tab.keyboard.press(
            "Delete"
        )  # text over a selection gets a style attribute of Chromium's, which is refused
        self.tab.keyboard.insert_text(program)
        if self.tab.get_attribute(f"#tab-{view}", "aria-selected") != "true":
            before = self.done()
            self.tab.click(f"#tab-{view}")
            self.until(f"+document.body.dataset.done > {before}")
        before = self.done()
        self.tab.click("#run")
        self.until(f"+document.body.dataset.done > {before}")

    def text(self, selector="#view"):
        return self.tab.inner_text(selector)

    def linked(self, program):
        coded = zlib.compress(program.encode(), wbits=-15)
        return "#program=" + base64.urlsafe_b64encode(coded).decode().rstrip("=")


@pytest.fixture(scope="module")
def page(browser, site):
    """One page for the tests that leave it usable; Python is started once."""
    page = Page(browser, site[1])
    assert page.tab.evaluate("document.querySelector('#view img').getAttribute('src')") == "first.svg"
    page.until("document.body.dataset.done")
    yield page
    assert page.errors == []
    assert {url for url in page.asked if not url.startswith((site[1], "data:", "blob:"))} == set()
    page.context.close()


def test_the_folder_has_licences_and_no_other_host(site):
    folder, _ = site
    licences = (folder / "LICENSES.txt").read_text(encoding="utf-8")
    for name in ("pyodide", "@codemirror/view", "@lezer/python", "style-mod", "crelt", "w3c-keyname"):
        assert f"\n{name} " in licences
    for name in ("index.html", "frame.html", "playground.css", "worker.js", "sw.js"):
        assert "//" not in (folder / name).read_text(encoding="utf-8").replace("// ", "").replace("http://www.w3", "")
    assert all((folder / name).exists() for name in json.loads(
        (folder / "sw.js").read_text(encoding="utf-8").partition("FILES = ")[2].partition(";")[0]))  # fmt: skip


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=[example["title"] for example in EXAMPLES])
def test_an_example_runs_and_shows_something(page, number):
    tab, before = page.tab, page.done()
    tab.select_option("#examples", "")  # so that the first one is a change too
    tab.select_option("#examples", str(number))
    page.until(f"+document.body.dataset.done > {before} && !document.querySelector('#status.busy')")
    assert not tab.is_visible("#trouble"), page.text("#trouble")
    assert tab.locator(".refused").count() == 0, page.text()
    view = EXAMPLES[number]["view"]
    assert tab.get_attribute(f"#tab-{view}", "aria-selected") == "true"
    if view in ("steps", "quiz"):
        tab.frame_locator("#view iframe").locator("svg").first.wait_for()
    elif view == "diagnose":
        assert "fault" in page.text("#view pre")
    else:
        page.until("[...document.querySelectorAll('#view img')].every((i) => i.complete && i.naturalWidth > 100)")
        assert tab.locator("#view img").count() >= 1


@pytest.mark.parametrize("view", ["graph", "steps", "sliders", "values", "explain", "diagnose", "quiz", "network"])
def test_each_tab_has_something_to_say(page, view):
    page.run(SMALL + "model = ag.MLP(2, [2, 1], seed=0)", view)
    assert page.tab.locator(".refused").count() == 0, page.text()
    assert page.tab.locator("#view > *").count() >= 1


def test_numbers_are_the_engines(page):
    page.run(SMALL, "values")
    assert page.text("#view pre").splitlines() == [
        "a = Parameter(3)   f=3   g=6",
        "loss = a * a       f=9   g=1   local=(3, 3)",
    ]
    page.run(SMALL, "explain")
    assert "d loss / d a = 6: 2 paths" in page.text()


def test_a_quiz_is_answered(page):
    page.run(SMALL, "quiz")
    quiz = page.tab.frame_locator("#view iframe")
    quiz.locator("#field-A").fill("6")
    quiz.get_by_role("button", name="Check").click()
    quiz.locator("#score", has_text="1 of 1 right").wait_for()


def test_it_runs_as_one_types(page):
    page.run(SMALL, "values")
    before = page.done()
    page.tab.check("#live")
    page.until(f"+document.body.dataset.done > {before}")
    page.tab.click("#editor .cm-content")
    page.tab.keyboard.press("Control+End")
    page.tab.keyboard.type("print(a.grad + 0.25)")
    page.until("document.getElementById('output').textContent === '6.25\\n'")


def test_a_slider_moves_every_number(page):
    page.run(SMALL, "sliders")
    slider = page.tab.locator("#view input[type=range]")
    slider.focus()
    page.tab.keyboard.press("Home")  # low: 3 - 3 - 1
    page.until("document.querySelector('#view .result').textContent === 'loss = 1'")
    assert page.text("#view .slope") == "g = -2"


@pytest.mark.parametrize(
    ("program", "line", "words"),
    [
        ("x = 1\ny = (2\n", 2, "SyntaxError: '(' was never closed"),
        ("import autograd_lite as ag\n\nx = ag.Value('three')\n", 3, "Value"),
        ("import math, autograd_lite as ag\nx = ag.Value(2.0)\n\nmath.exp(x)", 4, "ag.exp"),
        ("import numpy", 1, "numpy is not in this page"),
        ("def f():\n    raise ValueError('<b>inside</b>')\nf()", 2, "ValueError: <b>inside</b>"),
        ("import js", 1, "not available to programs here"),
        ("def f(n):\n    return f(n + 1)\nf(0)", 2, "RecursionError"),
    ],
)
def test_an_error_stands_at_its_line(page, program, line, words):
    page.run(program)
    assert page.text("#trouble").startswith(f"Line {line}: ")
    assert words in page.text("#trouble")
    assert page.tab.locator(".cm-wrong").count() == 1
    number = "[...document.querySelectorAll('.cm-line')].findIndex((line) => line.classList.contains('cm-wrong'))"
    assert page.tab.evaluate(number) == line - 1
    page.run(SMALL)
    assert not page.tab.is_visible("#trouble")
    assert page.tab.locator(".cm-wrong").count() == 0


HOSTILE = (
    "</title><script>parent.document.title='owned';document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\">"
)


@pytest.mark.parametrize("view", ["graph", "steps", "sliders", "values", "explain", "diagnose", "quiz", "network"])
def test_no_name_or_output_becomes_markup(page, view):
    program = f"""import autograd_lite as ag
bad = {HOSTILE!r}
a = ag.Parameter(0.0, name=bad)
loss = ag.relu(a) * ag.Value(2.0, name=bad)
loss.backward()
print(bad)
globals()[bad] = loss
"""
    page.run(program, view)
    page.tab.wait_for_timeout(150)
    assert page.tab.title() == "autograd_lite playground"
    assert page.tab.locator("#seen script, #seen img[onerror], #program script").count() == 0
    assert HOSTILE in page.text("#output")


def test_a_program_reaches_neither_the_page_nor_a_host(page):
    page.run("""import sys
found = [name for name in ("js", "pyodide_js", "pyodide.http", "_pyodide_core") if name in sys.modules]
print(found)
for module in ("js", "pyodide.code", "urllib.request"):
    try:
        __import__(module)
        from urllib.request import urlopen
        urlopen("http://127.0.0.1:1/")
        print(module, "in reach")
    except BaseException as error:
        print(module, "refused")
""")
    assert page.text("#output").split("\n")[:4] == [
        "[]",
        "js refused",
        "pyodide.code refused",
        "urllib.request refused",
    ]


def test_one_that_opens_the_door_to_javascript_finds_it_empty(browser, site):
    page = Page(browser, site[1])
    page.until("document.body.dataset.done")
    page.run("""import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "Names"]
import js
names = ("fetch", "XMLHttpRequest", "WebSocket", "caches", "indexedDB", "Worker", "importScripts")
print([name for name in names if getattr(js, name, None) is not None])
from pyodide.code import run_js
try:
    run_js("1 + 1")
except BaseException as error:
    print("Content Security Policy" in str(error))
""")
    assert page.text("#output").split() == ["[]", "True"]
    page.context.close()


def test_an_endless_loop_is_ended(page):
    page.tab.evaluate("document.getElementById('live').checked = false")
    page.tab.click("#editor .cm-content")
    page.tab.keyboard.press("Control+a")
    page.tab.keyboard.press("Delete")
    page.tab.keyboard.insert_text("while True:\n    pass\n")
    page.tab.click("#run")
    page.until("document.getElementById('trouble').textContent.startsWith('Stopped after 10 seconds')")
    assert "endless loop" in page.text("#status")
    page.run(SMALL)
    assert not page.tab.is_visible("#trouble")
    assert page.tab.locator("#view img").count() == 1


def test_keyboard(page):
    page.run(SMALL)
    page.tab.focus("#tab-graph")
    page.tab.keyboard.press("ArrowRight")
    assert page.tab.evaluate("document.activeElement.id") == "tab-steps"
    page.tab.keyboard.press("End")
    assert page.tab.evaluate("document.activeElement.id") == "tab-network"
    assert page.tab.get_attribute("#view", "aria-labelledby") == "tab-network"
    page.tab.click("#editor .cm-content")
    before = page.done()
    page.tab.keyboard.press("Control+Enter")
    page.until(f"+document.body.dataset.done > {before}")
    page.tab.keyboard.press("Escape")
    page.tab.keyboard.press("Tab")
    assert not page.tab.evaluate("document.querySelector('.cm-content') === document.activeElement")


def test_what_a_screen_reader_is_told(page):
    nameless = """[...document.querySelectorAll('button, select, input, [role=textbox], iframe, img')].filter((e) =>
        !(e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent.trim() || e.title || e.alt))
        .map((e) => e.outerHTML)"""
    for view in ("graph", "sliders", "quiz"):
        page.run(SMALL, view)
        assert page.tab.evaluate(nameless) == []
    page.run(SMALL)
    assert "a = Parameter(3)" in page.tab.get_attribute("#view img", "alt")


def test_a_linked_program_waits_for_run(page, browser, site):
    program = SMALL + "print('it ran')\n"
    page.run(program)
    page.tab.click("#link")
    page.until("location.hash.startsWith('#program=')")
    link = page.tab.evaluate("location.hash")
    here = page.linked(program)
    other = Page(browser, site[1], link)
    for path in (link, here):
        other.tab.goto(site[1] + path)
        other.until("document.body.dataset.started && !document.getElementById('linked').hidden")
        other.tab.wait_for_timeout(400)
        other.tab.click("#editor .cm-content")
        other.tab.keyboard.press("Control+End")
        other.tab.keyboard.type("# read")
        other.tab.click("#tab-values")
        other.tab.wait_for_timeout(500)
        assert not other.tab.is_visible("#printed")
        assert other.tab.evaluate("document.body.dataset.done") is None
    other.tab.click("#run")
    other.until("document.getElementById('output').textContent === 'it ran\\n'")
    other.tab.goto(site[1] + "#program=AAAA")
    other.until("document.getElementById('status').textContent.includes('does not hold a program')")
    other.tab.goto(site[1] + other.linked("#" * 3_000_000))
    other.until("document.getElementById('status').textContent.includes('longer than 100,000')")
    assert other.errors == []
    other.context.close()


def test_offline_after_the_first_visit_on_a_phone_in_the_dark(browser, site):
    page = Page(browser, site[1], color_scheme="dark", **PHONE)
    page.until("document.body.dataset.offline === 'ready' && document.body.dataset.done")
    page.context.set_offline(True)
    page.tab.reload()
    page.until("document.body.dataset.done")
    assert not page.tab.is_visible("#trouble")
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(27, 30, 36)"
    assert "%231B1E24" in page.tab.get_attribute("#view img", "src")
    assert page.tab.evaluate("document.getElementById('seen').getBoundingClientRect().top") > page.tab.evaluate(
        "document.getElementById('editor').getBoundingClientRect().top"
    )
    for view in ("steps", "sliders", "quiz"):
        page.tab.click(f"#tab-{view}")
        page.until(f"document.querySelector('#view {'input' if view == 'sliders' else 'iframe'}')")
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.errors == []
    page.context.close()
