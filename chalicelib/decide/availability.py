"""Judges whether a job is free. Pure: no AWS, no clock, no environment, no logger.

The protocol, *numbered runs*: every run of a job is an execution named ``run-000042`` of one state machine,
and Step Functions hands out a name once. A start looks at the newest page of runs, finds the highest number
*n*, and if nothing on the page is open and no task of the job lives, asks for ``run-(n+1)``::

    start A   page: n=41, all closed ── StartExecution run-000042 ──► created: A runs
    start B   page: n=41, all closed ──── StartExecution run-000042 ──► taken: look at run-000042, step back
              (B's page may be as old as it likes: all it can propose is a name that is taken)

``run-(n+1)`` is created only by someone who saw *n* closed, and names are handed out once; so at most one run
is open, however stale the lists are. Where the promise ends: a task started past the guard after the tasks
were listed, and a batch machine that somebody starts directly under the next free run name.

``judge`` is asked again and again: it answers with a `Need` for the fact it lacks, until it can tell. What to do
when the job is not free is another question, which `chalicelib.decide.overlap` answers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from chalicelib.decide.facts import (
    CantTell,
    Evidence,
    Execution,
    Facts,
    Need,
    NeedDetails,
    Refused,
    Request,
    Task,
    span,
    stamp,
)
from chalicelib.names import execution_arn, pause_number, run_name, run_number

TASK_LAG = timedelta(minutes=5)
"""How long ECS may hide a task that RunTask accepted (AWS, RunTask: back off up to about five minutes)."""

CLOCKS = timedelta(seconds=5)
"""How far the clocks of ECS and Step Functions may be apart. No run starts a task this soon after another's end."""

NAMES_LAST = timedelta(days=80)
"""After this rest nobody is sure which names still exist: AWS forgets a closed execution after 90 days."""

MAX_LOSSES = 10
"""A start steps back after losing this many names in a row."""

CLEAN = "BatchGuard."
"""A run that FAILED with an error of this prefix left no task behind: the batch machine made sure."""


class RestedTooLong(Refused):
    """The job's last run is so old that its name may be forgotten."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The run or the task that is in the way, or the pause."""

    kind: Literal["run", "task", "pause"]
    name: str
    arn: str
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Free:
    """Nothing of the job is alive: ``run-(latest + 1)`` may be asked for."""

    latest: int
    reason: str


@dataclass(frozen=True, slots=True)
class Mine:
    """The run that was asked for is there, and this guard execution's own: its answer had been lost."""

    holder: Holder


Why = Literal["run", "claim", "outsider", "orphan", "unseen"]


@dataclass(frozen=True, slots=True)
class Busy:
    """Something is in the way."""

    why: Why
    """An open execution; the run that somebody else got; a task by others; the task of a run that was closed
    uncleanly; such a run, of which ECS has not shown the end."""
    holder: Holder
    reason: str
    latest: int
    """The highest run number seen, 0 for none."""
    began_at: datetime | None = None
    """When the run in the way began, also if only its task is left; None if it is no run, or not visible."""
    unclear: bool = False
    """This guard execution may have a run, which is not visible: it must not ask for another, nor wait in a queue."""


Verdict = Free | Mine | Busy


def judge(request: Request, facts: Facts) -> Verdict | Need | NeedDetails:
    """Tell whether the job is free, or which fact is missing. Raises `CantTell` and `RestedTooLong`."""
    lost = request.claim.run if request.claim else None
    if lost is not None:
        if lost not in facts.details:
            return NeedDetails(lost)
        mine = facts.details[lost]
        if mine is not None and request.guard_execution and mine.guard_execution == request.guard_execution:
            return Mine(_run_holder(mine.execution))
    if facts.executions is None:
        return Need.PAGE
    numbers = _numbers(request, facts)
    blocked = _open_execution(facts) or _lost_claim(facts, request)
    if blocked:
        return _busy(request, facts, numbers, *blocked)

    if not numbers and facts.more:
        return Need.OLDER_PAGE
    if not request.first:
        if not numbers and facts.created_at is None:
            return Need.CREATED_AT
        _names_are_remembered(numbers, facts)

    if facts.evidence is None:
        return Need.EVIDENCE
    task = _live_task(facts, facts.evidence, request) or _unseen_end(facts, facts.evidence)
    if isinstance(task, NeedDetails):
        return task
    if task:
        return _busy(request, facts, numbers, *task)
    latest = _latest(numbers, request, facts)
    seen_free = f"{run_name(latest)} has ended" if latest else "the job has never run"
    return Free(latest, f"free: {seen_free}, no task is alive")


def older_is_running(asking: Execution, running: Iterable[Execution]) -> Execution | None:
    """The article's question, answered so that two starts that meet don't both step back.

    The first other running execution that is not younger than the asking one (by start, then ARN); None if
    the asking one is the oldest. Unlike numbered runs this can't exclude an overlap while the list is stale.
    """
    mine = (asking.started_at, asking.arn)
    others = (e for e in running if e.status == "RUNNING" and e.arn != asking.arn)
    return next((e for e in others if (e.started_at, e.arn) <= mine), None)


def open_run(executions: Iterable[Execution]) -> Execution | None:
    """The first execution of a batch machine that is not known to be closed, and is no pause; None if there is none."""
    for execution in executions:
        if not execution.closed and pause_number(execution.name) is None:
            return execution
    return None


_Blocked = tuple[Why, Holder, str]


def _numbers(request: Request, facts: Facts) -> dict[int, Execution]:
    """The runs that were seen, by number; among them the one that was lost, which may be too new for the page."""
    numbers = {number: e for e in facts.executions or () if (number := run_number(e.name))}
    claim = request.claim
    if claim is not None and (seen := facts.details[claim.run]) is not None:
        numbers.setdefault(run_number(claim.run) or 0, seen.execution)
    return numbers


def _seen(facts: Facts) -> Iterator[Execution]:
    """Every execution that a read has shown: those on the page, then those that were described."""
    yield from facts.executions or ()
    yield from (details.execution for details in facts.details.values() if details)


def _open_execution(facts: Facts) -> _Blocked | None:
    execution = open_run(facts.executions or ())
    if execution is None:
        return None
    since = f"{span(facts.now - execution.started_at)}, since {stamp(execution.started_at)}"
    odd = "" if execution.status == "RUNNING" else f" (status {execution.status})"
    return "run", _run_holder(execution), f"{execution.name} has been running for {since}{odd}"


def _lost_claim(facts: Facts, request: Request) -> _Blocked | None:
    """The run this start asked for and somebody else got: in the way unless it has been seen closed."""
    claim = request.claim
    if claim is None:
        return None
    on_page = [e for e in facts.executions or () if e.name == claim.run]
    details = facts.details[claim.run]
    seen = [*on_page, *([details.execution] if details else [])]
    closed = [e for e in seen if e.closed]
    if seen and not closed:
        return "claim", _run_holder(seen[0]), f"{claim.run} was started by somebody else a moment ago"
    if not claim.taken:
        return None
    if not seen:
        holder = Holder("run", claim.run, execution_arn(request.machine, claim.run))
        if not request.may_wait:
            raise CantTell(
                f"the name {claim.run} is taken, but Step Functions does not show that run: "
                f"its records lag, or the state machine was deleted and made again"
            )
        return "claim", holder, f"{claim.run} was started by somebody else a moment ago and is not visible yet"
    if request.losses >= MAX_LOSSES:
        if not on_page:
            raise CantTell(f"{request.losses} names were taken up to {claim.run}, which the list does not show")
        return "claim", _run_holder(closed[0]), f"others start this job faster: {request.losses} names lost in a row"
    return None


def _latest(numbers: Iterable[int], request: Request, facts: Facts) -> int:
    """The number of the last run. A start whose own run may be hidden asks for the same one again, or for none."""
    latest = max(numbers, default=0)
    if request.claim is None or not claim_is_unclear(request, facts):
        return latest
    asked = run_number(request.claim.run) or 0
    if latest >= asked:
        raise CantTell(
            f"{request.claim.run} was asked for, and Step Functions does not show whose it is: "
            f"this start may have run. Besides, {run_name(latest)} has ended"
        )
    return asked - 1


def _names_are_remembered(numbers: Mapping[int, Execution], facts: Facts) -> None:
    remedy = "make sure that nothing runs, then start it once with: guardctl run JOB --first"
    if numbers:
        last = numbers[max(numbers)]
        if last.stopped_at is not None and facts.now - last.stopped_at >= NAMES_LAST:
            raise RestedTooLong(
                f"{last.name} ended on {stamp(last.stopped_at)}, {(facts.now - last.stopped_at).days} days ago; "
                f"Step Functions forgets a run after 90 days, so its name may soon be free again: {remedy}"
            )
    elif facts.created_at is not None and facts.now - facts.created_at >= NAMES_LAST:
        raise RestedTooLong(
            f"no run is visible, and the batch machine exists since {stamp(facts.created_at)}: "
            f"runs older than 90 days are forgotten: {remedy}"
        )


def _live_task(facts: Facts, evidence: Evidence, request: Request) -> _Blocked | NeedDetails | None:
    prefix = execution_arn(request.machine, "")
    for task in evidence.tasks:
        if not task.alive:
            continue
        if task.execution is None:
            if _is_this_job(task, evidence, request):
                return "outsider", _task_holder(task), f"a task that this guard did not start is alive: {task.arn}"
        elif task.execution.startswith(prefix):
            name = task.execution.removeprefix(prefix)
            clean = _closed_cleanly(name, facts)
            if isinstance(clean, NeedDetails):
                return clean
            if not clean:
                return _task_of_a_run(task, name, facts)
            if _is_copied(task, name, facts) and _is_this_job(task, evidence, request):
                return "outsider", _task_holder(task), f"a task begun after {name}, whose name it has: {task.arn}"
    return None


def _unseen_end(facts: Facts, evidence: Evidence) -> _Blocked | NeedDetails | None:
    """A run that ended uncleanly a moment ago, so that ECS may hide its task."""
    listed = {execution.name: execution for execution in facts.executions or ()}
    described = {name: details.execution for name, details in facts.details.items() if details}
    for execution in (described | listed).values():  # the run that won may be too new for the page
        ended = execution.stopped_at
        if ended is None or facts.now - ended >= TASK_LAG or _outlived(execution, evidence):
            continue
        if pause_number(execution.name) is not None:  # it never had a task
            continue
        clean = _closed_cleanly(execution.name, facts)
        if isinstance(clean, NeedDetails):
            return clean
        if not clean:
            left = TASK_LAG - (facts.now - ended)
            reason = (
                f"{execution.name} ended as {execution.status} {span(facts.now - ended)} ago and ECS has not shown "
                f"its task stopped; if none appears, the job is free in {span(left)}"
            )
            return "unseen", _run_holder(execution), reason
    return None


def _task_of_a_run(task: Task, name: str, facts: Facts) -> _Blocked:
    """An orphan only if its run is known to be closed: one that is not visible yet may be in good health.

    A later run is as good a proof as its own end, since only somebody who saw it closed could start that one.
    """
    executions = facts.executions or ()
    details = facts.details.get(name)
    seen = [*(e for e in executions if e.name == name), *([details.execution] if details else [])]
    latest = max((run_number(e.name) or 0 for e in executions), default=0)
    if any(execution.closed for execution in seen) or latest > (run_number(name) or 0):
        return "orphan", _task_holder(task), f"{name} was closed, but its task lives on: {task.arn}"
    holder = _run_holder(seen[0]) if seen else Holder("run", name, task.execution or "")
    return "run", holder, f"{name} is not seen closed, and its task is alive: {task.arn}"


def _is_copied(task: Task, name: str, facts: Facts) -> bool:
    """Younger than the end of its run, so somebody copied the environment. Else ECS is late to show it stopped."""
    ended = next((e.stopped_at for e in _seen(facts) if e.name == name), None)
    return task.created_at is not None and ended is not None and task.created_at > ended + CLOCKS


def _outlived(execution: Execution, evidence: Evidence) -> bool:
    """Its task was seen stopped, and stopped after the run closed: so it was the run's last task."""
    return any(
        task.execution == execution.arn
        and not task.alive
        and task.stopped_at is not None
        and execution.stopped_at is not None
        and task.stopped_at >= execution.stopped_at - CLOCKS
        for task in evidence.tasks
    )


def _closed_cleanly(name: str, facts: Facts) -> bool | NeedDetails:
    """Whether the run is known to have left no task. FAILED does not tell: the error does."""
    details = facts.details.get(name)
    if details is not None and details.execution.closed:
        clean_error = (details.error or "").startswith(CLEAN)
        return details.execution.status == "SUCCEEDED" or (details.execution.status == "FAILED" and clean_error)
    for execution in facts.executions or ():  # which may know of an end that the details lag behind
        if execution.name == name and execution.status != "FAILED":
            return execution.status == "SUCCEEDED"
    return False if name in facts.details else NeedDetails(name)


def _is_this_job(task: Task, evidence: Evidence, request: Request) -> bool:
    if task.service or request.outsiders == "ignore":
        return False
    if request.outsiders == "family":
        return True
    return task.command == evidence.command or (request.commands is not None and task.command == request.commands)


def _busy(
    request: Request,
    facts: Facts,
    numbers: Iterable[int],
    why: Why,
    holder: Holder,
    reason: str,
) -> Busy:
    unclear = claim_is_unclear(request, facts)
    if unclear and request.claim and not request.may_wait:
        raise CantTell(
            f"{request.claim.run} was asked for, and Step Functions does not show whose it is: "
            f"this start may have run. Besides, {reason}"
        )
    return Busy(why, holder, reason, max(numbers, default=0), _began_at(why, holder, facts), unclear)


def _began_at(why: Why, holder: Holder, facts: Facts) -> datetime | None:
    if why != "orphan":
        return None if why == "outsider" else holder.started_at
    (execution,) = {task.execution for task in (facts.evidence or Evidence()).tasks if task.arn == holder.arn}
    return next((e.started_at for e in _seen(facts) if e.arn == execution), None)


def claim_is_unclear(request: Request, facts: Facts) -> bool:
    """The run that was asked for can't be described (yet): it may be anybody's, also this guard execution's own."""
    return request.claim is not None and facts.details[request.claim.run] is None


def _run_holder(execution: Execution) -> Holder:
    return Holder("run", execution.name, execution.arn, execution.started_at)


def _task_holder(task: Task) -> Holder:
    return Holder("task", task.arn.rsplit("/", 1)[-1], task.arn, task.created_at)
