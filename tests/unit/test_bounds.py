"""`start` and `end`: a schedule is in effect in between, whoever asks for its times."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.config.jobs import Job, JobsFileInvalid, parse
from chalicelib.decide import pace
from chalicelib.decide.schedule import Schedule, between, bounded, due, latest, parse_schedule, upcoming
from chalicelib.read.record import recorded_as, with_schedules_of

deterministic = settings(derandomize=True, deadline=None, database=None)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NEW_YORK = "America/New_York"
CHANGE = datetime(2026, 11, 1, 6, tzinfo=UTC)
"""New York's clock goes back an hour."""

Times = Callable[..., list[datetime]]


def job(about: str, zone: str = "UTC") -> Job:
    text = f'[jobs.report]\ntimezone = "{zone}"\n{about}\n[jobs.report.ecs]\ncluster = "b"\ntask_definition = "r"\n'
    return parse(f'{text}container = "c"\nsubnets = ["subnet-0"]', stage="dev", place="dev.toml").jobs["report"]


def fault(about: str, zone: str = "UTC") -> str:
    with pytest.raises(JobsFileInvalid) as invalid:
        job(about, zone)
    (found,) = invalid.value.faults
    return str(found).removeprefix("dev.toml:jobs.report.")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


HOURLY = parse_schedule("cron(30 * * * ? *)")


# --- the three questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(None, None, [-2, -1, 0, 1, 2], id="no bounds"),
        pytest.param(-30, None, [-1, 0, 1, 2], id="from a start on, itself included"),
        pytest.param(-29, None, [0, 1, 2], id="a minute later it is not"),
        pytest.param(None, 30, [-2, -1, 0], id="up to an end, itself included"),
        pytest.param(None, 29, [-2, -1], id="a minute before it is not"),
        pytest.param(-30, 90, [-1, 0, 1], id="in between"),
        pytest.param(90, 90, [1], id="at one minute"),
    ],
)
def test_in_effect_in_between(start: int | None, end: int | None, expected: list[int]) -> None:
    """Minutes from noon are the bounds; the times are half past each hour, told as hours from 12:30."""
    bounds = [None if minutes is None else NOON + minutes * MINUTE for minutes in (start, end)]
    schedules = bounded([HOURLY], *bounds)
    right = [NOON + 30 * MINUTE + n * HOUR for n in expected]
    assert between(schedules, "UTC", NOON - 2 * HOUR, NOON + 3 * HOUR) == right
    assert upcoming(schedules, "UTC", NOON - 2 * HOUR, limit=len(right)) == right
    assert latest(schedules, "UTC", NOON + 3 * HOUR, within=5 * HOUR) == right[-1]
    if start is not None:
        assert latest(schedules, "UTC", right[0] - MINUTE, within=400 * DAY) is None


def test_after_its_end_nothing_comes() -> None:
    schedules = bounded([HOURLY, parse_schedule("rate(1 hour)")], None, NOON)
    assert upcoming(schedules, "UTC", NOON, limit=3) == []
    assert due([replace(job('schedule = "rate(1 hour)"'), schedules=schedules)], NOON + 59 * MINUTE) != ()
    assert due([replace(job('schedule = "rate(1 hour)"'), schedules=schedules)], NOON + 3 * HOUR) == ()


@pytest.mark.parametrize(
    ("rate", "start", "expected"),
    [
        pytest.param("rate(1 day)", "2026-11-20T03:00", ["2026-11-25T03:00", "2026-11-26T03:00"], id="a day, from its start's time of day on"),
        pytest.param("rate(7 hours)", "2026-11-24T05:00", ["2026-11-24T19:00", "2026-11-25T02:00"], id="seven hours, from its start on"),
        pytest.param("rate(1 day)", "2026-12-01T03:00", ["2026-12-01T03:00", "2026-12-02T03:00"], id="a start to come is the first time"),
    ],
)  # fmt: skip
def test_a_rate_counts_from_its_start(rate: str, start: str, expected: list[str]) -> None:
    schedules = bounded([parse_schedule(rate)], utc(start), None)
    times = upcoming(schedules, "UTC", NOON, limit=2)
    assert [f"{time:%Y-%m-%dT%H:%M}" for time in times] == expected
    assert latest(schedules, "UTC", times[1], within=timedelta(0)) == times[1]
    assert latest(schedules, "UTC", utc(start) - MINUTE, within=400 * DAY) is None


@pytest.mark.parametrize(
    ("zone", "expression", "expected"),
    [
        pytest.param("Asia/Tokyo", "at(2026-12-24T18:00:00)", "2026-12-24T09:00", id="local to the zone"),
        pytest.param("UTC", "at(2026-12-24T18:00:00)", "2026-12-24T18:00", id="in UTC"),
        pytest.param(NEW_YORK, "at(2026-11-01T01:30:00)", "2026-11-01T05:30", id="an hour that is repeated: the first time"),
    ],
)  # fmt: skip
def test_a_single_time(zone: str, expression: str, expected: str) -> None:
    (schedule,) = job(f'schedule = "{expression}"', zone).schedules
    time = utc(expected)
    assert upcoming([schedule], zone, time - DAY, limit=3) == [time]
    assert upcoming([schedule], zone, time, limit=3) == []
    assert between([schedule], zone, time - DAY, time) == [time]
    assert latest([schedule], zone, time + HOUR, within=HOUR) == time
    assert latest([schedule], zone, time + HOUR, within=59 * MINUTE) is None
    assert latest([schedule], zone, time - MINUTE, within=DAY) is None


EXPRESSIONS = st.sampled_from(
    ["cron(*/20 * * * ? *)", "cron(30 0-3 * * ? *)", "30 1 * * *", "at(2026-11-01T01:30:00)", "cron(0 22-6/3 ? * SAT-SUN *)"]
)  # fmt: skip
MINUTES = st.integers(-3000, 3000)


@pytest.mark.thorough
@deterministic
@given(st.lists(EXPRESSIONS, min_size=1, max_size=3), MINUTES | st.none(), MINUTES | st.none(), MINUTES, MINUTES)
def test_bounds_take_away_what_is_outside_and_nothing_else(
    expressions: list[str], start: int | None, end: int | None, after: int, length: int
) -> None:
    plain = [parse_schedule(expression) for expression in expressions]
    first, last = (None if minutes is None else CHANGE + minutes * MINUTE for minutes in (start, end))
    schedules = bounded(plain, first, last)
    begin = CHANGE + after * MINUTE
    stop = begin + abs(length) * MINUTE
    right = [
        time
        for time in between(plain, NEW_YORK, begin, stop)
        if (first is None or first <= time) and (last is None or time <= last)
    ]
    assert between(schedules, NEW_YORK, begin, stop) == right
    assert latest(schedules, NEW_YORK, stop, within=stop - begin - timedelta(seconds=1)) == (
        right[-1] if right else None
    )
    assert upcoming(schedules, NEW_YORK, begin, limit=len(right)) == right


@deterministic
@given(st.integers(1, 500), MINUTES, MINUTES, MINUTES)
def test_the_times_of_a_bounded_rate(every: int, start: int, length: int, after: int) -> None:
    (schedule,) = bounded([parse_schedule(f"rate({every} minute{'' if every == 1 else 's'})")], NOON + start * MINUTE, NOON + (start + abs(length)) * MINUTE)  # fmt: skip
    assert schedule.start is not None
    every_time = [schedule.start + n * every * MINUTE for n in range(abs(length) // every + 1)]
    now = NOON + after * MINUTE
    assert upcoming([schedule], "UTC", now, limit=10_000) == [time for time in every_time if time > now]
    past = [time for time in every_time if time <= now]
    assert latest([schedule], "UTC", now, within=400 * DAY) == (past[-1] if past else None)


def test_the_plan_of_the_crowd_has_what_is_in_effect_alone() -> None:
    curve = pace.curve(pace.quotas("us-east-1"))
    jobs = [
        job('schedule = "rate(1 minute)"\nstart = 2026-11-24T12:03:00\nend = 2026-11-24T12:05:00'),
        replace(job('schedule = "at(2026-11-24T21:04:00)"', "Asia/Tokyo"), name="once"),
    ]
    plan = pace.plan(jobs, curve, NOON, NOON + HOUR, 90, {})
    assert [each.start.name for each in plan.sends] == [
        "report-20261124T1203Z",
        "report-20261124T1204Z",
        "once-20261124T1204Z",
        "report-20261124T1205Z",
    ]
    assert pace.plan(jobs, curve, NOON + 4 * MINUTE, NOON + 5 * MINUTE, 90, {}).sends == plan.sends[1:3]


# --- in the jobs file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "written", "expected"),
    [
        pytest.param("UTC", "2026-12-01T00:00:00Z", "2026-12-01T00:00", id="TOML, with an offset"),
        pytest.param("Asia/Tokyo", "2026-12-01T00:00:00", "2026-11-30T15:00", id="TOML's local time: the job's zone"),
        pytest.param("Asia/Tokyo", "2026-12-01T00:00:00Z", "2026-12-01T00:00", id="its offset goes before the zone"),
        pytest.param("Asia/Tokyo", '"2026-12-01T00:00"', "2026-11-30T15:00", id="in quotes"),
        pytest.param("UTC", '"2026-12-01T00:00:00+09:00"', "2026-11-30T15:00", id="in quotes, with an offset"),
        pytest.param("UTC", '"2026-12-01t00:00:00z"', "2026-12-01T00:00", id="RFC 3339 takes small letters"),
        pytest.param(NEW_YORK, "2026-11-01T01:30:00", "2026-11-01T05:30", id="an hour that is repeated: the first time"),
    ],
)  # fmt: skip
def test_a_bound_is_read(zone: str, written: str, expected: str) -> None:
    for key in ("start", "end"):
        (schedule,) = job(f'schedule = "rate(1 hour)"\n{key} = {written}', zone).schedules
        assert getattr(schedule, key) == utc(expected)


def test_the_defaults_bind_every_schedule_of_a_job_that_does_not_say_otherwise() -> None:
    text = """
    [defaults]
    start = 2026-12-01T00:00:00Z
    ecs = { cluster = "b", container = "c", subnets = ["subnet-0"] }
    [jobs.a]
    schedule = ["rate(1 hour)", "0 3 * * *"]
    ecs = { task_definition = "a" }
    [jobs.b]
    schedule = "0 3 * * *"
    start = 2026-11-01T00:00:00Z
    ecs = { task_definition = "b" }
    """
    jobs = parse(text, stage="dev", place="dev.toml").jobs
    assert {each.start for each in jobs["a"].schedules} == {utc("2026-12-01T00:00")}
    assert {each.start for each in jobs["b"].schedules} == {utc("2026-11-01T00:00")}


@pytest.mark.parametrize(
    ("about", "zone", "said"),
    [
        pytest.param('start = "soon"', "UTC", 'start: "soon" is not a date and a time; write', id="a word"),
        pytest.param('start = "2026-02-30T00:00:00"', "UTC", 'start: "2026-02-30T00:00:00" is not a date and a time: day is out', id="no such day"),
        pytest.param("start = 2026-12-01", "UTC", "start: is not a date and a time; write", id="a date alone: which of its ends?"),
        pytest.param("end = 9999-12-31T23:59:00", "America/New_York", "end: is in the year 9999; write one from 1970 to 2199", id="a year that is too far"),
        pytest.param("end = 1", "UTC", "end: is not a date and a time; write", id="a number"),
        pytest.param("end = 2026-12-01T00:00:30", "UTC", "end: has seconds, and schedules are looked at once a minute; write 2026-12-01T00:00:00", id="seconds"),
        pytest.param("start = 2026-12-01T00:00:00\nend = 2026-12-01T00:00:00", "UTC", "end: is not after start; write a later time", id="an end at the start"),
        pytest.param("start = 2026-03-08T02:30:00", NEW_YORK, "start: 2026-03-08T02:30:00 is skipped by the clock of America/New_York", id="a start that the clock skips"),
        pytest.param('schedule = "at(2026-03-08T02:30:00)"', NEW_YORK, 'schedule: "at(2026-03-08T02:30:00)" never happens: the clock of America/New_York skips that time; write a time that the clock shows', id="a single time that the clock skips"),
        pytest.param('schedule = "at(2026-03-08T02:30:00)"\nend = 2026-03-01T00:00:00', "UTC", 'schedule: "at(2026-03-08T02:30:00)" never happens up to end; move', id="a single time after the end"),
        pytest.param('schedule = ["rate(1 day)", "cron(0 3 1 1 ? *)"]\nstart = 2026-02-01T00:00:00\nend = 2026-03-01T00:00:00', "UTC", 'schedule[1]: "cron(0 3 1 1 ? *)" never happens between start and end; move', id="one of two that never happens in between"),
        pytest.param('schedule = "cron(0 3 1 1 ? 2025)"\nstart = 2026-02-01T00:00:00', "UTC", 'schedule: "cron(0 3 1 1 ? 2025)" never happens from start on; move', id="a year that is over by the start"),
        pytest.param("start_date = 2026-02-01T00:00:00", "UTC", 'start_date: is not a known key; did you mean "start"?', id="Scheduler's name"),
        pytest.param("EndDate = 2026-02-01T00:00:00", "UTC", 'EndDate: is not a known key; did you mean "end"?', id="Scheduler's own spelling"),
    ],
)  # fmt: skip
def test_faults_of_bounds(about: str, zone: str, said: str) -> None:
    assert fault(about, zone).startswith(said)


# --- the record ---------------------------------------------------------------------------------------------


def test_a_record_without_bounds_is_the_one_of_older_releases() -> None:
    """Another record would be another schedule: a late time would not be made up for after an update."""
    assert (
        recorded_as(job('schedule = "rate(1 hour)"'))
        == '{"schedule": ["rate(1 hour)"], "timezone": "UTC", "enabled": true}'
    )


@pytest.mark.parametrize(
    "about",
    [
        "",
        "start = 2026-12-01T00:00:00",
        "end = 2026-12-01T00:00:00+01:00",
        "start = 2026-12-01T00:00:00\nend = 2027-12-01T00:00:00",
    ],
)
def test_what_is_recorded_is_read_back(about: str) -> None:
    kept = job(f'schedule = ["rate(1 hour)", "0 3 * * *"]\n{about}', "Asia/Tokyo")
    other = replace(kept, schedules=(), timezone="UTC", enabled=False)
    assert with_schedules_of(other, recorded_as(kept)) == kept
    first: Schedule = kept.schedules[0]
    assert ("start" in recorded_as(kept), "end" in recorded_as(kept)) == (
        first.start is not None,
        first.end is not None,
    )
