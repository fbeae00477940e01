"""The operator's commands on the emulator, as a person types them. Every test has a job of its own."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.decide.facts import stamp
from chalicelib.names import scheduled_name
from lab.stage import LocalStage, until

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
"""The same throughout, also when the tests run past midnight."""


def midnight(days_ago: int) -> datetime:
    """A scheduled time of the jobs here. They are disabled, so that no tick starts them beside the tests."""
    return TODAY - timedelta(days=days_ago)


def due(stage: LocalStage, job: str, time: datetime) -> str:
    """Start the guard as the trigger does for that scheduled time, and return the execution's ARN."""
    event = {"job": job, "scheduled_at": stamp(time), "deadline": stamp(datetime.now(UTC) + timedelta(hours=1))}
    return stage.stepfunctions.start_execution(
        stateMachineArn=stage.guard, name=scheduled_name(job, time), input=json.dumps(event)
    )["executionArn"]


def guardctl(stage: LocalStage, *arguments: str, code: int = 0) -> str:
    """What `guardctl …` prints. Raises `CommandFailed` when it ends with another code."""
    return stage.command("guardctl", *arguments, "--stage", stage.name, code=code).stdout


def guardctl_json(stage: LocalStage, *arguments: str, code: int = 0) -> Any:
    """The same with `--json`, parsed: its list, if it is one."""
    told = json.loads(guardctl(stage, *arguments, "--json", code=code))
    assert (told["schema"], told["stage"]) == (1, stage.name)
    of_all = {"schema", "stage", "timezone", "read_at"}
    rest = {key: value for key, value in told.items() if key not in of_all}
    return next((told[key] for key in ("entries", "rows", "jobs") if key in told), rest)


def test_what_became_of_a_time_is_told_by_name_and_in_the_history(stage: LocalStage) -> None:
    first, second, third = midnight(4), midnight(3), midnight(2)
    stage.ended(due(stage, "asked", first))
    assert stage.ended(due(stage, "asked", second))["error"] == "BatchGuard.AlreadyRunning"

    told = guardctl(stage, "why", "asked", stamp(first))
    assert told.startswith(f"asked for {first:%Y-%m-%d} 00:00 UTC is running as run-000001, having started 4 d")
    assert f"/states/home?region=us-east-1#/v2/executions/details/{stage.run_arn('asked', 'run-000001')}" in told
    skipped = guardctl(stage, "why", "asked", f"{second:%Y-%m-%d}", code=1)
    assert "00:00 UTC was skipped: run-000001 has been running for" in skipped
    problems = guardctl(stage, "problems", "--since", "7d", code=1).splitlines()
    assert problems[0].startswith(f"{stage.name}, since ")
    (line,) = [each for each in problems if " asked skipped" in each]
    assert line.endswith(f" → guardctl why asked {second:%Y-%m-%dT%H:%MZ} --stage {stage.name}")
    stage.finish("asked")

    # The one that was skipped is made up for by hand; so `why` has a second part, and the run a line of its own.
    again = guardctl_json(stage, "run", "asked", "--scheduled-at", stamp(second))
    assert again["guard_execution"].endswith(f"{scheduled_name('asked', second)}-by-hand-1")
    stage.finish("asked")
    made_up = guardctl_json(stage, "why", "asked", stamp(second))
    assert [(e["outcome"], e["by_hand"], e["run"]) for e in made_up] == [
        ("skipped", False, None),
        ("ran", True, "run-000002"),
    ]
    assert "ran by hand (root) as run-000002 and succeeded after" in made_up[1]["sentence"]

    history = guardctl_json(stage, "history", "asked", "--since", "7d")
    lines = [(e["scheduled_at"], e["outcome"], e["run"], e["by_hand"]) for e in history]
    assert lines == [
        (stamp(first), "ran", "run-000001", False),
        (stamp(second), "ran", "run-000002", True),
    ], "of times before the job was deployed only the runs have a line"
    assert "was not started, because the job did not have this schedule then" in guardctl(
        stage, "why", "asked", stamp(third), code=1
    )
    shown = stage.command("guardctl", "history", "asked", "--limit", "5", "--stage", stage.name)
    assert "run-000002" in shown.stdout
    assert shown.stderr == "", "no time from before the stage is left out"


def test_a_backfill_starts_what_has_not_run_the_oldest_first_one_at_a_time(stage: LocalStage) -> None:
    stage.ended(due(stage, "made-up", midnight(3)))
    stage.finish("made-up")
    asked = ("made-up", "--from", f"{midnight(4):%Y-%m-%d}", "--to", f"{midnight(2):%Y-%m-%d}")
    with ThreadPoolExecutor(1) as beside:
        told = beside.submit(guardctl, stage, "backfill", *asked)
        for day in (4, 2):
            (overrides,) = stage.describe_task("made-up", stage.a_task("made-up"))["overrides"]["containerOverrides"]
            given = {each["name"]: each["value"] for each in overrides["environment"]}
            assert given["BATCH_SCHEDULED_AT"] == stamp(midnight(day))
            stage.finish("made-up")
    first, last = (f"{midnight(day):%Y-%m-%d} 00:00 UTC" for day in (4, 2))
    assert re.sub(r" after \d+ s", "", told.result()).splitlines() == [
        f"made-up: 3 times by the jobs file, {first} to {last}: 2 to start, 1 to leave out",
        f"1 of 2: {first} succeeded: run-000002 succeeded",
        f"2 of 2: {last} succeeded: run-000003 succeeded",
        "made-up: 2 succeeded",
    ]
    again = (
        stage.guard.replace(":stateMachine:", ":execution:") + f":{scheduled_name('made-up', midnight(2))}-by-hand-1"
    )
    given = json.loads(stage.stepfunctions.describe_execution(executionArn=again)["input"])
    assert given == {"job": "made-up", "scheduled_at": stamp(midnight(2)), "by": "root", "reason": "backfill"}


def test_a_time_that_is_not_in_the_schedule_gets_its_neighbours_named(stage: LocalStage) -> None:
    done = stage.command("guardctl", "why", "asked", "2026-11-20T18:00Z", "--stage", stage.name, code=2)
    assert done.stderr == (
        "asked has no scheduled time at 2026-11-20 18:00 UTC, and nothing was started for it; "
        "the nearest are 2026-11-20 00:00 UTC and 2026-11-21 00:00 UTC; "
        f"starts by hand are in: guardctl history asked --stage {stage.name}\n"
    )


def test_status_tells_how_a_job_stands(stage: LocalStage) -> None:
    skipped_at = midnight(2)
    stage.ended(due(stage, "watched", midnight(3)))
    stage.ended(due(stage, "watched", skipped_at))
    task = stage.a_task("watched")

    (told,) = guardctl_json(stage, "status", "watched")
    assert (told["state"], told["run"]["name"], told["run"]["task"]) == ("running", "run-000001", task)
    assert told["last_skip"]["outcome"] == "skipped"
    assert told["last_skip"]["reason"].startswith("run-000001 has been running for")
    assert told["next_time"].endswith("-01-01T00:00:00Z")
    assert (told["last_run"], told["usual_seconds"], told["paused"], told["drift"]) == (None, None, None, [])
    assert told["start_now"].startswith("would step back: run-000001 has been running for")
    card = guardctl(stage, "status", "watched")
    assert f"  task         {task}\n" in card
    assert f"/ecs/v2/clusters/batch/tasks/{task.rpartition('/')[2]}?region=us-east-1\n" in card
    assert "  deployed     as the jobs file says\n" in card

    stage.finish("watched")
    (paused,) = guardctl_json(stage, "pause", "watched", "--reason", "the database moves")
    assert paused == {
        "job": "watched",
        "paused": "paused-000001",
        "reason": "the database moves",
        "until": None,
        "new": True,
    }
    (told,) = guardctl_json(stage, "status", "watched")
    assert (told["state"], told["last_run"]["run"], told["last_run"]["outcome"]) == ("paused", "run-000001", "ran")
    assert told["usual_seconds"]["runs"] == 1
    assert told["paused"]["reason"].startswith("the database moves (")
    (row,) = [line for line in guardctl(stage, "status").splitlines() if " watched " in line]
    assert row.startswith("P paused ")
    assert ": the database moves (" in row
    assert guardctl_json(stage, "resume", "watched") == [{"job": "watched", "resumed": ["paused-000001"]}]


def test_status_names_what_is_deployed_otherwise(stage: LocalStage) -> None:
    jobs_file = stage.directory / "chalicelib" / "jobs" / f"{stage.name}.toml"
    deployed = jobs_file.read_text(encoding="utf-8")
    changed = deployed.replace(
        'ecs = { task_definition = "changed" }', 'grace = "1m"\necs = { task_definition = "changed", cpu = "256" }'
    )
    jobs_file.write_text(f'{changed}\n[jobs.new]\necs = {{ task_definition = "new" }}\n', encoding="utf-8")
    try:
        standing = {line["job"]: line for line in guardctl_json(stage, "status")}
    finally:
        jobs_file.write_text(deployed, encoding="utf-8")
    assert standing["changed"]["drift"] == [
        "ecs.cpu is none, and here 256",
        "grace is 5, and here 60",
    ]
    assert standing["new"]["state"] == "not deployed"
    assert standing["asked"]["drift"] == []


def test_a_green_skip_is_found_by_the_name_of_its_time(stage: LocalStage) -> None:
    stage.ended(due(stage, "watched-green", midnight(3)))
    assert stage.ended(due(stage, "watched-green", midnight(2)))["status"] == "SUCCEEDED"
    stage.finish("watched-green")
    (told,) = guardctl_json(stage, "status", "watched-green")
    assert told["last_skip"]["outcome"] == "skipped"
    (told,) = guardctl_json(stage, "status", "gone")
    assert (told["state"], told["start_now"]) == ("not deployed", "would be refused: the job is not deployed")


def test_stop_ends_the_run_and_its_task_and_nobody_elses(stage: LocalStage) -> None:
    stage.ended(stage.start("halted"))
    task = stage.a_task("halted")
    by_hand = stage.run_task_by_hand("halted", command=["bin/something-else"])
    declined = stage.command("guardctl", "stop", "halted", "--stage", stage.name, stdin="n\n", code=1)
    assert declined.stderr == "nothing was stopped\n"
    assert "Stop run-000001 and task" in declined.stdout
    stopped = guardctl_json(stage, "stop", "halted", "--yes", "--reason", "wrong day")
    run = stage.run_arn("halted", "run-000001")
    assert stopped == {"job": "halted", "run": run, "runs": [run], "tasks": [task], "left_alone": [by_hand]}
    assert stage.live_tasks("halted") == [by_hand]
    ended = stage.stepfunctions.describe_execution(executionArn=run)
    assert (ended["status"], ended["cause"]) == ("ABORTED", "stopped by hand: wrong day (root)")
    assert guardctl_json(stage, "history", "halted")[0]["outcome"] == "stopped"
    assert guardctl(stage, "stop", "halted").startswith("halted: nothing of it is alive\n")
    stage.stop_task("halted", by_hand)


def test_stop_ends_an_orphan(stage: LocalStage) -> None:
    stage.ended(stage.start("halted-orphan"))
    orphan = stage.a_task("halted-orphan")
    stage.stepfunctions.stop_execution(executionArn=stage.run_arn("halted-orphan", "run-000001"))
    (told,) = guardctl_json(stage, "status", "halted-orphan")
    assert told["state"] == "in the way"
    assert told["start_now"] == f"would step back: run-000001 was closed, but its task lives on: {orphan}"
    stopped = guardctl_json(stage, "stop", "halted-orphan", "--yes")
    assert (stopped["run"], stopped["tasks"]) == (None, [orphan])
    assert stage.live_tasks("halted-orphan") == []


def test_logs_show_the_decision_and_then_the_tasks_lines(stage: LocalStage) -> None:
    logs = stage.emulator.client("logs")
    logs.create_log_group(logGroupName="/ecs/logged")
    options = {"awslogs-group": "/ecs/logged", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "batch"}
    stage.ecs.register_task_definition(
        family="logged",
        containerDefinitions=[
            {"name": "app", "image": "batch", "logConfiguration": {"logDriver": "awslogs", "options": options}}
        ],
    )
    stage.ended(due(stage, "logged", midnight(2)))
    task = stage.a_task("logged")
    early = stage.command("guardctl", "logs", "logged", "--stage", stage.name)
    assert "run-000001, having started 2 d" in early.stderr
    assert early.stdout.count("\n") == 1, "the decision, and no stream yet"

    stream = f"batch/app/{task.rpartition('/')[2]}"
    logs.create_log_stream(logGroupName="/ecs/logged", logStreamName=stream)
    now = int(datetime.now(UTC).timestamp() * 1000)
    events: list[Any] = [{"timestamp": now + n, "message": f"row {n}"} for n in range(3)]
    logs.put_log_events(logGroupName="/ecs/logged", logStreamName=stream, logEvents=events)
    stage.finish("logged")
    lines = [json.loads(line) for line in guardctl(stage, "logs", "logged", "1", "--follow", "--json").splitlines()]
    assert [(line["source"], line["message"]) for line in lines] == [
        ("decision", "start: free: the job has never run, no task is alive"),
        ("task", "row 0"),
        ("task", "row 1"),
        ("task", "row 2"),
    ]
    assert lines[1]["task"] == task


def test_logs_say_where_lines_are_that_they_can_not_show(stage: LocalStage) -> None:
    stage.ended(stage.start("logged-elsewhere"))
    stage.a_task("logged-elsewhere")
    done = stage.command("guardctl", "logs", "logged-elsewhere", "--stage", stage.name, code=2)
    assert "container app has no log driver in its task definition; guardctl reads awslogs only" in done.stderr
    stage.finish("logged-elsewhere")


def test_the_timeline_shows_runs_skips_and_tasks_by_hand(stage: LocalStage, tmp_path: Path) -> None:
    stage.ended(due(stage, "drawn", midnight(3)))
    stage.ended(due(stage, "drawn", midnight(2)))
    stage.finish("drawn")
    by_hand = stage.run_task_by_hand("drawn")
    (row,) = guardctl_json(stage, "timeline", "drawn", "--since", "7d")
    assert [(e["outcome"], e["run"]) for e in row["entries"]] == [("ran", "run-000001"), ("skipped", None)]
    assert [(t["arn"], t["ended_at"]) for t in row["tasks_by_hand"]] == [(by_hand, None)]
    picture = guardctl(stage, "timeline", "drawn", "--since", "7d")
    assert picture.endswith("█ ran 1   ○ skipped 1   ▒ a task by hand\n")

    page = tmp_path / "timeline.html"
    asked = ("drawn", "gone", "--since", "7d", "--html", str(page))
    done = stage.command("guardctl", "timeline", *asked, "--stage", stage.name)
    assert (done.stdout, done.stderr) == ("", f"wrote {page}\n")
    html = page.read_text(encoding="utf-8")
    assert f'aria-label="drawn for {midnight(2):%Y-%m-%d} 00:00 was skipped: run-000001 has been running' in html
    assert f"drawn: task {by_hand.rpartition('/')[2]} by hand, since" in html
    assert 'scope="row">gone</th><td><p class="faint">not deployed</p>' in html
    stage.stop_task("drawn", by_hand)


def test_a_start_that_waited_and_one_that_was_replaced_are_told(stage: LocalStage) -> None:
    first, second = midnight(3), midnight(2)
    stage.ended(due(stage, "told-queue", first))
    stage.ended(due(stage, "told-queue", second))
    assert "waits for its turn: told-queue-after-run-000001-1" in guardctl(stage, "why", "told-queue", stamp(second))
    stage.stop_task("told-queue", stage.a_task("told-queue"))
    until(lambda: len(stage.runs("told-queue")) == 2, within=60, what="the one that waited runs")
    stage.finish("told-queue")
    (told,) = guardctl_json(stage, "why", "told-queue", stamp(second))
    assert (told["outcome"], told["run"]) == ("ran", "run-000002")
    assert told["guard_execution"] == "told-queue-after-run-000001-1"


def test_a_run_that_was_replaced_names_its_successor(stage: LocalStage) -> None:
    stage.ended(due(stage, "told-replace", midnight(3)))
    stage.a_task("told-replace")
    # It replaces only what began before its own scheduled time, and the run began a moment ago.
    newer = due(stage, "told-replace", midnight(-1))
    until(lambda: "Stop the run" in stage.states_entered(newer), within=60, what="the replacement")
    stage.finish("told-replace")
    stage.ended(newer)
    stage.finish("told-replace")
    (told,) = guardctl_json(stage, "why", "told-replace", stamp(midnight(3)), code=1)
    assert (told["outcome"], told["reason"]) == ("replaced", f"replaced by {newer.rpartition(':')[2]}")


MISTAKES = [
    pytest.param(["why", "asked", "noon"], "TIME 'noon' is not a time", id="a time that is none"),
    pytest.param(["why", "asked", "2026-11-20T18:00:30"], "scheduled times are whole minutes", id="a time with seconds"),
    pytest.param(["why", "asked", "2126-11-20T00:00"], "has not come yet", id="a time in the future"),
    pytest.param(["why", "nobody", "2026-11-20T00:00"], "no job 'nobody' in stage e2e; there are ", id="an unknown job"),
    pytest.param(["history", "asked", "--since", "tomorrow"], "--since 'tomorrow' is not a duration", id="a duration that is none"),
    pytest.param(["timeline", "asked", "--html", "/nowhere/at/all.html"], "there is no folder /nowhere/at", id="a file that can't be written"),
    pytest.param(["logs", "asked", "last"], "'last' is not a run; write run-42, or 42", id="a run that is none"),
    pytest.param(["logs", "asked", "99"], "Step Functions shows no run-000099 of asked", id="a run that is not visible"),
    pytest.param(["logs", "never-run"], "never-run has not run yet", id="a job that has not run"),
    pytest.param(["stop", "asked", "--json"], "--json asks no questions: say --yes with it", id="a question nobody can answer"),
    pytest.param(["history", "asked", "--since", "91d"], "Step Functions keeps 90 days", id="more than AWS keeps"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "says"), MISTAKES)
def test_a_mistake_gets_a_sentence_and_exit_code_2(stage: LocalStage, arguments: list[str], says: str) -> None:
    done = stage.command("guardctl", *arguments, "--stage", stage.name, code=2)
    assert says in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
