"""Closing what is open before its machine is removed: guards, waiters, pauses, runs, and the runs' tasks.

On AWS a machine that is deleted stays in DELETING while an execution of it waits, and a task that its run was waiting
for lives on unseen. Nothing here needs the jobs file, which no longer has a job that is being removed: a run's own
input says where its task is. Called again after an interruption, it finds what is left.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.decide.facts import CLOCKS, TASK_LAG, Execution, Target, newest_run
from chalicelib.names import execution_arn, parse_guard_name, pause_number, run_number, waits_after
from chalicelib.read import tasks
from chalicelib.read.executions import StepFunctions
from guardctl.interrupts import finishing
from guardctl.stacks import Say
from guardctl.stage import Stage

_POLL_SECONDS = 2.0
_SIDE_BY_SIDE = 4
_ORDER = ("guard", "waiter", "pause", "run", "task")


@dataclass(frozen=True)
class Open:
    """One thing that is open. `kind` says what it is, in the order in which they are closed."""

    kind: str
    arn: str
    name: str
    machine: str
    target: Target | None = None
    """Of a run, and of the task that one has left: where its task is."""
    ended: datetime | None = None
    """Of a task that a run has left: when that run ended (UTC)."""

    def __str__(self) -> str:
        if self.kind == "task":
            return f"the task of {self.name} of {self.machine}"
        return f"{self.name} of {self.machine} ({self.kind})"


def look(stage: Stage, machines: Iterable[str], jobs: Collection[str] | None = None) -> list[Open]:
    """What is open of these batch machines (ARNs), and on the guard machine of these jobs; of all of them for None."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        of_machines = [*pool.map(lambda machine: [*_of_batch(stage, machine)], machines)]
    found = [*_of_guard(stage, jobs), *(one for several in of_machines for one in several)]
    return sorted(found, key=lambda one: _ORDER.index(one.kind))


Look = Callable[[], list[Open]]
"""The same look again."""


def close(stage: Stage, found: list[Open], again: Look, cause: str, say: Say, progress: Say) -> None:
    """Stop everything that is open, and wait until no task of a run is alive. Raises what AWS refuses.

    What one has begun just before it was stopped shows on the next look; so it is looked until nothing is open.
    """
    ended: dict[str, tuple[Open, datetime]] = {}
    while found:
        for one in found:
            if one.kind != "task":
                with finishing():
                    stopped_at = _stop(stage, one.arn, cause)
                say(f"stopped {one}")
            else:
                stopped_at = one.ended or datetime.now(UTC)
            if one.target:
                ended.setdefault(one.arn, (one, stopped_at))
        _await_tasks(stage, [*ended.values()], cause, progress)
        found = [one for one in again() if one.arn not in ended]


def _of_guard(stage: Stage, jobs: Collection[str] | None) -> Iterator[Open]:
    for execution in _running(stage, stage.guard):
        parsed = parse_guard_name(execution)
        if jobs is None or (parsed and parsed.job in jobs):
            kind = "waiter" if waits_after(execution) else "guard"
            yield Open(kind, execution_arn(stage.guard, execution), execution, stage.guard.rpartition(":")[2])


def _of_batch(stage: Stage, machine: str) -> Iterator[Open]:
    executions, name = StepFunctions(stage.stepfunctions), machine.rpartition(":")[2]
    for running in _running(stage, machine):
        arn = execution_arn(machine, running)
        if pause_number(running):
            yield Open("pause", arn, running, name)
            continue
        details = executions.details(arn) if run_number(running) else None
        yield Open("run", arn, running, name, details.target if details else None)
    with suppress(stage.stepfunctions.exceptions.StateMachineDoesNotExist):
        page = stage.stepfunctions.list_executions(stateMachineArn=machine, maxResults=100)
        seen = [
            Execution(e["executionArn"], e["name"], e["status"], e["startDate"], e.get("stopDate"))
            for e in page["executions"]
        ]
        newest = newest_run(seen)
        if newest and newest.closed and newest.status != "SUCCEEDED":
            details = executions.details(newest.arn)
            clean = details and (details.error or "").startswith("BatchGuard.")
            if details and details.target and not clean and _alive(stage, details.target, newest.arn):
                yield Open("task", newest.arn, newest.name, name, details.target, newest.stopped_at)


def _running(stage: Stage, machine: str) -> list[str]:
    """The names of a machine's running executions; none if there is no such machine."""
    try:
        pages = stage.stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=machine, statusFilter="RUNNING"
        )
        return [execution["name"] for page in pages for execution in page["executions"]]
    except stage.stepfunctions.exceptions.StateMachineDoesNotExist:
        return []


def _stop(stage: Stage, arn: str, cause: str) -> datetime:
    """Stop an execution, and say when it ended (UTC): now, or before, on its own."""
    try:
        return stage.stepfunctions.stop_execution(executionArn=arn, cause=cause)["stopDate"].astimezone(UTC)
    except stage.stepfunctions.exceptions.ValidationException:
        ended = stage.stepfunctions.describe_execution(executionArn=arn).get("stopDate")
        return ended.astimezone(UTC) if ended else datetime.now(UTC)


def _alive(stage: Stage, target: Target, run: str) -> list[str]:
    return [task.arn for task in tasks.tasks_of(stage.tasks, target, run) if task.alive]


def _await_tasks(stage: Stage, runs: list[tuple[Open, datetime]], cause: str, progress: Say) -> None:
    """Stop the runs' tasks until none is alive. ECS may hide one that was just started for so long as `TASK_LAG`."""
    told: set[str] = set()
    waiting = runs
    while waiting:
        left = []
        for one, ended in waiting:
            if one.target is None:
                continue
            seen = tasks.tasks_of(stage.tasks, one.target, one.arn)
            alive = {task.arn for task in seen if task.alive}
            for arn in alive - told:
                with finishing():
                    stage.ecs.stop_task(cluster=one.target.cluster, task=arn, reason=cause[:255])
                    told.add(arn)
            known = any(t.arn in told or (t.stopped_at and t.stopped_at >= ended - CLOCKS) for t in seen)
            if alive or not (known or datetime.now(UTC) - ended >= TASK_LAG):
                left.append((one, ended))
        waiting = left
        if waiting:
            progress(f"waiting until the task of {', '.join(one.name for one, _ in waiting)} is STOPPED")
            time.sleep(_POLL_SECONDS)
