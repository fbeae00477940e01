"""Guard, batch machine and checker play together, by the definitions' own text, on an ECS whose lists lag.

Every test is played with the definitions of each kept release, too: an execution goes on with the definition it began
with, while the checker is the newest. A release's definitions are never changed; a change of the contract that one of
them can't bear fails here.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib import contract
from chalicelib.config.jobs import parse
from chalicelib.decide.facts import TASK_LAG
from lab.play import Play, Program, StatesError
from tests.contracts.keys import MACHINES

RELEASES = Path(__file__).parent / "releases"
PRESENT = "present"
JOBS = """
[defaults]
timeout = "10m"
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"
[jobs.report]
ecs = { task_definition = "report", command = ["bin/report"] }
[jobs.again]
retries = 1
ecs = { task_definition = "again" }
[jobs.queue]
overlap = "queue"
ecs = { task_definition = "queue" }
[jobs.replace]
overlap = "replace"
ecs = { task_definition = "replace" }
[jobs.orphan]
orphans = "stop"
ecs = { task_definition = "orphan" }
[jobs.family]
outsiders = "family"
ecs = { task_definition = "family" }
"""
MINUTE = 60.0
Stage = Callable[[], Play]


@pytest.fixture(params=[PRESENT, *sorted(path.name for path in RELEASES.iterdir())])
def stage(request: pytest.FixtureRequest) -> Stage:
    """A stage whose definitions are of the present or of a kept release."""
    folder = MACHINES if request.param == PRESENT else RELEASES / request.param
    definitions = {name: json.loads((folder / f"{name}.asl.json").read_text()) for name in ("guard", "batch")}
    return lambda: Play(JOBS, definitions)


def ends(play: Play, job: str) -> list[str]:
    """How each run of the job has ended: its error, or its status."""
    return [run.error or run.status for run in play.runs(job)]


# --- starts meet ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 5, 40])
def test_of_starts_that_meet_one_runs(stage: Stage, lag: int) -> None:
    play = stage()
    play.list_lag = timedelta(seconds=lag)
    starts = [play.start("report") for _ in range(5)]
    play.run_until()
    assert sorted(start.status for start in starts) == ["FAILED"] * 4 + ["SUCCEEDED"]
    assert (len(play.tasks), play.most_at_once) == (1, 1)


def test_a_lost_answer_is_no_second_run(stage: Stage) -> None:
    play = stage()
    play.lost_replies = {"run-000001"}
    start = play.start("report")
    play.run_until()
    assert start.output["run"] == "run-000001"
    assert len(play.tasks) == 1


def test_the_task_knows_its_run(stage: Stage) -> None:
    play = stage()
    play.start("report", scheduled_at="2026-11-23T18:00:00.250Z", commands=["bin/x", "{% no %}"])
    play.run_until()
    (task,) = play.tasks
    (override,) = task.overrides["containerOverrides"]
    assert override["command"] == ["bin/x", "{% no %}"]
    assert task.environment == {
        "BATCH_JOB": "report",
        "BATCH_RUN_NUMBER": "1",
        "BATCH_SCHEDULED_AT": "2026-11-23T18:00:00Z",
        "BATCH_LOCAL_DATE": "2026-11-23",
        "BATCH_EXECUTION": play.runs("report")[0].arn,
    }


def test_a_start_outlives_an_hour_without_the_checker(stage: Stage) -> None:
    play = stage()
    back = play.now + timedelta(hours=1)
    play.checker_error = lambda _event: StatesError("Lambda.Unknown", "down") if play.now < back else None
    start = play.start("report", deadline="2026-11-23T20:00:00Z")
    play.run_until()
    assert start.status == "SUCCEEDED"
    assert play.runs("report")[0].started_at >= back


@pytest.mark.parametrize("deadline", ["2026-13-45T99:99:99Z", "2026-02-30T00:00:00Z", "soon", 5, None, ["x"], ""])
def test_no_deadline_throws(stage: Stage, deadline: Any) -> None:
    play = stage()
    play.checker_error = lambda _event: StatesError("Lambda.Unknown", '{"cut": "}')
    start = play.start("report", deadline=deadline)
    play.run_until()
    assert start.error == "BatchGuard.CheckFailed"
    assert play.now - start.started_at < timedelta(days=9)


def test_a_guard_of_a_later_release_is_not_guessed_at(stage: Stage) -> None:
    play = stage()
    check = play.definitions["guard"]["States"]["Check running executions"]
    payload = check["Arguments"]["Payload"]
    check["Arguments"]["Payload"] = payload.replace("'version': 1", "'version': 2")
    start = play.start("report")
    play.run_until()
    assert start.error == "BatchGuard.CheckFailed"
    assert "deploy it" in (start.cause or "")
    assert not play.tasks


def test_a_start_without_a_run_in_it_is_asked_again_and_never_run(stage: Stage) -> None:
    play = stage()
    invoke, older = play._invoke, [3]

    def of_an_older_release(event: Any) -> Any:
        answer = invoke(event)
        if older[0]:
            older[0] -= 1
            answer.pop("run", None)
        return answer

    play._invoke = of_an_older_release  # type: ignore[method-assign]  # a checker that is rolled forward meanwhile
    start = play.start("report")
    play.run_until()
    assert start.states.count("Ask again later") == 3
    assert start.output["run"] == "run-000001"


# --- the policies -----------------------------------------------------------------------------------------


def test_one_waits_and_runs_when_the_run_has_ended(stage: Stage) -> None:
    play = stage()
    starts = [play.start("queue") for _ in range(4)]
    play.run_until()
    assert [run.status for run in play.runs("queue")] == ["SUCCEEDED"] * 2
    assert sum(start.output is not None and start.output["outcome"] == "queued" for start in starts) == 1
    assert play.most_at_once == 1


def test_a_waiter_whose_answer_was_lost_is_recognised(stage: Stage) -> None:
    play = stage()
    play.lost_replies = {"queue-after-run-000001-1"}
    play.start("queue")
    play.run_until(20)
    second = play.start("queue")
    play.run_until()
    assert second.output["waiter"] == "queue-after-run-000001-1"
    assert len(play.tasks) == 2


@pytest.mark.parametrize("stop_takes", [1, 45, 400])
def test_a_replacement_starts_when_the_task_is_seen_stopped(stage: Stage, stop_takes: float) -> None:
    play = stage()
    play.stop_takes, play.loses_stopping = stop_takes, True
    play.program = Program(seconds=3000)
    play.start("replace")
    play.run_until(MINUTE)
    play.start("replace")
    play.run_until(20 * MINUTE)
    assert play.runs("replace")[0].error == "BatchGuard.Replaced"
    assert len(play.tasks) == 2
    assert play.most_at_once == 1


def test_an_orphan_that_is_on_no_list_while_it_stops_is_still_in_the_way(stage: Stage) -> None:
    play = stage()
    play.stop_takes, play.loses_stopping = 90, True
    play.program = Program(seconds=9000)
    play.start("orphan")
    play.run_until(MINUTE)
    play.abort(play.runs("orphan")[0])
    play.run_until(8 * MINUTE)
    start = play.start("orphan", deadline="2026-11-23T20:00:00Z")
    play.run_until(30 * MINUTE)
    assert start.output["run"] == "run-000002"
    assert play.most_at_once == 1


def test_a_paused_job_rests(stage: Stage) -> None:
    play = stage()
    pause = json.dumps({"paused": True, "reason": "the database moves"})
    paused = play.start_execution(play.machine("report"), "paused-000001", pause)
    start = play.start("report")
    play.run_until(MINUTE)
    assert (start.error, start.cause) == ("BatchGuard.Paused", "paused since 2026-11-23T18:00:00Z: the database moves")
    play.abort(paused)
    again = play.start("report")
    play.run_until(5 * MINUTE)
    assert again.output["run"] == "run-000001"


def test_a_renewal_runs_nothing_and_costs_no_start(stage: Stage) -> None:
    play = stage()
    renewal = play.start("report", renewal=True)
    start = play.start("report")
    play.run_until()
    assert {renewal.status, start.status} == {"SUCCEEDED"}
    assert len(play.tasks) == 1


def test_a_renewal_that_is_still_listed_as_running_costs_no_start(stage: Stage) -> None:
    play = stage()
    play.start("report", renewal=True)
    play.run_until(5)
    play.list_lag = timedelta(seconds=4)
    start = play.start("report")
    play.run_until()
    assert start.output["run"] == "run-000002"


# --- what becomes of a task -------------------------------------------------------------------------------


def test_an_earlier_attempts_task_is_not_taken_for_this_ones(stage: Stage) -> None:
    play = stage()
    play.ecs_hides = timedelta(minutes=2)
    play.starts_despite_error = {"ECS.ServerException"}
    play.run_task_answers = [Program(exit_code=1), StatesError("ECS.ServerException", "no answer")]
    play.start("again")
    play.run_until()
    assert ends(play, "again") == ["SUCCEEDED"]
    assert len(play.tasks) == 2
    assert play.runs("again")[0].output["tasks"] == [task.arn for task in play.tasks]


def test_after_an_unclear_answer_the_task_is_looked_for_as_long_as_ecs_may_hide_it(stage: Stage) -> None:
    play = stage()
    play.ecs_hides = timedelta(minutes=5)
    play.starts_despite_error = {"ECS.ServerException"}
    play.program = Program(seconds=1000)
    play.run_task_answers = [StatesError("ECS.ServerException", "Service Unavailable: dependency throttled")]
    play.start("report")
    play.run_until()
    assert play.calls.count("ecs:runTask.sync") == 1
    assert play.most_at_once == 1


def test_after_an_unclear_answer_and_no_task_it_is_started_once_more(stage: Stage) -> None:
    play = stage()
    play.run_task_answers = [StatesError("ECS.ServerException", "no answer")]
    play.start("report")
    play.run_until()
    assert ends(play, "report") == ["SUCCEEDED"]
    assert play.tasks[0].created_at - play.runs("report")[0].started_at >= TASK_LAG


NEVER = [
    ("ECS.ClusterNotFoundException", "Cluster not found."),
    ("ECS.PlatformUnknownException", "The specified platform version does not exist."),
    ("ECS.PlatformTaskDefinitionIncompatibilityException", "…"),
    ("ECS.UnsupportedFeatureException", "…"),
    ("ECS.BlockedException", "Your account is currently blocked."),
    ("ECS.ConflictException", "…"),
    ("ECS.InvalidParameterException", "Error retrieving subnet information for [subnet-1]: The subnet ID 'subnet-1' does not exist (ErrorCode: InvalidSubnetID.NotFound)"),
    ("ECS.InvalidParameterException", "The specified capacity provider 'capacity-x' was not found"),
    ("ECS.ClientException", "TaskDefinition is inactive"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "cause"), NEVER)
def test_what_never_will_be_ends_at_once(stage: Stage, error: str, cause: str) -> None:
    play = stage()
    play.run_task_answers = [StatesError(error, cause)]
    play.start("report", deadline="2026-11-23T20:00:00Z")
    play.run_until()
    assert ends(play, "report") == ["BatchGuard.NotStarted"]
    assert cause in (play.runs("report")[0].cause or "")
    assert play.calls.count("ecs:runTask.sync") == 1


MAY_PASS = [
    ("AmazonECS.Unknown", '{"failures":[{"reason":"RESOURCE:MEMORY"}]}'),
    ("AmazonECS.Unknown", "Capacity is unavailable at this time. Please try again later or in a different availability zone"),
    ("ECS.ClientException", "Tasks provisioning capacity limit exceeded."),
    ("ECS.InvalidParameterException", "No Container Instances were found in your cluster."),
    ("ECS.InvalidParameterException", "Error retrieving security group information for [sg-1]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)"),
    ("ECS.InvalidParameterException", "Error retrieving subnet information: Rate exceeded (ErrorCode: Throttling)"),
    ("ECS.InvalidParameterException", "Error retrieving subnet information: An internal error has occurred (ErrorCode: InternalError)"),
    ("ECS.AmazonECSException", "Rate exceeded (Service: AmazonECS; Status Code: 400; Error Code: ThrottlingException; Request ID: 1)"),
    ("ECS.ThrottlingException", "Rate exceeded"),
    ("ECS.LimitExceededException", "You've reached the limit on the number of tasks you can run concurrently"),
    ("ECS.AccessDeniedException", "User … is not authorized to perform: ecs:RunTask on resource: …"),
    ("ECS.AccessDeniedException", "User … is not authorized to perform: iam:PassRole on resource: …"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "cause"), MAY_PASS)
def test_what_may_pass_is_tried_again_calmly(stage: Stage, error: str, cause: str) -> None:
    play = stage()
    play.run_task_answers = [StatesError(error, cause)] * 3
    play.start("report", deadline="2026-11-23T20:00:00Z")
    play.run_until()
    assert ends(play, "report") == ["SUCCEEDED"]
    assert play.calls.count("ecs:runTask.sync") == 4
    assert len(play.tasks) == 1


def test_no_room_for_an_hour_loses_no_nightly_run(stage: Stage) -> None:
    play = stage()
    full = play.now + timedelta(hours=1)
    no_room = StatesError("AmazonECS.Unknown", "RESOURCE:CPU")
    play.run_task_fails = lambda: no_room if play.now < full else None
    play.start("report", deadline="2026-11-23T22:00:00Z")
    play.run_until(5 * MINUTE)
    other = play.start("report")
    play.run_until()
    assert ends(play, "report") == ["SUCCEEDED"]
    assert full <= play.tasks[0].created_at < full + timedelta(minutes=6)
    assert other.error == "BatchGuard.AlreadyRunning", "it holds the job meanwhile"


def test_no_room_until_the_deadline_is_not_placed(stage: Stage) -> None:
    play = stage()
    play.run_task_answers = [StatesError("AmazonECS.Unknown", "RESOURCE:CPU")] * 500
    play.start("report", deadline="2026-11-23T19:00:00Z")
    play.run_until()
    assert ends(play, "report") == ["BatchGuard.NotPlaced"]
    assert play.calls.count("ecs:runTask.sync") < 60


def test_a_denial_is_final_after_five_minutes(stage: Stage) -> None:
    play = stage()
    play.run_task_answers = [StatesError("ECS.AccessDeniedException", "not authorized to perform: ecs:RunTask")] * 99
    play.start("report", deadline="2026-11-23T20:00:00Z")
    play.run_until()
    assert ends(play, "report") == ["BatchGuard.NotStarted"]
    assert "guardctl deploy" in (play.runs("report")[0].cause or "")
    assert timedelta(minutes=5) < play.now - play.runs("report")[0].started_at < timedelta(minutes=7)


ENDINGS = [
    pytest.param(Program(), ["SUCCEEDED"], id="exit code 0"),
    pytest.param(Program(exit_code=1), ["BatchGuard.TaskFailed"], id="exit code 1"),
    pytest.param(Program(exit_code=None, stop_code="TaskFailedToStart", reason="CannotPullContainerError"), ["BatchGuard.TaskFailed"], id="no image"),
    pytest.param(Program(exit_code=0, stop_code="SpotInterruption"), ["BatchGuard.Interrupted"], id="spot interruption, exit code 0"),
    pytest.param(Program(exit_code=0, stop_code="UserInitiated"), ["BatchGuard.Interrupted"], id="stopped by a person, exit code 0"),
    pytest.param(Program(exit_code=0, stop_code="TerminationNotice"), ["BatchGuard.Interrupted"], id="instance terminated, exit code 0"),
    pytest.param(Program(exit_code=137, stop_code="SpotInterruption"), ["BatchGuard.Interrupted"], id="spot interruption, killed"),
    pytest.param(Program(exit_code=0, stop_code=""), ["SUCCEEDED"], id="exit code 0 and no stop code"),
]  # fmt: skip


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize(("program", "expected"), ENDINGS)
def test_a_task_that_ended_is_judged_by_how_it_ended(
    stage: Stage, program: Program, expected: list[str], deaf: bool
) -> None:
    play = stage()
    play.program, play.deaf = program, deaf
    play.start("report")
    play.run_until()
    assert ends(play, "report") == expected
    run = play.runs("report")[0]
    assert play.tasks[0].arn in f"{run.output} {run.cause}"


@pytest.mark.parametrize("first", [Program(exit_code=1), Program(exit_code=0, stop_code="SpotInterruption")])
@pytest.mark.parametrize("deaf", [False, True])
def test_what_has_not_finished_is_tried_again(stage: Stage, first: Program, deaf: bool) -> None:
    play = stage()
    play.run_task_answers, play.deaf = [first], deaf
    play.start("again")
    play.run_until()
    assert ends(play, "again") == ["SUCCEEDED"]
    assert (len(play.tasks), play.most_at_once) == (2, 1)


def test_a_cause_that_was_cut_ends_by_name(stage: Stage) -> None:
    play = stage()
    play.starts_despite_error = {"States.TaskFailed"}
    play.program = Program(seconds=1, exit_code=1)
    play.run_task_answers = [StatesError("States.TaskFailed", '{"TaskArn": "x", "Overrides": {"a": "}')]
    play.start("report")
    play.run_until()
    assert ends(play, "report") == ["BatchGuard.TaskFailed"]


def test_a_task_past_its_timeout_is_stopped_and_only_then_the_run_fails(stage: Stage) -> None:
    play = stage()
    play.program, play.stop_takes = Program(seconds=5000), 40
    play.start("report")
    play.run_until(12 * MINUTE)
    run, (task,) = play.runs("report")[0], play.tasks
    assert run.error == "BatchGuard.TimedOut"
    assert task.stopped_at
    assert run.stopped_at
    assert task.stopped_at <= run.stopped_at


def test_a_redriven_run_starts_nothing(stage: Stage) -> None:
    play = stage()
    play.redrives = 1
    play.start("report")
    play.run_until()
    assert ends(play, "report") == ["Unclean.RedriveRefused"]
    assert not play.tasks


# --- what is in the way -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [0.02, 9])
def test_a_copy_of_a_finished_runs_task_is_in_the_way_and_never_stopped(stage: Stage, hours: float) -> None:
    play = stage()
    play.start("family")
    play.run_until(2 * MINUTE)
    run = play.runs("family")[0]
    copy = play.task_by_hand("batch", "family", Program(seconds=99_999), BATCH_EXECUTION=run.arn, BATCH_JOB="family")
    play.run_until(hours * 3600)
    start = play.start("family")
    play.run_until(MINUTE)
    assert start.error == "BatchGuard.AlreadyRunning"
    assert copy.arn in (start.cause or "")
    assert copy.told_at is None


def test_ecs_that_shows_a_finished_runs_task_late_does_not_hold_the_job(stage: Stage) -> None:
    play = stage()
    play.start("report")
    play.run_until(2 * MINUTE)
    play.ecs_hides = timedelta(minutes=5)
    start = play.start("report")
    play.run_until(MINUTE)
    assert start.output["run"] == "run-000002"


MOVED = JOBS.replace('task_definition = "report"', 'task_definition = "report-2"').replace("bin/report", "bin/new")


def test_a_job_that_moved_while_its_orphan_lives_does_not_start_beside_it(stage: Stage) -> None:
    play = stage()
    play.program = Program(seconds=3 * 3600)
    play.start("report")
    play.run_until(MINUTE)
    play.abort(play.runs("report")[0])
    play.jobs = parse(MOVED, stage="dev", place="moved")
    for _ in range(10):
        play.start("report")
        play.run_until(10 * MINUTE)
    assert play.most_at_once == 1
    assert len(play.tasks) == 1
    play.run_until(2 * 3600)
    play.start("report")
    play.run_until(MINUTE)
    assert [task.family for task in play.tasks] == ["report", "report-2"], "and when that has stopped, it runs anew"


def test_a_run_that_lost_sight_of_its_task_finds_it_though_the_job_has_moved(stage: Stage) -> None:
    play = stage()
    play.starts_despite_error = {"ECS.ServerException"}
    play.run_task_answers = [StatesError("ECS.ServerException", "no answer")]
    play.program = Program(seconds=300)
    play.start("report")
    play.at(5, lambda: setattr(play, "jobs", parse(MOVED, stage="dev", place="moved")))
    play.run_until()
    assert ends(play, "report") == ["SUCCEEDED"]
    assert len(play.tasks) == 1


def test_a_run_whose_task_is_gone_is_named_with_the_command_that_ends_it(stage: Stage) -> None:
    play = stage()
    play.deaf = True
    play.start("report")
    play.run_until(9 * MINUTE)
    start = play.start("report")
    play.run_until(0.9 * MINUTE)
    assert start.error == "BatchGuard.AlreadyRunning"
    assert "STOPPED for 8 min" in (start.cause or "")
    assert "guardctl stop report" in (start.cause or "")


WHOLE: dict[str, Any] = {
    **dict.fromkeys(contract.ANSWERED, "x"),
    **dict.fromkeys(contract.DECIDED, "x"),
    "running_flg": False,
    "holder": {"kind": "run", "name": "run-000042", "arn": "arn:…:run-000042", "started_at": None},
    "run": {"job": "report"},
    "wait_seconds": 15,
    "yields": False,
    "waiter": "waiter",
    "waiter_machine": "arn:…:stateMachine:batch-guard-dev",
    "waiter_input": {"job": "report"},
    "cluster": "batch",
    "on_skip": "succeed",
    "would_have": "started",
}
"""Every part that an answer of the checker may have."""

LACKING = {
    "start": ("run", "next_run", "state_machine_arn"),
    "started": ("holder", "state_machine_arn", "reason"),
    "wait": ("wait_seconds", "reason"),
    "queue": ("waiter", "waiter_input", "waiter_machine", "reason"),
    "queued": ("waiter", "waiter_machine", "reason"),
    "stop_run": ("wait_seconds", "holder", "reason"),
    "stop_task": ("wait_seconds", "holder", "cluster", "reason"),
    "skip": ("on_skip", "holder", "reason"),
    "shadow": ("would_have", "reason"),
    "refuse": ("reason", "error"),
}


@pytest.mark.parametrize(
    ("outcome", "part"), [(outcome, part) for outcome in contract.OBEYED for part in LACKING[outcome]]
)
def test_an_answer_that_lacks_a_part_ends_by_name(stage: Stage, outcome: str, part: str) -> None:
    """Of a checker that is older or newer than the definition."""
    play = stage()
    lacking = {key: value for key, value in {**WHOLE, "outcome": outcome}.items() if key != part}
    play._invoke = lambda event: lacking  # type: ignore[method-assign]  # a checker of another release
    start = play.start("report")
    play.run_until(60 * MINUTE)
    assert (start.error or "").startswith("BatchGuard."), start.cause
    assert not play.tasks


# --- a time that is passed over -------------------------------------------------------------------------------


def test_a_time_that_is_passed_over_ends_with_its_verdict_and_nobody_is_asked(stage: Stage) -> None:
    play = stage()
    name = "report-20261123T1800Z"
    guard = play.start("report", name, verdict={"error": "HeldBack", "reason": "held back until …"})
    play.run_until()
    assert (guard.status, guard.error, guard.cause) == ("FAILED", "BatchGuard.HeldBack", "held back until …")
    assert (play.invocations, play.runs("report"), len(guard.states)) == ([], [], 3)


@pytest.mark.parametrize("verdict", [{}, "HeldBack", {"error": "HeldBack"}, {"error": 1, "reason": "x"}, None])
def test_what_is_no_verdict_is_refused(stage: Stage, verdict: object) -> None:
    play = stage()
    guard = play.start("report", verdict=verdict)
    play.run_until()
    assert guard.error == "BatchGuard.InvalidInput"
    assert "verdict must be an error and a reason" in str(guard.cause)
    assert play.runs("report") == []
