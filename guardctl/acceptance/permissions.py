"""The least policy for whoever runs `guardctl acceptance`, by names. Pure.

What the command itself calls is held against it on the emulator (tests/emulator/test_acceptance.py). What
CloudFormation calls in its name is by the documentation of the resources, and has not been tried.
"""

from collections.abc import Iterator

from guardctl import people
from guardctl.cloudformation import Json
from guardctl.people import allow


def policy(stage: str) -> Json:
    """Of every trial whose ``--stage`` is `stage`: four random characters follow it in each name."""
    trial = f"{stage}????"
    names = f"batch-guard-{trial}-*"
    return people.document(
        [*people.viewer(trial), *people.operator(trial, [names]), *people.deployer(trial), *_trial(names)]
    )


def _trial(names: str) -> Iterator[Json]:
    """What a trial does beside deploying, looking and starting."""
    yield allow("cloudformation:CreateStack", [f"arn:*:cloudformation:*:*:stack/{names}/*"])
    yield allow("states:RedriveExecution", [f"arn:*:states:*:*:execution:{names}:*"])
    yield allow(
        "ecs:CreateCluster DeleteCluster DescribeClusters TagResource",
        [f"arn:*:ecs:*:*:cluster/{names}"],
    )
    yield allow("ecs:RunTask DeleteTaskDefinitions TagResource", [f"arn:*:ecs:*:*:task-definition/{names}"])
    groups = [f"arn:*:logs:*:*:log-group:{group}{names}" for group in ("/", "/aws/lambda/")]
    yield allow(
        "logs:CreateLogGroup DeleteLogGroup PutRetentionPolicy TagResource",
        [*groups, *(f"{group}:*" for group in groups)],
    )
    yield allow(
        "sns:CreateTopic DeleteTopic GetTopicAttributes ListSubscriptionsByTopic ListTagsForResource "
        "Subscribe TagResource Unsubscribe",
        [f"arn:*:sns:*:*:{names}"],
    )
    yield allow(
        "sqs:CreateQueue DeleteMessage DeleteQueue GetQueueAttributes ListQueueTags ReceiveMessage "
        "SetQueueAttributes TagQueue",
        [f"arn:*:sqs:*:*:{names}"],
    )
    yield allow("cloudwatch:SetAlarmState TagResource", [f"arn:*:cloudwatch:*:*:alarm:{names}"])
    yield allow("events:ListTargetsByRule", [f"arn:*:events:*:*:rule/{names}"])
    yield allow(
        "cloudformation:DescribeStacks ec2:DescribeSubnets ecs:DeregisterTaskDefinition ListTaskDefinitions "
        "RegisterTaskDefinition events:ListRules logs:DescribeLogGroups",
        ["*"],
        "TheseTakeNoNameOrLookForIt",
    )
