"""The one stack with what the probes need, so that one deletion removes it: names → CloudFormation template. Pure."""

from guardctl.acceptance import definitions
from guardctl.acceptance.trial import CONTAINER, Names
from guardctl.alarms import alarm
from guardctl.cloudformation import Json, allow, arn, policy, role

IMAGE = "public.ecr.aws/docker/library/busybox:stable"
CPU, MEMORY = 256, 512
"""Fargate's smallest: a quarter of a vCPU, in CPU units, and half a GB, in MiB."""

SECONDS = 60
"""How long a task of the job works."""


def working(seconds: int) -> list[str]:
    """A command that works so long and then exits with 0, or with 143 as soon as it is told to stop.

    A shell is process 1 of its container, which ignores SIGTERM unless it says otherwise.
    """
    return ["sh", "-c", f"trap 'exit 143' TERM; sleep {seconds} & wait $!"]


def exiting(with_code: int) -> list[str]:
    """A command that exits at once."""
    return ["sh", "-c", f"exit {with_code}"]


def template(names: Names, partition: str) -> Json:
    """A cluster, two task definitions, two roles, a log group, a topic with a queue and an alarm, and machines."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "batch-guard: what guardctl acceptance needs; remove it with guardctl acceptance --clean",
        "Resources": {
            **_ecs(names),
            **_ringing(names),
            "ProbeRole": _probe_role(names),
            **{
                f"Machine{name.title().replace('-', '')}": _machine(names.machine(name), asl)
                for name, asl in definitions.settled(partition).items()
            },
        },
        "Outputs": {
            "Role": {"Value": {"Fn::GetAtt": ["ProbeRole", "Arn"]}},
            "ExecutionRole": {"Value": {"Fn::GetAtt": ["ExecutionRole", "Arn"]}},
            "Queue": {"Value": {"Ref": "Queue"}},
        },
    }


def jobs(names: Names, subnet: str, execution_role: str) -> str:
    """The jobs file of the throwaway stage: one job, started by hand only."""
    command = ", ".join(f'"{word}"' for word in working(SECONDS))
    return f"""[jobs.story]
timeout = "10m"

[jobs.story.ecs]
cluster = "{names.cluster}"
task_definition = "{names.family("story")}"
container = "{CONTAINER}"
command = [{command}]
launch_type = "FARGATE"
subnets = ["{subnet}"]
assign_public_ip = true
pass_roles = ["{execution_role}"]
"""


def _ecs(names: Names) -> Json:
    group = f"/{names.prefix}tasks"
    found: Json = {
        "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": names.cluster}},
        "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": group, "RetentionInDays": 1}},
        "ExecutionRole": role(
            "ecs-tasks.amazonaws.com",
            [allow(["logs:CreateLogStream", "logs:PutLogEvents"], [{"Fn::GetAtt": ["Logs", "Arn"]}])],
            RoleName=f"{names.prefix}execution",
        ),
    }
    for which in ("story", "probe"):
        container = {
            "Name": CONTAINER,
            "Image": IMAGE,
            "Command": working(SECONDS),
            "StopTimeout": 5,
            "LogConfiguration": {
                "LogDriver": "awslogs",
                "Options": {
                    "awslogs-group": {"Ref": "Logs"},
                    "awslogs-region": {"Ref": "AWS::Region"},
                    "awslogs-stream-prefix": which,
                },
            },
        }
        found[f"Task{which.title()}"] = {
            "Type": "AWS::ECS::TaskDefinition",
            "Properties": {
                "Family": names.family(which),
                "Cpu": str(CPU),
                "Memory": str(MEMORY),
                "NetworkMode": "awsvpc",
                "RequiresCompatibilities": ["FARGATE"],
                "ExecutionRoleArn": {"Fn::GetAtt": ["ExecutionRole", "Arn"]},
                "ContainerDefinitions": [container],
            },
        }
    return found


def _ringing(names: Names) -> Json:
    """An alarm on the failures of the machine ``fail``, its topic, and a queue in which its messages can be read."""
    delivered = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": ["Queue", "Arn"]},
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Ref": "Topic"}}},
    }
    failed = alarm(
        {"Ref": "Topic"},
        names.alarm,
        "A probe of guardctl acceptance: nothing is wrong.",
        ("AWS/States", "ExecutionsFailed", {"StateMachineArn": arn("states", f"stateMachine:{names.machine('fail')}")}),
        at_least=1,
        tell_ok=False,
    )
    return {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": f"{names.prefix}topic"}},
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{names.prefix}queue"}},
        "QueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": policy(delivered)},
        },
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "DependsOn": "QueuePolicy",
            "Properties": {
                "TopicArn": {"Ref": "Topic"},
                "Protocol": "sqs",
                "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]},
            },
        },
        "Alarm": {"DependsOn": "Subscription", **failed},
    }


def _probe_role(names: Names) -> Json:
    rules = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
    passed = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    return role(
        "states.amazonaws.com",
        [
            allow(["states:StartExecution"], [arn("states", f"stateMachine:{names.machine('*')}")]),
            allow(["ecs:RunTask"], [arn("ecs", f"task-definition/{names.family('probe')}:*")]),
            allow(["ecs:StopTask", "ecs:DescribeTasks"], [arn("ecs", f"task/{names.cluster}/*")]),
            allow(rules, [arn("events", "rule/StepFunctionsGetEventsForECSTaskRule")]),
            allow(["iam:PassRole"], [{"Fn::GetAtt": ["ExecutionRole", "Arn"]}], Condition=passed),
        ],
        RoleName=f"{names.prefix}probe",
    )


def _machine(name: str, asl: Json) -> Json:
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "StateMachineName": name,
            "RoleArn": {"Fn::GetAtt": ["ProbeRole", "Arn"]},
            "Definition": asl,
        },
    }
