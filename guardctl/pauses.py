"""Pausing a job without a deployment: an open execution ``paused-000001`` of its batch machine.

It needs no store and costs a start nothing to see, since the checker reads the page of executions anyway; it
survives deployments, and says in its input why. It ends when `resume` stops it, or after a year (AWS's limit).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from chalicelib.decide.facts import Execution
from chalicelib.names import pause_name, pause_number
from chalicelib.read.executions import StepFunctions
from guardctl.errors import AWS, Stop
from guardctl.stage import Stage
from guardctl.wording import local

_TRIES = 20


@dataclass(frozen=True)
class Pause:
    """A pause in force. `since` is UTC."""

    name: str
    since: datetime
    reason: str


def current(stage: Stage, job: str) -> Pause | None:
    """The job's pause; None if it is not paused."""
    executions = StepFunctions(stage.stepfunctions)
    for execution in in_force(executions.page(stage.machine(job), only_running=True).executions):
        details = executions.details(execution.arn)
        return Pause(execution.name, execution.started_at, (details and details.reason) or "no reason is visible")
    return None


def pause(stage: Stage, job: str, reason: str) -> Pause:
    """Pause the job. Raises `Stop` if it is paused already."""
    page = StepFunctions(stage.stepfunctions).page(stage.machine(job)).executions
    if there := current(stage, job):
        since = local(there.since, ZoneInfo(stage.job(job).timezone))
        raise Stop(
            f"{job} is paused already, since {since}: {there.reason}; "
            f"for another reason, first: {stage.command('resume', job)}"
        )
    event = json.dumps({"paused": True, "reason": f"{reason} ({stage.who})"})
    latest = max((pause_number(e.name) or 0 for e in page), default=0)
    for number in range(latest + 1, latest + 1 + _TRIES):  # older pauses may have left the page
        try:
            answer = stage.stepfunctions.start_execution(
                stateMachineArn=stage.machine(job), name=pause_name(number), input=event
            )
        except stage.stepfunctions.exceptions.ExecutionAlreadyExists:
            continue
        return Pause(pause_name(number), answer["startDate"], reason)
    raise Stop(
        f"the names up to {pause_name(latest + _TRIES)} are taken, but the list does not show them: try again", AWS
    )


def resume(stage: Stage, job: str) -> list[str]:
    """End every pause of the job and return their names; none if it was not paused."""
    found = in_force(StepFunctions(stage.stepfunctions).page(stage.machine(job), only_running=True).executions)
    for execution in found:
        stage.stepfunctions.stop_execution(executionArn=execution.arn, cause=f"resumed by {stage.caller}")
    return [execution.name for execution in found]


def in_force(executions: Iterable[Execution]) -> list[Execution]:
    """The pauses on a page of a batch machine that have not been ended."""
    return [e for e in executions if not e.closed and pause_number(e.name) is not None]
