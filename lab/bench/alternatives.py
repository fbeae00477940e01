"""What the guard is measured beside: the article's flow, and AWS's semaphore in DynamoDB."""

from typing import Any

ARTICLE: dict[str, Any] = {
    "Comment": "The article's one state machine, retold. CHECK, CLUSTER and FAMILY are put in.",
    "StartAt": "get execution id",
    "States": {
        "get execution id": {
            "Type": "Pass",
            "Parameters": {"StateMachineId.$": "$$.StateMachine.Id", "ExecutionName.$": "$$.Execution.Name"},
            "Next": "check running statemachine",
        },
        "check running statemachine": {"Type": "Task", "Resource": "CHECK", "Next": "choice"},
        "choice": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.running_flg", "BooleanEquals": True, "Next": "fail"}],
            "Default": "Run an ECS Task and wait for it to complete",
        },
        "Run an ECS Task and wait for it to complete": {
            "Type": "Task",
            "Resource": "arn:aws:states:::ecs:runTask.sync",
            "Parameters": {"Cluster": "CLUSTER", "TaskDefinition": "FAMILY"},
            "Next": "succeed",
        },
        "succeed": {"Type": "Succeed"},
        "fail": {"Type": "Fail", "Error": "ErrorCode", "Cause": "There is a running state machine."},
    },
}

SEMAPHORE = "aws-samples/aws-stepfunctions-examples"
SEMAPHORE_COMMIT = "8ebd4de0ad39f21d47f9bd9b7db6e7feafdf2481"
SEMAPHORE_FILE = "sam/app-control-concurrency-with-dynamodb/statemachines/dynamodb-semaphore.asl.json"
SEMAPHORE_STATES = (
    "Get Lock",  # a Parallel state, which is a step of its own
    "Acquire Lock",  # dynamodb:updateItem
    "Do Work",  # Parallel again; its placeholder of five states is counted as one: the ECS task
    "Run an ECS Task and wait for it to complete",
    "Release Lock",  # dynamodb:updateItem
    "Success State",
)
"""The states that a start enters which gets the lock at once, whose lock item exists already."""
