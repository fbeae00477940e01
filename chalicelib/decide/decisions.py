"""The decisions: the state machine obeys, and only `Run` may start a run."""

from typing import ClassVar, Literal

from chalicelib.decide.verdicts import Holder
from chalicelib.values import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """Start this run."""

    outcome: ClassVar[Literal["start"]] = "start"
    reason: str
    number: int
    machine: str
    """The ARN of the slot's machine."""


@dataclass(frozen=True, slots=True)
class Started:
    """This guard execution has started this run; the answer had been lost."""

    outcome: ClassVar[Literal["started"]] = "started"
    reason: str
    holder: Holder


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again after so many seconds."""

    outcome: ClassVar[Literal["wait"]] = "wait"
    reason: str
    holder: Holder | None
    seconds: int
    yields: bool = False
    """It is free, and another one has waited longer."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Let another execution of this name wait for the job, of the guard machine or of the one of those who wait."""

    outcome: ClassVar[Literal["queue"]] = "queue"
    reason: str
    holder: Holder
    waiter: str
    machine: str
    """Its ARN."""


@dataclass(frozen=True, slots=True)
class Queued:
    """This start has such a waiter; the answer had been lost."""

    outcome: ClassVar[Literal["queued"]] = "queued"
    reason: str
    holder: Holder
    waiter: str
    machine: str


@dataclass(frozen=True, slots=True)
class StopRun:
    """Stop the run in the way, and look again after so many seconds."""

    outcome: ClassVar[Literal["stop_run"]] = "stop_run"
    reason: str
    holder: Holder
    seconds: int


@dataclass(frozen=True, slots=True)
class StopTask:
    """Stop the task in the way, in this cluster, and look again after so many seconds."""

    outcome: ClassVar[Literal["stop_task"]] = "stop_task"
    reason: str
    holder: Holder
    seconds: int
    cluster: str


SkipError = Literal["AlreadyRunning", "AlreadyQueued", "WaitedTooLong", "Paused"]


@dataclass(frozen=True, slots=True)
class Skip:
    """Step back."""

    outcome: ClassVar[Literal["skip"]] = "skip"
    reason: str
    holder: Holder
    error: SkipError
    stuck: bool = False
    """The run in the way has no task any more, and does not know it: somebody has to end it."""


Would = Literal["started", "waited", "replaced", "stepped back", "been refused"]
"""What a start in shadow would have done, or what would have become of it: "would have started"."""


@dataclass(frozen=True, slots=True)
class WouldHave:
    """Say what would have become of this start, and do nothing."""

    outcome: ClassVar[Literal["shadow"]] = "shadow"
    reason: str
    holder: Holder | None
    would_have: Would


Decision = Run | Started | Wait | Queue | Queued | StopRun | StopTask | Skip | WouldHave
