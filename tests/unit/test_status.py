"""The parts of `guardctl status` that need no AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.decide.facts import Execution
from guardctl import links
from guardctl.status import Usual, belongs_to, usual

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


def test_a_keepalive_does_not_count_as_a_run_of_a_second() -> None:
    first = MAY.replace(day=1)
    assert usual([took(1, began=first), took(600, began=first)]) == Usual(
        timedelta(minutes=10), timedelta(minutes=10), 1
    )
    assert usual([took(1)]) is not None, "on another day it is a short run"


def test_an_execution_that_is_no_run_does_not_count() -> None:
    assert usual([Execution("arn", "paused-000001", "SUCCEEDED", MAY, MAY + timedelta(days=1))]) is None


NAMES = [
    ("report-20261123T1800Z", True),
    ("report-20261123T1800Z-by-hand-2", True),
    ("report-by-hand-0a1b2c3d4e5f", True),
    ("report-after-run-000041-1", True),
    ("report-keepalive-202611", True),
    ("report-daily-20261123T1800Z", False),
    ("a-report-20261123T1800Z", False),
    ("0f8fad5b-d9cb-469f-a165-70867728950e", False),
]


@pytest.mark.parametrize(("name", "mine"), NAMES)
def test_a_guard_execution_says_whose_it_is(name: str, mine: bool) -> None:
    assert belongs_to("report")(name) is mine


def test_a_job_whose_name_begins_with_anothers_keeps_its_own() -> None:
    assert not belongs_to("report")("report-by-hand-20261123T1800Z"), "a scheduled time of the job report-by-hand"
    assert belongs_to("report-by-hand")("report-by-hand-20261123T1800Z")


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
