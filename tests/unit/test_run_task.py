"""RunTask's arguments: what a person wrote, in the keys that Step Functions takes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape

from chalicelib.config import jobs
from chalicelib.config.run_task import length_of_overrides, run_task

EVERY_KEY = Path(__file__).parent.parent / "emulator" / "every_key.toml"
JOBS = jobs.parse(EVERY_KEY.read_text(encoding="utf-8"), stage="every", place="every_key.toml").jobs
RUN_TASK = botocore.session.get_session().get_service_model("ecs").operation_model("RunTask").input_shape
AT = datetime(2026, 11, 23, 18, tzinfo=UTC)


def arguments(job: str, **more: Any) -> dict[str, Any]:
    return run_task(JOBS[job], number=42, scheduled_at=AT, **more)


def unknown(value: Any, shape: Shape | None, at: str = "") -> Iterator[str]:
    """The keys that RunTask does not have; Step Functions takes each with a capital letter (ecs:runTask, "PascalCase")."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for key, inner in value.items():
            member = shape.members.get(f"{key[0].lower()}{key[1:]}") if key[0].isupper() else None
            if member is None:
                yield f"{at}.{key}"
            else:
                yield from unknown(inner, member, f"{at}.{key}")
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for inner in value:
            yield from unknown(inner, shape.member, f"{at}[]")
    elif not (shape and {"string": str, "boolean": bool, "integer": int}.get(shape.type_name) is type(value)):
        yield f"{at}: {value!r} is no {shape and shape.type_name}"


@pytest.mark.parametrize("job", JOBS)
def test_every_key_is_one_of_run_tasks_at_every_level(job: str) -> None:
    assert list(unknown(arguments(job), RUN_TASK)) == []
    missing = {f"{key[0].upper()}{key[1:]}" for key in (RUN_TASK.required_members if RUN_TASK else [])}
    assert missing <= arguments(job).keys()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        pytest.param({"cluster": "c"}, ".cluster", id="camelCase"),
        pytest.param({"Overrides": {"ContainerOverrides": [{"Nam": "x"}]}}, ".Overrides.ContainerOverrides[].Nam", id="deep inside"),
        pytest.param({"NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": "s"}}}, ".NetworkConfiguration.AwsvpcConfiguration.Subnets: 's' is no list", id="a text for a list"),
    ],
)  # fmt: skip
def test_a_key_that_is_none_would_be_found(wrong: dict[str, Any], says: str) -> None:
    assert list(unknown(wrong, RUN_TASK)) == [says]


def test_what_a_person_wrote_reaches_the_task_unchanged() -> None:
    assert arguments("fargate") == {
        "Cluster": "batch",
        "TaskDefinition": "report:7",
        "LaunchType": "FARGATE",
        "PlatformVersion": "1.4.0",
        "PropagateTags": "TASK_DEFINITION",
        "NetworkConfiguration": {
            "AwsvpcConfiguration": {
                "Subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
                "SecurityGroups": ["sg-0123456789abcdef0"],
                "AssignPublicIp": "ENABLED",
            }
        },
        "Overrides": {
            "ContainerOverrides": [
                {
                    "Name": "main",
                    "Environment": [
                        {"Name": "LEVEL", "Value": "info"},
                        {"Name": "EMPTY", "Value": ""},
                        {"Name": "BATCH_JOB", "Value": "fargate"},
                        {"Name": "BATCH_RUN_NUMBER", "Value": "42"},
                        {"Name": "BATCH_SCHEDULED_AT", "Value": "2026-11-23T18:00:00Z"},
                        {"Name": "BATCH_LOCAL_DATE", "Value": "2026-11-23"},
                        {"Name": "BATCH_BUSINESS_DATE", "Value": "2026-11-20"},
                    ],
                    "Command": ["bin/report", "--title", 'a b"c', "--day=20261123"],
                }
            ],
            "Cpu": "512",
            "Memory": "1024",
            "TaskRoleArn": "arn:aws:iam::123456789012:role/report-task",
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/report-execution",
        },
    }


def test_where_it_runs_is_one_choice_and_what_is_left_out_is_not_sent() -> None:
    spot = arguments("spot")
    assert spot["CapacityProviderStrategy"] == [{"CapacityProvider": "FARGATE_SPOT"}]
    assert "LaunchType" not in spot
    assert spot["NetworkConfiguration"]["AwsvpcConfiguration"] == {
        "Subnets": ["subnet-0123456789abcdef0"],
        "AssignPublicIp": "DISABLED",
    }
    assert arguments("on-instances-2").keys() == {"Cluster", "TaskDefinition", "LaunchType", "Overrides"}
    assert "Command" not in arguments("on-instances")["Overrides"]["ContainerOverrides"][0]


def test_the_commands_of_a_start_come_before_the_jobs() -> None:
    (container,) = arguments("fargate", commands=("bin/x", "{% $boom() %}"))["Overrides"]["ContainerOverrides"]
    assert container["Command"] == ["bin/x", "{% $boom() %}"]


@pytest.mark.parametrize(("slot", "expected"), [(None, None), (1, "1"), (9, "9")])
def test_a_task_is_told_its_slot_if_there_are_several(slot: int | None, expected: str | None) -> None:
    for job in JOBS:
        (container, *_) = arguments(job, slot=slot)["Overrides"]["ContainerOverrides"]
        assert {each["Name"]: each["Value"] for each in container["Environment"]}.get("BATCH_SLOT") == expected


def test_the_length_of_the_overrides_is_that_of_what_is_sent() -> None:
    sent = arguments("fargate", commands=("größer",))
    execution = "arn:aws:states:us-east-1:123456789012:execution:batch-guard-every-fargate:run-000042"
    length = length_of_overrides(sent, execution)
    sent["Overrides"]["ContainerOverrides"][0]["Environment"].append({"Name": "BATCH_EXECUTION", "Value": execution})
    assert length == len(json.dumps(sent["Overrides"], separators=(",", ":"), ensure_ascii=False))
