"""People are told: guard, batch machine, the machine that tells and the trigger's watch play together."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.play import Play, Program, StatesError
from tests.contracts.played import DEFAULTS, played

TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
ALERTS = f'[alerts]\ntopic = "{TOPIC}"\ntell = ["failed", "skipped", "not_started", "recovered"]\n'
ZONE = DEFAULTS.replace("[defaults]\n", '[defaults]\ntimezone = "Asia/Tokyo"\n')
HOURLY = """
[jobs.report]
schedule = "cron(0 * * * ? *)"
start = 2026-11-23T18:00:00Z
ecs = { task_definition = "report" }
"""
FAILS = Program(60, 1)
CONSOLE = "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/"


def stage(jobs: str = HOURLY, alerts: str = ALERTS) -> Play:
    return played(f"{ZONE}{alerts}{jobs}")


def texts(play: Play) -> list[str]:
    return [json.loads(each["Message"])["default"] for each in play.published]


def subjects(play: Play) -> list[str]:
    return [each["Subject"] for each in play.published]


def ticks(play: Play, minutes: int, *, watch: bool = False) -> None:
    """The trigger's minutes, one after the other, and all that comes of them."""
    for _ in range(minutes):
        play.tick()
        if watch:
            play.watch()
        play.run_until(60)


def test_a_run_that_fails_is_told_with_its_reason_once_an_hour_however_often_it_fails() -> None:
    play = stage(HOURLY.replace("cron(0 *", "cron(0/20 *"))
    play.program = Program(20, 1)
    ticks(play, 125)
    assert subjects(play) == ["batch-guard dev: report failed"] * 3
    first, second, _ = texts(play)
    why = "EssentialContainerExited: Essential container in task exited"
    reason = f"container app exited with 1 ({why}), task {play.tasks[0].arn}"
    assert first.splitlines() == [
        "report failed",
        "2026-11-24 03:00 JST",
        "",
        f"{reason} (BatchGuard.TaskFailed)",
        "",
        "Next: guardctl logs report run-000001 --stage dev",
        f"{CONSOLE}{play.runs('report')[0].arn}",
        "",
        "Said once an hour for this job: what follows within the hour is not.",
    ]
    assert "The 3 runs before it did not succeed either." in second, "how many since is counted from the page"


@pytest.mark.parametrize(
    ("ways", "reason"),
    [
        pytest.param({"program": Program(60, 0, "SpotInterruption", "gone")}, "stopped before it had finished", id="interrupted"),
        pytest.param({"run_task_fails": lambda: StatesError("ECS.InvalidParameterException", "no such subnet")}, "no such subnet (BatchGuard.NotStarted)", id="not started"),
        pytest.param({"run_task_fails": lambda: StatesError("ECS.ServerException", "?"), "ecs_hides": timedelta(hours=9)}, "nobody knows whether a task of this run is alive", id="out of sight"),
        pytest.param({"program": Program(9 * 3600), "stop_takes": 1.0}, "stopped after its timeout", id="timed out"),
        pytest.param({"run_task_fails": lambda: StatesError("AmazonECS.Unknown", "no capacity")}, "until the deadline, 2026-11-24 05:00 JST", id="no room: instants are told in the stage's zone"),
    ],
)  # fmt: skip
def test_every_bad_end_of_a_run_is_told(ways: dict[str, Any], reason: str) -> None:
    play = stage()
    for key, value in ways.items():
        setattr(play, key, value)
    play.tick()
    play.run_until()
    (text,) = texts(play)
    assert text.startswith("report failed\n2026-11-24 03:00 JST\n")
    assert reason in text
    assert "Z" not in text.splitlines()[3], "one zone"
    (run,) = play.runs("report")
    assert (run.error or "").startswith(("BatchGuard.", "Unclean."))


def test_a_skip_says_when_what_is_in_the_way_should_end_and_how_many_in_a_row() -> None:
    play = stage()
    ticks(play, 4 * 60)  # four runs of a minute
    play.program = Program(3 * 3600 - 60)  # by now much longer than usual
    ticks(play, 4 * 60)
    told = [text for text in texts(play) if text.startswith("report was skipped")]
    assert len(told) == 2
    assert "run-000005 has been running for" in told[0]
    assert "It usually takes 60 s, so it should have ended about 2026-11-24 07:01 JST." in told[0]
    assert "It has been skipped 2 times in a row." in told[1]
    assert "Next: guardctl why report 2026-11-23T23:00:00Z --stage dev" in told[0]


def forty_every_minute() -> Play:
    """Two minutes before seven they begin."""
    play = stage(
        "".join(
            f'[jobs.j{n}]\nschedule = "* * * * *"\nstart = 2026-11-23T18:58:00Z\nstart_deadline = "1m"\necs = {{ task_definition = "t{n}" }}\n'
            for n in range(40)
        )
    )
    play.run_until(58 * 60)
    return play


@pytest.mark.thorough
def test_forty_minute_jobs_without_a_checker_are_one_message_an_hour() -> None:
    play = forty_every_minute()
    # Lambda's own errors: it refuses, the module can't be imported, memory ran out, the function's time is up.
    errors = ("Lambda.TooManyRequestsException", "Runtime.ImportModuleError", "Runtime.ExitError", "Sandbox.Timedout")
    play.checker_error = lambda event: StatesError(errors[int(event["job"][1:]) % len(errors)], "Rate exceeded")
    ticks(play, 2)
    play.run_until(300)
    ended = [each for each in play.executions.values() if each.machine == play.guard]
    assert [each.error for each in ended] == ["BatchGuard.CheckFailed"] * 80
    assert [each.name for each in play.executions.values() if each.name.startswith("told-")] == [
        "told--not_started-20261123T18",
        "told--not_started-20261123T19",
    ]
    text, _ = texts(play)
    assert text.startswith("nothing starts in dev: the checker can't be reached\nfirst seen: j")
    assert "Lambda.TooManyRequestsException" in text


@pytest.mark.thorough
def test_forty_minute_jobs_that_fail_are_one_message_an_hour_for_each() -> None:
    play = forty_every_minute()
    play.program = Program(20, 1)
    ticks(play, 4)
    assert [run.error for n in range(40) for run in play.runs(f"j{n}")] == ["BatchGuard.TaskFailed"] * 160
    assert Counter(subjects(play)) == {f"batch-guard dev: j{n} failed": 2 for n in range(40)}


def test_a_checker_that_answers_and_cant_tell_is_told_by_job() -> None:
    play = stage()
    play.checker_error = lambda _event: StatesError("CantTell", '{"errorMessage": "ListExecutions got no answer"}')
    ticks(play, 1)
    play.run_until()
    (text,) = texts(play)
    assert text.startswith("report was not started\n2026-11-24 03:00 JST")
    assert "ListExecutions got no answer (BatchGuard.CheckFailed)" in text


@pytest.mark.parametrize(
    "alerts",
    [
        pytest.param(ALERTS.replace('["failed", "skipped", "not_started", "recovered"]', "[]"), id="told nothing"),
        pytest.param("", id="nobody to tell"),
    ],
)
def test_where_nobody_is_told_nothing_is_started_or_read_for_it_and_runs_end_as_they_did(alerts: str) -> None:
    play, told = stage(alerts=alerts), stage()
    for each in (play, told):
        each.program = FAILS
        ticks(each, 61, watch=True)
    assert not play.published
    assert play.telling_machine not in {each.machine for each in play.executions.values()}
    assert [run.error for run in play.runs("report")] == [run.error for run in told.runs("report")]


def test_a_success_passes_no_state_more() -> None:
    play, told = stage(alerts=""), stage()
    for each in (play, told):
        ticks(each, 2)
    guards = [[e.states for e in each.executions.values() if e.machine == each.guard] for each in (play, told)]
    assert guards[0] == guards[1] == [["Check running executions", "Already running?", "Start the run", "Started"]]
    assert [run.states for run in play.runs("report")] == [run.states for run in told.runs("report")]
    assert len(told.runs("report")[0].states) == 4


@pytest.mark.parametrize("error", ["KMS.DisabledException", "SNS.AuthorizationErrorException"])
def test_failing_to_tell_changes_nothing_else(error: str) -> None:
    play = stage()
    play.program = FAILS
    play.topic_error = lambda: StatesError(error, "no")
    ticks(play, 2)
    play.run_until()
    assert [run.error for run in play.runs("report")] == ["BatchGuard.TaskFailed"]
    (told,) = [each for each in play.executions.values() if each.machine == play.telling_machine]
    assert (told.status, told.error) == ("FAILED", error)


def test_a_start_by_hand_is_answered_to_who_made_it_and_its_failed_run_is_told() -> None:
    play = stage()
    play.program = FAILS
    play.start("report")
    play.start("report")
    play.run_until()
    assert subjects(play) == ["batch-guard dev: report failed"]


def test_a_paused_job_is_not_told_of() -> None:
    play = stage()
    play.start_execution(play.machine("report"), "paused-000001", json.dumps({"paused": True, "reason": "moving"}))
    ticks(play, 61)
    verdicts = [each.error for each in play.executions.values() if each.machine == play.guard]
    assert verdicts == ["BatchGuard.Paused"] * 2
    assert not play.published


def test_in_chat_https_subscribers_get_what_aws_shows_and_the_others_the_text() -> None:
    play = stage(alerts=ALERTS + 'format = "chat"\n')
    play.program = FAILS
    ticks(play, 2)
    (published,) = play.published
    message = json.loads(published["Message"])
    assert published["MessageStructure"] == "json"
    assert message["default"].startswith("report failed\n")
    shown = json.loads(message["https"])
    assert (shown["version"], shown["source"], shown["content"]["textType"]) == ("1.0", "custom", "client-markdown")
    assert shown["content"]["title"] == "dev: report failed"
    assert shown["content"]["description"].startswith("2026-11-24 03:00 JST\ncontainer app exited with 1")
    assert shown["content"]["nextSteps"][0] == "`guardctl logs report run-000001 --stage dev`"
    assert shown["metadata"]["threadId"] == "dev-report"


# --- what the trigger finds -------------------------------------------------------------------------------


def test_a_run_that_somebody_stops_is_told_once_and_a_replaced_one_is_not() -> None:
    play = stage(alerts=ALERTS.replace(', "skipped", "not_started", "recovered"', ""))
    play.program = Program(1800)
    ticks(play, 5)
    play.abort(play.runs("report")[0], cause="wrong day")
    ticks(play, 5, watch=True)
    (text,) = texts(play)
    assert "run-000001 was stopped: wrong day" in text
    play.run_until(3600)
    play.start("report")
    play.run_until(60)
    play.abort(play.runs("report")[-1], "BatchGuard.Replaced", "replaced by another")
    ticks(play, 5, watch=True)
    assert len(texts(play)) == 1


def test_a_run_that_fails_as_the_hour_ends_is_told_once() -> None:
    """Its message is begun in one hour, and it ends in the next."""

    def failed(seconds: float) -> Play:
        play = stage(HOURLY.replace("schedule", "# schedule").replace("start =", "# start ="))
        play.program = FAILS
        play.run_until(seconds)
        play.start("report")
        play.run_until(120)
        return play

    (run,) = failed(0).runs("report")
    assert run.stopped_at
    play = failed((datetime(2026, 11, 23, 19, tzinfo=UTC) - run.stopped_at).total_seconds() + 0.02)
    (run,), (told,) = play.runs("report"), [e for e in play.executions.values() if e.name.startswith("told-")]
    assert run.stopped_at
    assert (run.stopped_at.hour, told.name) == (19, "told-report-failed-20261123T18")
    play.watch()
    play.run_until(60)
    assert len(texts(play)) == 1


def test_a_job_that_is_well_again_is_told_once_and_only_after_bad_news() -> None:
    play = stage()
    ticks(play, 10, watch=True)
    assert not play.published
    play.program = FAILS
    ticks(play, 60, watch=True)
    play.program = Program()
    ticks(play, 130, watch=True)
    assert subjects(play) == ["batch-guard dev: report failed", "batch-guard dev: report recovered"]
    text = texts(play)[1]
    assert text.startswith("report is well again\n2026-11-24 05:00 JST")
    assert "run-000003 succeeded on 2026-11-24 05:01 JST, after 60 s" in text
    assert "what follows" not in text


def test_in_a_shared_pool_it_is_the_jobs_own_run_that_makes_it_well_again() -> None:
    play = stage(
        """
        [jobs.report]
        schedule = "cron(0 * * * ? *)"
        start = 2026-11-23T18:00:00Z
        pool = "p"
        ecs = { task_definition = "report" }
        [jobs.other]
        schedule = "cron(30 * * * ? *)"
        start = 2026-11-23T18:00:00Z
        pool = "p"
        ecs = { task_definition = "other" }
        """
    )
    play.program = FAILS
    ticks(play, 10, watch=True)
    play.program = Program()
    ticks(play, 49, watch=True)
    assert subjects(play) == ["batch-guard dev: report failed"], "the neighbour's success is not its own"
    ticks(play, 10, watch=True)
    assert subjects(play)[1:] == ["batch-guard dev: report recovered"]


def test_the_watch_stays_within_its_budget_and_comes_by_everybody() -> None:
    jobs = "".join(f'[jobs.j{n}]\nschedule = "0 3 1 1 *"\necs = {{ task_definition = "t{n}" }}\n' for n in range(60))
    play = stage(jobs)
    play.program = Program(600)
    for n in range(60):
        play.start(f"j{n}")
    play.run_until(60)
    for n in range(60):
        play.abort(play.runs(f"j{n}")[0])
    asked: list[int] = []
    page, details = play.page, play.details

    def counted_page(*arguments: Any, **more: Any) -> Any:
        asked[-1] += 1
        return page(*arguments, **more)

    def counted_details(arn: str) -> Any:
        asked[-1] += 1
        return details(arn)

    play.page, play.details = counted_page, counted_details  # type: ignore[method-assign]
    for _ in range(16):
        asked.append(0)
        play.watch()
        play.run_until(60)
    assert max(asked) <= 3 + 6 + 6
    assert len({each["Subject"] for each in play.published}) == 60
