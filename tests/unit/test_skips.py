"""How many scheduled times in a row passed without a run."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.check import Checker
from chalicelib.config.jobs import Alerts, Ecs, Job, JobsFile
from chalicelib.decide.facts import CantTell, Details, Evidence, Execution, Facts, SlotFacts, stamp
from chalicelib.decide.schedule import parse_schedule
from chalicelib.decide.skips import MOST, skips_in_a_row
from chalicelib.names import execution_arn, guard_machine, machine_arn, scheduled_name
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


@pytest.mark.parametrize(
    ("nights", "unknown", "row"),
    [
        pytest.param((), (), 1, id="the night before had no start, or was in shadow"),
        pytest.param((1,), (), 2, id="it was the first that stepped back"),
        pytest.param((1, 2), (), 9, id="as many as the alarm looks back: then the last run says how many"),
        pytest.param((2, 3), (1,), 9, id="a check that failed in between neither counts nor ends it"),
        pytest.param((2,), (1, 3), 2, id="it does not count"),
        pytest.param((5, 6), (1, 2, 3, 4), 1, id="it is looked back twice as far as the alarm does"),
    ],
)
def test_what_was_no_skip_ends_the_row(nights: tuple[int, ...], unknown: tuple[int, ...], row: int) -> None:
    """The last run was nine nights ago, and then an old rule started the job for a week."""
    executions = FakeExecutions()
    executions.add(MACHINE, Details(run(41, "RUNNING", began=9 * DAY + 0.5)))
    guards, at = machine_arn(FUNCTION, guard_machine("dev")), NOW - timedelta(minutes=1)
    ends = dict.fromkeys(nights, "BatchGuard.AlreadyRunning") | dict.fromkeys(unknown, "BatchGuard.CheckFailed")
    for night, error in ends.items():
        name = scheduled_name(NIGHTLY.name, at - timedelta(days=night))
        skipped = replace(execution(name, "FAILED"), arn=execution_arn(guards, name))
        executions.add(guards, Details(skipped, error))
    answer = skipped_at(at, executions)
    assert (answer["outcome"], answer["skips_in_a_row"]) == ("skip", row)


def test_a_step_back_does_not_fail_because_its_place_in_the_row_can_not_be_read() -> None:
    class Throttled(FakeExecutions):
        def details(self, arn: str) -> Details | None:
            if ":batch-guard-dev:" in arn:
                raise CantTell("Rate exceeded")
            return super().details(arn)

    executions = Throttled()
    executions.add(MACHINE, Details(run(41, "RUNNING", began=9 * DAY + 0.5)))
    answer = skipped_at(NOW - timedelta(minutes=1), executions)
    assert (answer["outcome"], "skips_in_a_row" in answer) == ("skip", False)


def skipped_at(at: datetime, executions: FakeExecutions) -> dict[str, Any]:
    """What a start of that time is answered, on its second look; there are alarms."""
    jobs = JobsFile(stage="dev", jobs={NIGHTLY.name: NIGHTLY}, alerts=Alerts(topic="arn:aws:sns:x:1:a"))
    checker = Checker(lambda: jobs, FUNCTION, executions, lambda: pytest.fail("not asked"), lambda: NOW)
    guard = {"version": 1, "execution": GUARD, "started": stamp(ago(1)), "waited": True}
    return checker.answer({"job": NIGHTLY.name, "scheduled_at": stamp(at), "guard": guard})
