"""What AWS answered: a table, written anew by hand, with invented ids. Shapes and names are AWS's.

*Recorded* rows follow histories that LocalStack recorded on AWS (github.com/localstack/localstack, the folder `_V2`,
files ``*.snapshot.json``); *reported* ones what people quoted in public issues. Neither was seen by us: no AWS account
has been used.
"""

import json
from typing import Any

from chalicelib.values import dataclass

_V2 = "localstack/localstack, tests/aws/services/stepfunctions/v2"
_ECS = f"{_V2}/services/test_ecs_task_service.snapshot.json"

RUN_TASK = "ecs:runTask.sync"
INVOKE = "lambda:invoke"
START = "states:startExecution"


@dataclass(frozen=True)
class Recorded:
    """One answer to one integration."""

    what: str
    resource: str
    """The integration, as a Task's Resource ends."""
    source: str
    result: dict[str, Any] | None = None
    """``$states.result``, of a success."""
    error: str | None = None
    cause: str = ""
    """``$states.errorOutput``, of a failure."""


def _task(**own: Any) -> dict[str, Any]:
    """A stopped Fargate task, as ``ecs:runTask.sync`` gives it."""
    container, other = own.pop("container", {}), own
    arn = "arn:aws:ecs:ap-northeast-1:123456789012"
    task = f"{arn}:task/batch/5d6f0f4be1a94c0cb8a1f5b7e2f3c901"
    interface = "8c1b2a34-0d7e-4f5a-9b3c-2e6d7f8a9b10"
    return {
        "Attachments": [
            {
                "Details": [
                    {"Name": "subnetId", "Value": "subnet-0123456789abcdef0"},
                    {"Name": "networkInterfaceId", "Value": "eni-0123456789abcdef0"},
                    {"Name": "macAddress", "Value": "06:00:00:00:00:01"},
                    {"Name": "privateDnsName", "Value": "ip-10-0-1-17.ap-northeast-1.compute.internal"},
                    {"Name": "privateIPv4Address", "Value": "10.0.1.17"},
                ],
                "Id": interface,
                "Status": "DELETED",
                "Type": "eni",
            }
        ],
        "Attributes": [{"Name": "ecs.cpu-architecture", "Value": "x86_64"}],
        "AvailabilityZone": "ap-northeast-1a",
        "ClusterArn": f"{arn}:cluster/batch",
        "Connectivity": "CONNECTED",
        "ConnectivityAt": 1795457110250,
        "Containers": [
            {
                "ContainerArn": f"{arn}:container/batch/5d6f0f4be1a94c0cb8a1f5b7e2f3c901/0a1b2c3d",
                "Cpu": "0",
                "GpuIds": [],
                "Image": "report",
                "LastStatus": "STOPPED",
                "ManagedAgents": [],
                "Name": "app",
                "NetworkBindings": [],
                "NetworkInterfaces": [{"AttachmentId": interface, "PrivateIpv4Address": "10.0.1.17"}],
                "RuntimeId": "5d6f0f4be1a94c0cb8a1f5b7e2f3c901-1234567890",
                "TaskArn": task,
                **container,
            }
        ],
        "Cpu": "256",
        "CreatedAt": 1795457100250,
        "DesiredStatus": "STOPPED",
        "EnableExecuteCommand": False,
        "EphemeralStorage": {"SizeInGiB": 20},
        "ExecutionStoppedAt": 1795457190250,
        "Group": "family:report",
        "InferenceAccelerators": [],
        "LastStatus": "STOPPED",
        "LaunchType": "FARGATE",
        "Memory": "512",
        "Overrides": {
            "ContainerOverrides": [
                {"Command": [], "Environment": [], "EnvironmentFiles": [], "Name": "app", "ResourceRequirements": []}
            ],
            "InferenceAcceleratorOverrides": [],
        },
        "PlatformVersion": "1.4.0",
        "StartedBy": "AWS Step Functions",
        "StoppedAt": 1795457200250,
        "StoppingAt": 1795457190250,
        "Tags": [],
        "TaskArn": task,
        "TaskDefinitionArn": f"{arn}:task-definition/report:17",
        "Version": 5,
        **other,
    }


_EXITED = {"StopCode": "EssentialContainerExited", "StoppedReason": "Essential container in task exited"}
_HTTP = {"HttpStatusCode": 200, "HttpHeaders": {"Content-Type": "application/json"}}


def _ecs(name: str, said: str, status: int = 400) -> str:
    """An API's refusal, as a cause quotes it."""
    return f"{said} (Service: AmazonECS; Status Code: {status}; Error Code: {name}; Request ID: 0b1c2d3e; Proxy: null)"


RECORDED = [
    # What the run's task answers.
    Recorded("the task succeeded", RUN_TASK, f"{_ECS}, test_run_task_sync", result=_task(**_EXITED, container={"ExitCode": 0})),
    Recorded(
        "the image could not be pulled: no ExitCode",
        RUN_TASK,
        f"{_ECS}, test_run_task_sync_raise_failure",
        error="States.TaskFailed",
        cause=json.dumps(
            _task(
                StopCode="TaskFailedToStart",
                StoppedReason="CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to "
                'resolve ref docker.io/library/report:"latest"}: pull access denied',
            ),
            separators=(",", ":"),
        ),
    ),
    Recorded(
        "the container exited with 3",
        RUN_TASK,
        f"the shape is that of {_ECS}; that an exit code other than 0 fails the step: Step Functions guide, Run ECS tasks",
        error="States.TaskFailed",
        cause=json.dumps(_task(**_EXITED, container={"ExitCode": 3}), separators=(",", ":")),
    ),
    Recorded(
        "a long cause was cut",
        RUN_TASK,
        "a cause has 32,768 characters at most (Step Functions API, TaskFailedEventDetails)",
        error="States.TaskFailed",
        cause=json.dumps(_task(**_EXITED, container={"ExitCode": 3}))[:200],
    ),
    Recorded(
        "the state's timeout passed",
        RUN_TASK,
        f"{_V2}/error_handling/test_task_service_lambda.snapshot.json, test_invoke_timeout",
        error="States.Timeout",
        cause="",
    ),
    Recorded("nothing was placed", RUN_TASK, "reported: silinternational/ecs-deploy#277, apache/airflow#48001", error="AmazonECS.Unknown", cause='{"Failures":[{"Arn":"arn:aws:ecs:ap-northeast-1:123456789012:container-instance/batch/0a1b","Reason":"RESOURCE:MEMORY"}],"Tasks":[]}'),
    Recorded("Fargate had no capacity", RUN_TASK, "reported: aws/copilot-cli#3160", error="AmazonECS.Unknown", cause='{"Failures":[{"Reason":"Capacity is unavailable at this time. Please try again later or in a different availability zone"}],"Tasks":[]}'),
    # How RunTask refuses.
    Recorded("EC2 throttled ECS", RUN_TASK, "reported: dask/dask-cloudprovider#56", error="ECS.InvalidParameterException", cause=_ecs("InvalidParameterException", "Error retrieving security group information for [sg-0123456789abcdef0]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)")),
    Recorded("ECS throttled", RUN_TASK, "reported: dagster-io/dagster#33439", error="ECS.InvalidParameterException", cause=_ecs("InvalidParameterException", "Error retrieving subnet information for [subnet-0123456789abcdef0]: Rate exceeded (ErrorCode: Throttling)")),
    Recorded("the launch rate was exceeded", RUN_TASK, "reported: the name ECS.AmazonECSException for whatever has none", error="ECS.AmazonECSException", cause=_ecs("ThrottlingException", "Rate exceeded.")),
    Recorded("provisioning is at its limit", RUN_TASK, "reported: aws/aws-sdk-ruby#3047", error="ECS.ClientException", cause=_ecs("ClientException", "Tasks provisioning capacity limit exceeded.")),
    Recorded("the cluster has no instance yet", RUN_TASK, "reported: aws/containers-roadmap#2532", error="ECS.InvalidParameterException", cause=_ecs("InvalidParameterException", "No Container Instances were found in your cluster.")),
    Recorded("a wrong subnet", RUN_TASK, "reported: the words of EC2 inside ECS's refusal", error="ECS.InvalidParameterException", cause=_ecs("InvalidParameterException", "Error retrieving subnet information for [subnet-0]: The subnet ID 'subnet-0' does not exist (ErrorCode: InvalidSubnetID.NotFound)")),
    Recorded("an unknown platform version", RUN_TASK, "named in botocore's model; reported: jenkinsci/amazon-ecs-plugin#218", error="ECS.PlatformUnknownException", cause=_ecs("PlatformUnknownException", "The specified platform does not exist.")),
    Recorded("no such cluster", RUN_TASK, "named in botocore's model", error="ECS.ClusterNotFoundException", cause=_ecs("ClusterNotFoundException", "Cluster not found.")),
    Recorded("a permission is missing", RUN_TASK, "reported: aws/aws-cdk#28854", error="ECS.AccessDeniedException", cause=_ecs("AccessDeniedException", "User: arn:aws:sts::123456789012:assumed-role/batch/x is not authorized to perform: ecs:TagResource on resource: arn:aws:ecs:ap-northeast-1:123456789012:task/batch/* because no identity-based policy allows the ecs:TagResource action")),
    # The checker, asked by a machine.
    Recorded("the checker answered", INVOKE, f"{_V2}/services/test_lambda_task_service.snapshot.json", result={"ExecutedVersion": "$LATEST", "Payload": {"task": None}, "SdkHttpMetadata": _HTTP, "SdkResponseMetadata": {"RequestId": "0b1c2d3e"}, "StatusCode": 200}),
    Recorded("the checker raised", INVOKE, f"{_V2}/error_handling/test_task_service_lambda.snapshot.json, test_raise_exception", error="CantTell", cause=json.dumps({"errorMessage": 'states:ListExecutions failed: "}', "errorType": "CantTell", "requestId": "0b1c2d3e", "stackTrace": ['  File "/var/task/app.py", line 2, in check\n']})),
    Recorded("the checker's error said nothing", INVOKE, f"{_V2}/error_handling/test_task_service_lambda.snapshot.json, test_raise_custom_exception", error="CustomException", cause=json.dumps({"errorMessage": "", "errorType": "CustomException", "requestId": "0b1c2d3e", "stackTrace": []})),
    Recorded("the checker timed out", INVOKE, f"{_V2}/error_handling/test_task_service_lambda.snapshot.json, test_invoke_timeout", error="States.Timeout", cause=""),
    Recorded("there is no checker", INVOKE, f"{_V2}/error_handling/test_task_service_lambda.snapshot.json, test_no_such_function", error="Lambda.ResourceNotFoundException", cause="Function not found: arn:aws:lambda:ap-northeast-1:123456789012:function:batch-guard-dev-check:$LATEST (Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; Request ID: 0b1c2d3e; Proxy: null)"),
    # Starting a run.
    Recorded("the run was started", START, f"{_V2}/services/test_sfn_task_service.snapshot.json, test_start_execution", result={"ExecutionArn": "arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev-report:run-000042", "SdkHttpMetadata": _HTTP, "SdkResponseMetadata": {"RequestId": "0b1c2d3e"}, "StartDate": 1795457100250}),
    Recorded("the name was taken", START, f"the code: {_V2}/test_sfn_api.snapshot.json; the name in a state machine: reported", error="StepFunctions.ExecutionAlreadyExistsException", cause="Execution Already Exists: 'arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev-report:run-000042' (Service: AWSStepFunctions; Status Code: 400; Error Code: ExecutionAlreadyExists; Request ID: 0b1c2d3e; Proxy: null)"),
    Recorded("there is no such machine", START, f"{_V2}/error_handling/test_task_service_sfn.snapshot.json, test_start_execution_no_such_arn", error="StepFunctions.StateMachineDoesNotExistException", cause="State Machine Does Not Exist: 'arn:aws:states:ap-northeast-1:123456789012:stateMachine:batch-guard-dev-report' (Service: AWSStepFunctions; Status Code: 400; Error Code: StateMachineDoesNotExist; Request ID: 0b1c2d3e; Proxy: null)"),
]  # fmt: skip
"""Every answer that a definition must bear."""
