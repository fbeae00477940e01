"""The tick: what is due → StartExecution of the guard machine, once per scheduled time.

A scheduled time is used up by its guard execution's name, so a tick that comes twice, late or again after a
failure can't start anything twice. EventBridge delivers at least once, for up to 24 hours (AWS).
"""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from chalicelib import contract
from chalicelib.contract import StartInput
from chalicelib.decide.schedule import Due, due, renewals
from chalicelib.names import guard_machine, machine_arn
from chalicelib.read.record import Record, recorded_as

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from chalicelib.config.jobs import Job, JobsFile

LATE = timedelta(seconds=90)
"""A start later than this might be for a time before the job had this schedule: that is looked up first."""

SIDE_BY_SIDE = 32
"""Starts in flight at once; the client's connection pool is as large."""

Result = Literal["started", "handled", "schedule changed since"]


class SomeStartsFailed(Exception):
    """At least one start failed. Lambda tries the tick again, and names keep the others from running twice."""


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

    def tick(self, now: datetime, report: Callable[[Due, Result], None]) -> None:
        """Start the guard of every job that is due at `now` (UTC), telling `report` of each.

        Raises `SomeStartsFailed` after all have been tried.
        """
        jobs = self.jobs.jobs.values()
        pools = [(self.jobs.members(pool)[0].name, self.jobs.slots_of(pool)) for pool in self.jobs.pools]
        starts = [*due(jobs, now), *renewals(pools, now, self.jobs.history_days)]
        starts = [start for start in starts if start.name not in self.handled]
        if not starts:
            return
        with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(starts))) as pool:
            attempts = [(start, pool.submit(self._start, start)) for start in starts]
        failures = {}
        for start, attempt in attempts:
            error = attempt.exception()
            if error is not None:
                failures[start] = error
                continue
            self.handled.add(start.name)
            report(start, attempt.result())
        if failures:
            raise SomeStartsFailed(_list(failures.items(), of=len(starts)))

    def _start(self, start: Due) -> Result:
        if start.late > LATE and not start.renewal and not self._had_this_schedule(start):
            return "schedule changed since"
        try:
            self.client.start_execution(
                stateMachineArn=machine_arn(self.function_arn, guard_machine(self.jobs.stage)),
                name=start.name,
                input=guard_input(start),
            )
        except self.client.exceptions.ExecutionAlreadyExists:
            return "handled"
        return "started"

    def _had_this_schedule(self, start: Due) -> bool:
        """Whether the job had its present schedule at the scheduled time. Another one is recorded mid-deployment."""
        job = self.jobs.jobs[start.job]
        record = self.recorded(job)
        return record.schedule == recorded_as(job) and record.since <= start.scheduled_at


def guard_input(start: Due) -> str:
    """The guard machine's input, the same for the same scheduled time."""
    asked = StartInput(
        job=start.job,
        scheduled_at=start.scheduled_at,
        deadline=start.deadline,
        renewal=start.renewal,
        slot=start.slot if start.slot > 1 else None,
    )
    return json.dumps(contract.guard_input(asked), sort_keys=True)


def _list(failures: Iterable[tuple[Due, BaseException]], of: int) -> str:
    lines = [f"{start.name}: {error}" for start, error in failures]
    return f"{len(lines)} of {of} starts failed: " + "; ".join(lines)
