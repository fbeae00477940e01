"""By when a job should have succeeded: each of its scheduled times has a moment at which it is looked up, once. Pure.

The moments follow from the jobs file alone. So two ticks agree on them, and a job that is due once a month has them
like one that is due every minute: nothing looks back.

When each is looked up is a plan (as `pace` is one for the starts): one after the other, no faster than a fifth of what
comes into DescribeExecution's bucket.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal, Protocol
from zoneinfo import ZoneInfo

from chalicelib.decide.schedule import Scheduled, between, latest
from chalicelib.names import scheduled_name
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.decide.pace import Bucket
    from chalicelib.decide.policy import Overlap

Key = Literal["expect_success_by", "warn_after"]

LOOK_BACK = timedelta(minutes=10)
"""What a tick missed, those of the next minutes make up for."""

_SHARE = 5
"""One in so many of the calls that DescribeExecution lets through: the rest is the guard's, and people's."""

_CALLS, _QUEUED = 2, 1
"""The guard execution and its run; with a queue the start that waited may lie between them."""

_AN_HOUR = timedelta(hours=1)
_A_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


class Promised(Scheduled, Protocol):
    """What of a job decides when its scheduled times are looked up."""

    @property
    def expect_success_by(self) -> str | None:
        """A time of day in the job's zone, ``06:00``."""

    @property
    def warn_after(self) -> int | None:
        """Seconds after the scheduled time, whole minutes."""

    @property
    def overlap(self) -> Overlap:
        """Only a start that queues has another between it and its run."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a scheduled time should have had a run that succeeded. Times are UTC."""

    job: str
    scheduled_at: datetime
    key: Key
    """Which of the job's keys asks for it."""
    at: datetime
    calls: int = _CALLS
    """What looking it up takes, as a rule."""

    @property
    def name(self) -> str:
        """The name of the guard execution that this scheduled time has."""
        return scheduled_name(self.job, self.scheduled_at)


@dataclass(frozen=True, slots=True)
class Look:
    """A moment's place in the plan."""

    moment: Moment
    at: datetime
    """The instant at which it is looked up (UTC)."""


def is_watched(job: Promised) -> bool:
    """Whether anything is expected of the job's schedule. Of one that rests, or is in shadow, nothing is."""
    return job.enabled is True and bool(job.schedules) and (job.expect_success_by or job.warn_after) is not None


def moments(jobs: Iterable[Promised], since: datetime, until: datetime) -> tuple[Moment, ...]:
    """Every moment with since < moment <= until, in order; alike in the order of the jobs file."""
    found = [moment for job in jobs if is_watched(job) for moment in _moments(job, since, until)]
    return tuple(sorted(found, key=lambda moment: moment.at))


def plan(jobs: Iterable[Promised], quota: Bucket, since: datetime, until: datetime) -> tuple[Look, ...]:
    """Every look with since <= instant < until, in order.

    `quota`: DescribeExecution's. The line is played anew from a whole hour on, one to two hours before `since`, as if
    it had been empty then: ticks agree on it unless more moments come than the share takes, for over an hour.
    """
    gap = pause(quota)
    free = begin = since.replace(minute=0, second=0, microsecond=0) - _AN_HOUR
    looks = []
    for moment in moments(jobs, begin - _TICK, until - _TICK):
        at = max(free, moment.at)
        if at >= until:
            break
        free = at + gap * moment.calls
        if at >= since:
            looks.append(Look(moment, at))
    return tuple(looks)


def pause(quota: Bucket) -> timedelta:
    """How long to wait after each call."""
    return timedelta(microseconds=math.ceil(1_000_000 * _SHARE / quota.refill))


def promised(job: Promised, scheduled_at: datetime) -> datetime | None:
    """The first moment that this scheduled time of the job has (UTC); None if nothing is expected of it."""
    found = []
    if job.warn_after is not None:
        found.append(scheduled_at + timedelta(seconds=job.warn_after))
    if job.expect_success_by is not None:
        by, zone = time.fromisoformat(job.expect_success_by), ZoneInfo(job.timezone)
        day = scheduled_at.astimezone(zone).date() - _A_DAY
        found.append(next(at for n in range(4) if (at := _on(day + n * _A_DAY, by, zone)) > scheduled_at))
    return min(found, default=None) if is_watched(job) else None


def last_promised(job: Promised, now: datetime, within: timedelta) -> datetime | None:
    """The newest scheduled time that should have succeeded by `now` (UTC), unless it is older than `within`."""
    ends = []
    if job.warn_after is not None:
        ends.append(now - timedelta(seconds=job.warn_after))
    if job.expect_success_by is not None:
        by, zone = time.fromisoformat(job.expect_success_by), ZoneInfo(job.timezone)
        day = now.astimezone(zone).date() + _A_DAY
        ends.append(next(at for n in range(4) if (at := _on(day - n * _A_DAY, by, zone)) <= now) - _TICK)
    if not (ends and is_watched(job)):
        return None
    last = max(ends)
    return latest(job.schedules, job.timezone, last, within=within - (now - last))


def _moments(job: Promised, since: datetime, until: datetime) -> Iterator[Moment]:
    calls = _CALLS + (_QUEUED if job.overlap == "queue" else 0)
    if job.warn_after is not None:
        wait = timedelta(seconds=job.warn_after)
        for at in between(job.schedules, job.timezone, since - wait, until - wait):
            yield Moment(job.name, at, "warn_after", at + wait, calls)
    if job.expect_success_by is not None:
        by, zone = time.fromisoformat(job.expect_success_by), ZoneInfo(job.timezone)
        day = since.astimezone(zone).date() - _A_DAY
        before = _on(day - _A_DAY, by, zone)
        while (moment := _on(day, by, zone)) <= until:
            if since < moment and before < moment:  # a zone that leaves out a day has one moment on two of its dates
                for at in between(job.schedules, job.timezone, before - _TICK, moment - _TICK):
                    yield Moment(job.name, at, "expect_success_by", moment, calls)
            before, day = moment, day + _A_DAY


def _on(day: date, by: time, zone: ZoneInfo) -> datetime:
    """When the zone's clock shows that time on that day, in UTC: the first time, if it is shown twice.

    One that daylight saving skips is read with the offset before (RFC 5545, section 3.3.5): to skip the promise as well
    would be to tell nobody.
    """
    return datetime.combine(day, by, zone).astimezone(UTC)
