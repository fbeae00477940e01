"""Reads what the ledger needs from Step Functions, and no more than it needs. Nothing here writes.

The pace of the calls is the stage's (`guardctl.throttle`).

A run of the job is found by what the job's guard executions say they started. Runs that no known one started (by hand,
say) are found on the pages of the machines of the job's pool: in a shared pool each of those is described, since only
its input says whose it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.config.jobs import Job
from chalicelib.decide import schedule
from chalicelib.decide.facts import CantTell, Execution, Refused
from chalicelib.decide.words import same
from chalicelib.names import (
    LAST_REPETITION,
    repetition_name,
    run_number,
    schedule_parameter,
    scheduled_name,
)
from chalicelib.parsing import parse_object
from chalicelib.read import record, tasks
from chalicelib.read.aws import NotDeployed, reading
from chalicelib.read.executions import StepFunctions, all_running, execution_of
from chalicelib.values import dataclass
from guardctl.chart import HandTask, Row
from guardctl.clusters import Clusters
from guardctl.days_off import with_verdict
from guardctl.ledger import Entry, Facts, Record, asked_by, asked_by_hand, ledger, of_run
from guardctl.listed import plain
from guardctl.stage import Stage

Progress = Callable[[str], None]

Deployed = tuple[Job, datetime]
"""A job with the schedule that is deployed, and since when it has had it (UTC)."""

_SIDE_BY_SIDE = 8

NEWEST = 20
"""So many of the newest runs of each slot of a shared pool are described to find those of one job."""
TIMES = 10
"""So many of its newest scheduled times lead to a job's runs that have left that page."""


@dataclass
class Reader:
    """Reads one stage. `progress` is told what it is doing."""

    stage: Stage
    progress: Progress = lambda _line: None
    _deployed: dict[str, Deployed] = field(default_factory=dict, init=False)
    _records: dict[str, str] = field(default_factory=dict, init=False)
    _asked: set[str] = field(default_factory=set, init=False)
    """The jobs whose records were asked for, be there one or not."""
    _closed: dict[str, Record] = field(default_factory=dict, init=False)
    """By ARN, executions that have ended: the jobs of a pool see the same runs."""

    def guard(self, name: str) -> Record | None:
        return self.execution(self.stage.guard_execution(name))

    def newest_runs(self, job: Job, now: datetime, pages: Iterable[Iterable[Execution]]) -> list[Record]:
        """The newest runs of a job in a shared pool, newest first, no renewals.

        Those among the newest of `pages`, one a slot, and those that the job's last scheduled times led to, however
        many runs of its neighbours there were since. Of one that succeeded there may be no more than the list tells.
        """
        times: list[datetime] = []
        at = now
        for _ in range(TIMES):
            before = schedule.latest(job.schedules, job.timezone, at, within=timedelta(days=90))
            if before is None:
                break
            times.append(before)
            at = before - timedelta(minutes=1)
        guards = self._guards([scheduled_name(job.name, time) for time in times], job.name)
        listed = [e for page in pages for e in [e for e in page if run_number(e.name)][:NEWEST]]
        found = self._runs(job, self.with_waiters(guards, job.name), listed)
        return sorted((run for run in found if not run.renewal), key=lambda run: run.started_at, reverse=True)

    def entries(self, job: Job, start: datetime, end: datetime, *, limit: int) -> tuple[list[Entry], int]:
        """The ledger from `start` to `end` (UTC), of the newest `limit` scheduled times, and how many were left out.

        The schedule is the deployed one, and no time before the stage is asked for. Raises what
        `chalicelib.read.aws.reading` raises.
        """
        job, since = self.deployed(job)
        asked_for = with_verdict(job.schedules, job.timezone, start, end)
        if asked_for and asked_for[0] < since:  # an older schedule may have had them, or there was no stage yet
            made = StepFunctions(self.stage.stepfunctions).created_at(self.stage.guard)
            asked_for = [at for at in asked_for if at >= made]
        times = asked_for[-limit:]
        left_out = len(asked_for) - len(times)
        since_then = times[0] if left_out else start
        runs = [e for machine in self.stage.machines(job.name) for e in self.newest(machine, since_then)]
        names = [scheduled_name(job.name, time) for time in times]
        guards = self._guards(names, f"{job.name}: scheduled times")
        entries = ledger(job, times, self._facts(job, since, end, guards, runs))
        return [entry for entry in entries if entry.outcome != "no schedule"], left_out

    def entry(self, job: Job, at: datetime, now: datetime, *, repetitions: bool = True) -> list[Entry]:
        """What became of one time, be it in the schedule or not, then its `repetitions` by hand, by name.

        Raises what `chalicelib.read.aws.reading` raises.
        """
        job, since = self.deployed(job)
        guards = self._guards([scheduled_name(job.name, at)], job.name)
        for number in range(1, LAST_REPETITION + 1 if repetitions else 1):
            name = repetition_name(job.name, at, number)
            again = self.guard(name)
            if again is None:
                break
            guards[name] = again
        return ledger(job, [at], self._facts(job, since, now, guards, []))

    def of_run(self, job: Job, run: Record) -> Entry:
        """The entry of one run, with who asked for it by hand."""
        entry = of_run(job, run)
        guard = self.guard(entry.guard_execution) if entry.by_hand and entry.guard_execution else None
        return replace(entry, by=asked_by(guard))

    def row(self, job: Job, start: datetime, end: datetime, *, limit: int, clusters: Clusters | None = None) -> Row:
        """The job's row of a timeline: its entries, and the tasks by hand that ECS still shows; or why not."""
        try:
            entries, left_out = self.entries(job, start, end, limit=limit)
            by_hand = self.tasks_by_hand(job, clusters or Clusters(self.stage.tasks))
        except NotDeployed:
            return Row(job=job.name, pool=self._pool(job), entries=(), deployed=False)
        except (CantTell, Refused) as error:
            return Row(job=job.name, pool=self._pool(job), entries=(), unread=str(error))
        return Row(job=job.name, pool=self._pool(job), entries=tuple(entries), tasks=by_hand, left_out=left_out)

    def tasks_by_hand(self, job: Job, clusters: Clusters) -> tuple[HandTask, ...]:
        self.progress(f"{job.name}: tasks")
        evidence = tasks.evidence(clusters.view, [job])
        command = evidence.commands.get(job.name)
        return tuple(
            HandTask(arn=task.arn, started=task.created_at, ended=task.stopped_at)
            for task in evidence.tasks
            if task.execution is None and not task.service and task.created_at
            if job.outsiders == "family" or (job.outsiders == "command" and same(task.command, command))
        )

    def _pool(self, job: Job) -> str | None:
        return job.pool if self.stage.shared(job.name) else None

    def deployed(self, job: Job) -> Deployed:
        """The job with the schedule that is deployed, and since when it has had it (UTC).

        A job without a schedule has no record of one: it counts from when its machine was made.
        """
        self._read_records([job])
        if job.name not in self._deployed:
            try:
                made = StepFunctions(self.stage.stepfunctions).created_at(self.stage.machine(job.name))
            except NotDeployed as error:
                raise NotDeployed(f"{job.name} is not deployed; first: {self.stage.command('deploy')}") from error
            self._deployed[job.name] = replace(job, schedules=()), made
        return self._deployed[job.name]

    def recorded(self, job: Job) -> str | None:
        """The record of the job's schedule, as far as it has been read; None if there is none."""
        return self._records.get(job.name)

    def all_deployed(self, jobs: Sequence[Job]) -> dict[str, Deployed | None]:
        """`deployed` of many jobs, ten records for a call; None for a job that is not deployed."""
        self._read_records(jobs)
        found: dict[str, Deployed | None] = {}
        for job in jobs:
            found[job.name] = None
            with suppress(NotDeployed):
                found[job.name] = self.deployed(job)
        return found

    def _read_records(self, jobs: Sequence[Job]) -> None:
        """Those that have not been asked for. GetParameters takes ten names (AWS, GetParameters)."""
        names = {schedule_parameter(self.stage.name, job.name): job for job in jobs if job.name not in self._asked}
        for first in range(0, len(names), 10):
            some = [*names][first : first + 10]
            with reading("ssm:GetParameters", ", ".join(some)):
                for parameter in self.stage.ssm.get_parameters(Names=some)["Parameters"]:
                    job, found = names[parameter["Name"]], record.of(parameter)
                    self._records[job.name] = found.schedule
                    self._deployed[job.name] = _as_recorded(job, found)
        self._asked |= {job.name for job in names.values()}

    def _facts(
        self, job: Job, since: datetime, now: datetime, guards: dict[str, Record], listed: list[Execution]
    ) -> Facts:
        """`guards`, and what they lead to; `listed` are the runs that the list shows."""
        guards = self.with_waiters(guards, job.name)
        runs = tuple(self._runs(job, guards, listed))
        hands = [name for run in runs if (name := run.guard_execution) and name not in guards and asked_by_hand(name)]
        guards |= self._guards(hands, f"{job.name}: by whom")
        kept = timedelta(days=self.stage.file.history_days)
        return Facts(now=now, since=since, guards=guards, runs=runs, kept=kept)

    def with_waiters(self, guards: dict[str, Record], job: str) -> dict[str, Record]:
        waiters = [guard.waiter for guard in guards.values() if guard.waiter]
        return guards | {each.name: each for each in self.all(waiters, f"{job}: starts that waited") if each}

    def _runs(self, job: Job, guards: Mapping[str, Record], listed: Iterable[Execution]) -> list[Record]:
        """The job's own runs: those that these guard executions started, and those of `listed` that are its own."""
        by_arn = {execution.arn: execution for execution in listed}
        started = {guard.started_run for guard in guards.values() if guard.started_run}
        # The list tells all there is to know of a run that succeeded and whose guard execution is known.
        known = {arn: plain(e) for arn, e in by_arn.items() if e.status == "SUCCEEDED" and arn in started}
        told = self.all(sorted((started | by_arn.keys()) - known.keys()), f"{job.name}: runs")
        shared = self.stage.shared(job.name)
        own = [run for run in told if run and (not shared or run.arn in started or run.input.get("job") == job.name)]
        return [*known.values(), *own]

    def _guards(self, names: Iterable[str], what: str) -> dict[str, Record]:
        arns = [self.stage.guard_execution(name) for name in names]
        return {each.name: each for each in self.all(arns, what) if each}

    def newest(self, machine: str, since: datetime) -> Iterator[Execution]:
        """The runs of a slot that were open at some time after `since`."""
        return (execution for execution in self.listed(machine, since) if run_number(execution.name))

    def listed(self, machine: str, since: datetime) -> Iterator[Execution]:
        """The executions of a machine that were open at some time after `since`.

        A thousand for a call, and one more for what has been open for longer than they go back. Raises what
        `chalicelib.read.aws.reading` raises.
        """
        token: dict[str, Any] = {}
        opened: set[str] = set()
        while True:
            with reading("states:ListExecutions", machine):
                answer = self.stage.stepfunctions.list_executions(stateMachineArn=machine, maxResults=1000, **token)
                page = [execution_of(item) for item in answer["executions"]]
            yield from (e for e in page if e.stopped_at is None or e.stopped_at > since)
            opened |= {e.arn for e in page if e.stopped_at is None}
            if not answer.get("nextToken"):
                return
            # The newest first: running ones by their start, among the others by their stop (AWS, ListExecutions).
            if page and (page[-1].stopped_at or page[-1].started_at) <= since:
                running = all_running(StepFunctions(self.stage.stepfunctions), machine)
                yield from (e for e in running if e.arn not in opened)
                return
            token = {"nextToken": answer["nextToken"]}

    def all(self, arns: list[str], what: str) -> list[Record | None]:
        found: list[Record | None] = []
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            for first in range(0, len(arns), _SIDE_BY_SIDE):
                some = arns[first : first + _SIDE_BY_SIDE]
                asks = sum(arn not in self._closed for arn in some)
                found += (pool.map if asks > 1 else map)(self.execution, some)
                self.progress(f"{what}: {len(found)} of {len(arns)}")
        return found

    def execution(self, arn: str) -> Record | None:
        """The execution with this ARN; None if Step Functions does not show it."""
        if arn in self._closed:
            return self._closed[arn]
        client = self.stage.stepfunctions
        with reading("states:DescribeExecution", arn):
            try:
                answer: Any = client.describe_execution(executionArn=arn)
            except client.exceptions.ExecutionDoesNotExist:
                return None
        found = described(answer)
        if found.stopped_at:
            self._closed[arn] = found
        return found


def described(answer: Mapping[str, Any]) -> Record:
    """An answer of DescribeExecution."""
    stopped = answer.get("stopDate")
    return Record(
        arn=answer["executionArn"],
        status=answer["status"],
        started_at=answer["startDate"].astimezone(UTC),
        stopped_at=stopped.astimezone(UTC) if stopped else None,
        input=parse_object(answer.get("input")),
        output=parse_object(answer.get("output")),
        error=answer.get("error"),
        cause=answer.get("cause"),
    )


def _as_recorded(job: Job, found: record.Record) -> Deployed:
    try:
        return record.with_schedules_of(job, found.schedule), found.since
    except (ValueError, KeyError, TypeError) as error:
        raise CantTell(f"the recorded schedule of {job.name} can't be read by this checkout: {error!r}") from error
