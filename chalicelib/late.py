"""Late by the clock: what became of each scheduled time by its moment (`decide.deadlines`), by names alone.

A scheduled time has one guard execution, whose output names its run. So two calls of DescribeExecution tell whether it
was done, however long ago it was; no list is read. Nothing here writes.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from chalicelib.contract import cut
from chalicelib.decide import deadlines, pace
from chalicelib.decide.deadlines import Look, Moment
from chalicelib.decide.facts import CantTell, Details, Refused, span, stamp
from chalicelib.names import execution_arn, execution_name, guard_machine, machine_arn, region_of, repetition_name
from chalicelib.read.executions import Executions
from chalicelib.read.record import Record, recorded_as
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from chalicelib.config.jobs import Job, JobsFile

Kind = Literal["in time", "not started", "still running", "failed", "too late", "not expected"]

_WAITERS = 3
"""So many starts that waited for one another are followed: who waits longest goes first, so more are not seen."""

_REPETITIONS = 5
"""So many starts by hand for the same time are looked up, when the scheduled one came to nothing."""

_SETTLED = timedelta(seconds=15)
"""DescribeExecution is eventually consistent (AWS): a run that ended just before its moment is looked at once more."""

_MINUTE = timedelta(minutes=1)


class SomeLooksFailed(Exception):
    """At least one scheduled time could not be looked up. Lambda tries again, and so do the ticks of ten minutes."""


@dataclass(frozen=True, slots=True)
class Became:
    """What became of a scheduled time by its moment. The instants in `reason` are as `stamp` writes them."""

    kind: Kind
    reason: str = ""
    run: str | None = None
    """The ARN of its run, if it has one."""

    @property
    def late(self) -> bool:
        """Whether somebody should know."""
        return self.kind not in {"in time", "not expected"}


Describe = Callable[[str], Details | None]
"""An execution by its ARN; None if Step Functions does not show it."""


def became(moment: Moment, guard: str, describe: Describe, *, skip_is_fine: bool) -> Became:
    """What became of that scheduled time. `guard`: the ARN of the guard machine.

    A start by hand for the same time makes up for it. `skip_is_fine`: a start that stepped back counts as one that did
    its work, since its job ends green then (`on_skip`).
    """
    look = _Look(moment, describe, skip_is_fine)
    found = look.at_guard(execution_arn(guard, moment.name))
    last = found or Became("not started", f"no start for {stamp(moment.scheduled_at)} was ever made")
    if not last.late:
        return last
    for number in range(1, _REPETITIONS + 1):
        again = look.at_guard(execution_arn(guard, repetition_name(moment.job, moment.scheduled_at, number)))
        if again is None:
            break
        last = again
        if not again.late:
            break
    return last


@dataclass(frozen=True, slots=True)
class _Look:
    moment: Moment
    describe: Describe
    skip_is_fine: bool

    def at_guard(self, arn: str, waiters: int = _WAITERS) -> Became | None:
        """What a guard execution led to; None if there is none."""
        guard, name = self.describe(arn), execution_name(arn)
        if guard is None:
            return None
        opened, output = guard.execution, guard.output
        machine, run, waiter = (output.get(key) for key in ("state_machine_arn", "run", "waiter"))
        match output.get("outcome"):
            case "started" if isinstance(machine, str) and isinstance(run, str):
                return self._at_run(execution_arn(machine, run))
            case "queued" if isinstance(machine, str) and isinstance(waiter, str) and waiters:
                next_one = self.at_guard(execution_arn(machine, waiter), waiters - 1)
                return next_one or Became("not started", f"{waiter}, which waited for it, is not shown")
            case "skip":
                fine = self.skip_is_fine and output.get("error") != "BatchGuard.Paused"
                reason = cut(str(output.get("reason", "")))
                return Became("in time" if fine else "not started", f"{name} stepped back: {reason}")
            case "shadow":
                return Became("not expected", "the job was in shadow then")
        if opened.stopped_at is None:
            return Became("not started", f"{name} has been open since {stamp(opened.started_at)}")
        return Became("not started", f"{name} ended as {_said(guard)}")

    def _at_run(self, arn: str) -> Became:
        shown, name, by = self.describe(arn), execution_name(arn), self.moment.at
        if shown is None:
            return Became("still running", f"{name} was started, and is not shown", arn)
        run = shown.execution
        ended = run.stopped_at
        if ended is None or ended > by:
            if ended is not None and run.status == "SUCCEEDED":
                return Became("too late", f"{name} succeeded at {stamp(ended)}, {span(ended - by)} late", arn)
            told = f"{name} had been running for {span(by - run.started_at)}, since {stamp(run.started_at)}"
            return Became("still running", told, arn)
        if run.status == "SUCCEEDED":
            return Became("in time", run=arn)
        how = {"ABORTED": "was stopped", "TIMED_OUT": "timed out"}.get(run.status, "failed")
        return Became("failed", f"{name} {how} at {stamp(ended)}: {_said(shown)}", arn)


def _said(ended: Details) -> str:
    """How it ended, in its own words."""
    return cut(": ".join(part for part in (ended.error, ended.cause) if part) or ended.execution.status)


@dataclass(frozen=True)
class Late:
    """Everything a tick uses to look up who is late, passed in."""

    jobs: "JobsFile"
    function_arn: str
    executions: Executions
    recorded: "Callable[[Job], Record]"
    """What the deployment recorded of a job's schedule."""
    known: set[tuple[str, str]]
    """Names and keys that were looked up. A warm function remembers them, which saves calls; nothing depends on it."""
    now: Callable[[], datetime]
    sleep: Callable[[float], None]

    def tick(self, report: Callable[[Look, Became, timedelta], None]) -> None:
        """Look up what the plan has for this minute, then what the ticks before have missed; end within the minute.

        Tells `report` of each, and how long after its moment it was looked up. Raises `SomeLooksFailed` in the end.
        """
        quota = pace.quotas(region_of(self.function_arn), self.jobs.quotas)["DescribeExecution"]
        minute = self.now().replace(second=0, microsecond=0)
        ends, gap = minute + _MINUTE, deadlines.pause(quota)
        planned = {
            (look.moment.name, look.moment.key): look
            for look in deadlines.plan(self.jobs.jobs.values(), quota, minute - deadlines.LOOK_BACK, ends)
        }
        self.known.intersection_update(planned)
        todo = [look for key, look in planned.items() if key not in self.known]
        in_time, missed = (deque(look for look in todo if (look.at >= minute) is due_now) for due_now in (True, False))
        free, failures = self.now(), []
        while in_time or missed:
            first = in_time if in_time and (in_time[0].at <= free or not missed) else missed
            look = first.popleft()
            at = max(free, look.at, self.now())
            if at >= ends:
                break
            if (wait := (at - self.now()).total_seconds()) > 0:
                self.sleep(wait)
            calls: list[str] = []
            try:
                found = self._look_up(look.moment, calls)
            except (CantTell, Refused) as error:
                failures.append(f"{look.moment.name}: {error}")
            else:
                after = self.now() - look.moment.at
                if found.kind == "still running" and after < _SETTLED:
                    missed.appendleft(Look(look.moment, look.moment.at + _SETTLED))
                else:
                    self.known.add((look.moment.name, look.moment.key))
                    report(look, found, after)
            free = at + gap * len(calls)
        if failures:
            said = "; ".join(failures)
            raise SomeLooksFailed(f"whether {len(failures)} scheduled times were done could not be looked up: {said}")

    def _look_up(self, moment: Moment, calls: list[str]) -> Became:
        job = self.jobs.jobs[moment.job]

        def describe(arn: str) -> Details | None:
            calls.append(arn)
            return self.executions.details(arn)

        guard = machine_arn(self.function_arn, guard_machine(self.jobs.stage))
        found = became(moment, guard, describe, skip_is_fine=job.on_skip == "succeed")
        if found.late and found.run is None:
            # A job that is new, or has another schedule, was never due then. While it is being deployed nobody knows.
            record = self.recorded(job)
            if record.schedule != recorded_as(job) or record.since > moment.scheduled_at:
                return Became("not expected", "it has not had this schedule for so long")
        return found
