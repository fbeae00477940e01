"""Removing a throwaway stage, by its names: the same way after a trial, after Ctrl-C and after a kill.

The probes' stack goes last. Its tag is how a stage is found, so whatever a removal did not reach is found again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from chalicelib.names import FUNCTIONS, function_name, guard_machine
from guardctl.acceptance.trial import TAG, Names, code
from guardctl.errors import AWS, Stop

Say = Callable[[str], None]
Client = Callable[[str], Any]
"""A service's name → its client."""

_GONE = (
    "ClusterNotFoundException",
    "ExecutionDoesNotExist",
    "NoSuchEntity",
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
)
_STOPS = {"Delay": 3, "MaxAttempts": 60}
_DELETES = {"Delay": 3, "MaxAttempts": 200}


@dataclass(frozen=True)
class Leftover:
    """A throwaway stage that is there."""

    names: Names
    made_at: datetime
    status: str


def leftovers(client: Client, of: str) -> list[Leftover]:
    """The stages that carry the tag of ``--stage`` `of`, found by their probes' stacks."""
    return [
        Leftover(Names(stack["StackName"].removeprefix("batch-guard-").removesuffix("-acceptance")), made, status)
        for stack in _stacks(client)
        if {"Key": TAG, "Value": of} in stack.get("Tags", [])
        for made, status in [(stack["CreationTime"], stack["StackStatus"])]
    ]


def remove(client: Client, names: Names, say: Say) -> None:
    """Remove everything of the stage; what is gone already is no fault.

    What can't be removed does not keep the rest. Raises `Stop` with all that AWS refused; then the probes' stack stays,
    so that ``--clean`` finds the stage.
    """
    say(f"removing {names.prefix}*")
    faults: list[str] = []
    for step in (
        _chalice,
        _executions,
        _tasks,
        _other_stacks,
        # What came late: of a deployment that outlived its trial's kill, or of a step that was about to start a task.
        _chalice,
        _tasks,
        _probes_machines,
        _other_cluster,
    ):
        try:
            step(client, names)
        except (ClientError, WaiterError, Stop) as error:
            if str(error) not in faults:
                faults.append(str(error))
    if faults:
        raise Stop(
            f"not all of {names.prefix}* could be removed; mend it, then: guardctl acceptance --clean\n"
            + "\n".join(faults),
            AWS,
        )
    _delete_stack(client, names.stack)
    _definitions(client("ecs"), names)
    say(f"removed {names.prefix}*")


def _chalice(client: Client, names: Names) -> None:
    """What Chalice has made. The log groups last: a function that runs makes its own again."""
    _rules(client("events"), names)
    _functions(client("lambda"), names)
    _roles(client("iam"), names)
    _log_groups(client("logs"), names)


def _other_stacks(client: Client, names: Names) -> None:
    for stack in _stacks(client):
        if stack["StackName"].startswith(names.prefix) and stack["StackName"] != names.stack:
            _delete_stack(client, stack["StackName"])


def _probes_machines(client: Client, names: Names) -> None:
    for machine in _machines(client("stepfunctions"), names):
        client("stepfunctions").delete_state_machine(stateMachineArn=machine)


def _stacks(client: Client) -> Iterator[Any]:
    pages = client("cloudformation").get_paginator("describe_stacks").paginate()
    return (stack for page in pages for stack in page["Stacks"])


def _delete_stack(client: Client, name: str) -> None:
    cloudformation = client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig=_DELETES)
    except WaiterError as error:
        raise Stop(
            f"the stack {name} could not be removed: its events say why. Then: guardctl acceptance --clean ({error})",
            AWS,
        ) from error


def _rules(events: Any, names: Names) -> None:
    """Chalice's rule, which starts the trigger every minute."""
    for rule in events.list_rules(NamePrefix=names.prefix)["Rules"]:
        targets = [target["Id"] for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]]
        if targets:
            events.remove_targets(Rule=rule["Name"], Ids=targets)
        events.delete_rule(Name=rule["Name"])


def _functions(functions: Any, names: Names) -> None:
    for function in FUNCTIONS:
        with _ignoring_what_is_gone():
            functions.delete_function(FunctionName=function_name(names.stage, function))


def _roles(iam: Any, names: Names) -> None:
    """Chalice names a function's role like the function."""
    for function in FUNCTIONS:
        role = function_name(names.stage, function)
        with _ignoring_what_is_gone():
            for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                iam.delete_role_policy(RoleName=role, PolicyName=policy)
            iam.delete_role(RoleName=role)


def _log_groups(logs: Any, names: Names) -> None:
    """Those that Lambda made: the tasks' is in the stack."""
    prefix = f"/aws/lambda/{names.prefix}"
    for group in logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]:
        with _ignoring_what_is_gone():
            logs.delete_log_group(logGroupName=group["logGroupName"])


def _machines(stepfunctions: Any, names: Names) -> list[str]:
    pages = stepfunctions.get_paginator("list_state_machines").paginate()
    return [
        machine["stateMachineArn"]
        for page in pages
        for machine in page["stateMachines"]
        if machine["name"].startswith(names.prefix) or machine["name"] == guard_machine(names.stage)
    ]


def _executions(client: Client, names: Names) -> None:
    """A machine can't go while its executions wait, and would start tasks until it does."""
    stepfunctions = client("stepfunctions")
    for machine in _machines(stepfunctions, names):
        with _ignoring_what_is_gone():
            pages = stepfunctions.get_paginator("list_executions").paginate(
                stateMachineArn=machine, statusFilter="RUNNING"
            )
            for execution in [item["executionArn"] for page in pages for item in page["executions"]]:
                with _ignoring_what_is_gone():
                    stepfunctions.stop_execution(executionArn=execution)


def _tasks(client: Client, names: Names) -> None:
    _stop_tasks(client("ecs"), names.cluster)


def _other_cluster(client: Client, names: Names) -> None:
    """AWS makes none: the probe that names a cluster that does not exist is there to see that."""
    _stop_tasks(client("ecs"), names.no_cluster)
    with _ignoring_what_is_gone():
        client("ecs").delete_cluster(cluster=names.no_cluster)


def _stop_tasks(ecs: Any, cluster: str) -> None:
    """A cluster can't go while it has tasks, those that are on their way down included."""
    with _ignoring_what_is_gone():
        alive = ecs.list_tasks(cluster=cluster)["taskArns"]
        for task in alive:
            ecs.stop_task(cluster=cluster, task=task, reason="guardctl acceptance is over")
        all_of_them = [*alive, *ecs.list_tasks(cluster=cluster, desiredStatus="STOPPED")["taskArns"]][:100]
        if all_of_them:
            ecs.get_waiter("tasks_stopped").wait(cluster=cluster, tasks=all_of_them, WaiterConfig=_STOPS)


def _definitions(ecs: Any, names: Names) -> None:
    """CloudFormation only deregisters a task definition: it would be listed as INACTIVE for ever."""
    for which in ("story", "probe"):
        found = ecs.list_task_definitions(familyPrefix=names.family(which), status="INACTIVE")["taskDefinitionArns"]
        if found:
            ecs.delete_task_definitions(taskDefinitions=found)


@contextmanager
def _ignoring_what_is_gone() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code(error) not in _GONE:
            raise
