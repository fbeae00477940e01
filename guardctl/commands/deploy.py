"""``guardctl deploy``."""

from typing import Annotated

import typer

from guardctl import deploy as deployment
from guardctl import limits
from guardctl.console import StageOption, command, out
from guardctl.errors import explained
from guardctl.interrupts import interruptible
from guardctl.stage import Stage


@command(example="python -m guardctl deploy --stage dev --dry-run")
def deploy(
    stage: StageOption = "dev",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    bucket: Annotated[
        str | None, typer.Option("--bucket", help="S3 bucket for a template over 51,200 bytes; it stays there.")
    ] = None,
) -> None:
    """Deploy a stage: its functions, then its state machines.

    The functions through chalice deploy, the machines through CloudFormation.
    """
    target = Stage(stage)
    deployment.chalice_knows(stage)
    limits.require(target)
    again = target.command("deploy")
    case = "nothing was changed; a change set may be left, which changes nothing by itself"
    with explained(), interruptible(lambda: case, look=again):
        with out.status("asking CloudFormation what would change…"):
            plan = deployment.plan(target, bucket)
        if plan is None:
            out.print("state machines: no change")
        else:
            out.print(f"state machines (stack {plan.stack}):")
            for change in plan.changes:
                replaces = " (replaced)" if change.replaces else ""
                out.print(f"  {change.action:<8} {change.kind} {change.logical_id}{replaces}")
            deployment.refuse_to_end_runs(target, plan)
        if dry_run:
            if plan:
                deployment.discard(target, plan)
            out.print("functions: chalice deploy would create or update check and trigger")
            out.print("dry run: nothing was changed")
            return
        case = (
            "the deployment is done in part, and CloudFormation goes on with what it has begun; "
            f"when that is over, deploy again: {again}"
        )
        for name in deployment.write_policies(target):
            out.print(f"wrote .chalice/{name}: commit it")
        if plan and plan.creates:  # the trigger of a new stage finds its machines
            _machines(target, plan)
            _functions(target)
        else:
            _functions(target)
            _machines(target, plan)
    out.print(f"deployed stage {stage}; see it with: {target.command('status')}")


def _functions(target: Stage) -> None:
    out.print("functions:")
    with out.status("chalice deploy…"):
        deployment.chalice(target.name, "deploy", out.print)


def _machines(target: Stage, plan: deployment.Plan | None) -> None:
    if plan:
        with out.status("deploying the state machines…"):
            deployment.carry_out(target, plan, out.print)
