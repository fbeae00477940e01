"""What crosses a border, read: JSON in, the forms of `contract` out, or every fault of it at once.

A guard execution's own memory and what the trigger wrote are believed whole or not at all; a person is told each key.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from functools import cache, partial
from reprlib import Repr
from typing import Any, TypeVar

from chalicelib.contract import (
    OPEN_TO_ALL,
    VERSION,
    ArticleQuestion,
    Carried,
    Question,
    StartInput,
    StartQuestion,
    TaskQuestion,
    TaskState,
    Telling,
)
from chalicelib.decide.cron_fields import YEARS
from chalicelib.decide.facts import CantTell, Claim, Details, Execution, Refused, Stopping, Target
from chalicelib.names import MOST_SLOTS, TOLD, Told, run_number

LAST_RUN = 10**15
"""A run number that a person may name: far more than there will ever be, and exact in JSON."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z")
_DEADLINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_TASK_ARN = re.compile(r"arn:[a-z-]+:ecs:[a-z0-9-]*:[0-9]*:task/[A-Za-z0-9_/-]+")

_repr = Repr()
_repr.maxlevel = 2
_repr.maxstring = _repr.maxother = 100

T = TypeVar("T")
Reader = Callable[[Any], Any]
"""Takes a value of JSON, and returns it as the program has it, or raises one of `_WRONG`."""
_WRONG = (TypeError, KeyError, ValueError, AttributeError, OverflowError, OSError)


class InvalidInput(Refused):
    """The event is malformed."""


class NewerVersion(CantTell):
    """The asking guard execution is of a later release than this checker. Asking again helps once that is deployed."""


# --- one value --------------------------------------------------------------------------------------------


def whole(value: Any) -> int:
    """A whole number. JSONata knows one kind of number: what went through a state machine may come back as 2.0."""
    if type(value) is float and value.is_integer():
        return int(value)
    return int(_of(int)(value))


def _of(kind: type) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(value)
        return value

    return read


_text, _flag, _list = _of(str), _of(bool), _of(list)


def _that(holds: Callable[[Any], object], read: Reader = _text) -> Reader:
    """What `read` returns, if that holds of it."""

    def checked(value: Any) -> Any:
        found = read(value)
        if not holds(found):
            raise ValueError(found)
        return found

    return checked


def _instant(form: re.Pattern[str]) -> Reader:
    """In UTC, of a year that a schedule may have, so that one more can be looked for."""

    def read(value: Any) -> datetime:
        if not form.fullmatch(value):
            raise ValueError(value)
        moment = datetime.fromisoformat(value)
        if moment.year not in YEARS:
            raise ValueError(value)
        return moment.astimezone(UTC)

    return read


_time = _instant(_TIME)
_machine = _that(lambda arn: ":stateMachine:" in arn)


def _milliseconds(value: Any) -> datetime:
    return datetime.fromtimestamp((value if type(value) is float else whole(value)) / 1000, UTC)


def _kinds(value: Any) -> tuple[Told, ...]:
    return tuple(TOLD[TOLD.index(each)] for each in _list(value))


def _commands(value: Any) -> tuple[str, ...]:
    return tuple(map(_text, _that(bool, _list)(value)))


# --- a form -----------------------------------------------------------------------------------------------


@cache
def _defaults(kind: type) -> Mapping[str, Any]:
    """Field of a form → its default, or `MISSING`."""
    return {field.name: field.default for field in fields(kind)}


def _made(kind: type[T], readers: Mapping[str, Reader], value: Any) -> T:
    """A form of which every key is as its reader wants it; one with a default may be left out."""
    made = {}
    for key, default in _defaults(kind).items():  # type: ignore[arg-type]  # a class can be hashed
        if key in readers:
            given = value[key] if default is MISSING else value.get(key, default)
            made[key] = given if given is default else readers[key](given)
    return kind(**made)


_target = partial(_made, Target, dict.fromkeys(("cluster", "family", "container"), _that(bool)))
_claim = partial(_made, Claim, {"run": _that(run_number), "taken": _flag, "machine": _machine})
_stopping = partial(_made, Stopping, {"task": _text, "cluster": _text})
_telling = partial(
    _made,
    Telling,
    {**dict.fromkeys(("at", "zone", "command", "more"), _text)}
    | {"machine": _machine, "kinds": _kinds, "offset_minutes": whole},
)
_carried = partial(
    _made,
    Carried,
    {
        **dict.fromkeys(("execution", "place_taken", "place_asked", "pool"), _text),
        **dict.fromkeys(("version", "losses", "slots"), whole),
        **dict.fromkeys(("started", "yields_since", "stopped_at"), _time),
        "waited": _flag,
        "claim": _claim,
        "stopping": _stopping,
    },
)

_A_TIME = "must be a UTC time like 2026-11-23T18:00:00Z, not"
_OF_A_START: Mapping[str, tuple[Reader, str]] = {
    "commands": (_commands, 'must be a list of strings like ["bin/report", "--day", "1"], not'),
    **dict.fromkeys(("renewal", "first", "anyway", "paused", "shadow"), (_flag, "must be true or false, not")),
    "first_after": (_that(lambda n: 0 < n <= LAST_RUN, whole), 'must be a run number, with "first": true, not'),
    **dict.fromkeys(("by", "reason", "guard_execution"), (_text, "must be a string, not")),
    "slot": (_that(lambda n: 1 <= n <= MOST_SLOTS, whole), f"must be from 1 to {MOST_SLOTS}, and of a renewal, not"),
    **dict.fromkeys(("scheduled_at", "nominal_at", "queued_since"), (_time, _A_TIME)),
    **dict.fromkeys(("deadline", "until"), (_instant(_DEADLINE), _A_TIME)),
    "tell": (_telling, "is the trigger's own, and can't be"),
}
"""Key of a start's event, besides its job → what reads it, and what is wrong with another value."""

_OF_A_TASK: Mapping[str, tuple[Reader, str]] = {
    "task_of": (_that(lambda arn: ":execution:" in arn), "must be the ARN of a run, not"),
    "target": (_target, "must have cluster, family and container, not be"),
    "since": (_milliseconds, "must be milliseconds since 1970, not"),
}

_ONLY_WITH = {"first_after": "first", "slot": "renewal"}
_OF_A_GUARD = {field.name for field in fields(Carried)}


# --- events -----------------------------------------------------------------------------------------------


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
    unknown = sorted(event.keys() - _OF_A_START.keys() - {"job", "guard", "verdict"}, key=str)
    faults = [f"unknown key {shown(key)}" for key in unknown[:10]]
    if "verdict" in event:  # even null: the guard machine tells it, and asks nobody
        faults.append(f"verdict must be an error and a reason, not {shown(event['verdict'])}")
    start = _read(StartInput, _OF_A_START, event, faults)
    guard = _guard(event["guard"], faults) if "guard" in event else None
    if faults:
        raise InvalidInput(f"{'; '.join(faults)}. The input may have: {OPEN_TO_ALL}")
    return StartQuestion(StartInput(**start, job=event["job"]), guard)


def _read(
    kind: type, readers: Mapping[str, tuple[Reader, str]], event: Mapping[str, Any], faults: list[str]
) -> dict[str, Any]:
    """The keys of a form that have other values than their default, each read, or noted as a fault."""
    defaults = _defaults(kind)
    read = {}
    for key, (reader, wrong) in readers.items():
        given = event.get(key) if defaults[key] is MISSING else event.get(key, defaults[key])
        if given is defaults[key]:
            continue
        try:
            read[key] = reader(given)
            if key in _ONLY_WITH and event.get(_ONLY_WITH[key]) is not True:
                raise ValueError(given)
        except _WRONG:
            faults.append(f"{key} {wrong} {shown(given)}")
    return read


def _guard(value: Any, faults: list[str]) -> Carried | None:
    """What the guard machine made; None, and a fault, for what it can't have made."""
    try:
        if value.get("forged"):
            raise ValueError(value)
        version, unknown = whole(value["version"]), sorted(value.keys() - _OF_A_GUARD, key=str)
        if version > VERSION or unknown:
            what = f"version {shown(version)}" if version > VERSION else f"{shown(unknown)} in it"
            raise NewerVersion(f"the guard has {what}, which this checker (version {VERSION}) does not know: deploy it")
        return _carried(value)
    except _WRONG:
        faults.append(f"guard is the guard machine's own, and can't be {shown(value)}")
        return None


def _task_question(event: Mapping[str, Any]) -> TaskQuestion:
    faults: list[str] = []
    said: dict[str, Any] = {key: _or_none(_text, event.get(key)) or "" for key in ("error", "cause")}
    read = _read(TaskQuestion, _OF_A_TASK, event, faults)
    if faults:
        raise InvalidInput("; ".join(faults))
    return TaskQuestion(**read, **said)


def _article_question(event: Mapping[str, Any]) -> ArticleQuestion:
    machine, name = event["StateMachineId"], event.get("ExecutionName")
    if not (isinstance(machine, str) and ":stateMachine:" in machine and isinstance(name, str) and name):
        raise InvalidInput(
            "StateMachineId must be a state machine's ARN and ExecutionName an execution's name, "
            f"not {shown(machine)} and {shown(name)}"
        )
    return ArticleQuestion(machine, name)


# --- what AWS shows ---------------------------------------------------------------------------------------


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
    return Details(
        execution=execution,
        error=error,
        guard_execution=_or_none(_text, said.get("guard_execution")),
        reason=_or_none(_text, said.get("reason")),
        target=_or_none(_target, said.get("target")),
        renewal=said.get("renewal") is True,
        job=_or_none(_text, said.get("job")),
        retries=_or_none(whole, said.get("retries")) or 0,
        tasks=frozenset(_TASK_ARN.findall(f"{output or ''} {cause or ''}")) if execution.closed else frozenset(),
        scheduled_at=_or_none(_time, said.get("scheduled_at")),
        cause=cause,
        output=parse_object(output),
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
    containers = _or_none(_list, task.get("Containers")) or ()
    mine = (each for each in containers if isinstance(each, Mapping) and each.get("Name") == container)
    code = _or_none(whole, next(mine, {}).get("ExitCode"))
    return TaskState(arn, status, code, str(task.get("StopCode") or ""), str(task.get("StoppedReason") or ""))


def parse_object(text: str | None) -> Mapping[str, Any]:
    """The JSON object in `text`; an empty one if there is none."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _or_none(read: Callable[[Any], T], value: Any) -> T | None:
    try:
        return read(value)
    except _WRONG:
        return None
