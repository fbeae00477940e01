"""The minutes in which more start than the quotas take, by the trigger's own plan. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from chalicelib.config.jobs import JobsFile
from chalicelib.decide import pace
from chalicelib.decide.facts import span
from chalicelib.decide.pace import Planned
from chalicelib.values import dataclass

_MINUTE = timedelta(minutes=1)
_NAMES = 3
"""So many jobs are named, and the others counted."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """A minute (UTC) whose starts are not all sent in it."""

    minute: datetime
    starts: int
    late: tuple[tuple[str, timedelta], ...]
    """Who is sent after that minute, and how long after the scheduled time; the latest last."""
    held_back: tuple[str, ...]
    """Who never starts: the next time of the job, or its start_deadline, comes first."""

    @property
    def alike(self) -> object:
        """What makes it the same crowd on another day."""
        return self.starts, tuple(job for job, _ in self.late), self.held_back

    def told(self) -> str:
        """``250 start, 150 of them later than that, the last, job-250, 85 s late``."""
        parts = [f"{self.starts} start"]
        if self.late:
            job, late = self.late[-1]
            last = f"{job} {span(late)} late" if len(self.late) == 1 else f"the last, {job}, {span(late)} late"
            parts.append(f"{len(self.late)} of them after that minute: {last}")
        if self.held_back:
            more = len(self.held_back) - _NAMES
            others = f" and {more} more" if more > 0 else ""
            parts.append(f"held back: {', '.join(self.held_back[:_NAMES])}{others}")
        return ", ".join(parts)


def planned(file: JobsFile, region: str, since: datetime, until: datetime) -> tuple[Planned, ...]:
    """What the trigger sends in this time, in its order, as `chalicelib.trigger` plans it; renewals too."""
    curve = pace.curve(pace.quotas(region, file.quotas))
    return pace.plan(file.jobs.values(), curve, since, until, file.history_days, file.renewed).sends


def crowds(sends: Iterable[Planned]) -> Iterator[Crowd]:
    """The crowds among what is sent, in order."""
    starts = sorted((each for each in sends if not each.start.renewal), key=lambda each: each.start.scheduled_at)
    for minute, some in groupby(starts, key=lambda each: each.start.scheduled_at):
        due = sorted(some, key=lambda each: each.at)
        late = tuple(
            (each.start.job, each.at - minute) for each in due if not each.held_back and each.at - minute >= _MINUTE
        )
        held_back = tuple(each.start.job for each in due if each.held_back)
        if late or held_back:
            yield Crowd(minute, len(due), late, held_back)


def lines(found: Iterable[Crowd], zone: ZoneInfo) -> Iterator[str]:
    """A line for each crowd and time of day, however many days have it."""
    of: dict[object, list[Crowd]] = {}
    for crowd in found:
        of.setdefault((f"{crowd.minute.astimezone(zone):%H:%M}", crowd.alike), []).append(crowd)
    for alike in of.values():
        first = alike[0]
        more = f" (and at this time of {len(alike) - 1} more days)" if len(alike) > 1 else ""
        yield f"{first.minute.astimezone(zone):%Y-%m-%d %H:%M}{more}: {first.told()}"
