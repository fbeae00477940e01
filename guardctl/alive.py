"""Stopping a job's run and its task, and nobody else's: first the run, so that it starts no further task."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.config.jobs import Job
from chalicelib.decide.facts import CLOCKS, TASK_LAG, Execution, Task, newest_run, open_run
from chalicelib.decide.facts import Target as Where
from chalicelib.names import execution_arn
from chalicelib.read import tasks
from chalicelib.read.executions import StepFunctions
from guardctl.interrupts import finishing, interruptible
from guardctl.stage import Stage

_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Target:
    """What would be stopped: a run, its tasks, and orphans of earlier runs."""

    run: Execution | None
    tasks: tuple[Task, ...]
    others: tuple[Task, ...] = ()
    """Live tasks of the family that this guard did not start; they are left alone."""

    @property
    def anything(self) -> bool:
        """Whether there is anything to stop."""
        return self.run is not None or bool(self.tasks)


def look(stage: Stage, job: Job) -> Target:
    """What is alive of the job. Raises what `chalicelib.read.aws.reading` raises."""
    page = StepFunctions(stage.stepfunctions).page(stage.machine(job.name)).executions
    run = open_run(page)
    alive = [task for task in _shown(stage, job) if task.alive and not task.service]
    return Target(run, _of_runs(stage, job, alive), tuple(task for task in alive if task.execution is None))


def _now() -> datetime:
    return datetime.now(UTC)


def stop(
    stage: Stage,
    job: Job,
    target: Target,
    cause: str,
    say: Callable[[str], None],
    now: Callable[[], datetime] = _now,
) -> tuple[str, ...]:
    """Stop the run, then every task of the job until none is alive; the ARNs of the tasks, all seen STOPPED.

    ECS may hide a task that RunTask accepted for so long as `TASK_LAG`: until the run's last one has been seen, it
    is looked for.
    """
    ended: datetime | None = None
    told: set[str] = set()
    alive = {task.arn for task in target.tasks}
    look = stage.command("status", job.name)

    def case() -> str:
        if not ended and not told:
            return "nothing was stopped"
        stopped = f"{target.run.name} was stopped, and " if target.run else ""
        if alive:
            return f"{stopped}{_named(alive)} not STOPPED yet; go on with: {stage.command('stop', job.name)}"
        return f"{stopped}a task that ECS does not show yet may be alive; look: {look}"

    with interruptible(case, look):
        if target.run:
            with finishing():
                ended = _stop_run(stage, target.run, cause)
        while True:
            seen = _of_runs(stage, job, _shown(stage, job))
            clusters = {task.arn: task.cluster for task in (*target.tasks, *seen)}
            alive = {task.arn for task in seen if task.alive} | {task.arn for task in target.tasks} - _stopped(seen)
            for arn in sorted(alive - told):
                with finishing():
                    stage.ecs.stop_task(cluster=clusters[arn], task=arn, reason=cause[:255])
                    told.add(arn)
            hidden = target.run and ended and not _last_one_seen(target.run, seen, told, ended)
            if not alive and (not hidden or not ended or now() - ended >= TASK_LAG):
                return tuple(sorted(told))
            say(f"waiting until {_named(alive)} STOPPED" if alive else "looking for a task that ECS may not show yet")
            time.sleep(_POLL_SECONDS)


def _stop_run(stage: Stage, run: Execution, cause: str) -> datetime:
    """Stop the run, and say when it ended (UTC): now, or before, on its own."""
    try:
        return stage.stepfunctions.stop_execution(executionArn=run.arn, cause=cause)["stopDate"].astimezone(UTC)
    except stage.stepfunctions.exceptions.ValidationException:
        ended = stage.stepfunctions.describe_execution(executionArn=run.arn).get("stopDate")
        return ended.astimezone(UTC) if ended else datetime.now(UTC)


def _shown(stage: Stage, job: Job) -> tuple[Task, ...]:
    """The tasks that ECS shows where the job's task runs now, and where its newest run's does, if that has moved."""
    executions = StepFunctions(stage.stepfunctions)
    newest = newest_run(executions.page(stage.machine(job.name)).executions)
    details = executions.details(newest.arn) if newest else None
    targets: dict[tuple[str, str], Where] = {job.ecs.target.place: job.ecs.target}
    if details and details.target:
        targets.setdefault(details.target.place, details.target)
    return tasks.evidence(stage.tasks, job, tuple(targets.values())).tasks


def _of_runs(stage: Stage, job: Job, found: Iterable[Task]) -> tuple[Task, ...]:
    """Those that runs of the job started."""
    prefix = execution_arn(stage.machine(job.name), "")
    return tuple(task for task in found if (task.execution or "").startswith(prefix))


def _stopped(seen: Iterable[Task]) -> set[str]:
    return {task.arn for task in seen if not task.alive}


def _last_one_seen(run: Execution, seen: Iterable[Task], told: set[str], stopped_at: datetime) -> bool:
    """Whether the run's last task is known: it was alive when the run was stopped. A run has one at a time."""
    mine = [task for task in seen if task.execution == run.arn]
    return any(task.arn in told or (task.stopped_at and task.stopped_at >= stopped_at - CLOCKS) for task in mine)


def _named(arns: Iterable[str]) -> str:
    names = [arn.rpartition("/")[2] for arn in sorted(arns)]
    return f"task {names[0]} is" if len(names) == 1 else f"tasks {', '.join(names)} are"
