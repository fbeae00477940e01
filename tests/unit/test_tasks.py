"""Reading ECS: what a guard takes as evidence, from recorded answers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from chalicelib.config.jobs import Ecs, Job
from chalicelib.contract import TaskState
from chalicelib.decide.facts import CantTell, Stopping, Target
from chalicelib.read import tasks
from chalicelib.read.aws import NotDeployed, PermissionDenied
from tests.world import MACHINE, STAGE_RUNS

RUN = MACHINE.replace(":stateMachine:", ":execution:") + ":run-000001"
JOB = Job(
    name="nightly-report", pool="nightly-report", ecs=Ecs(cluster="batch", task_definition="report:7", container="app")
)
TARGET = JOB.ecs.target
OLD = Target("old-cluster", "old-report", "main")
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
def ecs() -> Iterator[tuple[tasks.Ecs, Stubber]]:
    client = boto3.client("ecs", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield tasks.Ecs(client), stub
        stub.assert_no_pending_responses()


def lists(stub: Stubber, *, running: list[str], stopped: list[str] | None = None, target: Target = TARGET) -> None:
    for desired, names in (("RUNNING", running), ("STOPPED", stopped or [])):
        asked = {"cluster": target.cluster, "family": target.family, "desiredStatus": desired}
        stub.add_response("list_tasks", {"taskArns": [arn(n) for n in names]}, asked)


def describes(stub: Stubber, *answers: dict[str, Any], cluster: str = "batch") -> None:
    """Exactly these tasks are asked about, in one call."""
    asked = {"cluster": cluster, "tasks": [answer["taskArn"] for answer in answers]}
    stub.add_response("describe_tasks", {"tasks": list(answers)}, asked)


def test_two_lists_and_no_more_when_there_is_nothing(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[])
    assert tasks.evidence(client, [JOB]).tasks == ()


def test_a_task_on_its_way_down_is_on_the_stopped_list_and_alive(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=["t1"])
    stub.add_response("describe_tasks", {"tasks": [described("t1", "DEACTIVATING", override=environment(RUN))]})
    (task,) = tasks.evidence(client, [JOB]).tasks
    assert (task.execution, task.alive) == (RUN, True)


def test_a_task_that_stops_between_the_lists_is_described_once(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"], stopped=["t1"])
    answer = {"tasks": [described("t1", override=environment(RUN))]}
    stub.add_response("describe_tasks", answer, {"cluster": "batch", "tasks": [arn("t1")]})
    assert len(tasks.evidence(client, [JOB]).tasks) == 1


def test_every_page_is_read_and_described_a_hundred_at_a_time(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    names = [f"t{n:03d}" for n in range(150)]
    first = {"taskArns": [arn(n) for n in names[:100]], "nextToken": "more"}
    stub.add_response("list_tasks", first, {**LISTED, "desiredStatus": "RUNNING"})
    rest = {"taskArns": [arn(n) for n in names[100:]]}
    stub.add_response("list_tasks", rest, {**LISTED, "desiredStatus": "RUNNING", "nextToken": "more"})
    stub.add_response("list_tasks", {"taskArns": []}, {**LISTED, "desiredStatus": "STOPPED"})
    for batch in (names[:100], names[100:]):
        stub.add_response("describe_tasks", {"tasks": [described(n, override=environment(RUN)) for n in batch]})
    assert len(tasks.evidence(client, [JOB]).tasks) == 150


def test_a_listed_running_task_that_is_not_described_is_not_taken_for_gone(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    stub.add_response("describe_tasks", {"tasks": [], "failures": [{"arn": arn("t1"), "reason": "MISSING"}]})
    with pytest.raises(CantTell, match=r"does not show .*t1"):
        tasks.evidence(client, [JOB])


def test_a_stopped_task_that_ecs_has_forgotten_is_gone(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=["t1"])
    stub.add_response("describe_tasks", {"tasks": [], "failures": [{"arn": arn("t1"), "reason": "MISSING"}]})
    assert tasks.evidence(client, [JOB]).tasks == ()


def test_an_outsiders_command_is_its_override(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    stub.add_response("describe_tasks", {"tasks": [described("t1", override={"command": ["bin/x"]})]})
    stub.add_response("describe_task_definition", definition(["bin/report"]), {"taskDefinition": "report:7"})
    found = tasks.evidence(client, [JOB])
    assert (found.tasks[0].command, found.commands) == (("bin/x",), {JOB.name: ("bin/report",)})


def test_an_outsiders_command_is_else_its_task_definitions(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1", "t2"])
    stub.add_response("describe_tasks", {"tasks": [described("t1"), described("t2")]})
    stub.add_response("describe_task_definition", definition(["bin/report"]))  # one call for both
    found = tasks.evidence(client, [replace(JOB, ecs=replace(JOB.ecs, command=("bin/report",)))])
    assert [task.command for task in found.tasks] == [("bin/report",)] * 2


def test_a_services_task_is_marked_and_costs_no_further_call(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    stub.add_response("describe_tasks", {"tasks": [described("t1", group="service:web")]})
    (task,) = tasks.evidence(client, [JOB]).tasks
    assert task.service


def test_a_cluster_that_does_not_exist_is_said_to(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    stub.add_client_error("list_tasks", "ClusterNotFoundException", "Cluster not found.")
    with pytest.raises(NotDeployed, match="family report on batch"):
        tasks.evidence(client, [JOB])


def test_a_task_that_was_told_to_stop_is_looked_at_though_no_list_shows_it(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=[])
    told = described("t1", "STOPPING", override=environment(RUN))
    stub.add_response("describe_tasks", {"tasks": [told]}, {"cluster": "batch", "tasks": [arn("t1")]})
    (task,) = tasks.evidence(client, [JOB], stopping=Stopping(arn("t1"), "batch")).tasks
    assert task.alive


# --- what a warm function remembers -----------------------------------------------------------------------


def test_a_second_look_describes_only_what_is_new(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=["t1"])
    describes(stub, described("t1", "STOPPED", override=environment(RUN)))
    first = tasks.evidence(client, [JOB])
    lists(stub, running=["t2"], stopped=["t1"])
    describes(stub, described("t2", override=environment(RUN)))
    second = tasks.evidence(client, [JOB])
    assert [(task.arn, task.alive) for task in first.tasks] == [(arn("t1"), False)]
    assert [(task.arn, task.alive) for task in second.tasks] == [(arn("t1"), False), (arn("t2"), True)]


@pytest.mark.parametrize("status", ["RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING"])
def test_a_task_that_has_not_stopped_is_described_again(ecs: tuple[tasks.Ecs, Stubber], status: str) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=["t1"])
    describes(stub, described("t1", status, override=environment(RUN)))
    assert [task.alive for task in tasks.evidence(client, [JOB]).tasks] == [True]
    lists(stub, running=[], stopped=["t1"])
    describes(stub, described("t1", "STOPPED", override=environment(RUN)))
    assert [task.alive for task in tasks.evidence(client, [JOB]).tasks] == [False]


def test_a_stopped_task_that_the_running_list_still_shows_stays_stopped(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    for describe in (True, False):
        lists(stub, running=["t1"], stopped=[])
        if describe:
            describes(stub, described("t1", "STOPPED", override=environment(RUN)))
        assert [task.alive for task in tasks.evidence(client, [JOB]).tasks] == [False]


def test_what_is_remembered_of_one_target_is_not_shown_for_another(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=["t1"])
    describes(stub, described("t1", "STOPPED", override=environment(RUN)))
    tasks.evidence(client, [JOB])
    lists(stub, running=[], stopped=[], target=OLD)
    assert tasks.tasks_of(client, OLD, RUN) == ()


# --- several targets --------------------------------------------------------------------------------------


def test_every_target_is_looked_in_and_a_task_says_where_it_was_found(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    describes(stub, described("t1", override=environment(RUN)))
    lists(stub, running=["t2"], target=OLD)
    describes(stub, described("t2", override=environment(RUN)), cluster="old-cluster")
    found = tasks.evidence(client, [JOB], (TARGET, OLD), stage_runs=STAGE_RUNS).tasks
    assert [(task.arn, task.cluster) for task in found] == [(arn("t1"), "batch"), (arn("t2"), "old-cluster")]


def test_a_cluster_that_is_gone_has_no_task(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    describes(stub, described("t1", override=environment(RUN)))
    stub.add_client_error("list_tasks", "ClusterNotFoundException", "Cluster not found.")
    assert len(tasks.evidence(client, [JOB], (TARGET, OLD)).tasks) == 1


def test_but_the_jobs_own_cluster_must_be_there(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    stub.add_client_error("list_tasks", "ClusterNotFoundException", "Cluster not found.")
    with pytest.raises(NotDeployed, match="family report on batch"):
        tasks.evidence(client, [JOB], (TARGET, OLD))


@pytest.mark.parametrize("error", ["AccessDeniedException", "ServerException", "ThrottlingException"])
def test_an_old_cluster_that_can_not_be_asked_is_not_taken_for_gone(ecs: tuple[tasks.Ecs, Stubber], error: str) -> None:
    client, stub = ecs
    lists(stub, running=[])
    stub.add_client_error("list_tasks", error, "no")
    with pytest.raises((CantTell, PermissionDenied), match="old-report on old-cluster"):
        tasks.evidence(client, [JOB], (TARGET, OLD))


def test_what_was_told_to_stop_in_another_cluster_is_described_there(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[])
    describes(stub, described("t9", "STOPPING", override=environment(RUN)), cluster="old-cluster")
    (task,) = tasks.evidence(client, [JOB], stopping=Stopping(arn("t9"), "old-cluster")).tasks
    assert (task.alive, task.execution, task.cluster) == (True, RUN, "old-cluster")


def test_what_was_told_to_stop_in_another_target_is_described_with_that_ones_tasks(
    ecs: tuple[tasks.Ecs, Stubber],
) -> None:
    client, stub = ecs
    lists(stub, running=[])
    lists(stub, running=["t2"], target=OLD)
    describes(
        stub,
        described("t2", override=environment(RUN)),
        described("t9", "STOPPING", override=environment(RUN)),
        cluster="old-cluster",
    )
    found = tasks.evidence(client, [JOB], (TARGET, OLD), Stopping(arn("t9"), "old-cluster")).tasks
    assert [task.cluster for task in found] == ["old-cluster"] * 2


# --- whose a task is --------------------------------------------------------------------------------------


def test_a_task_of_this_stage_is_not_asked_what_it_runs(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    describes(stub, described("t1", override=environment(STAGE_RUNS + "hourly-import:run-000001")))
    (task,) = tasks.evidence(client, [JOB], stage_runs=STAGE_RUNS).tasks
    assert task.command is None


def test_a_task_of_another_stage_is_asked_what_it_runs(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    of_prod = environment(STAGE_RUNS.replace("-dev-", "-prod-") + "nightly-report:run-000001")
    describes(stub, described("t1", override=of_prod))
    stub.add_response("describe_task_definition", definition(["bin/report"]))
    stub.add_response("describe_task_definition", definition(["bin/report"]), {"taskDefinition": "report:7"})
    found = tasks.evidence(client, [JOB], stage_runs=STAGE_RUNS)
    assert found.tasks[0].command == found.commands[JOB.name] == ("bin/report",)


def test_a_task_says_for_which_job_it_was_started(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    named = environment(RUN)
    named["environment"].append({"name": "BATCH_JOB", "value": "nightly-report"})
    describes(stub, described("t1", override=named))
    (task,) = tasks.evidence(client, [JOB]).tasks
    assert task.job == "nightly-report"


def test_the_override_that_says_whose_a_task_is_need_not_be_the_first(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1"])
    sidecar = {"name": "sidecar", "environment": [{"name": "LEVEL", "value": "info"}]}
    overrides = {"containerOverrides": [sidecar, {"name": "main", **environment(RUN)}]}
    describes(stub, {**described("t1"), "overrides": overrides})
    (task,) = tasks.evidence(client, [JOB]).tasks
    assert task.execution == RUN


# --- the task of one run ----------------------------------------------------------------------------------


def test_only_the_tasks_of_the_run_in_question(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t1", "t2"])
    describes(stub, described("t1", override=environment(RUN)), described("t2", override=environment(RUN + "0")))
    assert [task.arn for task in tasks.tasks_of(client, TARGET, RUN)] == [arn("t1")]


def test_the_exit_code_is_that_of_the_targets_container(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    containers = [{"name": "app", "exitCode": 0}, {"name": "main", "exitCode": 3}]
    lists(stub, running=[], stopped=["t1"], target=OLD)
    stopped = described("t1", "STOPPED", override=environment(RUN), containers=containers)
    describes(stub, stopped, cluster="old-cluster")
    found = tasks.newest_task(client, OLD, RUN)
    assert found is not None
    assert found.exit_code == 3


def test_the_task_of_a_run_is_found_by_its_execution_the_live_one_first(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=["t2", "t3"], stopped=["t1"])
    stub.add_response("describe_tasks", {"tasks": [
        described("t1", "STOPPED", override=environment(RUN), stopCode="EssentialContainerExited", stoppedReason="exited", containers=[{"name": "app", "exitCode": 3}]),
        described("t2", override=environment(RUN)),
        described("t3", override=environment(RUN + "2")),
    ]})  # fmt: skip
    found = tasks.newest_task(client, TARGET, RUN)
    assert found is not None
    assert (found.arn, found.last_status, found.exit_code) == (arn("t2"), "RUNNING", None)


def test_a_stopped_task_of_a_run_tells_how_it_ended(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[], stopped=["t1"])
    containers = [{"name": "sidecar", "exitCode": 0}, {"name": "app", "exitCode": 3}]
    stopped = described(
        "t1", "STOPPED", override=environment(RUN), stopCode="EssentialContainerExited", containers=containers
    )
    stub.add_response("describe_tasks", {"tasks": [stopped]})
    found = tasks.newest_task(client, TARGET, RUN)
    assert found == TaskState(arn("t1"), "STOPPED", 3, "EssentialContainerExited", "")


def test_the_task_of_an_attempt_that_has_been_judged_is_not_the_next_ones(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    before = described("t1", "STOPPED", override=environment(RUN))
    lists(stub, running=[], stopped=["t1"])
    describes(stub, before)
    lists(stub, running=[], stopped=["t1"])
    made = before["createdAt"]
    assert tasks.newest_task(client, TARGET, RUN, since=made + timedelta(seconds=30)) is None
    assert tasks.newest_task(client, TARGET, RUN, since=made + timedelta(seconds=2)), "clocks differ a little"


def test_no_task_of_the_run_is_none(ecs: tuple[tasks.Ecs, Stubber]) -> None:
    client, stub = ecs
    lists(stub, running=[])
    assert tasks.newest_task(client, TARGET, RUN) is None


def definition(command: list[str]) -> dict[str, Any]:
    containers = [{"name": "sidecar", "command": ["sh"]}, {"name": "app", "command": command}]
    return {"taskDefinition": {"containerDefinitions": containers}}
