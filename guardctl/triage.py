"""Which jobs need a person, the worst first. Pure: how a job stands in, a level with its mark and its reason out."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from chalicelib.decide.facts import span, stamp
from chalicelib.decide.usual import ENOUGH
from chalicelib.values import dataclass
from guardctl.ledger import NEEDS_A_PERSON, Entry
from guardctl.standing import JobStatus

Level = Literal[
    "unknown", "failed", "late", "missed", "in the way", "skipped", "waiting", "paused", "running", "not deployed", "ok"
]

MARKS: dict[Level, tuple[str, str]] = {
    "unknown": ("?", "bold red"),
    "failed": ("✗", "bold red"),
    "late": ("◷", "bold red"),
    "missed": ("!", "bold red"),
    "in the way": ("▒", "yellow"),
    "skipped": ("○", "yellow"),
    "waiting": ("…", "yellow"),
    "paused": ("P", "magenta"),
    "running": ("▶", "cyan"),
    "not deployed": ("-", "dim"),
    "ok": ("·", "green"),
}
"""From the worst to the best: a mark, which says by its shape what its colour says, and that colour."""


@dataclass(frozen=True)
class Judged:
    """A job, how bad it is and why, with instants as `stamp` writes them."""

    line: JobStatus
    level: Level
    reason: str = ""


def triage(lines: Iterable[JobStatus], now: datetime) -> list[Judged]:
    """The worst first; alike in the order of the jobs file."""
    order = list(MARKS)
    return sorted((Judged(line, *_level(line, now)) for line in lines), key=lambda each: order.index(each.level))


def counts(judged: Iterable[Judged]) -> str:
    """``1 failed, 2 running, 37 ok``."""
    found = Counter(each.level for each in judged)
    return ", ".join(f"{found[level]} {level}" for level in MARKS if found[level])


def _level(line: JobStatus, now: datetime) -> tuple[Level, str]:
    if line.state == "unknown":
        return "unknown", line.start_now
    if line.state == "not deployed":
        return "not deployed", "; ".join(line.drift)
    if line.run:
        return _of_run(line, now)
    bad = _last_bad(line)
    if bad and bad[0] == "failed":
        return bad
    if line.late:
        return "late", _of_time(line.late)
    if bad:
        return bad
    if line.missed:
        return "missed", f"nothing was started for {stamp(line.missed)}"
    if line.overdue:
        return "late", f"nothing has been started for {stamp(line.overdue)} yet"
    if line.state == "in the way":
        return "in the way", line.start_now
    if line.waits:
        return "waiting", f"{line.waits.name} waits since {stamp(line.waits.started_at)}"
    if line.pause:
        return "paused", line.pause.told
    if line.in_shadow:
        return "ok", f"in shadow: {in_shadow(line)}"
    return "ok", "enabled = false" if line.state == "disabled" else line.start_now if line.state == "busy" else ""


def in_shadow(line: JobStatus) -> str:
    """Of a job in shadow: what the last of its scheduled times would have been."""
    told, last = "its schedule starts nothing", line.would_have
    if last is None:
        return f"{told}; none of its times has a verdict yet"
    return f"{told}; {stamp(last.scheduled)} {last.outcome}: {last.reason}"


def _of_run(line: JobStatus, now: datetime) -> tuple[Level, str]:
    if line.run is None:
        return "ok", ""
    took, usual = now - line.run.started_at, line.usual
    told = f"{line.run.name} for {span(took)}, since {stamp(line.run.started_at)}"
    told += f", by hand ({line.by})" if line.by else ""
    if line.concern:
        return "late", f"{told}: {line.concern}"
    if line.late:
        return "late", f"{told}; {line.late.reason if line.late.arn == line.run.arn else _of_time(line.late)}"
    if usual and usual.runs >= ENOUGH and took > max(2 * usual.p95, usual.p95 + timedelta(minutes=5)):
        return "late", f"{told}; usually {span(usual.median)}, p95 {span(usual.p95)}"
    skipped = line.not_started and line.not_started[0] > line.run.started_at
    return "running", told + (f"; {line.not_started[1].outcome} since" if skipped and line.not_started else "")


def _of_time(entry: Entry) -> str:
    """A scheduled time with what became of it; a pause's reason says itself that it is one."""
    outcome = "" if entry.reason.startswith(entry.outcome) else f"{entry.outcome}: "
    return f"{stamp(entry.scheduled)} {outcome}{entry.reason}"


def _last_bad(line: JobStatus) -> tuple[Level, str] | None:
    """The newest of its last run and its last start that was not one, if that needs a person."""
    last, step = line.last, line.not_started
    if step and (last is None or last.ended is None or step[0] > last.ended):
        at, entry = step
        if entry.outcome in NEEDS_A_PERSON:
            level: Level = "skipped" if entry.outcome == "skipped" else "failed"
            return level, f"{entry.outcome} at {stamp(at)}: {entry.reason}"
    elif last and last.ended and last.outcome in NEEDS_A_PERSON:
        return "failed", f"{last.run_told} {last.outcome} at {stamp(last.ended)}: {last.reason}"
    return None
