"""What needs a person in a job's row, and the command that looks into it. Pure."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from chalicelib.names import parse_guard_name
from chalicelib.values import dataclass
from guardctl.chart import Row
from guardctl.ledger import NEEDS_A_PERSON, Entry

_ITS_OWN = re.compile(r"arn:\S+|run-\d+|\d{4}-\d\d-\d\dT[\d:]+Z|task [0-9a-f]{32}")
"""What two reasons that are one may differ in: which task, which run, and when."""


@dataclass(frozen=True)
class Problem:
    """What needs a person: the newest of alike entries of a job, and how many there were."""

    entry: Entry
    times: int
    first: datetime
    """The scheduled time of the oldest (UTC)."""
    again: datetime | None = None
    """Of the next that succeeded since, if one has, the scheduled time (UTC)."""

    @property
    def told(self) -> str:
        """What became of it; ``late, running`` where only the clock makes it a problem."""
        outcome = self.entry.outcome
        return outcome if outcome in NEEDS_A_PERSON else f"late, {outcome}"

    def words(self, zone: ZoneInfo) -> tuple[str, ...]:
        """What to type next, without `guardctl` and the stage; a time is told by the zone's clock."""
        job, run = self.entry.job, self.entry.run
        if run and self.entry.outcome in {"failed", "timed out"}:
            return "logs", job, run, *(("--slot", str(self.entry.slot)) if self.entry.slot > 1 else ())
        if self.entry.outcome == "running":
            return "status", job
        said = parse_guard_name(self.entry.guard_execution or "")
        if said and said.kind == "by hand":  # no scheduled time leads to it
            return ("why", job, run) if run else ("history", job)
        there = self.entry.scheduled.astimezone(zone)
        return "why", job, there.isoformat(timespec="minutes").replace("+00:00", "Z")


def gathered(rows: Iterable[Row]) -> list[Problem]:
    """The problems of many jobs: first of those that have not succeeded since; then the newest first.

    Those of a job with one outcome and one reason are one, whatever lies between them: else a job that fails every
    other minute would hide all others.
    """
    found: dict[tuple[str, str, str], Problem] = {}
    for row in rows:
        ran = [entry.scheduled for entry in row.entries if entry.outcome == "ran"]
        for entry in row.entries:
            if entry.needs_a_person:
                key = row.job, entry.outcome, _ITS_OWN.sub("…", gist(entry))
                before, since = found.get(key), bisect_right(ran, entry.scheduled)
                found[key] = Problem(
                    entry,
                    times=before.times + 1 if before else 1,
                    first=before.first if before else entry.scheduled,
                    again=ran[since] if since < len(ran) else None,
                )
    return sorted(found.values(), key=lambda each: (each.again is None, each.entry.scheduled), reverse=True)


def gist(entry: Entry) -> str:
    """The reason, without what is its own each time; of skips who was in the way, and not for how long."""
    if entry.outcome == "skipped":
        return entry.reason.partition(" ")[0]
    return _ITS_OWN.sub("…", entry.reason)
