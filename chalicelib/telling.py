"""What people are told, and under which name.

What is told is an execution of a machine that publishes it: ``told-<job>-<kind>-<hour>``. So it is told once an hour,
whoever finds it first, without a store, and also while the checker is down. The guard and the batch machines start it
on the way to such an end; what no state passes (late, recovered, a run aborted in the console) the trigger does.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from chalicelib.contract import Telling, ToldInput, cut, wire
from chalicelib.decide.facts import stamp
from chalicelib.decide.local_time import local, localised
from chalicelib.names import Told, machine_arn, telling_machine, told_name

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

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


def why(file: "JobsFile", job: "Job", scheduled_at: datetime) -> str:
    """The command that says what became of a scheduled time."""
    return f"guardctl why {job.name} {stamp(scheduled_at)} --stage {file.stage}"


def logs(file: "JobsFile", job: "Job", run: str) -> str:
    """The command that shows what a run's task has written."""
    return f"guardctl logs {job.name} {run} --stage {file.stage}"


def _telling(
    file: "JobsFile", kinds: tuple[Told, ...], at: datetime, function_arn: str, command: str, more: str = ""
) -> Telling:
    machine = machine_arn(function_arn, telling_machine(file.stage))
    return Telling(machine=machine, kinds=kinds, **_said(file, at, command, more))


def _said(file: "JobsFile", at: datetime, command: str, more: str) -> dict[str, Any]:
    """The fields of a `contract.Said`."""
    zone = ZoneInfo(file.timezone)
    offset = at.astimezone(zone).utcoffset() or timedelta(0)
    return {
        "at": local(at, zone),
        "zone": at.astimezone(zone).strftime("%Z"),
        "offset_minutes": offset // timedelta(minutes=1),  # whole ones, as every zone of our times has
        "command": command,
        "more": localised(more, zone),
    }


class Teller(NamedTuple):
    """The one place where the trigger starts an execution that tells people something. All it uses is passed in."""

    jobs: "JobsFile"
    function_arn: str
    client: "SFNClient"
    now: Callable[[], datetime]

    def tell(
        self,
        kind: Told,
        job: "Job",
        hour: datetime,
        words: str,
        *,
        scheduled_at: datetime | None = None,
        command: str = "",
        execution: str | None = None,
        more: str = "",
    ) -> bool:
        """Tell people of a job, unless it has been told in that hour, or nobody asked to be told.

        Args:
            kind: What is told.
            job: Of which job.
            hour: An instant of the hour that has one such message; for what happened, when it happened, so that
                several ticks tell it once.
            words: The reason; instants in it as `facts.stamp` writes them.
            scheduled_at: The time that it is about; now if there is none.
            command: What to type next; ``guardctl status`` if there is nothing better.
            execution: The ARN of what it is about, for the link.
            more: More sentences, likewise.

        Returns:
            Whether this call told it. Raises what StartExecution raises, but for a name that is taken.
        """
        if kind not in self.jobs.tells(job):
            return False
        command = command or f"guardctl status {job.name} --stage {self.jobs.stage}"
        said = ToldInput(
            kind=kind,
            job=job.name,
            execution=execution,
            reason=localised(cut(words), ZoneInfo(self.jobs.timezone)),
            **_said(self.jobs, scheduled_at or self.now(), command, more),
        )
        try:
            self.client.start_execution(
                stateMachineArn=machine_arn(self.function_arn, telling_machine(self.jobs.stage)),
                name=told_name(job.name, kind, hour),
                input=json.dumps(wire(said), sort_keys=True),
            )
        except self.client.exceptions.ExecutionAlreadyExists:
            return False
        return True
