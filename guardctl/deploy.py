"""Deployment: plan → change set → done. First Chalice's functions, then the batch machines, then the guard.

The functions are the newest part of a stage at any moment: they still serve the definitions of the last release, and a
definition never meets a checker that is older than itself. Only a new stage gets its machines first, so that its
trigger finds them. What would be done is a `Plan`, a value: a dry run shows it, a deployment carries it out.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from chalicelib.config.jobs import JobsFile
from chalicelib.names import FUNCTIONS, function_name, machines_stack
from guardctl import template
from guardctl.errors import AWS, Stop
from guardctl.stage import PROJECT, Stage

Say = Callable[[str], None]

_POLL_SECONDS = 1.0
_ABSENT = (None, "REVIEW_IN_PROGRESS", "DELETE_COMPLETE")


@dataclass(frozen=True)
class Change:
    """One line of a change set."""

    action: str
    logical_id: str
    kind: str
    physical_id: str | None
    replaces: bool

    @property
    def ends_executions(self) -> bool:
        """CloudFormation terminates the executions of a state machine that it removes or replaces (AWS)."""
        return self.kind == "AWS::StepFunctions::StateMachine" and (self.action == "Remove" or self.replaces)


@dataclass(frozen=True)
class Plan:
    """A change set that exists and has not been carried out."""

    stack: str
    change_set: str
    creates: bool
    changes: tuple[Change, ...]


def write_policies(stage: Stage) -> list[str]:
    """Write the two policy files Chalice reads; returns those that changed."""
    changed = []
    for name, policy in policies(stage).items():
        path = PROJECT / ".chalice" / name
        text = template.render(policy) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return changed


def policies(stage: Stage) -> dict[str, dict[str, Any]]:
    """File name in ``.chalice`` → policy."""
    return {
        f"policy-{stage.name}-check.json": template.check_policy(stage.file),
        f"policy-{stage.name}-trigger.json": template.trigger_policy(stage.file),
    }


def chalice_knows(stage: str) -> None:
    """Chalice deploys a stage it does not know with defaults: no policies, no stage name. Raises `Stop`."""
    config = json.loads((PROJECT / ".chalice" / "config.json").read_text(encoding="utf-8"))
    if stage not in config["stages"]:
        known = ", ".join(sorted(config["stages"]))
        raise Stop(f".chalice/config.json has no stage {stage!r} (it has {known}): copy the block of dev and rename it")


def plan(stage: Stage, bucket: str | None) -> Plan | None:
    """Ask CloudFormation what would change; None when nothing would.

    Raises `Stop` for a template that is too large to send without a bucket, and for a stack in a dead end.
    """
    cloudformation = stage.client("cloudformation")
    name = machines_stack(stage.name)
    status = _status(cloudformation, name)
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
        raise Stop(f"the stack {name} is {status}: remove it with `guardctl destroy --stage {stage.name}` first", AWS)
    creates = status in _ABSENT
    change_set = cloudformation.create_change_set(
        StackName=name,
        ChangeSetName=f"guardctl-{int(time.time() * 1000)}",
        ChangeSetType="CREATE" if creates else "UPDATE",
        Capabilities=["CAPABILITY_IAM"],
        **_sent(stage, bucket),
    )["Id"]
    while True:
        answer = cloudformation.describe_change_set(ChangeSetName=change_set, StackName=name)
        if answer["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            break
        time.sleep(_POLL_SECONDS)
    found = Plan(name, change_set, creates, tuple(_changes(cloudformation, name, change_set)))
    if answer["Status"] == "FAILED":
        discard(stage, found)
        reason = answer.get("StatusReason", "")
        if "didn't contain changes" in reason or "No updates" in reason:
            return None
        raise Stop(f"CloudFormation refuses the template: {reason}", AWS)
    if not found.changes:
        discard(stage, found)
        return None
    return found


def discard(stage: Stage, found: Plan) -> None:
    """Remove the change set, and the empty stack that a change set of a new one leaves in review."""
    cloudformation = stage.client("cloudformation")
    cloudformation.delete_change_set(ChangeSetName=found.change_set, StackName=found.stack)
    if found.creates:
        cloudformation.delete_stack(StackName=found.stack)


def refuse_to_end_runs(stage: Stage, found: Plan) -> None:
    """Raise `Stop` when the plan removes or replaces a state machine that has a running execution."""
    for change in found.changes:
        if change.ends_executions and change.physical_id:
            running = running_executions(stage, change.physical_id)
            if running:
                discard(stage, found)
                raise Stop(
                    f"nothing was changed: this would end {', '.join(running)} of {change.physical_id}; "
                    "wait for it, or stop it (a pause: resume the job) while the jobs file still has the job, "
                    "and deploy again"
                )


def running_executions(stage: Stage, machine: str) -> list[str]:
    """The names of the machine's running executions; none if there is no such machine."""
    try:
        pages = stage.stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=machine, statusFilter="RUNNING"
        )
        return [execution["name"] for page in pages for execution in page["executions"]]
    except stage.stepfunctions.exceptions.StateMachineDoesNotExist:
        return []


def carry_out(stage: Stage, found: Plan, say: Say) -> None:
    """Execute the change set and wait for it, telling of each resource. Raises `Stop` if it fails."""
    cloudformation = stage.client("cloudformation")
    seen = {event["EventId"] for event in _events(cloudformation, found.stack)}
    cloudformation.execute_change_set(ChangeSetName=found.change_set, StackName=found.stack)
    while True:
        status = _status(cloudformation, found.stack) or "gone"
        for event in reversed([*_events(cloudformation, found.stack)]):
            if event["EventId"] not in seen:
                seen.add(event["EventId"])
                reason = f": {event['ResourceStatusReason']}" if event.get("ResourceStatusReason") else ""
                if "FAILED" in event["ResourceStatus"] or event["ResourceStatus"].endswith("_COMPLETE"):
                    say(f"  {event['ResourceStatus']:<20} {event['LogicalResourceId']}{reason}")
        if not status.endswith("IN_PROGRESS"):
            break
        time.sleep(_POLL_SECONDS)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise Stop(f"the stack {found.stack} ended as {status}: see the reasons above", AWS)


def chalice(stage: str, command: str, say: Say) -> None:
    """Run ``chalice <command> --stage <stage>`` in the project. Raises `Stop` with what it printed if it fails."""
    _chalice([command, "--stage", stage], say)


def package(stage: Stage, directory: str, say: Say) -> None:
    """One template for pipelines: ``sam.json`` and ``deployment.zip`` in `directory`."""
    chalice_knows(stage.name)
    write_policies(stage)
    target = PROJECT / directory
    target.mkdir(parents=True, exist_ok=True)
    extension = target / "machines.json"
    extension.write_text(template.render(template.sam_extension(stage.file)), encoding="utf-8")
    try:
        _chalice(["package", "--stage", stage.name, "--merge-template", str(extension), str(target)], say)
    finally:
        extension.unlink()


def left(stage: Stage) -> list[str]:
    """The names of the stage's functions and of its stack, as far as they exist."""
    functions = stage.client("lambda")
    found = []
    for name in (function_name(stage.name, function) for function in FUNCTIONS):
        with suppress(functions.exceptions.ResourceNotFoundException):
            functions.get_function_configuration(FunctionName=name)
            found.append(name)
    stack = machines_stack(stage.name)
    return [*found, stack] if _status(stage.client("cloudformation"), stack) not in _ABSENT else found


def destroy(stage: Stage, say: Say) -> None:
    """Remove the functions, then the machines. Raises `Stop` if a part could not be removed."""
    chalice(stage.name, "delete", say)
    name = machines_stack(stage.name)
    functions = [found for found in left(stage) if found != name]
    if functions:
        # Without its record of the deployment, chalice removes nothing and says nothing.
        raise Stop(
            f"{' and '.join(functions)} could not be removed, and the state machines were left alone: "
            f"chalice knows only what was deployed from this directory (.chalice/deployed/{stage.name}.json). "
            f"Destroy the stage where it was deployed, or delete the stack that it was packaged for",
            AWS,
        )
    cloudformation = stage.client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 300}
        )
    except WaiterError as error:
        raise Stop(f"the stack {name} could not be removed: {error}", AWS) from error
    say(f"removed the stack {name}")


def body(jobs: JobsFile, bucket: str | None) -> str:
    """The template's text. Raises `Stop` when CloudFormation would not take it, inline or from a bucket."""
    whole = template.template(jobs)
    text = template.render(whole, indent=None)
    size = len(text.encode())
    if (count := len(whole["Resources"])) > template.MOST_RESOURCES:
        raise Stop(
            f"the template has {count} resources, and CloudFormation takes {template.MOST_RESOURCES} at most: "
            f"spread the jobs over two stages"
        )
    if bucket is None and size > template.INLINE_LIMIT:
        raise Stop(
            f"the template has {size:,} bytes, and CloudFormation takes {template.INLINE_LIMIT:,} inline: "
            f"name an S3 bucket of yours with --bucket"
        )
    if size > template.S3_LIMIT:
        raise Stop(
            f"the template has {size:,} bytes, and CloudFormation takes {template.S3_LIMIT:,} at most: "
            f"spread the jobs over two stages"
        )
    return text


def _sent(stage: Stage, bucket: str | None) -> dict[str, str]:
    text = body(stage.file, bucket)
    if bucket is None:
        return {"TemplateBody": text}
    key = f"batch-guard/{machines_stack(stage.name)}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    s3 = stage.client("s3")
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/json")
    except ClientError as error:
        raise Stop(f"the template can't be put into the bucket {bucket}: {error}", AWS) from error
    return {"TemplateURL": f"{s3.meta.endpoint_url.rstrip('/')}/{bucket}/{key}"}


def _status(cloudformation: Any, name: str) -> str | None:
    try:
        status: str = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return status


def _changes(cloudformation: Any, name: str, change_set: str) -> Iterator[Change]:
    token: Mapping[str, str] = {}
    while True:
        page = cloudformation.describe_change_set(ChangeSetName=change_set, StackName=name, **token)
        for item in page.get("Changes", []):
            change = item["ResourceChange"]
            yield Change(
                change["Action"],
                change["LogicalResourceId"],
                change["ResourceType"],
                change.get("PhysicalResourceId"),
                # "Conditional" replaces if some value, known only then, has changed.
                change.get("Replacement") in ("True", "Conditional"),
            )
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _events(cloudformation: Any, name: str) -> list[dict[str, Any]]:
    with suppress(ClientError):
        return list(cloudformation.describe_stack_events(StackName=name)["StackEvents"])
    return []


def _chalice(arguments: list[str], say: Say) -> None:
    command = [sys.executable, "-c", "import sys; from chalice.cli import main; sys.exit(main())", *arguments]
    # Chalice builds packages with pip; Python must not leave bytecode in the project's own folders.
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        say(f"  {line}")
    if done.returncode != 0:
        raise Stop(f"chalice {' '.join(arguments)} failed:\n{done.stderr.strip() or done.stdout.strip()}", AWS)
