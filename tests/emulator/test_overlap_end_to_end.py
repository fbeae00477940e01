"""The policies on the emulator, through the real deployment: what a start does about what is in its way."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.decide.facts import stamp
from chalicelib.names import execution_arn
from lab.stage import LocalStage, until
from tests.emulator.test_end_to_end import errors, no_two_overlap


def output(verdict: dict[str, Any]) -> Any:
    """What an execution that succeeded put out."""
    return json.loads(verdict["output"])


def waiter_of(stage: LocalStage, verdict: dict[str, Any]) -> str:
    """The ARN of the guard execution that waits in the stead of the one with this verdict."""
    return execution_arn(stage.guard, output(verdict)["waiter"])


def test_queue_one_waits_and_starts_when_the_run_has_ended(stage: LocalStage) -> None:
    stage.ended(stage.start("queued"))
    stage.a_task("queued")
    verdicts = stage.verdicts(stage.start_together("queued", 8))
    assert sorted(errors(verdicts)) == ["BatchGuard.AlreadyQueued"] * 7 + ["SUCCEEDED"]
    (queued,) = [v for v in verdicts if v["status"] == "SUCCEEDED"]
    waiter = waiter_of(stage, queued)
    assert waiter.endswith(":queued-after-run-000001-1")
    assert all("queued-after-run-000001-1 already waits" in v["cause"] for v in verdicts if v is not queued)
    assert len(stage.live_tasks("queued")) == 1, "nothing runs beside the run"
    stage.stop_task("queued", stage.a_task("queued"))
    assert output(stage.ended(waiter))["run"] == "run-000002"
    stage.finish("queued")
    assert no_two_overlap(stage.runs("queued"))


def test_queue_who_waited_too_long_gives_up_and_leaves_the_place(stage: LocalStage) -> None:
    stage.ended(stage.start("impatient"))
    first = waiter_of(stage, stage.ended(stage.start("impatient")))
    gave_up = stage.ended(first)
    assert gave_up["error"] == "BatchGuard.WaitedTooLong"
    assert "run-000001 has been running" in gave_up["cause"]
    assert waiter_of(stage, stage.ended(stage.start("impatient"))).endswith(":impatient-after-run-000001-2")
    stage.finish("impatient")


@pytest.mark.together("replaced")  # one job
def test_replace_stops_the_run_and_starts_when_its_task_is_stopped(stage: LocalStage) -> None:
    stage.ended(stage.start("replaced"))
    old = stage.a_task("replaced")
    another_stages = stage.run_arn("replaced", "run-000001").replace("-e2e-", "-prod-")
    twin = stage.run_task_by_hand("replaced", ["bin/another"], {"BATCH_EXECUTION": another_stages})
    second = stage.ended(stage.start("replaced"))
    assert output(second)["run"] == "run-000002"
    assert stage.describe_task("replaced", old)["lastStatus"] == "STOPPED"
    first, replacement = stage.runs("replaced")
    assert first["status"] == "ABORTED"
    assert first["stopDate"] <= replacement["startDate"]
    until(lambda: len(stage.live_tasks("replaced")) == 2, within=30, what="the task of the replacement")
    assert old not in stage.live_tasks("replaced")
    assert twin in stage.live_tasks("replaced"), "a task of another stage is left alone"
    stage.finish("replaced")


@pytest.mark.together("replaced")  # one job
def test_replace_never_stops_a_task_by_hand(stage: LocalStage) -> None:
    by_hand = stage.run_task_by_hand("replaced")
    assert errors([stage.ended(stage.start("replaced"))]) == ["BatchGuard.AlreadyRunning"]
    assert stage.live_tasks("replaced") == [by_hand]
    stage.stop_task("replaced", by_hand)


def test_replace_of_many_that_meet_one_runs_and_none_stops_it(stage: LocalStage) -> None:
    stage.ended(stage.start("replaced-crowd"))
    stage.a_task("replaced-crowd")
    at = stage.runs("replaced-crowd")[0]["startDate"] + timedelta(seconds=1)
    until(lambda: datetime.now(UTC) > at + timedelta(seconds=1), within=5, what="the scheduled time")
    with ThreadPoolExecutor(8) as pool:
        arns = [*pool.map(lambda _: stage.start("replaced-crowd", scheduled_at=stamp(at)), range(8))]
    verdicts = stage.verdicts(arns)
    assert sorted(errors(verdicts)) == ["BatchGuard.AlreadyRunning"] * 7 + ["SUCCEEDED"], [
        (v.get("cause"), stage.states_entered(v["executionArn"])) for v in verdicts
    ]
    runs = stage.runs("replaced-crowd")
    assert [(r["name"], r["status"]) for r in runs] == [("run-000001", "ABORTED"), ("run-000002", "RUNNING")]
    stage.finish("replaced-crowd")
    assert no_two_overlap(stage.runs("replaced-crowd"))


def test_an_orphan_is_stopped_when_the_job_says_so(stage: LocalStage) -> None:
    stage.ended(stage.start("left-behind"))
    orphan = stage.a_task("left-behind")
    twins_run = stage.run_arn("left-behind", "run-000001").replace("left-behind", "left-behind-twin")
    twin = stage.run_task_by_hand("left-behind", environment={"BATCH_EXECUTION": twins_run})
    stage.stepfunctions.stop_execution(executionArn=stage.run_arn("left-behind", "run-000001"))
    assert output(stage.ended(stage.start("left-behind")))["run"] == "run-000002"
    assert stage.describe_task("left-behind", orphan)["lastStatus"] == "STOPPED"
    assert twin in stage.live_tasks("left-behind"), "another job's task of the same family is left alone"
    stage.finish("left-behind")


def test_a_skip_that_succeeds_says_all_the_same_that_it_was_skipped(stage: LocalStage) -> None:
    stage.ended(stage.start("green"))
    skipped = stage.ended(stage.start("green"))
    assert skipped["status"] == "SUCCEEDED"
    said = output(skipped)
    assert (said["outcome"], said["error"]) == ("skip", "BatchGuard.AlreadyRunning")
    assert said["reason"].startswith("run-000001 has been running")
    assert said["holder"]["name"] == "run-000001"
    stage.finish("green")


def test_a_paused_job_rests_until_it_is_resumed(stage: LocalStage) -> None:
    def guardctl(*arguments: str, code: int = 0) -> str:
        done = stage.command("guardctl", *arguments, "--stage", stage.name, code=code)
        return done.stdout + done.stderr

    guardctl("pause", "paused", "--reason", "the database moves")
    refused = stage.ended(stage.start("paused"))
    assert refused["error"] == "BatchGuard.Paused"
    assert "the database moves" in refused["cause"]
    assert "paused already" in guardctl("pause", "paused", "--reason", "once more", code=2)
    status = json.loads(guardctl("status", "--json"))["jobs"]
    assert next(line["state"] for line in status if line["job"] == "paused") == "paused"
    assert json.loads(stage.ended(stage.start("paused", renewal=True))["output"])["run"] == "run-000001"

    assert "the database moves" in guardctl("run", "paused", code=1)
    assert "started run-000002" in guardctl("run", "paused", "--anyway")
    stage.finish("paused")

    assert "resumed" in guardctl("resume", "paused")
    assert "was not paused" in guardctl("resume", "paused")
    assert output(stage.ended(stage.start("paused")))["run"] == "run-000003"
    stage.finish("paused")
    guardctl("pause", "paused", "--reason", "again")
    assert stage.ended(stage.start("paused"))["error"] == "BatchGuard.Paused"
