"""What was imported runs what ran before: from the old target through the jobs file to what a guard sends to RunTask."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.config.jobs import Job, parse
from chalicelib.config.run_task import run_task
from guardctl.importing import arguments
from tests import targets as aws
from tests.unit.test_importing import NOW, SETTINGS, account, settle


def imported(*rules: tuple[Any, list[Any]], schedules: list[Any] | None = None) -> dict[str, Job]:
    """The jobs of an account's jobs file."""
    found = settle(account(*rules, schedules=schedules))
    assert not found.left
    return dict(parse(found.text, stage="dev", place="x").jobs)


def sent(job: Job) -> Any:
    """RunTask's arguments as a guard sends them, under RunTask's own names and without what every run has."""
    found = arguments.members(run_task(job, number=1, scheduled_at=NOW))
    own = found["overrides"]["containerOverrides"][0]
    own["environment"] = [each for each in own["environment"] if not each["name"].startswith("BATCH_")]
    return found


def asked(target: Any) -> Any:
    """RunTask's arguments as EventBridge sends them, with the defaults of a job where the target says nothing."""
    (old,) = account((aws.rule("a"), [target])).olds
    found = arguments.of(old).run_task
    assert found.pop("count") == 1
    found["cluster"] = "batch"
    if ":us-east-1:" in found["taskDefinition"]:
        found["taskDefinition"] = found["taskDefinition"].rpartition("/")[2]
    found["propagateTags"] = "TASK_DEFINITION"
    if not found.setdefault("enableECSManagedTags", False):
        del found["enableECSManagedTags"]
    if found.get("platformVersion") == "LATEST":
        del found["platformVersion"]
    if len(strategy := found.get("capacityProviderStrategy", ())) == 1:
        found["capacityProviderStrategy"] = [{"capacityProvider": strategy[0]["capacityProvider"]}]
    if "networkConfiguration" in found:
        found["networkConfiguration"]["awsvpcConfiguration"].setdefault("assignPublicIp", "DISABLED")
    return found


@pytest.mark.parametrize(("parameters", "_"), SETTINGS)
def test_a_guard_sends_what_the_old_rule_sends(parameters: dict[str, Any], _: Any) -> None:
    text = aws.overrides(["bin/report", '{"a": {}}'], memory=512, environment=[{"name": "A", "value": "1"}])
    target = aws.target(parameters=parameters, Input=text)
    assert sent(imported((aws.rule("a"), [target]))["a"]) == asked(target)


def test_braces_and_times_in_a_command_are_what_the_old_target_ran() -> None:
    template = '{"containerOverrides": [{"name": "app", "command": ["--at=<at>", "{x}", "{scheduled_at}"]}]}'
    transformer = {"InputTemplate": template, "InputPathsMap": {"at": "$.time"}}
    job = imported((aws.rule("a"), [aws.target(InputTransformer=transformer)]))["a"]
    assert sent(job)["overrides"]["containerOverrides"][0]["command"] == [
        "--at=2026-11-23T18:00:00Z",
        "{x}",
        "{scheduled_at}",
    ]


def test_schedules_that_wrap_that_happen_once_and_that_are_bound_are_carried() -> None:
    bounds: dict[str, Any] = {
        "StartDate": datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC),
        "EndDate": datetime(2027, 1, 1, tzinfo=UTC),
    }
    jobs = imported(
        schedules=[
            aws.schedule("once", "at(2027-01-01T03:00:00)", ScheduleExpressionTimezone="Asia/Tokyo"),
            aws.schedule("bound", "rate(1 hour)", **bounds),
            aws.schedule("nearest", "cron(0 3 15W * ? *)"),
            aws.schedule("wraps", "cron(0 22-6 ? * SAT-SUN *)"),
        ]
    )
    assert jobs.keys() == {"once", "bound", "nearest", "wraps"}
    (bound,) = jobs["bound"].schedules
    assert (bound.start, bound.end) == (datetime(2026, 1, 1, 0, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_input_of_a_schedule_that_calls_runtask_itself_is_sent_as_it_is() -> None:
    given = {
        "Cluster": "batch",
        "TaskDefinition": "report",
        "LaunchType": "FARGATE",
        "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-0a"], "AssignPublicIp": "ENABLED"}},
        "PropagateTags": "NONE",
        "VolumeConfigurations": [{"Name": "scratch", "ManagedEBSVolume": {"SizeInGiB": 20, "RoleArn": aws.ROLE}}],
    }
    whole = {"Arn": aws.UNIVERSAL, "RoleArn": aws.ROLE, "Input": json.dumps(given)}
    found = sent(imported(schedules=[aws.schedule("a", Target=whole)])["a"])
    del found["overrides"]
    expected = arguments.members(given)
    del expected["propagateTags"]
    assert found == expected
