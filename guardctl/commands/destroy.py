"""``guardctl destroy``."""

from typing import Annotated

import typer

from guardctl import deploy as deployment
from guardctl.console import StageOption, command, confirmed, out
from guardctl.errors import NOT_RUN, Stop, explained
from guardctl.interrupts import interruptible
from guardctl.stage import Stage


@command(example="python -m guardctl destroy --stage dev")
def destroy(
    stage: StageOption = "dev",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove a stage, asking first.

    Its functions, its state machines, and with them the history of its runs.
    """
    target = Stage(stage)
    deployment.chalice_knows(stage)
    again = target.command("destroy")
    case = "nothing was removed"
    with explained(), interruptible(lambda: case, look=again):
        if not deployment.left(target):
            out.print(f"there is nothing of stage {stage} to remove")
            return
        for job in target.file.jobs:
            for run in deployment.running_executions(target, target.machine(job)):
                out.print(f"{job}: {run} is in progress and would be ended")
        if not yes and not confirmed(f"Remove batch-guard's stage {stage}, with the history of all its runs?"):
            raise Stop("nothing was removed", NOT_RUN)
        case = f"the stage may be removed in part, and CloudFormation goes on with what it has begun; again: {again}"
        with out.status("removing…"):
            deployment.destroy(target, out.print)
