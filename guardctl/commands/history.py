"""``guardctl history``."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from chalicelib.decide.facts import span
from guardctl.chart import GLYPHS
from guardctl.console import (
    LIMIT,
    JobArgument,
    JsonOption,
    LimitOption,
    SinceOption,
    StageOption,
    TzOption,
    ago,
    asking,
    command,
    err,
    out,
    print_json,
)
from guardctl.ledger import Entry
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.wording import clock, entry_json, folded, local, localised, started


@command(example="guardctl history nightly-report --since 7d")
def history(
    job: JobArgument,
    since: SinceOption = "7d",
    limit: LimitOption = LIMIT,
    stage: StageOption = "dev",
    tz: TzOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a job's scheduled times and its runs.

    A line each, and what became of it; times that nothing was ever started for, too.
    """
    target, now = Stage(stage, tz=tz), datetime.now(UTC)
    asked = target.job(job)
    zone, start = target.zone, ago(since, now)
    with asking("looking up every scheduled time…") as progress:
        entries, left_out = Reader(target, progress).entries(asked, start, now, limit=limit)
    if as_json:
        print_json(target, entries=[entry_json(entry) for entry in entries], left_out=left_out)
    elif entries:
        for line in lines(entries, zone, out.width if out.is_terminal else None):
            out.print(line, markup=False)
    else:
        out.print(f"{job}: no scheduled time and no run since {local(start, zone)}")
    if left_out:
        err.print(f"{left_out} earlier scheduled times are left out; --limit {limit + left_out} shows them all")


def lines(entries: list[Entry], zone: ZoneInfo, width: int | None) -> Iterator[str]:
    """The table of `history`. A reason that does not fit into `width` has a line of its own; a pipe has room."""
    rows = [(f"scheduled {entries[0].scheduled.astimezone(zone):%Z}", "outcome", "started", "run", "took", "reason")]
    for entry in entries:
        hand = f"by hand{f' ({entry.by})' if entry.by else ''}" if entry.by_hand else ""
        took = span(entry.duration) if entry.duration is not None else ""
        outcome = f"{GLYPHS[entry.outcome]} {entry.outcome}"
        reason = "; ".join(filter(None, (hand, localised(entry.reason, zone, named=True))))
        rows.append((clock(entry.scheduled, zone), outcome, started(entry, zone), entry.run_told, took, reason))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for number, (*cells, reason) in enumerate(rows):
        row = "  ".join(f"{cell:<{size}}" for cell, size in zip(cells, widths, strict=True))
        fits = width is None or len(row) + 2 + len(reason) <= width
        yield (f"{row}  {reason}" if fits else row).rstrip()
        if number and not fits and width is not None:
            yield from folded(reason, width)
