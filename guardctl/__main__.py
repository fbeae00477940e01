"""``python -m guardctl``: the commands, their help, their exit codes."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from chalicelib.aws import Misconfigured, NotDeployed, PermissionDenied
from chalicelib.guard import CantTell, stamp
from guardctl import template as templates
from guardctl.errors import AWS, INTERRUPTED, NOT_RUN, Stop, explained
from guardctl.stage import Stage

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

EXIT_CODES = (
    "Exit codes: 0 done · 1 the job was not started, or its run failed · 2 a mistake in the command or the jobs file"
    " · 3 AWS could not be asked, or refused · 130 interrupted."
)

app = typer.Typer(
    name="guardctl",
    help="batch-guard from the command line: deploy it, look at it, start a job through it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StageOption = Annotated[str, typer.Option("--stage", help="The stage: a jobs file chalicelib/jobs/<stage>.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command(epilog="Example: python -m guardctl validate --stage dev")
def validate(stage: StageOption = "dev") -> None:
    """Check the jobs file, and say what is wrong with it, all at once. Asks nothing of AWS."""
    jobs = Stage(stage).file.jobs
    out.print(f"{stage}: {len(jobs)} job{'' if len(jobs) == 1 else 's'}, no fault")


@app.command(epilog="Example: python -m guardctl template --stage dev > machines.json")
def template(stage: StageOption = "dev") -> None:
    """Print the CloudFormation template of the state machines. Asks nothing of AWS."""
    sys.stdout.write(templates.render(templates.template(Stage(stage).file)) + "\n")


@app.command(epilog="Example: make package STAGE=dev")
def package(
    directory: Annotated[str, typer.Argument(help="Where to leave sam.json and deployment.zip.")] = "build",
    stage: StageOption = "dev",
) -> None:
    """One template for pipelines: the functions and the machines together, in DIRECTORY/sam.json."""
    from guardctl import deploy as deployment  # noqa: PLC0415 (needs botocore)

    with out.status("packaging…"):
        deployment.package(Stage(stage), directory, _quiet)
    out.print(f"wrote {directory}/sam.json and {directory}/deployment.zip")
    out.print(
        f"next: aws cloudformation package --template-file {directory}/sam.json --s3-bucket BUCKET "
        f"--use-json --output-template-file {directory}/packaged.json"
    )


@app.command(epilog="Example: python -m guardctl deploy --stage dev --dry-run")
def deploy(
    stage: StageOption = "dev",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    bucket: Annotated[str | None, typer.Option("--bucket", help="S3 bucket for a template over 51,200 bytes.")] = None,
) -> None:
    """Deploy the state machines (CloudFormation), then the functions (chalice deploy)."""
    from guardctl import deploy as deployment  # noqa: PLC0415 (needs botocore)

    target = Stage(stage)
    deployment.chalice_knows(stage)
    _ = target.file
    with explained():
        with out.status("asking CloudFormation what would change…"):
            plan = deployment.plan(target, bucket)
        if plan is None:
            out.print("state machines: no change")
        else:
            out.print(f"state machines (stack {plan.stack}):")
            for change in plan.changes:
                replaces = " (replaced)" if change.replaces else ""
                out.print(f"  {change.action:<8} {change.kind} {change.logical_id}{replaces}")
            if dry_run:
                deployment.discard(target, plan)
            else:
                deployment.refuse_to_end_runs(target, plan)
                with out.status("deploying the state machines…"):
                    deployment.carry_out(target, plan, out.print)
        if dry_run:
            out.print("functions: chalice deploy would create or update check and trigger")
            out.print("dry run: nothing was changed")
            return
        for name in deployment.write_policies(target):
            out.print(f"wrote .chalice/{name}: commit it")
        out.print("functions:")
        with out.status("chalice deploy…"):
            deployment.chalice(stage, "deploy", out.print)
    out.print(f"deployed stage {stage}; see it with: python -m guardctl status --stage {stage}")


@app.command(epilog="Example: python -m guardctl destroy --stage dev")
def destroy(
    stage: StageOption = "dev",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove the functions and the state machines of a stage, asking first."""
    from guardctl import deploy as deployment  # noqa: PLC0415 (needs botocore)

    target = Stage(stage)
    deployment.chalice_knows(stage)
    with explained():
        for job in target.file.jobs:
            for run in deployment.running_executions(target, target.machine(job)):
                out.print(f"{job}: {run} is in progress and would be ended")
        if not yes and not typer.confirm(f"Remove batch-guard's stage {stage}, with the history of all its runs?"):
            raise Stop("nothing was removed", NOT_RUN)
        with out.status("removing…"):
            deployment.destroy(target, out.print)


@app.command(epilog='Example: python -m guardctl run nightly-report --command "bin/report --day 2026-11-23" --wait')
def run(
    job: Annotated[str, typer.Argument(help="The job's name in the jobs file.")],
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
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run to end, not only for the decision.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a job by hand, through its guard: it steps back when the job is running."""
    import shlex  # noqa: PLC0415 (only this command splits)

    from guardctl import runs  # noqa: PLC0415 (needs nothing of it elsewhere)

    target = Stage(stage)
    zone = ZoneInfo(target.job(job).timezone)
    try:
        commands = shlex.split(command) if command else None
    except ValueError as error:
        raise Stop(f"--command {command!r} can't be split: {error}") from error
    with explained():
        arn = runs.start(target, job, commands=commands, scheduled_at=_time(scheduled_at, zone), first=first)
        with err.status("waiting for the decision…"):
            verdict = runs.verdict(target, arn, lambda: None)
        result: dict[str, Any] = {
            "job": job,
            "guard_execution": arn,
            "started": verdict.started,
            "run": verdict.run,
        }
        ok, sentence = verdict.started, verdict.reason
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


@app.command(epilog="Example: python -m guardctl status --stage dev --json")
def status(stage: StageOption = "dev", as_json: JsonOption = False) -> None:
    """How every job stands: running or free, its last run, its next time."""
    from guardctl import status as reading  # noqa: PLC0415 (needs botocore)

    target, now = Stage(stage), datetime.now(UTC)
    with explained(), err.status("asking Step Functions…"):
        lines = [reading.read(target, job, now) for job in target.file.jobs.values()]
    if as_json:
        out.print_json(json.dumps([_status_json(line) for line in lines]))
        return
    table = Table("job", "state", "last run", "next time", box=None, pad_edge=False)
    for line in lines:
        zone = ZoneInfo(target.file.jobs[line.job].timezone)
        since = f" {line.run.name} since {_local(line.run.started_at, zone)}" if line.run else ""
        last = line.last
        ended = f"{last.name} {last.status} {_local(last.stopped_at, zone)}" if last and last.stopped_at else "none yet"
        when = _local(line.next_time, zone) if line.next_time else "by hand only"
        table.add_row(line.job, f"{line.state}{since}", ended, when)
    out.print(table)


def _status_json(line: Any) -> dict[str, Any]:
    running, last = line.run, line.last
    return {
        "job": line.job,
        "state": line.state,
        "run": {"name": running.name, "since": stamp(running.started_at)} if running else None,
        "last_run": {"name": last.name, "status": last.status, "ended_at": stamp(last.stopped_at)} if last else None,
        "next_time": stamp(line.next_time) if line.next_time else None,
    }


def _time(text: str | None, zone: ZoneInfo) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Stop(f"--scheduled-at {text!r} is not a time; write 2026-11-23T18:00 or 2026-11-23T18:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def _quiet(_line: str) -> None:
    pass


def main() -> None:
    """Run a command; every known failure is a sentence and an exit code."""
    try:
        app()
    except Stop as stop:
        err.print(str(stop), markup=False)
        sys.exit(stop.code)
    except (CantTell, NotDeployed, PermissionDenied, Misconfigured) as error:
        err.print(str(error), markup=False)
        sys.exit(AWS)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
