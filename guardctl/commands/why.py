"""``guardctl why``."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from chalicelib.config.jobs import Job
from chalicelib.decide import schedule
from chalicelib.read.executions import StepFunctions
from guardctl import links, run_state
from guardctl.console import JobArgument, JsonOption, StageOption, asking, command, moment, out, print_json
from guardctl.errors import NOT_RUN, Stop
from guardctl.ledger import GOOD, Entry
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.wording import entry_json, local, sentence


@command(
    example="guardctl why nightly-report 2026-11-23T18:00",
    exit_codes="Exit codes: 0 it ran, or still may · 1 it did not run, or its run failed · 2, 3 as for every command.",
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
        concerns = {e.arn: _concern(target, e, now) for e in entries if e.outcome == "running" and e.arn}
        if all(entry.guard_execution is None and entry.outcome != "forgotten" for entry in entries):
            _require_scheduled(reader.deployed(asked)[0], at, zone, target)
    if as_json:
        more = [
            {"sentence": sentence(entry, zone), "concern": concerns.get(entry.arn or "") or None} for entry in entries
        ]
        print_json([{**entry_json(entry), **also} for entry, also in zip(entries, more, strict=True)])
    else:
        for entry in entries:
            out.print(sentence(entry, zone), markup=False)
            if concern := concerns.get(entry.arn or ""):
                out.print(f"  {concern}", markup=False)
            _details(target, entry, zone)
    if entries[-1].outcome not in GOOD:
        raise typer.Exit(NOT_RUN)


def _json(entry: Entry, zone: ZoneInfo, concern: str | None) -> dict[str, Any]:
    return {**entry_json(entry), "sentence": sentence(entry, zone), "concern": concern or None}


def _concern(stage: Stage, entry: Entry, now: datetime) -> str:
    """Why an open run has no live task, if that is so."""
    details = StepFunctions(stage.stepfunctions).details(entry.arn or "")
    if details is None or details.execution.closed:
        return ""
    return run_state.look(stage, entry.job, details.execution, now).concern


def _require_scheduled(job: Job, at: datetime, zone: ZoneInfo, stage: Stage) -> None:
    """Raise `Stop`, naming the neighbours, for a time that is not in the schedule."""
    if schedule.latest(job.schedules, job.timezone, at, within=timedelta(0)):
        return
    before = schedule.latest(job.schedules, job.timezone, at, within=timedelta(days=366))
    after = next(iter(schedule.upcoming(job.schedules, job.timezone, at, limit=1)), None)
    near = " and ".join(local(time, zone) for time in (before, after) if time)
    nearest = f"the nearest are {near}" if near else "it has no schedule"
    raise Stop(
        f"{job.name} has no scheduled time at {local(at, zone)}, and nothing was started for it; {nearest}; "
        f"starts by hand are in: {stage.command('history', job.name)}"
    )


def _details(target: Stage, entry: Entry, zone: ZoneInfo) -> None:
    slot = ("--slot", str(entry.slot)) if entry.slot > 1 else ()
    lines: dict[str, str | None] = {
        "started": local(entry.started, zone) if entry.started else None,
        "ended": local(entry.ended, zone) if entry.ended else None,
        "guard": entry.guard_execution,
        "": links.execution(target.guard_execution(entry.guard_execution)) if entry.guard_execution else None,
        "run": entry.run_told,
        " ": links.execution(entry.arn) if entry.arn else None,
        "logs": target.command("logs", entry.job, entry.run, *slot) if entry.run else None,
    }
    for name, value in lines.items():
        if value:
            out.print(f"  {name:<8} {value}", markup=False)
