"""Starting a job by hand through its guard, and waiting for what becomes of it."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chalicelib.decide.facts import stamp
from chalicelib.names import LAST_REPETITION, by_hand_name, execution_arn, execution_name, repetition_name
from guardctl.errors import AWS, Stop
from guardctl.stage import Stage

_POLL_SECONDS = 1.0
_SHOWN_SECONDS = 60.0


@dataclass(frozen=True)
class Verdict:
    """What became of a guard execution: the run it started, or why it did not."""

    started: bool
    run: str | None
    """The run's ARN."""
    reason: str
    waiter: str | None = None
    """The ARN of the guard execution that waits in the queue in its stead."""


def start(
    stage: Stage,
    job: str,
    *,
    commands: list[str] | None = None,
    scheduled_at: datetime | None = None,
    first: bool = False,
    anyway: bool = False,
) -> str:
    """Start a guard execution by hand and return its ARN. It decides on its own, whether or not anyone waits."""
    event: dict[str, Any] = {"job": job}
    if commands:
        event["commands"] = commands
    if scheduled_at:
        event["scheduled_at"] = stamp(scheduled_at)
    if first:
        event["first"] = True
    if anyway:
        event["anyway"] = True
    errors = stage.stepfunctions.exceptions
    for name in _names(job, scheduled_at):
        try:
            answer = stage.stepfunctions.start_execution(
                stateMachineArn=stage.guard, name=name, input=json.dumps(event)
            )
            return answer["executionArn"]
        except errors.ExecutionAlreadyExists:
            continue
        except errors.StateMachineDoesNotExist as error:
            raise Stop(
                f"stage {stage.name} is not deployed here: {stage.guard} does not exist; "
                f"deploy it with: python -m guardctl deploy --stage {stage.name}",
                AWS,
            ) from error
    raise Stop(f"{job} has been started by hand {LAST_REPETITION} times for {stamp(scheduled_at or datetime.now(UTC))}")


def _names(job: str, scheduled_at: datetime | None) -> Iterator[str]:
    """Names to try: a repetition is to be found by the time that it is for (`guardctl why`)."""
    if scheduled_at is None or scheduled_at.second or scheduled_at.microsecond:
        yield by_hand_name(job, secrets.token_hex(6))
        return
    for number in range(1, LAST_REPETITION + 1):
        yield repetition_name(job, scheduled_at, number)


def verdict(stage: Stage, guard_execution: str, waiting: Callable[[], None]) -> Verdict:
    """Wait for the guard execution to end (seconds, or the job's grace) and say what it decided."""
    ended = _ended(stage, guard_execution, waiting)
    if ended["status"] == "SUCCEEDED":
        output = json.loads(ended["output"])
        if output.get("outcome") == "started":
            run = execution_arn(output["state_machine_arn"], output["run"])
            return Verdict(True, run, f"started {output['run']}")
        if output.get("outcome") == "queued":
            reason = f"waits in the queue as {output['waiter']}: {output['reason']}"
            return Verdict(False, None, reason, execution_arn(stage.guard, output["waiter"]))
        return Verdict(False, None, output.get("reason", ended["output"]))
    return Verdict(False, None, f"{ended.get('error') or ended['status']}: {ended.get('cause') or 'no cause given'}")


def outcome(stage: Stage, run: str, waiting: Callable[[], None]) -> tuple[bool, str]:
    """Wait for a run to end: whether it succeeded, and a sentence."""
    ended = _ended(stage, run, waiting)
    name = execution_name(run)
    seconds = round((ended["stopDate"] - ended["startDate"]).total_seconds())
    if ended["status"] == "SUCCEEDED":
        return True, f"{name} succeeded after {seconds} s"
    return (
        False,
        f"{name} {ended['status']} after {seconds} s: {ended.get('error') or ''} {ended.get('cause') or ''}",
    )


def _ended(stage: Stage, arn: str, waiting: Callable[[], None]) -> Any:
    begun = time.monotonic()
    missing = stage.stepfunctions.exceptions.ExecutionDoesNotExist
    while True:
        try:
            answer = stage.stepfunctions.describe_execution(executionArn=arn)
        except missing:  # it has been started; DescribeExecution is eventually consistent
            if time.monotonic() - begun > _SHOWN_SECONDS:
                raise
        else:
            if answer["status"] != "RUNNING":
                return answer
        waiting()
        time.sleep(_POLL_SECONDS)
