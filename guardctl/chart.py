"""The ledger as a picture: a row per job, runs as bars, and what did not run as marks. Pure.

`drawn` draws it with characters, `guardctl.page` as an HTML page. No colour says anything that its shape does not.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rich.text import Text

from guardctl.ledger import Entry, Outcome

GLYPHS: dict[Outcome, str] = {
    "ran": "█",
    "running": "▶",
    "failed": "✗",
    "timed out": "T",
    "replaced": "R",
    "stopped": "S",
    "due": "…",
    "deciding": "…",
    "waiting": "…",
    "would have started": "□",
    "would have waited": "w",
    "would have replaced": "r",
    "would have stepped back": "o",
    "would have been refused": "x",
    "paused": "P",
    "disabled": "-",
    "not looked up": "░",
    "skipped": "○",
    "gave up": "W",
    "not started": "?",
    "missed": "!",
    "no schedule": "-",
    "forgotten": "-",
}
"""From the best to the worst: where two meet in one cell, the later is seen."""

STYLES: dict[Outcome, str] = {
    "ran": "green",
    "running": "cyan",
    "failed": "bold red",
    "timed out": "bold red",
    "missed": "bold red",
    "not started": "bold red",
    "replaced": "yellow",
    "stopped": "yellow",
    "skipped": "yellow",
    "gave up": "yellow",
    "paused": "magenta",
    "would have started": "cyan",
    "would have waited": "cyan",
    "would have replaced": "cyan",
    "would have stepped back": "yellow",
    "would have been refused": "yellow",
}
BY_HAND = "▒"
_BY_HAND_LABEL = "  by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandTask:
    """An ECS task of the job that the guard did not start. Times are UTC."""

    arn: str
    started: datetime
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One job."""

    job: str
    entries: tuple[Entry, ...]
    tasks: tuple[HandTask, ...] = ()
    """Tasks by hand, as far as ECS shows them: it forgets a task about an hour after it stopped."""
    pool: str | None = None
    """Its pool, if that is shared: its rows stand beside each other."""
    left_out: int = 0
    """Earlier scheduled times that were not looked up."""
    deployed: bool = True
    unread: str = ""
    """Why it could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What happened from `start` to `end` (UTC); `zone` is the clock on its axis."""

    stage: str
    start: datetime
    end: datetime
    zone: ZoneInfo
    rows: tuple[Row, ...]

    def place(self, moment: datetime) -> float:
        """Where a time is: 0 at the start, 1 at the end, and never beyond."""
        return min(1.0, max(0.0, (moment - self.start) / (self.end - self.start)))

    def ticks(self, most: int) -> Iterator[tuple[float, datetime]]:
        """At most so many round times for the axis, with their places."""
        steps = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 10_080, 20_160)
        step = next((timedelta(minutes=m) for m in steps if timedelta(minutes=m) * most >= self.end - self.start), None)
        step = step or timedelta(days=30)
        local = self.start.astimezone(self.zone)
        tick = local.replace(hour=0, minute=0, second=0, microsecond=0)
        while tick <= local:
            tick += step
        while tick < self.end:
            yield self.place(tick), tick
            tick += step


def counts(timeline: Timeline) -> list[tuple[Outcome, int]]:
    """How often each outcome occurs, in the order of `GLYPHS`."""
    found = Counter(entry.outcome for row in timeline.rows for entry in row.entries)
    return [(outcome, found[outcome]) for outcome in GLYPHS if found[outcome]]


def drawn(timeline: Timeline, width: int) -> list[Text]:
    """The timeline in lines of `width` characters: an axis, a line per job, and what the characters mean."""
    names = [row.job for row in timeline.rows] + [_BY_HAND_LABEL for row in timeline.rows if row.tasks]
    label = max(map(len, names), default=0) + 2
    cells = max(10, width - label - 1)
    lines = [Text(" " * label + _axis(timeline, cells), style="dim")]
    pool = None
    for row in timeline.rows:
        if row.pool and row.pool != pool:
            lines.append(Text(f"pool {row.pool}", style="dim"))
        pool = row.pool
        line = _line(timeline, row.entries, cells) if row.deployed else Text("not deployed", style="dim")
        line = Text(f"? {row.unread}") if row.unread else line
        lines.append(Text(f"{row.job:<{label}}") + line)
        if row.tasks:
            lines.append(Text(f"{_BY_HAND_LABEL:<{label}}") + _by_hand(timeline, row.tasks, cells))
    legend = Text()
    for outcome, count in counts(timeline):
        legend.append(f"{GLYPHS[outcome]} {outcome} {count}   ", style=STYLES.get(outcome, ""))
    if any(row.tasks for row in timeline.rows):
        legend.append(f"{BY_HAND} a task by hand")
    return [*lines, legend]


def _axis(timeline: Timeline, cells: int) -> str:
    """Times above their cells. The date is told where it changes."""
    line = [" "] * (cells + 12)
    free, date = 0, None
    for place, tick in timeline.ticks(most=max(1, cells // 14)):
        at = int(place * cells)
        text = f"{tick:%H:%M}" if tick.date() == date else f"{tick:%m-%d %H:%M}"
        if at >= free and at + len(text) <= cells + 1:
            line[at : at + len(text)] = text
            free, date = at + len(text) + 1, tick.date()
    return "".join(line[: cells + 1]).rstrip()


def _line(timeline: Timeline, entries: Sequence[Entry], cells: int) -> Text:
    worst = list(GLYPHS)
    shown: list[tuple[str, str]] = [("·", "dim")] * (cells + 1)
    for entry in sorted(entries, key=lambda entry: worst.index(entry.outcome)):
        style = STYLES.get(entry.outcome, "")
        if entry.started:
            first = int(timeline.place(entry.started) * cells)
            last = int(timeline.place(entry.ended or timeline.end) * cells)
            shown[first : last + 1] = [(GLYPHS["ran"], style)] * (last + 1 - first)
        else:
            last = int(timeline.place(entry.scheduled) * cells)
        shown[last] = (GLYPHS[entry.outcome], style)
    return _text(shown)


def _by_hand(timeline: Timeline, tasks: Sequence[HandTask], cells: int) -> Text:
    shown = [(" ", "")] * (cells + 1)
    for task in tasks:
        first = int(timeline.place(task.started) * cells)
        last = int(timeline.place(task.ended or timeline.end) * cells)
        shown[first : last + 1] = [(BY_HAND, "magenta")] * (last + 1 - first)
    return _text(shown)


def _text(shown: Sequence[tuple[str, str]]) -> Text:
    text = Text()
    for glyph, style in shown:
        text.append(glyph, style=style)
    return text
