"""What crosses a border: events, answers, inputs. Each form is written down once, here, and read once (`parsing`).

Between the checker and the state machines there is nothing but JSON, and either side may be older than the other: an
execution goes on with the definition it began with (a waiter for a week, a run for a year), while the checker is the
newest. So what a guard execution carries from state to state has a `VERSION`; keys may be added to it within one
version, and a checker that meets a higher one says that it can't tell. tests/contracts compares these classes with
every key that the definitions read and write.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Literal

from chalicelib.decide.facts import Claim, Stopping, Target, stamp
from chalicelib.names import Told
from chalicelib.values import dataclass

VERSION = 1
"""Of what a guard execution carries. Raise it when a key changes its meaning."""

BY_HAND = timedelta(minutes=5)
"""How long a start without a deadline asks, and how long any start asks about what a deployment may not have made
visible yet; guard.asl.json has the same."""

LONGEST_OVERRIDES = 8_192
"""Characters of RunTask's overrides (AWS, RunTask)."""

_LONGEST_REASON = 4_000
"""Characters of an answer's reason. A state's whole data may have 262,144 bytes (AWS, Step Functions quotas), and
more than that ends the execution in a way that nothing can catch."""

# --- what is asked ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a scheduled time that is passed over; its guard execution only says so, and asks nobody."""

    error: str
    """Without ``BatchGuard.``"""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What people are told of a scheduled time, whoever tells it."""

    at: str
    """The scheduled time, as a person says it."""
    zone: str
    """The name of the zone that it is in, ``JST``."""
    offset_minutes: int
    """How far that zone's clock is ahead of UTC at that time: instants in a reason are told so."""
    command: str
    """What to type next."""
    more: str = ""
    """What else is known already, in sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling(Said):
    """Under ``tell``, in a guard execution's or a run's input: whom to tell how it ends, if it ends so."""

    machine: str
    """The ARN of the machine whose executions tell."""
    kinds: tuple[Told, ...]
    """Of which of its ends people are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldInput(Said):
    """The input of an execution that tells."""

    kind: Told
    job: str
    of_stage: bool = False
    """Said of the whole stage: the checker can't be reached. The job is the first that met it."""
    execution: str | None = None
    """The ARN of what it is about; None if there is none."""
    reason: str | None = None
    """In words; None: what `execution` says of its end, which is looked up when it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInput:
    """The guard machine's input: what a person, the trigger or a guard execution that queues may write."""

    job: str
    scheduled_at: datetime | None = None
    """The time to run for; the guard execution's beginning if there is none."""
    nominal_at: datetime | None = None
    """Of a time that a holiday moved: when it would have been."""
    commands: tuple[str, ...] | None = None
    """In place of the container's command."""
    deadline: datetime | None = None
    """The start gives up by then; after `BY_HAND` if there is none."""
    renewal: bool = False
    """Start a run without a task, so that the run numbers are not forgotten."""
    first: bool = False
    """After a long rest: somebody vouches that nothing runs."""
    first_after: int | None = None
    """With `first`: the highest run number that names may be taken to, where no run is visible any more."""
    anyway: bool = False
    """Also when the job is paused."""
    by: str | None = None
    """Who starts it, for people."""
    reason: str | None = None
    """Why, for people."""
    queued_since: datetime | None = None
    """Of a waiter: when the start that it waits for began."""
    guard_execution: str | None = None
    """Of a waiter: the guard execution that it waits for."""
    paused: bool = False
    """Of an execution that pauses a job of a shared pool, while it is open."""
    until: datetime | None = None
    """When such a pause ends by itself; after a year if it does not say."""
    slot: int | None = None
    """Of a renewal: which slot's names it renews; the first if it does not say."""
    shadow: bool = False
    """Start nothing, and say what this start would have done: the trigger's, of a job that is in shadow."""
    verdict: Verdict | None = None
    """Of a time that is passed over: the trigger writes it, and the checker never sees it."""
    tell: Telling | None = None
    """Of a scheduled start, and of what waits for it: whom to tell that it did not start. The trigger writes it, so
    that it is known while the checker is down."""


OPEN_TO_ALL = "job, scheduled_at, commands, deadline, renewal, first, first_after, anyway, by, reason"
"""The keys of `StartInput` that a person is told about; the others are a waiter's and the trigger's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Under ``guard``: what the guard execution says of itself, and carries from state to state."""

    version: int
    execution: str
    """Its ARN."""
    started: datetime
    waited: bool = False
    losses: int = 0
    claim: Claim | None = None
    place_taken: str | None = None
    place_asked: str | None = None
    """The waiter's name that it asked for last, if nobody knows what came of that."""
    stopping: Stopping | None = None
    yields_since: datetime | None = None
    """When it first let an older waiter go first."""
    pool: str | None = None
    """The pool that the machines were deployed for, if the job names one or its pool has several slots."""
    slots: int | None = None
    """That pool's slots, likewise."""
    stopped_at: datetime | None = None
    """When it first stopped something."""
    forged: bool = False
    """Its input had a key ``guard`` already, which is the guard machine's own."""


@dataclass(frozen=True, slots=True)
class StartQuestion:
    """May this start run? From a guard execution if `guard` is there, else from somebody who only asks."""

    start: StartInput
    guard: Carried | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuestion:
    """How does the task of this run stand? From a batch machine; answered from the event alone."""

    task_of: str
    """The run's ARN."""
    target: Target
    since: datetime | None = None
    """What was made before this belongs to an attempt that has been judged."""
    error: str = ""
    cause: str = ""
    """Of the step that ended: for a task that failed, Step Functions puts the whole task in it."""


@dataclass(frozen=True, slots=True)
class ArticleQuestion:
    """Does another execution of this machine run? The event of the article that this project grew from."""

    machine: str
    execution: str


Question = StartQuestion | TaskQuestion | ArticleQuestion


@dataclass(frozen=True, slots=True)
class TaskState:
    """The answer to a `TaskQuestion`, under ``task``: null while ECS shows none."""

    arn: str
    last_status: str
    exit_code: int | None
    stop_code: str
    stopped_reason: str


# --- what is answered -------------------------------------------------------------------------------------

Outcome = Literal["start", "started", "wait", "queue", "queued", "stop_run", "stop_task", "skip", "shadow", "refuse"]

ANSWERED = ("running_flg", "outcome", "error", "reason")
"""Every answer to a start has these; `reason` is for people, and no state machine branches on it."""

DECIDED = ("holder", "next_run", "job", "state_machine_arn")
"""Every decision has these besides; a refusal has not."""

OBEYED: Mapping[Outcome, tuple[str, ...]] = {
    "start": ("run",),
    "started": (),
    "wait": ("wait_seconds", "yields"),
    "queue": ("waiter", "waiter_input", "waiter_machine"),
    "queued": ("waiter", "waiter_machine"),
    "stop_run": ("wait_seconds", "yields"),
    "stop_task": ("wait_seconds", "yields", "cluster"),
    "skip": ("on_skip",),
    "shadow": ("would_have",),
    "refuse": (),
}
"""What else the guard machine needs to do as it is told; ``run`` is a `RunInput`, and only a guard gets it."""

TOLD_BESIDES = ("more",)
"""What a skip says to people who are to be told; only then is it there, and nothing lacks without it."""

HOLDER = ("kind", "name", "arn", "started_at")

GUARD_OUTPUT: Mapping[Outcome, tuple[str, ...]] = {
    "started": ("outcome", "run", "state_machine_arn"),
    "queued": ("outcome", "waiter", "state_machine_arn", "reason"),
    "skip": ("outcome", "error", "reason", "holder"),
    "shadow": ("outcome", "would_have", "reason"),
}
"""The output of a guard execution that succeeded, by its outcome."""

RUN_OUTPUT = ("run", "tasks")
"""The output of a run that succeeded; ``tasks`` names every task that it saw stop, and so does a failure's cause."""

# --- what is handed on ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInput:
    """A run's input: all that the batch machine needs to know. The guard adds `guard_execution`."""

    job: str
    run: str
    pool: str
    slot: int
    scheduled_at: datetime
    deadline: datetime
    """Until then ECS is asked again when it has no room."""
    renewal: bool
    target: Target
    timeout: int
    """Seconds."""
    retries: int
    task: Mapping[str, Any]
    """RunTask's arguments. The job's own container stands first in its overrides."""
    tell: Telling | None = None
    """Whom to tell that the run has failed; None where nobody asked to be told."""


ADDED_BY_THE_GUARD = ("guard_execution", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID")
"""What the guard machine adds to a run's input; the second links the two executions in AWS's console."""


# --- writing ----------------------------------------------------------------------------------------------


def wire(value: Any) -> Any:
    """A value of this module as JSON has it: fields by their names, times stamped, tuples as lists."""
    match value:
        case datetime():
            return stamp(value)
        case str() | int() | float() | None:
            return value
        case Mapping():
            return {key: wire(inner) for key, inner in value.items()}
        case tuple() | list():
            return [wire(inner) for inner in value]
        case _:
            return {field.name: wire(getattr(value, field.name)) for field in fields(value)}


def guard_input(start: StartInput) -> dict[str, Any]:
    """The guard machine's input, without what has its default."""
    defaults = {field.name: field.default for field in fields(StartInput)}
    return {key: value for key, value in wire(start).items() if value != defaults[key]}


def run_input(run: RunInput) -> dict[str, Any]:
    """A run's input; without ``tell`` where nobody is told, as it was before there was any."""
    return {key: value for key, value in wire(run).items() if key != "tell" or value is not None}


def cut(reason: str) -> str:
    """A reason as an answer may have it."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
