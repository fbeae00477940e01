"""Two jobs files compared, setting by setting, in the words of the jobs file. Pure.

What is compared are the frozen values, field by field, whatever fields there are: a new key is compared without being
named here. The file's text is asked only how its author wrote a duration.
"""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from chalicelib.config.jobs import Job, JobsFile
from chalicelib.config.tables import seconds_of
from chalicelib.decide import schedule
from chalicelib.decide.calendars import WEEKDAYS, Calendar, read
from chalicelib.decide.facts import stamp
from chalicelib.read.record import digest
from chalicelib.values import dataclass
from guardctl import days_off

TIMES = 5
"""So many next times are shown before and after."""

_AROUND = timedelta(days=31)
"""No calendar moves a time so far."""

_TABLES = {"alerts": "alerts", "timezone": "defaults.timezone"}
"""Field of the whole file → where it is written, if not in [stage]."""
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Setting:
    """A key that differs, its values as the jobs file would write them; None where it has none."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"{self.key} {self.before or 'none'} → {self.after or 'none'}"


@dataclass(frozen=True, slots=True)
class JobDifference:
    job: str
    what: Literal["new", "removed", "changed"]
    settings: tuple[Setting, ...] = ()
    times: tuple[tuple[datetime, ...], tuple[datetime, ...]] | None = None
    """The next times (UTC) before and after, if they differ."""
    zones: tuple[str, str] = ("UTC", "UTC")
    """The job's zone before and after."""
    moved: tuple[str, ...] = ()
    """What its calendar moves over the present: it would start twice, or not at all."""


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs of the stage's own tables, and of each job."""

    stage: tuple[Setting, ...]
    jobs: tuple[JobDifference, ...]

    def __bool__(self) -> bool:
        return bool(self.stage or self.jobs)


@dataclass(frozen=True, slots=True)
class Written:
    """A jobs file, read, and its text."""

    file: JobsFile
    text: str

    def of(self, job: str) -> dict[str, Any]:
        """The job's table as it is written, on top of [defaults]."""
        document = tomllib.loads(self.text.removeprefix("\ufeff"))
        tables = [document.get("defaults", {}), document.get("jobs", {}).get(job, {})]
        whole: dict[str, Any] = {key: value for table in tables for key, value in table.items()}
        return {**whole, "ecs": {key: value for table in tables for key, value in table.get("ecs", {}).items()}}


def compare(before: Written, after: Written, now: datetime) -> Differences:
    """What is different in `after`, jobs in its order, those that are gone last."""
    old, new = before.file.jobs, after.file.jobs
    found = []
    for name, job in new.items():
        if name not in old:
            times = _next(job, now)
            zones = (job.timezone, job.timezone)
            found.append(JobDifference(name, "new", times=((), times) if times else None, zones=zones))
        elif old[name] != job:
            moved = tuple(_over_the_present(old[name], job, now, after.file.stage))
            found.append(replace(_changed(old[name], job, before.of(name), after.of(name), now), moved=moved))
    found += [JobDifference(name, "removed") for name in old if name not in new]
    return Differences(_told(_of_stage(before.file, after.file)), tuple(found))


def _told(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    """Those whose two sides are not written alike: nothing, and an empty list."""
    return tuple(each for each in settings if (each.before or None) != (each.after or None))


def settings(old: Job, new: Job, raw: object = None, raw_new: object = None) -> tuple[Setting, ...]:
    """The keys that differ; durations in seconds where a job's raw table does not say how they are written."""
    return _told(_settings("", old, new, raw, raw_new))


def _changed(old: Job, new: Job, raw: Mapping[str, Any], raw_new: Mapping[str, Any], now: datetime) -> JobDifference:
    times = _next(old, now), _next(new, now)
    differ = settings(old, new, raw, raw_new)
    zones = old.timezone, new.timezone
    return JobDifference(new.name, "changed", differ, times if times[0] != times[1] else None, zones)


def _over_the_present(old: Job, new: Job, now: datetime, stage: str) -> Iterator[str]:
    starts, starts_now = _starts_of(old, now), _starts_of(new, now)
    for time in sorted(starts.keys() & starts_now.keys()):
        at, to = starts[time], starts_now[time]
        if at <= now < to:
            yield f"what was due at {stamp(at)} moves to {stamp(to)}, and starts once more then"
        elif to <= now < at:
            again = f"guardctl run {new.name} --scheduled-at {to:%Y-%m-%dT%H:%MZ} --stage {stage}"
            yield f"what is due at {stamp(at)} moves to {stamp(to)}, which has passed: start it with {again}"


def _starts_of(job: Job, now: datetime) -> dict[str, datetime]:
    """When the times of some weeks start: by when they would have, or, of an nth business day, by month and clock."""
    zone, rule = ZoneInfo(job.timezone), next((each.rule for each in job.schedules if each.rule), None)
    if rule is None or not job.enabled:
        return {}
    times = days_off.coming(job.schedules, job.timezone, now - _AROUND, now + _AROUND)
    if rule.business_day:
        return {f"{each.at.astimezone(zone):%Y-%m %H:%M}": each.at for each in times}
    return {stamp(each.nominal): each.at for each in times if not each.skipped}


def _next(job: Job, now: datetime) -> tuple[datetime, ...]:
    return tuple(schedule.upcoming(job.schedules, job.timezone, now, limit=TIMES)) if job.enabled else ()


def _of_stage(old: JobsFile, new: JobsFile) -> Iterator[Setting]:
    for field in fields(JobsFile):
        mine, theirs = getattr(old, field.name), getattr(new, field.name)
        if field.name == "slots":
            for pool in sorted({*old.slots, *new.slots}):
                yield from _settings(f"pools.{pool}.slots", old.slots_of(pool), new.slots_of(pool), None, None)
        elif field.name not in ("stage", "jobs"):
            key = _TABLES.get(field.name, f"stage.{field.name}")
            yield from _settings(key, mine, theirs, None, None)


def _settings(key: str, old: Any, new: Any, raw: Any, raw_new: Any) -> Iterator[Setting]:
    """The leaves that differ. A table that only one side has is compared with an empty one."""
    if old == new:
        return
    mine, theirs = _table(old), _table(new)
    if ((mine is not None or theirs is not None) and None in (old, new)) or (mine is not None and theirs is not None):
        mine, theirs = mine or {}, theirs or {}
        for name in [*mine, *(name for name in theirs if name not in mine)]:
            inner = f"{key}.{name}" if key else name
            yield from _settings(inner, mine.get(name), theirs.get(name), _of(raw, name), _of(raw_new, name))
        return
    duration = any(isinstance(r, str) and seconds_of(r) == value for r, value in ((raw, old), (raw_new, new)))
    plain = key == "schedule"  # an expression has spaces, and is read best without quotes
    shown = [_shown(value, duration=duration, plain=plain) for value in (old, new)]
    yield Setting(key, *shown)


def _table(value: Any) -> dict[str, Any] | None:
    if isinstance(value, Job):
        whole = {field.name: getattr(value, field.name) for field in fields(value)}
        schedules = whole.pop("schedules")
        first = schedules[0] if schedules else None  # each has the job's bounds
        bounds = {key: getattr(first, key, None) for key in ("start", "end")}
        rule = first.rule if first else None
        days = {"on_holiday": rule.on_holiday, "business_day": rule.business_day or None} if rule else {}
        expressions = tuple(each.expression for each in schedules)
        return {"schedule": expressions[0] if len(expressions) == 1 else expressions, **bounds, **days, **whole}
    if isinstance(value, Calendar):
        return _of_calendar(value)
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return dict(value) if isinstance(value, Mapping) else None


def _of_calendar(calendar: Calendar) -> dict[str, Any]:
    """As its table has it; of the holidays how many there are, and what stands for them."""
    span = f"{len(read(calendar.data).names)} to {calendar.span[1]}" if calendar.span else "none"
    return {
        "name": calendar.name,
        "holidays": calendar.place or None,
        "weekend": tuple(WEEKDAYS[day][:3].upper() for day in sorted(calendar.weekend)),
        "also": tuple(sorted(calendar.also)),
        "except": tuple(sorted(calendar.excepted)),
        "days": f"{span} ({digest(calendar)})",
    }


def _of(raw: Any, key: str) -> Any:
    return raw.get(key) if isinstance(raw, Mapping) else None


def _shown(value: Any, *, duration: bool, plain: bool) -> str | None:
    if value is None or value == ():
        return None
    if isinstance(value, int) and not isinstance(value, bool) and duration:
        return as_duration(value)
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, str) and value and (plain or not any(c.isspace() for c in value)):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def as_duration(seconds: int) -> str:
    """``1h30m`` for 5400, as the jobs file writes it."""
    parts = []
    for unit, each in _UNITS.items():
        count, seconds = divmod(seconds, each)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"
