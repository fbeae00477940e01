"""The probes' state machines, in JSONata. Pure.

`SETTLED` are in the stack. Whether AWS takes those of `in_question` at all is what a probe asks: it makes them itself,
so that a refusal is an answer and not the end of the stack.
"""

from collections.abc import Mapping
from typing import Any

from guardctl.acceptance.trial import CONTAINER, MARK, Names

Json = dict[str, Any]

_CAUGHT = {"error": "{% $states.errorOutput.Error %}", "cause": "{% $states.errorOutput.Cause %}"}
OWN = "{% $states.context.Execution.Id %}"


def machine(states: Mapping[str, Any], **more: Any) -> Json:
    """A machine that begins with its state ``Try``."""
    return {"QueryLanguage": "JSONata", "StartAt": "Try", "States": dict(states), **more}


def step(resource: str, arguments: Json, **more: Any) -> Json:
    """One step; what it answers is the output's ``answer``, what is caught are its ``error`` and ``cause``."""
    return machine(
        {
            "Try": {
                "Type": "Task",
                "Resource": resource,
                "Arguments": arguments,
                "Catch": [{"ErrorEquals": ["States.ALL"], "Output": _CAUGHT, "Next": "Caught"}],
                "Output": {"answer": "{% $states.result %}"},
                "End": True,
                **more,
            },
            "Caught": {"Type": "Succeed"},
        }
    )


def waiting(seconds: object) -> Json:
    """It waits for so many seconds."""
    return machine({"Try": {"Type": "Wait", "Seconds": seconds, "End": True}})


def settled(partition: str) -> dict[str, Json]:
    """Name → definition of what AWS takes for sure."""
    arn = f"arn:{partition}:states:::"
    name = "{% $states.input.name %}"
    target = "{% $states.input.machine %}"
    return {
        "wait": waiting("{% $states.input.seconds %}"),
        "start": step(f"{arn}states:startExecution", {"StateMachineArn": target, "Name": name, "Input": {}}),
        "start-sdk": step(f"{arn}aws-sdk:sfn:startExecution", {"StateMachineArn": target, "Name": name, "Input": "{}"}),
        "count": machine(
            {
                "Try": {
                    "Type": "Pass",
                    "Output": {"count": "{% $states.context.Execution.RedriveCount %}"},
                    "End": True,
                }
            }
        ),
        "fail": machine(
            {
                "Try": {
                    "Type": "Fail",
                    "Error": "Probe.Failed",
                    "Cause": "{% 'redriven ' & $string($states.context.Execution.RedriveCount) & ' times' %}",
                }
            }
        ),
        "error": step(
            f"{arn}states:startExecution",
            {"StateMachineArn": target, "Name": "{% $error('refused on purpose') %}", "Input": {}},
        ),
        "limited": machine({"Try": {"Type": "Wait", "Seconds": 60, "End": True}}, TimeoutSeconds=2),
    }


def run_task(partition: str, names: Names, subnet: str, *, sync: bool = True, **more: Any) -> Json:
    """RunTask with the input's ``command``; `more` are further arguments, or others in their place."""
    arguments = {
        "Cluster": names.cluster,
        "TaskDefinition": names.family("probe"),
        "LaunchType": "FARGATE",
        "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": [subnet], "AssignPublicIp": "ENABLED"}},
        "Overrides": {
            "ContainerOverrides": [
                {
                    "Name": CONTAINER,
                    "Command": "{% $states.input.command %}",
                    "Environment": [{"Name": MARK, "Value": OWN}],
                }
            ]
        },
        **more,
    }
    return step(f"arn:{partition}:states:::ecs:runTask{'.sync' if sync else ''}", arguments)


def limited_by_expression(definition: Json) -> Json:
    """The same step with a timeout that is an expression."""
    limited = {**definition["States"]["Try"], "TimeoutSeconds": "{% $states.input.limit %}"}
    return {**definition, "States": {**definition["States"], "Try": limited}}


def refusals(partition: str, names: Names, subnet: str) -> dict[str, Json]:
    """Name → a RunTask that ECS refuses: it never starts a task."""
    network = {"AwsvpcConfiguration": {"Subnets": ["subnet-00000000000000000"], "AssignPublicIp": "ENABLED"}}
    more: dict[str, Json] = {
        "no-cluster": {"Cluster": names.no_cluster},
        "no-subnet": {"NetworkConfiguration": network},
        "denied": {"TaskDefinition": "batch-guard-of-somebody-else"},
    }
    return {name: run_task(partition, names, subnet, sync=False, **other) for name, other in more.items()}
