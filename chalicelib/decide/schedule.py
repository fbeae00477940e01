"""What is due, and when: pure, so that a test needs no clock and no AWS.

A schedule is a set of *local* times. Each is read on the naive local clock and only then given its instant,
which makes daylight saving what EventBridge Scheduler documents (user guide, "Daylight savings time"): a local
time that does not exist does not happen, a repeated one happens once, the first time round. (cronsim's own
rules for zones are Debian cron's; it is given none.) Mapped so, later local times are later instants, and the
times of a schedule come out in order.

A schedule may be bound: from its `start` to its `end` it is in effect, and a rate counts from its start. Bounds are
part of the schedule, so that whoever asks for its times can't forget them.

A calendar may leave times out, or move them (`business_days.py`); that, too, is part of the schedule. What is left out
is in no answer but `left_out`: nothing starts then.

The expressions themselves are read in `expressions.py`.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice, takewhile
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from chalicelib.decide import business_days, occurrences
from chalicelib.decide.cron_fields import ScheduleRefused
from chalicelib.decide.expressions import Schedule, parse_schedule
from chalicelib.decide.occurrences import EPOCH, instant
from chalicelib.decide.policy import Enabled
from chalicelib.names import renewal_name, scheduled_name
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.decide.calendars import Calendar, DayRule

__all__ = [
    "Due",
    "Schedule",
    "ScheduleRefused",
    "between",
    "bounded",
    "due",
    "happens",
    "instant",
    "is_renewal_day",
    "is_zone",
    "latest",
    "left_out",
    "nominal",
    "parse_schedule",
    "renewal_time",
    "renewals",
    "ruled",
    "unknown",
    "upcoming",
]

_TICK = timedelta(microseconds=1)


class Scheduled(Protocol):
    """What of a job decides when it is due."""

    @property
    def name(self) -> str:
        """The job's name."""

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """None at all: a job that is only started by hand."""

    @property
    def timezone(self) -> str:
        """Of the schedules: a name of the IANA database."""

    @property
    def enabled(self) -> Enabled:
        """Whether the schedules are followed; in shadow their times are due, too, and start nothing."""

    @property
    def start_deadline(self) -> int:
        """Seconds after a scheduled time until which a start is made up for."""


@dataclass(frozen=True, slots=True)
class Due:
    """A scheduled time that should have its guard execution by now. Times are UTC."""

    job: str
    scheduled_at: datetime
    deadline: datetime
    renewal: bool = False
    """Not a start: a run without a task, so that the newest run number of a slot is not forgotten."""
    slot: int = 1
    """Of a renewal."""
    shadow: bool = False
    """It starts nothing, and says what it would have done."""

    @property
    def name(self) -> str:
        """The guard execution's name: one scheduled time has exactly one."""
        if self.renewal:
            return renewal_name(self.job, self.scheduled_at, self.slot)
        return scheduled_name(self.job, self.scheduled_at)


def latest(schedules: Sequence[Schedule], timezone: str, now: datetime, *, within: timedelta) -> datetime | None:
    """The most recent scheduled time at or before `now`, unless it is older than `within`. In UTC."""
    found = [next(_backward(each, ZoneInfo(timezone), now, now - within), None) for each in schedules]
    times = [time for time in found if time is not None and now - time <= within]
    return max(times, default=None)


def upcoming(schedules: Sequence[Schedule], timezone: str, after: datetime, *, limit: int) -> list[datetime]:
    """The next scheduled times strictly after `after`, in UTC: `limit` of them, or as many as will happen."""
    return list(islice(_merged(schedules, timezone, after), limit))


def between(
    schedules: Sequence[Schedule], timezone: str, start: datetime, end: datetime, *, limit: int | None = None
) -> list[datetime]:
    """Every scheduled time with start < time <= end, in UTC, in order, each once; the first `limit` of them."""
    return list(islice(takewhile(lambda time: time <= end, _merged(schedules, timezone, start, end)), limit))


def how_many(schedules: Sequence[Schedule], timezone: str, start: datetime, end: datetime, *, most: int) -> int:
    """How many times `between` has, `most` at most; of a rate they need not be found to be counted."""
    only = schedules[0] if len(schedules) == 1 else None
    if only and only.every and only.start is None and only.end is None and only.rule is None:
        return min(most, max(0, (end - EPOCH) // only.every - (start - EPOCH) // only.every))
    return len(between(schedules, timezone, start, end, limit=most))


def due(jobs: Iterable[Scheduled], now: datetime) -> tuple[Due, ...]:
    """Of every enabled job the most recent scheduled time, if it is not older than the job's start_deadline.

    Only the most recent: of several that were missed, one is made up for (Kubernetes' rule). It is due again
    at every tick until its deadline; the execution's name is what makes it happen once. `now` has a zone.
    """
    found = []
    for job in jobs:
        if not job.enabled:
            continue
        deadline = timedelta(seconds=job.start_deadline)
        time = latest(job.schedules, job.timezone, now, within=deadline)
        if time is not None:
            found.append(Due(job.name, time, time + deadline, shadow=job.enabled == "shadow"))
    return tuple(found)


def renewals(pools: Iterable[tuple[str, int]], now: datetime, history_days: int) -> tuple[Due, ...]:
    """On every renewal day (UTC), one renewal for every slot of every pool: a job of it, and how many slots it has.

    Step Functions forgets a closed execution after `history_days` (its quotas), and the lock is made of names.
    From seven minutes past midnight, where hardly any schedule is in its way, until the day is over.
    """
    today = now.astimezone(UTC)
    at = renewal_time(today)
    if today < at or not is_renewal_day(today, history_days):
        return ()
    deadline = at + timedelta(days=1)
    return tuple(
        Due(job, at, deadline, renewal=True, slot=slot) for job, slots in pools for slot in range(1, slots + 1)
    )


def renewal_time(day: datetime) -> datetime:
    """When a renewal day's renewals are due (UTC)."""
    return day.astimezone(UTC).replace(hour=0, minute=7, second=0, microsecond=0)


def is_renewal_day(day: datetime, history_days: int) -> bool:
    """Whether the run numbers are renewed on this day (UTC): three times before a start would be refused for its rest.

    Counted from 1970, so that nothing has to be remembered: every 26 days if the history is kept for 90, every 6 if
    it is kept for 30.
    """
    return (day.astimezone(UTC) - EPOCH).days % ((history_days - 10) // 3) == 0


def left_out(
    schedules: Sequence[Schedule], timezone: str, start: datetime, end: datetime
) -> list[tuple[datetime, str]]:
    """The times with start < time <= end that a holiday leaves out (`on_holiday = "skip"`), and the holiday's name.

    They have their guard execution as any other, which says so.
    """
    zone, found = ZoneInfo(timezone), {}
    for each in schedules:
        if (rule := each.rule) is None or rule.on_holiday != "skip":
            continue
        first = start if each.start is None else max(start, each.start - _TICK)
        last = end if each.end is None else min(end, each.end)
        for at in business_days.on_days(each, zone, first, 1, rule.skips, last):
            found[at] = rule.calendar.holiday(at.astimezone(zone).date())
    return sorted(found.items())


def nominal(schedules: Sequence[Schedule], timezone: str, at: datetime) -> datetime | None:
    """Of a scheduled time that a holiday has moved (UTC): when it would have been; None for one that was not moved.

    Of several that fall together it is the nearest, and a time that is there anyway was not moved.
    """
    zone = ZoneInfo(timezone)
    rules = [(each, each.rule) for each in schedules if each.rule is not None and each.rule.step]
    found = [time for each, rule in rules if (time := business_days.nominal(each, rule, zone, at))]
    nearest = min(found, key=lambda time: abs(at - time), default=at)
    return None if nearest == at else nearest


def unknown(calendar: Calendar | None, schedules: Sequence[Schedule], timezone: str, at: datetime) -> str:
    """Why nobody knows whether a time's day is a holiday: the calendar's data has not that year; empty if it has.

    Such a time is treated by its weekday and what the jobs file says of the day; its business date may be wrong, too.
    """
    if calendar is None or calendar.span is None:
        return ""
    zone = ZoneInfo(timezone)
    days = {(time or at).astimezone(zone).date() for time in (at, nominal(schedules, timezone, at))}
    first, last = calendar.span
    first_unknown = min((day for day in days if not first <= day <= last), default=None)
    if first_unknown is None:
        return ""
    known = f"the data of calendar {calendar.name} is of {first} to {last}"
    return f"nobody knows whether {first_unknown} is a holiday: {known}"


def bounded(schedules: Iterable[Schedule], start: datetime | None, end: datetime | None) -> tuple[Schedule, ...]:
    """The schedules, in effect from `start` to `end` only, both included (UTC; None: no bound)."""
    return tuple(replace(each, start=start, end=end) for each in schedules)


def ruled(schedules: Iterable[Schedule], rule: DayRule | None) -> tuple[Schedule, ...]:
    """The schedules, by the rule of a calendar."""
    return tuple(replace(each, rule=rule) for each in schedules)


def happens(schedule: Schedule, timezone: str) -> bool:
    """Whether a schedule has a time at all, between its bounds and on the zone's clock, be it in the past."""
    zone, days = ZoneInfo(timezone), schedule.rule.calendar.excepted if schedule.rule else ()
    # A search for a business day ends after twenty years: from 1970 on it would not come to these.
    begins = [datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=2) for day in days if len(day) > 5]
    return any(next(_forward(schedule, zone, each), None) for each in (*begins, EPOCH))


def is_zone(word: str) -> bool:
    """Whether the IANA database has it, and so Lambda has."""
    # Some systems have these beside the database; Lambda has not.
    if word.startswith(("posix", "right/", "localtime")):
        return False
    try:
        ZoneInfo(word)
    except (KeyError, ValueError, OSError):  # unknown; not a name; a directory of zones
        return False
    return True


def _merged(
    schedules: Sequence[Schedule], timezone: str, after: datetime, end: datetime | None = None
) -> Iterator[datetime]:
    """The times of all the schedules after `after`, in order; a time that several have comes once."""
    zone = ZoneInfo(timezone)
    if len(schedules) == 1:
        return _forward(schedules[0], zone, after, end)
    return (time for time, _ in groupby(heapq.merge(*(_forward(each, zone, after, end) for each in schedules))))


def _forward(schedule: Schedule, zone: ZoneInfo, after: datetime, end: datetime | None = None) -> Iterator[datetime]:
    if schedule.start is not None:
        after = max(after, schedule.start - _TICK)
    if schedule.rule is None:
        times = occurrences.forward(schedule, zone, after)
    else:
        times = business_days.after(schedule, schedule.rule, zone, after, end)
    last = schedule.end
    return times if last is None else takewhile(lambda time: time <= last, times)


def _backward(schedule: Schedule, zone: ZoneInfo, now: datetime, start: datetime | None = None) -> Iterator[datetime]:
    if schedule.end is not None:
        now = min(now, schedule.end)
    if schedule.rule is None:
        times = occurrences.backward(schedule, zone, now)
    else:
        times = business_days.until(schedule, schedule.rule, zone, now, start)
    first = schedule.start
    return times if first is None else takewhile(lambda time: time >= first, times)
