"""The extra resources: jobs file → CloudFormation resources and IAM policies. Pure, but for reading the ASL files.

Roles are least privilege. Where a statement has ``"Resource": "*"``, its Sid says why AWS takes no name there.
"""

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from chalicelib.config.jobs import Ecs, Job, JobsFile
from chalicelib.names import batch_machine, function_name, guard_machine, schedule_parameter
from chalicelib.read.record import recorded_as
from guardctl import alarms
from guardctl.cloudformation import Json, arn, logical_id

INLINE_LIMIT = 51_200
"""Bytes that CloudFormation takes as TemplateBody (AWS, CloudFormation quotas)."""

S3_LIMIT = 1_000_000
"""Bytes that CloudFormation takes from S3: 1 MB (AWS, CloudFormation quotas)."""

_RUN_TASK = "Run an ECS task and wait for it to complete"


def template(jobs: JobsFile) -> Json:
    """The stack of one stage: the guard machine, a batch machine per job, a role for each, schedules and alarms."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"batch-guard, stage {jobs.stage}: the guard machine and the batch machines",
        "Resources": {**machines(jobs), **alarms.resources(jobs)},
    }


def sam_extension(jobs: JobsFile) -> Json:
    """What `chalice package --merge-template` adds to Chalice's own template: the same resources, and names.

    Chalice sets no FunctionName there, and the machines know the checker by its name.
    """
    named = {
        logical: {"Properties": {"FunctionName": f"batch-guard-{jobs.stage}-{logical.lower()}"}}
        for logical in ("Check", "Trigger")
    }
    return {"Resources": {**named, **machines(jobs), **alarms.resources(jobs)}}


def machines(jobs: JobsFile) -> Json:
    """Logical ID → resource."""
    found = {
        "GuardMachine": _machine(guard_machine(jobs.stage), "GuardMachineRole", definition("guard"), jobs.stage),
        "GuardMachineRole": _role(_guard_statements(jobs)),
    }
    for job in jobs.jobs.values():
        logical = logical_id(job.name, "Batch")
        asl = batch_definition(job)
        found[logical] = _machine(batch_machine(jobs.stage, job.name), f"{logical}Role", asl, jobs.stage)
        found[f"{logical}Role"] = _role(_batch_statements(jobs.stage, job))
        if job.schedules:
            found[f"{logical}Schedule"] = {
                "Type": "AWS::SSM::Parameter",
                "Properties": {
                    "Name": schedule_parameter(jobs.stage, job.name),
                    "Type": "String",
                    "Value": recorded_as(job),
                },
            }
    return found


def definition(machine: str) -> Json:
    """The ASL file ``chalicelib/machines/<machine>.asl.json``, parsed."""
    text = resources.files("chalicelib").joinpath("machines", f"{machine}.asl.json").read_text(encoding="utf-8")
    parsed: Json = json.loads(text)
    return parsed


def batch_definition(job: Job) -> Json:
    """The batch machine of one job: the ASL file with the job's container, limits and RunTask arguments put in."""
    asl = definition("batch")
    states = asl["States"]
    states["Is it a run?"]["Choices"][1]["Assign"].update(
        container=_container(job.ecs), timeout=job.timeout, retries=job.retries
    )
    run_task = states[_RUN_TASK]
    overrides = {**run_task["Arguments"]["Overrides"], **_task_overrides(job.ecs)}
    run_task["Arguments"] = {**_run_task(job.ecs), "Overrides": overrides}
    run_task["TimeoutSeconds"] = job.timeout
    states["Stop the task"]["Arguments"]["Cluster"] = job.ecs.cluster
    return asl


def place(batch: Json) -> tuple[str, str]:
    """The cluster and the family of a batch machine's definition: where its tasks are looked for."""
    arguments = batch["States"][_RUN_TASK]["Arguments"]
    family = arguments["TaskDefinition"].rpartition("/")[2].partition(":")[0]
    return arguments["Cluster"].rpartition("/")[2], family


def check_policy(jobs: JobsFile) -> Json:
    """The checker's policy: it only reads, and only this stage's machines and clusters."""
    clusters = sorted({job.ecs.cluster_name for job in jobs.jobs.values()})
    described = [f"arn:*:ecs:*:*:task/{cluster}/*" for cluster in clusters]
    listed = {"ArnLike": {"ecs:cluster": [f"arn:*:ecs:*:*:cluster/{cluster}" for cluster in clusters]}}
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
        *(
            [
                _allow(["ecs:ListTasks"], ["*"], Sid="ListTasksTakesNoTaskButACluster", Condition=listed),
                _allow(["ecs:DescribeTasks"], described),
                _allow(["ecs:DescribeTaskDefinition"], ["*"], Sid="DescribeTaskDefinitionTakesNoResource"),
            ]
            if clusters
            else []
        ),
        *_logs(function_name(jobs.stage, "check")),
    )


def trigger_policy(jobs: JobsFile) -> Json:
    """The trigger's policy: it starts the guard machine, and asks since when a job has had its schedule."""
    return _policy(
        _allow(["states:StartExecution"], [f"arn:*:states:*:*:stateMachine:{guard_machine(jobs.stage)}"]),
        _allow(["ssm:GetParameter"], [f"arn:*:ssm:*:*:parameter{schedule_parameter(jobs.stage, '*')}"]),
        *_logs(function_name(jobs.stage, "trigger")),
    )


def render(document: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """JSON text. YAML would do for CloudFormation, but not for the aliases Chalice writes into it."""
    separators = (",", ":") if indent is None else None
    return json.dumps(document, indent=indent, separators=separators, ensure_ascii=False)


def _container(ecs: Ecs) -> Json:
    environment = [{"Name": name, "Value": value} for name, value in ecs.environment.items()]
    command = {"Command": list(ecs.command)} if ecs.command else {}
    return {"Name": ecs.container, "Environment": environment, **command}


def _task_overrides(ecs: Ecs) -> Json:
    wanted = {
        "Cpu": ecs.cpu,
        "Memory": ecs.memory,
        "TaskRoleArn": ecs.task_role,
        "ExecutionRoleArn": ecs.execution_role,
    }
    return {key: value for key, value in wanted.items() if value}


def _run_task(ecs: Ecs) -> Json:
    arguments: Json = {"Cluster": ecs.cluster, "TaskDefinition": ecs.task_definition}
    if ecs.capacity_provider:
        arguments["CapacityProviderStrategy"] = [{"CapacityProvider": ecs.capacity_provider}]
    if ecs.launch_type:
        arguments["LaunchType"] = ecs.launch_type
    if ecs.platform_version:
        arguments["PlatformVersion"] = ecs.platform_version
    if ecs.subnets:
        network: Json = {"Subnets": list(ecs.subnets)}
        if ecs.security_groups:
            network["SecurityGroups"] = list(ecs.security_groups)
        network["AssignPublicIp"] = "ENABLED" if ecs.assign_public_ip else "DISABLED"
        arguments["NetworkConfiguration"] = {"AwsvpcConfiguration": network}
    return arguments


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


def _batch_statements(stage: str, job: Job) -> list[Json]:
    ecs = job.ecs
    statements = [
        _allow(["ecs:RunTask"], [arn("ecs", f"task-definition/{ecs.family}:*")]),
        _allow(["ecs:StopTask", "ecs:DescribeTasks"], [arn("ecs", f"task/{ecs.cluster_name}/*")]),
        _allow(
            ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
            [arn("events", "rule/StepFunctionsGetEventsForECSTaskRule")],
        ),
        _allow(["lambda:InvokeFunction"], [_check_arn(stage)]),
    ]
    passed = sorted({role for role in (*ecs.pass_roles, ecs.task_role, ecs.execution_role) if role})
    if passed:
        only_ecs = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        statements.append(_allow(["iam:PassRole"], passed, Condition=only_ecs))
    return statements


def _machine(name: str, role: str, asl: Json, stage: str) -> Json:
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "StateMachineName": name,
            "StateMachineType": "STANDARD",
            "RoleArn": {"Fn::GetAtt": [role, "Arn"]},
            "Definition": asl,
            "DefinitionSubstitutions": {"CheckFunctionArn": _check_arn(stage)},
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


def _logs(function: str) -> list[Json]:
    group = f"arn:*:logs:*:*:log-group:/aws/lambda/{function}"
    return [
        _allow(["logs:CreateLogGroup"], [group]),
        _allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:*"]),
    ]


def _check_arn(stage: str) -> Json:
    return arn("lambda", f"function:{function_name(stage, 'check')}")
