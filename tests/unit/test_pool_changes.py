"""What a deployment changes of pools: only of jobs that are paused, and with nothing of them under way."""

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.config.jobs import parse
from chalicelib.names import batch_machine
from guardctl import drift, pauses, pool_changes
from guardctl.stage import Stage
from guardctl.template import pool_rows
from lab.play import Play, Program
from tests.unit.test_guardctl_pools import JOBS, Aws, staged

MOVED = JOBS.replace('pool = "seats"\necs = { task_definition = "report" }', 'ecs = { task_definition = "report" }')
JOINED = JOBS.replace("[jobs.alone]", '[jobs.alone]\npool = "warehouse"')
FEWER = JOBS.replace("slots = 2", "slots = 1")


class NoSuchMachine(ClientError):
    """StateMachineDoesNotExist, as boto3 raises it."""

    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "StateMachineDoesNotExist", "Message": ""}}, "DescribeStateMachine")


class Deployed(Aws):
    """A stage whose deployed guard tells the pools of the jobs file that it was deployed with."""

    def __init__(self, play: Play, *, nothing: bool = False) -> None:
        super().__init__(play)
        self.nothing = nothing
        self.exceptions.StateMachineDoesNotExist = NoSuchMachine

    def describe_state_machine(self, **asked: Any) -> Any:
        known = {batch_machine("dev", job.pool) for job in self.play.jobs.jobs.values()}
        machine = asked["stateMachineArn"].rsplit(":", 1)[1]
        if self.nothing or machine not in known | {"batch-guard-dev"}:
            raise NoSuchMachine
        return {**super().describe_state_machine(), "definition": json.dumps(f"$pools := {pool_rows(self.play.jobs)};")}


def about_to_deploy(text: str) -> tuple[Play, Stage]:
    """A stage in motion, with the jobs file that is to be deployed."""
    play, _, stage = staged()
    vars(stage).update(stepfunctions=Deployed(play), file=parse(text, stage="dev", place="dev.toml"))
    return play, stage


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (JOBS, []),
        (MOVED, ["report moves from pool seats to pool report"]),
        (JOINED, ["alone moves from pool alone to pool warehouse"]),
        (FEWER, ["pool seats has 1 instead of 2 slots"]),
        (JOBS.replace("slots = 2", "slots = 3"), []),
        (JOBS + '[jobs.new]\npool = "seats"\necs = { task_definition = "new" }\n', []),
    ],
    ids=["nothing", "out of a pool", "into a pool", "fewer slots", "more slots", "a new job"],
)
def test_only_what_may_let_two_run_is_a_change_of_pools(text: str, what: list[str]) -> None:
    _, stage = about_to_deploy(text)
    assert [change.what for change in pool_changes.changes(stage)] == what


def test_a_stage_that_is_not_deployed_yet_has_nothing_to_move() -> None:
    play, stage = about_to_deploy(JOBS)
    vars(stage).update(stepfunctions=Deployed(play, nothing=True))
    assert pool_changes.changes(stage) == []


@pytest.mark.parametrize("text", [MOVED, JOINED, FEWER])
def test_a_job_moves_once_it_is_paused_and_nothing_of_it_is_under_way(text: str) -> None:
    play, stage = about_to_deploy(text)
    play.program = Program(seconds=600)
    (change,) = pool_changes.changes(stage)
    job = change.jobs[0]
    play.start(job)
    play.run_until(60)
    reasons = pool_changes.in_the_way(stage, change)
    assert any(
        reason.startswith(f"{job} is not paused: with the jobs file that is deployed, guardctl pause {job}")
        for reason in reasons
    )
    assert any(re.match(f"run-000001 of {job} is running", reason) for reason in reasons)
    deployed = Stage("dev")
    vars(deployed).update(vars(stage), file=play.jobs)
    for each in change.jobs:
        pauses.pause(deployed, each, "it moves", None, play.now)
    assert not any("not paused" in reason for reason in pool_changes.in_the_way(stage, change))
    assert pool_changes.in_the_way(stage, change), "the run goes on"
    play.run_until(3600)
    assert pool_changes.in_the_way(stage, change) == []


def test_a_start_that_still_decides_is_in_the_way_and_a_neighbours_run_is_not() -> None:
    play, stage = about_to_deploy(MOVED)
    play.program = Program(seconds=600)
    (change,) = pool_changes.changes(stage)
    play.start("solver")
    play.run_until(60)
    assert not any("is running" in reason for reason in pool_changes.in_the_way(stage, change))
    start = play.start("report")
    assert f"{start.name} of report is still deciding or waiting" in pool_changes.in_the_way(stage, change)


@pytest.mark.parametrize(
    ("machine", "jobs"),
    [
        pytest.param("batch-guard-dev-seats", ["report", "solver"], id="a shared pool's"),
        pytest.param("batch-guard-dev-seats--2", ["report", "solver"], id="of its second slot"),
        pytest.param("batch-guard-dev-alone", ["alone"], id="a job's own"),
        pytest.param("batch-guard-dev-gone", ["gone"], id="of a job that is in no jobs file any more"),
    ],
)
def test_a_machine_that_goes_is_told_by_its_jobs_and_not_by_its_pool(machine: str, jobs: list[str]) -> None:
    _, stage = about_to_deploy(JOBS)
    assert pool_changes.jobs_of(stage, stage.arn_of(machine), pool_changes.deployed(stage)) == jobs


def test_a_guard_that_knows_other_pools_is_told_by_their_jobs() -> None:
    _, stage = about_to_deploy(JOINED)
    assert drift.guard_machine(stage) == ("the guard machine is defined differently: the pools of alone",)
