"""Calendars in the jobs file, what a run is told of them, their record, and what the trigger sends."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chalicelib.config.calendars import stored
from chalicelib.config.jobs import Job, JobsFile, JobsFileInvalid, parse
from chalicelib.config.run_task import run_task
from chalicelib.decide.calendars import data_of
from chalicelib.decide.schedule import nominal
from chalicelib.read.record import Record, recorded_as, with_schedules_of
from chalicelib.trigger import Trigger
from guardctl import advice, differences
from guardctl.commands.calendar import write
from guardctl.commands.why import require_scheduled
from guardctl.durations import Durations
from guardctl.errors import Stop
from guardctl.holiday_data import UnknownPlace, computed, written
from guardctl.outlook import outlook
from tests.unit.test_trigger import FUNCTION, Clock, FakeStepFunctions, tick

SHORT = "# a comment\n2026-01-01 2026-12-31\n2026-11-03 Culture Day\n2026-11-23 Labor Thanksgiving Day\n"
BROKEN = "2026-01-01 2026-12-31\n2026-02-30 No Such Day\n"
FILES = {"JP": SHORT, "XX": BROKEN, "YY": "what is this"}
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def file(about: str, calendars: str = '[calendars.jp]\nholidays = "JP"', defaults: str = "") -> JobsFile:
    text = f"""
[defaults]
timezone = "Asia/Tokyo"
{defaults}
[defaults.ecs]
cluster = "b"
container = "c"
launch_type = "EC2"
{calendars}
[jobs.report]
{about}
ecs.task_definition = "r"
"""
    return parse(text, stage="dev", place="dev.toml", holidays=FILES.get)


def job(about: str, calendars: str = '[calendars.jp]\nholidays = "JP"', defaults: str = "") -> Job:
    return file(about, calendars, defaults).jobs["report"]


DAILY = 'schedule = "cron(0 3 * * ? *)"\ncalendar = "jp"\n'
LAST_DAY = 'schedule = "cron(0 18 L * ? *)"\ncalendar = "jp"\n'


# --- the keys -----------------------------------------------------------------------------------------------


def test_a_calendar_is_read() -> None:
    about = '[calendars.jp]\nholidays = "JP"\nweekend = ["FRI", "SAT"]\nalso = ["12-31", 2026-08-13]\nexcept = ["2026-11-23"]'
    read = job(f'{DAILY}on_holiday = "next"', about)
    calendar = read.calendar
    assert calendar is not None
    assert (calendar.name, calendar.place, calendar.span) == ("jp", "JP", (date(2026, 1, 1), date(2026, 12, 31)))
    assert calendar.holiday(date(2026, 11, 3)) == "Culture Day"
    assert (calendar.weekend, calendar.also) == (frozenset({4, 5}), frozenset({"12-31", "2026-08-13"}))
    assert calendar.is_business_day(date(2026, 11, 23))
    (schedule,) = read.schedules
    assert schedule.rule is not None
    assert (schedule.rule.calendar, schedule.rule.on_holiday, schedule.rule.business_day) == (calendar, "next", 0)


def test_a_calendar_alone_changes_no_schedule() -> None:
    assert [each.rule for each in job(DAILY).schedules] == [None]
    assert recorded_as(job(DAILY)) == recorded_as(job('schedule = "cron(0 3 * * ? *)"', ""))


def test_a_job_that_makes_the_choice_replaces_the_defaults() -> None:
    defaults = 'calendar = "jp"\non_holiday = "skip"'
    (by_default,) = job('schedule = "cron(0 3 * * ? *)"', defaults=defaults).schedules
    (own,) = job('schedule = "cron(0 3 * * ? *)"\nbusiness_day = -1', defaults=defaults).schedules
    assert by_default.rule
    assert own.rule
    assert (by_default.rule.on_holiday, by_default.rule.business_day) == ("skip", 0)
    assert (own.rule.on_holiday, own.rule.business_day) == ("run", -1)


@pytest.mark.parametrize(
    ("about", "calendars", "said"),
    [
        pytest.param(DAILY, '[calendars.jp]\nholidays = "JPN"', 'calendars.jp.holidays: "JPN" has no holidays in chalicelib/calendars; run: guardctl calendar', id="no data"),
        pytest.param(f'{DAILY}ecs.command = ["x", "{{business_date}}"]', '[calendars.jp]\nholidays = "JPN"', 'calendars.jp.holidays: "JPN" has no holidays', id="and that alone"),
        pytest.param(DAILY, '[calendars.jp]\nholidays = "../dev"', 'calendars.jp.holidays: "../dev" is not valid; write a country "JP"', id="no place"),
        pytest.param(DAILY, '[calendars.jp]\nholidays = "XX"', "calendars.jp.holidays: chalicelib/calendars/XX.txt is not as guardctl calendar writes it; run: guardctl calendar", id="a day that no calendar has"),
        pytest.param(DAILY, '[calendars.jp]\nholidays = "YY"', "calendars.jp.holidays: chalicelib/calendars/YY.txt is not as guardctl", id="broken data"),
        pytest.param(DAILY, '[calendars.jp]\nholidays = "JP"\nalso = ["12-32"]', 'calendars.jp.also[0]: "12-32" is not a day: ', id="no such day"),
        pytest.param(DAILY, '[calendars.jp]\nholidays = "JP"\nalso = ["31.12."]', 'calendars.jp.also[0]: "31.12." is not a day; write a day, "2026-12-31", or one of every year, "12-31"', id="another notation"),
        pytest.param(DAILY, '[calendars.jp]\nalso = ["12-31"]\nexcept = ["12-31"]', 'calendars.jp.except: "12-31" is in also, too; keep it in one of the two', id="both"),
        pytest.param(DAILY, '[calendars.jp]\nweekend = ["SAT", "SUNDAY"]', 'calendars.jp.weekend[1]: "SUNDAY" is not valid; write "MON"', id="a day of the week"),
        pytest.param(DAILY, '[calendars.jp]\nweekend = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]', "calendars.jp.weekend: is the whole week; leave a day", id="no week"),
        pytest.param(DAILY, '[calendars.jp]\nholiday = "JP"', 'calendars.jp.holiday: is not a known key; did you mean "holidays"?', id="a typo"),
        pytest.param(DAILY, '[calendars.jpn]\nholidays = "JP"', 'jobs.report.calendar: "jp" is not a calendar of this file; did you mean "jpn"?', id="another calendar"),
        pytest.param(DAILY, "", 'jobs.report.calendar: "jp" is not a calendar of this file; write [calendars.jp]', id="no calendar"),
        pytest.param('schedule = "0 3 * * *"', None, 'calendars.jp: is a calendar of no job; write calendar = "jp" in the jobs that go by it', id="a calendar of nobody"),
        pytest.param('schedule = "0 3 * * *"\non_holiday = "skip"', "", 'jobs.report.on_holiday: is given without a calendar; write calendar = "jp"', id="on_holiday of nothing"),
        pytest.param('schedule = "0 3 * * *"\nbusiness_day = 1', "", "jobs.report.business_day: is given without a calendar", id="business_day of nothing"),
        pytest.param(f'{DAILY}on_holiday = "move"', None, 'jobs.report.on_holiday: "move" is not valid; write "run", "skip", "next" or "previous"', id="another word"),
        pytest.param(f"{DAILY}business_day = 0", None, "jobs.report.business_day: 0 is out of range; write 1 for the first", id="the 0th"),
        pytest.param(f'{DAILY}business_day = 1\non_holiday = "next"', None, "jobs.report.on_holiday: is given together with business_day", id="both of a choice"),
        pytest.param(f"{DAILY}business_day = 24", None, 'jobs.report.schedule: "cron(0 3 * * ? *)" never happens on such a day of calendar jp; write another day', id="a month has no 24"),
        pytest.param(f"{LAST_DAY}business_day = -1", None, 'jobs.report.schedule: "cron(0 18 L * ? *)" is not of every day at a time of day', id="two ways to say the day"),
        pytest.param('schedule = "rate(1 day)"\ncalendar = "jp"\nbusiness_day = 1', None, 'jobs.report.schedule: "rate(1 day)" is not of every day', id="a rate has no day"),
        pytest.param('schedule = ["0 3 * * *", "rate(1 hour)"]\ncalendar = "jp"\non_holiday = "next"', None, 'jobs.report.schedule[1]: "rate(1 hour)" has no time of day to keep', id="a rate does not move"),
        pytest.param('schedule = "0 3 * * SAT"\ncalendar = "jp"\non_holiday = "skip"', None, 'jobs.report.schedule: "0 3 * * SAT" never happens on such a day of calendar jp; write another day, or another on_holiday', id="always a holiday"),
        pytest.param('schedule = "0 3 * * *"\necs.command = ["x", "{business_date}"]', "", 'jobs.report.ecs.command[1]: "{business_date}" is of a job with a calendar', id="a business date of nothing"),
    ],
)  # fmt: skip
def test_faults(about: str, calendars: str | None, said: str) -> None:
    with pytest.raises(JobsFileInvalid) as invalid:
        job(about, *([calendars] if calendars is not None else []))
    (found,) = invalid.value.faults
    assert str(found).removeprefix("dev.toml:").startswith(said)


# --- what a run is told -------------------------------------------------------------------------------------


def told(of: Job, at: str, nominal_at: str | None = None) -> tuple[dict[str, str], list[str] | None]:
    moments = [datetime.fromisoformat(each).astimezone(UTC) if each else None for each in (at, nominal_at)]
    assert moments[0]
    (container,) = run_task(of, number=1, scheduled_at=moments[0], nominal_at=moments[1])["Overrides"][
        "ContainerOverrides"
    ]
    given = {each["Name"]: each["Value"] for each in container["Environment"] if each["Name"].endswith("DATE")}
    return given, container.get("Command")


@pytest.mark.parametrize(
    ("at", "nominal_at", "expected"),
    [
        pytest.param("2026-11-24T18:00+09:00", None, ("2026-11-24", "2026-11-24"), id="a business day is its own"),
        pytest.param("2026-11-23T18:00+09:00", None, ("2026-11-23", "2026-11-20"), id="a holiday: the one before the weekend"),
        pytest.param("2026-11-24T02:00+09:00", None, ("2026-11-24", "2026-11-24"), id="by the job's clock, not UTC's"),
        pytest.param("2026-02-02T18:00+09:00", "2026-01-31T18:00+09:00", ("2026-02-02", "2026-01-30"), id="a month's end that moved on is still that month's"),
        pytest.param("2026-01-30T18:00+09:00", "2026-01-31T18:00+09:00", ("2026-01-30", "2026-01-30"), id="a month's end that moved back"),
    ],
)  # fmt: skip
def test_a_run_is_told_its_dates(at: str, nominal_at: str | None, expected: tuple[str, str]) -> None:
    of = job(f'{LAST_DAY}on_holiday = "next"\necs.command = ["x", "--of={{business_date:%Y%m%d}}", "{{local_date}}"]')
    given, command = told(of, at, nominal_at)
    assert given == {"BATCH_LOCAL_DATE": expected[0], "BATCH_BUSINESS_DATE": expected[1]}
    assert command == ["x", f"--of={expected[1].replace('-', '')}", expected[0]]


def test_without_a_calendar_there_is_no_business_date() -> None:
    assert told(job('schedule = "0 3 * * *"', ""), "2026-11-24T18:00+09:00")[0] == {"BATCH_LOCAL_DATE": "2026-11-24"}


# --- the record ---------------------------------------------------------------------------------------------


def test_a_record_is_another_one_when_the_days_are() -> None:
    rule = f'{DAILY}on_holiday = "skip"'
    known = recorded_as(job(rule))
    about = ['also = ["12-31"]', 'except = ["2026-11-03"]', 'weekend = ["SUN"]']
    others = [recorded_as(job(rule, f'[calendars.jp]\nholidays = "JP"\n{each}')) for each in about]
    others.append(recorded_as(job(f"{DAILY}business_day = 1")))
    try:
        FILES["JP"] = SHORT.replace("2026-11-03 Culture Day\n", "")
        others.append(recorded_as(job(rule)))
        FILES["JP"] = SHORT.replace("2026-11-03 Culture Day\n", "2026-11-03 Another Name\n").replace(
            "# a comment", "# x"
        )
        assert recorded_as(job(rule)) == known, "a name and a comment are no day"
    finally:
        FILES["JP"] = SHORT
    assert len({known, *others}) == 6


@pytest.mark.parametrize("rule", ['on_holiday = "skip"', 'on_holiday = "previous"', "business_day = -1"])
def test_what_is_recorded_is_read_back(rule: str) -> None:
    kept = job(f"{DAILY}{rule}\nstart = 2026-01-01T00:00:00")
    assert with_schedules_of(replace(kept, schedules=()), recorded_as(kept)) == kept
    with pytest.raises(ValueError, match="has none here"):
        with_schedules_of(replace(kept, calendar=None), recorded_as(kept))


# --- what the trigger sends ---------------------------------------------------------------------------------


def sent(file: JobsFile, at: str) -> tuple[dict[str, str], FakeStepFunctions]:
    """What one tick at that time reports and starts."""
    client, clock, now = FakeStepFunctions(), Clock(), datetime.fromisoformat(at).astimezone(UTC)

    def record(job: Job) -> Record:
        return Record(recorded_as(job), now - 9 * DAY)

    made = Trigger(file, FUNCTION, client, record, set(), clock.now, clock.sleep)  # type: ignore[arg-type]  # a fake with the one method used
    return tick(made, now), client


def test_a_holiday_has_its_verdict_under_its_own_name_and_asks_nobody() -> None:
    results, client = sent(file(f'{DAILY}on_holiday = "skip"'), "2026-11-23T03:00:05+09:00")
    assert results == {"report-20261122T1800Z": "holiday"}
    reason = "2026-11-23 is no business day of calendar jp: Labor Thanksgiving Day"
    assert client.taken["report-20261122T1800Z"]["verdict"] == {"error": "Holiday", "reason": reason}


def test_a_tick_that_was_missed_tells_it_later_and_a_warm_one_tells_it_once() -> None:
    skipping = file(f'{DAILY}on_holiday = "skip"')
    assert sent(skipping, "2026-11-23T03:08:05+09:00")[0] == {"report-20261122T1800Z": "holiday"}
    assert sent(skipping, "2026-11-23T03:12:05+09:00")[0] == {}, "guardctl knows it from the calendar"
    client, clock = FakeStepFunctions(), Clock()
    now = datetime.fromisoformat("2026-11-23T03:00:05+09:00").astimezone(UTC)
    fake: Any = client
    had = Record(recorded_as(skipping.jobs["report"]), now - DAY)
    warm = Trigger(skipping, FUNCTION, fake, lambda _job: had, set(), clock.now, clock.sleep)
    for minute in range(5):
        tick(warm, now + minute * MINUTE)
    assert client.calls == ["report-20261122T1800Z"]


def test_a_day_before_is_made_up_for_although_a_holiday_came_since() -> None:
    late = file(f'{DAILY}on_holiday = "skip"\nstart_deadline = "24h"')
    assert sent(late, "2026-11-21T02:00:05+09:00")[0] == {"report-20261119T1800Z": "started"}
    half = file('schedule = "cron(0 3,15 * * ? *)"\ncalendar = "jp"\non_holiday = "skip"\nstart_deadline = "24h"')
    results, _ = sent(half, "2026-11-21T03:01:00+09:00")
    assert results == {"report-20261120T1800Z": "holiday", "report-20261120T0600Z": "started"}


def test_a_moved_time_is_sent_with_what_it_was() -> None:
    moving = file(f'{LAST_DAY}on_holiday = "next"')
    results, client = sent(moving, "2026-11-02T18:00:05+09:00")
    assert results == {"report-20261102T0900Z": "started"}
    started = client.taken["report-20261102T0900Z"]
    assert (started["scheduled_at"], started["nominal_at"]) == ("2026-11-02T09:00:00Z", "2026-10-31T09:00:00Z")
    assert sent(moving, "2026-10-31T18:00:05+09:00")[0] == {}
    _, plain = sent(moving, "2026-11-30T18:00:05+09:00")
    assert "nominal_at" not in plain.taken["report-20261130T0900Z"]


def test_beyond_the_data_it_starts_and_says_so() -> None:
    _, client = sent(file(f'{DAILY}on_holiday = "skip"'), "2027-01-01T03:00:05+09:00")
    (started,) = client.taken.values()
    assert started["reason"].startswith(
        "nobody knows whether 2027-01-01 is a holiday: the data of calendar jp is of 2026"
    )


# --- at the operator's side ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "said"),
    [
        pytest.param("2026-10-02", [], id="90 days"),
        pytest.param("2026-10-03", ['the holidays of "JP" end on 2026-12-31, in 89 days'], id="89 days"),
        pytest.param("2027-01-02", ['the holidays of "JP" end on 2026-12-31, 2 days ago'], id="over"),
    ],
)
def test_it_is_warned_of_data_that_ends_soon(today: str, said: list[str]) -> None:
    now = datetime.fromisoformat(f"{today}T12:00Z")
    found = advice.warnings(file(DAILY), "dev.toml", (), now)
    assert [each.wrong.partition(":")[0] for each in found] == said
    assert all(each.place == "calendars.jp.holidays" for each in found)


def days_of(place: str, first: int, last: int) -> Iterable[str]:
    return map(str, computed(place, first, last))


@pytest.mark.thorough
def test_the_holidays_of_a_place_are_the_librarys() -> None:
    names = computed("JP", 2026, 2026)
    assert names[date(2026, 5, 6)] == "Substitute Holiday"
    assert {"2026-01-02", "2026-12-31"} <= {*days_of("JP+bank", 2026, 2026)} - {*days_of("JP", 2026, 2026)}
    assert "2026-01-06" in {*days_of("DE-BY", 2026, 2026)} - {*days_of("DE", 2026, 2026)}, "Epiphany, in Bavaria"
    assert "2026-12-31" in {*days_of("XJPX", 2026, 2026)}, "the Tokyo exchange"
    data = data_of(written("JP", names, 2026, 2026))
    assert data is not None
    assert data.startswith("2026-01-01 2026-12-31\n2026-01-01 New Year's Day\n")


def test_a_refresh_says_which_days_are_others_and_leaves_alone_what_has_not_changed(tmp_path: Path) -> None:
    directory, days = tmp_path / "calendars", {date(2026, 11, 3): "Culture Day", date(2027, 1, 1): "New Year's Day"}
    first = written("JP", days, 2026, 2027)
    assert write("JP", first, directory) == "JP: 2 holidays, 2026-01-01 to 2027-12-31"
    assert (
        write("JP", f"# by another release\n{first}", directory)
        == "JP: 2 holidays, 2026-01-01 to 2027-12-31, as before"
    )
    assert stored("JP", directory) == first
    assert stored("jp", directory) is None
    days |= {date(2027, 3, 21): "Vernal Equinox Day", date(2028, 1, 1): "New Year's Day"}
    del days[date(2026, 11, 3)]
    assert write("JP", written("JP", days, 2026, 2028), directory).splitlines() == [
        "JP: 3 holidays, 2026-01-01 to 2028-12-31, before that to 2027-12-31",
        "  2026-11-03 Culture Day is gone",
        "  2027-03-21 Vernal Equinox Day is new",
    ]


@pytest.mark.parametrize(
    ("place", "years", "said"),
    [
        pytest.param("JPP", (2026, 2026), '"JPP" is no country or exchange that the library knows; did you mean "JP"?', id="a typo"),
        pytest.param("jp", (2026, 2026), '"jp" is no country or exchange that the library knows; did you mean "JP"?', id="small letters"),
        pytest.param("Mars", (2026, 2026), '"Mars" is no country or exchange that the library knows; write its code: JP', id="no code"),
        pytest.param("FR-X", (2026, 2026), '"X" is no subdivision of FR that the library knows; known are', id="no such part"),
        pytest.param("DE-BX", (2026, 2026), '"BX" is no subdivision of DE that the library knows; known are', id="no such land"),
        pytest.param("JP+bnk", (2026, 2026), '"bnk" is no category of JP that the library knows; did you mean "bank"?', id="no such category"),
        pytest.param("JP", (2090, 2100), "the library knows JP from 1949 to 2099", id="too far"),
    ],
)  # fmt: skip
def test_what_the_library_does_not_know_is_told(place: str, years: tuple[int, int], said: str) -> None:
    with pytest.raises(UnknownPlace) as unknown:
        computed(place, *years)
    assert str(unknown.value).startswith(said)


def test_who_runs_a_moved_time_by_hand_is_told_the_same() -> None:
    """The checker finds out what a time was, so that guardctl run --scheduled-at needs not say it."""
    of = job(f'{LAST_DAY}on_holiday = "next"')
    at = datetime(2026, 11, 2, 9, tzinfo=UTC)
    assert nominal(of.schedules, of.timezone, at) == datetime(2026, 10, 31, 9, tzinfo=UTC)
    assert nominal(of.schedules, of.timezone, at + MINUTE) is None


def test_a_diff_says_what_is_different_of_a_calendar() -> None:
    """What `guardctl diff` shows of a job whose days are others."""
    about = '[calendars.jp]\nholidays = "JP"\n'
    texts = [f'{DAILY}on_holiday = "skip"', f"{DAILY}business_day = -1"]
    before, after = file(texts[0], about), file(texts[1], f'{about}also = ["12-31"]')
    now = datetime(2026, 12, 1, tzinfo=UTC)
    (changed,) = differences.compare(differences.Written(before, ""), differences.Written(after, ""), now).jobs
    told = [re.sub(r"\(\w+\)", "(…)", str(each)) for each in changed.settings]
    assert told == [
        "on_holiday skip → run",
        "business_day none → -1",
        'calendar.also none → ["12-31"]',
        'calendar.days "2 to 2026-12-31 (…)" → "2 to 2026-12-31 (…)"',
    ]


def test_who_asks_why_nothing_was_started_on_a_holiday_is_told_of_it() -> None:
    stage: Any = SimpleNamespace(zone=ZoneInfo("Asia/Tokyo"), command=lambda *words: " ".join(words))
    with pytest.raises(Stop) as stopped:
        require_scheduled(job(NEXT), datetime(2027, 2, 27, 9, tzinfo=UTC), stage)
    assert str(stopped.value) == (
        "report has no scheduled time at 2027-02-27 18:00 JST, and nothing was started for it; 2027-02-27 is no business "
        "day of calendar jp: Saturday; the nearest are 2027-01-27 18:00 JST and 2027-03-01 18:00 JST; "
        "starts by hand are in: history report"
    )


NEXT, PREVIOUS = (f'schedule = "cron(0 18 27 * ? *)"\ncalendar = "jp"\non_holiday = "{word}"' for word in ("next", "previous"))  # fmt: skip
LAST = 'schedule = "cron(0 18 * * ? *)"\ncalendar = "jp"\nbusiness_day = -1'
TWICE = "what was due at 2026-11-{}T09:00:00Z moves to 2026-{}T09:00:00Z, and starts once more then"
LOST = (
    "what is due at 2026-11-{0}T09:00:00Z moves to 2026-11-{1}T09:00:00Z, which has passed: "
    "start it with guardctl run report --scheduled-at 2026-11-{1}T09:00Z --stage dev"
)


@pytest.mark.parametrize(
    ("about", "before", "after", "at", "said"),
    [
        pytest.param(NEXT, "", 'also = ["2026-11-27"]', "2026-11-27T19:00+09:00", [TWICE.format(27, "11-30")], id="it has run, and its day is a holiday now"),
        pytest.param(NEXT, "", 'also = ["2026-11-27"]', "2026-11-27T17:00+09:00", [], id="it has not run"),
        pytest.param(NEXT, "", 'also = ["2026-11-27"]', "2026-11-30T19:00+09:00", [], id="both are over"),
        pytest.param(NEXT, 'also = ["2026-11-27"]', "", "2026-11-29T12:00+09:00", [LOST.format(30, 27)], id="it has not run, and its day is none any more"),
        pytest.param(PREVIOUS, "", 'also = ["2026-11-27"]', "2026-11-27T09:00+09:00", [LOST.format(27, 26)], id="a holiday that is announced too late"),
        pytest.param(LAST, "", 'also = ["2026-11-30"]', "2026-11-29T12:00+09:00", [LOST.format(30, 27)], id="the month's last business day was before"),
        pytest.param(LAST, 'also = ["2026-11-30"]', "", "2026-11-29T12:00+09:00", [TWICE.format(27, "11-30")], id="or it is yet to come"),
        pytest.param(DAILY + 'on_holiday = "next"', "", 'also = ["2026-11-27"]', "2026-11-27T12:00+09:00", [], id="what falls together with another time is that one"),
        pytest.param(DAILY + 'on_holiday = "skip"', "", 'also = ["2026-11-27"]', "2026-11-27T12:00+09:00", [], id="nothing moves"),
    ],
)  # fmt: skip
def test_a_diff_tells_what_a_calendar_moves_over_the_present(
    about: str, before: str, after: str, at: str, said: list[str]
) -> None:
    old, new = (
        differences.Written(file(about, f'[calendars.jp]\nholidays = "JP"\n{each}'), "") for each in (before, after)
    )
    now = datetime.fromisoformat(at).astimezone(UTC)
    (changed,) = differences.compare(old, new, now).jobs
    assert [*changed.moved] == said


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        pytest.param(f'{DAILY}on_holiday = "skip"', ["2026-11-21 03:00 holiday, starts nothing: Saturday", "2026-11-22 03:00 holiday, starts nothing: Sunday", "2026-11-23 03:00 holiday, starts nothing: Labor Thanksgiving Day", "2026-11-24 03:00 "], id="left out"),
        pytest.param('schedule = "cron(0 3 23 * ? *)"\ncalendar = "jp"\non_holiday = "next"', ["2026-11-24 03:00 moved from 2026-11-22T18:00:00Z: Labor Thanksgiving Day"], id="moved"),
    ],
)  # fmt: skip
def test_what_comes_is_marked(about: str, expected: list[str]) -> None:
    """What `guardctl next` shows."""
    every = file(about)
    since = datetime.fromisoformat("2026-11-21T00:00+09:00").astimezone(UTC)
    seen = outlook(every, every.jobs.values(), "us-east-1", since, since + 4 * DAY, Durations())
    tokyo = ZoneInfo("Asia/Tokyo")
    assert [
        f"{each.scheduled.astimezone(tokyo):%Y-%m-%d %H:%M} {'; '.join(each.marks)}" for each in seen.times
    ] == expected
