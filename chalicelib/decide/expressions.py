"""Schedule expressions: what EventBridge users and cron users write, read into values, or refused.

A schedule is kept exactly as it is written or it is refused, with the reason; what people write instead of a schedule
is known to `spellings.py`. Pure.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError

from chalicelib.decide.cron_fields import (
    DAYS,
    MONTHS,
    NEAREST,
    SPANS,
    YEARS,
    ScheduleRefused,
    days_of,
    may_be,
    month_days,
    numbers,
    too_wide,
    weekdays_of,
    written,
)
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.decide.calendars import DayRule

_MINUTE = timedelta(minutes=1)
_SOME_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 (a local time, before it gets its zone)
_UNITS = {"minute": 1, "hour": 60, "day": 24 * 60}
_FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L for the last day or LW for the last weekday",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT (0 and 7 are Sunday)",
}
"""Of five-field cron."""
_IN_VAIN = 50
"""Years without a match after which a schedule is taken never to happen again; cronsim's own bound."""
EXAMPLES = 'write "cron(0 3 * * ? *)", "rate(15 minutes)" or five-field cron such as "0 3 * * *"'


@dataclass(frozen=True, slots=True)
class Schedule:
    """One expression as its author wrote it, and what it was read as; made by `parse_schedule`."""

    expression: str
    cron: str = ""
    """Five fields for cronsim; empty for a rate and for a single time."""
    years: frozenset[int] | None = None
    """The years of an EventBridge cron; None for every year."""
    days: str = ""
    """A day-of-month field with a W in it, which cronsim doesn't know: `cron` then has every day that may be meant."""
    every: timedelta | None = None
    """The interval of a rate, counted from `start`, or from 1970-01-01T00:00Z; None for all else."""
    once: datetime | None = None
    """The one time of an `at(...)`, local and without a zone."""
    start: datetime | None = None
    """The first moment at which it is in effect (UTC); None: it always was."""
    end: datetime | None = None
    """The last such moment (UTC)."""
    rule: DayRule | None = None
    """What the days of the job's calendar do to it; None: nothing."""


@lru_cache(maxsize=1024)  # jobs have schedules in common, and a file is read more than once
def parse_schedule(expression: str) -> Schedule:
    """Read an EventBridge `cron(...)`, `rate(...)` or `at(...)`, or five-field cron. Raises ScheduleRefused.

    Sources: EventBridge user guide, "Cron expressions" for the six fields, day numbers from 1 = SUN, the one `?` and
    the wildcards L, W and #, and "Rate expressions" for singular and plural; Scheduler user guide, "Schedule types",
    for `at(...)`. A range that runs past the end of its field goes on at the beginning, as in Quartz, whose notation it
    is. One difference: a rate counts from the epoch and not from the rule's creation, so that it needs no memory. In
    five-field cron, cron's own rules hold: with both day fields given either will do, and no range runs backwards.
    """
    text = expression.strip()
    if len(text) > 256:  # PutRule, EventBridge API reference
        raise ScheduleRefused(f"a schedule of {len(text)} characters", "AWS takes 256; write a list of schedules")
    if text.startswith("cron(") and text.endswith(")"):
        return _eventbridge_cron(text)
    if text.startswith("rate(") and text.endswith(")"):
        return Schedule(text, every=_interval(text))
    if text.startswith("at(") and text.endswith(")"):
        return Schedule(text, once=_once(text))
    if len(text.split()) != 5 or text[0].isalpha():
        from chalicelib.decide.spellings import refusal  # noqa: PLC0415 (it reads expressions itself; and only a fault needs it)

        raise refusal(text)
    return _happening(Schedule(text, _checked(text.upper().split())))


def local_times(schedule: Schedule, start: datetime, *, backward: bool) -> Iterator[datetime]:
    """The naive local times that a cron matches, strictly after (or before) naive `start`, nearest first."""
    if schedule.once is not None:
        if schedule.once < start if backward else schedule.once > start:
            yield schedule.once
        return
    matched = start
    while True:
        for time in CronSim(schedule.cron, start, reverse=backward):
            if schedule.years is not None and time.year not in schedule.years:
                # Straight to the next year that counts, or a schedule for 2199 would be searched day by day.
                years = [year for year in schedule.years if (year < time.year if backward else year > time.year)]
                if not years:
                    return
                matched = start = datetime(max(years) + 1, 1, 1) if backward else datetime(min(years), 1, 1) - _MINUTE  # noqa: DTZ001 naive, as above
                break
            if schedule.days and time.day not in days_of(schedule.days, time.year, time.month):
                if abs(time.year - matched.year) > _IN_VAIN:
                    return
                start = time.replace(hour=0, minute=0) if backward else time.replace(hour=23, minute=59)
                break
            matched = time
            yield time
        else:
            return


def _interval(text: str) -> timedelta:
    form = r"rate\(\s*([0-9]+)\s+(minute|hour|day)(s?)\s*\)"
    match = re.fullmatch(form, text)
    if match is None or int(match[1]) == 0:
        right = 'write a whole number and its unit: "rate(1 hour)", "rate(15 minutes)"'
        if text != text.lower() and reads(text.lower()):
            right = f'write "{text.lower()}"'
        raise ScheduleRefused(f'"{text}" is not a rate', right)
    count, unit = int(match[1]), match[2]
    plural = "" if count == 1 else "s"
    if match[3] != plural:
        raise ScheduleRefused(
            f'"{text}" mixes singular and plural, which EventBridge refuses', f'write "rate({count} {unit}{plural})"'
        )
    if count * _UNITS[unit] > 365 * _UNITS["day"]:
        raise ScheduleRefused(f'"{text}" is longer than a year', 'write its dates, "cron(0 3 1 1 ? *)"')
    return timedelta(minutes=count * _UNITS[unit])


def _once(text: str) -> datetime:
    """The time of an `at(...)`, which is local to the job's zone."""
    wrong, right = f'"{text}" is not a single time', 'write its date and time, "at(2026-12-24T18:00:00)"'
    form = r"at\(\s*([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2}))?(Z|[+-][0-9]{2}:[0-9]{2})?\s*\)"
    match = re.fullmatch(form, text)
    if match is None:
        raise ScheduleRefused(wrong, right)
    day, minute, second, offset = match.groups()
    try:
        time = datetime.fromisoformat(f"{day}T{minute}{offset or ''}")
    except ValueError as error:
        raise ScheduleRefused(f"{wrong}: {error}", right) from None
    if time.year not in YEARS:
        raise ScheduleRefused(f"{wrong}: the year is out of range", f"it may be {YEARS[0]}-{YEARS[-1]}")
    if difference := time.utcoffset():
        time -= difference
    aws = f"at({time:%Y-%m-%dT%H:%M}:00)"
    if offset:
        right = f'write "{aws}" with timezone = "UTC"'
        raise ScheduleRefused(f'"{text}" has an offset, and at(...) is in the job\'s timezone', right)
    if second not in {"00", None}:
        raise ScheduleRefused(f'"{text}" has seconds; the schedule is looked at once a minute', f'write "{aws}"')
    if text != aws:
        raise ScheduleRefused(f'"{text}" is not written as EventBridge wants it', f'write "{aws}"')
    return time


def _eventbridge_cron(text: str) -> Schedule:
    fields = text[5:-1].upper().split()
    if len(fields) != 6:
        right = "EventBridge's cron has six, minute hour day-of-month month day-of-week year: cron(0 3 * * ? *)"
        if len(fields) == 5 and reads(inner := text[5:-1].strip()):
            right = f'five are cron\'s own, written without cron(): "{inner}"; {right}'
        raise ScheduleRefused(f'"{text}" has {len(fields)} fields', right)
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        right = "EventBridge wants ? in exactly one of day-of-month and day-of-week, as in cron(0 3 * * ? *)"
        if "?" not in fields and "*" in {day, weekday}:
            mended = f"{day} {month} ?" if weekday == "*" else f"? {month} {weekday}"
            mended = f"cron({minute} {hour} {mended} {year})"
            right = f'{right}: write "{mended}"' if reads(mended) else right
        wrong = f'"{text}" has {"?" if day == "?" else "no ?"} in its two day fields'
        raise ScheduleRefused(wrong, right)
    minutes, hours = written(minute, "minute", 0, 59), written(hour, "hour", 0, 23)
    months = written(month, "month", 1, 12, MONTHS)
    # With a * in one of them, cronsim's rule for two day fields is "both": the other one alone decides.
    days, weekdays = ("*", weekdays_of(weekday)) if day == "?" else (month_days(day), "*")
    years = None if year == "*" else frozenset(numbers(year, "year", YEARS[0], YEARS[-1], {}))
    cron = " ".join((minutes, hours, may_be(days), months, weekdays))
    return _happening(Schedule(text, cron, years, days if re.search(NEAREST, days) else ""))


def reads(expression: str) -> bool:
    """Whether it is a schedule."""
    try:
        parse_schedule(expression)
    except ScheduleRefused:
        return False
    return True


def _happening(schedule: Schedule) -> Schedule:
    """The schedule, unless no calendar has such a day: 30 February, or 29 February in 2027 alone."""
    # Any day will do to start from: the calendar of days and weekdays repeats within cronsim's 50 years.
    start = datetime(min(schedule.years), 1, 1) if schedule.years else _SOME_DAY  # noqa: DTZ001 naive, as above
    try:
        if any(local_times(schedule, start - _MINUTE, backward=False)):
            return schedule
    except CronSimError:
        pass
    raise ScheduleRefused(f'"{schedule.expression}" never happens', "no month or year of it has that day")


def _checked(fields: list[str]) -> str:
    """Five-field cron joined for cronsim, which understands each field and would not misread any."""
    understood = _is_understood(fields)
    for field, (name, right) in zip(fields, _FIELDS.items(), strict=True):
        for term in field.split(","):
            first, _, step = term.partition("/")
            if name == "day-of-month" and ("W" in term or "L" in term) and term not in {"L", "LW"}:
                raise _uncommon(term, fields)
            if step.isdecimal() and int(step) >= SPANS.get(name, 1000):
                raise too_wide(name, term, int(step))
            low, _, high = first.partition("-")
            if step and low == high:  # cronsim would go on to the end of the range
                raise ScheduleRefused(f'{name} "{term}" has a step and nowhere to go', f'write "{low}"')
            if two := _two_ranges(name, low, high):
                wrong = f'{name} "{term}" runs backwards, which five-field cron does not'
                raise ScheduleRefused(wrong, f'write "{two}"' if not step else "write its numbers, separated by commas")
        # One field at a time, so that the message can show which.
        if not understood and not _is_understood([field if each == name else "*" for each in _FIELDS]):
            raise ScheduleRefused(f'{name} "{field}" is not understood', f"it may be {right}")
    return " ".join(fields)


def _is_understood(fields: list[str]) -> bool:
    try:
        CronSim(" ".join(fields), _SOME_DAY)
    except CronSimError:
        return False
    return True


def _uncommon(term: str, fields: list[str]) -> ScheduleRefused:
    """A day of the month that cronsim doesn't know; of some, EventBridge does."""
    which = "the nearest weekday" if "W" in term else "counting from the end of the month"
    aws = f"cron({' '.join(fields[:4])} ? *)"
    known = fields[4] == "*" and reads(aws)
    right = f'write it as EventBridge does, "{aws}"' if known else f"it may be {_FIELDS['day-of-month']}"
    return ScheduleRefused(f'day-of-month "{term}": {which} can\'t be expressed', right)


def _two_ranges(name: str, low: str, high: str) -> str:
    """For a range of five-field cron that runs backwards the two that are meant; empty for any other."""
    names = list(DAYS) if name == "day-of-week" else ["", *MONTHS] if name == "month" else []
    spans = {"minute": (0, 59), "hour": (0, 23), "day-of-month": (1, 31), "month": (1, 12), "day-of-week": (0, 6)}
    ends = [names.index(end) if end in names else int(end) if end.isdecimal() else -1 for end in (low, high)]
    first, last = spans[name]
    if not (ends[0] > ends[1] >= first and ends[0] <= last):
        return ""
    lower, upper = (names[first] or str(first), names[last] or str(last)) if low in names else (str(first), str(last))
    return ",".join(a if a == b else f"{a}-{b}" for a, b in ((low, upper), (lower, high)))
