"""The jobs file: TOML in, frozen values out, and every fault of the file at once.

Each table is read by itself first, `[defaults]` too, so that a fault is reported once and where it is written.
Then the defaults and each job are put together, and what only shows there is checked (`checks`), last of all, in a file
without another fault, whether two jobs are the same batch.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from chalicelib.config import alerts as alert_keys
from chalicelib.config import calendars, members, times
from chalicelib.config import stage as stage_keys
from chalicelib.config.alerts import Alerts, check_tell
from chalicelib.config.checks import check_neighbours, check_places, check_pools
from chalicelib.config.limits import ROLE_NAME
from chalicelib.config.tables import BAD, Fault, Reader, Spot, duration, each_in, integer, one_of, table, text
from chalicelib.config.task import READERS, Ecs
from chalicelib.config.whole_task import check_words, whole_task
from chalicelib.decide.calendars import Calendar
from chalicelib.decide.pace import Bucket, Call
from chalicelib.decide.policy import Enabled, OnSkip, Orphans, Outsiders, Overlap
from chalicelib.decide.schedule import Schedule
from chalicelib.names import (
    JOB,
    LAST_REPETITION,
    LONGEST_NAME,
    MOST_SLOTS,
    STAGE,
    Told,
    batch_machine,
    function_name,
    function_role,
    repetition_name,
)
from chalicelib.values import dataclass

__all__ = ["Alerts", "Ecs", "Fault", "Job", "JobsFile", "JobsFileInvalid", "load", "parse", "place_of"]

DIRECTORY = Path(__file__).parent.parent / "jobs"
"""Where the jobs files are, one for each stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One scheduled batch. Durations are whole seconds."""

    name: str
    ecs: Ecs
    schedules: tuple[Schedule, ...] = ()
    """None at all: a job that is only started by hand."""
    timezone: str = "UTC"
    calendar: Calendar | None = None
    """Which days are business days; what it does to the schedules is part of them."""
    enabled: Enabled = True
    imported_from: str | None = None
    """The rule or schedule that started it before: ``rule/<bus>/<name>``, with ``#<target id>`` if that has several
    targets, or ``schedule/<group>/<name>``."""
    timeout: int = 86_400
    start_deadline: int = 7_200
    grace: int = 15
    outsiders: Outsiders = "command"
    overlap: Overlap = "skip"
    queue_timeout: int = 3_600
    on_skip: OnSkip = "fail"
    orphans: Orphans = "wait"
    retries: int = 0
    expect_success_by: str | None = None
    """A time of day in the job's zone, ``06:00``: by then, the first time after it, a scheduled time has succeeded."""
    warn_after: int | None = None
    """So long after it, in whole minutes, a scheduled time has succeeded."""
    tell: tuple[Told, ...] | None = None
    """Of which ends people are told by a message; None: as [alerts] says."""

    pool: str
    """The jobs that must not run at the same time share one; who names none has one to itself, of its own name."""


@dataclass(frozen=True, kw_only=True)
class JobsFile:
    """A whole jobs file."""

    stage: str
    jobs: Mapping[str, Job]
    alerts: Alerts | None = None
    timezone: str = "UTC"
    """Of [defaults]: the zone in which people are shown times."""
    history_days: int = 90
    """How long the account keeps closed executions."""
    quotas: Mapping[Call, Bucket] = field(default_factory=dict)
    """Where the account has others than its Region's own, or where stages share them."""
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Of everything that is made for the stage."""
    permissions_boundary: str | None = None
    """The ARN of the policy that bounds every role of the stage."""
    log_retention_days: int | None = None
    """How long the functions' logs are kept; for ever if it does not say. Their log groups go with the stage then."""
    machine_logging: stage_keys.Logging | None = None
    machine_tracing: bool = False
    slots: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """By pool, where [pools] says so: how many runs of it there may be at once; 1 elsewhere."""

    @property
    def own_roles(self) -> bool:
        """Whether the functions have roles of the stage's own: Chalice's have neither tags nor a boundary."""
        return bool(self.tags or self.permissions_boundary)

    def slots_of(self, pool: str) -> int:
        """How many runs of a pool there may be at once."""
        return self.slots.get(pool, 1)

    def members(self, pool: str) -> tuple[Job, ...]:
        """The jobs of a pool, in the order of the file."""
        return self._by_pool.get(pool, ())

    def tells(self, job: Job) -> tuple[Told, ...]:
        """Of which of the job's ends people are told by a message."""
        if self.alerts is None:
            return ()
        return self.alerts.tell if job.tell is None else job.tell

    @property
    def tells_something(self) -> bool:
        """Whether anything of the stage is told by messages."""
        return any(self.tells(job) for job in self.jobs.values())

    def shared(self, pool: str) -> bool:
        """Whether a pool has several jobs or slots, or a name that its job has given it."""
        members = self.members(pool)
        return self.slots_of(pool) > 1 or len(members) > 1 or any(job.name != pool for job in members)

    @property
    def pools(self) -> tuple[str, ...]:
        """Every pool, in the order of its first job."""
        return tuple(self._by_pool)

    @cached_property
    def renewed(self) -> Mapping[str, int]:
        """The first job of each pool, and how many slots' names are renewed in its name."""
        return {jobs[0].name: self.slots_of(pool) for pool, jobs in self._by_pool.items()}

    @cached_property
    def _by_pool(self) -> Mapping[str, tuple[Job, ...]]:
        """Sorted once: each decision asks, and a file may have hundreds of jobs."""
        pools: dict[str, tuple[Job, ...]] = {}
        for job in self.jobs.values():
            pools[job.pool] = (*pools.get(job.pool, ()), job)
        return pools


class JobsFileInvalid(Exception):
    """A jobs file that can't be used; says everything that is wrong with it, a line each."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def place_of(stage: str, directory: Path | None = None) -> str:
    """What the faults of a stage's jobs file call it."""
    return f"{directory or 'chalicelib/jobs'}/{stage}.toml"


def load(stage: str, directory: Path | None = None, *, by_model: bool = True) -> JobsFile:
    """Read `chalicelib/jobs/<stage>.toml`. Raises JobsFileInvalid, also when there is no such file."""
    place = place_of(stage, directory)
    directory = directory or DIRECTORY
    _require_stage(stage, place)
    try:
        toml = (directory / f"{stage}.toml").read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        stages = ", ".join(sorted(file.stem for file in directory.glob("*.toml")))
        right = f"the stages that exist: {stages}" if stages else "no stage has one yet; write this file"
        raise invalid(place, f'"{stage}" has no jobs file', right) from None
    except UnicodeDecodeError as error:
        raise invalid(place, f"byte {error.start} is not UTF-8", "save the file as UTF-8", "file") from None
    except OSError as error:
        wrong = f"can't be read: {error.strerror}"
        raise invalid(place, wrong, "make it a file that you may read", "file") from None
    return parse(toml, stage=stage, place=place, by_model=by_model)


def load_all(directory: Path | None = None) -> list[JobsFile]:
    """Every stage's jobs file. Raises JobsFileInvalid with the faults of all of them."""
    found: list[JobsFile] = []
    faults: list[Fault] = []
    for file in sorted((directory or DIRECTORY).glob("*.toml")):
        try:
            found.append(load(file.stem, directory))
        except JobsFileInvalid as error:
            faults += error.faults
    if faults:
        raise JobsFileInvalid(tuple(faults))
    return found


def invalid(place: str, wrong: str, right: str, key: str = "stage") -> JobsFileInvalid:
    """The one fault that keeps a file from being read."""
    return JobsFileInvalid((Fault(place, key, wrong, right),))


def parse(
    text: str, *, stage: str, place: str, by_model: bool = True, holidays: calendars.Load = calendars.stored
) -> JobsFile:
    """The jobs file in `text`; `place` is what its faults call it. Raises JobsFileInvalid with all of them.

    Without `by_model` it is believed, where the file was read before it was deployed, that RunTask has the members of a
    `run_task` table (`members`), and that every schedule happens: a quarter of a millisecond each to find out.
    `holidays` gives a place's file of holidays.
    """
    _require_stage(stage, place)
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        what, _, where = str(error).removesuffix(")").rpartition(" (at ")
        number = re.match("line ([0-9]+)", where)
        lines = text.split("\n")
        shown = f", in: {lines[int(number[1]) - 1].strip()[:80]}" if number else ""
        said = f"is not TOML: {what or where}{shown}"
        raise invalid(place, said, "https://toml.io shows how", where if what else "file") from None
    faults: list[Fault] = []
    readers = READERS | {"run_task": members.reader(by_model=by_model)}
    jobs_file = _jobs_file(document, Spot(place, "", faults), stage, readers, holidays, by_model=by_model)
    if faults:
        raise JobsFileInvalid(tuple(faults))
    return jobs_file


# --- what each key takes ----------------------------------------------------------------------------------


def _enabled(value: Any, spot: Spot) -> Any:
    right = 'write true, false or "shadow"'
    if type(value) is str:
        return value if value == "shadow" else spot.fault(f'"{value}" is not valid', right)
    return BAD if spot.lacks(bool, value, right) else value


_ORIGIN_NAME = r"[A-Za-z0-9._-]{1,64}"
"""A rule's name, a target's ID, a schedule's name, a group's (PutRule, PutTargets, CreateSchedule, API references)."""
_BUS = r"[A-Za-z0-9._/-]{1,256}"
"""Of a partner's events, with slashes (CreateEventBus)."""


_JOB: dict[str, Reader] = {
    **times.READERS,
    **times.PROMISES,
    "pool": text(JOB, "write a name like a job's: lower case letters, digits and single hyphens"),
    "enabled": _enabled,
    "imported_from": text(
        rf"rule/{_BUS}/{_ORIGIN_NAME}(#{_ORIGIN_NAME})?|schedule/{_ORIGIN_NAME}/{_ORIGIN_NAME}",
        'write "rule/BUS/NAME", "rule/BUS/NAME#TARGET_ID" or "schedule/GROUP/NAME"',
    ),
    "timeout": duration("1s", "364d"),  # AWS ends an execution after a year
    "start_deadline": duration("1m", "24h"),
    "grace": duration("1s", "5m"),  # a renewal is over in less
    "outsiders": one_of(*get_args(Outsiders)),
    "overlap": one_of(*get_args(Overlap)),
    "queue_timeout": duration("1s", "7d"),
    "on_skip": one_of(*get_args(OnSkip)),
    "orphans": one_of(*get_args(Orphans)),
    "retries": integer(0, 10),
    "tell": alert_keys.tell,
}
_OF_SCHEDULES = frozenset({"schedule", "start", "end", "on_holiday", "business_day"})
"""Read into the schedules themselves."""


# --- putting it together ----------------------------------------------------------------------------------


def _jobs_file(
    document: dict[str, Any],
    spot: Spot,
    stage: str,
    of_ecs: Mapping[str, Reader],
    holidays: calendars.Load,
    *,
    by_model: bool,
) -> JobsFile:
    raw_jobs = document.get("jobs", {})
    settings_of = partial(_settings, of_ecs)
    top: dict[str, Reader] = {
        "stage": partial(table, stage_keys.READERS),
        "pools": each_in(_pool, "write every pool as a table, [pools.warehouse]"),
        "calendars": calendars.reader(holidays),
        "defaults": partial(_defaults, of_ecs),
        "jobs": lambda value, at: value,
        "alerts": _alerts,
    }
    read = table(top, document, spot)
    defaults, ecs_defaults = read.get("defaults", ({}, {}))
    known = read.get("calendars", {})
    jobs, named = {}, set()
    whole, spot = spot, spot.key("jobs")
    if not spot.lacks(dict, raw_jobs, "write every job as a table, [jobs.nightly-report]"):
        if not raw_jobs:
            spot.fault("has no job", "write one, [jobs.nightly-report]")
        for name, value in raw_jobs.items():
            at = spot.key(name)
            _check_name(name, stage, at)
            own, ecs_own = settings_of(value, at)
            settings = calendars.together(defaults, own)
            ecs = whole_task(ecs_defaults, ecs_own, at.key("ecs"))
            named.add(settings.get("calendar"))
            calendar = calendars.of_job(settings, known, at)
            schedules = times.schedules_of(settings, calendar, at, happening=by_model)
            times.check_promises(own, settings, at)
            check_words(ecs, settings.get("calendar"), at.key("ecs"))
            if not at.faults:
                settings["calendar"] = calendar
                kept = {"pool": name} | {key: each for key, each in settings.items() if key not in _OF_SCHEDULES}
                jobs[name] = Job(name=name, ecs=ecs, schedules=schedules, **kept)
    slots, about = ({} if read.get(key) in (None, BAD) else read[key] for key in ("pools", "stage"))
    if not spot.faults:
        calendars.check_used(known, named, whole.key("calendars"))
        check_pools(jobs, slots, stage, whole)
        check_neighbours(jobs, stage, spot)
        check_tell(jobs, read.get("alerts"), spot)
    check_places(document, whole)
    found = JobsFile(
        stage=stage,
        jobs=MappingProxyType(jobs),
        alerts=read.get("alerts"),
        timezone=defaults.get("timezone", "UTC"),
        slots=MappingProxyType(slots),
        **about,
    )
    if found.own_roles:
        what = "with tags or a permissions boundary, the name of the function's role"
        whole.key("stage").too_long(what, function_role(stage, "trigger"), ROLE_NAME.most, "the stage's name")
    return found


def _defaults(of_ecs: Mapping[str, Reader], value: Any, at: Spot) -> tuple[dict[str, Any], dict[str, Any]]:
    settings, ecs = _settings(of_ecs, value, at)
    if settings.pop("imported_from", BAD) is not BAD:
        at.key("imported_from").fault("is every job's own", "write it in the table of its job")
    return settings, ecs


def _settings(of_ecs: Mapping[str, Reader], value: Any, at: Spot) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a job's table says of the job and of its task; that of [defaults] likewise."""

    def ecs(inner: Any, spot: Spot) -> dict[str, Any]:
        return table(of_ecs, inner, spot, strayed=dict.fromkeys(_JOB, at.place))

    strayed = dict.fromkeys(READERS, at.key("ecs").place)
    settings = table({**_JOB, "ecs": ecs}, value, at, strayed=strayed)
    task = settings.pop("ecs", {})
    return settings, dict.fromkeys(READERS, BAD) if task is BAD else task


def _pool(value: Any, spot: Spot) -> Any:
    return table({"slots": integer(1, MOST_SLOTS)}, value, spot).get("slots", 1)


def _alerts(value: Any, spot: Spot) -> Any:
    settings = table(alert_keys.READERS, value, spot)
    if "topic" not in settings:
        spot.key("topic").fault("is missing", "write the ARN of the SNS topic to tell")
    return BAD if spot.faults else Alerts(**settings)


_SOME_TIME = datetime(2026, 11, 23, 18, tzinfo=UTC)


def _check_name(name: str, stage: str, at: Spot) -> None:
    if not re.fullmatch(JOB, name):
        right = "a letter, then letters, digits and single hyphens, all lower case, no hyphen at the end"
        at.fault(f'"{name}" is not a job name', right)
    # CreateStateMachine and StartExecution, Step Functions API reference. A start by hand for a given time has
    # the longest name of the guard's executions.
    longest = {
        "state machine": batch_machine(stage, name),
        "guard execution": repetition_name(name, _SOME_TIME, LAST_REPETITION),
    }
    what, full = max(longest.items(), key=lambda item: len(item[1]))
    at.too_long(f"the {what}'s name", full, LONGEST_NAME, "the job's name")


def _require_stage(stage: str, place: str) -> None:
    at = Spot(place, "stage", [])
    if not re.fullmatch(STAGE, stage):
        at.fault(f'"{stage}" is not a stage name', "a letter, then letters and digits, all lower case")
    else:  # CreateFunction, Lambda API reference
        at.too_long("the function's name", function_name(stage, "trigger"), 64, "the stage's name")
    if at.faults:
        raise JobsFileInvalid(tuple(at.faults))
