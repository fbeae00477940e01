"""The least policy for a person, which `guardctl iam` prints. Pure.

tests/emulator/test_people.py holds a viewer's and an operator's against the calls that their commands make. A
deployer's also has what Chalice and CloudFormation call, by their documentation: the emulator asks for no permission. A
bucket that is named with --bucket has to be added to it.
"""

from collections.abc import Iterator
from typing import Any, Literal

from chalicelib.config.jobs import JobsFile
from chalicelib.names import FUNCTIONS, batch_machine, function_name, guard_machine, log_group, stack_name
from guardctl.cloudformation import Json
from guardctl.importing.old import path_of, rule_of

Role = Literal["viewer", "operator", "deployer"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "deployer")


def policy(jobs: JobsFile, role: Role) -> Json:
    """Each role may do what the one before it may."""
    statements = [*_viewer(jobs.stage)]
    if role != "viewer":
        statements += _operator(jobs)
    if role == "deployer":
        statements += [*_deployer(jobs.stage), *_mover(jobs)]
    return {"Version": "2012-10-17", "Statement": statements}


def _viewer(stage: str) -> Iterator[Json]:
    """`status`, `problems`, `why`, `history`, `timeline`, `logs`."""
    machines = _machines(stage)
    yield _allow(["states:ListExecutions", "states:DescribeStateMachine"], machines)
    yield _allow(["states:DescribeExecution", "states:GetExecutionHistory"], _executions(stage))
    yield _allow(["ssm:GetParameter", "ssm:GetParameters"], [f"arn:*:ssm:*:*:parameter/batch-guard/{stage}/*"])
    yield _allow(["lambda:GetFunction"], _functions(stage))
    yield _allow(["cloudformation:DescribeStacks"], _stacks(stage))
    yield _allow(["events:ListRuleNamesByTarget", "events:DescribeRule"], ["arn:*:events:*:*:rule/*"])
    yield _allow(["cloudwatch:GetMetricData"], ["*"], "GetMetricDataTakesNoResource")
    yield _allow(["ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeTaskDefinition"], ["*"], "ReadsTasksOfAnyCluster")
    yield _allow(["logs:FilterLogEvents"], [f"arn:*:logs:*:*:log-group:{log_group(stage, 'check')}:*"])
    yield _allow(["logs:GetLogEvents"], ["*"], "ReadsTheLogGroupsThatTaskDefinitionsName")


def _operator(jobs: JobsFile) -> Iterator[Json]:
    """`run`, `pause`, `resume`, `stop`."""
    yield _allow(["states:StartExecution"], _machines(jobs.stage))
    yield _allow(["states:StopExecution"], _executions(jobs.stage))
    clusters = sorted({job.ecs.cluster_name for job in jobs.jobs.values()})
    yield _allow(["ecs:StopTask"], [f"arn:*:ecs:*:*:task/{cluster}/*" for cluster in clusters])


def _deployer(stage: str) -> Iterator[Json]:
    """`deploy` and `destroy`, with what Chalice calls and what CloudFormation does in the caller's name."""
    yield _allow(
        [
            "cloudformation:CreateChangeSet",
            "cloudformation:DescribeChangeSet",
            "cloudformation:ExecuteChangeSet",
            "cloudformation:DeleteChangeSet",
            "cloudformation:DescribeStackEvents",
            "cloudformation:DeleteStack",
        ],
        _stacks(stage),
    )
    yield _allow(
        [
            "s3:CreateBucket",
            "s3:ListBucket",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutLifecycleConfiguration",
            "s3:PutObject",
            "s3:GetObject",
        ],
        ["arn:*:s3:::batch-guard-*"],
    )
    yield _allow(
        [
            "states:CreateStateMachine",
            "states:UpdateStateMachine",
            "states:DeleteStateMachine",
            "states:TagResource",
            "states:ListTagsForResource",
        ],
        _machines(stage),
    )
    yield _allow(["states:ListStateMachines"], ["*"], "ListStateMachinesTakesNoResource")
    yield _allow(
        [
            "ssm:PutParameter",
            "ssm:DeleteParameter",
            "ssm:AddTagsToResource",
            "ssm:ListTagsForResource",
        ],
        [f"arn:*:ssm:*:*:parameter/batch-guard/{stage}/*"],
    )
    yield _allow(
        [
            "lambda:CreateFunction",
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
            "lambda:GetFunctionConfiguration",
            "lambda:DeleteFunction",
            "lambda:AddPermission",
            "lambda:RemovePermission",
            "lambda:GetPolicy",
            "lambda:ListTags",
            "lambda:TagResource",
            "lambda:UntagResource",
            "lambda:PutFunctionConcurrency",
            "lambda:DeleteFunctionConcurrency",
        ],
        _functions(stage),
    )
    yield _allow(
        [
            "events:PutRule",
            "events:DescribeRule",
            "events:DeleteRule",
            "events:PutTargets",
            "events:RemoveTargets",
        ],
        [f"arn:*:events:*:*:rule/batch-guard-{stage}-*"],
    )
    yield _allow(
        [
            "iam:CreateRole",
            "iam:GetRole",
            "iam:DeleteRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:PutRolePolicy",
            "iam:GetRolePolicy",
            "iam:ListRolePolicies",
            "iam:ListAttachedRolePolicies",
            "iam:DeleteRolePolicy",
            "iam:TagRole",
            "iam:PassRole",
        ],
        [f"arn:*:iam::*:role/batch-guard-{stage}-*"],
    )
    alarms = [f"arn:*:cloudwatch:*:*:alarm:batch-guard-{stage}-*", f"arn:*:cloudwatch::*:dashboard/batch-guard-{stage}"]
    yield _allow(
        [
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:DeleteAlarms",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:PutDashboard",
            "cloudwatch:GetDashboard",
            "cloudwatch:DeleteDashboards",
        ],
        alarms,
    )


def _mover(jobs: JobsFile) -> Iterator[Json]:
    """`import` reads every rule and schedule; `handover` switches those that the jobs file names, and no others."""
    yield _allow(["events:ListEventBuses", "events:ListRules", "scheduler:ListSchedules"], ["*"], "ListsTakeNoResource")
    yield _allow(["events:ListTargetsByRule"], ["arn:*:events:*:*:rule/*"])
    yield _allow(["scheduler:GetSchedule"], ["arn:*:scheduler:*:*:schedule/*/*"])
    yield _allow(["states:DescribeStateMachine"], ["arn:*:states:*:*:stateMachine:*"])
    origins = sorted({rule_of(job.imported_from) for job in jobs.jobs.values() if job.imported_from})
    rules = [arn for origin in origins if (arn := _arn_of(origin, "rule"))]
    schedules = [arn for origin in origins if (arn := _arn_of(origin, "schedule"))]
    if rules:
        actions = ["events:DescribeRule", "events:ListTagsForResource", "events:EnableRule", "events:DisableRule"]
        yield _allow(actions, rules)
    if schedules:
        yield _allow(["scheduler:UpdateSchedule"], schedules)
        groups = sorted({path_of(origin)[1] for origin in origins if origin.startswith("schedule/")})
        on = [f"arn:*:scheduler:*:*:schedule-group/{group}" for group in groups]
        yield _allow(["scheduler:GetScheduleGroup", "scheduler:ListTagsForResource"], on)
        # UpdateSchedule hands the schedule its role again, whatever that is.
        to = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
        yield {**_allow(["iam:PassRole"], ["arn:*:iam::*:role/*"]), "Condition": to}
    if origins:
        yield _allow(["cloudformation:DescribeStackResources"], ["arn:*:cloudformation:*:*:stack/*"])


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


def _allow(actions: list[str], on: list[Any], sid: str | None = None) -> Json:
    named = {} if sid is None else {"Sid": sid}
    return {**named, "Effect": "Allow", "Action": actions, "Resource": on}
