"""``guardctl resume``."""

from guardctl import pauses
from guardctl.console import (
    AllOption,
    JsonOption,
    PoolOption,
    SomeJob,
    StageOption,
    asking,
    command,
    jobs_of,
    out,
    print_json,
)
from guardctl.interrupts import finishing, interruptible
from guardctl.stage import Stage


@command(example="guardctl resume nightly-report")
def resume(
    job: SomeJob = None,
    pool: PoolOption = None,
    every: AllOption = False,
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """Resume a paused job. Times that passed meanwhile are not made up for.

    With --pool all jobs of a pool, with --all every job of the stage, however they were paused.
    """
    target = Stage(stage)
    names, several = jobs_of(target, job, pool, every)
    ended: dict[str, list[str]] = {}

    def case() -> str:
        done = [name for name, found in ended.items() if found]
        return f"but resumed by then: {' and '.join(done)}" if done else "no job was resumed"

    look = target.command("status", *([] if several else names))
    with asking("resuming…") as progress, interruptible(case, look=look):
        for name in names:
            progress(f"resuming {name}…")
            with finishing():
                ended[name] = pauses.resume(target, name)
    if as_json:
        print_json(target, jobs=[{"job": name, "resumed": ended[name]} for name in names])
        return
    for name in names:
        out.print(f"{name}: resumed" if ended[name] else f"{name}: was not paused")
