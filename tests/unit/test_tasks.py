"""Reading ECS: what a guard takes as evidence, from recorded answers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from chalicelib.config.jobs import Ecs
from chalicelib.decide.facts import CantTell
from chalicelib.read import tasks
from chalicelib.read.aws import NotDeployed
from tests.world import MACHINE

RUN = MACHINE.replace(":stateMachine:", ":execution:") + ":run-000001"
ECS = Ecs(cluster="batch", task_definition="report:7", container="app")
LISTED = {"cluster": "batch", "family": "report"}


def arn(name: str) -> str:
    return f"arn:aws:ecs:us-east-1:123456789012:task/batch/{name}"


def described(
    name: str, status: str = "RUNNING", *, override: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    overrides = {"containerOverrides": [{"name": "app", **override}]} if override is not None else {}
    definition = "arn:aws:ecs:us-east-1:123456789012:task-definition/report:7"
    task = {"taskArn": arn(name), "lastStatus": status, "overrides": overrides, "taskDefinitionArn": definition}
    return {**task, "createdAt": datetime(2026, 11, 23, 18, tzinfo=UTC), "group": "family:report", **more}


def environment(execution: str) -> dict[str, Any]:
    return {"environment": [{"name": "OTHER", "value": "1"}, {"name": "BATCH_EXECUTION", "value": execution}]}


@pytest.fixture
def ecs() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("ecs", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def lists(stub: Stubber, *, running: list[str], stopped: list[str] | None = None) -> None:
    for desired, names in (("RUNNING", running), ("STOPPED", stopped or [])):
        stub.add_response("list_tasks", {"taskArns": [arn(n) for n in names]}, {**LISTED, "desiredStatus": desired})


def test_two_lists_and_no_more_when_there_is_nothing(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[])
    assert tasks.evidence(client, ECS).tasks == ()


def test_a_task_on_its_way_down_is_on_the_stopped_list_and_alive(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=["t1"])
    stub.add_response("describe_tasks", {"tasks": [described("t1", "DEACTIVATING", override=environment(RUN))]})
    (task,) = tasks.evidence(client, ECS).tasks
    assert (task.execution, task.alive) == (RUN, True)


def test_a_task_that_stops_between_the_lists_is_described_once(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"], stopped=["t1"])
    answer = {"tasks": [described("t1", override=environment(RUN))]}
    stub.add_response("describe_tasks", answer, {"cluster": "batch", "tasks": [arn("t1")]})
    assert len(tasks.evidence(client, ECS).tasks) == 1


def test_every_page_is_read_and_described_a_hundred_at_a_time(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    names = [f"t{n:03d}" for n in range(150)]
    first = {"taskArns": [arn(n) for n in names[:100]], "nextToken": "more"}
    stub.add_response("list_tasks", first, {**LISTED, "desiredStatus": "RUNNING"})
    rest = {"taskArns": [arn(n) for n in names[100:]]}
    stub.add_response("list_tasks", rest, {**LISTED, "desiredStatus": "RUNNING", "nextToken": "more"})
    stub.add_response("list_tasks", {"taskArns": []}, {**LISTED, "desiredStatus": "STOPPED"})
    for batch in (names[:100], names[100:]):
        stub.add_response("describe_tasks", {"tasks": [described(n, override=environment(RUN)) for n in batch]})
    assert len(tasks.evidence(client, ECS).tasks) == 150


def test_a_listed_running_task_that_is_not_described_is_a_riddle(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    stub.add_response("describe_tasks", {"tasks": [], "failures": [{"arn": arn("t1"), "reason": "MISSING"}]})
    with pytest.raises(CantTell, match=r"does not show .*t1"):
        tasks.evidence(client, ECS)


def test_a_stopped_task_that_ecs_has_forgotten_is_gone(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=["t1"])
    stub.add_response("describe_tasks", {"tasks": [], "failures": [{"arn": arn("t1"), "reason": "MISSING"}]})
    assert tasks.evidence(client, ECS).tasks == ()


def test_an_outsiders_command_is_its_override(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    stub.add_response("describe_tasks", {"tasks": [described("t1", override={"command": ["bin/x"]})]})
    stub.add_response("describe_task_definition", definition(["bin/report"]), {"taskDefinition": "report:7"})
    found = tasks.evidence(client, ECS)
    assert (found.tasks[0].command, found.command) == (("bin/x",), ("bin/report",))


def test_an_outsiders_command_is_else_its_task_definitions(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1", "t2"])
    stub.add_response("describe_tasks", {"tasks": [described("t1"), described("t2")]})
    stub.add_response("describe_task_definition", definition(["bin/report"]))  # one call for both
    found = tasks.evidence(
        client, Ecs(cluster="batch", task_definition="report", container="app", command=("bin/report",))
    )
    assert [task.command for task in found.tasks] == [("bin/report",)] * 2


def test_a_services_task_is_marked_and_costs_no_further_call(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    stub.add_response("describe_tasks", {"tasks": [described("t1", group="service:web")]})
    (task,) = tasks.evidence(client, ECS).tasks
    assert task.service


def test_a_cluster_that_does_not_exist_is_said_to(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    stub.add_client_error("list_tasks", "ClusterNotFoundException", "Cluster not found.")
    with pytest.raises(NotDeployed, match="family report on batch"):
        tasks.evidence(client, ECS)


def test_a_task_that_was_told_to_stop_is_looked_at_though_no_list_shows_it(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=[])
    told = described("t1", "STOPPING", override=environment(RUN))
    stub.add_response("describe_tasks", {"tasks": [told]}, {"cluster": ECS.cluster, "tasks": [arn("t1")]})
    (task,) = tasks.evidence(client, ECS, stopping=arn("t1")).tasks
    assert task.alive


def test_the_task_of_a_run_is_found_by_its_execution_the_live_one_first(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t2", "t3"], stopped=["t1"])
    stub.add_response("describe_tasks", {"tasks": [
        described("t1", "STOPPED", override=environment(RUN), stopCode="EssentialContainerExited", stoppedReason="exited", containers=[{"name": "app", "exitCode": 3}]),
        described("t2", override=environment(RUN)),
        described("t3", override=environment(RUN + "2")),
    ]})  # fmt: skip
    found = tasks.newest_task(client, ECS, RUN)
    assert found is not None
    assert (found.arn, found.last_status, found.exit_code) == (arn("t2"), "RUNNING", None)


def test_a_stopped_task_of_a_run_tells_how_it_ended(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=["t1"])
    containers = [{"name": "sidecar", "exitCode": 0}, {"name": "app", "exitCode": 3}]
    stopped = described(
        "t1", "STOPPED", override=environment(RUN), stopCode="EssentialContainerExited", containers=containers
    )
    stub.add_response("describe_tasks", {"tasks": [stopped]})
    found = tasks.newest_task(client, ECS, RUN)
    assert found == tasks.Outcome(arn("t1"), "STOPPED", 3, "EssentialContainerExited", "")


def test_the_task_of_an_attempt_that_has_been_judged_is_not_the_next_ones(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    before = described("t1", "STOPPED", override=environment(RUN))
    for _ in range(2):
        lists(stub, running=[], stopped=["t1"])
        stub.add_response("describe_tasks", {"tasks": [before]})
    made = before["createdAt"]
    assert tasks.newest_task(client, ECS, RUN, since=made + timedelta(seconds=30)) is None
    assert tasks.newest_task(client, ECS, RUN, since=made + timedelta(seconds=2)), "clocks differ a little"


def test_no_task_of_the_run_is_none(ecs: tuple[Any, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[])
    assert tasks.newest_task(client, ECS, RUN) is None


def definition(command: list[str]) -> dict[str, Any]:
    containers = [{"name": "sidecar", "command": ["sh"]}, {"name": "app", "command": command}]
    return {"taskDefinition": {"containerDefinitions": containers}}
