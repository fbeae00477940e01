"""Decides what a start does about what is in its way. Pure, like `availability`, whose verdict it goes by.

    free                       start
    paused                     skip
    busy, overlap = skip       wait the grace, look once more, skip
    busy, overlap = queue      let one start wait, and the others skip
    busy, overlap = replace    stop the run, wait until its task is seen STOPPED, and then it is free

*One waits* by the same means by which one runs: the one that waits to be run 42 is a guard execution by the name of
``<job>-after-run-000041-1``, and Step Functions hands out a name once. ``-2`` is asked for only by someone who saw
``-1`` closed while run 41 was still in the way. A waiter that finds itself behind a later run, because another start
was faster, has to get the place behind that one, or step back.

*Replacements never stop each other in turn*: a start stops only what began before its own scheduled time and before
itself, and the run of the one that wins began after that.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from chalicelib.decide.availability import Busy, Free, Holder, Mine, claim_is_unclear, judge
from chalicelib.decide.facts import CantTell, Facts, Need, NeedDetails, Request, span, stamp
from chalicelib.names import LAST_WAITER, execution_name, pause_number, run_name, run_number, waiter_name, waits_after


@dataclass(frozen=True, slots=True)
class Policy:
    """What the jobs file says of the job. Seconds."""

    job: str
    overlap: Literal["skip", "queue", "replace"] = "skip"
    orphans: Literal["wait", "stop"] = "wait"
    grace: int = 0
    queue_timeout: int = 3600


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
    stopping: str | None = None
    """The ARN of a task that this start told to stop."""

    @property
    def place(self) -> int | None:
        """41 if this start waits to be run 42; None if it does not wait."""
        after = waits_after(execution_name(self.request.guard_execution or ""))
        return after[0] if after else None

    @property
    def may_replace_before(self) -> datetime:
        """What began later than this is left alone."""
        return min(self.began_at, self.scheduled_at or self.began_at)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do: the state machine obeys. Only ``start`` may start a run."""

    outcome: Literal["start", "started", "wait", "queue", "queued", "stop_run", "stop_task", "skip"]
    reason: str
    holder: Holder | None = None
    next_run: str | None = None
    wait_seconds: int | None = None
    """How long to wait before the next look: after stopping something, too."""
    waiter: str | None = None
    """The guard execution that is to wait, or waits, in this start's stead."""
    error: Literal["AlreadyRunning", "AlreadyQueued", "WaitedTooLong", "Paused"] | None = None
    """Of a skip: which one it is."""


def decide(start: Start, facts: Facts) -> Decision | Need | NeedDetails:
    """Decide, or say which fact is missing. Raises `facts.CantTell` and `guard.RestedTooLong`."""
    verdict = judge(start.request, facts)
    if isinstance(verdict, Mine):
        return Decision("started", f"{verdict.holder.name} is this guard execution's own", verdict.holder)
    if facts.executions is not None and not start.anyway and (paused := _pause(start, facts)):
        return paused
    match verdict:
        case Free(latest, reason):
            return Decision("start", reason, next_run=run_name(latest + 1))
        case Busy():
            return _in_the_way(start, facts, verdict)
    return verdict


def _pause(start: Start, facts: Facts) -> Decision | NeedDetails | None:
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
        holder = Holder("pause", execution.name, execution.arn, execution.started_at)
        return Decision("skip", reason, holder, error="Paused")
    return None


def _in_the_way(start: Start, facts: Facts, busy: Busy) -> Decision | NeedDetails:
    policy, queues = start.policy, start.place is not None or start.policy.overlap == "queue"
    if busy.unclear:
        return Decision("wait", busy.reason, busy.holder, wait_seconds=max(1, policy.grace))
    if facts.now < start.deadline and (stop := _stop(start, facts, busy)):
        return stop
    if queues:
        return _queue(start, facts, busy)
    if start.request.may_wait:  # busy may be old news
        return Decision("wait", busy.reason, busy.holder, wait_seconds=policy.grace)
    return Decision("skip", busy.reason, busy.holder, error="AlreadyRunning")


def _stop(start: Start, facts: Facts, busy: Busy) -> Decision | None:
    """Stop what this start replaces, or an orphan; None if there is nothing that it may stop."""
    began = busy.began_at
    replaces = start.policy.overlap == "replace" and began is not None and began < start.may_replace_before
    seconds = _pace(facts.now - start.began_at)
    if busy.why == "orphan" and (replaces or start.policy.orphans == "stop"):
        return Decision("stop_task", busy.reason, busy.holder, wait_seconds=seconds)
    if busy.why == "run" and replaces and run_number(busy.holder.name):
        return Decision("stop_run", busy.reason, busy.holder, wait_seconds=seconds)
    if busy.why == "unseen" and replaces:
        return Decision("wait", busy.reason, busy.holder, wait_seconds=seconds)
    return None


def _queue(start: Start, facts: Facts, busy: Busy) -> Decision | NeedDetails:
    since = start.queued_since or start.began_at
    waited = facts.now - since
    if waited >= timedelta(seconds=start.policy.queue_timeout):
        return Decision("skip", f"waited for {span(waited)}, and {busy.reason}", busy.holder, error="WaitedTooLong")
    if start.place is not None and busy.latest <= start.place:
        return Decision("wait", busy.reason, busy.holder, wait_seconds=_pace(waited))
    turn = 1
    if (name := start.place_taken) and (after := waits_after(name)) and after[0] == busy.latest:
        if name not in facts.waiters:
            return NeedDetails(name, waiter=True)
        waiter = facts.waiters[name]
        if waiter and waiter.guard_execution == start.request.guard_execution:
            return Decision("queued", f"{name} waits in its stead; {busy.reason}", busy.holder, waiter=name)
        if waiter is None or not waiter.execution.closed:
            return Decision("skip", f"{name} already waits; {busy.reason}", busy.holder, error="AlreadyQueued")
        turn = after[1] + 1
        if turn > LAST_WAITER:
            raise CantTell(f"{LAST_WAITER} starts have waited behind {run_name(busy.latest)} in vain; {busy.reason}")
    return Decision("queue", busy.reason, busy.holder, waiter=waiter_name(start.policy.job, busy.latest, turn))


def _pace(spent: timedelta) -> int:
    """Seconds until the next look: a twentieth of the time spent, from 5 seconds to 10 minutes.

    A look is nine events of a history, which may have 25,000 (AWS, quotas); a week of this is about 1,100 looks.
    """
    return int(min(600, max(5, spent.total_seconds() // 20)))
