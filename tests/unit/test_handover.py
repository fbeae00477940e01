"""`guardctl handover`: the old one is switched and nothing else of it changed; who would set it back is named."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.config.jobs import parse
from chalicelib.decide.schedule import parse_schedule
from guardctl import handover, people
from guardctl.errors import Stop
from guardctl.handover import Move, enabled
from guardctl.importing.switch import NotThere, Snapshot, Switch, differences
from tests import targets as aws

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)


class Account:
    """EventBridge and Scheduler with one rule and one schedule; as AWS, UpdateSchedule resets what is left out."""

    def __init__(self) -> None:
        self.rule = aws.rule("nightly")
        self.targets = [aws.target("1")]
        whole: dict[str, Any] = {
            "Description": "Nightly",
            "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
        }
        self.schedule = aws.schedule("nightly", StartDate=START, ActionAfterCompletion="NONE", **whole)
        self.forgets: tuple[str, ...] = ()
        """Fields that AWS does not keep."""
        self.written: dict[str, Any] = {}
        self.meta = boto3.client("scheduler", region_name="us-east-1").meta

    def describe_rule(self, **_: Any) -> Any:
        return copy.deepcopy(self.rule)

    def list_targets_by_rule(self, **_: Any) -> Any:
        return {"Targets": copy.deepcopy(self.targets)}

    def disable_rule(self, **_: Any) -> None:
        self.rule["State"] = "DISABLED"

    def enable_rule(self, **_: Any) -> None:
        self.rule["State"] = "ENABLED"

    def get_schedule(self, **_: Any) -> Any:
        return copy.deepcopy(self.schedule)

    def update_schedule(self, **whole: Any) -> None:
        self.written = whole
        kept = {key: self.schedule[key] for key in ("Arn", "Name", "GroupName")}
        defaults = {"ScheduleExpressionTimezone": "UTC", "State": "ENABLED", "ActionAfterCompletion": "NONE"}
        self.schedule = defaults | kept | {key: whole[key] for key in whole if key not in self.forgets}


def switching(account: Account) -> Switch:
    return Switch(account, account, None)


def move(old: Snapshot, owner: str | None = None, **more: Any) -> Move:
    text = """
[jobs.nightly]
imported_from = "rule/default/nightly"
schedule = "cron(0 3 * * ? *)"
enabled = false
ecs = { cluster = "batch", task_definition = "report", container = "app", subnets = ["subnet-1"] }
"""
    (job,) = parse(text, stage="dev", place="x").jobs.values()
    return Move(jobs=(job,), old=old, owner=owner, deployed={"nightly": job}, **more)


@pytest.mark.parametrize("origin", ["rule/default/nightly", "schedule/default/nightly"])
def test_off_and_on_again_leave_everything_else_as_it_was(origin: str) -> None:
    account = Account()
    account.schedule.pop("StartDate")
    switch = switching(account)
    first = switch.look(origin)
    off = handover.switched(switch, move(first), NOW, on=False, force=False)
    assert (first.on, off.on) == (True, False)
    again = handover.switched(switch, move(off), NOW, on=True, force=False)
    assert again.on
    assert differences(first, again) == []


def test_every_member_that_update_schedule_takes_is_written_as_it_was_read() -> None:
    account = Account()
    switch = switching(account)
    switch.set(switch.look("schedule/default/nightly"), on=False)
    members = account.meta.service_model.operation_model("UpdateSchedule").input_shape.members
    before = aws.schedule("nightly")
    assert account.written.keys() == {key for key in members if key in {*before, "Description", "StartDate", "ActionAfterCompletion"}}  # fmt: skip
    assert account.written["State"] == "DISABLED"


def test_a_field_that_is_lost_is_told_with_both_its_values() -> None:
    account = Account()
    account.schedule.pop("StartDate")
    account.forgets = ("FlexibleTimeWindow",)
    switch = switching(account)
    with pytest.raises(Stop, match=r"FlexibleTimeWindow was \{'Mode': 'FLEXIBLE'.* and is None"):
        handover.switched(switch, move(switch.look("schedule/default/nightly")), NOW, on=False, force=False)


def test_a_target_that_changes_meanwhile_is_told() -> None:
    account = Account()
    switch = switching(account)
    before = switch.look("rule/default/nightly")
    account.targets[0]["RoleArn"] = "another"
    assert [each.partition(" was")[0] for each in differences(before, switch.look("rule/default/nightly"))] == ["target 1"]  # fmt: skip


def test_a_switch_without_effect_is_told() -> None:
    account = Account()
    switch = switching(account)
    before = move(switch.look("rule/default/nightly"))
    account.disable_rule = lambda **_: None  # type: ignore[method-assign]
    with pytest.raises(Stop, match="still switched on"):
        handover.switched(switch, before, NOW, on=False, force=False)


def test_a_start_date_in_the_past_is_left_out_of_a_cron_and_wants_force_of_a_rate() -> None:
    account = Account()
    switch = switching(account)
    handover.switched(switch, move(switch.look("schedule/default/nightly")), NOW, on=False, force=False)
    assert "StartDate" not in account.written

    account = Account()
    account.schedule["ScheduleExpression"] = "rate(1 hour)"
    switch = switching(account)
    with pytest.raises(Stop, match="StartDate in the past"):
        handover.switched(switch, move(switch.look("schedule/default/nightly")), NOW, on=False, force=False)
    assert account.schedule["State"] == "ENABLED"
    handover.switched(switch, move(switch.look("schedule/default/nightly")), NOW, on=False, force=True)
    assert account.schedule["State"] == "DISABLED"


# --- who would set it back --------------------------------------------------------------------------------


def client(service: Any) -> tuple[Any, Stubber]:
    made: Any = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stub = Stubber(made)
    stub.activate()
    return made, stub


def owner(origin: str, tags: dict[str, str], stack: dict[str, str] | None = None) -> str | None:
    """What is found of a rule or schedule with these tags, of which a stack has this resource."""
    (events, of_events), (scheduler, of_scheduler), (cloudformation, of_cloudformation) = map(
        client, ("events", "scheduler", "cloudformation")
    )
    told = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    of_events.add_response("describe_rule", {"Arn": "rule-arn"})
    of_events.add_response("list_tags_for_resource", told, {"ResourceARN": "rule-arn"})
    of_scheduler.add_response("get_schedule_group", {"Arn": "g" * 20})
    of_scheduler.add_response("list_tags_for_resource", told, {"ResourceArn": "g" * 20})
    for name in ("nightly", "default|nightly"):
        if stack and stack["PhysicalResourceId"] == name:
            more = {"LogicalResourceId": "x", "ResourceStatus": "CREATE_COMPLETE", "Timestamp": NOW, **stack}
            of_cloudformation.add_response("describe_stack_resources", {"StackResources": [more]})
        else:
            of_cloudformation.add_client_error("describe_stack_resources", "ValidationError", "no stack")
    return Switch(events, scheduler, cloudformation).owner(origin)


RULE, SCHEDULE = "rule/default/nightly", "schedule/default/nightly"


@pytest.mark.parametrize(
    ("origin", "tags", "stack", "expected"),
    [
        (RULE, {}, None, None),
        (RULE, {"team": "sales"}, None, None),
        (RULE, {"aws:cloudformation:stack-name": "Batch"}, None, "the CloudFormation stack Batch"),
        (RULE, {"managed-by": "terraform"}, None, "Terraform (by its tag managed-by = terraform)"),
        (RULE, {"Terraform": "true"}, None, "Terraform (by its tag Terraform = true)"),
        (RULE, {}, {"PhysicalResourceId": "nightly", "ResourceType": "AWS::Events::Rule", "StackName": "Old"}, "the CloudFormation stack Old"),
        (RULE, {}, {"PhysicalResourceId": "default|nightly", "ResourceType": "AWS::Events::Rule", "StackName": "Old"}, "the CloudFormation stack Old"),
        (RULE, {}, {"PhysicalResourceId": "nightly", "ResourceType": "AWS::SQS::Queue", "StackName": "Old"}, None),
        (SCHEDULE, {}, {"PhysicalResourceId": "nightly", "ResourceType": "AWS::Scheduler::Schedule", "StackName": "Cdk"}, "the CloudFormation stack Cdk"),
        (SCHEDULE, {"aws:cloudformation:stack-name": "Batch"}, None, "the CloudFormation stack Batch"),
    ],
)  # fmt: skip
def test_the_owner_is_named(
    origin: str, tags: dict[str, str], stack: dict[str, str] | None, expected: str | None
) -> None:
    assert owner(origin, tags, stack) == expected


def snapshot(**told: Any) -> Snapshot:
    return Snapshot(origin=RULE, told=aws.rule("nightly", **told), targets=(aws.target("1"),))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (move(snapshot(), owner="the CloudFormation stack Batch"), "belongs to the CloudFormation stack Batch"),
        (move(Snapshot(origin=RULE, told=aws.rule("nightly"), targets=(aws.target("1"), aws.target("2")))), "no job stands for: 1, 2"),
    ],
    ids=["a stack's", "with targets of others"],
)  # fmt: skip
def test_what_a_person_has_to_know_wants_force(found: Move, words: str) -> None:
    with pytest.raises(Stop, match=words):
        handover.require_movable(found, force=False)
    handover.require_movable(found, force=True)


def test_a_services_own_rule_is_nobodys_to_switch() -> None:
    with pytest.raises(Stop, match=r"states.amazonaws.com's own rule"):
        handover.require_movable(move(snapshot(ManagedBy="states.amazonaws.com")), force=True)


def test_a_rule_that_is_gone_is_told() -> None:
    events, stub = client("events")
    stub.add_client_error("describe_rule", "ResourceNotFoundException", "no")
    with pytest.raises(NotThere, match="does not exist"):
        Switch(events, None, None).look(RULE)


def test_a_deployer_may_switch_what_the_jobs_file_names_and_nothing_else() -> None:
    text = """
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"
[jobs.a]
imported_from = "rule/default/nightly#1"
ecs = { task_definition = "a" }
[jobs.b]
imported_from = "schedule/night/hourly"
ecs = { task_definition = "b" }
"""
    statements = people.policy(parse(text, stage="dev", place="x"), "deployer")["Statement"]
    on = {action: statement["Resource"] for statement in statements for action in statement["Action"]}
    assert on["events:DisableRule"] == on["events:EnableRule"] == ["arn:*:events:*:*:rule/nightly"]
    assert on["scheduler:UpdateSchedule"] == ["arn:*:scheduler:*:*:schedule/night/hourly"]
    assert on["scheduler:ListTagsForResource"] == ["arn:*:scheduler:*:*:schedule-group/night"]


# --- when -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "clock", "near"),
    [
        ("cron(0 3 * * ? *)", "02:57:59", None),
        ("cron(0 3 * * ? *)", "02:58:00", "03:00"),
        ("cron(0 3 * * ? *)", "03:00:59", "03:00"),
        ("cron(0 3 * * ? *)", "03:01:00", None),
        ("cron(* * * * ? *)", "03:00:30", None),
        ("cron(0/5 * * * ? *)", "03:04:00", "03:05"),
        ("rate(1 hour)", "03:00:00", None),
    ],
    ids=[
        "more than two minutes before",
        "two minutes before",
        "within its minute",
        "a minute later",
        "each minute: there is no better moment",
        "every five minutes",
        "a rate: when it comes is not known",
    ],
)
def test_no_time_is_due_when_it_is_switched(expression: str, clock: str, near: str | None) -> None:
    now = datetime.fromisoformat(f"2026-11-23T{clock}Z")
    found = handover.in_the_way([parse_schedule(expression)], "UTC", now)
    assert (f"{found:%H:%M}" if found else None) == near


def test_a_switch_at_such_a_moment_is_refused_with_the_time_to_come_again() -> None:
    at = datetime(2026, 11, 24, 2, 59, tzinfo=UTC)
    with pytest.raises(
        Stop, match=r"nothing was changed: 2026-11-24 12:00 JST is due.* after 2026-11-24 12:01 JST: again"
    ):
        handover.require_quiet(move(snapshot()), at, "again", ZoneInfo("Asia/Tokyo"))
    handover.require_quiet(move(snapshot()), at + timedelta(minutes=3), "again", ZoneInfo("Asia/Tokyo"))


def test_the_times_of_the_old_one_count_too_and_are_told_where_they_differ() -> None:
    other = move(Snapshot(origin=RULE, told=aws.rule("nightly", "cron(0 4 * * ? *)")))
    with pytest.raises(Stop, match="13:00"):
        handover.require_quiet(other, datetime(2026, 11, 24, 3, 59, tzinfo=UTC), "again", ZoneInfo("Asia/Tokyo"))
    assert (
        other.changed == "note: rule/default/nightly has cron(0 4 * * ? *) in UTC, and nightly cron(0 3 * * ? *) in UTC"
    )
    assert move(snapshot()).changed is None


@pytest.mark.parametrize(
    ("minutes", "outcome", "told"),
    [
        pytest.param(5, None, "run nightly --scheduled-at 2026-11-24T03:00:00Z", id="nobody started it"),
        pytest.param(5, "shadow", "run nightly --scheduled-at 2026-11-24T03:00:00Z", id="the guard was in shadow"),
        pytest.param(5, "started", "", id="the functions were deployed by then, and the guard started it"),
        pytest.param(
            4, None, "why nightly 2026-11-24T03:00:00Z  # it may yet start", id="the trigger may yet start it, or not"
        ),
        pytest.param(4, "shadow", "run nightly --scheduled-at 2026-11-24T03:00:00Z", id="it will not: named already"),
        pytest.param(2, None, "", id="it comes later"),
    ],
)
def test_a_time_that_fell_between_is_told_with_its_command(minutes: int, outcome: str | None, told: str) -> None:
    at = datetime(2026, 11, 24, 2, 57, tzinfo=UTC)
    steps, stub = client("stepfunctions")
    arn = "arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev:nightly-20261124T0300Z"
    if outcome is None:
        stub.add_client_error("describe_execution", "ExecutionDoesNotExist", expected_params={"executionArn": arn})
    else:
        answer = {"executionArn": arn, "stateMachineArn": "m", "status": "SUCCEEDED", "startDate": at}
        stub.add_response("describe_execution", {**answer, "output": json.dumps({"outcome": outcome})})

    class Stage:
        stepfunctions = steps

        def command(self, *words: str) -> str:
            return " ".join(words)

        def guard_execution(self, name: str) -> str:
            return f"{arn.rpartition(':')[0]}:{name}"

    found = handover.to_make_up_for(Stage(), move(snapshot()), at, at + timedelta(minutes=minutes))  # type: ignore[arg-type]
    assert found == ([told] if told else [])


def test_a_time_that_can_not_be_looked_up_is_told_as_that() -> None:
    at = datetime(2026, 11, 24, 2, 57, tzinfo=UTC)
    steps, stub = client("stepfunctions")
    stub.add_client_error("describe_execution", "AccessDeniedException", "not for you")
    stage = SimpleNamespace(
        stepfunctions=steps,
        command=lambda *words: " ".join(words),
        guard_execution="arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev:{}".format,
    )
    (found,) = handover.to_make_up_for(stage, move(snapshot()), at, at + timedelta(minutes=9))  # type: ignore[arg-type]
    assert found.startswith("why nightly 2026-11-24T03:00:00Z  # nobody knows: ")


# --- one word of the jobs file ----------------------------------------------------------------------------

FILES = [
    ('[jobs.a]\nenabled = false # rests\nx = 1\n\n[jobs.b]\nenabled = false\n', '[jobs.a]\nenabled = true # rests\nx = 1\n\n[jobs.b]\nenabled = false\n'),
    ('[jobs.b]\nenabled = "shadow"\n[jobs.a]\nenabled = "shadow"', '[jobs.b]\nenabled = "shadow"\n[jobs.a]\nenabled = true'),
    ('[defaults]\nenabled = false\n[jobs.a] # mine\nx = 1\n', '[defaults]\nenabled = false\n[jobs.a] # mine\nenabled = true\nx = 1\n'),
    ('[jobs.a]', '[jobs.a]\nenabled = true\n'),
    ('[jobs]\na = { x = 1 }\nb = { x = 1 }\n', '[jobs]\na = { enabled = true, x = 1 }\nb = { x = 1 }\n'),
    ('[jobs]\na = { x = 1, enabled = false }\n', '[jobs]\na = { x = 1, enabled = true }\n'),
    ('jobs.a.enabled = false\n', 'jobs.a.enabled = true\n'),
    ('x = """\n[jobs.a]\nenabled = false\n"""\n[jobs.a]\nenabled = false\n', 'x = """\n[jobs.a]\nenabled = false\n"""\n[jobs.a]\nenabled = true\n'),
    ('[jobs.a]\nenabled = true\n', '[jobs.a]\nenabled = true\n'),
    ('[jobs.a]\r\nenabled = false\r\n', '[jobs.a]\r\nenabled = true\r\n'),
    ('jobs = { a = {} }\n', None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    FILES,
    ids=[
        "beside a comment, and a neighbour",
        "of two that look the same",
        "by the defaults",
        "nothing else in it",
        "an inline table",
        "within an inline table",
        "a dotted key",
        "beside text that looks like it",
        "enabled already",
        "line ends of Windows",
        "no place for it",
    ],
)
def test_enabling_a_job_changes_one_word(before: str, after: str | None) -> None:
    assert enabled(before, "a", True) == after


@given(st.permutations(["a", "b", "c"]), st.sampled_from(["a", "b", "c"]), st.booleans())
def test_of_many_jobs_only_the_one_is_changed(order: list[str], job: str, value: bool) -> None:
    text = "".join(f"[jobs.{name}]\nenabled = {'true' if name == 'b' else 'false'}\n" for name in order)
    edited = enabled(text, job, value)
    assert edited is not None
    lines = zip(text.splitlines(), edited.splitlines(), strict=True)
    assert sum(one != other for one, other in lines) == ((job == "b") is not value)
