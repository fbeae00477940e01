"""What is known when a start is judged: values without behaviour. Times are UTC.

`chalicelib.read` reads them, `availability` and `overlap` decide on them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from chalicelib.decide.policy import Outsiders
from chalicelib.decide.words import Command
from chalicelib.names import execution_arn, pause_number, run_number
from chalicelib.values import dataclass

CLOSED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
"""The statuses that end an execution (AWS, ListExecutions). Any other, also one AWS adds later, is open."""

CLEAN = "BatchGuard."
"""A run that FAILED with an error of this prefix left no task behind: the batch machine made sure."""

CLOCKS = timedelta(seconds=5)
"""How far the clocks of ECS and Step Functions may be apart. No run starts a task this soon after another's end."""

TASK_LAG = timedelta(minutes=6)
"""How long ECS may hide a task that RunTask accepted, or show one that has stopped as alive: AWS says to back off up
to about five minutes (RunTask); a minute more for what lies between two reads."""


class CantTell(Exception):
    """The facts don't say whether the job is running. Asking again may help; running would not be safe."""


class Refused(Exception):
    """The job must not be started, and asking again does not help. Its subclasses are the reasons."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run's task is to be found, as RunTask was told; a cluster may be a name or an ARN."""

    cluster: str
    family: str
    container: str

    @property
    def place(self) -> tuple[str, str]:
        """Two targets with one place have the same tasks: the cluster's name, and the family."""
        return self.cluster.rpartition("/")[2], self.family


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a batch machine, as Step Functions tells it. Times are UTC."""

    arn: str
    name: str
    status: str
    started_at: datetime
    stopped_at: datetime | None = None

    @property
    def closed(self) -> bool:
        """Known to have ended. A closed execution stays closed unless somebody redrives it."""
        return self.status in CLOSED and self.stopped_at is not None


@dataclass(frozen=True, slots=True)
class Details:
    """What only DescribeExecution tells: how an execution ended, and what its input says."""

    execution: Execution
    error: str | None = None
    guard_execution: str | None = None
    """The ARN of the guard execution that asked for it: for a run, or to wait for it."""
    reason: str | None = None
    """What somebody who paused the job said."""
    target: Target | None = None
    """Of a run: where its task is to be found. None for what has no task, or was begun by a forged input."""
    renewal: bool = False
    """Of a run: it starts no task."""
    job: str | None = None
    """Of a run: the job that it is of."""
    retries: int = 0
    """Of a run: how many tasks it may start after one that failed."""
    tasks: frozenset[str] = frozenset()
    """Of a run that has closed: the ARNs of the tasks that it saw stop."""
    scheduled_at: datetime | None = None
    """Of a run: the time that it is for."""
    cause: str | None = None
    """Of what failed or was stopped, if somebody said why."""
    output: Mapping[str, Any] = field(default_factory=dict)
    """Of what succeeded, as `contract` has it."""


@dataclass(frozen=True, slots=True)
class Task:
    """One ECS task of a target. Times are UTC."""

    arn: str
    last_status: str
    execution: str | None = None
    """The task's BATCH_EXECUTION: the ARN of the run that started it."""
    command: tuple[str, ...] | None = None
    """The command it runs: the override, else the task definition's, else None (the image's own)."""
    service: bool = False
    created_at: datetime | None = None
    stopped_at: datetime | None = None
    job: str | None = None
    """The task's BATCH_JOB."""
    target: Target | None = None
    """Where it was found; None for a task that was described by its ARN alone."""
    cluster: str = ""
    """The cluster in which it was found, as it was asked for."""
    started_by: str | None = None
    """RunTask's ``startedBy``."""

    @property
    def alive(self) -> bool:
        """Not known to have stopped; a task on its way down still runs."""
        return self.last_status != "STOPPED"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The tasks ECS shows, and by job the command that makes an outsider one of it."""

    tasks: tuple[Task, ...] = ()
    places: frozenset[tuple[str, str]] = frozenset()
    """Where they were looked for."""
    commands: Mapping[str, Command | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """A run this guard execution has asked for. `taken`: the name was refused; else the answer was lost."""

    run: str
    taken: bool
    machine: str
    """The ARN of the slot's machine."""

    @property
    def arn(self) -> str:
        """The run's ARN."""
        return execution_arn(self.machine, self.run)


@dataclass(frozen=True, slots=True)
class Stopping:
    """A task that this start told to stop."""

    task: str
    """Its ARN."""
    cluster: str


@dataclass(frozen=True, slots=True)
class Member:
    """A job of a pool: what of it decides which tasks are in the way."""

    job: str
    target: Target
    """Where the jobs file says that its task runs."""
    outsiders: Outsiders = "command"


@dataclass(frozen=True, slots=True)
class Shadow:
    """Of a start that only says what it would have done: how the task that the job's old rule has started for this very
    time is known. That one stands for the run that the start would have made, so it is not in the way."""

    started_by: frozenset[str]
    """The old rule's ``startedBy``; none if nobody knows of a rule."""
    since: datetime
    """The scheduled time: what was created before is of an earlier one."""
    until: datetime | None
    """The next scheduled time, if there is one."""


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, and what counts as the pool's being in use."""

    slots: tuple[str, ...]
    """The ARNs of the pool's batch machines, one a slot."""
    members: tuple[Member, ...]
    """The pool's jobs; the one that asks comes first."""
    stage_runs: str
    """What the ARN of every run of this stage begins with."""
    guard_execution: str | None = None
    commands: tuple[str, ...] | None = None
    may_wait: bool = False
    """True on a first look; the second look is final."""
    first: bool = False
    """An operator vouches that nothing runs, although the names may be forgotten."""
    first_after: int = 0
    """With `first`: the number to go on from at least; somebody vouches that names up to it may be taken."""
    claim: Claim | None = None
    losses: int = 0
    history: timedelta = timedelta(days=90)
    """How long the account keeps closed executions, and so their names."""
    beyond: tuple[str, ...] = ()
    """The machines of slots that are deployed, but that the pool has no more by the jobs file: what is open there fills
    a slot of those it has."""

    named: bool = False
    """The job names its pool: then it is treated as one of several jobs, also while it is alone in it."""
    only: str | None = None
    """Of a renewal: the one slot (the ARN of its machine) whose names it renews."""
    shadow: Shadow | None = None
    """Of a start in shadow, which starts nothing."""

    @property
    def job(self) -> str:
        """The job that asks."""
        return self.members[0].job

    @property
    def shared(self) -> bool:
        """The pool has several jobs or slots: who waits and who pauses is no execution of its batch machine."""
        return self.named or len(self.members) > 1 or len(self.slots) + len(self.beyond) > 1


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """What has been read of one slot's machine."""

    executions: tuple[Execution, ...] | None = None
    """The newest page, unfiltered, read in one call; older pages behind it while it shows no run."""
    more: bool = False
    """There is an older page."""
    created_at: datetime | None = None
    """When the batch machine was made."""


_NOTHING_READ = SlotFacts()


@dataclass(frozen=True, slots=True)
class Facts:
    """What has been read so far. A field that is None has not been read."""

    now: datetime
    slots: Mapping[str, SlotFacts] = field(default_factory=dict)
    """By the ARN of the slot's machine."""
    evidence: Evidence | None = None
    details: Mapping[str, Details | None] = field(default_factory=dict)
    """By execution ARN; None means that Step Functions does not show it."""
    stopped: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)
    """By run ARN: the tasks of an open run that ECS shows; empty also when ECS could not be asked."""
    waiting: tuple[Execution, ...] | None = None
    """The open executions of the machine of those who wait or pause, a few seconds old at most."""

    def of(self, machine: str) -> SlotFacts:
        """What is known of this slot."""
        return self.slots.get(machine, _NOTHING_READ)

    def seen(self, machine: str) -> Iterator[Execution]:
        """Every execution of a machine that a read has shown: those on the page, then those that were described."""
        yield from self.of(machine).executions or ()
        prefix = execution_arn(machine, "")
        described = (details.execution for details in self.details.values() if details)
        yield from (execution for execution in described if execution.arn.startswith(prefix))


@dataclass(frozen=True, slots=True)
class NeedPage:
    """A page of a machine's executions is lacking: the newest, or the one behind those that are known."""

    machine: str
    older: bool = False


@dataclass(frozen=True, slots=True)
class NeedCreatedAt:
    """The creation date of a batch machine is lacking."""

    machine: str


@dataclass(frozen=True, slots=True)
class NeedDetails:
    """The details of the execution with this ARN are lacking."""

    arn: str


@dataclass(frozen=True, slots=True)
class NeedEvidence:
    """The tasks that ECS shows at these targets are lacking. All but the first may be gone with their clusters."""

    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class NeedTasksOf:
    """Whether an open run (its ARN) still has a task: asked only to say so, so no answer is an answer."""

    run: str
    target: Target


@dataclass(frozen=True, slots=True)
class NeedWaiting:
    """Who waits for, or pauses, a job of a pool of several jobs or slots."""


Missing = NeedPage | NeedCreatedAt | NeedDetails | NeedEvidence | NeedTasksOf | NeedWaiting


def open_run(executions: Iterable[Execution]) -> Execution | None:
    """The first execution of a batch machine that is not known to be closed, and is no pause."""
    return next((e for e in executions if not e.closed and pause_number(e.name) is None), None)


def newest_run(executions: Iterable[Execution]) -> Execution | None:
    """The run with the highest number; None if there is none."""
    runs = [e for e in executions if run_number(e.name)]
    return max(runs, key=lambda e: run_number(e.name) or 0, default=None)


def stamp(moment: datetime) -> str:
    """``2026-11-23T18:00:00Z``."""
    return f"{moment.isoformat()[:19]}Z"  # of every line and reason; strftime takes six times as long


def span(length: timedelta) -> str:
    """``45 s``, ``12 min``, ``2 h 5 min``, ``3 d 4 h``."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    if seconds < 172_800:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600} h"
