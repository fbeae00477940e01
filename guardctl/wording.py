"""The ledger in sentences and as JSON, and times as a person says them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from textwrap import wrap
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.decide.facts import span, stamp
from chalicelib.decide.local_time import clock, local, localised
from guardctl.ledger import Entry, Outcome

__all__ = ["SHOWN", "clock", "entry_json", "folded", "listed", "local", "localised", "sentence", "started", "until"]


def folded(text: str, width: int | None, indent: str = "    ") -> list[str]:
    """A line, below what it belongs to, in lines of `width` characters; words, an ARN too, stay whole."""
    if width is None:
        return [indent + text]
    return wrap(
        text, width, initial_indent=indent, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def listed(names: Iterable[str], most: int = 3) -> str:
    """Names of a sentence: ``a, b, c and 4 more``."""
    every = [*names]
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def until(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """``2026-11-23 18:00 to 19:00``, and ``… to 11-24 02:00``; where the zone's name stands beside it already."""
    one, other = start.astimezone(zone), end.astimezone(zone)
    date = "" if one.date() == other.date() else f"{other:%m-%d} " if one.year == other.year else f"{other:%Y-%m-%d} "
    return f"{one:%Y-%m-%d %H:%M} to {date}{other:%H:%M}"


def started(entry: Entry, zone: ZoneInfo) -> str:
    """The time of day at which its run started; with its date where that is not the scheduled one's."""
    if entry.started is None:
        return ""
    began, scheduled = entry.started.astimezone(zone), entry.scheduled.astimezone(zone)
    date = "" if began.date() == scheduled.date() else f"{began:%m-%d} "
    return f"{date}{began:%H:%M:%S}{f' ({span(entry.late)} late)' if entry.late else ''}"


SHOWN: Mapping[Outcome, tuple[str, str, str]] = {
    "ran": ("█", "green", "ran{hand} as {run} and succeeded{took}{late}"),
    "would have started": ("□", "cyan", "would have started"),
    "would have waited": ("w", "cyan", "would have waited for its turn"),
    "would have replaced": ("r", "cyan", "would have stopped what is in the way, and then started"),
    "running": ("▶", "cyan", "is running{hand} as {run}{late}"),
    "due": ("…", "", "is due"),
    "deciding": ("…", "", "is being decided{hand}"),
    "waiting": ("…", "", "waits for its turn{hand}"),
    "forgotten": ("-", "", "is forgotten"),
    "no schedule": ("-", "", "was not started, because the job did not have this schedule then"),
    "disabled": ("-", "", "was not started, because the job is disabled"),
    "would have stepped back": ("o", "yellow", "would have stepped back"),
    "would have been refused": ("x", "yellow", "would have been refused"),
    "paused": ("P", "magenta", "did not run{hand}, because the job was paused"),
    "holiday": ("h", "", "did not run, because its calendar says so"),
    "not looked up": ("░", "", "was not looked up"),
    "replaced": ("R", "yellow", "ran{hand} as {run} and was replaced{took}{late}"),
    "skipped": ("○", "yellow", "was skipped{hand}"),
    "stopped": ("S", "yellow", "ran{hand} as {run} and was stopped{took}{late}"),
    "gave up": ("W", "yellow", "did not run{hand}, because it waited too long"),
    "not started": ("?", "bold red", "was not started{hand}"),
    "missed": ("!", "bold red", "was missed"),
    "timed out": ("T", "bold red", "ran{hand} as {run} and timed out{took}{late}"),
    "failed": ("✗", "bold red", "ran{hand} as {run} and failed{took}{late}"),
}
"""Outcome → its mark in a picture, the mark's style, and what a sentence says of it; from the best to the worst."""


def sentence(entry: Entry, zone: ZoneInfo, *, named: bool = False) -> str:
    """What became of a scheduled time, in one sentence. The zone's name is in it unless it is `named` already."""
    phrase = SHOWN[entry.outcome][2].format(
        run=entry.run_told,
        hand=f" by hand{f' ({entry.by})' if entry.by else ''}" if entry.by_hand else "",
        took=f" after {span(entry.duration)}" if entry.duration is not None else "",
        late=f", having started {span(entry.late)} late" if entry.late else "",
    )
    reason = f": {entry.reason}" if entry.reason else ""
    return localised(f"{entry.job} for {stamp(entry.scheduled)} {phrase}{reason}", zone, named=named)


def entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "job": entry.job,
        "scheduled_at": stamp(entry.scheduled),
        "outcome": entry.outcome,
        "by_hand": entry.by_hand,
        "by": entry.by,
        "reason": entry.reason,
        "run": entry.run,
        "slot": entry.slot if entry.run else None,
        "run_arn": entry.arn,
        "started_at": stamp(entry.started) if entry.started else None,
        "ended_at": stamp(entry.ended) if entry.ended else None,
        "duration_seconds": entry.duration.total_seconds() if entry.duration is not None else None,
        "late_since": stamp(entry.late_since) if entry.late_since else None,
        "late_seconds": entry.late.total_seconds() if entry.late else None,
        "guard_execution": entry.guard_execution,
    }
