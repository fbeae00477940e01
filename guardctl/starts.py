"""Starting a job by hand through its guard, and waiting for what becomes of it."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from chalicelib.decide.facts import stamp
from chalicelib.names import (
    LAST_REPETITION,
    by_hand_name,
    execution_arn,
    execution_name,
    machine_of,
    repetition_name,
    run_number,
)
from chalicelib.parsing import parse_object
from chalicelib.values import dataclass
from guardctl import pauses
from guardctl.errors import AWS, Stop
from guardctl.ledger import Record
from guardctl.records import described
from guardctl.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_POLL_SECONDS = 1.0
_SHOWN_SECONDS = 60.0
_LOOKS = 5
"""So often a run that an interrupted start had asked for is looked for, a second apart."""


@dataclass(frozen=True)
class Verdict:
    """What became of a guard execution: the run it started, or why it did not."""

    run: str | None
    """The ARN of the run that it started."""
    reason: str
    waiter: str | None = None
    """The ARN of the guard execution that waits in the queue for it."""
    error: str | None = None
    """Of a start that started nothing: ``BatchGuard.AlreadyRunning``."""


def start(
    stage: Stage,
    job: str,
    *,
    commands: list[str] | None = None,
    scheduled_at: datetime | None = None,
    first: bool = False,
    after: int | None = None,
    anyway: bool = False,
    reason: str | None = None,
) -> str:
    """Start a guard execution by hand and return its ARN. It decides on its own, whether or not anyone waits.

    Its input says who asked for it, and why if they said so.
    """
    said = {
        "reason": reason,
        "commands": commands,
        "scheduled_at": scheduled_at and stamp(scheduled_at),
        "first": first,
        "first_after": after,
        "anyway": anyway,
    }
    event = json.dumps({"job": job, "by": stage.who} | {key: value for key, value in said.items() if value})
    errors = stage.stepfunctions.exceptions
    if anyway:
        pauses.keep_in_sight(stage, job, datetime.now(UTC))
    for name in _names(job, scheduled_at):
        arn = stage.guard_execution(name)
        if scheduled_at and _input_of(stage, arn) is not None:
            continue
        try:
            answer = stage.stepfunctions.start_execution(stateMachineArn=stage.guard, name=name, input=event)
            return answer["executionArn"]
        except errors.ExecutionAlreadyExists:
            # Nobody had it a moment ago: botocore tries again when an answer is lost, and meets what it has made.
            if _input_of(stage, arn) == event:
                return arn
        except errors.StateMachineDoesNotExist as error:
            raise Stop(
                f"stage {stage.name} is not deployed here: {stage.guard} does not exist; "
                f"deploy it with: {stage.command('deploy')}",
                AWS,
            ) from error
    raise Stop(f"{job} has been started by hand {LAST_REPETITION} times for {stamp(scheduled_at or datetime.now(UTC))}")


def _input_of(stage: Stage, guard_execution: str) -> str | None:
    """None if there is no such execution."""
    try:
        return stage.stepfunctions.describe_execution(executionArn=guard_execution).get("input")
    except stage.stepfunctions.exceptions.ExecutionDoesNotExist:
        return None


def _names(job: str, scheduled_at: datetime | None) -> Iterator[str]:
    """Names to try: a repetition is to be found by the time that it is for (`guardctl why`)."""
    if scheduled_at is None or scheduled_at.second or scheduled_at.microsecond:
        yield by_hand_name(job, secrets.token_hex(6))
        return
    for number in range(1, LAST_REPETITION + 1):
        yield repetition_name(job, scheduled_at, number)


def verdict(stage: Stage, guard_execution: str, sleep: Callable[[float], None] = time.sleep) -> Verdict:
    """Wait for the guard execution to end (seconds, or the job's grace) and say what it decided."""
    return _verdict(_ended(stage, guard_execution, sleep))


def _verdict(ended: Record) -> Verdict:
    if ended.status != "SUCCEEDED":
        return Verdict(None, f"{ended.error or ended.status}: {ended.cause or 'no cause given'}", error=ended.error)
    if run := ended.started_run:
        return Verdict(run, f"started {execution_name(run)}")
    if waiter := ended.waiter:
        return Verdict(None, f"waits in the queue as {execution_name(waiter)}: {ended.output['reason']}", waiter)
    return Verdict(None, ended.output.get("reason", json.dumps(ended.output)), error=ended.output.get("error"))


def outcome(stage: Stage, run: str, sleep: Callable[[float], None] = time.sleep) -> tuple[bool, str]:
    """Wait for a run to end: whether it succeeded, and a sentence."""
    ended = _ended(stage, run, sleep)
    seconds = round(((ended.stopped_at or ended.started_at) - ended.started_at).total_seconds())
    if ended.status == "SUCCEEDED":
        return True, f"{ended.name} succeeded after {seconds} s"
    return False, f"{ended.name} {ended.status} after {seconds} s: {ended.error or ''} {ended.cause or ''}"


def abandon(stage: Stage, guard_execution: str, sleep: Callable[[float], None] = time.sleep) -> Verdict:
    """Stop a start that has not been decided, and say what became of it.

    A run, or a place in the queue, that it had asked for when it was stopped may be there: it is looked for.
    """
    with suppress(stage.stepfunctions.exceptions.ValidationException):  # it ended on its own meanwhile
        stage.stepfunctions.stop_execution(executionArn=guard_execution, cause=f"interrupted by {stage.who}")
    ended = _ended(stage, guard_execution, sleep)
    if ended.status != "ABORTED":
        return _verdict(ended)
    unseen = ""
    for arn in asked_for(stage.stepfunctions, guard_execution):
        found = _shown(stage, arn, sleep)
        name = execution_name(arn)
        if found is None:
            unseen = f", but it had asked for {name}, which Step Functions does not show (yet)"
        elif found.input.get("guard_execution") == guard_execution:
            if run_number(name):
                return Verdict(arn, f"started {name}")
            return Verdict(None, f"waits in the queue as {name}", arn)
    return Verdict(None, f"the start was stopped{unseen or ' before it started anything'}")


def left(stage: Stage, job: str, found: Verdict) -> str:
    """What an interrupted command leaves behind, and how to see it and to end it."""
    if found.run:
        name = execution_name(found.run)
        look, stop = stage.command("status", job), stage.command("stop", job)
        return f"{name} was started and goes on: {look}; stop it with: {stop}"
    if found.waiter:
        return (
            f"{execution_name(found.waiter)} waits in the queue and goes on: {stage.command('status', job)}; "
            f"end it with: aws stepfunctions stop-execution --execution-arn {found.waiter}"
        )
    return found.reason


def now(stage: Stage, waiter: Verdict) -> Verdict:
    """What has become of a start that waits in the queue by now; the same verdict while it waits."""
    answer = stage.stepfunctions.describe_execution(executionArn=waiter.waiter or "")
    return waiter if answer["status"] == "RUNNING" else _verdict(described(answer))


def asked_for(client: "SFNClient", guard_execution: str) -> list[str]:
    """The ARNs of the runs and waiters that a guard execution has asked Step Functions for, from its history."""
    pages = client.get_paginator("get_execution_history").paginate(executionArn=guard_execution)
    beside = machine_of(guard_execution)
    asked = []
    for page in pages:
        for event in page["events"]:
            if event["type"] == "TaskStateEntered":
                decision = parse_object(event["stateEnteredEventDetails"].get("input")).get("decision") or {}
                if decision.get("outcome") == "start":
                    asked.append(execution_arn(decision["state_machine_arn"], decision["next_run"]))
                elif decision.get("outcome") == "queue":
                    asked.append(execution_arn(decision.get("waiter_machine", beside), decision["waiter"]))
    return asked


def _shown(stage: Stage, arn: str, sleep: Callable[[float], None]) -> Record | None:
    """The description of an execution that may be new; None if it does not appear (DescribeExecution may lag)."""
    for look in range(_LOOKS):
        if look:
            sleep(_POLL_SECONDS)
        with suppress(stage.stepfunctions.exceptions.ExecutionDoesNotExist):
            return described(stage.stepfunctions.describe_execution(executionArn=arn))
    return None


def _ended(stage: Stage, arn: str, sleep: Callable[[float], None] = time.sleep) -> Record:
    unseen = 0
    missing = stage.stepfunctions.exceptions.ExecutionDoesNotExist
    while True:
        try:
            found = described(stage.stepfunctions.describe_execution(executionArn=arn))
        except missing:  # it has been started; DescribeExecution is eventually consistent
            unseen += 1
            if unseen * _POLL_SECONDS > _SHOWN_SECONDS:
                raise
        else:
            if found.status != "RUNNING":
                return found
        sleep(_POLL_SECONDS)
