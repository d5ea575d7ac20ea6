"""A page in a real browser, which must show it without a word and without asking for anything else."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: make test installs it on Debian as root")


@contextmanager
def opened(path: Path, also: str = "") -> Iterator[Any]:
    """A tab with the page, 1200 pixels wide.

    At the end: no message, error or dialog, no request but for the page itself and what begins with `also`, no script,
    and nothing wider than the screen of a phone.
    """
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
    said: list[str] = []
    asked: list[str] = []
    with api.sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        tab = browser.new_page(viewport={"width": 1200, "height": 900})
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: said.append(dialog.message))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(path.as_uri())
        yield tab
        assert tab.evaluate("document.scripts.length") == 0
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 391
        browser.close()
    assert said == []
    assert [url for url in asked if not (also and url.startswith(also))] == [path.as_uri()]
