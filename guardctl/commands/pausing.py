"""Pausing a job, and resuming it."""

from typing import Annotated

import typer

from guardctl.commands.console import JobArgument, JsonOption, StageOption, asking, group, out, print_json
from guardctl.stage import Stage

app = group()


@app.command(epilog='Example: python -m guardctl pause nightly-report --reason "the database moves until noon"')
def pause(
    job: JobArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why: every start that steps back says so.")],
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """Pause a job: starts step back until it is resumed. A run in progress goes on."""
    from guardctl import pause as pausing  # noqa: PLC0415 (needs botocore)

    target = Stage(stage)
    target.job(job)
    with asking("pausing…"):
        made = pausing.pause(target, job, reason)
    if as_json:
        print_json({"job": job, "paused": made.name, "reason": made.reason})
    else:
        out.print(
            f"{job}: paused ({made.name}); resume it with: python -m guardctl resume {job} --stage {stage}",
            markup=False,
        )


@app.command(epilog="Example: python -m guardctl resume nightly-report")
def resume(job: JobArgument, stage: StageOption = "dev", as_json: JsonOption = False) -> None:
    """Resume a paused job. Times that passed meanwhile are not made up for."""
    from guardctl import pause as pausing  # noqa: PLC0415 (needs botocore)

    target = Stage(stage)
    target.job(job)
    with asking("resuming…"):
        ended = pausing.resume(target, job)
    if as_json:
        print_json({"job": job, "resumed": ended})
    else:
        out.print(f"{job}: resumed" if ended else f"{job}: was not paused")
