"""RunTask's arguments for one run of a job, as Step Functions wants them: keys in PascalCase at every level.

A test compares the keys with the service's own model (botocore's, for ECS).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.config.members import pascal
from chalicelib.decide import words
from chalicelib.decide.facts import stamp

if TYPE_CHECKING:
    from chalicelib.config.jobs import Ecs, Job

Json = dict[str, Any]


def run_task(
    job: Job,
    *,
    number: int,
    scheduled_at: datetime,
    nominal_at: datetime | None = None,
    commands: Sequence[str] | None = None,
    slot: int | None = None,
) -> Json:
    """The arguments. The batch machine adds BATCH_EXECUTION to the environment of the first container override.

    `nominal_at`: of a time that a holiday moved, when it would have been (UTC).
    """
    ecs = job.ecs
    arguments: Json = {"Cluster": ecs.cluster, "TaskDefinition": ecs.task_definition}
    if ecs.capacity_provider:
        arguments["CapacityProviderStrategy"] = [{"CapacityProvider": ecs.capacity_provider}]
    if ecs.launch_type:
        arguments["LaunchType"] = ecs.launch_type
    if ecs.platform_version:
        arguments["PlatformVersion"] = ecs.platform_version
    if ecs.subnets:
        arguments["NetworkConfiguration"] = {"AwsvpcConfiguration": _network(ecs)}
    if ecs.propagate_tags:
        arguments["PropagateTags"] = "TASK_DEFINITION"
    if ecs.managed_tags:
        arguments["EnableECSManagedTags"] = True
    business_date = _business_date(job, nominal_at or scheduled_at)
    batch = {
        "BATCH_JOB": job.name,
        "BATCH_RUN_NUMBER": str(number),
        "BATCH_SCHEDULED_AT": stamp(scheduled_at),
        "BATCH_LOCAL_DATE": f"{words.local_date(scheduled_at, job.timezone):%Y-%m-%d}",
        **({"BATCH_BUSINESS_DATE": f"{business_date:%Y-%m-%d}"} if business_date else {}),
        **({"BATCH_SLOT": str(slot)} if slot is not None else {}),
    }
    arguments["Overrides"] = overrides(
        ecs, {**ecs.environment, **batch}, commands or _command(job, scheduled_at, business_date)
    )
    return _merged(pascal(ecs.run_task), arguments)


def _business_date(job: Job, nominal_at: datetime) -> date | None:
    """That of the time as the schedule has it: a month's end that moved into the next month is still that month's."""
    return job.calendar.nearest(words.local_date(nominal_at, job.timezone).date(), -1) if job.calendar else None


def _command(job: Job, scheduled_at: datetime, business_date: date | None) -> tuple[str, ...] | None:
    """The job's own command for this time; None leaves it to the task definition."""
    own = job.ecs.command
    return words.for_time(own, scheduled_at, job.timezone, business_date) if own else None


def length_of_overrides(arguments: Mapping[str, Any], execution: str) -> int:
    """Characters of the overrides with BATCH_EXECUTION in them, JSON's own included, as ECS counts them (RunTask)."""
    added = {"Name": "BATCH_EXECUTION", "Value": execution}
    return len(_compact(arguments["Overrides"])) + len(_compact(added)) + 1


def overrides(ecs: Ecs, environment: Mapping[str, str], command: Sequence[str] | None) -> Json:
    """The overrides of a task, with this environment and command; its own container's stands first."""
    given = pascal(ecs.run_task.get("overrides", {}))
    containers = given.pop("ContainerOverrides", [])
    container: Json = {
        **next((each for each in containers if each["Name"] == ecs.container), {}),
        "Name": ecs.container,
        "Environment": [{"Name": name, "Value": value} for name, value in environment.items()],
    }
    if command:
        container["Command"] = list(command)
    whole = {"Cpu": ecs.cpu, "Memory": ecs.memory, "TaskRoleArn": ecs.task_role, "ExecutionRoleArn": ecs.execution_role}
    others = [each for each in containers if each["Name"] != ecs.container]
    return {
        **given,
        "ContainerOverrides": [container, *others],
        **{key: value for key, value in whole.items() if value},
    }


def _merged(given: Json, ours: Json) -> Json:
    """Both, level by level; where they meet, ours stands."""
    both = given.keys() & ours.keys()
    inner = {key: _merged(given[key], ours[key]) for key in both if isinstance(given[key], dict)}
    return {**given, **ours, **inner}


def _network(ecs: Ecs) -> Json:
    network: Json = {"Subnets": list(ecs.subnets)}
    if ecs.security_groups:
        network["SecurityGroups"] = list(ecs.security_groups)
    network["AssignPublicIp"] = "ENABLED" if ecs.assign_public_ip else "DISABLED"
    return network


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
