"""How long the jobs' runs take, from the newest page of every batch machine. Nothing here writes.

A call a slot. The page of a shared pool has its neighbours' runs too, and a list does not say whose a run is: that is
known where one start alone can have begun it (`guardctl.listed`), for which the guard's newest executions are read, and
those of the machine of who waits. Of a job that is still too rare there, its last scheduled times are looked up.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from datetime import datetime
from functools import partial

from chalicelib.config.jobs import Job
from chalicelib.decide.facts import CantTell, Execution, Refused, open_run
from chalicelib.decide.usual import ENOUGH, Usual, usual
from chalicelib.names import parse_guard_name, run_number
from chalicelib.read.aws import NotDeployed, reading
from chalicelib.read.executions import execution_of
from chalicelib.values import dataclass
from guardctl import listed
from guardctl.errors import Stop, explained
from guardctl.ledger import Record
from guardctl.meeting import Running
from guardctl.pauses import in_force
from guardctl.records import Progress, Reader
from guardctl.stage import Stage

_SIDE_BY_SIDE = 8
_PAGE = 1000


@dataclass(frozen=True)
class Durations:
    """What is known of runs' lengths."""

    usual: Mapping[str, Usual | None] = field(default_factory=dict)
    """By job: of its runs that succeeded."""
    running: Mapping[str, tuple[Running, ...]] = field(default_factory=dict)
    """By pool: its runs in progress, as far as it is known whose they are."""
    paused: frozenset[str] = frozenset()
    """The jobs that are paused now."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """By pool: why nothing is known."""
    refused: str = ""
    """Why nothing is known of any."""


def read(stage: Stage, jobs: Iterable[Job], now: datetime, progress: Progress = lambda _line: None) -> Durations:
    """What is known of these jobs, which are whole pools, at `now` (UTC). What can't be read is said, not raised."""
    try:
        with explained():
            return _read(stage, [*jobs], now, progress)
    except (Stop, CantTell, Refused) as error:
        return Durations(refused=str(error))


@dataclass(frozen=True)
class _Pool:
    name: str
    runs: tuple[Execution, ...] = ()
    """Of all its slots."""
    running: tuple[Execution, ...] = ()
    every: tuple[Execution, ...] = ()
    """Those, and the pauses of a job that has it to itself."""
    unread: str = ""


def _read(stage: Stage, jobs: Sequence[Job], now: datetime, progress: Progress) -> Durations:
    _ = stage.stepfunctions, stage.ssm, stage.guard  # made once, before there are threads
    pools = {job.pool: stage.machines(job.name) for job in jobs}
    shared = {job.pool for job in jobs if stage.shared(job.name)}
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
        begun = [*threads.map(partial(_page, stage), [stage.guard, stage.waiting])] if shared else []
        found = []
        for each in threads.map(lambda each: _pool(stage, *each), pools.items()):
            found.append(each)
            progress(f"asking how long runs take: {len(found)} of {len(pools)} pools…")
        whose = _whose([e for page in begun for e in page], [run for p in found if p.name in shared for run in p.runs])
        reader = Reader(stage)
        every = dict(threads.map(partial(_of_job, reader, {p.name: p for p in found}, whose, now), jobs))
    alone = {job.pool: job.name for job in jobs if job.pool not in shared}
    running = {
        p.name: tuple(
            Running(job, run.started_at) for run in p.running if (job := alone.get(p.name) or whose.get(run.arn))
        )
        for p in found
    }
    of_pool = {p.name: p.every for p in found}
    beside = begun[1] if begun else ()
    paused = {job.name for job in jobs if in_force(job.name, beside if job.pool in shared else of_pool[job.pool])}
    return Durations(every, running, frozenset(paused), {p.name: p.unread for p in found if p.unread})


def _page(stage: Stage, machine: str) -> tuple[Execution, ...]:
    """The newest executions of a machine: the open ones, then the last closed."""
    with reading("states:ListExecutions", machine):
        answer = stage.stepfunctions.list_executions(stateMachineArn=machine, maxResults=_PAGE)
        return tuple(execution_of(item) for item in answer["executions"])


def _pool(stage: Stage, name: str, machines: Iterable[str]) -> _Pool:
    try:
        pages = [_page(stage, machine) for machine in machines]
    except NotDeployed:
        return _Pool(name, unread="not deployed")
    except (CantTell, Refused) as error:
        return _Pool(name, unread=str(error))
    every = tuple(execution for page in pages for execution in page)
    runs = tuple(run for run in every if run_number(run.name))
    return _Pool(name, runs, tuple(run for page in pages if (run := open_run(page))), every)


def _whose(begun: Sequence[Execution], runs: Sequence[Execution]) -> dict[str, str]:
    """ARN of a run → its job, where one guard execution alone can have started it; renewals are nobody's."""
    arns = {execution.arn: execution.name for execution in begun}
    told = {run: parse_guard_name(arns[guard]) for guard, run in listed.pairs(begun, runs).items()}
    return {run: said.job for run, said in told.items() if said and said.kind != "renewal"}


def _of_job(
    reader: Reader, pools: Mapping[str, _Pool], whose: Mapping[str, str], now: datetime, job: Job
) -> tuple[str, Usual | None]:
    stage, pool = reader.stage, pools[job.pool]
    if pool.unread:
        return job.name, None
    if not stage.shared(job.name):
        return job.name, usual(pool.runs, stage.file.history_days)
    own: dict[str, Execution | Record] = {run.arn: run for run in pool.runs if whose.get(run.arn) == job.name}
    if sum(run.status == "SUCCEEDED" for run in own.values()) < ENOUGH and job.schedules:
        own |= {run.arn: run for run in reader.newest_runs(job, now, ())}
    # A pairing is never a renewal's, so none has to be guessed from the day.
    return job.name, usual(own.values(), stage.file.history_days)
