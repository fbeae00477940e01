"""The checker: event → facts → decision. It only reads, so it may be called at any time.

It answers a guard's question (`contract.StartQuestion`), a batch machine's that lost sight of its task
(`contract.TaskQuestion`), and the article's. What is asked and answered is written down in `contract`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from chalicelib.answers import Answering
from chalicelib.config.jobs import Job, JobsFile, JobsFileInvalid
from chalicelib.contract import BY_HAND, ArticleQuestion, StartQuestion, TaskQuestion, TaskState, cut, wire
from chalicelib.decide.availability import older_is_running
from chalicelib.decide.decisions import Decision
from chalicelib.decide.facts import (
    CantTell,
    Execution,
    Facts,
    Member,
    Missing,
    NeedCreatedAt,
    NeedDetails,
    NeedEvidence,
    NeedPage,
    NeedTasksOf,
    NeedWaiting,
    Refused,
    Request,
    Shadow,
    SlotFacts,
    Target,
    stamp,
)
from chalicelib.decide.overlap import Start, decide
from chalicelib.decide.policy import Policy
from chalicelib.decide.schedule import upcoming
from chalicelib.decide.shadow import refused, started_by
from chalicelib.decide.verdicts import Holder
from chalicelib.names import (
    batch_machine,
    execution_arn,
    execution_name,
    guard_machine,
    machine_arn,
    parse_guard_name,
    waiting_machine,
)
from chalicelib.parsing import InvalidInput, parse_question, task_in_cause
from chalicelib.read import tasks
from chalicelib.read.aws import NotDeployed, PermissionDenied
from chalicelib.read.executions import Executions, all_running
from chalicelib.values import dataclass

_TO_STOP = timedelta(minutes=10)
"""Who has stopped a run doesn't give up before its task can be seen STOPPED, though the deadline passes."""

_WAITING_LASTS = timedelta(seconds=5)

_A_YEAR = timedelta(days=364)
"""AWS ends an execution after a year (Step Functions quotas)."""


class UnknownJob(Refused):
    """The jobs file has no such job."""


@dataclass(frozen=True)
class Checker:
    """Everything the checker uses, passed in. ``ecs`` is called only when ECS must be asked."""

    load_jobs: Callable[[], JobsFile]
    function_arn: str
    executions: Executions
    ecs: Callable[[], tasks.Ecs]
    now: Callable[[], datetime]
    decide: Callable[[Start, Facts], Decision | Missing] = decide
    who_waits: dict[str, tuple[datetime, tuple[Execution, ...]]] = field(default_factory=dict)
    """What a warm function has read of those who wait or pause, by machine, and when. It only holds starts back."""

    def answer(self, event: Any) -> dict[str, Any]:
        """The answer to one event, ready for JSON.

        Raises `facts.CantTell` when asking again may help. When it can't, the answer's outcome is ``refuse``;
        only a batch machine's question has no such answer, and raises `facts.Refused`.
        """
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
            if isinstance(event, Mapping) and "task_of" in event:
                raise
            reason = cut(str(refusal))
            return {"running_flg": True, "outcome": "refuse", "error": type(refusal).__name__, "reason": reason}

    def _decision(self, question: StartQuestion) -> dict[str, Any]:
        job = self._job(question.start.job)
        now = self.now()
        if question.start.paused:
            return self._pauses(question, now)
        slots = self._slots(question, job)
        start = self._start(question, job, slots, now)
        try:
            answer, facts = self._decide(job, start, now)
        except (NotDeployed, PermissionDenied) as refusal:
            # In the minutes after a deployment neither is final: IAM is eventually consistent (AWS, IAM). Who waits may
            # meet one at any hour.
            if question.guard and (now - start.began_at < BY_HAND or start.waits):
                raise CantTell(f"{type(refusal).__name__}: {refusal}") from refusal
            if start.request.shadow is None:
                raise
            answer, facts = refused(refusal), Facts(now=now)
        except Refused as refusal:
            if start.request.shadow is None:
                raise
            answer, facts = refused(refusal), Facts(now=now)
        file = self.load_jobs()
        return Answering(file, job, question, start, facts, self.function_arn, self.executions).of(answer)

    def _pauses(self, question: StartQuestion, now: datetime) -> dict[str, Any]:
        """An execution of those who wait pauses a job while it is open: it is told how long to wait."""
        start, guard = question.start, question.guard
        machine = self._machine(waiting_machine(self.load_jobs().stage))
        named = parse_guard_name(execution_name(guard.execution)) if guard else None
        is_one = named is not None and (named.job, named.kind) == (start.job, "pause")  # by its name starts see it
        if guard is None or not is_one or not guard.execution.startswith(execution_arn(machine, "")):
            raise InvalidInput("paused is said by executions of the machine of those who wait: use guardctl pause")
        end = start.until or guard.started + _A_YEAR
        left = math.ceil((end - now).total_seconds())
        reason = f"{start.job} is paused until {stamp(end)}" if left > 0 else f"the pause ended on {stamp(end)}"
        more = {"wait_seconds": min(left, 31_449_600), "yields": False} if left > 0 else {"on_skip": "succeed"}
        return {
            "running_flg": True,
            "outcome": "wait" if left > 0 else "skip",
            "error": None if left > 0 else "PauseEnded",
            "reason": reason,
            "holder": wire(Holder("pause", execution_name(guard.execution), guard.execution, guard.started)),
            "next_run": None,
            "job": start.job,
            "state_machine_arn": machine,
            **more,
        }

    def _slots(self, question: StartQuestion, job: Job) -> tuple[str, ...]:
        """The ARNs of the machines of the pool's slots. Raises `CantTell` where machines and functions disagree."""
        file, guard = self.load_jobs(), question.guard
        number = file.slots_of(job.pool)
        deployed = (guard.pool or job.name) if guard else job.pool
        if deployed != job.pool:
            raise CantTell(
                f"{job.name} is in pool {job.pool} by the jobs file, and in {deployed} by what is deployed: "
                f"nobody can tell who is in its way; run: guardctl deploy --stage {file.stage}"
            )
        if guard and (guard.pool is not None) != file.shared(job.pool):
            # Who waits and who pauses would be looked for elsewhere than where they are.
            other = f"pool {job.pool} has other jobs or slots than what is deployed"
            raise CantTell(f"{other}; run: guardctl deploy --stage {file.stage}")
        if guard:
            number = min(number, guard.slots or 1)
        if question.start.slot is not None and question.start.slot > number:
            raise InvalidInput(f"pool {job.pool} has {number} slots, and the renewal is of slot {question.start.slot}")
        return tuple(self._machine(batch_machine(file.stage, job.pool, slot)) for slot in range(1, number + 1))

    def _beyond(self, question: StartQuestion, job: Job) -> tuple[str, ...]:
        """The machines of slots that the guard was deployed with, and the jobs file has no more."""
        if question.guard is None or question.start.slot is not None:
            return ()
        file = self.load_jobs()
        numbers = range(file.slots_of(job.pool) + 1, (question.guard.slots or 1) + 1)
        return tuple(self._machine(batch_machine(file.stage, job.pool, slot)) for slot in numbers)

    def _machine(self, name: str) -> str:
        return machine_arn(self.function_arn, name)

    def _start(self, question: StartQuestion, job: Job, slots: tuple[str, ...], now: datetime) -> Start:
        asked, guard = question.start, question.guard
        began_at = guard.started if guard else now
        deadline = asked.deadline or began_at + BY_HAND
        file = self.load_jobs()
        shadow = self._shadow(question, job, began_at)
        request = Request(
            slots=slots,
            members=tuple(
                Member(each.name, each.ecs.target, each.outsiders)
                for each in (job, *(other for other in file.members(job.pool) if other is not job))
            ),
            named=job.pool != job.name,
            only=slots[asked.slot - 1] if asked.slot else None,
            stage_runs=execution_arn(machine_arn(self.function_arn, batch_machine(file.stage, "")), "")[:-1],
            guard_execution=guard.execution if guard else None,
            commands=asked.commands,
            may_wait=guard is not None and not guard.waited and job.grace > 0 and shadow is None,
            first=asked.first,
            first_after=asked.first_after or 0,
            claim=guard.claim if guard else None,
            losses=guard.losses if guard else 0,
            history=timedelta(days=file.history_days),
            beyond=self._beyond(question, job),
            shadow=shadow,
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
            renewal=asked.renewal,
            queued_since=asked.queued_since,
            place_taken=(guard.place_asked or guard.place_taken) if guard else None,
            place_is_unclear=guard is not None and guard.place_asked is not None,
            stopping=guard.stopping if guard else None,
            yields_since=guard.yields_since if guard else None,
            guard_machine=self._machine(guard_machine(file.stage)),
            waiting_machine=self._machine(waiting_machine(file.stage)),
        )

    def _shadow(self, question: StartQuestion, job: Job, began_at: datetime) -> Shadow | None:
        """None for what starts: by hand, a renewal, and who has waited since before the job was in shadow.

        A start that the trigger sent in shadow stays so, whatever the jobs file says by now: the old rule has had that
        time. One that it sent before the job was in shadow is in shadow, too, unless it has changed something already.
        """
        asked, guard = question.start, question.guard
        shadow = asked.shadow
        done = guard and (guard.claim or guard.place_taken or guard.place_asked or guard.stopped_at)
        if guard and job.enabled == "shadow" and not done:
            named = parse_guard_name(execution_name(guard.execution))
            shadow = shadow or (named is not None and named.kind == "scheduled")
        if not shadow:
            return None
        at = asked.scheduled_at or began_at
        after = upcoming(job.schedules, job.timezone, at, limit=1)
        return Shadow(started_by(job.imported_from), at, after[0] if after else None)

    def _decide(self, job: Job, start: Start, now: datetime) -> tuple[Decision, Facts]:
        facts = Facts(now=now)
        tokens: dict[str, str | None] = {}
        places: dict[tuple[str, str], Target] = {}
        while True:
            match self.decide(start, facts):
                case NeedDetails(arn):
                    facts = replace(facts, details={**facts.details, arn: self.executions.details(arn)})
                case NeedPage(machine):
                    page = self.executions.page(machine, tokens.get(machine))
                    tokens[machine] = page.token
                    known = facts.of(machine)
                    executions = (known.executions or ()) + page.executions
                    known = SlotFacts(executions, page.token is not None, known.created_at)
                    facts = replace(facts, slots={**facts.slots, machine: known})
                case NeedCreatedAt(machine):
                    known = replace(facts.of(machine), created_at=self.executions.created_at(machine))
                    facts = replace(facts, slots={**facts.slots, machine: known})
                case NeedEvidence(targets):
                    # Each slot names its own: were those of the slot before not asked again, there would be no end.
                    places = {target.place: target for target in targets} | places
                    jobs = [self.load_jobs().jobs[member.job] for member in start.request.members]
                    evidence = tasks.evidence(
                        self.ecs(), jobs, places.values(), start.stopping, start.request.stage_runs
                    )
                    facts = replace(facts, evidence=evidence)
                case NeedWaiting():
                    facts = replace(facts, waiting=self.waiting(start))
                case NeedTasksOf(run, target):
                    try:
                        found = tasks.tasks_of(self.ecs(), target, run)
                    except (CantTell, Refused):  # asked only to say more in the reason
                        found = ()
                    facts = replace(facts, stopped={**facts.stopped, run: found})
                case decision:
                    return decision, facts

    def waiting(self, start: Start) -> tuple[Execution, ...]:
        """The open executions of those who wait or pause.

        What was read a few seconds ago will do, but only if the start had begun by then: a pause, or a waiter, that was
        there before a start is not passed over.
        """
        machine = start.waiting_machine
        read_at, known = self.who_waits.get(machine, (datetime.min.replace(tzinfo=UTC), ()))
        if read_at >= start.began_at and timedelta(0) <= self.now() - read_at < _WAITING_LASTS:
            return known
        known = all_running(self.executions, machine)
        self.who_waits[machine] = (self.now(), known)
        return known

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
        running = all_running(self.executions, machine)
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
