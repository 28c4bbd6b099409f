"""The built site in Chromium: nothing from another host, no error, search finds names, and steppers play.

It takes Sphinx (extra `docs`) and a browser. AUTOGRAD_LITE_SITE names a folder in which it is built already, as seen
from the repository's root.
"""

import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.helpers.browser import browser

__all__ = ["browser"]

ROOT = Path(__file__).parents[2]
PAGES = [
    "index",
    "course",
    "docs/COMPILE",
    "docs/FROM_JAX",
    "api/derivatives",
    "notebooks/2_backpropagation",
    "gallery",
]

pytestmark = pytest.mark.slow


class Quiet(SimpleHTTPRequestHandler):
    """Without a line for each request."""

    def log_message(self, *args):
        """Nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the site on a server of this machine."""
    if built := os.environ.get("AUTOGRAD_LITE_SITE"):
        out = ROOT / built
    else:
        for name in ("sphinx", "furo", "myst_nb", "sphinx_copybutton"):
            pytest.importorskip(name, reason="the site is built by the extra `docs`")
        out = tmp_path_factory.mktemp("site") / "html"
        subprocess.run([sys.executable, "-m", "tools.build_site", str(out)], cwd=ROOT, check=True, timeout=600)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(out))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page(browser, site):
    """A page that notes errors and requests to other hosts, none of which may come."""
    page, wrong = browser.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    ours = (site, "data:", "about:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(ours) else wrong.append(request.url))
    yield page
    page.close()
    assert not wrong


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_loads_and_fits(page, site, name, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{site}/{name}.html", wait_until="load")
    assert page.locator("h1").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_search_finds_a_name(page, site):
    page.goto(f"{site}/search.html?q=grad")
    page.wait_for_selector("#search-results li a")
    hrefs = page.locator("#search-results li a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert any(href.endswith("api/derivatives.html#ag.grad") for href in hrefs)


def test_pictures_follow_the_choice_of_light_or_dark(page, site):
    page.goto(f"{site}/gallery.html", wait_until="load")
    box = page.locator("iframe").first.content_frame.locator("svg rect").first
    colours = []
    for theme in ("light", "dark", "auto"):
        page.evaluate("theme => document.body.dataset.theme = theme", theme)
        box.wait_for()
        colours.append(box.evaluate("rect => getComputedStyle(rect).fill"))
    assert colours[0] == colours[2] != colours[1]


@pytest.mark.parametrize("name", ["notebooks/2_backpropagation", "gallery"])
def test_a_stepper_plays(page, site, name):
    page.goto(f"{site}/{name}.html", wait_until="load")
    stepper = page.locator('iframe[title="Backpropagation, step by step"]').first
    stepper.scroll_into_view_if_needed()
    frame = stepper.content_frame
    slider = frame.locator("input[type=range]")
    assert slider.input_value() == "0"
    frame.locator("#forward").click()
    frame.locator("#forward").click()
    assert slider.input_value() == "2"
    frame.locator("#back").click()
    assert slider.input_value() == "1"
