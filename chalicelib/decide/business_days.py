"""The times of a schedule under the rule of its calendar: left out, or moved to a business day. Pure.

A time that moves keeps its time of day, on the local clock, and gets its instant on the day to which it moved: so what
daylight saving skips is what the clock of *that* day skips. Times that fall together are one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from chalicelib.decide.calendars import seek
from chalicelib.decide.expressions import Schedule, local_times
from chalicelib.decide.occurrences import Step, backward, forward, instant, ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from zoneinfo import ZoneInfo

    from chalicelib.decide.calendars import DayRule

_DAY, _MINUTE, _TICK = timedelta(days=1), timedelta(minutes=1), timedelta(microseconds=1)
_IN_VAIN = timedelta(days=28 * 366)
"""A schedule that for so long never falls on a day that is wanted never will: dates fall on the same weekdays again."""


def after(
    schedule: Schedule, rule: DayRule, zone: ZoneInfo, moment: datetime, end: datetime | None
) -> Iterator[datetime]:
    """The times after `moment` at which it starts, in UTC; what is later than `end` need not be found."""
    if not _moves(schedule, rule):
        return on_days(schedule, zone, moment, 1, rule.runs_on, end)
    day = moment.astimezone(zone).date() - _DAY
    if rule.step == 1:  # what moved to that day, or a later one, may come from the days before
        day = rule.calendar.nearest(day - _DAY, -1) + _DAY
    return (each for each in _moved(schedule, rule, zone, datetime.combine(day, time()) - _MINUTE, 1) if each > moment)


def until(
    schedule: Schedule, rule: DayRule, zone: ZoneInfo, now: datetime, start: datetime | None
) -> Iterator[datetime]:
    """Those up to `now`, the newest first; what is earlier than `start` need not be found."""
    if not _moves(schedule, rule):
        return on_days(schedule, zone, now, -1, rule.runs_on, start)
    day = now.astimezone(zone).date() + 2 * _DAY
    if rule.step == -1:  # what moved to the day before, or an earlier one, may come from the days after
        day = rule.calendar.nearest(day, 1)
    return (each for each in _moved(schedule, rule, zone, datetime.combine(day, time()), -1) if each <= now)


def on_days(
    schedule: Schedule,
    zone: ZoneInfo,
    moment: datetime,
    step: Step,
    wanted: Callable[[date], bool],
    bound: datetime | None = None,
) -> Iterator[datetime]:
    """The times on the days that are wanted, after `moment` (step 1) or up to it (step -1), the nearest first.

    From a day that is not wanted it goes straight to the next one that is: most schedules are due more than once a day.
    """
    last = None
    while True:
        for each in (forward if step == 1 else backward)(schedule, zone, moment):
            if bound is not None and step * (each - bound) > timedelta(0):
                return
            day = each.astimezone(zone).date()
            if wanted(day):
                last = each
                yield each
                continue
            last = last or each
            next_day = seek(wanted, day, step)
            if next_day is None or abs(each - last) > _IN_VAIN:
                return
            # A day's first moment, or its last; where the clock skips midnight, the moment at which it does.
            edge = _in_utc(datetime.combine(next_day + (step == -1) * _DAY, time()), zone) - _TICK
            moment = max(edge, each) if step == 1 else min(edge, each - _TICK)  # the clock may go back
            break
        else:
            return


def nominal(schedule: Schedule, rule: DayRule, zone: ZoneInfo, at: datetime) -> datetime | None:
    """The time as the schedule has it that starts at `at` (UTC): itself, or the nearest one that moves there."""
    local = at.astimezone(zone).replace(tzinfo=None, fold=0)
    day, clock = local.date(), local.time()
    while True:
        written = datetime.combine(day, clock)
        if next(_written(schedule, zone, written - _MINUTE, 1), None) == written:
            return at if written == local else _in_utc(written, zone)
        day -= rule.step * _DAY
        if not rule.step or rule.calendar.nearest(day, rule.step) != local.date():
            return None


def _moves(schedule: Schedule, rule: DayRule) -> bool:
    """Whether a time may move to where the schedule has none: those of every day fall together with the day's own."""
    return rule.step != 0 and not (schedule.cron.endswith(" * * *") and schedule.years is None)


def _moved(schedule: Schedule, rule: DayRule, zone: ZoneInfo, naive: datetime, step: Step) -> Iterator[datetime]:
    """The moved times of what is written for local times strictly after `naive` (step 1) or before it (step -1).

    Days that move to the same day follow each other, so their times are sorted together, and nothing else.
    """

    def target(each: datetime) -> date:
        return rule.calendar.nearest(each.date(), rule.step)

    for day, together in groupby(_written(schedule, zone, naive, step), key=target):
        if not rule.calendar.is_business_day(day):
            return  # for twenty years there is none
        for local in sorted({datetime.combine(day, each.time()) for each in together}, reverse=step == -1):
            if moved := instant(local, zone):
                yield moved


def _written(schedule: Schedule, zone: ZoneInfo, naive: datetime, step: Step) -> Iterator[datetime]:
    """Its local times as it is written, within its bounds.

    Naive, and one that the clock skips among them: it may move to a day on which the clock shows it.
    """
    times: Iterator[datetime]
    if schedule.every is not None:
        moment = _in_utc(naive, zone)
        found = ticks(schedule, moment if step == 1 else moment - _TICK, step)
        times = (each.astimezone(zone).replace(tzinfo=None) for each in found)  # with its fold: it may be on its day
    else:
        times = local_times(schedule, naive, backward=step == -1)
    first, last = schedule.start, schedule.end
    for each in times:
        at = _in_utc(each, zone)
        if (first is None or first <= at) and (last is None or at <= last):
            yield each
        elif (last is not None and at > last) if step == 1 else (first is not None and at < first):
            return


def _in_utc(naive: datetime, zone: ZoneInfo) -> datetime:
    return naive.replace(tzinfo=zone).astimezone(UTC)
