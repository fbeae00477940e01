"""Decides what a start does about what is in its way. Pure, like `availability`, by whose verdict it goes.

    free                       start
    paused                     skip
    busy, overlap = skip       wait the grace, look once more, skip
    busy, overlap = queue      let one start wait, and the others skip
    busy, overlap = replace    stop the run, wait until its task is seen STOPPED, and then it is free
    a renewal is in the way    it is over in a moment: look again

*One waits* by the same means by which one runs: the one that waits to be run 42 is a guard execution by the name of
``<job>-after-run-000041-1``, and Step Functions hands out a name once. ``-2`` is asked for only by someone who saw
``-1`` closed while run 41 was still in the way. A waiter that finds itself behind a later run, because another start
was faster, has to get the place behind that one, or step back.

*Replacements never stop each other in turn*: a start stops only what began before its own scheduled time and before
itself, and the run of the one that wins began after that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal, assert_never

from chalicelib.decide.availability import Busy, Free, Holder, Mine, Unsure, claim_is_unclear, judge
from chalicelib.decide.facts import (
    TASK_LAG,
    CantTell,
    Details,
    Facts,
    Missing,
    Need,
    NeedDetails,
    NeedEvidence,
    NeedTasksOf,
    Request,
    Stopping,
    Task,
    span,
    stamp,
)
from chalicelib.decide.policy import Policy
from chalicelib.names import LAST_WAITER, execution_name, pause_number, run_name, run_number, waiter_name, waits_after


@dataclass(frozen=True, slots=True)
class Start:
    """One start: what it asks, and since when it has been trying. Times are UTC."""

    request: Request
    policy: Policy
    began_at: datetime
    """When its guard execution began."""
    deadline: datetime
    """By then it gives up."""
    scheduled_at: datetime | None = None
    anyway: bool = False
    """Also when the job is paused."""
    queued_since: datetime | None = None
    """When the start that waits began, which may have been another guard execution."""
    place_taken: str | None = None
    """The waiter's name that this start asked for and did not get."""
    stopping: Stopping | None = None
    """A task that this start told to stop."""

    @property
    def place(self) -> int | None:
        """41 if this start waits to be run 42; None if it does not wait."""
        after = waits_after(execution_name(self.request.guard_execution or ""))
        return after[0] if after else None

    @property
    def may_replace_before(self) -> datetime:
        """What began later than this is left alone."""
        return min(self.began_at, self.scheduled_at or self.began_at)


# --- decisions: the state machine obeys, and only `Run` may start a run -----------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """Start this run."""

    outcome: ClassVar[Literal["start"]] = "start"
    reason: str
    number: int


@dataclass(frozen=True, slots=True)
class Started:
    """This guard execution has started this run; the answer had been lost."""

    outcome: ClassVar[Literal["started"]] = "started"
    reason: str
    holder: Holder


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again after so many seconds."""

    outcome: ClassVar[Literal["wait"]] = "wait"
    reason: str
    holder: Holder | None
    seconds: int


@dataclass(frozen=True, slots=True)
class Queue:
    """Let another guard execution of this name wait for the job."""

    outcome: ClassVar[Literal["queue"]] = "queue"
    reason: str
    holder: Holder
    waiter: str


@dataclass(frozen=True, slots=True)
class Queued:
    """This start has such a waiter; the answer had been lost."""

    outcome: ClassVar[Literal["queued"]] = "queued"
    reason: str
    holder: Holder
    waiter: str


@dataclass(frozen=True, slots=True)
class StopRun:
    """Stop the run in the way, and look again after so many seconds."""

    outcome: ClassVar[Literal["stop_run"]] = "stop_run"
    reason: str
    holder: Holder
    seconds: int


@dataclass(frozen=True, slots=True)
class StopTask:
    """Stop the task in the way, in this cluster, and look again after so many seconds."""

    outcome: ClassVar[Literal["stop_task"]] = "stop_task"
    reason: str
    holder: Holder
    seconds: int
    cluster: str


SkipError = Literal["AlreadyRunning", "AlreadyQueued", "WaitedTooLong", "Paused"]


@dataclass(frozen=True, slots=True)
class Skip:
    """Step back."""

    outcome: ClassVar[Literal["skip"]] = "skip"
    reason: str
    holder: Holder
    error: SkipError
    stuck: bool = False
    """The run in the way has no task any more, and does not know it: somebody has to end it."""


Decision = Run | Started | Wait | Queue | Queued | StopRun | StopTask | Skip


def decide(start: Start, facts: Facts) -> Decision | Missing:
    """Decide, or say which fact is missing. Raises `facts.CantTell` and `availability.RestedTooLong`."""
    verdict = judge(start.request, facts)
    if isinstance(verdict, Mine):
        return Started(f"{verdict.holder.name} is this guard execution's own", verdict.holder)
    if facts.executions is not None and not start.anyway and (paused := _pause(start, facts)):
        return paused
    match verdict:
        case Free(latest, reason):
            return Run(reason, latest + 1)
        case Unsure(reason):
            return Wait(reason, None, start.policy.grace)
        case Busy():
            return _in_the_way(start, facts, verdict)
        case Need() | NeedDetails() | NeedEvidence() | NeedTasksOf():
            return verdict
        case _:
            assert_never(verdict)


def _pause(start: Start, facts: Facts) -> Skip | NeedDetails | None:
    for execution in facts.executions or ():
        if execution.closed or pause_number(execution.name) is None:
            continue
        if execution.name not in facts.details:
            return NeedDetails(execution.name)
        details = facts.details[execution.name]
        why = details.reason if details and details.reason else "no reason is visible"
        reason = f"paused since {stamp(execution.started_at)}: {why}"
        if start.request.claim and claim_is_unclear(start.request, facts):
            raise CantTell(f"{start.request.claim.run} was asked for and is not visible; by now the job is {reason}")
        return Skip(reason, Holder("pause", execution.name, execution.arn, execution.started_at), "Paused")
    return None


_BETWEEN_TRIES = timedelta(minutes=10)
"""The longest that batch.asl.json waits before the next task of a run."""


def _in_the_way(start: Start, facts: Facts, busy: Busy) -> Decision | Missing:
    """What the policy says. A job's `overlap` has its say in this `match`, and nowhere else."""
    grace = max(1, start.policy.grace)
    if busy.unclear:
        return Wait(busy.reason, busy.holder, grace)
    if start.request.may_wait and start.policy.overlap == "skip" and busy.why in {"run", "claim"}:
        return Wait(busy.reason, busy.holder, grace)  # busy may be old news
    if renewed := _is_a_renewal(start, facts, busy):
        return renewed
    replaces = busy.began_at is not None and busy.began_at < start.may_replace_before
    in_time = facts.now < start.deadline
    seconds = _pace(facts.now - start.began_at)
    if in_time and busy.why == "orphan" and start.policy.orphans == "stop":
        return StopTask(busy.reason, busy.holder, seconds, busy.cluster)
    if start.place is not None:
        return _queue(start, facts, busy)  # also when the jobs file has meanwhile changed to another policy
    match start.policy.overlap:
        case "queue":
            return _queue(start, facts, busy)
        case "replace" if in_time and replaces and busy.why == "orphan":
            return StopTask(busy.reason, busy.holder, seconds, busy.cluster)
        case "replace" if in_time and replaces and busy.why == "run" and run_number(busy.holder.name):
            return StopRun(busy.reason, busy.holder, seconds)
        case "replace" if in_time and replaces and busy.why == "unseen":
            return Wait(busy.reason, busy.holder, seconds)
        case "skip" | "replace":
            if start.request.may_wait:
                return Wait(busy.reason, busy.holder, grace)
            return _skip(start, facts, busy)
        case _:
            assert_never(start.policy.overlap)


def _is_a_renewal(start: Start, facts: Facts, busy: Busy) -> Wait | NeedDetails | None:
    """A renewal of the run numbers is over in a moment, and it runs nothing: it costs no start."""
    if busy.why not in {"run", "claim"} or not run_number(busy.holder.name) or facts.now >= start.deadline:
        return None
    if busy.holder.name not in facts.details:
        return NeedDetails(busy.holder.name)
    details = facts.details[busy.holder.name]
    if details is None or not details.renewal:
        return None
    return Wait(f"{busy.holder.name} renews the run numbers and runs nothing", busy.holder, max(1, start.policy.grace))


def _skip(start: Start, facts: Facts, busy: Busy) -> Skip | NeedTasksOf:
    """Step back, and say if the run in the way has no task any more: then somebody has to end it.

    Raises `CantTell` about a run that the page shows and a description does not yet: it may be a renewal's.
    """
    name, details = busy.holder.name, facts.details.get(busy.holder.name)
    unseen = busy.why == "run" and run_number(name) and not busy.cluster and details is None
    if unseen and facts.now < start.deadline:
        raise CantTell(f"{busy.reason}, and whether it only renews the run numbers is not visible yet")
    if busy.why != "run" or not details or not details.target or facts.now - details.execution.started_at < TASK_LAG:
        return Skip(busy.reason, busy.holder, "AlreadyRunning")
    if name not in facts.stopped:
        return NeedTasksOf(name, details.target)
    stuck = without_a_task(facts.stopped[name], details, facts.now)
    remedy = f"; but {stuck}: end the run with: guardctl stop JOB" if stuck else ""
    return Skip(busy.reason + remedy, busy.holder, "AlreadyRunning", stuck=stuck is not None)


def without_a_task(tasks: Iterable[Task], run: Details, now: datetime) -> str | None:
    """That an open run's newest task has been STOPPED for so long that the run should have heard of it; else None."""
    known = [task for task in tasks if task.created_at]
    newest = max(known, key=lambda task: (task.alive, task.created_at), default=None)
    if newest is None or newest.alive or newest.stopped_at is None:
        return None
    since = now - newest.stopped_at
    enough = (_BETWEEN_TRIES if run.retries else timedelta(0)) + timedelta(minutes=5)
    return f"its task has been STOPPED for {span(since)}" if since >= enough else None


def _queue(start: Start, facts: Facts, busy: Busy) -> Decision | NeedDetails:
    since = start.queued_since or start.began_at
    waited = facts.now - since
    if waited >= timedelta(seconds=start.policy.queue_timeout):
        return Skip(f"waited for {span(waited)}, and {busy.reason}", busy.holder, "WaitedTooLong")
    if start.place is not None and busy.latest <= start.place:
        return Wait(busy.reason, busy.holder, _pace(waited))
    turn = 1
    if (name := start.place_taken) and (after := waits_after(name)) and after[0] == busy.latest:
        if name not in facts.waiters:
            return NeedDetails(name, waiter=True)
        waiter = facts.waiters[name]
        if waiter and waiter.guard_execution == start.request.guard_execution:
            return Queued(f"{name} waits for this start; {busy.reason}", busy.holder, name)
        if waiter is None or not waiter.execution.closed:
            return Skip(f"{name} already waits; {busy.reason}", busy.holder, "AlreadyQueued")
        turn = after[1] + 1
        if turn > LAST_WAITER:
            raise CantTell(f"{LAST_WAITER} starts have given up waiting behind {run_name(busy.latest)}; {busy.reason}")
    return Queue(busy.reason, busy.holder, waiter_name(start.policy.job, busy.latest, turn))


def _pace(spent: timedelta) -> int:
    """Seconds until the next look: a twentieth of the time spent, from 5 seconds to 10 minutes.

    A look is nine events of a history, which may have 25,000 (AWS, quotas); a week of this is about 1,100 looks.
    """
    return int(min(600, max(5, spent.total_seconds() // 20)))
