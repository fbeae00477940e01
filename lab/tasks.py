"""A fake ECS in a time of its own: what tasks do, and how late AWS's reads may be."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lab.language import Json, StatesError, Steps

_LOOKS = timedelta(seconds=2)
"""How often a step that waits for its task looks at it."""


@dataclass
class RunningTask:
    """One ECS task, as it is now. Times are UTC."""

    arn: str
    cluster: str
    family: str
    overrides: Json
    created_at: datetime
    stopped_at: datetime | None = None
    told_at: datetime | None = None
    started_by: str | None = None
    exit_code: int | None = None
    stop_code: str = ""
    stopped_reason: str = ""
    wake: Callable[[float], None] | None = None
    """Lets the step that waits for it look again, so many seconds from now."""

    @property
    def environment(self) -> dict[str, str]:
        """Of the first container override."""
        return {v["name"]: v["value"] for v in self.overrides["containerOverrides"][0].get("environment", [])}


@dataclass
class Program:
    """What a task does: runs so long, and ends like this."""

    seconds: float = 60
    exit_code: int | None = 0
    stop_code: str = "EssentialContainerExited"
    reason: str = "Essential container in task exited"


class Tasks:
    """The tasks, and RunTask, StopTask, ListTasks and DescribeTasks. What may go wrong is a field that a test sets."""

    now: datetime

    def __init__(self) -> None:
        self.tasks: list[RunningTask] = []
        self.run_task_answers: list[Any] = []
        """For the next calls of RunTask: a `Program`, or a `StatesError`."""
        self.run_task_fails: Callable[[], StatesError | None] = lambda: None
        """What RunTask answers at this moment, if nothing is planned for the call."""
        self.starts_despite_error: set[str] = set()
        """Errors of RunTask after which a task was started all the same."""
        self.program = Program()
        self.ecs_hides = timedelta(0)
        """For how long ECS hides a task that was started, and shows one that stopped as RUNNING."""
        self.stop_takes = 5.0
        """Seconds from StopTask to STOPPED."""
        self.loses_stopping = False
        """A task that was told to stop, and has not stopped yet, is on no list."""
        self.deaf = False
        """A step that waits for a task does not hear of its end."""
        self._number = itertools.count(1)

    def at(self, seconds: float, happens: Callable[[], Any]) -> int:
        raise NotImplementedError

    def _asleep(self, execution: Any) -> Callable[[float], None]:
        """What wakes it before what it waits for has passed."""
        raise NotImplementedError

    def _refused(self, call: str) -> bool:
        raise NotImplementedError

    def _ask(self, call: str) -> None:
        raise NotImplementedError

    @property
    def most_at_once(self) -> int:
        """How many tasks were alive at once, at most."""
        return self.most_of(lambda _task: True)

    def most_of(self, which: Callable[["RunningTask"], bool]) -> int:
        """How many of these tasks were alive at once, at most."""
        mine = [task for task in self.tasks if which(task)]

        def alive(moment: datetime) -> int:
            return sum(t.created_at <= moment and (t.stopped_at is None or moment < t.stopped_at) for t in mine)

        return max((alive(task.created_at) for task in mine), default=0)

    def task_by_hand(
        self, cluster: str, family: str, program: Program, started_by: str | None = None, **environment: str
    ) -> RunningTask:
        """Start a task past the guard."""
        override = {"name": "app", "environment": [{"name": k, "value": v} for k, v in environment.items()]}
        task = self._new_task(cluster, family, {"containerOverrides": [override]}, program)
        task.started_by = started_by
        return task

    def _run_task(self, execution: Any, arguments: Json, timeout: float) -> Steps:
        if self._refused("RunTask"):
            raise StatesError("ECS.AmazonECSException", "Rate exceeded (Service: AmazonECS; ThrottlingException)")
        answer = self.run_task_answers.pop(0) if self.run_task_answers else self.run_task_fails() or self.program
        camel = _camel(arguments)
        family = camel["taskDefinition"].rpartition("/")[2].partition(":")[0]
        if isinstance(answer, StatesError) and answer.error not in self.starts_despite_error:
            raise answer
        program = answer if isinstance(answer, Program) else self.program
        task = self._new_task(camel["cluster"], family, camel["overrides"], program)
        if isinstance(answer, StatesError):
            raise answer
        end = self.now + timedelta(seconds=timeout)
        while self.now < end:
            task.wake = None
            if task.stopped_at is not None and not self.deaf:
                said = self._as_step_functions_says(task)
                if task.exit_code == 0:
                    return said
                raise StatesError("States.TaskFailed", json.dumps(said))
            left = (end - self.now).total_seconds()
            if task.stopped_at is None:  # until then there is nothing to see, and none of these looks is played
                task.wake = self._asleep(execution)
                yield left
            else:
                yield min(_LOOKS.total_seconds(), left)
        task.wake = None
        raise StatesError("States.Timeout", "")

    def _new_task(self, cluster: str, family: str, overrides: Json, program: Program) -> RunningTask:
        arn = f"arn:aws:ecs:us-east-1:123456789012:task/{cluster}/{next(self._number):032x}"
        task = RunningTask(arn, cluster, family, overrides, self.now)
        self.tasks.append(task)
        self.at(program.seconds, lambda: self._ends(task, program.exit_code, program.stop_code, program.reason))
        return task

    def _ends(self, task: RunningTask, exit_code: int | None, stop_code: str, reason: str) -> None:
        if task.stopped_at is None:
            task.stopped_at, task.exit_code = self.now, exit_code
            task.stop_code, task.stopped_reason = stop_code, reason
            if task.wake is not None:
                task.wake(((task.created_at - self.now) % _LOOKS).total_seconds())

    def stop_task(self, arn: str, exit_code: int = 143) -> None:
        """StopTask: the task ends some seconds later."""
        task = next(t for t in self.tasks if t.arn == arn)
        task.told_at = task.told_at or self.now
        self.at(self.stop_takes, lambda: self._ends(task, exit_code, "UserInitiated", "stopped by a person"))

    def _as_step_functions_says(self, task: RunningTask) -> Json:
        container = {"Name": "app"} | ({} if task.exit_code is None else {"ExitCode": task.exit_code})
        return {
            "TaskArn": task.arn,
            "LastStatus": "STOPPED",
            "StopCode": task.stop_code,
            "StoppedReason": task.stopped_reason,
            "Containers": [container],
        }

    def list_tasks(self, *, cluster: str, family: str, desiredStatus: str, **_: Any) -> Json:  # noqa: N803 (AWS's)
        """ListTasks, as boto3 answers."""
        self._ask("ListTasks")
        mine = [t for t in self.tasks if (t.cluster, t.family) == (cluster, family)]
        shown = [t for t in mine if self.now - t.created_at >= self.ecs_hides]
        if self.loses_stopping:
            shown = [t for t in shown if t.told_at is None or self._status(t) == "STOPPED"]
        desired = [t for t in shown if (self._status(t) == "RUNNING") == (desiredStatus == "RUNNING")]
        return {"taskArns": [t.arn for t in desired]}

    def describe_tasks(self, *, cluster: str, tasks: list[str]) -> Json:
        """DescribeTasks, as boto3 answers."""
        return {"tasks": [self._described(t) for t in self.tasks if t.arn in tasks]}

    def describe_task_definition(self, **_: Any) -> Json:
        """DescribeTaskDefinition, as boto3 answers."""
        return {"taskDefinition": {"containerDefinitions": [{"name": "app", "command": ["bin/default"]}]}}

    def _status(self, task: RunningTask) -> str:
        if task.stopped_at is None or self.now - task.stopped_at < self.ecs_hides:
            return "RUNNING"
        return "STOPPED"

    def _described(self, task: RunningTask) -> Json:
        status = self._status(task)
        container = {"name": "app"} | ({} if task.exit_code is None else {"exitCode": task.exit_code})
        stopped = {"stoppedAt": task.stopped_at, "stopCode": task.stop_code, "stoppedReason": task.stopped_reason}
        return {
            "taskArn": task.arn,
            "taskDefinitionArn": f"arn:aws:ecs:us-east-1:123456789012:task-definition/{task.family}:1",
            "lastStatus": status,
            "createdAt": task.created_at,
            **({"startedBy": task.started_by} if task.started_by else {}),
            "overrides": task.overrides,
            "containers": [container],
            **(stopped if status == "STOPPED" else {}),
        }


def _camel(value: Any) -> Any:
    """Keys as boto3 has them, where the integration has PascalCase."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _camel(inner) for key, inner in value.items()}
    return [_camel(inner) for inner in value] if isinstance(value, list) else value
