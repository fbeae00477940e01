"""What the jobs' schedules will do: the coming times, which of them will probably meet a run, and the crowds. Pure.

By the jobs file, as the trigger would go by it once it is deployed.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby

from chalicelib.config.jobs import Job, JobsFile
from chalicelib.decide import schedule
from chalicelib.decide.facts import stamp
from chalicelib.decide.pace import Planned
from chalicelib.decide.schedule import between
from chalicelib.decide.usual import Usual
from chalicelib.values import dataclass
from guardctl import crowds, days_off
from guardctl.crowds import Crowd
from guardctl.durations import Durations
from guardctl.meeting import Meeting, Pool, Start, how_long, known, meetings

_MOST = 100_000
"""So many times are reckoned at most, which takes seconds."""


@dataclass(frozen=True, slots=True)
class Coming:
    """A coming time of a job. Times are UTC."""

    job: str
    scheduled: datetime
    sent: datetime
    """When the trigger sends it: later than `scheduled` in a crowd."""
    marks: tuple[str, ...] = ()
    """What is special about it."""
    meeting: Meeting | None = None
    held_back: str = ""
    """Why it never starts."""


@dataclass(frozen=True)
class Outlook:
    """What is to come, from one moment to another (UTC)."""

    times: tuple[Coming, ...]
    """In the order in which they are sent."""
    crowds: tuple[Crowd, ...]
    """Of the whole stage."""

    def of(self, job: str) -> tuple[Coming, ...]:
        """The job's own times."""
        return self._by_job.get(job, ())

    @cached_property
    def _by_job(self) -> Mapping[str, tuple[Coming, ...]]:
        of: dict[str, list[Coming]] = {}
        for each in self.times:
            of.setdefault(each.job, []).append(each)
        return {job: tuple(its) for job, its in of.items()}


def outlook(
    file: JobsFile, jobs: Iterable[Job], region: str, since: datetime, until: datetime, found: Durations
) -> Outlook:
    """The times of these jobs, which are whole pools, among all that the stage sends."""
    sends = crowds.planned(file, region, since, until)
    asked = {job.name: job for job in jobs}
    mine = [(each, _start(each)) for each in sends if not each.start.renewal and each.start.job in asked]
    usual = known(found.usual)
    met: dict[Start, Meeting] = {}
    for pool in dict.fromkeys(job.pool for job in asked.values()):
        members = {job.name: job for job in file.members(pool)}
        starts = [start for each, start in mine if start.job in members and _holds(each)]
        met |= meetings(Pool(members, file.slots_of(pool), found.running.get(pool, ())), starts, usual)
    by_calendar = {
        (job.name, each.at): each
        for job in asked.values()
        if job.calendar and job.enabled
        for each in days_off.coming(job.schedules, job.timezone, since, until)
    }
    times = tuple(
        Coming(
            each.start.job,
            each.start.scheduled_at,
            each.at,
            tuple(_marks(asked[each.start.job], by_calendar.get((each.start.job, each.start.scheduled_at)))),
            met.get(start),
            each.held_back or "",
        )
        for each, start in mine
    )
    times += tuple(
        Coming(job, at, at, tuple(_marks(asked[job], each))) for (job, at), each in by_calendar.items() if each.skipped
    )
    return Outlook(tuple(sorted(times, key=lambda each: each.sent)), tuple(crowds.crowds(sends)))


def reach(file: JobsFile, since: datetime, days: int) -> int:
    """So many of these days are looked at, one at least: a stage of many minute jobs has 100,000 times in a day."""
    end = since + timedelta(days=1)
    a_day = sum(len(between(job.schedules, job.timezone, since, end)) for job in file.jobs.values() if job.enabled)
    return days if a_day * days <= _MOST else max(1, _MOST // a_day)


def _start(each: Planned) -> Start:
    return Start(each.at, each.start.job, each.start.scheduled_at)


def _holds(each: Planned) -> bool:
    return not each.held_back and not each.start.shadow


def _marks(job: Job, by_calendar: days_off.Coming | None) -> Iterator[str]:
    """What a person wants to know of a time at once."""
    if by_calendar and by_calendar.skipped:
        yield f"holiday, starts nothing: {by_calendar.holiday}"
        return
    if job.enabled == "shadow":
        yield "in shadow: starts nothing"
    if by_calendar and by_calendar.nominal != by_calendar.at:
        yield f"moved from {stamp(by_calendar.nominal)}: {by_calendar.holiday}"
    if by_calendar and (why := schedule.unknown(job.calendar, job.schedules, job.timezone, by_calendar.at)):
        yield why


def summary(times: Iterable[Coming], usual: Mapping[str, Usual]) -> Iterator[str]:
    """How many of a job's times meet which run: ``2 of 7 probably meet hourly-import (p95 52 min, from 30 runs)``."""
    every = sorted(times, key=lambda each: each.scheduled)
    meeting = [(each.job, each.meeting) for each in every if each.meeting]

    def kind(one: tuple[str, Meeting]) -> tuple[bool, tuple[str, ...], str]:
        return not one[1].probably, one[1].others, one[1].then

    for (doubtful, others, then), alike in groupby(sorted(meeting, key=kind), key=kind):
        some = [*alike]
        named = [f"{'its own run' if other == some[0][0] else other} ({how_long(usual[other])})" for other in others]
        verb = "may meet" if doubtful else "probably meet"
        yield f"{len(some)} of {len(every)} {verb} {' and '.join(named)} ({then})"


def compared(
    before: JobsFile, after: JobsFile, region: str, since: datetime, until: datetime, found: Durations
) -> list[str]:
    """What each job will meet until then, by one jobs file and by another; nothing of those that meet the same."""
    worlds = [_summaries(file, region, since, until, found) for file in (before, after)]
    said = []
    for name in dict.fromkeys(name for world in reversed(worlds) for name in world):
        old, new = (world.get(name, ()) for world in worlds)
        if old != new:
            said.append(
                f"{name}: until {stamp(until)}: {'; '.join(old) or 'meets nobody'} → {'; '.join(new) or 'meets nobody'}"
            )
    return said


def _summaries(
    file: JobsFile, region: str, since: datetime, until: datetime, found: Durations
) -> dict[str, tuple[str, ...]]:
    """By job."""
    seen = outlook(file, file.jobs.values(), region, since, until, found)
    usual = known(found.usual)
    return {name: tuple(summary(seen.of(name), usual)) for name in file.jobs}
