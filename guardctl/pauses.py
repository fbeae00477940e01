"""Pausing a job without a deployment: an open execution that says in its input why, and who paused.

It needs no store, costs a start no call that it would not make anyway, and survives deployments. A job that has its
pool to itself is paused by ``paused-000001`` of its batch machine, any other by ``<job>-paused-…`` of the machine of
those who wait. It ends when `resume` stops it, at the time it was given, or after a year (AWS's limit).
"""

import json
import math
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from chalicelib.decide.facts import Execution, stamp
from chalicelib.names import parse_guard_name, pause_name, pause_number, pool_pause_name
from chalicelib.read.aws import NotDeployed
from chalicelib.read.executions import PAGE_SIZE, StepFunctions, all_running
from chalicelib.values import dataclass
from guardctl.errors import AWS, Stop
from guardctl.ledger import Record
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.wording import local, localised

_TRIES = 20

LONGEST = timedelta(days=364)
"""AWS ends an execution after a year (Step Functions quotas)."""


@dataclass(frozen=True)
class Pause:
    """A pause in force. Times are UTC."""

    name: str
    since: datetime
    reason: str
    until: datetime | None = None
    """When it ends by itself, if it was told to."""

    @property
    def told(self) -> str:
        """Since when, until when and why, with instants as `stamp` writes them."""
        until = f" until {stamp(self.until)}" if self.until else ""
        return f"since {stamp(self.since)}{until}: {self.reason}"


def current(stage: Stage, job: str) -> Pause | None:
    open_ones = in_force(job, _open(stage, job))
    return described(Reader(stage), open_ones[0]) if open_ones else None


def described(reader: Reader, execution: Execution) -> Pause:
    """What the execution of a pause says."""
    found = reader.execution(execution.arn)
    reason = found.input.get("reason") if found else None
    until = _until(found) if found else None
    return Pause(execution.name, execution.started_at, str(reason or "no reason is visible"), until)


def pause(stage: Stage, job: str, reason: str, until: datetime | None, now: datetime) -> Pause:
    """Pause the job. Raises `Stop` if it is paused already, and for a time that is past or too far."""
    zone = stage.zone
    if until and not now < until <= now + LONGEST:
        wrong = "is past" if until <= now else f"is more than {LONGEST.days} days ahead, and AWS ends it after a year"
        raise Stop(f"--until {local(until, zone)} {wrong}")
    if there := current(stage, job):
        told = localised(f"{job} is paused already, {there.told}", zone)
        raise Stop(f"{told}; for another reason, first: {stage.command('resume', job)}")
    said = f"{reason} ({stage.who})"
    client = stage.stepfunctions
    if stage.shared(job):
        event = {"job": job, "paused": True, "reason": said, **({"until": stamp(until)} if until else {})}
        name = pool_pause_name(job, secrets.token_hex(6))
        answer = client.start_execution(stateMachineArn=stage.waiting, name=name, input=json.dumps(event))
        return Pause(name, answer["startDate"], reason, until)
    return _begin(stage, job, said, reason, until, now)


def _begin(stage: Stage, job: str, said: str, reason: str, until: datetime | None, now: datetime) -> Pause:
    """The pause of a job that has its pool to itself."""
    client = stage.stepfunctions
    page = StepFunctions(client).page(stage.machine(job)).executions
    latest = max((pause_number(e.name) or 0 for e in page), default=0)
    seconds = {"seconds": math.ceil((until - now).total_seconds())} if until else {}
    given = json.dumps({"paused": True, "reason": said, **seconds})
    for number in range(latest + 1, latest + 1 + _TRIES):  # older pauses may have left the page
        try:
            answer = client.start_execution(stateMachineArn=stage.machine(job), name=pause_name(number), input=given)
        except client.exceptions.ExecutionAlreadyExists:
            continue
        return Pause(pause_name(number), answer["startDate"], reason, until)
    raise Stop(
        f"the names up to {pause_name(latest + _TRIES)} are taken, but the list does not show them: try again", AWS
    )


def keep_in_sight(stage: Stage, job: str, now: datetime) -> None:
    """Begin the job's pause anew before the runs that are started all the same push it off the page.

    A start reads the newest hundred executions, running ones among them by when they began (ListExecutions, API
    reference). In a shared pool pauses have a list of their own.
    """
    steps = StepFunctions(stage.stepfunctions)
    if stage.shared(job) or in_force(job, steps.page(stage.machine(job)).executions[: PAGE_SIZE // 2]):
        return
    reader, old = Reader(stage), in_force(job, _open(stage, job))
    # The list may be old news: what somebody has resumed a moment ago stays so.
    old = [each for each in old if (found := reader.execution(each.arn)) and found.status == "RUNNING"]
    known = described(reader, old[0]) if old else None
    if known is None or (known.until and known.until <= now):
        return
    new = _begin(stage, job, known.reason, known.reason, known.until, now)
    _end(stage, old, f"goes on as {new.name}")


def resume(stage: Stage, job: str) -> list[str]:
    """End every pause of the job and return their names; none if it was not paused."""
    found = in_force(job, _open(stage, job))
    _end(stage, found, f"resumed by {stage.caller}")
    return [execution.name for execution in found]


def _end(stage: Stage, pauses: Iterable[Execution], cause: str) -> None:
    for execution in pauses:
        with suppress(stage.stepfunctions.exceptions.ValidationException):  # it has just ended by itself
            stage.stepfunctions.stop_execution(executionArn=execution.arn, cause=cause)


def in_force(job: str, executions: Iterable[Execution]) -> list[Execution]:
    """The pauses of the job among these executions of its batch machine, or of the one of those who wait."""
    return [e for e in executions if not e.closed and (pause_number(e.name) is not None or _is_of(job, e.name))]


def waiting(stage: Stage) -> tuple[Execution, ...]:
    """Who waits for, or pauses a job of, the stage's shared pools: the open executions, all pages."""
    return all_running(StepFunctions(stage.stepfunctions), stage.waiting)


def _open(stage: Stage, job: str) -> tuple[Execution, ...]:
    """Raises `Stop` for a job that is not deployed."""
    try:
        if stage.shared(job):
            return waiting(stage)
        return StepFunctions(stage.stepfunctions).page(stage.machine(job), only_running=True).executions
    except NotDeployed as error:
        raise Stop(f"{job} is not deployed; first: {stage.command('deploy')}", AWS) from error


def _is_of(job: str, name: str) -> bool:
    said = parse_guard_name(name)
    return said is not None and (said.job, said.kind) == (job, "pause")


def _until(found: Record) -> datetime | None:
    seconds, until = found.input.get("seconds"), found.input.get("until")
    if isinstance(seconds, int):
        return found.started_at + timedelta(seconds=seconds)
    return datetime.fromisoformat(until) if isinstance(until, str) else None
