"""Pools on the emulator, through the real deployment: jobs that must not meet, two at a time, and a pause of one."""

import json
from typing import Any

from chalicelib.names import execution_arn
from lab.stage import LocalStage
from tests.emulator.test_end_to_end import no_two_overlap


def guardctl(stage: LocalStage, *arguments: str, code: int = 0) -> str:
    """What the command says."""
    done = stage.command("guardctl", *arguments, "--stage", stage.name, code=code)
    return done.stdout + done.stderr


def told(stage: LocalStage, job: str) -> Any:
    """What `guardctl status` tells of the job."""
    return json.loads(guardctl(stage, "status", job, "--json"))["jobs"][0]


def test_jobs_of_a_pool_do_not_meet_and_who_waits_goes_first(stage: LocalStage) -> None:
    guardctl(stage, "run", "pool-import")
    task = stage.a_task("pool-import")
    said = guardctl(stage, "run", "pool-close")
    assert "waits in the queue as pool-close-waits-" in said
    close, imports = told(stage, "pool-close"), told(stage, "pool-import")
    assert (close["state"], close["run"], imports["state"]) == ("busy", None, "running")
    assert [(held["job"], held["run"]) for held in close["pool"]["held"]] == [("pool-import", "run-000001")]
    (waiter,) = close["pool"]["waiting"]
    assert stage.live_tasks("pool-close") == []
    assert "nothing of it is alive" in guardctl(stage, "stop", "pool-close", "--yes")

    stage.stop_task("pool-import", task)
    started = json.loads(stage.ended(waiter["arn"])["output"])
    assert started["run"] == "run-000002"
    assert execution_arn(started["state_machine_arn"], "run-000002") == stage.run_arn("pool-close", "run-000002")
    stage.a_task("pool-close")
    skipped = stage.ended(stage.start("pool-import"))
    assert skipped["error"] == "BatchGuard.AlreadyRunning"
    assert skipped["cause"].startswith("pool-close: run-000002 has been running for ")

    assert "stopped run-000002" in guardctl(stage, "stop", "pool-close", "--yes", "--reason", "the test is over")
    assert stage.live_tasks("pool-close") == []
    assert no_two_overlap([*stage.runs("pool-import"), *stage.runs("pool-close")])
    history = json.loads(guardctl(stage, "history", "pool-close", "--json"))["entries"]
    assert [(entry["run"], entry["outcome"]) for entry in history] == [("run-000002", "stopped")]
    rows = json.loads(guardctl(stage, "timeline", "pool-import", "pool-close", "--json"))["rows"]
    assert [(row["pool"], [entry["run"] for entry in row["entries"]]) for row in rows] == [
        ("pool-shared", ["run-000001"]),
        ("pool-shared", ["run-000002"]),
    ]


def test_a_pause_of_one_job_leaves_its_neighbour_alone(stage: LocalStage) -> None:
    guardctl(stage, "pause", "pool-a", "--reason", "a bad file")
    refused = stage.ended(stage.start("pool-a"))
    assert refused["error"] == "BatchGuard.Paused"
    assert "a bad file" in refused["cause"]
    assert (told(stage, "pool-a")["state"], told(stage, "pool-b")["state"]) == ("paused", "free")
    guardctl(stage, "run", "pool-b")
    stage.finish("pool-b")
    both = guardctl(stage, "pause", "--pool", "pool-two", "--reason", "maintenance")
    assert "pool-a: was paused already" in both
    assert "pool-b: paused" in both
    assert stage.ended(stage.start("pool-b"))["error"] == "BatchGuard.Paused"
    ended = json.loads(guardctl(stage, "resume", "--pool", "pool-two", "--json"))["jobs"]
    assert [(line["job"], len(line["resumed"])) for line in ended] == [("pool-a", 1), ("pool-b", 1)]


def test_two_slots_take_two_runs_and_no_third(stage: LocalStage) -> None:
    verdicts = stage.verdicts([stage.start(job) for job in ("pool-c", "pool-c", "pool-d", "pool-d", "pool-d")])
    started = [json.loads(v["output"])["state_machine_arn"] for v in verdicts if v["status"] == "SUCCEEDED"]
    assert sorted(started) == [stage.machine("pool-c"), stage.machine("pool-c", 2)]
    others = [v for v in verdicts if v["status"] != "SUCCEEDED"]
    assert all("all 2 slots are held" in v["cause"] for v in others)
    held = told(stage, "pool-c")["pool"]["held"]
    assert [each["slot"] for each in held] == [1, 2]
    for job in ("pool-c", "pool-d"):
        stage.finish(job)
