"""Deployment: plan → change sets → done. First Chalice's functions, then the machines' stack, then records and alarms.

The functions are the newest part of a stage at any moment: they still serve the definitions of the last release, and a
definition never meets a checker that is older than itself. Only a new stage gets its machines first, so that its
trigger finds them. What would be done is a `Deployment`, a value: a dry run shows it, a deployment carries it out.
"""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import dropwhile
from pathlib import Path

from chalicelib.names import Function, machines_stack, package_stack, stack_name
from chalicelib.values import dataclass
from guardctl import buckets, closing, pool_changes, project, stacks, stagewide, template
from guardctl.errors import AWS, Stop
from guardctl.stacks import Plan, Say
from guardctl.stage import PROJECT, Stage

CHALICE = [sys.executable, "-c", "import sys; from chalice.cli import main; sys.exit(main())"]

_MOVED = ("AWS::SSM::Parameter", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard")

Offer = Callable[[str], bool]
"""Asks a person, and says whether the answer was yes."""


@dataclass(frozen=True)
class Deployment:
    """What would be done to a stage's stacks, and then which of them would be removed."""

    plans: tuple[Plan, ...]
    removed: tuple[str, ...]
    bucket: str | None
    moves: bool = False
    """The machines' stack still has records and alarms, as 0.1.0 made it: the others are planned when it has not."""

    @property
    def machines(self) -> tuple[Plan, ...]:
        """The plan of the machines' stack; none if nothing changes there."""
        return tuple(plan for plan in self.plans if plan.stack.endswith("-machines"))


def bodies(stage: Stage) -> dict[str, str]:
    """Stack → its template, as short as it can be written. In the order of their deployment."""
    found = template.stacks(stage.file).items()
    return {stack_name(stage.name, part): template.render(document, indent=None) for part, document in found}


def require_no_pipeline(stage: Stage) -> None:
    """Raise `Stop` for a stage that a pipeline deployed: the names of its functions and machines are taken."""
    name = package_stack(stage.name)
    now = stacks.status(stage, name)
    if now not in (*stacks.ABSENT, stacks.NEVER_MADE):
        raise Stop(
            f"nothing was changed: stage {stage.name} was deployed by a pipeline, as the stack {name}, and both ways "
            f"make functions and state machines of the same names. Deploy from the pipeline, or remove that stack first"
        )


def bucket(stage: Stage, named: str | None, offer: Offer) -> str | None:
    """The bucket for the stage's templates; None when all of them are small. Raises `Stop` when one is needed."""
    large = {name: size for name, text in bodies(stage).items() if (size := len(text.encode())) > template.INLINE_LIMIT}
    if not large:
        return named
    found = buckets.find(stage, named)
    if found:
        return found
    name, size = max(large.items(), key=lambda item: item[1])
    most = f"{template.INLINE_LIMIT:,} without a bucket"
    why = f"the template of {name} has {size:,} bytes, and CloudFormation takes {most}"
    if not offer(f"{why}. Make the bucket {buckets.own(stage)}, for this and the next deployments?"):
        raise Stop(f"{why}: name one of yours with --bucket BUCKET, or say --make-bucket")
    return buckets.make(stage)


def plan(stage: Stage, bucket: str | None) -> Deployment:
    """Ask CloudFormation what would change in each stack. Raises `Stop`, and leaves no change set, if it refuses."""
    wanted, tags = bodies(stage), stagewide.tag_list(stage.file)
    plans: list[Plan] = []
    try:
        for name, text in wanted.items():
            sent = {"TemplateURL": buckets.put(stage, bucket, name, text)} if bucket else {"TemplateBody": text}
            if found := stacks.plan(stage, name, sent, tags):
                plans.append(found)
                if name == machines_stack(stage.name) and any(change.kind in _MOVED for change in found.changes):
                    return Deployment(tuple(plans), (), bucket, moves=True)
    except BaseException:
        for made in plans:
            stacks.discard(stage, made)
        raise
    optional = [stack_name(stage.name, part) for part in template.PARTS if stack_name(stage.name, part) not in wanted]
    return Deployment(tuple(plans), tuple(name for name in optional if stacks.exists(stage, name)), bucket)


def discard(stage: Stage, deployment: Deployment) -> None:
    for made in deployment.plans:
        stacks.discard(stage, made)


def removed_machines(deployment: Deployment) -> list[str]:
    changes = (change for plan in deployment.machines for change in plan.changes)
    return [change.physical_id for change in changes if change.removes_machine and change.physical_id]


def removed_jobs(stage: Stage, deployment: Deployment) -> list[str]:
    """The names of the jobs that lose the machine of their pool; one slot of several is no job."""
    prefix = stage.batches
    removed = [arn for arn in removed_machines(deployment) if arn.startswith(prefix)]
    pools = [arn for arn in removed if "--" not in arn.removeprefix(prefix)]
    pools = [arn for arn in pools if arn not in (stage.waiting, stage.telling)]
    rows = pool_changes.deployed(stage) if pools else {}
    return sorted({job for arn in pools for job in pool_changes.jobs_of(stage, arn, rows)})


def new_jobs(stage: Stage, deployment: Deployment) -> list[str]:
    """The names of the jobs whose machines the deployment adds."""
    added = {change.logical_id for plan in deployment.machines for change in plan.changes if change.action == "Add"}
    return [job.name for each in template.batch_machines(stage.file) if each.logical_id in added for job in each.jobs]


def open_in_the_way(stage: Stage, deployment: Deployment) -> list[closing.Open]:
    """What is open of the jobs whose machines the deployment removes or replaces."""
    machines = removed_machines(deployment)
    return closing.look(stage, machines, removed_jobs(stage, deployment)).opened if machines else []


def carry_out(stage: Stage, deployment: Deployment, say: Say) -> None:
    """The functions and the stacks, in the order that is safe. Raises `Stop` if one fails."""

    def done(plans: Iterable[Plan]) -> None:
        for made in plans:
            stacks.carry_out(stage, made, say)

    machines = deployment.machines
    functions = f"-{template.FUNCTIONS_PART}"
    before = [made for made in deployment.plans if made.stack.endswith(functions)]
    is_new = any(made.creates for made in machines)
    done([*before, *(machines if is_new else ())])
    say("functions:")
    chalice(stage.name, "deploy", say)
    done(() if is_new else machines)
    if deployment.moves:
        deployment = plan(stage, deployment.bucket)
    done(made for made in deployment.plans if not made.stack.endswith(("-machines", functions)))
    for name in deployment.removed:
        stacks.delete(stage.cloudformation, name)
        say(f"removed the stack {name}")


def chalice(stage: str, command: str, say: Say) -> None:
    """Run ``chalice <command> --stage <stage>`` in the project. Raises `Stop` with what it printed if it fails."""
    _chalice([command, "--stage", stage], say)


def package(stage: Stage, directory: str, say: Say) -> list[str]:
    """For pipelines: ``sam.json``, the templates that it nests, and ``deployment.zip`` in `directory`. Their names."""
    target = PROJECT / directory
    target.mkdir(parents=True, exist_ok=True)
    extension = target / "extension.json"
    extension.write_text(template.render(template.sam_extension(stage.file)), encoding="utf-8")
    try:
        _chalice(["package", "--stage", stage.name, "--merge-template", str(extension), str(target)], say)
    finally:
        extension.unlink()
    nested = {f"{part}.json": document for part, document in template.nested(stage.file).items()}
    for part in template.PARTS:  # what an earlier package has left there
        if f"{part}.json" not in nested:
            (target / f"{part}.json").unlink(missing_ok=True)
    for name, document in nested.items():
        (target / name).write_text(template.render(document), encoding="utf-8")
    return ["sam.json", *nested, "deployment.zip"]


def write_project(stage: Stage, say: Say, roles: Mapping[Function, str] | None = None) -> None:
    """Write the stage's block and policies into .chalice, saying what to commit; the block names the `roles`."""
    for name in project.write(stage, roles):
        say(f"wrote .chalice/{name}: commit it")


def forget_renamed(project: Path = PROJECT) -> None:
    """Remove the zips that Chalice keeps under other names of files than the project has now.

    Chalice looks a kept zip up by what is in the files, not by what they are called. So after a jobs file was renamed
    it would deploy the zip with the old name in it, and the functions would find no jobs file.
    """
    here = {"app.py", *(f.relative_to(project).as_posix() for f in (project / "chalicelib").rglob("*") if f.is_file())}
    for kept in (project / ".chalice" / "deployments").glob("*.zip"):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(kept) as archive:
            there = {n for n in archive.namelist() if n == "app.py" or n.startswith("chalicelib/")}
            if there == here:
                continue
        kept.unlink()


def _chalice(arguments: list[str], say: Say) -> None:
    forget_renamed()
    # Chalice builds packages with pip; Python must not leave bytecode in the project's own folders.
    done = subprocess.run(
        [*CHALICE, *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        say(f"  {line}")
    if done.returncode != 0:
        raise Stop(f"chalice {' '.join(arguments)} failed:\n{ending(done.stderr.strip() or done.stdout.strip())}", AWS)


def ending(output: str) -> str:
    """What Chalice said; of a traceback what stands below it, behind the error's name."""
    _, found, traceback = output.rpartition("Traceback (most recent call last):\n")
    below = "\n".join(dropwhile(lambda line: line.startswith(" "), traceback.splitlines()))
    return below.partition(": ")[2] or below if found else output
