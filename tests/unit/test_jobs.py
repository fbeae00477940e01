"""The jobs file: what is read, and every fault of it at once, each with its place and what would be right."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.config import alerts, jobs, stage, task
from chalicelib.config.jobs import Alerts, Ecs, Job, JobsFile, JobsFileInvalid, load, load_all, parse
from chalicelib.decide.schedule import bounded, parse_schedule

# The same examples each time: a failure is a change of the code, never luck.
deterministic = settings(derandomize=True, deadline=None, database=None)

Place = tuple[str, ...]

# A file without a fault, as TOML literals by their place.
SOUND: Mapping[Place, str] = {
    ("defaults", "timezone"): '"Asia/Tokyo"',
    ("defaults", "timeout"): '"2h"',
    ("defaults", "ecs", "cluster"): '"batch"',
    ("defaults", "ecs", "subnets"): '["subnet-0a"]',
    ("defaults", "ecs", "environment"): '{ LEVEL = "info", SIDE = "left" }',
    ("jobs", "report", "schedule"): '"cron(0 3 * * ? *)"',
    ("jobs", "report", "ecs", "task_definition"): '"report:7"',
    ("jobs", "report", "ecs", "container"): '"app"',
    ("jobs", "import", "schedule"): '["rate(1 hour)", "30 9 * * MON-FRI"]',
    ("jobs", "import", "timeout"): '"15m"',
    ("jobs", "import", "ecs", "task_definition"): '"import"',
    ("jobs", "import", "ecs", "container"): '"app"',
    ("jobs", "import", "ecs", "environment"): '{ SIDE = "right" }',
}


def toml(literals: Mapping[Place, str]) -> str:
    tables: dict[Place, list[str]] = {}
    for (*table, key), literal in literals.items():
        tables.setdefault(tuple(table), []).append(f"{key} = {literal}")
    return "\n".join(
        line for table, lines in tables.items() for line in ([f"[{'.'.join(table)}]"] if table else []) + lines
    )


def read(changes: Mapping[Place, str | None] | None = None) -> JobsFile:
    """The sound file with some literals changed, added or (None) left out."""
    changed = {place: literal for place, literal in {**SOUND, **(changes or {})}.items() if literal is not None}
    return parse(toml(changed), stage="dev", place="dev.toml")


def faults(changes: Mapping[Place, str | None]) -> list[str]:
    """What the changed file is told, as "place: wrong; right"."""
    with pytest.raises(JobsFileInvalid) as invalid:
        read(changes)
    return [line.removeprefix("dev.toml:") for line in lines_of(invalid.value)]


def lines_of(invalid: JobsFileInvalid) -> list[str]:
    lines = str(invalid).splitlines()
    assert lines == [str(fault) for fault in invalid.faults]
    assert all(fault.place and fault.wrong and fault.right for fault in invalid.faults)
    return lines


# --- what is read -----------------------------------------------------------------------------------------


def test_a_job_is_the_defaults_and_what_it_says_itself() -> None:
    file = read()
    assert file.stage == "dev"
    assert list(file.jobs) == ["report", "import"]
    assert file.alerts is None
    assert file.jobs["report"] == Job(
        name="report",
        pool="report",
        schedules=(parse_schedule("cron(0 3 * * ? *)"),),
        timezone="Asia/Tokyo",
        timeout=7200,
        ecs=Ecs(
            cluster="batch",
            task_definition="report:7",
            container="app",
            subnets=("subnet-0a",),
            environment={"LEVEL": "info", "SIDE": "left"},
        ),
    )
    assert file.jobs["import"].timeout == 900
    assert file.jobs["import"].schedules == (parse_schedule("rate(1 hour)"), parse_schedule("30 9 * * MON-FRI"))


def test_what_is_left_out_has_a_default() -> None:
    job = read({("defaults", "timezone"): None, ("defaults", "timeout"): None}).jobs["report"]
    ecs = job.ecs
    assert (job.timezone, job.enabled, job.timeout, job.start_deadline, job.grace) == ("UTC", True, 86400, 7200, 15)
    assert (job.outsiders, job.overlap, job.queue_timeout, job.on_skip) == ("command", "skip", 3600, "fail")
    assert (job.orphans, job.retries, job.expect_success_by, job.warn_after) == ("wait", 0, None, None)
    assert (ecs.command, ecs.launch_type, ecs.capacity_provider) == (None, "FARGATE", None)
    assert (ecs.assign_public_ip, ecs.platform_version, ecs.cpu, ecs.memory) == (False, None, None, None)
    assert (ecs.task_role, ecs.execution_role, ecs.pass_roles, ecs.security_groups) == (None, None, (), ())


def test_every_key_is_read() -> None:
    role = "arn:aws:iam::123456789012:role/path/batch"
    everything: dict[Place, str | None] = {
        ("jobs", "report", "start"): "2026-12-01T09:00:00",
        ("jobs", "report", "end"): '"2027-12-01T00:00:00Z"',
        ("jobs", "report", "enabled"): "false",
        ("jobs", "report", "imported_from"): '"rule/aws.partner/example.com/a/nightly#1"',
        ("jobs", "import", "enabled"): '"shadow"',
        ("jobs", "import", "imported_from"): '"schedule/default/import"',
        ("jobs", "report", "start_deadline"): '"24h"',
        ("jobs", "report", "grace"): '"1s"',
        ("jobs", "report", "outsiders"): '"family"',
        ("jobs", "report", "overlap"): '"queue"',
        ("jobs", "report", "queue_timeout"): '"7d"',
        ("jobs", "report", "on_skip"): '"succeed"',
        ("jobs", "report", "orphans"): '"stop"',
        ("jobs", "report", "retries"): "10",
        ("jobs", "import", "expect_success_by"): '"06:00"',
        ("jobs", "import", "warn_after"): '"1d2h3m"',
        ("jobs", "report", "ecs", "command"): '["bin/report", ""]',
        ("jobs", "report", "ecs", "security_groups"): '["sg-0a", "sg-0b"]',
        ("jobs", "report", "ecs", "assign_public_ip"): "true",
        ("jobs", "report", "ecs", "platform_version"): '"1.4.0"',
        ("jobs", "report", "ecs", "cpu"): '"0.5 vCPU"',
        ("jobs", "report", "ecs", "memory"): '"1024"',
        ("jobs", "report", "ecs", "task_role"): f'"{role}"',
        ("jobs", "report", "ecs", "execution_role"): f'"{role}"',
        ("jobs", "report", "ecs", "pass_roles"): f'["{role}"]',
        ("alerts", "topic"): '"arn:aws:sns:ap-northeast-1:123456789012:alerts"',
        ("alerts", "skips_in_a_row"): "5",
        ("jobs", "report", "pool"): '"warehouse"',
        ("pools", "warehouse", "slots"): "9",
        ("stage", "history_days"): "30",
    }
    file = read(everything)
    job = file.jobs["report"]
    assert (job.enabled, job.start_deadline, job.grace, job.outsiders) == (False, 86400, 1, "family")
    assert (job.overlap, job.queue_timeout, job.on_skip, job.orphans) == ("queue", 604800, "succeed", "stop")
    start, end = datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 12, 1, tzinfo=UTC)
    assert job.schedules == bounded([parse_schedule("cron(0 3 * * ? *)")], start, end)
    watched = file.jobs["import"]
    assert (job.retries, watched.expect_success_by, watched.warn_after) == (10, "06:00", 93780)
    assert job.imported_from == "rule/aws.partner/example.com/a/nightly#1"
    assert (file.jobs["import"].enabled, file.jobs["import"].imported_from) == ("shadow", "schedule/default/import")
    assert job.ecs == Ecs(
        cluster="batch",
        task_definition="report:7",
        container="app",
        command=("bin/report", ""),
        subnets=("subnet-0a",),
        security_groups=("sg-0a", "sg-0b"),
        assign_public_ip=True,
        platform_version="1.4.0",
        environment={"LEVEL": "info", "SIDE": "left"},
        cpu="512",
        memory="1024",
        task_role=role,
        execution_role=role,
        pass_roles=(role,),
    )
    assert file.alerts == Alerts(topic="arn:aws:sns:ap-northeast-1:123456789012:alerts", skips_in_a_row=5)
    assert (file.history_days, read().history_days) == (30, 90)
    assert (job.pool, file.slots_of("warehouse")) == ("warehouse", 9)


def test_a_jobs_environment_adds_to_the_defaults() -> None:
    assert read().jobs["import"].ecs.environment == {"LEVEL": "info", "SIDE": "right"}


def test_a_job_without_a_schedule_is_started_by_hand() -> None:
    assert read({("jobs", "report", "schedule"): None}).jobs["report"].schedules == ()


def test_a_job_can_do_without_the_schedule_in_the_defaults() -> None:
    file = read({("defaults", "schedule"): '"rate(1 day)"', ("jobs", "report", "schedule"): "[]"})
    assert file.jobs["report"].schedules == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, ("FARGATE", None), id="neither: Fargate"),
        pytest.param({("defaults", "ecs", "launch_type"): '"EC2"'}, ("EC2", None), id="the default's launch type"),
        pytest.param(
            {
                ("defaults", "ecs", "launch_type"): '"FARGATE"',
                ("jobs", "report", "ecs", "capacity_provider"): '"FARGATE_SPOT"',
            },
            (None, "FARGATE_SPOT"),
            id="a job's provider takes the place of the default's launch type",
        ),
        pytest.param(
            {
                ("defaults", "ecs", "capacity_provider"): '"mine"',
                ("jobs", "report", "ecs", "launch_type"): '"EXTERNAL"',
            },
            ("EXTERNAL", None),
            id="and the other way round",
        ),
    ],
)
def test_where_the_task_runs_is_one_choice(
    changes: dict[Place, str | None], expected: tuple[str | None, str | None]
) -> None:
    ecs = read(changes).jobs["report"].ecs
    assert (ecs.launch_type, ecs.capacity_provider) == expected


def test_subnets_are_only_needed_on_fargate() -> None:
    without: dict[Place, str | None] = {
        ("defaults", "ecs", "subnets"): None,
        ("defaults", "ecs", "capacity_provider"): '"mine"',
    }
    assert read(without).jobs["report"].ecs.subnets == ()


@pytest.mark.parametrize(
    ("given_as", "family"),
    [
        pytest.param("report", "report", id="a family"),
        pytest.param("report:7", "report", id="a revision"),
        pytest.param("arn:aws:ecs:us-east-1:123456789012:task-definition/report:7", "report", id="an ARN"),
        pytest.param("arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/a_b-C", "a_b-C", id="no revision"),
    ],
)
def test_the_family(given_as: str, family: str) -> None:
    assert read({("jobs", "report", "ecs", "task_definition"): f'"{given_as}"'}).jobs["report"].ecs.family == family


@pytest.mark.parametrize("given_as", ["batch", "arn:aws:ecs:us-east-1:123456789012:cluster/batch"])
def test_the_clusters_name(given_as: str) -> None:
    assert read({("defaults", "ecs", "cluster"): f'"{given_as}"'}).jobs["report"].ecs.cluster_name == "batch"


def test_values_are_frozen() -> None:
    file = read()
    job = file.jobs["report"]
    if TYPE_CHECKING:  # mypy would complain of the comment if it no longer saw this
        job.timeout = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        file.jobs["other"] = job  # type: ignore[index]
    with pytest.raises(TypeError):
        job.ecs.environment["A"] = "b"  # type: ignore[index]


def test_every_field_has_a_key() -> None:
    assert {field.name for field in fields(Job)} - {"name", "ecs", "schedules"} == jobs._JOB.keys() - jobs._OF_SCHEDULES
    assert {field.name for field in fields(Ecs)} == task.READERS.keys()
    assert {field.name for field in fields(Alerts)} == alerts.READERS.keys()
    assert {field.name for field in fields(JobsFile)} - {
        "stage",
        "jobs",
        "alerts",
        "slots",
        "timezone",
    } == stage.READERS.keys()


# --- faults -----------------------------------------------------------------------------------------------

# One fault each, with the one line that is said of it.
FAULTS: Mapping[str, tuple[Place, str | None, str]] = {
    "a number for a duration": (
        ("defaults", "timeout"),
        "90",
        'defaults.timeout: is an integer, not a string; write a duration with its unit, such as "90s"',
    ),
    "a duration without a unit": (
        ("jobs", "report", "timeout"),
        '"90"',
        'jobs.report.timeout: "90" is not a duration; write "90s", "15m", "2h", "1d" or "1h30m"',
    ),
    "a deadline of more than a day": (
        ("defaults", "start_deadline"),
        '"25h"',
        'defaults.start_deadline: "25h" is out of range; write a duration from "1m" to "24h"',
    ),
    "a key of 0.1.0": (
        ("jobs", "report", "expect_success_within"),
        '"26h"',
        (
            'jobs.report.expect_success_within: was removed in 0.2.0; write expect_success_by = "06:00", the time of day '
            'by which a scheduled time should have succeeded, or warn_after = "2h", how long after it (docs/alarms.md)'
        ),
    ),
    "the same for every job": (
        ("defaults", "expect_success_within"),
        '"26h"',
        "defaults.expect_success_within: was removed in 0.2.0; write expect_success_by",
    ),
    "a time of day without its first digit": (
        ("jobs", "report", "expect_success_by"),
        '"6:00"',
        'jobs.report.expect_success_by: "6:00" is not a time of day; write "06:00"',
    ),
    "the end of the day": (
        ("jobs", "report", "expect_success_by"),
        '"24:00"',
        'jobs.report.expect_success_by: "24:00" is not a time of day; write "00:00"',
    ),
    "a time of day with a zone": (
        ("jobs", "report", "expect_success_by"),
        '"06:00+09:00"',
        (
            'jobs.report.expect_success_by: "06:00+09:00" is not a time of day; '
            'write a time of day in the job\'s timezone, from "00:00" to "23:59"'
        ),
    ),
    "a time of day with seconds": (
        ("jobs", "report", "expect_success_by"),
        "06:00:30",
        'jobs.report.expect_success_by: "06:00:30" is not a time of day; write a time of day',
    ),
    "a duration for a time of day": (
        ("jobs", "report", "expect_success_by"),
        '"6h"',
        'jobs.report.expect_success_by: "6h" is not a time of day; write a time of day',
    ),
    "an hour for a time of day": (
        ("jobs", "report", "expect_success_by"),
        "6",
        "jobs.report.expect_success_by: is an integer, not a string; write a time of day",
    ),
    "a warning after the record is gone": (
        ("jobs", "report", "warn_after"),
        '"29d"',
        (
            'jobs.report.warn_after: "29d" is out of range; write a duration from "1m" to "28d": '
            "a guard execution may be forgotten after 30 days"
        ),
    ),
    "a warning between two ticks": (
        ("jobs", "report", "warn_after"),
        '"90s"',
        'jobs.report.warn_after: "90s" has seconds, and the trigger looks once a minute; write "2m"',
    ),
    "a multiple of the usual duration": (
        ("jobs", "report", "warn_after"),
        '"2x"',
        (
            'jobs.report.warn_after: "2x" is a multiple, and the trigger knows no usual duration; '
            'write a duration, such as "2h"; guardctl status JOB says how long its runs usually take'
        ),
    ),
    "a zone that does not exist": (
        ("defaults", "timezone"),
        '"Asia/Toky"',
        'defaults.timezone: "Asia/Toky" is not a time zone; did you mean "Asia/Tokyo"?',
    ),
    "a zone that only some systems have": (
        ("jobs", "report", "timezone"),
        '"posix/Japan"',
        'jobs.report.timezone: "posix/Japan" is not a time zone; ',
    ),
    "a key with a slip": (
        ("jobs", "report", "timout"),
        '"1h"',
        'jobs.report.timout: is not a known key; did you mean "timeout"?',
    ),
    "a key nobody knows": (
        ("defaults", "ecs", "zzz"),
        "1",
        "defaults.ecs.zzz: is not a known key; known here: cluster, task_definition, ",
    ),
    "a key that needs quotes": (
        ("jobs", "report", '"a key"'),
        "1",
        'jobs.report."a key": is not a known key; ',
    ),
    "a task's key in the job": (
        ("jobs", "report", "cluster"),
        '"batch"',
        "jobs.report.cluster: is not a key of this table; it belongs in [jobs.report.ecs]",
    ),
    "a job's key in the task": (
        ("defaults", "ecs", "grace"),
        '"1s"',
        "defaults.ecs.grace: is not a key of this table; it belongs in [defaults]",
    ),
    "a boolean for a number": (
        ("jobs", "report", "retries"),
        "true",
        "jobs.report.retries: is a boolean, not an integer; write a whole number from 0 to 10",
    ),
    "too many retries": (
        ("jobs", "import", "retries"),
        "11",
        "jobs.import.retries: 11 is out of range; write a whole number from 0 to 10",
    ),
    "a number for a boolean": (
        ("jobs", "report", "enabled"),
        "1",
        'jobs.report.enabled: is an integer, not a boolean; write true, false or "shadow"',
    ),
    "a word for a boolean": (
        ("jobs", "report", "enabled"),
        '"shadows"',
        'jobs.report.enabled: "shadows" is not valid; write true, false or "shadow"',
    ),
    "an origin without a bus": (
        ("jobs", "report", "imported_from"),
        '"rule/nightly"',
        'jobs.report.imported_from: "rule/nightly" is not valid; write "rule/BUS/NAME", ',
    ),
    "an origin of every job": (
        ("defaults", "imported_from"),
        '"rule/default/nightly"',
        "defaults.imported_from: is every job's own; write it in the table of its job",
    ),
    "a date for a word": (
        ("jobs", "report", "overlap"),
        "2026-11-24",
        'jobs.report.overlap: is a date or time, not a string; write "skip", "queue" or "replace"',
    ),
    "a word that is none of them": (
        ("defaults", "outsiders"),
        '"all"',
        'defaults.outsiders: "all" is not valid; write "command", "family" or "ignore"',
    ),
    "an abbreviation, which looks like another one": (
        ("jobs", "report", "timezone"),
        '"JST"',
        'jobs.report.timezone: "JST" is not a time zone; write "Asia/Tokyo"',
    ),
    "an offset, which looks like none": (
        ("jobs", "report", "timezone"),
        '"UTC+9"',
        'jobs.report.timezone: "UTC+9" is not a time zone; write "Etc/GMT-9", whose sign is the other way round',
    ),
    "a schedule that is refused": (
        ("jobs", "report", "schedule"),
        '"@daily"',
        'jobs.report.schedule: "@daily" is an alias; write "0 0 * * *"',
    ),
    "the second schedule": (
        ("jobs", "import", "schedule"),
        '["rate(1 hour)", "rate(1 hours)"]',
        'jobs.import.schedule[1]: "rate(1 hours)" mixes singular and plural, which EventBridge refuses; ',
    ),
    "a number for a schedule": (
        ("defaults", "schedule"),
        "5",
        "defaults.schedule: is an integer, not a string; write one, ",
    ),
    "a missing container": (
        ("jobs", "report", "ecs", "container"),
        None,
        "jobs.report.ecs.container: is missing; write it here or in [defaults.ecs]",
    ),
    "a cluster ARN of something else": (
        ("defaults", "ecs", "cluster"),
        '"arn:aws:ecs:us-east-1:123456789012:service/batch"',
        'defaults.ecs.cluster: "arn:aws:ecs:us-east-1:123456789012:service/batch" is not valid; write the name or ',
    ),
    "an image for a task definition": (
        ("jobs", "report", "ecs", "task_definition"),
        '"report/app"',
        'jobs.report.ecs.task_definition: "report/app" is not valid; write "family", "family:revision" or ',
    ),
    "a role that is only a name": (
        ("jobs", "report", "ecs", "task_role"),
        '"batch"',
        'jobs.report.ecs.task_role: "batch" is not valid; write "arn:aws:iam::123456789012:role/NAME"',
    ),
    "a subnet that is a number": (
        ("jobs", "report", "ecs", "subnets"),
        '["subnet-0a", 7]',
        'jobs.report.ecs.subnets[1]: is an integer, not a string; write "subnet-0123abcd"',
    ),
    "Fargate without subnets": (
        ("jobs", "import", "ecs", "subnets"),
        "[]",
        'jobs.import.ecs.subnets: is missing; Fargate needs at least one, ["subnet-0123abcd"]',
    ),
    "an empty command": (
        ("jobs", "import", "ecs", "command"),
        "[]",
        "jobs.import.ecs.command: is empty; write its words, ",
    ),
    "a command in one string": (
        ("jobs", "report", "ecs", "command"),
        '"bin/report --all"',
        "jobs.report.ecs.command: is a string, not an array; write its words, ",
    ),
    "JSONata": (
        ("jobs", "import", "ecs", "container"),
        '"{% $x %}"',
        'jobs.import.ecs.container: starts with "{%"; start it otherwise; Step Functions would evaluate it as JSONata',
    ),
    "a CloudFormation substitution": (
        ("jobs", "import", "ecs", "environment"),
        '{ A = "${b}" }',
        'jobs.import.ecs.environment.A: contains "${"; write the value itself; CloudFormation would substitute it',
    ),
    "a reserved variable": (
        ("defaults", "ecs", "environment"),
        '{ BATCH_EXECUTION = "x" }',
        "defaults.ecs.environment.BATCH_EXECUTION: is reserved; take a name that does not start with BATCH_",
    ),
    "a number in the environment": (
        ("jobs", "report", "ecs", "environment"),
        "{ LEVEL = 3 }",
        "jobs.report.ecs.environment.LEVEL: is an integer, not a string; write a string, in quotes",
    ),
    "a number for the memory": (
        ("jobs", "report", "ecs", "memory"),
        "1024",
        'jobs.report.ecs.memory: is an integer, not a string; write "1024" or "1 GB"',
    ),
    "a job that is no table": (
        ("jobs", "other"),
        "1",
        "jobs.other: is an integer, not a table; write it as a table, [jobs.other]",
    ),
    "a topic that is no ARN": (
        ("alerts", "topic"),
        '"alerts"',
        'alerts.topic: "alerts" is not valid; write "arn:aws:sns:REGION:123456789012:NAME"',
    ),
    "more subnets than RunTask takes": (
        ("defaults", "ecs", "subnets"),
        str([f"subnet-{n}" for n in range(17)]),
        "defaults.ecs.subnets: has 17 subnets and AWS takes 16; leave out 1",
    ),
    "more security groups than RunTask takes": (
        ("jobs", "report", "ecs", "security_groups"),
        str([f"sg-{n}" for n in range(7)]),
        "jobs.report.ecs.security_groups: has 7 security groups and AWS takes 5; leave out 2",
    ),
    "more overrides than RunTask takes": (
        ("jobs", "report", "ecs", "environment"),
        f'{{ LIST = "{"x" * 8_000}" }}',
        "jobs.report.ecs: the task's overrides would have up to 8,",
    ),
    "a cluster's name that is too long": (
        ("jobs", "import", "ecs", "cluster"),
        f'"arn:aws:ecs:us-east-1:123456789012:cluster/{"c" * 256}"',
        "jobs.import.ecs.cluster: has a name of 256 characters and AWS takes 255; write the name or ",
    ),
    "a family's name that is too long": (
        ("jobs", "report", "ecs", "task_definition"),
        f'"{"f" * 256}:7"',
        'jobs.report.ecs.task_definition: has a name of 256 characters and AWS takes 255; write "family"',
    ),
    "a role's name that is too long": (
        ("jobs", "report", "ecs", "execution_role"),
        f'"arn:aws:iam::123456789012:role/a-long-path/{"r" * 65}"',
        "jobs.report.ecs.execution_role: has a name of 65 characters and AWS takes 64; write ",
    ),
    "a topic's name that is too long": (
        ("alerts", "topic"),
        f'"arn:aws:sns:us-east-1:123456789012:{"t" * 257}"',
        "alerts.topic: has a name of 257 characters and AWS takes 256; write ",
    ),
    "a capacity provider that can't be": (
        ("jobs", "report", "ecs", "capacity_provider"),
        '"fargate_spot"',
        'jobs.report.ecs.capacity_provider: "fargate_spot" is not valid; write its name, such as "FARGATE_SPOT"; none',
    ),
    "a version of a thousand digits": (
        ("jobs", "report", "ecs", "platform_version"),
        f'"1.4.{"0" * 5_000}"',
        'jobs.report.ecs.platform_version: "1.4.000',
    ),
    "a variable in a command": (
        ("jobs", "report", "ecs", "command"),
        '["bin/x", "${HOME}"]',
        'jobs.report.ecs.command[1]: contains "${"; ECS runs no shell: write the value itself, or $NAME in a script for a ',
    ),
    "a command with a NUL": (
        ("jobs", "report", "ecs", "command"),
        '["bin/report\\u0000"]',
        "jobs.report.ecs.command[0]: contains the character NUL; leave it out; no program can be given one",
    ),
    "a part of a CPU unit": (
        ("jobs", "report", "ecs", "cpu"),
        '"0.3 vCPU"',
        'jobs.report.ecs.cpu: "0.3 vCPU" is not valid; write "512" or "0.5 vCPU"',
    ),
    "a CPU size that Fargate has not": (
        ("jobs", "import", "ecs", "cpu"),
        '"3 vCPU"',
        'jobs.import.ecs.cpu: 3,072 CPU units are not a size that Fargate has; write one of "256", "512", "1024", ',
    ),
    "a memory size that Fargate has not": (
        ("jobs", "import", "ecs", "memory"),
        '"1.5 GB"',
        'jobs.import.ecs.memory: 1,536 MiB are not a size that Fargate has; write "512", "1024", "2048" for 256 CPU units; ',
    ),
    "a history that no account has": (
        ("stage", "history_days"),
        "20",
        "stage.history_days: 20 is out of range; write a whole number from 30 to 90",
    ),
    "fewer days of history than an account can have": (
        ("stage", "history_days"),
        "29",
        "stage.history_days: 29 is out of range; write a whole number from 30 to 90",
    ),
    "a table nobody knows": (
        ("job", "report"),
        "{}",
        'job: is not a known key; did you mean "jobs"?',
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault(name: str) -> None:
    place, literal, expected = FAULTS[name]
    (line,) = faults({place: literal})
    assert line.startswith(expected)


@pytest.mark.thorough
@deterministic
@given(st.sets(st.sampled_from(sorted(FAULTS)), min_size=1))
def test_any_faults_are_all_reported_and_nothing_else(names: set[str]) -> None:
    # Two faults of the same place can't be in one file: the last one stands.
    chosen = {FAULTS[name][0]: FAULTS[name] for name in sorted(names)}
    lines = faults({place: literal for place, literal, _ in chosen.values()})
    assert len(lines) == len(chosen)
    for _, _, expected in chosen.values():
        assert any(line.startswith(expected) for line in lines)


PLACES = [
    *[("defaults", key) for key in ("ecs", *jobs._JOB)],
    *[("jobs", "report", key) for key in jobs._JOB],
    *[("jobs", "report", "ecs", key) for key in task.READERS],
    *[("alerts", key) for key in alerts.READERS],
    *[("stage", key) for key in stage.READERS],
    ("pools", "report", "slots"),
    ("pools", "x"),
    ("jobs", "import", "pool"),
    ("jobs", "import", "ecs"),
    ("jobs", '"Bad\\n\\u2028 name"'),
]
LITERALS = [
    '"a\\r\\nb"',
    "0",
    "-1.5",
    "true",
    '""',
    '"x"',
    '"1h"',
    '"{%"',
    "[]",
    "[[]]",
    '["", {}]',
    "{}",
    "{ a = [] }",
    "07:30:00",
]


@pytest.mark.thorough
@deterministic
@given(st.dictionaries(st.sampled_from(PLACES), st.sampled_from(LITERALS), max_size=6))
def test_anything_is_read_or_refused_a_line_each(changes: dict[Place, str]) -> None:
    tables = {place for place in changes if place[-1] == "ecs"}
    kept = {place: text for place, text in SOUND.items() if not any(place[: len(t)] == t for t in tables)}
    changed = {
        place: text for place, text in changes.items() if not any(place[: len(t)] == t for t in tables - {place})
    }
    try:
        parse(toml({**kept, **changed}), stage="dev", place="dev.toml")
    except JobsFileInvalid as invalid:
        lines_of(invalid)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {
                ("jobs", "report", "ecs", "launch_type"): '"EC2"',
                ("jobs", "report", "ecs", "capacity_provider"): '"mine"',
            },
            ["jobs.report.ecs.capacity_provider: is given together with launch_type; keep one of the two"],
            id="launch type and provider together",
        ),
        pytest.param(
            {
                ("jobs", "report", "ecs", "launch_type"): '"EC2"',
                ("jobs", "report", "ecs", "assign_public_ip"): "true",
            },
            ["jobs.report.ecs.assign_public_ip: is not for launch type EC2; leave it out, or run on Fargate"],
            id="a public address on EC2",
        ),
        pytest.param(
            {
                ("jobs", "report", "ecs", "capacity_provider"): '"mine"',
                ("jobs", "report", "ecs", "platform_version"): '"1.4.0"',
            },
            ['jobs.report.ecs.platform_version: is not for capacity provider "mine"; leave it out, or run on Fargate'],
            id="a platform version for a capacity provider of one's own",
        ),
        pytest.param(
            {
                ("jobs", "report", "ecs", "capacity_provider"): '"mine"',
                ("jobs", "report", "ecs", "subnets"): "[]",
                ("jobs", "report", "ecs", "security_groups"): '["sg-0a"]',
            },
            [
                (
                    "jobs.report.ecs.security_groups: is given without subnets, and would be left out; "
                    "write subnets, or leave it out (security_groups = [] if [defaults.ecs] has some)"
                )
            ],
            id="security groups without subnets",
        ),
        pytest.param(
            {
                ("jobs", "report", "ecs", "capacity_provider"): '"FARGATE_SPOT"',
                ("jobs", "report", "ecs", "platform_version"): '"1.2.0"',
            },
            ['jobs.report.ecs.platform_version: "1.2.0" is too old for FARGATE_SPOT; write "1.3.0", or leave it out'],
            id="a platform version before spot",
        ),
        pytest.param(
            {
                ("jobs", "report", "ecs", "cpu"): '"8 vCPU"',
                ("jobs", "report", "ecs", "platform_version"): '"1.3.0"',
            },
            [
                (
                    'jobs.report.ecs.platform_version: "1.3.0" is too old for a task of 8,192 CPU units; '
                    'write "1.4.0", or leave it out'
                )
            ],
            id="a platform version before large tasks",
        ),
        pytest.param(
            {("defaults", "ecs", "cpu"): '"2048"', ("jobs", "import", "ecs", "memory"): '"1 GB"'},
            [
                (
                    "jobs.import.ecs.memory: 1,024 MiB do not go with 2,048 CPU units on Fargate; "
                    'write "4 GB" to "16 GB" in steps of 1'
                )
            ],
            id="memory that does not go with the default's CPU",
        ),
        pytest.param(
            {("defaults", "ecs", "launch_type"): '"EC2"', ("jobs", "import", "ecs", "cpu"): '"64"'},
            ['jobs.import.ecs.cpu: 64 CPU units are out of range; write from "128" to "196608"'],
            id="too little CPU on EC2",
        ),
        pytest.param(
            {
                ("defaults", "ecs", "cluster"): '"arn:aws:ecs:ap-northeast-1:123456789012:cluster/batch"',
                (
                    "jobs",
                    "report",
                    "ecs",
                    "task_definition",
                ): '"arn:aws:ecs:us-east-1:123456789012:task-definition/report:7"',
                ("jobs", "import", "ecs", "pass_roles"): '["arn:aws:iam::210987654321:role/batch"]',
                ("alerts", "topic"): '"arn:aws-cn:sns:cn-north-1:210987654321:alerts"',
            },
            [
                (
                    "jobs.report.ecs.task_definition: is in Region us-east-1, and defaults.ecs.cluster in ap-northeast-1; "
                    "a stage is in one Region: write ap-northeast-1, or give what is in us-east-1 a stage of its own"
                ),
                (
                    "jobs.import.ecs.pass_roles[0]: is in account 210987654321, and defaults.ecs.cluster in 123456789012; "
                    "a stage is in one account: write 123456789012, or give what is in 210987654321 a stage of its own"
                ),
                (
                    "alerts.topic: is in partition aws-cn, and defaults.ecs.cluster in aws; "
                    "a stage is in one partition: write aws, or give what is in aws-cn a stage of its own"
                ),
            ],
            id="ARNs of several places",
        ),
        pytest.param(
            {("defaults", "ecs", "subnets"): '["x"]', ("defaults", "ecs", "launch_type"): '"fargate"'},
            [
                'defaults.ecs.subnets[0]: "x" is not valid; write "subnet-0123abcd"',
                'defaults.ecs.launch_type: "fargate" is not valid; write "FARGATE", "EC2", "EXTERNAL", "MANAGED_INSTANCES" or "CLUSTER"',
            ],
            id="a fault of the defaults is not said again for every job",
        ),
        pytest.param(
            {("alerts", "skips_in_a_row"): "0"},
            [
                "alerts.skips_in_a_row: 0 is out of range; write a whole number from 1 to 1000",
                "alerts.topic: is missing; write the ARN of the SNS topic to tell",
            ],
            id="alerts to nobody",
        ),
    ],
)
def test_faults_that_depend_on_each_other(changes: dict[Place, str | None], expected: list[str]) -> None:
    assert faults(changes) == expected


def test_a_topic_may_be_another_accounts_in_the_same_region() -> None:
    file = read(
        {
            ("defaults", "ecs", "cluster"): '"arn:aws:ecs:us-east-1:123456789012:cluster/batch"',
            ("alerts", "topic"): '"arn:aws:sns:us-east-1:210987654321:alerts"',
        }
    )
    assert file.alerts is not None


# --- pools ------------------------------------------------------------------------------------------------

BOTH = ("defaults", "pool")
WATCHED = ("jobs", "report", "warn_after")


def test_a_job_that_names_no_pool_has_one_of_its_own_name() -> None:
    file = read()
    assert file.pools == ("report", "import")
    assert [file.members(pool) for pool in file.pools] == [(job,) for job in file.jobs.values()]
    assert not any(file.shared(pool) for pool in file.pools)


@pytest.mark.parametrize(
    ("changes", "members", "slots", "shared"),
    [
        pytest.param({BOTH: '"warehouse"'}, ["report", "import"], 1, True, id="two jobs, one slot"),
        pytest.param({BOTH: '"warehouse"', ("pools", "warehouse", "slots"): "3"}, ["report", "import"], 3, True, id="two jobs, three slots"),
        pytest.param({("jobs", "import", "pool"): '"warehouse"', ("pools", "warehouse", "slots"): "2"}, ["import"], 2, True, id="one job, two slots"),
        pytest.param({("jobs", "import", "pool"): '"warehouse"'}, ["import"], 1, True, id="one job, one slot, under another name"),
        pytest.param({("jobs", "import", "pool"): '"warehouse"', ("pools", "warehouse", "slots"): "1"}, ["import"], 1, True, id="one slot, written down"),
    ],
)  # fmt: skip
def test_who_is_in_a_pool(changes: Mapping[Place, str], members: list[str], slots: int, shared: bool) -> None:
    file = read(changes)
    assert [job.name for job in file.members("warehouse")] == members
    assert (file.slots_of("warehouse"), file.shared("warehouse")) == (slots, shared)


def test_a_pool_of_its_own_with_one_slot_written_down_is_nothing_more() -> None:
    file = read({("pools", "report", "slots"): "1", ("jobs", "report", "pool"): '"report"'})
    assert (file.jobs["report"].pool, file.slots_of("report"), file.shared("report")) == ("report", 1, False)


def test_a_pool_of_its_own_may_have_slots() -> None:
    file = read({("pools", "report", "slots"): "2"})
    assert (file.jobs["report"].pool, file.slots_of("report"), file.shared("report")) == ("report", 2, True)


@pytest.mark.parametrize("pool", [BOTH, ("jobs", "report", "pool")])
def test_a_job_of_a_pool_can_be_watched_for_its_scheduled_times_are_its_own(pool: Place) -> None:
    file = read({pool: '"warehouse"', ("pools", "warehouse", "slots"): "2", WATCHED: '"1d"'})
    assert (file.shared("warehouse"), file.jobs["report"].warn_after) == (True, 86400)


def test_a_time_of_day_may_be_one_of_toml() -> None:
    assert read({("jobs", "report", "expect_success_by"): "06:00:00"}).jobs["report"].expect_success_by == "06:00"


def test_what_is_expected_of_all_jobs_is_passed_over_by_one_without_a_schedule() -> None:
    by_hand: dict[Place, str | None] = {("jobs", "report", "schedule"): None}
    assert read({**by_hand, ("defaults", "warn_after"): '"2h"'}).jobs["import"].warn_after == 7200
    (said,) = faults({**by_hand, WATCHED: '"2h"'})
    expected = "jobs.report.warn_after: is of a job without a schedule; write schedule, or leave it out"
    assert said.endswith(expected)


def test_a_job_can_replace_its_runs_in_a_pool_of_one_slot() -> None:
    file = read({BOTH: '"warehouse"', ("pools", "warehouse", "slots"): "1", ("defaults", "overlap"): '"replace"'})
    assert file.jobs["report"].overlap == "replace"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({("pools", "warehouse", "slots"): "2"}, ['pools.warehouse: is a pool without jobs; write pool = "warehouse" in the jobs that must not run at the same time, or take it out'], id="a pool without jobs"),
        pytest.param({BOTH: '"warehouse"', ("pools", "report", "slots"): "2"}, ['pools.report: is a pool without jobs; the job of that name is in pool "warehouse": write [pools.warehouse], or take it out'], id="the pool of a job that is in another"),
        pytest.param({BOTH: '"warehouse"', ("pools", "warehouse", "slots"): "2", ("jobs", "import", "overlap"): '"replace"'}, ['jobs.import.overlap: "replace" is in a pool of 2 slots; write overlap = "queue" or "skip", or slots = 1: which of several runs would it stop?'], id="replace with several slots"),
        pytest.param({("pools", "report", "slots"): "2", ("jobs", "report", "overlap"): '"replace"'}, ['jobs.report.overlap: "replace" is in a pool of 2 slots; write overlap = "queue" or "skip", or slots = 1: which of several runs would it stop?'], id="replace with several slots of its own"),
        pytest.param({("jobs", "report", "pool"): '"import"', ("jobs", "import", "pool"): '"warehouse"'}, ['jobs.report.pool: "import" is the name of a job, which has a pool of its own; take another name for the pool'], id="a pool of the name of a job elsewhere"),
        pytest.param({BOTH: '"import"'}, ['jobs.report.pool: "import" is the name of a job, which has a pool of its own; take another name for the pool'], id="a pool of the name of one of its jobs"),
        pytest.param({BOTH: '"Warehouse"'}, ['defaults.pool: "Warehouse" is not valid; write a name like a job\'s: lower case letters, digits and single hyphens'], id="a name in upper case"),
        pytest.param({BOTH: '"warehouse--2"'}, ['defaults.pool: "warehouse--2" is not valid; write a name like a job\'s: lower case letters, digits and single hyphens'], id="a name like another pool's slot"),
        pytest.param({BOTH: '""'}, ['defaults.pool: "" is not valid; write a name like a job\'s: lower case letters, digits and single hyphens'], id="an empty name"),
        pytest.param({("pools", "report", "slots"): "0"}, ["pools.report.slots: 0 is out of range; write a whole number from 1 to 9"], id="no slot"),
        pytest.param({("pools", "report", "slots"): "10"}, ["pools.report.slots: 10 is out of range; write a whole number from 1 to 9"], id="ten slots"),
        pytest.param({("pools", "report", "slots"): '"2"'}, ["pools.report.slots: is a string, not an integer; write a whole number from 1 to 9"], id="slots as a text"),
        pytest.param({("pools", "report", "slot"): "2"}, ['pools.report.slot: is not a known key; did you mean "slots"?'], id="a misspelt key"),
        pytest.param({("pools", "report"): "2"}, ["pools.report: is an integer, not a table; write it as a table, [pools.report]"], id="a number for a pool"),
        pytest.param({("stage", "history_days"): "90", ("jobs", "report", "slots"): "2"}, ["jobs.report.slots: is not a known key; known here: "], id="slots of a job: they are the pool's"),
    ],
)  # fmt: skip
def test_faults_of_pools(changes: Mapping[Place, str], expected: list[str]) -> None:
    said = faults(changes)
    assert len(said) == len(expected)
    assert all(line.startswith(start) for line, start in zip(said, expected, strict=True)), said


@pytest.mark.parametrize(
    ("pool", "stage", "slots", "expected"),
    [
        pytest.param("p" * 64, "dev", 1, None, id="as long as the machine's name allows"),
        pytest.param("p" * 65, "dev", 1, "jobs.report.pool: the state machine's name would have 81 characters and AWS takes 80; make the pool's name at least 1 shorter", id="longer"),
        pytest.param("p" * 61, "dev", 9, None, id="as long as a further slot's name allows"),
        pytest.param("p" * 62, "dev", 2, "jobs.report.pool: the state machine's name would have 81 characters and AWS takes 80; make the pool's name at least 1 shorter", id="longer with a slot's number"),
    ],
)  # fmt: skip
def test_names_of_pools_that_aws_would_not_take(pool: str, stage: str, slots: int, expected: str | None) -> None:
    text = toml({**SOUND, ("jobs", "report", "pool"): f'"{pool}"', ("pools", pool, "slots"): str(slots)})
    if expected is None:
        assert pool in parse(text, stage=stage, place="x").pools
        return
    with pytest.raises(JobsFileInvalid) as invalid:
        parse(text, stage=stage, place="x")
    (line,) = lines_of(invalid.value)
    assert line.startswith(f"x:{expected}")


@pytest.mark.parametrize(("length", "slots", "fits"), [(23, 1, True), (20, 9, True), (21, 2, False)])
def test_a_pool_of_a_jobs_own_name_may_get_too_long_with_a_slots_number(length: int, slots: int, fits: bool) -> None:
    name = "j" * length
    text = toml(
        {
            ("defaults", "ecs", "launch_type"): '"EC2"',
            ("defaults", "ecs", "cluster"): '"batch"',
            ("jobs", name, "ecs", "container"): '"app"',
            ("jobs", name, "ecs", "task_definition"): '"x"',
            ("pools", name, "slots"): str(slots),
        }
    )
    if fits:
        assert parse(text, stage="s" * 44, place="x").slots_of(name) == slots
        return
    with pytest.raises(JobsFileInvalid) as invalid:
        parse(text, stage="s" * 44, place="x")
    said = "the state machine's name would have 81 characters and AWS takes 80; make the pool's name at least 1 shorter"
    assert lines_of(invalid.value) == [f"x:pools.{name}: {said}"]


# --- two jobs that are one batch --------------------------------------------------------------------------

REPORT = ("jobs", "report")
IMPORT = ("jobs", "import")
ONE_FAMILY: Mapping[Place, str] = {(*IMPORT, "ecs", "task_definition"): '"report:8"'}
ARN = '"arn:aws:ecs:us-east-1:123456789012:cluster/batch"'
SAME = (
    "jobs.import.ecs: is the same batch as jobs.report: the {}, family report on cluster batch; "
    "nothing would keep the two apart; "
    'write pool = "report-pool" in both, or write them as one job with two schedules'
)
FAMILY = (
    'jobs.import.outsiders: "family" is what jobs.report says of family report on cluster batch, too; '
    'neither counts the other; write pool = "report-pool" in both, or outsiders = "command"'
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, SAME.format("task definition's own command"), id="both leave the command to the task definition"),
        pytest.param({(*REPORT, "ecs", "command"): '["x"]'}, None, id="one has a command"),
        pytest.param({(*REPORT, "ecs", "command"): '["x"]', (*IMPORT, "ecs", "command"): '["y"]'}, None, id="two commands"),
        pytest.param({(*REPORT, "ecs", "command"): '["x"]', (*IMPORT, "ecs", "command"): '["x"]'}, SAME.format("same command"), id="one command"),
        pytest.param({(*REPORT, "ecs", "command"): '["x"]', (*IMPORT, "ecs", "command"): '["x"]', (*IMPORT, "ecs", "container"): '"side"'}, None, id="one command in two containers"),
        pytest.param({(*IMPORT, "ecs", "container"): '"side"'}, SAME.format("task definition's own command"), id="no command in two containers"),
        pytest.param({(*IMPORT, "ecs", "cluster"): ARN}, SAME.format("task definition's own command"), id="one cluster by name and by ARN"),
        pytest.param({(*IMPORT, "ecs", "cluster"): '"other"'}, None, id="two clusters"),
        pytest.param({(*IMPORT, "ecs", "task_definition"): '"import"'}, None, id="two families"),
        pytest.param({(*IMPORT, "ecs", "environment"): '{ A = "b" }', (*IMPORT, "enabled"): "false", (*IMPORT, "outsiders"): '"ignore"'}, SAME.format("task definition's own command"), id="whatever else is different"),
        pytest.param({("defaults", "outsiders"): '"family"', (*REPORT, "ecs", "command"): '["x"]'}, FAMILY, id="any task of the family, twice"),
        pytest.param({("defaults", "outsiders"): '"family"', (*IMPORT, "ecs", "cluster"): '"other"'}, None, id="of two clusters"),
        pytest.param({(*REPORT, "outsiders"): '"family"', (*REPORT, "ecs", "command"): '["x"]'}, None, id="any task of the family, once"),
        pytest.param({("defaults", "pool"): '"warehouse"'}, None, id="one pool keeps the two apart"),
        pytest.param({(*REPORT, "pool"): '"one"', (*IMPORT, "pool"): '"two"'}, SAME.format("task definition's own command").replace("report-pool", "two"), id="two pools do not"),
        pytest.param({("defaults", "outsiders"): '"family"', ("defaults", "pool"): '"warehouse"', (*REPORT, "ecs", "command"): '["x"]'}, None, id="one pool, so that each counts the other's family"),
        pytest.param({("defaults", "outsiders"): '"family"', (*REPORT, "pool"): '"warehouse"', (*REPORT, "ecs", "command"): '["x"]'}, FAMILY.replace("report-pool", "warehouse"), id="one of them in a pool, and any task of the family twice"),
    ],
)  # fmt: skip
def test_two_jobs_that_are_one_batch_are_a_fault(changes: Mapping[Place, str], expected: str | None) -> None:
    if expected is None:
        assert len(read({**ONE_FAMILY, **changes}).jobs) == 2
    else:
        assert faults({**ONE_FAMILY, **changes}) == [expected]


def family(name: str) -> dict[Place, str | None]:
    """Both jobs are the same batch of this family."""
    return {(*job, "ecs", "task_definition"): f'"{name}"' for job in (REPORT, IMPORT)}


def third(name: str, *, pool: str | None = None) -> dict[Place, str | None]:
    """One more job, of a family of its own."""
    return {
        ("jobs", name, "ecs", "task_definition"): '"other"',
        ("jobs", name, "ecs", "container"): '"app"',
        ("jobs", name, "pool"): f'"{pool}"' if pool else None,
    }


@pytest.mark.parametrize(
    ("changes", "advised"),
    [
        pytest.param(family("nightly"), "nightly", id="the family's name"),
        pytest.param(family("report"), "report-pool", id="which is a job's"),
        pytest.param({**family("report"), **third("report-pool")}, "report-pool-2", id="and so is that"),
        pytest.param({**family("nightly"), **third("x", pool="nightly")}, "nightly-pool", id="which is another pool's"),
        pytest.param({**family("nightly"), (*REPORT, "pool"): '"warehouse"'}, "warehouse", id="the pool of one of them"),
        pytest.param({**family("nightly"), (*IMPORT, "pool"): '"warehouse"'}, "warehouse", id="the pool of the other"),
        pytest.param(family("Nightly_Report__v2-"), "nightly-report-v2", id="in the letters of a pool's name"),
        pytest.param(family("2026-close"), "close", id="which begins with a letter"),
        pytest.param(family("__"), "shared", id="a family without a letter"),
        pytest.param(family("f" * 255), "f" * 56, id="as long as its machines' names allow"),
    ],
)  # fmt: skip
def test_the_pool_that_two_jobs_of_one_batch_are_advised_to_name_is_one_that_they_may(
    changes: dict[Place, str | None], advised: str
) -> None:
    (said,) = faults(changes)
    assert f'write pool = "{advised}" in both' in said
    followed: dict[Place, str | None] = {
        **changes,
        (*REPORT, "pool"): f'"{advised}"',
        (*IMPORT, "pool"): f'"{advised}"',
    }
    file = read({**followed, ("pools", advised, "slots"): "9"})
    assert [job.name for job in file.members(advised)] == ["report", "import"]


@pytest.mark.parametrize(
    ("written", "units"),
    [
        pytest.param("512", "512", id="units"),
        pytest.param("0.5 vCPU", "512", id="half a vCPU"),
        pytest.param(".5vcpu", "512", id="without a space, in lower case"),
        pytest.param("16 vCPU", "16384", id="the most that Fargate has"),
    ],
)
def test_cpu_is_handed_over_as_a_whole_number(written: str, units: str) -> None:
    assert read({("jobs", "report", "ecs", "cpu"): f'"{written}"'}).jobs["report"].ecs.cpu == units


@pytest.mark.parametrize(
    ("written", "units"),
    [
        pytest.param("1024", "1024", id="MiB"),
        pytest.param("0.5 GB", "512", id="half a GB"),
        pytest.param("120GB", "122880", id="the most that Fargate has"),
    ],
)
def test_memory_is_handed_over_as_a_whole_number(written: str, units: str) -> None:
    assert read({("jobs", "report", "ecs", "memory"): f'"{written}"'}).jobs["report"].ecs.memory == units


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Report", id="upper case"),
        pytest.param("1st", id="a digit first"),
        pytest.param("report-", id="a hyphen last"),
        pytest.param("nightly--report", id="a double hyphen"),
        pytest.param("nightly_report", id="an underscore"),
    ],
)
def test_names_that_are_not_job_names(name: str) -> None:
    job: dict[Place, str | None] = {
        ("jobs", name, "ecs", "container"): '"app"',
        ("jobs", name, "ecs", "task_definition"): '"x"',
    }
    (line,) = faults(job)
    assert line.startswith(f'jobs.{name}: "{name}" is not a job name; a letter, then')


@pytest.mark.parametrize(
    ("length", "stage", "expected"),
    [
        pytest.param(54, "dev", None, id="as long as a guard execution's name allows"),
        pytest.param(55, "dev", "the guard execution's name would have 81 characters and AWS takes 80", id="longer"),
        pytest.param(50, "s" * 17, None, id="as long as a state machine's name allows"),
        pytest.param(50, "s" * 18, "the state machine's name would have 81 characters and AWS takes 80", id="too long"),
    ],
)
def test_names_that_aws_would_not_take(length: int, stage: str, expected: str | None) -> None:
    name = "j" * length
    text = toml(
        {(place if place[:2] != ("jobs", "report") else ("jobs", name, *place[2:])): t for place, t in SOUND.items()}
    )
    if expected is None:
        assert name in parse(text, stage=stage, place="x").jobs
        return
    with pytest.raises(JobsFileInvalid) as invalid:
        parse(text, stage=stage, place="x")
    assert str(invalid.value) == f"x:jobs.{name}: {expected}; make the job's name at least 1 shorter"


@pytest.mark.parametrize(
    ("stage", "wrong"),
    [
        pytest.param("dev-1", "not a stage name", id="a hyphen"),
        pytest.param("Dev", "not a stage name", id="upper case"),
        pytest.param("", "not a stage name", id="nothing"),
        pytest.param("../dev", "not a stage name", id="a path"),
        pytest.param("s" * 45, "65 characters and AWS takes 64", id="too long for a function's name"),
    ],
)
def test_names_that_are_not_stage_names(stage: str, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(JobsFileInvalid, match=wrong):
        parse(toml(SOUND), stage=stage, place="x")
    with pytest.raises(JobsFileInvalid, match=wrong):
        load(stage, tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "[jobs.a]\nx = = 1", "x.toml:line 2, column 5: is not TOML: Invalid value, in: x = = 1; ", id="a slip"
        ),
        pytest.param(
            "[jobs.a]\n[jobs.a]",
            "x.toml:line 2, column 8: is not TOML: Cannot declare ('jobs', 'a') twice, in: [jobs.a]; ",
            id="a job twice",
        ),
        pytest.param("x =", "x.toml:end of document: is not TOML: ", id="cut off"),
        pytest.param("x = " + "9" * 5000, "x.toml:file: is not TOML: ", id="a number too long for Python"),
        pytest.param("", "x.toml:jobs: has no job; write one, [jobs.nightly-report]", id="an empty file"),
        pytest.param("jobs = 3", "x.toml:jobs: is an integer, not a table; ", id="jobs that are a number"),
        pytest.param("defaults = 3\n[jobs]", "x.toml:defaults: is an integer, not a table; ", id="so the defaults"),
    ],
)
def test_files_that_are_no_jobs_files(text: str, expected: str) -> None:
    with pytest.raises(JobsFileInvalid) as invalid:
        parse(text, stage="dev", place="x.toml")
    assert str(invalid.value).startswith(expected)


# --- files ------------------------------------------------------------------------------------------------


def test_the_example_is_sound() -> None:
    file = load("dev")
    assert list(file.jobs) == ["nightly-report", "hourly-import"]


def test_loads_from_another_directory(tmp_path: Path) -> None:
    (tmp_path / "qa.toml").write_bytes(b"\xef\xbb\xbf" + toml(SOUND).replace("\n", "\r\n").encode())
    assert load("qa", tmp_path).stage == "qa"


def test_a_missing_file_names_the_stages_that_exist(tmp_path: Path) -> None:
    with pytest.raises(JobsFileInvalid, match=r'prod.toml:stage: "prod" has no jobs file; no stage has one yet'):
        load("prod", tmp_path)
    for each in ("qa", "dev"):
        (tmp_path / f"{each}.toml").touch()
    with pytest.raises(JobsFileInvalid, match=r'"prod" has no jobs file; the stages that exist: dev, qa$'):
        load("prod", tmp_path)


def test_a_file_that_can_not_be_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").mkdir()
    with pytest.raises(JobsFileInvalid, match=r"dev.toml:file: can't be read: Is a directory; "):
        load("dev", tmp_path)


def test_the_faults_of_every_stage_are_told_at_once(tmp_path: Path) -> None:
    for each in ("dev", "qa", "prod"):
        (tmp_path / f"{each}.toml").write_text(toml(SOUND), encoding="utf-8")
    assert [file.stage for file in load_all(tmp_path)] == ["dev", "prod", "qa"]
    (tmp_path / "dev.toml").write_text("[stage]\nhistory_days = 7\n" + toml(SOUND), encoding="utf-8")
    (tmp_path / "qa.toml").write_text("[jobs", encoding="utf-8")
    with pytest.raises(JobsFileInvalid) as invalid:
        load_all(tmp_path)
    assert [line.partition(".toml:")[0].rpartition("/")[2] for line in lines_of(invalid.value)] == ["dev", "qa"]


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_bytes("# Größe".encode("latin-1"))
    with pytest.raises(JobsFileInvalid, match=r"dev.toml:file: byte 4 is not UTF-8; save the file as UTF-8"):
        load("dev", tmp_path)
