"""Judges a history by the truth: what the emulator itself says of its executions and tasks. Pure.

An overlap is two lives of one job at the same time: a life is a run from its start to its close, or a task from
its start to its end. A start is lost when it stepped back although nothing of its job was there to step back for.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Literal

from chalicelib.decide.facts import CLEAN, CLOCKS, TASK_LAG
from chalicelib.values import dataclass

SKIPS = frozenset({"BatchGuard.AlreadyRunning", "BatchGuard.AlreadyQueued", "BatchGuard.WaitedTooLong"})
"""The errors with which a start steps back for something that is in the way."""

FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Life:
    """Something that was certainly alive from `since` to `until`, and certainly gone at `gone`. Times are UTC."""

    since: datetime
    until: datetime
    gone: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """An execution of the job's batch machine."""

    job: str
    name: str
    life: Life
    status: str
    error: str | None = None
    guard_execution: str | None = None

    @property
    def clean(self) -> bool:
        """It closed as one that left no task behind."""
        return self.status == "SUCCEEDED" or (self.status == "FAILED" and (self.error or "").startswith(CLEAN))


@dataclass(frozen=True, slots=True)
class Task:
    """An ECS task of the job; `run` is None if it was started by hand."""

    job: str
    name: str
    life: Life
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """A guard execution, and how it ended. `verdict` is "started", "queued", its error, or RUNNING if it has not."""

    job: str
    arn: str
    began: datetime
    ended: datetime
    verdict: str
    reason: str = ""
    run: str | None = None
    """Of a started one."""
    waiter: str | None = None
    """Of a queued one."""

    @property
    def name(self) -> str:
        """What the state machine calls it."""
        return self.arn.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class History:
    """All that happened."""

    runs: tuple[Run, ...] = ()
    tasks: tuple[Task, ...] = ()
    starts: tuple[Start, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken promise, and the time it happened in."""

    kind: Literal["overlap", "lost", "unfinished"]
    job: str
    what: str
    since: datetime
    until: datetime


def judge(history: History, stale: Mapping[str, timedelta]) -> list[Finding]:
    """Every broken promise.

    `stale`: by how much longer than its job's grace a start may have been shown the past; none if not named. Only
    within the grace does the guard promise that a run which has ended does not cost the next start.
    """
    return [
        *_overlaps(history),
        *_names_given_twice(history),
        *_joined_by_hand(history, stale),
        *_lost(history, stale),
        *_unfinished(history),
    ]


def _overlaps(history: History) -> Iterator[Finding]:
    for job in sorted({run.job for run in history.runs}):
        lives = [(run.name, run.name, run.life) for run in history.runs if run.job == job]
        lives += [(t.run, f"the task {t.name} of {t.run}", t.life) for t in history.tasks if t.job == job and t.run]
        for (run, one, a), (other_run, other, b) in combinations(lives, 2):
            since, until = max(a.since, b.since), min(a.until, b.until)
            if run != other_run and since < until:
                seconds = (until - since).total_seconds()
                yield Finding(
                    "overlap", job, f"{one} and {other} were alive together for {seconds:.3f} s", since, until
                )


def _names_given_twice(history: History) -> Iterator[Finding]:
    """The emulator takes a name in two steps, and would forget the first of two winners (docs/emulator.md)."""
    winners = Counter((start.job, start.run) for start in history.starts if start.run)
    owners = Counter((run.job, run.guard_execution) for run in history.runs if run.guard_execution)
    for start in history.starts:
        if start.run and winners[start.job, start.run] > 1:
            yield Finding("overlap", start.job, f"{start.run} was created more than once", start.began, start.ended)
        if owners[start.job, start.arn] > 1:
            yield Finding("overlap", start.job, f"{start.name} started more than one run", start.began, start.ended)


def _joined_by_hand(history: History, stale: Mapping[str, timedelta]) -> Iterator[Finding]:
    """A run that began beside a task which was there before its start looked: with what the past may hide."""
    starts = {start.arn: start for start in history.starts}
    for run in history.runs:
        start = starts.get(run.guard_execution or "")
        for task in history.tasks:
            if start is None or task.run is not None or task.job != run.job:
                continue
            if task.life.since < start.began - stale.get(run.job, timedelta()) and task.life.until > run.life.since:
                what = f"{run.name} began beside {task.name}, a task by hand that its start could see"
                yield Finding("overlap", run.job, what, run.life.since, min(task.life.until, run.life.until))


def _lost(history: History, stale: Mapping[str, timedelta]) -> Iterator[Finding]:
    runs = {(run.job, run.name) for run in history.runs}
    with_task = {(task.job, task.run) for task in history.tasks}
    names = {start.name for start in history.starts}
    for start in history.starts:
        around = start.began, start.ended
        if start.verdict in SKIPS:
            seen_since = start.began - stale.get(start.job, timedelta())
            if not any(life.since <= start.ended and life.gone >= seen_since for life in _in_the_way(history, start)):
                yield Finding("lost", start.job, f"{start.name} stepped back for nothing: {start.reason}", *around)
        if start.run and (start.job, start.run) not in runs:
            yield Finding("lost", start.job, f"{start.name} says it started {start.run}, which is not there", *around)
        if start.waiter and start.waiter not in names:
            yield Finding("lost", start.job, f"{start.name} says {start.waiter} waits, which is not there", *around)
    for run in history.runs:
        if run.status == "SUCCEEDED" and (run.job, run.name) not in with_task:
            yield Finding("lost", run.job, f"{run.name} succeeded without a task", run.life.since, run.life.until)


def _in_the_way(history: History, start: Start) -> Iterator[Life]:
    tasks = [task for task in history.tasks if task.job == start.job]
    for run in history.runs:
        if run.job == start.job:
            yield run.life
            its_end = any(task.run == run.name and task.life.gone >= run.life.until - CLOCKS for task in tasks)
            if run.status != "RUNNING" and not run.clean and not its_end:
                yield Life(run.life.until, run.life.until, run.life.gone + TASK_LAG)
    for task in tasks:
        yield task.life


def _unfinished(history: History) -> Iterator[Finding]:
    for start in history.starts:
        if start.verdict == "RUNNING":
            yield Finding("unfinished", start.job, f"{start.name} has not ended", start.began, start.ended)
    for run in history.runs:
        if run.status == "RUNNING":
            yield Finding("unfinished", run.job, f"{run.name} has not closed", run.life.since, run.life.until)


def story(history: History, finding: Finding, *, margin: timedelta = timedelta(seconds=5)) -> list[str]:
    """What happened to the job around a finding, a line per event."""
    events: list[tuple[datetime, str]] = []
    for run in history.runs:
        if run.job == finding.job:
            by = (run.guard_execution or "?").rpartition(":")[2]
            events += [(run.life.since, f"{run.name} begins, for {by}")]
            events += _end(run.life, f"{run.name} closes: {run.status} {run.error or ''}".rstrip())
    for task in history.tasks:
        if task.job == finding.job:
            whose = f"of {task.run}" if task.run else "by hand"
            events += [(task.life.since, f"task {task.name} {whose} is alive"), *_end(task.life, f"{task.name} stops")]
    for start in history.starts:
        if start.job == finding.job:
            words = f"{start.verdict} {start.run or start.waiter or start.reason}".rstrip()
            events += [(start.began, f"{start.name} asks"), (start.ended, f"{start.name}: {words}")]
    began, ended = finding.since - margin, min(finding.until, finding.since + 10 * margin) + margin
    return [f"{at:%H:%M:%S.%f}"[:-3] + f"  {what}" for at, what in sorted(events) if began <= at <= ended]


def _end(life: Life, words: str) -> Iterable[tuple[datetime, str]]:
    return [(life.until, words)] if life.until < FOREVER else []
