"""``guardctl pause``."""

from typing import Annotated

import typer

from guardctl import pauses
from guardctl.console import JobArgument, JsonOption, StageOption, asking, command, out, print_json
from guardctl.interrupts import finishing, interruptible
from guardctl.stage import Stage


@command(example='guardctl pause nightly-report --reason "the database moves until noon"')
def pause(
    job: JobArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why: every start that steps back says so.")],
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """Pause a job: starts step back until it is resumed. A run in progress goes on."""
    target = Stage(stage)
    target.job(job)
    made: pauses.Pause | None = None

    def case() -> str:
        return f"but {job} was paused by then ({made.name}); {resume}" if made else f"{job} was not paused"

    resume = f"resume it with: {target.command('resume', job)}"
    with asking("pausing…"), interruptible(case, look=target.command("status", job)), finishing():
        made = pauses.pause(target, job, reason)
    if as_json:
        print_json({"job": job, "paused": made.name, "reason": made.reason})
    else:
        out.print(f"{job}: paused ({made.name}); {resume}", markup=False)
