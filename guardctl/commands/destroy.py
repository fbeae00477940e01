"""``guardctl destroy``."""

from typing import Annotated

import typer

from guardctl import removal
from guardctl.closing import Standing
from guardctl.console import StageOption, command, confirmed, err, out
from guardctl.errors import NOT_RUN, Stop, explained
from guardctl.interrupts import interruptible
from guardctl.stage import Stage


@command(example="guardctl destroy --stage dev")
def destroy(
    stage: StageOption = "dev",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove a stage, asking first.

    Its functions; its guards, waiters, pauses and runs, with their tasks; its state machines, with all their history.
    """
    target = Stage(stage)
    again = target.command("destroy")
    case = "nothing was removed"
    with explained(), interruptible(lambda: case, look=again):
        with out.status("looking for what there is…"):
            removal.require_ours(target)
            there = [*removal.functions(target), *removal.stacks_of(target)]
            standing = removal.look(target) if there else Standing([], {})
            last = removal.last_runs(target, standing.last_runs)
        if not there:
            out.print(f"there is nothing of stage {stage} to remove")
            try:
                target.file  # noqa: B018 (read for its fault: the name may be mistyped)
            except Stop as error:
                err.print(f"note: {error}", markup=False)
            return
        out.print(f"removed would be: {', '.join(there)}")
        for one in standing.opened:
            out.print(f"  ended before: {one}", markup=False)
        if last:
            out.print(
                "lost would be the history of all runs. The names of the last ones may stay taken for 90 days: keep "
                "this, for when the stage is deployed again and a start says that it can't tell:"
            )
            for job, number in last.items():
                out.print(f"  {target.command('run', job, '--first', '--after', str(number))}")
        if not yes and not confirmed("This removes batch-guard's stage, with the history of all its runs.", by=stage):
            raise Stop("nothing was removed", NOT_RUN)
        case = f"the stage may be removed in part, and AWS goes on with what it has begun; go on with: {again}"
        with out.status("removing…") as status:
            removal.remove(target, f"stage {stage} is removed ({target.who})", out.print, status.update)
