"""Closing what is open before its machine is removed: guards, waiters, pauses, runs, and the runs' tasks.

On AWS a machine that is deleted stays in DELETING while an execution of it waits, and a task that its run was waiting
for lives on unseen. Nothing here needs the jobs file, which no longer has a job that is being removed: a run's own
input says where its task is. Called again after an interruption, it finds what is left.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

from chalicelib.decide.facts import CLEAN, CLOCKS, TASK_LAG, Execution, Target, Task, newest_run
from chalicelib.names import execution_name, machine_of, parse_guard_name, pause_number, run_number, waits_after
from chalicelib.read import tasks
from chalicelib.read.aws import NotDeployed
from chalicelib.read.executions import Page, StepFunctions, all_running
from chalicelib.values import dataclass
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
    target: Target | None = None
    """Of a run, and of the task that one has left: where its task is."""
    ended: datetime | None = None
    """Of a task that a run has left: when that run ended (UTC)."""

    @property
    def name(self) -> str:
        return execution_name(self.arn)

    def __str__(self) -> str:
        where = f"{self.name} of {machine_of(self.arn).rpartition(':')[2]}"
        return f"the task of {where}" if self.kind == "task" else f"{where} ({self.kind})"


@dataclass(frozen=True)
class Standing:
    """How some machines stand."""

    opened: list[Open]
    last_runs: dict[str, int]
    """A batch machine's ARN → the number of its last run; none for one that never ran."""


def look(stage: Stage, machines: Collection[str], jobs: Collection[str] | None = None) -> Standing:
    """How these batch machines (ARNs) stand, and the guard machine for these jobs; for all of them for None."""

    def one(machine: str) -> tuple[list[Open], int]:
        page = _page(stage, machine)
        opened = [*_of_batch(stage, machine, page)]
        names = [*(each.name for each in page.executions), *(each.name for each in opened)]
        return opened, max((run_number(name) or 0 for name in names), default=0)

    opened = [*_of_guard(stage, jobs)]  # first: what it begins before it ends is then seen on its machine
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        found = dict(zip(machines, pool.map(one, machines), strict=True))
    opened += [each for its, _ in found.values() for each in its]
    opened.sort(key=lambda each: _ORDER.index(each.kind))
    return Standing(opened, {machine: number for machine, (_, number) in found.items() if number})


def close(
    stage: Stage, found: list[Open], again: Callable[[], list[Open]], cause: str, say: Say, progress: Say
) -> None:
    """Stop everything that is open, and wait until no task of a run is alive. Raises what AWS refuses.

    What one has begun just before it was stopped shows on the next look; so it is looked until nothing is open.
    """
    ended: dict[str, tuple[Open, datetime]] = {}
    while found:
        for one in found:
            if one.kind != "task":
                with finishing():
                    stopped_at = stop(stage, one.arn, cause)
                say(f"stopped {one}")
            else:
                stopped_at = one.ended or datetime.now(UTC)
            if one.target:
                ended.setdefault(one.arn, (one, stopped_at))
        _await_tasks(stage, [*ended.values()], cause, progress)
        found = [one for one in again() if one.arn not in ended]


def _of_guard(stage: Stage, jobs: Collection[str] | None) -> Iterator[Open]:
    for execution in running(stage, stage.guard):
        said = parse_guard_name(execution.name)
        if jobs is None or (said and said.job in jobs):
            yield Open("waiter" if waits_after(execution.name) else "guard", execution.arn)


def _page(stage: Stage, machine: str) -> Page:
    """A machine's newest executions; none if there is no such machine."""
    try:
        return StepFunctions(stage.stepfunctions).page(machine)
    except NotDeployed:
        return Page(())


def _of_batch(stage: Stage, machine: str, page: Page) -> Iterator[Open]:
    steps = StepFunctions(stage.stepfunctions)
    seen = page.executions if page.token is None else running(stage, machine)
    for execution in seen:
        if execution.closed:
            continue
        details = steps.details(execution.arn) if run_number(execution.name) else None
        kind = "pause" if pause_number(execution.name) else "run"
        yield Open(kind, execution.arn, details.target if details else None)
    with suppress(NotDeployed):  # the machine, or the cluster: then nothing is left there
        newest = newest_run(page.executions)
        details = steps.details(newest.arn) if newest and newest.closed and newest.status != "SUCCEEDED" else None
        if details and details.target and not (details.error or "").startswith(CLEAN):
            arn, ended = details.execution.arn, details.execution.stopped_at
            if any(task.alive for task in tasks.tasks_of(stage.tasks, details.target, arn)):
                yield Open("task", arn, details.target, ended)


def running(stage: Stage, machine: str) -> tuple[Execution, ...]:
    """A machine's open executions; none if there is no such machine."""
    try:
        return all_running(StepFunctions(stage.stepfunctions), machine)
    except NotDeployed:
        return ()


def stop(stage: Stage, arn: str, cause: str) -> datetime:
    """Stop an execution, and say when it ended (UTC): now, or before, on its own."""
    try:
        return stage.stepfunctions.stop_execution(executionArn=arn, cause=cause)["stopDate"].astimezone(UTC)
    except stage.stepfunctions.exceptions.ValidationException:
        ended = stage.stepfunctions.describe_execution(executionArn=arn).get("stopDate")
        return ended.astimezone(UTC) if ended else datetime.now(UTC)


def last_one_seen(run: str, seen: Iterable[Task], told: Collection[str], ended: datetime) -> bool:
    """Whether the run's last task is known: it was `told` to stop, or alive when the run ended."""
    mine = [task for task in seen if task.execution == run]
    return any(task.arn in told or (task.stopped_at and task.stopped_at >= ended - CLOCKS) for task in mine)


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
            if alive or not (last_one_seen(one.arn, seen, told, ended) or datetime.now(UTC) - ended >= TASK_LAG):
                left.append((one, ended))
        waiting = left
        if waiting:
            progress(f"waiting until the task of {', '.join(one.name for one, _ in waiting)} is STOPPED")
            time.sleep(_POLL_SECONDS)
