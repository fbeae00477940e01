"""The throwaway stage as a probe sees it: AWS's clients, its names, a clock, and how to wait for an answer.

Every name begins with ``batch-guard-<stage>-``. A stage has its own four random characters, so no trial meets the
execution names of an earlier one: whether those are free again is one of the questions.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from chalicelib.names import execution_arn, guard_machine
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_stepfunctions import SFNClient

TAG = "batch-guard-acceptance"
"""The key of the tag on everything that can have one; its value is what ``--stage`` said."""

JOB = "story"
CONTAINER = "app"
MARK = "PROBE"
"""The environment variable by which a probe knows its task; its value is the execution's ARN."""

Answer = TypeVar("Answer")


class NotInTime(Exception):
    """Something did not happen within the time a probe waits for it; the message says what, and how long."""


class Cancelled(Exception):
    """Somebody interrupted the trial."""


class Clock:
    """Seconds that only rise, and sleeping that can be ended from another thread."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep. Raises `Cancelled` when the trial is interrupted."""
        if self._cancelled.wait(seconds):
            raise Cancelled

    def cancel(self) -> None:
        self._cancelled.set()


@dataclass(frozen=True)
class Names:
    """The names of one throwaway stage."""

    stage: str

    @property
    def prefix(self) -> str:
        """What every name begins with."""
        return guard_machine(self.stage) + "-"

    @property
    def stack(self) -> str:
        """The stack with what the probes need. It is made first and removed last, and its tag finds the rest."""
        return f"{self.prefix}acceptance"

    @property
    def cluster(self) -> str:
        return f"{self.prefix}cluster"

    @property
    def no_cluster(self) -> str:
        return f"{self.prefix}missing"

    @property
    def alarm(self) -> str:
        return f"{self.prefix}probe-alarm"

    def family(self, which: str) -> str:
        """A task definition's family: ``story`` is the job's, ``probe`` the probes'."""
        return f"{self.prefix}task-{which}"

    def machine(self, name: str) -> str:
        return f"{self.prefix}probe-{name}"


@dataclass(frozen=True)
class Ended:
    """How an execution ended."""

    status: str
    error: str | None
    cause: str | None
    output: Any

    @property
    def caught(self) -> tuple[str | None, str]:
        """The error and the cause that a step's Catch has seen (`definitions.step`); (None, "") if there was none."""
        output = self.output or {}
        return output.get("error"), output.get("cause") or ""

    def told(self) -> str:
        """``FAILED with States.Timeout: …`` and the like."""
        error = f" with {self.error}" if self.error else ""
        cause = f": {shortened(self.cause)}" if self.cause else ""
        return f"{self.status}{error}{cause}"


@dataclass(frozen=True)
class Task:
    """What a probe wants to know of an ECS task."""

    arn: str
    status: str
    mark: str | None
    """The ARN of the execution that it was started by, a run's or a probe's, as its environment says."""
    started_by: str = ""
    stopped_reason: str = ""

    @property
    def alive(self) -> bool:
        return self.status != "STOPPED"


@dataclass(frozen=True)
class Trial:
    """One throwaway stage that is deployed. `patience` is how many seconds one wait may last."""

    names: Names
    arns: str
    """What a state machine's ARN begins with, up to and including ``stateMachine:``."""
    stepfunctions: "SFNClient"
    ecs: "ECSClient"
    cloudwatch: "CloudWatchClient"
    sqs: Any
    subnet: str
    role: str
    """The ARN of the probe machines' role."""
    queue: str
    """The URL of the queue behind the alarm's topic."""
    patience: float
    tags: Mapping[str, str]
    clock: Clock = field(default_factory=Clock)

    @property
    def partition(self) -> str:
        return self.arns.split(":")[1]

    @property
    def guard(self) -> str:
        return self.arns + guard_machine(self.names.stage)

    def machine(self, name: str) -> str:
        return self.arns + self.names.machine(name)

    def run(self, name: str) -> str:
        return execution_arn(f"{self.arns}{self.names.prefix}{JOB}", name)

    def make(self, name: str, definition: Mapping[str, Any]) -> str:
        """Make a probe's state machine, and return its ARN. Raises ClientError."""
        return self.stepfunctions.create_state_machine(
            name=self.names.machine(name),
            definition=json.dumps(definition),
            roleArn=self.role,
            tags=[{"key": key, "value": value} for key, value in self.tags.items()],
        )["stateMachineArn"]

    def make_or_not(self, name: str, definition: Mapping[str, Any]) -> tuple[str, str | None]:
        """As `make`, with the name of the error by which AWS refuses the definition; None if it takes it."""
        try:
            return self.make(name, definition), None
        except ClientError as error:
            return "", code(error)

    def start(self, machine: str, event: Mapping[str, Any], name: str | None = None) -> str:
        """Start an execution of the machine with this ARN, and return the execution's. Raises ClientError."""
        named: Any = {"name": name} if name else {}
        return self.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(event), **named)[
            "executionArn"
        ]

    def ended(self, execution: str, *, within: float | None = None) -> Ended:
        """How the execution ended, once it has; `within` as of `until`. Raises `NotInTime`."""

        def look() -> Ended | None:
            try:
                answer = self.stepfunctions.describe_execution(executionArn=execution)
            except ClientError as error:
                if code(error) == "ExecutionDoesNotExist":  # not visible yet
                    return None
                raise
            if answer["status"] in ("RUNNING", "PENDING_REDRIVE"):
                return None
            output = json.loads(answer["output"]) if answer.get("output") else None
            return Ended(answer["status"], answer.get("error"), answer.get("cause"), output)

        return self.until(look, f"the end of {execution}", within=within, every=1)

    def ended_or_none(self, execution: str, *, within: float | None = None) -> Ended | None:
        """As `ended`; None if it does not end in time."""
        try:
            return self.ended(execution, within=within)
        except NotInTime:
            return None

    def outcome(self, name: str, event: Mapping[str, Any]) -> Ended:
        """Start a probe's machine, and wait for the end. Raises `NotInTime` and ClientError."""
        return self.ended(self.start(self.machine(name), event))

    def tasks(self, family: str) -> list[Task]:
        """The tasks of a family on the stage's cluster, those that stopped within the last hour too."""
        found: list[str] = []
        for desired in ("RUNNING", "STOPPED"):
            pages = self.ecs.list_tasks(
                cluster=self.names.cluster,
                family=self.names.family(family),
                desiredStatus=desired,
            )
            found += [arn for arn in pages["taskArns"] if arn not in found]
        return self.describe(found)

    def describe(self, tasks: Sequence[str]) -> list[Task]:
        """Those of the tasks that ECS shows. Raises ClientError."""
        if not tasks:
            return []
        answer = self.ecs.describe_tasks(cluster=self.names.cluster, tasks=[*tasks])
        return [_task(task) for task in answer["tasks"]]

    def now(self, task: Task) -> Task:
        """The task as ECS shows it now; as it was, if ECS shows it no more."""
        return next(iter(self.describe([task.arn])), task)

    def tasks_of(self, mark: str, family: str = "probe") -> list[Task]:
        """The tasks that an execution has started: `mark` is its ARN."""
        return [task for task in self.tasks(family) if task.mark == mark]

    def a_task_of(self, mark: str, family: str = "probe") -> Task:
        """The first task of an execution, once ECS shows one. Raises `NotInTime`."""
        return self.until(lambda: self.tasks_of(mark, family), f"a task of {mark}", every=1)[0]

    def stop_task(self, task: str) -> None:
        self.ecs.stop_task(cluster=self.names.cluster, task=task, reason="batch-guard: acceptance")

    def until(
        self,
        look: Callable[[], Answer | None],
        what: str,
        *,
        within: float | None = None,
        every: float = 0.5,
    ) -> Answer:
        """The first true answer of `look`; `within` seconds, or `patience`, whichever is less. Raises `NotInTime`."""
        limit = self.patience if within is None else self.at_most(within)
        began = self.clock.now()
        while True:
            answer = look()
            if answer:
                return answer
            if self.clock.now() - began >= limit:
                raise NotInTime(f"not within {limit:.0f} s: {what}")
            self.clock.sleep(every)

    def at_most(self, within: float) -> float:
        """The seconds that a wait of `within` lasts, given the patience."""
        return min(within, self.patience)

    def timed(self, look: Callable[[], Any], what: str, *, within: float, every: float = 0.5) -> float | None:
        """Seconds until `look` answers something true; None if it does not in time."""
        began = self.clock.now()
        try:
            self.until(look, what, within=within, every=every)
        except NotInTime:
            return None
        return self.clock.now() - began


def code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def refused(call: Callable[[], object], *of: str) -> str | None:
    """The name of the error that AWS answers, one `of` these if any are named; None if it does not refuse."""
    try:
        call()
    except ClientError as error:
        if of and code(error) not in of:
            raise
        return code(error)
    return None


def shortened(text: str | None, most: int = 160) -> str:
    """The text on one line, cut after `most` characters."""
    line = re.sub(r"\s+", " ", text or "")
    return line if len(line) <= most else line[:most] + "…"


def _task(task: Mapping[str, Any]) -> Task:
    containers = task.get("overrides", {}).get("containerOverrides", [])
    given = {entry["name"]: entry["value"] for each in containers for entry in each.get("environment", [])}
    return Task(
        task["taskArn"],
        task["lastStatus"],
        given.get("BATCH_EXECUTION", given.get(MARK)),
        task.get("startedBy", ""),
        task.get("stoppedReason", ""),
    )
