"""Values for tests: a small made-up history, told in minutes before now."""

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never, get_args

from chalicelib.decide.availability import judge
from chalicelib.decide.decisions import Decision
from chalicelib.decide.facts import (
    Details,
    Evidence,
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
    Request,
    SlotFacts,
    Target,
    Task,
)
from chalicelib.decide.overlap import Start, decide
from chalicelib.decide.verdicts import Verdict
from chalicelib.decide.words import Command
from chalicelib.names import execution_arn
from chalicelib.read.aws import NotDeployed
from chalicelib.read.executions import Page
from chalicelib.values import dataclass

NOW = datetime(2026, 11, 23, 19, 1, tzinfo=UTC)
MACHINE = "arn:aws:states:ap-northeast-1:123456789012:stateMachine:batch-guard-dev-nightly-report"
GUARD_MACHINE = "arn:aws:states:ap-northeast-1:123456789012:stateMachine:batch-guard-dev"
WAITING_MACHINE = "arn:aws:states:ap-northeast-1:123456789012:stateMachine:batch-guard-dev--waiting"
GUARD = "arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev:nightly-report-20261123T1900Z"
COMMAND = ("bin/report",)
STAGE_RUNS = "arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev-"
TARGET = Target("batch", "report", "app")
ASKS = Request((MACHINE,), (Member("nightly-report", TARGET),), STAGE_RUNS, GUARD)
"""A start of nightly-report on its last look."""


def slot(number: int) -> str:
    """The ARN of the machine of a slot of the job's pool."""
    return MACHINE if number == 1 else f"{MACHINE}--{number}"


def with_slots(number: int, of: Request = ASKS) -> Request:
    """The same start, in a pool of so many slots."""
    return replace(of, slots=tuple(slot(n) for n in range(1, number + 1)))


def arn_of(name: str) -> str:
    """The ARN of a run or of a guard execution by its name; of what stands in another slot, ``2:run-000041``."""
    if name.startswith("arn:"):
        return name
    at, _, name = name.rpartition(":")
    return execution_arn(slot(int(at or 1)) if name.startswith(("run-", "paused-")) else GUARD_MACHINE, name)


def ago(minutes: float) -> datetime:
    """So many minutes before `NOW`."""
    return NOW - timedelta(minutes=minutes)


def run(
    number: int, status: str = "SUCCEEDED", *, began: float = 120, ended: float | None = 60, of: str = MACHINE
) -> Execution:
    """``run-000041``, begun and ended so many minutes ago; RUNNING and unknown statuses have not ended."""
    return execution(f"run-{number:06d}", status, began=began, ended=ended, of=of)


def execution(
    name: str, status: str = "SUCCEEDED", *, began: float = 120, ended: float | None = 60, of: str = MACHINE
) -> Execution:
    """Any execution of a machine, the job's own batch machine unless another is told."""
    is_open = status not in {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}
    stopped = None if is_open or ended is None else ago(ended)
    return Execution(execution_arn(of, name), name, status, ago(began), stopped)


def task(identity: str = "t1", *, of: str | None = None, status: str = "RUNNING", **more: object) -> Task:
    """A task of the job's family; `of` is the run that started it, as `arn_of` takes it."""
    arn = f"arn:aws:ecs:ap-northeast-1:123456789012:task/batch/{identity}"
    fields: dict[str, Any] = {"target": TARGET, **more}
    return Task(arn, status, arn_of(of) if of else None, **fields)


@dataclass(frozen=True)
class History:
    """A world that answers whatever is missing at once. What is said by name is said as `arn_of` takes it."""

    page: tuple[Execution, ...] = ()
    older: tuple[Execution, ...] = ()
    created_at: datetime = NOW - timedelta(days=10)
    """Of every slot's machine."""
    tasks: tuple[Task, ...] = ()
    command: Command | None = COMMAND
    details: Mapping[str, Details | None] = field(default_factory=dict)
    """What DescribeExecution shows; what is not named here, but on a page, is shown as a run of the job's target."""
    stopped: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)
    """By run: what ECS answers about its tasks; () also when it does not answer."""
    further: tuple[tuple[Execution, ...], ...] = ()
    """The pages of the second slot and those behind it."""
    waiting: tuple[Execution, ...] = ()
    """The open executions of those who wait and pause."""
    commands: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    """The commands of the pool's other jobs."""

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
            case NeedDetails(arn):
                return replace(facts, details={**facts.details, arn: self._details(arn)})
            case NeedEvidence(targets):
                places = frozenset(target.place for target in targets)
                tasks = tuple(each for each in self.tasks if each.target is None or each.target.place in places)
                return replace(
                    facts, evidence=Evidence(tasks, places, {"nightly-report": self.command, **self.commands})
                )
            case NeedTasksOf(arn):
                by_arn = {arn_of(name): tasks for name, tasks in self.stopped.items()}
                return replace(facts, stopped={**facts.stopped, arn: by_arn.get(arn, ())})
            case NeedWaiting():
                return replace(facts, waiting=self.waiting)
            case NeedPage(machine, older):
                page = self._page(machine)
                if older:
                    page += self.older
                known = replace(facts.of(machine), executions=page, more=not older and bool(self.older))
                return self._slot(facts, machine, known)
            case NeedCreatedAt(machine):
                return self._slot(facts, machine, replace(facts.of(machine), created_at=self.created_at))
            case _:
                assert_never(need)

    def _slot(self, facts: Facts, machine: str, known: SlotFacts) -> Facts:
        return replace(facts, slots={**facts.slots, machine: known})

    def _page(self, machine: str) -> tuple[Execution, ...]:
        pages = {MACHINE: self.page} | {slot(n): page for n, page in enumerate(self.further, 2)}
        return pages[machine]

    def _details(self, arn: str) -> Details | None:
        by_arn = {arn_of(name): details for name, details in self.details.items()}
        seen = (e for page in (self.page, self.older, *self.further) for e in page)
        shown = next((Details(e, target=TARGET) for e in seen if e.arn == arn), None)
        return by_arn.get(arn, shown)


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
