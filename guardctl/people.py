"""The least policy for a person, which `guardctl iam` prints. Pure.

tests/emulator/test_people.py holds a viewer's and an operator's against the calls that their commands make. A
deployer's also has what Chalice and CloudFormation call, by their documentation: the emulator asks for no permission. A
bucket that is named with --bucket has to be added to it. What `guardctl acceptance` needs is in guardctl.acceptance.
A stage may have IAM's wildcards in its name.
"""

from collections.abc import Iterator
from typing import Any, Literal

from chalicelib.config.jobs import JobsFile
from chalicelib.names import (
    FUNCTIONS,
    batch_machine,
    function_name,
    guard_machine,
    log_group,
    machines_log_group,
    stack_name,
)
from guardctl import cloudformation
from guardctl.cloudformation import Json
from guardctl.importing.old import path_of, rule_of

Role = Literal["viewer", "operator", "deployer"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "deployer")


def policy(jobs: JobsFile, role: Role) -> Json:
    """Each role may do what the one before it may."""
    statements = [*viewer(jobs.stage), *verifier(jobs.stage)]
    if role != "viewer":
        statements += operator(jobs.stage, sorted({job.ecs.cluster_name for job in jobs.jobs.values()}))
    if role == "deployer":
        statements += [*deployer(jobs.stage), *_stagewide(jobs), *_mover(jobs)]
    return document(statements)


def document(statements: list[Json]) -> Json:
    """A policy of these statements, those on the same resources together: 6,144 characters fit a managed one."""
    merged: dict[tuple[str, ...], Json] = {}
    for statement in statements:
        same = merged.setdefault((statement.get("Sid", ""), *statement["Resource"]), {**statement, "Action": []})
        same["Action"] = sorted({*same["Action"], *statement["Action"]})
    return cloudformation.policy(*merged.values())


def viewer(stage: str) -> Iterator[Json]:
    """`status`, `problems`, `check`, `why`, `history`, `timeline`, `export`, `logs`, `diff`, `next`."""
    machines = _machines(stage)
    yield allow("states:ListExecutions DescribeStateMachine", machines)
    yield allow("states:DescribeExecution GetExecutionHistory", _executions(stage))
    yield allow("ssm:GetParameters", [f"arn:*:ssm:*:*:parameter/batch-guard/{stage}/*"])
    yield allow("lambda:GetFunction", _functions(stage))
    # The checker only reads. The trigger starts what is due, so it is not asked.
    yield allow("lambda:InvokeFunction", [f"arn:*:lambda:*:*:function:{function_name(stage, 'check')}"])
    yield allow("cloudformation:DescribeStacks", _stacks(stage))
    yield allow("events:ListRuleNamesByTarget DescribeRule", ["arn:*:events:*:*:rule/*"])
    yield allow("cloudwatch:GetMetricData", ["*"], "GetMetricDataTakesNoResource")
    yield allow("ecs:ListTasks DescribeTasks DescribeTaskDefinition", ["*"], "ReadsTasksOfAnyCluster")
    yield allow("logs:FilterLogEvents", [f"arn:*:logs:*:*:log-group:{log_group(stage, 'check')}:*"])
    yield allow("logs:GetLogEvents", ["*"], "ReadsTheLogGroupsThatTaskDefinitionsName")


def verifier(stage: str) -> Iterator[Json]:
    """What `verify` reads beside that: whatever the jobs file and the task definitions name."""
    yield allow("iam:SimulatePrincipalPolicy", [f"arn:*:iam::*:role/batch-guard-{stage}-*"])
    yield allow(
        "ecs:DescribeClusters ec2:DescribeSubnets DescribeSecurityGroups ecr:DescribeImages "
        "logs:DescribeLogGroups sns:GetTopicAttributes kms:DescribeKey GetKeyPolicy lambda:GetAccountSettings "
        "servicequotas:ListServiceQuotas",
        ["*"],
        "ReadsWhatTheJobsFileNamesAndTheAccountsQuotas",
    )


def operator(stage: str, clusters: list[str]) -> Iterator[Json]:
    """`run`, `backfill`, `pause`, `resume`, `stop`."""
    yield allow("states:StartExecution", _machines(stage))
    yield allow("states:StopExecution", _executions(stage))
    yield allow("ecs:StopTask", [f"arn:*:ecs:*:*:task/{cluster}/*" for cluster in clusters])


def deployer(stage: str) -> Iterator[Json]:
    """`deploy` and `destroy`, with what Chalice calls and what CloudFormation does in the caller's name."""
    yield allow(
        "cloudformation:CreateChangeSet DescribeChangeSet ExecuteChangeSet DeleteChangeSet "
        "DescribeStackEvents DeleteStack",
        _stacks(stage),
    )
    yield allow(
        "s3:CreateBucket ListBucket PutBucketPublicAccessBlock PutLifecycleConfiguration PutObject GetObject",
        ["arn:*:s3:::batch-guard-*"],
    )
    yield allow(
        "states:CreateStateMachine UpdateStateMachine DeleteStateMachine TagResource ListTagsForResource",
        _machines(stage),
    )
    yield allow("states:ListStateMachines", ["*"], "ListStateMachinesTakesNoResource")
    yield allow(
        "ssm:PutParameter DeleteParameter AddTagsToResource ListTagsForResource",
        [f"arn:*:ssm:*:*:parameter/batch-guard/{stage}/*"],
    )
    yield allow(
        "lambda:CreateFunction UpdateFunctionCode UpdateFunctionConfiguration GetFunctionConfiguration "
        "DeleteFunction AddPermission RemovePermission GetPolicy ListTags TagResource UntagResource "
        "PutFunctionConcurrency DeleteFunctionConcurrency",
        _functions(stage),
    )
    yield allow(
        "events:PutRule DescribeRule DeleteRule PutTargets RemoveTargets",
        [f"arn:*:events:*:*:rule/batch-guard-{stage}-*"],
    )
    yield allow(
        "iam:CreateRole GetRole DeleteRole UpdateAssumeRolePolicy PutRolePolicy GetRolePolicy "
        "ListRolePolicies ListAttachedRolePolicies DeleteRolePolicy TagRole PassRole",
        [f"arn:*:iam::*:role/batch-guard-{stage}-*"],
    )
    alarms = [f"arn:*:cloudwatch:*:*:alarm:batch-guard-{stage}-*", f"arn:*:cloudwatch::*:dashboard/batch-guard-{stage}"]
    yield allow(
        "cloudwatch:PutMetricAlarm DeleteAlarms DescribeAlarms PutDashboard GetDashboard DeleteDashboards",
        alarms,
    )


def _stagewide(jobs: JobsFile) -> Iterator[Json]:
    """What a deployer needs besides for what [stage] puts on everything."""
    stage = jobs.stage
    roles = [f"arn:*:iam::*:role/batch-guard-{stage}-*"]
    if jobs.permissions_boundary:
        yield allow("iam:PutRolePermissionsBoundary DeleteRolePermissionsBoundary", roles)
    if jobs.tags:
        yield allow("iam:UntagRole", roles)
        yield allow("states:UntagResource", _machines(stage))
        yield allow("ssm:RemoveTagsFromResource", [f"arn:*:ssm:*:*:parameter/batch-guard/{stage}/*"])
        alarms = [f"arn:*:cloudwatch:*:*:alarm:batch-guard-{stage}-*"]
        yield allow(
            "cloudwatch:TagResource UntagResource ListTagsForResource",
            alarms,
        )
    groups = [f"arn:*:logs:*:*:log-group:{log_group(stage, function)}" for function in FUNCTIONS]
    if jobs.machine_logging:
        groups.append(f"arn:*:logs:*:*:log-group:{machines_log_group(stage)}")
    if jobs.log_retention_days or jobs.machine_logging:
        manage = "logs:CreateLogGroup PutRetentionPolicy DeleteRetentionPolicy DeleteLogGroup"
        tag = " TagResource UntagResource ListTagsForResource" if jobs.tags else ""
        yield allow(manage + tag, [each for group in groups for each in (group, f"{group}:*")])
        yield allow("logs:DescribeLogGroups", ["*"], "FindsALogGroupByTheBeginningOfItsName")


def _mover(jobs: JobsFile) -> Iterator[Json]:
    """`import` reads every rule and schedule; `handover` switches those that the jobs file names, and no others."""
    yield allow("events:ListEventBuses ListRules scheduler:ListSchedules", ["*"], "ListsTakeNoResource")
    yield allow("events:ListTargetsByRule", ["arn:*:events:*:*:rule/*"])
    yield allow("scheduler:GetSchedule", ["arn:*:scheduler:*:*:schedule/*/*"])
    yield allow("states:DescribeStateMachine", ["arn:*:states:*:*:stateMachine:*"])
    origins = sorted({rule_of(job.imported_from) for job in jobs.jobs.values() if job.imported_from})
    rules = [arn for origin in origins if (arn := _arn_of(origin, "rule"))]
    schedules = [arn for origin in origins if (arn := _arn_of(origin, "schedule"))]
    if rules:
        yield allow("events:DescribeRule ListTagsForResource EnableRule DisableRule", rules)
    if schedules:
        yield allow("scheduler:UpdateSchedule", schedules)
        groups = sorted({path_of(origin)[1] for origin in origins if origin.startswith("schedule/")})
        on = [f"arn:*:scheduler:*:*:schedule-group/{group}" for group in groups]
        yield allow("scheduler:GetScheduleGroup ListTagsForResource", on)
        # UpdateSchedule hands the schedule its role again, whatever that is.
        to = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
        yield {**allow("iam:PassRole", ["arn:*:iam::*:role/*"]), "Condition": to}
    if origins:
        yield allow("cloudformation:DescribeStackResources", ["arn:*:cloudformation:*:*:stack/*"])


def _arn_of(origin: str, wanted: str) -> str | None:
    """The ARN of an old rule or schedule, if it is the wanted one of the two."""
    kind, parent, name = path_of(origin)
    if kind != wanted:
        return None
    if kind == "schedule":
        return f"arn:*:scheduler:*:*:schedule/{parent}/{name}"
    return f"arn:*:events:*:*:rule/{name}" if parent == "default" else f"arn:*:events:*:*:rule/{parent}/{name}"


def _machines(stage: str) -> list[str]:
    names = (guard_machine(stage), batch_machine(stage, "*"))
    return [f"arn:*:states:*:*:stateMachine:{name}" for name in names]


def _executions(stage: str) -> list[str]:
    names = (guard_machine(stage), batch_machine(stage, "*"))
    return [f"arn:*:states:*:*:execution:{name}:*" for name in names]


def _functions(stage: str) -> list[str]:
    return [f"arn:*:lambda:*:*:function:{function_name(stage, function)}" for function in FUNCTIONS]


def _stacks(stage: str) -> list[str]:
    names = (guard_machine(stage), stack_name(stage, "*"))
    return [f"arn:*:cloudformation:*:*:stack/{name}/*" for name in names]


def allow(actions: str, on: list[Any], sid: str | None = None) -> Json:
    """A statement; the actions as ``states:StartExecution StopExecution``: a service stands before its first one."""
    named: list[str] = []
    service = ""
    for word in actions.split():
        service = word.partition(":")[0] if ":" in word else service
        named.append(f"{service}:{word.rpartition(':')[2]}")
    return {**({"Sid": sid} if sid else {}), "Effect": "Allow", "Action": named, "Resource": on}
