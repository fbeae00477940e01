"""Removing a throwaway stage, by its names: the same way after a trial, after Ctrl-C and after a kill.

The probes' stack goes last. Its tag is how a stage is found, so whatever a removal did not reach is found again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from chalicelib.names import FUNCTIONS, function_name, guard_machine
from chalicelib.values import dataclass
from guardctl import stacks
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
        for stack in _stacks(client("cloudformation"))
        if {"Key": TAG, "Value": of} in stack.get("Tags", [])
        for made, status in [(stack["CreationTime"], stack["StackStatus"])]
    ]


def remove(client: Client, names: Names, say: Say) -> None:
    """Remove everything of the stage; what is gone already is no fault.

    What can't be removed does not keep the rest. Raises `Stop` with all that AWS refused; then the probes' stack stays,
    so that ``--clean`` finds the stage.
    """
    say(f"removing {names.prefix}*")
    ecs = client("ecs")
    chalice, tasks = partial(_chalice, client, names), partial(_stop_tasks, ecs, names.cluster)
    faults = _faults(
        chalice,
        partial(_executions, client("stepfunctions"), names),
        tasks,
        partial(_other_stacks, client("cloudformation"), names),
        # What came late: of a deployment that outlived its trial's kill, or of a step that was about to start a task.
        chalice,
        tasks,
        partial(_probes_machines, client("stepfunctions"), names),
        partial(_other_cluster, ecs, names),
    )
    own = partial(stacks.delete, client("cloudformation"), names.stack)
    if faults := faults or _faults(own, partial(_definitions, ecs, names)):
        again = f"not all of {names.prefix}* could be removed; mend it, then: guardctl acceptance --clean"
        raise Stop("\n".join([again, *faults]), AWS)
    say(f"removed {names.prefix}*")


def _faults(*steps: Callable[[], None]) -> list[str]:
    """Take the steps, and return what AWS refused of them, each once."""
    found: dict[str, None] = {}
    for step in steps:
        try:
            step()
        except (ClientError, WaiterError, Stop) as error:
            found[str(error)] = None
    return [*found]


def _chalice(client: Client, names: Names) -> None:
    """What Chalice has made. The log groups last: a function that runs makes its own again."""
    events, functions, iam, logs = (client(each) for each in ("events", "lambda", "iam", "logs"))
    for rule in events.list_rules(NamePrefix=names.prefix)["Rules"]:  # starts the trigger every minute
        targets = [target["Id"] for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]]
        if targets:
            events.remove_targets(Rule=rule["Name"], Ids=targets)
        events.delete_rule(Name=rule["Name"])
    for name in (function_name(names.stage, function) for function in FUNCTIONS):
        with _ignoring_what_is_gone():
            functions.delete_function(FunctionName=name)
        with _ignoring_what_is_gone():  # Chalice names a function's role like the function
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                iam.delete_role_policy(RoleName=name, PolicyName=policy)
            iam.delete_role(RoleName=name)
    for group in logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{names.prefix}")["logGroups"]:
        with _ignoring_what_is_gone():
            logs.delete_log_group(logGroupName=group["logGroupName"])


def _other_stacks(cloudformation: Any, names: Names) -> None:
    for stack in _stacks(cloudformation):
        if stack["StackName"].startswith(names.prefix) and stack["StackName"] != names.stack:
            stacks.delete(cloudformation, stack["StackName"])


def _probes_machines(stepfunctions: Any, names: Names) -> None:
    for machine in _machines(stepfunctions, names):
        stepfunctions.delete_state_machine(stateMachineArn=machine)


def _stacks(cloudformation: Any) -> Iterator[Any]:
    return (stack for page in cloudformation.get_paginator("describe_stacks").paginate() for stack in page["Stacks"])


def _machines(stepfunctions: Any, names: Names) -> list[str]:
    pages = stepfunctions.get_paginator("list_state_machines").paginate()
    return [
        machine["stateMachineArn"]
        for page in pages
        for machine in page["stateMachines"]
        if machine["name"].startswith(names.prefix) or machine["name"] == guard_machine(names.stage)
    ]


def _executions(stepfunctions: Any, names: Names) -> None:
    """A machine can't go while its executions wait, and would start tasks until it does."""
    for machine in _machines(stepfunctions, names):
        with _ignoring_what_is_gone():
            pages = stepfunctions.get_paginator("list_executions").paginate(
                stateMachineArn=machine, statusFilter="RUNNING"
            )
            for execution in [item["executionArn"] for page in pages for item in page["executions"]]:
                with _ignoring_what_is_gone():
                    stepfunctions.stop_execution(executionArn=execution)


def _other_cluster(ecs: Any, names: Names) -> None:
    """AWS makes none: the probe that names a cluster that does not exist is there to see that."""
    _stop_tasks(ecs, names.no_cluster)
    with _ignoring_what_is_gone():
        ecs.delete_cluster(cluster=names.no_cluster)


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
