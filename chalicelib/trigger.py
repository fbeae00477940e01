"""The tick: what is due → StartExecution of the guard machine, once per scheduled time, each at its instant.

A scheduled time is used up by its guard execution's name, so a tick that comes twice, late or again after a
failure can't start anything twice. EventBridge delivers at least once, for up to 24 hours (AWS). When each is sent
says the plan (`decide.pace`): a tick sends what falls into its minute, and ends within it.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from chalicelib import contract, telling
from chalicelib.contract import StartInput, Verdict
from chalicelib.decide import pace
from chalicelib.decide.facts import stamp
from chalicelib.decide.pace import LOOK_BACK, Planned
from chalicelib.decide.schedule import Due, due, latest, left_out, nominal, renewals, unknown
from chalicelib.names import guard_machine, machine_arn, region_of
from chalicelib.read.record import Record, recorded_as
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from chalicelib.config.jobs import Job, JobsFile

LATE = timedelta(minutes=1)
"""A start later than this might be for a time before the job had this schedule: that is looked up first. No longer than
from tick to tick: else a job that was just renamed starts for a time that it had under the other name."""

SIDE_BY_SIDE = 32
"""Starts in flight at once; the client's connection pool is as large."""

_MINUTE = timedelta(minutes=1)
_TICK = timedelta(microseconds=1)

Result = Literal["started", "held back", "holiday", "handled", "schedule changed since"]


class SomeStartsFailed(Exception):
    """At least one start failed. Lambda tries the tick again, and names keep the others from running twice."""


@dataclass(frozen=True)
class Tick:
    """What one tick has to send. `in_time` and `late` are in the order in which they go."""

    in_time: tuple[Planned, ...]
    """Each at its instant, which is in this minute."""
    late: tuple[Planned, ...]
    """Missed by an earlier tick: sent as what is left of the quota allows."""
    verdicts: tuple[Planned, ...]
    """They ask nobody, so they come last."""
    meter: pace.Meter
    ends: datetime


@dataclass(frozen=True)
class Trigger:
    """Everything the trigger uses, passed in."""

    jobs: "JobsFile"
    function_arn: str
    client: "SFNClient"
    recorded: "Callable[[Job], Record]"
    """What the deployment recorded of a job's schedule."""
    handled: set[str]
    """Names known to be used up. A warm function remembers them, which saves calls; nothing depends on it."""
    now: Callable[[], datetime]
    sleep: Callable[[float], None]

    def tick(self, report: Callable[[Planned, Result, timedelta], None]) -> None:
        """Start the guard of every job whose instant is in this minute.

        Tells `report` of each, and by how much it was sent after its instant. Raises `SomeStartsFailed` after all have
        been tried.
        """
        tick = self.planned(self.now())
        todo = len(tick.in_time) + len(tick.late) + len(tick.verdicts)
        if not todo:
            return
        had_since = cache(self._had_since)
        attempts: list[tuple[Planned, timedelta, Future[Result]]] = []
        with ThreadPoolExecutor(min(SIDE_BY_SIDE, todo)) as pool:

            def send(each: Planned) -> Future[Result]:
                attempt = pool.submit(self._start, each, had_since)
                attempts.append((each, self.now() - each.at, attempt))
                return attempt

            make_up = self._make_up(tick, send)
            free = self.now()
            for each in tick.in_time:
                free = max(free, each.at)
                while self.now() < free and (at := next(make_up, free)) < free:
                    self._wait(at, tick.ends)
                if not self._wait(free, tick.ends):
                    break
                send(each)
                free += timedelta(microseconds=tick.meter.curve.gap)
            for at in make_up:
                if not self._wait(at, tick.ends):
                    break
            for each in tick.verdicts:
                if not self._wait(each.at, tick.ends):
                    break
                send(each).exception()  # one after the other: nobody waits for them
        failures = {}
        for each, late, attempt in attempts:
            error = attempt.exception()
            if error is not None:
                failures[each.start] = error
                continue
            self.handled.add(each.start.name)
            report(each, attempt.result(), late)
        if failures:
            raise SomeStartsFailed(_list(failures.items(), of=len(attempts)))

    def planned(self, now: datetime) -> Tick:
        """What the tick at `now` (UTC) has to send, but for what is known to be handled. Forgets what is too old."""
        file = self.jobs
        jobs = tuple(file.jobs.values())
        minute = now.replace(second=0, microsecond=0)
        ends = minute + _MINUTE
        curve = pace.curve(pace.quotas(region_of(self.function_arn), file.quotas))
        since = minute - LOOK_BACK
        plan = pace.plan(jobs, curve, since, ends, file.history_days, file.renewed)
        last = {start.job: start for start in due(jobs, now)}
        in_time: list[Planned] = []
        late: list[Planned] = []
        verdicts: list[Planned] = []
        for each in plan.sends:
            newest = last.get(each.start.job)
            if each.held_back:
                verdicts.append(each)
            elif each.at >= minute:
                in_time.append(each)
            elif each.start.renewal or (newest is not None and newest.name == each.start.name):
                late.append(each)
            else:
                verdicts.append(Planned(each.start, now, _missed(each.start)))
        known = plan.waiting.union(each.start.name for each in plan.sends)
        lapsed = [start for start in self._lapsed(last, now) if start.name not in known]
        verdicts += [Planned(start, now, _missed(start)) for start in lapsed]
        holidays = [*self._holidays(since, ends)]
        verdicts += holidays
        older = (*last.values(), *renewals(file.renewed.items(), now, file.history_days))
        late = [*(Planned(start, start.scheduled_at) for start in older if start.name not in known), *late]
        self.handled.intersection_update(
            known.union(start.name for start in (*older, *lapsed, *(each.start for each in holidays)))
        )

        def left(planned: Iterable[Planned]) -> tuple[Planned, ...]:
            return tuple(each for each in planned if each.start.name not in self.handled)

        return Tick(left(in_time), left(late), left(verdicts), plan.meter, ends)

    def _lapsed(self, last: dict[str, Due], now: datetime) -> Iterable[Due]:
        """The times that a next one, or the end of their deadline, put out of reach in the last minutes."""
        for job in self.jobs.jobs.values():
            deadline = timedelta(seconds=job.start_deadline)
            newest = last.get(job.name)
            if not job.enabled or (newest is not None and now - newest.scheduled_at > LOOK_BACK):
                continue
            before = newest.scheduled_at - _TICK if newest else now
            within = deadline + LOOK_BACK - (now - before)
            time = latest(job.schedules, job.timezone, before, within=within)
            if time is not None:
                yield Due(job.name, time, time + deadline)

    def _holidays(self, since: datetime, ends: datetime) -> Iterable[Planned]:
        """The times with since <= time < ends that a calendar leaves out: each is told so, and asks nobody."""
        for job in self.jobs.jobs.values():
            deadline = timedelta(seconds=job.start_deadline)
            for time, name in left_out(job.schedules, job.timezone, since - _TICK, ends - _TICK) if job.enabled else ():
                yield Planned(Due(job.name, time, time + deadline), time, holiday=name)

    def _make_up(self, tick: Tick, send: Callable[[Planned], "Future[Result]"]) -> Iterator[datetime]:
        """What was missed, one at each turn; yields when the next may go, or now if it may not go yet.

        Most of it is handled already, and only what was not uses up quota: the first what is kept in reserve, the rest
        what the plan leaves over.
        """
        at = self.now()
        for each in tick.late:
            while at > (now := self.now()):
                yield at
            attempt = send(each)
            if attempt.exception() is None and attempt.result() == "started":
                tick.meter.take(pace.microseconds(now))
                at = pace.moment(tick.meter.earliest(pace.microseconds(now)))
            yield at

    def _wait(self, until: datetime, ends: datetime) -> bool:
        """Sleep until that instant; False, at once, if the tick's minute is over by then."""
        if until >= ends:
            return False
        left = (until - self.now()).total_seconds()
        if left > 0:
            self.sleep(left)
        return True

    def _start(self, each: Planned, had_since: Callable[[str], datetime | None]) -> Result:
        start = each.start
        if self.now() - start.scheduled_at > LATE and not start.renewal:
            since = had_since(start.job)
            if since is None or since > start.scheduled_at:
                return "schedule changed since"
        try:
            self.client.start_execution(
                stateMachineArn=machine_arn(self.function_arn, guard_machine(self.jobs.stage)),
                name=start.name,
                input=guard_input(each, self.jobs, self.function_arn),
            )
        except self.client.exceptions.ExecutionAlreadyExists:
            return "handled"
        return "holiday" if each.holiday else "held back" if each.held_back else "started"

    def _had_since(self, name: str) -> datetime | None:
        """Since when the job has had its present schedule. None while another one is recorded: mid-deployment."""
        job = self.jobs.jobs[name]
        record = self.recorded(job)
        return record.since if record.schedule == recorded_as(job) else None


def guard_input(each: Planned, jobs: "JobsFile", function_arn: str) -> str:
    """The guard machine's input, the same for the same scheduled time."""
    start, job = each.start, jobs.jobs[each.start.job]
    when = (job.schedules, job.timezone, start.scheduled_at)
    tell = None if start.renewal else telling.of_start(jobs, job, start.scheduled_at, function_arn)
    asked = StartInput(
        job=start.job,
        scheduled_at=start.scheduled_at,
        nominal_at=None if start.renewal else nominal(*when),
        reason=None if start.renewal else unknown(job.calendar, *when) or None,
        deadline=start.deadline,
        renewal=start.renewal,
        slot=start.slot if start.slot > 1 else None,
        shadow=start.shadow,
        tell=tell,
    )
    if each.held_back:
        asked = replace(asked, verdict=Verdict("HeldBack", each.held_back))
    if each.holiday and job.calendar:
        day = f"{start.scheduled_at.astimezone(ZoneInfo(job.timezone)):%Y-%m-%d}"
        reason = f"{day} is no business day of calendar {job.calendar.name}: {each.holiday}"
        asked = replace(asked, verdict=Verdict("Holiday", reason), tell=None)  # as it was meant
    return json.dumps(contract.guard_input(asked), sort_keys=True)


def _missed(start: Due) -> str:
    return (
        f"held back: nobody started it before the next scheduled time, or by {stamp(start.deadline)}. "
        "The trigger did not run then, or Step Functions refused it: its log says more"
    )


def _list(failures: Iterable[tuple[Due, BaseException]], of: int) -> str:
    lines = [f"{start.name}: {error}" for start, error in failures]
    return f"{len(lines)} of {of} starts failed: " + "; ".join(lines)
