"""``guardctl status``."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from chalicelib.decide.facts import span, stamp
from guardctl import job_status, links
from guardctl.console import (
    JsonOption,
    StageOption,
    asking,
    command,
    err,
    out,
    print_json,
)
from guardctl.job_status import JobStatus
from guardctl.ledger import Entry, run_told
from guardctl.stage import Stage
from guardctl.wording import entry_json, local, sentence


@command(example="guardctl status nightly-report")
def status(
    job: Annotated[str | None, typer.Argument(help="One job, in detail; all of them when left out.")] = None,
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """Show how the jobs stand.

    Running or free, who holds and who waits for its pool, last run, usual duration, next time, last skip, pause, drift.
    """
    target, now = Stage(stage), datetime.now(UTC)
    jobs = [target.job(job)] if job else [*target.file.jobs.values()]
    with asking("asking AWS…") as progress:
        found = job_status.read(target, jobs, now, progress, closely=job is not None)
    if as_json:
        print_json([_status_json(line, found.drift) for line in found.jobs])
    elif job:
        (line,) = found.jobs
        out.print(f"{line.job}: {line.state}")
        for name, value in [*_card(line, now), ("a start now", line.start_now)]:
            for number, text in enumerate(value.splitlines()):
                out.print(f"  {'' if number else name:<12} {text}", markup=False)
    else:
        _status_table(found.jobs, now)
    if not as_json:
        for difference in found.drift:
            err.print(f"drift: {difference}", markup=False)
        if any(line.state == "not deployed" for line in found.jobs):
            err.print(f"deploy: {target.command('deploy')}", markup=False)


def _status_table(lines: Iterable[JobStatus], now: datetime) -> None:
    # A row of usual names fits 80 columns, which is also what a pipe gets. Names and years: `status JOB`, --json.
    table = Table("job", "state", "last run", "usually", "next time", "zone", box=None, pad_edge=False)
    notes: list[str] = []
    pools: dict[str, str] = {}
    for line in lines:
        zone, last = ZoneInfo(line.timezone), line.last
        table.add_row(
            line.job,
            f"{line.state} {span(now - line.run.started_at)}" if line.run else line.state,
            f"{last.outcome} {_short(last.ended, zone)}" if last and last.ended else "none yet",
            span(line.usual.median) if line.usual else "",
            _short(line.next_time, zone) if line.next_time else "by hand",
            f"{(line.next_time or now).astimezone(zone):%Z}",
        )
        shown = [
            ("drift:", "; ".join(line.drift)),
            ("is", line.concern),
            ("last skip:", _step_back(line, zone)),
            ("paused", _paused(line, zone)),
        ]
        notes += [f"{line.job}: {name} {value}" for name, value in shown if value]
        if line.pool and (line.pool.held or line.pool.waiting):
            pools[line.pool.name] = "pool " + _pool(line, zone).replace("\n", "; ")
    out.print(table)
    for note in (*notes, *pools.values()):
        out.print(note, markup=False)


def _short(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%m-%d %H:%M}"


def _card(line: JobStatus, now: datetime) -> Iterator[tuple[str, str]]:
    """What is known of one job, by name."""
    zone, last, usual = ZoneInfo(line.timezone), line.last, line.usual
    if line.run:
        age = span(now - line.run.started_at)
        since = local(line.run.started_at, zone)
        yield "run", f"{run_told(line.run.arn)}, for {age}, since {since}\n{links.execution(line.run.arn)}"
        task = f"{line.task}\n{links.task(line.task)}" if line.task else "ECS shows none yet"
        yield "task", f"{line.concern}\n{task}" if line.concern else task
    if line.pool:
        yield "pool", _pool(line, zone)
    yield "last run", sentence(last, zone) if last else "none yet"
    if usual:
        yield "usually", f"{span(usual.median)}, p95 {span(usual.p95)} (of {usual.runs} that succeeded)"
    yield "next time", local(line.next_time, zone) if line.next_time else "none: it is started by hand only"
    yield "last skip", _step_back(line, zone) or "none lately"
    yield "paused", _paused(line, zone) or "no"
    yield "deployed", "\n".join(line.drift) or "as the jobs file says"


def _step_back(line: JobStatus, zone: ZoneInfo) -> str:
    if line.not_started is None:
        return ""
    when, entry = line.not_started
    return f"{local(when, zone)}, {entry.outcome}: {entry.reason}"


def _paused(line: JobStatus, zone: ZoneInfo) -> str:
    return line.pause.told(zone) if line.pause else ""


def _pool(line: JobStatus, zone: ZoneInfo) -> str:
    """Who holds the pool, a line a slot, and who waits for it, in the order in which they go."""
    pool = line.pool
    if pool is None:
        return ""
    held = {
        each.slot: f"{each.job or 'a job whose name is not visible yet'} as {each.run.name} "
        f"since {local(each.run.started_at, zone)}"
        for each in pool.held
    }
    slots = [
        f"{f'slot {slot}: ' if pool.slots > 1 else ''}{held.get(slot, 'no run')}" for slot in range(1, pool.slots + 1)
    ]
    waiters = [f"{each.name} waits since {local(each.started_at, zone)}" for each in pool.waiting]
    return "\n".join([f"{pool.name}: {slots[0]}", *slots[1:], *waiters])


def _status_json(line: JobStatus, stage_drift: Iterable[str]) -> dict[str, Any]:
    run, last, usual = line.run, line.last, line.usual
    when, step = line.not_started or (None, None)
    return {
        "job": line.job,
        "state": line.state,
        "run": {
            "name": run.name,
            "since": stamp(run.started_at),
            "arn": run.arn,
            "task": line.task,
            "concern": line.concern or None,
        }
        if run
        else None,
        "last_run": _last_json(last) if last else None,
        "usual_seconds": {"median": usual.median.total_seconds(), "p95": usual.p95.total_seconds(), "runs": usual.runs}
        if usual
        else None,
        "next_time": stamp(line.next_time) if line.next_time else None,
        "last_skip": {"at": stamp(when), "outcome": step.outcome, "reason": step.reason} if when and step else None,
        "paused": {
            "since": stamp(line.pause.since),
            "until": stamp(line.pause.until) if line.pause.until else None,
            "reason": line.pause.reason,
        }
        if line.pause
        else None,
        "pool": {
            "name": line.pool.name,
            "slots": line.pool.slots,
            "held": [
                {
                    "slot": held.slot,
                    "job": held.job,
                    "run": held.run.name,
                    "since": stamp(held.run.started_at),
                    "arn": held.run.arn,
                }
                for held in line.pool.held
            ],
            "waiting": [{"name": e.name, "since": stamp(e.started_at), "arn": e.arn} for e in line.pool.waiting],
        }
        if line.pool
        else None,
        "start_now": line.start_now,
        "drift": [*line.drift, *stage_drift],
    }


def _last_json(last: Entry) -> dict[str, Any]:
    """The last run; who asked for it, and for which time, is known of one job that was looked at closely."""
    unknown = {} if last.guard_execution else {"scheduled_at": None, "by_hand": None}
    return {**entry_json(last), **unknown}
