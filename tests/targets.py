"""Old schedules as AWS tells of them, of every kind: in the shapes in which modules and tools make them.

Rewritten by hand; names and IDs are made up.
"""

import json
from typing import Any

REGION, ACCOUNT = "us-east-1", "000000000000"
HERE = f"{REGION}:{ACCOUNT}"
CLUSTER = f"arn:aws:ecs:{HERE}:cluster/batch"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/events"
TASK_ROLE = f"arn:aws:iam::{ACCOUNT}:role/report-task"
EXECUTION_ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"
UNIVERSAL = "arn:aws:scheduler:::aws-sdk:ecs:runTask"

Json = dict[str, Any]


def definition_arn(family: str) -> str:
    """As targets name it; a family may have its revision."""
    return f"arn:aws:ecs:{HERE}:task-definition/{family}"


def network(**more: Any) -> Json:
    """A target's network configuration; its inner names are in PascalCase, the outer one is not."""
    return {"awsvpcConfiguration": {"Subnets": ["subnet-0a", "subnet-0b"], "SecurityGroups": ["sg-0a"], **more}}


def overrides(command: list[str] | None = None, name: str = "app", **more: Any) -> str:
    """A target's input: the override of one container."""
    container: Json = {"name": name, **({"command": command} if command else {}), **more}
    return json.dumps({"containerOverrides": [container]})


def ecs(family: str = "report:7", **more: Any) -> Json:
    """EcsParameters, as a Terraform module makes them for Fargate."""
    whole = {
        "TaskDefinitionArn": definition_arn(family),
        "TaskCount": 1,
        "LaunchType": "FARGATE",
        "NetworkConfiguration": network(AssignPublicIp="DISABLED"),
        **more,
    }
    return {key: value for key, value in whole.items() if value is not None}


def target(id_: str = "1", *, parameters: Json | None = None, **more: Any) -> Json:
    """A rule's target."""
    return {"Id": id_, "Arn": CLUSTER, "RoleArn": ROLE, "EcsParameters": parameters or ecs(), **more}


def rule(name: str, expression: str = "cron(0 3 * * ? *)", bus: str = "default", **more: Any) -> Json:
    """As ListRules tells of it."""
    path = name if bus == "default" else f"{bus}/{name}"
    arn = f"arn:aws:events:{HERE}:rule/{path}"
    schedule = {"ScheduleExpression": expression} if expression else {}
    return {"Name": name, "Arn": arn, "State": "ENABLED", "EventBusName": bus, **schedule, **more}


def schedule(name: str, expression: str = "cron(0 3 * * ? *)", group: str = "default", **more: Any) -> Json:
    """As GetSchedule tells of it: with the retry policy that everybody has."""
    whole = {
        "Arn": f"arn:aws:scheduler:{HERE}:schedule/{group}/{name}",
        "Name": name,
        "GroupName": group,
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
        "Target": {**of_schedule(), "Input": overrides(["bin/report", name])},
    }
    return whole | more


def of_schedule(parameters: Json | None = None, **more: Any) -> Json:
    """A schedule's target."""
    retry = {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}
    return {"Arn": CLUSTER, "RoleArn": ROLE, "EcsParameters": parameters or ecs(), "RetryPolicy": retry, **more}


def definition(*containers: str, essential: tuple[str, ...] | None = None, **more: Any) -> Json:
    """As DescribeTaskDefinition tells of it; the first container has a command."""
    names = containers or ("app",)
    told = [
        {"name": name, "image": "x", "essential": essential is None or name in essential}
        | ({"command": ["bin/report"]} if name == names[0] else {})
        for name in names
    ]
    roles = {"taskRoleArn": TASK_ROLE, "executionRoleArn": EXECUTION_ROLE}
    return {"containerDefinitions": told, "status": "ACTIVE", **roles, **more}
