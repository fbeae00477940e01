"""`guardctl handover` on the emulator: the work of a schedule and of a rule moves here and back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.stage import LocalStage
from tests import targets as aws
from tests.support import local_stage

IN_SIX_HOURS = datetime.now(UTC) + timedelta(hours=6)
"""No time of a job here is near, whenever the tests run."""


pytestmark = pytest.mark.together("handover")


@pytest.fixture(scope="module")
def ours(stage: LocalStage) -> Iterator[LocalStage]:
    """A checkout of one's own of the deployed stage, in which two jobs that rest say where they came from."""
    text = (stage.directory / "chalicelib" / "jobs" / "e2e.toml").read_text(encoding="utf-8")
    daily = f"{IN_SIX_HOURS.minute} {IN_SIX_HOURS.hour} * * *"
    for job, origin in (("drawn", "schedule/default/drawn"), ("logged", "rule/default/logged")):
        found = f'[jobs.{job}]\nschedule = "0 0 * * *"'
        assert found in text
        text = text.replace(found, f'[jobs.{job}]\nimported_from = "{origin}"\nschedule = "{daily}"')
    with local_stage(stage.emulator, name="e2e", jobs=text) as checkout:
        yield checkout


def file_of(stage: LocalStage) -> Path:
    return stage.directory / "chalicelib" / "jobs" / "e2e.toml"


def handover(stage: LocalStage, *arguments: str, code: int = 0) -> str:
    done = stage.command("guardctl", "handover", *arguments, "--stage", stage.name, code=code)
    return done.stdout + done.stderr


def test_the_work_of_a_schedule_moves_here_and_back(ours: LocalStage) -> None:
    scheduler: Any = ours.emulator.session().client("scheduler")
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}
    told = aws.schedule("drawn", Description="Draws", FlexibleTimeWindow=window)
    scheduler.create_schedule(**{key: value for key, value in told.items() if key != "Arn"})
    before = scheduler.get_schedule(Name="drawn")
    resting = file_of(ours).read_text(encoding="utf-8")

    said = handover(ours, "drawn", "--yes")
    off = scheduler.get_schedule(Name="drawn")
    assert off["State"] == "DISABLED"
    assert {key for key in before if before[key] != off[key]} <= {"State", "LastModificationDate", "ResponseMetadata"}
    assert "nothing starts it until it is deployed: guardctl deploy --stage e2e" in said
    assert f"--scheduled-at {IN_SIX_HOURS:%Y-%m-%dT%H:%M}:00Z" in said
    moved = file_of(ours).read_text(encoding="utf-8")
    assert [pair for pair in zip(resting.splitlines(), moved.splitlines(), strict=True) if pair[0] != pair[1]] == [
        ("enabled = false", "enabled = true")
    ]

    said = handover(ours, "drawn", "--back", "--yes")
    assert "the old one has the work again" in said
    assert scheduler.get_schedule(Name="drawn")["State"] == "ENABLED"
    assert "[jobs.drawn]" in file_of(ours).read_text(encoding="utf-8")
    assert file_of(ours).read_text(encoding="utf-8").count("enabled = true") == resting.count("enabled = true")


def test_a_rule_that_a_stack_owns_is_switched_only_by_force(ours: LocalStage) -> None:
    events: Any = ours.emulator.session().client("events")
    events.put_rule(Name="logged", ScheduleExpression="cron(0 3 1 1 ? *)")
    events.put_targets(Rule="logged", Targets=[aws.target("1")])
    arn = events.describe_rule(Name="logged")["Arn"]
    events.tag_resource(ResourceARN=arn, Tags=[{"Key": "aws:cloudformation:stack-name", "Value": "Old"}])
    assert "belongs to the CloudFormation stack Old" in handover(ours, "logged", "--yes", code=1)
    assert events.describe_rule(Name="logged")["State"] == "ENABLED"
    handover(ours, "logged", "--yes", "--force")
    assert events.describe_rule(Name="logged")["State"] == "DISABLED"


def test_what_cant_be_moved_is_told_and_nothing_is_changed(ours: LocalStage) -> None:
    assert "does not say what started it before" in handover(ours, "plain", "--yes", code=2)
    assert "no job 'drwn'" in handover(ours, "drwn", "--yes", code=2)
