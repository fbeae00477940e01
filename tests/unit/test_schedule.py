"""Schedules: what is read, what is refused and why, and what is due, against the calendar and the clock."""

import calendar
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.config.jobs import Ecs, Job
from chalicelib.decide.availability import SURE_BEFORE_FORGOTTEN
from chalicelib.decide.expressions import local_times
from chalicelib.decide.schedule import (
    Due,
    Schedule,
    ScheduleRefused,
    between,
    due,
    how_many,
    is_renewal_day,
    latest,
    parse_schedule,
    renewals,
    upcoming,
)
from chalicelib.values import dataclass
from tests.properties import examples

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TUESDAY = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)

# The same examples each time: a failure is a change of the code, never luck.
deterministic = settings(derandomize=True, deadline=None, database=None)
over_years = settings(deterministic, max_examples=examples(40))
"""For what walks through three years, day by day, in each example."""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(times: list[datetime]) -> list[str]:
    return [f"{time:%Y-%m-%dT%H:%M}" for time in times]


# --- expressions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "next_two"),
    [
        pytest.param("cron(0 3 * * ? *)", ["2026-11-25T03:00", "2026-11-26T03:00"], id="every day"),
        pytest.param("cron(0 3 ? * 2-6 *)", ["2026-11-25T03:00", "2026-11-26T03:00"], id="2-6 is Monday to Friday"),
        pytest.param("cron(0 3 ? * 1 *)", ["2026-11-29T03:00", "2026-12-06T03:00"], id="1 is Sunday"),
        pytest.param("cron(0 3 ? * 7 *)", ["2026-11-28T03:00", "2026-12-05T03:00"], id="7 is Saturday"),
        pytest.param("cron(0 3 ? * L *)", ["2026-11-28T03:00", "2026-12-05T03:00"], id="L is the week's last day"),
        pytest.param("cron(0 3 ? * sun *)", ["2026-11-29T03:00", "2026-12-06T03:00"], id="names in lower case"),
        pytest.param("cron(0 3 ? * 2/2 *)", ["2026-11-25T03:00", "2026-11-27T03:00"], id="2/2 does not reach Sunday"),
        pytest.param("cron(0 3 ? * 6L *)", ["2026-11-27T03:00", "2026-12-25T03:00"], id="the last Friday"),
        pytest.param("cron(0 3 ? * 3#2 *)", ["2026-12-08T03:00", "2027-01-12T03:00"], id="the second Tuesday"),
        pytest.param("cron(0 3 L * ? *)", ["2026-11-30T03:00", "2026-12-31T03:00"], id="the month's last day"),
        pytest.param("cron(0 3 LW * ? *)", ["2026-11-30T03:00", "2026-12-31T03:00"], id="the month's last weekday"),
        pytest.param("cron(0/20 8 * * ? *)", ["2026-11-24T08:20", "2026-11-24T08:40"], id="0/20 is every 20 minutes"),
        pytest.param("cron(0 3 1 1 ? 2030-2032/2)", ["2030-01-01T03:00", "2032-01-01T03:00"], id="every other year"),
        pytest.param("cron(0 3 1 1 ? 2020,2199)", ["2199-01-01T03:00"], id="a year that is over, and a far one"),
        pytest.param("cron(0 3 1 1 ? 2020)", [], id="only a year that is over"),
        pytest.param("  cron(0 3 * * ? *) ", ["2026-11-25T03:00", "2026-11-26T03:00"], id="spaces around it"),
        pytest.param("0 3 * * *", ["2026-11-25T03:00", "2026-11-26T03:00"], id="five-field cron"),
        pytest.param("0 3 * * 1", ["2026-11-30T03:00", "2026-12-07T03:00"], id="five-field cron: 1 is Monday"),
        pytest.param("0 3 * * 7", ["2026-11-29T03:00", "2026-12-06T03:00"], id="five-field cron: 7 is Sunday too"),
        pytest.param("0 3 27 * 4", ["2026-11-26T03:00", "2026-11-27T03:00"], id="five-field cron: either day will do"),
        pytest.param("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"], id="the 29th of February"),
        pytest.param("cron(0 3 15W * ? *)", ["2026-12-15T03:00", "2027-01-15T03:00"], id="the 15th is a weekday"),
        pytest.param(
            "cron(0 3 15W 5,8 ? 2027)",
            ["2027-05-14T03:00", "2027-08-16T03:00"],
            id="Saturday: the day before; Sunday: the day after",
        ),
        pytest.param(
            "cron(0 3 1W 5,8 ? 2027)",
            ["2027-05-03T03:00", "2027-08-02T03:00"],
            id="no weekday of another month: the first",
        ),
        pytest.param(
            "cron(0 3 31W 1,7 ? 2027)",
            ["2027-01-29T03:00", "2027-07-30T03:00"],
            id="no weekday of another month: the last",
        ),
        pytest.param(
            "cron(0 3 31W 3-5 ? 2027)",
            ["2027-03-31T03:00", "2027-05-31T03:00"],
            id="a month without a 31st is left out",
        ),
        pytest.param("cron(0 3 15W,L * ? *)", ["2026-11-30T03:00", "2026-12-15T03:00"], id="in a list"),
        pytest.param(
            "cron(0 3 29W 2 ? *)", ["2028-02-29T03:00", "2032-02-27T03:00"], id="the weekday nearest to a leap day"
        ),
        pytest.param("cron(0 3 29W 2 ? 2040,2196)", ["2040-02-29T03:00", "2196-02-29T03:00"], id="in years far apart"),
        pytest.param(
            "cron(0 3 ? * FRIL *)", ["2026-11-27T03:00", "2026-12-25T03:00"], id="the last Friday, by its name"
        ),
        pytest.param("at(2026-12-24T18:00:00)", ["2026-12-24T18:00"], id="once"),
        pytest.param("at(2026-11-24T08:00:00)", [], id="once, and this minute is not after this minute"),
        pytest.param("rate(1 minute)", ["2026-11-24T08:01", "2026-11-24T08:02"], id="every minute"),
        pytest.param("rate(7 hours)", ["2026-11-24T13:00", "2026-11-24T20:00"], id="every 7 hours since 1970"),
        pytest.param("rate(1 day)", ["2026-11-25T00:00", "2026-11-26T00:00"], id="a day begins at midnight UTC"),
    ],
)
def test_reads(expression: str, next_two: list[str]) -> None:
    assert shown(upcoming([parse_schedule(expression)], "UTC", TUESDAY, limit=2)) == next_two


@pytest.mark.parametrize(
    ("expression", "wrong", "right"),
    [
        pytest.param("rate(1 minutes)", "singular and plural", '"rate(1 minute)"', id="one in the plural"),
        pytest.param("rate(5 minute)", "singular and plural", '"rate(5 minutes)"', id="five in the singular"),
        pytest.param("rate(0 minutes)", "not a rate", "whole number", id="nothing between"),
        pytest.param("rate(90s)", "not a rate", '"rate(15 minutes)"', id="a duration in a rate"),
        pytest.param("rate(366 days)", "longer than a year", "dates", id="a rate longer than a year"),
        pytest.param("@daily", "alias", '"0 0 * * *"', id="a known alias"),
        pytest.param(
            "at(2026-02-30T18:00:00)", "day is out of range", '"at(2026-12-24T18:00:00)"', id="a day that no month has"
        ),
        pytest.param("at(0001-01-01T00:00:00+09:00)", "year is out of range", "1970-2199", id="a year long ago"),
        pytest.param("at(9999-12-31T23:59:00)", "year is out of range", "1970-2199", id="a year that is too far"),
        pytest.param("at(tomorrow)", "not a single time", '"at(2026-12-24T18:00:00)"', id="a word for a time"),
        pytest.param("@reboot", "alias", "five-field", id="an alias without a time"),
        pytest.param("0 0 3 * * *", "seconds", '"0 3 * * *"', id="six fields without cron()"),
        pytest.param("0 3 * *", "not a schedule", "five-field", id="four fields"),
        pytest.param("", "not a schedule", "five-field", id="nothing"),
        pytest.param("every day", "not a schedule", "five-field", id="words"),
        pytest.param("cron(0 3 * * *)", "5 fields", "six", id="five fields in cron()"),
        pytest.param("cron(0 3 * * ? *", "not a schedule|seconds", "cron", id="no closing bracket"),
        pytest.param("cron(0 3 * * * *)", "no ?", "exactly one", id="no question mark"),
        pytest.param("cron(0 3 ? * ? *)", "has ?", "exactly one", id="two question marks"),
        pytest.param("0 3 ? * *", "day-of-month", "1-31", id="a question mark in five-field cron"),
        pytest.param(
            "0 3 15W * *", "nearest weekday", '"cron(0 3 15W * ? *)"', id="the nearest weekday in five fields"
        ),
        pytest.param("0 3 15W * MON", "nearest weekday", "LW", id="the nearest weekday, or a Monday"),
        pytest.param(
            "cron(0 3 31W 2,4 ? *)", "never happens", "day", id="the weekday nearest to a day that no such month has"
        ),
        pytest.param(
            "cron(0 3 29W 2 ? 2027)", "never happens", "year", id="the weekday nearest to a leap day, in no leap year"
        ),
        pytest.param("cron(0 3 1-5W * ? *)", 'day-of-month "1-5W"', "15W", id="the weekdays nearest to a range"),
        pytest.param("cron(0 3 32W * ? *)", "out of range", "1-31", id="the weekday nearest to the 32nd"),
        pytest.param("cron(0 3 L-3 * ? *)", 'day-of-month "L-3"', "L for", id="three days before the last"),
        pytest.param("0 3 L-3 * *", "end of the month", "L for", id="three days before the last, in five fields"),
        pytest.param("cron(0 3 ? * 0 *)", "out of range", "1-7", id="day 0, which is cron's"),
        pytest.param("cron(0 3 1 1 ? 2030-2027)", "backwards", '"2027-2030"', id="years that run backwards"),
        pytest.param(
            "cron(0/90 * * * ? *)",
            "does not fit",
            '"rate(90 minutes)"',
            id="every 90 minutes, as EventBridge writes it",
        ),
        pytest.param("cron(0 3 ? * 2#6 *)", "not understood", "1-7", id="the sixth Monday"),
        pytest.param("cron(0 3 ? * 2/0 *)", "not understood", "1-7", id="a step of nothing"),
        pytest.param("cron(0 3 * * ? 1969)", "out of range", "1970-2199", id="a year before 1970"),
        pytest.param("60 3 * * *", 'minute "60"', "0-59", id="minute 60"),
        pytest.param("0 24 * * *", 'hour "24"', "0-23", id="hour 24"),
        pytest.param("0 3 0 * *", 'day-of-month "0"', "1-31", id="day 0 of a month"),
        pytest.param("0 3 * 13 *", 'month "13"', "1-12", id="month 13"),
        pytest.param("0 3 * * 8", 'day-of-week "8"', "0-7", id="day 8 of a week"),
        pytest.param("*/90 * * * *", "does not fit", '"rate(90 minutes)"', id="every 90 minutes"),
        pytest.param("0 */36 * * *", "does not fit", '"rate(36 hours)"', id="every 36 hours"),
        pytest.param("5-5/2 * * * *", "nowhere to go", '"5"', id="a step from a minute to itself"),
        pytest.param("0 3 30 2 *", "never happens", "day", id="the 30th of February"),
        pytest.param("cron(0 3 29 2 ? 2027)", "never happens", "year", id="a leap day in no leap year"),
        pytest.param("0 0 */28 2 1#2", "never happens", "day", id="a second Monday on the 29th"),
        pytest.param("0 3 * * *" + " " * 9 + ",1" * 256, "characters", "list", id="longer than AWS takes"),
    ],
)
def test_refuses(expression: str, wrong: str, right: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        parse_schedule(expression)
    assert any(each in refused.value.wrong for each in wrong.split("|"))
    assert right in refused.value.right
    assert str(refused.value) == f"{refused.value.wrong}; {refused.value.right}"


@deterministic
@given(st.text(alphabet="0123459*/,-?LW# MONcrate()minutesdays", max_size=24))
def test_any_text_is_read_or_refused(text: str) -> None:
    for expression in (text, f"cron({text})", f"rate({text})", f"0 0 {text}", f"cron(0 0 {text})"):
        try:
            schedule = parse_schedule(expression)
        except ScheduleRefused:
            continue
        assert schedule.every or any(local_times(schedule, datetime(2000, 1, 1), backward=False))  # noqa: DTZ001


FOLLOWED = [
    # what is written, what is wrong, and what it says to write
    ("0 3 * * SAT-SUN", "backwards", "0 3 * * SAT,SUN"),
    ("0 3 * * FRI-MON", "backwards", "0 3 * * FRI-SAT,SUN-MON"),
    ("0 3 * * 5-2", "backwards", "0 3 * * 5-6,0-2"),
    ("0 22-6 * * *", "backwards", "0 22-23,0-6 * * *"),
    ("50-10 3 * * *", "backwards", "50-59,0-10 3 * * *"),
    ("0 3 28-3 * *", "backwards", "0 3 28-31,1-3 * *"),
    ("0 3 1 NOV-FEB *", "backwards", "0 3 1 NOV-DEC,JAN-FEB *"),
    ("0 3 15W * *", "nearest weekday", "cron(0 3 15W * ? *)"),
    ("cron(0 3 * * *)", "5 fields", "0 3 * * *"),
    ("cron(0 3 * * * *)", "no ?", "cron(0 3 * * ? *)"),
    ("cron(0 3 * * MON *)", "no ?", "cron(0 3 ? * MON *)"),
    ("cron(0 3 1 * * *)", "no ?", "cron(0 3 1 * ? *)"),
    ("Cron(0 3 * * ? *)", "as EventBridge writes it", "cron(0 3 * * ? *)"),
    ("CRON (0 3 * * ? *", "as EventBridge writes it", "cron(0 3 * * ? *)"),
    ("Rate(1 Day)", "as EventBridge writes it", "rate(1 day)"),
    ("RATE(5 minute)", "singular and plural", "rate(5 minutes)"),
    ("rate(5 Minutes)", "not a rate", "rate(5 minutes)"),
    ("At(2026-12-24T18:00:00)", "as EventBridge writes it", "at(2026-12-24T18:00:00)"),
    ("at(2026-12-24 18:00)", "as EventBridge", "at(2026-12-24T18:00:00)"),
    ("at(2026-12-24T18:00:30)", "seconds", "at(2026-12-24T18:00:00)"),
    ("0 3 * * ? *", "EventBridge's six", "cron(0 3 * * ? *)"),
    ("0 3 ? * MON-FRI *", "EventBridge's six", "cron(0 3 ? * MON-FRI *)"),
    ("0 0 3 * * ?", "seconds", "cron(0 3 * * ? *)"),
    ("0 0 3 ? * 2-6", "seconds", "cron(0 3 ? * 2-6 *)"),
    ("0 0 3 * * ? 2027", "seconds", "cron(0 3 * * ? 2027)"),
    ("0 0 3 * * 1", "seconds", "0 3 * * 1"),
    ("@every 15m", "alias", "rate(15 minutes)"),
    ("@every 1h", "alias", "rate(1 hour)"),
]


@pytest.mark.parametrize(("written", "wrong", "right"), FOLLOWED, ids=[written for written, *_ in FOLLOWED])
def test_advice_is_right_when_it_is_followed(written: str, wrong: str, right: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        parse_schedule(written)
    assert wrong in refused.value.wrong
    parse_schedule(right)
    # Of a single field that is wrong, the advice has the field.
    different = [new for old, new in zip(written.split(), right.split(), strict=False) if old != new]
    assert f'"{right}"' in refused.value.right or f'"{different[0]}"' in refused.value.right


def test_six_fields_that_may_be_two_things_are_told_both() -> None:
    with pytest.raises(ScheduleRefused) as refused:
        parse_schedule("0 3 * * * *")
    right = 'if its first is the seconds, write "3 * * * *"; if its last is the year, write "cron(0 3 * * ? *)"'
    assert refused.value.right == right


@pytest.mark.parametrize(
    ("written", "right"),
    [
        pytest.param(
            "CRON_TZ=Asia/Tokyo 0 3 * * *", 'write schedule = "0 3 * * *" and timezone = "Asia/Tokyo"', id="CRON_TZ"
        ),
        pytest.param(
            'TZ="Asia/Tokyo" 0 3 * * *', 'write schedule = "0 3 * * *" and timezone = "Asia/Tokyo"', id="TZ, in quotes"
        ),
        pytest.param("TZ=UTC 0 3 * *", 'and timezone = "UTC"', id="the schedule in it is wrong, too"),
        pytest.param(
            "CRON_TZ=JST 0 3 * * *",
            'and for the timezone, which JST is not: write "Asia/Tokyo"',
            id="the zone in it is wrong, too",
        ),
        pytest.param(
            "CRON_TZ=UTC @daily", 'for the schedule write "0 0 * * *"; and timezone = "UTC"', id="an alias in it"
        ),
        pytest.param(
            "at(2026-12-24T18:00:00Z)", 'write "at(2026-12-24T18:00:00)" with timezone = "UTC"', id="a time in UTC"
        ),
        pytest.param(
            "at(2026-12-24T18:00:00+09:00)",
            'write "at(2026-12-24T09:00:00)" with timezone = "UTC"',
            id="a time with an offset",
        ),
    ],
)
def test_a_zone_in_a_schedule_is_a_key_of_its_own(written: str, right: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        parse_schedule(written)
    assert right in refused.value.right


def refusal(expression: str) -> str:
    """What is wrong with it; nothing if it is read."""
    try:
        parse_schedule(expression)
    except ScheduleRefused as refused:
        return refused.wrong
    return ""


# --- days, against the calendar ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A cron field, and which values it stands for."""

    text: str
    holds: Callable[[datetime], bool]


def _last(day: datetime) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _is_last_weekday(day: datetime) -> bool:
    later = [day.replace(day=n) for n in range(day.day + 1, _last(day) + 1)]
    return day.isoweekday() <= 5 and not any(each.isoweekday() <= 5 for each in later)


def _numbers(low: int, high: int, read: Callable[[datetime], int]) -> st.SearchStrategy[Field]:
    number = st.integers(low, high)
    pairs = st.tuples(number, number).filter(lambda pair: pair[0] < pair[1])
    step = st.integers(1, 6)
    return st.one_of(
        st.lists(number, min_size=1, max_size=4).map(lambda ns: Field(",".join(map(str, ns)), lambda t: read(t) in ns)),
        pairs.map(lambda p: Field(f"{p[0]}-{p[1]}", lambda t: p[0] <= read(t) <= p[1])),
        step.map(lambda s: Field(f"*/{s}", lambda t: (read(t) - low) % s == 0)),
        st.tuples(number, step).map(
            lambda p: Field(f"{p[0]}/{p[1]}", lambda t: read(t) >= p[0] and (read(t) - p[0]) % p[1] == 0)
        ),
        st.tuples(pairs, step).map(
            lambda p: Field(
                f"{p[0][0]}-{p[0][1]}/{p[1]}",
                lambda t: p[0][0] <= read(t) <= p[0][1] and (read(t) - p[0][0]) % p[1] == 0,
            )
        ),
    )


def aws_weekday(time: datetime) -> int:
    return time.isoweekday() % 7 + 1


EVERY = Field("*", lambda _: True)
MINUTES = _numbers(0, 59, lambda t: t.minute) | st.just(EVERY)
HOURS = _numbers(0, 23, lambda t: t.hour) | st.just(EVERY)
MONTHS = _numbers(1, 12, lambda t: t.month) | st.just(EVERY)
DAYS = _numbers(1, 28, lambda t: t.day)
AWS_DAYS = st.one_of(
    DAYS.filter(lambda field: "/" not in field.text),  # its step would end at 28
    st.just(EVERY),
    st.just(Field("L", lambda t: t.day == _last(t))),
    st.just(Field("LW", _is_last_weekday)),
    st.integers(29, 31).map(lambda n: Field(f"1,{n}", lambda t: t.day in {1, n})),
)
AWS_WEEKDAYS = st.one_of(
    _numbers(1, 7, aws_weekday),
    st.just(EVERY),
    st.integers(1, 7).map(lambda n: Field(f"{n}L", lambda t: aws_weekday(t) == n and t.day + 7 > _last(t))),
    st.tuples(st.integers(1, 7), st.integers(1, 5)).map(
        lambda p: Field(f"{p[0]}#{p[1]}", lambda t: aws_weekday(t) == p[0] and (t.day + 6) // 7 == p[1])
    ),
)
CRON_WEEKDAYS = _numbers(0, 6, lambda t: t.isoweekday() % 7).filter(lambda f: "*" not in f.text and "/" not in f.text)


@pytest.mark.thorough
@over_years
@given(MONTHS, AWS_DAYS, AWS_WEEKDAYS, st.booleans(), st.sampled_from(["*", "2027", "2026,2028", "2027-2199"]))
def test_eventbridge_days_are_the_calendars(month: Field, day: Field, week: Field, by_week: bool, years: str) -> None:
    field = week if by_week else day
    days = f"? {month.text} {week.text}" if by_week else f"{day.text} {month.text} ?"
    start = utc("2026-01-01T00:00")
    expected = [
        time
        for n in range(1, 3 * 365)
        if (time := start + n * DAY)
        and month.holds(time)
        and field.holds(time)
        and time.year in {"*": range(9999), "2027": [2027], "2026,2028": [2026, 2028]}.get(years, range(2027, 2200))
    ]
    expression = f"cron(0 0 {days} {years})"
    if refusal(expression):
        assert "never happens" in refusal(expression)
        assert expected == []
        return
    schedule = parse_schedule(expression)
    assert between([schedule], "UTC", start, start + (3 * 365 - 1) * DAY) == expected


@pytest.mark.thorough
@over_years
@given(MONTHS, DAYS.filter(lambda field: "/" not in field.text), CRON_WEEKDAYS)
def test_in_five_fields_either_day_will_do(month: Field, day: Field, week: Field) -> None:
    start = utc("2026-01-01T00:00")
    times = [start + n * DAY for n in range(1, 800)]
    expected = [time for time in times if month.holds(time) and (day.holds(time) or week.holds(time))]
    schedule = parse_schedule(f"0 0 {day.text} {month.text} {week.text}")
    assert between([schedule], "UTC", start, times[-1]) == expected


@deterministic
@given(
    st.sampled_from(
        [["rate(1 minute)"], ["rate(7 hours)"], ["rate(2 days)"], ["0 3 * * *"], ["rate(1 hour)", "30 * * * *"]]
    ),
    st.integers(-3, 40).map(lambda quarters: TUESDAY + quarters * timedelta(minutes=15, seconds=1)),
    st.integers(1, 50),
)
def test_times_that_are_counted_are_as_many_as_are_found(expressions: list[str], end: datetime, most: int) -> None:
    schedules = [parse_schedule(each) for each in expressions]
    found = between(schedules, "Asia/Tokyo", TUESDAY, end, limit=most)
    assert how_many(schedules, "Asia/Tokyo", TUESDAY, end, most=most) == len(found)


# --- time zones, against zoneinfo -------------------------------------------------------------------------


@cache
def transitions() -> dict[str, tuple[datetime, ...]]:
    """Every zone that changed its offset in ten years, with the minutes in which it did.

    Zones that changed in the same minutes by the same amounts are one clock; one name stands for them.
    """
    start, fortnights = utc("2016-11-24T00:00"), 262  # in no zone is there a change and another one within one
    found: dict[object, tuple[str, tuple[datetime, ...]]] = {}
    ends = [start + n * 14 * DAY for n in range(fortnights)]
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        offsets = [end.astimezone(zone).utcoffset() for end in ends]
        changes = []
        for n in range(fortnights - 1):
            if offsets[n] != offsets[n + 1]:
                low, high = ends[n], ends[n + 1]
                while high - low > MINUTE:
                    middle = low + (high - low) // (2 * MINUTE) * MINUTE
                    low, high = (middle, high) if middle.astimezone(zone).utcoffset() == offsets[n] else (low, middle)
                changes.append(high)
        if changes:
            found.setdefault((*changes, *offsets), (name, tuple(changes)))
    return dict(found.values())


def read_by_clock(zone: str, start: datetime, end: datetime, step: timedelta) -> list[tuple[datetime, datetime]]:
    """The instants after start up to end, each with what the clock shows; without what it shows again."""
    steps = range(1, (end - start) // step + 1)
    clock = ZoneInfo(zone)
    read = [(time, time.astimezone(clock)) for time in (start + n * step for n in steps)]
    return [(time, local) for time, local in read if local.fold == 0]


@pytest.mark.thorough
def test_the_zones_are_many() -> None:
    assert len(transitions()) > 50
    assert {"America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"} <= available_timezones()


@pytest.mark.thorough
def test_every_change_of_offset_in_ten_years() -> None:
    """One of each kind: from which offset to which, at what time of day."""
    quarters, two = parse_schedule("*/15 * * * *"), parse_schedule("cron(30 1,2 * * ? *)")
    kinds = {}
    for zone, changes in transitions().items():
        for change in changes:
            before, after = ((change - step).astimezone(ZoneInfo(zone)) for step in (MINUTE, 0 * MINUTE))
            kinds[before.utcoffset(), after.utcoffset(), after.time()] = zone, change
    assert len(kinds) > 50
    for zone, change in kinds.values():
        hour = change.replace(minute=0)  # Casey's clock has changed at a minute past midnight
        start, end = hour - 8 * HOUR, hour + 8 * HOUR
        expected = read_by_clock(zone, start, end, 15 * MINUTE)
        assert between([quarters], zone, start, end) == [time for time, _ in expected], (zone, change)
        expected = [(t, local) for t, local in expected if local.hour in {1, 2} and local.minute == 30]
        assert between([two], zone, start, end) == [time for time, _ in expected], (zone, change)


WINDOWS = st.deferred(
    lambda: st.sampled_from([(zone, change) for zone, changes in transitions().items() for change in changes])
)


@pytest.mark.thorough
@deterministic
@given(WINDOWS, MINUTES, HOURS, AWS_WEEKDAYS, st.integers(-3000, 3000), st.integers(0, 2 * 24 * 60))
def test_every_time_is_what_the_clock_shows(
    window: tuple[str, datetime], minute: Field, hour: Field, week: Field, offset: int, length: int
) -> None:
    zone, change = window
    start = change + offset * MINUTE
    end = start + length * MINUTE
    schedule = parse_schedule(f"cron({minute.text} {hour.text} ? * {week.text} *)")
    expected = [
        time
        for time, local in read_by_clock(zone, start, end, MINUTE)
        if minute.holds(local) and hour.holds(local) and week.holds(local)
    ]
    assert between([schedule], zone, start, end) == expected
    assert upcoming([schedule], zone, start, limit=len(expected)) == expected


SCHEDULES = st.lists(
    st.one_of(
        st.tuples(MINUTES, HOURS).map(lambda f: f"cron({f[0].text} {f[1].text} * * ? *)"),
        st.sampled_from(["rate(7 minutes)", "rate(1 day)", "0 3 1 1 *", "cron(59 23 31 12 ? 2020-2021)"]),
    ).map(parse_schedule),
    max_size=3,
)


@pytest.mark.thorough
@deterministic
@given(WINDOWS, SCHEDULES, st.integers(-200_000, 200_000), st.integers(0, 24 * 3600))
def test_latest_is_the_last_of_between(
    window: tuple[str, datetime], schedules: list[Schedule], offset: int, within: int
) -> None:
    zone, change = window
    now, limit = change + timedelta(seconds=offset), timedelta(seconds=within)
    times = between(schedules, zone, now - limit - timedelta(seconds=1), now)
    times = [time for time in times if now - time <= limit]
    assert latest(schedules, zone, now, within=limit) == (times[-1] if times else None)


@pytest.mark.parametrize(
    ("zone", "day", "expression", "expected"),
    [
        pytest.param("America/New_York", "2026-03-08", "30 2 * * *", [], id="the hour that is left out: not at all"),
        pytest.param("America/New_York", "2026-03-08", "0 3 * * *", ["07:00"], id="the first minute after it"),
        pytest.param("America/New_York", "2026-11-01", "30 1 * * *", ["05:30"], id="the repeated hour: once"),
        pytest.param(
            "America/New_York", "2026-11-01", "*/30 1 * * *", ["05:00", "05:30"], id="every half hour of it: once each"
        ),
        pytest.param("Australia/Lord_Howe", "2026-10-03", "15 2 * * *", [], id="half an hour is left out"),
        pytest.param(
            "America/New_York", "2026-11-01", "rate(6 hours)", ["06:00", "12:00", "18:00"], id="a rate is UTC"
        ),
        pytest.param("Asia/Tokyo", "2026-11-24", "0 3 * * *", ["18:00"], id="no daylight saving"),
    ],
)
def test_daylight_saving(zone: str, day: str, expression: str, expected: list[str]) -> None:
    start = utc(f"{day}T00:00")
    times = between([parse_schedule(expression)], zone, start, start + DAY - MINUTE)
    assert [f"{time:%H:%M}" for time in times] == expected


def test_in_the_second_pass_of_a_repeated_hour_all_of_it_has_happened() -> None:
    # New York's clock shows 01:10 for the second time; 01:50 was 20 minutes ago.
    now = utc("2026-11-01T06:10")
    assert latest([parse_schedule("50 1 * * *")], "America/New_York", now, within=HOUR) == utc("2026-11-01T05:50")


def test_the_last_minute_of_a_year_that_is_over() -> None:
    now = utc("2026-01-01T00:10")
    assert latest([parse_schedule("cron(* * * * ? 2024-2025)")], "UTC", now, within=HOUR) == utc("2025-12-31T23:59")


def test_several_schedules_are_merged_and_a_shared_time_comes_once() -> None:
    schedules = [parse_schedule("0 */6 * * *"), parse_schedule("rate(12 hours)"), parse_schedule("30 12 * * *")]
    times = between(schedules, "UTC", utc("2026-11-24T00:00"), utc("2026-11-25T00:00"))
    assert [f"{time:%H:%M}" for time in times] == ["06:00", "12:00", "12:30", "18:00", "00:00"]


def test_no_schedule_is_never() -> None:
    assert latest([], "UTC", TUESDAY, within=DAY) is None
    assert upcoming([], "UTC", TUESDAY, limit=3) == []


# --- due --------------------------------------------------------------------------------------------------

NIGHTLY = Job(
    name="nightly-report",
    pool="nightly-report",
    ecs=Ecs(cluster="batch", task_definition="report", container="app", subnets=("subnet-0",)),
    schedules=(parse_schedule("cron(0 3 * * ? *)"),),
    timezone="Asia/Tokyo",
    start_deadline=3_600,
)
AT = utc("2026-11-23T18:00")  # 03:00 in Tokyo
OFTEN = replace(NIGHTLY, schedules=(parse_schedule("rate(15 minutes)"),))


@pytest.mark.parametrize(
    ("job", "now", "expected"),
    [
        pytest.param(NIGHTLY, AT - MINUTE, None, id="a minute early: not yet"),
        pytest.param(NIGHTLY, AT, AT, id="in its minute"),
        pytest.param(NIGHTLY, AT + timedelta(seconds=59), AT, id="later in its minute"),
        pytest.param(NIGHTLY, AT + 59 * MINUTE, AT, id="late, before the deadline"),
        pytest.param(NIGHTLY, AT + HOUR, AT, id="at the deadline"),
        pytest.param(NIGHTLY, AT + HOUR + timedelta(seconds=1), None, id="past the deadline: given up"),
        pytest.param(replace(NIGHTLY, start_deadline=86_400), AT + DAY - MINUTE, AT, id="a deadline of a whole day"),
        pytest.param(replace(NIGHTLY, enabled=False), AT, None, id="a job that is not enabled"),
        pytest.param(replace(NIGHTLY, schedules=()), AT, None, id="a job without a schedule"),
        pytest.param(OFTEN, AT + 46 * MINUTE, AT + 45 * MINUTE, id="of three that were missed, the most recent"),
        pytest.param(
            replace(NIGHTLY, schedules=(*NIGHTLY.schedules, *OFTEN.schedules)),
            AT + 16 * MINUTE,
            AT + 15 * MINUTE,
            id="of two schedules, the most recent time",
        ),
    ],
)
def test_due(job: Job, now: datetime, expected: datetime | None) -> None:
    assert [each.scheduled_at for each in due([job], now)] == ([expected] if expected else [])


def test_due_says_by_when_and_under_which_name() -> None:
    found = due([NIGHTLY, OFTEN], AT + MINUTE)
    assert found == (Due("nightly-report", AT, AT + HOUR), Due("nightly-report", AT, AT + HOUR))
    assert found[0].name == "nightly-report-20261123T1800Z"


ALONE = ("nightly-report", 1)
"""A pool of one slot, and a job of it."""


@pytest.mark.parametrize(
    ("now", "names"),
    [
        pytest.param("2026-12-12T23:59", [], id="on no other day"),
        pytest.param("2026-12-13T00:06", [], id="not in the first minutes, which are busy"),
        pytest.param("2026-12-13T00:07", ["nightly-report-renewal-20261213"], id="from then on"),
        pytest.param("2026-12-13T23:59", ["nightly-report-renewal-20261213"], id="all day"),
        pytest.param("2026-12-14T00:00", [], id="until the day is over"),
        pytest.param("2027-01-08T12:00", ["nightly-report-renewal-20270108"], id="and again after 26 days"),
    ],
)
def test_renewals_on_every_twenty_sixth_day(now: str, names: list[str]) -> None:
    found = renewals([ALONE], utc(now), 90)
    assert [each.name for each in found] == names
    at = utc(now).replace(hour=0, minute=7)
    assert all((each.renewal, each.scheduled_at, each.deadline) == (True, at, at + DAY) for each in found)
    assert renewals([ALONE], utc(now).astimezone(ZoneInfo("Asia/Tokyo")), 90) == found


def test_every_slot_of_every_pool_is_renewed_by_a_job_of_it() -> None:
    found = renewals([ALONE, ("day-close", 3)], utc("2026-12-13T12:00"), 90)
    assert [(each.job, each.slot, each.name) for each in found] == [
        ("nightly-report", 1, "nightly-report-renewal-20261213"),
        ("day-close", 1, "day-close-renewal-20261213"),
        ("day-close", 2, "day-close-renewal-20261213-2"),
        ("day-close", 3, "day-close-renewal-20261213-3"),
    ]
    assert all(each.renewal for each in found)


@pytest.mark.parametrize(("history", "every"), [(90, 26), (60, 16), (30, 6)])
def test_the_numbers_are_renewed_three_times_before_a_rest_is_too_long(history: int, every: int) -> None:
    days = [day for n in range(200) if is_renewal_day(day := TUESDAY + n * DAY, history)]
    assert {later - day for day, later in pairwise(days)} == {every * DAY}
    assert 3 * every * DAY <= timedelta(days=history) - SURE_BEFORE_FORGOTTEN


@deterministic
@given(st.integers(30, 90), st.integers(0, 40_000), st.integers(7 * 60, 24 * 3600 - 1))
def test_a_renewal_comes_in_time_and_is_the_same_for_every_tick(history: int, day: int, second: int) -> None:
    start = utc("1990-01-01T00:00") + day * DAY
    longest = (history - 10) // 3
    ticks = [start + n * DAY + timedelta(seconds=second) for n in range(longest)]
    found = [due for tick in ticks for due in renewals([ALONE], tick, history)]
    assert len(found) == 1, "one in so many days, whenever one begins to count"
    of_the_day = [renewals([ALONE], found[0].scheduled_at + n * HOUR, history) for n in range(24)]
    assert {(due.name, due.scheduled_at, due.deadline) for (due,) in of_the_day} == {
        (found[0].name, found[0].scheduled_at, found[0].deadline)
    }
