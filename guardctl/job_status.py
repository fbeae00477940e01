"""How every job stands. Nothing here writes.

Per job: one page of its executions, and of those a description of the newest; the tasks of a run in progress; what
is deployed of it. Per shared pool: a page of each slot, and whose the run in progress is; the job's own runs are those
that its last scheduled times led to, and those among the newest of each slot. Per stage: one page of guard executions
that failed, the functions, and who waits for shared pools.
"""

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from chalicelib.check import Checker
from chalicelib.config.jobs import Job
from chalicelib.decide import schedule
from chalicelib.decide.facts import CantTell, Execution, open_run
from chalicelib.names import parse_guard_name, run_number, scheduled_name
from chalicelib.read.aws import NotDeployed, PermissionDenied, reading
from chalicelib.read.executions import StepFunctions
from guardctl import drift, pauses, run_state
from guardctl.ledger import Entry, Record, not_started, of_run
from guardctl.pauses import Pause
from guardctl.records import Progress, Reader
from guardctl.run_state import RunState
from guardctl.stage import Stage

_SIDE_BY_SIDE = 8
_NEWEST_FAILED = 1000
_LOOK_BACK = 10
"""So many scheduled times are looked up for a job whose skips end green, and so don't show as failed."""
_RENEWAL = timedelta(seconds=5)

State = Literal["running", "busy", "free", "paused", "disabled", "not deployed"]
"""Busy: no run of it is in progress, and yet a start would step back: its neighbours' runs hold the pool, or a task is
alive. Only `detail` asks for tasks."""


@dataclass(frozen=True)
class Usual:
    """How long runs that succeeded took, those on the newest page."""

    median: timedelta
    p95: timedelta
    runs: int


@dataclass(frozen=True)
class Held:
    """A slot of a pool and the run in progress there. Whose it is can't be told while its input is not visible."""

    slot: int
    run: Execution
    job: str | None


@dataclass(frozen=True)
class PoolStatus:
    """How a shared pool stands."""

    name: str
    slots: int
    pages: tuple[tuple[Execution, ...], ...]
    """The newest executions of each slot."""
    held: tuple[Held, ...]
    waiting: tuple[Execution, ...]
    """Who waits for it: first who goes first."""


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
    concern: str = ""
    """Why the run in progress has no live task."""
    last: Entry | None = None
    """The last run that ended."""
    usual: Usual | None = None
    next_time: datetime | None = None
    not_started: tuple[datetime, Entry] | None = None
    """The last start that stepped back, and when."""
    pause: Pause | None = None
    pool: PoolStatus | None = None
    """Its pool, if that is shared."""
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
        jobs = [*jobs]
        shared = dict.fromkeys(job.pool for job in jobs if stage.shared(job.name))
        waiting = pool.submit(pauses.waiting, stage) if shared else None
        # They are asked for before the jobs that wait for them, so there is a thread for them.
        pools = {name: pool.submit(_pool, reader, name, waiting) for name in shared if waiting}
        answers = [
            pool.submit(_job, reader, job, now, functions, failed.result(), pools.get(job.pool), waiting)
            for job in jobs
        ]
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


def usual(executions: Iterable[Execution | Record], history_days: int = 90) -> Usual | None:
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


def _pool(reader: Reader, name: str, waiting: "Future[tuple[Execution, ...]]") -> PoolStatus:
    stage = reader.stage
    members = [job.name for job in stage.file.members(name)]
    steps = StepFunctions(stage.stepfunctions)
    pages = tuple(steps.page(machine).executions for machine in stage.machines(members[0]))
    held = []
    for slot, page in enumerate(pages, 1):
        if run := open_run(page):
            said = reader.execution(run.arn)
            job = said.input.get("job") if said else None
            held.append(Held(slot, run, job if isinstance(job, str) else None))
    named = [(execution, parse_guard_name(execution.name)) for execution in waiting.result()]
    waiters = [e for e, said in named if said and said.kind == "waiter" and said.job in members]
    waiters.sort(key=lambda e: (e.started_at, e.name))
    return PoolStatus(name, len(pages), pages, tuple(held), tuple(waiters))


def _job(
    reader: Reader,
    job: Job,
    now: datetime,
    functions: drift.Functions,
    failed: list[str],
    pool: "Future[PoolStatus] | None",
    waiting: "Future[tuple[Execution, ...]] | None",
) -> JobStatus:
    stage = reader.stage
    about: dict[str, Any] = {"job": job.name, "timezone": job.timezone}
    try:
        deployed, _ = reader.deployed(job)
        shared = pool.result() if pool else None
        page = () if shared else StepFunctions(stage.stepfunctions).page(stage.machine(job.name)).executions
        others = waiting.result() if shared and waiting else page
    except NotDeployed:
        upcoming = schedule.upcoming(job.schedules, job.timezone, now, limit=1) if job.enabled else []
        return JobStatus(**about, state="not deployed", next_time=next(iter(upcoming), None))
    upcoming = schedule.upcoming(deployed.schedules, deployed.timezone, now, limit=1) if deployed.enabled else []
    if shared:
        own = reader.newest_runs(deployed, now, shared.pages)
        running = next((held.run for held in shared.held if held.job == job.name), None)
        newest = next((run.arn for run in own if run.stopped_at), None)
        described = reader.execution(newest) if newest else None
        last = of_run(job, described) if described else None
        took = usual(own, stage.file.history_days)
    else:
        running, last, took = open_run(page), _last(reader, job, page), usual(page, stage.file.history_days)
    pause = next(iter(pauses.in_force(job.name, others)), None)
    busy = shared is not None and len(shared.held) == shared.slots
    free: State = "busy" if busy else "free" if deployed.enabled else "disabled"
    state = run_state.look(stage, job.name, running, now) if running else RunState(None)
    return JobStatus(
        **about,
        state="running" if running else "paused" if pause else free,
        run=running,
        task=state.task,
        concern=state.concern,
        last=last,
        usual=took,
        next_time=next(iter(upcoming), None),
        not_started=_not_started(reader, job, deployed, failed, now),
        pause=pauses.described(reader, pause) if pause else None,
        pool=shared,
        drift=drift.job(stage, job, functions),
    )


def _last(reader: Reader, job: Job, page: Iterable[Execution]) -> Entry | None:
    """The last run that ended and was no renewal."""
    for execution in sorted((e for e in page if e.closed), key=lambda e: run_number(e.name) or 0, reverse=True)[:3]:
        run = reader.execution(execution.arn) if run_number(execution.name) else None
        if run and not run.renewal:
            return of_run(job, run)
    return None


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
