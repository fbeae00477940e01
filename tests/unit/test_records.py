"""Reading the ledger's facts: as few calls as it takes, and at a pace that leaves the guard its quota."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.config.jobs import Ecs, Job
from chalicelib.decide.facts import CantTell
from chalicelib.decide.schedule import parse_schedule
from chalicelib.names import execution_arn
from chalicelib.read.aws import NotDeployed
from chalicelib.read.record import recorded_as
from guardctl.records import Reader

NOW = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
JOB = Job(
    name="report",
    pool="report",
    ecs=Ecs(cluster="batch", task_definition="report", container="app"),
    schedules=(parse_schedule("0 * * * *"),),
)


class Missing(Exception):
    """ExecutionDoesNotExist."""


@dataclass
class World:
    """A stage whose guard execution for every hour started the run of that hour; it counts what it is asked."""

    since: datetime = NOW - timedelta(days=400)
    made: datetime = NOW - timedelta(days=400)
    page_size: int = 100
    first_hours_ago: int = 60 * 24
    described: list[str] = field(default_factory=list)
    pages: int = 0
    name: str = "dev"
    shows_guards: bool = True
    file: Any = field(default_factory=lambda: SimpleNamespace(history_days=90))
    recorded: str = recorded_as(JOB)
    running: list[Any] = field(default_factory=list)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ExecutionDoesNotExist=Missing))

    @property
    def stepfunctions(self) -> Any:
        return self

    @property
    def ssm(self) -> Any:
        return self

    def machine(self, job: str) -> str:
        return f"arn:aws:states:us-east-1:1:stateMachine:batch-guard-dev-{job}"

    def guard_execution(self, name: str) -> str:
        return f"arn:aws:states:us-east-1:1:execution:batch-guard-dev:{name}"

    def machines(self, job: str) -> tuple[str, ...]:
        return (self.machine(job),)

    def shared(self, _job: str) -> bool:
        return False

    @property
    def guard(self) -> str:
        return "arn:aws:states:us-east-1:1:stateMachine:batch-guard-dev"

    def describe_state_machine(self, stateMachineArn: str) -> Any:  # noqa: N803 (as boto3 has it)
        return {"stateMachineArn": stateMachineArn, "creationDate": self.made}

    def get_parameters(self, Names: list[str]) -> Any:  # noqa: N803 (as boto3 has it)
        about = {"Value": self.recorded, "LastModifiedDate": self.since}
        return {"Parameters": [{"Name": name, **about} for name in Names]}

    def list_executions(self, **asked: Any) -> Any:
        """Newest first; run 1 was the oldest hour's."""
        if asked.get("statusFilter") == "RUNNING":
            return {"executions": self.running}
        self.pages += 1
        first = int(asked.get("nextToken", 0))
        hours = range(first, min(first + self.page_size, self.first_hours_ago))
        more = {"nextToken": str(hours.stop)} if hours.stop < self.first_hours_ago else {}
        return {"executions": [self._run(hour) for hour in hours], **more}

    def describe_execution(self, executionArn: str) -> Any:  # noqa: N803 (as boto3 has it)
        name = executionArn.rpartition(":")[2]
        self.described.append(name)
        if not self.shows_guards:
            raise Missing
        try:
            time = datetime.strptime(name, "report-%Y%m%dT%H%MZ").replace(tzinfo=UTC)
        except ValueError:
            raise Missing from None
        hour = (NOW - time) // timedelta(hours=1)
        run = {"run": f"run-{self.first_hours_ago - hour:06d}", "state_machine_arn": self.machine("report")}
        output = json.dumps({"outcome": "started", **run})
        ended = time + timedelta(seconds=2)
        return {
            "executionArn": executionArn,
            "status": "SUCCEEDED",
            "startDate": time,
            "stopDate": ended,
            "output": output,
        }

    def _run(self, hours_ago: int) -> Any:
        began = NOW.replace(minute=0) - timedelta(hours=hours_ago)
        name = f"run-{self.first_hours_ago - hours_ago:06d}"
        about = {"executionArn": execution_arn(self.machine("report"), name), "name": name, "status": "SUCCEEDED"}
        return {**about, "startDate": began, "stopDate": began + timedelta(minutes=5)}


def read(world: World, hours: float, limit: int = 10_000) -> tuple[list[Any], int]:
    """The entries of the last hours, and how many times were left out."""
    reader = Reader(world)  # type: ignore[arg-type]  # a stage as far as it is asked
    return reader.entries(JOB, NOW - timedelta(hours=hours), NOW, limit=limit)


def test_what_has_been_open_for_longer_than_the_pages_go_back_is_listed() -> None:
    """AWS lists what is open by its start, among what has ended since."""
    world = World()
    name, began = "run-000001", NOW - timedelta(days=40)
    arn = execution_arn(world.machine("report"), name)
    world.running = [{"executionArn": arn, "name": name, "status": "RUNNING", "startDate": began}]
    reader = Reader(world)  # type: ignore[arg-type]  # a stage as far as it is asked
    listed = [*reader.listed(world.machine("report"), NOW - timedelta(hours=24))]
    assert [each.name for each in listed if each.stopped_at is None] == [name]
    assert (len(listed), world.pages) == (25, 1)


def test_a_run_that_succeeded_is_not_described_besides_its_guard_execution() -> None:
    world = World()
    entries, left_out = read(world, hours=24)
    assert [(entry.outcome, entry.duration) for entry in entries] == [("ran", timedelta(minutes=5))] * 24
    assert len(world.described) == 24
    assert (world.pages, left_out) == (1, 0)


def test_older_pages_are_read_until_they_are_older_than_the_window() -> None:
    world = World(page_size=10)
    assert len(read(world, hours=24)[0]) == 24
    assert world.pages == 3


def test_only_the_newest_times_are_looked_up_and_the_rest_is_counted() -> None:
    world = World()
    entries, left_out = read(world, hours=24, limit=5)
    assert [entry.scheduled.hour for entry in entries] == [14, 15, 16, 17, 18]
    assert (left_out, len(world.described)) == (19, 5)


def test_a_record_of_another_version_is_not_guessed_at() -> None:
    with pytest.raises(CantTell, match="recorded schedule of report can't be read by this checkout"):
        read(World(recorded="0 * * * *"), hours=24)


def test_times_before_the_schedule_have_no_line() -> None:
    world = World(since=NOW - timedelta(hours=3), first_hours_ago=0, shows_guards=False)
    entries, _ = read(world, hours=24)
    assert [(entry.scheduled.hour, entry.outcome) for entry in entries] == [(16, "missed"), (17, "missed"), (18, "due")]


def test_what_an_older_schedule_had_at_the_same_time_is_told() -> None:
    entries, left_out = read(World(since=NOW - timedelta(hours=3)), hours=24)
    assert (len(entries), left_out) == (24, 0)


def test_times_before_the_stage_are_neither_asked_for_nor_said_to_be_left_out() -> None:
    made = NOW - timedelta(hours=3)
    world = World(since=made, made=made, first_hours_ago=0, shows_guards=False)
    _, left_out = read(world, hours=24)
    assert (len(world.described), left_out) == (3, 0)


class NothingThere(World):
    """An account without the stage."""

    def get_parameters(self, Names: list[str]) -> Any:  # noqa: N803 (as boto3 has it)
        return {"Parameters": [], "InvalidParameters": Names}

    def describe_state_machine(self, stateMachineArn: str) -> Any:  # noqa: N803 (as boto3 has it)
        raise ClientError({"Error": {"Code": "StateMachineDoesNotExist", "Message": ""}}, "DescribeStateMachine")

    def command(self, word: str) -> str:
        return f"guardctl {word} --stage {self.name}"


def test_a_job_that_is_not_deployed_is_told_with_its_stage_since_another_one_would_be_deployed() -> None:
    with pytest.raises(NotDeployed, match=r"^report is not deployed; first: guardctl deploy --stage dev$"):
        read(NothingThere(), hours=24)
