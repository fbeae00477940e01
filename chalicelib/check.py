"""The checker: event → facts → decision. It only reads, so it may be called at any time.

Three events are answered: a guard's question (``{"job": …}``), a batch machine that lost sight of its task
(``{"job": …, "task_of": "<execution ARN>"}``) and the article's (``{"StateMachineId": …, "ExecutionName": …}``).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.config.jobs import Job, JobsFile, JobsFileInvalid
from chalicelib.decide import availability as guard
from chalicelib.decide import overlap
from chalicelib.decide.facts import CantTell, Claim, Execution, Facts, Need, NeedDetails, Refused, Request, stamp
from chalicelib.decide.overlap import Decision, Policy, Start
from chalicelib.decide.skips import skips_in_a_row
from chalicelib.names import batch_machine, execution_arn, guard_machine, machine_arn, run_number
from chalicelib.read import tasks

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

    from chalicelib.read.executions import Executions

_BY_HAND = timedelta(minutes=5)
"""How long a start without a deadline asks, as "Can asking again help?" of guard.asl.json has it."""

_TO_STOP = timedelta(minutes=10)
"""Who has stopped a run doesn't give up before its task can be seen STOPPED, though the deadline passes."""

_OURS = {"guard", "guard_execution", "queued_since"}
_KNOWN = ("job", "scheduled_at", "commands", "deadline", "renewal", "first", "anyway")
_DEADLINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # guard.asl.json reads it too
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z")


class InvalidInput(Refused):
    """The event is malformed."""


class UnknownJob(Refused):
    """The jobs file has no such job."""


@dataclass(frozen=True)
class Checker:
    """Everything the checker uses, passed in. ``ecs`` is called only when ECS must be asked."""

    load_jobs: Callable[[], JobsFile]
    function_arn: str
    executions: "Executions"
    ecs: "Callable[[], ECSClient]"
    now: Callable[[], datetime]
    decide: Callable[[Start, Facts], Decision | Need | NeedDetails] = overlap.decide

    def answer(self, event: Any) -> dict[str, Any]:
        """The answer to one event, ready for JSON.

        Raises `facts.CantTell` when asking again may help. When it can't, the answer's outcome is ``refuse``;
        only a batch machine's question has no such answer, and raises `facts.Refused`.
        """
        if isinstance(event, Mapping) and "task_of" in event:
            return self._task_of(event)
        try:
            if not isinstance(event, Mapping):
                raise InvalidInput(f'the input must be an object like {{"job": "nightly-report"}}, not {event!r:.100}')
            return self._article(event) if "StateMachineId" in event else self._decision(event)
        except (Refused, JobsFileInvalid) as refusal:
            return {"running_flg": True, "outcome": "refuse", "error": type(refusal).__name__, "reason": str(refusal)}

    def _decision(self, event: Mapping[str, Any]) -> dict[str, Any]:
        job = self._job(event)
        now = self.now()
        start = _start(event, job, self._machine(job), now)
        answer, facts = self._decide(job, start, now)
        return {
            "running_flg": answer.outcome != "start",
            **asdict(answer),
            "holder": _holder(answer),
            "job": job.name,
            "state_machine_arn": start.request.machine,
            **_to_obey(answer, event, job, start),
            **_to_tell(answer, job, facts),
        }

    def _decide(self, job: Job, start: Start, now: datetime) -> tuple[Decision, Facts]:
        facts = Facts(now=now)
        machine = start.request.machine
        token: str | None = None
        while True:
            match self.decide(start, facts):
                case Decision() as decision:
                    return decision, facts
                case NeedDetails(name, waiter=True):
                    arn = execution_arn(self._guard_machine(), name)
                    facts = replace(facts, waiters={**facts.waiters, name: self.executions.details(arn)})
                case NeedDetails(name):
                    details = self.executions.details(execution_arn(machine, name))
                    facts = replace(facts, details={**facts.details, name: details})
                case Need.PAGE | Need.OLDER_PAGE:
                    page = self.executions.page(machine, token)
                    token = page.token
                    known = facts.executions or ()
                    facts = replace(facts, executions=known + page.executions, more=token is not None)
                case Need.CREATED_AT:
                    facts = replace(facts, created_at=self.executions.created_at(machine))
                case Need.EVIDENCE:
                    facts = replace(facts, evidence=tasks.evidence(self.ecs(), job.ecs, start.stopping))

    def _task_of(self, event: Mapping[str, Any]) -> dict[str, Any]:
        job = self._job(event)
        execution = event["task_of"]
        ours = execution_arn(self._machine(job), "")
        if not isinstance(execution, str) or not execution.startswith(ours):
            raise InvalidInput(f"task_of must be the ARN of a run of {job.name}, {ours}…, not {execution!r:.200}")
        since = event.get("since")
        if since is not None and not isinstance(since, int | float):
            raise InvalidInput(f"since must be milliseconds since 1970, not {since!r:.100}")
        attempt_began = None if since is None else datetime.fromtimestamp(since / 1000, UTC)
        task = tasks.newest_task(self.ecs(), job.ecs, execution, attempt_began)
        return {"task": asdict(task) if task else None}

    def _article(self, event: Mapping[str, Any]) -> dict[str, Any]:
        machine, name = event["StateMachineId"], event.get("ExecutionName")
        if not (isinstance(machine, str) and ":stateMachine:" in machine and isinstance(name, str) and name):
            raise InvalidInput(
                "StateMachineId must be a state machine's ARN and ExecutionName an execution's name, "
                f"not {machine!r:.200} and {name!r:.100}"
            )
        running: list[Execution] = []
        token: str | None = None
        while True:
            page = self.executions.page(machine, token, only_running=True)
            running += page.executions
            token = page.token
            if token is None:
                break
        asking = next((e for e in running if e.name == name), None)
        if asking is None:
            details = self.executions.details(execution_arn(machine, name))
            if details is None:
                raise CantTell(f"the execution that asks, {name} of {machine}, is not visible")
            asking = details.execution
        older = guard.older_is_running(asking, running)
        reason = f"{older.name} has been running since {stamp(older.started_at)}" if older else "none is older"
        return {"running_flg": older is not None, "reason": reason, "state_machine_arn": machine}

    def _job(self, event: Mapping[str, Any]) -> Job:
        jobs = self.load_jobs()
        name = event.get("job")
        if not isinstance(name, str):
            raise InvalidInput(f'the input must name a job, like {{"job": "nightly-report"}}; it has {sorted(event)}')
        if name not in jobs.jobs:
            known = ", ".join(sorted(jobs.jobs)) or "none"
            raise UnknownJob(f"no job {name!r} in stage {jobs.stage}; the jobs are: {known}")
        return jobs.jobs[name]

    def _guard_machine(self) -> str:
        return machine_arn(self.function_arn, guard_machine(self.load_jobs().stage))

    def _machine(self, job: Job) -> str:
        return machine_arn(self.function_arn, batch_machine(self.load_jobs().stage, job.name))


def _start(event: Mapping[str, Any], job: Job, machine: str, now: datetime) -> Start:
    faults = [f"unknown key {key!r}" for key in sorted(set(event) - {*_KNOWN, *_OURS}, key=str)]
    commands = event.get("commands")
    if commands is not None and not (
        isinstance(commands, list) and commands and all(isinstance(c, str) for c in commands)
    ):
        faults.append(f'commands must be a list of strings like ["bin/report", "--day", "1"], not {commands!r:.100}')
    for key, form in (("scheduled_at", _TIME), ("deadline", _DEADLINE), ("queued_since", _TIME)):
        value = event.get(key)
        if value is not None and not _is_time(value, form):
            faults.append(f"{key} must be a UTC time like 2026-11-23T18:00:00Z, not {value!r:.100}")
    for key in ("renewal", "first", "anyway"):
        if not isinstance(event.get(key, False), bool):
            faults.append(f"{key} must be true or false, not {event[key]!r:.100}")
    asking = event.get("guard") or {}
    claim = asking.get("claim") if isinstance(asking, Mapping) else None
    if not isinstance(asking, Mapping) or "forged" in asking or (claim and not run_number(claim["run"])):
        faults.append(f"guard is the guard machine's own, and can't be {asking!r:.200}")
    if faults:
        raise InvalidInput(f"{'; '.join(faults)}. The input may have: {', '.join(_KNOWN)}")
    renewal = event.get("renewal", False)
    began_at = _moment(asking.get("started")) or now
    deadline = _moment(event.get("deadline")) or began_at + _BY_HAND
    stopped_at = _moment(asking.get("stopped_at"))
    request = Request(
        machine=machine,
        guard_execution=asking.get("execution"),
        outsiders=job.outsiders,
        commands=tuple(commands) if commands else None,
        may_wait=bool(asking) and not asking.get("waited", False) and job.grace > 0,
        first=event.get("first", False),
        claim=Claim(claim["run"], bool(claim.get("taken"))) if claim else None,
        losses=int(asking.get("losses", 0)),
    )
    # A renewal runs no task: it never replaces, waits for or stops one, and a paused job needs it too.
    policy = Policy(job.name, grace=job.grace)
    if not renewal:
        policy = Policy(job.name, job.overlap, job.orphans, job.grace, job.queue_timeout)
    return Start(
        request=request,
        policy=policy,
        began_at=began_at,
        deadline=max(deadline, stopped_at + _TO_STOP) if stopped_at else deadline,
        scheduled_at=_moment(event.get("scheduled_at")),
        anyway=renewal or event.get("anyway", False),
        queued_since=_moment(event.get("queued_since")),
        place_taken=asking.get("place_taken"),
        stopping=asking.get("stopping"),
    )


def _to_obey(answer: Decision, event: Mapping[str, Any], job: Job, start: Start) -> dict[str, Any]:
    """What else the state machine needs to do as it is told."""
    match answer.outcome:
        case "skip":
            green = job.on_skip == "succeed" or event.get("renewal", False)
            return {"on_skip": "succeed" if green else "fail"}
        case "stop_task":
            return {"cluster": job.ecs.cluster}
        case "queue":
            since = start.queued_since or start.began_at
            passed_on = {key: event[key] for key in _KNOWN if key in event}
            return {
                "waiter_input": {
                    **passed_on,
                    "deadline": stamp(since + timedelta(seconds=job.queue_timeout)),
                    "queued_since": stamp(since),
                    "guard_execution": start.request.guard_execution,
                }
            }
    return {}


def _to_tell(answer: Decision, job: Job, facts: Facts) -> dict[str, Any]:
    """What an alarm needs to know. A paused job's starts are no row: somebody wants them to step back."""
    if answer.outcome == "start":
        return {"skips_in_a_row": 0}
    if answer.outcome == "skip" and answer.error != "Paused":
        return {"skips_in_a_row": skips_in_a_row(job, facts)}
    return {}


def _is_time(value: Any, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None and _parses(value)


def _parses(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _holder(decision: Decision) -> dict[str, Any] | None:
    holder = decision.holder
    if holder is None:
        return None
    return {**asdict(holder), "started_at": stamp(holder.started_at) if holder.started_at else None}
