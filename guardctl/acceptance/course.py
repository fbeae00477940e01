"""The course of a trial: make, try, remove. What was begun is removed, however the trial ends."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from botocore.exceptions import WaiterError

from guardctl.acceptance import project, runner
from guardctl.acceptance.findings import Line
from guardctl.acceptance.probes import FIRST, PROBES
from guardctl.acceptance.removal import Client, Say, remove
from guardctl.acceptance.stack import jobs, template
from guardctl.acceptance.trial import TAG, Names, Trial
from guardctl.errors import AWS, USAGE, Stop

_MADE = {"Delay": 3, "MaxAttempts": 200}

COST = "2 cents"
"""docs/acceptance.md has the arithmetic."""


def default_subnet(client: Client) -> str:
    """A subnet of the default VPC. Raises `Stop` if there is none."""
    answer = client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    if not answer["Subnets"]:
        raise Stop("this Region has no default VPC: name a subnet from which images can be pulled with --subnet", USAGE)
    return str(min(subnet["SubnetId"] for subnet in answer["Subnets"]))


def take(
    client: Client,
    names: Names,
    *,
    of: str,
    arns: str,
    subnet: str,
    patience: float,
    say: Say,
    found: Callable[[Line], None],
) -> None:
    """Make the stage, try every probe, and remove the stage. `found` gets each line as soon as it is known.

    Raises `Stop` if the stage can't be made or removed, KeyboardInterrupt when somebody interrupts; both only after
    the removal.
    """
    tags = {TAG: of}
    with ExitStack() as removals:
        removals.callback(_remove, client, names, say)
        say(f"making the stack {names.stack}")
        made = _make(client, names, arns.split(":")[1], tags)
        copy = removals.enter_context(project.copied(names.stage, jobs(names, subnet, made["ExecutionRole"]), tags))
        say(f"deploying the stage {names.stage}, from a copy of the project")
        project.deploy(copy, names.stage)
        steps, ecs, alarms, queue = map(client, ("stepfunctions", "ecs", "cloudwatch", "sqs"))
        trial = Trial(names, arns, steps, ecs, alarms, queue, subnet, made["Role"], made["Queue"], patience, tags)
        say("trying")
        runner.tried(trial, FIRST, PROBES, found)


def _make(client: Client, names: Names, partition: str, tags: dict[str, str]) -> dict[str, str]:
    """Make the probes' stack, and return its outputs. Raises `Stop` with the reasons if it fails."""
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=names.stack,
        TemplateBody=json.dumps(template(names, partition)),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    try:
        cloudformation.get_waiter("stack_create_complete").wait(StackName=names.stack, WaiterConfig=_MADE)
    except WaiterError as error:
        raise Stop(f"the stack {names.stack} could not be made: {_reasons(cloudformation, names) or error}", AWS) from (
            error
        )
    outputs: Any = cloudformation.describe_stacks(StackName=names.stack)["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def _reasons(cloudformation: Any, names: Names) -> str:
    events = cloudformation.describe_stack_events(StackName=names.stack)["StackEvents"]
    return "; ".join(
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED")
    )


def _remove(client: Client, names: Names, say: Say) -> None:
    with undisturbed(say):
        remove(client, names, say)


@contextmanager
def undisturbed(say: Say) -> Iterator[None]:
    """The first Ctrl-C in the block only says what a second one would leave behind."""

    def told(*_: object) -> None:
        say("still removing; Ctrl-C once more leaves the rest, and `guardctl acceptance --clean` finds it")
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
