"""Commands that only look."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape
from rich.table import Table

from chalicelib import schedule
from chalicelib.guard import stamp
from chalicelib.jobs import Job
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
from guardctl.wording import length, local, sentence

if TYPE_CHECKING:
    from guardctl.status import JobStatus

LIMIT = 200
"""Scheduled times that history and timeline look up of each job; each is a call of its own."""

SinceOption = Annotated[str, typer.Option("--since", help='How far back: "90m", "24h", "7d", at most "90d".')]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Look up so many scheduled times of a job at most.")]

app = group()


@app.command(epilog="Example: python -m guardctl status nightly-report")
def status(
    job: Annotated[str | None, typer.Argument(help="One job, in detail; all of them when left out.")] = None,
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """How the jobs stand: running or free, last run, usual duration, next time, last skip, pause, drift."""
    from guardctl import status as reading  # noqa: PLC0415 (needs botocore)

    target, now = Stage(stage), datetime.now(UTC)
    jobs = [target.job(job)] if job else [*target.file.jobs.values()]
    with asking("asking AWS…") as progress:
        found = reading.read(target, jobs, now, progress)
        would = reading.start_now(target, job, now) if job else None
    if as_json:
        lines = [_status_json(line, found.drift) for line in found.jobs]
        print_json([{**line, "start_now": would} for line in lines] if would else lines)
    elif job:
        (line,) = found.jobs
        out.print(f"{line.job}: {line.state}")
        for name, value in [*_card(line, now), ("a start now", would or "")]:
            for number, text in enumerate(value.splitlines()):
                out.print(f"  {'' if number else name:<12} {text}", markup=False)
    else:
        _status_table(found.jobs)
    if not as_json:
        for difference in found.drift:
            err.print(f"drift: {difference}", markup=False)


def _status_table(lines: Iterable["JobStatus"]) -> None:
    table = Table("job", "state", "last run", "usually", "next time", box=None, pad_edge=False)
    notes = []
    for line in lines:
        zone = ZoneInfo(line.timezone)
        since = f" {line.run.name} since {local(line.run.started_at, zone)}" if line.run else ""
        last = line.last
        ended = f"{last.run} {last.outcome} {local(last.ended, zone)}" if last and last.ended else "none yet"
        table.add_row(
            line.job,
            f"{line.state}{since}",
            ended,
            length(line.usual.median) if line.usual else "",
            local(line.next_time, zone) if line.next_time else "by hand only",
        )
        shown = [
            ("drift", "; ".join(line.drift)),
            ("last skip", _step_back(line, zone)),
            ("paused", _paused(line, zone)),
        ]
        notes += [f"{line.job}: {name}: {value}" for name, value in shown if value]
    out.print(table)
    for note in notes:
        out.print(note, markup=False)


def _card(line: "JobStatus", now: datetime) -> Iterator[tuple[str, str]]:
    """What is known of one job, by name."""
    zone, last, usual = ZoneInfo(line.timezone), line.last, line.usual
    if line.run:
        age = length(now - line.run.started_at)
        since = local(line.run.started_at, zone)
        yield "run", f"{line.run.name}, for {age}, since {since}\n{links.execution(line.run.arn)}"
        yield "task", f"{line.task}\n{links.task(line.task)}" if line.task else "ECS shows none yet"
    yield "last run", sentence(last, zone) if last else "none yet"
    if usual:
        yield "usually", f"{length(usual.median)}, p95 {length(usual.p95)} (of {usual.runs} that succeeded)"
    yield "next time", local(line.next_time, zone) if line.next_time else "none: it is started by hand only"
    yield "last skip", _step_back(line, zone) or "none lately"
    yield "paused", _paused(line, zone) or "no"
    yield "deployed", "\n".join(line.drift) or "as the jobs file says"


def _step_back(line: "JobStatus", zone: ZoneInfo) -> str:
    if line.not_started is None:
        return ""
    when, entry = line.not_started
    return f"{local(when, zone)}, {entry.outcome}: {entry.reason}"


def _paused(line: "JobStatus", zone: ZoneInfo) -> str:
    return f"since {local(line.pause.since, zone)}: {line.pause.reason}" if line.pause else ""


def _status_json(line: "JobStatus", stage_drift: Iterable[str]) -> dict[str, Any]:
    run, last, usual = line.run, line.last, line.usual
    when, step = line.not_started or (None, None)
    return {
        "job": line.job,
        "state": line.state,
        "run": {"name": run.name, "since": stamp(run.started_at), "arn": run.arn, "task": line.task} if run else None,
        "last_run": _entry_json(last) if last else None,
        "usual_seconds": {"median": usual.median.total_seconds(), "p95": usual.p95.total_seconds(), "runs": usual.runs}
        if usual
        else None,
        "next_time": stamp(line.next_time) if line.next_time else None,
        "last_skip": {"at": stamp(when), "outcome": step.outcome, "reason": step.reason} if when and step else None,
        "paused": {"since": stamp(line.pause.since), "reason": line.pause.reason} if line.pause else None,
        "drift": [*line.drift, *stage_drift],
    }


@app.command(
    epilog="Exit codes: 0 it ran, or still may · 1 it did not run, or its run failed · 2, 3 as for every command."
    " Example: python -m guardctl why nightly-report 2026-11-23T18:00"
)
def why(
    job: JobArgument,
    time: Annotated[str, typer.Argument(help="The scheduled time: 2026-11-23T18:00, in the job's zone, or …Z.")],
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """What became of a scheduled time: in one sentence, and then in detail."""
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
            _require_scheduled(reader.deployed(asked)[0], at, zone)
    if as_json:
        print_json([{**_entry_json(entry), "sentence": sentence(entry, zone)} for entry in entries])
    else:
        for entry in entries:
            out.print(sentence(entry, zone), markup=False)
            _details(target, entry, zone)
    if entries[-1].outcome not in GOOD:
        raise typer.Exit(NOT_RUN)


def _require_scheduled(job: Job, at: datetime, zone: ZoneInfo) -> None:
    """Raise `Stop`, naming the neighbours, for a time that is not in the schedule."""
    if schedule.latest(job.schedules, job.timezone, at, within=timedelta(0)):
        return
    before = schedule.latest(job.schedules, job.timezone, at, within=timedelta(days=366))
    after = next(iter(schedule.upcoming(job.schedules, job.timezone, at, limit=1)), None)
    near = " and ".join(local(time, zone) for time in (before, after) if time)
    nearest = f"the nearest are {near}" if near else "it has no schedule"
    raise Stop(f"{job.name} has no scheduled time at {local(at, zone)}, and nothing was started for it; {nearest}")


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
    """A line per scheduled time: what became of it, also of times that nothing was ever started for."""
    target, now = Stage(stage), datetime.now(UTC)
    asked = target.job(job)
    zone, start = ZoneInfo(asked.timezone), ago(since, now)
    with asking("looking up every scheduled time…") as progress:
        entries, left_out = Reader(target, progress).entries(asked, start, now, limit=limit)
    if as_json:
        print_json([_entry_json(entry) for entry in entries])
    else:
        table = Table("scheduled", "outcome", "started", "run", "took", "reason", box=None, pad_edge=False)
        for entry in entries:
            hand = " by hand" if entry.by_hand else ""
            late = f" ({length(entry.late)} late)" if entry.late else ""
            table.add_row(
                local(entry.scheduled, zone),
                f"{_mark(entry)} {entry.outcome}{hand}",
                f"{entry.started.astimezone(zone):%H:%M:%S}{late}" if entry.started else "",
                entry.run or "",
                length(entry.duration) if entry.duration is not None else "",
                escape(entry.reason),
            )
        out.print(table if entries else f"{job}: no scheduled time and no run since {local(start, zone)}")
    if left_out:
        err.print(f"{left_out} earlier scheduled times are left out; --limit {limit + left_out} shows them all")


def _mark(entry: Entry) -> str:
    return "·" if entry.outcome in GOOD else "✗"


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "job": entry.job,
        "scheduled_at": stamp(entry.scheduled),
        "outcome": entry.outcome,
        "by_hand": entry.by_hand,
        "reason": entry.reason,
        "run": entry.run,
        "started_at": stamp(entry.started) if entry.started else None,
        "ended_at": stamp(entry.ended) if entry.ended else None,
        "duration_seconds": entry.duration.total_seconds() if entry.duration is not None else None,
        "late_seconds": entry.late.total_seconds() if entry.late else None,
        "guard_execution": entry.guard_execution,
    }
