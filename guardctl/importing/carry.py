"""An old schedule as a job, or the reasons why it can't be one. Pure.

Whether the jobs file takes what is written here is asked of its own reader, in `settle`.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.decide.facts import stamp
from chalicelib.values import dataclass
from guardctl.importing import arguments, task
from guardctl.importing.old import Definition, Note, Old, Reason, path_of

Json = dict[str, Any]

RESTS = "shadow"
"""What `enabled` is written as: what was imported says what it would do, and must not start anything twice."""

_MINUTE = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)
_AGE = 86_400
_ATTEMPTS = 185
"""EventBridge's and Scheduler's own retry policy (API reference, RetryPolicy): Scheduler always tells one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    old: Old
    table: Mapping[str, Any]
    """Of the jobs file, `ecs` in it; without a pool."""
    notes: tuple[Note, ...]
    program: tuple[str, ...]
    """The container and the effective command."""

    @property
    def origin(self) -> str:
        return self.old.origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    origin: str
    reasons: tuple[Reason, ...]


def carried(old: Old, definitions: Mapping[str, Definition | None], now: datetime) -> Carried | Left:
    """What becomes of one old schedule."""
    reasons = [*_schedule_reasons(old, now)]
    given = arguments.of(old)
    reasons += given.reasons
    named = given.run_task.get("taskDefinition")
    definition = definitions.get(named) if isinstance(named, str) else None
    if definition is None and not given.reasons:
        wrong = f"its task definition {named} does not exist: each of its starts fails today"
        reasons.append(Reason(wrong, "delete it, or name one that exists, and import again"))
    if definition is None:
        return Left(origin=old.origin, reasons=tuple(reasons))
    found = task.carried(given.run_task, definition, old.place)
    reasons += found.reasons
    if reasons:
        return Left(origin=old.origin, reasons=tuple(reasons))
    table: Json = {"imported_from": old.origin, "schedule": old.expression}
    if old.kind == "schedule" and old.timezone != "UTC" and not old.expression.startswith("rate("):
        table["timezone"] = old.timezone
    rate = old.expression.startswith("rate(")
    start, end = old.told.get("StartDate"), old.told.get("EndDate")
    if start and (rate or start > now):  # a cron has no use for a start in the past
        table["start"] = stamp(_minute(start + _MINUTE - _INSTANT))
    if end:
        table["end"] = stamp(_minute(end))
    table["enabled"] = RESTS if old.on else False
    notes = [*_schedule_notes(old), *given.notes, *found.notes]
    deadline = _deadline(old, notes)
    if deadline:
        table["start_deadline"] = deadline
    table |= given.limits
    return Carried(old=old, table=table | {"ecs": found.table}, notes=tuple(notes), program=found.program)


def _minute(time: datetime) -> datetime:
    """The whole minute that it is in, in UTC: schedules are looked at once a minute."""
    return time.astimezone(UTC).replace(second=0, microsecond=0)


def _schedule_reasons(old: Old, now: datetime) -> list[Reason]:
    if not old.expression:
        wrong = "it is started by events, not by the time"
        what = 'keep it, and give the rule the guard machine as its target, with the input {"job": "NAME"}'
        return [Reason(wrong, f"{what}, once the task is a job without a schedule")]
    if (end := old.told.get("EndDate")) and end <= now:
        return [Reason(f"it ended at {stamp(end)}", "delete it")]
    if (once := _once(old)) and once <= now:
        return [Reason(f"its one time was {stamp(once)}", "delete it")]
    if managed := old.told.get("ManagedBy"):
        return [Reason(f"it is {managed}'s own rule", "keep it: nobody else may change it")]
    return []


def _once(old: Old) -> datetime | None:
    """The one time of an ``at(...)``."""
    if not old.expression.startswith("at("):
        return None
    try:
        return datetime.fromisoformat(old.expression[3:-1]).replace(tzinfo=ZoneInfo(old.timezone)).astimezone(UTC)
    except (ValueError, KeyError, OSError):  # the reader of the jobs file says what is wrong with either
        return None


def _schedule_notes(old: Old) -> Iterator[Note]:
    expression, kind, group = old.expression, old.kind, path_of(old.origin)[1]
    if expression.startswith("rate("):
        yield Note("rate", _rate(old))
    elif kind == "rule" and not expression.startswith("at("):
        yield Note("rule in UTC", "a rule's times are in UTC, and so are the job's")
    elif old.timezone != "UTC":
        yield Note("time zone", f"its times are on the clock of {old.timezone}, as before")
    if old.told.get("EventPattern"):
        yield Note("events", "events start it, too, and end with the rule's handover: a job has the times alone")
    window = old.told.get("FlexibleTimeWindow", {})
    if window.get("Mode") == "FLEXIBLE" and (minutes := window.get("MaximumWindowInMinutes")):
        text = f"it may start up to {minutes} min late there, and starts at its minute here"
        yield Note("flexible window", text)
    if not old.on:
        yield Note("disabled", "it is switched off there, and so is the job: enabled = false")
    if queue := (old.target.get("DeadLetterConfig") or {}).get("Arn"):
        name = str(queue).rpartition(":")[2]
        text = f"what could not be started went to the queue {name}; here its guard execution fails, and [alerts] tells"
        yield Note("dead-letter queue", text)
    if old.target.get("InputTransformer"):
        yield Note("input transformer", "its input transformer is written out; a time in its command is {scheduled_at}")
    if old.machine:
        text = "its state machine ran the task and nothing else; in shadow, its task counts as somebody else's"
        yield Note("state machine", text)
    if old.target.get("InputPath"):
        yield Note("input path", "its input was a part of the event, in which no override of a task can be")
    if old.told.get("ActionAfterCompletion") == "DELETE":
        yield Note("removes itself", "it is deleted there after its last time; the job stays in the file")
    if group != "default" and kind == "schedule":
        yield Note("group", f"it is in the schedule group {group}; jobs have no groups")


def _rate(old: Old) -> str:
    if old.told.get("StartDate"):
        return f"{old.expression} counts from its start date, as before"
    since = "the rule's creation" if old.kind == "rule" else "its creation"
    text = f"{old.expression} counts from 1970-01-01T00:00Z here, and from {since} there: it comes at other minutes"
    created = old.told.get("CreationDate")  # Scheduler says so, EventBridge does not
    return text + (f'; to count from there: start = "{stamp(_minute(created))}"' if created else "")


def _deadline(old: Old, notes: list[Note]) -> str | None:
    """The retry policy, where somebody has chosen one: for how long a start that did not happen is made up for."""
    policy = old.target.get("RetryPolicy") or {}
    age, attempts = policy.get("MaximumEventAgeInSeconds", _AGE), policy.get("MaximumRetryAttempts")
    if age == _AGE and attempts in (None, _ATTEMPTS):
        return None
    tries = f"{attempts} times, " if attempts is not None else ""
    if age == _AGE:
        text = f"a failed start was tried again {tries}within 24 h; here it is tried again until start_deadline"
        notes.append(Note("retry policy", text))
        return None
    text = f"a failed start was tried again {tries}within {age} s; start_deadline is as long"
    notes.append(Note("retry policy", text))
    return f"{age}s"
