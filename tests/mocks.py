"""Recorded failures of AWS, for the emulator's mock configuration: what ECS answers and the emulator can't."""

import json
from typing import Any


def container_failure(exit_code: int | None, stop_code: str, reason: str) -> str:
    """The cause that AWS gives when a container of an ``ecs:runTask.sync`` step fails: the task, as a JSON string."""
    container = {"Name": "app", "LastStatus": "STOPPED"} | ({} if exit_code is None else {"ExitCode": exit_code})
    task = {"TaskArn": "arn:aws:ecs:us-east-1:1:task/batch/t1", "LastStatus": "STOPPED", "Containers": [container]}
    return json.dumps({**task, "StopCode": stop_code, "StoppedReason": reason})


MOCKS = {
    "exit-1": {"Error": "States.TaskFailed", "Cause": container_failure(1, "EssentialContainerExited", "Essential container in task exited")},
    "no-image": {"Error": "States.TaskFailed", "Cause": container_failure(None, "TaskFailedToStart", "CannotPullContainerError")},
    "throttled": {"Error": "ECS.AmazonECSException", "Cause": "Rate exceeded"},
    "no-subnet": {"Error": "ECS.InvalidParameterException", "Cause": "The subnet ID 'subnet-1' does not exist"},
    "no-room": {"Error": "AmazonECS.Unknown", "Cause": "RESOURCE:MEMORY"},
    "bad-arguments": {"Error": "States.QueryEvaluationError", "Cause": "a redriven run starts no task"},
}  # fmt: skip
RUN_TASK = "Run an ECS task and wait for it to complete"


def mock_config() -> dict[str, Any]:
    """What makes a run's first RunTask fail, as AWS would, when it is started as ``<machine>#<case>``."""
    cases = {case: {RUN_TASK: case} for case in (*MOCKS, "spot")}
    return {
        "StateMachines": {f"batch-guard-e2e-{job}": {"TestCases": cases} for job in ("unclear", "retried")},
        "MockedResponses": {
            **{case: {"0": {"Throw": error}} for case, error in MOCKS.items()},
            "spot": {
                "0": {"Return": json.loads(container_failure(0, "SpotInterruption", "Spot capacity was reclaimed"))}
            },
        },
    }
