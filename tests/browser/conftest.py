"""A headless Chromium, and the pages that it looks at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

from guardctl.chart import Timeline
from guardctl.page import html
from tests import nights

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's own: playwright brings none of its own here."""
    found = os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)
    if not found:
        pytest.fail("these tests need Chromium: apt-get install chromium, or set CHROMIUM to its path", pytrace=False)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found)


Opened = Callable[..., Page]


@pytest.fixture(scope="session")
def tabs(browser: Browser) -> Callable[[bool], Page]:
    """A tab with scripts and one without: a new one for each test is processes, a second of a CPU."""
    return cache(lambda script: browser.new_context(java_script_enabled=script).new_page())


@pytest.fixture
def opened(tabs: Callable[[bool], Page], tmp_path: Path) -> Iterator[Opened]:
    """Opens a page, as a file; anything that the browser complains of fails the test."""
    complaints: list[str] = []

    def complains(message: ConsoleMessage | Error) -> None:
        complaints.append(str(message))

    def opens(text: str, *, width: int = 1200, scheme: str = "light", script: bool = True) -> Page:
        file = tmp_path / "timeline.html"
        file.write_text(text, encoding="utf-8")
        page = tabs(script)
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.on("console", complains)
        page.on("pageerror", complains)
        left.callback(page.remove_listener, "console", complains)
        left.callback(page.remove_listener, "pageerror", complains)
        left.callback(page.context.clear_permissions)
        page.goto(file.as_uri())
        return page

    with ExitStack() as left:
        yield opens
    assert complaints == []


@pytest.fixture(scope="session")
def week() -> str:
    """Forty jobs of a week, ten of them every minute: 100,000 scheduled times."""
    return html(nights.forty(days=7))


@pytest.fixture(scope="session")
def night() -> Timeline:
    """Forty jobs of a night, six of them every minute."""
    return nights.forty(days=1, frequent=6)


@pytest.fixture(scope="session")
def night_page(night: Timeline) -> str:
    """Its page."""
    return html(night)
