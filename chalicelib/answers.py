"""What is answered about a start: the decision, what the guard needs to obey it, and what people are told of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, assert_never
from zoneinfo import ZoneInfo

from chalicelib import telling
from chalicelib.config.jobs import Job, JobsFile
from chalicelib.config.run_task import length_of_overrides, run_task
from chalicelib.contract import LONGEST_OVERRIDES, RunInput, StartQuestion, Telling, cut, guard_input, run_input, wire
from chalicelib.decide.decisions import Decision, Queue, Queued, Run, Skip, Started, StopRun, StopTask, Wait, WouldHave
from chalicelib.decide.facts import CantTell, Execution, Facts, Refused
from chalicelib.decide.local_time import localised
from chalicelib.decide.overlap import Start
from chalicelib.decide.schedule import latest, nominal
from chalicelib.decide.skips import skips_in_a_row
from chalicelib.decide.usual import expected, in_a_row, went_wrong
from chalicelib.names import execution_arn, run_name, scheduled_name
from chalicelib.parsing import InvalidInput
from chalicelib.read.executions import Executions

_SKIPPED = frozenset(f"BatchGuard.{error}" for error in ("AlreadyRunning", "AlreadyQueued", "WaitedTooLong"))
_NOT_KNOWN = frozenset({"BatchGuard.CheckFailed", "BatchGuard.HeldBack"})
"""Nothing ran then, either, but nobody knows whether it could have: it neither counts nor ends a row."""


class Answering(NamedTuple):
    """One start, and what it was decided on. (Made faster than a dataclass: each cold start does.)"""

    file: JobsFile
    job: Job
    question: StartQuestion
    start: Start
    facts: Facts
    function_arn: str
    executions: Executions

    def of(self, answer: Decision) -> dict[str, Any]:
        """The whole answer, ready for JSON. Raises `InvalidInput` for a run whose overrides are too long."""
        counted = self._to_tell(answer)
        return {
            "running_flg": not isinstance(answer, Run),
            "outcome": answer.outcome,
            "error": answer.error if isinstance(answer, Skip) else None,
            "reason": cut(answer.reason),
            "holder": None if isinstance(answer, Run) else wire(answer.holder),
            "next_run": run_name(answer.number) if isinstance(answer, Run) else None,
            "job": self.job.name,
            "state_machine_arn": answer.machine if isinstance(answer, Run) else self.start.request.slots[0],
            **self._to_obey(answer),
            **counted,
            **self._more(answer, counted.get("skips_in_a_row", 0)),
        }

    def _more(self, answer: Decision, row: int) -> dict[str, Any]:
        """What people are told of a skip besides its reason; nothing where nobody is told."""
        if not isinstance(answer, Skip) or self.question.start.tell is None:
            return {}
        when = expected(answer.holder, self._page, self.facts.now, self.file.history_days)
        words = " ".join(filter(None, (when, in_a_row(row))))
        return {"more": localised(words, ZoneInfo(self.file.timezone))}

    @property
    def _page(self) -> tuple[Execution, ...]:
        """The runs of the job; none in a shared pool, where a page says nothing of one job."""
        request = self.start.request
        return () if request.shared else self.facts.of(request.slots[0]).executions or ()

    def _to_obey(self, answer: Decision) -> dict[str, Any]:
        """What else the state machine needs to do as it is told. Somebody who only asks gets no run."""
        match answer:
            case Run():
                return {"run": run_input(self._run(answer))} if self.question.guard else {}
            case Wait():
                return {"wait_seconds": answer.seconds, "yields": answer.yields}
            case StopRun():
                return {"wait_seconds": answer.seconds, "yields": False}
            case StopTask():
                return {"wait_seconds": answer.seconds, "yields": False, "cluster": answer.cluster}
            case Queue():
                since = self.start.queued_since or self.start.began_at
                waiter = replace(
                    self.question.start,
                    deadline=since + timedelta(seconds=self.job.queue_timeout),
                    queued_since=since,
                    guard_execution=self.start.request.guard_execution,
                )
                given = guard_input(waiter)
                return {"waiter": answer.waiter, "waiter_input": given, "waiter_machine": answer.machine}
            case Queued():
                return {"waiter": answer.waiter, "waiter_machine": answer.machine}
            case Skip():
                return {"on_skip": "succeed" if self.question.start.renewal else self.job.on_skip}
            case WouldHave():
                return {"would_have": answer.would_have}
            case Started():
                return {}
            case _:
                assert_never(answer)

    def _run(self, answer: Run) -> RunInput:
        """The whole run: whoever starts it starts what was just looked for. Raises `InvalidInput`."""
        job, start, asked = self.job, self.start, self.question.start
        scheduled_at = start.scheduled_at or start.began_at
        name = run_name(answer.number)
        slot = asked.slot or start.request.slots.index(answer.machine) + 1
        arguments = run_task(
            job,
            number=answer.number,
            scheduled_at=scheduled_at,
            nominal_at=asked.nominal_at or nominal(job.schedules, job.timezone, scheduled_at),
            commands=asked.commands,
            slot=slot if self.file.slots_of(job.pool) > 1 else None,
        )
        length = length_of_overrides(arguments, execution_arn(answer.machine, name))
        if length > LONGEST_OVERRIDES:
            raise InvalidInput(
                f"the task's overrides would have {length:,} characters, and ECS takes {LONGEST_OVERRIDES:,}: "
                f"make commands, or the job's command and environment, shorter by {length - LONGEST_OVERRIDES:,}"
            )
        return RunInput(
            job=job.name,
            run=name,
            pool=job.pool,
            slot=slot,
            scheduled_at=scheduled_at,
            deadline=start.deadline,
            renewal=asked.renewal,
            target=job.ecs.target,
            timeout=job.timeout,
            retries=job.retries,
            task=arguments,
            tell=None if asked.renewal else self._tells(name, scheduled_at),
        )

    def _tells(self, run: str, scheduled_at: datetime) -> Telling | None:
        """Whom to tell if this run fails."""
        return telling.of_run(self.file, self.job, run, scheduled_at, self.function_arn, went_wrong(self._page))

    def _to_tell(self, answer: Decision) -> dict[str, Any]:
        """What an alarm needs to know. A paused job's starts are no row: somebody wants them to step back."""
        if isinstance(answer, Run):
            return {"skips_in_a_row": 0}
        if not isinstance(answer, Skip) or answer.error == "Paused":
            return {}
        stuck = {"stuck": True} if answer.stuck else {}
        job, request, at = self.job, self.start.request, self.start.scheduled_at
        counted = None
        if not request.shared:
            counted = skips_in_a_row(job.schedules, job.timezone, self.facts, request.slots[0])
        if at is None or (counted is not None and counted < 2):  # by hand it has no place in a row
            return stuck if counted is None else {"skips_in_a_row": counted, **stuck}
        most = self.file.alerts.skips_in_a_row if self.file.alerts else 1
        try:
            row = self._own_skips(at, most)
        except (CantTell, Refused):  # asked only for an alarm
            return stuck
        return {"skips_in_a_row": row if counted is None or row < most else counted, **stuck}

    def _own_skips(self, time: datetime, most: int) -> int:
        """The job's last scheduled starts are looked up by their names, as far back as the alarm looks.

        A shared pool's page says nothing of this job; and of a job that has a pool to itself it does not say which of
        the times since its last run were in shadow, or had no start.
        """
        job, row = self.job, 1
        for _ in range(2 * (most - 1)):
            before = latest(job.schedules, job.timezone, time - timedelta(minutes=1), within=timedelta(days=90))
            if before is None or row == most:
                break
            time, ended = before, self._ended(execution_arn(self.start.guard_machine, scheduled_name(job.name, before)))
            if ended in _SKIPPED:
                row += 1
            elif ended not in _NOT_KNOWN:
                break
        return row

    def _ended(self, arn: str) -> str | None:
        """With which verdict, also if that ended well (`on_skip`), or another one waited for it; None for a start."""
        found = self.executions.details(arn)
        machine, waiter = (found.output.get(key) for key in ("state_machine_arn", "waiter")) if found else (None, None)
        if isinstance(machine, str) and isinstance(waiter, str):
            found = self.executions.details(execution_arn(machine, waiter))
        return (found.error or found.output.get("error")) if found else None
