"""Made-up nights for the page and the terminal: what forty jobs leave behind, of which some had a bad time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from chalicelib.names import execution_arn
from guardctl.chart import HandTask, Row, Timeline
from guardctl.ledger import Entry, Outcome

NOW = datetime(2026, 11, 24, 9, 0, 30, tzinfo=UTC)
MACHINES = "arn:aws:states:us-east-1:123456789012:stateMachine:batch-guard-dev"
TASK = "arn:aws:ecs:us-east-1:123456789012:task/batch/"
_WORDS = ("invoice", "ledger", "orders", "catalogue", "payroll", "returns", "stock", "mail", "audit", "search")
_DOES = ("import", "export", "nightly-report", "reconciliation")


def entry(job: str, at: datetime, outcome: Outcome, minutes: float = 0, run: int = 0, reason: str = "") -> Entry:
    """What became of one time; with a run, if it has a number, of so many minutes."""
    began = at + timedelta(seconds=3) if run else None
    return Entry(
        job=job,
        scheduled=at,
        outcome=outcome,
        reason=reason,
        run=f"run-{run:06d}" if run else None,
        arn=execution_arn(f"{MACHINES}-{job}", f"run-{run:06d}") if run else None,
        started=began,
        ended=None if began is None or outcome == "running" else began + timedelta(minutes=minutes),
    )


def timeline(days: int, rows: Iterator[Row] | tuple[Row, ...], zone: str = "Asia/Tokyo") -> Timeline:
    """The last days, as `timeline --since` shows them."""
    return Timeline(stage="dev", start=NOW - timedelta(days=days), end=NOW, zone=ZoneInfo(zone), rows=tuple(rows))


def forty(days: int, frequent: int = 10) -> Timeline:
    """Forty jobs: so many every minute, ten every hour, the rest once a night; pools, pauses, orphans, a dead row."""
    return timeline(days, _forty(days, frequent))


def _forty(days: int, frequent: int) -> Iterator[Row]:
    random = Random(14)
    for number in range(40):
        job = f"{_WORDS[number % 10]}-{_DOES[number // 10]}"
        pool = "warehouse" if 12 <= number < 15 else None
        if number == 39:
            yield Row(job=job, entries=(), unread="ListExecutions: AccessDeniedException: not authorized to read it")
        elif number == 38:
            yield Row(job=job, entries=(), deployed=False)
        elif number < frequent:
            entries = tuple(minutely(job, days, random, bad=number in {0, 3}, dark=number == 5))
            yield Row(job=job, entries=entries, left_out=sum(e.outcome == "not looked up" for e in entries))
        else:
            every = timedelta(hours=1) if number < frequent + 10 else timedelta(days=1)
            tasks = (HandTask(arn=f"{TASK}0a1b2c3d", started=NOW - timedelta(minutes=50)),) if number == 13 else ()
            yield Row(job=job, entries=tuple(_regular(job, days, random, every, number)), tasks=tasks, pool=pool)


def minutely(job: str, days: int, random: Random, *, bad: bool = False, dark: bool = False) -> Iterator[Entry]:
    """Every minute; a bad one fails now and then, and skips beside a long run; of a dark one not all is looked up."""
    at, run, busy = NOW.replace(second=0) - timedelta(days=days), 0, NOW - timedelta(days=365)
    holder, began = "", at
    while at <= NOW:
        if at < busy:
            known = not dark or at.minute % 16 == 0
            reason = f"{holder} has been running for {(at - began).seconds // 60} min" if known else "why was not asked"
            yield entry(job, at, "skipped" if known else "not looked up", reason=reason)
        elif bad and random.random() < 0.003:
            run += 1
            task = f"{TASK}{random.getrandbits(128):032x}"
            yield entry(job, at, "failed", 0.2, run, f"container app of task {task} exited with 1")
        elif (bad or dark) and (at.hour, at.minute, at.day % 3) == (14, 0, 1):
            run += 1
            holder, began, busy = f"run-{run:06d}", at, at + timedelta(minutes=135)
            yield entry(job, at, "ran", 134.5, run)
        else:
            run += 1
            yield entry(job, at, "ran", random.uniform(0.2, 0.8), run)
        at += timedelta(minutes=1)


def _regular(job: str, days: int, random: Random, every: timedelta, number: int) -> Iterator[Entry]:
    at = NOW.replace(hour=17, minute=number, second=0) - timedelta(days=days + 1)
    run, takes = 100, random.uniform(4, 50) if every < timedelta(days=1) else random.uniform(10, 240)
    while at <= NOW:
        run += 1
        last = at + every > NOW
        if at < NOW - timedelta(days=days):
            pass
        elif number == 22 and last:
            yield entry(job, at, "missed", reason="no tick started it: neither it nor a run for it was ever recorded")
        elif number in {24, 31} and last:
            yield entry(job, at, "failed", takes, run, "container app exited with 137: OutOfMemoryError: killed")
        elif number == 26 and last:
            yield entry(job, at, "timed out", 60, run, "stopped after its timeout of 3600 s")
        elif number == 17 and at.hour in {1, 2, 3}:
            yield entry(job, at, "paused", reason="paused since 2026-11-20T01:02:00Z: the warehouse moves")
        elif number == 12 and random.random() < 0.05:
            yield entry(job, at, "gave up", reason="it waited for 2 h 0 min, and its deadline passed")
        elif number == 33 and last:
            error = "BatchGuard.CheckFailed: ListExecutions was throttled at 2026-11-23T17:33:20Z, five times"
            yield entry(job, at, "not started", reason=error)
        elif number == 19 and last:
            yield entry(job, at, "running", 0, run)
        elif number == 15:
            yield entry(job, at, "would have stepped back", reason="a task by hand is alive")
        else:
            yield entry(job, at, "ran", takes * random.uniform(0.8, 1.2), run)
        at += every
