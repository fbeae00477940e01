"""What a deployment would change, read from where it truly is: the jobs file in the zip of the deployed functions."""

import difflib
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from chalicelib.config.jobs import JobsFile
from chalicelib.values import dataclass
from guardctl import drift, durations, outlook
from guardctl.differences import Differences, JobDifference, Written, compare
from guardctl.stage import Stage
from guardctl.wording import local, localised

_DAYS = 7
"""So far ahead it is looked who meets whom."""


@dataclass(frozen=True)
class Diff:
    """How this checkout differs from what is deployed."""

    deployed: bool
    jobs: tuple[str, ...]
    """The names of the jobs of this checkout."""
    found: Differences | None
    """None if nothing is deployed, or its jobs file can't be read by this checkout."""
    functions: tuple[str, ...]
    """What else differs of the functions."""
    text: tuple[str, ...]
    """The jobs files as a unified diff, a line each."""
    meets: tuple[str, ...] = ()
    """Where times change: who will meet a run that did not, or the other way round."""

    def __bool__(self) -> bool:
        return not self.deployed or bool(self.found or self.functions or self.text)


def read(stage: Stage, now: datetime) -> Diff:
    """Compare. Raises what `chalicelib.read.aws.reading` raises, and `Stop` without a Region."""
    _ = stage.region  # the first call: without credentials or a Region it says what to set
    here = stage.text
    there = drift.functions(stage)
    jobs = tuple(stage.file.jobs)
    if there.text is None:
        return Diff(False, jobs, None, (), ())
    found = compare(Written(there.jobs, there.text), Written(stage.file, here), now) if there.jobs else None
    lines = difflib.unified_diff(
        there.text.splitlines(),
        here.splitlines(),
        f"deployed/{stage.name}.toml",
        f"{stage.name}.toml",
        lineterm="",
    )
    meets = who_meets(stage, there.jobs, found, now) if there.jobs and found else ()
    return Diff(True, jobs, found, there.differences, tuple(lines), meets)


def who_meets(stage: Stage, before: JobsFile, found: Differences, now: datetime) -> tuple[str, ...]:
    """Asked only where times change, since it takes a call for each machine of those pools."""
    changed = {each.job for each in found.jobs if each.times}
    pools = {file.jobs[name].pool for file in (before, stage.file) for name in changed if name in file.jobs}
    if not pools:
        return ()
    asked = [job for job in stage.file.jobs.values() if job.pool in pools]
    took = durations.read(stage, asked, now)
    if took.refused:
        return (f"who meets whom is not known, since nobody could say how long runs take: {took.refused}",)
    until = now + timedelta(days=min(outlook.reach(file, now, _DAYS) for file in (before, stage.file)))
    return tuple(outlook.compared(before, stage.file, stage.region, now, until, took))


def words(stage: Stage, diff: Diff) -> Iterator[str]:
    """The differences as sentences, a line each; nothing if there is none."""
    if not diff.deployed:
        count = f"its {len(diff.jobs)} jobs are" if len(diff.jobs) > 1 else f"its job {diff.jobs[0]} is"
        yield f"stage {stage.name} is not deployed yet: {count} new"
        return
    if diff.found is not None:
        for job in diff.found.jobs:
            yield from _of_job(job)
        for line in diff.meets:
            yield localised(line, stage.zone)
        for setting in diff.found.stage:
            yield f"stage {stage.name}: {setting}"
        if diff.text and not diff.found:
            yield "the jobs file's text differs, and no setting does"
    for line in diff.functions:
        yield f"functions: {line}"


def _of_job(one: JobDifference) -> Iterator[str]:
    if one.what != "changed":
        yield f"{one.job}: {one.what}"
    for setting in one.settings:
        yield f"{one.job}: {setting}"
    for line in one.moved:
        yield f"{one.job}: {localised(line, ZoneInfo(one.zones[1]))}"
    if one.times is None:
        return
    for when, times, zone in zip(("before", "after"), one.times, one.zones, strict=True):
        if one.what == "changed" or times:
            shown = ", ".join(local(time, ZoneInfo(zone)) for time in times) or "none"
            called = "next times" if one.what == "new" else f"next times {when}"
            yield f"{one.job}: {called}: {shown}"
