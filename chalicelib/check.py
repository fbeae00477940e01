"""The checker: event → facts → decision. It only reads, so it may be called at any time.

It answers a guard's question (`contract.StartQuestion`), a batch machine's that lost sight of its task
(`contract.TaskQuestion`), and the article's. What is asked and answered is written down in `contract`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_never

from chalicelib.config.jobs import Job, JobsFile, JobsFileInvalid
from chalicelib.config.run_task import length_of_overrides, run_task
from chalicelib.contract import (
    BY_HAND,
    LONGEST_OVERRIDES,
    ArticleQuestion,
    InvalidInput,
    RunInput,
    StartQuestion,
    TaskQuestion,
    TaskState,
    cut,
    guard_input,
    parse_question,
    task_in_cause,
    wire,
)
from chalicelib.decide.availability import Holder, older_is_running
from chalicelib.decide.facts import (
    CantTell,
    Execution,
    Facts,
    Missing,
    Need,
    NeedDetails,
    NeedEvidence,
    NeedTasksOf,
    Refused,
    Request,
    stamp,
)
from chalicelib.decide.overlap import (
    Decision,
    Queue,
    Queued,
    Run,
    Skip,
    Start,
    Started,
    StopRun,
    StopTask,
    Wait,
    decide,
)
from chalicelib.decide.policy import Policy
from chalicelib.decide.skips import skips_in_a_row
from chalicelib.names import (
    batch_machine,
    execution_arn,
    guard_machine,
    machine_arn,
    run_name,
)
from chalicelib.read import tasks
from chalicelib.read.aws import NotDeployed, PermissionDenied

if TYPE_CHECKING:
    from chalicelib.read.executions import Executions

_TO_STOP = timedelta(minutes=10)
"""Who has stopped a run doesn't give up before its task can be seen STOPPED, though the deadline passes."""


class UnknownJob(Refused):
    """The jobs file has no such job."""


@dataclass(frozen=True)
class Checker:
    """Everything the checker uses, passed in. ``ecs`` is called only when ECS must be asked."""

    load_jobs: Callable[[], JobsFile]
    function_arn: str
    executions: "Executions"
    ecs: Callable[[], tasks.Ecs]
    now: Callable[[], datetime]
    decide: Callable[[Start, Facts], Decision | Missing] = decide

    def answer(self, event: Any) -> dict[str, Any]:
        """The answer to one event, ready for JSON.

        Raises `facts.CantTell` when asking again may help. When it can't, the answer's outcome is ``refuse``;
        only a batch machine's question has no such answer, and raises `facts.Refused`.
        """
        if isinstance(event, Mapping) and "task_of" in event:
            question = parse_question(event)
            assert isinstance(question, TaskQuestion)
            return self._task_of(question)
        try:
            match parse_question(event):
                case StartQuestion() as question:
                    return self._decision(question)
                case ArticleQuestion(machine, name):
                    return self._article(machine, name)
                case TaskQuestion() as question:
                    return self._task_of(question)
                case other:
                    assert_never(other)
        except (Refused, JobsFileInvalid) as refusal:
            reason = cut(str(refusal))
            return {"running_flg": True, "outcome": "refuse", "error": type(refusal).__name__, "reason": reason}

    def _decision(self, question: StartQuestion) -> dict[str, Any]:
        job = self._job(question.start.job)
        now = self.now()
        start = self._start(question, job, now)
        try:
            answer, facts = self._decide(job, start, now)
        except (NotDeployed, PermissionDenied) as refusal:
            # In the minutes after a deployment neither is final: IAM is eventually consistent (AWS, IAM).
            if question.guard and now - start.began_at < BY_HAND:
                raise CantTell(f"{type(refusal).__name__}: {refusal}") from refusal
            raise
        return {
            "running_flg": not isinstance(answer, Run),
            "outcome": answer.outcome,
            "error": answer.error if isinstance(answer, Skip) else None,
            "reason": cut(answer.reason),
            "holder": None if isinstance(answer, Run) else _holder(answer.holder),
            "next_run": run_name(answer.number) if isinstance(answer, Run) else None,
            "job": job.name,
            "state_machine_arn": start.request.machine,
            **self._to_obey(answer, question, job, start),
            **_to_tell(answer, job, facts),
        }

    def _start(self, question: StartQuestion, job: Job, now: datetime) -> Start:
        asked, guard = question.start, question.guard
        began_at = guard.started if guard else now
        deadline = asked.deadline or began_at + BY_HAND
        file = self.load_jobs()
        request = Request(
            machine=machine_arn(self.function_arn, batch_machine(file.stage, job.name)),
            target=job.ecs.target,
            job=job.name,
            stage_runs=execution_arn(machine_arn(self.function_arn, batch_machine(file.stage, "")), "")[:-1],
            guard_execution=guard.execution if guard else None,
            outsiders=job.outsiders,
            commands=asked.commands,
            may_wait=guard is not None and not guard.waited and job.grace > 0,
            first=asked.first,
            first_after=asked.first_after or 0,
            claim=guard.claim if guard else None,
            losses=guard.losses if guard else 0,
            history=timedelta(days=file.history_days),
        )
        # A renewal runs no task: it never replaces, waits for or stops one, and a paused job needs it too.
        policy = Policy(job.name, grace=job.grace)
        if not asked.renewal:
            policy = Policy(job.name, job.overlap, job.orphans, job.grace, job.queue_timeout)
        return Start(
            request=request,
            policy=policy,
            began_at=began_at,
            deadline=max(deadline, guard.stopped_at + _TO_STOP) if guard and guard.stopped_at else deadline,
            scheduled_at=asked.scheduled_at,
            anyway=asked.renewal or asked.anyway,
            queued_since=asked.queued_since,
            place_taken=guard.place_taken if guard else None,
            stopping=guard.stopping if guard else None,
        )

    def _decide(self, job: Job, start: Start, now: datetime) -> tuple[Decision, Facts]:
        facts = Facts(now=now)
        machine = start.request.machine
        token: str | None = None
        while True:
            match self.decide(start, facts):
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
                case NeedEvidence(targets):
                    evidence = tasks.evidence(self.ecs(), job, targets, start.stopping, start.request.stage_runs)
                    facts = replace(facts, evidence=evidence)
                case NeedTasksOf(name, target):
                    try:
                        found = tasks.tasks_of(self.ecs(), target, execution_arn(machine, name))
                    except (CantTell, Refused):  # asked only to say more in the reason
                        found = ()
                    facts = replace(facts, stopped={**facts.stopped, name: found})
                case decision:
                    return decision, facts

    def _to_obey(self, answer: Decision, question: StartQuestion, job: Job, start: Start) -> dict[str, Any]:
        """What else the state machine needs to do as it is told. Somebody who only asks gets no run."""
        match answer:
            case Run():
                return {"run": wire(self._run(answer, question, job, start))} if question.guard else {}
            case Wait() | StopRun():
                return {"wait_seconds": answer.seconds}
            case StopTask():
                return {"wait_seconds": answer.seconds, "cluster": answer.cluster}
            case Queue():
                since = start.queued_since or start.began_at
                waiter = replace(
                    question.start,
                    deadline=since + timedelta(seconds=job.queue_timeout),
                    queued_since=since,
                    guard_execution=start.request.guard_execution,
                )
                return {"waiter": answer.waiter, "waiter_input": guard_input(waiter)}
            case Queued():
                return {"waiter": answer.waiter}
            case Skip():
                return {"on_skip": "succeed" if question.start.renewal else job.on_skip}
            case Started():
                return {}
            case _:
                assert_never(answer)

    def _run(self, answer: Run, question: StartQuestion, job: Job, start: Start) -> RunInput:
        """The whole run: whoever starts it starts what was just looked for. Raises `InvalidInput`."""
        scheduled_at = start.scheduled_at or start.began_at
        name = run_name(answer.number)
        arguments = run_task(job, number=answer.number, scheduled_at=scheduled_at, commands=question.start.commands)
        length = length_of_overrides(arguments, execution_arn(start.request.machine, name))
        if length > LONGEST_OVERRIDES:
            raise InvalidInput(
                f"the task's overrides would have {length:,} characters, and ECS takes {LONGEST_OVERRIDES:,}: "
                f"make commands, or the job's command and environment, shorter by {length - LONGEST_OVERRIDES:,}"
            )
        return RunInput(
            job=job.name,
            run=name,
            scheduled_at=scheduled_at,
            deadline=start.deadline,
            renewal=question.start.renewal,
            target=job.ecs.target,
            timeout=job.timeout,
            retries=job.retries,
            task=arguments,
        )

    def _task_of(self, question: TaskQuestion) -> dict[str, Any]:
        """How a run's task stands, from the event alone: the jobs file may have changed since the run began."""
        ours = execution_arn(machine_arn(self.function_arn, batch_machine(self.load_jobs().stage, "")), "")[:-1]
        if not question.task_of.startswith(ours):
            raise InvalidInput(f"task_of must be the ARN of a run of this stage, {ours}…, not {question.task_of:.200}")
        task: TaskState | None = None
        if question.error == "States.TaskFailed":
            task = task_in_cause(question.cause, question.target.container)
        if task is None or task.last_status != "STOPPED":
            task = tasks.newest_task(self.ecs(), question.target, question.task_of, question.since)
        return {"task": wire(task)}

    def _article(self, machine: str, name: str) -> dict[str, Any]:
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
        older = older_is_running(asking, running)
        reason = f"{older.name} has been running since {stamp(older.started_at)}" if older else "none is older"
        return {"running_flg": older is not None, "reason": reason, "state_machine_arn": machine}

    def _job(self, name: str) -> Job:
        jobs = self.load_jobs()
        if name not in jobs.jobs:
            known = ", ".join(sorted(jobs.jobs)) or "none"
            raise UnknownJob(f"no job {name[:100]!r} in stage {jobs.stage}; the jobs are: {known}")
        return jobs.jobs[name]

    def _guard_machine(self) -> str:
        return machine_arn(self.function_arn, guard_machine(self.load_jobs().stage))


def _to_tell(answer: Decision, job: Job, facts: Facts) -> dict[str, Any]:
    """What an alarm needs to know. A paused job's starts are no row: somebody wants them to step back."""
    if isinstance(answer, Run):
        return {"skips_in_a_row": 0}
    if isinstance(answer, Skip) and answer.error != "Paused":
        stuck = {"stuck": True} if answer.stuck else {}
        return {"skips_in_a_row": skips_in_a_row(job.schedules, job.timezone, facts), **stuck}
    return {}


def _holder(holder: Holder | None) -> dict[str, Any] | None:
    if holder is None:
        return None
    started = stamp(holder.started_at) if holder.started_at else None
    return {"kind": holder.kind, "name": holder.name, "arn": holder.arn, "started_at": started}
