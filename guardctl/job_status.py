"""How every job stands. Nothing here writes.

Per job: one page of its executions, and a description of what is wrong: a run that failed, a start that stepped back
since. Per shared pool: a page of each slot, and whose the run in progress is; the job's own runs are those that its
last scheduled times led to, and those among the newest of each slot. Per ten jobs: a call for the records of their
schedules. Per cluster: its tasks. Per stage: one page of guard executions that failed, the functions, and who waits for
shared pools. What would become of a start now is the checker's own decision, made here from what was read.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, assert_never

from chalicelib.check import Checker
from chalicelib.config.jobs import Job
from chalicelib.decide import deadlines, schedule
from chalicelib.decide.facts import CantTell, Execution, Refused, open_run
from chalicelib.decide.usual import did_work, usual
from chalicelib.names import parse_guard_name, run_number, scheduled_name
from chalicelib.read.aws import NotDeployed, PermissionDenied
from chalicelib.read.executions import StepFunctions, all_running
from chalicelib.values import dataclass
from guardctl import drift, last_starts, pauses, run_state, trigger_health
from guardctl.clusters import Clusters
from guardctl.ledger import KEPT, TICKS, Entry, Facts, asked_by, ledger, of_run
from guardctl.listed import run_of
from guardctl.records import Progress, Reader
from guardctl.run_state import RunState
from guardctl.snapshot import Snapshot
from guardctl.stage import Stage
from guardctl.standing import Held, JobStatus, PoolStatus, StageStatus, State

_SIDE_BY_SIDE = 8
_STRIP = 10


def read(stage: Stage, jobs: Iterable[Job], now: datetime, progress: Progress, *, closely: bool = False) -> StageStatus:
    """Ask about the jobs side by side. A job that can't be read says why; what is not deployed is a state.

    `closely`: every last skip is described, and each machine's definition compared; for one job, since it takes a call
    each. Raises what `read.aws.reading` raises where the stage itself can't be read.
    """
    _ = stage.stepfunctions, stage.ecs, stage.ssm, stage.guard  # made once, before there are threads
    reader, jobs = Reader(stage), [*jobs]
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        machine = pool.submit(drift.guard_machine, stage)
        trigger = pool.submit(trigger_health.read, stage, now)
        failed = pool.submit(last_starts.failed, stage)
        newest = pool.submit(last_starts.newest, stage)
        progress("comparing the functions with this checkout…")
        functions = pool.submit(_functions, stage)
        progress("asking about every job…")
        deployed = pool.submit(reader.all_deployed, jobs)
        seen = Snapshot(StepFunctions(stage.stepfunctions))
        list(pool.map(partial(_glance, seen), [m for job in _one_a_pool(jobs) for m in stage.machines(job.name)]))
        shared = dict.fromkeys(job.pool for job in jobs if stage.shared(job.name))
        waiting = all_running(seen, stage.waiting) if shared else ()
        pools = {name: _pool(reader, seen, name, waiting) for name in shared}
        clusters = Clusters.of(stage.tasks, jobs)
        checker = Checker(lambda: stage.file, stage.function("check"), seen, lambda: clusters.view, lambda: now)
        look = _Look(reader, now, functions.result(), failed.result(), newest.result(), checker, clusters, closely)
        known = deployed.result()
        answers = [pool.submit(look.job, job, known[job.name], pools.get(job.pool), waiting, seen) for job in jobs]
        guard = machine.result()
        lacks = drift.parts(stage, functions.result(), guard is not None)
        differences = (*lacks, *functions.result().of_stage, *(guard or ()))
        return StageStatus(tuple(answer.result() for answer in answers), differences, trigger.result(), now)


def _one_a_pool(jobs: Iterable[Job]) -> Iterable[Job]:
    return {job.pool: job for job in jobs}.values()


def _glance(seen: Snapshot, machine: str) -> None:
    """Read a page ahead; why it can't be is told where it is needed."""
    with suppress(CantTell, Refused):
        seen.page(machine)


WOULD: Mapping[str, str] = {
    "start": "would run",
    "skip": "would step back",
    "wait": "would wait",
    "queue": "would wait in the queue",
    "stop_run": "would replace the run",
    "stop_task": "would stop the orphan, and then run",
    "refuse": "would be refused",
}
"""The checker's outcome → what would become of a start."""


def _functions(stage: Stage) -> drift.Functions:
    """The functions compared; who may not read their code sees how the jobs stand all the same."""
    try:
        return drift.functions(stage)
    except (PermissionDenied, CantTell) as error:
        return drift.Functions((f"the functions could not be compared: {error}",))


def _pool(reader: Reader, seen: Snapshot, name: str, waiting: Sequence[Execution]) -> PoolStatus:
    stage = reader.stage
    members = [job.name for job in stage.file.members(name)]
    try:
        pages = tuple(seen.page(machine).executions for machine in stage.machines(members[0]))
    except NotDeployed:
        pages = ()
    held = []
    for slot, page in enumerate(pages, 1):
        if run := open_run(page):
            said = reader.execution(run.arn)
            job = said.input.get("job") if said else None
            held.append(Held(slot, run, job if isinstance(job, str) else None))
    named = [(execution, parse_guard_name(execution.name)) for execution in waiting]
    waiters = [e for e, said in named if said and said.kind == "waiter" and said.job in members]
    waiters.sort(key=lambda e: (e.started_at, e.name))
    return PoolStatus(name, len(pages), pages, tuple(held), tuple(waiters))


@dataclass(frozen=True)
class _Look:
    """What all jobs of a picture are judged by."""

    reader: Reader
    now: datetime
    functions: drift.Functions
    failed: list[Execution]
    newest: list[Execution]
    """The newest guard executions: the open ones, then the last closed."""
    checker: Checker
    clusters: Clusters
    closely: bool

    def job(
        self,
        job: Job,
        known: tuple[Job, datetime] | None,
        shared: PoolStatus | None,
        waiting: Sequence[Execution],
        seen: Snapshot,
    ) -> JobStatus:
        try:
            return self._job(job, known, shared, waiting, seen)
        except (CantTell, Refused) as error:
            return JobStatus(job=job.name, state="unknown", start_now=str(error))

    def _job(
        self,
        job: Job,
        known: tuple[Job, datetime] | None,
        shared: PoolStatus | None,
        waiting: Sequence[Execution],
        seen: Snapshot,
    ) -> JobStatus:
        stage, now, reader = self.reader.stage, self.now, self.reader
        about: dict[str, Any] = {"job": job.name}
        deployed = known[0] if known else job
        upcoming = schedule.upcoming(deployed.schedules, deployed.timezone, now, limit=1) if deployed.enabled else []
        about["next_time"] = next(iter(upcoming), None)
        try:
            page = () if shared else seen.page(stage.machine(job.name)).executions
        except NotDeployed:
            known = None
        if known is None or (shared and not shared.pages):
            return JobStatus(**about, state="not deployed", start_now="would be refused: the job is not deployed")
        if shared:
            own = reader.newest_runs(deployed, now, shared.pages)
            running = next((held.run for held in shared.held if held.job == job.name), None)
            newest = next((run.arn for run in own if run.stopped_at), None)
            described = reader.execution(newest) if newest else None
            last = reader.of_run(job, described) if described else None
            took = usual(own, stage.file.history_days)
        else:
            running, last = open_run(page), self._last(job, page)
            took = usual(page, stage.file.history_days)
        pause = next(iter(pauses.in_force(job.name, waiting if shared else page)), None)
        outcome, would = self._start_now(job)
        busy: State = "free" if outcome in {"start", ""} else "in the way" if outcome == "task" else "busy"
        state = run_state.look(stage, job.name, running, now, self.clusters.view) if running else RunState(None)
        not_started = last_starts.stepped_back(reader, job, deployed, self.failed, now, None if self.closely else last)
        runs = [e for some in ([page] if not shared else ()) for e in some if run_number(e.name)]
        if shared:
            mine = {record.arn for record in own}
            runs = [e for some in shared.pages for e in some if e.arn in mine]
        absent = self._absent(deployed, known[1], runs)
        past = absent is not None and absent + timedelta(seconds=job.start_deadline) < now
        return JobStatus(
            **about,
            state="running" if running else "paused" if pause else _at_rest(deployed, busy),
            run=running,
            by=self._by_whom(job, running) if running else None,
            task=state.task,
            concern=state.concern,
            last=last,
            usual=took,
            not_started=not_started,
            pause=pauses.described(reader, pause) if pause else None,
            pool=shared,
            missed=absent if past else None,
            overdue=None if past else absent,
            late=self._late(deployed, known[1], runs, absent),
            waits=self._waits(job, waiting),
            strip=self._strip(deployed, runs),
            start_now=would,
            in_shadow=deployed.enabled == "shadow",
            would_have=last_starts.in_shadow(reader, deployed, now) if deployed.enabled == "shadow" else None,
            drift=drift.job(stage, job, self.functions, reader.recorded(job), closely=self.closely),
        )

    def _last(self, job: Job, page: Iterable[Execution]) -> Entry | None:
        """The last run that ended and was no renewal. `closely`: also who asked for one that succeeded."""
        history_days = self.reader.stage.file.history_days
        for execution in sorted((e for e in page if e.closed), key=lambda e: run_number(e.name) or 0, reverse=True)[:3]:
            if not self.closely and did_work(execution, history_days):
                return of_run(job, run_of(execution, None))
            run = self.reader.execution(execution.arn) if run_number(execution.name) else None
            if run and not run.renewal:
                return self.reader.of_run(job, run)
        return None

    def _by_whom(self, job: Job, run: Execution) -> str | None:
        """Who asked by hand for the run in progress: its guard execution was open when the run began, and says so."""
        for guard in self.newest:
            said = parse_guard_name(guard.name)
            if said is None or said.job != job.name or said.kind not in {"by hand", "repetition"}:
                continue
            if guard.started_at <= run.started_at <= (guard.stopped_at or self.now):
                found = self.reader.guard(guard.name)
                if found and found.started_run == run.arn:
                    return asked_by(found)
        return None

    def _absent(self, deployed: Job, since: datetime, runs: Sequence[Execution]) -> datetime | None:
        """The last scheduled time, if nothing was started for it. What no page reaches back to is asked by name."""
        if not deployed.enabled:
            return None
        at = schedule.latest(deployed.schedules, deployed.timezone, self.now - TICKS, within=timedelta(days=90))
        if at is None or at < since or any(run.started_at >= at for run in runs):
            return None
        name = scheduled_name(deployed.name, at)
        if any(e.name == name for e in (*self.newest, *self.failed)) or self.reader.guard(name):
            return None
        return at

    def _late(self, deployed: Job, since: datetime, runs: Sequence[Execution], absent: datetime | None) -> Entry | None:
        """The last scheduled time whose moment has passed in vain (`decide.deadlines`).

        If its start did not fail, and the first run since then began soon and succeeded, that was its own. Every other
        is looked up by its name, and what was started by hand for it only where a run has succeeded since.
        """
        at = deadlines.last_promised(deployed, self.now, KEPT)
        if at is None or at < since:
            return None
        history_days = self.reader.stage.file.history_days
        begun = sorted((run for run in runs if run.started_at >= at), key=lambda run: run.started_at)
        following = schedule.upcoming(deployed.schedules, deployed.timezone, at, limit=1)
        soon = min([*following, at + timedelta(seconds=deployed.start_deadline)])
        stepped_back = any(guard.name == scheduled_name(deployed.name, at) for guard in self.failed)
        if not stepped_back and any(run.started_at < soon and did_work(run, history_days) for run in begun[:1]):
            return None
        if at == absent and not begun:
            entries = ledger(deployed, [at], Facts(now=self.now, since=since))
        else:
            succeeded = any(did_work(run, history_days) for run in begun)
            entries = self.reader.entry(deployed, at, self.now, repetitions=succeeded)
        return next((entry for entry in reversed(entries) if entry.late_since), None)

    def _waits(self, job: Job, waiting: Sequence[Execution]) -> Execution | None:
        for execution in (*waiting, *self.newest):
            said = parse_guard_name(execution.name)
            if said and (said.job, said.kind) == (job.name, "waiter") and not execution.closed:
                return execution
        return None

    def _strip(self, deployed: Job, runs: Sequence[Execution]) -> tuple[Execution, ...]:
        failed = [e for e in self.failed if last_starts.is_of(e, deployed)]
        return tuple(sorted((*runs, *failed), key=lambda e: e.started_at)[-_STRIP:])

    def _start_now(self, job: Job) -> tuple[str, str]:
        """What would become of a start now, by the checker's own decision; "task" where one is in the way."""
        try:
            answer = self.checker.answer({"job": job.name})
        except CantTell as error:
            return "unknown", f"could not be decided: {error}"
        outcome = answer["outcome"]
        kind = (answer.get("holder") or {}).get("kind")
        return ("task" if kind == "task" else outcome), f"{WOULD.get(outcome, outcome)}: {answer['reason']}"


def _at_rest(deployed: Job, busy: State) -> State:
    """How a job stands that has no run in progress, and is not paused."""
    match deployed.enabled:
        case "shadow":
            return "shadow"
        case True:
            return busy
        case False:
            return "disabled"
        case _:
            assert_never(deployed.enabled)
