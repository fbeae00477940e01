"""``guardctl status``."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from chalicelib.decide.facts import span, stamp
from chalicelib.names import run_number
from guardctl import job_status, links, triage, watching
from guardctl.chart import GLYPHS, STYLES, shortened
from guardctl.console import (
    JsonOption,
    NamedJob,
    StageOption,
    TzOption,
    asking,
    command,
    err,
    out,
    print_json,
)
from guardctl.errors import Stop
from guardctl.ledger import Entry, Outcome, run_told
from guardctl.stage import Stage
from guardctl.standing import JobStatus, StageStatus
from guardctl.triage import Judged
from guardctl.wording import entry_json, folded, localised, sentence


@command(example="guardctl status --watch")
def status(
    job: Annotated[str | None, NamedJob("One job, in detail; all of them when left out.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every ten seconds, until Ctrl-C.")] = False,
    stage: StageOption = "dev",
    tz: TzOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how the jobs stand, the worst first.

    Failed, late, missed, in the way, waiting, paused, running or ok, and why; the last ten outcomes; the trigger, who
    holds and who waits for a pool, drift.
    """
    if watch and (job or as_json):
        raise Stop("--watch shows all jobs, for people: leave out the job and --json")
    target = Stage(stage, tz=tz)
    jobs = [target.job(job)] if job else [*target.file.jobs.values()]
    if watch:
        watching.watch(target, jobs, board)
        return
    with asking("asking AWS…") as progress:
        found = job_status.read(target, jobs, datetime.now(UTC), progress, closely=job is not None)
    if as_json:
        print_json(target, **_json(target, found))
    elif job:
        (judged,) = triage.triage(found.jobs, found.read_at)
        line, zone = judged.line, target.zone
        out.print(f"{line.job}: {judged.level} (times in {found.read_at.astimezone(zone):%Z})", markup=False)
        for name, value in _card(judged, found.read_at, zone):
            for number, text in enumerate(value.splitlines()):
                out.print(f"  {'' if number else name:<12} {localised(text, zone, named=True)}", markup=False)
    else:
        for row in board(target, found, out.width if out.is_terminal else None):
            out.print(row)
    if not as_json:
        for difference in found.drift:
            err.print(f"drift: {difference}", markup=False)
        deploy = target.command("deploy")
        if any(line.state == "not deployed" for line in found.jobs) and not any(deploy in said for said in found.drift):
            err.print(f"deploy: {deploy}", markup=False)


_WITHOUT_NAME, _LEAST_NAME = 49, 14
"""Characters of a row besides the job's name, and the fewest of that, where a terminal has no room."""


def board(stage: Stage, found: StageStatus, width: int | None) -> Iterator[Text]:
    """All jobs in lines of `width` characters; in a pipe, as long as they are."""
    zone, now = stage.zone, found.read_at
    judged = triage.triage(found.jobs, now)
    yield Text(f"{stage.name}, {now.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}: {triage.counts(judged)}")
    trouble, told = found.trigger.trouble(now), f"trigger: {found.trigger.told(now)}"
    told += f" → {found.trigger.command(stage)}" if trouble else ""
    for line in folded(localised(told, zone, named=True), width, ""):
        yield Text(line, style="bold red" if trouble else "dim")
    pools = {line.pool.name: line for line in found.jobs if line.pool and (line.pool.held or line.pool.waiting)}
    for shared in pools.values():
        told = "pool " + _pool(shared).replace("\n", "; ")
        yield from map(Text, folded(localised(told, zone, named=True), width, ""))
    wide = max((len(each.line.job) for each in judged), default=0)
    if width is not None:
        wide = min(wide, max(_LEAST_NAME, width - _WITHOUT_NAME))
    yield Text(f"{'state':<13} {'job':<{wide}} {'lately':<10} {'last run':<11} {'next':<11}".rstrip(), style="dim")
    for each in judged:
        yield from _row(each, wide, zone, width)
        for difference in each.line.drift if each.level != "not deployed" else ():
            yield Text(f"    drift: {difference}")


def _row(each: Judged, wide: int, zone: ZoneInfo, width: int | None) -> Iterator[Text]:
    line, (mark, style), job = each.line, triage.MARKS[each.level], shortened(each.line.job, wide)
    last = _short(line.last.ended, zone) if line.last and line.last.ended else ""
    upcoming = _short(line.next_time, zone) if line.next_time else "by hand"
    times = f" {last:<11} {upcoming:<11}"
    row = Text.assemble((f"{mark} {each.level:<11}", style), f" {job:<{wide}} ", _strip(line), times)
    reason = localised(each.reason, zone, named=True)
    fits = width is None or row.cell_len + 1 + len(reason) <= width
    if reason and fits:
        row.append(f" {reason}")
    row.rstrip()
    yield row
    if reason and not fits:
        yield from map(Text, folded(reason, width))


def _strip(line: JobStatus) -> Text:
    """The last ten outcomes, oldest first: a run's as in `timeline`; what a start that failed was is not looked up."""
    known = {line.not_started[1].guard_execution: line.not_started[1].outcome} if line.not_started else {}
    strip = Text(" " * (10 - len(line.strip)))
    for execution in line.strip:
        outcome = known.get(execution.name) or _OUTCOMES.get(execution.status, "running")
        if run_number(execution.name) is None and execution.name not in known:
            outcome = "not looked up"
        strip.append(GLYPHS[outcome], style=STYLES.get(outcome, ""))
    return strip


_OUTCOMES: dict[str, Outcome] = {
    "SUCCEEDED": "ran",
    "FAILED": "failed",
    "TIMED_OUT": "timed out",
    "ABORTED": "stopped",
}


def _short(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%m-%d %H:%M}"


def _card(judged: Judged, now: datetime, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    """What is known of one job, by name; instants as `stamp` writes them."""
    line = judged.line
    last, usual = line.last, line.usual
    if judged.level in {"failed", "late", "missed", "skipped", "in the way"}:
        yield "why", judged.reason
    if line.run:
        age = span(now - line.run.started_at)
        since = stamp(line.run.started_at)
        by = f", by hand ({line.by})" if line.by else ""
        yield "run", f"{run_told(line.run.arn)}, for {age}, since {since}{by}\n{links.execution(line.run.arn)}"
        task = f"{line.task}\n{links.task(line.task)}" if line.task else "ECS shows none yet"
        yield "task", f"{line.concern}\n{task}" if line.concern else task
    if line.pool:
        yield "pool", _pool(line)
    yield "last run", sentence(last, zone, named=True) if last else "none yet"
    if usual:
        yield "usually", f"{span(usual.median)}, p95 {span(usual.p95)} (of {usual.runs} that succeeded)"
    yield "next time", stamp(line.next_time) if line.next_time else "none: it is started by hand only"
    if line.in_shadow:
        yield "in shadow", triage.in_shadow(line)
    yield "last skip", _step_back(line) or "none lately"
    yield "paused", line.pause.told if line.pause else "no"
    yield "deployed", "\n".join(line.drift) or "as the jobs file says"
    yield "a start now", line.start_now


def _step_back(line: JobStatus) -> str:
    if line.not_started is None:
        return ""
    when, entry = line.not_started
    return f"{stamp(when)}, {entry.outcome}: {entry.reason}"


def _pool(line: JobStatus) -> str:
    """Who holds the pool, a line a slot, and who waits for it, in the order in which they go."""
    pool = line.pool
    if pool is None:
        return ""
    held = {
        each.slot: f"{each.job or 'a job whose name is not visible yet'} as {each.run.name} "
        f"since {stamp(each.run.started_at)}"
        for each in pool.held
    }
    slots = [
        f"{f'slot {slot}: ' if pool.slots > 1 else ''}{held.get(slot, 'no run')}" for slot in range(1, pool.slots + 1)
    ]
    waiters = [f"{each.name} waits since {stamp(each.started_at)}" for each in pool.waiting]
    return "\n".join([f"{pool.name}: {slots[0]}", *slots[1:], *waiters])


def _json(stage: Stage, found: StageStatus) -> dict[str, Any]:
    levels = {each.line.job: each for each in triage.triage(found.jobs, found.read_at)}
    trigger, trouble = found.trigger, found.trigger.trouble(found.read_at)
    return {
        "trigger": {
            "rule": trigger.rule,
            "last_tick": stamp(trigger.last_tick) if trigger.last_tick else None,
            "errors": trigger.errors,
            "trouble": trouble or None,
            "command": trigger.command(stage) if trouble else None,
        },
        "drift": [*found.drift],
        "jobs": [_status_json(levels[line.job]) for line in found.jobs],
    }


def _status_json(judged: Judged) -> dict[str, Any]:
    line = judged.line
    run, last, usual = line.run, line.last, line.usual
    when, step = line.not_started or (None, None)
    return {
        "job": line.job,
        "state": line.state,
        "level": judged.level,
        "reason": judged.reason,
        "run": {
            "name": run.name,
            "since": stamp(run.started_at),
            "arn": run.arn,
            "by": line.by,
            "task": line.task,
            "concern": line.concern or None,
        }
        if run
        else None,
        "last_run": _last_json(last) if last else None,
        "usual_seconds": {"median": usual.median.total_seconds(), "p95": usual.p95.total_seconds(), "runs": usual.runs}
        if usual
        else None,
        "late": entry_json(line.late) if line.late else None,
        "next_time": stamp(line.next_time) if line.next_time else None,
        "last_skip": {"at": stamp(when), "outcome": step.outcome, "reason": step.reason} if when and step else None,
        "in_shadow": line.in_shadow,
        "would_have": entry_json(line.would_have) if line.would_have else None,
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
        "drift": [*line.drift],
    }


def _last_json(last: Entry) -> dict[str, Any]:
    """The last run; who asked for it, and for which time, is known of one job that was looked at closely."""
    unknown = {} if last.guard_execution else {"scheduled_at": None, "by_hand": None}
    return {**entry_json(last), **unknown}
