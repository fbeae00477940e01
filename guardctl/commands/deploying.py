"""Commands that check, build, deploy and remove a stage."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from guardctl import advice, limits
from guardctl import template as templates
from guardctl.commands.console import StageOption, confirmed, err, group, out
from guardctl.errors import NOT_RUN, Stop, explained
from guardctl.stage import Stage

if TYPE_CHECKING:
    from guardctl.deploy import Plan

app = group()


@app.command(epilog="Example: python -m guardctl validate --stage dev")
def validate(
    stage: StageOption = "dev",
    strict: Annotated[bool, typer.Option("--strict", help="End with 2 if there is a warning.")] = False,
) -> None:
    """Check the jobs file: all its faults at once. Asks nothing of AWS.

    What AWS would refuse is a fault, too. A warning (on standard error) is about what AWS takes and may not be meant.
    """
    target = Stage(stage)
    jobs = limits.require(target)
    warnings = advice.warnings(jobs, target.place, target.other_files(), datetime.now(UTC))
    for warning in warnings:
        err.print(f"warning: {warning}", markup=False)
    if strict and warnings:
        raise Stop(f"{stage}: {_counted(len(warnings), 'warning')}, and --strict takes none")
    told = f", {_counted(len(warnings), 'warning')}" if warnings else ""
    out.print(f"{stage}: {_counted(len(jobs.jobs), 'job')}, no fault{told}")


@app.command(epilog="Example: python -m guardctl template --stage dev > machines.json")
def template(stage: StageOption = "dev") -> None:
    """Print the state machines' CloudFormation template. Asks nothing of AWS."""
    sys.stdout.write(templates.render(templates.template(limits.require(Stage(stage)))) + "\n")


@app.command(epilog="Example: make package STAGE=dev")
def package(
    directory: Annotated[str, typer.Argument(help="Where to leave sam.json and deployment.zip.")] = "build",
    stage: StageOption = "dev",
) -> None:
    """Write one template for a pipeline.

    It has the functions and the state machines. Leaves DIRECTORY/sam.json and DIRECTORY/deployment.zip.
    """
    from guardctl import deploy as deployment  # noqa: PLC0415 (needs botocore)

    target = Stage(stage)
    deployment.chalice_knows(stage)
    limits.require(target)
    with out.status("packaging…"):
        deployment.package(target, directory, _quiet)
    out.print(f"wrote {directory}/sam.json and {directory}/deployment.zip")
    out.print(
        f"next: aws cloudformation package --template-file {directory}/sam.json --s3-bucket BUCKET "
        f"--use-json --output-template-file {directory}/packaged.json"
    )


@app.command(epilog="Example: python -m guardctl deploy --stage dev --dry-run")
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
    from guardctl import deploy as deployment  # noqa: PLC0415 (needs botocore)

    target = Stage(stage)
    deployment.chalice_knows(stage)
    limits.require(target)
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
            deployment.refuse_to_end_runs(target, plan)
        if dry_run:
            if plan:
                deployment.discard(target, plan)
            out.print("functions: chalice deploy would create or update check and trigger")
            out.print("dry run: nothing was changed")
            return
        for name in deployment.write_policies(target):
            out.print(f"wrote .chalice/{name}: commit it")
        if plan and plan.creates:  # the trigger of a new stage finds its machines
            _machines(target, plan)
            _functions(target)
        else:
            _functions(target)
            _machines(target, plan)
    out.print(f"deployed stage {stage}; see it with: python -m guardctl status --stage {stage}")


def _functions(target: Stage) -> None:
    from guardctl import deploy as deployment  # noqa: PLC0415 (needs botocore)

    out.print("functions:")
    with out.status("chalice deploy…"):
        deployment.chalice(target.name, "deploy", out.print)


def _machines(target: Stage, plan: "Plan | None") -> None:
    from guardctl import deploy as deployment  # noqa: PLC0415 (needs botocore)

    if plan:
        with out.status("deploying the state machines…"):
            deployment.carry_out(target, plan, out.print)


@app.command(epilog="Example: python -m guardctl destroy --stage dev")
def destroy(
    stage: StageOption = "dev",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove a stage, asking first.

    Its functions, its state machines, and with them the history of its runs.
    """
    from guardctl import deploy as deployment  # noqa: PLC0415 (needs botocore)

    target = Stage(stage)
    deployment.chalice_knows(stage)
    with explained():
        if not deployment.left(target):
            out.print(f"there is nothing of stage {stage} to remove")
            return
        for job in target.file.jobs:
            for run in deployment.running_executions(target, target.machine(job)):
                out.print(f"{job}: {run} is in progress and would be ended")
        if not yes and not confirmed(f"Remove batch-guard's stage {stage}, with the history of all its runs?"):
            raise Stop("nothing was removed", NOT_RUN)
        with out.status("removing…"):
            deployment.destroy(target, out.print)


def _counted(count: int, what: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _quiet(_line: str) -> None:
    pass
