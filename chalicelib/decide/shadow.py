"""What a start in shadow says: what it would have done. Pure.

It looks once, like any first look, and does nothing about what it sees: it does not wait, queue, stop or claim. The old
rule goes on meanwhile, so its task for this very time stands for the run that this start would have made, and what it
started for earlier times is in the way, as it would have been. What it goes by is what the rule really started: a task
of a time at which the guard would have stepped back is in the way of the next time all the same.

`startedBy` is what EventBridge and Scheduler put there, which AWS does not document: seen are ``events-rule/<rule>``
and ``chronos-schedule/<schedule>``, whole or cut after 36 characters, which was once the longest that ECS took.
"""

from typing import assert_never

from chalicelib.decide.alive import stands_for_the_run
from chalicelib.decide.decisions import Decision, Queue, Queued, Run, Skip, Started, StopRun, StopTask, Wait, WouldHave
from chalicelib.decide.facts import Evidence, Facts, Missing, Refused, Request
from chalicelib.decide.policy import Policy
from chalicelib.decide.verdicts import Holder

_STARTED_BY = {"rule": "events-rule", "schedule": "chronos-schedule"}
_CUT = 36


def started_by(imported_from: str | None) -> frozenset[str]:
    """The ``startedBy`` of the tasks of ``rule/<bus>/<name>#<target id>`` or ``schedule/<group>/<name>``."""
    if imported_from is None:
        return frozenset()
    kind, _, rest = imported_from.partition("#")[0].partition("/")
    whole = f"{_STARTED_BY[kind]}/{rest.rpartition('/')[2]}"
    return frozenset({whole, whole[:_CUT]})


def would_have(answer: Decision | Missing, request: Request, policy: Policy, facts: Facts) -> WouldHave | Missing:
    """What to say in place of a decision."""
    if isinstance(answer, Missing | WouldHave):
        return answer
    match answer:
        case Run(reason):
            return WouldHave(_instead(request, facts) or reason.removeprefix("free: "), None, "started")
        case Wait(reason, holder) | Queue(reason, holder) | Queued(reason, holder):
            return WouldHave(reason, holder, "waited")
        case StopRun(reason, holder) | StopTask(reason, holder):
            return WouldHave(reason, holder, "replaced")
        case Skip(reason, holder) if policy.overlap == "replace" and _of_the_rule(holder, request, facts):
            return WouldHave(reason, holder, "replaced")  # by then it would have been a run of the guard's
        case Skip(reason, holder):
            return WouldHave(reason, holder, "stepped back")
        case Started(reason, holder):
            return WouldHave(reason, holder, "started")
        case _:
            assert_never(answer)


def refused(refusal: Refused) -> WouldHave:
    """What to say in place of a refusal."""
    return WouldHave(f"{type(refusal).__name__}: {refusal}", None, "been refused")


def _of_the_rule(holder: Holder, request: Request, facts: Facts) -> bool:
    """What is in the way is a task of the old rule, of an earlier time: the guard would have had a run there."""
    shadow, tasks = request.shadow, facts.evidence.tasks if facts.evidence else ()
    return shadow is not None and any(
        task.arn == holder.arn
        and task.started_by in shadow.started_by
        and (task.created_at or facts.now) < shadow.since
        for task in tasks
    )


def _instead(request: Request, facts: Facts) -> str | None:
    """What the old rule has started in place of the run, as far as it is alive."""
    evidence = facts.evidence or Evidence()
    tasks = [task for task in evidence.tasks if task.alive and stands_for_the_run(task, evidence, request)]
    if not tasks:
        return None
    said = f"in its place {tasks[0].started_by} has started {', '.join(sorted(task.arn for task in tasks))}"
    return said if len(tasks) == 1 else f"{said}: {len(tasks)} tasks for one time, of which the guard starts one"
