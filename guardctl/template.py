"""The extra resources: jobs file → CloudFormation resources and IAM policies. Pure, but for reading the ASL files.

Roles are least privilege. Where a statement has ``"Resource": "*"``, its Sid says why AWS takes no name there.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from chalicelib.config.jobs import Ecs, Job, JobsFile
from chalicelib.names import FUNCTIONS, batch_machine, function_name, guard_machine, log_group, schedule_parameter
from chalicelib.read.record import recorded_as
from guardctl import alarms
from guardctl.cloudformation import Json, arn, logical_id

INLINE_LIMIT = 51_200
"""Bytes that CloudFormation takes as TemplateBody (AWS, CloudFormation quotas)."""

S3_LIMIT = 1_000_000
"""Bytes that CloudFormation takes from S3: 1 MB (AWS, CloudFormation quotas)."""

MOST_RESOURCES = 500
"""Resources of a stack (AWS, CloudFormation quotas)."""

FAMILIES_OF_A_ROLE = 60
"""Task definition families that one role may run: a role's policies take 10,240 characters (AWS, IAM quotas)."""

_BATCH_DEFINITION = {"Fn::FindInMap": ["Definitions", "Batch", "Text"]}


def template(jobs: JobsFile) -> Json:
    """The stack of one stage: the guard machine, a batch machine per job, their roles, schedules and alarms."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"batch-guard, stage {jobs.stage}: the guard machine and the batch machines",
        "Mappings": _mappings(),
        "Resources": {**machines(jobs), **alarms.resources(jobs)},
    }


def sam_extension(jobs: JobsFile) -> Json:
    """What `chalice package --merge-template` adds to Chalice's own template: the same resources, and names.

    Chalice sets no FunctionName there, and the machines know the checker by its name. The functions come first: they
    still serve the definitions of the last release.
    """
    named = {
        function.title(): {"Properties": {"FunctionName": function_name(jobs.stage, function)}}
        for function in FUNCTIONS
    }
    found = machines(jobs)
    for resource in found.values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            resource["DependsOn"] = [*named, *resource.get("DependsOn", [])]
    return {"Mappings": _mappings(), "Resources": {**named, **found, **alarms.resources(jobs)}}


def machines(jobs: JobsFile) -> Json:
    """Logical ID → resource. The guard comes after the batch machines: it starts only what they understand."""
    batches: Json = {}
    for logical_role, sharing in _roles(jobs).items():
        batches[logical_role] = _role(_batch_statements(jobs.stage, sharing))
        for job in sharing:
            batches[logical_id(job.name, "Batch")] = _machine(
                batch_machine(jobs.stage, job.name), logical_role, _BATCH_DEFINITION, jobs.stage
            )
    guard = _machine(
        guard_machine(jobs.stage), "GuardMachineRole", render(definition("guard"), indent=None), jobs.stage
    )
    guard["DependsOn"] = [logical_id(job, "Batch") for job in jobs.jobs]
    schedules = {
        logical_id(job.name, "BatchSchedule"): {
            "Type": "AWS::SSM::Parameter",
            "Properties": {
                "Name": schedule_parameter(jobs.stage, job.name),
                "Type": "String",
                "Value": recorded_as(job),
            },
        }
        for job in jobs.jobs.values()
        if job.schedules
    }
    return {"GuardMachine": guard, "GuardMachineRole": _role(_guard_statements(jobs)), **batches, **schedules}


def definition(machine: str) -> Json:
    """The ASL file ``chalicelib/machines/<machine>.asl.json``, parsed."""
    text = resources.files("chalicelib").joinpath("machines", f"{machine}.asl.json").read_text(encoding="utf-8")
    parsed: Json = json.loads(text)
    return parsed


def _mappings() -> Json:
    """All batch machines have the very same definition, so it stands in the template once."""
    return {"Definitions": {"Batch": {"Text": render(definition("batch"), indent=None)}}}


def _roles(jobs: JobsFile) -> dict[str, list[Job]]:
    """Logical ID → the jobs that share the role: those with one cluster and the same passed roles.

    More would let a run be started on a cluster where nobody looks for it.
    """
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs.jobs.values():
        groups.setdefault((job.ecs.cluster_name, *_passed(job.ecs)), []).append(job)
    found = {}
    for key, sharing in groups.items():
        digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:8]
        for start in range(0, len(sharing), FAMILIES_OF_A_ROLE):
            part = start // FAMILIES_OF_A_ROLE
            found[f"BatchRole{digest}{f'Part{part + 1}' if part else ''}"] = sharing[start : start + FAMILIES_OF_A_ROLE]
    return found


def check_policy(jobs: JobsFile) -> Json:
    """The checker's policy: it only reads. ECS anywhere: a permission that goes with a cluster would block a job."""
    machine = batch_machine(jobs.stage, "*")
    described_of = [machine]
    if any(job.overlap == "queue" for job in jobs.jobs.values()):
        described_of.append(guard_machine(jobs.stage))
    return _policy(
        _allow(
            ["states:ListExecutions", "states:DescribeStateMachine"],
            [f"arn:*:states:*:*:stateMachine:{machine}"],
        ),
        _allow(["states:DescribeExecution"], [f"arn:*:states:*:*:execution:{name}:*" for name in described_of]),
        _allow(
            ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeTaskDefinition"],
            ["*"],
            Sid="ReadsTasksWhereverARunMayHaveLeftOne",
        ),
        *_logs(log_group(jobs.stage, "check")),
    )


def trigger_policy(jobs: JobsFile) -> Json:
    """The trigger's policy: it starts the guard machine, and asks since when a job has had its schedule."""
    return _policy(
        _allow(["states:StartExecution"], [f"arn:*:states:*:*:stateMachine:{guard_machine(jobs.stage)}"]),
        _allow(["ssm:GetParameter"], [f"arn:*:ssm:*:*:parameter{schedule_parameter(jobs.stage, '*')}"]),
        *_logs(log_group(jobs.stage, "trigger")),
    )


def render(document: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """JSON text. YAML would do for CloudFormation, but not for the aliases Chalice writes into it."""
    separators = (",", ":") if indent is None else None
    return json.dumps(document, indent=indent, separators=separators, ensure_ascii=False)


def _guard_statements(jobs: JobsFile) -> list[Json]:
    """What the guard machine may do; to queue, to replace and to stop only if a job of the stage asks for it."""
    everything = jobs.jobs.values()
    batches = batch_machine(jobs.stage, "*")
    started = [arn("states", f"stateMachine:{batches}")]
    if any(job.overlap == "queue" for job in everything):
        started.append(arn("states", f"stateMachine:{guard_machine(jobs.stage)}"))
    statements = [
        _allow(["lambda:InvokeFunction"], [_check_arn(jobs.stage)]),
        _allow(["states:StartExecution"], started),
    ]
    if any(job.overlap == "replace" for job in everything):
        statements.append(_allow(["states:StopExecution"], [arn("states", f"execution:{batches}:*")]))
    clusters = sorted({j.ecs.cluster_name for j in everything if j.overlap == "replace" or j.orphans == "stop"})
    if clusters:
        statements.append(_allow(["ecs:StopTask"], [arn("ecs", f"task/{cluster}/*") for cluster in clusters]))
    return statements


def _passed(ecs: Ecs) -> list[str]:
    return sorted({role for role in (*ecs.pass_roles, ecs.task_role, ecs.execution_role) if role})


def _batch_statements(stage: str, sharing: list[Job]) -> list[Json]:
    """What the batch machines of these jobs may do: they have one cluster, and pass the same roles."""
    cluster, passed = sharing[0].ecs.cluster_name, _passed(sharing[0].ecs)
    families = sorted({job.ecs.family for job in sharing})
    there = {"ArnEquals": {"ecs:cluster": arn("ecs", f"cluster/{cluster}")}}
    statements = [
        _allow(["ecs:RunTask"], [arn("ecs", f"task-definition/{family}:*") for family in families], Condition=there),
        _allow(["ecs:StopTask", "ecs:DescribeTasks"], [arn("ecs", f"task/{cluster}/*")]),
        _allow(
            ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
            [arn("events", "rule/StepFunctionsGetEventsForECSTaskRule")],
        ),
        _allow(["lambda:InvokeFunction"], [_check_arn(stage)]),
    ]
    if passed:
        only_ecs = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        statements.append(_allow(["iam:PassRole"], passed, Condition=only_ecs))
    return statements


def _machine(name: str, role: str, asl: str | Json, stage: str) -> Json:
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "StateMachineName": name,
            "StateMachineType": "STANDARD",
            "RoleArn": {"Fn::GetAtt": [role, "Arn"]},
            "DefinitionString": asl,
            "DefinitionSubstitutions": {"CheckFunctionArn": _check_arn(stage), "Partition": {"Ref": "AWS::Partition"}},
        },
    }


def _role(statements: Iterable[Json]) -> Json:
    trust = _allow(["sts:AssumeRole"], None, Principal={"Service": "states.amazonaws.com"})
    trust["Condition"] = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": _policy(trust),
            "Policies": [{"PolicyName": "batch-guard", "PolicyDocument": _policy(*statements)}],
        },
    }


def _policy(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(actions: list[str], on: list[Any] | None, **more: Any) -> Json:
    statement = {"Effect": "Allow", "Action": actions, **more}
    return statement if on is None else {**statement, "Resource": on}


def _logs(name: str) -> list[Json]:
    group = f"arn:*:logs:*:*:log-group:{name}"
    return [
        _allow(["logs:CreateLogGroup"], [group]),
        _allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:*"]),
    ]


def _check_arn(stage: str) -> Json:
    return arn("lambda", f"function:{function_name(stage, 'check')}")
