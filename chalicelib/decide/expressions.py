"""Schedule expressions: what EventBridge users and cron users write, read into values, or refused.

A schedule is kept exactly as it is written or it is refused, with the reason. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MINUTE = timedelta(minutes=1)
_SOME_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 local times have no zone yet
_DAY_NAMES = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_UNITS = {"minute": 1, "hour": 60, "day": 24 * 60}
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L for the last day or LW for the last weekday",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT (0 and 7 are Sunday)",
}
_SPANS = {"minute": 60, "hour": 24}
_EXAMPLES = 'write "cron(0 3 * * ? *)", "rate(15 minutes)" or five-field cron such as "0 3 * * *"'


class ScheduleRefused(ValueError):
    """A schedule that can't be kept exactly as it is written: what is wrong, and what would be right."""

    def __init__(self, wrong: str, right: str) -> None:
        super().__init__(f"{wrong}; {right}")
        self.wrong = wrong
        self.right = right


@dataclass(frozen=True, slots=True)
class Schedule:
    """One expression as its author wrote it, and what it was read as; made by `parse_schedule`."""

    expression: str
    cron: str = ""
    """Five fields for cronsim; empty for a rate."""
    years: frozenset[int] | None = None
    """The years of an EventBridge cron; None for every year."""
    every: timedelta | None = None
    """The interval of a rate, counted from 1970-01-01T00:00Z; None for a cron."""


def parse_schedule(expression: str) -> Schedule:
    """Read an EventBridge `cron(...)` or `rate(...)`, or five-field cron. Raises ScheduleRefused.

    Sources: EventBridge user guide, "Cron expressions" for the six fields, day numbers from 1 = SUN and the
    one `?`, and "Rate expressions" for singular and plural. One difference: a rate counts from the epoch and
    not from the rule's creation, so that it needs no memory. In five-field cron, cron's own rule holds: with
    both day fields given, either will do.
    """
    text = expression.strip()
    if len(text) > 256:  # PutRule, EventBridge API reference
        raise ScheduleRefused(f"a schedule of {len(text)} characters", "AWS takes 256; write a list of schedules")
    if text.startswith("cron(") and text.endswith(")"):
        return _eventbridge_cron(text)
    if text.startswith("rate(") and text.endswith(")"):
        return Schedule(text, every=_interval(text))
    if text.startswith("at("):
        raise ScheduleRefused(f'"{text}" happens only once', f"start it by hand, or {_EXAMPLES}")
    if text.startswith("@"):
        same = _ALIASES.get(text.lower())
        raise ScheduleRefused(f'"{text}" is an alias', f'write "{same}"' if same else _EXAMPLES)
    fields = text.split()
    if len(fields) == 6:
        raise ScheduleRefused(
            f'"{text}" has six fields; seconds can\'t be kept, the schedule is looked at once a minute',
            f'write five fields, "{" ".join(fields[1:])}", or EventBridge\'s six as "cron(...)"',
        )
    if len(fields) != 5:
        raise ScheduleRefused(f'"{text}" is not a schedule', _EXAMPLES)
    return _happening(Schedule(text, _checked(text.upper().split())))


def local_times(schedule: Schedule, start: datetime, *, backward: bool) -> Iterator[datetime]:
    """The naive local times that a cron matches, strictly after (or before) naive `start`, nearest first."""
    while True:
        for time in CronSim(schedule.cron, start, reverse=backward):
            if schedule.years is None or time.year in schedule.years:
                yield time
                continue
            # Straight to the next year that counts, or a schedule for 2199 would be searched day by day.
            if backward:
                years = [year for year in schedule.years if year < time.year]
                start = datetime(max(years) + 1, 1, 1) if years else start  # noqa: DTZ001 naive, as above
            else:
                years = [year for year in schedule.years if year > time.year]
                start = datetime(min(years), 1, 1) - _MINUTE if years else start  # noqa: DTZ001
            if not years:
                return
            break
        else:
            return


def _interval(text: str) -> timedelta:
    match = re.fullmatch(r"rate\(\s*([0-9]+)\s+(minute|hour|day)(s?)\s*\)", text)
    if match is None or int(match[1]) == 0:
        raise ScheduleRefused(
            f'"{text}" is not a rate', 'write a whole number and its unit: "rate(1 hour)", "rate(15 minutes)"'
        )
    count, unit = int(match[1]), match[2]
    plural = "" if count == 1 else "s"
    if match[3] != plural:
        raise ScheduleRefused(
            f'"{text}" mixes singular and plural, which EventBridge refuses',
            f'write "rate({count} {unit}{plural})"',
        )
    if count * _UNITS[unit] > 365 * _UNITS["day"]:
        raise ScheduleRefused(f'"{text}" is longer than a year', 'write its dates, "cron(0 3 1 1 ? *)"')
    return timedelta(minutes=count * _UNITS[unit])


def _eventbridge_cron(text: str) -> Schedule:
    fields = text[5:-1].upper().split()
    if len(fields) != 6:
        raise ScheduleRefused(
            f'"{text}" has {len(fields)} fields',
            "EventBridge's cron has six, minute hour day-of-month month day-of-week year: cron(0 3 * * ? *)",
        )
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ScheduleRefused(
            f'"{text}" has {"?" if day == "?" else "no ?"} in its two day fields',
            "EventBridge wants ? in exactly one of day-of-month and day-of-week, as in cron(0 3 * * ? *)",
        )
    # With a * in one of them, cronsim's rule for two day fields is "both": the other one alone decides.
    day, weekday = ("*", _weekdays(weekday)) if day == "?" else (day, "*")
    years = None if year == "*" else frozenset(_numbers(year, "year", 1970, 2199, {}))
    return _happening(Schedule(text, _checked([minute, hour, day, month, weekday]), years))


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
    """Five fields joined for cronsim, which understands each of them and would not misread any."""
    for field, (name, right) in zip(fields, _FIELDS.items(), strict=True):
        for term in field.split(","):
            first, _, step = term.partition("/")
            if name == "day-of-month" and ("W" in term or "L" in term) and term not in {"L", "LW"}:
                which = "the nearest weekday" if "W" in term else "counting from the end of the month"
                raise ScheduleRefused(f'{name} "{term}": {which} can\'t be expressed', f"it may be {right}")
            if step.isdecimal() and int(step) >= _SPANS.get(name, 1000):
                raise ScheduleRefused(
                    f'{name} "{term}": a step of {step} does not fit in {_SPANS[name]}',
                    f'cron starts anew each time round; write "rate({step} {name}s)" for an interval',
                )
            low, _, high = first.partition("-")
            if step and low == high:  # cronsim would go on to the end of the range
                raise ScheduleRefused(f'{name} "{term}" has a step and nowhere to go', f'write "{low}"')
        try:
            # One field at a time, so that the message can show which.
            CronSim(" ".join(field if each == name else "*" for each in _FIELDS), _SOME_DAY)
        except CronSimError:
            raise ScheduleRefused(f'{name} "{field}" is not understood', f"it may be {right}") from None
    return " ".join(fields)


def _weekdays(field: str) -> str:
    """EventBridge's day-of-week in cronsim's numbers, which are one lower."""
    terms = []
    for term in field.split(","):
        if term == "L":  # the last day of the week
            terms.append("6")
        elif match := re.fullmatch(r"([1-7])L", term):
            terms.append(f"{int(match[1]) - 1}L")
        elif match := re.fullmatch(r"(\w+)#([1-5])", term):
            (day,) = _numbers(match[1], "day-of-week", 1, 7, _DAY_NAMES)
            terms.append(f"{day - 1}#{match[2]}")
        else:
            # Written out: cronsim's week goes on to 7, and 2/2 would reach Sunday.
            terms += [str(day - 1) for day in _numbers(term, "day-of-week", 1, 7, _DAY_NAMES)]
    return ",".join(terms)


def _numbers(field: str, name: str, low: int, high: int, names: dict[str, int]) -> list[int]:
    """The numbers of an EventBridge field, with its lists, ranges and steps."""
    found: set[int] = set()
    right = f"it may be {low}-{high}" + (f" or {'-'.join(list(names)[:: len(names) - 1])}" if names else "")
    for term in field.split(","):
        match = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/([0-9]+))?", term, re.ASCII)
        if match is None or int(match[3] or 1) == 0 or (match[1] == "*" and match[2]):
            raise ScheduleRefused(f'{name} "{term}" is not understood', right)
        ends = []
        for end in (match[1], match[2] or match[1]):
            number = low if end == "*" else names.get(end, int(end) if end.isdecimal() else -1)
            if not low <= number <= high:
                raise ScheduleRefused(f'{name} "{end}" is out of range', right)
            ends.append(number)
        first, last = ends
        if match[1] == "*" or (match[3] and not match[2]):
            last = high
        if last < first:
            raise ScheduleRefused(f'{name} "{term}" runs backwards', "write it as two ranges")
        found.update(range(first, last + 1, int(match[3] or 1)))
    return sorted(found)
