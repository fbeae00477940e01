"""Where a container's lines are, and which tasks a run started: the parts of `guardctl logs` that need no AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guardctl.errors import Stop
from guardctl.log_lines import Launch, Stream, started_in, stream
from tests.mocks import container_failure

TASK = "arn:aws:ecs:us-east-1:123456789012:task/batch/0a1b2c"
GROUP = {"awslogs-group": "/ecs/report", "awslogs-region": "eu-west-1"}


def definition(driver: str | None = "awslogs", **options: str) -> dict[str, Any]:
    """A task definition whose container app logs so."""
    logging = {"logConfiguration": {"logDriver": driver, "options": options}} if driver else {}
    return {"containerDefinitions": [{"name": "sidecar"}, {"name": "app", **logging}]}


def test_a_stream_is_named_after_prefix_container_and_task() -> None:
    found = stream(definition(**GROUP, **{"awslogs-stream-prefix": "batch"}), "app", Launch(TASK))
    assert found == Stream("/ecs/report", "batch/app/0a1b2c", "eu-west-1")


def test_without_a_prefix_it_is_named_after_the_docker_container() -> None:
    assert stream(definition(**GROUP), "app", Launch(TASK, container_id="c0ffee")).name == "c0ffee"


ELSEWHERE = [
    pytest.param(definition(None), "app", "container app has no log driver", id="no driver"),
    pytest.param(definition("splunk"), "app", "container app logs through splunk", id="another driver"),
    pytest.param(definition(**GROUP), "app", "look in /ecs/report", id="no prefix, and ECS has forgotten the container"),
    pytest.param(definition(**GROUP), "web", "no container web; it has app, sidecar", id="another container"),
]  # fmt: skip


@pytest.mark.parametrize(("described", "container", "says"), ELSEWHERE)
def test_lines_that_are_elsewhere_are_said_to_be(described: dict[str, Any], container: str, says: str) -> None:
    with pytest.raises(Stop, match=says):
        stream(described, container, Launch(TASK))


def test_the_history_names_the_tasks_of_all_attempts() -> None:
    """As AWS has them: RunTask's answer in TaskSubmitted, the failed task in TaskFailed, and again in the state's exit."""
    answer = {
        "Failures": [],
        "Tasks": [{"TaskArn": TASK, "TaskDefinitionArn": "report:7", "LastStatus": "PROVISIONING"}],
    }
    events = [
        {"type": "TaskSubmitted", "id": 1, "taskSubmittedEventDetails": {"output": json.dumps(answer)}},
        {"type": "TaskFailed", "id": 2, "taskFailedEventDetails": {"cause": container_failure(1, "EssentialContainerExited", "…")}},
        {"type": "ExecutionFailed", "id": 3, "executionFailedEventDetails": {"cause": "container app exited with 1"}},
    ]  # fmt: skip
    assert list(started_in(events)) == [
        Launch(TASK, "report:7"),
        Launch("arn:aws:ecs:us-east-1:1:task/batch/t1"),
    ]
