"""Since when a job has had the schedule it has: what the deployment records, and a late start asks.

A job that was deployed, or got another schedule, at 03:02 must not start at 03:04 for 03:00. State machines and
functions don't say when a *schedule* changed; so the stack has a parameter per job whose value is the schedule.
CloudFormation touches it only when that value changes, and its LastModifiedDate is the answer.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.decide.facts import stamp
from chalicelib.decide.schedule import bounded, parse_schedule
from chalicelib.read.aws import reading

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

    from chalicelib.config.jobs import Job


@dataclass(frozen=True, slots=True)
class Record:
    """What the deployment recorded of a job's schedule, and when (UTC)."""

    schedule: str
    since: datetime


def recorded_as(job: "Job") -> str:
    """The parameter's value: all that decides when the job is due. The bounds are those of each of its schedules."""
    expressions = [schedule.expression for schedule in job.schedules]
    said: dict[str, Any] = {"schedule": expressions, "timezone": job.timezone, "enabled": job.enabled}
    for bound in ("start", "end"):  # left out when there is none, so that a record of an older release stays as it is
        if job.schedules and (moment := getattr(job.schedules[0], bound)):
            said[bound] = stamp(moment)
    return json.dumps(said)


def with_schedules_of(job: "Job", recorded: str) -> "Job":
    """The job as `recorded_as` recorded it. Raises ValueError, KeyError or TypeError for what nobody has recorded."""
    said = json.loads(recorded)
    start, end = (datetime.fromisoformat(said[bound]) if bound in said else None for bound in ("start", "end"))
    schedules = bounded(map(parse_schedule, said["schedule"]), start, end)
    return replace(job, schedules=schedules, timezone=said["timezone"], enabled=said["enabled"])


def read(client: "SSMClient", name: str) -> Record:
    """The record in the parameter `name`. Errors are those of `chalicelib.read.aws.reading`."""
    with reading("ssm:GetParameter", name):
        parameter = client.get_parameter(Name=name)["Parameter"]
        return of(parameter)


def of(parameter: Any) -> Record:
    """The record in a parameter as Systems Manager shows it."""
    return Record(parameter["Value"], parameter["LastModifiedDate"].astimezone(UTC))
