"""`timeline --html FILE` as a person has it before them: its size, its speed, its marks, its keys, its filters."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from guardctl.chart import GLYPHS, HandTask, Row, Timeline
from guardctl.page import html
from tests import nights
from tests.browser.conftest import Opened


def everything() -> Timeline:
    """Every outcome by itself, and in crowds; a pool, tasks by hand, a row that can't be read, and one of nothing."""
    began, ran = {"ran", "running", "failed", "timed out", "replaced", "stopped"}, "all"
    alone = tuple(
        nights.entry(ran, nights.NOW - timedelta(hours=23 - n), outcome, 20, n + 1 if outcome in began else 0, "why <so>")
        for n, outcome in enumerate(GLYPHS)
    )
    many = tuple(
        nights.entry("many", nights.NOW - timedelta(minutes=23 * 60 - 50 * n - m), outcome, 0.5, 60 * n + m + 1 if outcome in began - {"running"} else 0)
        for n, outcome in enumerate(GLYPHS)
        for m in range(25)
    )  # fmt: skip
    hand = HandTask(arn=f"{nights.TASK}0a1b2c", started=nights.NOW - timedelta(hours=2), ended=nights.NOW)
    rows = (
        Row(job=ran, entries=alone, tasks=(hand,), pool="warehouse"),
        Row(job="many", entries=many, pool="warehouse", left_out=25),
        Row(job="refused", entries=(), unread="ListExecutions: AccessDeniedException"),
        Row(job="absent", entries=(), deployed=False),
        Row(job="idle", entries=()),
    )
    return nights.timeline(1, rows)


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_mend(opened: Opened, scheme: str, width: int) -> None:
    page = opened(everything(), scheme=scheme, width=width)
    page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
    targets = [(rule["id"], node["target"]) for rule in found.response["violations"] for node in rule["nodes"]]
    assert targets == []
    assert len(found.response["passes"]) > 20


def test_a_week_of_forty_jobs_is_small_and_usable_within_a_second(opened: Opened, week: Timeline) -> None:
    assert len(html(week).encode()) < 1_000_000
    page = opened(everything())  # the browser itself has started
    tools = page.context.new_cdp_session(page)
    # The page's own time on its thread: what else this machine has to do does not count.
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    begun = spent(tools)
    page.goto("about:blank")
    page.set_content("")
    page = opened(week)
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.get_by_label("Job", exact=True).fill("ledger")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert begun >= 0
    assert spent(tools) < 1


def spent(tools: object) -> float:
    raise NotImplementedError
