"""Calendars: which times a schedule has by them, beside an independent reading with the library `holidays`."""

import calendar as month
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, get_args
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.config.calendars import stored
from chalicelib.decide.calendars import Calendar, DayRule, data_of
from chalicelib.decide.policy import OnHoliday
from chalicelib.decide.schedule import (
    Schedule,
    between,
    bounded,
    happens,
    latest,
    left_out,
    nominal,
    parse_schedule,
    unknown,
    upcoming,
)
from guardctl.days_off import Coming, coming, with_verdict
from guardctl.holiday_data import computed, written
from tests.properties import examples

deterministic = settings(derandomize=True, deadline=None, database=None)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
TOKYO = "Asia/Tokyo"

JP = Calendar(
    name="jp", place="JP", data=data_of(stored("JP") or "") or "", also=frozenset({"12-31", "01-02", "01-03"})
)
"""Japan, with the days around New Year on which nobody works, as it ships."""


def by_rule(expression: str, rule: DayRule) -> Schedule:
    return replace(parse_schedule(expression), rule=rule)


def local(text: str, zone: str = TOKYO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def told(each: Coming, zone: str = TOKYO) -> str:
    """``05-07 03:00 (05-06, Substitute Holiday)`` for one that moved, ``05-06 03:00 Substitute Holiday`` for none."""
    at, was = (moment.astimezone(ZoneInfo(zone)) for moment in (each.at, each.nominal))
    if each.skipped:
        return f"{at:%m-%d %H:%M} {each.holiday}"
    return f"{at:%m-%d %H:%M}" + (f" ({was:%m-%d}, {each.holiday})" if was != at else "")


# --- by name ------------------------------------------------------------------------------------------------

DAILY, LAST, MAYDAY = "cron(0 3 * * ? *)", "cron(0 18 L * ? *)", "cron(0 3 5 5 ? *)"


@pytest.mark.parametrize(
    ("expression", "rule", "first", "last", "expected"),
    [
        pytest.param(DAILY, DayRule(JP, "skip"), "2026-05-01", "2026-05-07", ["05-01 03:00", "05-02 03:00 Saturday", "05-03 03:00 Constitution Day", "05-04 03:00 Greenery Day", "05-05 03:00 Children's Day", "05-06 03:00 Substitute Holiday", "05-07 03:00"], id="Golden Week: skipped"),
        pytest.param(DAILY, DayRule(JP, "next"), "2026-05-01", "2026-05-08", ["05-01 03:00", "05-07 03:00", "05-08 03:00"], id="Golden Week: what falls together is one, and was not moved"),
        pytest.param(DAILY, DayRule(JP, "run"), "2026-05-03", "2026-05-04", ["05-03 03:00", "05-04 03:00"], id="Golden Week: it runs"),
        pytest.param(MAYDAY, DayRule(JP, "next"), "2026-05-01", "2026-05-08", ["05-07 03:00 (05-05, Children's Day)"], id="Golden Week: behind it"),
        pytest.param(MAYDAY, DayRule(JP, "previous"), "2026-04-30", "2026-05-08", ["05-01 03:00 (05-05, Children's Day)"], id="Golden Week: before it"),
        pytest.param("cron(0 3 6 5 ? *)", DayRule(JP, "previous"), "2026-04-30", "2026-05-08", ["05-01 03:00 (05-06, Substitute Holiday)"], id="a substitute holiday"),
        pytest.param("cron(0 3 22 9 ? *)", DayRule(JP, "next"), "2026-09-18", "2026-09-25", ["09-24 03:00 (09-22, National Holiday)"], id="a day between two holidays (kokumin no kyujitsu)"),
        pytest.param("cron(0 3 1 1 ? *)", DayRule(JP, "next"), "2026-12-28", "2027-01-06", ["01-04 03:00 (01-01, New Year's Day)"], id="New Year: behind it"),
        pytest.param(LAST, DayRule(JP, "previous"), "2026-12-28", "2027-01-06", ["12-30 18:00 (12-31, a day off in the jobs file)"], id="the year's end: the last day of work"),
        pytest.param("cron(0 18 31 3 ? *)", DayRule(JP, "previous"), "2029-03-28", "2029-04-05", ["03-30 18:00 (03-31, Saturday)"], id="the fiscal year's end on a Saturday: before it"),
        pytest.param("cron(0 18 31 3 ? *)", DayRule(JP, "next"), "2029-03-28", "2029-04-05", ["04-02 18:00 (03-31, Saturday)"], id="the fiscal year's end on a Saturday: in the next one"),
        pytest.param("cron(0 18 ? 3 * *)", DayRule(JP, business_day=-1), "2029-03-01", "2029-04-05", ["03-30 18:00"], id="the fiscal year's last business day"),
        pytest.param("cron(0 6 * * ? *)", DayRule(JP, business_day=1), "2027-01-01", "2027-02-28", ["01-04 06:00", "02-01 06:00"], id="the first business day of a month"),
        pytest.param("cron(0,30 6 * * ? *)", DayRule(JP, business_day=5), "2026-05-01", "2026-05-31", ["05-12 06:00", "05-12 06:30"], id="the fifth, at all its times"),
        pytest.param("rate(12 hours)", DayRule(JP, "skip"), "2026-09-21", "2026-09-22", ["09-21 09:00 Respect for the Aged Day", "09-21 21:00 Respect for the Aged Day", "09-22 09:00 National Holiday", "09-22 21:00 National Holiday"], id="a rate: by the days of the job's zone"),
        pytest.param("at(2026-11-03T09:00:00)", DayRule(JP, "next"), "2026-11-01", "2026-11-06", ["11-04 09:00 (11-03, Culture Day)"], id="once"),
        pytest.param("cron(0 18,20 ? * SAT-SUN *)", DayRule(JP, "next"), "2026-11-21", "2026-11-25", ["11-24 18:00 (11-22, Sunday)", "11-24 20:00 (11-22, Sunday)"], id="of several it is the nearest"),
    ],
)  # fmt: skip
def test_the_days_of_japan(expression: str, rule: DayRule, first: str, last: str, expected: list[str]) -> None:
    """From the first day to the last, both included; the times are Tokyo's."""
    start, end = local(f"{first}T00:00") - MINUTE, local(f"{last}T23:59")
    schedules = [by_rule(expression, rule)]
    found = coming(schedules, TOKYO, start, end)
    assert [told(each) for each in found] == expected
    assert with_verdict(schedules, TOKYO, start, end) == [each.at for each in found]
    for at in (each.at for each in found if not each.skipped):  # wherever somebody begins to look
        assert latest(schedules, TOKYO, at, within=timedelta(0)) == at
        assert upcoming(schedules, TOKYO, at - MINUTE, limit=1) == [at]


def test_exceptions_go_before_everything_else() -> None:
    own = JP._replace(also=frozenset({"2026-08-13"}), excepted=frozenset({"2026-11-23", "2026-11-28"}))
    assert own.holiday(date(2026, 8, 13)) == "a day off in the jobs file"
    assert [own.is_business_day(date(2026, 11, day)) for day in (23, 28, 29)] == [True, True, False]
    assert [own.is_business_day(date(2026, 12, 31)), JP.is_business_day(date(2026, 12, 31))] == [True, False]


def test_a_weekend_is_what_the_calendar_says() -> None:
    gulf = Calendar(name="gulf", weekend=frozenset({4, 5}))
    assert [gulf.holiday(date(2026, 11, day)) for day in (26, 27, 28, 29)] == ["", "Friday", "Saturday", ""]


def test_beyond_the_data_it_goes_by_weekdays_and_tells() -> None:
    schedules = [by_rule(DAILY, DayRule(JP, "skip"))]
    wednesday, saturday = local("2031-01-01T03:00"), local("2031-01-04T03:00")
    assert latest(schedules, TOKYO, wednesday, within=timedelta(0)) == wednesday
    assert left_out(schedules, TOKYO, saturday - MINUTE, saturday) == [(saturday, "Saturday")]
    assert unknown(JP, schedules, TOKYO, wednesday) == (
        "nobody knows whether 2031-01-01 is a holiday: the data of calendar jp is of 2025-01-01 to 2029-12-31"
    )
    assert unknown(JP, schedules, TOKYO, local("2029-12-28T03:00")) == ""
    assert unknown(JP, [parse_schedule(DAILY)], TOKYO, wednesday) != "", "its business date is not known"
    assert unknown(JP._replace(data=""), schedules, TOKYO, wednesday) == "", "nothing is missing"
    moved = [by_rule("cron(0 3 31 12 ? *)", DayRule(JP, "next"))]
    assert unknown(JP, moved, TOKYO, local("2030-01-01T03:00")) != "", "it moved out of the data"


def test_both_its_own_time_and_the_moved_one_are_within_the_bounds() -> None:
    """31 January 2026 is a Saturday; it moves to 2 February, or to 30 January."""
    last_day = "cron(0 18 L * ? *)"
    for step, at in (("next", "2026-02-02T18:00"), ("previous", "2026-01-30T18:00")):
        plain = by_rule(last_day, DayRule(JP, step))  # type: ignore[arg-type]  # the two words
        around = (local("2026-01-29T00:00"), local("2026-02-04T00:00"))
        assert between([plain], TOKYO, *around) == [local(at)]
        for bounds in (("2026-02-01T00:00", None), (None, "2026-01-31T00:00")):
            first, end = (local(bound) if bound else None for bound in bounds)
            (bound,) = bounded([plain], first, end)
            assert between([bound], TOKYO, *around) == []
            assert latest([bound], TOKYO, around[1], within=6 * DAY) is None


def test_what_the_clock_skips_on_its_own_day_happens_on_the_day_it_moves_to() -> None:
    """New York's clock skips 02:30 on Sunday, 8 March 2026; a month's batch is not lost for it."""
    us = Calendar(name="us")
    (schedule,) = [by_rule("cron(30 2 8 3 ? 2026)", DayRule(us, "next"))]
    monday = local("2026-03-09T02:30", "America/New_York")
    assert upcoming([schedule], "America/New_York", local("2026-03-01T00:00"), limit=2) == [monday]
    moved_into_it = by_rule("cron(30 2 9 3 ? 2026)", DayRule(Calendar(name="x", weekend=frozenset({0})), "previous"))
    assert upcoming([moved_into_it], "America/New_York", local("2026-03-01T00:00"), limit=2) == []


@pytest.mark.parametrize(
    ("zone", "weekend", "first"),
    [
        pytest.param("Africa/Cairo", {4, 5}, "2024-04-21", id="a Friday has no midnight"),
        pytest.param("Asia/Beirut", {6}, "2024-03-28", id="a Sunday has none"),
        pytest.param("America/Santiago", {6}, "2024-09-05", id="nor here"),
        pytest.param("America/Santiago", {6}, "2024-04-04", id="a Saturday has its last hour twice"),
        pytest.param("America/Havana", {6}, "2024-11-01", id="a Sunday has its first hour twice"),
        pytest.param("America/Nuuk", {6}, "2024-10-24", id="and here, by UTC"),
        pytest.param("Australia/Lord_Howe", {5, 6}, "2024-10-03", id="half an hour is skipped"),
    ],
)
@pytest.mark.parametrize("expression", ["cron(30 23 * * ? *)", "cron(15 0,2,23 * * ? *)", "rate(30 minutes)"])
def test_looking_back_finds_what_looking_forward_does(
    zone: str, weekend: set[int], first: str, expression: str
) -> None:
    """From a day off at the edge of which the clock changes, back to the last times of the business day before."""
    schedules = [by_rule(expression, DayRule(Calendar("x", weekend=frozenset(weekend)), "skip"))]
    begin = local(f"{first}T00:00", zone)
    times = between(schedules, zone, begin, begin + 7 * DAY)
    assert len(times) > 4
    for before, at in pairwise(times):
        assert latest(schedules, zone, at - MINUTE, within=7 * DAY) == before


def test_a_rate_that_does_not_move_starts_when_it_would_have() -> None:
    """Also in an hour that the clock shows for the second time: Sunday is a business day, and 01:30 comes twice."""
    israel, began = "Asia/Jerusalem", datetime(2024, 10, 20, 23, 30, tzinfo=UTC)
    (plain,) = bounded([parse_schedule("rate(1 day)")], began, None)
    moving = replace(plain, rule=DayRule(Calendar("il", weekend=frozenset({4, 5})), "previous"))
    week = datetime(2024, 10, 26, 12, tzinfo=UTC), datetime(2024, 10, 31, 12, tzinfo=UTC)
    assert between([moving], israel, *week) == between([plain], israel, *week)
    assert nominal([moving], israel, datetime(2024, 10, 26, 23, 30, tzinfo=UTC)) is None


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("expression", "rule", "expected"),
    [
        pytest.param("cron(0 3 ? * SAT *)", DayRule(JP, "skip"), False, id="Saturdays alone, and none is a business day"),
        pytest.param("cron(0 3 ? * SAT *)", DayRule(JP._replace(excepted=frozenset({"2026-11-28"})), "skip"), True, id="but one"),
        pytest.param("cron(0 3 ? * SAT *)", DayRule(Calendar("own", excepted=frozenset({"2026-11-28"})), "skip"), True, id="but one, without holidays"),
        pytest.param("at(2024-05-03T03:00:00)", DayRule(JP, "next"), True, id="once, before the data"),
        pytest.param("at(2026-05-03T03:00:00)", DayRule(JP, "skip"), False, id="once, on a holiday"),
        pytest.param(LAST, DayRule(Calendar("none", weekend=frozenset(range(7))), "next"), False, id="it would move for ever"),
        pytest.param(DAILY, DayRule(JP, business_day=24), False, id="no month has 24"),
        pytest.param(DAILY, DayRule(JP, business_day=23), True, id="some month has 23"),
        pytest.param("cron(0 3 * * ? 2199)", DayRule(JP, "skip"), True, id="in a far year"),
    ],
)  # fmt: skip
def test_what_never_happens_is_known(expression: str, rule: DayRule, expected: bool) -> None:
    assert happens(by_rule(expression, rule), TOKYO) is expected


# --- beside an independent reading --------------------------------------------------------------------------

YEARS = range(2016, 2026)
"""Until 2019 São Paulo's clock skipped midnight, Santiago's and Beirut's still do, and Cairo's since 2023."""


class Place(NamedTuple):
    """Where a job may be."""

    holidays: str
    zone: str
    weekend: frozenset[int] = frozenset({5, 6})


PLACES = (
    Place("JP", TOKYO),
    Place("DE-BY", "Europe/Berlin"),
    Place("US", "America/New_York"),
    Place("BR", "America/Sao_Paulo"),
    Place("XLON", "Europe/London"),
    Place("CL", "America/Santiago", frozenset({6})),
    Place("EG", "Africa/Cairo", frozenset({4, 5})),
    Place("LB", "Asia/Beirut", frozenset({6})),
    Place("AU-NSW", "Australia/Lord_Howe", frozenset()),
)


@cache
def known(place: Place) -> Any:
    """The library's own answer."""
    code, _, subdivision = place.holidays.partition("-")
    if code == "XLON":
        return holidays.financial_holidays(code, years=YEARS)
    return holidays.country_holidays(code, subdiv=subdivision or None, years=YEARS)


class Kind(NamedTuple):
    """A schedule, and the same read by hand."""

    expression: str
    clock: tuple[time, ...]
    on: Callable[[date], bool] = lambda day: True
    every: timedelta = timedelta(0)
    """Of a rate, which has no clock: from 1970 on."""

    def written(self, day: date, zone: ZoneInfo) -> list[datetime]:
        """Its times on that day, on the local clock."""
        if not self.on(day):
            return []
        if not self.every:
            return [datetime.combine(day, each) for each in self.clock]
        first = datetime.combine(day - DAY, time(), UTC)
        first += -(first - datetime(1970, 1, 1, tzinfo=UTC)) % self.every
        ticks = (first + n * self.every for n in range(3 * DAY // self.every + 1))
        return [each.replace(tzinfo=None) for tick in ticks if (each := tick.astimezone(zone)).date() == day]


def last_day(day: date) -> bool:
    return (day + DAY).day == 1


EVERY_DAY = (
    Kind("cron(0 3 * * ? *)", (time(3),)),
    Kind("cron(0 0,18 * * ? *)", (time(0), time(18))),
    Kind("cron(30 23,0,1 * * ? *)", (time(0, 30), time(1, 30), time(23, 30))),
)
OFTEN = (Kind("rate(20 minutes)", (), every=20 * MINUTE),)
"""Left out on a holiday, and never moved."""
KINDS = (
    *EVERY_DAY,
    Kind("cron(15 2 L * ? *)", (time(2, 15),), last_day),
    Kind("cron(0 23 ? * SAT *)", (time(23),), lambda day: day.weekday() == 5),
    Kind("cron(0 0 ? * SUN *)", (time(0),), lambda day: day.weekday() == 6),
    Kind("0 9 1,15 * *", (time(9),), lambda day: day.day in {1, 15}),
    Kind("cron(30 1 ? 3,10,11 SUN *)", (time(1, 30),), lambda day: day.month in {3, 10, 11} and day.weekday() == 6),
    Kind("at(2019-09-08T00:00:00)", (time(0),), lambda day: day == date(2019, 9, 8)),  # Santiago skips it
    Kind("rate(1 day)", (), every=DAY),
    Kind("rate(35 hours)", (), every=35 * HOUR),
)


@cache
def off(place: Place) -> frozenset[date]:
    """The days off of ten years, by the library and the week alone."""
    first, last = date(YEARS[0], 1, 1), date(YEARS[-1], 12, 31)
    every = (first + n * DAY for n in range((last - first).days + 1))
    found = known(place)
    return frozenset(day for day in every if day in found or day.weekday() in place.weekend)


@cache
def calendar_of(place: Place) -> Calendar:
    """As `guardctl calendar` writes it and the functions read it."""
    text = written(place.holidays, computed(place.holidays, YEARS[0], YEARS[-1]), YEARS[0], YEARS[-1])
    data = data_of(text)
    assert data is not None
    return Calendar(name="x", place=place.holidays, data=data, weekend=place.weekend)


def moments(day: date, written: list[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    for each in written:
        naive = datetime.combine(day, each.time())
        at = naive.replace(tzinfo=zone).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) == naive:
            yield at


def by_hand(place: Place, kinds: list[Kind], rule: DayRule, days: list[date]) -> tuple[set[datetime], set[datetime]]:
    """What starts, and what is left out, of these days."""
    zone, rest = ZoneInfo(place.zone), off(place)
    starts: set[datetime] = set()
    skipped: set[datetime] = set()
    for kind in kinds:
        for day in days:
            clock = kind.written(day, zone)
            if not clock:
                continue
            if rule.business_day:
                length = month.monthrange(day.year, day.month)[1]
                work = [n for n in range(1, length + 1) if day.replace(day=n) not in rest]
                place_of = rule.business_day - 1 if rule.business_day > 0 else rule.business_day
                if work[place_of : place_of + 1 or None] != [day.day]:
                    continue
            if rule.on_holiday == "skip" and day in rest:
                skipped.update(moments(day, clock, zone))
                continue
            to = day
            while to in rest and rule.on_holiday in {"next", "previous"}:
                to += DAY if rule.on_holiday == "next" else -DAY
            starts.update(moments(to, clock, zone))
    return starts, skipped


RULES = st.one_of(
    st.sampled_from(get_args(OnHoliday)).map(lambda word: (word, 0)),
    st.sampled_from([1, 5, 20, -1, -2]).map(lambda nth: ("run", nth)),
)


@pytest.mark.thorough
@settings(deterministic, max_examples=examples(250))
@given(
    st.sampled_from(PLACES),
    RULES,
    st.data(),
    st.integers(25, 3_600),
    st.integers(0, 4_000) | st.integers(0, 60_000),
    st.integers(0, 1440),
)
def test_the_times_are_those_of_an_independent_reading(
    place: Place, rule: tuple[OnHoliday, int], data: st.DataObject, day: int, length: int, minute: int
) -> None:
    """Ten years, nine places, with daylight saving: a window of up to six weeks from any minute of it."""
    calendar = calendar_of(place)
    by = DayRule(calendar, *rule)
    some = EVERY_DAY if by.business_day else KINDS if by.step else (*KINDS, *OFTEN)
    kinds = data.draw(st.lists(st.sampled_from(some), min_size=1, max_size=2))
    first = date(YEARS[0], 1, 1) + day * DAY
    start = datetime.combine(first, time(), UTC) + minute * MINUTE
    end = min(start + length * MINUTE, datetime(YEARS[-1], 12, 10, tzinfo=UTC))
    days = [first + n * DAY for n in range(-24, (end.date() - first).days + 24)]
    days = [each for each in days if each.year in YEARS]
    starts, skipped = by_hand(place, kinds, by, days)
    right = sorted(at for at in starts if start < at <= end)
    schedules = [by_rule(kind.expression, by) for kind in kinds]
    assert between(schedules, place.zone, start, end) == right
    assert upcoming(schedules, place.zone, start, limit=len(right)) == right
    assert [at for at, _ in left_out(schedules, place.zone, start, end)] == sorted(
        at for at in skipped if start < at <= end
    )
    if end > start:
        newest = latest(schedules, place.zone, end, within=end - start - timedelta(seconds=1))
        assert newest == (right[-1] if right else None)
    for before, at in pairwise(right[-6:]):
        assert latest(schedules, place.zone, at, within=timedelta(0)) == at
        assert latest(schedules, place.zone, at - MINUTE, within=100 * DAY) == before


@pytest.mark.thorough
@settings(deterministic, max_examples=examples(60))
@given(
    st.sampled_from(PLACES),
    st.sampled_from(["next", "previous"]),
    st.sampled_from([kind for kind in KINDS if not kind.every]),
    st.integers(25, 3_600),
)
def test_a_moved_time_knows_what_it_was(place: Place, word: OnHoliday, kind: Kind, day: int) -> None:
    zone, rest = ZoneInfo(place.zone), off(place)
    by = DayRule(calendar_of(place), word)
    start = datetime.combine(date(YEARS[0], 1, 1) + day * DAY, time(), UTC)
    for at in between([by_rule(kind.expression, by)], place.zone, start, start + 20 * DAY):
        was = nominal([by_rule(kind.expression, by)], place.zone, at) or at
        here, there = at.astimezone(zone), was.astimezone(zone)
        assert here.date() not in rest
        assert kind.on(there.date())
        step = -1 if word == "next" else 1
        nearer = here.date()
        while nearer != there.date():
            assert not kind.on(nearer), "it is the nearest"
            nearer += step * DAY
            assert nearer in rest
