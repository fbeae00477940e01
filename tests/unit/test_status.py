"""The parts of `guardctl status` that need no AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.decide.facts import Execution
from guardctl import links
from guardctl.job_status import Usual, usual

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
    first = MAY.replace(day=1)
    assert usual([took(1, began=first), took(600, began=first)]) == Usual(
        timedelta(minutes=10), timedelta(minutes=10), 1
    )
    assert usual([took(1)]) is not None, "on another day it is a short run"


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
