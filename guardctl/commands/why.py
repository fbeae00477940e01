"""``guardctl why``."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from chalicelib.config.jobs import Job
from chalicelib.decide import schedule
from chalicelib.read.executions import StepFunctions
from guardctl import links, log_lines, run_state
from guardctl.console import (
    LIMIT,
    JobArgument,
    JsonOption,
    StageOption,
    TzOption,
    asking,
    command,
    out,
    past_moment,
    print_json,
)
from guardctl.days_off import with_verdict
from guardctl.errors import AWS, NOT_RUN, Stop
from guardctl.ledger import GOOD, Entry
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.survey import Survey
from guardctl.wording import clock, entry_json, local, localised, sentence


@command(
    example='guardctl why nightly-report "yesterday 03:00"',
    exit_codes="Exit codes: 0 it ran, still may, or in shadow would have · 1 it did not run, or its run failed · "
    "2, 3 as for every command.",
)
def why(
    job: JobArgument,
    time: Annotated[
        str | None,
        typer.Argument(help='03:00, "yesterday 03:00", 2026-11-23T18:00, or run-42; the last bad one when left out.'),
    ] = None,
    stage: StageOption = "dev",
    tz: TzOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what became of a scheduled time, or of a run.

    In one sentence, and then in detail. Without a time: the last one of the past week, or of a job that is due all the
    time of the past day, that needs a person.
    """
    target, now = Stage(stage, tz=tz), datetime.now(UTC)
    asked, zone, reader = target.job(job), target.zone, Reader(target)
    with asking("looking it up…"):
        entries = entries_of(reader, asked, time, now)
        concerns = {e.arn: _concern(target, e, now) for e in entries if e.outcome == "running" and e.arn}
    if as_json:
        more = [
            {"sentence": sentence(entry, zone), "concern": concerns.get(entry.arn or "") or None} for entry in entries
        ]
        print_json(target, entries=[{**entry_json(e), **also} for e, also in zip(entries, more, strict=True)])
    elif not entries:
        out.print(f"{job}: nothing since {local(now - _back(reader, asked, now)[-1], zone)} needs a person")
    else:
        for entry in entries:
            out.print(sentence(entry, zone), markup=False)
            if concern := concerns.get(entry.arn or ""):
                out.print(f"  {localised(concern, zone)}", markup=False)
            _details(target, entry, zone)
    if entries and entries[-1].outcome not in GOOD:
        raise typer.Exit(NOT_RUN)


_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_RUN = re.compile(r"run-[0-9]+|[0-9]+")


def entries_of(reader: Reader, job: Job, text: str | None, now: datetime) -> list[Entry]:
    """What is asked about: a time and its repetitions, a run, or the last bad one. Raises `Stop`."""
    target, zone = reader.stage, reader.stage.zone
    if text is None:
        for back in _back(reader, job, now):
            (row,) = Survey(reader, [job], now - back, now).rows()
            if row.unread:
                raise Stop(row.unread, AWS)
            if bad := [entry for entry in row.entries if entry.needs_a_person]:
                return bad[-1:]
        return []
    if _RUN.fullmatch(text):
        return [reader.of_run(job, log_lines.find_run(reader, job, text, None, now))]
    at = past_moment(text, zone, now, "TIME", also="run-42, ")
    if at.second or at.microsecond:
        raise Stop(f"scheduled times are whole minutes, and {text} is not one")
    if at > now:
        raise Stop(f"{local(at, zone)} has not come yet")
    entries = reader.entry(job, at, now)
    if all(entry.guard_execution is None and entry.outcome != "forgotten" for entry in entries):
        require_scheduled(reader.deployed(job)[0], at, target)
    return entries


def _back(reader: Reader, job: Job, now: datetime) -> tuple[timedelta, ...]:
    """How far the last bad one is looked for: a day, and of a job that is not due all the time a week."""
    job, _ = reader.deployed(job)
    often = len(schedule.between(job.schedules, job.timezone, now - _WEEK, now, limit=LIMIT)) == LIMIT
    return (_DAY,) if often else (_DAY, _WEEK)


def _concern(stage: Stage, entry: Entry, now: datetime) -> str:
    """Why an open run has no live task, if that is so."""
    details = StepFunctions(stage.stepfunctions).details(entry.arn or "")
    if details is None or details.execution.closed:
        return ""
    return run_state.look(stage, entry.job, details.execution, now).concern


def require_scheduled(job: Job, at: datetime, stage: Stage) -> None:
    """Raise `Stop`, naming the neighbours, and the holiday, for a time that is not in the schedule."""
    zone, day = stage.zone, at.astimezone(ZoneInfo(job.timezone)).date()
    if with_verdict(job.schedules, job.timezone, at - timedelta(seconds=1), at):
        return
    before = schedule.latest(job.schedules, job.timezone, at, within=timedelta(days=366))
    after = next(iter(schedule.upcoming(job.schedules, job.timezone, at, limit=1)), None)
    near = " and ".join(local(time, zone) for time in (before, after) if time)
    nearest = f"the nearest are {near}" if near else "it has no schedule"
    rule = next((each.rule for each in job.schedules if each.rule), None)
    if rule and (holiday := rule.calendar.holiday(day)):
        nearest = f"{day} is no business day of calendar {rule.calendar.name}: {holiday}; {nearest}"
    raise Stop(
        f"{job.name} has no scheduled time at {local(at, zone)}, and nothing was started for it; {nearest}; "
        f"starts by hand are in: {stage.command('history', job.name)}"
    )


def _details(target: Stage, entry: Entry, zone: ZoneInfo) -> None:
    slot = ("--slot", str(entry.slot)) if entry.slot > 1 else ()
    lines: dict[str, str | None] = {
        "started": clock(entry.started, zone) if entry.started else None,
        "ended": clock(entry.ended, zone) if entry.ended else None,
        "guard": entry.guard_execution,
        "": links.execution(target.guard_execution(entry.guard_execution)) if entry.guard_execution else None,
        "run": entry.run_told,
        " ": links.execution(entry.arn) if entry.arn else None,
        "logs": target.command("logs", entry.job, entry.run, *slot) if entry.run else None,
    }
    for name, value in lines.items():
        if value:
            out.print(f"  {name:<8} {value}", markup=False)
