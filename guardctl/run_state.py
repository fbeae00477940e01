"""What an open run is at, where its status does not tell: waiting for room in ECS, or without a task. Only reads."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from chalicelib.decide.facts import Execution, stamp
from chalicelib.decide.overlap import without_a_task
from chalicelib.read import tasks
from chalicelib.read.executions import StepFunctions
from chalicelib.values import dataclass
from guardctl.stage import Stage

ROOM = "Wait for room"
"""The state of batch.asl.json in which a run waits until ECS may have room."""

_EVENTS = 20


@dataclass(frozen=True)
class RunState:
    """An open run's newest task, and what somebody should know of the run."""

    task: str | None
    """The ARN of its task; None while ECS shows none."""
    concern: str = ""
    """Why there is no live task, with the command that helps, if any."""


def look(stage: Stage, job: str, run: Execution, now: datetime, ecs: tasks.Ecs | None = None) -> RunState:
    """What this open run is at. Raises what `chalicelib.read.aws.reading` raises."""
    details = StepFunctions(stage.stepfunctions).details(run.arn)
    if details is None or details.target is None:
        return RunState(None)
    shown = tasks.tasks_of(ecs or stage.tasks, details.target, run.arn)
    newest = max((t for t in shown if t.created_at), key=lambda t: (t.alive, t.created_at), default=None)
    if newest and newest.alive:
        return RunState(newest.arn)
    if stuck := without_a_task(shown, details, now):
        return RunState(newest.arn if newest else None, f"{stuck}; end the run: {stage.command('stop', job)}")
    answer = stage.stepfunctions.get_execution_history(
        executionArn=run.arn, reverseOrder=True, maxResults=_EVENTS, includeExecutionData=True
    )
    if why := waits_for_room(answer["events"]):
        return RunState(None, f"waiting for capacity since {stamp(run.started_at)}: {why}")
    return RunState(newest.arn if newest else None)


def waits_for_room(newest_first: Iterable[Mapping[str, Any]]) -> str | None:
    """ECS's last answer, if these events of a run's history say that it waits for room; None if they don't."""
    events = list(newest_first)
    entered = next((e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e), "")
    if entered != ROOM:
        return None
    for event in events:
        for key, said in event.items():
            if key.endswith("FailedEventDetails") and said.get("error"):
                return f"{said['error']}: {said.get('cause', '')}"[:300]
    return "ECS has no room"
