"""CloudFormation: a template → a change set that is shown → done. Each of a stage's stacks goes through here."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from chalicelib.values import dataclass
from guardctl.errors import AWS, Stop
from guardctl.resource_names import Names
from guardctl.stage import Stage

Say = Callable[[str], None]

SHOWN = 20
"""Changes of a stack that are shown one by one; of the rest there is a number, and what failed."""

_POLL_SECONDS = 1.0
ABSENT = (None, "REVIEW_IN_PROGRESS", "DELETE_COMPLETE")
"""The status of a stack that is not there."""
NEVER_MADE = "ROLLBACK_COMPLETE"
"""The status of a stack whose creation failed: it holds nothing, and can only be deleted (AWS)."""


@dataclass(frozen=True)
class Change:
    """One line of a change set."""

    action: str
    logical_id: str
    kind: str
    physical_id: str | None
    replaces: bool

    @property
    def removes_machine(self) -> bool:
        """CloudFormation terminates the executions of a state machine that it removes or replaces (AWS)."""
        return self.kind == "AWS::StepFunctions::StateMachine" and (self.action == "Remove" or self.replaces)


@dataclass(frozen=True)
class Plan:
    """A change set that exists and has not been carried out."""

    stack: str
    change_set: str
    creates: bool
    changes: tuple[Change, ...]


def status(stage: Stage, name: str) -> str | None:
    try:
        found: str = stage.cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return found


def exists(stage: Stage, name: str) -> bool:
    return status(stage, name) not in ABSENT


def pipeline_failed(name: str) -> str:
    """What a pipeline's stack that is `NEVER_MADE` means, and what to do."""
    return (
        f"a pipeline tried to deploy this stage, and nothing came of it; remove what is left: "
        f"aws cloudformation delete-stack --stack-name {name}"
    )


def plan(stage: Stage, name: str, sent: Mapping[str, str], tags: Sequence[Any] = ()) -> Plan | None:
    """Ask CloudFormation what would change; None when nothing would. `sent` has the template, or its URL.

    `tags` are the stack's, and so those of all that it makes; none leaves them as they are.

    Raises `Stop` for a template that CloudFormation refuses, and for a stack in a dead end.
    """
    client = stage.cloudformation
    now = status(stage, name)
    if now in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
        raise Stop(f"the stack {name} is {now}: remove it first: {stage.command('destroy')}", AWS)
    creates = now in ABSENT
    change_set = client.create_change_set(
        StackName=name,
        ChangeSetName=f"guardctl-{int(time.time() * 1000)}",
        ChangeSetType="CREATE" if creates else "UPDATE",
        Capabilities=["CAPABILITY_NAMED_IAM"],  # what the functions' roles are called is known to Chalice
        **({"Tags": [*tags]} if tags else {}),
        **sent,
    )["Id"]
    while True:
        answer = client.describe_change_set(ChangeSetName=change_set, StackName=name)
        if answer["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            break
        time.sleep(_POLL_SECONDS)
    first = {"Remove": 0, "Add": 1}  # a role that changes shows every machine that has it as modified
    changes = sorted(_changes(client, name, change_set), key=lambda c: 0 if c.replaces else first.get(c.action, 2))
    found = Plan(name, change_set, creates, tuple(changes))
    if answer["Status"] == "FAILED":
        discard(stage, found)
        reason = answer.get("StatusReason", "")
        if "didn't contain changes" in reason or "No updates" in reason:
            return None
        raise Stop(f"CloudFormation refuses the template of {name}: {reason}", AWS)
    if not found.changes:
        discard(stage, found)
        return None
    return found


def discard(stage: Stage, found: Plan) -> None:
    """Remove the change set, and the empty stack that a change set of a new one leaves in review."""
    stage.cloudformation.delete_change_set(ChangeSetName=found.change_set, StackName=found.stack)
    if found.creates:
        stage.cloudformation.delete_stack(StackName=found.stack)


def carry_out(stage: Stage, found: Plan, say: Say) -> None:
    """Execute the change set and wait for it, telling of each resource. Raises `Stop` if it fails."""
    client = stage.cloudformation
    seen = {event["EventId"] for event in _events(client, found.stack)}
    names = Names(stage.file)
    worth = ("FAILED", "_COMPLETE") if len(found.changes) <= SHOWN else ("FAILED",)
    client.execute_change_set(ChangeSetName=found.change_set, StackName=found.stack)
    while True:
        now = status(stage, found.stack) or "gone"
        for event in reversed([*_events(client, found.stack)]):
            if event["EventId"] not in seen:
                seen.add(event["EventId"])
                reason = f": {event['ResourceStatusReason']}" if event.get("ResourceStatusReason") else ""
                if any(word in event["ResourceStatus"] for word in worth):
                    say(f"  {event['ResourceStatus']:<20} {names.told(event['LogicalResourceId'])}{reason}")
        if not now.endswith("IN_PROGRESS"):
            break
        time.sleep(_POLL_SECONDS)
    if now not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise Stop(f"the stack {found.stack} ended as {now}: see the reasons above", AWS)
    say(f"  {now}: stack {found.stack}, {len(found.changes)} changes")


def delete(cloudformation: Any, name: str) -> None:
    """Delete a stack and wait until it is gone. Raises `Stop` if it stays."""
    cloudformation.delete_stack(StackName=name)
    try:
        waiter = cloudformation.get_waiter("stack_delete_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 300})
    except WaiterError as error:
        raise Stop(f"the stack {name} could not be removed, its events say why: {error}", AWS) from error


def _changes(client: Any, name: str, change_set: str) -> Iterator[Change]:
    pages = client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set, StackName=name)
    for change in (item["ResourceChange"] for page in pages for item in page.get("Changes", [])):
        yield Change(
            change["Action"],
            change["LogicalResourceId"],
            change["ResourceType"],
            change.get("PhysicalResourceId"),
            # "Conditional" replaces if some value, known only then, has changed.
            change.get("Replacement") in ("True", "Conditional"),
        )


def _events(client: Any, name: str) -> list[dict[str, Any]]:
    with suppress(ClientError):
        return list(client.describe_stack_events(StackName=name)["StackEvents"])
    return []
