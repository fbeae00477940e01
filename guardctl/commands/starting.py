"""Commands that make a job do something."""

import json
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from guardctl.commands.console import JobArgument, JsonOption, StageOption, err, group, moment, out
from guardctl.errors import NOT_RUN, Stop, explained
from guardctl.stage import Stage

app = group()


@app.command(epilog='Example: python -m guardctl run nightly-report --command "bin/report --day 2026-11-23" --wait')
def run(
    job: JobArgument,
    stage: StageOption = "dev",
    command: Annotated[
        str | None,
        typer.Option("--command", help="Replaces the container's command for this run (split like a shell)."),
    ] = None,
    scheduled_at: Annotated[
        str | None,
        typer.Option("--scheduled-at", help="The time to run for: 2026-11-23T18:00, in the job's zone, or …Z."),
    ] = None,
    first: Annotated[
        bool,
        typer.Option("--first", help="After a rest of 80 days or more: you vouch that nothing is running."),
    ] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also when the job is paused.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run to end, not only for the decision.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a job by hand, through its guard: it steps back when the job is running."""
    import shlex  # noqa: PLC0415 (only this command splits)

    from guardctl import runs  # noqa: PLC0415 (needs nothing of it elsewhere)

    target = Stage(stage)
    zone = ZoneInfo(target.job(job).timezone)
    at = moment(scheduled_at, zone, "--scheduled-at") if scheduled_at else None
    try:
        commands = shlex.split(command) if command else None
    except ValueError as error:
        raise Stop(f"--command {command!r} can't be split: {error}") from error
    with explained():
        arn = runs.start(target, job, commands=commands, scheduled_at=at, first=first, anyway=anyway)
        with err.status("waiting for the decision…"):
            verdict = runs.verdict(target, arn, lambda: None)
        while wait and verdict.waiter:
            with err.status(f"{verdict.reason} (Ctrl-C stops waiting here, not in the queue)"):
                verdict = runs.verdict(target, verdict.waiter, lambda: None)
        result: dict[str, Any] = {
            "job": job,
            "guard_execution": arn,
            "started": verdict.started,
            "run": verdict.run,
            "queued": verdict.waiter,
        }
        ok, sentence = verdict.started or verdict.waiter is not None, verdict.reason
        if verdict.run and wait:
            if not as_json:
                out.print(f"{job}: {sentence}")
            with err.status(f"{verdict.run.rpartition(':')[2]} is running… (Ctrl-C stops waiting, not the run)"):
                ok, sentence = runs.outcome(target, verdict.run, lambda: None)
    if as_json:
        out.print_json(json.dumps({**result, "ok": ok, "reason": sentence}))
    else:
        out.print(f"{job}: {sentence}", markup=False)
    if not ok:
        raise typer.Exit(NOT_RUN)
