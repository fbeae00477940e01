"""How every job stands. Nothing here writes.

Per job: one page of its executions, and of those a description of the newest; the tasks of a run in progress; what
is deployed of it. Per stage: one page of guard executions that failed, and the functions.
"""

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from chalicelib.check import Checker
from chalicelib.config.jobs import Job
from chalicelib.decide import schedule
from chalicelib.decide.facts import CantTell, Execution, open_run
from chalicelib.names import parse_guard_name, run_number, scheduled_name
from chalicelib.read import tasks
from chalicelib.read.aws import NotDeployed, PermissionDenied, reading
from chalicelib.read.executions import StepFunctions
from guardctl import drift
from guardctl.ledger import Entry, Record, not_started, of_run
from guardctl.pauses import Pause, in_force
from guardctl.records import Progress, Reader
from guardctl.stage import Stage

_SIDE_BY_SIDE = 8
_NEWEST_FAILED = 1000
_LOOK_BACK = 10
"""So many scheduled times are looked up for a job whose skips end green, and so don't show as failed."""
_RENEWAL = timedelta(seconds=5)

State = Literal["running", "busy", "free", "paused", "disabled", "not deployed"]
"""Busy: no run is in progress, and yet a start would step back: a task is alive. Only `detail` asks for that."""


@dataclass(frozen=True)
class Usual:
    """How long runs that succeeded took, those on the newest page."""

    median: timedelta
    p95: timedelta
    runs: int


@dataclass(frozen=True)
class JobStatus:
    """How one job stands. Times are UTC."""

    job: str
    timezone: str
    state: State
    run: Execution | None = None
    """The run in progress."""
    task: str | None = None
    """The ARN of its ECS task."""
    last: Entry | None = None
    """The last run that ended."""
    usual: Usual | None = None
    next_time: datetime | None = None
    not_started: tuple[datetime, Entry] | None = None
    """The last start that stepped back, and when."""
    pause: Pause | None = None
    drift: tuple[str, ...] = ()
    """What is deployed otherwise than the jobs file says."""


@dataclass(frozen=True)
class StageStatus:
    """How a stage stands."""

    jobs: tuple[JobStatus, ...]
    drift: tuple[str, ...]


def read(stage: Stage, jobs: Iterable[Job], now: datetime, progress: Progress) -> StageStatus:
    """Ask about the jobs side by side. Raises what `read.aws.reading` raises, but for what is not deployed."""
    _ = stage.stepfunctions, stage.ecs, stage.ssm, stage.guard  # made once, before there are threads
    reader = Reader(stage)
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        machine = pool.submit(drift.guard_machine, stage)
        failed = pool.submit(_failed, stage)
        progress("comparing the functions with this checkout…")
        functions = _functions(stage)
        progress("asking about every job…")
        answers = [pool.submit(_job, reader, job, now, functions, failed.result()) for job in jobs]
        return StageStatus(tuple(answer.result() for answer in answers), (*functions.differences, *machine.result()))


def detail(stage: Stage, line: JobStatus, now: datetime) -> tuple[JobStatus, str]:
    """The job's status, and what would become of a start now: the checker's own decision, made here.

    Asks ECS, too. Raises what `read.aws.reading` raises, but `CantTell`, which is an answer here.
    """
    if line.state == "not deployed":
        return line, "would be refused: the job is not deployed"
    executions = StepFunctions(stage.stepfunctions)
    checker = Checker(lambda: stage.file, stage.function("check"), executions, lambda: stage.tasks, lambda: now)
    try:
        answer = checker.answer({"job": line.job})
    except CantTell as error:
        return line, f"could not be decided: {error}"
    free = answer["outcome"] == "start"
    would = f"{_WOULD.get(answer['outcome'], answer['outcome'])}: {answer['reason']}"
    return (line if free or line.state != "free" else replace(line, state="busy")), would


_WOULD: Mapping[str, str] = {
    "start": "would run",
    "skip": "would step back",
    "wait": "would wait",
    "queue": "would wait in the queue",
    "stop_run": "would replace the run",
    "stop_task": "would stop the orphan, and then run",
    "refuse": "would be refused",
}


def usual(executions: Iterable[Execution], history_days: int = 90) -> Usual | None:
    """Median and 95th percentile (nearest rank, both) of the runs that succeeded; None if there is none.

    Renewals are left out, as far as they can be told in a list: on a renewal day, and over in seconds.
    """
    took = sorted(
        execution.stopped_at - execution.started_at
        for execution in executions
        if execution.status == "SUCCEEDED" and execution.stopped_at and run_number(execution.name)
        if execution.stopped_at - execution.started_at >= _RENEWAL
        or not schedule.is_renewal_day(execution.started_at, history_days)
    )
    if not took:
        return None
    return Usual(took[(len(took) - 1) // 2], took[math.ceil(0.95 * len(took)) - 1], len(took))


def _functions(stage: Stage) -> drift.Functions:
    """The functions compared; who may not read their code sees how the jobs stand all the same."""
    try:
        return drift.functions(stage)
    except (PermissionDenied, CantTell) as error:
        return drift.Functions((f"the functions could not be compared: {error}",))


def _job(reader: Reader, job: Job, now: datetime, functions: drift.Functions, failed: list[str]) -> JobStatus:
    stage = reader.stage
    about: dict[str, Any] = {"job": job.name, "timezone": job.timezone}
    try:
        deployed, _ = reader.deployed(job)
        page = StepFunctions(stage.stepfunctions).page(stage.machine(job.name)).executions
    except NotDeployed:
        upcoming = schedule.upcoming(job.schedules, job.timezone, now, limit=1) if job.enabled else []
        return JobStatus(**about, state="not deployed", next_time=next(iter(upcoming), None))
    upcoming = schedule.upcoming(deployed.schedules, deployed.timezone, now, limit=1) if deployed.enabled else []
    running = open_run(page)
    pause = next(iter(in_force(page)), None)
    task = tasks.newest_task(stage.tasks, job.ecs.target, running.arn) if running else None
    return JobStatus(
        **about,
        state="running" if running else "paused" if pause else "free" if deployed.enabled else "disabled",
        run=running,
        task=task.arn if task else None,
        last=_last(reader, job, page),
        usual=usual(page, stage.file.history_days),
        next_time=next(iter(upcoming), None),
        not_started=_not_started(reader, job, deployed, failed, now),
        pause=_pause(reader, job, pause) if pause else None,
        drift=drift.job(stage, job, functions),
    )


def _last(reader: Reader, job: Job, page: Iterable[Execution]) -> Entry | None:
    """The last run that ended and was no renewal."""
    for execution in sorted((e for e in page if e.closed), key=lambda e: run_number(e.name) or 0, reverse=True)[:3]:
        run = reader.run(job.name, execution.name) if run_number(execution.name) else None
        if run and not run.renewal:
            return of_run(job, run)
    return None


def _pause(reader: Reader, job: Job, execution: Execution) -> Pause:
    found = reader.run(job.name, execution.name)
    return Pause(execution.name, execution.started_at, str(found.input.get("reason", "")) if found else "")


def _failed(stage: Stage) -> list[str]:
    """The names of the newest guard executions that failed, newest first."""
    with reading("states:ListExecutions", stage.guard):
        answer = stage.stepfunctions.list_executions(
            stateMachineArn=stage.guard, statusFilter="FAILED", maxResults=_NEWEST_FAILED
        )
        return [execution["name"] for execution in answer["executions"]]


def _not_started(
    reader: Reader, job: Job, deployed: Job, failed: list[str], now: datetime
) -> tuple[datetime, Entry] | None:
    """The last start that stepped back or was refused. Green ones are looked up by name, the last few."""
    newest = next((name for name in failed if (said := parse_guard_name(name)) and said.job == job.name), None)
    names = [newest] if newest else []
    if job.on_skip == "succeed":
        time = now
        for _ in range(_LOOK_BACK):
            before = schedule.latest(deployed.schedules, deployed.timezone, time, within=timedelta(days=90))
            if before is None:
                break
            names.append(scheduled_name(job.name, before))
            time = before - timedelta(minutes=1)
    found: list[Record] = [guard for guard in map(reader.guard, names) if guard and guard.stopped_at]
    steps = [(guard.stopped_at, entry) for guard in found if (entry := not_started(job, guard))]
    return max(steps, key=lambda step: step[0], default=None)  # type: ignore[return-value, arg-type]  # all have ended
