"""The picture of the ledger: in characters, and as a page that anybody can read."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.decide.facts import stamp
from chalicelib.names import execution_arn
from guardctl.chart import GLYPHS, HandTask, Row, Timeline, drawn
from guardctl.ledger import Entry, Outcome
from guardctl.marks import MOST, marks
from guardctl.page import html
from tests.properties import examples

SIX = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
MACHINES = "arn:aws:states:us-east-1:123456789012:stateMachine:batch-guard-dev"
TASK = "arn:aws:ecs:us-east-1:123456789012:task/batch/0a1b2c"


def at(minutes: float) -> datetime:
    """So many minutes after six."""
    return SIX + timedelta(minutes=minutes)


def entry(outcome: Outcome, scheduled: float, began: float | None = None, ended: float | None = None, run: int | None = None, reason: str = "", job: str = "report") -> Entry:  # fmt: skip
    """An entry, its times in minutes after six."""
    return Entry(
        job=job,
        scheduled=at(scheduled),
        outcome=outcome,
        reason=reason,
        run=f"run-{run:06d}" if run else None,
        arn=execution_arn(f"{MACHINES}-{job}", f"run-{run:06d}") if run else None,
        started=None if began is None else at(began),
        ended=None if ended is None else at(ended),
    )


def timeline(*rows: Row, zone: str = "UTC", minutes: float = 60) -> Timeline:
    """The hour after six."""
    return Timeline(stage="dev", start=SIX, end=at(minutes), zone=ZoneInfo(zone), rows=rows)


ENTRIES = (
    entry("ran", 0, 0, 12, run=41),
    entry("failed", 15, 15, 20, run=42, reason="container app exited with 1"),
    entry("running", 25, 25, run=43),
    entry("skipped", 35, reason='run-000043 has been running for "10" min & more'),
    entry("missed", 13),
)


def lines(picture: Timeline, width: int = 69) -> list[str]:
    """What the terminal shows, without colours."""
    names = [row.job for row in picture.rows]
    return [line.plain.rstrip() for line in drawn(picture, names, picture.rows, width, whole=False)]


def test_runs_are_bars_and_the_rest_are_marks() -> None:
    axis, report, legend = lines(timeline(Row(job="report", entries=ENTRIES)), 72)
    assert axis == "UTC                       11-23 18:15    18:30          18:45"
    assert report == "report     █████████████!·█████✗····██████████○████████████████████████▶"
    assert legend == "█ ran 1   ▶ running 1   ○ skipped 1   ! missed 1   ✗ failed 1"


def test_a_mark_is_seen_whatever_bar_it_stands_on() -> None:
    """Twenty skips beside a run that failed, and a failure among runs of a minute."""
    skips = [entry("skipped", 5 + n, reason="run-000001 has been running") for n in range(20)]
    minutes = [entry("failed" if n == 7 else "ran", n, n, n + 0.9, run=n + 2) for n in range(40)]
    long = Row(job="long", entries=(entry("failed", 0, 0, 50, run=1), *skips))
    often = Row(job="often", entries=tuple(minutes))
    _, failed, ran, *_ = lines(timeline(long, often), 32)
    assert failed == "long       █○○○○○○○○███████✗····"
    assert ran == "often      ██✗███████████·······"


def test_rows_are_drawn_as_they_come() -> None:
    asked: list[str] = []

    def rows() -> Iterator[Row]:
        for job in ("one", "two"):
            asked.append(job)
            yield Row(job=job, entries=())

    drawing = drawn(timeline(), ["one", "two"], rows(), 40, whole=False)
    seen = [(next(drawing).plain[:4].strip(), len(asked)) for _ in range(4)]
    assert seen == [("UTC", 1), ("one", 1), ("two", 2), ("", 2)]


def test_a_job_that_can_not_be_read_says_why_and_the_others_stand() -> None:
    refused = Row(job="report", entries=(), unread="ListExecutions: AccessDeniedException at 2026-11-23T18:00:00Z")
    window = timeline(refused, Row(job="other", entries=ENTRIES[:1]), zone="Asia/Tokyo")
    _, row, *why, other, legend = lines(window, 50)
    assert [row, *why] == [
        "report     ? it could not be read:",
        "    ListExecutions: AccessDeniedException at",
        "    2026-11-24 03:00",
    ]
    assert lines(window, 80)[1] == "report     ? ListExecutions: AccessDeniedException at 2026-11-24 03:00"
    assert other.startswith("other      ██")
    assert legend == "█ ran 1   ? can't be read 1"


LONG = "a-job-of-the-warehouse-with-a-name-of-sixty-four-characters-in-it"


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit_the_terminal_and_a_pipe_has_whole_names(width: int) -> None:
    rows = (Row(job=LONG, entries=ENTRIES), Row(job="report", entries=(), tasks=(HandTask(arn=TASK, started=SIX),)))
    names = [LONG, "report"]
    shown = [line.plain for line in drawn(timeline(*rows), names, rows, width, whole=False)]
    assert max(map(len, shown)) == width
    head, tail = shown[1].split()[0].split("…")
    assert LONG.startswith(head)
    assert LONG.endswith(tail)
    piped = [line.plain for line in drawn(timeline(*rows), names, rows, width, whole=True)]
    assert piped[1].startswith(LONG + "  ")


def test_a_task_by_hand_has_a_line_of_its_own() -> None:
    row = Row(
        job="report",
        entries=(),
        tasks=(HandTask(arn=TASK, started=at(-5), ended=at(3)), HandTask(arn=TASK, started=at(58))),
    )
    _, report, by_hand, legend = lines(timeline(row))
    assert report == "report     " + "·" * 58
    assert by_hand == "  by hand  ▒▒▒" + " " * 52 + "▒▒▒"
    assert legend == "▒ a task by hand"


def test_a_job_that_is_not_deployed_says_so() -> None:
    row = Row(job="report", entries=(), deployed=False)
    assert lines(timeline(row))[1] == "report     not deployed"
    assert '<p class="faint">not deployed</p>' in html(timeline(row))


def test_what_reaches_out_of_the_window_is_cut_off() -> None:
    _, report, _ = lines(
        timeline(Row(job="report", entries=(entry("ran", -30, -30, 6, run=40), entry("ran", 57, 57, 70, run=41))))
    )
    assert report.startswith("report     ██████·")
    assert report.endswith("·████")


@pytest.mark.parametrize(("minutes", "step"), [(60, 15), (1440, 360), (43_200, 10_080), (129_600, 43_200)])
def test_the_axis_has_round_times(minutes: float, step: int) -> None:
    ticks = [tick for _, tick in timeline(minutes=minutes).ticks(most=5)]
    assert {later - earlier for earlier, later in itertools.pairwise(ticks)} == {timedelta(minutes=step)}
    assert all((tick.hour * 60 + tick.minute) % min(step, 1440) == 0 for tick in ticks)


def test_no_time_of_the_page_stands_so_near_its_end_that_it_would_widen_it() -> None:
    axis = re.findall(r'<span style="left:([0-9.]+)%">', html(timeline(minutes=61)))
    assert [round(float(place)) for place in axis] == [16, 33, 49, 66, 82]


def test_the_axis_tells_the_jobs_own_clock() -> None:
    axis, *_ = lines(timeline(Row(job="report", entries=()), zone="Asia/Kolkata"))
    assert "11-23 23:45" in axis


class Page(HTMLParser):
    """What a page says, to whom, and where it points."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def attributes(self, tag: str, name: str) -> list[str]:
        """Every value of an attribute of such tags, in order."""
        return [value for found, attributes in self.tags if found == tag and (value := attributes.get(name))]


@pytest.fixture(scope="module")
def page() -> tuple[str, Page]:
    """The page of a small timeline, and what is on it."""
    hand = HandTask(arn=TASK, started=at(40), ended=at(50))
    rows = (Row(job="report", entries=ENTRIES, tasks=(hand,)), Row(job="idle", entries=(), left_out=3))
    text = html(timeline(*rows))
    return text, Page(text)


def test_every_bar_and_mark_says_in_words_what_it_is_and_leads_to_its_line(page: tuple[str, Page]) -> None:
    _, found = page
    told = found.attributes("a", "aria-label")
    assert told == [
        "report for 2026-11-23 18:00 ran as run-000041 and succeeded after 12 min",
        "report for 2026-11-23 18:13 was missed",
        "report for 2026-11-23 18:15 ran as run-000042 and failed after 5 min: container app exited with 1",
        "report for 2026-11-23 18:25 is running as run-000043",
        'report for 2026-11-23 18:35 was skipped: run-000043 has been running for "10" min & more',
        "report: task 0a1b2c by hand, since 2026-11-23 18:40, until 2026-11-23 18:50",
    ]
    internal = [link[1:] for link in found.attributes("a", "href") if link.startswith("#")]
    ids = [value for _, attributes in found.tags if (value := attributes.get("id"))]
    assert len(ids) == len(set(ids))
    assert set(internal) <= set(ids)
    assert len(internal) == len(told) + 4, "one that skips to the picture, and the three that need a person"


def test_the_page_needs_nothing_but_itself(page: tuple[str, Page]) -> None:
    text, found = page
    assert {tag for tag, _ in found.tags} & {"link", "img", "iframe", "svg", "object", "embed", "base"} == set()
    (policy,) = [content for content in found.attributes("meta", "content") if "default-src" in content]
    (script,) = re.findall("<script>(.*)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}'; ")
    assert [
        each for tag in ("script", "form") for each in found.attributes(tag, "src") + found.attributes(tag, "action")
    ] == []
    assert "url(" not in text
    assert "@import" not in text
    outside = [link for link in found.attributes("a", "href") if not link.startswith("#")]
    assert all(link.startswith("https://us-east-1.console.aws.amazon.com/") for link in outside)
    assert [each for tag, attributes in found.tags for each in attributes if each.startswith("on")] == []


def test_tables_have_headers_and_a_job_without_anything_says_so(page: tuple[str, Page]) -> None:
    text, found = page
    assert found.attributes("html", "lang") == ["en"]
    assert found.attributes("th", "scope").count("row") == 2 + len(ENTRIES) + 1
    assert '<p class="faint">nothing happened</p>' in text
    assert "Not looked up: idle 3." in text


def test_what_others_wrote_is_escaped() -> None:
    hostile = entry("skipped", 5, reason='<script>alert("x")</script>')
    text = html(timeline(Row(job="report", entries=(hostile,))))
    assert text.count("<script") == 1
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in text


def test_a_dead_trigger_stands_on_top_of_the_list_with_the_command_to_type() -> None:
    window = timeline(Row(job="report", entries=ENTRIES))
    command = "aws events enable-rule --name tick"
    text = html(replace(window, trigger=(f"no tick since {stamp(at(3))}: no schedule starts anything", command)))
    assert "Needs a person: 4" in text
    first, second, *_ = re.findall("<li (.*?)</li>", text)
    assert "The trigger" in first
    assert "no tick since 2026-11-23 18:03: no schedule" in first
    assert f"<code>{command}</code>" in first
    assert "report" in second


def test_a_run_that_is_late_by_the_clock_is_in_the_list_and_a_stop_of_the_keyboard() -> None:
    runs = replace(ENTRIES[2], late_since=at(40), reason="it should have succeeded by 2026-11-23T18:40:00Z")
    text = html(timeline(Row(job="report", entries=(ENTRIES[0], runs))))
    assert "Needs a person: 1" in text
    assert "late, running" in text
    assert "guardctl status report --stage dev" in text
    found = [attributes for tag, attributes in Page(text).tags if tag == "a" and "bar" in (attributes.get("class") or "")]  # fmt: skip
    assert [("late" in (each["class"] or "").split(), each.get("tabindex")) for each in found] == [(False, "-1"), (True, None)]  # fmt: skip


def test_no_kind_of_mark_is_told_by_its_colour_alone() -> None:
    alike = {"due": "still open", "deciding": "still open", "waiting": "still open", "disabled": "rests", "no schedule": "rests", "forgotten": "rests"}  # fmt: skip
    kinds = [(glyph, alike.get(outcome, outcome)) for outcome, glyph in GLYPHS.items()]
    assert len({glyph for glyph, _ in kinds}) == len(set(kinds))


def channels(colour: str) -> float:
    """A colour's relative luminance (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    linear = [(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4) for value in (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))]  # fmt: skip
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio."""
    brighter, darker = sorted((channels(one), channels(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_text_stands_out_in_light_and_in_dark(page: tuple[str, Page]) -> None:
    """4.5 to 1 for text, 3 to 1 for shapes (WCAG 2.2, AA)."""
    light, dark = [dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)", block)) for block in page[0].split("@media", 2)[:2]]
    for theme in (light, dark):
        for text, behind in [("ink", "page"), ("faint", "page"), ("ink", "band")]:
            assert contrast(theme[text], theme[behind]) >= 4.5, (text, behind)
        for fill in ("ran", "running", "bad", "odd", "hand", "faint"):
            assert contrast(theme["on"], theme[fill]) >= 4.5, fill
            assert contrast(theme[fill], theme["page"]) >= 3, fill


# --- marks: what stands at one place of the page ----------------------------------------------------------

OUTCOMES = st.sampled_from(list(GLYPHS))


@st.composite
def rows_of_a_day(draw: st.DrawFn) -> Row:
    """Up to 200 times of a day, crowded or not, their runs of seconds or hours."""
    places = draw(st.lists(st.tuples(st.floats(-60, 1440), OUTCOMES, st.floats(0, 300)), max_size=200))
    began: frozenset[Outcome] = frozenset({"ran", "failed", "timed out", "replaced", "stopped", "running"})
    return Row(
        job="report",
        entries=tuple(
            entry(outcome, minute, minute, minute + length, run=number + 1)
            if outcome in began
            else entry(outcome, minute)
            for number, (minute, outcome, length) in enumerate(places)
        ),
    )


@given(rows_of_a_day())
@settings(max_examples=examples(50), deadline=None)
def test_every_time_stands_in_one_mark_that_looks_as_its_worst(row: Row) -> None:
    day = timeline(row, minutes=1440)
    found = marks(day, row)
    assert sorted(map(id, (each for mark in found for each in mark.entries))) == sorted(map(id, row.entries))
    badness = list(GLYPHS).index
    for mark in found:
        assert badness(mark.worst.outcome) == max(badness(each.outcome) for each in mark.entries)
        assert {each.outcome == "not looked up" for each in mark.entries} in ({True}, {False})
        assert mark.start <= min(each.started or each.scheduled for each in mark.entries)
    long = sum((each.duration or timedelta()) >= day.step(MOST) for each in row.entries)
    assert len(found) <= 3 * (MOST + 5) + long, "however many times there are, a row has room for so many marks"


def test_what_says_the_same_for_hours_is_one_band_and_another_reason_ends_it() -> None:
    held = [
        entry("skipped", n, reason=f"run-00000{1 if n < 700 else 2} has been running for {n} min") for n in range(1440)
    ]
    row = Row(job="report", entries=tuple(held))
    found = [
        (len(mark.entries), mark.worst.reason.partition(" ")[0]) for mark in marks(timeline(row, minutes=1440), row)
    ]
    assert found == [(690, "run-000001"), (30, "run-000002"), (720, "run-000002")]
