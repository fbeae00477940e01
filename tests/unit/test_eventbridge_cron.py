"""EventBridge's cron against judges from outside: a table by hand where ranges wrap, and pyawscron everywhere else.

pyawscron reads cron as AWS documents it, but it crashes on a range that runs past the end of its field. So those are
held against what a person wrote down, and against a brute-force reading of the calendar over years.
"""

import calendar
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyawscron import AWSCron

from chalicelib.decide.cron_fields import ScheduleRefused
from chalicelib.decide.expressions import Schedule, parse_schedule
from chalicelib.decide.schedule import between, latest, upcoming
from tests.properties import examples

deterministic = settings(derandomize=True, deadline=None, database=None)

DAY = timedelta(days=1)

# --- what wraps: by hand ----------------------------------------------------------------------------------

# What is written in the field, and all that it stands for. A field's size is that of its values (a month has 31 days),
# and a step goes on counting past the end.
BY_HAND = {
    ("minute", "50-10"): "0 1 2 3 4 5 6 7 8 9 10 50 51 52 53 54 55 56 57 58 59",
    ("minute", "50-10/5"): "0 5 10 50 55",
    ("minute", "55-5/3"): "1 4 55 58",
    ("minute", "59-0"): "0 59",
    ("minute", "58-1,30"): "0 1 30 58 59",
    ("hour", "22-6"): "0 1 2 3 4 5 6 22 23",
    ("hour", "22-6/2"): "0 2 4 6 22",
    ("hour", "23-5/3"): "2 5 23",
    ("hour", "20-2/12"): "20",
    ("hour", "23-0,12"): "0 12 23",
    ("day", "28-3"): "1 2 3 28 29 30 31",
    ("day", "28-3/2"): "1 3 28 30",
    ("day", "31-1"): "1 31",
    ("day", "30-4/3"): "2 30",
    ("day", "29-2,15"): "1 2 15 29 30 31",
    ("month", "NOV-FEB"): "1 2 11 12",
    ("month", "11-2"): "1 2 11 12",
    ("month", "NOV-FEB/2"): "1 11",
    ("month", "12-3/3"): "3 12",
    ("month", "DEC-JAN"): "1 12",
    ("weekday", "SAT-SUN"): "1 7",
    ("weekday", "7-1"): "1 7",
    ("weekday", "FRI-MON"): "1 2 6 7",
    ("weekday", "FRI-MON/2"): "1 6",
    ("weekday", "FRI-WED/2"): "1 3 6",
    ("weekday", "6-2,WED"): "1 2 4 6 7",
}


@pytest.mark.parametrize(("field", "written"), BY_HAND, ids=[f"{field} {written}" for field, written in BY_HAND])
def test_a_range_that_wraps(field: str, written: str) -> None:
    fields = {"minute": "0", "hour": "0", "day": "?" if field == "weekday" else "*", "month": "*"}
    fields |= {"weekday": "*" if field == "weekday" else "?"}
    if field == "month":
        fields["day"] = "1"
    schedule = parse_schedule(f"cron({' '.join((fields | {field: written}).values())} *)")
    start = datetime(2027, 12, 31, 23, 59, tzinfo=UTC)  # of a leap year
    span = {"minute": timedelta(hours=1), "hour": DAY, "weekday": 7 * DAY}.get(field, 366 * DAY)
    times = between([schedule], "UTC", start, start + span)
    shown = {
        "minute": lambda time: time.minute,
        "hour": lambda time: time.hour,
        "day": lambda time: time.day,
        "month": lambda time: time.month,
        "weekday": lambda time: time.isoweekday() % 7 + 1,
    }
    assert sorted({shown[field](time) for time in times}) == [int(number) for number in BY_HAND[field, written].split()]


# --- over years: a brute-force reading ----------------------------------------------------------------------


@cache
def stands_for(term: str, low: int, high: int) -> set[int]:
    """A range with its step, counted by walking: from the first, round the end, to the last."""
    ends, _, step = term.partition("/")
    first, last = map(int, ends.split("-"))
    found, at, steps = set(), first, 0
    while True:
        if steps % int(step or 1) == 0:
            found.add(at)
        if at == last:
            return found
        at, steps = (low if at == high else at + 1), steps + 1


def read(expression: str) -> Schedule | None:
    """The schedule, unless it never happens; it is refused for no other reason."""
    try:
        return parse_schedule(expression)
    except ScheduleRefused as refused:
        wrong = refused.wrong
    assert "never happens" in wrong
    return None


def ranges(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    plain = st.tuples(number, number).map(lambda pair: f"{pair[0]}-{pair[1]}")
    return plain | st.tuples(plain, st.integers(2, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}")


@cache
def nearest_weekday(year: int, month: int, day: int) -> int | None:
    """By the documents' words: the weekday of that month that is closest to the day."""
    days = calendar.monthrange(year, month)[1]
    if day > days:
        return None
    weekdays = [each for each in range(1, days + 1) if datetime(year, month, each, tzinfo=UTC).isoweekday() <= 5]
    return min(weekdays, key=lambda each: abs(each - day))


NIGHT = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = [NIGHT + n * DAY for n in range(1, 3 * 366)]
"""Until the end of 2028, a leap year."""


@pytest.mark.thorough
@settings(deterministic, max_examples=examples(40))
@given(ranges(1, 12), ranges(1, 31), ranges(1, 7), st.booleans())
def test_days_that_wrap_over_years(months: str, days: str, weekdays: str, by_week: bool) -> None:
    right = [time for time in DAYS if time.month in stands_for(months, 1, 12)]
    if by_week:
        right = [time for time in right if time.isoweekday() % 7 + 1 in stands_for(weekdays, 1, 7)]
    else:
        right = [time for time in right if time.day in stands_for(days, 1, 31)]
    expression = f"cron(0 0 ? {months} {weekdays} *)" if by_week else f"cron(0 0 {days} {months} ? *)"
    schedule = read(expression)
    if schedule is None:
        assert right == []
        return
    assert between([schedule], "UTC", NIGHT, DAYS[-1]) == right
    holds = set(right)
    back = [latest([schedule], "UTC", time + DAY / 2, within=DAY / 2) for time in DAYS[::29]]
    assert back == [time if time in holds else None for time in DAYS[::29]]


@pytest.mark.thorough
@settings(deterministic, max_examples=examples(40))
@given(st.integers(1, 31), st.integers(1, 31), ranges(1, 12), st.sampled_from(["", ",L", ",LW", ",7,21"]))
def test_the_nearest_weekday_over_years(first: int, second: int, months: str, also: str) -> None:
    named = {"": set[int](), ",7,21": {7, 21}}

    def holds(time: datetime) -> bool:
        last = calendar.monthrange(time.year, time.month)[1]
        more = named.get(also, {last if also == ",L" else nearest_weekday(time.year, time.month, last)})
        near = {nearest_weekday(time.year, time.month, day) for day in (first, second)}
        return time.month in stands_for(months, 1, 12) and time.day in near | more

    expression = f"cron(0 0 {first}W,{second}W{also} {months} ? *)"
    right = [time for time in DAYS if holds(time)]
    schedule = read(expression)
    if schedule is None:
        assert right == []
        return
    assert between([schedule], "UTC", NIGHT, DAYS[-1]) == right
    assert latest([schedule], "UTC", DAYS[-1], within=3 * 366 * DAY) == (right[-1] if right else None)


@settings(deterministic, max_examples=examples(30))
@given(ranges(0, 59), ranges(0, 23))
def test_times_of_day_that_wrap(minutes: str, hours: str) -> None:
    schedule = parse_schedule(f"cron({minutes} {hours} * * ? *)")
    times = between([schedule], "UTC", NIGHT - timedelta(minutes=1), NIGHT + DAY - timedelta(minutes=1))
    right = {(h, m) for h in stands_for(hours, 0, 23) for m in stands_for(minutes, 0, 59)}
    assert [(time.hour, time.minute) for time in times] == sorted(right)


# --- what does not wrap: pyawscron --------------------------------------------------------------------------


def straight(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    pair = st.tuples(number, number).map(lambda p: f"{min(p)}-{max(p)}")
    step = st.integers(1, 9)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.lists(number, min_size=2, max_size=4).map(lambda numbers: ",".join(map(str, numbers))),
        pair,
        st.tuples(pair, step).map(lambda p: f"{p[0]}/{p[1]}"),
        st.tuples(st.just("*") | number.map(str), step).map(lambda p: f"{p[0]}/{p[1]}"),
    )


WEEKDAY = st.sampled_from(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])
DAY_FIELDS = st.one_of(
    straight(1, 31).map(lambda days: (days, "?")),
    st.sampled_from(["L", "1W", "15W", "28W", "30W", "31W"]).map(lambda days: (days, "?")),
    straight(1, 7).map(lambda days: ("?", days)),
    WEEKDAY.map(lambda day: ("?", day)),
    st.just(("?", "MON-FRI")),
    st.integers(1, 7).map(lambda day: ("?", f"{day}L")),
    st.tuples(st.integers(1, 7), st.integers(1, 5)).map(lambda p: ("?", f"{p[0]}#{p[1]}")),
)
MONTHS = straight(1, 12) | st.sampled_from(["JAN", "MAR-MAY", "FEB,AUG"])
YEARS = st.sampled_from(["*", "2027", "2027-2029", "2026,2030", "2026/3"])
FROM = st.integers(0, 2 * 366 * 24 * 60).map(lambda minutes: NIGHT + timedelta(minutes=minutes))


@pytest.mark.thorough
@settings(deterministic, max_examples=examples(100))
@given(straight(0, 59), straight(0, 23), DAY_FIELDS, MONTHS, YEARS, FROM)
def test_pyawscron_agrees(
    minute: str, hour: str, day: tuple[str, str], month: str, years: str, start: datetime
) -> None:
    fields = f"{minute} {hour} {day[0]} {month} {day[1]} {years}"
    schedule = read(f"cron({fields})")
    assume(schedule is not None)
    assert schedule is not None
    try:
        right = judged(fields, start, 4)
    except Exception as error:  # it raises nothing narrower
        assume("this shouldn't happen" not in str(error))  # it looks no further than ten steps
        raise
    assert upcoming([schedule], "UTC", start, limit=4) == right


def judged(fields: str, start: datetime, limit: int) -> list[datetime]:
    found: list[datetime] = []
    cron, at = AWSCron(fields), start
    while len(found) < limit:
        at = cron.occurrence(at).next()
        if at is None:
            break
        found.append(at)
    return found
