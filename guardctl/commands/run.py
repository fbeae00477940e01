"""``guardctl run``."""

import shlex
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from chalicelib.decide.facts import stamp
from chalicelib.names import execution_name
from guardctl import starts
from guardctl.console import JobArgument, JsonOption, StageOption, TzOption, command, err, out, past_moment, print_json
from guardctl.errors import NOT_RUN, Stop, explained
from guardctl.interrupts import finishing, interruptible
from guardctl.stage import Stage
from guardctl.wording import localised


@command(example='guardctl run nightly-report --command "bin/report --day 2026-11-23" --wait')
def run(
    job: JobArgument,
    stage: StageOption = "dev",
    command: Annotated[
        str | None,
        typer.Option("--command", help="Replaces the container's command for this run (split like a shell)."),
    ] = None,
    scheduled_at: Annotated[
        str | None,
        typer.Option("--scheduled-at", help="The time to run for: 03:00, the last one; 2026-11-23T18:00, or …Z."),
    ] = None,
    first: Annotated[
        bool,
        typer.Option("--first", help="After a rest of 80 days or more: you have made sure that nothing is running."),
    ] = False,
    after: Annotated[
        int | None,
        typer.Option("--after", min=1, help="With --first: the last run's number, where its name may still be taken."),
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also when the job is paused.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why: it is kept with your name.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run to end, not only for the decision.")] = False,
    tz: TzOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a job by hand, through its guard.

    It steps back when the job is running, as a scheduled start does.
    """
    if after and not first:
        raise Stop("--after goes with --first: you have made sure that nothing is running")
    target = Stage(stage, tz=tz)
    target.job(job)
    zone = target.zone
    at = past_moment(scheduled_at, zone, datetime.now(UTC), "--scheduled-at") if scheduled_at else None
    try:
        commands = shlex.split(command) if command else None
    except ValueError as error:
        raise Stop(f"--command {command!r} can't be split: {error}") from error
    arn: str | None = None
    verdict: starts.Verdict | None = None

    def case() -> str:
        if arn is None:
            return "nothing was started"
        if verdict is None:
            with err.status("stopping the start… (Ctrl-C again ends at once)"):
                return starts.left(target, job, starts.abandon(target, arn))
        return starts.left(target, job, starts.now(target, verdict) if verdict.waiter else verdict)

    with explained(), interruptible(case, look=target.command("status", job)):
        _ = target.guard, target.stepfunctions, target.who  # asked and made before Ctrl-C is held back
        with finishing():
            arn = starts.start(
                target,
                job,
                commands=commands,
                scheduled_at=at,
                first=first,
                after=after,
                anyway=anyway,
                reason=reason,
            )
        with err.status("waiting for the decision… (Ctrl-C stops the start)"):
            verdict = starts.verdict(target, arn)
        while wait and verdict.waiter:
            if not as_json:
                out.print(localised(f"{job}: {verdict.reason}", zone), markup=False)
            with err.status("waiting for its turn… (Ctrl-C stops waiting here, not in the queue)"):
                verdict = starts.verdict(target, verdict.waiter)
        result: dict[str, Any] = {
            "job": job,
            "guard_execution": arn,
            "started": verdict.run is not None,
            "run": verdict.run,
            "queued": verdict.waiter,
        }
        ok, sentence = bool(verdict.run or verdict.waiter), verdict.reason
        if verdict.run and wait:
            if not as_json:
                out.print(localised(f"{job}: {sentence}", zone), markup=False)
            with err.status(f"{execution_name(verdict.run)} is running… (Ctrl-C stops waiting, not the run)"):
                ok, sentence = starts.outcome(target, verdict.run)
    if as_json:
        print_json(target, **result, ok=ok, reason=sentence)
    else:
        about = f"{job} for {stamp(at)}" if at else job
        told = sentence if ok or verdict.run else f"not started: {sentence}"
        out.print(localised(f"{about}: {told}", zone), markup=False)
        if not ok:
            err.print(f"how it stands: {target.command('status', job)}", markup=False)
    if not ok:
        raise typer.Exit(NOT_RUN)
