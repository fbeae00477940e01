"""What crosses a border: events, answers, inputs. Each form is written down once, here, and parsed once.

Between the checker and the state machines there is nothing but JSON, and either side may be older than the other: an
execution goes on with the definition it began with (a waiter for a week, a run for a year), while the checker is the
newest. So what a guard execution carries from state to state has a `VERSION`; keys may be added to it within one
version, and a checker that meets a higher one says that it can't tell. tests/contracts compares these classes with
every key that the definitions read and write.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from reprlib import Repr
from typing import Any, Literal

from chalicelib.decide.facts import CantTell, Claim, Details, Execution, Refused, Stopping, Target, stamp
from chalicelib.names import MOST_SLOTS, TOLD, Told, run_number

VERSION = 1
"""Of what a guard execution carries. Raise it when a key changes its meaning."""

BY_HAND = timedelta(minutes=5)
"""How long a start without a deadline asks, and how long any start asks about what a deployment may not have made
visible yet; guard.asl.json has the same."""

LONGEST_OVERRIDES = 8_192
"""Characters of RunTask's overrides (AWS, RunTask)."""

LAST_RUN = 10**15
"""A run number that a person may name: far more than there will ever be, and exact in JSON."""

_LONGEST_REASON = 4_000
"""Characters of an answer's reason. A state's whole data may have 262,144 bytes (AWS, Step Functions quotas), and
more than that ends the execution in a way that nothing can catch."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z")
_DEADLINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_TASK_ARN = re.compile(r"arn:[a-z-]+:ecs:[a-z0-9-]*:[0-9]*:task/[A-Za-z0-9_/-]+")


class InvalidInput(Refused):
    """The event is malformed."""


class NewerVersion(CantTell):
    """The asking guard execution is of a later release than this checker. Asking again helps once that is deployed."""


# --- what is asked ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a scheduled time that is passed over; its guard execution only says so, and asks nobody."""

    error: str
    """Without ``BatchGuard.``"""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Under ``tell``, in a guard execution's or a run's input: whom to tell how it ends, if it ends so."""

    machine: str
    """The ARN of the machine whose executions tell."""
    kinds: tuple[Told, ...]
    """Of which of its ends people are told."""
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
class ToldInput:
    """The input of an execution that tells."""

    kind: Told
    job: str
    of_stage: bool = False
    """Said of the whole stage: the checker can't be reached. The job is the first that met it."""
    at: str
    zone: str
    offset_minutes: int
    command: str
    more: str = ""
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


OPEN_TO_ALL = (
    "job",
    "scheduled_at",
    "commands",
    "deadline",
    "renewal",
    "first",
    "first_after",
    "anyway",
    "by",
    "reason",
)
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


# --- reading ----------------------------------------------------------------------------------------------

_repr = Repr()
_repr.maxlevel = 2
_repr.maxstring = _repr.maxother = 100


_OF_A_START = frozenset((*(field.name for field in fields(StartInput)), "guard"))
_OF_A_GUARD = frozenset(field.name for field in fields(Carried))


def shown(value: Any) -> str:
    """Any value, short enough for a sentence."""
    return _repr.repr(value)[:200]


def parse_question(event: Any) -> Question:
    """What is asked. Raises `InvalidInput` with every fault, and `NewerVersion`."""
    if not isinstance(event, Mapping):
        raise InvalidInput(f'the input must be an object like {{"job": "nightly-report"}}, not {shown(event)}')
    if "task_of" in event:
        return _task_question(event)
    if "StateMachineId" in event:
        return _article_question(event)
    if not isinstance(event.get("job"), str):
        raise InvalidInput(f'the input must name a job, like {{"job": "nightly-report"}}; it is {shown(dict(event))}')
    faults: list[str] = []
    faults += [f"unknown key {shown(key)}" for key in sorted(event.keys() - _OF_A_START, key=str)[:10]]
    start = _start_input(event, faults)
    guard = _carried(event["guard"], faults) if "guard" in event else None
    if faults:
        raise InvalidInput(f"{'; '.join(faults)}. The input may have: {', '.join(OPEN_TO_ALL)}")
    return StartQuestion(start, guard)


def _start_input(event: Mapping[str, Any], faults: list[str]) -> StartInput:
    commands = event.get("commands")
    if commands is not None and not (
        isinstance(commands, list) and commands and all(isinstance(c, str) for c in commands)
    ):
        faults.append(f'commands must be a list of strings like ["bin/report", "--day", "1"], not {shown(commands)}')
        commands = None
    for key in ("renewal", "first", "anyway", "paused", "shadow"):
        if not isinstance(event.get(key, False), bool):
            faults.append(f"{key} must be true or false, not {shown(event[key])}")
    after = event.get("first_after")
    if after is not None and not (type(after) is int and 0 < after <= LAST_RUN and event.get("first") is True):
        faults.append(f'first_after must be a run number, with "first": true, not {shown(after)}')
        after = None
    if "verdict" in event:
        faults.append(
            f"verdict must be an error and a reason, which the guard machine tells, not {shown(event['verdict'])}"
        )
    for key in ("by", "reason", "guard_execution"):
        if not isinstance(event.get(key), str | None):
            faults.append(f"{key} must be a string, not {shown(event[key])}")
    slot = _whole(event.get("slot"))
    if event.get("slot") is not None and not (1 <= (slot or 0) <= MOST_SLOTS and event.get("renewal") is True):
        faults.append(f"slot must be from 1 to {MOST_SLOTS}, and of a renewal, not {shown(event['slot'])}")
        slot = None
    return StartInput(
        job=event["job"],
        slot=slot,
        scheduled_at=_time(event, "scheduled_at", _TIME, faults),
        nominal_at=_time(event, "nominal_at", _TIME, faults),
        commands=tuple(commands) if commands else None,
        deadline=_time(event, "deadline", _DEADLINE, faults),
        renewal=event.get("renewal", False) is True,
        first=event.get("first", False) is True,
        first_after=after,
        anyway=event.get("anyway", False) is True,
        paused=event.get("paused", False) is True,
        shadow=event.get("shadow", False) is True,
        until=_time(event, "until", _DEADLINE, faults),
        by=event.get("by"),
        reason=event.get("reason"),
        queued_since=_time(event, "queued_since", _TIME, faults),
        guard_execution=event.get("guard_execution"),
        tell=_telling(event["tell"], faults) if event.get("tell") is not None else None,
    )


def _telling(value: Any, faults: list[str]) -> Telling | None:
    """What the trigger wrote; what it can't have written is a fault."""
    try:
        return Telling(
            machine=_machine_arn(value["machine"]),
            kinds=tuple(next(kind for kind in TOLD if kind == each) for each in _typed(value["kinds"], list)),
            **{key: _typed(value[key], str) for key in ("at", "zone", "command")},
            offset_minutes=_number(value["offset_minutes"]),
            more=_typed(value.get("more", ""), str),
        )
    except (TypeError, KeyError, ValueError, AttributeError, StopIteration):
        faults.append(f"tell is the trigger's own, and can't be {shown(value)}")
        return None


def _carried(value: Any, faults: list[str]) -> Carried | None:
    """What the guard machine made; None, and a fault, for what it can't have made."""
    if isinstance(value, Mapping) and not value.get("forged") and _whole(value.get("version")) is not None:
        unknown = sorted(value.keys() - _OF_A_GUARD, key=str)
        if value["version"] > VERSION or unknown:
            what = f"version {shown(value['version'])}" if value["version"] > VERSION else f"{shown(unknown)} in it"
            raise NewerVersion(f"the guard has {what}, which this checker (version {VERSION}) does not know: deploy it")
    wrong: list[str] = []
    try:
        carried = _read_carried(value, wrong)
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        carried = None
    if carried is None or wrong:
        faults.append(f"guard is the guard machine's own, and can't be {shown(value)}")
        return None
    return carried


def _read_carried(value: Any, wrong: list[str]) -> Carried | None:
    version = _whole(value["version"]) if isinstance(value, Mapping) and not value.get("forged") else None
    if version is None:
        return None
    losses, slots = _whole(value.get("losses", 0)), _whole(value.get("slots"))
    if losses is None or (slots is None and value.get("slots") is not None):
        return None
    claim, stopping = value.get("claim"), value.get("stopping")
    return Carried(
        version=version,
        execution=_typed(value["execution"], str),
        started=_time(value, "started", _TIME, wrong) or _moment(value["started"]),
        waited=_typed(value.get("waited", False), bool),
        losses=losses,
        claim=_claim(claim) if claim is not None else None,
        place_taken=_typed(value["place_taken"], str) if value.get("place_taken") is not None else None,
        stopping=Stopping(_typed(stopping["task"], str), _typed(stopping["cluster"], str)) if stopping else None,
        yields_since=_time(value, "yields_since", _TIME, wrong),
        pool=_typed(value["pool"], str) if value.get("pool") is not None else None,
        slots=slots,
        stopped_at=_time(value, "stopped_at", _TIME, wrong),
    )


def _task_question(event: Mapping[str, Any]) -> TaskQuestion:
    execution, since = event["task_of"], event.get("since")
    if not (isinstance(execution, str) and ":execution:" in execution):
        raise InvalidInput(f"task_of must be the ARN of a run, not {shown(execution)}")
    target = read_target(event.get("target"))
    if target is None:
        raise InvalidInput(f"target must have cluster, family and container, not be {shown(event.get('target'))}")
    moment = None
    if since is not None:
        try:
            moment = datetime.fromtimestamp(_typed(since, int, float) / 1000, UTC)
        except (TypeError, ValueError, OverflowError, OSError):
            raise InvalidInput(f"since must be milliseconds since 1970, not {shown(since)}") from None
    error, cause = (text if isinstance(text, str) else "" for text in (event.get("error"), event.get("cause")))
    return TaskQuestion(task_of=execution, target=target, since=moment, error=error, cause=cause)


def _article_question(event: Mapping[str, Any]) -> ArticleQuestion:
    machine, name = event["StateMachineId"], event.get("ExecutionName")
    if not (isinstance(machine, str) and ":stateMachine:" in machine and isinstance(name, str) and name):
        raise InvalidInput(
            "StateMachineId must be a state machine's ARN and ExecutionName an execution's name, "
            f"not {shown(machine)} and {shown(name)}"
        )
    return ArticleQuestion(machine, name)


def read_target(value: Any) -> Target | None:
    """A target as a run's input has it; None for anything else."""
    if not isinstance(value, Mapping):
        return None
    parts = [part for field in fields(Target) if isinstance(part := value.get(field.name), str) and part]
    return Target(*parts) if len(parts) == len(fields(Target)) else None


def details_of(
    execution: Execution,
    given: str | None,
    *,
    error: str | None = None,
    output: str | None = None,
    cause: str | None = None,
) -> Details:
    """What a described execution says: its input (of a run, a pause or a waiter), and how it ended."""
    said = parse_object(given)
    guard_execution, reason, retries = said.get("guard_execution"), said.get("reason"), said.get("retries")
    return Details(
        execution=execution,
        error=error,
        guard_execution=guard_execution if isinstance(guard_execution, str) else None,
        reason=reason if isinstance(reason, str) else None,
        target=read_target(said.get("target")),
        renewal=said.get("renewal") is True,
        job=said["job"] if isinstance(said.get("job"), str) else None,
        retries=_whole(retries) or 0,
        tasks=frozenset(_TASK_ARN.findall(f"{output or ''} {cause or ''}")) if execution.closed else frozenset(),
        scheduled_at=_time(said, "scheduled_at", _TIME, []),
        cause=cause,
    )


def task_in_cause(cause: str, container: str) -> TaskState | None:
    """The task that Step Functions puts into the cause of a failed ``ecs:runTask.sync``; None if it is not whole.

    The cause of a `States.TaskFailed` is the task as JSON, keys in PascalCase (recorded on AWS by others), and a long
    one may be cut.
    """
    task = parse_object(cause)
    arn, status = task.get("TaskArn"), task.get("LastStatus")
    if not (isinstance(arn, str) and isinstance(status, str)):
        return None
    containers = task.get("Containers")
    codes = [
        each.get("ExitCode")
        for each in (containers if isinstance(containers, list) else [])
        if isinstance(each, Mapping) and each.get("Name") == container
    ]
    code = _whole(codes[0]) if codes else None
    return TaskState(arn, status, code, str(task.get("StopCode") or ""), str(task.get("StoppedReason") or ""))


def parse_object(text: str | None) -> Mapping[str, Any]:
    """The JSON object in `text`; an empty one if there is none."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


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


# --- parts ------------------------------------------------------------------------------------------------


def _whole(value: Any) -> int | None:
    """A whole number of JSON; None for anything else.

    JSONata knows one kind of number, so what went through a state machine may come back as 2.0.
    """
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def _number(value: Any) -> int:
    number = _whole(value)
    if number is None:
        raise TypeError(value)
    return number


def _typed(value: Any, *kinds: type) -> Any:
    if type(value) not in kinds:
        raise TypeError(value)
    return value


def _claim(value: Any) -> Claim:
    return Claim(_run(value["run"]), _typed(value["taken"], bool), _machine_arn(value["machine"]))


def _machine_arn(value: Any) -> str:
    arn = str(_typed(value, str))
    if ":stateMachine:" not in arn:
        raise ValueError(arn)
    return arn


def _run(name: Any) -> str:
    if run_number(_typed(name, str)) is None:
        raise ValueError(name)
    return str(name)


def _time(event: Mapping[str, Any], key: str, form: re.Pattern[str], faults: list[str]) -> datetime | None:
    value = event.get(key)
    if value is None:
        return None
    try:
        if form.fullmatch(value):
            return _moment(value)
    except (ValueError, TypeError, OverflowError):
        pass
    faults.append(f"{key} must be a UTC time like 2026-11-23T18:00:00Z, not {shown(value)}")
    return None


def _moment(text: str) -> datetime:
    """Of a year with four digits that a duration can be added to; else ValueError."""
    moment = datetime.fromisoformat(text)
    if not 1970 <= moment.year < 9999:
        raise ValueError(text)
    return moment.astimezone(UTC)
