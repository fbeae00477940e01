"""``guardctl stop``."""

from typing import Annotated

import typer

from guardctl import alive
from guardctl.console import JobArgument, JsonOption, StageOption, asking, command, confirmed, out, print_json
from guardctl.errors import NOT_RUN, Stop
from guardctl.interrupts import interruptible
from guardctl.ledger import run_told
from guardctl.stage import Stage


@command(
    example='guardctl stop nightly-report --reason "wrong day"',
    exit_codes="Exit codes: 0 nothing of it is alive any more · 1 you said no · 2, 3 as for every command.",
)
def stop(
    job: JobArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the run's record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """Stop a job's run and its task.

    In a pool of several slots all the job's runs, and never a neighbour's. The tasks of earlier runs that were closed
    without them, too. Waits until all are STOPPED.
    """
    target = Stage(stage)
    asked = target.job(job)
    if as_json and not yes:
        raise Stop("--json asks no questions: say --yes with it")
    with interruptible(lambda: "nothing was stopped", look=target.command("status", job)):
        with asking("looking for what is alive…"):
            found = alive.look(target, asked)
            cause = f"stopped by hand{f': {reason}' if reason else ''} ({target.who})"
        named = [run_told(run.arn) for run in found.runs]
        named += [f"task {task.arn.rpartition('/')[2]}" for task in found.tasks]
        if found.anything and yes and not as_json:
            out.print(f"{job}: alive: {', '.join(named)}", markup=False)
        if found.anything and not yes and not confirmed(f"Stop {' and '.join(named)} of {job}?"):
            raise Stop("nothing was stopped", NOT_RUN)
    stopped: tuple[str, ...] = ()
    if found.anything:
        with asking("stopping… (Ctrl-C stops waiting, not the stopping)") as progress:
            stopped = alive.stop(target, asked, found, cause, progress)
    if as_json:
        runs = [run.arn for run in found.runs]
        print_json(
            target,
            job=job,
            run=next(iter(runs), None),
            runs=runs,
            tasks=list(stopped),
            left_alone=[t.arn for t in found.others],
        )
        return
    if not found.anything:
        out.print(f"{job}: nothing of it is alive")
    else:
        out.print(f"{job}: stopped {', '.join(named)}", markup=False)
        out.print(f'the next start may run; prevent it: {target.command("pause", job)} --reason "…"')
    for task in found.others:
        out.print(f"left alone, since this guard did not start it: {task.arn}", markup=False)
