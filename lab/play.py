"""Plays state machines by their own text against the real checker, in a time of its own.

Step Functions' language is interpreted (`lab.language`), and the executions move as the clock does, which nobody waits
for: a night takes a second. Behind the definitions stand a fake Step Functions and a fake ECS (`lab.tasks`), whose
reads may lag. So tests can play what no emulator shows: ECS that hides a task, an answer that got lost, a definition of
another release than the checker's.
"""

import functools
import heapq
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib import trigger
from chalicelib.check import Checker
from chalicelib.config.jobs import JobsFile, parse
from chalicelib.decide.facts import CantTell, Details, Execution
from chalicelib.decide.pace import Planned
from chalicelib.names import (
    MOST_SLOTS,
    batch_machine,
    execution_arn,
    function_name,
    guard_machine,
    machine_arn,
    telling_machine,
    waiting_machine,
)
from chalicelib.parsing import details_of
from chalicelib.read.executions import PAGE_SIZE, Page
from chalicelib.read.record import Record, recorded_as
from chalicelib.read.tasks import Ecs
from chalicelib.telling import Teller
from chalicelib.watch import Watch
from guardctl import told
from guardctl.template import definition, pool_rows
from lab.language import Interpreter, Json, StatesError, Steps
from lab.tasks import Program, Tasks
from lab.tokens import Tokens

__all__ = ["BEGIN", "Play", "Played", "Program", "StatesError", "with_pools"]

BEGIN = datetime(2026, 11, 23, 18, tzinfo=UTC)


def with_pools(guard: Json, jobs: JobsFile) -> Json:
    """The guard's definition with a row for each job whose pool is shared, as a deployment writes it."""
    parsed: Json = json.loads(json.dumps(guard).replace("$pools := {}", f"$pools := {pool_rows(jobs)}"))
    return parsed


def telling(jobs: JobsFile) -> Json:
    """The definition of the machine that tells, as a deployment of this stage has it."""
    text = json.dumps(definition("telling"))
    for name, value in {"Partition": "aws", **told.substitutions(jobs)}.items():
        text = text.replace(f"${{{name}}}", value)
    parsed: Json = json.loads(text)
    return parsed


TAKEN = "StepFunctions.ExecutionAlreadyExistsException"


@dataclass
class Played:
    """One execution, as it is now. Times are UTC."""

    machine: str
    name: str
    given: str
    started_at: datetime
    status: str = "RUNNING"
    stopped_at: datetime | None = None
    output: Any = None
    error: str | None = None
    cause: str | None = None
    states: list[str] = field(default_factory=list)
    """Those that it has entered, in order."""
    redrives: int = 0
    at: Any = None
    """Where a redrive goes on: its definition, the state, its input and the variables."""
    step: Callable[[], None] | None = None
    """What moves it on."""
    next: int = 0
    """The number in its play of when that happens; 0 for never."""

    @property
    def arn(self) -> str:
        """Its ARN."""
        return execution_arn(self.machine, self.name)

    def as_of(self, moment: datetime) -> Execution:
        """What a read showed that is as old as this moment."""
        closed = self.stopped_at is not None and self.stopped_at <= moment
        status = self.status if closed else "RUNNING"
        return Execution(self.arn, self.name, status, self.started_at, self.stopped_at if closed else None)


class Play(Interpreter, Tasks):
    """A stage in motion: `start`, then `run_until`. What may go wrong is a field that a test sets."""

    def __init__(
        self, jobs: str, definitions: Mapping[str, Json] | None = None, *, stage: str = "dev", region: str = "us-east-1"
    ) -> None:
        definitions = definitions or {name: definition(name) for name in ("guard", "batch")}
        super().__init__()
        self.now = BEGIN
        self.stage = stage
        self.jobs: JobsFile = parse(jobs, stage=stage, place="play")
        self.definitions = {
            "guard": with_pools(definitions["guard"], self.jobs),
            "batch": definitions["batch"],
            "telling": telling(self.jobs),
        }
        """``guard``, ``batch`` and ``telling``; a test may bring those of another release."""
        self.published: list[Json] = []
        """What topics got: the arguments of each call, and under ``at`` when."""
        self.topic_error: Callable[[], StatesError | None] = lambda: None
        """What SNS answers at this moment."""
        self.executions: dict[str, Played] = {}
        self.list_lag = timedelta(0)
        """How old the lists and descriptions of executions are."""
        self.redrives = 0
        self.checker_error: Callable[[Any], StatesError | None] = lambda _event: None
        self.lost_replies: set[str] = set()
        """Names of executions whose StartExecution succeeds without an answer."""
        self.quotas: dict[str, Tokens] = {}
        """Call → its bucket; a call that is not here is never refused. The function's clients don't try again."""
        self.handled: set[str] = set()
        """What the trigger's function remembers."""
        self.retried = 0
        """How often Step Functions tried a state again: a transition as well (AWS, Step Functions pricing)."""
        self.invocations: list[Any] = []
        self.calls: list[str] = []
        self._of_machine: dict[str, list[Played]] = {}
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._dropped: set[int] = set()
        """The numbers of what will not happen after all."""
        self._function = f"arn:aws:lambda:{region}:123456789012:function:{function_name(stage, 'check')}"
        self._who_waits: dict[str, Any] = {}
        self._memory = Ecs(self)  # type: ignore[arg-type]  # this object answers for ECS, too

    # --- what a test does ---

    @property
    def guard(self) -> str:
        """The guard machine's ARN."""
        return machine_arn(self._function, guard_machine(self.stage))

    @property
    def waiting_machine(self) -> str:
        """The ARN of the machine of those who wait for a shared pool, or pause a job of one."""
        return machine_arn(self._function, waiting_machine(self.stage))

    @property
    def telling_machine(self) -> str:
        """The ARN of the machine that tells people."""
        return machine_arn(self._function, telling_machine(self.stage))

    def watch(self) -> None:
        """The trigger's look for what no state passes, now."""
        answers: Any = self
        Watch(Teller(self.jobs, self._function, _Client(self), lambda: self.now), answers).look()  # type: ignore[arg-type]  # the one method that is used

    def machine(self, job: str, slot: int = 1) -> str:
        """The ARN of the batch machine of the job's pool."""
        return machine_arn(self._function, batch_machine(self.stage, self.jobs.jobs[job].pool, slot))

    def start(self, job: str, name: str = "", **event: Any) -> Played:
        """Start the guard for a job, now."""
        return self.start_execution(
            self.guard, name or f"{job}-by-hand-{next(self._number):012x}", json.dumps({"job": job, **event})
        )

    def tick(self) -> None:
        """The trigger's minute: what it plans is sent at its instants. What fails is left to a later tick."""

        def recorded(job: Any) -> Record:
            return Record(recorded_as(job), BEGIN - timedelta(days=9))

        def send(each: Planned) -> None:
            try:
                self.start_execution(self.guard, each.start.name, trigger.guard_input(each, self.jobs, self._function))
            except StatesError as error:
                if error.error != TAKEN:
                    return
            self.handled.add(each.start.name)

        nobody: Any = None
        made = trigger.Trigger(self.jobs, self._function, nobody, recorded, self.handled, lambda: self.now, nobody)
        tick = made.planned(self.now)
        for each in (*tick.in_time, *tick.late, *tick.verdicts):
            self.at((each.at - self.now).total_seconds(), functools.partial(send, each))

    def runs(self, job: str) -> list[Played]:
        """The executions of the batch machines of the job's pool, in order of their start."""
        slots = (self._of_machine.get(self.machine(job, slot), []) for slot in range(1, MOST_SLOTS + 1))
        return sorted((run for slot in slots for run in slot), key=lambda run: run.started_at)

    def waiters(self) -> list[Played]:
        """The executions of those who wait for shared pools, or pause jobs of them."""
        return [e for e in self.executions.values() if e.machine == self.waiting_machine]

    def at(self, seconds: float, happens: Callable[[], Any]) -> int:
        """Let something happen so many seconds from now; its number."""
        moment, number = self.now + timedelta(seconds=max(0.0, seconds)), next(self._number)
        heapq.heappush(self._heap, (moment, number, lambda: happens() and None))
        return number

    def run_until(self, seconds: float | None = None) -> None:
        """Let everything happen until so many seconds from now; until nothing is left to happen if None."""
        end = self.now + timedelta(seconds=seconds) if seconds is not None else None
        while not self.idle and (end is None or self._heap[0][0] <= end):
            moment, _, happens = heapq.heappop(self._heap)
            self.now = max(self.now, moment)
            happens()
        self.now = end or self.now

    @property
    def idle(self) -> bool:
        """Nothing is left to happen."""
        while self._heap and self._heap[0][1] in self._dropped:
            self._dropped.remove(heapq.heappop(self._heap)[1])
        return not self._heap

    def abort(self, execution: Played, error: str | None = None, cause: str | None = None) -> None:
        """Stop an execution; its task lives on."""
        self._close(execution, "ABORTED", error=error, cause=cause)

    def redrive(self, execution: Played) -> None:
        """RedriveExecution: it goes on at the state in which it was stopped."""
        execution.redrives += 1
        execution.status, execution.stopped_at, execution.error, execution.cause = "RUNNING", None, None, None
        self._go_on(execution, self._interpret(execution, execution.at[0]))

    # --- Step Functions ---

    def start_execution(self, machine: str, name: str, given: str) -> Played:
        """StartExecution. Raises `StatesError` for a taken name, unless name and input are those of a running one."""
        if self._refused("StartExecution"):
            raise StatesError("StepFunctions.ThrottlingException", "Rate exceeded")
        arn = execution_arn(machine, name)
        there = self.executions.get(arn)
        if there is not None and (there.status != "RUNNING" or there.given != given):
            raise StatesError(TAKEN, f"Execution Already Exists: '{arn}'")
        if there is None:
            there = self.executions[arn] = Played(machine, name, given, self.now)
            self._of_machine.setdefault(machine, []).append(there)
            kind = "guard" if machine in {self.guard, self.waiting_machine} else "batch"
            kind = "telling" if machine == self.telling_machine else kind
            self._go_on(there, self._interpret(there, self.definitions[kind]))
        if name in self.lost_replies:
            self.lost_replies.discard(name)
            raise StatesError("States.Timeout")
        return there

    def _go_on(self, execution: Played, steps: Steps) -> None:
        redrives = execution.redrives

        def step() -> None:
            if execution.status != "RUNNING" or execution.redrives != redrives:
                return
            execution.next = 0
            try:
                seconds = next(steps)
            except StopIteration as done:
                self._close(execution, "SUCCEEDED", output=done.value)
            except StatesError as error:
                self._close(execution, "FAILED", error=error.error, cause=error.cause)
            else:
                execution.next = self.at(seconds, step)

        execution.step, execution.next = step, self.at(0.05, step)

    def _asleep(self, execution: Played) -> Callable[[float], None]:
        step = execution.step
        assert step is not None

        def wake(seconds: float) -> None:
            if execution.step is step and execution.next:
                self._drop(execution)
                execution.next = self.at(seconds, step)

        return wake

    def _drop(self, execution: Played) -> None:
        """It moves no more by itself."""
        if execution.next:
            self._dropped.add(execution.next)
            execution.next = 0

    def _close(self, execution: Played, status: str, **ending: Any) -> None:
        if execution.status == "RUNNING":
            execution.status, execution.stopped_at = status, self.now
            self._drop(execution)
            for key, value in ending.items():
                setattr(execution, key, value)

    def _called(self, execution: Played, resource: str, arguments: Json, timeout: float) -> Steps:
        service = resource.partition(":states:::")[2]
        self.calls.append(service)
        yield 0.1
        match service:
            case "lambda:invoke":
                return {"Payload": self._invoke(arguments["Payload"])}
            case "states:startExecution":
                given = json.dumps(arguments["Input"], sort_keys=True)
                self.start_execution(arguments["StateMachineArn"], arguments["Name"], given)
                return {}
            case "aws-sdk:sfn:describeExecution":
                found = self.executions[arguments["ExecutionArn"]]
                ending = {"Error": found.error, "Cause": found.cause}
                return {"Status": found.status, **{key: value for key, value in ending.items() if value is not None}}
            case "sns:publish":
                if refused := self.topic_error():
                    raise refused
                self.published.append({**arguments, "at": self.now})
                return {"MessageId": str(len(self.published))}
            case "aws-sdk:sfn:stopExecution":
                self.abort(self.executions[arguments["ExecutionArn"]], arguments["Error"], arguments["Cause"])
                return {}
            case "aws-sdk:ecs:stopTask":
                self.stop_task(arguments["Task"])
                return {}
            case "ecs:runTask.sync":
                return (yield from self._run_task(execution, arguments, timeout))
        raise AssertionError(f"{service} is not played")

    def _invoke(self, event: Any) -> Any:
        event = json.loads(json.dumps(event))
        self.invocations.append(event)
        if failed := self.checker_error(event):
            raise failed
        executions: Any = self
        checker = Checker(
            lambda: self.jobs,
            self._function,
            executions,
            lambda: self._memory,
            lambda: self.now,
            who_waits=self._who_waits,
        )
        try:
            return json.loads(json.dumps(checker.answer(event)))
        except Exception as error:  # as Lambda does with whatever a handler raises
            said = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
            raise StatesError(type(error).__name__, said) from error

    # --- what the checker reads of Step Functions (`read.executions.Executions`) ---

    def page(self, machine: str, token: str | None = None, *, only_running: bool = False) -> Page:
        """See `Executions.page`."""
        self._ask("ListExecutions")
        seen = self.now - self.list_lag
        shown = [e.as_of(seen) for e in self._of_machine.get(machine, ()) if e.started_at <= seen]
        shown = [e for e in shown if not only_running or e.status == "RUNNING"]
        shown.sort(key=lambda e: e.stopped_at or e.started_at, reverse=True)
        first = int(token or 0)
        more = len(shown) > first + PAGE_SIZE
        return Page(tuple(shown[first : first + PAGE_SIZE]), str(first + PAGE_SIZE) if more else None)

    def details(self, arn: str) -> Details | None:
        """See `Executions.details`."""
        self._ask("DescribeExecution")
        found = self.executions.get(arn)
        seen = self.now - self.list_lag
        if found is None or found.started_at > seen:
            return None
        shown = found.as_of(seen)
        if not shown.closed:
            return details_of(shown, found.given)
        output = json.dumps(found.output) if found.output is not None else None
        return details_of(shown, found.given, error=found.error, output=output, cause=found.cause)

    def created_at(self, _machine: str) -> datetime:
        """See `Executions.created_at`."""
        return BEGIN - timedelta(days=1)

    def _refused(self, call: str) -> bool:
        return call in self.quotas and not self.quotas[call].take(self.now.timestamp())

    def _ask(self, call: str) -> None:
        if self._refused(call):
            raise CantTell(f"{call} got no answer: ThrottlingException, Rate exceeded")

    # --- ECS ---


class _Client:
    """Step Functions as a function's client has it, for `Teller`."""

    class exceptions:  # noqa: N801 (botocore's)
        class ExecutionAlreadyExists(Exception):
            """The name is taken."""

    def __init__(self, play: Play) -> None:
        self._play = play

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> Json:  # noqa: N803 (AWS's)
        """StartExecution."""
        try:
            return {"executionArn": self._play.start_execution(stateMachineArn, name, input).arn}
        except StatesError as error:
            if error.error == TAKEN:
                raise self.exceptions.ExecutionAlreadyExists from error
            raise
