"""What became of scheduled times."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from chalicelib.config.jobs import Job
from chalicelib.decide import schedule
from chalicelib.decide.facts import stamp
from guardctl import links
from guardctl.commands.console import (
    JobArgument,
    JsonOption,
    StageOption,
    ago,
    asking,
    err,
    group,
    moment,
    out,
    print_json,
)
from guardctl.errors import NOT_RUN, Stop
from guardctl.ledger import GOOD, Entry
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.wording import entry_json, length, local, sentence

if TYPE_CHECKING:
    from guardctl.timeline import Row

app = group()

LIMIT = 200
"""Scheduled times that history and timeline look up of each job; each is a call of its own."""

SinceOption = Annotated[str, typer.Option("--since", help='How far back: "90m", "24h", "7d", at most "90d".')]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Look up so many scheduled times of a job at most.")]


@app.command(
    epilog="Example: python -m guardctl why nightly-report 2026-11-23T18:00"
    "\n\nExit codes: 0 it ran, or still may · 1 it did not run, or its run failed · 2, 3 as for every command."
)
def why(
    job: JobArgument,
    time: Annotated[str, typer.Argument(help="The scheduled time: 2026-11-23T18:00, in the job's zone, or …Z.")],
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """Say what became of a scheduled time.

    In one sentence, and then in detail.
    """
    target, now = Stage(stage), datetime.now(UTC)
    asked = target.job(job)
    zone = ZoneInfo(asked.timezone)
    at = moment(time, zone, "TIME")
    if at.second or at.microsecond:
        raise Stop(f"scheduled times are whole minutes, and {time} is not one")
    if at > now:
        raise Stop(f"{local(at, zone)} has not come yet")
    with asking("looking it up…"):
        reader = Reader(target)
        entries = reader.entry(asked, at, now)
        if all(entry.guard_execution is None and entry.outcome != "forgotten" for entry in entries):
            _require_scheduled(reader.deployed(asked)[0], at, zone, stage)
    if as_json:
        print_json([{**entry_json(entry), "sentence": sentence(entry, zone)} for entry in entries])
    else:
        for entry in entries:
            out.print(sentence(entry, zone), markup=False)
            _details(target, entry, zone)
    if entries[-1].outcome not in GOOD:
        raise typer.Exit(NOT_RUN)


def _require_scheduled(job: Job, at: datetime, zone: ZoneInfo, stage: str) -> None:
    """Raise `Stop`, naming the neighbours, for a time that is not in the schedule."""
    if schedule.latest(job.schedules, job.timezone, at, within=timedelta(0)):
        return
    before = schedule.latest(job.schedules, job.timezone, at, within=timedelta(days=366))
    after = next(iter(schedule.upcoming(job.schedules, job.timezone, at, limit=1)), None)
    near = " and ".join(local(time, zone) for time in (before, after) if time)
    nearest = f"the nearest are {near}" if near else "it has no schedule"
    raise Stop(
        f"{job.name} has no scheduled time at {local(at, zone)}, and nothing was started for it; {nearest}; "
        f"starts by hand are in: python -m guardctl history {job.name} --stage {stage}"
    )


def _details(target: Stage, entry: Entry, zone: ZoneInfo) -> None:
    lines: dict[str, str | None] = {
        "started": local(entry.started, zone) if entry.started else None,
        "ended": local(entry.ended, zone) if entry.ended else None,
        "guard": entry.guard_execution,
        "": links.execution(target.guard_execution(entry.guard_execution)) if entry.guard_execution else None,
        "run": entry.run,
        " ": links.execution(target.run(entry.job, entry.run)) if entry.run else None,
        "logs": f"python -m guardctl logs {entry.job} {entry.run} --stage {target.name}" if entry.run else None,
    }
    for name, value in lines.items():
        if value:
            out.print(f"  {name:<8} {value}", markup=False)


@app.command(epilog="Example: python -m guardctl history nightly-report --since 7d")
def history(
    job: JobArgument,
    since: SinceOption = "7d",
    limit: LimitOption = LIMIT,
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """List a job's scheduled times and its runs.

    A line each, and what became of it; times that nothing was ever started for, too.
    """
    target, now = Stage(stage), datetime.now(UTC)
    asked = target.job(job)
    zone, start = ZoneInfo(asked.timezone), ago(since, now)
    with asking("looking up every scheduled time…") as progress:
        entries, left_out = Reader(target, progress).entries(asked, start, now, limit=limit)
    if as_json:
        print_json([entry_json(entry) for entry in entries])
    elif entries:
        for line in lines(entries, zone, out.width if out.is_terminal else None):
            out.print(line, markup=False)
    else:
        out.print(f"{job}: no scheduled time and no run since {local(start, zone)}")
    if left_out:
        err.print(f"{left_out} earlier scheduled times are left out; --limit {limit + left_out} shows them all")


def lines(entries: list[Entry], zone: ZoneInfo, width: int | None) -> Iterator[str]:
    """The table of `history`. A reason that does not fit into `width` has a line of its own; a pipe has room."""
    rows = [("scheduled", "outcome", "started", "run", "took", "reason")]
    for entry in entries:
        hand = " by hand" if entry.by_hand else ""
        took = length(entry.duration) if entry.duration is not None else ""
        outcome = f"{_mark(entry)} {entry.outcome}{hand}"
        started = _started(entry, zone)
        rows.append((local(entry.scheduled, zone), outcome, started, entry.run or "", took, entry.reason))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for *cells, reason in rows:
        row = "  ".join(f"{cell:<{size}}" for cell, size in zip(cells, widths, strict=True))
        if width is None or len(row) + 2 + len(reason) <= width:
            yield f"{row}  {reason}".rstrip()
        else:
            yield row.rstrip()
            yield f"    {reason}"


def _started(entry: Entry, zone: ZoneInfo) -> str:
    """The time of day; with its date where that is not the scheduled one's."""
    if entry.started is None:
        return ""
    started, scheduled = entry.started.astimezone(zone), entry.scheduled.astimezone(zone)
    date = "" if started.date() == scheduled.date() else f"{started:%m-%d} "
    return f"{date}{started:%H:%M:%S}{f' ({length(entry.late)} late)' if entry.late else ''}"


def _mark(entry: Entry) -> str:
    return "·" if entry.outcome in GOOD else "✗"


@app.command(epilog="Example: python -m guardctl timeline --since 24h --html timeline.html")
def timeline(
    jobs: Annotated[list[str] | None, typer.Argument(help="The jobs to show; all of them when left out.")] = None,
    since: SinceOption = "24h",
    limit: LimitOption = LIMIT,
    page: Annotated[Path | None, typer.Option("--html", help="Write one HTML page that needs nothing else.")] = None,
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """Draw the history of all jobs.

    A row per job, runs as bars, what did not run as marks.
    """
    from guardctl import page as pages  # noqa: PLC0415 (only this command draws)
    from guardctl import timeline as pictures  # noqa: PLC0415 (see above)

    target, now = Stage(stage), datetime.now(UTC)
    asked = [target.job(job) for job in jobs] if jobs else [*target.file.jobs.values()]
    start, zones = ago(since, now), {job.timezone for job in asked}
    with asking("looking up every scheduled time…") as progress:
        reader = Reader(target, progress)
        rows = tuple(reader.row(job, start, now, limit=limit) for job in asked)
        zone = ZoneInfo(zones.pop() if len(zones) == 1 else "UTC")
        picture = pictures.Timeline(stage=stage, start=start, end=now, zone=zone, rows=rows)
        text = pages.html(picture, target.run) if page else ""
    if page:
        try:
            page.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Stop(f"{page} can't be written: {error.strerror}") from error
        err.print(f"wrote {page}", markup=False)
    if as_json:
        print_json([_row_json(row) for row in rows])
    elif not page:
        for line in pictures.drawn(picture, out.width):
            out.print(line)
    for row in rows:
        if row.left_out:
            err.print(
                f"{row.job}: {row.left_out} earlier scheduled times are left out; --limit sets how many are shown"
            )


def _row_json(row: "Row") -> dict[str, Any]:
    tasks = [
        {"arn": t.arn, "started_at": stamp(t.started), "ended_at": stamp(t.ended) if t.ended else None}
        for t in row.tasks
    ]
    return {
        "job": row.job,
        "entries": [entry_json(entry) for entry in row.entries],
        "tasks_by_hand": tasks,
        "left_out": row.left_out,
        "deployed": row.deployed,
    }
