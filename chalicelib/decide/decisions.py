"""The decisions: the state machine obeys, and only `Run` may start a run."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from chalicelib.decide.verdicts import Holder


@dataclass(frozen=True, slots=True)
class _Said:
    reason: str


@dataclass(frozen=True, slots=True)
class _Held(_Said):
    holder: Holder


@dataclass(frozen=True, slots=True)
class Run(_Said):
    """Start this run."""

    outcome: ClassVar[Literal["start"]] = "start"
    number: int
    machine: str
    """The ARN of the slot's machine."""


@dataclass(frozen=True, slots=True)
class Started(_Held):
    """This guard execution has started this run; the answer had been lost."""

    outcome: ClassVar[Literal["started"]] = "started"


@dataclass(frozen=True, slots=True)
class Wait(_Said):
    """Look again after so many seconds."""

    outcome: ClassVar[Literal["wait"]] = "wait"
    holder: Holder | None
    seconds: int
    yields: bool = False
    """It is free, and another one has waited longer."""


@dataclass(frozen=True, slots=True)
class Queue(_Held):
    """Let another execution of this name wait for the job, of the guard machine or of the one of those who wait."""

    outcome: ClassVar[Literal["queue"]] = "queue"
    waiter: str
    machine: str
    """Its ARN."""


@dataclass(frozen=True, slots=True)
class Queued(_Held):
    """This start has such a waiter; the answer had been lost."""

    outcome: ClassVar[Literal["queued"]] = "queued"
    waiter: str
    machine: str


@dataclass(frozen=True, slots=True)
class StopRun(_Held):
    """Stop the run in the way, and look again after so many seconds."""

    outcome: ClassVar[Literal["stop_run"]] = "stop_run"
    seconds: int


@dataclass(frozen=True, slots=True)
class StopTask(_Held):
    """Stop the task in the way, in this cluster, and look again after so many seconds."""

    outcome: ClassVar[Literal["stop_task"]] = "stop_task"
    seconds: int
    cluster: str


SkipError = Literal["AlreadyRunning", "AlreadyQueued", "WaitedTooLong", "Paused"]


@dataclass(frozen=True, slots=True)
class Skip(_Held):
    """Step back."""

    outcome: ClassVar[Literal["skip"]] = "skip"
    error: SkipError
    stuck: bool = False
    """The run in the way has no task any more, and does not know it: somebody has to end it."""


Would = Literal["started", "waited", "replaced", "stepped back", "been refused"]
"""What a start in shadow would have done, or what would have become of it: "would have started"."""


@dataclass(frozen=True, slots=True)
class WouldHave(_Said):
    """Say what would have become of this start, and do nothing."""

    outcome: ClassVar[Literal["shadow"]] = "shadow"
    holder: Holder | None
    would_have: Would


Decision = Run | Started | Wait | Queue | Queued | StopRun | StopTask | Skip | WouldHave
