"""``guardctl resume``."""

from guardctl import pauses
from guardctl.console import JobArgument, JsonOption, StageOption, asking, command, out, print_json
from guardctl.interrupts import finishing, interruptible
from guardctl.stage import Stage


@command(example="guardctl resume nightly-report")
def resume(job: JobArgument, stage: StageOption = "dev", as_json: JsonOption = False) -> None:
    """Resume a paused job. Times that passed meanwhile are not made up for."""
    target = Stage(stage)
    target.job(job)
    ended: list[str] | None = None

    def case() -> str:
        if ended is None:
            return f"nothing was done to {job}"
        return f"but {job} was resumed by then" if ended else f"{job} was not paused"

    with asking("resuming…"), interruptible(case, look=target.command("status", job)), finishing():
        ended = pauses.resume(target, job)
    if as_json:
        print_json({"job": job, "resumed": ended})
    else:
        out.print(f"{job}: resumed" if ended else f"{job}: was not paused")
