"""Removing a stage: its functions first, so that nothing starts any more; then what is open; then its stacks."""

from contextlib import suppress

from chalicelib.names import FUNCTIONS, function_name, log_group, package_stack, stack_name
from guardctl import closing, deploy, pool_changes, stacks, template
from guardctl.errors import AWS, Stop
from guardctl.stacks import Say
from guardctl.stage import PROJECT, Stage


def functions(stage: Stage) -> list[str]:
    client = stage.client("lambda")
    found = []
    for name in (function_name(stage.name, function) for function in FUNCTIONS):
        with suppress(client.exceptions.ResourceNotFoundException):
            client.get_function_configuration(FunctionName=name)
            found.append(name)
    return found


def stacks_of(stage: Stage) -> list[str]:
    """The names of `guardctl`'s stacks that exist, in the order of their removal."""
    names = [stack_name(stage.name, part) for part in reversed(template.PARTS)]
    return [name for name in names if stacks.exists(stage, name)]


def machines(stage: Stage) -> list[str]:
    """The ARNs of the batch machines that exist, also of jobs that the jobs file no longer has."""
    prefix = stage.batches
    pages = stage.stepfunctions.get_paginator("list_state_machines").paginate()
    found = (machine["stateMachineArn"] for page in pages for machine in page["stateMachines"])
    return sorted(arn for arn in found if arn.startswith(prefix))


def last_runs(stage: Stage, numbers: dict[str, int]) -> dict[str, int]:
    """Job → the number of its last run, by those of the machines.

    Of a shared pool it is one of its jobs, and the highest number of any slot.
    """
    found: dict[str, int] = {}
    rows = pool_changes.deployed(stage) if numbers else {}
    for machine, number in numbers.items():
        job = pool_changes.jobs_of(stage, machine, rows)[0]
        found[job] = max(number, found.get(job, 0))
    return found


def look(stage: Stage) -> closing.Standing:
    return closing.look(stage, machines(stage))


def require_ours(stage: Stage) -> None:
    """Raise `Stop` for a stage that a pipeline deployed: its stack has it all, and only the pipeline may end it."""
    name = package_stack(stage.name)
    now = stacks.status(stage, name)
    if now == stacks.NEVER_MADE:
        raise Stop(f"nothing was removed: the stack {name} is {now}: {stacks.pipeline_failed(name)}; then again this")
    if now not in stacks.ABSENT:
        raise Stop(
            f"nothing was removed: stage {stage.name} was deployed by a pipeline, as the stack {name}. First end what "
            f"is open ({stage.command('stop JOB')}, {stage.command('resume JOB')}), since a state machine can't go "
            f"while it runs; then: aws cloudformation delete-stack --stack-name {name}"
        )


def log_groups(stage: Stage) -> list[str]:
    """The functions' log groups that go with the stage: those whose time the jobs file has set."""
    try:
        kept = stage.file.log_retention_days
    except Stop:  # a stage can be removed without its jobs file
        return []
    names = [log_group(stage.name, function) for function in FUNCTIONS] if kept else []
    pages = [stage.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"] for name in names]
    return [group["logGroupName"] for page in pages for group in page if group["logGroupName"] in names]


def remove(stage: Stage, cause: str, say: Say, progress: Say) -> None:
    """Remove the stage. What was done when it is interrupted stays done, and a second call goes on from there."""
    if functions(stage) and (PROJECT / ".chalice" / "deployed" / f"{stage.name}.json").exists():
        deploy.chalice(stage.name, "delete", say)
    if left := functions(stage):
        # Without its record of the deployment, chalice removes nothing and says nothing.
        raise Stop(
            f"{' and '.join(left)} could not be removed, and the state machines were left alone: "
            f"chalice knows only what was deployed from this directory (.chalice/deployed/{stage.name}.json). "
            f"Destroy the stage where it was deployed; if that is gone: {stage.command('deploy')}, then this again",
            AWS,
        )
    for name in log_groups(stage):
        stage.logs.delete_log_group(logGroupName=name)
        say(f"removed the log group {name}")
    closing.close(stage, look(stage).opened, lambda: look(stage).opened, cause, say, progress)
    for name in stacks_of(stage):
        progress(f"removing the stack {name}…")
        stacks.delete(stage.cloudformation, name)
        say(f"removed the stack {name}")
