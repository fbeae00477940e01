"""Values for tests: a small made-up history, told in minutes before now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never, get_args

from chalicelib.decide.availability import Verdict, judge
from chalicelib.decide.facts import (
    Details,
    Evidence,
    Execution,
    Facts,
    Missing,
    Need,
    NeedDetails,
    NeedEvidence,
    NeedTasksOf,
    Request,
    Target,
    Task,
)
from chalicelib.decide.overlap import Decision, Start, decide
from chalicelib.names import execution_arn
from chalicelib.read.aws import NotDeployed
from chalicelib.read.executions import Page

NOW = datetime(2026, 11, 23, 19, 1, tzinfo=UTC)
MACHINE = "arn:aws:states:ap-northeast-1:123456789012:stateMachine:batch-guard-dev-nightly-report"
GUARD = "arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev:nightly-report-20261123T1900Z"
COMMAND = ("bin/report",)
STAGE_RUNS = "arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev-"
TARGET = Target("batch", "report", "app")
ASKS = Request(machine=MACHINE, target=TARGET, job="nightly-report", stage_runs=STAGE_RUNS, guard_execution=GUARD)
"""A start of nightly-report on its last look."""


def ago(minutes: float) -> datetime:
    """So many minutes before `NOW`."""
    return NOW - timedelta(minutes=minutes)


def run(number: int, status: str = "SUCCEEDED", *, began: float = 120, ended: float | None = 60) -> Execution:
    """``run-000041``, begun and ended so many minutes ago; RUNNING and unknown statuses have not ended."""
    return execution(f"run-{number:06d}", status, began=began, ended=ended)


def execution(name: str, status: str = "SUCCEEDED", *, began: float = 120, ended: float | None = 60) -> Execution:
    """Any execution of the batch machine."""
    is_open = status not in {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}
    stopped = None if is_open or ended is None else ago(ended)
    return Execution(execution_arn(MACHINE, name), name, status, ago(began), stopped)


def task(identity: str = "t1", *, of: str | None = None, status: str = "RUNNING", **more: object) -> Task:
    """A task of the job's family; `of` is the run that started it: the name of one of this job, or any run's ARN."""
    arn = f"arn:aws:ecs:ap-northeast-1:123456789012:task/batch/{identity}"
    started_by = execution_arn(MACHINE, of) if of and ":" not in of else of
    return Task(arn, status, started_by, **more)  # type: ignore[arg-type]  # the rows of the table name the fields


@dataclass(frozen=True)
class History:
    """A world that answers every `Need` at once."""

    page: tuple[Execution, ...] = ()
    older: tuple[Execution, ...] = ()
    created_at: datetime = NOW - timedelta(days=10)
    tasks: tuple[Task, ...] = ()
    command: tuple[str, ...] | None = COMMAND
    details: Mapping[str, Details | None] = field(default_factory=dict)
    waiters: Mapping[str, Details | None] = field(default_factory=dict)
    stopped: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)
    """By run name: what ECS answers about its tasks; () also when it does not answer."""

    def judge(self, request: Request) -> Verdict:
        """Feed `judge` until it can tell."""
        verdict: Verdict = self._told(lambda facts: judge(request, facts))[0]
        return verdict

    def decide(self, start: Start) -> Decision:
        """Feed `decide` until it decides."""
        decision: Decision = self._told(lambda facts: decide(start, facts))[0]
        return decision

    def asked(self, request: Request) -> list[Missing]:
        """What `judge` wants to know, in order."""
        return self._told(lambda facts: judge(request, facts))[1]

    def asked_by(self, start: Start) -> list[Missing]:
        """What `decide` wants to know, in order."""
        return self._told(lambda facts: decide(start, facts))[1]

    def _told(self, ask: Callable[[Facts], Any]) -> tuple[Any, list[Missing]]:
        facts = Facts(NOW)
        asked: list[Missing] = []
        while isinstance(answer := ask(facts), get_args(Missing)):
            assert answer not in asked, f"asked twice for {answer}"
            asked.append(answer)
            facts = self._with(facts, answer)
        return answer, asked

    def _with(self, facts: Facts, need: Missing) -> Facts:
        match need:
            case NeedDetails(name, waiter=True):
                return replace(facts, waiters={**facts.waiters, name: self.waiters.get(name)})
            case NeedDetails(name):
                shown = next((Details(e, target=TARGET) for e in (*self.page, *self.older) if e.name == name), None)
                return replace(facts, details={**facts.details, name: self.details.get(name, shown)})
            case NeedEvidence():
                return replace(facts, evidence=Evidence(self.tasks, self.command))
            case NeedTasksOf(name):
                return replace(facts, stopped={**facts.stopped, name: self.stopped.get(name, ())})
            case Need.PAGE:
                return replace(facts, executions=self.page, more=bool(self.older))
            case Need.OLDER_PAGE:
                return replace(facts, executions=(*self.page, *self.older), more=False)
            case Need.CREATED_AT:
                return replace(facts, created_at=self.created_at)
            case _:
                assert_never(need)


@dataclass
class FakeExecutions:
    """`chalicelib.read.executions.Executions` in memory, newest first, pages of `size`."""

    size: int = 100
    machines: dict[str, datetime] = field(default_factory=dict)
    known: dict[str, list[Details]] = field(default_factory=dict)

    def add(self, machine: str, details: Details) -> None:
        """Show one more execution of `machine`."""
        self.machines.setdefault(machine, NOW)
        self.known.setdefault(machine, []).append(details)

    def page(self, machine: str, token: str | None = None, *, only_running: bool = False) -> Page:
        """See `Executions.page`."""
        self.created_at(machine)
        shown = [
            d.execution for d in self.known.get(machine, []) if not only_running or d.execution.status == "RUNNING"
        ]
        shown.sort(key=lambda e: (e.stopped_at or e.started_at, e.arn), reverse=True)
        start = int(token or 0)
        rest = len(shown) > start + self.size
        return Page(tuple(shown[start : start + self.size]), str(start + self.size) if rest else None)

    def details(self, arn: str) -> Details | None:
        """See `Executions.details`."""
        everything = (d for listed in self.known.values() for d in listed)
        return next((d for d in everything if d.execution.arn == arn), None)

    def created_at(self, machine: str) -> datetime:
        """See `Executions.created_at`."""
        if machine not in self.machines:
            raise NotDeployed(f"{machine} does not exist")
        return self.machines[machine]
