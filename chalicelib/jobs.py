"""The jobs file: TOML in, frozen values out, and every fault of the file at once.

Reading is two steps. Each table is read key by key by the reader that `_JOB`, `_ECS` or `_ALERTS` names for
it, so that a fault is reported once and where it is written, also when it stands in `[defaults]`. Then the
defaults and a job are put together and what only shows then is checked. A value with a fault becomes `_BAD`,
which keeps the second step from finding the same fault again under another name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from zoneinfo import ZoneInfo

from chalicelib.schedule import Schedule, ScheduleRefused, parse_schedule

LaunchType = Literal["FARGATE", "EC2", "EXTERNAL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecs:
    """The task to run and where; None leaves a thing to the task definition or to AWS."""

    cluster: str
    task_definition: str
    container: str
    command: tuple[str, ...] | None = None
    launch_type: LaunchType | None = "FARGATE"
    capacity_provider: str | None = None
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    assign_public_ip: bool = False
    platform_version: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cpu: str | None = None
    memory: str | None = None
    task_role: str | None = None
    execution_role: str | None = None
    pass_roles: tuple[str, ...] = ()
    """Roles of the task definition itself, which Step Functions must be allowed to pass."""

    @property
    def family(self) -> str:
        """The task definition's family, without revision."""
        return self.task_definition.rpartition("/")[2].partition(":")[0]

    @property
    def cluster_name(self) -> str:
        """The cluster's name, also when it is given as an ARN."""
        return self.cluster.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One scheduled batch. Durations are whole seconds."""

    name: str
    ecs: Ecs
    schedules: tuple[Schedule, ...] = ()
    """None at all: a job that is only started by hand."""
    timezone: str = "UTC"
    enabled: bool = True
    timeout: int = 86_400
    start_deadline: int = 3_600
    grace: int = 15
    outsiders: Literal["command", "family", "ignore"] = "command"
    overlap: Literal["skip", "queue", "replace"] = "skip"
    queue_timeout: int = 3_600
    on_skip: Literal["fail", "succeed"] = "fail"
    orphans: Literal["wait", "stop"] = "wait"
    retries: int = 0
    expect_success_within: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Where to say that something is wrong."""

    topic: str
    skips_in_a_row: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsFile:
    """A whole jobs file."""

    stage: str
    jobs: Mapping[str, Job]
    alerts: Alerts | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a jobs file."""

    file: str
    place: str
    """The key as TOML writes it, `jobs.nightly-report.ecs.cluster`, or line and column of broken TOML."""
    wrong: str
    right: str

    def __str__(self) -> str:
        return f"{self.file}:{self.place}: {self.wrong}; {self.right}"


class JobsFileInvalid(Exception):  # noqa: N818 it says what it is
    """A jobs file that can't be used; says everything that is wrong with it, a line each."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def load(stage: str, directory: Path | None = None) -> JobsFile:
    """Read `chalicelib/jobs/<stage>.toml`. Raises JobsFileInvalid, also when there is no such file."""
    place = f"{directory or 'chalicelib/jobs'}/{stage}.toml"
    directory = directory or Path(__file__).parent / "jobs"
    _require_stage(stage, place)
    try:
        text = (directory / f"{stage}.toml").read_text(encoding="utf-8")
    except FileNotFoundError:
        stages = ", ".join(sorted(file.stem for file in directory.glob("*.toml")))
        right = f"stages that exist: {stages}" if stages else "no stage exists yet; write this file"
        raise JobsFileInvalid((Fault(place, "stage", f'no jobs file for stage "{stage}"', right),)) from None
    except UnicodeDecodeError as error:
        wrong = f"byte {error.start} is not UTF-8"
        raise JobsFileInvalid((Fault(place, "file", wrong, "save the file as UTF-8"),)) from None
    return parse(text, stage=stage, place=place)


def parse(text: str, *, stage: str, place: str) -> JobsFile:
    """The jobs file in `text`; `place` is what its faults call it. Raises JobsFileInvalid with all of them."""
    _require_stage(stage, place)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        fault = Fault(
            place, where.rstrip(")"), f"not TOML: {what}", "see https://toml.io for how to write it"
        )
        raise JobsFileInvalid((fault,)) from None
    faults: list[Fault] = []
    jobs_file = _jobs_file(document, _Spot(place, "", faults), stage)
    if faults:
        raise JobsFileInvalid(tuple(faults))
    return jobs_file


# --- reading one table ------------------------------------------------------------------------------------

_BAD: Any = object()
_TYPES = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    dict: "a table",
}


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place in the file, where faults are noted."""

    file: str
    place: str
    faults: list[Fault]

    def key(self, key: str) -> _Spot:
        written = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'
        return _Spot(self.file, f"{self.place}.{written}" if self.place else written, self.faults)

    def item(self, index: int) -> _Spot:
        return _Spot(self.file, f"{self.place}[{index}]", self.faults)

    def fault(self, wrong: str, right: str) -> Any:
        self.faults.append(Fault(self.file, self.place or "file", wrong, right))
        return _BAD


_Reader = Callable[[Any, _Spot], Any]


def _is(kind: type, value: object, spot: _Spot, right: str) -> bool:
    if type(value) is kind:  # exactly: TOML's true is not a number
        return True
    spot.fault(f"is {_TYPES.get(type(value), 'a date or time')}, not {_TYPES[kind]}", right)
    return False


def _table(readers: Mapping[str, _Reader], value: object, spot: _Spot, other: str = "") -> dict[str, Any]:
    """The keys of a table, read. `other` names the table that a key may have strayed from."""
    read: dict[str, Any] = {}
    if not _is(dict, value, spot, f"write it as a table, [{spot.place}]"):
        return dict.fromkeys(readers, _BAD)
    assert isinstance(value, dict)
    for key, inner in value.items():
        if key in readers:
            read[key] = readers[key](inner, spot.key(key))
        elif other and key in _ECS.keys() ^ _JOB.keys():
            spot.key(key).fault("is not a key of this table", f"it belongs into [{other}]")
        else:
            _unknown(key, readers, spot)
    return read


def _unknown(key: str, known: Mapping[str, _Reader], spot: _Spot) -> None:
    import difflib  # noqa: PLC0415 takes 4 ms that a cold start does not need

    near = difflib.get_close_matches(key, known, 1)
    right = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"
    spot.key(key).fault("is not a known key", right)


def _text(pattern: str, right: str) -> _Reader:
    def read(value: object, spot: _Spot) -> Any:
        if not _is(str, value, spot, right):
            return _BAD
        assert isinstance(value, str)
        # Both reach the state machine's definition, where neither would be taken literally.
        if value.startswith("{%"):
            return spot.fault(
                'starts with "{%"', "Step Functions would evaluate it as JSONata; start it otherwise"
            )
        if "${" in value:
            return spot.fault('contains "${"', "CloudFormation would substitute it; write the value itself")
        # Compiled here and not at import: a file uses few of the patterns.
        return (
            value if re.fullmatch(pattern, value, re.DOTALL) else spot.fault(f'"{value}" is not valid', right)
        )

    return read


def _one_of(*words: str) -> _Reader:
    right = "write " + ", ".join(f'"{word}"' for word in words[:-1]) + f' or "{words[-1]}"'

    def read(value: object, spot: _Spot) -> Any:
        if not _is(str, value, spot, right):
            return _BAD
        return value if value in words else spot.fault(f'"{value}" is not valid', right)

    return read


def _boolean(value: object, spot: _Spot) -> Any:
    return value if _is(bool, value, spot, "write true or false") else _BAD


def _integer(low: int, high: int) -> _Reader:
    right = f"write a whole number from {low} to {high}"

    def read(value: Any, spot: _Spot) -> Any:
        if not _is(int, value, spot, right):
            return _BAD
        return value if low <= value <= high else spot.fault(f"{value} is out of range", right)

    return read


def _list(each: _Reader, right: str, least: int = 0) -> _Reader:
    def read(value: Any, spot: _Spot) -> Any:
        if not _is(list, value, spot, right):
            return _BAD
        if len(value) < least:
            return spot.fault("is empty", right)
        items = tuple(each(item, spot.item(n)) for n, item in enumerate(value))
        return _BAD if _BAD in items else items

    return read


_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def _duration(low: str, high: str) -> _Reader:
    """Whole seconds, from text like "1h30m"."""

    def read(value: Any, spot: _Spot) -> Any:
        if not _is(str, value, spot, 'write a duration with its unit, such as "90s"'):
            return _BAD
        seconds = _seconds(value)
        if seconds is None:
            return spot.fault(f'"{value}" is not a duration', 'write "90s", "15m", "2h", "1d" or "1h30m"')
        if not (_seconds(low) or 0) <= seconds <= (_seconds(high) or 0):
            return spot.fault(f'"{value}" is out of range', f'write a duration from "{low}" to "{high}"')
        return seconds

    return read


def _seconds(text: str) -> int | None:
    match = re.fullmatch(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?", text)
    if not text or match is None:
        return None
    return sum(int(number) * each for number, each in zip(match.groups("0"), _UNITS.values(), strict=True))


def _schedules(value: Any, spot: _Spot) -> Any:
    if type(value) is list:
        return _list(_schedule, "")(value, spot)
    schedule = _schedule(value, spot)
    return _BAD if schedule is _BAD else (schedule,)


def _schedule(value: Any, spot: _Spot) -> Any:
    if not _is(str, value, spot, 'write one, "cron(0 3 * * ? *)", or a list of them'):
        return _BAD
    try:
        return parse_schedule(value)
    except ScheduleRefused as error:
        return spot.fault(error.wrong, error.right)


def _zone(value: Any, spot: _Spot) -> Any:
    if not _is(str, value, spot, 'write a zone of the IANA database, such as "Asia/Tokyo"'):
        return _BAD
    try:
        # Some systems have these besides; AWS Lambda's Python does not.
        if not value.startswith(("posix", "right/", "localtime")):
            ZoneInfo(value)
            return value
    except (KeyError, ValueError, OSError):  # unknown; not a name; a directory
        pass
    import difflib  # noqa: PLC0415
    from zoneinfo import available_timezones  # noqa: PLC0415 reads the whole database

    near = difflib.get_close_matches(value, sorted(available_timezones()), 1)
    right = (
        f'did you mean "{near[0]}"?' if near else 'write a zone of the IANA database, such as "Asia/Tokyo"'
    )
    return spot.fault(f'"{value}" is not a time zone', right)


def _environment(value: Any, spot: _Spot) -> Any:
    if not _is(dict, value, spot, 'write a table, { LEVEL = "info" }'):
        return _BAD
    read = {}
    for name, text in value.items():
        if name.startswith("BATCH_"):
            spot.key(name).fault("is reserved", "BATCH_... names are the guard's own; take another")
        _text(r"[^=\0]+", "a name without = or spaces around it")(name, spot.key(name))
        read[name] = _text(r".*", "write a string, also for a number")(text, spot.key(name))
    return read


_NAME = "[A-Za-z0-9_-]{1,255}"
_ARN = r"arn:aws[a-z-]*"
_ROLE = _text(rf"{_ARN}:iam::[0-9]{{12}}:role/[\w+=,.@/-]+", 'write "arn:aws:iam::123456789012:role/NAME"')
_OVERRIDE = r"[0-9]+(\.[0-9]+)?"

_ECS: dict[str, _Reader] = {
    "cluster": _text(
        rf"{_NAME}|{_ARN}:ecs:[a-z0-9-]+:[0-9]{{12}}:cluster/{_NAME}",
        'write the name or "arn:aws:ecs:REGION:123456789012:cluster/NAME"',
    ),
    "task_definition": _text(
        rf"({_ARN}:ecs:[a-z0-9-]+:[0-9]{{12}}:task-definition/)?{_NAME}(:[0-9]+)?",
        'write "family", "family:revision" or "arn:aws:ecs:REGION:123456789012:task-definition/family:revision"',
    ),
    "container": _text(_NAME, "write the container's name in the task definition"),
    "command": _list(
        _text(r".*", "write every word as a string"),
        'write the words, ["bin/report", "--all"], or leave it out to use the task definition\'s command',
        least=1,
    ),
    "launch_type": _one_of("FARGATE", "EC2", "EXTERNAL"),
    "capacity_provider": _text(_NAME, 'write its name, such as "FARGATE_SPOT"'),
    "subnets": _list(_text(r"subnet-[0-9a-z]+", 'write "subnet-0123abcd"'), 'write ["subnet-0123abcd"]'),
    "security_groups": _list(_text(r"sg-[0-9a-z]+", 'write "sg-0123abcd"'), 'write ["sg-0123abcd"]'),
    "assign_public_ip": _boolean,
    "platform_version": _text(
        r"LATEST|[0-9]+\.[0-9]+\.[0-9]+", 'write "LATEST" or a version such as "1.4.0"'
    ),
    "environment": _environment,
    "cpu": _text(rf"[0-9]+|{_OVERRIDE} ?vCPU", 'write "512" or "0.5 vCPU"'),
    "memory": _text(rf"[0-9]+|{_OVERRIDE} ?GB", 'write "1024" or "1 GB"'),
    "task_role": _ROLE,
    "execution_role": _ROLE,
    "pass_roles": _list(_ROLE, 'write ["arn:aws:iam::123456789012:role/NAME"]'),
}
_JOB: dict[str, _Reader] = {
    "schedule": _schedules,
    "timezone": _zone,
    "enabled": _boolean,
    "timeout": _duration("1s", "364d"),  # AWS ends an execution after a year
    "start_deadline": _duration("1m", "24h"),
    "grace": _duration("0s", "5m"),
    "outsiders": _one_of("command", "family", "ignore"),
    "overlap": _one_of("skip", "queue", "replace"),
    "queue_timeout": _duration("1s", "7d"),
    "on_skip": _one_of("fail", "succeed"),
    "orphans": _one_of("wait", "stop"),
    "retries": _integer(0, 10),
    "expect_success_within": _duration("1m", "90d"),  # AWS forgets executions after 90 days
}
_ALERTS: dict[str, _Reader] = {
    "topic": _text(
        rf"{_ARN}:sns:[a-z0-9-]+:[0-9]{{12}}:[A-Za-z0-9_-]+", 'write "arn:aws:sns:REGION:123456789012:NAME"'
    ),
    "skips_in_a_row": _integer(1, 1000),
}


# --- putting defaults and jobs together -------------------------------------------------------------------


def _jobs_file(document: dict[str, Any], spot: _Spot, stage: str) -> JobsFile:
    def defaults_of(value: Any, at: _Spot) -> tuple[dict[str, Any], dict[str, Any]]:
        return _job_tables(value, at)

    jobs: dict[str, Job] = {}
    top = _table({"defaults": defaults_of, "jobs": lambda value, _: value, "alerts": _alerts}, document, spot)
    defaults, ecs_defaults = top.get("defaults", ({}, {}))
    tables = top.get("jobs", {})
    if _is(dict, tables, spot.key("jobs"), "write every job as a table, [jobs.nightly-report]"):
        if not tables:
            spot.key("jobs").fault("has no job", "write one, [jobs.nightly-report]")
        for name, value in tables.items():
            at = spot.key("jobs").key(name)
            _check_name(name, stage, at)
            own, ecs = _job_tables(value, at)
            settings = defaults | own
            ecs_spot = at.key("ecs")
            settings["ecs"] = _ecs(ecs_defaults, ecs, ecs_spot)
            if _BAD not in settings.values():
                settings["schedules"] = settings.pop("schedule", ())
                jobs[name] = Job(name=name, **settings)
    return JobsFile(stage=stage, jobs=MappingProxyType(jobs), alerts=top.get("alerts"))


def _job_tables(value: Any, at: _Spot) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job's own settings and those of its task; of [defaults] too."""

    def ecs(inner: Any, spot: _Spot) -> dict[str, Any]:
        return _table(_ECS, inner, spot, other=at.place)

    settings = _table({**_JOB, "ecs": ecs}, value, at, other=at.key("ecs").place)
    task = settings.pop("ecs", {})
    return settings, dict.fromkeys(_ECS, _BAD) if task is _BAD else task


def _ecs(defaults: dict[str, Any], own: dict[str, Any], spot: _Spot) -> Ecs | Any:
    defaults = dict(defaults)
    if {"launch_type", "capacity_provider"} & own.keys():
        # One choice in two keys: a job that chooses has the default's choice replaced, not added to.
        defaults.pop("launch_type", None)
        defaults.pop("capacity_provider", None)
    settings = defaults | own
    environments = [table.get("environment", {}) for table in (defaults, own)]
    bad = _BAD in settings.values() or _BAD in environments
    for key in ("cluster", "task_definition", "container"):
        if key not in settings:
            bad = spot.key(key).fault("is missing", "write it here or in [defaults.ecs]")
    launch_type, provider = settings.get("launch_type"), settings.get("capacity_provider")
    if launch_type and provider:
        bad = spot.key("capacity_provider").fault("is given together with launch_type", "keep one of the two")
    if not provider:
        launch_type = settings.setdefault("launch_type", "FARGATE")
    else:
        settings["launch_type"] = None
    fargate = launch_type == "FARGATE" or provider in {"FARGATE", "FARGATE_SPOT"}
    if fargate and not settings.get("subnets"):
        bad = spot.key("subnets").fault("is missing", 'Fargate needs at least one, ["subnet-0123abcd"]')
    for key in ("assign_public_ip", "platform_version"):
        if launch_type in {"EC2", "EXTERNAL"} and settings.get(key):
            bad = spot.key(key).fault(
                f"is not for launch type {launch_type}", "leave it out or run on Fargate"
            )
    if bad or any(_BAD in environment.values() for environment in environments):
        return _BAD
    settings["environment"] = MappingProxyType(environments[0] | environments[1])
    return Ecs(**settings)


def _alerts(value: Any, spot: _Spot) -> Alerts | Any:
    settings = _table(_ALERTS, value, spot)
    if "topic" not in settings:
        return spot.key("topic").fault("is missing", "write the ARN of the SNS topic to tell")
    return _BAD if _BAD in settings.values() else Alerts(**settings)


# --- names ------------------------------------------------------------------------------------------------


def _check_name(name: str, stage: str, at: _Spot) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        at.fault(
            f'"{name}" is not a job name',
            "write lower case letters, digits and single hyphens, a letter first, no hyphen last",
        )
    # AWS takes 80 characters for a state machine and for an execution ("CreateStateMachine" and
    # "StartExecution", Step Functions API reference).
    longest = {
        "state machine": f"batch-guard-{stage}-{name}",
        "guard execution": f"{name}-after-run-000000-99",
    }
    for what, full in longest.items():
        if len(full) > 80:
            too_many = len(full) - 80
            at.fault(
                f'makes the {what}\'s name "{full}" {len(full)} characters long; AWS takes 80',
                f"shorten the job's name by {too_many}",
            )


def _require_stage(stage: str, place: str) -> None:
    # No hyphen, so that the names (and IAM prefixes) of two stages never meet.
    if not re.fullmatch(r"[a-z][a-z0-9]*", stage):
        wrong, right = f'"{stage}" is not a stage name', "write lower case letters and digits, a letter first"
    elif len(f"batch-guard-{stage}-trigger") > 64:  # "CreateFunction", Lambda API reference
        wrong, right = (
            f'stage "{stage}" makes a function name longer than AWS takes',
            "take at most 44 characters",
        )
    else:
        return
    raise JobsFileInvalid((Fault(place, "stage", wrong, right),))
