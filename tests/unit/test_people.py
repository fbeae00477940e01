"""`guardctl iam`: what each person may touch, by name: all of their own stage, pools included, and nothing of another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from chalicelib.config.jobs import parse
from chalicelib.names import batch_machine, guard_machine, waiting_machine
from guardctl import people
from guardctl.acceptance import permissions

JOBS = """
[defaults.ecs]
cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/night"
container = "app"
launch_type = "EC2"
[pools.seats]
slots = 2
[jobs.report]
pool = "seats"
ecs = { task_definition = "report", cluster = "day" }
[jobs.close]
pool = "seats"
ecs = { task_definition = "close" }
"""
STATES = "arn:aws:states:us-east-1:123456789012:"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:"
TASK = "arn:aws:ecs:us-east-1:123456789012:task/"
STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/"
MACHINES = [
    guard_machine("dev"),
    batch_machine("dev", "seats"),
    batch_machine("dev", "seats", 2),
    waiting_machine("dev"),
]


def allowed(person: people.Role, action: str, resource: str) -> bool:
    """Whether the policy of a person allows this."""
    statements = people.policy(parse(JOBS, stage="dev", place="x"), person)["Statement"]
    return any(
        action in statement["Action"] and any(fnmatchcase(resource, each) for each in statement["Resource"])
        for statement in statements
    )


def on_machines() -> Iterator[tuple[str, str, str]]:
    """Whoever is the first that may, the action, and each machine or execution of the stage."""
    for name in MACHINES:
        for person, action in (("viewer", "states:ListExecutions"), ("viewer", "states:DescribeStateMachine"), ("operator", "states:StartExecution"), ("deployer", "states:DeleteStateMachine")):  # fmt: skip
            yield person, action, f"{STATES}stateMachine:{name}"
        for person, action in (("viewer", "states:DescribeExecution"), ("viewer", "states:GetExecutionHistory"), ("operator", "states:StopExecution")):  # fmt: skip
            yield person, action, f"{STATES}execution:{name}:run-000001"


OTHERS = [
    ("viewer", "lambda:InvokeFunction", f"{FUNCTION}batch-guard-dev-check"),
    ("viewer", "lambda:GetFunction", f"{FUNCTION}batch-guard-dev-trigger"),
    ("viewer", "cloudformation:DescribeStacks", f"{STACK}batch-guard-dev/0a1b"),
    ("viewer", "cloudformation:DescribeStacks", f"{STACK}batch-guard-dev-machines/0a1b"),
    ("viewer", "ssm:GetParameters", "arn:aws:ssm:us-east-1:123456789012:parameter/batch-guard/dev/close/schedule"),
    ("operator", "ecs:StopTask", f"{TASK}day/0a1b"),
    ("operator", "ecs:StopTask", f"{TASK}night/0a1b"),
    ("deployer", "cloudformation:ExecuteChangeSet", f"{STACK}batch-guard-dev-records/0a1b"),
    ("deployer", "lambda:UpdateFunctionCode", f"{FUNCTION}batch-guard-dev-trigger"),
]


@pytest.mark.parametrize(("person", "action", "resource"), [*on_machines(), *OTHERS])
def test_a_person_may_do_this_from_here_on(person: people.Role, action: str, resource: str) -> None:
    may = [role for role in people.ROLES if allowed(role, action, resource)]
    assert may == [*people.ROLES][people.ROLES.index(person) :]


@pytest.mark.parametrize(("person", "action", "resource"), [*on_machines(), *OTHERS])
def test_no_person_may_do_it_in_another_stage(person: people.Role, action: str, resource: str) -> None:
    other = resource.replace("batch-guard-dev", "batch-guard-prod").replace("guard/dev/", "guard/prod/")
    other = other.replace("/day/", "/other/").replace("/night/", "/other/")
    assert other != resource
    # `import` reads any state machine, which may be what runs a task today.
    assert not allowed("operator" if action == "states:DescribeStateMachine" else "deployer", action, other)


@pytest.mark.parametrize("policy", [*(people.policy(parse(JOBS, stage="dev", place="x"), role) for role in people.ROLES), permissions.policy("a" * 16)], ids=[*people.ROLES, "acceptance"])  # fmt: skip
def test_a_policy_fits_a_managed_policy(policy: Any) -> None:
    assert len(json.dumps(policy, separators=(",", ":"))) <= 6_144, "IAM does not count white space"


@pytest.mark.parametrize("name", ["trial0a1b", "trialzzzz"])
def test_whoever_runs_the_acceptance_may_do_it_to_any_trial_and_to_no_stage(name: str) -> None:
    def may(action: str, resource: str) -> bool:
        found = [s for s in permissions.policy("trial")["Statement"] if action in s["Action"]]
        return any(fnmatchcase(resource, each) for statement in found for each in statement["Resource"])

    for action, resource in (
        ("states:StartExecution", f"{STATES}stateMachine:batch-guard-{name}-probe-fail"),
        ("states:DeleteStateMachine", f"{STATES}stateMachine:batch-guard-{name}"),
        ("lambda:CreateFunction", f"{FUNCTION}batch-guard-{name}-trigger"),
        ("cloudformation:CreateStack", f"{STACK}batch-guard-{name}-acceptance/0a1b"),
        ("ecs:StopTask", f"{TASK}batch-guard-{name}-cluster/0a1b"),
        ("ecs:RunTask", f"arn:aws:ecs:us-east-1:123456789012:task-definition/batch-guard-{name}-task-probe:1"),
        ("logs:DeleteLogGroup", f"arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/batch-guard-{name}-check"),
        ("iam:DeleteRole", f"arn:aws:iam::123456789012:role/batch-guard-{name}-probe"),
    ):
        assert may(action, resource), action
        assert not may(action, resource.replace(name, "trial")), action
        assert not may(action, resource.replace(name, "prod")), action


def test_nobody_may_invoke_the_trigger_which_starts_what_is_due() -> None:
    assert not allowed("deployer", "lambda:InvokeFunction", f"{FUNCTION}batch-guard-dev-trigger")
