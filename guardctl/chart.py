"""The ledger as a picture: a row per job, runs as bars, and what did not run as marks. Pure.

`drawn` draws it with characters, `guardctl.page` as an HTML page. No colour says anything that its shape does not.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rich.text import Text

from chalicelib.values import dataclass
from guardctl.ledger import Entry, Outcome
from guardctl.wording import SHOWN, folded, localised

GLYPHS: Mapping[Outcome, str] = {outcome: glyph for outcome, (glyph, _, _) in SHOWN.items()}
"""From the best to the worst: where two meet, the later is seen."""

STYLES: Mapping[Outcome, str] = {outcome: style for outcome, (_, style, _) in SHOWN.items()}
BY_HAND = "▒"
_BY_HAND_LABEL = "  by hand"
_LEAST_CELLS = 40
"""Of a line that may be as long as it is: a pipe's."""

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 10_080, 20_160, 43_200)
"""Minutes between two round times."""


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
    trigger: tuple[str, str] | None = None
    """What is wrong with the trigger, and the command to type next; None if nothing is known to be."""

    def place(self, moment: datetime) -> float:
        """Where a time is: 0 at the start, 1 at the end, and never beyond."""
        return min(1.0, max(0.0, (moment - self.start) / (self.end - self.start)))

    def step(self, most: int) -> timedelta:
        """The shortest round time of which no more than so many fill the picture."""
        steps = [timedelta(minutes=minutes) for minutes in _STEPS]
        return next((step for step in steps if step * most >= self.end - self.start), steps[-1])

    def ticks(self, most: int) -> Iterator[tuple[float, datetime]]:
        """At most so many round times for the axis, with their places."""
        step, local = self.step(most), self.start.astimezone(self.zone)
        tick = local.replace(hour=0, minute=0, second=0, microsecond=0)
        while tick <= local:
            tick += step
        while tick < self.end:
            yield self.place(tick), tick
            tick += step


def worst(entries: Iterable[Entry]) -> Entry:
    """The worst of some entries; of alike ones the newest."""
    return max(entries, key=lambda entry: (_BADNESS[entry.outcome], entry.scheduled))


_BADNESS = {outcome: place for place, outcome in enumerate(GLYPHS)}


def counts(entries: Iterable[Entry]) -> list[tuple[Outcome, int]]:
    """How often each outcome occurs, in the order of `GLYPHS`."""
    found = Counter(entry.outcome for entry in entries)
    return [(outcome, found[outcome]) for outcome in GLYPHS if found[outcome]]


def drawn(window: Timeline, names: Iterable[str], rows: Iterable[Row], width: int, *, whole: bool) -> Iterator[Text]:
    """The rows in lines of `width` characters, as they come: an axis, a line per job, what the characters mean.

    `names` are those of all jobs to come. Of `whole` lines no name is shortened, however long they are.
    """
    label = max([len(_BY_HAND_LABEL), *map(len, names)]) + 2
    if not whole:
        label = min(label, max(14, width * 3 // 8))
    cells = max(_LEAST_CELLS if whole else 10, width - label - 1)
    clock = f"{window.start.astimezone(window.zone):%Z}"
    found: list[Row] = []
    pool = None
    for row in rows:
        if not found:  # before that it may turn out that nothing can be read
            yield Text(f"{clock:<{label}}{_axis(window, cells)}", style="dim")
        found.append(row)
        if row.pool and row.pool != pool:
            yield Text(f"pool {row.pool}", style="dim")
        pool = row.pool
        yield from _told(window, row, label, cells, None if whole else width)
        if row.tasks:
            yield Text(f"{_BY_HAND_LABEL:<{label}}") + _by_hand(window, row.tasks, cells)
    yield from _legend(found, None if whole else width)


def shortened(name: str, size: int) -> str:
    """A name in so many characters: its beginning and its end, which tell more than its middle."""
    head = (size - 1) * 2 // 3
    return name if len(name) <= size else f"{name[:head]}…{name[head + 1 - size :]}"


def _told(window: Timeline, row: Row, label: int, cells: int, width: int | None) -> Iterator[Text]:
    """A row's line; why it can't be read has a line of its own where it does not fit into `width`."""
    name = Text(shortened(row.job, label - 2).ljust(label))
    if row.unread:
        why = localised(row.unread, window.zone, named=True)
        fits = width is None or label + len(why) + 2 <= width
        yield name + Text(f"? {why if fits else 'it could not be read:'}", style="bold red")
        if not fits:
            yield from map(Text, folded(why, width))
    elif row.deployed:
        yield name + _line(window, row.entries, cells)
    else:
        yield name + Text("not deployed", style="dim")


def _legend(rows: Iterable[Row], width: int | None) -> Iterator[Text]:
    """What the characters mean, and how often they occur; in lines that fit into `width`."""
    rows = [*rows]
    found = [
        (f"{GLYPHS[outcome]} {outcome} {count}", STYLES.get(outcome, ""))
        for outcome, count in counts(entry for row in rows for entry in row.entries)
    ]
    if any(row.tasks for row in rows):
        found.append((f"{BY_HAND} a task by hand", ""))
    if unread := sum(bool(row.unread) for row in rows):
        found.append((f"? can't be read {unread}", "bold red"))
    line = Text()
    for told, style in found:
        if width is not None and line and line.cell_len + 3 + len(told) > width:
            yield line
            line = Text()
        line.append("   " if line else "").append(told, style=style)
    yield line


def _axis(timeline: Timeline, cells: int) -> str:
    """Times above their cells. The date is told where it changes."""
    line = [" "] * (cells + 12)
    free, date = 0, None
    for place, tick in timeline.ticks(most=max(1, cells // 12)):
        at = int(place * cells)
        text = f"{tick:%H:%M}" if tick.date() == date else f"{tick:%m-%d %H:%M}"
        if at >= free and at + len(text) <= cells + 1:
            line[at : at + len(text)] = text
            free, date = at + len(text) + 1, tick.date()
    return "".join(line[: cells + 1]).rstrip()


def _line(timeline: Timeline, entries: Sequence[Entry], cells: int) -> Text:
    """The bodies of the bars first, so that none covers a mark."""
    shown: list[tuple[str, str]] = [("·", "dim")] * (cells + 1)
    marks: list[tuple[int, Entry]] = []
    for entry in sorted(entries, key=lambda entry: _BADNESS[entry.outcome]):
        last = int(timeline.place(entry.scheduled) * cells)
        if entry.started:
            first = int(timeline.place(entry.started) * cells)
            last = int(timeline.place(entry.ended or timeline.end) * cells)
            shown[first : last + 1] = [(GLYPHS["ran"], STYLES.get(entry.outcome, ""))] * (last + 1 - first)
        if entry.outcome != "ran":
            marks.append((last, entry))
    for last, entry in marks:
        shown[last] = (GLYPHS[entry.outcome], STYLES.get(entry.outcome, ""))
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
