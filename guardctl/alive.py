"""Stopping a job's runs and their tasks, and nobody else's: first the runs, so that they start no further task."""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from chalicelib.config.jobs import Job
from chalicelib.decide.facts import TASK_LAG, Execution, Task, newest_run, open_run
from chalicelib.decide.facts import Target as Where
from chalicelib.names import execution_arn
from chalicelib.read import tasks
from chalicelib.read.executions import StepFunctions
from chalicelib.values import dataclass
from guardctl import closing
from guardctl.interrupts import finishing, interruptible
from guardctl.stage import Stage

_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Target:
    """What would be stopped: runs, their tasks, and orphans of earlier runs."""

    runs: tuple[Execution, ...]
    """The job's own; more than one only in a pool of several slots."""
    tasks: tuple[Task, ...]
    others: tuple[Task, ...] = ()
    """Live tasks of the family that this guard did not start; they are left alone."""

    @property
    def anything(self) -> bool:
        return bool(self.runs or self.tasks)


def look(stage: Stage, job: Job) -> Target:
    """What is alive of the job. Raises what `chalicelib.read.aws.reading` raises."""
    runs = tuple(run for run in map(open_run, _pages(stage, job)) if run and _is_own(stage, job, run))
    alive = [task for task in _shown(stage, job, runs) if task.alive and not task.service]
    return Target(runs, _of_runs(stage, job, alive), tuple(task for task in alive if task.execution is None))


def stop(
    stage: Stage,
    job: Job,
    target: Target,
    cause: str,
    say: Callable[[str], None],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """Stop the runs, then every task of the job until none is alive; the ARNs of the tasks, all seen STOPPED.

    ECS may hide a task that RunTask accepted for so long as `TASK_LAG`: until each run's last one has been seen, it
    is looked for.
    """
    ended: dict[Execution, datetime] = {}
    told: set[str] = set()
    alive = {task.arn for task in target.tasks}
    look = stage.command("status", job.name)

    def case() -> str:
        if not ended and not told:
            return "nothing was stopped"
        stopped = f"{' and '.join(run.name for run in ended)} was stopped, and " if ended else ""
        if alive:
            return f"{stopped}{_named(alive)} not STOPPED yet; go on with: {stage.command('stop', job.name)}"
        return f"{stopped}a task that ECS does not show yet may be alive; look: {look}"

    with interruptible(case, look):
        for run in target.runs:
            with finishing():
                ended[run] = closing.stop(stage, run.arn, cause)
        while True:
            seen = _of_runs(stage, job, _shown(stage, job, target.runs))
            clusters = {task.arn: task.cluster for task in (*target.tasks, *seen)}
            shown = {task.arn: task.alive for task in (*target.tasks, *seen)}
            alive = {arn for arn, lives in shown.items() if lives}
            for arn in sorted(alive - told):
                with finishing():
                    stage.ecs.stop_task(cluster=clusters[arn], task=arn, reason=cause[:255])
                    told.add(arn)
            hidden = any(
                now() - at < TASK_LAG and not closing.last_one_seen(run.arn, seen, told, at)
                for run, at in ended.items()
            )
            if not alive and not hidden:
                return tuple(sorted(told))
            say(f"waiting until {_named(alive)} STOPPED" if alive else "looking for a task that ECS may not show yet")
            sleep(_POLL_SECONDS)


def _pages(stage: Stage, job: Job) -> list[tuple[Execution, ...]]:
    """The newest page of each slot of the job's pool."""
    executions = StepFunctions(stage.stepfunctions)
    return [executions.page(machine).executions for machine in stage.machines(job.name)]


def _is_own(stage: Stage, job: Job, run: Execution) -> bool:
    """Whether a run of the job's pool is the job's: in a shared pool its input says so."""
    if not stage.shared(job.name):
        return True
    details = StepFunctions(stage.stepfunctions).details(run.arn)
    return details is not None and details.job == job.name


def _shown(stage: Stage, job: Job, runs: Sequence[Execution]) -> tuple[Task, ...]:
    """The tasks that ECS shows where the job's task runs now, and where its newest runs' do, if that has moved."""
    executions = StepFunctions(stage.stepfunctions)
    newest = filter(None, map(newest_run, _pages(stage, job)))
    targets: dict[tuple[str, str], Where] = {job.ecs.target.place: job.ecs.target}
    for arn in dict.fromkeys(run.arn for run in (*runs, *newest)):
        details = executions.details(arn)
        if details and details.target and (details.job == job.name or not stage.shared(job.name)):
            targets.setdefault(details.target.place, details.target)
    return tasks.evidence(stage.tasks, [job], tuple(targets.values()), stage_runs=stage.runs).tasks


def _of_runs(stage: Stage, job: Job, found: Iterable[Task]) -> tuple[Task, ...]:
    """Those that runs of the job started, in its pool or in the one that it was in before."""
    alone = None if stage.shared(job.name) else execution_arn(stage.machine(job.name), "")
    return tuple(
        task
        for task in found
        if task.execution
        and (
            (task.job == job.name and task.execution.startswith(stage.runs))
            or (alone is not None and task.execution.startswith(alone))
        )
    )


def _named(arns: Iterable[str]) -> str:
    names = [arn.rpartition("/")[2] for arn in sorted(arns)]
    return f"task {names[0]} is" if len(names) == 1 else f"tasks {', '.join(names)} are"
