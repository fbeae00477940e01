"""What is known when a start is judged: values without behaviour. Times are UTC.

`chalicelib.read` reads them, `availability` and `overlap` decide on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

CLOSED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
"""The statuses that end an execution (AWS, ListExecutions). Any other, also one AWS adds later, is open."""


class CantTell(Exception):
    """The facts don't say whether the job is running. Asking again may help; running would not be safe."""


class Refused(Exception):
    """The job must not be started, and asking again does not help. Its subclasses are the reasons."""


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
    """What only DescribeExecution tells: how the execution failed, who asked for it, and why (of a pause)."""

    execution: Execution
    error: str | None = None
    guard_execution: str | None = None
    """The guard execution that asked for it: for a run, or to wait in its stead."""
    reason: str | None = None
    """What somebody who paused the job said."""


@dataclass(frozen=True, slots=True)
class Task:
    """One ECS task of the job's family on the job's cluster."""

    arn: str
    last_status: str
    execution: str | None = None
    """The task's BATCH_EXECUTION: the ARN of the run that started it."""
    command: tuple[str, ...] | None = None
    """The command it runs: the override, else the task definition's, else None (the image's own)."""
    service: bool = False
    created_at: datetime | None = None
    stopped_at: datetime | None = None

    @property
    def alive(self) -> bool:
        """Not known to have stopped; a task on its way down still runs."""
        return self.last_status != "STOPPED"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The tasks ECS shows, and the command that makes an outsider one of this job."""

    tasks: tuple[Task, ...] = ()
    command: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A run this guard execution has asked for. `taken`: the name was refused; else the answer was lost."""

    run: str
    taken: bool


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, and what counts as the job's being in use."""

    machine: str
    """The batch machine's ARN."""
    guard_execution: str | None = None
    outsiders: Literal["command", "family", "ignore"] = "command"
    commands: tuple[str, ...] | None = None
    may_wait: bool = False
    """True on a first look; the second look is final."""
    first: bool = False
    """An operator vouches that nothing runs, although the names may be forgotten."""
    claim: Claim | None = None
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What has been read so far. A field that is None has not been read."""

    now: datetime
    executions: tuple[Execution, ...] | None = None
    """The newest page, unfiltered, read in one call; older pages behind it while it shows no run."""
    more: bool = False
    """There is an older page."""
    created_at: datetime | None = None
    """When the batch machine was made."""
    evidence: Evidence | None = None
    details: Mapping[str, Details | None] = field(default_factory=dict)
    """By execution name; None means that Step Functions does not show it."""
    waiters: Mapping[str, Details | None] = field(default_factory=dict)
    """Guard executions that wait in a queue, by name; None likewise."""


class Need(Enum):
    """A fact that is lacking, other than the details of one execution."""

    PAGE = "the newest page of executions"
    OLDER_PAGE = "the page behind"
    CREATED_AT = "the batch machine's creation date"
    EVIDENCE = "the tasks ECS shows"


@dataclass(frozen=True, slots=True)
class NeedDetails:
    """The details of this execution are lacking: one of the batch machine, or a waiter of the guard machine."""

    name: str
    waiter: bool = False


def stamp(moment: datetime) -> str:
    """``2026-11-23T18:00:00Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


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
