"""Making up for a job's scheduled times: oldest first, one at a time, through its guard.

Nothing is kept anywhere. What became of each time is looked up by the names of its guard executions, so a backfill that
was interrupted, wherever that was, goes on when it is asked for again. A name is spent on a start only when the checker
has just said that the job is free; what is in the way is waited for, and never replaced.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Literal

from chalicelib.check import Checker
from chalicelib.config.jobs import Job
from chalicelib.decide.facts import CLOCKS, stamp
from chalicelib.names import execution_name
from chalicelib.read.executions import StepFunctions
from chalicelib.values import dataclass
from guardctl import starts
from guardctl.errors import NOT_RUN, Stop
from guardctl.interrupts import finishing
from guardctl.ledger import Entry, Outcome
from guardctl.records import Reader
from guardctl.stage import Stage

LOOK_SECONDS = 15.0
"""From one look at what is in the way to the next."""

_SIDE_BY_SIDE = 8
_OPEN: frozenset[Outcome] = frozenset({"running", "waiting", "deciding"})
_BAD: frozenset[Outcome] = frozenset({"failed", "timed out", "stopped", "replaced"})
_STEPPED_BACK = frozenset(f"BatchGuard.{error}" for error in ("AlreadyRunning", "AlreadyQueued", "WaitedTooLong"))

Standing = Literal["done", "under way", "left to its schedule", "to do"]


@dataclass(frozen=True, slots=True)
class Item:
    """A scheduled time (UTC) and how it stands, with the entry of the ledger that says so."""

    at: datetime
    standing: Standing
    entry: Entry


@dataclass(frozen=True, slots=True)
class Made:
    """What a backfill made of a scheduled time."""

    at: datetime
    outcome: Literal["succeeded", "failed", "left out"]
    reason: str
    run: str | None = None
    """Of the run that it started: the ARN."""


def standing(at: datetime, entries: Iterable[Entry], *, again: bool = False, begun: datetime | None = None) -> Item:
    """How a time stands by its entries, the scheduled start first and then those by hand.

    `again`: what succeeded is done once more, unless by hand since the backfill has `begun`.
    """
    every = [*entries]
    for entry in every:
        if entry.outcome in _OPEN:
            return Item(at, "under way", entry)
    for entry in reversed(every):
        since = entry.by_hand and begun is not None and entry.started is not None and entry.started >= begun - CLOCKS
        if entry.outcome == "ran" and (not again or since):
            return Item(at, "done", entry)
    for entry in every:
        # The schedule may still start it; in shadow the old rule did its work.
        if entry.outcome == "due" or (entry.outcome.startswith("would have") and not again):
            return Item(at, "left to its schedule", entry)
    return Item(at, "to do", max(every, key=lambda entry: entry.ended or entry.started or entry.scheduled))


@dataclass
class Backfill:
    """One backfill of one job. `tell` is given lines for people, `show` what is the case just now."""

    stage: Stage
    job: Job
    again: bool = False
    begun: datetime | None = None
    max_failures: int = 1
    anyway: bool = False
    """Also while the job is paused."""
    tell: Callable[[str], None] = lambda _line: None
    show: Callable[[str], None] = lambda _line: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    made: list[Made] = field(default_factory=list, init=False)
    left: list[datetime] = field(default_factory=list, init=False)
    """Times that have not come to an end, the present one first."""
    _start: str | None = field(default=None, init=False)
    """The ARN of a guard execution that has not decided."""
    _begun: starts.Verdict | None = field(default=None, init=False)
    """What it decided, until the run has ended."""
    _awaited: Entry | None = field(default=None, init=False)
    """What somebody else, or an earlier call, has under way for the present time."""
    _reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = Reader(self.stage)

    @property
    def failures(self) -> int:
        """How many times have failed."""
        return sum(each.outcome == "failed" for each in self.made)

    def look(self, times: Sequence[datetime]) -> list[Item]:
        """How the times stand. Raises what `chalicelib.read.aws.reading` raises."""
        self._reader.deployed(self.job)  # once, before there are threads
        found: list[Item] = []
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
            for first in range(0, len(times), _SIDE_BY_SIDE):
                found += threads.map(self._item, times[first : first + _SIDE_BY_SIDE])
                self.show(f"looking up {len(found)} of {len(times)} times…")
        return found

    def run(self, items: Iterable[Item]) -> None:
        """Go through the times that are to do or under way, until there are `max_failures`.

        Raises `Stop` when the job is paused, or its start is refused: nothing more would start.
        """
        todo = [item.at for item in items if item.standing in {"to do", "under way"}]
        self.left = [*todo]
        for number, at in enumerate(todo, 1):
            made = self._make(at, f"{number} of {len(todo)}")
            self.made.append(made)
            self.left.remove(at)
            self.tell(f"{number} of {len(todo)}: {stamp(at)} {made.outcome}: {made.reason}")
            if self.failures >= self.max_failures:
                return

    def interrupted(self) -> str:
        """What an interruption leaves behind, once the start that was under way is decided.

        That start is not stopped: what it begins is found by its name, and only by that.
        """
        if self._start is not None:
            self._begun = starts.verdict(self.stage, self._start, self.sleep)
        if self._begun is not None and self._begun.waiter:
            self._begun = starts.now(self.stage, self._begun)
        if self._begun is not None:
            return starts.left(self.stage, self.job.name, self._begun)
        if self._awaited is not None:
            return f"{self._awaited.run_told or self._awaited.guard_execution} goes on"
        return "nothing of it is under way"

    def _item(self, at: datetime) -> Item:
        entries = self._reader.entry(self.job, at, self.now())
        return standing(at, entries, again=self.again, begun=self.begun)

    def _make(self, at: datetime, place: str) -> Made:
        waited: datetime | None = None
        """Since when something of this very time has been under way."""
        told: set[object] = set()
        while True:
            item = self._item(at)
            entry = item.entry
            if item.standing == "under way":
                waited, self._awaited = waited or self.now(), entry
                self.show(f"{place}: {stamp(at)}: waiting for {entry.run_told or entry.guard_execution}…")
                self.sleep(LOOK_SECONDS)
                continue
            self._awaited = None
            if item.standing == "done":
                return Made(at, "succeeded" if waited else "left out", f"{entry.run_told} succeeded", entry.arn)
            if item.standing == "left to its schedule":
                return Made(at, "left out", f"{entry.outcome}: {entry.reason}")
            if waited and entry.outcome in _BAD and entry.ended and entry.ended >= waited - CLOCKS:
                return Made(at, "failed", f"{entry.run_told} {entry.outcome}: {entry.reason}", entry.arn)
            if why := self._in_the_way():
                holder, reason = why
                if holder not in told:
                    self.tell(f"{place}: {stamp(at)} waits: {reason}")
                told.add(holder)
                self.show(f"{place}: {stamp(at)} waits: {reason}")
                self.sleep(LOOK_SECONDS)
                continue
            if made := self._started(at, place):
                return made

    def _in_the_way(self) -> tuple[object, str] | None:
        """Who holds the job now, and why a start would not run at once; None if it would."""
        event = {"job": self.job.name, **({"anyway": True} if self.anyway else {})}
        answer = Checker(
            lambda: self.stage.file,
            self.stage.function("check"),
            StepFunctions(self.stage.stepfunctions),
            lambda: self.stage.tasks,
            self.now,
        ).answer(event)
        reason: str = answer["reason"]
        if answer["outcome"] in {"start", "stop_task"}:
            return None
        if answer["outcome"] == "refuse" or answer.get("error") == "Paused":
            raise Stop(f"{self.job.name}: {reason}", NOT_RUN)
        holder: Any = answer.get("holder") or {}
        return holder.get("name"), reason

    def _started(self, at: datetime, place: str) -> Made | None:
        """What became of a start; None if it stepped back after all, and is to be tried again."""
        name = self.job.name
        self.show(f"{place}: {stamp(at)}: waiting for the decision…")
        _ = self.stage.guard, self.stage.who  # asked before Ctrl-C is held back
        with finishing():
            self._start = starts.start(self.stage, name, scheduled_at=at, anyway=self.anyway, reason="backfill")
        found = starts.verdict(self.stage, self._start, self.sleep)
        while found.waiter:
            self._start, self._begun = None, found
            self.show(f"{place}: {stamp(at)}: {found.reason}")
            found = starts.verdict(self.stage, found.waiter, self.sleep)
        self._start, self._begun = None, found if found.run else None
        if found.run:
            self.show(f"{place}: {stamp(at)}: {execution_name(found.run)} is running…")
            ok, reason = starts.outcome(self.stage, found.run, self.sleep)
            self._begun = None
            return Made(at, "succeeded" if ok else "failed", reason, found.run)
        error = found.error or ""
        if (error if error.startswith("BatchGuard.") else f"BatchGuard.{error}") in _STEPPED_BACK:
            self.sleep(LOOK_SECONDS)
            return None
        if error.rpartition(".")[2] == "Paused":
            raise Stop(f"{name}: {found.reason}", NOT_RUN)
        return Made(at, "failed", f"not started: {found.reason}")
