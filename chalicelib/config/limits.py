"""What AWS takes of a task: a row for each bound, with the document that states it.

tests/unit/test_limits.py compares them with botocore's model where that states a bound too. What is counted in the
template (policies, records, alarms, the stack itself) stands in guardctl/limits.py: the functions have no use for it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chalicelib.names import LONGEST_NAME, execution_arn, run_name


class Limit(NamedTuple):
    """So many of `unit` does AWS take, and where it says so. (Made faster than a dataclass: each cold start does.)"""

    most: int
    unit: str
    source: str

    def exceeded(self, count: int) -> str | None:
        """How `count` is too many, as a fault says it; None if AWS takes it."""
        return f"{count:,} {self.unit} and AWS takes {self.most:,}" if count > self.most else None


SUBNETS = Limit(16, "subnets", "RunTask, AwsVpcConfiguration: subnets")
SECURITY_GROUPS = Limit(5, "security groups", "RunTask, AwsVpcConfiguration: securityGroups")
OVERRIDES = Limit(8_192, "characters", "RunTask: overrides, the JSON's own characters included")
OF_MEMBERS: Mapping[str, Limit] = {
    "capacityProviderStrategy": Limit(20, "capacity providers", "RunTask: capacityProviderStrategy"),
    "placementConstraints": Limit(10, "constraints", "RunTask: placementConstraints"),
    "placementStrategy": Limit(5, "strategy rules", "RunTask: placementStrategy"),
}
"""Of the members of RunTask that a jobs file may write, those whose bound only their description has."""

ECS_NAME = Limit(
    255, "characters", "CreateCluster: clusterName; RegisterTaskDefinition: family; ContainerDefinition: name"
)
ROLE_NAME = Limit(64, "characters", "CreateRole: RoleName")
POLICY_NAME = Limit(128, "characters", "CreatePolicy: PolicyName")
TAGS = Limit(49, "tags", "Lambda guide, tags: 50 a function, and Chalice adds one")
TOPIC_NAME = Limit(256, "characters", "CreateTopic: Name")

LOG_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1_096, 1_827, 2_192, 2_557, 2_922, 3_288, 3_653),
)
"""The days for which CloudWatch Logs keeps a group's events (PutRetentionPolicy: retentionInDays)."""

CPU_UNITS = range(128, 196_608 + 1)
"""The CPU units of a task that runs elsewhere than on Fargate (RegisterTaskDefinition: cpu)."""

_GB = 1_024
FARGATE_MEMORY: Mapping[int, Sequence[int]] = {
    256: (512, 1 * _GB, 2 * _GB),
    512: range(1 * _GB, 4 * _GB + 1, _GB),
    1_024: range(2 * _GB, 8 * _GB + 1, _GB),
    2_048: range(4 * _GB, 16 * _GB + 1, _GB),
    4_096: range(8 * _GB, 30 * _GB + 1, _GB),
    8_192: range(16 * _GB, 60 * _GB + 1, 4 * _GB),
    16_384: range(32 * _GB, 120 * _GB + 1, 8 * _GB),
}
"""CPU units → the MiB that Fargate has for them (RegisterTaskDefinition: memory; ECS guide, "Task CPU and memory")."""

NEWER_FARGATE = (1, 4, 0)
"""The platform version that Fargate's sizes from 8 vCPU on need (RegisterTaskDefinition: memory)."""

SPOT_FARGATE = (1, 3, 0)
"""The platform version that FARGATE_SPOT needs (RunTask, CapacityProviderStrategyItem)."""

LONGEST_EXECUTION = execution_arn(
    f"arn:aws-us-gov:states:ap-northeast-1:123456789012:stateMachine:{'m' * LONGEST_NAME}", run_name(999_999_999)
)
"""As BATCH_EXECUTION gets at its longest in any partition and Region."""

LONGEST_VARIABLES: Mapping[str, str] = {
    "BATCH_JOB": "j" * LONGEST_NAME,
    "BATCH_RUN_NUMBER": "999999999",
    "BATCH_SCHEDULED_AT": "2026-11-23T18:00:00Z",
    "BATCH_LOCAL_DATE": "2026-11-24",
    "BATCH_BUSINESS_DATE": "2026-11-24",
    "BATCH_SLOT": "9",
}
"""The other variables that a run adds to its overrides, at their longest."""
