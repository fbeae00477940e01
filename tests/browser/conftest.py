"""A headless Chromium, and the pages that it looks at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

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


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Opens a page, as a file; anything that the browser complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def opens(text: str, *, width: int = 1200, scheme: str = "light", script: bool = True) -> Page:
        file = tmp_path / "timeline.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=script,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(file.as_uri())
        return page

    yield opens
    for context in contexts:
        context.close()
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
