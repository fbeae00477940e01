"""The machines' permissions, simulated: iam:SimulatePrincipalPolicy of their roles as they are deployed.

It knows of organization policies and permission boundaries (IAM, SimulatePrincipalPolicy), which no template shows.
What a role lacks is asked for once more with the policy that a deployment would write: then it is not there *yet*.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from chalicelib.config.jobs import JobsFile
from chalicelib.names import batch_machine, guard_machine
from chalicelib.values import dataclass
from guardctl import template
from guardctl.cloudformation import Json, resolved
from guardctl.verifying.account import Account
from guardctl.verifying.definitions import Definitions
from guardctl.verifying.findings import Finding, Unread, ng, ok, skip
from guardctl.verifying.task import Task
from guardctl.wording import listed

Needed = tuple[str, str]
"""An action and the ARN that it is wanted for."""

Answers = Mapping[Needed, str]
"""``allowed``, ``explicitDeny``, ``implicitDeny``, with `LATER` what a deployment would allow."""

LATER = "allowed after a deployment"

_SIDE_BY_SIDE = 8
_DENIALS = {"explicitDeny": "is denied by a policy", "implicitDeny": "is not allowed"}


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the template: a machine that has it, and what its policy will be."""

    machine: str
    policy: Json


@dataclass(frozen=True, slots=True)
class Permissions:
    """What was simulated: by job, and of the guard machine. None: its machine is not deployed yet."""

    jobs: Mapping[str, Answers | Unread | None]
    guard: Answers | Unread | None


def roles(file: JobsFile) -> dict[str, Role]:
    """Machine (its name) → its role, with the first machine that has it."""
    resources = template.machines(file)
    found: dict[str, Role] = {}
    first: dict[str, Role] = {}
    for resource in resources.values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            logical = resource["Properties"]["RoleArn"]["Fn::GetAtt"][0]
            name = resource["Properties"]["StateMachineName"]
            policy = resources[logical]["Properties"]["Policies"][0]["PolicyDocument"]
            found[name] = first.setdefault(logical, Role(name, policy))
    return found


def needs(task: Task, definitions: Definitions) -> list[Needed]:
    """What the machine of a job must be allowed for its task; nothing if the task definition was not read.

    A role that `pass_roles` lacks is told of where roles are judged.
    """
    definition = definitions[task.definition]
    if definition is None or isinstance(definition, Unread):
        return []
    named = (task.task_role or definition.get("taskRoleArn"), task.execution_role or definition.get("executionRoleArn"))
    passed = sorted({role for role in named if role in task.may_pass})
    return [("ecs:RunTask", definition["taskDefinitionArn"]), *(("iam:PassRole", role) for role in passed)]


def read(
    account: Account, file: JobsFile, tasks: Mapping[str, Task], definitions: Definitions, *, of_guard: bool
) -> Permissions:
    """Ask IAM: a call per role and cluster, and with `of_guard` one for the guard machine."""
    stage = account.stage
    role_of = roles(file)
    groups: dict[tuple[str, str], list[str]] = {}
    for name, task in tasks.items():
        machine = batch_machine(file.stage, file.jobs[name].pool)
        groups.setdefault((role_of[machine].machine, task.cluster_name), []).append(name)
    guard = role_of[guard_machine(file.stage)]
    machines = sorted({machine for machine, _ in groups} | ({guard.machine} if of_guard else set()))
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        arns = dict(zip(machines, pool.map(lambda machine: role_arn(account, machine), machines), strict=True))

        def of_group(group: tuple[str, str]) -> Answers | Unread | None:
            machine, cluster = group
            wanted = sorted({need for job in groups[group] for need in needs(tasks[job], definitions)})
            context = {
                "ecs:cluster": f"{stage.arn('ecs')}:cluster/{cluster}",
                "iam:PassedToService": "ecs-tasks.amazonaws.com",
            }
            return _simulated(account, arns[machine], wanted, context, role_of[machine].policy)

        answers = dict(zip(groups, pool.map(of_group, groups), strict=True))
        wanted = _of_guard(account, file)
        guards = _simulated(account, arns[guard.machine], wanted, {}, guard.policy) if of_guard else None
    by_job = {name: answer for group, answer in answers.items() for name in groups[group]}
    return Permissions(by_job, guards)


def _of_guard(account: Account, file: JobsFile) -> list[Needed]:
    machines = [account.stage.arn_of(each.name) for each in template.batch_machines(file)]
    check = account.stage.function("check")
    return [("lambda:InvokeFunction", check), *(("states:StartExecution", machine) for machine in machines)]


def role_arn(account: Account, machine: str) -> str | Unread | None:
    """The ARN of a machine's role as it is deployed; None if the machine is not."""
    arn: str | Unread | None = account.call(
        "stepfunctions",
        "describe_state_machine",
        "roleArn",
        missing=("StateMachineDoesNotExist",),
        stateMachineArn=account.stage.arn_of(machine),
    )
    return arn


def _simulated(
    account: Account, role: str | Unread | None, wanted: list[Needed], context: Mapping[str, str], policy: Json
) -> Answers | Unread | None:
    if role is None or isinstance(role, Unread):
        return role
    if not wanted:
        return {}
    answers = _simulate(account, role, wanted, context)
    if isinstance(answers, Unread):
        return answers
    stage = account.stage
    lacking = [need for need in wanted if answers.get(need) == "implicitDeny"]
    if lacking:
        text = json.dumps(resolved(policy, stage.partition, stage.region, stage.account))
        later = _simulate(account, role, lacking, context, text)
        if not isinstance(later, Unread):
            answers = {**answers, **{need: LATER for need in lacking if later.get(need) == "allowed"}}
    return answers


def _simulate(
    account: Account, role: str, wanted: list[Needed], context: Mapping[str, str], policy: str | None = None
) -> dict[Needed, str] | Unread:
    asked: dict[str, Any] = {
        "PolicySourceArn": role,
        "ActionNames": sorted({action for action, _ in wanted}),
        "ResourceArns": sorted({resource for _, resource in wanted}),
        "ContextEntries": [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in context.items()
        ],
    }
    if policy is not None:
        asked["PolicyInputList"] = [policy]
    results = account.pages("iam", "simulate_principal_policy", "EvaluationResults", **asked)
    if isinstance(results, Unread):
        return results
    return dict(decision for each in results for decision in _decisions(each))


def _decisions(result: Mapping[str, Any]) -> Iterator[tuple[Needed, str]]:
    """Each combination of action and resource is a result, or is among the specific ones of its action's."""
    action = result["EvalActionName"]
    yield (action, result.get("EvalResourceName", "*")), result["EvalDecision"]
    for each in result.get("ResourceSpecificResults", ()):
        yield (action, each["EvalResourceName"]), each["EvalResourceDecision"]


def judge_job(task: Task, definitions: Definitions, permissions: Permissions) -> Iterator[Finding]:
    """Whether the machine of a job may do what its task takes."""
    if wanted := needs(task, definitions):
        yield _judged("permissions of its machine", wanted, permissions.jobs[task.job])


def judge_guard(account: Account, file: JobsFile, permissions: Permissions) -> Finding:
    """Whether the guard machine may ask the checker and start the runs."""
    return _judged(f"permissions of {guard_machine(file.stage)}", _of_guard(account, file), permissions.guard)


def _judged(what: str, wanted: Iterable[Needed], answers: Answers | Unread | None) -> Finding:
    if answers is None:
        return skip(what, "not deployed yet: the deployment makes its role")
    if isinstance(answers, Unread):
        return skip(what, answers.reason)
    told = {need: answers.get(need) for need in wanted}
    denied = [f"{action} on {on} {_DENIALS[said]}" for (action, on), said in told.items() if said in _DENIALS]
    if denied:
        return ng(what, listed(denied))
    if later := [f"{action} on {on}" for (action, on), said in told.items() if said == LATER]:
        return skip(what, f"not yet: {listed(later)}; the policy that a deployment writes allows it")
    if untold := [f"{action} on {on}" for (action, on), said in told.items() if said != "allowed"]:
        return skip(what, f"IAM's simulation says nothing of {listed(untold)}")
    actions = sorted({action for action, _ in told})
    return ok(what, f"{', '.join(actions)}: allowed, as IAM simulates it")
