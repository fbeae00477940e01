"""What people are told, and under which name. Pure.

What is told is an execution of a machine that publishes it: ``told-<job>-<kind>-<hour>``. So it is told once an hour,
whoever finds it first, without a store, and also while the checker is down. The guard and the batch machines start it
on the way to such an end; what no state passes (late, recovered, a run aborted in the console) the trigger does.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from chalicelib.contract import Telling, ToldInput, cut
from chalicelib.decide.facts import stamp
from chalicelib.decide.local_time import local, localised
from chalicelib.names import Told, machine_arn, telling_machine

if TYPE_CHECKING:
    from chalicelib.config.jobs import Job, JobsFile

OF_A_START: tuple[Told, ...] = ("skipped", "not_started")
"""What the guard machine tells."""


def of_start(file: "JobsFile", job: "Job", scheduled_at: datetime, function_arn: str) -> Telling | None:
    """Whom to tell that a scheduled start did not start; None if nobody is, as for a job in shadow."""
    kinds = tuple(kind for kind in file.tells(job) if kind in OF_A_START)
    if not kinds or job.enabled == "shadow":
        return None
    return _telling(file, kinds, scheduled_at, function_arn, why(file, job, scheduled_at))


def of_run(
    file: "JobsFile", job: "Job", run: str, scheduled_at: datetime, function_arn: str, more: str = ""
) -> Telling | None:
    """Whom to tell that a run failed; None if nobody is."""
    if "failed" not in file.tells(job):
        return None
    return _telling(file, ("failed",), scheduled_at, function_arn, logs(file, job, run), more)


def by_trigger(
    file: "JobsFile",
    job: "Job",
    kind: Told,
    reason: str,
    *,
    scheduled_at: datetime,
    command: str,
    execution: str | None = None,
    more: str = "",
) -> ToldInput:
    """What the trigger tells of a job. Instants in `reason` and `more` may be as `facts.stamp` writes them."""
    zone = ZoneInfo(file.timezone)
    return ToldInput(
        kind=kind,
        job=job.name,
        at=local(scheduled_at, zone),
        zone=_name(scheduled_at, zone),
        offset_minutes=_offset(scheduled_at, zone),
        command=command,
        more=localised(more, zone),
        execution=execution,
        reason=localised(cut(reason), zone),
    )


def why(file: "JobsFile", job: "Job", scheduled_at: datetime) -> str:
    """The command that says what became of a scheduled time."""
    return f"guardctl why {job.name} {stamp(scheduled_at)} --stage {file.stage}"


def logs(file: "JobsFile", job: "Job", run: str) -> str:
    """The command that shows what a run's task has written."""
    return f"guardctl logs {job.name} {run} --stage {file.stage}"


def status(file: "JobsFile", job: "Job") -> str:
    """The command that says how a job stands."""
    return f"guardctl status {job.name} --stage {file.stage}"


def _telling(
    file: "JobsFile", kinds: tuple[Told, ...], at: datetime, function_arn: str, command: str, more: str = ""
) -> Telling:
    zone = ZoneInfo(file.timezone)
    return Telling(
        machine=machine_arn(function_arn, telling_machine(file.stage)),
        kinds=kinds,
        at=local(at, zone),
        zone=_name(at, zone),
        offset_minutes=_offset(at, zone),
        command=command,
        more=localised(more, zone),
    )


def _name(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Z")


def _offset(at: datetime, zone: ZoneInfo) -> int:
    """Whole minutes, as every zone of our times has."""
    return (at.astimezone(zone).utcoffset() or timedelta(0)) // timedelta(minutes=1)
