"""Commands that make a job do something."""

import json
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from guardctl.commands.console import (
    JobArgument,
    JsonOption,
    StageOption,
    asking,
    confirmed,
    err,
    group,
    moment,
    out,
    print_json,
)
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
    """Start a job by hand, through its guard.

    It steps back when the job is running, as a scheduled start does.
    """
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
            if not as_json:
                out.print(f"{job}: {verdict.reason}", markup=False)
            with err.status("waiting for its turn… (Ctrl-C stops waiting here, not in the queue)"):
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
        out.print(f"{job}: {sentence if ok or verdict.run else f'not started: {sentence}'}", markup=False)
        if not ok:
            err.print(f"how it stands: python -m guardctl status {job} --stage {stage}", markup=False)
    if not ok:
        raise typer.Exit(NOT_RUN)


@app.command(
    epilog='Example: python -m guardctl stop nightly-report --reason "wrong day"'
    "\n\nExit codes: 0 nothing of it is alive any more · 1 you said no · 2, 3 as for every command."
)
def stop(
    job: JobArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the run's record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """Stop a job's run and its task.

    The tasks of earlier runs that were closed without them, too. Waits until all are STOPPED.
    """
    from guardctl import stop as stopping  # noqa: PLC0415 (needs botocore)

    target = Stage(stage)
    asked = target.job(job)
    if as_json and not yes:
        raise Stop("--json asks no questions: say --yes with it")
    with asking("looking for what is alive…"):
        found = stopping.look(target, asked)
    named = [found.run.name] if found.run else []
    named += [f"task {task.arn.rpartition('/')[2]}" for task in found.tasks]
    stopped: tuple[str, ...] = ()
    if found.anything:
        if yes and not as_json:
            out.print(f"{job}: alive: {', '.join(named)}", markup=False)
        if not yes and not confirmed(f"Stop {' and '.join(named)} of {job}?"):
            raise Stop("nothing was stopped", NOT_RUN)
        cause = f"stopped by hand{f': {reason}' if reason else ''} ({target.who})"
        with asking("stopping… (Ctrl-C stops waiting, not the stopping)") as progress:
            stopped = stopping.stop(target, asked, found, cause, progress)
    if as_json:
        run_arn = found.run.arn if found.run else None
        print_json({"job": job, "run": run_arn, "tasks": list(stopped), "left_alone": [t.arn for t in found.others]})
        return
    if not found.anything:
        out.print(f"{job}: nothing of it is alive")
    else:
        out.print(f"{job}: stopped {', '.join(named)}", markup=False)
        out.print(f'the next start may run; prevent it: python -m guardctl pause {job} --stage {stage} --reason "…"')
    for task in found.others:
        out.print(f"left alone, since this guard did not start it: {task.arn}", markup=False)
