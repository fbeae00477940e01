"""The times of one schedule as it is written, without its bounds and without a calendar. Pure.

Read on the naive local clock and only then given their instant (see `schedule.py`): later local times are later
instants.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from chalicelib.decide.expressions import local_times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from chalicelib.decide.expressions import Schedule

Step = Literal[1, -1]
"""Forward and backward in time."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)


def forward(schedule: Schedule, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The times strictly after `after`, in UTC, the next one first."""
    return ticks(schedule, after) if schedule.every is not None else _after(schedule, zone, after)


def backward(schedule: Schedule, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """The times up to `now`, itself included, in UTC, the newest first."""
    return ticks(schedule, now, -1) if schedule.every is not None else _until(schedule, zone, now)


def ticks(schedule: Schedule, moment: datetime, step: Step = 1) -> Iterator[datetime]:
    """A rate's times after `moment`, or those up to it, the newest first."""
    every, origin = schedule.every or _MINUTE, schedule.start or EPOCH
    tick = origin + (moment - origin) // every * every
    if step == 1:
        tick += every
    while True:
        yield tick
        tick += step * every


def _after(schedule: Schedule, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    local = after.astimezone(zone)
    for naive in local_times(schedule, _minute(local), backward=False):
        time = instant(naive, zone)
        # Not after `after`: the second time round of a repeated hour, whose times have all happened.
        if time is not None and time > after:
            yield time


def _until(schedule: Schedule, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    local = now.astimezone(zone)
    start = _minute(local) + _MINUTE
    if local.fold:
        # The second time round of a repeated hour. All of that hour has happened, also what the clock is yet
        # to show again: look back from one shift later.
        start += now - local.replace(fold=0).astimezone(UTC)
    for naive in local_times(schedule, start, backward=True):
        time = instant(naive, zone)
        if time is not None and time <= now:
            yield time


def _minute(local: datetime) -> datetime:
    return local.replace(second=0, microsecond=0, tzinfo=None, fold=0)


def instant(naive: datetime, zone: ZoneInfo) -> datetime | None:
    """The instant in UTC at which the zone's clock first shows this time; None if it never does."""
    time = naive.replace(tzinfo=zone).astimezone(UTC)
    return time if time.astimezone(zone).replace(tzinfo=None) == naive else None
