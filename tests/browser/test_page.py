"""`timeline --html FILE` as a person has it before them: its size, its speed, its marks, its keys, its filters."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe

from guardctl.chart import GLYPHS, HandTask, Row, Timeline
from guardctl.page import html
from tests import nights
from tests.browser.conftest import Opened

pytestmark = pytest.mark.together("browser")
"""One browser for all, and the week is made up once."""


def everything() -> Timeline:
    """Every outcome by itself, and in crowds; a pool, tasks by hand, a row that can't be read, and one of nothing."""
    began, ran = {"ran", "running", "failed", "timed out", "replaced", "stopped"}, "all"
    alone = tuple(
        nights.entry(
            ran,
            nights.NOW - timedelta(hours=23 - 20 * n / len(GLYPHS)),
            outcome,
            20,
            n + 1 if outcome in began else 0,
            "why <so>",
        )
        for n, outcome in enumerate(GLYPHS)
    )
    many = tuple(
        nights.entry("many", nights.NOW - timedelta(minutes=23 * 60 - 50 * n - 2 * m), outcome, 0.5, 60 * n + m + 1 if outcome in began - {"running"} else 0)
        for n, outcome in enumerate(GLYPHS)
        for m in range(12)
    )  # fmt: skip
    hand = HandTask(arn=f"{nights.TASK}0a1b2c", started=nights.NOW - timedelta(hours=2), ended=nights.NOW)
    since = nights.NOW - timedelta(hours=5)
    late = replace(nights.entry("late", since, "running", 0, 1, "it should"), ended=None, late_since=nights.NOW)
    rows = (
        Row(job=ran, entries=alone, tasks=(hand,), pool="warehouse"),
        Row(job="late", entries=(late,)),
        Row(job="many", entries=many, pool="warehouse", left_out=12),
        Row(job="refused", entries=(), unread="ListExecutions: AccessDeniedException"),
        Row(job="absent", entries=(), deployed=False),
        Row(job="idle", entries=()),
    )
    trigger = ("no tick since then: no schedule starts anything", "aws logs tail /aws/lambda/x --since 1h")
    return replace(nights.timeline(1, rows), trigger=trigger)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_axe_finds_nothing_to_mend(opened: Opened, scheme: str, width: int) -> None:
    page = opened(html(everything()), scheme=scheme, width=width)
    page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
    found = Axe().run(
        page,
        options={
            "resultTypes": ["violations"],
            "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        },
    )
    targets = [(rule["id"], node["target"]) for rule in found.response["violations"] for node in rule["nodes"]]
    assert targets == []
    assert len(found.response["passes"]) > 20


def test_a_week_of_forty_jobs_is_small_and_usable_within_a_second(opened: Opened, week: str) -> None:
    assert len(week.encode()) < 1_000_000
    page = opened(html(nights.timeline(1, ())))
    tools = page.context.new_cdp_session(page)
    # What its thread had to do, and not the clock: what else this machine does is not the page's.
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    file = page.url.removeprefix("file://")
    with open(file, "w", encoding="utf-8") as written:
        written.write(week)
    page.reload()
    page.get_by_role("searchbox", name="Job").fill("ledger")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.locator(".picture tbody tr:visible").count() == 4
    measured = {each["name"]: each["value"] for each in tools.send("Performance.getMetrics")["metrics"]}
    assert 0 < measured["TaskDuration"] < 1


def beside_each_other() -> Timeline:
    """Runs of a pool of two slots, which overlap: the bad began first, or last, or within a good one."""
    begun = ((22, "failed", 5), (20, "ran", 5), (12, "ran", 5), (10, "failed", 4), (6, "ran", 5), (4, "failed", 0.2))
    entries = [
        nights.entry(
            "slots", nights.NOW - timedelta(hours=ago), "failed" if kind == "failed" else "ran", 60 * hours, ago
        )
        for ago, kind, hours in begun
    ]
    return nights.timeline(1, (Row(job="slots", entries=tuple(entries)),))


@pytest.mark.parametrize("crowded", [True, False])
def test_no_mark_of_what_needs_a_person_lies_under_another(opened: Opened, week: str, crowded: bool) -> None:
    """At the middle of each there is none that is less bad."""
    page = opened(week if crowded else html(beside_each_other()))
    bad = ".lanes :is(.failed, .timed-out, .missed, .not-started)"
    hidden = page.eval_on_selector_all(
        bad,
        """(all, bad) => all.filter(mark => {
            mark.scrollIntoView({block: "center"});
            const {left, top, width, height} = mark.getBoundingClientRect();
            return !document.elementFromPoint(left + width / 2, top + height / 2).closest(bad);
        }).map(mark => mark.getAttribute("aria-label"))""",
        bad,
    )
    assert page.locator(bad).count() > (20 if crowded else 2)
    assert hidden == []


def test_the_first_bad_mark_is_three_stops_away_at_most_and_arrows_reach_the_good(
    opened: Opened, night_page: str
) -> None:
    page = opened(night_page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    trouble = page.locator(".trouble a").first
    assert trouble.evaluate(
        "link => link === document.activeElement && link.getBoundingClientRect().bottom < innerHeight"
    )
    assert trouble.locator("i").inner_text() in {"✗", "?", "!", "T", "○"}

    page.locator(".lanes .failed").first.focus()
    kinds = []
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        kinds.append(page.evaluate("document.activeElement.className").split())
    assert any("ran" in kind for kind in kinds)
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert page.locator(".lanes .failed").first.evaluate("mark => mark === document.activeElement")


def test_every_row_has_a_stop_and_good_marks_are_none(opened: Opened, night_page: str) -> None:
    page = opened(night_page)
    lists = page.locator(".lanes")
    assert lists.count() == 38
    stops = page.eval_on_selector_all(
        ".lanes", "all => all.map(list => list.querySelectorAll('a:not([tabindex])').length)"
    )
    assert min(stops) >= 1
    assert sum(stops) < 100


def test_a_click_copies_the_command(opened: Opened, night_page: str) -> None:
    page = opened(night_page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    command = page.locator(".trouble code").nth(1).inner_text()
    assert command.startswith("guardctl ")
    page.locator(".trouble button").nth(1).click()
    page.get_by_text(f"Copied: {command}").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == command


def test_filters_by_job_pool_and_outcome(opened: Opened, night: Timeline, night_page: str) -> None:
    page = opened(night_page)

    def jobs() -> list[str]:
        shown: list[str] = page.eval_on_selector_all(
            ".picture tbody tr:not([hidden])", "all => all.map(row => row.dataset.job)"
        )
        return shown

    everything = jobs()
    page.get_by_role("searchbox", name="Job").fill("ledger-")
    assert jobs() == [job for job in everything if "ledger-" in job]
    page.get_by_role("searchbox", name="Job").fill("")
    page.get_by_label("Pool").select_option("warehouse")
    assert jobs() == [row.job for row in night.rows if row.pool == "warehouse"]
    page.get_by_label("Pool").select_option("all")
    page.get_by_label("Outcome").select_option("missed")
    missed = [row.job for row in night.rows if any(entry.outcome == "missed" for entry in row.entries)]
    assert jobs() == missed
    assert page.locator(".trouble li:visible").count() == len(missed)
    assert page.locator(".details tbody tr:visible").count() == len(missed)
    page.get_by_label("Outcome").select_option("failed")
    crowds = [row.job for row in night.rows if any(entry.outcome == "failed" for entry in row.entries)]
    assert jobs() == crowds, "also where they stand among others"
    page.get_by_role("button", name="Show all").click()
    page.get_by_text("40 of 40 jobs are shown").wait_for(state="attached")
    assert jobs() == everything


def test_a_dead_trigger_and_what_is_late_stay_among_what_needs_a_person(opened: Opened) -> None:
    page = opened(html(everything()))
    page.get_by_label("Outcome").select_option("needs a person")
    assert page.locator(".trouble li").first.inner_text().startswith("!The trigger")
    assert page.locator(".trouble li").first.is_visible()
    assert page.locator(".lanes .late").is_visible()
    assert not page.locator(".lanes .paused").first.is_visible()


def test_without_a_script_all_is_said_and_a_mark_opens_its_line(opened: Opened, night_page: str) -> None:
    page = opened(night_page, script=False)
    assert page.locator("form:visible, button:visible").count() == 0
    assert page.locator(".trouble code:visible").count() == 8
    good = page.locator(".lanes .ran").first
    line = page.locator(f"[id='{(good.get_attribute('href') or '')[1:]}']")
    assert not line.is_visible()
    good.click()
    assert line.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_the_picture_and_never_the_page(opened: Opened, week: str, scheme: str) -> None:
    page = opened(week, width=390, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.querySelector('.wide').scrollLeft") > 0, "now is what is seen"
    name, now = (page.locator(which).first.bounding_box() for which in (".picture tbody th", ".now"))
    assert name
    assert now
    assert name["x"] >= 0
    assert name["x"] + name["width"] < now["x"] < 390


def test_what_was_not_looked_up_is_hatched_and_seen_around_what_stands_on_it(opened: Opened, week: str) -> None:
    page = opened(week)
    hatched = page.locator(".lanes .not-looked-up")
    assert hatched.count() > 0
    assert "repeating-linear-gradient" in hatched.first.evaluate("mark => getComputedStyle(mark).backgroundImage")
    seen = hatched.first.evaluate(
        """mark => {
            mark.scrollIntoView({block: "center"});
            const {left, top, width} = mark.getBoundingClientRect();
            return document.elementFromPoint(left + width / 2, top + 2).closest("a") === mark;
        }"""
    )
    assert seen
