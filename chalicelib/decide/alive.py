"""Whether a task is alive that is in a slot's way, though no run of it is open. Pure, and part of `availability`.

The lock lives as long as the task: a run that was closed uncleanly holds its slot until its task is seen STOPPED, and
what others have started counts as the jobs file says (`outsiders`).
"""

from itertools import islice

from chalicelib.decide.facts import (
    CLEAN,
    CLOCKS,
    TASK_LAG,
    Details,
    Evidence,
    Execution,
    Facts,
    Member,
    NeedDetails,
    Request,
    Task,
    span,
    stamp,
)
from chalicelib.decide.verdicts import Busy, Holder, Why, run_holder
from chalicelib.decide.words import same
from chalicelib.names import execution_arn, execution_name, run_number


def live_task(
    machine: str, facts: Facts, evidence: Evidence, request: Request, floating: int
) -> Busy | NeedDetails | None:
    """A task that holds this slot; `floating` of those that no run answers for fill the slots before it."""
    own = execution_arn(machine, "")
    alive = [task for task in evidence.tasks if task.alive]
    for task in alive:
        if task.execution is not None and task.execution.startswith(own):
            found = _task_of_a_run(task, machine, facts)
            if found:
                return found
    foreign = (found for task in alive if (found := _foreign_task(task, evidence, request)))
    return next(islice(foreign, floating, None), None)


def _task_of_a_run(task: Task, machine: str, facts: Facts) -> Busy | NeedDetails | None:
    """A live task with the name of a run of this slot: in the way whatever that run says.

    The one exception: the run saw it stop, and so short a time ago that ECS may be late to show it.
    """
    arn = task.execution or ""
    name = execution_name(arn)
    if arn not in facts.details:
        return NeedDetails(arn)
    details = facts.details[arn]
    ended = next((e for e in facts.seen(machine) if e.arn == arn and e.closed), None)
    if ended is None:
        page = facts.of(machine).executions or ()
        if (run_number(name) or 0) < max((run_number(e.name) or 0 for e in page), default=0):
            return _on_task("copy", task, f"a task of {name}, whose end is not visible any more, lives: {task.arn}")
        holder = run_holder(details.execution) if details else Holder("run", name, arn)
        reason = f"{name} is not seen closed, and its task is alive: {task.arn}"
        return Busy("run", holder, reason, cluster=task.cluster)
    told = details is not None and details.execution.closed
    if not told and ended.status in {"SUCCEEDED", "FAILED"}:
        reason = f"{name} has ended, how is not visible yet, and its task is alive: {task.arn}"
        return Busy("run", run_holder(ended), reason, cluster=task.cluster)
    if details is None or not is_clean(details, machine, facts):
        return _on_task("orphan", task, f"{name} was closed, but its task lives on: {task.arn}")
    at = ended.stopped_at or facts.now
    if task.arn in details.tasks and facts.now - at < TASK_LAG:
        return None
    reason = f"a task with the name of {name}, which ended on {stamp(at)}, is alive (a copy?): {task.arn}"
    return _on_task("copy", task, reason)


def _foreign_task(task: Task, evidence: Evidence, request: Request) -> Busy | None:
    """A live task that no run of this pool's machines started."""
    if task.execution is not None and task.execution.startswith(request.stage_runs):
        if any(task.execution.startswith(execution_arn(machine, "")) for machine in (*request.slots, *request.beyond)):
            return None  # it holds its own run's slot
        if task.job not in {member.job for member in request.members}:  # another pool's, which has a lock of its own
            return None
        run = task.execution.rpartition(":execution:")[2]
        reason = f"a task of {run}, from before {task.job} moved here, is alive: {task.arn}"
        return _on_task("outsider", task, reason)
    if task.service or stands_for_the_run(task, evidence, request):
        return None
    for member in request.members:
        if task.target and task.target.place == member.target.place and _counts(task, member, evidence, request):
            return _on_task("outsider", task, f"a task that this guard did not start is alive: {task.arn}")
    return None


def stands_for_the_run(task: Task, evidence: Evidence, request: Request) -> bool:
    """Of a start in shadow: the old rule has started this task for this very time, where the guard would have."""
    shadow, job = request.shadow, request.members[0]
    if shadow is None or task.started_by not in shadow.started_by or task.created_at is None:
        return False
    in_time = shadow.since <= task.created_at and (shadow.until is None or task.created_at < shadow.until)
    here = task.target is not None and task.target.place == job.target.place
    return in_time and here and same(task.command, evidence.commands.get(job.job))


def _counts(task: Task, member: Member, evidence: Evidence, request: Request) -> bool:
    """Whether a task that somebody else started counts as this job."""
    match member.outsiders:
        case "ignore":
            return False
        case "family":
            return True
        case "command":
            asked = request.commands if member.job == request.job else None
            wanted = evidence.commands.get(member.job)
            return same(task.command, wanted) or (asked is not None and task.command == asked)


def unseen_end(last: Execution, machine: str, facts: Facts, evidence: Evidence) -> Busy | None:
    """The newest run ended uncleanly a moment ago, so that ECS may hide its task."""
    ended = last.stopped_at
    if ended is None or facts.now - ended >= TASK_LAG or succeeded(last, machine, facts) or _outlived(last, evidence):
        return None
    details = facts.details[last.arn]
    if details and is_clean(details, machine, facts):
        return None
    left = TASK_LAG - (facts.now - ended)
    reason = (
        f"{last.name} ended as {last.status} {span(facts.now - ended)} ago and ECS has not shown "
        f"its task stopped; if none appears, the job is free in {span(left)}"
    )
    return Busy("unseen", run_holder(last), reason)


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


def succeeded(execution: Execution, machine: str, facts: Facts) -> bool:
    """Some read has shown that it succeeded: then it left no task."""
    seen = (execution, *facts.seen(machine))
    return any(e.arn == execution.arn and e.closed and e.status == "SUCCEEDED" for e in seen)


def is_clean(details: Details, machine: str, facts: Facts) -> bool:
    """The run is known to have left no task. FAILED does not tell: the error does. A renewal never has one."""
    if details.renewal or succeeded(details.execution, machine, facts):
        return True
    failed = details.execution.closed and details.execution.status == "FAILED"
    return failed and (details.error or "").startswith(CLEAN)


def _on_task(why: Why, task: Task, reason: str) -> Busy:
    holder = Holder("task", task.arn.rsplit("/", 1)[-1], task.arn, task.created_at)
    return Busy(why, holder, reason, cluster=task.cluster)
