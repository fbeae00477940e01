"""``guardctl deploy``."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from chalicelib.decide.facts import CantTell
from chalicelib.read.aws import Misconfigured, PermissionDenied
from guardctl import closing, deployed, limits, notes, pool_changes, project
from guardctl import deploy as deployment
from guardctl.console import StageOption, command, confirmed, err, out
from guardctl.deploy import Deployment
from guardctl.errors import Stop, explained
from guardctl.interrupts import interruptible
from guardctl.resource_names import Names
from guardctl.stacks import SHOWN
from guardctl.stage import Stage
from guardctl.verifying import verification


@command(example="guardctl deploy --stage dev --dry-run")
def deploy(
    stage: StageOption = "dev",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    bucket: Annotated[
        str | None,
        typer.Option("--bucket", help="S3 bucket for templates over 51,200 bytes. It is remembered for the stage."),
    ] = None,
    make_bucket: Annotated[
        bool, typer.Option("--make-bucket", help="Make that bucket without asking, if none is known.")
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the runs and starts of the jobs that this removes, and their tasks.")
    ] = False,
) -> None:
    """Deploy a stage: its functions and its state machines.

    The functions through chalice deploy; machines, records of schedules and alarms through a CloudFormation stack each.
    """
    target = Stage(stage)
    project.require_block(target)
    jobs = limits.require(target)
    project.require_all(target)
    if dry_run:
        for note in notes.notes(jobs, target.place, datetime.now(UTC)):
            err.print(f"note: {note}", markup=False)
    again = target.command("deploy")
    case = "nothing was changed; a change set may be left, which changes nothing by itself"
    with explained(), interruptible(lambda: case, look=again):
        deployment.require_no_pipeline(target)
        if dry_run:
            _foresee(target)
        chosen = deployment.bucket(
            target, bucket, lambda question: make_bucket or (not dry_run and confirmed(question))
        )
        with out.status("asking CloudFormation what would change…"):
            found = deployment.plan(target, chosen)
        _show(target, found)
        opened = deployment.open_in_the_way(target, found)
        _say_what_is_lost(target, found, opened)
        moved = pool_changes.changes(target)
        for change in moved:
            out.print(f"pools: {change.what}; a pause of it does not come along", markup=False)
        unsafe = [reason for change in moved for reason in pool_changes.in_the_way(target, change)]
        if unsafe and not dry_run:
            deployment.discard(target, found)
            raise Stop("nothing was changed: two might run at once meanwhile.\n" + "\n".join(unsafe))
        running = [one for one in opened if one.kind != "pause"]
        if dry_run or (running and not stop):
            deployment.discard(target, found)
        if running and not stop:
            raise Stop(
                f"nothing was changed: this would end {', '.join(map(str, running))}; wait for it, "
                "or say --stop to have it stopped, and its task"
            )
        if dry_run:
            out.print("functions: chalice deploy would create or update check and trigger")
            for reason in unsafe:
                out.print(f"  in the way of that: {reason}", markup=False)
            out.print("dry run: nothing was changed")
            return
        case = (
            "the deployment is done in part, and CloudFormation goes on with what it has begun; "
            f"when that is over, deploy again: {again}"
        )
        deployment.write_project(target, out.print, target.function_roles)
        if chosen and project.remember_bucket(target, chosen):
            out.print(f"wrote the bucket {chosen} into .chalice/config.json: commit it")
        with out.status("deploying…") as status:
            if opened:
                look = partial(deployment.open_in_the_way, target, found)
                closing.close(target, opened, look, f"its job is removed ({target.who})", out.print, status.update)
            deployment.carry_out(target, found, out.print)
    out.print(f"deployed stage {stage}; see it with: {target.command('status')}")


def _foresee(target: Stage) -> None:
    """What `diff` and `verify` say, in short: before CloudFormation is asked, which knows nothing of either."""
    now = datetime.now(UTC)
    with out.status("reading what is deployed, and what the jobs name…"):
        try:
            lines = [*deployed.words(target, deployed.read(target, now))]
        except (CantTell, PermissionDenied, Misconfigured) as error:
            lines = [f"what is deployed could not be compared: {error}"]
        verified = verification.verify(target, now)
    for line in lines:
        out.print(line, markup=False)
    for job, each in verified.findings("NG"):
        out.print(f"verify: NG {job or f'stage {target.name}'}: {each.what}: {each.reason}", markup=False)
    out.print(f"verify: {verified.told}; the reasons: {target.command('verify')}")


def _show(target: Stage, found: Deployment) -> None:
    names = Names(target.file)
    if not found.machines:
        out.print("state machines: no change")
    for plan in found.plans:
        out.print(f"stack {plan.stack}:")
        for change in plan.changes[:SHOWN]:
            replaces = " (replaced)" if change.replaces else ""
            out.print(f"  {change.action:<8} {names.told(change.logical_id)}{replaces}", markup=False)
        if len(plan.changes) > SHOWN:
            out.print(f"  … and {len(plan.changes) - SHOWN} more changes")
    if found.moves:
        out.print("then the records and the alarms are made anew, in stacks of their own")
    for name in found.removed:
        out.print(f"stack {name}: removed")


def _say_what_is_lost(target: Stage, found: Deployment, opened: list[closing.Open]) -> None:
    """A job that is removed, and one that is renamed, which is the same to AWS."""
    machines_of = deployment.removed_jobs(target, found)
    if kept := [job for job in machines_of if job in target.file.jobs]:
        out.print(f"{', '.join(kept)}: the history of the runs goes with the machine that is removed")
    gone = [job for job in machines_of if job not in target.file.jobs]
    if gone:
        out.print(f"removed: {', '.join(gone)}. The history of their runs goes with them")
    for one in opened:
        out.print(f"  would be ended: {one}", markup=False)
    if gone and (new := deployment.new_jobs(target, found)):
        out.print(
            f"new: {', '.join(new)}. If one of them is a removed job with another name: nothing moves. Run numbers "
            "begin at 1, its history stays with the old name, a pause does not hold for the new one, and "
            "a task that the old one left behind counts as an outsider"
        )
