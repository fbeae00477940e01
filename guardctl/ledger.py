"""What became of each scheduled time. Pure: facts in, entries out; no AWS, no clock.

Three things are compared: the times that the schedule asked for, the guard execution that each of
them has (by its name), and the job's runs. What a guard execution says leads to its run, in whichever slot of
whichever pool that is; runs that no scheduled time asked for were started by hand. ``why``, ``history`` and
``timeline`` are views of the same entries.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from chalicelib.config.jobs import Job
from chalicelib.decide import deadlines, schedule
from chalicelib.decide.facts import stamp
from chalicelib.names import (
    execution_arn,
    execution_name,
    machine_of,
    parse_guard_name,
    run_number,
    scheduled_name,
    slot_of,
)
from chalicelib.values import dataclass

TICKS = timedelta(minutes=3)
"""A scheduled time so long ago that a tick should have sent it."""

_IN_TIME = timedelta(seconds=90)
"""EventBridge ticks anywhere within the minute, and the checker takes some seconds, or the job's grace."""

KEPT = timedelta(days=90)
"""Step Functions keeps an execution for so long after it closed (AWS, Step Functions quotas), or less long: `Facts`."""

Outcome = Literal[
    "ran",
    "running",
    "failed",
    "timed out",
    "replaced",
    "stopped",
    "skipped",
    "paused",
    "holiday",
    "gave up",
    "waiting",
    "deciding",
    "not started",
    "due",
    "missed",
    "disabled",
    "no schedule",
    "forgotten",
    "not looked up",
    "would have started",
    "would have waited",
    "would have replaced",
    "would have stepped back",
    "would have been refused",
]

NOT_LOOKED_UP = "NOT_LOOKED_UP"
"""The status of a `Record` that nobody has read: how it ended is not said."""

GOOD: frozenset[Outcome] = frozenset(
    {"ran", "running", "waiting", "deciding", "due", "would have started", "would have waited", "would have replaced"}
)
"""Nothing to look into: it ran, or it still may; or it would have, of a job in shadow."""

_IN_SHADOW: Mapping[object, Outcome] = {
    outcome.removeprefix("would have "): outcome for outcome in get_args(Outcome) if outcome.startswith("would have ")
}
"""What a guard execution of a job in shadow says (`chalicelib.decide.decisions.Would`)."""

NEEDS_A_PERSON: frozenset[Outcome] = frozenset(
    {"failed", "timed out", "stopped", "gave up", "not started", "missed", "skipped"}
)
"""The job did not do its work at that time, and nobody had asked for that."""

_UNDONE: frozenset[Outcome] = NEEDS_A_PERSON | {"running", "waiting", "deciding", "due", "paused", "replaced"}
"""Whose moment has passed in vain (`expect_success_by`, `warn_after`)."""

_SAID: Mapping[str, Outcome] = {
    "BatchGuard.AlreadyRunning": "skipped",
    "BatchGuard.AlreadyQueued": "skipped",
    "BatchGuard.Paused": "paused",
    "BatchGuard.Holiday": "holiday",
    "BatchGuard.HeldBack": "gave up",
    "BatchGuard.WaitedTooLong": "gave up",
}
"""A guard execution's error → what became of its scheduled time; every other error is a start that did not happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One execution as DescribeExecution tells it: a guard execution or a run. Times are UTC."""

    arn: str
    status: str
    started_at: datetime
    stopped_at: datetime | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    cause: str | None = None

    @property
    def name(self) -> str:
        return execution_name(self.arn)

    @property
    def started_run(self) -> str | None:
        """Of a guard execution: the ARN of the run that it started."""
        return self._started("started", "run")

    @property
    def waiter(self) -> str | None:
        """Of a guard execution: the ARN of the execution that waits for it; an older release did not say where."""
        return self._started("queued", "waiter")

    def _started(self, outcome: str, key: str) -> str | None:
        name, machine = self.output.get(key), self.output.get("state_machine_arn", machine_of(self.arn))
        if self.output.get("outcome") != outcome or not isinstance(name, str) or not isinstance(machine, str):
            return None
        return execution_arn(machine, name)

    @property
    def guard_execution(self) -> str | None:
        """Of a run: the name of the guard execution that started it."""
        asked_by = self.input.get("guard_execution")
        return execution_name(asked_by) if isinstance(asked_by, str) else None

    @property
    def scheduled_at(self) -> datetime | None:
        """The time its input says it is for."""
        text = self.input.get("scheduled_at")
        try:
            moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        except ValueError:
            return None
        return moment if moment is None or moment.tzinfo else None

    @property
    def renewal(self) -> bool:
        """A run without a task, once a month, which keeps the run numbers valid."""
        return self.input.get("renewal") is True


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was read about one job. Times are UTC."""

    now: datetime
    since: datetime
    """When it got the schedule it has; what it should have done before that is not known."""
    guards: Mapping[str, Record] = field(default_factory=dict)
    """Guard executions by name; a name that is not here was looked up, and Step Functions does not show it."""
    runs: tuple[Record, ...] = ()
    kept: timedelta = KEPT
    """How long the account keeps an execution, by `[stage] history_days`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the ledger. Times are UTC."""

    job: str
    scheduled: datetime
    outcome: Outcome
    reason: str = ""
    """Why it did not run, or how its run failed: the guard's and the run's own words."""
    run: str | None = None
    arn: str | None = None
    """The run's."""
    started: datetime | None = None
    ended: datetime | None = None
    by_hand: bool = False
    guard_execution: str | None = None
    """The name of the guard execution that has the last word."""
    by: str | None = None
    """Who asked for it by hand, and why: what they gave to `guardctl run`, or to the console."""
    late_since: datetime | None = None
    """By when the job had promised a success of this time, if it has none; `reason` says so, too."""

    @property
    def needs_a_person(self) -> bool:
        """It did not do its work, or not by when it should have."""
        return self.outcome in NEEDS_A_PERSON or self.late_since is not None

    @property
    def slot(self) -> int:
        return slot_of(machine_of(self.arn or ""))

    @property
    def run_told(self) -> str:
        """``run-000041``; with its slot, if that is not the first: each slot counts its own runs."""
        return run_told(self.arn) if self.arn else self.run or ""

    @property
    def late(self) -> timedelta | None:
        """How late its run started; None for what started in time, or not at all."""
        if self.started is None or self.by_hand or self.started - self.scheduled <= _IN_TIME:
            return None
        return self.started - self.scheduled

    @property
    def duration(self) -> timedelta | None:
        return self.ended - self.started if self.started and self.ended else None


def ledger(job: Job, times: Iterable[datetime], facts: Facts) -> list[Entry]:
    """An entry for each scheduled time and each of its known repetitions, and for each run without one."""
    runs = {run.arn: run for run in facts.runs if run_number(run.name)}
    times = sorted(set(times))
    entries = [_scheduled(job, time, facts, runs) for time in times]
    for name in facts.guards:
        said = parse_guard_name(name)
        if said and (said.job, said.kind) == (job.name, "repetition") and (repeated := said.scheduled_at) in times:
            entries.append(replace(_told(job, repeated, name, facts, runs), by_hand=True))
    claimed = {entry.arn for entry in entries}
    entries += [of_run(job, run) for run in runs.values() if run.arn not in claimed and not run.renewal]
    entries = [_with_words_of(entry, facts.guards.get(entry.guard_execution or "")) for entry in entries]
    done = {entry.scheduled for entry in entries if entry.outcome == "ran"}
    asked = {*times}
    entries = [
        _by_its_moment(job, entry, facts.now)
        if entry.scheduled not in done and (entry.scheduled in asked or not entry.by_hand)
        else entry
        for entry in entries
    ]
    return sorted(entries, key=lambda entry: (entry.scheduled, entry.by_hand, entry.started or entry.scheduled))


def _by_its_moment(job: Job, entry: Entry, now: datetime) -> Entry:
    """The entry; one whose time should have succeeded by now says so."""
    moment = deadlines.promised(job, entry.scheduled)
    fine = entry.outcome == "skipped" and job.on_skip == "succeed"
    if moment is None or moment > now or fine or entry.outcome not in _UNDONE:
        return entry
    reason = "; ".join(filter(None, (entry.reason, f"it should have succeeded by {stamp(moment)}")))
    return replace(entry, late_since=moment, reason=reason)


def asked_by(guard: Record | None) -> str | None:
    """``ada: the file came late``, of a start by hand; what the trigger noted of any other; None for nothing."""
    said = [guard.input.get(key) for key in ("by", "reason")] if guard else []
    return ": ".join(str(each) for each in said if each) or None


def _with_words_of(entry: Entry, guard: Record | None) -> Entry:
    """With who asked for it by hand; or with the trigger's note, if nothing else is to be said of it."""
    said = asked_by(guard)
    return replace(entry, by=said) if entry.by_hand else replace(entry, reason=entry.reason or said or "")


def asked_by_hand(guard_execution: str) -> bool:
    """Whether a start of this name was asked for by hand: by whom, and why, its description says."""
    said = parse_guard_name(guard_execution)
    return said is not None and said.kind in {"by hand", "repetition"}


def of_run(job: Job, run: Record) -> Entry:
    """The entry of one run, whoever started it."""
    time = run.scheduled_at or run.started_at
    return _of_run(job, time, run, guard=run.guard_execution, by_hand=_by_hand(job, run))


def not_started(job: Job, guard: Record) -> Entry | None:
    """The entry of a guard execution that has ended; None if it started a run, left a waiter, or was in shadow."""
    if guard.status == "RUNNING" or guard.output.get("outcome") in {"started", "queued", "shadow"}:
        return None
    return _ended(job, guard.scheduled_at or guard.started_at, guard)


def in_shadow(job: Job, time: datetime, guard: Record) -> Entry | None:
    """What would have become of this scheduled time; None if its guard execution does not say so."""
    return _ended(job, time, guard) if guard.output.get("outcome") == "shadow" else None


def _ended(job: Job, time: datetime, guard: Record) -> Entry:
    outcome, reason = _verdict(guard)
    return Entry(job=job.name, scheduled=time, outcome=outcome, reason=reason, guard_execution=guard.name)


def _scheduled(job: Job, time: datetime, facts: Facts, runs: Mapping[str, Record]) -> Entry:
    name = scheduled_name(job.name, time)
    if name in facts.guards:
        return _told(job, time, name, facts, runs)
    own = next((run for run in runs.values() if run.guard_execution == name), None)
    if own:
        return _of_run(job, time, own, guard=name)
    outcome, reason = _absence(job, time, facts)
    return Entry(job=job.name, scheduled=time, outcome=outcome, reason=reason)


def _told(job: Job, time: datetime, name: str, facts: Facts, runs: Mapping[str, Record]) -> Entry:
    """What the guard execution `name` leads to: its own run, the start that waits for it, or its reason."""
    guard = facts.guards[name]
    entry = Entry(job=job.name, scheduled=time, outcome="waiting", guard_execution=name)
    if guard.waiter and (waiter := execution_name(guard.waiter)) != name:
        if waiter in facts.guards:
            return _told(job, time, waiter, facts, runs)
        return replace(entry, reason=f"{waiter} waits for it")
    if run := guard.started_run:
        if run in runs:
            return _of_run(job, time, runs[run], guard=name)
        why = "Step Functions does not show it (yet, or any more)"
        return replace(entry, outcome="running", reason=why, run=execution_name(run), arn=run, started=guard.stopped_at)
    return _ended(job, time, guard)


def _verdict(guard: Record) -> tuple[Outcome, str]:
    """What a guard execution that started nothing says."""
    if guard.status == NOT_LOOKED_UP:
        return "not looked up", f"{guard.name} started no run that the list shows; why was not asked"
    if guard.status == "RUNNING":
        waits = _waits(guard.name)
        return ("waiting" if waits else "deciding"), f"{guard.name} has been open since {stamp(guard.started_at)}"
    if guard.output.get("outcome") == "shadow":
        said = str(guard.output.get("reason", ""))
        return _IN_SHADOW.get(guard.output.get("would_have"), "would have been refused"), said
    if guard.output.get("outcome") == "skip":
        error = guard.output.get("error") or "BatchGuard.AlreadyRunning"
        return _SAID.get(error, "skipped"), str(guard.output.get("reason", ""))
    if guard.error is not None and guard.error in _SAID:
        return _SAID[guard.error], guard.cause or ""
    said = ": ".join(part for part in (guard.error, guard.cause) if part)
    if guard.status == "ABORTED":
        return "not started", f"its guard execution was stopped{f': {said}' if said else ''}"
    return "not started", said or f"its guard execution ended as {guard.status}, without a reason"


def _absence(job: Job, time: datetime, facts: Facts) -> tuple[Outcome, str]:
    """Why a scheduled time has no guard execution."""
    if facts.now - time > facts.kept:
        return "forgotten", f"older than the {facts.kept.days} days that Step Functions keeps"
    if facts.since > time:
        return "no schedule", f"it has had it since {stamp(facts.since)}"
    if not job.enabled:
        return "disabled", "the schedule is off: enabled = false in the jobs file"
    for _, name in schedule.left_out(job.schedules, job.timezone, time - timedelta(seconds=1), time):
        return "holiday", f"no business day: {name}"
    deadline = time + timedelta(seconds=job.start_deadline)
    newest = schedule.latest(job.schedules, job.timezone, facts.now, within=facts.now - time)
    if facts.now <= deadline and (newest == time or facts.now - time < TICKS):
        return "due", f"no tick has started it yet; it may start until {stamp(deadline)}"
    return "missed", "no tick started it: neither it nor a run for it was ever recorded"


def _of_run(job: Job, time: datetime, run: Record, *, guard: str | None, by_hand: bool = False) -> Entry:
    outcome, reason = _how_it_ended(run)
    return Entry(
        job=job.name,
        scheduled=time,
        outcome=outcome,
        reason=reason,
        run=run.name,
        arn=run.arn,
        started=run.started_at,
        ended=run.stopped_at,
        by_hand=by_hand,
        guard_execution=guard,
    )


def _how_it_ended(run: Record) -> tuple[Outcome, str]:
    said = ": ".join(part for part in (run.error, run.cause) if part)
    match run.status:
        case "SUCCEEDED":
            return "ran", ""
        case "FAILED" if run.error == "BatchGuard.TimedOut":
            return "timed out", run.cause or ""
        case "FAILED":
            return "failed", (run.cause if run.error == "BatchGuard.TaskFailed" else said) or "no reason was given"
        case "TIMED_OUT":
            return "timed out", "Step Functions ended the run; its task may live on"
        case "ABORTED" if run.error == "BatchGuard.Replaced" or (run.cause or "").startswith("replaced by"):
            return "replaced", run.cause or ""
        case "ABORTED":
            return "stopped", run.cause or run.error or "by hand; no reason was given"
    return "running", ""


def _by_hand(job: Job, run: Record) -> bool:
    """Whether a run that no known scheduled time asked for was started by a person, and not by an older schedule."""
    if _waits(run.guard_execution or ""):  # it waited, and its own name does not say for whom
        return run.scheduled_at is None or run.scheduled_at.second + run.scheduled_at.microsecond > 0
    said = parse_guard_name(run.guard_execution or "")
    return said is None or (said.job, said.kind) != (job.name, "scheduled")


def run_told(arn: str) -> str:
    """A run by its ARN: ``run-000041``, or ``run-000041 (slot 2)``."""
    slot = slot_of(machine_of(arn))
    return f"{execution_name(arn)} (slot {slot})" if slot > 1 else execution_name(arn)


def _waits(guard_execution: str) -> bool:
    """Whether a guard execution of this name waits for its turn."""
    said = parse_guard_name(guard_execution)
    return said is not None and said.kind == "waiter"
