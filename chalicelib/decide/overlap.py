"""Decides what a start does about what is in its way. Pure, like `availability`, by whose verdict it goes.

    free                       start; but who has waited longer goes first
    paused                     skip
    busy, overlap = skip       wait the grace, look once more, skip
    busy, overlap = queue      let one start of the job wait, and the others skip
    busy, overlap = replace    stop the job's own run, wait until its task is seen STOPPED, and then it is free
    a renewal is in the way    it is over in a moment: look again
    the job is in shadow       say which of these it would have been, and do nothing

*One waits* in a pool of one job and one slot by the same means by which one runs: the one that waits to be run 42 is a
guard execution by the name of ``<job>-after-run-000041-1``, and Step Functions hands out a name once. ``-2`` is asked
for only by someone who saw ``-1`` closed while run 41 was still in the way. A waiter that finds itself behind a later
run, because another start was faster, has to get the place behind that one, or step back.

In any other pool a page is full of neighbours' runs, so who waits, and who pauses, is an open execution of a machine of
their own, found in one call. That list may be stale: it only ever holds a start back, and never proposes a number. Of
two that wait for one job the younger steps back. Who finds the pool free while an older one waits *yields*: it looks
every `YIELD_SECONDS`, and goes ahead after `YIELDS_FOR`, so that a waiter that can't go on holds nobody up for ever.

*Replacements never stop each other in turn*: a start stops only what began before its own scheduled time and before
itself, and the run of the one that wins began after that.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import assert_never

from chalicelib.decide.availability import claim_is_unclear, judge
from chalicelib.decide.decisions import Decision, Queue, Queued, Run, Skip, Started, StopRun, StopTask, Wait
from chalicelib.decide.facts import (
    TASK_LAG,
    CantTell,
    Details,
    Execution,
    Facts,
    Missing,
    NeedDetails,
    NeedTasksOf,
    NeedWaiting,
    Request,
    Stopping,
    Task,
    span,
    stamp,
)
from chalicelib.decide.policy import Policy
from chalicelib.decide.shadow import would_have
from chalicelib.decide.verdicts import Busy, Free, Holder, Mine, Unsure
from chalicelib.names import (
    LAST_WAITER,
    execution_arn,
    execution_name,
    parse_guard_name,
    pause_number,
    pool_waiter_name,
    run_name,
    run_number,
    waiter_name,
    waits_after,
)
from chalicelib.values import dataclass

YIELD_SECONDS = 15
"""How often a start that yields looks."""

YIELDS_FOR = timedelta(minutes=2)
"""A start yields no longer: what it yields to may be a stale look, or a waiter that can't go on."""


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
    renewal: bool = False
    """It starts no task, and is over in a moment."""
    queued_since: datetime | None = None
    """When the start that waits began, which may have been another guard execution."""
    place_taken: str | None = None
    """The waiter's name that this start asked for and did not get."""
    place_is_unclear: bool = False
    """Nobody knows whether it got that name: no answer came."""
    stopping: Stopping | None = None
    """A task that this start told to stop."""
    yields_since: datetime | None = None
    """When it first found the pool free while another one waited longer."""
    guard_machine: str = ""
    """The ARN of the guard machine, whose executions wait for a pool of one job and one slot."""
    waiting_machine: str = ""
    """The ARN of the machine of those who wait for any other pool."""

    @property
    def waits(self) -> bool:
        """It is a waiter, in either form."""
        asking = self.request.guard_execution or ""
        return self.place is not None or asking.startswith(execution_arn(self.waiting_machine, "") or "?")

    @property
    def place(self) -> int | None:
        """41 if this start waits to be run 42; None if it does not wait."""
        after = waits_after(execution_name(self.request.guard_execution or ""))
        return after[0] if after else None

    @property
    def may_replace_before(self) -> datetime:
        """What began later than this is left alone."""
        return min(self.began_at, self.scheduled_at or self.began_at)


def decide(start: Start, facts: Facts) -> Decision | Missing:
    """Decide, or say which fact is missing. Raises `facts.CantTell` and `availability.RestedTooLong`."""
    answer = _decide(start, facts)
    if start.request.shadow is not None:
        return would_have(answer, start.request, start.policy, facts)
    return answer


def _decide(start: Start, facts: Facts) -> Decision | Missing:
    verdict = judge(start.request, facts)
    if isinstance(verdict, Mine):
        return Started(f"{verdict.holder.name} is this guard execution's own", verdict.holder)
    claim = start.request.claim
    if claim is not None and claim.arn not in facts.details:
        return NeedDetails(claim.arn)  # whose run it is comes before any pause
    if isinstance(verdict, Free | Busy) and (queued := _has_queued(start, facts)):
        return queued  # and so does whose waiter
    if start.request.shared and facts.waiting is None:
        return NeedWaiting()
    if not start.anyway and (paused := _pause(start, facts)):
        return paused
    match verdict:
        case Free(machine, latest, reason):
            return _yield(start, facts, latest) or Run(reason, latest + 1, machine)
        case Unsure(reason):
            return Wait(reason, None, start.policy.grace)
        case Busy():
            return _in_the_way(start, facts, verdict)
        case _:
            return verdict


def _pause(start: Start, facts: Facts) -> Skip | NeedDetails | None:
    """The pause in force: an execution of the batch machine, or in a pool of several jobs or slots, of its own."""
    if start.request.shared:
        open_ones = [e for e in facts.waiting or () if _is(e, start.request.job, "pause")]
    else:
        page = facts.of(start.request.slots[0]).executions or ()
        open_ones = [e for e in page if not e.closed and pause_number(e.name) is not None]
    for execution in open_ones:
        if execution.arn not in facts.details:
            return NeedDetails(execution.arn)
        details = facts.details[execution.arn]
        if details and details.execution.closed:
            continue
        why = details.reason if details and details.reason else "no reason is visible"
        reason = f"paused since {stamp(execution.started_at)}: {why}"
        if start.request.claim and claim_is_unclear(start.request, facts):
            raise CantTell(f"{start.request.claim.run} was asked for and is not visible; by now the job is {reason}")
        return Skip(reason, Holder("pause", execution.name, execution.arn, execution.started_at), "Paused")
    return None


def _has_queued(start: Start, facts: Facts) -> Queued | Queue | Wait | NeedDetails | None:
    """The waiter's name that this start did not get is its own waiter's: the answer had been lost.

    Then that one runs, or has run, in its place, and this one must not run as well, whether the pool is free or not.
    If nobody can tell, it asks for that very name again, or for none: then it is the one waiter that it has. Raises
    `CantTell`.
    """
    name, asking = start.place_taken, start.request.guard_execution or ""
    if name is None:
        return None
    machine = start.waiting_machine if start.request.shared else start.guard_machine
    arn = execution_arn(machine, name)
    holder = Holder("waiter", name, arn)
    if start.request.shared:
        known, own = not start.place_is_unclear, name == pool_waiter_name(start.request.job, asking)
    elif arn not in facts.details:
        return NeedDetails(arn)
    else:
        waiter = facts.details[arn]
        known, own = waiter is not None, waiter is not None and waiter.guard_execution == asking
    if not known and start.place_is_unclear:
        return Queue(f"{name} was asked for, and no answer came", holder, name, machine)
    if not known:
        reason = f"the name {name} is taken, and Step Functions does not show yet whose it is"
        if start.request.may_wait:
            return Wait(reason, holder, max(1, start.policy.grace))
        raise CantTell(reason)
    return Queued(f"{name} waits for this start", holder, name, machine) if own else None


def _is(execution: Execution, job: str, kind: str) -> bool:
    named = parse_guard_name(execution.name)
    return named is not None and (named.job, named.kind) == (job, kind)


def _yield(start: Start, facts: Facts, latest: int) -> Wait | NeedDetails | None:
    """Let who has waited longer go first; None if there is nobody, or it has been let for long enough."""
    since = start.yields_since
    if start.renewal or (since is not None and facts.now - since >= YIELDS_FOR):
        return None
    if start.request.claim and claim_is_unclear(start.request, facts):
        return None
    older = _older_waiter(start, facts) if start.request.shared else _waiter_behind(start, facts, latest)
    if older is None or isinstance(older, NeedDetails):
        return older
    holder = Holder("waiter", older.name, older.arn, older.started_at)
    reason = f"free, but {older.name} has waited since {stamp(older.started_at)} and goes first"
    return Wait(reason, holder, YIELD_SECONDS, yields=True)


def _older_waiter(start: Start, facts: Facts) -> Execution | None:
    """Of those who wait for the pool the oldest, by date and then by name, unless this start is older."""
    jobs = {member.job for member in start.request.members}
    waiters = [
        e for e in facts.waiting or () if (n := parse_guard_name(e.name)) and n.kind == "waiter" and n.job in jobs
    ]
    oldest = min(waiters, key=lambda e: (e.started_at, e.name), default=None)
    if oldest is None or oldest.arn == start.request.guard_execution:
        return None
    mine = (start.began_at, execution_name(start.request.guard_execution or ""))
    return None if mine < (oldest.started_at, oldest.name) else oldest


def _waiter_behind(start: Start, facts: Facts, latest: int) -> Execution | NeedDetails | None:
    """In a pool of one job: who waits to be the next run. Looked for by name, by a start that would queue."""
    if start.policy.overlap != "queue" or start.waits or start.request.guard_execution is None:
        return None
    for turn in range(1, LAST_WAITER + 1):
        arn = execution_arn(start.guard_machine, waiter_name(start.policy.job, latest, turn))
        if arn not in facts.details:
            return NeedDetails(arn)
        waiter = facts.details[arn]
        if waiter is None:
            return None
        if not waiter.execution.closed:
            return waiter.execution
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
    in_time = facts.now < start.deadline
    seconds = _pace(start, facts.now - start.began_at)
    for held in busy.slots:
        stops = start.policy.orphans == "stop" and _is_of(start.request, held, facts)  # a neighbour has its own policy
        if in_time and held.why == "orphan" and stops:
            return StopTask(held.reason, held.holder, seconds, held.cluster)
    if start.waits:
        return _queue(start, facts, busy)  # also when the jobs file has meanwhile changed to another policy
    match start.policy.overlap:
        case "queue":
            return _queue(start, facts, busy)
        case "replace":
            if in_time and (replaced := _replace(start, facts, busy, seconds)):
                return replaced
        case "skip":
            pass
        case _:
            assert_never(start.policy.overlap)
    if start.request.may_wait:
        return Wait(busy.reason, busy.holder, grace)
    return _skip(start, facts, busy)


def _is_a_renewal(start: Start, facts: Facts, busy: Busy) -> Wait | NeedDetails | None:
    """A renewal of the run numbers is over in a moment, and it runs nothing: it costs no start."""
    if facts.now >= start.deadline:
        return None
    grace = max(1, start.policy.grace)
    for held in busy.slots:
        if held.why not in {"run", "claim"} or not run_number(held.holder.name):
            continue
        if held.holder.arn not in facts.details:
            return NeedDetails(held.holder.arn)
        details = facts.details[held.holder.arn]
        if details is not None and details.renewal:
            return Wait(f"{held.holder.name} renews the run numbers and runs nothing", held.holder, grace)
    return None


def _replace(start: Start, facts: Facts, busy: Busy, seconds: int) -> Decision | None:
    """Stop a run, or what one left behind, that is of this very job and began before this start."""
    for held in busy.slots:
        if held.began_at is None or held.began_at >= start.may_replace_before:
            continue
        if not _is_of(start.request, held, facts):
            continue
        if held.why == "orphan":
            return StopTask(held.reason, held.holder, seconds, held.cluster)
        if held.why == "run" and run_number(held.holder.name):
            return StopRun(held.reason, held.holder, seconds)
        if held.why == "unseen":
            return Wait(held.reason, held.holder, seconds)
    return None


def _is_of(request: Request, held: Busy, facts: Facts) -> bool:
    """Whether what holds this slot is of the job that asks. In a pool of one job it is, whatever its input says."""
    if not request.shared:
        return True
    if held.why == "orphan":
        tasks = facts.evidence.tasks if facts.evidence else ()
        return any(task.arn == held.holder.arn and task.job == request.job for task in tasks)
    details = facts.details.get(held.holder.arn)
    return details is not None and details.job == request.job


def _skip(start: Start, facts: Facts, busy: Busy) -> Skip | NeedTasksOf:
    """Step back, and say if the run in the way has no task any more: then somebody has to end it.

    Raises `CantTell` about a run that the page shows and a description does not yet: it may be a renewal's.
    """
    reason = _told(facts, busy, start.request)
    for held in busy.slots if facts.now < start.deadline else ():
        unseen = held.why == "run" and run_number(held.holder.name) and not held.cluster
        if unseen and facts.details.get(held.holder.arn) is None:
            raise CantTell(f"{held.reason}, and whether it only renews the run numbers is not visible yet")
    arn, details = busy.holder.arn, facts.details.get(busy.holder.arn)
    if busy.why != "run" or not details or not details.target or facts.now - details.execution.started_at < TASK_LAG:
        return Skip(reason, busy.holder, "AlreadyRunning")
    if arn not in facts.stopped:
        return NeedTasksOf(arn, details.target)
    stuck = without_a_task(facts.stopped[arn], details, facts.now)
    remedy = f"; but {stuck}: end the run with: guardctl stop {details.job or 'JOB'}" if stuck else ""
    return Skip(reason + remedy, busy.holder, "AlreadyRunning", stuck=stuck is not None)


def _told(facts: Facts, busy: Busy, request: Request) -> str:
    """What is in the way; of a pool's run, whose it is; of several slots, all of them."""
    said = []
    for held in busy.slots:
        details = facts.details.get(held.holder.arn)
        neighbour = f"{details.job}: " if request.shared and details and details.job else ""
        said.append(f"{neighbour}{held.reason}")
    return said[0] if len(said) == 1 else f"all {len(said)} slots are held: {'; '.join(said)}"


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
        return Skip(f"waited for {span(waited)}, and {_told(facts, busy, start.request)}", busy.holder, "WaitedTooLong")
    if start.request.shared:
        return _wait_for_the_pool(start, facts, busy, waited)
    if start.place is not None and busy.latest <= start.place:
        return Wait(busy.reason, busy.holder, _pace(start, waited))
    turn = 1
    if (name := start.place_taken) and (after := waits_after(name)) and after[0] == busy.latest:
        waiter = facts.details.get(execution_arn(start.guard_machine, name))  # by `_has_queued`
        if waiter and not waiter.execution.closed:
            if start.request.may_wait:  # that it waits may be old news
                return Wait(busy.reason, busy.holder, max(1, start.policy.grace))
            return Skip(f"{name} already waits; {busy.reason}", busy.holder, "AlreadyQueued")
        turn = after[1] + 1
        if turn > LAST_WAITER:
            raise CantTell(f"{LAST_WAITER} starts have given up waiting behind {run_name(busy.latest)}; {busy.reason}")
    name = waiter_name(start.policy.job, busy.latest, turn)
    return Queue(busy.reason, busy.holder, name, start.guard_machine)


def _wait_for_the_pool(start: Start, facts: Facts, busy: Busy, waited: timedelta) -> Decision | NeedDetails:
    """One start of each job waits: of two the younger steps back, by date and then by name.

    The list of those who wait is old news, so the one to step back for is described, and a first look is not final.
    """
    reason = _told(facts, busy, start.request)
    mine = pool_waiter_name(start.request.job, start.request.guard_execution or "")
    others = [e for e in facts.waiting or () if _is(e, start.request.job, "waiter")]
    others = [e for e in others if e.arn != start.request.guard_execution and e.name != mine]
    others = [e for e in others if not ((known := facts.details.get(e.arn)) and known.execution.closed)]
    oldest = min(others, key=lambda e: (e.started_at, e.name), default=None)
    age = (start.began_at, execution_name(start.request.guard_execution or ""))
    if oldest is not None and (not start.waits or (oldest.started_at, oldest.name) < age):
        if oldest.arn not in facts.details:
            return NeedDetails(oldest.arn)
        if start.request.may_wait:
            return Wait(reason, busy.holder, max(1, start.policy.grace))
        since = f"has waited since {stamp(oldest.started_at)}"
        return Skip(f"{oldest.name} {since}; {reason}", busy.holder, "AlreadyQueued")
    if start.waits:
        return Wait(reason, busy.holder, _pace(start, waited))
    return Queue(reason, busy.holder, mine, start.waiting_machine)


def _pace(start: Start, spent: timedelta) -> int:
    """Seconds until the next look: a twentieth of the time spent, from 5 seconds to 10 minutes.

    Who waits for a pool looks at least once a minute on its first day. A look is nine events of a history, which may
    have 25,000 (AWS, quotas); a week of this is about 1,100 looks, and 2,300 for a pool.
    """
    longest = 60 if start.request.shared and spent < timedelta(days=1) else 600
    return int(min(longest, max(5, spent.total_seconds() // 20)))
