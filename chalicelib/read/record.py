"""Since when a job has had the schedule it has: what the deployment records, and a late start asks.

A job that was deployed, or got another schedule, at 03:02 must not start at 03:04 for 03:00. State machines and
functions don't say when a *schedule* changed; so the stack has a parameter per job whose value is the schedule.
CloudFormation touches it only when that value changes, and its LastModifiedDate is the answer.
"""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.decide import calendars
from chalicelib.decide.facts import stamp
from chalicelib.decide.schedule import bounded, parse_schedule, ruled
from chalicelib.read.aws import reading
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

    from chalicelib.config.jobs import Job
    from chalicelib.decide.calendars import Calendar


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
    if job.schedules and (rule := job.schedules[0].rule):
        days: dict[str, Any] = {"days": digest(rule.calendar)}
        days |= {"business_day": rule.business_day} if rule.business_day else {"on_holiday": rule.on_holiday}
        said["calendar"] = days
    return json.dumps(said)


def digest(calendar: "Calendar") -> str:
    """What stands for a calendar's days in a record: a parameter has 4,096 characters (AWS), and they may have more."""
    own = [sorted(calendar.weekend), sorted(calendar.also), sorted(calendar.excepted)]
    data = calendars.read(calendar.data) if calendar.data else None
    held = [*map(str, (data.first, data.last)), *sorted(data.names)] if data else []
    return hashlib.sha256(json.dumps([own, held]).encode()).hexdigest()[:16]


def with_schedules_of(job: "Job", recorded: str) -> "Job":
    """The job as `recorded_as` recorded it. Raises ValueError, KeyError or TypeError for what nobody has recorded.

    Of a calendar only a digest is recorded: the days are those of this checkout; if they are others, `guardctl status`
    says that the record is. ValueError if the job has no calendar here.
    """
    said = json.loads(recorded)
    start, end = (datetime.fromisoformat(said[bound]) if bound in said else None for bound in ("start", "end"))
    schedules = bounded(map(parse_schedule, said["schedule"]), start, end)
    if about := said.get("calendar"):
        if job.calendar is None:
            raise ValueError("it is recorded with a calendar, and has none here")
        rule = calendars.DayRule(job.calendar, about.get("on_holiday", "run"), about.get("business_day", 0))
        schedules = ruled(schedules, rule)
    return replace(job, schedules=schedules, timezone=said["timezone"], enabled=said["enabled"])


def read(client: "SSMClient", name: str) -> Record:
    """The record in the parameter `name`. Errors are those of `chalicelib.read.aws.reading`."""
    with reading("ssm:GetParameter", name):
        parameter = client.get_parameter(Name=name)["Parameter"]
        return of(parameter)


def of(parameter: Any) -> Record:
    """The record in a parameter as Systems Manager shows it."""
    return Record(parameter["Value"], parameter["LastModifiedDate"].astimezone(UTC))
