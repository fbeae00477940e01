"""A resource is told as a job's, or the stage's own, and never by its logical ID."""

from pathlib import Path

import pytest

from chalicelib.config.jobs import JobsFile, parse
from guardctl import template
from guardctl.resource_names import Names
from tests.documents import ROOT

ALERTS = '[alerts]\ntopic = "arn:aws:sns:us-east-1:123456789012:a"\n'
HEAD = '[defaults.ecs]\ncluster = "c"\ncontainer = "app"\nlaunch_type = "EC2"\n'


def jobs(*names: str, more: str = "") -> JobsFile:
    """Jobs that are due every night."""
    job = '[jobs.{0}]\nschedule = "0 3 * * *"\nwarn_after = "2h"\necs.task_definition = "{0}"\n'
    return parse(ALERTS + HEAD + more + "".join(map(job.format, names)), stage="dev", place="x")


EVERY_KEY = parse(Path(ROOT, "tests/emulator/every_key.toml").read_text(encoding="utf-8"), stage="dev", place="x")


@pytest.mark.parametrize("file", [EVERY_KEY, jobs("nightly-report", "b2b")], ids=["every key", "two jobs"])
def test_everything_in_a_stack_has_words(file: JobsFile) -> None:
    names = Names(file)
    found = {logical: names.told(logical) for part in template.stacks(file).values() for logical in part["Resources"]}
    assert [logical for logical, told in found.items() if told == logical or "no job here" in told] == []
    assert len({told for told in found.values() if "role" not in told}) == sum("Role" not in each for each in found)


@pytest.mark.parametrize(
    ("logical", "told"),
    [
        pytest.param("nightlyXreportBatch", "nightly-report: the state machine of its runs", id="a machine"),
        pytest.param("b2bBatch", "b2b: the state machine of its runs", id="a digit in a name is no slot"),
        pytest.param("warehouseBatch2", "pool warehouse (a, b): the state machine of its runs, slot 2", id="a slot of a pool"),
        pytest.param("warehouseFailed", "pool warehouse (a, b): its alarm failed", id="a pool's alarm"),
        pytest.param("aBatchSchedule", "a: the record of its schedule", id="a record is a job's, also in a pool"),
        pytest.param("goneXforXlongBatch", "gone-for-long: the state machine of its runs", id="a job that is in no file any more"),
        pytest.param("BatchRole01234567", "a role of runs that no job here has", id="nor are those of a role"),
        pytest.param("TickMissing", "the alarm tick-missing", id="an alarm of the stage"),
        pytest.param("SomethingNew", "SomethingNew", id="what nobody knows"),
    ],
)  # fmt: skip
def test_how_a_resource_is_told(logical: str, told: str) -> None:
    pool = "[pools.warehouse]\nslots = 2\n"
    text = "".join(
        f'[jobs.{name}]\npool = "{pool_of}"\nschedule = "0 3 * * *"\necs.task_definition = "{name}"\n'
        for name, pool_of in (("a", "warehouse"), ("b", "warehouse"), ("nightly-report", "nightly-report"))
    )
    assert Names(parse(ALERTS + HEAD + pool + text, stage="dev", place="x")).told(logical) == told


def test_a_role_is_told_by_those_whose_runs_have_it() -> None:
    file = jobs("a", "b", "c", "d", "e")
    (role,) = [each for each in template.machines(file) if each.startswith("BatchRole")]
    assert Names(file).told(role) == "a, b, c and 2 more: the role of their runs"
