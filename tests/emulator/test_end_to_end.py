"""The whole guard on the emulator, through the real deployment: the real zip, the real state machines.

Every test has a job of its own in tests/e2e.toml, so that none is in another's way.
"""

import json
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chalicelib.config.run_task import run_task
from chalicelib.contract import RunInput, wire
from chalicelib.decide.facts import stamp
from chalicelib.names import function_name, run_number
from lab.bench.alternatives import ARTICLE
from lab.stage import CommandFailed, LocalStage, until
from tests.mocks import RUN_TASK


def errors(verdicts: Iterable[dict[str, Any]]) -> list[str]:
    """How each ended: its error, or SUCCEEDED."""
    return [v.get("error", v["status"]) for v in verdicts]


def no_two_overlap(runs: list[Any]) -> bool:
    """No run began before the one before it had ended."""
    by_start = sorted(runs, key=lambda r: r["startDate"])
    return all(a.get("stopDate") and a["stopDate"] <= b["startDate"] for a, b in pairwise(by_start))


def test_a_free_job_runs_and_its_task_knows_its_run(stage: LocalStage) -> None:
    verdict = stage.ended(stage.start("plain", scheduled_at="2026-11-23T18:00:00Z", commands=["bin/x", "{% no %}"]))
    assert json.loads(verdict["output"])["run"] == "run-000001"
    task = stage.describe_task("plain", stage.a_task("plain"))
    (override,) = task["overrides"]["containerOverrides"]
    environment = {v["name"]: v["value"] for v in override["environment"]}
    assert environment == {
        "REPORT_FORMAT": "pdf",
        "BATCH_JOB": "plain",
        "BATCH_EXECUTION": stage.run_arn("plain", "run-000001"),
        "BATCH_RUN_NUMBER": "1",
        "BATCH_SCHEDULED_AT": "2026-11-23T18:00:00Z",
        "BATCH_LOCAL_DATE": "2026-11-23",
    }
    assert override["command"] == ["bin/x", "{% no %}"]
    stage.finish("plain")
    assert [r["status"] for r in stage.runs("plain")] == ["SUCCEEDED"]


def test_a_time_that_is_passed_over_is_told_without_a_question(stage: LocalStage) -> None:
    told = stage.start("plain", verdict={"error": "HeldBack", "reason": "held back until the next one came"})
    verdict = stage.ended(told)
    assert (verdict["error"], verdict["cause"]) == ("BatchGuard.HeldBack", "held back until the next one came")
    assert stage.states_entered(told)[-1] == "Passed over"


def test_without_a_command_the_task_definition_decides(stage: LocalStage) -> None:
    stage.ended(stage.start("no-command"))
    task = stage.describe_task("no-command", stage.a_task("no-command"))
    assert "command" not in task["overrides"]["containerOverrides"][0]
    stage.finish("no-command")


def test_a_dozen_starts_at_once_and_again_one_run_each(stage: LocalStage) -> None:
    """A hundred at once: `make stress`."""
    for round_ in (1, 2):
        verdicts = stage.verdicts(stage.start_together("crowd", 12))
        held = f"run-{round_:06d}"
        assert sorted(errors(verdicts)) == ["BatchGuard.AlreadyRunning"] * 11 + ["SUCCEEDED"]
        assert all(held in v["cause"] for v in verdicts if v["status"] == "FAILED")
        assert len(stage.live_tasks("crowd")) == 1
        stage.finish("crowd")
    runs = stage.runs("crowd")
    assert [r["name"] for r in runs] == ["run-000001", "run-000002"]
    assert no_two_overlap(runs)


def test_a_run_that_ends_within_the_grace_does_not_cost_the_next_start(stage: LocalStage) -> None:
    stage.ended(stage.start("grace"))
    task = stage.a_task("grace")
    second = stage.start("grace")
    until(lambda: "Wait for the holder" in stage.states_entered(second), within=20, what="the wait for the holder")
    stage.stop_task("grace", task)
    assert json.loads(stage.ended(second)["output"])["run"] == "run-000002"
    stage.finish("grace")


def test_a_task_by_hand_is_in_the_way(stage: LocalStage) -> None:
    by_hand = stage.run_task_by_hand("outsider")
    verdict = stage.ended(stage.start("outsider"))
    assert verdict["error"] == "BatchGuard.AlreadyRunning"
    assert by_hand in verdict["cause"]
    stage.stop_task("outsider", by_hand)
    other = stage.run_task_by_hand("outsider", command=["bin/something-else"])
    assert stage.ended(stage.start("outsider"))["status"] == "SUCCEEDED"
    stage.stop_task("outsider", other)
    stage.finish("outsider")


def test_a_start_in_shadow_says_what_it_would_have_done_and_starts_nothing(stage: LocalStage) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    told = [stage.start("in-shadow", shadow=True)]
    stage.ended(told[0])
    task = stage.run_task_by_hand("in-shadow", started_by="events-rule/in-shadow")
    told.append(stage.start("in-shadow", shadow=True, scheduled_at=stamp(began - timedelta(seconds=1))))
    told.append(stage.start("in-shadow", shadow=True, scheduled_at=stamp(began + timedelta(hours=1))))
    said = [json.loads(verdict["output"]) for verdict in stage.verdicts(told)]
    assert [each["would_have"] for each in said] == ["started", "started", "stepped back"]
    assert said[1]["reason"] == f"in its place events-rule/in-shadow has started {task}"
    assert said[2]["reason"] == f"a task that this guard did not start is alive: {task}"
    assert [stage.states_entered(arn)[-1] for arn in told] == ["In shadow"] * 3
    assert stage.runs("in-shadow") == []
    stage.stop_task("in-shadow", task)


def test_an_orphan_is_named_and_waited_for(stage: LocalStage) -> None:
    stage.ended(stage.start("orphan"))
    orphan = stage.a_task("orphan")
    stage.stepfunctions.stop_execution(executionArn=stage.run_arn("orphan", "run-000001"))
    verdict = stage.ended(stage.start("orphan"))
    assert verdict["error"] == "BatchGuard.AlreadyRunning"
    assert "run-000001 was closed, but its task lives on" in verdict["cause"]
    assert orphan in verdict["cause"]
    stage.stop_task("orphan", orphan)
    assert json.loads(stage.ended(stage.start("orphan"))["output"])["run"] == "run-000002"
    stage.finish("orphan")


def test_jobs_that_share_a_cluster_and_a_family_do_not_block_each_other(stage: LocalStage) -> None:
    assert stage.ended(stage.start("twin-a"))["status"] == "SUCCEEDED"
    stage.a_task("twin-a")
    assert stage.ended(stage.start("twin-b"))["status"] == "SUCCEEDED"
    until(lambda: len(stage.live_tasks("twin-a")) == 2, within=20, what="two tasks of the shared family")
    assert errors([stage.ended(stage.start("twin-a"))]) == ["BatchGuard.AlreadyRunning"]
    stage.finish("twin-a")


def test_a_renewal_runs_without_a_task_and_is_not_a_failure_when_the_job_is_in_use(stage: LocalStage) -> None:
    assert json.loads(stage.ended(stage.start("kept", renewal=True))["output"])["run"] == "run-000001"
    assert stage.ended(stage.run_arn("kept", "run-000001"))["status"] == "SUCCEEDED"
    assert stage.live_tasks("kept") == []
    stage.ended(stage.start("kept"))
    skipped = stage.ended(stage.start("kept", renewal=True))
    assert json.loads(skipped["output"])["outcome"] == "skip"
    stage.finish("kept")


def test_a_renewal_day_does_not_disturb_a_stage_that_was_just_deployed(stage: LocalStage) -> None:
    stage.use_up_renewals(datetime(2027, 1, 8, 3, tzinfo=UTC))
    used_up = stage.guard.replace(":stateMachine:", ":execution:") + ":idle-renewal-20270108"
    assert errors([stage.ended(used_up)]) == ["BatchGuard.InvalidInput"]
    assert stage.runs("idle") == []


BAD_INPUT = [
    pytest.param({"job": "no-such-job"}, "BatchGuard.UnknownJob", ", crowd, ", id="an unknown job names the known ones"),
    pytest.param({"jbo": "plain"}, "BatchGuard.InvalidInput", "must name a job", id="no job at all"),
    pytest.param({"job": "idle", "command": ["x"]}, "BatchGuard.InvalidInput", "unknown key 'command'", id="a misspelt key"),
    pytest.param({"job": "idle", "commands": "bin/x"}, "BatchGuard.InvalidInput", "a list of strings", id="commands as a string"),
    pytest.param({"job": "idle", "scheduled_at": "noon"}, "BatchGuard.InvalidInput", "a UTC time like", id="a time that is none"),
    pytest.param({"job": "idle", "guard": {"waited": True}}, "BatchGuard.InvalidInput", "the guard machine's own", id="the guard's own key"),
    pytest.param({"job": "idle", "guard": "x"}, "BatchGuard.InvalidInput", "the guard machine's own", id="the guard's own key as a string"),
    pytest.param(["idle"], "BatchGuard.InvalidInput", "must name a job", id="a list"),
    pytest.param("idle", "BatchGuard.InvalidInput", "must name a job", id="a string"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "error", "cause"), BAD_INPUT)
def test_bad_input_ends_at_once_named_and_runs_nothing(stage: LocalStage, event: Any, error: str, cause: str) -> None:
    arn = stage.stepfunctions.start_execution(stateMachineArn=stage.guard, input=json.dumps(event))["executionArn"]
    verdict = stage.ended(arn, within=10)
    assert verdict["error"] == error
    assert cause in verdict["cause"]
    assert "Ask again later" not in stage.states_entered(arn)
    assert stage.runs("idle") == []


def test_a_machine_that_is_not_deployed_yet_is_asked_about_again(stage: LocalStage) -> None:
    arn = stage.start("gone")
    until(lambda: "Ask again later" in stage.states_entered(arn), within=20, what="asking again")
    stage.stepfunctions.stop_execution(executionArn=arn)


def test_a_batch_machine_started_past_the_guard_runs_nothing(stage: LocalStage) -> None:
    arn = stage.stepfunctions.start_execution(
        stateMachineArn=stage.machine("idle-direct"), input=json.dumps({"run": "run-000001", "job": "idle-direct"})
    )["executionArn"]
    assert stage.ended(arn)["error"] == "BatchGuard.NotARun"
    assert stage.live_tasks("idle-direct") == []
    assert stage.ended(stage.start("idle-direct"))["status"] == "SUCCEEDED", "and it is not in the way"
    stage.finish("idle-direct")


def schedule_event() -> dict[str, Any]:
    """What EventBridge sends, now."""
    about = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "resources": []}
    return {**about, "time": stamp(datetime.now(UTC)), "id": "1", "region": "us-east-1", "account": "0", "version": "0"}


def started_by_schedule(stage: LocalStage, job: str) -> list[str]:
    """The ARNs of the job's guard executions that are named by a scheduled time, the latest time last."""
    pages = stage.stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=stage.guard)
    arns = [execution["executionArn"] for page in pages for execution in page["executions"]]
    return sorted(arn for arn in arns if arn.rpartition(":")[2].startswith(f"{job}-2"))


def test_a_schedule_event_that_comes_twice_starts_its_time_once(stage: LocalStage) -> None:
    event = schedule_event()
    assert [stage.invoke("trigger", event), stage.invoke("trigger", event)] == [None, None]
    mine = started_by_schedule(stage, "scheduled")[-1]
    event = json.loads(stage.stepfunctions.describe_execution(executionArn=mine)["input"])
    minute = datetime.fromisoformat(event["scheduled_at"])
    assert mine.rpartition(":")[2] == f"scheduled-{minute:%Y%m%dT%H%MZ}"
    assert event == {
        "job": "scheduled",
        "scheduled_at": f"{minute:%Y-%m-%dT%H:%M:00Z}",
        "deadline": f"{minute + timedelta(hours=2):%Y-%m-%dT%H:%M:00Z}",
    }


def test_a_job_deployed_after_its_scheduled_time_does_not_start_for_it(stage: LocalStage) -> None:
    assert stage.invoke("trigger", schedule_event()) is None
    assert started_by_schedule(stage, "scheduled")
    assert not started_by_schedule(stage, "just-deployed")


def test_chalice_invoke_shows_the_decision(stage: LocalStage) -> None:
    done = stage.chalice("invoke", "-n", "check", "--stage", stage.name, stdin='{"job": "idle"}')
    decision = json.loads(done.stdout)
    assert (decision["running_flg"], decision["outcome"], decision["next_run"]) == (False, "start", "run-000001")
    assert decision["state_machine_arn"] == stage.machine("idle")


def test_guardctl_check_shows_it_also_from_a_colleagues_clone(stage: LocalStage, tmp_path: Path) -> None:
    shutil.copytree(stage.directory, tmp_path / "clone", ignore=shutil.ignore_patterns("deployed", "deployments"))
    clone = LocalStage(stage.emulator, tmp_path / "clone", stage.name)
    with pytest.raises(CommandFailed, match="could not find a lambda function named check"):
        clone.chalice("invoke", "-n", "check", "--stage", stage.name, stdin='{"job": "idle"}')
    shown = clone.command("guardctl", "check", "idle", "--stage", stage.name).stdout
    assert shown.startswith("idle: would run: free: the job has never run, no task is alive\n")
    assert json.loads(clone.command("guardctl", "check", "idle", "--stage", stage.name, "--json").stdout) == (
        stage.invoke("check", {"job": "idle"})
    )
    unknown = clone.command("guardctl", "check", "idel", "--stage", stage.name, code=2).stdout
    assert unknown.startswith("idel: would be refused: no job 'idel' in stage e2e; the jobs are: ")


def test_the_articles_own_flow_keeps_the_oldest_of_five(stage: LocalStage) -> None:
    check = stage.functions.get_function(FunctionName=function_name(stage.name, "check"))
    definition = json.dumps(ARTICLE).replace("CHECK", check["Configuration"]["FunctionArn"])
    definition = definition.replace("CLUSTER", "batch").replace("FAMILY", "article")
    machine = stage.stepfunctions.create_state_machine(
        name="the-articles-own",
        definition=definition,
        roleArn=f"arn:aws:iam::{stage.emulator.account}:role/article",
    )["stateMachineArn"]
    arns = [stage.stepfunctions.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(5)]
    failed = [stage.ended(arn) for arn in arns[1:]]
    assert errors(failed) == ["ErrorCode"] * 4
    stage.stop_task("article", stage.a_task("article"))
    assert stage.ended(arns[0])["status"] == "SUCCEEDED"


def start_run(stage: LocalStage, job: str, run: str, case: str = "") -> str:
    """Start a run as the guard does; with a `case`, its first RunTask fails as that says."""
    asked = stage.jobs.jobs[job]
    at = datetime(2026, 11, 23, 18, tzinfo=UTC)
    given = RunInput(
        job=job,
        run=run,
        pool=asked.pool,
        slot=1,
        scheduled_at=at,
        deadline=datetime.now(UTC) + timedelta(minutes=5),
        renewal=False,
        target=asked.ecs.target,
        timeout=asked.timeout,
        retries=asked.retries,
        task=run_task(asked, number=run_number(run) or 0, scheduled_at=at),
    )
    return stage.stepfunctions.start_execution(
        stateMachineArn=stage.machine(job) + (f"#{case}" if case else ""), name=run, input=json.dumps(wire(given))
    )["executionArn"]


of_one_job = pytest.mark.together("unclear")


@of_one_job
@pytest.mark.parametrize(
    ("run", "case", "error", "cause"),
    [
        ("run-000101", "exit-1", "BatchGuard.TaskFailed", "container app exited with 1 (EssentialContainerExited: Essential container in task exited), task arn:aws:ecs:us-east-1:1:task/batch/t1"),
        ("run-000102", "no-image", "BatchGuard.TaskFailed", "container app did not run (TaskFailedToStart: CannotPullContainerError), task arn:aws:ecs:us-east-1:1:task/batch/t1"),
        ("run-000103", "no-subnet", "BatchGuard.NotStarted", "ECS refused to start the task: ECS.InvalidParameterException: The subnet ID"),
        ("run-000104", "bad-arguments", "Unclean.RedriveRefused", "a redriven run starts no task"),
        ("run-000105", "spot", "BatchGuard.Interrupted", "the task was stopped before it had finished (SpotInterruption"),
    ],
)  # fmt: skip
def test_a_failed_task_is_told_in_words(stage: LocalStage, run: str, case: str, error: str, cause: str) -> None:
    ended = stage.ended(start_run(stage, "unclear", run, case))
    assert ended["error"] == error
    assert ended["cause"].startswith(cause)


@of_one_job
def test_no_room_is_waited_for(stage: LocalStage) -> None:
    arn = start_run(stage, "unclear", "run-000203", "no-room")
    task = stage.a_task("unclear")
    assert stage.states_entered(arn).count("Wait for room") == 1
    stage.stop_task("unclear", task)
    assert stage.ended(arn)["status"] == "SUCCEEDED"


@of_one_job
def test_an_unclear_answer_after_the_task_started_takes_the_task_over(stage: LocalStage) -> None:
    run = stage.run_arn("unclear", "run-000202")
    by_hand = stage.run_task_by_hand("unclear", environment={"BATCH_EXECUTION": run})
    start_run(stage, "unclear", "run-000202", "throttled")
    until(lambda: "Wait for the task" in stage.states_entered(run), within=30, what="the run waits for the task")
    assert stage.live_tasks("unclear") == [by_hand]
    stage.stop_task("unclear", by_hand)
    ended = stage.ended(run)
    assert ended["error"] == "BatchGuard.Interrupted", "a person stopped it before it had finished"
    assert by_hand in ended["cause"]


def test_a_failed_task_is_tried_again_within_the_same_run(stage: LocalStage) -> None:
    arn = start_run(stage, "retried", "run-000001", "exit-1")
    task = stage.a_task("retried")
    assert stage.states_entered(arn).count(RUN_TASK) == 2
    stage.stop_task("retried", task)
    assert stage.ended(arn)["status"] == "SUCCEEDED"


def test_a_task_past_its_timeout_is_stopped_and_only_then_the_run_fails(stage: LocalStage) -> None:
    by_hand = stage.run_task_by_hand("overrun", command=["bin/another"])
    another_stages = stage.run_arn("overrun", "run-000001").replace("-e2e-", "-prod-")
    bystanders = {by_hand, stage.run_task_by_hand("overrun", ["bin/another"], {"BATCH_EXECUTION": another_stages})}
    stage.ended(stage.start("overrun"))
    run = stage.run_arn("overrun", "run-000001")

    def all_three() -> list[str] | None:
        tasks = stage.live_tasks("overrun")
        return tasks if len(tasks) == 3 else None

    (mine,) = set(until(all_three, within=20, what="three tasks")) - bystanders
    ended = stage.ended(run)
    assert ended["error"] == "BatchGuard.TimedOut"
    assert mine in ended["cause"]
    assert stage.describe_task("overrun", mine)["lastStatus"] == "STOPPED"
    assert set(stage.live_tasks("overrun")) == bystanders, "nobody else's task is touched"
    for task in bystanders:
        stage.stop_task("overrun", task)
