"""The extra resources: jobs file → CloudFormation stacks and IAM policies. Pure, but for reading the ASL files.

A stage has a stack of machines, one resource a machine; the records of the schedules and the alarms have stacks of
their own, so that each stays within what CloudFormation takes of a stack (guardctl/limits.py counts). What a job has in
a stack depends on that job alone, never on how many there are: no resource ever moves from one stack to another.

Roles are least privilege. Where a statement has ``"Resource": "*"``, its Sid says why AWS takes no name there.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any

from chalicelib.config.jobs import Job, JobsFile
from chalicelib.config.members import passed_roles
from chalicelib.names import (
    FUNCTIONS,
    Function,
    batch_machine,
    function_name,
    guard_machine,
    log_group,
    schedule_parameter,
    telling_machine,
    waiting_machine,
)
from chalicelib.read.record import recorded_as
from chalicelib.values import dataclass
from guardctl import alarms, stagewide, told
from guardctl.cloudformation import Json, allow, arn, logical_id, policy, resolved

INLINE_LIMIT = 51_200
"""Bytes that CloudFormation takes as TemplateBody (AWS, CloudFormation quotas)."""

S3_LIMIT = 1_000_000
"""Bytes that CloudFormation takes from S3: 1 MB (AWS, CloudFormation quotas)."""

POLICIES_OF_A_ROLE = 10_240
"""Characters of a role's inline policies together, white space not counted (AWS, IAM quotas)."""

FUNCTIONS_PART = "functions"
"""The part that is there before the functions are; in a package their roles stand in the parent."""

_BATCH_DEFINITION = {"Fn::FindInMap": ["Definitions", "Batch", "Text"]}
_GUARD_DEFINITION = {"Fn::FindInMap": ["Definitions", "Guard", "Text"]}

_WHAT = {
    FUNCTIONS_PART: "the roles of the functions, where Chalice's would not do",
    "machines": "the guard machine and the batch machines",
    "records": "the record of each job's schedule",
    "alarms": "what rings for the stage and for a failed run, and the dashboard",
    "alarms-skips": "what rings when scheduled times are skipped in a row",
    "alarms-late": "what rings when a scheduled time was not done in time",
}

PARTS = tuple(_WHAT)
"""Every part that a stage may have, in the order of deployment; each is a stack, and has a file in a package."""


@dataclass(frozen=True)
class BatchMachine:
    """A batch machine of the stage, and the jobs whose runs it may have."""

    name: str
    logical_id: str
    jobs: tuple[Job, ...]


def batch_machines(jobs: JobsFile) -> list[BatchMachine]:
    """Every batch machine of the stage: the one place that says which there are."""
    return [
        BatchMachine(
            batch_machine(jobs.stage, pool, slot),
            logical_id(pool, f"Batch{slot}" if slot > 1 else "Batch"),
            jobs.members(pool),
        )
        for pool in jobs.pools
        for slot in range(1, jobs.slots_of(pool) + 1)
    ]


def stacks(jobs: JobsFile) -> dict[str, Json]:
    """The stage's stacks, in the order of their deployment: part (``machines``, ``records`` …) → template."""
    roles = stagewide.function_roles(jobs, function_policies(jobs))
    parts = {FUNCTIONS_PART: roles, "machines": machines(jobs), "records": records(jobs), **alarms.parts(jobs)}
    return {part: _stack(jobs, part, found) for part, found in parts.items() if found}


def nested(jobs: JobsFile) -> dict[str, Json]:
    """The stacks that a package nests."""
    return {part: document for part, document in stacks(jobs).items() if part != FUNCTIONS_PART}


def sam_extension(jobs: JobsFile) -> Json:
    """What `chalice package --merge-template` adds to Chalice's own template: names, and the same stacks, nested.

    Chalice sets no FunctionName there, and the machines know the checker by its name. The functions come first: they
    still serve the definitions of the last release.
    """
    found = stagewide.in_package(jobs, function_policies(jobs))
    before = [function.title() for function in FUNCTIONS]
    tagged = {"Tags": stagewide.tag_list(jobs)} if jobs.tags else {}
    for part in nested(jobs):
        logical = part.title().replace("-", "")
        found[logical] = {
            "Type": "AWS::CloudFormation::Stack",
            "DependsOn": before,
            "Properties": {"TemplateURL": f"{part}.json", **tagged},
        }
        before = ["Machines"]
    return {"Resources": found}


def machines(jobs: JobsFile) -> Json:
    """Logical ID → resource. The guard comes after the batch machines: it starts only what they understand."""
    batches: Json = {}
    for logical_role, sharing in _roles(jobs).items():
        batches[logical_role] = _role(jobs, _batch_statements(jobs, [job for each in sharing for job in each.jobs]))
        for each in sharing:
            batches[each.logical_id] = _machine(each.name, logical_role, _BATCH_DEFINITION, jobs)
    guard = _machine(guard_machine(jobs.stage), "GuardMachineRole", _GUARD_DEFINITION, jobs)
    guard["DependsOn"] = [each.logical_id for each in batch_machines(jobs)]
    if any(jobs.shared(pool) for pool in jobs.pools):
        batches["WaitingMachine"] = _machine(waiting_machine(jobs.stage), "GuardMachineRole", _GUARD_DEFINITION, jobs)
        guard["DependsOn"].append("WaitingMachine")
    if jobs.tells_something:
        tells = render(definition("telling"), indent=None)
        batches[told.MACHINE] = _machine(telling_machine(jobs.stage), f"{told.MACHINE}Role", tells, jobs)
        batches[told.MACHINE]["Properties"]["DefinitionSubstitutions"] = {
            "Partition": {"Ref": "AWS::Partition"},
            **told.substitutions(jobs),
        }
        batches[f"{told.MACHINE}Role"] = _role(jobs, told.statements(jobs))
        guard["DependsOn"].append(told.MACHINE)
    return {
        "GuardMachine": guard,
        "GuardMachineRole": _role(jobs, _guard_statements(jobs)),
        **batches,
        **stagewide.machine_logs(jobs),
    }


def records(jobs: JobsFile) -> Json:
    """Logical ID → the parameter that records since when a job has its schedule."""
    return {
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


def definition(machine: str) -> Json:
    """The ASL file ``chalicelib/machines/<machine>.asl.json``, parsed."""
    text = resources.files("chalicelib").joinpath("machines", f"{machine}.asl.json").read_text(encoding="utf-8")
    parsed: Json = json.loads(text)
    return parsed


def pool_rows(jobs: JobsFile) -> str:
    """A JSONata object with a row for each job whose pool is shared: what the guard tells the checker of its machines.

    Who belongs to which pool is the one thing on which machines and functions must agree. Names are lower case letters,
    digits and hyphens, so nothing has to be escaped.
    """
    shared = (job for job in jobs.jobs.values() if jobs.shared(job.pool))
    rows = [f"'{job.name}': {{'pool': '{job.pool}', 'slots': {jobs.slots_of(job.pool)}}}" for job in shared]
    return f"{{{', '.join(rows)}}}"


def guard_definition(jobs: JobsFile) -> Json:
    """The guard's definition, with a row for each job of a shared pool."""
    text = json.dumps(definition("guard")).replace("$pools := {}", f"$pools := {pool_rows(jobs)}")
    parsed: Json = json.loads(text)
    return parsed


def policy_size(statements: Iterable[Json]) -> int:
    """Characters of a policy with these statements, as IAM counts them, its ARNs at their longest."""
    longest = resolved(policy(*statements), "aws-us-gov", "ap-northeast-1", "123456789012")
    return len(re.sub(r"\s", "", json.dumps(longest, separators=(",", ":"))))


def _stack(jobs: JobsFile, part: str, found: Json) -> Json:
    document: Json = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"batch-guard, stage {jobs.stage}: {_WHAT[part]}",
        "Resources": found,
    }
    if part == "machines":  # several machines have the very same definition, so it stands in the template once
        texts = {"Batch": definition("batch"), "Guard": guard_definition(jobs)}
        document["Mappings"] = {
            "Definitions": {name: {"Text": render(text, indent=None)} for name, text in texts.items()}
        }
    return document


def _roles(jobs: JobsFile) -> dict[str, list[BatchMachine]]:
    """Logical ID → the machines that share the role: those whose jobs have the same clusters and the same passed roles.

    More would let a run be started on a cluster where nobody looks for it. A role that would have no room for another
    family is followed by a further one; a machine whose own policy is too long has a role all the same, and
    guardctl/limits.py says so.
    """
    groups: dict[tuple[str, ...], list[BatchMachine]] = {}
    for each in batch_machines(jobs):
        groups.setdefault((*_clusters(each.jobs), "", *_passed(each.jobs), "", *_passed_on(each.jobs)), []).append(each)
    found = {}
    for key, sharing in groups.items():
        digest = hashlib.sha256("\n".join(part for part in key if part).encode()).hexdigest()[:8]
        for number, part in enumerate(_with_room(jobs, sharing), start=1):
            found[f"BatchRole{digest}{f'Part{number}' if number > 1 else ''}"] = part
    return found


def _with_room(jobs: JobsFile, sharing: list[BatchMachine]) -> Iterator[list[BatchMachine]]:
    part: list[BatchMachine] = []
    for each in sharing:
        together = [job for machine in (*part, each) for job in machine.jobs]
        if part and policy_size(_batch_statements(jobs, together)) > POLICIES_OF_A_ROLE:
            yield part
            part = []
        part.append(each)
    yield part


def check_policy(jobs: JobsFile) -> Json:
    """The checker's policy: it only reads. ECS anywhere: a permission that goes with a cluster would block a job."""
    machine = batch_machine(jobs.stage, "*")
    # Who waits in a queue, and how a job's last starts ended, say executions of the guard machine.
    described_of = (machine, guard_machine(jobs.stage))
    return policy(
        allow(
            ["states:ListExecutions", "states:DescribeStateMachine"],
            [f"arn:*:states:*:*:stateMachine:{machine}"],
        ),
        allow(["states:DescribeExecution"], [f"arn:*:states:*:*:execution:{name}:*" for name in described_of]),
        allow(
            ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeTaskDefinition"],
            ["*"],
            Sid="ReadsTasksWhereverARunMayHaveLeftOne",
        ),
        *_logs(jobs, "check"),
    )


def trigger_policy(jobs: JobsFile) -> Json:
    """The trigger's policy: it starts the guard machine, and asks since when a job has had its schedule.

    Where a job says by when it should be done, it looks up what became of a start, and of its run.
    """
    promised = any(job.expect_success_by or job.warn_after for job in jobs.jobs.values())
    described = [
        f"arn:*:states:*:*:execution:{name}:*" for name in (guard_machine(jobs.stage), batch_machine(jobs.stage, "*"))
    ]
    return policy(
        allow(["states:StartExecution"], [f"arn:*:states:*:*:stateMachine:{guard_machine(jobs.stage)}"]),
        *([allow(["states:DescribeExecution"], described)] if promised else []),
        allow(["ssm:GetParameter"], [f"arn:*:ssm:*:*:parameter{schedule_parameter(jobs.stage, '*')}"]),
        *told.of_trigger(jobs),
        *_logs(jobs, "trigger"),
    )


def function_policies(jobs: JobsFile) -> dict[Function, Json]:
    return {"check": check_policy(jobs), "trigger": trigger_policy(jobs)}


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
        allow(["lambda:InvokeFunction"], [_check_arn(jobs.stage)]),
        allow(["states:StartExecution"], started),
    ]
    if any(job.overlap == "replace" for job in everything):
        statements.append(allow(["states:StopExecution"], [arn("states", f"execution:{batches}:*")]))
    clusters = sorted({j.ecs.cluster_name for j in everything if j.overlap == "replace" or j.orphans == "stop"})
    if clusters:
        statements.append(allow(["ecs:StopTask"], [arn("ecs", f"task/{cluster}/*") for cluster in clusters]))
    return [*statements, *stagewide.observing(jobs)]


def _clusters(jobs: Iterable[Job]) -> list[str]:
    return sorted({job.ecs.cluster_name for job in jobs})


def _passed(jobs: Iterable[Job]) -> list[str]:
    roles = (role for job in jobs for role in (*job.ecs.pass_roles, job.ecs.task_role, job.ecs.execution_role))
    return sorted({role for role in roles if role})


def _passed_on(jobs: Iterable[Job]) -> list[str]:
    """The roles that ECS takes for itself, to make a task's volumes."""
    return sorted({role for job in jobs for role in passed_roles(job.ecs.run_task)})


def _batch_statements(file: JobsFile, jobs: list[Job]) -> list[Json]:
    """What a batch machine of these jobs may do: run their families, each on its cluster, and pass their roles."""
    clusters = _clusters(jobs)
    statements = [
        allow(
            ["ecs:RunTask"],
            [
                arn("ecs", f"task-definition/{family}:*")
                for family in sorted({job.ecs.family for job in jobs if job.ecs.cluster_name == cluster})
            ],
            Condition={"ArnEquals": {"ecs:cluster": arn("ecs", f"cluster/{cluster}")}},
        )
        for cluster in clusters
    ]
    statements += [
        allow(["ecs:StopTask", "ecs:DescribeTasks"], [arn("ecs", f"task/{cluster}/*") for cluster in clusters]),
        allow(
            ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
            [arn("events", "rule/StepFunctionsGetEventsForECSTaskRule")],
        ),
        allow(["lambda:InvokeFunction"], [_check_arn(file.stage)]),
        *stagewide.observing(file),
        *told.starting(file, jobs),
    ]
    if passed := _passed(jobs):
        only_ecs = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        statements.append(allow(["iam:PassRole"], passed, Condition=only_ecs))
    if passed := _passed_on(jobs):
        only_ecs = {"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com"}}
        statements.append(allow(["iam:PassRole"], passed, Condition=only_ecs))
    if tagged := _clusters(job for job in jobs if job.ecs.tagged):
        only_new = {"StringEquals": {"ecs:CreateAction": "RunTask"}}
        on = [arn("ecs", f"task/{cluster}/*") for cluster in tagged]
        statements.append(allow(["ecs:TagResource"], on, Condition=only_new))
    return statements


def _role(jobs: JobsFile, statements: Iterable[Json]) -> Json:
    here = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    return stagewide.role(jobs, statements, "states.amazonaws.com", Condition=here)


def _machine(name: str, role: str, asl: str | Json, jobs: JobsFile) -> Json:
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "StateMachineName": name,
            "StateMachineType": "STANDARD",
            "RoleArn": {"Fn::GetAtt": [role, "Arn"]},
            "DefinitionString": asl,
            "DefinitionSubstitutions": {
                "CheckFunctionArn": _check_arn(jobs.stage),
                "Partition": {"Ref": "AWS::Partition"},
            },
            **stagewide.observed(jobs),
        },
    }


def _logs(jobs: JobsFile, function: Function) -> list[Json]:
    """A function that outlives its group by a second must not make it again: then the group goes with the stage."""
    group = f"arn:*:logs:*:*:log-group:{log_group(jobs.stage, function)}"
    return [
        *([] if jobs.log_retention_days else [allow(["logs:CreateLogGroup"], [group])]),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:*"]),
    ]


def _check_arn(stage: str) -> Json:
    return arn("lambda", f"function:{function_name(stage, 'check')}")
