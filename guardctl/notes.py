"""What `guardctl validate` and `deploy --dry-run` explain: what is right as written, and may be read otherwise.

No fault and no warning, so `--strict` takes them. Pure.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

from chalicelib.config.jobs import Fault, Job, JobsFile
from chalicelib.decide.deadlines import is_watched
from chalicelib.decide.schedule import Schedule, between, upcoming
from guardctl.wording import listed

_AN_HOUR = timedelta(hours=1)
_MANY = 24
"""Scheduled times that have one moment in common: an hourly job's."""
_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh"})
_FIXED = {"EST": "UTC-5", "MST": "UTC-7", "HST": "UTC-10"}
"""Zones of the IANA database that are called like an abbreviation, and have no daylight saving."""


def notes(jobs: JobsFile, file: str, now: datetime) -> list[Fault]:
    """Everything there is to explain; `file` is what the notes call it. `now` has a zone."""
    return [
        *_rates(jobs, file, now),
        *_over(jobs, file, now),
        *_zones(jobs, file),
        *_promises(jobs, file, now),
        *(note for job in jobs.jobs.values() for note in _words(job, file)),
    ]


def _rates(jobs: JobsFile, file: str, now: datetime) -> Iterator[Fault]:
    """A rate counts from 1970, and EventBridge's from its creation: of one of days the time of day is another."""
    by_rate: dict[tuple[Schedule, str], list[str]] = {}
    for job in jobs.jobs.values():
        for schedule in job.schedules:
            if job.enabled and schedule.start is None and schedule.every is not None and schedule.every > _AN_HOUR:
                by_rate.setdefault((schedule, job.timezone), []).append(job.name)
    for (schedule, timezone), (first, *others) in by_rate.items():
        for time in upcoming([schedule], timezone, now, limit=1):
            local = "" if timezone == "UTC" else f", which is {time.astimezone(ZoneInfo(timezone)):%H:%M} in {timezone}"
            wrong = (
                f'"{schedule.expression}" counts from 1970-01-01T00:00Z, not from its deployment: '
                f"next at {time:%Y-%m-%dT%H:%MZ}{local}{_also(others)}"
            )
            right = "fine if any time of day will do; else write start, from which it counts then, or cron(...)"
            yield Fault(file, f"jobs.{first}.schedule", wrong, right)


def _over(jobs: JobsFile, file: str, now: datetime) -> Iterator[Fault]:
    names = [
        job.name
        for job in jobs.jobs.values()
        if job.enabled and job.schedules and not upcoming(job.schedules, job.timezone, now, limit=1)
    ]
    for name in names:
        right = "fine if it is kept for starts by hand; else take the job out"
        yield Fault(file, f"jobs.{name}.schedule", "is over: no time of it is to come", right)


def _zones(jobs: JobsFile, file: str) -> Iterator[Fault]:
    by_zone: dict[str, list[str]] = {}
    for job in jobs.jobs.values():
        if job.schedules:
            by_zone.setdefault(job.timezone, []).append(job.name)
    for zone, (first, *others) in by_zone.items():
        at = f"jobs.{first}.timezone"
        if match := re.fullmatch(r"Etc/GMT([+-])([0-9]+)", zone):
            means = f"UTC{'-' if match[1] == '+' else '+'}{match[2]}"
            if match[2] != "0":
                wrong = f'"{zone}" means {means}: its sign is the other way round{_also(others)}'
                yield Fault(file, at, wrong, "fine if that is meant")
        elif zone in _FIXED:
            wrong = f'"{zone}" is {_FIXED[zone]} all year, without daylight saving{_also(others)}'
            yield Fault(file, at, wrong, "fine if that is meant; else write a place, such as America/New_York")


def _promises(jobs: JobsFile, file: str, now: datetime) -> Iterator[Fault]:
    """What is late is told to nobody, and a time of day that many scheduled times have in common."""
    promised = [job for job in jobs.jobs.values() if is_watched(job)]
    if promised and jobs.alerts is None:
        first, *others = promised
        key = "expect_success_by" if first.expect_success_by else "warn_after"
        wrong = f"without [alerts] nobody is told{_also([job.name for job in others])}"
        yield Fault(file, f"jobs.{first.name}.{key}", wrong, "fine if the metric and the log line will do")
    for job in promised:
        times = between(job.schedules, job.timezone, now, now + timedelta(days=1), limit=_MANY + 1)
        if job.expect_success_by and len(times) > _MANY:
            wrong = f"more than {_MANY} scheduled times a day are looked up at {job.expect_success_by}, each by itself"
            yield Fault(
                file, f"jobs.{job.name}.expect_success_by", wrong, "fine if that is meant; else write warn_after"
            )


def _words(job: Job, file: str) -> Iterator[Fault]:
    """Words of a command that somebody may expect to be filled in by a shell, or by EventBridge Scheduler."""
    words = job.ecs.command or ()
    for n, word in enumerate(words):
        at = f"jobs.{job.name}.ecs.command[{n}]"
        if (found := re.search(r"\$[A-Za-z_]\w*|\$\(", word)) and not _for_a_shell(words[:n]):
            variable = found[0] if found[0] != "$(" else "$(...)"
            wrong = f'"{variable}" is given to the program as it stands: ECS runs no shell'
            right = 'fine if the image\'s entry point is a shell; else write ["sh", "-c", "…"], or the value itself'
            yield Fault(file, at, wrong, right)
        elif found := re.search(r"<aws\.scheduler\.([a-z-]+)>", word):
            right = "write {scheduled_at}" if found[1] == "scheduled-time" else "the run's BATCH_… variables may serve"
            yield Fault(file, at, f'"{found[0]}" is filled in by EventBridge Scheduler alone', right)


def _for_a_shell(before: Sequence[str]) -> bool:
    """Whether the word behind these is a script for a shell, or an argument of one."""
    programs = [n for n, word in enumerate(before) if PurePosixPath(word).name in _SHELLS]
    return any(re.fullmatch("-[a-z]*c", word) for n in programs for word in before[n + 1 :])


def _also(others: Sequence[str]) -> str:
    """Who else has the same."""
    return f" (also of {listed(others)})" if others else ""
