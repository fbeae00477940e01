"""The probes' state machines, in JSONata. Pure.

Those that are `settled` are in the stack. Whether AWS takes the others at all is what a probe asks: it makes them
itself, so that a refusal is an answer and not the end of the stack.
"""

from typing import Any

from guardctl.acceptance.trial import CONTAINER, MARK, Trial

Json = dict[str, Any]

_CAUGHT = {"error": "{% $states.errorOutput.Error %}", "cause": "{% $states.errorOutput.Cause %}"}


def machine(state: Json, **more: Any) -> Json:
    """A machine of this state, ``Try``."""
    return {"QueryLanguage": "JSONata", "StartAt": "Try", "States": {"Try": state}, **more}


def step(resource: str, arguments: Json) -> Json:
    """One step; what it answers is the output's ``answer``, what is caught are its ``error`` and ``cause``."""
    made = machine(
        {
            "Type": "Task",
            "Resource": resource,
            "Arguments": arguments,
            "Catch": [{"ErrorEquals": ["States.ALL"], "Output": _CAUGHT, "Next": "Caught"}],
            "Output": {"answer": "{% $states.result %}"},
            "End": True,
        }
    )
    made["States"]["Caught"] = {"Type": "Succeed"}
    return made


def waiting(seconds: object, **more: Any) -> Json:
    return machine({"Type": "Wait", "Seconds": seconds, "End": True}, **more)


def settled(partition: str) -> dict[str, Json]:
    """Name → definition of what AWS takes for sure."""
    start, again = (f"arn:{partition}:states:::{each}:startExecution" for each in ("states", "aws-sdk:sfn"))
    asked: Json = {"StateMachineArn": "{% $states.input.machine %}", "Name": "{% $states.input.name %}", "Input": {}}
    count = "$states.context.Execution.RedriveCount"
    told = f"{{% 'redriven ' & $string({count}) & ' times' %}}"
    return {
        "wait": waiting("{% $states.input.seconds %}"),
        "start": step(start, asked),
        "start-sdk": step(again, asked | {"Input": "{}"}),
        "count": machine({"Type": "Pass", "Output": {"count": f"{{% {count} %}}"}, "End": True}),
        "fail": machine({"Type": "Fail", "Error": "Probe.Failed", "Cause": told}),
        "error": step(start, asked | {"Name": "{% $error('refused on purpose') %}"}),
        "limited": waiting(60, TimeoutSeconds=2),
    }


def run_task(trial: Trial, *, sync: bool = True, **more: Any) -> Json:
    """RunTask with the input's ``command``; `more` are further arguments, or others in their place."""
    arguments = {
        "Cluster": trial.names.cluster,
        "TaskDefinition": trial.names.family("probe"),
        "LaunchType": "FARGATE",
        "NetworkConfiguration": _network(trial.subnet),
        "Overrides": {
            "ContainerOverrides": [
                {
                    "Name": CONTAINER,
                    "Command": "{% $states.input.command %}",
                    "Environment": [{"Name": MARK, "Value": "{% $states.context.Execution.Id %}"}],
                }
            ]
        },
        **more,
    }
    return step(f"arn:{trial.partition}:states:::ecs:runTask{'.sync' if sync else ''}", arguments)


def refusals(trial: Trial) -> dict[str, Json]:
    """Name → a RunTask that ECS refuses: it never starts a task."""
    more: dict[str, Json] = {
        "no-cluster": {"Cluster": trial.names.no_cluster},
        "no-subnet": {"NetworkConfiguration": _network("subnet-00000000000000000")},
        "denied": {"TaskDefinition": "batch-guard-of-somebody-else"},
    }
    return {name: run_task(trial, sync=False, **other) for name, other in more.items()}


def _network(subnet: str) -> Json:
    return {"AwsvpcConfiguration": {"Subnets": [subnet], "AssignPublicIp": "ENABLED"}}
