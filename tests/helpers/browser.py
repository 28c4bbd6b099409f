"""Headless Chromium for the tests of pages; `from tests.helpers.browser import browser` makes the fixture known."""

import shutil

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium: the system's, else Playwright's own."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested with Playwright, extra `test`")
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_api.sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=system, args=FLAGS)
        except sync_api.Error as error:
            pytest.skip(f"no browser here, so the page is not tested in one ({str(error).splitlines()[0]})")
        yield chromium
        chromium.close()
