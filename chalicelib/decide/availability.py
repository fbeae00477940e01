"""Judges whether a job is free. Pure: no AWS, no clock, no environment, no logger.

The protocol, *numbered runs*: every run of a job is an execution named ``run-000042`` of one state machine,
and Step Functions hands out a name once. A start looks at the newest page of runs, finds the highest number
*n*, and if nothing on the page is open and no task of the job lives, asks for ``run-(n+1)``::

    start A   page: n=41, all closed ── StartExecution run-000042 ──► created: A runs
    start B   page: n=41, all closed ──── StartExecution run-000042 ──► taken: look at run-000042, step back
              (B's page may be as old as it likes: all it can propose is a name that is taken)

``run-(n+1)`` is created only by someone who saw *n* closed, and names are handed out once; so at most one run
is open, however stale the lists are. Only the newest run can have left a task behind, so when that one is not known
to be clean, its task is looked for where *it* was started, too. Where the promise ends: a task started past the
guard after the tasks were listed, and a batch machine that somebody starts directly under the next free run name.

A pool's further slots are machines of their own, each read in the same way, and the next only when the one before is
held: the runs of one machine come one after the other, and that is what makes a stale page harmless.

``judge`` is asked again and again: it answers with what it lacks, until it can tell. What to do when the job is
not free is another question, which `overlap` answers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.decide.alive import is_clean, live_task, succeeded, unseen_end
from chalicelib.decide.facts import (
    CantTell,
    Claim,
    Evidence,
    Execution,
    Facts,
    Missing,
    NeedCreatedAt,
    NeedDetails,
    NeedEvidence,
    NeedPage,
    Refused,
    Request,
    Target,
    open_run,
    span,
    stamp,
)
from chalicelib.decide.verdicts import Busy, Free, Holder, Mine, Unsure, Verdict, run_holder
from chalicelib.names import run_name, run_number

SURE_BEFORE_FORGOTTEN = timedelta(days=10)
"""So long before AWS forgets a closed execution (after 90 days, or fewer if an account asks for it), nobody is sure
any more which names still exist."""

MAX_LOSSES = 10
"""A start steps back after losing this many names in a row."""


class RestedTooLong(Refused):
    """The job's last run is so old that its name may be forgotten."""


def judge(request: Request, facts: Facts) -> Verdict | Missing:
    """Tell whether a slot is free, or what is missing to tell. Raises `CantTell` and `RestedTooLong`."""
    slots, claim = (request.only,) if request.only else request.slots, request.claim
    if claim is not None:
        if claim.arn not in facts.details:
            return NeedDetails(claim.arn)
        mine = facts.details[claim.arn]
        if mine is not None and request.guard_execution and mine.guard_execution == request.guard_execution:
            return Mine(run_holder(mine.execution))
        # Not visible, it may be this start's own: it asks for that very name again, or for none. And while lists are
        # stale, names may be lost in each slot in turn: the last look is at one.
        if mine is None or request.losses >= MAX_LOSSES:
            if claim.machine not in slots:
                raise CantTell(f"{claim.run} was asked for, nobody can tell whose it is, and its slot is there no more")
            slots = (claim.machine,)
    left = _beyond(request, facts)
    if not isinstance(left, list):
        return left
    held: list[Busy] = []
    floating = 0  # tasks that no run answers for: each fills the first slot that is seen free otherwise
    for machine in slots:
        verdict = _judge_slot(machine, request, facts, floating)
        if isinstance(verdict, Free) and left:
            verdict = left.pop(0)
        if not isinstance(verdict, Busy):
            return verdict
        floating += verdict.why == "outsider"
        held.append(verdict)
    return replace(held[0], others=tuple(held[1:])) if len(held) > 1 else held[0]


def _beyond(request: Request, facts: Facts) -> list[Busy] | Unsure | Missing:
    """What is left in slots that the pool has no more; no number of theirs is proposed, so none is too old."""
    left: list[Busy] = []
    outsiders = len(facts.evidence.tasks) if facts.evidence else 0  # these are not counted here
    for machine in request.beyond:
        verdict = _judge_slot(machine, replace(request, first=True), facts, outsiders)
        if isinstance(verdict, Busy):
            left.append(verdict)
        elif not isinstance(verdict, Free | Mine):
            return verdict
    return left


def _judge_slot(machine: str, request: Request, facts: Facts, floating: int) -> Verdict | Missing:
    known = facts.of(machine)
    if known.executions is None:
        return NeedPage(machine)
    numbers = _numbers(machine, request, facts)
    blocked = _open_execution(machine, facts) or _lost_claim(machine, facts, request)
    if blocked:
        return _busy(machine, request, facts, numbers, blocked)

    if not numbers and known.more:
        return NeedPage(machine, older=True)
    if not request.first:
        if not numbers and known.created_at is None:
            return NeedCreatedAt(machine)
        if rested := _rested_too_long(machine, numbers, request, facts):
            if request.may_wait:
                return Unsure(rested)
            raise RestedTooLong(rested)
    return _look_at_tasks(machine, request, facts, numbers, floating)


def _look_at_tasks(
    machine: str, request: Request, facts: Facts, numbers: Mapping[int, Execution], floating: int
) -> Verdict | Missing:
    """No run of the slot is open: but is a task of it alive?"""
    last = numbers[max(numbers)] if numbers else None
    targets: dict[tuple[str, str], Target] = {}
    for member in request.members:
        targets.setdefault(member.target.place, member.target)
    if last is not None and not succeeded(last, machine, facts):
        if last.arn not in facts.details:
            return NeedDetails(last.arn)
        details = facts.details[last.arn]
        if details is None:
            reason = f"{last.name} ended as {last.status}, and Step Functions does not show yet where its task ran"
            return _busy(machine, request, facts, numbers, Busy("unseen", run_holder(last), reason))
        if details.target and not is_clean(details, machine, facts):
            targets.setdefault(details.target.place, details.target)
    looked_in = facts.evidence.places if facts.evidence else frozenset()
    if facts.evidence is None or not targets.keys() <= looked_in:
        return NeedEvidence(tuple(targets.values()))
    blocked = live_task(machine, facts, facts.evidence, request, floating)
    if last is not None and blocked is None:
        blocked = unseen_end(last, machine, facts, facts.evidence)
    if isinstance(blocked, NeedDetails):
        return blocked
    if blocked:
        return _busy(machine, request, facts, numbers, blocked)
    latest = _latest(machine, numbers, request, facts)
    seen_free = f"{run_name(latest)} has ended" if numbers else "the job has never run"
    return Free(machine, latest, f"free: {seen_free}, no task is alive")


def older_is_running(asking: Execution, running: Iterable[Execution]) -> Execution | None:
    """The article's question, answered so that two starts that meet don't both step back.

    The first other running execution that is not younger than the asking one (by start, then ARN); None if
    the asking one is the oldest. Unlike numbered runs this can't exclude an overlap while the list is stale.
    """
    mine = (asking.started_at, asking.arn)
    others = (e for e in running if e.status == "RUNNING" and e.arn != asking.arn)
    return next((e for e in others if (e.started_at, e.arn) <= mine), None)


def _executions(machine: str, facts: Facts) -> list[Execution]:
    """The page, where an end that a description has shown is believed: a closed execution stays closed."""
    ended = {d.execution.arn: d.execution for d in facts.details.values() if d and d.execution.closed}
    return [e if e.closed else ended.get(e.arn, e) for e in facts.of(machine).executions or ()]


def _numbers(machine: str, request: Request, facts: Facts) -> dict[int, Execution]:
    """The runs that were seen, by number; among them the one that was lost, which may be too new for the page."""
    numbers = {number: e for e in _executions(machine, facts) if (number := run_number(e.name))}
    claim = _claim_of(machine, request)
    if claim is not None and (seen := facts.details[claim.arn]) is not None:
        numbers.setdefault(run_number(claim.run) or 0, seen.execution)
    return numbers


def _claim_of(machine: str, request: Request) -> Claim | None:
    """The claim, if it is one of this slot."""
    return request.claim if request.claim and request.claim.machine == machine else None


def _open_execution(machine: str, facts: Facts) -> Busy | None:
    execution = open_run(_executions(machine, facts))
    if execution is None:
        return None
    since = f"{span(facts.now - execution.started_at)}, since {stamp(execution.started_at)}"
    odd = "" if execution.status == "RUNNING" else f" (status {execution.status})"
    return Busy("run", run_holder(execution), f"{execution.name} has been running for {since}{odd}")


def _lost_claim(machine: str, facts: Facts, request: Request) -> Busy | None:
    """The run this start asked for and somebody else got: in the way unless it has been seen closed."""
    claim = _claim_of(machine, request)
    if claim is None:
        return None
    on_page = [e for e in facts.of(machine).executions or () if e.name == claim.run]
    details = facts.details[claim.arn]
    seen = [*on_page, *([details.execution] if details else [])]
    closed = [e for e in seen if e.closed]
    if seen and not closed:
        return Busy("claim", run_holder(seen[0]), f"{claim.run} was started by another start a moment ago")
    if not claim.taken:
        return None
    if not seen:
        holder = Holder("run", claim.run, claim.arn)
        if not request.may_wait:
            raise CantTell(
                f"the name {claim.run} is taken, but Step Functions does not show that run: "
                f"its records lag, or the state machine was deleted and made again"
            )
        reason = f"{claim.run} was started by another start a moment ago and is not visible yet"
        return Busy("claim", holder, reason)
    if request.losses >= MAX_LOSSES:
        if not on_page:
            raise CantTell(f"{request.losses} names were taken up to {claim.run}, which the list does not show")
        reason = f"others start this job faster: {request.losses} names lost in a row"
        return Busy("claim", run_holder(closed[0]), reason)
    return None


def _latest(machine: str, numbers: Iterable[int], request: Request, facts: Facts) -> int:
    """The number of the last run. A start whose own run may be hidden asks for the same one again, or for none."""
    latest = max((*numbers, request.first_after))
    claim = _claim_of(machine, request)
    if claim is None or not claim_is_unclear(request, facts):
        return latest
    asked = run_number(claim.run) or 0
    if latest >= asked:
        raise CantTell(
            f"{claim.run} was asked for, and Step Functions does not show whose it is: "
            f"this start may have run. Besides, {run_name(latest)} has ended"
        )
    return asked - 1


def _rested_too_long(machine: str, numbers: Mapping[int, Execution], request: Request, facts: Facts) -> str | None:
    """Why the names may be about to be forgotten, so that two guards might see different ones; None if they are not."""
    remembered = request.history - SURE_BEFORE_FORGOTTEN
    days = request.history.days
    remedy = "make sure that nothing runs, then start it once with: guardctl run JOB --first"
    if numbers:
        last = numbers[max(numbers)]
        if last.stopped_at is not None and facts.now - last.stopped_at >= remembered:
            return (
                f"{last.name} ended on {stamp(last.stopped_at)}, {(facts.now - last.stopped_at).days} days ago; "
                f"Step Functions forgets a run after {days} days, so its name may soon be free again: {remedy}"
            )
    elif (made := facts.of(machine).created_at) is not None and facts.now - made >= remembered:
        return (
            f"no run is visible, and the batch machine exists since {stamp(made)}: "
            f"runs older than {days} days are forgotten: {remedy}"
        )
    return None


def _busy(machine: str, request: Request, facts: Facts, numbers: Iterable[int], blocked: Busy) -> Busy:
    """What blocks the slot, with what is known of it besides."""
    unclear = claim_is_unclear(request, facts)
    if unclear and request.claim and not request.may_wait:
        raise CantTell(
            f"{request.claim.run} was asked for, and Step Functions does not show whose it is: "
            f"this start may have run. Besides, {blocked.reason}"
        )
    latest, began = max(numbers, default=0), _began_at(machine, blocked, facts)
    return replace(blocked, latest=latest, began_at=began, unclear=unclear, machine=machine)


def _began_at(machine: str, blocked: Busy, facts: Facts) -> datetime | None:
    if blocked.why != "orphan":
        return None if blocked.why in {"outsider", "copy"} else blocked.holder.started_at
    tasks = (facts.evidence or Evidence()).tasks
    (execution,) = {task.execution for task in tasks if task.arn == blocked.holder.arn}
    return next((e.started_at for e in facts.seen(machine) if e.arn == execution), None)


def claim_is_unclear(request: Request, facts: Facts) -> bool:
    """The run that was asked for can't be described (yet): it may be anybody's, also this guard execution's own."""
    return request.claim is not None and facts.details[request.claim.arn] is None
