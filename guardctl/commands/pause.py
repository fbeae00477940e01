"""``guardctl pause``."""

from typing import Annotated

import typer

from guardctl import pauses
from guardctl.console import JobArgument, JsonOption, StageOption, asking, command, out, print_json
from guardctl.stage import Stage


@command(example='python -m guardctl pause nightly-report --reason "the database moves until noon"')
def pause(
    job: JobArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why: every start that steps back says so.")],
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """Pause a job: starts step back until it is resumed. A run in progress goes on."""
    target = Stage(stage)
    target.job(job)
    with asking("pausing…"):
        made = pauses.pause(target, job, reason)
    if as_json:
        print_json({"job": job, "paused": made.name, "reason": made.reason})
    else:
        out.print(
            f"{job}: paused ({made.name}); resume it with: python -m guardctl resume {job} --stage {stage}",
            markup=False,
        )
