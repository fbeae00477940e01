"""The parts of `guardctl status` that need no AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.decide.facts import Execution
from guardctl import job_status, links
from guardctl.job_status import Usual, usual
from guardctl.stage import Stage
from tests.days import DAY, NOW, Aws, Times, staged

MAY = datetime(2026, 5, 17, 9, 0, tzinfo=UTC)


def took(seconds: float, number: int = 1, status: str = "SUCCEEDED", began: datetime = MAY) -> Execution:
    """A run that took so long; RUNNING has not ended."""
    ended = None if status == "RUNNING" else began + timedelta(seconds=seconds)
    return Execution("arn", f"run-{number:06d}", status, began, ended)


def test_the_usual_duration_is_that_of_the_runs_that_succeeded() -> None:
    hundred = [took(seconds, number=seconds) for seconds in range(1, 101)]
    others = [took(9999, status="FAILED"), took(9999, status="RUNNING")]
    assert usual([*hundred, *others]) == Usual(timedelta(seconds=50), timedelta(seconds=95), 100)
    assert usual([took(7)]) == Usual(timedelta(seconds=7), timedelta(seconds=7), 1)
    assert usual(others) is None


def test_a_renewal_does_not_count_as_a_run_of_a_second() -> None:
    renewed = MAY.replace(day=19)
    assert usual([took(1, began=renewed), took(600, began=renewed)]) == Usual(
        timedelta(minutes=10), timedelta(minutes=10), 1
    )
    assert usual([took(1)]) is not None, "on another day it is a short run"


def test_with_a_shorter_history_the_numbers_are_renewed_on_other_days() -> None:
    renewed = MAY.replace(day=7)
    assert usual([took(1, began=renewed)], history_days=30) is None
    assert usual([took(1, began=renewed)], history_days=90) is not None


def test_an_execution_that_is_no_run_does_not_count() -> None:
    assert usual([Execution("arn", "paused-000001", "SUCCEEDED", MAY, MAY + timedelta(days=1))]) is None


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "ap-northeast-1", "ap-northeast-1.console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_links_lead_into_the_right_console(partition: str, region: str, host: str) -> None:
    run = f"arn:{partition}:states:{region}:123456789012:execution:batch-guard-dev-report:run-000042"
    assert links.execution(run) == f"https://{host}/states/home?region={region}#/v2/executions/details/{run}"
    task = f"arn:{partition}:ecs:{region}:123456789012:task/batch/0a1b"
    assert links.task(task) == f"https://{host}/ecs/v2/clusters/batch/tasks/0a1b?region={region}"


# --- how forty jobs stand ---------------------------------------------------------------------------------


def forty() -> tuple[Aws, Stage]:
    """Forty jobs at night, of which all but three are well."""
    aws, stage = staged("".join(f'[jobs.d{n}]\nschedule = "{n} 3 * * *"\necs = {{ task_definition = "d{n}" }}\n' for n in range(40)))  # fmt: skip
    for n in range(40):
        times = Times(aws, stage, f"d{n}")
        at = NOW.replace(hour=3, minute=n, second=0) - DAY
        times.ran(at - DAY, minutes=50)
        if n == 3:
            times.ran(at, status="FAILED", error="BatchGuard.TaskFailed", cause="exit code 1")
        elif n == 4:
            times.skipped(at)
        elif n != 5:
            times.ran(at, minutes=50)
    aws.calls.clear()
    return aws, stage


def test_status_of_forty_jobs_takes_sixty_calls_at_most() -> None:
    aws, stage = forty()
    found = job_status.read(stage, stage.file.jobs.values(), NOW, lambda _: None)
    assert aws.calls.total() <= 60, aws.calls
    by_name = {line.job: line for line in found.jobs}
    assert {line.state for line in found.jobs} == {"free"}
    assert by_name["d3"].last
    assert (by_name["d3"].last.outcome, by_name["d3"].last.reason) == ("failed", "exit code 1")
    skipped = by_name["d4"].not_started
    assert skipped
    assert skipped[1].outcome == "skipped"
    assert by_name["d0"].not_started is None
    assert by_name["d0"].usual
    assert by_name["d0"].usual.median == timedelta(minutes=50)


def test_a_task_by_hand_and_one_left_behind_are_in_the_way_and_not_free() -> None:
    aws, stage = forty()
    definition = "arn:aws:ecs:us-east-1:1:task-definition/d7:3"
    by_hand = {"taskArn": "t7", "taskDefinitionArn": definition, "lastStatus": "RUNNING", "createdAt": NOW - DAY}
    aws.tasks["RUNNING"] = [by_hand]
    found = job_status.read(stage, stage.file.jobs.values(), NOW, lambda _: None)
    assert {line.job for line in found.jobs if line.state == "in the way"} == {"d7"}
    assert "t7" in next(line.start_now for line in found.jobs if line.job == "d7")
    assert aws.calls.total() <= 62, aws.calls


def test_a_job_that_cannot_be_read_says_why_and_the_others_stand() -> None:
    aws, stage = forty()
    aws.refused.add(stage.machine("d9"))
    found = job_status.read(stage, stage.file.jobs.values(), NOW, lambda _: None)
    states = {line.job: line.state for line in found.jobs}
    assert states.pop("d9") == "unknown"
    assert {*states.values()} == {"free"}
    assert "states:ListExecutions" in next(line.start_now for line in found.jobs if line.job == "d9")
