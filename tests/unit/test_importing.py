"""`guardctl import`: what AWS tells of an old schedule, and the job that it becomes; nothing is lost in silence."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.config.jobs import parse
from guardctl.importing import report
from guardctl.importing.carry import Carried, Left, carried
from guardctl.importing.old import Account
from guardctl.importing.read import Reader
from guardctl.importing.settle import Existing, Settled, fitted, settled
from guardctl.importing.write import toml
from tests import targets as aws

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


class Told:
    """EventBridge, Scheduler and ECS as an account has them, answered page by page from a list."""

    def __init__(
        self, rules: dict[str, list[Any]] | None = None, schedules: list[Any] | None = None, **more: Any
    ) -> None:
        self.rules, self.schedules = rules or {}, schedules or []
        self.machine = more.pop("machine", "")
        self.definitions: dict[str, Any] = {"report": aws.definition(), **more}

    def list_event_buses(self, **_: Any) -> Any:
        return {"EventBuses": [{"Name": "default"}]}

    def list_rules(self, **_: Any) -> Any:
        return {"Rules": [rule for rule, _ in self.rules.values()]}

    def list_targets_by_rule(self, **asked: Any) -> Any:
        return {"Targets": self.rules[asked["Rule"]][1]}

    def list_schedules(self, **_: Any) -> Any:
        return {"Schedules": self.schedules}

    def get_schedule(self, **asked: Any) -> Any:
        return next(s for s in self.schedules if (s["Name"], s["GroupName"]) == (asked["Name"], asked["GroupName"]))

    def describe_state_machine(self, **_: Any) -> Any:
        return {"definition": self.machine}

    def describe_task_definition(self, **asked: Any) -> Any:
        family = asked["taskDefinition"].rpartition("/")[2].partition(":")[0]
        if family not in self.definitions:
            raise ClientError({"Error": {"Code": "ClientException", "Message": "Unable to describe"}}, "Describe…")
        return {"taskDefinition": self.definitions[family]}


def account(*rules: tuple[Any, list[Any]], schedules: list[Any] | None = None, **definitions: Any) -> Account:
    """What the reader makes of an account with these."""
    told = Told({rule["Name"]: [rule, targets] for rule, targets in rules}, schedules, **definitions)
    return Reader(told, told, told, told).account()


def carry(found: Account) -> list[Carried | Left]:
    return [carried(old, found.definitions, NOW) for old in found.olds]


def of_rule(target: Any = None, definition: Any = None, **more: Any) -> Carried | Left:
    """What becomes of one rule."""
    definitions = {"report": definition} if definition else {}
    (found,) = carry(account((aws.rule("nightly", **more), [target or aws.target()]), **definitions))
    return found


def of_schedule(definition: Any = None, **more: Any) -> Carried | Left:
    """What becomes of one schedule of Scheduler."""
    definitions = {"report": definition} if definition else {}
    (found,) = carry(account(schedules=[aws.schedule("nightly", **more)], **definitions))
    return found


def table(found: Carried | Left) -> dict[str, Any]:
    assert isinstance(found, Carried), found
    return dict(found.table)


def ecs(found: Carried | Left) -> dict[str, Any]:
    return dict(table(found)["ecs"])


def notes(found: Carried | Left) -> dict[str, str]:
    assert isinstance(found, Carried), found
    return {note.kind: note.text for note in found.notes}


def reasons(found: Carried | Left) -> str:
    assert isinstance(found, Left), found
    return "\n".join(map(str, found.reasons))


def settle(found: Account, existing: str = "", stage: str = "dev") -> Settled:
    there = Existing(existing, parse(existing, stage=stage, place="x").jobs) if existing else Existing()
    return settled(carry(found), there, stage, "account 000000000000 in us-east-1")


# --- one target -------------------------------------------------------------------------------------------


def test_a_rule_of_a_terraform_module_is_a_whole_job() -> None:
    found = of_rule(
        aws.target(Input=aws.overrides(["bin/report", "--all"], environment=[{"name": "LEVEL", "value": "1"}]))
    )
    assert table(found) == {
        "imported_from": "rule/default/nightly",
        "schedule": "cron(0 3 * * ? *)",
        "enabled": table(found)["enabled"],
        "ecs": {
            "cluster": "batch",
            "task_definition": "report:7",
            "launch_type": "FARGATE",
            "subnets": ["subnet-0a", "subnet-0b"],
            "security_groups": ["sg-0a"],
            "container": "app",
            "command": ["bin/report", "--all"],
            "environment": {"LEVEL": "1"},
            "pass_roles": [aws.EXECUTION_ROLE, aws.TASK_ROLE],
        },
    }


TAGS = [{"Key": "team", "Value": "sales"}]
SETTINGS = [
    pytest.param(aws.ecs(LaunchType=None), {"launch_type": "CLUSTER"}, id="no launch type is the cluster's default strategy"),
    pytest.param(aws.ecs(LaunchType="EC2", NetworkConfiguration=None), {"launch_type": "EC2", "subnets": None}, id="EC2, without a network"),
    pytest.param(aws.ecs(LaunchType=None, CapacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]), {"capacity_provider": "FARGATE_SPOT", "launch_type": None}, id="one capacity provider"),
    pytest.param(aws.ecs(LaunchType=None, CapacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}, {"capacityProvider": "FARGATE_SPOT", "weight": 3}]), {"launch_type": None, "run_task": {"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}, {"capacityProvider": "FARGATE_SPOT", "weight": 3}]}}, id="a strategy of two"),
    pytest.param(aws.ecs(PlatformVersion="1.4.0"), {"platform_version": "1.4.0"}, id="a platform version"),
    pytest.param(aws.ecs(PlatformVersion="LATEST"), {"platform_version": None}, id="the newest platform version is nobody's choice"),
    pytest.param(aws.ecs(NetworkConfiguration=aws.network(AssignPublicIp="ENABLED")), {"assign_public_ip": True}, id="a public address"),
    pytest.param(aws.ecs(Group="nightly"), {"run_task": {"group": "nightly"}}, id="a group"),
    pytest.param(aws.ecs(Tags=TAGS), {"run_task": {"tags": [{"key": "team", "value": "sales"}]}}, id="tags"),
    pytest.param(aws.ecs(PropagateTags="TASK_DEFINITION", EnableECSManagedTags=True), {"propagate_tags": None, "managed_tags": True}, id="tags propagated, and ECS's own"),
    pytest.param(aws.ecs(EnableECSManagedTags=False), {"managed_tags": None}, id="managed tags switched off"),
    pytest.param(aws.ecs(EnableExecuteCommand=True), {"run_task": {"enableExecuteCommand": True}}, id="execute command"),
    pytest.param(aws.ecs(PlacementConstraints=[{"type": "memberOf", "expression": "attribute:x == y"}], PlacementStrategy=[{"type": "spread", "field": "instanceId"}]), {"run_task": {"placementConstraints": [{"type": "memberOf", "expression": "attribute:x == y"}], "placementStrategy": [{"type": "spread", "field": "instanceId"}]}}, id="placement"),
    pytest.param(aws.ecs(ReferenceId="r"), {"run_task": {"referenceId": "r"}}, id="a reference ID"),
    pytest.param(aws.ecs("report"), {"task_definition": "report"}, id="the newest revision"),
    pytest.param(aws.ecs(TaskDefinitionArn="arn:aws:ecs:eu-west-1:000000000000:task-definition/report:7"), {"task_definition": "arn:aws:ecs:eu-west-1:000000000000:task-definition/report:7"}, id="another Region's ARN is not shortened"),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["rule", "schedule"])
@pytest.mark.parametrize(("parameters", "expected"), SETTINGS)
def test_every_setting_of_an_ecs_target_is_carried(
    parameters: dict[str, Any], expected: dict[str, Any], kind: str
) -> None:
    found = (
        of_rule(aws.target(parameters=parameters))
        if kind == "rule"
        else of_schedule(Target=aws.of_schedule(parameters))
    )
    assert {key: ecs(found).get(key) for key in expected} == expected


def test_a_null_in_the_input_is_not_there() -> None:
    text = '{"containerOverrides": [{"name": "app", "command": ["x"], "environment": null}], "cpu": null}'
    assert ecs(of_rule(aws.target(Input=text)))["command"] == ["x"]


def test_tags_of_scheduler_may_be_maps_of_their_own() -> None:
    found = of_schedule(Target=aws.of_schedule(aws.ecs(Tags=[{"team": "sales"}, {"Key": "a", "Value": "b"}])))
    assert ecs(found)["run_task"]["tags"] == [{"key": "team", "value": "sales"}, {"key": "a", "value": "b"}]


def test_every_member_that_botocore_knows_of_an_ecs_target_is_tried() -> None:
    values: Any = [each.values[0] for each in SETTINGS]
    tried = {key for parameters in values for key in parameters}
    session: Any = boto3.Session(region_name="us-east-1")
    for service in ("events", "scheduler"):
        shape = session.client(service).meta.service_model.shape_for("EcsParameters")
        assert tried == set(shape.members), service


def test_a_schedule_that_calls_runtask_itself_means_the_same() -> None:
    given = {
        "Cluster": aws.CLUSTER,
        "TaskDefinition": aws.definition_arn("report:7"),
        "LaunchType": "FARGATE",
        "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-0a"], "AssignPublicIp": "ENABLED"}},
        "Overrides": {"ContainerOverrides": [{"Name": "app", "Command": ["bin/report"], "Environment": [{"Name": "A", "Value": "1"}]}], "Cpu": "512"},
        "EnableECSManagedTags": False,
        "PropagateTags": "NONE",
        "StartedBy": "somebody",
        "VolumeConfigurations": [{"Name": "scratch", "ManagedEBSVolume": {"SizeInGiB": 20, "RoleArn": aws.ROLE}}],
    }  # fmt: skip
    found = of_schedule(Target={"Arn": aws.UNIVERSAL, "RoleArn": aws.ROLE, "Input": json.dumps(given)})
    assert ecs(found) == {
        "cluster": "batch",
        "task_definition": "report:7",
        "launch_type": "FARGATE",
        "subnets": ["subnet-0a"],
        "assign_public_ip": True,
        "propagate_tags": False,
        "container": "app",
        "command": ["bin/report"],
        "environment": {"A": "1"},
        "cpu": "512",
        "pass_roles": [aws.EXECUTION_ROLE, aws.TASK_ROLE],
        "run_task": {
            "volumeConfigurations": [{"name": "scratch", "managedEBSVolume": {"sizeInGiB": 20, "roleArn": aws.ROLE}}]
        },
    }
    assert 'startedBy "somebody"' in notes(found)["startedBy"]


def test_the_overrides_of_the_task_and_of_other_containers_are_kept() -> None:
    text = json.dumps(
        {
            "containerOverrides": [
                {"name": "app", "command": ["bin/report"], "memory": 512},
                {"name": "log", "environment": [{"name": "LEVEL", "value": "debug"}]},
            ],
            "taskRoleArn": aws.ROLE,
            "ephemeralStorage": {"sizeInGiB": 50},
        }
    )
    found = ecs(of_rule(aws.target(Input=text), aws.definition("app", "log")))
    assert (found["container"], found["command"], found["task_role"]) == ("app", ["bin/report"], aws.ROLE)
    assert found["pass_roles"] == [aws.EXECUTION_ROLE], "the task role is overridden"
    assert found["run_task"] == {
        "overrides": {
            "ephemeralStorage": {"sizeInGiB": 50},
            "containerOverrides": [
                {"name": "app", "memory": 512},
                {"name": "log", "environment": [{"name": "LEVEL", "value": "debug"}]},
            ],
        }
    }


@pytest.mark.parametrize(
    ("definition", "text", "container", "said"),
    [
        (aws.definition("app"), None, "app", False),
        (aws.definition("log", "app", essential=("app",)), None, "app", False),
        (aws.definition("log", "app"), aws.overrides(["bin/x"]), "app", False),
        (aws.definition("log", "app"), None, "log", True),
        (aws.definition("log", "app", essential=("log",)), aws.overrides(["bin/x"]), "app", False),
    ],
    ids=[
        "the only one",
        "the only essential one",
        "the one that gets a command",
        "the first essential one, and it says so",
        "a command counts for more than being essential",
    ],
)
def test_the_container_whose_exit_code_counts(definition: Any, text: str | None, container: str, said: bool) -> None:
    more: dict[str, Any] = {"Input": text} if text else {}
    found = of_rule(aws.target(**more), definition)
    assert ecs(found)["container"] == container
    assert ("container" in notes(found)) is said


def machine(**step: Any) -> str:
    """A state machine in the shape of a Copilot job's."""
    parameters = {
        "LaunchType": "FARGATE",
        "PlatformVersion": "LATEST",
        "Cluster": aws.CLUSTER,
        "TaskDefinition": aws.definition_arn("report"),
        "PropagateTags": "TASK_DEFINITION",
        "Group.$": "$$.Execution.Name",
        "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-0a"], "AssignPublicIp": "DISABLED"}},
    }
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::ecs:runTask.sync",
        "Parameters": parameters,
        "End": True,
        **step,
    }
    return json.dumps({"StartAt": "Run", "TimeoutSeconds": 3600, "States": {"Run": task}})


def of_machine(definition: str) -> Carried | Left:
    target = {
        "Id": "statemachine",
        "Arn": f"arn:aws:states:{aws.HERE}:stateMachine:app-env-report",
        "RoleArn": aws.ROLE,
    }
    (found,) = carry(account((aws.rule("nightly"), [target]), machine=definition))
    return found


def test_a_state_machine_that_only_runs_a_task_is_that_task() -> None:
    found = of_machine(machine(Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}]))
    assert (table(found)["timeout"], table(found)["retries"]) == ("3600s", 2)
    assert ecs(found) == {
        "cluster": "batch",
        "task_definition": "report",
        "launch_type": "FARGATE",
        "subnets": ["subnet-0a"],
        "container": "app",
        "pass_roles": [aws.EXECUTION_ROLE, aws.TASK_ROLE],
    }
    assert {"state machine", "group of tasks"} <= notes(found).keys()


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        (machine(Next="More", End=False).replace('"States": {', '"States": {"More": {"Type": "Wait", "Seconds": 1, "End": true}, '), "does more than run one ECS task"),
        (machine(Parameters={"Cluster": "c", "TaskDefinition": "report", "Overrides.$": "$.x"}), "at each start (Overrides.$)"),
        (machine(Parameters=None, Arguments={"Cluster": "c", "TaskDefinition": "{% $x %}"}), "at each start (JSONata)"),
    ],
    ids=["another step", "a path", "an expression"],
)  # fmt: skip
def test_a_state_machine_that_does_more_is_left(definition: str, words: str) -> None:
    assert words in reasons(of_machine(definition))


def test_a_state_machine_without_a_task_is_passed_over() -> None:
    target = {"Id": "1", "Arn": f"arn:aws:states:{aws.HERE}:stateMachine:other", "RoleArn": aws.ROLE}
    found = account(
        (aws.rule("nightly"), [target]), machine='{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}'
    )
    assert (found.olds, found.others) == ((), {"states": 1})


# --- what is not as it was --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        pytest.param({"expression": "rate(1 hour)"}, "rate", "counts from 1970", id="a rate"),
        pytest.param({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}}, "flexible window", "15 min", id="a flexible window"),
        pytest.param({"ScheduleExpressionTimezone": "Asia/Tokyo"}, "time zone", "Asia/Tokyo", id="a zone"),
        pytest.param({"State": "DISABLED"}, "disabled", "switched off there", id="switched off"),
        pytest.param({"Target": aws.of_schedule(DeadLetterConfig={"Arn": "arn:aws:sqs:us-east-1:000000000000:dead"})}, "dead-letter queue", "the queue dead", id="a dead-letter queue"),
        pytest.param({"Target": aws.of_schedule(RetryPolicy={"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 5})}, "retry policy", "5 times, within 3600 s", id="a retry policy"),
        pytest.param({"ActionAfterCompletion": "DELETE"}, "removes itself", "deleted there", id="one that deletes itself"),
        pytest.param({"group": "night"}, "group", "group night", id="a group"),
    ],
)  # fmt: skip
def test_each_difference_gets_its_sentence(more: dict[str, Any], kind: str, words: str) -> None:
    assert words in notes(of_schedule(**more))[kind]
    assert kind not in notes(of_schedule())


def test_a_zone_is_kept_and_a_retry_policy_that_somebody_chose_is_the_deadline() -> None:
    target = aws.of_schedule(RetryPolicy={"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 5})
    found = table(of_schedule(ScheduleExpressionTimezone="Asia/Tokyo", Target=target))
    assert (found["timezone"], found["start_deadline"]) == ("Asia/Tokyo", "3600s")
    assert "start_deadline" not in table(of_schedule())


def test_a_rule_that_is_switched_off_is_a_job_that_is_off() -> None:
    found = of_rule(State="DISABLED")
    assert table(found)["enabled"] is False
    assert "disabled" in notes(found)


# --- input transformers and context attributes ------------------------------------------------------------


def transformed(template: str, **paths: str) -> Carried | Left:
    return of_rule(aws.target(InputTransformer={"InputTemplate": template, "InputPathsMap": paths}))


def test_the_time_of_an_input_transformer_is_the_scheduled_time_of_the_command() -> None:
    template = '{"containerOverrides": [{"name": "app", "command": ["bin/report", "--at=<at>", <at>, "{x}", <rule>]}]}'
    found = transformed(template.replace("<rule>", "<aws.events.rule-name>"), at="$.time")
    assert ecs(found)["command"] == ["bin/report", "--at={scheduled_at}", "{scheduled_at}", "{{x}}", "nightly"]


def test_the_scheduled_time_of_scheduler_is_that_of_the_command() -> None:
    text = aws.overrides(["bin/report", "<aws.scheduler.scheduled-time>", "a <b> c"])
    found = of_schedule(Target=aws.of_schedule(Input=text))
    assert ecs(found)["command"] == ["bin/report", "{scheduled_at}", "a <b> c"]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(transformed('{"containerOverrides": [{"name": "app", "command": ["<id>"]}]}', id="$.id"), ["takes $.id from the event", "BATCH_EXECUTION"], id="the event's ID"),
        pytest.param(transformed('{"containerOverrides": [{"name": "app", "environment": [{"name": "AT", "value": <t>}]}]}', t="$.time"), ["takes the scheduled time", "BATCH_SCHEDULED_AT"], id="the time in a variable"),
        pytest.param(of_schedule(Target=aws.of_schedule(Input=aws.overrides(["<aws.scheduler.execution-id>"]))), ["the invocation's ID", "BATCH_EXECUTION"], id="Scheduler's invocation"),
        pytest.param(of_rule(expression=""), ["started by events", '{"job": "NAME"}'], id="a rule of events"),
        pytest.param(of_rule(aws.target(parameters=aws.ecs(TaskCount=3))), ["starts 3 tasks at a time", "slots = 3"], id="several tasks"),
        pytest.param(of_rule(aws.target(parameters=aws.ecs("gone"))), ["does not exist", "delete it"], id="no task definition"),
        pytest.param(of_rule(aws.target(Input="not json")), ["is not JSON"], id="broken input"),
        pytest.param(of_rule(aws.target(Input='{"Foo": 1}')), ["RunTask would refuse it", '"Foo"'], id="input that is no override"),
        pytest.param(of_rule(aws.target(Input='{"containerOverrides": [{"name": "app", "command": "bin/x"}]}')), ["overrides.containerOverrides[0].command is str, not list"], id="a command in one string"),
        pytest.param(of_rule(aws.target(Input='{"containerOverrides": {"app": {}}}')), ["overrides.containerOverrides is dict, not list"], id="overrides that are no list"),
        pytest.param(of_rule(aws.target(Input=aws.overrides(environment=[{"Name": "A"}]))), ['environment[0]: "Name"'], id="a variable in PascalCase"),
        pytest.param(of_schedule(Target={"Arn": aws.UNIVERSAL, "Input": "{}"}), ["taskDefinition"], id="RunTask of nothing"),
        pytest.param(of_rule(aws.target(Input=aws.overrides(["x"], name="typo"))), ["overrides typo", "has app"], id="a container that is not there"),
        pytest.param(of_rule(ManagedBy="events.amazonaws.com"), ["events.amazonaws.com's own rule"], id="a service's own rule"),
        pytest.param(of_schedule(EndDate=datetime(2026, 1, 1, tzinfo=UTC)), ["ended at 2026-01-01"], id="one that is over"),
    ],
)  # fmt: skip
def test_what_cant_be_carried_says_why_and_what_to_write(found: Carried | Left, words: list[str]) -> None:
    for each in words:
        assert each in reasons(found)
    assert "; " in reasons(found), "what is wrong, and what instead"


# --- a whole file -----------------------------------------------------------------------------------------


def rules(*names: str, **parameters: Any) -> list[tuple[Any, list[Any]]]:
    """Rules with a command each."""
    return [
        (aws.rule(name), [aws.target(parameters=aws.ecs(**parameters), Input=aws.overrides([f"bin/{name}"]))])
        for name in names
    ]


def test_the_file_is_read_as_it_is_meant_and_what_is_common_stands_in_the_defaults() -> None:
    found = settle(account(*rules("a", "b", "c"), *rules("d", LaunchType="EC2", NetworkConfiguration=None)))
    assert not found.left
    raw = tomllib.loads(found.text)
    assert raw["defaults"]["ecs"]["cluster"] == "batch"
    assert "cluster" not in raw["jobs"]["a"]["ecs"]
    jobs = parse(found.text, stage="dev", place="x").jobs
    assert jobs["d"].ecs.security_groups == ()
    assert jobs["d"].ecs.launch_type == "EC2"
    assert jobs["a"].ecs.security_groups == ("sg-0a",)


def test_names_are_made_fit_and_unique() -> None:
    found = settle(account(*rules("NightlyReport_v2", "nightly-report.v2", "1st"), *rules("x" * 64)))
    assert [job.name for job in found.new] == ["job-1st", "nightly-report-v2", "nightly-report-v2-2", "x" * 54]
    assert not found.left


def test_the_targets_of_a_rule_are_jobs_of_their_own() -> None:
    both = [aws.target("one", Input=aws.overrides(["bin/1"])), aws.target("two", Input=aws.overrides(["bin/2"]))]
    found = settle(account((aws.rule("nightly"), both)))
    assert [job.carried.old.origin for job in found.new] == ["rule/default/nightly#one", "rule/default/nightly#two"]
    assert [job.name for job in found.new] == ["nightly-one", "nightly-two"]


def test_what_is_the_same_batch_shares_a_pool() -> None:
    weekdays = (aws.rule("weekdays"), [aws.target(Input=aws.overrides(["bin/report"]))])
    weekend = (aws.rule("weekend"), [aws.target(parameters=aws.ecs("report:6"))])  # its own command is that one
    found = settle(account(weekdays, weekend, *rules("other")))
    jobs = parse(found.text, stage="dev", place="x").jobs
    assert {name: job.pool for name, job in jobs.items()} == {
        "weekdays": "report-pool",
        "weekend": "report-pool",
        "other": "other",
    }


def test_importing_again_changes_nothing_that_is_there() -> None:
    first = settle(account(*rules("a", "b")))
    by_hand = first.text.replace("[jobs.a]\n", '[jobs.a]\ntimeout = "1h"\n')
    again = settle(account(*rules("a", "b")), by_hand)
    assert (again.text, again.new) == (by_hand, ())
    assert again.kept == ("rule/default/a", "rule/default/b")


def test_an_account_without_anything_to_import_is_no_file() -> None:
    assert settle(account()) == Settled(text="", new=(), kept=(), left=())


def test_new_jobs_come_after_what_is_there_and_mean_what_they_mean_alone() -> None:
    mine = """
[defaults]
timezone = "Asia/Tokyo"
[defaults.ecs]
cluster = "other"
assign_public_ip = true
[jobs.a]
ecs = { task_definition = "a", container = "app", subnets = ["subnet-1"] }
"""
    found = settle(account(*rules("a", "b")), mine)
    assert found.text.startswith(mine)
    jobs = parse(found.text, stage="dev", place="x").jobs
    assert list(jobs) == ["a", "a-2", "b"]
    new = jobs["a-2"]
    assert (new.timezone, new.ecs.cluster, new.ecs.assign_public_ip) == ("UTC", "batch", False)


def test_a_default_that_cant_be_taken_back_is_a_reason() -> None:
    mine = """
[defaults.ecs]
cpu = "512"
[jobs.mine]
ecs = { cluster = "batch", task_definition = "a", container = "app", subnets = ["subnet-1"] }
"""
    found = settle(account(*rules("a")), mine)
    assert (found.new, found.text) == ((), mine)
    assert "[defaults]" in str(found.left[0].reasons[0])


def test_a_job_of_ones_own_that_is_the_same_batch_is_named() -> None:
    mine = '[jobs.mine]\necs = { cluster = "batch", task_definition = "report", container = "app", command = ["bin/a"], subnets = ["subnet-1"] }\n'
    found = settle(account(*rules("a", "b")), mine)
    assert [job.name for job in found.new] == ["b"]
    assert "same batch as jobs.mine" in str(found.left[0].reasons[0])


def test_what_the_jobs_file_refuses_is_left_with_its_words() -> None:
    found = settle(account(*rules("a"), (aws.rule("b"), [aws.target(Input=aws.overrides(["${HOME}"]))])))
    assert [job.name for job in found.new] == ["a"]
    assert 'ecs.command[0]: contains "${"' in str(found.left[0].reasons[0])


def test_half_a_character_is_no_text() -> None:
    found = settle(account((aws.rule("a"), [aws.target(Input=aws.overrides(["\ud800"]))])))
    assert "half a character" in str(found.left[0].reasons[0])


def test_the_report_names_every_job_every_kind_of_note_and_every_reason() -> None:
    old = account(*rules("a", "b"), schedules=[aws.schedule("s", "rate(1 hour)"), aws.schedule("t", "")])
    found = settle(old)
    told = "\n".join(report.lines(found, old))
    for words in ("a  rule/default/a", "rate: rate(1 hour) counts from 1970", "(s)", "schedule/default/t", "→ "):
        assert words in told
    assert report.summary(found, old, 1.4).startswith("3 of 4 schedules become jobs, 1 left where they are; ")
    assert len(report.as_json(found, old)["imported"]) == 3


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.thorough
@settings(deadline=None)
@given(VALUES)
def test_every_value_is_read_as_it_was_written(value: Any) -> None:
    assert tomllib.loads(f"x = {toml(value)}")["x"] == value


@pytest.mark.thorough
@settings(deadline=None)
@given(st.text(min_size=1, max_size=90), st.sets(st.sampled_from(["a", "a-2", "job"])))
def test_a_fitted_name_is_a_job_name_that_nobody_has(name: str, taken: set[str]) -> None:
    fit = fitted(name, "production", taken)
    assert fit not in taken
    least = f'[jobs.{fit}.ecs]\ncluster = "c"\ntask_definition = "t"\ncontainer = "c"\nsubnets = ["subnet-1"]\n'
    assert list(parse(least, stage="production", place="x").jobs) == [fit]


# --- every page -------------------------------------------------------------------------------------------


def stubbed(service: Any) -> tuple[Any, Stubber]:
    client: Any = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stub = Stubber(client)
    stub.activate()
    return client, stub


def test_every_page_of_every_bus_rule_and_group_is_read() -> None:
    (events, of_events), (scheduler, of_scheduler), (ecs_client, of_ecs) = map(stubbed, ("events", "scheduler", "ecs"))
    bus = {"Name": "partner"}
    of_events.add_response("list_event_buses", {"EventBuses": [{"Name": "default"}], "NextToken": "b2"}, {})
    of_events.add_response("list_rules", {"Rules": [aws.rule("a")], "NextToken": "r2"}, {"EventBusName": "default"})
    asked = {"Rule": "a", "EventBusName": "default"}
    of_events.add_response("list_rules", {"Rules": [aws.rule("b")]}, {"EventBusName": "default", "NextToken": "r2"})
    of_events.add_response("list_targets_by_rule", {"Targets": [aws.target("1")], "NextToken": "t2"}, asked)
    of_events.add_response("list_targets_by_rule", {"Targets": [aws.target("2")]}, {**asked, "NextToken": "t2"})
    other = {"Id": "1", "Arn": "arn:aws:lambda:us-east-1:000000000000:function:f"}
    of_events.add_response("list_targets_by_rule", {"Targets": [other]}, {**asked, "Rule": "b"})
    of_events.add_response("list_event_buses", {"EventBuses": [bus]}, {"NextToken": "b2"})
    of_events.add_response(
        "list_rules", {"Rules": [aws.rule("c", "", "partner", EventPattern="{}")]}, {"EventBusName": "partner"}
    )
    of_events.add_response(
        "list_targets_by_rule", {"Targets": [aws.target()]}, {"Rule": "c", "EventBusName": "partner"}
    )
    listed = {"Name": "s", "GroupName": "g", "Target": {"Arn": aws.CLUSTER}}
    passed = {"Name": "l", "GroupName": "g", "Target": {"Arn": "arn:aws:scheduler:::aws-sdk:lambda:invoke"}}
    of_scheduler.add_response("list_schedules", {"Schedules": [passed], "NextToken": "s2"}, {})
    of_scheduler.add_response("list_schedules", {"Schedules": [listed]}, {"NextToken": "s2"})
    of_scheduler.add_response("get_schedule", aws.schedule("s", group="g"), {"Name": "s", "GroupName": "g"})
    of_ecs.add_response(
        "describe_task_definition",
        {"taskDefinition": aws.definition()},
        {"taskDefinition": aws.definition_arn("report:7")},
    )
    found = Reader(events, scheduler, ecs_client).account()
    assert [old.origin for old in found.olds] == [
        "rule/default/a#1",
        "rule/default/a#2",
        "rule/partner/c",
        "schedule/g/s",
    ]
    assert found.others == {"lambda": 2}
    assert found.calls == 13
    for stub in (of_events, of_scheduler, of_ecs):
        stub.assert_no_pending_responses()


def test_a_second_page_that_is_refused_ends_the_reading() -> None:
    events, stub = stubbed("events")
    stub.add_response("list_event_buses", {"EventBuses": [{"Name": "default"}]}, {})
    stub.add_response("list_rules", {"Rules": [], "NextToken": "r2"}, {"EventBusName": "default"})
    stub.add_client_error("list_rules", "AccessDeniedException", "no")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        Reader(events, None, None).account()


_MEMBERS = st.sampled_from(
    ["containerOverrides", "name", "command", "environment", "value", "cpu", "memory", "Name", "x"]
)
INPUTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["app", "<a>", "{", "\ud800", "${x}", "\x00", "BATCH_X"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_MEMBERS, inner, max_size=4),
    max_leaves=12,
)
CONTAINERS = st.fixed_dictionaries(
    {"name": st.just("app")},
    optional={
        "command": st.lists(st.text(max_size=4), max_size=3),
        "environment": st.lists(
            st.fixed_dictionaries({"name": st.text(max_size=4)}, optional={"value": st.text(max_size=4)})
        ),
        "cpu": st.integers(),
    },
)


@pytest.mark.thorough
@settings(deadline=None)
@given(INPUTS | st.fixed_dictionaries({"containerOverrides": st.lists(CONTAINERS, max_size=2)}))
def test_whatever_an_input_is_it_becomes_a_job_or_has_its_reason(value: Any) -> None:
    found = settle(account((aws.rule("nightly"), [aws.target(Input=json.dumps(value))])))
    assert len(found.new) + len(found.left) == 1
    assert all(left.reasons for left in found.left)
    if found.new:
        assert list(parse(found.text, stage="dev", place="x").jobs) == ["nightly"]
