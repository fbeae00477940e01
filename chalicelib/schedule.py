"""What is due, and when: pure, so that a test needs no clock and no AWS.

A schedule is a set of *local* times. Each is read on the naive local clock and only then given its
instant, which makes daylight saving what EventBridge Scheduler documents ("Time zones" and "Daylight
savings time" in its user guide): a local time that does not exist does not happen, a repeated one happens
once, the first time round. (cronsim's own rules for zones are Debian cron's; it is given none.)

Two facts keep the code short. Mapped so, later local times are later instants: the times come out in
order. And a scheduled time is a whole minute of UTC, because zone offsets have been whole minutes since
1972.
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.jobs import Job

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_DAY_NAMES = {name: n for n, name in enumerate("SUN MON TUE WED THU FRI SAT".split(), start=1)}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
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
    "minute": (60, "0-59"),
    "hour": (24, "0-23"),
    "day-of-month": (31, "1-31, or L for the last one, LW for the last weekday"),
    "month": (12, "1-12 or JAN-DEC"),
    "day-of-week": (7, "0-7 or SUN-SAT (0 and 7 are Sunday)"),
}
_EXAMPLES = 'write "cron(0 3 * * ? *)", "rate(15 minutes)" or five-field cron such as "0 3 * * *"'


class ScheduleRefused(ValueError):  # noqa: N818 it says what it is
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


@dataclass(frozen=True, slots=True)
class Due:
    """A scheduled time that should have its guard execution by now."""

    job: str
    scheduled_at: datetime
    name: str
    """The guard execution's name: one scheduled time has exactly one."""
    deadline: datetime
    late: timedelta


def parse_schedule(expression: str) -> Schedule:
    """Read an EventBridge `cron(...)` or `rate(...)`, or five-field cron. Raises ScheduleRefused.

    Sources: "Creating a rule that runs on a schedule" (EventBridge user guide) for the six fields, day
    numbers from 1 = SUN and the rule of the one `?`; "Rate expressions" there for singular and plural.
    Two differences from it: a rate counts from the epoch and not from the rule's creation, so that it
    needs no memory; and five-field cron has cron's own rule that with both day fields given, either will do.
    """
    text = expression.strip()
    if text.startswith("cron(") and text.endswith(")"):
        return _eventbridge_cron(expression, text[5:-1].upper().split())
    if text.startswith("rate(") and text.endswith(")"):
        return Schedule(expression, every=_interval(text))
    if text.startswith("at("):
        raise ScheduleRefused(
            f'"{text}" happens only once', "start a job once with guardctl run, or " + _EXAMPLES
        )
    if text.startswith("@"):
        same = _ALIASES.get(text.lower())
        raise ScheduleRefused(f'"{text}" is an alias', f'write "{same}"' if same else _EXAMPLES)
    fields = text.upper().split()
    if len(fields) == 6:
        raise ScheduleRefused(
            f'"{text}" has six fields; seconds can\'t be kept, the schedule is looked at once a minute',
            f'write five fields, "{" ".join(text.split()[1:])}", or EventBridge\'s six as "cron(...)"',
        )
    if len(fields) != 5:
        raise ScheduleRefused(f'"{text}" is not a schedule', _EXAMPLES)
    return Schedule(expression, cron=_checked(fields))


def latest(
    schedules: Sequence[Schedule], timezone: str, now: datetime, *, within: timedelta
) -> datetime | None:
    """The most recent scheduled time at or before `now`, unless it is older than `within`. In UTC."""
    found = [next(_backward(each, ZoneInfo(timezone), now), None) for each in schedules]
    times = [time for time in found if time is not None and now - time <= within]
    return max(times, default=None)


def upcoming(schedules: Sequence[Schedule], timezone: str, after: datetime, *, limit: int) -> list[datetime]:
    """The next scheduled times strictly after `after`, in UTC, `limit` of them or as many as will happen."""
    return list(islice(_merged(schedules, timezone, after), limit))


def between(schedules: Sequence[Schedule], timezone: str, start: datetime, end: datetime) -> list[datetime]:
    """Every scheduled time with start < time <= end, in UTC, in order, each once."""
    times: list[datetime] = []
    for time in _merged(schedules, timezone, start):
        if time > end:
            break
        times.append(time)
    return times


def due(jobs: Iterable[Job], now: datetime) -> tuple[Due, ...]:
    """Of every enabled job the most recent scheduled time, if it is not older than the job's start_deadline.

    Only the most recent one: of several that were missed, one is made up for (as Kubernetes does it). It is
    due again at every tick until its deadline; the execution's name is what makes it happen once.
    """
    found = []
    for job in jobs:
        if not job.enabled:
            continue
        deadline = timedelta(seconds=job.start_deadline)
        time = latest(job.schedules, job.timezone, now, within=deadline)
        if time is not None:
            found.append(Due(job.name, time, execution_name(job.name, time), time + deadline, now - time))
    return tuple(found)


def execution_name(job: str, scheduled_at: datetime) -> str:
    """`<job>-20261123T1800Z`. Raises ValueError for a time that is not a whole minute with a zone."""
    if scheduled_at.tzinfo is None or scheduled_at.second or scheduled_at.microsecond:
        raise ValueError(f"a scheduled time is a whole minute with a zone, not {scheduled_at.isoformat()}")
    at = scheduled_at.astimezone(UTC)
    return f"{job}-{at.year:04}{at:%m%dT%H%MZ}"


def parse_execution_name(name: str) -> tuple[str, datetime] | None:
    """The job and the scheduled time of a name made by `execution_name`; None for any other name."""
    match = re.fullmatch(r"([a-z][a-z0-9]*(?:-[a-z0-9]+)*)-([0-9]{8}T[0-9]{4}Z)", name)
    if match is None:
        return None
    try:
        return match[1], datetime.strptime(match[2], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
    except ValueError:  # the digits of no date
        return None


# --- the times of a schedule ------------------------------------------------------------------------------


def _merged(schedules: Sequence[Schedule], timezone: str, after: datetime) -> Iterator[datetime]:
    """The times of all the schedules after `after`, in order; a time that several have comes once."""
    zone = ZoneInfo(timezone)
    return (time for time, _ in groupby(heapq.merge(*(_forward(each, zone, after) for each in schedules))))


def _forward(schedule: Schedule, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    if schedule.every is not None:
        time = _EPOCH + (after - _EPOCH) // schedule.every * schedule.every
        while True:
            time += schedule.every
            yield time
    local = after.astimezone(zone)
    for naive in _local_times(schedule, _minute(local), backward=False):
        time_or_none = _instant(naive, zone)
        # Not later than `after`: the second time round of a repeated hour, which is already used up.
        if time_or_none is not None and time_or_none > after:
            yield time_or_none


def _backward(schedule: Schedule, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    if schedule.every is not None:
        time = _EPOCH + (now - _EPOCH) // schedule.every * schedule.every
        while True:
            yield time
            time -= schedule.every
    local = now.astimezone(zone)
    start = _minute(local) + _MINUTE
    if local.fold:
        # The second time round of a repeated hour. All of that hour has happened, also what the local clock
        # is yet to show again: look on from one shift later.
        start += now - local.replace(fold=0).astimezone(UTC)
    for naive in _local_times(schedule, start, backward=True):
        time_or_none = _instant(naive, zone)
        if time_or_none is not None and time_or_none <= now:
            yield time_or_none


def _local_times(schedule: Schedule, start: datetime, *, backward: bool) -> Iterator[datetime]:
    """The local times the cron matches, strictly before or after `start`, nearest first."""
    while True:
        for time in CronSim(schedule.cron, start, reverse=backward):
            if schedule.years is None or time.year in schedule.years:
                yield time
                continue
            if backward:
                year = max((y for y in schedule.years if y < time.year), default=None)
            else:
                year = min((y for y in schedule.years if y > time.year), default=None)
            if year is None:
                return
            # Straight to the next year that counts, or a rule for 2199 would be searched minute by minute.
            start = datetime(year + 1, 1, 1) if backward else datetime(year, 1, 1) - _MINUTE  # noqa: DTZ001 naive is the point
            break
        else:
            return


def _minute(local: datetime) -> datetime:
    return local.replace(second=0, microsecond=0, tzinfo=None, fold=0)


def _instant(naive: datetime, zone: ZoneInfo) -> datetime | None:
    """The instant in UTC at which the zone's clock first shows this time; None if it never does."""
    time = naive.replace(tzinfo=zone).astimezone(UTC)
    return time if time.astimezone(zone).replace(tzinfo=None) == naive else None


# --- reading expressions ----------------------------------------------------------------------------------


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
    return timedelta(minutes=count * _UNITS[unit])


def _eventbridge_cron(expression: str, fields: list[str]) -> Schedule:
    if len(fields) != 6:
        raise ScheduleRefused(
            f'"{expression}" has {len(fields)} fields',
            "EventBridge's cron has six: minute hour day-of-month month day-of-week year, as in cron(0 3 * * ? *)",
        )
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ScheduleRefused(
            f'"{expression}" has {"?" if day == "?" else "no ?"} in its two day fields',
            'EventBridge wants ? in exactly one of day-of-month and day-of-week, as in "cron(0 3 * * ? *)"',
        )
    day, weekday = ("*", _weekdays(weekday)) if day == "?" else (day, "*")
    cron = _checked([minute, hour, day, month, weekday])
    years = None if year == "*" else frozenset(_numbers(year, "year", _FIRST_YEAR, _LAST_YEAR, {}))
    schedule = Schedule(expression, cron, years)
    if years and not any(_local_times(schedule, datetime(min(years), 1, 1) - _MINUTE, backward=False)):  # noqa: DTZ001
        raise ScheduleRefused(f'"{expression}" never happens', "none of its years has that day")
    return schedule


def _checked(fields: list[str]) -> str:
    """Five fields, as cronsim takes them and as it would not misread them."""
    for field, (name, (span, right)) in zip(fields, _FIELDS.items(), strict=True):
        for term in field.split(","):
            step = term.partition("/")[2]
            if "W" in term and name == "day-of-month" and term != "LW":
                raise ScheduleRefused(
                    f'day-of-month "{term}": the nearest weekday can\'t be expressed', "write days, L or LW"
                )
            if "L" in term and name == "day-of-month" and term not in {"L", "LW"}:
                raise ScheduleRefused(
                    f'day-of-month "{term}": days counted from the end of the month can\'t be expressed',
                    "write days, L or LW",
                )
            if step.isdecimal() and int(step) >= span and span > 31:
                raise ScheduleRefused(
                    f'{name} "{term}": a step of {step} does not fit in {span}',
                    'a cron field starts anew each time round; for every 90 minutes write "rate(90 minutes)"',
                )
        try:
            # One field at a time, so that the message can show which.
            CronSim(" ".join(field if n == name else "*" for n in _FIELDS), datetime.min)
        except CronSimError:
            raise ScheduleRefused(f'{name} "{field}" is not understood', f"it may be {right}") from None
    cron = " ".join(fields)
    try:
        CronSim(cron, datetime.min)
    except CronSimError:
        raise ScheduleRefused(f'"{cron}" never happens', "no month of it has that day") from None
    return cron


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
        if match is None or match[3] == "0" or (match[1] == "*" and match[2]):
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
