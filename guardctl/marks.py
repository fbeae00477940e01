"""What stands in a row of the page: an entry by itself, or many at one place as one mark. Pure.

A row has three layers: what was not looked up, what did not run, and runs. In each, entries of one step of the axis
are one mark, which looks as the worst of them does: so a minute job of a month takes no more room than an hourly one of
two days, and none of its failures is hidden.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal, get_args

from chalicelib.values import dataclass
from guardctl.chart import Row, Timeline, counts, worst
from guardctl.ledger import Entry, Outcome
from guardctl.trouble import gist

MOST = 60
"""Steps in a row: on a page of 1000 pixels a mark's width each."""

Layer = Literal["open", "mark", "bar"]
"""Not looked up; not run; run."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Entries of one layer that stand at one place, oldest first, and when that begins and ends (UTC)."""

    layer: Layer
    entries: tuple[Entry, ...]
    start: datetime
    end: datetime

    @property
    def worst(self) -> Entry:
        """The entry that it looks like."""
        return worst(self.entries)

    @property
    def counts(self) -> list[tuple[Outcome, int]]:
        """How often each outcome occurs in it, the worst first."""
        return counts(self.entries)[::-1]

    @property
    def scheduled(self) -> tuple[datetime, datetime]:
        """The first and the last of its scheduled times (UTC): runs need not begin in that order."""
        return min(entry.scheduled for entry in self.entries), max(entry.scheduled for entry in self.entries)


def marks(timeline: Timeline, row: Row) -> list[Mark]:
    """The row's marks in the order in which they begin; what was not looked up first."""
    step = timeline.step(MOST)
    midnight = timeline.start.astimezone(timeline.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[Mark] = []
    for layer in get_args(Layer):
        its = sorted((entry for entry in row.entries if _layer(entry) == layer), key=_began)
        long = [_mark(timeline, layer, [entry]) for entry in its if _lasts(timeline, entry) >= step]
        short = groupby(
            (entry for entry in its if _lasts(timeline, entry) < step),
            key=lambda entry: (_began(entry) - midnight) // step,
        )
        together = (_mark(timeline, layer, [*some]) for _, some in short)
        found += [*long, *(together if layer == "bar" else _joined(together, step))]
    return sorted(found, key=lambda mark: mark.start)


def _mark(timeline: Timeline, layer: Layer, entries: list[Entry]) -> Mark:
    start = min(map(_began, entries))
    return Mark(layer, tuple(entries), start, max(_ended(timeline, entry) for entry in entries))


def _joined(found: Iterable[Mark], step: timedelta) -> Iterator[Mark]:
    """Neighbours of several entries that all say the same are one, however long: a pause, or a run in the way."""
    last: Mark | None = None
    for mark in found:
        if last and mark.start - last.end <= step and len(last.entries) > 1 < len(mark.entries) and _same(last, mark):
            last = Mark(last.layer, last.entries + mark.entries, last.start, mark.end)
            continue
        if last:
            yield last
        last = mark
    if last:
        yield last


def _same(one: Mark, other: Mark) -> bool:
    return len({(entry.outcome, gist(entry)) for entry in one.entries + other.entries}) == 1


def _layer(entry: Entry) -> Layer:
    if entry.outcome == "not looked up":
        return "open"
    return "bar" if entry.started else "mark"


def _began(entry: Entry) -> datetime:
    return entry.started or entry.scheduled


def _ended(timeline: Timeline, entry: Entry) -> datetime:
    return entry.ended or timeline.end if entry.started else entry.scheduled


def _lasts(timeline: Timeline, entry: Entry) -> timedelta:
    return _ended(timeline, entry) - _began(entry)
