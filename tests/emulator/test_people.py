"""`guardctl iam`: every command is run by the person it is for, and what it called is held against the policy.

The emulator's CloudTrail names Query calls (CloudFormation, IAM, STS) by their service alone; these are told apart only
as "some call of that service". CloudFormation's own calls in the deployer's name can't be seen on the emulator.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.config.jobs import parse
from guardctl import people
from lab.stage import LocalStage
from tests import targets as aws
from tests.commands import forked
from tests.emulator.test_deployment import JOBS as TWO_JOBS
from tests.emulator.trail import UNNAMED, calls
from tests.support import local_stage, start_emulator

MOVED = TWO_JOBS.replace("[jobs.first]", '[jobs.first]\nimported_from = "schedule/default/first"').replace(
    "[jobs.second]", '[jobs.second]\nimported_from = "rule/default/second"'
)
"""Two jobs that a schedule and a rule started before."""

JOBS = (
    MOVED
    + """
[pools.seats]
slots = 2
[jobs.third]
pool = "seats"
ecs = { task_definition = "third" }
[jobs.fourth]
pool = "seats"
ecs = { task_definition = "fourth" }
"""
)
NOT_MADE_HERE = {
    "logs:GetLogEvents": "no task here writes logs",
    "ecr:DescribeImages": "no image here is in ECR",
    "logs:DescribeLogGroups": "no task here writes logs",
    "ec2:DescribeSubnets": "no task here has a network",
    "ec2:DescribeSecurityGroups": "no task here has a network",
    "sns:GetTopicAttributes": "no topic here",
    "kms:DescribeKey": "no topic here",
    "kms:GetKeyPolicy": "no topic here",
    "lambda:GetAccountSettings": "is recorded without its name",
    "servicequotas:ListServiceQuotas": "the emulator has no Service Quotas",
}
"""Action of a viewer or operator → why no command here calls it."""


COMMANDS = {
    "viewer": (["status"], ["status", "second"], ["status", "third"], ["check", "second"], ["problems"], ["history", "second"], ["timeline"], ["logs", "second"], ["why", "first", "2026-01-01T03:00Z"], ["verify"], ["diff"], ["next"], ["backfill", "first", "--from", "2026-01-01", "--dry-run"]),
    "operator": (["pause", "second", "--reason", "x"], ["stop", "second", "--yes"], ["resume", "second"], ["pause", "--pool", "seats", "--reason", "x"], ["resume", "--pool", "seats"]),
    "deployer": (["import", "--dry-run"], ["handover", "first", "--yes"], ["handover", "second", "--yes"], ["deploy", "--dry-run"], ["deploy"], ["destroy", "--yes"]),
}  # fmt: skip


def run_by(stage: LocalStage, person: str, *command: str) -> str:
    """Run guardctl with an access key of the person's own; the emulator takes any."""
    environment = {**stage.emulator.environment(), "AWS_ACCESS_KEY_ID": person}
    done = forked(["-m", "guardctl", *command, "--stage", stage.name], stage.directory, environment)
    return done.stdout + done.stderr


pytestmark = pytest.mark.together("people")


@pytest.fixture(scope="module")
def called() -> Iterator[dict[str, set[str]]]:
    """Person → what their commands called, as ``service:Operation``."""
    with (
        start_emulator(environment={"CLOUDTRAIL_RECORDING": "1"}) as running,
        local_stage(running, name="people", jobs=JOBS) as stage,
    ):
        began = time.time()
        run_by(stage, "deployer", "deploy", "--make-bucket")
        old_ones(stage)
        stage.provide()
        assert "started run-000001" in run_by(stage, "operator", "run", "second")
        stage.a_task("second")
        for person, commands in COMMANDS.items():
            for command in commands:
                said = run_by(stage, person, *command)
                assert "Traceback" not in said, said
        yield {person: calls(running, person, began) for person in COMMANDS}


def old_ones(stage: LocalStage) -> None:
    """What started the jobs before."""
    session: Any = stage.emulator.session()
    told = aws.schedule("first", "cron(0 3 1 1 ? *)")
    session.client("scheduler").create_schedule(**{key: value for key, value in told.items() if key != "Arn"})
    session.client("events").put_rule(Name="second", ScheduleExpression="cron(0 3 1 1 ? *)")
    session.client("events").put_targets(Rule="second", Targets=[aws.target()])


def allowed(person: people.Role) -> set[str]:
    """The actions that the policy of a person has."""
    policy = people.policy(parse(JOBS, stage="people", place="x"), person)
    return {action for statement in policy["Statement"] for action in statement["Action"]}


@pytest.mark.parametrize("person", people.ROLES)
def test_every_call_that_a_persons_commands_make_is_allowed(called: dict[str, set[str]], person: people.Role) -> None:
    services = {action.partition(":")[0] for action in allowed(person)} | {
        "sts"
    }  # GetCallerIdentity needs no permission
    unnamed = {call for call in called[person] if UNNAMED.search(call)}
    assert called[person] - unnamed <= allowed(person)
    assert {call.partition(":")[0] for call in unnamed} <= services


@pytest.mark.parametrize("person", ["viewer", "operator"])
def test_a_viewer_and_an_operator_are_allowed_no_more(called: dict[str, set[str]], person: people.Role) -> None:
    made = called["viewer"] | called["operator"] if person == "operator" else called["viewer"]
    services = {call.partition(":")[0] for call in made if UNNAMED.search(call)}
    unasked = {action for action in allowed(person) - made if action.partition(":")[0] not in services}
    assert unasked <= NOT_MADE_HERE.keys()


def test_no_person_but_a_deployer_may_change_what_is_deployed() -> None:
    changing = {a for a in allowed("deployer") if a.partition(":")[2].startswith(("Create", "Put", "Update", "Delete"))}
    assert len(changing) > 20
    assert not changing & allowed("operator")
