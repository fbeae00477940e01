"""How many scheduled times in a row passed without a run."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.check import Checker
from chalicelib.config.jobs import Ecs, Job, JobsFile
from chalicelib.decide.facts import Details, Evidence, Execution, Facts, SlotFacts, stamp
from chalicelib.decide.schedule import parse_schedule
from chalicelib.decide.skips import MOST, skips_in_a_row
from tests.world import GUARD, MACHINE, NOW, FakeExecutions, ago, execution, run

DAY = 24 * 60
FUNCTION = "arn:aws:lambda:ap-northeast-1:123456789012:function:batch-guard-dev-check"


def job(*schedules: str) -> Job:
    """A job of the schedules, in UTC. It is 19:01, a Monday."""
    ecs = Ecs(cluster="batch", task_definition="report", container="app")
    return Job(name="nightly-report", pool="nightly-report", ecs=ecs, schedules=tuple(map(parse_schedule, schedules)))


def page_of(*executions: Execution) -> Facts:
    """What is known when the job's page has been read."""
    return Facts(NOW, {MACHINE: SlotFacts(executions)})


NIGHTLY, QUARTERS = job("0 19 * * *"), job("rate(15 minutes)")


@pytest.mark.parametrize(
    ("of", "page", "expected"),
    [
        pytest.param(NIGHTLY, (run(41, "RUNNING", began=60),), 1, id="a run of an hour ago is in the way: the first skip"),
        pytest.param(NIGHTLY, (run(41, "RUNNING", began=0.9),), 0, id="today's own run is in the way of a start by hand"),
        pytest.param(NIGHTLY, (run(41, "RUNNING", began=3 * DAY + 0.5),), 3, id="a run of three nights ago is in the way"),
        pytest.param(NIGHTLY, (run(41, began=3 * DAY + 0.5, ended=2 * DAY),), 3, id="it ended, and an orphan or outsider is in the way"),
        pytest.param(NIGHTLY, (run(41, began=9 * DAY, ended=8 * DAY), run(42, began=2 * DAY, ended=DAY)), 2, id="the newest run counts"),
        pytest.param(NIGHTLY, (execution("paused-000001", "ABORTED", began=5 * DAY, ended=DAY + 2), run(41, began=9 * DAY, ended=8 * DAY)), 2, id="what a pause held up is no skip"),
        pytest.param(NIGHTLY, (execution("paused-000001", "RUNNING", began=5 * DAY), run(41, began=DAY + 2)), 2, id="a pause that goes on ends no row"),
        pytest.param(NIGHTLY, (execution("by-hand", "RUNNING", began=1), run(41, began=DAY + 2)), 2, id="a start past the guard ends no row"),
        pytest.param(QUARTERS, (run(41, "RUNNING", began=60),), 4, id="every quarter of an hour"),
        pytest.param(job("rate(15 minutes)", "0 * * * *"), (run(41, "RUNNING", began=60),), 4, id="a time that two schedules have counts once"),
        pytest.param(job("rate(1 minute)"), (run(41, "RUNNING", began=2 * DAY),), MOST, id="it counts no further than it may be asked to"),
        pytest.param(job(), (run(41, "RUNNING", began=60),), 0, id="a job without a schedule has no row"),
    ],
)  # fmt: skip
def test_skips_in_a_row(of: Job, page: tuple[Execution, ...], expected: int) -> None:
    assert skips_in_a_row(of.schedules, of.timezone, page_of(*page), MACHINE) == expected


def test_a_run_that_the_list_does_not_show_yet_ends_the_row_too() -> None:
    won = run(42, "RUNNING", began=0.5)
    facts = replace(page_of(run(41, began=9 * DAY, ended=8 * DAY)), details={won.arn: Details(won)})
    assert skips_in_a_row(NIGHTLY.schedules, NIGHTLY.timezone, facts, MACHINE) == 0


def test_a_job_that_has_never_run_counts_from_its_deployment() -> None:
    facts = Facts(NOW, {MACHINE: SlotFacts((), created_at=NOW - timedelta(days=4))}, Evidence())
    assert skips_in_a_row(NIGHTLY.schedules, NIGHTLY.timezone, facts, MACHINE) == 4


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        pytest.param(run(41, "RUNNING", began=2 * DAY + 5), ("skip", 3), id="a skip tells its place in the row"),
        pytest.param(
            execution("paused-000001", "RUNNING", began=5), ("skip", None), id="that of a paused job does not"
        ),
    ],
)
def test_the_checker_tells(newest: Execution, expected: tuple[str, Any]) -> None:
    executions = FakeExecutions()
    executions.add(MACHINE, Details(newest))
    jobs = JobsFile(stage="dev", jobs={NIGHTLY.name: NIGHTLY})
    checker = Checker(lambda: jobs, FUNCTION, executions, lambda: pytest.fail("not asked"), lambda: NOW)
    guard = {"version": 1, "execution": GUARD, "started": stamp(ago(1)), "waited": True}
    answer = checker.answer({"job": NIGHTLY.name, "guard": guard})
    assert (answer["outcome"], answer.get("skips_in_a_row")) == expected
